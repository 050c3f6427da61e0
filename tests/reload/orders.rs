//! What a user sees of a reload: `keepalived-rs reload`, signals, the files that go
//! with it.

use crate::lab::process::send_signal;
use crate::lab::{Context, Result, isolation};
use crate::site::{
    FILE, FIRST_VIP, PATIENCE, PID_FILE, Site, expect, instance, run, two_instances,
};
use std::path::Path;

const MARKER: &str = "/run/marker";
const TIME_FILE: &str = "/run/reload-time";

fn printed(site: &mut Site, words: &[&str], code: i32, lines: &[&str]) -> Result<()> {
    let words = [&["reload", "-p", PID_FILE], words].concat();
    let (found, process) = site.run(&words)?;
    let output = process.output(site.lab.start);
    expect(found == code, || {
        format!("exit code {code}, not {found}: {output}")
    })?;
    for line in lines {
        process.await_line(PATIENCE, line)?;
    }
    Ok(())
}

/// The plan, then the same as a fact; nothing changes without the second.
#[test]
fn the_plan_is_printed_and_then_carried_out() {
    run(&two_instances(""), |site| {
        let changed = two_instances("").replace("priority 150", "priority 140");
        site.node.write_file(FILE, &changed)?;
        let mark = site.daemon.line_mark();
        site.watched(|| Ok(()))?;
        let plan = ["VI_1: ", "priority 150", "140", "VI_2: "];
        let end = "A reload of /run/keepalived.conf would be accepted.";
        printed(site, &["--dry-run"], 0, &[&plan[..], &[end]].concat())?;
        let reloads = |line: &str| line.contains("Reload");
        let before = site.daemon.count_lines_after(mark, reloads);
        expect(before == 0, || "a dry run not to reload".to_owned())?;

        let end = "Reloaded /run/keepalived.conf.";
        printed(site, &[], 0, &[&plan[..], &[end]].concat())?;
        site.expect_after(mark, "Reload complete")?;
        let observer = &site.lab.observer;
        let mark = observer.mark();
        observer.await_advert(mark, PATIENCE, "the new priority", |advert| {
            (advert.vrid, advert.priority) == (51, 140)
        })?;
        printed(site, &["--dry-run"], 0, &["nothing changes"])
    });
}

/// Another file is compared, too, before it is put in place.
#[test]
fn another_file_can_be_compared() {
    run(&two_instances(""), |site| {
        site.node.write_file("/run/other.conf", &instance(1, 150))?;
        let words = ["--dry-run", "-f", "/run/other.conf"];
        let lines = ["VI_2: ", "A reload of /run/other.conf would be accepted."];
        printed(site, &words, 0, &lines)?;
        printed(site, &["-f", "/run/other.conf"], 1, &["--dry-run"])
    });
}

/// The mistakes with their places: to the one who asked, in the log, and in the
/// status; and all runs on.
#[test]
fn a_refusal_says_where_and_why() {
    run(&two_instances(""), |site| {
        let broken = two_instances("").replace("priority 150", "prioritty 150");
        site.node.write_file(FILE, &broken)?;
        let mark = site.daemon.line_mark();
        let lines = [
            "prioritty",
            "/run/keepalived.conf:9",
            "what ran before runs on",
        ];
        printed(site, &[], 1, &lines)?;
        let log = "(Line 9) Unknown keyword 'prioritty'";
        site.expect_after(mark, log)?;
        site.expect_after(mark, "Reload refused")?;
        let (_, status) = site.run(&["status", "-p", PID_FILE])?;
        status.await_line(PATIENCE, "REFUSED")?;
        status.await_line(PATIENCE, "Line 9) Unknown keyword 'prioritty'")?;
        // Both lines are there, not only the first mistake.
        status.await_line(PATIENCE, "Line 19) Unknown keyword 'prioritty'")?;
        site.watched(|| Ok(()))?;
        printed(site, &["--dry-run"], 1, &["A reload would be refused"])
    });
}

