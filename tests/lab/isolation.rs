//! How a process gets the right to build a network of its own: as root
//! directly, otherwise as root of a new user namespace.
//!
//! A user namespace can only be entered by a process with one thread. An
//! example calls [`enter`] first thing in `main`. A test runs in a process full
//! of threads, so [`isolated`] runs the test again in a process of its own,
//! which also keeps tests from touching each other.

use super::canary::Canary;
use super::failure::{Failure, Result};
use std::ffi::CStr;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Set in the process that [`isolated`] starts.
const INSIDE: &str = "KEEPALIVED_LAB_INSIDE";
/// Longest life of one test, seconds; then the process is ended by SIGALRM.
const LIFE_MAX_S: u32 = 150;
/// A machine that keeps a thread waiting for so long is not fit to judge what is in
/// time: a test that fails meanwhile is run again.
const UNSTEADY: Duration = Duration::from_millis(100);
/// How often at most, the first time included.
const ATTEMPTS_MAX: u32 = 3;
/// The exit status of a test that failed on an unsteady machine.
const UNSTEADY_STATUS: i32 = 75;
const CAPABILITY_SYS_ADMIN: u32 = 21;
const CAPABILITY_NET_ADMIN: u32 = 12;
const CAPABILITY_NET_RAW: u32 = 13;

/// Moves this process, which must have one thread only, into a network and a
/// mount namespace of its own, where it is root.
///
/// # Errors
/// Says what to change on this machine if the kernel refuses.
pub fn enter() -> Result<()> {
    let plan = Plan::new();
    plan.carry_out()
        .map_err(|error| Failure::new(advice(&error)))
}

/// Whether this machine lets us build namespaces at all. Costs one short-lived
/// process.
///
/// # Errors
/// Says what to change on this machine if it does not.
pub fn available() -> Result<()> {
    let plan = Plan::new();
    let mut command = Command::new("/proc/self/exe");
    command
        .arg("--list")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // SAFETY: `carry_out` makes system calls and touches memory that was
    // prepared before the fork; it takes no lock and allocates nothing.
    unsafe { command.pre_exec(move || plan.carry_out()) };
    match command.status() {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::new(advice(&error))),
    }
}

/// Runs the body of the test that the calling thread is named after, in a
/// process of its own inside fresh namespaces, and fails as it fails. If it fails
/// while the machine is unsteady ([`UNSTEADY`]), it is told and run again.
///
/// # Panics
/// Panics when the body does, which is how a test fails.
pub fn isolated(body: impl FnOnce()) {
    if is_inside() {
        nix::unistd::alarm::set(LIFE_MAX_S);
        return watched(body);
    }
    let test = std::thread::current()
        .name()
        .expect("a test thread has the name of its test")
        .to_owned();
    let mut attempt = 1;
    loop {
        let status = run_inside(&test);
        match (status.code(), status.signal()) {
            (Some(0), _) => return,
            (Some(UNSTEADY_STATUS), _) if attempt < ATTEMPTS_MAX => {
                attempt += 1;
                let line = format!("\n*** AGAIN {test}: it failed on a machine that was late\n");
                // Nothing can be done about a closed terminal.
                let _ = io::stderr().write_all(line.as_bytes());
            }
            (_, Some(libc::SIGALRM)) => panic!("the test did not end within {LIFE_MAX_S} s"),
            _ => panic!("the test failed in its own process, see above"),
        }
    }
}

/// Runs the body; if it fails on an unsteady machine, ends the process with
/// [`UNSTEADY_STATUS`].
fn watched(body: impl FnOnce()) {
    let (canary, began) = (Canary::shared(), Instant::now());
    let Err(panic) = catch_unwind(AssertUnwindSafe(body)) else {
        return;
    };
    let worst = canary.worst_since(began);
    if worst >= UNSTEADY {
        println!("the machine kept a thread waiting for {worst:?} meanwhile");
        std::process::exit(UNSTEADY_STATUS);
    }
    resume_unwind(panic)
}

