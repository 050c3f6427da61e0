//! The way to a program, from the root on, descriptor by descriptor.
//!
//! Decides what lies on that way and whether somebody other than root can change
//! any of it. Symbolic links are followed here and not by the kernel, so that
//! what was looked at is what is held: no part can be swapped between its
//! examination and that of the next one. Whether the findings matter is decided
//! in `spawn.rs` and `examine.rs`. Source: specification D.8 (path walk).

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno as NixErrno;
use nix::fcntl::{OFlag, open, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::unistd::{Gid, Group, Uid, User};
use serde::{Deserialize, Serialize};

use crate::ids::Errno;

const SET_USER: u32 = 0o4000;
const SET_GROUP: u32 = 0o2000;
const STICKY: u32 = 0o1000;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;

/// How many symbolic links may lie on one way; the kernel's own limit.
const LINKS_MAX: usize = 40;

/// A program that was found, and the way to it.
#[derive(Debug)]
pub struct Walked {
    /// The directory it is in, once all links are followed.
    pub directory: OwnedFd,
    /// Its name there, which is no link.
    pub name: OsString,
    /// The first part of the way that somebody other than root can change.
    pub changeable: Option<Part>,
    /// It runs as root or in root's group whoever starts it.
    pub becomes_root: bool,
}

/// A part of the way that somebody other than root can change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Where it is.
    pub path: PathBuf,
    /// Number of its owner.
    pub user: u32,
    /// Number of its group.
    pub group: u32,
    /// Its permissions, and the bits of its kind (`st_mode`).
    pub mode: u32,
}

/// Why a way ends before it reaches a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadEnd {
    /// How far it goes.
    pub path: PathBuf,
    /// What the kernel said there.
    pub errno: Errno,
}

/// Goes the way to `program`. A relative path begins in our own directory, whose
/// way is gone first.
///
/// # Errors
/// `DeadEnd`, if a part is not there, cannot be passed, or is not what it must be.
pub fn walk(program: &Path) -> Result<Walked, DeadEnd> {
    let absolute = std::path::absolute(program).map_err(|error| DeadEnd {
        path: program.to_owned(),
        errno: Errno(error.raw_os_error().unwrap_or(libc::EIO)),
    })?;
    let mut way = Way::new(&absolute)?;
    loop {
        if let Some(walked) = way.step()? {
            return Ok(walked);
        }
    }
}

/// How far we are.
struct Way {
    /// The directories that we are in, from the root on, and what they are called.
    directories: Vec<(OwnedFd, PathBuf)>,
    /// What is still to be gone.
    ahead: VecDeque<OsString>,
    links: usize,
    changeable: Option<Part>,
}

impl Way {
    fn new(path: &Path) -> Result<Self, DeadEnd> {
        let root = PathBuf::from("/");
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd = open("/", flags, Mode::empty()).map_err(|errno| dead_end(&root, errno))?;
        let status = fstat(&fd).map_err(|errno| dead_end(&root, errno))?;
        let mut way = Self {
            changeable: changeable(&root, &status),
            directories: vec![(fd, root)],
            ahead: VecDeque::new(),
            links: 0,
        };
        way.prepend(path);
        Ok(way)
    }

