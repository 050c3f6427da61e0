//! Tracked files and processes: what the engine was told of them last, and what
//! it means.
//!
//! Decides FAULT and weights of files (specification D.4), quorum and its delays
//! (D.3). Who looks at files and processes, and when, is not decided here: what
//! nobody has told anything of is unknown, and an instance waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::model::{
    Config, Instance, SyncGroup, TrackFile, TrackProcess, TrackedFile, TrackedProcess,
};
use crate::ids::ProcessId;
use crate::time::Interval;

use super::snapshot::{FileSnapshot, ProcessSnapshot};
use super::tracking::weighted;

/// What would take this much or more from a priority is FAULT.
const FILE_FAULT: i64 = -254;

/// A file adds no more than this to a priority.
const FILE_MAX: i64 = 253;

/// A tracked process and what is known of it.
#[derive(Debug)]
pub struct ProcessState {
    /// Its configuration.
    pub process: Arc<TrackedProcess>,
    /// How many there are; `None` before the first word of it.
    pub count: Option<u32>,
    /// Whether they count as enough and not too many; this follows the count
    /// when the delay is over. `None` before the first word.
    pub quorum: Option<bool>,
}

/// What has to be done after a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// The quorum is what it was; a delay that is under way ends.
    Unchanged,
    /// It changes when this time is over, if it is not under way already.
    After(Interval),
    /// It has changed.
    Now,
}

impl ProcessState {
    /// Whether the count is within the quorum.
    fn is_enough(&self) -> Option<bool> {
        let count = self.count?;
        let max = self.process.quorum_max.unwrap_or(u32::MAX);
        Some((self.process.quorum..=max).contains(&count))
    }

    /// Takes a count over. The first one counts at once.
    pub fn count(&mut self, count: u32) -> Counted {
        let first = self.count.replace(count).is_none();
        let enough = self.is_enough();
        if enough == self.quorum {
            return Counted::Unchanged;
        }
        let delay = match enough {
            Some(true) => self.process.fork_delay,
            _ => self.process.terminate_delay,
        };
        if first || delay == Interval::ZERO {
            self.quorum = enough;
            return Counted::Now;
        }
        Counted::After(delay)
    }

    /// The delay is over; returns whether the quorum has changed.
    pub fn settle(&mut self) -> bool {
        let enough = self.is_enough();
        let changed = self.quorum != enough;
        self.quorum = enough;
        changed
    }
}

/// The tracked files and processes.
#[derive(Debug, Default)]
pub struct Watched {
    /// By name: the file, and the number in it.
    files: BTreeMap<String, (Arc<TrackedFile>, Option<i32>)>,
    processes: BTreeMap<ProcessId, ProcessState>,
    by_name: BTreeMap<String, ProcessId>,
    next: u32,
}

impl Watched {
    /// Changes over to these. What was known of the same file and of the same
    /// processes stays known. Gives the processes that are gone or that have
    /// another quorum: no delay of theirs goes on.
    pub fn adopt(&mut self, config: &Config) -> Vec<ProcessId> {
        let mut files = std::mem::take(&mut self.files);
        for file in &config.track_files {
            let before = files.remove(&file.name);
            let same = before.filter(|(before, _)| before.path == file.path);
            let value = same.and_then(|(_, value)| value);
            self.files
                .insert(file.name.clone(), (Arc::clone(file), value));
        }
        let mut processes = std::mem::take(&mut self.processes);
        let mut ids = std::mem::take(&mut self.by_name);
        let mut changed = Vec::new();
        for process in &config.track_processes {
            let id = ids.remove(&process.name);
            let before = id.and_then(|id| Some((id, processes.remove(&id)?)));
            let (id, mut state) = before
                .filter(|(_, state)| state.process.is_same_program(process))
                .unwrap_or_else(|| {
                    let state = ProcessState {
                        process: Arc::clone(process),
                        count: None,
                        quorum: None,
                    };
                    (self.next_id(), state)
                });
            if state.process != *process {
                state.process = Arc::clone(process);
                state.quorum = state.is_enough();
                changed.push(id);
            }
            self.by_name.insert(process.name.clone(), id);
            self.processes.insert(id, state);
        }
        changed.extend(ids.into_values());
        changed
    }

    fn next_id(&mut self) -> ProcessId {
        let id = ProcessId(self.next);
        self.next = self.next.saturating_add(1);
        id
    }

    /// Takes the number in a file over; returns whether anything is new.
    pub fn set_file(&mut self, file: &TrackedFile, value: i32) -> bool {
        let known = self.files.get_mut(&file.name);
        let Some((_, known)) = known.filter(|(it, _)| it.path == file.path) else {
            // A reload does not want it any more.
            return false;
        };
        known.replace(value) != Some(value)
    }

