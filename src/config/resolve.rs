//! Drafts to a `Config`: defaults, names, and how settings work together.
//!
//! Decides what holds for the configuration as a whole; what one keyword may
//! say is decided in its row. Everything here is found after reading, so that
//! the order of the blocks does not matter, with one exception that C makes: a
//! script must stand before the instance that tracks it.
//! Source: specification A.12, B.3, C.1, D.2, D.5, D.7 (interplay).

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::ids::{Priority, Vrid};
use crate::time::Interval;

use super::diagnostic::{Class, Collector, Diagnostic, Severity};
use super::keywords::authentication::Kind;
use super::keywords::{root, track_script, virtual_ipaddress, vrrp_instance, vrrp_script};
use super::lex::Origin;
use super::machine::Machine;
use super::model::{
    Authentication, Command, Config, InitialState, Instance, Notify, Password, Script, ScriptUser,
    TrackScript, UnicastPeer, VirtualAddress,
};

/// Works out the configuration. Findings go to `found`.
pub fn resolve(draft: root::Draft, machine: &dyn Machine, found: &mut Collector) -> Config {
    let mut scripts = Scripts::new(&draft);
    let mut resolver = Resolver {
        draft: &draft,
        scripts: &mut scripts,
        machine,
        found,
        suggestions: 0,
    };
    let mut instances = Vec::new();
    let mut places = Vec::new();
    for instance in &draft.instances {
        if let Some(resolved) = resolver.instance(instance) {
            places.push(
                instance
                    .vrid
                    .map_or(instance.name.origin, |(_, origin)| origin),
            );
            instances.push(Arc::new(resolved));
        }
    }
    tell_of_collisions(&instances, &places, found);
    let scripts = scripts.finish(found);
    let config = Config {
        globals: draft.globals.finished(found),
        instances,
        scripts,
        garp_groups: draft.garp_groups.clone(),
        linkbeat_interfaces: draft.linkbeat_interfaces.clone(),
        interface_delays: draft.interface_delays.clone(),
        ..Config::default()
    };
    config
}

/// The `vrrp_script` blocks, and which of them somebody tracks.
struct Scripts<'a> {
    drafts: &'a [vrrp_script::Draft],
    resolved: Vec<Arc<Script>>,
    /// The first block of each name; C finds only that one.
    by_name: HashMap<&'a str, usize>,
    used: HashSet<usize>,
}

impl<'a> Scripts<'a> {
    fn new(draft: &'a root::Draft) -> Self {
        let user = draft.globals.globals.script_user.as_ref();
        let mut by_name = HashMap::new();
        for (index, script) in draft.scripts.iter().enumerate() {
            by_name.entry(script.name.text.as_str()).or_insert(index);
        }
        let resolved = draft
            .scripts
            .iter()
            .filter_map(|script| resolve_script(script, user));
        Self {
            drafts: &draft.scripts,
            resolved: resolved.map(Arc::new).collect(),
            by_name,
            used: HashSet::new(),
        }
    }

    fn find(&self, name: &str) -> Option<(usize, &'a vrrp_script::Draft, Arc<Script>)> {
        let index = *self.by_name.get(name)?;
        Some((
            index,
            self.drafts.get(index)?,
            self.resolved.get(index)?.clone(),
        ))
    }

    /// The scripts that are tracked, in the order of the file.
    fn finish(self, found: &mut Collector) -> Vec<Arc<Script>> {
        let mut tracked = Vec::new();
        for (index, (draft, script)) in self.drafts.iter().zip(self.resolved).enumerate() {
            if self.used.contains(&index) {
                tracked.push(script);
                continue;
            }
            let text = format!("Warning - script {} is not used", draft.name.text);
            let diagnostic = Diagnostic::new("unused-script", Severity::Warning, Class::None, text);
            found.push(diagnostic.at(&draft.name.origin).after_reading());
        }
        tracked
    }
}

