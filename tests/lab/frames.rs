//! Ethernet frames as the observer sees and forges them: VRRP adverts of version
//! 2 (RFC 3768 section 5) and 3 (RFC 5798 section 5), over IPv4 and IPv6, ARP
//! (RFC 826, RFC 5227) and neighbour adverts (RFC 4861 section 4.4).
//!
//! Written against the RFCs and independent of the wire code of the daemon, so
//! that it can judge it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// A hardware address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a frame carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// A VRRP packet.
    Vrrp(Advert),
    /// An ARP packet for IPv4 over Ethernet.
    Arp(Arp),
    /// A neighbour advert of IPv6.
    Neighbour(NeighbourAdvert),
    /// Anything else, malformed frames included.
    Other,
}

/// What a right VRRP checksum covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covers {
    /// The message alone.
    Message,
    /// The message and a pseudo header of the addresses (RFC 5798 section 5.2.8).
    PseudoHeader,
}

/// A VRRP packet with the headers around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advert {
    /// Hardware address that sent the frame.
    pub source_mac: Mac,
    /// Sender in the IP header.
    pub source: IpAddr,
    /// Destination in the IP header; 224.0.0.18 or ff02::12 for multicast.
    pub destination: IpAddr,
    /// Time to live or hop limit; 255 for multicast.
    pub time_to_live: u8,
    /// VRRP version, 2 or 3.
    pub version: u8,
    /// Virtual router identifier.
    pub vrid: u8,
    /// Priority; 0 when the master leaves.
    pub priority: u8,
    /// Authentication type; 1 is a plain password. 0 in version 3.
    pub auth_type: u8,
    /// Advertisement interval: whole seconds in version 2, 1/100 s in version 3.
    pub advert_interval: Duration,
    /// The virtual addresses.
    pub addresses: Vec<IpAddr>,
    /// Authentication data, empty where the packet has none.
    pub auth_data: Vec<u8>,
    /// What the VRRP checksum covers, or none where it or that of the IPv4 header
    /// is wrong.
    pub checksum: Option<Covers>,
}

/// An ARP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// 1 asks, 2 answers.
    pub operation: u16,
    /// Hardware address of the sender, from the ARP body.
    pub sender_mac: Mac,
    /// Protocol address of the sender.
    pub sender: Ipv4Addr,
    /// Protocol address that is asked for, or of the asker in an answer.
    pub target: Ipv4Addr,
}

impl Arp {
    /// Whether a node announces that it holds an address.
    pub fn is_gratuitous(&self) -> bool {
        self.sender == self.target
    }
}

/// A neighbour advert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeighbourAdvert {
    /// Sender in the IPv6 header.
    pub source: Ipv6Addr,
    /// Destination; ff02::1 for an unsolicited one.
    pub destination: Ipv6Addr,
    /// The hardware address that it tells: that of its option, else that of the frame.
    pub mac: Mac,
    /// The address that is there.
    pub target: Ipv6Addr,
    /// Whether the sender is a router.
    pub router: bool,
    /// Whether it answers a question.
    pub solicited: bool,
    /// Whether the told hardware address is better than a known one.
    pub overrides: bool,
    /// Whether hop limit (255) and checksum are right.
    pub right: bool,
}

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// The IP protocol number of VRRP.
pub const PROTOCOL_VRRP: u8 = 112;
const PROTOCOL_ICMPV6: u8 = 58;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERT: u8 = 136;
const PROTOCOL_AH: u8 = 51;
/// Octets of the authentication header.
const AH_LENGTH: usize = 24;
const ETHERNET_LENGTH: usize = 14;
const IPV6_HEADER_LENGTH: usize = 40;
const AUTH_LENGTH: usize = 8;
/// Asks who has an address.
pub const ARP_REQUEST: u16 = 1;
/// Answers such a question.
pub const ARP_REPLY: u16 = 2;

/// Decodes a frame; never fails, what it does not know is [`Packet::Other`].
pub fn parse(frame: &[u8]) -> Packet {
    let Some((header, body)) = frame.split_at_checked(ETHERNET_LENGTH) else {
        return Packet::Other;
    };
    match number(header, 12) {
        Some(ETHERTYPE_ARP) => parse_arp(body).map_or(Packet::Other, Packet::Arp),
        Some(ETHERTYPE_IPV4) => parse_ipv4(header, body).map_or(Packet::Other, Packet::Vrrp),
        Some(ETHERTYPE_IPV6) => parse_ipv6(header, body).unwrap_or(Packet::Other),
        _ => Packet::Other,
    }
}

fn parse_arp(body: &[u8]) -> Option<Arp> {
    const ETHERNET_AND_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];
    if body.get(..6)? != ETHERNET_AND_IPV4 {
        return None;
    }
    Some(Arp {
        operation: number(body, 6)?,
        sender_mac: Mac(body.get(8..14)?.try_into().ok()?),
        sender: address(body, 14)?,
        target: address(body, 24)?,
    })
}

