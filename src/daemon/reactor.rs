//! THE loop of the worker: everything that happens goes into the engine here,
//! and everything that the engine asks for goes out.
//!
//! Decides one thing only: the order within a turn. Receive sockets come
//! first, so that an advert that is already here is seen before its absence is
//! acted upon; deadlines come after. Nothing in a turn waits for a peer, a disk
//! or a script; joining a group may wait a moment for the kernel's lock.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::{self, UnboundedReceiver};

use crate::config::model::Config;
use crate::ids::{IfIndex, MacAddress, ScriptId};
use crate::system::clock::{Timer, epoch_us, machine_uptime, now};
use crate::system::fifo;
use crate::system::lifeline::Lifeline;
use crate::system::mail::Mailer;
use crate::system::memory;
use crate::system::netlink::{Handle, Report, nftables};
use crate::system::realtime::{Realtime, Thread};
use crate::system::scripts::Notice;
use crate::system::settings;
use crate::system::signals::{Signal, Signals};
use crate::system::sockets::arp::ArpSender;
use crate::system::sockets::receivers::{Key, Receivers};
use crate::system::sockets::rx::Receiver;
use crate::system::sockets::tx::Sender;
use crate::system::watch::{self, Watcher};
use crate::time::{Instant, Interval, WallClock};
use crate::vrrp::action::{
    Action, GroupNotification, LowerPriorityHeard, Notification, Operation, Token,
};
use crate::vrrp::engine::Engine;
use crate::vrrp::event::{Command, Datagram, Event, Outcome, Uptime};
use crate::vrrp::log_lines::LogLine;
use crate::vrrp::orders::{Order, StandingOrders};
use crate::vrrp::plan::plan;
use crate::wire::frames::{gratuitous_arp, neighbour_advert};

use super::buffers::receive_bytes;
use super::bus::Receipt;
use super::bus::teller::Teller;
use super::channel::{ChannelError, Owner, ToSupervisor, ToWorker, WorkerEnd};
use super::fifos::{self, Handed};
use super::metrics::Metrics;
use super::notices;
use super::orders;
use super::process::{self, Part};
use super::signs::{LIFE_SPAN, Signs};
use super::state_files::{self, StateFile, Surroundings, View};
use super::status::events;
use super::status::server::{ViewWanted, wall_clock};
use super::status::{self, About};
use super::worker::Text;

/// Longer than any IPv4 datagram.
const DATAGRAM_MAX: usize = 65_536;

/// Of an interface that is not known.
const DEFAULT_MTU: u32 = 1500;

/// Datagrams taken from one socket before the others have their turn.
const DATAGRAMS_PER_SOCKET: usize = 64;

/// Rounds over all sockets before deadlines are looked at even if more waits:
/// a flood must not stop our own adverts.
const ROUNDS_MAX: usize = 8;

/// Reports and messages taken in one turn.
const QUEUE_PER_TURN: usize = 256;

/// How late a deadline may become while reports, messages and actions wait; then it has
/// its turn before them. Usually all that is here comes first.
const DEADLINE_WAITS_MAX: Interval = Interval::from_ms(1);

/// Later than this the whole process stood still: whoever was away first hears all that
/// happened, and then decides.
const STOOD_STILL_MIN: Interval = Interval::from_ms(100);

/// How far the engine's idea of the wall clock may be off.
const WALL_CLOCK_ERROR_MAX: Interval = Interval::from_ms(10);

/// How long mail that tells of a stop may take.
const MAIL_LIMIT: Interval = Interval::from_secs(1);

/// How long a file that is being written at a stop may take.
const FILES_LIMIT: Interval = Interval::from_ms(200);

/// What the reactor has to know besides the configuration.
#[derive(Debug)]
pub struct Settings {
    /// How a new configuration is read.
    pub text: Text,
    /// `-V`: the VIPs stay at a stop.
    pub keep_addresses: bool,
    /// `-d`: the configuration goes to the log before the start.
    pub dump_configuration: bool,
    /// What the state files show besides the state.
    pub around: Surroundings,
    /// What tells of processes, where it can be had from another namespace only.
    pub elsewhere: Option<watch::Connector>,
    /// What says that it turns.
    pub lifeline: Arc<Lifeline>,
    /// When the first worker began.
    pub began: Instant,
    /// Files with `init_file` are written.
    pub is_first: bool,
    /// The status socket, if there is one.
    pub status: Option<OwnedFd>,
    /// What it shows of the supervisor.
    pub about: About,
    /// The notify FIFOs.
    pub fifos: Vec<Handed>,
    /// What an administrator has ordered and is in force.
    pub orders: StandingOrders,
}

