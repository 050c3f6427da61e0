//! How long everything takes. The number in front of a name is that of the
//! conformance checklist: M1 to M10. What version 2 does is in `main.rs`.

use std::net::IpAddr;

use keepalived_rs::config::model::Instance;
use keepalived_rs::vrrp::state_machine::State;

use crate::world::{
    self, Advert3, Node, Wire, instance, instance3, instance6, ms, source, source6,
};

/// With an interval in milliseconds.
fn each(interval_ms: u64, mut config: Instance) -> Instance {
    config.advert_interval = ms(interval_ms);
    config
}

/// An advert of version 3 with an interval in hundredths of a second.
fn advert(from: impl Into<IpAddr>, priority: u8, interval_cs: u16) -> Advert3 {
    let mut advert = Advert3::new(from, priority);
    advert.interval_cs = interval_cs;
    advert
}

/// Asserts that node 0 is in this state until, and not at, `at_us`.
#[track_caller]
fn leaves(wire: &mut Wire, state: State, at_us: u64) {
    wire.run_until(at_us - 1);
    assert_eq!(wire[0].state(), state);
    wire.run_until(at_us);
    assert_ne!(wire[0].state(), state);
}

#[test]
fn m1_m2_the_skew_of_version_3_is_a_part_of_the_interval() {
    for config in [each(10, instance3(254)), each(10, instance6(254))] {
        let mut wire = Wire::new([Node::new(1, config)]);
        wire.start();
        // 30 ms and 2 / 256 of 10 ms: not cut to whole milliseconds.
        leaves(&mut wire, State::Backup, 30_078);
    }
    let mut wire = Wire::new([Node::new(1, each(500, instance3(100)))]);
    wire.start();
    leaves(&mut wire, State::Backup, 1_500_000 + 304_687);
}

#[test]
fn m1_m5_a_silent_master_is_given_its_own_interval() {
    for (mut wire, from) in [
        (
            Wire::new([Node::new(1, each(1_000, instance3(100)))]),
            IpAddr::from(source(2)),
        ),
        (
            Wire::new([Node::new(1, each(1_000, instance6(100)))]),
            source6(2).into(),
        ),
    ] {
        wire.start();
        wire.advert3(0, &advert(from, 200, 40));
        let at = 1_200_000 + 243_750;
        leaves(&mut wire, State::Backup, at);
        // As MASTER it sends with its own.
        wire.run_until(at + 3_000_000);
        let expected: Vec<u64> = (0..4).map(|n| at + n * 1_000_000).collect();
        assert_eq!(wire[0].sent_since(0), expected);
        assert_eq!(wire[0].sent[0].message()[4..6], [0, 100]);
        let text = "changing advert interval from 400ms to locally configured 1000ms";
        assert_eq!(wire[0].times_logged(text), 1);
    }
}

#[test]
fn m5_each_accepted_advert_teaches_and_a_discarded_one_does_not() {
    let mut wire = Wire::new([Node::new(1, instance3(100))]);
    wire.start();
    wire.advert3(0, &advert(source(2), 200, 40));
    wire.run_until(100_000);
    wire.advert3(0, &advert(source(2), 200, 20));
    // A lower one: neither the timer nor the interval is its to change.
    wire.run_until(200_000);
    wire.advert3(0, &advert(source(3), 50, 400));
    leaves(&mut wire, State::Backup, 100_000 + 600_000 + 121_875);
}

#[test]
fn m5_what_was_learned_is_forgotten_in_fault() {
    let mut wire = Wire::new([Node::new(1, instance3(100))]);
    wire.start();
    wire.advert3(0, &advert(source(2), 200, 400));
    wire.change_interface(0, |interface| interface.up = false);
    assert_eq!(wire[0].state(), State::Fault);
    wire.change_interface(0, |interface| interface.up = true);
    leaves(&mut wire, State::Backup, 3_609_375);
}

