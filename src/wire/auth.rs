//! What proves who sent an advert: the IP authentication header of version 2
//! (`auth_type AH`) and the trailer of `auth_hmac`.
//!
//! Decides where their fields lie and what is signed. Does not decide what is
//! accepted, nor what a fresh sequence is: `vrrp/receive.rs` does. Passwords of
//! `auth_type PASS` are a field of the message (`advert.rs`).

use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::Sha256;

use super::advert::{Family, Version};
use super::frames::IPV4_HEADER_LENGTH;

/// Compares in constant time.
pub fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b));
    a.len() == b.len() && std::hint::black_box(difference) == 0
}

/// The IP authentication header (RFC 2402) as C keepalived uses it: HMAC-MD5-96
/// over the IPv4 header, the authentication header and the message. Type of
/// service and header checksum count as zero; the TTL, which RFC 2402 counts as
/// zero, too, does not, as C keepalived 2.2.7 was seen to do.
pub mod ah {
    use super::{Hmac, IPV4_HEADER_LENGTH, KeyInit, Mac, Md5};

    /// The IP protocol number of the authentication header.
    pub const IP_PROTOCOL: u8 = 51;

    /// Octets of the header with its twelve octets of authentication data.
    pub const HEADER_LENGTH: usize = 24;

    /// Octets of authentication data.
    const DATA_LENGTH: usize = 12;

    /// Octets in front of the authentication data.
    const FIXED_LENGTH: usize = HEADER_LENGTH - DATA_LENGTH;

    /// A received header.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Header<'a> {
        /// The protocol of what follows.
        pub next_header: u8,
        /// Security parameters index: the sender's address, here.
        pub index: u32,
        /// Grows with each datagram of a sender.
        pub sequence: u32,
        data: &'a [u8; DATA_LENGTH],
    }

    impl<'a> Header<'a> {
        /// The header at the beginning of an IP payload, and what follows it;
        /// `None` if it is not all there or has another length.
        pub fn new(payload: &'a [u8]) -> Option<(Self, &'a [u8])> {
            let (fixed, rest) = payload.split_first_chunk::<FIXED_LENGTH>()?;
            let (data, rest) = rest.split_first_chunk()?;
            let [next_header, length, _, _, i0, i1, i2, i3, s0, s1, s2, s3] = *fixed;
            // In units of four octets, without the first two.
            if length != 4 {
                return None;
            }
            let header = Self {
                next_header,
                index: u32::from_be_bytes([i0, i1, i2, i3]),
                sequence: u32::from_be_bytes([s0, s1, s2, s3]),
                data,
            };
            Some((header, rest))
        }

        /// Whether the authentication data is right for the whole `datagram`,
        /// which begins with an IPv4 header without options.
        pub fn is_right(&self, key: &[u8], datagram: &[u8]) -> bool {
            data_of(key, datagram)
                .is_some_and(|data| super::equal_in_constant_time(&data, self.data))
        }
    }

    /// Writes the header into `datagram`, between its IPv4 header and the message
    /// that already lies there, and signs the whole. The IPv4 header is complete
    /// except for its checksum. Does nothing if the datagram is too short.
    pub fn sign(key: &[u8], index: u32, sequence: u32, datagram: &mut [u8]) {
        let Some((_, rest)) = datagram.split_at_mut_checked(IPV4_HEADER_LENGTH) else {
            return;
        };
        let Some((fixed, _)) = rest.split_first_chunk_mut::<FIXED_LENGTH>() else {
            return;
        };
        let [i0, i1, i2, i3] = index.to_be_bytes();
        let [s0, s1, s2, s3] = sequence.to_be_bytes();
        let next = super::super::advert::IP_PROTOCOL;
        *fixed = [next, 4, 0, 0, i0, i1, i2, i3, s0, s1, s2, s3];
        let Some(data) = data_of(key, datagram) else {
            return;
        };
        let after_header = IPV4_HEADER_LENGTH.saturating_add(FIXED_LENGTH);
        if let Some(place) = datagram
            .get_mut(after_header..)
            .and_then(|rest| rest.first_chunk_mut::<DATA_LENGTH>())
        {
            *place = data;
        }
    }

    fn data_of(key: &[u8], datagram: &[u8]) -> Option<[u8; DATA_LENGTH]> {
        let (ip, rest) = datagram.split_first_chunk::<IPV4_HEADER_LENGTH>()?;
        let (fixed, rest) = rest.split_first_chunk::<FIXED_LENGTH>()?;
        let (_, message) = rest.split_first_chunk::<DATA_LENGTH>()?;
        let mut ip = *ip;
        ip[1] = 0;
        (ip[10], ip[11]) = (0, 0);
        let mut mac = Hmac::<Md5>::new_from_slice(key).ok()?;
        mac.update(&ip);
        mac.update(fixed);
        mac.update(&[0; DATA_LENGTH]);
        mac.update(message);
        mac.finalize().into_bytes().first_chunk().copied()
    }
}

