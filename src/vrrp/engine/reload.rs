//! A new configuration: who ends, who goes on, who begins; and what the kernel is
//! asked for, once that is known of all of them.
//!
//! Addresses are compared over the whole configuration, so that one which moves from
//! one MASTER to another stays where it is. What goes on is decided in
//! `plan/mod.rs`; how an instance does that, in `instance/reload.rs`. Source:
//! specification F.10.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use crate::config::model::{Config, Instance, VirtualAddress};
use crate::hashing::{QuickMap, QuickSet};
use crate::ids::{IfIndex, InstanceId};
use crate::time::Instant;

use super::super::action::{Action, Operation, Token, Transmit};
use super::super::instance::{Before, Blocked, Purpose, Running, block, unblock};
use super::super::kernel_set::{address_to_kernel, around, comes_off_later};
use super::super::log_lines::InstanceLine;
use super::super::plan::Plan;
use super::super::state_machine::State;
use super::{Engine, Phase};

/// An address on an interface, as far as the kernel knows it.
type OnKernel = (IfIndex, VirtualAddress);

/// The addresses of all instances that are MASTER.
#[derive(Default)]
struct Held {
    /// Those that are put on, or asked for, and those that may be there besides, in order,
    /// with their instances.
    maybe: Vec<May>,
    /// Routes and rules that were put in, or asked for.
    ways: Vec<Operation>,
    /// Addresses to which packets are dropped.
    blocked: BTreeSet<Blocked>,
}

/// An address that an instance may have.
#[derive(PartialEq, Eq)]
struct May {
    id: InstanceId,
    on: OnKernel,
    /// Put on, or asked for.
    put_on: bool,
}

impl May {
    /// What tells nearly all of them apart.
    fn place(&self) -> (IfIndex, IpAddr) {
        let (on, vip) = &self.on;
        (*on, vip.address)
    }
}

impl Engine {
    /// Whether a new configuration is of use: not when the daemon stops.
    pub fn takes_plans(&self) -> bool {
        matches!(self.phase, Phase::New | Phase::Running)
    }

    /// Goes over to the configuration of `plan`, which was made from the one
    /// that the engine has. What the plan does not name is not touched. When the
    /// daemon stops nothing goes on, and there is nothing to do.
    pub fn apply(&mut self, now: Instant, plan: Plan, tx: &mut impl Transmit) {
        if !self.takes_plans() {
            return;
        }
        let held = self.held(now, tx);
        let before = self.befores();
        let orders = self.standing_orders();
        let token = self.requests.gather();
        let unwanted = self.interfaces.follow_links(&plan.config);
        self.end_or_go_on(now, &plan, tx);
        for instance in &plan.started {
            self.add_instance(instance);
        }
        self.adopt(now, plan.config);
        self.hand_down_orders(now, &orders, (&plan.restarted, &plan.started), tx);
        self.settle_links(now, tx);
        self.moved = true;
        if self.phase == Phase::Running {
            // Whoever reloads has mended something.
            self.each(now, tx, |it, cx| it.end_pause(cx));
            self.start_scripts(now);
            self.evaluate_all(now, tx);
            self.note_gathering_groups();
        }
        self.each_with_id(now, tx, |id, it, cx| {
            if let Some(before) = before.get(&id) {
                it.speak_anew(*before, cx);
            }
        });
        self.requests.end_gathering();
        self.change_addresses(now, token, &held, tx);
        self.remove_links(unwanted);
        self.follow_links(now);
        self.follow_statics();
        self.follow_missing_statics(now, tx);
        self.settle(now);
    }

    /// What a reload asked the kernel for is done.
    pub(super) fn reload_done(
        &mut self,
        now: Instant,
        token: Token,
        result: Result<(), crate::ids::Errno>,
        tx: &mut impl Transmit,
    ) {
        if !self.requests.is_reloading() {
            self.vips = vips_of(&self.config);
        }
        self.each(now, tx, |it, cx| it.reloaded(token, result, cx));
    }

    fn befores(&self) -> BTreeMap<InstanceId, Before> {
        let instances = self.instances.iter();
        instances
            .map(|(id, running)| (*id, running.before_reload()))
            .collect()
    }

