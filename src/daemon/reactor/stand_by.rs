//! Before a takeover nobody sleeps.
//!
//! To be woken takes a tenth of a millisecond, on a virtual processor that sleeps several:
//! more than all else that a takeover needs until its first advert. So the reactor is awake
//! a moment before, and turns until the time has come. Decides when that begins and ends;
//! what a turn does is the same as ever, and an advert that comes in the last moment still
//! counts.

use crate::time::{Instant, Interval};

/// How long before a takeover we are awake.
pub const LEAD: Interval = Interval::from_ms(1);

/// The pause after that: where takeovers follow one another everything is awake anyway,
/// and others want to be heard.
const PAUSE: Interval = Interval::from_ms(20);

/// Whether the reactor stays awake.
#[derive(Debug)]
pub struct StandBy {
    /// Since when it does.
    since: Option<Instant>,
    /// The end of the pause.
    not_before: Instant,
    /// The configuration is such that it may.
    is_allowed: bool,
}

impl StandBy {
    /// Asleep. It may stay awake, or may not.
    pub fn new(is_allowed: bool) -> Self {
        Self {
            since: None,
            not_before: Instant::ZERO,
            is_allowed,
        }
    }

    /// It may stay awake, or may not, from now on.
    pub fn allow(&mut self, is_allowed: bool) {
        self.is_allowed = is_allowed;
    }

    /// When to wake up for a takeover.
    pub fn before(&self, takeover: Instant) -> Instant {
        if self.is_allowed {
            (takeover - LEAD).max(self.not_before).min(takeover)
        } else {
            takeover
        }
    }

    /// Whether another turn follows without sleep, if a takeover is no farther away than
    /// `LEAD`, or is not.
    pub fn goes_on(&mut self, now: Instant, takeover_is_near: bool) -> bool {
        if !takeover_is_near || !self.is_allowed || now < self.not_before {
            self.end(now);
            return false;
        }
        let since = *self.since.get_or_insert(now);
        if now.since(since) > LEAD {
            self.end(now);
        }
        self.since.is_some()
    }

    fn end(&mut self, now: Instant) {
        if self.since.take().is_some() {
            self.not_before = now + PAUSE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(us: u64) -> Instant {
        Instant::from_us(us)
    }

    #[test]
    fn from_a_moment_before_until_the_takeover_is_over_and_then_not_for_a_while() {
        let mut stand_by = StandBy::new(true);
        assert_eq!(stand_by.before(at(50_000)), at(49_000));
        assert!(!stand_by.goes_on(at(40_000), false));
        assert!(stand_by.goes_on(at(49_100), true));
        assert!(stand_by.goes_on(at(49_999), true));
        assert!(!stand_by.goes_on(at(50_010), false), "it is over");
        assert!(!stand_by.goes_on(at(50_200), true), "another at once");
        assert_eq!(stand_by.before(at(50_300)), at(50_300));
        assert_eq!(stand_by.before(at(70_500)), at(70_010));
        assert_eq!(stand_by.before(at(90_000)), at(89_000));
        assert!(stand_by.goes_on(at(89_000), true));
    }

    #[test]
    fn never_for_longer_than_that_moment() {
        let mut stand_by = StandBy::new(true);
        assert!(stand_by.goes_on(at(10_000), true));
        assert!(stand_by.goes_on(at(11_000), true));
        assert!(!stand_by.goes_on(at(11_001), true));
        assert!(!stand_by.goes_on(at(31_000), true));
        assert!(stand_by.goes_on(at(31_001), true));
    }

    #[test]
    fn never_where_it_is_not_allowed() {
        let mut stand_by = StandBy::new(false);
        assert_eq!(stand_by.before(at(50_000)), at(50_000));
        assert!(!stand_by.goes_on(at(49_500), true));
        stand_by.allow(true);
        assert!(stand_by.goes_on(at(49_500), true));
    }
}
