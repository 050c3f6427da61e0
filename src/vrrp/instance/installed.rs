//! What one instance has in the kernel, its VIPs, routes and rules: put in, taken out,
//! renewed.
//!
//! When they go on and off is decided in `state_machine.rs`, what becomes of those that
//! somebody else takes away in `losses.rs`.

use std::net::IpAddr;
use std::sync::Arc;

use crate::config::model::{Instance, VirtualAddress};
use crate::ids::{Errno, IfIndex};

use super::super::action::{Action, NotifyState, Operation, Token};
use super::super::event::InterfaceState;
use super::super::interfaces::Interfaces;
use super::super::kernel_set::{additions_of, comes_off_later, is_surely_ours, removals};
use super::super::log_lines::{InstanceLine, LogLine};
use super::blocking::{block, unblock};
use super::{Context, Purpose, Running};

/// So many VIPs are asked for at once. Where there are more, those that are on are
/// announced while the kernel is at the next ones.
const SLICE: usize = 64;

/// Whether the VIPs are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Installed {
    No,
    Asked(Asked),
    Yes,
}

/// The requests that put the VIPs on: one for each slice of them, in their order, the last
/// one with the routes and rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    first: Token,
    last: Token,
    /// The first error so far.
    result: Result<(), Errno>,
}

impl From<Token> for Asked {
    fn from(token: Token) -> Self {
        Self {
            first: token,
            last: token,
            result: Ok(()),
        }
    }
}

impl Asked {
    /// Which slice this request is for; `None`: it is none of them.
    fn slice_of(&self, token: Token) -> Option<usize> {
        let place = token.0.checked_sub(self.first.0)?;
        usize::try_from(place).ok().filter(|_| token <= self.last)
    }
}

impl Running {
    pub(super) fn install(&mut self, cx: &mut Context<'_>) {
        self.tell_blocking(InstanceLine::SettingDropRule, cx);
        self.tell_setting(cx);
        self.refusals.clear();
        if let Some(losses) = self.losses.if_any() {
            losses.begin();
        }
        self.put_on.clear();
        self.put_on
            .extend(Self::vips(&self.config, cx.interfaces).map(|(on, vip)| (on, vip.clone())));
        self.ways = ways_of(&self.config);
        if let Some(token) = cx.requests.gathering() {
            self.installed = Installed::Asked(token.into());
            return;
        }
        let mut operations: Vec<_> = self.blocked().map(block).collect();
        let mut first = None;
        let mut slices = self.put_on.chunks(SLICE).peekable();
        while let Some(slice) = slices.next() {
            let addresses = slice.iter().cloned();
            operations.extend(addresses.map(|(on, address)| Operation::AddAddress { on, address }));
            if slices.peek().is_some() {
                let token = cx.request(Purpose::Install(self.id), std::mem::take(&mut operations));
                first.get_or_insert(token);
            }
        }
        operations.extend_from_slice(&self.ways);
        let last = cx.request(Purpose::Install(self.id), operations);
        self.installed = Installed::Asked(Asked {
            first: first.unwrap_or(last),
            ..last.into()
        });
    }

    pub(super) fn remove(&mut self, cx: &mut Context<'_>) {
        self.tell_removing(cx);
        self.tell_blocking(InstanceLine::RemovingDropRule, cx);
        let blocked: Vec<_> = self.blocked().collect();
        self.installed = Installed::No;
        self.refusals.clear();
        self.gained = None;
        self.announcing.clear();
        cx.pacer.cancel(self.id);
        self.disarm_bursts(cx);
        if cx.requests.gathering().is_some() {
            self.put_on.clear();
            self.ways.clear();
            return;
        }
        let mut there: Vec<_> = Self::vips(&self.config, cx.interfaces)
            .map(|(on, vip)| (on, vip.clone()))
            .collect();
        // An interface may have got another name since, and keeps its addresses.
        for (on, vip) in std::mem::take(&mut self.put_on) {
            let is_known = there.contains(&(on, vip.clone()));
            if cx.interfaces.get(on).is_some() && !is_known {
                there.push((on, vip));
            }
        }
        there.sort_by_key(|(_, vip)| comes_off_later(vip));
        self.ways.clear();
        let mut operations = removals(&ways_of(&self.config));
        let addresses = there.into_iter();
        operations.extend(addresses.map(|(on, address)| Operation::RemoveAddress { on, address }));
        operations.extend(blocked.into_iter().map(unblock));
        cx.request(Purpose::Remove(self.id), operations);
    }

