//! Sync groups: who belongs to them, what their members share, and how they
//! start (specification D.1).

use std::sync::Arc;

use crate::hashing::QuickMap;

use super::super::diagnostic::{Collector, Diagnostic};
use super::super::keywords::{root, vrrp_sync_group};
use super::super::lex::Origin;
use super::super::model::{InitialState, Instance, SharedInstance, SyncGroup};
use super::tracking::{self, Lines};
use super::{Resolver, with_user};

/// Who belongs to which group.
pub(super) struct Members<'d> {
    /// Index of the group by the name of the instance.
    pub(super) by_instance: QuickMap<&'d str, usize>,
    /// For each group the names of its instances.
    by_group: Vec<Vec<&'d str>>,
}

/// Works out the members: those that exist, each in the first group that names
/// it. Only whole groups are told of here.
pub(super) fn members<'d>(draft: &'d root::Draft, found: &mut Collector) -> Members<'d> {
    let mut members = Members {
        by_instance: QuickMap::default(),
        by_group: Vec::new(),
    };
    for (index, group) in draft.sync_groups.iter().enumerate() {
        let name = &group.name.text;
        let mut own = Vec::new();
        let mut tell = |text: String, origin: &Origin| {
            let diagnostic = Diagnostic::warning("sync-group", text).at(origin);
            found.push(diagnostic.after_reading());
        };
        let written = group.members.as_deref().unwrap_or_default();
        for member in written {
            let instance = member.text.as_str();
            if !draft.instance_names.contains(instance) {
                let text = format!(
                    "Virtual router {instance} specified in sync group {name} doesn't exist - \
                     ignoring"
                );
                tell(text, &member.origin);
            } else if members.by_instance.contains_key(instance) {
                let text = format!(
                    "Virtual router {instance} cannot exist in more than one sync group; \
                     ignoring {name}"
                );
                tell(text, &member.origin);
            } else {
                members.by_instance.insert(instance, index);
                own.push(instance);
            }
        }
        let origin = &group.name.origin;
        match own.len() {
            0 if written.is_empty() => {
                let text = format!("Sync group {name} has no virtual router(s). removing");
                tell(text, origin);
            }
            0 => {
                let text = format!(
                    "Sync group {name}, no matching virtual router found in group declaration - \
                     removing"
                );
                tell(text, origin);
            }
            1 => {
                let text = format!(
                    "Sync group {name} has only 1 virtual router(s) - this probably isn't what \
                     you want"
                );
                tell(text, origin);
            }
            _ => {}
        }
        members.by_group.push(own);
    }
    members
}