#[test]
fn nobody_runs_or_somebody_else_asks() {
    run(&two_instances(""), |site| {
        let (code, process) = site.run(&["reload", "-p", "/run/other.pid"])?;
        expect(code == 2, || format!("exit code 2, not {code}"))?;
        process.await_line(PATIENCE, "No daemon is running")?;
        if isolation::needs_user_namespace() {
            return Ok(());
        }
        let program = "/run/keepalived-rs";
        let from = Path::new(env!("CARGO_BIN_EXE_keepalived-rs"));
        site.node.copy_program(from, program)?;
        let socket = "/run/keepalived.control";
        for (mode, answer) in [
            ("0600", "You may not ask"),
            ("0666", "Only root may do that"),
        ] {
            let line = format!(
                "chmod {mode} {socket}; chmod 755 /run {program}; \
                 setpriv --reuid 65534 --clear-groups {program} reload -p {PID_FILE}; echo code $?"
            );
            let shell = Path::new("/bin/sh");
            let process = site.node.start(shell, &["-c", &line], &[])?;
            process.await_line(PATIENCE, "code 2")?;
            process.await_line(PATIENCE, answer)?;
        }
        Ok(())
    });
}

/// What is read once cannot be changed; the rest of such a file is not used either.
#[test]
fn what_only_a_restart_can_change_refuses_the_reload() {
    run(&two_instances(""), |site| {
        let text = two_instances("").replace("priority 150", "priority 140");
        site.node.write_file(FILE, &format!("instance x\n{text}"))?;
        let reason = "Cannot change instance name at a reload - please restart keepalived";
        printed(site, &[], 1, &[reason])?;
        site.watched(|| Ok(()))
    });
}

/// The VRRP process alone goes over what it has; what is on disk is not looked at.
#[test]
fn a_signal_to_the_child_reads_no_file() {
    run(&two_instances(""), |site| {
        site.node.write_file(FILE, "garbage {\n")?;
        let worker = site.worker()?;
        let mark = site.daemon.line_mark();
        let daemon = &site.daemon;
        site.watched(|| {
            send_signal(worker, libc::SIGHUP)?;
            daemon
                .await_line_after(mark, PATIENCE, "Reloading")
                .map(drop)
        })?;
        site.run(&["status", "-p", PID_FILE])?;
        let others = site.daemon.count_lines_after(mark, |line| {
            line.contains("Reloading ...") || line.contains("refused")
        });
        expect(others == 0, || "only the child to reload".to_owned())?;
        expect(site.worker()? == worker, || "the same child".to_owned())
    });
}

/// A request that comes meanwhile is not lost.
#[test]
fn a_reload_during_a_reload_is_queued() {
    run(&two_instances(""), |site| {
        let worker = site.worker()?;
        let mark = site.daemon.line_mark();
        send_signal(worker, libc::SIGSTOP)?;
        site.daemon.signal(libc::SIGHUP);
        site.expect_after(mark, "Configuration file")?;
        let text = two_instances("").replace("priority 150", "priority 130");
        site.node.write_file(FILE, &text)?;
        site.daemon.signal(libc::SIGHUP);
        site.expect_after(mark, "Reload already in progress, request queued")?;
        send_signal(worker, libc::SIGCONT)?;
        let observer = &site.lab.observer;
        observer.await_advert(observer.mark(), PATIENCE, "the second text", |advert| {
            (advert.vrid, advert.priority) == (51, 130)
        })?;
        let count = site
            .daemon
            .count_lines_after(mark, |line| line.contains("Reloading ..."));
        expect(count == 2, || format!("two reloads, not {count}"))
    });
}

/// `reload_file` is there while the files are read, and at no other time.
#[test]
fn the_marker_is_there_while_files_are_read() {
    run(&two_instances(&format!("reload_file {MARKER}")), |site| {
        let there = |site: &Site| site.node.read_file(MARKER).is_ok();
        expect(!there(site), || "no marker before".to_owned())?;
        // Somebody who writes keeps the daemon reading.
        let text = two_instances(&format!("reload_file {MARKER}"));
        let writer = site.node.inside(|| {
            let writer = std::fs::File::create(FILE).context(FILE)?;
            std::io::Write::write_all(&mut &writer, text.as_bytes()).context(FILE)?;
            Ok(writer)
        })?;
        let mark = site.daemon.line_mark();
        site.daemon.signal(libc::SIGHUP);
        site.expect_after(mark, "Reload waits: /run/keepalived.conf is being written")?;
        expect(there(site), || "a marker meanwhile".to_owned())?;
        drop(writer);
        site.expect_after(mark, "Reload complete")?;
        expect(!there(site), || "no marker after".to_owned())
    });
}

