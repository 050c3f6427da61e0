//! What an instance makes of the other routers with its VRID: who they are, and
//! whether one of them is MASTER beside it.
//!
//! An instance that is MASTER is contended once another master went on for at
//! least three adverts and two advert intervals without either of them giving
//! way: by then one that hears us would have given way even if two adverts were
//! lost. It ends when the other one is silent for a master-down time, or when
//! the instance is not MASTER any more. Nothing but what is told follows from it.

use std::net::IpAddr;

use crate::ids::Priority;
use crate::time::{Instant, Interval};

use super::super::contention::{Contended, Contention};
use super::super::log_limits;
use super::super::log_lines::InstanceLine;
use super::super::receive::Reject;
use super::super::snapshot::Claims;
use super::super::state_machine::State;
use super::{Context, Running};

/// So many adverts of another master make no accident.
const ADVERTS: u32 = 3;

/// Nor does what lasts for so many of our own advert intervals.
const INTERVALS: u64 = 2;

/// Adverts that may be missing of a master that goes on.
const MISSING: u64 = 3;

/// A while of being contended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Episode {
    /// What there is to say.
    pub(super) seen: Contended,
    /// When the other one was heard last.
    last: Instant,
    /// Its beginning was logged, and its end will be.
    told: bool,
}

impl Running {
    /// Counts a refused datagram, and logs the first one of its kind.
    pub fn refuse(&mut self, from: IpAddr, claims: Claims, reason: Reject, cx: &mut Context<'_>) {
        reason.count(&mut self.statistics);
        let rejected = InstanceLine::Rejected { from, reason };
        self.log_limited(reason.kind(), rejected, cx);
        self.peers.refused(from, claims, reason, cx.now);
        self.note_rival((from, claims.priority), Contention::Refused(reason), cx);
    }

    /// As MASTER: another master sent an advert after which both are MASTER.
    pub(super) fn note_rival(
        &mut self,
        (from, priority): (IpAddr, Priority),
        reason: Contention,
        cx: &mut Context<'_>,
    ) {
        // Who resigns contends for nothing.
        if self.state != State::Master || priority == Priority::ZERO {
            return;
        }
        let now = cx.now;
        let reason = if self.source() == Some(from) {
            Contention::SameAddress
        } else {
            reason
        };
        let own = self.config.advert_interval;
        let since = self.entered_at.unwrap_or_default();
        let Some(peer) = self.peers.of(from) else {
            return;
        };
        let patience = patience(own, peer.advert_interval());
        let row = peer.go_on(reason, (since, patience), now);
        let lasting = row.last.since(row.first) >= own.times(INTERVALS);
        if row.adverts < ADVERTS || !lasting {
            return;
        }
        let seen = Contended {
            since: row.first,
            peer: from,
            priority,
            reason,
        };
        match &mut self.contended {
            None => self.begin_episode(seen, cx),
            Some(episode) if episode.seen.peer == from => {
                (episode.last, episode.seen.priority) = (now, priority);
                let other = !episode.seen.reason.is_like(reason);
                if other && row.alike >= ADVERTS {
                    let since = episode.seen.since;
                    self.begin_episode(Contended { since, ..seen }, cx);
                }
            }
            // One rival is enough to say so.
            Some(_) => {}
        }
    }

    fn begin_episode(&mut self, seen: Contended, cx: &mut Context<'_>) {
        let told_before = self.contended.is_some_and(|episode| episode.told);
        let told = self.log_limited(log_limits::CONTENDED, InstanceLine::Contended(seen), cx);
        self.contended = Some(Episode {
            seen,
            last: cx.now,
            told: told || told_before,
        });
    }

    /// As MASTER, with every own advert: whether the rival has gone.
    pub(super) fn look_for_rival(&mut self, cx: &mut Context<'_>) {
        let Some(episode) = self.contended else {
            return;
        };
        let peer = self.peers.of(episode.seen.peer);
        let theirs = peer.map_or(Interval::ZERO, |peer| peer.advert_interval());
        if cx.now.since(episode.last) > patience(self.config.advert_interval, theirs) {
            self.end_episode(cx);
        }
    }

    /// Nobody else is MASTER any more, or we are not.
    pub(super) fn end_episode(&mut self, cx: &mut Context<'_>) {
        let Some(episode) = self.contended.take().filter(|episode| episode.told) else {
            return;
        };
        let peer = episode.seen.peer;
        let lasted = cx.now.since(episode.seen.since);
        let silent = self.state == State::Master;
        let line = InstanceLine::NotContended {
            peer,
            lasted,
            silent,
        };
        self.log(line, cx);
    }
}

/// How long a master may be silent that goes on: the master-down time of the
/// slower of both, with the longest skew time.
fn patience(ours: Interval, theirs: Interval) -> Interval {
    ours.max(theirs).times(MISSING) + Interval::from_secs(1)
}