/// What ended a wait.
enum Woken {
    /// A deadline, or a datagram: most turns are for these alone.
    TimeOrAdvert,
    /// News of the kernel.
    Report(Report),
    /// Anything else, or more than one turn could do.
    Other,
}

/// The worker's loop and all that it holds.
pub struct Reactor {
    engine: Engine,
    settings: Settings,
    channel: AsyncFd<WorkerEnd>,
    signals: AsyncFd<Signals>,
    timer: Timer,
    receivers: Receivers,
    sender: Sender,
    arp: ArpSender,
    netlink: Handle,
    reports: UnboundedReceiver<Report>,
    /// Looks at tracked files and processes.
    watcher: Watcher,
    /// What it has found.
    findings: mpsc::Receiver<watch::Report>,
    /// The first finding of this turn.
    finding: Option<watch::Report>,
    mailer: Mailer,
    fifos: fifo::Writer,
    state_files: state_files::Writer,
    /// What D-Bus was told of the instances.
    teller: Teller,
    /// D-Bus is to hear what has changed without being announced.
    standings_due: bool,
    about: Arc<About>,
    /// Why scripts could not be run, for the status socket.
    refusals: BTreeMap<ScriptId, String>,
    /// How many notices were overtaken before their scripts began, for each instance
    /// and group.
    skipped: BTreeMap<Owner, u64>,
    /// Who wants to show the state on the status socket.
    views_wanted: UnboundedReceiver<ViewWanted>,
    /// Who wants to know what happens.
    events: events::Teller,
    /// The one that this turn answers.
    view_wanted: Option<ViewWanted>,
    metrics: Metrics,
    buffer: Vec<u8>,
    /// What the engine was told last.
    wall: Option<WallClock>,
    /// A reload is over, and the FIFOs are to get all states.
    states_due: bool,
    /// A reload has freed much memory.
    has_freed: bool,
    /// The last turn left something unread.
    more: bool,
    stopping: bool,
    stopped: bool,
    started: bool,
    realtime: Realtime,
    signs: Signs,
    /// The supervisor is looking who may take addresses away.
    seeks_culprits: bool,
    /// State files that were asked for before the start.
    asked_early: Vec<StateFile>,
}

impl Reactor {
    /// Opens everything that does not depend on interfaces. Needs a tokio
    /// runtime, `CAP_NET_RAW` and `CAP_NET_ADMIN`.
    pub fn new(channel: OwnedFd, mut settings: Settings, config: Config) -> io::Result<Self> {
        let channel = WorkerEnd::new(channel);
        let signals = Signals::open()?;
        let mailer = Mailer::start(&config.globals, &process::host_name())?;
        let mut fifos = fifo::Writer::start()?;
        for Handed { which, path, fd } in settings.fifos.drain(..) {
            fifos.follow(which, &path, fd);
        }
        let state_files = state_files::Writer::start(settings.around.clone())?;
        let (ask, views_wanted) = mpsc::unbounded_channel();
        let events = status::server::start(settings.status.take(), ask.clone())?;
        let mut metrics = Metrics::new(ask);
        metrics.follow(&config.globals.metrics_listen)?;
        let about = Arc::new(std::mem::take(&mut settings.about));
        let firewall = nftables::Options::from(&config.globals.firewall);
        let (netlink, reports) = Handle::start_with(&config.globals.buffers, firewall)?;
        let (mut watcher, findings) = Watcher::new();
        watcher.take_connector(settings.elsewhere.take());
        watcher.watch(&config, settings.is_first)?;
        // All threads are there: none of them begins in real time.
        let mut realtime = Realtime::new(vec![Thread::current(), netlink.thread()]);
        realtime.follow(&config.globals.processes);
        Ok(Self {
            engine: Engine::new(config),
            settings,
            // SAFETY: the descriptor is owned by what is registered and is open as long as that.
            channel: unsafe { AsyncFd::register(channel) }?,
            // SAFETY: as above.
            signals: unsafe { AsyncFd::register(signals) }?,
            timer: Timer::new()?,
            receivers: Receivers::new()?,
            sender: Sender::open()?,
            arp: ArpSender::open()?,
            netlink,
            reports,
            watcher,
            findings,
            finding: None,
            mailer,
            fifos,
            state_files,
            teller: Teller::default(),
            standings_due: false,
            about,
            refusals: BTreeMap::new(),
            skipped: BTreeMap::new(),
            views_wanted,
            events,
            view_wanted: None,
            metrics,
            buffer: vec![0; DATAGRAM_MAX],
            wall: None,
            states_due: false,
            has_freed: false,
            more: false,
            stopping: false,
            stopped: false,
            started: false,
            realtime,
            signs: Signs::default(),
            seeks_culprits: false,
            asked_early: Vec::new(),
        })
    }

