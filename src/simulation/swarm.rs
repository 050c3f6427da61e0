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

use crate::config::model::{Config, Instance, TrackScript};
use crate::config::{self, Options};
use crate::ids::{IfIndex, MacAddress, Priority};
use crate::time::{Instant, Interval};
use crate::vrrp::event::{InterfaceAddress, InterfaceState};
use crate::vrrp::state_machine::State;

use super::faults::{Fault, Timed};
use super::kernel::Interface;
use super::network::Quality;
use super::node::{Behaviour, Node, Setup};
use super::random::Random;
use super::trace::{Record, What, table};
use super::world::{Violation, World};

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

/// What a seed has turned on.
struct Features {
    version_3: bool,
    ipv6: bool,
    unicast: bool,
    scripts: bool,
    track_interface: bool,
    nopreempt: bool,
    preempt_delay: bool,
    password: bool,
    equal: bool,
    owner: bool,
    second_interface: bool,
    loss: bool,
    three_nodes: bool,
    /// `fast_handover`, weights that matter, and a script that fails often.
    fast_handover: bool,
    /// Of version 3, centiseconds.
    interval_cs: u64,
}

impl Features {
    /// Of a seed. `fast_handover` is drawn apart, so that the worlds without it are
    /// what they were before there was such a thing.
    fn new(seed: u64, random: &mut Random) -> Self {
        let mut features = Self::plain(random);
        if Random::new(seed ^ OWN_WORDS).percent(25) {
            (features.fast_handover, features.scripts) = (true, true);
            (features.owner, features.equal) = (false, false);
        }
        features
    }

    fn plain(random: &mut Random) -> Self {
        let version_3 = random.percent(50);
        let intervals = [1, 3, 10, 25, 100, 100, 200];
        Self {
            version_3,
            ipv6: version_3 && random.percent(40),
            unicast: random.percent(30),
            scripts: random.percent(50),
            track_interface: random.percent(30),
            nopreempt: random.percent(25),
            preempt_delay: random.percent(20),
            password: !version_3 && random.percent(30),
            equal: random.percent(20),
            owner: random.percent(10),
            second_interface: random.percent(30),
            loss: random.percent(50),
            three_nodes: random.percent(40),
            fast_handover: false,
            interval_cs: random.pick(&intervals).copied().unwrap_or(100),
        }
    }
}

/// The longest interval, version 2 included, in milliseconds, and the number of
/// nodes decide how long a world lives.
struct Span {
    interval: Interval,
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
        let master_down = span.interval.times(3) + span.interval.max(second);
        let heal_at = Instant::ZERO + master_down.times(5) + span.scripts;
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

    fn make_faults(&mut self, features: &Features, random: &mut Random) {
        let span = self.heal_at.since(Instant::ZERO);
        let quality = Quality {
            loss_per_million: u32::try_from(random.below(200_000)).unwrap_or(0),
            twice_per_million: u32::try_from(random.below(50_000)).unwrap_or(0),
            late_per_million: u32::try_from(random.below(50_000)).unwrap_or(0),
            delay: Interval::from_us(random.between(20, 800)),
            jitter: Interval::from_us(random.below(2_000)),
        };
        if features.loss {
            let (at, fault) = (Instant::ZERO, Fault::Quality(quality));
            self.faults.push(Timed { at, fault });
        }
        for node in 0..self.configs.len() {
            let at = Instant::ZERO + random.span(Interval::from_us(span.as_us() / 5));
            let fault = Fault::Start(node);
            self.faults.push(Timed { at, fault });
        }
        for _ in 0..random.below(12) {
            let at = Instant::ZERO + random.span(span);
            self.add_fault(at, random);
        }
        if features.fast_handover {
            self.add_script_faults(random);
        }
        self.faults.sort_by_key(|timed| timed.at);
    }

    /// The script of each node fails and works by turns.
    fn add_script_faults(&mut self, random: &mut Random) {
        let span = self.heal_at.since(Instant::ZERO);
        for (node, config) in self.configs.iter().enumerate() {
            let Some(script) = config.scripts.first() else {
                continue;
            };
            for status in [1, 0, 1, 0] {
                let fault = Fault::Script {
                    node,
                    script: script.name.clone(),
                    behaviour: Behaviour::Exits(status),
                };
                let at = Instant::ZERO + random.span(span);
                self.faults.push(Timed { at, fault });
            }
        }
    }

