//! `check`, `keywords`, `explain`, and the forms of `-t`, as people and programs
//! meet them.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "watches real processes"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

/// A node that nothing can be said about but that it has not seen the other one.
const GOOD: &str = "vrrp_instance VI_1 {
    state BACKUP
    interface no-such-if0
    virtual_router_id 51
    priority 150
    nopreempt
    virtual_ipaddress {
        192.0.2.10/24
    }
}
";

/// A directory with files, in which the program runs.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        Self(directory)
    }

    /// Exit code, standard output, standard error.
    fn run(&self, words: &str) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_keepalived-rs"))
            .current_dir(&self.0)
            .args(words.split_whitespace())
            .output()
            .unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }

    fn json(&self, words: &str) -> (i32, Value) {
        let (code, stdout, stderr) = self.run(words);
        assert_eq!(stderr, "", "{words}");
        (code, serde_json::from_str(&stdout).unwrap())
    }
}

fn codes(value: &Value) -> Vec<&str> {
    let found = value["diagnostics"].as_array().unwrap();
    found
        .iter()
        .map(|one| one["code"].as_str().unwrap())
        .collect()
}

#[test]
fn a_good_file_is_clean_and_what_was_not_looked_at_is_said() {
    let desk = Desk::new(&[("a.conf", GOOD)]);
    let (code, stdout, stderr) = desk.run("check --elsewhere a.conf");
    let expected = "not checked: scripts, users, interfaces and the firewall of the machine of \
                    a.conf\n0 findings and 0 hints; `keepalived-rs explain CODE` tells more\n";
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, expected, ""));
}

#[test]
fn hints_count_only_if_asked_for() {
    let text = GOOD.replace("192.0.2.10/24", "192.0.2.10");
    let desk = Desk::new(&[("a.conf", &text)]);
    let (code, stdout, _) = desk.run("check --elsewhere a.conf");
    assert_eq!(code, 0);
    assert!(stdout.contains("hint[vip-without-prefix]: (VI_1) 192.0.2.10 is set as"));
    assert_eq!(desk.run("check --elsewhere --strict a.conf").0, 5);
}

#[test]
fn a_missing_file_is_a_finding() {
    let (code, stdout, _) = Desk::new(&[]).run("check --elsewhere nothing.conf");
    assert_eq!(code, 5);
    assert!(
        stdout.contains("Config files missing 'nothing.conf'."),
        "{stdout}"
    );
}

#[test]
fn two_files_are_compared() {
    let other = GOOD.replace("150", "100").replace("51", "52");
    let same = GOOD.replace("150", "100").replace("    nopreempt\n", "");
    let desk = Desk::new(&[("a.conf", GOOD), ("b.conf", &other), ("c.conf", &same)]);
    let (code, stdout, _) = desk.run("check --elsewhere a.conf b.conf");
    assert_eq!(code, 5);
    let shown = "warning[vrid-differs]: (VI_1) the virtual router identifiers differ: 51 and 52
 --> a.conf:4:5
  |
4 |     virtual_router_id 51
  |     ^^^^^^^^^^^^^^^^^^^^
note: the other node
 --> b.conf:4:5
  |
4 |     virtual_router_id 52
  |     ^^^^^^^^^^^^^^^^^^^^
   = help: Give both the same number.
";
    assert!(stdout.contains(shown), "{stdout}");
    let (code, found) = desk.json("check --elsewhere --strict --format json a.conf c.conf");
    assert_eq!((code, codes(&found)), (0, vec!["who-is-master"]));
    let (_, found) = desk.json("check --elsewhere --format json a.conf b.conf c.conf");
    assert_eq!(
        codes(&found),
        ["vrid-differs", "who-is-master", "vrid-differs"]
    );
}

#[test]
fn a_configuration_without_an_interface_here_leaves_the_firewall_alone() {
    let desk = Desk::new(&[("a.conf", GOOD)]);
    let (_, found) = desk.json("check --format json a.conf");
    let not_checked = found["not_checked"].to_string();
    let text = "the firewall: no interface of a.conf is on this machine";
    assert!(not_checked.contains(text), "{not_checked}");
}

#[test]
fn findings_have_stable_fields() {
    let main = GOOD.replace("priority 150", "include part.inc");
    let desk = Desk::new(&[("a.conf", &main), ("part.inc", "$P=300\npriority ${P}\n")]);
    let (code, tested) = desk.json("-t -f a.conf --format json");
    assert_eq!((code, &tested["exit_code"]), (5, &Value::from(5)));
    assert_eq!(tested["starts"], true);
    assert!(tested["file"].as_str().unwrap().ends_with("/a.conf"));
    let found = &tested["diagnostics"][0];
    let fields: Vec<&String> = found.as_object().unwrap().keys().collect();
    assert_eq!(
        fields,
        [
            "code",
            "column",
            "end",
            "exit_code",
            "file",
            "help",
            "included_from",
            "labels",
            "line",
            "message",
            "severity"
        ]
    );
    assert_eq!(found["code"], "number");
    assert_eq!(found["severity"], "error");
    assert_eq!(found["exit_code"], 5);
    let place = [&found["line"], &found["column"], &found["end"]].map(Value::as_u64);
    assert_eq!(place, [Some(2), Some(10), Some(14)]);
    assert!(found["file"].as_str().unwrap().ends_with("/part.inc"));
    let from = found["included_from"][0].as_str().unwrap();
    assert!(from.ends_with("/a.conf:5"), "{from}");
    assert_eq!(found["labels"][0]["text"], "defined here");
    assert_eq!(found["labels"][0]["line"], 1);

    let (_, checked) = desk.json("check --elsewhere a.conf --format json");
    let explained = checked["diagnostics"][0]["explanation"].as_str().unwrap();
    assert!(explained.starts_with("A number is out of its range"));
}

