//! The files, names and masks of running daemons: where C keepalived has them, and
//! what becomes of them when something is in the way.
//!
//! What is in the dumps is compared in `dumps.rs`.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "watches real daemons in real time"
)]

mod lab;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use lab::failure::Context;
use lab::{Failure, Lab, Node, Process, Result, isolation, namespace, netlink};
use nix::sched::{CloneFlags, setns};

const C: &str = "/usr/sbin/keepalived";
const OURS: &str = env!("CARGO_BIN_EXE_keepalived-rs");
const PATIENCE: Duration = Duration::from_secs(20);
const CONFIGURATION: &str = "/run/k.conf";

/// One instance, with words before it.
fn configuration(words: &str) -> String {
    format!(
        "{words}\nvrrp_instance VI {{\n  interface eth0\n  virtual_router_id 5\n  \
         priority 100\n  virtual_ipaddress {{\n    192.0.2.5/24\n  }}\n}}\n"
    )
}

/// Runs the body of a test in namespaces of its own, if that can be.
fn in_lab(needs_c: bool, body: impl FnOnce(&mut Lab) -> Result<()>) {
    let obstacle = if isolation::is_inside() {
        None
    } else if needs_c && !Path::new(C).exists() {
        Some("C keepalived is not installed".to_owned())
    } else if needs_c && isolation::needs_user_namespace() {
        Some("C keepalived runs scripts as root only".to_owned())
    } else {
        isolation::available().err().map(|it| it.to_string())
    };
    if let Some(why) = obstacle {
        assert!(std::env::var_os("CI").is_none(), "cannot run in CI: {why}");
        let thread = thread::current();
        isolation::report_skipped(thread.name().unwrap_or("a test"), &why);
        return;
    }
    isolation::isolated(|| {
        let mut lab = Lab::new().unwrap_or_else(|failure| panic!("{failure}"));
        body(&mut lab).unwrap_or_else(|failure| panic!("{failure}"));
    });
}

fn node(lab: &mut Lab, name: &str, number: u8, words: &str) -> Result<Node> {
    let node = lab.node(name, Ipv4Addr::new(192, 0, 2, number), 24)?;
    node.write_file(CONFIGURATION, &configuration(words))?;
    // A process has the name by which its program was called.
    node.inside(|| symlink(OURS, "/run/keepalived.link").context("a link"))?;
    Ok(node)
}

fn start(node: &mut Node, program: &str, options: &[&str]) -> Result<Arc<Process>> {
    let options = [&["-n", "-l", "-f", CONFIGURATION, "-P"], options].concat();
    node.start(Path::new(program), &options, &[])
}

/// Waits until `value` is what is wanted.
fn await_that<T>(what: &str, mut value: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = value() {
            return Ok(value);
        }
        if Instant::now() > deadline {
            return Err(Failure::new(format!("in vain awaited: {what}")));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The files below /run with their modes, of those that C has too.
fn files(node: &Node) -> Result<BTreeMap<String, u32>> {
    fn walk(directory: &Path, found: &mut BTreeMap<String, u32>) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let path = entry.path();
            let name = path.display().to_string();
            if metadata.is_dir() && !name.starts_with("/run/netns") {
                walk(&path, found);
            } else if metadata.is_file()
                && name.contains("pid") | name.contains("keepalived")
                && !name.ends_with(".last")
            {
                found.insert(name, metadata.mode() & 0o7777);
            }
        }
    }
    node.inside(|| {
        let mut found = BTreeMap::new();
        walk(Path::new("/run"), &mut found);
        Ok(found)
    })
}

/// Name, mask, and whether the process is in the network of the node.
fn traits(node: &Node) -> Result<Vec<(String, String, bool)>> {
    let network =
        node.inside(|| std::fs::read_link("/proc/1/ns/net").context("the network of the node"))?;
    let mut processes = node.processes()?;
    processes.sort_by_key(|(_, inner, _)| *inner);
    let of = |(outer, _, name): (u32, u32, String)| {
        let status = std::fs::read_to_string(format!("/proc/{outer}/status")).unwrap_or_default();
        let mask = status.lines().find(|line| line.starts_with("Umask"));
        let there = std::fs::read_link(format!("/proc/{outer}/ns/net")).ok();
        let here = there.as_ref() == Some(&network);
        (name, mask.unwrap_or_default().to_owned(), here)
    };
    Ok(processes.into_iter().map(of).collect())
}

