//! Packets to begin with, and how they are changed. What is made here is a whole
//! IP packet, or what looks like one.

use std::path::Path;

use crate::dice::Dice;

/// Longer ones are cut off: an Ethernet frame carries 1500 octets.
const LENGTH_MAX: usize = 1_600;

/// The packets of the corpus: one in each file, in hexadecimal digits; what follows
/// a `#` says what it is.
pub fn seeds() -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/packets");
    let entries = std::fs::read_dir(directory).expect("the seeds");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("a readable directory").path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 15, "the seeds are gone");
    let read = |path| std::fs::read_to_string(path).expect("a readable seed");
    paths.iter().map(|path| octets(&read(path))).collect()
}

fn octets(text: &str) -> Vec<u8> {
    let packet = text.lines().map(|line| line.split('#').next());
    let digits: Vec<u32> = packet
        .flatten()
        .flat_map(str::chars)
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] << 4 | pair[1]).expect("two digits"))
        .collect()
}

/// Changes a packet without any sense for what is in it; `other` gives pieces.
pub fn change(dice: &mut Dice, packet: &mut Vec<u8>, other: &[u8]) {
    let at = dice.below(packet.len() as u64 + 1) as usize;
    let end = (at + dice.below(24) as usize).min(packet.len());
    let random = dice.byte();
    match dice.below(8) {
        0 => packet.truncate(at),
        1 => drop(packet.drain(at..end)),
        2 => packet.insert(at, random),
        3 => packet.resize(packet.len() + dice.below(64) as usize, random),
        4 => {
            let start = dice.below(other.len() as u64 + 1) as usize;
            packet.truncate(at);
            packet.extend_from_slice(&other[start..]);
        }
        5 => {
            if let Some(octet) = packet.get_mut(at) {
                *octet = random;
            }
        }
        _ => flip(dice, packet),
    }
    packet.truncate(LENGTH_MAX);
}

/// Flips one bit.
pub fn flip(dice: &mut Dice, packet: &mut [u8]) {
    if !packet.is_empty() {
        let bit = dice.below(packet.len() as u64 * 8) as usize;
        packet[bit / 8] ^= 1 << (bit % 8);
    }
}

/// A seed, as it is or changed, or noise.
pub fn packet(dice: &mut Dice, seeds: &[Vec<u8>]) -> Vec<u8> {
    if dice.chance(10) {
        return (0..dice.below(120)).map(|_| dice.byte()).collect();
    }
    let any = |dice: &mut Dice| seeds[dice.below(seeds.len() as u64) as usize].clone();
    let mut packet = any(dice);
    while dice.chance(2) {
        let other = any(dice);
        change(dice, &mut packet, &other);
    }
    packet
}
