//! The advert of one instance, ready to be sent.
//!
//! Built when something in it changes, then sent again and again without
//! allocating: only destination, identification and, to resign, priority are
//! written over.

use std::net::{IpAddr, Ipv4Addr};

use crate::config::model::Instance;
use crate::ids::{Errno, IfIndex, Priority};
use crate::wire::advert::{
    self, Advert, Checksum, Family, IP_PROTOCOL, Version, auth_type, message_length,
};
use crate::wire::frames::{IPV4_HEADER_LENGTH, Ipv4Header, emit_ipv4_header, set_destination};

use super::action::Transmit;

/// Adverts travel one hop only, and arrive with this (RFC 3768 section 5.2.3).
const TTL: u8 = 255;

/// A whole IP packet with an advert.
#[derive(Debug, Default)]
pub struct Outgoing {
    frame: Vec<u8>,
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
        source: Ipv4Addr,
        mtu: u32,
    ) -> usize {
        let vips = instance.virtual_addresses.iter();
        let addresses: Vec<IpAddr> = vips.map(|vip| vip.address).collect();
        let room = room_for_addresses(mtu).min(addresses.len());
        let password = instance.password();
        let auth_type = match password {
            Some(_) => auth_type::PASS,
            None => auth_type::NONE,
        };
        let message = Advert {
            version: Version::V2,
            family: Family::V4,
            vrid: instance.vrid.get(),
            priority: priority.0,
            advert_interval: instance.advert_interval,
            addresses: addresses.get(..room).unwrap_or_default(),
            auth_type,
            password: password.map(|password| &password.0),
        };
        let length = IPV4_HEADER_LENGTH.saturating_add(message.length());
        self.frame.clear();
        self.frame.resize(length, 0);
        if let Some(payload) = self.frame.get_mut(IPV4_HEADER_LENGTH..) {
            message.emit(payload);
            advert::set_checksum(payload, Checksum::Plain);
        }
        let header = Ipv4Header {
            source,
            destination: Ipv4Addr::UNSPECIFIED,
            ttl: TTL,
            protocol: IP_PROTOCOL,
        };
        emit_ipv4_header(&header, &mut self.frame);
        self.priority = priority;
        room
    }

    /// Sends the advert to the group, or to each peer. Every peer is tried;
    /// the first error is returned.
    pub fn send(
        &mut self,
        instance: &Instance,
        via: IfIndex,
        tx: &mut dyn Transmit,
    ) -> Result<(), Errno> {
        let mut result = Ok(());
        for destination in instance.destinations() {
            let IpAddr::V4(address) = destination else {
                continue;
            };
            // C counts from 1, too; the kernel puts a number of its own for 0.
            self.identification = match self.identification.wrapping_add(1) {
                0 => 1,
                next => next,
            };
            set_destination(&mut self.frame, address, self.identification);
            result = result.and(tx.send(via, destination, &self.frame));
        }
        result
    }

    /// Sends the advert once with priority 0.
    pub fn send_priority_zero(
        &mut self,
        instance: &Instance,
        via: IfIndex,
        tx: &mut dyn Transmit,
    ) -> Result<(), Errno> {
        self.write_priority(Priority::ZERO);
        let result = self.send(instance, via, tx);
        self.write_priority(self.priority);
        result
    }

    fn write_priority(&mut self, priority: Priority) {
        if let Some(message) = self.frame.get_mut(IPV4_HEADER_LENGTH..) {
            advert::set_priority(message, priority.0);
            advert::set_checksum(message, Checksum::Plain);
        }
    }
}

fn room_for_addresses(mtu: u32) -> usize {
    let overhead = IPV4_HEADER_LENGTH.saturating_add(message_length(Version::V2, Family::V4, 0));
    let room = usize::try_from(mtu).unwrap_or(usize::MAX);
    (room.saturating_sub(overhead) / 4).min(usize::from(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ethernet_packet_has_room_for_255_addresses_and_a_small_one_for_fewer() {
        assert_eq!(room_for_addresses(1500), 255);
        assert_eq!(room_for_addresses(576), 135);
        assert_eq!(room_for_addresses(0), 0);
    }
}
