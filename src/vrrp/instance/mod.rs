//! One running instance: its state, and the carrying out of what the state
//! machine asks for, in the order that the effects have.
//!
//! Does not decide transitions (`state_machine.rs`) nor what is acceptable
//! (`receive.rs`); does not know of other instances. What it has in the kernel is
//! in `installed.rs`, its bursts of gratuitous ARP in `announce.rs`, what keeps
//! it from taking part in `faults.rs`, what others take away in `losses.rs`, whom it
//! asks to take over in `handover.rs`, what an administrator orders in `ordered.rs`,
//! another owner of its addresses in `rival.rs`, a reload in `reload.rs`, what it does after a standstill in
//! `standstill.rs`, what it works with in `context.rs`.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use crate::config::model::{InitialState, SharedInstance, SyncGroup, VirtualAddress};
use crate::ids::{Errno, IfIndex, InstanceId, MacAddress, Priority};
use crate::time::{Instant, Interval};
use crate::wire::advert::Version;

use super::action::{
    Action, LowerPriorityHeard, Notification, NotifyState, Operation, PriorityChanged,
};
use super::authentication::{Sequences, TrailerFault, TrailerRemark};
use super::contention::Contention;
use super::election::{Rank, Timing};
use super::garp::Target;
use super::interfaces::place_of;
use super::kernel_set::tracked_interfaces;
use super::log_limits::{self, LogLimits};
use super::log_lines::{InstanceLine, LogLine};
use super::orders::{DRAINED, InForce};
use super::outgoing::{Outgoing, Signing};
use super::peers::Peers;
use super::rare::{Blank, Rare};
use super::reasons::Cause;
use super::receive::{Reject, Remarks};
use super::refusals::Refusals;
use super::snapshot::{InstanceSnapshot, LinkSnapshot};
use super::state_machine::{Effects, Input, Params, State, transition};
use super::statistics::Statistics;
use super::sync_group::Health;
use super::tracking::{
    Surroundings, effective_priority, interfaces_of, is_awaited, scripts_of, total_priority,
};
use super::transition::{Evidence, Transitions};
use super::virtual_links::{Standing, link_of, own_link};
use super::watched::{files_of, processes_of};

mod announce;
mod blocking;
mod contended;
mod context;
mod faults;
mod handover;
mod installed;
mod losses;
mod ordered;
mod reload;
mod rival;
mod standstill;
mod why;

use blocking::blocked_place;
pub use blocking::{Blocked, block, unblock};
use contended::Episode;
pub use context::{Context, Purpose, Requests, TimerKey};
use faults::Faults;
use handover::Handover;
use installed::Installed;
pub use losses::Loss;
use losses::Losses;
pub use reload::Before;
use reload::Gained;
use rival::{Dispute, GAVE_WAY};

/// A MASTER answers adverts of lower priority no more often than this
/// (specification F.4, flood defence).
const ANSWER_GAP: Interval = Interval::from_ms(10);

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

/// What is static and has a `track_group` that an instance is in (specification C.4).
#[derive(Debug, Default, PartialEq)]
pub struct TrackedStatics {
    /// The interfaces of it, each once.
    pub interfaces: Vec<String>,
    /// What of it the kernel refused, in words.
    pub missing: Vec<String>,
}

impl Blank for TrackedStatics {
    const BLANK: &'static Self = &Self {
        interfaces: Vec::new(),
        missing: Vec::new(),
    };
}

