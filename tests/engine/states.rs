//! Who is MASTER, and why. The number in front of a name is that of the
//! conformance checklist: S1 to S7. What version 2 does is in `main.rs`.

use std::net::{IpAddr, Ipv4Addr};

use keepalived_rs::config::model::Instance;
use keepalived_rs::vrrp::action::Operation;
use keepalived_rs::vrrp::state_machine::State;

use crate::world::{
    Advert3, Node, Sent, VIP6, Wire, instance, instance3, instance6, source, source6, vip,
};

/// Both families, with the address that node 2 sends from.
fn families(priority: u8) -> [(Instance, IpAddr); 2] {
    [
        (instance3(priority), source(2).into()),
        (instance6(priority), source6(2).into()),
    ]
}

fn master(config: Instance) -> Wire {
    let mut wire = Wire::new([Node::new(1, config)]);
    wire.start();
    wire.run_until(10_100_000);
    assert_eq!(wire[0].state(), State::Master);
    wire
}

#[test]
fn s1_at_equal_priority_the_higher_address_stays_master() {
    for both in [instance3(100), instance6(100)] {
        let mut wire = Wire::new([Node::new(1, both.clone()), Node::new(2, both)]);
        wire.cut = true;
        wire.start();
        wire.run_until(10_000_000);
        assert_eq!(wire.states(), [State::Master, State::Master]);
        wire.cut = false;
        wire.run_until(12_000_000);
        assert_eq!(wire.states(), [State::Backup, State::Master]);
        assert!(wire[0].vips.is_empty());
    }
}

/// As numbers in network order: 9.x is lower than 10.x, and fe80::ff lower than
/// fe80::100, whatever the text looks like.
#[test]
fn s1_addresses_compare_as_numbers() {
    let cases: [(Instance, IpAddr, State); 4] = [
        (
            instance3(100),
            Ipv4Addr::new(9, 255, 255, 255).into(),
            State::Master,
        ),
        (
            instance3(100),
            Ipv4Addr::new(10, 0, 0, 200).into(),
            State::Backup,
        ),
        (
            instance6(100),
            "fe80::".parse().expect("an address"),
            State::Master,
        ),
        (
            instance6(100),
            "fe80::1:0".parse().expect("an address"),
            State::Backup,
        ),
    ];
    for (config, from, expected) in cases {
        let mut wire = master(config);
        wire.advert3(0, &Advert3::new(from, 100));
        assert_eq!(wire[0].state(), expected, "{from}");
    }
}

#[test]
fn s1_our_own_address_is_a_warning_and_nothing_else() {
    for (config, from) in [
        (instance3(100), IpAddr::from(source(1))),
        (instance6(100), source6(1).into()),
    ] {
        let mut wire = master(config);
        let (sent, announced) = (wire[0].sent.len(), wire[0].announced.len());
        wire.advert3(0, &Advert3::new(from, 100));
        assert_eq!(wire[0].state(), State::Master);
        assert_eq!(
            (wire[0].sent.len(), wire[0].announced.len()),
            (sent, announced)
        );
    }
}

#[test]
fn s2_a_master_yields_to_a_higher_one_and_takes_its_interval() {
    for (config, from) in families(100) {
        let mut wire = master(config);
        let mut advert = Advert3::new(from, 101);
        advert.interval_cs = 40;
        wire.advert3(0, &advert);
        assert_eq!(wire[0].state(), State::Backup);
        assert!(wire[0].vips.is_empty());
        assert!(wire[0].sent_since(10_100_000).is_empty());
        assert_eq!(wire[0].told.last().map(String::as_str), Some("BACKUP 100"));
        wire.run_until(10_100_000 + 1_200_000 + 243_749);
        assert_eq!(wire[0].state(), State::Backup);
        wire.run_until(10_100_000 + 1_200_000 + 243_750);
        assert_eq!(wire[0].state(), State::Master);
    }
}

#[test]
fn s2_higher_prio_send_advert_has_the_last_word() {
    for (mut config, from) in families(100) {
        config.higher_prio_send_advert = true;
        let mut wire = master(config);
        wire.advert3(0, &Advert3::new(from, 101));
        assert_eq!(wire[0].state(), State::Backup);
        assert!(wire[0].vips.is_empty());
        let last = wire[0].sent.last().expect("sent");
        assert_eq!((last.at_us, last.priority), (10_100_000, 100));
        assert_eq!(wire[0].statistics().pri_zero_sent, 0);
    }
}

