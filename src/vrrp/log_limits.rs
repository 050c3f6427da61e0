//! How often a line of one kind is logged.
//!
//! Decides that whoever sends us nonsense cannot fill the log: the first line of
//! a kind is logged, then one a minute, with the number of those in between. No
//! change of state or master shortens that for packets that are refused.

use crate::time::{Instant, Interval};

// The kinds that are no reason for refusal: those are below 32 (`Reject::kind`).

/// An owner drops adverts.
pub const IGNORED_AS_OWNER: u8 = 32;
/// A clock differs.
pub const CLOCK_SKEW: u8 = 33;
/// VIPs differ.
pub const ADDRESSES_DIFFER: u8 = 34;
/// Another master.
pub const CONTENDED: u8 = 35;
/// A master answers a lower one.
pub const ANSWERED_LOWER: u8 = 36;
/// A backup is about to take over from a lower master.
pub const DISCARDED_LOWER: u8 = 37;
/// An advert from our own address.
pub const OWN_ADDRESS: u8 = 38;
/// An advert of priority 0.
pub const PRIORITY_ZERO: u8 = 39;

/// Those about adverts that were accepted. What these lead to is worth a line
/// each time that the state is another one.
pub const OF_ACCEPTED: [u8; 4] = [ANSWERED_LOWER, DISCARDED_LOWER, OWN_ADDRESS, PRIORITY_ZERO];

/// Between two lines of one kind.
pub const PAUSE: Interval = Interval::from_secs(60);

/// The kinds that were logged of late; as many as there are kinds at most.
#[derive(Debug, Default)]
pub struct LogLimits {
    logged: Vec<Logged>,
}

#[derive(Debug)]
struct Logged {
    kind: u8,
    at: Instant,
    /// Lines since then that were not logged.
    left_out: u32,
}

impl LogLimits {
    /// Whether a line of this kind may be logged now, and if so how many were
    /// not since the last one. Asking counts.
    pub fn admit(&mut self, kind: u8, now: Instant) -> Option<u32> {
        let Some(known) = self.logged.iter_mut().find(|it| it.kind == kind) else {
            let left_out = 0;
            self.logged.push(Logged {
                kind,
                at: now,
                left_out,
            });
            return Some(0);
        };
        if now.since(known.at) < PAUSE {
            known.left_out = known.left_out.saturating_add(1);
            return None;
        }
        known.at = now;
        Some(std::mem::take(&mut known.left_out))
    }

    /// The next line of this kind is the first one again.
    pub fn forget(&mut self, kind: u8) {
        self.logged.retain(|it| it.kind != kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_minute_says_how_many_there_were() {
        let mut limits = LogLimits::default();
        let at = |seconds| Instant::ZERO + Interval::from_secs(seconds);
        assert_eq!(limits.admit(1, at(0)), Some(0));
        for second in 1..60 {
            assert_eq!(limits.admit(1, at(second)), None);
        }
        assert_eq!(limits.admit(2, at(59)), Some(0));
        assert_eq!(limits.admit(1, at(60)), Some(59));
        assert_eq!(limits.admit(1, at(119)), None);
        assert_eq!(limits.admit(1, at(200)), Some(1));
        limits.forget(1);
        assert_eq!(limits.admit(1, at(201)), Some(0));
        assert_eq!(limits.admit(2, at(201)), Some(0));
    }
}
