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
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::channel::{self, ChannelError, SupervisorEnd, ToSupervisor, ToWorker};
use super::fifos::{Fifos, Handed};
use super::lifecycle::Run;
use super::pid_files::PidFile;
use super::process;
use super::state_files::{StateFile, Surroundings, write_parent_data};
use super::status::About;
use super::status::keeper::{Keeper, refusal};
use super::{Settings, VERSION, exit_code, load, log_diagnostics};
use crate::config::diagnostic::Severity;
use crate::config::model::Config;
use crate::config::{self, Loaded};
use crate::ids::{Errno, ScriptId};
use crate::system::clock::now;
use crate::system::machine::ThisMachine;
use crate::system::notify_systemd::{self, ServiceManager};
use crate::system::scripts::{Ended, Policy, Purpose, Refusal, Scripts};
use crate::system::signals::{Signal, Signals};
use crate::time::{Instant, Interval};
use crate::vrrp::event::Outcome;

/// The worker's name in the log.
const WORKER: &str = "Keepalived_vrrp";

/// How long the worker may take to stop (`child_wait_time`).
const STOP_LIMIT: Interval = Interval::from_secs(5);

/// How long a clean-up may take.
const CLEANUP_LIMIT: Interval = Interval::from_secs(5);

/// How long a stop waits for scripts that read a notify FIFO.
const READERS_LIMIT: Interval = Interval::from_secs(1);

/// A worker that lived shorter than this is replaced after a delay.
const SHORT_LIFE: Interval = Interval::from_secs(60);

/// The longest such delay.
const DELAY_MAX: Interval = Interval::from_secs(60);

/// How many messages of the worker are read before signals are looked at again.
const MESSAGES_PER_TURN: usize = 256;

/// What a worker is given.
#[derive(Debug)]
pub struct WorkerStart {
    /// For `channel::WorkerEnd::new`. When it closes the supervisor is gone:
    /// the worker then stops as if told to. SIGTERM comes as well then; it and
    /// the other signals of `system::signals` are blocked at the start.
    pub channel: OwnedFd,
    /// A memfd with `Sources::to_bytes`, positioned at its beginning.
    pub sources: OwnedFd,
    /// The name of the main file in those sources.
    pub config_file: PathBuf,
    /// How they are read.
    pub options: config::Options,
    /// `-V`: leave the VIPs on the interfaces at a stop.
    pub keep_addresses: bool,
    /// `-d`: the configuration goes to the log.
    pub dump_configuration: bool,
    /// `-s`
    pub namespace: Option<String>,
    /// When the first worker began; one that replaces it begins later.
    pub began: Instant,
    /// This is the first worker: files with `init_file` are written.
    pub is_first: bool,
    /// The status socket, if there is one.
    pub status: Option<OwnedFd>,
    /// What it shows of the supervisor.
    pub about: About,
    /// The notify FIFOs.
    pub fifos: Vec<Handed>,
}

