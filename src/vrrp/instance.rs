//! One running instance: its state, and the carrying out of what the state
//! machine asks for, in the order that the effects have.
//!
//! Does not decide transitions (`state_machine.rs`) nor what is acceptable
//! (`receive.rs`); does not know of other instances.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use crate::config::model::{InitialState, Instance, VirtualAddress};
use crate::ids::{Errno, IfIndex, InstanceId, MacAddress, Priority, ScriptId};
use crate::time::{Instant, Interval, WallClock};
use crate::wire::advert::Version;

use super::action::{Action, Notification, NotifyState, Operation, Token, Transmit};
use super::authentication::{Sequences, TrailerFault, TrailerRemark};
use super::election::{Rank, Timing};
use super::event::InterfaceState;
use super::garp::{self, Pacer, Target};
use super::interfaces::{Interfaces, source_address};
use super::log_lines::{InstanceLine, LogLine, interface_name};
use super::outgoing::{Outgoing, Signing};
use super::receive::{Reject, Remarks};
use super::snapshot::InstanceSnapshot;
use super::state_machine::{Effects, Input, Params, State, transition};
use super::statistics::Statistics;
use super::timers::Timers;
use super::tracking::{
    Surroundings, Tracked, effective_priority, is_awaited, is_fault, is_interface_fault,
    total_priority,
};

/// A MASTER answers adverts of lower priority no more often than this
/// (specification F.4, flood defence).
const ANSWER_GAP: Interval = Interval::from_ms(10);

/// What the timers of the engine are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerKey {
    /// Advert interval, master down or skew time.
    Protocol(InstanceId),
    /// The second burst after becoming MASTER.
    SecondBurst(InstanceId),
    /// The periodic bursts.
    Refresh(InstanceId),
    /// The second burst after an advert of lower priority.
    LowerPriorityBurst(InstanceId),
    /// The next gratuitous ARP or neighbour advert of an interface.
    Pace(garp::Key),
    /// The next run of a script.
    ScriptStart(ScriptId),
    /// The end of the time that a run has.
    ScriptTimeout(ScriptId),
}

/// What a kernel request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The VIPs of an instance that becomes MASTER.
    Install(InstanceId),
    /// A VIP that somebody else had removed.
    Restore(InstanceId),
    /// The VIPs of an instance that no longer is MASTER, or leftovers.
    Remove(InstanceId),
}

/// Everything outside an instance that carrying out an effect needs.
pub struct Context<'a> {
    /// The time of this turn.
    pub now: Instant,
    /// All deadlines.
    pub timers: &'a mut Timers<TimerKey>,
    /// The queue to the caller.
    pub actions: &'a mut VecDeque<Action>,
    /// The spacing of gratuitous ARP.
    pub pacer: &'a mut Pacer,
    /// Kernel requests under way.
    pub requests: &'a mut Requests,
    /// The interfaces there are.
    pub interfaces: &'a Interfaces,
    /// The scripts, by name.
    pub scripts: &'a BTreeMap<ScriptId, Tracked>,
    /// Every VIP of the configuration: none of them is a source address.
    pub vips: &'a BTreeSet<IpAddr>,
    /// What the calendar says, for signatures.
    pub wall: WallClock,
    /// Sends adverts.
    pub tx: &'a mut dyn Transmit,
}

/// Kernel requests under way.
#[derive(Debug, Default)]
pub struct Requests {
    next: u64,
    open: BTreeMap<Token, Purpose>,
}

impl Requests {
    /// Takes a finished request out.
    pub fn finish(&mut self, token: Token) -> Option<Purpose> {
        self.open.remove(&token)
    }

    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn begin(&mut self, purpose: Purpose) -> Token {
        let token = Token(self.next);
        self.next = self.next.wrapping_add(1);
        self.open.insert(token, purpose);
        token
    }
}

impl Context<'_> {
    /// Asks the kernel for something.
    pub fn request(&mut self, purpose: Purpose, operations: Vec<Operation>) -> Token {
        let token = self.requests.begin(purpose);
        self.actions.push_back(Action::Kernel { token, operations });
        token
    }

    fn around(&self) -> Surroundings<'_> {
        Surroundings {
            interfaces: self.interfaces,
            scripts: self.scripts,
        }
    }
}

/// What stands against taking part (specification F.6).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Faults {
    missing: bool,
    loopback: bool,
    no_multicast: bool,
    down: bool,
    no_address: bool,
    no_peer: bool,
    /// Interfaces of VIPs, other than the own one, that are missing or down.
    vip_interfaces: Vec<String>,
    /// Interfaces of `track_interface` without a weight that are down, or, with
    /// `reverse`, up.
    tracked_interfaces: Vec<String>,
    scripts: Vec<String>,
}

impl Faults {
    fn any(&self) -> bool {
        *self != Self::default()
    }

