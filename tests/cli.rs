//! The program's command line, as scripts and people meet it.

use std::fs;
use std::process::{Command, Output};

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
