//! Virtual time: nodes, the network between them, and what happens next.
//!
//! Decides the order of events: by time, then in the order in which they were
//! planned; datagrams and news before the deadlines of the same moment, as the
//! daemon empties its sockets before it looks at the time. Each turn of an
//! engine is compared with a second opinion (`monitor.rs`).

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::config::model::Config;
use crate::ids::ScriptId;
use crate::time::{Instant, Interval};
use crate::vrrp::Engine;
use crate::vrrp::action::{Action, Operation};
use crate::vrrp::event::{Command, Event, Outcome};
use crate::vrrp::plan::plan;

use super::faults::Fault;
use super::kernel::Report;
use super::monitor::{Breach, Cause, Watch};
use super::network::Network;
use super::node::{Arrival, Behaviour, News, Node, Outbox, Setup};
use super::ordered::handed_down;
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
    /// Kept apart: what the queue moves about stays small.
    what: Box<Occurrence>,
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
    /// Datagrams that wait until somebody releases them; `None`: none wait.
    pub(super) held: Option<Vec<(usize, Arrival)>>,
    /// The address of each node's own, with its name.
    pub(super) addresses: Vec<(IpAddr, String)>,
    queue: BinaryHeap<Planned>,
    planned: u64,
}

impl World {
    /// Nodes that are switched off, on good wires.
    pub fn new(setups: Vec<Setup>, seed: u64) -> Self {
        let interfaces = setups.iter().flat_map(|setup| &setup.interfaces);
        let segments = interfaces.map(|it| it.segment.saturating_add(1)).max();
        let network = Network::new(setups.len(), segments.unwrap_or(0));
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
            held: None,
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
                    self.happen(*planned.what);
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
        let what = Box::new(what);
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
        // The engine finds by itself what it was configured with.
        let last = std::mem::replace(&mut here.last, vec![here.config.clone()]);
        let changed = last.iter().filter(|last| **last != here.config);
        let removed: Vec<IpAddr> = changed
            .flat_map(|last| here.kernel.take_off_vips(last))
            .collect();
        here.engine = Some(Engine::new(here.config.clone()));
        let instances = here.config.instances.iter();
        here.watches = instances
            .map(|config| Watch::new(config, self.now))
            .collect();
        let states = here.kernel.states();
        let wall = here.wall(self.now);
        let (config, found) = (here.config.clone(), here.found.clone());
        for address in removed {
            self.record(Some(node), What::Removed(address));
        }
        self.turn(node, Cause::Start, |engine, now, tx| {
            engine.event(now, Event::WallClock(wall), tx);
            engine.event(now, Event::AllInterfaces(&states), tx);
            engine.event(now, Event::Command(Command::Start), tx);
            found.tell(engine, now, &config, tx);
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
        let found = here.found.clone();
        let engine = here.engine.as_ref().filter(|engine| engine.takes_plans());
        let Some(engine) = engine else { return };
        here.last.push(config.clone());
        let plan = plan(engine.config(), config.clone());
        let restarted = plan.restarted.iter().map(|it| &it.before);
        let ended = plan.removed.iter().chain(restarted);
        let ended: Vec<String> = ended.map(|instance| instance.name.clone()).collect();
        let kept = plan.kept.iter();
        let kept = kept.map(|it| (it.before.name.clone(), Arc::clone(&it.after)));
        let kept: Vec<_> = kept.collect();
        here.ordered = handed_down(&here.ordered, &kept, &config);
        let started = plan.started.clone();
        self.turn(node, Cause::Reload { ended, kept }, |engine, now, tx| {
            engine.apply(now, plan, tx);
            found.tell(engine, now, &config, tx);
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
        self.tell_time(node);
        let Some(here) = self.nodes.get_mut(node) else {
            return;
        };
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

    /// The daemon looks at the calendar.
    pub(super) fn tell_time(&mut self, node: usize) {
        let Some(here) = self.nodes.get(node).filter(|it| !it.paused) else {
            return;
        };
        let wall = here.wall(self.now);
        self.turn(node, Cause::Report { gone: false }, |engine, now, tx| {
            engine.event(now, Event::WallClock(wall), tx);
        });
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
        if matches!(news, News::Kernel(Report::Refused { .. })) {
            here.refused_at = Some(self.now);
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
                News::Kernel(Report::Refused {
                    token,
                    operation,
                    errno,
                }) => Event::Refused {
                    token: *token,
                    operation,
                    errno: *errno,
                },
                News::Kernel(Report::Done { token, result }) => Event::KernelDone {
                    token: *token,
                    result: *result,
                },
                News::Script { id, outcome } => Event::Script {
                    id: *id,
                    outcome: *outcome,
                },
                News::File { file, value } => Event::File {
                    file,
                    value: *value,
                },
                News::Processes { process, count } => Event::Processes {
                    process,
                    count: *count,
                },
            };
            engine.event(now, event, tx);
        });
    }

    /// One call of an engine, and everything that follows from it.
    pub(super) fn turn(
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
            Action::Leave {
                on, family, group, ..
            } => {
                here.listening.remove(&(on, family, Some(group)));
            }
            Action::Relisten { .. } => {}
            Action::Unlisten { on, family, .. } => {
                here.listening
                    .retain(|(there, of, _)| (*there, *of) != (on, family));
            }
            Action::Kernel { token, operations } => {
                for operation in &operations {
                    if let Operation::RemoveAddress { on, address } = operation
                        && !here.kernel.has_elsewhere(*on, address.address)
                    {
                        here.announceable.remove(&address.address);
                    }
                }
                let is_first = here.kernel.is_idle();
                here.kernel.ask(token, operations);
                if is_first && let Some(takes) = here.kernel.takes() {
                    self.push(now + takes, Occurrence::KernelServes { node, boot });
                }
            }
            Action::Announce { on, address, .. } => {
                self.judge_announcement(node, on, address);
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
            | Action::NotifyPriority(_)
            | Action::FindCulprits
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
}
