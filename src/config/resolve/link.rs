//! The interface of an instance, interfaces made for it, and unicast
//! (specification D.7, interplay).

use std::sync::Arc;

use super::super::diagnostic::{Class, Diagnostic, Severity};
use super::super::keywords::vrrp_instance::Draft;
use super::super::model::{DynamicInterfaces, Instance, UnicastPeer};
use super::{Resolver, fatal, statics};

impl Resolver<'_, '_> {
    /// The name of the interface; empty for unicast that goes without one. `None`
    /// is an error that no daemon runs with.
    pub(super) fn interface(&mut self, draft: &Draft) -> Option<Arc<str>> {
        if let Some(interface) = &draft.interface {
            return Some(self.interface_names.shared(&interface.text));
        }
        if draft.lacks_interface_name {
            return None;
        }
        let (name, origin) = (&draft.name.text, draft.name.origin);
        let source = draft.source.filter(|_| !draft.peers.is_empty());
        let link_local = source.is_some_and(|source| match source {
            std::net::IpAddr::V6(source) => source.is_unicast_link_local(),
            std::net::IpAddr::V4(_) => false,
        });
        if link_local {
            let text = format!("({name}) Non link-local address required if interface omitted");
            self.after(fatal("no-interface", text), &origin);
            return None;
        }
        if source.is_none() {
            let text = format!("({name}) Unknown interface!");
            let help = if draft.unicast.is_some() {
                "Add a line with `interface`, or both `unicast_src_ip` and `unicast_peer`."
            } else {
                "Add a line with `interface` and the name of the network interface."
            };
            self.after(fatal("no-interface", text).help(help), &origin);
            return None;
        }
        Some(Arc::default())
    }

    /// Peers, or the multicast group.
    pub(super) fn unicast(&mut self, draft: &Draft, instance: &mut Instance) {
        let name = &draft.name.text;
        instance.source_address = draft.source;
        instance.track_source_address = draft.track_source && draft.source.is_some();
        instance.unicast_peers = self.peers(draft);
        let peers = &instance.unicast_peers;
        let has_ttl = |peer: &UnicastPeer| peer.min_ttl.is_some() || peer.max_ttl.is_some();
        instance.check_unicast_source = draft.check_unicast_source
            || self.globals.defaults.check_unicast_source
            || peers.iter().any(has_ttl);
        let is_multicast = peers.is_empty();
        instance.unicast_ttl = draft.unicast_ttl.filter(|_| !is_multicast);
        instance.old_unicast_checksum = draft.old_unicast_checksum;
        let default = self.globals.defaults.multicast_group(instance.ipv6);
        instance.multicast_group = default;
        match draft.multicast_group {
            Some((_, origin)) if !is_multicast => {
                let text =
                    format!("({name}) multicast destination specified with unicast - ignoring");
                self.warn("multicast-group", text, &origin);
            }
            Some((group, _)) => instance.multicast_group = group,
            None => {}
        }
        if !is_multicast {
            return;
        }
        if let Some(origin) = draft.fault_without_peer {
            instance.fault_without_peer = true;
            let text =
                format!("({name}) Cannot use unicast without any peers - going to fault state");
            let diagnostic = Diagnostic::new("no-peers", Severity::Warning, Class::None, text);
            self.after(diagnostic, &origin);
        } else if let Some(origin) = draft.unicast {
            let text = format!(
                "({name}) A unicast keyword has been specified without any unicast peers. \
                 Defaulting to multicast. This usage is deprecated - please update your \
                 configuration."
            );
            let help = "List the other nodes in `unicast_peer`, or take this keyword out.";
            let diagnostic = Diagnostic::warning("no-peers", text).help(help);
            self.after(diagnostic, &origin);
        }
    }

    fn peers(&mut self, draft: &Draft) -> Vec<UnicastPeer> {
        let name = &draft.name.text;
        let mut peers = Vec::new();
        for (peer, origin) in &draft.peers {
            if draft.source == Some(peer.address) {
                let address = peer.address;
                let text = format!("({name}) {address} is the instance's own address - ignoring");
                self.after(Diagnostic::hint("own-address", text), origin);
                continue;
            }
            peers.push(peer.clone());
        }
        peers
    }

