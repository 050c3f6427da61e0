//! A right of root that is missing: the daemon names it as a container user knows
//! it, and does not take part in an election that it could not serve. And those that
//! are given up: by the worker, not by scripts.
//!
//! The right is taken from the bounding set by `setpriv`, as a container does.

use crate::bench::{Bench, Machine, PATIENCE, Program, VIP, configuration, expect, run};
use crate::faults::{kill_worker, worker_of};
use crate::lab::{Context, Failure, Process, Result, isolation};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

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

/// The rights of a process, as the lines of its status.
#[derive(Debug, PartialEq, Eq)]
struct Status {
    permitted: u64,
    effective: u64,
    inheritable: u64,
    ambient: u64,
    no_new_privileges: u64,
    filters: u64,
}

impl Status {
    fn read(path: &str) -> Result<Self> {
        let text = std::fs::read_to_string(path).context(path)?;
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok());
            value.ok_or_else(|| Failure::new(format!("{path}: no {name}")))
        };
        Ok(Self {
            permitted: field("CapPrm:")?,
            effective: field("CapEff:")?,
            inheritable: field("CapInh:")?,
            ambient: field("CapAmb:")?,
            no_new_privileges: field("NoNewPrivs:")?,
            filters: field("Seccomp:")?,
        })
    }
}

/// `CAP_NET_BIND_SERVICE`, `NET_ADMIN`, `NET_RAW`, `IPC_LOCK`, `SYS_NICE`.
const KEPT: u64 = 1 << 10 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 23;

/// Every thread of the worker has what it needs and no more; the supervisor has all that
/// it was started with.
fn expect_confined(machine: &Machine, further: u64) -> Result<()> {
    let daemon = machine.daemon()?.id();
    let supervisor = Status::read(&format!("/proc/{daemon}/status"))?;
    let own = Status::read("/proc/self/status")?;
    expect(supervisor.filters == own.filters, || {
        format!("no filter for the supervisor: {supervisor:?}")
    })?;
    expect(
        supervisor.no_new_privileges == own.no_new_privileges,
        || format!("scripts may gain rights: {supervisor:?}"),
    )?;
    let kept = supervisor.permitted & (KEPT | further);
    let expected = Status {
        permitted: kept,
        effective: kept,
        inheritable: 0,
        ambient: 0,
        no_new_privileges: 1,
        filters: 2,
    };
    let worker = worker_of(machine)?;
    let threads = format!("/proc/{worker}/task");
    let mut count = 0;
    for thread in std::fs::read_dir(&threads).context(threads)?.flatten() {
        let path = thread.path().join("status").display().to_string();
        let found = Status::read(&path)?;
        expect(found == expected, || format!("{expected:?}, not {found:?}"))?;
        count += 1;
    }
    expect(count >= 5, || format!("all threads, not {count}"))
}

fn the_worker_keeps_what_it_needs(bench: &mut Bench) -> Result<()> {
    let machine = &mut bench.a;
    machine.start(&configuration(150, ""))?;
    machine.expect_line("(VI_1) Entering MASTER STATE")?;
    expect_confined(machine, 0)?;
    // The one that takes its place is no better off, and gets its VIP all the same.
    let mark = machine.daemon()?.line_mark();
    kill_worker(machine)?;
    let line = "(VI_1) Entering MASTER STATE";
    machine.daemon()?.await_line_after(mark, PATIENCE, line)?;
    machine.node.await_address(VIP, true, PATIENCE)?;
    expect_confined(machine, 0)?;
    machine.stop()
}

/// A configuration with a tracked file that only another user may read.
fn tracking_a_file_of_somebody(machine: &Machine) -> Result<String> {
    machine.node.inside(|| {
        use std::os::unix::fs::PermissionsExt;
        let owner = Some(65_534);
        std::fs::create_dir("/run/others").context("a directory")?;
        std::fs::write("/run/others/number", "20\n").context("a file")?;
        for (path, mode) in [("/run/others/number", 0o600), ("/run/others", 0o700)] {
            std::os::unix::fs::chown(path, owner, owner).context(path)?;
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(path, mode).context(path)?;
        }
        Ok(())
    })?;
    let file = "vrrp_track_file others {\n    file /run/others/number\n    weight 1\n}\n";
    let tracked = configuration(100, "track_file {\n        others\n    }");
    Ok(format!("{file}{tracked}"))
}

const TRACKED: &str = "(VI_1) Changing effective priority from 100 to 120";

/// `CAP_DAC_READ_SEARCH` is for these.
fn tracked_files_of_others(bench: &mut Bench) -> Result<()> {
    let configuration = tracking_a_file_of_somebody(&bench.a)?;
    let machine = &mut bench.a;
    machine.start(&configuration)?;
    machine.expect_line(TRACKED)?;
    expect_confined(machine, 1 << 2)?;
    machine.stop()
}

/// Container tools grant `CAP_DAC_OVERRIDE` alone.
fn tracked_files_of_others_in_a_container(bench: &mut Bench) -> Result<()> {
    let configuration = tracking_a_file_of_somebody(&bench.a)?;
    let daemon = start_without(bench, "dac_read_search", &configuration)?;
    daemon.await_line(PATIENCE, TRACKED)?;
    daemon.signal(libc::SIGTERM);
    daemon.await_end(PATIENCE).map(drop)
}

