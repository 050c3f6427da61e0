//! The addresses of an instance: duplicates, their number, and none at all
//! (specification C.1, facts). What a line says is decided in its row.

use std::net::IpAddr;
use std::sync::Arc;

use crate::hashing::QuickMap;

use super::super::diagnostic::{Class, Diagnostic, Severity};
use super::super::keywords::virtual_ipaddress::Line;
use super::super::keywords::vrrp_instance::Draft;
use super::super::model::{Instance, Version, VirtualAddress};
use super::{Resolver, fatal};

/// Of Ethernet. The configuration must not depend on the machine.
const MTU: usize = 1500;

/// The octet that counts the addresses in an advert.
const COUNT_MAX: usize = 255;

/// How many addresses an advert holds on an interface with this MTU: IP header,
/// 8 bytes of VRRP, in version 2 8 bytes of authentication data.
fn address_count_max(ipv6: bool, version: Version, mtu: usize) -> usize {
    let (header, size) = if ipv6 { (40, 16) } else { (20, 4) };
    let authentication = if version == Version::V2 { 8 } else { 0 };
    let space = mtu.saturating_sub(header + 8 + authentication);
    (space / size).min(COUNT_MAX)
}

impl Resolver<'_, '_> {
    /// Needs interface, family and version.
    pub(super) fn addresses(&mut self, draft: &Draft, instance: &mut Instance) {
        let mut known = QuickMap::default();
        let plain = self.unique(
            "VIP",
            "a VIP",
            &draft.addresses,
            draft,
            instance,
            &mut known,
        );
        instance.virtual_addresses = plain;
        let what = ("Excluded VIP", "an excluded VIP");
        let excluded = self.unique(what.0, what.1, &draft.excluded, draft, instance, &mut known);
        instance.excluded_addresses = excluded;
        self.tell_of_none(draft, instance);
        self.limit(draft, instance);
    }

    /// The addresses of `lines` that are not known yet.
    fn unique(
        &mut self,
        what: &str,
        kind: &'static str,
        lines: &[Line],
        draft: &Draft,
        instance: &Instance,
        known: &mut QuickMap<(IpAddr, u8, Arc<str>), &'static str>,
    ) -> Vec<VirtualAddress> {
        let name = &draft.name.text;
        let mut addresses = Vec::with_capacity(lines.len());
        for line in lines {
            let without_dev = match &*instance.interface {
                "" => self.globals.interface_without_dev(),
                own => own,
            };
            let names = &mut self.interface_names;
            let address = line.resolved(without_dev, |name| names.shared(name));
            let interface = Arc::clone(&address.interface);
            let key = (address.address, address.prefix_length, interface);
            let Some(other) = known.get(&key) else {
                known.insert(key, kind);
                addresses.push(address);
                continue;
            };
            let text = format!("({name}): {what} duplicates {other} {address} - ignoring");
            let code = "duplicate-address";
            let diagnostic = Diagnostic::new(code, Severity::Warning, Class::None, text);
            self.found.push(diagnostic.at(&line.origin));
        }
        addresses
    }

    fn tell_of_none(&mut self, draft: &Draft, instance: &Instance) {
        if !instance.virtual_addresses.is_empty() {
            return;
        }
        let (name, origin) = (&draft.name.text, draft.name.origin);
        if instance.strict || (instance.version == Version::V3 && !draft.may_have_no_address) {
            let text = format!("({name}) No VIP specified; at least one is required");
            self.after(fatal("no-address", text), &origin);
        } else if !draft.may_have_no_address {
            let text = format!("({name}) No VIP specified; at least one is sensible");
            self.warn("no-address", text, &origin);
        }
    }

    /// What does not fit into an advert is configured, and not advertised.
    fn limit(&mut self, draft: &Draft, instance: &mut Instance) {
        let count = instance.virtual_addresses.len();
        let max = address_count_max(instance.ipv6, instance.version, MTU);
        let on_machine = self
            .machine
            .interface(&instance.interface)
            .and_then(|interface| usize::try_from(interface.mtu).ok())
            .filter(|mtu| *mtu > 0 && *mtu < MTU)
            .map_or(max, |mtu| {
                address_count_max(instance.ipv6, instance.version, mtu)
            });
        if count <= on_machine {
            return;
        }
        let text = format!(
            "({}) Number of VIPs ({count}) exceeds maximum/space available in packet (max \
             {on_machine} addresses) - excess moved to eVIPs",
            draft.name.text
        );
        let line = draft.addresses.get(on_machine);
        let origin = line.map_or(draft.name.origin, |line| line.origin);
        self.warn("too-many-addresses", text, &origin);
        if count > max {
            let excess = instance.virtual_addresses.split_off(max);
            instance.excluded_addresses.extend(excess);
        }
    }
}
