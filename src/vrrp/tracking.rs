//! What is tracked, check scripts and interfaces: what it means, and what all of it,
//! files and processes (`watched.rs`) included, adds to a priority.
//!
//! Decides up and down from a sequence of results (specification D.2) and the
//! effective priority from those (F.8). When a script runs is decided in
//! `engine/scripts.rs`; how it runs, by whoever carries the actions out.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::model::{Instance, Script, SyncGroup, TrackInterface, TrackScript};
use crate::ids::{Priority, ScriptId};
use crate::time::{Instant, Interval};

use super::event::Outcome;
use super::interfaces::Interfaces;
use super::snapshot::{ScriptResult, ScriptSnapshot};
use super::watched::{self, Watched};

/// What the results so far say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// No result yet.
    Unknown,
    /// Up.
    Up,
    /// Down.
    Down,
}

/// Whether a run is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// None is.
    Idle,
    /// One is.
    Running,
    /// One is, and its end was asked for; its result counts as failed already.
    TimingOut,
}

/// How long the runs of a script took, those that were ended for it included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Durations {
    /// How many runs have ended.
    pub count: u64,
    /// All of them together.
    pub sum: Interval,
    /// The last one.
    pub last: Option<Interval>,
}

/// A script that some instance tracks.
#[derive(Debug)]
pub struct Tracked {
    /// Its configuration.
    pub script: Arc<Script>,
    /// What its results say.
    pub standing: Standing,
    /// Whether a run is under way.
    pub run: Run,
    /// Its last result, and when there was one.
    pub last: Option<(ScriptResult, Instant)>,
    /// 0 to rise - 1: down; rise to rise + fall - 1: up.
    counter: u32,
    /// The exit status that was logged last.
    status: u8,
    /// It had a result.
    counted: bool,
    /// A run was due while the last one was being ended.
    pub overdue: bool,
    /// When the run began that is under way.
    pub began: Option<Instant>,
    /// How long the others took.
    durations: Durations,
}

impl Tracked {
    /// A script without a result. With `init_fail` it counts as down until it
    /// succeeded `rise` times; else a single result decides where it starts.
    pub fn new(script: Arc<Script>) -> Self {
        let (standing, counter) = if script.init_fail {
            (Standing::Down, 0)
        } else {
            (Standing::Unknown, script.rise.saturating_sub(1))
        };
        Self {
            script,
            standing,
            run: Run::Idle,
            last: None,
            counter,
            status: 0,
            counted: false,
            overdue: false,
            began: None,
            durations: Durations::default(),
        }
    }

    /// A script that takes the place of another one of its name: it counts as up until
    /// its first result, which alone decides (specification F.10).
    fn in_place_of_another(script: Arc<Script>) -> Self {
        Self {
            standing: Standing::Up,
            counter: script.rise.saturating_sub(1),
            ..Self::new(script)
        }
    }

    /// Goes on with the same command and other settings; keeps what its results say.
    fn follow(&mut self, script: &Arc<Script>) {
        if self.counted {
            let top = script.rise.saturating_add(script.fall).saturating_sub(1);
            let is_up = self.standing == Standing::Up;
            self.counter = if is_up { top } else { 0 };
        } else if self.standing == Standing::Up {
            self.counter = script.rise.saturating_sub(1);
        } else {
            let new = Self::new(Arc::clone(script));
            (self.standing, self.counter) = (new.standing, new.counter);
        }
        self.script = Arc::clone(script);
    }

    /// Counts a result; returns whether it changed the standing.
    pub fn count(&mut self, success: bool) -> bool {
        self.counted = true;
        let rise = self.script.rise;
        let top = rise.saturating_add(self.script.fall).saturating_sub(1);
        if success {
            let next = self.counter.saturating_add(1);
            self.counter = if next < rise { next } else { top };
        } else {
            self.counter = if self.counter > rise {
                self.counter.saturating_sub(1)
            } else {
                0
            };
        }
        let standing = if self.counter >= rise {
            Standing::Up
        } else {
            Standing::Down
        };
        let changed = standing != self.standing;
        self.standing = standing;
        changed
    }

    /// What can be seen of it from outside.
    pub fn snapshot(&self, id: ScriptId) -> ScriptSnapshot {
        ScriptSnapshot {
            id,
            script: Arc::clone(&self.script),
            standing: self.standing,
            run: self.run,
            result: self.counter,
            has_run: self.counted,
            last: self.last,
            durations: self.durations,
        }
    }

    /// The run that was under way has ended, with this result.
    pub fn note_end(&mut self, outcome: Outcome, now: Instant) {
        let began = self.began.take();
        let is_run = !matches!(outcome, Outcome::NotRun(_));
        if let Some(began) = began.filter(|_| is_run) {
            let took = now.since(began);
            let durations = &mut self.durations;
            durations.count = durations.count.saturating_add(1);
            durations.sum = durations.sum + took;
            durations.last = Some(took);
        }
    }

