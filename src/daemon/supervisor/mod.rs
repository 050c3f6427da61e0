//! The privileged parent: always there, one thread, one `poll`.
//!
//! Decides when a worker runs and with which configuration, what follows when
//! it dies, who runs scripts, how a stop and a reload go. Does not decide
//! anything about VRRP, and reads no packets.
//!
//! If the worker dies the order is law: it is gone (waited for), then what it
//! may have left in the kernel is taken off, then a new one starts from the
//! last good text. Taken off first, a worker that still runs could put it back.
//!
//! Source: specification E.1 to E.4, E.6.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::channel::{ChannelError, SupervisorEnd};
use super::confinement::Confinement;
use super::fifos::{self, Fifos};
use super::key_files::Handed;
use super::last_text;
use super::lifecycle::Run;
use super::pid_files::PidFile;
use super::process;
use super::status::About;
use super::status::keeper::{Keeper, is_mistake};
use super::{Settings, VERSION};
use crate::config::model::Config;
use crate::config::source::Questions;
use crate::config::{self, Loaded};
use crate::system::clock::now;
use crate::system::lifeline::Lifeline;
use crate::system::memory;
use crate::system::notify_systemd::{self, ServiceManager};
use crate::system::scripts::{Policy, Scripts};
use crate::system::settings::Before;
use crate::system::signals::Signals;
use crate::time::{Instant, Interval};
use crate::vrrp::orders::StandingOrders;

use bus::Bus;
use last_words::LastWords;
use orders::Orders;
use pulse::Pulse;
use stop::Stop;
use under_way::Reloads;

mod ahead;
mod bus;
mod children;
mod last_words;
mod orders;
mod planned;
mod pulse;
mod reload;
mod stop;
mod unchangeable;
mod under_way;

/// The worker's name in the log.
const WORKER: &str = "Keepalived_vrrp";

/// How long a clean-up may take.
const CLEANUP_LIMIT: Interval = Interval::from_secs(5);

/// How many messages of the worker are read before signals are looked at again.
const MESSAGES_PER_TURN: usize = 256;

/// What a worker is given.
#[derive(Debug)]
pub struct WorkerStart {
    /// For `channel::WorkerEnd::new`. When it closes the supervisor is gone:
    /// the worker then stops as if told to. SIGTERM comes as well then; it and
    /// the other signals of `system::signals` are blocked at the start.
    pub channel: OwnedFd,
    /// What it puts off while it turns; `signs.rs` says for how long.
    pub lifeline: Arc<Lifeline>,
    /// The name of the main file in the text of a reload.
    pub config_file: PathBuf,
    /// How that is read.
    pub options: config::Options,
    /// `-V`: leave the VIPs on the interfaces at a stop.
    pub keep_addresses: bool,
    /// `-d`: the configuration goes to the log.
    pub dump_configuration: bool,
    /// `-s` or `net_namespace`
    pub namespace: Option<String>,
    /// `instance`
    pub instance: Option<String>,
    /// `-u`
    pub umask: Option<u32>,
    /// When the first worker began; one that replaces it begins later.
    pub began: Instant,
    /// This is the first worker: files with `init_file` are written.
    pub is_first: bool,
    /// The status socket, if there is one.
    pub status: Option<OwnedFd>,
    /// What it shows of the supervisor.
    pub about: About,
    /// The notify FIFOs.
    pub fifos: Vec<fifos::Handed>,
    /// What an administrator has ordered and is in force.
    pub orders: StandingOrders,
    /// What it keeps of rights and files; `None`: everything.
    pub confinement: Option<Confinement>,
}

/// What the supervisor's children run; returns their exit codes.
#[derive(Debug, Clone, Copy)]
pub struct Entries {
    /// The worker, with what it begins with and the configuration.
    pub worker: fn(WorkerStart, Config) -> u8,
    /// Takes off what a configuration may have put into the kernel.
    pub cleanup: fn(&Config) -> u8,
}

