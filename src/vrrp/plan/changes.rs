//! What is different between two configurations, one thing at a time.
//!
//! Decides for each field of an instance what a change of it touches, and its words.
//! That none is forgotten is seen to by tests that change them one by one.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use crate::config::model::{
    Config, Instance, SyncGroup, TrackBfd, TrackFile, TrackInterface, TrackProcess, TrackScript,
    VirtualAddress,
};
use crate::time::Interval;

use super::Holders;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What has to be done about it.
    pub touches: Touches,
    /// What it is. No secret is in it.
    pub words: String,
}

/// What a difference touches in an instance that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touches {
    /// Nothing: it is read when it is needed.
    Nothing,
    /// What stands for or against taking part: it is looked at anew.
    Tracking,
    /// The addresses in the kernel.
    Addresses,
    /// The advert: it is built anew, and a MASTER sends it at once. Timers that count
    /// with it count from where they began.
    Advert,
}

/// Why an instance cannot go on as another one of its name.
pub(super) fn of_identity(old: &Instance, new: &Instance) -> String {
    let text = |text: &str| match text {
        "" => "none".to_owned(),
        text => text.to_owned(),
    };
    let mut reasons = Vec::new();
    if old.interface != new.interface {
        let (from, to) = (text(&old.interface), text(&new.interface));
        reasons.push(format!("its interface changes from {from} to {to}"));
    }
    if old.vrid != new.vrid {
        let (from, to) = (old.vrid, new.vrid);
        reasons.push(format!("its virtual_router_id changes from {from} to {to}"));
    }
    if old.ipv6 != new.ipv6 {
        reasons.push("its family changes".to_owned());
    }
    if old.vrf != new.vrf {
        reasons.push("its vrf changes".to_owned());
    }
    match (old.unicast_peers.is_empty(), new.unicast_peers.is_empty()) {
        (true, false) => reasons.push("it goes over to unicast".to_owned()),
        (false, true) => reasons.push("it goes over to multicast".to_owned()),
        (true, true) if old.multicast_group != new.multicast_group => {
            let (from, to) = (old.multicast_group, new.multicast_group);
            reasons.push(format!("its multicast group changes from {from} to {to}"));
        }
        (false, false) if old.source_address != new.source_address => {
            reasons.push("its unicast_src_ip changes".to_owned());
        }
        _ => {}
    }
    let address = |it: &Instance| it.ipvlan.as_ref().and_then(|ipvlan| ipvlan.address);
    if address(old).map(|(it, _)| it) != address(new).map(|(it, _)| it) {
        reasons.push("the address of its use_ipvlan changes".to_owned());
    }
    if reasons.is_empty() {
        // Both names are taken, each by an instance that is what the other was.
        return "another instance goes on in its place".to_owned();
    }
    reasons.join(" and ")
}

/// The differences between two that are the same on the network.
pub(super) fn between(
    old: &Instance,
    new: &Instance,
    holders: &(Holders<'_>, Holders<'_>),
) -> Vec<Change> {
    let mut found = Found::default();
    found.of_the_advert(old, new);
    found.of_addresses(old, new, holders);
    found.of_tracking(old, new);
    found.of_settings(old, new);
    found.0
}

#[derive(Default)]
struct Found(Vec<Change>);

impl Found {
    fn add(&mut self, touches: Touches, words: impl Into<String>) {
        let words = words.into();
        self.0.push(Change { touches, words });
    }

    /// `what` is different if `is` says so.
    fn if_different(&mut self, touches: Touches, what: &str, is: bool) {
        if is {
            self.add(touches, format!("{what} changed"));
        }
    }

    fn value<T: PartialEq + fmt::Display>(&mut self, touches: Touches, what: &str, it: (T, T)) {
        if it.0 != it.1 {
            let at_once = match touches {
                Touches::Advert => ", sent at once",
                _ => "",
            };
            self.add(touches, format!("{what} {} -> {}{at_once}", it.0, it.1));
        }
    }

