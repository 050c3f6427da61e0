//! Whether a signed advert is what it claims to be, and new; and the sequences
//! of our own.
//!
//! Decides on the IP authentication header (`auth_type AH`) and on the trailer
//! of `auth_hmac` (specification D.7). What is signed is decided in
//! `wire/auth.rs`, and in which order a datagram is checked in `receive.rs`.
//!
//! No clock is read here: callers say what the wall clock shows, in microseconds
//! since 1970.

use std::cmp::Reverse;
use std::fmt;
use std::net::IpAddr;

use crate::config::model::{AuthHmac, HmacMode, Instance};
use crate::time::Interval;
use crate::wire::advert::{IP_PROTOCOL, Packet};
use crate::wire::auth::ah;
use crate::wire::auth::trailer::{Sequence, Subject, Trailer};

use super::rare::{Blank, Rare};
use super::statistics::Statistics;

/// Senders that are remembered besides the peers of the configuration
/// (specification D.7). The one that was silent longest is forgotten for
/// another; a datagram counts here only after its signature was found right.
const SENDERS: usize = 4;

/// Where the sequences of the authentication header begin: 2020 in seconds since
/// 1970. They are used up in 2054.
const HEADER_SEQUENCE_EPOCH_S: u64 = 1_577_836_800;

/// Sequences of the authentication header in a second. Version 2 sends one
/// advert a second, so that the sequences do not run ahead of the time, and who
/// begins anew begins above where he was.
const HEADER_SEQUENCES_PER_S: u64 = 4;

/// The sequences of one instance: what it sent last, and what it accepted last
/// from each sender.
#[derive(Debug, Default)]
pub struct Sequences {
    /// The greatest that was sent or accepted.
    header: u32,
    /// The last that was sent.
    trailer: Option<Sequence>,
    headers: Rare<Newest<u32>>,
    trailers: Rare<Newest<Sequence>>,
}

impl Sequences {
    /// Those of an instance that has not begun. Allocates what it will need.
    pub fn new(instance: &Instance) -> Self {
        let senders = instance.unicast_peers.len().saturating_add(SENDERS);
        let mut new = Self::default();
        if instance.header_key().is_some() {
            *new.headers.make() = Newest::with_room(senders);
        }
        if instance.auth_hmac.is_some() {
            *new.trailers.make() = Newest::with_room(senders);
        }
        new
    }

    /// Goes over to another configuration of the instance. What was accepted stays
    /// accepted, whatever the keys are now, as long as there is such a signature.
    pub fn follow(&mut self, instance: &Instance) {
        let senders = instance.unicast_peers.len().saturating_add(SENDERS);
        match instance.header_key() {
            Some(_) => self.headers.make().resize(senders),
            None => self.headers.clear(),
        }
        match instance.auth_hmac {
            Some(_) => self.trailers.make().resize(senders),
            None => self.trailers.clear(),
        }
    }

    /// The sequence of the next advert with an authentication header: more than
    /// all that were sent or accepted, as C keepalived 2.2.7 counts, which has
    /// one number for both and refuses what is not above it. So a C node that
    /// began anew finds its way back, having heard us. And at least that of the
    /// time, so that a new process is not taken for a replay.
    pub fn next_header(&mut self, unix_us: u64) -> u32 {
        let since_epoch_us =
            unix_us.saturating_sub(HEADER_SEQUENCE_EPOCH_S.saturating_mul(1_000_000));
        let of_time = since_epoch_us.saturating_mul(HEADER_SEQUENCES_PER_S) / 1_000_000;
        let of_time = u32::try_from(of_time).unwrap_or(0);
        self.header = self.header.saturating_add(1).max(of_time);
        self.header
    }

    /// The sequence of the next trailer: the time, or if that is not later than
    /// the last one, the one after it. If the clock was set back by more than the
    /// window, the time all the same: peers would find anything else stale. Not
    /// with `anti_replay monotonic`, where only the order counts.
    pub fn next_trailer(&mut self, extension: &AuthHmac, unix_us: u64) -> Sequence {
        let time = Sequence::at(unix_us);
        let next = match self.trailer {
            Some(last) if !time.is_after(last) => {
                let ahead_s = time.seconds_until(last);
                if extension.monotonic || is_within(ahead_s, extension.time_window) {
                    last.next()
                } else {
                    time
                }
            }
            _ => time,
        };
        self.trailer = Some(next);
        next
    }

    /// Takes note of the right and new `trailer` of a datagram that passed all other
    /// checks, too. Not before: the IP header is not signed, and who changes that on the
    /// way must not make the unchanged datagram look like a replay.
    pub fn note_trailer(&mut self, source: IpAddr, trailer: &[u8]) {
        if let (Some(trailers), Some(trailer)) = (self.trailers.if_any(), Trailer::new(trailer)) {
            trailers.note(source, trailer.sequence);
        }
    }
}

