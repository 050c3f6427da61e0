//! All instances, scripts and deadlines of one daemon.
//!
//! The caller owns the clock and the world. It calls, in any order:
//! [`Engine::event`] for what happened, [`Engine::expire`] when
//! [`Engine::deadline`] has come (after it has emptied its sockets),
//! [`Engine::apply`] for a new configuration, [`Engine::order`] for what an administrator
//! orders; and after each of these
//! [`Engine::poll`] until it returns `None`. Adverts leave at once through
//! [`Transmit`]; everything else waits in that queue. Nothing is lazy: what a
//! call decides has been decided when it returns.
//!
//! Decides when scripts run and which instance a datagram is for; what an
//! instance does is in `instance/mod.rs`, how long the first start is put off in
//! `startup.rs`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use crate::config::model::{Config, Instance, SharedInstance};
use crate::ids::{IfIndex, InstanceId, Priority};
use crate::time::{Instant, WallClock};
use crate::wire::advert::{Family, IP_PROTOCOL, Packet};
use crate::wire::auth::ah;
use crate::wire::frames::Ipv4Datagram;

use super::action::{Action, Transmit};
use super::authentication::SignedDatagram;
use super::contention::Contended;
use super::election::rank;
use super::event::{Command, Datagram, Envelope, Event, InterfaceState, Uptime};
use super::garp::{self, Pacer};
use super::instance::{Context, Purpose, Requests, Running, Sender, TimerKey};
use super::interfaces::Interfaces;
use super::lateness::Lateness;
use super::link_states::LinkStates;
use super::log_lines::{InstanceLine, LogLine};
use super::peers::claims;
use super::receive::{Arrival, check};
use super::snapshot::{InstanceSnapshot, Snapshot};
use super::state_machine::{Effects, Input, State};
use super::statics::Statics;
use super::statistics::Statistics;
use super::sync_group::Group;
use super::timers::Timers;
use super::tracking::{Scripts, Surroundings};
use super::transition::Transitions;
use super::watched::Watched;

mod groups;
mod handover;
mod link_delays;
mod links;
mod lookup;
mod losses;
mod orders;
mod refused;
mod reload;
mod scripts;
mod sockets;
mod startup;
mod statics;
mod surroundings;
mod watched;

use links::Leaving;
use lookup::Lookup;
use refused::Stuck;
use sockets::Sockets;

/// For so many actions there is always room.
const ACTIONS_KEPT: usize = 1024;

/// In boxes: the map keeps room for twice as many as there are, and they are large.
type Instances = BTreeMap<InstanceId, Box<Running>>;

/// The decisions of one daemon.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    instances: Instances,
    /// The sync groups, by name.
    groups: BTreeMap<String, Group>,
    /// Something was told of an instance, or may be due for a group.
    told_changed: bool,
    scripts: Scripts,
    watched: Watched,
    next_instance: u32,
    interfaces: Interfaces,
    links: LinkStates,
    sockets: Sockets,
    /// Every VIP of the configuration.
    vips: BTreeSet<IpAddr>,
    /// Whose they are.
    owners: Lookup<IpAddr>,
    /// The addresses that are to be sent from, as far as they are configured.
    sources: HashSet<IpAddr>,
    timers: Timers<TimerKey>,
    pacer: Pacer,
    requests: Requests,
    statics: Statics,
    leaving: Leaving,
    stuck: Stuck,
    /// Programs that may take addresses away, as found last.
    culprits: Vec<String>,
    actions: VecDeque<Action>,
    phase: Phase,
    wall: WallClock,
    /// How long daemon and machine had been up before the start.
    up: Uptime,
    /// The end of the delay of the first start, until then.
    delayed_until: Option<Instant>,
    /// Orders in force have changed since they were last asked for.
    orders_changed: bool,
    /// An instance may be on another interface than the sockets follow.
    moved: bool,
    /// Datagrams that were for no instance: of another protocol, too short, with a
    /// VRID that nobody here has, or while the first start was put off.
    ignored: u64,
    too_short_logged: bool,
    /// How late the adverts of masters were.
    lateness: Lateness,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Interfaces are being reported.
    New,
    Running,
    Stopping,
    Stopped,
}

