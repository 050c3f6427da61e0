//! What somebody else takes away from a MASTER: put back at once, or given up.
//!
//! Decides when a fight over the same thing is given up (`vip_loss_limit`), for how
//! long, and what is told of it. What follows for the sync group is decided in
//! `engine/losses.rs`. Source: specification F.9.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use crate::config::model::{LossAnswer, LossLimit, VirtualAddress};
use crate::ids::IfIndex;
use crate::time::{Instant, Interval};

use super::super::action::{Action, Operation};
use super::super::event::LostWay;
use super::super::kernel_set::is_lost;
use super::super::log_lines::{InstanceLine, LogLine};
use super::super::rare::Blank;
use super::super::reasons::Fight;
use super::super::state_machine::{Effects, Input};
use super::installed::Installed;
use super::{Context, Purpose, Running, TimerKey, block, blocked_place};

/// How long the first fight is given up; twice as long each time after that.
const PAUSE_MIN: Interval = Interval::from_secs(30);

/// And no longer than this. Who has been left alone for so long begins anew.
const PAUSE_MAX: Interval = Interval::from_secs(600);

/// What follows from a loss for more than the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Nothing: it was none of its things, or it is put back.
    Healed,
    /// The instance cannot take part for a while.
    GivenUp,
    /// The instance has given up its state, and did this.
    Reelected(Effects),
}

/// What an instance has lost of late, and what became of that.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Losses {
    /// When each thing was lost, no longer ago than the limit looks.
    of: Option<HashMap<Operation, VecDeque<Instant>>>,
    /// It was told that losses are healed, since it became MASTER.
    is_told: bool,
    /// The fight that is given up at present.
    fight: Option<Fight>,
    /// How long the last one was given up, and until when.
    last_pause: Option<(Interval, Instant)>,
    culprits: Vec<String>,
}

impl Blank for Losses {
    const BLANK: &'static Self = &Self {
        of: None,
        is_told: false,
        fight: None,
        last_pause: None,
        culprits: Vec::new(),
    };
}

impl Losses {
    /// The fight that stands against taking part.
    pub(super) fn fight(&self) -> Option<&Fight> {
        self.fight.as_ref()
    }

    /// The instance becomes MASTER: what was before does not count any more.
    pub(super) fn begin(&mut self) {
        self.of = None;
        self.is_told = false;
    }

    pub(super) fn note_culprits(&mut self, culprits: &[String]) {
        self.culprits = culprits.to_vec();
        if let Some(fight) = &mut self.fight {
            fight.culprits = culprits.to_vec();
        }
    }

    /// Notes that this was lost; whether it was once too often.
    fn note(&mut self, lost: &Operation, limit: LossLimit, now: Instant) -> bool {
        let of = self.of.get_or_insert_default();
        if !of.contains_key(lost) {
            of.insert(lost.clone(), VecDeque::new());
        }
        let Some(times) = of.get_mut(lost) else {
            return false;
        };
        times.push_back(now);
        while times
            .front()
            .is_some_and(|at| now.since(*at) > limit.within)
        {
            times.pop_front();
        }
        times.len() >= usize::from(limit.count)
    }

    /// How long the next fight is given up.
    fn next_pause(&self, now: Instant) -> Interval {
        match self.last_pause {
            Some((pause, end)) if now.since(end) < PAUSE_MAX => pause.times(2).min(PAUSE_MAX),
            _ => PAUSE_MIN,
        }
    }
}

impl Running {
    /// Somebody else took an address off an interface: as MASTER, puts it back
    /// if it is a VIP of ours that was on.
    pub fn address_removed(
        &mut self,
        on: IfIndex,
        address: IpAddr,
        prefix_length: u8,
        cx: &mut Context<'_>,
    ) -> Loss {
        if self.installed != Installed::Yes {
            return Loss::Healed;
        }
        let lost = Self::vips(&self.config, cx.interfaces).find(|(index, vip)| {
            *index == on
                && vip.address == address
                && vip.prefix_length == prefix_length
                && !vip.no_track
        });
        let Some((_, vip)) = lost else {
            return Loss::Healed;
        };
        let state = cx.interfaces.get(on);
        // It may be on its way out, with all that is on it. If it stays or comes back,
        // what is missing is put back then.
        if cx.interfaces.is_leaving(on) {
            return Loss::Healed;
        }
        // A reload that took another one off has put it back in the same request: without
        // `promote_secondaries` the kernel takes the others of that network off, too.
        if state.is_some_and(|state| super::installed::holds(state, vip)) {
            return Loss::Healed;
        }
        let name = state.map_or(&*vip.interface, |state| &*state.name);
        let (vip, interface) = (vip.clone(), name.to_owned());
        let what = format!("IP {address} on {interface}");
        let blocked = blocked_place(on, &vip);
        let operation = Operation::AddAddress { on, address: vip };
        let followed = self.answer_loss(&operation, what, cx);
        let is_put_back = followed.is_none();
        let line = LogLine::AddressRemoved {
            address,
            interface,
            is_put_back,
        };
        cx.actions.push_back(Action::Log(line));
        if let Some(followed) = followed {
            return self.give_up(followed, cx);
        }
        let is_blocked = !self.config.accept;
        let block = is_blocked.then(|| block(blocked));
        let operations = block.into_iter().chain([operation]).collect();
        self.restoring = self.restoring.saturating_add(1);
        cx.request(Purpose::Restore(self.id), operations);
        self.tell_of_healing(cx);
        Loss::Healed
    }

