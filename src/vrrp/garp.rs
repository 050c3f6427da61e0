//! Gratuitous ARP and unsolicited neighbour adverts: which packets a burst has, and how they are spaced.
//!
//! Without an interval a burst leaves at once: rounds over all VIPs (VIP1, VIP2,
//! VIP1, VIP2 …). With one, packets of one interface, or of all interfaces of one
//! `garp_group`, are that far apart, whatever instance they are for; a VIP waits
//! with no more packets than its burst has, and one that was not announced yet
//! goes before one that was. Source: specification D.6, F.5.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

use crate::config::model::{Garp, GarpGroup};
use crate::ids::{IfIndex, InstanceId, MacAddress};
use crate::time::{Instant, Interval};

use crate::wire::advert::Family;

use super::action::Action;
use super::interfaces::Interfaces;

/// A VIP that is to be announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The instance that holds it.
    pub owner: InstanceId,
    /// Its interface.
    pub on: IfIndex,
    /// The interface's hardware address.
    pub mac: MacAddress,
    /// The VIP.
    pub address: IpAddr,
    /// The interface forwards IPv6 packets.
    pub router: bool,
}

impl Target {
    const fn family(&self) -> Family {
        Family::of(self.address)
    }

    /// The packet.
    pub const fn announce(&self) -> Action {
        Action::Announce {
            on: self.on,
            mac: self.mac,
            address: self.address,
            router: self.router,
        }
    }
}

/// Spaces packets on each interface.
#[derive(Debug, Default)]
pub struct Pacer {
    lanes: BTreeMap<Key, Lane>,
    groups: Vec<GarpGroup>,
    group_of: HashMap<String, usize>,
}

/// What shares a spacing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wire {
    /// An interface that is in no `garp_group`.
    Interface(IfIndex),
    /// A `garp_group`, by its place in the configuration.
    Group(usize),
}

/// What has a spacing of its own: an interface or group, and a family.
pub type Key = (Wire, Family);

/// What names a target: its instance first.
type Name = (InstanceId, IfIndex, IpAddr);

/// Who is next: those with fewer packets behind them, then those who came first.
type Turn = (u32, u64);

#[derive(Debug, Default)]
struct Lane {
    /// With the packets that each has left.
    waiting: BTreeMap<Turn, (Target, u32)>,
    turns: BTreeMap<Name, Turn>,
    /// How many turns were given.
    count: u64,
    interval: Interval,
    /// When the next packet may leave.
    free_at: Instant,
}

impl Lane {
    fn push(&mut self, target: Target, left: u32, round: u32) {
        let turn = (round, self.count);
        self.count = self.count.wrapping_add(1);
        self.waiting.insert(turn, (target, left));
        self.turns
            .insert((target.owner, target.on, target.address), turn);
    }

    fn pop(&mut self) -> Option<(Target, u32, u32)> {
        let ((round, _), (target, left)) = self.waiting.pop_first()?;
        self.turns
            .remove(&(target.owner, target.on, target.address));
        Some((target, left, round))
    }

    fn add(&mut self, target: Target, repeat: u32) {
        let name = (target.owner, target.on, target.address);
        let turn = self.turns.get(&name);
        match turn.and_then(|turn| self.waiting.get_mut(turn)) {
            Some((known, left)) => {
                *known = target;
                *left = repeat.max(*left);
            }
            None if repeat > 0 => self.push(target, repeat, 0),
            None => {}
        }
    }

    fn cancel(&mut self, owner: InstanceId) {
        let first = (owner, IfIndex::ANY, Ipv4Addr::UNSPECIFIED.into());
        let own = self.turns.range(first..);
        let own: Vec<_> = own
            .take_while(|((other, ..), _)| *other == owner)
            .map(|(name, turn)| (*name, *turn))
            .collect();
        for (name, turn) in own {
            self.turns.remove(&name);
            self.waiting.remove(&turn);
        }
    }
}

impl Pacer {
    /// Takes the groups of a configuration over.
    pub fn configure(&mut self, groups: &[GarpGroup]) {
        self.groups = groups.to_vec();
        self.group_of.clear();
        for (place, group) in groups.iter().enumerate() {
            let names = group.interfaces.iter().cloned();
            self.group_of.extend(names.map(|name| (name, place)));
        }
    }

    /// Asks for `repeat` packets for each target, as far apart as its interface's
    /// group or, where it is in none, `garp` wants for its family.
    pub fn burst(
        &mut self,
        targets: &[Target],
        repeat: u32,
        garp: &Garp,
        interfaces: &Interfaces,
        actions: &mut VecDeque<Action>,
    ) {
        let at_once = self.queue_spaced(targets, repeat, garp, interfaces);
        leave(&at_once, repeat, actions);
    }

    /// The begin of a burst of which not all targets are there yet: those without an
    /// interval have one packet, and the others of their burst in [`Self::end_burst`].
    pub fn begin_burst(
        &mut self,
        targets: &[Target],
        repeat: u32,
        garp: &Garp,
        interfaces: &Interfaces,
        actions: &mut VecDeque<Action>,
    ) {
        let at_once = self.queue_spaced(targets, repeat, garp, interfaces);
        leave(&at_once, repeat.min(1), actions);
    }