    fn of_the_advert(&mut self, old: &Instance, new: &Instance) {
        use Touches::Advert;
        if old.name != new.name {
            self.add(Touches::Nothing, format!("was {} before", old.name));
        }
        self.value(Advert, "priority", (old.priority, new.priority));
        let intervals = (Seconds(old.advert_interval), Seconds(new.advert_interval));
        self.value(Advert, "advert_int", intervals);
        let versions = (old.version.number(), new.version.number());
        self.value(Advert, "version", versions);
        let authentication = old.authentication != new.authentication;
        self.if_different(Advert, "authentication", authentication);
        let auth_hmac = old.auth_hmac != new.auth_hmac;
        self.if_different(Advert, "auth_hmac", auth_hmac);
        // The source of unicast is part of the identity.
        let source = old.source_address != new.source_address;
        self.if_different(Advert, "mcast_src_ip", source);
        let peers = |it: &Instance| it.unicast_peers.iter().map(|peer| peer.address).collect();
        let (before, after): (Vec<IpAddr>, Vec<IpAddr>) = (peers(old), peers(new));
        self.of_list(Advert, "unicast_peer", &before, &after, |address| *address);
        let limits = before == after && old.unicast_peers != new.unicast_peers;
        self.if_different(Touches::Nothing, "TTL of a unicast_peer", limits);
        let ttl = old.unicast_ttl != new.unicast_ttl;
        self.if_different(Advert, "unicast_ttl", ttl);
        let checksum = (old.old_unicast_checksum, old.v3_checksum_as_v2)
            != (new.old_unicast_checksum, new.v3_checksum_as_v2);
        self.if_different(Advert, "checksum settings", checksum);
    }

    fn of_addresses(
        &mut self,
        old: &Instance,
        new: &Instance,
        (before, after): &(Holders<'_>, Holders<'_>),
    ) {
        use Touches::Addresses;
        if (&old.virtual_addresses, &old.excluded_addresses)
            != (&new.virtual_addresses, &new.excluded_addresses)
        {
            let count = self.0.len();
            let (were, are) = (addresses(old), addresses(new));
            for vip in old.all_addresses() {
                let (interface, address) = (&*vip.interface, vip.address);
                match are.get(&(interface, address)) {
                    Some(same) if *same == vip => {}
                    Some(_) => self.add(Addresses, format!("VIP {address} changed")),
                    None => {
                        let to = after.of_address(interface, address);
                        let to = to.map_or("removed".to_owned(), |name| format!("moves to {name}"));
                        self.add(Addresses, format!("VIP {address} {to}"));
                    }
                }
            }
            for vip in new.all_addresses() {
                let (interface, address) = (&*vip.interface, vip.address);
                if !were.contains_key(&(interface, address)) {
                    let from = before.of_address(interface, address);
                    let from = from.map_or("added".to_owned(), |name| format!("comes from {name}"));
                    self.add(Addresses, format!("VIP {address} {from}"));
                }
            }
            if self.0.len() == count {
                self.add(Addresses, "order of its VIPs changed");
            }
        }
        let advertised =
            |it: &Instance| it.virtual_addresses.iter().map(|vip| vip.address).collect();
        let (were, are): (Vec<IpAddr>, Vec<IpAddr>) = (advertised(old), advertised(new));
        if were != are {
            self.add(Touches::Advert, "VIPs of the advert changed, sent at once");
        }
        let routes =
            (&old.virtual_routes, &old.virtual_rules) != (&new.virtual_routes, &new.virtual_rules);
        self.if_different(Addresses, "virtual routes or rules", routes);
        let hardware = (&old.vmac, old.vmac_addresses, &old.ipvlan)
            != (&new.vmac, new.vmac_addresses, &new.ipvlan);
        self.if_different(Addresses, "use_vmac or use_ipvlan", hardware);
        let leaves = old.vmac_transmit_on_base != new.vmac_transmit_on_base;
        self.if_different(Touches::Nothing, "vmac_xmit_base", leaves);
        let promotion = old.promote_secondaries != new.promote_secondaries;
        self.if_different(Addresses, "promote_secondaries", promotion);
        self.if_different(Addresses, "accept", old.accept != new.accept);
    }

    fn of_tracking(&mut self, old: &Instance, new: &Instance) {
        self.of_tracked(&Lines::of_instance(old), &Lines::of_instance(new));
        let link = old.ignore_own_interface != new.ignore_own_interface;
        self.if_different(Touches::Tracking, "dont_track_primary", link);
        let source = old.track_source_address != new.track_source_address;
        self.if_different(Touches::Tracking, "track_src_ip", source);
        let peer = old.fault_without_peer != new.fault_without_peer;
        self.if_different(Touches::Tracking, "unicast_fault_no_peer", peer);
        let polling = old.linkbeat_polling != new.linkbeat_polling;
        self.if_different(Touches::Tracking, "linkbeat_use_polling", polling);
    }

