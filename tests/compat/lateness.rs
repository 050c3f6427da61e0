//! How late the adverts of a master come while something else keeps its machine
//! busy, next to how late the machine wakes a thread that does nothing else.
//!
//! The master is an instance of its own beside those of the scenario, which sends
//! fifty adverts a second.

use crate::bench::{Bench, PATIENCE};
use crate::lab::canary::percentile_99;
use crate::lab::frames::Advert;
use crate::lab::{Failure, Mark, Result};
use std::net::IpAddr;
use std::time::{Duration, Instant};

const BEAT_VRID: u8 = 254;
const INTERVAL: Duration = Duration::from_millis(20);
/// Enough that several of them lie beyond the 99th percentile.
const BEATS: u32 = 500;
/// What an unoptimised daemon among other tests on two cores takes besides: an advert.
/// Whoever waited for a disk, a server or a script would be late by far more.
const FLOOR: Duration = INTERVAL;

/// The instance that sends all the time. It does not take part in anything else.
pub const BEAT: &str = "vrrp_instance beat {
    interface eth0
    virtual_router_id 254
    version 3
    priority 255
    advert_int 0.02
    virtual_ipaddress {
        192.0.2.254/32
    }
}
";

/// Makes this trouble for the first node, which has the [`BEAT`], and checks that those of
/// its adverts that are the 99th of 100 are at most twice as late as the machine. On a
/// machine that has other things to do, who works has to wait more often for a core than
/// who sleeps: one time out of three is enough.
pub fn expect_in_time(
    bench: &mut Bench,
    mut trouble: impl FnMut(&mut Bench) -> Result<()>,
) -> Result<()> {
    const ATTEMPTS: usize = 3;
    let mut told = String::new();
    for _ in 0..ATTEMPTS {
        let beats = Beats::begin(bench)?;
        trouble(bench)?;
        let late = percentile_99(latenesses(beats.began, &beats.times(bench)?));
        let machine = bench.lab.canary.percentile_99_since(beats.began);
        // For whoever measures on a quiet machine, with `--nocapture`.
        println!("p99 of the adverts {late:?}, of the canary {machine:?}");
        let limit = machine * 2 + FLOOR;
        if late <= limit {
            return Ok(());
        }
        told += &format!(" {late:?} with a limit of {limit:?};");
    }
    Err(Failure::new(format!(
        "adverts are late at the 99th percentile:{told}"
    )))
}

/// The adverts of that instance from a moment on.
struct Beats {
    source: IpAddr,
    began: Instant,
    mark: Mark,
}

impl Beats {
    /// Waits for its next advert, and begins to count.
    fn begin(bench: &Bench) -> Result<Self> {
        let mut beats = Self {
            source: bench.a.node.address().into(),
            began: Instant::now(),
            mark: bench.lab.observer.mark(),
        };
        (beats.began, beats.mark) = beats.next(bench, beats.mark)?;
        Ok(beats)
    }

    fn is_own(&self, advert: &Advert) -> bool {
        (advert.source, advert.vrid) == (self.source, BEAT_VRID)
    }

    fn next(&self, bench: &Bench, mark: Mark) -> Result<(Instant, Mark)> {
        let observer = &bench.lab.observer;
        observer.await_advert(mark, PATIENCE, "an advert of the beat", |advert| {
            self.is_own(advert)
        })
    }

    /// Waits until there are enough of them; when each of them came.
    fn times(&self, bench: &Bench) -> Result<Vec<Instant>> {
        let enough = self.began + INTERVAL * BEATS;
        let mut mark = bench.lab.observer.mark();
        // A gap that has not ended yet counts as well: up to an advert from now on.
        loop {
            let (at, next) = self.next(bench, mark)?;
            mark = next;
            if at >= enough {
                break;
            }
        }
        let adverts = bench.lab.observer.adverts_since(self.mark);
        let own = adverts
            .into_iter()
            .filter(|(_, advert)| self.is_own(advert));
        Ok(own.map(|(at, _)| at).collect())
    }
}

/// How long after each moment at which an advert was due there was one. The master
/// keeps a grid, so an advert that is late does not excuse the next; and one that was
/// left out is as late as the one that came instead.
fn latenesses(began: Instant, times: &[Instant]) -> Vec<Duration> {
    const SLACK: Duration = Duration::from_millis(5);
    let since_began = |at: &Instant| at.saturating_duration_since(began);
    let mut due = grid(times.iter().map(since_began));
    let mut late = Vec::new();
    for came in times.iter().map(since_began) {
        while due <= came + SLACK {
            late.push(came.saturating_sub(due));
            due += INTERVAL;
        }
    }
    late
}

/// The first moment of the grid: most adverts are in time, so it is where the most of
/// them come, the median of the millisecond of the interval that has most.
fn grid(times: impl Iterator<Item = Duration>) -> Duration {
    let mut phases = vec![Vec::new(); INTERVAL.as_millis() as usize];
    for time in times {
        let phase = time.as_micros() % INTERVAL.as_micros();
        phases[phase as usize / 1000].push(phase as u64);
    }
    let mut most = phases.into_iter().max_by_key(Vec::len).unwrap_or_default();
    most.sort_unstable();
    Duration::from_micros(most.get(most.len() / 2).copied().unwrap_or(0))
}