    /// One fault; what does not last is followed by its end.
    fn add_fault(&mut self, at: Instant, random: &mut Random) {
        let count = u64::try_from(self.configs.len()).unwrap_or(2);
        let node = usize::try_from(random.below(count)).unwrap_or(0);
        let other = usize::try_from(random.below(count)).unwrap_or(0);
        let span = self.heal_at.since(Instant::ZERO);
        let later = at + random.span(Interval::from_us(span.as_us() / 4));
        let interface = random
            .pick(&INTERFACES)
            .copied()
            .unwrap_or("eth0")
            .to_owned();
        let Some(config) = self.configs.get(node) else {
            return;
        };
        let Some(instance) = random.pick(&config.instances).cloned() else {
            return;
        };
        let script = random
            .pick(&config.scripts)
            .map(|script| script.name.clone());
        let address = random
            .pick(&instance.virtual_addresses)
            .map(|vip| vip.address);
        let priority = Priority(u8::try_from(random.between(1, 254)).unwrap_or(100));
        let mut add = |at, fault| self.faults.push(Timed { at, fault });
        match random.below(13) {
            end @ 0..=2 => {
                let fault = match end {
                    0 => Fault::PowerOff(node),
                    1 => Fault::Kill(node),
                    _ => Fault::Stop(node),
                };
                add(at, fault);
                add(later, Fault::Start(node));
            }
            3 => add(at, Fault::Pause(node, later.since(at))),
            4 => link_faults([at, later], node, &interface, &mut add),
            5 => add(at, Fault::Recreate { node, interface }),
            6 => {
                if let Some(address) = address {
                    add(at, Fault::TakeAway { node, address });
                }
            }
            7 | 8 => {
                if let Some(script) = script {
                    script_faults([at, later], node, &script, random, &mut add);
                }
            }
            9 => cut_faults([at, later], [node, other], random, &mut add),
            10 => {
                let takes = random.span(Interval::from_ms(500));
                add(at, Fault::KernelTakes(node, takes));
            }
            // The address owner stays what it is.
            11 if instance.priority.is_owner() => {}
            11 => {
                let instance = instance.name.clone();
                let fault = Fault::Reload {
                    node,
                    instance,
                    priority,
                };
                add(at, fault);
            }
            _ => noise_faults(at, node, instance.vrid.get(), random, &mut add),
        }
    }

    /// The end of all faults: scripts stay as they are.
    fn heal(&self, world: &mut World) {
        let at = self.heal_at;
        let count = self.configs.len();
        world.plan(at, Fault::Quality(Quality::GOOD));
        for node in 0..count {
            for to in (0..count).filter(|to| *to != node) {
                let (from, cut) = (node, false);
                world.plan(at, Fault::Cut { from, to, cut });
            }
            world.plan(at, Fault::KernelFails(node, 0));
            world.plan(at, Fault::KernelTakes(node, Interval::from_us(50)));
            for interface in INTERFACES {
                let (interface, up) = (interface.to_owned(), true);
                world.plan(
                    at,
                    Fault::Link {
                        node,
                        interface,
                        up,
                    },
                );
            }
            let last = match self.off.contains(&node) {
                true => Fault::PowerOff(node),
                false => Fault::Start(node),
            };
            world.plan(at, last);
        }
    }
}

