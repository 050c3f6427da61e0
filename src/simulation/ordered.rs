//! Orders of an administrator in the world, and a second opinion on what is in force
//! (docs/operating/drain.md).
//!
//! An order for one member of a sync group is for all of them. Who is drained counts
//! with priority 1; an ordered priority takes the place of that of the configuration,
//! but for the owner of the addresses.

use std::collections::BTreeMap;

use crate::config::model::{Config, SharedInstance};
use crate::ids::Priority;
use crate::time::{Instant, Interval};
use crate::vrrp::orders::Order;

use super::monitor::Cause;
use super::trace::What;
use super::world::World;

/// What is in force for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ordered {
    /// It counts with priority 1.
    pub is_drained: bool,
    priority: Option<(u8, Option<Instant>)>,
}

impl Ordered {
    /// What weights are added to.
    pub fn base(&self, configured: Priority, now: Instant) -> Priority {
        let is_over = |until: Option<Instant>| until.is_some_and(|until| until <= now);
        match (configured, self.priority) {
            (Priority::OWNER, _) | (_, None) => configured,
            (_, Some((_, until))) if is_over(until) => configured,
            (_, Some((priority, _))) => Priority(priority),
        }
    }

    fn obey(&mut self, order: &Order, now: Instant) {
        match order {
            Order::Drain { .. } => self.is_drained = true,
            Order::Resume { .. } => self.is_drained = false,
            Order::Priority {
                priority, seconds, ..
            } => {
                let until = seconds.map(|seconds| now + Interval::from_secs(seconds));
                self.priority = priority.map(|priority| (priority, until));
            }
            Order::Announce { .. } => {}
        }
    }
}

/// The names of all that an order is for.
fn concerned(config: &Config, order: &Order) -> Vec<String> {
    let Some(name) = order.instance() else {
        return config.instances.iter().map(|it| it.name.clone()).collect();
    };
    let mut groups = config.sync_groups.iter();
    match groups.find(|group| group.instances.iter().any(|it| it == name)) {
        Some(group) => group.instances.clone(),
        None => vec![name.to_owned()],
    }
}

/// After a reload: what was in force goes on under the names that instances have now.
pub fn handed_down(
    before: &BTreeMap<String, Ordered>,
    kept: &[(String, SharedInstance)],
    config: &Config,
) -> BTreeMap<String, Ordered> {
    let renamed = |name: &str| {
        let mut kept = kept.iter();
        let goes_on = kept.find(|(old, _)| old == name);
        goes_on.map_or_else(|| name.to_owned(), |(_, it)| it.name.clone())
    };
    let all = before.iter().map(|(name, it)| (renamed(name), *it));
    let is_there = |name: &str| config.instances.iter().any(|it| it.name == name);
    all.filter(|(name, _)| is_there(name)).collect()
}

impl World {
    /// An administrator orders something; a daemon that stands still hears of nothing.
    pub(super) fn order(&mut self, node: usize, order: &Order) {
        let Some(here) = self.nodes.get(node).filter(|here| here.is_awake()) else {
            return;
        };
        let names = concerned(&here.config, order);
        let drained = match order {
            Order::Drain { .. } => names.clone(),
            _ => Vec::new(),
        };
        let mut refused = None;
        self.turn(node, Cause::Order { drained }, |engine, now, tx| {
            refused = engine.order(now, order, tx).err();
        });
        if let Some(refused) = &refused {
            self.record(Some(node), What::Event(format!("refused: {refused}")));
        }
        let is_accepted = refused.is_none();
        let now = self.now;
        let here = self.nodes.get_mut(node).filter(|_| is_accepted);
        if let Some(here) = here.filter(|here| here.engine.is_some()) {
            for name in names {
                here.ordered.entry(name).or_default().obey(order, now);
            }
        }
    }
}
