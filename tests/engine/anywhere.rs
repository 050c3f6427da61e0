//! Unicast without an interface: routes decide where adverts leave, they may come
//! in anywhere, and the source address may be on any interface. With `vrf` all of
//! this is in the VRF of that interface.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keepalived_rs::config::model::Instance;
use keepalived_rs::ids::IfIndex;
use keepalived_rs::vrrp::event::InterfaceAddress;
use keepalived_rs::vrrp::state_machine::State;

use crate::world::{
    Advert3, Node, VIP, VIP6, Wire, config, instance3, instance6, interface, ms, other_interface,
    source, vip,
};

const DOWN_150: u64 = 3_000_000 + 414_062;

/// A global address of a node.
fn global(node: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, node.into())
}

/// Node 1 of two, at `own`, without an interface.
fn anywhere(mut config: Instance, own: impl Into<IpAddr>, peer: impl Into<IpAddr>) -> Instance {
    config.interface = "".into();
    config.source_address = Some(own.into());
    config.unicast_peers = vec![peer.into().into()];
    config
}

fn v4(priority: u8) -> Instance {
    anywhere(instance3(priority), source(1), source(2))
}

/// An advert from the other node.
fn from_peer(priority: u8) -> Vec<u8> {
    let to = source(1).into();
    Advert3 {
        to,
        ..Advert3::new(source(2), priority)
    }
    .bytes()
}

#[test]
fn adverts_leave_where_the_routes_say_and_are_heard_from_anywhere() {
    let mut wire = Wire::new([Node::new(1, v4(150))]);
    wire.start();
    assert_eq!(wire[0].listening, [IfIndex::ANY]);
    assert_eq!(wire[0].groups, [None]);
    wire.run_until(DOWN_150);
    assert_eq!(wire[0].state(), State::Master);
    assert_eq!(wire[0].vips, [VIP]);
    let sent = wire[0].sent.last().expect("sent");
    assert_eq!(sent.via, IfIndex::ANY);
    assert_eq!(
        (sent.source, sent.destination),
        (source(1).into(), source(2).into())
    );
    wire.deliver_on(0, IfIndex::ANY, &from_peer(200));
    assert_eq!(wire[0].state(), State::Backup);
    assert!(wire[0].vips.is_empty());
}

#[test]
fn two_nodes_without_interfaces_have_one_master_over_either_family() {
    let v4 = |own: u8, peer: u8, priority| anywhere(instance3(priority), source(own), source(peer));
    let v6 = |own: u8, peer: u8, priority| anywhere(instance6(priority), global(own), global(peer));
    for (high, low, vip) in [
        (v4(1, 2, 150), v4(2, 1, 100), IpAddr::from(VIP)),
        (v6(1, 2, 150), v6(2, 1, 100), VIP6.into()),
    ] {
        let mut wire = Wire::new([Node::new(1, high), Node::new(2, low)]);
        for node in 0..2 {
            let address = global(node as u8 + 1).into();
            wire[node].interface.addresses.push(InterfaceAddress {
                address,
                prefix_length: 64,
            });
        }
        wire.start();
        wire.run_until(20_000_000);
        assert_eq!(wire.states(), [State::Master, State::Backup]);
        assert_eq!(wire[0].vips, [vip]);
        wire.stop(0);
        wire.run_until(22_000_000);
        assert_eq!(wire[1].state(), State::Master);
        assert_eq!(wire[1].vips, [vip]);
    }
}

#[test]
fn without_its_source_address_it_is_in_fault_until_some_interface_has_it() {
    let mut wire = Wire::new([Node::new(1, v4(150))]);
    wire[0].interface.addresses.clear();
    wire[0].others = vec![other_interface(3, "dummy0", true)];
    wire.start();
    assert_eq!(wire[0].state(), State::Fault);
    assert!(wire[0].logged("(VI_1): entering FAULT state (src address not configured)"));
    // No instance names this interface.
    let own = InterfaceAddress {
        address: source(1).into(),
        prefix_length: 32,
    };
    wire.change_other(0, IfIndex(3), |state| state.addresses.push(own));
    assert_eq!(wire[0].state(), State::Backup);
    wire.run_until(10_000_000);
    assert_eq!(wire[0].state(), State::Master);
    wire.change_other(0, IfIndex(3), |state| state.addresses.clear());
    assert_eq!(wire[0].state(), State::Fault);
    assert!(wire[0].vips.is_empty());
    assert!(wire[0].logged("-> FAULT: this node has no address to send from"));
}

