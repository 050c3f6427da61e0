//! Check scripts: when they run, and what follows from how they end.
//!
//! What a result means for the standing of a script is in `tracking.rs`; what a
//! standing means for an instance, in `instance/`. Source: specification D.2.

use std::sync::Arc;

use crate::config::model::Script;
use crate::ids::ScriptId;
use crate::time::Instant;

use super::super::action::{Action, Transmit};
use super::super::event::Outcome;
use super::super::instance::TimerKey;
use super::super::log_lines::{LogLine, ScriptLine};
use super::super::snapshot::ScriptResult;
use super::super::tracking::Run;
use super::{Engine, Phase};

impl Engine {
    /// A script that is the same in both configurations keeps its results; one
    /// that is not wanted any more is ended, and not waited for. With another interval
    /// or timeout it waits from the same beginning.
    pub(super) fn adopt_scripts(&mut self, now: Instant, wanted: &[Arc<Script>]) {
        let adopted = self.scripts.adopt(wanted);
        for (id, tracked) in adopted.gone {
            self.end_script(id, tracked.run);
        }
        for (id, old) in adopted.retimed {
            let Some(tracked) = self.scripts.get_mut(id) else {
                continue;
            };
            let new = Arc::clone(&tracked.script);
            for (key, old, new) in [
                (TimerKey::ScriptStart(id), old.interval, new.interval),
                (TimerKey::ScriptTimeout(id), old.timeout, new.timeout),
            ] {
                if let Some(deadline) = self.timers.deadline_of(key).filter(|_| old != new) {
                    self.timers.arm(key, (deadline + new - old).max(now));
                }
            }
        }
    }

    pub(super) fn start_scripts(&mut self, now: Instant) {
        for (id, tracked) in self.scripts.iter() {
            let key = TimerKey::ScriptStart(id);
            if tracked.run == Run::Idle && self.timers.deadline_of(key).is_none() {
                self.timers.arm(key, now);
            }
        }
    }

    /// No more runs of any script.
    pub(super) fn end_scripts(&mut self) {
        let runs = self.scripts.iter().map(|(id, tracked)| (id, tracked.run));
        let runs: Vec<(ScriptId, Run)> = runs.collect();
        for (id, run) in runs {
            self.end_script(id, run);
        }
    }

    pub(super) fn script_due(
        &mut self,
        id: ScriptId,
        deadline: Instant,
        now: Instant,
        tx: &mut impl Transmit,
    ) {
        // The limit of a run is the interval unless it is said otherwise: of two
        // things that are due together, the last run ends before the next begins.
        let limit = self.timers.deadline_of(TimerKey::ScriptTimeout(id));
        if limit.is_some_and(|limit| limit <= now) {
            self.timers.disarm(TimerKey::ScriptTimeout(id));
            self.script_timed_out(now, id, tx);
        }
        let Some(tracked) = self.scripts.get_mut(id) else {
            return;
        };
        let script = Arc::clone(&tracked.script);
        // From the deadline, so that the period does not drift; after a stall
        // from now, so that the missed runs are not made up for.
        let next = (deadline + script.interval).max(now);
        self.timers.arm(TimerKey::ScriptStart(id), next);
        if tracked.run != Run::Idle {
            let timing_out = tracked.run == Run::TimingOut;
            tracked.overdue = timing_out;
            let line = ScriptLine::Skipped { timing_out };
            return self.log(LogLine::Script(script.name.clone(), line));
        }
        tracked.run = Run::Running;
        tracked.began = Some(now);
        self.timers
            .arm(TimerKey::ScriptTimeout(id), now + script.timeout);
        self.actions.push_back(Action::Run {
            id,
            command: script.command.clone(),
        });
    }

    pub(super) fn script_timed_out(&mut self, now: Instant, id: ScriptId, tx: &mut impl Transmit) {
        let Some(tracked) = self.scripts.get_mut(id) else {
            return;
        };
        if tracked.run != Run::Running {
            return;
        }
        tracked.run = Run::TimingOut;
        tracked.last = Some((ScriptResult::TimedOut, now));
        let name = tracked.script.name.clone();
        let changed = tracked.count(false);
        self.actions.push_back(Action::End(id));
        if changed {
            self.log(LogLine::Script(name, ScriptLine::TimedOut));
            self.evaluate_all(now, tx);
        }
    }

    pub(super) fn script_ended(
        &mut self,
        now: Instant,
        id: ScriptId,
        outcome: Outcome,
        tx: &mut impl Transmit,
    ) {
        let Some(tracked) = self.scripts.get_mut(id) else {
            return;
        };
        let run = std::mem::replace(&mut tracked.run, Run::Idle);
        let overdue = std::mem::take(&mut tracked.overdue);
        tracked.note_end(outcome, now);
        self.timers.disarm(TimerKey::ScriptTimeout(id));
        if self.phase != Phase::Running {
            return;
        }
        if overdue {
            // The run that could not begin in time is made up for, so that a
            // recovery is seen as early as with a script that does not hang.
            self.timers.arm(TimerKey::ScriptStart(id), now);
        }
        // A run that timed out has been counted; one that nobody asked for has not.
        if run != Run::Running {
            return;
        }
        tracked.last = Some((ScriptResult::Ended(outcome), now));
        let name = tracked.script.name.clone();
        let status = tracked.note_status(outcome);
        let success = outcome == Outcome::Exited(0);
        let changed = tracked.count(success);
        if let Some(status) = status {
            self.log(LogLine::Script(name.clone(), ScriptLine::Returns(status)));
        }
        if changed {
            let line = match success {
                true => ScriptLine::Succeeded,
                false => ScriptLine::Failed(outcome),
            };
            self.log(LogLine::Script(name, line));
            self.evaluate_all(now, tx);
        }
    }

    /// No more runs; one that is under way is ended, and not waited for.
    fn end_script(&mut self, id: ScriptId, run: Run) {
        self.timers.disarm(TimerKey::ScriptStart(id));
        self.timers.disarm(TimerKey::ScriptTimeout(id));
        if run == Run::Running {
            self.actions.push_back(Action::End(id));
        }
    }
}
