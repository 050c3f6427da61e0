//! Configuration files that somebody may be writing while we read them.
//!
//! Decides whether what was read is whole: no file was open for writing, and none
//! has changed since it was read. Does not decide what is done about it. A text that
//! was cut off by a writer that has closed the file again cannot be told from one
//! that was meant so.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::files::DiskFiles;
use crate::config::source::{FileProblem, Files};

/// Says which signal tells of a broken lease (fcntl(2)); not in the `libc` crate.
const F_SETSIG: libc::c_int = 10;

/// The files of this machine, with a memory of what was read.
#[derive(Debug, Default)]
pub struct SettledFiles {
    /// What each file was when it was read first.
    read: RefCell<BTreeMap<PathBuf, Seen>>,
    /// What each pattern in its directory named first.
    matched: RefCell<BTreeMap<(PathBuf, PathBuf), Vec<PathBuf>>>,
    /// The first file that was being written.
    written: RefCell<Option<PathBuf>>,
}

/// What a file was: none, or device, inode, length and times.
type Seen = Option<(u64, u64, u64, [i64; 4])>;

impl SettledFiles {
    /// A file that was being written when it was read, or has changed since;
    /// `None` if all that was read is whole.
    pub fn moving(&self) -> Option<PathBuf> {
        if let Some(path) = self.written.borrow().as_ref() {
            return Some(path.clone());
        }
        for (path, before) in self.read.borrow().iter() {
            if seen(path) != *before || is_being_written(path) {
                return Some(path.clone());
            }
        }
        let matched = self.matched.borrow();
        let other = matched.iter().find(|((pattern, directory), before)| {
            DiskFiles.matching(pattern, directory) != **before
        });
        other.map(|((pattern, _), _)| pattern.clone())
    }
}

impl Files for SettledFiles {
    fn read(&self, path: &Path) -> Result<Vec<u8>, FileProblem> {
        let before = seen(path);
        self.read
            .borrow_mut()
            .entry(path.to_owned())
            .or_insert(before);
        if is_being_written(path) {
            let mut written = self.written.borrow_mut();
            written.get_or_insert_with(|| path.to_owned());
        }
        DiskFiles.read(path)
    }

    fn matching(&self, pattern: &Path, directory: &Path) -> Vec<PathBuf> {
        let found = DiskFiles.matching(pattern, directory);
        let key = (pattern.to_owned(), directory.to_owned());
        let mut matched = self.matched.borrow_mut();
        matched.entry(key).or_insert_with(|| found.clone());
        found
    }

    fn variable(&self, name: &str) -> Option<String> {
        DiskFiles.variable(name)
    }
}

fn seen(path: &Path) -> Seen {
    let identity = |it: Metadata| {
        let times = [it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec()];
        (it.dev(), it.ino(), it.len(), times)
    };
    fs::metadata(path).ok().map(identity)
}

/// Whether somebody has the file open for writing. The kernel knows: it gives no
/// lease for reading then. Where there are no leases, nobody writes.
fn is_being_written(path: &Path) -> bool {
    // Without O_NONBLOCK a pipe of that name would stop the daemon here.
    let opened = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path);
    let Ok(file) = opened else {
        return false;
    };
    if !file.metadata().is_ok_and(|it| it.is_file()) {
        return false;
    }
    let control = |operation, value: libc::c_int| {
        // SAFETY: the descriptor is open, and these operations take a number.
        unsafe { libc::fcntl(file.as_raw_fd(), operation, value) }
    };
    // Somebody may open it in the moment in which we hold the lease. What tells us
    // then would end the process, were it not a signal that nobody listens to.
    if control(F_SETSIG, libc::SIGURG) != 0 {
        return false;
    }
    if control(libc::F_SETLEASE, libc::F_RDLCK) == 0 {
        control(libc::F_SETLEASE, libc::F_UNLCK);
        return false;
    }
    std::io::Error::last_os_error().raw_os_error() == Some(libc::EAGAIN)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_nobody_touches_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keepalived.conf");
        fs::write(&path, "text").unwrap();
        let files = SettledFiles::default();
        assert_eq!(files.read(&path).unwrap(), b"text");
        let missing = directory.path().join("missing.conf");
        assert_eq!(files.read(&missing), Err(FileProblem::Missing));
        assert_eq!(
            files.matching(Path::new("*.conf"), directory.path()),
            std::slice::from_ref(&path)
        );
        assert_eq!(files.moving(), None);
        // Its own descriptor for reading does not disturb.
        let _reader = File::open(&path).unwrap();
        assert_eq!(files.moving(), None);
    }

    #[test]
    fn a_file_that_is_open_for_writing_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keepalived.conf");
        let mut writer = File::create(&path).unwrap();
        writer.write_all(b"half a te").unwrap();
        let files = SettledFiles::default();
        assert_eq!(files.read(&path).unwrap(), b"half a te");
        assert_eq!(files.moving(), Some(path.clone()));
        writer.write_all(b"xt").unwrap();
        drop(writer);
        let again = SettledFiles::default();
        assert_eq!(again.read(&path).unwrap(), b"half a text");
        assert_eq!(again.moving(), None);
    }

    #[test]
    fn a_file_that_changed_came_or_went_while_others_were_read_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| directory.path().join(name));
        type Change = fn(&Path, &Path);
        let changes: [Change; 4] = [
            |one, _| fs::write(one, "longer text").unwrap(),
            |one, other| fs::rename(other, one).unwrap(),
            |one, _| fs::remove_file(one).unwrap(),
            |one, _| fs::write(one.with_file_name("new"), "new").unwrap(),
        ];
        for change in changes {
            let _ = fs::remove_file(directory.path().join("new"));
            for path in [&one, &other] {
                fs::write(path, "text").unwrap();
            }
            let files = SettledFiles::default();
            files.read(&one).unwrap();
            files.matching(Path::new("*"), directory.path());
            change(&one, &other);
            assert!(files.moving().is_some());
        }
    }

    #[test]
    fn neither_a_pipe_nor_a_directory_stops_us() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let files = SettledFiles::default();
        assert_eq!(files.read(&pipe), Err(FileProblem::NotRegularOrExecutable));
        assert_eq!(files.read(directory.path()), Err(FileProblem::Directory));
        assert_eq!(files.moving(), None);
    }
}
