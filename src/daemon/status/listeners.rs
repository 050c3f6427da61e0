//! Those who asked for events and stay.
//!
//! Decides how many there are, how much may wait for one that does not read, and when
//! it is given up: its connection then ends, and who still wants to know comes again
//! and gets how things stand by then. Nothing here ever waits.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::client::line;
use super::events::Event;
use crate::time::{Instant, Interval};

/// How many may listen at the same time.
pub const LISTENERS_MAX: usize = 16;

/// How many bytes of events may wait for one, besides how things stood when it came.
const WAITING_MAX: usize = 256 * 1024;

/// How long one that has something to read may read nothing.
const PATIENCE: Interval = Interval::from_secs(30);

/// One of them.
#[derive(Debug)]
pub struct Listener {
    stream: UnixStream,
    /// Only what concerns this instance, or none.
    instance: Option<String>,
    /// It knows of everything up to this event.
    knows: u64,
    waiting: Vec<u8>,
    written: usize,
    /// How much may wait.
    room: usize,
    /// When it has to have read something, while something waits.
    until: Instant,
    is_gone: bool,
}

impl Listener {
    /// Somebody to whom things are to be told as they stood after event `knows`.
    pub fn new(
        stream: UnixStream,
        instance: Option<String>,
        current: &[Event],
        knows: u64,
        now: Instant,
    ) -> Self {
        let waiting: Vec<u8> = current.iter().flat_map(line).collect();
        let room = waiting.len().saturating_add(WAITING_MAX);
        let mut listener = Self {
            stream,
            instance,
            knows,
            waiting,
            written: 0,
            room,
            until: now + PATIENCE,
            is_gone: false,
        };
        listener.go_on(now);
        listener
    }

    /// Tells it of an event, if it is news and concerns it.
    pub fn hear(&mut self, number: u64, event: &Event, now: Instant) {
        if number <= self.knows {
            return;
        }
        self.knows = number;
        let about = event.instance.as_deref();
        let wanted = self.instance.as_deref();
        if wanted.is_some() && about.is_some() && wanted != about {
            return;
        }
        if self.waiting.is_empty() {
            self.until = now + PATIENCE;
        }
        self.waiting.extend(line(event));
        if self.waiting.len().saturating_sub(self.written) > self.room {
            self.is_gone = true;
        }
    }

    /// Writes what is possible at once, and sees whether it is still there.
    pub fn go_on(&mut self, now: Instant) {
        self.is_gone |= hung_up(&self.stream);
        while !self.is_gone {
            let left = self.waiting.get(self.written..).unwrap_or_default();
            if left.is_empty() {
                (self.written, self.until) = (0, now + PATIENCE);
                self.waiting.clear();
                return;
            }
            match self.stream.write(left) {
                Ok(length) => {
                    self.written = self.written.saturating_add(length);
                    self.until = now + PATIENCE;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // One that reads slowly may never have read everything.
                    self.waiting.drain(..self.written);
                    self.written = 0;
                    break;
                }
                Err(_) => self.is_gone = true,
            }
        }
        self.is_gone |= self.deadline().is_some_and(|until| until <= now);
    }

    /// Whether nothing is left to be done for it.
    pub fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// When it is given up.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then_some(self.until)
    }

    /// What to poll for; its end wakes in any case.
    pub fn wants(&self) -> PollFd<'_> {
        let flags = match self.waiting.is_empty() {
            true => PollFlags::empty(),
            false => PollFlags::POLLOUT,
        };
        PollFd::new(self.as_fd(), flags)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn hung_up(stream: &UnixStream) -> bool {
    let mut fds = [PollFd::new(stream.as_fd(), PollFlags::empty())];
    let ready = poll(&mut fds, PollTimeout::ZERO);
    ready.is_ok_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use nix::sys::socket::{setsockopt, sockopt};

    use super::*;

    fn event(instance: &str) -> Event {
        Event {
            version: 1,
            event: "state".to_owned(),
            instance: Some(instance.to_owned()),
            ..Event::default()
        }
    }

    fn pair(instance: Option<&str>) -> (Listener, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        let instance = instance.map(str::to_owned);
        let now = Instant::ZERO;
        let listener = Listener::new(ours, instance, &[event("first")], 7, now);
        (listener, theirs)
    }

    fn heard(theirs: &mut UnixStream) -> String {
        let mut text = [0; 4096];
        let length = theirs.read(&mut text).unwrap_or(0);
        String::from_utf8_lossy(&text[..length]).into_owned()
    }

    #[test]
    fn only_what_is_news_and_concerns_it_is_told() {
        let (mut listener, mut theirs) = pair(Some("VI_1"));
        assert!(heard(&mut theirs).contains("first"));
        let now = Instant::ZERO;
        listener.hear(7, &event("VI_1"), now);
        listener.hear(8, &event("VI_2"), now);
        listener.go_on(now);
        assert_eq!(heard(&mut theirs), "");
        listener.hear(9, &event("VI_1"), now);
        listener.go_on(now);
        assert_eq!(heard(&mut theirs).lines().count(), 1);
        assert!(!listener.is_gone() && listener.deadline().is_none());
        drop(theirs);
        listener.go_on(now);
        assert!(listener.is_gone());
    }

    #[test]
    fn what_a_slow_reader_has_read_is_not_kept() {
        let (mut listener, mut theirs) = pair(None);
        // The kernel keeps little of it.
        setsockopt(&listener.stream, sockopt::SndBuf, &8192).unwrap();
        let long = "x".repeat(1000);
        let mut buffer = [0; 4096];
        for number in 8..5_000 {
            listener.hear(number, &event(&long), Instant::ZERO);
            listener.go_on(Instant::ZERO);
            // It never reads all of it.
            while listener.waiting.len() > WAITING_MAX / 2 {
                assert!(theirs.read(&mut buffer).unwrap() > 0);
                listener.go_on(Instant::ZERO);
                assert!(listener.deadline().is_some());
            }
        }
        assert!(!listener.is_gone());
        assert!(listener.waiting.capacity() < 2 * WAITING_MAX);
    }

    #[test]
    fn who_does_not_read_is_given_up() {
        // What the kernel keeps and what may wait are full some time.
        let (mut listener, _theirs) = pair(None);
        let long = "x".repeat(1000);
        let told = (8..10_000).take_while(|number| {
            listener.hear(*number, &event(&long), Instant::ZERO);
            listener.go_on(Instant::ZERO);
            !listener.is_gone()
        });
        let told = told.count();
        assert!((200..9_000).contains(&told), "{told}");

        // And somebody who reads nothing of what little there is.
        let (mut listener, theirs) = pair(None);
        while listener.deadline().is_none() {
            let number = listener.knows.saturating_add(1);
            listener.hear(number, &event(&long), Instant::ZERO);
            listener.go_on(Instant::ZERO);
        }
        let until = listener.deadline().unwrap();
        assert_eq!(until, Instant::ZERO + PATIENCE);
        listener.go_on(until);
        assert!(listener.is_gone());
        drop(theirs);
    }
}
