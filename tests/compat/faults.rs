//! What goes wrong under a daemon: its health check, its link, its interface,
//! its own worker.

use crate::bench::{
    Bench, Machine, PATIENCE, Program, VIP, VRRP_PID_FILE, configuration, master_down, skew,
};
use crate::lab::process::send_signal;
use crate::lab::{Context, Result};
use std::time::Duration;

/// The file whose presence the check script asks for.
pub const HEALTHY: &str = "/run/healthy";

/// The usual instance with a check script that asks for [`HEALTHY`].
pub fn checked(priority: u8, weight: &str) -> String {
    let script = format!(
        "global_defs {{
    script_user root
}}
vrrp_script check {{
    script \"/usr/bin/test -e {HEALTHY}\"
    interval 1
    timeout 1
    fall 2
    rise 2
    {weight}
}}
"
    );
    script + &configuration(priority, "track_script {\n        check\n    }")
}

/// A failing script with a weight lowers the priority; the other node takes
/// over, and gives back when the script succeeds again.
pub fn script_with_weight(bench: &mut Bench) -> Result<()> {
    bench.a.node.write_file(HEALTHY, "")?;
    bench.start(&checked(150, "weight -60"), &configuration(100, ""))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;

    let mark = bench.lab.observer.mark();
    bench.a.node.remove_file(HEALTHY)?;
    bench.await_advert(mark, &bench.a, 90)?;
    let daemon = bench.a.daemon()?;
    daemon.await_line(PATIENCE, "VRRP_Script(check) failed (exited with status 1)")?;
    daemon.await_line(
        PATIENCE,
        "(VI_1) Changing effective priority from 150 to 90",
    )?;
    bench.await_holder(mark, &bench.b)?;

    let mark = bench.lab.observer.mark();
    bench.a.node.write_file(HEALTHY, "")?;
    bench.await_holder(mark, &bench.a)?;
    bench
        .a
        .daemon()?
        .await_line(PATIENCE, "VRRP_Script(check) succeeded")?;
    bench.stop()
}

/// A failing script without a weight is a fault: the node resigns, and the other
/// takes over a skew time later.
pub fn script_without_weight(bench: &mut Bench) -> Result<()> {
    bench.a.node.write_file(HEALTHY, "")?;
    bench.start(&checked(150, ""), &configuration(100, ""))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;

    let mark = bench.lab.observer.mark();
    bench.a.node.remove_file(HEALTHY)?;
    let (farewell, mark) = bench.await_advert(mark, &bench.a, 0)?;
    let (takeover, _) = bench.await_advert(mark, &bench.b, 100)?;
    bench.expect_due("takeover", farewell, skew(100), takeover)?;
    bench.await_holder(mark, &bench.b)?;
    bench
        .a
        .daemon()?
        .await_line(PATIENCE, "(VI_1) Entering FAULT STATE")?;

    let mark = bench.lab.observer.mark();
    bench.a.node.write_file(HEALTHY, "")?;
    bench.await_holder(mark, &bench.a)?;
    bench.stop()
}

/// The cable of the master is pulled and put back.
pub fn carrier_lost(bench: &mut Bench) -> Result<()> {
    bench.start(&configuration(150, ""), &configuration(100, ""))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;

    let mark = bench.lab.observer.mark();
    let (last, mark) = bench.await_advert(mark, &bench.a, 150)?;
    bench.a.node.set_carrier(false)?;
    bench
        .a
        .daemon()?
        .await_line(PATIENCE, "(VI_1) Entering FAULT STATE")?;
    let (takeover, _) = bench.await_advert(mark, &bench.b, 100)?;
    bench.expect_due("takeover", last, master_down(100), takeover)?;
    bench.await_holder(mark, &bench.b)?;

    let mark = bench.lab.observer.mark();
    bench.a.node.set_carrier(true)?;
    bench.await_holder(mark, &bench.a)?;
    bench.stop()
}

/// The interface of the master is set down by an operator, and up again.
pub fn interface_down(bench: &mut Bench) -> Result<()> {
    bench.start(&configuration(150, ""), &configuration(100, ""))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;

    let mark = bench.lab.observer.mark();
    bench.a.node.set_interface_up(false)?;
    bench
        .a
        .daemon()?
        .await_line(PATIENCE, "(VI_1) Entering FAULT STATE")?;
    bench.await_holder(mark, &bench.b)?;

    let mark = bench.lab.observer.mark();
    bench.a.node.set_interface_up(true)?;
    bench.await_holder(mark, &bench.a)?;
    bench.stop()
}

/// The daemon starts before its interface is there, waits for it, and then does
/// its work.
pub fn late_interface(bench: &mut Bench) -> Result<()> {
    bench.a.node.unplug()?;
    let mut early = configuration(150, "");
    // C refuses to start without this word.
    if bench.a.program == Program::C {
        early.insert_str(0, "global_defs {\n    dynamic_interfaces\n}\n");
    }
    bench.a.start(&early)?;
    bench.b.start(&configuration(100, ""))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.b)?;
    let mark = bench.lab.observer.mark();
    bench.a.node.plug()?;
    bench.await_holder(mark, &bench.a)?;
    bench.stop()
}

/// The worker alone is killed: the address goes at once, a new worker takes it
/// again or the other node does, and in the end one node has it.
pub fn worker_killed(bench: &mut Bench) -> Result<()> {
    bench.start(&configuration(150, ""), &configuration(100, ""))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    let mark = bench.lab.observer.mark();
    let worker = worker_of(&bench.a)?;
    bench
        .a
        .node
        .await_removal(VIP, Duration::from_secs(1), || {
            send_signal(worker, libc::SIGKILL)
        })?;
    let (_, mark) = bench.await_advert(mark, &bench.a, 0)?;
    bench.await_advert(mark, &bench.a, 150)?;
    bench.await_holder(mark, &bench.a)?;
    bench.stop()?;
    bench.expect_answer(VIP, &[])
}

/// Kills the worker of a node.
pub fn kill_worker(machine: &Machine) -> Result<()> {
    send_signal(worker_of(machine)?, libc::SIGKILL)
}

/// The process of the worker, as it is called outside of the node.
pub fn worker_of(machine: &Machine) -> Result<u32> {
    let text = machine.node.read_file(VRRP_PID_FILE)?;
    let worker: u32 = text.trim().parse().context("the VRRP pid file")?;
    machine.node.outer_id(worker)
}