/// What the supervisor begins with.
pub struct Start<'a> {
    /// How it runs.
    pub settings: &'a Settings,
    /// What its children run.
    pub entries: Entries,
    /// The pid files; removed at the end.
    pub pid_files: PidFiles,
    /// Opened before the pid files were written: whoever reads them may send
    /// a signal at once.
    pub signals: Signals,
    /// A usable configuration.
    pub loaded: Loaded,
}

/// The pid files of the daemon.
#[derive(Debug)]
pub struct PidFiles {
    own: PidFile,
    worker: Option<PidFile>,
}

impl PidFiles {
    /// `own` is there, there is no worker yet.
    pub fn new(own: PidFile) -> Self {
        Self { own, worker: None }
    }
}

/// Supervises until the daemon stops; returns its exit code.
pub fn run(start: Start<'_>) -> u8 {
    let scripts = Scripts::new(Policy::of(&start.loaded.config.globals));
    let reloads = Reloads::new(&start.loaded.config, start.settings);
    let mut supervisor = Supervisor {
        settings: start.settings,
        entries: start.entries,
        pid_files: start.pid_files,
        good: Text::from(start.loaded),
        candidate: None,
        reloads,
        orders: Orders::default(),
        started_up: false,
        phase: Phase::NoWorker,
        delay: Interval::ZERO,
        scripts,
        last_words: LastWords::default(),
        signals: start.signals,
        manager: service_manager(),
        status: Keeper::new(start.settings),
        fifos: Fifos::default(),
        bus: Bus::default(),
        before: Before::default(),
        stop: None,
        began: None,
        stall_limit: None,
        feed_at: None,
    };
    supervisor.begin();
    loop {
        if let Some(code) = supervisor.finished() {
            supervisor.end();
            return code;
        }
        supervisor.turn();
    }
}

fn service_manager() -> ServiceManager {
    let socket = std::env::var_os(notify_systemd::VARIABLE);
    let [watchdog_us, watched] = notify_systemd::WATCHDOG.map(|name| std::env::var(name).ok());
    let watchdog_us = watchdog_us.filter(|_| notify_systemd::is_for_us(watched.as_deref()));
    ServiceManager::new(socket.as_deref(), watchdog_us.as_deref()).unwrap_or_else(|error| {
        tracing::error!("Unable to notify systemd: {error}");
        ServiceManager::default()
    })
}

/// A configuration that was found usable.
struct Text {
    config: Config,
    /// What was read, as one line.
    sources: Vec<u8>,
    /// What was asked for to read it.
    questions: Questions,
    /// What is wrong in it and was accepted all the same, at the start.
    errors: BTreeSet<String>,
}

impl From<Loaded> for Text {
    fn from(loaded: Loaded) -> Self {
        let sources = loaded.sources.to_bytes();
        Self::new(loaded, sources)
    }
}

impl Text {
    /// `sources` is what was read, as bytes.
    fn new(loaded: Loaded, mut sources: Vec<u8>) -> Self {
        sources.shrink_to_fit();
        Self {
            sources,
            questions: loaded.sources.questions(),
            errors: errors(&loaded),
            config: loaded.config,
        }
    }

    /// What a worker that is there reads it from: `Sources::to_bytes`, and in a second
    /// line what stands in files that it must not open.
    fn for_worker(&self) -> io::Result<OwnedFd> {
        let handed = Handed::of(&self.config).to_bytes();
        if handed.is_empty() {
            return process::memory_file(&self.sources);
        }
        process::memory_file(&[&self.sources, &handed[..]].join(&b'\n'))
    }
}

/// The messages of all mistakes, without their places.
fn errors(loaded: &Loaded) -> BTreeSet<String> {
    let wrong = loaded.diagnostics.iter().filter(|it| is_mistake(it));
    wrong.map(|finding| finding.message.clone()).collect()
}