/// What the supervisor's children run; returns their exit codes.
#[derive(Debug, Clone, Copy)]
pub struct Entries {
    /// The worker.
    pub worker: fn(WorkerStart) -> u8,
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
    let mut supervisor = Supervisor {
        settings: start.settings,
        entries: start.entries,
        pid_files: start.pid_files,
        good: Text::from(start.loaded),
        candidate: None,
        reload_again: false,
        started_up: false,
        phase: Phase::NoWorker,
        delay: Interval::ZERO,
        scripts,
        signals: start.signals,
        manager: service_manager(),
        status: Keeper::new(start.settings),
        fifos: Fifos::default(),
        stop: None,
        began: None,
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
    ServiceManager::new(socket.as_deref()).unwrap_or_else(|error| {
        tracing::error!("Unable to notify systemd: {error}");
        ServiceManager::default()
    })
}

/// A configuration that was found usable.
struct Text {
    config: Config,
    sources: Vec<u8>,
    /// What is wrong in it and was accepted all the same, at the start.
    errors: BTreeSet<String>,
}

impl From<Loaded> for Text {
    fn from(loaded: Loaded) -> Self {
        Self {
            sources: loaded.sources.to_bytes(),
            errors: errors(&loaded),
            config: loaded.config,
        }
    }
}

/// The messages of all lines that are wrong, without their places.
fn errors(loaded: &Loaded) -> BTreeSet<String> {
    let wrong = loaded
        .diagnostics
        .iter()
        .filter(|finding| finding.severity == Severity::Error);
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
}

struct Stop {
    code: u8,
    /// When a worker that has not ended is killed; `None` once it was.
    kill_at: Option<Instant>,
    /// The startup script, if the stop comes while it runs; then the shutdown
    /// script.
    script: Option<Run>,
    /// The shutdown script had its turn.
    shut_down: bool,
    /// How long we wait for scripts that read a notify FIFO; `None` until they are
    /// waited for, and again when they were killed.
    readers_until: Option<Instant>,
    /// They had their time.
    readers_killed: bool,
}

impl Stop {
    /// Whether nobody who reads a notify FIFO is left to wait for.
    fn is_read(&mut self, scripts: &Scripts) -> bool {
        if self.readers_killed || !scripts.has_readers() {
            return true;
        }
        let now = now();
        let until = *self.readers_until.get_or_insert(now + READERS_LIMIT);
        if now < until {
            return false;
        }
        scripts.kill_readers();
        (self.readers_until, self.readers_killed) = (None, true);
        true
    }
}

struct Supervisor<'a> {
    settings: &'a Settings,
    entries: Entries,
    pid_files: PidFiles,
    /// What runs, and what a new worker starts from.
    good: Text,
    /// What the worker was told to change over to; it has not answered yet.
    candidate: Option<Text>,
    reload_again: bool,
    started_up: bool,
    phase: Phase,
    /// How long the next replacement of a worker waits.
    delay: Interval,
    scripts: Scripts,
    signals: Signals,
    manager: ServiceManager,
    status: Keeper,
    fifos: Fifos,
    stop: Option<Stop>,
    /// When the first worker began.
    began: Option<Instant>,
}