    /// Puts the parts of `path` in front of what is still to be gone.
    fn prepend(&mut self, path: &Path) {
        if path.is_absolute() {
            self.directories.truncate(1);
        }
        for part in path.components().rev() {
            match part {
                Component::Normal(_) | Component::ParentDir => {
                    self.ahead.push_front(part.as_os_str().to_owned());
                }
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
    }

    /// One part further; what was looked for, if that was the last one.
    fn step(&mut self) -> Result<Option<Walked>, DeadEnd> {
        let Some(name) = self.ahead.pop_front() else {
            // The way ends in a directory.
            let path = self.directories.last().map(|(_, path)| path.clone());
            return Err(dead_end(&path.unwrap_or_default(), NixErrno::EACCES));
        };
        if name == OsStr::new("..") {
            // Above the root is the root.
            if self.directories.len() > 1 {
                self.directories.pop();
            }
            return Ok(None);
        }
        let Some((directory, above)) = self.directories.last() else {
            return Err(dead_end(Path::new("/"), NixErrno::ENOENT));
        };
        let path = above.join(&name);
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let part = openat(directory, name.as_os_str(), flags, Mode::empty())
            .map_err(|errno| dead_end(&path, errno))?;
        let status = fstat(&part).map_err(|errno| dead_end(&path, errno))?;
        if self.changeable.is_none() {
            self.changeable = changeable(&path, &status);
        }
        match kind(status.st_mode) {
            SFlag::S_IFLNK => self.follow(part.as_fd(), &path).map(|()| None),
            SFlag::S_IFDIR => {
                self.directories.push((part, path));
                Ok(None)
            }
            _ if !self.ahead.is_empty() => Err(dead_end(&path, NixErrno::ENOTDIR)),
            _ => Ok(self.arrive(name, &status)),
        }
    }

    fn follow(&mut self, link: BorrowedFd<'_>, path: &Path) -> Result<(), DeadEnd> {
        self.links = self.links.saturating_add(1);
        if self.links > LINKS_MAX {
            return Err(dead_end(path, NixErrno::ELOOP));
        }
        // Of the very link that was looked at, whatever is at its place now.
        let target = readlinkat(link, "").map_err(|errno| dead_end(path, errno))?;
        if target.is_empty() {
            return Err(dead_end(path, NixErrno::ENOENT));
        }
        self.prepend(Path::new(&target));
        Ok(())
    }

    fn arrive(&mut self, name: OsString, status: &FileStat) -> Option<Walked> {
        let (directory, _) = self.directories.pop()?;
        let mode = status.st_mode;
        Some(Walked {
            directory,
            name,
            changeable: self.changeable.take(),
            becomes_root: (mode & SET_USER != 0 && status.st_uid == 0)
                || (mode & SET_GROUP != 0 && status.st_gid == 0),
        })
    }
}

fn dead_end(path: &Path, errno: NixErrno) -> DeadEnd {
    DeadEnd {
        path: path.to_owned(),
        errno: Errno(errno as i32),
    }
}

fn kind(mode: u32) -> SFlag {
    SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits())
}

/// The part, if somebody other than root can change it. A link has no rights of
/// its own, and in a sticky directory only the owner of an entry can replace it.
fn changeable(path: &Path, status: &FileStat) -> Option<Part> {
    let part = Part {
        path: path.to_owned(),
        user: status.st_uid,
        group: status.st_gid,
        mode: status.st_mode,
    };
    (part.user != 0 || !part.writers().is_empty()).then_some(part)
}

impl Part {
    /// Who may write besides its owner, in the letters of chmod.
    fn writers(&self) -> &'static str {
        let sticky = kind(self.mode) == SFlag::S_IFDIR && self.mode & STICKY != 0;
        if kind(self.mode) == SFlag::S_IFLNK || sticky {
            return "";
        }
        let group = self.mode & GROUP_WRITES != 0 && self.group != 0;
        match (group, self.mode & OTHERS_WRITE != 0) {
            (true, true) => "go",
            (true, false) => "g",
            (false, true) => "o",
            (false, false) => "",
        }
    }

    /// The commands that take it away from everybody but root.
    pub fn remedies(&self) -> Vec<String> {
        let shown = self.path.display();
        let mut commands = Vec::new();
        if self.user != 0 {
            let link = kind(self.mode) == SFlag::S_IFLNK;
            let flag = if link { "-h " } else { "" };
            commands.push(format!("chown {flag}root {shown}"));
        }
        match self.writers() {
            "" => {}
            who => commands.push(format!("chmod {who}-w {shown}")),
        }
        commands
    }
}

