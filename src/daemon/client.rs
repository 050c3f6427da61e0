//! Those who ask on a socket and get one answer each.
//!
//! Decides how a question is read and an answer written without ever waiting, how long
//! a client may take for either, and how many are served at the same time. How a question
//! is understood, and what is answered, is decided by those who serve: `status/` and
//! `control/` with lines of JSON, `metrics/` with HTTP.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::system::clock::now;
use crate::time::{Instant, Interval};

/// How long a client may take to ask, and again to read.
pub const PATIENCE: Interval = Interval::from_secs(2);

/// How long nobody is taken on after that has failed.
const RETRY: Interval = Interval::from_ms(200);

/// How much is read at once, in bytes.
const READ_MAX: usize = 8192;

/// What may be asked.
pub trait Question: Sized {
    /// The longest one in bytes, with its end.
    const BYTES_MAX: usize;

    /// What these bytes ask, or what is answered to a question that is not served; `None`
    /// while they are not all of it. Its end is not among the first `seen` bytes.
    fn read(asked: &[u8], seen: usize) -> Option<Result<Self, Answer>>;

    /// What is answered to one that is too long.
    fn too_long() -> Answer;
}

/// What a client gets.
#[derive(Debug)]
pub struct Answer {
    header: Vec<u8>,
    body: Arc<Vec<u8>>,
    /// How much of both it has got.
    written: usize,
}

impl Answer {
    /// These bytes, and then those that others may get as well.
    pub fn new(header: Vec<u8>, body: Arc<Vec<u8>>) -> Self {
        Self {
            header,
            body,
            written: 0,
        }
    }

    fn left(&self) -> &[u8] {
        let of_body = self.written.saturating_sub(self.header.len());
        match self.header.get(self.written..) {
            Some(left) if !left.is_empty() => left,
            _ => self.body.get(of_body..).unwrap_or_default(),
        }
    }
}

/// Somebody who asks.
#[derive(Debug)]
pub struct Client<S, Q> {
    stream: S,
    stage: Stage<Q>,
    /// When it has to be further.
    pub until: Instant,
}

#[derive(Debug)]
enum Stage<Q> {
    /// It is asking.
    Asking(Vec<u8>),
    /// It has asked, and waits.
    Waiting(Q),
    /// It is being answered.
    Answered(Answer),
    /// It has everything, or is not worth more.
    Done,
}

impl<S: Read + Write + AsFd, Q: Question> Client<S, Q> {
    /// Somebody who has just come, on a stream that does not block.
    pub fn new(stream: S, now: Instant) -> Self {
        Self {
            stream,
            stage: Stage::Asking(Vec::new()),
            until: now + PATIENCE,
        }
    }

    /// What it has asked and was not answered yet.
    pub fn waits_for(&self) -> Option<&Q> {
        match &self.stage {
            Stage::Waiting(question) => Some(question),
            _ => None,
        }
    }

    /// Whether nothing is left to be done for it.
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// What to poll for; `None` while it waits for us: its end would wake us
    /// again and again.
    pub fn wants(&self) -> Option<PollFd<'_>> {
        let flags = match self.stage {
            Stage::Asking(_) => PollFlags::POLLIN,
            Stage::Answered(_) => PollFlags::POLLOUT,
            Stage::Waiting(_) | Stage::Done => return None,
        };
        Some(PollFd::new(self.stream.as_fd(), flags))
    }

    /// Reads and writes what is possible at once.
    pub fn go_on(&mut self, now: Instant) {
        if matches!(self.stage, Stage::Asking(_)) {
            self.read(now);
        }
        if matches!(self.stage, Stage::Answered(_)) {
            self.write();
        }
    }

    /// Answers it.
    pub fn answer(&mut self, answer: Answer, now: Instant) {
        self.until = now + PATIENCE;
        self.stage = Stage::Answered(answer);
        self.write();
    }

    /// Its connection, for something else than one answer.
    pub fn into_stream(self) -> S {
        self.stream
    }

    fn read(&mut self, now: Instant) {
        let Stage::Asking(asked) = &mut self.stage else {
            return;
        };
        let mut buffer = [0; READ_MAX];
        let room = Q::BYTES_MAX.saturating_sub(asked.len()).min(READ_MAX);
        let part = buffer.get_mut(..room).unwrap_or_default();
        let length = match self.stream.read(part) {
            Err(error) if is_passing(&error) => return,
            // At the end without a question there is nobody to answer.
            Ok(0) | Err(_) => return self.stage = Stage::Done,
            Ok(length) => length,
        };
        let seen = asked.len();
        asked.extend_from_slice(part.get(..length).unwrap_or_default());
        match Q::read(asked, seen) {
            None if asked.len() < Q::BYTES_MAX => {}
            None => self.answer(Q::too_long(), now),
            Some(Ok(question)) => self.stage = Stage::Waiting(question),
            Some(Err(refusal)) => self.answer(refusal, now),
        }
    }

    fn write(&mut self) {
        let Stage::Answered(answer) = &mut self.stage else {
            return;
        };
        loop {
            let left = answer.left();
            if left.is_empty() {
                return self.stage = Stage::Done;
            }
            match self.stream.write(left) {
                Ok(length) => answer.written = answer.written.saturating_add(length),
                Err(error) if is_passing(&error) => return,
                Err(_) => return self.stage = Stage::Done,
            }
        }
    }
}

