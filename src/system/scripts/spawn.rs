//! Starts one program the way scripts are started.
//!
//! Decides which file is executed, with which words and which environment, and
//! what is refused. What else a script finds is in `child.rs`, who it runs as in
//! `user.rs`. Source: specification D.2 (last lines), D.8.
//!
//! With `enable_script_security`, what root is to run is examined again at each
//! start (`walk.rs`), and a program is executed in the very directory that was
//! examined: whatever is renamed or linked meanwhile, nothing else can run. The
//! kernel hands a file with an interpreter (`#!`) to that interpreter by a path.
//! `/dev/fd/N/check` would lead there by descriptor, but be the `$0` of every
//! script, in its messages and for `pgrep -f`; so such a file is executed by the
//! path of the configuration. All directories on it, links included, have just
//! been found to be root's alone: who could swap it is root already.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process;

use nix::fcntl::OFlag;
use nix::unistd::{ForkResult, fork, pipe2, setpgid};
use serde::{Deserialize, Serialize};

use super::Policy;
use super::child;
use super::user::Identity;
use super::walk::{self, Part, Walked};
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

/// The longest report in bytes: two paths, and what is told of them.
const REPORT_MAX: usize = 32 * 1024;

/// Why a program was not started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// Its user is not known, or we may not become that user.
    User(Errno),
    /// Root would run it, and others than root can change this part of its path.
    Unsafe(Part),
    /// It is not there, or the kernel refused.
    Start(Errno),
}

impl Refusal {
    /// The error number that stands for it.
    pub const fn errno(&self) -> Errno {
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
                "Unsafe permissions found for script '{program}' - disabling. {part}; this mends \
                 it: {}",
                part.remedies().join("; ")
            ),
            Self::Start(errno) => format!("Script {program} cannot be accessed - {errno}"),
        }
    }
}

/// The reason alone, for who shows the state of the script.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(errno) => write!(f, "cannot become its user: {errno}"),
            Self::Unsafe(part) => write!(f, "unsafe permissions: {part}"),
            Self::Start(errno) => errno.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}

/// A process that is to become a script.
#[derive(Debug)]
pub struct Started {
    /// Its number, which is its process group's number too.
    pub process: i32,
    /// Where it says why it did not become one.
    pub report: Report,
}

/// What a new process says of its attempt to become a script.
#[derive(Debug)]
pub struct Report(File);

impl Report {
    /// Why the program was not executed, to be asked once the process has ended.
    /// `None` if it was: then the process ended as the program did.
    pub fn refusal(mut self) -> Option<Refusal> {
        let mut text = [0; REPORT_MAX];
        // Nothing to read, because the other end is gone or still held by a
        // process that has nothing to say, means that there is nothing to tell.
        let length = self.0.read(&mut text).unwrap_or(0);
        let text = text.get(..length).filter(|text| !text.is_empty())?;
        let unclear = Refusal::Start(Errno(libc::EPERM));
        Some(serde_json::from_slice(text).unwrap_or(unclear))
    }
}

/// Starts `command`. The new process looks for the program, examines it and
/// becomes it; this one goes on at once, so that a file system that hangs holds
/// up that script and nothing else. The caller waits for the process and then
/// reads the report.
///
/// # Errors
/// `Refusal::Start` if there can be no new process.
pub fn start(
    command: &Command,
    kind: Kind,
    identity: &Identity,
    policy: Policy,
) -> Result<Started, Refusal> {
    start_with(command, &[], kind, identity, policy)
}

/// As [`start`], with names and values added to the environment.
///
/// # Errors
/// As [`start`].
pub fn start_with(
    command: &Command,
    added: &[(String, String)],
    kind: Kind,
    identity: &Identity,
    policy: Policy,
) -> Result<Started, Refusal> {
    let failed = |errno: nix::Error| Refusal::Start(Errno(errno as i32));
    let (ours, theirs) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(failed)?;
    let supervisor = process::id();
    // SAFETY: the supervisor has one thread only, so that the child finds every
    // lock free and may run any code.
    match unsafe { fork() }.map_err(failed)? {
        ForkResult::Parent { child } => {
            // The child does the same; whoever comes first, a signal to the group
            // finds it. Once it is executed this fails, and is not needed.
            let _ = setpgid(child, child);
            Ok(Started {
                process: child.as_raw(),
                report: Report(File::from(ours)),
            })
        }
        ForkResult::Child => {
            let released = child::let_go(theirs.as_raw_fd()).map_err(start_failed);
            let refusal = released.map_or_else(
                |it| it,
                |()| become_script(command, added, kind, identity, policy, supervisor),
            );
            child::report(&serde_json::to_vec(&refusal).unwrap_or_else(|_| b"?".to_vec()));
            // SAFETY: ends the process at once: no destructors, no exit handlers,
            // as they are those of the parent.
            unsafe { libc::_exit(1) }
        }
    }
}

