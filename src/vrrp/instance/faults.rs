//! What stands against taking part (specification F.6), and how it is told.
//!
//! What follows from it is decided in `state_machine.rs`.

use crate::config::model::VirtualAddress;
use crate::ids::Errno;
use crate::wire::advert::Family;

use super::super::action::Action;
use super::super::event::InterfaceState;
use super::super::kernel_set::tracked_interfaces;
use super::super::log_lines::{GroupLine, InstanceLine, LogLine};
use super::super::rare::Blank;
use super::super::reasons::{FaultReason, Fight};
use super::super::state_machine::State;
use super::super::tracking::{interfaces_of, is_fault, is_interface_fault, scripts_of};
use super::super::virtual_links::{Standing, link_of, own_link};
use super::super::watched::{files_of, is_file_fault, is_process_fault, processes_of};
use super::{Context, Running};

/// What stands against taking part (specification F.6).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Faults {
    missing: bool,
    loopback: bool,
    no_multicast: bool,
    down: bool,
    no_address: bool,
    no_peer: bool,
    /// The link of its own that is down or could not be made, with the reason for that.
    own_link: Option<(String, Option<Errno>)>,
    /// Interfaces of VIPs, other than the own one, that are missing or down.
    vip_interfaces: Vec<String>,
    /// The same for routes and rules.
    route_interfaces: Vec<String>,
    /// The same for what is static and has a `track_group`.
    static_interfaces: Vec<String>,
    /// What is static, has a `track_group`, and is not in the kernel.
    statics: Vec<String>,
    /// Interfaces of `track_interface` without a weight that are down, or, with
    /// `reverse`, up.
    tracked_interfaces: Vec<String>,
    scripts: Vec<String>,
    /// Files, with the number in them.
    files: Vec<(String, i32)>,
    processes: Vec<String>,
    /// A fight over what it has in the kernel, while it keeps out of it.
    fight: Option<Fight>,
}

impl Blank for Faults {
    const BLANK: &'static Self = &Self {
        missing: false,
        loopback: false,
        no_multicast: false,
        down: false,
        no_address: false,
        no_peer: false,
        own_link: None,
        vip_interfaces: Vec::new(),
        route_interfaces: Vec::new(),
        static_interfaces: Vec::new(),
        statics: Vec::new(),
        tracked_interfaces: Vec::new(),
        scripts: Vec::new(),
        files: Vec::new(),
        processes: Vec::new(),
        fight: None,
    };
}

impl Faults {
    pub(super) fn any(&self) -> bool {
        *self != *Self::BLANK
    }

    /// How many. An interface that does not exist counts as down, too, and as
    /// one without an address, as in C.
    pub(super) fn count(&self) -> usize {
        let own = [
            self.missing,
            self.missing,
            self.loopback,
            self.no_multicast,
            self.down,
            self.no_address,
            self.no_peer,
            self.own_link.is_some(),
        ];
        let own = own.into_iter().filter(|set| *set).count();
        let tracked = self.tracked_interfaces.len();
        let others = self.vip_interfaces.len().saturating_add(tracked);
        own.saturating_add(others)
            .saturating_add(self.route_interfaces.len())
            .saturating_add(self.static_interfaces.len())
            .saturating_add(self.statics.len())
            .saturating_add(self.scripts.len())
            .saturating_add(self.files.len())
            .saturating_add(self.processes.len())
            .saturating_add(usize::from(self.fight.is_some()))
    }

    /// Each of them, for an instance on `interface`, which is empty where it has none.
    pub(super) fn reasons(&self, interface: &str, family: Family) -> Vec<FaultReason> {
        let name = || interface.to_owned();
        let address = || FaultReason::NoSourceAddress {
            interface: name(),
            family,
        };
        let own = [
            self.missing.then(|| FaultReason::InterfaceMissing(name())),
            self.loopback.then(|| FaultReason::Loopback(name())),
            self.no_multicast.then(|| FaultReason::NoMulticast(name())),
            self.down.then(|| FaultReason::LinkDown(name())),
            self.no_address.then(address),
            self.no_peer.then(|| FaultReason::NoUnicastPeer(name())),
        ];
        let link = self.own_link.clone().map(|(name, errno)| match errno {
            None => FaultReason::LinkDown(name),
            Some(errno) => FaultReason::LinkRefused { name, errno },
        });
        let own = own.into_iter().flatten().chain(link);
        let vips = self.vip_interfaces.iter().cloned();
        let routes = self.route_interfaces.iter().cloned();
        let static_ones = self.static_interfaces.iter().cloned();
        let missing = self.statics.iter().cloned();
        let tracked = self.tracked_interfaces.iter().cloned();
        let scripts = self.scripts.iter().cloned();
        let files = self.files.iter().map(|(name, value)| FaultReason::File {
            name: name.clone(),
            value: *value,
        });
        let processes = self.processes.iter().cloned();
        own.chain(vips.map(FaultReason::VipInterface))
            .chain(routes.map(FaultReason::RouteInterface))
            .chain(static_ones.map(FaultReason::StaticInterface))
            .chain(missing.map(FaultReason::StaticMissing))
            .chain(tracked.map(FaultReason::TrackedInterface))
            .chain(scripts.map(FaultReason::Script))
            .chain(files)
            .chain(processes.map(FaultReason::Process))
            .chain(self.fight.iter().cloned().map(FaultReason::Fight))
            .collect()
    }
}

