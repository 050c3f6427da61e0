//! The text of `keepalived.data`, and of `--dump-conf` (specification E.8).
//!
//! The same sections, lines and order as C's. Before the start, everything is printed
//! from the configuration, in the state of what has not begun. Instances are in
//! `instances.rs`, what they depend on in `surroundings.rs`.

use super::page::{Page, Users, general_seconds, weight};
use super::{Surroundings, View, globals};
use crate::config::model::{
    Config, GarpGroup, Instance, SyncGroup, TrackBfd, TrackFile, TrackInterface, TrackProcess,
    TrackScript,
};
use crate::vrrp::snapshot::Snapshot;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

mod instances;
mod surroundings;

/// The whole text.
pub fn text(view: &View, around: &Surroundings) -> String {
    let config = &view.snapshot.config;
    let users = Users::new(&config.globals);
    let writer = Writer {
        view,
        snapshot: &view.snapshot,
        users: &users,
        running: view.snapshot.started,
        groups: groups_of_instances(config),
        trackers: Trackers::of(config),
    };
    let mut page = Page::default();
    globals::write(&mut page, &config.globals, &users, around, false);
    garp_delays(&mut page, config);
    statics(&mut page, config);
    if !view.snapshot.instances.is_empty() {
        page.section("VRRP Topology");
        for instance in &view.snapshot.instances {
            writer.instance(&mut page, instance);
        }
        if writer.running {
            writer.sockets(&mut page);
        }
    }
    writer.sync_groups(&mut page);
    writer.scripts(&mut page);
    writer.files(&mut page);
    writer.processes(&mut page);
    writer.interfaces(&mut page);
    page.into_text()
}

/// The text of `keepalived_parent.data`.
pub fn parent_text(config: &Config, around: &Surroundings) -> String {
    let users = Users::new(&config.globals);
    let mut page = Page::default();
    globals::write(&mut page, &config.globals, &users, around, true);
    page.into_text()
}

/// The group of each instance that is in one.
fn groups_of_instances(config: &Config) -> BTreeMap<&str, &SyncGroup> {
    let groups = config.sync_groups.iter();
    groups
        .flat_map(|group| {
            let members = group.instances.iter();
            members.map(|name| (name.as_str(), &**group))
        })
        .collect()
}

/// Who tracks what: the lines below a tracked object, by its name.
#[derive(Default)]
struct Trackers {
    scripts: BTreeMap<String, Vec<String>>,
    /// The weight for the first that tracks it.
    script_weights: BTreeMap<String, String>,
    files: BTreeMap<String, Vec<String>>,
    processes: BTreeMap<String, Vec<String>>,
    interfaces: BTreeMap<String, Vec<String>>,
}

impl Trackers {
    fn of(config: &Config) -> Self {
        let mut all = Self::default();
        for instance in &config.instances {
            for (interface, (value, reverse)) in interfaces_of(instance) {
                let lines = all.interfaces.entry(interface.to_owned()).or_default();
                lines.push(tracker(&instance.name, value, reverse));
            }
            all.add(
                &instance.name,
                &instance.track_scripts,
                &instance.track_files,
                &instance.track_processes,
            );
        }
        for group in &config.sync_groups {
            for name in &group.instances {
                let (scripts, files) = (&group.track_scripts, &group.track_files);
                all.add(name, scripts, files, &group.track_processes);
                for it in &group.track_interfaces {
                    let lines = all.interfaces.entry(it.interface.clone()).or_default();
                    lines.push(tracker(name, it.weight, it.reverse));
                }
            }
        }
        all
    }

    fn add(
        &mut self,
        name: &str,
        scripts: &[TrackScript],
        files: &[TrackFile],
        processes: &[TrackProcess],
    ) {
        for it in scripts {
            let weights = self.script_weights.entry(it.script.name.clone());
            weights.or_insert_with(|| reversed(it.weight, it.reverse));
            let lines = self.scripts.entry(it.script.name.clone()).or_default();
            lines.push(tracker(name, it.weight, it.reverse));
        }
        for it in files {
            let lines = self.files.entry(it.file.name.clone()).or_default();
            lines.push(tracker(name, it.weight, it.reverse));
        }
        for it in processes {
            let lines = self.processes.entry(it.process.name.clone()).or_default();
            lines.push(tracker(name, it.weight, it.reverse));
        }
    }
}

