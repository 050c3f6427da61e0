//! The files in which the daemon shows what it knows: `keepalived.data`,
//! `keepalived.stats`, `keepalived.json`, `keepalived_parent.data`
//! (specification E.3, E.4, E.8 to E.10).
//!
//! Decides where they are, when they are written and how. What is in them is
//! decided in the files beside this one.
//!
//! A file is complete when it appears, and nobody can make us write elsewhere:
//! its text goes to a new file in the same directory (`O_EXCL`, `O_NOFOLLOW`,
//! mode 0600 unless `umask` allows more), which is renamed while it is still open, looked at once more,
//! and then closed. A reader that polls sees the old file or the new one. For
//! those that use inotify both events carry the final name: `MOVED_TO` comes
//! with the rename, `CLOSE_WRITE` with the close. Closing first would give
//! `CLOSE_WRITE` the temporary name, and programs that wait for it would wait
//! for ever; renaming the empty file first, as C does up to 2.4.3, shows half
//! a file.
//!
//! The worker writes on a thread of its own: making the texts asks the user
//! database, and a disk may be slow. The reactor only takes the view.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};

use serde::{Deserialize, Serialize};

use super::bus::Receipt;
use super::places::with_instance;
use super::process;
use crate::config::model::{Config, Globals};
use crate::ids::IfIndex;
use crate::system::clock;
use crate::system::signals::Signal;
use crate::time::Interval;
use crate::vrrp::action::Carrier;
use crate::vrrp::snapshot::{InstanceSnapshot, Snapshot};
use crate::vrrp::state_machine::State;
use crate::wire::advert::Family;

mod data;
mod globals;
mod json;
mod page;
mod stats;
#[cfg(test)]
mod tests;

pub use json::state_number;
use page::WallClock;

/// How many requests may wait for a slow disk. More of them would only write
/// the same files again.
const REQUESTS_MAX: usize = 8;

/// How many names are tried for a temporary file.
const NAMES_MAX: usize = 16;

const DATA: &str = "keepalived.data";
const PARENT_DATA: &str = "keepalived_parent.data";
const STATISTICS: &str = "keepalived.stats";
const JSON: &str = "keepalived.json";

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StateFile {
    /// `keepalived.data`
    Data,
    /// `keepalived.stats`
    Statistics,
    /// `keepalived.stats`; the counters are zero afterwards.
    StatisticsAndClear,
    /// `keepalived.json`
    Json,
}

impl StateFile {
    /// What a signal asks for (specification E.4).
    pub const fn of(signal: Signal) -> Option<Self> {
        match signal {
            Signal::Data => Some(Self::Data),
            Signal::Statistics => Some(Self::Statistics),
            Signal::ClearStatistics => Some(Self::StatisticsAndClear),
            Signal::Json => Some(Self::Json),
            Signal::Stop | Signal::Interrupt | Signal::Reload | Signal::Child => None,
        }
    }

    /// The name of the file, if nobody says otherwise.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Data => DATA,
            Self::Statistics | Self::StatisticsAndClear => STATISTICS,
            Self::Json => JSON,
        }
    }

    /// What is said in the log (specification E.4); nothing for JSON.
    const fn log_text(self) -> Option<&'static str> {
        match self {
            Self::Data => Some("Printing VRRP data"),
            Self::Statistics => Some("Printing VRRP stats"),
            Self::StatisticsAndClear => Some("Printing and clearing VRRP stats"),
            Self::Json => None,
        }
    }
}

/// What is shown besides the state of the engine and the configuration.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Where the files are.
    pub directory: PathBuf,
    /// `-s` or `net_namespace`
    pub namespace: Option<String>,
    /// `instance`
    pub instance: Option<String>,
    /// The name of this host.
    pub host_name: String,
    /// `-u`: the file mode creation mask, which otherwise the configuration says.
    pub umask: Option<u32>,
}

