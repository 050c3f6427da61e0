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

const KEY_FILE: &str = "/run/vrrp.key";

/// Version 3 with the trailer of `auth_hmac`; the key is in a file.
fn with_trailer(bench: &Bench, priority: u8) -> Result<String> {
    let key = "hex:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";
    for machine in [&bench.a, &bench.b] {
        machine.node.write_file(KEY_FILE, key)?;
    }
    let extension = format!("auth_hmac {{\n key 7 file:{KEY_FILE}\n active_key 7\n }}");
    let text = configuration(priority, &format!("version 3\n {extension}"));
    Ok(text
        .replace("auth_type PASS", "")
        .replace("auth_pass 1111", ""))
}

/// Hand-over with signed adverts, and a node with another key, which is master
/// beside the other and says why. C keepalived 2.2.7 does not have this.
pub fn signed_trailer(bench: &mut Bench) -> Result<()> {
    let files = [with_trailer(bench, 150)?, with_trailer(bench, 100)?];
    bench.start(&files[0], &files[1])?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    let rights = "can be read by others than its owner";
    bench.a.daemon()?.await_line(PATIENCE, rights)?;
    let mark = bench.lab.observer.mark();
    bench.a.daemon()?.signal(libc::SIGTERM);
    let (farewell, mark) = bench.await_advert(mark, &bench.a, 0)?;
    let (takeover, mark) = bench.await_advert(mark, &bench.b, 100)?;
    bench.expect_due("takeover", farewell, skew(100), takeover)?;
    bench.await_holder(mark, &bench.b)?;
    bench.a.expect_stopped()?;

    let other = "0123456789abcdef0123456789abcdef";
    bench.a.node.write_file(KEY_FILE, other)?;
    bench.a.start(&files[0])?;
    bench.a.node.await_address(VIP, true, PATIENCE)?;
    for (machine, from) in [(&bench.a, "192.0.2.2"), (&bench.b, "192.0.2.1")] {
        let line = format!("(VI_1) invalid authentication HMAC from {from}");
        machine.daemon()?.await_line(PATIENCE, &line)?;
        machine.expect_addresses(&[VIP])?;
        let count = machine.daemon()?.count_lines(other);
        expect(count == 0, || "a log without the key".to_owned())?;
    }
    // The right key again, by a reload: one of them gives way.
    let right = with_trailer(bench, 150)?;
    bench.a.reload(&right)?;
    bench.b.node.await_address(VIP, false, PATIENCE)?;
    bench.expect_holder(&bench.a)?;
    bench.stop()
}

/// Only the parent reads the file: the VRRP process that takes the place of a killed one
/// has the key, though nobody could read it any more.
pub fn key_file_gone(bench: &mut Bench) -> Result<()> {
    let files = [with_trailer(bench, 150)?, with_trailer(bench, 100)?];
    bench.start(&files[0], &files[1])?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    bench.a.node.remove_file(KEY_FILE)?;
    let mark = bench.a.daemon()?.line_mark();
    crate::faults::kill_worker(&bench.a)?;
    let line = "(VI_1) Entering MASTER STATE";
    bench.a.daemon()?.await_line_after(mark, PATIENCE, line)?;
    bench.b.node.await_address(VIP, false, PATIENCE)?;
    bench.expect_holder(&bench.a)?;
    let refused = bench.b.daemon()?.count_lines("invalid authentication HMAC");
    expect(refused == 0, || "a peer that believes".to_owned())?;
    bench.stop()
}
