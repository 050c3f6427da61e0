//! What was taken away by somebody else: who it belongs to, and what follows for a
//! sync group.
//!
//! What an instance does about it is decided in `instance/losses.rs`, what is static
//! is put back in `statics.rs`. Source: specification F.9.

use std::net::IpAddr;

use crate::ids::{IfIndex, InstanceId};
use crate::time::Instant;

use super::super::action::Transmit;
use super::super::instance::{Context, Loss, Running};
use super::super::log_lines::{LogLine, interface_name};
use super::lookup::Lookup;
use super::{Engine, Instances, Phase};

impl Engine {
    pub(super) fn address_removed(
        &mut self,
        now: Instant,
        (on, address, prefix_length): (IfIndex, IpAddr, u8),
        tx: &mut impl Transmit,
    ) {
        self.static_address_removed(on, address, prefix_length);
        let owners: Vec<InstanceId> = self.owners.of(address).collect();
        self.lost(now, owners, tx, |it, cx| {
            it.address_removed(on, address, prefix_length, cx)
        });
    }

    /// The kernel has found another owner of a VIP. It stays where it is, unused; that it
    /// is put on again would not help.
    pub(super) fn address_duplicate(&mut self, on: IfIndex, address: IpAddr) {
        let mut owners = self.owners.of(address);
        let holder = owners.find_map(|id| {
            let running = self.instances.get(&id)?;
            running
                .held()
                .any(|held| held == address)
                .then_some(running)
        });
        drop(owners);
        let Some(holder) = holder else {
            return;
        };
        let instance = holder.config.name.clone();
        let interface = self.interfaces.get(on).map(|state| &*state.name);
        let interface = interface_name(interface, on);
        self.log(LogLine::AddressDuplicate {
            instance,
            address,
            interface,
        });
    }

    /// What was removed while nobody listened shows as missing now.
    pub(super) fn put_back_missing(&mut self, now: Instant, tx: &mut impl Transmit) {
        let ids: Vec<InstanceId> = self.instances.keys().copied().collect();
        for id in ids {
            let missing = self.one(now, id, tx, |it, cx| it.missing(cx));
            for lost in missing.unwrap_or_default() {
                self.address_removed(now, lost, tx);
            }
        }
    }

    /// Tells those that may be concerned of a loss, and their groups of what they did.
    pub(super) fn lost<T: Transmit>(
        &mut self,
        now: Instant,
        ids: Vec<InstanceId>,
        tx: &mut T,
        mut tell: impl FnMut(&mut Running, &mut Context<'_>) -> Loss,
    ) {
        let mut is_given_up = false;
        for id in ids {
            match self.one(now, id, tx, &mut tell) {
                Some(Loss::Reelected(effects)) => self.follow_in_group(now, id, effects, tx),
                Some(Loss::GivenUp) => is_given_up = true,
                Some(Loss::Healed) | None => {}
            }
        }
        if is_given_up {
            self.evaluate_all(now, tx);
        }
    }

    /// The time is over for which an instance gave up a fight.
    pub(super) fn pause_ended(&mut self, now: Instant, id: InstanceId, tx: &mut impl Transmit) {
        self.one(now, id, tx, |it, cx| it.end_pause(cx));
        self.evaluate_all(now, tx);
    }

    /// Which programs run here that may be behind a loss.
    pub(super) fn culprits_told(&mut self, now: Instant, names: &[String], tx: &mut impl Transmit) {
        let is_news = self.culprits != names;
        if self.phase != Phase::Running || !is_news {
            return;
        }
        self.culprits = names.to_vec();
        if !names.is_empty() {
            self.log(LogLine::Culprits(names.to_vec()));
        }
        self.each(now, tx, |it, _| it.note_culprits(names));
    }
}

/// The instances that have each VIP, in their order: thousands of addresses may go at once.
pub(super) fn owners_of(instances: &Instances) -> Lookup<IpAddr> {
    let owners = instances.iter().flat_map(|(id, running)| {
        let vips = running.config.all_addresses();
        vips.map(|vip| (vip.address, *id))
    });
    owners.collect()
}
