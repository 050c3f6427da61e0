//! Check scripts and notify scripts: used by the supervisor only, because the
//! worker never forks.
//!
//! Decides which runs exist, how one is ended and what its end means. Does not
//! decide when a script runs or what its result does: the engine does.
//!
//! Source: specification D.2, D.8, E.6.

use std::collections::HashMap;

use crate::config::model::{Command, Globals, ScriptUser};
use crate::ids::ScriptId;
use crate::time::{Instant, Interval};
use crate::vrrp::event::Outcome;

use super::fifo::Which;

mod child;
mod examine;
mod notices;
mod spawn;
mod user;
mod walk;

pub use examine::{examine, user_exists};
use notices::{Due, Launch, Notices};
pub use notices::{News, Notice, Owner};
pub use spawn::{Kind, Refusal, Report, Started, start, start_with};
pub use user::{Identity, resolve};
pub use walk::Part;

/// From SIGTERM to SIGKILL.
const KILL_AFTER: Interval = Interval::from_secs(2);

/// From one SIGKILL to the next: the kernel itself holds on to the process.
const KILL_AGAIN_AFTER: Interval = Interval::from_secs(10);

/// What a configuration says of all scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// `enable_script_security`
    pub security: bool,
    /// `set_supplementary_groups`
    pub supplementary_groups: bool,
}

impl Policy {
    /// That of a configuration.
    pub const fn of(globals: &Globals) -> Self {
        Self {
            security: globals.enable_script_security,
            supplementary_groups: globals.set_supplementary_groups,
        }
    }
}

/// Why a script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A check; the worker waits for its outcome.
    Check(ScriptId),
    /// A check whose worker is gone; nobody waits for its outcome.
    Disowned,
    /// It reads a notify FIFO for as long as the daemon runs.
    Reader(Which),
    /// It tells of a change of state.
    Notify,
    /// The daemon starts or stops.
    Lifecycle,
}

/// A run that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Why it ran.
    pub purpose: Purpose,
    /// How it ended.
    pub outcome: Outcome,
    /// It did not even begin, for this reason; the outcome means nothing then.
    pub refusal: Option<Refusal>,
}

/// Every script that runs, by process number.
#[derive(Debug, Default)]
pub struct Scripts {
    running: HashMap<i32, Run>,
    /// The process of each check that runs.
    checks: HashMap<ScriptId, i32>,
    policy: Policy,
    /// Who users are, looked up once for a configuration.
    identities: HashMap<Option<ScriptUser>, Identity>,
    /// What was last complained about a check: once is enough.
    complaints: HashMap<ScriptId, String>,
    notices: Notices,
}

#[derive(Debug)]
struct Run {
    purpose: Purpose,
    program: String,
    /// What it is told, for the log; empty for those that are told nothing.
    told: String,
    /// When it is told to end.
    limit: Option<Instant>,
    end: End,
    report: Option<Report>,
}

impl Run {
    fn due(&self) -> Option<Instant> {
        match self.end {
            End::No => self.limit,
            end => end.due(),
        }
    }

    /// A notify script has ended.
    fn log_end(&self, outcome: Outcome) {
        let Self { told, program, .. } = self;
        match outcome {
            Outcome::Exited(0) => tracing::debug!("{told}: script {program} succeeded"),
            Outcome::Exited(status) => {
                tracing::warn!("{told}: script {program} failed (exited with status {status})");
            }
            Outcome::Signalled(signal) => {
                tracing::warn!("{told}: script {program} failed (due to signal {signal})");
            }
            Outcome::NotRun(_) => {}
        }
    }
}

/// How far the end of a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nobody wants it.
    No,
    /// SIGTERM was sent; SIGKILL follows then.
    Asked { kill_at: Instant },
    /// SIGKILL was sent, and is sent again then.
    Killed { again_at: Instant },
}

impl End {
    const fn due(self) -> Option<Instant> {
        match self {
            Self::No => None,
            Self::Asked { kill_at } => Some(kill_at),
            Self::Killed { again_at } => Some(again_at),
        }
    }
}

