//! `keepalived-rs drain` and `resume` of ours beside either daemon, which needs to know
//! nothing of it.

use std::process::{Command, Output};

use crate::bench::{Bench, Machine, PATIENCE, configuration, expect, skew};
use crate::lab::{Failure, Mark, Result};

/// The second node was master before the first one, which so knows it. Gives a mark
/// from which the first one has the address.
fn one_after_the_other(bench: &mut Bench) -> Result<Mark> {
    bench.b.start(&configuration(100, ""))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.b)?;
    let mark = bench.lab.observer.mark();
    bench.a.start(&configuration(150, ""))?;
    bench.await_holder(mark, &bench.a)?;
    Ok(bench.lab.observer.mark())
}

/// Runs our program on a node.
fn order(machine: &Machine, arguments: &[&str]) -> Result<Output> {
    machine.node.inside(|| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keepalived-rs"));
        let output = command.args(arguments).output();
        output.map_err(|error| Failure::new(error.to_string()))
    })
}

fn expect_said(output: &Output, code: i32, text: &str) -> Result<()> {
    let said = [&*output.stdout, &*output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let holds = output.status.code() == Some(code) && said.contains(text);
    expect(holds, || {
        format!("exit code {code} and {text:?}, not {output:?}")
    })
}

/// The peer has the address a skew time later, and this node keeps it until the peer
/// has spoken. It stays there over adverts, a reload, and the death of our worker.
pub fn instance(bench: &mut Bench) -> Result<()> {
    let mark = one_after_the_other(bench)?;
    let output = order(&bench.a, &["drain", "VI_1"])?;
    expect_said(&output, 0, "asks 192.0.2.2 (priority 100) to take over")?;
    expect_said(&output, 0, "No address is here any more after ")?;
    let (question, asked) = bench.await_advert(mark, &bench.a, 0)?;
    let (takeover, _) = bench.await_advert(asked, &bench.b, 100)?;
    bench.expect_due("takeover", question, skew(100), takeover)?;
    bench.await_holder(asked, &bench.b)?;
    let daemon = bench.a.daemon()?;
    let (released, _) = daemon.await_line(PATIENCE, "(VI_1) removing VIPs.")?;
    expect(released >= takeover, || {
        "the address stays until the other one has spoken".to_owned()
    })?;
    bench.a.reload(&configuration(200, ""))?;
    bench.a.expect_line("Reload complete")?;
    let mac = bench.a.node.mac();
    bench.expect_no_advert(skew(1) * 3, "advert of a drained node", |advert| {
        advert.source_mac == mac
    })?;
    bench.expect_holder(&bench.b)?;
    // It is there if it is needed.
    let mark = bench.lab.observer.mark();
    bench.b.node.power_off()?;
    bench.await_advert(mark, &bench.a, 1)?;
    bench.await_holder(mark, &bench.a)?;
    let mark = bench.lab.observer.mark();
    let output = order(&bench.a, &["resume"])?;
    expect_said(&output, 0, "VI_1: resumed, with priority 200")?;
    bench.await_advert(mark, &bench.a, 200)?;
    bench.expect_holder(&bench.a)?;
    bench.a.stop()
}

/// Nobody was ever heard: it is refused, and with force the address stays.
pub fn alone(bench: &mut Bench) -> Result<()> {
    let mark = bench.lab.observer.beginning();
    bench.a.start(&configuration(150, ""))?;
    bench.await_holder(mark, &bench.a)?;
    let mark = bench.lab.observer.mark();
    let output = order(&bench.a, &["drain"])?;
    expect_said(
        &output,
        1,
        "No other router was heard that could take over VI_1; ",
    )?;
    let output = order(&bench.a, &["drain", "--force"])?;
    expect_said(&output, 1, "Nobody took over VI_1: the addresses stay here")?;
    let (question, asked) = bench.await_advert(mark, &bench.a, 0)?;
    let (again, _) = bench.await_advert(asked, &bench.a, 1)?;
    bench.expect_due("own advert", question, skew(1), again)?;
    bench.expect_holder(&bench.a)?;
    bench.a.stop()
}
