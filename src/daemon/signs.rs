//! What the worker says of itself while it turns: that it does, and where its
//! instances stand.
//!
//! Decides when and in which words; who listens are the supervisor's watch
//! (`supervisor/pulse.rs`) and, through it, systemd (`STATUS=`).

use std::collections::BTreeMap;

use crate::time::{Instant, Interval};
use crate::vrrp::engine::Engine;
use crate::vrrp::state_machine::State;

/// For how long one sign of life is good. Less than two seconds, the shortest
/// `worker_stall_limit`: what is left of it is looked at closely.
pub const LIFE_SPAN: Interval = Interval::from_ms(1_750);

/// With nothing else to do the worker wakes up after so long to give one. Longer than
/// the advert interval that most have, so that it seldom has to.
const LIFE_EVERY: Interval = Interval::from_ms(1_500);

/// A sign that is so fresh needs no other: a busy worker gives ten in a second.
const LIFE_GAP: Interval = Interval::from_ms(100);

/// How long a supervisor that does not read is left alone.
const PUT_OFF: Interval = Interval::from_secs(1);

/// How long changes are gathered before they are told.
const GATHER: Interval = Interval::from_ms(100);

/// So long after the last change of a state nothing that followed from it is under way
/// any more, with settings that are usual: the second burst of gratuitous ARP comes five
/// seconds later.
const CALM: Interval = Interval::from_secs(8);

/// When something is to be said next.
#[derive(Debug, Default)]
pub struct Signs {
    /// When it gave a sign of life last.
    lived_at: Option<Instant>,
    states_at: Option<Instant>,
    /// What was said of the instances last.
    said: String,
    /// When it has been calm for long enough, after changes.
    calm_at: Option<Instant>,
}

impl Signs {
    /// An instance has changed its state at `now`.
    pub fn changed(&mut self, now: Instant) {
        self.states_at.get_or_insert(now + GATHER);
        self.calm_at = Some(now + CALM);
    }

    /// Whether all changes are over, for the first time after them.
    pub fn has_calmed_down(&mut self, now: Instant) -> bool {
        self.calm_at.take_if(|at| *at <= now).is_some()
    }

    /// When there is something to say.
    pub fn deadline(&self) -> Instant {
        let life_at = self.lived_at.map_or(Instant::ZERO, |at| at + LIFE_EVERY);
        let others = [self.states_at, self.calm_at].into_iter().flatten();
        others.fold(life_at, Ord::min)
    }

    /// Nothing can be said at `now`, as nobody reads: later.
    pub fn put_off(&mut self, now: Instant) {
        self.states_at = self.states_at.map(|at| at.max(now + PUT_OFF));
    }

    /// Whether a sign of life is due in this turn; if so, it is taken as given.
    pub fn life_is_due(&mut self, now: Instant) -> bool {
        let due = self.lived_at.is_none_or(|at| at + LIFE_GAP <= now);
        if due {
            self.lived_at = Some(now);
        }
        due
    }

    /// Whether it is time to tell where the instances stand.
    pub fn states_are_due(&self, now: Instant) -> bool {
        self.states_at.is_some_and(|at| at <= now)
    }

    /// Where the instances stand, if that is due and news.
    pub fn states(&mut self, now: Instant, engine: &Engine) -> Option<String> {
        self.states_at.take_if(|at| *at <= now)?;
        let states = engine
            .instances()
            .map(|it| (it.config.name.as_str(), it.state));
        let text = line_of(states);
        if text == self.said {
            return None;
        }
        self.said.clone_from(&text);
        Some(text)
    }
}

/// `VI_1 MASTER` for one, `2 MASTER, 1 BACKUP, 0 FAULT` for several.
fn line_of<'n>(states: impl Iterator<Item = (&'n str, State)>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut first = None;
    let mut several = false;
    for (name, state) in states {
        several |= first.replace((name, state)).is_some();
        let count = counts.entry(state.to_string()).or_default();
        *count = count.saturating_add(1);
    }
    match first {
        None => String::new(),
        Some((name, state)) if !several => format!("{name} {state}"),
        Some(_) => {
            let shown = [State::Master, State::Backup, State::Fault].map(|state| {
                let name = state.to_string();
                let count = counts.remove(&name).unwrap_or(0);
                format!("{count} {name}")
            });
            // Those that have not begun, say.
            let others = counts.iter().map(|(name, count)| format!("{count} {name}"));
            let all: Vec<String> = shown.into_iter().chain(others).collect();
            all.join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instance_is_named_and_several_are_counted() {
        assert_eq!(
            line_of([("VI_1", State::Master)].into_iter()),
            "VI_1 MASTER"
        );
        let several = [
            ("A", State::Master),
            ("B", State::Backup),
            ("C", State::Master),
        ];
        let text = "2 MASTER, 1 BACKUP, 0 FAULT";
        assert_eq!(line_of(several.into_iter()), text);
        let early = [("A", State::Init), ("B", State::Fault)];
        let text = "0 MASTER, 0 BACKUP, 1 FAULT, 1 INIT";
        assert_eq!(line_of(early.into_iter()), text);
    }

    #[test]
    fn signs_of_life_go_with_other_turns_and_come_before_the_last_one_ends() {
        let mut signs = Signs::default();
        let now = Instant::ZERO + Interval::from_secs(100);
        assert!(signs.deadline() <= now);
        assert!(signs.life_is_due(now));
        assert!(!signs.life_is_due(now + Interval::from_ms(99)));
        assert_eq!(signs.deadline(), now + LIFE_EVERY);
        assert!(signs.life_is_due(now + Interval::from_ms(100)));
        let now = now + Interval::from_ms(100);
        assert!(now + LIFE_EVERY < now + LIFE_SPAN);
        signs.changed(now);
        signs.changed(now + Interval::from_ms(50));
        assert_eq!(signs.deadline(), now + GATHER);
        signs.put_off(now);
        assert_eq!(signs.deadline(), now + PUT_OFF);
    }
}
