//! The daemon as the first process of a container: alone in its process namespace,
//! on a root file system that nobody can write to, with a /run in memory.

use crate::bench::{Bench, Machine, PATIENCE, Program, VIP, configuration, expect, run_scripts};
use crate::lab::process::send_signal;
use crate::lab::{Context, Failure, Process, Result};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const FILE: &str = "/run/keepalived.conf";
/// Made by a process that has outlived the script that started it.
const OVER: &str = "/run/over";

/// Starts our daemon on the node, as a container's first process.
fn start(machine: &mut Machine, configuration: &str) -> Result<Arc<Process>> {
    machine.node.write_file(FILE, configuration)?;
    let program = env!("CARGO_BIN_EXE_keepalived-rs");
    let arguments = [
        "--pid",
        "--fork",
        "--kill-child",
        "--mount",
        "--mount-proc",
        "/bin/sh",
        "-c",
        "mount -o remount,bind,ro / && ! touch /tmp/keepalived-rs.test 2>/dev/null && exec \"$0\" \"$@\"",
        program,
        "-n",
        "-l",
        "-G",
        "-D",
        "-f",
        FILE,
    ];
    let unshare = Path::new("/usr/bin/unshare");
    // The state files of SIGUSR1 cannot be written there.
    machine
        .node
        .start(unshare, &arguments, &[("TMPDIR", "/tmp")])
}

/// The daemon, by its number outside of the container.
fn first_process(unshare: &Process) -> Result<u32> {
    let id = unshare.id();
    let path = format!("/proc/{id}/task/{id}/children");
    let children = std::fs::read_to_string(&path).context(path)?;
    let child = children.split_whitespace().next();
    child
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Failure::new("the container has no process"))
}

/// How many children of `parent` have ended and were not waited for.
fn zombies_of(parent: u32) -> Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir("/proc").context("/proc")?.flatten() {
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let is_child = field("PPid:").is_some_and(|text| text.trim() == parent.to_string());
        let is_zombie = field("State:").is_some_and(|text| text.trim().starts_with('Z'));
        count += usize::from(is_child && is_zombie);
    }
    Ok(count)
}

fn await_that(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds()? {
        expect(Instant::now() < deadline, || what.to_owned())?;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn lives_and_stops(bench: &mut Bench) -> Result<()> {
    let machine = &mut bench.a;
    machine.node.write_file(
        "/run/check",
        &format!("#!/bin/sh\n(sleep 0.2; : >{OVER}) >/dev/null 2>&1 &\n"),
    )?;
    let script = "global_defs {\n    script_user root\n}\nvrrp_script check {\n    \
                  script /run/check\n    interval 1\n}\n";
    let tracked = configuration(100, "track_script {\n        check\n    }");
    let unshare = start(machine, &format!("{script}{tracked}"))?;
    unshare.await_line(PATIENCE, "(VI_1) Entering MASTER STATE")?;
    machine.node.await_address(VIP, true, PATIENCE)?;
    let daemon = first_process(&unshare)?;

    // What a script leaves behind becomes the child of the first process.
    await_that("a process that outlives its script", || {
        Ok(machine.node.read_file(OVER).is_ok())
    })?;
    await_that("no dead child that nobody waits for", || {
        Ok(zombies_of(daemon)? == 0)
    })?;

    // Nothing can be written, and nothing breaks.
    send_signal(daemon, libc::SIGUSR1)?;
    unshare.await_line(PATIENCE, "Unable to write /tmp/keepalived")?;

    send_signal(daemon, libc::SIGTERM)?;
    let (_, status) = unshare.await_end(PATIENCE)?;
    expect(status.success(), || format!("exit status 0, not {status}"))?;
    machine.expect_addresses(&[])?;
    expect(unshare.count_lines("sent 0 priority") > 0, || {
        "a resignation".to_owned()
    })
}

#[test]
fn the_first_process_of_a_container_lives_and_stops() {
    run_scripts(Program::Ours, Program::Ours, lives_and_stops);
}
