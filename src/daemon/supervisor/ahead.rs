//! The worker reads a new configuration while the supervisor still judges it.
//!
//! Decides what it is given for that: the answers, as they are now, to all that the last
//! reading asked the file system for. Most likely the new reading asks for nothing else.
//! If it did, the worker gets the whole text afterwards; nothing depends on the guess.
//! Source: specification F.10.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::super::channel::ToWorker;
use super::super::key_files::Handed;
use super::super::process;
use super::{Phase, Supervisor, Text};
use crate::config::source::Sources;
use crate::system::files::DiskFiles;

/// What the worker reads at this moment.
pub(super) struct Ahead {
    answers: Sources,
    bytes: Vec<u8>,
}

impl Ahead {
    /// The bytes of `read`, if the worker reads the same.
    pub(super) fn bytes_if(self, read: &Sources) -> Option<Vec<u8>> {
        read.answers_as(&self.answers).then_some(self.bytes)
    }
}

impl Supervisor<'_> {
    /// Has the worker read what most likely will be read here. `None` if there is none,
    /// or it has more to do than it can.
    pub(super) fn read_ahead(&mut self) -> Option<Ahead> {
        let Phase::Working(worker) = &mut self.phase else {
            return None;
        };
        if worker.channel.is_waiting() {
            return None;
        }
        let answers = self.good.questions.ask(&DiskFiles);
        let bytes = answers.to_bytes();
        let file = process::memory_file(&bytes).ok()?;
        let sent = worker
            .channel
            .send(&ToWorker::ReadAhead, Some(file.as_fd()));
        sent.ok().map(|()| Ahead { answers, bytes })
    }

    /// What the worker reads is not gone over to.
    pub(super) fn forget_ahead(&mut self, ahead: Option<Ahead>) {
        if ahead.is_some() {
            self.tell(&ToWorker::ForgetAhead);
        }
    }
}

impl Text {
    /// How the worker is told to go over to it, which may have read it ahead.
    pub(super) fn order(&self, is_read: bool) -> io::Result<(ToWorker, Option<OwnedFd>)> {
        if !is_read {
            return Ok((ToWorker::Reload, Some(self.for_worker()?)));
        }
        let handed = Handed::of(&self.config).to_bytes();
        let secrets = match handed.is_empty() {
            true => None,
            false => Some(process::memory_file(&handed)?),
        };
        Ok((ToWorker::ReloadAsRead, secrets))
    }
}
