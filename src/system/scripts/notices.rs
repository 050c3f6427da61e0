//! Notify scripts in the order of the changes that they tell of.
//!
//! Decides which notify script begins next and which one is ended, for each
//! instance and each sync group by itself: one script at a time, the latest state
//! next, a state that was overtaken before its first script began not at all.
//! Does not start or end processes: `mod.rs` does, and reports here.
//!
//! However many changes there are, at most one notice runs, and one state and one
//! other event wait, for each instance or group.
//!
//! Source: specification E.6 (arguments), users' needs T21.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::KILL_AFTER;
use crate::config::model::Command;
use crate::time::{Instant, Interval};

/// How long a script may run while another one waits for its end.
pub const RUN_LIMIT: Interval = Interval::from_secs(60);

/// How long a stop waits for each script that tells of it, and how long a script
/// that tells of something else may still run then.
pub const STOP_LIMIT: Interval = Interval::from_secs(1);

/// How long a stop waits for the end of a script that was told to end: it is
/// killed meanwhile.
const END_LIMIT: Interval = KILL_AFTER.times(2);

/// From one line about states that were skipped to the next.
const SKIPPED_LINE_EVERY: Interval = Interval::from_secs(10);

/// Who something is told of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Owner {
    /// The instance of this name.
    Instance(String),
    /// The sync group of this name.
    Group(String),
}

impl Owner {
    /// The name in the configuration.
    pub fn name(&self) -> &str {
        match self {
            Self::Instance(name) | Self::Group(name) => name,
        }
    }
}

/// What kind of news it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    /// The owner is in another state.
    State,
    /// Something happened that leaves the state as it is.
    Event,
    /// The daemon stops: never skipped, and waited for.
    Stop,
}

/// One thing to tell, and the scripts that are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Who it is about.
    pub owner: Owner,
    /// What kind it is.
    pub news: News,
    /// The state or the event as scripts get it, `MASTER` for example.
    pub state: String,
    /// The state before.
    pub previous: String,
    /// The effective priority; 0 for a group.
    pub priority: u8,
    /// What brought it about, in words.
    pub reason: String,
    /// What to run, in this order. Their arguments are complete. There may be
    /// none: then what waits is overtaken all the same.
    pub commands: Vec<Command>,
}

impl Notice {
    /// What its scripts find in their environment.
    pub fn environment(&self) -> Vec<(String, String)> {
        let owner = match self.owner {
            Owner::Instance(_) => "KEEPALIVED_INSTANCE",
            Owner::Group(_) => "KEEPALIVED_GROUP",
        };
        let pairs = [
            (owner, self.owner.name()),
            ("KEEPALIVED_STATE", &self.state),
            ("KEEPALIVED_PREVIOUS_STATE", &self.previous),
            ("KEEPALIVED_PRIORITY", &self.priority.to_string()),
            ("KEEPALIVED_REASON", &self.reason),
        ];
        let owned = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        owned.to_vec()
    }
}

/// A script that is to begin now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// Who it is about.
    pub owner: Owner,
    /// The state that it is told.
    pub state: String,
    /// It tells of the stop.
    pub stopping: bool,
    /// What to run.
    pub command: Command,
    /// Added to its environment.
    pub environment: Vec<(String, String)>,
}

/// What time has brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// The script of this process has run for [`RUN_LIMIT`], and nothing waits
    /// for its end.
    StillRuns(i32),
    /// The script of this process is to be ended, as something waits for its end.
    End(i32),
    /// So many states were overtaken before their scripts began.
    Skipped(Owner, u64),
}

/// What is to be told, and what is being told.
#[derive(Debug, Default)]
pub struct Notices {
    queues: BTreeMap<Owner, Queue>,
    /// Who the script of a process tells of.
    owners: HashMap<i32, Owner>,
}

impl Notices {
    /// Something is to be told; [`Notices::next`] says what begins. How many notices
    /// it has overtaken, which nobody will be told of.
    pub fn tell(&mut self, notice: Notice, now: Instant) -> u64 {
        let queue = self.queues.entry(notice.owner.clone()).or_default();
        let before = queue.skipped;
        queue.tell(notice, now);
        queue.skipped.saturating_sub(before)
    }

    /// The next script of `owner`, if one may begin. It must be followed by
    /// [`Notices::began`], or by this again if it could not begin.
    pub fn next(&mut self, owner: &Owner) -> Option<Launch> {
        let queue = self.queues.get_mut(owner)?;
        let next = queue.next(owner);
        if next.is_none() && queue.is_empty() {
            self.queues.remove(owner);
        }
        next
    }

