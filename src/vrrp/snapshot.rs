//! One view of everything that the engine knows at one moment: plain data, no
//! text, no clock but the engine's own.
//!
//! Decides what can be seen from outside. What is made of it, dump files for
//! example, is decided by whoever reads it.

use std::net::IpAddr;
use std::sync::Arc;

use crate::config::model::{
    Config, Script, SharedInstance, SyncGroup, TrackedFile, TrackedProcess, VirtualAddress,
};
use crate::ids::{Errno, IfIndex, Priority, ScriptId};
use crate::time::{Instant, Interval};

pub use super::contention::{Contended, Contention};
use super::event::{InterfaceState, Outcome};
use super::instance::Sender;
pub use super::lateness::Lateness;
use super::orders::InForce;
pub use super::reasons::{Cause, Contribution, Contributor, FaultReason};
use super::receive::Reject;
use super::state_machine::State;
use super::statistics::Statistics;
pub use super::tracking::Durations;
use super::tracking::{Run, Standing};
pub use super::transition::{Evidence, Transitions};

/// The state of a whole engine.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When it was taken.
    pub at: Instant,
    /// The engine was told to start.
    pub started: bool,
    /// The end of the delay of the first start, until then.
    pub delayed_until: Option<Instant>,
    /// The configuration that the engine follows.
    pub config: Config,
    /// The instances, in the order of the configuration.
    pub instances: Vec<InstanceSnapshot>,
    /// The sync groups, in the order of the configuration.
    pub groups: Vec<GroupSnapshot>,
    /// The scripts, in the order of the configuration.
    pub scripts: Vec<ScriptSnapshot>,
    /// The tracked files, in the order of the configuration.
    pub files: Vec<FileSnapshot>,
    /// The tracked processes, in the order of the configuration.
    pub processes: Vec<ProcessSnapshot>,
    /// The interfaces that the kernel has, by their numbers.
    pub interfaces: Vec<InterfaceState>,
    /// Datagrams that were for no instance.
    pub ignored: u64,
    /// How late the adverts of masters were.
    pub lateness: Lateness,
}

/// The state of one instance.
#[derive(Debug, Clone)]
pub struct InstanceSnapshot {
    /// Its configuration.
    pub config: SharedInstance,
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
    /// The interface it is on, while that exists; [`IfIndex::ANY`] for unicast
    /// without one.
    pub on: Option<IfIndex>,
    /// The link that it has of its own (`use_vmac`, `use_ipvlan`).
    pub own_link: Option<LinkSnapshot>,
    /// For each of its addresses, VIPs first, the link of our own that it is on.
    pub vip_links: Vec<Option<LinkSnapshot>>,
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
    /// Another node that claims to own its addresses, too, with priority 255.
    pub rival: Option<IpAddr>,
    /// Its addresses were put on interfaces.
    pub installed: bool,
    /// How many things stand against taking part.
    pub faults: usize,
    /// How many scripts, files and processes that it waits for have no result yet.
    pub awaited: usize,
    /// What brought it into its state.
    pub cause: Cause,
    /// What it saw then.
    pub evidence: Evidence,
    /// How often it entered which state, and why.
    pub transitions: Transitions,
    /// What stands against taking part; in a sync group also the other member
    /// because of which all are in FAULT. C counts some twice in `faults`.
    pub fault_reasons: Vec<FaultReason>,
    /// The scripts, by name, that can stand against it and have no result yet.
    pub awaited_scripts: Vec<String>,
    /// The tracked files and processes that were not looked at yet, as `file NAME` and
    /// `process NAME`.
    pub awaited_watched: Vec<String>,
    /// What `priority` is made of; the amounts add up to it.
    pub contributions: Vec<Contribution>,
    /// Who else sends adverts with its VRID: the unicast peers in the order of
    /// the configuration, then everybody else that was heard.
    pub peers: Vec<PeerSnapshot>,
    /// It is MASTER, and so is somebody else.
    pub contended: Option<Contended>,
    /// What an administrator has ordered.
    pub orders: InForce,
    /// It is MASTER, has asked others to take over, and none has spoken yet.
    pub handing_over: bool,
    /// Its counters.
    pub statistics: Statistics,
}

/// A link of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSnapshot {
    /// Its name, or the one that it would be given first.
    pub name: String,
    /// The interface below it.
    pub parent: String,
    /// It is there and up.
    pub up: bool,
}

/// What is known of another router with the same VRID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerSnapshot {
    /// Its address.
    pub address: IpAddr,
    /// It is a unicast peer of the configuration.
    pub configured: bool,
    /// When anything came from it last.
    pub last_seen: Option<Instant>,
    /// What its last accepted advert says or, while there was none, its last
    /// refused one.
    pub claims: Option<Claims>,
    /// How many of its adverts were accepted.
    pub accepted: u64,
    /// When one was accepted last.
    pub last_accepted: Option<Instant>,
    /// How many of its adverts were refused.
    pub rejected: u64,
    /// Why one was refused last, and when.
    pub last_reject: Option<(Reject, Instant)>,
    /// Its last accepted advert names other VIPs than ours.
    pub addresses_differ: bool,
}

/// What an advert says of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// The priority.
    pub priority: Priority,
    /// The interval that it sends with.
    pub advert_interval: Interval,
    /// The version of the protocol, 0 to 15.
    pub version: u8,
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
    /// Its number.
    pub id: ScriptId,
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
    /// The last result, and when there was one.
    pub last: Option<(ScriptResult, Instant)>,
    /// How long its runs took.
    pub durations: Durations,
}

/// The state of one tracked file.
#[derive(Debug, Clone)]
pub struct FileSnapshot {
    /// Its configuration.
    pub file: Arc<TrackedFile>,
    /// The number in it; `None` before it was looked at.
    pub value: Option<i32>,
}

/// The state of one tracked process.
#[derive(Debug, Clone)]
pub struct ProcessSnapshot {
    /// Its configuration.
    pub process: Arc<TrackedProcess>,
    /// How many there are; `None` before they were counted.
    pub count: Option<u32>,
    /// Whether the quorum is there; `None` before they were counted.
    pub quorum: Option<bool>,
}

/// The result of one run of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptResult {
    /// It ended.
    Ended(Outcome),
    /// It was still running when its time was over.
    TimedOut,
}

impl ScriptSnapshot {
    /// Why it cannot be executed, if the last attempt failed at that.
    pub const fn refused(&self) -> Option<Errno> {
        match self.last {
            Some((ScriptResult::Ended(Outcome::NotRun(errno)), _)) => Some(errno),
            _ => None,
        }
    }
}

impl InstanceSnapshot {
    /// Its addresses, VIPs first, each with the link of our own that it is on.
    pub fn addresses(&self) -> impl Iterator<Item = (&VirtualAddress, Option<&LinkSnapshot>)> {
        let links = self.vip_links.iter().map(Option::as_ref);
        let links = links.chain(std::iter::repeat(None));
        self.config.all_addresses().zip(links)
    }

    /// An address in the words of C's dumps.
    pub fn address_as_c(&self, vip: &VirtualAddress, link: Option<&LinkSnapshot>) -> String {
        let Some(link) = link else {
            return vip.as_c(self.installed);
        };
        let is_own = self.own_link.as_ref() == Some(link);
        let shown = VirtualAddress {
            interface: format!("{}@{}", link.name, link.parent).into(),
            use_vmac: vip.use_vmac && !is_own && !self.config.vmac_addresses,
            ..vip.clone()
        };
        shown.as_c(self.installed)
    }
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
