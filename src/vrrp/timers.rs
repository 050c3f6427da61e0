//! Deadlines: one heap for all, re-armed lazily.
//!
//! Moving a deadline further away, which each advert of a master does to each
//! of its backups, touches one map entry and not the heap: the heap entry that
//! fires too early is put back. A deadline that moves nearer gets a new entry,
//! and the old one is dropped when it surfaces. Nobody is to wake up for an entry that is
//! put back only: of few deadlines the first is always true, and of many the entries of a
//! while ahead are put back together.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;

use crate::time::{Instant, Interval};

/// So many entries are few. With more, others are up and about all the time.
const FEW: usize = 64;

/// Who looks for what is due puts entries back that are so far ahead, too: adverts come in
/// bursts, and so do the entries that they have moved deadlines away from. One look is
/// enough for all of them then.
const AHEAD: Interval = Interval::from_ms(100);

/// After all deadlines.
const NEVER: Instant = Instant::from_us(u64::MAX);

/// The deadlines of things named by `K`.
#[derive(Debug)]
pub struct Timers<K> {
    heap: BinaryHeap<Reverse<(Instant, K)>>,
    armed: HashMap<K, Armed>,
}

#[derive(Debug, Clone, Copy)]
struct Armed {
    /// When it is due.
    deadline: Instant,
    /// The earliest entry that the heap holds for it; never after `deadline`.
    queued: Instant,
}