    fn of_tracked(&mut self, old: &Lines<'_>, new: &Lines<'_>) {
        use Touches::Tracking;
        self.of_list(
            Tracking,
            "track_interface",
            old.interfaces,
            new.interfaces,
            |it| it.interface.clone(),
        );
        self.of_list(Tracking, "track_script", old.scripts, new.scripts, |it| {
            it.script.name.clone()
        });
        self.of_list(Tracking, "track_file", old.files, new.files, |it| {
            it.file.name.clone()
        });
        self.of_list(
            Tracking,
            "track_process",
            old.processes,
            new.processes,
            |it| it.process.name.clone(),
        );
        self.of_list(Tracking, "track_bfd", old.bfds, new.bfds, |it| {
            it.name.clone()
        });
    }

    /// What is only in one of two lists, or different in them. `key` names a line.
    fn of_list<T: PartialEq, K: Eq + Hash + fmt::Display>(
        &mut self,
        touches: Touches,
        what: &str,
        old: &[T],
        new: &[T],
        key: impl Fn(&T) -> K,
    ) {
        if old == new {
            return;
        }
        let by_key = |list| -> HashMap<K, &T> {
            let list: std::slice::Iter<'_, T> = list;
            list.map(|line| (key(line), line)).collect()
        };
        let (were, are) = (by_key(old.iter()), by_key(new.iter()));
        for line in old {
            let name = key(line);
            match are.get(&name) {
                None => self.add(touches, format!("{what} {name} removed")),
                Some(now) if *now != line => {
                    self.add(touches, format!("{what} {name} changed"));
                }
                Some(_) => {}
            }
        }
        for line in new {
            let name = key(line);
            if !were.contains_key(&name) {
                self.add(touches, format!("{what} {name} added"));
            }
        }
    }

    /// What is read when it is needed.
    fn of_settings(&mut self, old: &Instance, new: &Instance) {
        use Touches::Nothing;
        let states = (old.initial_state, new.initial_state);
        if states.0 != states.1 {
            self.add(
                Nothing,
                "state changed, which matters at the next start only",
            );
        }
        let adverts = (old.down_timer_adverts, new.down_timer_adverts);
        self.value(Nothing, "down_timer_adverts", adverts);
        let delays = (Seconds(old.preempt_delay), Seconds(new.preempt_delay));
        self.value(Nothing, "preempt_delay", delays);
        let settings = [
            ("nopreempt", old.nopreempt != new.nopreempt),
            ("strict_mode", old.strict != new.strict),
            (
                "timer_expired_backup",
                old.timer_expired_backup != new.timer_expired_backup,
            ),
            (
                "check_unicast_src",
                old.check_unicast_source != new.check_unicast_source,
            ),
            ("garp settings", old.garp != new.garp),
            (
                "skip_check_adv_addr",
                old.skip_check_adv_addr != new.skip_check_adv_addr,
            ),
            (
                "lower_prio_no_advert",
                old.lower_prio_no_advert != new.lower_prio_no_advert,
            ),
            (
                "higher_prio_send_advert",
                old.higher_prio_send_advert != new.higher_prio_send_advert,
            ),
            (
                "owner_ignore_adverts",
                old.owner_ignore_adverts != new.owner_ignore_adverts,
            ),
            (
                "kernel_rx_buf_size",
                old.receive_buffer_bytes != new.receive_buffer_bytes,
            ),
            (
                "lvs_sync_daemon_interface",
                old.sync_daemon_interface != new.sync_daemon_interface,
            ),
            ("notify scripts", old.notify != new.notify),
            (
                "notify_priority_changes",
                old.notify_priority_changes != new.notify_priority_changes,
            ),
            ("smtp_alert", old.smtp_alert != new.smtp_alert),
            ("debug", old.debug != new.debug),
            ("fast_handover", old.fast_handover != new.fast_handover),
            ("vip_loss", old.vip_loss != new.vip_loss),
        ];
        for (what, is) in settings {
            self.if_different(Nothing, what, is);
        }
    }
}

/// The addresses of an instance, by interface and address.
fn addresses(instance: &Instance) -> HashMap<(&str, IpAddr), &VirtualAddress> {
    let all = instance.all_addresses();
    all.map(|vip| ((&*vip.interface, vip.address), vip))
        .collect()
}

/// What an instance or group tracks.
struct Lines<'c> {
    interfaces: &'c [TrackInterface],
    scripts: &'c [TrackScript],
    files: &'c [TrackFile],
    processes: &'c [TrackProcess],
    bfds: &'c [TrackBfd],
}

