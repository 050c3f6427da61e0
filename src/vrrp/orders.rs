//! What an administrator orders while the daemon runs: to give the addresses away, to
//! count with another priority, to announce addresses once more.
//!
//! Plain data and its words. What an order does is decided in `engine/orders.rs` and
//! `instance/ordered.rs`; who may give one, and what outlives a worker, by the daemon.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::ids::Priority;
use crate::time::{Instant, Interval};

use super::rare::Blank;
use super::reasons::Ms;
use super::state_machine::State;

/// What a drained instance counts with: the lowest priority that there is.
pub const DRAINED: Priority = Priority(1);

/// An order. One for a member of a sync group is for all of the group, but for
/// `Announce`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Hand the addresses over, and count with [`DRAINED`] from then on.
    Drain {
        /// Which instance; `None`: all.
        instance: Option<String>,
        /// Also if nobody is known who would take over, and as the address owner.
        force: bool,
    },
    /// The end of `Drain`.
    Resume {
        /// Which instance; `None`: all.
        instance: Option<String>,
    },
    /// Count with another priority than that of the configuration; weights are added
    /// to it as before.
    Priority {
        /// Which instance.
        instance: String,
        /// 1 to 254; `None`: that of the configuration again.
        priority: Option<u8>,
        /// For how long, in seconds; `None`: until it is taken back.
        seconds: Option<u64>,
    },
    /// Gratuitous ARP, or neighbour adverts, for all VIPs of a MASTER.
    Announce {
        /// Which instance.
        instance: String,
    },
}

impl Order {
    /// The instance that it names.
    pub fn instance(&self) -> Option<&str> {
        match self {
            Self::Drain { instance, .. } | Self::Resume { instance } => instance.as_deref(),
            Self::Priority { instance, .. } | Self::Announce { instance } => Some(instance),
        }
    }
}

/// As it was given on the command line.
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.instance().map_or(String::new(), |it| format!(" {it}"));
        match self {
            Self::Drain { force: false, .. } => write!(f, "drain{name}"),
            Self::Drain { force: true, .. } => write!(f, "drain{name} --force"),
            Self::Resume { .. } => write!(f, "resume{name}"),
            Self::Priority { priority: None, .. } => write!(f, "priority{name} --reset"),
            Self::Priority {
                priority: Some(priority),
                seconds,
                ..
            } => {
                write!(f, "priority{name} {priority}")?;
                match seconds {
                    Some(seconds) => write!(f, " --for {seconds}s"),
                    None => Ok(()),
                }
            }
            Self::Announce { .. } => write!(f, "garp{name}"),
        }
    }
}

/// The orders that are in force for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InForce {
    /// It is drained, since then.
    pub drained: Option<Instant>,
    /// It counts with another priority than that of the configuration.
    pub priority: Option<OrderedPriority>,
}

impl Blank for InForce {
    const BLANK: &'static Self = &Self {
        drained: None,
        priority: None,
    };
}

/// A priority in the place of that of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedPriority {
    /// 1 to 254.
    pub priority: Priority,
    /// When it ends; `None`: when it is taken back.
    pub until: Option<Instant>,
}

/// The orders in force, by instance; an instance without any is not in it.
pub type StandingOrders = BTreeMap<String, InForce>;

/// What an order has done to one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Its name.
    pub instance: String,
    /// What was done.
    pub what: Deed,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// It is MASTER, and asks others to take over: this one, as far as it is known.
    HandsOver(Option<(IpAddr, Priority)>),
    /// It is drained, and had nothing to hand over in this state.
    Drained(State),
    /// It counts with this priority again.
    Resumed(Priority),
    /// It was not drained.
    NotDrained,
    /// It counts with another priority.
    Priority {
        /// Before.
        from: Priority,
        /// Now, with all weights.
        to: Priority,
        /// For how long.
        lasts: Option<Interval>,
    },
    /// It is drained: the priority will count when it is resumed.
    PriorityLater(Priority),
    /// This many VIPs are announced.
    Announced(usize),
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.instance;
        match self.what {
            Deed::HandsOver(Some((address, priority))) => write!(
                f,
                "{name}: drained, asks {address} (priority {priority}) to take over"
            ),
            Deed::HandsOver(None) => {
                write!(f, "{name}: drained, asks whoever is there to take over")
            }
            Deed::Drained(state) => write!(f, "{name}: drained, was in {state} already"),
            Deed::Resumed(priority) => write!(f, "{name}: resumed, with priority {priority}"),
            Deed::NotDrained => write!(f, "{name}: was not drained"),
            Deed::Priority { from, to, lasts } => {
                write!(f, "{name}: priority {to}, was {from}")?;
                match lasts {
                    Some(span) => write!(f, "; for {} s", span.as_secs()),
                    None => Ok(()),
                }
            }
            Deed::PriorityLater(priority) => {
                write!(f, "{name}: priority {priority} once it is resumed")
            }
            Deed::Announced(1) => write!(f, "{name}: announces 1 address"),
            Deed::Announced(count) => write!(f, "{name}: announces {count} addresses"),
        }
    }
}

/// Why an order was not carried out. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// There is no instance of this name.
    NoSuchInstance(String),
    /// The engine has not begun, or stops.
    NotRunning,
    /// These are MASTER, and no other router is known that would take over.
    NobodyKnown(Vec<String>),
    /// These own their addresses: their priority is 255.
    Owners(Vec<String>),
    /// 0 and 255 mean something else.
    BadPriority(u8),
    /// Only a MASTER announces, and only once it has its addresses.
    NotMaster(State),
}

/// How many names a text has at most.
const NAMES_MAX: usize = 5;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchInstance(name) => write!(f, "there is no instance '{name}'"),
            Self::NotRunning => f.write_str("the VRRP process has not begun, or stops"),
            Self::NobodyKnown(names) => write!(
                f,
                "no other router was heard that could take over {}; \
                 with --force it is asked for all the same, \
                 and the addresses stay here until somebody takes them",
                some(names)
            ),
            Self::Owners(names) => write!(
                f,
                "{} has the priority 255 of an address owner, which is fixed",
                some(names)
            ),
            Self::BadPriority(number) => {
                write!(f, "a priority is 1 to 254, not {number}")
            }
            Self::NotMaster(state) => write!(
                f,
                "it is in {state}: only a MASTER that has its addresses announces them"
            ),
        }
    }
}

fn some(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMES_MAX).map(String::as_str).collect();
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A span for the log: whole seconds where it is.
pub(super) struct Lasting(pub Option<Interval>);

impl fmt::Display for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(span) => write!(f, " for {}", Ms(span)),
            None => f.write_str(" until it is taken back"),
        }
    }
}
