//! Configuration files on disk.
//!
//! Decides which files may be a configuration and how a pattern becomes a list
//! of names. What is in them is for `config`. Source: specification A.5.

use std::ffi::{CStr, CString, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::braces;
use crate::config::source::{FileProblem, Files};

/// A larger file is no configuration.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The files of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiskFiles;

impl Files for DiskFiles {
    fn read(&self, path: &Path) -> Result<Vec<u8>, FileProblem> {
        // Without O_NONBLOCK a pipe of that name would stop the daemon here.
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path);
        let file = file.map_err(problem)?;
        let metadata = file.metadata().map_err(problem)?;
        if metadata.is_dir() {
            return Err(FileProblem::Directory);
        }
        if !metadata.is_file() || metadata.mode() & 0o111 != 0 {
            return Err(FileProblem::NotRegularOrExecutable);
        }
        // One byte more, so that the end is found without growing.
        let size = metadata.len().min(FILE_BYTES_MAX).saturating_add(1);
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.take(FILE_BYTES_MAX.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(problem)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(FileProblem::Unreadable(libc::EFBIG));
        }
        Ok(bytes)
    }

    fn matching(&self, pattern: &Path, directory: &Path) -> Vec<PathBuf> {
        let pattern = whole_pattern(pattern, directory);
        let mut paths = Vec::new();
        if cfg!(target_env = "musl") {
            for alternative in braces::expand(&pattern) {
                glob(&alternative, &mut paths);
            }
        } else {
            glob(&pattern, &mut paths);
        }
        // The alternatives of a brace may name one file twice.
        paths.dedup();
        paths
    }

    fn variable(&self, name: &str) -> Option<String> {
        let value = std::env::var_os(name)?;
        Some(value.to_string_lossy().into_owned())
    }
}

fn problem(error: std::io::Error) -> FileProblem {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR) => FileProblem::Missing,
        number => FileProblem::Unreadable(number.unwrap_or(libc::EIO)),
    }
}

/// The pattern behind its directory, in which no character is special.
fn whole_pattern(pattern: &Path, directory: &Path) -> Vec<u8> {
    let pattern = pattern.as_os_str().as_bytes();
    let mut whole = Vec::new();
    if !pattern.starts_with(b"/") && !directory.as_os_str().is_empty() {
        for &byte in directory.as_os_str().as_bytes() {
            if b"\\*?[]{},~".contains(&byte) {
                whole.push(b'\\');
            }
            whole.push(byte);
        }
        whole.push(b'/');
    }
    whole.extend_from_slice(pattern);
    whole
}

/// Braces are done by `braces` where the library does not know them.
#[cfg(target_env = "musl")]
const GLOB_FLAGS: i32 = libc::GLOB_MARK;
#[cfg(not(target_env = "musl"))]
const GLOB_FLAGS: i32 = libc::GLOB_MARK | libc::GLOB_BRACE;

