//! What happened, in order: for comparison, for people, for the timeline.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::ids::Priority;
use crate::time::Instant;
use crate::vrrp::log_lines::LogLine;
use crate::vrrp::state_machine::State;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When.
    pub at: Instant,
    /// On which node; `None`: on none in particular.
    pub node: Option<usize>,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The world did something to the nodes.
    Event(String),
    /// An instance changed its state.
    State {
        /// Its name.
        instance: Arc<str>,
        /// The state before.
        from: State,
        /// The state now.
        to: State,
        /// Its effective priority.
        priority: Priority,
        /// Why, in words.
        why: String,
    },
    /// An instance is not there any more: its node went off, or a reload took it.
    Ended {
        /// Its name.
        instance: Arc<str>,
    },
    /// An advert left.
    Sent {
        /// The virtual router.
        vrid: u8,
        /// The priority in it.
        priority: Priority,
        /// Where to.
        to: IpAddr,
        /// The kernel took it.
        taken: bool,
    },
    /// A datagram reached the engine.
    Heard {
        /// Who sent it.
        from: usize,
        /// The virtual router.
        vrid: u8,
        /// The priority in it.
        priority: Priority,
    },
    /// An address went on an interface.
    Added(IpAddr),
    /// An address went off an interface.
    Removed(IpAddr),
    /// A gratuitous ARP or neighbour advert.
    Announced(IpAddr),
    /// A line of the log.
    Log(LogLine),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(text) => write!(f, "*** {text}"),
            Self::State {
                instance,
                from,
                to,
                priority,
                why,
            } => write!(f, "({instance}) {from} -> {to}, priority {priority}: {why}"),
            Self::Ended { instance } => write!(f, "({instance}) is gone"),
            Self::Sent {
                vrid,
                priority,
                to,
                taken,
            } => {
                let refused = if *taken { "" } else { ", not taken" };
                write!(f, "advert VRID {vrid} priority {priority} to {to}{refused}")
            }
            Self::Heard {
                from,
                vrid,
                priority,
            } => write!(f, "  from node {from}: VRID {vrid} priority {priority}"),
            Self::Added(address) => write!(f, "+ {address}"),
            Self::Removed(address) => write!(f, "- {address}"),
            Self::Announced(address) => write!(f, "announces {address}"),
            Self::Log(line) => write!(f, "log: {line}"),
        }
    }
}

/// Seconds with six decimals.
pub fn seconds(at: Instant) -> String {
    at.since(Instant::ZERO).to_string()
}

/// One line for each record.
pub fn table(records: &[Record], names: &[String]) -> String {
    let lines = records.iter().map(|record| {
        let name = record.node.and_then(|node| names.get(node));
        let name = name.map_or("", String::as_str);
        format!("{:>12}  {name:<8}  {}\n", seconds(record.at), record.what)
    });
    lines.collect()
}
