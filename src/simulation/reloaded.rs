//! A second opinion on reloads: what becomes of an instance that goes on.
//!
//! Source: specification F.10.

use std::sync::Arc;

use crate::config::model::{Instance, SharedInstance, Version};
use crate::time::Instant;
use crate::vrrp::state_machine::State;

use super::monitor::{Breach, Cause, Turn, Watch};

impl Watch {
    /// From now on it is this. What it waits for it has waited for since before.
    pub fn go_on_as(&mut self, config: &SharedInstance, now: Instant) {
        let before = self.patience();
        let old = std::mem::replace(&mut self.config, Arc::clone(config));
        self.name = config.name.as_str().into();
        let listens = self.state == State::Backup;
        let learned = [old.version, config.version] == [Version::V3; 2]
            && (self.heard_here() || self.interval != old.advert_interval);
        if !(listens && learned) {
            self.interval = config.advert_interval;
        }
        let after = self.patience();
        if listens && before != after {
            self.set_due((self.due_at() + after - before).max(now), now);
        }
        self.preempt_at = self
            .preempt_at
            .filter(|_| !config.nopreempt && !config.preempt_delay.is_zero())
            .map(|at| at + config.preempt_delay - old.preempt_delay);
        let says = |it: &Instance| {
            let vips = it.virtual_addresses.iter().map(|vip| vip.address);
            let vips: Vec<_> = vips.collect();
            (it.priority, it.advert_interval, it.version, vips)
        };
        self.is_changed = says(&old) != says(config);
    }

    /// A MASTER says at once what a reload has changed, and never priority 0; whether
    /// it may have spoken in this turn.
    pub(super) fn judge_reload(
        &self,
        is_changed: bool,
        turn: &Turn<'_>,
        wrong: &mut Vec<Breach>,
    ) -> bool {
        if !matches!(turn.cause, Cause::Reload { .. }) {
            return false;
        }
        let asks = self.asking.until().is_some();
        let mut zeros = turn.left.iter().filter(|left| left.priority.0 == 0);
        if !asks && zeros.any(|left| self.sent(left)) {
            wrong.push(self.breach(7, "said priority 0 and goes on".to_owned()));
        }
        let sent = self.adverts_in(turn);
        if is_changed && !asks && sent != 1 {
            wrong.push(self.breach(12, format!("sent {sent} adverts after it was changed")));
        }
        true
    }
}