    /// The script runs as this process.
    pub fn began(&mut self, launch: &Launch, process: i32, now: Instant) {
        let queue = self.queues.entry(launch.owner.clone()).or_default();
        queue.began(launch, process, now);
        self.owners.insert(process, launch.owner.clone());
    }

    /// The process has ended; says who it was told of. [`Notices::next`] follows.
    pub fn ended(&mut self, process: i32) -> Option<Owner> {
        let owner = self.owners.remove(&process)?;
        if let Some(queue) = self.queues.get_mut(&owner) {
            queue.running.retain(|run| run.process != process);
        }
        Some(owner)
    }

    /// Whether a stop has to wait: scripts tell of it, or wait to do so.
    pub fn tell_of_stop(&self) -> bool {
        self.queues.values().any(Queue::tells_of_stop)
    }

    /// When [`Notices::expire`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.queues.values().filter_map(Queue::deadline).min()
    }

    /// What has become due, and whose next script may begin by it.
    pub fn expire(&mut self, now: Instant) -> (Vec<Due>, Vec<Owner>) {
        let mut due = Vec::new();
        let mut owners = Vec::new();
        for (owner, queue) in &mut self.queues {
            if queue.deadline().is_some_and(|at| at <= now) {
                queue.expire(owner, now, &mut due);
                owners.push(owner.clone());
            }
        }
        (due, owners)
    }
}

/// One script that runs.
#[derive(Debug)]
struct Running {
    process: i32,
    stopping: bool,
    /// When something is to be done about it.
    due: Option<Instant>,
    /// It has run for longer than it may while others wait.
    late: bool,
    /// It was told to end.
    asked: bool,
    /// The next one waits for its end. At a stop patience is limited.
    awaited: bool,
}

/// What is told of one instance or group.
#[derive(Debug, Default)]
struct Queue {
    running: Vec<Running>,
    /// The scripts of the notice that is being told which did not begin yet.
    rest: VecDeque<Launch>,
    /// The latest state; and what happened since, which leaves the state.
    state: Option<Notice>,
    event: Option<Notice>,
    stops: bool,
    skipped: u64,
    /// When they may be spoken of again.
    skipped_line_at: Option<Instant>,
}

impl Queue {
    fn tell(&mut self, mut notice: Notice, now: Instant) {
        if notice.news == News::Event {
            // It is as good as the one that waits already.
            self.skipped += u64::from(self.event.replace(notice).is_some());
        } else {
            if let Some(overtaken) = self.state.take() {
                notice.previous = overtaken.previous;
                self.skipped += u64::from(!overtaken.commands.is_empty());
            }
            self.skipped += u64::from(self.event.take().is_some());
            self.stops |= notice.news == News::Stop && !notice.commands.is_empty();
            self.state = Some(notice);
        }
        if self.skipped > 0 {
            self.skipped_line_at.get_or_insert(now);
        }
        let (waits, stops) = (self.waits(), self.stops);
        for run in self.running.iter_mut().filter(|run| !run.stopping) {
            if stops {
                let patience = if run.asked { END_LIMIT } else { STOP_LIMIT };
                let at = now + patience;
                run.due = Some(run.due.map_or(at, |due| due.min(at)));
            } else if run.late && waits && !run.asked {
                run.due = Some(now);
            }
        }
    }

    /// Something waits for the end of what runs.
    fn waits(&self) -> bool {
        let waiting = [&self.state, &self.event].into_iter().flatten();
        let mut waiting = waiting.filter(|notice| !notice.commands.is_empty());
        !self.rest.is_empty() || waiting.next().is_some()
    }

    fn next(&mut self, owner: &Owner) -> Option<Launch> {
        if self.running.iter().any(|run| run.awaited) {
            return None;
        }
        while self.rest.is_empty() {
            let notice = self.state.take().or_else(|| self.event.take())?;
            let environment = notice.environment();
            let launches = notice.commands.into_iter().map(|command| Launch {
                owner: owner.clone(),
                state: notice.state.clone(),
                stopping: notice.news == News::Stop,
                command,
                environment: environment.clone(),
            });
            self.rest.extend(launches);
        }
        self.rest.pop_front()
    }

    fn began(&mut self, launch: &Launch, process: i32, now: Instant) {
        let limit = if launch.stopping || self.stops {
            STOP_LIMIT
        } else {
            RUN_LIMIT
        };
        self.running.push(Running {
            process,
            stopping: launch.stopping,
            due: Some(now + limit),
            late: false,
            asked: false,
            awaited: true,
        });
    }

    fn tells_of_stop(&self) -> bool {
        self.stops && (self.waits() || self.running.iter().any(|run| run.awaited))
    }

    fn deadline(&self) -> Option<Instant> {
        let runs = self.running.iter().filter_map(|run| run.due);
        runs.chain(self.skipped_line_at).min()
    }

