//! The test bench of every scenario: two nodes with a daemon each, and what can
//! be expected of them.

use crate::lab::frames::Advert;
use crate::lab::{Context, Failure, Lab, Mac, Mark, Node, Process, Result, isolation};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Which daemon runs on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The daemon of this crate.
    Ours,
    /// C keepalived, as the distribution installs it.
    C,
}

impl Program {
    pub fn path(self) -> Option<PathBuf> {
        match self {
            Self::Ours => Some(env!("CARGO_BIN_EXE_keepalived-rs").into()),
            Self::C => find_program("keepalived"),
        }
    }
}

/// The virtual address of most scenarios.
pub const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
/// The virtual router identifier of most scenarios.
pub const VRID: u8 = 51;
/// Allowed on top of the protocol's own time, besides the machine's lateness.
pub const PROMPT: Duration = Duration::from_millis(100);
/// Much longer than any timer of a scenario.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// How far a timer may seem early: the frame before it was stamped late.
const EARLY: Duration = Duration::from_millis(30);

/// The configuration file of every node.
pub const CONFIGURATION: &str = "/run/keepalived.conf";
/// The pid file of the daemon.
pub const PID_FILE: &str = "/run/keepalived.pid";
/// The pid file of its VRRP process.
pub const VRRP_PID_FILE: &str = "/run/vrrp.pid";

/// A user without any rights, and the program where everybody can execute it.
const NOBODY: u32 = 65_534;
const PROGRAM_OF_NOBODY: &str = "/run/keepalived-rs";

/// What a program is started with that is not root and has some of its rights.
const AS_NOBODY: [&str; 8] = [
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--inh-caps=-all,+net_admin,+net_raw,+sys_nice,+ipc_lock",
    "--ambient-caps=-all,+net_admin,+net_raw,+sys_nice,+ipc_lock",
    "--bounding-set=-all,+net_admin,+net_raw,+sys_nice,+ipc_lock",
    "--",
    PROGRAM_OF_NOBODY,
];

/// (256 - priority) / 256 s (RFC 3768 section 6.1).
pub fn skew(priority: u8) -> Duration {
    Duration::from_micros((256 - u64::from(priority)) * 1_000_000 / 256)
}

/// Three intervals of one second and the skew.
pub fn master_down(priority: u8) -> Duration {
    Duration::from_secs(3) + skew(priority)
}

/// A node and its daemon.
#[derive(Debug)]
pub struct Machine {
    /// The node.
    pub node: Node,
    /// Which daemon it runs.
    pub program: Program,
    /// Our daemon runs without root: see [`Machine::leave_root`].
    is_nobody: bool,
    daemon: Option<Arc<Process>>,
}

impl Machine {
    /// Starts the daemon with this configuration.
    pub fn start(&mut self, configuration: &str) -> Result<()> {
        self.node.write_file(CONFIGURATION, configuration)?;
        let path = self
            .program
            .path()
            .ok_or_else(|| Failure::new("no such program"))?;
        let arguments = [
            "-n",
            "-l",
            "-D",
            "-f",
            CONFIGURATION,
            "-p",
            PID_FILE,
            "-r",
            VRRP_PID_FILE,
        ];
        self.daemon = Some(if self.is_nobody {
            // Nothing is left where the power was off.
            self.leave_root()?;
            let arguments = [&AS_NOBODY[..], &arguments].concat();
            self.node
                .start(Path::new("/usr/bin/setpriv"), &arguments, &[])?
        } else {
            self.node.start(&path, &arguments, &[])?
        });
        Ok(())
    }

    /// From now on our daemon runs as `nobody`, with the capabilities that systemd gives
    /// it in keepalived-rs-non-root.service.
    pub fn leave_root(&mut self) -> Result<()> {
        let path = Program::Ours
            .path()
            .ok_or_else(|| Failure::new("no such program"))?;
        let is_there = self
            .node
            .inside(|| Ok(Path::new(PROGRAM_OF_NOBODY).is_file()))?;
        if !is_there {
            self.node.copy_program(&path, PROGRAM_OF_NOBODY)?;
        }
        self.node.inside(|| {
            std::os::unix::fs::chown("/run", Some(NOBODY), Some(NOBODY)).context("/run")
        })?;
        self.is_nobody = true;
        Ok(())
    }

