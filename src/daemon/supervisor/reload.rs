//! Signals, and what a reload of the configuration makes of them.
//!
//! Decides which text is in force, and that a text with new mistakes changes
//! nothing. What the new configuration means for the instances is decided in
//! `vrrp/plan/`. Source: specification E.4, F.10.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::super::channel::{ChannelError, ToWorker};
use super::super::control::desk::Question;
use super::super::control::{self, Answer};
use super::super::fifos::Handed;
use super::super::last_text;
use super::super::process::Part;
use super::super::state_files::{StateFile, write_parent_data};
use super::super::status::keeper::{mistakes, refusal};
use super::super::{exit_code, load_with, log_diagnostics, process};
use super::pulse;
use super::under_way::{PutOff, marker_path, write_check_log};
use super::{Phase, Supervisor, Text, WORKER, Worker, errors, unchangeable};
use crate::config::Loaded;
use crate::config::diagnostic::Diagnostic;
use crate::config::model::Config;
use crate::system::clock::now;
use crate::system::machine::ThisMachine;
use crate::system::memory;
use crate::system::scripts::Policy;
use crate::system::settled::SettledFiles;
use crate::system::signals::Signal;
use crate::time::{Instant, Interval};
use crate::vrrp::plan::plan;

/// How long a worker that turns may take to answer, if it may not be silent for longer
/// anyway.
const ANSWER_LIMIT: Interval = Interval::from_secs(10);

/// If we are that late ourselves, so is the worker.
const OUR_LATENESS_MAX: Interval = Interval::from_secs(1);

