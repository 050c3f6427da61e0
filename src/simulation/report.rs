//! What became of a scenario: who was MASTER when, where each VIP was, how long
//! nobody or more than one node had it, and why.
//!
//! Decides how that is worked out of a trace and what it looks like as a table,
//! as JSON and as a picture.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::IpAddr;

use serde::Serialize;

use crate::time::Instant;
use crate::vrrp::state_machine::State;
use crate::wire::advert::Family;

use super::trace::What;
use super::world::World;

/// The whole result. The names of the fields are stable.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The nodes.
    pub nodes: Vec<String>,
    /// How long it was watched.
    pub seconds: f64,
    /// Everything that happened, in order.
    pub events: Vec<Line>,
    /// Who was MASTER, for each virtual router.
    pub routers: Vec<Held>,
    /// Who had it, for each VIP.
    pub addresses: Vec<Held>,
}

/// A change of state, or something that was done to a node.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// When.
    pub at_s: f64,
    /// What was done, if this is no change of state.
    pub event: Option<String>,
    /// The node.
    pub node: Option<String>,
    /// The instance.
    pub instance: Option<String>,
    /// Its state before.
    pub from: Option<String>,
    /// Its state afterwards.
    pub to: Option<String>,
    /// Its priority.
    pub priority: Option<u8>,
    /// Why.
    pub why: Option<String>,
}

/// Something that one node should hold at any time.
#[derive(Debug, Clone, Serialize)]
pub struct Held {
    /// The VIP, or the virtual router.
    pub name: String,
    /// Who held it, from the beginning to the end.
    pub spans: Vec<Span>,
    /// How long nobody held it.
    pub nobody_s: f64,
    /// How long more than one node held it.
    pub several_s: f64,
}

/// Who held something for a while.
#[derive(Debug, Clone, Serialize)]
pub struct Span {
    /// From then.
    pub from_s: f64,
    /// Until then.
    pub to_s: f64,
    /// The nodes, none or more.
    pub holders: Vec<String>,
}

/// Seconds, for people and programs; milliseconds are fine enough.
fn seconds(at: Instant) -> f64 {
    let ms = u32::try_from(at.as_us() / 1_000).unwrap_or(u32::MAX);
    f64::from(ms) / 1_000.0
}

/// Who comes and goes.
#[derive(Default)]
struct Sweep {
    holders: BTreeSet<usize>,
    changes: Vec<(Instant, BTreeSet<usize>)>,
}

impl Sweep {
    fn set(&mut self, at: Instant, node: usize, holds: bool) {
        let changed = match holds {
            true => self.holders.insert(node),
            false => self.holders.remove(&node),
        };
        if changed {
            self.changes.push((at, self.holders.clone()));
        }
    }

    fn held(&self, name: String, end: Instant, nodes: &[String]) -> Held {
        let mut spans: Vec<Span> = Vec::new();
        let begin = (Instant::ZERO, BTreeSet::new());
        let starts: Vec<_> = std::iter::once(&begin).chain(&self.changes).collect();
        let ends = starts.iter().skip(1).map(|(at, _)| *at).chain([end]);
        let (mut nobody_s, mut several_s) = (0.0, 0.0);
        for ((from, holders), to) in starts.iter().zip(ends) {
            // What is shorter than can be shown is no span of its own.
            let (from_s, to_s) = (seconds(*from), seconds(to));
            if from_s >= to_s {
                continue;
            }
            match holders.len() {
                0 => nobody_s += to_s - from_s,
                1 => {}
                _ => several_s += to_s - from_s,
            }
            let holders = holders.iter().filter_map(|node| nodes.get(*node)).cloned();
            spans.push(Span {
                from_s,
                to_s,
                holders: holders.collect(),
            });
        }
        Held {
            name,
            spans,
            nobody_s,
            several_s,
        }
    }
}

impl Report {
    /// What became of a world.
    pub fn new(world: &World) -> Self {
        let nodes = world.names();
        let (routers, addresses) = sweeps(world);
        let routers = routers.into_iter().map(|((vrid, family), (name, sweep))| {
            let kind = if family == Family::V6 { ", IPv6" } else { "" };
            sweep.held(format!("{name} (VRID {vrid}{kind})"), world.now, &nodes)
        });
        let addresses = addresses
            .into_iter()
            .map(|(address, sweep)| sweep.held(address.to_string(), world.now, &nodes));
        Self {
            seconds: seconds(world.now),
            events: lines(world, &nodes),
            routers: routers.collect(),
            addresses: addresses.collect(),
            nodes,
        }
    }

    /// For people.
    pub fn as_table(&self) -> String {
        let mut out = String::new();
        let of = |pick: fn(&Line) -> &Option<String>| {
            let lengths = self.events.iter().filter_map(|it| pick(it).as_ref());
            lengths.map(|text| text.chars().count()).max().unwrap_or(0)
        };
        let node = of(|line| &line.node).max("node".len());
        let instance = of(|line| &line.instance).max("instance".len());
        let _ = writeln!(
            out,
            "{:>9}  {:<node$}  {:<instance$}  {:<16}  prio  why",
            "time", "node", "instance", "state"
        );
        for line in &self.events {
            let at = line.at_s;
            if let Some(event) = &line.event {
                let _ = writeln!(out, "{at:>9.3}  *** {event}");
                continue;
            }
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let state = format!("{} > {}", text(&line.from), text(&line.to));
            let _ = writeln!(
                out,
                "{at:>9.3}  {:<node$}  {:<instance$}  {state:<16}  {:>4}  {}",
                text(&line.node),
                text(&line.instance),
                line.priority.unwrap_or_default(),
                text(&line.why)
            );
        }
        for (title, all) in [("MASTER of", &self.routers), ("holder of", &self.addresses)] {
            for held in all {
                let _ = writeln!(out, "\n{title} {}", held.name);
                for span in &held.spans {
                    let holders = match span.holders.as_slice() {
                        [] => "nobody".to_owned(),
                        [one] => one.clone(),
                        several => format!("{} at once", several.join(" and ")),
                    };
                    let (from, to) = (span.from_s, span.to_s);
                    let _ = writeln!(out, "{from:>9.3} to {to:>9.3}  {holders}");
                }
                let (nobody, several) = (held.nobody_s, held.several_s);
                let _ = writeln!(
                    out,
                    "  nobody for {nobody:.3} s, more than one for {several:.3} s"
                );
            }
        }
        out
    }

