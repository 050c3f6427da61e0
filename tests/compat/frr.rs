//! Ours next to FRR's vrrpd, a third reading of RFC 5798: version 3 over both
//! families, takeover both ways. Not run where FRR (Debian package `frr`) is not
//! installed, or where this process is not root, as FRR wants to be.

use crate::bench::{Bench, PATIENCE, Program, VIP, VRID};
use crate::families::{Speech, VIP_GLOBAL, VIP_LINK_LOCAL};
use crate::lab::netlink;
use crate::lab::node::INTERFACE;
use crate::lab::{Context, Failure, Mac, Mark, Process, Result, isolation};
use nix::unistd::{Group, User, chown};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PROGRAMS: &str = "/usr/lib/frr";
/// Where FRR keeps its files, private to the node.
const DIRECTORY: &str = "/run/frr";
/// The interface of the virtual address, which FRR knows by its hardware address.
const VIRTUAL: &str = "vrrp51";
const PRIORITY: u8 = 100;
/// A second between adverts: FRR has no real-time priority, and takes over if a busy
/// machine keeps either of us waiting for three intervals.
const CALM: Speech = Speech {
    interval_cs: 100,
    ..Speech::V3
};

/// Runs a scenario where FRR can run.
pub fn run(scenario: fn(&mut Bench) -> Result<()>) {
    let missing = ["zebra", "vrrpd"]
        .iter()
        .any(|name| !Path::new(PROGRAMS).join(name).is_file());
    let obstacle = if missing {
        Some("FRR is not installed")
    } else if !isolation::is_inside() && isolation::needs_user_namespace() {
        Some("FRR runs as root only")
    } else {
        None
    };
    if let Some(why) = obstacle {
        let thread = std::thread::current();
        return isolation::report_skipped(thread.name().unwrap_or("a test"), why);
    }
    crate::bench::run(Program::Ours, Program::Ours, scenario);
}

/// Over IPv4.
pub fn ipv4(bench: &mut Bench) -> Result<()> {
    take_turns(bench, CALM)
}

/// Over IPv6.
pub fn ipv6(bench: &mut Bench) -> Result<()> {
    bench.a.node.enable_ipv6()?;
    bench.b.node.enable_ipv6()?;
    let speech = Speech { ipv6: true, ..CALM };
    take_turns(bench, speech)
}

/// FRR is alone; ours, which is better, takes over; ours stops, returns, and loses
/// its power.
fn take_turns(bench: &mut Bench, speech: Speech) -> Result<()> {
    let frr = Frr::start(bench, speech)?;
    let result = frr.take_turns(bench);
    if result.is_err() {
        for process in &frr.processes {
            println!("{}", process.output(bench.lab.start));
        }
    }
    result
}

/// FRR on the second node.
struct Frr {
    speech: Speech,
    mac: Mac,
    processes: Vec<Arc<Process>>,
}

