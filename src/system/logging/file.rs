//! A file as a log (`-g`).
//!
//! Decides whose file may be written to, its name for each process, and that the worker
//! does not wait for a disk: there a thread writes. The supervisor must not have threads,
//! and has time. Every line is written at once, so that `--flush-log-file` asks for what
//! is done anyway. Source: specification E.2.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Duration;

use nix::unistd::geteuid;

use super::super::clock;
use super::lost;

/// How many lines may wait for a slow disk.
const LINES_MAX: usize = 4096;

/// A log file that is open.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    target: Target,
    dropped: u64,
}

#[derive(Debug)]
enum Target {
    Direct(File),
    /// To the thread, and what tells that it has ended.
    Thread(SyncSender<String>, Receiver<()>),
}

impl LogFile {
    /// Opens `path`, or makes it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            target: Target::Direct(opened(path)?),
            dropped: 0,
        })
    }

    /// The file of a forked process with this name.
    pub(super) fn for_process(&self, name: &str) -> io::Result<Self> {
        Self::open(&with_process(&self.path, name))
    }

    /// The same, written by a thread.
    pub(super) fn in_thread(self) -> io::Result<Self> {
        let Target::Direct(mut file) = self.target else {
            return Ok(self);
        };
        let (queue, lines) = mpsc::sync_channel::<String>(LINES_MAX);
        let (end, ended) = mpsc::channel();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                for line in lines {
                    // A full disk: there is no other place to say so.
                    let _ = file.write_all(line.as_bytes());
                }
                // Nobody may be waiting.
                let _ = end.send(());
            })?;
        Ok(Self {
            path: self.path,
            target: Target::Thread(queue, ended),
            dropped: self.dropped,
        })
    }

    pub(super) fn write(&mut self, text: &str) {
        if self.dropped > 0 && self.put(&lost(self.dropped)) {
            self.dropped = 0;
        }
        if !self.put(text) {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// Writes one line; whether it is taken.
    fn put(&mut self, text: &str) -> bool {
        let line = format!("{}: {text}\n", clock::console_date());
        match &mut self.target {
            Target::Direct(file) => file.write_all(line.as_bytes()).is_ok(),
            Target::Thread(queue, _) => queue.try_send(line).is_ok(),
        }
    }

    /// Waits until all lines are written, but not longer than `limit`.
    pub(super) fn finish(self, limit: Duration) {
        if let Target::Thread(queue, ended) = self.target {
            drop(queue);
            // Late or not, nobody needs it any more.
            let _ = ended.recv_timeout(limit);
        }
    }
}

/// A file that nobody has put in our way: no link, no pipe, not somebody else's.
fn opened(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o666)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    let metadata = file.metadata()?;
    let is_ours = metadata.uid() == geteuid().as_raw() && metadata.nlink() == 1;
    if metadata.is_file() && is_ours {
        Ok(file)
    } else {
        Err(io::Error::other("it is no file of our own"))
    }
}

/// With the name of a process before the last dot, as C has it.
fn with_process(path: &Path, name: &str) -> PathBuf {
    let (Some(stem), extension) = (path.file_stem(), path.extension()) else {
        return path.to_owned();
    };
    let mut file = stem.to_owned();
    file.push("_");
    file.push(name);
    if let Some(extension) = extension {
        file.push(".");
        file.push(extension);
    }
    path.with_file_name(file)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn each_process_has_its_file_and_nothing_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("k.log");
        fs::write(&path, "before\n").unwrap();
        let mut own = LogFile::open(&path).unwrap();
        own.write("one");
        let mut worker = own.for_process("vrrp").unwrap();
        for number in 0..1000 {
            worker.write(&number.to_string());
        }
        worker.finish(Duration::from_secs(20));
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("before\n") && text.ends_with(": one\n"),
            "{text}"
        );
        let text = fs::read_to_string(directory.path().join("k_vrrp.log")).unwrap();
        assert_eq!(text.lines().count(), 1000);
        assert!(text.ends_with(": 999\n"));
    }

    #[test]
    fn what_lies_in_the_way_is_not_written_to() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("victim"), "precious").unwrap();
        symlink(at("victim"), at("link")).unwrap();
        fs::hard_link(at("victim"), at("second")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for name in ["link", "second", "fifo", ""] {
            assert!(LogFile::open(&at(name)).is_err(), "{name}");
        }
        assert_eq!(fs::read_to_string(at("victim")).unwrap(), "precious");
    }

    #[test]
    fn the_name_of_a_process_stands_before_the_last_dot() {
        let name = |path: &str| with_process(Path::new(path), "vrrp").display().to_string();
        assert_eq!(name("/a/k.log"), "/a/k_vrrp.log");
        assert_eq!(name("/a.b/k"), "/a.b/k_vrrp");
        assert_eq!(name("/a/k.1.log"), "/a/k.1_vrrp.log");
    }
}
