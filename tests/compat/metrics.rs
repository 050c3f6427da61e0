//! Metrics that are scraped a thousand times a second, while other clients do not
//! read, cost no advert its time.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::bench::{Bench, PATIENCE, configuration, expect};
use crate::lab::{Context, Result};
use crate::lateness::{BEAT, expect_in_time};

const SOCKET: &str = "/run/metrics.sock";
const SCRAPE: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// As long as the adverts are watched.
const FLOOD: Duration = Duration::from_secs(10);
const PERIOD: Duration = Duration::from_millis(1);
/// Clients that ask and never read.
const DEAF: usize = 40;

/// The flood beside a master that sends fifty adverts a second.
pub fn flood(bench: &mut Bench) -> Result<()> {
    let own = format!("global_defs {{\nmetrics_listen unix:{SOCKET}\n}}\n");
    bench.a.node.write_file("/run/keepalived-rs.conf", &own)?;
    let text = format!("{}{BEAT}", configuration(150, ""));
    bench.a.start(&text)?;
    bench.a.expect_line("(VI_1) Entering MASTER STATE")?;
    expect_in_time(bench, |bench| {
        let scraped = bench.a.node.inside(scrape_all)?;
        println!("{scraped} scrapes in {FLOOD:?}");
        // The machine may have other things to do.
        let enough = FLOOD.as_millis() / PERIOD.as_millis() / 5;
        expect(u128::from(scraped) > enough, || {
            format!("{enough} scrapes, not {scraped}")
        })
    })
}

/// How many answers there were.
fn scrape_all() -> Result<u32> {
    let deaf: Vec<UnixStream> = (0..DEAF).map(|_| asking()).collect::<Result<_>>()?;
    let mut next = Instant::now();
    let until = next + FLOOD;
    let mut count = 0;
    while Instant::now() < until {
        let mut text = String::new();
        asking()?.read_to_string(&mut text).context("metrics")?;
        expect(text.contains("\nkeepalived_up 1\n"), || text.clone())?;
        count += 1;
        next += PERIOD;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    drop(deaf);
    Ok(count)
}

/// Somebody who has asked.
fn asking() -> Result<UnixStream> {
    let mut stream = UnixStream::connect(SOCKET).context(SOCKET)?;
    stream.set_read_timeout(Some(PATIENCE)).context(SOCKET)?;
    stream.write_all(SCRAPE).context(SOCKET)?;
    Ok(stream)
}
