//! Words that change who is master, or what belongs to it: `preempt_delay`,
//! `nopreempt`, `virtual_ipaddress_excluded`, `track_interface`, and two nodes
//! of different versions.

use crate::bench::{Bench, PATIENCE, Program, VIP, expect};
use crate::families::{PERMANENT_NODAD, Speech, expect_ipv6};
use crate::lab::Result;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

const SPEECH: Speech = Speech::V3;

/// The better node returns, waits for its delay and then takes over; if the other
/// one goes meanwhile, it does not wait.
pub fn preempt_delay(bench: &mut Bench) -> Result<()> {
    let delay = Duration::from_secs(1);
    let [_, file_b] = SPEECH.configurations(bench, "");
    let [file_a, _] = SPEECH.configurations(bench, "preempt_delay 1");
    bench.b.start(&file_b)?;
    SPEECH.await_holder(bench, bench.lab.observer.beginning(), &bench.b)?;
    let mark = bench.lab.observer.mark();
    bench.a.start(&file_a)?;
    let daemon = bench.a.daemon()?;
    let (started, _) = daemon.await_line(PATIENCE, "(VI_1) Entering BACKUP STATE")?;
    let (takeover, _) = SPEECH.await_advert(bench, mark, &bench.a, 150)?;
    // The delay counts from the first advert that is heard, and the master-down
    // time from the last one before its end.
    let longest = delay + 2 * SPEECH.interval() + SPEECH.master_down(150);
    let took = takeover.saturating_duration_since(started);
    let late = bench.lab.canary.worst_since(started) + Duration::from_millis(100);
    expect(took >= delay && took <= longest + late, || {
        format!("takeover {delay:?} to {longest:?} (+ {late:?}) after the start, not {took:?}")
    })?;
    SPEECH.await_holder(bench, mark, &bench.a)?;
    let mark = bench.lab.observer.mark();
    bench.a.stop()?;

    let long = file_a.replace("preempt_delay 1", "preempt_delay 60");
    SPEECH.await_holder(bench, mark, &bench.b)?;
    bench.a.start(&long)?;
    let daemon = bench.a.daemon()?;
    daemon.await_line(PATIENCE, "(VI_1) Entering BACKUP STATE")?;
    expect_silence(bench, SPEECH.master_down(150) + Duration::from_millis(400))?;
    let mark = bench.lab.observer.mark();
    bench.b.daemon()?.signal(libc::SIGTERM);
    let (farewell, mark) = SPEECH.await_advert(bench, mark, &bench.b, 0)?;
    let (takeover, _) = SPEECH.await_advert(bench, mark, &bench.a, 150)?;
    bench.expect_due("takeover", farewell, SPEECH.skew(150), takeover)?;
    SPEECH.await_holder(bench, mark, &bench.a)?;
    bench.b.expect_stopped()?;
    bench.a.stop()
}

/// With `nopreempt` the better node returns and leaves the address where it is,
/// until the other one stops.
pub fn no_preemption(bench: &mut Bench) -> Result<()> {
    let [file_a, file_b] = SPEECH.configurations(bench, "nopreempt");
    bench.b.start(&file_b)?;
    SPEECH.await_holder(bench, bench.lab.observer.beginning(), &bench.b)?;
    bench.a.start(&file_a)?;
    let daemon = bench.a.daemon()?;
    daemon.await_line(PATIENCE, "(VI_1) Entering BACKUP STATE")?;
    expect_silence(bench, SPEECH.master_down(150) + Duration::from_millis(600))?;
    SPEECH.expect_holder(bench, &bench.b)?;

    let mark = bench.lab.observer.mark();
    bench.b.daemon()?.signal(libc::SIGTERM);
    let (farewell, mark) = SPEECH.await_advert(bench, mark, &bench.b, 0)?;
    let (takeover, _) = SPEECH.await_advert(bench, mark, &bench.a, 150)?;
    bench.expect_due("takeover", farewell, SPEECH.skew(150), takeover)?;
    SPEECH.await_holder(bench, mark, &bench.a)?;
    bench.b.expect_stopped()?;
    bench.a.stop()?;
    SPEECH.expect_right_frames(bench)
}

fn expect_silence(bench: &Bench, during: Duration) -> Result<()> {
    let a = IpAddr::from(bench.a.node.address());
    bench.expect_no_advert(during, "advert of the first node", |it| it.source == a)
}

