//! `fast_handover` of ours beside either daemon, which needs to know nothing of it.

use std::time::Duration;

use crate::bench::{Bench, PATIENCE, configuration, master_down, skew};
use crate::faults::{HEALTHY, checked};
use crate::lab::{Mark, Result};

/// Beside the configuration file of every node.
const OWN_WORDS: &str = "/run/keepalived-rs.conf";
const ON: &str = "global_defs {\n    fast_handover\n}\n";

/// The second node was master before the first one, which so knows its priority.
/// Gives a mark from which the first one has the address.
fn one_after_the_other(bench: &mut Bench) -> Result<Mark> {
    bench.a.node.write_file(HEALTHY, "")?;
    bench.a.node.write_file(OWN_WORDS, ON)?;
    bench.b.start(&configuration(100, ""))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.b)?;
    let mark = bench.lab.observer.mark();
    bench.a.start(&checked(150, "weight -60"))?;
    bench.await_holder(mark, &bench.a)?;
    Ok(bench.lab.observer.mark())
}

/// A failing script with a weight costs a skew time, and without the file a
/// master-down time.
pub fn weight(bench: &mut Bench) -> Result<()> {
    let mut mark = one_after_the_other(bench)?;
    for _ in 0..2 {
        bench.a.node.remove_file(HEALTHY)?;
        let (question, asked) = bench.await_advert(mark, &bench.a, 0)?;
        let (takeover, _) = bench.await_advert(asked, &bench.b, 100)?;
        bench.expect_due("takeover", question, skew(100), takeover)?;
        bench.await_holder(asked, &bench.b)?;
        let line = "(VI_1) Priority 90 is below 100 of 192.0.2.2: asking it to take over";
        bench.a.daemon()?.await_line(PATIENCE, line)?;

        mark = bench.lab.observer.mark();
        bench.a.node.write_file(HEALTHY, "")?;
        bench.await_holder(mark, &bench.a)?;
        mark = bench.lab.observer.mark();
    }

    bench.a.node.remove_file(OWN_WORDS)?;
    bench.a.reload(&checked(150, "weight -60"))?;
    bench.a.expect_line("Reload complete")?;
    bench.expect_holder(&bench.a)?;
    let mark = bench.lab.observer.mark();
    bench.a.node.remove_file(HEALTHY)?;
    // The advert before this one was the last that counted.
    let (fallen, mark) = bench.await_advert(mark, &bench.a, 90)?;
    let (takeover, _) = bench.await_advert(mark, &bench.b, 100)?;
    let rest = master_down(100).saturating_sub(Duration::from_secs(1));
    bench.expect_due("takeover", fallen, rest, takeover)?;
    bench.await_holder(mark, &bench.b)?;
    bench.stop()
}

/// The other node is gone, which nobody has noticed: the address stays.
pub fn alone(bench: &mut Bench) -> Result<()> {
    let mark = one_after_the_other(bench)?;
    bench.b.node.power_off()?;
    bench.a.node.remove_file(HEALTHY)?;
    let (question, mark) = bench.await_advert(mark, &bench.a, 0)?;
    let (again, _) = bench.await_advert(mark, &bench.a, 90)?;
    bench.expect_due("own advert", question, skew(90), again)?;
    bench.expect_holder(&bench.a)?;
    let daemon = bench.a.daemon()?;
    daemon.await_line(PATIENCE, "(VI_1) Nobody took over: staying MASTER")?;
    bench.a.stop()
}
