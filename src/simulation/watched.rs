//! Tracked files and processes of a node: what its daemon is told of them.
//!
//! A file has the number that the node was given, else that of `init_file`, else
//! 0. As many processes run as it was given, else as many as it takes. Decides
//! nothing about what follows.

use std::collections::BTreeMap;

use crate::config::model::{Config, TrackedFile, TrackedProcess};
use crate::time::Instant;
use crate::vrrp::Engine;
use crate::vrrp::action::Transmit;
use crate::vrrp::event::Event;

/// What there is on a node, by the names of the blocks that track it.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The numbers in files.
    pub numbers: BTreeMap<String, i32>,
    /// How many processes run.
    pub counts: BTreeMap<String, u32>,
}

impl Found {
    /// The number in a file.
    pub fn number_in(&self, file: &TrackedFile) -> i32 {
        let given = self.numbers.get(&file.name).copied();
        given.or(file.initial_value).unwrap_or_default()
    }

    /// How many of these processes run.
    pub fn count_of(&self, process: &TrackedProcess) -> u32 {
        let given = self.counts.get(&process.name).copied();
        given.unwrap_or(process.quorum)
    }

    /// Tells a daemon of everything that it tracks.
    pub fn tell(&self, engine: &mut Engine, now: Instant, config: &Config, tx: &mut impl Transmit) {
        for file in &config.track_files {
            let value = self.number_in(file);
            engine.event(now, Event::File { file, value }, tx);
        }
        for process in &config.track_processes {
            let count = self.count_of(process);
            engine.event(now, Event::Processes { process, count }, tx);
        }
    }
}
