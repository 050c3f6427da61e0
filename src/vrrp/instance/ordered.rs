//! What an administrator orders of one instance: to hand its addresses over, to count
//! with another priority, to announce its addresses again.
//!
//! A drained instance counts with the lowest priority that there is, and takes part as
//! any other: if all others are gone it takes over, because an address on a node that
//! should be left alone is better than an address on none. As MASTER it asks others to
//! take over as `fast_handover` does (`handover.rs`), and keeps its addresses until
//! somebody has spoken.
//!
//! Whether an order is carried out is decided in `engine/orders.rs`.

use crate::ids::Priority;
use crate::time::{Instant, Interval};

use super::super::log_lines::InstanceLine;
use super::super::orders::{DRAINED, Deed, InForce, OrderedPriority, Refused};
use super::super::state_machine::{Input, State};
use super::installed::Installed;
use super::{Context, Running, TimerKey};

impl Running {
    /// What has been ordered of it and is in force.
    pub fn standing_orders(&self) -> InForce {
        *self.orders
    }

    /// Whether it counts with the lowest priority by order.
    pub fn is_drained(&self) -> bool {
        self.orders.drained.is_some()
    }

    /// The priority that weights are added to. That of an address owner is fixed.
    pub(super) fn base_priority(&self) -> Priority {
        let ordered = self.orders.priority.map(|ordered| ordered.priority);
        match self.config.priority {
            Priority::OWNER => Priority::OWNER,
            configured => ordered.unwrap_or(configured),
        }
    }

    /// Whether it claims to own its addresses: not while it is drained.
    pub(super) fn is_owner(&self) -> bool {
        self.config.priority.is_owner() && !self.is_drained()
    }

    /// Takes over what is in force already: after a reload, and in the place of an
    /// engine that is gone.
    pub fn adopt_orders(&mut self, orders: InForce, cx: &mut Context<'_>) {
        self.orders = orders.into();
        self.arm_end_of_order(cx);
        self.end_dispute_if_drained(cx);
    }

    /// Whether a router is known that would take over from it once it is drained.
    pub fn has_successor(&self) -> bool {
        self.peers.better_than(DRAINED).is_some()
    }

    /// From now on it counts with the lowest priority.
    pub fn drain(&mut self, cx: &mut Context<'_>) {
        if !self.is_drained() {
            self.orders.make().drained = Some(cx.now);
            self.log(InstanceLine::Drained, cx);
        }
        self.end_dispute_if_drained(cx);
        self.follow_priority(cx);
        // It asks in any case, and not only whom it knows.
        self.forget_due_handover();
    }

    /// After [`Running::drain`], once all of its group are drained: as MASTER, asks
    /// others to take over.
    pub fn make_way(&mut self, cx: &mut Context<'_>) -> Deed {
        if self.state != State::Master {
            return Deed::Drained(self.state);
        }
        let peer = self.peers.better_than(self.priority);
        if !self.waits_for_successor(cx.now) {
            let ours = self.priority;
            self.log(
                match peer {
                    Some((theirs, peer)) => InstanceLine::HandsOver { peer, theirs, ours },
                    None => InstanceLine::AsksAnybody,
                },
                cx,
            );
            self.ask_to_take_over(cx);
        }
        Deed::HandsOver(peer.map(|(priority, address)| (address, priority)))
    }

    /// It is not drained any more.
    pub fn resume(&mut self, cx: &mut Context<'_>) -> Deed {
        let orders = self.orders.if_any();
        if orders.and_then(|it| it.drained.take()).is_none() {
            return Deed::NotDrained;
        }
        self.log(InstanceLine::Resumed, cx);
        self.follow_priority(cx);
        Deed::Resumed(self.priority)
    }

    /// Counts with another priority, or with that of the configuration again.
    pub fn order_priority(
        &mut self,
        priority: Option<Priority>,
        lasts: Option<Interval>,
        cx: &mut Context<'_>,
    ) -> Deed {
        let from = self.priority;
        let had_one = self.orders.priority.is_some();
        self.orders.make().priority = priority.map(|priority| OrderedPriority {
            priority,
            until: lasts.map(|span| cx.now + span),
        });
        self.arm_end_of_order(cx);
        match priority {
            Some(to) => self.log(InstanceLine::PriorityOrdered { to, lasts }, cx),
            None if had_one => self.log_end_of_order(false, cx),
            None => {}
        }
        if self.is_drained() {
            return Deed::PriorityLater(self.base_priority());
        }
        self.follow_priority(cx);
        let to = self.priority;
        Deed::Priority { from, to, lasts }
    }

    /// The time of an ordered priority is over.
    pub fn ordered_priority_ended(&mut self, cx: &mut Context<'_>) {
        let orders = self.orders.if_any();
        if orders.and_then(|it| it.priority.take()).is_some() {
            self.log_end_of_order(true, cx);
            self.follow_priority(cx);
        }
    }

    /// Announces all VIPs once more.
    ///
    /// # Errors
    /// It is not MASTER, or its addresses are not there yet.
    pub fn announce_by_order(&mut self, cx: &mut Context<'_>) -> Result<Deed, Refused> {
        if self.state != State::Master || self.installed != Installed::Yes {
            return Err(Refused::NotMaster(self.state));
        }
        self.log(InstanceLine::AnnouncesAgain, cx);
        self.find_targets(cx);
        let repeat = self.config.garp.master_repeat.max(1);
        self.burst(repeat, cx);
        Ok(Deed::Announced(self.announcing.len()))
    }

    fn log_end_of_order(&self, in_time: bool, cx: &mut Context<'_>) {
        let to = self.config.priority;
        self.log(InstanceLine::PriorityOrderEnded { to, in_time }, cx);
    }

    fn arm_end_of_order(&self, cx: &mut Context<'_>) {
        let key = TimerKey::OrderedPriority(self.id);
        match self.orders.priority.and_then(|ordered| ordered.until) {
            Some(until) => cx.timers.arm(key, until.max(cx.now)),
            None => cx.timers.disarm(key),
        }
    }

    /// Who is drained does not dispute anybody's addresses.
    fn end_dispute_if_drained(&mut self, cx: &mut Context<'_>) {
        if self.is_drained() {
            self.dispute = None;
            cx.timers.disarm(TimerKey::Rival(self.id));
        }
    }

    /// Sends priority 0, and leaves a skew time to whoever is there.
    fn ask_to_take_over(&mut self, cx: &mut Context<'_>) {
        self.input(Input::HandOver, cx);
        self.note_question(cx);
    }

    fn waits_for_successor(&self, now: Instant) -> bool {
        self.asks_until().is_some_and(|until| now < until)
    }
}
