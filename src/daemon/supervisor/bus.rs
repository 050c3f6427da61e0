//! The D-Bus service: its birth and its end, what it is told and what it asks for.
//!
//! Decides when there is one, and that nobody waits for it: one that does not read is
//! killed, one that dies is replaced. What it does is decided in `daemon/bus/`.
//!
//! Source: specification E.12.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::poll::{PollFd, PollFlags};

use super::super::bus::service::{self, BUILT_IN};
use super::super::bus::{
    FromService, Happening, Member, Receipt, Settings, SupervisorEnd, ToService,
};
use super::super::channel::{self, ChannelError, ToWorker};
use super::super::process;
use super::children::close_in_child;
use super::{Phase, Supervisor};
use crate::system::clock::now;
use crate::time::{Instant, Interval};
use crate::vrrp::event::Outcome;

/// The service in the log.
const SERVICE: &str = "Keepalived_dbus";

/// How long a stop waits until the service has said so on the bus.
const STOP_LIMIT: Interval = Interval::from_secs(1);

/// How long one that died is waited with; twice as long each time, up to the second.
const DELAY_MIN: Interval = Interval::from_secs(1);
const DELAY_MAX: Interval = Interval::from_secs(60);

/// A service that lived as long is replaced without a longer delay.
const LONG_LIFE: Interval = Interval::from_secs(60);

/// Orders that are taken in one turn.
const ORDERS_PER_TURN: usize = 16;

/// The service, if the configuration wants one.
#[derive(Debug)]
pub(super) struct Bus {
    wanted: Option<Settings>,
    running: Option<Running>,
    /// When one that died is replaced.
    start_at: Option<Instant>,
    delay: Interval,
    /// It was told of the stop; how long we wait for it.
    stop_until: Option<Instant>,
}

#[derive(Debug)]
struct Running {
    process: i32,
    channel: SupervisorEnd,
    listening: bool,
    started: Instant,
}

impl Default for Bus {
    fn default() -> Self {
        Self {
            wanted: None,
            running: None,
            start_at: None,
            delay: DELAY_MIN,
            stop_until: None,
        }
    }
}

impl Bus {
    /// What to poll for.
    pub(super) fn poll_fd(&self) -> Option<PollFd<'_>> {
        let running = self.running.as_ref().filter(|it| it.listening)?;
        let mut flags = PollFlags::POLLIN;
        flags.set(PollFlags::POLLOUT, running.channel.is_waiting());
        Some(PollFd::new(running.channel.as_fd(), flags))
    }

    /// When there is something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let stop = self.stop_until.filter(|_| self.running.is_some());
        [self.start_at, stop].into_iter().flatten().min()
    }

    /// What another child closes.
    pub(super) fn as_raw_fd(&self) -> Option<RawFd> {
        self.running.as_ref().map(|it| it.channel.as_raw_fd())
    }

    /// Tells the service something, if there is one.
    pub(super) fn tell(&mut self, message: &ToService, file: Option<BorrowedFd<'_>>) {
        let Some(running) = &mut self.running else {
            return;
        };
        match running.channel.send(message, file) {
            Ok(()) | Err(ChannelError::Closed) => {}
            Err(ChannelError::Full) => {
                tracing::error!("{SERVICE} does not read - forcing termination");
                process::send_signal(running.process, libc::SIGKILL);
            }
            Err(error) => tracing::error!("Message to {SERVICE} dropped: {error}"),
        }
    }

    /// Something happened to the daemon as a whole.
    pub(super) fn happened(&mut self, happening: Happening) {
        self.tell(&ToService::Happened(happening), None);
    }

    /// The process that does VRRP is gone.
    pub(super) fn worker_is_gone(&mut self) {
        self.tell(&ToService::NobodyStands, None);
    }

    /// A child has ended; whether it was the service.
    pub(super) fn ended(&mut self, process: i32, outcome: Outcome, is_stopping: bool) -> bool {
        let Some(running) = self.running.take_if(|it| it.process == process) else {
            return false;
        };
        if !is_stopping {
            tracing::error!("{SERVICE} process({process}) died: {outcome:?}");
            let now = now();
            if now.since(running.started) >= LONG_LIFE {
                self.delay = DELAY_MIN;
            }
            self.start_at = Some(now + self.delay);
            self.delay = self.delay.times(2).min(DELAY_MAX);
        }
        true
    }

    /// Tells the service of the end; whether nobody has to wait for it any more.
    pub(super) fn is_stopped(&mut self) -> bool {
        let Some(running) = &self.running else {
            return true;
        };
        let (process, now) = (running.process, now());
        match self.stop_until {
            None => {
                self.stop_until = Some(now + STOP_LIMIT);
                self.happened(Happening::Stopped);
                false
            }
            Some(until) if until <= now => {
                process::send_signal(process, libc::SIGKILL);
                true
            }
            Some(_) => false,
        }
    }

    fn next_order(&mut self) -> Option<(FromService, Option<OwnedFd>)> {
        let running = self.running.as_mut()?;
        while running.listening {
            match running.channel.receive() {
                Ok(order) => return order,
                Err(ChannelError::Closed | ChannelError::System(_)) => running.listening = false,
                Err(error) => tracing::error!("Message of {SERVICE} dropped: {error}"),
            }
        }
        None
    }
}