impl Scripts {
    /// No script runs yet.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    /// Takes over what a new configuration says.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
        self.identities.clear();
        self.complaints.clear();
    }

    /// Starts a run of a check script.
    ///
    /// # Errors
    /// `Refusal`, if there can be no run: no end of it will be seen.
    pub fn run_check(&mut self, id: ScriptId, command: &Command) -> Result<(), Refusal> {
        let program = command.argv.first().map_or("", String::as_str);
        if self.checks.contains_key(&id) {
            tracing::info!("Track script {program} is already running, expect idle - skipping run");
            return Ok(());
        }
        let purpose = Purpose::Check(id);
        let begun = self.begin(command, &[], Kind::Check, purpose);
        if let Err(refusal) = &begun {
            self.complain(purpose, program, refusal);
        }
        self.checks.insert(id, begun?);
        Ok(())
    }

    /// Has notify scripts run when it is their turn. What goes wrong is logged. How many
    /// notices were overtaken, so that no script is told of them.
    pub fn notify(&mut self, notice: Notice, now: Instant) -> u64 {
        let owner = notice.owner.clone();
        let skipped = self.notices.tell(notice, now);
        self.begin_notices(&owner, now);
        skipped
    }

    /// Starts the script of a start or a stop, to be ended at `limit`; its process.
    /// `None`, and a line in the log, if that is not possible.
    pub fn run_lifecycle(&mut self, command: &Command, limit: Instant) -> Option<i32> {
        match self.begin(command, &[], Kind::Notify, Purpose::Lifecycle) {
            Ok(process) => {
                if let Some(run) = self.running.get_mut(&process) {
                    run.limit = Some(limit);
                }
                Some(process)
            }
            Err(refusal) => {
                let program = command.argv.first().map_or("", String::as_str);
                self.complain(Purpose::Lifecycle, program, &refusal);
                None
            }
        }
    }

    /// Starts what is next to tell of `owner`, if it may begin.
    fn begin_notices(&mut self, owner: &Owner, now: Instant) {
        while let Some(launch) = self.notices.next(owner) {
            self.begin_notice(&launch, now);
        }
    }

    fn begin_notice(&mut self, launch: &Launch, now: Instant) {
        let command = &launch.command;
        let program = command.argv.first().map_or("", String::as_str);
        let told = format!("({}) {}", launch.owner.name(), launch.state);
        tracing::debug!("{told}: running {program}");
        match self.begin(command, &launch.environment, Kind::Notify, Purpose::Notify) {
            Ok(process) => {
                self.notices.began(launch, process, now);
                if let Some(run) = self.running.get_mut(&process) {
                    run.told = told;
                }
            }
            Err(refusal) => self.complain(Purpose::Notify, program, &refusal),
        }
    }

    /// Ends the run of a check script: SIGTERM to its process group now,
    /// SIGKILL 2 s later, and again. Nothing happens if it does not run.
    pub fn end(&mut self, id: ScriptId, now: Instant) {
        if let Some(&process) = self.checks.get(&id) {
            self.terminate(process, now);
        }
    }

    /// Ends the runs of all check scripts; nobody waits for their outcomes.
    pub fn disown_checks(&mut self, now: Instant) {
        for process in std::mem::take(&mut self.checks).into_values() {
            self.terminate(process, now);
            if let Some(run) = self.running.get_mut(&process) {
                run.purpose = Purpose::Disowned;
            }
        }
    }

    /// Tells a script of a start or a stop to end.
    pub fn end_lifecycle(&mut self, process: i32, now: Instant) {
        self.terminate(process, now);
    }

    /// Starts a script that reads a notify FIFO. What goes wrong is logged, and so
    /// is its end, unless it was asked for; it is not started again.
    pub fn start_reader(&mut self, which: Which, command: &Command) {
        let purpose = Purpose::Reader(which);
        if let Err(refusal) = self.begin(command, &[], Kind::Check, purpose) {
            let program = command.argv.first().map_or("", String::as_str);
            self.complain(purpose, program, &refusal);
        }
    }

    /// Asks all scripts that read a notify FIFO to end, as in [`Scripts::end`].
    pub fn end_readers(&mut self, now: Instant) {
        let readers: Vec<i32> = self.readers().collect();
        for process in readers {
            self.terminate(process, now);
        }
    }

    /// Kills those that did not.
    pub fn kill_readers(&self) {
        self.readers()
            .for_each(|process| signal_group(process, libc::SIGKILL));
    }

    fn readers(&self) -> impl Iterator<Item = i32> {
        let running = self.running.iter();
        let readers = running.filter(|(_, run)| matches!(run.purpose, Purpose::Reader(_)));
        readers.map(|(process, _)| *process)
    }

    /// Whether a script that reads a notify FIFO still runs.
    pub fn has_readers(&self) -> bool {
        self.readers().next().is_some()
    }

    /// Whether the stop of the daemon has to wait for scripts that tell of it.
    pub fn tells_of_stop(&self) -> bool {
        self.notices.tell_of_stop()
    }

    /// To be called when `process` has ended but was not waited for yet. If it
    /// is a run that was told to end, its process group goes with it: only now
    /// is the group's number sure to be still its own.
    pub fn before_reaping(&self, process: i32) {
        if self
            .running
            .get(&process)
            .is_some_and(|run| run.end != End::No)
        {
            signal_group(process, libc::SIGKILL);
        }
    }

    /// To be called when `process` was waited for; `None` if it is no script.
    pub fn reaped(&mut self, process: i32, outcome: Outcome, now: Instant) -> Option<Ended> {
        let mut run = self.running.remove(&process)?;
        let refusal = run.report.take().and_then(Report::refusal);
        if let Some(owner) = self.notices.ended(process) {
            if refusal.is_none() {
                run.log_end(outcome);
            }
            self.begin_notices(&owner, now);
        }
        match (&refusal, run.purpose) {
            (Some(refusal), purpose) => self.complain(purpose, &run.program, refusal),
            (None, Purpose::Check(id)) => {
                self.complaints.remove(&id);
            }
            (None, Purpose::Reader(which)) if run.end == End::No => {
                let prefix = which.prefix();
                tracing::warn!("{prefix}notify fifo script terminated");
            }
            (None, _) => {}
        }
        if let Purpose::Check(id) = run.purpose {
            self.checks.remove(&id);
        }
        Some(Ended {
            purpose: run.purpose,
            outcome,
            refusal,
        })
    }

    /// A check runs every second: the same complaint about it is made once.
    fn complain(&mut self, purpose: Purpose, program: &str, refusal: &Refusal) {
        let text = refusal.describe(program);
        match purpose {
            Purpose::Check(id) if self.complaints.get(&id) == Some(&text) => return,
            Purpose::Check(id) => {
                self.complaints.insert(id, text.clone());
            }
            Purpose::Disowned | Purpose::Reader(_) | Purpose::Notify | Purpose::Lifecycle => {}
        }
        tracing::warn!("{text}");
    }

    /// When [`Scripts::expire`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let runs = self.running.values().filter_map(Run::due);
        runs.chain(self.notices.deadline()).min()
    }

    /// Ends what takes too long, kills what does not end, starts what has waited.
    pub fn expire(&mut self, now: Instant) {
        self.expire_notices(now);
        self.expire_limits(now);
        for (&process, run) in &mut self.running {
            let program = &run.program;
            match run.end {
                End::Asked { kill_at } if kill_at <= now => {
                    tracing::info!(
                        "Script {program} child (PID {process}) ignores SIGTERM, killing it"
                    );
                    run.end = End::Killed {
                        again_at: now + KILL_AFTER,
                    };
                }
                End::Killed { again_at } if again_at <= now => {
                    tracing::warn!(
                        "Script {program} child (PID {process}) failed to terminate after kill"
                    );
                    run.end = End::Killed {
                        again_at: now + KILL_AGAIN_AFTER,
                    };
                }
                _ => continue,
            }
            signal_group(process, libc::SIGKILL);
        }
    }

    fn expire_limits(&mut self, now: Instant) {
        let late = |run: &Run| run.limit.is_some_and(|at| at <= now) && run.end == End::No;
        let runs = self.running.iter();
        let late: Vec<i32> = runs.filter(|it| late(it.1)).map(|it| *it.0).collect();
        for process in late {
            self.terminate(process, now);
        }
    }

    fn expire_notices(&mut self, now: Instant) {
        let (due, owners) = self.notices.expire(now);
        for due in due {
            match due {
                Due::StillRuns(process) => self.log_late(process, "still runs"),
                Due::End(process) => {
                    self.log_late(process, "takes too long, ending it for the next one");
                    self.terminate(process, now);
                }
                Due::Skipped(owner, number) => tracing::info!(
                    "({}) {number} notifications were skipped, as later ones overtook them \
                     before their scripts began",
                    owner.name()
                ),
            }
        }
        for owner in owners {
            self.begin_notices(&owner, now);
        }
    }

    fn log_late(&self, process: i32, what: &str) {
        if let Some(Run { told, program, .. }) = self.running.get(&process) {
            tracing::warn!("{told}: script {program} (PID {process}) {what}");
        }
    }

    fn begin(
        &mut self,
        command: &Command,
        environment: &[(String, String)],
        kind: Kind,
        purpose: Purpose,
    ) -> Result<i32, Refusal> {
        let identity = self.identity(command.user.as_ref())?;
        let started = start_with(command, environment, kind, &identity, self.policy)?;
        let Started { process, report } = started;
        let run = Run {
            purpose,
            program: command.argv.first().cloned().unwrap_or_default(),
            told: String::new(),
            limit: None,
            end: End::No,
            report: Some(report),
        };
        self.running.insert(process, run);
        Ok(process)
    }

    /// Who a user is. Only what was found is kept: a user may be made later.
    fn identity(&mut self, user: Option<&ScriptUser>) -> Result<Identity, Refusal> {
        let user = user.cloned();
        if let Some(known) = self.identities.get(&user) {
            return Ok(known.clone());
        }
        let identity = resolve(user.as_ref(), self.policy).map_err(Refusal::User)?;
        self.identities.insert(user, identity.clone());
        Ok(identity)
    }

    fn terminate(&mut self, process: i32, now: Instant) {
        if let Some(run) = self.running.get_mut(&process)
            && run.end == End::No
        {
            signal_group(process, libc::SIGTERM);
            run.end = End::Asked {
                kill_at: now + KILL_AFTER,
            };
        }
    }
}

