//! Datagrams between nodes: out of an engine, over the wires, into a socket.
//!
//! Decides who gets a packet. How long it takes and whether it is lost is decided
//! in `network.rs`, what it means by the engine.

use std::net::IpAddr;
use std::rc::Rc;

use crate::ids::{IfIndex, Priority};
use crate::vrrp::event::{Datagram, Envelope, Event};
use crate::wire::advert::Family;
use crate::wire::frames::{IPV4_HEADER_LENGTH, IPV6_HEADER_LENGTH};

use super::heard::Heard;
use super::monitor::{Cause, Left};
use super::node::{Arrival, RECENT_MAX, SOCKET_QUEUE_MAX};
use super::random::Random;
use super::trace::What;
use super::world::{Occurrence, World};

/// The authentication header of IPv4, and its length.
const AUTHENTICATION_HEADER: (u8, usize) = (51, 24);

impl World {
    /// Puts a packet on the wires; the advert in it.
    pub(super) fn deliver(
        &mut self,
        node: usize,
        via: IfIndex,
        to: IpAddr,
        frame: &Rc<[u8]>,
        taken: bool,
    ) -> Option<Left> {
        let (source, envelope, bytes) = unpack(frame)?;
        let (header, message) = advert(envelope, &bytes)?;
        let heard = Heard::read(source, header, message)?;
        let (vrid, priority) = (heard.vrid, heard.priority);
        let what = What::Sent {
            vrid,
            priority,
            to,
            taken,
        };
        self.record(Some(node), what);
        let family = Family::of(to);
        let left = Left {
            vrid,
            family,
            priority,
        };
        let kernel = &self.nodes.get(node)?.kernel;
        let Some(interface) = kernel.outgoing(via, Some(source)) else {
            return Some(left);
        };
        let interface = interface.clone();
        let segment = interface.segment;
        for other in 0..self.nodes.len() {
            let Some(there) = self.nodes.get(other).filter(|_| other != node && taken) else {
                continue;
            };
            let on: Vec<_> = if to.is_multicast() {
                there.kernel.hearing(segment, &interface)
            } else {
                let found = there.kernel.with_address(to);
                found.map(|it| it.state.index).into_iter().collect()
            };
            for on in on {
                let arrival = Arrival {
                    from: node,
                    on,
                    source,
                    envelope,
                    bytes: Rc::clone(&bytes),
                    forged: false,
                };
                if let Some(held) = &mut self.held {
                    held.push((other, arrival));
                    continue;
                }
                let arrivals =
                    self.network
                        .arrivals(self.now, (node, other, segment), &mut self.random);
                for at in arrivals.into_iter().flatten() {
                    self.push(at, Occurrence::Arrives(other, arrival.clone()));
                }
            }
        }
        Some(left)
    }

    /// From now on datagrams wait until they are released.
    pub(super) fn hold(&mut self) {
        self.held = Some(Vec::new());
    }

    /// Datagrams travel again. Those that waited are lost.
    pub(super) fn let_go(&mut self) {
        self.held = None;
    }

    /// Whether a datagram to this node waits.
    pub(super) fn is_held_for(&self, node: usize) -> bool {
        let held = self.held.as_deref().unwrap_or_default();
        held.iter().any(|(to, _)| *to == node)
    }

    /// The oldest datagram to this node arrives, or is lost.
    pub(super) fn release(&mut self, node: usize, arrives: bool) {
        let Some(held) = &mut self.held else { return };
        let Some(place) = held.iter().position(|(to, _)| *to == node) else {
            return;
        };
        let (_, arrival) = held.remove(place);
        if arrives {
            self.push(self.now, Occurrence::Arrives(node, arrival));
        }
    }

    pub(super) fn arrives(&mut self, node: usize, arrival: Arrival) {
        let Some(here) = self.nodes.get_mut(node).filter(|it| it.engine.is_some()) else {
            return;
        };
        let is_up = |index| here.kernel.by_index(index).is_some_and(|it| it.state.up);
        let to = destination(&arrival).filter(|_| is_up(arrival.on));
        let socket = to.and_then(|to| here.socket(&arrival, to));
        let Some(on) = socket else {
            return;
        };
        let arrival = Arrival { on, ..arrival };
        here.recent.truncate(RECENT_MAX.saturating_sub(1));
        here.recent.push_front(arrival.clone());
        if here.paused {
            if here.datagrams.len() < SOCKET_QUEUE_MAX {
                here.datagrams.push_back(arrival);
            }
            return;
        }
        self.datagram(node, &arrival);
    }

