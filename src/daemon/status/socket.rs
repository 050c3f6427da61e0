//! Where the status socket lies, how it is made and how it goes away.
//!
//! Decides what may be replaced: a socket of our own, that a daemon left which
//! died, and nothing else. Does not decide who is answered.

use std::fmt;
use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, fchmod};
use nix::unistd::geteuid;
use socket2::{Domain, SockAddr, Socket, Type};

/// How many clients may wait to be taken on.
const BACKLOG: i32 = 16;

/// The owner and the group may connect.
pub const MODE: u32 = 0o660;

/// Where the socket of the daemon with this pid file lies: beside it, so that two
/// daemons have two.
pub fn beside(pid_file: &Path) -> PathBuf {
    pid_file.with_extension("sock")
}

/// A socket that listens, and its place in the file system.
#[derive(Debug)]
pub struct StatusSocket {
    path: PathBuf,
    socket: OwnedFd,
    /// Device and inode, to remove no other.
    identity: (u64, u64),
}

/// Why there is no socket.
#[derive(Debug)]
pub enum SocketError {
    /// Something lies there that is not ours.
    Foreign,
    /// The kernel refuses.
    System(io::Error),
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("something lies there that is no socket of ours"),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SocketError {}

impl From<io::Error> for SocketError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl StatusSocket {
    /// Makes the socket, for the owner and the group. The pid file beside it has
    /// to be locked.
    ///
    /// # Errors
    /// As [`SocketError`] says; nothing has changed then.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        Self::bind_for(path, MODE)
    }

    /// As [`StatusSocket::bind`], with these bits of its mode.
    ///
    /// # Errors
    /// As [`SocketError`] says; nothing has changed then.
    pub fn bind_for(path: &Path, mode: u32) -> Result<Self, SocketError> {
        let address = SockAddr::unix(path)?;
        let socket = new_socket(mode)?;
        // The kernel does not follow a symbolic link at the end of the path.
        match socket.bind(&address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                remove_stale(path)?;
                socket.bind(&address)?;
            }
            other => other?,
        }
        let made = set_mode(path, mode)?;
        socket.listen(BACKLOG)?;
        Ok(Self {
            path: path.to_owned(),
            socket: socket.into(),
            identity: (made.dev(), made.ino()),
        })
    }

    /// One more descriptor of it, for a worker.
    ///
    /// # Errors
    /// There are too many descriptors.
    pub fn for_worker(&self) -> io::Result<OwnedFd> {
        self.socket.try_clone()
    }

    /// Takes it out of the file system, unless something else is there by now.
    pub fn remove(self) {
        let there = fs::symlink_metadata(&self.path);
        if there.is_ok_and(|there| (there.dev(), there.ino()) == self.identity) {
            // Not there any more: that is what we want.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl AsFd for StatusSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for StatusSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Closed on exec, and never waits. The file that a bind makes gets the mode of
/// the socket without the bits of the creation mask: it is never too wide.
fn new_socket(mode: u32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    fchmod(&socket, Mode::from_bits_truncate(mode))?;
    Ok(socket)
}

/// Gives the file at `path` back what the creation mask took; returns what it
/// is. Through a descriptor, so that it is this file and no other.
fn set_mode(path: &Path, mode: u32) -> io::Result<fs::Metadata> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_NOFOLLOW)
        .open(path)?;
    let made = file.metadata()?;
    if made.file_type().is_socket() && made.mode() & 0o777 != mode {
        let itself = format!("/proc/self/fd/{}", file.as_raw_fd());
        fs::set_permissions(itself, Permissions::from_mode(mode))?;
    }
    Ok(made)
}

/// Removes what a daemon left that died. Nobody else can live there: the lock on
/// the pid file beside it is ours. Somebody may still listen, though: a worker of
/// the dead one that is about to stop.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let there = fs::symlink_metadata(path)?;
    if !there.file_type().is_socket() || there.uid() != geteuid().as_raw() {
        return Err(SocketError::Foreign);
    }
    Ok(fs::remove_file(path)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_owner_and_the_group_may_connect_whatever_the_mask_says() {
        let directory = tempfile::tempdir().unwrap();
        let path = beside(&directory.path().join("lan.pid"));
        assert_eq!(path, directory.path().join("lan.sock"));
        let socket = StatusSocket::bind(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o660);
        UnixStream::connect(&path).unwrap();
        socket.remove();
        assert!(!path.exists());
    }

    #[test]
    fn the_socket_of_a_dead_daemon_is_replaced_even_while_its_worker_stops() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("status.sock");
        let dead = StatusSocket::bind(&path).unwrap();
        let worker = dead.for_worker().unwrap();
        drop(dead);
        assert!(path.exists(), "it died without a word");
        let living = StatusSocket::bind(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        drop(worker);
        UnixStream::connect(&path).unwrap();
        living.remove();
        assert!(!path.exists());
    }

    #[test]
    fn nothing_of_somebody_else_is_touched_or_followed() {
        let directory = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| directory.path().join(name));
        let nowhere = directory.path().join("nowhere");
        fs::write(&file, "precious").unwrap();
        symlink(&nowhere, &link).unwrap();
        for path in [&file, &link] {
            assert!(matches!(
                StatusSocket::bind(path),
                Err(SocketError::Foreign)
            ));
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
        assert!(!nowhere.exists() && link.is_symlink());
    }

    #[test]
    fn what_took_its_place_is_not_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("status.sock");
        let socket = StatusSocket::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another").unwrap();
        socket.remove();
        assert_eq!(fs::read_to_string(&path).unwrap(), "another");
    }
}
