//! What goes wrong in a world, and how it ends.

use crate::ids::Priority;
use crate::time::{Instant, Interval};

use super::super::edits::Edit;
use super::super::faults::{Fault, Timed};
use super::super::network::Quality;
use super::super::node::Behaviour;
use super::super::random::Random;
use super::super::world::World;
use super::texts::Features;
use super::{INTERFACES, Plan};

impl Plan {
    pub(super) fn make_faults(&mut self, features: &Features, random: &mut Random) {
        let span = self.heal_at.since(Instant::ZERO);
        let quality = Quality {
            loss_per_million: u32::try_from(random.below(200_000)).unwrap_or(0),
            twice_per_million: u32::try_from(random.below(50_000)).unwrap_or(0),
            late_per_million: u32::try_from(random.below(50_000)).unwrap_or(0),
            delay: Interval::from_us(random.between(20, 800)),
            jitter: Interval::from_us(random.below(2_000)),
        };
        if features.loss {
            let (at, fault) = (Instant::ZERO, Fault::Quality(quality));
            self.faults.push(Timed { at, fault });
        }
        for node in 0..self.configs.len() {
            let at = Instant::ZERO + random.span(Interval::from_us(span.as_us() / 5));
            let fault = Fault::Start(node);
            self.faults.push(Timed { at, fault });
        }
        for _ in 0..random.below(12) {
            let at = Instant::ZERO + random.span(span);
            self.add_fault(at, random);
        }
        self.add_strange_faults(features, random);
        if features.fast_handover {
            self.add_script_faults(random);
        }
        if features.watched.is_some() {
            self.add_watched_faults();
        }
        self.add_orders();
        self.faults.sort_by_key(|timed| timed.at);
    }

    /// Clocks that are set, and datagrams that come again or are forged.
    fn add_strange_faults(&mut self, features: &Features, random: &mut Random) {
        let span = self.heal_at.since(Instant::ZERO);
        let count = u64::try_from(self.configs.len()).unwrap_or(2);
        for _ in 0..random.below(5) {
            let at = Instant::ZERO + random.span(span);
            let node = usize::try_from(random.below(count)).unwrap_or(0);
            if features.clocks {
                // Where a clock that goes back is an error it goes on only.
                let grown = i64::try_from(at.as_us().saturating_mul(60)).unwrap_or(0);
                let any = i64::try_from(random.below(20_000_000)).unwrap_or(0);
                let ahead_us = if features.proof.wants_growing_time() {
                    grown
                } else if random.percent(30) {
                    grown.saturating_neg()
                } else {
                    any.saturating_sub(10_000_000)
                };
                let fault = Fault::Clock { node, ahead_us };
                self.faults.push(Timed { at, fault });
            }
            if features.replays {
                let later = at + random.span(span);
                self.faults.push(Timed {
                    at,
                    fault: Fault::Again(node),
                });
                self.faults.push(Timed {
                    at: later.min(self.heal_at),
                    fault: Fault::Forged(node),
                });
            }
        }
        self.keeps_clocks = features.proof.wants_growing_time();
    }

    /// The script of each node fails and works by turns.
    fn add_script_faults(&mut self, random: &mut Random) {
        let span = self.heal_at.since(Instant::ZERO);
        for (node, config) in self.configs.iter().enumerate() {
            let Some(script) = config.scripts.first() else {
                continue;
            };
            for status in [1, 0, 1, 0] {
                let fault = Fault::Script {
                    node,
                    script: script.name.clone(),
                    behaviour: Behaviour::Exits(status),
                };
                let at = Instant::ZERO + random.span(span);
                self.faults.push(Timed { at, fault });
            }
        }
    }

    /// One fault; what does not last is followed by its end.
    fn add_fault(&mut self, at: Instant, random: &mut Random) {
        let count = u64::try_from(self.configs.len()).unwrap_or(2);
        let node = usize::try_from(random.below(count)).unwrap_or(0);
        let other = usize::try_from(random.below(count)).unwrap_or(0);
        let span = self.heal_at.since(Instant::ZERO);
        let later = at + random.span(Interval::from_us(span.as_us() / 4));
        let interface = random.pick(&INTERFACES).copied();
        let interface = interface.unwrap_or("eth0").to_owned();
        let Some(config) = self.configs.get(node) else {
            return;
        };
        let Some(instance) = random.pick(&config.instances).cloned() else {
            return;
        };
        let script = random
            .pick(&config.scripts)
            .map(|script| script.name.clone());
        let address = random
            .pick(&instance.virtual_addresses)
            .map(|vip| vip.address);
        let priority = Priority(u8::try_from(random.between(1, 254)).unwrap_or(100));
        let heal_at = self.heal_at;
        let mut add = |at, fault| self.faults.push(Timed { at, fault });
        match random.below(13) {
            end @ 0..=2 => {
                let fault = match end {
                    0 => Fault::PowerOff(node),
                    1 => Fault::Kill(node),
                    _ => Fault::Stop(node),
                };
                add(at, fault);
                add(later, Fault::Start(node));
            }
            3 => add(at, Fault::Pause(node, later.since(at))),
            4 => link_faults([at, later], node, &interface, &mut add),
            5 => add(at, Fault::Recreate { node, interface }),
            6 => {
                if let Some(address) = address {
                    add(at, Fault::TakeAway { node, address });
                }
            }
            7 | 8 => {
                if let Some(script) = script {
                    script_faults([at, later], node, &script, random, &mut add);
                }
            }
            9 if random.percent(40) => {
                let segment = usize::try_from(random.below(2)).unwrap_or(0);
                leg_faults([at, later], [node, other], segment, random, &mut add);
            }
            9 => cut_faults([at, later], [node, other], random, &mut add),
            10 => {
                let takes = random.span(Interval::from_ms(500));
                add(at, Fault::KernelTakes(node, takes));
            }
            // The address owner stays what it is.
            11 if instance.priority.is_owner() => {}
            11 => {
                let name = instance.name.clone();
                let edit = match random.below(10) {
                    0 => Edit::Rename(name),
                    1 => Edit::Hasten(name),
                    2 | 3 => Edit::MoveAddress(name),
                    4 => Edit::Untrack(name),
                    _ => Edit::Priority(name, priority),
                };
                // Both nodes must agree in the end on all but priorities.
                if !matches!(edit, Edit::Priority(..)) {
                    let (at, edit) = (later.min(heal_at), Edit::Back);
                    add(at, Fault::Reload { node, edit });
                }
                add(at, Fault::Reload { node, edit });
            }
            _ => noise_faults(at, node, instance.vrid.get(), random, &mut add),
        }
    }

