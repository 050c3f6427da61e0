//! `fast_handover`: which peers would be better masters, and asking them.
//!
//! By the RFC a master whose priority falls below that of a backup stays until that
//! backup has waited a whole master-down time. Here it sends priority 0, so that the
//! backup waits a skew time only, and then behaves as if it were a backup that has
//! heard priority 0 itself: who is better speaks first, and if nobody is, its own
//! next advert follows after its own skew time. The VIPs stay where they are until
//! somebody better has spoken, so a peer that is not there any more costs nothing.
//!
//! Decides which peers are believed, and when. A backup is silent: what is known of
//! its priority comes from adverts that it sent while it was master. Whether a whole
//! sync group may ask is decided in `engine/handover.rs`.

use std::net::IpAddr;

use crate::ids::Priority;
use crate::time::{Instant, Interval};

use super::super::log_lines::InstanceLine;
use super::super::state_machine::{Input, State};
use super::{Context, Running, Sender};

/// More peers are not remembered: the best ones are.
const PEERS_MAX: usize = 16;

/// What one instance knows of its peers.
#[derive(Debug, Default)]
pub struct Handover {
    peers: Vec<Peer>,
    /// Who sent the last advert, and did not take leave with it.
    speaker: Option<IpAddr>,
    /// The priority has changed, and nothing has come of it yet.
    due: Option<Due>,
    /// While it asks: when it speaks again.
    asking: Option<Instant>,
}

/// A peer that was master and has not said goodbye.
#[derive(Debug, Clone, Copy)]
struct Peer {
    address: IpAddr,
    priority: Priority,
    interval: Interval,
    heard_at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Ask,
    CallOff,
}

impl Handover {
    /// Nobody is known. Room for all peers is there from the beginning, because
    /// nothing is allocated on the way of an advert.
    pub fn new(enabled: bool) -> Self {
        let room = if enabled { PEERS_MAX } else { 0 };
        Self {
            peers: Vec::with_capacity(room),
            ..Self::default()
        }
    }

    fn note(&mut self, sender: Sender, now: Instant) {
        let is_sender = |peer: &Peer| peer.address == sender.address;
        if sender.priority == Priority::ZERO {
            self.speaker = None;
            self.peers.retain(|peer| !is_sender(peer));
            return;
        }
        self.speaker = Some(sender.address);
        let peer = Peer {
            address: sender.address,
            priority: sender.priority,
            interval: sender.advert_interval,
            heard_at: now,
        };
        if let Some(known) = self.peers.iter_mut().find(|peer| is_sender(peer)) {
            *known = peer;
        } else if self.peers.len() < PEERS_MAX {
            self.peers.push(peer);
        } else if let Some(worst) = self.peers.iter_mut().min_by_key(|peer| peer.priority)
            && worst.priority < peer.priority
        {
            *worst = peer;
        }
    }

    /// The master is silent: if it was so for two of its adverts it is gone, and was
    /// not just preempted.
    fn forget_silent(&mut self, now: Instant) {
        let speaker = self.speaker.take();
        self.peers.retain(|peer| {
            let silent = now.since(peer.heard_at) > peer.interval.times(2);
            speaker != Some(peer.address) || !silent
        });
    }

    /// The best of those who are better than `own`.
    fn better_than(&self, own: Priority) -> Option<&Peer> {
        let better = self.peers.iter().filter(|peer| peer.priority > own);
        better.max_by_key(|peer| (peer.priority, peer.address))
    }

    fn priority_changed(&mut self, from: Priority, to: Priority) {
        let is_passed = |peer: &Peer| peer.priority > to && peer.priority <= from;
        self.due = if self.peers.iter().any(is_passed) {
            Some(Due::Ask)
        } else if self.better_than(to).is_none() {
            Some(Due::CallOff)
        } else {
            None
        };
    }
}

impl Running {
    /// Takes an accepted advert into what is known of its sender.
    pub(super) fn note_peer(&mut self, sender: Sender, cx: &Context<'_>) {
        if self.config.fast_handover && Some(sender.address) != self.source {
            self.handover.note(sender, cx.now);
        }
    }

    /// The timer of the instance has run out.
    pub(super) fn hear_nobody(&mut self, cx: &mut Context<'_>) {
        if self.state == State::Backup {
            self.handover.forget_silent(cx.now);
        } else if self.handover.asking.take().is_some() {
            // Whoever is gone is not asked a second time.
            let own = self.priority;
            self.handover.peers.retain(|peer| peer.priority <= own);
            self.log(InstanceLine::NobodyTookOver, cx);
        }
    }

    /// The effective priority has changed.
    pub(super) fn follow_peers(&mut self, from: Priority) {
        if self.config.fast_handover && self.state == State::Master {
            self.handover.priority_changed(from, self.priority);
        }
    }

    /// It has left its state.
    pub(super) fn end_handover(&mut self) {
        (self.handover.due, self.handover.asking) = (None, None);
    }

    /// Whether its priority has just fallen below that of a peer. Asked once.
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

    /// Whether it has asked others to take over, and none has spoken yet.
    pub(super) fn is_handing_over(&self) -> bool {
        self.handover.asking.is_some()
    }

    /// Whether a peer would be a better master.
    pub fn may_hand_over(&self) -> bool {
        self.config.fast_handover
            && self.state == State::Master
            && self.handover.better_than(self.priority).is_some()
    }

    /// Sends priority 0, and leaves a skew time to those who are better.
    pub fn hand_over(&mut self, cx: &mut Context<'_>) {
        let ours = self.priority;
        let Some(peer) = self.handover.better_than(ours).copied() else {
            return;
        };
        if self.handover.asking.is_some_and(|until| cx.now < until) {
            return;
        }
        let (peer, theirs) = (peer.address, peer.priority);
        self.log(InstanceLine::HandsOver { peer, theirs, ours }, cx);
        self.input(Input::HandOver, cx);
        self.handover.asking = cx.timers.deadline_of(self.timer());
    }
}