    /// Interfaces that are made for the instance.
    pub(super) fn virtual_link(&mut self, draft: &Draft, instance: &mut Instance) {
        let (name, origin) = (&draft.name.text, draft.name.origin);
        instance.vmac = draft.vmac.clone().map(Box::new);
        instance.vmac_addresses = draft.vmac_addresses;
        instance.ipvlan = draft.ipvlan.clone().map(Box::new);
        instance.promote_secondaries = draft.promote_secondaries.is_some();
        instance.vrf = draft.vrf.as_ref().map(|vrf| vrf.text.clone());
        if let Some(vmac) = instance.vmac.as_mut().filter(|_| instance.strict)
            && vmac.hardware_address.take().is_some()
        {
            let text = format!("({name}): cannot specify MAC address with strict mode - clearing");
            self.warn("strict", text, &origin);
        }
        if let Some(vrf) = draft
            .vrf
            .as_ref()
            .filter(|_| !instance.interface.is_empty())
        {
            let text = format!("({name}) vrf can only be specified without interface - clearing");
            self.warn("vrf", text, &vrf.origin);
            instance.vrf = None;
        }
        self.link_name(draft, instance);
        self.tell_of_address_links(draft, instance);
        let is_vmac = instance.vmac.is_some();
        if let Some(place) = draft.promote_secondaries.filter(|_| is_vmac) {
            let text =
                format!("({name}) promote_secondaries is automatically set for vmacs - ignoring");
            self.warn("promote-secondaries", text, &place);
            instance.promote_secondaries = false;
        }
        if let Some(place) = draft.vmac_transmit_on_base {
            instance.vmac_transmit_on_base = is_vmac && !instance.strict;
            if !is_vmac {
                let text = format!("({name}) vmac_xmit_base is only valid with a vmac");
                self.warn("vmac-transmit", text, &place);
            } else if instance.strict {
                let text =
                    format!("({name}) xmit_base is incompatible with strict mode - resetting");
                self.warn("strict", text, &place);
            }
        }
        if let Some(ipvlan) = instance.ipvlan.as_ref().filter(|_| !instance.ipv6) {
            let problem = match ipvlan.address {
                None => "requires a source ip address to be configured",
                Some((address, _)) if address.is_ipv6() => "address family does not match instance",
                Some(_) => return,
            };
            let text = format!("({name}) IPv4 ipvlan {problem}. setting instance to fault state");
            self.warn("ipvlan-address", text, &origin);
        }
    }

    /// A name is that of one link.
    fn link_name(&mut self, draft: &Draft, instance: &mut Instance) {
        let vmac = instance.vmac.as_mut().map(|vmac| &mut vmac.interface);
        let ipvlan = instance.ipvlan.as_mut().map(|it| &mut it.interface);
        let Some((name, place)) = vmac.or(ipvlan).zip(draft.link_name) else {
            return;
        };
        let Some(wanted) = name.clone() else { return };
        let (own, used) = (&draft.name.text, &mut self.link_names);
        let holder = used.entry(wanted.clone()).or_insert(own.clone());
        if holder == own {
            return;
        }
        let text =
            format!("({own}) VRRP instance {holder} is already using {wanted} - ignoring name");
        *name = None;
        let diagnostic = Diagnostic::warning("vmac-name", text);
        self.found.push(diagnostic.at(&place));
    }

    /// Addresses that say what is so anyway.
    fn tell_of_address_links(&mut self, draft: &Draft, instance: &Instance) {
        let name = &draft.name.text;
        for vip in instance.all_addresses().filter(|vip| vip.use_vmac) {
            let is_ipv6 = vip.address.is_ipv6();
            let is_at_home = vip.interface == instance.interface && is_ipv6 == instance.ipv6;
            let text = if is_at_home && instance.vmac.is_some() {
                format!("({name}) use_vmac specified for VIP/eVIP {vip} and vrrp instance")
            } else if !is_at_home && instance.vmac_addresses {
                format!(
                    "({name}) use_vmac_addr specified and use_vmac specified for VIP/eVIP {vip}"
                )
            } else {
                continue;
            };
            self.warn("address-vmac", text, &draft.name.origin);
        }
    }

