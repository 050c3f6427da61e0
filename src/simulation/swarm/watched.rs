//! Tracked files and processes at random: their words, and what becomes of them.
//!
//! All is drawn apart from the rest of a world. Every instance of every node tracks
//! the same, as the members of a sync group have to.

use crate::time::Instant;

use super::super::faults::{Fault, Timed};
use super::super::random::Random;
use super::Plan;

/// Any number: another beginning of the same seed.
const WORDS: u64 = 0x7761_7463_6865_6400;

/// Another one.
const FAULTS: u64 = 0x6661_756c_7473_0000;

/// The words of a world.
pub(super) struct Watched {
    /// `track_file` and `vrrp_track_process`.
    pub(super) blocks: String,
    /// What an instance says of them.
    pub(super) lines: String,
}

impl Watched {
    /// Of a seed, if it has any.
    pub(super) fn new(seed: u64) -> Option<Self> {
        let mut random = Random::new(seed ^ WORDS);
        if !random.percent(20) {
            return None;
        }
        let which = random.below(3);
        let mut own = Self {
            blocks: String::new(),
            lines: String::new(),
        };
        if which != 1 {
            own.add_file(&mut random);
        }
        if which != 0 {
            own.add_process(&mut random);
        }
        Some(own)
    }

    fn add_file(&mut self, random: &mut Random) {
        let initial = match random.percent(40) {
            true => format!("    init_file {}\n", random.below(4)),
            false => String::new(),
        };
        self.blocks += &format!("track_file number {{\n    file /run/number\n{initial}}}\n");
        self.lines += &format!(
            "    track_file {{\n        number {}\n    }}\n",
            weight(random)
        );
    }

    fn add_process(&mut self, random: &mut Random) {
        let quorum = random.between(1, 3);
        let most = match random.percent(30) {
            true => format!("    quorum_max {}\n", quorum.saturating_add(2)),
            false => String::new(),
        };
        let mut delay = |word: &str| match random.percent(50) {
            true => format!("    {word} 0.{}\n", random.between(1, 9)),
            false => String::new(),
        };
        let (fork, end) = (delay("fork_delay"), delay("terminate_delay"));
        self.blocks += &format!(
            "vrrp_track_process program {{\n    process program\n    quorum {quorum}\n\
             {most}{fork}{end}}}\n"
        );
        self.lines += &format!(
            "    track_process {{\n        program {}\n    }}\n",
            weight(random)
        );
    }
}

/// Sometimes none, which means FAULT.
fn weight(random: &mut Random) -> String {
    let size = random.between(1, 60);
    let reverse = if random.percent(15) { " reverse" } else { "" };
    match random.below(3) {
        0 => format!("weight 0{reverse}"),
        1 => format!("weight {size}{reverse}"),
        _ => format!("weight -{size}{reverse}"),
    }
}

impl Plan {
    /// Every file has other numbers for a while, and of every process there are more
    /// and fewer.
    pub(super) fn add_watched_faults(&mut self) {
        let mut random = Random::new(self.seed ^ FAULTS);
        let span = self.heal_at.since(Instant::ZERO);
        for (node, config) in self.configs.iter().enumerate() {
            for _ in 0..random.below(5) {
                for file in &config.track_files {
                    let at = Instant::ZERO + random.span(span);
                    let (file, number) = (file.name.clone(), number(&mut random));
                    let fault = Fault::Number { node, file, number };
                    self.faults.push(Timed { at, fault });
                }
                for process in &config.track_processes {
                    let at = Instant::ZERO + random.span(span);
                    let count = u32::try_from(random.below(7)).unwrap_or(0);
                    let process = process.name.clone();
                    let fault = Fault::Processes {
                        node,
                        process,
                        count,
                    };
                    self.faults.push(Timed { at, fault });
                }
            }
        }
    }
}

/// Mostly a small one, often 0, sometimes more than any priority.
fn number(random: &mut Random) -> i32 {
    let small = i32::try_from(random.below(11)).unwrap_or(0);
    let small = small.saturating_sub(5);
    match random.below(10) {
        0..=2 => 0,
        3 => small.saturating_mul(1_000),
        4 => small.saturating_mul(100_000_000),
        _ => small,
    }
}