    fn end_or_go_on(&mut self, now: Instant, plan: &Plan, tx: &mut impl Transmit) {
        let kept = plan.kept.iter().map(|it| &it.before);
        let restarted = plan.restarted.iter().map(|it| &it.before);
        let named = kept.chain(restarted).chain(&plan.removed);
        let named: QuickSet<&str> = named.map(|it| &*it.name).collect();
        let instances = self.instances.iter();
        let by_name: QuickMap<&str, InstanceId> = instances
            .filter_map(|(id, running)| Some((*named.get(&*running.config.name)?, *id)))
            .collect();
        let removed = plan.removed.iter().map(|it| (it, true));
        let restarted = plan.restarted.iter().map(|it| (&it.before, false));
        for (instance, removed) in removed.chain(restarted) {
            if let Some(id) = by_name.get(&*instance.name) {
                self.one(now, *id, tx, |it, cx| it.leave(removed, cx));
                self.instances.remove(id);
            }
        }
        for it in &plan.kept {
            if let Some(id) = by_name.get(&*it.before.name) {
                self.one(now, *id, tx, |running, cx| {
                    running.go_on_as(it.after.clone(), &it.changes, cx);
                });
            }
        }
    }

    fn held(&mut self, now: Instant, tx: &mut impl Transmit) -> Held {
        let mut held = Held::default();
        held.maybe.reserve(self.instances.len());
        self.each_with_id(now, tx, |id, it, cx| {
            let first = held.maybe.len();
            held.maybe.extend(it.holds(cx).map(|(on, vip)| May {
                id,
                on: (on, address_to_kernel(vip)),
                put_on: true,
            }));
            // In nearly every case these are the same once more, word for word.
            let mut holds = it.holds(cx);
            for (place, (on, vip)) in it.configured(cx).enumerate() {
                if holds.next() == Some((on, vip)) {
                    continue;
                }
                let on = (on, address_to_kernel(vip));
                let same = held.maybe.get(first.saturating_add(place));
                if same.is_none_or(|same| same.on != on) {
                    let put_on = false;
                    held.maybe.push(May { id, on, put_on });
                }
            }
            held.ways.extend_from_slice(it.ways());
            held.blocked.extend(it.blocked());
        });
        held
    }

    /// Asks the kernel for the difference to what was `before`, in one request.
    fn change_addresses(
        &mut self,
        now: Instant,
        token: Token,
        before: &Held,
        tx: &mut impl Transmit,
    ) {
        let after = self.held(now, tx);
        let addresses = difference(before, &after);
        let changes = around(&before.ways, &after.ways, addresses);
        // Nothing that is to be dropped gets through in between.
        let new = after.blocked.difference(&before.blocked);
        let mut operations: Vec<Operation> = new.copied().map(block).collect();
        operations.extend(changes);
        let old = before.blocked.difference(&after.blocked);
        operations.extend(old.copied().map(unblock));
        let mut removed: QuickSet<OnKernel> = QuickSet::default();
        for operation in &operations {
            if let Operation::RemoveAddress { on, address } = operation {
                removed.insert((*on, address.clone()));
                // It is no source address before it is gone.
                self.vips.insert(address.address);
            }
        }
        for May { id, on: it, .. } in &before.maybe {
            let goes = removed.contains(it);
            let (_, vip) = it;
            if let Some(running) = self.instances.get(id).filter(|_| goes)
                && running.state == State::Master
                && !has(&running.config, vip)
            {
                removed.remove(it);
                let line = InstanceLine::NoLongerExists(Box::new(vip.clone()));
                self.one(now, *id, tx, |it, cx| it.log(line, cx));
            }
        }
        if operations.is_empty() {
            // An address that was taken over may be asked for and not there yet.
            let mut instances = self.instances.values();
            if self.requests.is_empty() || !instances.any(|it| it.awaits(token)) {
                return self.each(now, tx, |it, cx| it.reloaded(token, Ok(()), cx));
            }
        }
        self.requests.begin_as(token, Purpose::Reload);
        self.actions.push_back(Action::Kernel { token, operations });
    }

