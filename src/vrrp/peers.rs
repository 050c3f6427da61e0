//! Who else sends adverts with the VRID of an instance.
//!
//! Decides who is remembered, and who is forgotten when there is no more room:
//! whoever sends made-up source addresses must not push out a router whose
//! adverts were accepted. What follows for the instance is decided in
//! `instance/contended.rs`.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::config::model::Instance;
use crate::ids::Priority;
use crate::time::{Instant, Interval};

use super::contention::Contention;
use super::receive::Reject;
use super::snapshot::{Claims, PeerSnapshot};

/// How many routers are remembered besides the unicast peers.
pub const STRANGERS: usize = 16;

/// After so long a router whose adverts were accepted is as good as gone.
const FORGET_ACCEPTED: Interval = Interval::from_secs(3_600);

/// After so long one whose adverts were refused is.
const FORGET_REFUSED: Interval = Interval::from_secs(60);

/// From so many refused adverts on a sender is more than a stray packet.
const PERSISTENT: u64 = 3;

/// Everybody that is remembered. Room for one is made when that is heard, room for all
/// when the second one is, and never again.
#[derive(Debug, Default)]
pub struct Peers {
    entries: Vec<Peer>,
    /// How many of them, the first, are unicast peers of the configuration.
    configured: usize,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// What is known of it.
    pub known: PeerSnapshot,
    /// Its adverts of late that made neither of us give way.
    pub rivalry: Option<Rivalry>,
    /// It was master with the priority that it claims, and has neither said goodbye
    /// nor gone silent as one: it would take over if it were asked.
    pub would_lead: bool,
    /// Its last accepted advert has the checksum that we accept and do not send.
    pub other_checksum: bool,
}

/// A row of adverts of another master, none of which made one of us give way,
/// and all for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rivalry {
    /// Why not: that of the last one.
    pub reason: Contention,
    /// How many there were.
    pub adverts: u32,
    /// When the first one came.
    pub first: Instant,
    /// When the last one came.
    pub last: Instant,
}

impl Peers {
    /// Those of an instance that has heard nobody.
    pub fn new(config: &Instance) -> Self {
        let peers = config.unicast_peers.iter();
        let entries: Vec<Peer> = peers.map(|peer| Peer::new(peer.address, true)).collect();
        Self {
            configured: entries.len(),
            entries,
        }
    }

    /// Goes over to the unicast peers of another configuration. What is known of
    /// anybody stays known; a peer that is none any more is a stranger.
    pub fn follow(&mut self, config: &Instance) {
        let before = std::mem::take(&mut self.entries);
        let mut known: HashMap<IpAddr, Peer> = before
            .iter()
            .map(|peer| (peer.known.address, *peer))
            .collect();
        self.configured = config.unicast_peers.len();
        let limit = self.configured.saturating_add(STRANGERS);
        let wanted = self.configured.saturating_add(before.len());
        self.entries.reserve_exact(wanted.min(limit));
        for peer in &config.unicast_peers {
            let mut entry = known
                .remove(&peer.address)
                .unwrap_or_else(|| Peer::new(peer.address, true));
            entry.known.configured = true;
            self.entries.push(entry);
        }
        for mut peer in before {
            let heard = peer.known.last_seen.is_some();
            if heard && known.contains_key(&peer.known.address) && self.entries.len() < limit {
                peer.known.configured = false;
                self.entries.push(peer);
            }
        }
    }

    /// All of them: the unicast peers in the order of the configuration first.
    pub fn iter(&self) -> impl Iterator<Item = &PeerSnapshot> {
        self.entries.iter().map(|peer| &peer.known)
    }

    /// The best of those who would take over with more than `own`.
    pub fn better_than(&self, own: Priority) -> Option<(Priority, IpAddr)> {
        let candidates = self.entries.iter();
        let candidates =
            candidates.filter_map(|peer| Some((peer.candidacy()?, peer.known.address)));
        candidates.filter(|(theirs, _)| *theirs > own).max()
    }

    /// Those who would take over with more than `own` were asked, and did not.
    pub fn strike_better_than(&mut self, own: Priority) {
        for peer in &mut self.entries {
            if peer.candidacy().is_some_and(|theirs| theirs > own) {
                peer.would_lead = false;
            }
        }
    }

