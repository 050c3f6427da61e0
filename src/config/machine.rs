//! What a configuration test asks of the machine.
//!
//! Decides only the questions. The answers change what is told, never what a
//! configuration means: both processes of a daemon read the same text and must
//! come to the same configuration. Source: specification A.11, D.8.

use std::net::IpAddr;

use super::model::ScriptUser;

/// A network interface, as far as messages depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    /// `IFF_LOOPBACK`
    pub loopback: bool,
    /// `IFF_MULTICAST`
    pub multicast: bool,
    /// Hardware type Ethernet.
    pub ethernet: bool,
    /// Bytes.
    pub mtu: u32,
}

/// What C finds wrong with a script (specification D.8). The text is C's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptFinding {
    /// A stable name of this kind of finding.
    pub code: &'static str,
    /// What to tell.
    pub text: String,
    /// What is behind it and what to do about it, one sentence each.
    pub help: Vec<String>,
    /// It belongs to the security class.
    pub security: bool,
    /// C disables the script.
    pub disables: bool,
}

/// What a name in a route or a rule is the name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RoutingNames {
    /// `rt_tables`
    Tables,
    /// `rt_protos`
    Protocols,
    /// `rt_scopes`
    Scopes,
    /// `rt_dsfield`
    TypesOfService,
    /// `rt_realms`
    Realms,
    /// `group`: groups of interfaces
    Groups,
    /// `/etc/protocols`
    IpProtocols,
}

/// The machine that a configuration is read on.
pub trait Machine {
    /// The interface of this name; `None` if there is none.
    fn interface(&self, name: &str) -> Option<Interface>;

    /// Whether there is an interface of this name that cannot become a virtual MAC,
    /// because it is no private macvlan.
    fn is_no_vmac(&self, _: &str) -> bool {
        false
    }

    /// The addresses of an interface, each with the length of its prefix; `None`
    /// if nothing is known.
    fn networks(&self, _: &str) -> Option<Vec<(IpAddr, u32)>> {
        None
    }

    /// Whether the name of a mail server can be resolved.
    fn resolves(&self, host: &str) -> bool;

    /// Whether the user, and the group if one is given, exist.
    fn user_exists(&self, user: &ScriptUser) -> bool;

    /// Whether the tables of the machine (`/etc/iproute2` and its like) have this
    /// name. Names that mean the same everywhere are not asked for.
    fn knows_routing_name(&self, _: RoutingNames, _: &str) -> bool {
        true
    }

    /// What is wrong with a command that `user` runs (`None`: the default user).
    fn script(
        &self,
        argv: &[String],
        user: Option<&ScriptUser>,
        security: bool,
    ) -> Vec<ScriptFinding>;
}

/// Nothing is known of the machine: everything is taken to exist.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anywhere;

impl Machine for Anywhere {
    fn interface(&self, _: &str) -> Option<Interface> {
        Some(Interface {
            loopback: false,
            multicast: true,
            ethernet: true,
            mtu: 1500,
        })
    }

    fn resolves(&self, _: &str) -> bool {
        true
    }

    fn user_exists(&self, _: &ScriptUser) -> bool {
        true
    }

    fn script(&self, _: &[String], _: Option<&ScriptUser>, _: bool) -> Vec<ScriptFinding> {
        Vec::new()
    }
}
