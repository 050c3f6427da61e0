//! One or two machines with our daemon, and what a reload must leave as it is.

use crate::lab::process::LineMark;
use crate::lab::{Context, Failure, Lab, Node, Process, Result, isolation, netlink};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Much longer than anything that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(25);

/// The configuration of the machine.
pub const FILE: &str = "/run/keepalived.conf";
pub const PID_FILE: &str = "/run/keepalived.pid";
const WORKER_PID_FILE: &str = "/run/vrrp.pid";

/// The address that no reload may touch.
pub const FIRST_VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 101);
pub const SECOND_VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 102);

/// Another daemon's text would do as well.
const PROGRAM: &str = env!("CARGO_BIN_EXE_keepalived-rs");

/// An instance that is MASTER soon.
pub fn instance(number: u8, priority: u8) -> String {
    format!(
        "vrrp_instance VI_{number} {{\n  interface eth0\n  version 3\n  advert_int 0.1\n  \
         virtual_router_id 5{number}\n  priority {priority}\n  virtual_ipaddress {{\n    \
         192.0.2.10{number}/24\n  }}\n}}\n"
    )
}

/// Two instances, with `globals` in their block.
pub fn two_instances(globals: &str) -> String {
    let (one, other) = (instance(1, 150), instance(2, 150));
    format!("global_defs {{\n{globals}\n}}\n{one}{other}")
}

/// A machine on a segment, with a daemon.
pub struct Site {
    pub lab: Lab,
    pub node: Node,
    pub daemon: Arc<Process>,
}

impl Site {
    /// Starts a daemon that is MASTER of both addresses.
    pub fn new(configuration: &str) -> Result<Self> {
        let mut lab = Lab::new()?;
        let mut node = lab.node("a", Ipv4Addr::new(192, 0, 2, 1), 24)?;
        let daemon = start(&mut node, configuration, PID_FILE)?;
        let site = Self { lab, node, daemon };
        for vip in [FIRST_VIP, SECOND_VIP] {
            site.node.await_address(vip, true, PATIENCE)?;
        }
        Ok(site)
    }

    /// Asks for a reload and waits for the line that ends it.
    pub fn reload(&self, configuration: &str, end: &str) -> Result<()> {
        self.node.write_file(FILE, configuration)?;
        self.reload_as_it_is(end)
    }

    /// The same with what is on disk.
    pub fn reload_as_it_is(&self, end: &str) -> Result<()> {
        let mark = self.daemon.line_mark();
        self.daemon.signal(libc::SIGHUP);
        self.expect_after(mark, end)
    }

    /// Waits for a line of the daemon.
    pub fn expect_after(&self, mark: LineMark, text: &str) -> Result<()> {
        self.daemon.await_line_after(mark, PATIENCE, text).map(drop)
    }

    /// The VRRP process: its id outside of the machine.
    pub fn worker(&self) -> Result<u32> {
        let text = self.node.read_file(WORKER_PID_FILE)?;
        let id = text.trim().parse().context(text)?;
        self.node.outer_id(id)
    }

    /// Does `work` in the machine; neither address may be absent meanwhile.
    pub fn watched<T>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T>
    where
        T: Send,
    {
        let held = |addresses: &[(Ipv4Addr, u8)]| {
            let has = |vip| addresses.iter().any(|(address, _)| *address == vip);
            has(FIRST_VIP) && has(SECOND_VIP)
        };
        self.node.inside(|| {
            let monitor = netlink::RemovalMonitor::new()?;
            let done = work()?;
            let mut removed = monitor.removed()?;
            removed.retain(|it| [FIRST_VIP, SECOND_VIP].contains(it));
            expect(removed.is_empty(), || {
                format!("{removed:?} never to be removed")
            })?;
            expect(held(&netlink::addresses("eth0")?), || {
                "both addresses to be there".to_owned()
            })?;
            Ok(done)
        })
    }

    /// Runs `keepalived-rs` with these words to its end: its exit code and what it
    /// printed.
    pub fn run(&mut self, words: &[&str]) -> Result<(i32, Arc<Process>)> {
        let process = self.node.start(Path::new(PROGRAM), words, &[])?;
        let (_, status) = process.await_end(PATIENCE * 3)?;
        let code = status.code().ok_or_else(|| Failure::new("killed"))?;
        Ok((code, process))
    }
}

/// Starts the daemon and waits until it is ready.
pub fn start(node: &mut Node, configuration: &str, pid_file: &str) -> Result<Arc<Process>> {
    node.write_file(FILE, configuration)?;
    let words = ["-n", "-l", "-D", "-f", FILE, "-p", pid_file];
    let words = [&words[..], &["-r", WORKER_PID_FILE]].concat();
    let daemon = node.start(Path::new(PROGRAM), &words, &[])?;
    daemon.await_line(PATIENCE, "Startup complete")?;
    Ok(daemon)
}

pub fn expect(holds: bool, expected: impl FnOnce() -> String) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(Failure::new(format!("expected {}", expected())))
    }
}

/// Runs `body` for a fresh daemon with this configuration, in a process of its own.
/// Where namespaces cannot be made it says so, and fails in CI.
pub fn run(configuration: &str, body: impl FnOnce(&mut Site) -> Result<()>) {
    isolated(|| {
        let mut site = Site::new(configuration)?;
        let result = body(&mut site);
        if result.is_err() {
            println!("{}", site.daemon.output(site.lab.start));
        }
        result
    });
}

/// The same without a daemon.
pub fn isolated(body: impl FnOnce() -> Result<()>) {
    if !isolation::is_inside()
        && let Err(why) = isolation::available()
    {
        assert!(std::env::var_os("CI").is_none(), "cannot run in CI: {why}");
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        isolation::report_skipped(test, &why.to_string());
        return;
    }
    isolation::isolated(|| {
        if let Err(failure) = body() {
            panic!("{failure}");
        }
    });
}
