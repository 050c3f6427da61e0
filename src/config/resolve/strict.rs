//! What strict mode allows, and what it takes away (specification B.3, row
//! "strict"). Outside strict mode: what the same settings fall back to.

use super::super::diagnostic::{Class, Diagnostic, Severity};
use super::super::keywords::vrrp_instance::Draft;
use super::super::model::{InitialState, Instance, Version};
use super::Resolver;
use crate::time::Interval;

impl Resolver<'_, '_> {
    /// IPv6 needs version 3, and a master from the start must be the owner.
    pub(super) fn strict_identity(&mut self, draft: &Draft, instance: &mut Instance) {
        if !instance.strict {
            return;
        }
        let (name, origin) = (&draft.name.text, draft.name.origin);
        if instance.ipv6 && instance.version == Version::V2 {
            let text = format!("({name}) cannot use IPv6 with VRRP version 2; setting version 3");
            self.warn("strict", text, &origin);
            instance.version = Version::V3;
        }
        let is_owner = instance.priority.is_owner();
        if is_owner != (instance.initial_state == InitialState::Master) {
            let text = format!("({name}) State MASTER must match being address owner");
            let help = "In strict mode `state MASTER` and `priority 255` belong together.";
            self.after(Diagnostic::warning("strict", text).help(help), &origin);
            instance.initial_state = if is_owner {
                InitialState::Master
            } else {
                InitialState::Backup
            };
        }
    }

    /// Whether C allows unicast depends on the interface of this machine, so this
    /// is told and nothing more.
    pub(super) fn strict_unicast(&mut self, draft: &Draft, instance: &Instance) {
        if !instance.strict || instance.unicast_peers.is_empty() {
            return;
        }
        let interface = self.machine.interface(&instance.interface);
        if interface.is_some_and(|interface| interface.multicast) {
            let text = format!(
                "({}) Unicast peers are not supported in strict mode",
                draft.name.text
            );
            let origin = draft.unicast.unwrap_or(draft.name.origin);
            self.warn("strict", text, &origin);
        }
    }

    /// Timers, and whether packets to the addresses are accepted.
    pub(super) fn strict_behaviour(&mut self, draft: &Draft, instance: &mut Instance) {
        let name = &draft.name.text;
        let defaults = &self.globals.defaults;
        let adverts = draft.down_timer_adverts.map(|(adverts, _)| adverts);
        instance.down_timer_adverts = adverts.unwrap_or(defaults.down_timer_adverts);
        if instance.strict && instance.down_timer_adverts != 3 {
            let text =
                format!("({name}) down_timer_adverts is incompatible with strict mode - resetting");
            let origin = draft.down_timer_adverts.map(|(_, origin)| origin);
            self.warn("strict", text, &origin.unwrap_or(draft.name.origin));
            instance.down_timer_adverts = 3;
        }
        // The owner always accepts.
        let is_owner = instance.priority.is_owner();
        let wish = draft.accept.map(|(accept, _)| accept);
        instance.accept = is_owner || wish.unwrap_or(!instance.strict);
        if let Some((true, origin)) = draft.accept
            && instance.strict
            && instance.version == Version::V2
            && !is_owner
        {
            let text = format!(
                "({name}) warning - accept mode for VRRP version 2 does not comply with RFC3768 \
                 - resetting"
            );
            self.warn("strict", text, &origin);
            instance.accept = false;
        }
    }

    /// What is sent after an advert of another priority.
    pub(super) fn strict_adverts(&mut self, draft: &Draft, instance: &mut Instance) {
        let name = &draft.name.text;
        let defaults = &self.globals.defaults;
        let on = |own: Option<(bool, _)>| own.map(|(on, _)| on);
        let lower = on(draft.lower_prio_no_advert).or(defaults.lower_prio_no_advert);
        let higher = on(draft.higher_prio_send_advert).or(defaults.higher_prio_send_advert);
        let ignore = on(draft.owner_ignore_adverts).or(defaults.owner_ignore_adverts);
        instance.lower_prio_no_advert = lower.unwrap_or(false);
        instance.higher_prio_send_advert = higher.unwrap_or(false);
        let is_owner = instance.priority.is_owner();
        instance.owner_ignore_adverts = is_owner && (ignore.unwrap_or(false) || instance.strict);
        if let Some((true, origin)) = draft.owner_ignore_adverts.filter(|_| !is_owner) {
            let text = format!(
                "({name}) owner_ignore_adverts is only valid for address owners - clearing"
            );
            self.warn("owner-ignore-adverts", text, &origin);
        }
        if !instance.strict {
            return;
        }
        if let Some((false, origin)) = draft.owner_ignore_adverts.filter(|_| is_owner) {
            let text =
                format!("({name}) strict mode requires owner_ignore_adverts to be set. resetting");
            self.warn("strict", text, &origin);
        }
        let garp = &mut instance.garp;
        let repeats = (
            !garp.lower_prio_delay.is_zero(),
            garp.lower_prio_repeat != 0,
        );
        (garp.lower_prio_delay, garp.lower_prio_repeat) = (Interval::ZERO, 0);
        if let Some(origin) = draft.garp_lower_prio_delay.filter(|_| repeats.0) {
            let text = format!("({name}) Strict mode requires no repeat garp delay. resetting");
            self.warn("strict", text, &origin);
        }
        if let Some(origin) = draft.garp_lower_prio_repeat.filter(|_| repeats.1) {
            let text = format!("({name}) Strict mode requires no repeat garps. resetting");
            self.warn("strict", text, &origin);
        }
        if let Some((false, origin)) = draft.lower_prio_no_advert {
            let text = format!("({name}) Strict mode requires no lower priority advert. resetting");
            self.warn("strict", text, &origin);
        }
        if let Some((true, origin)) = draft.higher_prio_send_advert {
            let text = format!(
                "({name}) strict mode requires higher_prio_send_advert to be clear. resetting"
            );
            self.warn("strict", text, &origin);
        }
        instance.lower_prio_no_advert = true;
        instance.higher_prio_send_advert = false;
    }

    /// RFC 9568 section 5.2.9. Outside strict mode C only logs it.
    pub(super) fn first_address(&mut self, draft: &Draft, instance: &Instance) {
        let Some(first) = instance.virtual_addresses.first() else {
            return;
        };
        let is_link_local = match first.address {
            std::net::IpAddr::V6(address) => address.is_unicast_link_local(),
            std::net::IpAddr::V4(_) => true,
        };
        if is_link_local || !instance.unicast_peers.is_empty() {
            return;
        }
        let name = &draft.name.text;
        let (must, class) = if instance.strict {
            ("must", Class::General)
        } else {
            ("should", Class::None)
        };
        let text = format!("({name}) the first IPv6 VIP address {must} be link local");
        let origin = draft
            .addresses
            .first()
            .map_or(draft.name.origin, |line| line.origin);
        let diagnostic = Diagnostic::new("first-address", Severity::Warning, class, text);
        self.after(diagnostic, &origin);
    }
}