/// A running instance.
#[derive(Debug)]
pub struct Running {
    /// Its configuration.
    pub config: SharedInstance,
    /// Where it is.
    pub state: State,
    /// The effective priority.
    pub priority: Priority,
    /// The interface it is on, while that exists; [`IfIndex::ANY`] for unicast
    /// without one.
    pub on: Option<IfIndex>,
    /// The interface that its adverts leave by: `on`, or its virtual MAC.
    via: Option<IfIndex>,
    /// The master it has last heard.
    pub master: Option<Sender>,
    /// Its counters.
    pub statistics: Statistics,
    /// What proves that signed adverts are new.
    pub sequences: Sequences,
    /// The sync group that it is in.
    pub group: Option<Arc<SyncGroup>>,
    /// In BACKUP: its timer ran out, and only the group keeps it from MASTER.
    pub wants_master: bool,
    /// What its track groups make it depend on.
    pub(super) statics: Rare<TrackedStatics>,
    /// The state that was told last.
    pub told: Option<NotifyState>,
    id: InstanceId,
    source: Option<IpAddr>,
    mtu: u32,
    faults: Rare<Faults>,
    /// The member of the group because of which all are in FAULT, if that is
    /// another one.
    fault_of: Option<String>,
    /// A script that can stand against it has no result yet.
    awaits_script: bool,
    /// A file or process that counts for it was not looked at yet.
    awaits_watched: bool,
    /// A link of its own is being made.
    awaits_link: bool,
    /// The link of its own that it listens on is one of those.
    is_deaf: bool,
    /// It waited for a script before its first state.
    waited: bool,
    installed: Installed,
    /// Where the VIPs were put when it became MASTER.
    put_on: Vec<(IfIndex, VirtualAddress)>,
    /// The routes and rules that were put in then.
    ways: Vec<Operation>,
    /// What of these the kernel refused.
    refusals: Rare<Refusals>,
    /// What somebody else took away of these.
    losses: Rare<Losses>,
    /// How many requests that put addresses back are under way.
    restoring: u32,
    limits: LogLimits,
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
    /// Another node claims to own its addresses, too.
    dispute: Option<Box<Dispute>>,
    handover: Handover,
    /// What an administrator has ordered.
    orders: Rare<InForce>,
    /// The last acceptable advert, and when it came.
    heard: Option<(Sender, Instant)>,
    /// Who else has this VRID.
    pub peers: Peers,
    /// Somebody's adverts of late made neither of us give way.
    has_rivals: bool,
    /// Another master is there beside it.
    contended: Option<Box<Episode>>,
    /// What brought it into its state.
    pub(super) cause: Cause,
    /// What it saw then.
    evidence: Evidence,
    /// How often it entered which state.
    pub transitions: Transitions,
    /// As BACKUP it waits for a skew time only.
    waits_skew: bool,
    /// A reload has changed what its adverts say.
    says_anew: bool,
    /// VIPs that a reload has given to it, until they are announced.
    gained: Option<Box<Gained>>,
    /// The VIPs of the second burst, if these are not all.
    #[expect(clippy::box_collection, reason = "few have one, and for a moment")]
    second_burst_of: Option<Box<HashSet<(IfIndex, IpAddr)>>>,
}

impl Running {
    /// An instance that has not begun.
    pub fn new(id: InstanceId, config: SharedInstance) -> Self {
        // What it will need anyway is here from the beginning: amidst what a takeover
        // needs for a moment it would keep whole pages of that.
        let vips = config.all_addresses().count();
        Self {
            state: State::Init,
            priority: config.priority,
            on: None,
            via: None,
            master: None,
            statistics: Statistics::default(),
            sequences: Sequences::new(&config),
            group: None,
            wants_master: false,
            statics: Rare::default(),
            told: None,
            id,
            source: None,
            mtu: 0,
            faults: Rare::default(),
            fault_of: None,
            awaits_script: false,
            awaits_watched: false,
            awaits_link: false,
            is_deaf: false,
            waited: false,
            installed: Installed::No,
            put_on: Vec::with_capacity(vips),
            ways: Vec::new(),
            refusals: Rare::default(),
            losses: Rare::default(),
            restoring: 0,
            limits: LogLimits::default(),
            send_failure_logged: false,
            room: usize::MAX,
            outgoing: Outgoing::default(),
            announcing: Vec::with_capacity(vips),
            master_advert_interval: config.advert_interval,
            preempt_at: None,
            answered: None,
            mac: None,
            entered_at: None,
            dispute: None,
            handover: Handover::default(),
            orders: Rare::default(),
            heard: None,
            peers: Peers::new(&config),
            has_rivals: false,
            contended: None,
            cause: Cause::default(),
            evidence: Evidence::default(),
            transitions: Transitions::with_room(),
            waits_skew: false,
            says_anew: false,
            gained: None,
            second_burst_of: None,
            config,
        }
    }

