//! The text of `keepalived.data`, and of `--dump-conf` (specification E.8).
//!
//! The same sections, lines and order as C's. What the daemon does not do yet
//! (processes and files that are tracked, routes and rules) is printed from
//! the configuration, in the state of one that has not begun.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use super::page::{Page, Users, able, general_seconds, quoted, truth, weight, yes};
use super::{Surroundings, View, dump_state, globals};
use crate::config::model::{
    Authentication, Command, Config, GarpGroup, Instance, ParameterMatch, SyncGroup, TrackBfd,
    TrackFile, TrackInterface, TrackProcess, TrackScript, TrackedFile, Version, VipLoss,
};
use crate::ids::MacAddress;
use crate::vrrp::action::Carrier;
use crate::vrrp::event::InterfaceState;
use crate::vrrp::snapshot::{
    GroupSnapshot, InstanceSnapshot, LinkSnapshot, ProcessSnapshot, ScriptSnapshot, Snapshot,
};
use crate::vrrp::state_machine::State;
use crate::vrrp::tracking::{Run, Standing};

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
    let vips = vips.filter(|vip| !vip.no_track).map(|vip| &vip.interface);
    let tracks_own = !instance.ignore_own_interface && !instance.interface.is_empty();
    let own = tracks_own.then_some(&instance.interface);
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
            let name = instance.interface.as_str();
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

