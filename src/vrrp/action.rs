//! What the engine asks for.
//!
//! Adverts are not here: they leave at once through `Transmit`. Everything here
//! is queued and drained by the caller with `Engine::poll`, in order.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::config::model::{Command, Route, Rule, SharedInstance, SyncGroup, VirtualAddress};
use crate::ids::{Errno, IfIndex, InstanceId, MacAddress, Priority, ScriptId};
use crate::wire::advert::Family;

use super::log_lines::LogLine;
pub use super::own_link::{OwnLink, OwnLinkKind};
pub use super::reasons::Cause;
pub use super::transition::Evidence;

/// Sends adverts. `frame` is a whole IP packet, header included.
pub trait Transmit {
    /// Sends `frame` to `to` out of `via` now, or says why not; with
    /// [`IfIndex::ANY`] out of where the routes say. Never blocks.
    fn send(&mut self, via: IfIndex, to: IpAddr, frame: &[u8]) -> Result<(), Errno>;
}

/// The IP protocol that carries adverts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrier {
    /// VRRP itself, 112.
    Plain,
    /// The authentication header, 51, with VRRP in it. IPv4 only.
    Header,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open a receive socket for adverts on this interface, joined to `group`
    /// (none for unicast only). Asking again for what is open does nothing.
    Listen {
        /// The interface; [`IfIndex::ANY`] for all of them.
        on: IfIndex,
        /// IPv4 or IPv6.
        family: Family,
        /// What carries the adverts.
        carrier: Carrier,
        /// The multicast group to join.
        group: Option<IpAddr>,
    },
    /// Leave a multicast group on a receive socket that stays open. That it is
    /// not joined is no error.
    Leave {
        /// The interface.
        on: IfIndex,
        /// IPv4 or IPv6.
        family: Family,
        /// What carries the adverts.
        carrier: Carrier,
        /// The multicast group to leave.
        group: IpAddr,
    },
    /// The kernel may have forgotten which groups the receive sockets of this interface
    /// had joined, and its packets may have got larger: join them anew, and fit the
    /// buffers. None may be open.
    Relisten {
        /// The interface.
        on: IfIndex,
    },
    /// Close the receive socket of this interface.
    Unlisten {
        /// The interface.
        on: IfIndex,
        /// IPv4 or IPv6.
        family: Family,
        /// What carries the adverts.
        carrier: Carrier,
    },
    /// Change addresses, routes and rules in the kernel, in this order; then report
    /// `Event::KernelDone` with the token.
    Kernel {
        /// Names this request.
        token: Token,
        /// What to do.
        operations: Vec<Operation>,
    },
    /// Send one gratuitous ARP, or for IPv6 one unsolicited neighbour advert.
    Announce {
        /// Out of this interface.
        on: IfIndex,
        /// Sender hardware address.
        mac: MacAddress,
        /// The VIP; or, on recovery, the address that unicast comes from.
        address: IpAddr,
        /// A neighbour advert says that this node is a router.
        router: bool,
    },
    /// Start a run of a script; report `Event::Script` when it has ended.
    Run {
        /// Which one.
        id: ScriptId,
        /// What to run.
        command: Command,
    },
    /// End the run of a script that takes too long, or that is no longer
    /// wanted: SIGTERM to its process group, SIGKILL when that does not help.
    /// `Event::Script` is reported as for any other run.
    End(ScriptId),
    /// Tell the outside of a change of state: scripts, mail.
    Notify(Notification),
    /// The same for a sync group; follows those of its members.
    NotifyGroup(GroupNotification),
    /// Tell the outside of an advert of lower priority that a MASTER has heard:
    /// `notify_master_rx_lower_pri`.
    NotifyLowerPriority(LowerPriorityHeard),
    /// Tell the FIFOs of a change of the effective priority
    /// (`notify_priority_changes`).
    NotifyPriority(PriorityChanged),
    /// Find out which programs run here that take addresses away; report
    /// `Event::Culprits`. There is no hurry.
    FindCulprits,
    /// Write a line to the log.
    Log(LogLine),
    /// Every instance has begun and its receive socket was asked for: the
    /// daemon is ready. One that waits for a script or an interface has begun.
    Ready,
    /// The stop is complete; nothing follows.
    Stopped,
}

/// Names one `Action::Kernel`; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// A change in the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Put an address on an interface. That it is there already is no error.
    AddAddress {
        /// The interface.
        on: IfIndex,
        /// The address with its options.
        address: VirtualAddress,
    },
    /// Take an address off an interface. That it is not there is no error.
    RemoveAddress {
        /// The interface.
        on: IfIndex,
        /// The address.
        address: VirtualAddress,
    },
    /// Put a route in. That it is there already is no error. Names of interfaces,
    /// tables and so on are looked up when it is done.
    AddRoute(Box<Route>),
    /// Take a route out. That it is not there is no error.
    RemoveRoute(Box<Route>),
    /// Put a rule in. That it is there already is no error.
    AddRule(Box<Rule>),
    /// Take a rule out. That it is not there is no error.
    RemoveRule(Box<Rule>),
    /// Drop what comes to an address and goes out from it (`no_accept`). That it is
    /// dropped already is no error.
    Block {
        /// The interface; matters for link-local addresses only.
        on: IfIndex,
        /// The address.
        address: IpAddr,
    },
    /// Let it through again. That it is not dropped is no error.
    Unblock {
        /// The interface; matters for link-local addresses only.
        on: IfIndex,
        /// The address.
        address: IpAddr,
    },
    /// Let a secondary address of this interface take the place of a primary one that
    /// goes (`promote_secondaries`). That it is so already is no error.
    Promote {
        /// The interface.
        on: IfIndex,
    },
    /// Make that what it was before. An interface that is gone is no error.
    Unpromote {
        /// The interface.
        on: IfIndex,
    },
    /// Make an interface, with its settings, those of its parent and its firewall rules,
    /// and set it up. One of that name that fits is taken over; if it is right already,
    /// nothing happens. `EEXIST`: the name belongs to something else.
    AddLink(Box<OwnLink>),
    /// Delete an interface that was made so, and what belongs to it. That it is not
    /// there is no error.
    RemoveLink {
        /// The interface.
        on: IfIndex,
        /// Its name.
        name: String,
    },
}