enum Phase {
    /// The startup script runs; the first worker follows.
    StartingUp(Run),
    /// None is wanted, or the daemon stops.
    NoWorker,
    Working(Worker),
    /// The worker is gone; a child takes off what it left.
    CleaningUp {
        process: i32,
        kill_at: Instant,
    },
    /// The next worker starts then.
    Waiting {
        until: Instant,
    },
}

struct Worker {
    process: i32,
    channel: SupervisorEnd,
    /// The channel is open.
    listening: bool,
    started: Instant,
    /// It said that it has taken everything off.
    stopped: bool,
    /// What it puts off while it turns.
    lifeline: Arc<Lifeline>,
    pulse: Pulse,
    /// What it has kept; `None`: everything.
    confinement: Option<Confinement>,
}

struct Supervisor<'a> {
    settings: &'a Settings,
    entries: Entries,
    pid_files: PidFiles,
    /// What runs, and what a new worker starts from.
    good: Text,
    /// What the worker was told to change over to; it has not answered yet.
    candidate: Option<Text>,
    reloads: Reloads,
    orders: Orders,
    started_up: bool,
    phase: Phase,
    /// How long the next replacement of a worker waits.
    delay: Interval,
    scripts: Scripts,
    last_words: LastWords,
    signals: Signals,
    manager: ServiceManager,
    status: Keeper,
    fifos: Fifos,
    bus: Bus,
    /// Settings of the kernel before anything of ours changed them.
    before: Before,
    stop: Option<Stop>,
    /// When the first worker began.
    began: Option<Instant>,
    /// How long a worker may be silent, and when systemd is told next that all is well.
    stall_limit: Option<Interval>,
    feed_at: Option<Instant>,
}

