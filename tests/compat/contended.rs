//! Two masters that do not give way: ours says why, and what to do, and when it
//! is over. C has nothing like it, and is only the other node.

use std::net::Ipv4Addr;

use crate::bench::{Bench, PATIENCE, Program, VIP, configuration, expect};
use crate::lab::process::Process;
use crate::lab::{Failure, Result, netlink};

const OVER: &str = "(VI_1) not contended any more after ";

/// The second node is MASTER; then ours is, too, and says why.
fn both_are_masters(bench: &mut Bench, a: &str, b: &str, line: &str) -> Result<()> {
    bench.b.start(b)?;
    bench.b.node.await_address(VIP, true, PATIENCE)?;
    bench.a.start(a)?;
    bench.a.daemon()?.await_line(PATIENCE, line)?;
    bench.a.expect_addresses(&[VIP])?;
    bench.b.expect_addresses(&[VIP])?;
    expect_once(bench.a.daemon()?, "(VI_1) contended")
}

/// What `status` says of the first node, which runs ours.
fn expect_status(bench: &mut Bench, lines: &[&str]) -> Result<()> {
    let program = Program::Ours.path();
    let program = program.ok_or_else(|| Failure::new("no such program"))?;
    let arguments = ["status", "--socket", "/run/keepalived.sock"];
    let status = bench.a.node.start(&program, &arguments, &[])?;
    for line in lines {
        status.await_line(PATIENCE, line)?;
    }
    Ok(())
}

fn expect_once(daemon: &Process, text: &str) -> Result<()> {
    let count = daemon.count_lines(text);
    expect(count == 1, || format!("one line {text:?}, not {count}"))
}

/// Different passwords. The farewell of the other node ends it.
pub fn wrong_password(bench: &mut Bench) -> Result<()> {
    let other = configuration(100, "").replace("auth_pass 1111", "auth_pass 2222");
    let line = "(VI_1) contended: 192.0.2.2 is MASTER as well (priority 100), \
                its adverts are refused (wrong password) - use the same auth_pass on both nodes";
    both_are_masters(bench, &configuration(150, ""), &other, line)?;
    let lines = [
        "CONTENDED   with 192.0.2.2, priority 100, since ",
        "its adverts are refused (wrong password)",
        "fix: use the same auth_pass on both nodes",
        "192.0.2.2, priority 100, advert every 1 s, heard ",
    ];
    expect_status(bench, &lines)?;
    bench.b.stop()?;
    bench.a.daemon()?.await_line(PATIENCE, OVER)?;
    expect_once(bench.a.daemon()?, "(VI_1) contended")?;
    bench.a.stop()
}

/// Other intervals, of which the other node has the shorter one.
pub fn other_interval(bench: &mut Bench) -> Result<()> {
    let ours = configuration(150, "").replace("advert_int 1", "advert_int 2");
    let line = "(VI_1) contended: 192.0.2.2 is MASTER as well (priority 100), its adverts are \
                refused (advert interval 1 s, ours 2 s) - use the same advert_int on both nodes";
    both_are_masters(bench, &ours, &configuration(100, ""), line)?;
    bench.stop()
}

/// The other node does not hear ours: its kernel drops what comes from an
/// address that it has itself. Then it does, and gives way.
pub fn one_way(bench: &mut Bench) -> Result<()> {
    let ours = bench.a.node.address();
    bench
        .b
        .node
        .inside(|| netlink::add_address("lo", ours, 32))?;
    let line = "(VI_1) contended: 192.0.2.2 is MASTER as well (priority 100), \
                it does not give way to our adverts - it does not hear our adverts";
    let files = [150, 100].map(|priority| configuration(priority, ""));
    both_are_masters(bench, &files[0], &files[1], line)?;
    bench
        .b
        .node
        .inside(|| netlink::remove_address("lo", ours, 32))?;
    bench.b.node.await_address(VIP, false, PATIENCE)?;
    bench.a.daemon()?.await_line(PATIENCE, OVER)?;
    expect_once(bench.a.daemon()?, "(VI_1) contended")?;
    bench.expect_holder(&bench.a)?;
    bench.stop()
}

/// The other node sends to ours, which sends to somebody else.
pub fn not_a_peer(bench: &mut Bench) -> Result<()> {
    let [a, b] = [bench.a.node.address(), bench.b.node.address()];
    let nobody = Ipv4Addr::new(192, 0, 2, 77);
    let peers = |own, peer| format!("unicast_src_ip {own}\n    unicast_peer {{\n {peer}\n }}");
    let files = [
        configuration(150, &peers(a, nobody)),
        configuration(100, &peers(b, a)),
    ];
    let line = "(VI_1) contended: 192.0.2.2 is MASTER as well (priority 100), we do not send to \
                it, so that it cannot give way - name its address among our unicast_peer";
    both_are_masters(bench, &files[0], &files[1], line)?;
    bench.b.stop()?;
    bench.a.daemon()?.await_line(PATIENCE, OVER)?;
    bench.a.stop()
}

/// A preemption is none of that; the other node is known by its adverts.
pub fn preemption(bench: &mut Bench) -> Result<()> {
    bench.b.start(&configuration(100, ""))?;
    bench.b.node.await_address(VIP, true, PATIENCE)?;
    bench.a.start(&configuration(150, ""))?;
    bench.b.node.await_address(VIP, false, PATIENCE)?;
    let mut mark = bench.lab.observer.mark();
    for _ in 0..4 {
        (_, mark) = bench.await_advert(mark, &bench.a, 150)?;
    }
    let count = bench.a.daemon()?.count_lines("contended");
    expect(count == 0, || "no line about another master".to_owned())?;
    let peer = "192.0.2.2, priority 100, advert every 1 s, heard ";
    expect_status(bench, &[peer, "preempts 192.0.2.2, whose priority is 100"])?;
    bench.stop()
}
