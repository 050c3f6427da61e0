//! How long this machine keeps a thread waiting, for a processor or for the kernel's
//! lock of network settings: the part of a daemon's lateness that is not its own.
//! Timing limits are widened by it.

use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(5);
/// Namespaces that other tests take down hold the lock for up to seconds.
const LOCK_PERIOD: Duration = Duration::from_millis(50);

/// Waits and when they ended.
type Waits = Arc<Mutex<Vec<(Instant, Duration)>>>;

/// Two threads that do nothing but wait and note for how long: one to be woken, one for
/// the lock.
#[derive(Debug)]
pub struct Canary {
    wakes: Waits,
    locks: Waits,
}

impl Canary {
    /// The one of this process.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Canary> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn start() -> Self {
        let (wakes, locks) = (Waits::default(), Waits::default());
        thread::spawn({
            let wakes = Arc::clone(&wakes);
            move || {
                // On a grid, as adverts are: a moment at which it should have woken and
                // still slept counts as well, otherwise a long stall would count once.
                let mut due = Instant::now() + PERIOD;
                loop {
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    let woken = Instant::now();
                    while due <= woken {
                        note(&wakes, due);
                        due += PERIOD;
                    }
                }
            }
        });
        thread::spawn({
            let locks = Arc::clone(&locks);
            move || {
                loop {
                    let began = Instant::now();
                    take_lock();
                    note(&locks, began);
                    thread::sleep(LOCK_PERIOD);
                }
            }
        });
        Self { wakes, locks }
    }

    /// The longest wait of either thread since `start`.
    pub fn worst_since(&self, start: Instant) -> Duration {
        let all = since(&self.wakes, start).into_iter();
        let all = all.chain(since(&self.locks, start));
        all.max().unwrap_or_default()
    }

    /// What 99 of 100 wake-ups since `start` were late at most.
    pub fn percentile_99_since(&self, start: Instant) -> Duration {
        percentile_99(since(&self.wakes, start))
    }
}

fn note(waits: &Waits, began: Instant) {
    let now = Instant::now();
    let wait = now.saturating_duration_since(began);
    let mut list = waits.lock().unwrap_or_else(PoisonError::into_inner);
    list.push((now, wait));
}

fn since(waits: &Waits, start: Instant) -> Vec<Duration> {
    let list = waits.lock().unwrap_or_else(PoisonError::into_inner);
    let relevant = list.iter().rev().take_while(|(at, _)| *at >= start);
    relevant.map(|(_, wait)| *wait).collect()
}

/// Gives the loopback interface the flags that it has, which takes the lock. Where that
/// is not possible, nothing waits.
fn take_lock() {
    let Ok(socket) = std::net::UdpSocket::bind("127.0.0.1:0").or_else(|_| {
        // The loopback interface may be down.
        std::net::UdpSocket::bind("0.0.0.0:0")
    }) else {
        return;
    };
    // SAFETY: all zeros are a right value of this structure of integers and octets.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    // SAFETY: both calls get a request that lives through them, with a terminated name.
    unsafe {
        if libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &mut request) == 0 {
            libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request);
        }
    }
}

/// What 99 of 100 of these are at most; zero of none.
pub fn percentile_99(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    let beyond = durations.len() / 100;
    let kept = durations.len().saturating_sub(beyond);
    durations[..kept].last().copied().unwrap_or_default()
}
