//! Who wins: how a received advert compares with ourselves, and how long a
//! backup waits.
//!
//! Pure arithmetic, so that the state machine has none. Source: RFC 3768
//! sections 6.1 and 6.4, specification F.1, F.3, F.4.

use std::cmp::Ordering;
use std::net::Ipv4Addr;

use crate::ids::Priority;
use crate::time::Interval;

/// A received advert with a priority other than 0, seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rank {
    /// Its priority is higher than ours.
    Higher,
    /// Same priority, and its address is higher.
    EqualHigherAddress,
    /// Same priority from our own address: something is wrong.
    EqualSameAddress,
    /// Same priority, and its address is lower.
    EqualLowerAddress,
    /// Its priority is lower than ours.
    Lower,
}

/// Compares a sender with ourselves. Addresses compare as numbers in network
/// order.
pub fn rank(theirs: (Priority, Ipv4Addr), ours: (Priority, Ipv4Addr)) -> Rank {
    match theirs.0.cmp(&ours.0) {
        Ordering::Greater => Rank::Higher,
        Ordering::Less => Rank::Lower,
        Ordering::Equal => match theirs.1.cmp(&ours.1) {
            Ordering::Greater => Rank::EqualHigherAddress,
            Ordering::Equal => Rank::EqualSameAddress,
            Ordering::Less => Rank::EqualLowerAddress,
        },
    }
}

/// Version 2: (256 - priority) / 256 seconds (RFC 3768 section 6.1).
pub fn skew_time(priority: Priority) -> Interval {
    let steps = 256_u64.saturating_sub(u64::from(priority.0));
    // 1,000,000 / 256 is not whole: multiply first.
    Interval::from_us(steps.saturating_mul(1_000_000) / 256)
}

/// Three advert intervals and the skew time (RFC 3768 section 6.1).
pub fn master_down_time(advert_interval: Interval, priority: Priority) -> Interval {
    advert_interval.times(3) + skew_time(priority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_rfc() {
        let second = Interval::from_secs(1);
        // The specification's example (F.1): priority 100, 3.609 s.
        assert_eq!(master_down_time(second, Priority(100)).as_us(), 3_609_375);
        assert_eq!(skew_time(Priority::OWNER).as_us(), 3_906);
        assert_eq!(skew_time(Priority(1)).as_us(), 996_093);
        assert_eq!(skew_time(Priority::ZERO).as_us(), 1_000_000);
    }

    #[test]
    fn priority_decides_before_the_address() {
        let low = Ipv4Addr::new(9, 255, 255, 255);
        let high = Ipv4Addr::new(10, 0, 0, 1);
        let ours = (Priority(100), high);
        assert_eq!(rank((Priority(101), low), ours), Rank::Higher);
        assert_eq!(rank((Priority(99), high), ours), Rank::Lower);
        assert_eq!(rank((Priority(100), low), ours), Rank::EqualLowerAddress);
        assert_eq!(rank((Priority(100), high), ours), Rank::EqualSameAddress);
        assert_eq!(
            rank((Priority(100), high), (Priority(100), low)),
            Rank::EqualHigherAddress
        );
    }
}
