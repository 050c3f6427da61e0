//! What a reload touches.
//!
//! Two classes so far: an instance that is the same in both configurations is
//! left alone, with its state, deadline and counters; any other ends and begins
//! anew. An instance is the same if everything in it is, its scripts included.
//! The members of a sync group begin anew together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::model::{Config, InitialState, Instance, SyncGroup};

/// The way from one configuration to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where it leads.
    pub config: Config,
    /// Instances that are not in the new configuration.
    pub removed: Vec<Arc<Instance>>,
    /// Instances that are different: as they were.
    pub restarted: Vec<Arc<Instance>>,
    /// Instances that begin: new ones, and different ones as they are now.
    pub started: Vec<Arc<Instance>>,
}

impl Plan {
    /// Whether no instance is touched.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.restarted.is_empty() && self.started.is_empty()
    }
}

/// The way from `old` to `new`.
pub fn plan(old: &Config, new: Config) -> Plan {
    let by_name = |config: &Config| -> BTreeMap<String, Arc<Instance>> {
        let named = config.instances.iter();
        named
            .map(|instance| (instance.name.clone(), Arc::clone(instance)))
            .collect()
    };
    let (before, after) = (by_name(old), by_name(&new));
    let differs = |name: &str| before.get(name) != after.get(name);
    let with_group = restarted_with_group(old, &new, differs);
    let is_touched = |name: &str| differs(name) || with_group.contains(name);
    let (mut removed, mut restarted) = (Vec::new(), Vec::new());
    for (name, instance) in &before {
        match after.get(name) {
            Some(_) if is_touched(name) => restarted.push(Arc::clone(instance)),
            Some(_) => {}
            None => removed.push(Arc::clone(instance)),
        }
    }
    let instances = new.instances.iter();
    let started = instances.filter(|instance| is_touched(&instance.name));
    Plan {
        removed,
        restarted,
        started: started.cloned().collect(),
        config: new,
    }
}

/// The members of each group of `new` that was not a group before, or of which
/// a member is different: they begin together, so that no group is ever half in
/// one state. What a group tracks and tells is taken over as it is.
fn restarted_with_group(
    old: &Config,
    new: &Config,
    differs: impl Fn(&str) -> bool,
) -> BTreeSet<String> {
    let key = |group: &SyncGroup| {
        let mut members = group.instances.clone();
        members.sort_unstable();
        (members, group.initial_state == InitialState::Master)
    };
    let before: BTreeSet<_> = old.sync_groups.iter().map(|group| key(group)).collect();
    let groups = new.sync_groups.iter();
    let begins = groups.filter(|group| {
        let mut members = group.instances.iter();
        !before.contains(&key(group)) || members.any(|name| differs(name))
    });
    begins.flat_map(|group| group.instances.clone()).collect()
}
