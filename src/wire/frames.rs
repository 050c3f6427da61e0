//! Headers that are not VRRP's own: IPv4, Ethernet and ARP, through
//! pnet's packet views over buffers of ours.

use std::net::Ipv4Addr;

use pnet::packet::arp::{ArpHardwareTypes, ArpOperations, MutableArpPacket};
use pnet::packet::ethernet::{EtherTypes, MutableEthernetPacket};
use pnet::packet::ip::IpNextHeaderProtocol;
use pnet::packet::ipv4::{Ipv4Packet, MutableIpv4Packet};
use pnet::util::MacAddr;

use crate::ids::MacAddress;

/// Octets of an IPv4 header without options.
pub const IPV4_HEADER_LENGTH: usize = 20;

/// Octets of a gratuitous ARP with its Ethernet header.
pub const ARP_FRAME_LENGTH: usize = 42;

/// Network control: what C keepalived sends adverts with.
const DSCP_NETWORK_CONTROL: u8 = 0xc0 >> 2;

/// A received IPv4 datagram.
#[derive(Debug, Clone, Copy)]
pub struct Ipv4Datagram<'a> {
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// Time to live.
    pub ttl: u8,
    /// The protocol of the payload.
    pub protocol: u8,
    /// The length that the header gives for the whole datagram.
    pub total_length: usize,
    /// Octets of header, options included.
    pub header_length: usize,
    /// What follows the header, as far as it was received.
    pub payload: &'a [u8],
}

impl<'a> Ipv4Datagram<'a> {
    /// The datagram in `bytes`; `None` if its header is not all there.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let packet = Ipv4Packet::new(bytes)?;
        let header_length = usize::from(packet.get_header_length()).saturating_mul(4);
        if packet.get_version() != 4 || header_length < IPV4_HEADER_LENGTH {
            return None;
        }
        Some(Self {
            source: packet.get_source(),
            destination: packet.get_destination(),
            ttl: packet.get_ttl(),
            protocol: packet.get_next_level_protocol().0,
            total_length: usize::from(packet.get_total_length()),
            header_length,
            payload: bytes.get(header_length..)?,
        })
    }
}

/// What an IPv4 header of ours says.
#[derive(Debug, Clone, Copy)]
pub struct Ipv4Header {
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// Time to live.
    pub ttl: u8,
    /// Protocol of the payload.
    pub protocol: u8,
}

/// Writes a header without options in front of the payload that already lies
/// in `datagram`. The header checksum is left to the kernel, which fills it in
/// for raw sockets. Does nothing if the buffer is shorter than a header.
pub fn emit_ipv4_header(header: &Ipv4Header, datagram: &mut [u8]) {
    let total_length = u16::try_from(datagram.len()).unwrap_or(u16::MAX);
    let Some(mut packet) = MutableIpv4Packet::new(datagram) else {
        return;
    };
    packet.set_version(4);
    packet.set_header_length(5);
    packet.set_dscp(DSCP_NETWORK_CONTROL);
    packet.set_ecn(0);
    packet.set_total_length(total_length);
    packet.set_identification(0);
    packet.set_flags(0);
    packet.set_fragment_offset(0);
    packet.set_ttl(header.ttl);
    packet.set_next_level_protocol(IpNextHeaderProtocol(header.protocol));
    packet.set_checksum(0);
    packet.set_source(header.source);
    packet.set_destination(header.destination);
}

/// Changes destination and identification of a written header.
pub fn set_destination(datagram: &mut [u8], destination: Ipv4Addr, identification: u16) {
    if let Some(mut packet) = MutableIpv4Packet::new(datagram) {
        packet.set_destination(destination);
        packet.set_identification(identification);
    }
}

/// A gratuitous ARP as C keepalived sends it (specification F.5): a request,
/// sender and target IP the address, target hardware address broadcast.
pub fn gratuitous_arp(mac: MacAddress, address: Ipv4Addr) -> [u8; ARP_FRAME_LENGTH] {
    let mut frame = [0; ARP_FRAME_LENGTH];
    let mac = MacAddr::from(mac.0);
    let (ethernet, arp) = frame.split_at_mut(14);
    if let Some(mut header) = MutableEthernetPacket::new(ethernet) {
        header.set_destination(MacAddr::broadcast());
        header.set_source(mac);
        header.set_ethertype(EtherTypes::Arp);
    }
    if let Some(mut packet) = MutableArpPacket::new(arp) {
        packet.set_hardware_type(ArpHardwareTypes::Ethernet);
        packet.set_protocol_type(EtherTypes::Ipv4);
        packet.set_hw_addr_len(6);
        packet.set_proto_addr_len(4);
        packet.set_operation(ArpOperations::Request);
        packet.set_sender_hw_addr(mac);
        packet.set_sender_proto_addr(address);
        packet.set_target_hw_addr(MacAddr::broadcast());
        packet.set_target_proto_addr(address);
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SOURCE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

    #[test]
    fn the_ip_header_is_c_keepaliveds() {
        let mut datagram = [0; 40];
        let header = Ipv4Header {
            source: SOURCE,
            destination: GROUP,
            ttl: 255,
            protocol: 112,
        };
        emit_ipv4_header(&header, &mut datagram);
        let expected = [
            0x45, 0xc0, 0, 40, 0, 0, 0, 0, 255, 112, 0, 0, 192, 0, 2, 1, 224, 0, 0, 18,
        ];
        assert_eq!(datagram[..20], expected);
        set_destination(&mut datagram, Ipv4Addr::new(192, 0, 2, 2), 7);
        let read = Ipv4Datagram::new(&datagram).unwrap();
        assert_eq!(read.destination, Ipv4Addr::new(192, 0, 2, 2));
        assert_eq!(read.source, SOURCE);
        assert_eq!(read.total_length, 40);
        assert_eq!(read.payload.len(), 20);
    }

    #[test]
    fn a_gratuitous_arp_is_a_broadcast_request_for_itself() {
        let frame = gratuitous_arp(MacAddress([2, 0, 0, 0, 0, 1]), Ipv4Addr::new(10, 0, 0, 3));
        #[rustfmt::skip]
        let expected = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x08, 0x06,
            0, 1, 0x08, 0, 6, 4, 0, 1,
            2, 0, 0, 0, 0, 1, 10, 0, 0, 3,
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 10, 0, 0, 3,
        ];
        assert_eq!(frame, expected);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_datagram_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(datagram) = Ipv4Datagram::new(&bytes) {
                prop_assert!(datagram.payload.len() <= bytes.len());
            }
        }
    }
}
