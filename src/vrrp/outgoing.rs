//! The advert of one instance, ready to be sent.
//!
//! Built when something in it changes, then sent again and again without
//! allocating: only destination, identification, checksum, signatures and, to
//! resign, priority are written over.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use crate::config::model::{Authentication, Instance};
use crate::ids::{Errno, IfIndex, Priority};
use crate::wire::advert::{
    self, Advert, Checksum, Family, IP_PROTOCOL, Version, auth_type, message_length,
};
use crate::wire::auth::{ah, trailer};
use crate::wire::frames::{
    IPV4_HEADER_LENGTH, IPV6_HEADER_LENGTH, Ipv4Header, Ipv6Header, emit_ipv4_header,
    emit_ipv6_header, set_destination, set_ipv6_destination,
};

use super::action::Transmit;
use super::authentication::Sequences;

/// Adverts travel one hop only, and arrive with this (RFC 9568 section 5.1.1.3).
const TTL: u8 = 255;

/// What signing an advert takes besides the key.
#[derive(Debug)]
pub struct Signing<'a> {
    /// Those of the instance.
    pub sequences: &'a mut Sequences,
    /// The time in microseconds since 1970.
    pub unix_us: u64,
}

/// A whole IP packet with an advert: IP header, authentication header if there
/// is one, message, trailer if there is one.
#[derive(Default)]
pub struct Outgoing {
    frame: Vec<u8>,
    message: Range<usize>,
    source: Option<IpAddr>,
    priority: Priority,
    identification: u16,
}

/// Without the packet, in which a password may be.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("message", &self.message)
            .field("source", &self.source)
            .field("priority", &self.priority)
            .field("identification", &self.identification)
            .finish_non_exhaustive()
    }
}

impl Outgoing {
    /// Builds the packet. Returns how many of the instance's VIPs have room in
    /// it (specification C.1: at most 255, and no more than the MTU holds).
    pub fn build(
        &mut self,
        instance: &Instance,
        priority: Priority,
        source: IpAddr,
        mtu: u32,
    ) -> usize {
        let family = instance.family();
        let vips = instance.virtual_addresses.iter();
        let addresses: Vec<IpAddr> = vips.map(|vip| vip.address).collect();
        let room = room_for_addresses(instance, mtu).min(addresses.len());
        let auth_type = match instance.authentication {
            Some(Authentication::Password(_)) => auth_type::PASS,
            Some(Authentication::Header(_)) => auth_type::AH,
            None => auth_type::NONE,
        };
        let message = Advert {
            version: instance.version,
            family,
            vrid: instance.vrid.get(),
            priority: priority.0,
            advert_interval: instance.advert_interval,
            addresses: addresses.get(..room).unwrap_or_default(),
            auth_type,
            password: instance.password().map(|password| &password.0),
        };
        let begin = headers_length(instance);
        let end = begin.saturating_add(message.length());
        self.message = begin..end;
        self.frame.clear();
        self.frame
            .resize(end.saturating_add(trailer_length(instance)), 0);
        if let Some(place) = self.frame.get_mut(begin..end) {
            message.emit(place);
        }
        self.write_header(instance, source);
        self.source = Some(source);
        self.priority = priority;
        room
    }

    fn write_header(&mut self, instance: &Instance, source: IpAddr) {
        let unicast = !instance.unicast_peers.is_empty();
        let ttl = instance.unicast_ttl.filter(|_| unicast).unwrap_or(TTL);
        match source {
            IpAddr::V4(source) => {
                let header = Ipv4Header {
                    source,
                    destination: source,
                    ttl,
                    protocol: if instance.header_key().is_some() {
                        ah::IP_PROTOCOL
                    } else {
                        IP_PROTOCOL
                    },
                };
                emit_ipv4_header(&header, &mut self.frame);
            }
            IpAddr::V6(source) => {
                let header = Ipv6Header {
                    source,
                    destination: source,
                    hop_limit: ttl,
                    next_header: IP_PROTOCOL,
                };
                emit_ipv6_header(&header, &mut self.frame);
            }
        }
    }