    /// Runs `act` for every instance, with its number.
    fn each_with_id(
        &mut self,
        now: Instant,
        tx: &mut impl Transmit,
        mut act: impl FnMut(InstanceId, &mut Running, &mut super::Context<'_>),
    ) {
        let ids: Vec<InstanceId> = self.instances.keys().copied().collect();
        for id in ids {
            self.one(now, id, tx, |it, cx| act(id, it, cx));
        }
    }
}

/// Every VIP of a configuration.
pub(super) fn vips_of(config: &Config) -> BTreeSet<IpAddr> {
    let instances = config.instances.iter();
    let vips = instances.flat_map(|instance| instance.all_addresses());
    vips.map(|vip| vip.address).collect()
}

/// Whether an instance still has an address, which then has gone to another link.
fn has(instance: &Instance, vip: &VirtualAddress) -> bool {
    let mut all = instance.all_addresses();
    all.any(|it| (it.address, it.prefix_length) == (vip.address, vip.prefix_length))
}

/// The way from one set of addresses to another. What is in both is not taken off.
///
/// With the first IPv4 address of a network on an interface the kernel may take the
/// others of that network off. So what goes goes before anything new comes, and what
/// stays of its network is put on once more. Only an address that gets another
/// prefix length comes first: to the kernel it is another network.
fn difference<'h>(before: &'h Held, after: &'h Held) -> Vec<Operation> {
    let differing = differing(&before.maybe, &after.maybe);
    let differs = |it: &&May| differing.contains(&it.place());
    let in_question = after.maybe.iter().filter(differs);
    let stays: QuickSet<&OnKernel> = in_question.map(|it| &it.on).collect();
    let mut seen: QuickSet<&OnKernel> = QuickSet::default();
    let before_in_order = before.maybe.iter().filter(differs).map(|it| &it.on);
    let mut removed: Vec<&OnKernel> = before_in_order
        .filter(|it| !stays.contains(it) && seen.insert(it))
        .collect();
    removed.sort_by_key(|(_, vip)| comes_off_later(vip));
    let networks: QuickSet<_> = removed.iter().filter_map(|it| network_of(it)).collect();
    let touched: QuickSet<(IfIndex, IpAddr, u8)> = removed.iter().map(|it| slot_of(it)).collect();
    let addresses: QuickSet<(IfIndex, IpAddr)> =
        removed.iter().map(|it| (it.0, it.1.address)).collect();
    // What goes may take others with it, whether they are the same or not.
    let counts = |it: &&May| it.put_on && (!removed.is_empty() || differs(it));
    let put_on = |held: &'h Held| held.maybe.iter().filter(counts).map(|it| &it.on);
    let was_put_on: QuickSet<&OnKernel> = put_on(before).collect();
    let mut seen: QuickSet<&OnKernel> = QuickSet::default();
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for it in put_on(after) {
        // Each counts once.
        if !seen.insert(it) {
            continue;
        }
        let is_new = !was_put_on.contains(it);
        let again = network_of(it).is_some_and(|network| networks.contains(&network))
            || touched.contains(&slot_of(it));
        let replaces = addresses.contains(&(it.0, it.1.address));
        if is_new && replaces && !touched.contains(&slot_of(it)) {
            first.push(add(it));
        } else if is_new || again {
            last.push(add(it));
        }
    }
    let removals = removed
        .into_iter()
        .map(|(on, vip)| Operation::RemoveAddress {
            on: *on,
            address: vip.clone(),
        });
    first.extend(removals);
    first.extend(last);
    first
}

/// The places of what is not the same in both, instance by instance: next to nothing, after
/// nearly every reload. Both are in the order of the instances.
fn differing(before: &[May], after: &[May]) -> QuickSet<(IfIndex, IpAddr)> {
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    let mut found = QuickSet::default();
    while let (Some(one), Some(other)) = (before.peek(), after.peek()) {
        if one == other {
            before.next();
            after.next();
        } else if one.id <= other.id {
            found.extend(before.next().map(May::place));
        } else {
            found.extend(after.next().map(May::place));
        }
    }
    found.extend(before.chain(after).map(May::place));
    found
}

fn add((on, vip): &OnKernel) -> Operation {
    Operation::AddAddress {
        on: *on,
        address: vip.clone(),
    }
}

/// What the kernel has once only: over IPv6 an address, whatever its prefix length.
fn slot_of((on, vip): &OnKernel) -> (IfIndex, IpAddr, u8) {
    let length = if vip.address.is_ipv4() {
        vip.prefix_length
    } else {
        0
    };
    (*on, vip.address, length)
}

/// The network of an IPv4 address.
fn network_of((on, vip): &OnKernel) -> Option<(IfIndex, Ipv4Addr, u8)> {
    let IpAddr::V4(address) = vip.peer.unwrap_or(vip.address) else {
        return None;
    };
    let length = vip.prefix_length;
    let host_bits = 32_u32.saturating_sub(length.into());
    let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
    Some((*on, Ipv4Addr::from(u32::from(address) & mask), length))
}
