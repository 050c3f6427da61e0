//! What an administrator orders: which instances it concerns, whether it is carried
//! out, and what of it is still in force after a reload.
//!
//! Decides that a sync group is drained as one and counts with one ordered priority:
//! else two nodes might each want to lead a part of it. Nothing is changed by an order
//! that is refused. What an instance does is in `instance/ordered.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::model::SharedInstance;
use crate::ids::{InstanceId, Priority};
use crate::time::{Instant, Interval};

use super::super::action::Transmit;
use super::super::instance::{Running, TimerKey};
use super::super::orders::{Deed, Done, InForce, Order, Refused, StandingOrders};
use super::super::plan::Restarted;
use super::super::state_machine::State;
use super::{Engine, Phase};

impl Engine {
    /// Carries an order out; what it has done to each instance.
    ///
    /// # Errors
    /// As [`Refused`] says; nothing has changed then.
    pub fn order(
        &mut self,
        now: Instant,
        order: &Order,
        tx: &mut impl Transmit,
    ) -> Result<Vec<Done>, Refused> {
        if self.phase != Phase::Running {
            return Err(Refused::NotRunning);
        }
        let before = self.standing_orders();
        let named = self.named_by(order)?;
        let done = match order {
            Order::Drain { force, .. } => self.drain(now, &self.with_groups(named), *force, tx)?,
            Order::Resume { .. } => {
                let ids = self.with_groups(named);
                let done = self.for_each_of(now, &ids, tx, |it, cx| it.resume(cx));
                self.hand_over(now, tx);
                done
            }
            Order::Priority {
                priority, seconds, ..
            } => {
                let ids = self.with_groups(named);
                let priority = self.acceptable(*priority, &ids)?;
                let lasts = seconds.map(Interval::from_secs);
                let done = self.for_each_of(now, &ids, tx, |it, cx| {
                    it.order_priority(priority, lasts, cx)
                });
                self.hand_over(now, tx);
                done
            }
            Order::Announce { .. } => self.announce_ordered(now, &named, tx)?,
        };
        self.orders_changed |= self.standing_orders() != before;
        self.settle(now);
        Ok(done)
    }

    /// Takes over the orders that were in force in an engine that is gone. Before the
    /// start.
    pub fn restore_orders(
        &mut self,
        now: Instant,
        orders: &StandingOrders,
        tx: &mut impl Transmit,
    ) {
        for id in self.all_ids() {
            let name = self.instances.get(&id).map(|it| it.config.name.as_str());
            if let Some(standing) = name.and_then(|name| orders.get(name)).copied() {
                self.one(now, id, tx, |it, cx| it.adopt_orders(standing, cx));
            }
        }
        self.spread_orders(now, tx);
    }

    /// The orders in force.
    pub fn standing_orders(&self) -> StandingOrders {
        let instances = self.instances.values();
        let standing = instances.filter(|it| it.standing_orders() != InForce::default());
        standing
            .map(|it| (it.config.name.clone(), it.standing_orders()))
            .collect()
    }

    /// The orders in force, if they have changed since this was last asked.
    pub fn changed_orders(&mut self) -> Option<StandingOrders> {
        std::mem::take(&mut self.orders_changed).then(|| self.standing_orders())
    }

    /// After a reload: those that begin anew go on with what was ordered of them.
    pub(super) fn hand_down_orders(
        &mut self,
        now: Instant,
        before: &StandingOrders,
        (restarted, started): (&[Restarted], &[SharedInstance]),
        tx: &mut impl Transmit,
    ) {
        for it in restarted {
            let name = &it.before.name;
            let begins = started.iter().any(|it| it.name == *name);
            let Some(standing) = before.get(name).copied().filter(|_| begins) else {
                continue;
            };
            let mut running = self.instances.iter();
            let id = running.find(|(_, it)| it.config.name == *name);
            if let Some(id) = id.map(|(id, _)| *id) {
                self.one(now, id, tx, |it, cx| it.adopt_orders(standing, cx));
            }
        }
        self.spread_orders(now, tx);
        self.orders_changed |= self.standing_orders() != *before;
    }

    /// The time of an ordered priority is over.
    pub(super) fn ordered_priority_ended(
        &mut self,
        now: Instant,
        id: InstanceId,
        tx: &mut impl Transmit,
    ) {
        // Those of a group end together, and only then it is asked whether to hand over.
        let mut ending = vec![id];
        let members = self.members_with(id);
        let others = members.iter().flat_map(|members| members.iter().copied());
        ending.extend(others.filter(|other| {
            let end = self.timers.deadline_of(TimerKey::OrderedPriority(*other));
            end.is_some_and(|end| end <= now)
        }));
        for id in ending {
            self.timers.disarm(TimerKey::OrderedPriority(id));
            self.one(now, id, tx, Running::ordered_priority_ended);
        }
        self.hand_over(now, tx);
        self.orders_changed = true;
    }