    /// What does not fit this machine. The daemon runs all the same and waits for
    /// interfaces that are missing. `instance`: what came of the draft.
    pub(super) fn tell_of_machine(&mut self, draft: &Draft, instance: Option<&Instance>) {
        let name = &draft.name.text;
        let vrf = draft.vrf.as_ref();
        if let Some(word) = vrf {
            match self.machine.interface(&word.text) {
                None => {
                    let text = format!(
                        "({name}) WARNING - VRF interface {} doesn't exist",
                        word.text
                    );
                    self.on_machine("no-such-interface", text, &word.origin);
                }
                Some(vrf) if vrf.loopback => {
                    let text = format!(
                        "({name}) cannot use a loopback interface ({}) for VRF - ignoring",
                        word.text
                    );
                    self.on_machine("loopback", text, &word.origin);
                }
                Some(_) => {}
            }
        }
        self.tell_of_other_link(draft, instance);
        let Some(word) = &draft.interface else {
            return;
        };
        let Some(interface) = self.machine.interface(&word.text) else {
            let text = format!(
                "WARNING - interface {} for vrrp_instance {name} doesn't exist",
                word.text
            );
            self.on_machine("no-such-interface", text, &word.origin);
            return;
        };
        if interface.loopback {
            let text = format!(
                "({name}) cannot use a loopback interface ({}) for vrrp - ignoring",
                word.text
            );
            self.on_machine("loopback", text, &word.origin);
        } else if !interface.multicast
            && instance.is_some_and(|instance| instance.unicast_peers.is_empty())
        {
            let text = format!(
                "({name}) interface {} does not support multicast, specify unicast peers - \
                 disabling",
                word.text
            );
            self.warn("no-multicast", text, &word.origin);
        }
        if instance.is_some_and(|instance| instance.vmac.is_some()) && !interface.ethernet {
            let text = format!("({name}): vmacs are only supported on Ethernet type interfaces");
            self.warn("vmac-ethernet", text, &word.origin);
        }
    }

    /// The virtual MAC is to be called like an interface that is something else.
    fn tell_of_other_link(&mut self, draft: &Draft, instance: Option<&Instance>) {
        let vmac = instance.and_then(|instance| instance.vmac.as_ref());
        let wanted = vmac.and_then(|vmac| vmac.interface.as_deref());
        let Some((wanted, place)) = wanted.zip(draft.link_name) else {
            return;
        };
        if !self.machine.is_no_vmac(wanted) {
            return;
        }
        let name = &draft.name.text;
        let text = format!(
            "({name}) interface {wanted} already exists and is not a private macvlan; \
             ignoring vmac if_name"
        );
        let help = "That interface is left alone, and the virtual MAC gets a name as if none \
                    were given. Rename or delete the interface, or give another name here; \
                    then restart.";
        let diagnostic = Diagnostic::warning("vmac-name", text).help(help);
        self.found.push(diagnostic.at(&place));
    }

    /// C knows the line of these, because it asks while it reads.
    pub(super) fn on_machine(&mut self, code: &'static str, text: String, origin: &super::Origin) {
        if code == "no-such-interface" {
            if self.globals.dynamic_interfaces != DynamicInterfaces::No {
                return;
            }
            self.is_interface_missing = true;
        }
        self.found.push(Diagnostic::warning(code, text).at(origin));
    }

    /// C does not run then; this daemon waits.
    pub(super) fn tell_of_missing_interfaces(&mut self) {
        let (draft, machine) = (self.draft, self.machine);
        self.is_interface_missing |=
            statics::tell_of_missing_interfaces(draft, machine, self.found);
        if self.is_interface_missing {
            let text = "Non-existent interface specified in configuration";
            let code = "no-such-interface";
            let diagnostic = Diagnostic::new(code, Severity::Warning, Class::Fatal, text);
            let help = "The daemon starts, and the instance waits in FAULT for its interface.";
            self.found.push(diagnostic.after_reading().help(help));
        }
    }
}
