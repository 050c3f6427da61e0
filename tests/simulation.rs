//! Worlds at random, each from a seed: `SIMULATION_SEEDS` of them, 2,000 by
//! default, from `SIMULATION_FIRST` on.

use std::env;

use keepalived_rs::simulation::swarm::{Plan, attempt, run};
use keepalived_rs::simulation::trace::What;
use keepalived_rs::vrrp::log_lines::{InstanceLine, LogLine};

/// Seeds that have shown a mistake of the engine, or of the simulation.
const PAST_FAILURES: [u64; 4] = [618, 842, 1295, 1621];

fn number(variable: &str, default: u64) -> u64 {
    match env::var(variable) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => default,
    }
}

/// Runs the worlds of these seeds on two threads; panics with the first that
/// fails, and names the others.
fn must_hold(seeds: &[u64]) {
    let failures = std::thread::scope(|scope| {
        let parts = [0, 1].map(|part| {
            let own = seeds.iter().skip(part).step_by(2);
            scope.spawn(move || own.filter_map(|seed| run(*seed).err()).collect::<Vec<_>>())
        });
        parts.map(|part| part.join().expect("a part"))
    });
    let failures: Vec<_> = failures.into_iter().flatten().collect();
    let Some(first) = failures.first() else {
        return;
    };
    let lines = failures.iter().take(40).map(|failure| {
        let breach = failure.violations.first().map(|it| &it.breach);
        format!("seed {}: {breach:?}\n", failure.plan.seed)
    });
    let lines: String = lines.collect();
    let (count, all) = (failures.len(), seeds.len());
    panic!("{}\n{lines}{count} of {all} seeds fail", first.report());
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
    let mut counts = [0_usize; 3];
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
                _ => {}
            }
        }
    }
    let [asked, alone, _] = counts;
    assert!(asked >= 5 && alone < asked, "{counts:?}");
}