impl Surroundings {
    /// As they are now. The directory is `TMPDIR` if that names one from the
    /// root, else `/tmp`.
    pub fn now(namespace: Option<String>, instance: Option<String>, umask: Option<u32>) -> Self {
        let named = std::env::var_os("TMPDIR").map(PathBuf::from);
        let named = named.filter(|path| path.is_absolute() && path.is_dir());
        Self {
            directory: named.unwrap_or_else(|| PathBuf::from("/tmp")),
            namespace,
            instance,
            host_name: process::host_name(),
            umask,
        }
    }

    /// Where a file is that is called `name` if nobody says otherwise.
    /// The directories in which files are made that show the state.
    pub fn directories(&self, globals: &Globals) -> Vec<PathBuf> {
        let places = [DATA, STATISTICS, JSON].map(|name| self.place(name, globals));
        let directories = places.iter().filter_map(|place| place.parent());
        directories.map(Path::to_owned).collect()
    }

    fn place(&self, name: &str, globals: &Globals) -> PathBuf {
        let places = &globals.places;
        let named = match name {
            DATA => places.state_dump_file.as_deref(),
            STATISTICS => places.statistics_dump_file.as_deref(),
            JSON => places.json_dump_file.as_deref(),
            _ => None,
        };
        // A name that ends with a slash is that of a directory.
        let path = match named {
            None => self.directory.join(name),
            Some(path) if path.ends_with('/') => self.directory.join(path).join(name),
            Some(path) => self.directory.join(path),
        };
        let is_data = name == DATA || name == PARENT_DATA;
        match path.file_name().and_then(|name| name.to_str()) {
            // C knows of no instance in the names of the other two.
            Some(last) if is_data && places.data_use_instance => {
                let (namespace, instance) = (self.namespace.as_deref(), self.instance.as_deref());
                path.with_file_name(with_instance(last, namespace, instance))
            }
            _ => path,
        }
    }
}

/// Everything of a running worker that the files show.
#[derive(Debug)]
pub struct View {
    snapshot: Snapshot,
    wall: WallClock,
    /// The descriptor that receives on each interface.
    receivers: BTreeMap<(IfIndex, Family, Carrier), i32>,
    /// The descriptor that sends.
    sender: i32,
    /// Every address of the configuration: not an interface's own.
    vips: BTreeSet<IpAddr>,
}

impl View {
    /// A view of `snapshot`, which was taken just now.
    pub fn new(
        snapshot: Snapshot,
        receivers: BTreeMap<(IfIndex, Family, Carrier), i32>,
        sender: i32,
    ) -> Self {
        let wall = WallClock {
            at: clock::now(),
            epoch_us: clock::epoch_us(),
        };
        let instances = snapshot.config.instances.iter();
        let vips = instances
            .flat_map(|it| it.all_addresses())
            .map(|vip| vip.address)
            .collect();
        Self {
            snapshot,
            wall,
            receivers,
            sender,
            vips,
        }
    }

    /// The text of `keepalived.data`; before the start, that of `--dump-conf`.
    pub fn data(&self, around: &Surroundings) -> String {
        data::text(self, around)
    }

    /// The text of a file; `None` if there is nothing to show.
    fn text(&self, file: StateFile, around: &Surroundings) -> Option<String> {
        match file {
            StateFile::Data => Some(self.data(around)),
            StateFile::Statistics | StateFile::StatisticsAndClear => {
                Some(stats::text(&self.snapshot))
            }
            StateFile::Json => {
                let version = self.snapshot.config.globals.json_version;
                json::text(&self.snapshot, &self.wall, version)
            }
        }
    }
}

/// The state that the files show: an instance that has begun and waits for a
/// script counts as FAULT, as in C.
fn dump_state(snapshot: &Snapshot, it: &InstanceSnapshot) -> State {
    match it.state {
        State::Init if snapshot.started => State::Fault,
        state => state,
    }
}

