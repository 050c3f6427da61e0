//! What is told about scripts and their users.

use super::super::machine::{Anywhere, Interface, Machine, ScriptFinding};
use super::super::model::ScriptUser;
use super::*;

/// A machine with the user root and two programs: one that only root can
/// change, and one that others can change, too.
struct SmallMachine;

const GOOD: &str = "/bin/good";
const OPEN: &str = "/bin/open";

impl Machine for SmallMachine {
    fn interface(&self, name: &str) -> Option<Interface> {
        Anywhere.interface(name)
    }

    fn resolves(&self, _: &str) -> bool {
        true
    }

    fn user_exists(&self, user: &ScriptUser) -> bool {
        user.user == "root" && user.group.as_deref().is_none_or(|group| group == "root")
    }

    fn script(&self, argv: &[String], _: Option<&ScriptUser>, on: bool) -> Vec<ScriptFinding> {
        let (code, text, security) = match argv[0].as_str() {
            GOOD | "</no" => return Vec::new(),
            OPEN => ("script-unsafe", "unsafe", true),
            _ => ("script-not-found", "not there", false),
        };
        vec![ScriptFinding {
            code,
            text: text.to_owned(),
            help: vec!["do this".to_owned()],
            security,
            disables: on || !security,
        }]
    }
}

const FILE: &str = "/etc/keepalived/keepalived.conf";

fn on_small(text: &str) -> Loaded {
    let files = vec![(PathBuf::from(FILE), text.as_bytes().to_vec())];
    load_on(&SmallMachine, &files, Path::new(FILE), &options())
}

/// What C says, too, and the exit code.
fn verdict(text: &str) -> (Vec<String>, u8) {
    let loaded = on_small(text);
    assert!(loaded.is_usable(), "{:#?}", loaded.diagnostics);
    let loud = loaded.diagnostics.iter();
    let loud = loud.filter(|found| found.class != Class::None);
    // What follows for the lines that track a script belongs to the instances.
    let lines = loud
        .map(|found| found.as_c_line(&loaded.sources))
        .filter(|line| !line.ends_with("not found, ignoring..."));
    (lines.collect(), loaded.exit_code())
}

fn tracked(globals: &str, program: &str, more: &str) -> String {
    format!(
        "global_defs {{\n{globals}\n}}\nvrrp_script s {{\nscript {program}\n{more}\n}}\n{}",
        with("track_script {\ns\n}")
    )
}

fn notified(globals: &str, line: &str) -> String {
    format!("global_defs {{\n{globals}\n}}\n{}", with(line))
}

const SECURE: &str = "enable_script_security";
const SECURE_ROOT: &str = "enable_script_security\nscript_user root";
const VIOLATION: &str =
    "SECURITY VIOLATION - scripts are being executed but script_security not enabled.";

#[test]
fn a_tracked_script_is_judged_as_c_does() {
    let removed = "Unable to set default user for vrrp script s - removing";
    let unable = "Unable to set default user keepalived_script for script";
    let cases: &[(&str, &str, &str, &[&str], u8)] = &[
        ("", GOOD, "", &[VIOLATION], 6),
        (SECURE_ROOT, GOOD, "", &[], 0),
        (SECURE, GOOD, "user root", &[], 0),
        (
            "",
            "/no",
            "",
            &["Disabling track script s since not found/accessible"],
            5,
        ),
        ("", "</no", "", &[], 0),
        (
            "",
            OPEN,
            "",
            &[&format!("{VIOLATION} There are insecure scripts.")],
            6,
        ),
        (
            SECURE_ROOT,
            OPEN,
            "",
            &["Disabling track script s due to insecure"],
            5,
        ),
        (
            "",
            "\"/bin/good a\"",
            "user bob",
            &["(Line 6) Unable to set uid/gid for script '/bin/good' 'a'"],
            5,
        ),
        (
            "",
            GOOD,
            "user root bob",
            &["(Line 6) Unable to set uid/gid for script '/bin/good'"],
            5,
        ),
        (
            SECURE,
            GOOD,
            "",
            &[
                &format!("(Line 7) {unable}"),
                &format!("(Line 7) {removed}"),
            ],
            5,
        ),
        (
            "script_user bob",
            GOOD,
            "",
            &[
                "(Line 2) Error setting global script uid/gid",
                &format!("(Line 7) {removed}"),
            ],
            5,
        ),
    ];
    for (globals, program, more, expected, code) in cases {
        let text = tracked(globals, program, more);
        let (told, exit) = verdict(&text);
        let expected: Vec<String> = expected.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!((told, exit), (expected, *code), "in\n{text}");
    }
}