/// The trailer of `auth_hmac` (specification D.7): 28 octets behind the message,
/// signed with HMAC-SHA256 cut to 16 octets.
pub mod trailer {
    use super::{Family, Hmac, IpAddr, KeyInit, Mac, Sha256, Version};

    /// Octets of the trailer.
    pub const LENGTH: usize = 28;

    const FIXED_LENGTH: usize = 12;
    const DATA_LENGTH: usize = 16;
    const TYPE: u8 = 1;

    /// The place of the checksum in a message: it counts as zero.
    const CHECKSUM: std::ops::Range<usize> = 6..8;

    /// When a message was signed; grows from one message of a sender to the next.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Sequence {
        /// Seconds since 1970.
        pub seconds: u32,
        /// 1/65536 seconds.
        pub fraction: u16,
        /// Counts messages of one moment.
        pub counter: u16,
    }

    impl Sequence {
        /// A moment, in microseconds since 1970.
        pub fn at(unix_us: u64) -> Self {
            // To 48 bits of 1/65536 seconds; seconds wrap in 2106.
            let whole = (unix_us / 1_000_000) << 16;
            let part = ((unix_us % 1_000_000) << 16) / 1_000_000;
            Self::from_number((whole | part) << 16)
        }

        /// The next one of the same moment.
        #[must_use]
        pub fn next(self) -> Self {
            Self::from_number(self.number().wrapping_add(1))
        }

        /// Whether it comes later, in the arithmetic of RFC 1982: of two
        /// sequences the later is less than half of all sequences ahead.
        pub fn is_after(self, other: Self) -> bool {
            self.number().wrapping_sub(other.number()).cast_signed() > 0
        }

        /// Whole seconds from here until `other`; negative if that is earlier.
        pub fn seconds_until(self, other: Self) -> i32 {
            other.seconds.wrapping_sub(self.seconds).cast_signed()
        }

        fn number(self) -> u64 {
            let high = u64::from(self.seconds) << 32;
            high | u64::from(self.fraction) << 16 | u64::from(self.counter)
        }

        fn from_number(number: u64) -> Self {
            let [s0, s1, s2, s3, f0, f1, c0, c1] = number.to_be_bytes();
            Self {
                seconds: u32::from_be_bytes([s0, s1, s2, s3]),
                fraction: u16::from_be_bytes([f0, f1]),
                counter: u16::from_be_bytes([c0, c1]),
            }
        }
    }

    /// What is signed besides message and trailer.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Subject {
        /// Version of the protocol.
        pub version: Version,
        /// Virtual router identifier.
        pub vrid: u8,
        /// Source address of the datagram.
        pub source: IpAddr,
    }

    /// A received trailer.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Trailer<'a> {
        /// The number of the key.
        pub key: u8,
        /// When it was signed.
        pub sequence: Sequence,
        fixed: &'a [u8; FIXED_LENGTH],
        data: &'a [u8; DATA_LENGTH],
    }

    impl<'a> Trailer<'a> {
        /// The trailer in these octets; `None` unless there are as many as a
        /// trailer has, of a known type, with its reserved octets zero.
        pub fn new(bytes: &'a [u8]) -> Option<Self> {
            let (fixed, data) = bytes.split_first_chunk::<FIXED_LENGTH>()?;
            let data = <&[u8; DATA_LENGTH]>::try_from(data).ok()?;
            let [kind, key, r0, r1, s0, s1, s2, s3, f0, f1, c0, c1] = *fixed;
            if (kind, r0, r1) != (TYPE, 0, 0) {
                return None;
            }
            Some(Self {
                key,
                sequence: Sequence {
                    seconds: u32::from_be_bytes([s0, s1, s2, s3]),
                    fraction: u16::from_be_bytes([f0, f1]),
                    counter: u16::from_be_bytes([c0, c1]),
                },
                fixed,
                data,
            })
        }

        /// Whether `key` signed this trailer behind `message`.
        pub fn is_right(&self, key: &[u8], subject: &Subject, message: &[u8]) -> bool {
            data_of(key, subject, message, self.fixed)
                .is_some_and(|data| super::equal_in_constant_time(&data, self.data))
        }
    }

    /// Writes a signed trailer for `message` into `place`.
    pub fn sign(
        (number, key): (u8, &[u8]),
        sequence: Sequence,
        subject: &Subject,
        message: &[u8],
        place: &mut [u8; LENGTH],
    ) {
        let [s0, s1, s2, s3] = sequence.seconds.to_be_bytes();
        let [f0, f1] = sequence.fraction.to_be_bytes();
        let [c0, c1] = sequence.counter.to_be_bytes();
        let fixed = [TYPE, number, 0, 0, s0, s1, s2, s3, f0, f1, c0, c1];
        let data = data_of(key, subject, message, &fixed).unwrap_or_default();
        for (place, octet) in place.iter_mut().zip(fixed.into_iter().chain(data)) {
            *place = octet;
        }
    }

    fn data_of(
        key: &[u8],
        subject: &Subject,
        message: &[u8],
        fixed: &[u8; FIXED_LENGTH],
    ) -> Option<[u8; DATA_LENGTH]> {
        let family = match Family::of(subject.source) {
            Family::V4 => 4,
            Family::V6 => 6,
        };
        let mut source = [0; 16];
        match subject.source {
            // To the left; the other octets stay zero.
            IpAddr::V4(address) => *source.first_chunk_mut()? = address.octets(),
            IpAddr::V6(address) => source = address.octets(),
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
        mac.update(&[family, subject.version.number(), subject.vrid, 0]);
        mac.update(&source);
        mac.update(message.get(..CHECKSUM.start)?);
        mac.update(&[0; 2]);
        mac.update(message.get(CHECKSUM.end..)?);
        mac.update(fixed);
        mac.update(&[0; DATA_LENGTH]);
        mac.finalize().into_bytes().first_chunk().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::trailer::{Sequence, Subject, Trailer};
    use super::*;
    use proptest::prelude::*;

    /// VRID 7 with the password "secret", as C keepalived 2.2.7 was seen to
    /// send it from 10.9.0.1.
    const AH_DATAGRAM: [u8; 64] = [
        0x45, 0xc0, 0x00, 0x40, 0x00, 0x01, 0x00, 0x00, 0xff, 0x33, 0xd0, 0xad, 0x0a, 0x09, 0x00,
        0x01, 0xe0, 0x00, 0x00, 0x12, 0x70, 0x04, 0x00, 0x00, 0x0a, 0x09, 0x00, 0x01, 0x00, 0x00,
        0x00, 0x01, 0x67, 0x9e, 0x36, 0x82, 0xb5, 0x03, 0x0b, 0x19, 0xb2, 0x89, 0x5e, 0x7b, 0x21,
        0x07, 0x64, 0x01, 0x02, 0x01, 0x6e, 0xe4, 0x0a, 0x09, 0x00, 0x09, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00,
    ];

    #[test]
    fn the_header_of_c_keepalived_is_right() {
        let (header, message) = ah::Header::new(&AH_DATAGRAM[20..]).unwrap();
        assert_eq!(header.next_header, 112);
        assert_eq!((header.index, header.sequence), (0x0a09_0001, 1));
        assert_eq!(message, &AH_DATAGRAM[44..]);
        assert!(header.is_right(b"secret", &AH_DATAGRAM));
        assert!(!header.is_right(b"secret\0\0", &AH_DATAGRAM[..63]));
        assert!(!header.is_right(b"Secret", &AH_DATAGRAM));
    }

    #[test]
    fn a_signed_datagram_is_that_of_c_keepalived() {
        let mut datagram = AH_DATAGRAM;
        datagram[20..44].fill(0xaa);
        ah::sign(b"secret", 0x0a09_0001, 1, &mut datagram);
        assert_eq!(datagram, AH_DATAGRAM);
    }

    #[test]
    fn every_flipped_bit_but_those_left_out_is_noticed() {
        for bit in 0..AH_DATAGRAM.len() * 8 {
            let mut datagram = AH_DATAGRAM;
            datagram[bit / 8] ^= 1 << (bit % 8);
            // Type of service, header checksum; the reserved octets are signed.
            let left_out = matches!(bit / 8, 1 | 10 | 11);
            let right = ah::Header::new(&datagram[20..])
                .is_some_and(|(header, _)| header.is_right(b"secret", &datagram));
            assert_eq!(right, left_out, "{bit}");
        }
    }

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
    const MESSAGE: [u8; 12] = [0x31, 7, 100, 1, 0, 100, 0xab, 0xcd, 10, 0, 0, 3];
    const SUBJECT: Subject = Subject {
        version: Version::V3,
        vrid: 7,
        source: IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)),
    };
    const SEQUENCE: Sequence = Sequence {
        seconds: 0x6741_0000,
        fraction: 0x8000,
        counter: 3,
    };

    #[test]
    fn a_trailer_has_the_octets_of_an_independent_computation() {
        let mut place = [0xff; trailer::LENGTH];
        trailer::sign((5, KEY), SEQUENCE, &SUBJECT, &MESSAGE, &mut place);
        assert_eq!(place[..12], [1, 5, 0, 0, 0x67, 0x41, 0, 0, 0x80, 0, 0, 3]);
        // HMAC-SHA256 by Python's hmac module over the octets of the specification.
        let expected = [
            0x53, 0xf1, 0xf8, 0x76, 0x0c, 0xaf, 0xbe, 0x16, 0x84, 0x3f, 0x73, 0xea, 0x0f, 0xf5,
            0x51, 0x09,
        ];
        assert_eq!(place[12..], expected);
        let read = Trailer::new(&place).unwrap();
        assert_eq!((read.key, read.sequence), (5, SEQUENCE));
        assert!(read.is_right(KEY, &SUBJECT, &MESSAGE));
        // The checksum of the message does not count, everything else does.
        let mut other = MESSAGE;
        other[6] ^= 1;
        assert!(read.is_right(KEY, &SUBJECT, &other));
        other[2] ^= 1;
        assert!(!read.is_right(KEY, &SUBJECT, &other));
        let elsewhere = Subject { vrid: 8, ..SUBJECT };
        assert!(!read.is_right(KEY, &elsewhere, &MESSAGE));
    }

    /// As above, from the same program.
    #[test]
    fn every_version_and_family_is_signed_as_independently_computed() {
        let mut message = vec![0x21, 7, 100, 1, 0, 1, 0xab, 0xcd, 10, 0, 0, 3];
        message.resize(20, 0);
        let subject = Subject {
            version: Version::V2,
            ..SUBJECT
        };
        let mut place = [0; trailer::LENGTH];
        trailer::sign((5, KEY), SEQUENCE, &subject, &message, &mut place);
        let expected = [
            0x72, 0x68, 0x55, 0x84, 0x0f, 0xa1, 0x9d, 0xb2, 0xd0, 0x58, 0x5a, 0x19, 0x17, 0x53,
            0x17, 0x5c,
        ];
        assert_eq!(place[12..], expected);

        let mut message = vec![0x31, 7, 100, 1, 0, 100, 0xab, 0xcd];
        let address: std::net::Ipv6Addr = "fe80::3".parse().unwrap();
        message.extend(address.octets());
        let subject = Subject {
            source: "fe80::1".parse().unwrap(),
            ..SUBJECT
        };
        let sequence = Sequence {
            seconds: u32::MAX,
            fraction: u16::MAX,
            counter: 0,
        };
        let key: Vec<u8> = (0..64).collect();
        trailer::sign((255, &key), sequence, &subject, &message, &mut place);
        let expected = [
            0x88, 0x9b, 0xa6, 0x73, 0x4b, 0xac, 0x52, 0xcf, 0xe2, 0xd5, 0x45, 0xbc, 0xf5, 0x0e,
            0x5c, 0xfc,
        ];
        assert_eq!(place[12..], expected);
    }

    #[test]
    fn what_is_no_trailer_is_refused() {
        let mut place = [0; trailer::LENGTH];
        trailer::sign((5, KEY), SEQUENCE, &SUBJECT, &MESSAGE, &mut place);
        assert!(Trailer::new(&place[..27]).is_none());
        for octet in [0, 2, 3] {
            let mut broken = place;
            broken[octet] ^= 0x10;
            assert!(Trailer::new(&broken).is_none(), "{octet}");
        }
    }

    #[test]
    fn sequences_follow_the_clock_and_wrap() {
        let at = |seconds, fraction, counter| Sequence {
            seconds,
            fraction,
            counter,
        };
        assert_eq!(
            Sequence::at(1_700_000_000_500_000),
            at(1_700_000_000, 0x8000, 0)
        );
        assert_eq!(at(1, 2, 3).next(), at(1, 2, 4));
        assert_eq!(at(1, 2, u16::MAX).next(), at(1, 3, 0));
        assert!(at(1, 0, 0).is_after(at(0, 65_535, 65_535)));
        assert!(at(1, 1, 1).is_after(at(1, 1, 0)));
        assert!(!at(1, 1, 1).is_after(at(1, 1, 1)));
        assert!(at(3, 0, 0).is_after(at(u32::MAX, 0, 0)));
        assert!(!at(u32::MAX, 0, 0).is_after(at(3, 0, 0)));
        assert_eq!(at(3, 0, 0).seconds_until(at(u32::MAX, 9, 9)), -4);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..120),
            key in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            if let Some((header, _)) = ah::Header::new(&bytes) {
                let _ = header.is_right(&key, &bytes);
            }
            let _ = Trailer::new(&bytes).map(|read| read.is_right(&key, &SUBJECT, &bytes));
            let mut datagram = bytes.clone();
            ah::sign(&key, 1, 2, &mut datagram);
            let mut place = [0; trailer::LENGTH];
            trailer::sign((1, &key), SEQUENCE, &SUBJECT, &bytes, &mut place);
        }
    }
}
