//! What an instance tracks besides scripts: interfaces, its own address, its
//! peers (S5 of the conformance checklist), and how weights add up (F6).

use std::net::Ipv4Addr;

use keepalived_rs::config::model::{Instance, TrackInterface};
use keepalived_rs::ids::{IfIndex, Vrid};
use keepalived_rs::vrrp::event::InterfaceAddress;
use keepalived_rs::vrrp::state_machine::State;

use crate::world::{
    Node, VIP, Wire, config, instance, instance3, other_interface, source, source6, vip,
};

fn tracking(mut config: Instance, weight: i32, reverse: bool) -> Instance {
    config.track_interfaces.push(TrackInterface {
        interface: "eth1".into(),
        weight,
        reverse,
    });
    config
}

/// One node with another interface, eth1, before its start.
fn node(config: Instance, up: bool) -> Wire {
    let mut node = Node::new(1, config);
    node.others.push(other_interface(3, "eth1", up));
    Wire::new([node])
}

fn link(wire: &mut Wire, up: bool) {
    wire.report(0, &other_interface(3, "eth1", up));
}

#[test]
fn s5_a_tracked_interface_that_goes_down_means_fault() {
    let mut wire = node(tracking(instance(150), 0, false), true);
    wire.start();
    wire.run_until(10_000_000);
    assert_eq!(wire[0].vips, [VIP]);
    link(&mut wire, false);
    assert_eq!(wire[0].state(), State::Fault);
    assert!(wire[0].vips.is_empty());
    assert_eq!(wire[0].sent.last().expect("sent").priority, 0);
    assert!(wire[0].logged("eth1"));
    link(&mut wire, true);
    assert_eq!(wire[0].state(), State::Backup);
    wire.run_until(20_000_000);
    assert_eq!(wire[0].state(), State::Master);
}

#[test]
fn s5_a_tracked_interface_that_does_not_exist_means_fault_until_it_comes() {
    let mut wire = Wire::new([Node::new(1, tracking(instance(150), 0, false))]);
    wire.start();
    assert_eq!(wire[0].state(), State::Fault);
    link(&mut wire, true);
    assert_eq!(wire[0].state(), State::Backup);
}

#[test]
fn s5_reverse_wants_the_interface_to_be_down() {
    let mut wire = node(tracking(instance(150), 0, true), true);
    wire.start();
    assert_eq!(wire[0].state(), State::Fault);
    link(&mut wire, false);
    assert_eq!(wire[0].state(), State::Backup);
    link(&mut wire, true);
    assert_eq!(wire[0].state(), State::Fault);
}

/// Two that are down: one of them back is not enough (C has one flag for both).
#[test]
fn s5_every_tracked_interface_has_to_be_up() {
    let mut config = tracking(instance(150), 0, false);
    config.track_interfaces.push(TrackInterface {
        interface: "eth2".into(),
        weight: 0,
        reverse: false,
    });
    let mut wire = node(config, true);
    wire[0].others.push(other_interface(4, "eth2", true));
    wire.start();
    link(&mut wire, false);
    wire.report(0, &other_interface(4, "eth2", false));
    link(&mut wire, true);
    assert_eq!(wire[0].state(), State::Fault);
    wire.report(0, &other_interface(4, "eth2", true));
    assert_eq!(wire[0].state(), State::Backup);
}

#[test]
fn f6_a_weighted_interface_changes_the_priority_and_nothing_else() {
    // Weight, reverse; the priority while it is up and while it is down.
    for (weight, reverse, up, down) in [
        (20, false, 120, 100),
        (-20, false, 100, 80),
        (20, true, 80, 100),
        (-20, true, 100, 120),
    ] {
        let mut wire = node(tracking(instance3(100), weight, reverse), true);
        wire.start();
        wire.run_until(10_000_000);
        assert_eq!((wire[0].state(), wire[0].priority()), (State::Master, up));
        assert_eq!(wire[0].sent[0].priority, up);
        link(&mut wire, false);
        wire.run_until(12_000_000);
        assert_eq!((wire[0].state(), wire[0].priority()), (State::Master, down));
        assert_eq!(wire[0].sent.last().expect("sent").priority, down);
        link(&mut wire, true);
        assert_eq!(wire[0].priority(), up);
    }
}

#[test]
fn f6_weights_never_make_0_or_255() {
    for (own, weight, up, down) in [
        (200, 253, 254, 200),
        (10, -253, 10, 1),
        (255, -253, 255, 255),
    ] {
        let mut wire = node(tracking(instance(own), weight, false), true);
        wire.start();
        wire.run_until(10_000_000);
        assert_eq!(wire[0].priority(), up);
        link(&mut wire, false);
        wire.run_until(12_000_000);
        assert_eq!(wire[0].priority(), down);
        assert_eq!(wire[0].sent.last().expect("sent").priority, down);
    }
}

/// A weight that is lost hands over to the other node, and back.
#[test]
fn f6_a_lost_weight_hands_over() {
    let mut first = Node::new(1, tracking(instance(100), 20, false));
    first.others.push(other_interface(3, "eth1", true));
    let mut wire = Wire::new([first, Node::new(2, instance(110))]);
    wire.start();
    wire.run_until(10_000_000);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
    link(&mut wire, false);
    wire.run_until(20_000_000);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
    link(&mut wire, true);
    wire.run_until(30_000_000);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
}

