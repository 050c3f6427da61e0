//! `vrrp_startup_delay`: nobody is elected before it ends.

use crate::bench::{Bench, PATIENCE, VRRP_PID_FILE, configuration, expect, master_down};
use crate::lab::process::send_signal;
use crate::lab::{Context, Result};
use crate::owner::owner;
use std::time::Duration;

fn delayed(configuration: &str) -> String {
    format!("global_defs {{\n    vrrp_startup_delay 2\n}}\n{configuration}")
}

const DELAY: Duration = Duration::from_secs(2);
const DELAYING: &str = "Delaying startup for 2 seconds";

/// A backup begins to wait for a master when the delay ends.
pub fn backup(bench: &mut Bench) -> Result<()> {
    bench.a.start(&delayed(&configuration(150, "")))?;
    let daemon = bench.a.daemon()?;
    let (started, _) = daemon.await_line(PATIENCE, DELAYING)?;
    let beginning = bench.lab.observer.beginning();
    let (first, _) = bench.await_advert(beginning, &bench.a, 150)?;
    let due = DELAY + master_down(150);
    bench.expect_due("the first advert", started, due, first)?;
    bench.await_holder(beginning, &bench.a)?;
    bench.a.stop()
}

/// The owner of the addresses begins when the delay ends, and not before.
pub fn owner_begins(bench: &mut Bench) -> Result<()> {
    bench.a.start(&delayed(&owner("")))?;
    let daemon = bench.a.daemon()?;
    let (started, _) = daemon.await_line(PATIENCE, DELAYING)?;
    let beginning = bench.lab.observer.beginning();
    let (first, _) = bench.await_advert(beginning, &bench.a, 255)?;
    bench.expect_due("the first advert", started, DELAY, first)?;
    bench.await_holder(beginning, &bench.a)?;
    bench.a.stop()
}

/// A better node that is started late takes over after the delay, although the
/// master is alive.
pub fn preempts_afterwards(bench: &mut Bench) -> Result<()> {
    bench.b.start(&configuration(100, ""))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.b)?;
    let mark = bench.lab.observer.mark();
    bench.a.start(&delayed(&configuration(150, "")))?;
    let daemon = bench.a.daemon()?;
    let (started, _) = daemon.await_line(PATIENCE, DELAYING)?;
    let (first, mark) = bench.await_advert(mark, &bench.a, 150)?;
    let due = DELAY + master_down(150);
    bench.expect_due("the takeover", started, due, first)?;
    bench.await_holder(mark, &bench.a)?;
    bench.stop()
}

/// A worker that dies is replaced without another delay.
pub fn not_for_a_new_worker(bench: &mut Bench) -> Result<()> {
    bench.a.start(&delayed(&owner("")))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    let text = bench.a.node.read_file(VRRP_PID_FILE)?;
    let worker: u32 = text.trim().parse().context("the VRRP pid file")?;
    let worker = bench.a.node.outer_id(worker)?;
    let mark = bench.lab.observer.mark();
    send_signal(worker, libc::SIGKILL)?;
    // The farewell for the worker that died, and the first advert of the new one.
    let (_, mark) = bench.await_advert(mark, &bench.a, 0)?;
    bench.await_advert(mark, &bench.a, 255)?;
    bench.await_holder(mark, &bench.a)?;
    let count = bench.a.daemon()?.count_lines(DELAYING);
    expect(count == 1, || format!("one delay, not {count}"))?;
    bench.a.stop()
}
