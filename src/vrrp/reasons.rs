//! Why things are as they are: what put an instance into its state, what keeps
//! it in FAULT, what its priority is made of.
//!
//! Plain data and its words; the instance decides what applies. The words are
//! fragments, so that a line of a log, a table and an environment variable can
//! hold them.

use std::fmt;
use std::net::IpAddr;

use crate::ids::{Errno, Priority};
use crate::time::Interval;
use crate::wire::advert::Family;

/// What brought an instance into its state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Cause {
    /// It has no other state behind it.
    #[default]
    Started,
    /// It owns its addresses, and does not wait.
    Owner,
    /// No master was heard since it began to listen.
    NoMaster {
        /// How long it listened.
        waited: Interval,
    },
    /// The master went silent.
    MasterSilent {
        /// The master.
        address: IpAddr,
        /// How long ago it was heard last.
        silent: Interval,
    },
    /// The master sent priority 0.
    MasterResigned {
        /// The master.
        address: IpAddr,
    },
    /// The master has a lower priority.
    Preempts {
        /// The master.
        address: IpAddr,
        /// Its priority.
        priority: Priority,
    },
    /// An advert of a better master was heard.
    Outranked {
        /// Its sender.
        address: IpAddr,
        /// The priority in it.
        priority: Priority,
        /// The priorities are the same, and its address is higher.
        by_address: bool,
    },
    /// Something stands against taking part.
    Fault(Vec<FaultReason>),
    /// Nothing stands against taking part any more.
    Recovered,
    /// The sync group became MASTER together.
    GroupTookOver,
    /// Another member of the sync group gave way to a better master.
    GroupGaveWay,
    /// `fast_handover`: a peer was asked to take over, and does.
    HandedOver {
        /// The peer.
        address: IpAddr,
        /// Its priority.
        priority: Priority,
    },
    /// It stood still for so long that another node must have taken over.
    StoodStill,
    /// Somebody else took away what it had in the kernel, and `vip_loss reelect` is set.
    Lost,
    /// The daemon stops, or a reload ends the instance.
    Stopped,
}