/// Adds the files that match `pattern`.
fn glob(pattern: &[u8], paths: &mut Vec<PathBuf>) {
    let Ok(pattern) = CString::new(pattern) else {
        return;
    };
    // SAFETY: all-zero bytes are a valid empty glob_t, which glob fills in.
    let mut found: libc::glob_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pattern ends in NUL, no callback is given, and `found` outlives the call.
    let status = unsafe { libc::glob(pattern.as_ptr(), GLOB_FLAGS, None, &mut found) };
    if status == 0 {
        for index in 0..found.gl_pathc as usize {
            // SAFETY: glob succeeded, so gl_pathv has gl_pathc pointers to strings
            // that end in NUL and live until globfree.
            let path = unsafe { CStr::from_ptr(*found.gl_pathv.add(index)) };
            paths.push(PathBuf::from(OsString::from_vec(path.to_bytes().to_vec())));
        }
    }
    // SAFETY: `found` was given to glob once and is not used afterwards.
    unsafe { libc::globfree(&mut found) };
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::{Options, load};

    #[test]
    fn a_pattern_names_sorted_files_beside_the_including_one() {
        let directory = tempfile::Builder::new()
            .prefix("we[ir]d")
            .tempdir()
            .unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["b.conf", "a.conf", "c.txt"] {
            std::fs::write(at(name), "").unwrap();
        }
        let found = DiskFiles.matching(Path::new("*.conf"), directory.path());
        assert_eq!(found, [at("a.conf"), at("b.conf")]);
        let found = DiskFiles.matching(Path::new("{c.txt,a.conf}"), directory.path());
        assert_eq!(found, [at("c.txt"), at("a.conf")]);
        assert!(
            DiskFiles
                .matching(Path::new("nothing"), directory.path())
                .is_empty()
        );
    }

    #[test]
    fn only_regular_files_without_execute_bits_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("k.conf");
        std::fs::write(&path, "x").unwrap();
        assert_eq!(DiskFiles.read(&path), Ok(b"x".to_vec()));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(
            DiskFiles.read(&path),
            Err(FileProblem::NotRegularOrExecutable)
        );
        assert_eq!(
            DiskFiles.read(directory.path()),
            Err(FileProblem::Directory)
        );
        let missing = directory.path().join("missing");
        assert_eq!(DiskFiles.read(&missing), Err(FileProblem::Missing));
    }

    #[test]
    fn a_missing_main_file_is_no_configuration() {
        let loaded = load(
            &DiskFiles,
            Path::new("/nonexistent/k.conf"),
            &Options::default(),
        );
        assert!(!loaded.is_usable());
        assert_eq!(loaded.exit_code(), 6);
        let line = loaded.diagnostics[0].as_c_line(&loaded.sources);
        assert_eq!(line, "Config files missing '/nonexistent/k.conf'.");
    }

    /// What is said, and the exit code, of a file that includes by this line.
    fn included(directory: &Path, line: &str) -> (Vec<String>, u8) {
        let main = directory.join("main.conf");
        std::fs::write(&main, format!("{line}\n")).unwrap();
        let loaded = load(&DiskFiles, &main, &Options::default());
        let said = loaded.diagnostics.iter();
        let said = said.map(|found| found.message.replace(directory.to_str().unwrap(), ""));
        (said.collect(), loaded.exit_code())
    }

    #[test]
    fn the_braces_of_an_include_may_name_what_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("a.c"), "xa").unwrap();
        std::fs::write(at("b.c"), "xb").unwrap();
        let (xa, xb) = ("Unknown keyword 'xa'", "Unknown keyword 'xb'");
        for (line, said, code) in [
            ("include {b,a}.c", vec![xb, xa], 5),
            ("include {{b,a},{a,b}}.c", vec![xb, xa, xb], 5),
            ("include {a.c,*.none}", vec![xa], 5),
            (
                "include {a,b,q}.c",
                vec!["Some config files missing: \"{a,b,q}.c\".", xa, xb],
                5,
            ),
            (
                "includem {a,q}.c",
                vec!["Some config files missing: \"{a,q}.c\".", xa],
                5,
            ),
            (
                "includeb {a,q}.c",
                vec!["Some config files missing: \"{a,q}.c\".", xa],
                6,
            ),
            (
                "includem {q,r}.c",
                vec!["Config files missing '{q,r}.c'."],
                0,
            ),
            (
                "includeb {q,r}.c",
                vec!["Config files missing '{q,r}.c'."],
                6,
            ),
            ("includem q.c", vec!["Config files missing 'q.c'."], 6),
            ("includem q*", vec![], 0),
            ("include q/*.c", vec!["Config files missing 'q/*.c'."], 0),
            ("includem q/*.c", vec!["Config files missing 'q/*.c'."], 6),
            ("includem q*/a.c", vec![], 0),
            (
                "includem /*/none.c",
                vec!["Config files missing '/*/none.c'."],
                6,
            ),
            ("includew q*", vec!["No config files matched 'q*'."], 6),
            ("includea {a.c,q*}", vec![xa], 5),
            (
                "include \"a.c\"",
                vec!["Config files missing '\"a.c\"'."],
                0,
            ),
            (
                "include a.c b.c",
                vec!["Config files missing 'a.c b.c'."],
                0,
            ),
            ("$F=a.c\ninclude $F", vec![xa], 5),
            ("include", vec!["Unknown keyword 'include'"], 5),
        ] {
            let said: Vec<String> = said.into_iter().map(str::to_owned).collect();
            assert_eq!(included(directory.path(), line), (said, code), "{line}");
        }
    }

    #[test]
    fn a_checked_include_of_something_else_than_a_file_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.c");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::create_dir(directory.path().join("d")).unwrap();
        let file = "Configuration file '/x.c' is not a regular non-executable file - skipping";
        let folder = "Configuration file '/d' is a directory - skipping";
        for (line, said, code) in [
            ("include x.c", file, 0),
            ("includer x.c", file, 6),
            ("include d", folder, 0),
            ("includer d", folder, 6),
        ] {
            let expected = (vec![said.to_owned()], code);
            assert_eq!(included(directory.path(), line), expected, "{line}");
        }
    }

    #[test]
    fn several_main_files_are_read_with_a_warning() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a.m", "b.m"] {
            let path = directory.path().join(name);
            std::fs::write(path, "global_defs {\nrouter_id r\n}\n").unwrap();
        }
        let said = |pattern: &str| {
            let loaded = load(
                &DiskFiles,
                &directory.path().join(pattern),
                &Options::default(),
            );
            let said = loaded.diagnostics.iter();
            let said: Vec<_> = said
                .map(|found| {
                    found
                        .message
                        .replace(directory.path().to_str().unwrap(), "")
                })
                .collect();
            (said, loaded.exit_code(), loaded.sources.len())
        };
        let several = "WARNING, multiple configuration file matches of /*.m, starting with /a.m";
        assert_eq!(said("*.m"), (vec![several.to_owned()], 5, 2));
        let some = "Some config files missing: \"/{a,q}.m\".";
        assert_eq!(said("{a,q}.m"), (vec![some.to_owned()], 0, 1));
    }
}
