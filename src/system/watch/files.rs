//! The thread that reads tracked files.
//!
//! Decides when a file is read and what is told of it. Source: specification D.4.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::mpsc::Sender;

use crate::config::model::TrackedFile;

use super::directories::{Directories, News};
use super::number::{Number, number};
use super::{Order, Orders, Report};

/// How much of a file is read.
const TEXT_MAX: u64 = 127;

/// How often files are looked at whose changes nobody tells of, in milliseconds.
const LOOK_EVERY_MS: u16 = 1_000;

/// A file, and what was told of it.
struct Watched {
    file: Arc<TrackedFile>,
    told: Option<i32>,
    news: News,
    /// That its number is too large was told.
    complained: bool,
}

/// Runs until there is nobody to tell anything.
pub(super) fn run(orders: &Orders<Arc<TrackedFile>>, reports: &Sender<Report>, initialise: bool) {
    match watch(orders, reports, initialise) {
        Ok(()) => {}
        Err(error) => {
            tracing::error!("Unable to watch tracked files any more: {error}");
        }
    }
}

fn watch(
    orders: &Orders<Arc<TrackedFile>>,
    reports: &Sender<Report>,
    mut initialise: bool,
) -> io::Result<()> {
    let mut directories = Directories::new()?;
    let mut files: Vec<Watched> = Vec::new();
    loop {
        match orders.take() {
            Order::End => return Ok(()),
            Order::Nothing => {}
            Order::Watch(wanted) => {
                if std::mem::take(&mut initialise) {
                    wanted.iter().for_each(|file| write_first(file));
                }
                files = wanted.into_iter().map(Watched::new).collect();
                watch_all(&mut directories, &mut files);
                if !files.iter_mut().all(|file| file.look(reports)) {
                    return Ok(());
                }
            }
        }
        let happened = directories.happened()?;
        // Where nobody tells, a directory may be there now.
        let anew = happened.everything || is_sought(&files);
        if anew {
            watch_all(&mut directories, &mut files);
        }
        for (index, file) in files.iter_mut().enumerate() {
            let concerned = anew || happened.files.contains(&index);
            if concerned && !file.look(reports) {
                return Ok(());
            }
        }
        wait(&directories, orders, is_sought(&files))?;
    }
}

/// Whether the news of any file have to be looked for.
fn is_sought(files: &[Watched]) -> bool {
    files.iter().any(|file| file.news == News::Sought)
}

fn watch_all(directories: &mut Directories, files: &mut [Watched]) {
    let paths: Vec<&Path> = files.iter().map(|it| Path::new(&it.file.path)).collect();
    let news = directories.watch(&paths);
    for (file, news) in files.iter_mut().zip(news) {
        file.news = news;
    }
}

fn wait(
    directories: &Directories,
    orders: &Orders<Arc<TrackedFile>>,
    sought: bool,
) -> io::Result<()> {
    let bell = orders.bell();
    let mut both = [
        PollFd::new(directories.as_fd(), PollFlags::POLLIN),
        PollFd::new(bell.as_fd(), PollFlags::POLLIN),
    ];
    let limit = match sought {
        true => PollTimeout::from(LOOK_EVERY_MS),
        false => PollTimeout::NONE,
    };
    match poll(&mut both, limit) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

impl Watched {
    fn new(file: Arc<TrackedFile>) -> Self {
        Self {
            file,
            told: None,
            news: News::Told,
            complained: false,
        }
    }

    /// Reads the file and tells of its number if that is new; `false` if nobody
    /// wants to know.
    fn look(&mut self, reports: &Sender<Report>) -> bool {
        let path = &self.file.path;
        let value = match number(&text_of(Path::new(path)).unwrap_or_default()) {
            Number::Value(value) => {
                self.complained = false;
                value
            }
            Number::TooLarge(value) => {
                if !std::mem::replace(&mut self.complained, true) {
                    tracing::info!("Invalid number {value} read from {path} - ignoring");
                }
                self.told.unwrap_or_default()
            }
        };
        if self.told == Some(value) {
            return true;
        }
        self.told = Some(value);
        let file = Arc::clone(&self.file);
        reports.blocking_send(Report::File { file, value }).is_ok()
    }
}

/// The beginning of a file. One that would have to be waited for has none.
fn text_of(path: &Path) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC)
        .open(path)?;
    let mut text = Vec::new();
    file.take(TEXT_MAX).read_to_end(&mut text)?;
    Ok(text)
}

/// `init_file`: the file is made if it is not there, or written anew.
fn write_first(file: &TrackedFile) {
    let Some(value) = file.initial_value else {
        return;
    };
    let mut options = OpenOptions::new();
    options.write(true).mode(0o644);
    match file.overwrite {
        true => options.create(true).truncate(true),
        false => options.create_new(true),
    };
    options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC);
    let written = options
        .open(&file.path)
        .and_then(|mut opened: File| writeln!(opened, "{value}"));
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => tracing::info!("Unable to initialise tracked file {}: {error}", file.path),
        Ok(()) => {}
    }
}