    /// How many. An interface that does not exist counts as down, too, and as
    /// one without an address, as in C.
    fn count(&self) -> usize {
        let own = [
            self.missing,
            self.missing,
            self.loopback,
            self.no_multicast,
            self.down,
            self.no_address,
            self.no_peer,
        ];
        let own = own.into_iter().filter(|set| *set).count();
        let tracked = self.tracked_interfaces.len();
        let others = self.vip_interfaces.len().saturating_add(tracked);
        own.saturating_add(others)
            .saturating_add(self.scripts.len())
    }

    /// All of them in words.
    fn in_words(&self, interface: &str) -> String {
        let own = [
            (self.missing, "does not exist"),
            (self.loopback, "is a loopback interface"),
            (self.no_multicast, "has no multicast"),
            (self.down, "is down"),
            (self.no_address, "has no address to send from"),
            (self.no_peer, "has no unicast peer in the configuration"),
        ];
        let own = own
            .into_iter()
            .filter(|(set, _)| *set)
            .map(|(_, what)| format!("interface {interface} {what}"));
        let vips = self
            .vip_interfaces
            .iter()
            .map(|name| format!("interface {name} of a VIP is down or missing"));
        let tracked = self
            .tracked_interfaces
            .iter()
            .map(|name| format!("tracked interface {name} is not as it must be"));
        let scripts = self
            .scripts
            .iter()
            .map(|name| format!("script {name} fails"));
        own.chain(vips)
            .chain(tracked)
            .chain(scripts)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// Whether the VIPs are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Installed {
    No,
    Asked(Token),
    Yes,
}

/// The master that a backup listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// Its address.
    pub address: IpAddr,
    /// Its priority.
    pub priority: Priority,
    /// The interval that it sends with.
    pub advert_interval: Interval,
}

/// A running instance.
#[derive(Debug)]
pub struct Running {
    /// Its configuration.
    pub config: Arc<Instance>,
    /// Where it is.
    pub state: State,
    /// The effective priority.
    pub priority: Priority,
    /// The interface it is on, while that exists.
    pub on: Option<IfIndex>,
    /// The master it has last heard.
    pub master: Option<Sender>,
    /// Its counters.
    pub statistics: Statistics,
    /// What proves that signed adverts are new.
    pub sequences: Sequences,
    id: InstanceId,
    source: Option<IpAddr>,
    mtu: u32,
    faults: Faults,
    /// It waited for a script before its first state.
    waited: bool,
    installed: Installed,
    /// Where the VIPs were put when it became MASTER.
    put_on: Vec<(IfIndex, VirtualAddress)>,
    /// The reasons for refusal that were logged, by their bits.
    logged: u32,
    send_failure_logged: bool,
    /// How many of its VIPs an advert has room for.
    room: usize,
    outgoing: Outgoing,
    announcing: Vec<Target>,
    /// The interval that the master sends with, as far as it is known.
    master_advert_interval: Interval,
    /// Until then a lower master is left alone.
    preempt_at: Option<Instant>,
    /// When it last answered an advert as MASTER.
    answered: Option<Instant>,
    mac: Option<MacAddress>,
    /// When it entered its state; `None` until it began.
    entered_at: Option<Instant>,
    /// The priority of the last acceptable advert.
    heard_priority: Priority,
}

impl Running {
    /// An instance that has not begun.
    pub fn new(id: InstanceId, config: Arc<Instance>) -> Self {
        Self {
            state: State::Init,
            priority: config.priority,
            on: None,
            master: None,
            statistics: Statistics::default(),
            sequences: Sequences::new(&config),
            id,
            source: None,
            mtu: 0,
            faults: Faults::default(),
            waited: false,
            installed: Installed::No,
            put_on: Vec::new(),
            logged: 0,
            send_failure_logged: false,
            room: usize::MAX,
            outgoing: Outgoing::default(),
            announcing: Vec::new(),
            master_advert_interval: config.advert_interval,
            preempt_at: None,
            answered: None,
            mac: None,
            entered_at: None,
            heard_priority: Priority::ZERO,
            config,
        }
    }

    /// Whether the state of this interface matters to it.
    pub fn uses(&self, interface: &str) -> bool {
        let config = &self.config;
        let mut tracked = config.track_interfaces.iter();
        config.interface == interface
            || config.all_addresses().any(|vip| vip.interface == interface)
            || tracked.any(|tracked| tracked.interface == interface)
    }

    /// Its timer: advert interval, master down or skew time.
    pub fn timer(&self) -> TimerKey {
        TimerKey::Protocol(self.id)
    }

    /// What can be seen of it from outside. `timer` is the deadline of
    /// [`Running::timer`].
    pub fn snapshot(&self, timer: Option<Instant>, around: Surroundings<'_>) -> InstanceSnapshot {
        let tracked = self.config.track_scripts.iter();
        let awaited = tracked
            .filter(|tracked| is_awaited(tracked, around.standing(&tracked.script)))
            .count();
        // Before it began it wants what the configuration says (specification F.2).
        let master =
            self.config.priority.is_owner() || self.config.initial_state == InitialState::Master;
        let wanted = match self.state {
            State::Init if master => State::Master,
            State::Init => State::Backup,
            state => state,
        };
        InstanceSnapshot {
            config: Arc::clone(&self.config),
            state: self.state,
            wanted,
            last_transition: self.entered_at.unwrap_or_default(),
            timer,
            master_down: self.timing().master_down_time(self.priority),
            on: self.on,
            source: self.source,
            priority: self.priority,
            total_priority: total_priority(&self.config, around),
            master: self.master,
            heard_priority: self.heard_priority,
            installed: self.installed == Installed::Yes,
            faults: self.faults.count(),
            awaited,
            statistics: self.statistics,
        }
    }

