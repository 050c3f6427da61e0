//! What a process can do to itself and to its children with a single call or two.
//!
//! Decides nothing of the daemon's life; `supervisor/mod.rs` does.

use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{ForkResult, chdir, fork, getpid, getppid, setsid};

use super::places::UMASK;
use crate::config::model::Globals;
use crate::ids::Errno;
use crate::vrrp::event::Outcome;

/// Where `ip netns` keeps its namespaces.
const NAMESPACES: &str = "/run/netns";

/// The number of this process.
pub fn own_id() -> i32 {
    getpid().as_raw()
}

/// Kernel name, release and version, as `uname` has them.
pub fn running_on() -> String {
    match nix::sys::utsname::uname() {
        Ok(name) => format!(
            "{} {} {}",
            name.sysname().to_string_lossy(),
            name.release().to_string_lossy(),
            name.version().to_string_lossy()
        ),
        Err(errno) => errno.desc().to_owned(),
    }
}

/// Moves this process, which has one thread, into a named network namespace.
///
/// # Errors
/// There is none of that name, or we may not.
pub fn enter_namespace(name: &str) -> io::Result<()> {
    if name.is_empty() || name.contains('/') {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let file = File::open(format!("{NAMESPACES}/{name}"))?;
    setns(file, CloneFlags::CLONE_NEWNET)?;
    Ok(())
}

/// One of the two processes of a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The parent.
    Supervisor,
    /// The one that does VRRP.
    Worker,
}

/// Gives the calling process, from its first thread, the name and the file mode
/// creation mask that the configuration wants, at a start and at a reload
/// (specification B.2). `umask_option` is that of `-u`, which comes first.
pub fn follow_globals(part: Part, globals: &Globals, umask_option: Option<u32>) {
    static FIRST_NAME: OnceLock<String> = OnceLock::new();
    let first_name = FIRST_NAME.get_or_init(own_name);
    set_own_name(name_of(part, globals).unwrap_or(first_name));
    set_umask(mask(globals, umask_option));
}

/// The name of a process, if the configuration says one. A worker without a name of
/// its own has that of its parent.
fn name_of(part: Part, globals: &Globals) -> Option<&str> {
    let processes = &globals.processes;
    match part {
        Part::Supervisor => processes.parent_name.as_deref(),
        Part::Worker => {
            let named = processes.named.then_some("keepalived_vrrp");
            let own = processes.vrrp.name.as_deref().or(named);
            own.or(processes.parent_name.as_deref())
        }
    }
}

fn own_name() -> String {
    let name = std::fs::read_to_string("/proc/self/comm").unwrap_or_default();
    name.trim_end_matches('\n').to_owned()
}

fn set_own_name(name: &str) {
    if let Ok(name) = std::ffi::CString::new(name)
        && !name.is_empty()
    {
        // SAFETY: the kernel copies the string, which ends in NUL and outlives the call.
        unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    }
}

/// The file mode creation mask of the daemon (specification B.3).
pub fn mask(globals: &Globals, umask_option: Option<u32>) -> u32 {
    umask_option.or(globals.umask).unwrap_or(UMASK)
}

/// Sets the file mode creation mask.
fn set_umask(mask: u32) {
    umask(Mode::from_bits_truncate(mask));
}

/// Takes the limit off the size of core files.
///
/// # Errors
/// We may not.
pub fn allow_core_files() -> io::Result<()> {
    setrlimit(
        Resource::RLIMIT_CORE,
        libc::RLIM_INFINITY,
        libc::RLIM_INFINITY,
    )?;
    Ok(())
}

/// Allows this process as many open files as it may allow itself: each virtual MAC takes
/// one. Not those that run scripts, where programs are that close all that may be open.
///
/// # Errors
/// We may not.
pub fn allow_many_files() -> io::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    Ok(())
}

/// How many files may be open.
pub fn files_max() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(now, _)| now)
}