/// Every draft has a command; one without was dropped when its block ended.
fn resolve_script(draft: &vrrp_script::Draft, user: Option<&ScriptUser>) -> Option<Script> {
    let (mut command, _) = draft.command.clone()?;
    command.user = draft.user.as_ref().map(|(user, _)| user).or(user).cloned();
    Some(Script {
        name: draft.name.text.clone(),
        command,
        interval: draft.interval,
        timeout: draft.timeout.unwrap_or(draft.interval),
        rise: draft.rise,
        fall: draft.fall,
        init_fail: draft.init_fail,
    })
}

struct Resolver<'a, 'd> {
    draft: &'d root::Draft,
    scripts: &'a mut Scripts<'d>,
    #[expect(dead_code, reason = "messages about the machine come later")]
    machine: &'a dyn Machine,
    found: &'a mut Collector,
    suggestions: usize,
}

/// Searching for the nearest name is slow, and nobody reads more of them.
const SUGGESTIONS_MAX: usize = 20;

impl<'d> Resolver<'_, 'd> {
    /// One instance; `None` if it cannot be run at all.
    fn instance(&mut self, draft: &vrrp_instance::Draft) -> Option<Instance> {
        let globals = &self.draft.globals;
        let (vrid, interface) = self.identity(draft)?;
        let priority = priority(draft);
        let initial_state = match draft.state {
            Some(state) => state,
            None if priority.is_owner() => InitialState::Master,
            None => InitialState::Backup,
        };
        let nopreempt = self.nopreempt(draft, priority, initial_state);
        let unicast_peers = self.peers(draft);
        let smtp_alert = draft
            .smtp_alert
            .unwrap_or_else(|| globals.globals.defaults.smtp_alert());
        Some(Instance {
            initial_state,
            priority,
            advert_interval: self.advert_interval(draft),
            nopreempt,
            authentication: self.password(draft).map(Authentication::Password),
            source_address: draft.source,
            unicast_peers,
            multicast_group: globals.globals.defaults.multicast_group(false),
            virtual_addresses: self.addresses(draft, &interface),
            track_scripts: self.track_scripts(draft, priority),
            garp: draft.garp.resolved(&globals.garp),
            skip_check_adv_addr: draft.skip_check_adv_addr
                || globals.globals.defaults.skip_check_adv_addr,
            notify: with_user(&draft.notify, globals.globals.script_user.as_ref()),
            smtp_alert,
            ..Instance::new(draft.name.text.clone(), interface, vrid)
        })
    }

    /// Reports something that C finds after reading, too.
    fn after(&mut self, diagnostic: Diagnostic, origin: &Origin) {
        self.found.push(diagnostic.at(origin).after_reading());
    }

    fn identity(&mut self, draft: &vrrp_instance::Draft) -> Option<(Vrid, String)> {
        let (name, origin) = (&draft.name.text, draft.name.origin);
        if draft.vrid.is_none() {
            let text = format!("({name}) the virtual router id must be set");
            let help = "Each keyword needs a line of its own; several on one line are not read.";
            self.after(Diagnostic::fatal("no-vrid", text).help(help), &origin);
        }
        if draft.interface.is_none() {
            let text = format!("({name}) Unknown interface!");
            let help = if draft.unicast.is_some() {
                "Unicast without an interface does not work yet; add a line with `interface`."
            } else {
                "Add a line with `interface` and the name of the network interface."
            };
            self.after(Diagnostic::fatal("no-interface", text).help(help), &origin);
        }
        Some((draft.vrid?.0, draft.interface.as_ref()?.text.clone()))
    }

    fn nopreempt(
        &mut self,
        draft: &vrrp_instance::Draft,
        priority: Priority,
        state: InitialState,
    ) -> bool {
        let Some(origin) = draft.nopreempt else {
            return false;
        };
        let name = &draft.name.text;
        let text = if priority.is_owner() {
            format!("({name}) nopreempt is incompatible with priority 255. resetting nopreempt")
        } else if state == InitialState::Master {
            format!(
                "({name}) Warning - nopreempt will not work with initial state MASTER - clearing"
            )
        } else {
            return true;
        };
        let mut diagnostic = Diagnostic::warning("nopreempt", text);
        if draft.priority.is_none() && priority.is_owner() {
            diagnostic = diagnostic.help("`state MASTER` without `priority` means priority 255.");
        } else {
            diagnostic = diagnostic.help("Write `state BACKUP` on both nodes.");
        }
        self.after(diagnostic, &origin);
        false
    }

    /// Version 2 counts whole seconds, 1 to 255.
    fn advert_interval(&mut self, draft: &vrrp_instance::Draft) -> Interval {
        let Some((interval, origin)) = draft.advert_interval else {
            return Interval::from_secs(1);
        };
        let whole = (interval + Interval::from_us(500_000))
            .as_secs()
            .clamp(1, 255);
        let whole = Interval::from_secs(whole);
        if whole != interval {
            let text = format!(
                "({}) VRRPv2 advertisement interval {interval}s must be an integer. rounding",
                draft.name.text
            );
            let help = format!("It is {} s now.", whole.as_secs());
            self.after(
                Diagnostic::warning("advert-interval", text).help(help),
                &origin,
            );
        }
        whole
    }

    fn password(&mut self, draft: &vrrp_instance::Draft) -> Option<Password> {
        let (kind, origin) = draft.auth_type?;
        if draft.password.is_none() {
            let text = format!(
                "({}) Authentication specified but no password given. Ignoring",
                draft.name.text
            );
            self.after(Diagnostic::warning("no-password", text), &origin);
        }
        draft.password.filter(|_| kind == Kind::Password)
    }

    fn peers(&mut self, draft: &vrrp_instance::Draft) -> Vec<UnicastPeer> {
        let name = &draft.name.text;
        let mut peers = Vec::new();
        for (peer, origin) in &draft.peers {
            if draft.source == Some(*peer) {
                let text = format!("({name}) {peer} is the instance's own address - ignoring");
                self.after(Diagnostic::hint("own-address", text), origin);
                continue;
            }
            peers.push((*peer).into());
        }
        if let Some(origin) = draft.unicast.filter(|_| peers.is_empty()) {
            let text = format!(
                "({name}) A unicast keyword has been specified without any unicast peers. \
                 Defaulting to multicast. This usage is deprecated - please update your \
                 configuration."
            );
            self.after(Diagnostic::warning("no-peers", text), &origin);
        }
        peers
    }

    fn addresses(&mut self, draft: &vrrp_instance::Draft, interface: &str) -> Vec<VirtualAddress> {
        let name = &draft.name.text;
        let mut known = HashSet::new();
        let mut addresses = Vec::new();
        for line in &draft.addresses {
            let address = virtual_address(line, interface);
            let key = (
                address.address,
                address.prefix_length,
                address.interface.clone(),
            );
            if !known.insert(key) {
                let text = format!("({name}): VIP duplicates a VIP {address} - ignoring");
                let diagnostic =
                    Diagnostic::new("duplicate-address", Severity::Warning, Class::None, text)
                        .at(&line.origin);
                self.found.push(diagnostic);
                continue;
            }
            addresses.push(address);
        }
        if addresses.is_empty() && !draft.may_have_no_address {
            let text = format!("({name}) No VIP specified; at least one is sensible");
            self.after(Diagnostic::warning("no-address", text), &draft.name.origin);
        }
        addresses
    }

    fn track_scripts(
        &mut self,
        draft: &vrrp_instance::Draft,
        priority: Priority,
    ) -> Vec<TrackScript> {
        let mut tracked = Vec::new();
        for line in &draft.track_scripts {
            let Some((index, script, resolved)) = self.tracked(draft, line) else {
                continue;
            };
            let weight = line.weight.unwrap_or(script.weight);
            self.scripts.used.insert(index);
            if priority.is_owner() && weight != 0 {
                let text = format!(
                    "({}) ignoring tracked script {} with weights due to address_owner",
                    draft.name.text, line.name.text
                );
                self.after(Diagnostic::warning("owner-weight", text), &line.name.origin);
                continue;
            }
            let reverse = line.reverse.unwrap_or(script.reverse);
            tracked.push(TrackScript {
                script: resolved,
                weight,
                reverse,
            });
        }
        tracked
    }

    fn tracked(
        &mut self,
        draft: &vrrp_instance::Draft,
        line: &track_script::Line,
    ) -> Option<(usize, &'d vrrp_script::Draft, Arc<Script>)> {
        let found = self.scripts.find(&line.name.text);
        if let Some(found) = found
            .clone()
            .filter(|(index, ..)| *index < line.known_scripts)
        {
            return Some(found);
        }
        let text = format!(
            "({}) track script {} not found, ignoring...",
            draft.name.text, line.name.text
        );
        let mut diagnostic = Diagnostic::error("no-such-script", text).at(&line.name.origin);
        if let Some((_, script, _)) = found {
            let help = "A `vrrp_script` must stand before the instance that tracks it.";
            diagnostic = diagnostic
                .label(script.name.origin.span, "it is here")
                .help(help);
        } else if self.suggestions < SUGGESTIONS_MAX {
            self.suggestions = self.suggestions.saturating_add(1);
            let names = self
                .scripts
                .drafts
                .iter()
                .take(100)
                .map(|script| &script.name.text);
            let near = names
                .map(|name| (strsim::osa_distance(name, &line.name.text), name))
                .filter(|(distance, _)| *distance <= 2)
                .min();
            if let Some((_, name)) = near {
                diagnostic = diagnostic.help(format!("Did you mean `{name}`?"));
            }
        }
        self.found.push(diagnostic);
        None
    }
}

