//! What happens in a new process before it becomes a script.
//!
//! Decides what a script finds: its process group, signals, scheduling, open
//! files, user; and how a program that was examined is executed. Everything here
//! runs between fork and exec: system calls only, nothing is allocated. Source:
//! specification D.2 (last lines), D.8.

use std::ffi::{CStr, CString, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use super::spawn::Kind;
use super::user::Identity;

/// Above standard input, output and error.
const FIRST_OTHER_FILE: u32 = 3;

/// Where a kernel before 5.11 is told of each file by itself.
const OTHER_FILES_MAX: i32 = 1024;

/// Sets up the new process.
///
/// # Errors
/// Whatever the kernel says; the script must not run then.
pub(super) fn prepare(kind: Kind, identity: &Identity, supervisor: u32) -> io::Result<()> {
    close_on_exec();
    // SAFETY: plain system calls on numbers and on memory that lives through
    // the call: `none` is initialised by sigemptyset before its first use, and
    // the group list is as long as the length that is given.
    unsafe {
        check(libc::setpgid(0, 0))?;
        for signal in 1..=libc::SIGRTMAX() {
            // The few that cannot be set are those that nobody can change.
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        check(libc::sigprocmask(
            libc::SIG_SETMASK,
            none.as_ptr(),
            std::ptr::null_mut(),
        ))?;
        leave_real_time()?;
        if let Identity::Other {
            user,
            group,
            groups,
        } = identity
        {
            check(libc::setgroups(groups.len(), groups.as_ptr()))?;
            check(libc::setgid(*group))?;
            check(libc::setuid(*user))?;
        }
        // After the change of user, which would clear it.
        if kind == Kind::Check {
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM))?;
            if u32::try_from(libc::getppid()) != Ok(supervisor) {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
    }
    Ok(())
}

/// A script that runs wild in a real-time class would stand in the way of the
/// adverts: it gets the ordinary class, whatever the daemon was started with.
///
/// # Safety
/// None is needed: a plain system call.
unsafe fn leave_real_time() -> io::Result<()> {
    // SAFETY: system calls on numbers and on a plain structure; for the ordinary
    // class, and only for it, zero is the priority.
    unsafe {
        let policy = libc::sched_getscheduler(0) & !libc::SCHED_RESET_ON_FORK;
        if policy != libc::SCHED_FIFO && policy != libc::SCHED_RR {
            return Ok(());
        }
        let ordinary: libc::sched_param = std::mem::zeroed();
        check(libc::sched_setscheduler(0, libc::SCHED_OTHER, &ordinary))
    }
}

/// Whatever the daemon was started with, or opens some day without a thought,
/// ends at the border to a script.
fn close_on_exec() {
    // SAFETY: system calls on numbers; a number that is not open is an error
    // that changes nothing.
    unsafe {
        let done = libc::syscall(
            libc::SYS_close_range,
            FIRST_OTHER_FILE,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
        if done != 0 {
            for fd in FIRST_OTHER_FILE as i32..OTHER_FILES_MAX {
                libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
            }
        }
    }
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A program in the very directory that was examined, ready to be executed.
///
/// It is named by the descriptor of its directory and its name there, not by a
/// descriptor of its own, because the kernel takes the name of the new process
/// from it (`ps -C`, `killall`).
#[derive(Debug)]
pub(super) struct Held {
    directory: OwnedFd,
    name: CString,
    argv: Strings,
    environment: Strings,
}

impl Held {
    /// `environment` is that of the script, each as `NAME=value`.
    ///
    /// # Errors
    /// `EINVAL` if there is a zero byte in any of it.
    pub fn new(
        directory: OwnedFd,
        name: OsString,
        argv: impl IntoIterator<Item = Vec<u8>>,
        environment: impl IntoIterator<Item = Vec<u8>>,
    ) -> io::Result<Self> {
        Ok(Self {
            directory,
            name: CString::new(name.into_vec())?,
            argv: Strings::new(argv)?,
            environment: Strings::new(environment)?,
        })
    }

    /// Becomes the program; returns only if that fails.
    pub fn execute(&self) -> io::Error {
        let name: &CStr = &self.name;
        // SAFETY: the lists end with a null pointer, and the strings that they
        // point to live as long as `self`.
        unsafe {
            libc::syscall(
                libc::SYS_execveat,
                self.directory.as_raw_fd(),
                name.as_ptr(),
                self.argv.as_ptr(),
                self.environment.as_ptr(),
                libc::AT_SYMLINK_NOFOLLOW,
            );
        }
        io::Error::last_os_error()
    }
}

/// Strings as exec wants them.
#[derive(Debug)]
struct Strings {
    /// The addresses of `strings`, which stay where they are when this is moved;
    /// a zero ends them. As numbers, because a pointer must not pass to a closure
    /// that could run elsewhere.
    addresses: Vec<usize>,
    #[expect(dead_code, reason = "the addresses point into it")]
    strings: Vec<CString>,
}

impl Strings {
    fn new(strings: impl IntoIterator<Item = Vec<u8>>) -> io::Result<Self> {
        let strings = strings.into_iter().map(CString::new);
        let strings = strings.collect::<Result<Vec<_>, _>>()?;
        let addresses = strings
            .iter()
            .map(|string| string.as_ptr().expose_provenance());
        Ok(Self {
            addresses: addresses.chain([0]).collect(),
            strings,
        })
    }

    fn as_ptr(&self) -> *const *const libc::c_char {
        self.addresses.as_ptr().cast()
    }
}
