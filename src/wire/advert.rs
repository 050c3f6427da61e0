//! The VRRP advertisement, version 2 (RFC 3768 section 5) and version 3
//! (RFC 9568 section 5).
//!
//! Decides where each field lies and how a message is written. Does not decide
//! whether a message is acceptable: `vrrp/receive.rs` does, in C keepalived's
//! order, so that each refusal is counted where its users look for it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::time::Interval;

use super::checksum::{checksum_with_pseudo_header, internet_checksum};

/// The IP protocol number of VRRP.
pub const IP_PROTOCOL: u8 = 112;

/// Octets before the addresses.
pub const HEADER_LENGTH: usize = 8;

/// Octets of authentication data after the addresses. A version 2 message
/// always carries them, also without authentication.
pub const AUTHENTICATION_LENGTH: usize = 8;

/// The only message type there is: an advertisement.
pub const TYPE_ADVERTISEMENT: u8 = 1;

/// The greatest interval that a version 3 message can say: 40.95 s.
pub const V3_INTERVAL_CS_MAX: u16 = 0x0fff;

/// Authentication types (RFC 2338 section 5.3.6).
pub mod auth_type {
    /// None.
    pub const NONE: u8 = 0;
    /// A password in clear text.
    pub const PASS: u8 = 1;
    /// IP authentication header.
    pub const AH: u8 = 2;
}

/// The version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Version {
    /// RFC 3768
    #[default]
    V2,
    /// RFC 5798, RFC 9568
    V3,
}

impl Version {
    /// 2 or 3.
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

/// Which protocol carries the adverts; all addresses in one are of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Family {
    /// IPv4
    #[default]
    V4,
    /// IPv6
    V6,
}

impl Family {
    /// That of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Octets of an address.
    pub const fn address_length(self) -> usize {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }
}

/// What the checksum of a message covers besides the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// Nothing: version 2; version 3 over IPv4 as RFC 9568 has it.
    Plain,
    /// The pseudo header: version 3 over IPv6, and over IPv4 as RFC 5798 was
    /// read by C keepalived.
    PseudoHeader {
        /// Of the IP header.
        source: IpAddr,
        /// Of the IP header.
        destination: IpAddr,
    },
}

impl Checksum {
    /// The checksum of a message: 0 if its field is right, the value for the
    /// field if that is 0.
    fn of(self, message: &[u8]) -> u16 {
        match self {
            Self::Plain => internet_checksum(message),
            Self::PseudoHeader {
                source,
                destination,
            } => checksum_with_pseudo_header(source, destination, IP_PROTOCOL, message),
        }
    }
}

/// Where the fields lie.
mod field {
    use std::ops::Range;
    pub const CHECKSUM: Range<usize> = 6..8;
}

/// A received message: the fixed octets, and what follows them.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    header: &'a [u8; HEADER_LENGTH],
    rest: &'a [u8],
    whole: &'a [u8],
    family: Family,
}

impl<'a> Packet<'a> {
    /// The message in `bytes`, which came over `family`; `None` if not even the
    /// fixed octets are there.
    pub fn new(bytes: &'a [u8], family: Family) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk()?;
        Some(Self {
            header,
            rest,
            whole: bytes,
            family,
        })
    }

    /// Protocol version, 0 to 15.
    pub const fn version(&self) -> u8 {
        self.header[0] >> 4
    }

    /// Message type, 0 to 15.
    pub const fn message_type(&self) -> u8 {
        self.header[0] & 0x0f
    }

    /// Virtual router identifier, 0 to 255.
    pub const fn vrid(&self) -> u8 {
        self.header[1]
    }

    /// Priority of the sender.
    pub const fn priority(&self) -> u8 {
        self.header[2]
    }

    /// How many addresses the sender says there are.
    pub const fn address_count(&self) -> u8 {
        self.header[3]
    }