    /// The address that adverts are sent from.
    pub fn source(&self) -> Option<IpAddr> {
        self.source
    }

    /// The VIPs that its own adverts name.
    pub fn advertised(&self) -> &[VirtualAddress] {
        let vips = &self.config.virtual_addresses;
        vips.get(..self.room).unwrap_or(vips)
    }

    /// Whether this is the master that a backup listens to.
    pub fn is_known_master(&self, address: IpAddr) -> bool {
        self.master.is_some_and(|master| master.address == address)
    }

    /// Ends because a reload does not want it as it is: resigns and takes its
    /// VIPs off. That it is `removed` for good is told as FAULT, as C does
    /// (specification F.10); its successor tells its own first state.
    pub fn leave(&mut self, removed: bool, cx: &mut Context<'_>) {
        let before = self.state;
        let now = cx.now;
        let next = transition(before, Input::Stop, self.params(now));
        self.state = next.state;
        self.send_effects(next.effects, cx);
        self.rest_of_effects(next.effects, None, now, cx);
        if removed && before != State::Fault {
            self.notify(NotifyState::Fault, cx);
        }
    }

    /// Queues a line about this instance.
    pub fn log(&self, line: InstanceLine, cx: &mut Context<'_>) {
        let line = LogLine::Instance(self.config.name.clone(), line);
        cx.actions.push_back(Action::Log(line));
    }

    /// Looks again at everything around: interface, addresses, scripts; moves
    /// in or out of FAULT, and keeps the outgoing advert right.
    pub fn evaluate(&mut self, cx: &mut Context<'_>) {
        self.entered_at.get_or_insert(cx.now);
        self.follow_interface(cx);
        self.follow_priority(cx);
        let awaited = self
            .config
            .track_scripts
            .iter()
            .any(|tracked| is_awaited(tracked, cx.around().standing(&tracked.script)));
        self.waited |= awaited;
        self.faults = self.find_faults(cx);
        match (self.state, self.faults.any()) {
            (State::Init | State::Backup | State::Master, true) => self.input(Input::Fault, cx),
            (State::Init, false) if !awaited => self.input(Input::Ready, cx),
            (State::Fault, false) if !awaited => self.input(Input::Recovered, cx),
            _ => {}
        }
    }

    /// Takes the interface's number, source address and MTU over, and rebuilds
    /// the advert when one of them is another than before.
    fn follow_interface(&mut self, cx: &mut Context<'_>) {
        let state = cx.interfaces.named(&self.config.interface);
        self.on = state.map(|state| state.index);
        let source = source_address(&self.config, state, cx.vips);
        let mac = state.map(|state| state.mac);
        if self.installed == Installed::Yes && mac.is_some() && mac != self.mac {
            cx.timers.arm(TimerKey::SecondBurst(self.id), cx.now);
        }
        self.mac = mac.or(self.mac);
        let mtu = state.map_or(0, |state| state.mtu);
        if (source, mtu) != (self.source, self.mtu) {
            (self.source, self.mtu) = (source, mtu);
            self.build_advert(cx);
        }
    }

    fn build_advert(&mut self, cx: &mut Context<'_>) {
        // An interface that does not exist has no MTU.
        let Some(source) = self.source.filter(|_| self.mtu > 0) else {
            return;
        };
        let room = self
            .outgoing
            .build(&self.config, self.priority, source, self.mtu);
        let count = self.config.virtual_addresses.len();
        if room < count && room != self.room {
            self.log(InstanceLine::TooManyVips { count, room }, cx);
        }
        self.room = room;
    }

    /// Works the effective priority out; a backup's running timer moves by as
    /// much as its skew time changes (specification F.8).
    fn follow_priority(&mut self, cx: &mut Context<'_>) {
        let new = effective_priority(&self.config, cx.around());
        if new == self.priority {
            return;
        }
        let old = std::mem::replace(&mut self.priority, new);
        self.log(InstanceLine::PriorityChanged { from: old, to: new }, cx);
        self.build_advert(cx);
        let key = TimerKey::Protocol(self.id);
        if let (State::Backup, Some(deadline)) = (self.state, cx.timers.deadline_of(key)) {
            let timing = self.timing();
            let moved = deadline + timing.skew_time(new) - timing.skew_time(old);
            cx.timers.arm(key, moved.max(cx.now));
        }
    }