    /// What [`Self::begin_burst`] has left of the bursts of these targets.
    pub fn end_burst(
        &self,
        targets: &[Target],
        repeat: u32,
        garp: &Garp,
        interfaces: &Interfaces,
        actions: &mut VecDeque<Action>,
    ) {
        let is_at_once = |it: &&Target| self.spacing(it, garp, interfaces).1.is_zero();
        let at_once: Vec<_> = targets.iter().filter(is_at_once).collect();
        leave(&at_once, repeat.saturating_sub(1), actions);
    }

    /// Has those with an interval wait for their turns; gives the others.
    fn queue_spaced<'t>(
        &mut self,
        targets: &'t [Target],
        repeat: u32,
        garp: &Garp,
        interfaces: &Interfaces,
    ) -> Vec<&'t Target> {
        let mut at_once = Vec::new();
        for target in targets {
            let (wire, interval) = self.spacing(target, garp, interfaces);
            if interval.is_zero() {
                at_once.push(target);
                continue;
            }
            let lane = self.lanes.entry((wire, target.family())).or_default();
            lane.interval = interval;
            lane.add(*target, repeat);
        }
        at_once
    }

    /// What a packet shares its spacing with, and how far apart they are. A group
    /// without an interval for a family does not space it, whatever is set for
    /// all interfaces; C was seen to do the same.
    fn spacing(&self, target: &Target, garp: &Garp, interfaces: &Interfaces) -> (Wire, Interval) {
        let state = interfaces.get(target.on);
        // What leaves a virtual MAC leaves by the interface below it (specification D.6).
        let state = state.map(|state| interfaces.base_of(state));
        let on = state.map_or(target.on, |state| state.index);
        let place = state.and_then(|state| self.group_of.get(&state.name).copied());
        let grouped = place.and_then(|place| Some((place, self.groups.get(place)?)));
        let (wire, [v4, v6]) = match grouped {
            Some((place, it)) => (Wire::Group(place), [it.garp_interval, it.gna_interval]),
            None => (Wire::Interface(on), [garp.interval, garp.gna_interval]),
        };
        match target.family() {
            Family::V4 => (wire, v4),
            Family::V6 => (wire, v6),
        }
    }

    /// Sends what may leave at `now` of what shares a spacing. Returns when to call
    /// again, if anything waits.
    pub fn send_due(
        &mut self,
        key: Key,
        now: Instant,
        actions: &mut VecDeque<Action>,
    ) -> Option<Instant> {
        let lane = self.lanes.get_mut(&key)?;
        if lane.free_at <= now {
            let (target, left, round) = lane.pop()?;
            actions.push_back(target.announce());
            lane.free_at = now + lane.interval;
            if left > 1 {
                lane.push(target, left.saturating_sub(1), round.saturating_add(1));
            }
        }
        (!lane.waiting.is_empty()).then_some(lane.free_at)
    }

    /// Forgets what waits for an instance that is no longer MASTER.
    pub fn cancel(&mut self, owner: InstanceId) {
        for lane in self.lanes.values_mut() {
            lane.cancel(owner);
        }
    }

    /// Forgets what waits for one address of an instance.
    pub fn withdraw(&mut self, owner: InstanceId, on: IfIndex, address: IpAddr) {
        for lane in self.lanes.values_mut() {
            if let Some(turn) = lane.turns.remove(&(owner, on, address)) {
                lane.waiting.remove(&turn);
            }
        }
    }

    /// Where something waits.
    pub fn busy(&self) -> impl Iterator<Item = Key> {
        let busy = self
            .lanes
            .iter()
            .filter(|(_, lane)| !lane.waiting.is_empty());
        busy.map(|(&key, _)| key)
    }
}