    pub(super) fn tell_setting(&self, cx: &mut Context<'_>) {
        let [vips, excluded, routes, rules] = self.has();
        self.tell(
            [
                (vips, InstanceLine::SettingVips),
                (excluded, InstanceLine::SettingExcludedVips),
                (routes, InstanceLine::SettingRoutes),
                (rules, InstanceLine::SettingRules),
            ],
            cx,
        );
    }

    fn tell_removing(&self, cx: &mut Context<'_>) {
        let [vips, excluded, routes, rules] = self.has();
        self.tell(
            [
                (rules, InstanceLine::RemovingRules),
                (routes, InstanceLine::RemovingRoutes),
                (vips, InstanceLine::RemovingVips),
                (excluded, InstanceLine::RemovingExcludedVips),
            ],
            cx,
        );
    }

    /// A line for each list that has something in it.
    fn tell(&self, lines: [(bool, InstanceLine); 4], cx: &mut Context<'_>) {
        for (_, line) in lines.into_iter().filter(|(has, _)| *has) {
            self.log(line, cx);
        }
    }

    /// Whether there are VIPs, excluded VIPs, routes, rules.
    fn has(&self) -> [bool; 4] {
        let config = &self.config;
        [
            !config.virtual_addresses.is_empty(),
            !config.excluded_addresses.is_empty(),
            !config.virtual_routes.is_empty(),
            !config.virtual_rules.is_empty(),
        ]
    }

    /// Takes out what an earlier run left behind (specification F.2): VIPs that are
    /// there, and routes and rules without looking.
    pub fn remove_leftovers(&self, cx: &mut Context<'_>) {
        let mut ways = ways_of(&self.config);
        ways.retain(is_surely_ours);
        let mut operations = removals(&ways);
        let left = |on: IfIndex, vip: &VirtualAddress| {
            cx.interfaces.get(on).is_some_and(|state| holds(state, vip))
        };
        let addresses: Vec<_> = Self::vips(&self.config, cx.interfaces)
            .filter(|(on, vip)| left(*on, vip))
            .map(|(on, vip)| Operation::RemoveAddress {
                on,
                address: vip.clone(),
            })
            .collect();
        if !addresses.is_empty() {
            self.tell_removing(cx);
        }
        operations.extend(addresses);
        if !operations.is_empty() {
            cx.request(Purpose::Remove(self.id), operations);
        }
    }

    /// The kernel did not do one operation of a request of this instance.
    pub fn refused(
        &mut self,
        token: Token,
        operation: &Operation,
        errno: Errno,
        cx: &mut Context<'_>,
    ) {
        let is_wanted = operation.adds() && self.installed != Installed::No;
        if !is_wanted || self.refusals.make().note(token, operation, errno) {
            cx.actions
                .push_back(Action::Log(LogLine::refused(operation, errno)));
        }
    }

    /// The kernel did not do one operation of a reload; whether it was for this
    /// instance, which tries it again.
    pub fn reload_refused(&mut self, token: Token, operation: &Operation, errno: Errno) -> bool {
        let is_own = match operation {
            Operation::AddAddress { on, address } => {
                let mut put_on = self.put_on.iter();
                put_on.any(|(index, vip)| index == on && vip.address == address.address)
            }
            other => self.ways.contains(other),
        };
        is_own && self.refusals.make().note(token, operation, errno)
    }

    /// Whether it has this address on that interface, or has asked for it.
    pub fn has_on(&self, on: IfIndex, address: &VirtualAddress) -> bool {
        let mut put_on = self.put_on.iter();
        self.installed != Installed::No
            && put_on.any(|(index, vip)| *index == on && is_same(vip, address))
    }

    /// Whether the kernel refused this address there.
    pub(super) fn is_refused(&self, on: IfIndex, vip: &VirtualAddress) -> bool {
        self.refusals.missing().any(|it| match it {
            Operation::AddAddress { on: index, address } => *index == on && is_same(address, vip),
            _ => false,
        })
    }

    /// Whether the kernel refused something that it is to have.
    pub fn lacks_anything(&self) -> bool {
        self.installed != Installed::No && !self.refusals.is_empty()
    }

