//! The program's command line, as scripts and people meet it.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "watches real processes"
)]

use std::fs;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn keepalived(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keepalived-rs"))
        .args(words)
        .output()
        .unwrap()
}

/// Exit code, standard output, standard error.
fn run(words: &[&str]) -> (i32, String, String) {
    let output = keepalived(words);
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn the_version_is_where_programs_look_for_it() {
    for words in [["-v"], ["--version"]] {
        let (code, stdout, stderr) = run(&words);
        assert_eq!((code, stdout.as_str()), (0, ""));
        let mut lines = stderr.lines();
        let first = lines.next().unwrap();
        let expected = format!(
            "Keepalived v2.4.3 (keepalived-rs {})",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(first, expected);
        // As the Prometheus exporter reads it: the second word without its first letter.
        let version = first.split(' ').nth(1).unwrap().get(1..).unwrap();
        assert!(version.split('.').all(|part| part.parse::<u8>().is_ok()));
        let configure = stderr
            .lines()
            .find(|line| line.starts_with("configure options:"))
            .unwrap();
        assert!(configure.contains("--enable-json"));
        for start in [
            "Running on Linux ",
            "Config options:  ",
            "System options:  ",
        ] {
            assert!(
                stderr.lines().any(|line| line.starts_with(start)),
                "{start}"
            );
        }
    }
}

#[test]
fn signal_numbers_are_bare_numbers() {
    for (function, number) in [
        ("STOP", libc::SIGTERM),
        ("RELOAD", libc::SIGHUP),
        ("DATA", libc::SIGUSR1),
        ("STATS", libc::SIGUSR2),
        ("STATS_CLEAR", libc::SIGRTMAX() - 1),
        ("JSON", libc::SIGRTMIN() + 2),
        ("TDUMP", libc::SIGRTMAX()),
    ] {
        let expected = (0, format!("{number}\n"), String::new());
        assert_eq!(run(&[&format!("--signum={function}")]), expected);
        assert_eq!(run(&["--signum", function]), expected);
    }
    let unknown = (1, String::new(), "Unknown sigfunc FOO\n".to_owned());
    assert_eq!(run(&["--signum=FOO"]), unknown);
}

#[test]
fn what_is_not_understood_is_named_as_c_names_it() {
    for (words, message) in [
        (&["-Z"][..], "Unknown option -Z\n"),
        (&["-nZ"], "Unknown option -Z\n"),
        (&["--foo"], "Unknown option --foo\n"),
        (&["--vrrp=3"], "Unknown option --vrrp=3\n"),
        (&["-p"], "Missing parameter for option -p\n"),
        (&["-nlp"], "Missing parameter for option -p\n"),
        (&["--use-file"], "Missing parameter for option --use-file\n"),
        (
            &["--use-file="],
            "Missing parameter for option --use-file\n",
        ),
        (&["-c"], "Missing parameter for option -c\n"),
        (&["-i"], "Missing parameter for option -i\n"),
    ] {
        let expected = (1, String::new(), message.to_owned());
        assert_eq!(run(words), expected, "{words:?}");
    }
}

#[test]
fn help_is_on_stderr_and_names_every_letter() {
    let (code, stdout, stderr) = run(&["-h"]);
    assert_eq!((code, stdout.as_str()), (0, ""));
    for letter in "fPCBlDSgGuXVIRndprTcabsmMxAeitvh".chars() {
        assert!(stderr.contains(&format!("-{letter},")), "-{letter}");
    }
}

#[test]
fn a_test_of_a_missing_file_fails_and_says_so() {
    let missing = "Config files missing '/nonexistent/keepalived.conf'.";
    let words = ["-t", "-f", "/nonexistent/keepalived.conf"];
    let (code, stdout, stderr) = run(&words);
    assert_eq!((code, stdout.as_str()), (6, ""));
    assert!(stderr.contains(missing), "{stderr}");

    let (code, stdout, _) = run(&["-t", "-f", "/nonexistent/keepalived.conf", "one", "two"]);
    assert_eq!(code, 6);
    assert_eq!(stdout, "Unexpected argument(s): one two\n");
}

#[test]
fn a_test_can_write_to_a_file_in_each_of_the_forms() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let name = log.to_str().unwrap();
    let missing = "Config files missing '/nonexistent/x'.";
    for (times, form) in ["--config-test=", "-t", "-nlDt"].iter().enumerate() {
        let (code, stdout, stderr) = run(&[&format!("{form}{name}"), "-f", "/nonexistent/x"]);
        assert_eq!(
            (code, stdout.as_str(), stderr.as_str()),
            (6, "", ""),
            "{form}"
        );
        let text = fs::read_to_string(&log).unwrap();
        assert_eq!(text.matches(missing).count(), times + 1, "it is appended");
    }
    let (code, _, stderr) = run(&["-t/nonexistent/log", "-f", "/nonexistent/x"]);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("Unable to open config-test log file /nonexistent/log"));
}

