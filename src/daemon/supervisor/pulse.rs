//! Whether the worker still turns.
//!
//! Decides when it is given up: after so much silence that the supervisor itself was
//! awake for. A supervisor that wakes late, on a machine that slept, say, or under a
//! debugger, counts no more than one look, and has to look several times before
//! anything follows. What follows is decided in `children.rs`.

use super::super::process;
use super::{Phase, Supervisor, WORKER};
use crate::config::model::Config;
use crate::time::{Instant, Interval};
use crate::vrrp::election::Timing;

/// How often it is looked at, and how much silence one look can add. The worker gives
/// a sign of life as often (`daemon/signs.rs`).
pub(super) const LOOK: Interval = Interval::from_secs(1);

/// Without `worker_stall_limit`, the limit is this many times the longest
/// master-down time: the peers have taken over by then.
const MASTER_DOWN_TIMES: u64 = 3;

/// And no shorter than this.
const LIMIT_MIN: Interval = Interval::from_secs(5);

/// How long a worker may take to its first turn. It holds no VIP before.
const BEGIN_LIMIT: Interval = Interval::from_secs(60);

/// More silence than this is told to systemd by silence.
const FRESH: Interval = Interval::from_secs(2);

/// How long a worker of this configuration may be silent; `None`: for ever.
pub(super) fn limit_of(config: &Config) -> Option<Interval> {
    match config.globals.worker_stall_limit {
        Some(limit) => Some(limit).filter(|limit| !limit.is_zero()),
        None => {
            let times = config.instances.iter().map(|instance| {
                let timing = Timing {
                    version: instance.version,
                    master_advert_interval: instance.advert_interval,
                    down_timer_adverts: instance.down_timer_adverts,
                };
                timing.master_down_time(instance.priority)
            });
            let longest = times.max().unwrap_or(Interval::ZERO);
            Some(longest.times(MASTER_DOWN_TIMES).max(LIMIT_MIN))
        }
    }
}

impl Supervisor<'_> {
    /// Ends a worker that makes no turns. All else follows from its end, as if it had
    /// died by itself: in this order, because one that wakes up later would go on
    /// with VIPs that others hold by then.
    pub(super) fn look_after_worker(&mut self, now: Instant) {
        let Phase::Working(worker) = &mut self.phase else {
            return;
        };
        if let Some(silence) = worker.pulse.look(now, self.stall_limit) {
            let process = worker.process;
            let seconds = silence.as_secs();
            tracing::error!(
                "{WORKER} process({process}) has made no turn for {seconds} s: killing it"
            );
            process::send_signal(process, libc::SIGKILL);
            worker.pulse = Pulse::new(now);
        }
    }

    /// Tells systemd that all is well, if the worker turns, or if there is none and
    /// the supervisor does.
    pub(super) fn feed_watchdog(&mut self, now: Instant) {
        let Some(period) = self.manager.watchdog() else {
            return;
        };
        if self.feed_at.is_some_and(|at| now < at) {
            return;
        }
        let fresh = match &self.phase {
            Phase::Working(worker) => worker.pulse.is_fresh(),
            _ => true,
        };
        if fresh {
            self.told(self.manager.alive());
        }
        // Half of the time that systemd waits.
        let half = Interval::from_us(period.as_us() / 2);
        self.feed_at = Some(now + if fresh { half } else { half.min(LOOK) });
    }
}

/// The signs of life of one worker.
#[derive(Debug)]
pub(super) struct Pulse {
    has_turned: bool,
    silence: Interval,
    looked_at: Instant,
}

impl Pulse {
    /// Of a worker that starts now.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            has_turned: false,
            silence: Interval::ZERO,
            looked_at: now,
        }
    }

    /// It made a turn.
    pub(super) fn turned(&mut self) {
        self.has_turned = true;
        self.silence = Interval::ZERO;
    }

    /// When to look again.
    pub(super) fn next_look(&self) -> Instant {
        self.looked_at + LOOK
    }

    /// Looks at `now`, after everything that the worker said was heard. How long it
    /// has been silent, if that is too long.
    pub(super) fn look(&mut self, now: Instant, limit: Option<Interval>) -> Option<Interval> {
        let passed = now.since(self.looked_at);
        self.looked_at = now;
        self.silence = self.silence + passed.min(LOOK);
        let limit = match self.has_turned {
            true => limit?,
            false => limit?.max(BEGIN_LIMIT),
        };
        (self.silence >= limit).then_some(self.silence)
    }

    /// Whether systemd may be told that all is well. It is patient with one that
    /// begins: that has a limit of its own.
    pub(super) fn is_fresh(&self) -> bool {
        !self.has_turned || self.silence <= FRESH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Option<Interval> = Some(Interval::from_secs(5));

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Interval::from_secs(seconds)
    }

    /// Looks once a second; the second in which it was given up.
    fn given_up(pulse: &mut Pulse, limit: Option<Interval>, from: u64, to: u64) -> Option<u64> {
        (from..=to).find(|second| pulse.look(at(*second), limit).is_some())
    }

    #[test]
    fn silence_of_the_limit_is_too_long() {
        let mut pulse = Pulse::new(at(0));
        pulse.turned();
        assert_eq!(given_up(&mut pulse, LIMIT, 1, 100), Some(5));
        pulse.turned();
        assert_eq!(given_up(&mut pulse, LIMIT, 6, 100), Some(10));
    }

    #[test]
    fn a_supervisor_that_slept_counts_one_second() {
        let mut pulse = Pulse::new(at(0));
        pulse.turned();
        assert_eq!(pulse.look(at(1_000), LIMIT), None);
        assert!(pulse.is_fresh());
        assert_eq!(given_up(&mut pulse, LIMIT, 1_001, 2_000), Some(1_004));
        assert!(!pulse.is_fresh());
    }

    #[test]
    fn many_looks_in_a_second_count_a_second() {
        let mut pulse = Pulse::new(at(0));
        pulse.turned();
        let mut now = at(0);
        let looks = (0..1_000).position(|_| {
            now = now + Interval::from_ms(10);
            pulse.look(now, LIMIT).is_some()
        });
        assert_eq!(looks, Some(499));
    }

    #[test]
    fn one_that_begins_has_a_minute() {
        let mut pulse = Pulse::new(at(0));
        assert_eq!(given_up(&mut pulse, LIMIT, 1, 100), Some(60));
    }

    #[test]
    fn no_limit_means_never() {
        let mut pulse = Pulse::new(at(0));
        pulse.turned();
        assert_eq!(given_up(&mut pulse, None, 1, 1_000), None);
    }
}