    /// Authentication type, in version 2.
    pub const fn auth_type(&self) -> u8 {
        self.header[4]
    }

    /// The sender's interval between adverts. Version 3 counts hundredths of a
    /// second in twelve bits; the four bits in front of them do not matter.
    pub const fn advert_interval(&self) -> Interval {
        if self.version() == Version::V3.number() {
            let cs = u16::from_be_bytes([self.header[4], self.header[5]]) & V3_INTERVAL_CS_MAX;
            return Interval::from_ms((cs as u64).saturating_mul(10));
        }
        Interval::from_secs(self.header[5] as u64)
    }

    /// The length that a message of its version with that many addresses has; of
    /// `ours` if there is no such version. So another version shows as such, and not
    /// as a wrong length.
    pub const fn expected_length(&self, ours: Version) -> usize {
        let version = match self.version() {
            2 => Version::V2,
            3 => Version::V3,
            _ => ours,
        };
        message_length(version, self.family, self.address_count() as usize)
    }

    /// The length that was received.
    pub const fn length(&self) -> usize {
        self.whole.len()
    }

    /// All octets that were received.
    pub const fn bytes(&self) -> &'a [u8] {
        self.whole
    }

    /// The message cut to `length` octets, and what comes behind them; `None` if
    /// there are not as many, or fewer than the fixed ones.
    pub fn split(&self, length: usize) -> Option<(Self, &'a [u8])> {
        let (message, behind) = self.whole.split_at_checked(length)?;
        Some((Self::new(message, self.family)?, behind))
    }

    /// Whether the checksum is right in this form.
    pub fn checksum_is_right(&self, checksum: Checksum) -> bool {
        checksum.of(self.whole) == 0
    }

    /// The addresses that are really there: no more than were announced, and
    /// no more than the message has room for.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<'a> {
        let family = self.family;
        let chunks = self.rest.chunks_exact(family.address_length());
        chunks
            .take(usize::from(self.address_count()))
            .filter_map(move |octets| match family {
                Family::V4 => Some(Ipv4Addr::from(*octets.first_chunk::<4>()?).into()),
                Family::V6 => Some(Ipv6Addr::from(*octets.first_chunk::<16>()?).into()),
            })
    }

    /// The authentication data of version 2; `None` if the message is too short
    /// for it.
    pub fn authentication(&self) -> Option<&'a [u8; AUTHENTICATION_LENGTH]> {
        let count = usize::from(self.address_count());
        let after = count.saturating_mul(self.family.address_length());
        self.rest.get(after..)?.first_chunk()
    }
}

/// What an advertisement says.
#[derive(Debug, Clone, Copy)]
pub struct Advert<'a> {
    /// Version of the protocol.
    pub version: Version,
    /// What carries it; addresses of the other family are left out.
    pub family: Family,
    /// Virtual router identifier.
    pub vrid: u8,
    /// Priority.
    pub priority: u8,
    /// Whole seconds in version 2, hundredths of a second in version 3; what is
    /// smaller is cut off, what is greater becomes the greatest possible.
    pub advert_interval: Interval,
    /// At most 255; further ones are left out.
    pub addresses: &'a [IpAddr],
    /// Of version 2, an [`auth_type`].
    pub auth_type: u8,
    /// The password of version 2, or `None` without one.
    pub password: Option<&'a [u8; AUTHENTICATION_LENGTH]>,
}

/// The length in octets of a message with `addresses` addresses.
pub const fn message_length(version: Version, family: Family, addresses: usize) -> usize {
    let authentication = match version {
        Version::V2 => AUTHENTICATION_LENGTH,
        Version::V3 => 0,
    };
    HEADER_LENGTH
        .saturating_add(addresses.saturating_mul(family.address_length()))
        .saturating_add(authentication)
}

