//! The directories of the tracked files, watched with inotify.
//!
//! Decides which directories are watched and which file an event is about. What
//! is in a file is read elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use nix::sys::statfs::{self, FsType};

/// What is asked for: everything that may give a name another content, and
/// everything that may give a directory another place.
fn wanted() -> AddWatchFlags {
    AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_MOVED_FROM
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_ONLYDIR
}

/// How many symbolic links are followed from one file to the next.
const LINKS_MAX: usize = 16;

/// A name in a watched directory: an event about it concerns this file.
type Place = (WatchDescriptor, OsString);

/// The directories.
#[derive(Debug)]
pub struct Directories {
    inotify: Inotify,
    watched: BTreeSet<WatchDescriptor>,
    places: BTreeMap<Place, BTreeSet<usize>>,
}

/// How the news of a file come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// By inotify.
    Told,
    /// Not: the directory is not there, or its file system tells nothing. It has
    /// to be looked at from time to time.
    Sought,
}

/// What has happened.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Happened {
    /// Files to read again, by their places in the list.
    pub files: BTreeSet<usize>,
    /// Directories are not where they were, or events were lost: watch all anew
    /// and read all again.
    pub everything: bool,
}

impl Directories {
    /// Nothing is watched.
    pub fn new() -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        Ok(Self {
            inotify,
            watched: BTreeSet::new(),
            places: BTreeMap::new(),
        })
    }

    /// Watches for these files, and for no others. For each it says how its news
    /// come.
    pub fn watch(&mut self, paths: &[&Path]) -> Vec<News> {
        let before = std::mem::take(&mut self.watched);
        self.places.clear();
        let news = paths.iter().enumerate();
        let news = news
            .map(|(index, path)| self.watch_one(index, path))
            .collect();
        for old in before.difference(&self.watched) {
            // It may be gone by itself.
            let _ = self.inotify.rm_watch(*old);
        }
        news
    }

    /// The file, and what its symbolic links lead to.
    fn watch_one(&mut self, index: usize, path: &Path) -> News {
        let mut path = path.to_path_buf();
        for _ in 0..LINKS_MAX {
            let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
                return News::Sought;
            };
            if !self.watch_name(index, directory, name.to_owned()) {
                self.watch_way_to(index, directory);
                return News::Sought;
            }
            if !tells(directory) {
                return News::Sought;
            }
            let Ok(target) = std::fs::read_link(&path) else {
                return News::Told;
            };
            // Another link in a directory of the target may be exchanged, too.
            if let Some(first) = target.components().next().filter(|_| target.is_relative()) {
                self.watch_name(index, directory, first.as_os_str().to_owned());
            }
            path = directory.join(target);
        }
        News::Sought
    }

    /// Whether the directory is there.
    fn watch_name(&mut self, index: usize, directory: &Path, name: OsString) -> bool {
        let Ok(watch) = self.inotify.add_watch(directory, wanted()) else {
            return false;
        };
        self.watched.insert(watch);
        self.places.entry((watch, name)).or_default().insert(index);
        true
    }

    /// Watches for the first directory that is missing on the way to one.
    fn watch_way_to(&mut self, index: usize, directory: &Path) {
        let mut missing: PathBuf = directory.to_path_buf();
        while let (Some(parent), Some(name)) = (missing.parent(), missing.file_name()) {
            if self.watch_name(index, parent, name.to_owned()) {
                return;
            }
            missing = parent.to_path_buf();
        }
    }

    /// What has happened since the last call.
    pub fn happened(&self) -> io::Result<Happened> {
        let mut happened = Happened::default();
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN) => return Ok(happened),
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            for event in events {
                let moved = AddWatchFlags::IN_DELETE_SELF
                    | AddWatchFlags::IN_MOVE_SELF
                    | AddWatchFlags::IN_UNMOUNT
                    | AddWatchFlags::IN_Q_OVERFLOW;
                happened.everything |= event.mask.intersects(moved);
                let Some(name) = event.name else { continue };
                let Some(files) = self.places.get(&(event.wd, name)) else {
                    continue;
                };
                // What is just being written is read when that is done; what is
                // on the way to a file, or a link, may lead somewhere else now.
                let plain = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_DELETE;
                happened.everything |=
                    !event.mask.intersects(plain) || event.mask.contains(AddWatchFlags::IN_ISDIR);
                happened.files.extend(files);
            }
        }
    }
}

impl AsFd for Directories {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// Whether the file system of a directory tells of all changes: not if its files
/// are made up, or may change on another machine.
fn tells(directory: &Path) -> bool {
    /// `FUSE_SUPER_MAGIC` of linux/magic.h, and those that libc does not name.
    const OTHERS: [i128; 6] = [
        0x6573_5546, // fuse
        0xff53_4d42, // cifs
        0xfe53_4d42, // smb2
        0x6462_6720, // debugfs
        0x6265_6572, // sysfs
        0x0102_1997, // 9p
    ];
    let Ok(found) = statfs::statfs(directory) else {
        return false;
    };
    let made_up: [FsType; 4] = [
        statfs::PROC_SUPER_MAGIC,
        statfs::CGROUP_SUPER_MAGIC,
        statfs::CGROUP2_SUPER_MAGIC,
        statfs::NFS_SUPER_MAGIC,
    ];
    let kind = found.filesystem_type();
    !made_up.contains(&kind) && !OTHERS.contains(&i128::from(kind.0))
}
