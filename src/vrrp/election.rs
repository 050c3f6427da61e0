//! Who wins: how a received advert compares with ourselves, and how long a
//! backup waits.
//!
//! Pure arithmetic, so that the state machine has none. Source: RFC 3768
//! sections 6.1 and 6.4, specification F.1, F.3, F.4.

use std::cmp::Ordering;
use std::net::IpAddr;

use crate::ids::Priority;
use crate::time::Interval;
use crate::wire::advert::Version;

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
pub fn rank(theirs: (Priority, IpAddr), ours: (Priority, IpAddr)) -> Rank {
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

/// What a backup counts with: whose interval, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timing {
    /// Version of the protocol.
    pub version: Version,
    /// The interval of the master: our own in version 2, in version 3 the one
    /// that was learned from its adverts (RFC 9568 section 6.1).
    pub master_advert_interval: Interval,
    /// Adverts that may be missing, `down_timer_adverts`.
    pub down_timer_adverts: u8,
}

impl Timing {
    /// How long after the others somebody of this priority takes over. Version
    /// 2: (256 - priority) / 256 seconds (RFC 3768 section 6.1); version 3: that
    /// part of the master's interval (RFC 9568 section 6.1).
    pub fn skew_time(self, priority: Priority) -> Interval {
        let unit = match self.version {
            Version::V2 => Interval::from_secs(1),
            Version::V3 => self.master_advert_interval,
        };
        let steps = 256_u64.saturating_sub(u64::from(priority.0));
        // A 256th of the unit is seldom whole: multiply first.
        Interval::from_us(unit.times(steps).as_us() / 256)
    }

    /// How long a backup waits for a silent master.
    pub fn master_down_time(self, priority: Priority) -> Interval {
        let adverts = u64::from(self.down_timer_adverts);
        self.master_advert_interval.times(adverts) + self.skew_time(priority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_rfc() {
        let timing = Timing {
            version: Version::V2,
            master_advert_interval: Interval::from_secs(1),
            down_timer_adverts: 3,
        };
        // The specification's example (F.1): priority 100, 3.609 s.
        assert_eq!(timing.master_down_time(Priority(100)).as_us(), 3_609_375);
        assert_eq!(timing.skew_time(Priority::OWNER).as_us(), 3_906);
        assert_eq!(timing.skew_time(Priority(1)).as_us(), 996_093);
        assert_eq!(timing.skew_time(Priority::ZERO).as_us(), 1_000_000);
        let ten_seconds = Timing {
            master_advert_interval: Interval::from_secs(10),
            down_timer_adverts: 1,
            ..timing
        };
        assert_eq!(ten_seconds.skew_time(Priority::OWNER).as_us(), 3_906);
        let wait = ten_seconds.master_down_time(Priority(100));
        assert_eq!(wait.as_us(), 10_609_375);
    }

    #[test]
    fn the_skew_of_version_3_is_a_part_of_the_interval() {
        let timing = |ms| Timing {
            version: Version::V3,
            master_advert_interval: Interval::from_ms(ms),
            down_timer_adverts: 3,
        };
        // 2 / 256 of 10 ms: 78.125 microseconds.
        assert_eq!(timing(10).skew_time(Priority(254)).as_us(), 78);
        assert_eq!(timing(10).master_down_time(Priority(100)).as_us(), 36_093);
        assert_eq!(timing(1_000).skew_time(Priority(100)).as_us(), 609_375);
        let longest = timing(40_950).master_down_time(Priority(1));
        assert_eq!(longest.as_us(), 163_640_039);
    }

    #[test]
    fn priority_decides_before_the_address() {
        let low = IpAddr::from([9, 255, 255, 255]);
        let high = IpAddr::from([10, 0, 0, 1]);
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
