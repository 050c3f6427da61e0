//! What a reload changes in instances that go on: nobody changes state by it, and no
//! address is away for a moment.

use crate::bench::{Bench, PATIENCE, PROMPT, Program, configuration, expect, find_program};
use crate::lab::{Failure, Result};
use crate::setups::{FIRST_VIP, SECOND_VIP, double_file};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

const ADDED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 150);

/// Priority, name, addresses, what is tracked and the interval of a MASTER.
pub fn live(bench: &mut Bench) -> Result<()> {
    bench.start(&configuration(150, ""), &configuration(100, ""))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    let transitions = transitions(bench)?;

    let mark = bench.lab.observer.mark();
    bench.a.reload(&configuration(120, ""))?;
    bench.await_advert(mark, &bench.a, 120)?;

    let renamed = |extra: &str| configuration(120, extra).replace("VI_1", "VI_NEW");
    reload(bench, &renamed(""), 120)?;

    let excluded = format!("virtual_ipaddress_excluded {{\n{ADDED}/24\n}}");
    let mark = bench.lab.observer.mark();
    bench.a.reload(&renamed(&excluded))?;
    let mac = bench.a.node.mac();
    bench
        .lab
        .observer
        .await_announcement(mark, PATIENCE, ADDED, mac)?;
    bench.a.node.await_address(ADDED, true, PATIENCE)?;
    bench.a.reload(&renamed(""))?;
    bench.a.node.await_address(ADDED, false, PATIENCE)?;

    bench.a.node.add_spare("spare")?;
    let tracked = "track_interface {\nspare weight 5\n}";
    reload(bench, &renamed(tracked), 125)?;
    reload(bench, &renamed(""), 120)?;

    let slow = |text: String| text.replace("advert_int 1", "advert_int 2");
    bench.a.reload(&slow(renamed("")))?;
    bench.b.reload(&slow(configuration(100, "")))?;
    let mark = bench.lab.observer.mark();
    let mark = bench.await_advert(mark, &bench.a, 120)?.1;
    let (first, mark) = bench.await_advert(mark, &bench.a, 120)?;
    let (second, _) = bench.await_advert(mark, &bench.a, 120)?;
    let gap = second.saturating_duration_since(first);
    expect(gap + PROMPT >= Duration::from_secs(2), || {
        format!("adverts two seconds apart, not {gap:?}")
    })?;

    let after = self::transitions(bench)?;
    expect(after == transitions, || {
        format!("no change of state since {transitions:?}, not {after:?}")
    })?;
    bench.expect_holder(&bench.a)?;
    bench.stop()
}

/// Reloads the first node, and waits until it goes on with this priority.
fn reload(bench: &Bench, text: &str, priority: u8) -> Result<()> {
    let before = bench.a.daemon()?.count_lines("Reload complete");
    bench.a.reload(text)?;
    until("the reload to be complete", || {
        Ok(bench.a.daemon()?.count_lines("Reload complete") > before)
    })?;
    let mark = bench.lab.observer.mark();
    bench.await_advert(mark, &bench.a, priority)?;
    Ok(())
}

/// How often each node has entered a state.
fn transitions(bench: &Bench) -> Result<[usize; 2]> {
    Ok([
        bench.a.daemon()?.count_lines("Entering"),
        bench.b.daemon()?.count_lines("Entering"),
    ])
}

/// An address moves from one MASTER to another on the same node, and two instances
/// change numbers: the kernel hears of none of it.
pub fn moved(bench: &mut Bench) -> Result<()> {
    expect(bench.a.program == Program::Ours, || "ours".to_owned())?;
    bench.start(&double_file(150, 150), &double_file(100, 100))?;
    for vip in [FIRST_VIP, SECOND_VIP] {
        let (mark, mac) = (bench.lab.observer.beginning(), bench.a.node.mac());
        let observer = &bench.lab.observer;
        observer.await_announcement(mark, PATIENCE, vip, mac)?;
    }
    let program = find_program("ip").ok_or_else(|| Failure::new("no program ip"))?;
    let monitor = bench
        .a
        .node
        .start(&program, &["-o", "monitor", "address"], &[])?;
    let beginning = monitor.line_mark();
    // It does not say when it begins to listen.
    let other = Ipv4Addr::new(192, 0, 2, 199);
    until("the monitor to show an address", || {
        bench.a.node.add_host_address("lo", other)?;
        bench.a.node.remove_host_address("lo", other)?;
        Ok(monitor.count_lines("192.0.2.199") > 0)
    })?;
    let third = format!("        {ADDED}/24\n");
    let with_third = |text: String| {
        let line = format!("        {FIRST_VIP}/24\n");
        text.replacen(&line, &format!("{line}{third}"), 1)
    };
    bench.a.reload(&with_third(double_file(150, 150)))?;
    bench.a.node.await_address(ADDED, true, PATIENCE)?;

    let both = format!("        {FIRST_VIP}/24\n        {SECOND_VIP}/24\n");
    let moved = double_file(150, 150)
        .replace(&format!("        {SECOND_VIP}/24\n"), "")
        .replace(&format!("        {FIRST_VIP}/24\n"), &both);
    reload(bench, &with_third(moved.clone()), 150)?;
    let swapped = moved
        .replace("router_id 51", "router_id 0")
        .replace("router_id 52", "router_id 51")
        .replace("router_id 0", "router_id 52");
    reload(bench, &with_third(swapped), 150)?;
    // The last thing that it shows.
    reload(bench, &moved, 150)?;
    let gone = |line: &str| line.contains("Deleted") && line.contains("eth0");
    let deleted = || monitor.count_lines_after(beginning, gone);
    until("the monitor to show what goes", || Ok(deleted() > 0))?;
    expect(deleted() == 1, || {
        format!("one address to go, not {}", deleted())
    })?;
    bench.a.expect_addresses(&[FIRST_VIP, SECOND_VIP])?;
    bench.stop()
}

fn until(what: &str, holds: impl Fn() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds()? {
        if Instant::now() > deadline {
            return Err(Failure::new(format!("never seen: {what}")));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