/// Rounds over all of these.
fn leave(targets: &[&Target], rounds: u32, actions: &mut VecDeque<Action>) {
    for _ in 0..rounds {
        actions.extend(targets.iter().map(|target| target.announce()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANE: Key = (Wire::Interface(IfIndex(2)), Family::V4);

    fn spaced(ms: u64) -> Garp {
        Garp {
            interval: Interval::from_ms(ms),
            ..Garp::default()
        }
    }

    fn target(last: u8) -> Target {
        Target {
            owner: InstanceId(0),
            on: IfIndex(2),
            mac: MacAddress([2, 0, 0, 0, 0, 1]),
            address: IpAddr::from([10, 0, 0, last]),
            router: false,
        }
    }

    fn addresses(actions: &mut VecDeque<Action>) -> Vec<u8> {
        actions
            .drain(..)
            .map(|action| match action {
                Action::Announce {
                    address: IpAddr::V4(address),
                    ..
                } => address.octets()[3],
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_burst_in_slices_has_as_many_packets() {
        let (interfaces, mut actions) = (Interfaces::default(), VecDeque::new());
        let all = [target(1), target(2), target(3)];
        let mut pacer = Pacer::default();
        for slice in all.chunks(2) {
            pacer.begin_burst(slice, 3, &spaced(0), &interfaces, &mut actions);
        }
        pacer.end_burst(&all, 3, &spaced(0), &interfaces, &mut actions);
        assert_eq!(addresses(&mut actions), [1, 2, 3, 1, 2, 3, 1, 2, 3]);

        // With an interval they wait as in any other burst.
        for slice in all.chunks(2) {
            pacer.begin_burst(slice, 2, &spaced(10), &interfaces, &mut actions);
        }
        pacer.end_burst(&all, 2, &spaced(10), &interfaces, &mut actions);
        let mut now = Instant::ZERO;
        while let Some(next) = pacer.send_due(LANE, now, &mut actions) {
            now = next;
        }
        assert_eq!(addresses(&mut actions), [1, 2, 3, 1, 2, 3]);

        // No packets are no packets.
        pacer.begin_burst(&all, 0, &spaced(0), &interfaces, &mut actions);
        pacer.end_burst(&all, 0, &spaced(0), &interfaces, &mut actions);
        assert!(actions.is_empty());
    }

    #[test]
    fn a_burst_goes_round_all_vips() {
        let mut actions = VecDeque::new();
        Pacer::default().burst(
            &[target(1), target(2)],
            2,
            &spaced(0),
            &Interfaces::default(),
            &mut actions,
        );
        assert_eq!(addresses(&mut actions), [1, 2, 1, 2]);
    }

    #[test]
    fn a_spaced_burst_sends_one_packet_each_time() {
        let (mut pacer, mut actions) = (Pacer::default(), VecDeque::new());
        let (gap, none) = (Interval::from_ms(1), Interfaces::default());
        let spacing = spaced(1);
        pacer.burst(&[target(1), target(2)], 2, &spacing, &none, &mut actions);
        pacer.burst(&[target(1)], 2, &spacing, &none, &mut actions);
        let mut now = Instant::ZERO;
        let mut sent = Vec::new();
        while let Some(next) = pacer.send_due(LANE, now, &mut actions) {
            assert_eq!(next, now + gap);
            assert_eq!(pacer.send_due(LANE, now, &mut actions), Some(next));
            sent.extend(addresses(&mut actions));
            now = next;
        }
        sent.extend(addresses(&mut actions));
        assert_eq!(sent, [1, 2, 1, 2]);
    }

    #[test]
    fn what_waits_for_a_former_master_is_dropped() {
        let (mut pacer, mut actions) = (Pacer::default(), VecDeque::new());
        let none = Interfaces::default();
        pacer.burst(&[target(1)], 3, &spaced(1), &none, &mut actions);
        assert_eq!(pacer.busy().collect::<Vec<_>>(), [LANE]);
        pacer.cancel(InstanceId(0));
        assert_eq!(pacer.busy().count(), 0);
        assert_eq!(pacer.send_due(LANE, Instant::ZERO, &mut actions), None);
        assert!(actions.is_empty());
    }

    #[test]
    fn who_comes_later_is_announced_before_others_are_again() {
        let (mut pacer, mut actions) = (Pacer::default(), VecDeque::new());
        let (spacing, none) = (spaced(1), Interfaces::default());
        let late = Target {
            owner: InstanceId(1),
            ..target(9)
        };
        pacer.burst(&[target(1), target(2)], 3, &spacing, &none, &mut actions);
        let mut now = Instant::ZERO;
        for _ in 0..2 {
            now = pacer.send_due(LANE, now, &mut actions).unwrap();
        }
        pacer.burst(&[late], 3, &spacing, &none, &mut actions);
        while let Some(next) = pacer.send_due(LANE, now, &mut actions) {
            now = next;
        }
        assert_eq!(addresses(&mut actions), [1, 2, 9, 1, 2, 9, 1, 2, 9]);
    }

    /// Thousands of VIPs move at once and half of them move on: no time at all.
    #[test]
    fn many_targets_take_no_time() {
        let (mut pacer, mut actions) = (Pacer::default(), VecDeque::new());
        let (spacing, none) = (spaced(1), Interfaces::default());
        for owner in 0..50_000_u32 {
            let [_, a, b, c] = owner.to_be_bytes();
            let one = Target {
                owner: InstanceId(owner),
                address: IpAddr::from([10, a, b, c]),
                ..target(1)
            };
            pacer.burst(&[one], 5, &spacing, &none, &mut actions);
        }
        for owner in (0..50_000).filter(|owner| owner % 2 == 0) {
            pacer.cancel(InstanceId(owner));
        }
        let mut now = Instant::ZERO;
        while let Some(next) = pacer.send_due(LANE, now, &mut actions) {
            now = next;
        }
        assert_eq!(actions.len(), 125_000);
        let first: Vec<_> = actions.iter().take(25_000).collect();
        let last: Vec<_> = actions.iter().skip(100_000).collect();
        assert_eq!(first, last, "every VIP once before any of them again");
    }
}
