//! Virtual MACs: when they are made and taken away, what is on them and leaves by them,
//! and what becomes of an instance with one that is down, missing or refused.

use keepalived_rs::config::model::{Config, HardwareAddress, Instance, VirtualAddress, Vmac};
use keepalived_rs::ids::{Errno, IfIndex, MacAddress, Vrid};
use keepalived_rs::vrrp::action::{Operation, OwnLinkKind};
use keepalived_rs::vrrp::event::{InterfaceState, LinkDetails, LinkKind};
use keepalived_rs::vrrp::state_machine::State;
use std::net::{IpAddr, Ipv4Addr};

use crate::world::{
    FIRST_LINK, Node, VIP, VIP6, Wire, config, instance, instance6, macvlan, other_interface, vip,
};

/// When a node of priority 100 becomes MASTER.
const MASTER_AT: u64 = 3_609_375;
const BASE: IfIndex = IfIndex(2);
const LINK: IfIndex = IfIndex(FIRST_LINK);
const NEXT: IfIndex = IfIndex(FIRST_LINK + 1);
const MAC: MacAddress = MacAddress([0, 0, 0x5e, 0, 1, 51]);

fn with_vmac(plain: Instance) -> Instance {
    Instance {
        vmac: Some(Box::default()),
        ..plain
    }
}

fn named(name: &str) -> Instance {
    let vmac = Vmac {
        interface: Some(name.into()),
        ..Vmac::default()
    };
    Instance {
        vmac: Some(Box::new(vmac)),
        ..instance(100)
    }
}

fn alone(config: Instance) -> Wire {
    let mut wire = Wire::new([Node::new(1, config)]);
    wire.start();
    wire
}

/// The names of links that were asked for, in order.
fn asked(wire: &Wire) -> Vec<String> {
    let all = wire[0].operations.iter();
    all.filter_map(|it| match it {
        Operation::AddLink(link) => Some(link.name.clone()),
        _ => None,
    })
    .collect()
}

/// Where an address was put last.
fn put_on(wire: &Wire, address: IpAddr) -> Option<IfIndex> {
    let all = wire[0].operations.iter().rev();
    all.filter_map(|it| match it {
        Operation::AddAddress { on, address: vip } if vip.address == address => Some(Some(*on)),
        Operation::RemoveAddress { address: vip, .. } if vip.address == address => Some(None),
        _ => None,
    })
    .next()
    .flatten()
}

#[test]
fn f7_it_is_there_before_the_first_state_and_everything_leaves_by_it() {
    let mut wire = alone(with_vmac(instance(100)));
    let Some(Operation::AddLink(link)) = wire[0].operations.first() else {
        panic!("{:?}", wire[0].operations);
    };
    assert_eq!((&*link.name, link.parent), ("vrrp.51", BASE));
    assert_eq!(link.kind, OwnLinkKind::Macvlan(MAC));
    assert_eq!((link.ipv4, link.ipv6), (true, false));
    assert_eq!(wire[0].told, ["BACKUP 100"]);
    assert!(wire[0].logged("(VI_1): Success creating VMAC interface vrrp.51"));
    assert!(wire[0].logged("(VI_1) Entering BACKUP STATE (init)"));
    assert!(!wire[0].logged("FAULT"));
    assert_eq!(wire[0].listening, [LINK]);

    wire.run_until(MASTER_AT);
    assert_eq!(wire[0].state(), State::Master);
    assert_eq!(put_on(&wire, VIP.into()), Some(LINK));
    assert!(wire[0].sent.iter().all(|sent| sent.via == LINK));
    assert!(wire[0].announcements.iter().all(|it| it.on == LINK));
    let line = "Sending/queueing gratuitous ARPs on vrrp.51 for 10.0.0.100";
    assert!(wire[0].logged(line));
}

#[test]
fn over_ipv6_it_has_another_mac_and_if_need_be_another_name() {
    let mut wire = alone(with_vmac(instance6(100)));
    let link = wire[0].link("vrrp.51").expect("made").clone();
    assert_eq!(link.mac, MacAddress([0, 0, 0x5e, 0, 2, 51]));
    wire.run_until(MASTER_AT);
    assert_eq!(put_on(&wire, VIP6.into()), Some(LINK));
    let second = Instance {
        name: "VI_6".into(),
        ..with_vmac(instance6(100))
    };
    let mut wire = Wire::new([Node::with(1, config([with_vmac(instance(100)), second]))]);
    wire.start();
    let mac = |name: &str| wire[0].link(name).map(|it| it.mac.0[4]);
    assert_eq!([mac("vrrp.51"), mac("vrrp6.51")], [Some(1), Some(2)]);
}