/// The way to the thread that writes. It ends when this is dropped, after what
/// waits is written.
#[derive(Debug)]
pub struct Writer {
    queue: SyncSender<(StateFile, View, Option<Receipt>)>,
    ended: Receiver<()>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// There are too many threads.
    pub fn start(around: Surroundings) -> io::Result<Self> {
        let (queue, requests) = mpsc::sync_channel(REQUESTS_MAX);
        let requests: Receiver<(StateFile, View, Option<Receipt>)> = requests;
        let (end, ended) = mpsc::channel();
        std::thread::Builder::new()
            .name("state".to_owned())
            .spawn(move || {
                for (file, view, receipt) in requests {
                    let is_written = write(file, &view, &around);
                    if let Some(receipt) = receipt.filter(|_| is_written) {
                        receipt.done();
                    }
                }
                // Nobody may be waiting.
                let _ = end.send(());
            })?;
        Ok(Self { queue, ended })
    }

    /// Ends the thread when what waits is written, or after `limit`: a file
    /// that is half written would stay behind under its temporary name.
    pub fn finish(self, limit: Interval) {
        drop(self.queue);
        let _ = self.ended.recv_timeout(limit.into());
    }

    /// Asks for a file; who asks over D-Bus has a receipt, and it is told there once the
    /// file is written. Returns whether it will be written: not if too many requests
    /// wait already.
    pub fn ask(&self, file: StateFile, view: View, receipt: Option<Receipt>) -> bool {
        match (file.log_text(), &receipt) {
            (Some(text), Some(_)) => tracing::info!("{text} on DBus request"),
            (Some(text), None) => {
                tracing::info!("{text} for process({}) on signal", process::own_id());
            }
            (None, _) => {}
        }
        let accepted = self.queue.try_send((file, view, receipt)).is_ok();
        if !accepted {
            tracing::error!("{} is not written, as others wait", file.name());
        }
        accepted
    }
}

/// Whether nothing went wrong.
fn write(file: StateFile, view: &View, around: &Surroundings) -> bool {
    let Some(text) = view.text(file, around) else {
        return true;
    };
    report(file.name(), &text, &view.snapshot.config.globals, around)
}

/// Writes `keepalived_parent.data`.
pub fn write_parent_data(config: &Config, around: &Surroundings) {
    tracing::info!(
        "Printing parent data for process({}) on signal",
        process::own_id()
    );
    let text = data::parent_text(config, around);
    report(PARENT_DATA, &text, &config.globals, around);
}

fn report(name: &str, text: &str, globals: &Globals, around: &Surroundings) -> bool {
    let path = around.place(name, globals);
    let mode = 0o666 & !process::mask(globals, around.umask);
    let written = write_file(&path, text, mode);
    if let Err(error) = &written {
        tracing::error!("Unable to write {}: {error}", path.display());
    }
    written.is_ok()
}

/// Writes a file as the head of this module says.
fn write_file(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let (temporary, mut file) = new_file(directory, &name.to_string_lossy(), mode)?;
    let done = file
        .write_all(text.as_bytes())
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = done {
        // Not there any more: then nothing is left behind either.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    // In a directory of somebody else the name could have been given to another
    // file meanwhile.
    let (there, ours) = (fs::symlink_metadata(path)?, file.metadata()?);
    if (there.dev(), there.ino()) != (ours.dev(), ours.ino()) || there.uid() != ours.uid() {
        return Err(io::Error::other("somebody else has put a file there"));
    }
    // Closing it is what some readers wait for.
    drop(file);
    Ok(())
}

fn new_file(directory: &Path, name: &str, mode: u32) -> io::Result<(PathBuf, File)> {
    let mut refused = io::Error::from(io::ErrorKind::AlreadyExists);
    for _ in 0..NAMES_MAX {
        // Each of these states begins at random.
        let unguessable = RandomState::new().hash_one(name);
        let path = directory.join(format!(".{name}.{unguessable:016x}"));
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(&path);
        match opened {
            Ok(file) => {
                // Whatever the mask says, its owner can read it.
                file.set_permissions(fs::Permissions::from_mode(mode | 0o600))?;
                return Ok((path, file));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => refused = error,
            Err(error) => return Err(error),
        }
    }
    Err(refused)
}
