//! Points in time and spans of time, in whole microseconds.
//!
//! Decides how times are counted and how they saturate. Does not decide where
//! "now" comes from: the daemon reads the monotonic clock, the tests and the
//! simulator count for themselves.

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// A point in time: microseconds since an arbitrary start that never changes
/// while the process runs. All arithmetic saturates.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Instant(u64);

/// A span of time in microseconds, never negative. All arithmetic saturates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Interval(u64);

/// What the calendar said at some point, and so says at any other until somebody
/// sets it. By default the calendar begins with the arbitrary start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WallClock {
    at: Instant,
    unix_us: u64,
}

impl WallClock {
    /// At `at` it was `unix_us` microseconds after the beginning of 1970.
    pub const fn new(at: Instant, unix_us: u64) -> Self {
        Self { at, unix_us }
    }

    /// Microseconds since the beginning of 1970, at `now`.
    pub const fn unix_us(self, now: Instant) -> u64 {
        let (later, earlier) = (now.since(self.at), self.at.since(now));
        self.unix_us
            .saturating_add(later.as_us())
            .saturating_sub(earlier.as_us())
    }
}

impl Instant {
    /// The arbitrary start.
    pub const ZERO: Self = Self(0);

    /// A point `us` microseconds after the start.
    pub const fn from_us(us: u64) -> Self {
        Self(us)
    }

    /// Microseconds since the start.
    pub const fn as_us(self) -> u64 {
        self.0
    }

    /// The time from `earlier` until here; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Interval {
        Interval(self.0.saturating_sub(earlier.0))
    }
}

impl Interval {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of `us` microseconds.
    pub const fn from_us(us: u64) -> Self {
        Self(us)
    }

    /// A span of `ms` milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000))
    }

    /// A span of `s` seconds.
    pub const fn from_secs(s: u64) -> Self {
        Self(s.saturating_mul(1_000_000))
    }

    /// The span in microseconds.
    pub const fn as_us(self) -> u64 {
        self.0
    }

    /// The span in whole seconds, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Whether the span is empty.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The span `factor` times.
    pub const fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    /// This span without `other`; zero if `other` is longer.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add<Interval> for Instant {
    type Output = Instant;
    fn add(self, span: Interval) -> Instant {
        Instant(self.0.saturating_add(span.0))
    }
}

impl Sub<Interval> for Instant {
    type Output = Instant;
    fn sub(self, span: Interval) -> Instant {
        Instant(self.0.saturating_sub(span.0))
    }
}

impl Add for Interval {
    type Output = Interval;
    fn add(self, other: Interval) -> Interval {
        Interval(self.0.saturating_add(other.0))
    }
}

impl From<Interval> for std::time::Duration {
    fn from(span: Interval) -> Self {
        Self::from_micros(span.0)
    }
}

/// Seconds with six decimals, as C keepalived prints times.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        let end = Instant::from_us(u64::MAX);
        assert_eq!(end + Interval::from_us(1), end);
        assert_eq!(Instant::ZERO - Interval::from_us(1), Instant::ZERO);
        assert_eq!(Instant::ZERO.since(end), Interval::ZERO);
        assert_eq!(Interval::from_secs(u64::MAX), Interval::from_us(u64::MAX));
    }

    #[test]
    fn the_calendar_goes_on_from_where_it_was_read() {
        let read = Instant::from_us(50);
        let clock = WallClock::new(read, 1_000);
        assert_eq!(clock.unix_us(read), 1_000);
        assert_eq!(clock.unix_us(Instant::from_us(57)), 1_007);
        assert_eq!(clock.unix_us(Instant::ZERO), 950);
        assert_eq!(WallClock::default().unix_us(read), 50);
    }

    #[test]
    fn prints_seconds_with_six_decimals() {
        assert_eq!(Interval::from_us(3_609_375).to_string(), "3.609375");
    }
}