    /// The process of this definition, to count it.
    pub fn process_mut(
        &mut self,
        process: &TrackedProcess,
    ) -> Option<(ProcessId, &mut ProcessState)> {
        let id = *self.by_name.get(&process.name)?;
        let state = self.processes.get_mut(&id)?;
        let same = state.process.is_same_program(process);
        same.then_some((id, state))
    }

    /// The process with this number.
    pub fn by_id(&mut self, id: ProcessId) -> Option<&mut ProcessState> {
        self.processes.get_mut(&id)
    }

    /// The number in a file, if it is known.
    pub fn value(&self, file: &TrackedFile) -> Option<i32> {
        self.files.get(&file.name)?.1
    }

    /// Whether a process has its quorum, if it is known.
    pub fn quorum(&self, process: &TrackedProcess) -> Option<bool> {
        let id = self.by_name.get(&process.name)?;
        self.processes.get(id)?.quorum
    }

    /// What can be seen of the files, in the order of the configuration.
    pub fn file_snapshots(&self, config: &Config) -> Vec<FileSnapshot> {
        let files = config.track_files.iter();
        files
            .map(|file| FileSnapshot {
                file: Arc::clone(file),
                value: self.value(file),
            })
            .collect()
    }

    /// What can be seen of the processes, in the order of the configuration.
    pub fn process_snapshots(&self, config: &Config) -> Vec<ProcessSnapshot> {
        let ids = config.track_processes.iter();
        ids.filter_map(|process| self.processes.get(self.by_name.get(&process.name)?))
            .map(|state| ProcessSnapshot {
                process: Arc::clone(&state.process),
                count: state.count,
                quorum: state.quorum,
            })
            .collect()
    }
}

/// What a file would add to a priority if there were no limits.
fn product(tracked: &TrackFile, value: i32) -> i64 {
    let product = i64::from(value).saturating_mul(i64::from(tracked.weight));
    if tracked.reverse {
        product.saturating_neg()
    } else {
        product
    }
}

/// Whether a file with this number keeps an instance in FAULT: without a weight
/// any number but 0, or with `reverse` 0; with one, what would take 254 or more.
pub fn is_file_fault(tracked: &TrackFile, value: Option<i32>) -> bool {
    match value {
        None => false,
        Some(value) if tracked.weight == 0 => (value != 0) != tracked.reverse,
        Some(value) => product(tracked, value) <= FILE_FAULT,
    }
}

/// What a file with this number adds to a priority, -253 to 253; one that is FAULT adds
/// nothing, and the priority is that of what else is tracked.
pub fn file_contribution(tracked: &TrackFile, value: Option<i32>) -> i32 {
    let product = value.map_or(0, |value| product(tracked, value));
    if product <= FILE_FAULT {
        return 0;
    }
    i32::try_from(product.min(FILE_MAX)).unwrap_or(0)
}

/// Whether a process keeps an instance in FAULT.
pub fn is_process_fault(tracked: &TrackProcess, quorum: Option<bool>) -> bool {
    tracked.weight == 0 && quorum == Some(tracked.reverse)
}

/// What a process adds to a priority, -254 to 254.
pub fn process_contribution(tracked: &TrackProcess, quorum: Option<bool>) -> i32 {
    weighted(tracked.weight, tracked.reverse, quorum)
}

/// The files that count for an instance: its own, and those of its group that it
/// has no line of its own for (specification D.1).
pub fn files_of<'c>(
    instance: &'c Instance,
    group: Option<&'c SyncGroup>,
) -> impl Iterator<Item = &'c TrackFile> {
    let own = &instance.track_files;
    let shared = group.into_iter().flat_map(|group| &group.track_files);
    let shared = shared.filter(|line| own.iter().all(|it| it.file.name != line.file.name));
    own.iter().chain(shared)
}