impl Running {
    /// What is known of who takes things away.
    pub fn note_culprits(&mut self, culprits: &[String]) {
        let losses = match culprits {
            [] => self.losses.if_any(),
            _ => Some(self.losses.make()),
        };
        let Some(losses) = losses else { return };
        losses.note_culprits(culprits);
        if let Some(faults) = self.faults.if_any() {
            faults.fight = losses.fight().cloned();
        }
    }

    pub(super) fn find_faults(&self, cx: &Context<'_>) -> Faults {
        let mut faults = Faults::default();
        let link = cx.interfaces.named(self.link());
        match link {
            None if self.is_anywhere() && self.config.vrf.is_none() => {
                faults.no_address = self.source.is_none();
            }
            None => faults.missing = true,
            Some(state) if self.is_anywhere() => {
                faults.down = !state.up;
                faults.no_address = self.source.is_none();
            }
            Some(state) => {
                faults.loopback = state.loopback;
                faults.no_multicast = !state.multicast && self.config.unicast_peers.is_empty();
                faults.down = !state.up && !self.config.ignore_own_interface;
                faults.no_address = !self.has_source(state);
            }
        }
        faults.no_peer = self.config.fault_without_peer;
        faults.own_link = self.own_link_fault(cx);
        faults.fight = self.losses.fight().cloned();
        let around = cx.around();
        for vip in self.config.all_addresses() {
            let Some(faulty) = self.faulty_vip_interface(vip, cx) else {
                continue;
            };
            if !faults.vip_interfaces.contains(&faulty) {
                faults.vip_interfaces.push(faulty);
            }
        }
        faults.route_interfaces = self.faulty_route_interfaces(&faults.vip_interfaces, cx);
        for name in &self.statics.interfaces {
            let told = faults.vip_interfaces.iter().chain(&faults.route_interfaces);
            let is_told = **name == *self.config.interface || told.into_iter().any(|it| it == name);
            if !is_told && !around.is_up(name) {
                faults.static_interfaces.push(name.clone());
            }
        }
        faults.statics.clone_from(&self.statics.missing);
        for tracked in interfaces_of(&self.config, self.group.as_deref()) {
            if is_interface_fault(tracked, around.is_up(&tracked.interface)) {
                faults.tracked_interfaces.push(tracked.interface.clone());
            }
        }
        for tracked in scripts_of(&self.config, self.group.as_deref()) {
            if is_fault(tracked, around.standing(&tracked.script)) {
                faults.scripts.push(tracked.script.name.clone());
            }
        }
        let group = self.group.as_deref();
        for tracked in files_of(&self.config, group) {
            let value = around.watched.value(&tracked.file);
            if is_file_fault(tracked, value) {
                let name = tracked.file.name.clone();
                faults.files.push((name, value.unwrap_or_default()));
            }
        }
        for tracked in processes_of(&self.config, group) {
            if is_process_fault(tracked, around.watched.quorum(&tracked.process)) {
                faults.processes.push(tracked.process.name.clone());
            }
        }
        faults
    }

    /// What is wrong with the link of its own. It stands or falls with that as with the
    /// interface below it.
    fn own_link_fault(&self, cx: &Context<'_>) -> Option<(String, Option<Errno>)> {
        let key = own_link(&self.config)?;
        let name = || cx.interfaces.link_name(&key);
        match cx.interfaces.standing(&key) {
            Standing::Down if self.config.ignore_own_interface => None,
            Standing::Down => Some((name(), None)),
            Standing::Refused(errno) => Some((name(), Some(errno))),
            Standing::Up | Standing::Awaited | Standing::NoParent => None,
        }
    }

    /// The interface of a VIP, other than the own one, if it is missing or down.
    fn faulty_vip_interface(&self, vip: &VirtualAddress, cx: &Context<'_>) -> Option<String> {
        let is_base = vip.interface == self.config.interface;
        if vip.no_track {
            return None;
        }
        let link = link_of(&self.config, vip);
        if !is_base && !cx.around().is_up(&vip.interface) {
            return Some(vip.interface.to_string());
        }
        let link = link.filter(|link| Some(link) != own_link(&self.config).as_ref())?;
        let is_fault = match cx.interfaces.standing(&link) {
            Standing::Down | Standing::Refused(_) => true,
            // That of the base is told as its own.
            Standing::Up | Standing::Awaited | Standing::NoParent => false,
        };
        is_fault.then(|| cx.interfaces.link_name(&link))
    }