    /// Whether the exit status is worth a line: it is another than before.
    pub fn note_status(&mut self, outcome: Outcome) -> Option<u8> {
        match outcome {
            Outcome::Exited(status) if status != self.status => {
                self.status = status;
                Some(status)
            }
            _ => None,
        }
    }
}

/// What a new configuration means for the scripts.
#[derive(Debug, Default)]
pub struct Adopted {
    /// Those that are not wanted any more.
    pub gone: Vec<(ScriptId, Tracked)>,
    /// Those that go on with other settings, as they were.
    pub retimed: Vec<(ScriptId, Arc<Script>)>,
}

/// The scripts that run.
#[derive(Debug, Default)]
pub struct Scripts {
    by_id: BTreeMap<ScriptId, Tracked>,
    by_name: BTreeMap<String, ScriptId>,
    next: u32,
}

impl Scripts {
    /// Changes over to these: one with the same name, command and user as before keeps
    /// its results.
    pub fn adopt(&mut self, wanted: &[Arc<Script>]) -> Adopted {
        let mut adopted = Adopted::default();
        let mut before = std::mem::take(&mut self.by_name);
        for script in wanted {
            let known = before.get(&script.name).copied();
            let same = known.and_then(|id| Some((id, self.by_id.get_mut(&id)?)));
            let same = same.filter(|(_, it)| it.script.command == script.command);
            let id = if let Some((id, tracked)) = same {
                before.remove(&script.name);
                if tracked.script != *script {
                    adopted.retimed.push((id, Arc::clone(&tracked.script)));
                    tracked.follow(script);
                }
                id
            } else {
                let id = ScriptId(self.next);
                self.next = self.next.saturating_add(1);
                let script = Arc::clone(script);
                let tracked = match known {
                    Some(_) => Tracked::in_place_of_another(script),
                    None => Tracked::new(script),
                };
                self.by_id.insert(id, tracked);
                id
            };
            self.by_name.insert(script.name.clone(), id);
        }
        let gone = before.into_values();
        let gone = gone.filter_map(|id| Some((id, self.by_id.remove(&id)?)));
        adopted.gone = gone.collect();
        adopted
    }

    /// The script of this name, with its number.
    pub fn named(&self, name: &str) -> Option<(ScriptId, &Tracked)> {
        let id = self.by_name.get(name)?;
        Some((*id, self.by_id.get(id)?))
    }

    /// The script with this number, to count a result.
    pub fn get_mut(&mut self, id: ScriptId) -> Option<&mut Tracked> {
        self.by_id.get_mut(&id)
    }

    /// All of them, by their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (ScriptId, &Tracked)> {
        self.by_id.iter().map(|(id, tracked)| (*id, tracked))
    }
}

/// What an instance sees of the things that it tracks.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The interfaces there are.
    pub interfaces: &'a Interfaces,
    /// The scripts that run.
    pub scripts: &'a Scripts,
    /// The tracked files and processes.
    pub watched: &'a Watched,
}

impl Surroundings<'_> {
    /// What the results of a script say.
    pub fn standing(self, script: &Script) -> Standing {
        let known = self.scripts.named(&script.name);
        known.map_or(Standing::Unknown, |(_, tracked)| tracked.standing)
    }

    /// Whether an interface exists and is up.
    pub fn is_up(self, interface: &str) -> bool {
        self.interfaces
            .named(interface)
            .is_some_and(|state| state.up)
    }
}

/// Whether an interface keeps an instance in FAULT.
pub const fn is_interface_fault(tracked: &TrackInterface, up: bool) -> bool {
    tracked.weight == 0 && up == tracked.reverse
}

/// Whether a script in this standing keeps an instance in FAULT.
pub const fn is_fault(tracked: &TrackScript, standing: Standing) -> bool {
    let bad = if tracked.reverse {
        Standing::Up as u8
    } else {
        Standing::Down as u8
    };
    tracked.weight == 0 && standing as u8 == bad
}

/// Whether an instance has to wait for the first result of a script.
pub const fn is_awaited(tracked: &TrackScript, standing: Standing) -> bool {
    tracked.weight == 0 && matches!(standing, Standing::Unknown)
}

/// What a weight adds to a priority: a positive one while all is well, a negative
/// one while it is not; with `reverse` as much with the other sign. Nothing while
/// nothing is known (specification F.8).
pub const fn weighted(weight: i32, reverse: bool, is_well: Option<bool>) -> i32 {
    let counts = match is_well {
        None => false,
        Some(true) => weight > 0,
        Some(false) => weight < 0,
    };
    match (counts, reverse) {
        (false, _) => 0,
        (true, false) => weight,
        (true, true) => weight.saturating_neg(),
    }
}

/// What a script adds to the priority now, -253 to 253.
pub const fn contribution(tracked: &TrackScript, standing: Standing) -> i32 {
    let is_well = match standing {
        Standing::Unknown => None,
        Standing::Up => Some(true),
        Standing::Down => Some(false),
    };
    weighted(tracked.weight, tracked.reverse, is_well)
}

/// What an interface adds to the priority now, -253 to 253.
pub const fn interface_contribution(tracked: &TrackInterface, up: bool) -> i32 {
    weighted(tracked.weight, tracked.reverse, Some(up))
}

