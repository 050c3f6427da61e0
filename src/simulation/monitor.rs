//! A second opinion on one instance: what its engine may do next, worked out
//! from what it was given, with formulas of its own.
//!
//! Decides whether a step was right (`Breach`) and says why a change of state
//! came about. Nothing here asks the engine for a time or a rank. Sources: RFC
//! 3768 and RFC 9568 section 6, specification F.1 to F.6.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::config::model::{HmacMode, LossAnswer, SharedInstance, Version};
use crate::ids::Priority;
use crate::time::{Instant, Interval};
use crate::vrrp::engine::InstanceView;
use crate::vrrp::state_machine::State;
use crate::vrrp::statistics::Statistics;
use crate::wire::advert::Family;

use super::asking::{Asking, Step};
use super::group_monitor::Together;
use super::heard::Heard;

/// A MASTER answers no more often than this (specification F.4).
const ANSWER_GAP: Interval = Interval::from_ms(10);

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Which checker: its number in docs/CONTRIBUTING.md.
    pub rule: u8,
    /// What is wrong, in words.
    pub text: String,
}

/// What made the engine take a turn.
#[derive(Debug, Clone)]
pub enum Cause {
    /// The daemon began.
    Start,
    /// A datagram; `None`: it holds no advert.
    Datagram(Option<Heard>),
    /// Time; `late`: the node had stood still.
    Time {
        /// After a standstill.
        late: bool,
    },
    /// The kernel, or a script.
    Report {
        /// An interface is gone: nothing can be sent on it.
        gone: bool,
    },
    /// The daemon was told to stop.
    Stop,
    /// An administrator orders something.
    Order {
        /// The names of the instances that it wants to be drained.
        drained: Vec<String>,
    },
    /// A reload.
    Reload {
        /// The names of the instances that it ends.
        ended: Vec<String>,
        /// The names that instances had which go on, and what they are now.
        kept: Vec<(String, SharedInstance)>,
    },
}

/// An advert that left in a turn.
#[derive(Debug, Clone, Copy)]
pub struct Left {
    /// Of which virtual router.
    pub vrid: u8,
    /// Over what.
    pub family: Family,
    /// The priority in it.
    pub priority: Priority,
}

/// Everything about one turn.
pub struct Turn<'a> {
    /// When.
    pub now: Instant,
    /// Why.
    pub cause: &'a Cause,
    /// What left.
    pub left: &'a [Left],
    /// The address that the instance sends from; `None` while it has none.
    pub own: Option<IpAddr>,
    /// Why instances went to FAULT, from the log: name and reason.
    pub faults: &'a [(String, String)],
    /// What its sync group does, if it is in one.
    pub group: Option<Together>,
    /// What to call the node with an address.
    pub name_of: &'a dyn Fn(IpAddr) -> String,
}

/// A change of state, explained.
#[derive(Debug, Clone)]
pub struct Change {
    /// Before.
    pub from: State,
    /// Now.
    pub to: State,
    /// Why.
    pub why: String,
}

/// What is known of one instance.
#[derive(Debug, Clone)]
pub struct Watch {
    /// Its configuration.
    pub config: SharedInstance,
    /// Its name, to share.
    pub name: Arc<str>,
    /// The state after the last turn.
    pub state: State,
    /// The priority after the last turn.
    pub priority: Priority,
    /// It was due, and waits for its sync group only.
    pub wants: bool,
    /// It could not hear anybody after the last turn.
    pub is_deaf: bool,
    statistics: Statistics,
    /// When it takes over unless something comes in between.
    due: Instant,
    /// When `due` was set: it cannot take over earlier.
    set_at: Instant,
    entered_at: Instant,
    /// The interval of the master as far as it is known.
    pub(super) interval: Interval,
    pub(super) preempt_at: Option<Instant>,
    heard: Option<(Heard, Instant)>,
    /// State and priority before the last turn.
    before: (State, Priority),
    /// When it was last told of a master that counts.
    obeyed: Option<Instant>,
    pub(super) asking: Asking,
    /// As MASTER: when its next advert leaves.
    advert_due: Instant,
    /// When it last answered as MASTER.
    answered: Option<Instant>,
    /// The newest signed advert of each sender.
    newest: BTreeMap<IpAddr, u64>,
    /// It waits for a skew time only.
    waits_skew: bool,
    /// A reload has changed its configuration, and it has taken no turn since.
    pub(super) is_changed: bool,
    /// `due` is not known: two things came late, and either may have been first.
    vague: bool,
}