impl<'c> Lines<'c> {
    fn of_instance(it: &'c Instance) -> Self {
        Self {
            interfaces: &it.track_interfaces,
            scripts: &it.track_scripts,
            files: &it.track_files,
            processes: &it.track_processes,
            bfds: &it.track_bfds,
        }
    }

    fn of_group(it: &'c SyncGroup) -> Self {
        Self {
            interfaces: &it.track_interfaces,
            scripts: &it.track_scripts,
            files: &it.track_files,
            processes: &it.track_processes,
            bfds: &it.track_bfds,
        }
    }
}

/// Seconds without zeros at the end.
#[derive(PartialEq)]
struct Seconds(Interval);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let text = text.trim_end_matches('0').trim_end_matches('.');
        write!(f, "{text} s")
    }
}

/// What is different besides the instances: a line for each thing.
pub(super) fn of_the_rest(old: &Config, new: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    of_groups(old, new, &mut lines);
    of_named(
        "vrrp_script",
        (&old.scripts, &new.scripts),
        &mut lines,
        |it| &it.name,
        |old, new| {
            if old.command == new.command {
                "changed, keeps its result"
            } else {
                "changed, counts as good until its first result"
            }
        },
    );
    let files = (&*old.track_files, &*new.track_files);
    of_named(
        "track_file",
        files,
        &mut lines,
        |it| &it.name,
        |_, _| "changed",
    );
    let processes = (&*old.track_processes, &*new.track_processes);
    of_named(
        "vrrp_track_process",
        processes,
        &mut lines,
        |it| &it.name,
        |_, _| "changed",
    );
    let others = [
        ("global settings", old.globals != new.globals),
        (
            "static addresses, routes or rules",
            (&old.static_addresses, &old.static_routes, &old.static_rules)
                != (&new.static_addresses, &new.static_routes, &new.static_rules),
        ),
        ("track_group", old.track_groups != new.track_groups),
        ("garp_group", old.garp_groups != new.garp_groups),
        (
            "interface settings",
            (&old.linkbeat_interfaces, &old.interface_delays)
                != (&new.linkbeat_interfaces, &new.interface_delays),
        ),
    ];
    let others = others.into_iter().filter(|(_, is)| *is);
    lines.extend(others.map(|(what, _)| format!("{what}: changed")));
    lines
}

/// Lines about things with a name.
fn of_named<T: PartialEq>(
    what: &str,
    (old, new): (&[Arc<T>], &[Arc<T>]),
    lines: &mut Vec<String>,
    name: impl Fn(&T) -> &String,
    change: impl Fn(&T, &T) -> &'static str,
) {
    if old == new {
        return;
    }
    let by_name = |list: &[Arc<T>]| -> HashMap<String, Arc<T>> {
        let list = list.iter();
        list.map(|it| (name(it).clone(), Arc::clone(it))).collect()
    };
    let (were, are) = (by_name(old), by_name(new));
    for it in new {
        match were.get(name(it)) {
            None => lines.push(format!("{what} {}: new", name(it))),
            Some(before) if before != it => {
                lines.push(format!("{what} {}: {}", name(it), change(before, it)));
            }
            Some(_) => {}
        }
    }
    for it in old.iter().filter(|it| !are.contains_key(name(it))) {
        lines.push(format!("{what} {}: removed", name(it)));
    }
}

fn of_groups(old: &Config, new: &Config, lines: &mut Vec<String>) {
    if old.sync_groups == new.sync_groups {
        return;
    }
    let by_name = |config: &Config| -> HashMap<String, Arc<SyncGroup>> {
        let groups = config.sync_groups.iter();
        groups
            .map(|group| (group.name.clone(), Arc::clone(group)))
            .collect()
    };
    let (were, are) = (by_name(old), by_name(new));
    for group in &new.sync_groups {
        let Some(before) = were.get(&group.name) else {
            let members = group.instances.join(" and ");
            lines.push(format!("sync group {}: new, of {members}", group.name));
            continue;
        };
        if before == group {
            continue;
        }
        let mut found = Found::default();
        found.of_list(
            Touches::Tracking,
            "member",
            &before.instances,
            &group.instances,
            String::clone,
        );
        found.of_tracked(&Lines::of_group(before), &Lines::of_group(group));
        let words: Vec<&str> = found.0.iter().map(|change| &*change.words).collect();
        let words = match words.is_empty() {
            true => "settings changed".to_owned(),
            false => words.join("; "),
        };
        lines.push(format!("sync group {}: {words}", group.name));
    }
    for group in &old.sync_groups {
        if !are.contains_key(&group.name) {
            lines.push(format!("sync group {}: removed", group.name));
        }
    }
}