    /// Runs until the engine has stopped.
    pub async fn run(mut self) -> io::Result<()> {
        while !self.stopped {
            let woken = self.wait().await?;
            // Before anything that happened puts it off.
            if let Some(due) = self.engine.deadline() {
                self.realtime.late(now().since(due));
            }
            self.follow_wall_clock();
            self.more = self.drain_sockets()?;
            let is_alone = matches!(woken, Woken::TimeOrAdvert)
                && self.reports.is_empty()
                && self.findings.is_empty();
            if !is_alone {
                if let Woken::Report(report) = woken {
                    self.report(report)?;
                }
                self.drain_reports()?;
                self.drain_findings()?;
                self.drain_signals();
                self.drain_channel()?;
                // Once more: a reload, or a new socket, may have taken its time.
                self.more |= self.drain_sockets()?;
            }
            let now = now();
            self.engine.expire(now, &mut self.sender);
            self.act()?;
            self.hand_over_view();
            self.tell_orders();
            self.give_signs(now)?;
            let due = self.engine.deadline();
            let sign_at = self.signs.deadline();
            self.timer
                .arm(Some(due.map_or(sign_at, |due| due.min(sign_at))))?;
        }
        self.netlink.finish(self.settings.keep_addresses);
        self.metrics.finish(FILES_LIMIT);
        self.events.finish(FILES_LIMIT);
        self.fifos.finish(FILES_LIMIT);
        self.state_files.finish(FILES_LIMIT);
        if !self.mailer.finish(MAIL_LIMIT) {
            tracing::warn!("Mail was still waiting at the end and is lost");
        }
        Ok(())
    }

    /// Says that we turn, and what has become of the instances. A supervisor that
    /// does not read needs no more to read.
    fn give_signs(&mut self, now: Instant) -> io::Result<()> {
        if self.signs.life_is_due(now) {
            self.settings.lifeline.put_off(LIFE_SPAN)?;
        }
        if self.channel.get_ref().is_waiting() {
            self.signs.put_off(now);
            return Ok(());
        }
        if std::mem::take(&mut self.standings_due) || self.signs.states_are_due(now) {
            self.tell_standings();
        }
        if let Some(line) = self.signs.states(now, &self.engine) {
            self.tell(&ToSupervisor::States(line));
        }
        Ok(())
    }

    /// Until something happened. What woke us is looked at by the turn; only a
    /// report has been taken out already. Of several things one at random is told, and
    /// the others the next time.
    async fn wait(&mut self) -> io::Result<Woken> {
        if self.more {
            return Ok(Woken::Other);
        }
        let is_waiting = self.channel.get_ref().is_waiting();
        tokio::select! {
            // Readiness is cleared before the turn reads until nothing is left:
            // whatever comes later wakes us again.
            ready = self.receivers.readable() => ready.map(|()| Woken::TimeOrAdvert),
            ready = self.channel.readable() => ready.map(|mut guard| guard.clear_ready()).map(|()| Woken::Other),
            ready = self.channel.writable(), if is_waiting => ready.map(|mut guard| guard.clear_ready()).map(|()| Woken::Other),
            ready = self.signals.readable() => ready.map(|mut guard| guard.clear_ready()).map(|()| Woken::Other),
            Some(report) = self.reports.recv() => Ok(Woken::Report(report)),
            Some(finding) = self.findings.recv() => {
                self.finding = Some(finding);
                Ok(Woken::Other)
            }
            Some(wanted) = self.views_wanted.recv() => {
                self.view_wanted = Some(wanted);
                Ok(Woken::Other)
            }
            fired = self.timer.expired() => fired.map(|()| Woken::TimeOrAdvert),
        }
    }

