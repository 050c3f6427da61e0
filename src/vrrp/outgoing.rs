//! The advert of one instance, ready to be sent.
//!
//! Built when something in it changes, then sent again and again without
//! allocating: only destination, identification, checksum and, to resign,
//! priority are written over.

use std::net::IpAddr;

use crate::config::model::{Authentication, Instance};
use crate::ids::{Errno, IfIndex, Priority};
use crate::wire::advert::{
    self, Advert, Checksum, Family, IP_PROTOCOL, Version, auth_type, message_length,
};
use crate::wire::frames::{
    IPV4_HEADER_LENGTH, IPV6_HEADER_LENGTH, Ipv4Header, Ipv6Header, emit_ipv4_header,
    emit_ipv6_header, set_destination, set_ipv6_destination,
};

use super::action::Transmit;

/// Adverts travel one hop only, and arrive with this (RFC 9568 section 5.1.1.3).
const TTL: u8 = 255;

/// A whole IP packet with an advert.
#[derive(Debug, Default)]
pub struct Outgoing {
    frame: Vec<u8>,
    source: Option<IpAddr>,
    priority: Priority,
    identification: u16,
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
        let room = room_for_addresses(instance.version, family, mtu).min(addresses.len());
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
        let header_length = header_length(family);
        self.frame.clear();
        self.frame
            .resize(header_length.saturating_add(message.length()), 0);
        if let Some(payload) = self.frame.get_mut(header_length..) {
            message.emit(payload);
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
                    protocol: IP_PROTOCOL,
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
    /// the first error is returned.
    pub fn send(
        &mut self,
        instance: &Instance,
        via: IfIndex,
        tx: &mut dyn Transmit,
    ) -> Result<(), Errno> {
        let Some(source) = self.source else {
            return Ok(());
        };
        let mut result = Ok(());
        for destination in instance.destinations() {
            self.write_destination(destination);
            let checksum = checksum(instance, source, destination);
            if let Some(message) = self.frame.get_mut(header_length(instance.family())..) {
                advert::set_checksum(message, checksum);
            }
            result = result.and(tx.send(via, destination, &self.frame));
        }
        result
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
        tx: &mut dyn Transmit,
    ) -> Result<(), Errno> {
        self.write_priority(instance, Priority::ZERO);
        let result = self.send(instance, via, tx);
        self.write_priority(instance, self.priority);
        result
    }

    fn write_priority(&mut self, instance: &Instance, priority: Priority) {
        if let Some(message) = self.frame.get_mut(header_length(instance.family())..) {
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

const fn header_length(family: Family) -> usize {
    match family {
        Family::V4 => IPV4_HEADER_LENGTH,
        Family::V6 => IPV6_HEADER_LENGTH,
    }
}

fn room_for_addresses(version: Version, family: Family, mtu: u32) -> usize {
    let overhead = header_length(family).saturating_add(message_length(version, family, 0));
    let room = usize::try_from(mtu).unwrap_or(usize::MAX);
    let addresses = room
        .saturating_sub(overhead)
        .checked_div(family.address_length());
    addresses.unwrap_or(0).min(usize::from(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ethernet_packet_has_room_for_255_addresses_and_a_small_one_for_fewer() {
        let (v2, v3) = (Version::V2, Version::V3);
        assert_eq!(room_for_addresses(v2, Family::V4, 1500), 255);
        assert_eq!(room_for_addresses(v2, Family::V4, 576), 135);
        assert_eq!(room_for_addresses(v3, Family::V4, 576), 137);
        assert_eq!(room_for_addresses(v3, Family::V6, 1500), 90);
        assert_eq!(room_for_addresses(v2, Family::V4, 0), 0);
    }
}