#[test]
fn with_vmac_xmit_base_adverts_leave_below_it() {
    let mut wire = alone(Instance {
        vmac_transmit_on_base: true,
        ..with_vmac(instance(100))
    });
    wire.run_until(MASTER_AT);
    assert!(wire[0].sent.iter().all(|sent| sent.via == BASE));
    assert_eq!(put_on(&wire, VIP.into()), Some(LINK));
}

#[test]
fn two_nodes_hear_each_other() {
    let mut wire = Wire::new([
        Node::new(1, with_vmac(instance(100))),
        Node::new(2, with_vmac(instance(150))),
    ]);
    wire.start();
    wire.run_until(20_000_000);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
    wire.stop(1);
    assert!(wire[1].stopped);
    wire.run_until(22_000_000);
    assert_eq!(wire[0].state(), State::Master);
}

#[test]
fn it_or_the_interface_below_it_down_is_a_fault() {
    let mut wire = alone(with_vmac(instance(100)));
    wire.run_until(MASTER_AT);
    wire.change_other(0, LINK, |state| state.up = false);
    assert_eq!(wire[0].state(), State::Master, "it may be on its way out");
    wire.run_until(MASTER_AT + 100_000);
    assert_eq!(wire[0].state(), State::Fault);
    assert!(wire[0].logged("interface vrrp.51 is down"));
    wire.change_other(0, LINK, |state| state.up = true);
    assert_eq!(wire[0].state(), State::Backup);
    wire.change_interface(0, |state| state.up = false);
    assert_eq!(wire[0].state(), State::Fault);
    wire.change_interface(0, |state| state.up = true);
    assert_eq!(wire[0].state(), State::Backup);
}

#[test]
fn one_that_is_deleted_is_made_anew_and_its_master_stays_master() {
    let mut wire = alone(with_vmac(instance(100)));
    wire.run_until(10_000_000);
    let told = wire[0].told.clone();
    let announced = wire[0].announcements.len();
    wire.delete_other(0, LINK);
    wire.run_until(10_000_001);
    assert_eq!(wire[0].state(), State::Master);
    assert_eq!(wire[0].told, told);
    assert_eq!(put_on(&wire, VIP.into()), Some(NEXT));
    assert_eq!(asked(&wire), ["vrrp.51", "vrrp.51"]);
    let again = &wire[0].announcements[announced..];
    assert!(!again.is_empty() && again.iter().all(|it| it.on == NEXT));
    wire.run_until(12_000_000);
    assert_eq!(wire[0].sent.last().map(|sent| sent.via), Some(NEXT));
    assert!(wire[0].sent.iter().all(|sent| sent.priority == 100));
    // A BACKUP has its own back, too, without its address.
    let mut wire = alone(with_vmac(instance(100)));
    wire.run_until(2_000_000);
    wire.delete_other(0, LINK);
    assert!(wire[0].link("vrrp.51").is_some());
    assert_eq!(put_on(&wire, VIP.into()), None);
}

/// A VRF, beside the interface of the first node.
fn vrf(index: u32, name: &str) -> InterfaceState {
    let link = LinkDetails {
        kind: LinkKind::Vrf,
        ..LinkDetails::default()
    };
    InterfaceState {
        link,
        ..other_interface(index, name, true)
    }
}

#[test]
fn it_follows_the_interface_below_it_into_a_vrf_and_out_of_it() {
    let mut wire = alone(with_vmac(instance(100)));
    wire.report(0, &vrf(80, "red"));
    wire.report(0, &vrf(81, "blue"));
    wire.run_until(10_000_000);
    let vrf_of = |wire: &Wire| wire[0].link("vrrp.51").and_then(|it| it.link.master);
    for (second, vrf) in [(12, Some(80)), (14, Some(81)), (16, None)] {
        let announced = wire[0].announcements.len();
        wire.change_interface(0, |state| state.link.master = vrf.map(IfIndex));
        assert_eq!(vrf_of(&wire), vrf.map(IfIndex));
        wire.run_until(second * 1_000_000);
        assert_eq!(wire[0].state(), State::Master);
        assert_eq!(put_on(&wire, VIP.into()), Some(LINK));
        assert!(wire[0].announcements.len() > announced, "it was away");
    }
    assert!(wire[0].logged("vrrp.51 follows the interface below it"));
    // So does one that somebody has moved, but not more often than once in a second.
    let count = asked(&wire).len();
    for _ in 0..50 {
        wire.change_other(0, LINK, |state| state.link.master = Some(IfIndex(80)));
        let next = wire.now.as_us() + 100_000;
        wire.run_until(next);
    }
    wire.run_until(23_000_000);
    assert_eq!(vrf_of(&wire), None);
    let more = asked(&wire).len() - count;
    assert!((5..=7).contains(&more), "{more}");
    // The master of a bridge or a bond is none of our business.
    wire.report(0, &other_interface(82, "br0", true));
    wire.change_other(0, LINK, |state| state.link.master = Some(IfIndex(82)));
    wire.run_until(25_000_000);
    assert_eq!(vrf_of(&wire), Some(IfIndex(82)));
}

