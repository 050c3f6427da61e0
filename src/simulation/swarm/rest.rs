//! How a world must end: everything in its place, and quiet.
//!
//! Decides from configurations, links and scripts alone who should be MASTER; no
//! engine is asked. Sources: specification D.1, F.1, F.6 to F.8.

use std::collections::BTreeSet;

use crate::config::model::{Instance, SyncGroup};
use crate::ids::Priority;
use crate::time::Instant;
use crate::vrrp::state_machine::State;

use super::super::monitor::Watch;
use super::super::node::{Behaviour, Node};
use super::super::trace::What;
use super::super::world::World;

/// What something tracked is: its weight, whether that is the other way round,
/// and whether it is well.
type Tracked = (i32, bool, bool);

/// What is tracked for an instance: its own lines, and those of its group that
/// it has none of its own for.
fn tracked(node: &Node, instance: &Instance, group: Option<&SyncGroup>) -> Vec<Tracked> {
    let works = |name: &str| {
        let set = node.behaviours.get(name);
        set.is_none_or(|behaviour| *behaviour == Behaviour::Exits(0))
    };
    let mut all = Vec::new();
    let mut names = BTreeSet::new();
    let shared = group.map_or([].as_slice(), |group| &group.track_scripts);
    for line in instance.track_scripts.iter().chain(shared) {
        if names.insert(("script", &line.script.name)) {
            all.push((line.weight, line.reverse, works(&line.script.name)));
        }
    }
    let shared = group.map_or([].as_slice(), |group| &group.track_interfaces);
    for line in instance.track_interfaces.iter().chain(shared) {
        if names.insert(("interface", &line.interface)) {
            all.push((line.weight, line.reverse, is_up(node, &line.interface)));
        }
    }
    let shared = group.map_or([].as_slice(), |group| &group.track_processes);
    for line in instance.track_processes.iter().chain(shared) {
        if names.insert(("process", &line.process.name)) {
            let count = node.found.count_of(&line.process);
            let enough = count >= line.process.quorum
                && line.process.quorum_max.is_none_or(|most| count <= most);
            all.push((line.weight, line.reverse, enough));
        }
    }
    all
}

/// What the numbers in tracked files add, and whether one of them is FAULT: any but 0
/// without a weight, and what would take 254 or more (specification D.4).
fn of_files(node: &Node, instance: &Instance, group: Option<&SyncGroup>) -> (i32, bool) {
    let (mut sum, mut faulty) = (0_i32, false);
    let mut names = BTreeSet::new();
    let shared = group.map_or([].as_slice(), |group| &group.track_files);
    for line in instance.track_files.iter().chain(shared) {
        if !names.insert(&line.file.name) {
            continue;
        }
        let number = i64::from(node.found.number_in(&line.file));
        let product = number.saturating_mul(line.weight.into());
        let product = match line.reverse {
            true => product.saturating_neg(),
            false => product,
        };
        match product {
            _ if line.weight == 0 => faulty |= (number == 0) == line.reverse,
            all if all < -253 => faulty = true,
            some => sum = sum.saturating_add(i32::try_from(some.min(253)).unwrap_or(0)),
        }
    }
    (sum, faulty)
}

fn is_up(node: &Node, name: &str) -> bool {
    let mut interfaces = node.kernel.interfaces.iter();
    interfaces.any(|it| it.state.name == name && it.state.up)
}

