//! Tracked files and processes: who is MASTER after each change, and what the
//! log says of it.

use crate::bench::{Bench, PATIENCE, Program, configuration, expect, find_program, run};
use crate::lab::process::send_signal;
use crate::lab::{Context, Failure, Process, Result, isolation};
use crate::lateness::{BEAT, expect_in_time};
use std::sync::Arc;
use std::time::Duration;

/// Longer than any way to look at processes takes.
const DELAY: Duration = Duration::from_secs(4);

const FILE: &str = "/run/tracked";

fn tracking_file(weight: &str) -> String {
    let block = format!("track_file number {{\n    file {FILE}\n    weight {weight}\n}}\n");
    block + &configuration(150, "track_file {\n        number\n    }")
}

/// In one piece, as an administrator's script should.
fn put(bench: &Bench, value: &str) -> Result<()> {
    let node = &bench.a.node;
    node.write_file("/run/tracked.new", &format!("{value}\n"))?;
    node.inside(|| std::fs::rename("/run/tracked.new", FILE).context("the file"))
}

/// With a weight the number moves the priority, and the other node takes over.
pub fn file_with_weight(bench: &mut Bench) -> Result<()> {
    let a = tracking_file("2");
    bench.start(&a, &configuration(120, ""))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    let mut before = 150;
    for (value, after) in [
        ("-20", 110),
        ("-10 and more", 130),
        ("0x10", 182),
        ("-126", 1),
        ("nothing", 150),
    ] {
        let (lines, mark) = (bench.a.daemon()?.line_mark(), bench.lab.observer.mark());
        put(bench, value)?;
        let line = format!("(VI_1) Changing effective priority from {before} to {after}");
        bench.a.daemon()?.await_line_after(lines, PATIENCE, &line)?;
        // While it stays MASTER its own adverts tell.
        if after > 120 && before > 120 {
            bench.await_advert(mark, &bench.a, after)?;
            bench.expect_holder(&bench.a)?;
        } else if after > 120 {
            bench.await_holder(mark, &bench.a)?;
        } else {
            bench.await_holder(mark, &bench.b)?;
        }
        before = after;
    }
    bench.stop()
}

/// Without a weight any number but 0 is FAULT; so is a file that is there before
/// the daemon, and none is not.
pub fn file_without_weight(bench: &mut Bench) -> Result<()> {
    put(bench, "7")?;
    bench.a.start(&tracking_file("0"))?;
    bench.b.start(&configuration(120, ""))?;
    let start = "(VI_1): entering FAULT state (tracked file number has status -254)";
    bench.a.expect_line(start)?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.b)?;
    let (lines, mark) = (bench.a.daemon()?.line_mark(), bench.lab.observer.mark());
    bench.a.node.remove_file(FILE)?;
    let line = "(VI_1): tracked file number leaving FAULT state";
    bench.a.daemon()?.await_line_after(lines, PATIENCE, line)?;
    bench.await_holder(mark, &bench.a)?;
    let (lines, mark) = (bench.a.daemon()?.line_mark(), bench.lab.observer.mark());
    put(bench, "-1")?;
    let line = "(VI_1): tracked file number now FAULT state";
    bench.a.daemon()?.await_line_after(lines, PATIENCE, line)?;
    bench.await_holder(mark, &bench.b)?;
    bench.stop()
}

/// `vrrp_track_process` with the real balancers: started again within the delay
/// nobody minds; killed or stopped, the other node has the address until it runs
/// again.
pub fn haproxy(bench: &mut Bench) -> Result<()> {
    let text = "global\n    maxconn 64\ndefaults\n    mode http\n    timeout connect 1s\n    \
                timeout client 1s\n    timeout server 1s\nfrontend front\n    \
                bind 127.0.0.1:8080\n    http-request return status 200\n";
    bench.a.node.write_file("/run/balancer", text)?;
    process(bench, "haproxy", &["-db", "-f", "/run/balancer"])
}

/// The same with nginx.
pub fn nginx(bench: &mut Bench) -> Result<()> {
    let text = "daemon off;\npid /run/nginx.pid;\nuser root;\nworker_processes 2;\n\
                events {\n    worker_connections 64;\n}\n";
    bench.a.node.write_file("/run/balancer", text)?;
    process(bench, "nginx", &["-e", "stderr", "-c", "/run/balancer"])
}