    /// Gives the running daemon another configuration.
    pub fn reload(&self, configuration: &str) -> Result<()> {
        self.node.write_file(CONFIGURATION, configuration)?;
        self.daemon()?.signal(libc::SIGHUP);
        Ok(())
    }

    /// The daemon that was started last.
    pub fn daemon(&self) -> Result<&Process> {
        let daemon = self.daemon.as_deref();
        daemon.ok_or_else(|| Failure::new(format!("no daemon on {}", self.node.name())))
    }

    /// Waits for a line of the daemon, wherever in its log.
    pub fn expect_line(&self, text: &str) -> Result<()> {
        self.daemon()?.await_line(PATIENCE, text).map(drop)
    }

    /// Stops the daemon gracefully and checks that it left nothing behind: no
    /// process, no virtual address, no pid file, exit status 0.
    pub fn stop(&mut self) -> Result<()> {
        self.daemon()?.signal(libc::SIGTERM);
        self.expect_stopped()
    }

    /// Waits for the end of a daemon that was told to stop, and checks that it
    /// left nothing behind.
    pub fn expect_stopped(&mut self) -> Result<()> {
        let (_, status) = self.daemon()?.await_end(PATIENCE)?;
        expect(status.success(), || format!("exit status 0, not {status}"))?;
        self.expect_addresses(&[])?;
        // A script that was just being started has been told to end, too.
        let deadline = Instant::now() + Duration::from_secs(1);
        loop {
            let mut left = self.node.processes()?;
            left.retain(|(_, _, name)| name.starts_with("keepalived"));
            if left.is_empty() {
                break;
            }
            expect(Instant::now() < deadline, || {
                format!("no process left, not {left:?}")
            })?;
            std::thread::sleep(Duration::from_millis(10));
        }
        for file in [PID_FILE, VRRP_PID_FILE] {
            expect(self.node.read_file(file).is_err(), || {
                format!("{file} removed")
            })?;
        }
        Ok(())
    }

    /// Checks that the interface has exactly `vips` besides the node's own
    /// address; a node without power or interface has none.
    pub fn expect_addresses(&self, vips: &[Ipv4Addr]) -> Result<()> {
        let mut found: Vec<Ipv4Addr> = self.node.addresses()?.iter().map(|(ip, _)| *ip).collect();
        found.retain(|address| *address != self.node.address());
        found.sort_unstable();
        let mut wanted = vips.to_vec();
        wanted.sort_unstable();
        let name = self.node.name();
        expect(found == wanted, || {
            format!("virtual addresses {wanted:?} on {name}, not {found:?}")
        })
    }
}

/// Two machines on one segment.
#[derive(Debug)]
pub struct Bench {
    /// The segment and its observer.
    pub lab: Lab,
    /// The first node, 192.0.2.1.
    pub a: Machine,
    /// The second node, 192.0.2.2.
    pub b: Machine,
}

impl Bench {
    fn new(a: Program, b: Program) -> Result<Self> {
        let mut lab = Lab::new()?;
        let mut machine = |name: &str, last: u8, program| -> Result<Machine> {
            let node = lab.node(name, Ipv4Addr::new(192, 0, 2, last), 24)?;
            Ok(Machine {
                node,
                program,
                is_nobody: false,
                daemon: None,
            })
        };
        let a = machine("a", 1, a)?;
        let b = machine("b", 2, b)?;
        Ok(Self { lab, a, b })
    }

    /// Starts both daemons, the second one when the timers of the first one run:
    /// on a busy machine, starting takes longer than priorities lie apart.
    pub fn start(&mut self, a: &str, b: &str) -> Result<()> {
        self.a.start(a)?;
        self.a
            .daemon()?
            .await_line(PATIENCE, "(VI_1) Entering BACKUP STATE")?;
        self.b.start(b)
    }