/// What an instance should count with now, and whether anything of its own keeps
/// it in FAULT.
fn standing(
    (node, now): (&Node, Instant),
    instance: &Instance,
    group: Option<&SyncGroup>,
) -> (Priority, bool) {
    let ordered = node.ordered.get(&instance.name).copied();
    let ordered = ordered.unwrap_or_default();
    let base = ordered.base(instance.priority, now);
    let mut faulty = !is_up(node, &instance.interface) && !instance.ignore_own_interface;
    let (of_files, file_fault) = of_files(node, instance, group);
    faulty |= file_fault;
    let mut sum = i32::from(base.0).saturating_add(of_files);
    for (weight, reverse, well) in tracked(node, instance, group) {
        faulty |= weight == 0 && well == reverse;
        if (weight > 0) == well {
            let by = if reverse {
                weight.saturating_neg()
            } else {
                weight
            };
            sum = sum.saturating_add(by);
        }
    }
    let priority = match base {
        _ if ordered.is_drained => 1,
        Priority::OWNER => 255,
        _ => u8::try_from(sum.clamp(1, 254)).unwrap_or(1),
    };
    (Priority(priority), faulty)
}

/// An instance on one node, and what it should be.
struct Candidate<'w> {
    place: String,
    watch: &'w Watch,
    priority: Priority,
    /// It, or another member of its group, cannot take part.
    faulty: bool,
    /// It, or another member of its group, leaves a lower master alone.
    patient: bool,
}

fn candidate<'w>(node: &'w Node, now: Instant, name: &str) -> Option<Candidate<'w>> {
    let mut watches = node.watches.iter();
    let watch = watches.find(|watch| watch.config.name == name)?;
    let mut groups = node.config.sync_groups.iter();
    let group = groups.find(|group| group.instances.iter().any(|member| member == name));
    let group = group.map(|group| &**group);
    let (priority, own_fault) = standing((node, now), &watch.config, group);
    let fellows = || {
        let names = group.map_or([].as_slice(), |group| &group.instances);
        let configs = node.watches.iter().map(|watch| &*watch.config);
        configs.filter(|config| names.contains(&config.name))
    };
    let fault = fellows().any(|fellow| standing((node, now), fellow, group).1);
    Some(Candidate {
        place: format!("({name}) on {}", node.name),
        watch,
        priority,
        faulty: own_fault || fault,
        patient: watch.config.nopreempt || fellows().any(|fellow| fellow.nopreempt),
    })
}

/// Everybody hears everybody: for each virtual router exactly one is MASTER, and
/// nobody stands back who should not.
pub(in super::super) fn judge_settled(world: &mut World) {
    let mut wrong = Vec::new();
    let running = || world.nodes.iter().filter(|node| node.engine.is_some());
    let watches = running().flat_map(|node| &node.watches);
    let names: BTreeSet<&str> = watches.map(|watch| &*watch.config.name).collect();
    for name in names {
        let all = running().filter_map(|node| candidate(node, world.now, name));
        judge_router(name, &all.collect::<Vec<_>>(), &mut wrong);
    }
    for (rule, text) in wrong {
        world.wrong(None, rule, text);
    }
}

fn judge_router(name: &str, all: &[Candidate<'_>], wrong: &mut Vec<(u8, String)>) {
    for it in all {
        let (place, state, faulty) = (&it.place, it.watch.state, it.faulty);
        if faulty != (state == State::Fault) {
            wrong.push((2, format!("{place} is in {state}, faulty: {faulty}")));
        }
        let (has, should) = (it.watch.priority, it.priority);
        if has != should {
            wrong.push((2, format!("{place} has priority {has}, not {should}")));
        }
    }
    let eligible = || all.iter().filter(|it| !it.faulty);
    let masters: Vec<_> = eligible()
        .filter(|it| it.watch.state == State::Master)
        .collect();
    match masters.as_slice() {
        [] if eligible().count() == 0 => {}
        [] => wrong.push((2, format!("({name}) has no master"))),
        [master] => {
            let mut better = eligible().filter(|it| it.priority > master.priority);
            if better.any(|it| !it.patient) {
                wrong.push((2, format!("({name}) has a better one than its master")));
            }
        }
        more => wrong.push((1, format!("({name}) has {} masters", more.len()))),
    }
}

/// After everything was in its place: nobody changes, only masters send, and
/// they send in their time.
pub(super) fn judge_quiet(world: &mut World, from: usize) {
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
