//! Adverts, read here and not by the engine.

use std::net::IpAddr;

use crate::ids::Priority;
use crate::time::Interval;

/// The advert in a datagram, read here and not by the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// The sender's address.
    pub source: IpAddr,
    /// The virtual router.
    pub vrid: u8,
    /// The priority.
    pub priority: Priority,
    /// The interval.
    pub interval: Interval,
    /// What shows that it is new, if it is signed.
    pub sequence: Option<u64>,
    /// Nobody has sent it like this.
    pub forged: bool,
}

impl Heard {
    /// Reads an advert; `None` if there is none. `header`: what stands before it
    /// behind an IP header.
    pub fn read(source: IpAddr, header: &[u8], message: &[u8]) -> Option<Self> {
        let &[kind, vrid, priority, count, high, low, ..] = message else {
            return None;
        };
        let address = if source.is_ipv4() { 4 } else { 16 };
        let password = if kind >> 4 == 2 { 8 } else { 0 };
        let length = usize::from(count)
            .saturating_mul(address)
            .saturating_add(password)
            .saturating_add(8);
        let sequence = match message.get(length..) {
            Some(
                [
                    _,
                    _,
                    _,
                    _,
                    sequence @ ..,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                ],
            ) => number(sequence),
            _ => header.get(8..12).and_then(number),
        };
        let interval = match kind >> 4 {
            2 => Interval::from_secs(u64::from(low)),
            _ => Interval::from_ms(
                u64::from(u16::from_be_bytes([high & 0x0f, low])).saturating_mul(10),
            ),
        };
        Some(Self {
            source,
            vrid,
            priority: Priority(priority),
            interval,
            sequence,
            forged: false,
        })
    }
}

/// Four or eight octets as a number.
fn number(octets: &[u8]) -> Option<u64> {
    let known = matches!(octets.len(), 4 | 8);
    let sum = |all, octet: &u8| u64::wrapping_mul(all, 256).wrapping_add(u64::from(*octet));
    known.then(|| octets.iter().fold(0, sum))
}
