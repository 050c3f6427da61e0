//! A notify FIFO in the file system: making, examining, opening, removing it.
//!
//! Decides what is used as a FIFO and what is not. Whatever somebody has put
//! where the FIFO should be, nothing is ever written into it unless it is a FIFO
//! of the daemon or of the user that the configuration names: no symbolic link is
//! followed, and what was opened is looked at once more. Source: specification
//! B.2.
//!
//! A FIFO is opened for reading, too. So writing needs no reader: what is written
//! waits in the kernel for one that comes later, and one that dies ends nothing.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, Uid, fchown, geteuid, mkfifo};

use crate::ids::Errno;

/// Who owns a FIFO, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub user: u32,
    /// The group.
    pub group: u32,
}

/// Tells a file from all others, whatever name it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

/// A FIFO that is open.
#[derive(Debug)]
pub struct Opened {
    /// Non-blocking, for reading and writing, close-on-exec.
    pub file: File,
    /// Which file it is.
    pub identity: Identity,
    /// It was not there before.
    pub made: bool,
}

/// Why there is no FIFO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It cannot be made.
    Make(Errno),
    /// It cannot be opened; `ELOOP` for a symbolic link.
    Open(Errno),
    /// Something else is there, or a FIFO of somebody else.
    NotOurs,
    /// Its owner is not known, or it cannot be given to that user.
    Owner(Errno),
}

impl Trouble {
    /// The line for the log; `prefix` is that of the FIFO.
    pub fn describe(self, prefix: &str, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Make(errno) => format!("Unable to create {prefix}notify fifo {path}: {errno}"),
            Self::Open(errno) => format!(
                "Unable to open {prefix}notify fifo {path} - errno {} ({errno})",
                errno.0
            ),
            Self::NotOurs => {
                format!("{prefix}notify fifo {path} is not a fifo we own - not using")
            }
            Self::Owner(errno) => {
                format!("Unable to set the owner of {prefix}notify fifo {path}: {errno}")
            }
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.device, self.inode)
    }
}

impl Identity {
    /// Whether this file is still what is found at `path`.
    pub fn is_at(self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|found| Self::of(&found) == self)
    }

    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// Opens the FIFO at `path`. If nothing is there it is made, with `mode`, for
/// `owner` (`None`: this process). One that is there stays as it is.
///
/// # Errors
/// `Trouble`; whatever is at `path` is not touched then.
pub fn open(path: &Path, mode: u32, owner: Option<Owner>) -> Result<Opened, Trouble> {
    let made = match mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
        Ok(()) => true,
        Err(nix::Error::EEXIST) => false,
        Err(errno) => return Err(Trouble::Make(Errno(errno as i32))),
    };
    // Not even the opening of a device does anything to it that reads.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags)
        .open(path)
        .map_err(|error| Trouble::Open(number_of(&error)))?;
    let metadata = file
        .metadata()
        .map_err(|error| Trouble::Open(number_of(&error)))?;
    let us = geteuid().as_raw();
    let is_ours = metadata.uid() == us || owner.is_some_and(|it| it.user == metadata.uid());
    if !metadata.file_type().is_fifo() || !is_ours {
        return Err(Trouble::NotOurs);
    }
    let identity = Identity::of(&metadata);
    if made && let Err(errno) = hand_over(&file, mode, owner) {
        remove(path, identity);
        return Err(Trouble::Owner(errno));
    }
    Ok(Opened {
        file,
        identity,
        made,
    })
}

/// Removes a FIFO that we have made, unless something else is there by now.
pub fn remove(path: &Path, identity: Identity) {
    if identity.is_at(path)
        && let Err(error) = fs::remove_file(path)
    {
        let path = path.display();
        tracing::info!("Unable to remove notify fifo {path}: {error}");
    }
}

fn hand_over(file: &File, mode: u32, owner: Option<Owner>) -> Result<(), Errno> {
    let failed = |errno: nix::Error| Errno(errno as i32);
    if let Some(owner) = owner {
        let (user, group) = (Uid::from_raw(owner.user), Gid::from_raw(owner.group));
        fchown(file.as_fd(), Some(user), Some(group)).map_err(failed)?;
    }
    fchmod(file.as_fd(), Mode::from_bits_truncate(mode)).map_err(failed)
}

fn number_of(error: &io::Error) -> Errno {
    Errno(error.raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn what_is_missing_is_made_and_removed_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        let opened = open(&path, 0o640, None).unwrap();
        assert!(opened.made && opened.identity.is_at(&path));
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert!(metadata.file_type().is_fifo());
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o640);
        remove(&path, opened.identity);
        assert!(!path.exists());
    }

    #[test]
    fn one_that_is_there_is_used_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        let mut first = open(&path, 0o600, None).unwrap();
        let mut second = open(&path, 0o600, None).unwrap();
        assert!(!first.made && first.identity == second.identity);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        first.file.write_all(b"a line\n").unwrap();
        drop(first);
        let mut text = [0; 7];
        second.file.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"a line\n");
    }

    #[test]
    fn nothing_but_a_fifo_is_used_and_nothing_is_harmed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "precious").unwrap();
        assert_eq!(open(&path, 0o600, None).unwrap_err(), Trouble::NotOurs);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let fifo = directory.path().join("fifo");
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        let link = directory.path().join("link");
        symlink(&fifo, &link).unwrap();
        let trouble = open(&link, 0o600, None).unwrap_err();
        assert_eq!(trouble, Trouble::Open(Errno(libc::ELOOP)));
        let nowhere = directory.path().join("none/fifo");
        let trouble = open(&nowhere, 0o600, None).unwrap_err();
        assert_eq!(trouble, Trouble::Make(Errno(libc::ENOENT)));
        assert_eq!(
            open(directory.path(), 0o600, None).unwrap_err(),
            Trouble::Open(Errno(libc::EISDIR))
        );
    }

    #[test]
    fn a_fifo_of_somebody_else_is_not_used() {
        if !geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        let theirs = Owner {
            user: 65_534,
            group: 65_534,
        };
        drop(open(&path, 0o600, Some(theirs)).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().uid(), 65_534);
        assert_eq!(open(&path, 0o600, None).unwrap_err(), Trouble::NotOurs);
        assert!(open(&path, 0o600, Some(theirs)).is_ok());
    }

    #[test]
    fn only_what_we_made_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        let opened = open(&path, 0o600, None).unwrap();
        fs::rename(&path, directory.path().join("moved")).unwrap();
        fs::write(&path, "precious").unwrap();
        remove(&path, opened.identity);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