/// Sends to every process of the group that `leader`, a child of ours that was
/// not waited for, leads.
fn signal_group(leader: i32, signal: i32) {
    if leader > 1 {
        // SAFETY: kill has no memory effects; the number is a child's, and it
        // stays the child's until we wait for it.
        unsafe { libc::kill(-leader, signal) };
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{Pid, geteuid};

    use super::*;
    use crate::ids::Errno;

    const NOW: Instant = Instant::ZERO;
    const ID: ScriptId = ScriptId(3);

    fn shell(text: &str) -> Command {
        Command {
            argv: ["/bin/sh", "-c", text].map(str::to_owned).to_vec(),
            user: Some(ScriptUser {
                user: geteuid().to_string(),
                group: None,
                supplementary_groups: false,
            }),
        }
    }

    /// As the supervisor does it, for one process.
    fn wait(scripts: &mut Scripts, process: i32) -> Option<Ended> {
        let id = nix::sys::wait::Id::Pid(Pid::from_raw(process));
        let flags = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT;
        nix::sys::wait::waitid(id, flags).unwrap();
        scripts.before_reaping(process);
        let outcome = match waitpid(Pid::from_raw(process), None).unwrap() {
            WaitStatus::Exited(_, code) => Outcome::Exited(u8::try_from(code).unwrap()),
            WaitStatus::Signaled(_, signal, _) => Outcome::Signalled(signal as i32),
            other => panic!("{other:?}"),
        };
        scripts.reaped(process, outcome, NOW)
    }

    /// Waits until the script has written its file.
    #[expect(clippy::disallowed_methods, reason = "the script tells nobody")]
    fn appears(path: &Path) -> String {
        for _ in 0..2000 {
            match std::fs::read_to_string(path) {
                Ok(text) if text.ends_with('\n') => return text,
                _ => std::thread::sleep(std::time::Duration::from_millis(5)),
            }
        }
        panic!("{} did not appear", path.display());
    }

    #[test]
    fn a_check_reports_its_outcome_and_runs_once_at_a_time() {
        let mut scripts = Scripts::new(Policy::default());
        let command = shell("read line < /proc/self/fd/0; exit 4");
        assert_eq!(scripts.run_check(ID, &command), Ok(()));
        let process = scripts.checks[&ID];
        assert_eq!(scripts.run_check(ID, &command), Ok(()));
        assert_eq!(scripts.running.len(), 1, "the second run was skipped");
        let ended = wait(&mut scripts, process).unwrap();
        assert_eq!(ended.purpose, Purpose::Check(ID));
        assert_eq!(ended.outcome, Outcome::Exited(4));
        assert_eq!(scripts.run_check(ID, &command), Ok(()), "now it runs again");
        let process = scripts.checks[&ID];
        wait(&mut scripts, process);
    }

    #[test]
    fn a_check_that_cannot_run_has_failed_at_once() {
        let mut scripts = Scripts::new(Policy::default());
        let mut command = shell("");
        command.argv = vec!["/no/such/check".to_owned()];
        assert_eq!(scripts.run_check(ID, &command), Ok(()));
        let process = scripts.checks[&ID];
        let ended = wait(&mut scripts, process).unwrap();
        let refusal = ended.refusal.unwrap();
        assert_eq!(refusal.to_string(), "No such file or directory");
        assert_eq!(refusal, Refusal::Start(Errno(libc::ENOENT)));
        assert!(scripts.checks.is_empty());
    }

    #[test]
    fn the_whole_group_is_ended_even_if_a_part_of_it_resists() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("child");
        let text = format!(
            "sh -c 'trap \"\" TERM; echo $$ > {}; while :; do sleep 1; done' & wait",
            path.display()
        );
        let mut scripts = Scripts::new(Policy::default());
        scripts.run_check(ID, &shell(&text)).unwrap();
        let child: i32 = appears(&path).trim().parse().unwrap();
        let process = scripts.checks[&ID];
        scripts.end(ID, NOW);
        assert_eq!(scripts.deadline(), Some(NOW + KILL_AFTER));
        let ended = wait(&mut scripts, process).unwrap();
        assert_eq!(ended.outcome, Outcome::Signalled(libc::SIGTERM));
        assert_gone(child);
    }

    #[test]
    fn what_ignores_the_first_signal_is_killed_later() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ready");
        let text = format!(
            "trap '' TERM; echo ready > {}; while :; do sleep 1; done",
            path.display()
        );
        let mut scripts = Scripts::new(Policy::default());
        scripts.run_check(ID, &shell(&text)).unwrap();
        appears(&path);
        let process = scripts.checks[&ID];
        scripts.disown_checks(NOW);
        scripts.expire(NOW + Interval::from_ms(1999));
        assert_eq!(scripts.deadline(), Some(NOW + KILL_AFTER), "not yet");
        scripts.expire(NOW + KILL_AFTER);
        assert_eq!(scripts.deadline(), Some(NOW + KILL_AFTER + KILL_AFTER));
        let ended = wait(&mut scripts, process).unwrap();
        assert_eq!(ended.purpose, Purpose::Disowned);
        assert_eq!(ended.outcome, Outcome::Signalled(libc::SIGKILL));
        assert_eq!(scripts.deadline(), None);
    }

    fn notice(news: News, state: &str, commands: Vec<Command>) -> Notice {
        Notice {
            owner: Owner::Group("G 1".to_owned()),
            news,
            state: state.to_owned(),
            previous: "INIT".to_owned(),
            priority: 0,
            reason: "started".to_owned(),
            commands,
        }
    }

    #[test]
    fn only_scripts_of_the_stop_are_waited_for() {
        let mut scripts = Scripts::new(Policy::default());
        let directory = tempfile::tempdir().unwrap();
        let seen = directory.path().join("seen");
        let tell = shell(&format!(
            "echo \"$KEEPALIVED_GROUP,$KEEPALIVED_STATE,$KEEPALIVED_PREVIOUS_STATE,\
             $KEEPALIVED_PRIORITY,$KEEPALIVED_REASON\" >> {}",
            seen.display()
        ));
        scripts.notify(notice(News::State, "BACKUP", vec![tell.clone()]), NOW);
        assert!(!scripts.tells_of_stop());
        scripts.notify(notice(News::Stop, "STOP", vec![tell]), NOW);
        assert!(scripts.tells_of_stop());
        for _ in 0..2 {
            let processes: Vec<i32> = scripts.running.keys().copied().collect();
            assert_eq!(processes.len(), 1, "one at a time");
            wait(&mut scripts, processes[0]);
        }
        assert!(!scripts.tells_of_stop());
        let expected = "G 1,BACKUP,INIT,0,started\nG 1,STOP,INIT,0,started\n";
        assert_eq!(std::fs::read_to_string(&seen).unwrap(), expected);
    }

    #[test]
    fn a_script_of_the_start_is_ended_at_its_limit() {
        let mut scripts = Scripts::new(Policy::default());
        let limit = NOW + Interval::from_secs(2);
        let process = scripts.run_lifecycle(&shell("exec sleep 60"), limit);
        let process = process.unwrap();
        scripts.expire(NOW + Interval::from_ms(1999));
        assert_eq!(scripts.deadline(), Some(limit));
        scripts.expire(limit);
        let ended = wait(&mut scripts, process).unwrap();
        assert_eq!(ended.purpose, Purpose::Lifecycle);
        assert_eq!(ended.outcome, Outcome::Signalled(libc::SIGTERM));
    }

    /// A killed process whose parent is gone stays visible until it is reaped.
    #[expect(clippy::disallowed_methods, reason = "it is no child of ours")]
    fn assert_gone(process: i32) {
        for _ in 0..2000 {
            let status = std::fs::read_to_string(format!("/proc/{process}/stat"));
            match status {
                Ok(text) if !text.contains(") Z ") => {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                _ => return,
            }
        }
        panic!("{process} is still there");
    }
}
