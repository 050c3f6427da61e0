//! How lines get into the notify FIFOs: a thread of its own.
//!
//! Decides what happens when a reader does not keep up: lines wait, first in the
//! kernel, then here, up to [`LINES_MAX`]; those that come then are lost, counted,
//! and told of when it begins and when it is over. Nobody who hands a line over
//! ever waits, whatever a reader does. A line is written whole or not at all: it
//! is shorter than `PIPE_BUF`, and if a name makes it longer, its rest comes next.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::Which;
use crate::system::clock::now;
use crate::time::{Instant, Interval};

/// How many lines wait for the reader of one FIFO, besides those in the kernel;
/// and how many for the thread.
pub const LINES_MAX: usize = 4096;

/// How long readers that do not keep up are waited for at the end.
const END_LIMIT: Interval = Interval::from_ms(200);

/// The way to the thread.
#[derive(Debug)]
pub struct Writer {
    messages: Sender<Message>,
    shared: Arc<Shared>,
    ended: Receiver<()>,
    /// Which FIFOs there are.
    open: [bool; Which::ALL.len()],
}

#[derive(Debug)]
struct Shared {
    /// Wakes the thread.
    wake: EventFd,
    /// Lines that the thread has not taken yet.
    waiting: AtomicUsize,
    /// Lines that the thread never got.
    lost: AtomicU64,
}

#[derive(Debug)]
enum Message {
    Line(Arc<str>),
    Use(Which, Option<Fifo>),
}

impl Writer {
    /// Starts the thread. There are no FIFOs yet.
    ///
    /// # Errors
    /// There are too many threads or open files.
    pub fn start() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let shared = Arc::new(Shared {
            wake: EventFd::from_flags(flags)?,
            waiting: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
        });
        let (messages, received) = mpsc::channel();
        let (ending, ended) = mpsc::channel();
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("fifo".into())
            .spawn(move || {
                Thread::new(received, &theirs).run();
                // Nobody may be waiting.
                let _ = ending.send(());
            })?;
        Ok(Self {
            messages,
            shared,
            ended,
            open: [false; Which::ALL.len()],
        })
    }

    /// From now on lines go into `fifo`, a non-blocking descriptor of the FIFO at
    /// `path`, instead of what it was before.
    pub fn follow(&mut self, which: Which, path: &str, fifo: Option<OwnedFd>) {
        if let Some(open) = self.open.get_mut(which as usize) {
            *open = fifo.is_some();
        }
        let fifo = fifo.map(|fd| Fifo::new(which, path, File::from(fd)));
        self.send(Message::Use(which, fifo));
    }

    /// Whether anybody is told.
    pub fn is_open(&self) -> bool {
        self.open.contains(&true)
    }

    /// Hands a line over, its end included. Never blocks.
    pub fn write(&self, line: &str) {
        if !self.is_open() {
            return;
        }
        if self.shared.waiting.load(Ordering::Relaxed) >= LINES_MAX {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        self.send(Message::Line(line.into()));
    }

    /// Ends the thread when everything is written, or after `limit`.
    pub fn finish(self, limit: Interval) {
        drop(self.messages);
        let _ = self.shared.wake.write(1);
        let _ = self.ended.recv_timeout(limit.into());
    }

    fn send(&self, message: Message) {
        // Without the thread there are no FIFOs. A full counter wakes it as well.
        let _ = self.messages.send(message);
        let _ = self.shared.wake.write(1);
    }
}

struct Thread<'a> {
    messages: Receiver<Message>,
    shared: &'a Shared,
    fifos: [Option<Fifo>; Which::ALL.len()],
    /// Nothing follows; until then readers are waited for.
    end_at: Option<Instant>,
}

impl<'a> Thread<'a> {
    fn new(messages: Receiver<Message>, shared: &'a Shared) -> Self {
        Self {
            messages,
            shared,
            fifos: [const { None }; Which::ALL.len()],
            end_at: None,
        }
    }

