//! Notify scripts, and those of a start and a stop: who is told what, in what
//! order, with which environment; and that a script that hangs, detaches or is
//! overtaken a thousand times does no harm.

use crate::bench::{Bench, Machine, PATIENCE, VIP, VRID, expect};
use crate::lab::{Context, Result};
use crate::lateness::{BEAT, expect_in_time};
use std::time::{Duration, Instant};

const CALLS: &str = "/run/calls";
const OWNERS: [&str; 3] = ["VI_1", "VI_2", "G"];

/// Two instances and their group, through everything that can happen to them.
pub fn sequence(bench: &mut Bench) -> Result<()> {
    for machine in [&bench.a, &bench.b] {
        write_script(machine, "/run/call", "echo \"$@\" >> /run/calls\n")?;
    }
    let changes = ["BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER", "STOP"];
    let of_b = ["BACKUP", "MASTER", "BACKUP", "MASTER", "STOP"];
    bench.start(&pair(150), &pair(100))?;
    await_told(&bench.a, &changes[..2])?;
    await_told(&bench.b, &of_b[..1])?;
    bench.a.node.set_carrier(false)?;
    await_told(&bench.a, &changes[..3])?;
    await_told(&bench.b, &of_b[..2])?;
    bench.a.node.set_carrier(true)?;
    await_told(&bench.a, &changes[..4])?;
    await_told(&bench.a, &changes[..5])?;
    await_told(&bench.b, &of_b[..3])?;
    bench.a.stop()?;
    await_told(&bench.a, &changes)?;
    await_told(&bench.b, &of_b[..4])?;
    bench.b.stop()?;
    await_told(&bench.b, &of_b)?;

    expect_calls(&bench.a, 150, &changes)?;
    expect_calls(&bench.b, 100, &of_b)
}

/// Waits until every script of these changes has run. Without that the next change
/// could overtake the scripts of this one: C starts them all at once, and they run as
/// the machine lets them.
fn await_told(machine: &Machine, changes: &[&str]) -> Result<()> {
    let what = format!("the scripts of {changes:?}");
    await_calls(machine, &what, |calls| {
        OWNERS.iter().all(|owner| {
            let words = calls.iter().map(|line| line.split(' ').next());
            words.filter(|word| *word == Some(*owner)).count() >= 2 * changes.len()
        })
    })
}

/// Checks that everybody was told of these changes, by both scripts, in this
/// order; C leaves open which of the two of one change is the first.
fn expect_calls(machine: &Machine, priority: u8, changes: &[&str]) -> Result<()> {
    let all = calls(machine)?;
    for owner in OWNERS {
        let mine = all
            .iter()
            .filter(|line| line.split(' ').next() == Some(owner));
        let mut mine: Vec<&str> = mine.map(String::as_str).collect();
        for both in mine.chunks_mut(2) {
            both.sort_unstable();
        }
        let mut wanted = Vec::new();
        for state in changes {
            let arguments = match owner {
                "G" => format!("GROUP G {state} 0"),
                _ => format!("INSTANCE {owner} {state} {priority}"),
            };
            wanted.push(format!("{owner} any {arguments}"));
            wanted.push(format!("{owner} only {state}"));
        }
        expect(mine == wanted, || format!("{wanted:#?}, not {mine:#?}"))?;
    }
    Ok(())
}

fn pair(priority: u8) -> String {
    let scripts = |owner: &str| {
        let mut text = format!("    notify \"/run/call {owner} any\"\n");
        for state in ["MASTER", "BACKUP", "FAULT", "STOP"] {
            let keyword = state.to_lowercase();
            text += &format!("    notify_{keyword} \"/run/call {owner} only {state}\"\n");
        }
        text
    };
    let instance = |name: &str, vrid: u8| {
        let scripts = scripts(name);
        let addresses = if vrid == VRID {
            format!("    virtual_ipaddress {{\n        {VIP}/24\n    }}\n")
        } else {
            "    virtual_ipaddress {\n        192.0.2.101/24\n    }\n".to_owned()
        };
        format!(
            "vrrp_instance {name} {{\n    interface eth0\n    virtual_router_id {vrid}\n    \
             priority {priority}\n    advert_int 1\n{addresses}{scripts}}}\n"
        )
    };
    format!(
        "global_defs {{\n    script_user root\n}}\nvrrp_sync_group G {{\n    group {{\n        \
         VI_1\n        VI_2\n    }}\n{}}}\n{}{}",
        scripts("G"),
        instance("VI_1", VRID),
        instance("VI_2", VRID + 1)
    )
}

