//! Two nodes and every order of events, to a small depth.
//!
//! A world at random has seen much, but not everything. Here datagrams wait until
//! it is their turn: at each step the oldest of a direction is delivered or
//! dropped, or time goes on to the next deadline. All ways of doing so are gone
//! through, each from the beginning; each turn is judged as in any world. At the
//! end of each way the wires are good again, and the two must come to rest.
//!
//! A datagram may wait for as long as it likes, and overtakes none of its own
//! direction. Clocks agree: whose timer is due first is not a choice.

use std::fmt::Write;

use crate::time::{Instant, Interval};

use super::faults::Fault;
use super::swarm::{self, judge_settled};
use super::trace::{seconds, table};
use super::world::World;

/// How long kernels and reports are waited for after each step.
const PAUSE: Interval = Interval::from_ms(1);

/// What comes before the first choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// Both start, and nothing has been sent.
    Start,
    /// They have come to rest.
    Rest,
    /// They have come to rest without hearing each other.
    Apart,
}

/// What is done at one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Time goes on to the next deadline of a node.
    TimeOut,
    /// The oldest datagram to this node arrives.
    Deliver(usize),
    /// The oldest datagram to this node is lost.
    Drop(usize),
}

/// How much was gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Explored {
    /// Ways from the beginning to the full depth.
    pub ways: u64,
    /// Steps that differ, of all ways together.
    pub steps: u64,
}

/// Goes all ways of `depth` steps of two nodes with these configurations. `rest`:
/// after how long they must have come to rest. The error says which way goes
/// wrong, and how.
pub fn explore(
    texts: [&str; 2],
    beginning: Beginning,
    rest: Interval,
    depth: usize,
) -> Result<Explored, String> {
    let setups: Vec<_> = (0..2)
        .zip(texts)
        .map(|(place, text)| swarm::setup(place, text))
        .collect();
    let mut explored = Explored::default();
    // For each step which of its choices is taken, and how many it has.
    let mut way: Vec<(usize, usize)> = Vec::new();
    loop {
        let known = way.len().saturating_sub(1);
        let mut world = begin(World::new(setups.clone(), 1), beginning, rest);
        let mut done = Vec::new();
        for step in 0..depth {
            let choices = choices(&world);
            if way.len() == step {
                way.push((0, choices.len()));
            }
            let place = way.get(step).map_or(0, |(place, _)| *place);
            let choice = choices.get(place).copied().unwrap_or(Choice::TimeOut);
            done.push(choice);
            take(&mut world, choice);
            if !world.violations.is_empty() {
                return Err(report(&world, &done, texts));
            }
        }
        let steps = u64::try_from(depth.saturating_sub(known)).unwrap_or(0);
        explored.ways = explored.ways.saturating_add(1);
        explored.steps = explored.steps.saturating_add(steps);
        end(&mut world, rest);
        if !world.violations.is_empty() {
            return Err(report(&world, &done, texts));
        }
        // The next way: the last step that has another choice takes it.
        while way
            .last()
            .is_some_and(|(place, count)| place.saturating_add(1) >= *count)
        {
            way.pop();
        }
        match way.last_mut() {
            Some((place, _)) => *place = place.saturating_add(1),
            None => return Ok(explored),
        }
    }
}

fn begin(mut world: World, beginning: Beginning, rest: Interval) -> World {
    for (from, to) in [(0, 1), (1, 0)] {
        world.plan(Instant::ZERO, Fault::Start(from));
        let cut = beginning == Beginning::Apart;
        world.plan(Instant::ZERO, Fault::Cut { from, to, cut });
    }
    if beginning != Beginning::Start {
        world.run_until(Instant::ZERO + rest);
    }
    for (from, to) in [(0, 1), (1, 0)] {
        let cut = false;
        world.plan(world.now, Fault::Cut { from, to, cut });
    }
    world.hold();
    world.run_until(world.now + PAUSE);
    world
}

/// What can be done now. That time goes on comes first.
fn choices(world: &World) -> Vec<Choice> {
    let waiting = (0..2).filter(|node| world.is_held_for(*node));
    let about = waiting.flat_map(|node| [Choice::Deliver(node), Choice::Drop(node)]);
    [Choice::TimeOut].into_iter().chain(about).collect()
}

fn take(world: &mut World, choice: Choice) {
    match choice {
        Choice::TimeOut => {
            let next = world.nodes.iter().filter_map(|node| node.deadline()).min();
            world.run_until(next.unwrap_or(world.now));
        }
        Choice::Deliver(node) => world.release(node, true),
        Choice::Drop(node) => world.release(node, false),
    }
    world.run_until(world.now + PAUSE);
}

/// Nothing waits any more, and everything arrives.
fn end(world: &mut World, rest: Interval) {
    world.let_go();
    world.run_until(world.now + rest);
    if world.violations.is_empty() {
        judge_settled(world);
    }
}

fn report(world: &World, done: &[Choice], texts: [&str; 2]) -> String {
    let mut out = String::new();
    for violation in world.violations.iter().take(3) {
        let (at, breach) = (seconds(violation.at), &violation.breach);
        let _ = writeln!(out, "rule {} at {at}: {}", breach.rule, breach.text);
    }
    let _ = writeln!(out, "after {done:?}\n{}\n{}", texts[0], texts[1]);
    out.push_str(&table(&world.trace, &world.names()));
    out
}