/// A wish to be master without a priority means the address owner (D.7).
fn priority(draft: &vrrp_instance::Draft) -> Priority {
    match (draft.priority, draft.state) {
        (Some(priority), _) => Priority(priority),
        (None, Some(InitialState::Master)) => Priority::OWNER,
        (None, _) => Priority::DEFAULT,
    }
}

fn virtual_address(line: &virtual_ipaddress::Line, interface: &str) -> VirtualAddress {
    let interface = line.interface.as_deref().unwrap_or(interface);
    VirtualAddress {
        scope: line.scope,
        broadcast: line.broadcast,
        label: line.label.clone(),
        peer: line.peer,
        no_prefix_route: line.no_prefix_route,
        no_track: line.no_track,
        ..VirtualAddress::new(line.address, line.prefix_length, interface)
    }
}

fn with_user(notify: &Notify, user: Option<&ScriptUser>) -> Notify {
    let with_user = |command: &Option<Command>| {
        let mut command = command.clone()?;
        command.user = command.user.or_else(|| user.cloned());
        Some(command)
    };
    Notify {
        any: with_user(&notify.any),
        master: with_user(&notify.master),
        backup: with_user(&notify.backup),
        fault: with_user(&notify.fault),
        stop: with_user(&notify.stop),
        ..Notify::default()
    }
}