/// An interface that is renamed keeps its addresses; the VIPs must not stay.
#[test]
fn s5_a_renamed_interface_is_left_without_vips() {
    let mut wire = Wire::new([Node::new(1, instance(150))]);
    wire.start();
    wire.run_until(10_000_000);
    wire.change_interface(0, |interface| interface.name = "eth9".into());
    assert_eq!(wire[0].state(), State::Fault);
    assert!(wire[0].vips.is_empty());
    wire.change_interface(0, |interface| interface.name = "eth0".into());
    assert_eq!(wire[0].state(), State::Backup);
}

#[test]
fn s5_dont_track_primary_lives_with_a_link_that_is_down() {
    for ignored in [false, true] {
        let mut config = instance(150);
        config.ignore_own_interface = ignored;
        let mut wire = Wire::new([Node::new(1, config)]);
        wire.start();
        wire.run_until(10_000_000);
        wire.change_interface(0, |interface| interface.up = false);
        let expected = if ignored { State::Master } else { State::Fault };
        assert_eq!(wire[0].state(), expected);
        assert_eq!(wire[0].vips.is_empty(), !ignored);
        // An interface that is gone can carry nothing.
        wire.remove_interface(0);
        assert_eq!(wire[0].state(), State::Fault);
        wire.change_interface(0, |interface| interface.index = IfIndex(8));
        assert_eq!(wire[0].state() == State::Backup, ignored);
    }
}

#[test]
fn s5_the_interface_of_an_excluded_address_is_tracked_unless_it_says_no_track() {
    for no_track in [false, true] {
        let mut config = instance(150);
        let mut excluded = vip(Ipv4Addr::new(10, 1, 0, 100));
        excluded.interface = "eth1".into();
        excluded.no_track = no_track;
        config.excluded_addresses = vec![excluded];
        let mut wire = node(config, true);
        wire.start();
        wire.run_until(10_000_000);
        assert_eq!(wire[0].vips.len(), 2);
        link(&mut wire, false);
        let expected = if no_track {
            State::Master
        } else {
            State::Fault
        };
        assert_eq!(wire[0].state(), expected);
    }
}

#[test]
fn s5_track_src_ip_wants_the_source_address_to_be_there() {
    for tracked in [false, true] {
        for mut config in [instance(150), crate::world::instance6(150)] {
            let at = usize::from(config.ipv6);
            config.source_address = Some(match config.ipv6 {
                false => source(1).into(),
                true => source6(1).into(),
            });
            config.track_source_address = tracked;
            let mut wire = Wire::new([Node::new(1, config)]);
            let address = wire[0].interface.addresses.remove(at);
            wire.start();
            let expected = if tracked { State::Fault } else { State::Backup };
            assert_eq!(wire[0].state(), expected);
            wire.change_interface(0, |interface| interface.addresses.push(address));
            assert_eq!(wire[0].state(), State::Backup);
            wire.run_until(10_000_000);
            assert_eq!(wire[0].sent[0].source, address.address);
            wire.change_interface(0, |interface| interface.addresses.clear());
            let expected = if tracked { State::Fault } else { State::Master };
            assert_eq!(wire[0].state(), expected);
        }
    }
}

/// Where VIPs are concerns nobody, but for who is told to send from one.
#[test]
fn s5_track_src_ip_wants_a_source_address_that_is_the_vip_of_another() {
    let mut sender = Instance {
        name: "VI_2".into(),
        vrid: Vrid::new(52).expect("not 0"),
        source_address: Some(VIP.into()),
        track_source_address: true,
        ..instance(150)
    };
    sender.virtual_addresses = vec![vip(Ipv4Addr::new(10, 0, 0, 101))];
    let both = config([instance(150), sender]);
    let mut wire = Wire::new([Node::with(1, both)]);
    wire.start();
    let state = |wire: &Wire| wire[0].engine.instances().nth(1).expect("it").state;
    assert_eq!(state(&wire), State::Fault);
    let address = InterfaceAddress {
        address: VIP.into(),
        prefix_length: 24,
    };
    wire.change_interface(0, |interface| interface.addresses.push(address));
    assert_eq!(state(&wire), State::Backup);
    wire.change_interface(0, |interface| {
        interface.addresses.retain(|it| *it != address)
    });
    assert_eq!(state(&wire), State::Fault);
}

#[test]
fn s5_unicast_fault_no_peer_is_fault_for_ever() {
    let mut config = instance(150);
    config.fault_without_peer = true;
    let mut wire = Wire::new([Node::new(1, config)]);
    wire.start();
    wire.run_until(60_000_000);
    assert_eq!(wire[0].state(), State::Fault);
    assert!(wire[0].sent.is_empty());
    assert_eq!(wire[0].told, ["FAULT 150"]);
    wire.change_interface(0, |interface| interface.up = false);
    wire.change_interface(0, |interface| interface.up = true);
    assert_eq!(wire[0].state(), State::Fault);
}