/// The processes that count for an instance, likewise.
pub fn processes_of<'c>(
    instance: &'c Instance,
    group: Option<&'c SyncGroup>,
) -> impl Iterator<Item = &'c TrackProcess> {
    let own = &instance.track_processes;
    let shared = group.into_iter().flat_map(|group| &group.track_processes);
    let shared = shared.filter(|line| own.iter().all(|it| it.process.name != line.process.name));
    own.iter().chain(shared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::ParameterMatch;

    fn file(weight: i32, reverse: bool) -> TrackFile {
        let file = TrackedFile {
            name: "f".into(),
            path: "/run/f".into(),
            weight: 1,
            reverse: false,
            initial_value: None,
            overwrite: false,
        };
        TrackFile {
            file: Arc::new(file),
            weight,
            reverse,
        }
    }

    /// Specification D.4: (weight, reverse, number) to (contribution, FAULT).
    #[test]
    fn the_number_in_a_file_counts_as_the_specification_says() {
        for ((weight, reverse, value), expected) in [
            ((1, false, 0), (0, false)),
            ((1, false, 7), (7, false)),
            ((1, false, -7), (-7, false)),
            ((2, false, -7), (-14, false)),
            ((-2, false, 7), (-14, false)),
            ((2, true, 7), (-14, false)),
            ((2, true, -7), (14, false)),
            ((1, false, 253), (253, false)),
            ((1, false, 9999), (253, false)),
            ((1, false, -253), (-253, false)),
            ((1, false, -254), (0, true)),
            ((254, false, i32::MIN), (0, true)),
            ((-254, true, i32::MAX), (253, false)),
            ((-254, false, 1), (0, true)),
            ((-254, true, 1), (253, false)),
            ((0, false, 0), (0, false)),
            ((0, false, 1), (0, true)),
            ((0, false, -1), (0, true)),
            ((0, true, 0), (0, true)),
            ((0, true, 1), (0, false)),
        ] {
            let line = file(weight, reverse);
            let found = (
                file_contribution(&line, Some(value)),
                is_file_fault(&line, Some(value)),
            );
            assert_eq!(found, expected, "weight {weight} {reverse}, number {value}");
            assert!(!is_file_fault(&line, None));
            assert_eq!(file_contribution(&line, None), 0);
        }
    }

    fn process(quorum_max: Option<u32>, fork_s: u64, terminate_s: u64) -> ProcessState {
        ProcessState {
            process: Arc::new(TrackedProcess {
                name: "p".into(),
                program: "haproxy".into(),
                parameters: Vec::new(),
                parameter_match: ParameterMatch::None,
                weight: 0,
                reverse: false,
                quorum: 2,
                quorum_max,
                terminate_delay: Interval::from_secs(terminate_s),
                fork_delay: Interval::from_secs(fork_s),
                full_command: false,
            }),
            count: None,
            quorum: None,
        }
    }

    #[test]
    fn a_quorum_has_two_ends() {
        let mut state = process(Some(3), 0, 0);
        for (count, change, quorum) in [
            (1, Counted::Now, false),
            (0, Counted::Unchanged, false),
            (2, Counted::Now, true),
            (3, Counted::Unchanged, true),
            (4, Counted::Now, false),
            (3, Counted::Now, true),
        ] {
            assert_eq!(state.count(count), change, "{count}");
            assert_eq!(state.quorum, Some(quorum), "{count}");
        }
    }

    #[test]
    fn the_first_count_is_not_delayed_and_later_ones_are() {
        let mut state = process(None, 5, 3);
        assert_eq!(state.count(0), Counted::Now);
        let gained = Counted::After(Interval::from_secs(5));
        assert_eq!(state.count(2), gained);
        assert_eq!(
            state.count(0),
            Counted::Unchanged,
            "gone before the delay was over"
        );
        assert_eq!(state.count(2), gained);
        assert!(state.settle());
        assert_eq!(state.quorum, Some(true));
        assert_eq!(state.count(1), Counted::After(Interval::from_secs(3)));
        assert_eq!(state.quorum, Some(true));
    }

    #[test]
    fn a_process_counts_by_its_quorum() {
        let cell = |weight, reverse, quorum| {
            let tracked = TrackProcess {
                process: process(None, 0, 0).process,
                weight,
                reverse,
            };
            (
                process_contribution(&tracked, quorum),
                is_process_fault(&tracked, quorum),
            )
        };
        assert_eq!(cell(0, false, Some(true)), (0, false));
        assert_eq!(cell(0, false, Some(false)), (0, true));
        assert_eq!(cell(0, true, Some(true)), (0, true));
        assert_eq!(cell(0, true, Some(false)), (0, false));
        assert_eq!(cell(9, false, Some(true)), (9, false));
        assert_eq!(cell(9, false, Some(false)), (0, false));
        assert_eq!(cell(9, true, Some(true)), (-9, false));
        assert_eq!(cell(-9, false, Some(true)), (0, false));
        assert_eq!(cell(-9, false, Some(false)), (-9, false));
        assert_eq!(cell(-9, true, Some(false)), (9, false));
        for weight in [-9, 0, 9] {
            assert_eq!(cell(weight, false, None), (0, false));
        }
    }
}
