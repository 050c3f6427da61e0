//! How late the adverts of masters go out: a histogram with fixed limits.
//!
//! Decides the limits, and what is late: the turn that sends an advert, by the time
//! that it was due. Needs no memory besides itself, whatever it counts.

use crate::time::Interval;

/// The upper limits in microseconds; what is later counts besides.
pub const LIMITS_US: [u64; 12] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
];

/// How often something was how late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lateness {
    /// Up to each limit, without those up to the one before.
    within: [u64; LIMITS_US.len()],
    /// All of them.
    count: u64,
    sum: Interval,
}

impl Lateness {
    /// One was so late.
    pub fn note(&mut self, late: Interval) {
        self.count = self.count.saturating_add(1);
        self.sum = self.sum + late;
        let slot = LIMITS_US.partition_point(|limit| *limit < late.as_us());
        if let Some(within) = self.within.get_mut(slot) {
            *within = within.saturating_add(1);
        }
    }

    /// Each limit in microseconds, and how many were not later.
    pub fn up_to(&self) -> impl Iterator<Item = (u64, u64)> {
        let limits = LIMITS_US.into_iter().zip(self.within);
        limits.scan(0_u64, |sum, (limit, within)| {
            *sum = sum.saturating_add(within);
            Some((limit, *sum))
        })
    }

    /// How many there were.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// All of them together.
    pub const fn sum(&self) -> Interval {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counts_for_its_limit_and_all_above() {
        let mut lateness = Lateness::default();
        for late_us in [0, 100, 101, 1_000_000, 1_000_001] {
            lateness.note(Interval::from_us(late_us));
        }
        let up_to: Vec<(u64, u64)> = lateness.up_to().collect();
        assert_eq!(up_to[..2], [(100, 2), (250, 3)]);
        assert_eq!(up_to.last(), Some(&(1_000_000, 4)));
        assert_eq!(lateness.count(), 5);
        assert_eq!(lateness.sum(), Interval::from_us(2_000_202));
    }
}
