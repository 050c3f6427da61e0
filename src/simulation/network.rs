//! The wires between nodes: what arrives, when, and how often.
//!
//! Decides per direction of each pair of nodes. Does not know what the bytes
//! mean, nor which sockets are open.

use crate::time::{Instant, Interval};

use super::random::Random;

/// How good a wire is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quality {
    /// How many of a million datagrams are lost.
    pub loss_per_million: u32,
    /// How many of a million arrive twice.
    pub twice_per_million: u32,
    /// How many of a million are overtaken by later ones.
    pub late_per_million: u32,
    /// The least time on the way.
    pub delay: Interval,
    /// How much longer it may take.
    pub jitter: Interval,
}

impl Quality {
    /// A switch in a rack.
    pub const GOOD: Self = Self {
        loss_per_million: 0,
        twice_per_million: 0,
        late_per_million: 0,
        delay: Interval::from_us(100),
        jitter: Interval::ZERO,
    };
}

#[derive(Debug, Clone, Copy)]
struct Wire {
    quality: Quality,
    cut: bool,
    /// When the last datagram arrives: the next one does not overtake it.
    last: Instant,
}

/// All wires.
#[derive(Debug, Clone)]
pub struct Network {
    nodes: usize,
    segments: usize,
    wires: Vec<Wire>,
}

impl Network {
    /// Good wires between so many nodes, in so many segments.
    pub fn new(nodes: usize, segments: usize) -> Self {
        let wire = Wire {
            quality: Quality::GOOD,
            cut: false,
            last: Instant::ZERO,
        };
        Self {
            nodes,
            segments,
            wires: vec![wire; nodes.saturating_mul(nodes).saturating_mul(segments)],
        }
    }

    /// The wires of one direction, one for each segment.
    fn wires(&mut self, from: usize, to: usize) -> impl Iterator<Item = &mut Wire> {
        let first = from.saturating_mul(self.nodes).saturating_add(to);
        let first = first.saturating_mul(self.segments);
        self.wires.iter_mut().skip(first).take(self.segments)
    }

    /// Cuts or mends one direction.
    pub fn set_cut(&mut self, from: usize, to: usize, cut: bool) {
        self.wires(from, to).for_each(|wire| wire.cut = cut);
    }

    /// Cuts or mends one direction in one segment only.
    pub fn set_leg_cut(&mut self, from: usize, to: usize, segment: usize, cut: bool) {
        if let Some(wire) = self.wires(from, to).nth(segment) {
            wire.cut = cut;
        }
    }

    /// Sets how good one direction is.
    pub fn set_quality(&mut self, from: usize, to: usize, quality: Quality) {
        self.wires(from, to).for_each(|wire| wire.quality = quality);
    }

    /// Sets how good all wires are.
    pub fn set_all(&mut self, quality: Quality) {
        for wire in &mut self.wires {
            wire.quality = quality;
        }
    }

    /// When a datagram that leaves at `now` in this segment arrives: never, once
    /// or twice.
    pub fn arrivals(
        &mut self,
        now: Instant,
        (from, to, segment): (usize, usize, usize),
        random: &mut Random,
    ) -> [Option<Instant>; 2] {
        let wire = self.wires(from, to).nth(segment);
        let Some(wire) = wire.filter(|wire| !wire.cut) else {
            return [None, None];
        };
        let quality = wire.quality;
        if random.per_million(quality.loss_per_million) {
            return [None, None];
        }
        let copies = if random.per_million(quality.twice_per_million) {
            2
        } else {
            1
        };
        let mut arrivals = [None, None];
        for arrival in arrivals.iter_mut().take(copies) {
            let way = quality.delay + random.span(quality.jitter);
            *arrival = Some(if random.per_million(quality.late_per_million) {
                now + way + quality.delay.times(10) + quality.jitter.times(3)
            } else {
                wire.last = (now + way).max(wire.last);
                wire.last
            });
        }
        arrivals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_late_and_doubled_follows_the_quality() {
        let mut random = Random::new(1);
        let mut network = Network::new(2, 2);
        let at = |us| Some(Instant::from_us(us));
        let way = (0, 1, 0);
        let arrived = network.arrivals(Instant::ZERO, way, &mut random);
        assert_eq!(arrived, [at(100), None]);
        network.set_cut(0, 1, true);
        assert_eq!(network.arrivals(Instant::ZERO, way, &mut random), [None; 2]);
        let back = network.arrivals(Instant::ZERO, (1, 0, 0), &mut random);
        assert_eq!(back, [at(100), None], "the other direction");
        network.set_cut(0, 1, false);
        network.set_leg_cut(0, 1, 1, true);
        let other = network.arrivals(Instant::ZERO, (0, 1, 1), &mut random);
        assert_eq!(other, [None; 2], "the other wire");
        network.set_cut(0, 1, false);
        let always = 1_000_000;
        let late = Quality {
            late_per_million: always,
            twice_per_million: always,
            ..Quality::GOOD
        };
        network.set_quality(0, 1, late);
        let arrived = network.arrivals(Instant::ZERO, way, &mut random);
        assert_eq!(arrived, [at(1_100), at(1_100)]);
        let lossy = Quality {
            loss_per_million: always,
            ..Quality::GOOD
        };
        network.set_all(lossy);
        assert_eq!(network.arrivals(Instant::ZERO, way, &mut random), [None; 2]);
    }
}
