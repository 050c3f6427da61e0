//! A running instance that goes on with another configuration.
//!
//! Decides what becomes of its timers, of what it has learned and of its VIPs. Which
//! instance goes on is decided in `plan/mod.rs`; what the kernel is asked for, once
//! all instances have gone over, in `engine/reload.rs`. Source: specification F.10.
//!
//! Whatever waits goes on to wait from where it began, so that no reload, and no row
//! of reloads, puts a takeover off.

use std::collections::HashSet;
use std::net::IpAddr;

use crate::config::model::{Garp, Instance, SharedInstance, Version, VirtualAddress};
use crate::ids::{Errno, IfIndex, Priority};
use crate::time::{Instant, Interval};

use super::super::action::Token;
use super::super::log_lines::InstanceLine;
use super::super::plan::{Change, Touches};
use super::super::state_machine::State;
use super::installed::Installed;
use super::{Context, Running, TimerKey};

/// VIPs that a reload has given to a MASTER, until they are announced.
#[derive(Debug)]
pub(super) struct Gained {
    /// The request that puts them on.
    token: Token,
    pub(super) addresses: HashSet<(IfIndex, IpAddr)>,
}

/// An instance just before a reload.
#[derive(Debug, Clone, Copy)]
pub struct Before {
    state: State,
    priority: Priority,
    adverts_sent: u64,
}

impl Running {
    /// Goes on as `config`, which differs by `changes`. What is around is looked at
    /// afterwards, and then [`Running::speak_anew`] says what is new.
    pub fn go_on_as(&mut self, config: SharedInstance, changes: &[Change], cx: &mut Context<'_>) {
        let old_wait = self.wait();
        let old = std::mem::replace(&mut self.config, config);
        let touches = |what| changes.iter().any(|change| change.touches == what);
        self.says_anew |= touches(Touches::Advert);
        if !self.has_learned_interval(&old) {
            self.master_advert_interval = self.config.advert_interval;
        }
        self.shift_timer(old_wait, cx);
        self.follow_preempt_settings(old.preempt_delay);
        if old.unicast_peers != self.config.unicast_peers {
            self.peers.follow(&self.config);
        }
        self.sequences.follow(&self.config);
        if !self.config.priority.is_owner() {
            self.dispute = None;
            cx.timers.disarm(TimerKey::Rival(self.id));
        }
        self.follow_garp_settings(&old.garp, cx);
        let links = |it: &Instance| (it.vmac.clone(), it.vmac_addresses, it.ipvlan.clone());
        let moves = links(&old) != links(&self.config);
        if moves || old.all_addresses().ne(self.config.all_addresses()) {
            self.exchange_addresses(cx);
        }
        self.exchange_ways();
        self.forget_refused();
        self.build_advert(cx);
    }

    /// What [`Running::speak_anew`] compares with.
    pub fn before_reload(&self) -> Before {
        Before {
            state: self.state,
            priority: self.priority,
            adverts_sent: self.statistics.advert_sent,
        }
    }

    /// As MASTER, says at once what a reload has changed: something in the advert, or
    /// the effective priority. One that has spoken already does not do so again, and
    /// one that asks others to take over stays silent.
    pub fn speak_anew(&mut self, before: Before, cx: &mut Context<'_>) {
        let says_anew = std::mem::take(&mut self.says_anew) || before.priority != self.priority;
        let is_master = [before.state, self.state] == [State::Master; 2];
        let has_spoken = before.adverts_sent != self.statistics.advert_sent;
        if !says_anew || !is_master || has_spoken || self.is_handing_over() {
            return;
        }
        self.send(false, cx);
        self.count_answer(cx);
        let next = cx.now + self.config.advert_interval;
        cx.timers.arm(self.timer(), next);
    }

    /// Whether something is done when the request with `token` is.
    pub fn awaits(&self, token: Token) -> bool {
        let gained = self.gained.as_ref().map(|gained| gained.token);
        self.is_installed_with(token) || gained == Some(token)
    }

    /// The kernel has done what a reload asked for, with `token`.
    pub fn reloaded(&mut self, token: Token, result: Result<(), Errno>, cx: &mut Context<'_>) {
        self.installed(token, result, cx);
        let Some(gained) = self.gained.take_if(|gained| gained.token == token) else {
            return;
        };
        if let Err(errno) = result {
            let adding = true;
            self.log(InstanceLine::KernelRefused { adding, errno }, cx);
        }
        self.announce_gained(gained.addresses, cx);
    }

