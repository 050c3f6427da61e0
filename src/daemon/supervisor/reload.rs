//! Signals, and what a reload of the configuration makes of them.
//!
//! Decides which text is in force, and that a text with new mistakes changes
//! nothing. What the new configuration means for the instances is decided in
//! `vrrp/plan.rs`. Source: specification E.4, F.10.

use std::io;
use std::os::fd::AsFd;

use super::super::channel::{ChannelError, ToWorker};
use super::super::fifos::Handed;
use super::super::last_text;
use super::super::state_files::{StateFile, Surroundings, write_parent_data};
use super::super::status::keeper::refusal;
use super::super::{exit_code, load, log_diagnostics, process};
use super::pulse;
use super::{Phase, Supervisor, Text, WORKER, errors};
use crate::config::model::Config;
use crate::system::clock::now;
use crate::system::machine::ThisMachine;
use crate::system::scripts::Policy;
use crate::system::signals::Signal;

impl Supervisor<'_> {
    pub(super) fn signal(&mut self, signal: Signal) {
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
        // Until the worker has answered, either may be in the kernel.
        self.keep_text(Some(&new));
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
        self.scripts.set_policy(Policy::of(&new.config.globals));
        self.stall_limit = pulse::limit_of(&new.config);
        self.good = new;
        self.keep_text(None);
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

    pub(super) fn reload_failed(&mut self, reason: &str) {
        tracing::error!("Reload failed, the configuration that runs is kept: {reason}");
        self.follow_fifos(None);
        self.keep_text(None);
        self.note_reload(Some(reason.to_owned()));
        self.ready_again();
    }

    pub(super) fn reload_answered(&mut self) {
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

    pub(super) fn ready(&mut self) {
        if !std::mem::replace(&mut self.started_up, true) {
            tracing::info!("Startup complete");
        }
        self.told(self.manager.ready(std::process::id()));
    }

    /// What the service manager does not hear must not hold up the daemon.
    pub(super) fn told(&self, result: io::Result<()>) {
        if let Err(error) = result {
            tracing::error!("Unable to notify systemd: {error}");
        }
    }
}
