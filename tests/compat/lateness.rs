//! How late the adverts of a master come while something else keeps its machine
//! busy, next to how late the machine wakes a thread that does nothing else.
//!
//! The master is an instance of its own beside those of the scenario, which sends
//! fifty adverts a second.

use crate::bench::{Bench, Machine, PATIENCE, expect};
use crate::lab::canary::percentile_99;
use crate::lab::{Mark, Result};
use std::net::IpAddr;
use std::time::{Duration, Instant};

const BEAT_VRID: u8 = 254;
const INTERVAL: Duration = Duration::from_millis(20);
/// Enough that several of them lie beyond the 99th percentile.
const BEATS: u32 = 500;
/// Where the machine itself is never late: the way of an advert through two sockets
/// and a bridge, the turn that an unoptimised daemon is just in, and the few
/// milliseconds that a time slice of somebody else's on the same core takes.
const FLOOR: Duration = Duration::from_millis(8);

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

/// The adverts of that instance from a moment on.
#[derive(Debug)]
pub struct Beats {
    source: IpAddr,
    began: Instant,
    mark: Mark,
}

impl Beats {
    /// Waits for its next advert, and begins to count.
    pub fn begin(bench: &Bench, machine: &Machine) -> Result<Self> {
        let mut beats = Self {
            source: machine.node.address().into(),
            began: Instant::now(),
            mark: bench.lab.observer.mark(),
        };
        (beats.began, beats.mark) = beats.next(bench, beats.mark)?;
        Ok(beats)
    }

    fn next(&self, bench: &Bench, mark: Mark) -> Result<(Instant, Mark)> {
        let observer = &bench.lab.observer;
        observer.await_advert(mark, PATIENCE, "an advert of the beat", |advert| {
            (advert.source, advert.vrid) == (self.source, BEAT_VRID)
        })
    }

    /// When each of them came so far.
    fn times(&self, bench: &Bench) -> Vec<Instant> {
        let adverts = bench.lab.observer.adverts_since(self.mark);
        let own = adverts
            .into_iter()
            .filter(|(_, advert)| (advert.source, advert.vrid) == (self.source, BEAT_VRID));
        own.map(|(at, _)| at).collect()
    }

    /// Waits until there are enough of them, and checks that those of the 99th
    /// percentile were at most twice as late as the machine.
    pub fn expect_in_time(&self, bench: &Bench) -> Result<()> {
        let enough = self.began + INTERVAL * BEATS;
        let mut mark = bench.lab.observer.mark();
        // What is measured has to lie in the past: up to an advert after that.
        loop {
            let (at, next) = self.next(bench, mark)?;
            mark = next;
            if at >= enough {
                break;
            }
        }
        let late = percentile_99(latenesses(self.began, &self.times(bench)));
        let machine = bench.lab.canary.percentile_99_since(self.began);
        let limit = machine * 2 + FLOOR;
        println!("adverts {late:?} late, the machine {machine:?}");
        expect(late <= limit, || {
            format!("adverts at most {limit:?} late at the 99th percentile, not {late:?}")
        })
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

/// The first moment of the grid: most adverts are in time, so it is the millisecond of
/// the interval in which the most of them come.
fn grid(times: impl Iterator<Item = Duration>) -> Duration {
    const MILLISECOND: Duration = Duration::from_millis(1);
    let mut counts = [0_u32; INTERVAL.as_millis() as usize];
    for time in times {
        let phase = time.as_millis() % INTERVAL.as_millis();
        counts[phase as usize] += 1;
    }
    let most = (0..counts.len()).max_by_key(|phase| counts[*phase]);
    MILLISECOND * most.unwrap_or(0) as u32
}
