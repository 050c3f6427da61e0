//! The thread that counts tracked processes.
//!
//! Decides how a count is kept right: by what the kernel tells, after one look at
//! all processes; or, where it does not tell, by looking again and again. Source:
//! specification D.3.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::mpsc::Sender;

use crate::config::model::TrackedProcess;

use super::connector::{Connector, Happened};
use super::programs::{Pid, Program, all, needs_words};
use super::{Order, Orders, Report};

#[cfg(test)]
mod storm;

/// How often all processes are looked at where the kernel does not tell, in
/// milliseconds.
const LOOK_EVERY_MS: u16 = 1_000;

/// Events that are taken before the counts are told.
const EVENTS_PER_TURN: usize = 1_024;

/// A tracked process, and what was told of it.
struct Counted {
    process: Arc<TrackedProcess>,
    count: u32,
    told: Option<u32>,
}

/// The tracked processes that there are.
#[derive(Default)]
struct Census {
    wanted: Vec<Counted>,
    with_words: bool,
    /// The processes that match anything, and what they match by its place in
    /// `wanted`.
    matching: BTreeMap<Pid, Vec<usize>>,
}

/// Runs until there is nobody to tell anything.
pub(super) fn run(
    orders: &Orders<Arc<TrackedProcess>>,
    reports: &Sender<Report>,
    buffer_bytes: Option<u32>,
    connector: Option<Connector>,
) {
    let connector = connector.map_or_else(Connector::open, Ok);
    if let (Ok(connector), Some(bytes)) = (&connector, buffer_bytes) {
        connector.enlarge_buffer(bytes);
    }
    let connector = connector.inspect_err(|error| {
        tracing::warn!(
            "The kernel does not tell of processes here ({error}): looking at all of them \
             every second for track_process"
        );
    });
    if let Err(error) = count(orders, reports, connector.ok()) {
        tracing::error!("Unable to watch tracked processes any more: {error}");
    }
}

fn count(
    orders: &Orders<Arc<TrackedProcess>>,
    reports: &Sender<Report>,
    mut connector: Option<Connector>,
) -> io::Result<()> {
    let mut census = Census::default();
    loop {
        match orders.take() {
            Order::End => return Ok(()),
            Order::Nothing if connector.is_none() => census.take(),
            Order::Nothing => {}
            Order::Watch(wanted) => {
                census.want(wanted);
                census.take();
            }
        }
        let mut more = false;
        if let Some(open) = &connector {
            match census.follow(open) {
                Ok(left) => more = left,
                Err(error) => {
                    // Events were lost, at least.
                    if error.raw_os_error() != Some(libc::ENOBUFS) {
                        tracing::warn!(
                            "The kernel tells of processes no more ({error}): looking at all \
                             of them every second"
                        );
                        connector = None;
                    }
                    census.take();
                }
            }
        }
        if !census.tell(reports) {
            return Ok(());
        }
        if !more {
            wait(connector.as_ref(), orders)?;
        }
    }
}

fn wait(connector: Option<&Connector>, orders: &Orders<Arc<TrackedProcess>>) -> io::Result<()> {
    let bell = orders.bell();
    let mut all = vec![PollFd::new(bell.as_fd(), PollFlags::POLLIN)];
    let mut limit = PollTimeout::from(LOOK_EVERY_MS);
    if let Some(connector) = connector {
        all.push(PollFd::new(connector.as_fd(), PollFlags::POLLIN));
        limit = PollTimeout::NONE;
    }
    match poll(&mut all, limit) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

impl Census {
    fn want(&mut self, wanted: Vec<Arc<TrackedProcess>>) {
        self.with_words = wanted.iter().any(|process| needs_words(process));
        let counted = wanted.into_iter().map(|process| Counted {
            process,
            count: 0,
            told: None,
        });
        self.wanted = counted.collect();
    }

    /// Looks at all processes.
    fn take(&mut self) {
        self.matching.clear();
        self.wanted.iter_mut().for_each(|counted| counted.count = 0);
        for pid in all() {
            self.look(pid);
        }
    }

    /// Takes in what the kernel tells; returns whether more may be waiting.
    fn follow(&mut self, connector: &Connector) -> io::Result<bool> {
        for _ in 0..EVENTS_PER_TURN {
            match connector.next()? {
                None => return Ok(false),
                Some(Happened::Listening) => {}
                Some(Happened::Began { parent, child }) => {
                    // Still the same program.
                    if let Some(matches) = self.matching.get(&parent).cloned() {
                        self.replace(child, matches);
                    }
                }
                Some(Happened::Changed(pid)) => self.look(pid),
                Some(Happened::Ended(pid)) => self.replace(pid, Vec::new()),
            }
        }
        Ok(true)
    }

    fn look(&mut self, pid: Pid) {
        let program = Program::of(pid, self.with_words);
        let wanted = self.wanted.iter().enumerate();
        let matches = wanted.filter(|(_, it)| {
            let program = program.as_ref();
            program.is_some_and(|program| program.is(&it.process))
        });
        let matches = matches.map(|(index, _)| index).collect();
        self.replace(pid, matches);
    }

    /// What a process matches from now on.
    fn replace(&mut self, pid: Pid, matches: Vec<usize>) {
        for index in &matches {
            if let Some(counted) = self.wanted.get_mut(*index) {
                counted.count = counted.count.saturating_add(1);
            }
        }
        let before = match matches.is_empty() {
            true => self.matching.remove(&pid),
            false => self.matching.insert(pid, matches),
        };
        for index in before.into_iter().flatten() {
            if let Some(counted) = self.wanted.get_mut(index) {
                counted.count = counted.count.saturating_sub(1);
            }
        }
    }

    /// Tells of the counts that are new; `false` if nobody wants to know.
    fn tell(&mut self, reports: &Sender<Report>) -> bool {
        self.wanted.iter_mut().all(|counted| {
            let count = counted.count;
            if counted.told.replace(count) == Some(count) {
                return true;
            }
            let process = Arc::clone(&counted.process);
            let report = Report::Processes { process, count };
            reports.blocking_send(report).is_ok()
        })
    }
}