/// Returns only if that is not possible.
fn become_script(
    command: &Command,
    added: &[(String, String)],
    kind: Kind,
    identity: &Identity,
    policy: Policy,
    supervisor: u32,
) -> Refusal {
    let name = command.argv.first().map_or("", String::as_str);
    let program = match is_redirection(name) {
        true => Some(PathBuf::from(SHELL)),
        false => find(name),
    };
    let Some(program) = program else {
        return Refusal::Start(Errno(libc::ENOENT));
    };
    let held = match secure(&program, identity, policy) {
        Ok(held) => held,
        Err(refusal) => return refusal,
    };
    if let Err(error) = child::become_user(kind, identity, supervisor) {
        return start_failed(error);
    }
    let words = words(command, name);
    if let Some(held) = held {
        let words = words.clone();
        let error = child::execute_in(&held.directory, held.name, words, environment(added));
        match error.raw_os_error() {
            // A file with an interpreter, or for the shell; or an old kernel.
            // Then exec by path succeeds, or has the reason.
            Some(libc::ENOENT | libc::ENOEXEC | libc::ENOSYS) => {}
            _ => return start_failed(error),
        }
    }
    let mut process = process::Command::new(&program);
    if let [first, others @ ..] = words.as_slice() {
        process.arg0(OsStr::from_bytes(first));
        process.args(others.iter().map(|word| OsStr::from_bytes(word)));
    }
    for name in WITHHELD {
        process.env_remove(name);
    }
    process.envs(added.iter().map(|(name, value)| (name, value)));
    start_failed(process.exec())
}

fn start_failed(error: io::Error) -> Refusal {
    Refusal::Start(Errno(error.raw_os_error().unwrap_or(libc::EINVAL)))
}

/// The words that the program gets, its name first.
fn words(command: &Command, name: &str) -> Vec<Vec<u8>> {
    if is_redirection(name) {
        let line = command.argv.join(" ");
        return vec![name.into(), "-c".into(), line.into()];
    }
    let words = command.argv.iter();
    words.map(|word| word.clone().into_bytes()).collect()
}

/// The program with the way to it, if that way matters.
fn secure(program: &Path, identity: &Identity, policy: Policy) -> Result<Option<Walked>, Refusal> {
    if !policy.security {
        return Ok(None);
    }
    let walked = walk::walk(program).map_err(|end| Refusal::Start(end.errno))?;
    if !identity.is_root() && !walked.becomes_root {
        // As its user, by path: that user must be able to go the way, too.
        return Ok(None);
    }
    match walked.changeable {
        Some(part) => Err(Refusal::Unsafe(part)),
        None => Ok(Some(walked)),
    }
}

