//! What a reload touches.
//!
//! Decides which instance of the old configuration goes on as which one of the new:
//! by what it is on the network, not by its name (specification F.10), so that one
//! that gets another name keeps its state. Everything that makes up that identity
//! means an end and a new beginning when it changes; all else changes while the
//! instance runs. How it does that is in `instance/reload.rs`; what has changed, in
//! words, in `words.rs`.

use std::cell::LazyCell;
use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::config::model::{Config, Instance, SharedInstance};
use crate::hashing::QuickMap;
use crate::ids::Vrid;

mod changes;
mod words;

pub use changes::{Change, Touches};

/// The way from one configuration to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where it leads.
    pub config: Config,
    /// Instances that end, and whose names are not in the new configuration.
    pub removed: Vec<SharedInstance>,
    /// Instances that end, and whose names are those of other instances from now on.
    pub restarted: Vec<Restarted>,
    /// Instances that go on and that are different, in the order of the new
    /// configuration.
    pub kept: Vec<Kept>,
    /// Instances that begin, in the order of the new configuration: new ones, and
    /// those that are restarted.
    pub started: Vec<SharedInstance>,
    /// What is different besides the instances: a line for each thing.
    general: Vec<String>,
}

/// An instance that goes on and is different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What it was.
    pub before: SharedInstance,
    /// What it is from now on.
    pub after: SharedInstance,
    /// The differences.
    pub changes: Vec<Change>,
}

/// An instance that has to end, while another one gets its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restarted {
    /// What it was.
    pub before: SharedInstance,
    /// Why it cannot go on: what it is on the network that has changed.
    pub because: String,
}

impl Plan {
    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty()
            && self.restarted.is_empty()
            && self.kept.is_empty()
            && self.started.is_empty()
            && self.general.is_empty()
    }

    /// What the reload does, in words: a line for each instance that it touches, in
    /// the order of the new configuration, then one for each that is removed, then
    /// groups, what is tracked, and general settings. Nothing if nothing is
    /// different. No line has a secret in it.
    pub fn describe(&self) -> Vec<String> {
        words::lines(self)
    }
}

impl fmt::Display for Plan {
    /// [`Plan::describe`] line by line, or that nothing changes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.describe();
        if lines.is_empty() {
            return f.write_str("nothing changes");
        }
        f.write_str(&lines.join("\n"))
    }
}

/// What an instance is on the network. One that differs here is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Identity<'c> {
    vrid: Vrid,
    ipv6: bool,
    interface: &'c str,
    vrf: Option<&'c str>,
    cast: Cast,
    /// It speaks through an ipvlan, which has an address of its own.
    ipvlan: Option<IpAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Cast {
    Multicast(IpAddr),
    /// With the configured source.
    Unicast(Option<IpAddr>),
}

impl<'c> Identity<'c> {
    fn of(instance: &'c Instance) -> Self {
        let ipvlan = instance.ipvlan.as_ref();
        Self {
            vrid: instance.vrid,
            ipv6: instance.ipv6,
            interface: &instance.interface,
            vrf: instance.vrf.as_deref(),
            cast: if instance.unicast_peers.is_empty() {
                Cast::Multicast(instance.multicast_group)
            } else {
                Cast::Unicast(instance.source_address)
            },
            ipvlan: ipvlan.and_then(|ipvlan| ipvlan.address).map(|(it, _)| it),
        }
    }
}

