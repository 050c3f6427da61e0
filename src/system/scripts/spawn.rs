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

/// Who carries out a redirection.
const SHELL: &str = "/bin/sh";

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
/// See `Refusal`. Nothing runs then.
pub fn start(command: &Command, kind: Kind, security: bool) -> Result<i32, Refusal> {
    let name = command
        .argv
        .first()
        .ok_or(Refusal::Start(Errno(libc::ENOENT)))?;
    let identity = user::resolve(command.user.as_ref(), security).map_err(Refusal::User)?;
    let program = match is_redirection(name) {
        true => Some(PathBuf::from(SHELL)),
        false => find(name),
    };
    let program = program.ok_or(Refusal::Start(Errno(libc::ENOENT)))?;
    if security
        && (identity.is_root() || security::becomes_root(&program))
        && let Some(part) = security::changeable_part(&program)
    {
        return Err(Refusal::Unsafe(part));
    }
    let mut process = process::Command::new(&program);
    process.arg0(name);
    if is_redirection(name) {
        process.arg("-c").arg(command.argv.join(" "));
    } else {
        process.args(command.argv.get(1..).unwrap_or_default());
    }
    process
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

/// `</path`: whether a file can be read, which a shell finds out.
pub(super) fn is_redirection(name: &str) -> bool {
    name.starts_with('<')
}

/// A name without a slash is looked for in PATH.
pub(super) fn find(name: &str) -> Option<PathBuf> {
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

#[cfg(test)]
mod tests {
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{Pid, geteuid};

    use super::*;
    use crate::config::model::ScriptUser;

    /// As ourselves, whatever users this machine has.
    fn command(argv: &[&str]) -> Command {
        Command {
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            user: Some(ScriptUser {
                user: geteuid().to_string(),
                group: None,
                supplementary_groups: false,
            }),
        }
    }

    fn shell(text: &str) -> Command {
        command(&["/bin/sh", "-c", text])
    }

    fn end_of(command: &Command) -> WaitStatus {
        let process = start(command, Kind::Check, false).unwrap();
        waitpid(Pid::from_raw(process), None).unwrap()
    }

    fn code_of(command: &Command) -> i32 {
        match end_of(command) {
            WaitStatus::Exited(_, code) => code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn exit_status_and_signal_are_those_of_the_program() {
        assert_eq!(code_of(&shell("exit 0")), 0);
        assert_eq!(code_of(&shell("exit 7")), 7);
        assert!(matches!(
            end_of(&shell("kill -KILL $$")),
            WaitStatus::Signaled(_, nix::sys::signal::Signal::SIGKILL, _)
        ));
    }

    #[test]
    fn words_arrive_as_they_are_and_the_name_is_kept() {
        let text = "test \"$0 $1 $2 $#\" = 'name a b c 2'";
        let quoted = command(&["/bin/sh", "-c", text, "name", "a b", "c"]);
        assert_eq!(code_of(&quoted), 0);
        assert_eq!(code_of(&command(&["true"])), 0, "found in PATH");
    }

    #[test]
    fn a_redirection_asks_whether_a_file_is_there() {
        assert_eq!(code_of(&command(&["</etc/passwd"])), 0);
        assert_eq!(code_of(&command(&["<", "/etc/passwd"])), 0);
        assert_ne!(code_of(&command(&["</no/such/file"])), 0);
    }

    #[test]
    fn what_cannot_be_run_is_told_with_its_reason() {
        let start = |argv: &[&str]| start(&command(argv), Kind::Check, false).unwrap_err();
        let absent = Refusal::Start(Errno(libc::ENOENT));
        assert_eq!(start(&["/no/such/program"]), absent);
        assert_eq!(start(&["no_such_program_in_path"]), absent);
        assert_eq!(start(&[]), absent);
        assert_eq!(start(&["/etc"]), Refusal::Start(Errno(libc::EACCES)));
        assert_eq!(
            absent.describe("/x"),
            "Script /x cannot be accessed - No such file or directory"
        );
    }

    #[test]
    fn a_text_file_without_interpreter_runs_in_the_shell() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("check");
        fs::write(&script, "exit 5\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(code_of(&command(&[script.to_str().unwrap()])), 5);
    }

    #[test]
    fn the_program_finds_a_clean_place() {
        let directory = tempfile::tempdir().unwrap();
        let seen = directory.path().join("seen");
        // `cat` looks at itself: while it starts a program, a shell may block signals.
        let text = format!(
            "cat /proc/self/status /proc/self/environ > {0}; ls -l /proc/$$/fd >> {0}; \
             read -r _ _ _ _ group rest < /proc/$$/stat; test $group = $$",
            seen.display()
        );
        assert_eq!(code_of(&shell(&text)), 0, "it leads its own group");
        let seen = String::from_utf8_lossy(&fs::read(seen).unwrap()).into_owned();
        assert!(seen.contains("SigBlk:\t0000000000000000"), "{seen}");
        let ignored = seen
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:\t"))
            .and_then(|mask| u64::from_str_radix(mask, 16).ok());
        // Signals 32 and 33 are the C library's, which lets nobody touch them.
        assert_eq!(ignored.map(|mask| mask & !(0b11 << 31)), Some(0));
        for number in ["0", "1", "2"] {
            let line = format!(" {number} -> /dev/null");
            // The shell's own output went to the file while it wrote this list.
            assert!(seen.contains(&line) || number == "1", "{line}: {seen}");
        }
        for name in WITHHELD {
            assert!(!seen.contains(&format!("\0{name}=")), "{name}");
        }
    }

    #[test]
    fn another_user_has_that_users_numbers_only() {
        if !geteuid().is_root() {
            return;
        }
        let text = "test \"$(id -u):$(id -g):$(id -G)\" = 1:65534:65534";
        let mut command = shell(text);
        command.user = Some(ScriptUser {
            user: "1".to_owned(),
            group: Some("65534".to_owned()),
            supplementary_groups: false,
        });
        assert_eq!(code_of(&command), 0);
        command.user = Some(ScriptUser {
            user: "no_such_user_here".to_owned(),
            group: None,
            supplementary_groups: false,
        });
        let refused = start(&command, Kind::Check, false).unwrap_err();
        assert_eq!(refused, Refusal::User(Errno(libc::ENOENT)));
    }

    #[test]
    fn with_security_root_runs_nothing_that_others_can_change() {
        if !geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("check");
        fs::write(&script, "#!/bin/sh\nexit 0\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o777)).unwrap();
        let command = command(&[script.to_str().unwrap()]);
        assert_eq!(code_of(&command), 0, "without security it runs");
        let refused = start(&command, Kind::Check, true).unwrap_err();
        assert_eq!(refused, Refusal::Unsafe(script));
    }
}