    fn find_faults(&self, cx: &Context<'_>) -> Faults {
        let mut faults = Faults::default();
        match cx.interfaces.named(&self.config.interface) {
            None => faults.missing = true,
            Some(state) => {
                faults.loopback = state.loopback;
                faults.no_multicast = !state.multicast && self.config.unicast_peers.is_empty();
                faults.down = !state.up && !self.config.ignore_own_interface;
                faults.no_address = !self.has_source(state);
            }
        }
        faults.no_peer = self.config.fault_without_peer;
        let around = cx.around();
        for vip in self.config.all_addresses() {
            let own = vip.interface == self.config.interface;
            let known = faults.vip_interfaces.contains(&vip.interface);
            if own || vip.no_track || known || around.is_up(&vip.interface) {
                continue;
            }
            faults.vip_interfaces.push(vip.interface.clone());
        }
        for tracked in &self.config.track_interfaces {
            if is_interface_fault(tracked, around.is_up(&tracked.interface)) {
                faults.tracked_interfaces.push(tracked.interface.clone());
            }
        }
        for tracked in &self.config.track_scripts {
            if is_fault(tracked, around.standing(&tracked.script)) {
                faults.scripts.push(tracked.script.name.clone());
            }
        }
        faults
    }

    /// Whether there is an address to send from; with `track_src_ip` it must be
    /// on the interface.
    fn has_source(&self, state: &InterfaceState) -> bool {
        let Some(source) = self.source else {
            return false;
        };
        let mut there = state.addresses.iter();
        !self.config.track_source_address || there.any(|on| on.address == source)
    }

    /// Feeds the state machine with something other than an advert or a timer.
    pub fn input(&mut self, input: Input, cx: &mut Context<'_>) {
        let base = cx.now;
        self.step(input, None, base, cx);
    }

    /// Feeds the state machine with an acceptable advert.
    pub fn advert(&mut self, input: Input, sender: Sender, cx: &mut Context<'_>) {
        self.heard_priority = sender.priority;
        let asks_for_answer = matches!(
            input,
            Input::PriorityZero | Input::Advert(Rank::Lower | Rank::EqualLowerAddress)
        );
        if self.state == State::Master && asks_for_answer {
            // What has waited in the socket, or a flood, gets one answer.
            let last = self.answered.replace(cx.now);
            if last.is_some_and(|last| cx.now.since(last) < ANSWER_GAP) {
                self.answered = last;
                return;
            }
        }
        self.log_advert(input, sender, cx);
        if self.state == State::Backup {
            self.follow_preempt_delay(input, cx);
        }
        let base = cx.now;
        self.step(input, Some(sender), base, cx);
    }

    /// `preempt_delay` counts from the first advert of lower priority that a
    /// backup hears (specification F.3); one that is not lower ends it.
    fn follow_preempt_delay(&mut self, input: Input, cx: &mut Context<'_>) {
        let delay = self.config.preempt_delay;
        match input {
            Input::Advert(Rank::Lower) if self.config.nopreempt || delay.is_zero() => {}
            Input::Advert(Rank::Lower) if self.preempt_at.is_some() => {}
            Input::Advert(Rank::Lower) => {
                self.preempt_at = Some(cx.now + delay);
                self.log(InstanceLine::PreemptDelayStarted(delay), cx);
            }
            Input::Advert(_) if self.preempt_at.take().is_some() => {
                self.log(InstanceLine::PreemptDelayStopped, cx);
            }
            _ => {}
        }
    }

    /// Whether a lower master is left alone for now.
    fn waits_to_preempt(&self, now: Instant) -> bool {
        self.preempt_at.is_some_and(|at| now < at)
    }

    /// What a backup counts with.
    fn timing(&self) -> Timing {
        Timing {
            version: self.config.version,
            master_advert_interval: self.master_advert_interval,
            down_timer_adverts: self.config.down_timer_adverts,
        }
    }

    /// Takes the interval over that the master sends with (RFC 9568 section
    /// 6.4.2); version 2 has only one.
    fn learn_interval(&mut self, theirs: Interval, cx: &mut Context<'_>) {
        let ours = self.master_advert_interval;
        if self.config.version == Version::V2 || theirs == ours || theirs.is_zero() {
            return;
        }
        self.master_advert_interval = theirs;
        let line = InstanceLine::IntervalLearned {
            from: ours,
            to: theirs,
        };
        self.log(line, cx);
    }

    /// Goes back to the interval of the configuration.
    fn forget_interval(&mut self, cx: &mut Context<'_>) {
        let own = self.config.advert_interval;
        let learned = std::mem::replace(&mut self.master_advert_interval, own);
        if learned != own {
            let line = InstanceLine::IntervalForgotten {
                from: learned,
                to: own,
            };
            self.log(line, cx);
        }
    }

    /// Whether an advert is dropped because we own the addresses
    /// (`owner_ignore_adverts`).
    pub fn ignores_as_owner(&mut self, from: IpAddr, cx: &mut Context<'_>) -> bool {
        const BIT: u32 = 1 << 13;
        let ignores = self.config.owner_ignore_adverts && self.config.priority.is_owner();
        if ignores {
            self.statistics.owner_ignored = self.statistics.owner_ignored.saturating_add(1);
            self.log_once(BIT, InstanceLine::IgnoredAsOwner(from), cx);
        }
        ignores
    }

