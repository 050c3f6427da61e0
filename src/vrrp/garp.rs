//! Gratuitous ARP and unsolicited neighbour adverts: which packets a burst has, and how they are spaced.
//!
//! Without `vrrp_garp_interval` a burst leaves at once: rounds over all VIPs
//! (VIP1, VIP2, VIP1, VIP2 …). With it, packets of one interface are that far
//! apart, whatever instance they are for; a VIP waits with no more packets than
//! its burst has. Source: specification D.6, F.5.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use crate::config::model::Garp;
use crate::ids::{IfIndex, InstanceId, MacAddress};
use crate::time::{Instant, Interval};

use crate::wire::advert::Family;

use super::action::Action;

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
}

impl Target {
    const fn family(&self) -> Family {
        Family::of(self.address)
    }

    fn announce(&self) -> Action {
        Action::Announce {
            on: self.on,
            mac: self.mac,
            address: self.address,
        }
    }
}

/// Spaces packets on each interface.
#[derive(Debug, Default)]
pub struct Pacer {
    lanes: BTreeMap<Key, Lane>,
}

/// What has a spacing of its own: an interface and a family.
pub type Key = (IfIndex, Family);

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<(Target, u32)>,
    interval: Interval,
    /// When the next packet may leave.
    free_at: Instant,
}

impl Pacer {
    /// Asks for `repeat` packets for each target, as far apart as `garp` wants
    /// for its family.
    pub fn burst(
        &mut self,
        targets: &[Target],
        repeat: u32,
        garp: &Garp,
        actions: &mut VecDeque<Action>,
    ) {
        let interval_of = |target: &Target| match target.family() {
            Family::V4 => garp.interval,
            Family::V6 => garp.gna_interval,
        };
        let at_once = |target: &&Target| interval_of(target).is_zero();
        for _ in 0..repeat {
            actions.extend(targets.iter().filter(at_once).map(Target::announce));
        }
        for target in targets {
            let interval = interval_of(target);
            if interval.is_zero() {
                continue;
            }
            let lane = self.lanes.entry((target.on, target.family())).or_default();
            lane.interval = interval;
            match lane.waiting.iter_mut().find(|(other, _)| other == target) {
                Some((_, left)) => *left = repeat.max(*left),
                None if repeat > 0 => lane.waiting.push_back((*target, repeat)),
                None => {}
            }
        }
    }

    /// Sends what may leave at `now` on this interface. Returns when to call
    /// again, if anything waits.
    pub fn send_due(
        &mut self,
        key: Key,
        now: Instant,
        actions: &mut VecDeque<Action>,
    ) -> Option<Instant> {
        let lane = self.lanes.get_mut(&key)?;
        if lane.free_at <= now {
            let (target, left) = lane.waiting.pop_front()?;
            actions.push_back(target.announce());
            lane.free_at = now + lane.interval;
            if left > 1 {
                lane.waiting.push_back((target, left.saturating_sub(1)));
            }
        }
        (!lane.waiting.is_empty()).then_some(lane.free_at)
    }

    /// Forgets what waits for an instance that is no longer MASTER.
    pub fn cancel(&mut self, owner: InstanceId) {
        for lane in self.lanes.values_mut() {
            lane.waiting.retain(|(target, _)| target.owner != owner);
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

#[cfg(test)]
mod tests {
    use super::*;

    const LANE: Key = (IfIndex(2), Family::V4);

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
    fn a_burst_goes_round_all_vips() {
        let mut actions = VecDeque::new();
        Pacer::default().burst(&[target(1), target(2)], 2, &spaced(0), &mut actions);
        assert_eq!(addresses(&mut actions), [1, 2, 1, 2]);
    }

    #[test]
    fn a_spaced_burst_sends_one_packet_each_time() {
        let (mut pacer, mut actions) = (Pacer::default(), VecDeque::new());
        let gap = Interval::from_ms(1);
        let spacing = spaced(1);
        pacer.burst(&[target(1), target(2)], 2, &spacing, &mut actions);
        pacer.burst(&[target(1)], 2, &spacing, &mut actions);
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
        pacer.burst(&[target(1)], 3, &spaced(1), &mut actions);
        assert_eq!(pacer.busy().collect::<Vec<_>>(), [LANE]);
        pacer.cancel(InstanceId(0));
        assert_eq!(pacer.busy().count(), 0);
        assert_eq!(pacer.send_due(LANE, Instant::ZERO, &mut actions), None);
        assert!(actions.is_empty());
    }
}