    /// Reads all sockets; returns whether something may be left.
    fn drain_sockets(&mut self) -> io::Result<bool> {
        for _ in 0..ROUNDS_MAX {
            let more = self.read_sockets()?;
            self.act()?;
            if !more {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads each socket that has something until it is empty or the next has its turn;
    /// returns whether anything was there.
    fn read_sockets(&mut self) -> io::Result<bool> {
        let count = self.receivers.look()?;
        for place in 0..count {
            let Some(((on, ..), receiver)) = self.receivers.found(place) else {
                continue;
            };
            for _ in 0..DATAGRAMS_PER_SOCKET {
                let (length, envelope) = match receiver.receive(&mut self.buffer) {
                    Ok(Some(received)) => received,
                    Ok(None) => break,
                    Err(error) => {
                        // The link went down, say. It is told by netlink.
                        tracing::debug!("recvmsg on interface {}: {error}", on.0);
                        break;
                    }
                };
                let bytes = self.buffer.get(..length).unwrap_or_default();
                let event = Event::Datagram(Datagram {
                    on,
                    envelope,
                    bytes,
                });
                self.engine.event(now(), event, &mut self.sender);
            }
        }
        Ok(count > 0)
    }

    /// Looks at the sockets and at the deadlines amidst other work that takes long.
    /// What follows from that joins the queue of actions.
    fn expire_between(&mut self) -> io::Result<()> {
        for _ in 0..ROUNDS_MAX {
            if !self.read_sockets()? {
                break;
            }
        }
        self.engine.expire(now(), &mut self.sender);
        Ok(())
    }

    /// Tells the engine when the wall clock was set. In each turn, since that
    /// costs less than to be told by the kernel.
    fn follow_wall_clock(&mut self) {
        let (now, unix_us) = (now(), epoch_us());
        let expected_us = self.wall.map(|wall| wall.unix_us(now));
        if expected_us.is_none_or(|it| it.abs_diff(unix_us) > WALL_CLOCK_ERROR_MAX.as_us()) {
            let wall = WallClock::new(now, unix_us);
            self.wall = Some(wall);
            self.engine
                .event(now, Event::WallClock(wall), &mut self.sender);
        }
    }

    fn drain_reports(&mut self) -> io::Result<()> {
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
    fn drain_findings(&mut self) -> io::Result<()> {
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

    /// Whether what waits in a queue has to wait longer. Each queue gives one before
    /// that is asked, so that a daemon that is always late still hears everything.
    fn is_deadline_urgent(&self) -> bool {
        let late = self.engine.deadline().map(|at| now().since(at));
        late.is_some_and(|late| late > DEADLINE_WAITS_MAX && late < STOOD_STILL_MIN)
    }

    fn report(&mut self, report: Report) -> io::Result<()> {
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

    fn begin(&mut self, now: Instant) {
        // In whole seconds: the first start is not to look like a late one.
        let daemon_s = now.since(self.settings.began).as_secs();
        let up = Uptime {
            daemon: Interval::from_secs(daemon_s),
            machine: machine_uptime(),
        };
        let tx = &mut self.sender;
        self.engine.restore_orders(now, &self.settings.orders, tx);
        self.engine.event(now, Event::Uptime(up), tx);
        self.engine.event(now, Event::Command(Command::Start), tx);
    }

    fn drain_signals(&mut self) {
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

    fn drain_channel(&mut self) -> io::Result<()> {
        if let Err(error) = self.channel.get_mut().flush() {
            self.channel_failed(error);
        }
        for _ in 0..QUEUE_PER_TURN {
            match self.channel.get_mut().receive() {
                Ok(None) => return Ok(()),
                Ok(Some((message, descriptor))) => self.message(message, descriptor),
                Err(ChannelError::Closed) => {
                    self.stop();
                    return Ok(());
                }
                Err(error) => self.channel_failed(error),
            }
            self.act()?;
            if std::mem::take(&mut self.states_due) {
                self.write_states();
            }
            // That takes its time, and has waited for what the engine wants done.
            if std::mem::take(&mut self.has_freed) {
                memory::give_back();
            }
            if self.is_deadline_urgent() {
                break;
            }
        }
        self.more = true;
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
                let answer = match self.reload(descriptor) {
                    Ok(()) => ToSupervisor::Reloaded,
                    Err(error) => ToSupervisor::ReloadFailed(error.to_string()),
                };
                self.tell(&answer);
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
    fn tell_orders(&mut self) {
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

    fn reload(&mut self, sources: Option<OwnedFd>) -> io::Result<()> {
        let sources = sources.ok_or(io::ErrorKind::InvalidInput)?;
        let config = self.settings.text.read(sources)?.config;
        if let Err(error) = self.watch_for(&config) {
            self.watch_again();
            return Err(error);
        }
        process::follow_globals(Part::Worker, &config.globals, self.settings.around.umask);
        self.mailer.configure(&config.globals);
        self.realtime.follow(&config.globals.processes);
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
    fn tell_standings(&mut self) {
        if self.started && self.engine.config().globals.dbus.enabled {
            for message in self.teller.differences(&self.engine) {
                self.tell(&message);
            }
        }
    }

    /// Shows the state on the status socket: its thread does the rest.
    fn hand_over_view(&mut self) {
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

    fn stop(&mut self) {
        if !self.stopping {
            self.stopping = true;
            let event = Event::Command(Command::Stop);
            self.engine.event(now(), event, &mut self.sender);
        }
    }

    /// Carries out what the engine asks for.
    fn act(&mut self) -> io::Result<()> {
        while let Some(action) = self.engine.poll() {
            match action {
                Action::Listen {
                    on,
                    family,
                    carrier,
                    group,
                } => self.listen((on, family, carrier), group)?,
                Action::Leave {
                    on,
                    family,
                    carrier,
                    group,
                } => self.leave((on, family, carrier), group),
                Action::Relisten { on } => self.listen_anew(on),
                Action::Unlisten {
                    on,
                    family,
                    carrier,
                } => {
                    self.receivers.remove((on, family, carrier));
                }
                Action::Kernel { token, operations } => self.kernel(token, operations),
                Action::Announce {
                    on,
                    mac,
                    address,
                    router,
                } => self.announce(on, mac, address, router),
                Action::Run { id, command } => self.tell(&ToSupervisor::RunScript { id, command }),
                Action::End(id) => self.tell(&ToSupervisor::EndScript { id }),
                Action::Notify(notification) => self.notify(&notification),
                Action::NotifyGroup(notification) => self.notify_group(&notification),
                Action::NotifyLowerPriority(told) => self.notify_lower_priority(&told),
                Action::NotifyPriority(told) => self.fifos.write(&fifo::line_of_priority(&told)),
                Action::FindCulprits => self.find_culprits(),
                Action::Log(line) => {
                    self.events.tell(|| events::Event::of_line(&line));
                    log(&line);
                }
                Action::Ready => {
                    self.signs.changed(now());
                    self.standings_due = true;
                    self.tell(&ToSupervisor::Ready);
                }
                Action::Stopped => {
                    self.tell(&ToSupervisor::Stopped);
                    self.stopped = true;
                }
            }
            if self.is_deadline_urgent() {
                self.expire_between()?;
            }
        }
        Ok(())
    }

    /// An instance that cannot hear must not run: every error but a vanished
    /// interface ends the worker.
    fn listen(&mut self, key: Key, group: Option<IpAddr>) -> io::Result<()> {
        let (on, family, carrier) = key;
        let opened = match (self.receivers.get_mut(key), group) {
            (Some(receiver), Some(group)) => receiver.join(group),
            (Some(_), None) => Ok(()),
            (None, group) => Receiver::open(on, family, carrier, group)
                .and_then(|receiver| self.receivers.insert(key, receiver))
                .map(|()| self.set_buffer(key)),
        };
        match opened {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
            other => {
                // What came in meanwhile is read before the next deadline.
                self.more = true;
                other.inspect_err(|error| self.tell_of_deafness(on, error))
            }
        }
    }

    /// Says why the worker ends, and the way out.
    fn tell_of_deafness(&self, on: IfIndex, error: &io::Error) {
        let interface = self.engine.interface_at(on);
        let name = interface.map_or("any", |interface| interface.name.as_str());
        let help = match error.raw_os_error() {
            Some(libc::EMFILE) => format!(
                "; {} may be open, and each virtual MAC takes one: raise the hard limit \
                 (LimitNOFILE= of the service, ulimit -Hn)",
                process::files_max()
            ),
            _ => String::new(),
        };
        tracing::error!("Unable to listen on interface {name}: {error}{help}");
    }

    /// Gives a receive socket the buffer that the configuration asks for.
    fn set_buffer(&self, key: Key) {
        let Some(receiver) = self.receivers.get(key) else {
            return;
        };
        let interface = self.engine.interface_at(key.0);
        let mtu = interface.map_or(DEFAULT_MTU, |interface| interface.mtu);
        let bytes = receive_bytes(self.engine.config(), mtu, |instance| {
            // One without an interface is heard wherever it has an address.
            interface.is_none_or(|it| self.engine.is_on(instance, it)) && instance.family() == key.1
        });
        if let Err(error) = receiver.set_buffer(bytes) {
            tracing::info!("Unable to set a receive buffer of {bytes} bytes: {error}");
        }
    }

    /// Where the interface has lost an address family, groups are joined again when it is
    /// back, which is told, too.
    fn listen_anew(&self, on: IfIndex) {
        for (key, receiver) in self.receivers.iter().filter(|(key, _)| key.0 == on) {
            if let Err(error) = receiver.join_anew() {
                tracing::info!("Unable to listen anew on interface {}: {error}", on.0);
            }
            self.set_buffer(key);
        }
    }

    fn leave(&mut self, key: Key, group: IpAddr) {
        if let Some(Err(error)) = self.receivers.get_mut(key).map(|it| it.leave(group)) {
            tracing::info!(
                "Unable to leave group {group} on interface {}: {error}",
                key.0.0
            );
        }
    }

    fn kernel(&mut self, token: Token, mut operations: Vec<Operation>) {
        if self.stopping && self.settings.keep_addresses {
            operations.retain(Operation::adds);
        }
        for operation in &operations {
            if let Operation::Promote { on } = operation {
                self.note_promotion(*on);
            }
        }
        self.netlink.carry_out(token, operations);
    }

    /// The supervisor knows the interfaces that were there when it read the
    /// configuration; this one may have come later.
    fn note_promotion(&mut self, on: IfIndex) {
        let interface = self.engine.interface_at(on);
        if interface.is_some_and(|interface| settings::promotes(&interface.name) == Some(false)) {
            self.tell(&ToSupervisor::Promotes(on.0));
        }
    }

    fn announce(&mut self, on: IfIndex, mac: MacAddress, address: IpAddr, router: bool) {
        let (sent, what) = match address {
            IpAddr::V4(address) => {
                let frame = gratuitous_arp(mac, address);
                (self.arp.send(on, &frame), "gratuitous ARP")
            }
            IpAddr::V6(address) => {
                let frame = neighbour_advert(mac, address, router);
                (self.arp.send(on, &frame), "unsolicited Neighbour Advert")
            }
        };
        if let Err(errno) = sent {
            tracing::info!(
                "Error {} ({errno}) sending {what} on interface {} for {address}",
                errno.0,
                on.0
            );
        }
    }

    /// One look is enough for all who ask meanwhile.
    fn find_culprits(&mut self) {
        if !std::mem::replace(&mut self.seeks_culprits, true) {
            self.tell(&ToSupervisor::FindCulprits);
        }
    }

    fn notify(&mut self, told: &Notification) {
        self.signs.changed(now());
        if self.engine.config().globals.dbus.enabled {
            let message = self.teller.announced(told);
            self.tell(&message);
        }
        self.events.tell(|| Some(events::Event::of_state(told)));
        self.mailer.send(told);
        self.run_notify(notices::of_instance(told));
        self.fifos.write(&fifo::line_of(told));
    }

    fn notify_group(&mut self, told: &GroupNotification) {
        self.events.tell(|| Some(events::Event::of_group(told)));
        self.mailer.send_group(told);
        self.run_notify(notices::of_group(told));
        self.fifos.write(&fifo::line_of_group(told));
    }

    /// Besides the FIFOs only the script for it is told, without arguments
    /// (specification F.4).
    fn notify_lower_priority(&mut self, told: &LowerPriorityHeard) {
        self.run_notify(notices::of_lower_priority(told));
        self.fifos.write(&fifo::line_of_lower_priority(told));
    }

    fn run_notify(&mut self, notice: Option<Notice>) {
        if let Some(notice) = notice {
            self.tell(&ToSupervisor::RunNotify(notice));
        }
    }

    fn tell(&mut self, message: &ToSupervisor) {
        if let Err(error) = self.channel.get_mut().send(message, None) {
            self.channel_failed(error);
        }
    }

    fn channel_failed(&mut self, error: ChannelError) {
        match error {
            // Nobody is left to run scripts or to clean up after us.
            ChannelError::Closed => self.stop(),
            other => tracing::error!("Unable to speak to the supervisor: {other}"),
        }
    }
}

fn log(line: &LogLine) {
    if line.is_detail() {
        tracing::debug!("{line}");
    } else {
        tracing::info!("{line}");
    }
}