/// Goes to the background: the calling process exits with 0, a child goes on in
/// a session of its own, in `/`, with its standard files on `/dev/null`.
///
/// # Errors
/// Whatever the kernel says; nothing has changed then, or the child says it.
pub fn detach() -> io::Result<()> {
    let null = nix::fcntl::open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    // SAFETY: there is one thread only.
    match unsafe { fork() }? {
        ForkResult::Parent { .. } => exit_now(0),
        ForkResult::Child => {}
    }
    setsid()?;
    chdir("/")?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    nix::unistd::dup2_stderr(&null)?;
    Ok(())
}

/// Forks a child that runs `body` and exits with its value. The child gets
/// SIGTERM when this process dies, and keeps the signals of
/// `system::signals` blocked.
///
/// # Errors
/// Whatever the kernel says; in practice too many processes.
pub fn fork_child(body: impl FnOnce() -> u8) -> io::Result<i32> {
    let parent = getpid();
    // SAFETY: the supervisor has one thread only, so that the child finds every
    // lock free and may run any code.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => return Ok(child.as_raw()),
        ForkResult::Child => {}
    }
    // SAFETY: a system call on numbers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) };
    if getppid() != parent {
        // It died before it was watched.
        exit_now(1);
    }
    // A panic must not unwind into the parent's code.
    let body = std::panic::AssertUnwindSafe(body);
    match std::panic::catch_unwind(body) {
        Ok(code) => exit_now(code),
        Err(_) => std::process::abort(),
    }
}

/// Ends this process at once: no destructors, no exit handlers, as they are
/// those of the parent.
fn exit_now(code: u8) -> ! {
    // SAFETY: _exit never returns and touches no memory of ours.
    unsafe { libc::_exit(i32::from(code)) }
}

/// Sends a signal to a child that was not waited for yet.
pub fn send_signal(process: i32, signal: i32) {
    if process > 1 {
        // SAFETY: a system call on numbers; the number stays the child's until
        // we wait for it.
        unsafe { libc::kill(process, signal) };
    }
}

/// A child that has ended and was not waited for yet; it stays so until
/// [`reap`]. `None` if there is none at this moment.
pub fn ended_child() -> Option<i32> {
    wait_for(libc::P_ALL, 0, libc::WNOWAIT).map(|(process, _)| process)
}

/// Waits for a child that has ended; how it did.
pub fn reap(process: i32) -> Outcome {
    let number = u32::try_from(process).unwrap_or(0);
    match wait_for(libc::P_PID, number, 0) {
        Some((_, outcome)) => outcome,
        None => Outcome::NotRun(Errno(libc::ECHILD)),
    }
}

// By hand, because the signal that ended a child may be a real-time signal.
fn wait_for(which: libc::idtype_t, number: u32, flags: i32) -> Option<(i32, Outcome)> {
    // SAFETY: for a siginfo_t, plain numbers, zero is a value; the kernel fills
    // it, or leaves it zero if no child has ended.
    let (process, code, status) = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | flags;
        if libc::waitid(which, number, &mut info, flags) != 0 {
            return None;
        }
        (info.si_pid(), info.si_code, info.si_status())
    };
    if process == 0 {
        return None;
    }
    let outcome = if code == libc::CLD_EXITED {
        Outcome::Exited(u8::try_from(status).unwrap_or(u8::MAX))
    } else {
        Outcome::Signalled(status)
    };
    Some((process, outcome))
}

/// A file in memory that holds `bytes`, read from its beginning.
///
/// # Errors
/// Whatever the kernel says; in practice no memory.
pub fn memory_file(bytes: &[u8]) -> io::Result<OwnedFd> {
    let fd = memfd_create("keepalived-rs.conf", MFdFlags::MFD_CLOEXEC)?;
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

/// The name of this host; empty if it has none.
pub fn host_name() -> String {
    nix::unistd::gethostname()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// What conditional lines compare with by default: the name of this host up to
/// the first dot.
pub fn config_id() -> String {
    let name = host_name();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// What `${_RANDOM}` begins with: random, because nodes that start at the same
/// second must not draw the same numbers. It stays for the life of the daemon,
/// so that a reload alone changes nothing.
pub fn random_seed() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

/// What the distribution calls itself.
pub fn distribution() -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches(['"', '\'']).to_owned())
}