// The loop.
impl Supervisor<'_> {
    fn begin(&mut self) {
        // What the worker gets of it by the fork would count for both.
        memory::give_back();
        let script = &self.good.config.globals.startup_script;
        match Run::begin("startup", script, &mut self.scripts, now()) {
            Some(run) => self.phase = Phase::StartingUp(run),
            None => self.begin_work(),
        }
    }

    fn begin_work(&mut self) {
        self.phase = Phase::NoWorker;
        if self.wants_worker() {
            self.follow_fifos(None);
            self.keep_text(None);
            self.follow_bus();
            self.keep_settings(None);
            self.start_worker();
        } else {
            tracing::info!("Warning - keepalived has no configuration to run");
            self.ready();
        }
    }

    fn turn(&mut self) {
        self.wait();
        while let Some(signal) = self.signals.next() {
            self.signal(signal);
        }
        for _ in 0..MESSAGES_PER_TURN {
            match self.next_message() {
                Some(message) => self.message(message),
                None => break,
            }
        }
        self.expire(now());
        self.look_after_bus(now());
        self.serve_desk(now());
        self.go_on_with_reloads(now());
        self.answer_status();
    }

    /// Until something can be read, or something is due.
    fn wait(&self) {
        let timeout = match self.deadline() {
            None => PollTimeout::NONE,
            Some(at) => {
                // Rounded up, so that it is due when we wake.
                let ms = at.since(now()).as_us().div_ceil(1000);
                PollTimeout::from(u16::try_from(ms).unwrap_or(u16::MAX))
            }
        };
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.reloads.desk.poll_fds());
        let planned = self.reloads.planned.as_fd();
        fds.extend(planned.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        fds.extend(self.bus.poll_fd());
        if let Phase::Working(worker) = &self.phase
            && worker.listening
        {
            let mut flags = PollFlags::POLLIN;
            flags.set(PollFlags::POLLOUT, worker.channel.is_waiting());
            fds.push(PollFd::new(worker.channel.as_fd(), flags));
        } else if !matches!(self.phase, Phase::Working(_))
            && let Some(status) = self.status.as_fd()
        {
            fds.push(PollFd::new(status, PollFlags::POLLIN));
        }
        if let Phase::Working(worker) = &self.phase
            && worker.pulse.waits_for_alarm()
        {
            fds.push(PollFd::new(worker.lifeline.as_fd(), PollFlags::POLLIN));
        }
        // Interrupted is as good as woken: everything is looked at anyway.
        let _ = poll(&mut fds, timeout);
    }

    fn deadline(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::NoWorker => None,
            Phase::Working(worker) => worker.pulse.next_look(),
            Phase::StartingUp(run) => Some(run.deadline()),
            Phase::CleaningUp { kill_at, .. } => Some(*kill_at),
            Phase::Waiting { until } => Some(*until),
        };
        let stop = self.stop.as_ref();
        let working = matches!(self.phase, Phase::Working(_));
        let kill = stop.and_then(|stop| stop.kill_at).filter(|_| working);
        let script = stop.and_then(|stop| stop.script.as_ref());
        let script = script.map(Run::deadline);
        let readers = stop.and_then(|stop| stop.readers_until);
        let readers = readers.filter(|_| self.scripts.has_readers());
        let scripts = self.scripts.deadline();
        let reloads = self.reloads.deadline(now(), self.candidate.is_some());
        let bus = self.bus.deadline();
        let others = [readers, scripts, reloads, self.feed_at, bus];
        let all = [phase, kill, script].into_iter().chain(others);
        all.flatten().min()
    }

    fn expire(&mut self, now: Instant) {
        self.scripts.expire(now);
        self.look_after_worker(now);
        self.feed_watchdog(now);
        if let Some(stop) = &mut self.stop
            && let Some(run) = &mut stop.script
            && run.is_given_up(now)
        {
            stop.script = None;
        }
        if let Phase::StartingUp(run) = &mut self.phase
            && run.is_given_up(now)
        {
            self.begin_work();
        }
        match &mut self.phase {
            Phase::Waiting { until } if *until <= now => self.start_worker(),
            Phase::CleaningUp { process, kill_at } if *kill_at <= now => {
                tracing::error!("clean-up process {process} takes too long - forcing termination");
                process::send_signal(*process, libc::SIGKILL);
                *kill_at = now + CLEANUP_LIMIT;
            }
            Phase::Working(worker) => {
                if let Err(error) = worker.channel.flush()
                    && error != ChannelError::Closed
                {
                    tracing::error!("Unable to speak to {WORKER}: {error}");
                }
                if let Some(stop) = &mut self.stop
                    && stop.kill_at.is_some_and(|at| at <= now)
                {
                    tracing::info!("{WORKER} process failed to die - forcing termination");
                    process::send_signal(worker.process, libc::SIGKILL);
                    stop.kill_at = None;
                }
            }
            _ => {}
        }
    }

    fn end(mut self) {
        if let Some(file) = self.pid_files.worker {
            file.remove();
        }
        self.status.remove();
        self.reloads.end();
        self.scripts.kill_readers();
        self.fifos.end();
        if let Err(error) = self.before.put_back() {
            tracing::error!("Unable to put back every setting of the kernel: {error}");
        }
        // What is left is left on purpose, or could not be taken off.
        let _ = std::fs::remove_file(last_text::beside(&self.settings.pid_file));
        tracing::info!("Stopped Keepalived {VERSION}");
        self.pid_files.own.remove();
    }
}

// The status socket.
impl Supervisor<'_> {
    /// Without a worker nobody else answers.
    fn answer_status(&self) {
        if !matches!(self.phase, Phase::Working(_)) {
            self.status.answer(self.why_nobody_works());
        }
    }

    /// Why there is no worker that could do what is asked for, in words.
    fn why_nobody_works(&self) -> &'static str {
        if self.stop.is_some() {
            return "the daemon stops";
        }
        match &self.phase {
            Phase::Working(_) => "the VRRP process is there",
            Phase::StartingUp(_) => "the startup script runs",
            Phase::NoWorker => "no instance is configured",
            Phase::CleaningUp { .. } | Phase::Waiting { .. } => {
                "the VRRP process died, and is started again soon"
            }
        }
    }
}
