//! Gratuitous ARP beyond one interface: groups that share a spacing, other
//! interfaces, many instances at once, routers, and the own address of a node that
//! takes part again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keepalived_rs::config::model::{Config, GarpGroup, Instance, VirtualAddress};
use keepalived_rs::ids::{IfIndex, Vrid};
use keepalived_rs::time::Interval;
use keepalived_rs::vrrp::state_machine::State;

use crate::world::{
    Node, VIP, Wire, config, instance, instance6, ms, other_interface, source, source6, vip,
};

/// When a node of priority 100 and intervals of a second becomes MASTER.
const MASTER_AT: u64 = 3_609_375;
const GLOBAL: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x100);

fn on(interface: &str, address: impl Into<IpAddr>) -> VirtualAddress {
    VirtualAddress {
        interface: interface.into(),
        ..vip(address)
    }
}

/// A node with eth0, eth1 and eth2.
fn node(config: Config) -> Wire {
    let mut node = Node::with(1, config);
    node.others = vec![
        other_interface(3, "eth1", true),
        other_interface(4, "eth2", true),
    ];
    let mut wire = Wire::new([node]);
    wire.start();
    wire
}

/// Time since it became MASTER, interface and address of each announcement.
fn announced(wire: &Wire) -> Vec<(u64, u32, IpAddr)> {
    let all = wire[0].announcements.iter();
    all.map(|it| (it.at_us - MASTER_AT, it.on.0, it.address))
        .collect()
}

/// One burst of two packets for each of four addresses on three interfaces.
fn spread() -> Instance {
    let mut config = instance(100);
    config.garp.master_repeat = 2;
    config.garp.master_delay = Interval::ZERO;
    config.excluded_addresses = vec![
        on("eth1", Ipv4Addr::new(10, 1, 0, 1)),
        on("eth2", Ipv4Addr::new(10, 2, 0, 1)),
        on("eth1", GLOBAL),
    ];
    config
}

