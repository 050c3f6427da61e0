//! Check scripts and notify scripts: used by the supervisor only, because the
//! worker never forks.
//!
//! Decides which runs exist, how one is ended and what its end means. Does not
//! decide when a script runs or what its result does: the engine does.
//!
//! Source: specification D.2, D.8, E.6.

use std::collections::{HashMap, HashSet};

use crate::config::model::Command;
use crate::ids::ScriptId;
use crate::time::{Instant, Interval};
use crate::vrrp::event::Outcome;

mod examine;
mod security;
mod spawn;
mod user;

pub use examine::{examine, user_exists};
pub use spawn::{Kind, Refusal, start};
pub use user::{Identity, resolve};

/// From SIGTERM to SIGKILL, and from one SIGKILL to the next.
const KILL_AFTER: Interval = Interval::from_secs(2);

/// Why a script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A check; the worker waits for its outcome.
    Check(ScriptId),
    /// A check whose worker is gone; nobody waits for its outcome.
    Disowned,
    /// It tells of a change of state.
    Notify {
        /// The change is the stop of the daemon.
        stopping: bool,
    },
}

/// A run that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Why it ran.
    pub purpose: Purpose,
    /// How it ended.
    pub outcome: Outcome,
}

/// Every script that runs, by process number.
#[derive(Debug, Default)]
pub struct Scripts {
    running: HashMap<i32, Run>,
    security: bool,
    /// Programs that were complained about: once is enough.
    refused: HashSet<String>,
}

#[derive(Debug)]
struct Run {
    purpose: Purpose,
    /// When the next SIGKILL is due; `None` until the run is being ended.
    kill_at: Option<Instant>,
}

impl Scripts {
    /// No script runs yet. `security` is `enable_script_security`.
    pub fn new(security: bool) -> Self {
        Self {
            security,
            ..Self::default()
        }
    }

    /// Takes over `enable_script_security` of a new configuration.
    pub fn set_security(&mut self, security: bool) {
        self.security = security;
        self.refused.clear();
    }

    /// Starts a run of a check script. Returns why not, if it could not be started.
    pub fn run_check(&mut self, id: ScriptId, command: &Command) -> Option<Refusal> {
        let program = command.argv.first().map_or("", String::as_str);
        if self.check_process(id).is_some() {
            tracing::info!("Track script {program} is already running, expect idle - skipping run");
            return None;
        }
        self.begin(command, Kind::Check, Purpose::Check(id)).err()
    }

    /// Starts a notify script; it is not waited for. What goes wrong is logged.
    pub fn notify(&mut self, command: &Command, stopping: bool) {
        let purpose = Purpose::Notify { stopping };
        // The log has the reason already, and nobody else wants it.
        let _ = self.begin(command, Kind::Notify, purpose);
    }

    /// Ends the run of a check script: SIGTERM to its process group now,
    /// SIGKILL 2 s later, and again. Nothing happens if it does not run.
    pub fn end(&mut self, id: ScriptId, now: Instant) {
        if let Some(process) = self.check_process(id) {
            self.terminate(process, now);
        }
    }

    /// Ends the runs of all check scripts; nobody waits for their outcomes.
    pub fn disown_checks(&mut self, now: Instant) {
        let checks: Vec<i32> = self
            .running
            .iter()
            .filter(|(_, run)| matches!(run.purpose, Purpose::Check(_)))
            .map(|(&process, _)| process)
            .collect();
        for process in checks {
            self.terminate(process, now);
            if let Some(run) = self.running.get_mut(&process) {
                run.purpose = Purpose::Disowned;
            }
        }
    }

    /// Whether a script runs that tells of the stop of the daemon.
    pub fn tells_of_stop(&self) -> bool {
        self.running
            .values()
            .any(|run| run.purpose == Purpose::Notify { stopping: true })
    }

