//! Virtual time: nodes, the network between them, and what happens next.
//!
//! Decides the order of events: by time, then in the order in which they were
//! planned; datagrams and news before the deadlines of the same moment, as the
//! daemon empties its sockets before it looks at the time. Each turn of an
//! engine is compared with a second opinion (`monitor.rs`).

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::rc::Rc;

use crate::config::model::Config;
use crate::ids::{Priority, ScriptId};
use crate::time::{Instant, Interval};
use crate::vrrp::Engine;
use crate::vrrp::action::{Action, Operation};
use crate::vrrp::event::{Command, Datagram, Envelope, Event, Outcome};
use crate::vrrp::log_lines::{InstanceLine, LogLine};
use crate::vrrp::plan::plan;
use crate::vrrp::state_machine::State;
use crate::wire::advert::Family;
use crate::wire::frames::{IPV4_HEADER_LENGTH, IPV6_HEADER_LENGTH};

use super::faults::Fault;
use super::kernel::Report;
use super::monitor::{Breach, Cause, Heard, Left, Turn, Watch, counted};
use super::network::Network;
use super::node::{Arrival, Behaviour, News, Node, Outbox, SOCKET_QUEUE_MAX, Setup};
use super::random::Random;
use super::trace::{Record, What};

/// More actions than this in one turn are a loop.
const ACTIONS_PER_TURN_MAX: usize = 10_000;

/// More turns than this at one moment are a loop.
const TURNS_PER_MOMENT_MAX: u32 = 10_000;

/// How long the daemon's netlink thread takes to hear of a change.
const NEWS_DELAY: Interval = Interval::from_us(200);

/// How long a script takes to die of a signal.
const SCRIPT_END_TIME: Interval = Interval::from_ms(2);

/// The signal that ends a script.
const SIGTERM: i32 = 15;

/// A breach, with when and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Instant,
    /// On which node; `None`: between them.
    pub node: Option<usize>,
    /// What.
    pub breach: Breach,
}

#[derive(Debug)]
pub(super) enum Occurrence {
    Arrives(usize, Arrival),
    KernelServes {
        node: usize,
        boot: u32,
    },
    News {
        node: usize,
        boot: u32,
        news: News,
    },
    ScriptEnds {
        node: usize,
        boot: u32,
        id: ScriptId,
        run: u64,
        outcome: Outcome,
    },
    Resumes {
        node: usize,
        boot: u32,
    },
    Fault(Fault),
}