/// What one daemon shows of itself.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    running: BTreeMap<String, u32>,
    processes: Vec<(String, String, bool)>,
    after_reload: Vec<(String, String, bool)>,
    dumped: BTreeMap<String, u32>,
    stopped: BTreeMap<String, u32>,
}

/// The life of a daemon in the words of its files.
fn life(node: &mut Node, program: &str, words: &str, options: &[&str]) -> Result<Shown> {
    let process = start(node, program, options)?;
    process.await_line(PATIENCE, "Startup complete")?;
    process.await_line(PATIENCE, "Entering BACKUP STATE")?;
    let running = await_that("both pid files", || {
        files(node).ok().filter(|found| found.len() >= 2)
    })?;
    let processes = traits(node)?;
    process.signal(libc::SIGUSR1);
    process.signal(libc::SIGUSR2);
    process.signal(libc::SIGRTMIN() + 2);
    let dumped = await_that("four dumps", || {
        files(node).ok().filter(|found| found.len() >= 6)
    })?;
    // A reload that changes names and mask.
    let changed = configuration(&format!(
        "{words}\nglobal_defs {{\nprocess_name other\nvrrp_process_name another\numask 026\n}}"
    ));
    node.write_file(CONFIGURATION, &changed)?;
    process.signal(libc::SIGHUP);
    process.await_line(PATIENCE, "Reload complete")?;
    let after_reload = await_that("new names", || {
        let found = traits(node).ok()?;
        found.iter().any(|it| it.0 == "another").then_some(found)
    })?;
    process.signal(libc::SIGTERM);
    process.await_end(PATIENCE)?;
    Ok(Shown {
        running,
        processes,
        after_reload,
        dumped,
        stopped: files(node)?,
    })
}

/// A named network namespace with an interface like that of the node.
fn add_network(node: &mut Node, name: &str) -> Result<()> {
    let path = format!("/run/netns/{name}");
    // In the view of the node, we are no process that /proc knows.
    let holder = node.start(Path::new("/usr/bin/unshare"), &["-n", "sleep", "60"], &[])?;
    let inner = await_that("a process with a network", || {
        let processes = node.processes().ok()?;
        let found = processes.iter().find(|(_, _, name)| name == "sleep");
        found.map(|(_, inner, _)| *inner)
    })?;
    node.inside(move || {
        std::fs::create_dir_all("/run/netns").context("/run/netns")?;
        std::fs::write(&path, "").context(&path)?;
        namespace::bind(&format!("/proc/{inner}/ns/net"), &path)?;
        let network = std::fs::File::open(&path).context(&path)?;
        setns(network, CloneFlags::CLONE_NEWNET).context("the network")?;
        netlink::add_veth("eth0", "other")?;
        netlink::add_address("eth0", Ipv4Addr::new(192, 0, 2, 9), 24)?;
        netlink::set_up("other", true)?;
        netlink::set_up("eth0", true)
    })?;
    holder.signal(libc::SIGKILL);
    holder.await_end(PATIENCE).map(drop)
}

fn compare(words: &str, options: &[&str]) {
    in_lab(true, |lab| {
        let mut ours = node(lab, "ours", 1, words)?;
        let mut theirs = node(lab, "theirs", 2, words)?;
        for node in [&mut ours, &mut theirs] {
            add_network(node, "blue")?;
        }
        let ours = life(&mut ours, "/run/keepalived.link", words, options)?;
        let mut theirs = life(&mut theirs, C, words, options)?;
        let names = theirs.processes.iter_mut().chain(&mut theirs.after_reload);
        for (name, ..) in names.filter(|it| it.0 == "keepalived") {
            "keepalived.link".clone_into(name);
        }
        assert_eq!(ours, theirs);
        Ok(())
    });
}

#[test]
fn plain() {
    compare("", &[]);
}

#[test]
fn a_directory_for_pid_files() {
    compare("use_pid_dir", &["-u", "027"]);
}

#[test]
fn an_instance_with_names_and_a_mask() {
    compare(
        "instance FOO\nglobal_defs {\nprocess_names\nprocess_name par\ndata_use_instance\n\
         umask 022\n}",
        &[],
    );
}

#[test]
fn a_namespace_and_an_instance() {
    compare(
        "net_namespace blue\ninstance FOO\nglobal_defs {\nvrrp_process_name vvv\n\
         data_use_instance on\n}",
        &[],
    );
}

#[test]
fn a_namespace_by_option() {
    compare(
        "net_namespace red\nglobal_defs {\nprocess_name alone\n}",
        &["-s", "blue"],
    );
}

