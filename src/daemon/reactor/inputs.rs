//! What others tell the worker, between its deadlines: the kernel, what is watched,
//! signals, the supervisor, and who wants to see the state.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use crate::config::model::Config;
use crate::ids::ScriptId;
use crate::system::clock::now;
use crate::system::memory;
use crate::system::netlink::Report;
use crate::system::signals::Signal;
use crate::system::watch::{self};
use crate::vrrp::event::{Event, Outcome};
use crate::vrrp::orders::Order;
use crate::vrrp::plan::plan;

use super::super::bus::Receipt;
use super::super::channel::{ChannelError, ToSupervisor, ToWorker};
use super::super::fifos::{self};
use super::super::orders;
use super::super::process::{self, Part};
use super::super::state_files::{StateFile, View};
use super::super::status::server::wall_clock;
use super::super::status::{self, About, events};
use super::{QUEUE_PER_TURN, Reactor, may_stay_awake};

impl Reactor {
    pub(super) fn drain_reports(&mut self) -> io::Result<()> {
        for _ in 0..QUEUE_PER_TURN {
            match self.reports.try_recv() {
                Ok(report) => self.report(report)?,
                Err(_) => return Ok(()),
            }
            if self.is_deadline_urgent() {
                break;
            }
        }
        self.more = true;
        Ok(())
    }

    /// What was found in tracked files, and which tracked processes there are.
    pub(super) fn drain_findings(&mut self) -> io::Result<()> {
        for _ in 0..QUEUE_PER_TURN {
            let first = self.finding.take();
            let Some(finding) = first.or_else(|| self.findings.try_recv().ok()) else {
                return Ok(());
            };
            let event = match &finding {
                watch::Report::File { file, value } => Event::File {
                    file,
                    value: *value,
                },
                watch::Report::Processes { process, count } => Event::Processes {
                    process,
                    count: *count,
                },
                watch::Report::Link { interface, up } => Event::Linkbeat { interface, up: *up },
            };
            self.engine.event(now(), event, &mut self.sender);
            self.act()?;
            if self.is_deadline_urgent() {
                break;
            }
        }
        self.more = true;
        Ok(())
    }

    pub(super) fn report(&mut self, report: Report) -> io::Result<()> {
        let now = now();
        let tx = &mut self.sender;
        match &report {
            Report::Interface(state) => self.engine.event(now, Event::Interface(state), tx),
            Report::Gone(index) => self.engine.event(now, Event::InterfaceGone(*index), tx),
            Report::All(states) => {
                self.engine.event(now, Event::AllInterfaces(states), tx);
                if !self.started {
                    self.started = true;
                    if self.settings.dump_configuration {
                        let text = self.view().data(&self.settings.around);
                        text.lines().for_each(|line| tracing::info!("{line}"));
                    }
                    self.begin(now);
                    for file in std::mem::take(&mut self.asked_early) {
                        self.show(file, None);
                    }
                }
            }
            &Report::AddressDuplicate { on, address } => {
                let event = Event::AddressDuplicate { on, address };
                self.engine.event(now, event, tx);
            }
            &Report::AddressRemoved {
                on,
                address,
                prefix_length,
            } => {
                let event = Event::AddressRemoved {
                    on,
                    address,
                    prefix_length,
                };
                self.engine.event(now, event, tx);
            }
            &Report::WayRemoved(lost) => {
                self.engine.event(now, Event::WayRemoved(lost), tx);
            }
            Report::Refused {
                token,
                operation,
                errno,
            } => {
                let (token, errno) = (*token, *errno);
                let event = Event::Refused {
                    token,
                    operation,
                    errno,
                };
                self.engine.event(now, event, tx);
            }
            Report::LinkFlawed { link, part, errno } => {
                let (part, errno) = (*part, *errno);
                self.engine
                    .event(now, Event::LinkFlawed { link, part, errno }, tx);
            }
            &Report::Done { token, result } => {
                self.engine
                    .event(now, Event::KernelDone { token, result }, tx);
            }
            Report::FirewallDisturbed(Ok(())) => {
                tracing::info!("Firewall drop rules removed, not by us - put back");
            }
            Report::FirewallDisturbed(Err(errno)) => tracing::error!(
                "Firewall drop rules removed, not by us - unable to put them back: {errno}"
            ),
            Report::Failed(errno) => return Err(io::Error::from_raw_os_error(errno.0)),
        }
        self.act()
    }

    pub(super) fn drain_signals(&mut self) {
        while let Some(signal) = self.signals.get_ref().next() {
            match StateFile::of(signal) {
                Some(file) => self.show(file, None),
                None if signal == Signal::Stop => self.stop(),
                None if signal == Signal::Reload => self.reload_own(),
                // The others are the supervisor's business.
                None => {}
            }
        }
    }