impl Advert<'_> {
    /// Octets that `emit` writes.
    pub fn length(&self) -> usize {
        message_length(self.version, self.family, usize::from(self.count()))
    }

    fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let of_family = |address: &IpAddr| Family::of(*address) == self.family;
        let all = self.addresses.iter().copied().filter(of_family);
        all.take(usize::from(u8::MAX))
    }

    fn count(&self) -> u8 {
        u8::try_from(self.addresses().count()).unwrap_or(u8::MAX)
    }

    /// The octets of interval and, in version 2, authentication type.
    fn interval_octets(&self) -> [u8; 2] {
        match self.version {
            Version::V2 => {
                let seconds = u8::try_from(self.advert_interval.as_secs());
                [self.auth_type, seconds.unwrap_or(u8::MAX)]
            }
            Version::V3 => {
                let cs = u16::try_from(self.advert_interval.as_us() / 10_000);
                let cs = cs.unwrap_or(u16::MAX).min(V3_INTERVAL_CS_MAX);
                cs.to_be_bytes()
            }
        }
    }

    /// Writes the message; its checksum is 0 until [`set_checksum`] has been
    /// called. `buffer` has `length()` octets; what does not fit into a shorter
    /// one is left out.
    pub fn emit(&self, buffer: &mut [u8]) {
        let [fourth, fifth] = self.interval_octets();
        let header = [
            (self.version.number() << 4) | TYPE_ADVERTISEMENT,
            self.vrid,
            self.priority,
            self.count(),
            fourth,
            fifth,
            0,
            0,
        ];
        buffer.fill(0);
        let (header_place, mut rest) = buffer.split_at_mut(HEADER_LENGTH.min(buffer.len()));
        for (place, octet) in header_place.iter_mut().zip(header) {
            *place = octet;
        }
        for address in self.addresses() {
            let (place, after) = rest.split_at_mut(self.family.address_length().min(rest.len()));
            match address {
                IpAddr::V4(address) => copy(place, &address.octets()),
                IpAddr::V6(address) => copy(place, &address.octets()),
            }
            rest = after;
        }
        if let (Version::V2, Some(password)) = (self.version, self.password) {
            copy(rest, password);
        }
    }
}

fn copy(place: &mut [u8], octets: &[u8]) {
    for (place, octet) in place.iter_mut().zip(octets) {
        *place = *octet;
    }
}

/// Changes the priority of a written message; its checksum is no longer right
/// then.
pub fn set_priority(message: &mut [u8], priority: u8) {
    if let Some(place) = message.get_mut(2) {
        *place = priority;
    }
}