/// One instance, as seen from outside.
#[derive(Debug, Clone)]
pub struct InstanceView<'a> {
    /// Its configuration.
    pub config: &'a Instance,
    /// Where it is.
    pub state: State,
    /// Its effective priority.
    pub priority: Priority,
    /// Its counters.
    pub statistics: Statistics,
    /// The master it has last heard.
    pub master: Option<Sender>,
    /// It is MASTER, and so is somebody else.
    pub contended: Option<Contended>,
    /// It cannot hear whether there is a master, and does not take over.
    pub is_deaf: bool,
}

impl Engine {
    /// An engine for `config` that has not begun: report the interfaces, then
    /// give it `Command::Start`.
    pub fn new(config: Config) -> Self {
        let mut engine = Self {
            config: Config::default(),
            instances: BTreeMap::new(),
            groups: BTreeMap::new(),
            told_changed: false,
            scripts: Scripts::default(),
            watched: Watched::default(),
            next_instance: 0,
            interfaces: Interfaces::default(),
            links: LinkStates::default(),
            sockets: Sockets::default(),
            vips: BTreeSet::new(),
            owners: Lookup::default(),
            sources: HashSet::new(),
            timers: Timers::new(),
            pacer: Pacer::default(),
            requests: Requests::default(),
            statics: Statics::default(),
            leaving: Leaving::default(),
            stuck: Stuck::default(),
            culprits: Vec::new(),
            actions: VecDeque::new(),
            phase: Phase::New,
            wall: WallClock::default(),
            up: Uptime::default(),
            delayed_until: None,
            orders_changed: false,
            moved: false,
            ignored: 0,
            too_short_logged: false,
            lateness: Lateness::default(),
        };
        for instance in &config.instances {
            engine.add_instance(instance);
        }
        engine.interfaces.follow_links(&config);
        engine.adopt(Instant::ZERO, config);
        engine
    }

    /// Something happened.
    pub fn event(&mut self, now: Instant, event: Event<'_>, tx: &mut impl Transmit) {
        match event {
            Event::Datagram(datagram) => self.datagram(now, &datagram, tx),
            Event::Interface(state) => self.interface(now, state, tx),
            Event::InterfaceGone(index) => self.interface_gone(now, index, tx),
            Event::AllInterfaces(states) => self.all_interfaces(now, states, tx),
            Event::AddressDuplicate { on, address } => self.address_duplicate(on, address),
            Event::AddressRemoved {
                on,
                address,
                prefix_length,
            } => {
                self.address_removed(now, (on, address, prefix_length), tx);
            }
            Event::WayRemoved(lost) => self.way_removed(now, lost, tx),
            Event::Refused {
                token,
                operation,
                errno,
            } => self.refused(now, token, operation, errno, tx),
            Event::LinkFlawed { link, part, errno } => {
                let link = link.to_owned();
                self.log(LogLine::LinkFlawed { link, part, errno });
            }
            Event::KernelDone { token, result } => {
                if let Some(purpose) = self.requests.finish(token) {
                    self.kernel_done(now, purpose, token, result, tx);
                }
            }
            Event::Script { id, outcome } => self.script_ended(now, id, outcome, tx),
            Event::File { file, value } => self.file_told(now, file, value, tx),
            Event::Linkbeat { interface, up } => self.linkbeat(now, interface, up, tx),
            Event::Processes { process, count } => self.processes_told(now, process, count, tx),
            Event::Culprits(names) => self.culprits_told(now, names, tx),
            Event::WallClock(wall) => self.wall = wall,
            Event::Uptime(up) => self.up = up,
            Event::Command(Command::Start) => self.start(now, tx),
            Event::Command(Command::Stop) => self.stop(now, tx),
        }
        self.settle(now);
    }