/// `/etc/x belongs to alice:users and has mode 0775`
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = User::from_uid(Uid::from_raw(self.user)).ok().flatten();
        let user = user.map_or_else(|| self.user.to_string(), |user| user.name);
        let group = Group::from_gid(Gid::from_raw(self.group)).ok().flatten();
        let group = group.map_or_else(|| self.group.to_string(), |group| group.name);
        let (shown, mode) = (self.path.display(), self.mode & 0o7777);
        write!(
            f,
            "{shown} belongs to {user}:{group} and has mode {mode:04o}"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};

    use super::*;

    fn allow(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn changeable_part(program: &Path) -> Option<PathBuf> {
        walk(program).unwrap().changeable.map(|part| part.path)
    }

    /// Where a way that leads nowhere ends.
    fn end_of(program: &Path) -> (PathBuf, i32) {
        let end = walk(program).unwrap_err();
        (end.path, end.errno.0)
    }

    /// A directory that only root can change, with a script; `None` without root.
    fn guarded() -> Option<(tempfile::TempDir, PathBuf)> {
        if !nix::unistd::geteuid().is_root() {
            return None;
        }
        let top = tempfile::tempdir().unwrap();
        let directory = top.path().join("scripts");
        fs::create_dir(&directory).unwrap();
        allow(&directory, 0o755);
        let script = directory.join("check");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        allow(&script, 0o755);
        Some((top, script))
    }

    #[test]
    fn the_part_that_others_can_change_is_named() {
        let Some((_top, script)) = guarded() else {
            return;
        };
        let directory = script.parent().unwrap();
        assert_eq!(changeable_part(&script), None);

        allow(&script, 0o777);
        assert_eq!(changeable_part(&script), Some(script.clone()));
        allow(&script, 0o775);
        assert_eq!(changeable_part(&script), None, "the group is root's");
        chown(&script, None, Some(1)).unwrap();
        assert_eq!(changeable_part(&script), Some(script.clone()));
        allow(&script, 0o755);

        allow(directory, 0o777);
        assert_eq!(changeable_part(&script), Some(directory.to_owned()));
        allow(directory, 0o1777);
        assert_eq!(changeable_part(&script), None, "sticky");
        chown(directory, Some(1), None).unwrap();
        assert_eq!(changeable_part(&script), Some(directory.to_owned()));
    }

    #[test]
    fn links_are_followed_and_each_part_behind_them_counts() {
        let Some((top, script)) = guarded() else {
            return;
        };
        let link = top.path().join("link");
        symlink("scripts/../scripts/./check", &link).unwrap();
        let walked = walk(&link).unwrap();
        assert_eq!((walked.changeable, walked.name), (None, "check".into()));
        let held = fs::canonicalize(script.parent().unwrap()).unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&walked.directory);
        assert_eq!(fs::read_link(format!("/proc/self/fd/{fd}")).unwrap(), held);

        // A link of somebody else's can be pointed elsewhere at any time.
        lchown(&link, Some(1), None).unwrap();
        assert_eq!(changeable_part(&link), Some(link.clone()));
        lchown(&link, Some(0), None).unwrap();
        let open = top.path().join("open");
        fs::create_dir(&open).unwrap();
        allow(&open, 0o777);
        let second = open.join("link");
        symlink(&script, &second).unwrap();
        let first = top.path().join("first");
        symlink(&second, &first).unwrap();
        assert_eq!(changeable_part(&first), Some(open), "in the middle");
    }

    #[test]
    fn what_leads_nowhere_is_told_with_its_place() {
        assert_eq!(
            end_of(Path::new("/no/such/script")),
            ("/no".into(), libc::ENOENT)
        );
        let top = tempfile::tempdir().unwrap();
        let file = top.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(end_of(&file.join("x")), (file.clone(), libc::ENOTDIR));
        assert_eq!(
            end_of(top.path()).1,
            libc::EACCES,
            "a directory is no program"
        );
        let ring = top.path().join("ring");
        symlink("ring", &ring).unwrap();
        assert_eq!(end_of(&ring), (ring, libc::ELOOP));
        assert!(walk(Path::new("/../../bin/sh")).is_ok());
    }

    #[test]
    fn the_commands_that_mend_it_are_told() {
        let part = |user, group, mode| Part {
            path: "/x".into(),
            user,
            group,
            mode,
        };
        let mend = |user, group, mode| part(user, group, mode).remedies().join("; ");
        assert_eq!(mend(1, 0, 0o100_755), "chown root /x");
        assert_eq!(mend(0, 1, 0o100_775), "chmod g-w /x");
        assert_eq!(mend(1, 1, 0o040_777), "chown root /x; chmod go-w /x");
        assert_eq!(mend(1, 1, 0o120_777), "chown -h root /x");
        assert_eq!(
            part(0, 0, 0o040_777).to_string(),
            "/x belongs to root:root and has mode 0777"
        );
    }

    #[test]
    fn a_program_that_becomes_root_is_known_by_its_bits() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("program");
        fs::write(&program, "").unwrap();
        allow(&program, 0o755);
        assert!(!walk(&program).unwrap().becomes_root);
        allow(&program, 0o4755);
        let root = nix::unistd::geteuid().is_root();
        assert_eq!(walk(&program).unwrap().becomes_root, root);
    }
}
