//! One view of everything that the engine knows at one moment: plain data, no
//! text, no clock but the engine's own.
//!
//! Decides what can be seen from outside. What is made of it, dump files for
//! example, is decided by whoever reads it.

use std::net::IpAddr;
use std::sync::Arc;

use crate::config::model::{Config, Instance, Script, SyncGroup};
use crate::ids::{IfIndex, Priority};
use crate::time::{Instant, Interval};

use super::event::InterfaceState;
use super::instance::Sender;
use super::state_machine::State;
use super::statistics::Statistics;
use super::tracking::{Run, Standing};

/// The state of a whole engine.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When it was taken.
    pub at: Instant,
    /// The engine was told to start.
    pub started: bool,
    /// The configuration that the engine follows.
    pub config: Config,
    /// The instances, in the order of the configuration.
    pub instances: Vec<InstanceSnapshot>,
    /// The sync groups, in the order of the configuration.
    pub groups: Vec<GroupSnapshot>,
    /// The scripts, in the order of the configuration.
    pub scripts: Vec<ScriptSnapshot>,
    /// The interfaces that the kernel has, by their numbers.
    pub interfaces: Vec<InterfaceState>,
    /// Datagrams that were for no instance.
    pub ignored: u64,
}

/// The state of one instance.
#[derive(Debug, Clone)]
pub struct InstanceSnapshot {
    /// Its configuration.
    pub config: Arc<Instance>,
    /// Where it is.
    pub state: State,
    /// Where it would be if nothing that it waits for stood against it.
    pub wanted: State,
    /// When it entered its state.
    pub last_transition: Instant,
    /// When its timer ends: the next own advert, or the master counts as gone.
    pub timer: Option<Instant>,
    /// How long it waits for a silent master: the interval that counts now.
    pub master_down: Interval,
    /// The interface it is on, while that exists.
    pub on: Option<IfIndex>,
    /// The address that adverts are sent from.
    pub source: Option<IpAddr>,
    /// The effective priority, 1 to 255.
    pub priority: Priority,
    /// The sum of the priority and all weights, before it is kept within 1 to 254.
    pub total_priority: i32,
    /// The master it has last heard; none while it is MASTER itself.
    pub master: Option<Sender>,
    /// The priority in the last acceptable advert, 0 if there was none.
    pub heard_priority: Priority,
    /// Its addresses were put on interfaces.
    pub installed: bool,
    /// How many things stand against taking part.
    pub faults: usize,
    /// How many scripts that can stand against it have no result yet.
    pub awaited: usize,
    /// Its counters.
    pub statistics: Statistics,
}

/// The state of one sync group.
#[derive(Debug, Clone)]
pub struct GroupSnapshot {
    /// Its configuration.
    pub config: Arc<SyncGroup>,
    /// Where its members are.
    pub state: State,
}

/// The state of one script.
#[derive(Debug, Clone)]
pub struct ScriptSnapshot {
    /// Its configuration.
    pub script: Arc<Script>,
    /// What its results say.
    pub standing: Standing,
    /// Whether a run is under way.
    pub run: Run,
    /// 0 to rise - 1: down; rise to rise + fall - 1: up.
    pub result: u32,
    /// It had a result.
    pub has_run: bool,
    /// Why it cannot be run: the last run could not even begin, and counted as
    /// failed. `None` once a run has begun, and before the first one.
    pub disabled: Option<String>,
}

impl Snapshot {
    /// The interface with this number.
    pub fn interface(&self, index: IfIndex) -> Option<&InterfaceState> {
        self.interfaces.iter().find(|state| state.index == index)
    }

    /// The instance of this name.
    pub fn instance(&self, name: &str) -> Option<&InstanceSnapshot> {
        self.instances.iter().find(|it| it.config.name == name)
    }
}