    pub(super) fn drain_channel(&mut self) -> io::Result<()> {
        if let Err(error) = self.channel.get_mut().flush() {
            self.channel_failed(error);
        }
        for _ in 0..QUEUE_PER_TURN {
            // What was said after a reload is meant for the new configuration. When that
            // is read we are woken, and go on here.
            if self.ahead.is_wanted() {
                match self.ahead.take(&self.settings.text) {
                    Some(read) => self.answer_reload(read),
                    None => return Ok(()),
                }
                self.after_message()?;
            }
            match self.channel.get_mut().receive() {
                Ok(None) => return Ok(()),
                Ok(Some((message, descriptor))) => self.message(message, descriptor),
                Err(ChannelError::Closed) => {
                    self.stop();
                    return Ok(());
                }
                Err(error) => self.channel_failed(error),
            }
            self.after_message()?;
            if self.is_deadline_urgent() {
                break;
            }
        }
        self.more = true;
        Ok(())
    }

    fn after_message(&mut self) -> io::Result<()> {
        self.act()?;
        if std::mem::take(&mut self.states_due) {
            self.write_states();
        }
        // That takes its time, and has waited for what the engine wants done.
        if std::mem::take(&mut self.has_freed) {
            memory::give_back();
        }
        Ok(())
    }

    /// All states again, for the readers of the FIFOs that a reload began anew
    /// (`fifo_write_vrrp_states_on_reload`).
    fn write_states(&self) {
        let snapshot = self.engine.snapshot(now());
        for line in fifos::lines_of_states(&snapshot) {
            self.fifos.write(&line);
        }
    }

    fn message(&mut self, message: ToWorker, descriptor: Option<OwnedFd>) {
        match message {
            ToWorker::Stop => self.stop(),
            ToWorker::Show(file) => self.show(file, descriptor.map(Receipt::new)),
            ToWorker::Announce(name) => self.announce_asked(&name, descriptor.map(Receipt::new)),
            ToWorker::TellStandings => {
                self.teller.forget();
                self.standings_due = true;
            }
            ToWorker::Fifo { which, path } => self.fifos.follow(which, &path, descriptor),
            ToWorker::NoticesSkipped { owner, count } => {
                let skipped = self.skipped.entry(owner).or_default();
                *skipped = skipped.saturating_add(count);
            }
            ToWorker::Culprits(names) => {
                self.seeks_culprits = false;
                let event = Event::Culprits(&names);
                self.engine.event(now(), event, &mut self.sender);
            }
            ToWorker::About(about) => self.follow_about(about),
            ToWorker::ScriptEnded { id, outcome } => {
                self.refusals.remove(&id);
                self.script_ended(id, outcome);
            }
            ToWorker::ScriptRefused { id, errno, reason } => {
                self.refusals.insert(id, reason);
                self.script_ended(id, Outcome::NotRun(errno));
            }
            ToWorker::Order { number, order } => self.obey(number, &order),
            ToWorker::Reload => {
                self.ahead.forget();
                let sources = descriptor.ok_or_else(|| io::ErrorKind::InvalidInput.into());
                let read = sources.and_then(|sources| self.settings.text.read(sources));
                self.answer_reload(read.map(|loaded| loaded.config));
            }
            ToWorker::ReadAhead => match descriptor {
                Some(sources) => self.ahead.begin(&self.settings.text, sources),
                None => self.ahead.forget(),
            },
            ToWorker::ReloadAsRead => self.ahead.want(descriptor),
            ToWorker::ForgetAhead => {
                self.ahead.forget();
                self.has_freed = true;
            }
        }
    }

    /// What the supervisor tells of itself.
    fn follow_about(&mut self, about: About) {
        if let Some(reload) = about
            .reload
            .as_ref()
            .filter(|_| about.reload != self.about.reload)
        {
            self.events.tell(|| Some(events::Event::of_reload(reload)));
        }
        self.about = Arc::new(about);
    }

    /// An order of an administrator. What is in force is told before the answer: who
    /// was answered may rely on it, whatever becomes of us.
    fn obey(&mut self, number: u64, order: &Order) {
        let done = self.engine.order(now(), order, &mut self.sender);
        self.tell_orders();
        let outcome = orders::outcome(done, &self.engine);
        self.tell(&ToSupervisor::Ordered { number, outcome });
    }

    /// Tells the supervisor which orders are in force, where that has changed.
    pub(super) fn tell_orders(&mut self) {
        let Some(now_in_force) = self.engine.changed_orders() else {
            return;
        };
        let told = &self.settings.orders;
        for (instance, orders) in orders::changes(told, &now_in_force) {
            self.tell(&ToSupervisor::InForce { instance, orders });
        }
        self.settings.orders = now_in_force;
    }

    fn script_ended(&mut self, id: ScriptId, outcome: Outcome) {
        let event = Event::Script { id, outcome };
        self.engine.event(now(), event, &mut self.sender);
    }

