//! The signals of specification E.4 as a readable descriptor.
//!
//! Decides which signals are taken and how they are read. Does not decide what
//! they mean to a process.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// What a user, or the kernel, tells the daemon by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Stop,
    /// SIGINT.
    Interrupt,
    /// SIGHUP.
    Reload,
    /// SIGUSR1: write the data dump.
    Data,
    /// SIGUSR2: write the statistics.
    Statistics,
    /// SIGRTMIN+2: write the JSON dump.
    Json,
    /// SIGRTMAX-1: write the statistics, then set them to zero.
    ClearStatistics,
    /// SIGCHLD.
    Child,
}

impl Signal {
    const ALL: [Self; 8] = [
        Self::Stop,
        Self::Interrupt,
        Self::Reload,
        Self::Data,
        Self::Statistics,
        Self::Json,
        Self::ClearStatistics,
        Self::Child,
    ];

    /// The number on this machine.
    pub fn number(self) -> i32 {
        match self {
            Self::Stop => libc::SIGTERM,
            Self::Interrupt => libc::SIGINT,
            Self::Reload => libc::SIGHUP,
            Self::Data => libc::SIGUSR1,
            Self::Statistics => libc::SIGUSR2,
            Self::Json => libc::SIGRTMIN() + 2,
            Self::ClearStatistics => libc::SIGRTMAX() - 1,
            Self::Child => libc::SIGCHLD,
        }
    }
}

/// The descriptor. While it exists the signals stay blocked in this thread, and
/// in every thread and process it starts, until they are unblocked there.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// Blocks all of [`Signal`] and opens the descriptor.
    ///
    /// # Errors
    /// Whatever the kernel says; in practice only too many open files.
    pub fn open() -> io::Result<Self> {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises the whole set before anything reads it,
        // and every number given to sigaddset is a valid signal.
        let set = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in Signal::ALL {
                libc::sigaddset(set.as_mut_ptr(), signal.number());
            }
            set.assume_init()
        };
        // Whoever started us may ignore SIGCHLD; then the kernel would reap our
        // children itself and tell nobody.
        // SAFETY: SIG_DFL is a valid disposition, and no handler is installed.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
        // SAFETY: `set` is initialised; the old mask is not asked for.
        let failed = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) };
        if failed != 0 {
            return Err(io::Error::from_raw_os_error(failed));
        }
        // SAFETY: `set` is initialised; -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave us this descriptor; nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The next signal; `None` if there is none at this moment. Never blocks.
    pub fn next(&self) -> Option<Signal> {
        loop {
            let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
            let length = size_of::<libc::signalfd_siginfo>();
            // SAFETY: the buffer is as long as the length that is given.
            let read = unsafe { libc::read(self.0.as_raw_fd(), info.as_mut_ptr().cast(), length) };
            if usize::try_from(read) != Ok(length) {
                return None;
            }
            // SAFETY: the kernel filled the whole structure, as the length says.
            let number = unsafe { info.assume_init() }.ssi_signo;
            let known = Signal::ALL
                .into_iter()
                .find(|signal| u32::try_from(signal.number()) == Ok(number));
            if known.is_some() {
                return known;
            }
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}
