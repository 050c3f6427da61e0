//! The owner of the addresses, priority 255: two of them, and what a master does
//! about adverts of lower priority.

use crate::bench::{Bench, Machine, PATIENCE, Program, VIP, VRID, configuration, expect};
use crate::bench::{master_down, skew};
use crate::lab::frames::{Advert, Covers, advert_frame};
use crate::lab::{Mac, Result};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// An owner: `configuration` has `state BACKUP`, which makes it listen first.
pub fn owner(extra: &str) -> String {
    configuration(255, extra).replace("state BACKUP", "state MASTER")
}

/// The lower address gives way, whichever was there first. When the other owner
/// leaves it takes over, and ours then is the owner again.
pub fn two_owners(bench: &mut Bench) -> Result<()> {
    bench.a.start(&owner(""))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    let mark = bench.lab.observer.mark();
    bench.b.start(&owner(""))?;
    bench.await_holder(mark, &bench.b)?;
    expect_conflict(&bench.a)?;
    let a = bench.a.node.address();
    bench.expect_no_advert(
        Duration::from_millis(2500),
        "advert of the owner that gave way",
        |advert| advert.source == a,
    )?;
    bench.expect_holder(&bench.b)?;

    let mark = bench.lab.observer.mark();
    bench.b.daemon()?.signal(libc::SIGTERM);
    let (farewell, mark) = bench.await_advert(mark, &bench.b, 0)?;
    // Version 2.2.7 goes on counting with 254.
    let priority = match bench.a.program {
        Program::Ours => 255,
        Program::C => 254,
    };
    let (takeover, _) = bench.await_advert(mark, &bench.a, priority)?;
    bench.expect_due("takeover", farewell, skew(254), takeover)?;
    if bench.a.program == Program::Ours {
        let line = "(VI_1) Restoring our priority to 255 since other address owner has disappeared";
        bench.a.daemon()?.await_line(PATIENCE, line)?;
    }
    bench.await_holder(mark, &bench.a)?;
    bench.b.expect_stopped()?;
    bench.a.stop()
}

fn expect_conflict(machine: &Machine) -> Result<()> {
    let daemon = machine.daemon()?;
    daemon.await_line(PATIENCE, "(VI_1) CONFIGURATION ERROR: local instance and ")?;
    daemon.await_line(PATIENCE, "(VI_1) Entering BACKUP STATE")?;
    Ok(())
}

/// The first owner has the lower address and does not listen; so the second one,
/// which hears it, gives way.
pub fn deaf_owner(bench: &mut Bench) -> Result<()> {
    bench.a.start(&owner("owner_ignore_adverts"))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    bench.b.start(&owner(""))?;
    expect_conflict(&bench.b)?;
    if bench.b.program == Program::Ours {
        let line = "(VI_1) 192.0.2.1 is still advertising as address owner, please resolve - \
                    reducing our priority";
        bench.b.daemon()?.await_line(PATIENCE, line)?;
    }
    let daemon = bench.a.daemon()?;
    daemon.await_line(
        PATIENCE,
        "(VI_1) Dropping packet(s) from 192.0.2.2 since we are address owner",
    )?;
    bench.expect_holder(&bench.a)?;
    let b = bench.b.node.address();
    bench.expect_no_advert(
        Duration::from_millis(2500),
        "advert of the owner that gave way",
        |advert| advert.source == b,
    )?;
    bench.expect_holder(&bench.a)?;
    bench.stop()
}

