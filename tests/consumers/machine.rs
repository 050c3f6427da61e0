//! A machine with a keepalived, ours or C's, under the name and in the places that
//! everybody knows: `keepalived` in the path, /tmp and /run of its own.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::lab::{Context, Failure, Lab, Node, Process, Result, isolation, namespace};

pub const PATIENCE: Duration = Duration::from_secs(20);
/// The address of every configuration here; its owner is MASTER at once.
pub const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);

const C: &str = "/usr/sbin/keepalived";
const PATH: &str = "/run/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const MADE: &str = "/run/consumer";

/// Which of the two daemons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daemon {
    Ours,
    C,
}

impl Daemon {
    /// Both if C keepalived is installed and could run scripts; in CI it has to be.
    pub fn all() -> Vec<Self> {
        if Path::new(C).exists() && !isolation::needs_user_namespace() {
            return vec![Self::Ours, Self::C];
        }
        assert!(std::env::var_os("CI").is_none(), "no C keepalived in CI");
        vec![Self::Ours]
    }

    pub fn program(self) -> PathBuf {
        match self {
            Self::Ours => PathBuf::from(env!("CARGO_BIN_EXE_keepalived-rs")),
            Self::C => PathBuf::from(C),
        }
    }
}

/// A machine that has one of them.
pub struct Machine {
    pub node: Node,
    pub daemon: Daemon,
}

impl Machine {
    /// A machine that hears nobody else, so that only its own settings decide.
    pub fn new(lab: &mut Lab, daemon: Daemon) -> Result<Self> {
        let number = if daemon == Daemon::Ours { 1 } else { 2 };
        let name = if number == 1 { "ours" } else { "theirs" };
        let node = lab.node(name, Ipv4Addr::new(192, 0, 2, number), 24)?;
        node.set_connected(false)?;
        let program = daemon.program();
        let program = program.to_string_lossy().into_owned();
        node.inside(|| {
            for place in ["/run/bin", "/run/tmp", "/run/keepalived"] {
                std::fs::create_dir(place).context(place)?;
            }
            std::fs::write("/run/bin/keepalived", "").context("a place for the program")?;
            // The program may lie below /tmp, so it comes first.
            namespace::bind(&program, "/run/bin/keepalived")?;
            namespace::bind("/run/tmp", "/tmp")
        })?;
        node.write_file("/run/no", "#!/bin/sh\nexit 1\n")?;
        node.write_file("/run/yes", "#!/bin/sh\nexit 0\n")?;
        Ok(Self { node, daemon })
    }

    /// Starts the daemon as users do; what it prints is watched.
    pub fn start(&mut self, arguments: &[&str]) -> Result<Arc<Process>> {
        let program = Path::new("/run/bin/keepalived");
        self.node
            .start(program, arguments, &[("TMPDIR", "/tmp"), ("PATH", PATH)])
    }

    /// Runs a program on this machine and waits for its end.
    pub fn run(&self, words: &[&str]) -> Result<Output> {
        self.node.inside(|| {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]);
            command.env("PATH", PATH).env("TMPDIR", "/tmp");
            command.output().context(words[0])
        })
    }

    /// What the consumer with this text prints; it must succeed.
    ///
    /// C keepalived up to 2.4.3 lets readers see a file that is half written. There it
    /// may try again, with us it may not.
    pub fn consumer(&self, interpreter: &str, text: &str, arguments: &[&str]) -> Result<String> {
        self.node.write_file(MADE, text)?;
        let words = [&[interpreter, MADE], arguments].concat();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = self.run(&words)?;
            if output.status.success() {
                return String::from_utf8(output.stdout).context("UTF-8");
            }
            if self.daemon == Daemon::Ours || Instant::now() > deadline {
                let error = String::from_utf8_lossy(&output.stderr);
                return Err(Failure::new(format!("{:?}: {error}", self.daemon)));
            }
        }
    }

    /// Sends a signal to the process whose number is in this file.
    pub fn signal_by_pid_file(&self, file: &str, signal: &str) -> Result<()> {
        let text = self.node.read_file(file)?;
        let output = self.run(&["/bin/kill", "-s", signal, text.trim_end()])?;
        assert!(output.status.success(), "{file}: {output:?}");
        Ok(())
    }

    /// Waits until a file holds what is wanted, and gives its text.
    pub fn await_file(&self, path: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = self.node.read_file(path).unwrap_or_default();
            if wanted(&text) {
                return Ok(text);
            }
            if Instant::now() > deadline {
                return Err(Failure::new(format!("{:?}: {path}: {text}", self.daemon)));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Runs the body of a test on a machine for each daemon, ours first, and compares what
/// comes back, where there are two.
pub fn same_for_both<T: PartialEq + std::fmt::Debug>(
    body: impl Fn(&mut Machine) -> Result<T>,
) -> Option<T> {
    let mut seen = Vec::new();
    in_lab(|lab| {
        for daemon in Daemon::all() {
            seen.push(body(&mut Machine::new(lab, daemon)?)?);
        }
        if let [ours, theirs] = &seen[..] {
            assert_eq!(ours, theirs, "ours, and C's");
        }
        Ok(())
    });
    seen.into_iter().next()
}

/// Runs the body of a test in namespaces of its own, if that can be.
pub fn in_lab(body: impl FnOnce(&mut Lab) -> Result<()>) {
    let missing = |program: &str| Command::new(program).arg("--version").output().is_err();
    let obstacle = match ["python3", "bash"].into_iter().find(|it| missing(it)) {
        _ if isolation::is_inside() => None,
        Some(program) => Some(format!("{program} is not installed")),
        None => isolation::available().err().map(|it| it.to_string()),
    };
    if let Some(why) = obstacle {
        assert!(std::env::var_os("CI").is_none(), "cannot run in CI: {why}");
        let thread = std::thread::current();
        isolation::report_skipped(thread.name().unwrap_or("a test"), &why);
        return;
    }
    isolation::isolated(|| {
        let mut lab = Lab::new().unwrap_or_else(|failure| panic!("{failure}"));
        body(&mut lab).unwrap_or_else(|failure| panic!("{failure}"));
    });
}
