//! The bursts of gratuitous ARP and neighbour adverts of one instance: the
//! first, the second, the periodic ones, and those that answer an advert
//! (specification F.4, F.5). How they are spaced is decided in `garp.rs`.

use crate::time::Interval;

use super::super::action::Action;
use super::super::garp::Target;
use super::super::log_lines::{InstanceLine, LogLine, interface_name};
use super::installed::Installed;
use super::{Context, Running, TimerKey};

impl Running {
    /// Which VIPs are announced where: on interfaces that do ARP.
    pub(super) fn find_targets(&mut self, cx: &Context<'_>) {
        self.announcing.clear();
        for (on, vip) in Self::vips(&self.config, cx.interfaces) {
            let Some(state) = cx.interfaces.get(on).filter(|state| !state.no_arp) else {
                continue;
            };
            self.announcing.push(Target {
                owner: self.id,
                on,
                mac: state.mac,
                address: vip.address,
            });
        }
    }

    pub(super) fn burst(&mut self, repeat: u32, cx: &mut Context<'_>) {
        for target in &self.announcing {
            let name = cx.interfaces.get(target.on).map(|state| &*state.name);
            let line = InstanceLine::Announcing {
                on: interface_name(name, target.on),
                address: target.address,
            };
            let line = LogLine::Instance(self.config.name.clone(), line);
            cx.actions.push_back(Action::Log(line));
        }
        let garp = &self.config.garp;
        cx.pacer.burst(&self.announcing, repeat, garp, cx.actions);
    }

    /// A burst is due: announces from what is true now.
    pub fn scheduled_burst(&mut self, key: TimerKey, cx: &mut Context<'_>) {
        if self.installed != Installed::Yes {
            return;
        }
        self.find_targets(cx);
        let garp = &self.config.garp;
        let (refresh, repeat) = match key {
            TimerKey::Refresh(_) => (garp.master_refresh, garp.master_refresh_repeat),
            TimerKey::LowerPriorityBurst(_) => (Interval::ZERO, garp.lower_prio_repeat),
            _ => (Interval::ZERO, garp.master_repeat),
        };
        if !refresh.is_zero() {
            cx.timers.arm(key, cx.now + refresh);
        }
        self.burst(repeat, cx);
    }

    /// Somebody of lower priority claimed the VIPs: reminds the network, now
    /// and once more later (specification F.4).
    pub fn answer_with_garp(&mut self, cx: &mut Context<'_>) {
        let garp = &self.config.garp;
        let (repeat, delay) = (garp.lower_prio_repeat, garp.lower_prio_delay);
        if self.installed != Installed::Yes || repeat == 0 {
            return;
        }
        self.find_targets(cx);
        self.burst(repeat, cx);
        if !delay.is_zero() {
            cx.timers
                .arm(TimerKey::LowerPriorityBurst(self.id), cx.now + delay);
        }
    }
}