    /// Counts an advert that passed all checks.
    pub fn count_accepted(&mut self, remarks: Remarks) {
        let statistics = &mut self.statistics;
        statistics.advert_rcvd = statistics.advert_rcvd.saturating_add(1);
        if remarks.other_checksum {
            statistics.other_checksum = statistics.other_checksum.saturating_add(1);
        }
    }

    /// Notes what is remarkable about the trailer of an accepted advert, or that
    /// there was none.
    pub fn note_trailer(&mut self, from: IpAddr, remark: TrailerRemark, cx: &mut Context<'_>) {
        const BIT: u32 = 1 << 14;
        match remark {
            TrailerRemark::Missing => {
                let reason = Reject::Trailer(TrailerFault::Missing);
                reason.count(&mut self.statistics);
                self.log_once(reason.bit(), InstanceLine::Rejected { from, reason }, cx);
            }
            TrailerRemark::Skew { skew_s, window_s } => {
                let line = InstanceLine::ClockSkew {
                    from,
                    skew_s,
                    window_s,
                };
                self.log_once(BIT, line, cx);
            }
        }
    }

    /// Logs a line once until the state or the master changes.
    fn log_once(&mut self, bit: u32, line: InstanceLine, cx: &mut Context<'_>) {
        if self.logged & bit == 0 {
            self.logged |= bit;
            self.log(line, cx);
        }
    }

    /// Feeds the state machine with the end of its timer, which was due at
    /// `deadline`. The next advert of a master is due an interval after that,
    /// not after now; those that a stall made pointless are skipped.
    pub fn timer_expired(&mut self, deadline: Instant, cx: &mut Context<'_>) {
        if self.state == State::Backup {
            self.log(InstanceLine::MasterDown, cx);
        }
        let mut base = deadline;
        let interval = self.config.advert_interval;
        let late = cx.now.since(deadline);
        if self.state != State::Master {
            base = cx.now;
        } else if late >= interval && !interval.is_zero() {
            let missed = late.as_us().checked_div(interval.as_us()).unwrap_or(0);
            base = deadline + interval.times(missed);
            self.statistics.adverts_skipped =
                self.statistics.adverts_skipped.saturating_add(missed);
            self.log(InstanceLine::AdvertsSkipped(missed), cx);
        }
        self.step(Input::TimerExpired, None, base, cx);
    }

    fn step(&mut self, input: Input, sender: Option<Sender>, base: Instant, cx: &mut Context<'_>) {
        let before = self.state;
        let next = transition(before, input, self.params(cx.now));
        self.state = next.state;
        // The peers learn first: a packet costs microseconds, a line may not.
        self.send_effects(next.effects, cx);
        if before != next.state {
            self.entered(before, cx);
        }
        self.rest_of_effects(next.effects, sender, base, cx);
        if before != next.state {
            self.notify_entered(cx);
        }
    }

    fn params(&self, now: Instant) -> Params {
        Params {
            owner: self.config.priority.is_owner(),
            nopreempt: self.config.nopreempt || self.waits_to_preempt(now),
            silent_to_lower: self.config.lower_prio_no_advert,
            last_word_to_higher: self.config.higher_prio_send_advert,
        }
    }

    fn send_effects(&mut self, effects: Effects, cx: &mut Context<'_>) {
        if effects.contains(Effects::SEND_PRIORITY_ZERO) {
            self.send(true, cx);
        }
        if effects.contains(Effects::SEND_ADVERT) {
            self.send(false, cx);
        }
    }

    fn rest_of_effects(
        &mut self,
        effects: Effects,
        sender: Option<Sender>,
        base: Instant,
        cx: &mut Context<'_>,
    ) {
        if effects.contains(Effects::LEARN_MASTER)
            && let Some(sender) = sender
        {
            self.learn_master(sender, cx);
        }
        if effects.contains(Effects::INSTALL) {
            self.install(cx);
        }
        if effects.contains(Effects::REMOVE) {
            self.remove(cx);
        }
        if effects.contains(Effects::REPEAT_GARP) {
            self.answer_with_garp(cx);
        }
        let key = TimerKey::Protocol(self.id);
        let timing = self.timing();
        if effects.contains(Effects::ARM_ADVERT) {
            cx.timers.arm(key, base + self.config.advert_interval);
        }
        if effects.contains(Effects::ARM_MASTER_DOWN) {
            let wait = timing.master_down_time(self.priority);
            cx.timers.arm(key, base + wait);
        }
        if effects.contains(Effects::ARM_SKEW) {
            cx.timers.arm(key, base + timing.skew_time(self.priority));
        }
        if effects.contains(Effects::DISARM) {
            cx.timers.disarm(key);
        }
        if effects.contains(Effects::NOTE_LOWER)
            && let Some(Sender {
                address, priority, ..
            }) = sender
        {
            let (from, theirs) = (address, priority);
            self.log(InstanceLine::DiscardedLower { from, theirs }, cx);
        }
        if effects.contains(Effects::WARN_OWN_ADDRESS) {
            self.log(InstanceLine::OwnAddressReceived, cx);
        }
    }