    /// Somebody took a route or a rule out: as MASTER, puts it back if it is one of
    /// ours that was in.
    pub fn way_removed(&mut self, lost: LostWay, cx: &mut Context<'_>) -> Loss {
        if self.installed != Installed::Yes {
            return Loss::Healed;
        }
        let ways = self.ways.iter().filter(|way| is_lost(way, lost));
        let operations: Vec<Operation> = ways.cloned().collect();
        for operation in &operations {
            let followed = self.answer_loss(operation, operation.to_string(), cx);
            let line = LogLine::WayRemoved {
                what: operation.to_string(),
                is_put_back: followed.is_none(),
            };
            cx.actions.push_back(Action::Log(line));
            if let Some(followed) = followed {
                return self.give_up(followed, cx);
            }
        }
        if !operations.is_empty() {
            cx.request(Purpose::Renew(self.id), operations);
            self.tell_of_healing(cx);
        }
        Loss::Healed
    }

    /// What to do about a loss instead of healing it.
    fn answer_loss(
        &mut self,
        lost: &Operation,
        what: String,
        cx: &Context<'_>,
    ) -> Option<GivingUp> {
        let settings = self.config.vip_loss;
        if settings.answer == LossAnswer::Reelect {
            return Some(GivingUp::State);
        }
        let limit = settings.limit?;
        if !self.losses.make().note(lost, limit, cx.now) {
            return None;
        }
        Some(GivingUp::Fight(Fight {
            what,
            count: limit.count,
            within: limit.within,
            pause: self.losses.next_pause(cx.now),
            culprits: self.losses.culprits.clone(),
        }))
    }

    fn give_up(&mut self, what: GivingUp, cx: &mut Context<'_>) -> Loss {
        let fight = match what {
            GivingUp::State => {
                return Loss::Reelected(self.step(Input::Lost, None, cx.now, cx));
            }
            GivingUp::Fight(fight) => fight,
        };
        self.log(InstanceLine::GivesUpFight(fight.pause), cx);
        let end = cx.now + fight.pause;
        let losses = self.losses.make();
        losses.last_pause = Some((fight.pause, end));
        losses.fight = Some(fight);
        cx.timers.arm(TimerKey::LossPause(self.id), end);
        cx.actions.push_back(Action::FindCulprits);
        Loss::GivenUp
    }

    /// The first time it is told what happens here, and who may be behind it.
    fn tell_of_healing(&mut self, cx: &mut Context<'_>) {
        if !std::mem::replace(&mut self.losses.make().is_told, true) {
            self.log(InstanceLine::Heals, cx);
            cx.actions.push_back(Action::FindCulprits);
        }
    }

    /// A VIP is back, or refused: announces all of them once more.
    pub fn restored(&mut self, is_done: bool, cx: &mut Context<'_>) {
        self.restoring = self.restoring.saturating_sub(1);
        if self.installed != Installed::Yes {
            return;
        }
        // With the address the kernel drops the routes that have it as their source.
        if self.restoring == 0 {
            self.renew_ways(cx);
        }
        // By way of the timer, so that many VIPs that come back together are
        // announced once. One that was refused was told of.
        if is_done {
            self.announce_all_at(cx.now, cx);
        }
    }

    /// After reports were missed: puts back, as MASTER, what is not there.
    pub fn missing(&self, cx: &Context<'_>) -> Vec<(IfIndex, IpAddr, u8)> {
        let is_there = |on: IfIndex, vip: &VirtualAddress| {
            let state = cx.interfaces.get(on);
            state.is_some_and(|state| super::installed::holds(state, vip))
        };
        Self::vips(&self.config, cx.interfaces)
            .filter(|(on, vip)| !is_there(*on, vip))
            .map(|(on, vip)| (on, vip.address, vip.prefix_length))
            .collect()
    }

    /// The time is over for which a fight was given up. [`Running::look_around`]
    /// follows.
    pub fn end_pause(&mut self, cx: &mut Context<'_>) {
        let losses = self.losses.if_any();
        if losses.is_some_and(|losses| losses.fight.take().is_some()) {
            cx.timers.disarm(TimerKey::LossPause(self.id));
            self.log(InstanceLine::EndsPause, cx);
        }
    }
}

/// What is given up because of a loss.
enum GivingUp {
    /// The state of MASTER, for an election.
    State,
    /// A fight, for a while.
    Fight(Fight),
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: LossLimit = LossLimit {
        count: 3,
        within: Interval::from_secs(10),
    };

    fn address(last: u8) -> Operation {
        Operation::AddAddress {
            on: IfIndex(3),
            address: VirtualAddress::new([10, 0, 0, last].into(), 32, "e0"),
        }
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Interval::from_secs(seconds)
    }

    #[test]
    fn the_same_thing_counts_and_only_of_late() {
        let mut losses = Losses::default();
        assert!(!losses.note(&address(1), LIMIT, at(1)));
        assert!(!losses.note(&address(2), LIMIT, at(1)));
        assert!(!losses.note(&address(1), LIMIT, at(2)));
        assert!(!losses.note(&address(3), LIMIT, at(2)));
        // The first one is too long ago.
        assert!(!losses.note(&address(1), LIMIT, at(12)));
        assert!(losses.note(&address(1), LIMIT, at(12)));
        losses.begin();
        assert!(!losses.note(&address(1), LIMIT, at(12)));
    }

    #[test]
    fn each_pause_is_longer_until_there_was_peace() {
        let mut losses = Losses::default();
        let mut now = at(0);
        let pauses: Vec<u64> = (0..7)
            .map(|_| {
                let pause = losses.next_pause(now);
                now = now + pause;
                losses.last_pause = Some((pause, now));
                now = now + Interval::from_secs(5);
                pause.as_secs()
            })
            .collect();
        assert_eq!(pauses, [30, 60, 120, 240, 480, 600, 600]);
        assert_eq!(losses.next_pause(now + PAUSE_MAX), PAUSE_MIN);
    }
}
