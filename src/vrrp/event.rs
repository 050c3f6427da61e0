//! What can happen to the engine.
//!
//! Each value is complete in itself: the engine asks nobody back. Source:
//! specification parts D to F.

use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::config::model::{Family, Prefix, TrackedFile, TrackedProcess};
use crate::ids::{Errno, IfIndex, MacAddress, ScriptId};
use crate::time::{Interval, WallClock};

use super::action::{Operation, Token};
pub use super::own_link::{LinkDetails, LinkKind, LinkPart};

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    /// An IP datagram of protocol 112, or 51 with 112 in it, arrived.
    Datagram(Datagram<'a>),
    /// An interface is there, for the first time or with something changed:
    /// this is its whole present state.
    Interface(&'a InterfaceState),
    /// An interface is gone.
    InterfaceGone(IfIndex),
    /// All interfaces there are, after the monitor may have missed something.
    /// An interface that is not listed is gone.
    AllInterfaces(&'a [InterfaceState]),
    /// The kernel says that an address was taken off an interface, by whomever.
    AddressRemoved {
        /// The interface it was on.
        on: IfIndex,
        /// The address.
        address: IpAddr,
        /// Its prefix length.
        prefix_length: u8,
    },
    /// The kernel found that somebody else on the link has an address of an interface,
    /// and does not use it (duplicate address detection, RFC 4862 section 5.4).
    AddressDuplicate {
        /// The interface it is on.
        on: IfIndex,
        /// The address.
        address: IpAddr,
    },
    /// The kernel says that a route or a rule with our protocol is gone, by whomever.
    WayRemoved(LostWay),
    /// The kernel did not do one operation of a token; `KernelDone` follows.
    Refused {
        /// From the `Action::Kernel`.
        token: Token,
        /// What was not done.
        operation: &'a Operation,
        /// Why.
        errno: Errno,
    },
    /// An interface of our own is there, but without a part of what belongs to it.
    LinkFlawed {
        /// Its name.
        link: &'a str,
        /// What is missing.
        part: LinkPart,
        /// Why.
        errno: Errno,
    },
    /// The kernel operations of this token have all been carried out.
    KernelDone {
        /// From the `Action::Kernel`.
        token: Token,
        /// The first error, if any; the other operations were tried all the same.
        result: Result<(), Errno>,
    },
    /// A run of a script has ended.
    Script {
        /// Which one.
        id: ScriptId,
        /// How.
        outcome: Outcome,
    },
    /// The number in a tracked file, for the first time or another than before.
    File {
        /// Which one.
        file: &'a TrackedFile,
        /// The number; 0 for a file that is not there or has none in it.
        value: i32,
    },
    /// Whether a link that is polled is up, for the first time or another answer than
    /// before.
    Linkbeat {
        /// The name of the interface.
        interface: &'a str,
        /// Up, or down.
        up: bool,
    },
    /// How many processes match, for the first time or another number than before.
    Processes {
        /// Which ones.
        process: &'a TrackedProcess,
        /// How many.
        count: u32,
    },
    /// Programs that run on this machine and may take addresses away, by name.
    Culprits(&'a [String]),
    /// What the wall clock says: before the start, and whenever it is not what
    /// was said before. Only `auth_type AH` and `auth_hmac` look at it.
    WallClock(WallClock),
    /// How long everything has been up, before the start. Only the delay of the
    /// first start looks at it.
    Uptime(Uptime),
    /// The daemon wants something.
    Command(Command),
}

/// How long the daemon and its machine had been up when the engine was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uptime {
    /// Since the daemon began to run VRRP; not zero if its worker was replaced.
    pub daemon: Interval,
    /// Since the machine began.
    pub machine: Interval,
}

impl Default for Uptime {
    /// A daemon that begins on a machine that is up for long.
    fn default() -> Self {
        Self {
            daemon: Interval::ZERO,
            machine: Interval::from_us(u64::MAX),
        }
    }
}

/// A received datagram, as the kernel gives it to a raw socket.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// The interface whose socket it came in on; [`IfIndex::ANY`] for the one of
    /// all interfaces.
    pub on: IfIndex,
    /// What carried it.
    pub envelope: Envelope,
    /// The payload, of IPv4 with its header in front; untrusted.
    pub bytes: &'a [u8],
}

/// What the kernel says of the IP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    /// Nothing: an IPv4 header stands in front of the payload.
    Ipv4,
    /// The fields of an IPv6 header, which is not delivered.
    Ipv6 {
        /// Source address.
        source: Ipv6Addr,
        /// Destination address.
        destination: Ipv6Addr,
        /// Hop limit.
        hop_limit: u8,
    },
}

/// A route or a rule that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostWay {
    /// A route.
    Route {
        /// Where it led.
        destination: Prefix,
        /// Its metric, 0 for none.
        metric: u32,
    },
    /// A rule.
    Rule {
        /// IPv4 or IPv6.
        family: Family,
        /// Its preference.
        preference: u32,
    },
}

/// Everything the engine knows of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceState {
    /// The kernel's number.
    pub index: IfIndex,
    /// Its name.
    pub name: String,
    /// Administratively up and with carrier (`IFF_UP` and `IFF_RUNNING`).
    pub up: bool,
    /// A loopback interface cannot carry VRRP.
    pub loopback: bool,
    /// `IFF_MULTICAST`.
    pub multicast: bool,
    /// `IFF_NOARP`: no gratuitous ARP is sent on it.
    pub no_arp: bool,
    /// It forwards IPv6 packets (`net.ipv6.conf.NAME.forwarding`): neighbour adverts
    /// say that it is a router.
    pub forwarding: bool,
    /// Hardware address; zeros where there is none.
    pub mac: MacAddress,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// How it stands to other interfaces.
    pub link: LinkDetails,
    /// The addresses on it, in the kernel's order (primary first).
    pub addresses: Vec<InterfaceAddress>,
}

/// An address on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InterfaceAddress {
    /// The address.
    pub address: IpAddr,
    /// Its prefix length.
    pub prefix_length: u8,
}

/// How a run of a script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It exited with this status; 0 is success.
    Exited(u8),
    /// It was ended by this signal.
    Signalled(i32),
    /// It could not be run at all; counts as failed.
    NotRun(Errno),
}

/// What the daemon may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Begin: interfaces have been reported. Sent once.
    Start,
    /// Leave every mastership with priority 0, take everything off, then say
    /// `Action::Stopped`.
    Stop,
}
