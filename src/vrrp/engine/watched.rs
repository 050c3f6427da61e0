//! Tracked files and processes: what follows from what is told of them.
//!
//! What it means is in `vrrp/watched.rs`. Source: specification D.3, D.4.

use crate::config::model::{Config, TrackedFile, TrackedProcess};
use crate::ids::ProcessId;
use crate::time::Instant;

use super::super::action::Transmit;
use super::super::instance::TimerKey;
use super::super::log_lines::LogLine;
use super::super::watched::Counted;
use super::Engine;

impl Engine {
    /// What was known of the same files and processes stays known.
    pub(super) fn adopt_watched(&mut self, config: &Config) {
        for id in self.watched.adopt(config) {
            self.timers.disarm(TimerKey::ProcessDelay(id));
        }
    }

    pub(super) fn file_told(
        &mut self,
        now: Instant,
        file: &TrackedFile,
        value: i32,
        tx: &mut impl Transmit,
    ) {
        if self.watched.set_file(file, value) {
            self.evaluate_all(now, tx);
        }
    }

    pub(super) fn processes_told(
        &mut self,
        now: Instant,
        process: &TrackedProcess,
        count: u32,
        tx: &mut impl Transmit,
    ) {
        let Some((id, state)) = self.watched.process_mut(process) else {
            return;
        };
        let first = state.count.is_none();
        let counted = state.count(count);
        let (gained, name) = (state.quorum == Some(true), state.process.name.clone());
        let key = TimerKey::ProcessDelay(id);
        match counted {
            Counted::After(delay) => {
                if self.timers.deadline_of(key).is_none() {
                    self.timers.arm(key, now + delay);
                }
            }
            Counted::Unchanged => self.timers.disarm(key),
            Counted::Now => {
                self.timers.disarm(key);
                if !first {
                    self.log(LogLine::Quorum { name, gained });
                }
                self.evaluate_all(now, tx);
            }
        }
    }

    /// The delay of a process is over.
    pub(super) fn process_delay_ended(
        &mut self,
        now: Instant,
        id: ProcessId,
        tx: &mut impl Transmit,
    ) {
        let Some(state) = self.watched.by_id(id) else {
            return;
        };
        if state.settle() {
            let (gained, name) = (state.quorum == Some(true), state.process.name.clone());
            self.log(LogLine::Quorum { name, gained });
            self.evaluate_all(now, tx);
        }
    }
}
