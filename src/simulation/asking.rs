//! A second opinion on `fast_handover` (docs/operating/fast-handover.md).
//!
//! A master that stays may say priority 0 only when its priority falls below one that
//! it has heard, or when it is drained (docs/operating/drain.md), and says its own again
//! a skew time later, unless somebody speaks to it or its priority rises before.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::model::Instance;
use crate::ids::Priority;
use crate::time::{Instant, Interval};
use crate::vrrp::state_machine::State;

use super::heard::Heard;
use super::monitor::{Cause, Turn};

/// What is known of the questions of one instance.
#[derive(Debug, Clone, Default)]
pub struct Asking {
    /// The priority that each sender said last and has not taken back by leaving.
    peers: BTreeMap<IpAddr, Priority>,
    /// When it asked, and when it speaks again.
    until: Option<(Instant, Instant)>,
}

/// One turn of the instance, in which the turn of the daemon is contained.
pub struct Step<'a> {
    /// Its configuration.
    pub config: &'a Instance,
    /// The states before and after.
    pub states: [State; 2],
    /// The priorities before and after.
    pub priorities: [Priority; 2],
    /// The advert that was accepted.
    pub heard: Option<Heard>,
    /// The skew time of the new priority.
    pub skew: Interval,
    /// Somebody took a VIP away, and `vip_loss reelect` is set.
    pub is_reelected: bool,
}

impl Asking {
    /// Takes a turn in: what was wrong with it.
    pub fn judge(&mut self, step: &Step<'_>, turn: &Turn<'_>) -> Option<String> {
        if let Some(heard) = step.heard {
            self.hear(heard);
        }
        let said = said(step.config, turn);
        let asks = said.contains(&Priority::ZERO);
        if step.states != [State::Master; 2] {
            self.until = None;
            // A late turn may bring the takeover and the lower priority at once.
            if asks && step.states[1] == State::Master {
                self.until = Some((turn.now, turn.now + step.skew));
                return self.judge_question(step, &said, turn);
            }
            let lets_go = step.states == [State::Master, State::Backup] && asks;
            let lets_go = lets_go && !step.is_reelected;
            return lets_go.then(|| "let go before anybody better had spoken".to_owned());
        }
        if asks {
            self.until = Some((turn.now, turn.now + step.skew));
            return self.judge_question(step, &said, turn);
        }
        self.judge_end(step, !said.is_empty(), turn)
    }

    /// While it asks: when it speaks again.
    pub fn until(&self) -> Option<Instant> {
        self.until.map(|(_, until)| until)
    }

    /// The same if it has asked at `now`.
    pub fn asked_at(&self, now: Instant) -> Option<Instant> {
        let (_, until) = self.until.filter(|(asked, _)| *asked == now)?;
        Some(until)
    }

    fn hear(&mut self, heard: Heard) {
        if heard.priority.0 == 0 {
            self.peers.remove(&heard.source);
        } else {
            self.peers.insert(heard.source, heard.priority);
        }
    }

    fn judge_question(
        &self,
        step: &Step<'_>,
        said: &[Priority],
        turn: &Turn<'_>,
    ) -> Option<String> {
        let [from, to] = step.priorities;
        // A group asks when the last of its members falls; this one may have fallen before.
        let fell = to < from || turn.group.is_some() && to == from;
        let is_known = self.peers.values().any(|theirs| *theirs > to);
        let zeros = said.iter().filter(|said| **said == Priority::ZERO).count();
        let once = zeros <= step.config.destinations().count();
        // Who is drained asks in any case.
        let name = &step.config.name;
        let is_drained = matches!(turn.cause, Cause::Order { drained } if drained.contains(name));
        let may = match is_drained && to == Priority(1) {
            true => once,
            false => step.config.fast_handover && fell && is_known && once,
        };
        (!may).then(|| format!("asked others to take over, from {from} to {to}: {said:?}"))
    }

    fn judge_end(&mut self, step: &Step<'_>, speaks: bool, turn: &Turn<'_>) -> Option<String> {
        let (asked, until) = self.until?;
        let [from, to] = step.priorities;
        if speaks && step.heard.is_some() && to <= from {
            // An answer to a lower advert: those who are better than both still wait
            // their skew time, so the question stays open until the next advert.
            self.until = Some((asked, turn.now + step.config.advert_interval));
            return None;
        }
        if speaks {
            self.until = None;
            let late = matches!(
                turn.cause,
                Cause::Time { late: true } | Cause::Report { .. }
            );
            let may = turn.now == until || to > from || late;
            return (!may).then(|| format!("spoke again, but was due at {until:?}"));
        }
        let overdue = turn.now > until && matches!(turn.cause, Cause::Time { late: false });
        if overdue {
            self.until = None;
        }
        overdue.then(|| format!("did not speak again at {until:?}"))
    }
}

/// The priorities in the adverts that an instance sent in a turn.
fn said(config: &Instance, turn: &Turn<'_>) -> Vec<Priority> {
    let own = turn
        .left
        .iter()
        .filter(|left| left.vrid == config.vrid.get() && left.family == config.family());
    own.map(|left| left.priority).collect()
}