    /// VIPs that it may have on beside those that it [holds](Running::holds), as far as it
    /// knows: for their removal.
    pub fn configured<'s>(
        &'s self,
        cx: &'s Context<'_>,
    ) -> impl Iterator<Item = (IfIndex, &'s VirtualAddress)> {
        let has_any = self.installed != Installed::No;
        Self::vips(&self.config, cx.interfaces).filter(move |_| has_any)
    }

    /// VIPs that it has on, or asked for.
    pub fn holds<'s>(
        &'s self,
        cx: &'s Context<'_>,
    ) -> impl Iterator<Item = (IfIndex, &'s VirtualAddress)> {
        let has_any = self.installed != Installed::No;
        let put_on = self.put_on.iter().map(|(on, vip)| (*on, vip));
        // What the kernel refused is not there, whoever is to have it next.
        put_on.filter(move |(on, vip)| {
            has_any && cx.interfaces.get(*on).is_some() && !self.is_refused(*on, vip)
        })
    }

    /// How long a backup waits as it waits now.
    fn wait(&self) -> Interval {
        let timing = self.timing();
        if self.waits_skew {
            timing.skew_time(self.priority)
        } else {
            timing.master_down_time(self.priority)
        }
    }

    /// Whether its interval is that of a master which it listens to.
    fn has_learned_interval(&self, old: &Instance) -> bool {
        let entered = self.entered_at.unwrap_or_default();
        let heard = self.heard.is_some_and(|(_, at)| at >= entered);
        self.state == State::Backup
            && [old.version, self.config.version] == [Version::V3; 2]
            && (heard || self.master_advert_interval != old.advert_interval)
    }

    /// A backup that has waited for `old` in all waits for what that is now, from the
    /// same beginning.
    fn shift_timer(&mut self, old: Interval, cx: &mut Context<'_>) {
        let key = self.timer();
        if let (State::Backup, Some(deadline)) = (self.state, cx.timers.deadline_of(key)) {
            let moved = shifted(deadline, old, self.wait());
            if moved != deadline {
                cx.timers.arm(key, moved.max(cx.now));
            }
        }
    }

    fn follow_preempt_settings(&mut self, old: Interval) {
        let new = self.config.preempt_delay;
        let counts = !self.config.nopreempt && !new.is_zero();
        let running = self.preempt_at.filter(|_| counts);
        self.preempt_at = running.map(|at| shifted(at, old, new));
    }

    fn follow_garp_settings(&mut self, old: &Garp, cx: &mut Context<'_>) {
        if self.installed != Installed::Yes {
            return;
        }
        let new = &self.config.garp;
        let extra = |garp: &Garp| garp.extra_interfaces;
        let periods = [
            (
                TimerKey::Refresh(self.id),
                old.master_refresh,
                new.master_refresh,
            ),
            (TimerKey::ExtraInterfaces(self.id), extra(old), extra(new)),
        ];
        for (key, old, new) in periods {
            if new.is_zero() {
                cx.timers.disarm(key);
            } else if old != new {
                let begun = cx.timers.deadline_of(key);
                let next = begun.map_or(cx.now + new, |at| shifted(at, old, new));
                cx.timers.arm(key, next.max(cx.now));
            }
        }
    }

    /// As MASTER: has the VIPs of its configuration from now on, and remembers which
    /// of them it did not have. The kernel hears of it with the whole reload.
    fn exchange_addresses(&mut self, cx: &mut Context<'_>) {
        let Some(token) = cx
            .requests
            .gathering()
            .filter(|_| self.installed != Installed::No)
        else {
            return;
        };
        let had = std::mem::take(&mut self.put_on);
        let had: HashSet<(IfIndex, IpAddr)> =
            had.iter().map(|(on, vip)| (*on, vip.address)).collect();
        self.put_on = self.vips_to_put_on(cx.interfaces);
        let has: HashSet<(IfIndex, IpAddr)> = self
            .put_on
            .iter()
            .map(|(on, vip)| (*on, vip.address))
            .collect();
        for (on, address) in had.difference(&has) {
            cx.pacer.withdraw(self.id, *on, *address);
        }
        // What an earlier reload gave to it may not have been announced yet.
        let waiting = self.gained.take().map(|gained| gained.addresses);
        let mut addresses: HashSet<_> = has.difference(&had).copied().collect();
        addresses.extend(waiting.into_iter().flatten().filter(|it| has.contains(it)));
        if !addresses.is_empty() {
            self.tell_setting(cx);
            self.gained = Some(Box::new(Gained { token, addresses }));
        }
    }
}

/// A deadline that was `old` after its beginning, now that it is to be `new` after it.
fn shifted(deadline: Instant, old: Interval, new: Interval) -> Instant {
    deadline + new - old
}