    /// Whether the state of this interface matters to it.
    pub fn uses(&self, interface: &str) -> bool {
        let config = &self.config;
        let mut tracked = interfaces_of(config, self.group.as_deref());
        *config.interface == *interface
            || config.vrf.as_deref() == Some(interface)
            || config
                .all_addresses()
                .any(|vip| *vip.interface == *interface)
            || tracked_interfaces(&config.virtual_routes, &config.virtual_rules)
                .any(|name| name == interface)
            || tracked.any(|tracked| tracked.interface == interface)
            || self.statics.interfaces.iter().any(|name| name == interface)
    }

    /// Whether its source address may be on any interface.
    pub fn is_anywhere(&self) -> bool {
        self.config.interface.is_empty()
    }

    /// Its timer: advert interval, master down or skew time.
    pub fn timer(&self) -> TimerKey {
        TimerKey::Protocol(self.id)
    }

    /// What can be seen of it from outside. `timer` is the deadline of
    /// [`Running::timer`].
    pub fn snapshot(&self, timer: Option<Instant>, around: Surroundings<'_>) -> InstanceSnapshot {
        let tracked = scripts_of(&self.config, self.group.as_deref());
        let awaited_scripts: Vec<String> = tracked
            .filter(|tracked| is_awaited(tracked, around.standing(&tracked.script)))
            .map(|tracked| tracked.script.name.clone())
            .collect();
        // Before it began it wants what the configuration says (specification F.2).
        let master = self.begins_as_owner() || self.config.initial_state == InitialState::Master;
        let wanted = match self.state {
            State::Backup if self.wants_master => State::Master,
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
            own_link: own_link(&self.config).map(|link| around.link_snapshot(&link)),
            vip_links: self.vip_links(around),
            source: self.source,
            priority: self.priority,
            total_priority: total_priority(
                self.base_priority(),
                &self.config,
                self.group.as_deref(),
                around,
            ),
            master: self.master,
            heard_priority: self
                .heard
                .map_or(Priority::ZERO, |(sender, _)| sender.priority),
            rival: self.dispute.as_ref().map(|dispute| dispute.rival),
            installed: self.installed == Installed::Yes,
            faults: self.faults.count(),
            awaited: awaited_scripts
                .len()
                .saturating_add(self.unknown(around).count()),
            cause: self.cause.clone(),
            evidence: self.evidence.clone(),
            transitions: self.transitions.clone(),
            fault_reasons: self.fault_reasons(),
            awaited_scripts,
            awaited_watched: self.unknown(around).collect(),
            contributions: self.contributions(around),
            peers: self.peers.iter().copied().collect(),
            contended: self.contended(),
            orders: *self.orders,
            handing_over: self.is_handing_over(),
            statistics: self.statistics,
        }
    }

