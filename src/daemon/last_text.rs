//! A copy of the configuration that runs, in a file: what may be left in the kernel
//! when both processes were killed follows from it.
//!
//! Decides where the file lies and how it looks: a line with the options of the
//! reading, then one for each text, two of them while a reload is under way. Who
//! reads it is decided in `left_behind.rs`. It may hold passwords, so its mode is
//! 0600. It is replaced as a whole.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::source::Sources;
use crate::config::{self, Options};

use super::key_files;

/// More than any configuration.
const BYTES_MAX: u64 = 1 << 30;

/// How a text is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The name of the main file.
    pub main: PathBuf,
    /// The options.
    pub options: Options,
}

/// Where the copy of the daemon with this pid file lies: beside it, so that two
/// daemons have two.
pub fn beside(pid_file: &Path) -> PathBuf {
    pid_file.with_extension("last")
}

/// Writes the texts, as [`Sources::to_bytes`] makes them, and how they were read.
///
/// # Errors
/// The directory cannot be written to, or is full; what was there stays.
pub fn write(path: &Path, reading: &Reading, texts: &[&[u8]]) -> io::Result<()> {
    let new = path.with_extension("last.new");
    // Left over from a daemon that was killed while it wrote.
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    let head = serde_json::to_vec(reading)?;
    let mut written = file.write_all(&head);
    // Not put together first: each may be megabytes.
    for part in texts.iter().flat_map(|text| [&b"\n"[..], text]) {
        written = written.and_then(|()| file.write_all(part));
    }
    written
        .and_then(|()| fs::rename(&new, path))
        .inspect_err(|_| {
            let _ = fs::remove_file(&new);
        })
}

/// The configurations that the file holds; none if there is no such file.
///
/// # Errors
/// It is there and is no such file.
pub fn read(path: &Path) -> io::Result<Vec<config::model::Config>> {
    let file = match OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
    {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, BYTES_MAX), &mut bytes)?;
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let reading: Reading = serde_json::from_slice(lines.next().unwrap_or_default())?;
    lines.map(|line| config_of(line, &reading)).collect()
}

fn config_of(text: &[u8], reading: &Reading) -> io::Result<config::model::Config> {
    let invalid = |error: String| io::Error::new(io::ErrorKind::InvalidData, error);
    let sources = Sources::from_bytes(text).map_err(|error| invalid(error.to_string()))?;
    let mut loaded = config::load(&sources, &reading.main, &reading.options);
    key_files::read(&mut loaded);
    Ok(loaded.config)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::system::files::DiskFiles;

    #[test]
    fn what_was_written_is_read_again_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let main = directory.path().join("keepalived.conf");
        let options = Options {
            config_id: "node".to_owned(),
            random_seed: 7,
            ..Options::default()
        };
        let reading = Reading {
            main: main.clone(),
            options: options.clone(),
        };
        let mut loads = ["1", "2"].map(|number| {
            let text = format!(
                "vrrp_instance VI_{number} {{\ninterface eth0\nvirtual_router_id {number}\n\
                 virtual_ipaddress {{\n10.0.0.${{_RANDOM}}\n}}\n}}\n"
            );
            fs::write(&main, text.replace("${_RANDOM}", number)).unwrap();
            config::load(&DiskFiles, &main, &options)
        });
        let texts = loads.each_mut().map(|it| it.sources.to_bytes());
        let path = beside(&directory.path().join("keepalived.pid"));
        write(&path, &reading, &[&texts[0]]).unwrap();
        write(&path, &reading, &[&texts[0], &texts[1]]).unwrap();
        // The disk says something else by now.
        fs::remove_file(&main).unwrap();
        let found = read(&path).unwrap();
        assert_eq!(found, loads.map(|it| it.config));
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn no_file_is_nothing_and_a_spoilt_one_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keepalived.last");
        assert_eq!(read(&path).unwrap(), []);
        for spoilt in ["", "x", "{}\n{}", "null\n"] {
            fs::write(&path, spoilt).unwrap();
            assert!(read(&path).is_err(), "{spoilt:?}");
        }
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(read(&path).is_err());
    }
}
