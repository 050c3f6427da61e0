//! A new configuration while the daemon runs: what it changes, and what it must
//! leave alone.

use crate::bench::{Bench, PATIENCE, PROMPT, Program, expect};
use crate::lab::{Mark, Result};
use crate::setups::{FIRST_VIP, SECOND_VIP, double_file};
use std::time::Duration;

/// Ours keeps running as before when the new file is broken. A good one changes
/// the instance that it changes, and the other one goes on in its rhythm.
pub fn reload(bench: &mut Bench) -> Result<()> {
    bench.start(&double_file(150, 150), &double_file(100, 100))?;
    for vip in [FIRST_VIP, SECOND_VIP] {
        let beginning = bench.lab.observer.beginning();
        let mac = bench.a.node.mac();
        bench
            .lab
            .observer
            .await_announcement(beginning, PATIENCE, vip, mac)?;
    }
    expect_both_on_the_first(bench)?;

    // C ends itself in the first case, and runs without the line in the second.
    if bench.a.program == Program::Ours {
        let file = double_file(160, 160);
        for broken in [
            file.replace("virtual_router_id 52", ""),
            file.replace("advert_int", "advert_interval"),
        ] {
            let mark = bench.lab.observer.mark();
            bench.a.reload(&broken)?;
            await_adverts(bench, mark, 3)?;
            expect_unbroken(bench, mark, 51)?;
            expect_unbroken(bench, mark, 52)?;
            expect_both_on_the_first(bench)?;
        }
    }

    let mark = bench.lab.observer.mark();
    bench.a.reload(&double_file(150, 160))?;
    let a = bench.a.node.address();
    let what = "advert with the new priority";
    bench
        .lab
        .observer
        .await_advert(mark, PATIENCE, what, |advert| {
            (advert.source, advert.vrid, advert.priority) == (a.into(), 52, 160)
        })?;
    await_adverts(bench, bench.lab.observer.mark(), 2)?;
    expect_unbroken(bench, mark, 51)?;
    bench.a.node.await_address(SECOND_VIP, true, PATIENCE)?;
    bench.b.node.await_address(SECOND_VIP, false, PATIENCE)?;
    expect_both_on_the_first(bench)?;
    bench.stop()
}

fn expect_both_on_the_first(bench: &Bench) -> Result<()> {
    bench.a.expect_addresses(&[FIRST_VIP, SECOND_VIP])?;
    bench.b.expect_addresses(&[])?;
    for vip in [FIRST_VIP, SECOND_VIP] {
        bench.expect_answer(vip, &[bench.a.node.mac()])?;
    }
    Ok(())
}

/// Waits for some more adverts of the first instance.
fn await_adverts(bench: &Bench, mut mark: Mark, count: usize) -> Result<()> {
    for _ in 0..count {
        let what = "advert of the first instance";
        let wanted = |advert: &crate::lab::frames::Advert| advert.vrid == 51;
        mark = bench
            .lab
            .observer
            .await_advert(mark, PATIENCE, what, wanted)?
            .1;
    }
    Ok(())
}

/// All adverts of this instance after `mark` come from the first node with
/// priority 150, and at least once a second.
fn expect_unbroken(bench: &Bench, mark: Mark, vrid: u8) -> Result<()> {
    let adverts = bench.lab.observer.adverts_since(mark);
    let of_instance: Vec<_> = adverts
        .iter()
        .filter(|(_, advert)| advert.vrid == vrid)
        .collect();
    expect(of_instance.len() >= 2, || {
        format!("adverts of {vrid}, not {of_instance:?}")
    })?;
    for (_, advert) in &of_instance {
        let same = (advert.source, advert.priority) == (bench.a.node.address().into(), 150);
        expect(same, || {
            format!("the master of {vrid} to stay, not {advert:?}")
        })?;
    }
    for pair in of_instance.windows(2) {
        let gap = pair[1].0.saturating_duration_since(pair[0].0);
        let gap_max = Duration::from_secs(1) + PROMPT + bench.lab.canary.worst_since(pair[0].0);
        expect(gap <= gap_max, || {
            format!("{vrid} once a second, not after {gap:?}")
        })?;
    }
    Ok(())
}