/// Writes the checksum of a written message.
pub fn set_checksum(message: &mut [u8], checksum: Checksum) {
    if let Some(place) = message.get_mut(field::CHECKSUM) {
        place.fill(0);
    }
    let sum = checksum.of(message).to_be_bytes();
    if let Some(place) = message.get_mut(field::CHECKSUM) {
        place.copy_from_slice(&sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 3));
    const LINK_LOCAL: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99));

    /// VRID 50, priority 255, one address, password "1111", as C keepalived
    /// 2.2.7 was seen to send it.
    const V2_BYTES: [u8; 20] = [
        0x21, 50, 255, 1, 1, 1, 0x72, 0x65, 10, 0, 0, 3, b'1', b'1', b'1', b'1', 0, 0, 0, 0,
    ];

    fn v2() -> Advert<'static> {
        Advert {
            version: Version::V2,
            family: Family::V4,
            vrid: 50,
            priority: 255,
            advert_interval: Interval::from_secs(1),
            addresses: &[VIP],
            auth_type: auth_type::PASS,
            password: Some(b"1111\0\0\0\0"),
        }
    }

    fn v3(family: Family, addresses: &'static [IpAddr]) -> Advert<'static> {
        Advert {
            version: Version::V3,
            family,
            vrid: 7,
            priority: 100,
            advert_interval: Interval::from_ms(10),
            addresses,
            auth_type: auth_type::NONE,
            password: None,
        }
    }

    fn written(advert: &Advert<'_>, checksum: Checksum) -> Vec<u8> {
        let mut buffer = vec![0xff; advert.length()];
        advert.emit(&mut buffer);
        set_checksum(&mut buffer, checksum);
        buffer
    }

    #[test]
    fn version_2_writes_the_octets_of_the_rfc() {
        assert_eq!(written(&v2(), Checksum::Plain), V2_BYTES);
    }

    #[test]
    fn version_2_reads_what_was_written() {
        let packet = Packet::new(&V2_BYTES, Family::V4).unwrap();
        assert_eq!((packet.version(), packet.message_type()), (2, 1));
        assert_eq!((packet.vrid(), packet.priority()), (50, 255));
        assert_eq!(packet.auth_type(), auth_type::PASS);
        assert_eq!(packet.advert_interval(), Interval::from_secs(1));
        assert_eq!(packet.expected_length(Version::V2), packet.length());
        assert_eq!(packet.addresses().collect::<Vec<_>>(), [VIP]);
        assert_eq!(packet.authentication(), Some(b"1111\0\0\0\0"));
        assert!(packet.checksum_is_right(Checksum::Plain));
    }

    #[test]
    fn a_right_message_of_the_other_version_has_the_right_length() {
        let packet = Packet::new(&V2_BYTES, Family::V4).unwrap();
        assert_eq!(packet.expected_length(Version::V3), packet.length());
        let mut unknown = V2_BYTES;
        unknown[0] = 0x51;
        let packet = Packet::new(&unknown, Family::V4).unwrap();
        assert_eq!(packet.expected_length(Version::V2), packet.length());
        assert_ne!(packet.expected_length(Version::V3), packet.length());
    }

    #[test]
    fn version_3_over_ipv4_has_two_checksums() {
        let plain = written(&v3(Family::V4, &[VIP]), Checksum::Plain);
        // 0x3107 + 0x6401 + 0x0001 + 0x0a00 + 0x0003 = 0x9f0c
        assert_eq!(plain, [0x31, 7, 100, 1, 0, 1, 0x60, 0xf3, 10, 0, 0, 3]);
        let pseudo = Checksum::PseudoHeader {
            source: Ipv4Addr::new(10, 0, 0, 1).into(),
            destination: Ipv4Addr::new(224, 0, 0, 18).into(),
        };
        // ... + 0x0a00 + 0x0001 + 0xe000 + 0x0012 + 112 + 12 = 0x1899b, folded 0x899c
        let with_header = written(&v3(Family::V4, &[VIP]), pseudo);
        assert_eq!(with_header[6..8], (!0x899c_u16).to_be_bytes());
        let packet = Packet::new(&with_header, Family::V4).unwrap();
        assert!(packet.checksum_is_right(pseudo));
        assert!(!packet.checksum_is_right(Checksum::Plain));
    }

    #[test]
    fn version_3_over_ipv6_reads_what_was_written() {
        let pseudo = Checksum::PseudoHeader {
            source: "fe80::1".parse().unwrap(),
            destination: "ff02::12".parse().unwrap(),
        };
        let bytes = written(&v3(Family::V6, &[LINK_LOCAL, VIP]), pseudo);
        assert_eq!(bytes.len(), 24);
        let packet = Packet::new(&bytes, Family::V6).unwrap();
        assert_eq!((packet.version(), packet.address_count()), (3, 1));
        assert_eq!(packet.expected_length(Version::V3), packet.length());
        assert_eq!(packet.addresses().collect::<Vec<_>>(), [LINK_LOCAL]);
        assert_eq!(packet.advert_interval(), Interval::from_ms(10));
        assert!(packet.checksum_is_right(pseudo));
    }

    #[test]
    fn intervals_stay_within_the_field() {
        let said = |version, interval| {
            let advert = Advert {
                version,
                advert_interval: interval,
                ..v3(Family::V4, &[])
            };
            let bytes = written(&advert, Checksum::Plain);
            Packet::new(&bytes, Family::V4).unwrap().advert_interval()
        };
        let ms = Interval::from_ms;
        assert_eq!(said(Version::V3, ms(40_950)), ms(40_950));
        assert_eq!(said(Version::V3, ms(41_000)), ms(40_950));
        assert_eq!(said(Version::V3, ms(19)), ms(10));
        assert_eq!(said(Version::V2, ms(255_999)), ms(255_000));
        assert_eq!(said(Version::V2, ms(300_000)), ms(255_000));
    }

    #[test]
    fn reserved_bits_of_version_3_do_not_matter() {
        let mut bytes = written(&v3(Family::V4, &[VIP]), Checksum::Plain);
        bytes[4] |= 0xf0;
        let packet = Packet::new(&bytes, Family::V4).unwrap();
        assert_eq!(packet.advert_interval(), Interval::from_ms(10));
    }

    #[test]
    fn a_changed_priority_gets_a_checksum_of_its_own() {
        let mut bytes = V2_BYTES;
        set_priority(&mut bytes, 0);
        set_checksum(&mut bytes, Checksum::Plain);
        let packet = Packet::new(&bytes, Family::V4).unwrap();
        assert_eq!(packet.priority(), 0);
        assert!(packet.checksum_is_right(Checksum::Plain));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for bit in 0..V2_BYTES.len() * 8 {
            let mut bytes = V2_BYTES;
            bytes[bit / 8] ^= 1 << (bit % 8);
            let packet = Packet::new(&bytes, Family::V4).unwrap();
            assert!(!packet.checksum_is_right(Checksum::Plain), "{bit}");
        }
    }

    #[test]
    fn too_short_for_the_fixed_octets_is_no_packet() {
        assert!(Packet::new(&V2_BYTES[..7], Family::V4).is_none());
        assert!(Packet::new(&[], Family::V6).is_none());
    }

    fn family() -> impl Strategy<Value = Family> {
        prop_oneof![Just(Family::V4), Just(Family::V6)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_bytes_make_a_view_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..1100), family in family(),
        ) {
            if let Some(packet) = Packet::new(&bytes, family) {
                let _ = packet.addresses().count();
                let _ = packet.authentication();
                let _ = packet.checksum_is_right(Checksum::Plain);
                let _ = packet.expected_length(Version::V2);
                let _ = packet.advert_interval();
            }
        }

        #[test]
        fn what_is_written_reads_back(
            vrid in 1u8.., priority: u8, seconds in 1u64..=40, version_3: bool, family in family(),
            numbers in prop::collection::vec(any::<u128>(), 0..300), password: Option<[u8; 8]>,
        ) {
            let version = if version_3 { Version::V3 } else { Version::V2 };
            let addresses: Vec<IpAddr> = numbers
                .into_iter()
                .map(|number| match family {
                    Family::V4 => Ipv4Addr::from(number as u32).into(),
                    Family::V6 => Ipv6Addr::from(number).into(),
                })
                .collect();
            let advert = Advert {
                version, family, vrid, priority,
                advert_interval: Interval::from_secs(seconds),
                addresses: &addresses,
                auth_type: auth_type::NONE,
                password: password.as_ref(),
            };
            let buffer = written(&advert, Checksum::Plain);
            let packet = Packet::new(&buffer, family).unwrap();
            prop_assert!(packet.checksum_is_right(Checksum::Plain));
            prop_assert_eq!(packet.expected_length(version), buffer.len());
            prop_assert_eq!(packet.priority(), priority);
            prop_assert_eq!(packet.advert_interval(), Interval::from_secs(seconds));
            prop_assert_eq!(packet.addresses().collect::<Vec<_>>(), &addresses[..addresses.len().min(255)]);
            if version == Version::V2 {
                prop_assert_eq!(packet.authentication(), Some(&password.unwrap_or_default()));
            }
        }
    }
}
