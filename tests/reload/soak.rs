//! Thousands of reloads with random edits, under the adverts of two daemons: no
//! address that stays is ever absent, nothing leaks, and what is not touched keeps
//! its rhythm.

use crate::dice::Dice;
use crate::lab::canary::percentile_99;
use crate::lab::{Canary, Context, Failure, Mark, Observer, Process, Result, netlink};
use crate::site::{FILE, PATIENCE, PID_FILE, SECOND_VIP, Site, expect, instance, run, start};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// How many reloads the long run makes, and what they are drawn from.
const COUNT_VARIABLE: &str = "RELOAD_SOAK_COUNT";
const SEED_VARIABLE: &str = "RELOAD_SOAK_SEED";

/// How much more memory a process may have at the end than after a tenth of the
/// reloads, in KiB.
const GROWTH_MAX_KIB: u64 = 4 * 1024;

/// A gap between adverts may be that much longer than the interval besides the
/// machine's own lateness.
const FLOOR: Duration = Duration::from_millis(5);

/// Fewer say nothing about one in a hundred, and a daemon that is not optimised says
/// nothing about its lateness: then it is only printed.
const ADVERTS_MIN: usize = 1000;

/// Of the two instances that no edit touches.
const INTERVAL: Duration = Duration::from_millis(100);

/// An address that was taken out and is back for a shorter time may still be removed:
/// the kernel tells of it a little later.
const SETTLED: Duration = Duration::from_secs(1);

#[test]
fn forty_reloads() {
    soak(40, 1);
}

/// Ten thousand, or `RELOAD_SOAK_COUNT`. Run it alone, and optimised.
#[test]
#[ignore = "takes minutes"]
fn ten_thousand_reloads() {
    let number = |variable: &str| {
        let text = std::env::var(variable).ok()?;
        text.parse::<u64>().ok()
    };
    let count = number(COUNT_VARIABLE).unwrap_or(10_000);
    soak(count, number(SEED_VARIABLE).unwrap_or(1));
}

fn soak(count: u64, seed: u64) {
    let mut edits = Edits::new(seed);
    let first = edits.text();
    run(&first, |site| {
        // As long as it takes.
        nix::unistd::alarm::cancel();
        let mut peer = site.lab.node("b", Ipv4Addr::new(192, 0, 2, 2), 24)?;
        let text = format!("{}{}", instance(1, 100), instance(2, 100));
        let peer_daemon = start(&mut peer, &text, PID_FILE)?;
        let begin = Instant::now();
        let mark = site.lab.observer.mark();
        let processes = [site.daemon.id(), site.worker()?];
        let mut memory = [0; 2];
        let addresses = edits.addresses().into_iter();
        let mut held: Held = addresses.map(|address| (address, None)).collect();
        let batches = 10.min(count);
        for batch in 0..batches {
            reload_many(site, &mut edits, &mut held, count / batches)?;
            if batch == 0 {
                memory = memory_of(processes)?;
            }
        }
        let after = memory_of(processes)?;
        let [supervisor, worker] = [0, 1].map(|which: usize| (memory[which], after[which]));
        println!(
            "{count} reloads, seed {seed}: {:?} each; KiB before and after: supervisor \
             {supervisor:?}, worker {worker:?}",
            begin.elapsed() / u32::try_from(count).unwrap_or(1)
        );
        for (before, after) in [supervisor, worker] {
            expect(after <= before + GROWTH_MAX_KIB, || {
                format!("no more than {before} KiB and a little, not {after}")
            })?;
        }
        expect(site.worker()? == processes[1], || {
            "the same worker".to_owned()
        })?;
        // Unless the machine stood still for so long that it had to.
        let taken_over = peer_daemon.count_lines("Entering MASTER STATE");
        let stood_still = site.lab.canary.worst_since(begin) > INTERVAL;
        expect(taken_over == 0 || stood_still, || {
            "the other node never to take over".to_owned()
        })?;
        // Few reloads may be over before the second one of each.
        for vrid in [51, 52] {
            let mut after = mark;
            for what in ["an advert", "another advert"] {
                let observer = &site.lab.observer;
                (_, after) = observer.await_advert(after, PATIENCE, what, |it| it.vrid == vrid)?;
            }
        }
        expect_rhythm(&site.lab.observer, mark, site.lab.canary, begin)
    });
}

/// Since when each address has been in the configuration without a break; `None`:
/// from the beginning.
type Held = BTreeMap<Ipv4Addr, Option<Instant>>;

/// Edits the file and reloads it, that many times.
fn reload_many(site: &Site, edits: &mut Edits, held: &mut Held, count: u64) -> Result<()> {
    let daemon: &Process = &site.daemon;
    site.node.inside(|| {
        let monitor = netlink::RemovalMonitor::new()?;
        for number in 0..count {
            let is_broken = edits.dice.chance(20);
            let before = edits.clone();
            edits.edit();
            let mut text = edits.text();
            if is_broken {
                text = text.replacen("virtual_router_id", "virtual_ruoter_id", 1);
                *edits = Edits {
                    dice: Dice(edits.dice.0),
                    ..before
                };
            }
            fs::write("/run/new.conf", &text).context("/run/new.conf")?;
            fs::rename("/run/new.conf", FILE).context(FILE)?;
            let mark = daemon.line_mark();
            daemon.signal(libc::SIGHUP);
            let end = if is_broken {
                "Reload refused"
            } else {
                "Reload complete"
            };
            daemon.await_line_after(mark, PATIENCE, end)?;
            let now = edits.addresses();
            held.retain(|address, _| now.contains(address));
            for address in now {
                held.entry(address).or_insert_with(|| Some(Instant::now()));
            }
            let stays = |it: &Ipv4Addr| {
                let since = held.get(it);
                since.is_some_and(|since| since.is_none_or(|at| at.elapsed() > SETTLED))
            };
            let mut removed = monitor.removed()?;
            removed.retain(stays);
            expect(removed.is_empty(), || {
                format!("{removed:?} not to be removed by reload {number}: {text}")
            })?;
        }
        Ok(())
    })
}