#[test]
fn m3_down_timer_adverts_replaces_the_three() {
    for (adverts, factor) in [(1, 1), (10, 10), (100, 100)] {
        for version3 in [false, true] {
            let mut config = if version3 {
                instance3(100)
            } else {
                instance(100)
            };
            config.down_timer_adverts = adverts;
            let mut wire = Wire::new([Node::new(1, config)]);
            wire.start();
            leaves(&mut wire, State::Backup, factor * 1_000_000 + 609_375);
        }
    }
}

#[test]
fn m4_priority_0_leaves_a_backup_the_skew_of_the_learned_interval() {
    let mut wire = Wire::new([Node::new(1, instance3(100))]);
    wire.start();
    wire.advert3(0, &advert(source(2), 200, 40));
    wire.run_until(500_000);
    wire.advert3(0, &advert(source(2), 0, 40));
    leaves(&mut wire, State::Backup, 500_000 + 243_750);
    assert_eq!(wire[0].statistics().pri_zero_rcvd, 1);
}

#[test]
fn m4_priority_0_makes_a_master_speak_at_once() {
    for (config, from) in [
        (instance3(100), IpAddr::from(source(2))),
        (instance6(100), source6(2).into()),
    ] {
        let mut wire = Wire::new([Node::new(1, config)]);
        wire.start();
        wire.run_until(10_000_000);
        wire.advert3(0, &advert(from, 0, 100));
        wire.run_until(12_500_000);
        let expected = [10_000_000, 11_000_000, 12_000_000];
        assert_eq!(wire[0].sent_since(10_000_000), expected);
    }
}

#[test]
fn m6_a_lower_advert_does_not_move_the_timer_of_a_backup() {
    let mut wire = Wire::new([Node::new(1, instance3(100))]);
    wire.start();
    for tenth in 1..30 {
        wire.run_until(tenth * 100_000);
        wire.advert3(0, &advert(source(2), 99, 100));
    }
    leaves(&mut wire, State::Backup, 3_609_375);
}

#[test]
fn m6_with_nopreempt_or_at_equal_priority_the_timer_starts_again() {
    let mut nopreempt = instance3(100);
    nopreempt.nopreempt = true;
    for (config, theirs, from) in [
        (nopreempt, 50, source(2)),
        (instance3(100), 100, source(2)),
        (instance3(100), 100, source(0)),
    ] {
        let mut wire = Wire::new([Node::new(1, config)]);
        wire.start();
        wire.run_until(3_000_000);
        wire.advert3(0, &advert(from, theirs, 100));
        leaves(&mut wire, State::Backup, 3_000_000 + 3_609_375);
    }
}

/// A node of priority 200 with a delay of five seconds, and adverts of 100
/// each second from the first one on.
fn delayed(config: Instance) -> Wire {
    let mut config = config;
    config.preempt_delay = ms(5_000);
    let mut wire = Wire::new([Node::new(1, config)]);
    wire.start();
    wire
}

const STARTED: &str = "start preempt delay (5.000000)";

#[test]
fn m7_the_delay_starts_at_the_first_lower_advert() {
    for (config, from) in [
        (instance3(200), IpAddr::from(source(2))),
        (instance6(200), source6(2).into()),
    ] {
        let mut wire = delayed(config);
        wire.run_until(2_000_000);
        assert!(!wire[0].logged(STARTED));
        for second in 2..12 {
            wire.run_until(second * 1_000_000);
            if wire[0].state() == State::Backup {
                wire.advert3(0, &advert(from, 100, 100));
            }
        }
        assert_eq!(wire[0].times_logged(STARTED), 1);
        // From 2 s to 7 s adverts are accepted, the last one at 6 s; then the
        // rest of the timer passes.
        assert_eq!(wire[0].sent[0].at_us, 6_000_000 + 3_000_000 + 218_750);
    }
}

#[test]
fn m7_an_advert_that_is_not_lower_ends_the_delay() {
    for theirs in [200, 201] {
        let mut wire = delayed(instance3(200));
        wire.run_until(1_000_000);
        wire.advert3(0, &advert(source(2), 100, 100));
        wire.run_until(3_000_000);
        wire.advert3(0, &advert(source(3), theirs, 100));
        assert!(wire[0].logged("stop preempt delay"), "{theirs}");
        // It starts anew with the next lower one: 4 s to 9 s.
        for second in 4..10 {
            wire.run_until(second * 1_000_000);
            wire.advert3(0, &advert(source(2), 100, 100));
        }
        assert_eq!(wire[0].times_logged(STARTED), 2);
        leaves(&mut wire, State::Backup, 8_000_000 + 3_218_750);
    }
}

