//! Addresses that the daemon puts on interfaces.
//!
//! Source: specification C.1.

use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

/// A line of `virtual_ipaddress` (specification C.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualAddress {
    /// The address.
    pub address: IpAddr,
    /// Prefix length: as written; 32 or 128 if none was, or with `peer`.
    pub prefix_length: u8,
    /// `dev`, or the interface of the instance.
    pub interface: Arc<str>,
    /// `scope` as the kernel's number: global 0, site 200, link 253, host 254, nowhere 255.
    pub scope: u8,
    /// `brd`, worked out; `None` unless asked for.
    pub broadcast: Option<IpAddr>,
    /// `label`, IPv4 only.
    pub label: Option<String>,
    /// `peer`.
    pub peer: Option<IpAddr>,
    /// `noprefixroute`.
    pub no_prefix_route: bool,
    /// `home`: an IPv6 home address.
    pub home: bool,
    /// `-nodad`: duplicate address detection is done; it is not otherwise.
    pub detect_duplicates: bool,
    /// `mngtmpaddr`
    pub manage_temporary_addresses: bool,
    /// `autojoin`
    pub autojoin: bool,
    /// `preferred_lft`; `None`: 0 for a single IPv6 address, for ever otherwise.
    pub preferred_lifetime: Option<PreferredLifetime>,
    /// `use_vmac`: it goes on a virtual MAC interface of its own.
    pub use_vmac: bool,
    /// `track_group`, of a static address only.
    pub track_group: Option<String>,
    /// `no_track`: the state of the address's interface and its deletion do not matter.
    pub no_track: bool,
}

/// By what tells nearly all of them apart: a reload puts every address into a set.
impl Hash for VirtualAddress {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address.hash(state);
        self.prefix_length.hash(state);
    }
}

impl VirtualAddress {
    /// A plain address: global scope, no options.
    pub fn new(address: IpAddr, prefix_length: u8, interface: impl Into<Arc<str>>) -> Self {
        Self {
            address,
            prefix_length,
            interface: interface.into(),
            scope: 0,
            broadcast: None,
            label: None,
            peer: None,
            no_prefix_route: false,
            home: false,
            detect_duplicates: false,
            manage_temporary_addresses: false,
            autojoin: false,
            preferred_lifetime: None,
            use_vmac: false,
            track_group: None,
            no_track: false,
        }
    }

    /// The text of C's dumps (specification E.10); `installed`: it is on its
    /// interface now. Of an address on a virtual MAC interface of its own, only
    /// the interface below it is named.
    pub fn as_c(&self, installed: bool) -> String {
        let mut out = self.to_string();
        // Writing to a string does not fail.
        if let Some(broadcast) = &self.broadcast {
            let _ = write!(out, " brd {broadcast}");
        }
        let _ = write!(out, " dev {}", self.interface);
        if self.use_vmac {
            out.push_str(" use_vmac");
        }
        out.push_str(" scope ");
        match self.scope {
            0 => out.push_str("global"),
            200 => out.push_str("site"),
            253 => out.push_str("link"),
            254 => out.push_str("host"),
            255 => out.push_str("nowhere"),
            number => out.push_str(&number.to_string()),
        }
        if let Some(label) = &self.label {
            out.push_str(" label ");
            out.push_str(label);
        }
        if let Some(peer) = &self.peer {
            let _ = write!(out, " peer {peer}/{}", self.prefix_length);
        }
        let flags = [
            ("home", self.home),
            ("-nodad", self.detect_duplicates),
            ("mngtmpaddr", self.manage_temporary_addresses),
            ("noprefixroute", self.no_prefix_route),
            ("autojoin", self.autojoin),
            ("no_track", self.no_track),
        ];
        for (name, _) in flags.iter().filter(|(_, set)| *set) {
            out.push(' ');
            out.push_str(name);
        }
        if let Some(group) = &self.track_group {
            out.push_str(" track_group ");
            out.push_str(group);
        }
        if self.address.is_ipv6() {
            let _ = write!(out, " {}", self.lifetime());
        }
        if installed {
            out.push_str(" set");
        }
        out
    }

    /// The preferred lifetime, with the default of IPv6: a single address is not
    /// to be chosen as a source.
    pub fn lifetime(&self) -> PreferredLifetime {
        self.preferred_lifetime.unwrap_or({
            if self.address.is_ipv6() && self.prefix_length == 128 {
                PreferredLifetime::Seconds(0)
            } else {
                PreferredLifetime::Forever
            }
        })
    }
}

/// `preferred_lft`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PreferredLifetime {
    /// `forever`
    Forever,
    /// Seconds; 0 means deprecated from the start.
    Seconds(u32),
}

impl fmt::Display for PreferredLifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => f.write_str("preferred_lft forever"),
            Self::Seconds(0) => f.write_str("deprecated"),
            Self::Seconds(seconds) => write!(f, "preferred_lft {seconds}"),
        }
    }
}

/// `ADDR[/LEN]`: the length is left out for a single address, as C prints it.
impl fmt::Display for VirtualAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let single = if self.address.is_ipv4() { 32 } else { 128 };
        self.address.fmt(f)?;
        if self.prefix_length == single {
            return Ok(());
        }
        write!(f, "/{}", self.prefix_length)
    }
}
