//! Two nodes that both claim to own the addresses, with priority 255: a mistake in
//! a configuration that must not lead to two masters (specification F.4).
//!
//! The one with the lower address gives way at once, and counts with priority 254
//! from then on. The other one answers, and when it has sent two adverts it listens
//! for a little more than an interval. Whoever still claims the addresses then does
//! not hear it, or does not listen, and so it is the one to give way. The priority
//! of the configuration comes back when the other owner is gone. With
//! `owner_ignore_adverts`, and so in strict mode, none of this happens: `receive`
//! drops the adverts before.

use std::net::IpAddr;

use crate::ids::Priority;
use crate::time::Interval;

use super::super::election::Rank;
use super::super::log_lines::InstanceLine;
use super::super::state_machine::{Input, State};
use super::{Context, Running, Sender, TimerKey};

/// What an owner that gave way counts with.
pub(super) const GAVE_WAY: Priority = Priority(254);

/// How many adverts the other owner must have had the chance to hear.
const ADVERTS: u8 = 2;

/// How the dispute with another owner stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dispute {
    /// The address of the other owner.
    pub(super) rival: IpAddr,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// As MASTER: so many adverts are still to be sent.
    Answering {
        adverts_left: u8,
        /// How long to listen after them.
        listen: Interval,
    },
    /// As MASTER: whoever is heard now does not hear us.
    Listening,
    /// Left the addresses to the other one.
    GaveWay,
}

impl Running {
    /// Whether it left its addresses to another owner.
    pub(super) fn has_given_way(&self) -> bool {
        self.dispute
            .as_ref()
            .is_some_and(|dispute| dispute.stage == Stage::GaveWay)
    }

    /// Looks at an accepted advert of a priority other than 0 as the owner of the
    /// addresses, before anything else does; gives what it amounts to now.
    pub(super) fn meet_rival(&mut self, rank: Rank, sender: Sender, cx: &mut Context<'_>) -> Rank {
        if !self.is_owner() {
            return rank;
        }
        if !sender.priority.is_owner() {
            if self.has_given_way() {
                self.restore_ownership("received advert with lower priority", cx);
                return Rank::Lower;
            }
            return rank;
        }
        match (
            self.state,
            rank,
            self.dispute.as_ref().map(|dispute| dispute.stage),
        ) {
            (State::Master, Rank::EqualLowerAddress, None) => {
                self.log(InstanceLine::TwoOwners(sender.address), cx);
                let longer = self.config.advert_interval.max(sender.advert_interval);
                let stage = Stage::Answering {
                    adverts_left: ADVERTS,
                    listen: Interval::from_us(longer.times(6).as_us() / 5),
                };
                let rival = sender.address;
                self.dispute = Some(Box::new(Dispute { rival, stage }));
            }
            (State::Master, Rank::EqualLowerAddress, Some(Stage::Listening)) => {
                let line = InstanceLine::GaveWayToOwner(sender.address);
                self.log(line, cx);
                self.give_way(sender.address, cx);
                return Rank::Higher;
            }
            (State::Master, Rank::EqualHigherAddress, None) => {
                self.log(InstanceLine::TwoOwners(sender.address), cx);
            }
            (State::Backup, _, None) if rank != Rank::EqualSameAddress => {
                self.log(InstanceLine::TwoOwners(sender.address), cx);
                self.give_way(sender.address, cx);
                return Rank::Higher;
            }
            _ => {}
        }
        rank
    }

    /// A master that owns the addresses steps back for another owner with a higher
    /// address, which was logged as the reason.
    pub(super) fn yield_to_rival(&mut self, sender: Sender, cx: &mut Context<'_>) {
        if self.is_owner() && sender.priority.is_owner() && !self.has_given_way() {
            self.give_way(sender.address, cx);
        }
    }

    fn give_way(&mut self, rival: IpAddr, cx: &mut Context<'_>) {
        let stage = Stage::GaveWay;
        self.dispute = Some(Box::new(Dispute { rival, stage }));
        cx.timers.disarm(TimerKey::Rival(self.id));
        self.follow_priority(cx);
    }

    /// Counts an advert of its own that the other owner can hear.
    pub(super) fn count_answer(&mut self, cx: &mut Context<'_>) {
        let Some(Dispute { stage, .. }) = self.dispute.as_deref_mut() else {
            return;
        };
        let Stage::Answering {
            adverts_left,
            listen,
        } = stage
        else {
            return;
        };
        *adverts_left = adverts_left.saturating_sub(1);
        if *adverts_left == 0 {
            let until = cx.now + *listen;
            *stage = Stage::Listening;
            cx.timers.arm(TimerKey::Rival(self.id), until);
        }
    }

    /// Nothing was heard of the other owner in the time that it had.
    pub fn rival_silent(&mut self, cx: &mut Context<'_>) {
        let stage = self.dispute.as_ref().map(|dispute| dispute.stage);
        if stage == Some(Stage::Listening) {
            self.dispute = None;
            self.log(InstanceLine::RivalStopped, cx);
        }
    }

    /// Takes the priority of the configuration back. `why` is for the log.
    pub(super) fn restore_ownership(&mut self, why: &'static str, cx: &mut Context<'_>) {
        if self.has_given_way() {
            self.dispute = None;
            let to = self.config.priority;
            self.log(InstanceLine::OwnershipRestored { to, why }, cx);
            self.follow_priority(cx);
        }
    }

    /// What a dispute means in another state than it began in: a backup goes on
    /// giving way; one that cannot take part begins anew.
    pub(super) fn dispute_after_change(&mut self, cx: &mut Context<'_>) {
        if self.dispute.is_none() || (self.state == State::Backup && self.has_given_way()) {
            return;
        }
        self.dispute = None;
        cx.timers.disarm(TimerKey::Rival(self.id));
        self.follow_priority(cx);
    }

    /// The master that it gave way to is silent, so it becomes MASTER as the owner.
    pub(super) fn take_over_from_rival(&mut self, input: Input, cx: &mut Context<'_>) {
        if self.state == State::Backup && input == Input::TimerExpired {
            self.restore_ownership("other address owner has disappeared", cx);
        }
    }
}
