//! `timer_expired_backup`: a MASTER that stood still for so long that another node
//! must have taken over steps back before it does anything else.
//!
//! Without it, the first advert after the standstill takes the addresses back,
//! although `nopreempt` says that a live master is to be left alone.

use crate::ids::Priority;
use crate::time::{Instant, Interval};

use super::super::action::Action;
use super::super::log_lines::LogLine;
use super::super::state_machine::{Effects, Input, State};
use super::{Context, Running};

impl Running {
    /// Steps back if its advert, which was due at `deadline`, is too late; gives
    /// what was done then.
    pub(super) fn step_back_if_late(
        &mut self,
        deadline: Instant,
        cx: &mut Context<'_>,
    ) -> Option<Effects> {
        let other = self.config.timer_expired_backup?;
        let late = cx.now.since(deadline);
        if self.state != State::Master || late < self.patience_of(Priority(other)) {
            return None;
        }
        cx.actions
            .push_back(Action::Log(LogLine::TimerExpired(late)));
        Some(self.step(Input::Superseded, None, cx.now, cx))
    }

    /// The same before a datagram is looked at: it may be of the new master.
    pub fn step_back_before_datagram(&mut self, cx: &mut Context<'_>) -> Option<Effects> {
        self.config.timer_expired_backup?;
        let deadline = cx.timers.deadline_of(self.timer())?;
        self.step_back_if_late(deadline, cx)
    }

    /// How late the next advert may be before a backup of this priority, which
    /// began to wait with the last one, has taken over.
    fn patience_of(&self, other: Priority) -> Interval {
        let wait = self.timing().master_down_time(other);
        wait.without(self.config.advert_interval)
    }
}