    /// Counts and logs a state that was just entered.
    fn entered(&mut self, before: State, cx: &mut Context<'_>) {
        self.logged = 0;
        self.entered_at = Some(cx.now);
        self.preempt_at = None;
        if before == State::Fault || self.state == State::Master {
            self.forget_interval(cx);
        }
        if before == State::Master {
            self.statistics.release_master = self.statistics.release_master.saturating_add(1);
        }
        let first = before == State::Init && !self.waited;
        let line = match self.state {
            State::Backup if first => InstanceLine::EnteringBackupInit,
            State::Backup => InstanceLine::EnteringBackup,
            State::Master => {
                self.statistics.become_master = self.statistics.become_master.saturating_add(1);
                self.master = None;
                InstanceLine::EnteringMaster
            }
            State::Fault => return self.log_fault(before == State::Init, cx),
            State::Init | State::Stopped => return,
        };
        self.log(line, cx);
    }

    fn log_fault(&mut self, first: bool, cx: &mut Context<'_>) {
        let interface = self.config.interface.clone();
        if !first {
            self.log(InstanceLine::EnteringFault, cx);
            let reasons = self.faults.in_words(&interface);
            return self.log(InstanceLine::FaultReasons(reasons), cx);
        }
        if self.faults.missing {
            let line = LogLine::InterfaceMissing(interface.clone());
            cx.actions.push_back(Action::Log(line));
        }
        if self.faults.loopback {
            self.log(InstanceLine::Loopback(interface.clone()), cx);
        }
        if self.faults.no_multicast {
            self.log(InstanceLine::NoMulticast(interface.clone()), cx);
        }
        if self.faults.down {
            self.log(InstanceLine::FaultInterfaceDown(interface), cx);
        }
        let tracked = self.faults.tracked_interfaces.iter();
        let names: Vec<_> = self
            .faults
            .vip_interfaces
            .iter()
            .chain(tracked)
            .cloned()
            .collect();
        for name in names {
            self.log(InstanceLine::FaultInterfaceDown(name), cx);
        }
        if self.faults.no_address {
            self.log(InstanceLine::FaultNoAddress(self.config.family()), cx);
        }
        for name in self.faults.scripts.clone() {
            self.log(InstanceLine::FaultScript(name), cx);
        }
        self.log(InstanceLine::EnteringFaultInit, cx);
    }

    fn log_advert(&self, input: Input, sender: Sender, cx: &mut Context<'_>) {
        let Sender {
            address: from,
            priority: theirs,
            ..
        } = sender;
        let ours = self.priority;
        let line = match (self.state, input) {
            (State::Master, Input::PriorityZero) => InstanceLine::MasterGotPriorityZero,
            (State::Backup, Input::PriorityZero) => InstanceLine::BackupGotPriorityZero,
            (State::Master, Input::Advert(Rank::Higher)) => {
                InstanceLine::YieldedToHigher { from, theirs, ours }
            }
            (State::Master, Input::Advert(Rank::EqualHigherAddress)) => {
                InstanceLine::YieldedToHigherAddress {
                    from,
                    priority: ours,
                }
            }
            (State::Master, Input::Advert(Rank::Lower | Rank::EqualLowerAddress)) => {
                InstanceLine::AnsweredLower { from, theirs, ours }
            }
            _ => return,
        };
        self.log(line, cx);
    }

    /// Counts a refused datagram, and logs the first one of its kind.
    pub fn refuse(&mut self, from: IpAddr, reason: Reject, cx: &mut Context<'_>) {
        reason.count(&mut self.statistics);
        self.log_once(reason.bit(), InstanceLine::Rejected { from, reason }, cx);
    }

    /// Notes that the VIPs of an accepted advert are others than ours.
    pub fn note_addresses(&mut self, line: InstanceLine, cx: &mut Context<'_>) {
        const BIT: u32 = 1 << 15;
        self.statistics.addr_list_err = self.statistics.addr_list_err.saturating_add(1);
        self.log_once(BIT, line, cx);
    }

    fn learn_master(&mut self, sender: Sender, cx: &mut Context<'_>) {
        self.learn_interval(sender.advert_interval, cx);
        let before = self.master.replace(sender).map(|master| master.address);
        if before == Some(sender.address) {
            return;
        }
        self.logged = 0;
        let line = match before {
            None => InstanceLine::MasterSet(sender.address),
            Some(from) => InstanceLine::MasterChanged {
                from,
                to: sender.address,
            },
        };
        self.log(line, cx);
    }

