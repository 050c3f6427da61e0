//! Fuzz target: who pretends to know a key. One node that wants signed adverts hears
//! right ones, the same again, changed ones and noise, in any order while time goes by.
//! No panic; what is not as it was signed is never accepted, and nothing twice.
//!
//! What is not covered, by design, and so may change on the way:
//!
//! - type of service and checksum of the IPv4 header, with `auth_type AH`;
//! - with the trailer of `auth_hmac` also its identification and fragment offset, the
//!   destination and the TTL, which are checked by themselves for multicast only, and
//!   the checksum of the message, which has to be right in one of its forms;
//! - whether there is a trailer at all, unless the mode is `enforce`;
//! - who was heard before, once more than four further senders that know the key were
//!   heard, or the clock was set back by more than the window (specification D.7).

use std::net::IpAddr;
use std::process::ExitCode;

use keepalived_rs::config::model::{
    AuthHmac, Authentication, HmacKey, HmacMode, Instance, Password,
};
use keepalived_rs::time::Interval;
use keepalived_rs::vrrp::state_machine::State;
use keepalived_rs::wire::advert::Version;
use keepalived_rs::wire::auth::ah;
use keepalived_rs::wire::auth::trailer::{self, Sequence, Subject};

#[path = "../engine/world.rs"]
#[expect(dead_code, reason = "shared with the tests of the engine")]
mod world;

mod dice;
mod packets;

use dice::Dice;
use world::{Advert3, Node, Wire};

/// Events of one case.
const STEPS_MAX: u64 = 100;
/// 2026 in seconds since 1970.
const TODAY_S: u64 = 1_767_225_600;
/// Not the one that the packets of the corpus are signed with.
const PASSWORD: &[u8; 8] = b"another\0";
/// Keys 1 and 2, which the corpus does not have either.
const KEYS: [[u8; 32]; 2] = [[17; 32], [18; 32]];
const WINDOW_US: u64 = 5_000_000;

fn main() -> ExitCode {
    let seeds = packets::seeds();
    dice::run("auth", |seed| {
        let mut dice = Dice(seed);
        let mut case = Case::new(&mut dice);
        for _ in 0..dice.below(STEPS_MAX) {
            case.step(&mut dice, &seeds);
        }
    })
}

/// How adverts are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Header,
    Trailer { version: Version, ipv6: bool },
}

/// A right packet.
struct Signed {
    packet: Vec<u8>,
    at_us: u64,
    sender: usize,
    number: u64,
    accepted: bool,
}

struct Case {
    kind: Kind,
    monotonic: bool,
    wire: Wire,
    signed: Vec<Signed>,
    /// How often each sender has signed, and the last one of it that was accepted.
    senders: [(u64, u64); 4],
}

impl Case {
    fn new(dice: &mut Dice) -> Self {
        let kind = match dice.below(4) {
            0 => Kind::Header,
            number => Kind::Trailer {
                version: dice.pick(&[Version::V2, Version::V3]),
                ipv6: number == 1,
            },
        };
        let kind = match kind {
            Kind::Trailer { ipv6: true, .. } => Kind::Trailer {
                version: Version::V3,
                ipv6: true,
            },
            other => other,
        };
        let monotonic = dice.chance(2);
        let mut wire = Wire::new([Node::new(1, instance(kind, monotonic))]);
        wire.set_wall_clock(0, TODAY_S);
        wire.start();
        wire.run_until(dice.pick(&[0, 10_000_000]));
        Self {
            kind,
            monotonic,
            wire,
            signed: Vec::new(),
            senders: [(0, 0); 4],
        }
    }