#[test]
fn a_namespace_that_is_not_there_is_named() {
    in_lab(false, |lab| {
        for (words, options) in [("net_namespace red", &[][..]), ("", &["-s", "red"])] {
            let mut node = node(lab, "ours", 1, words)?;
            let process = start(&mut node, OURS, options)?;
            process.await_line(PATIENCE, "Unable to set network namespace red - exiting")?;
            let (_, status) = process.await_end(PATIENCE)?;
            assert_eq!(status.code(), Some(1));
            node.power_off()?;
        }
        Ok(())
    });
}

/// Whoever comes second says so, ends with 0 as C's does, and changes nothing.
#[test]
fn a_second_daemon_beside_ours_or_c() {
    in_lab(true, |_| {
        // No node: pid files name processes, which both look up in /proc.
        netlink::add_address("segment", Ipv4Addr::new(192, 0, 2, 1), 24)?;
        let directory = tempfile::tempdir().context("a directory")?;
        let at = |name: &str| directory.path().join(name).display().to_string();
        let text = configuration("").replace("eth0", "segment");
        std::fs::write(at("k.conf"), text).context("a file")?;
        let begin = |program: &str| {
            let mut command = Command::new(program);
            command.args(["-n", "-l", "-P", "-f", &at("k.conf")]);
            command.args(["-p", &at("k.pid"), "-r", &at("v.pid")]);
            Process::start(program, &mut command).map(|it| it.watch())
        };
        for (first, second) in [(OURS, C), (C, OURS), (OURS, OURS)] {
            let one = begin(first)?;
            one.await_line(PATIENCE, "Startup complete")?;
            let pids = || ["k.pid", "v.pid"].map(|name| std::fs::read_to_string(at(name)).ok());
            let before = await_that("pid files", || {
                pids().iter().all(Option::is_some).then(pids)
            })?;
            let two = begin(second)?;
            two.await_line(PATIENCE, "daemon is already running")?;
            let (_, status) = two.await_end(PATIENCE)?;
            assert_eq!(status.code(), Some(0), "{first} {second}");
            assert_eq!(pids(), before, "{first} {second}");
            one.signal(libc::SIGTERM);
            one.await_end(PATIENCE)?;
            assert_eq!(pids(), [None, None], "{first} {second}");
        }
        Ok(())
    });
}

#[test]
fn of_several_that_start_at_once_one_stays() {
    in_lab(false, |lab| {
        let mut node = node(lab, "ours", 1, "")?;
        let all = (0..6).map(|_| start(&mut node, OURS, &[]));
        let all = all.collect::<Result<Vec<_>>>()?;
        await_that("one of six", || {
            let running = all.iter().filter(|it| it.is_running()).count();
            let one = all
                .iter()
                .filter(|it| it.count_lines("Startup complete") > 0);
            (running == 1 && one.count() == 1).then_some(())
        })?;
        let mut stayed = all.iter().filter(|it| it.is_running());
        let stayed = stayed.next().ok_or_else(|| Failure::new("none stayed"))?;
        for other in all.iter().filter(|it| !it.is_running()) {
            assert_eq!(other.count_lines("daemon is already running"), 1);
            let (_, status) = other.await_end(PATIENCE)?;
            assert_eq!(status.code(), Some(0));
        }
        let number: u32 = node
            .read_file("/run/keepalived.pid")?
            .trim()
            .parse()
            .context("a number")?;
        assert_eq!(node.outer_id(number)?, stayed.id());
        Ok(())
    });
}

#[test]
fn what_a_dead_daemon_left_is_replaced() {
    in_lab(false, |lab| {
        let mut node = node(lab, "ours", 1, "")?;
        let process = start(&mut node, OURS, &[])?;
        process.await_line(PATIENCE, "Entering BACKUP STATE")?;
        process.signal(libc::SIGKILL);
        process.await_end(PATIENCE)?;
        await_that("the end of the worker", || {
            node.processes().ok().filter(Vec::is_empty)
        })?;
        assert_eq!(files(&node)?.len(), 2);
        let process = start(&mut node, OURS, &[])?;
        for file in ["keepalived", "vrrp"] {
            let text = format!("Remove a zombie pid file /run/{file}.pid");
            process.await_line(PATIENCE, &text)?;
        }
        process.await_line(PATIENCE, "Entering BACKUP STATE")?;
        Ok(())
    });
}