impl<S: AsFd, Q> AsFd for Client<S, Q> {
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

/// Those whom a thread serves. Others wait meanwhile in the kernel's queue.
#[derive(Debug)]
pub struct Clients<S, Q> {
    all: Vec<Client<S, Q>>,
    places: usize,
    /// Nobody is taken on before.
    paused_until: Option<Instant>,
}

impl<S: Read + Write + AsFd, Q: Question> Clients<S, Q> {
    /// Nobody yet; so many may be served at the same time.
    pub fn new(places: usize) -> Self {
        Self {
            all: Vec::new(),
            places,
            paused_until: None,
        }
    }

    /// Whether somebody could be taken on.
    pub fn has_place(&self) -> bool {
        self.all.len() < self.places && self.paused_until.is_none()
    }

    /// Takes on those whom `accept` has, on streams that do not block.
    pub fn take_on(&mut self, now: Instant, accept: impl Fn() -> io::Result<S>) {
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
        }
        while self.has_place() {
            match accept() {
                Ok(stream) => self.all.push(Client::new(stream, now)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // It has gone already.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // No descriptors, say: asking at once again would burn the processor.
                Err(_) => self.paused_until = Some(now + RETRY),
            }
        }
    }

    /// Reads and writes what is possible at once.
    pub fn go_on(&mut self, now: Instant) {
        for client in &mut self.all {
            client.go_on(now);
        }
    }

    /// Whether somebody waits for an answer.
    pub fn is_waiting(&self) -> bool {
        self.all.iter().any(|client| client.waits_for().is_some())
    }

    /// Answers all that wait.
    pub fn answer(&mut self, now: Instant, mut answer: impl FnMut(&Q) -> Answer) {
        for client in &mut self.all {
            if let Some(answer) = client.waits_for().map(&mut answer) {
                client.answer(answer, now);
            }
        }
    }

    /// Gives away those who wait for something that is `wanted`.
    pub fn take(&mut self, wanted: impl Fn(&Q) -> bool) -> Vec<Client<S, Q>> {
        let is_wanted = |client: &mut Client<S, Q>| client.waits_for().is_some_and(&wanted);
        self.all.extract_if(.., is_wanted).collect()
    }

    /// Takes back one that was given away.
    pub fn put_back(&mut self, client: Client<S, Q>) {
        self.all.push(client);
    }

    /// Drops those for whom nothing is left to be done. One that is too late as well,
    /// unless somebody has just been waited for: what came meanwhile is read first.
    pub fn drop_done(&mut self, now: Instant, has_waited: bool) {
        self.all.retain(|client| {
            let is_late = client.until <= now && !has_waited;
            !is_late && !client.is_done()
        });
    }

    /// What to poll for, besides the socket while there is a place.
    pub fn poll_fds(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.all.iter().filter_map(Client::wants)
    }

    /// When somebody's time is over, or somebody can be taken on again.
    pub fn deadline(&self) -> Option<Instant> {
        let clients = self.all.iter().map(|client| client.until);
        clients.chain(self.paused_until).min()
    }
}

/// Waits until one of these is ready, or for this moment. May end earlier: everything is
/// to be looked at anyway.
pub fn wait(fds: &mut [PollFd<'_>], until: Option<Instant>) {
    let now = now();
    let timeout = until.map_or(PollTimeout::NONE, |at| {
        let ms = at.since(now).as_us().div_ceil(1000);
        PollTimeout::from(u16::try_from(ms).unwrap_or(u16::MAX))
    });
    // Interrupted is as good as woken.
    let _ = poll(fds, timeout);
}