/// Ordered by time, then by the order of planning; the earliest is the greatest.
#[derive(Debug)]
struct Planned {
    at: Instant,
    number: u64,
    what: Occurrence,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Planned {}
impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Planned {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// All of it.
#[derive(Debug)]
pub struct World {
    /// The time.
    pub now: Instant,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The wires between them.
    pub network: Network,
    /// What happened.
    pub trace: Vec<Record>,
    /// What should not have happened.
    pub violations: Vec<Violation>,
    pub(super) random: Random,
    /// The address of each node's own, with its name.
    addresses: Vec<(IpAddr, String)>,
    queue: BinaryHeap<Planned>,
    planned: u64,
}

impl World {
    /// Nodes that are switched off, on good wires.
    pub fn new(setups: Vec<Setup>, seed: u64) -> Self {
        let network = Network::new(setups.len());
        let addresses = setups.iter().flat_map(|setup| {
            let own = setup.interfaces.iter().flat_map(|it| &it.own);
            own.map(|on| (on.address, setup.name.clone()))
        });
        Self {
            addresses: addresses.collect(),
            now: Instant::ZERO,
            nodes: setups.into_iter().map(Node::new).collect(),
            network,
            trace: Vec::new(),
            violations: Vec::new(),
            random: Random::new(seed),
            queue: BinaryHeap::new(),
            planned: 0,
        }
    }

    /// Plans something for later; what is in the past happens at once.
    pub fn plan(&mut self, at: Instant, fault: Fault) {
        self.push(at, Occurrence::Fault(fault));
    }

    /// The names of the nodes.
    pub fn names(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.name.clone()).collect()
    }

    /// Lets time pass until `end`, which is reached.
    pub fn run_until(&mut self, end: Instant) {
        let (mut moment, mut turns) = (self.now, 0_u32);
        loop {
            let deadlines = self.nodes.iter().enumerate();
            let due = deadlines
                .filter_map(|(place, node)| Some((node.deadline()?, place)))
                .min();
            let planned = self.queue.peek().map(|planned| planned.at);
            let next = match (planned, due) {
                (Some(at), Some((due, _))) => at.min(due),
                (Some(at), None) => at,
                (None, Some((due, _))) => due,
                (None, None) => break,
            };
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            turns = if self.now == moment {
                turns.saturating_add(1)
            } else {
                0
            };
            moment = self.now;
            if turns > TURNS_PER_MOMENT_MAX {
                self.wrong(None, 8, "time stands still".to_owned());
                break;
            }
            if planned.is_some_and(|at| at <= next) {
                if let Some(planned) = self.queue.pop() {
                    self.happen(planned.what);
                }
            } else if let Some((_, node)) = due {
                self.expire(node);
            }
        }
        self.now = self.now.max(end);
    }

    pub(super) fn push(&mut self, at: Instant, what: Occurrence) {
        let number = self.planned;
        self.planned = self.planned.saturating_add(1);
        let at = at.max(self.now);
        self.queue.push(Planned { at, number, what });
    }

    pub(super) fn record(&mut self, node: Option<usize>, what: What) {
        let at = self.now;
        self.trace.push(Record { at, node, what });
    }

    pub(super) fn wrong(&mut self, node: Option<usize>, rule: u8, text: String) {
        let (at, breach) = (self.now, Breach { rule, text });
        self.violations.push(Violation { at, node, breach });
    }

    fn happen(&mut self, what: Occurrence) {
        match what {
            Occurrence::Arrives(node, arrival) => self.arrives(node, arrival),
            Occurrence::KernelServes { node, boot } => {
                if self.nodes.get(node).is_some_and(|it| it.boot == boot) {
                    self.kernel_serves(node);
                }
            }
            Occurrence::News { node, boot, news } => {
                if let Some(here) = self.nodes.get_mut(node).filter(|it| it.boot == boot) {
                    here.expected_news = here.expected_news.saturating_sub(1);
                    self.news(node, news);
                }
            }
            Occurrence::ScriptEnds {
                node,
                boot,
                id,
                run,
                outcome,
            } => {
                let here = self.nodes.get_mut(node).filter(|it| it.boot == boot);
                if let Some(here) = here.filter(|it| it.runs.get(&id) == Some(&run)) {
                    here.runs.remove(&id);
                    self.news(node, News::Script { id, outcome });
                }
            }
            Occurrence::Resumes { node, boot } => {
                let here = self.nodes.get(node);
                if here.is_some_and(|it| it.boot == boot && it.paused) {
                    self.resume(node);
                }
            }
            Occurrence::Fault(fault) => self.apply(fault),
        }
    }

    // The daemon.

    pub(super) fn start(&mut self, node: usize) {
        let Some(here) = self.nodes.get_mut(node).filter(|it| it.engine.is_none()) else {
            return;
        };
        here.forget_daemon();
        here.engine = Some(Engine::new(here.config.clone()));
        let instances = here.config.instances.iter();
        here.watches = instances
            .map(|config| Watch::new(config, self.now))
            .collect();
        let states = here.kernel.states();
        self.turn(node, Cause::Start, |engine, now, tx| {
            engine.event(now, Event::AllInterfaces(&states), tx);
            engine.event(now, Event::Command(Command::Start), tx);
        });
    }

    pub(super) fn stop(&mut self, node: usize) {
        self.turn(node, Cause::Stop, |engine, now, tx| {
            engine.event(now, Event::Command(Command::Stop), tx);
        });
    }

    pub(super) fn reload(&mut self, node: usize, config: Config) {
        let Some(here) = self.nodes.get_mut(node) else {
            return;
        };
        here.config = config.clone();
        let Some(engine) = &here.engine else { return };
        let plan = plan(engine.config(), config);
        let ended = plan.removed.iter().chain(&plan.restarted);
        let ended: Vec<String> = ended.map(|instance| instance.name.clone()).collect();
        let started = plan.started.clone();
        self.turn(node, Cause::Reload(ended), |engine, now, tx| {
            engine.apply(now, plan, tx);
        });
        let now = self.now;
        if let Some(here) = self.nodes.get_mut(node) {
            let begun = started.iter().map(|config| Watch::new(config, now));
            here.watches.extend(begun);
        }
        // What the new ones did in the turn that made them is judged now.
        self.watch(node, &Cause::Start, &[]);
    }

    pub(super) fn resume(&mut self, node: usize) {
        let Some(here) = self.nodes.get_mut(node) else {
            return;
        };
        here.paused = false;
        here.is_late = true;
        let datagrams = std::mem::take(&mut here.datagrams);
        let news = std::mem::take(&mut here.news);
        for arrival in datagrams {
            self.datagram(node, &arrival);
        }
        for item in news {
            self.news(node, item);
        }
        self.expire(node);
        if let Some(here) = self.nodes.get_mut(node) {
            here.is_late = false;
        }
        self.check_addresses(node);
    }

    fn expire(&mut self, node: usize) {
        let late = self.nodes.get(node).is_some_and(|here| here.is_late);
        self.turn(node, Cause::Time { late }, |engine, now, tx| {
            engine.expire(now, tx);
        });
        let now = self.now;
        let next = self.nodes.get(node).and_then(Node::deadline);
        if let Some(next) = next.filter(|next| *next <= now) {
            let text = format!("after its turn at {now:?} the next deadline is {next:?}");
            self.wrong(Some(node), 8, text);
        }
    }

    pub(super) fn news(&mut self, node: usize, news: News) {
        let Some(here) = self.nodes.get_mut(node) else {
            return;
        };
        if here.paused {
            return here.news.push_back(news);
        }
        let gone = matches!(news, News::Kernel(Report::Gone(_)));
        self.turn(node, Cause::Report { gone }, |engine, now, tx| {
            let event = match &news {
                News::Kernel(Report::Interface(state)) => Event::Interface(state),
                News::Kernel(Report::Gone(index)) => Event::InterfaceGone(*index),
                News::Kernel(Report::Removed { on, address }) => Event::AddressRemoved {
                    on: *on,
                    address: address.address,
                    prefix_length: address.prefix_length,
                },
                News::Kernel(Report::Done { token, result }) => Event::KernelDone {
                    token: *token,
                    result: *result,
                },
                News::Script { id, outcome } => Event::Script {
                    id: *id,
                    outcome: *outcome,
                },
            };
            engine.event(now, event, tx);
        });
    }

    /// One call of an engine, and everything that follows from it.
    fn turn(
        &mut self,
        node: usize,
        cause: Cause,
        act: impl FnOnce(&mut Engine, Instant, &mut Outbox<'_>),
    ) {
        let Some(here) = self.nodes.get_mut(node) else {
            return;
        };
        let Some(engine) = &mut here.engine else {
            return;
        };
        let mut outbox = Outbox {
            kernel: &here.kernel,
            sent: Vec::new(),
        };
        act(engine, self.now, &mut outbox);
        let sent = outbox.sent;
        let mut actions = Vec::new();
        while let Some(action) = engine.poll() {
            actions.push(action);
        }
        if actions.len() > ACTIONS_PER_TURN_MAX {
            let text = format!("{} actions in one turn", actions.len());
            self.wrong(Some(node), 8, text);
        }
        let first = self.trace.len();
        let mut left = Vec::new();
        for (via, to, frame, taken) in sent {
            left.extend(self.deliver(node, via, to, &frame, taken));
        }
        let stopped = actions.contains(&Action::Stopped);
        for action in actions {
            self.carry_out(node, action);
        }
        let fault = self.fault_reasons(first);
        self.watch_with(node, &cause, &left, &fault);
        self.check_addresses(node);
        if stopped && let Some(here) = self.nodes.get_mut(node) {
            here.forget_daemon();
        }
    }

    fn carry_out(&mut self, node: usize, action: Action) {
        let now = self.now;
        let Some(here) = self.nodes.get_mut(node) else {
            return;
        };
        let boot = here.boot;
        match action {
            Action::Listen {
                on, family, group, ..
            } => {
                here.listening.insert((on, family, group));
            }
            Action::Unlisten { on, family, .. } => {
                here.listening
                    .retain(|(there, of, _)| (*there, *of) != (on, family));
            }
            Action::Kernel { token, operations } => {
                for operation in &operations {
                    if let Operation::RemoveAddress { address, .. } = operation {
                        here.announceable.remove(&address.address);
                    }
                }
                let is_first = here.kernel.is_idle();
                here.kernel.ask(token, operations);
                if is_first && let Some(takes) = here.kernel.takes() {
                    self.push(now + takes, Occurrence::KernelServes { node, boot });
                }
            }
            Action::Announce { address, .. } => {
                if !here.announceable.contains(&address) {
                    let text = format!("announced {address}, which is not its own");
                    self.wrong(Some(node), 9, text);
                }
                self.record(Some(node), What::Announced(address));
            }
            Action::Run { id, command } => {
                here.run_count = here.run_count.saturating_add(1);
                let run = here.run_count;
                here.runs.insert(id, run);
                if let Behaviour::Exits(status) = here.behaviour(&command) {
                    let outcome = Outcome::Exited(status);
                    let at = now + here.script_time;
                    self.script_ends(at, node, id, run, outcome);
                }
            }
            Action::End(id) => {
                let run = here.runs.get(&id).copied();
                if let Some(run) = run {
                    let outcome = Outcome::Signalled(SIGTERM);
                    self.script_ends(now + SCRIPT_END_TIME, node, id, run, outcome);
                }
            }
            Action::Log(line) => self.record(Some(node), What::Log(line)),
            Action::Notify(_)
            | Action::NotifyGroup(_)
            | Action::NotifyLowerPriority(_)
            | Action::Ready
            | Action::Stopped => {}
        }
    }

    fn script_ends(&mut self, at: Instant, node: usize, id: ScriptId, run: u64, outcome: Outcome) {
        let Some(here) = self.nodes.get(node) else {
            return;
        };
        let boot = here.boot;
        let what = Occurrence::ScriptEnds {
            node,
            boot,
            id,
            run,
            outcome,
        };
        self.push(at, what);
    }

    // The kernel.

    fn kernel_serves(&mut self, node: usize) {
        let now = self.now;
        let Some(here) = self.nodes.get_mut(node) else {
            return;
        };
        // Also those that the kernel refuses: the engine says so, and goes on.
        here.announceable.extend(here.kernel.next_added());
        let (reports, changes) = here.kernel.serve();
        let boot = here.boot;
        if let Some(takes) = here.kernel.takes() {
            self.push(now + takes, Occurrence::KernelServes { node, boot });
        }
        for change in changes {
            let what = match change.added {
                true => What::Added(change.address),
                false => What::Removed(change.address),
            };
            self.record(Some(node), what);
        }
        self.tell(node, now, reports);
    }

    /// The kernel of a node tells its daemon.
    pub(super) fn tell(&mut self, node: usize, at: Instant, reports: Vec<Report>) {
        let Some(here) = self.nodes.get_mut(node).filter(|it| it.engine.is_some()) else {
            return;
        };
        let boot = here.boot;
        let count = u32::try_from(reports.len()).unwrap_or(u32::MAX);
        here.expected_news = here.expected_news.saturating_add(count);
        for report in reports {
            let news = News::Kernel(report);
            self.push(at, Occurrence::News { node, boot, news });
        }
    }

    /// As `tell`, after the time that it takes to hear of a change.
    pub(super) fn tell_soon(&mut self, node: usize, reports: Vec<Report>) {
        self.tell(node, self.now + NEWS_DELAY, reports);
    }

    // The network.

    /// Puts a packet on the wires; the advert in it.
    fn deliver(
        &mut self,
        node: usize,
        via: crate::ids::IfIndex,
        to: IpAddr,
        frame: &Rc<[u8]>,
        taken: bool,
    ) -> Option<Left> {
        let (source, envelope, bytes) = unpack(frame)?;
        let message = match envelope {
            Envelope::Ipv4 => frame.get(IPV4_HEADER_LENGTH..)?,
            Envelope::Ipv6 { .. } => &bytes,
        };
        let heard = Heard::read(source, message)?;
        let (vrid, priority) = (heard.vrid, heard.priority);
        let what = What::Sent {
            vrid,
            priority,
            to,
            taken,
        };
        self.record(Some(node), what);
        let segment = self.nodes.get(node)?.kernel.by_index(via)?.segment;
        let family = Family::of(to);
        for other in 0..self.nodes.len() {
            let Some(there) = self.nodes.get(other).filter(|_| other != node && taken) else {
                continue;
            };
            let on: Vec<_> = if to.is_multicast() {
                let interfaces = there.kernel.interfaces.iter();
                interfaces
                    .filter(|it| it.segment == segment)
                    .map(|it| it.state.index)
                    .collect()
            } else {
                let found = there.kernel.with_address(to);
                found.map(|it| it.state.index).into_iter().collect()
            };
            for on in on {
                let arrivals = self
                    .network
                    .arrivals(self.now, (node, other), &mut self.random);
                for at in arrivals.into_iter().flatten() {
                    let arrival = Arrival {
                        from: node,
                        on,
                        source,
                        envelope,
                        bytes: Rc::clone(&bytes),
                    };
                    self.push(at, Occurrence::Arrives(other, arrival));
                }
            }
        }
        Some(Left {
            vrid,
            family,
            priority,
        })
    }

    fn arrives(&mut self, node: usize, arrival: Arrival) {
        let Some(here) = self.nodes.get_mut(node).filter(|it| it.engine.is_some()) else {
            return;
        };
        let is_up = |index| here.kernel.by_index(index).is_some_and(|it| it.state.up);
        let to = destination(&arrival);
        if !is_up(arrival.on) || !to.is_some_and(|to| here.listens(arrival.on, to)) {
            return;
        }
        if here.paused {
            if here.datagrams.len() < SOCKET_QUEUE_MAX {
                here.datagrams.push_back(arrival);
            }
            return;
        }
        self.datagram(node, &arrival);
    }

    pub(super) fn datagram(&mut self, node: usize, arrival: &Arrival) {
        let message = match arrival.envelope {
            Envelope::Ipv4 => arrival.bytes.get(IPV4_HEADER_LENGTH..).unwrap_or_default(),
            Envelope::Ipv6 { .. } => &arrival.bytes,
        };
        let heard = Heard::read(arrival.source, message);
        if let Some(heard) = heard {
            let what = What::Heard {
                from: arrival.from,
                vrid: heard.vrid,
                priority: heard.priority,
            };
            self.record(Some(node), what);
        }
        self.turn(node, Cause::Datagram(heard), |engine, now, tx| {
            let datagram = Datagram {
                on: arrival.on,
                envelope: arrival.envelope,
                bytes: &arrival.bytes,
            };
            engine.event(now, Event::Datagram(datagram), tx);
        });
    }

    // The second opinion.

    fn watch(&mut self, node: usize, cause: &Cause, left: &[Left]) {
        self.watch_with(node, cause, left, &[]);
    }

    fn watch_with(
        &mut self,
        node: usize,
        cause: &Cause,
        left: &[Left],
        faults: &[(String, String)],
    ) {
        let addresses = &self.addresses;
        let name_of = |address: IpAddr| {
            let known = addresses.iter().find(|(known, _)| *known == address);
            known.map_or_else(|| address.to_string(), |(_, name)| name.clone())
        };
        let Some(here) = self.nodes.get_mut(node) else {
            return;
        };
        let Some(engine) = &here.engine else { return };
        let mut wrong = Vec::new();
        let mut changes = Vec::new();
        let kernel = &here.kernel;
        let turn_of = |watch: &Watch| Turn {
            now: self.now,
            cause,
            left,
            own: watch.config.source_address.or_else(|| {
                let family = watch.config.family();
                kernel.source(&watch.config.interface, family)
            }),
            faults,
            name_of: &name_of,
        };
        if let Cause::Reload(ended) = cause {
            for watch in here
                .watches
                .iter()
                .filter(|it| ended.contains(&it.config.name))
            {
                if watch.state == State::Master {
                    watch.judge_leaving(&turn_of(watch), &mut wrong);
                }
                changes.push(What::Ended {
                    instance: watch.name.clone(),
                });
            }
            here.watches.retain(|it| !ended.contains(&it.config.name));
        }
        let mut moved = 0_u64;
        for view in engine.instances() {
            let mut watches = here.watches.iter_mut();
            let Some(watch) = watches.find(|it| it.config.name == view.config.name) else {
                continue;
            };
            moved = moved.saturating_add(watch.counts(&view.statistics));
            let turn = turn_of(watch);
            let (change, breaches) = watch.turn(&view, &turn);
            wrong.extend(breaches);
            changes.extend(change.map(|change| What::State {
                instance: watch.name.clone(),
                from: change.from,
                to: change.to,
                priority: view.priority,
                why: change.why,
            }));
        }
        moved = moved.saturating_add(engine.ignored().saturating_sub(here.ignored));
        here.ignored = engine.ignored();
        if matches!(cause, Cause::Datagram(_)) && moved != 1 {
            let text = format!("a datagram was counted {moved} times");
            wrong.push(Breach { rule: 11, text });
        }
        self.note(node, changes, wrong);
    }

    /// Keeps what a turn of a node has shown.
    fn note(&mut self, node: usize, changes: Vec<What>, wrong: Vec<Breach>) {
        let at = self.now;
        for what in changes {
            self.record(Some(node), what);
        }
        let violations = wrong.into_iter().map(|breach| Violation {
            at,
            node: Some(node),
            breach,
        });
        self.violations.extend(violations);
    }

    /// The reasons for FAULT that were logged since `first`, with the instances.
    fn fault_reasons(&self, first: usize) -> Vec<(String, String)> {
        let records = self.trace.get(first..).unwrap_or_default();
        let reasons = records.iter().filter_map(|record| {
            let What::Log(LogLine::Instance(name, line)) = &record.what else {
                return None;
            };
            let reason = match line {
                InstanceLine::FaultReasons(reasons) => reasons.clone(),
                InstanceLine::FaultScript(script) => format!("script {script} fails"),
                InstanceLine::FaultInterfaceDown(it) => format!("interface {it} is down"),
                InstanceLine::FaultNoAddress(_) => "no address to send from".to_owned(),
                _ => return None,
            };
            Some((name.clone(), reason))
        });
        reasons.collect()
    }

    /// Once its kernel has done everything, a node has the VIPs of exactly those
    /// instances that are MASTER.
    fn check_addresses(&mut self, node: usize) {
        let Some(here) = self.nodes.get(node) else {
            return;
        };
        // In the turn after a standstill some news are still to be told.
        let hears = here.engine.is_some() && !here.is_late;
        if !hears || !here.kernel.is_idle() || here.expected_news > 0 {
            return;
        }
        let mut wrong = Vec::new();
        for watch in &here.watches {
            let is_master = watch.state == State::Master;
            for vip in watch.config.all_addresses() {
                let address = vip.address;
                if here.kernel.has(address) == is_master || here.kernel.unsure.contains(&address) {
                    continue;
                }
                let state = watch.state;
                let what = if is_master { "lacks" } else { "still has" };
                wrong.push(format!("({}) in {state} {what} {address}", watch.name));
            }
        }
        for text in wrong {
            self.wrong(Some(node), 3, text);
        }
    }
}

impl Watch {
    /// How many counters moved since the last turn.
    fn counts(&self, now: &crate::vrrp::statistics::Statistics) -> u64 {
        let before = self.statistics();
        let refused = now.addr_list_err.saturating_sub(before.addr_list_err);
        // A list of VIPs that differs is counted besides.
        let accepted = now.advert_rcvd > before.advert_rcvd;
        let other = counted(now).saturating_sub(counted(before));
        if accepted {
            other
        } else {
            other.saturating_add(refused)
        }
    }
}

/// Sender, envelope and what a socket gives of an IP packet.
fn unpack(frame: &Rc<[u8]>) -> Option<(IpAddr, Envelope, Rc<[u8]>)> {
    let octets = |from: usize, length: usize| frame.get(from..from.checked_add(length)?);
    if frame.first()? >> 4 == 4 {
        let source: [u8; 4] = octets(12, 4)?.try_into().ok()?;
        return Some((source.into(), Envelope::Ipv4, Rc::clone(frame)));
    }
    let source: [u8; 16] = octets(8, 16)?.try_into().ok()?;
    let destination: [u8; 16] = octets(24, 16)?.try_into().ok()?;
    let envelope = Envelope::Ipv6 {
        source: source.into(),
        destination: destination.into(),
        hop_limit: *frame.get(7)?,
    };
    Some((
        source.into(),
        envelope,
        frame.get(IPV6_HEADER_LENGTH..)?.into(),
    ))
}

/// Where a datagram was sent to.
fn destination(arrival: &Arrival) -> Option<IpAddr> {
    match arrival.envelope {
        Envelope::Ipv4 => {
            let octets: [u8; 4] = arrival.bytes.get(16..20)?.try_into().ok()?;
            Some(octets.into())
        }
        Envelope::Ipv6 { destination, .. } => Some(destination.into()),
    }
}

/// An advert of nobody's, for noise.
pub(super) fn noise(random: &mut Random, vrid: u8) -> Vec<u8> {
    let length = random.between(0, 60);
    let mut bytes: Vec<u8> = (0..length)
        .map(|_| random.bits().to_le_bytes()[0])
        .collect();
    let priority = Priority(bytes.first().copied().unwrap_or(0));
    // Half of them look like the beginning of an advert.
    if random.percent(50) {
        let head = [
            0x45, 0xc0, 0, 40, 0, 0, 0, 0, 255, 112, 0, 0, 10, 0, 0, 99, 224, 0, 0, 18,
        ];
        let mut whole = head.to_vec();
        whole.extend([0x21, vrid, priority.0, 1, 0, 1]);
        whole.append(&mut bytes);
        return whole;
    }
    bytes
}