impl<K: Copy + Ord + Hash> Timers<K> {
    /// No deadlines.
    pub fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            armed: HashMap::new(),
        }
    }

    /// Sets the deadline of `key`, in place of any it had.
    pub fn arm(&mut self, key: K, deadline: Instant) {
        if self.armed.is_empty() {
            // What is left belongs to nothing, and may be long past.
            self.heap.clear();
        }
        let armed = self.armed.entry(key).or_insert(Armed {
            deadline,
            queued: NEVER,
        });
        armed.deadline = deadline;
        if armed.queued > deadline {
            armed.queued = deadline;
            self.heap.push(Reverse((deadline, key)));
        }
        self.settle_few();
    }

    /// Takes the deadline of `key` away, if it had one.
    pub fn disarm(&mut self, key: K) {
        self.armed.remove(&key);
        self.settle_few();
    }

    /// The deadline of `key`.
    pub fn deadline_of(&self, key: K) -> Option<Instant> {
        self.armed.get(&key).map(|armed| armed.deadline)
    }

    /// Has room for a few more than there are.
    pub fn shrink(&mut self) {
        let (queued, armed) = (self.heap.len(), self.armed.len());
        self.heap.shrink_to(queued.saturating_add(queued / 8));
        self.armed.shrink_to(armed.saturating_add(armed / 8));
    }

    /// When to look again: never later than the first deadline, and after
    /// `pop_due` has returned `None` never in the past.
    pub fn next(&self) -> Option<Instant> {
        if self.armed.is_empty() {
            return None;
        }
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// What is due first, if that is by `until`. Unlike `next` it looks behind entries of
    /// the heap that deadlines have moved away from.
    pub fn first_by(&mut self, until: Instant) -> Option<(K, Instant)> {
        self.settle(until + AHEAD);
        let &Reverse((at, key)) = self.heap.peek()?;
        (at <= until).then_some((key, at))
    }

    /// Puts entries back, or drops them, until the first one is true or after `until`.
    fn settle(&mut self, until: Instant) {
        while let Some(mut first) = self.heap.peek_mut() {
            let Reverse((at, key)) = *first;
            if at > until {
                return;
            }
            match self.armed.get_mut(&key) {
                Some(armed) if armed.queued == at && armed.deadline == at => return,
                Some(armed) if armed.queued == at => {
                    armed.queued = armed.deadline;
                    *first = Reverse((armed.deadline, key));
                }
                _ => {
                    PeekMut::pop(first);
                }
            }
        }
    }

    fn settle_few(&mut self) {
        if self.heap.len() <= FEW {
            self.settle(NEVER);
        }
    }

    /// What `next` may belong to.
    pub fn next_key(&self) -> Option<K> {
        self.heap.peek().map(|Reverse((_, key))| *key)
    }

    /// Takes out the first deadline that is due at `now`. Deadlines of the
    /// same time come in the order of their keys.
    pub fn pop_due(&mut self, now: Instant) -> Option<(K, Instant)> {
        let due = self.first_by(now)?;
        self.heap.pop();
        self.armed.remove(&due.0);
        Some(due)
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(us: u64) -> Instant {
        Instant::from_us(us)
    }

    #[test]
    fn a_deadline_that_moved_fires_once_at_its_last_place() {
        let mut timers = Timers::new();
        timers.arm('a', at(10));
        timers.arm('a', at(30));
        timers.arm('a', at(20));
        assert_eq!(timers.pop_due(at(19)), None);
        assert_eq!(timers.pop_due(at(20)), Some(('a', at(20))));
        assert_eq!(timers.pop_due(at(100)), None);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_disarmed_deadline_does_not_fire() {
        let mut timers = Timers::new();
        timers.arm('a', at(10));
        timers.disarm('a');
        assert_eq!(timers.next(), None);
        timers.arm('a', at(40));
        assert_eq!(timers.pop_due(at(39)), None);
        assert_eq!(timers.pop_due(at(40)), Some(('a', at(40))));
    }

    #[test]
    fn the_first_is_told_before_it_is_due_and_wherever_it_has_moved() {
        let mut timers = Timers::new();
        timers.arm('a', at(10));
        timers.arm('b', at(20));
        timers.arm('a', at(30));
        assert_eq!(timers.first_by(at(19)), None, "one of 10 is not there");
        assert_eq!(timers.first_by(at(25)), Some(('b', at(20))));
        assert_eq!(timers.next_key(), Some('b'));
        timers.disarm('b');
        assert_eq!(timers.first_by(at(29)), None);
        assert_eq!(timers.first_by(at(30)), Some(('a', at(30))));
        assert_eq!(timers.pop_due(at(29)), None, "telling takes nothing out");
        assert_eq!(timers.pop_due(at(30)), Some(('a', at(30))));
    }

    #[test]
    fn what_was_disarmed_long_ago_wakes_nobody() {
        let mut timers = Timers::new();
        timers.arm('a', at(10));
        timers.disarm('a');
        timers.arm('a', at(50));
        assert_eq!(timers.next(), Some(at(50)));
        assert_eq!(timers.pop_due(at(50)), Some(('a', at(50))));
    }

    #[test]
    fn many_that_moved_together_wake_nobody_one_by_one() {
        const ADVERT: u64 = 1_000_000;
        let mut timers = Timers::new();
        let count = FEW as u64 * 2;
        for moved in [0, ADVERT] {
            for key in 0..count {
                timers.arm(key, at(3 * ADVERT + key * 100 + moved));
            }
        }
        let now = at(3 * ADVERT);
        assert_eq!(timers.next(), Some(now), "the heap was not touched");
        assert_eq!(timers.first_by(now), None);
        assert_eq!(timers.next(), Some(at(4 * ADVERT)));
    }

    #[test]
    fn few_wake_nobody_in_vain() {
        let mut timers = Timers::new();
        let count = FEW - 1;
        for key in 0..count {
            timers.arm(key, at(100));
        }
        timers.arm(0, at(10));
        assert_eq!(timers.next(), Some(at(10)));
        timers.arm(0, at(200));
        timers.disarm(1);
        assert_eq!(timers.next(), Some(at(100)));
        for key in 2..count {
            timers.arm(key, at(200));
        }
        assert_eq!(timers.next(), Some(at(200)));
    }

    proptest! {
        /// Against the obvious model: a map that is searched.
        #[test]
        fn agrees_with_a_plain_map(steps in prop::collection::vec((0u8..4, 0u8..5, 0u64..50), 1..200)) {
            let mut timers = Timers::new();
            let mut model = std::collections::BTreeMap::new();
            let mut now = 0;
            for (what, key, span) in steps {
                match what {
                    0 | 1 => {
                        timers.arm(key, at(now + span));
                        model.insert(key, now + span);
                    }
                    2 => {
                        timers.disarm(key);
                        model.remove(&key);
                    }
                    _ => {
                        now += span;
                        let mut fired = Vec::new();
                        while let Some((key, deadline)) = timers.pop_due(at(now)) {
                            fired.push((deadline.as_us(), key));
                        }
                        let mut due: Vec<_> = model.iter().filter(|&(_, &when)| when <= now).map(|(&key, &when)| (when, key)).collect();
                        due.sort_unstable();
                        model.retain(|_, &mut when| when > now);
                        prop_assert_eq!(fired, due);
                        prop_assert!(timers.next().is_none_or(|next| next > at(now)));
                    }
                }
                let first = model.values().min().copied();
                prop_assert!(timers.next().map(Instant::as_us) <= first || first.is_none());
            }
        }
    }
}
