//! Headers that are not VRRP's own: IPv4, IPv6, Ethernet, ARP and neighbour
//! discovery, through pnet's packet views over buffers of ours.

use std::net::{Ipv4Addr, Ipv6Addr};

use pnet::packet::arp::{ArpHardwareTypes, ArpOperations, MutableArpPacket};
use pnet::packet::ethernet::{EtherTypes, MutableEthernetPacket};
use pnet::packet::icmpv6::ndp::{
    MutableNdpOptionPacket, MutableNeighborAdvertPacket, NdpOptionTypes, NeighborAdvertFlags,
};
use pnet::packet::icmpv6::{Icmpv6Code, Icmpv6Types};
use pnet::packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet::packet::ipv4::{Ipv4Packet, MutableIpv4Packet};
use pnet::packet::ipv6::MutableIpv6Packet;
use pnet::util::MacAddr;

use crate::ids::MacAddress;

use super::checksum::checksum_with_pseudo_header;

/// Octets of an IPv4 header without options.
pub const IPV4_HEADER_LENGTH: usize = 20;

/// Octets of an IPv6 header.
pub const IPV6_HEADER_LENGTH: usize = 40;

/// Octets of an unsolicited neighbour advert with all its headers.
pub const NEIGHBOUR_ADVERT_FRAME_LENGTH: usize = 86;

/// Octets of an Ethernet header.
const ETHERNET_HEADER_LENGTH: usize = 14;

/// Octets of a neighbour advert before its options.
const NEIGHBOUR_ADVERT_LENGTH: usize = 24;

/// ff02::1, to which all nodes of a link listen.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Octets of a gratuitous ARP with its Ethernet header.
pub const ARP_FRAME_LENGTH: usize = 42;

/// Network control: what C keepalived sends adverts with.
const DSCP_NETWORK_CONTROL: u8 = CLASS_NETWORK_CONTROL >> 2;

/// The same with the two bits of congestion notification, as IPv6 has it.
const CLASS_NETWORK_CONTROL: u8 = 0xc0;

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

/// What an IPv6 header of ours says.
#[derive(Debug, Clone, Copy)]
pub struct Ipv6Header {
    /// Source address.
    pub source: Ipv6Addr,
    /// Destination address.
    pub destination: Ipv6Addr,
    /// Hop limit.
    pub hop_limit: u8,
    /// Protocol of the payload.
    pub next_header: u8,
}

/// Writes a header in front of the payload that already lies in `datagram`. The
/// flow label is left to the kernel. Does nothing if the buffer is shorter than
/// a header.
pub fn emit_ipv6_header(header: &Ipv6Header, datagram: &mut [u8]) {
    write_ipv6_header(header, CLASS_NETWORK_CONTROL, datagram);
}

fn write_ipv6_header(header: &Ipv6Header, class: u8, datagram: &mut [u8]) {
    let length = datagram.len().saturating_sub(IPV6_HEADER_LENGTH);
    let Some(mut packet) = MutableIpv6Packet::new(datagram) else {
        return;
    };
    packet.set_version(6);
    packet.set_traffic_class(class);
    packet.set_flow_label(0);
    packet.set_payload_length(u16::try_from(length).unwrap_or(u16::MAX));
    packet.set_next_header(IpNextHeaderProtocol(header.next_header));
    packet.set_hop_limit(header.hop_limit);
    packet.set_source(header.source);
    packet.set_destination(header.destination);
}

/// Changes the destination of a written IPv6 header.
pub fn set_ipv6_destination(datagram: &mut [u8], destination: Ipv6Addr) {
    if let Some(mut packet) = MutableIpv6Packet::new(datagram) {
        packet.set_destination(destination);
    }
}