/// The interfaces whose state matters to an instance, each once: those that it
/// tracks, its own, those of its addresses.
fn interfaces_of(instance: &Instance) -> BTreeMap<&str, (i32, bool)> {
    let tracked = instance.track_interfaces.iter();
    let mut all: BTreeMap<&str, (i32, bool)> = tracked
        .map(|it| (it.interface.as_str(), (it.weight, it.reverse)))
        .collect();
    let vips = instance.virtual_addresses.iter();
    let vips = vips.filter(|vip| !vip.no_track).map(|vip| &*vip.interface);
    let tracks_own = !instance.ignore_own_interface && !instance.interface.is_empty();
    let own = tracks_own.then_some(&*instance.interface);
    for interface in own.into_iter().chain(vips) {
        all.entry(interface).or_insert((0, false));
    }
    all
}

fn tracker(instance: &str, value: i32, reverse: bool) -> String {
    format!("{instance}, {}", weight(value, reverse))
}

fn garp_delays(page: &mut Page, config: &Config) {
    let garp = &config.globals.garp;
    let mut all: Vec<(usize, GarpGroup)> = Vec::new();
    for (place, group) in config.garp_groups.iter().enumerate() {
        all.push((place.saturating_add(1), group.clone()));
    }
    if !garp.interval.is_zero() || !garp.gna_interval.is_zero() {
        let grouped = config.garp_groups.iter();
        let grouped = grouped.flat_map(|group| &group.interfaces);
        let mut named: BTreeSet<&str> = grouped.map(String::as_str).collect();
        for instance in &config.instances {
            let name = &*instance.interface;
            if name.is_empty() || !named.insert(name) {
                continue;
            }
            let group = GarpGroup {
                garp_interval: garp.interval,
                gna_interval: garp.gna_interval,
                interfaces: vec![name.to_owned()],
            };
            all.push((0, group));
        }
    }
    if all.is_empty() {
        return;
    }
    page.section("Gratuitous ARP delays");
    for (number, group) in all {
        page.section(&format!("GARP delay group {number}"));
        for (what, interval) in [("GARP", group.garp_interval), ("GNA", group.gna_interval)] {
            if !interval.is_zero() {
                let interval = general_seconds(interval);
                page.line(format_args!(" {what} interval = {interval}"));
            }
        }
        page.line(" Interfaces");
        for interface in &group.interfaces {
            page.line(format_args!("  {interface}"));
        }
    }
}

fn statics(page: &mut Page, config: &Config) {
    let addresses = config.static_addresses.iter();
    section(page, "Static Addresses", addresses.map(|it| it.as_c(true)));
    section(page, "Static Routes", &config.static_routes);
    section(page, "Static Rules", &config.static_rules);
    if config.track_groups.is_empty() {
        return;
    }
    page.section("Static Track groups");
    for group in &config.track_groups {
        page.line(format_args!(" Static Track Group = {}", group.name));
        page.list("VRRP member instances", &group.instances);
    }
}

fn section<T: fmt::Display>(page: &mut Page, title: &str, lines: impl IntoIterator<Item = T>) {
    for (place, line) in lines.into_iter().enumerate() {
        if place == 0 {
            page.section(title);
        }
        page.line(format_args!("     {line}"));
    }
}

struct Writer<'a> {
    view: &'a View,
    snapshot: &'a Snapshot,
    users: &'a Users,
    /// Not before the start: states are printed.
    running: bool,
    groups: BTreeMap<&'a str, &'a SyncGroup>,
    trackers: Trackers,
}

/// What an instance or a group tracks.
fn tracked(
    page: &mut Page,
    interfaces: &[TrackInterface],
    scripts: &[TrackScript],
    files: &[TrackFile],
    processes: &[TrackProcess],
    bfds: &[TrackBfd],
) {
    // The lines of interfaces and scripts have no comma, the others do.
    let named = |name: &str, between: &str, value: i32, reverse: bool| {
        format!("{name}{between}{}", weight(value, reverse))
    };
    let lines = interfaces.iter();
    page.list(
        "Tracked interfaces",
        lines.map(|it| named(&it.interface, " ", it.weight, it.reverse)),
    );
    let lines = scripts.iter();
    page.list(
        "Tracked scripts",
        lines.map(|it| named(&it.script.name, " ", it.weight, it.reverse)),
    );
    let lines = files.iter();
    page.list(
        "Tracked files",
        lines.map(|it| named(&it.file.name, ", ", it.weight, it.reverse)),
    );
    let lines = processes.iter();
    page.list(
        "Tracked processes",
        lines.map(|it| named(&it.process.name, ", ", it.weight, it.reverse)),
    );
    let lines = bfds.iter();
    page.list(
        "Tracked BFDs",
        lines.map(|it| named(&it.name, ", ", it.weight, it.reverse)),
    );
}

fn reversed(value: i32, reverse: bool) -> String {
    let reverse = if reverse { " reverse" } else { "" };
    format!("{value}{reverse}")
}
