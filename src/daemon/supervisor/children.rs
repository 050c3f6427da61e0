//! The worker and the scripts: their birth, what they say, and their death.
//!
//! Decides what follows the death of a worker; the order of it is at the head of
//! `mod.rs`. Which scripts run is asked for by the worker.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use super::super::bus::{Happening, ToService};
use super::super::channel::{self, ChannelError, SupervisorEnd, ToSupervisor, ToWorker};
use super::super::confinement::{Around, Confinement};
use super::super::pid_files::PidFile;
use super::super::state_files::Surroundings;
use super::super::{exit_code, process};
use super::pulse::{self, Pulse};
use super::{CLEANUP_LIMIT, Phase, Supervisor, WORKER, Worker, WorkerStart};
use crate::config::model::Config;
use crate::ids::{Errno, IfIndex, ScriptId};
use crate::system::clock::now;
use crate::system::culprits;
use crate::system::lifeline::Lifeline;
use crate::system::scripts::{Ended, Notice, Purpose, Refusal};
use crate::time::Interval;
use crate::vrrp::event::Outcome;

/// A worker that lived shorter than this is replaced after a delay.
const SHORT_LIFE: Interval = Interval::from_secs(60);

/// The longest such delay.
const DELAY_MAX: Interval = Interval::from_secs(60);

impl Supervisor<'_> {
    pub(super) fn next_message(&mut self) -> Option<ToSupervisor> {
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

    pub(super) fn message(&mut self, message: ToSupervisor) {
        match message {
            ToSupervisor::Ready => self.ready(),
            ToSupervisor::Reloaded => {
                if let Some(new) = self.candidate.take() {
                    self.adopt(new);
                    self.bus.happened(Happening::Reloaded);
                    tracing::info!("Reload complete");
                    self.ready();
                }
            }
            ToSupervisor::ReloadFailed(reason) => {
                self.candidate = None;
                self.reload_failed(&reason);
            }
            // A check that begins now would outlive the daemon.
            ToSupervisor::RunScript { .. } if self.stop.is_some() => {}
            ToSupervisor::RunScript { id, command } => {
                if let Err(refusal) = self.scripts.run_check(id, &command) {
                    self.refused(id, &refusal);
                }
            }
            ToSupervisor::EndScript { id } => self.scripts.end(id, now()),
            ToSupervisor::FindCulprits => self.tell(&ToWorker::Culprits(culprits::running())),
            ToSupervisor::Promotes(index) => self.before.note_promotion_begun(IfIndex(index)),
            ToSupervisor::States(line) => self.told(self.manager.status(&line)),
            ToSupervisor::Stands(member, standing) => {
                self.bus.tell(&ToService::Stands(member, standing), None);
            }
            ToSupervisor::RunNotify(notice) => self.run_notify(notice),
            ToSupervisor::Ordered { number, outcome } => self.ordered(number, outcome, now()),
            ToSupervisor::InForce { instance, orders } => self.note_in_force(instance, orders),
            ToSupervisor::Stopped => {
                if let Phase::Working(worker) = &mut self.phase {
                    worker.stopped = true;
                }
            }
        }
    }

    fn run_notify(&mut self, notice: Notice) {
        self.last_words.note(&notice);
        let owner = notice.owner.clone();
        let count = self.scripts.notify(notice, now());
        if count > 0 {
            self.tell(&ToWorker::NoticesSkipped { owner, count });
        }
    }

    /// Says something to the worker. If it is gone that is no loss; if it does
    /// not read, it hears nothing, and the log says so.
    pub(super) fn tell(&mut self, message: &ToWorker) {
        if let Phase::Working(worker) = &mut self.phase
            && let Err(error) = worker.channel.send(message, None)
            && error != ChannelError::Closed
        {
            tracing::error!("Message to {WORKER} dropped: {error}");
        }
    }
}