    fn step(&mut self, dice: &mut Dice, seeds: &[Vec<u8>]) {
        match dice.below(8) {
            0..2 => self.sign(dice),
            2 => {
                let newest = self.signed.len().checked_sub(1);
                newest
                    .into_iter()
                    .for_each(|newest| self.hear_again(newest));
            }
            3 if !self.signed.is_empty() => {
                let any = dice.below(self.signed.len() as u64) as usize;
                self.hear_again(any);
            }
            4 => self.hear_noise(dice, seeds),
            5 => {
                let us = dice.pick(&[1, 1_000, 100_000, 1_000_000, 6_000_000]);
                self.wire.run_until(self.wire.now.as_us() + us);
            }
            _ => self.hear_changed(dice, seeds),
        }
    }

    /// Somebody who knows the key sends an advert, which may arrive later.
    fn sign(&mut self, dice: &mut Dice) {
        let sender = dice.below(4) as usize;
        self.senders[sender].0 += 1;
        let number = self.senders[sender].0;
        let at_us = self.wire.now.as_us();
        let packet = match self.kind {
            Kind::Header => header(dice, sender, number),
            Kind::Trailer { version, ipv6 } => {
                let sequence = Sequence {
                    counter: number as u16,
                    ..Sequence::at(TODAY_S * 1_000_000 + at_us)
                };
                let from = address(sender, ipv6);
                with_trailer(dice, (from, version), sequence)
            }
        };
        self.signed.push(Signed {
            packet,
            at_us,
            sender,
            number,
            accepted: false,
        });
        if !dice.chance(4) {
            self.hear_again(self.signed.len() - 1);
        }
    }

    /// A right packet arrives: it is accepted if and only if it is newer than all that
    /// were accepted of its sender, and not too old.
    fn hear_again(&mut self, place: usize) {
        let it = &self.signed[place];
        let newest = self.senders[it.sender].1;
        let age_us = self.wire.now.as_us() - it.at_us;
        let is_timed = !self.monotonic && self.kind != Kind::Header;
        // The seconds of both ends are compared, without their fractions.
        let is_stale = is_timed && age_us >= WINDOW_US + 1_000_000;
        let is_fresh = !is_timed || age_us <= WINDOW_US;
        let packet = it.packet.clone();
        let accepted = self.accepts(&packet);
        let it = &mut self.signed[place];
        assert!(!(accepted && it.accepted), "accepted twice: {packet:?}");
        if it.number <= newest || is_stale {
            assert!(!accepted, "not newer than what was accepted: {packet:?}");
        } else if is_fresh {
            assert!(accepted, "right and new: {packet:?}");
        }
        if accepted {
            it.accepted = true;
            self.senders[it.sender].1 = it.number;
        }
    }

    /// A right packet in which something was changed.
    fn hear_changed(&mut self, dice: &mut Dice, seeds: &[Vec<u8>]) {
        let Some(any) = self.signed.len().checked_sub(1) else {
            return;
        };
        // Mostly the newest, as nothing else is held against that one.
        let place = match dice.chance(3) {
            true => dice.below(any as u64 + 1) as usize,
            false => any,
        };
        let mut packet = self.signed[place].packet.clone();
        for _ in 0..=dice.below(3) {
            match dice.chance(3) {
                true => {
                    let other = &seeds[dice.below(seeds.len() as u64) as usize];
                    packets::change(dice, &mut packet, other);
                }
                false => packets::flip(dice, &mut packet),
            }
        }
        let is_known = |it: &Signed| self.covered(&it.packet) == self.covered(&packet);
        match self.signed.iter().position(is_known) {
            // Nothing that counts: it is the one that it was.
            Some(_) => {}
            None => assert!(!self.accepts(&packet), "changed, and accepted: {packet:?}"),
        }
    }

    fn hear_noise(&mut self, dice: &mut Dice, seeds: &[Vec<u8>]) {
        let packet = packets::packet(dice, seeds);
        assert!(!self.accepts(&packet), "noise, and accepted: {packet:?}");
    }