    /// The end of all faults: scripts stay as they are.
    pub(super) fn heal(&self, world: &mut World) {
        let at = self.heal_at;
        let count = self.configs.len();
        world.plan(at, Fault::Quality(Quality::GOOD));
        for node in 0..count {
            for to in (0..count).filter(|to| *to != node) {
                let (from, cut) = (node, false);
                world.plan(at, Fault::Cut { from, to, cut });
            }
            if !self.keeps_clocks {
                let ahead_us = 0;
                world.plan(at, Fault::Clock { node, ahead_us });
            }
            world.plan(at, Fault::KernelFails(node, 0));
            world.plan(at, Fault::KernelTakes(node, Interval::from_us(50)));
            for interface in INTERFACES {
                let (interface, up) = (interface.to_owned(), true);
                world.plan(
                    at,
                    Fault::Link {
                        node,
                        interface,
                        up,
                    },
                );
            }
            let last = match self.off.contains(&node) {
                true => Fault::PowerOff(node),
                false => Fault::Start(node),
            };
            world.plan(at, last);
        }
    }
}

/// A link that goes down and comes up.
fn link_faults(
    [at, later]: [Instant; 2],
    node: usize,
    interface: &str,
    add: &mut impl FnMut(Instant, Fault),
) {
    for (at, up) in [(at, false), (later, true)] {
        let interface = interface.to_owned();
        let fault = Fault::Link {
            node,
            interface,
            up,
        };
        add(at, fault);
    }
}

/// A script that behaves otherwise, twice.
fn script_faults(
    times: [Instant; 2],
    node: usize,
    script: &str,
    random: &mut Random,
    add: &mut impl FnMut(Instant, Fault),
) {
    let all = [Behaviour::Exits(0), Behaviour::Exits(1), Behaviour::Hangs];
    for at in times {
        let behaviour = random.pick(&all).copied().unwrap_or(Behaviour::Hangs);
        let script = script.to_owned();
        let fault = Fault::Script {
            node,
            script,
            behaviour,
        };
        add(at, fault);
    }
}

/// A way that is cut and mended, often both ways.
fn cut_faults(
    [at, later]: [Instant; 2],
    [node, other]: [usize; 2],
    random: &mut Random,
    add: &mut impl FnMut(Instant, Fault),
) {
    let both = random.percent(60);
    for (at, cut) in [(at, true), (later, false)] {
        let (from, to) = (node, other);
        add(at, Fault::Cut { from, to, cut });
        if both {
            let (from, to) = (other, node);
            add(at, Fault::Cut { from, to, cut });
        }
    }
}

/// The same for one wire of two.
fn leg_faults(
    [at, later]: [Instant; 2],
    [node, other]: [usize; 2],
    segment: usize,
    random: &mut Random,
    add: &mut impl FnMut(Instant, Fault),
) {
    let both = random.percent(60);
    for (at, cut) in [(at, true), (later, false)] {
        let (from, to) = (node, other);
        add(
            at,
            Fault::CutLeg {
                from,
                to,
                segment,
                cut,
            },
        );
        if both {
            let (from, to) = (other, node);
            add(
                at,
                Fault::CutLeg {
                    from,
                    to,
                    segment,
                    cut,
                },
            );
        }
    }
}

/// Datagrams that are none, sometimes with a kernel that refuses.
fn noise_faults(
    at: Instant,
    node: usize,
    vrid: u8,
    random: &mut Random,
    add: &mut impl FnMut(Instant, Fault),
) {
    if random.percent(50) {
        let count = u32::try_from(random.between(1, 3)).unwrap_or(1);
        add(at, Fault::KernelFails(node, count));
    }
    for _ in 0..5 {
        add(at, Fault::Noise { node, vrid });
    }
}
