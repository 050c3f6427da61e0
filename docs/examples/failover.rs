//! The main job, for real, in less than 30 seconds: two daemons hold one virtual
//! address between them, the master loses its power, the other takes over, and
//! the first one returns.
//!
//! `cargo run --release --example failover` needs no root, no `ip` and no `ping`:
//! it makes private network namespaces, starts the release binary in two of them
//! with the sample files of `etc/keepalived`, and watches the wire from a third.
//! It ends with exit code 0 only if every step was seen there.
//!
//! The environment variable `KEEPALIVED` names another daemon to watch, such as
//! C keepalived.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "watches real daemons and tells what it sees"
)]

#[path = "../../tests/lab/mod.rs"]
mod lab;

use lab::{Context, Failure, Lab, Node, Process, Result, isolation};
use std::env;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The address of the sample files.
const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
const VRID: u8 = 51;
/// Longer than any single step takes.
const STEP_MAX: Duration = Duration::from_secs(6);
/// How often the observer asks who has the address while nobody may have it.
const ASK_EVERY: Duration = Duration::from_millis(5);

fn main() -> ExitCode {
    match prepare().and_then(|daemon| show(&daemon)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nFAILED: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Finds the daemon, building it where needed, and goes into isolation.
fn prepare() -> Result<PathBuf> {
    let daemon = match env::var_os("KEEPALIVED") {
        Some(path) => path.into(),
        None => release_binary()?,
    };
    isolation::enter()?;
    Ok(daemon)
}

/// `cargo run --example` builds the example and the library only, so the daemon
/// is built from here; cargo does nothing if it is up to date.
fn release_binary() -> Result<PathBuf> {
    let example = env::current_exe().context("finding this program")?;
    let binary = example
        .ancestors()
        .nth(3)
        .map(|target| target.join("release/keepalived-rs"))
        .ok_or_else(|| Failure::new("this program is not in a target directory"))?;
    let Some(cargo) = env::var_os("CARGO") else {
        // Started by hand: what is there has to do.
        return if binary.is_file() {
            Ok(binary)
        } else {
            Err(Failure::new(format!(
                "{} is missing: run `cargo build --release` first",
                binary.display()
            )))
        };
    };
    println!("Making sure that {} is up to date ...", binary.display());
    let status = Command::new(cargo)
        .args(["build", "--release", "--bin", "keepalived-rs", "--quiet"])
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .status()
        .context("running cargo")?;
    if status.success() && binary.is_file() {
        Ok(binary)
    } else {
        Err(Failure::new("cargo could not build the daemon"))
    }
}

fn show(daemon: &Path) -> Result<()> {
    let mut stage = Stage::new(daemon)?;
    let result = stage.play();
    if result.is_err() {
        for process in &stage.processes {
            eprintln!("{}", process.output(stage.lab.start));
        }
    }
    result
}

/// The two nodes and everything that the steps need.
struct Stage<'a> {
    daemon: &'a Path,
    lab: Lab,
    lb1: Node,
    lb2: Node,
    processes: Vec<Arc<Process>>,
}

impl<'a> Stage<'a> {
    fn new(daemon: &'a Path) -> Result<Self> {
        let mut lab = Lab::new()?;
        let lb1 = lab.node("lb1", Ipv4Addr::new(192, 0, 2, 11), 24)?;
        let lb2 = lab.node("lb2", Ipv4Addr::new(192, 0, 2, 12), 24)?;
        Ok(Self {
            daemon,
            lab,
            lb1,
            lb2,
            processes: Vec::new(),
        })
    }

    /// The story, step by step; the first step that is not seen ends it.
    fn play(&mut self) -> Result<()> {
        println!(
            "\nTwo nodes on one wire, {VIP} between them. Daemon: {}\n",
            self.daemon.display()
        );
        let mark = self.lab.observer.mark();
        for number in [1, 2] {
            self.start(number)?;
        }

        self.await_master(mark, 1, 150)?;
        self.check_holder(1)?;

        let (_, mark) = self.lab.observer.await_advert(
            self.lab.observer.mark(),
            STEP_MAX,
            "an advert",
            |_| true,
        )?;
        let cut = Instant::now();
        self.lb1.power_off()?;
        self.tell(
            cut,
            "lb1 loses its power: its processes are killed, its link is gone",
        );
        let answered = self
            .lab
            .observer
            .await_answer(VIP, self.lb2.mac(), STEP_MAX, ASK_EVERY)?;
        self.await_master(mark, 2, 100)?;
        self.tell(
            answered,
            &format!(
                "{VIP} answers from lb2 {} ms after the power cut (VRRP lets the backup wait \
                 3609 ms for a further advert)",
                answered.saturating_duration_since(cut).as_millis(),
            ),
        );
        self.check_holder(2)?;

        self.lb1.power_on()?;
        self.lb1.plug()?;
        let mark = self.lab.observer.mark();
        self.tell(Instant::now(), "lb1 has power again");
        self.start(1)?;
        self.await_master(mark, 1, 150)?;
        self.lb2.await_address(VIP, false, STEP_MAX)?;
        self.check_holder(1)?;

        for process in &self.processes {
            process.signal(libc::SIGTERM);
        }
        for process in &self.processes {
            process.await_end(STEP_MAX)?;
        }
        self.check_nobody()?;
        println!("\nEvery step was seen from a third namespace on the same wire.");
        Ok(())
    }

    fn start(&mut self, number: u8) -> Result<()> {
        let node = if number == 1 {
            &mut self.lb1
        } else {
            &mut self.lb2
        };
        let file = format!("etc/keepalived/lb{number}.conf");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&file);
        let path = path
            .to_str()
            .ok_or_else(|| Failure::new("path is not UTF-8"))?;
        let arguments = [
            "-n",
            "-l",
            "-D",
            "-f",
            path,
            "-p",
            "/run/pid",
            "-r",
            "/run/vrrp.pid",
        ];
        self.processes
            .push(node.start(self.daemon, &arguments, &[])?);
        self.tell(Instant::now(), &format!("lb{number} starts with {file}"));
        Ok(())
    }

    fn node(&self, number: u8) -> &Node {
        if number == 1 { &self.lb1 } else { &self.lb2 }
    }

    /// Waits for the first advert of a node and for its announcement.
    fn await_master(&self, mark: lab::Mark, number: u8, priority: u8) -> Result<()> {
        let node = self.node(number);
        let what = format!("advert of {}", node.name());
        let (at, mark) = self
            .lab
            .observer
            .await_advert(mark, STEP_MAX, &what, |advert| {
                advert.source == node.address()
                    && (advert.version, advert.vrid, advert.priority) == (2, VRID, priority)
                    && advert.addresses == [VIP]
                    && advert.checksum.is_some()
            })?;
        self.tell(
            at,
            &format!("{} is MASTER: advert with priority {priority}", node.name()),
        );
        self.lab
            .observer
            .await_announcement(mark, STEP_MAX, VIP, node.mac())?;
        Ok(())
    }

    /// The address is on the interface of this node and not of the other, and
    /// only this node answers for it.
    fn check_holder(&self, number: u8) -> Result<()> {
        let (node, other) = (self.node(number), self.node(3 - number));
        let has = |node: &Node| -> Result<bool> {
            Ok(node.addresses()?.iter().any(|(address, _)| *address == VIP))
        };
        if !has(node)? || has(other)? {
            return Err(Failure::new(format!(
                "{VIP} is not on the interface of lb{number} alone"
            )));
        }
        let answered = self.lab.observer.who_has(VIP)?;
        if answered != [node.mac()] {
            return Err(Failure::new(format!(
                "ARP answers for {VIP} come from {answered:?}"
            )));
        }
        self.tell(
            Instant::now(),
            &format!(
                "{VIP} is on eth0 of lb{number}, and only {} answers ARP for it",
                node.mac()
            ),
        );
        Ok(())
    }

    fn check_nobody(&self) -> Result<()> {
        let answered = self.lab.observer.who_has(VIP)?;
        if !answered.is_empty() {
            return Err(Failure::new(format!(
                "after the stop, {VIP} still answers: {answered:?}"
            )));
        }
        self.tell(
            Instant::now(),
            &format!("both daemons stopped, nobody has {VIP}"),
        );
        Ok(())
    }

    /// One line of the timeline.
    fn tell(&self, at: Instant, what: &str) {
        let seconds = at.saturating_duration_since(self.lab.start).as_secs_f64();
        println!("{seconds:7.3} s  {what}");
        // A closed standard output is no reason to stop watching.
        let _ = std::io::stdout().flush();
    }
}