/// What scripts find in their environment, in the order of the scripts; and that
/// root's are root.
pub fn environment(bench: &mut Bench) -> Result<()> {
    let shown = "echo \"$1: ${KEEPALIVED_INSTANCE-}/${KEEPALIVED_GROUP-} \
                 $KEEPALIVED_PREVIOUS_STATE-$KEEPALIVED_STATE $KEEPALIVED_PRIORITY: \
                 $KEEPALIVED_REASON\" >> /run/calls\n";
    write_script(&bench.a, "/run/call", shown)?;
    let mounts = "mkdir -p /run/mounted && mount -t tmpfs none /run/mounted \
                  && echo yes > /run/mounted/written && echo mounted >> /run/calls\nexit 3\n";
    write_script(&bench.a, "/run/root", mounts)?;
    let text = format!(
        "global_defs {{\n    script_user root\n}}\n\
         vrrp_sync_group G {{\n    group {{\n        VI_1\n    }}\n    \
         notify_fault \"/run/call group\"\n    notify_stop \"/run/call group\"\n}}\n\
         vrrp_instance VI_1 {{\n    interface eth0\n    virtual_router_id {VRID}\n    \
         advert_int 1\n    virtual_ipaddress {{\n        {VIP}/24\n    }}\n    \
         notify_backup \"/run/root\"\n    notify \"/run/call any\"\n}}\n"
    );
    bench.a.start(&text)?;
    await_call(&bench.a, "any: VI_1/ INIT-BACKUP 100: started")?;
    bench
        .a
        .expect_line("(VI_1) BACKUP: script /run/root failed (exited with status 3)")?;
    bench.a.node.await_address(VIP, true, PATIENCE)?;
    bench.a.node.set_carrier(false)?;
    await_call(&bench.a, "group: /G MASTER-FAULT 0: interface eth0 is down")?;
    bench.a.stop()?;
    let calls = calls(&bench.a)?;
    let mine: Vec<&str> = calls
        .iter()
        .filter(|line| !line.starts_with("group"))
        .map(|line| line.split(" heard for").next().unwrap_or_default())
        .collect();
    let wanted = [
        "mounted",
        "any: VI_1/ INIT-BACKUP 100: started",
        "any: VI_1/ BACKUP-MASTER 100: no master",
        "any: VI_1/ MASTER-FAULT 100: interface eth0 is down",
        "any: VI_1/ FAULT-STOP 100: stopped",
    ];
    expect(mine == wanted, || format!("{wanted:#?}, not {mine:#?}"))?;
    expect(
        count(&calls, "group: /G FAULT-STOP 0: stopped") == 1,
        || format!("the stop of the group, not {calls:#?}"),
    )
}

/// A script that ignores every signal it can, and one that leaves a process
/// behind: what follows is told all the same.
pub fn hostile(bench: &mut Bench) -> Result<()> {
    let detaches = "setsid sh -c 'echo $$ > /run/detached; exec sleep 600' &\n\
                    echo backup >> /run/calls\n";
    write_script(&bench.a, "/run/detaches", detaches)?;
    let hangs = "trap '' TERM INT HUP\necho master >> /run/calls\nwhile :; do sleep 1; done\n";
    write_script(&bench.a, "/run/hangs", hangs)?;
    write_script(&bench.a, "/run/stop", "echo stop >> /run/calls\n")?;
    let text = alone(
        "notify_backup /run/detaches\n    notify_master /run/hangs\n    notify_stop /run/stop",
        "",
    );
    bench.a.start(&(text + BEAT))?;
    expect_in_time(bench, |bench| await_call(&bench.a, "master"))?;
    bench.a.daemon()?.signal(libc::SIGTERM);
    bench.a.expect_line("takes too long, ending it")?;
    bench
        .a
        .expect_line("(VI_1) MASTER: script /run/hangs failed (due to signal 9)")?;
    bench.a.expect_stopped()?;
    let calls = calls(&bench.a)?;
    expect(calls == ["backup", "master", "stop"], || {
        format!("backup, master, stop, not {calls:?}")
    })?;
    let detached = bench.a.node.read_file("/run/detached")?;
    let detached: u32 = detached.trim().parse().context("a process number")?;
    let left = bench.a.node.processes()?;
    expect(left.iter().any(|(_, inner, _)| *inner == detached), || {
        format!("that {detached} is left alone: {left:?}")
    })
}

/// A thousand changes while a script takes its time: few scripts run, one after
/// the other, and the last one is told the last state.
pub fn burst(bench: &mut Bench) -> Result<()> {
    bench.a.node.add_spare("spare")?;
    let slow = "mkdir /run/alone || echo two at once >> /run/calls\nsleep 0.3\n\
                echo $KEEPALIVED_PREVIOUS_STATE $KEEPALIVED_STATE >> /run/calls\n\
                rmdir /run/alone\n";
    write_script(&bench.a, "/run/slow", slow)?;
    let track = "track_interface {\n        spare\n    }";
    bench
        .a
        .start(&(alone(&format!("notify /run/slow\n    {track}"), "") + BEAT))?;
    bench.a.expect_line("(VI_1) Entering MASTER STATE")?;
    let flapping = Instant::now();
    expect_in_time(bench, |bench| {
        for up in (0..1_000).map(|change| change % 2 == 1) {
            bench.a.node.set_link_up("spare", up)?;
        }
        Ok(())
    })?;
    bench.a.node.set_link_up("spare", false)?;
    let most = flapping.elapsed().as_millis() / 300 + 6;
    bench.a.expect_line("notifications were skipped")?;
    await_calls(&bench.a, "the last state", |calls| {
        calls.last().is_some_and(|last| last.ends_with(" FAULT"))
    })?;
    crate::scripts::expect_little_memory(&bench.a)?;
    bench.a.stop()?;
    let calls = calls(&bench.a)?;
    let last = calls.last().map(String::as_str);
    expect(last == Some("FAULT STOP"), || {
        format!("the stop after FAULT, not {last:?}")
    })?;
    expect(count(&calls, "two at once") == 0, || {
        "one script at a time".to_owned()
    })?;
    expect((calls.len() as u128) < most, || {
        format!("fewer than {most} calls, not {}", calls.len())
    })
}