#[test]
fn other_scripts_are_only_logged() {
    let cases: &[(&str, &str, &[&str], u8)] = &[
        ("", "notify /no", &[], 0),
        ("", "notify \"/bin/good a\" bob", &[], 0),
        ("", "notify /bin/good", &[VIOLATION], 6),
        (SECURE_ROOT, "notify /bin/open", &[], 0),
        (
            SECURE,
            "notify_master /bin/good\nnotify_backup /bin/good",
            &["(Line 7) Unable to set default user keepalived_script for script"],
            5,
        ),
    ];
    for (globals, line, expected, code) in cases {
        let (told, exit) = verdict(&notified(globals, line));
        let expected: Vec<String> = expected.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!((told, exit), (expected, *code), "{globals} {line}");
    }
    let all = lines(&on_small(&notified("", "notify /no")));
    assert_eq!(all, ["(Line 7) not there"]);
    let all = lines(&on_small(&notified("", "notify /bin/good bob")));
    assert_eq!(all, ["(Line 7) Script user 'bob' does not exist"]);
}

#[test]
fn a_sync_group_without_members_runs_nothing() {
    let group = |member: &str| {
        format!(
            "vrrp_sync_group G {{\ngroup {{\n{member}\n}}\nnotify_master {GOOD}\n}}\n{}",
            with("")
        )
    };
    let says_violation = |text: &str| {
        let loaded = on_small(text);
        lines(&loaded).contains(&VIOLATION.to_owned())
    };
    assert!(says_violation(&group("VI")));
    assert!(!says_violation(&group("OTHER")));
    // An instance belongs to the first group that names it.
    let second = group("VI")
        .replace("group G", "group H")
        .replace(GOOD, "/no");
    let second = second.split_once("vrrp_instance").unwrap().0.to_owned();
    assert!(!says_violation(&(second + &group("VI"))));
}

#[test]
fn a_script_of_a_checker_needs_a_user() {
    let checker = |globals: &str, more: &str| {
        let text = format!(
            "global_defs {{\n{globals}\n}}\nvirtual_server 10.0.0.1 80 {{\nlb_algo rr\nlb_kind \
             NAT\nprotocol TCP\nreal_server 10.0.0.2 80 {{\nMISC_CHECK {{\nmisc_path \"{GOOD} \
             a\"\n{more}\n}}\n}}\n}}\n"
        );
        let loaded = on_small(&text);
        let mut lines = lines(&loaded);
        lines.retain(|line| !line.ends_with("does not work yet"));
        (lines, loaded.exit_code())
    };
    let removed = "Unable to set default user for misc script '/bin/good' 'a' - removing";
    let default = [
        "(Line 12) Unable to set default user keepalived_script for script".to_owned(),
        format!("(Line 12) {removed}"),
    ];
    assert_eq!(checker(SECURE, ""), (default.to_vec(), 5));
    let of_globals = [
        "(Line 2) Error setting global script uid/gid".to_owned(),
        format!("(Line 12) {removed}"),
    ];
    assert_eq!(checker("script_user bob", ""), (of_globals.to_vec(), 5));
    let own = "(Line 11) Failed to set uid/gid for misc checker script '/bin/good' 'a' - removing";
    assert_eq!(checker(SECURE, "user bob"), (vec![own.to_owned()], 5));
    assert_eq!(checker(SECURE, "user root"), (Vec::new(), 0));
}

#[test]
fn the_machine_changes_no_configuration() {
    for text in [
        tracked(SECURE, "/no", "user bob"),
        tracked("script_user bob", OPEN, ""),
        notified(SECURE, "notify /no bob"),
    ] {
        let (here, anywhere) = (on_small(&text), parse(&text));
        assert_eq!(here.config, anywhere.config);
        assert!(here.diagnostics.len() > anywhere.diagnostics.len());
        let new = here.diagnostics.iter();
        let new = new.filter(|found| !anywhere.diagnostics.contains(found));
        assert_eq!(
            new.map(|found| found.severity).max(),
            Some(Severity::Warning)
        );
    }
}

#[test]
fn the_snippet_says_what_mends_it() {
    let loaded = on_small(&tracked(SECURE_ROOT, OPEN, ""));
    let [found] = loaded.diagnostics.as_slice() else {
        panic!("{:#?}", loaded.diagnostics)
    };
    let snippet = found.as_snippet(&loaded.sources);
    let expected = "warning[script-unsafe]: Disabling track script s due to insecure\n \
                    --> /etc/keepalived/keepalived.conf:6:8\n  |\n6 | script /bin/open\n  |        \
                    ^^^^^^^^^\n   = help: unsafe\n   = help: do this\n   = help: C keepalived goes \
                    on as if the script were not there; here it counts as failed.\n";
    assert_eq!(snippet, expected);
}