    /// To be called when `process` has ended but was not waited for yet. If it
    /// is a run that was told to end, its process group goes with it: only now
    /// is the group's number sure to be still its own.
    pub fn before_reaping(&self, process: i32) {
        if self
            .running
            .get(&process)
            .is_some_and(|run| run.kill_at.is_some())
        {
            signal_group(process, libc::SIGKILL);
        }
    }

    /// To be called when `process` was waited for; `None` if it is no script.
    pub fn reaped(&mut self, process: i32, outcome: Outcome) -> Option<Ended> {
        let run = self.running.remove(&process)?;
        Some(Ended {
            purpose: run.purpose,
            outcome,
        })
    }

    /// When [`Scripts::expire`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.running.values().filter_map(|run| run.kill_at).min()
    }

    /// Kills what has not ended in time.
    pub fn expire(&mut self, now: Instant) {
        for (&process, run) in &mut self.running {
            if run.kill_at.is_some_and(|at| at <= now) {
                tracing::info!("Script child (PID {process}) failed to terminate, killing it");
                signal_group(process, libc::SIGKILL);
                run.kill_at = Some(now + KILL_AFTER);
            }
        }
    }

    fn check_process(&self, id: ScriptId) -> Option<i32> {
        self.running
            .iter()
            .find(|(_, run)| run.purpose == Purpose::Check(id))
            .map(|(&process, _)| process)
    }

    fn begin(&mut self, command: &Command, kind: Kind, purpose: Purpose) -> Result<(), Refusal> {
        match start(command, kind, self.security) {
            Ok(process) => {
                let kill_at = None;
                self.running.insert(process, Run { purpose, kill_at });
                Ok(())
            }
            Err(refusal) => {
                let program = command.argv.first().map_or("", String::as_str);
                let text = refusal.describe(program);
                // A check runs every second: the same complaint is made once.
                if kind == Kind::Notify || self.refused.insert(text.clone()) {
                    tracing::warn!("{text}");
                }
                Err(refusal)
            }
        }
    }

    fn terminate(&mut self, process: i32, now: Instant) {
        if let Some(run) = self.running.get_mut(&process)
            && run.kill_at.is_none()
        {
            signal_group(process, libc::SIGTERM);
            run.kill_at = Some(now + KILL_AFTER);
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
    use crate::config::model::ScriptUser;
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
        let mut scripts = Scripts::new(false);
        let command = shell("read line < /proc/self/fd/0; exit 4");
        assert_eq!(scripts.run_check(ID, &command), None);
        let process = scripts.check_process(ID).unwrap();
        assert_eq!(scripts.run_check(ID, &command), None);
        assert_eq!(scripts.running.len(), 1, "the second run was skipped");
        let ended = wait(&mut scripts, process).unwrap();
        assert_eq!(ended.purpose, Purpose::Check(ID));
        assert_eq!(ended.outcome, Outcome::Exited(4));
        assert_eq!(scripts.run_check(ID, &command), None, "now it runs again");
        let process = scripts.check_process(ID).unwrap();
        wait(&mut scripts, process);
    }

    #[test]
    fn a_check_that_cannot_run_has_failed_at_once() {
        let mut scripts = Scripts::new(false);
        let mut command = shell("");
        command.argv = vec!["/no/such/check".to_owned()];
        let refusal = scripts.run_check(ID, &command);
        assert_eq!(refusal, Some(Refusal::Start(Errno(libc::ENOENT))));
    }

    #[test]
    fn the_whole_group_is_ended_even_if_a_part_of_it_resists() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("child");
        let text = format!(
            "sh -c 'trap \"\" TERM; echo $$ > {}; while :; do sleep 1; done' & wait",
            path.display()
        );
        let mut scripts = Scripts::new(false);
        scripts.run_check(ID, &shell(&text));
        let child: i32 = appears(&path).trim().parse().unwrap();
        let process = scripts.check_process(ID).unwrap();
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
        let mut scripts = Scripts::new(false);
        scripts.run_check(ID, &shell(&text));
        appears(&path);
        let process = scripts.check_process(ID).unwrap();
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
        let mut scripts = Scripts::new(false);
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
