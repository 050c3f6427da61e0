//! The stop of the daemon: what it waits for, and for how long.
//!
//! The worker goes first; then the scripts that tell of the stop and the readers of
//! the notify FIFOs; then the shutdown script, and last the D-Bus service. Source: specification E.1, E.6.

use super::super::channel::ToWorker;
use super::super::lifecycle::Run;
use super::{Phase, Supervisor};
use crate::system::clock::now;
use crate::system::scripts::Scripts;
use crate::time::{Instant, Interval};

/// How long the worker may take to stop, unless `child_wait_time` says otherwise.
const STOP_LIMIT: Interval = Interval::from_secs(5);

/// How long a stop waits for scripts that read a notify FIFO.
const READERS_LIMIT: Interval = Interval::from_secs(1);

pub(super) struct Stop {
    code: u8,
    /// When a worker that has not ended is killed; `None` once it was.
    pub(super) kill_at: Option<Instant>,
    /// The startup script, if the stop comes while it runs; then the shutdown
    /// script.
    pub(super) script: Option<Run>,
    /// The shutdown script had its turn.
    shut_down: bool,
    /// How long we wait for scripts that read a notify FIFO; `None` until they are
    /// waited for, and again when they were killed.
    pub(super) readers_until: Option<Instant>,
    /// They had their time.
    readers_killed: bool,
}

impl Stop {
    /// Whether nobody who reads a notify FIFO is left to wait for.
    fn is_read(&mut self, scripts: &Scripts) -> bool {
        if self.readers_killed || !scripts.has_readers() {
            return true;
        }
        let now = now();
        let until = *self.readers_until.get_or_insert(now + READERS_LIMIT);
        if now < until {
            return false;
        }
        scripts.kill_readers();
        (self.readers_until, self.readers_killed) = (None, true);
        true
    }
}

impl Supervisor<'_> {
    pub(super) fn begin_stop(&mut self, code: u8) {
        if self.stop.is_some() {
            return;
        }
        tracing::info!("Stopping");
        self.told(self.manager.stopping());
        let now = now();
        // A check may itself be what asks for the stop and waits for it: it is
        // told to end, and nobody waits for it.
        self.scripts.disown_checks(now);
        let limit = self.good.config.globals.places.child_wait_time;
        let kill_at = Some(now + limit.unwrap_or(STOP_LIMIT));
        self.stop = Some(Stop {
            code,
            kill_at,
            script: None,
            shut_down: false,
            readers_until: None,
            readers_killed: false,
        });
        match &mut self.phase {
            Phase::Working(_) => self.tell(&ToWorker::Stop),
            Phase::Waiting { .. } => self.phase = Phase::NoWorker,
            Phase::NoWorker | Phase::CleaningUp { .. } => {}
            Phase::StartingUp(run) => {
                run.end(&mut self.scripts, now);
                if let Phase::StartingUp(run) = std::mem::replace(&mut self.phase, Phase::NoWorker)
                    && let Some(stop) = &mut self.stop
                {
                    stop.script = Some(run);
                }
            }
        }
    }

    /// The exit code, once nothing is left to wait for.
    pub(super) fn finished(&mut self) -> Option<u8> {
        let stop = self.stop.as_mut()?;
        if !matches!(self.phase, Phase::NoWorker) {
            return None;
        }
        stop.kill_at = None;
        self.scripts.end_readers(now());
        if self.scripts.tells_of_stop() || stop.script.is_some() || !stop.is_read(&self.scripts) {
            return None;
        }
        if !std::mem::replace(&mut stop.shut_down, true) {
            let script = &self.good.config.globals.shutdown_script;
            stop.script = Run::begin("shutdown", script, &mut self.scripts, now());
        }
        let code = stop.code;
        (stop.script.is_none() && self.bus.is_stopped()).then_some(code)
    }
}
