//! The way of orders to the mail thread.
//!
//! Decides what goes when there are too many letters: the oldest, because the
//! last states of all are those that somebody wants to know.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::postman::Order;
use crate::time::Interval;

/// How many orders may be on their way.
const ORDERS_MAX: usize = 64;

/// A bounded queue that never makes the giver wait.
#[derive(Debug, Default)]
pub(super) struct Queue {
    inside: Mutex<Inside>,
    change: Condvar,
}

#[derive(Debug, Default)]
struct Inside {
    orders: VecDeque<Order>,
    /// Nothing more will come.
    is_closed: bool,
    /// How many letters had to go and were not told of yet.
    dropped: u64,
}

/// What came of waiting for an order.
#[derive(Debug)]
pub(super) enum Taken {
    /// The oldest order.
    Order(Order),
    /// None came in time.
    Nothing,
    /// None will come.
    Closed,
}

impl Queue {
    /// Adds an order; the oldest one goes if there are too many.
    pub fn give(&self, order: Order) {
        let mut inside = self.inside();
        if inside.orders.len() >= ORDERS_MAX
            && let Some(Order::Deliver(_)) = inside.orders.pop_front()
        {
            inside.dropped = inside.dropped.saturating_add(1);
        }
        inside.orders.push_back(order);
        self.change.notify_one();
    }

    /// The oldest order, when there is one; `None` waits for ever.
    pub fn take(&self, wait: Option<Interval>) -> Taken {
        let is_idle = |inside: &mut Inside| inside.orders.is_empty() && !inside.is_closed;
        let inside = self.inside();
        let mut inside = match wait {
            None => self
                .change
                .wait_while(inside, is_idle)
                .unwrap_or_else(PoisonError::into_inner),
            Some(wait) => {
                let waited = self
                    .change
                    .wait_timeout_while(inside, Duration::from(wait), is_idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        match inside.orders.pop_front() {
            Some(order) => Taken::Order(order),
            None if inside.is_closed => Taken::Closed,
            None => Taken::Nothing,
        }
    }

    /// Nothing more will be given; what is queued can still be taken.
    pub fn close(&self) {
        self.inside().is_closed = true;
        self.change.notify_one();
    }

    /// Counts a letter that had to go elsewhere.
    pub fn count_dropped(&self) {
        let mut inside = self.inside();
        inside.dropped = inside.dropped.saturating_add(1);
    }

    /// How many letters had to go since this was asked last.
    pub fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.inside().dropped)
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