/// The newest sequence of each of the senders that were heard last.
#[derive(Debug, PartialEq)]
struct Newest<T> {
    heard: Vec<Heard<T>>,
    room: usize,
    turn: u64,
}

#[derive(Debug, PartialEq)]
struct Heard<T> {
    sender: IpAddr,
    newest: T,
    turn: u64,
}

impl<T> Default for Newest<T> {
    fn default() -> Self {
        Self {
            heard: Vec::new(),
            room: 0,
            turn: 0,
        }
    }
}

impl<T: PartialEq + 'static> Blank for Newest<T> {
    const BLANK: &'static Self = &Self {
        heard: Vec::new(),
        room: 0,
        turn: 0,
    };
}

impl<T: Copy> Newest<T> {
    fn with_room(room: usize) -> Self {
        Self {
            heard: Vec::with_capacity(room),
            room,
            turn: 0,
        }
    }

    /// Room for so many; those who were silent longest go first.
    fn resize(&mut self, room: usize) {
        if room < self.heard.len() {
            self.heard.sort_by_key(|it| Reverse(it.turn));
            self.heard.truncate(room);
        }
        self.heard
            .reserve_exact(room.saturating_sub(self.heard.len()));
        self.room = room;
    }

    fn of(&self, sender: IpAddr) -> Option<T> {
        let mut heard = self.heard.iter();
        heard.find(|it| it.sender == sender).map(|it| it.newest)
    }

    fn note(&mut self, sender: IpAddr, newest: T) {
        self.turn = self.turn.saturating_add(1);
        let new = Heard {
            sender,
            newest,
            turn: self.turn,
        };
        let known = self.heard.iter().position(|it| it.sender == sender);
        let place = match known {
            None if self.heard.len() < self.room => return self.heard.push(new),
            None => {
                let oldest = self.heard.iter().enumerate().min_by_key(|(_, it)| it.turn);
                oldest.map(|(place, _)| place)
            }
            known => known,
        };
        if let Some(place) = place.and_then(|place| self.heard.get_mut(place)) {
            *place = new;
        }
    }
}

/// A received authentication header, with the datagram that it signs.
#[derive(Debug, Clone, Copy)]
pub struct SignedDatagram<'a> {
    /// The header.
    pub header: ah::Header<'a>,
    /// The whole datagram, as received.
    pub bytes: &'a [u8],
}

/// What is wrong with an authentication header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderFault {
    /// There is one, and it is not configured.
    Unexpected,
    /// There is none, and it is configured.
    Missing,
    /// The security parameters index is not the sender's address.
    Index {
        /// In the header.
        received: u32,
        /// The address as a number.
        expected: u32,
    },
    /// The signature is wrong: the password differs.
    Signature,
    /// Not newer than the last one of this sender.
    Replayed {
        /// In the header.
        received: u32,
        /// The last one accepted.
        newest: u32,
    },
}

impl HeaderFault {
    /// Its counter.
    pub fn counter(self, statistics: &mut Statistics) -> &mut u64 {
        match self {
            Self::Unexpected | Self::Missing => &mut statistics.authtype_mismatch,
            Self::Index { .. } | Self::Signature | Self::Replayed { .. } => {
                &mut statistics.auth_failure
            }
        }
    }

    /// The text after the name of the instance (specification E.5).
    pub fn write(self, from: IpAddr, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected => write!(f, "Received AH header but auth type not AH from {from}"),
            Self::Missing => write!(f, "No AH header but auth type is AH from {from}"),
            Self::Index { received, expected } => write!(
                f,
                "IPSEC AH : invalid IPSEC SPI value. {received} and expect {expected}"
            ),
            Self::Signature => f.write_str(
                "IPSEC-AH : invalid IPSEC HMAC-MD5 value. \
                 Due to fields mutation or bad password !",
            ),
            Self::Replayed { received, newest } => write!(
                f,
                "IPSEC-AH : sequence number {received} already processed. \
                 Packet dropped. Local({newest})"
            ),
        }
    }
}