impl Supervisor<'_> {
    /// Goes over to what the configuration that runs says: at the start, and at each
    /// reload.
    pub(super) fn follow_bus(&mut self) {
        let (namespace, instance) = (&self.settings.namespace, &self.settings.instance);
        let dbus = &self.good.config.globals.dbus;
        let wanted = Settings::of(dbus, namespace.as_deref(), instance.as_deref());
        let wanted = wanted.filter(|_| self.wants_worker());
        if wanted != self.bus.wanted {
            // One that runs ends when it sees that nobody speaks to it any more.
            self.bus = Bus {
                wanted,
                ..Bus::default()
            };
            match self.bus.wanted {
                Some(_) if !BUILT_IN => {
                    tracing::error!("enable_dbus: this program was built without D-Bus");
                }
                Some(_) => self.start_bus(),
                None => {}
            }
        } else {
            self.tell_members();
        }
    }

    fn start_bus(&mut self) {
        self.bus.start_at = None;
        let Some(settings) = self.bus.wanted.clone() else {
            return;
        };
        let started = channel::pair().and_then(|(ours, theirs)| {
            let mut not_for_it = self.not_for_service();
            not_for_it.push(ours.as_raw_fd());
            let process = process::fork_child(move || {
                close_in_child(&not_for_it);
                service::run(theirs, &settings)
            })?;
            Ok(Running {
                process,
                channel: SupervisorEnd::new(ours),
                listening: true,
                started: now(),
            })
        });
        match started {
            Ok(running) => {
                self.bus.running = Some(running);
                self.tell_members();
                self.tell(&ToWorker::TellStandings);
            }
            Err(error) => {
                tracing::error!("Unable to start {SERVICE}: {error}");
                self.bus.start_at = Some(now() + DELAY_MAX);
            }
        }
    }

    /// All that other children get as well: the notify FIFOs end, and the worker's pid
    /// file is free, when those are gone whom they belong to.
    fn not_for_service(&self) -> Vec<RawFd> {
        let mut fds = self.not_for_children();
        fds.extend(self.fifos.raw_fds());
        fds.extend(self.pid_files.worker.as_ref().map(AsRawFd::as_raw_fd));
        if let Phase::Working(worker) = &self.phase {
            fds.push(worker.channel.as_raw_fd());
        }
        fds
    }

    fn tell_members(&mut self) {
        let instances = self.good.config.instances.iter();
        let members: Vec<Member> = instances.map(|it| Member::from(&***it)).collect();
        let file = serde_json::to_vec(&members)
            .map_err(std::io::Error::from)
            .and_then(|text| process::memory_file(&text));
        match file {
            Ok(file) => self.bus.tell(&ToService::Members, Some(file.as_fd())),
            Err(error) => tracing::error!("Unable to tell {SERVICE} of instances: {error}"),
        }
    }

    /// What is due: a service that is to be replaced, orders that it passes on.
    pub(super) fn look_after_bus(&mut self, now: Instant) {
        if self.stop.is_none() && self.bus.start_at.is_some_and(|at| at <= now) {
            self.start_bus();
        }
        if let Some(running) = &mut self.bus.running {
            // That it is gone is seen when it is waited for.
            let _ = running.channel.flush();
        }
        for _ in 0..ORDERS_PER_TURN {
            let Some((order, receipt)) = self.bus.next_order() else {
                return;
            };
            // Without a word the receipt is closed, and the caller hears that it was not
            // done.
            if self.stop.is_none() {
                self.carry_out(order, receipt);
            }
        }
    }

    fn carry_out(&mut self, order: FromService, receipt: Option<OwnedFd>) {
        let message = match order {
            FromService::Show(file) => ToWorker::Show(file),
            FromService::Announce(name) => ToWorker::Announce(name),
            FromService::Reload => {
                self.ask_reload();
                if let Some(receipt) = receipt {
                    Receipt::new(receipt).done();
                }
                return;
            }
        };
        if let Phase::Working(worker) = &mut self.phase {
            let receipt = receipt.as_ref().map(AsFd::as_fd);
            // Nobody but the caller has to hear that it did not get through.
            let _ = worker.channel.send(&message, receipt);
        }
    }
}
