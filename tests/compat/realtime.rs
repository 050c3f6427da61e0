//! Real time, a worker that stands still, what killed daemons leave behind, and what
//! systemd is told.

use crate::bench::{
    Bench, Machine, PATIENCE, PID_FILE, Program, VIP, VRRP_PID_FILE, configuration, expect,
};
use crate::lab::process::send_signal;
use crate::lab::{Context, Failure, Process, Result};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Set on a class that children do not inherit (sched(7)).
const RESET_ON_FORK: libc::c_int = 0x4000_0000;

const WORDS: &str = "global_defs {
    script_user root
    vrrp_rt_priority 50
    vrrp_no_swap
    vrrp_cpu_affinity 0
    vrrp_rlimit_rttime 2000000
}
";

const SCRIPT: &str = "#!/bin/sh\ncat /proc/self/stat >/run/told.new\nmv /run/told.new /run/told\n";

/// Class and priority, processors, locked memory, and the limit of real-time work.
/// Scripts have nothing of it.
pub fn values(bench: &mut Bench) -> Result<()> {
    bench.a.node.write_file("/run/told.sh", SCRIPT)?;
    let words = format!(
        "{WORDS}{}",
        configuration(150, "notify_backup /run/told.sh")
    );
    bench.a.start(&words)?;
    bench.a.expect_line("(VI_1) Entering BACKUP STATE")?;
    let worker = worker_of(&bench.a)?;
    let mut urgent = Vec::new();
    for thread in threads_of(worker)? {
        // SAFETY: system calls on numbers.
        let class = unsafe { libc::sched_getscheduler(thread.number) };
        match class {
            libc::SCHED_OTHER => {}
            _ => {
                let wanted = libc::SCHED_RR | RESET_ON_FORK;
                expect(class == wanted, || format!("class {wanted}, not {class}"))?;
                expect(thread.field(40) == "50", || {
                    format!("priority 50, not {}", thread.field(40))
                })?;
                urgent.push(thread.name().to_owned());
            }
        }
        let status = read(&format!("/proc/{worker}/task/{}/status", thread.number))?;
        expect(value_of(&status, "Cpus_allowed_list") == "0", || {
            format!("processor 0 only: {status}")
        })?;
    }
    let wanted = match bench.a.program {
        Program::Ours => vec!["keepalived-rs", "netlink"],
        Program::C => vec!["keepalived"],
    };
    expect(urgent == wanted, || {
        format!("{wanted:?} in real time, not {urgent:?}")
    })?;
    let status = read(&format!("/proc/{worker}/status"))?;
    expect(value_of(&status, "VmLck") != "0 kB", || status.clone())?;
    let limits = read(&format!("/proc/{worker}/limits"))?;
    let limit = limits
        .lines()
        .find(|line| line.contains("realtime timeout"));
    let numbers: Vec<&str> = limit.unwrap_or("").split_whitespace().skip(3).collect();
    expect(numbers == ["1000000", "2000000", "us"], || limits.clone())?;

    let give_up_at = Instant::now() + PATIENCE;
    let told = loop {
        if let Ok(told) = bench.a.node.read_file("/run/told") {
            break Thread::of(&told);
        }
        expect(Instant::now() < give_up_at, || {
            "the script to run".to_owned()
        })?;
        std::thread::sleep(Duration::from_millis(20));
    };
    let (class, priority) = (told.field(41), told.field(40));
    expect((class, priority) == ("0", "0"), || {
        format!("a script of the normal class, not {class} with {priority}")
    })?;
    bench.a.stop()
}