    /// The routes and rules that it has in, or asked for.
    pub fn ways(&self) -> &[Operation] {
        &self.ways
    }

    /// As MASTER: has the routes and rules of its configuration from now on. The kernel
    /// hears of it with the whole reload.
    pub(super) fn exchange_ways(&mut self) {
        if self.installed != Installed::No {
            self.ways = ways_of(&self.config);
        }
    }

    /// What it is not to have any more is not tried again.
    pub(super) fn forget_refused(&mut self) {
        let mut refusals = std::mem::take(&mut self.refusals);
        if let Some(refusals) = refusals.if_any() {
            refusals.keep(|it| match it {
                Operation::AddAddress { on, address } => self.has_on(*on, address),
                other => self.ways.contains(other),
            });
        }
        self.refusals = refusals;
    }

    /// Something around has changed: tries again what the kernel refused.
    pub fn try_again(&mut self, cx: &mut Context<'_>) {
        if self.installed != Installed::Yes {
            return;
        }
        let Some(refusals) = self.refusals.if_any() else {
            return;
        };
        let operations = refusals.retry();
        if !operations.is_empty() {
            let token = cx.request(Purpose::TryAgain(self.id), operations);
            refusals.began(token);
        }
    }

    /// A trial is over.
    pub fn tried_again(&mut self, token: Token, cx: &mut Context<'_>) {
        let refusals = self.refusals.if_any();
        let Some((is_in, once_more)) = refusals.and_then(|it| it.ended(token)) else {
            return;
        };
        for operation in is_in {
            if let Operation::AddAddress { .. } = operation {
                self.announce_all_at(cx.now, cx);
            }
            let line = LogLine::InAtLast(operation.to_string());
            cx.actions.push_back(Action::Log(line));
        }
        if once_more {
            self.try_again(cx);
        }
    }

    /// Whether the VIPs are on when the request with `token` is done.
    pub(super) fn is_installed_with(&self, token: Token) -> bool {
        matches!(self.installed, Installed::Asked(asked) if asked.last == token)
    }

    /// VIPs have been added: announces them, and tells the outside of the last ones.
    pub fn installed(&mut self, token: Token, result: Result<(), Errno>, cx: &mut Context<'_>) {
        let Installed::Asked(mut asked) = self.installed else {
            return;
        };
        let Some(slice) = asked.slice_of(token) else {
            return;
        };
        asked.result = asked.result.and(result);
        let is_sliced = asked.first != asked.last;
        if is_sliced {
            self.announce_slice(slice, cx);
        }
        if token != asked.last {
            self.installed = Installed::Asked(asked);
            return;
        }
        self.installed = Installed::Yes;
        // Routes that were refused have been told of.
        let are_vips_on = !self.refusals.is_empty() && !self.refusals.has_address();
        if let Err(errno) = asked.result
            && !are_vips_on
        {
            let line = InstanceLine::KernelRefused {
                adding: true,
                errno,
            };
            self.log(line, cx);
        }
        self.find_targets(cx);
        if is_sliced {
            self.end_burst(cx);
        } else {
            self.burst(self.config.garp.master_repeat, cx);
        }
        self.arm_bursts(cx);
        self.notify(NotifyState::Master, cx);
    }

    /// Announces the VIPs that are on now.
    fn announce_slice(&mut self, slice: usize, cx: &mut Context<'_>) {
        let vips = self.put_on.chunks(SLICE).nth(slice).unwrap_or_default();
        let vips = vips.iter().map(|(on, vip)| (*on, vip.address)).collect();
        self.find_targets(cx);
        let targets = self.targets_among(&vips);
        self.begin_burst(&targets, cx);
    }

    /// An interface is up again: the kernel has dropped routes with it, and says so of
    /// some only.
    pub fn renew_ways(&mut self, cx: &mut Context<'_>) {
        if self.installed == Installed::Yes && !self.ways.is_empty() {
            cx.request(Purpose::Renew(self.id), self.ways.clone());
        }
    }

    /// The link was away, for so short that nobody was to notice: as MASTER, tells
    /// switches that have forgotten.
    pub fn link_returned(&mut self, cx: &mut Context<'_>) {
        if self.installed == Installed::Yes {
            self.announce_all_at(cx.now, cx);
        }
    }

