//! Where the status socket lies, how it is made and how it goes away.
//!
//! Decides what may be replaced: a socket of our own on which nobody listens any
//! more, and nothing else. Does not decide who is answered.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, fchmod};
use nix::unistd::geteuid;
use socket2::{Domain, SockAddr, Socket, Type};

/// How many clients may wait to be taken on.
const BACKLOG: i32 = 16;

/// The owner and the group may connect.
const MODE: u32 = 0o660;

/// Where the socket lies: `pid_file` is that of `-p`. Two daemons with pid files
/// of their own have sockets of their own.
pub fn path_for(namespace: Option<&str>, pid_file: Option<&Path>) -> PathBuf {
    match pid_file {
        Some(path) => path.with_extension("sock"),
        None => {
            let mut path = PathBuf::from("/run/keepalived");
            path.extend(namespace);
            path.join("keepalived.sock")
        }
    }
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
    /// Another daemon listens there.
    InUse,
    /// Something lies there that is not ours.
    Foreign,
    /// The kernel refuses.
    System(io::Error),
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("another daemon listens there"),
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
    /// Makes the socket (mode 0660) and the last directory above it (0755), if
    /// that is missing.
    ///
    /// # Errors
    /// As [`SocketError`] says; nothing has changed then.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        if let Some(directory) = path.parent() {
            match DirBuilder::new().mode(0o755).create(directory) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
        let address = SockAddr::unix(path)?;
        let socket = new_socket()?;
        // The kernel does not follow a symbolic link at the end of the path.
        match socket.bind(&address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                remove_stale(path, &address)?;
                socket.bind(&address)?;
            }
            other => other?,
        }
        let made = set_mode(path)?;
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
fn new_socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    fchmod(&socket, Mode::from_bits_truncate(MODE))?;
    Ok(socket)
}

/// Gives the file at `path` back what the creation mask took; returns what it
/// is. Through a descriptor, so that it is this file and no other.
fn set_mode(path: &Path) -> io::Result<fs::Metadata> {
    let file: File = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_NOFOLLOW)
        .open(path)?;
    let made = file.metadata()?;
    if made.file_type().is_socket() && made.mode() & 0o777 != MODE {
        let itself = format!("/proc/self/fd/{}", file.as_raw_fd());
        fs::set_permissions(itself, Permissions::from_mode(MODE))?;
    }
    Ok(made)
}

/// Removes what a daemon left that died.
fn remove_stale(path: &Path, address: &SockAddr) -> Result<(), SocketError> {
    let there = fs::symlink_metadata(path)?;
    if !there.file_type().is_socket() || there.uid() != geteuid().as_raw() {
        return Err(SocketError::Foreign);
    }
    match new_socket()?.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Ok(fs::remove_file(path)?)
        }
        _ => Err(SocketError::InUse),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_path_follows_the_namespace_and_the_pid_file() {
        for (namespace, pid_file, expected) in [
            (None, None, "/run/keepalived/keepalived.sock"),
            (Some("blue"), None, "/run/keepalived/blue/keepalived.sock"),
            (None, Some("/tmp/lan.pid"), "/tmp/lan.sock"),
            (Some("blue"), Some("/tmp/lan"), "/tmp/lan.sock"),
        ] {
            let path = path_for(namespace, pid_file.map(Path::new));
            assert_eq!(path, Path::new(expected));
        }
    }

    #[test]
    fn the_owner_and_the_group_may_connect_and_the_directory_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/status.sock");
        let socket = StatusSocket::bind(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o660);
        UnixStream::connect(&path).unwrap();
        socket.remove();
        assert!(!path.exists() && path.parent().unwrap().is_dir());
    }

    #[test]
    fn the_socket_of_a_dead_daemon_is_replaced_and_that_of_a_living_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("status.sock");
        let dead = StatusSocket::bind(&path).unwrap();
        assert!(matches!(StatusSocket::bind(&path), Err(SocketError::InUse)));
        drop(dead);
        assert!(path.exists(), "it died without a word");
        let living = StatusSocket::bind(&path).unwrap();
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
