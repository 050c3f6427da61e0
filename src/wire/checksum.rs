//! The Internet checksum (RFC 1071): over the message alone, as VRRP version 2
//! uses it (RFC 3768 section 5.3.8), or with a pseudo header in front of it
//! (RFC 8200 section 8.1), as version 3 does.

use std::net::IpAddr;

/// The checksum of `bytes`. Over a message whose checksum field is right the
/// result is 0; with that field zeroed it is the value to put there.
pub fn internet_checksum(bytes: &[u8]) -> u16 {
    !fold(sum(bytes))
}

/// The checksum of `bytes` behind the pseudo header of a datagram: both
/// addresses, the length of the message, and its `protocol`. The pseudo header
/// for IPv4 has the form that UDP uses (RFC 768).
pub fn checksum_with_pseudo_header(
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    bytes: &[u8],
) -> u16 {
    let addresses = address_sum(source).wrapping_add(address_sum(destination));
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let header = addresses
        .wrapping_add(length)
        .wrapping_add(u64::from(protocol));
    !fold(header.wrapping_add(sum(bytes)))
}

fn address_sum(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => sum(&address.octets()),
        IpAddr::V6(address) => sum(&address.octets()),
    }
}

fn sum(bytes: &[u8]) -> u64 {
    let (words, last) = bytes.as_chunks::<2>();
    let last = last.first().map_or(0, |&byte| u64::from(byte) << 8);
    words.iter().fold(last, |sum, &word| {
        sum.wrapping_add(u64::from(u16::from_be_bytes(word)))
    })
}

/// Adds the carries back in until 16 bits are left.
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff).wrapping_add(sum >> 16);
    }
    // The loop leaves 16 bits.
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(internet_checksum(&bytes), !0xddf2);
    }

    #[test]
    fn an_odd_last_byte_counts_as_the_high_one() {
        assert_eq!(internet_checksum(&[0x12]), !0x1200);
    }

    #[test]
    fn the_pseudo_header_is_that_of_udp() {
        // A datagram of UDP from 10.0.0.1:53 to 10.0.0.2:53, two octets long.
        let (source, destination) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let mut bytes = [0, 53, 0, 53, 0, 10, 0, 0, b'h', b'i'];
        let written = [
            10, 0, 0, 1, 10, 0, 0, 2, 0, 17, 0, 10, 0, 53, 0, 53, 0, 10, 0, 0, b'h', b'i',
        ];
        let expected = internet_checksum(&written);
        let sum = checksum_with_pseudo_header(source, destination, 17, &bytes);
        assert_eq!(sum, expected);
        bytes[6..8].copy_from_slice(&sum.to_be_bytes());
        let again = checksum_with_pseudo_header(source, destination, 17, &bytes);
        assert_eq!(again, 0);
    }

    #[test]
    fn a_message_with_its_checksum_sums_to_zero() {
        let mut bytes = [0x21, 51, 100, 1, 1, 1, 0, 0, 10, 0, 0, 3];
        let sum = internet_checksum(&bytes).to_be_bytes();
        bytes[6..8].copy_from_slice(&sum);
        assert_eq!(internet_checksum(&bytes), 0);
    }
}