fn group(garp_interval: Interval, gna_interval: Interval, interfaces: &[&str]) -> GarpGroup {
    GarpGroup {
        garp_interval,
        gna_interval,
        interfaces: interfaces.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn interfaces_of_a_group_share_one_spacing() {
    let mut config = config([spread()]);
    config.garp_groups = vec![group(ms(100), Interval::ZERO, &["eth0", "eth1"])];
    let mut wire = node(config);
    wire.run_until(MASTER_AT + 1_000_000);
    let all = announced(&wire);
    let spaced: Vec<_> = all
        .iter()
        .filter(|(_, on, it)| *on < 4 && it.is_ipv4())
        .collect();
    let times: Vec<u64> = spaced.iter().map(|(at, ..)| *at).collect();
    let interfaces: Vec<u32> = spaced.iter().map(|(_, on, _)| *on).collect();
    assert_eq!(times, [0, 100_000, 200_000, 300_000]);
    assert_eq!(interfaces, [2, 3, 2, 3]);
    // The interface that is in no group, and the family that the group leaves alone.
    let others = all.iter().filter(|(_, on, it)| *on == 4 || it.is_ipv6());
    assert_eq!(others.map(|(at, ..)| *at).collect::<Vec<_>>(), [0; 4]);
}

#[test]
fn a_group_counts_and_not_the_interval_of_all_interfaces() {
    let mut instance = spread();
    instance.garp.interval = ms(10);
    instance.garp.gna_interval = ms(20);
    let mut config = config([instance]);
    config.garp_groups = vec![group(Interval::ZERO, ms(50), &["eth1"])];
    let mut wire = node(config);
    wire.run_until(MASTER_AT + 1_000_000);
    let times = |of: IpAddr| -> Vec<u64> {
        let all = announced(&wire).into_iter();
        all.filter(|(.., it)| *it == of)
            .map(|(at, ..)| at)
            .collect()
    };
    assert_eq!(times(VIP.into()), [0, 10_000]);
    assert_eq!(times(Ipv4Addr::new(10, 1, 0, 1).into()), [0, 0]);
    assert_eq!(times(GLOBAL.into()), [0, 50_000]);
}

#[test]
fn a_group_that_a_reload_brings_counts_from_the_next_burst() {
    let mut instance = spread();
    instance.garp.master_refresh = Interval::from_secs(10);
    instance.garp.master_refresh_repeat = 2;
    let mut config = config([instance]);
    let mut wire = node(config.clone());
    wire.run_until(MASTER_AT + 5_000_000);
    config.garp_groups = vec![group(ms(100), ms(100), &["eth0"])];
    wire.reload(0, config);
    wire.run_until(MASTER_AT + 15_000_000);
    let all = announced(&wire).into_iter();
    let of_eth0 = all.filter(|(_, on, _)| *on == 2).map(|(at, ..)| at);
    assert_eq!(of_eth0.collect::<Vec<_>>(), [0, 0, 10_000_000, 10_100_000]);
}

/// C sends one packet on each such interface, for the first address there.
#[test]
fn garp_extra_if_all_reminds_the_other_interfaces() {
    let mut instance = spread();
    instance.garp.extra_interfaces = Interval::from_secs(3);
    for (all, extra) in [(false, 0), (true, 3)] {
        instance.garp.extra_on_all = all;
        let mut wire = node(config([instance.clone()]));
        wire.run_until(MASTER_AT + 10_000_000);
        let later: Vec<_> = announced(&wire)
            .into_iter()
            .filter(|(at, ..)| *at > 0)
            .collect();
        let eth1 = Ipv4Addr::new(10, 1, 0, 1).into();
        let eth2 = Ipv4Addr::new(10, 2, 0, 1).into();
        let expected: Vec<(u64, u32, IpAddr)> = (1..=extra)
            .flat_map(|n| [(n * 3_000_000, 3, eth1), (n * 3_000_000, 4, eth2)])
            .collect();
        assert_eq!(later, expected, "all: {all}");
        // No longer MASTER, no more reminders.
        wire.change_interface(0, |eth0| eth0.up = false);
        let count = wire[0].announcements.len();
        wire.run_until(MASTER_AT + 30_000_000);
        assert_eq!(wire[0].announcements.len(), count);
    }
}

/// Two hundred instances become MASTER in one moment on one interface, where a
/// packet leaves each millisecond: each is announced once before any is again.
#[test]
fn nobody_waits_for_the_repeats_of_others() {
    let instances = (0..200_u16).map(|number| {
        let [high, low] = number.to_be_bytes();
        let mut one = instance(100);
        one.name = format!("VI_{number}");
        one.vrid = Vrid::new(low % 250 + 1).expect("a VRID");
        one.virtual_addresses = vec![vip(Ipv4Addr::new(10, 9, high, low))];
        one.garp.interval = ms(1);
        one
    });
    let mut wire = Wire::new([Node::with(1, config(instances))]);
    wire.start();
    wire.run_until(MASTER_AT + 199_000);
    let mut addresses: Vec<_> = announced(&wire).into_iter().map(|(.., it)| it).collect();
    assert_eq!(addresses.len(), 200);
    assert_eq!(
        announced(&wire)[0],
        (0, 2, Ipv4Addr::new(10, 9, 0, 0).into())
    );
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 200);
}

#[test]
fn a_neighbour_advert_says_router_while_its_interface_forwards() {
    let mut config = instance6(100);
    config.garp.master_refresh = Interval::from_secs(1);
    config.garp.master_delay = Interval::ZERO;
    config.garp.master_repeat = 1;
    let mut wire = Wire::new([Node::new(1, config)]);
    wire.start();
    wire.run_until(MASTER_AT + 1_500_000);
    wire.change_interface(0, |eth0| eth0.forwarding = true);
    wire.run_until(MASTER_AT + 2_500_000);
    wire.change_interface(0, |eth0| eth0.forwarding = false);
    wire.run_until(MASTER_AT + 3_500_000);
    let routers: Vec<bool> = wire[0].announcements.iter().map(|it| it.router).collect();
    assert_eq!(routers, [false, false, true, false]);
}

/// C does this, too: switches and neighbours learn where the node is before it is
/// spoken to.
#[test]
fn unicast_announces_its_own_address_when_it_takes_part_again() {
    let cases: [(Instance, IpAddr, IpAddr, &str); 2] = [
        (
            instance(100),
            source(1).into(),
            source(2).into(),
            "gratuitous ARP",
        ),
        (
            instance6(100),
            IpAddr::from(source6(1)),
            source6(2).into(),
            "gratuitous NA",
        ),
    ];
    for (plain, own, peer, what) in cases {
        for unicast in [false, true] {
            let mut config = plain.clone();
            config.unicast_peers = unicast.then(|| peer.into()).into_iter().collect();
            let mut wire = Wire::new([Node::new(1, config)]);
            wire.start();
            wire.change_interface(0, |eth0| eth0.up = false);
            assert_eq!(wire[0].state(), State::Fault);
            wire.run_until(1_000_000);
            wire.change_interface(0, |eth0| eth0.up = true);
            assert_eq!(wire[0].state(), State::Backup);
            wire.run_until(3_000_000);
            let all: Vec<_> = wire[0]
                .announcements
                .iter()
                .map(|it| (it.at_us, it.on, it.address))
                .collect();
            let line = format!("VI_1: sending {what} for {own}");
            assert_eq!(wire[0].times_logged(&line), 2 * usize::from(unicast));
            let twice = [1_000_000, 2_000_000].map(|at_us| (at_us, IfIndex(2), own));
            let expected = if unicast { &twice[..] } else { &[] };
            assert_eq!(all, expected);
        }
    }
}