/// The script for adverts of lower priority runs for each of them, without
/// arguments, and the general script does not.
pub fn lower_priority_heard(bench: &mut Bench) -> Result<()> {
    let script = "#!/bin/sh\necho \"$0 $*\" >> /run/calls\n";
    for name in ["/run/lower", "/run/any"] {
        bench.a.node.write_file(name, script)?;
    }
    let words = "notify_master_rx_lower_pri /run/lower\n    notify /run/any";
    let file = configuration(150, words);
    bench
        .a
        .start(&format!("global_defs {{\n    script_user root\n}}\n{file}"))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    await_calls(
        &bench.a,
        &[
            "/run/any INSTANCE VI_1 BACKUP 150",
            "/run/any INSTANCE VI_1 MASTER 150",
        ],
    )?;
    let lower = stranger(2, 100);
    // A farewell is not of lower priority; it only makes the master speak.
    let farewell = stranger(2, 0);
    for frame in [&lower, &farewell, &lower] {
        let mark = bench.lab.observer.mark();
        bench.lab.observer.send(&advert_frame(frame))?;
        let (_, mark) = bench.await_advert(mark, &bench.a, 150)?;
        // What follows an answer at once is taken for a flood and gets none.
        bench.await_advert(mark, &bench.a, 150)?;
    }
    await_calls(
        &bench.a,
        &[
            "/run/any INSTANCE VI_1 BACKUP 150",
            "/run/any INSTANCE VI_1 MASTER 150",
            "/run/lower ",
            "/run/lower ",
        ],
    )?;
    bench.a.stop()
}

/// An advert of a node that does not exist.
pub fn stranger(version: u8, priority: u8) -> Advert {
    let (auth_type, auth_data, checksum) = match version {
        2 => (1, b"1111".to_vec(), Covers::Message),
        _ => (0, Vec::new(), Covers::PseudoHeader),
    };
    Advert {
        source_mac: Mac([2, 0, 0, 0, 0, 99]),
        source: Ipv4Addr::new(192, 0, 2, 99).into(),
        destination: Ipv4Addr::new(224, 0, 0, 18).into(),
        time_to_live: 255,
        version,
        vrid: VRID,
        priority,
        auth_type,
        advert_interval: Duration::from_secs(1),
        addresses: vec![VIP.into()],
        auth_data,
        checksum: Some(checksum),
    }
}

/// Waits for the calls of scripts, in any order.
fn await_calls(machine: &Machine, wanted: &[&str]) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = machine.node.read_file("/run/calls").unwrap_or_default();
        let mut calls: Vec<&str> = text.lines().collect();
        calls.sort_unstable();
        if calls == wanted {
            return Ok(());
        }
        expect(Instant::now() < deadline, || {
            format!("calls {wanted:?}, not {calls:?}")
        })?;
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Strict mode with `accept`: no answer to lower adverts, and packets to the
/// address are accepted.
pub fn strict_and_accepting(bench: &mut Bench) -> Result<()> {
    let file = |priority| {
        format!(
            "vrrp_instance VI_1 {{
    state BACKUP
    interface eth0
    virtual_router_id {VRID}
    version 3
    priority {priority}
    advert_int 1
    strict_mode
    accept
    virtual_ipaddress {{
        {VIP}/24
    }}
}}
"
        )
    };
    bench.start(&file(150), &file(100))?;
    let daemon = bench.a.daemon()?;
    let (started, _) = daemon.await_line(PATIENCE, "(VI_1) Entering BACKUP STATE")?;
    let (first, mark) = bench.await_advert(bench.lab.observer.beginning(), &bench.a, 150)?;
    bench.expect_due("the first advert", started, master_down(150), first)?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    let (second, mark) = bench.await_advert(mark, &bench.a, 150)?;
    let lower = stranger(3, 100);
    bench.lab.observer.send(&advert_frame(&lower))?;
    let line = "(VI_1) Received advert from 192.0.2.99 with lower priority 100, ours 150";
    bench.a.daemon()?.await_line(PATIENCE, line)?;
    let count = bench.a.daemon()?.count_lines("forcing new election");
    expect(count == 0, || "no answer in strict mode".to_owned())?;
    // The next advert keeps its time.
    let (third, _) = bench.await_advert(mark, &bench.a, 150)?;
    bench.expect_due("the next advert", second, Duration::from_secs(1), third)?;
    bench.expect_holder(&bench.a)?;
    bench.stop()
}