/// An unsolicited neighbour advert as C keepalived sends it (specification
/// F.5): from the address itself to all nodes, overriding what they know, as a
/// `router` if the interface forwards.
pub fn neighbour_advert(
    mac: MacAddress,
    address: Ipv6Addr,
    router: bool,
) -> [u8; NEIGHBOUR_ADVERT_FRAME_LENGTH] {
    let mut frame = [0; NEIGHBOUR_ADVERT_FRAME_LENGTH];
    let mac = MacAddr::from(mac.0);
    let (ethernet, datagram) = frame.split_at_mut(ETHERNET_HEADER_LENGTH);
    if let Some(mut header) = MutableEthernetPacket::new(ethernet) {
        header.set_destination(MacAddr::new(0x33, 0x33, 0, 0, 0, 1));
        header.set_source(mac);
        header.set_ethertype(EtherTypes::Ipv6);
    }
    let header = Ipv6Header {
        source: address,
        destination: ALL_NODES,
        hop_limit: 255,
        next_header: IpNextHeaderProtocols::Icmpv6.0,
    };
    write_ipv6_header(&header, 0, datagram);
    let (_, message) = datagram.split_at_mut(IPV6_HEADER_LENGTH);
    let (advert, option) = message.split_at_mut(NEIGHBOUR_ADVERT_LENGTH);
    if let Some(mut packet) = MutableNdpOptionPacket::new(option) {
        packet.set_option_type(NdpOptionTypes::TargetLLAddr);
        packet.set_length(1);
        packet.set_data(&mac.octets());
    }
    if let Some(mut packet) = MutableNeighborAdvertPacket::new(advert) {
        packet.set_icmpv6_type(Icmpv6Types::NeighborAdvert);
        packet.set_icmpv6_code(Icmpv6Code(0));
        let router = if router {
            NeighborAdvertFlags::Router
        } else {
            0
        };
        packet.set_flags(NeighborAdvertFlags::Override | router);
        packet.set_target_addr(address);
    }
    let protocol = header.next_header;
    let sum = checksum_with_pseudo_header(address.into(), ALL_NODES.into(), protocol, message);
    if let Some(mut packet) = MutableNeighborAdvertPacket::new(message) {
        packet.set_checksum(sum);
    }
    frame
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

    #[test]
    fn the_ipv6_header_is_c_keepaliveds() {
        let mut datagram = [0; 80];
        let header = Ipv6Header {
            source: "fe80::1".parse().unwrap(),
            destination: "ff02::12".parse().unwrap(),
            hop_limit: 255,
            next_header: 112,
        };
        emit_ipv6_header(&header, &mut datagram);
        assert_eq!(datagram[..8], [0x6c, 0, 0, 0, 0, 40, 112, 255]);
        assert_eq!(datagram[8..24], header.source.octets());
        assert_eq!(datagram[24..40], header.destination.octets());
        let peer: Ipv6Addr = "2001:db8::2".parse().unwrap();
        set_ipv6_destination(&mut datagram, peer);
        assert_eq!(datagram[24..40], peer.octets());
    }

    /// As C keepalived 2.2.7 was seen to send it.
    #[test]
    fn a_neighbour_advert_is_c_keepaliveds() {
        let mac = MacAddress([0xfa, 0xe0, 0xaa, 0xb2, 0xff, 0xfc]);
        let frame = neighbour_advert(mac, "2001:db8::9".parse().unwrap(), false);
        #[rustfmt::skip]
        let expected = [
            0x33, 0x33, 0, 0, 0, 1, 0xfa, 0xe0, 0xaa, 0xb2, 0xff, 0xfc, 0x86, 0xdd,
            0x60, 0, 0, 0, 0, 0x20, 0x3a, 0xff,
            0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
            0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
            0x88, 0, 0x55, 0x8b, 0x20, 0, 0, 0,
            0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
            2, 1, 0xfa, 0xe0, 0xaa, 0xb2, 0xff, 0xfc,
        ];
        assert_eq!(frame, expected);
        let router = neighbour_advert(mac, "2001:db8::9".parse().unwrap(), true);
        assert_eq!(router[58], 0xa0);
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