    /// Sends the advert to the group, or to each peer. Every peer is tried;
    /// the first error is returned. What is signed gets its sequence from
    /// `signing`: one for all peers, as each of them counts for itself.
    pub fn send(
        &mut self,
        instance: &Instance,
        via: IfIndex,
        signing: &mut Signing<'_>,
        tx: &mut dyn Transmit,
    ) -> Result<(), Errno> {
        let Some(source) = self.source else {
            return Ok(());
        };
        // The trailer covers neither destination nor checksum.
        self.sign_trailer(instance, source, signing);
        let header_key = instance.header_key();
        let sequence = header_key.map(|_| signing.sequences.next_header(signing.unix_us));
        let mut result = Ok(());
        for destination in instance.destinations() {
            self.write_destination(destination);
            let checksum = checksum(instance, source, destination);
            if let Some(message) = self.frame.get_mut(self.message.clone()) {
                advert::set_checksum(message, checksum);
            }
            if let (Some(key), Some(sequence), IpAddr::V4(index)) = (header_key, sequence, source) {
                ah::sign(key, index.into(), sequence, &mut self.frame);
            }
            result = result.and(tx.send(via, destination, &self.frame));
        }
        result
    }

    fn sign_trailer(&mut self, instance: &Instance, source: IpAddr, signing: &mut Signing<'_>) {
        let Some(extension) = instance.signing() else {
            return;
        };
        let Some((front, place)) = self.frame.split_last_chunk_mut::<{ trailer::LENGTH }>() else {
            return;
        };
        let number = extension.active_key;
        let (Some(key), Some(message)) = (extension.key(number), front.get(self.message.clone()))
        else {
            return;
        };
        let subject = trailer::Subject {
            version: instance.version,
            vrid: instance.vrid.get(),
            source,
        };
        let sequence = signing.sequences.next_trailer(extension, signing.unix_us);
        trailer::sign((number, key), sequence, &subject, message, place);
    }

    fn write_destination(&mut self, destination: IpAddr) {
        match destination {
            IpAddr::V4(address) => {
                // C counts from 1, too; the kernel puts a number of its own for 0.
                self.identification = match self.identification.wrapping_add(1) {
                    0 => 1,
                    next => next,
                };
                set_destination(&mut self.frame, address, self.identification);
            }
            IpAddr::V6(address) => set_ipv6_destination(&mut self.frame, address),
        }
    }

    /// Sends the advert once with priority 0.
    pub fn send_priority_zero(
        &mut self,
        instance: &Instance,
        via: IfIndex,
        signing: &mut Signing<'_>,
        tx: &mut dyn Transmit,
    ) -> Result<(), Errno> {
        self.write_priority(Priority::ZERO);
        let result = self.send(instance, via, signing, tx);
        self.write_priority(self.priority);
        result
    }

    fn write_priority(&mut self, priority: Priority) {
        if let Some(message) = self.frame.get_mut(self.message.clone()) {
            advert::set_priority(message, priority.0);
        }
    }
}

/// What the checksum of an advert covers: over IPv4 version 3 has a pseudo
/// header as C keepalived does it, unless `v3_checksum_as_v2` or
/// `old_unicast_checksum` says otherwise. Over IPv6 the kernel of the receiver
/// checks it, and there is one form only.
fn checksum(instance: &Instance, source: IpAddr, destination: IpAddr) -> Checksum {
    let v4 = instance.family() == Family::V4;
    if instance.version == Version::V2 || (v4 && instance.v3_checksum_as_v2) {
        return Checksum::Plain;
    }
    let old = v4 && instance.old_unicast_checksum == Some(true) && !destination.is_multicast();
    let destination = if old {
        instance.multicast_group
    } else {
        destination
    };
    Checksum::PseudoHeader {
        source,
        destination,
    }
}

/// Octets in front of the message.
fn headers_length(instance: &Instance) -> usize {
    match instance.family() {
        Family::V4 if instance.header_key().is_some() => {
            IPV4_HEADER_LENGTH.saturating_add(ah::HEADER_LENGTH)
        }
        Family::V4 => IPV4_HEADER_LENGTH,
        Family::V6 => IPV6_HEADER_LENGTH,
    }
}

/// Octets behind the message.
fn trailer_length(instance: &Instance) -> usize {
    instance.signing().map_or(0, |_| trailer::LENGTH)
}