    /// Stops both daemons gracefully; nothing may be left.
    pub fn stop(&mut self) -> Result<()> {
        self.a.stop()?;
        self.b.stop()
    }

    /// Waits for an advert of this node's address and priority after `mark`.
    pub fn await_advert(
        &self,
        mark: Mark,
        from: &Machine,
        priority: u8,
    ) -> Result<(Instant, Mark)> {
        let source = from.node.address();
        let what = format!("advert from {source} with priority {priority}");
        self.lab
            .observer
            .await_advert(mark, PATIENCE, &what, |advert| {
                advert.source == source && advert.priority == priority
            })
    }

    /// Waits until `holder` has announced `VIP` after `mark`, and then checks
    /// that it alone has it.
    pub fn await_holder(&self, mark: Mark, holder: &Machine) -> Result<()> {
        self.await_holder_of(mark, holder, VIP)
    }

    /// The same for any address, which is the only one of the configuration.
    pub fn await_holder_of(&self, mark: Mark, holder: &Machine, vip: Ipv4Addr) -> Result<()> {
        self.lab
            .observer
            .await_announcement(mark, PATIENCE, vip, holder.node.mac())?;
        self.expect_holder_of(holder, vip)
    }

    /// Waits until the second node has announced `VIP`, and answers for it.
    pub fn await_holder_elsewhere(&self, mark: Mark) -> Result<()> {
        let mac = self.b.node.mac();
        let observer = &self.lab.observer;
        observer.await_announcement(mark, PATIENCE, VIP, mac)?;
        self.b.expect_addresses(&[VIP])?;
        self.expect_answer(VIP, &[mac])
    }

    /// Checks that `holder` alone has exactly `VIP`.
    pub fn expect_holder(&self, holder: &Machine) -> Result<()> {
        self.expect_holder_of(holder, VIP)
    }

    /// Checks that `holder` alone has exactly this address: on its interface,
    /// and by who answers for it. The other node gets a moment to give it up,
    /// because it learns of a better master only after the observer does.
    pub fn expect_holder_of(&self, holder: &Machine, vip: Ipv4Addr) -> Result<()> {
        let other = if std::ptr::eq(holder, &self.a) {
            &self.b
        } else {
            &self.a
        };
        self.await_release(other, vip.into())?;
        holder.expect_addresses(&[vip])?;
        other.expect_addresses(&[])?;
        self.expect_answer(vip, &[holder.node.mac()])
    }

    /// Gives a node a moment to be rid of an address; one without power has none.
    pub fn await_release(&self, machine: &Machine, vip: IpAddr) -> Result<()> {
        const MOMENT: Duration = Duration::from_secs(1);
        if !machine.node.is_on() {
            return Ok(());
        }
        match vip {
            IpAddr::V4(vip) => machine.node.await_address(vip, false, MOMENT).map(drop),
            IpAddr::V6(vip) => machine.node.await_ipv6_release(vip, MOMENT),
        }
    }

    /// Checks who answers for an address.
    pub fn expect_answer(&self, address: impl Into<IpAddr>, macs: &[Mac]) -> Result<()> {
        /// Times a quarter of a second.
        const ATTEMPTS_MAX: usize = 12;
        let address = address.into();
        let mut answered = self.lab.observer.who_has(address)?;
        // An IPv6 address is there before the kernel joins the group in which it
        // is asked for.
        for _ in 1..ATTEMPTS_MAX {
            if address.is_ipv4() || macs.is_empty() || !answered.is_empty() {
                break;
            }
            answered = self.lab.observer.who_has(address)?;
        }
        expect(answered == macs, || {
            format!("{macs:?} to answer for {address}, not {answered:?}")
        })
    }

