//! What the kernel refused: who is told, and when it is tried again.
//!
//! What is to be in is kept by the instance, or with what is static; what is to be gone
//! is kept here, because the instance that had it may be gone, too. A VIP that stays on
//! a node which is not MASTER any more would be on two nodes.

use crate::ids::{Errno, InstanceId};
use crate::time::{Instant, Interval};

use super::super::action::{Operation, Token, Transmit};
use super::super::instance::{Purpose, Running, TimerKey};
use super::super::kernel_set::removals;
use super::super::log_lines::LogLine;
use super::{Engine, Phase};

/// After this long it is tried again what the kernel refused, if nothing that happens
/// is reason to do so earlier.
const TRY_AGAIN_AFTER: Interval = Interval::from_secs(1);

/// So often a stop tries to take off what is left, before it leaves it.
const LAST_TRIALS_MAX: u8 = 3;

/// What is to be gone and is not.
#[derive(Debug, Default)]
pub(super) struct Stuck {
    operations: Vec<Operation>,
    /// The trial under way, with what it is to take off.
    trying: Option<(Token, Vec<Operation>)>,
    /// How often a stop has tried.
    last_trials: u8,
}

impl Stuck {
    /// Only what may be left behind for others to trip over: a rule of the packet filter
    /// does no harm where the address is gone.
    fn note(&mut self, operation: &Operation) {
        let counts = matches!(
            operation,
            Operation::RemoveAddress { .. } | Operation::RemoveRoute(_) | Operation::RemoveRule(_)
        );
        if counts && !self.operations.contains(operation) {
            self.operations.push(operation.clone());
        }
    }
}

impl Engine {
    /// The kernel did not do one operation.
    pub(super) fn refused(
        &mut self,
        now: Instant,
        token: Token,
        operation: &Operation,
        errno: Errno,
        tx: &mut impl Transmit,
    ) {
        let purpose = self.requests.purpose(token);
        if !matches!(purpose, Some(Purpose::Static) | None) {
            self.stuck.note(operation);
        }
        self.tell_refused(now, purpose, (token, operation, errno), tx);
        self.arm_for_refused(now);
    }

    fn tell_refused(
        &mut self,
        now: Instant,
        purpose: Option<Purpose>,
        (token, operation, errno): (Token, &Operation, Errno),
        tx: &mut impl Transmit,
    ) {
        let id = match purpose {
            Some(
                Purpose::Install(id)
                | Purpose::Restore(id)
                | Purpose::Remove(id)
                | Purpose::Renew(id)
                | Purpose::TryAgain(id),
            ) => id,
            Some(Purpose::Static | Purpose::TryStaticAgain) => {
                return self.static_refused(now, token, operation, errno, tx);
            }
            Some(Purpose::Reload) => return self.reload_refused(token, operation, errno),
            // It has been told of.
            Some(Purpose::TakeOff) => return,
            // What was refused of links is told when they are done.
            Some(Purpose::Links) | None => return,
        };
        self.one(now, id, tx, |it, cx| {
            it.refused(token, operation, errno, cx);
        });
    }

    fn reload_refused(&mut self, token: Token, operation: &Operation, errno: Errno) {
        let instances = self.instances.values_mut();
        let noted = instances.map(|it| it.reload_refused(token, operation, errno));
        // Not `any`: several instances may have the same route.
        let count = noted.filter(|noted| *noted).count();
        if count > 0 || !operation.adds() {
            self.log(LogLine::refused(operation, errno));
        }
    }

    fn static_refused(
        &mut self,
        now: Instant,
        token: Token,
        operation: &Operation,
        errno: Errno,
        tx: &mut impl Transmit,
    ) {
        if self.statics.refused(token, operation, errno) {
            self.log(LogLine::refused(operation, errno));
            self.follow_missing_statics(now, tx);
        }
    }

