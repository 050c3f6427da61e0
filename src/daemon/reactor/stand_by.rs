//! Before a takeover nobody sleeps.
//!
//! To be woken takes a tenth of a millisecond, on a virtual processor that sleeps several:
//! more than all else that a takeover needs until its first advert. So the reactor is awake
//! a moment before, and turns until the time has come. Decides when that begins and ends;
//! what a turn does is the same as ever, and an advert that comes in the last moment still
//! counts. The netlink thread sleeps until the addresses are due, but is woken once when
//! that is near, which makes its next wake-up a short one.

use crate::time::{Instant, Interval};

/// How long before a takeover we are awake.
pub const LEAD: Interval = Interval::from_ms(1);

/// How long before a takeover the netlink thread is woken: about what that takes.
const CALL: Interval = Interval::from_us(150);

/// The pause after that: where takeovers follow one another everything is awake anyway,
/// and others want to be heard.
const PAUSE: Interval = Interval::from_ms(20);

/// Whether the reactor stays awake.
#[derive(Debug)]
pub struct StandBy {
    /// Since when it does.
    since: Option<Instant>,
    /// The netlink thread has been woken since.
    has_called: bool,
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
            has_called: false,
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

    /// Whether another turn follows without sleep, where a takeover is due no later than
    /// `LEAD` from now, or none is.
    pub fn goes_on(&mut self, now: Instant, takeover: Option<Instant>) -> bool {
        if takeover.is_none() || !self.is_allowed || now < self.not_before {
            self.end(now);
            return false;
        }
        let since = *self.since.get_or_insert(now);
        if now.since(since) > LEAD {
            self.end(now);
        }
        self.since.is_some()
    }

    /// Whether to wake the netlink thread now, for that takeover.
    pub fn calls(&mut self, now: Instant, takeover: Option<Instant>) -> bool {
        let is_time = takeover.is_some_and(|at| at.since(now) <= CALL);
        is_time && self.since.is_some() && !std::mem::replace(&mut self.has_called, true)
    }

    fn end(&mut self, now: Instant) {
        self.has_called = false;
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
        let soon = Some(at(50_000));
        let mut stand_by = StandBy::new(true);
        assert_eq!(stand_by.before(at(50_000)), at(49_000));
        assert!(!stand_by.goes_on(at(40_000), None));
        assert!(stand_by.goes_on(at(49_100), soon));
        assert!(stand_by.goes_on(at(49_999), soon));
        assert!(!stand_by.goes_on(at(50_010), None), "it is over");
        assert!(!stand_by.goes_on(at(50_200), soon), "another at once");
        assert_eq!(stand_by.before(at(50_300)), at(50_300));
        assert_eq!(stand_by.before(at(70_500)), at(70_010));
        assert_eq!(stand_by.before(at(90_000)), at(89_000));
        assert!(stand_by.goes_on(at(89_000), soon));
    }

    #[test]
    fn never_for_longer_than_that_moment() {
        let soon = Some(at(10_500));
        let mut stand_by = StandBy::new(true);
        assert!(stand_by.goes_on(at(10_000), soon));
        assert!(stand_by.goes_on(at(11_000), soon));
        assert!(!stand_by.goes_on(at(11_001), soon));
        assert!(!stand_by.goes_on(at(31_000), soon));
        assert!(stand_by.goes_on(at(31_001), soon));
    }

    #[test]
    fn never_where_it_is_not_allowed() {
        let soon = Some(at(50_000));
        let mut stand_by = StandBy::new(false);
        assert_eq!(stand_by.before(at(50_000)), at(50_000));
        assert!(!stand_by.goes_on(at(49_500), soon));
        stand_by.allow(true);
        assert!(stand_by.goes_on(at(49_500), soon));
    }

    #[test]
    fn the_netlink_thread_is_woken_once_when_the_takeover_is_near() {
        let mut stand_by = StandBy::new(true);
        let takeover = Some(at(50_000));
        assert!(!stand_by.calls(at(49_900), takeover), "asleep itself");
        assert!(stand_by.goes_on(at(49_100), takeover));
        assert!(!stand_by.calls(at(49_100), takeover), "too early");
        assert!(stand_by.calls(at(49_850), takeover));
        assert!(!stand_by.calls(at(49_900), takeover), "once");
        assert!(!stand_by.goes_on(at(50_010), None));
        assert!(!stand_by.calls(at(50_010), None));
        let next = Some(at(80_000));
        assert!(stand_by.goes_on(at(79_900), next));
        assert!(stand_by.calls(at(79_900), next));
    }
}