    /// All of them, in the same order, with their rivalries.
    pub fn entries(&self) -> &[Peer] {
        &self.entries
    }

    /// The one with this address.
    pub fn of(&mut self, address: IpAddr) -> Option<&mut Peer> {
        let mut entries = self.entries.iter_mut();
        entries.find(|peer| peer.known.address == address)
    }

    /// An advert was accepted.
    pub fn accepted(&mut self, from: IpAddr, claims: Claims, now: Instant) {
        if let Some(Peer { known, rivalry, .. }) = self.place_for(from, true, now) {
            // What kept us from hearing it is mended.
            *rivalry = rivalry.filter(|row| !matches!(row.reason, Contention::Refused(_)));
            known.last_seen = Some(now);
            known.claims = Some(claims);
            known.accepted = known.accepted.saturating_add(1);
            known.last_accepted = Some(now);
            known.addresses_differ = false;
        }
    }

    /// An advert was refused.
    pub fn refused(&mut self, from: IpAddr, claims: Claims, reason: Reject, now: Instant) {
        if let Some(Peer { known, .. }) = self.place_for(from, false, now) {
            known.last_seen = Some(now);
            // Anybody can use the address of a router that we know.
            if known.accepted == 0 {
                known.claims = Some(claims);
            }
            known.rejected = known.rejected.saturating_add(1);
            known.last_reject = Some((reason, now));
        }
    }

    /// The place of a sender, if there is one for it.
    fn place_for(&mut self, address: IpAddr, accepted: bool, now: Instant) -> Option<&mut Peer> {
        let known = |peer: &Peer| peer.known.address == address;
        let place = match self.entries.iter().position(known) {
            Some(place) => place,
            None => self.make_room(address, accepted, now)?,
        };
        self.entries.get_mut(place)
    }

    /// A place for a sender that is not known yet.
    fn make_room(&mut self, address: IpAddr, accepted: bool, now: Instant) -> Option<usize> {
        let limit = self.configured.saturating_add(STRANGERS);
        let count = self.entries.len();
        if count < limit {
            // Most hear one other router, ever.
            let room = match count > self.configured {
                true => limit.saturating_sub(count),
                false => 1,
            };
            self.entries.reserve_exact(room);
            self.entries.push(Peer::new(address, false));
            return Some(count);
        }
        let strangers = self.entries.iter().enumerate().skip(self.configured);
        let (place, least) =
            strangers.min_by_key(|(_, peer)| (peer.worth(now), peer.known.last_seen))?;
        if !accepted && least.worth(now) > Worth::Stray {
            return None;
        }
        *self.entries.get_mut(place)? = Peer::new(address, false);
        Some(place)
    }
}

/// How little it matters that somebody is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// A stray packet, or somebody long gone.
    Stray,
    /// Goes on sending what is refused.
    Persistent,
    /// Its adverts are accepted.
    Accepted,
}

impl Peer {
    const fn new(address: IpAddr, configured: bool) -> Self {
        Self {
            known: PeerSnapshot {
                address,
                configured,
                last_seen: None,
                claims: None,
                accepted: 0,
                last_accepted: None,
                rejected: 0,
                last_reject: None,
                addresses_differ: false,
            },
            rivalry: None,
            would_lead: false,
            other_checksum: false,
        }
    }

    /// The priority with which it would take over if it were asked.
    pub fn candidacy(&self) -> Option<Priority> {
        let claims = self.known.claims.filter(|_| self.would_lead)?;
        Some(claims.priority)
    }

    fn worth(&self, now: Instant) -> Worth {
        let known = &self.known;
        let within = |at: Option<Instant>, span| at.is_some_and(|at| now.since(at) < span);
        if within(known.last_accepted, FORGET_ACCEPTED) {
            Worth::Accepted
        } else if known.rejected >= PERSISTENT && within(known.last_seen, FORGET_REFUSED) {
            Worth::Persistent
        } else {
            Worth::Stray
        }
    }

    /// The interval that it says it sends with.
    pub fn advert_interval(&self) -> Interval {
        let claims = self.known.claims;
        claims.map_or(Interval::ZERO, |claims| claims.advert_interval)
    }

    /// The priority that it says it has, 0 while nothing is known.
    pub fn priority(&self) -> Priority {
        let claims = self.known.claims;
        claims.map_or(Priority::ZERO, |claims| claims.priority)
    }

