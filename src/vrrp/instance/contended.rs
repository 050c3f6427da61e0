//! What an instance makes of the other routers with its VRID: who they are, and
//! whether one of them is MASTER beside it.
//!
//! An instance that is MASTER is contended when another master goes on: at least
//! three adverts over at least two of our intervals. One that hears us would
//! have given way by then, even if two adverts were lost. Two within a minute are
//! enough where the other one cannot accept ours either: a node with C keepalived
//! sends few others then (`Contention::is_mutual`). It is over when the other one
//! was silent for a master-down time, or a minute where silence says so little;
//! or when the instance is not MASTER any more.
//!
//! Nothing but what is told follows from it.

use std::net::IpAddr;

use crate::ids::Priority;
use crate::time::{Instant, Interval};

use super::super::contention::{Contended, Contention};
use super::super::log_limits;
use super::super::log_lines::InstanceLine;
use super::super::peers::{Peer, Rivalry};
use super::super::receive::Reject;
use super::super::snapshot::Claims;
use super::super::state_machine::State;
use super::{Context, Running};

/// So many adverts of another master are no accident.
const ADVERTS: u32 = 3;

/// The same where the other one is hardly heard.
const MUTUAL_ADVERTS: u32 = 2;

/// Nor is what lasts for so many of our own advert intervals.
const INTERVALS: u64 = 2;

/// Adverts that may be missing of a master that goes on.
const MISSING: u64 = 3;

/// The longest skew time of version 2.
const LONGEST_SKEW: Interval = Interval::from_secs(1);

/// How long the silence of a master means nothing that refuses our adverts.
const MUTUAL_SILENCE: Interval = Interval::from_secs(60);

/// A while of being contended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Episode {
    /// What there is to say.
    seen: Contended,
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
        self.note_rival(from, claims.priority, Contention::Refused(reason), cx);
    }

    /// The other master, if it is MASTER and there is one.
    pub fn contended(&self) -> Option<Contended> {
        self.contended.as_ref().map(|episode| episode.seen)
    }

    /// Another master sent an advert after which it is master, and so are we if
    /// we were. Adverts that are refused count before we become MASTER, too.
    pub(super) fn note_rival(
        &mut self,
        from: IpAddr,
        priority: Priority,
        reason: Contention,
        cx: &mut Context<'_>,
    ) {
        let is_master = self.state == State::Master;
        if !is_master && !matches!(reason, Contention::Refused(_)) {
            return;
        }
        let reason = self.seen_from_here(from, reason);
        let own = self.config.advert_interval;
        let Some(peer) = self.peers.of(from) else {
            return;
        };
        if priority == Priority::ZERO {
            // Who resigns is no master.
            peer.rivalry = None;
            return;
        }
        let reason = match reason {
            Contention::Unheard if peer.other_checksum => Contention::OtherChecksum,
            Contention::Unheard if peer.known.addresses_differ => Contention::OtherVips,
            reason => reason,
        };
        let patience = patience(own, peer, reason);
        let heard = peer.known.last_accepted;
        if reason.is_replay() && heard.is_some_and(|at| cx.now.since(at) <= patience) {
            return;
        }
        peer.go_on(reason, patience, cx.now);
        self.has_rivals = true;
        if is_master {
            self.look_for_rival(Some(from), cx);
        }
    }

    fn seen_from_here(&self, from: IpAddr, reason: Contention) -> Contention {
        let sends_to_it = self.config.unicast_peers.is_empty() || self.config.is_peer(from);
        match reason {
            _ if self.source() == Some(from) => Contention::SameAddress,
            Contention::Unheard if !sends_to_it => Contention::NotOurPeer,
            reason => reason,
        }
    }

    /// As MASTER, with every own advert and every one of a rival: whether there
    /// is another master, or not any more. `sender` is the only one to look at.
    pub(super) fn look_for_rival(&mut self, sender: Option<IpAddr>, cx: &mut Context<'_>) {
        if self.state != State::Master || !self.has_rivals {
            return;
        }
        let judge = Judge {
            own: self.config.advert_interval,
            since: self.entered_at.unwrap_or_default(),
            now: cx.now,
        };
        let entries = self.peers.entries();
        let of = |address| entries.iter().find(|peer| peer.known.address == address);
        let found = match sender {
            Some(sender) => of(sender).and_then(|peer| judge.master(peer)),
            None => entries.iter().find_map(|peer| judge.master(peer)),
        };
        let before = self.contended();
        let known = before.and_then(|seen| of(seen.peer));
        let goes_on = known.is_some_and(|peer| judge.row(peer).is_some());
        if sender.is_none() {
            let mut rows = entries.iter().map(|peer| judge.row(peer));
            self.has_rivals = rows.any(|row| row.is_some());
        }
        match (before, found) {
            (None, Some(found)) => self.begin_episode(found, cx),
            (Some(_), _) if !goes_on => self.end_episode(cx),
            (Some(before), Some(found)) if found.peer == before.peer => {
                self.go_on_with_episode(before, found, cx);
            }
            // One rival is enough to say so.
            _ => {}
        }
    }

    fn begin_episode(&mut self, seen: Contended, cx: &mut Context<'_>) {
        let told = self.log_limited(log_limits::CONTENDED, InstanceLine::Contended(seen), cx);
        self.contended = Some(Box::new(Episode { seen, told }));
    }

    fn go_on_with_episode(&mut self, before: Contended, found: Contended, cx: &mut Context<'_>) {
        let since = before.since;
        let seen = Contended { since, ..found };
        let alike = before.reason.is_like(found.reason);
        let told =
            !alike && self.log_limited(log_limits::CONTENDED, InstanceLine::Contended(seen), cx);
        if let Some(episode) = &mut self.contended {
            episode.seen = seen;
            episode.told |= told;
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

/// What is made of the adverts of others at one moment.
struct Judge {
    own: Interval,
    /// When the instance became MASTER.
    since: Instant,
    now: Instant,
}

impl Judge {
    /// The row of adverts of `peer`, if it may go on.
    fn row(&self, peer: &Peer) -> Option<Rivalry> {
        let fresh =
            |row: &Rivalry| self.now.since(row.last) <= patience(self.own, peer, row.reason);
        peer.rivalry.filter(fresh)
    }

    /// `peer` as another master, if its adverts can be nothing else.
    fn master(&self, peer: &Peer) -> Option<Contended> {
        let row = self.row(peer).filter(|row| self.is_certain(row))?;
        Some(Contended {
            since: row.first,
            peer: peer.known.address,
            priority: peer.priority(),
            reason: row.reason,
        })
    }

    fn is_certain(&self, row: &Rivalry) -> bool {
        let least = self.own.times(INTERVALS);
        let begin = row.first.max(self.since);
        if row.reason.is_mutual() {
            // What was before we were MASTER is heard no more since, perhaps.
            let lasts = row.last.since(row.first) >= self.own && self.now.since(begin) >= least;
            return row.adverts >= MUTUAL_ADVERTS && lasts;
        }
        row.adverts >= ADVERTS && row.last.since(begin) >= least
    }
}

/// How long a master may be silent that goes on: the master-down time of the
/// slower of both, with the longest skew time.
fn patience(ours: Interval, peer: &Peer, reason: Contention) -> Interval {
    let slower = ours.max(peer.advert_interval());
    let silence = slower.times(MISSING) + LONGEST_SKEW;
    if reason.is_mutual() {
        silence.max(MUTUAL_SILENCE)
    } else {
        silence
    }
}
