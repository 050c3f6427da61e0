//! Two masters that do not give way: ours says why, and what to do. C has
//! nothing like it, and is only the other node.

use crate::bench::{Bench, PATIENCE, VIP, configuration, expect};
use crate::lab::Result;

/// Different passwords: each node refuses the other's adverts, and ours says so.
pub fn wrong_password(bench: &mut Bench) -> Result<()> {
    let other = configuration(100, "").replace("auth_pass 1111", "auth_pass 2222");
    bench.start(&configuration(150, ""), &other)?;
    for machine in [&bench.a, &bench.b] {
        machine.node.await_address(VIP, true, PATIENCE)?;
    }
    let mut mark = bench.lab.observer.beginning();
    for _ in 0..30 {
        let (at, next) = bench
            .lab
            .observer
            .await_advert(mark, PATIENCE, "an advert", |_| true)?;
        mark = next;
    }
    let text = "(VI_1) contended: 192.0.2.2 is MASTER as well (priority 100), \
                its adverts are refused (wrong password) - use the same auth_pass on both nodes";
    bench.a.daemon()?.await_line(PATIENCE, text)?;
    expect(bench.a.daemon()?.count_lines("contended") == 1, || {
        "one line".to_owned()
    })?;
    bench.stop()
}