impl Watch {
    /// An instance that begins at `now`.
    pub fn new(config: &SharedInstance, now: Instant) -> Self {
        Self {
            name: config.name.as_str().into(),
            state: State::Init,
            priority: config.priority,
            wants: false,
            is_deaf: false,
            statistics: Statistics::default(),
            due: now,
            set_at: now,
            entered_at: now,
            interval: config.advert_interval,
            preempt_at: None,
            heard: None,
            before: (State::Init, config.priority),
            obeyed: None,
            asking: Asking::default(),
            advert_due: now,
            answered: None,
            newest: BTreeMap::new(),
            waits_skew: false,
            is_changed: false,
            vague: false,
            config: Arc::clone(config),
        }
    }

    /// The counters after the last turn.
    pub const fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// The skew time: version 2 of a second, version 3 of the master's interval.
    fn skew(&self, priority: Priority) -> Interval {
        let whole = match self.config.version {
            Version::V2 => 1_000_000,
            Version::V3 => self.interval.as_us(),
        };
        let part = u128::from(whole).saturating_mul(256_u128.saturating_sub(priority.0.into()));
        Interval::from_us(u64::try_from(part / 256).unwrap_or(u64::MAX))
    }

    fn wait(&mut self, now: Instant, span: Interval) {
        (self.due, self.set_at) = (now + span, now);
        self.vague = false;
    }

    /// `due`, moved by as much as the skew time has changed; where that is in the
    /// past, now.
    fn shifted(&self, now: Instant) -> Instant {
        let (new, old) = (self.skew(self.priority), self.skew(self.before.1));
        (self.due + new - old).max(now)
    }

    /// Whether it is not known when it is due.
    pub const fn is_vague(&self) -> bool {
        self.vague
    }

    /// When it takes over, or asks its group to.
    pub fn due_at(&self) -> Instant {
        self.due.max(self.set_at)
    }

    /// Whether an advert of any priority but 0 may have left for it in the last
    /// turn: while it was, is, or for a moment was MASTER, with its priority.
    pub fn may_send(&self, left: &Left) -> bool {
        let (state, priority) = self.before;
        let master = [state, self.state].contains(&State::Master)
            || (state, self.state) == (State::Backup, State::Fault);
        self.sent(left) && master && [priority, self.priority].contains(&left.priority)
    }

    /// Whether an advert is one of this virtual router.
    pub(super) fn sent(&self, left: &Left) -> bool {
        left.vrid == self.config.vrid.get() && left.family == self.config.family()
    }

    /// Its node's clock was set: what was new may be old.
    pub fn forget_newest(&mut self) {
        self.newest.clear();
    }

    /// Whether this turn makes it give way to a better master.
    pub fn gives_way(&self, view: &InstanceView<'_>, cause: &Cause, own: Option<IpAddr>) -> bool {
        let accepted = view.statistics.advert_rcvd > self.statistics.advert_rcvd;
        let Cause::Datagram(Some(heard)) = cause else {
            return false;
        };
        let ours = own.map(|own| (view.priority, own));
        let better = ours.is_some_and(|ours| (heard.priority, heard.source) > ours);
        accepted && self.state == State::Master && heard.priority.0 != 0 && better
    }

    fn wait_for_master(&mut self, now: Instant) {
        self.waits_skew = false;
        self.wait(now, self.patience());
    }

    /// Whether it has heard anything since it entered its state.
    pub(super) fn heard_here(&self) -> bool {
        self.heard.is_some_and(|(_, at)| at >= self.entered_at)
    }

    /// It is due at `due`, because of something that happened at `now`.
    pub(super) fn set_due(&mut self, due: Instant, now: Instant) {
        (self.due, self.set_at) = (due, now);
    }

