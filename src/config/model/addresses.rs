//! Addresses that the daemon puts on interfaces.
//!
//! Source: specification C.1.

use std::fmt;
use std::net::IpAddr;

/// A line of `virtual_ipaddress` (specification C.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VirtualAddress {
    /// The address.
    pub address: IpAddr,
    /// Prefix length: as written; 32 or 128 if none was, or with `peer`.
    pub prefix_length: u8,
    /// `dev`, or the interface of the instance.
    pub interface: String,
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

impl VirtualAddress {
    /// A plain address: global scope, no options.
    pub fn new(address: IpAddr, prefix_length: u8, interface: impl Into<String>) -> Self {
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
}

/// `preferred_lft`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PreferredLifetime {
    /// `forever`
    Forever,
    /// Seconds; 0 means deprecated from the start.
    Seconds(u32),
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