#[test]
fn one_that_the_kernel_does_not_move_is_asked_for_again_every_five_seconds() {
    let mut wire = alone(with_vmac(instance(100)));
    wire.report(0, &vrf(80, "red"));
    wire.run_until(10_000_000);
    wire[0].is_vrf_kept = true;
    wire.change_interface(0, |state| state.link.master = Some(IfIndex(80)));
    wire.run_until(21_000_000);
    assert_eq!(asked(&wire).len(), 4, "made, then at 10, 15 and 20 s");
    assert_eq!(wire[0].state(), State::Master);
}

#[test]
fn one_that_is_deleted_again_and_again_is_made_once_in_a_second() {
    let mut wire = alone(with_vmac(instance(100)));
    wire.run_until(10_000_000);
    for _ in 0..50 {
        if let Some(index) = wire[0].link("vrrp.51").map(|state| state.index) {
            wire.delete_other(0, index);
        }
        let next = wire.now.as_us() + 100_000;
        wire.run_until(next);
    }
    let count = asked(&wire).len();
    assert!((5..=8).contains(&count), "{count}");
    wire.run_until(17_000_000);
    assert_eq!(wire[0].state(), State::Master);
    assert!(put_on(&wire, VIP.into()).is_some());
}

/// Whoever listens on it hears nobody while it is missing.
#[test]
fn a_backup_whose_link_is_deleted_again_and_again_does_not_take_over() {
    let mut wire = Wire::new([
        Node::new(1, with_vmac(instance(100))),
        Node::new(2, with_vmac(instance(150))),
    ]);
    wire.start();
    wire.run_until(10_000_000);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
    for turn in 1..=100 {
        if let Some(index) = wire[0].link("vrrp.51").map(|state| state.index) {
            wire.delete_other(0, index);
        }
        wire.run_until(10_000_000 + turn * 100_000);
        assert_eq!(wire[0].state(), State::Backup, "turn {turn}");
    }
    // Left in peace it takes over as ever.
    wire.stop(1);
    wire.run_until(25_000_000);
    assert_eq!(wire[0].state(), State::Master);
}

#[test]
fn one_that_the_kernel_refuses_is_a_fault_until_it_does_not() {
    let mut wire = Wire::new([Node::new(1, with_vmac(instance(100)))]);
    wire[0].link_refusal = Some(Errno(95));
    wire.start();
    assert_eq!(wire[0].state(), State::Fault);
    let line = "(VI_1): Unable to create VMAC interface vrrp.51 - Operation not supported";
    assert_eq!(wire[0].times_logged(line), 1);
    wire.run_until(30_000_000);
    assert_eq!(wire[0].state(), State::Fault);
    assert_eq!(wire[0].times_logged(line), 1, "once is enough");
    wire[0].link_refusal = None;
    wire.run_until(35_000_001);
    assert_eq!(wire[0].state(), State::Backup);
}

#[test]
fn a_name_that_is_taken_gets_a_number_and_what_may_be_it_is_taken_over() {
    let mut wire = Wire::new([Node::new(1, with_vmac(instance(100)))]);
    wire[0].others.push(other_interface(7, "vrrp.51", true));
    wire.start();
    assert_eq!(asked(&wire), ["vrrp1.51"]);

    let mut wire = Wire::new([Node::new(1, with_vmac(instance(100)))]);
    wire[0].others.push(macvlan(7, "vrrp3.51", BASE, MAC));
    wire.start();
    assert_eq!(asked(&wire), ["vrrp3.51"]);
    assert!(wire[0].logged("(VI_1) Found matching interface vrrp3.51"));
    wire.run_until(MASTER_AT);
    assert_eq!(put_on(&wire, VIP.into()), Some(IfIndex(7)));

    // The name that the configuration gives is no other.
    let mut wire = Wire::new([Node::new(1, named("own0"))]);
    wire[0].others.push(other_interface(7, "own0", true));
    wire.start();
    assert_eq!(asked(&wire), ["vrrp.51"]);
}

