//! A dead man's switch between two processes: an alarm that one of them puts off again
//! and again, and that the other one waits for. While the first lives, the second sleeps.
//!
//! Decides nothing: who puts it off says for how long, and who hears it what follows.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::time::Interval;

/// The alarm; a child that is forked shares it. Readable when it has gone off, until it
/// is put off again. It counts `CLOCK_MONOTONIC`.
#[derive(Debug)]
pub struct Lifeline(TimerFd);

impl Lifeline {
    /// One that was never put off: it does not go off either.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        Ok(Self(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?))
    }

    /// It goes off `span` from now, and not before. One of no length is one microsecond.
    pub fn put_off(&self, span: Interval) -> io::Result<()> {
        let span_us = i64::try_from(span.as_us().max(1)).unwrap_or(i64::MAX);
        let once = Expiration::OneShot(TimeSpec::microseconds(span_us));
        Ok(self.0.set(once, TimerSetTimeFlags::empty())?)
    }

    /// It was put off, and has not gone off since.
    pub fn holds(&self) -> bool {
        // It fails for a descriptor that is no timer only.
        matches!(self.0.get(), Ok(Some(_)))
    }
}

impl AsFd for Lifeline {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    fn is_readable(lifeline: &Lifeline, timeout: PollTimeout) -> bool {
        let mut fds = [PollFd::new(lifeline.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, timeout).expect("polled") == 1
    }

    #[test]
    fn it_goes_off_once_nobody_puts_it_off() {
        let lifeline = Lifeline::new().expect("an alarm");
        assert!(!lifeline.holds());
        assert!(!is_readable(&lifeline, PollTimeout::ZERO));
        lifeline
            .put_off(Interval::from_secs(3600))
            .expect("put off");
        assert!(lifeline.holds());
        assert!(!is_readable(&lifeline, PollTimeout::ZERO));
        lifeline.put_off(Interval::ZERO).expect("put off");
        assert!(is_readable(&lifeline, PollTimeout::NONE));
        assert!(!lifeline.holds());
        lifeline
            .put_off(Interval::from_secs(3600))
            .expect("put off");
        assert!(lifeline.holds());
        assert!(!is_readable(&lifeline, PollTimeout::ZERO));
    }
}