/// A file with a time reloads at that time, once, and a file that changes changes
/// the time.
#[test]
fn a_planned_reload_comes_at_its_time() {
    run(
        &two_instances(&format!("reload_time_file {TIME_FILE}")),
        |site| {
            let mark = site.daemon.line_mark();
            site.node.write_file(TIME_FILE, "garbage\n")?;
            site.expect_after(mark, "Invalid reload time 'garbage' specified - ignoring")?;
            site.node.write_file(TIME_FILE, "2020-01-01 00:00:00\n")?;
            site.expect_after(mark, "2020-01-01 00:00:00 is in the past - ignoring")?;
            site.node.write_file(TIME_FILE, "2099-01-01 00:00:00Z\n")?;
            site.expect_after(mark, "Scheduling reload for 2099-01-01")?;
            site.node.remove_file(TIME_FILE)?;
            site.expect_after(mark, "Cancelling reload scheduled for 2099-01-01")?;

            let repeats = two_instances(&format!("reload_time_file {TIME_FILE}\nreload_repeat"));
            for (text, stays) in [(None, false), (Some(&repeats), true)] {
                if let Some(text) = text {
                    site.reload(text, "Reload complete")?;
                }
                let mark = site.daemon.line_mark();
                let words = ["-c", "date -d '+2 sec' +%H:%M:%S > /run/reload-time"];
                site.node.start(Path::new("/bin/sh"), &words, &[])?;
                site.expect_after(mark, "Scheduling reload for")?;
                site.expect_after(mark, "Reload complete")?;
                let is_there = site.node.read_file(TIME_FILE).is_ok();
                expect(is_there == stays, || format!("the file to stay: {stays}"))?;
                // With `reload_repeat` it comes again tomorrow.
                let again = |line: &str| line.contains("Scheduling reload for");
                let count = site.daemon.count_lines_after(mark, again);
                expect(count == 1 + usize::from(stays), || {
                    format!("not {count} plans")
                })?;
            }
            site.watched(|| Ok(()))
        },
    );
}

/// The log of `reload_check_config` has what was wrong with the last text.
#[test]
fn the_check_log_is_written() {
    let text = two_instances("reload_check_config /run/check.log");
    run(&text, |site| {
        let broken = text.replace("virtual_router_id 51", "");
        site.reload(
            &broken,
            "New config failed validation, see /run/check.log for details",
        )?;
        let log = site.node.read_file("/run/check.log")?;
        expect(log.contains("the virtual router id must be set"), || {
            format!("not {log:?}")
        })?;
        site.node.await_address(FIRST_VIP, true, PATIENCE).map(drop)
    });
}

/// Groups and instances whose state stays tell nobody.
#[test]
fn unchanged_states_are_not_notified() {
    let script = "/run/notify";
    let group = "vrrp_sync_group G {\n  group {\n    VI_1\n    VI_2\n  }\n  \
                 notify \"/run/notify\" root\n}\n";
    let body =
        two_instances("").replace("  version 3", "  version 3\n  notify \"/run/notify\" root");
    run(&two_instances(""), |site| {
        site.node
            .write_file(script, "#!/bin/sh\n/bin/echo \"$@\" >> /run/told\n")?;
        site.node.write_file("/run/told", "")?;
        let tail = Path::new("/usr/bin/tail");
        let told = site.node.start(tail, &["-f", "/run/told"], &[])?;
        site.reload(&format!("{group}{body}"), "Reload complete")?;
        // The group is new.
        told.await_line(PATIENCE, "GROUP G MASTER")?;
        let before = site.node.read_file("/run/told")?;
        let other = format!("{group}{body}").replace("priority 150", "priority 140");
        let daemon = &site.daemon;
        let node = &site.node;
        node.write_file(FILE, &other)?;
        let mark = daemon.line_mark();
        site.watched(|| {
            daemon.signal(libc::SIGHUP);
            daemon
                .await_line_after(mark, PATIENCE, "Reload complete")
                .map(drop)
        })?;
        // A script that was started by then has written by the time a later one has.
        let mark = site.lab.observer.mark();
        site.lab
            .observer
            .await_advert(mark, PATIENCE, "the new priority", |advert| {
                advert.priority == 140
            })?;
        let told = site.node.read_file("/run/told")?;
        expect(told == before, || format!("nobody to be told {told:?}"))
    });
}
