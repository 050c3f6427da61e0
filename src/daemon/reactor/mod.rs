//! THE loop of the worker: everything that happens goes into the engine here,
//! and everything that the engine asks for goes out.
//!
//! Decides one thing only: the order within a turn. Receive sockets come
//! first, so that an advert that is already here is seen before its absence is
//! acted upon; deadlines come after. Nothing in a turn waits for a peer, a disk
//! or a script; joining a group may wait a moment for the kernel's lock. What comes in is
//! in `inputs.rs`, what goes out in `outputs.rs`.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::{self, UnboundedReceiver};

use crate::config::model::Config;
use crate::ids::ScriptId;
use crate::system::clock::{Timer, epoch_us, machine_uptime, now};
use crate::system::fifo;
use crate::system::lifeline::Lifeline;
use crate::system::mail::Mailer;
use crate::system::memory;
use crate::system::netlink::{Handle, Report, nftables};
use crate::system::realtime::{Realtime, Thread};
use crate::system::signals::Signals;
use crate::system::sockets::arp::ArpSender;
use crate::system::sockets::receivers::{FOUND_MAX, Receivers};
use crate::system::sockets::tx::Sender;
use crate::system::watch::{self, Watcher};
use crate::time::{Instant, Interval, WallClock};
use crate::vrrp::engine::Engine;
use crate::vrrp::event::{Command, Datagram, Event, Uptime};
use crate::vrrp::log_lines::LogLine;
use crate::vrrp::orders::StandingOrders;

use super::ahead::Ahead;
use super::bus::teller::Teller;
use super::channel::{ChannelError, Owner, ToSupervisor, WorkerEnd};
use super::fifos::Handed;
use super::metrics::Metrics;
use super::process::{self};
use super::signs::{LIFE_SPAN, Signs};
use super::state_files::{self, StateFile, Surroundings};
use super::status::server::ViewWanted;
use super::status::{self, About, events};
use super::worker::Text;

use stand_by::{LEAD, StandBy};

mod inputs;
mod outputs;
mod stand_by;

/// Longer than any IPv4 datagram.
const DATAGRAM_MAX: usize = 65_536;

/// Datagrams taken from one socket before the others have their turn.
const DATAGRAMS_PER_SOCKET: usize = 64;

/// Rounds over all sockets before deadlines are looked at even if more waits:
/// a flood must not stop our own adverts.
const ROUNDS_MAX: usize = 8;

/// Whoever reads the sockets for longer looks once more whether something has come.
const ROUND_SHORT: Interval = Interval::from_us(200);

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

