//! The VRRP version 2 advertisement (RFC 3768 section 5).
//!
//! Decides where each field lies and how a message is written. Does not decide
//! whether a message is acceptable: `vrrp/receive.rs` does, in C keepalived's
//! order, so that each refusal is counted where its users look for it.

use std::net::Ipv4Addr;

use super::checksum::internet_checksum;

/// The IP protocol number of VRRP.
pub const IP_PROTOCOL: u8 = 112;

/// Octets before the addresses.
pub const HEADER_LENGTH: usize = 8;

/// Octets of authentication data after the addresses. A version 2 message
/// always carries them, also without authentication.
pub const AUTHENTICATION_LENGTH: usize = 8;

/// The only message type there is: an advertisement.
pub const TYPE_ADVERTISEMENT: u8 = 1;

/// Authentication types (RFC 2338 section 5.3.6).
pub mod auth_type {
    /// None.
    pub const NONE: u8 = 0;
    /// A password in clear text.
    pub const PASS: u8 = 1;
    /// IP authentication header.
    pub const AH: u8 = 2;
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
}

impl<'a> Packet<'a> {
    /// The message in `bytes`; `None` if not even the fixed octets are there.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk()?;
        Some(Self {
            header,
            rest,
            whole: bytes,
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

    /// Authentication type.
    pub const fn auth_type(&self) -> u8 {
        self.header[4]
    }

    /// Advertisement interval in seconds.
    pub const fn advert_interval_s(&self) -> u8 {
        self.header[5]
    }

    /// The length that a version 2 message with that many addresses has.
    pub const fn expected_length(&self) -> usize {
        message_length(self.address_count() as usize)
    }

    /// The length that was received.
    pub const fn length(&self) -> usize {
        self.whole.len()
    }

    /// Whether the checksum is right.
    pub fn checksum_is_right(&self) -> bool {
        internet_checksum(self.whole) == 0
    }

    /// The addresses that are really there: no more than were announced, and
    /// no more than the message has room for.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> + use<'a> {
        let (chunks, _) = self.rest.as_chunks::<4>();
        chunks
            .iter()
            .take(usize::from(self.address_count()))
            .map(|&octets| Ipv4Addr::from(octets))
    }

    /// The authentication data; `None` if the message is too short for it.
    pub fn authentication(&self) -> Option<&'a [u8; AUTHENTICATION_LENGTH]> {
        let after = usize::from(self.address_count()).saturating_mul(4);
        self.rest.get(after..)?.first_chunk()
    }
}

/// What a version 2 advertisement says.
#[derive(Debug, Clone, Copy)]
pub struct Advert<'a> {
    /// Virtual router identifier.
    pub vrid: u8,
    /// Priority.
    pub priority: u8,
    /// Interval in whole seconds.
    pub advert_interval_s: u8,
    /// At most 255; further ones are left out.
    pub addresses: &'a [Ipv4Addr],
    /// The password, or `None` without authentication.
    pub password: Option<&'a [u8; AUTHENTICATION_LENGTH]>,
}

/// The length in octets of a version 2 message with `addresses` addresses.
pub const fn message_length(addresses: usize) -> usize {
    // At most 255 addresses: cannot overflow.
    HEADER_LENGTH
        .saturating_add(addresses.saturating_mul(4))
        .saturating_add(AUTHENTICATION_LENGTH)
}

impl Advert<'_> {
    /// Octets that `emit` writes.
    pub fn length(&self) -> usize {
        message_length(usize::from(self.count()))
    }

    fn count(&self) -> u8 {
        u8::try_from(self.addresses.len()).unwrap_or(u8::MAX)
    }

    /// Writes the message with its checksum. `buffer` has `length()` octets;
    /// what does not fit into a shorter one is left out.
    pub fn emit(&self, buffer: &mut [u8]) {
        let count = self.count();
        let auth = match self.password {
            Some(_) => auth_type::PASS,
            None => auth_type::NONE,
        };
        let header = [
            (2 << 4) | TYPE_ADVERTISEMENT,
            self.vrid,
            self.priority,
            count,
            auth,
            self.advert_interval_s,
            0,
            0,
        ];
        let addresses = self.addresses.iter().take(usize::from(count));
        let octets = header
            .into_iter()
            .chain(addresses.flat_map(|address| address.octets()))
            .chain(self.password.copied().unwrap_or_default());
        for (place, octet) in buffer.iter_mut().zip(octets) {
            *place = octet;
        }
        write_checksum(buffer);
    }
}

