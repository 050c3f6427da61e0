//! One instance: its settings, then those of its group, then the global ones,
//! and how they work together (specification D.7, interplay).

use std::sync::Arc;

use super::super::diagnostic::Diagnostic;
use super::super::keywords::vrrp_instance::Draft;
use super::super::model::{InitialState, Instance, Version};
use super::{Resolver, fatal, with_user};
use crate::ids::{Priority, Vrid};
use crate::time::Interval;

impl Resolver<'_, '_> {
    /// One instance; `None` if it cannot be run at all. The steps are in the order
    /// of C's messages, and each needs what those before it decided.
    pub(super) fn instance(&mut self, draft: &Draft) -> Option<Instance> {
        if let Some(tracking) = &draft.tracking {
            self.tell_of_missing(&draft.name.text, tracking);
        }
        let Some((vrid, interface)) = self.identity(draft) else {
            self.tell_of_machine(draft, None);
            return None;
        };
        let mut instance = self.plain(draft, interface, vrid);
        self.unicast(draft, &mut instance);
        self.strict_identity(draft, &mut instance);
        self.addresses(draft, &mut instance);
        instance.authentication = self.authentication(draft, &mut instance);
        self.strict_unicast(draft, &instance);
        self.virtual_link(draft, &mut instance);
        self.first_address(draft, &instance);
        self.preemption(draft, &mut instance);
        self.strict_behaviour(draft, &mut instance);
        self.strict_adverts(draft, &mut instance);
        self.advert_interval(draft, &mut instance);
        self.hmac(draft, &mut instance);
        self.tracking(draft, &mut instance);
        self.tell_of_machine(draft, Some(&instance));
        Some(instance)
    }

    fn identity(&mut self, draft: &Draft) -> Option<(Vrid, Arc<str>)> {
        let Some((vrid, _)) = draft.vrid else {
            let text = format!("({}) the virtual router id must be set", draft.name.text);
            let help = "Each keyword needs a line of its own; several on one line are not read.";
            self.after(fatal("no-vrid", text).help(help), &draft.name.origin);
            return None;
        };
        Some((vrid, self.interface(draft)?))
    }

    /// What needs no other setting of the instance.
    fn plain(&self, draft: &Draft, interface: Arc<str>, vrid: Vrid) -> Instance {
        let (globals, defaults) = (self.globals, &self.globals.defaults);
        let group = self.group_of(&draft.name.text);
        let ipv6 = draft.ipv6.is_some_and(|(ipv6, _)| ipv6);
        let version = draft.version.map(|(version, _)| version);
        let deduced = if ipv6 {
            Version::V3
        } else {
            defaults.version.unwrap_or_default()
        };
        let priority = priority(draft);
        let initial_state = match draft.state {
            Some(state) => state,
            None if priority.is_owner() => InitialState::Master,
            None => InitialState::Backup,
        };
        let smtp_alert = draft.smtp_alert.unwrap_or_else(|| defaults.smtp_alert());
        let notify_priority_changes = draft
            .notify_priority_changes
            .or(group.and_then(|group| group.notify_priority_changes));
        let v3_checksum = draft.v3_checksum_as_v2;
        Instance {
            version: version.unwrap_or(deduced),
            ipv6,
            initial_state,
            priority,
            strict: draft.strict.unwrap_or(defaults.strict),
            v3_checksum_as_v2: v3_checksum.unwrap_or(defaults.v3_checksum_as_v2),
            ignore_own_interface: draft.ignore_own_interface,
            linkbeat_polling: draft.linkbeat_polling || globals.linkbeat_polling,
            garp: draft.garp.resolved(&self.draft.globals.garp),
            skip_check_adv_addr: draft
                .skip_check_adv_addr
                .unwrap_or(defaults.skip_check_adv_addr),
            receive_buffer_bytes: draft.receive_buffer_bytes,
            sync_daemon_interface: draft.sync_daemon_interface.clone(),
            notify: with_user(&draft.notify, globals.script_user.as_ref()),
            notify_priority_changes: notify_priority_changes
                .unwrap_or(defaults.notify_priority_changes),
            smtp_alert,
            debug: draft.debug,
            virtual_routes: draft.routes.iter().map(|line| line.route.clone()).collect(),
            virtual_rules: draft.rules.iter().map(|line| line.rule.clone()).collect(),
            ..Instance::new(draft.name.text.clone(), interface, vrid)
        }
    }