#[test]
fn json_of_a_test_goes_to_the_log_if_there_is_one() {
    let desk = Desk::new(&[("a.conf", "what\n")]);
    let (code, stdout, stderr) = desk.run("-tlog -f a.conf --format=json");
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (5, "", ""));
    let text = fs::read_to_string(desk.0.path().join("log")).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(codes(&value), ["unknown-keyword"]);
}

#[test]
fn strict_config_refuses_what_else_only_warns() {
    let text = GOOD.replace("state BACKUP", "state MASTER");
    let desk = Desk::new(&[("warn.conf", &text), ("good.conf", "global_defs {\n}\n")]);
    let starts = |words: &str| desk.json(&format!("{words} --format json")).1["starts"].clone();
    assert_eq!(starts("-t -f warn.conf"), true);
    assert_eq!(starts("-t -f warn.conf --strict-config"), false);
    assert_eq!(starts("-t -f good.conf --strict-config"), true);
    // C keepalived does not count this one.
    let unused = "vrrp_script x {\nscript \"/bin/true\"\n}\nglobal_defs {\n\
                  enable_script_security\nscript_user root\n}\n";
    fs::write(desk.0.path().join("unused.conf"), unused).unwrap();
    assert_eq!(desk.run("-t -f unused.conf").0, 0);
    assert_eq!(desk.run("-t -f unused.conf --strict-config").0, 5);
    let words = "-n -l -G -f warn.conf -p a.pid -r b.pid --strict-config";
    let (code, _, log) = desk.run(words);
    assert_eq!(code, 2, "{log}");
    assert!(
        log.contains("nopreempt will not work with initial state MASTER"),
        "{log}"
    );
}

#[test]
fn keywords_are_listed_for_people_and_programs() {
    let desk = Desk::new(&[]);
    let (code, stdout, _) = desk.run("keywords");
    assert_eq!(code, 0);
    let line = stdout
        .lines()
        .skip_while(|line| *line != "vrrp_instance")
        .find(|line| line.starts_with("  virtual_router_id 1..255 "))
        .unwrap();
    assert!(line.contains(" works  "), "{line}");
    let own = "\nkeepalived-rs.conf: vrrp_instance\n  fast_handover [BOOL] ";
    assert!(stdout.contains(own), "{stdout}");
    let (_, rows) = desk.json("keywords --format json");
    let own = rows.as_array().unwrap().iter();
    let own = own.filter(|row| row["file"] == "keepalived-rs.conf");
    assert!(own.clone().count() >= 6);
    let row = rows
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["block"] == "vrrp_instance" && row["keyword"] == "advert_int")
        .unwrap();
    let fields = ["arguments", "default", "status", "has_block"].map(|field| &row[field]);
    let expected = [
        Value::from("SECONDS"),
        Value::from("1"),
        Value::from("works"),
        Value::from(false),
    ];
    assert_eq!(fields, expected.each_ref());
}

#[test]
fn codes_are_explained() {
    let desk = Desk::new(&[]);
    let (code, stdout, _) = desk.run("explain owner-by-state");
    assert_eq!(code, 0);
    assert!(stdout.starts_with("`state MASTER` without `priority` gives priority 255,"));
    assert!(stdout.lines().all(|line| line.chars().count() <= 78));
    // Neither a code nor an instance of a daemon: none runs with this pid file.
    let (code, stdout, stderr) = desk.run("explain x -p none.pid");
    assert_eq!((code, stdout.as_str()), (1, ""));
    let text = "No message has the code 'x'\nIf it is an instance: No daemon is running: ";
    assert!(stderr.starts_with(text), "{stderr}");
    assert!(
        desk.run("explain")
            .1
            .lines()
            .any(|line| line == "nopreempt")
    );
}

#[test]
fn tools_do_not_hide_options_and_are_not_guessed() {
    let desk = Desk::new(&[("a.conf", "global_defs {\n}\n")]);
    let (code, stdout, _) = desk.run("-t -f a.conf check");
    assert_eq!(
        (code, stdout.as_str()),
        (0, "Unexpected argument(s): check\n")
    );
    let (code, stdout, _) = desk.run("che -t -f a.conf");
    assert_eq!(
        (code, stdout.as_str()),
        (0, "Unexpected argument(s): che\n")
    );
    let (code, _, stderr) = desk.run("check");
    assert_eq!(code, 1);
    assert!(stderr.contains("<FILE>..."), "{stderr}");
    let (code, stdout, _) = desk.run("check --help");
    assert_eq!(code, 0);
    assert!(stdout.contains("--elsewhere"));
}

#[test]
fn a_password_file_that_others_can_read_is_a_matter_of_security() {
    let own = "global_defs {\nsmtp_tls tls\nsmtp_user lb1\nsmtp_password_file secret\n}\n";
    let files = [
        ("a.conf", GOOD),
        ("keepalived-rs.conf", own),
        ("secret", "s3cret\n"),
    ];
    let desk = Desk::new(&files);
    let text = "smtp_password_file 'secret' can be read by others than its owner";
    let code = "smtp-password-file-rights";
    for (mode, is_told) in [(0o644, true), (0o640, true), (0o600, false)] {
        let rights = fs::Permissions::from_mode(mode);
        fs::set_permissions(desk.0.path().join("secret"), rights).unwrap();
        let (_, value) = desk.json("check --format json a.conf");
        assert_eq!(codes(&value).contains(&code), is_told, "{mode:o} {value}");
        let (_, stdout, stderr) = desk.run("-t -f a.conf");
        assert_eq!(stdout.contains(text) || stderr.contains(text), is_told);
        assert!(!format!("{value}{stdout}{stderr}").contains("s3cret"));
    }
}
