//! `fast_handover`: which peers would be better masters, and asking them.
//!
//! By the RFC a master whose priority falls below that of a backup stays until that
//! backup has waited a whole master-down time. Here it sends priority 0, so that the
//! backup waits a skew time only, and then behaves as if it were a backup that has
//! heard priority 0 itself: who is better speaks first, and if nobody is, its own
//! next advert follows after its own skew time. The VIPs stay where they are until
//! somebody better has spoken, so a peer that is not there any more costs nothing.
//!
//! Decides which peers are believed, and when; they are remembered in `peers.rs`. A
//! backup is silent: what is known of its priority comes from adverts that it sent
//! while it was master. Whether a whole sync group may ask is decided in
//! `engine/handover.rs`.

use std::net::IpAddr;

use crate::ids::Priority;
use crate::time::Instant;

use super::super::log_lines::InstanceLine;
use super::super::state_machine::{Input, State};
use super::{Context, Running, Sender};

/// What one instance asks, and of whom.
#[derive(Debug, Default)]
pub struct Handover {
    /// Who sent the last advert, and did not take leave with it.
    speaker: Option<IpAddr>,
    /// The priority has changed, and nothing has come of it yet.
    due: Option<Due>,
    /// While it asks: when it speaks again.
    asking: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Ask,
    CallOff,
}

impl Running {
    /// Takes an accepted advert into what is known of its sender.
    pub(super) fn note_candidate(&mut self, sender: Sender) {
        let leads = sender.priority != Priority::ZERO && Some(sender.address) != self.source;
        self.handover.speaker = leads.then_some(sender.address);
        if let Some(peer) = self.peers.of(sender.address) {
            peer.would_lead = leads;
        }
        // It has just said that it is no better any more, and our answer follows.
        if self.peers.better_than(self.priority).is_none() {
            self.handover.asking = None;
        }
    }

    /// The timer of the instance has run out.
    pub(super) fn hear_nobody(&mut self, cx: &mut Context<'_>) {
        if self.state == State::Backup {
            self.strike_silent_master(cx.now);
        } else if self.handover.asking.take().is_some() {
            // Whoever is gone is not asked a second time.
            self.peers.strike_better_than(self.priority);
            self.log(InstanceLine::NobodyTookOver, cx);
        }
    }

    /// If the master was silent for two of its adverts it is gone, and was not just
    /// preempted.
    fn strike_silent_master(&mut self, now: Instant) {
        let speaker = self.handover.speaker.take();
        let Some(peer) = speaker.and_then(|address| self.peers.of(address)) else {
            return;
        };
        let span = peer.known.last_accepted.map(|at| now.since(at));
        let patience = peer.advert_interval().times(2);
        peer.would_lead &= span.is_some_and(|span| span <= patience);
    }

    /// The effective priority has changed.
    pub(super) fn follow_candidates(&mut self, from: Priority) {
        let is_behind = self.peers.better_than(self.priority).is_some();
        self.handover.due = match self.state {
            State::Master if !is_behind => Some(Due::CallOff),
            State::Master if self.priority < from => Some(Due::Ask),
            _ => None,
        };
    }

    /// It has left its state.
    pub(super) fn end_handover(&mut self) {
        (self.handover.due, self.handover.asking) = (None, None);
    }

    /// Whether its priority has just fallen, and a peer is better now. Asked once.
    /// If it has just risen above all of them while it asks, it speaks again.
    pub fn falls_behind(&mut self, cx: &mut Context<'_>) -> bool {
        match self.handover.due.take() {
            None => false,
            Some(Due::Ask) => true,
            Some(Due::CallOff) => {
                if self.handover.asking.take().is_some() {
                    let ours = self.priority;
                    self.log(InstanceLine::HandoverCalledOff { ours }, cx);
                    // As if the next advert were due.
                    self.input(Input::TimerExpired, cx);
                }
                false
            }
        }
    }

    /// What a change of the priority would have led to is led to otherwise.
    pub(super) fn forget_due_handover(&mut self) {
        self.handover.due = None;
    }

    /// While it asks others to take over: when it speaks again.
    pub(super) fn asks_until(&self) -> Option<Instant> {
        self.handover.asking
    }

    /// It has just asked others to take over.
    pub(super) fn note_question(&mut self, cx: &Context<'_>) {
        self.handover.asking = cx.timers.deadline_of(self.timer());
    }

    /// Whether it has asked others to take over, and none has spoken yet.
    pub(super) fn is_handing_over(&self) -> bool {
        self.handover.asking.is_some()
    }

    /// Whether a peer would be a better master.
    pub fn may_hand_over(&self) -> bool {
        self.config.fast_handover
            && self.state == State::Master
            && self.peers.better_than(self.priority).is_some()
    }

    /// Sends priority 0, and leaves a skew time to those who are better.
    pub fn hand_over(&mut self, cx: &mut Context<'_>) {
        let ours = self.priority;
        let Some((theirs, peer)) = self.peers.better_than(ours) else {
            return;
        };
        if self.handover.asking.is_some_and(|until| cx.now < until) {
            return;
        }
        self.log(InstanceLine::HandsOver { peer, theirs, ours }, cx);
        self.input(Input::HandOver, cx);
        self.note_question(cx);
    }
}