/// Checks the header of a datagram for an instance with this `key`, and takes
/// note of its sequence.
pub fn check_header(
    key: &[u8],
    source: IpAddr,
    datagram: &SignedDatagram<'_>,
    sequences: &mut Sequences,
) -> Result<(), HeaderFault> {
    let SignedDatagram { header, bytes } = datagram;
    let expected = match source {
        IpAddr::V4(address) => u32::from(address),
        // There is no such header over IPv6.
        IpAddr::V6(_) => return Err(HeaderFault::Unexpected),
    };
    let received = header.index;
    if received != expected {
        return Err(HeaderFault::Index { received, expected });
    }
    if header.next_header != IP_PROTOCOL || !header.is_right(key, bytes) {
        return Err(HeaderFault::Signature);
    }
    let received = header.sequence;
    if let Some(newest) = sequences.headers.of(source).filter(|it| received <= *it) {
        return Err(HeaderFault::Replayed { received, newest });
    }
    if let Some(headers) = sequences.headers.if_any() {
        headers.note(source, received);
    }
    sequences.header = sequences.header.max(received);
    Ok(())
}

/// What is wrong with a trailer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrailerFault {
    /// There is none.
    Missing,
    /// There are as many octets, but they are no trailer.
    Malformed,
    /// Signed with a key that we do not have.
    UnknownKey(u8),
    /// The signature is wrong: one key number, two keys.
    Signature,
    /// The clocks differ too much, or it is an old one.
    Stale {
        /// Our time without theirs, in seconds.
        skew_s: i32,
        /// What is allowed, in seconds.
        window_s: u64,
    },
    /// Not newer than the last one of this sender.
    Replayed,
}

impl TrailerFault {
    /// Its counter.
    pub fn counter(self, statistics: &mut Statistics) -> &mut u64 {
        match self {
            Self::Missing => &mut statistics.auth_ext_missing,
            Self::Malformed => &mut statistics.auth_ext_malformed,
            Self::UnknownKey(_) => &mut statistics.auth_ext_unknown_key,
            Self::Signature => &mut statistics.auth_ext_invalid_hmac,
            Self::Stale { .. } => &mut statistics.auth_ext_stale,
            Self::Replayed => &mut statistics.auth_ext_replay,
        }
    }

    /// The text after the name of the instance (specification D.7).
    pub fn write(self, from: IpAddr, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "missing authentication trailer from {from}"),
            Self::Malformed => write!(f, "malformed authentication trailer from {from}"),
            Self::UnknownKey(key) => {
                write!(f, "unknown authentication key id {key} from {from}")
            }
            Self::Signature => write!(f, "invalid authentication HMAC from {from}"),
            Self::Stale { skew_s, window_s } => write!(
                f,
                "stale authentication trailer from {from}, \
                 clock skew {skew_s} sec exceeds window {window_s} sec"
            ),
            Self::Replayed => write!(f, "replayed authentication trailer from {from}"),
        }
    }
}

/// What is remarkable about a trailer, or about its absence, where the advert is
/// accepted all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrailerRemark {
    /// There is none, and the mode lets that pass.
    Missing,
    /// The clocks differ by more than half of what is allowed.
    Skew {
        /// Our time without theirs, in seconds.
        skew_s: i32,
        /// What is allowed, in seconds.
        window_s: u64,
    },
}