/// Two instances that would answer to the same adverts. `places` are those of
/// their router identifiers.
fn tell_of_collisions(instances: &[Arc<Instance>], places: &[Origin], found: &mut Collector) {
    let mut on_interface: HashMap<(Vrid, &str), (&str, Origin)> = HashMap::new();
    let mut with_peer: HashMap<(Vrid, IpAddr), (&str, Origin)> = HashMap::new();
    for (instance, origin) in instances.iter().zip(places) {
        let (name, vrid) = (instance.name.as_str(), instance.vrid);
        let mut other = None;
        if instance.unicast_peers.is_empty() {
            let key = (vrid, instance.interface.as_str());
            other = on_interface.insert(key, (name, *origin));
        }
        for peer in &instance.unicast_peers {
            other = with_peer
                .insert((vrid, peer.address), (name, *origin))
                .or(other);
        }
        let Some((other, other_origin)) = other else {
            continue;
        };
        let text = if instance.unicast_peers.is_empty() {
            format!(
                "{other} and {name} both use VRID {vrid} with IPv4 on interface {}",
                instance.interface
            )
        } else {
            format!("({name}) duplicate VRID conflict with {other} VRID {vrid}")
        };
        let diagnostic = Diagnostic::fatal("duplicate-vrid", text)
            .at(origin)
            .after_reading();
        found.push(diagnostic.label(other_origin.span, "the other one is here"));
    }
}