// The loop.
impl Supervisor<'_> {
    fn begin(&mut self) {
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
        // Interrupted is as good as woken: everything is looked at anyway.
        let _ = poll(&mut fds, timeout);
    }

    fn deadline(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::NoWorker | Phase::Working(_) => None,
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
        [phase, kill, script, readers, self.scripts.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    fn expire(&mut self, now: Instant) {
        self.scripts.expire(now);
        if let Some(stop) = &mut self.stop
            && let Some(run) = &mut stop.script
            && run.is_given_up(now)
        {
            stop.script = None;
        }
        match &mut self.phase {
            Phase::StartingUp(run) => {
                if run.is_given_up(now) {
                    self.begin_work();
                }
            }
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

    /// The exit code, once nothing is left to wait for.
    fn finished(&mut self) -> Option<u8> {
        let stop = self.stop.as_mut()?;
        if !matches!(self.phase, Phase::NoWorker) {
            return None;
        }
        stop.kill_at = None;
        self.scripts.end_readers(now());
        if self.scripts.tells_of_stop() || stop.script.is_some() || !stop.is_read(&self.scripts) {
            return None;
        }
        if !std::mem::replace(&mut stop.shut_down, true) {
            let script = &self.good.config.globals.shutdown_script;
            stop.script = Run::begin("shutdown", script, &mut self.scripts, now());
        }
        stop.script.is_none().then_some(stop.code)
    }

    fn end(self) {
        if let Some(file) = self.pid_files.worker {
            file.remove();
        }
        self.status.remove();
        self.scripts.kill_readers();
        self.fifos.end();
        tracing::info!("Stopped Keepalived {VERSION}");
        self.pid_files.own.remove();
    }
}

// Signals and reload.
impl Supervisor<'_> {
    fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Child => self.children_ended(),
            Signal::Interrupt if self.settings.ignore_interrupt => {}
            Signal::Stop | Signal::Interrupt => self.begin_stop(exit_code::OK),
            // A stop that has begun is not disturbed.
            _ if self.stop.is_some() => {}
            Signal::Reload => self.reload(),
            Signal::Data | Signal::Statistics | Signal::ClearStatistics | Signal::Json => {
                self.show(signal);
            }
        }
    }

    /// Writes what is the supervisor's to show, and has the worker do the same.
    fn show(&mut self, signal: Signal) {
        if signal == Signal::Data {
            let around = Surroundings::now(self.settings.namespace.clone());
            write_parent_data(&self.good.config, &around);
        }
        if let Some(file) = StateFile::of(signal) {
            self.tell(&ToWorker::Show(file));
        }
    }

    fn reload(&mut self) {
        if self.candidate.is_some() {
            tracing::debug!("Reload already in progress, request queued");
            self.reload_again = true;
            return;
        }
        tracing::info!("Reloading ...");
        self.told(self.manager.reloading());
        let loaded = load(&ThisMachine::for_daemon(), self.settings);
        log_diagnostics(&loaded);
        // A mistake that the start was accepted with must not block every reload;
        // a new one is a slip, and running without that line could move a VIP.
        if !loaded.is_usable() || !errors(&loaded).is_subset(&self.good.errors) {
            tracing::error!("Reload refused: the configuration that runs is kept");
            self.note_reload(Some(refusal(&loaded, &self.good.errors)));
            self.ready_again();
            return;
        }
        self.change_over(Text::from(loaded));
    }

    fn change_over(&mut self, new: Text) {
        self.follow_fifos(Some(&new.config));
        if let Phase::Working(worker) = &mut self.phase {
            let sent = process::memory_file(&new.sources)
                .map_err(|error| error.to_string())
                .and_then(|file| {
                    let file = Some(file.as_fd());
                    let sent = worker.channel.send(&ToWorker::Reload, file);
                    sent.map_err(|error| error.to_string())
                });
            match sent {
                Ok(()) => self.candidate = Some(new),
                Err(error) => self.reload_failed(&error),
            }
            return;
        }
        self.adopt(new);
        match self.phase {
            Phase::NoWorker | Phase::Waiting { .. } if self.wants_worker() => self.start_worker(),
            Phase::Waiting { .. } => {
                self.phase = Phase::NoWorker;
                self.ready();
            }
            Phase::NoWorker => self.ready(),
            // The worker that follows says when it is ready.
            Phase::StartingUp(_) | Phase::CleaningUp { .. } | Phase::Working(_) => {}
        }
    }

    /// Goes over to the notify FIFOs of `config`, or of what runs. The worker learns
    /// of them before it learns of anything that it may have to write.
    fn follow_fifos(&mut self, config: Option<&Config>) {
        let (config, mask) = (config.unwrap_or(&self.good.config), self.settings.umask);
        let changes = self.fifos.follow(config, mask, &mut self.scripts, now());
        let Phase::Working(worker) = &mut self.phase else {
            return;
        };
        for Handed { which, path, fd } in changes {
            let message = ToWorker::Fifo { which, path };
            let sent = worker.channel.send(&message, fd.as_ref().map(AsFd::as_fd));
            if let Err(error) = sent
                && error != ChannelError::Closed
            {
                tracing::error!("Message to {WORKER} dropped: {error}");
            }
        }
    }

    /// `new` is what runs from now on.
    fn adopt(&mut self, new: Text) {
        self.scripts.set_policy(Policy::of(&new.config.globals));
        self.good = new;
        self.note_reload(None);
    }

    fn reload_failed(&mut self, reason: &str) {
        tracing::error!("Reload failed, the configuration that runs is kept: {reason}");
        self.follow_fifos(None);
        self.note_reload(Some(reason.to_owned()));
        self.ready_again();
    }

    fn reload_answered(&mut self) {
        if std::mem::take(&mut self.reload_again) {
            self.reload();
        }
    }

    /// A reload is over that changed nothing: ready if we were before.
    fn ready_again(&mut self) {
        if self.started_up {
            self.ready();
        }
    }

    fn ready(&mut self) {
        if !std::mem::replace(&mut self.started_up, true) {
            tracing::info!("Startup complete");
        }
        self.told(self.manager.ready(std::process::id()));
    }

    /// What the service manager does not hear must not hold up the daemon.
    fn told(&self, result: io::Result<()>) {
        if let Err(error) = result {
            tracing::error!("Unable to notify systemd: {error}");
        }
    }
}

