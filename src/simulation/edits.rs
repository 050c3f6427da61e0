//! What somebody changes in the configuration of a node that runs.
//!
//! Decides which configuration an edit leads to; what the daemon makes of it is
//! judged in `reloaded.rs`.

use std::sync::Arc;

use crate::config::model::{Config, Instance, Version};
use crate::ids::Priority;
use crate::time::Interval;

/// An edit of one instance, which is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// It gets another priority, and so do all that are in a group with it: else they
    /// might want two different masters.
    Priority(String, Priority),
    /// It gets another name.
    Rename(String),
    /// With version 3, it sends twice as often.
    Hasten(String),
    /// Its last VIP is that of another instance of the node from now on.
    MoveAddress(String),
    /// It tracks nothing any more.
    Untrack(String),
    /// All is as it was when the node was made.
    Back,
}

impl Edit {
    /// The configuration after this, which was `original` once.
    pub fn apply(&self, config: &Config, original: &Config) -> Config {
        let mut config = config.clone();
        match self {
            Self::Priority(name, priority) => set_priority(&mut config, name, *priority),
            Self::Rename(name) => rename(&mut config, name),
            Self::Hasten(name) => change(&mut config, name, hasten),
            Self::MoveAddress(name) => move_address(&mut config, name),
            Self::Untrack(name) => change(&mut config, name, |it| {
                it.track_scripts.clear();
                it.track_interfaces.clear();
                it.track_files.clear();
                it.track_processes.clear();
            }),
            Self::Back => return original.clone(),
        }
        config
    }

    /// For people.
    pub fn in_words(&self) -> String {
        match self {
            Self::Priority(name, priority) => format!("{name} at {priority}"),
            Self::Rename(name) => format!("{name} under another name"),
            Self::Hasten(name) => format!("half the interval of {name}"),
            Self::MoveAddress(name) => format!("a VIP of {name} in another instance"),
            Self::Untrack(name) => format!("{name} tracking nothing"),
            Self::Back => "what it was at first".to_owned(),
        }
    }
}

fn change(config: &mut Config, name: &str, change: impl FnOnce(&mut Instance)) {
    let mut instances = config.instances.iter_mut();
    if let Some(instance) = instances.find(|it| it.name == name) {
        let instance: &mut Box<Instance> = Arc::make_mut(instance);
        change(instance);
    }
}

fn set_priority(config: &mut Config, name: &str, priority: Priority) {
    let mut groups = config.sync_groups.iter();
    let group = groups.find(|group| group.instances.iter().any(|it| it == name));
    let group = group
        .map(|group| group.instances.clone())
        .unwrap_or_default();
    for instance in &mut config.instances {
        if instance.name == name || group.contains(&instance.name) {
            Arc::make_mut(instance).priority = priority;
        }
    }
}

fn rename(config: &mut Config, name: &str) {
    let new = format!("{name}_new");
    change(config, name, |it| it.name.clone_from(&new));
    for group in &mut config.sync_groups {
        for member in &mut Arc::make_mut(group).instances {
            if member == name {
                member.clone_from(&new);
            }
        }
    }
}

/// Version 2 knows whole seconds only, and both nodes must have the same.
fn hasten(instance: &mut Instance) {
    let half_cs = instance.advert_interval.as_us() / 20_000;
    if instance.version == Version::V3 && half_cs > 0 {
        instance.advert_interval = Interval::from_ms(half_cs.saturating_mul(10));
    }
}

/// The instance must have another VIP left, and the other one must be of its family.
fn move_address(config: &mut Config, name: &str) {
    let instances = config.instances.iter();
    let from = instances.clone().find(|it| it.name == name);
    let Some(from) = from.filter(|it| it.virtual_addresses.len() > 1) else {
        return;
    };
    let ipv6 = from.ipv6;
    let to = instances
        .clone()
        .find(|it| it.name != name && it.ipv6 == ipv6);
    let Some(to) = to.map(|it| it.name.clone()) else {
        return;
    };
    let mut moving = None;
    change(config, name, |it| moving = it.virtual_addresses.pop());
    change(config, &to, |it| it.virtual_addresses.extend(moving));
}