    /// How long it waits as it waits now.
    pub(super) fn patience(&self) -> Interval {
        let adverts = match self.waits_skew {
            true => 0,
            false => u64::from(self.config.down_timer_adverts),
        };
        self.interval.times(adverts) + self.skew(self.priority)
    }

    fn learn(&mut self, theirs: Interval) {
        if self.config.version == Version::V3 && !theirs.is_zero() {
            self.interval = theirs;
        }
    }

    /// Takes a turn in: what changed, and what was wrong.
    pub fn turn(
        &mut self,
        view: &InstanceView<'_>,
        turn: &Turn<'_>,
    ) -> (Option<Change>, Vec<Breach>) {
        let mut wrong = Vec::new();
        let accepted = view.statistics.advert_rcvd > self.statistics.advert_rcvd;
        self.statistics = view.statistics;
        let before = self.state;
        let old_priority = std::mem::replace(&mut self.priority, view.priority);
        self.before = (before, old_priority);
        let heard = match turn.cause {
            Cause::Datagram(Some(heard)) if accepted => Some(*heard),
            _ => None,
        };
        if let Some(heard) = heard {
            self.judge_proof(heard, &mut wrong);
            self.judge_answer(heard, before, turn, &mut wrong);
        }
        let expected = heard.and_then(|heard| self.hear(heard, before, turn));
        if let Some(expected) = expected
            && view.state != expected
        {
            wrong.push(self.breach(
                12,
                format!("{before} heard {heard:?} and went to {}", view.state),
            ));
        }
        let is_time = matches!(turn.cause, Cause::Time { .. });
        let is_changed = std::mem::take(&mut self.is_changed);
        let moved = old_priority != self.priority;
        self.follow_deafness(view, before, turn);
        self.judge_group(before, view.state, moved, turn, &mut wrong);
        if (before, view.state) == (State::Backup, State::Backup) && moved {
            (self.due, self.set_at) = (self.shifted(turn.now), turn.now);
            // In this turn it may have been held by its group.
            self.vague |= is_time && turn.group.is_some() && self.due == turn.now;
        }
        self.state = view.state;
        let step = Step {
            config: &self.config,
            states: [before, view.state],
            priorities: [old_priority, self.priority],
            heard,
            skew: self.skew(self.priority),
            is_reelected: self.is_reelected(before, turn),
        };
        let was_asking = self.asking.until().is_some();
        let asked = self.asking.judge(&step, turn);
        wrong.extend(asked.map(|text| self.breach(15, text)));
        if (before, view.state) == (State::Master, State::Master) {
            let rose = self.priority > old_priority;
            let may_speak = was_asking && rose || self.judge_reload(is_changed, turn, &mut wrong);
            self.follow_rhythm(may_speak, turn, &mut wrong);
        }
        let change = (before != view.state).then(|| Change {
            from: before,
            to: view.state,
            why: self.why(before, heard, turn),
        });
        if change.is_some() {
            self.judge_change(before, heard.is_some(), turn, &mut wrong);
            self.enter(before, heard, turn);
            if let Some(until) = self.asking.asked_at(turn.now) {
                self.advert_due = until;
            }
        }
        let overdue = self.state == State::Backup && self.due < turn.now && !self.vague;
        if overdue && is_time {
            wrong.push(self.breach(12, format!("was due at {:?}", self.due)));
        }
        (change, wrong)
    }

    /// A backup that cannot hear anybody waits until it can, and begins anew then.
    fn follow_deafness(&mut self, view: &InstanceView<'_>, before: State, turn: &Turn<'_>) {
        let was_deaf = std::mem::replace(&mut self.is_deaf, view.is_deaf);
        self.wants &= !view.is_deaf;
        if (before, view.state) != (State::Backup, State::Backup) {
            return;
        }
        let is_time = matches!(turn.cause, Cause::Time { .. });
        let is_held = is_time && (was_deaf || view.is_deaf) && self.due_at() <= turn.now;
        if is_held || (was_deaf && !view.is_deaf) {
            self.wait_for_master(turn.now);
        }
    }

    pub(super) fn breach(&self, rule: u8, text: String) -> Breach {
        let text = format!("({}) {text}", self.name);
        Breach { rule, text }
    }

