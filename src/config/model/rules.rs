//! Routing rules that the daemon puts into the kernel.
//!
//! Source: specification C.3, E.10.

use std::fmt;

use super::routes::{Family, Prefix, Realms, RoutingName, flag, option};

/// A line of `virtual_rules` or `static_rules`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    /// `not`
    pub inverted: bool,
    /// Of all its addresses.
    pub family: Family,
    /// `from`
    pub from: Option<Prefix>,
    /// `to`
    pub to: Option<Prefix>,
    /// `preference`: lower ones are asked first.
    pub preference: u32,
    /// `tos`; `None`: 0, any
    pub tos: Option<RoutingName>,
    /// `fwmark` and its mask; without one the whole mark counts.
    pub mark: Option<(u32, Option<u32>)>,
    /// `iif`
    pub input_interface: Option<String>,
    /// `oif`
    pub output_interface: Option<String>,
    /// `suppress_prefixlength`, 0 to 128
    pub suppress_prefix_length: Option<u8>,
    /// `suppress_ifgroup`
    pub suppress_group: Option<RoutingName>,
    /// `tunnel-id`
    pub tunnel_id: Option<u64>,
    /// `uidrange`, first and last
    pub user_ids: Option<(u32, u32)>,
    /// `protocol`; always 18 (keepalived) of a rule that is tracked.
    pub protocol: Option<u8>,
    /// `ipproto`
    pub ip_protocol: Option<RoutingName>,
    /// `sport`, first and last
    pub source_ports: Option<(u16, u16)>,
    /// `dport`, first and last
    pub destination_ports: Option<(u16, u16)>,
    /// `realms`, IPv4 only
    pub realms: Option<Realms>,
    /// What it does.
    pub action: RuleAction,
    /// `no_track`
    pub no_track: bool,
    /// `track_group`, of a static rule only.
    pub track_group: Option<String>,
}

/// What a rule does with a packet that it matches.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RuleAction {
    /// `table`: looks into this table; never 0.
    Table(RoutingName),
    /// `l3mdev`: looks into the table of the packet's VRF.
    L3mdev,
    /// `goto`: goes on with the rule of this preference, which is higher.
    Goto(u32),
    /// `nop`
    Nop,
    /// `blackhole`
    Blackhole,
    /// `unreachable`
    Unreachable,
    /// `prohibit`
    Prohibit,
}

impl Rule {
    /// The tables, groups and so on that it mentions.
    pub fn names(&self) -> impl Iterator<Item = &RoutingName> {
        let table = match &self.action {
            RuleAction::Table(table) => Some(table),
            _ => None,
        };
        let own = [&self.tos, &self.suppress_group, &self.ip_protocol];
        let realms = self.realms.iter().flat_map(Realms::names);
        own.into_iter().flatten().chain(table).chain(realms)
    }

    /// A rule for every packet.
    pub const fn new(preference: u32, action: RuleAction) -> Self {
        Self {
            inverted: false,
            family: Family::Inet,
            from: None,
            to: None,
            preference,
            tos: None,
            mark: None,
            input_interface: None,
            output_interface: None,
            suppress_prefix_length: None,
            suppress_group: None,
            tunnel_id: None,
            user_ids: None,
            protocol: None,
            ip_protocol: None,
            source_ports: None,
            destination_ports: None,
            realms: None,
            action,
            no_track: false,
            track_group: None,
        }
    }
}

/// The text of C's dumps.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.family == Family::Inet6 && self.from.is_none() && self.to.is_none() {
            f.write_str("inet6 ")?;
        }
        f.write_str(if self.inverted { "not from" } else { "from" })?;
        match &self.from {
            Some(from) => write!(f, " {from}")?,
            None => f.write_str(" all")?,
        }
        option(f, "to", self.to.as_ref())?;
        option(f, "priority", Some(&self.preference))?;
        match &self.tos {
            None => f.write_str(" tos 0x0")?,
            Some(RoutingName::Number(tos)) => write!(f, " tos {tos:#x}")?,
            Some(RoutingName::Name(name)) => write!(f, " tos {name}")?,
        }
        match self.mark {
            None => {}
            Some((mark, None)) => write!(f, " fwmark {mark:#x}")?,
            Some((mark, Some(mask))) => write!(f, " fwmark {mark:#x}/{mask:#x}")?,
        }
        option(f, "iif", self.input_interface.as_ref())?;
        option(f, "oif", self.output_interface.as_ref())?;
        let length = self.suppress_prefix_length.as_ref();
        option(f, "suppress_prefixlen", length)?;
        option(f, "suppress_ifgroup", self.suppress_group.as_ref())?;
        option(f, "tunnel-id", self.tunnel_id.as_ref())?;
        range(f, "uidrange", self.user_ids)?;
        flag(f, "l3mdev", self.action == RuleAction::L3mdev)?;
        option(f, "protocol", self.protocol.as_ref())?;
        option(f, "ipproto", self.ip_protocol.as_ref())?;
        range(f, "sport", self.source_ports)?;
        range(f, "dport", self.destination_ports)?;
        if let Some(realms) = &self.realms {
            write!(f, " realms {}/{}", realms.from, realms.to)?;
        }
        write!(f, " {}", self.action)?;
        flag(f, "no_track", self.no_track)?;
        option(f, "track_group", self.track_group.as_ref())
    }
}

impl fmt::Display for RuleAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(table) => write!(f, "lookup {table}"),
            // C prints the table, which is not used.
            Self::L3mdev => f.write_str("lookup 0"),
            Self::Goto(preference) => write!(f, "goto {preference}"),
            Self::Nop => f.write_str("nop"),
            Self::Blackhole => f.write_str("type blackhole"),
            Self::Unreachable => f.write_str("type unreachable"),
            Self::Prohibit => f.write_str("type prohibit"),
        }
    }
}

fn range<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    range: Option<(T, T)>,
) -> fmt::Result {
    range.map_or(Ok(()), |(first, last)| write!(f, " {name} {first}-{last}"))
}