#[test]
fn the_name_and_the_environment_reach_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("k.conf");
    fs::write(&file, "@one a_${_ENV NODE}\n@^one b_${_INSTANCE}\n").unwrap();
    let said = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_keepalived-rs"))
            .args(["-t", "-f", file.to_str().unwrap()])
            .args(words)
            .env("NODE", "7")
            .output()
            .unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(said(&["-i", "one"]), "(Line 1) Unknown keyword 'a_7'\n");
    assert_eq!(
        said(&["--config-id=two"]),
        "(Line 2) Unknown keyword 'b_two'\n"
    );
    // The name of this host, up to the first dot.
    let host = nix::unistd::gethostname().unwrap();
    let host = host.to_string_lossy();
    let host = host.split('.').next().unwrap();
    assert_eq!(said(&[]), format!("(Line 2) Unknown keyword 'b_{host}'\n"));
}

#[test]
fn a_good_file_passes_quietly_with_any_mixture_of_options() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keepalived.conf");
    fs::write(&file, "global_defs {\n}\n").unwrap();
    let file = file.to_str().unwrap();
    for words in [
        &["-t", "-f", file][..],
        &["--config-test", "--use-file", file],
        &["-t", "-nldf", file],
        &[
            "-n",
            "-l",
            "-D",
            "-D",
            "-D",
            "--dont-fork",
            "-t",
            "-f",
            "x",
            "-f",
            file,
        ],
        &[
            "-P", "-t", "-S", "7", "-p", "/x", "-r", "/y", "-c", "-odd", "-i", "a", "-f", file,
        ],
        &["--config-te", "--log-cons", "--use-f", file],
    ] {
        assert_eq!(run(words), (0, String::new(), String::new()), "{words:?}");
    }
    let (code, _, stderr) = run(&["-t", "-S", "9", "-f", file]);
    assert_eq!((code, stderr.as_str()), (0, "Invalid log facility '9'\n"));
}

/// A configuration without instances, and pid files that disturb nobody.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(
            directory.path().join("keepalived.conf"),
            "global_defs {\n}\n",
        )
        .unwrap();
        Self(directory)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keepalived-rs"));
        // Relative, because the daemon may go to another directory.
        command.current_dir(&self.0).args(words);
        command.args("-G -f keepalived.conf -p keepalived.pid -r vrrp.pid".split(' '));
        command
    }

    /// The process in the pid file, once it is there.
    fn process(&self) -> Pid {
        let number = until(|| {
            let text = fs::read_to_string(self.0.path().join("keepalived.pid")).ok()?;
            text.strip_suffix('\n')?.parse().ok()
        });
        Pid::from_raw(number)
    }

    fn has_pid_file(&self) -> bool {
        self.0.path().join("keepalived.pid").exists()
    }
}

fn until<T>(condition: impl Fn() -> Option<T>) -> T {
    for _ in 0..2000 {
        if let Some(value) = condition() {
            return value;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("it did not come");
}

#[test]
fn in_the_foreground_it_runs_once_and_stops_when_told() {
    let place = Place::new();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut daemon = place.command(&["-n"]).spawn().unwrap();
        let process = place.process();
        assert_eq!(u32::try_from(process.as_raw()), Ok(daemon.id()));

        let second = place.command(&["-n"]).output().unwrap();
        assert_eq!(second.status.code(), Some(0));
        let said = String::from_utf8_lossy(&second.stderr).into_owned();
        assert!(said.contains("daemon is already running"), "{said}");
        assert_eq!(place.process(), process, "the first is undisturbed");

        kill(process, signal).unwrap();
        assert_eq!(daemon.wait().unwrap().code(), Some(0), "{signal}");
        assert!(!place.has_pid_file());
    }
}

#[test]
fn without_n_it_goes_to_the_background() {
    let place = Place::new();
    let output = place.command(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let process = place.process();
    let own = format!("/proc/{process}");
    assert_eq!(
        fs::read_link(format!("{own}/cwd")).unwrap().as_os_str(),
        "/"
    );
    for fd in 0..=2 {
        let file = fs::read_link(format!("{own}/fd/{fd}")).unwrap();
        assert_eq!(file.as_os_str(), "/dev/null");
    }
    let session = nix::unistd::getsid(Some(process)).unwrap();
    assert_eq!(session, process, "it leads its session");
    kill(process, Signal::SIGTERM).unwrap();
    until(|| (!place.has_pid_file()).then_some(()));
}

#[test]
fn without_a_configuration_there_is_no_daemon() {
    let place = Place::new();
    fs::remove_file(place.0.path().join("keepalived.conf")).unwrap();
    let output = place.command(&["-n"]).output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    assert!(!place.has_pid_file());
}
