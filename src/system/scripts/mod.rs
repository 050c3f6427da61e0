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
mod spawn;
mod user;
mod walk;

pub use examine::{examine, user_exists};
pub use spawn::{Kind, Refusal, Report, Started, start};
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
    Notify {
        /// The change is the stop of the daemon.
        stopping: bool,
    },
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
}

#[derive(Debug)]
struct Run {
    purpose: Purpose,
    program: String,
    end: End,
    report: Report,
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
        let begun = self.begin(command, Kind::Check, purpose);
        if let Err(refusal) = &begun {
            self.complain(purpose, program, refusal);
        }
        self.checks.insert(id, begun?);
        Ok(())
    }

    /// Starts a notify script; it is not waited for. What goes wrong is logged.
    pub fn notify(&mut self, command: &Command, stopping: bool) {
        let purpose = Purpose::Notify { stopping };
        if let Err(refusal) = self.begin(command, Kind::Notify, purpose) {
            let program = command.argv.first().map_or("", String::as_str);
            self.complain(purpose, program, &refusal);
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

    /// Starts a script that reads a notify FIFO. What goes wrong is logged, and so
    /// is its end, unless it was asked for; it is not started again.
    pub fn start_reader(&mut self, which: Which, command: &Command) {
        let purpose = Purpose::Reader(which);
        if let Err(refusal) = self.begin(command, Kind::Check, purpose) {
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

    /// Whether a script runs that tells, or reads, of the stop of the daemon.
    pub fn tells_of_stop(&self) -> bool {
        self.running.values().any(|run| {
            matches!(
                run.purpose,
                Purpose::Notify { stopping: true } | Purpose::Reader(_)
            )
        })
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
    pub fn reaped(&mut self, process: i32, outcome: Outcome) -> Option<Ended> {
        let run = self.running.remove(&process)?;
        let refusal = run.report.refusal();
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
            Purpose::Disowned | Purpose::Reader(_) | Purpose::Notify { .. } => {}
        }
        tracing::warn!("{text}");
    }

    /// When [`Scripts::expire`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.running.values().filter_map(|run| run.end.due()).min()
    }

    /// Kills what has not ended in time.
    pub fn expire(&mut self, now: Instant) {
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

    fn begin(&mut self, command: &Command, kind: Kind, purpose: Purpose) -> Result<i32, Refusal> {
        let identity = self.identity(command.user.as_ref())?;
        let Started { process, report } = start(command, kind, &identity, self.policy)?;
        let run = Run {
            purpose,
            program: command.argv.first().cloned().unwrap_or_default(),
            end: End::No,
            report,
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
        scripts.reaped(process, outcome)
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

    #[test]
    fn only_scripts_of_the_stop_are_waited_for() {
        let mut scripts = Scripts::new(Policy::default());
        scripts.notify(&shell("exit 0"), false);
        assert!(!scripts.tells_of_stop());
        scripts.notify(&shell("exit 0"), true);
        assert!(scripts.tells_of_stop());
        let processes: Vec<i32> = scripts.running.keys().copied().collect();
        for process in processes {
            wait(&mut scripts, process);
        }
        assert!(!scripts.tells_of_stop());
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