/// What a script gets of our environment, and what is added to it.
fn environment(added: &[(String, String)]) -> Vec<Vec<u8>> {
    let is_ours = |name: &OsString| {
        WITHHELD.iter().all(|it| name != it) && added.iter().all(|(it, _)| name != it.as_str())
    };
    let given = env::vars_os().filter(|(name, _)| is_ours(name));
    let added = added
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    let lines = given
        .chain(added)
        .map(|(name, value): (OsString, OsString)| {
            let mut line = name.into_vec();
            line.push(b'=');
            line.extend(value.into_vec());
            line
        });
    lines.collect()
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

#[cfg(test)]
mod tests {
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{Pid, geteuid};

    use super::super::user::resolve;
    use super::*;
    use crate::config::model::ScriptUser;

    const OPEN: Policy = Policy {
        security: false,
        supplementary_groups: false,
    };
    const SECURE: Policy = Policy {
        security: true,
        ..OPEN
    };

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

    fn run(command: &Command, policy: Policy) -> Result<WaitStatus, Refusal> {
        loop {
            let identity = resolve(command.user.as_ref(), policy).map_err(Refusal::User)?;
            let started = start(command, Kind::Check, &identity, policy)?;
            let status = waitpid(Pid::from_raw(started.process), None).unwrap();
            match started.report.refusal() {
                // While another test forks, its child holds what is open for
                // writing here.
                Some(Refusal::Start(Errno(libc::ETXTBSY))) => std::thread::yield_now(),
                Some(refusal) => return Err(refusal),
                None => return Ok(status),
            }
        }
    }

    fn end_of(command: &Command) -> WaitStatus {
        run(command, OPEN).unwrap()
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
        let start = |argv: &[&str]| run(&command(argv), OPEN).unwrap_err();
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
        let refused = run(&command, OPEN).unwrap_err();
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
        let refused = run(&command, SECURE).unwrap_err();
        let Refusal::Unsafe(part) = &refused else {
            panic!("{refused:?}");
        };
        assert_eq!(part.path, script);
        let shown = script.display();
        assert_eq!(
            refused.describe("x"),
            format!(
                "Unsafe permissions found for script 'x' - disabling. {shown} belongs to \
                 root:root and has mode 0777; this mends it: chmod o-w {shown}"
            )
        );
    }

    #[test]
    fn with_security_a_program_and_a_script_run_as_they_do_without() {
        if !geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        let make = |name: &str, text: &str| {
            fs::write(path(name), text).unwrap();
            fs::set_permissions(path(name), fs::Permissions::from_mode(0o755)).unwrap();
        };
        let seen = path("seen");
        let report = format!("echo \"$0 $* $(cat /proc/$$/comm)\" > {seen}\n");
        make("script", &format!("#!/bin/sh\n{report}"));
        make("text", &report);
        make("broken", "#!/no/such/interpreter\n");
        std::os::unix::fs::symlink(path("script"), path("link")).unwrap();
        std::os::unix::fs::symlink("/bin/sh", path("shell")).unwrap();
        let is_0 = |status| matches!(status, WaitStatus::Exited(_, 0));
        for policy in [OPEN, SECURE] {
            for name in ["script", "text", "link"] {
                let words = [path(name), "a b".to_owned()];
                let words = words.each_ref().map(String::as_str);
                assert!(is_0(run(&command(&words), policy).unwrap()), "{name}");
                let told = fs::read_to_string(&seen).unwrap();
                assert!(told.starts_with(&format!("{} a b ", path(name))), "{told}");
            }
            // A program through a link, with the name of the process that `ps` shows.
            let text = format!("echo \"$0 $1 $(cat /proc/$$/comm) $LANG\" > {seen}");
            let words = [
                path("shell"),
                "-c".into(),
                text,
                "zero".into(),
                "one".into(),
            ];
            let words = words.each_ref().map(String::as_str);
            assert!(is_0(run(&command(&words), policy).unwrap()), "a program");
            let told = fs::read_to_string(&seen).unwrap();
            assert!(told.starts_with("zero one "), "{told}");
            assert!(!told.contains(" 3") && !told.contains(" 4"), "{told}");
            let refused = run(&command(&[&path("broken")]), policy).unwrap_err();
            assert_eq!(refused, Refusal::Start(Errno(libc::ENOENT)));
        }
    }

    #[test]
    fn no_file_of_ours_and_no_real_time_class_passes_to_a_script() {
        let directory = tempfile::tempdir().unwrap();
        let open = fs::File::create(directory.path().join("open")).unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&open);
        // SAFETY: a system call on our own descriptor.
        unsafe { libc::fcntl(fd, libc::F_SETFD, 0) };
        let text = format!("test ! -e /proc/$$/fd/{fd}");
        assert_eq!(code_of(&shell(&text)), 0);

        let text = "test $(cut -d' ' -f41 /proc/$$/stat) = 0";
        let command = shell(text);
        let real_time = std::thread::spawn(move || {
            // SAFETY: plain numbers; the class is that of this thread.
            let done = unsafe {
                let mut first: libc::sched_param = std::mem::zeroed();
                first.sched_priority = 1;
                libc::sched_setscheduler(0, libc::SCHED_FIFO, &first)
            };
            // Without the right to it there is nothing to see.
            assert!(done != 0 || code_of(&command) == 0);
        });
        real_time.join().unwrap();
    }

    #[test]
    fn supplementary_groups_are_a_matter_of_the_configuration() {
        if !geteuid().is_root() {
            return;
        }
        let Ok(Some(user)) = nix::unistd::User::from_name("daemon") else {
            return;
        };
        let name = std::ffi::CString::new("daemon").unwrap();
        let groups = nix::unistd::getgrouplist(&name, user.gid).unwrap();
        let mut command = shell(&format!("test $(id -G | wc -w) = {}", groups.len()));
        command.user = Some(ScriptUser {
            user: "daemon".to_owned(),
            group: None,
            supplementary_groups: false,
        });
        let all = Policy {
            supplementary_groups: true,
            ..OPEN
        };
        assert!(matches!(
            run(&command, all).unwrap(),
            WaitStatus::Exited(_, 0)
        ));
        command.argv = shell("test $(id -G | wc -w) = 1").argv;
        assert!(matches!(
            run(&command, OPEN).unwrap(),
            WaitStatus::Exited(_, 0)
        ));
    }
}
