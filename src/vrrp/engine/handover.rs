//! `fast_handover`: who asks a better peer to take over, alone or with its group.
//!
//! What a single instance knows of its peers, and how it asks, is in
//! `instance/handover.rs`.

use std::sync::Arc;

use crate::ids::InstanceId;
use crate::time::Instant;

use super::super::action::Transmit;
use super::super::instance::Running;
use super::Engine;

impl Engine {
    /// Priorities have changed. A group asks as one, if each of its members has a
    /// better peer: a peer that cannot take over all of it takes over nothing.
    pub(super) fn hand_over(&mut self, now: Instant, tx: &mut impl Transmit) {
        let mut behind = Vec::new();
        let ids: Vec<InstanceId> = self.instances.keys().copied().collect();
        for id in ids {
            if self.one(now, id, tx, Running::falls_behind) == Some(true) {
                behind.push(id);
            }
        }
        for id in behind {
            let members = self.members_with(id).unwrap_or_else(|| Arc::from([id]));
            let may = |id: &InstanceId| {
                let running = self.instances.get(id);
                running.is_some_and(|it| it.may_hand_over())
            };
            if !members.iter().all(may) {
                continue;
            }
            for member in members.iter() {
                self.one(now, *member, tx, Running::hand_over);
            }
        }
    }
}