    /// What an accepted advert means: the state that must follow, if it is certain.
    fn hear(&mut self, heard: Heard, before: State, turn: &Turn<'_>) -> Option<State> {
        let now = turn.now;
        self.heard = Some((heard, now));
        match before {
            State::Backup => {
                self.hear_as_backup(heard, now);
                Some(State::Backup)
            }
            State::Master => {
                let ours = (self.priority, turn.own?);
                let theirs = (heard.priority, heard.source);
                let is_better = heard.priority.0 != 0 && theirs > ours;
                let yields = turn.group.is_some_and(|group| group.yields);
                Some(if is_better || yields {
                    State::Backup
                } else {
                    State::Master
                })
            }
            other => Some(other),
        }
    }

    fn hear_as_backup(&mut self, heard: Heard, now: Instant) {
        if heard.priority.0 == 0 {
            self.obeyed = None;
            self.waits_skew = true;
            return self.wait(now, self.skew(self.priority));
        }
        let delay = self.config.preempt_delay;
        if heard.priority >= self.priority {
            self.preempt_at = None;
        } else if !self.config.nopreempt {
            if !delay.is_zero() {
                self.preempt_at.get_or_insert(now + delay);
            }
            if self.preempt_at.is_none_or(|at| at <= now) {
                return;
            }
        }
        self.learn(heard.interval);
        self.obeyed = Some(now);
        self.wants = false;
        self.wait_for_master(now);
    }

    /// What is accepted was sent by one of us, and not before: a signed advert is
    /// newer than the one before it.
    fn judge_proof(&mut self, heard: Heard, wrong: &mut Vec<Breach>) {
        if heard.forged {
            wrong.push(self.breach(13, format!("accepted a forgery: {heard:?}")));
        }
        let header = self.config.header_key().is_some();
        let enforced = self.config.auth_hmac.as_ref();
        let enforced = enforced.is_some_and(|it| it.mode == HmacMode::Enforce);
        if !header && self.config.auth_hmac.is_none() {
            return;
        }
        match heard.sequence {
            None if header || enforced => {
                wrong.push(self.breach(13, "accepted an unsigned advert".to_owned()));
            }
            None => {}
            Some(sequence) => {
                let before = self.newest.insert(heard.source, sequence);
                if before.is_some_and(|before| before >= sequence) {
                    wrong.push(self.breach(13, "accepted an old advert again".to_owned()));
                }
            }
        }
    }

    /// Who hears a lower master as MASTER answers at once, but not a flood of them;
    /// who gives way may have a last word. Nobody else sends when he hears.
    fn judge_answer(
        &mut self,
        heard: Heard,
        before: State,
        turn: &Turn<'_>,
        wrong: &mut Vec<Breach>,
    ) {
        let Some(own) = turn.own else { return };
        let ours = (self.priority, own);
        let theirs = (heard.priority, heard.source);
        // What two owners do about each other is no matter of rank.
        if ours.0.is_owner() && theirs.0.is_owner() {
            return;
        }
        let resigns = heard.priority.0 == 0;
        let expected = if before != State::Master || theirs == ours {
            0
        } else if theirs > ours && !resigns {
            usize::from(self.config.higher_prio_send_advert)
        } else {
            let last = self.answered;
            let flood = last.is_some_and(|last| turn.now.since(last) < ANSWER_GAP);
            if !flood {
                self.answered = Some(turn.now);
            }
            usize::from(!flood && (resigns || !self.config.lower_prio_no_advert))
        };
        if expected > 0 {
            self.advert_due = turn.now + self.config.advert_interval;
        }
        let sent = self.adverts_in(turn);
        if sent != expected {
            let text = format!("{before} heard {heard:?} and sent {sent} adverts, not {expected}");
            wrong.push(self.breach(12, text));
        }
    }

    /// When the next advert of a master leaves: in its time, or as a question to its
    /// peers has it.
    fn follow_rhythm(&mut self, may_call_off: bool, turn: &Turn<'_>, wrong: &mut Vec<Breach>) {
        if let Some(until) = self.asking.asked_at(turn.now) {
            self.advert_due = until;
        } else if may_call_off && self.adverts_in(turn) == 1 {
            self.advert_due = turn.now + self.config.advert_interval;
        } else if matches!(turn.cause, Cause::Time { .. }) {
            self.judge_rhythm(turn, wrong);
        }
    }