    /// For programs.
    pub fn as_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

impl Report {
    /// A timeline for each router and VIP, a lane for each node.
    pub fn as_svg(&self) -> String {
        const LANE: usize = 18;
        const LEFT: f64 = 130.0;
        const WIDTH: f64 = 800.0;
        let x = |at_s: f64| LEFT + WIDTH * at_s / self.seconds.max(0.001);
        let all: Vec<&Held> = self.routers.iter().chain(&self.addresses).collect();
        let rows = all.len().saturating_mul(self.nodes.len().saturating_add(2));
        let height = rows.saturating_add(3).saturating_mul(LANE);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"960\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"960\" height=\"{height}\" fill=\"white\"/>\n"
        );
        let mut y = LANE;
        for line in self.events.iter().filter(|line| line.event.is_some()) {
            let at = x(line.at_s);
            let text = escaped(line.event.as_deref().unwrap_or_default());
            let _ = writeln!(
                out,
                "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{height}\" stroke=\"#999\" \
                 stroke-dasharray=\"3\"><title>{:.3} s: {text}</title></line>",
                line.at_s
            );
        }
        for held in all {
            let _ = writeln!(
                out,
                "<text x=\"4\" y=\"{y}\">{}</text>",
                escaped(&held.name)
            );
            for node in &self.nodes {
                y = y.saturating_add(LANE);
                let _ = writeln!(out, "<text x=\"16\" y=\"{y}\">{}</text>", escaped(node));
                let top = y.saturating_sub(12);
                for span in held.spans.iter().filter(|it| it.holders.contains(node)) {
                    let fill = if span.holders.len() > 1 {
                        "#c33"
                    } else {
                        "#393"
                    };
                    let (from, to) = (x(span.from_s), x(span.to_s));
                    let _ = writeln!(
                        out,
                        "<rect x=\"{from:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"14\" \
                         fill=\"{fill}\"><title>{:.3} s to {:.3} s</title></rect>",
                        (to - from).max(0.5),
                        span.from_s,
                        span.to_s
                    );
                }
            }
            y = y.saturating_add(LANE.saturating_mul(2));
        }
        let _ = writeln!(
            out,
            "<text x=\"{LEFT}\" y=\"{y}\">0 s</text><text x=\"{:.1}\" y=\"{y}\" \
             text-anchor=\"end\">{:.0} s</text>\n</svg>",
            LEFT + WIDTH,
            self.seconds
        );
        out
    }
}

/// Text that XML takes as it is.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

type Routers = BTreeMap<(u8, Family), (String, Sweep)>;

fn sweeps(world: &World) -> (Routers, BTreeMap<IpAddr, Sweep>) {
    let mut routers = Routers::new();
    let mut addresses: BTreeMap<IpAddr, Sweep> = BTreeMap::new();
    for node in &world.nodes {
        for instance in &node.config.instances {
            let key = (instance.vrid.get(), instance.family());
            let named = || (instance.name.clone(), Sweep::default());
            routers.entry(key).or_insert_with(named);
            for vip in instance.all_addresses() {
                addresses.entry(vip.address).or_default();
            }
        }
    }
    for record in &world.trace {
        let Some(node) = record.node else { continue };
        let key_of = |name: &str| {
            let instances = &world.nodes.get(node)?.config.instances;
            let found = instances.iter().find(|instance| instance.name == name)?;
            Some((found.vrid.get(), found.family()))
        };
        let (address, holds) = match &record.what {
            What::State { instance, to, .. } => {
                let router = key_of(instance).and_then(|key| routers.get_mut(&key));
                if let Some((_, sweep)) = router {
                    sweep.set(record.at, node, *to == State::Master);
                }
                continue;
            }
            What::Ended { instance } => {
                let router = key_of(instance).and_then(|key| routers.get_mut(&key));
                if let Some((_, sweep)) = router {
                    sweep.set(record.at, node, false);
                }
                continue;
            }
            What::Added(address) => (address, true),
            What::Removed(address) => (address, false),
            _ => continue,
        };
        if let Some(sweep) = addresses.get_mut(address) {
            sweep.set(record.at, node, holds);
        }
    }
    (routers, addresses)
}

fn lines(world: &World, nodes: &[String]) -> Vec<Line> {
    let lines = world.trace.iter().filter_map(|record| {
        let mut line = Line {
            at_s: seconds(record.at),
            event: None,
            node: record.node.and_then(|node| nodes.get(node)).cloned(),
            instance: None,
            from: None,
            to: None,
            priority: None,
            why: None,
        };
        match &record.what {
            What::Event(text) => line.event = Some(text.clone()),
            What::State {
                instance,
                from,
                to,
                priority,
                why,
            } => {
                line.instance = Some(instance.to_string());
                line.from = Some(from.to_string());
                line.to = Some(to.to_string());
                line.priority = Some(priority.0);
                line.why = Some(why.clone());
            }
            _ => return None,
        }
        Some(line)
    });
    lines.collect()
}