impl Frr {
    fn start(bench: &mut Bench, speech: Speech) -> Result<Self> {
        let kind = if speech.ipv6 { 2 } else { 1 };
        let mac = Mac([0, 0, 0x5e, 0, kind, VRID]);
        let node = &mut bench.b.node;
        node.inside(|| prepare(speech, mac))?;
        let addresses = match speech.ipv6 {
            true => format!(" vrrp {VRID} ipv6 {VIP_LINK_LOCAL}\n vrrp {VRID} ipv6 {VIP_GLOBAL}"),
            false => format!(" vrrp {VRID} ip {VIP}"),
        };
        let interval_ms = speech.interval().as_millis();
        let text = format!(
            "interface {INTERFACE}
 vrrp {VRID} version 3
 vrrp {VRID} priority {PRIORITY}
 vrrp {VRID} advertisement-interval {interval_ms}
{addresses}
"
        );
        let mut processes = Vec::new();
        for (name, text) in [("zebra", ""), ("vrrpd", text.as_str())] {
            let file = format!("{DIRECTORY}/{name}");
            node.write_file(&format!("{file}.conf"), text)?;
            let (conf, pid) = (format!("{file}.conf"), format!("{file}.pid"));
            let socket = format!("{DIRECTORY}/zserv.api");
            let own = ["-f", &conf, "-i", &pid, "-z", &socket];
            let common = ["--vty_socket", DIRECTORY, "-P", "0", "--log", "stdout"];
            let user = ["-u", "frr", "-g", "frr"];
            let arguments = [&own[..], &common[..], &user[..]].concat();
            let program = Path::new(PROGRAMS).join(name);
            processes.push(node.start(&program, &arguments, &[])?);
            let deadline = Instant::now() + PATIENCE;
            while !node.inside(|| Ok(Path::new(&socket).exists()))? {
                if Instant::now() > deadline {
                    return Err(Failure::new("zebra does not listen"));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(Self {
            speech,
            mac,
            processes,
        })
    }

    fn take_turns(&self, bench: &mut Bench) -> Result<()> {
        let speech = self.speech;
        let mark = bench.lab.observer.beginning();
        self.await_master(bench, mark)?;
        let [file_a, _] = speech.configurations(bench, "");

        let mark = bench.lab.observer.mark();
        bench.a.start(&file_a)?;
        self.await_ours(bench, mark)?;

        let mark = bench.lab.observer.mark();
        bench.a.daemon()?.signal(libc::SIGTERM);
        let (farewell, mark) = speech.await_advert(bench, mark, &bench.a, 0)?;
        let (takeover, _) = self.await_master(bench, mark)?;
        bench.expect_due("takeover", farewell, speech.skew(PRIORITY), takeover)?;
        bench.a.expect_stopped()?;

        let mark = bench.lab.observer.mark();
        bench.a.start(&file_a)?;
        self.await_ours(bench, mark)?;

        let mark = bench.lab.observer.mark();
        bench.a.node.power_off()?;
        let (takeover, _) = self.await_master(bench, mark)?;
        let last = speech.last_advert_before(bench, takeover, &bench.a);
        bench.expect_due("takeover", last, speech.master_down(PRIORITY), takeover)
    }

    /// Waits until FRR announces the addresses and sends adverts; gives the time of
    /// its first announcement, because over IPv6 its first advert is the one of an
    /// interval later.
    fn await_master(&self, bench: &Bench, mark: Mark) -> Result<(Instant, Mark)> {
        let observer = &bench.lab.observer;
        let mut heard = Vec::new();
        for vip in self.speech.vips() {
            heard.push(observer.await_announcement(mark, PATIENCE, vip, self.mac)?);
        }
        let ours = bench.a.node.mac();
        observer.await_advert(mark, PATIENCE, "advert of FRR", |advert| {
            advert.source_mac != ours && advert.priority == PRIORITY && advert.checksum.is_some()
        })?;
        let first = heard.into_iter().min_by_key(|(at, _)| *at);
        first.ok_or_else(|| Failure::new("no virtual address"))
    }

    /// Waits until ours has the addresses and FRR has fallen silent.
    fn await_ours(&self, bench: &Bench, mark: Mark) -> Result<()> {
        let observer = &bench.lab.observer;
        for vip in self.speech.vips() {
            observer.await_announcement(mark, PATIENCE, vip, bench.a.node.mac())?;
        }
        let (_, mark) = self.speech.await_advert(bench, mark, &bench.a, 150)?;
        self.speech.await_advert(bench, mark, &bench.a, 150)?;
        let ours = bench.a.node.mac();
        bench.expect_no_advert(2 * self.speech.interval(), "advert of FRR", |advert| {
            advert.source_mac != ours
        })
    }
}

/// Makes, inside the node, the directory and the virtual interface of FRR.
fn prepare(speech: Speech, mac: Mac) -> Result<()> {
    std::fs::create_dir(DIRECTORY).context(DIRECTORY)?;
    let user = User::from_name("frr").context("looking for user frr")?;
    let group = Group::from_name("frr").context("looking for group frr")?;
    chown(
        DIRECTORY,
        user.map(|user| user.uid),
        group.map(|group| group.gid),
    )
    .context(DIRECTORY)?;
    netlink::add_macvlan(VIRTUAL, INTERFACE, mac.0)?;
    if speech.ipv6 {
        let root = format!("/proc/sys/net/ipv6/conf/{VIRTUAL}");
        for (setting, value) in [("accept_dad", "0"), ("disable_ipv6", "0")] {
            let path = format!("{root}/{setting}");
            std::fs::write(&path, value).context(path)?;
        }
    }
    for vip in speech.vips() {
        match vip {
            IpAddr::V4(vip) => netlink::add_address(VIRTUAL, vip, 32)?,
            IpAddr::V6(vip) => netlink::add_ipv6_address(VIRTUAL, vip, 64)?,
        }
    }
    Ok(())
}