    fn run(mut self) {
        loop {
            self.take_messages();
            let mut waits = false;
            for slot in &mut self.fifos {
                if let Some(fifo) = slot
                    && let Err(error) = fifo.flush()
                {
                    fifo.failed(&error);
                    *slot = None;
                }
                waits |= slot.as_ref().is_some_and(Fifo::is_waiting);
            }
            let over = self.end_at.is_some_and(|end| !waits || end <= now());
            if over {
                return self.fifos.iter().flatten().for_each(Fifo::end);
            }
            self.wait();
        }
    }

    fn wait(&self) {
        let timeout = self.end_at.map_or(PollTimeout::NONE, |end| {
            let ms = end.since(now()).as_us().div_ceil(1000);
            PollTimeout::from(u16::try_from(ms).unwrap_or(u16::MAX))
        });
        let waiting = self.fifos.iter().flatten().filter(|it| it.is_waiting());
        let mut fds: Vec<PollFd<'_>> = waiting
            .map(|fifo| PollFd::new(fifo.file.as_fd(), PollFlags::POLLOUT))
            .collect();
        if self.end_at.is_none() {
            fds.push(PollFd::new(self.shared.wake.as_fd(), PollFlags::POLLIN));
        }
        // Interrupted is as good as woken.
        let _ = poll(&mut fds, timeout);
    }

    fn take_messages(&mut self) {
        // Before the messages: what comes later wakes us again.
        let _ = self.shared.wake.read();
        loop {
            match self.messages.try_recv() {
                Ok(Message::Line(line)) => {
                    self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
                    for fifo in self.fifos.iter_mut().flatten() {
                        fifo.take(&line);
                    }
                }
                Ok(Message::Use(which, fifo)) => {
                    if let Some(slot) = self.fifos.get_mut(which as usize) {
                        if let Some(mut before) = std::mem::replace(slot, fifo) {
                            // The last attempt.
                            let _ = before.flush();
                            before.end();
                        }
                    }
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.end_at.get_or_insert_with(|| now() + END_LIMIT);
                    break;
                }
            }
        }
        let lost = self.shared.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            for fifo in self.fifos.iter_mut().flatten() {
                fifo.lose(lost);
            }
        }
    }
}

/// One FIFO with the lines that wait for its reader.
#[derive(Debug)]
struct Fifo {
    which: Which,
    path: String,
    file: File,
    waiting: VecDeque<Arc<str>>,
    /// How many bytes of the first line are written: not 0 only if it is longer
    /// than the kernel takes at once.
    written: usize,
    /// Lines lost since the reader last kept up.
    lost: u64,
}

impl Fifo {
    fn new(which: Which, path: &str, file: File) -> Self {
        Self {
            which,
            path: path.to_owned(),
            file,
            waiting: VecDeque::new(),
            written: 0,
            lost: 0,
        }
    }

    fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn take(&mut self, line: &Arc<str>) {
        if self.waiting.len() >= LINES_MAX {
            // There may be room again since.
            let _ = self.flush();
        }
        if self.waiting.len() >= LINES_MAX {
            self.lose(1);
        } else {
            self.waiting.push_back(Arc::clone(line));
        }
    }

    fn lose(&mut self, lines: u64) {
        if self.lost == 0 {
            tracing::warn!(
                "{}notify fifo {}: its reader does not keep up, lines are lost",
                self.which.prefix(),
                self.path
            );
        }
        self.lost = self.lost.saturating_add(lines);
    }

