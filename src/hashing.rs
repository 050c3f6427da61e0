//! Maps and sets whose keys come from a configuration.
//!
//! Decides how their keys are hashed: quickly. The standard library hashes so that nobody
//! can choose keys which collide, and takes ten times as long; who writes a configuration
//! does not attack its own daemon. What comes from the network belongs into the standard
//! library's maps.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A map with keys from a configuration.
pub type QuickMap<K, V> = HashMap<K, V, BuildHasherDefault<QuickHasher>>;

/// A set of what comes from a configuration.
pub type QuickSet<T> = HashSet<T, BuildHasherDefault<QuickHasher>>;

/// An odd number without a pattern: the golden ratio in 64 bits.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Mixes eight bytes at a time.
#[derive(Debug, Clone, Copy, Default)]
pub struct QuickHasher(u64);

impl QuickHasher {
    const fn mix(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(FACTOR);
        // The upper bits of a product depend on all others, the lower ones do not.
        self.0 = mixed ^ (mixed >> 32);
    }
}

impl Hasher for QuickHasher {
    fn finish(&self) -> u64 {
        self.0.wrapping_mul(FACTOR)
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let rest = rest.iter().rev();
        let rest = rest.fold(0, |word, byte| (word << 8) | u64::from(*byte));
        self.mix(rest);
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.mix(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::hash::Hash;
    use std::net::Ipv4Addr;

    use super::*;

    /// The fullest of 1,024 places that the lowest or the uppermost bits choose.
    fn fullest<T: Hash>(keys: impl Iterator<Item = T>) -> usize {
        let mut counts = [[0_usize; 1024]; 2];
        for key in keys {
            let mut hasher = QuickHasher::default();
            key.hash(&mut hasher);
            let hash = hasher.finish();
            counts[0][(hash % 1024) as usize] += 1;
            counts[1][(hash >> 54) as usize] += 1;
        }
        counts.into_iter().flatten().max().unwrap()
    }

    #[test]
    fn keys_as_in_a_configuration_are_spread() {
        // 8 for each place; by chance hardly any has more than 25.
        let count = 8 * 1024_u32;
        let names = (0..count).map(|number| format!("VI_{number}"));
        assert!(fullest(names) < 30);
        let addresses = (0..count).map(|number| Ipv4Addr::from(0x0ac8_0000 + number));
        assert!(fullest(addresses) < 30);
        let networks = (0..count).map(|number| Ipv4Addr::from(0x0a00_0001 + (number << 8)));
        assert!(fullest(networks) < 30);
        let pairs = (0..count).map(|number| (number % 256, number / 256, "eth0"));
        assert!(fullest(pairs) < 30);
    }
}