impl Supervisor<'_> {
    pub(super) fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Child => self.children_ended(),
            Signal::Interrupt if self.settings.ignore_interrupt => {}
            Signal::Stop | Signal::Interrupt => self.begin_stop(exit_code::OK),
            // A stop that has begun is not disturbed.
            _ if self.stop.is_some() => {}
            Signal::Reload => self.ask_reload(),
            Signal::Data | Signal::Statistics | Signal::ClearStatistics | Signal::Json => {
                self.show(signal);
            }
        }
    }

    /// Writes what is the supervisor's to show, and has the worker do the same.
    fn show(&mut self, signal: Signal) {
        if signal == Signal::Data {
            write_parent_data(&self.good.config, &self.surroundings());
        }
        if let Some(file) = StateFile::of(signal) {
            self.tell(&ToWorker::Show(file));
        }
    }

    /// Somebody wants a reload. It begins in this turn, or when the one that is under
    /// way has ended.
    pub(super) fn ask_reload(&mut self) {
        if self.candidate.is_some() {
            tracing::debug!("Reload already in progress, request queued");
        }
        self.reloads.is_asked = true;
    }

    /// Somebody asks for a reload, or what it would do.
    pub(super) fn asked_for_reload(&mut self, question: Question, now: Instant) {
        let (client, request) = (question.number, question.request);
        if request.dry_run {
            let answer = self.rehearse(request.file);
            self.reloads.desk.answer(client, &answer, now);
        } else {
            self.reloads.waiting.push(client);
            self.ask_reload();
        }
    }

    /// What is due: a planned reload, one that was asked for, a
    /// worker that does not answer.
    pub(super) fn go_on_with_reloads(&mut self, now: Instant) {
        if self.stop.is_some() {
            self.reloads.give_up("the daemon stops", now);
            return;
        }
        if self.reloads.planned.is_due() {
            self.ask_reload();
        }
        if self.candidate.is_some() {
            self.look_at_worker(now);
            return;
        }
        let is_due = match self.reloads.put_off {
            Some(PutOff { next, .. }) => next <= now,
            None => self.reloads.is_asked,
        };
        if is_due {
            self.reload(now);
        }
    }

    /// Reads the configuration and goes over to it, or puts that off while somebody
    /// is writing it.
    fn reload(&mut self, now: Instant) {
        self.reloads.is_asked = false;
        let new_clients = std::mem::take(&mut self.reloads.waiting);
        self.reloads.served.extend(new_clients);
        if self.reloads.put_off.is_none() {
            tracing::info!("Reloading ...");
            self.told(self.manager.reloading());
            let marker = marker_path(&self.good.config, self.settings);
            self.reloads.marker.put(marker);
        }
        // A text that somebody is writing is read again and again: once is enough.
        let ahead = match self.reloads.put_off {
            None => self.read_ahead(),
            Some(_) => None,
        };
        let files = SettledFiles::default();
        let file = &self.settings.config_file;
        let mut loaded = load_with(&ThisMachine::for_daemon(), &files, file, self.settings);
        if let Some(path) = files.moving() {
            if self.reloads.put_off(&path, now) {
                self.forget_ahead(ahead);
                return;
            }
            loaded.diagnostics.push(being_written(&path));
        }
        self.reloads.put_off = None;
        self.reloads.marker.remove();
        tracing::info!("Configuration file {}", file.display());
        let refused = self.refuse(&mut loaded);
        log_diagnostics(&loaded);
        if !self.reloads.served.is_empty() {
            self.reloads.answer = self.described(&loaded, refused.clone());
        }
        if let Some(refused) = refused {
            self.forget_ahead(ahead);
            self.reloads.mistakes = mistakes(&loaded, &self.good.errors);
            tracing::error!("Reload refused: the configuration that runs is kept");
            let check = self.good.config.globals.reload.check.as_ref();
            if let Some(log_file) = check.and_then(|check| check.log_file.as_deref()) {
                write_check_log(log_file, &loaded);
            }
            self.note_reload(Some(refused));
            self.ready_again();
            return;
        }
        match ahead.and_then(|ahead| ahead.bytes_if(&loaded.sources)) {
            Some(bytes) => self.change_over(Text::new(loaded, bytes), true),
            None => self.change_over(Text::from(loaded), false),
        }
    }

    /// Why this configuration must not replace the one that runs; `None` if it may.
    /// A mistake that the start was accepted with must not block every reload; a new
    /// one is a slip, and running without that line could move a VIP.
    fn refuse(&self, loaded: &mut Loaded) -> Option<String> {
        if loaded.is_usable() {
            let changed = unchangeable::changed(&self.good.config, &loaded.config);
            loaded.diagnostics.extend(changed);
            let given_up = self.given_up(&loaded.config);
            loaded.diagnostics.extend(given_up);
        }
        let is_good = loaded.is_usable() && errors(loaded).is_subset(&self.good.errors);
        (!is_good).then(|| refusal(loaded, &self.good.errors))
    }

    /// What `new` needs that the worker has given up when it began.
    fn given_up(&self, new: &Config) -> Vec<Diagnostic> {
        let Phase::Working(Worker {
            confinement: Some(kept),
            ..
        }) = &self.phase
        else {
            return Vec::new();
        };
        let files = self.surroundings();
        let lacking = kept.lacks(new, self.around(&files)).into_iter();
        let findings = lacking.map(|what| {
            let text = format!(
                "{WORKER} gave up the right to use {what} when it began - please restart keepalived"
            );
            Diagnostic::fatal("not-by-reload", text).help(
                "A restart grants what the configuration names. `worker_confinement no` in \
                 keepalived-rs.conf leaves the process all rights."
                    .to_owned(),
            )
        });
        findings.collect()
    }

    /// What a reload from `file`, or from the daemon's own, would do.
    fn rehearse(&self, file: Option<PathBuf>) -> Answer {
        let files = SettledFiles::default();
        let file = file.unwrap_or_else(|| self.settings.config_file.clone());
        let mut loaded = load_with(&ThisMachine::new(), &files, &file, self.settings);
        if let Some(path) = files.moving() {
            loaded.diagnostics.push(being_written(&path));
        }
        let refused = self.refuse(&mut loaded);
        Answer {
            file: file.display().to_string(),
            dry_run: true,
            ..self.described(&loaded, refused)
        }
    }

    fn described(&self, loaded: &Loaded, refused: Option<String>) -> Answer {
        let findings = loaded.diagnostics.iter();
        let plan = match refused {
            None => words(&self.good.config, &loaded.config),
            Some(_) => Vec::new(),
        };
        Answer {
            version: control::VERSION,
            file: self.settings.config_file.display().to_string(),
            dry_run: false,
            accepted: refused.is_none(),
            reason: refused,
            plan,
            findings: findings.map(|it| it.as_snippet(&loaded.sources)).collect(),
        }
    }

    /// A worker that does not answer is as good as dead: what follows is decided when
    /// it is gone.
    fn look_at_worker(&mut self, now: Instant) {
        let Phase::Working(worker) = &self.phase else {
            self.reloads.answer_by = None;
            return;
        };
        let Some(answer_by) = self.reloads.answer_by.filter(|by| *by <= now) else {
            return;
        };
        if now.since(answer_by) >= OUR_LATENESS_MAX {
            // The machine stood still, and the worker with it.
            self.reloads.answer_by = self.answer_limit().map(|limit| now + limit);
            return;
        }
        tracing::error!("{WORKER} does not answer a reload - forcing termination");
        process::send_signal(worker.process, libc::SIGKILL);
        self.reloads.answer_by = None;
    }

    /// `None`: for ever, as with a `worker_stall_limit` of 0.
    fn answer_limit(&self) -> Option<Interval> {
        self.stall_limit.map(|limit| limit.max(ANSWER_LIMIT))
    }

    /// `is_read`: the worker has read it, or is reading it.
    fn change_over(&mut self, new: Text, is_read: bool) {
        self.follow_fifos(Some(&new.config));
        // Until the worker has answered, either may be in the kernel.
        self.keep_text(Some(&new));
        self.keep_settings(Some(&new));
        if let Phase::Working(worker) = &mut self.phase {
            let order = new.order(is_read).map_err(|error| error.to_string());
            let sent = order.and_then(|(order, file)| {
                let file = file.as_ref().map(AsFd::as_fd);
                let sent = worker.channel.send(&order, file);
                sent.map_err(|error| error.to_string())
            });
            match sent {
                Ok(()) => {
                    self.candidate = Some(new);
                    self.reloads.answer_by = self.answer_limit().map(|limit| now() + limit);
                }
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
    pub(super) fn follow_fifos(&mut self, config: Option<&Config>) {
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
    pub(super) fn adopt(&mut self, new: Text) {
        self.stall_limit = pulse::limit_of(&new.config);
        let globals = &new.config.globals;
        self.scripts.set_policy(Policy::of(globals));
        process::follow_globals(Part::Supervisor, globals, self.settings.umask);
        self.good = new;
        self.keep_text(None);
        self.follow_bus();
        self.reloads
            .planned
            .follow(&self.good.config.globals.reload);
        self.note_reload(None);
    }

    /// Keeps a copy of what runs, and of `new`, for whoever cleans up after us.
    pub(super) fn keep_text(&self, new: Option<&Text>) {
        let texts: Vec<&[u8]> = [Some(&self.good), new]
            .into_iter()
            .flatten()
            .map(|text| text.sources.as_slice())
            .collect();
        let path = last_text::beside(&self.settings.pid_file);
        let reading = last_text::Reading {
            main: self.settings.config_file.clone(),
            options: self.settings.options.clone(),
        };
        if let Err(error) = last_text::write(&path, &reading, &texts) {
            tracing::error!("Unable to write {}: {error}", path.display());
        }
    }

    /// Remembers the settings of the kernel that a worker with what runs, or with `new`,
    /// will change; changes those that are of no interface.
    pub(super) fn keep_settings(&mut self, new: Option<&Text>) {
        let config = &new.unwrap_or(&self.good).config;
        let promoting = config.instances.iter().filter(|it| it.promote_secondaries);
        for instance in promoting {
            self.before.note_promotion(&instance.interface);
        }
        if config.globals.disable_local_igmp
            && let Err(error) = self.before.silence_local_igmp()
        {
            tracing::error!("Unable to set igmp_link_local_mcast_reports: {error}");
        }
    }

    pub(super) fn reload_failed(&mut self, reason: &str) {
        tracing::error!("Reload failed, the configuration that runs is kept: {reason}");
        self.follow_fifos(None);
        self.keep_text(None);
        self.note_reload(Some(reason.to_owned()));
        self.ready_again();
    }

    /// A reload has ended: everybody who wants to know is told.
    pub(super) fn note_reload(&mut self, refused: Option<String>) {
        self.reloads.answer_by = None;
        let line = match &refused {
            None => "Reloaded".to_owned(),
            Some(reason) => format!("Reload refused, what ran before runs on: {reason}"),
        };
        self.told(self.manager.status(&line));
        self.reloads.answer_all(refused.as_deref(), now());
        let mistakes = std::mem::take(&mut self.reloads.mistakes);
        self.status.note_reload(refused, mistakes);
        self.tell(&ToWorker::About(self.status.about()));
    }

    /// A reload is over that changed nothing: ready if we were before.
    fn ready_again(&mut self) {
        if self.started_up {
            self.ready();
        }
    }

    pub(super) fn ready(&mut self) {
        if !std::mem::replace(&mut self.started_up, true) {
            tracing::info!("Startup complete");
        }
        self.told(self.manager.ready(std::process::id()));
        memory::give_back();
    }

    /// What the service manager does not hear must not hold up the daemon.
    pub(super) fn told(&self, result: io::Result<()>) {
        if let Err(error) = result {
            tracing::error!("Unable to notify systemd: {error}");
        }
    }
}

fn being_written(path: &Path) -> Diagnostic {
    let text = format!("'{}' is being written", path.display());
    Diagnostic::fatal("being-written", text)
}

/// What changes between the two, a line each.
fn words(old: &Config, new: &Config) -> Vec<String> {
    let plan = plan(old, new.clone());
    let lines = plan.describe();
    if !lines.is_empty() {
        return lines;
    }
    let text = match old == new {
        true => "nothing changes",
        false => "no instance is touched, other settings change",
    };
    vec![text.to_owned()]
}