/// Receive buffers of two instances on one interface. Ours are larger where C takes
/// what the system gives.
pub fn buffers(bench: &mut Bench) -> Result<()> {
    let two = |globals: &str| {
        let second = configuration(100, "")
            .replace("VI_1", "VI_2")
            .replace("router_id 51", "router_id 52")
            .replace("192.0.2.100", "192.0.2.101");
        format!(
            "global_defs {{\n{globals}\n}}\n{}{second}",
            configuration(100, "")
        )
    };
    let is_ours = bench.a.program == Program::Ours;
    let (news, adverts) = if is_ours {
        // No smaller than what ours are anyway.
        (16 << 20, 4 << 20)
    } else {
        (600_000, 18_000)
    };
    // What is asked for; the kernel doubles it.
    bench.a.start(&two(
        "vrrp_rx_bufs_policy 100000\nvrrp_netlink_cmd_rcv_bufs 40000\n\
         vrrp_netlink_monitor_rcv_bufs 300000",
    ))?;
    bench.a.expect_line("(VI_2) Entering BACKUP STATE")?;
    for wanted in [
        (Family::Netlink, 80_000),
        (Family::Netlink, news),
        (Family::Vrrp, 400_000),
    ] {
        await_buffer(bench, wanted)?;
    }
    bench.a.stop()?;
    bench.a.start(&two("vrrp_rx_bufs_policy MTU"))?;
    bench.a.expect_line("(VI_2) Entering BACKUP STATE")?;
    await_buffer(bench, (Family::Vrrp, adverts))?;
    if is_ours {
        // A reload changes a socket that is open.
        bench.a.reload(&two("vrrp_rx_bufs_policy 50000"))?;
        await_buffer(bench, (Family::Vrrp, 200_000))?;
        // And so does an interface that carries larger packets.
        bench.a.reload(&two(
            "vrrp_rx_bufs_policy MTU\nvrrp_rx_bufs_multiplier 1000",
        ))?;
        await_buffer(bench, (Family::Vrrp, 6_000_000))?;
        crate::interfaces::ip(&bench.a, "link set eth0 mtu 2000")?;
        await_buffer(bench, (Family::Vrrp, 8_000_000))?;
    }
    bench.a.stop()
}

/// Sockets for adverts are opened after the line that tells of BACKUP.
fn await_buffer(bench: &Bench, wanted: (Family, i32)) -> Result<()> {
    let give_up_at = Instant::now() + PATIENCE;
    loop {
        let found = buffers_of(worker_of(&bench.a)?)?;
        if found.contains(&wanted) {
            return Ok(());
        }
        expect(Instant::now() < give_up_at, || {
            format!("{wanted:?}, not {found:?}")
        })?;
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Netlink,
    Vrrp,
}

/// The receive buffers of a process, in bytes as the kernel tells them.
fn buffers_of(process: u32) -> Result<Vec<(Family, i32)>> {
    // SAFETY: system calls on numbers; what they give is a descriptor or negative.
    let of_process = unsafe { libc::syscall(libc::SYS_pidfd_open, process, 0) };
    let of_process = owned(of_process)?;
    let directory = format!("/proc/{process}/fd");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&directory).context(directory)?.flatten() {
        let number: i32 = entry.file_name().to_string_lossy().parse().unwrap_or(-1);
        let raw = of_process.as_raw_fd();
        // SAFETY: as above.
        let copy = unsafe { libc::syscall(libc::SYS_pidfd_getfd, raw, number, 0) };
        // Not all can be copied, and not all are sockets.
        let Ok(copy) = owned(copy) else { continue };
        let option = |name| option_of(&copy, name);
        let family = match (option(libc::SO_DOMAIN), option(libc::SO_PROTOCOL)) {
            (Some(libc::AF_NETLINK), Some(libc::NETLINK_ROUTE)) => Family::Netlink,
            (Some(libc::AF_INET), Some(112)) => Family::Vrrp,
            _ => continue,
        };
        found.extend(option(libc::SO_RCVBUF).map(|bytes| (family, bytes)));
    }
    Ok(found)
}