    fn expire(&mut self, owner: &Owner, now: Instant, due: &mut Vec<Due>) {
        if self.skipped_line_at.is_some_and(|at| at <= now) {
            self.skipped_line_at = None;
            if self.skipped > 0 {
                due.push(Due::Skipped(owner.clone(), self.skipped));
                self.skipped = 0;
                self.skipped_line_at = Some(now + SKIPPED_LINE_EVERY);
            }
        }
        let (waits, stops) = (self.waits(), self.stops);
        for run in &mut self.running {
            if run.due.is_none_or(|at| at > now) {
                continue;
            }
            run.due = None;
            if run.stopping || run.asked {
                // A stop waits no longer; otherwise it is seen when it ends.
                run.awaited = !stops;
            } else if waits {
                run.asked = true;
                run.due = stops.then_some(now + END_LIMIT);
                due.push(Due::End(run.process));
            } else {
                run.late = true;
                due.push(Due::StillRuns(run.process));
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.running.is_empty() && !self.waits() && self.skipped_line_at.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::ZERO;

    fn owner() -> Owner {
        Owner::Instance("VI_1".to_owned())
    }

    fn notice(news: News, state: &str, previous: &str, scripts: &[&str]) -> Notice {
        let commands = scripts.iter().map(|script| Command {
            argv: vec![(*script).to_owned(), state.to_owned()],
            user: None,
        });
        Notice {
            owner: owner(),
            news,
            state: state.to_owned(),
            previous: previous.to_owned(),
            priority: 100,
            reason: "started".to_owned(),
            commands: commands.collect(),
        }
    }

    fn state(state: &str, previous: &str) -> Notice {
        notice(News::State, state, previous, &["script"])
    }

    /// Starts the next script as this process; its words and the state before.
    fn begin(notices: &mut Notices, process: i32, now: Instant) -> Option<String> {
        let launch = notices.next(&owner())?;
        notices.began(&launch, process, now);
        let (_, previous) = &launch.environment[2];
        Some(format!("{} {previous}", launch.command.argv.join(" ")))
    }

    fn end(notices: &mut Notices, process: i32) {
        assert_eq!(notices.ended(process), Some(owner()));
    }

    #[test]
    fn both_scripts_of_a_change_run_one_after_the_other() {
        let mut notices = Notices::default();
        let both = ["special", "general"];
        notices.tell(notice(News::State, "BACKUP", "INIT", &both), START);
        let first = begin(&mut notices, 1, START);
        assert_eq!(first.as_deref(), Some("special BACKUP INIT"));
        assert_eq!(begin(&mut notices, 2, START), None, "one at a time");
        notices.tell(state("MASTER", "BACKUP"), START);
        notices.tell(state("FAULT", "MASTER"), START);
        end(&mut notices, 1);
        // They belong together, even if the state is past.
        let second = begin(&mut notices, 2, START);
        assert_eq!(second.as_deref(), Some("general BACKUP INIT"));
        end(&mut notices, 2);
        let last = begin(&mut notices, 3, START);
        // What was told before, not what nobody has heard of.
        assert_eq!(last.as_deref(), Some("script FAULT BACKUP"));
        end(&mut notices, 3);
        assert_eq!(begin(&mut notices, 4, START), None);
        let skipped = (vec![Due::Skipped(owner(), 1)], vec![owner()]);
        assert_eq!(notices.expire(START), skipped);
    }

    #[test]
    fn owners_do_not_wait_for_each_other() {
        let mut notices = Notices::default();
        notices.tell(state("BACKUP", "INIT"), START);
        begin(&mut notices, 1, START).unwrap();
        let group = Owner::Group("VI_1".to_owned());
        let mut of_group = state("BACKUP", "INIT");
        of_group.owner = group.clone();
        notices.tell(of_group, START);
        let launch = notices.next(&group).unwrap();
        let names: Vec<&str> = launch.environment.iter().map(|it| it.0.as_str()).collect();
        let expected = [
            "KEEPALIVED_GROUP",
            "KEEPALIVED_STATE",
            "KEEPALIVED_PREVIOUS_STATE",
            "KEEPALIVED_PRIORITY",
            "KEEPALIVED_REASON",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_burst_needs_no_memory_and_ends_with_the_last_state() {
        let mut notices = Notices::default();
        notices.tell(state("BACKUP", "INIT"), START);
        begin(&mut notices, 1, START).unwrap();
        let mut skipped = 0;
        for number in 0..10_000_u32 {
            let now = START + Interval::from_ms(u64::from(number));
            skipped += match number % 3 {
                0 => notices.tell(state("MASTER", "BACKUP"), now),
                1 => notices.tell(notice(News::Event, "LOWER", "MASTER", &["script"]), now),
                _ => notices.tell(state("BACKUP", "MASTER"), now),
            };
        }
        assert_eq!(notices.queues.len(), 1);
        let queue = &notices.queues[&owner()];
        assert!(queue.rest.is_empty() && queue.event.is_none());
        let now = START + Interval::from_secs(10);
        let (due, _) = notices.expire(now);
        // The last state of all is not skipped.
        assert_eq!(due, [Due::Skipped(owner(), 9_999)]);
        assert_eq!(skipped, 9_999, "each is told once");
        end(&mut notices, 1);
        let last = begin(&mut notices, 2, now);
        assert_eq!(last.as_deref(), Some("script MASTER BACKUP"));
        end(&mut notices, 2);
        assert_eq!(begin(&mut notices, 3, now), None);
        notices.expire(now + SKIPPED_LINE_EVERY);
        assert_eq!(begin(&mut notices, 3, now), None);
        assert!(notices.queues.is_empty() && notices.owners.is_empty());
    }

    #[test]
    fn a_script_is_ended_only_if_something_waits_for_its_end() {
        let mut notices = Notices::default();
        notices.tell(state("MASTER", "BACKUP"), START);
        begin(&mut notices, 1, START).unwrap();
        let limit = START + RUN_LIMIT;
        assert_eq!(notices.deadline(), Some(limit));
        assert_eq!(notices.expire(limit).0, [Due::StillRuns(1)]);
        assert_eq!(notices.deadline(), None, "said once, and left alone");
        let later = limit + RUN_LIMIT;
        notices.tell(notice(News::State, "BACKUP", "MASTER", &[]), later);
        assert_eq!(notices.deadline(), None, "nobody is told of it");
        notices.tell(state("MASTER", "BACKUP"), later);
        assert_eq!(notices.expire(later).0, [Due::End(1)]);
        assert_eq!(begin(&mut notices, 2, later), None, "it did not end yet");
        end(&mut notices, 1);
        assert!(begin(&mut notices, 2, later).is_some());
        notices.tell(state("FAULT", "MASTER"), later);
        assert_eq!(notices.expire(later + RUN_LIMIT).0, [Due::End(2)]);
    }

    #[test]
    fn a_state_without_scripts_overtakes_what_waits() {
        let mut notices = Notices::default();
        notices.tell(state("BACKUP", "INIT"), START);
        begin(&mut notices, 1, START).unwrap();
        notices.tell(state("MASTER", "BACKUP"), START);
        notices.tell(notice(News::State, "FAULT", "MASTER", &[]), START);
        end(&mut notices, 1);
        assert_eq!(begin(&mut notices, 2, START), None);
    }

    #[test]
    fn a_stop_is_told_whatever_hangs() {
        let mut notices = Notices::default();
        notices.tell(state("MASTER", "BACKUP"), START);
        begin(&mut notices, 1, START).unwrap();
        assert!(!notices.tell_of_stop(), "this one lives on");
        let both = ["special", "general"];
        notices.tell(notice(News::Stop, "STOP", "MASTER", &both), START);
        assert!(notices.tell_of_stop());
        let mut now = START + STOP_LIMIT;
        assert_eq!(notices.deadline(), Some(now));
        assert_eq!(notices.expire(now), (vec![Due::End(1)], vec![owner()]));
        assert_eq!(begin(&mut notices, 2, now), None, "it may still end");
        // Not even a kill helps: the stop is told all the same.
        now = now + END_LIMIT;
        assert_eq!(notices.expire(now), (vec![], vec![owner()]));
        let first = begin(&mut notices, 2, now);
        assert_eq!(first.as_deref(), Some("special STOP MASTER"));
        assert_eq!(begin(&mut notices, 3, now), None);
        now = now + STOP_LIMIT;
        assert_eq!(notices.expire(now), (vec![], vec![owner()]));
        let second = begin(&mut notices, 3, now);
        assert_eq!(second.as_deref(), Some("general STOP MASTER"));
        assert!(notices.tell_of_stop());
        now = now + STOP_LIMIT;
        notices.expire(now);
        assert!(!notices.tell_of_stop(), "enough was waited");
        assert_eq!(notices.deadline(), None);
    }

    #[test]
    fn a_stop_that_nobody_is_told_of_waits_for_nothing() {
        let mut notices = Notices::default();
        notices.tell(state("MASTER", "BACKUP"), START);
        begin(&mut notices, 1, START).unwrap();
        notices.tell(notice(News::Stop, "STOP", "MASTER", &[]), START);
        assert!(!notices.tell_of_stop());
        assert_eq!(notices.deadline(), Some(START + RUN_LIMIT));
    }
}
