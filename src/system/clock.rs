//! Where "now" comes from, the alarm of the reactor, and dates for people.
//!
//! Decides that the daemon counts `CLOCK_MONOTONIC`, so that a change of the
//! wall clock moves no deadline. Does not decide what is due when.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId as Clock, clock_gettime};
use tokio::io::unix::AsyncFd;

use crate::time::{Instant, Interval};

/// The time on `CLOCK_MONOTONIC`, in whole microseconds.
pub fn now() -> Instant {
    // The clock exists on every Linux; zero stands for a kernel without it.
    clock_gettime(Clock::CLOCK_MONOTONIC).map_or(Instant::ZERO, |time| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
        let nanoseconds = u64::try_from(time.tv_nsec()).unwrap_or(0);
        Instant::from_us(
            seconds
                .saturating_mul(1_000_000)
                .saturating_add(nanoseconds / 1_000),
        )
    })
}

/// How long the machine has been up, the time that it slept included.
pub fn machine_uptime() -> Interval {
    let up = clock_gettime(Clock::CLOCK_BOOTTIME);
    // Without that clock nothing waits for the machine.
    up.map_or(Interval::from_us(u64::MAX), |time| {
        Interval::from_secs(u64::try_from(time.tv_sec()).unwrap_or(0))
    })
}

/// An alarm: one timerfd. The wake-up comes when the deadline is reached, never
/// before it.
#[derive(Debug)]
pub struct Timer {
    descriptor: AsyncFd<Descriptor>,
    /// What it is set to, if it was not heard since.
    set_to: Cell<Option<Instant>>,
}

impl Timer {
    /// A timer that is not armed. Needs a tokio runtime with I/O.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let descriptor = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        // SAFETY: the descriptor is owned by what is registered and is open as long as that.
        let descriptor = unsafe { AsyncFd::register(Descriptor(descriptor)) }?;
        Ok(Self {
            descriptor,
            set_to: Cell::new(None),
        })
    }

    /// Sets the alarm to `deadline`, at once if that has passed; `None` turns it off.
    /// It may go off before, at a time that it was set to earlier, no sooner than half way
    /// to the deadline: one that moves away with each of many packets costs next to
    /// nothing then, and one that moves with each of few wakes nobody in vain. Whoever it
    /// wakes sets it again.
    pub fn arm(&self, deadline: Option<Instant>) -> io::Result<()> {
        let timer = &self.descriptor.get_ref().0;
        let Some(deadline) = deadline else {
            self.set_to.set(None);
            return Ok(timer.unset()?);
        };
        if let Some(at) = self.set_to.get()
            && at <= deadline
        {
            let ahead = at.since(now());
            if !ahead.is_zero() && ahead >= deadline.since(at) {
                return Ok(());
            }
        }
        self.set_to.set(Some(deadline));
        // All zeros would turn the timer off.
        let at_us = deadline.as_us().max(1);
        let seconds = i64::try_from(at_us / 1_000_000).unwrap_or(i64::MAX);
        let nanoseconds = i64::try_from(at_us % 1_000_000 * 1_000).unwrap_or(0);
        timer.set(
            Expiration::OneShot(TimeSpec::new(seconds, nanoseconds)),
            TimerSetTimeFlags::TFD_TIMER_ABSTIME,
        )?;
        Ok(())
    }

    /// Waits for the alarm. May be dropped while it waits. Once it has gone off it does so
    /// again only if it is set again: that forgets how often it did, so that nobody has
    /// to read it.
    pub async fn expired(&self) -> io::Result<()> {
        self.descriptor.readable().await?.clear_ready();
        self.set_to.set(None);
        Ok(())
    }
}

/// A timerfd in the form that tokio takes.
#[derive(Debug)]
struct Descriptor(TimerFd);

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// The local wall-clock time as C keepalived prints it in front of a line on
/// the console: `Sat Nov 21 01:31:59 2026` (specification E.2, `-l`).
pub fn console_date() -> String {
    local_date(realtime_s(), c"%a %b %e %H:%M:%S %Y")
}

/// The local wall-clock time as it stands in a syslog datagram: `Nov 21 01:31:59`
/// (RFC 3164 section 4.1.2).
pub fn syslog_date() -> String {
    local_date(realtime_s(), c"%b %e %H:%M:%S")
}

/// The local wall-clock time as it stands in a mail:
/// `Mon, 01 Mar 2021 09:44:08 +0000` (RFC 5322 section 3.3).
pub fn mail_date() -> String {
    local_date(realtime_s(), c"%a, %d %b %Y %H:%M:%S %z")
}

/// The wall-clock time in microseconds since 1970.
pub fn epoch_us() -> u64 {
    clock_gettime(Clock::CLOCK_REALTIME).map_or(0, |time| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
        let nanoseconds = u64::try_from(time.tv_nsec()).unwrap_or(0);
        seconds
            .saturating_mul(1_000_000)
            .saturating_add(nanoseconds / 1_000)
    })
}