    fn answer_reload(&mut self, read: io::Result<Config>) {
        let answer = match read.and_then(|config| self.reload(config)) {
            Ok(()) => ToSupervisor::Reloaded,
            Err(error) => ToSupervisor::ReloadFailed(error.to_string()),
        };
        self.tell(&answer);
    }

    fn reload(&mut self, config: Config) -> io::Result<()> {
        if let Err(error) = self.watch_for(&config) {
            self.watch_again();
            return Err(error);
        }
        process::follow_globals(Part::Worker, &config.globals, self.settings.around.umask);
        self.mailer.configure(&config.globals);
        self.realtime.follow(&config.globals.processes);
        self.stand_by.allow(may_stay_awake(&config));
        let plan = plan(self.engine.config(), config);
        self.engine.apply(now(), plan, &mut self.sender);
        for (key, _) in self.receivers.iter() {
            self.set_buffer(key);
        }
        self.has_freed = true;
        self.signs.changed(now());
        self.states_due = self.engine.config().globals.fifo_write_states_on_reload;
        Ok(())
    }

    /// All of a reload that may fail, so that what fails has changed nothing else.
    fn watch_for(&mut self, config: &Config) -> io::Result<()> {
        self.watcher.watch(config, false)?;
        self.metrics.follow(&config.globals.metrics_listen)
    }

    /// What runs still is watched as before.
    fn watch_again(&mut self) {
        let config = self.engine.config().clone();
        if let Err(error) = self.watch_for(&config) {
            tracing::error!("Unable to watch what the configuration tracks: {error}");
        }
    }

    /// What runs is gone over to once more (specification E.4): a signal to this
    /// process alone never shows it what is on disk now.
    fn reload_own(&mut self) {
        tracing::info!("Reloading");
        let config = self.engine.config();
        let plan = plan(config, config.clone());
        self.engine.apply(now(), plan, &mut self.sender);
        if self.engine.config().globals.fifo_write_states_on_reload {
            self.write_states();
        }
    }

    /// Has a state file written. What is counted from now on is in the next one.
    fn show(&mut self, file: StateFile, receipt: Option<Receipt>) {
        if !self.started {
            // Nothing is known yet. Once is enough.
            if !self.asked_early.contains(&file) {
                self.asked_early.push(file);
            }
            return;
        }
        let accepted = self.state_files.ask(file, self.view(), receipt);
        if accepted && file == StateFile::StatisticsAndClear {
            self.engine.clear_statistics();
            self.skipped.clear();
        }
    }

    /// Somebody asks over D-Bus for gratuitous ARP. Who is not MASTER has nothing to
    /// announce, and that is no error, as in C.
    fn announce_asked(&mut self, name: &str, receipt: Option<Receipt>) {
        tracing::info!("Sending garps on {name} on DBus request");
        let instance = name.to_owned();
        // It was written down that it is asked for; what becomes of it is seen.
        let _ = (self.engine).order(now(), &Order::Announce { instance }, &mut self.sender);
        if let Some(receipt) = receipt {
            receipt.done();
        }
    }

    /// Tells D-Bus what has changed without being announced.
    pub(super) fn tell_standings(&mut self) {
        if self.started && self.engine.config().globals.dbus.enabled {
            for message in self.teller.differences(&self.engine) {
                self.tell(&message);
            }
        }
    }

    /// Shows the state on the status socket: its thread does the rest.
    pub(super) fn hand_over_view(&mut self) {
        let wanted = self.view_wanted.take();
        // In a flood nothing is waited for.
        let wanted = wanted.or_else(|| self.views_wanted.try_recv().ok());
        if let Some(wanted) = wanted {
            let snapshot = self.engine.snapshot(now());
            // Those of scripts that a reload ended are not needed any more.
            let scripts = snapshot.scripts.iter().map(|script| script.id);
            let scripts: BTreeSet<ScriptId> = scripts.collect();
            self.refusals.retain(|id, _| scripts.contains(id));
            let (instances, groups) = (&snapshot.instances, &snapshot.groups);
            let mut names: BTreeSet<&str> = instances.iter().map(|it| &*it.config.name).collect();
            names.extend(groups.iter().map(|it| &*it.config.name));
            self.skipped.retain(|owner, _| names.contains(owner.name()));
            let view = status::View {
                snapshot,
                wall: wall_clock(),
                about: Arc::clone(&self.about),
                refusals: self.refusals.clone(),
                skipped: self.skipped.clone(),
                events: self.events.last(),
            };
            // It may have stopped waiting.
            let _ = wanted.try_send(Box::new(view));
        }
    }

    fn view(&self) -> View {
        let receivers = self.receivers.iter();
        let receivers = receivers.map(|(key, it)| (key, it.as_raw_fd())).collect();
        let snapshot = self.engine.snapshot(now());
        View::new(snapshot, receivers, self.sender.as_raw_fd())
    }
}
