//! Whether the worker still turns.
//!
//! Decides when it is given up: after so much silence that the supervisor itself was
//! awake for. While the worker turns it puts off an alarm (`daemon/signs.rs`), and the
//! supervisor sleeps. When that goes off, the supervisor looks often until the limit.
//! One that wakes late, on a machine that slept, say, or under a debugger, counts no
//! more than one look, and has to look several times before anything follows. What
//! follows is decided in `children.rs`.

use super::super::process;
use super::super::signs::LIFE_SPAN;
use super::{Phase, Supervisor, WORKER};
use crate::config::model::Config;
use crate::time::{Instant, Interval};
use crate::vrrp::election::Timing;

/// How often a worker that begins is looked at, and how much silence one look can add.
const LOOK: Interval = Interval::from_secs(1);

/// The same for one whose alarm has gone off.
const CLOSE_LOOK: Interval = Interval::from_ms(100);

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
        if let Some(silence) = worker
            .pulse
            .look(now, worker.lifeline.holds(), self.stall_limit)
        {
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
    standing: Standing,
    silence: Interval,
    looked_at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It has made no turn yet.
    Begins,
    /// Its alarm has not gone off.
    Turns,
    /// It has.
    IsSilent,
}

impl Pulse {
    /// Of a worker that starts now.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            standing: Standing::Begins,
            silence: Interval::ZERO,
            looked_at: now,
        }
    }

    /// The alarm will tell when to look again.
    pub(super) fn waits_for_alarm(&self) -> bool {
        self.standing == Standing::Turns
    }

    /// When to look again, if the alarm does not tell it.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let wait = match self.standing {
            Standing::Begins => LOOK,
            Standing::Turns => return None,
            Standing::IsSilent => CLOSE_LOOK,
        };
        Some(self.looked_at + wait)
    }

    /// Looks at `now`, when the alarm is put off or not. How long the worker has been
    /// silent, if that is too long.
    pub(super) fn look(
        &mut self,
        now: Instant,
        is_put_off: bool,
        limit: Option<Interval>,
    ) -> Option<Interval> {
        let passed = now.since(self.looked_at);
        self.looked_at = now;
        if is_put_off {
            self.standing = Standing::Turns;
            self.silence = Interval::ZERO;
            return None;
        }
        self.silence = match self.standing {
            Standing::Begins => self.silence + passed.min(LOOK),
            Standing::Turns => LIFE_SPAN,
            Standing::IsSilent => self.silence + passed.min(CLOSE_LOOK),
        };
        let limit = if self.standing == Standing::Begins {
            limit?.max(BEGIN_LIMIT)
        } else {
            self.standing = Standing::IsSilent;
            limit?
        };
        (self.silence >= limit).then_some(self.silence)
    }

    /// Whether systemd may be told that all is well. It is patient with one that
    /// begins: that has a limit of its own.
    pub(super) fn is_fresh(&self) -> bool {
        self.standing == Standing::Begins || self.silence <= FRESH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Option<Interval> = Some(Interval::from_secs(5));

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Interval::from_secs(seconds)
    }

    /// Of a worker whose last sign of life was given at `from`; when it was given up.
    fn given_up(pulse: &mut Pulse, limit: Option<Interval>, from: Instant) -> Option<Interval> {
        let mut now = from + LIFE_SPAN;
        for _ in 0..10_000 {
            if pulse.look(now, false, limit).is_some() {
                return Some(now.since(from));
            }
            now = pulse.next_look()?;
        }
        None
    }

    fn turning(now: Instant) -> Pulse {
        let mut pulse = Pulse::new(now);
        assert_eq!(pulse.look(now, true, LIMIT), None);
        assert!(pulse.waits_for_alarm());
        assert_eq!(pulse.next_look(), None);
        pulse
    }

    #[test]
    fn silence_of_the_limit_is_too_long() {
        let late = |limit| given_up(&mut turning(at(10)), Some(limit), at(10));
        for seconds in [2, 5, 60] {
            let limit = Interval::from_secs(seconds);
            let late = late(limit).expect("given up");
            assert!(late >= limit && late <= limit + CLOSE_LOOK, "{late:?}");
        }
    }

    #[test]
    fn a_sign_of_life_ends_the_silence() {
        let mut pulse = turning(at(0));
        assert_eq!(pulse.look(at(2), false, LIMIT), None);
        assert!(!pulse.waits_for_alarm());
        assert_eq!(pulse.look(at(3), true, LIMIT), None);
        let late = given_up(&mut pulse, LIMIT, at(3)).expect("given up");
        assert!(late >= Interval::from_secs(5), "{late:?}");
    }

    #[test]
    fn a_supervisor_that_slept_counts_no_more_than_the_alarm() {
        let mut pulse = turning(at(0));
        assert_eq!(pulse.look(at(1_000), false, LIMIT), None);
        assert!(pulse.is_fresh());
        assert_eq!(pulse.look(at(2_000), false, LIMIT), None);
        // Many looks later it is given up all the same.
        let looks = (1..1_000_u64).find(|look| {
            let now = at(2_000) + Interval::from_ms(10).times(*look);
            pulse.look(now, false, LIMIT).is_some()
        });
        assert_eq!(looks, Some(315));
        assert!(!pulse.is_fresh());
    }

    #[test]
    fn one_that_begins_has_a_minute() {
        let mut pulse = Pulse::new(at(0));
        let given_up = (1..100).find(|second| pulse.look(at(*second), false, LIMIT).is_some());
        assert_eq!(given_up, Some(60));
    }

    #[test]
    fn no_limit_means_never() {
        assert_eq!(given_up(&mut turning(at(0)), None, at(0)), None);
    }
}
