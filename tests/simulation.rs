//! Worlds at random, each from a seed: `SIMULATION_SEEDS` of them, 2,000 by
//! default, from `SIMULATION_FIRST` on, on all cores. With
//! `SIMULATION_STOP_AT_FIRST=1` no more begin once one has failed.

#![expect(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a test says how much it did, and how fast"
)]

use std::env;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use keepalived_rs::simulation::swarm::{Plan, attempt, run};
use keepalived_rs::simulation::trace::What;
use keepalived_rs::vrrp::log_lines::{InstanceLine, LogLine};

/// Seeds that have shown a mistake of the engine, or of the simulation. A seed
/// means the same world as long as the worlds are made in the same way: mistakes
/// that were found before the last change of that have tests of their own.
const PAST_FAILURES: [u64; 30] = [
    399, 1522, 1850, 2469, 162, 35_444, 97_754, 103_059, 82_733, 3950, 9941, 27_407, 147_468,
    194_197, 166, 513_788, 521_576, 529_566, 537_264, 634_164, 661_375, 670_767, 907_135, 943_229,
    973_619, 144_701, 165_781, 249_145, 431_785, 443_387,
];

fn number(variable: &str, default: u64) -> u64 {
    match env::var(variable) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => default,
    }
}

/// Runs the worlds of these seeds on all cores; panics with the first that fails,
/// in the least form, and names the others.
fn must_hold(seeds: &[u64]) {
    let stops = number("SIMULATION_STOP_AT_FIRST", 0) != 0;
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let began = Instant::now();
    let work = || {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(failure) = attempt(&Plan::new(*seed)) {
                let breach = failure.violations.first().map(|it| it.breach.clone());
                failures.lock().expect("a lock").push((*seed, breach));
                if stops {
                    next.store(seeds.len(), Ordering::Relaxed);
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    let mut failures = failures.into_inner().expect("a lock");
    failures.sort_unstable_by_key(|(seed, _)| *seed);
    let (count, all) = (failures.len(), seeds.len());
    println!("{all} seeds in {seconds:.1} s on {threads} threads: {count} fail");
    let Some((first, _)) = failures.first() else {
        return;
    };
    let lines = failures.iter().take(40).map(|(seed, breach)| {
        let (rule, text) = breach.as_ref().map_or((0, ""), |it| (it.rule, &it.text));
        format!("seed {seed}: rule {rule}: {text}\n")
    });
    let lines: String = lines.collect();
    let report = run(*first).err().map(|failure| failure.report());
    panic!(
        "{}\n{lines}{count} of {all} seeds fail",
        report.unwrap_or_default()
    );
}

#[test]
fn no_world_breaks_a_rule() {
    let first = number("SIMULATION_FIRST", 0);
    let count = number("SIMULATION_SEEDS", 2_000);
    let seeds: Vec<u64> = (first..first.saturating_add(count)).collect();
    must_hold(&seeds);
}

#[test]
fn what_failed_once_does_not_fail_again() {
    must_hold(&PAST_FAILURES);
}

#[test]
fn a_seed_gives_the_same_world_again() {
    for seed in 0..50 {
        let plan = Plan::new(seed);
        let first = attempt(&plan).unwrap_or_else(|failure| failure.trace);
        let again = attempt(&plan).unwrap_or_else(|failure| failure.trace);
        assert!(first == again, "seed {seed}");
        assert!(!first.is_empty());
    }
}

/// What the worlds are made for has to happen in them.
#[test]
fn worlds_hand_over() {
    let mut counts = [0_usize; 4];
    for seed in 0..120 {
        let Ok(trace) = attempt(&Plan::new(seed)) else {
            continue;
        };
        let lines = trace.iter().filter_map(|record| match &record.what {
            What::Log(LogLine::Instance(_, line)) => Some(line),
            _ => None,
        });
        for line in lines {
            match line {
                InstanceLine::HandsOver { .. } => counts[0] += 1,
                InstanceLine::NobodyTookOver => counts[1] += 1,
                InstanceLine::HandoverCalledOff { .. } => counts[2] += 1,
                InstanceLine::Drained => counts[3] += 1,
                _ => {}
            }
        }
    }
    let [asked, alone, _, drained] = counts;
    assert!(asked >= 5 && alone < asked && drained >= 10, "{counts:?}");
}
