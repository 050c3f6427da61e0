//! What the kernel refuses is tried again until it is as it is to be: a VIP that stays
//! where it is to go is on two nodes, one that is not put on is on none.

use keepalived_rs::vrrp::action::Operation;
use keepalived_rs::vrrp::state_machine::State;

use crate::DOWN_150;
use crate::world::{Node, VIP, Wire, advert, config, instance, source, vip};

const SECOND: u64 = 1_000_000;

fn one() -> Wire {
    let mut wire = Wire::new([Node::new(1, instance(150))]);
    wire.start();
    wire
}

/// How often one thing was asked for.
fn times(wire: &Wire, wanted: &Operation) -> usize {
    let asked = wire[0].operations.iter();
    asked.filter(|operation| *operation == wanted).count()
}

fn removal(wire: &Wire) -> Operation {
    let mut asked = wire[0].operations.iter();
    let is_removal = |it: &&Operation| matches!(it, Operation::RemoveAddress { .. });
    asked
        .find(is_removal)
        .expect("asked to take it off")
        .clone()
}

fn addition(wire: &Wire) -> Operation {
    let Operation::RemoveAddress { on, address } = removal(wire) else {
        unreachable!("`removal` gives nothing else");
    };
    Operation::AddAddress { on, address }
}

/// A MASTER that hears a better one.
fn is_overtaken(wire: &mut Wire) {
    wire.inject(0, &advert(source(2), 200));
    assert_eq!(wire[0].state(), State::Backup);
}

/// What it will ask for to take the VIP off.
fn learned_removal() -> Operation {
    let mut wire = one();
    wire.run_until(DOWN_150 + SECOND);
    is_overtaken(&mut wire);
    removal(&wire)
}

#[test]
fn a_vip_that_stays_is_taken_off_again_until_it_is_gone() {
    let removal = learned_removal();
    let mut wire = one();
    let overtaken = DOWN_150 + SECOND;
    wire.run_until(overtaken);
    // As long as one is refused nobody minds that a BACKUP has VIPs.
    let address = vip([192, 0, 2, 77]);
    let on = wire[0].interface.index;
    wire.refuses.push(Operation::RemoveAddress { on, address });
    wire.refuses.push(removal.clone());
    let asked = times(&wire, &removal);
    is_overtaken(&mut wire);
    assert_eq!(times(&wire, &removal), asked + 1);
    // Nobody takes over in between: the better one goes on.
    for second in 1..=3 {
        wire.run_until(overtaken + second * SECOND);
        wire.inject(0, &advert(source(2), 200));
    }
    assert_eq!(times(&wire, &removal), asked + 4);
    assert_eq!(wire[0].vips, [VIP]);
    wire.refuses.retain(|it| *it != removal);
    wire.run_until(overtaken + 4 * SECOND);
    assert!(wire[0].vips.is_empty());
    assert!(wire[0].logged("no more"));
    wire.inject(0, &advert(source(2), 200));
    wire.run_until(overtaken + 6 * SECOND);
    assert_eq!(times(&wire, &removal), asked + 5);
}

#[test]
fn a_stop_tries_a_few_times_and_then_ends() {
    let removal = learned_removal();
    let mut wire = one();
    wire.run_until(DOWN_150 + SECOND);
    let asked = times(&wire, &removal);
    wire.refuses.push(removal.clone());
    wire.stop(0);
    assert_eq!(times(&wire, &removal), asked + 4);
    assert!(wire[0].stopped);
}

#[test]
fn what_is_wanted_again_stays() {
    let removal = learned_removal();
    let mut wire = one();
    wire.run_until(DOWN_150 + SECOND);
    wire.refuses.push(removal.clone());
    is_overtaken(&mut wire);
    // The better one resigns, and is heard no more.
    wire.inject(0, &advert(source(2), 0));
    wire.run_until(DOWN_150 + SECOND + 900_000);
    assert_eq!(wire[0].state(), State::Master);
    wire.refuses.clear();
    let asked = times(&wire, &removal);
    wire.run_until(3 * DOWN_150);
    assert_eq!(times(&wire, &removal), asked);
    assert_eq!(wire[0].vips, [VIP]);
}

#[test]
fn a_vip_that_is_not_put_on_is_asked_for_again() {
    let mut learned = one();
    learned.run_until(DOWN_150 + SECOND);
    is_overtaken(&mut learned);
    let addition = addition(&learned);
    let mut wire = one();
    wire.refuses.push(addition.clone());
    wire.run_until(DOWN_150 + 2 * SECOND + SECOND / 2);
    assert_eq!(wire[0].state(), State::Master);
    assert_eq!(times(&wire, &addition), 3);
    wire.refuses.clear();
    wire.run_until(DOWN_150 + 4 * SECOND);
    assert_eq!(wire[0].vips, [VIP]);
    assert_eq!(times(&wire, &addition), 4);
    assert!(wire[0].logged("The kernel has address"));
}

#[test]
fn what_a_reload_takes_from_an_instance_is_not_tried_again() {
    let second = vip([10, 0, 0, 101]);
    let mut with_two = instance(150);
    with_two.virtual_addresses.push(second.clone());
    let mut wire = one();
    wire.run_until(DOWN_150 + SECOND);
    let on = wire[0].interface.index;
    let addition = Operation::AddAddress {
        on,
        address: second.clone(),
    };
    wire.refuses.push(addition.clone());
    wire.reload(0, config([with_two]));
    assert!(times(&wire, &addition) > 0, "{:?}", wire[0].operations);
    wire.reload(0, config([instance(150)]));
    let asked = times(&wire, &addition);
    wire.refuses.clear();
    wire.run_until(DOWN_150 + 5 * SECOND);
    assert_eq!(times(&wire, &addition), asked);
    assert!(!wire[0].vips.contains(&second.address));
}