// The status socket.
impl Supervisor<'_> {
    fn note_reload(&mut self, refused: Option<String>) {
        self.status.note_reload(refused);
        self.tell(&ToWorker::About(self.status.about()));
    }

    /// Without a worker nobody else answers.
    fn answer_status(&self) {
        match &self.phase {
            Phase::Working(_) => {}
            _ if self.stop.is_some() => self.status.answer("the daemon stops"),
            Phase::StartingUp(_) => self.status.answer("the startup script runs"),
            Phase::NoWorker => self.status.answer("no instance is configured"),
            Phase::CleaningUp { .. } | Phase::Waiting { .. } => {
                self.status
                    .answer("the VRRP process died, and is started again soon");
            }
        }
    }
}

// The worker: messages.
impl Supervisor<'_> {
    fn next_message(&mut self) -> Option<ToSupervisor> {
        let Phase::Working(worker) = &mut self.phase else {
            return None;
        };
        while worker.listening {
            match worker.channel.receive() {
                // The worker has no descriptor that we want.
                Ok(message) => return message.map(|(message, _)| message),
                Err(ChannelError::Closed | ChannelError::System(_)) => worker.listening = false,
                Err(error) => tracing::error!("Message of {WORKER} dropped: {error}"),
            }
        }
        None
    }

    fn message(&mut self, message: ToSupervisor) {
        match message {
            ToSupervisor::Ready => self.ready(),
            ToSupervisor::Reloaded => {
                if let Some(new) = self.candidate.take() {
                    self.adopt(new);
                    tracing::info!("Reload complete");
                    self.ready();
                    self.reload_answered();
                }
            }
            ToSupervisor::ReloadFailed(reason) => {
                self.candidate = None;
                self.reload_failed(&reason);
                self.reload_answered();
            }
            // A check that begins now would outlive the daemon.
            ToSupervisor::RunScript { .. } if self.stop.is_some() => {}
            ToSupervisor::RunScript { id, command } => {
                if let Err(refusal) = self.scripts.run_check(id, &command) {
                    self.refused(id, &refusal);
                }
            }
            ToSupervisor::EndScript { id } => self.scripts.end(id, now()),
            ToSupervisor::RunNotify(notice) => self.scripts.notify(notice, now()),
            ToSupervisor::Stopped => {
                if let Phase::Working(worker) = &mut self.phase {
                    worker.stopped = true;
                }
            }
        }
    }

    /// Says something to the worker. If it is gone that is no loss; if it does
    /// not read, it hears nothing, and the log says so.
    fn tell(&mut self, message: &ToWorker) {
        if let Phase::Working(worker) = &mut self.phase
            && let Err(error) = worker.channel.send(message, None)
            && error != ChannelError::Closed
        {
            tracing::error!("Message to {WORKER} dropped: {error}");
        }
    }
}

