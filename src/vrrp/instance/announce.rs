//! The bursts of gratuitous ARP and neighbour adverts of one instance: the
//! first, the second, the periodic ones, and those that answer an advert
//! (specification F.4, F.5). How they are spaced is decided in `garp.rs`.

use std::collections::HashSet;
use std::net::IpAddr;

use crate::ids::IfIndex;
use crate::time::{Instant, Interval};

use super::super::action::Action;
use super::super::garp::Target;
use super::super::log_lines::{InstanceLine, LogLine, interface_name};
use super::super::state_machine::State;
use super::installed::Installed;
use super::{Context, Running, TimerKey};

/// The kernel looks at links that came up once in a second.
const SECOND_OWN_ANNOUNCEMENT: Interval = Interval::from_secs(1);

impl Running {
    /// Which VIPs are announced where: on interfaces that do ARP.
    pub(super) fn find_targets(&mut self, cx: &Context<'_>) {
        self.announcing.clear();
        let vips = Self::vips(&self.config, cx.interfaces).count();
        self.announcing.reserve_exact(vips);
        // What a reload has asked for is not on yet, and is announced when it is.
        let not_yet = self.gained.as_ref().map(|gained| &gained.addresses);
        for (on, vip) in Self::vips(&self.config, cx.interfaces) {
            if not_yet.is_some_and(|them| them.contains(&(on, vip.address))) {
                continue;
            }
            let Some(state) = cx.interfaces.get(on).filter(|state| !state.no_arp) else {
                continue;
            };
            self.announcing.push(Target {
                owner: self.id,
                on,
                mac: state.mac,
                address: vip.address,
                router: cx.interfaces.base_of(state).forwarding,
            });
        }
    }

    pub(super) fn burst(&mut self, repeat: u32, cx: &mut Context<'_>) {
        self.announce(&self.announcing, repeat, cx);
    }

    /// Those of a slice, while the others are not on yet.
    pub(super) fn begin_burst(&self, targets: &[Target], cx: &mut Context<'_>) {
        self.tell_announcing(targets, cx);
        let garp = &self.config.garp;
        let repeat = garp.master_repeat;
        cx.pacer
            .begin_burst(targets, repeat, garp, cx.interfaces, cx.actions);
    }

    /// All are on: the rest of what was begun with slices.
    pub(super) fn end_burst(&self, cx: &mut Context<'_>) {
        let garp = &self.config.garp;
        let repeat = garp.master_repeat;
        cx.pacer
            .end_burst(&self.announcing, repeat, garp, cx.interfaces, cx.actions);
    }

    fn announce(&self, targets: &[Target], repeat: u32, cx: &mut Context<'_>) {
        self.tell_announcing(targets, cx);
        let garp = &self.config.garp;
        cx.pacer
            .burst(targets, repeat, garp, cx.interfaces, cx.actions);
    }

    fn tell_announcing(&self, targets: &[Target], cx: &mut Context<'_>) {
        for target in targets {
            let name = cx.interfaces.get(target.on).map(|state| &*state.name);
            let line = InstanceLine::Announcing {
                on: interface_name(name, target.on),
                address: target.address,
            };
            let line = LogLine::Instance(self.config.name.clone(), line);
            cx.actions.push_back(Action::Log(line));
        }
    }

    /// All VIPs are announced at this time.
    pub(super) fn announce_all_at(&mut self, at: Instant, cx: &mut Context<'_>) {
        self.second_burst_of = None;
        cx.timers.arm(TimerKey::SecondBurst(self.id), at);
    }

    /// Announces the VIPs that a reload has given to a MASTER, now and once more
    /// later; the others are known to the network.
    pub(super) fn announce_gained(
        &mut self,
        gained: HashSet<(IfIndex, IpAddr)>,
        cx: &mut Context<'_>,
    ) {
        if self.installed != Installed::Yes {
            return;
        }
        self.find_targets(cx);
        let targets = self.targets_among(&gained);
        self.announce(&targets, self.config.garp.master_repeat, cx);
        let (key, delay) = (
            TimerKey::SecondBurst(self.id),
            self.config.garp.master_delay,
        );
        let pending = cx.timers.deadline_of(key).is_some();
        match &mut self.second_burst_of {
            // All of them are due anyhow.
            None if pending => {}
            Some(others) if pending => others.extend(gained),
            _ if delay.is_zero() => {}
            _ => {
                self.second_burst_of = Some(Box::new(gained));
                cx.timers.arm(key, cx.now + delay);
            }
        }
    }