    /// Something around has changed: tries again what the kernel refused.
    pub(super) fn try_again(&mut self, now: Instant, tx: &mut impl Transmit) {
        if self.phase == Phase::Running {
            let instances = self.instances.iter();
            let refused: Vec<InstanceId> = instances
                .filter(|(_, it)| it.lacks_anything())
                .map(|(id, _)| *id)
                .collect();
            for id in refused {
                self.one(now, id, tx, Running::try_again);
            }
            self.try_statics_again();
        }
    }

    /// A trial of what is static is over.
    pub(super) fn tried_statics_again(
        &mut self,
        now: Instant,
        token: Token,
        tx: &mut impl Transmit,
    ) {
        let Some((is_in, once_more)) = self.statics.refusals.ended(token) else {
            return;
        };
        for operation in is_in {
            self.log(LogLine::InAtLast(operation.to_string()));
        }
        self.follow_missing_statics(now, tx);
        if once_more {
            self.try_statics_again();
        }
    }

    fn try_statics_again(&mut self) {
        let operations = self.statics.refusals.retry();
        if let Some(token) = self.ask_static(Purpose::TryStaticAgain, operations) {
            self.statics.refusals.began(token);
        }
    }

    /// As long as something is not as it is to be, it is tried again.
    fn arm_for_refused(&mut self, now: Instant) {
        let key = TimerKey::Refused;
        // First, as thousands may be refused at once.
        if self.phase != Phase::Running || self.timers.deadline_of(key).is_some() {
            return;
        }
        let is_any = !self.stuck.operations.is_empty()
            || self.stuck.trying.is_some()
            || !self.statics.refusals.is_empty()
            || self.instances.values().any(|it| it.lacks_anything());
        if is_any {
            self.timers.arm(key, now + TRY_AGAIN_AFTER);
        }
    }

    /// The time has come to try again.
    pub(super) fn refused_due(&mut self, now: Instant, tx: &mut impl Transmit) {
        if self.phase != Phase::Running {
            return;
        }
        self.try_again(now, tx);
        self.take_off_again();
        self.arm_for_refused(now);
    }

    /// At a stop, when everything else is done: whether something is left that is to be
    /// taken off.
    pub(super) fn takes_off_what_is_left(&mut self) -> bool {
        if self.stuck.operations.is_empty() || self.stuck.last_trials == LAST_TRIALS_MAX {
            return false;
        }
        self.stuck.last_trials = self.stuck.last_trials.saturating_add(1);
        self.take_off_again();
        !self.requests.is_empty()
    }

    fn take_off_again(&mut self) {
        if self.stuck.trying.is_some() {
            return;
        }
        let mut stuck = std::mem::take(&mut self.stuck.operations);
        stuck.retain(|operation| self.is_to_be_gone(operation));
        if !stuck.is_empty() {
            let token = self
                .requests
                .ask(Purpose::TakeOff, stuck.clone(), &mut self.actions);
            self.stuck.trying = Some((token, stuck));
        }
    }

    /// A trial to take off is over. What was refused again has been noted again.
    pub(super) fn tried_to_take_off(&mut self, token: Token) {
        let Some((_, tried)) = self.stuck.trying.take_if(|(trial, _)| *trial == token) else {
            return;
        };
        for operation in tried {
            if !self.stuck.operations.contains(&operation) {
                self.log(LogLine::GoneAtLast(operation.to_string()));
            }
        }
    }

    /// Whether it may be there, and nobody wants it again.
    fn is_to_be_gone(&self, operation: &Operation) -> bool {
        let Operation::RemoveAddress { on, address } = operation else {
            let mut ways = self.instances.values().map(|it| it.ways());
            return !ways.any(|ways| removals(ways).contains(operation));
        };
        let Some(interface) = self.interfaces.get(*on) else {
            return false;
        };
        let is_static = self.config.static_addresses.iter().any(|it| {
            (it.address, it.prefix_length) == (address.address, address.prefix_length)
                && *it.interface == *interface.name
        });
        !is_static && !self.instances.values().any(|it| it.has_on(*on, address))
    }
}