    fn send(&mut self, resigning: bool, cx: &mut Context<'_>) {
        // Without an interface or a source there is nobody to tell.
        let (Some(via), Some(_)) = (self.on, self.source) else {
            return;
        };
        let signing = &mut Signing {
            sequences: &mut self.sequences,
            unix_us: cx.wall.unix_us(cx.now),
        };
        let (config, outgoing) = (&self.config, &mut self.outgoing);
        let result = if resigning {
            outgoing.send_priority_zero(config, via, signing, cx.tx)
        } else {
            outgoing.send(config, via, signing, cx.tx)
        };
        match result {
            Ok(()) => {
                self.send_failure_logged = false;
                self.statistics.advert_sent = self.statistics.advert_sent.saturating_add(1);
                if resigning {
                    self.statistics.pri_zero_sent = self.statistics.pri_zero_sent.saturating_add(1);
                    self.log(InstanceLine::SentPriorityZero, cx);
                }
            }
            Err(errno) => self.send_failed(errno, cx),
        }
    }

    fn send_failed(&mut self, errno: Errno, cx: &mut Context<'_>) {
        self.statistics.send_failed = self.statistics.send_failed.saturating_add(1);
        if !self.send_failure_logged {
            self.send_failure_logged = true;
            self.log(InstanceLine::SendFailed(errno), cx);
        }
    }

