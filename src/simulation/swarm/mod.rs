//! Worlds at random: two or three nodes, configurations, faults.
//!
//! A seed decides everything. First come faults: each turn of each engine must
//! be right whatever happens. Then the faults end, and after a time that follows
//! from the configuration everything must be in its place, and quiet. Features
//! are turned on one by one at random, so that each is often seen without the
//! others.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use crate::config::model::{Config, Version};
use crate::config::{self, Options};
use crate::ids::{IfIndex, MacAddress};
use crate::time::{Instant, Interval};
use crate::vrrp::event::{InterfaceAddress, InterfaceState};

use super::faults::Timed;
use super::kernel::Interface;
use super::node::Setup;
use super::random::Random;
use super::trace::{Record, table};
use super::world::{Violation, World};

mod orders;
mod rest;
mod texts;
mod trouble;
mod watched;

use rest::judge_quiet;
pub(super) use rest::judge_settled;
use texts::{Features, companions, texts};

/// How many lines of a trace a report has.
const REPORT_LINES_MAX: usize = 400;

/// The interfaces that every node has; each is on a network of its own.
const INTERFACES: [&str; 2] = ["eth0", "eth1"];

/// A world before it begins.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed that it was made from.
    pub seed: u64,
    /// The configuration of each node, as text.
    pub texts: Vec<String>,
    /// The `keepalived-rs.conf` beside each of them.
    pub companions: Vec<String>,
    /// The same, understood.
    pub configs: Vec<Config>,
    /// What goes wrong, in any order.
    pub faults: Vec<Timed>,
    /// When the faults end.
    pub heal_at: Instant,
    /// Nodes that are off afterwards, too.
    pub off: BTreeSet<usize>,
    /// The clocks of nodes stay as they were set.
    pub keeps_clocks: bool,
    /// When everything must be in its place.
    pub settled_at: Instant,
    /// Until when it must stay there.
    pub end: Instant,
}

/// A world that went wrong.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The least plan that was found to go wrong in the same way.
    pub plan: Plan,
    /// What went wrong.
    pub violations: Vec<Violation>,
    /// Everything that happened.
    pub trace: Vec<Record>,
}

/// Runs the world of a seed; what is wrong with it, with as few faults as that
/// takes.
pub fn run(seed: u64) -> Result<(), Box<Failure>> {
    let plan = Plan::new(seed);
    match attempt(&plan) {
        Ok(_) => Ok(()),
        Err(failure) => Err(shrink(failure)),
    }
}

/// Runs a world; everything that happened in it.
pub fn attempt(plan: &Plan) -> Result<Vec<Record>, Box<Failure>> {
    let mut world = World::new(plan.setups(), plan.seed);
    for timed in &plan.faults {
        world.plan(timed.at, timed.fault.clone());
    }
    plan.heal(&mut world);
    world.run_until(plan.heal_at);
    let before = world.violations.len();
    world.run_until(plan.settled_at);
    let settled_from = world.trace.len();
    if before == world.violations.len() {
        judge_settled(&mut world);
    }
    world.run_until(plan.end);
    judge_quiet(&mut world, settled_from);
    super::rivals::judge_rivals(&mut world, plan.heal_at);
    if world.violations.is_empty() {
        return Ok(world.trace);
    }
    Err(Box::new(Failure {
        plan: plan.clone(),
        violations: world.violations,
        trace: world.trace,
    }))
}

/// Drops faults one by one while the same rule is still broken.
fn shrink(mut failure: Box<Failure>) -> Box<Failure> {
    let rule_of = |failure: &Failure| failure.violations.first().map(|it| it.breach.rule);
    let rule = rule_of(&failure);
    let mut place = 0;
    while place < failure.plan.faults.len() {
        let mut plan = failure.plan.clone();
        plan.faults.remove(place);
        match attempt(&plan) {
            Err(smaller) if rule_of(&smaller) == rule => failure = smaller,
            _ => place = place.saturating_add(1),
        }
    }
    failure
}

impl Failure {
    /// Everything that somebody needs to understand it.
    pub fn report(&self) -> String {
        let plan = &self.plan;
        let names = names(plan.configs.len());
        let mut out = format!("seed {} fails\n", plan.seed);
        for violation in self.violations.iter().take(5) {
            let name = violation.node.and_then(|node| names.get(node));
            let _ = writeln!(
                out,
                "  rule {} at {}, {}: {}",
                violation.breach.rule,
                super::trace::seconds(violation.at),
                name.map_or("between nodes", String::as_str),
                violation.breach.text
            );
        }
        for ((name, text), companion) in names.iter().zip(&plan.texts).zip(&plan.companions) {
            let _ = writeln!(out, "--- {name}\n{text}{companion}");
        }
        let _ = writeln!(
            out,
            "--- faults, until {}",
            super::trace::seconds(plan.heal_at)
        );
        for timed in &plan.faults {
            let at = super::trace::seconds(timed.at);
            let _ = writeln!(out, "{at:>12}  {}", timed.fault.in_words(&names));
        }
        let first = self.violations.first().map_or(plan.end, |it| it.at);
        let upto = self.trace.partition_point(|record| record.at <= first);
        let from = upto.saturating_sub(REPORT_LINES_MAX);
        let shown = self.trace.get(from..upto).unwrap_or_default();
        let _ = write!(out, "--- events\n{}", table(shown, &names));
        out
    }
}