/// Runs a scenario where the programs that it needs are installed.
pub fn run_with_balancers(a: Program, b: Program, scenario: fn(&mut Bench) -> Result<()>) {
    let missing = ["nginx", "haproxy"]
        .into_iter()
        .find(|name| find_program(name).is_none());
    if let Some(missing) = missing.filter(|_| !isolation::is_inside()) {
        assert!(std::env::var_os("CI").is_none(), "no {missing} in CI");
        let thread = std::thread::current();
        let why = format!("{missing} is not installed");
        isolation::report_skipped(thread.name().unwrap_or("a test"), &why);
        return;
    }
    run(a, b, scenario);
}

/// Thousands of processes that come and go: adverts leave in time, and what counts is
/// seen afterwards.
pub fn forks(bench: &mut Bench) -> Result<()> {
    let track = "vrrp_track_process chk {\n    process counted\n}\n";
    let instance = configuration(150, "track_process {\n        chk\n    }");
    bench
        .a
        .node
        .write_file("/run/counted", "#!/bin/sh\nread line < /run/pipe\n")?;
    bench.a.start(&format!("{track}{instance}{BEAT}"))?;
    bench.a.expect_line("(VI_1) Entering FAULT STATE")?;
    let forever = ["-c", "while :; do (:); done"];
    let storms = [0; 2].map(|_| bench.a.node.start("/bin/sh".as_ref(), &forever, &[]));
    expect_in_time(bench, |_| Ok(()))?;
    let pipe = || nix::unistd::mkfifo("/run/pipe", nix::sys::stat::Mode::S_IRWXU).context("a FIFO");
    bench.a.node.inside(pipe)?;
    let counted = bench.a.node.start("/run/counted".as_ref(), &[], &[])?;
    bench.a.expect_line("(VI_1) Entering BACKUP STATE")?;
    for storm in storms {
        storm?.signal(libc::SIGKILL);
    }
    counted.signal(libc::SIGKILL);
    let line = "Quorum lost for tracked process chk";
    bench.a.expect_line(line)?;
    bench.a.stop()
}

fn process(bench: &mut Bench, name: &str, arguments: &[&str]) -> Result<()> {
    let mut balancer = begin(bench, name, arguments)?;
    let a = format!(
        "vrrp_track_process balancer {{\n    process {name}\n    terminate_delay {}\n}}\n{}",
        DELAY.as_secs(),
        configuration(150, "track_process {\n        balancer\n    }")
    );
    bench.start(&a, &configuration(120, ""))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;

    // Restarted at once.
    let lines = bench.a.daemon()?.line_mark();
    end(bench, name, &balancer, libc::SIGTERM)?;
    balancer = begin(bench, name, arguments)?;
    let address = bench.a.node.address();
    bench.expect_no_advert(DELAY * 2, "a resignation", |advert| {
        advert.source == address && advert.priority == 0
    })?;
    let lost = |line: &str| line.contains("Quorum lost");
    let count = bench.a.daemon()?.count_lines_after(lines, lost);
    expect(count == 0, || "no word of a quorum".to_owned())?;

    for signal in [libc::SIGKILL, libc::SIGTERM] {
        let (lines, mark) = (bench.a.daemon()?.line_mark(), bench.lab.observer.mark());
        end(bench, name, &balancer, signal)?;
        let line = "Quorum lost for tracked process balancer";
        bench.a.daemon()?.await_line_after(lines, PATIENCE, line)?;
        bench.await_holder(mark, &bench.b)?;
        let (lines, mark) = (bench.a.daemon()?.line_mark(), bench.lab.observer.mark());
        balancer = begin(bench, name, arguments)?;
        let line = "Quorum gained for tracked process balancer";
        bench.a.daemon()?.await_line_after(lines, PATIENCE, line)?;
        bench.await_holder(mark, &bench.a)?;
    }
    end(bench, name, &balancer, libc::SIGKILL)?;
    bench.stop()
}

fn begin(bench: &mut Bench, name: &str, arguments: &[&str]) -> Result<Arc<Process>> {
    let program = find_program(name).ok_or_else(|| Failure::new("no such program"))?;
    bench.a.node.start(&program, arguments, &[])
}

/// Ends every process of it, and waits for that.
fn end(bench: &Bench, name: &str, process: &Process, signal: libc::c_int) -> Result<()> {
    for (id, _, found) in bench.a.node.processes()? {
        if found == name {
            // One may end with another.
            let _ = send_signal(id, signal);
        }
    }
    process.await_end(PATIENCE).map(|_| ())?;
    Ok(())
}