// Instances.
impl Writer<'_> {
    fn instance(&self, page: &mut Page, it: &InstanceSnapshot) {
        let config = &*it.config;
        page.line(format_args!(" VRRP Instance = {}", config.name));
        self.states(page, it);
        self.network(page, it);
        garp(page, config);
        self.election(page, it);
        authentication(page, config);
        if let Some(bytes) = config.receive_buffer_bytes {
            page.line(format_args!("   Kernel rx buffer size = {bytes}"));
        }
        if config.debug > 0 {
            page.line(format_args!("   Debug level = {}", config.debug));
        }
        // A word of our own: where it is off, the page is that of C.
        if config.fast_handover {
            page.line("   Fast handover = enabled");
        }
        if config.vip_loss != VipLoss::default() {
            page.line(format_args!("   VIP loss = {}", config.vip_loss));
        }
        self.addresses(page, it);
        unicast(page, config);
        match self.sockets_of(it) {
            Some((receive, send)) => {
                page.line(format_args!("   fd_in {receive}, fd_out {send}"));
            }
            None => page.line("   No sockets allocated"),
        }
        page.list("Virtual Routes", &config.virtual_routes);
        page.list("Virtual Rules", &config.virtual_rules);
        tracked(
            page,
            &config.track_interfaces,
            &config.track_scripts,
            &config.track_files,
            &config.track_processes,
            &config.track_bfds,
        );
        self.notify(page, config);
    }

    fn states(&self, page: &mut Page, it: &InstanceSnapshot) {
        let config = &*it.config;
        let version = if config.version == Version::V2 { 2 } else { 3 };
        page.line(format_args!("   VRRP Version = {version}"));
        if config.ipv6 {
            page.line("   Using Native IPv6");
        }
        if let Some(group) = self.groups.get(config.name.as_str()) {
            page.line(format_args!("   Sync group = {}", group.name));
        }
        if self.running {
            let state = dump_state(self.snapshot, it);
            page.line(format_args!("   State = {state}"));
            if let (State::Backup, Some(master)) = (state, it.master) {
                page.line(format_args!("   Master router = {}", master.address));
                page.line(format_args!("   Master priority = {}", master.priority));
            }
        }
        flags(page, config);
        page.line(format_args!("   Wantstate = {}", it.wanted));
        page.line(format_args!(
            "   Number of config faults = {}",
            u8::from(config.fault_without_peer)
        ));
        if self.running {
            let wall = &self.view.wall;
            page.line(format_args!(
                "   Number of interface and track script faults = {}",
                it.faults
            ));
            page.line(format_args!(
                "   Number of track scripts init = {}",
                it.awaited
            ));
            page.line(format_args!(
                "   Last transition = {}",
                wall.seconds_and_date(it.last_transition)
            ));
            match it.timer {
                Some(at) => page.line(format_args!(
                    "   Read timeout = {}",
                    wall.seconds_and_date(at)
                )),
                None => page.line("   Read timeout = DISABLED"),
            }
            // An owner does not wait for a master, and C says so.
            let owner = config.priority.is_owner();
            let down_us = if owner { 1 } else { it.master_down.as_us() };
            page.line(format_args!("   Master down timer = {down_us} usecs"));
        }
    }

    fn network(&self, page: &mut Page, it: &InstanceSnapshot) {
        let config = &*it.config;
        let mut interface = config.interface.clone();
        if let Some(link) = &it.own_link {
            let name = &link.name;
            let base = config.vmac_transmit_on_base;
            if config.vmac.is_some() {
                page.line(format_args!(
                    "   Use VMAC, i/f name {name}, is_up = {}, xmit_base = {}",
                    truth(link.up),
                    truth(base)
                ));
            }
            let kind = match config.vmac {
                Some(_) => "vmac",
                None => "ipvlan",
            };
            let base = if base { ", xmit base i/f" } else { "" };
            interface = format!("{name}, {kind} on {}{base}", config.interface);
        }
        if config.vmac_addresses {
            page.line("   Use VMAC for VIPs on other interfaces");
        }
        if !interface.is_empty() {
            page.line(format_args!("   Interface = {interface}"));
        }
        if config.ignore_own_interface {
            page.line("   VRRP interface tracking disabled");
        }
        if config.skip_check_adv_addr {
            page.line("   Skip checking advert IP addresses");
        }
        if config.strict {
            page.line("   Enforcing strict VRRP compliance");
        }
        match (config.source_address, it.source) {
            (Some(address), _) => page.line(format_args!(
                "   Using src_ip = {address} (from configuration)"
            )),
            (None, Some(address)) => page.line(format_args!("   Using src_ip = {address}")),
            (None, None) => page.line("   Using src_ip = (none)"),
        }
        if config.unicast_peers.is_empty() {
            let group = config.multicast_group;
            match it.on.filter(|_| config.ipv6) {
                Some(on) => page.line(format_args!(
                    "   Multicast address {group}, ifindex {}",
                    on.0
                )),
                None => page.line(format_args!("   Multicast address {group}")),
            }
        }
    }

    fn election(&self, page: &mut Page, it: &InstanceSnapshot) {
        let config = &*it.config;
        page.line(format_args!("   Virtual Router ID = {}", config.vrid));
        page.line(format_args!("   Priority = {}", config.priority));
        if self.running {
            page.line(format_args!("   Effective priority = {}", it.priority));
            page.line(format_args!("   Total priority = {}", it.total_priority));
        }
        let interval = config.advert_interval;
        if config.version == Version::V2 {
            let seconds = interval.as_secs();
            page.line(format_args!("   Advert interval = {seconds} sec"));
        } else {
            let ms = interval.as_us() / 1_000;
            page.line(format_args!("   Advert interval = {ms} milli-sec"));
        }
        page.line(format_args!("   Accept = {}", able(config.accept)));
        page.line(format_args!("   Preempt = {}", able(!config.nopreempt)));
        if !config.preempt_delay.is_zero() {
            let delay = general_seconds(config.preempt_delay);
            page.line(format_args!("   Preempt delay = {delay} secs"));
        }
        let promote = able(config.promote_secondaries);
        page.line(format_args!("   Promote_secondaries = {promote}"));
    }

    fn addresses(&self, page: &mut Page, it: &InstanceSnapshot) {
        let config = &*it.config;
        let count = config.virtual_addresses.len();
        if count > 0 {
            page.line(format_args!("   Virtual IP ({count}):"));
            for (vip, link) in it.addresses().take(count) {
                page.line(format_args!("     {}", it.address_as_c(vip, link)));
            }
        }
        let others = it.addresses().skip(count);
        page.list(
            "Virtual IP Excluded",
            others.map(|(vip, link)| it.address_as_c(vip, link)),
        );
    }

    fn notify(&self, page: &mut Page, config: &Instance) {
        let notify = &config.notify;
        page.line(format_args!(
            "   Using smtp notification = {}",
            yes(config.smtp_alert)
        ));
        let deleted = if notify.tell_deleted {
            "Deleted"
        } else {
            "Fault"
        };
        page.line(format_args!("   Notify deleted = {deleted}"));
        for (what, command) in [
            ("Backup", &notify.backup),
            ("Master", &notify.master),
            ("Fault", &notify.fault),
            ("Stop", &notify.stop),
            ("Deleted", &notify.deleted),
            ("Generic", &notify.any),
            ("Master rx lower pri", &notify.master_rx_lower_pri),
        ] {
            self.transition_script(page, what, command.as_deref());
        }
        page.line(format_args!(
            "   Notify priority changes = {}",
            truth(config.notify_priority_changes)
        ));
    }

    fn transition_script(&self, page: &mut Page, what: &str, command: Option<&Command>) {
        if let Some(command) = command {
            let command = self.users.command(command);
            page.line(format_args!(
                "   {what} state transition script = {command}"
            ));
        }
    }

    /// The numbers of the descriptors that it receives from and sends to.
    fn sockets_of(&self, it: &InstanceSnapshot) -> Option<(i32, i32)> {
        if !self.running {
            return None;
        }
        let receive = it.on.and_then(|on| {
            let header = it.config.header_key().map(|_| Carrier::Header);
            let carrier = header.unwrap_or(Carrier::Plain);
            let key = (on, it.config.family(), carrier);
            self.view.receivers.get(&key)
        });
        Some(receive.map_or((-1, -1), |receive| (*receive, self.view.sender)))
    }

    fn sockets(&self, page: &mut Page) {
        type Key<'k> = (&'k str, bool, bool, Option<IpAddr>);
        let mut pools: Vec<(Key<'_>, Vec<&InstanceSnapshot>)> = Vec::new();
        let mut known: BTreeMap<Key<'_>, usize> = BTreeMap::new();
        for it in &self.snapshot.instances {
            let config = &*it.config;
            let header = matches!(config.authentication, Some(Authentication::Header(_)));
            let unicast = !config.unicast_peers.is_empty();
            let source = it.source.filter(|_| unicast);
            let key = (config.interface.as_str(), config.ipv6, header, source);
            let place = *known.entry(key).or_insert(pools.len());
            match pools.get_mut(place) {
                Some((_, members)) => members.push(it),
                None => pools.push((key, vec![it])),
            }
        }
        page.section("VRRP Sockpool");
        for ((interface, ipv6, header, source), members) in pools {
            let first = members.first();
            let (receive, send) = first.and_then(|it| self.sockets_of(it)).unwrap_or((-1, -1));
            let family = if ipv6 { "IPv6" } else { "IPv4" };
            let protocol = if header { "AH" } else { "VRRP" };
            page.line(format_args!(" fd_in {receive} fd_out = {send}"));
            if !interface.is_empty() {
                page.line(format_args!("   Interface = {interface}"));
            }
            page.line(format_args!("   Family = {family}"));
            page.line(format_args!("   Protocol = {protocol}"));
            match source {
                None => page.line("   Type = Multicast"),
                Some(address) => {
                    page.line("   Type = Unicast");
                    page.line(format_args!("   Address = {address}"));
                }
            }
            let sizes = members
                .iter()
                .filter_map(|it| it.config.receive_buffer_bytes);
            let size = sizes.max().unwrap_or(0);
            page.line(format_args!("   Rx buf size = {size}"));
            page.line("   VRRP instances");
            for it in members {
                let (name, vrid) = (&it.config.name, it.config.vrid);
                page.line(format_args!("     {name} vrid {vrid}"));
            }
        }
    }
}