/// Not with a limit that ends a process which does not sleep (`vrrp_rlimit_rttime`).
fn may_stay_awake(config: &Config) -> bool {
    config.globals.processes.vrrp.realtime_limit.is_none()
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
    /// The configuration that may be gone over to.
    ahead: Ahead,
    buffer: Vec<u8>,
    /// What the engine was told last.
    wall: Option<WallClock>,
    /// A reload is over, and the FIFOs are to get all states.
    states_due: bool,
    /// A reload has freed much memory.
    has_freed: bool,
    /// What goes to the log once all else that was asked for is under way.
    lines: Vec<LogLine>,
    /// What had come in by then has been read, unless there is more of it.
    looked_at: Instant,
    /// The last turn left something unread.
    more: bool,
    stopping: bool,
    stopped: bool,
    started: bool,
    realtime: Realtime,
    stand_by: StandBy,
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
        let may_stay_awake = may_stay_awake(&config);
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
            ahead: Ahead::default(),
            buffer: vec![0; DATAGRAM_MAX],
            wall: None,
            states_due: false,
            has_freed: false,
            lines: Vec::new(),
            looked_at: Instant::ZERO,
            more: false,
            stopping: false,
            stopped: false,
            started: false,
            stand_by: StandBy::new(may_stay_awake),
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
            // As of when the sockets were looked at, whatever has held us up since: an
            // advert that came meanwhile has yet to be read.
            let now = self.looked_at;
            self.engine.expire(now, &mut self.sender);
            self.act()?;
            self.hand_over_view();
            self.tell_orders();
            self.give_signs(now)?;
            if self.signs.has_calmed_down(now) {
                self.engine.shrink();
                memory::give_back_what_was_freed();
            }
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
        if self.stays_awake() {
            return Ok(Woken::TimeOrAdvert);
        }
        self.timer.arm(Some(self.wake_at()))?;
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
            () = self.ahead.is_read() => Ok(Woken::Other),
            fired = self.timer.expired() => fired.map(|()| Woken::TimeOrAdvert),
        }
    }

    /// Whether a takeover is so near that the next turn follows at once.
    fn stays_awake(&mut self) -> bool {
        let now = now();
        let takeover = self.engine.takeover_by(now + LEAD);
        let goes_on = self.stand_by.goes_on(now, takeover);
        if self.stand_by.calls(now, takeover) {
            self.netlink.wake_up();
        }
        goes_on
    }

    /// When the next turn is due.
    fn wake_at(&self) -> Instant {
        let sign_at = self.signs.deadline();
        self.engine.deadline().map_or(sign_at, |due| {
            let wake_at = if self.engine.is_takeover_next() {
                self.stand_by.before(due)
            } else {
                due
            };
            wake_at.min(sign_at)
        })
    }

    /// Reads all sockets; returns whether something may be left. What comes while a round
    /// takes its time is read before a deadline is looked at, too.
    fn drain_sockets(&mut self) -> io::Result<bool> {
        for _ in 0..ROUNDS_MAX {
            self.looked_at = now();
            let more = self.read_sockets()?;
            self.act()?;
            if !more && now().since(self.looked_at) <= ROUND_SHORT {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads each socket that has something until it is empty or the next has its turn;
    /// returns whether something was left.
    fn read_sockets(&mut self) -> io::Result<bool> {
        let count = self.receivers.look()?;
        let mut left = count >= FOUND_MAX;
        for place in 0..count {
            let Some(((on, ..), receiver)) = self.receivers.found(place) else {
                continue;
            };
            for number in 1..=DATAGRAMS_PER_SOCKET {
                let (length, envelope) = match receiver.receive(&mut self.buffer) {
                    Ok(Some(received)) => received,
                    Ok(None) => break,
                    Err(error) => {
                        // The link went down, say. It is told by netlink.
                        tracing::debug!("recvmsg on interface {}: {error}", on.0);
                        break;
                    }
                };
                left |= number == DATAGRAMS_PER_SOCKET;
                let bytes = self.buffer.get(..length).unwrap_or_default();
                let event = Event::Datagram(Datagram {
                    on,
                    envelope,
                    bytes,
                });
                self.engine.event(now(), event, &mut self.sender);
            }
        }
        Ok(left)
    }

    /// Looks at the sockets and at the deadlines amidst other work that takes long.
    /// What follows from that joins the queue of actions.
    fn expire_between(&mut self) -> io::Result<()> {
        for _ in 0..ROUNDS_MAX {
            self.looked_at = now();
            if !self.read_sockets()? {
                break;
            }
        }
        self.engine.expire(self.looked_at, &mut self.sender);
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

    /// Whether what waits in a queue has to wait longer. Each queue gives one before
    /// that is asked, so that a daemon that is always late still hears everything.
    fn is_deadline_urgent(&self) -> bool {
        let late = self.engine.deadline().map(|at| now().since(at));
        late.is_some_and(|late| late > DEADLINE_WAITS_MAX && late < STOOD_STILL_MIN)
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

    fn stop(&mut self) {
        if !self.stopping {
            self.stopping = true;
            let event = Event::Command(Command::Stop);
            self.engine.event(now(), event, &mut self.sender);
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
