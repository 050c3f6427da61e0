//! Instances in `keepalived.data`: their part of the topology, and their sockets.

use super::super::dump_state;
use super::super::page::{Page, able, general_seconds, truth, yes};
use super::{Writer, tracked};
use crate::config::model::{Authentication, Command, Instance, Version, VipLoss};
use crate::vrrp::action::Carrier;
use crate::vrrp::snapshot::InstanceSnapshot;
use crate::vrrp::state_machine::State;
use std::collections::BTreeMap;
use std::net::IpAddr;

// Instances.
impl Writer<'_> {
    pub(super) fn instance(&self, page: &mut Page, it: &InstanceSnapshot) {
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
            interface = format!("{name}, {kind} on {}{base}", config.interface).into();
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

    pub(super) fn transition_script(&self, page: &mut Page, what: &str, command: Option<&Command>) {
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

    pub(super) fn sockets(&self, page: &mut Page) {
        type Key<'k> = (&'k str, bool, bool, Option<IpAddr>);
        let mut pools: Vec<(Key<'_>, Vec<&InstanceSnapshot>)> = Vec::new();
        let mut known: BTreeMap<Key<'_>, usize> = BTreeMap::new();
        for it in &self.snapshot.instances {
            let config = &*it.config;
            let header = matches!(config.authentication, Some(Authentication::Header(_)));
            let unicast = !config.unicast_peers.is_empty();
            let source = it.source.filter(|_| unicast);
            let key = (&*config.interface, config.ipv6, header, source);
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