impl Supervisor<'_> {
    pub(super) fn wants_worker(&self) -> bool {
        let settings = self.settings;
        let has_work = settings.all || !self.good.config.instances.is_empty();
        has_work && !settings.options.without_vrrp
    }

    pub(super) fn start_worker(&mut self) {
        // Before the fork: the worker holds the lock for as long as it lives, even
        // without us.
        let pid_file = PidFile::lock(&self.settings.vrrp_pid_file);
        let worker = match self.fork_worker() {
            Ok(worker) => worker,
            Err(error) => {
                tracing::error!("Unable to start {WORKER}: {error}");
                if let Ok(file) = pid_file {
                    file.remove();
                }
                self.replace_later(true);
                return;
            }
        };
        let written = pid_file.and_then(|mut file| {
            file.write(worker.process)?;
            self.pid_files.worker = Some(file);
            Ok(())
        });
        if let Err(error) = written {
            tracing::error!("{error}");
        }
        tracing::info!("Starting VRRP child process, pid={}", worker.process);
        self.stall_limit = pulse::limit_of(&self.good.config);
        self.began.get_or_insert(worker.started);
        self.bus.happened(Happening::Started);
        self.phase = Phase::Working(worker);
    }

    fn fork_worker(&mut self) -> io::Result<Worker> {
        let (ours, theirs) = channel::pair()?;
        let lifeline = Arc::new(Lifeline::new()?);
        let around = self.surroundings();
        let around = self.around(&around);
        let confinement = Confinement::of_worker(&self.good.config, around);
        let start = WorkerStart {
            channel: theirs,
            lifeline: Arc::clone(&lifeline),
            config_file: self.settings.config_file.clone(),
            options: self.settings.options.clone(),
            keep_addresses: self.settings.keep_addresses,
            dump_configuration: self.settings.dump_configuration,
            namespace: self.settings.namespace.clone(),
            instance: self.settings.instance.clone(),
            umask: self.settings.umask,
            began: self.began.unwrap_or_else(now),
            is_first: self.began.is_none(),
            status: self.status.for_worker(),
            about: self.status.about(),
            fifos: self.fifos.for_worker(),
            orders: self.orders.in_force.clone(),
            confinement: confinement.clone(),
        };
        let entry = self.entries.worker;
        let mut not_for_it = self.not_for_children();
        not_for_it.push(ours.as_raw_fd());
        let config = &mut self.good.config;
        let process = process::fork_child(move || {
            close_in_child(&not_for_it);
            // Taken out of the child's copy: what nobody writes to stays one for both.
            entry(start, std::mem::take(config))
        })?;
        Ok(Worker {
            process,
            channel: SupervisorEnd::new(ours),
            listening: true,
            started: now(),
            stopped: false,
            lifeline,
            pulse: Pulse::new(now()),
            confinement,
        })
    }

    /// What a worker may need besides the configuration that it begins with.
    pub(super) fn around<'s>(&self, files: &'s Surroundings) -> Around<'s> {
        Around {
            files,
            is_first: self.began.is_none(),
            core_files: self.settings.core_files,
        }
    }

    pub(super) fn surroundings(&self) -> Surroundings {
        let settings = self.settings;
        let (namespace, instance) = (settings.namespace.clone(), settings.instance.clone());
        Surroundings::now(namespace, instance, settings.umask)
    }

    /// The descriptors that are the supervisor's alone.
    pub(super) fn not_for_children(&self) -> Vec<RawFd> {
        let own = [self.signals.as_raw_fd(), self.pid_files.own.as_raw_fd()];
        let status = self.status.as_raw_fd();
        own.into_iter()
            .chain(status)
            .chain(self.bus.as_raw_fd())
            .chain(self.reloads.raw_fds())
            .collect()
    }

    pub(super) fn children_ended(&mut self) {
        while let Some(process) = process::ended_child() {
            self.scripts.before_reaping(process);
            let outcome = process::reap(process);
            match &self.phase {
                Phase::Working(worker) if worker.process == process => self.worker_ended(outcome),
                Phase::CleaningUp {
                    process: cleaner, ..
                } if *cleaner == process => self.cleaned_up(outcome),
                _ if self.bus.ended(process, outcome, self.stop.is_some()) => {}
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
        if self.stop.is_some() && !worker.stopped {
            for notice in self.last_words.of_stop(&self.good.config) {
                self.run_notify(notice);
            }
        }
        if let Some(file) = self.pid_files.worker.take() {
            file.remove();
        }
        self.scripts.disown_checks(now());
        self.give_up_orders(now());
        log_crash(outcome);
        let limit = self.good.config.globals.processes.vrrp.realtime_limit;
        if outcome == Outcome::Signalled(libc::SIGKILL) && limit.is_some() {
            tracing::info!("{WORKER}: has vrrp_rlimit_rttime been exceeded?");
        }
        if self.stop.is_none() {
            self.told(self.manager.status("The VRRP process died"));
            self.bus.worker_is_gone();
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
            if let Some(confinement) = Confinement::of_cleanup(&configs) {
                confinement.begin();
            }
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
            self.keep_text(None);
            self.note_reload(Some(format!("{WORKER} died of it")));
        }
        if self.stop.is_some() {
            return;
        }
        if self.wants_worker() {
            self.replace_later(false);
        }
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
pub(super) fn close_in_child(fds: &[RawFd]) {
    for &fd in fds {
        // SAFETY: the owners of these descriptors are the parent's values; the
        // child never uses or drops them, because it ends without returning.
        unsafe { libc::close(fd) };
    }
}