/// Excluded addresses, of either family, come and go with the others and are
/// announced, but no advert names them.
pub fn excluded_addresses(bench: &mut Bench) -> Result<()> {
    const MORE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 110);
    const MORE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x110);
    bench.a.node.enable_ipv6()?;
    bench.b.node.enable_ipv6()?;
    let extra =
        format!("virtual_ipaddress_excluded {{\n        {MORE}/24\n        {MORE_V6}/64\n    }}");
    let [file_a, file_b] = SPEECH.configurations(bench, &extra);
    bench.start(&file_a, &file_b)?;
    let mut mark = bench.lab.observer.beginning();
    for first in [true, false] {
        let (holder, other) = match first {
            true => (&bench.a, &bench.b),
            false => (&bench.b, &bench.a),
        };
        let observer = &bench.lab.observer;
        let mac = holder.node.mac();
        for address in [VIP.into(), MORE.into(), IpAddr::from(MORE_V6)] {
            observer.await_announcement(mark, PATIENCE, address, mac)?;
            bench.await_release(other, address)?;
            bench.expect_answer(address, &[mac])?;
        }
        holder.expect_addresses(&[VIP, MORE])?;
        other.expect_addresses(&[])?;
        expect_ipv6(holder, &[(MORE_V6, 64, PERMANENT_NODAD)])?;
        expect_ipv6(other, &[])?;
        if first {
            mark = observer.mark();
            bench.a.stop()?;
        }
    }
    bench.b.stop()?;
    expect_ipv6(&bench.b, &[])?;
    SPEECH.expect_right_frames(bench)
}

/// The further interface that the first node tracks.
const TRACKED: &str = "uplink0";

/// A tracked interface goes down: the node resigns, and the other takes over a
/// skew time later. It comes up: the node takes the address back.
pub fn tracked_interface(bench: &mut Bench) -> Result<()> {
    start_tracking(bench, TRACKED)?;
    let mark = bench.lab.observer.mark();
    bench.a.node.set_link_up(TRACKED, false)?;
    let (farewell, mark) = SPEECH.await_advert(bench, mark, &bench.a, 0)?;
    let (takeover, _) = SPEECH.await_advert(bench, mark, &bench.b, 100)?;
    bench.expect_due("takeover", farewell, SPEECH.skew(100), takeover)?;
    let daemon = bench.a.daemon()?;
    daemon.await_line(PATIENCE, "(VI_1) Entering FAULT STATE")?;
    SPEECH.await_holder(bench, mark, &bench.b)?;

    let mark = bench.lab.observer.mark();
    bench.a.node.set_link_up(TRACKED, true)?;
    SPEECH.await_holder(bench, mark, &bench.a)?;
    bench.stop()?;
    SPEECH.expect_right_frames(bench)
}

/// With a weight it only costs priority.
pub fn tracked_interface_with_weight(bench: &mut Bench) -> Result<()> {
    start_tracking(bench, &format!("{TRACKED} weight -60"))?;
    let mark = bench.lab.observer.mark();
    bench.a.node.set_link_up(TRACKED, false)?;
    SPEECH.await_advert(bench, mark, &bench.a, 90)?;
    SPEECH.await_holder(bench, mark, &bench.b)?;
    let daemon = bench.a.daemon()?;
    daemon.await_line(
        PATIENCE,
        "(VI_1) Changing effective priority from 150 to 90",
    )?;

    let mark = bench.lab.observer.mark();
    bench.a.node.set_link_up(TRACKED, true)?;
    SPEECH.await_advert(bench, mark, &bench.a, 150)?;
    SPEECH.await_holder(bench, mark, &bench.a)?;
    bench.stop()
}

fn start_tracking(bench: &mut Bench, line: &str) -> Result<()> {
    bench.a.node.add_spare(TRACKED)?;
    let [_, file_b] = SPEECH.configurations(bench, "");
    let extra = format!("track_interface {{\n        {line}\n    }}");
    let [file_a, _] = SPEECH.configurations(bench, &extra);
    bench.start(&file_a, &file_b)?;
    SPEECH.await_holder(bench, bench.lab.observer.beginning(), &bench.a)
}

/// Nodes of different versions do not believe each other: both are masters, and
/// both say why; ours once in each state.
pub fn different_versions(bench: &mut Bench) -> Result<()> {
    let speech = Speech {
        interval_cs: 100,
        ..Speech::V3
    };
    let [_, file_b] = speech.configurations(bench, "");
    let old = Speech {
        version: 2,
        ..speech
    };
    let [file_a, _] = old.configurations(bench, "");
    bench.start(&file_a, &file_b)?;
    for machine in [&bench.a, &bench.b] {
        machine.node.await_address(VIP, true, PATIENCE)?;
    }
    let mut mark = bench.lab.observer.mark();
    for _ in 0..4 {
        let observer = &bench.lab.observer;
        let next = observer.await_advert(mark, PATIENCE, "an advert", |_| true)?;
        mark = next.1;
    }
    for (machine, theirs, ours) in [(&bench.a, 3, 2), (&bench.b, 2, 3)] {
        let daemon = machine.daemon()?;
        let text = format!("Received {theirs} and expect {ours}");
        daemon.await_line(PATIENCE, &text)?;
        if machine.program == Program::Ours {
            // Once in each state.
            let count = daemon.count_lines(&text);
            expect(count <= 2, || {
                format!("at most two of {text:?}, not {count}")
            })?;
        }
    }
    bench.expect_answer(VIP, &[bench.a.node.mac(), bench.b.node.mac()])?;
    bench.stop()
}
