//! A terminal that is drawn on: its size, its keys, and that it is afterwards as it was
//! before.
//!
//! Decides nothing about what is shown. Plain ANSI sequences, nothing is asked of the
//! terminal but its size. Keys come from `/dev/tty`, whatever standard input is.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Another screen than that of the shell, without a cursor.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[2J";

/// Back to what was there.
const LEAVE: &[u8] = b"\x1b[?25h\x1b[?1049l";

/// What somebody has pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `q`, Ctrl-C, a signal that asks for the end, or the terminal is gone.
    Quit,
    /// One line up.
    Up,
    /// One line down.
    Down,
    /// Anything else.
    Other,
}

/// A terminal that is drawn on; as it was before when this is dropped.
#[derive(Debug)]
pub struct Screen {
    terminal: File,
    before: libc::termios,
    /// What would end the process with the terminal as it is.
    ends: SignalFd,
}

impl Screen {
    /// Takes the terminal of this process.
    ///
    /// # Errors
    /// There is none, or it is none that can be drawn on.
    pub fn open() -> io::Result<Self> {
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        let before = attributes(&terminal)?;
        let mut raw = before;
        // Keys come at once, are not shown, and are no signals.
        raw.c_lflag &= !(libc::ICANON | libc::ECHO | libc::ISIG);
        let ending = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
        let ending: SigSet = ending.into_iter().collect();
        ending.thread_block()?;
        let ends = SignalFd::with_flags(&ending, SfdFlags::SFD_CLOEXEC)?;
        set_attributes(&terminal, &raw)?;
        let mut screen = Self {
            terminal,
            before,
            ends,
        };
        screen.draw(ENTER)?;
        Ok(screen)
    }

    /// Rows and columns; what a terminal has always had if it does not say.
    pub fn size(&self) -> (usize, usize) {
        let mut size = MaybeUninit::<libc::winsize>::zeroed();
        // SAFETY: the descriptor is open, and the kernel writes a winsize there.
        let result = unsafe {
            libc::ioctl(
                self.terminal.as_raw_fd(),
                libc::TIOCGWINSZ,
                size.as_mut_ptr(),
            )
        };
        // SAFETY: zeros are a valid winsize, and so is what the kernel wrote.
        let size = unsafe { size.assume_init() };
        match (result, size.ws_row, size.ws_col) {
            (0, 1.., 1..) => (size.ws_row.into(), size.ws_col.into()),
            _ => (24, 80),
        }
    }

    /// Writes this to it.
    ///
    /// # Errors
    /// Whatever the kernel says; the terminal may be gone.
    pub fn draw(&mut self, sequence: &[u8]) -> io::Result<()> {
        self.terminal.write_all(sequence)?;
        self.terminal.flush()
    }

    /// The next key; `None` if there is none within `patience`.
    pub fn key(&mut self, patience: Duration) -> Option<Key> {
        let ms = u16::try_from(patience.as_millis()).unwrap_or(u16::MAX);
        let mut fds = [
            PollFd::new(self.ends.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN),
        ];
        if poll(&mut fds, PollTimeout::from(ms)).unwrap_or(0) == 0 {
            return None;
        }
        if fds[0].any() != Some(false) {
            return Some(Key::Quit);
        }
        let mut pressed = [0; 16];
        let length = self.terminal.read(&mut pressed).unwrap_or(0);
        Some(match pressed.get(..length).unwrap_or_default() {
            [] | [b'q' | b'Q' | 3 | 4, ..] => Key::Quit,
            b"\x1b[A" | b"\x1bOA" | b"k" => Key::Up,
            b"\x1b[B" | b"\x1bOB" | b"j" => Key::Down,
            _ => Key::Other,
        })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // If it is gone there is nothing to put back.
        let _ = self.draw(LEAVE);
        let _ = set_attributes(&self.terminal, &self.before);
    }
}

fn attributes(terminal: &File) -> io::Result<libc::termios> {
    let mut found = MaybeUninit::<libc::termios>::zeroed();
    // SAFETY: the descriptor is open, and the C library writes a termios there.
    if unsafe { libc::tcgetattr(terminal.as_raw_fd(), found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it has just been written.
    Ok(unsafe { found.assume_init() })
}

fn set_attributes(terminal: &File, wanted: &libc::termios) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the value came from tcgetattr.
    if unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSANOW, wanted) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