    /// Whether the node takes it for an advert. What it leaves unchanged is checked
    /// where it does not.
    fn accepts(&mut self, packet: &[u8]) -> bool {
        let before = self.wire[0].statistics().advert_rcvd;
        let state = self.wire[0].state();
        match packet.first().map(|first| first >> 4) {
            Some(6) if packet.len() >= 40 => self.wire.deliver(0, packet),
            _ => self.wire.inject(0, packet),
        }
        let accepted = self.wire[0].statistics().advert_rcvd > before;
        assert!(accepted || self.wire[0].state() == state, "{packet:?}");
        assert_ne!(self.wire[0].state(), State::Fault);
        accepted
    }

    /// The packet with zeros where a change does not matter.
    fn covered(&self, packet: &[u8]) -> Vec<u8> {
        let left_out: &[usize] = match self.kind {
            Kind::Header => &[1, 10, 11],
            Kind::Trailer { ipv6: false, .. } => &[1, 4, 5, 6, 7, 10, 11, 26, 27],
            // Class, flow label, length and next header are not seen by the engine.
            Kind::Trailer { ipv6: true, .. } => &[0, 1, 2, 3, 4, 5, 6, 46, 47],
        };
        let mut covered = packet.to_vec();
        for place in left_out {
            if let Some(octet) = covered.get_mut(*place) {
                *octet = 0;
            }
        }
        covered
    }
}

fn instance(kind: Kind, monotonic: bool) -> Instance {
    let extension = |index: usize| (index as u8 + 1, HmacKey::Bytes(KEYS[index].to_vec().into()));
    match kind {
        Kind::Header => Instance {
            authentication: Some(Authentication::Header(Password(*PASSWORD))),
            ..world::instance(100)
        },
        Kind::Trailer { version, ipv6 } => Instance {
            version,
            auth_hmac: Some(Box::new(AuthHmac {
                keys: (0..KEYS.len()).map(extension).collect(),
                active_key: 1,
                time_window: Interval::from_us(WINDOW_US),
                monotonic,
                mode: HmacMode::Enforce,
            })),
            ..match ipv6 {
                true => world::instance6(100),
                false => world::instance(100),
            }
        },
    }
}

fn address(sender: usize, ipv6: bool) -> IpAddr {
    let node = sender as u8 + 2;
    match ipv6 {
        true => world::source6(node).into(),
        false => world::source(node).into(),
    }
}

/// Version 2 with an authentication header.
fn header(dice: &mut Dice, sender: usize, sequence: u64) -> Vec<u8> {
    let source = world::source(sender as u8 + 2);
    let mut bytes = world::advert(source, priority(dice));
    bytes[24] = 2;
    world::fix_checksum(&mut bytes);
    bytes.splice(20..20, [0; ah::HEADER_LENGTH]);
    bytes[3] = bytes.len() as u8;
    bytes[9] = ah::IP_PROTOCOL;
    ah::sign(b"another", source.into(), sequence as u32, &mut bytes);
    bytes
}

/// Either version with a trailer.
fn with_trailer(
    dice: &mut Dice,
    (source, version): (IpAddr, Version),
    sequence: Sequence,
) -> Vec<u8> {
    let priority = priority(dice);
    let mut bytes = match (source, version) {
        (IpAddr::V4(source), Version::V2) => world::advert(source, priority),
        _ => Advert3::new(source, priority).bytes(),
    };
    let subject = Subject {
        version,
        vrid: 51,
        source,
    };
    let message = if source.is_ipv4() { 20 } else { 40 };
    let number = dice.below(KEYS.len() as u64) as usize;
    let key = (number as u8 + 1, &KEYS[number][..]);
    let mut place = [0; trailer::LENGTH];
    trailer::sign(key, sequence, &subject, &bytes[message..], &mut place);
    bytes.extend(place);
    match source {
        IpAddr::V4(_) => bytes[3] = bytes.len() as u8,
        IpAddr::V6(_) => bytes[5] = (bytes.len() - 40) as u8,
    }
    bytes
}

fn priority(dice: &mut Dice) -> u8 {
    dice.pick(&[0, 1, 50, 99, 100, 101, 254, 255])
}