    fn drain(
        &mut self,
        now: Instant,
        ids: &[InstanceId],
        force: bool,
        tx: &mut impl Transmit,
    ) -> Result<Vec<Done>, Refused> {
        let names_of = |wanted: fn(&Running) -> bool| -> Vec<String> {
            let running = ids.iter().filter_map(|id| self.instances.get(id));
            let running = running.filter(|it| wanted(it));
            running.map(|it| it.config.name.clone()).collect()
        };
        if !force {
            let owners = names_of(|it| it.config.priority.is_owner());
            if !owners.is_empty() {
                return Err(Refused::Owners(owners));
            }
            let alone = names_of(|it| it.state == State::Master && !it.has_successor());
            if !alone.is_empty() {
                return Err(Refused::NobodyKnown(alone));
            }
        }
        for id in ids {
            self.one(now, *id, tx, Running::drain);
        }
        Ok(self.for_each_of(now, ids, tx, Running::make_way))
    }

    fn announce_ordered(
        &mut self,
        now: Instant,
        ids: &[InstanceId],
        tx: &mut impl Transmit,
    ) -> Result<Vec<Done>, Refused> {
        let mut done = Vec::new();
        for id in ids {
            let name = self.instances.get(id).map(|it| it.config.name.clone());
            let announced = self.one(now, *id, tx, Running::announce_by_order);
            if let (Some(instance), Some(announced)) = (name, announced) {
                let what = announced?;
                done.push(Done { instance, what });
            }
        }
        Ok(done)
    }

    /// Whether this priority can be ordered of these.
    fn acceptable(
        &self,
        priority: Option<u8>,
        ids: &[InstanceId],
    ) -> Result<Option<Priority>, Refused> {
        let Some(number) = priority else {
            return Ok(None);
        };
        if !(1..=254).contains(&number) {
            return Err(Refused::BadPriority(number));
        }
        let running = ids.iter().filter_map(|id| self.instances.get(id));
        let owners = running.filter(|it| it.config.priority.is_owner());
        let owners: Vec<String> = owners.map(|it| it.config.name.clone()).collect();
        if !owners.is_empty() {
            return Err(Refused::Owners(owners));
        }
        Ok(Some(Priority(number)))
    }

    /// The instance that an order names, or all.
    fn named_by(&self, order: &Order) -> Result<Vec<InstanceId>, Refused> {
        let Some(name) = order.instance() else {
            return Ok(self.all_ids());
        };
        let mut instances = self.instances.iter();
        match instances.find(|(_, it)| it.config.name == name) {
            Some((id, _)) => Ok(vec![*id]),
            None => Err(Refused::NoSuchInstance(name.to_owned())),
        }
    }

    fn all_ids(&self) -> Vec<InstanceId> {
        self.instances.keys().copied().collect()
    }

    /// These, and all that are in a group with one of them.
    fn with_groups(&self, ids: Vec<InstanceId>) -> Vec<InstanceId> {
        let mut all: BTreeSet<InstanceId> = BTreeSet::new();
        for id in ids {
            if all.insert(id)
                && let Some(members) = self.members_with(id)
            {
                all.extend(members.iter());
            }
        }
        all.into_iter().collect()
    }

    fn for_each_of(
        &mut self,
        now: Instant,
        ids: &[InstanceId],
        tx: &mut impl Transmit,
        mut act: impl FnMut(&mut Running, &mut super::Context<'_>) -> Deed,
    ) -> Vec<Done> {
        let mut done = Vec::new();
        for id in ids {
            let one = self.one(now, *id, tx, |it, cx| Done {
                instance: it.config.name.clone(),
                what: act(it, cx),
            });
            done.extend(one);
        }
        done
    }

    /// A group into which a reload brings somebody who is drained is drained, and so
    /// with a priority.
    fn spread_orders(&mut self, now: Instant, tx: &mut impl Transmit) {
        let groups = self.groups.values();
        let groups: Vec<Arc<[InstanceId]>> = groups.map(|it| Arc::clone(&it.members)).collect();
        for members in groups {
            let running = || members.iter().filter_map(|id| self.instances.get(id));
            let standing = InForce {
                drained: running()
                    .filter_map(|it| it.standing_orders().drained)
                    .min(),
                priority: running().find_map(|it| it.standing_orders().priority),
            };
            if standing == InForce::default() {
                continue;
            }
            for id in members.iter() {
                self.one(now, *id, tx, |it, cx| it.adopt_orders(standing, cx));
            }
        }
    }
}