    /// Checks that something came when it was due after an event, given the
    /// lateness of this machine in between.
    pub fn expect_due(
        &self,
        what: &str,
        event: Instant,
        due: Duration,
        came: Instant,
    ) -> Result<()> {
        let took = came.saturating_duration_since(event);
        // A daemon wakes more than once until then, and works in between.
        let late_max = PROMPT + self.lab.canary.worst_since(event) * 4;
        // What is counted from may have come late itself.
        let early_max = EARLY
            + self
                .lab
                .canary
                .worst_since(event.checked_sub(due).unwrap_or(event));
        let in_time = took + early_max >= due && took <= due + late_max;
        expect(in_time, || {
            format!("{what} {due:?} (+ {late_max:?}) after, not {took:?}")
        })
    }

    /// Watches the segment and fails if such an advert comes.
    pub fn expect_no_advert(
        &self,
        during: Duration,
        what: &str,
        unwanted: impl Fn(&Advert) -> bool,
    ) -> Result<()> {
        let mark = self.lab.observer.mark();
        match self.lab.observer.await_advert(mark, during, what, unwanted) {
            Ok((at, _)) => {
                let at = at.saturating_duration_since(self.lab.start);
                Err(Failure::new(format!(
                    "seen at {at:?}, and must not be: {what}"
                )))
            }
            Err(_) => Ok(()),
        }
    }

    /// Everything that helps to understand a failed test.
    fn report(&self) -> String {
        let mut text = self.lab.observer.timeline(self.lab.start);
        for machine in [&self.a, &self.b] {
            if let Some(daemon) = &machine.daemon {
                text.push_str(&daemon.output(self.lab.start));
            }
        }
        text
    }
}

/// The configuration of one instance as most scenarios use it.
pub fn configuration(priority: u8, extra: &str) -> String {
    format!(
        "vrrp_instance VI_1 {{
    state BACKUP
    interface eth0
    virtual_router_id {VRID}
    priority {priority}
    advert_int 1
    authentication {{
        auth_type PASS
        auth_pass 1111
    }}
    virtual_ipaddress {{
        {VIP}/24
    }}
    {extra}
}}
"
    )
}

/// Turns a broken expectation into a failure.
pub fn expect(holds: bool, expected: impl FnOnce() -> String) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(Failure::new(format!("expected {}", expected())))
    }
}

/// Runs a scenario for a pair, in a process of its own. Where C keepalived or
/// the right to make namespaces is missing, it says so loudly, and fails in CI.
pub fn run(a: Program, b: Program, scenario: fn(&mut Bench) -> Result<()>) {
    let obstacle = if isolation::is_inside() {
        None
    } else {
        obstacle(a, b)
    };
    if let Some(why) = obstacle {
        assert!(std::env::var_os("CI").is_none(), "cannot run in CI: {why}");
        let thread = std::thread::current();
        isolation::report_skipped(thread.name().unwrap_or("a test"), &why);
        return;
    }
    isolation::isolated(|| {
        let mut bench = Bench::new(a, b).unwrap_or_else(|failure| panic!("{failure}"));
        if let Err(failure) = scenario(&mut bench) {
            println!("{}", bench.report());
            drop(bench);
            panic!("{failure}");
        }
    });
}

/// The same for a scenario with scripts, which C cannot run without root: it
/// insists on setting the list of groups, and a user namespace forbids that.
pub fn run_scripts(a: Program, b: Program, scenario: fn(&mut Bench) -> Result<()>) {
    let c_runs = [a, b].contains(&Program::C);
    if c_runs && !isolation::is_inside() && isolation::needs_user_namespace() {
        let thread = std::thread::current();
        let why = "C keepalived runs scripts as root only";
        isolation::report_skipped(thread.name().unwrap_or("a test"), why);
        return;
    }
    run(a, b, scenario);
}

/// Why this pair cannot run on this machine, if so.
fn obstacle(a: Program, b: Program) -> Option<String> {
    if let Some(missing) = [a, b].iter().find(|program| program.path().is_none()) {
        return Some(format!("{missing:?} keepalived is not installed"));
    }
    isolation::available()
        .err()
        .map(|failure| failure.to_string())
}

/// A program of this machine by its name.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    let places = std::env::split_paths(&path).chain(system);
    places
        .map(|place| place.join(name))
        .find(|file| file.is_file())
}