/// The way from `old` to `new`.
pub fn plan(old: &Config, mut new: Config) -> Plan {
    let matches = Matches::of(old, &new);
    // What is the same is in memory once.
    for (after, before) in new.instances.iter_mut().zip(&matches.predecessors) {
        if let Some(before) = before.filter(|before| *before == after) {
            *after = Arc::clone(before);
        }
    }
    // Most reloads touch few instances, and need neither of these.
    let holders = LazyCell::new(|| (Holders::of(old), Holders::of(&new)));
    let by_name = LazyCell::new(|| named(&new));
    let (mut removed, mut restarted) = (Vec::new(), Vec::new());
    for (before, goes_on) in old.instances.iter().zip(&matches.goes_on) {
        if *goes_on {
            continue;
        }
        match by_name.get(&*before.name) {
            None => removed.push(Arc::clone(before)),
            Some(after) => restarted.push(Restarted {
                before: Arc::clone(before),
                because: changes::of_identity(before, after),
            }),
        }
    }
    let (mut kept, mut started) = (Vec::new(), Vec::new());
    for (after, before) in new.instances.iter().zip(&matches.predecessors) {
        match before {
            None => started.push(Arc::clone(after)),
            Some(before) if Arc::ptr_eq(before, after) => {}
            Some(before) => kept.push(Kept {
                before: Arc::clone(before),
                after: Arc::clone(after),
                changes: changes::between(before, after, &holders),
            }),
        }
    }
    Plan {
        general: changes::of_the_rest(old, &new),
        removed,
        restarted,
        kept,
        started,
        config: new,
    }
}

fn named(config: &Config) -> QuickMap<&str, &SharedInstance> {
    let instances = config.instances.iter();
    instances
        .map(|instance| (&*instance.name, instance))
        .collect()
}

/// Which instances go on as which.
struct Matches<'c> {
    /// For each instance of the new configuration: what it was.
    predecessors: Vec<Option<&'c SharedInstance>>,
    /// For each instance of the old one: whether it goes on.
    goes_on: Vec<bool>,
}

impl<'c> Matches<'c> {
    /// Of several that are the same on the network, which only unicast instances with
    /// different peers can be, each goes on under its name, and the others in order.
    fn of(old: &'c Config, new: &Config) -> Self {
        let places = old.instances.iter().enumerate();
        let by_name: QuickMap<&str, usize> = places.map(|(place, it)| (&*it.name, place)).collect();
        let mut found: Vec<Option<usize>> = Vec::with_capacity(new.instances.len());
        let mut goes_on = vec![false; old.instances.len()];
        for instance in &new.instances {
            let same = by_name.get(&*instance.name).copied().filter(|place| {
                let before = old.instances.get(*place);
                before.is_some_and(|it| Identity::of(it) == Identity::of(instance))
            });
            if let Some(flag) = same.and_then(|place| goes_on.get_mut(place)) {
                *flag = true;
            }
            found.push(same);
        }
        // Those whose name does not go on as what it was.
        let mut waiting: QuickMap<Identity<'_>, VecDeque<usize>> = QuickMap::default();
        for (place, instance) in old.instances.iter().enumerate() {
            if goes_on.get(place) == Some(&false) {
                let same = waiting.entry(Identity::of(instance)).or_default();
                same.push_back(place);
            }
        }
        let nameless = found.iter_mut().zip(&new.instances);
        for (found, instance) in nameless.filter(|(found, _)| found.is_none()) {
            let Some(places) = waiting.get_mut(&Identity::of(instance)) else {
                continue;
            };
            while let Some(place) = places.pop_front() {
                if let Some(flag) = goes_on.get_mut(place).filter(|flag| !**flag) {
                    *flag = true;
                    *found = Some(place);
                    break;
                }
            }
        }
        let predecessors = found.into_iter();
        let predecessors = predecessors.map(|place| old.instances.get(place?));
        Self {
            predecessors: predecessors.collect(),
            goes_on,
        }
    }
}

/// Which instance has an address, by interface and address.
struct Holders<'c>(QuickMap<(&'c str, IpAddr), &'c str>);

impl<'c> Holders<'c> {
    fn of(config: &'c Config) -> Self {
        let mut all = QuickMap::default();
        all.reserve(config.instances.len());
        for instance in &config.instances {
            for vip in instance.all_addresses() {
                all.insert((&*vip.interface, vip.address), &*instance.name);
            }
        }
        Self(all)
    }

    fn of_address(&self, interface: &str, address: IpAddr) -> Option<&'c str> {
        self.0.get(&(interface, address)).copied()
    }
}

#[cfg(test)]
mod tests;
