//! A client of one of the daemon's sockets: it asks on one line, and gets one line.
//!
//! Decides how a question is read and an answer written without ever waiting, and
//! how long a client may take for either. What is asked and answered is decided by
//! those who hold it: `server.rs` here, and `daemon/control`.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::poll::PollFlags;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::compose::refusal;
use super::document::Refusal;
use crate::time::{Instant, Interval};

/// The longest request in bytes, with its end of line.
pub const REQUEST_MAX: usize = 4096;

/// How long a client may take to ask, and again to read.
pub const PATIENCE: Interval = Interval::from_secs(2);

/// What may be asked.
pub trait Asked: DeserializeOwned {
    /// Whether we know what is asked.
    ///
    /// # Errors
    /// We do not.
    fn understood(&self) -> Result<(), Refusal>;
}

/// Somebody who asks.
#[derive(Debug)]
pub struct Client<R> {
    stream: UnixStream,
    stage: Stage<R>,
    /// When it has to be further.
    pub until: Instant,
}

#[derive(Debug)]
enum Stage<R> {
    /// It is asking.
    Asking(Vec<u8>),
    /// It has asked, and waits.
    Waiting(R),
    /// It is being answered.
    Answered { text: Vec<u8>, written: usize },
    /// It has everything, or is not worth more.
    Done,
}

impl<R: Asked> Client<R> {
    /// Somebody who has just come.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub fn new(stream: UnixStream, now: Instant) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            stage: Stage::Asking(Vec::new()),
            until: now + PATIENCE,
        })
    }

    /// What it has asked and was not answered yet.
    pub fn waits_for(&self) -> Option<&R> {
        match &self.stage {
            Stage::Waiting(request) => Some(request),
            _ => None,
        }
    }

    /// Whether nothing is left to be done for it.
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// What to poll for; `None` while it waits for us: its end would wake us
    /// again and again.
    pub fn wants(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let flags = match self.stage {
            Stage::Asking(_) => PollFlags::POLLIN,
            Stage::Answered { .. } => PollFlags::POLLOUT,
            Stage::Waiting(_) | Stage::Done => return None,
        };
        Some((self.stream.as_fd(), flags))
    }

    /// Reads and writes what is possible at once.
    pub fn go_on(&mut self, now: Instant) {
        if matches!(self.stage, Stage::Asking(_)) {
            self.read(now);
        }
        if matches!(self.stage, Stage::Answered { .. }) {
            self.write();
        }
    }

    /// Answers it with one line.
    pub fn answer(&mut self, value: &impl Serialize, now: Instant) {
        let text = line(value);
        self.until = now + PATIENCE;
        self.stage = Stage::Answered { text, written: 0 };
        self.write();
    }

    /// Its connection, for something else than one answer.
    pub fn into_stream(self) -> UnixStream {
        self.stream
    }

    fn read(&mut self, now: Instant) {
        let Stage::Asking(asked) = &mut self.stage else {
            return;
        };
        let mut buffer = [0; REQUEST_MAX];
        let room = REQUEST_MAX.saturating_sub(asked.len());
        let part = buffer.get_mut(..room).unwrap_or_default();
        let length = match self.stream.read(part) {
            Err(error) if is_passing(&error) => return,
            // At the end without a line there is nobody to answer.
            Ok(0) | Err(_) => return self.stage = Stage::Done,
            Ok(length) => length,
        };
        asked.extend_from_slice(part.get(..length).unwrap_or_default());
        let end = asked.iter().position(|byte| *byte == b'\n');
        let request = match end {
            None if asked.len() < REQUEST_MAX => return,
            None => Err(format!("a request has at most {REQUEST_MAX} bytes")),
            Some(end) => serde_json::from_slice(asked.get(..end).unwrap_or_default())
                .map_err(|error| format!("the request is not understood: {error}")),
        };
        let request: Result<R, _> = request.map_err(|text| refusal("bad-request", text));
        match request.and_then(|request| request.understood().map(|()| request)) {
            Ok(request) => self.stage = Stage::Waiting(request),
            Err(refusal) => self.answer(&refusal, now),
        }
    }

    fn write(&mut self) {
        let Stage::Answered { text, written } = &mut self.stage else {
            return;
        };
        loop {
            let left = text.get(*written..).unwrap_or_default();
            if left.is_empty() {
                return self.stage = Stage::Done;
            }
            match self.stream.write(left) {
                Ok(length) => *written = written.saturating_add(length),
                Err(error) if is_passing(&error) => return,
                Err(_) => return self.stage = Stage::Done,
            }
        }
    }
}

impl<R> AsFd for Client<R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// On one line, with its end.
pub fn line(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    text
}