impl<'d> Resolver<'_, 'd> {
    /// The group that an instance belongs to.
    pub(super) fn group_of(&self, instance: &str) -> Option<&'d vrrp_sync_group::Draft> {
        let index = *self.groups.get(instance)?;
        self.draft.sync_groups.get(index)
    }

    /// The groups with members, and what they change in them.
    pub(super) fn sync_groups(
        &mut self,
        members: &Members<'d>,
        instances: &mut [SharedInstance],
    ) -> Vec<SyncGroup> {
        if self.draft.sync_groups.is_empty() {
            return Vec::new();
        }
        let mut position: QuickMap<String, usize> = QuickMap::default();
        for (index, instance) in instances.iter().enumerate() {
            position.insert(instance.name.clone(), index);
        }
        let mut groups = Vec::new();
        for (draft, own) in self.draft.sync_groups.iter().zip(&members.by_group) {
            let own = own.iter().filter_map(|name| position.get(*name).copied());
            let own: Vec<usize> = own.collect();
            if !own.is_empty() {
                groups.push(self.sync_group(draft, &own, instances));
            }
        }
        groups
    }

    fn sync_group(
        &mut self,
        draft: &vrrp_sync_group::Draft,
        own: &[usize],
        instances: &mut [SharedInstance],
    ) -> SyncGroup {
        let name = draft.name.text.clone();
        let members = || own.iter().filter_map(|index| instances.get(*index));
        let owners = members().filter(|member| member.priority.is_owner());
        let (owners, count) = (owners.count(), own.len());
        let all_master = members().all(|member| member.initial_state == InitialState::Master);
        let names: Vec<String> = members().map(|member| member.name.clone()).collect();
        if owners > 0 && owners < count {
            let text = format!(
                "Sync group {name} has some member(s) as address owner and some not as address \
                 owner. This won't work."
            );
            self.warn("sync-group-owner", text, &draft.name.origin);
        }
        let mut lines = self.lines(&name, &draft.tracking);
        if owners > 0 {
            self.drop_group_weights(&name, &mut lines);
        }
        let initial_state = if owners == count && all_master {
            InitialState::Master
        } else {
            InitialState::Backup
        };
        for index in own {
            if let Some(member) = instances.get_mut(*index).map(Arc::make_mut) {
                if initial_state == InitialState::Backup {
                    member.initial_state = InitialState::Backup;
                }
                self.drop_what_the_group_tracks(draft, member, &lines);
            }
        }
        let defaults = &self.globals.defaults;
        SyncGroup {
            name,
            instances: names,
            initial_state,
            track_interfaces: tracking::plain(lines.interfaces),
            track_scripts: tracking::plain(lines.scripts),
            track_files: tracking::plain(lines.files),
            track_processes: tracking::plain(lines.processes),
            track_bfds: tracking::plain(lines.bfds),
            tracking_weight: draft.tracking_weight,
            notify: with_user(&draft.notify, self.globals.script_user.as_ref()),
            smtp_alert: draft.smtp_alert.unwrap_or_else(|| defaults.smtp_alert()),
            notify_priority_changes: draft.notify_priority_changes,
        }
    }

    /// Weights cannot move the priority of an address owner.
    fn drop_group_weights(&mut self, group: &str, lines: &mut Lines) {
        let mut weights: Vec<(String, &mut i32, Origin, &str)> = Vec::new();
        let (clearing, setting) = ("clearing weight", "setting weight 0");
        for (line, origin) in &mut lines.scripts {
            let what = format!("script '{}'", line.script.name);
            weights.push((what, &mut line.weight, *origin, clearing));
        }
        for (line, origin) in &mut lines.files {
            let what = format!("file '{}'", line.file.name);
            weights.push((what, &mut line.weight, *origin, setting));
        }
        for (line, origin) in &mut lines.processes {
            let what = format!("process '{}'", line.process.name);
            weights.push((what, &mut line.weight, *origin, setting));
        }
        for (line, origin) in &mut lines.bfds {
            let what = format!("bfd '{}'", line.name);
            weights.push((what, &mut line.weight, *origin, setting));
        }
        for (line, origin) in &mut lines.interfaces {
            let what = format!("interface '{}'", line.interface);
            weights.push((what, &mut line.weight, *origin, clearing));
        }
        for (what, weight, origin, result) in weights {
            if *weight != 0 {
                *weight = 0;
                let text = format!(
                    "({group}) Cannot have weighted track {what} with member having priority 255 \
                     - {result}"
                );
                self.warn("ignored-weight", text, &origin);
            }
        }
    }

    /// The line of the group counts, except where the member's says FAULT.
    fn drop_what_the_group_tracks(
        &mut self,
        draft: &vrrp_sync_group::Draft,
        member: &mut Instance,
        lines: &Lines,
    ) {
        let instance = member.name.clone();
        let origin = draft.name.origin;
        let mut tell = |what: &str, name: &str, end: &str| {
            let text = format!(
                "({instance}) {what} {name} is configured on VRRP instance and sync group. Remove \
                 vrrp instance {end}"
            );
            self.warn("tracked-twice", text, &origin);
        };
        member.track_interfaces.retain(|own| {
            let mut lines = lines.interfaces.iter();
            let twice = lines.any(|(line, _)| line.interface == own.interface);
            if twice {
                tell("track_interface", &own.interface, "or sync group config");
            }
            !twice || own.weight == 0
        });
        member.track_scripts.retain(|own| {
            let name = &own.script.name;
            let twice = lines
                .scripts
                .iter()
                .any(|(line, _)| line.script.name == *name);
            if twice {
                tell("track_script", name, "config");
            }
            !twice || own.weight == 0
        });
        member.track_files.retain(|own| {
            let name = &own.file.name;
            let twice = lines.files.iter().any(|(line, _)| line.file.name == *name);
            if twice {
                tell("track_file", name, "config");
            }
            !twice || own.weight == 0
        });
        member.track_processes.retain(|own| {
            let name = &own.process.name;
            let mut lines = lines.processes.iter();
            let twice = lines.any(|(line, _)| line.process.name == *name);
            if twice {
                tell("track_process", name, "config");
            }
            !twice || own.weight == 0
        });
        member.track_bfds.retain(|own| {
            let twice = lines.bfds.iter().any(|(line, _)| line.name == own.name);
            if twice {
                tell("track_bfd", &own.name, "config");
            }
            !twice || own.weight == 0
        });
    }
}