    /// Everything that is due at `now`. Empty the sockets first: a master's
    /// advert may be waiting there.
    pub fn expire(&mut self, now: Instant, tx: &mut impl Transmit) {
        while let Some((key, deadline)) = self.timers.pop_due(now) {
            match key {
                TimerKey::Protocol(id) => self.protocol_timer(now, id, deadline, tx),
                TimerKey::SecondBurst(id)
                | TimerKey::Refresh(id)
                | TimerKey::LowerPriorityBurst(id) => {
                    self.one(now, id, tx, |it, cx| it.scheduled_burst(key, cx));
                }
                TimerKey::ExtraInterfaces(id) => {
                    self.one(now, id, tx, Running::extra_burst);
                }
                TimerKey::OwnAddress(id) => {
                    self.one(now, id, tx, Running::announce_source_again);
                }
                TimerKey::Pace(lane) => {
                    if let Some(next) = self.pacer.send_due(lane, now, &mut self.actions) {
                        self.timers.arm(key, next);
                    }
                }
                TimerKey::ScriptStart(id) => self.script_due(id, deadline, now, tx),
                TimerKey::ScriptTimeout(id) => self.script_timed_out(now, id, tx),
                TimerKey::ProcessDelay(id) => self.process_delay_ended(now, id, tx),
                TimerKey::Link(index) => self.link_settled(now, index, tx),
                TimerKey::Rival(id) => {
                    self.one(now, id, tx, |it, cx| it.rival_silent(cx));
                }
                TimerKey::OrderedPriority(id) => self.ordered_priority_ended(now, id, tx),
                TimerKey::LossPause(id) => self.pause_ended(now, id, tx),
                TimerKey::StartupDelay => self.start_delay_ended(now, tx),
                TimerKey::OwnLinks => self.look_at_links(now, tx),
                TimerKey::Refused => self.refused_due(now, tx),
            }
        }
        self.settle(now);
    }

    /// When `expire` is wanted next; never earlier than the `now` of the last call.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// When an instance that hears no master takes over, if that is what is due next, and
    /// by `until`. An advert may still call it off.
    pub fn takeover_by(&mut self, until: Instant) -> Option<Instant> {
        let (key, at) = self.timers.first_by(until)?;
        self.is_takeover(key).then_some(at)
    }

    /// Whether `deadline` may be that of a takeover.
    pub fn is_takeover_next(&self) -> bool {
        self.timers
            .next_key()
            .is_some_and(|it| self.is_takeover(it))
    }

    fn is_takeover(&self, key: TimerKey) -> bool {
        let TimerKey::Protocol(id) = key else {
            return false;
        };
        let instance = self.instances.get(&id);
        instance.is_some_and(|instance| instance.state == State::Backup)
    }

    /// The next thing to do. Call until `None`.
    pub fn poll(&mut self) -> Option<Action> {
        let next = self.actions.pop_front();
        if next.is_none() && self.actions.capacity() > ACTIONS_KEPT {
            // After a takeover of thousands.
            self.actions.shrink_to(ACTIONS_KEPT);
        }
        next
    }

    /// Much has happened, and is over: room that is not needed any more goes back.
    pub fn shrink(&mut self) {
        self.timers.shrink();
    }

    /// The configuration that the engine follows.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// An interface, as it was reported last.
    pub fn interface_at(&self, index: IfIndex) -> Option<&InterfaceState> {
        self.interfaces.get(index)
    }

    /// Whether an instance is on an interface, or on a virtual MAC that this is.
    pub fn is_on(&self, instance: &Instance, interface: &InterfaceState) -> bool {
        let base = self.interfaces.base_of(interface);
        *base.name == *instance.interface
    }