    /// One more advert of a rival. A pause longer than `patience`, or another
    /// reason, begins a new row.
    pub fn go_on(&mut self, reason: Contention, patience: Interval, now: Instant) {
        let alike = |row: &Rivalry| row.reason.is_like(reason) && now.since(row.last) <= patience;
        let row = self.rivalry.filter(alike);
        self.rivalry = Some(Rivalry {
            reason,
            adverts: row.map_or(0, |row| row.adverts).saturating_add(1),
            first: row.map_or(now, |row| row.first),
            last: now,
        });
    }
}

/// What a readable message says of its sender.
pub fn claims(packet: &crate::wire::advert::Packet<'_>) -> Claims {
    Claims {
        priority: Priority(packet.priority()),
        advert_interval: packet.advert_interval(),
        version: packet.version(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIMS: Claims = Claims {
        priority: Priority(100),
        advert_interval: Interval::from_secs(1),
        version: 2,
    };

    fn sender(number: u8) -> IpAddr {
        [10, 0, 0, number].into()
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Interval::from_secs(seconds)
    }

    fn addresses(peers: &Peers) -> Vec<IpAddr> {
        peers.iter().map(|peer| peer.address).collect()
    }

    #[test]
    fn a_flood_of_made_up_senders_pushes_nobody_out_who_was_accepted() {
        let mut peers = Peers::default();
        peers.accepted(sender(1), CLAIMS, at(0));
        for _ in 0..3 {
            peers.refused(sender(2), CLAIMS, Reject::Password, at(1));
        }
        for number in 0..60_000_u16 {
            let [high, low] = number.to_be_bytes();
            let from = [10, 1, high, low].into();
            peers.refused(from, CLAIMS, Reject::Password, at(2));
        }
        assert_eq!(addresses(&peers).len(), STRANGERS);
        assert_eq!(addresses(&peers)[..2], [sender(1), sender(2)]);
        // Accepted ones have a place, whoever was refused; the oldest goes first.
        for number in 11..11 + 16 {
            peers.accepted(sender(number), CLAIMS, at(u64::from(number)));
        }
        assert!(!addresses(&peers).contains(&sender(1)));
        peers.refused(sender(200), CLAIMS, Reject::Password, at(30));
        assert!(!addresses(&peers).contains(&sender(200)));
        // Until they are gone for good.
        peers.refused(sender(200), CLAIMS, Reject::Password, at(4_000));
        assert!(addresses(&peers).contains(&sender(200)));
        assert_eq!(peers.entries.capacity(), STRANGERS);
    }

    #[test]
    fn a_refused_advert_does_not_speak_for_a_router_that_is_known() {
        let mut peers = Peers::default();
        let other = Claims {
            priority: Priority(255),
            ..CLAIMS
        };
        peers.refused(sender(1), other, Reject::Password, at(0));
        assert_eq!(peers.iter().next().and_then(|it| it.claims), Some(other));
        peers.accepted(sender(1), CLAIMS, at(1));
        peers.refused(sender(1), other, Reject::Password, at(2));
        let known = peers.iter().next().expect("a peer");
        assert_eq!(known.claims, Some(CLAIMS));
        assert_eq!((known.accepted, known.rejected), (1, 2));
        assert_eq!(known.last_accepted, Some(at(1)));
        assert_eq!(known.last_seen, Some(at(2)));
        assert_eq!(known.last_reject, Some((Reject::Password, at(2))));
    }

    #[test]
    fn a_pause_or_another_reason_begins_a_new_row() {
        let mut peer = Peer::new(sender(1), false);
        let patience = Interval::from_secs(4);
        let mut advert = |second, reason| {
            peer.go_on(reason, patience, at(second));
            let row = peer.rivalry.expect("a row");
            (row.adverts, row.first)
        };
        let version = |received| {
            let expected = 2;
            Contention::Refused(Reject::Version { received, expected })
        };
        assert_eq!(advert(1, version(3)), (1, at(1)));
        assert_eq!(advert(5, version(4)), (2, at(1)));
        assert_eq!(advert(10, version(3)), (1, at(10)));
        assert_eq!(advert(11, Contention::Unheard), (1, at(11)));
        assert_eq!(advert(12, Contention::Unheard), (2, at(11)));
    }
}
