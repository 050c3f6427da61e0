//! What happens in a new process before it becomes a script.
//!
//! Decides what a script finds: its process group, signals, scheduling, open
//! files, user; and how a program that was examined is executed. Source:
//! specification D.2 (last lines), D.8.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::ptr;

use super::spawn::Kind;
use super::user::Identity;

/// Where the descriptor stays that tells why a script could not be started.
const REPORT: RawFd = 3;

/// How many descriptors are closed one by one where the kernel, before 5.9,
/// cannot close them all at once.
const FILES_MAX: RawFd = 4096;

/// Lets go of everything that is the daemon's: its files except `report`, its
/// process group, its signals, its real-time class. From here on nothing that
/// hangs, a file system for example, concerns anybody but this process.
///
/// # Errors
/// Whatever the kernel says; the script must not run then.
pub(super) fn let_go(report: RawFd) -> io::Result<()> {
    // SAFETY: plain system calls on numbers and constants, and on memory that
    // lives through the call: `none` is initialised by sigemptyset before its
    // first use. The descriptors that are closed belong to values of the parent
    // that this process never uses or drops, as it ends without returning.
    unsafe {
        if report != REPORT {
            check(libc::dup3(report, REPORT, libc::O_CLOEXEC))?;
        }
        let rest = REPORT + 1;
        if libc::syscall(libc::SYS_close_range, rest, u32::MAX, 0) != 0 {
            for fd in rest..FILES_MAX {
                libc::close(fd);
            }
        }
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        check(null)?;
        for standard in 0..=2 {
            check(libc::dup2(null, standard))?;
        }
        check(libc::setpgid(0, 0))?;
        for signal in 1..=libc::SIGRTMAX() {
            // The few that cannot be set are those that nobody can change.
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        let none = none.as_ptr();
        check(libc::sigprocmask(libc::SIG_SETMASK, none, ptr::null_mut()))?;
    }
    leave_real_time()
}

/// Says why there will be no script.
pub(super) fn report(text: &[u8]) {
    // SAFETY: `text` lives through the call. It is shorter than a pipe is deep.
    unsafe { libc::write(REPORT, text.as_ptr().cast(), text.len()) };
}

/// A script that runs wild in a real-time class would stand in the way of the
/// adverts: it gets the ordinary class, whatever the daemon was started with.
fn leave_real_time() -> io::Result<()> {
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

/// Becomes the user of the script. A check then ends with `supervisor`.
///
/// # Errors
/// Whatever the kernel says; the script must not run then.
pub(super) fn become_user(kind: Kind, identity: &Identity, supervisor: u32) -> io::Result<()> {
    // SAFETY: plain system calls; the group list is as long as is said.
    unsafe {
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

/// Becomes the program `name` in this very directory; returns only if that
/// fails. `environment` is that of the script, each as `NAME=value`.
///
/// It is named by the descriptor of its directory and its name there, not by a
/// descriptor of its own, because the kernel takes the name of the new process
/// from it (`ps -C`, `killall`).
pub(super) fn execute_in(
    directory: &OwnedFd,
    name: OsString,
    argv: Vec<Vec<u8>>,
    environment: Vec<Vec<u8>>,
) -> io::Error {
    let (name, argv, environment) = match (
        CString::new(name.into_vec()),
        strings(argv),
        strings(environment),
    ) {
        (Ok(name), Ok(argv), Ok(environment)) => (name, argv, environment),
        // A zero byte in any of it.
        _ => return io::Error::from_raw_os_error(libc::EINVAL),
    };
    let (argv, environment) = (addresses(&argv), addresses(&environment));
    // SAFETY: the lists end with a null pointer, and the strings that they point
    // to live through the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            directory.as_raw_fd(),
            name.as_ptr(),
            argv.as_ptr(),
            environment.as_ptr(),
            libc::AT_SYMLINK_NOFOLLOW,
        );
    }
    io::Error::last_os_error()
}

fn strings(strings: Vec<Vec<u8>>) -> Result<Vec<CString>, std::ffi::NulError> {
    strings.into_iter().map(CString::new).collect()
}

fn addresses(strings: &[CString]) -> Vec<*const libc::c_char> {
    let addresses = strings.iter().map(|string| string.as_ptr());
    addresses.chain([ptr::null()]).collect()
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
