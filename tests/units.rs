//! The units of systemd that are shipped: whether systemd understands them, and what
//! it says of them. Needs `systemd-analyze`; without it the tests say so.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "asks a program of this machine"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_keepalived-rs");

/// Copies a unit, with the program that was built in the place of the installed one.
fn unit(directory: &Path, name: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("systemd")
        .join(name);
    let text = fs::read_to_string(from).unwrap();
    let text = text.replace("/usr/sbin/keepalived-rs", PROGRAM);
    fs::write(directory.join(name), text).unwrap();
}

/// Asks `systemd-analyze`; `None` where there is none.
fn analyze(directory: &Path, arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new("systemd-analyze");
    match command.args(arguments).current_dir(directory).output() {
        Ok(output) => Some(output),
        Err(error) => {
            assert!(
                std::env::var_os("CI").is_none(),
                "cannot run in CI: {error}"
            );
            eprintln!("SKIPPED: systemd-analyze: {error}");
            None
        }
    }
}

fn verify(directory: &Path, name: &str) {
    let path = format!("./{name}");
    if let Some(output) = analyze(directory, &["verify", "--man=no", &path]) {
        let said = String::from_utf8_lossy(&output.stderr);
        let of_ours: Vec<_> = said
            .lines()
            .filter(|it| it.contains("keepalived"))
            .collect();
        assert!(output.status.success(), "{said}");
        assert!(of_ours.is_empty(), "{said}");
    }
}

/// The exposure that systemd finds, from 0 to 10.
fn exposure(directory: &Path, name: &str) -> Option<f32> {
    let path = format!("./{name}");
    let output = analyze(directory, &["security", "--offline=true", &path])?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find(|line| line.contains("Overall exposure"));
    let words = line.unwrap_or_else(|| panic!("{said}")).split_whitespace();
    Some(words.filter_map(|word| word.parse().ok()).next().unwrap())
}

#[test]
fn systemd_understands_the_units() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["keepalived-rs.service", "keepalived-rs-non-root.service"] {
        unit(directory.path(), name);
        verify(directory.path(), name);
    }
}

#[test]
fn hardening_lowers_the_exposure_to_what_it_says() {
    let directory = tempfile::tempdir().unwrap();
    let name = "keepalived-rs.service";
    unit(directory.path(), name);
    let Some(before) = exposure(directory.path(), name) else {
        return;
    };
    let drop_ins = directory.path().join(format!("{name}.d"));
    fs::create_dir(&drop_ins).unwrap();
    unit(&drop_ins, "hardened.conf");
    verify(directory.path(), name);
    let after = exposure(directory.path(), name).unwrap();
    // The scale changes a little with the version of systemd.
    assert!((after - 3.7).abs() < 1.0, "{after}");
    assert!((before - 9.6).abs() < 0.5, "{before}");
}