/// The scripts of start and stop: before the VRRP process is there, and after it
/// has gone; what they return changes nothing.
pub fn lifecycle(bench: &mut Bench) -> Result<()> {
    let shown = "test -e /run/vrrp.pid && with=with || with=without\n\
                 sleep 0.3\necho $1 $with >> /run/calls\nexit $2\n";
    write_script(&bench.a, "/run/call", shown)?;
    write_script(&bench.a, "/run/told", "echo $3 >> /run/calls\n")?;
    let global = "startup_script \"/run/call startup 0\"\n    \
                  shutdown_script \"/run/call shutdown 7\"";
    bench.a.start(&alone("notify /run/told", global))?;
    bench.a.expect_line("Running startup script /run/call")?;
    bench.a.expect_line("startup script script succeeded")?;
    await_call(&bench.a, "MASTER")?;
    bench.a.stop()?;
    bench.a.expect_line("Running shutdown script /run/call")?;
    bench
        .a
        .expect_line("shutdown script script failed, status 7")?;
    let calls = calls(&bench.a)?;
    let wanted = [
        "startup without",
        "BACKUP",
        "MASTER",
        "STOP",
        "shutdown without",
    ];
    expect(calls == wanted, || format!("{wanted:?}, not {calls:?}"))
}

/// Scripts of start and stop that hang are ended; the daemon then goes on.
pub fn lifecycle_limits(bench: &mut Bench) -> Result<()> {
    write_script(&bench.a, "/run/hangs", "exec sleep 600\n")?;
    let stubborn = "trap '' TERM\nwhile :; do sleep 1; done\n";
    write_script(&bench.a, "/run/stubborn", stubborn)?;
    let global = "startup_script /run/stubborn\n    startup_script_timeout 1\n    \
                  shutdown_script /run/hangs\n    shutdown_script_timeout 1";
    let began = Instant::now();
    bench.a.start(&alone("", global))?;
    bench.a.expect_line("startup script timed out")?;
    let line = bench
        .a
        .daemon()?
        .await_line(PATIENCE, "Entering BACKUP STATE")?;
    expect(line.0 >= began + Duration::from_secs(1), || {
        "that the start waits".to_owned()
    })?;
    bench.a.stop()?;
    bench.a.expect_line("shutdown script timed out")
}

/// A stop while the startup script runs.
pub fn stopped_early(bench: &mut Bench) -> Result<()> {
    write_script(
        &bench.a,
        "/run/hangs",
        "echo hangs >> /run/calls\nexec sleep 600\n",
    )?;
    write_script(&bench.a, "/run/last", "echo last >> /run/calls\n")?;
    let global = "startup_script /run/hangs\n    shutdown_script /run/last";
    bench.a.start(&alone("", global))?;
    await_call(&bench.a, "hangs")?;
    bench.a.stop()?;
    let calls = calls(&bench.a)?;
    expect(calls == ["hangs", "last"], || {
        format!("hangs and last, not {calls:?}")
    })?;
    let started = bench.a.daemon()?.count_lines("Entering BACKUP STATE");
    expect(started == 0, || "no instance".to_owned())
}

/// One instance that nobody else has.
fn alone(words: &str, global: &str) -> String {
    format!(
        "global_defs {{\n    script_user root\n    {global}\n}}\nvrrp_instance VI_1 {{\n    \
         interface eth0\n    virtual_router_id {VRID}\n    priority 100\n    advert_int 1\n    \
         virtual_ipaddress {{\n        {VIP}/24\n    }}\n    {words}\n}}\n"
    )
}

fn write_script(machine: &Machine, path: &str, text: &str) -> Result<()> {
    machine.node.write_file(path, &format!("#!/bin/sh\n{text}"))
}

/// What the scripts wrote so far, line by line.
fn calls(machine: &Machine) -> Result<Vec<String>> {
    let text = machine.node.read_file(CALLS)?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn count(calls: &[String], wanted: &str) -> usize {
    calls.iter().filter(|line| *line == wanted).count()
}

fn await_call(machine: &Machine, line: &str) -> Result<()> {
    await_calls(machine, line, |calls| count(calls, line) > 0)
}

/// Scripts tell nobody that they have run but by the file that they write.
fn await_calls(machine: &Machine, what: &str, seen: impl Fn(&[String]) -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let calls = calls(machine).unwrap_or_default();
        if seen(&calls) {
            return Ok(());
        }
        expect(Instant::now() < deadline, || {
            format!("{what} on {}, not {calls:#?}", machine.node.name())
        })?;
        std::thread::sleep(Duration::from_millis(20));
    }
}