#[test]
fn the_interface_of_a_vip_is_tracked_and_of_no_other() {
    let mut wire = Wire::new([Node::new(1, v4(150))]);
    wire[0].interface.addresses.clear();
    let mut carrier = other_interface(3, "lo", true);
    carrier.loopback = true;
    carrier.addresses = interface(1).addresses;
    wire[0].others = vec![carrier, other_interface(4, "eth9", true)];
    wire.start();
    wire.run_until(10_000_000);
    assert_eq!(wire[0].state(), State::Master);
    wire.change_other(0, IfIndex(4), |state| state.up = false);
    assert_eq!(wire[0].state(), State::Master);
    wire.change_interface(0, |eth0| eth0.up = false);
    assert_eq!(wire[0].state(), State::Fault);
    assert!(wire[0].logged("interface eth0 of a VIP is down or missing"));
}

/// Eight octets of version 3 and four of each address are room for at most 255 of
/// them on an interface of 65,536 octets; what is routed leaves by Ethernet.
#[test]
fn a_source_on_loopback_makes_no_packet_that_ethernet_cannot_carry() {
    let mut config = anywhere(instance6(150), global(1), global(2));
    config.virtual_addresses = (1..=200_u16)
        .map(|last| vip(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, last)))
        .collect();
    let mut wire = Wire::new([Node::new(1, config)]);
    wire[0].interface.mtu = 65_536;
    let address = global(1).into();
    wire[0].interface.addresses.push(InterfaceAddress {
        address,
        prefix_length: 128,
    });
    wire.start();
    wire.run_until(DOWN_150);
    assert_eq!(
        wire[0].sent.last().expect("sent").bytes.len(),
        40 + 8 + 90 * 16
    );
}

#[test]
fn in_a_vrf_everything_goes_by_its_interface() {
    let mut config = v4(150);
    config.vrf = Some("red".into());
    let mut wire = Wire::new([Node::new(1, config)]);
    wire.start();
    assert_eq!(wire[0].state(), State::Fault);
    assert!(wire[0].logged("interface red"));
    assert!(wire[0].listening.is_empty());
    let mut red = other_interface(7, "red", true);
    wire.report(0, &red);
    assert_eq!(wire[0].state(), State::Backup);
    assert_eq!(wire[0].listening, [IfIndex(7)]);
    wire.run_until(10_000_000);
    assert_eq!(wire[0].sent.last().expect("sent").via, IfIndex(7));
    wire.deliver_on(0, IfIndex(7), &from_peer(200));
    assert_eq!(wire[0].state(), State::Backup);
    red.up = false;
    wire.report(0, &red);
    assert_eq!(wire[0].state(), State::Fault);
}

/// The kernel gives a datagram to the socket of the interface and to the one
/// without: each instance hears its own peers, and nothing is counted twice.
#[test]
fn an_instance_on_an_interface_and_one_without_share_a_vrid() {
    let mut bound = instance3(150);
    bound.unicast_peers = vec![IpAddr::from(source(3)).into()];
    let mut free = v4(150);
    free.name = "VI_2".into();
    free.virtual_addresses = vec![vip(Ipv4Addr::new(10, 0, 0, 101))];
    let mut wire = Wire::new([Node::with(1, config([bound, free]))]);
    wire.start();
    let eth0 = wire[0].interface.index;
    let advert = |from: u8| {
        let to = source(1).into();
        Advert3 {
            to,
            ..Advert3::new(source(from), 200)
        }
        .bytes()
    };
    for (from, heard) in [(2, [0, 1]), (3, [1, 1])] {
        wire.deliver_on(0, eth0, &advert(from));
        wire.deliver_on(0, IfIndex::ANY, &advert(from));
        let counts: Vec<u64> = wire[0]
            .engine
            .instances()
            .map(|it| it.statistics.advert_rcvd)
            .collect();
        assert_eq!(counts, heard, "from {from}");
    }
    assert_eq!(wire[0].ignored(), 0);
}

/// A sender that the interval of a peer tells apart, on one wire.
#[test]
fn an_unknown_vrid_behind_another_socket_is_not_unknown() {
    let mut bound = instance3(150);
    bound.unicast_peers = vec![IpAddr::from(source(2)).into()];
    let mut free = v4(150);
    free.name = "VI_2".into();
    free.vrid = keepalived_rs::ids::Vrid::new(52).expect("a VRID");
    free.advert_interval = ms(1000);
    let mut both = config([bound, free]);
    both.globals.log_unknown_vrids = true;
    let mut wire = Wire::new([Node::with(1, both)]);
    wire.start();
    wire.deliver_on(0, IfIndex::ANY, &from_peer(100));
    assert_eq!(
        (wire[0].ignored(), wire[0].times_logged("Unknown VRID")),
        (0, 0)
    );
    let to = source(1).into();
    let stranger = Advert3 {
        to,
        vrid: 53,
        ..Advert3::new(source(2), 100)
    };
    wire.deliver_on(0, IfIndex::ANY, &stranger.bytes());
    assert_eq!(wire[0].ignored(), 1);
    assert!(wire[0].logged("Unknown VRID(53) received on interface(any). ignoring..."));
}
