//! Stand-in for the clock.

use crate::time::{Instant, Interval};

/// The monotonic clock.
pub fn now() -> Instant {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    let since_boot = time.map_or(std::time::Duration::ZERO, std::time::Duration::from);
    Instant::ZERO + Interval::from_us(u64::try_from(since_boot.as_micros()).unwrap_or(u64::MAX))
}
