//! Files that name a running process and are locked while it runs
//! (specification E.3).
//!
//! Decides how such a file is made, locked and removed. Where it lies is decided
//! in `places.rs`. The lock is an open file description lock, as C keepalived's: each
//! of the two refuses to start beside the other.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno as NixErrno;
use nix::fcntl::{FcntlArg, fcntl};

use crate::ids::Errno;

/// Everybody may read who runs.
const MODE: u32 = 0o644;

/// A pid file that this process holds.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    file: File,
}

/// Why there is no pid file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PidFileError {
    /// Another process holds the lock.
    AlreadyRunning,
    /// The file cannot be made.
    System(PathBuf, Errno),
}

impl fmt::Display for PidFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyRunning => f.write_str("daemon is already running"),
            Self::System(path, errno) => {
                write!(f, "cannot write pid file {}: {errno}", path.display())
            }
        }
    }
}

impl std::error::Error for PidFileError {}

impl PidFile {
    /// Makes the file (mode 0644, whatever the mask), locks it and writes `process`
    /// into it. What a dead daemon left is replaced, and the log says so. A link is
    /// followed, as the directory is that of the administrator.
    ///
    /// # Errors
    /// `AlreadyRunning` if another process holds the lock, `System` otherwise.
    pub fn create(path: &Path, process: i32) -> Result<Self, PidFileError> {
        let mut pid_file = Self::lock(path)?;
        pid_file.write(process)?;
        Ok(pid_file)
    }

    /// Makes the file (mode 0644) and locks it; nothing is written yet. A child that
    /// is forked after this holds the lock, too, for as long as it lives.
    ///
    /// # Errors
    /// As of [`PidFile::create`].
    pub fn lock(path: &Path) -> Result<Self, PidFileError> {
        let file = loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(MODE)
                // A path that waits for a reader, a FIFO, must not stop the start.
                .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
                .open(path)
                .map_err(|error| problem(path, &error))?;
            let lock = write_lock();
            match fcntl(&file, FcntlArg::F_OFD_SETLK(&lock)) {
                Ok(_) => {}
                Err(NixErrno::EAGAIN | NixErrno::EACCES) => {
                    return Err(PidFileError::AlreadyRunning);
                }
                Err(errno) => return Err(problem(path, &errno.into())),
            }
            // A daemon that ended between our open and our lock removed the
            // file: then the lock is on a file that nobody else can find.
            if same_file(path, &file) {
                break file;
            }
        };
        let metadata = file.metadata().map_err(|error| problem(path, &error))?;
        if metadata.len() > 0 {
            tracing::info!("Remove a zombie pid file {}", path.display());
        }
        if metadata.mode() & 0o7777 != MODE {
            file.set_permissions(fs::Permissions::from_mode(MODE))
                .map_err(|error| problem(path, &error))?;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Whether a process holds the lock of the file at `path`.
    pub fn is_locked(path: &Path) -> bool {
        open_to_read(path).is_some_and(|file| is_locked(&file))
    }

    /// A worker without its supervisor: the process that the file at `path` names and
    /// that has that file open, while its parent has not. The open file is the proof
    /// that it is the one meant, and not another that has its number by now.
    pub fn orphan(path: &Path) -> Option<i32> {
        let mut file = open_to_read(path)?;
        let process = number_in(&mut file).filter(|process| *process > 1)?;
        // Compared by name, as the file was found by one.
        let path = fs::canonicalize(path).ok()?;
        let is_orphan = has_open(process, &path) && !has_open(parent_of(process)?, &path);
        is_orphan.then_some(process)
    }

    /// Whether another process holds the lock of the file at `path`, or the
    /// file names a running C keepalived, which before 2.4 locks nothing.
    pub fn is_held(path: &Path) -> bool {
        open_to_read(path).is_some_and(|mut file| is_locked(&file) || names_c_keepalived(&mut file))
    }

    /// Writes another process number into the file.
    ///
    /// # Errors
    /// `System`.
    pub fn write(&mut self, process: i32) -> Result<(), PidFileError> {
        let text = format!("{process}\n");
        self.file
            .set_len(0)
            .and_then(|()| io::Seek::rewind(&mut self.file))
            .and_then(|()| self.file.write_all(text.as_bytes()))
            .map_err(|error| problem(&self.path, &error))
    }

    /// Removes the file, then lets the lock go.
    pub fn remove(self) {
        // Not there any more: somebody was faster, and that is what we want.
        let _ = fs::remove_file(&self.path);
    }
}

impl AsRawFd for PidFile {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

fn problem(path: &Path, error: &io::Error) -> PidFileError {
    let errno = Errno(error.raw_os_error().unwrap_or(libc::EIO));
    PidFileError::System(path.to_owned(), errno)
}

/// The whole file, for writing.
fn write_lock() -> libc::flock {
    // SAFETY: a flock structure is plain numbers, for which zero is a value:
    // from the beginning, to the end, process 0 as the kernel demands.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock
}

fn has_open(process: i32, path: &Path) -> bool {
    let Ok(open_files) = fs::read_dir(format!("/proc/{process}/fd")) else {
        return false;
    };
    let mut targets = open_files.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.any(|target| target == path)
}

fn parent_of(process: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    parent?.trim().parse().ok()
}

fn open_to_read(path: &Path) -> Option<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    options.open(path).ok()
}

fn is_locked(file: &File) -> bool {
    let mut lock = write_lock();
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock)).is_ok() && i32::from(lock.l_type) != libc::F_UNLCK
}

fn number_in(file: &mut File) -> Option<i32> {
    let mut text = String::new();
    // A process number is short; whatever else the file is, it is not read whole.
    io::Read::read_to_string(&mut io::Read::take(file, 16), &mut text).ok()?;
    text.trim().parse().ok()
}

fn names_c_keepalived(file: &mut File) -> bool {
    number_in(file)
        .and_then(|process| u32::try_from(process).ok())
        // In a container we have the number that we had before a power cut.
        .filter(|process| *process != std::process::id())
        .is_some_and(is_c_keepalived)
}

/// By its name, or by its program: `process_name` gives it another name.
fn is_c_keepalived(process: u32) -> bool {
    let name = fs::read_to_string(format!("/proc/{process}/comm"));
    let program = fs::read_link(format!("/proc/{process}/exe"));
    name.is_ok_and(|name| name == "keepalived\n")
        || program.is_ok_and(|path| path.file_name().is_some_and(|name| name == "keepalived"))
}

fn same_file(path: &Path, file: &File) -> bool {
    match (fs::metadata(path), file.metadata()) {
        (Ok(there), Ok(here)) => there.dev() == here.dev() && there.ino() == here.ino(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_the_number_and_a_newline_and_goes_away() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keepalived.pid");
        fs::write(&path, "1234567 left over\n").unwrap();
        let mut file = PidFile::create(&path, 4321).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "4321\n");
        file.write(99).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "99\n");
        file.remove();
        assert!(!path.exists());
    }

    #[test]
    fn a_second_daemon_is_told_and_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keepalived.pid");
        assert!(!PidFile::is_held(&path));
        let first = PidFile::create(&path, 1).unwrap();
        assert!(PidFile::is_held(&path));
        let second = PidFile::create(&path, 2).unwrap_err();
        assert_eq!(second, PidFileError::AlreadyRunning);
        assert_eq!(second.to_string(), "daemon is already running");
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
        first.remove();
        PidFile::create(&path, 3).unwrap().remove();
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = PidFile::create(Path::new("/nonexistent/x.pid"), 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot write pid file /nonexistent/x.pid: No such file or directory"
        );
    }
}