fn parse_ipv4(ethernet: &[u8], body: &[u8]) -> Option<Advert> {
    let header_length = usize::from(body.first()? & 0x0f) * 4;
    let total_length = usize::from(number(body, 2)?);
    let ip_header = body.get(..header_length)?;
    // Short frames are padded; the IPv4 header tells where the packet ends.
    let payload = body.get(header_length..total_length)?;
    let vrrp = match *body.get(9)? {
        PROTOCOL_VRRP => payload,
        PROTOCOL_AH if *payload.first()? == PROTOCOL_VRRP => payload.get(AH_LENGTH..)?,
        _ => return None,
    };
    let ends = [address(body, 12)?.into(), address(body, 16)?.into()];
    let mut advert = parse_vrrp(ethernet, ends, *body.get(8)?, vrrp)?;
    if checksum(ip_header) != 0 {
        advert.checksum = None;
    }
    Some(advert)
}

fn parse_ipv6(ethernet: &[u8], body: &[u8]) -> Option<Packet> {
    let length = usize::from(number(body, 4)?);
    let (next_header, hop_limit) = (*body.get(6)?, *body.get(7)?);
    let payload = body.get(IPV6_HEADER_LENGTH..IPV6_HEADER_LENGTH + length)?;
    let (source, destination) = (address_v6(body, 8)?, address_v6(body, 24)?);
    let ends = [source.into(), destination.into()];
    if next_header == PROTOCOL_VRRP {
        return parse_vrrp(ethernet, ends, hop_limit, payload).map(Packet::Vrrp);
    }
    if next_header != PROTOCOL_ICMPV6 || *payload.first()? != NEIGHBOUR_ADVERT {
        return None;
    }
    let flags = *payload.get(4)?;
    let option = payload.get(24..26).filter(|start| *start == [2, 1]);
    let mac = option.and_then(|_| payload.get(26..32));
    Some(Packet::Neighbour(NeighbourAdvert {
        source,
        destination,
        mac: Mac(mac.or(ethernet.get(6..12))?.try_into().ok()?),
        target: address_v6(payload, 8)?,
        router: flags & 0x80 != 0,
        solicited: flags & 0x40 != 0,
        overrides: flags & 0x20 != 0,
        right: hop_limit == 255 && sum_with_ends(ends, PROTOCOL_ICMPV6, payload) == 0,
    }))
}

fn parse_vrrp(ethernet: &[u8], ends: [IpAddr; 2], time_to_live: u8, vrrp: &[u8]) -> Option<Advert> {
    let version = vrrp.first()? >> 4;
    let count = usize::from(*vrrp.get(3)?);
    let is_v6 = ends[0].is_ipv6();
    let each = if is_v6 { 16 } else { 4 };
    let addresses = (0..count)
        .map(|index| match is_v6 {
            true => address_v6(vrrp, 8 + each * index).map(IpAddr::V6),
            false => address(vrrp, 8 + each * index).map(IpAddr::V4),
        })
        .collect::<Option<_>>()?;
    let (auth_type, advert_interval) = match version {
        2 => (*vrrp.get(4)?, Duration::from_secs((*vrrp.get(5)?).into())),
        // The upper four bits are reserved and must be 0; they would show here.
        _ => (0, Duration::from_millis(u64::from(number(vrrp, 4)?) * 10)),
    };
    let covers = if checksum(vrrp) == 0 {
        Some(Covers::Message)
    } else if sum_with_ends(ends, PROTOCOL_VRRP, vrrp) == 0 {
        Some(Covers::PseudoHeader)
    } else {
        None
    };
    Some(Advert {
        source_mac: Mac(ethernet.get(6..12)?.try_into().ok()?),
        source: ends[0],
        destination: ends[1],
        time_to_live,
        version,
        vrid: *vrrp.get(1)?,
        priority: *vrrp.get(2)?,
        auth_type,
        advert_interval,
        addresses,
        auth_data: vrrp.get(8 + each * count..).unwrap_or_default().to_vec(),
        checksum: covers,
    })
}

/// A question for the holder of `target`, as RFC 5227 asks before taking an
/// address: the asker has no address, so that nobody learns anything from it.
pub fn arp_probe(asker: Mac, target: Ipv4Addr) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend(asker.0);
    frame.extend(ETHERTYPE_ARP.to_be_bytes());
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(asker.0);
    frame.extend([0; 4]);
    frame.extend([0; 6]);
    frame.extend(target.octets());
    frame
}