#[test]
fn without_a_pid_file_no_daemon_begins() {
    in_lab(false, |lab| {
        for option in ["-p", "-r"] {
            let mut node = node(lab, "ours", 1, "")?;
            let process = start(&mut node, OURS, &[option, "/nonexistent/x.pid"])?;
            let text = "cannot write pid file /nonexistent/x.pid: No such file or directory";
            process.await_line(PATIENCE, text)?;
            let (_, status) = process.await_end(PATIENCE)?;
            assert_eq!(status.code(), Some(1), "{option}");
            assert_eq!(process.count_lines("Starting VRRP child process"), 0);
            assert!(files(&node)?.is_empty(), "{option}");
            node.power_off()?;
        }
        Ok(())
    });
}

#[test]
fn a_worker_that_does_not_stop_is_ended_after_child_wait_time() {
    in_lab(false, |lab| {
        let mut node = node(lab, "ours", 1, "child_wait_time 1")?;
        let process = start(&mut node, OURS, &[])?;
        process.await_line(PATIENCE, "Entering BACKUP STATE")?;
        let worker = node.read_file("/run/vrrp.pid")?;
        let worker = node.outer_id(worker.trim().parse().context("a number")?)?;
        lab::process::send_signal(worker, libc::SIGSTOP)?;
        process.signal(libc::SIGTERM);
        let (begun, _) = process.await_line(PATIENCE, "Stopping")?;
        let (ended, _) = process.await_line(PATIENCE, "failed to die - forcing termination")?;
        let waited = ended.duration_since(begun);
        // Without the word it would be five seconds.
        let expected = Duration::from_millis(900)..Duration::from_millis(4500);
        assert!(expected.contains(&waited), "{waited:?}");
        process.await_end(PATIENCE)?;
        Ok(())
    });
}

#[test]
fn a_full_disk_is_told_and_the_old_file_stays() {
    in_lab(false, |lab| {
        let mut node = node(lab, "ours", 1, "")?;
        node.inside(|| {
            std::fs::create_dir("/run/small").context("a directory")?;
            let size = c"size=64k";
            // SAFETY: all strings end in NUL.
            let mounted = unsafe {
                let (kind, on) = (c"tmpfs".as_ptr(), c"/run/small".as_ptr());
                libc::mount(kind, on, kind, 0, size.as_ptr().cast())
            };
            assert_eq!(mounted, 0);
            Ok(())
        })?;
        let options = ["-n", "-l", "-f", CONFIGURATION, "-P"];
        let process = node.start(Path::new(OURS), &options, &[("TMPDIR", "/run/small")])?;
        process.await_line(PATIENCE, "Entering BACKUP STATE")?;
        process.signal(libc::SIGUSR1);
        let path = "/run/small/keepalived.data";
        let old = await_that("a dump", || {
            node.read_file(path).ok().filter(|text| !text.is_empty())
        })?;
        node.inside(|| {
            let full = std::fs::write("/run/small/large", vec![0; 1 << 17]);
            assert!(full.is_err());
            Ok(())
        })?;
        process.signal(libc::SIGUSR1);
        let text = "Unable to write /run/small/keepalived.data: No space left on device";
        process.await_line(PATIENCE, text)?;
        assert_eq!(node.read_file(path)?, old);
        let names = node.inside(|| {
            let names = std::fs::read_dir("/run/small").context("the directory")?;
            Ok(names.flatten().map(|it| it.file_name()).collect::<Vec<_>>())
        })?;
        assert_eq!(names.len(), 3, "nothing half written: {names:?}");
        Ok(())
    });
}

/// The log of a daemon goes into a pipe that is full and that nobody reads: it does its
/// work all the same, and stops when it is told to.
#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    in_lab(false, |lab| {
        let mut node = node(lab, "ours", 1, "")?;
        let line = "mkfifo /run/full && exec 3<>/run/full && head -c 64000 /dev/zero >&3 && \
                    exec \"$0\" -n -l -D -d -P -f /run/k.conf 2>&3";
        let process = node.start(Path::new("/bin/sh"), &["-c", line, OURS], &[])?;
        let mut mark = lab.observer.mark();
        let mut before: Option<Instant> = None;
        for _ in 0..5 {
            let what = "an advert a second";
            let (at, next) = lab.observer.await_advert(mark, PATIENCE, what, |_| true)?;
            if let Some(before) = before {
                let gap = at.duration_since(before);
                assert!(gap < Duration::from_secs(3), "{gap:?}");
            }
            (before, mark) = (Some(at), next);
        }
        process.signal(libc::SIGTERM);
        let (_, status) = process.await_end(PATIENCE)?;
        assert_eq!(status.code(), Some(0));
        Ok(())
    });
}

