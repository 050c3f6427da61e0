//! The thread that answers on the status socket.
//!
//! Decides who is served and for how long. A client can hold a place among
//! [`CLIENTS_MAX`] for [`PATIENCE`] to ask and as long again to take the answer,
//! whatever it sends or leaves unread; others wait meanwhile in the kernel's
//! queue. Adverts never wait: the reactor only takes the view, at most once in
//! `BETWEEN_VIEWS`, and hands it over.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{SockFlag, accept4};
use serde::Serialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::compose::{answer, refusal, understood};
use super::document::Document;
use super::{Request, View};
use crate::system::clock::{epoch_us, now};
use crate::time::{Instant, Interval, WallClock};

/// How many clients are served at the same time.
pub const CLIENTS_MAX: usize = 16;

/// The longest request in bytes, with its end of line.
pub const REQUEST_MAX: usize = 4096;

/// How long a client may take to ask, and again to read.
pub const PATIENCE: Interval = Interval::from_secs(2);

/// The least time between two views: taking one costs the reactor a little for
/// each instance.
const BETWEEN_VIEWS: Interval = Interval::from_ms(100);

/// How long the thread waits for a view.
const VIEW_LIMIT: Interval = Interval::from_secs(5);

/// How long the thread waits after it could not take on a client.
const RETRY: Interval = Interval::from_ms(200);

/// Where a view is sent to.
pub type ViewWanted = SyncSender<Box<View>>;

/// Serves `listener`, a descriptor of a `StatusSocket`, on a thread of its own,
/// for as long as the process lives. Each value that comes out asks for a view;
/// none does if there is no socket.
///
/// # Errors
/// There are too many threads.
pub fn start(listener: Option<OwnedFd>) -> io::Result<UnboundedReceiver<ViewWanted>> {
    let (ask, wanted) = unbounded_channel();
    let Some(listener) = listener else {
        return Ok(wanted);
    };
    let server = Server {
        listener: UnixListener::from(listener),
        clients: Vec::new(),
        ask,
        last_view: None,
        paused_until: None,
    };
    std::thread::Builder::new()
        .name("status".to_owned())
        .spawn(move || server.run())?;
    Ok(wanted)
}

/// Answers everybody who is waiting at `listener` without having been asked.
/// For a supervisor without a worker; never waits.
pub fn answer_unasked(listener: BorrowedFd<'_>, document: impl Fn() -> Document) {
    for _ in 0..CLIENTS_MAX {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let Ok(client) = accept4(listener.as_raw_fd(), flags) else {
            return;
        };
        // SAFETY: the kernel has just given us this descriptor; nobody else knows of it.
        let mut client = unsafe { UnixStream::from_raw_fd(client) };
        // What does not fit into the kernel's buffer at once is not worth more.
        let _ = client.write(&line(&document()));
    }
}

/// The wall clock of now.
pub fn wall_clock() -> WallClock {
    WallClock::new(now(), epoch_us())
}

struct Server {
    listener: UnixListener,
    clients: Vec<Client>,
    ask: UnboundedSender<ViewWanted>,
    /// When the reactor was last asked.
    last_view: Option<Instant>,
    /// Nobody is taken on before.
    paused_until: Option<Instant>,
}

struct Client {
    stream: UnixStream,
    stage: Stage,
    /// When it has to be further.
    until: Instant,
}

enum Stage {
    /// It is asking.
    Asking(Vec<u8>),
    /// It has asked, and waits for a view.
    Waiting(Request),
    /// It is being answered: what is left, in reverse order of bytes written.
    Answered { text: Vec<u8>, written: usize },
    /// It has everything, or is not worth more.
    Done,
}

impl Server {
    fn run(mut self) {
        loop {
            self.wait();
            let now = now();
            if self.paused_until.is_some_and(|until| until <= now) {
                self.paused_until = None;
            }
            self.take_on(now);
            for client in &mut self.clients {
                client.go_on(now);
            }
            let looks = self.is_view_due(now);
            if looks && !self.answer_waiting() {
                // The reactor is gone, and so will the process be.
                return;
            }
            // After a look, what came meanwhile is read before anybody is too late.
            self.clients.retain(|client| {
                let is_late = client.until <= now && !looks;
                !is_late && !matches!(client.stage, Stage::Done)
            });
        }
    }

