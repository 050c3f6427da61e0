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
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};

use super::Policy;
use super::child::{self, Held};
use super::user::{self, Identity};
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

/// Why a program was not started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Its user is not known, or we may not become that user.
    User(Errno),
    /// Root would run it, and others than root can change this part of its path.
    Unsafe(Part),
    /// It is not there, or the kernel refused.
    Start(Errno),
}

impl Refusal {
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

/// Starts `command` and returns its process number, which is its process
/// group's number too. The caller waits for it.
///
/// # Errors
/// See `Refusal`. Nothing runs then.
pub fn start(command: &Command, kind: Kind, policy: Policy) -> Result<i32, Refusal> {
    let identity = user::resolve(command.user.as_ref(), policy).map_err(Refusal::User)?;
    start_as(command, kind, &identity, policy)
}

/// The same as somebody who is known already.
pub(super) fn start_as(
    command: &Command,
    kind: Kind,
    identity: &Identity,
    policy: Policy,
) -> Result<i32, Refusal> {
    let not_there = Refusal::Start(Errno(libc::ENOENT));
    let name = command.argv.first().ok_or_else(|| not_there.clone())?;
    let program = match is_redirection(name) {
        true => Some(PathBuf::from(SHELL)),
        false => find(name),
    };
    let program = program.ok_or(not_there)?;
    let words = words(command, name);
    let held = match secure(&program, identity, policy)? {
        Some(walked) => Some(hold(walked, &words).map_err(start_failed)?),
        None => None,
    };
    let mut process = process::Command::new(&program);
    if let [first, others @ ..] = words.as_slice() {
        process.arg0(OsStr::from_bytes(first));
        process.args(others.iter().map(|word| OsStr::from_bytes(word)));
    }
    process
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    for name in WITHHELD {
        process.env_remove(name);
    }
    let supervisor = process::id();
    let identity = identity.clone();
    let begin = move || {
        child::prepare(kind, &identity, supervisor)?;
        match held.as_ref().map(Held::execute) {
            // A file with an interpreter, or for the shell; or an old kernel.
            // Then exec by path, which comes next, succeeds or has the reason.
            None => Ok(()),
            Some(error) => match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENOEXEC | libc::ENOSYS) => Ok(()),
                _ => Err(error),
            },
        }
    };
    // SAFETY: the closure runs between fork and exec; it makes system calls
    // only, all of them async-signal-safe, and allocates nothing.
    unsafe { process.pre_exec(begin) };
    let child = process.spawn().map_err(start_failed)?;
    i32::try_from(child.id()).map_err(|_| Refusal::Start(Errno(libc::EINVAL)))
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

fn hold(walked: Walked, words: &[Vec<u8>]) -> io::Result<Held> {
    let given = env::vars_os().filter(|(name, _)| WITHHELD.iter().all(|it| name != it));
    let environment = given.map(|(name, value)| {
        let mut line = name.into_vec();
        line.push(b'=');
        line.extend(value.into_vec());
        line
    });
    Held::new(walked.directory, walked.name, words.to_vec(), environment)
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

    /// While another test forks, its child holds what is open for writing here.
    fn run(command: &Command, policy: Policy) -> Result<i32, Refusal> {
        loop {
            match start(command, Kind::Check, policy) {
                Err(Refusal::Start(Errno(libc::ETXTBSY))) => std::thread::yield_now(),
                result => return result,
            }
        }
    }

    fn end_of(command: &Command) -> WaitStatus {
        end_with(command, OPEN)
    }

    fn end_with(command: &Command, policy: Policy) -> WaitStatus {
        let process = run(command, policy).unwrap();
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
                assert!(is_0(end_with(&command(&words), policy)), "{name}");
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
            assert!(is_0(end_with(&command(&words), policy)), "a program");
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
        assert!(matches!(end_with(&command, all), WaitStatus::Exited(_, 0)));
        command.argv = shell("test $(id -G | wc -w) = 1").argv;
        assert!(matches!(end_with(&command, OPEN), WaitStatus::Exited(_, 0)));
    }
}