/// The scripts that count for an instance: its own, and those of its group. Of
/// one that both track, the line of the instance counts: it stays only where it
/// says FAULT (specification D.1).
pub fn scripts_of<'c>(
    instance: &'c Instance,
    group: Option<&'c SyncGroup>,
) -> impl Iterator<Item = &'c TrackScript> {
    let own = &instance.track_scripts;
    let shared = group.into_iter().flat_map(|group| &group.track_scripts);
    let shared = shared.filter(|line| own.iter().all(|it| it.script.name != line.script.name));
    own.iter().chain(shared)
}

/// The interfaces of `track_interface` that count for an instance, likewise.
pub fn interfaces_of<'c>(
    instance: &'c Instance,
    group: Option<&'c SyncGroup>,
) -> impl Iterator<Item = &'c TrackInterface> {
    let own = &instance.track_interfaces;
    let shared = group.into_iter().flat_map(|group| &group.track_interfaces);
    let shared = shared.filter(|line| own.iter().all(|it| it.interface != line.interface));
    own.iter().chain(shared)
}

/// The priority that an instance begins with, and everything that is added to it.
pub fn total_priority(
    base: Priority,
    instance: &Instance,
    group: Option<&SyncGroup>,
    around: Surroundings<'_>,
) -> i32 {
    let own = i32::from(base.0);
    let scripts = scripts_of(instance, group);
    let scripts = scripts.map(|tracked| contribution(tracked, around.standing(&tracked.script)));
    let interfaces = interfaces_of(instance, group);
    let interfaces =
        interfaces.map(|tracked| interface_contribution(tracked, around.is_up(&tracked.interface)));
    let known = around.watched;
    let files = watched::files_of(instance, group);
    let files = files.map(|line| watched::file_contribution(line, known.value(&line.file)));
    let processes = watched::processes_of(instance, group);
    let processes =
        processes.map(|line| watched::process_contribution(line, known.quorum(&line.process)));
    let all = scripts.chain(interfaces).chain(files).chain(processes);
    all.fold(own, i32::saturating_add)
}

/// The effective priority: the sum, kept within 1 to 254; the owner's is fixed.
pub fn effective_priority(
    base: Priority,
    instance: &Instance,
    group: Option<&SyncGroup>,
    around: Surroundings<'_>,
) -> Priority {
    if base.is_owner() {
        return Priority::OWNER;
    }
    let total = total_priority(base, instance, group, around);
    Priority(u8::try_from(total.clamp(1, 254)).unwrap_or(Priority::DEFAULT.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::Command;
    use crate::time::Interval;

    fn script(rise: u32, fall: u32, init_fail: bool) -> Arc<Script> {
        Arc::new(Script {
            name: "chk".into(),
            command: Command {
                argv: vec!["/bin/true".into()],
                user: None,
            },
            interval: Interval::from_secs(1),
            timeout: Interval::from_secs(1),
            rise,
            fall,
            init_fail,
        })
    }

    /// The standing after each result, as a string of `u` and `d`.
    fn after(mut tracked: Tracked, results: &str) -> String {
        let step = |result| {
            tracked.count(result == '+');
            if tracked.standing == Standing::Up {
                'u'
            } else {
                'd'
            }
        };
        results.chars().map(step).collect()
    }

    #[test]
    fn the_first_result_decides_alone_then_rise_and_fall_count() {
        let new = || Tracked::new(script(3, 2, false));
        assert_eq!(after(new(), "+--+++-+"), "uuddduuu");
        assert_eq!(after(new(), "-++-+++"), "ddddddu");
        assert_eq!(after(Tracked::new(script(1, 1, false)), "+-+"), "udu");
    }

    #[test]
    fn init_fail_wants_rise_successes() {
        let tracked = Tracked::new(script(2, 1, true));
        assert_eq!(tracked.standing, Standing::Down);
        assert_eq!(after(tracked, "++-++"), "duddu");
    }

    #[test]
    fn weights_count_as_the_specification_says() {
        let cell = |weight, reverse, standing| {
            let tracked = TrackScript {
                script: script(1, 1, false),
                weight,
                reverse,
            };
            (
                contribution(&tracked, standing),
                is_fault(&tracked, standing),
            )
        };
        use Standing::{Down, Unknown, Up};
        assert_eq!(cell(2, false, Up), (2, false));
        assert_eq!(cell(2, false, Down), (0, false));
        assert_eq!(cell(2, true, Up), (-2, false));
        assert_eq!(cell(-20, false, Up), (0, false));
        assert_eq!(cell(-20, false, Down), (-20, false));
        assert_eq!(cell(-20, true, Down), (20, false));
        assert_eq!(cell(0, false, Up), (0, false));
        assert_eq!(cell(0, false, Down), (0, true));
        assert_eq!(cell(0, true, Up), (0, true));
        assert_eq!(cell(0, true, Down), (0, false));
        for weight in [-20, 0, 2] {
            assert_eq!(cell(weight, false, Unknown), (0, false));
        }
    }
}