    /// Each VIP with the number of its interface; those without one are left
    /// out (they keep the instance in FAULT unless they are not tracked).
    fn vips<'c>(
        config: &'c Instance,
        interfaces: &'c Interfaces,
    ) -> impl Iterator<Item = (IfIndex, &'c VirtualAddress)> {
        config.all_addresses().filter_map(|vip| {
            let state = interfaces.named(&vip.interface)?;
            Some((state.index, vip))
        })
    }

    fn install(&mut self, cx: &mut Context<'_>) {
        self.log(InstanceLine::SettingVips, cx);
        self.put_on = Self::vips(&self.config, cx.interfaces)
            .map(|(on, vip)| (on, vip.clone()))
            .collect();
        let operations = self.put_on.iter().cloned();
        let operations = operations
            .map(|(on, address)| Operation::AddAddress { on, address })
            .collect();
        let token = cx.request(Purpose::Install(self.id), operations);
        self.installed = Installed::Asked(token);
    }

    fn remove(&mut self, cx: &mut Context<'_>) {
        self.log(InstanceLine::RemovingVips, cx);
        let mut there: Vec<_> = Self::vips(&self.config, cx.interfaces)
            .map(|(on, vip)| (on, vip.clone()))
            .collect();
        // An interface may have got another name since, and keeps its addresses.
        for (on, vip) in std::mem::take(&mut self.put_on) {
            let is_known = there.contains(&(on, vip.clone()));
            if cx.interfaces.get(on).is_some() && !is_known {
                there.push((on, vip));
            }
        }
        let operations = there
            .into_iter()
            .map(|(on, address)| Operation::RemoveAddress { on, address })
            .collect();
        cx.request(Purpose::Remove(self.id), operations);
        self.installed = Installed::No;
        self.announcing.clear();
        cx.pacer.cancel(self.id);
        for key in [
            TimerKey::SecondBurst(self.id),
            TimerKey::Refresh(self.id),
            TimerKey::LowerPriorityBurst(self.id),
        ] {
            cx.timers.disarm(key);
        }
    }

    /// Takes VIPs off that an earlier run left behind (specification F.2).
    pub fn remove_leftovers(&self, cx: &mut Context<'_>) {
        let left = |on: IfIndex, vip: &VirtualAddress| {
            cx.interfaces.get(on).is_some_and(|state| holds(state, vip))
        };
        let operations: Vec<_> = Self::vips(&self.config, cx.interfaces)
            .filter(|(on, vip)| left(*on, vip))
            .map(|(on, vip)| Operation::RemoveAddress {
                on,
                address: vip.clone(),
            })
            .collect();
        if !operations.is_empty() {
            self.log(InstanceLine::RemovingVips, cx);
            cx.request(Purpose::Remove(self.id), operations);
        }
    }

    /// The VIPs have been added: announces them, and tells the outside.
    pub fn installed(&mut self, token: Token, result: Result<(), Errno>, cx: &mut Context<'_>) {
        if self.installed != Installed::Asked(token) {
            return;
        }
        self.installed = Installed::Yes;
        if let Err(errno) = result {
            let line = InstanceLine::KernelRefused {
                adding: true,
                errno,
            };
            self.log(line, cx);
        }
        self.find_targets(cx);
        let garp = &self.config.garp;
        let (repeat, delay, refresh) = (garp.master_repeat, garp.master_delay, garp.master_refresh);
        self.burst(repeat, cx);
        if !delay.is_zero() {
            cx.timers
                .arm(TimerKey::SecondBurst(self.id), cx.now + delay);
        }
        if !refresh.is_zero() {
            cx.timers
                .arm(TimerKey::Refresh(self.id), cx.now + delay + refresh);
        }
        self.notify(NotifyState::Master, cx);
    }

    /// Which VIPs are announced where: on interfaces that do ARP.
    fn find_targets(&mut self, cx: &Context<'_>) {
        self.announcing.clear();
        for (on, vip) in Self::vips(&self.config, cx.interfaces) {
            let Some(state) = cx.interfaces.get(on).filter(|state| !state.no_arp) else {
                continue;
            };
            self.announcing.push(Target {
                owner: self.id,
                on,
                mac: state.mac,
                address: vip.address,
            });
        }
    }

    fn burst(&mut self, repeat: u32, cx: &mut Context<'_>) {
        for target in &self.announcing {
            let name = cx.interfaces.get(target.on).map(|state| &*state.name);
            let line = InstanceLine::Announcing {
                on: interface_name(name, target.on),
                address: target.address,
            };
            let line = LogLine::Instance(self.config.name.clone(), line);
            cx.actions.push_back(Action::Log(line));
        }
        let garp = &self.config.garp;
        cx.pacer.burst(&self.announcing, repeat, garp, cx.actions);
    }

    /// A burst is due: announces from what is true now.
    pub fn scheduled_burst(&mut self, key: TimerKey, cx: &mut Context<'_>) {
        if self.installed != Installed::Yes {
            return;
        }
        self.find_targets(cx);
        let garp = &self.config.garp;
        let (refresh, repeat) = match key {
            TimerKey::Refresh(_) => (garp.master_refresh, garp.master_refresh_repeat),
            TimerKey::LowerPriorityBurst(_) => (Interval::ZERO, garp.lower_prio_repeat),
            _ => (Interval::ZERO, garp.master_repeat),
        };
        if !refresh.is_zero() {
            cx.timers.arm(key, cx.now + refresh);
        }
        self.burst(repeat, cx);
    }

    /// Somebody of lower priority claimed the VIPs: reminds the network, now
    /// and once more later (specification F.4).
    fn answer_with_garp(&mut self, cx: &mut Context<'_>) {
        let garp = &self.config.garp;
        let (repeat, delay) = (garp.lower_prio_repeat, garp.lower_prio_delay);
        if self.installed != Installed::Yes || repeat == 0 {
            return;
        }
        self.find_targets(cx);
        self.burst(repeat, cx);
        if !delay.is_zero() {
            cx.timers
                .arm(TimerKey::LowerPriorityBurst(self.id), cx.now + delay);
        }
    }

    /// Somebody else took an address off an interface: as MASTER, puts it back
    /// if it is a VIP of ours that was on.
    pub fn address_removed(
        &mut self,
        on: IfIndex,
        address: IpAddr,
        prefix_length: u8,
        cx: &mut Context<'_>,
    ) {
        if self.installed != Installed::Yes {
            return;
        }
        let lost = Self::vips(&self.config, cx.interfaces).find(|(index, vip)| {
            *index == on
                && vip.address == address
                && vip.prefix_length == prefix_length
                && !vip.no_track
        });
        let Some((_, vip)) = lost else { return };
        let (vip, interface) = (vip.clone(), vip.interface.clone());
        let line = LogLine::AddressRemoved { address, interface };
        cx.actions.push_back(Action::Log(line));
        let operation = Operation::AddAddress { on, address: vip };
        cx.request(Purpose::Restore(self.id), vec![operation]);
    }

    /// After reports were missed: puts back, as MASTER, what is not there.
    pub fn restore_missing(&mut self, cx: &mut Context<'_>) {
        let is_there = |on: IfIndex, vip: &VirtualAddress| {
            cx.interfaces.get(on).is_some_and(|state| holds(state, vip))
        };
        let missing: Vec<_> = Self::vips(&self.config, cx.interfaces)
            .filter(|(on, vip)| !is_there(*on, vip))
            .map(|(on, vip)| (on, vip.address, vip.prefix_length))
            .collect();
        for (on, address, prefix_length) in missing {
            self.address_removed(on, address, prefix_length, cx);
        }
    }

    /// A VIP is back: announces all of them once more.
    pub fn restored(&mut self, result: Result<(), Errno>, cx: &mut Context<'_>) {
        match result {
            // By way of the timer, so that many VIPs that come back together are
            // announced once.
            Ok(()) => cx.timers.arm(TimerKey::SecondBurst(self.id), cx.now),
            Err(errno) => self.log(
                InstanceLine::KernelRefused {
                    adding: true,
                    errno,
                },
                cx,
            ),
        }
    }

    fn notify_entered(&mut self, cx: &mut Context<'_>) {
        let state = match self.state {
            State::Backup => NotifyState::Backup,
            State::Fault => NotifyState::Fault,
            State::Stopped => NotifyState::Stop,
            // Told when the VIPs are on.
            State::Master | State::Init => return,
        };
        self.notify(state, cx);
    }

    fn notify(&self, state: NotifyState, cx: &mut Context<'_>) {
        cx.actions.push_back(Action::Notify(Notification {
            id: self.id,
            instance: Arc::clone(&self.config),
            state,
            priority: self.priority,
        }));
    }
}

/// Whether the interface has this address, with this prefix length.
fn holds(state: &InterfaceState, vip: &VirtualAddress) -> bool {
    let mut there = state.addresses.iter();
    there.any(|on| on.address == vip.address && on.prefix_length == vip.prefix_length)
}