/// What a worker has given up it does not get back: the reload is refused, and says so.
fn reload_for_what_was_given_up(bench: &mut Bench) -> Result<()> {
    let machine = &mut bench.a;
    machine.start(&configuration(150, ""))?;
    machine.expect_line("(VI_1) Entering MASTER STATE")?;
    let dumps = "global_defs {\n    state_dump_file /root/dump\n}\n";
    machine.reload(&format!("{dumps}{}", configuration(150, "")))?;
    machine.expect_line(
        "Keepalived_vrrp gave up the right to use /root when it began - please restart keepalived",
    )?;
    machine.expect_line("Reload refused: the configuration that runs is kept")?;
    machine.node.await_address(VIP, true, PATIENCE)?;
    machine.stop()
}

/// Scripts are the supervisor's children and have all of root's rights.
fn scripts_have_all_rights(bench: &mut Bench) -> Result<()> {
    let machine = &mut bench.a;
    let script = "#!/bin/sh\nexec 2>/run/complaints\nset -e\nmount -t tmpfs none /mnt\n\
                  mount -t tmpfs none /etc\necho written >/etc/by-a-script\n\
                  ip netns add by-a-script\nip netns exec by-a-script ip link set lo up\n\
                  grep -E '^(NoNewPrivs|Seccomp|CapEff):' /proc/self/status >/run/rights\n\
                  : >/run/done\n";
    machine.node.write_file("/run/notify", script)?;
    let global = "global_defs {\n    script_user root\n}\n";
    let notify = configuration(150, "notify_master /run/notify");
    machine.start(&format!("{global}{notify}"))?;
    machine.expect_line("(VI_1) Entering MASTER STATE")?;
    let deadline = Instant::now() + PATIENCE;
    while machine.node.read_file("/run/done").is_err() {
        let complaints = machine.node.read_file("/run/complaints");
        expect(Instant::now() < deadline, || format!("{complaints:?}"))?;
        std::thread::sleep(Duration::from_millis(20));
    }
    let written = machine.node.read_file("/etc/by-a-script")?;
    expect(written == "written\n", || format!("{written:?}"))?;
    let own = Status::read("/proc/self/status")?;
    let expected = format!(
        "CapEff:\t{:016x}\nNoNewPrivs:\t{}\nSeccomp:\t{}\n",
        own.effective, own.no_new_privileges, own.filters
    );
    let rights = machine.node.read_file("/run/rights")?;
    expect(rights == expected, || format!("{expected}, not {rights}"))?;
    machine.stop()
}

/// For somebody with a debugger.
fn unconfined(bench: &mut Bench) -> Result<()> {
    let machine = &mut bench.a;
    let words = "global_defs {\nworker_confinement no\n}\n";
    machine.node.write_file("/run/keepalived-rs.conf", words)?;
    machine.start(&configuration(150, ""))?;
    machine.expect_line("(VI_1) Entering MASTER STATE")?;
    let worker = Status::read(&format!("/proc/{}/status", worker_of(machine)?))?;
    let own = Status::read("/proc/self/status")?;
    expect(worker == own, || format!("{own:?}, not {worker:?}"))?;
    machine.stop()
}

#[test]
fn the_worker_has_five_rights_and_its_successor_too() {
    run(Program::Ours, Program::Ours, the_worker_keeps_what_it_needs);
}

#[test]
fn a_tracked_file_of_somebody_else_is_read() {
    without_root::run_with_users(tracked_files_of_others);
}

#[test]
fn a_tracked_file_of_somebody_else_is_read_in_a_container() {
    without_root::run_with_users(tracked_files_of_others_in_a_container);
}

#[test]
fn a_key_is_handed_over_though_its_file_is_gone() {
    run(
        Program::Ours,
        Program::Ours,
        crate::authentication::key_file_gone,
    );
}

#[test]
fn a_reload_that_needs_more_is_refused() {
    run(Program::Ours, Program::Ours, reload_for_what_was_given_up);
}

#[test]
fn a_script_as_root_mounts_writes_etc_and_makes_a_namespace() {
    run(Program::Ours, Program::Ours, scripts_have_all_rights);
}

#[test]
fn the_worker_keeps_all_rights_where_it_is_told_to() {
    run(Program::Ours, Program::Ours, unconfined);
}

/// The same scenarios as with root, of a pair that has four capabilities.
mod without_root {
    use super::*;

    pub fn run_with_users(scenario: fn(&mut Bench) -> Result<()>) {
        // There is no other user in a namespace of our own.
        if isolation::needs_user_namespace() && !isolation::is_inside() {
            let thread = std::thread::current();
            let why = "needs two users";
            return isolation::report_skipped(thread.name().unwrap_or("a test"), why);
        }
        run(Program::Ours, Program::Ours, scenario);
    }

    macro_rules! as_nobody {
        ($($name:ident => $body:path;)*) => {$(
            #[test]
            fn $name() {
                run_with_users(|bench| {
                    bench.a.leave_root()?;
                    bench.b.leave_root()?;
                    $body(bench)
                });
            }
        )*};
    }

    as_nobody! {
        first_election => crate::election::first_election;
        power_off => crate::election::power_off;
        preemption => crate::election::preemption;
        reload => crate::reload::reload;
        tracked_file => crate::tracking::file_with_weight;
        no_accept => crate::firewall::no_accept;
        virtual_mac => crate::virtual_mac::life_v4;
        ipv6 => crate::families::v3_ipv6;
    }
}