#[test]
fn a_log_file_for_each_process() {
    in_lab(false, |lab| {
        let mut node = node(lab, "ours", 1, "")?;
        let process = start(&mut node, OURS, &["-g/run/k.log", "--flush-log-file", "-G"])?;
        process.await_line(PATIENCE, "Entering BACKUP STATE")?;
        process.signal(libc::SIGTERM);
        process.await_end(PATIENCE)?;
        let (own, vrrp) = (
            node.read_file("/run/k.log")?,
            node.read_file("/run/k_vrrp.log")?,
        );
        assert!(own.contains("Starting VRRP child process"), "{own}");
        assert!(own.trim_end().contains("Stopped Keepalived"), "{own}");
        assert!(vrrp.contains("(VI) Entering BACKUP STATE"), "{vrrp}");
        assert!(!own.contains("BACKUP STATE"), "{own}");
        Ok(())
    });
}

/// Neither has the thread that writes the log file.
#[test]
fn the_process_of_the_bus_has_no_capabilities() {
    in_lab(false, |lab| {
        let words = "global_defs {\nenable_dbus\n}";
        let mut node = node(lab, "ours", 1, words)?;
        let process = start(&mut node, OURS, &["-g/run/k.log", "--flush-log-file"])?;
        process.await_line(PATIENCE, "Entering BACKUP STATE")?;
        // There is no bus, and it says so.
        await_that("a log file", || {
            let log = node.read_file("/run/k_dbus.log").ok()?;
            (!log.is_empty()).then_some(())
        })?;
        let mut without = Vec::new();
        for (id, _, _) in node.processes()? {
            let mut threads = capabilities(id)?;
            threads.sort();
            if threads.first().is_some_and(|it| *it == 0) {
                without.push(threads);
            }
        }
        assert_eq!(without, [[0, 0]], "one process with two threads");
        process.signal(libc::SIGTERM);
        process.await_end(PATIENCE)?;
        Ok(())
    });
}

/// What each thread of a process may do, as the mask of the kernel.
fn capabilities(process: u32) -> Result<Vec<u64>> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).context("threads")?;
    let mut masks = Vec::new();
    for task in tasks.flatten() {
        let status = std::fs::read_to_string(task.path().join("status")).context("a status")?;
        let mask = status.lines().find_map(|it| it.strip_prefix("CapEff:"));
        let mask = u64::from_str_radix(mask.unwrap_or_default().trim(), 16);
        masks.push(mask.context("a mask")?);
    }
    Ok(masks)
}

/// `--all`: there is a VRRP process without work, and it can be asked.
#[test]
fn all_processes_without_work() {
    in_lab(false, |lab| {
        let mut node = node(lab, "ours", 1, "")?;
        node.write_file(CONFIGURATION, "")?;
        let process = start(&mut node, OURS, &["--all"])?;
        process.await_line(PATIENCE, "Starting VRRP child process")?;
        process.await_line(PATIENCE, "Startup complete")?;
        process.signal(libc::SIGUSR1);
        await_that("a dump", || node.read_file("/run/keepalived.data").ok())?;
        process.signal(libc::SIGTERM);
        let (_, status) = process.await_end(PATIENCE)?;
        assert_eq!(status.code(), Some(0));
        Ok(())
    });
}

/// What both processes left that were killed is found where the configuration has it,
/// and the tools find a daemon in the directory of `use_pid_dir`.
#[test]
fn other_programs_find_the_files_where_the_configuration_has_them() {
    in_lab(false, |lab| {
        let mut node = node(lab, "ours", 1, "use_pid_dir")?;
        let process = start(&mut node, OURS, &[])?;
        process.await_line(PATIENCE, "Entering MASTER STATE")?;
        node.await_address(Ipv4Addr::new(192, 0, 2, 5), true, PATIENCE)?;
        let status = node.start(Path::new(OURS), &["status"], &[])?;
        status.await_line(PATIENCE, "VI")?;
        let (_, ended) = status.await_end(PATIENCE)?;
        assert_eq!(ended.code(), Some(0));
        for (outer, _, _) in node.processes()? {
            lab::process::send_signal(outer, libc::SIGKILL)?;
        }
        process.await_end(PATIENCE)?;
        assert!(node.addresses()?.iter().any(|it| it.0.octets()[3] == 5));
        let cleanup = node.start(
            Path::new(OURS),
            &["--cleanup", "-l", "-f", CONFIGURATION],
            &[],
        )?;
        let (_, ended) = cleanup.await_end(PATIENCE)?;
        assert_eq!(ended.code(), Some(0));
        assert!(!node.addresses()?.iter().any(|it| it.0.octets()[3] == 5));
        Ok(())
    });
}
