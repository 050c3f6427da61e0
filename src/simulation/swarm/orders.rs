//! Orders of an administrator at random, drawn apart from the rest of a world.

use crate::time::Instant;
use crate::vrrp::orders::Order;

use super::super::faults::{Fault, Timed};
use super::super::random::Random;
use super::Plan;

/// Any number: another beginning of the same seed.
const ORDERS: u64 = 0x6f72_6465_7273_0000;

impl Plan {
    /// In a quarter of all worlds somebody gives orders.
    pub(super) fn add_orders(&mut self) {
        let mut random = Random::new(self.seed ^ ORDERS);
        if !random.percent(25) {
            return;
        }
        let span = self.heal_at.since(Instant::ZERO);
        let count = u64::try_from(self.configs.len()).unwrap_or(2);
        for _ in 0..random.between(1, 6) {
            let node = usize::try_from(random.below(count)).unwrap_or(0);
            let Some(config) = self.configs.get(node) else {
                continue;
            };
            let Some(name) = random.pick(&config.instances).map(|it| it.name.clone()) else {
                continue;
            };
            let at = Instant::ZERO + random.span(span);
            let order = any(name, &mut random);
            let fault = Fault::Order { node, order };
            self.faults.push(Timed { at, fault });
        }
    }
}

fn any(name: String, random: &mut Random) -> Order {
    match random.below(10) {
        0..=4 => Order::Drain {
            instance: random.percent(70).then_some(name),
            force: random.percent(60),
        },
        5 | 6 => Order::Resume {
            instance: random.percent(70).then_some(name),
        },
        7 | 8 => Order::Priority {
            instance: name,
            priority: match random.percent(80) {
                true => u8::try_from(random.between(1, 254)).ok(),
                false => None,
            },
            seconds: random.percent(50).then(|| random.between(1, 5)),
        },
        _ => Order::Announce { instance: name },
    }
}
