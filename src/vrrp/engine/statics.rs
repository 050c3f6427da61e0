//! What belongs to no instance: put in, taken out, put back, and whom it concerns.
//!
//! What the kernel refuses of it is the matter of `refused.rs`.

use std::net::IpAddr;

use crate::config::model::{Config, TrackGroup};
use crate::ids::IfIndex;
use crate::time::Instant;

use super::super::action::{Operation, Token, Transmit};
use super::super::event::LostWay;
use super::super::instance::{Purpose, Running};
use super::super::log_lines::LogLine;
use super::super::statics::{group_of, interfaces_of};
use super::{Engine, Instances, Phase};

impl Engine {
    /// Puts in what the configuration wants beside the instances, and takes out what it
    /// does not want any more.
    pub(super) fn follow_statics(&mut self) {
        if self.phase == Phase::Running {
            let operations = self.statics.follow(&self.config, &self.interfaces);
            self.ask_static(Purpose::Static, operations);
        }
    }

    /// Takes everything static out.
    pub(super) fn remove_statics(&mut self) {
        let operations = self.statics.leave();
        self.ask_static(Purpose::Static, operations);
    }

    /// An interface is up again: the kernel may have dropped what was on it.
    pub(super) fn renew_statics(&mut self, interface: &str) {
        if self.phase == Phase::Running {
            let operations = self.statics.of_interface(interface);
            self.ask_static(Purpose::Static, operations);
        }
    }

    /// Somebody took an address off an interface: a static one is put back at once,
    /// unless it is not tracked (specification C.4).
    pub(super) fn static_address_removed(&mut self, on: IfIndex, address: IpAddr, length: u8) {
        if self.phase != Phase::Running {
            return;
        }
        let Some(interface) = self.interfaces.get(on) else {
            return;
        };
        let Some(lost) = self.statics.address_lost(on, address, length) else {
            return;
        };
        // With the last address the kernel drops the routes of an interface, and says
        // nothing of them.
        let mut operations = self.statics.of_interface(&interface.name);
        if !operations.contains(&lost) {
            operations.insert(0, lost);
        }
        self.log(LogLine::RestoringStatic(address));
        self.ask_static(Purpose::Static, operations);
    }

    /// A route or a rule with our protocol is gone: what is static or of a MASTER is put
    /// back. What a reload takes out is reported before the reload is done.
    pub(super) fn way_removed(&mut self, now: Instant, lost: LostWay, tx: &mut impl Transmit) {
        if self.phase != Phase::Running || self.requests.is_reloading() {
            return;
        }
        let all = self.instances.keys().copied().collect();
        self.lost(now, all, tx, |instance, cx| instance.way_removed(lost, cx));
        if self.requests.is_changing_statics() {
            return;
        }
        let operations = self.statics.lost(lost);
        for operation in &operations {
            self.log(LogLine::WayRemoved {
                what: operation.to_string(),
                is_put_back: true,
            });
        }
        self.ask_static(Purpose::Static, operations);
    }

    /// Whom track groups make depend on what is static (specification C.4).
    pub(super) fn adopt_track_groups(&mut self, config: &Config) {
        for running in self.instances.values_mut() {
            if let Some(statics) = running.statics.if_any() {
                statics.interfaces.clear();
            }
        }
        for group in &config.track_groups {
            let interfaces = interfaces_of(config, &group.name);
            for running in members_of(&mut self.instances, group) {
                let known = &running.statics.interfaces;
                let new = interfaces.iter().filter(|name| !known.contains(name));
                let new: Vec<String> = new.cloned().collect();
                running.statics.make().interfaces.extend(new);
            }
        }
        // What the kernel refused stays refused with a new configuration, until that is
        // tried.
        note_missing(&mut self.instances, self.statics.refusals.missing(), config);
    }

    /// Tells instances what the kernel refused of that.
    pub(super) fn follow_missing_statics(&mut self, now: Instant, tx: &mut impl Transmit) {
        if self.config.track_groups.is_empty() {
            return;
        }
        note_missing(
            &mut self.instances,
            self.statics.refusals.missing(),
            &self.config,
        );
        self.evaluate_all(now, tx);
    }

    pub(super) fn ask_static(
        &mut self,
        purpose: Purpose,
        operations: Vec<Operation>,
    ) -> Option<Token> {
        if operations.is_empty() {
            return None;
        }
        Some(self.requests.ask(purpose, operations, &mut self.actions))
    }
}

/// Notes with the members of track groups what is missing of that.
fn note_missing<'o>(
    instances: &mut Instances,
    missing: impl Iterator<Item = &'o Operation>,
    config: &Config,
) {
    for running in instances.values_mut() {
        if let Some(statics) = running.statics.if_any() {
            statics.missing.clear();
        }
    }
    for operation in missing {
        let group = group_of(operation);
        let mut groups = config.track_groups.iter();
        let group = group.and_then(|name| groups.find(|group| group.name == name));
        let Some(group) = group else { continue };
        for running in members_of(instances, group) {
            running.statics.make().missing.push(operation.to_string());
        }
    }
}

/// The members of a track group.
fn members_of<'i>(
    instances: &'i mut Instances,
    group: &'i TrackGroup,
) -> impl Iterator<Item = &'i mut Running> {
    let all = instances.values_mut().map(|running| &mut **running);
    all.filter(|running| group.instances.contains(&running.config.name))
}