fn names(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("node{number}")).collect()
}

/// The longest interval, version 2 included, in milliseconds, and the number of
/// nodes decide how long a world lives.
struct Span {
    interval: Interval,
    /// The longest that a backup waits.
    master_down: Interval,
    /// A fifth of the time in which things go wrong.
    faults: Interval,
    scripts: Interval,
    preempt_delay: Interval,
}

impl Plan {
    /// The world of this seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let features = Features::new(seed, &mut random);
        let count = if features.three_nodes { 3 } else { 2 };
        let texts = texts(&features, count, &mut random);
        let companions = companions(&features, count, &mut random);
        let configs = texts.iter().zip(&companions);
        let configs: Vec<Config> = configs
            .map(|(text, companion)| understood(seed, text, companion))
            .collect();
        let span = span(&configs);
        let second = Interval::from_secs(1);
        let master_down = span.master_down;
        let heal_at = Instant::ZERO + span.faults.times(5) + span.scripts;
        let settle = master_down.times(5) + span.scripts.times(2) + span.preempt_delay.times(2);
        let settled_at = heal_at + settle + second;
        let end = settled_at + span.interval.times(4) + span.interval;
        let mut plan = Self {
            seed,
            texts,
            companions,
            configs,
            faults: Vec::new(),
            heal_at,
            off: BTreeSet::new(),
            keeps_clocks: false,
            settled_at,
            end,
        };
        plan.make_faults(&features, &mut random);
        if random.percent(20) {
            let node = random.below(u64::try_from(count).unwrap_or(2));
            plan.off.insert(usize::try_from(node).unwrap_or(0));
        }
        plan
    }

    fn setups(&self) -> Vec<Setup> {
        let configs = self
            .configs
            .iter()
            .enumerate()
            .zip(names(self.configs.len()));
        configs
            .map(|((place, config), name)| Setup {
                name,
                config: config.clone(),
                interfaces: interfaces(place),
            })
            .collect()
    }
}

/// The longest of everything.
fn span(configs: &[Config]) -> Span {
    let instances = || configs.iter().flat_map(|config| &config.instances);
    let scripts = configs.iter().flat_map(|config| &config.scripts);
    let processes = configs.iter().flat_map(|config| &config.track_processes);
    let quorum_delay = processes.map(|it| it.fork_delay.max(it.terminate_delay));
    let interval = instances().map(|instance| instance.advert_interval).max();
    let interval = interval.unwrap_or_default();
    let adverts = instances()
        .map(|instance| instance.down_timer_adverts)
        .max();
    let adverts = u64::from(adverts.unwrap_or(3));
    let delay = instances().map(|instance| instance.preempt_delay).max();
    let scripts = scripts.map(|script| {
        let runs = u64::from(script.rise.max(script.fall)).saturating_add(2);
        script.interval.max(script.timeout).times(runs)
    });
    let master_down = interval.times(adverts) + interval.max(Interval::from_secs(1));
    // A world of fast adverts whose troubles lasted as long as those of slow ones would cost
    // as much as a hundred of them.
    let is_slow = instances().any(|instance| instance.version == Version::V2);
    let faults = match is_slow || interval >= Interval::from_ms(200) {
        true => master_down,
        false => interval.times(adverts) + Interval::from_ms(200),
    };
    Span {
        interval,
        master_down,
        faults,
        scripts: scripts.chain(quorum_delay).max().unwrap_or_default(),
        preempt_delay: delay.unwrap_or_default(),
    }
}

/// A node with the usual interfaces and this configuration.
pub(super) fn setup(place: usize, text: &str) -> Setup {
    let number = place.saturating_add(1);
    Setup {
        name: format!("node{number}"),
        config: understood(0, text, ""),
        interfaces: interfaces(place),
    }
}

/// The configuration that a text means.
fn understood(seed: u64, text: &str, companion: &str) -> Config {
    let file = |path: &str, text: &str| (PathBuf::from(path), text.as_bytes().to_vec());
    let files = vec![
        file("/keepalived.conf", text),
        file("/keepalived-rs.conf", companion),
    ];
    let loaded = config::load(&files, Path::new("/keepalived.conf"), &Options::default());
    assert!(
        loaded.is_usable(),
        "seed {seed} made a text that cannot be used: {:?}\n{text}",
        loaded.diagnostics
    );
    loaded.config
}

/// The interfaces of a node: each with an address of each family.
fn interfaces(node: usize) -> Vec<Interface> {
    let number = u8::try_from(node.saturating_add(1)).unwrap_or(u8::MAX);
    let one = |(segment, name): (usize, &str)| {
        let net = u8::try_from(segment).unwrap_or(0);
        let v6 = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, net.into(), number.into());
        let own = vec![
            InterfaceAddress {
                address: Ipv4Addr::new(10, 0, net, number).into(),
                prefix_length: 24,
            },
            InterfaceAddress {
                address: v6.into(),
                prefix_length: 64,
            },
        ];
        let state = InterfaceState {
            index: IfIndex(u32::from(net).saturating_add(2)),
            name: name.to_owned(),
            up: true,
            loopback: false,
            multicast: true,
            no_arp: false,
            forwarding: false,
            mac: MacAddress([2, 0, 0, 0, net, number]),
            mtu: 1500,
            addresses: own.clone(),
        };
        Interface {
            state,
            segment,
            own,
        }
    };
    INTERFACES.into_iter().enumerate().map(one).collect()
}
