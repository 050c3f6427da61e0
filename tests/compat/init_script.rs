//! `etc/init.d/keepalived-rs`: what an administrator without systemd sees.

use crate::bench::{Bench, PATIENCE, PID_FILE, Program, VIP, VRRP_PID_FILE, configuration, expect};
use crate::lab::process::send_signal;
use crate::lab::{Failure, Result};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/etc/init.d/keepalived-rs");

/// The exit codes are those of the Linux Standard Base.
pub fn life(bench: &mut Bench) -> Result<()> {
    let text = configuration(255, "");
    bench.a.node.write_file("/run/keepalived.conf", &text)?;
    call(bench, "bogus", 2)?;
    call(bench, "status", 3)?;
    call(bench, "reload", 7)?;
    for _ in 0..2 {
        call(bench, "start", 0)?;
    }
    call(bench, "status", 0)?;
    bench.a.node.await_address(VIP, true, PATIENCE)?;
    let first = bench.a.node.read_file(PID_FILE)?;
    call(bench, "reload", 0)?;
    call(bench, "restart", 0)?;
    let second = bench.a.node.read_file(PID_FILE)?;
    expect(first != second, || {
        "another process after a restart".to_owned()
    })?;
    bench.a.node.await_address(VIP, true, PATIENCE)?;
    call(bench, "stop", 0)?;
    bench.a.expect_addresses(&[])?;
    call(bench, "status", 3)?;

    // Both killed: the stop cleans up.
    call(bench, "start", 0)?;
    bench.a.node.await_address(VIP, true, PATIENCE)?;
    for file in [PID_FILE, VRRP_PID_FILE] {
        let number = bench.a.node.read_file(file)?;
        let number = number.trim().parse();
        let number = number.map_err(|_| Failure::new("a number"))?;
        // The second one may have followed the first.
        if let Ok(process) = bench.a.node.outer_id(number) {
            send_signal(process, libc::SIGKILL)?;
        }
    }
    call(bench, "status", 1)?;
    call(bench, "stop", 0)?;
    bench.a.expect_addresses(&[])?;
    for file in [PID_FILE, VRRP_PID_FILE, "/run/keepalived.last"] {
        expect(bench.a.node.read_file(file).is_err(), || {
            format!("{file} removed")
        })?;
    }

    bench.a.node.remove_file("/run/keepalived.conf")?;
    call(bench, "start", 6)
}

fn call(bench: &mut Bench, word: &str, code: i32) -> Result<()> {
    let path = Program::Ours.path().ok_or_else(|| Failure::new("built"))?;
    let path = path.to_string_lossy();
    let environment = [
        ("DAEMON", &*path),
        ("CONFIG", "/run/keepalived.conf"),
        ("DEFAULTS", "/run/none"),
    ];
    let shell = std::path::Path::new("/bin/sh");
    let process = bench.a.node.start(shell, &[SCRIPT, word], &environment)?;
    let (_, status) = process.await_end(PATIENCE)?;
    expect(status.code() == Some(code), || {
        format!("{word} to end with {code}, not {status}")
    })
}
