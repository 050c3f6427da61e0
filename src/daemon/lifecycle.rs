//! The scripts of a start and of a stop.
//!
//! Decides how one of them goes: it runs once, is ended at its time limit, and
//! what it returns is logged and has no other effect. When it runs is the
//! supervisor's matter: before the first worker, and after the last one.
//!
//! Source: specification B.2 (`startup_script` and the lines below it), E.1.

use crate::config::model::LifecycleScript;
use crate::system::scripts::Scripts;
use crate::time::{Instant, Interval};
use crate::vrrp::event::Outcome;

/// How long the end of a script is waited for once it was told to end: it is
/// killed meanwhile.
const END_LIMIT: Interval = Interval::from_secs(4);

/// A script of a start or of a stop that runs.
#[derive(Debug)]
pub struct Run {
    which: &'static str,
    process: i32,
    /// When it is told to end, and when it is waited for no longer.
    limit: Instant,
    give_up_at: Instant,
    said_late: bool,
}

impl Run {
    /// Starts `script`; `which` is `startup` or `shutdown`. `None` if there is none,
    /// or if it cannot be started.
    pub fn begin(
        which: &'static str,
        script: &LifecycleScript,
        scripts: &mut Scripts,
        now: Instant,
    ) -> Option<Self> {
        let command = script.command.as_ref()?;
        let program = command.argv.first().map_or("", String::as_str);
        tracing::info!("Running {which} script {program}");
        let limit = now + script.timeout;
        let process = scripts.run_lifecycle(command, limit)?;
        Some(Self {
            which,
            process,
            limit,
            give_up_at: limit + END_LIMIT,
            said_late: false,
        })
    }

    /// The process that it is.
    pub const fn process(&self) -> i32 {
        self.process
    }

    /// Nobody wants it any more.
    pub fn end(&mut self, scripts: &mut Scripts, now: Instant) {
        scripts.end_lifecycle(self.process, now);
        self.give_up_at = self.give_up_at.min(now + END_LIMIT);
        self.said_late = true;
    }

    /// When [`Run::is_given_up`] has something to say.
    pub fn deadline(&self) -> Instant {
        if self.said_late {
            self.give_up_at
        } else {
            self.limit
        }
    }

    /// Whether it is not waited for any longer.
    pub fn is_given_up(&mut self, now: Instant) -> bool {
        if now >= self.limit && !self.said_late {
            self.said_late = true;
            tracing::info!("{} script timed out", self.which);
        }
        now >= self.give_up_at
    }

    /// It has ended.
    pub fn ended(self, outcome: Outcome, refused: bool) {
        let which = self.which;
        match outcome {
            _ if self.said_late || refused => {}
            Outcome::Exited(0) => tracing::info!("{which} script script succeeded"),
            Outcome::Exited(status) => {
                tracing::info!("{which} script script failed, status {status}");
            }
            Outcome::Signalled(signal) => {
                tracing::info!("{which} script script failed due to signal {signal}");
            }
            Outcome::NotRun(_) => {}
        }
    }
}
