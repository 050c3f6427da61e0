//! What an administrator orders of the worker, and what of it is in force.
//!
//! Decides who is told what while there is no worker to obey, and keeps what is in
//! force, so that a worker that replaces another one goes on with it. It ends with the
//! daemon: a restart goes back to what the configuration says. What an order does is
//! decided in `vrrp/engine/orders.rs`.

use super::super::channel::ToWorker;
use super::super::control::Obeyed;
use super::super::control::desk::Question;
use super::super::status::compose::refusal;
use super::{Phase, Supervisor};
use crate::time::Instant;
use crate::vrrp::orders::{InForce, Order, StandingOrders};

/// The orders in force, and who waits.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// What a new worker begins with.
    pub(super) in_force: StandingOrders,
    /// Clients whose orders the worker has not answered.
    waiting: Vec<u64>,
}

impl Supervisor<'_> {
    /// Everything that somebody asks at the control socket.
    pub(super) fn serve_desk(&mut self, now: Instant) {
        for question in self.reloads.desk.turn(now) {
            match question.request.ordered() {
                Ok(Some(order)) => self.pass_on(&question, order, now),
                // What is not understood never comes here.
                Ok(None) | Err(_) => self.asked_for_reload(question, now),
            }
        }
    }

    fn pass_on(&mut self, question: &Question, order: Order, now: Instant) {
        tracing::info!("Order of {}: {order}", question.by);
        let number = question.number;
        if self.stop.is_none() && matches!(self.phase, Phase::Working(_)) {
            self.orders.waiting.push(number);
            return self.tell(&ToWorker::Order { number, order });
        }
        let why = self.why_nobody_works();
        let answer = refusal("not-available", why.to_owned());
        self.reloads.desk.answer(number, &answer, now);
    }

    /// The worker has carried out an order, or not.
    pub(super) fn ordered(
        &mut self,
        number: u64,
        outcome: Result<Vec<String>, (String, String)>,
        now: Instant,
    ) {
        self.orders.waiting.retain(|waiting| *waiting != number);
        let desk = &mut self.reloads.desk;
        match outcome {
            Ok(done) => {
                let version = super::super::control::VERSION;
                desk.answer(number, &Obeyed { version, done }, now);
            }
            Err((code, text)) => {
                tracing::info!("Order refused: {text}");
                desk.answer(number, &refusal(&code, text), now);
            }
        }
    }

    /// What is in force for an instance has changed.
    pub(super) fn note_in_force(&mut self, instance: String, orders: InForce) {
        if orders == InForce::default() {
            self.orders.in_force.remove(&instance);
        } else {
            self.orders.in_force.insert(instance, orders);
        }
    }

    /// Nobody answers any more: the worker is gone.
    pub(super) fn give_up_orders(&mut self, now: Instant) {
        for number in std::mem::take(&mut self.orders.waiting) {
            let text = "the VRRP process died; look at the status before you try again";
            let answer = refusal("not-available", text.to_owned());
            self.reloads.desk.answer(number, &answer, now);
        }
    }
}
