//! A two-legged router: two instances on two segments that are one group.

use crate::bench::{Bench, Machine, PATIENCE, VIP, configuration, expect};
use crate::lab::{self, Result, netlink};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

const SEGMENT: &str = "inside";
const INSIDE: &str = "eth1";
const INSIDE_VIP: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 100);
/// Much less than any timer of the protocol.
const TOGETHER: Duration = Duration::from_millis(500);

/// The cable of one leg of the master is pulled: both addresses move, on both
/// segments, and come back with the cable.
pub fn two_legs(bench: &mut Bench) -> Result<()> {
    lab::add_segment(SEGMENT)?;
    let leg = |machine: &Machine, last| {
        let address = Ipv4Addr::new(198, 51, 100, last);
        machine.node.plug_into(SEGMENT, INSIDE, address)
    };
    let inner_port = leg(&bench.a, 1)?;
    leg(&bench.b, 2)?;
    bench.start(&file(150), &file(100))?;
    await_both(&bench.a, PATIENCE)?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    expect_none(&bench.b)?;

    // The inner leg; the outer one has to follow.
    let mark = bench.lab.observer.mark();
    netlink::set_up(&inner_port, false)?;
    let daemon = bench.a.daemon()?;
    daemon.await_line(PATIENCE, "VRRP_Group(G) Syncing instances to FAULT state")?;
    bench.await_advert(mark, &bench.a, 0)?;
    await_none(&bench.a)?;
    let (_, after) = bench.await_advert(mark, &bench.b, 100)?;
    await_both(&bench.b, TOGETHER)?;
    bench.await_holder(after, &bench.b)?;
    expect_none(&bench.a)?;
    bench
        .b
        .daemon()?
        .await_line(PATIENCE, "VRRP_Group(G) Syncing instances to MASTER state")?;

    netlink::set_up(&inner_port, true)?;
    bench.await_advert(mark, &bench.a, 150)?;
    let mark = bench.lab.observer.mark();
    bench.await_advert(mark, &bench.a, 150)?;
    await_both(&bench.a, PATIENCE)?;
    await_none(&bench.b)?;
    bench.expect_holder(&bench.a)?;

    // The outer leg, and the inner one follows.
    let mark = bench.lab.observer.mark();
    bench.a.node.set_carrier(false)?;
    await_none(&bench.a)?;
    bench.await_advert(mark, &bench.b, 100)?;
    await_both(&bench.b, TOGETHER)?;
    expect_none(&bench.a)?;
    bench.a.node.set_carrier(true)?;
    bench.stop()?;
    expect_none(&bench.a)?;
    expect_none(&bench.b)
}

/// The scripts of a group get its name, its state, and 0.
pub fn notifies(bench: &mut Bench) -> Result<()> {
    lab::add_segment(SEGMENT)?;
    let script = "#!/bin/sh\necho \"$@\" >> /run/calls\n";
    for (machine, last) in [(&bench.a, 1), (&bench.b, 2)] {
        let address = Ipv4Addr::new(198, 51, 100, last);
        machine.node.plug_into(SEGMENT, INSIDE, address)?;
        machine.node.write_file("/run/call.sh", script)?;
    }
    let told = |priority| {
        let scripts = "    notify /run/call.sh\n    notify_master \"/run/call.sh now MASTER\"\n";
        let group = "vrrp_sync_group G {\n";
        let global = "global_defs {\n    script_user root\n}\n";
        global.to_owned() + &file(priority).replace(group, &format!("{group}{scripts}"))
    };
    bench.start(&told(150), &told(100))?;
    await_both(&bench.a, PATIENCE)?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    bench.stop()?;
    // The two of one change run side by side.
    let mut calls: Vec<String> = called(&bench.a)?;
    calls.sort_unstable();
    let all = [
        "GROUP G BACKUP 0",
        "GROUP G MASTER 0",
        "GROUP G STOP 0",
        "now MASTER",
    ];
    expect(calls == all, || format!("{all:?}, not {calls:?}"))?;
    let calls = called(&bench.b)?;
    let first = calls.first().map(String::as_str);
    expect(first == Some("GROUP G BACKUP 0"), || {
        format!("BACKUP first, not {calls:?}")
    })
}

fn called(machine: &Machine) -> Result<Vec<String>> {
    let text = machine.node.read_file("/run/calls")?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn await_none(machine: &Machine) -> Result<()> {
    machine.node.await_address(VIP, false, TOGETHER)?;
    await_inside(machine, false, TOGETHER)
}

fn await_both(machine: &Machine, patience: Duration) -> Result<()> {
    machine.node.await_address(VIP, true, patience)?;
    await_inside(machine, true, TOGETHER)
}

fn await_inside(machine: &Machine, there: bool, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    let reached = machine.node.inside(|| {
        netlink::await_addresses(INSIDE, deadline, |addresses| {
            addresses.iter().any(|(found, _)| *found == INSIDE_VIP) == there
        })
    })?;
    let name = machine.node.name();
    expect(reached, || {
        let verb = if there { "has" } else { "has not" };
        format!("that {name} {verb} {INSIDE_VIP} within {patience:?}")
    })
}

fn expect_none(machine: &Machine) -> Result<()> {
    machine.expect_addresses(&[])?;
    await_inside(machine, false, Duration::ZERO)
}

fn file(priority: u8) -> String {
    let group = "vrrp_sync_group G {\n    group {\n        VI_1\n        VI_2\n    }\n}\n";
    let second = format!(
        "vrrp_instance VI_2 {{
    state BACKUP
    interface {INSIDE}
    virtual_router_id 52
    priority {priority}
    advert_int 1
    virtual_ipaddress {{
        {INSIDE_VIP}/24
    }}
}}
"
    );
    format!("{group}{}{second}", configuration(priority, ""))
}