/// The local time `epoch_s` seconds after the beginning of 1970, in the form
/// `format` of strftime(3); empty if the format holds a NUL.
pub fn date_of(epoch_s: u64, format: &str) -> String {
    let seconds = libc::time_t::try_from(epoch_s).unwrap_or(libc::time_t::MAX);
    std::ffi::CString::new(format).map_or_else(|_| String::new(), |it| local_date(seconds, &it))
}

fn realtime_s() -> libc::time_t {
    clock_gettime(Clock::CLOCK_REALTIME).map_or(0, |time| time.tv_sec())
}

/// A local time in the form `format` of strftime(3). The program never leaves
/// the C locale, so names of days and months are English.
fn local_date(seconds: libc::time_t, format: &std::ffi::CStr) -> String {
    let mut text = [0_u8; 64];
    // SAFETY: an all-zero `tm` is a valid value: numbers and a null pointer.
    let mut broken_down: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the right type; `localtime_r`
    // keeps neither.
    unsafe { libc::localtime_r(&seconds, &mut broken_down) };
    // SAFETY: the buffer is as long as is said, `format` ends with a zero, and
    // `broken_down` was filled in above (its zone points to static storage).
    let length = unsafe {
        libc::strftime(
            text.as_mut_ptr().cast(),
            text.len(),
            format.as_ptr(),
            &broken_down,
        )
    };
    String::from_utf8_lossy(text.get(..length).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::testing::block_on;
    use crate::time::Interval;

    #[test]
    fn the_alarm_comes_at_the_deadline_and_not_before() {
        block_on(async {
            let timer = Timer::new().expect("a timer");
            let deadline = now() + Interval::from_ms(20);
            timer.arm(Some(deadline)).expect("armed");
            timer.expired().await.expect("expired");
            assert!(now() >= deadline);
        });
    }

    #[test]
    fn a_deadline_in_the_past_is_due_at_once_even_the_zero_one() {
        block_on(async {
            let timer = Timer::new().expect("a timer");
            timer.arm(Some(Instant::ZERO)).expect("armed");
            timer.expired().await.expect("expired");
        });
    }

    #[test]
    fn an_alarm_that_was_turned_off_does_not_come() {
        block_on(async {
            let off = Timer::new().expect("a timer");
            off.arm(Some(now() + Interval::from_ms(5))).expect("armed");
            off.arm(None).expect("disarmed");
            let later = Timer::new().expect("a timer");
            later
                .arm(Some(now() + Interval::from_ms(40)))
                .expect("armed");
            tokio::select! {
                _ = off.expired() => panic!("it was turned off"),
                _ = later.expired() => {}
            }
        });
    }

    #[test]
    fn an_alarm_that_moves_away_comes_no_later_than_it_is_set_to() {
        block_on(async {
            let timer = Timer::new().expect("a timer");
            let early = now() + Interval::from_ms(20);
            timer.arm(Some(early)).expect("armed");
            let late = early + Interval::from_ms(20);
            timer.arm(Some(late)).expect("armed");
            timer.expired().await.expect("expired");
            assert!(now() >= early);
            timer.arm(Some(late)).expect("armed");
            timer.expired().await.expect("expired");
            assert!(now() >= late);
            // And one that comes nearer comes at once.
            let far = now() + Interval::from_secs(3600);
            timer.arm(Some(far)).expect("armed");
            timer.arm(Some(now())).expect("armed");
            timer.expired().await.expect("expired");
        });
    }

    #[test]
    fn an_alarm_that_moves_far_away_wakes_nobody_in_vain() {
        block_on(async {
            let (moved, later) = (Timer::new(), Timer::new());
            let (moved, later) = (moved.expect("a timer"), later.expect("a timer"));
            let soon = now() + Interval::from_ms(20);
            moved.arm(Some(soon)).expect("armed");
            let far = soon + Interval::from_secs(3600);
            moved.arm(Some(far)).expect("armed");
            later
                .arm(Some(soon + Interval::from_ms(20)))
                .expect("armed");
            tokio::select! {
                _ = moved.expired() => panic!("it was moved away"),
                _ = later.expired() => {}
            }
        });
    }

    #[test]
    fn dates_have_the_form_that_people_grep_for() {
        let console = console_date();
        assert_eq!(console.len(), "Sat Nov 21 01:31:59 2026".len(), "{console}");
        assert_eq!(console.split_whitespace().count(), 5, "{console}");
        assert!(console.ends_with(|c: char| c.is_ascii_digit()), "{console}");
        assert_eq!(syslog_date().len(), "Nov 21 01:31:59".len());
        assert_eq!(mail_date().len(), "Mon, 01 Mar 2021 09:44:08 +0000".len());
    }
}
