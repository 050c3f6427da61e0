//! Ethernet frames as the observer sees and forges them: VRRPv2 adverts
//! (RFC 3768 section 5) and ARP (RFC 826, RFC 5227).
//!
//! Written against the RFCs and independent of the wire code of the daemon, so
//! that it can judge it.

use std::fmt;
use std::net::Ipv4Addr;

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
    /// A VRRP packet over IPv4.
    Vrrp(Advert),
    /// An ARP packet for IPv4 over Ethernet.
    Arp(Arp),
    /// Anything else, malformed frames included.
    Other,
}

/// A VRRP packet with the headers around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advert {
    /// Hardware address that sent the frame.
    pub source_mac: Mac,
    /// Sender in the IPv4 header.
    pub source: Ipv4Addr,
    /// Destination in the IPv4 header; 224.0.0.18 for multicast.
    pub destination: Ipv4Addr,
    /// Time to live; 255 for multicast.
    pub time_to_live: u8,
    /// VRRP version, 2 or 3.
    pub version: u8,
    /// Virtual router identifier.
    pub vrid: u8,
    /// Priority; 0 when the master leaves.
    pub priority: u8,
    /// Authentication type; 1 is a plain password.
    pub auth_type: u8,
    /// Advertisement interval, seconds.
    pub advert_interval_s: u8,
    /// The virtual addresses.
    pub addresses: Vec<Ipv4Addr>,
    /// Authentication data, empty where the packet has none.
    pub auth_data: Vec<u8>,
    /// Whether both the IPv4 header checksum and the VRRP checksum are right.
    pub checksums_right: bool,
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

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const PROTOCOL_VRRP: u8 = 112;
const PROTOCOL_AH: u8 = 51;
/// Octets of the authentication header.
const AH_LENGTH: usize = 24;
const ETHERNET_LENGTH: usize = 14;
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
        Some(ETHERTYPE_IPV4) => parse_vrrp(header, body).map_or(Packet::Other, Packet::Vrrp),
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

fn parse_vrrp(ethernet: &[u8], body: &[u8]) -> Option<Advert> {
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
    let count = usize::from(*vrrp.get(3)?);
    let addresses = (0..count)
        .map(|index| address(vrrp, 8 + 4 * index))
        .collect::<Option<_>>()?;
    Some(Advert {
        source_mac: Mac(ethernet.get(6..12)?.try_into().ok()?),
        source: address(body, 12)?,
        destination: address(body, 16)?,
        time_to_live: *body.get(8)?,
        version: vrrp.first()? >> 4,
        vrid: *vrrp.get(1)?,
        priority: *vrrp.get(2)?,
        auth_type: *vrrp.get(4)?,
        advert_interval_s: *vrrp.get(5)?,
        addresses,
        auth_data: vrrp.get(8 + 4 * count..).unwrap_or_default().to_vec(),
        checksums_right: checksum(ip_header) == 0 && checksum(vrrp) == 0,
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

/// A VRRPv2 frame with right checksums, whatever its contents.
pub fn advert_frame(advert: &Advert) -> Vec<u8> {
    let mut vrrp = vec![
        advert.version << 4 | 1,
        advert.vrid,
        advert.priority,
        advert.addresses.len() as u8,
        advert.auth_type,
        advert.advert_interval_s,
        0,
        0,
    ];
    vrrp.extend(advert.addresses.iter().flat_map(Ipv4Addr::octets));
    let mut auth_data = advert.auth_data.clone();
    auth_data.resize(AUTH_LENGTH, 0);
    vrrp.extend(auth_data);
    let sum = checksum(&vrrp).to_be_bytes();
    vrrp[6..8].copy_from_slice(&sum);

    let mut ip = vec![0x45, 0xc0];
    ip.extend((20 + vrrp.len() as u16).to_be_bytes());
    ip.extend([0, 1, 0, 0, advert.time_to_live, PROTOCOL_VRRP, 0, 0]);
    ip.extend(advert.source.octets());
    ip.extend(advert.destination.octets());
    let sum = checksum(&ip).to_be_bytes();
    ip[10..12].copy_from_slice(&sum);

    let [_, b, c, d] = advert.destination.octets();
    let mut frame = vec![0x01, 0x00, 0x5e, b & 0x7f, c, d];
    frame.extend(advert.source_mac.0);
    frame.extend(ETHERTYPE_IPV4.to_be_bytes());
    frame.extend(ip);
    frame.extend(vrrp);
    frame
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