fn flags(page: &mut Page, config: &Instance) {
    let unicast = !config.unicast_peers.is_empty();
    // Some of C's flags have a line of their own further down.
    let others = config.nopreempt
        || config.skip_check_adv_addr
        || config.source_address.is_some()
        || config.vmac.is_some();
    if !unicast && !others {
        return page.line("   Flags: none");
    }
    page.line("   Flags:");
    if unicast {
        page.line("     Using unicast");
    }
}

fn garp(page: &mut Page, config: &Instance) {
    let garp = &config.garp;
    for (what, value) in [
        ("delay", general_seconds(garp.master_delay)),
        ("repeat", garp.master_repeat.to_string()),
        ("refresh", general_seconds(garp.master_refresh)),
        ("refresh repeat", garp.master_refresh_repeat.to_string()),
        (
            "lower priority delay",
            general_seconds(garp.lower_prio_delay),
        ),
        ("lower priority repeat", garp.lower_prio_repeat.to_string()),
    ] {
        page.line(format_args!("   Gratuitous ARP {what} = {value}"));
    }
    let adverts = config.down_timer_adverts;
    page.line(format_args!("   Down timer adverts = {adverts}"));
    let (lower, higher) = (!config.lower_prio_no_advert, config.higher_prio_send_advert);
    for (what, sent) in [("lower", lower), ("higher", higher)] {
        let sent = truth(sent);
        page.line(format_args!(
            "   Send advert after receive {what} priority advert = {sent}"
        ));
    }
}