/// A question for the holder of `target`, as RFC 4862 section 5.4.2 asks before
/// taking an address: from nowhere, to the group of the address.
pub fn neighbour_probe(asker: Mac, target: Ipv6Addr) -> Vec<u8> {
    let [.., b, c, d] = target.octets();
    let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, b, c, d]);
    let mut message = vec![NEIGHBOUR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    message.extend(target.octets());
    let ends = [Ipv6Addr::UNSPECIFIED.into(), group.into()];
    let sum = sum_with_ends(ends, PROTOCOL_ICMPV6, &message).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    ip_frame(asker, ends, 255, PROTOCOL_ICMPV6, &message)
}

/// The message of an advert, with the checksum that `advert` wants; a wrong one
/// where it wants none.
pub fn advert_message(advert: &Advert) -> Vec<u8> {
    let mut vrrp = vec![
        advert.version << 4 | 1,
        advert.vrid,
        advert.priority,
        advert.addresses.len() as u8,
    ];
    match advert.version {
        2 => vrrp.extend([advert.auth_type, advert.advert_interval.as_secs() as u8]),
        _ => vrrp.extend((advert.advert_interval.as_millis() as u16 / 10).to_be_bytes()),
    }
    vrrp.extend([0, 0]);
    for address in &advert.addresses {
        match address {
            IpAddr::V4(address) => vrrp.extend(address.octets()),
            IpAddr::V6(address) => vrrp.extend(address.octets()),
        }
    }
    if advert.version == 2 {
        let mut auth_data = advert.auth_data.clone();
        auth_data.resize(AUTH_LENGTH, 0);
        vrrp.extend(auth_data);
    }
    let ends = [advert.source, advert.destination];
    let sum = match advert.checksum {
        Some(Covers::Message) => checksum(&vrrp),
        Some(Covers::PseudoHeader) => sum_with_ends(ends, PROTOCOL_VRRP, &vrrp),
        None => checksum(&vrrp) ^ 0x5555,
    };
    vrrp[6..8].copy_from_slice(&sum.to_be_bytes());
    vrrp
}

/// A frame with an advert, whatever its contents.
pub fn advert_frame(advert: &Advert) -> Vec<u8> {
    let ends = [advert.source, advert.destination];
    let message = advert_message(advert);
    let ttl = advert.time_to_live;
    ip_frame(advert.source_mac, ends, ttl, PROTOCOL_VRRP, &message)
}

/// A frame with a right IP header around any payload, to the hardware address
/// of a multicast group or, for a unicast destination, to everybody.
pub fn ip_frame(
    source_mac: Mac,
    ends: [IpAddr; 2],
    time_to_live: u8,
    protocol: u8,
    payload: &[u8],
) -> Vec<u8> {
    let length = payload.len() as u16;
    let (mut frame, ethertype, header) = match ends {
        [IpAddr::V4(source), IpAddr::V4(destination)] => {
            let mut ip = vec![0x45, 0xc0];
            ip.extend((20 + length).to_be_bytes());
            ip.extend([0, 1, 0, 0, time_to_live, protocol, 0, 0]);
            ip.extend(source.octets());
            ip.extend(destination.octets());
            let sum = checksum(&ip).to_be_bytes();
            ip[10..12].copy_from_slice(&sum);
            let [_, b, c, d] = destination.octets();
            let group = vec![0x01, 0x00, 0x5e, b & 0x7f, c, d];
            (group, ETHERTYPE_IPV4, ip)
        }
        [IpAddr::V6(source), IpAddr::V6(destination)] => {
            let mut ip = vec![0x60, 0, 0, 0];
            ip.extend(length.to_be_bytes());
            ip.extend([protocol, time_to_live]);
            ip.extend(source.octets());
            ip.extend(destination.octets());
            let [.., a, b, c, d] = destination.octets();
            (vec![0x33, 0x33, a, b, c, d], ETHERTYPE_IPV6, ip)
        }
        _ => panic!("a datagram has one family"),
    };
    if !ends[1].is_multicast() {
        frame = vec![0xff; 6];
    }
    frame.extend(source_mac.0);
    frame.extend(ethertype.to_be_bytes());
    frame.extend(header);
    frame.extend(payload);
    frame
}

/// The checksum over a pseudo header (RFC 8200 section 8.1, RFC 9293 section
/// 3.1) and the message.
fn sum_with_ends(ends: [IpAddr; 2], protocol: u8, message: &[u8]) -> u16 {
    let mut bytes = Vec::new();
    for end in ends {
        match end {
            IpAddr::V4(address) => bytes.extend(address.octets()),
            IpAddr::V6(address) => bytes.extend(address.octets()),
        }
    }
    // Whether the length has two octets or four, the sum is the same.
    bytes.extend((message.len() as u32).to_be_bytes());
    bytes.extend([0, 0, 0, protocol]);
    bytes.extend(message);
    checksum(&bytes)
}

/// The Internet checksum (RFC 1071); 0 over data that contains its right one.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([pair[0], low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..at + 2)?
        .try_into()
        .ok()
        .map(u16::from_be_bytes)
}

fn address(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(octets.into())
}

fn address_v6(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    let octets: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
    Some(octets.into())
}
