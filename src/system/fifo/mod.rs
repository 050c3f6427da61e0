//! Notify FIFOs (specification B.2, E.6): who is told of what in which words.
//!
//! Decides which FIFOs there are and what their lines look like. How a FIFO is
//! made, examined and opened is in `place.rs`, how lines get into it in
//! `writer.rs`; when a line is due, the engine decides.

use serde::{Deserialize, Serialize};

use crate::vrrp::action::{GroupNotification, LowerPriorityHeard, Notification, PriorityChanged};

mod place;
mod writer;

pub use place::{Identity, Opened, Owner, Trouble, open, remove};
pub use writer::Writer;

/// One of the FIFOs that get the events of VRRP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Which {
    /// `notify_fifo`
    Global,
    /// `vrrp_notify_fifo`
    Vrrp,
}

impl Which {
    /// All of them, in the order in which they get a line.
    pub const ALL: [Self; 2] = [Self::Global, Self::Vrrp];

    /// What stands before `notify fifo` in the log.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Global => "",
            Self::Vrrp => "vrrp ",
        }
    }
}

/// The line for a change of state of an instance.
pub fn line_of(told: &Notification) -> String {
    instance_line(&told.instance.name, told.state.as_str(), told.priority.0)
}

/// The line for a change of state of a sync group, which has no priority.
pub fn line_of_group(told: &GroupNotification) -> String {
    group_line(&told.group.name, told.state.as_str())
}

/// The line for an advert of lower priority that a MASTER has heard.
pub fn line_of_lower_priority(told: &LowerPriorityHeard) -> String {
    instance_line(&told.instance.name, "MASTER_RX_LOWER_PRI", told.priority.0)
}

/// The line for a change of the effective priority: whoever is not MASTER is a
/// backup here, in FAULT, too.
pub fn line_of_priority(told: &PriorityChanged) -> String {
    let state = match told.is_master {
        true => "MASTER_PRIORITY",
        false => "BACKUP_PRIORITY",
    };
    instance_line(&told.instance.name, state, told.priority.0)
}

/// A line about an instance. `state` is a word of specification E.6.
pub fn instance_line(name: &str, state: &str, priority: u8) -> String {
    line("INSTANCE", name, state, priority)
}

/// A line about a sync group.
pub fn group_line(name: &str, state: &str) -> String {
    line("GROUP", name, state, 0)
}

/// `TYPE "NAME" STATE PRIORITY`, and the end of the line.
fn line(kind: &str, name: &str, state: &str, priority: u8) -> String {
    format!("{kind} \"{name}\" {state} {priority}\n")
}
