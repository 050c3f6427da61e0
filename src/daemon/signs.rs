//! What the worker says of itself while it turns: that it does, and where its
//! instances stand.
//!
//! Decides when and in which words; who listens are the supervisor's watch
//! (`supervisor/pulse.rs`) and, through it, systemd (`STATUS=`).

use std::collections::BTreeMap;

use crate::time::{Instant, Interval};
use crate::vrrp::engine::Engine;
use crate::vrrp::state_machine::State;

/// How often the worker says that it turns.
const EVERY: Interval = Interval::from_secs(1);

/// How long changes are gathered before they are told.
const GATHER: Interval = Interval::from_ms(100);

/// When something is to be said next.
#[derive(Debug, Default)]
pub struct Signs {
    /// `None` before the first turn: at once.
    life_at: Option<Instant>,
    states_at: Option<Instant>,
    /// What was said of the instances last.
    said: String,
}

impl Signs {
    /// An instance has changed its state at `now`.
    pub fn changed(&mut self, now: Instant) {
        self.states_at.get_or_insert(now + GATHER);
    }

    /// When there is something to say.
    pub fn deadline(&self) -> Instant {
        let life_at = self.life_at.unwrap_or(Instant::ZERO);
        self.states_at.map_or(life_at, |at| at.min(life_at))
    }

    /// Nothing can be said at `now`, as nobody reads: not before the next time.
    pub fn put_off(&mut self, now: Instant) {
        self.life_at = Some(now + EVERY);
        self.states_at = self.states_at.map(|at| at.max(now + EVERY));
    }

    /// Whether a sign of life is due; if so, it is taken as given.
    pub fn life_is_due(&mut self, now: Instant) -> bool {
        let due = self.life_at.is_none_or(|at| at <= now);
        if due {
            self.life_at = Some(now + EVERY);
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
    fn life_is_told_once_a_second() {
        let mut signs = Signs::default();
        let now = Instant::ZERO + Interval::from_secs(100);
        assert!(signs.deadline() <= now);
        assert!(signs.life_is_due(now));
        assert!(!signs.life_is_due(now + Interval::from_ms(999)));
        assert_eq!(signs.deadline(), now + EVERY);
        signs.changed(now);
        signs.changed(now + Interval::from_ms(50));
        assert_eq!(signs.deadline(), now + GATHER);
        assert!(signs.life_is_due(now + EVERY));
    }
}