    /// The adverts of a master are an interval apart, however long its node stood
    /// still in between.
    fn judge_rhythm(&mut self, turn: &Turn<'_>, wrong: &mut Vec<Breach>) {
        let interval = self.config.advert_interval;
        let is_due = self.advert_due <= turn.now;
        let (sent, due) = (self.adverts_in(turn), self.advert_due);
        if sent != usize::from(is_due) {
            wrong.push(self.breach(
                12,
                format!("sent {sent} adverts, and one is due at {due:?}"),
            ));
        }
        while self.advert_due <= turn.now && !interval.is_zero() {
            self.advert_due = self.advert_due + interval;
        }
    }

    /// How many adverts it sent in this turn; the same to all peers counts once.
    pub(super) fn adverts_in(&self, turn: &Turn<'_>) -> usize {
        let sent = turn.left.iter().filter(|left| self.sent(left));
        let sent = sent.filter(|left| left.priority.0 != 0).count();
        let peers = self.config.unicast_peers.len().max(1);
        sent.div_ceil(peers)
    }

    /// A backup that is due in a group becomes MASTER with it, or waits again.
    fn judge_group(
        &mut self,
        before: State,
        after: State,
        moved: bool,
        turn: &Turn<'_>,
        wrong: &mut Vec<Breach>,
    ) {
        let Some(group) = turn.group else { return };
        let Cause::Time { late } = *turn.cause else {
            return;
        };
        if before != State::Backup || after != State::Backup {
            return;
        }
        if group.leads && !group.vague && !(late && moved) {
            wrong.push(self.breach(12, "stayed, though its group was due".to_owned()));
        } else if self.due_at() <= turn.now {
            self.wants = true;
            self.wait_for_master(turn.now);
            self.vague = group.vague || late && moved;
        }
    }

    fn judge_change(&self, before: State, heard: bool, turn: &Turn<'_>, wrong: &mut Vec<Breach>) {
        let now = turn.now;
        if before == State::Backup && self.state == State::Master {
            // A change of priority in this turn may have moved it before now.
            let moved = self.before.1 != self.priority;
            let at = match moved {
                true => self.due_at().min(self.shifted(now)),
                false => self.due_at(),
            };
            let late = matches!(turn.cause, Cause::Time { late: true });
            if let Some(group) = turn.group {
                if !(group.leads || group.vague || moved) {
                    wrong.push(self.breach(12, "took over before its group was due".to_owned()));
                }
            } else if now < at || (now > at && !late) {
                wrong.push(self.breach(12, format!("took over, but was due at {at:?}")));
            }
            let least = self
                .interval
                .times(u64::from(self.config.down_timer_adverts));
            let recent = self.obeyed.is_some_and(|last| now.since(last) < least);
            if self.config.nopreempt && recent {
                wrong.push(self.breach(5, "preempted".to_owned()));
            }
        }
        let at_once = before == State::Init && self.config.priority.is_owner();
        if self.state == State::Master && before != State::Backup && !at_once {
            wrong.push(self.breach(12, "did not listen first".to_owned()));
        }
        if before == State::Master && self.state != State::Backup {
            self.judge_leaving(turn, wrong);
        }
        if self.is_reelected(before, turn) {
            self.judge_leaving(turn, wrong);
        } else if before == State::Master && self.state == State::Backup {
            let told = matches!(turn.cause, Cause::Datagram(Some(_)));
            let alone = turn.group.is_none_or(|group| !group.yields);
            if alone && (!told || !heard) {
                wrong.push(self.breach(12, "gave way to nobody".to_owned()));
            }
        }
    }

    /// Whether it gave up because somebody took a VIP away (`vip_loss reelect`).
    fn is_reelected(&self, before: State, turn: &Turn<'_>) -> bool {
        let is_report = matches!(turn.cause, Cause::Report { .. });
        let states = [before, self.state] == [State::Master, State::Backup];
        self.config.vip_loss.answer == LossAnswer::Reelect && states && is_report
    }