    /// Whether a link that it needs is being made.
    pub(super) fn is_link_awaited(&self, cx: &Context<'_>) -> bool {
        let config = &self.config;
        let tracked = config.all_addresses().filter(|vip| !vip.no_track);
        let mut links = own_link(config)
            .into_iter()
            .chain(tracked.filter_map(|vip| link_of(config, vip)));
        links.any(|link| cx.interfaces.standing(&link) == Standing::Awaited)
    }

    /// Interfaces of routes and rules that are missing or down, and not told of already.
    fn faulty_route_interfaces(&self, told: &[String], cx: &Context<'_>) -> Vec<String> {
        let config = &self.config;
        let mut faulty: Vec<String> = Vec::new();
        for name in tracked_interfaces(&config.virtual_routes, &config.virtual_rules) {
            let is_told = told.iter().chain(&faulty).any(|it| it == name);
            if *name != *config.interface && !is_told && !cx.around().is_up(name) {
                faulty.push(name.to_owned());
            }
        }
        faulty
    }

    /// Tells of files that begin or cease to stand against taking part.
    pub(super) fn log_files(&self, before: &Faults, cx: &mut Context<'_>) {
        if self.state == State::Init {
            return;
        }
        let is_in = |list: &[(String, i32)], name: &str| list.iter().any(|(it, _)| it == name);
        for (name, _) in &self.faults.files {
            if !is_in(&before.files, name) {
                self.log(InstanceLine::FileFault(name.clone()), cx);
            }
        }
        for (name, _) in &before.files {
            if !is_in(&self.faults.files, name) {
                self.log(InstanceLine::FileFine(name.clone()), cx);
            }
        }
    }

    /// Whether a file with a weight has ceased to stand against taking part: then C
    /// words the change of the priority in another way, and with `-D` only.
    pub(super) fn has_weighted_file_back(&self, before: &Faults) -> bool {
        let is_in = |faults: &Faults, name: &str| faults.files.iter().any(|(it, _)| it == name);
        files_of(&self.config, self.group.as_deref()).any(|tracked| {
            let name = &tracked.file.name;
            tracked.weight != 0 && is_in(before, name) && !is_in(&self.faults, name)
        })
    }

    /// The interface that it stands or falls with: its own or its VRF's; empty if
    /// it has neither.
    pub(super) fn link(&self) -> &str {
        match (&*self.config.interface, &self.config.vrf) {
            ("", Some(vrf)) => vrf,
            (interface, _) => interface,
        }
    }

    /// Whether there is an address to send from; with `track_src_ip` it must be
    /// on the interface.
    fn has_source(&self, state: &InterfaceState) -> bool {
        let Some(source) = self.source else {
            return false;
        };
        let mut there = state.addresses.iter();
        !self.config.track_source_address || there.any(|on| on.address == source)
    }

    pub(super) fn log_fault(&mut self, first: bool, cx: &mut Context<'_>) {
        let interface = self.link().to_owned();
        if !first {
            return self.log(InstanceLine::EnteringFault, cx);
        }
        if let (Some(_), Some(group)) = (&self.fault_of, &self.group) {
            let line = GroupLine::SyncingMember(self.config.name.clone());
            let line = LogLine::Group(group.name.clone(), line);
            cx.actions.push_back(Action::Log(line));
        }
        if self.faults.missing {
            let line = LogLine::InterfaceMissing(interface.clone());
            cx.actions.push_back(Action::Log(line));
        }
        if self.faults.loopback {
            self.log(InstanceLine::Loopback(interface.clone()), cx);
        }
        if self.faults.no_multicast {
            self.log(InstanceLine::NoMulticast(interface.clone()), cx);
        }
        if self.faults.down {
            self.log(InstanceLine::FaultInterfaceDown(interface), cx);
        }
        if let Some((name, _)) = self.faults.own_link.clone() {
            self.log(InstanceLine::FaultInterfaceDown(name), cx);
        }
        let tracked = self.faults.tracked_interfaces.iter();
        let names: Vec<_> = self
            .faults
            .vip_interfaces
            .iter()
            .chain(&self.faults.route_interfaces)
            .chain(&self.faults.static_interfaces)
            .chain(tracked)
            .cloned()
            .collect();
        for name in names {
            self.log(InstanceLine::FaultInterfaceDown(name), cx);
        }
        if self.faults.no_address && self.is_anywhere() {
            self.log(InstanceLine::FaultNoSource, cx);
        } else if self.faults.no_address {
            self.log(InstanceLine::FaultNoAddress(self.config.family()), cx);
        }
        for name in self.faults.scripts.clone() {
            self.log(InstanceLine::FaultScript(name), cx);
        }
        for (name, _) in self.faults.files.clone() {
            self.log(InstanceLine::FaultFile(name), cx);
        }
        for name in self.faults.processes.clone() {
            self.log(InstanceLine::FaultProcess(name), cx);
        }
        for what in self.faults.statics.clone() {
            self.log(InstanceLine::FaultStatic(what), cx);
        }
        self.log(InstanceLine::EnteringFaultInit, cx);
    }
}