    pub(super) fn targets_among(&self, some: &HashSet<(IfIndex, IpAddr)>) -> Vec<Target> {
        let targets = self.announcing.iter();
        targets
            .filter(|target| some.contains(&(target.on, target.address)))
            .copied()
            .collect()
    }

    /// Arms the timers of a new MASTER whose VIPs have just been announced.
    pub(super) fn arm_bursts(&mut self, cx: &mut Context<'_>) {
        let (delay, refresh) = (
            self.config.garp.master_delay,
            self.config.garp.master_refresh,
        );
        if !delay.is_zero() {
            self.announce_all_at(cx.now + delay, cx);
        }
        let garp = &self.config.garp;
        if !refresh.is_zero() {
            cx.timers
                .arm(TimerKey::Refresh(self.id), cx.now + delay + refresh);
        }
        if !garp.extra_interfaces.is_zero() {
            let key = TimerKey::ExtraInterfaces(self.id);
            cx.timers.arm(key, cx.now + garp.extra_interfaces);
        }
    }

    /// No more bursts.
    pub(super) fn disarm_bursts(&mut self, cx: &mut Context<'_>) {
        self.second_burst_of = None;
        for key in [
            TimerKey::SecondBurst(self.id),
            TimerKey::Refresh(self.id),
            TimerKey::LowerPriorityBurst(self.id),
            TimerKey::ExtraInterfaces(self.id),
        ] {
            cx.timers.disarm(key);
        }
    }

    /// `garp_extra_if`: one packet on each virtual MAC that has a VIP and is not the own
    /// one, with `all` on each interface of a VIP that is not the own one, so that
    /// switches there know where it is.
    pub fn extra_burst(&mut self, cx: &mut Context<'_>) {
        if self.installed != Installed::Yes {
            return;
        }
        self.find_targets(cx);
        let garp = &self.config.garp;
        // With `vmac_xmit_base` nothing else leaves the virtual MAC (specification B.2).
        let own = self.via;
        let mut extra: Vec<Target> = Vec::new();
        for target in &self.announcing {
            let is_new = extra.iter().all(|other| other.on != target.on);
            let counts = garp.extra_on_all || cx.interfaces.is_own_link(target.on);
            if is_new && counts && Some(target.on) != own {
                extra.push(*target);
            }
        }
        self.announce(&extra, 1, cx);
        let period = self.config.garp.extra_interfaces;
        cx.timers
            .arm(TimerKey::ExtraInterfaces(self.id), cx.now + period);
    }

    /// One that speaks to peers and takes part again says where its own address is:
    /// nobody sent to it while it was away (specification F.6). Twice, because the
    /// kernel drops what is sent too soon after an interface came up.
    pub(super) fn announce_source(&self, cx: &mut Context<'_>) {
        if self.send_own_announcement(cx) {
            let key = TimerKey::OwnAddress(self.id);
            cx.timers.arm(key, cx.now + SECOND_OWN_ANNOUNCEMENT);
        }
    }

    /// The second time, unless it is away again.
    pub fn announce_source_again(&mut self, cx: &mut Context<'_>) {
        if matches!(self.state, State::Backup | State::Master) {
            self.send_own_announcement(cx);
        }
    }

    /// Whether there was something to announce.
    fn send_own_announcement(&self, cx: &mut Context<'_>) -> bool {
        let Some(source) = self
            .source
            .filter(|_| !self.config.unicast_peers.is_empty())
        else {
            return false;
        };
        let Some(state) = cx.interfaces.with_address(source) else {
            return false;
        };
        if state.no_arp || state.loopback {
            return false;
        }
        self.log(InstanceLine::AnnouncingSource(source), cx);
        let target = Target {
            owner: self.id,
            on: state.index,
            mac: state.mac,
            address: source,
            router: state.forwarding,
        };
        cx.actions.push_back(target.announce());
        true
    }

    /// A burst is due: announces from what is true now.
    pub fn scheduled_burst(&mut self, key: TimerKey, cx: &mut Context<'_>) {
        if self.installed != Installed::Yes {
            return;
        }
        self.find_targets(cx);
        let garp = &self.config.garp;
        let only = match key {
            TimerKey::SecondBurst(_) => self.second_burst_of.take(),
            _ => None,
        };
        if let Some(only) = only {
            let targets = self.targets_among(&only);
            return self.announce(&targets, garp.master_repeat, cx);
        }
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