#[test]
fn m7_a_lower_master_that_dies_is_replaced_as_ever() {
    let mut wire = delayed(instance3(200));
    wire.run_until(1_000_000);
    wire.advert3(0, &advert(source(2), 100, 100));
    leaves(&mut wire, State::Backup, 1_000_000 + 3_218_750);
    // One that says good-bye, too.
    let mut wire = delayed(instance3(200));
    wire.run_until(1_000_000);
    wire.advert3(0, &advert(source(2), 100, 100));
    wire.advert3(0, &advert(source(2), 0, 100));
    leaves(&mut wire, State::Backup, 1_000_000 + 218_750);
}

#[test]
fn m7_two_nodes_hand_over_after_the_delay_and_not_before() {
    let mut late = instance(200);
    late.preempt_delay = ms(60_000);
    let mut wire = Wire::new([Node::new(1, late), Node::new(2, instance(100))]);
    wire.start_node(1);
    wire.run_until(10_000_000);
    wire.start_node(0);
    wire.run_until(69_000_000);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
    wire.run_until(75_000_000);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
}

#[test]
fn m8_the_shortest_and_the_longest_interval() {
    for (interval_ms, octets) in [(10, [0, 1]), (40_950, [0x0f, 0xff])] {
        let mut wire = Wire::new([Node::new(1, each(interval_ms, instance6(254)))]);
        wire.start();
        wire.run_until(interval_ms * 10_000);
        assert_eq!(wire[0].state(), State::Master);
        assert_eq!(wire[0].sent[0].message()[4..6], octets);
        let gap = wire[0].sent[1].at_us - wire[0].sent[0].at_us;
        assert_eq!(gap, interval_ms * 1_000);
    }
}

#[test]
fn m9_everybody_begins_as_backup_with_the_whole_timer_and_the_owner_at_once() {
    for config in [instance3(100), instance6(100)] {
        let mut wire = Wire::new([Node::new(1, config)]);
        wire.start();
        leaves(&mut wire, State::Backup, 3_609_375);
    }
    for config in [instance3(255), instance6(255)] {
        let mut wire = Wire::new([Node::new(1, config)]);
        wire.start();
        assert_eq!(wire[0].state(), State::Master);
        assert_eq!(wire[0].sent_since(0), [0]);
    }
}

#[test]
fn m10_ten_milliseconds_do_not_drift() {
    let mut wire = Wire::new([Node::new(1, each(10, instance6(100)))]);
    wire.start();
    wire.run_until(36_093 + 10_000_000);
    let expected: Vec<u64> = (0..=1_000).map(|n| 36_093 + n * 10_000).collect();
    assert_eq!(wire[0].sent_since(0), expected);
}

/// A change of priority moves a running timer, and never into the past.
#[test]
fn m1_a_priority_that_rises_shortens_the_wait_of_a_backup() {
    let track = |weight| {
        let mut config = each(1_000, instance3(1));
        config
            .track_interfaces
            .push(keepalived_rs::config::model::TrackInterface {
                interface: "eth1".into(),
                weight,
                reverse: false,
            });
        let mut node = Node::new(1, config);
        node.others.push(world::other_interface(3, "eth1", false));
        Wire::new([node])
    };
    // 3.996 s with priority 1, 3.008 s with 254.
    for (rises_at, ends_at) in [(1_000_000, 3_007_812), (3_900_000, 3_900_000)] {
        let mut wire = track(253);
        wire.start();
        wire.run_until(rises_at);
        wire.report(0, &world::other_interface(3, "eth1", true));
        assert_eq!(wire[0].priority(), 254);
        wire.run_until(ends_at);
        assert_eq!(wire[0].state(), State::Master);
        assert_eq!(wire[0].sent[0].at_us, ends_at);
    }
}
