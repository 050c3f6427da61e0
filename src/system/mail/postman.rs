//! The mail thread: which letter is tried when.
//!
//! Decides the order, how long is waited after a failure, and when a letter is
//! given up. While the server cannot be reached no letter is tried; a letter
//! that the server puts off holds up no other.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Post;
use super::dialogue::{self, Failure};
use super::letter::Letter;
use super::queue::{Queue, Taken};
use crate::system::clock;
use crate::time::{Instant, Interval};

/// How many letters may wait for another try; the oldest goes first.
const WAITING_LETTERS_MAX: usize = 64;
/// The wait after the first failure; each further one doubles it.
const FIRST_WAIT: Interval = Interval::from_secs(5);
/// No wait is longer.
const WAIT_MAX: Interval = Interval::from_secs(300);

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Order {
    /// New settings: their files are read now, so that a mistake is told at once.
    Prepare(Arc<Post>),
    /// A letter to deliver.
    Deliver(Letter),
}

/// Works until nobody can give an order any more; then every letter that is
/// left is tried once.
pub(super) fn work(queue: &Queue) {
    let mut postman = Postman::default();
    loop {
        match queue.take(postman.rests_for(clock::now())) {
            Taken::Order(Order::Prepare(post)) => tell_problem(&post),
            Taken::Order(Order::Deliver(letter)) => {
                if postman.take(letter, clock::now()) {
                    queue.count_dropped();
                }
            }
            Taken::Nothing => {
                tell_dropped(queue);
                postman.try_one();
            }
            Taken::Closed => break,
        }
    }
    tell_dropped(queue);
    for Waiting { letter, .. } in postman.waiting {
        // What fails now fails for good.
        let _ = deliver(&letter);
    }
}

#[derive(Debug, Default)]
struct Postman {
    /// In the order in which they are due.
    waiting: VecDeque<Waiting>,
    /// No letter is tried before this.
    away_until: Option<Instant>,
    /// How often in a row the server could not be reached.
    failures: u32,
}

#[derive(Debug)]
struct Waiting {
    letter: Letter,
    taken_at: Instant,
    due: Instant,
    /// How often it was put off.
    failures: u32,
}

impl Postman {
    /// How long there is nothing to do; `None`: until an order comes.
    fn rests_for(&self, now: Instant) -> Option<Interval> {
        let due = self.waiting.front()?.due;
        let due = self.away_until.map_or(due, |until| due.max(until));
        Some(due.since(now))
    }

    /// Whether the oldest letter had to go for this one: the last states of all
    /// are those that somebody wants to know.
    fn take(&mut self, letter: Letter, now: Instant) -> bool {
        let is_full = self.waiting.len() >= WAITING_LETTERS_MAX;
        if is_full {
            self.waiting.pop_front();
        }
        self.insert(Waiting {
            letter,
            taken_at: now,
            due: now,
            failures: 0,
        });
        is_full
    }

    fn insert(&mut self, waiting: Waiting) {
        let place = self.waiting.partition_point(|it| it.due <= waiting.due);
        self.waiting.insert(place, waiting);
    }

    /// Tries the letter that is due.
    fn try_one(&mut self) {
        let Some(mut waiting) = self.waiting.pop_front() else {
            return;
        };
        let Err(failure) = deliver(&waiting.letter) else {
            self.failures = 0;
            self.away_until = None;
            return;
        };
        let now = clock::now();
        let wait = if failure.is_of_server() {
            self.failures = self.failures.saturating_add(1);
            wait_after(self.failures)
        } else {
            self.failures = 0;
            waiting.failures = waiting.failures.saturating_add(1);
            wait_after(waiting.failures)
        };
        if failure.is_of_server() {
            self.away_until = Some(now + wait);
        }
        let retry_for = waiting.letter.post.delivery.retry_for;
        let too_old = (now + wait).since(waiting.taken_at) > retry_for;
        if retry_for.is_zero() {
            // Once, as C does, which says no more about it.
            self.away_until = None;
        } else if !failure.may_pass() {
            give_up(&waiting.letter, "it is refused");
        } else if too_old {
            give_up(&waiting.letter, "it is too old");
        } else {
            tracing::info!("SMTP alerts are tried again in {} s", wait.as_secs());
            if !failure.is_of_server() {
                waiting.due = now + wait;
            }
            self.insert(waiting);
        }
    }
}

/// 5 s, 10 s, 20 s, to 300 s.
fn wait_after(failures: u32) -> Interval {
    let doublings = failures.saturating_sub(1).min(16);
    let wait_us = FIRST_WAIT.as_us().saturating_mul(1 << doublings);
    Interval::from_us(wait_us).min(WAIT_MAX)
}

/// One try, and the lines that C keepalived logs about it.
fn deliver(letter: &Letter) -> Result<(), Failure> {
    let result = dialogue::deliver(letter);
    match &result {
        Ok(()) => tracing::debug!("SMTP alert successfully sent."),
        Err(failure) => tracing::info!("{}", failure.describe(letter.post.server_name())),
    }
    result
}

fn give_up(letter: &Letter, why: &str) {
    tracing::warn!("SMTP alert '{}' is given up: {why}", letter.subject);
}

fn tell_dropped(queue: &Queue) {
    let dropped = queue.take_dropped();
    if dropped > 0 {
        tracing::warn!("{dropped} SMTP alerts were dropped: the queue was full");
    }
}

fn tell_problem(post: &Post) {
    if let Err(problem) = post.prepared() {
        tracing::warn!("No mail can be sent: {problem}");
    }
}