    /// Writes what the kernel takes.
    fn flush(&mut self) -> io::Result<()> {
        while let Some(line) = self.waiting.front() {
            let rest = line.as_bytes().get(self.written..).unwrap_or_default();
            match self.file.write(rest) {
                Ok(count) if count < rest.len() => {
                    self.written = self.written.saturating_add(count);
                }
                Ok(_) => {
                    self.written = 0;
                    self.waiting.pop_front();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.lost > 0 {
            let (prefix, path, lost) = (self.which.prefix(), &self.path, self.lost);
            tracing::warn!(
                "{prefix}notify fifo {path}: its reader keeps up again, {lost} lines were lost"
            );
            self.lost = 0;
        }
        Ok(())
    }

    fn failed(&self, error: &io::Error) {
        let (prefix, path) = (self.which.prefix(), &self.path);
        tracing::error!("Unable to write to {prefix}notify fifo {path}, not using: {error}");
    }

    /// Says what nobody will read.
    fn end(&self) {
        let waiting = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
        let lost = self.lost.saturating_add(waiting);
        if lost > 0 {
            let (prefix, path) = (self.which.prefix(), &self.path);
            tracing::warn!("{prefix}notify fifo {path}: {lost} lines were lost at its end");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::path::Path;

    use super::super::place;
    use super::*;

    fn fifo(directory: &Path) -> (OwnedFd, BufReader<File>) {
        let path = directory.join("fifo");
        let opened = place::open(&path, 0o600, None).unwrap();
        let reader = File::open(&path).unwrap();
        (opened.file.into(), BufReader::new(reader))
    }

    fn open(directory: &Path) -> (Writer, BufReader<File>) {
        let (file, reader) = fifo(directory);
        let mut writer = Writer::start().unwrap();
        writer.follow(Which::Vrrp, "/the/fifo", Some(file));
        (writer, reader)
    }

    #[test]
    fn lines_arrive_whole_and_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let (writer, mut reader) = open(directory.path());
        for number in 0..1000 {
            writer.write(&format!("line {number}\n"));
        }
        let mut line = String::new();
        for number in 0..1000 {
            line.clear();
            reader.read_line(&mut line).unwrap();
            assert_eq!(line, format!("line {number}\n"));
        }
        writer.finish(Interval::from_secs(10));
        line.clear();
        assert_eq!(reader.read_line(&mut line).unwrap(), 0, "nobody writes");
    }

    #[test]
    fn a_line_longer_than_the_kernel_takes_at_once_is_not_torn() {
        let directory = tempfile::tempdir().unwrap();
        let (writer, mut reader) = open(directory.path());
        let long = format!("{}\n", "x".repeat(200_000));
        writer.write(&long);
        writer.write("next\n");
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert_eq!(line, long);
        line.clear();
        reader.read_line(&mut line).unwrap();
        assert_eq!(line, "next\n");
    }

    #[test]
    fn a_stalled_reader_holds_up_nobody_and_loses_the_latest_lines() {
        let directory = tempfile::tempdir().unwrap();
        let (writer, mut reader) = open(directory.path());
        const COUNT: usize = 40_000;
        let begun = now();
        for number in 0..COUNT {
            writer.write(&format!("a line with the number {number}\n"));
        }
        assert!(now().since(begun) < Interval::from_secs(10));
        let waiting = writer.shared.waiting.load(Ordering::Relaxed);
        assert!(waiting <= LINES_MAX, "{waiting} lines wait");
        writer.finish(Interval::from_secs(10));
        let mut numbers = Vec::new();
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap() > 0 {
            let number = line.strip_prefix("a line with the number ").unwrap();
            numbers.push(number.trim().parse::<usize>().unwrap());
            line.clear();
        }
        assert!(numbers.len() > 500 && numbers.len() < COUNT);
        let first: Vec<usize> = (0..numbers.len()).collect();
        assert_eq!(numbers, first, "the kernel kept the first lines, whole");
    }

    #[test]
    fn what_waits_is_written_when_the_reader_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let (writer, mut reader) = open(directory.path());
        // More than the kernel takes, less than may wait.
        const COUNT: usize = 4000;
        for number in 0..COUNT {
            writer.write(&format!("{number:0>60}\n"));
        }
        let mut line = String::new();
        for number in 0..COUNT {
            line.clear();
            reader.read_line(&mut line).unwrap();
            assert_eq!(line, format!("{number:0>60}\n"));
        }
    }

    #[test]
    fn each_fifo_gets_every_line_and_one_that_is_closed_none() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut writer, mut reader) = open(one.path());
        assert!(writer.is_open());
        let (file, mut second) = fifo(other.path());
        writer.follow(Which::Global, "/the/other", Some(file));
        writer.write("to both\n");
        writer.follow(Which::Vrrp, "/the/fifo", None);
        writer.write("to one\n");
        writer.follow(Which::Global, "/the/other", None);
        assert!(!writer.is_open());
        let read = |reader: &mut BufReader<File>| {
            let lines: Result<Vec<String>, _> = reader.lines().collect();
            lines.unwrap()
        };
        assert_eq!(read(&mut reader), ["to both"]);
        assert_eq!(read(&mut second), ["to both", "to one"]);
    }
}
