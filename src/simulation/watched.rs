//! Tracked files and processes of a node: what its daemon is told of them.
//!
//! A file has the number that the node was given, else that of `init_file`, else
//! 0. As many processes run as it takes. Decides nothing about what follows.

use std::collections::BTreeMap;

use crate::config::model::{Config, TrackedFile};
use crate::time::Instant;
use crate::vrrp::Engine;
use crate::vrrp::action::Transmit;
use crate::vrrp::event::Event;

/// The numbers in the files of a node, by the names of their blocks.
pub type Numbers = BTreeMap<String, i32>;

/// The number in a file.
pub fn number_in(file: &TrackedFile, numbers: &Numbers) -> i32 {
    let given = numbers.get(&file.name).copied();
    given.or(file.initial_value).unwrap_or_default()
}

/// Tells a daemon of everything that it tracks.
pub fn tell(
    engine: &mut Engine,
    now: Instant,
    config: &Config,
    numbers: &Numbers,
    tx: &mut impl Transmit,
) {
    for file in &config.track_files {
        let value = number_in(file, numbers);
        engine.event(now, Event::File { file, value }, tx);
    }
    for process in &config.track_processes {
        let count = process.quorum;
        engine.event(now, Event::Processes { process, count }, tx);
    }
}