fn room_for_addresses(instance: &Instance, mtu: u32) -> usize {
    let family = instance.family();
    let overhead = headers_length(instance)
        .saturating_add(message_length(instance.version, family, 0))
        .saturating_add(trailer_length(instance));
    let room = usize::try_from(mtu).unwrap_or(usize::MAX);
    let addresses = room
        .saturating_sub(overhead)
        .checked_div(family.address_length());
    addresses.unwrap_or(0).min(usize::from(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{AuthHmac, HmacKey, HmacMode, Password};
    use crate::ids::Vrid;
    use crate::time::Interval;
    use crate::vrrp::authentication::TrailerFault;
    use crate::vrrp::receive::{Arrival, Reject, Remarks, check};
    use crate::wire::advert::Packet;

    fn instance(version: Version, family: Family) -> Instance {
        Instance {
            version,
            ipv6: family == Family::V6,
            ..Instance::new("VI", "eth0", Vrid::new(7).unwrap())
        }
    }

    /// Keeps the last packet.
    #[derive(Default)]
    struct Last(Vec<u8>);

    impl Transmit for Last {
        fn send(&mut self, _: IfIndex, _: IpAddr, frame: &[u8]) -> Result<(), Errno> {
            self.0 = frame.to_vec();
            Ok(())
        }
    }

    #[test]
    fn over_ipv6_the_trailer_is_behind_the_message_and_the_resignation_is_signed_too() {
        let extension = AuthHmac {
            keys: vec![(1, HmacKey::Bytes(vec![7; 32].into()))],
            active_key: 1,
            time_window: Interval::from_secs(5),
            monotonic: false,
            mode: HmacMode::Enforce,
        };
        let config = Instance {
            auth_hmac: Some(Box::new(extension)),
            multicast_group: "ff02::12".parse().unwrap(),
            ..instance(Version::V3, Family::V6)
        };
        let source: IpAddr = "fe80::1".parse().unwrap();
        let (mut outgoing, mut tx) = (Outgoing::default(), Last::default());
        outgoing.build(&config, Priority(100), source, 1500);
        let (mut ours, mut theirs) = (Sequences::new(&config), Sequences::new(&config));
        for priority in [100, 0] {
            let signing = &mut Signing {
                sequences: &mut ours,
                unix_us: 9_000_000,
            };
            let sent = if priority == 0 {
                outgoing.send_priority_zero(&config, IfIndex(2), signing, &mut tx)
            } else {
                outgoing.send(&config, IfIndex(2), signing, &mut tx)
            };
            assert_eq!((sent, tx.0.len()), (Ok(()), 40 + 8 + 28));
            assert_eq!(tx.0[4..6], [0, 36], "the length in the IPv6 header");
            assert_eq!(tx.0[42], priority);
            let message = &tx.0[40..];
            let arrival = Arrival {
                source,
                destination: config.multicast_group,
                ttl: 255,
                signed: None,
                header_length: 0,
                total_length: None,
                message,
            };
            let packet = Packet::new(message, Family::V6).unwrap();
            let checked = check(&config, &arrival, &packet, &mut theirs, 9_000_000);
            assert_eq!(checked, Ok(Remarks::default()));
            // The second time it is a replay.
            let again = check(&config, &arrival, &packet, &mut theirs, 9_000_000);
            assert_eq!(again, Err(Reject::Trailer(TrailerFault::Replayed)));
        }
    }

    #[test]
    fn an_ethernet_packet_has_room_for_255_addresses_and_a_small_one_for_fewer() {
        let v2 = instance(Version::V2, Family::V4);
        let v3 = instance(Version::V3, Family::V4);
        assert_eq!(room_for_addresses(&v2, 1500), 255);
        assert_eq!(room_for_addresses(&v2, 576), 135);
        assert_eq!(room_for_addresses(&v3, 576), 137);
        let ipv6 = instance(Version::V3, Family::V6);
        assert_eq!(room_for_addresses(&ipv6, 1500), 90);
        assert_eq!(room_for_addresses(&v2, 0), 0);
        let password = Password(*b"secret\0\0");
        let signed = Instance {
            authentication: Some(Authentication::Header(password)),
            ..v2
        };
        // Six addresses have the 24 octets of the header.
        assert_eq!(room_for_addresses(&signed, 576), 129);
    }
}