    fn vip_links(&self, around: Surroundings<'_>) -> Vec<Option<LinkSnapshot>> {
        let links = self.config.all_addresses().map(|vip| {
            let link = link_of(&self.config, vip)?;
            Some(around.link_snapshot(&link))
        });
        links.collect()
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
    /// VIPs off. That it is `removed` for good is told as FAULT, or as DELETED with
    /// `notify_deleted`, as C does (specification E.6, F.10); its successor tells its own first state.
    pub fn leave(&mut self, removed: bool, cx: &mut Context<'_>) {
        let before = self.state;
        let now = cx.now;
        let next = transition(before, Input::Stop, self.params(now));
        self.state = next.state;
        self.send_effects(next.effects, cx);
        if before != next.state {
            self.cause = Cause::Stopped;
            self.see(cx);
            self.tell_why(before, cx);
        }
        self.rest_of_effects(next.effects, None, now, cx);
        if removed && self.config.notify.tell_deleted {
            self.notify(NotifyState::Deleted, cx);
        } else if removed && before != State::Fault {
            self.notify(NotifyState::Fault, cx);
        }
    }

    /// Queues a line about this instance.
    pub fn log(&self, line: InstanceLine, cx: &mut Context<'_>) {
        let line = LogLine::Instance(self.config.name.clone(), line);
        cx.actions.push_back(Action::Log(line));
    }

    /// Looks again at everything around: interface, addresses, scripts; keeps
    /// priority and outgoing advert right. [`Running::act`] follows.
    pub fn look_around(&mut self, cx: &mut Context<'_>) {
        self.entered_at.get_or_insert(cx.now);
        self.follow_interface(cx);
        self.awaits_script = scripts_of(&self.config, self.group.as_deref())
            .any(|tracked| is_awaited(tracked, cx.around().standing(&tracked.script)));
        let awaits_watched = self.unknown(cx.around()).next().is_some();
        self.awaits_watched = awaits_watched;
        self.awaits_link = self.is_link_awaited(cx);
        self.follow_deafness(cx);
        let before = std::mem::take(&mut self.faults);
        self.faults = Rare::from(self.find_faults(cx));
        self.log_files(&before, cx);
        let file_is_back = self.has_weighted_file_back(&before);
        self.change_priority(file_is_back, cx);
    }

    /// The files and processes that nothing is known of yet. They are waited for with
    /// any weight: they are looked at at once.
    fn unknown(&self, around: Surroundings<'_>) -> impl Iterator<Item = String> {
        let group = self.group.as_deref();
        let files = files_of(&self.config, group);
        let files = files.filter(move |line| around.watched.value(&line.file).is_none());
        let files = files.map(|line| format!("file {}", line.file.name));
        let processes = processes_of(&self.config, group);
        let processes =
            processes.filter(move |line| around.watched.quorum(&line.process).is_none());
        files.chain(processes.map(|line| format!("process {}", line.process.name)))
    }

    /// Whether it can take part, as far as it is concerned itself.
    pub fn health(&self) -> Health {
        let awaits = self.awaits_script || self.awaits_watched || self.awaits_link;
        match (self.faults.any(), awaits) {
            (true, _) => Health::Faulty,
            (false, true) => Health::Unknown,
            (false, false) => Health::Well,
        }
    }

    /// Moves in or out of FAULT. `health` is that of the whole group, if it is
    /// in one, and `faulty` the member that is to blame.
    pub fn act(&mut self, health: Health, faulty: Option<&str>, cx: &mut Context<'_>) {
        // Files and processes are looked at at once, and links are made at once: that is
        // no wait to speak of.
        let moment = (self.awaits_watched || self.awaits_link) && !self.awaits_script;
        self.waited |= health == Health::Unknown && !moment;
        self.fault_of = faulty.filter(|_| !self.faults.any()).map(str::to_owned);
        match (self.state, health) {
            (State::Init | State::Backup | State::Master, Health::Faulty) => {
                self.input(Input::Fault, cx);
            }
            // The owner of the addresses would be MASTER at once.
            (State::Init, Health::Well) if cx.is_delayed() && self.begins_as_owner() => {}
            (State::Init, Health::Well) => self.input(Input::Ready, cx),
            (State::Fault, Health::Well) => self.input(Input::Recovered, cx),
            _ => {}
        }
    }

    /// Whether it becomes MASTER without waiting: as the owner of its addresses that
    /// has not `state BACKUP`, and in a group only if all members are such owners
    /// (specification D.1, F.2).
    fn begins_as_owner(&self) -> bool {
        let group = self.group.as_ref();
        let wish = group.map_or(self.config.initial_state, |group| group.initial_state);
        self.is_owner() && wish == InitialState::Master
    }

    /// Whether it hears nobody, because the link of its own that it listens on is being
    /// made, or may be on its way out. That the master is silent proves nothing then.
    pub fn is_deaf(&self) -> bool {
        self.is_deaf
    }

    fn follow_deafness(&mut self, cx: &mut Context<'_>) {
        let own = own_link(&self.config).filter(|_| self.config.unicast_peers.is_empty());
        let awaits = own.is_some_and(|own| cx.interfaces.standing(&own) == Standing::Awaited);
        let was_deaf = std::mem::replace(&mut self.is_deaf, awaits);
        self.wants_master &= !awaits;
        if was_deaf && !awaits && self.state == State::Backup {
            // From now on it hears whether there is a master.
            self.input(Input::TimerHeld, cx);
        }
    }

    /// Takes the interface's number, source address and MTU over, and rebuilds
    /// the advert when one of them is another than before.
    fn follow_interface(&mut self, cx: &mut Context<'_>) {
        let place = place_of(&self.config, cx.interfaces, cx.vips);
        self.on = place.and_then(|place| place.on);
        self.via = place.map(|place| place.via);
        let source = match place {
            Some(place) => place.source,
            // What is configured holds while the interface does not exist, too.
            None => self.config.source_address,
        };
        let mac = place.and_then(|place| place.mac);
        if self.installed == Installed::Yes && mac.is_some() && mac != self.mac {
            self.announce_all_at(cx.now, cx);
        }
        self.mac = mac.or(self.mac);
        let mtu = place.map_or(0, |place| place.mtu);
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

    fn follow_priority(&mut self, cx: &mut Context<'_>) {
        self.change_priority(false, cx);
    }

    /// Works the effective priority out; a backup's running timer moves by as
    /// much as its skew time changes (specification F.8).
    fn change_priority(&mut self, file_is_back: bool, cx: &mut Context<'_>) {
        let new = if self.is_drained() {
            DRAINED
        } else if self.has_given_way() {
            GAVE_WAY
        } else {
            let base = self.base_priority();
            effective_priority(base, &self.config, self.group.as_deref(), cx.around())
        };
        if new == self.priority {
            return;
        }
        let old = std::mem::replace(&mut self.priority, new);
        let line = match file_is_back {
            true => InstanceLine::PrioritySet(new),
            false => InstanceLine::PriorityChanged { from: old, to: new },
        };
        self.log(line, cx);
        self.notify_priority(cx);
        self.follow_candidates(old);
        self.build_advert(cx);
        let key = TimerKey::Protocol(self.id);
        if let (State::Backup, Some(deadline)) = (self.state, cx.timers.deadline_of(key)) {
            let timing = self.timing();
            let moved = deadline + timing.skew_time(new) - timing.skew_time(old);
            cx.timers.arm(key, moved.max(cx.now));
        }
    }

    /// Feeds the state machine with something other than an advert or a timer.
    pub fn input(&mut self, input: Input, cx: &mut Context<'_>) {
        let base = cx.now;
        self.step(input, None, base, cx);
    }

    /// Feeds the state machine with an acceptable advert; gives what was done.
    pub fn advert(&mut self, input: Input, sender: Sender, cx: &mut Context<'_>) -> Effects {
        self.note_candidate(sender);
        self.heard = Some((sender, cx.now));
        if !matches!(
            input,
            Input::Advert(Rank::Higher | Rank::EqualHigherAddress)
        ) {
            self.note_rival(sender.address, sender.priority, Contention::Unheard, cx);
        }
        let asks_for_answer = matches!(
            input,
            Input::PriorityZero | Input::Advert(Rank::Lower | Rank::EqualLowerAddress)
        );
        if self.state == State::Master && asks_for_answer {
            // What has waited in the socket, or a flood, gets one answer.
            let last = self.answered.replace(cx.now);
            if last.is_some_and(|last| cx.now.since(last) < ANSWER_GAP) {
                self.answered = last;
                return Effects::NONE;
            }
        }
        let input = match input {
            Input::Advert(rank) => Input::Advert(self.meet_rival(rank, sender, cx)),
            other => other,
        };
        self.log_advert(input, sender, cx);
        if input == Input::Advert(Rank::EqualHigherAddress) && self.state == State::Master {
            self.yield_to_rival(sender, cx);
        }
        if self.state == State::Backup {
            self.follow_preempt_delay(input, cx);
        }
        let base = cx.now;
        self.step(input, Some(sender), base, cx)
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
    pub fn ignores_as_owner(&mut self, sender: Sender, cx: &mut Context<'_>) -> bool {
        let ignores = self.config.owner_ignore_adverts && self.is_owner();
        if ignores {
            self.statistics.owner_ignored = self.statistics.owner_ignored.saturating_add(1);
            let line = InstanceLine::IgnoredAsOwner(sender.address);
            self.log_limited(log_limits::IGNORED_AS_OWNER, line, cx);
            let reason = Contention::IgnoredByOwner;
            self.note_rival(sender.address, sender.priority, reason, cx);
        }
        ignores
    }

    /// Counts an advert that passed all checks.
    pub fn count_accepted(&mut self, from: IpAddr, remarks: Remarks) {
        if let Some(peer) = self.peers.of(from) {
            peer.other_checksum = remarks.other_checksum;
        }
        let statistics = &mut self.statistics;
        statistics.advert_rcvd = statistics.advert_rcvd.saturating_add(1);
        if remarks.other_checksum {
            statistics.other_checksum = statistics.other_checksum.saturating_add(1);
        }
    }

    /// Notes what is remarkable about the trailer of an accepted advert, or that
    /// there was none.
    pub fn note_trailer(&mut self, from: IpAddr, remark: TrailerRemark, cx: &mut Context<'_>) {
        match remark {
            TrailerRemark::Missing => {
                let reason = Reject::Trailer(TrailerFault::Missing);
                reason.count(&mut self.statistics);
                self.log_limited(reason.kind(), InstanceLine::Rejected { from, reason }, cx);
            }
            TrailerRemark::Skew { skew_s, window_s } => {
                let line = InstanceLine::ClockSkew {
                    from,
                    skew_s,
                    window_s,
                };
                self.log_limited(log_limits::CLOCK_SKEW, line, cx);
            }
        }
    }

    /// Logs a line unless there were enough of its kind of late. Says whether it
    /// did.
    fn log_limited(&mut self, kind: u8, line: InstanceLine, cx: &mut Context<'_>) -> bool {
        let line = match self.limits.admit(kind, cx.now) {
            None => return false,
            Some(0) => line,
            Some(left_out) => InstanceLine::Repeated {
                line: Box::new(line),
                left_out,
            },
        };
        self.log(line, cx);
        true
    }

    /// Feeds the state machine with the end of its timer, which was due at
    /// `deadline`. The next advert of a master is due an interval after that,
    /// not after now; those that a stall made pointless are skipped.
    pub fn timer_expired(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Effects {
        if let Some(effects) = self.step_back_if_late(deadline, cx) {
            return effects;
        }
        self.hear_nobody(cx);
        if self.state == State::Backup {
            self.log(InstanceLine::MasterDown, cx);
        }
        self.look_for_rival(None, cx);
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
        self.step(Input::TimerExpired, None, base, cx)
    }

    /// The timer ran out in BACKUP, but the group does not allow MASTER yet: it
    /// is remembered until a master is heard.
    pub fn timer_held(&mut self, cx: &mut Context<'_>) {
        self.hear_nobody(cx);
        self.log(InstanceLine::MasterDown, cx);
        self.input(Input::TimerHeld, cx);
        self.wants_master = true;
    }

    fn step(
        &mut self,
        input: Input,
        sender: Option<Sender>,
        base: Instant,
        cx: &mut Context<'_>,
    ) -> Effects {
        self.take_over_from_rival(input, cx);
        let before = self.state;
        let next = transition(before, input, self.params(cx.now));
        if before != next.state {
            // A timer that ran out is not armed any more.
            let own_timer = cx.timers.deadline_of(self.timer()).is_none();
            self.cause = self.cause_of(input, sender, own_timer, cx.now);
        }
        self.state = next.state;
        // The peers learn first: a packet costs microseconds, a line may not.
        self.send_effects(next.effects, cx);
        if before != next.state {
            self.see(cx);
            self.entered(before, cx);
            self.tell_why(before, cx);
        }
        self.rest_of_effects(next.effects, sender, base, cx);
        if before != next.state {
            self.notify_entered(cx);
        }
        next.effects
    }

    fn params(&self, now: Instant) -> Params {
        Params {
            owner: self.begins_as_owner(),
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
            self.count_answer(cx);
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
            self.wants_master = false;
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
            self.notify_lower_priority(cx);
        }
        let key = TimerKey::Protocol(self.id);
        let timing = self.timing();
        if effects.contains(Effects::ARM_ADVERT) {
            cx.timers.arm(key, base + self.config.advert_interval);
        }
        if effects.contains(Effects::ARM_MASTER_DOWN) {
            self.waits_skew = false;
            let wait = timing.master_down_time(self.priority);
            cx.timers.arm(key, cx.not_before_start(base) + wait);
        }
        if effects.contains(Effects::ARM_SKEW) {
            self.waits_skew = true;
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
            let line = InstanceLine::DiscardedLower { from, theirs };
            self.log_limited(log_limits::DISCARDED_LOWER, line, cx);
        }
        if effects.contains(Effects::WARN_OWN_ADDRESS) {
            let line = InstanceLine::OwnAddressReceived;
            self.log_limited(log_limits::OWN_ADDRESS, line, cx);
        }
    }

    /// Counts and logs a state that was just entered.
    fn entered(&mut self, before: State, cx: &mut Context<'_>) {
        for kind in log_limits::OF_ACCEPTED {
            self.limits.forget(kind);
        }
        self.entered_at = Some(cx.now);
        self.preempt_at = None;
        self.wants_master = false;
        self.dispute_after_change(cx);
        self.end_handover();
        if before == State::Fault || self.state == State::Master {
            self.forget_interval(cx);
        }
        if before == State::Master {
            self.statistics.release_master = self.statistics.release_master.saturating_add(1);
            self.end_episode(cx);
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
        if before == State::Fault && self.state == State::Backup {
            self.announce_source(cx);
        }
    }

    fn log_advert(&mut self, input: Input, sender: Sender, cx: &mut Context<'_>) {
        let Sender {
            address: from,
            priority: theirs,
            ..
        } = sender;
        let ours = self.priority;
        let (kind, line) = match (self.state, input) {
            (State::Master, Input::PriorityZero) => (
                log_limits::PRIORITY_ZERO,
                InstanceLine::MasterGotPriorityZero,
            ),
            (State::Backup, Input::PriorityZero) => (
                log_limits::PRIORITY_ZERO,
                InstanceLine::BackupGotPriorityZero,
            ),
            (State::Master, Input::Advert(Rank::Lower | Rank::EqualLowerAddress)) => (
                log_limits::ANSWERED_LOWER,
                InstanceLine::HeardLower {
                    from,
                    theirs,
                    ours,
                    answered: !self.config.lower_prio_no_advert,
                },
            ),
            (State::Master, Input::Advert(Rank::Higher)) => {
                return self.log(InstanceLine::YieldedToHigher { from, theirs, ours }, cx);
            }
            (State::Master, Input::Advert(Rank::EqualHigherAddress)) => {
                let priority = ours;
                return self.log(InstanceLine::YieldedToHigherAddress { from, priority }, cx);
            }
            _ => return,
        };
        self.log_limited(kind, line, cx);
    }

    /// Notes that the VIPs of an accepted advert are others than ours.
    pub fn note_addresses(&mut self, from: IpAddr, line: InstanceLine, cx: &mut Context<'_>) {
        if let Some(peer) = self.peers.of(from) {
            peer.known.addresses_differ = true;
        }
        self.statistics.addr_list_err = self.statistics.addr_list_err.saturating_add(1);
        self.log_limited(log_limits::ADDRESSES_DIFFER, line, cx);
    }

    fn learn_master(&mut self, sender: Sender, cx: &mut Context<'_>) {
        self.learn_interval(sender.advert_interval, cx);
        let before = self.master.replace(sender).map(|master| master.address);
        if before == Some(sender.address) {
            return;
        }
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
        let (Some(via), Some(_)) = (self.via, self.source) else {
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

    fn notify_lower_priority(&self, cx: &mut Context<'_>) {
        let told = LowerPriorityHeard {
            id: self.id,
            instance: Arc::clone(&self.config),
            priority: self.priority,
        };
        cx.actions.push_back(Action::NotifyLowerPriority(told));
    }

    /// Before its first state there is nothing to compare with.
    fn notify_priority(&self, cx: &mut Context<'_>) {
        if self.config.notify_priority_changes && self.state != State::Init {
            cx.actions
                .push_back(Action::NotifyPriority(PriorityChanged {
                    id: self.id,
                    instance: Arc::clone(&self.config),
                    is_master: self.state == State::Master,
                    priority: self.priority,
                }));
        }
    }

    fn notify(&mut self, state: NotifyState, cx: &mut Context<'_>) {
        let previous = self.told.replace(state);
        cx.actions.push_back(Action::Notify(Notification {
            id: self.id,
            instance: Arc::clone(&self.config),
            state,
            previous,
            cause: self.cause.clone(),
            evidence: self.evidence.clone(),
            priority: self.priority,
        }));
    }
}
