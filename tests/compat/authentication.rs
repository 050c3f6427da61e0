//! Signed adverts: `auth_type AH` between ours and C keepalived.

use crate::bench::{Bench, PATIENCE, VIP, VRRP_PID_FILE, configuration, expect, skew};
use crate::lab::process::send_signal;
use crate::lab::{Context, Result};

/// The configuration of most scenarios, with the authentication header.
pub fn signed(priority: u8) -> String {
    configuration(priority, "").replace("auth_type PASS", "auth_type AH")
}

/// Election, hand-over and return as without: the signatures of each daemon are
/// right to the other, and one that begins anew is not taken for a replay.
pub fn signed_header(bench: &mut Bench) -> Result<()> {
    bench.start(&signed(150), &signed(100))?;
    let beginning = bench.lab.observer.beginning();
    bench.await_holder(beginning, &bench.a)?;
    for _ in 0..3 {
        bench.await_advert(bench.lab.observer.mark(), &bench.a, 150)?;
    }
    let a = bench.a.node.address();
    for (_, advert) in &bench.lab.observer.adverts_since(beginning) {
        let right = advert.source == a
            && advert.auth_type == 2
            && advert.auth_data == [0; 8]
            && advert.addresses == [VIP]
            && advert.time_to_live == 255;
        expect(right, || {
            format!("a signed advert of the first node, not {advert:?}")
        })?;
    }
    let mark = bench.lab.observer.mark();
    bench.a.daemon()?.signal(libc::SIGTERM);
    let (farewell, mark) = bench.await_advert(mark, &bench.a, 0)?;
    let (takeover, mark) = bench.await_advert(mark, &bench.b, 100)?;
    bench.expect_due("takeover", farewell, skew(100), takeover)?;
    bench.await_holder(mark, &bench.b)?;
    bench.a.expect_stopped()?;

    let mark = bench.lab.observer.mark();
    bench.a.start(&signed(150))?;
    bench.await_holder(mark, &bench.a)?;
    bench.stop()?;
    bench.expect_answer(VIP, &[])
}

/// Nodes with different passwords do not believe each other: both are masters,
/// and say why.
pub fn wrong_password(bench: &mut Bench) -> Result<()> {
    let other = signed(100).replace("auth_pass 1111", "auth_pass 2222");
    bench.start(&signed(150), &other)?;
    for machine in [&bench.a, &bench.b] {
        machine.node.await_address(VIP, true, PATIENCE)?;
    }
    let text = "(VI_1) IPSEC-AH : invalid IPSEC HMAC-MD5 value. \
                Due to fields mutation or bad password !";
    for machine in [&bench.a, &bench.b] {
        machine.daemon()?.await_line(PATIENCE, text)?;
        machine.expect_addresses(&[VIP])?;
    }
    bench.stop()
}

/// The worker alone is killed: the other node believes the farewell that is sent
/// in its place, which must not look like a replay, and takes over a skew time
/// later; the new worker takes the address back.
pub fn signed_worker_killed(bench: &mut Bench) -> Result<()> {
    bench.start(&signed(150), &signed(100))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    let text = bench.a.node.read_file(VRRP_PID_FILE)?;
    let worker: u32 = text.trim().parse().context("the VRRP pid file")?;
    let worker = bench.a.node.outer_id(worker)?;
    // Just after an advert, when the farewell follows closest.
    let (_, mark) = bench.await_advert(bench.lab.observer.mark(), &bench.a, 150)?;
    send_signal(worker, libc::SIGKILL)?;
    let (farewell, mark) = bench.await_advert(mark, &bench.a, 0)?;
    let (takeover, mark) = bench.await_advert(mark, &bench.b, 100)?;
    bench.expect_due("takeover", farewell, skew(100), takeover)?;
    bench.await_holder(mark, &bench.a)?;
    bench.stop()
}