    /// The instances, in the order in which they began.
    pub fn instances(&self) -> impl Iterator<Item = InstanceView<'_>> {
        self.instances.values().map(|running| InstanceView {
            config: &running.config,
            state: running.state,
            priority: running.priority,
            statistics: running.statistics,
            master: running.master,
            contended: running.contended(),
            is_deaf: running.is_deaf(),
        })
    }

    /// Everything that can be seen from outside, at `now`.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let around = Surroundings {
            interfaces: &self.interfaces,
            scripts: &self.scripts,
            watched: &self.watched,
        };
        let mut by_name: HashMap<&str, InstanceSnapshot> = self
            .instances
            .values()
            .map(|running| {
                let timer = self.timers.deadline_of(running.timer());
                let seen = running.snapshot(timer, around);
                (running.config.name.as_str(), seen)
            })
            .collect();
        let instances = self.config.instances.iter();
        let tracked = self.config.scripts.iter();
        Snapshot {
            at: now,
            started: self.phase != Phase::New,
            delayed_until: self.delayed_until,
            instances: instances
                .filter_map(|instance| by_name.remove(instance.name.as_str()))
                .collect(),
            groups: self.group_snapshots(),
            scripts: tracked
                .filter_map(|script| self.scripts.named(&script.name))
                .map(|(id, tracked)| tracked.snapshot(id))
                .collect(),
            files: self.watched.file_snapshots(&self.config),
            processes: self.watched.process_snapshots(&self.config),
            interfaces: self.interfaces.iter().cloned().collect(),
            config: self.config.clone(),
            ignored: self.ignored,
            lateness: self.lateness,
        }
    }

    /// Sets the counters of all instances to zero.
    pub fn clear_statistics(&mut self) {
        for running in self.instances.values_mut() {
            running.statistics = Statistics::default();
            running.transitions = Transitions::default();
        }
    }

    /// Datagrams that were for no instance.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    fn add_instance(&mut self, config: &SharedInstance) -> InstanceId {
        let id = InstanceId(self.next_instance);
        self.next_instance = self.next_instance.saturating_add(1);
        self.instances
            .insert(id, Box::new(Running::new(id, Arc::clone(config))));
        id
    }

    /// Takes over what follows from a configuration as a whole. A script that
    /// is the same in both keeps its results; one that is not wanted any more
    /// is ended.
    fn adopt(&mut self, now: Instant, config: Config) {
        self.vips = reload::vips_of(&config);
        self.owners = losses::owners_of(&self.instances);
        self.sources = surroundings::sources_of(&config);
        self.pacer.configure(&config.garp_groups);
        self.sockets.log_unknown(config.globals.log_unknown_vrids);
        self.adopt_scripts(now, &config.scripts);
        self.adopt_watched(&config);
        self.links.adopt(&config);
        self.adopt_groups(&config);
        self.adopt_track_groups(&config);
        self.config = config;
    }

    fn start(&mut self, now: Instant, tx: &mut impl Transmit) {
        if self.phase != Phase::New {
            return;
        }
        self.phase = Phase::Running;
        self.delay_start(now);
        self.each(now, tx, |instance, cx| instance.remove_leftovers(cx));
        self.follow_statics();
        self.start_scripts(now);
        self.follow_links(now);
        self.evaluate_all(now, tx);
        // The receive sockets are part of being ready.
        self.follow_sockets();
        self.actions.push_back(Action::Ready);
    }

    fn stop(&mut self, now: Instant, tx: &mut impl Transmit) {
        if !matches!(self.phase, Phase::New | Phase::Running) {
            return;
        }
        self.phase = Phase::Stopping;
        self.end_scripts();
        self.each(now, tx, |instance, cx| instance.input(Input::Stop, cx));
        self.remove_statics();
        self.remove_all_links();
    }

    /// What every call ends with: sockets that follow the instances, pacing
    /// that follows the bursts, and the end of a stop.
    fn settle(&mut self, now: Instant) {
        if self.moved && self.phase == Phase::Running {
            self.follow_sockets();
        }
        let busy: Vec<garp::Key> = self.pacer.busy().collect();
        for lane in busy {
            if self.timers.deadline_of(TimerKey::Pace(lane)).is_some() {
                continue;
            }
            if let Some(next) = self.pacer.send_due(lane, now, &mut self.actions) {
                self.timers.arm(TimerKey::Pace(lane), next);
            }
        }
        self.tell_of_groups();
        let is_done = self.phase == Phase::Stopping && self.requests.is_empty();
        if is_done && !self.takes_off_what_is_left() {
            self.phase = Phase::Stopped;
            self.actions.push_back(Action::Stopped);
        }
    }

    /// Runs `act` for one instance, and gives what it gives.
    fn one<T>(
        &mut self,
        now: Instant,
        id: InstanceId,
        tx: &mut impl Transmit,
        act: impl FnOnce(&mut Running, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let mut cx = Context {
            now,
            timers: &mut self.timers,
            actions: &mut self.actions,
            pacer: &mut self.pacer,
            requests: &mut self.requests,
            interfaces: &self.interfaces,
            scripts: &self.scripts,
            watched: &self.watched,
            vips: &self.vips,
            wall: self.wall,
            delayed_until: self.delayed_until,
            tx,
        };
        let running = self.instances.get_mut(&id)?;
        let told = running.told;
        let result = act(running, &mut cx);
        self.told_changed |= running.told != told;
        Some(result)
    }

    /// Runs `act` for every instance.
    fn each(
        &mut self,
        now: Instant,
        tx: &mut impl Transmit,
        mut act: impl FnMut(&mut Running, &mut Context<'_>),
    ) {
        let ids: Vec<InstanceId> = self.instances.keys().copied().collect();
        for id in ids {
            self.one(now, id, tx, &mut act);
        }
    }

    fn evaluate_all(&mut self, now: Instant, tx: &mut impl Transmit) {
        if self.phase == Phase::Running {
            self.moved = true;
            self.each(now, tx, Running::look_around);
            self.act_on_health(now, tx);
            self.hand_over(now, tx);
        }
    }

    // Interfaces.

    fn interface(&mut self, now: Instant, state: &InterfaceState, tx: &mut impl Transmit) {
        let was_down = self.links.is_told_down(state.index);
        let passing = self.as_it_passes(now, state);
        let returned = was_down && state.up && passing.up;
        let before = self.interfaces.get(state.index);
        let resized = before.is_some_and(|before| before.mtu != state.mtu);
        self.interface_passes(now, &passing, returned, tx);
        if resized || (was_down && state.up) {
            self.listen_anew(state.index);
        }
    }

    /// The same with the link as it passes. `returned`: in the kernel it was down.
    fn interface_passes(
        &mut self,
        now: Instant,
        state: &InterfaceState,
        returned: bool,
        tx: &mut impl Transmit,
    ) {
        let before = self.interfaces.insert(state);
        let renamed = before.as_ref().filter(|before| before.name != state.name);
        if let Some(before) = renamed {
            self.note_deleted(&before.name.clone());
        }
        let known = before.as_ref().filter(|before| before.name == state.name);
        if !returned && known.is_some_and(|before| self.differ_in_vips(before, state)) {
            self.follow_links_at(now, &state.name, state.index);
            // Armed as long as the kernel refuses something.
            if self.timers.deadline_of(TimerKey::Refused).is_some() {
                self.try_again(now, tx);
            }
            return;
        }
        let came_up = state.up && known.is_some_and(|before| !before.up || returned);
        let is_link = self.interfaces.links.has_name(&state.name);
        let is_named = self.instances.values().any(|it| it.uses(&state.name));
        let used = is_link || is_named;
        // What becomes of a link while it is made is told when that is done.
        let is_told = !self.interfaces.links.is_making(&state.name);
        // Nor is anything on it yet: where there are hundreds, to look around for each
        // time that one of them is told of would be quadratic work.
        let is_used_yet = is_told || self.interfaces.is_own_link(state.index);
        if used && is_told && self.phase == Phase::Running {
            match known {
                None => self.log(LogLine::InterfaceAdded(state.name.clone())),
                Some(before) if before.up != state.up => self.log(LogLine::Link {
                    interface: state.name.clone(),
                    up: state.up,
                    polled: self.links.is_polled(&state.name),
                }),
                Some(_) => {}
            }
        }
        // A source address that may be anywhere comes and goes anywhere.
        let anywhere = self.instances.values().any(|it| it.is_anywhere());
        let is_new = known.is_none();
        if let Some(before) = renamed {
            let name = before.name.clone();
            self.follow_links_at(now, &name, state.index);
        }
        self.follow_links_at(now, &state.name, state.index);
        if is_named || (is_link && is_used_yet) || anywhere || renamed.is_some() {
            self.evaluate_all(now, tx);
        }
        if is_new {
            self.follow_statics();
        } else if came_up {
            self.renew_statics(&state.name);
            self.each(now, tx, Running::renew_ways);
            if known.is_some_and(|before| before.up) {
                self.link_returned(now, tx);
            } else if is_link {
                // It may have lost its IPv6 addresses.
                self.put_back_missing(now, tx);
            }
        }
        self.try_again(now, tx);
    }

    fn interface_gone(&mut self, now: Instant, index: IfIndex, tx: &mut impl Transmit) {
        if let Some(before) = self.interfaces.remove(index) {
            self.links.forget(index, &before.name);
            self.timers.disarm(TimerKey::Link(index));
            self.note_deleted(&before.name);
            self.forget_interface(index);
            self.follow_links_at(now, &before.name, index);
            self.evaluate_all(now, tx);
        }
    }

    fn all_interfaces(&mut self, now: Instant, states: &[InterfaceState], tx: &mut impl Transmit) {
        let there: BTreeSet<IfIndex> = states.iter().map(|state| state.index).collect();
        let gone: Vec<IfIndex> = self
            .interfaces
            .iter()
            .map(|state| state.index)
            .filter(|index| !there.contains(index))
            .collect();
        for index in gone {
            self.interface_gone(now, index, tx);
        }
        for state in states {
            self.interface(now, state, tx);
            self.listen_anew(state.index);
        }
        self.put_back_missing(now, tx);
    }

    fn note_deleted(&mut self, name: &str) {
        let is_link = self.interfaces.links.has_name(name);
        let used = is_link || self.instances.values().any(|it| it.uses(name));
        if used && self.phase == Phase::Running {
            self.log(LogLine::InterfaceDeleted(name.to_owned()));
        }
    }

    // Datagrams.

    fn datagram(&mut self, now: Instant, datagram: &Datagram<'_>, tx: &mut impl Transmit) {
        if self.delayed_until.is_some() {
            self.ignored = self.ignored.saturating_add(1);
            return;
        }
        let arrival = match datagram.envelope {
            Envelope::Ipv4 => match Ipv4Datagram::new(datagram.bytes) {
                Some(ip) if ip.protocol == IP_PROTOCOL => Arrival::from(ip),
                Some(ip) if ip.protocol == ah::IP_PROTOCOL => {
                    let Some((header, message)) = ah::Header::new(ip.payload) else {
                        return self.too_short(Family::V4, true, datagram.bytes.len());
                    };
                    let bytes = datagram.bytes;
                    Arrival {
                        signed: Some(SignedDatagram { header, bytes }),
                        header_length: ip.header_length.saturating_add(ah::HEADER_LENGTH),
                        message,
                        ..Arrival::from(ip)
                    }
                }
                Some(_) => {
                    self.ignored = self.ignored.saturating_add(1);
                    return;
                }
                None => return self.too_short(Family::V4, false, datagram.bytes.len()),
            },
            Envelope::Ipv6 {
                source,
                destination,
                hop_limit,
            } => Arrival {
                source: source.into(),
                destination: destination.into(),
                ttl: hop_limit,
                signed: None,
                header_length: 0,
                total_length: None,
                message: datagram.bytes,
            },
        };
        let family = Family::of(arrival.source);
        let Some(packet) = Packet::new(arrival.message, family) else {
            let signed = arrival.signed.is_some();
            return self.too_short(family, signed, datagram.bytes.len());
        };
        let Some(id) = self.addressee(datagram.on, packet.vrid(), &arrival) else {
            return self.for_nobody(now, datagram.on, packet.vrid(), &arrival);
        };
        let effects = self.one(now, id, tx, |it, cx| {
            let stepped_back = it.step_back_before_datagram(cx).unwrap_or_default();
            stepped_back.and(receive(it, &arrival, &packet, cx))
        });
        self.follow_in_group(now, id, effects.unwrap_or_default(), tx);
    }

    fn too_short(&mut self, family: Family, signed: bool, length: usize) {
        self.ignored = self.ignored.saturating_add(1);
        if !self.too_short_logged {
            self.too_short_logged = true;
            self.log(LogLine::TooShort {
                family,
                signed,
                length,
            });
        }
    }

    fn kernel_done(
        &mut self,
        now: Instant,
        purpose: Purpose,
        token: super::action::Token,
        result: Result<(), crate::ids::Errno>,
        tx: &mut impl Transmit,
    ) {
        match purpose {
            Purpose::Install(id) => {
                self.one(now, id, tx, |it, cx| it.installed(token, result, cx));
            }
            Purpose::Restore(id) => {
                self.one(now, id, tx, |it, cx| it.restored(result.is_ok(), cx));
            }
            Purpose::TryAgain(id) => {
                self.one(now, id, tx, |it, cx| it.tried_again(token, cx));
            }
            Purpose::TryStaticAgain => self.tried_statics_again(now, token, tx),
            // What was refused has been told of.
            Purpose::Static | Purpose::Renew(_) => {}
            Purpose::TakeOff => self.tried_to_take_off(token),
            Purpose::Reload => self.reload_done(now, token, result, tx),
            Purpose::Links => self.links_done(now, token, result, tx),
            Purpose::Remove(id) => {
                if let Err(errno) = result {
                    let adding = false;
                    let line = InstanceLine::KernelRefused { adding, errno };
                    self.one(now, id, tx, |it, cx| it.log(line, cx));
                }
            }
        }
    }

    fn log(&mut self, line: LogLine) {
        self.actions.push_back(Action::Log(line));
    }
}

/// A datagram whose VRID and interface are those of `running`; gives what it did.
fn receive(
    running: &mut Running,
    arrival: &Arrival<'_>,
    packet: &Packet<'_>,
    cx: &mut Context<'_>,
) -> Effects {
    let unix_us = cx.wall.unix_us(cx.now);
    let (config, sequences) = (&running.config, &mut running.sequences);
    let remarks = match check(config, arrival, packet, sequences, unix_us) {
        Ok(remarks) => remarks,
        Err(reason) => {
            running.refuse(arrival.source, claims(packet), reason, cx);
            return Effects::NONE;
        }
    };
    let sender = Sender {
        address: arrival.source,
        priority: Priority(packet.priority()),
        advert_interval: packet.advert_interval(),
    };
    let claims = claims(packet);
    running.peers.accepted(sender.address, claims, cx.now);
    if running.ignores_as_owner(sender, cx) {
        return Effects::NONE;
    }
    running.count_accepted(sender.address, remarks);
    if let Some(remark) = remarks.trailer {
        running.note_trailer(arrival.source, remark, cx);
    }
    if !running.config.skip_check_adv_addr || !running.is_known_master(sender.address) {
        compare_addresses(running, arrival.source, packet, cx);
    }
    if sender.priority == Priority::ZERO {
        running.statistics.pri_zero_rcvd = running.statistics.pri_zero_rcvd.saturating_add(1);
        return running.advert(Input::PriorityZero, sender, cx);
    }
    let Some(own) = running.source() else {
        return Effects::NONE;
    };
    let rank = rank((sender.priority, sender.address), (running.priority, own));
    running.advert(Input::Advert(rank), sender, cx)
}

/// Notes VIPs that differ. The advert counts all the same: refusing it, as C
/// did before 2.3.3, puts the VIPs on two nodes.
fn compare_addresses(
    running: &mut Running,
    from: IpAddr,
    packet: &Packet<'_>,
    cx: &mut Context<'_>,
) {
    let ours = running.advertised();
    let expected = ours.len();
    let received = usize::from(packet.address_count());
    if expected != received {
        let line = InstanceLine::VipCountDiffers { expected, received };
        return running.note_addresses(from, line, cx);
    }
    let is_there = |address: &IpAddr| packet.addresses().any(|there| there == *address);
    let missing = ours
        .iter()
        .map(|vip| vip.address)
        .find(|vip| !is_there(vip));
    if let Some(address) = missing {
        let vrid = packet.vrid();
        let line = InstanceLine::VipMissing {
            address,
            from,
            vrid,
        };
        running.note_addresses(from, line, cx);
    }
}
