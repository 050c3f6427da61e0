//! Whether users other than root could change what root is about to run.
//!
//! Decides that for one program and the directories above it. Source:
//! specification D.8 (path walk).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const SET_USER: u32 = 0o4000;
const SET_GROUP: u32 = 0o2000;
const STICKY: u32 = 0o1000;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;

/// The first part of `program`, or of what its symbolic links lead to, that
/// somebody other than root can change; `None` if there is none. What cannot be
/// looked at counts as changeable.
pub fn changeable_part(program: &Path) -> Option<PathBuf> {
    first_changeable(program).or_else(|| match fs::canonicalize(program) {
        Ok(target) if target == program => None,
        Ok(target) => first_changeable(&target),
        Err(_) => Some(program.to_owned()),
    })
}

/// Whether `program` runs as root or in root's group whoever starts it.
pub fn becomes_root(program: &Path) -> bool {
    fs::metadata(program).is_ok_and(|metadata| {
        let mode = metadata.mode();
        (mode & SET_USER != 0 && metadata.uid() == 0)
            || (mode & SET_GROUP != 0 && metadata.gid() == 0)
    })
}

fn first_changeable(path: &Path) -> Option<PathBuf> {
    let mut parts: Vec<&Path> = path.ancestors().filter(|part| part.has_root()).collect();
    parts.reverse();
    parts
        .into_iter()
        .find(|part| is_changeable(part))
        .map(Path::to_owned)
}

fn is_changeable(part: &Path) -> bool {
    let Ok(metadata) = fs::symlink_metadata(part) else {
        return true;
    };
    if metadata.uid() != 0 {
        return true;
    }
    // A link has no rights of its own, and in a sticky directory only the
    // owner of an entry can replace it.
    let mode = metadata.mode();
    if metadata.is_symlink() || (metadata.is_dir() && mode & STICKY != 0) {
        return false;
    }
    mode & OTHERS_WRITE != 0 || (mode & GROUP_WRITES != 0 && metadata.gid() != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    #[test]
    fn a_program_that_becomes_root_is_known_by_its_bits() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("program");
        fs::write(&program, "").unwrap();
        allow(&program, 0o755);
        assert!(!becomes_root(&program));
        let root = fs::metadata(&program).unwrap().uid() == 0;
        allow(&program, 0o4755);
        assert_eq!(becomes_root(&program), root);
    }

    fn allow(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_part_that_others_can_change_is_named() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let top = tempfile::tempdir().unwrap();
        let directory = top.path().join("scripts");
        let script = directory.join("check");
        fs::create_dir(&directory).unwrap();
        fs::write(&script, "#!/bin/sh\n").unwrap();
        allow(&script, 0o755);
        assert_eq!(changeable_part(&script), None);

        allow(&script, 0o777);
        assert_eq!(changeable_part(&script), Some(script.clone()));
        allow(&script, 0o775);
        assert_eq!(changeable_part(&script), None, "the group is root's");
        chown(&script, None, Some(1)).unwrap();
        assert_eq!(changeable_part(&script), Some(script.clone()));
        allow(&script, 0o755);

        allow(&directory, 0o777);
        assert_eq!(changeable_part(&script), Some(directory.clone()));
        allow(&directory, 0o1777);
        assert_eq!(changeable_part(&script), None, "sticky");
        chown(&directory, Some(1), None).unwrap();
        assert_eq!(changeable_part(&script), Some(directory.clone()));
        chown(&directory, Some(0), None).unwrap();

        let link = top.path().join("link");
        symlink(&script, &link).unwrap();
        assert_eq!(changeable_part(&link), None);
        allow(&script, 0o757);
        assert_eq!(changeable_part(&link), Some(script));
    }

    #[test]
    fn what_is_not_there_is_not_trusted() {
        let absent = Path::new("/no/such/script");
        assert_eq!(changeable_part(absent), Some(PathBuf::from("/no")));
    }
}