// The worker: birth and death.
impl Supervisor<'_> {
    fn wants_worker(&self) -> bool {
        !self.settings.options.without_vrrp && !self.good.config.instances.is_empty()
    }

    fn start_worker(&mut self) {
        let worker = match self.fork_worker() {
            Ok(worker) => worker,
            Err(error) => {
                tracing::error!("Unable to start {WORKER}: {error}");
                self.replace_later(true);
                return;
            }
        };
        match PidFile::create(&self.settings.vrrp_pid_file, worker.process) {
            Ok(file) => self.pid_files.worker = Some(file),
            Err(error) => tracing::error!("{error}"),
        }
        tracing::info!("Starting VRRP child process, pid={}", worker.process);
        self.began.get_or_insert(worker.started);
        self.phase = Phase::Working(worker);
    }

    fn fork_worker(&self) -> io::Result<Worker> {
        let (ours, theirs) = channel::pair()?;
        let start = WorkerStart {
            channel: theirs,
            sources: process::memory_file(&self.good.sources)?,
            config_file: self.settings.config_file.clone(),
            options: self.settings.options.clone(),
            keep_addresses: self.settings.keep_addresses,
            dump_configuration: self.settings.dump_configuration,
            namespace: self.settings.namespace.clone(),
            began: self.began.unwrap_or_else(now),
            is_first: self.began.is_none(),
            status: self.status.for_worker(),
            about: self.status.about(),
            fifos: self.fifos.for_worker(),
        };
        let entry = self.entries.worker;
        let mut not_for_it = self.not_for_children();
        not_for_it.push(ours.as_raw_fd());
        let process = process::fork_child(move || {
            close_in_child(&not_for_it);
            entry(start)
        })?;
        Ok(Worker {
            process,
            channel: SupervisorEnd::new(ours),
            listening: true,
            started: now(),
            stopped: false,
        })
    }

    /// The descriptors that are the supervisor's alone.
    fn not_for_children(&self) -> Vec<RawFd> {
        let own = [self.signals.as_raw_fd(), self.pid_files.own.as_raw_fd()];
        own.into_iter().chain(self.status.as_raw_fd()).collect()
    }

    fn children_ended(&mut self) {
        while let Some(process) = process::ended_child() {
            self.scripts.before_reaping(process);
            let outcome = process::reap(process);
            match &self.phase {
                Phase::Working(worker) if worker.process == process => self.worker_ended(outcome),
                Phase::CleaningUp {
                    process: cleaner, ..
                } if *cleaner == process => self.cleaned_up(outcome),
                // Neither a script: an orphan that became ours, as process 1.
                _ => {
                    if let Some(ended) = self.scripts.reaped(process, outcome, now()) {
                        self.script_ended(process, ended);
                    }
                }
            }
        }
    }

    fn script_ended(&mut self, process: i32, ended: Ended) {
        let Ended {
            purpose,
            outcome,
            refusal,
        } = ended;
        match (purpose, refusal) {
            (Purpose::Check(id), Some(refusal)) => self.refused(id, &refusal),
            (Purpose::Check(id), None) => self.tell(&ToWorker::ScriptEnded { id, outcome }),
            (Purpose::Lifecycle, refusal) => {
                let stop = self.stop.as_mut();
                let last = stop.and_then(|stop| stop.script.take_if(|it| it.process() == process));
                if let Some(run) = last {
                    run.ended(outcome, refusal.is_some());
                } else if let Phase::StartingUp(run) = &self.phase
                    && run.process() == process
                    && let Phase::StartingUp(run) =
                        std::mem::replace(&mut self.phase, Phase::NoWorker)
                {
                    run.ended(outcome, refusal.is_some());
                    self.begin_work();
                }
            }
            (Purpose::Notify | Purpose::Reader(_) | Purpose::Disowned, _) => {}
        }
    }

    fn refused(&mut self, id: ScriptId, refusal: &Refusal) {
        self.tell(&ToWorker::ScriptRefused {
            id,
            errno: refusal.errno(),
            reason: refusal.to_string(),
        });
    }

    fn worker_ended(&mut self, outcome: Outcome) {
        // Its last words, notifications of the stop among them.
        while let Some(message) = self.next_message() {
            self.message(message);
        }
        let Phase::Working(worker) = std::mem::replace(&mut self.phase, Phase::NoWorker) else {
            return;
        };
        if let Some(file) = self.pid_files.worker.take() {
            file.remove();
        }
        self.scripts.disown_checks(now());
        log_crash(outcome);
        if self.stop.is_none() {
            self.decide_on_replacement(&worker, outcome);
        }
        let orderly = worker.stopped && outcome == Outcome::Exited(exit_code::OK);
        let keep = self.stop.is_some() && self.settings.keep_addresses;
        if orderly || keep {
            self.after_cleanup();
        } else {
            self.clean_up();
        }
    }

    fn decide_on_replacement(&mut self, worker: &Worker, outcome: Outcome) {
        let permanent = match outcome {
            Outcome::Exited(exit_code::CONFIG) => Some((exit_code::CONFIG, "CONFIG")),
            Outcome::Exited(exit_code::PERMISSION) => {
                Some((exit_code::PERMISSION, "missing permission"))
            }
            _ => None,
        };
        let process = worker.process;
        if let Some((code, name)) = permanent {
            tracing::info!("{WORKER} exited with permanent error {name}. Terminating");
            let errno = if code == exit_code::PERMISSION {
                libc::EPERM
            } else {
                libc::EINVAL
            };
            self.told(self.manager.failed(Errno(errno)));
            self.begin_stop(code);
        } else if !self.settings.respawn {
            tracing::error!("VRRP child process({process}) died: Exiting");
            self.begin_stop(exit_code::FATAL);
        } else {
            tracing::error!("VRRP child process({process}) died: Respawning");
            self.status.note_replacement();
            let lived = now().since(worker.started);
            if lived >= SHORT_LIFE {
                self.delay = Interval::ZERO;
            }
        }
    }

    /// Takes off what a worker may have left. What that is follows from the
    /// configuration; during a reload, from the old and the new.
    fn clean_up(&mut self) {
        let configs: Vec<&Config> = [Some(&self.good), self.candidate.as_ref()]
            .into_iter()
            .flatten()
            .map(|text| &text.config)
            .collect();
        let entry = self.entries.cleanup;
        let not_for_it = self.not_for_children();
        let forked = process::fork_child(|| {
            close_in_child(&not_for_it);
            let codes = configs.iter().map(|config| entry(config));
            codes.max().unwrap_or(exit_code::OK)
        });
        match forked {
            Ok(process) => {
                let kill_at = now() + CLEANUP_LIMIT;
                self.phase = Phase::CleaningUp { process, kill_at };
            }
            Err(error) => {
                tracing::error!("Unable to clean up: {error}");
                self.after_cleanup();
            }
        }
    }

    fn cleaned_up(&mut self, outcome: Outcome) {
        if outcome != Outcome::Exited(exit_code::OK) {
            tracing::error!("Cleaning up after {WORKER} failed: {outcome:?}");
        }
        self.phase = Phase::NoWorker;
        self.after_cleanup();
    }

    fn after_cleanup(&mut self) {
        if self.candidate.take().is_some() {
            // Perhaps the new text is what it died of.
            tracing::error!("Reload abandoned, as {WORKER} died");
            self.follow_fifos(None);
            self.note_reload(Some(format!("{WORKER} died of it")));
        }
        if self.stop.is_some() {
            return;
        }
        if self.wants_worker() {
            self.replace_later(false);
        }
        self.reload_answered();
    }

    /// Starts a new worker, after a delay if workers die fast.
    fn replace_later(&mut self, at_least_a_second: bool) {
        let second = Interval::from_secs(1);
        let delay = if at_least_a_second {
            self.delay.max(second)
        } else {
            self.delay
        };
        self.delay = delay.times(2).clamp(second, DELAY_MAX);
        let seconds = delay.as_secs();
        if seconds > 0 {
            tracing::info!(
                "Restart of {WORKER} process delayed {seconds} seconds to limit respawn rate"
            );
        }
        self.phase = Phase::Waiting {
            until: now() + delay,
        };
    }

    fn begin_stop(&mut self, code: u8) {
        if self.stop.is_some() {
            return;
        }
        tracing::info!("Stopping");
        self.told(self.manager.stopping());
        let now = now();
        // A check may itself be what asks for the stop and waits for it: it is
        // told to end, and nobody waits for it.
        self.scripts.disown_checks(now);
        let kill_at = Some(now + STOP_LIMIT);
        self.stop = Some(Stop {
            code,
            kill_at,
            script: None,
            shut_down: false,
            readers_until: None,
            readers_killed: false,
        });
        match &mut self.phase {
            Phase::Working(_) => self.tell(&ToWorker::Stop),
            Phase::Waiting { .. } => self.phase = Phase::NoWorker,
            Phase::NoWorker | Phase::CleaningUp { .. } => {}
            Phase::StartingUp(run) => {
                run.end(&mut self.scripts, now);
                if let Phase::StartingUp(run) = std::mem::replace(&mut self.phase, Phase::NoWorker)
                    && let Some(stop) = &mut self.stop
                {
                    stop.script = Some(run);
                }
            }
        }
    }
}

fn log_crash(outcome: Outcome) {
    match outcome {
        Outcome::Signalled(libc::SIGSEGV) => {
            tracing::error!("{WORKER} exited due to segmentation fault (SIGSEGV).");
        }
        Outcome::Signalled(signal) => {
            let name = nix::sys::signal::Signal::try_from(signal)
                .map_or("unknown", nix::sys::signal::Signal::as_str);
            tracing::error!("{WORKER} exited due to signal {signal} ({name})");
        }
        Outcome::Exited(_) | Outcome::NotRun(_) => {}
    }
}

/// In a child: closes what is the supervisor's alone, so that locks and
/// channels end when the supervisor does.
fn close_in_child(fds: &[RawFd]) {
    for &fd in fds {
        // SAFETY: the owners of these descriptors are the parent's values; the
        // child never uses or drops them, because it ends without returning.
        unsafe { libc::close(fd) };
    }
}
