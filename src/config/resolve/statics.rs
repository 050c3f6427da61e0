//! Static addresses, routes and rules, and the groups that they follow; and which
//! interfaces of such lines the machine does not have.
//!
//! Source: specification B.1, C.1 to C.4.

use std::fmt;

use crate::hashing::QuickSet;

use super::super::diagnostic::{Class, Collector, Diagnostic, Severity};
use super::super::keywords::{root, track_group, virtual_ipaddress, virtual_routes, virtual_rules};
use super::super::lex::Word;
use super::super::machine::Machine;
use super::super::model::{Config, DynamicInterfaces, TrackGroup};

/// Fills the static lists of a configuration whose global settings are known.
pub fn fill(draft: &root::Draft, config: &mut Config) {
    let default_interface = config.globals.interface_without_dev();
    let addresses = draft.static_addresses.iter();
    config.static_addresses = addresses
        .map(|line| line.resolved(default_interface, |name| name.into()))
        .collect();
    let routes = draft.static_routes.iter();
    config.static_routes = routes.map(|line| line.route.clone()).collect();
    let rules = draft.static_rules.iter();
    config.static_rules = rules.map(|line| line.rule.clone()).collect();
}

/// The track groups with those of their members that exist.
pub fn track_groups(draft: &root::Draft, found: &mut Collector) -> Vec<TrackGroup> {
    let mut groups = Vec::new();
    for group in &draft.track_groups {
        groups.push(TrackGroup {
            name: group.name.text.clone(),
            instances: members(group, &draft.instance_names, found),
        });
    }
    groups
}

fn members(
    group: &track_group::Draft,
    instances: &QuickSet<String>,
    found: &mut Collector,
) -> Vec<String> {
    let mut members = Vec::new();
    let mut known = QuickSet::default();
    for member in group.members.iter().flatten() {
        if !instances.contains(&member.text) {
            let text = format!(
                "vrrp instance {} specified in track group {} doesn't exist - ignoring",
                member.text, group.name.text
            );
            let code = "no-such-instance";
            let diagnostic = Diagnostic::new(code, Severity::Warning, Class::None, text);
            found.push(diagnostic.at(&member.origin).after_reading());
        } else if known.insert(member.text.as_str()) {
            members.push(member.text.clone());
        }
    }
    members
}

/// Tells of interfaces that addresses, routes, rules and groups for gratuitous ARPs
/// name and that the machine does not have. It does not change the configuration: they count as down until
/// they appear. Returns whether there is any.
pub fn tell_of_missing_interfaces(
    draft: &root::Draft,
    machine: &dyn Machine,
    found: &mut Collector,
) -> bool {
    if draft.globals.globals.dynamic_interfaces != DynamicInterfaces::No {
        return false;
    }
    let mut missing = Missing {
        machine,
        found,
        is_any: false,
    };
    missing.addresses(&draft.static_addresses);
    missing.routes(&draft.static_routes);
    missing.rules(&draft.static_rules);
    for instance in &draft.instances {
        missing.addresses(&instance.addresses);
        missing.addresses(&instance.excluded);
        missing.routes(&instance.routes);
        missing.rules(&instance.rules);
    }
    for interface in &draft.garp_interface_words {
        let name = &interface.text;
        let text =
            format_args!("WARNING - interface {name} specified for garp_group doesn't exist");
        missing.tell_as(interface, text);
    }
    missing.is_any
}

struct Missing<'a> {
    machine: &'a dyn Machine,
    found: &'a mut Collector,
    is_any: bool,
}

impl Missing<'_> {
    fn addresses(&mut self, lines: &[virtual_ipaddress::Line]) {
        for line in lines {
            if let Some(device) = &line.device {
                self.tell(device, format_args!("ip address {}", line.written));
            }
        }
    }

    fn routes(&mut self, lines: &[virtual_routes::Line]) {
        for device in lines.iter().flat_map(|line| &line.devices) {
            self.tell(device, format_args!("VROUTE nexthop"));
        }
    }

    fn rules(&mut self, lines: &[virtual_rules::Line]) {
        for device in lines.iter().flat_map(|line| &line.devices) {
            self.tell(device, format_args!("rule"));
        }
    }

    fn tell(&mut self, device: &Word, what: fmt::Arguments<'_>) {
        let name = &device.text;
        let text = format_args!("WARNING - interface {name} for {what} doesn't exist");
        self.tell_as(device, text);
    }

    fn tell_as(&mut self, device: &Word, text: fmt::Arguments<'_>) {
        if self.machine.interface(&device.text).is_some() {
            return;
        }
        self.is_any = true;
        let diagnostic = Diagnostic::warning("no-such-interface", text.to_string());
        let diagnostic = diagnostic.at(&device.origin);
        let help = "It counts as down until it appears.";
        self.found.push(diagnostic.help(help));
    }
}