    /// What happens when a lower priority is master.
    fn preemption(&mut self, draft: &Draft, instance: &mut Instance) {
        let name = &draft.name.text;
        let is_owner = instance.priority.is_owner();
        let is_master = instance.initial_state == InitialState::Master;
        instance.nopreempt = self.nopreempt(draft, is_owner, is_master);
        if let Some((delay, origin)) = draft.preempt_delay {
            instance.preempt_delay = delay;
            let problems = [
                (
                    is_master,
                    "Warning - preempt delay will not work with initial state MASTER - clearing",
                ),
                (
                    instance.strict,
                    "preempt_delay is incompatible with strict mode - resetting",
                ),
                (
                    instance.nopreempt,
                    "preempt_delay is incompatible with nopreempt mode - resetting",
                ),
            ];
            for (_, text) in problems.into_iter().filter(|(applies, _)| *applies) {
                self.warn("preempt-delay", format!("({name}) {text}"), &origin);
                instance.preempt_delay = Interval::ZERO;
            }
        }
        if let Some((adverts, origin)) = draft.timer_expired_backup {
            if instance.nopreempt {
                instance.timer_expired_backup = Some(adverts);
                return;
            }
            let text = format!("({name}) expired_timer_backup requires nopreempt - resetting");
            self.warn("timer-expired-backup", text, &origin);
        }
    }

    fn nopreempt(&mut self, draft: &Draft, is_owner: bool, is_master: bool) -> bool {
        let Some(origin) = draft.nopreempt else {
            return false;
        };
        let name = &draft.name.text;
        let text = if is_owner {
            format!("({name}) nopreempt is incompatible with priority 255. resetting nopreempt")
        } else if is_master {
            format!(
                "({name}) Warning - nopreempt will not work with initial state MASTER - clearing"
            )
        } else {
            return true;
        };
        let help = if draft.priority.is_none() && is_owner {
            "`state MASTER` without `priority` means priority 255."
        } else if is_owner {
            "Write a priority below 255, or take `nopreempt` out."
        } else {
            "Write `state BACKUP` on both nodes."
        };
        let diagnostic = Diagnostic::warning("nopreempt", text).help(help);
        self.after(diagnostic, &origin);
        false
    }

    /// Version 2 counts whole seconds, 1 to 255; version 3 hundredths, 12 bits of
    /// them.
    fn advert_interval(&mut self, draft: &Draft, instance: &mut Instance) {
        let Some((interval, origin)) = draft.advert_interval else {
            return;
        };
        let name = &draft.name.text;
        let rounded = match instance.version {
            Version::V2 => {
                let whole = (interval + Interval::from_us(500_000)).as_secs();
                Interval::from_secs(whole.clamp(1, 255))
            }
            Version::V3 if interval > ADVERT_INTERVAL_V3_MAX => ADVERT_INTERVAL_V3_MAX,
            Version::V3 => {
                let hundredths = (interval.as_us() + 5_000) / 10_000;
                Interval::from_us(hundredths * 10_000)
            }
        };
        instance.advert_interval = rounded;
        if rounded == interval {
            return;
        }
        let text = match instance.version {
            Version::V2 => format!(
                "({name}) VRRPv2 advertisement interval {interval}s must be an integer. rounding"
            ),
            Version::V3 if interval > ADVERT_INTERVAL_V3_MAX => {
                let hundredths = interval.as_us() / 10_000;
                format!(
                    "({name}) VRRPv3 advertisement interval {}.{:02}s is out of range. Must be \
                     less than 40.96s. Setting to 40.95s",
                    hundredths / 100,
                    hundredths % 100
                )
            }
            Version::V3 => format!(
                "({name}) VRRPv3 advertisement interval {interval}s must be in units of 10ms - \
                 rounding"
            ),
        };
        let help = format!("It is {} s now.", shortest(rounded));
        let diagnostic = Diagnostic::warning("advert-interval", text).help(help);
        self.after(diagnostic, &origin);
    }
}

/// The field of the packet has 12 bits (RFC 9568 section 5.2.7).
const ADVERT_INTERVAL_V3_MAX: Interval = Interval::from_us(40_950_000);

/// Seconds without the zeros at the end.
fn shortest(interval: Interval) -> String {
    let text = interval.to_string();
    let text = text.trim_end_matches('0');
    text.trim_end_matches('.').to_string()
}

/// A wish to be master without a priority means the address owner (D.7).
fn priority(draft: &Draft) -> Priority {
    match (draft.priority, draft.state) {
        (Some(priority), _) => Priority(priority),
        (None, Some(InitialState::Master)) => Priority::OWNER,
        (None, _) => Priority::DEFAULT,
    }
}
