//! Drafts to a `Config`: defaults, names, and how settings work together.
//!
//! Decides what holds for the configuration as a whole; what one keyword may
//! say is decided in its row. Everything here is found after reading, so that
//! the order of the blocks does not matter, with one exception that C makes:
//! what is tracked must stand before who tracks it.
//! Source: specification A.12, B.3, C.1, D.1, D.2, D.5, D.7 (interplay).

use std::sync::Arc;

use crate::hashing::{QuickMap, QuickSet};

use super::diagnostic::{Class, Collector, Diagnostic, Severity};
use super::keywords::{companion as own_words, root};
use super::lex::Origin;
use super::machine::Machine;
use super::model::{Command, Config, Globals, Notify, ScriptUser, SharedInstance};
use super::scripts::Violations;

mod addresses;
mod authentication;
mod collisions;
mod companion;
mod delays;
mod instance;
mod link;
mod statics;
mod strict;
mod sync_group;
mod tracking;
mod unsupported;

/// Works out the configuration. Findings go to `found`. `companion`: what stands in
/// the file beside the main one. `scripts`: what the machine cannot run; it changes
/// what is told, and nothing else.
pub fn resolve(
    draft: root::Draft,
    companion: &own_words::Draft,
    machine: &dyn Machine,
    scripts: &Violations,
    found: &mut Collector,
) -> Config {
    let mut globals = draft.globals.finished(found);
    globals.mail = companion::mail(&companion.globals, found);
    globals.worker_stall_limit = companion.globals.worker_stall_limit;
    globals.worker_confinement = companion.globals.worker_confinement.unwrap_or(true);
    globals.metrics_listen = companion.globals.metrics_listen.clone();
    let members = sync_group::members(&draft, found);
    let mut resolver = Resolver {
        draft: &draft,
        globals: &globals,
        groups: &members.by_instance,
        definitions: tracking::Definitions::new(&draft),
        machine,
        scripts,
        found,
        is_interface_missing: false,
        link_names: QuickMap::default(),
        interface_names: InterfaceNames::default(),
    };
    for group in &draft.sync_groups {
        resolver.tell_of_missing(&group.name.text, &group.tracking);
    }
    let mut instances = Vec::with_capacity(draft.instances.len());
    let mut places = Vec::new();
    for instance in &draft.instances {
        if let Some(resolved) = resolver.instance(instance) {
            places.push(
                instance
                    .vrid
                    .map_or(instance.name.origin, |(_, origin)| origin),
            );
            instances.push(Box::new(resolved));
        }
    }
    // All counts in a row, after all instances.
    let mut instances: Vec<SharedInstance> = instances.into_iter().map(Arc::new).collect();
    let sync_groups = resolver.sync_groups(&members, &mut instances);
    resolver.tell_of_missing_interfaces();
    companion::apply(companion, &draft, &members, &mut instances, resolver.found);
    let Resolver {
        definitions, found, ..
    } = resolver;
    collisions::tell(&instances, &places, found);
    unsupported::tell(&draft, &instances, &sync_groups, found);
    let delays = delays::fitting(&draft.interface_delays, &instances, &places, found);
    let tracked = definitions.finish(found);
    let mut config = Config {
        globals: globals.clone(),
        track_groups: statics::track_groups(&draft, found),
        instances,
        sync_groups: sync_groups.into_iter().map(Arc::new).collect(),
        scripts: tracked.scripts,
        track_files: tracked.files,
        track_processes: tracked.processes,
        garp_groups: draft.garp_groups.clone(),
        linkbeat_interfaces: draft.linkbeat_interfaces.clone(),
        interface_delays: delays,
        ..Config::default()
    };
    statics::fill(&draft, &mut config);
    config
}

struct Resolver<'a, 'd> {
    draft: &'d root::Draft,
    globals: &'a Globals,
    /// Index into the groups of the draft, by the name of the instance.
    groups: &'a QuickMap<&'d str, usize>,
    definitions: tracking::Definitions<'d>,
    machine: &'a dyn Machine,
    scripts: &'a Violations,
    found: &'a mut Collector,
    /// Something names an interface that this machine does not have.
    is_interface_missing: bool,
    /// Which instance has given a link of its own this name.
    link_names: QuickMap<String, String>,
    interface_names: InterfaceNames,
}

/// One text for each name of an interface, however many instances name it.
#[derive(Default)]
struct InterfaceNames(QuickSet<Arc<str>>);

impl InterfaceNames {
    fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = name.into();
        self.0.insert(Arc::clone(&new));
        new
    }
}

impl Resolver<'_, '_> {
    /// Reports something that C finds after reading, too.
    fn after(&mut self, diagnostic: Diagnostic, origin: &Origin) {
        self.found.push(diagnostic.at(origin).after_reading());
    }

    /// Reports that a setting does not fit and what holds instead, as C words it
    /// after reading.
    fn warn(&mut self, code: &'static str, text: String, origin: &Origin) {
        self.after(Diagnostic::warning(code, text), origin);
    }
}

/// An error that C finds after reading and does not run with. Its exit code is
/// that of an ordinary error (observed).
fn fatal(code: &'static str, text: String) -> Diagnostic {
    Diagnostic::new(code, Severity::Fatal, Class::General, text)
}

/// The number of a family in C's messages.
fn family_number(ipv6: bool) -> u8 {
    if ipv6 { 6 } else { 4 }
}

fn with_user(notify: &Notify, user: Option<&ScriptUser>) -> Notify {
    let with_user = |command: &Option<Box<Command>>| {
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
        master_rx_lower_pri: with_user(&notify.master_rx_lower_pri),
        tell_deleted: notify.tell_deleted,
        deleted: with_user(&notify.deleted),
    }
}
