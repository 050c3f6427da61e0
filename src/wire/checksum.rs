//! The Internet checksum (RFC 1071), as VRRP version 2 uses it: over the whole
//! message, without a pseudo header (RFC 3768 section 5.3.8).

/// The checksum of `bytes`. Over a message whose checksum field is right the
/// result is 0; with that field zeroed it is the value to put there.
pub fn internet_checksum(bytes: &[u8]) -> u16 {
    let (words, last) = bytes.as_chunks::<2>();
    let last = last.first().map_or(0, |&byte| u64::from(byte) << 8);
    let sum = words.iter().fold(last, |sum, &word| {
        sum.wrapping_add(u64::from(u16::from_be_bytes(word)))
    });
    !fold(sum)
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
    fn a_message_with_its_checksum_sums_to_zero() {
        let mut bytes = [0x21, 51, 100, 1, 1, 1, 0, 0, 10, 0, 0, 3];
        let sum = internet_checksum(&bytes).to_be_bytes();
        bytes[6..8].copy_from_slice(&sum);
        assert_eq!(internet_checksum(&bytes), 0);
    }
}
