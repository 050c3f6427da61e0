//! A right of root that is missing: the daemon names it as a container user knows
//! it, and does not take part in an election that it could not serve.
//!
//! The right is taken from the bounding set by `setpriv`, as a container does.

use crate::bench::{Bench, PATIENCE, Program, configuration, expect, run};
use crate::lab::Result;
use std::path::Path;
use std::sync::Arc;

use crate::lab::Process;

const FILE: &str = "/run/keepalived.conf";

/// Starts our daemon on the first node without `capability`, and returns it.
fn start_without(bench: &mut Bench, capability: &str, configuration: &str) -> Result<Arc<Process>> {
    let node = &mut bench.a.node;
    node.write_file(FILE, configuration)?;
    let without = format!("-{capability}");
    let program = env!("CARGO_BIN_EXE_keepalived-rs");
    let arguments = [
        "--bounding-set",
        without.as_str(),
        "--inh-caps",
        without.as_str(),
        program,
        "-n",
        "-l",
        "-f",
        FILE,
    ];
    node.start(Path::new("/usr/bin/setpriv"), &arguments, &[])
}

fn refuses(bench: &mut Bench, capability: &str, line: &str) -> Result<()> {
    let daemon = start_without(bench, capability, &configuration(100, ""))?;
    let (_, status) = daemon.await_end(PATIENCE)?;
    daemon.await_line(PATIENCE, line)?;
    expect(status.code() == Some(4), || {
        format!("exit code 4 (missing permission), not {status}")
    })?;
    expect(
        bench.a.node.read_file("/run/keepalived.pid").is_err(),
        || "no pid file left".to_owned(),
    )?;
    expect(daemon.count_lines("Entering") == 0, || {
        "no part in an election".to_owned()
    })
}

fn without_raw_sockets(bench: &mut Bench) -> Result<()> {
    refuses(
        bench,
        "net_raw",
        "NET_RAW is missing: no advert can be sent or received; add --cap-add NET_RAW to the container",
    )
}

fn without_the_administration_of_the_network(bench: &mut Bench) -> Result<()> {
    refuses(
        bench,
        "net_admin",
        "NET_ADMIN is missing: no VIP can be set; add --cap-add NET_ADMIN to the container",
    )
}

fn without_a_right_that_is_not_needed(bench: &mut Bench) -> Result<()> {
    let daemon = start_without(bench, "sys_nice", &configuration(100, ""))?;
    daemon.await_line(PATIENCE, "(VI_1) Entering MASTER STATE")?;
    expect(daemon.count_lines("is missing") == 0, || {
        "no word about a right that nobody asked for".to_owned()
    })?;
    let real_time = "global_defs {\n    vrrp_rt_priority 20\n}\n".to_owned();
    daemon.signal(libc::SIGTERM);
    daemon.await_end(PATIENCE)?;
    let daemon = start_without(bench, "sys_nice", &(real_time + &configuration(100, "")))?;
    daemon.await_line(PATIENCE, "SYS_NICE is missing")?;
    daemon.await_line(PATIENCE, "(VI_1) Entering MASTER STATE")?;
    daemon.signal(libc::SIGTERM);
    daemon.await_end(PATIENCE).map(drop)
}

#[test]
fn a_node_that_cannot_send_does_not_start() {
    run(Program::Ours, Program::Ours, without_raw_sockets);
}

#[test]
fn a_node_that_cannot_set_its_vip_does_not_start() {
    run(
        Program::Ours,
        Program::Ours,
        without_the_administration_of_the_network,
    );
}

#[test]
fn a_right_is_asked_for_only_where_it_is_needed() {
    run(
        Program::Ours,
        Program::Ours,
        without_a_right_that_is_not_needed,
    );
}
