//! What is known of reloads that are asked for or under way, and the files that go
//! with them: `reload_file` and the log of `reload_check_config`.
//!
//! Decides how long a file that is being written is waited for. Does not decide what
//! a reload does; see `reload.rs`. Source: specification B.3.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::fd::RawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::config::Loaded;
use crate::config::model::Config;
use crate::daemon::Settings;
use crate::daemon::control::{self, Answer, desk::Desk};
use crate::daemon::places::runtime_directory;
use crate::time::{Instant, Interval};

use super::planned::Planned;

/// How long a file that is being written is waited for.
const WRITER_LIMIT: Interval = Interval::from_secs(5);

/// How long it is left alone before it is read again.
const WRITER_PAUSE: Interval = Interval::from_ms(50);

/// The name of the marker if none is given.
const MARKER_NAME: &str = "keepalived.reload";

/// Everything about reloads but the texts.
pub(super) struct Reloads {
    /// One was asked for and has not begun.
    pub(super) is_asked: bool,
    /// The present one waits for a writer.
    pub(super) put_off: Option<PutOff>,
    /// When the worker has to have answered the present one.
    pub(super) answer_by: Option<Instant>,
    /// Clients who wait for the next one.
    pub(super) waiting: Vec<u64>,
    /// Clients who wait for the present one.
    pub(super) served: Vec<u64>,
    /// What they are told, if there are any.
    pub(super) answer: Answer,
    /// The mistakes for which the present one is refused, a line each.
    pub(super) mistakes: Vec<String>,
    pub(super) marker: Marker,
    pub(super) planned: Planned,
    pub(super) desk: Desk,
}

/// A reload waits for somebody who is writing a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct PutOff {
    /// When the files are read again.
    pub(super) next: Instant,
    give_up: Instant,
}

impl Reloads {
    pub(super) fn new(config: &Config, settings: &Settings) -> Self {
        let mut planned = Planned::default();
        planned.follow(&config.globals.reload);
        // What a daemon left that died while it reloaded.
        let mut marker = Marker(marker_path(config, settings));
        marker.remove();
        Self {
            is_asked: false,
            put_off: None,
            answer_by: None,
            waiting: Vec::new(),
            served: Vec::new(),
            answer: Answer::default(),
            mistakes: Vec::new(),
            marker,
            planned,
            desk: Desk::new(&control::beside(&settings.pid_file)),
        }
    }

    /// When something is due. While the worker works on a reload, others wait.
    pub(super) fn deadline(&self, now: Instant, is_under_way: bool) -> Option<Instant> {
        let next = self.put_off.map(|it| it.next);
        let answer_by = self.answer_by.filter(|_| is_under_way);
        let planned = self.planned.deadline(now);
        [next, answer_by, planned, self.desk.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Waits for the one who is writing `path`; `false` once that took too long.
    pub(super) fn put_off(&mut self, path: &Path, now: Instant) -> bool {
        let give_up = match self.put_off {
            Some(PutOff { give_up, .. }) => give_up,
            None => {
                let path = path.display();
                tracing::info!("Reload waits: {path} is being written");
                now + WRITER_LIMIT
            }
        };
        let next = now + WRITER_PAUSE;
        self.put_off = Some(PutOff { next, give_up });
        now < give_up
    }

    /// Tells the clients of the present reload how it ended.
    pub(super) fn answer_all(&mut self, refused: Option<&str>, now: Instant) {
        let mut answer = std::mem::take(&mut self.answer);
        answer.version = control::VERSION;
        answer.accepted = refused.is_none();
        answer.reason = refused.map(str::to_owned);
        if refused.is_some() {
            answer.plan.clear();
        }
        for client in std::mem::take(&mut self.served) {
            self.desk.answer(client, &answer, now);
        }
    }

    /// No reload follows any more.
    pub(super) fn give_up(&mut self, why: &str, now: Instant) {
        self.marker.remove();
        self.planned = Planned::default();
        (self.put_off, self.answer_by) = (None, None);
        self.served.append(&mut self.waiting);
        self.answer_all(Some(why), now);
    }

    /// What a child closes.
    pub(super) fn raw_fds(&self) -> impl Iterator<Item = RawFd> {
        self.desk.raw_fds().chain(self.planned.as_raw_fd())
    }

    /// The daemon ends.
    pub(super) fn end(mut self) {
        self.marker.remove();
        self.desk.remove();
    }
}

/// A file that exists while a configuration is read.
#[derive(Debug)]
pub(super) struct Marker(Option<PathBuf>);

impl Marker {
    /// Makes it, or empties it.
    pub(super) fn put(&mut self, path: Option<PathBuf>) {
        self.remove();
        let Some(path) = path else {
            return;
        };
        let made = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            // Neither another user's choice of a file nor a pipe.
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(&path);
        if let Err(error) = made {
            tracing::error!("Unable to create reload file {}: {error}", path.display());
            return;
        }
        self.0 = Some(path);
    }

    /// Removes it; that it is gone already is as good.
    pub(super) fn remove(&mut self) {
        if let Some(path) = self.0.take()
            && let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::error!("Unable to remove reload file {}: {error}", path.display());
        }
    }
}

/// Where `reload_file` wants the marker.
pub(super) fn marker_path(config: &Config, settings: &Settings) -> Option<PathBuf> {
    let path = config.globals.reload.marker_file.as_ref()?;
    if path.is_empty() {
        Some(runtime_directory(settings.namespace.as_deref(), false).join(MARKER_NAME))
    } else {
        Some(PathBuf::from(path))
    }
}

/// Writes what is wrong with a configuration to the file of `reload_check_config`.
pub(super) fn write_check_log(path: &str, loaded: &Loaded) {
    let lines = loaded.diagnostics.iter();
    let text: String = lines
        .map(|it| it.as_c_line(&loaded.sources) + "\n")
        .collect();
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => tracing::info!("New config failed validation, see {path} for details"),
        Err(error) => tracing::error!("Unable to write the config check log {path}: {error}"),
    }
}
