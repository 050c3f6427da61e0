//! What a reload touches.
//!
//! Two classes so far: an instance that is the same in both configurations is
//! left alone, with its state, deadline and counters; any other ends and begins
//! anew. An instance is the same if everything in it is, its scripts included.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::model::{Config, Instance};

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
    let mut plan = Plan {
        config: new,
        removed: Vec::new(),
        restarted: Vec::new(),
        started: Vec::new(),
    };
    for (name, instance) in &before {
        match after.get(name) {
            Some(same) if same == instance => {}
            Some(_) => plan.restarted.push(Arc::clone(instance)),
            None => plan.removed.push(Arc::clone(instance)),
        }
    }
    let begins = |instance: &&Arc<Instance>| before.get(&instance.name) != Some(instance);
    plan.started = plan
        .config
        .instances
        .iter()
        .filter(begins)
        .cloned()
        .collect();
    plan
}