#[test]
fn a_stop_takes_it_away_last() {
    let mut wire = alone(with_vmac(instance(100)));
    wire.run_until(MASTER_AT);
    wire.stop(0);
    let last: Vec<_> = wire[0].operations.iter().rev().take(2).collect();
    assert!(matches!(last[0], Operation::RemoveLink { on: LINK, .. }));
    assert!(matches!(last[1], Operation::RemoveAddress { on: LINK, .. }));
    assert!(wire[0].stopped && wire[0].logged("(VI_1) Success removing VMAC interface vrrp.51"));
    let last = wire[0].sent.last().map(|sent| (sent.via, sent.priority));
    assert_eq!(last, Some((LINK, 0)));
}

#[test]
fn a_reload_moves_the_addresses_and_the_master_stays_master() {
    let mut wire = alone(instance(100));
    wire.run_until(10_000_000);
    assert_eq!(put_on(&wire, VIP.into()), Some(BASE));
    let told = wire[0].told.clone();
    let steps = [
        (with_vmac(instance(100)), Some("vrrp.51")),
        (named("own0"), Some("own0")),
        (with_vmac(instance(100)), Some("vrrp.51")),
        (instance(100), None),
    ];
    for (step, name) in steps {
        wire.reload(0, config([step]));
        let now = wire.now.as_us();
        wire.run_until(now + 1_000_000);
        let there: Vec<_> = wire[0].others.iter().map(|it| it.name.clone()).collect();
        assert_eq!(there, Vec::from_iter(name.map(str::to_owned)));
        let on = name.map_or(BASE, |name| wire[0].link(name).expect("made").index);
        assert_eq!(put_on(&wire, VIP.into()), Some(on));
        assert_eq!(wire[0].sent.last().map(|sent| sent.via), Some(on));
        assert_eq!(wire[0].announcements.last().map(|it| it.on), Some(on));
    }
    assert_eq!(wire[0].told, told);
    assert!(wire[0].sent.iter().all(|sent| sent.priority == 100));
}

/// The kernel changes the interface that is there: what is on it stays on.
#[test]
fn another_group_leaves_it_where_it_is() {
    let mut wire = alone(with_vmac(instance(100)));
    wire.run_until(10_000_000);
    let before = wire[0].operations.len();
    let mut other = with_vmac(instance(100));
    other.vmac = Some(Box::new(Vmac {
        group: Some(3),
        ..Vmac::default()
    }));
    wire.reload(0, config([other]));
    wire.run_until(11_000_000);
    let after = &wire[0].operations[before..];
    let is_told = |it: &Operation| matches!(it, Operation::AddLink(link) if link.group == 3);
    assert!(after.iter().any(is_told));
    let takes = |it: &Operation| matches!(it, Operation::RemoveAddress { .. });
    assert!(!after.iter().any(takes), "{after:?}");
    assert_eq!(wire[0].listening, [LINK]);
    wire.run_until(20_000_000);
    let times = wire[0].operations[before..].iter().filter(|it| is_told(it));
    assert_eq!(times.count(), 1);
}

#[test]
fn it_goes_when_the_interface_below_it_gets_another_name() {
    let mut wire = alone(with_vmac(instance(100)));
    wire.run_until(10_000_000);
    wire.change_interface(0, |state| state.name = "renamed0".into());
    assert_eq!(wire[0].state(), State::Fault);
    assert!(wire[0].link("vrrp.51").is_none());
    wire.change_interface(0, |state| state.name = "eth0".into());
    assert!(wire[0].link("vrrp.51").is_some());
    wire.run_until(20_000_000);
    assert_eq!(wire[0].state(), State::Master);
}

#[test]
fn another_vrid_is_another_virtual_router() {
    let mut wire = alone(with_vmac(instance(100)));
    wire.run_until(10_000_000);
    let mut other = with_vmac(instance(100));
    other.vrid = Vrid::new(52).expect("not 0");
    wire.reload(0, config([other]));
    assert!(wire[0].link("vrrp.51").is_none() && wire[0].link("vrrp.52").is_some());
    let last = wire[0].sent.last().map(|sent| (sent.via, sent.priority));
    assert_eq!(last, Some((LINK, 0)));
    assert_eq!(wire[0].state(), State::Backup);
}