    /// A link of our own is there: as MASTER, puts the VIPs on it that belong there;
    /// else takes off what an earlier run left.
    pub fn link_ready(&mut self, on: IfIndex, held: &[IpAddr], cx: &mut Context<'_>) {
        if self.installed == Installed::No {
            return self.take_off_left(on, held, cx);
        }
        let config = Arc::clone(&self.config);
        let own: Vec<VirtualAddress> = Self::vips(&config, cx.interfaces)
            .filter(|(index, _)| *index == on)
            .map(|(_, vip)| vip.clone())
            .collect();
        if own.is_empty() {
            return;
        }
        self.tell_setting(cx);
        let before: Vec<_> = self.blocked().collect();
        self.put_on
            .retain(|(index, _)| *index != on && cx.interfaces.get(*index).is_some());
        self.put_on.extend(own.iter().map(|vip| (on, vip.clone())));
        let blocked: Vec<_> = self.blocked().collect();
        let old = before.into_iter().filter(|it| !blocked.contains(it));
        let mut operations: Vec<_> = old.map(unblock).collect();
        operations.extend(blocked.iter().copied().map(block));
        let addresses = own.into_iter();
        operations.extend(addresses.map(|address| Operation::AddAddress { on, address }));
        self.restoring = self.restoring.saturating_add(1);
        cx.request(Purpose::Restore(self.id), operations);
    }

    /// The addresses that it has on, or has asked for.
    pub fn held(&self) -> impl Iterator<Item = IpAddr> {
        let has_any = self.installed != Installed::No;
        let vips = self.config.all_addresses().filter(move |_| has_any);
        vips.map(|vip| vip.address)
    }

    /// Takes off a link of our own what an earlier run left there, maybe with another
    /// configuration: whoever is not MASTER has no VIP on any of them. What others hold
    /// (`held`) stays.
    pub fn take_off_left(&mut self, on: IfIndex, held: &[IpAddr], cx: &mut Context<'_>) {
        if self.installed != Installed::No {
            return;
        }
        let state = cx.interfaces.get(on);
        let left = self.config.all_addresses();
        let left = left.filter(|vip| state.is_some_and(|state| holds(state, vip)));
        let operations: Vec<_> = left
            .filter(|vip| !held.contains(&vip.address))
            .cloned()
            .map(|address| Operation::RemoveAddress { on, address })
            .collect();
        if !operations.is_empty() {
            cx.request(Purpose::Remove(self.id), operations);
        }
    }

    /// An interface is gone, with what was on it.
    pub fn forget_interface(&mut self, index: IfIndex) {
        if let Some(refusals) = self.refusals.if_any() {
            refusals.forget_interface(index);
        }
    }

    /// All of [`Running::vips`], in no more room than they need.
    pub(super) fn vips_to_put_on(&self, interfaces: &Interfaces) -> Vec<(IfIndex, VirtualAddress)> {
        let mut put_on = Vec::with_capacity(Self::vips(&self.config, interfaces).count());
        put_on.extend(Self::vips(&self.config, interfaces).map(|(on, vip)| (on, vip.clone())));
        put_on
    }

    /// Each VIP with the number of its interface; those without one are left
    /// out (they keep the instance in FAULT unless they are not tracked).
    pub(super) fn vips<'c>(
        config: &'c Instance,
        interfaces: &'c Interfaces,
    ) -> impl Iterator<Item = (IfIndex, &'c VirtualAddress)> {
        config.all_addresses().filter_map(|vip| {
            let state = interfaces.of_vip(config, vip)?;
            Some((state.index, vip))
        })
    }
}

/// What puts the routes and the rules of an instance in.
fn ways_of(config: &Instance) -> Vec<Operation> {
    additions_of(&config.virtual_routes, &config.virtual_rules).collect()
}

/// Whether two are the same address to the kernel.
fn is_same(one: &VirtualAddress, other: &VirtualAddress) -> bool {
    (one.address, one.prefix_length) == (other.address, other.prefix_length)
}

/// Whether the interface has this address, with this prefix length.
pub(super) fn holds(state: &InterfaceState, vip: &VirtualAddress) -> bool {
    let mut there = state.addresses.iter();
    there.any(|on| on.address == vip.address && on.prefix_length == vip.prefix_length)
}