impl Cause {
    /// A word for programs, which never changes. A fault has that of the first thing
    /// that stands against taking part.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Owner => "owner",
            Self::NoMaster { .. } => "no-master",
            Self::MasterSilent { .. } => "master-silent",
            Self::MasterResigned { .. } => "master-resigned",
            Self::Preempts { .. } => "preempts",
            Self::Outranked { .. } => "outranked",
            Self::Fault(reasons) => reasons.first().map_or("fault", FaultReason::code),
            Self::Recovered => "recovered",
            Self::GroupTookOver => "group-took-over",
            Self::GroupGaveWay => "group-gave-way",
            Self::HandedOver { .. } => "handed-over",
            Self::StoodStill => "stood-still",
            Self::Lost => "lost",
            Self::Stopped => "stopped",
        }
    }

    /// Whether it only followed another member of its sync group.
    pub fn is_of_group(&self) -> bool {
        match self {
            Self::GroupTookOver | Self::GroupGaveWay => true,
            Self::Fault(reasons) => reasons
                .iter()
                .all(|reason| matches!(reason, FaultReason::GroupMember(_))),
            _ => false,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => f.write_str("started"),
            Self::Owner => f.write_str("owner of the addresses"),
            Self::NoMaster { waited } => write!(f, "no master heard for {}", Ms(*waited)),
            Self::MasterSilent { address, silent } => {
                write!(f, "master {address} silent for {}", Ms(*silent))
            }
            Self::MasterResigned { address } => write!(f, "priority 0 from {address}"),
            Self::Preempts { address, priority } => {
                write!(f, "preempts {address}, whose priority is {priority}")
            }
            Self::Outranked {
                address,
                priority,
                by_address: false,
            } => write!(f, "{address} has priority {priority}"),
            Self::Outranked {
                address,
                by_address: true,
                ..
            } => write!(f, "{address} has the same priority and a higher address"),
            Self::Fault(reasons) => f.write_str(&in_words(reasons)),
            Self::Recovered => f.write_str("nothing stands against it any more"),
            Self::GroupTookOver => f.write_str("the sync group took over"),
            Self::GroupGaveWay => f.write_str("another member of the sync group gave way"),
            Self::HandedOver { address, priority } => {
                write!(f, "handed over to {address}, whose priority is {priority}")
            }
            Self::StoodStill => f.write_str("stood still for too long"),
            Self::Lost => f.write_str("somebody else took away what it had in the kernel"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

/// Something that stands against taking part (specification F.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultReason {
    /// The interface of this name does not exist.
    InterfaceMissing(String),
    /// A loopback interface cannot carry VRRP.
    Loopback(String),
    /// The interface has no multicast, and there are no unicast peers.
    NoMulticast(String),
    /// The interface is down or has no carrier.
    LinkDown(String),
    /// The kernel did not make a link of our own.
    LinkRefused {
        /// Its name.
        name: String,
        /// Why.
        errno: Errno,
    },
    /// The interface has no address that adverts could be sent from.
    NoSourceAddress {
        /// The interface.
        interface: String,
        /// Of which family.
        family: Family,
    },
    /// `unicast_fault_no_peer`, and no peer.
    NoUnicastPeer(String),
    /// The interface of a VIP, other than the own one, is missing or down.
    VipInterface(String),
    /// The interface of a route or a rule, other than the own one, is missing or down.
    RouteInterface(String),
    /// The interface of something static with a `track_group` is missing or down.
    StaticInterface(String),
    /// Something static with a `track_group` is not in the kernel.
    StaticMissing(String),
    /// An interface of `track_interface` is down, or with `reverse` up.
    TrackedInterface(String),
    /// A script of `track_script` fails, or with `reverse` succeeds.
    Script(String),
    /// The number in a file of `track_file`.
    File {
        /// Its name.
        name: String,
        /// The number.
        value: i32,
    },
    /// A process of `track_process` lacks its quorum, or with `reverse` has it.
    Process(String),
    /// Somebody else took the same thing away again and again (`vip_loss_limit`).
    Fight(Fight),
    /// Another member of the sync group is in FAULT.
    GroupMember(String),
}

impl FaultReason {
    /// A word for programs, which never changes.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InterfaceMissing(_) => "interface-missing",
            Self::Loopback(_) => "loopback",
            Self::NoMulticast(_) => "no-multicast",
            Self::LinkDown(_) => "link-down",
            Self::LinkRefused { .. } => "link-refused",
            Self::NoSourceAddress { .. } => "no-source-address",
            Self::NoUnicastPeer(_) => "no-unicast-peer",
            Self::VipInterface(_) => "vip-interface",
            Self::RouteInterface(_) => "route-interface",
            Self::StaticInterface(_) => "static-interface",
            Self::StaticMissing(_) => "static-missing",
            Self::TrackedInterface(_) => "tracked-interface",
            Self::Script(_) => "script",
            Self::File { .. } => "file",
            Self::Process(_) => "process",
            Self::Fight(_) => "vip-lost",
            Self::GroupMember(_) => "group-member",
        }
    }

    /// The name of the interface, script, file, process or instance that it is about.
    pub fn subject(&self) -> &str {
        match self {
            Self::InterfaceMissing(name)
            | Self::Loopback(name)
            | Self::NoMulticast(name)
            | Self::LinkDown(name)
            | Self::LinkRefused { name, .. }
            | Self::NoUnicastPeer(name)
            | Self::VipInterface(name)
            | Self::RouteInterface(name)
            | Self::StaticInterface(name)
            | Self::StaticMissing(name)
            | Self::TrackedInterface(name)
            | Self::Script(name)
            | Self::Process(name)
            | Self::GroupMember(name)
            | Self::NoSourceAddress {
                interface: name, ..
            }
            | Self::File { name, .. } => name,
            Self::Fight(fight) => &fight.what,
        }
    }
}

/// A fight over what a MASTER has in the kernel, which it has given up for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fight {
    /// The address, route or rule.
    pub what: String,
    /// How often it was lost.
    pub count: u16,
    /// Within this time.
    pub within: Interval,
    /// How long the instance keeps out of it.
    pub pause: Interval,
    /// Programs that run on this machine and do such things, by name.
    pub culprits: Vec<String>,
}

impl fmt::Display for Fight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, within) = (self.count, self.within.as_secs());
        let what = &self.what;
        write!(
            f,
            "{what} was taken away by somebody else {count} times within {within} s"
        )?;
        if !self.culprits.is_empty() {
            write!(f, " (likely {})", self.culprits.join(" or "))?;
        }
        write!(f, "; tried again after {} s", self.pause.as_secs())
    }
}