/// The longest of everything.
fn span(configs: &[Config]) -> Span {
    let instances = || configs.iter().flat_map(|config| &config.instances);
    let scripts = configs.iter().flat_map(|config| &config.scripts);
    let interval = instances().map(|instance| instance.advert_interval).max();
    let delay = instances().map(|instance| instance.preempt_delay).max();
    let scripts = scripts.map(|script| {
        let runs = u64::from(script.rise.max(script.fall)).saturating_add(2);
        script.interval.max(script.timeout).times(runs)
    });
    Span {
        interval: interval.unwrap_or_default(),
        scripts: scripts.max().unwrap_or_default(),
        preempt_delay: delay.unwrap_or_default(),
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

// Texts of configurations.

/// What all nodes share of one virtual router.
struct Router {
    number: u64,
    interface: usize,
    ipv6: bool,
    version_3: bool,
    password: bool,
    unicast: bool,
    script: Option<i64>,
    tracked: Option<i64>,
    /// Of version 2: one for all.
    interval_s: u64,
}

fn texts(features: &Features, count: usize, random: &mut Random) -> Vec<String> {
    let routers: Vec<Router> = (1..=random.between(1, 3))
        .map(|number| Router {
            number,
            interface: usize::from(features.second_interface && random.percent(50)),
            ipv6: features.ipv6 && random.percent(60),
            version_3: features.version_3,
            password: features.password,
            unicast: features.unicast && random.percent(60),
            script: match features.fast_handover {
                true => Some(-i64::try_from(random.between(20, 100)).unwrap_or(20)),
                false => (features.scripts && random.percent(70)).then(|| weight(random)),
            },
            tracked: (features.track_interface && random.percent(70)).then(|| weight(random)),
            interval_s: if random.percent(80) { 1 } else { 2 },
        })
        .collect();
    let script = script(random);
    let owner = random.below(u64::try_from(count).unwrap_or(2));
    let shared = random.between(2, 250);
    (0..count)
        .map(|node| {
            let mut text = String::new();
            if routers.iter().any(|router| router.script.is_some()) {
                text.push_str(&script);
            }
            for router in &routers {
                let is_owner = features.owner && usize::try_from(owner).is_ok_and(|it| it == node);
                let priority = match () {
                    () if is_owner => 255,
                    () if features.equal => shared,
                    () if features.fast_handover => random.between(100, 160),
                    () => random.between(1, 254),
                };
                write_router(&mut text, router, features, (node, count, priority), random);
            }
            text
        })
        .collect()
}

/// The `keepalived-rs.conf` of each node: most have the switch.
fn companions(features: &Features, count: usize, random: &mut Random) -> Vec<String> {
    (0..count)
        .map(|_| match features.fast_handover && random.percent(80) {
            true => "global_defs {\n    fast_handover\n}\n".to_owned(),
            false => String::new(),
        })
        .collect()
}

/// Any number: another beginning of the same seed.
const OWN_WORDS: u64 = 0x6f77_6e77_6f72_6473;

/// Of something tracked; 0 means FAULT.
fn weight(random: &mut Random) -> i64 {
    let size = i64::try_from(random.between(1, 100)).unwrap_or(1);
    match random.below(3) {
        0 => 0,
        1 => size,
        _ => size.saturating_neg(),
    }
}

fn script(random: &mut Random) -> String {
    let (rise, fall) = (random.between(1, 3), random.between(1, 3));
    let init_fail = if random.percent(30) {
        "    init_fail\n"
    } else {
        ""
    };
    format!(
        "vrrp_script chk {{\n    script \"/bin/chk\"\n    interval 1\n    rise {rise}\n    fall {fall}\n{init_fail}}}\n"
    )
}

/// A link that goes down and comes up.
fn link_faults(
    [at, later]: [Instant; 2],
    node: usize,
    interface: &str,
    add: &mut impl FnMut(Instant, Fault),
) {
    for (at, up) in [(at, false), (later, true)] {
        let interface = interface.to_owned();
        let fault = Fault::Link {
            node,
            interface,
            up,
        };
        add(at, fault);
    }
}

/// A script that behaves otherwise, twice.
fn script_faults(
    times: [Instant; 2],
    node: usize,
    script: &str,
    random: &mut Random,
    add: &mut impl FnMut(Instant, Fault),
) {
    let all = [Behaviour::Exits(0), Behaviour::Exits(1), Behaviour::Hangs];
    for at in times {
        let behaviour = random.pick(&all).copied().unwrap_or(Behaviour::Hangs);
        let script = script.to_owned();
        let fault = Fault::Script {
            node,
            script,
            behaviour,
        };
        add(at, fault);
    }
}

/// A way that is cut and mended, often both ways.
fn cut_faults(
    [at, later]: [Instant; 2],
    [node, other]: [usize; 2],
    random: &mut Random,
    add: &mut impl FnMut(Instant, Fault),
) {
    let both = random.percent(60);
    for (at, cut) in [(at, true), (later, false)] {
        let (from, to) = (node, other);
        add(at, Fault::Cut { from, to, cut });
        if both {
            let (from, to) = (other, node);
            add(at, Fault::Cut { from, to, cut });
        }
    }
}

/// Datagrams that are none, sometimes with a kernel that refuses.
fn noise_faults(
    at: Instant,
    node: usize,
    vrid: u8,
    random: &mut Random,
    add: &mut impl FnMut(Instant, Fault),
) {
    if random.percent(50) {
        let count = u32::try_from(random.between(1, 3)).unwrap_or(1);
        add(at, Fault::KernelFails(node, count));
    }
    for _ in 0..5 {
        add(at, Fault::Noise { node, vrid });
    }
}

fn write_router(
    text: &mut String,
    router: &Router,
    features: &Features,
    (node, count, priority): (usize, usize, u64),
    random: &mut Random,
) {
    let number = router.number;
    let interface = INTERFACES.get(router.interface).copied().unwrap_or("eth0");
    let vrid = number.saturating_add(50);
    let _ = writeln!(text, "vrrp_instance VI_{number} {{");
    let _ = writeln!(
        text,
        "    interface {interface}\n    virtual_router_id {vrid}"
    );
    let _ = writeln!(text, "    priority {priority}");
    if router.version_3 {
        // Version 3 nodes may differ.
        let factor = if random.percent(20) { 2 } else { 1 };
        let cs = features.interval_cs.saturating_mul(factor);
        let (whole, part) = (cs / 100, cs % 100);
        let _ = writeln!(text, "    version 3\n    advert_int {whole}.{part:02}");
    } else {
        let _ = writeln!(text, "    advert_int {}", router.interval_s);
    }
    if features.nopreempt && priority != 255 && random.percent(50) {
        text.push_str("    nopreempt\n");
    } else if features.preempt_delay && priority != 255 && random.percent(50) {
        let _ = writeln!(text, "    preempt_delay {}", random.between(1, 5));
    }
    if router.password {
        text.push_str(
            "    authentication {\n        auth_type PASS\n        auth_pass secret\n    }\n",
        );
    }
    if router.unicast {
        text.push_str("    unicast_peer {\n");
        for peer in (0..count).filter(|peer| *peer != node) {
            let own = interfaces(peer);
            let addresses = own.get(router.interface).map(|it| it.own.as_slice());
            let family = |on: &&InterfaceAddress| on.address.is_ipv6() == router.ipv6;
            let address = addresses.and_then(|all| all.iter().find(family));
            if let Some(on) = address {
                let _ = writeln!(text, "        {}", on.address);
            }
        }
        text.push_str("    }\n");
    }
    if let Some(weight) = router.script {
        let _ = writeln!(
            text,
            "    track_script {{\n        chk weight {weight}\n    }}"
        );
    }
    if let Some(weight) = router.tracked {
        let _ = writeln!(
            text,
            "    track_interface {{\n        eth1 weight {weight}\n    }}"
        );
    }
    write_addresses(text, router, random);
    text.push_str("}\n");
}

/// The block of its virtual addresses.
fn write_addresses(text: &mut String, router: &Router, random: &mut Random) {
    let number = router.number;
    text.push_str("    virtual_ipaddress {\n");
    for place in 0..random.between(1, 2) {
        let last = number.saturating_mul(10).saturating_add(place);
        if router.ipv6 && place == 0 {
            let _ = writeln!(text, "        fe80::a:{last}/64");
        } else if router.ipv6 {
            let _ = writeln!(text, "        fd00::{last}/64");
        } else {
            let last = last.saturating_add(100);
            let _ = writeln!(text, "        10.0.{}.{last}/24", router.interface);
        }
    }
    text.push_str("    }\n");
}

// The judgement.

/// What an instance should count with now, and whether anything keeps it in FAULT.
fn standing(node: &Node, instance: &Instance) -> (Priority, bool) {
    let works = |tracked: &TrackScript| {
        let set = node.behaviours.get(&tracked.script.name);
        set.is_none_or(|behaviour| *behaviour == Behaviour::Exits(0))
    };
    let is_up = |name: &str| {
        let mut interfaces = node.kernel.interfaces.iter();
        interfaces.any(|it| it.state.name == name && it.state.up)
    };
    let scripts = instance.track_scripts.iter();
    let scripts = scripts.map(|tracked| (tracked.weight, works(tracked)));
    let interfaces = instance.track_interfaces.iter();
    let interfaces = interfaces.map(|tracked| (tracked.weight, is_up(&tracked.interface)));
    let mut faulty = !is_up(&instance.interface);
    let mut sum = i32::from(instance.priority.0);
    for (weight, good) in scripts.chain(interfaces) {
        faulty |= weight == 0 && !good;
        if (weight > 0) == good {
            sum = sum.saturating_add(weight);
        }
    }
    let priority = match instance.priority {
        Priority::OWNER => 255,
        _ => u8::try_from(sum.clamp(1, 254)).unwrap_or(1),
    };
    (Priority(priority), faulty)
}

/// Everybody hears everybody: for each virtual router exactly one is MASTER, and
/// nobody stands back who should not.
fn judge_settled(world: &mut World) {
    let mut wrong = Vec::new();
    let running: Vec<&Node> = world
        .nodes
        .iter()
        .filter(|node| node.engine.is_some())
        .collect();
    let names: BTreeSet<&str> = running
        .iter()
        .flat_map(|node| node.watches.iter().map(|watch| &*watch.config.name))
        .collect();
    for name in names {
        let mut eligible = Vec::new();
        for node in &running {
            let mut watches = node.watches.iter();
            let Some(watch) = watches.find(|watch| watch.config.name == name) else {
                continue;
            };
            let (priority, faulty) = standing(node, &watch.config);
            let where_ = format!("({name}) on {}", node.name);
            if faulty != (watch.state == State::Fault) {
                wrong.push((
                    2,
                    format!("{where_} is in {}, faulty: {faulty}", watch.state),
                ));
            }
            if priority != watch.priority {
                let has = watch.priority;
                wrong.push((2, format!("{where_} has priority {has}, not {priority}")));
            }
            if !faulty {
                eligible.push((watch, priority));
            }
        }
        let is_master = |watch: &super::monitor::Watch| watch.state == State::Master;
        let masters: Vec<_> = eligible.iter().filter(|(it, _)| is_master(it)).collect();
        match masters.as_slice() {
            [] if eligible.is_empty() => {}
            [] => wrong.push((2, format!("({name}) has no master"))),
            [(_, priority)] => {
                let better = eligible
                    .iter()
                    .filter(|(it, theirs)| theirs > priority && !it.config.nopreempt);
                if better.count() > 0 {
                    wrong.push((2, format!("({name}) has a better one than its master")));
                }
            }
            more => wrong.push((1, format!("({name}) has {} masters", more.len()))),
        }
    }
    for (rule, text) in wrong {
        world.wrong(None, rule, text);
    }
}

/// After everything was in its place: nobody changes, only masters send, and
/// they send in their time.
fn judge_quiet(world: &mut World, from: usize) {
    let mut wrong = Vec::new();
    let records = world.trace.get(from..).unwrap_or_default();
    for record in records {
        match &record.what {
            What::State { instance, why, .. } => {
                wrong.push((record.node, 6, format!("({instance}) changed: {why}")));
            }
            What::Added(address) | What::Removed(address) => {
                wrong.push((record.node, 6, format!("{address} moved")));
            }
            _ => {}
        }
    }
    for (place, node) in world.nodes.iter().enumerate() {
        for watch in &node.watches {
            let vrid = watch.config.vrid.get();
            let mut times: Vec<Instant> = records
                .iter()
                .filter(|record| record.node == Some(place))
                .filter(|record| matches!(record.what, What::Sent { vrid: of, .. } if of == vrid))
                .map(|record| record.at)
                .collect();
            times.dedup();
            let expected = watch.config.advert_interval;
            let in_time = times
                .iter()
                .zip(times.iter().skip(1))
                .all(|(before, after)| after.since(*before) == expected);
            let sends = !times.is_empty();
            if sends != (watch.state == State::Master) || !in_time {
                let text = format!("VRID {vrid} in {} sent at {times:?}", watch.state);
                wrong.push((Some(place), 6, text));
            }
        }
    }
    for (node, rule, text) in wrong {
        world.wrong(node, rule, text);
    }
}