impl Operation {
    /// Whether something is put in.
    pub const fn adds(&self) -> bool {
        match self {
            Self::AddAddress { .. }
            | Self::AddRoute(_)
            | Self::AddRule(_)
            | Self::Block { .. }
            | Self::Promote { .. }
            | Self::AddLink(_) => true,
            Self::RemoveAddress { .. }
            | Self::RemoveLink { .. }
            | Self::RemoveRoute(_)
            | Self::RemoveRule(_)
            | Self::Unblock { .. }
            | Self::Unpromote { .. } => false,
        }
    }

    /// The name and the number of the kernel's request (rtnetlink(7), or
    /// `linux/netfilter/nf_tables.h`); of a setting its name, and 0.
    pub const fn request(&self) -> (&'static str, u16) {
        match self {
            Self::AddAddress { .. } => ("RTM_NEWADDR", 20),
            Self::RemoveAddress { .. } => ("RTM_DELADDR", 21),
            Self::AddRoute(_) => ("RTM_NEWROUTE", 24),
            Self::RemoveRoute(_) => ("RTM_DELROUTE", 25),
            Self::AddRule(_) => ("RTM_NEWRULE", 32),
            Self::RemoveRule(_) => ("RTM_DELRULE", 33),
            Self::Block { .. } => ("NFT_MSG_NEWSETELEM", 12),
            Self::Unblock { .. } => ("NFT_MSG_DELSETELEM", 14),
            Self::Promote { .. } | Self::Unpromote { .. } => ("promote_secondaries", 0),
            Self::AddLink(_) => ("RTM_NEWLINK", 16),
            Self::RemoveLink { .. } => ("RTM_DELLINK", 17),
        }
    }
}

/// What it is of, as C's dumps have it.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddAddress { address, .. } | Self::RemoveAddress { address, .. } => {
                write!(f, "address {}", address.as_c(false))
            }
            Self::AddRoute(route) | Self::RemoveRoute(route) => write!(f, "route {route}"),
            Self::AddRule(rule) | Self::RemoveRule(rule) => write!(f, "rule {rule}"),
            Self::Block { address, .. } | Self::Unblock { address, .. } => {
                write!(f, "firewall drop rule of {address}")
            }
            Self::Promote { on } | Self::Unpromote { on } => {
                write!(f, "promote_secondaries of interface {}", on.0)
            }
            Self::AddLink(link) => write!(f, "interface {}", link.name),
            Self::RemoveLink { name, .. } => write!(f, "interface {name}"),
        }
    }
}

/// A state that is told to scripts and people (specification E.6, E.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotifyState {
    /// Holds the VIPs.
    Master,
    /// Does not.
    Backup,
    /// Cannot.
    Fault,
    /// The daemon stops.
    Stop,
    /// A reload took it out of the configuration; only with `notify_deleted`.
    Deleted,
}

impl NotifyState {
    /// The word that scripts get.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Master => "MASTER",
            Self::Backup => "BACKUP",
            Self::Fault => "FAULT",
            Self::Stop => "STOP",
            Self::Deleted => "DELETED",
        }
    }
}

/// A change of state of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Which instance.
    pub id: InstanceId,
    /// Its configuration: name, scripts, mail.
    pub instance: SharedInstance,
    /// The state it is in now.
    pub state: NotifyState,
    /// The state that was told before; `None` if this is the first.
    pub previous: Option<NotifyState>,
    /// What brought it into its state.
    pub cause: Cause,
    /// What it saw then.
    pub evidence: Evidence,
    /// Effective priority at that time.
    pub priority: Priority,
}

/// A MASTER has heard an advert of lower priority, or of the same priority from a
/// lower address (specification F.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LowerPriorityHeard {
    /// Which instance.
    pub id: InstanceId,
    /// Its configuration: name, script.
    pub instance: SharedInstance,
    /// Its own effective priority at that time.
    pub priority: Priority,
}

/// The effective priority of an instance has changed (specification E.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriorityChanged {
    /// Which instance.
    pub id: InstanceId,
    /// Its configuration: name.
    pub instance: SharedInstance,
    /// It is MASTER.
    pub is_master: bool,
    /// The new priority.
    pub priority: Priority,
}

/// A change of state of a whole sync group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupNotification {
    /// Its configuration: name, scripts, mail.
    pub group: Arc<SyncGroup>,
    /// The state that all members are in now.
    pub state: NotifyState,
    /// The state that was told before; `None` if this is the first.
    pub previous: Option<NotifyState>,
    /// What brought the first member into its state that did not just follow
    /// another one.
    pub cause: Cause,
}