impl fmt::Display for FaultReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (interface, what) = match self {
            Self::InterfaceMissing(name) => (name, "does not exist"),
            Self::Loopback(name) => (name, "is a loopback interface"),
            Self::NoMulticast(name) => (name, "has no multicast"),
            Self::LinkDown(name) => (name, "is down"),
            Self::LinkRefused { name, errno } => {
                return write!(f, "interface {name} could not be made: {errno}");
            }
            Self::NoSourceAddress { interface, .. } => (interface, "has no address to send from"),
            Self::NoUnicastPeer(name) => (name, "has no unicast peer in the configuration"),
            Self::VipInterface(name) => (name, "of a VIP is down or missing"),
            Self::RouteInterface(name) => (name, "of a route or a rule is down or missing"),
            Self::StaticInterface(name) => (
                name,
                "of a static address, route or rule is down or missing",
            ),
            Self::StaticMissing(what) => return write!(f, "static {what} is not in the kernel"),
            Self::TrackedInterface(name) => {
                return write!(f, "tracked interface {name} is not as it must be");
            }
            Self::Script(name) => return write!(f, "script {name} fails"),
            Self::File { name, value } => {
                return write!(f, "tracked file {name} has {value} in it");
            }
            Self::Process(name) => {
                return write!(f, "tracked process {name} is not as it must be");
            }
            Self::Fight(fight) => return fight.fmt(f),
            Self::GroupMember(name) => {
                return write!(f, "{name} of the same sync group is in FAULT");
            }
        };
        match interface.as_str() {
            // An instance without `interface`.
            "" => write!(f, "this node {what}"),
            _ => write!(f, "interface {interface} {what}"),
        }
    }
}

/// One part of a priority. The parts of an instance add up to its priority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contribution {
    /// What adds it.
    pub from: Contributor,
    /// How much, -65,000 to 65,000; 0 for a weight that does not count now.
    pub amount: i32,
}

/// What adds to a priority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contributor {
    /// `priority`
    Base,
    /// A script with a weight.
    Script {
        /// Its name.
        name: String,
        /// Its weight, with the sign of the configuration.
        weight: i32,
        /// `reverse`
        reverse: bool,
        /// The sync group tracks it, and not the instance.
        of_group: bool,
    },
    /// An interface with a weight.
    Interface {
        /// Its name.
        name: String,
        /// Its weight, with the sign of the configuration.
        weight: i32,
        /// `reverse`
        reverse: bool,
        /// The sync group tracks it, and not the instance.
        of_group: bool,
    },
    /// A file with a weight.
    File {
        /// Its name.
        name: String,
        /// Its weight, with the sign of the configuration.
        weight: i32,
        /// `reverse`
        reverse: bool,
        /// The sync group tracks it, and not the instance.
        of_group: bool,
    },
    /// A process with a weight.
    Process {
        /// Its name.
        name: String,
        /// Its weight, with the sign of the configuration.
        weight: i32,
        /// `reverse`
        reverse: bool,
        /// The sync group tracks it, and not the instance.
        of_group: bool,
    },
    /// What keeps the sum within 1 to 254 (specification F.8).
    Limit,
    /// What takes all weights back: the owner's priority is fixed.
    Owner,
    /// What it takes to be an owner that left its addresses to another one.
    Rival,
    /// An administrator has set another priority than that of the configuration.
    Order,
    /// What it takes to have the lowest priority: it is drained.
    Drained,
}

impl fmt::Display for Contributor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name, of_group) = match self {
            Self::Base => return f.write_str("priority of the configuration"),
            Self::Limit => return f.write_str("kept within 1 to 254"),
            Self::Owner => return f.write_str("an owner's priority is fixed"),
            Self::Rival => return f.write_str("another node owns the addresses, too"),
            Self::Order => return f.write_str("ordered by an administrator"),
            Self::Drained => return f.write_str("drained"),
            Self::Script { name, of_group, .. } => ("script", name, of_group),
            Self::Interface { name, of_group, .. } => ("interface", name, of_group),
            Self::File { name, of_group, .. } => ("file", name, of_group),
            Self::Process { name, of_group, .. } => ("process", name, of_group),
        };
        let group = if *of_group { " of the group" } else { "" };
        write!(f, "{kind} {name}{group}")
    }
}

/// All of them, with commas between them.
pub fn in_words(reasons: &[FaultReason]) -> String {
    let words: Vec<String> = reasons.iter().map(FaultReason::to_string).collect();
    words.join(", ")
}

/// A span in seconds with three decimals.
pub struct Ms(pub Interval);

impl fmt::Display for Ms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_us() / 1_000;
        write!(f, "{}.{:03} s", ms / 1_000, ms % 1_000)
    }
}