fn authentication(page: &mut Page, config: &Instance) {
    // Version 3 has none of this kind (RFC 9568 section 9).
    if config.version == Version::V3 {
        return;
    }
    match config.authentication {
        None => page.line("   Authentication type = none"),
        Some(Authentication::Password(_)) => {
            page.line("   Authentication type = SIMPLE_PASSWORD");
            page.line("   Password = ********");
        }
        Some(Authentication::Header(_)) => page.line("   Authentication type = IPSEC_AH"),
    }
}

fn unicast(page: &mut Page, config: &Instance) {
    if config.unicast_peers.is_empty() {
        return;
    }
    let ttl = config.unicast_ttl.unwrap_or(255);
    page.line(format_args!("   Unicast TTL = {ttl}"));
    page.line(format_args!(
        "   Check unicast src : {}",
        yes(config.check_unicast_source)
    ));
    let peers = config.unicast_peers.iter().map(|peer| {
        let (least, most) = (peer.min_ttl.unwrap_or(0), peer.max_ttl.unwrap_or(255));
        format!("{} min_ttl {least} max_ttl {most}", peer.address)
    });
    page.list("Unicast Peer", peers);
    let old = match config.old_unicast_checksum {
        None => "no",
        Some(true) => "config",
        Some(false) => "never",
    };
    page.line(format_args!("   Unicast checksum compatibility = {old}"));
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

// What instances track.
impl Writer<'_> {
    fn sync_groups(&self, page: &mut Page) {
        let groups = &self.snapshot.groups;
        if groups.is_empty() {
            return;
        }
        page.section("VRRP Sync groups");
        // Groups and instances may be many.
        let instances = self.snapshot.instances.iter();
        let by_name: BTreeMap<&str, &InstanceSnapshot> =
            instances.map(|it| (it.config.name.as_str(), it)).collect();
        for GroupSnapshot {
            config: group,
            state,
        } in groups
        {
            let members = || {
                group
                    .instances
                    .iter()
                    .filter_map(|name| by_name.get(name.as_str()))
            };
            let fault = members().filter(|it| it.faults > 0).count();
            let init = members().filter(|it| it.awaited > 0).count();
            // C has no state of its own for waiting.
            let waits = *state == State::Init && init > 0;
            let state = if waits { State::Fault } else { *state };
            page.line(format_args!(" VRRP Sync Group = {}, {state}", group.name));
            page.line(format_args!(
                "   Num member fault {fault}, num member init {init}"
            ));
            page.list("VRRP member instances", &group.instances);
            let mail = yes(group.smtp_alert);
            page.line(format_args!("   Using smtp notification = {mail}"));
            tracked(
                page,
                &group.track_interfaces,
                &group.track_scripts,
                &group.track_files,
                &group.track_processes,
                &group.track_bfds,
            );
            let notify = &group.notify;
            for (what, command) in [
                ("Backup", &notify.backup),
                ("Master", &notify.master),
                ("Fault", &notify.fault),
                ("Stop", &notify.stop),
                ("Generic", &notify.any),
            ] {
                self.transition_script(page, what, command.as_deref());
            }
        }
    }

    fn scripts(&self, page: &mut Page) {
        if self.snapshot.scripts.is_empty() {
            return;
        }
        page.section("VRRP Scripts");
        for it in &self.snapshot.scripts {
            self.script(page, it);
        }
    }

    fn script(&self, page: &mut Page, it: &ScriptSnapshot) {
        let script = &*it.script;
        page.line(format_args!(" VRRP Script = {}", script.name));
        let mut line = |name: &str, value: &dyn fmt::Display| {
            page.line(format_args!("   {name} = {value}"));
        };
        let seconds = |span| format!("{} sec", general_seconds(span));
        let lines = self.trackers.scripts.get(&script.name);
        let init = if it.has_run { "unknown" } else { "INIT" };
        let up = it.standing == Standing::Up;
        // An interval that is not whole is one that only we read.
        line("Command", &quoted(&script.command));
        line("Interval", &seconds(script.interval));
        // C's 0: as long as the interval.
        let timeout = if script.timeout == script.interval {
            crate::time::Interval::ZERO
        } else {
            script.timeout
        };
        line("Timeout", &seconds(timeout));
        // The weight of the block is gone into those of its trackers.
        let first = self.trackers.script_weights.get(&script.name);
        line("Weight", &first.map_or("0", String::as_str));
        line("Rise", &script.rise);
        line("Fall", &script.fall);
        line("Result", &it.result);
        line("Insecure", &"no");
        line("Init state", &init);
        line("Status", &if up { "GOOD" } else { "BAD" });
        let numbers = self.users.numbers(script.command.user.as_ref());
        line("Script uid:gid", &numbers);
        page.line("   VRRP instances :");
        page.list("Tracking instances", lines.into_iter().flatten());
        let run = match it.run {
            Run::Idle => "idle",
            Run::Running => "running",
            Run::TimingOut => "requested termination",
        };
        page.line(format_args!("   State = {run}"));
    }

    fn files(&self, page: &mut Page) {
        let files = &self.snapshot.files;
        if files.is_empty() {
            return;
        }
        page.section("VRRP Track files");
        for file in files {
            let (value, file) = (file.value.unwrap_or_default(), &file.file);
            let TrackedFile { name, path, .. } = &**file;
            page.line(format_args!(" Track file = {name}"));
            page.line(format_args!("   File = {path}"));
            page.line(format_args!("   Status = {value}"));
            let weight = reversed(file.weight, file.reverse);
            page.line(format_args!("   Weight = {weight}"));
            let lines = self.trackers.files.get(name);
            page.list("Tracking instances", lines.into_iter().flatten());
        }
    }

    fn processes(&self, page: &mut Page) {
        let processes = &self.snapshot.processes;
        if processes.is_empty() {
            return;
        }
        page.section("VRRP Track processes");
        for process in processes {
            self.process(page, process);
        }
    }

    fn process(&self, page: &mut Page, counted: &ProcessSnapshot) {
        let it = &*counted.process;
        page.line(format_args!(" VRRP Track process = {}", it.name));
        page.line(format_args!("   Process = {}", it.program));
        if !it.parameters.is_empty() {
            page.line(format_args!("   Parameters = {}", it.parameters.join(" ")));
        }
        let matching = match it.parameter_match {
            ParameterMatch::None => None,
            ParameterMatch::Exact => Some("exact"),
            ParameterMatch::Partial => Some("partial"),
            ParameterMatch::Initial => Some("initial"),
        };
        if let Some(matching) = matching {
            page.line(format_args!("   Param match = {matching}"));
        }
        page.line(format_args!("   Min processes = {}", it.quorum));
        if let Some(most) = it.quorum_max {
            page.line(format_args!("   Max processes = {most}"));
        }
        let count = counted.count.unwrap_or_default();
        page.line(format_args!("   Current processes = {count}"));
        let quorum = truth(counted.quorum.unwrap_or_default());
        page.line(format_args!("   Have quorum = {quorum}"));
        let weight = reversed(it.weight, it.reverse);
        page.line(format_args!("   Weight = {weight}"));
        page.line(format_args!("   Terminate delay = {}s", it.terminate_delay));
        page.line(format_args!("   Fork delay = {}s", it.fork_delay));
        if self.running {
            page.line("   Fork delay timer not running");
            page.line("   Terminate delay timer not running");
        }
        page.line(format_args!("   Full command = {}", truth(it.full_command)));
        let lines = self.trackers.processes.get(&it.name);
        page.list("Tracking instances", lines.into_iter().flatten());
    }

    fn interfaces(&self, page: &mut Page) {
        page.section("Interfaces");
        for it in &self.snapshot.interfaces {
            self.interface(page, it);
        }
    }

    /// The virtual MAC of this name.
    fn own_link(&self, name: &str) -> Option<&LinkSnapshot> {
        let instances = self.snapshot.instances.iter();
        let with_vmac = instances.filter(|it| it.config.ipvlan.is_none());
        let mut links = with_vmac.flat_map(|it| {
            let own = it.own_link.iter();
            own.chain(it.vip_links.iter().flatten())
        });
        links.find(|link| link.name == name)
    }

    /// What a virtual MAC stands on.
    fn below(&self, page: &mut Page, it: &InterfaceState) {
        if let Some(link) = self.own_link(&it.name) {
            let mut all = self.snapshot.interfaces.iter();
            let base = all.find(|base| base.name == link.parent);
            let state = match base.is_some_and(|base| base.up) {
                true => "UP, RUNNING",
                false => "not UP, not RUNNING",
            };
            page.line(format_args!(
                "   VMAC type private, underlying interface = {}, state = {state}",
                link.parent
            ));
            page.line("   I/f created by keepalived");
        }
    }

    fn interface(&self, page: &mut Page, it: &InterfaceState) {
        page.line(format_args!(" Name = {}", it.name));
        let mut line = |name: &str, value: &dyn fmt::Display| {
            page.line(format_args!("   {name} = {value}"));
        };
        // Of IPv6 only the address that adverts would be sent from.
        let first = |four: bool| {
            let mut all = it.addresses.iter().map(|on| on.address);
            let found = all.find(|address| match address {
                _ if self.view.vips.contains(address) => false,
                IpAddr::V4(_) => four,
                IpAddr::V6(six) => !four && six.is_unicast_link_local(),
            });
            found.map_or_else(|| "(none)".to_owned(), |address| address.to_string())
        };
        let ethernet = it.mac != MacAddress([0; 6]);
        line("index", &it.index.0);
        line("IPv4 address", &first(true));
        line("IPv6 address", &first(false));
        if ethernet {
            line("MAC", &it.mac);
            line("MAC broadcast", &MacAddress::BROADCAST);
        }
        let mut state = if it.up {
            "UP, RUNNING".to_owned()
        } else {
            "not UP, not RUNNING".to_owned()
        };
        for (is, word) in [
            (it.loopback, ", no broadcast, loopback"),
            (!it.multicast, ", no multicast"),
            (it.no_arp, ", no arp"),
        ] {
            state.push_str(if is { word } else { "" });
        }
        line("State", &state);
        line("Seen up", &u8::from(it.up));
        line("Delayed state change running", &"false");
        line("Up debounce timer", &"0us");
        line("Down debounce timer", &"0us");
        line("MTU", &it.mtu);
        let kind = if it.loopback { "LOOPBACK" } else { "ETHERNET" };
        line("HW Type", &kind);
        self.below(page, it);
        page.line("   NIC netlink status update");
        let garp = &self.snapshot.config.globals.garp;
        let used = self.trackers.interfaces.get(&it.name);
        for (what, interval) in [("ARP", garp.interval), ("NA", garp.gna_interval)] {
            if used.is_some() && !interval.is_zero() {
                let ms = interval.as_us() / 1_000;
                page.line(format_args!("   Gratuitous {what} interval {ms}ms"));
            }
        }
        // Settings of an interface that C changes for virtual MACs; of ours the alias of
        // the link tells.
        for setting in [
            "Reset ARP config counter",
            "Original arp_ignore",
            "Original arp_filter",
            "Original promote_secondaries",
            "Reset promote_secondaries counter",
        ] {
            page.line(format_args!("   {setting} 0"));
        }
        page.list("Tracking VRRP instances", used.into_iter().flatten());
    }
}

fn reversed(value: i32, reverse: bool) -> String {
    let reverse = if reverse { " reverse" } else { "" };
    format!("{value}{reverse}")
}
