//! Starts one program the way scripts are started.
//!
//! Decides what a script finds when it begins: user, process group, signals,
//! environment, standard files. Source: specification D.2 (last lines), D.8.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};

use super::security;
use super::user::{self, Identity};
use crate::config::model::Command;
use crate::ids::Errno;

/// What a script does not get of our environment: the first three for safety,
/// as C keepalived; the others are between the service manager and us.
const WITHHELD: [&str; 8] = [
    "IFS",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
];

/// Where programs are looked for if our environment does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What kind of script it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ends together with the daemon: SIGTERM when the supervisor dies.
    Check,
    /// Lives on.
    Notify,
}

/// Why a program was not started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Its user is not known, or we may not become that user.
    User(Errno),
    /// Root would run it, and others than root can change this part of its path.
    Unsafe(PathBuf),
    /// It is not there, or the kernel refused.
    Start(Errno),
}

impl Refusal {
    /// The error number that stands for it.
    pub fn errno(&self) -> Errno {
        match self {
            Self::User(errno) | Self::Start(errno) => *errno,
            Self::Unsafe(_) => Errno(libc::EPERM),
        }
    }

    /// The line for the log.
    pub fn describe(&self, program: &str) -> String {
        match self {
            Self::User(errno) => format!("Unable to run script {program}: user: {errno}"),
            Self::Unsafe(part) => format!(
                "Unsafe permissions found for script '{program}' - disabling. \
                 Users other than root can change {}",
                part.display()
            ),
            Self::Start(errno) => format!("Script {program} cannot be accessed - {errno}"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(errno) => write!(f, "cannot become its user: {errno}"),
            Self::Unsafe(part) => write!(f, "others than root can change {}", part.display()),
            Self::Start(errno) => errno.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}

/// Starts `command` and returns its process number, which is its process
/// group's number too. The caller waits for it. `security` is
/// `enable_script_security`.
///
/// # Errors
/// See [`Refusal`]. Nothing runs then.
pub fn start(command: &Command, kind: Kind, security: bool) -> Result<i32, Refusal> {
    let name = command
        .argv
        .first()
        .ok_or(Refusal::Start(Errno(libc::ENOENT)))?;
    let identity = user::resolve(command.user.as_ref(), security).map_err(Refusal::User)?;
    let program = find(name).ok_or(Refusal::Start(Errno(libc::ENOENT)))?;
    if security
        && identity.is_root()
        && let Some(part) = security::changeable_part(&program)
    {
        return Err(Refusal::Unsafe(part));
    }
    let mut process = process::Command::new(&program);
    process
        .arg0(name)
        .args(command.argv.get(1..).unwrap_or_default())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    for name in WITHHELD {
        process.env_remove(name);
    }
    let supervisor = process::id();
    // SAFETY: the closure runs between fork and exec; it makes system calls
    // only, all of them async-signal-safe, and allocates nothing.
    unsafe { process.pre_exec(move || prepare(kind, &identity, supervisor)) };
    let child = process.spawn().map_err(|error| {
        let errno = error.raw_os_error().unwrap_or(libc::EINVAL);
        Refusal::Start(Errno(errno))
    })?;
    i32::try_from(child.id()).map_err(|_| Refusal::Start(Errno(libc::EINVAL)))
}

/// A name without a slash is looked for in PATH.
fn find(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name));
    }
    let path = env::var_os("PATH").unwrap_or_else(|| OsString::from(DEFAULT_PATH));
    env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|candidate| is_program(candidate))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// Runs in the new process, before the program.
fn prepare(kind: Kind, identity: &Identity, supervisor: u32) -> io::Result<()> {
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

fn check(result: i32) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
