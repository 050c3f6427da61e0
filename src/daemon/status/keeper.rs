//! The supervisor's part of the status socket.
//!
//! Decides what is answered while there is no worker, and keeps what a worker
//! cannot know. When that changes is decided in `supervisor/mod.rs`.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::compose::without_worker;
use super::server::{answer_unasked, wall_clock};
use super::socket::StatusSocket;
use super::{About, Reload};
use crate::config::Loaded;
use crate::config::diagnostic::{Diagnostic, Severity};
use crate::daemon::{Settings, process};
use crate::system::clock::now;

/// The socket, and what is known besides the state of VRRP.
#[derive(Debug)]
pub struct Keeper {
    /// The daemon is as good without it.
    socket: Option<StatusSocket>,
    about: About,
}

impl Keeper {
    /// Makes the socket, for a daemon that has just read its configuration; why there is none is said in the log.
    pub fn new(settings: &Settings) -> Self {
        let path = &settings.status_socket;
        let socket = StatusSocket::bind(path);
        Self {
            socket: socket
                .map_err(|error| {
                    let path = path.display();
                    tracing::error!("Unable to make the status socket {path}: {error}");
                })
                .ok(),
            about: About {
                process: process::own_id(),
                config_file: settings.config_file.display().to_string(),
                namespace: settings.namespace.clone(),
                started_us: now().as_us(),
                accepted_us: now().as_us(),
                replaced: 0,
                reload: None,
            },
        }
    }

    /// What a worker is told, at its start and after each change.
    pub fn about(&self) -> About {
        self.about.clone()
    }

    /// A descriptor for a worker.
    pub fn for_worker(&self) -> Option<OwnedFd> {
        self.socket.as_ref()?.for_worker().ok()
    }

    /// Notes that a worker died and is replaced.
    pub fn note_replacement(&mut self) {
        self.about.replaced = self.about.replaced.saturating_add(1);
    }

    /// Notes how a reload ended: the new configuration runs, or it does not
    /// because of `refused`, with all its `mistakes`.
    pub fn note_reload(&mut self, refused: Option<String>, mistakes: Vec<String>) {
        let at_us = now().as_us();
        if refused.is_none() {
            self.about.accepted_us = at_us;
        }
        self.about.reload = Some(Reload {
            at_us,
            refused,
            mistakes,
        });
    }

    /// Tells everybody who waits why there is no worker. Never waits.
    pub fn answer(&self, because: &str) {
        if let Some(socket) = &self.socket {
            answer_unasked(socket.as_fd(), || {
                without_worker(&self.about, now(), wall_clock(), because)
            });
        }
    }

    /// What to poll for reading, to know when somebody waits.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// What a child closes.
    pub fn as_raw_fd(&self) -> Option<RawFd> {
        self.socket.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Takes the socket away.
    pub fn remove(self) {
        if let Some(socket) = self.socket {
            socket.remove();
        }
    }
}

/// Whether a running daemon does not go over to a text with this finding, if it is
/// new. A part that cannot be read is one: it was there, and its instances with it.
pub fn is_mistake(finding: &Diagnostic) -> bool {
    finding.severity >= Severity::Error || finding.code == "include"
}

/// How many mistakes of a text are kept, and how many bytes of each.
const MISTAKES_MAX: usize = 20;
const MISTAKE_BYTES_MAX: usize = 500;

/// The new mistakes of a text that is refused, a line each as C logs them, in their
/// order; not more than fit into a message.
pub fn mistakes(loaded: &Loaded, known: &BTreeSet<String>) -> Vec<String> {
    let counts = |it: &&Diagnostic| match loaded.strict {
        true => it.severity >= Severity::Warning,
        false => is_mistake(it),
    };
    let found = loaded.diagnostics.iter().filter(counts);
    found
        .filter(|it| !known.contains(&it.message))
        .take(MISTAKES_MAX)
        .map(|it| {
            let line = it.as_c_line(&loaded.sources);
            let end = line.floor_char_boundary(MISTAKE_BYTES_MAX);
            line.get(..end).unwrap_or_default().to_owned()
        })
        .collect()
}

/// What a new text is refused for: the first of its gravest mistakes, without
/// those that are `known` and were accepted once.
pub fn refusal(loaded: &Loaded, known: &BTreeSet<String>) -> String {
    let wrong = loaded.diagnostics.iter();
    let gravest = wrong
        .filter(|it| it.severity >= Severity::Warning && !known.contains(&it.message))
        .rev()
        .max_by_key(|it| it.severity);
    gravest.map_or_else(
        || "the configuration is not usable".to_owned(),
        |it| it.as_c_line(&loaded.sources),
    )
}
