//! The delay of the first start: `vrrp_startup_delay` and
//! `vrrp_delay_after_boot` (specification F.2).
//!
//! Decides how long it is and when it ends. Until then adverts are not looked
//! at, so a backup begins to wait for a master only after it, and the owner of
//! the addresses has not begun at all; nobody is MASTER, so nothing is announced.
//! A reload neither begins nor ends it.

use crate::config::model::Startup;
use crate::time::{Instant, Interval};

use super::super::action::Transmit;
use super::super::event::Uptime;
use super::super::instance::TimerKey;
use super::super::log_lines::LogLine;
use super::Engine;

/// What is left of the longer of both delays.
fn rest(startup: Startup, up: Uptime) -> Interval {
    let since_start = startup.delay.without(up.daemon);
    let since_boot = startup.delay_after_boot.without(up.machine);
    since_start.max(since_boot)
}

impl Engine {
    /// Begins the delay, if there is one.
    pub(super) fn delay_start(&mut self, now: Instant) {
        let rest = rest(self.config.globals.startup, self.up);
        if rest.is_zero() {
            return;
        }
        let end = now + rest;
        self.delayed_until = Some(end);
        self.timers.arm(TimerKey::StartupDelay, end);
        self.log(LogLine::StartDelayed(rest));
    }

    /// The delay is over: who waited for that begins.
    pub(super) fn start_delay_ended(&mut self, now: Instant, tx: &mut impl Transmit) {
        self.delayed_until = None;
        self.log(LogLine::StartDelayEnded);
        self.evaluate_all(now, tx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_delay_counts_from_where_each_began() {
        let s = Interval::from_secs;
        let cases = [
            ((0, 0), (0, 0), 0),
            ((5, 0), (0, 100), 5),
            ((5, 0), (2, 100), 3),
            ((5, 0), (9, 100), 0),
            ((0, 90), (0, 60), 30),
            ((0, 90), (0, 100), 0),
            ((5, 90), (0, 88), 5),
            ((5, 90), (0, 60), 30),
        ];
        for ((delay, after_boot), (daemon, machine), expected) in cases {
            let startup = Startup {
                delay: s(delay),
                delay_after_boot: s(after_boot),
            };
            let up = Uptime {
                daemon: s(daemon),
                machine: s(machine),
            };
            assert_eq!(rest(startup, up), s(expected), "{startup:?} {up:?}");
        }
    }
}