    pub(super) fn datagram(&mut self, node: usize, arrival: &Arrival) {
        let parts = advert(arrival.envelope, &arrival.bytes);
        let heard = parts.and_then(|(header, message)| {
            let forged = arrival.forged;
            let heard = Heard::read(arrival.source, header, message)?;
            Some(Heard { forged, ..heard })
        });
        if let Some(heard) = heard {
            let what = What::Heard {
                from: arrival.from,
                vrid: heard.vrid,
                priority: heard.priority,
            };
            self.record(Some(node), what);
        }
        self.turn(node, Cause::Datagram(heard), |engine, now, tx| {
            let datagram = Datagram {
                on: arrival.on,
                envelope: arrival.envelope,
                bytes: &arrival.bytes,
            };
            engine.event(now, Event::Datagram(datagram), tx);
        });
    }
}

/// Sender, envelope and what a socket gives of an IP packet.
fn unpack(frame: &Rc<[u8]>) -> Option<(IpAddr, Envelope, Rc<[u8]>)> {
    let octets = |from: usize, length: usize| frame.get(from..from.checked_add(length)?);
    if frame.first()? >> 4 == 4 {
        let source: [u8; 4] = octets(12, 4)?.try_into().ok()?;
        return Some((source.into(), Envelope::Ipv4, Rc::clone(frame)));
    }
    let source: [u8; 16] = octets(8, 16)?.try_into().ok()?;
    let destination: [u8; 16] = octets(24, 16)?.try_into().ok()?;
    let envelope = Envelope::Ipv6 {
        source: source.into(),
        destination: destination.into(),
        hop_limit: *frame.get(7)?,
    };
    Some((
        source.into(),
        envelope,
        frame.get(IPV6_HEADER_LENGTH..)?.into(),
    ))
}

/// The authentication header of a datagram, or nothing, and the advert in it.
fn advert(envelope: Envelope, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let payload = match envelope {
        Envelope::Ipv4 => bytes.get(IPV4_HEADER_LENGTH..)?,
        Envelope::Ipv6 { .. } => bytes,
    };
    let (protocol, length) = AUTHENTICATION_HEADER;
    let is_signed = matches!(envelope, Envelope::Ipv4) && bytes.get(9) == Some(&protocol);
    payload.split_at_checked(if is_signed { length } else { 0 })
}

/// The datagram with one octet of its message changed. Where that is the password,
/// the checksum is made right again: who listens can do that.
pub(super) fn forgery(arrival: &Arrival, random: &mut Random) -> Option<Arrival> {
    let (_, message) = advert(arrival.envelope, &arrival.bytes)?;
    let mut bytes = arrival.bytes.to_vec();
    let start = bytes.len().checked_sub(message.len())?;
    let has_password = message.first()? >> 4 == 2 && message.get(4) == Some(&1);
    let password = bytes.len().checked_sub(8)?;
    let with_password = has_password && start == IPV4_HEADER_LENGTH;
    let least = if with_password && random.percent(70) {
        password
    } else {
        start
    };
    let most = bytes.len().checked_sub(1)?;
    let at = |place: usize| u64::try_from(place).unwrap_or(u64::MAX);
    let place = usize::try_from(random.between(at(least), at(most))).ok()?;
    *bytes.get_mut(place)? ^= u8::try_from(random.between(1, 255)).ok()?;
    if with_password && place >= password {
        let checksum = start.checked_add(6)?..start.checked_add(8)?;
        bytes.get_mut(checksum.clone())?.fill(0);
        let sum = internet_checksum(bytes.get(start..)?);
        bytes.get_mut(checksum)?.copy_from_slice(&sum.to_be_bytes());
    }
    Some(Arrival {
        bytes: bytes.into(),
        forged: true,
        ..arrival.clone()
    })
}

/// RFC 1071, of an even number of octets.
fn internet_checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| match word {
        &[high, low] => u64::from(u16::from_be_bytes([high, low])),
        _ => 0,
    });
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum >> 16).saturating_add(sum & 0xffff);
    }
    !u16::try_from(sum).unwrap_or(0)
}

/// Where a datagram was sent to.
fn destination(arrival: &Arrival) -> Option<IpAddr> {
    match arrival.envelope {
        Envelope::Ipv4 => {
            let octets: [u8; 4] = arrival.bytes.get(16..20)?.try_into().ok()?;
            Some(octets.into())
        }
        Envelope::Ipv6 { destination, .. } => Some(destination.into()),
    }
}

/// An advert of nobody's, for noise.
pub(super) fn noise(random: &mut Random, vrid: u8) -> Vec<u8> {
    let length = random.between(0, 60);
    let mut bytes: Vec<u8> = (0..length)
        .map(|_| random.bits().to_le_bytes()[0])
        .collect();
    let priority = Priority(bytes.first().copied().unwrap_or(0));
    // Half of them look like the beginning of an advert.
    if random.percent(50) {
        let head = [
            0x45, 0xc0, 0, 40, 0, 0, 0, 0, 255, 112, 0, 0, 10, 0, 0, 99, 224, 0, 0, 18,
        ];
        let mut whole = head.to_vec();
        whole.extend([0x21, vrid, priority.0, 1, 0, 1]);
        whole.append(&mut bytes);
        return whole;
    }
    bytes
}