#[test]
fn it_comes_with_the_interface_below_it() {
    let mut wire = Wire::new([Node::new(1, with_vmac(instance(100)))]);
    let base = wire[0].interface.clone();
    wire[0].interface.name = "other0".into();
    wire.start();
    assert_eq!((wire[0].state(), asked(&wire).len()), (State::Fault, 0));
    wire[0].interface = base.clone();
    wire.report(0, &base);
    assert_eq!(asked(&wire), ["vrrp.51"]);
    assert_eq!(wire[0].state(), State::Backup);
}

#[test]
fn which_address_is_on_which_link() {
    let at = |address: &str, device: &str, use_vmac| VirtualAddress {
        interface: device.into(),
        use_vmac,
        ..vip(address.parse::<IpAddr>().expect("an address"))
    };
    let addresses = vec![
        at("10.0.0.101", "eth0", true),
        at("10.1.0.1", "eth1", false),
        at("10.1.0.2", "eth1", true),
        at("2001:db8::1", "eth0", false),
        at("2001:db8::2", "eth0", true),
    ];
    let plain = Instance {
        excluded_addresses: addresses,
        ..instance(100)
    };
    // The interface of each of them, in this order, after the VIP.
    type Case = (fn(Instance) -> Instance, [&'static str; 6]);
    let cases: [Case; 4] = [
        (
            |it| it,
            ["eth0", "vrrp.51", "eth1", "vrrp1.51", "eth0", "vrrp6.51"],
        ),
        (
            with_vmac,
            ["vrrp.51", "vrrp.51", "eth1", "vrrp1.51", "eth0", "vrrp6.51"],
        ),
        (
            |it| Instance {
                vmac_addresses: true,
                ..it
            },
            [
                "eth0", "vrrp.51", "vrrp1.51", "vrrp1.51", "vrrp6.51", "vrrp6.51",
            ],
        ),
        (
            |it| Instance {
                vmac_addresses: true,
                ..with_vmac(it)
            },
            [
                "vrrp.51", "vrrp.51", "vrrp1.51", "vrrp1.51", "vrrp6.51", "vrrp6.51",
            ],
        ),
    ];
    for (change, expected) in cases {
        let instance = change(plain.clone());
        let vips: Vec<IpAddr> = instance.all_addresses().map(|vip| vip.address).collect();
        let mut wire = Wire::new([Node::new(1, instance)]);
        wire[0].others.push(other_interface(3, "eth1", true));
        wire.start();
        wire.run_until(MASTER_AT);
        let names: Vec<String> = vips
            .iter()
            .map(|address| {
                let on = put_on(&wire, *address).expect("put on");
                wire[0].engine.interface_at(on).expect("there").name.clone()
            })
            .collect();
        assert_eq!(names, expected);
    }
}

#[test]
fn hardware_addresses_of_the_configuration() {
    let with = |address| Instance {
        vmac: Some(Box::new(Vmac {
            hardware_address: Some(address),
            ..Vmac::default()
        })),
        ..instance(100)
    };
    for (address, mac) in [
        (
            HardwareAddress::Whole([2, 0, 0, 0, 0, 9]),
            [2, 0, 0, 0, 0, 9],
        ),
        (
            HardwareAddress::BeforeVrid([2, 0, 0, 0, 7]),
            [2, 0, 0, 0, 7, 51],
        ),
    ] {
        let wire = alone(with(address));
        assert_eq!(
            wire[0].link("vrrp.51").map(|it| it.mac),
            Some(MacAddress(mac))
        );
    }
}

#[test]
fn instances_with_the_same_mac_on_one_interface_share_it() {
    let second = Instance {
        name: "VI_2".into(),
        virtual_addresses: vec![vip(Ipv4Addr::new(10, 0, 0, 102))],
        unicast_peers: vec![IpAddr::from([10, 0, 0, 9]).into()],
        vmac_transmit_on_base: true,
        ..with_vmac(instance(100))
    };
    let both: Config = config([with_vmac(instance(100)), second]);
    let mut wire = Wire::new([Node::with(1, both)]);
    wire.start();
    wire.run_until(MASTER_AT);
    assert_eq!(asked(&wire), ["vrrp.51"]);
    let second = IpAddr::from([10, 0, 0, 102]);
    assert_eq!(
        [put_on(&wire, VIP.into()), put_on(&wire, second)],
        [Some(LINK); 2]
    );
}
