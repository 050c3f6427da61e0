//! Who may give orders, and for how long somebody may hold a place.
//!
//! Decides that only root and the daemon's own user are served, at most
//! [`CLIENTS_MAX`] at the same time; others wait in the kernel's queue. Nothing here
//! ever waits: the supervisor calls it in each of its turns.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::{SockFlag, accept4, getsockopt, sockopt};
use nix::unistd::geteuid;

use serde::Serialize;

use super::Request;
use crate::daemon::status::client::{self, Client};
use crate::daemon::status::compose::refusal;
use crate::daemon::status::socket::StatusSocket;
use crate::time::Instant;

/// How many clients are served at the same time.
pub const CLIENTS_MAX: usize = 8;

/// Only the owner may connect.
const MODE: u32 = 0o600;

/// The socket and those who have come.
#[derive(Debug)]
pub struct Desk {
    /// The daemon is as good without it: there are signals.
    socket: Option<StatusSocket>,
    visitors: Vec<Visitor>,
    next_number: u64,
}

/// Something that is newly asked.
#[derive(Debug)]
pub struct Question {
    /// The number to answer to.
    pub number: u64,
    /// What is asked.
    pub request: Request,
    /// Who asks, for the log.
    pub by: String,
}

#[derive(Debug)]
struct Visitor {
    number: u64,
    client: Client<Request>,
    /// The user and the process, as the kernel says.
    by: String,
    /// Its request was handed out; only the answer is missing.
    is_heard: bool,
}

impl Desk {
    /// Makes the socket; why there is none is said in the log.
    pub fn new(path: &Path) -> Self {
        let socket = StatusSocket::bind_for(path, MODE);
        Self {
            socket: socket
                .map_err(|error| {
                    let path = path.display();
                    tracing::error!("Unable to make the control socket {path}: {error}");
                })
                .ok(),
            visitors: Vec::new(),
            next_number: 0,
        }
    }

    /// What to poll for.
    pub fn poll_fds(&self) -> impl Iterator<Item = PollFd<'_>> {
        let has_place = self.visitors.len() < CLIENTS_MAX;
        let socket = self.socket.as_ref().filter(|_| has_place);
        let socket = socket.map(|it| PollFd::new(it.as_fd(), PollFlags::POLLIN));
        let wanted = self.visitors.iter().filter_map(|it| it.client.wants());
        socket.into_iter().chain(wanted)
    }

    /// When somebody's time is over. One who waits for an answer has time.
    pub fn deadline(&self) -> Option<Instant> {
        let hurried = self.visitors.iter().filter(|it| !it.is_heard);
        hurried.map(|it| it.client.until).min()
    }

    /// Reads and writes what is possible at once. Returns what is newly asked.
    pub fn turn(&mut self, now: Instant) -> Vec<Question> {
        self.take_on(now);
        let mut asked = Vec::new();
        for visitor in &mut self.visitors {
            visitor.client.go_on(now);
            if let Some(request) = visitor.client.waits_for()
                && !visitor.is_heard
            {
                asked.push(Question {
                    number: visitor.number,
                    request: request.clone(),
                    by: visitor.by.clone(),
                });
                visitor.is_heard = true;
            }
        }
        self.visitors.retain(|it| {
            let is_late = it.client.until <= now && !it.is_heard;
            !it.client.is_done() && !is_late
        });
        asked
    }

    /// Answers the client with this number, if it is still there.
    pub fn answer(&mut self, number: u64, answer: &impl Serialize, now: Instant) {
        let mut visitors = self.visitors.iter_mut();
        if let Some(visitor) = visitors.find(|it| it.number == number) {
            visitor.client.answer(client::answer(answer), now);
            visitor.is_heard = false;
        }
    }

    /// What a child closes. A connection that it kept would never end.
    pub fn raw_fds(&self) -> impl Iterator<Item = RawFd> {
        let socket = self.socket.as_ref().map(AsRawFd::as_raw_fd);
        let clients = self.visitors.iter().map(|it| it.client.as_fd().as_raw_fd());
        socket.into_iter().chain(clients)
    }

    /// Takes the socket away.
    pub fn remove(self) {
        if let Some(socket) = self.socket {
            socket.remove();
        }
    }

    fn take_on(&mut self, now: Instant) {
        while self.visitors.len() < CLIENTS_MAX {
            let Some(socket) = &self.socket else {
                return;
            };
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let Ok(descriptor) = accept4(socket.as_raw_fd(), flags) else {
                return;
            };
            // SAFETY: the kernel has just given us this descriptor; nobody else knows of it.
            let stream = unsafe { UnixStream::from_raw_fd(descriptor) };
            let who = getsockopt(&stream, sockopt::PeerCredentials).ok();
            let is_allowed = who.is_some_and(|who| may_order(who.uid()));
            let by = who.map_or_else(String::new, |who| {
                format!("uid {}, process {}", who.uid(), who.pid())
            });
            let mut client = Client::new(stream, now);
            if !is_allowed {
                let text = "only root may do that".to_owned();
                client.answer(client::answer(&refusal("not-allowed", text)), now);
            }
            self.visitors.push(Visitor {
                number: self.next_number,
                client,
                by,
                is_heard: false,
            });
            self.next_number = self.next_number.wrapping_add(1);
        }
    }
}

/// The mode of the socket says the same; it could have been changed.
fn may_order(user: u32) -> bool {
    user == 0 || user == geteuid().as_raw()
}
