//! A program that runs in a node: its output line by line, its end, signals.

use super::failure::{Context, Failure, Result, last_os_error};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// A started program. It is not ended when this value goes: the node ends it.
#[derive(Debug)]
pub struct Process {
    name: String,
    id: u32,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    record: Mutex<Record>,
    change: Condvar,
}

#[derive(Debug, Default)]
struct Record {
    lines: Vec<(Instant, String)>,
    /// No more lines will come.
    closed: bool,
    ended: Option<(Instant, ExitStatus)>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Sends a signal to a process of a node, by its id outside of the node.
pub fn send_signal(id: u32, signal: libc::c_int) -> Result<()> {
    let id = libc::pid_t::try_from(id).context("a process id")?;
    // SAFETY: a system call without pointers.
    if unsafe { libc::kill(id, signal) } == 0 {
        Ok(())
    } else {
        Err(last_os_error("sending a signal"))
    }
}

/// A place in the output of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineMark(usize);

impl LineMark {
    /// Before the first line.
    pub const BEGINNING: Self = Self(0);
}

impl Process {
    /// Starts a prepared command in the namespaces of the calling thread, with
    /// standard output and standard error in one stream of lines.
    pub fn start(name: &str, command: &mut Command) -> Result<Unwatched> {
        let (reader, writer) = std::io::pipe().context("making a pipe")?;
        let error = writer.try_clone().context("copying a pipe")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(error)
            .spawn()
            .context(format!("starting {name}"))?;
        // The command keeps the writing ends until it is given other ones.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Unwatched {
            name: name.to_owned(),
            child,
            reader,
        })
    }

    /// The process id as seen from outside of the node.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Sends a signal, unless the process has ended.
    pub fn signal(&self, signal: libc::c_int) {
        let record = self.shared.lock();
        if record.ended.is_none() {
            // The watcher may be about to reap the process. Its id is not given
            // away again that soon, and no process is no failure.
            let _ = send_signal(self.id, signal);
        }
    }

    /// Whether the process still runs.
    pub fn is_running(&self) -> bool {
        self.shared.lock().ended.is_none()
    }

    /// Waits until the process has ended.
    pub fn await_end(&self, timeout: Duration) -> Result<(Instant, ExitStatus)> {
        let what = format!("end of {}", self.name);
        self.await_change(timeout, &what, |record| record.ended)
    }

    /// The present place in the output.
    pub fn line_mark(&self) -> LineMark {
        LineMark(self.shared.lock().lines.len())
    }

    /// Waits for a line anywhere in the output that contains `text`.
    pub fn await_line(&self, timeout: Duration, text: &str) -> Result<(Instant, String)> {
        self.await_line_after(LineMark(0), timeout, text)
    }

    /// Waits for a line after `mark` that contains `text`.
    pub fn await_line_after(
        &self,
        mark: LineMark,
        timeout: Duration,
        text: &str,
    ) -> Result<(Instant, String)> {
        let what = format!("line {text:?} from {}", self.name);
        self.await_change(timeout, &what, |record| {
            let lines = record.lines.iter().skip(mark.0);
            lines.clone().find(|(_, line)| line.contains(text)).cloned()
        })
    }

    /// How many lines so far contain `text`.
    pub fn count_lines(&self, text: &str) -> usize {
        let record = self.shared.lock();
        record
            .lines
            .iter()
            .filter(|(_, line)| line.contains(text))
            .count()
    }

    /// How many lines after `mark` are as `wanted`.
    pub fn count_lines_after(&self, mark: LineMark, wanted: impl Fn(&str) -> bool) -> usize {
        let record = self.shared.lock();
        let lines = record.lines.iter().skip(mark.0);
        lines.filter(|(_, line)| wanted(line)).count()
    }

    /// The whole output, with times in milliseconds after `start`.
    pub fn output(&self, start: Instant) -> String {
        let mut text = format!("---- {}\n", self.name);
        for (at, line) in &self.shared.lock().lines {
            let at = at.saturating_duration_since(start).as_secs_f64() * 1e3;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{at:10.1} ms  {line}");
        }
        text
    }

    fn await_change<T>(
        &self,
        timeout: Duration,
        what: &str,
        wanted: impl Fn(&Record) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + timeout;
        let mut record = self.shared.lock();
        loop {
            if let Some(found) = wanted(&record) {
                return Ok(found);
            }
            if let (true, Some((_, status))) = (record.closed, record.ended) {
                return Err(Failure::new(format!(
                    "never seen: {what}; it ended with {status}"
                )));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::new(format!("not seen within {timeout:?}: {what}")));
            }
            record = match self.shared.change.wait_timeout(record, left) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}

/// A process that was started on a thread that must not start threads itself.
#[derive(Debug)]
pub struct Unwatched {
    name: String,
    child: Child,
    reader: std::io::PipeReader,
}

impl Unwatched {
    /// Begins to read its output and to wait for its end.
    pub fn watch(self) -> Process {
        let Self {
            name,
            mut child,
            reader,
        } = self;
        let id = child.id();
        let shared = Arc::new(Shared::default());
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let mut lines = BufReader::new(reader).split(b'\n');
                while let Some(Ok(bytes)) = lines.next() {
                    let line = String::from_utf8_lossy(&bytes).into_owned();
                    shared.lock().lines.push((Instant::now(), line));
                    shared.change.notify_all();
                }
                shared.lock().closed = true;
                shared.change.notify_all();
            }
        });
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                if let Ok(status) = child.wait() {
                    shared.lock().ended = Some((Instant::now(), status));
                    shared.change.notify_all();
                }
            }
        });
        Process { name, id, shared }
    }
}
