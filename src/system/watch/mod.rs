//! Looks at tracked files and processes, and at links that are polled, each kind in a thread of its own, so
//! that no slow disk and no storm of processes is ever waited for elsewhere.
//!
//! Decides what is in a file and which processes match; what follows from that
//! is decided by the engine. What is told is told once; as long as nobody takes
//! it, the threads wait.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::sync::mpsc;

use crate::config::model::{Config, LinkbeatInterface, TrackedFile, TrackedProcess};

pub use connector::Connector;

mod connector;
mod directories;
mod files;
mod links;
mod number;
mod processes;
mod programs;

/// How many reports may wait to be taken.
const REPORTS_MAX: usize = 256;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The number in a file, for the first time or another than before.
    File {
        /// The file.
        file: Arc<TrackedFile>,
        /// The number.
        value: i32,
    },
    /// How many processes match, for the first time or another number than
    /// before.
    Processes {
        /// Which ones.
        process: Arc<TrackedProcess>,
        /// How many.
        count: u32,
    },
    /// Whether a link is up, for the first time or another answer than before.
    Link {
        /// The interface.
        interface: String,
        /// Up, or down.
        up: bool,
    },
}

/// The way to the threads. They end when this is dropped. A thread begins with
/// the first configuration that has something for it.
#[derive(Debug)]
pub struct Watcher {
    /// For the thread that counts processes.
    connector: Option<Connector>,
    reports: mpsc::Sender<Report>,
    files: Option<Arc<Orders<Arc<TrackedFile>>>>,
    processes: Option<Arc<Orders<Arc<TrackedProcess>>>>,
    links: Option<Arc<Orders<LinkbeatInterface>>>,
}

impl Watcher {
    /// Nothing is watched yet. The reports come out of the receiver.
    pub fn new() -> (Self, mpsc::Receiver<Report>) {
        let (reports, taken) = mpsc::channel(REPORTS_MAX);
        let watcher = Self {
            connector: None,
            reports,
            files: None,
            processes: None,
            links: None,
        };
        (watcher, taken)
    }

    /// What [`connector_for`] found, for the thread that counts processes.
    pub fn take_connector(&mut self, found: Option<Connector>) {
        self.connector = found;
    }

    /// Watches what this configuration tracks and polls, and tells of all of it once. With
    /// `initialise` files with `init_file` are written before.
    ///
    /// # Errors
    /// There are too many threads or descriptors.
    pub fn watch(&mut self, config: &Config, initialise: bool) -> io::Result<()> {
        let wanted = config.track_files.clone();
        match &self.files {
            Some(orders) => orders.give(wanted)?,
            None if wanted.is_empty() => {}
            None => {
                let orders = Orders::new(wanted)?;
                let (given, reports) = (Arc::clone(&orders), self.reports.clone());
                start("files", move || files::run(&given, &reports, initialise))?;
                self.files = Some(orders);
            }
        }
        let wanted = config.track_processes.clone();
        match &self.processes {
            Some(orders) => orders.give(wanted)?,
            None if wanted.is_empty() => {}
            None => {
                let orders = Orders::new(wanted)?;
                let (given, reports) = (Arc::clone(&orders), self.reports.clone());
                let bytes = config.globals.buffers.process_monitor.bytes;
                let connector = self.connector.take();
                start("processes", move || {
                    processes::run(&given, &reports, bytes, connector);
                })?;
                self.processes = Some(orders);
            }
        }
        self.poll_links(config.polled_interfaces())
    }
}

impl Watcher {
    fn poll_links(&mut self, wanted: Vec<LinkbeatInterface>) -> io::Result<()> {
        match &self.links {
            Some(orders) => orders.give(wanted)?,
            None if wanted.is_empty() => {}
            None => {
                let orders = Orders::new(wanted)?;
                let (given, reports) = (Arc::clone(&orders), self.reports.clone());
                start("links", move || links::run(&given, &reports))?;
                self.links = Some(orders);
            }
        }
        Ok(())
    }
}

/// What tells of processes, if this configuration counts some and the way to it leads
/// through another network namespace: later the right to go there may be missing.
pub fn connector_for(config: &Config) -> Option<Connector> {
    if config.track_processes.is_empty() || Connector::is_here() {
        return None;
    }
    // A thread of its own, because it stays in the other namespace.
    let thread = std::thread::Builder::new().spawn(Connector::open);
    thread.ok()?.join().ok()?.ok()
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // A thread that cannot be told finds that nobody takes its reports.
        let _ = self.files.as_ref().map(|orders| orders.end());
        let _ = self.processes.as_ref().map(|orders| orders.end());
        let _ = self.links.as_ref().map(|orders| orders.end());
    }
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(run).map(|_| ())
}

/// What a thread is told to watch.
#[derive(Debug)]
struct Orders<T> {
    next: Mutex<Order<T>>,
    bell: EventFd,
}

/// The last order that was not taken yet.
#[derive(Debug)]
enum Order<T> {
    Nothing,
    Watch(Vec<T>),
    End,
}

impl<T> Orders<T> {
    fn new(wanted: Vec<T>) -> io::Result<Arc<Self>> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let orders = Arc::new(Self {
            next: Mutex::new(Order::Nothing),
            bell: EventFd::from_flags(flags)?,
        });
        orders.give(wanted)?;
        Ok(orders)
    }

    fn give(&self, wanted: Vec<T>) -> io::Result<()> {
        self.put(Order::Watch(wanted))
    }

    fn end(&self) -> io::Result<()> {
        self.put(Order::End)
    }

    fn put(&self, order: Order<T>) -> io::Result<()> {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = order;
        self.bell.write(1)?;
        Ok(())
    }

    /// The order that was given since the last call.
    fn take(&self) -> Order<T> {
        // That it does not ring means that there is nothing new.
        let _ = self.bell.read();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut next, Order::Nothing)
    }

    /// Readable when there is something new.
    fn bell(&self) -> impl AsFd {
        &self.bell
    }
}

#[cfg(test)]
mod tests;
