//! Lines of the conformance checklist that only show when two rules meet.

use keepalived_rs::config::model::TrackInterface;
use keepalived_rs::vrrp::state_machine::State;

use crate::world::{
    self, Advert3, Node, Wire, instance, instance3, ms, other_interface, source, vip,
};

/// One that resigned speaks with its own priority when it is MASTER again.
#[test]
fn f6_priority_0_is_not_kept_for_the_next_advert() {
    let mut wire = Wire::new([Node::new(1, instance(150))]);
    wire.start();
    wire.run_until(10_000_000);
    wire.change_interface(0, |interface| interface.up = false);
    assert_eq!(wire[0].state(), State::Fault);
    assert_eq!(wire[0].sent.last().map(|sent| sent.priority), Some(0));
    wire.change_interface(0, |interface| interface.up = true);
    wire.run_until(20_000_000);
    assert_eq!(wire[0].state(), State::Master);
    let later = wire[0].sent.iter().filter(|sent| sent.at_us > 10_000_000);
    let priorities: Vec<u8> = later.map(|sent| sent.priority).collect();
    assert!(priorities.len() > 3);
    assert!(priorities.iter().all(|priority| *priority == 150));
}

/// The wait for a silent master is that of the priority with all weights, each time that
/// it begins.
#[test]
fn m2_each_wait_is_that_of_the_effective_priority() {
    let mut config = instance(150);
    config.track_interfaces.push(TrackInterface {
        interface: "eth1".into(),
        weight: -50,
        reverse: false,
    });
    let mut node = Node::new(1, config);
    node.others = vec![other_interface(3, "eth1", false)];
    let mut wire = Wire::new([node]);
    wire.start();
    assert_eq!(wire[0].priority(), 100);
    wire.run_until(1_000_000);
    wire.deliver(0, &world::advert(source(2), 200));
    // 3 adverts and (256 - 100) / 256 s.
    let due = 1_000_000 + 3_609_375;
    wire.run_until(due - 1);
    assert_eq!(wire[0].state(), State::Backup);
    wire.run_until(due);
    assert_eq!(wire[0].state(), State::Master);
    // The same for the wait after priority 0.
    wire.deliver(0, &world::advert(source(2), 200));
    wire.deliver(0, &world::advert(source(2), 0));
    wire.run_until(due + 609_374);
    assert_eq!(wire[0].state(), State::Backup);
    wire.run_until(due + 609_375);
    assert_eq!(wire[0].state(), State::Master);
}

/// Fewer addresses than ours, more of them, and others: each is told and counts.
#[test]
fn r14_any_difference_of_the_addresses_is_counted_and_the_advert_accepted() {
    let (first, second, third) = (source(101), source(102), source(103));
    let mut config = instance3(100);
    config.virtual_addresses = vec![vip(first), vip(second)];
    for (theirs, differs) in [
        (vec![first, second], false),
        (vec![second, first], false),
        (vec![first], true),
        (vec![], true),
        (vec![first, second, third], true),
        (vec![first, third], true),
    ] {
        let mut wire = Wire::new([Node::new(1, config.clone())]);
        wire.start();
        let mut advert = Advert3::new(source(2), 200);
        advert.addresses = theirs.iter().map(|&address| address.into()).collect();
        wire.advert3(0, &advert);
        let got = wire[0].statistics();
        assert_eq!(got.advert_rcvd, 1, "{theirs:?}");
        assert_eq!(got.addr_list_err, u64::from(differs), "{theirs:?}");
    }
}

/// Neither what waits for its turn nor the second burst leaves a node that gave way.
#[test]
fn a2_who_gave_way_announces_nothing_more() {
    for spacing in [ms(0), ms(200)] {
        let mut config = instance(150);
        config.garp.interval = spacing;
        let mut wire = Wire::new([Node::new(1, config)]);
        wire.start();
        wire.run_until(3_500_000);
        assert_eq!(wire[0].state(), State::Master);
        wire.deliver(0, &world::advert(source(2), 200));
        let announced = wire[0].announced.len();
        assert!(announced > 0);
        for second in 4..20 {
            wire.run_until(second * 1_000_000);
            wire.deliver(0, &world::advert(source(2), 200));
        }
        assert_eq!(wire[0].state(), State::Backup);
        assert_eq!(wire[0].announced.len(), announced, "{spacing:?}");
    }
}
