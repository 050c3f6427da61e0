//! Standard error as a log, which must not hold up the daemon.
//!
//! A pipe that nobody reads, a terminal that was stopped and a socket whose other side
//! hangs are full one day. What cannot be written then is dropped and counted. We must
//! not make the descriptor itself non-blocking, as others write to it, too: so a pipe or
//! a terminal is opened once more for us alone, and a socket is told for each line.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{SFlag, fstat};

use super::super::clock;
use super::lost;

/// A pipe takes this much in one piece, or nothing of it (`PIPE_BUF`).
const WRITE_BYTES_MAX: usize = 4096;

/// How long a full console may hold up a line, in milliseconds; lines that follow a
/// lost one are not waited for at all.
const PATIENCE_MS: u8 = 1;

/// Standard error.
#[derive(Debug)]
pub(super) struct Console {
    descriptor: OwnedFd,
    kind: Kind,
    pub(super) dropped: u64,
    /// The last line broke off in the middle.
    torn: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Never waits for long: a file, or what we have opened without blocking.
    Plain,
    Socket,
    /// A pipe or a terminal that we may not open ourselves.
    Shared,
}

impl Console {
    pub(super) fn new(descriptor: OwnedFd) -> Self {
        let mode = fstat(&descriptor).map_or(0, |found| found.st_mode);
        let kind = SFlag::from_bits_truncate(mode) & SFlag::S_IFMT;
        let (descriptor, kind) = match kind {
            SFlag::S_IFSOCK => (descriptor, Kind::Socket),
            SFlag::S_IFIFO | SFlag::S_IFCHR => match opened_again(&descriptor) {
                Ok(own) => (own, Kind::Plain),
                Err(_) => (descriptor, Kind::Shared),
            },
            _ => (descriptor, Kind::Plain),
        };
        Self {
            descriptor,
            kind,
            dropped: 0,
            torn: false,
        }
    }

    pub(super) fn write(&mut self, text: &str) {
        if self.dropped > 0 && self.put(&lost(self.dropped)) {
            self.dropped = 0;
        }
        if !self.put(text) {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// Writes one line; whether it went out whole.
    fn put(&mut self, text: &str) -> bool {
        let end_of_torn = if self.torn { "\n" } else { "" };
        let line = format!("{end_of_torn}{}: {text}\n", clock::console_date());
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            let part = rest.get(..WRITE_BYTES_MAX).unwrap_or(rest);
            match self.put_part(part) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(_) => {
                    self.torn = if rest.len() < line.len() {
                        true
                    } else {
                        self.torn
                    };
                    return false;
                }
            }
        }
        self.torn = false;
        true
    }

    fn put_part(&self, part: &[u8]) -> nix::Result<usize> {
        if self.kind == Kind::Shared && !self.is_writable() {
            return Err(Errno::EAGAIN);
        }
        match self.put_now(part) {
            Err(Errno::EAGAIN) if self.kind != Kind::Shared && self.is_writable() => {
                self.put_now(part)
            }
            result => result,
        }
    }

    fn put_now(&self, part: &[u8]) -> nix::Result<usize> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match self.kind {
            Kind::Socket => send(self.descriptor.as_raw_fd(), part, flags),
            Kind::Plain | Kind::Shared => nix::unistd::write(&self.descriptor, part),
        }
    }

    fn is_writable(&self) -> bool {
        let patience = if self.dropped == 0 { PATIENCE_MS } else { 0 };
        let mut set = [PollFd::new(self.descriptor.as_fd(), PollFlags::POLLOUT)];
        poll(&mut set, PollTimeout::from(patience)) == Ok(1)
    }
}

/// The same pipe or terminal, with a description of its own.
fn opened_again(descriptor: &OwnedFd) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::time::Interval;

    /// Writes far more than fits, with nobody who reads, then lets `reader` have it.
    fn flood(descriptor: OwnedFd, mut reader: impl Read) {
        let mut console = Console::new(descriptor);
        let begun = clock::now();
        for _ in 0..20_000 {
            console.write(&"x".repeat(100));
        }
        // A millisecond for each line would be twenty seconds.
        assert!(clock::now().since(begun) < Interval::from_secs(10));
        assert!(console.dropped > 1000, "{}", console.dropped);
        let mut room = vec![0; 30_000];
        reader.read_exact(&mut room).unwrap();
        let dropped = console.dropped;
        console.write("after");
        drop(console);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let [.., told, last] = lines.as_slice() else {
            panic!("two lines at least");
        };
        assert!(
            told.ends_with(&format!(": {dropped} log lines were lost")),
            "{told}"
        );
        assert!(last.ends_with(": after"), "{last}");
    }

    #[test]
    fn a_pipe_that_is_not_read_holds_nobody_up() {
        let (reader, writer) = io::pipe().unwrap();
        flood(writer.into(), reader);
    }

    #[test]
    fn a_socket_that_is_not_read_holds_nobody_up() {
        let (reader, writer) = UnixStream::pair().unwrap();
        flood(writer.into(), reader);
    }

    #[test]
    fn others_still_wait_for_the_pipe() {
        let (_reader, writer) = io::pipe().unwrap();
        let console = Console::new(writer.try_clone().unwrap().into());
        assert_eq!(console.kind, Kind::Plain);
        let flags = nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_GETFL).unwrap();
        assert_eq!(flags & libc::O_NONBLOCK, 0);
    }
}
