//! Worlds at random, each from a seed: `SIMULATION_SEEDS` of them, 2,000 by
//! default, from `SIMULATION_FIRST` on.

use std::env;

use keepalived_rs::simulation::swarm::{Plan, attempt, run};

/// Seeds that have shown a mistake of the engine, or of the simulation.
const PAST_FAILURES: [u64; 0] = [];

fn number(variable: &str, default: u64) -> u64 {
    match env::var(variable) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => default,
    }
}

fn must_hold(seed: u64) {
    if let Err(failure) = run(seed) {
        panic!("{}", failure.report());
    }
}

#[test]
fn no_world_breaks_a_rule() {
    let (first, count) = (
        number("SIMULATION_FIRST", 0),
        number("SIMULATION_SEEDS", 2_000),
    );
    std::thread::scope(|scope| {
        for part in 0..2 {
            scope.spawn(move || {
                let seeds = first..first.saturating_add(count);
                seeds.filter(|seed| seed % 2 == part).for_each(must_hold);
            });
        }
    });
}

#[test]
fn what_failed_once_does_not_fail_again() {
    PAST_FAILURES.into_iter().for_each(must_hold);
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