#[test]
fn s3_a_master_answers_a_lower_one_with_advert_and_announcements() {
    for (config, from) in families(100) {
        for theirs in [99, 1] {
            let mut wire = master(config.clone());
            let announced = wire[0].announced.len();
            wire.advert3(0, &Advert3::new(from, theirs));
            assert_eq!(wire[0].state(), State::Master);
            assert_eq!(wire[0].sent_since(10_100_000), [10_100_000]);
            assert_eq!(wire[0].announced.len(), announced + 5);
            // The next one an interval later.
            wire.run_until(11_200_000);
            assert_eq!(wire[0].sent_since(10_100_001), [11_100_000]);
        }
    }
}

#[test]
fn s3_lower_prio_no_advert_only_announces() {
    for (mut config, from) in families(100) {
        config.lower_prio_no_advert = true;
        let mut wire = master(config);
        let announced = wire[0].announced.len();
        let next = wire[0].engine.deadline();
        wire.advert3(0, &Advert3::new(from, 99));
        assert_eq!(wire[0].state(), State::Master);
        assert!(wire[0].sent_since(10_100_000).is_empty());
        assert_eq!(wire[0].announced.len(), announced + 5);
        assert_eq!(wire[0].engine.deadline(), next);
    }
}

#[test]
fn s4_a_stop_says_priority_0_before_everything_is_taken_off() {
    for (mut config, _) in families(100) {
        let excluded = Ipv4Addr::new(10, 0, 0, 101);
        config.excluded_addresses = vec![vip(excluded)];
        let vips: Vec<IpAddr> = config.all_addresses().map(|vip| vip.address).collect();
        let mut wire = master(config);
        assert_eq!(wire[0].vips, vips);
        let operations = wire[0].operations.len();
        wire.stop(0);
        assert!(wire[0].stopped);
        let zero = |sent: &Sent| (sent.at_us, sent.priority) == (10_100_000, 0);
        assert_eq!(wire[0].sent.iter().filter(|sent| zero(sent)).count(), 1);
        assert!(wire[0].vips.is_empty());
        let removed = wire[0].operations[operations..].iter();
        let removed: Vec<IpAddr> = removed
            .map(|operation| match operation {
                Operation::RemoveAddress { address, .. } => address.address,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(removed, vips);
        assert_eq!(wire[0].told.last().map(String::as_str), Some("STOP 100"));
    }
}

#[test]
fn s4_a_graceful_stop_hands_over_within_the_skew_time_of_the_interval() {
    for config in [instance3 as fn(u8) -> Instance, instance6] {
        let mut pair = [config(150), config(100)];
        for config in &mut pair {
            config.advert_interval = crate::world::ms(100);
        }
        let [high, low] = pair;
        let mut wire = Wire::new([Node::new(1, high), Node::new(2, low)]);
        wire.start();
        wire.run_until(5_000_000);
        assert_eq!(wire.states(), [State::Master, State::Backup]);
        wire.stop(0);
        wire.run_until(5_000_000 + 60_936);
        assert_eq!(wire[1].state(), State::Backup);
        wire.run_until(5_000_000 + 60_937);
        assert_eq!(wire[1].state(), State::Master);
    }
}

#[test]
fn s5_an_ipv6_instance_without_its_link_local_address_is_in_fault() {
    let mut wire = Wire::new([Node::new(1, instance6(150))]);
    wire.start();
    wire.run_until(10_000_000);
    let addresses = wire[0].interface.addresses.clone();
    wire.change_interface(0, |interface| interface.addresses.truncate(1));
    assert_eq!(wire[0].state(), State::Fault);
    assert!(wire[0].vips.is_empty());
    wire.change_interface(0, |interface| interface.addresses = addresses);
    assert_eq!(wire[0].state(), State::Backup);
    wire.run_until(20_000_000);
    assert_eq!(wire[0].vips, [IpAddr::from(VIP6)]);
}

#[test]
fn s5_an_owner_waits_after_a_fault_and_then_takes_over() {
    let mut wire = Wire::new([Node::new(1, instance3(255)), Node::new(2, instance3(100))]);
    wire.start();
    wire.run_until(5_000_000);
    wire.change_interface(0, |interface| interface.up = false);
    wire.run_until(10_000_000);
    assert_eq!(wire.states(), [State::Fault, State::Master]);
    wire.change_interface(0, |interface| interface.up = true);
    assert_eq!(wire[0].state(), State::Backup);
    wire.run_until(10_000_000 + 3_003_906);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
}

/// Version 2 and version 3 on one wire do not understand each other: each is
/// MASTER, and each says why.
#[test]
fn r4_two_versions_are_two_masters_and_both_say_so() {
    let mut wire = Wire::new([Node::new(1, instance(150)), Node::new(2, instance3(100))]);
    wire.start();
    wire.run_until(10_000_000);
    assert_eq!(wire.states(), [State::Master, State::Master]);
    for node in 0..2 {
        assert!(wire[node].logged("wrong VRRP version from 10.0.0."));
        assert!(wire[node].statistics().vers_err > 0);
    }
}