fn owned(number: libc::c_long) -> Result<OwnedFd> {
    let number = i32::try_from(number).unwrap_or(-1);
    if number < 0 {
        return Err(Failure::new(std::io::Error::last_os_error().to_string()));
    }
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn option_of(socket: &OwnedFd, name: libc::c_int) -> Option<i32> {
    let (mut value, mut length) = (0_i32, 4);
    // SAFETY: the value is a number of four bytes, which is what the length says.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    (result == 0).then_some(value)
}

/// A reload changes all of it, and takes it back.
pub fn reloaded(bench: &mut Bench) -> Result<()> {
    bench.a.start(&configuration(150, ""))?;
    bench.a.expect_line("(VI_1) Entering BACKUP STATE")?;
    let worker = worker_of(&bench.a)?;
    let in_real_time = || -> Result<usize> {
        let threads = threads_of(worker)?;
        Ok(threads.iter().filter(|it| it.field(41) == "2").count())
    };
    expect(in_real_time()? == 0, || "no real time".to_owned())?;
    let mark = bench.a.daemon()?.line_mark();
    let words = "global_defs {\nvrrp_rt_priority 3\nvrrp_priority -7\n}\n";
    bench
        .a
        .reload(&format!("{words}{}", configuration(150, "")))?;
    bench
        .a
        .daemon()?
        .await_line_after(mark, PATIENCE, "Reload complete")?;
    expect(in_real_time()? == 2, || {
        "two threads in real time".to_owned()
    })?;
    for thread in threads_of(worker)? {
        expect(thread.field(19) == "-7", || {
            format!("niceness -7, not {}", thread.field(19))
        })?;
    }
    let mark = bench.a.daemon()?.line_mark();
    bench.a.reload(&configuration(150, ""))?;
    bench
        .a
        .daemon()?
        .await_line_after(mark, PATIENCE, "Reload complete")?;
    expect(in_real_time()? == 0, || "no real time again".to_owned())?;
    bench.a.stop()
}

/// A timer that was late raises the priority, one step each time, up to the limit.
pub fn raised(bench: &mut Bench) -> Result<()> {
    let words = "global_defs {\nmax_auto_priority 2\nmin_auto_priority_delay 500000\n}\n";
    bench
        .a
        .start(&format!("{words}{}", configuration(150, "")))?;
    bench.a.expect_line("(VI_1) Entering MASTER STATE")?;
    let worker = worker_of(&bench.a)?;
    for priority in ["1", "2", "2"] {
        // Between two turns, not in the middle of one.
        std::thread::sleep(Duration::from_millis(300));
        send_signal(worker, libc::SIGSTOP)?;
        // Time that passes is what is tested.
        std::thread::sleep(Duration::from_millis(2_000));
        send_signal(worker, libc::SIGCONT)?;
        let give_up_at = Instant::now() + PATIENCE;
        loop {
            let threads = threads_of(worker)?;
            let urgent: Vec<&str> = threads
                .iter()
                .filter(|it| it.field(41) == "2")
                .map(|it| it.field(40))
                .collect();
            if urgent == [priority, priority] {
                break;
            }
            expect(Instant::now() < give_up_at, || {
                format!("two threads of priority {priority}, not {urgent:?}")
            })?;
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    bench.a.stop()
}

/// A MASTER that is stopped: the peer takes over, then the old one is killed, its VIP
/// is taken off, and a new worker begins, which lets the peer be.
pub fn stalled(bench: &mut Bench) -> Result<()> {
    let words = "global_defs {\nworker_stall_limit 5\n}\n";
    bench.a.node.write_file("/run/keepalived-rs.conf", words)?;
    let begin = bench.lab.observer.mark();
    bench.start(&configuration(150, "nopreempt"), &configuration(100, ""))?;
    bench.await_holder(begin, &bench.a)?;
    let worker = worker_of(&bench.a)?;
    let mark = bench.lab.observer.mark();
    send_signal(worker, libc::SIGSTOP)?;
    bench
        .a
        .expect_line("has made no turn for 5 s: killing it")?;
    bench
        .a
        .expect_line("Keepalived_vrrp exited due to signal 9 (SIGKILL)")?;
    bench.a.expect_line("died: Respawning")?;
    bench.await_holder(mark, &bench.b)?;
    let give_up_at = Instant::now() + PATIENCE;
    while worker_of(&bench.a).ok().is_none_or(|it| it == worker) {
        expect(Instant::now() < give_up_at, || "a new worker".to_owned())?;
        std::thread::sleep(Duration::from_millis(20));
    }
    // It listens to the peer, and stays BACKUP.
    let (_, heard) = bench.await_advert(bench.lab.observer.mark(), &bench.b, 100)?;
    bench.await_advert(heard, &bench.b, 100)?;
    bench.expect_holder(&bench.b)?;
    bench.stop()
}

/// Both processes are killed; the clean-up takes the VIP off and tells the peer, which
/// takes over before its master-down time. With the daemon alive it does nothing.
pub fn cleaned_up(bench: &mut Bench) -> Result<()> {
    let begin = bench.lab.observer.mark();
    bench.start(&configuration(150, ""), &configuration(100, ""))?;
    bench.await_holder(begin, &bench.a)?;
    clean_up(&mut bench.a, &[])?;
    bench.expect_holder(&bench.a)?;

    for frozen in [false, true] {
        let mark = bench.lab.observer.mark();
        let worker = worker_of(&bench.a)?;
        // A frozen one cannot follow its supervisor.
        let signal = if frozen { libc::SIGSTOP } else { libc::SIGKILL };
        if frozen {
            send_signal(worker, signal)?;
            bench.a.daemon()?.signal(libc::SIGKILL);
        } else {
            bench.a.daemon()?.signal(libc::SIGKILL);
            send_signal(worker, signal)?;
        }
        bench.a.daemon()?.await_end(PATIENCE)?;
        clean_up(&mut bench.a, &["-V"])?;
        if frozen {
            bench.a.expect_addresses(&[VIP])?;
        }
        clean_up(&mut bench.a, &[])?;
        bench.a.expect_addresses(&[])?;
        bench.await_advert(mark, &bench.a, 0)?;
        bench.await_holder(mark, &bench.b)?;
        let left = bench.a.node.processes()?;
        let left = left.iter().any(|(.., name)| name.starts_with("keepalived"));
        expect(!left, || "no process left".to_owned())?;
        expect(
            bench.a.node.read_file("/run/keepalived.last").is_err(),
            || "the copy of the configuration removed".to_owned(),
        )?;
        let mark = bench.lab.observer.mark();
        bench.a.start(&configuration(150, ""))?;
        bench.await_holder(mark, &bench.a)?;
    }
    bench.stop()
}

/// The start after a death takes away what the new configuration does not know.
pub fn next_start(bench: &mut Bench) -> Result<()> {
    let begin = bench.lab.observer.mark();
    bench.a.start(&configuration(150, ""))?;
    bench.await_holder(begin, &bench.a)?;
    send_signal(worker_of(&bench.a)?, libc::SIGSTOP)?;
    bench.a.daemon()?.signal(libc::SIGKILL);
    bench.a.daemon()?.await_end(PATIENCE)?;
    bench.a.expect_addresses(&[VIP])?;
    let other = configuration(150, "").replace("192.0.2.100", "192.0.2.101");
    bench.a.start(&other)?;
    bench
        .a
        .expect_line("An earlier daemon did not end in order: cleaning up after it")?;
    bench.a.expect_line("(VI_1) Entering BACKUP STATE")?;
    bench.a.expect_addresses(&[])?;
    bench.a.stop()
}

/// What a service manager hears, in order; and that it hears no sign of life of a
/// worker that stands still.
pub fn told_to_systemd(bench: &mut Bench) -> Result<()> {
    let manager = Manager::listen(&bench.a)?;
    bench
        .a
        .node
        .write_file("/run/keepalived.conf", &configuration(150, ""))?;
    let words = "global_defs {\nworker_stall_limit 0\n}\n";
    bench.a.node.write_file("/run/keepalived-rs.conf", words)?;
    let path = Program::Ours.path().ok_or_else(|| Failure::new("built"))?;
    let arguments = ["-n", "-l", "-f", "/run/keepalived.conf"];
    let files = ["-p", PID_FILE, "-r", VRRP_PID_FILE];
    let daemon = bench.a.node.start(
        &path,
        &[&arguments[..], &files[..]].concat(),
        &[
            ("NOTIFY_SOCKET", "/run/notify"),
            ("WATCHDOG_USEC", "1000000"),
        ],
    )?;
    manager.expect("READY=1\nMAINPID=")?;
    manager.expect("STATUS=VI_1 BACKUP")?;
    manager.expect("WATCHDOG=1")?;
    manager.expect("STATUS=VI_1 MASTER")?;
    let since = Instant::now();
    for _ in 0..4 {
        manager.expect("WATCHDOG=1")?;
    }
    // Twice in its time, so that one may be lost, and not more.
    let took = since.elapsed();
    expect(took >= Duration::from_millis(900), || {
        format!("signs of life in their time, not within {took:?}")
    })?;

    daemon.signal(libc::SIGHUP);
    manager.expect("RELOADING=1\nMONOTONIC_USEC=")?;
    manager.expect("READY=1\nMAINPID=")?;

    let worker = worker_of(&bench.a)?;
    send_signal(worker, libc::SIGSTOP)?;
    let quiet = manager.quiet_for("WATCHDOG=1", Duration::from_millis(2_500))?;
    expect(quiet, || "no sign of life of a stopped worker".to_owned())?;
    send_signal(worker, libc::SIGCONT)?;
    manager.expect("WATCHDOG=1")?;

    daemon.signal(libc::SIGTERM);
    manager.expect("STOPPING=1")?;
    ended_well(&daemon)
}

fn ended_well(daemon: &Arc<Process>) -> Result<()> {
    let (_, status) = daemon.await_end(PATIENCE)?;
    expect(status.success(), || format!("exit status 0, not {status}"))
}

/// Runs `--cleanup` with the daemon's options and waits for its end.
pub fn clean_up(machine: &mut Machine, more: &[&str]) -> Result<()> {
    let path = Program::Ours.path().ok_or_else(|| Failure::new("built"))?;
    let arguments = ["--cleanup", "-l", "-p", PID_FILE, "-r", VRRP_PID_FILE];
    let arguments = [&arguments[..], more].concat();
    let process = machine.node.start(&path, &arguments, &[])?;
    ended_well(&process)
}

/// The number of the VRRP process, outside the node.
fn worker_of(machine: &Machine) -> Result<u32> {
    let text = machine.node.read_file(VRRP_PID_FILE)?;
    let number = text.trim().parse();
    machine
        .node
        .outer_id(number.map_err(|_| Failure::new(format!("a number, not {text:?}")))?)
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(path).context(path)
}

fn value_of<'t>(status: &'t str, name: &str) -> &'t str {
    let lines = status.lines();
    let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    values.next().unwrap_or_default().trim()
}

/// A line of `/proc/PID/stat` (proc_pid_stat(5)).
struct Thread {
    number: i32,
    stat: String,
}

impl Thread {
    fn of(stat: &str) -> Self {
        let number = stat.split(' ').next().and_then(|it| it.parse().ok());
        Self {
            number: number.unwrap_or(0),
            stat: stat.to_owned(),
        }
    }

    fn name(&self) -> &str {
        let name = self
            .stat
            .split_once('(')
            .and_then(|(_, rest)| rest.rsplit_once(')'));
        name.map_or("", |(name, _)| name)
    }

    /// Counted from 1, as in the manual; the name is the second.
    fn field(&self, number: usize) -> &str {
        let rest = self.stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        rest.split_whitespace().nth(number - 3).unwrap_or_default()
    }
}

fn threads_of(process: u32) -> Result<Vec<Thread>> {
    let directory = format!("/proc/{process}/task");
    let entries = std::fs::read_dir(&directory).context(directory)?;
    let stats = entries.flatten().map(|entry| {
        // A thread may end while this looks.
        std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default()
    });
    let mut threads: Vec<Thread> = stats
        .filter(|stat| !stat.is_empty())
        .map(|stat| Thread::of(&stat))
        .collect();
    threads.sort_by_key(|thread| thread.number);
    Ok(threads)
}

/// Listens as systemd does.
struct Manager(UnixDatagram);

impl Manager {
    fn listen(machine: &Machine) -> Result<Self> {
        let socket = machine
            .node
            .inside(|| UnixDatagram::bind("/run/notify").context("/run/notify"))?;
        Ok(Self(socket))
    }

    /// Waits for a message that begins so; others before it are passed over.
    fn expect(&self, beginning: &str) -> Result<()> {
        let give_up_at = Instant::now() + PATIENCE;
        let mut others = Vec::new();
        while let Some(message) = self.next(give_up_at)? {
            if message.starts_with(beginning) {
                return Ok(());
            }
            others.push(message);
        }
        Err(Failure::new(format!("no {beginning:?} but {others:?}")))
    }

    /// Whether no such message comes after what is under way.
    fn quiet_for(&self, text: &str, time: Duration) -> Result<bool> {
        // Two looks of a second may still find it fresh.
        let settled = Instant::now() + Duration::from_secs(4);
        while self.next(settled)?.is_some() {}
        let end = Instant::now() + time;
        while let Some(message) = self.next(end)? {
            if message == text {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn next(&self, until: Instant) -> Result<Option<String>> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        self.0.set_read_timeout(Some(left)).context("timeout")?;
        let mut buffer = [0; 4096];
        match self.0.recv(&mut buffer) {
            Ok(length) => {
                let bytes = buffer.get(..length).unwrap_or_default();
                Ok(Some(String::from_utf8_lossy(bytes).into_owned()))
            }
            Err(_) => Ok(None),
        }
    }
}