    /// Until a client can go on, a new one comes, or somebody's time is over.
    fn wait(&self) {
        let mut fds = Vec::with_capacity(self.clients.len() + 1);
        for client in &self.clients {
            let flags = match client.stage {
                Stage::Asking(_) => PollFlags::POLLIN,
                Stage::Answered { .. } => PollFlags::POLLOUT,
                // Its end would wake us again and again.
                Stage::Waiting(_) | Stage::Done => continue,
            };
            fds.push(PollFd::new(client.stream.as_fd(), flags));
        }
        if self.has_place() {
            fds.push(PollFd::new(self.listener.as_fd(), PollFlags::POLLIN));
        }
        let now = now();
        let timeout = self.deadline().map_or(PollTimeout::NONE, |at| {
            let ms = at.since(now).as_us().div_ceil(1000);
            PollTimeout::from(u16::try_from(ms).unwrap_or(u16::MAX))
        });
        // Interrupted is as good as woken: everything is looked at anyway.
        let _ = poll(&mut fds, timeout);
    }

    fn has_place(&self) -> bool {
        self.clients.len() < CLIENTS_MAX && self.paused_until.is_none()
    }

    fn deadline(&self) -> Option<Instant> {
        let waits = self.clients.iter().any(Client::is_waiting);
        let view = self.last_view.filter(|_| waits);
        let view = view.map(|last| last + BETWEEN_VIEWS);
        let clients = self.clients.iter().map(|client| client.until);
        clients.chain(view).chain(self.paused_until).min()
    }

    fn take_on(&mut self, now: Instant) {
        while self.has_place() {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if stream.set_nonblocking(true).is_ok() {
                        self.clients.push(Client {
                            stream,
                            stage: Stage::Asking(Vec::new()),
                            until: now + PATIENCE,
                        });
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // It has gone already.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // No descriptors, say: asking at once again would burn the processor.
                Err(_) => self.paused_until = Some(now + RETRY),
            }
        }
    }

    fn is_view_due(&self, now: Instant) -> bool {
        self.clients.iter().any(Client::is_waiting)
            && self
                .last_view
                .is_none_or(|last| now.since(last) >= BETWEEN_VIEWS)
    }

    /// Answers all that wait, from one view. Returns whether there still is
    /// somebody to ask.
    fn answer_waiting(&mut self) -> bool {
        let (reply, view): (ViewWanted, Receiver<_>) = sync_channel(1);
        if self.ask.send(reply).is_err() {
            return false;
        }
        let view = view.recv_timeout(VIEW_LIMIT.into()).ok();
        let now = now();
        self.last_view = Some(now);
        for client in &mut self.clients {
            let Stage::Waiting(request) = &client.stage else {
                continue;
            };
            let text = match &view {
                Some(view) => match answer(request, view) {
                    Ok(document) => line(&document),
                    Err(refusal) => line(&refusal),
                },
                None => line(&refusal(
                    "not-available",
                    "the VRRP process is too busy to answer".to_owned(),
                )),
            };
            client.answer(text, now);
        }
        true
    }
}

impl Client {
    fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting(_))
    }

    fn go_on(&mut self, now: Instant) {
        if matches!(self.stage, Stage::Asking(_)) {
            self.read(now);
        }
        if matches!(self.stage, Stage::Answered { .. }) {
            self.write();
        }
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
        let request: Result<Request, _> = request.map_err(|text| refusal("bad-request", text));
        match request.and_then(|request| understood(&request).map(|()| request)) {
            Ok(request) => self.stage = Stage::Waiting(request),
            Err(refusal) => self.answer(line(&refusal), now),
        }
    }

    fn answer(&mut self, text: Vec<u8>, now: Instant) {
        self.until = now + PATIENCE;
        self.stage = Stage::Answered { text, written: 0 };
        self.write();
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

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// On one line, with its end.
fn line(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    text
}