/// At the 99th percentile the adverts of what is not touched come as late as this
/// machine wakes a thread, twice over.
fn expect_rhythm(observer: &Observer, mark: Mark, canary: &Canary, begin: Instant) -> Result<()> {
    let adverts = observer.adverts_since(mark);
    let late_at_most = canary.percentile_99_since(begin) * 2 + FLOOR;
    for vrid in [51, 52] {
        let times = adverts.iter().filter(|(_, it)| it.vrid == vrid);
        let times: Vec<Instant> = times.map(|(at, _)| *at).collect();
        let late = times
            .windows(2)
            .map(|pair| pair[1].duration_since(pair[0]).saturating_sub(INTERVAL))
            .collect::<Vec<_>>();
        expect(!late.is_empty(), || format!("adverts of {vrid}"))?;
        let count = late.len();
        let found = percentile_99(late);
        println!("adverts of {vrid}: {count}, late by {found:?} at p99, allowed {late_at_most:?}");
        let can_tell = count >= ADVERTS_MIN && !cfg!(debug_assertions);
        expect(found <= late_at_most || !can_tell, || {
            format!("{vrid} to be late by {late_at_most:?} at p99, not {found:?}")
        })?;
    }
    Ok(())
}

/// What each has of its own, in KiB. Not its share of the program's text: the kernel's
/// idea of that varies by megabytes.
fn memory_of(processes: [u32; 2]) -> Result<[u64; 2]> {
    let mut found = [0; 2];
    for (process, found) in processes.iter().zip(&mut found) {
        let path = format!("/proc/{process}/smaps_rollup");
        let text = fs::read_to_string(&path).context(&path)?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("Anonymous:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        let number = number.and_then(|it| it.parse().ok());
        *found = number.ok_or_else(|| Failure::new(format!("no memory told by {path}")))?;
    }
    Ok(found)
}

/// A configuration that changes: two instances never, two always there, with
/// addresses that move between them, and four that come and go.
#[derive(Clone)]
struct Edits {
    dice: Dice,
    /// By VRID, from 53 on.
    instances: Vec<Edited>,
}

#[derive(Clone)]
struct Edited {
    is_there: bool,
    name: u64,
    priority: u64,
    interval_ms: u64,
    addresses: BTreeSet<Ipv4Addr>,
    with_group: bool,
}

impl Edits {
    fn new(seed: u64) -> Self {
        let instances = (3..=8)
            .map(|number| Edited {
                is_there: number <= 4,
                name: 0,
                priority: 150,
                interval_ms: 100,
                addresses: (1..=3)
                    .map(|last| Ipv4Addr::new(10, 0, number, last))
                    .collect(),
                with_group: false,
            })
            .collect();
        Self {
            dice: Dice(seed),
            instances,
        }
    }

    /// One to three changes.
    fn edit(&mut self) {
        for _ in 0..=self.dice.below(2) {
            let which = usize::try_from(self.dice.below(6)).unwrap_or(0);
            let (kind, number) = (self.dice.below(7), self.dice.below(250));
            let [first, second, ..] = self.instances.as_mut_slice() else {
                return;
            };
            if kind == 0 {
                let (from, to) = match number % 2 {
                    0 => (first, second),
                    _ => (second, first),
                };
                // One has to stay.
                if from.addresses.len() > 1 {
                    to.addresses.extend(from.addresses.pop_first());
                }
                continue;
            }
            let Some(edited) = self.instances.get_mut(which) else {
                return;
            };
            match kind {
                1 => edited.is_there = which < 2 || !edited.is_there,
                2 => edited.name = number,
                3 => edited.priority = 1 + number,
                4 => edited.interval_ms = 50 + number,
                5 => edited.with_group = !edited.with_group,
                _ => {
                    let last = u8::try_from(100 + number % 20).unwrap_or(100);
                    let group = u8::try_from(which).unwrap_or(0);
                    let address = Ipv4Addr::new(10, 1, group, last);
                    let is_last = edited.addresses.len() == 1;
                    if !edited.addresses.insert(address) && !is_last {
                        edited.addresses.remove(&address);
                    }
                }
            }
        }
    }

    fn addresses(&self) -> BTreeSet<Ipv4Addr> {
        let there = self.instances.iter().filter(|it| it.is_there);
        let edited = there.flat_map(|it| it.addresses.iter().copied());
        edited.chain([crate::site::FIRST_VIP, SECOND_VIP]).collect()
    }

    fn text(&self) -> String {
        let mut text = format!("{}{}", instance(1, 150), instance(2, 150));
        for (place, it) in self.instances.iter().enumerate() {
            if !it.is_there {
                continue;
            }
            let name = format!("VI_{}_{}", place + 3, it.name);
            let addresses: Vec<String> = it.addresses.iter().map(|ip| format!("{ip}/32")).collect();
            text += &format!(
                "vrrp_instance {name} {{\n interface eth0\n version 3\n advert_int {}.{:02}\n \
                 virtual_router_id {}\n priority {}\n virtual_ipaddress {{\n{}\n }}\n}}\n",
                it.interval_ms / 1000,
                it.interval_ms % 1000 / 10,
                53 + place,
                it.priority,
                addresses.join("\n")
            );
            if it.with_group {
                text += &format!("vrrp_sync_group G{place} {{\n group {{\n  {name}\n }}\n}}\n");
            }
        }
        text
    }
}
