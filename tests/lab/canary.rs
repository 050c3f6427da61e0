//! How late this machine wakes a thread: the part of a daemon's lateness that
//! is not its own. Timing limits are widened by it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(5);

/// A thread that does nothing but wake up and note how late it was.
#[derive(Debug)]
pub struct Canary {
    latenesses: Arc<Mutex<Vec<(Instant, Duration)>>>,
    stop: Arc<AtomicBool>,
}

impl Canary {
    /// Starts the thread.
    pub fn new() -> Self {
        let latenesses = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        thread::spawn({
            let (latenesses, stop) = (Arc::clone(&latenesses), Arc::clone(&stop));
            move || {
                while !stop.load(Ordering::Relaxed) {
                    let due = Instant::now() + PERIOD;
                    thread::sleep(PERIOD);
                    let now = Instant::now();
                    let late = now.saturating_duration_since(due);
                    let mut list = latenesses.lock().unwrap_or_else(PoisonError::into_inner);
                    list.push((now, late));
                }
            }
        });
        Self { latenesses, stop }
    }

    /// The longest lateness since `start`.
    pub fn worst_since(&self, start: Instant) -> Duration {
        self.since(start).into_iter().max().unwrap_or_default()
    }

    /// What 99 of 100 wake-ups since `start` were late at most.
    pub fn percentile_99_since(&self, start: Instant) -> Duration {
        percentile_99(self.since(start))
    }

    fn since(&self, start: Instant) -> Vec<Duration> {
        let list = self
            .latenesses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let relevant = list.iter().rev().take_while(|(at, _)| *at >= start);
        relevant.map(|(_, late)| *late).collect()
    }
}

/// What 99 of 100 of these are at most; zero of none.
pub fn percentile_99(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    let beyond = durations.len() / 100;
    let kept = durations.len().saturating_sub(beyond);
    durations[..kept].last().copied().unwrap_or_default()
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