/// Runs a test in a process of its own; prints what it printed, and its errors if it
/// failed.
fn run_inside(test: &str) -> ExitStatus {
    let plan = Plan::new();
    let mut command = Command::new("/proc/self/exe");
    command
        .args([test, "--exact", "--nocapture", "--include-ignored"])
        .arg("--test-threads=1")
        .env(INSIDE, "1")
        .stdin(Stdio::null());
    // SAFETY: as in `available`; `prctl` is a system call too.
    unsafe {
        command.pre_exec(move || {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            plan.carry_out()
        });
    }
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{}", advice(&error)));
    println!("{}", String::from_utf8_lossy(&output.stdout));
    if !output.status.success() {
        println!("{}", String::from_utf8_lossy(&output.stderr));
    }
    output.status
}

/// Whether [`enter`] and [`isolated`] need a user namespace, because this process
/// lacks rights of its own. There, only user and group 0 exist, and the list of
/// groups cannot be changed, which a daemon does before it runs a script.
pub fn needs_user_namespace() -> bool {
    !has_capabilities()
}

/// Whether this is the process that [`isolated`] started.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Tells the person at the terminal that a test did not run, past the capture
/// of the test harness.
pub fn report_skipped(test: &str, why: &str) {
    let line = format!("\n*** SKIPPED {test}: {why}\n");
    // Nothing can be done about a closed terminal.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// What to write where, prepared before a fork, because nothing may be
/// allocated after it.
struct Plan {
    user_namespace: bool,
    user_map: Vec<u8>,
    group_map: Vec<u8>,
}

impl Plan {
    fn new() -> Self {
        Self {
            user_namespace: needs_user_namespace(),
            user_map: format!("0 {} 1\n", nix::unistd::geteuid()).into_bytes(),
            group_map: format!("0 {} 1\n", nix::unistd::getegid()).into_bytes(),
        }
    }

    /// Makes system calls only.
    fn carry_out(&self) -> io::Result<()> {
        if self.user_namespace {
            unshare(libc::CLONE_NEWUSER)?;
            write_file(c"/proc/self/setgroups", b"deny")?;
            write_file(c"/proc/self/uid_map", &self.user_map)?;
            write_file(c"/proc/self/gid_map", &self.group_map)?;
        }
        unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS)?;
        make_mounts_private()
    }
}

/// Keeps every later mount of this process away from the rest of the machine.
/// Makes one system call.
pub fn make_mounts_private() -> io::Result<()> {
    // SAFETY: the strings are NUL-terminated constants, no data is passed.
    let result = unsafe {
        libc::mount(
            c"none".as_ptr(),
            c"/".as_ptr(),
            std::ptr::null(),
            libc::MS_REC | libc::MS_PRIVATE,
            std::ptr::null(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Writes a small file of /proc with system calls only.
pub fn write_file(path: &CStr, text: &[u8]) -> io::Result<()> {
    // SAFETY: `path` is NUL-terminated, `text` lives through the call, and the
    // descriptor is ours and closed once.
    unsafe {
        let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file < 0 {
            return Err(io::Error::last_os_error());
        }
        let written = libc::write(file, text.as_ptr().cast(), text.len());
        let error = io::Error::last_os_error();
        libc::close(file);
        if written < 0 { Err(error) } else { Ok(()) }
    }
}

fn unshare(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: a system call without pointers.
    if unsafe { libc::unshare(flags) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn has_capabilities() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|value| u64::from_str_radix(value.trim(), 16).ok())
        .unwrap_or(0);
    [
        CAPABILITY_SYS_ADMIN,
        CAPABILITY_NET_ADMIN,
        CAPABILITY_NET_RAW,
    ]
    .iter()
    .all(|bit| effective & (1 << bit) != 0)
}

fn advice(error: &io::Error) -> String {
    format!(
        "cannot create private namespaces: {error}. Either run this as root, or allow \
         namespaces to users: `sysctl kernel.unprivileged_userns_clone=1` (older Debian), \
         `sysctl user.max_user_namespaces=10000` (if it is 0), \
         `sysctl kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu 24.04 and later); \
         in a container, start it with the capabilities SYS_ADMIN, NET_ADMIN and NET_RAW"
    )
}