/// Changes the priority of a written message, and its checksum with it.
pub fn set_priority(message: &mut [u8], priority: u8) {
    if let Some(place) = message.get_mut(2) {
        *place = priority;
    }
    write_checksum(message);
}

fn write_checksum(message: &mut [u8]) {
    if let Some(place) = message.get_mut(field::CHECKSUM) {
        place.fill(0);
    }
    let sum = internet_checksum(message).to_be_bytes();
    if let Some(place) = message.get_mut(field::CHECKSUM) {
        place.copy_from_slice(&sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);

    /// VRID 50, priority 255, one address, password "1111", as C keepalived
    /// 2.2.7 was seen to send it.
    const BYTES: [u8; 20] = [
        0x21, 50, 255, 1, 1, 1, 0x72, 0x65, 10, 0, 0, 3, b'1', b'1', b'1', b'1', 0, 0, 0, 0,
    ];

    fn advert() -> Advert<'static> {
        Advert {
            vrid: 50,
            priority: 255,
            advert_interval_s: 1,
            addresses: &[VIP],
            password: Some(b"1111\0\0\0\0"),
        }
    }

    #[test]
    fn writes_the_octets_of_the_rfc() {
        let mut buffer = [0xff; 20];
        assert_eq!(advert().length(), buffer.len());
        advert().emit(&mut buffer);
        assert_eq!(buffer, BYTES);
    }

    #[test]
    fn reads_what_was_written() {
        let packet = Packet::new(&BYTES).unwrap();
        assert_eq!((packet.version(), packet.message_type()), (2, 1));
        assert_eq!((packet.vrid(), packet.priority()), (50, 255));
        assert_eq!(packet.auth_type(), auth_type::PASS);
        assert_eq!(packet.advert_interval_s(), 1);
        assert_eq!(packet.expected_length(), packet.length());
        assert_eq!(packet.addresses().collect::<Vec<_>>(), [VIP]);
        assert_eq!(packet.authentication(), Some(b"1111\0\0\0\0"));
        assert!(packet.checksum_is_right());
    }

    #[test]
    fn a_changed_priority_keeps_the_checksum_right() {
        let mut bytes = BYTES;
        set_priority(&mut bytes, 0);
        let packet = Packet::new(&bytes).unwrap();
        assert_eq!(packet.priority(), 0);
        assert!(packet.checksum_is_right());
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for bit in 0..BYTES.len() * 8 {
            let mut bytes = BYTES;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!Packet::new(&bytes).unwrap().checksum_is_right(), "{bit}");
        }
    }

    #[test]
    fn too_short_for_the_fixed_octets_is_no_packet() {
        assert!(Packet::new(&BYTES[..7]).is_none());
        assert!(Packet::new(&[]).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_bytes_make_a_view_panic(bytes in prop::collection::vec(any::<u8>(), 0..1100)) {
            if let Some(packet) = Packet::new(&bytes) {
                let _ = packet.addresses().count();
                let _ = packet.authentication();
                let _ = packet.checksum_is_right();
                let _ = packet.expected_length();
            }
        }

        #[test]
        fn what_is_written_reads_back(
            vrid in 1u8.., priority: u8, advert_interval_s in 1u8..,
            addresses in prop::collection::vec(any::<u32>().prop_map(Ipv4Addr::from), 0..300),
            password: Option<[u8; 8]>,
        ) {
            let advert = Advert { vrid, priority, advert_interval_s, addresses: &addresses, password: password.as_ref() };
            let mut buffer = vec![0xaa; advert.length()];
            advert.emit(&mut buffer);
            let packet = Packet::new(&buffer).unwrap();
            prop_assert!(packet.checksum_is_right());
            prop_assert_eq!(packet.expected_length(), buffer.len());
            prop_assert_eq!(packet.priority(), priority);
            prop_assert_eq!(packet.addresses().collect::<Vec<_>>(), &addresses[..addresses.len().min(255)]);
            prop_assert_eq!(packet.authentication(), Some(&password.unwrap_or_default()));
        }
    }
}