    /// A master that leaves tells the others.
    pub fn judge_leaving(&self, turn: &Turn<'_>, wrong: &mut Vec<Breach>) {
        let told = turn
            .left
            .iter()
            .any(|left| left.priority.0 == 0 && self.sent(left));
        let cannot = turn.own.is_none() || matches!(turn.cause, Cause::Report { gone: true });
        if !told && !cannot {
            wrong.push(self.breach(7, "left without priority 0".to_owned()));
        }
    }

    fn enter(&mut self, before: State, heard: Option<Heard>, turn: &Turn<'_>) {
        self.preempt_at = None;
        self.obeyed = None;
        self.wants = false;
        if before == State::Fault || self.state == State::Master {
            self.interval = self.config.advert_interval;
        }
        if self.state == State::Backup {
            if before == State::Master
                && let Some(heard) = heard
            {
                self.learn(heard.interval);
                self.obeyed = Some(turn.now);
            }
            self.wait_for_master(turn.now);
            if self.is_reelected(before, turn) {
                self.waits_skew = true;
                self.wait(turn.now, self.patience());
            }
        }
        if self.state == State::Master {
            self.advert_due = turn.now + self.config.advert_interval;
            self.heard = None;
        }
        self.entered_at = turn.now;
    }

    fn fault_in_words(&self, turn: &Turn<'_>) -> String {
        let own = turn.faults.iter().filter(|(name, _)| **name == *self.name);
        let reasons: Vec<&str> = own.map(|(_, reason)| reason.as_str()).collect();
        reasons.join(", ")
    }

    /// Why a change of state came about.
    fn why(&self, before: State, heard: Option<Heard>, turn: &Turn<'_>) -> String {
        let seconds = |span: Interval| {
            let ms = span.as_us() / 1_000;
            format!("{}.{:03} s", ms / 1_000, ms % 1_000)
        };
        let ours = self.priority;
        match (before, self.state) {
            (_, State::Stopped) => "stopped".to_owned(),
            (_, State::Fault) => self.fault_in_words(turn),
            (State::Init, State::Master) => "owner of the addresses".to_owned(),
            (State::Fault, _) => "nothing stands against it any more".to_owned(),
            (State::Init, _) => "started".to_owned(),
            (State::Backup, State::Master) => match self.heard {
                None => {
                    let span = seconds(turn.now.since(self.entered_at));
                    format!("no master heard for {span}")
                }
                Some((last, at)) => {
                    let from = (turn.name_of)(last.source);
                    let span = turn.now.since(at);
                    if last.priority.0 == 0 {
                        format!("{from} resigned")
                    } else if last.priority < ours && span < self.interval.times(2) {
                        let theirs = last.priority;
                        format!("preempts {from}, whose priority is {theirs}")
                    } else {
                        format!("{from} silent for {}", seconds(span))
                    }
                }
            },
            (State::Master, State::Backup) => match heard {
                Some(heard) if heard.priority == ours => {
                    let from = (turn.name_of)(heard.source);
                    format!("{from} has the same priority and a higher address")
                }
                Some(heard) => {
                    let from = (turn.name_of)(heard.source);
                    format!("{from} has priority {}", heard.priority)
                }
                None => "gives way with its group".to_owned(),
            },
            _ => String::new(),
        }
    }
}

/// How many counters a datagram moved, adverts accepted and refused together.
pub fn counted(statistics: &Statistics) -> u64 {
    let s = statistics;
    [
        s.advert_rcvd,
        s.packet_len_err,
        s.ip_ttl_err,
        s.vers_err,
        s.invalid_type_rcvd,
        s.advert_interval_err,
        s.chk_err,
        s.invalid_authtype,
        s.authtype_mismatch,
        s.auth_failure,
        s.auth_ext_malformed,
        s.auth_ext_unknown_key,
        s.auth_ext_invalid_hmac,
        s.auth_ext_stale,
        s.auth_ext_replay,
        s.not_a_peer,
        s.owner_ignored,
    ]
    .into_iter()
    .fold(0, u64::saturating_add)
}