/// Checks the `trailer` behind the message `packet`. Any known key will do: that is
/// how keys are changed one node after the other.
pub fn check_trailer(
    (instance, extension): (&Instance, &AuthHmac),
    source: IpAddr,
    (packet, trailer): (&Packet<'_>, &[u8]),
    sequences: &Sequences,
    unix_us: u64,
) -> Result<Option<TrailerRemark>, TrailerFault> {
    if trailer.is_empty() {
        return match extension.mode {
            HmacMode::Enforce => Err(TrailerFault::Missing),
            HmacMode::Permissive | HmacMode::ReceiveOnly => Ok(Some(TrailerRemark::Missing)),
        };
    }
    let trailer = Trailer::new(trailer).ok_or(TrailerFault::Malformed)?;
    let key = extension
        .key(trailer.key)
        .ok_or(TrailerFault::UnknownKey(trailer.key))?;
    let subject = Subject {
        version: instance.version,
        vrid: instance.vrid.get(),
        source,
    };
    if !trailer.is_right(key, &subject, packet.bytes()) {
        return Err(TrailerFault::Signature);
    }
    let time = Sequence::at(unix_us);
    check_freshness(extension, source, trailer.sequence, sequences, time)
}

fn check_freshness(
    extension: &AuthHmac,
    source: IpAddr,
    sequence: Sequence,
    sequences: &Sequences,
    time: Sequence,
) -> Result<Option<TrailerRemark>, TrailerFault> {
    let window = extension.time_window;
    let newest = sequences.trailers.of(source);
    if extension.monotonic {
        return match newest {
            Some(newest) if !sequence.is_after(newest) => Err(TrailerFault::Replayed),
            _ => Ok(None),
        };
    }
    let (skew_s, window_s) = (sequence.seconds_until(time), window.as_secs());
    if !is_within(skew_s, window) {
        return Err(TrailerFault::Stale { skew_s, window_s });
    }
    // What lies outside the window can only be from before a clock was set:
    // nothing that it would hold back is fresh.
    let newest = newest.filter(|it| is_within(it.seconds_until(time), window));
    if newest.is_some_and(|newest| !sequence.is_after(newest)) {
        return Err(TrailerFault::Replayed);
    }
    let is_large = u64::from(skew_s.unsigned_abs()).saturating_mul(2) > window_s;
    Ok(is_large.then_some(TrailerRemark::Skew { skew_s, window_s }))
}

fn is_within(seconds: i32, window: Interval) -> bool {
    u64::from(seconds.unsigned_abs()) <= window.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extension(monotonic: bool) -> AuthHmac {
        AuthHmac {
            keys: Vec::new(),
            active_key: 1,
            time_window: Interval::from_secs(5),
            monotonic,
            mode: HmacMode::Enforce,
        }
    }

    /// 2026 in microseconds since 1970.
    const TODAY_US: u64 = 1_767_225_600_000_000;

    #[test]
    fn a_header_is_above_all_that_were_sent_or_heard_and_not_below_the_time() {
        let mut sequences = Sequences::default();
        assert_eq!([sequences.next_header(0), sequences.next_header(0)], [1, 2]);
        sequences.header = 1_000;
        assert_eq!(sequences.next_header(0), 1_001);
        let first = sequences.next_header(TODAY_US);
        assert_eq!(first, 757_555_200);
        assert_eq!(sequences.next_header(TODAY_US), first + 1);
        // Who begins anew half a second later is above both.
        let anew = Sequences::default().next_header(TODAY_US + 500_000);
        assert_eq!(anew, first + 2);
        assert_eq!(Sequences::default().next_header(u64::MAX), 1);
    }

    #[test]
    fn a_trailer_follows_the_time_and_never_stands_still() {
        let mut sequences = Sequences::default();
        let time = extension(false);
        let first = sequences.next_trailer(&time, TODAY_US);
        assert_eq!(first, Sequence::at(TODAY_US));
        assert_eq!(sequences.next_trailer(&time, TODAY_US), first.next());
        // Set back by less than the window: the order counts.
        let back = sequences.next_trailer(&time, TODAY_US - 4_000_000);
        assert_eq!(back, first.next().next());
        // By more: the time counts.
        let hour_ago = TODAY_US - 3_600_000_000;
        assert_eq!(
            sequences.next_trailer(&time, hour_ago),
            Sequence::at(hour_ago)
        );
    }

    #[test]
    fn a_monotonic_trailer_never_goes_back() {
        let mut sequences = Sequences::default();
        let monotonic = extension(true);
        let first = sequences.next_trailer(&monotonic, TODAY_US);
        assert_eq!(sequences.next_trailer(&monotonic, 0), first.next());
    }

    #[test]
    fn the_sender_that_was_silent_longest_is_forgotten() {
        let mut newest = Newest::with_room(2);
        let sender = |number| IpAddr::from([10, 0, 0, number]);
        newest.note(sender(1), 10);
        newest.note(sender(2), 20);
        newest.note(sender(1), 11);
        newest.note(sender(3), 30);
        let known = [1, 2, 3].map(|number| newest.of(sender(number)));
        assert_eq!(known, [Some(11), None, Some(30)]);
        assert_eq!(newest.heard.capacity(), 2);
    }

    #[test]
    fn a_mark_from_before_the_clock_was_set_holds_nothing_back() {
        let mut sequences = Sequences {
            trailers: Newest::with_room(1).into(),
            ..Sequences::default()
        };
        let source = IpAddr::from([10, 0, 0, 1]);
        let at = |us: u64| Sequence::at(us);
        sequences
            .trailers
            .make()
            .note(source, at(TODAY_US + 3_600_000_000));
        let check = |sequence, monotonic| {
            let extension = extension(monotonic);
            check_freshness(&extension, source, sequence, &sequences, at(TODAY_US))
        };
        assert_eq!(check(at(TODAY_US), false), Ok(None));
        assert_eq!(check(at(TODAY_US), true), Err(TrailerFault::Replayed));
        let (skew_s, window_s) = (6, 5);
        let stale = TrailerFault::Stale { skew_s, window_s };
        assert_eq!(check(at(TODAY_US - 6_000_000), false), Err(stale));
        let early = TrailerFault::Stale {
            skew_s: -6,
            window_s,
        };
        assert_eq!(check(at(TODAY_US + 6_000_000), false), Err(early));
        let (skew_s, window_s) = (3, 5);
        let remark = TrailerRemark::Skew { skew_s, window_s };
        assert_eq!(check(at(TODAY_US - 3_000_000), false), Ok(Some(remark)));
    }
}
