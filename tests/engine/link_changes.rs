//! When a change of a link counts: what is polled, what is waited with, and what is
//! static and makes instances wait for it (specification C.4, D.6).

use std::net::Ipv4Addr;

use keepalived_rs::config::model::{
    Config, Instance, InterfaceDelay, LinkbeatInterface, Route, TrackGroup, VirtualAddress,
};
use keepalived_rs::ids::IfIndex;
use keepalived_rs::time::Interval;
use keepalived_rs::vrrp::action::Operation;
use keepalived_rs::vrrp::event::Event;
use keepalived_rs::vrrp::state_machine::State;

use crate::world::{Node, VIP, Wire, config, instance, ms, other_interface};

fn delayed(instance: Instance, down: Interval, up: Interval) -> Config {
    Config {
        interface_delays: vec![InterfaceDelay {
            interface: "eth0".into(),
            down,
            up,
        }],
        ..config([instance])
    }
}

/// A node that is MASTER after ten seconds.
fn master(config: Config) -> Wire {
    let mut wire = Wire::new([Node::with(1, config)]);
    wire.start();
    wire.run_until(10_000_000);
    assert_eq!(wire[0].state(), State::Master);
    wire
}

fn set_link(wire: &mut Wire, up: bool) {
    wire.change_interface(0, |interface| interface.up = up);
}

#[test]
fn a_link_that_is_down_for_long_enough_means_fault() {
    let mut wire = master(delayed(instance(150), ms(1_500), ms(700)));
    set_link(&mut wire, false);
    wire.run_until(11_499_999);
    assert_eq!(wire[0].state(), State::Master);
    assert!(wire[0].logged("eth0: Adding flags change from up to down delay by 1500000"));
    wire.run_until(11_500_000);
    assert_eq!(wire[0].state(), State::Fault);
    assert!(wire[0].logged("Netlink reports eth0 down"));
    assert!(wire[0].vips.is_empty());
    set_link(&mut wire, true);
    wire.run_until(12_199_999);
    assert_eq!(wire[0].state(), State::Fault);
    wire.run_until(12_200_000);
    assert_eq!(wire[0].state(), State::Backup);
}

/// A virtual MAC loses its carrier with the interface below it, and is held as long.
#[test]
fn a_virtual_mac_waits_with_the_link_below_it() {
    let with_vmac = Instance {
        vmac: Some(Box::default()),
        ..instance(150)
    };
    let mut wire = master(delayed(with_vmac, ms(1_500), ms(700)));
    let link = wire[0].link("vrrp.51").expect("made").index;
    let flap = |wire: &mut Wire, up: bool| {
        set_link(wire, up);
        wire.change_other(0, link, |state| state.up = up);
    };
    flap(&mut wire, false);
    wire.run_until(11_400_000);
    assert_eq!(wire[0].state(), State::Master);
    flap(&mut wire, true);
    wire.run_until(13_000_000);
    assert_eq!(wire[0].state(), State::Master);
    flap(&mut wire, false);
    wire.run_until(14_700_000);
    assert_eq!(wire[0].state(), State::Fault);
}

#[test]
fn a_link_that_comes_back_in_time_changes_nothing_but_is_announced_anew() {
    let mut wire = master(delayed(instance(150), ms(1_500), Interval::ZERO));
    let (announced, told) = (wire[0].announced.len(), wire[0].told.len());
    for round in 0..3 {
        set_link(&mut wire, false);
        wire.run_until(11_000_000 + round * 2_000_000);
        set_link(&mut wire, true);
        wire.run_until(12_000_000 + round * 2_000_000);
    }
    assert_eq!(wire[0].times_logged("Delay timer for eth0 cancelled"), 3);
    wire.run_until(20_000_000);
    assert_eq!((wire[0].state(), wire[0].told.len()), (State::Master, told));
    assert!(wire[0].vips.contains(&VIP.into()));
    // Switches forget what was behind a port.
    assert!(wire[0].announced.len() > announced);
    assert!(!wire[0].logged("Netlink reports eth0 down"));
}

/// While its own link is down it hears nobody: the delay must not make it MASTER.
#[test]
fn a_backup_that_hears_nothing_for_its_link_is_down_does_not_take_over() {
    let first = Node::new(1, instance(200));
    let long = Interval::from_secs(60);
    let second = Node::with(2, delayed(instance(100), long, Interval::ZERO));
    let mut wire = Wire::new([first, second]);
    wire.start();
    wire.run_until(10_000_000);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
    wire.change_interface(1, |interface| interface.up = false);
    wire.cut = true;
    wire.run_until(30_000_000);
    assert_eq!(wire.states(), [State::Master, State::Fault]);
    assert!(!wire[1].logged("Entering MASTER STATE"));
    wire.cut = false;
    wire.change_interface(1, |interface| interface.up = true);
    wire.run_until(40_000_000);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
}

#[test]
fn the_disappearance_of_an_interface_is_not_waited_with() {
    let mut wire = master(delayed(instance(150), ms(1_500), ms(1_500)));
    wire.remove_interface(0);
    assert_eq!(wire[0].state(), State::Fault);
    wire.change_interface(0, |interface| interface.index = IfIndex(9));
    assert_eq!(wire[0].state(), State::Backup);
}

#[test]
fn a_reload_without_delays_lets_what_waits_count() {
    let mut wire = master(delayed(instance(150), ms(1_500), ms(1_500)));
    set_link(&mut wire, false);
    wire.run_until(10_100_000);
    assert_eq!(wire[0].state(), State::Master);
    wire.reload(0, config([instance(150)]));
    assert_eq!(wire[0].state(), State::Fault);
    // Its timer is gone with it.
    set_link(&mut wire, true);
    wire.run_until(30_000_000);
    assert_eq!(wire[0].times_logged("Netlink reports eth0 down"), 1);
    assert_eq!(wire[0].state(), State::Master);
}

fn polled(instance: Instance) -> Config {
    Config {
        linkbeat_interfaces: vec![LinkbeatInterface {
            interface: "eth0".into(),
            method: None,
        }],
        ..config([instance])
    }
}

fn linkbeat(wire: &mut Wire, up: bool) {
    let interface = "eth0";
    wire.feed(0, Event::Linkbeat { interface, up });
}

#[test]
fn polling_finds_what_the_kernel_does_not_tell() {
    let mut wire = master(polled(instance(150)));
    linkbeat(&mut wire, true);
    assert_eq!(wire[0].state(), State::Master);
    assert!(!wire[0].logged("Linkbeat"));
    linkbeat(&mut wire, false);
    assert_eq!(wire[0].state(), State::Fault);
    assert!(wire[0].logged("Linkbeat reports eth0 down"));
    assert!(!wire[0].logged("Netlink reports"));
    // Both have to agree that it is up.
    set_link(&mut wire, false);
    linkbeat(&mut wire, true);
    assert_eq!(wire[0].state(), State::Fault);
    set_link(&mut wire, true);
    assert_eq!(wire[0].state(), State::Backup);
    assert!(wire[0].logged("Linkbeat reports eth0 up"));
}

#[test]
fn an_interface_that_is_not_polled_any_more_is_what_the_kernel_says() {
    let mut wire = master(polled(instance(150)));
    linkbeat(&mut wire, false);
    assert_eq!(wire[0].state(), State::Fault);
    wire.reload(0, config([instance(150)]));
    assert_eq!(wire[0].state(), State::Backup);
}

#[test]
fn linkbeat_use_polling_polls_the_interface_of_the_instance() {
    let mut own = instance(150);
    own.linkbeat_polling = true;
    let mut other = instance(100);
    other.interface = "eth5".into();
    other.name = "VI_2".into();
    let mut vip = VirtualAddress::new(VIP.into(), 32, "eth7");
    let mut both = config([own.clone(), other.clone()]);
    let names = |config: &Config| -> Vec<String> {
        let polled = config.polled_interfaces();
        polled.into_iter().map(|line| line.interface).collect()
    };
    assert_eq!(names(&both), ["eth0"]);
    // Outside of them it is for all that counts.
    both.globals.linkbeat_polling = true;
    vip.no_track = true;
    other.excluded_addresses.push(vip);
    other.linkbeat_polling = true;
    both.instances = config([own, other]).instances;
    assert_eq!(names(&both), ["eth0", "eth5", "eth7"]);
}

fn with_group(mut config: Config) -> Config {
    config.track_groups.push(TrackGroup {
        name: "G".into(),
        instances: vec![config.instances[0].name.clone()],
    });
    let mut address = VirtualAddress::new(Ipv4Addr::new(10, 9, 0, 1).into(), 24, "eth1");
    address.track_group = Some("G".into());
    config.static_addresses.push(address);
    config
}

#[test]
fn a_track_group_makes_instances_wait_for_the_interface_of_what_is_static() {
    let mut node = Node::with(1, with_group(config([instance(150)])));
    node.others.push(other_interface(3, "eth1", false));
    let mut wire = Wire::new([node]);
    wire.start();
    assert_eq!(wire[0].state(), State::Fault);
    wire.report(0, &other_interface(3, "eth1", true));
    wire.run_until(10_000_000);
    assert_eq!(wire[0].state(), State::Master);
    wire.report(0, &other_interface(3, "eth1", false));
    assert_eq!(wire[0].state(), State::Fault);
    let why = "interface eth1 of a static address, route or rule is down or missing";
    assert!(wire[0].logged(why));
    // A group that is taken away makes nobody wait.
    wire.reload(0, config([instance(150)]));
    assert_eq!(wire[0].state(), State::Backup);
}

#[test]
fn what_is_static_and_refused_is_missing_until_it_is_in() {
    let mut both = config([instance(150)]);
    let mut route = Route::new(keepalived_rs::config::model::Family::Inet.everything());
    route.interface = Some("eth1".into());
    route.track_group = Some("G".into());
    both.static_routes.push(route.clone());
    both.track_groups.push(TrackGroup {
        name: "G".into(),
        instances: vec!["VI_1".into()],
    });
    let mut node = Node::with(1, both.clone());
    node.others.push(other_interface(3, "eth1", true));
    let mut wire = Wire::new([node]);
    wire.refuses.push(Operation::AddRoute(Box::new(route)));
    wire.start();
    wire.run_until(1_000_000);
    assert_eq!(wire[0].state(), State::Fault);
    assert!(wire[0].logged("is not in the kernel"));
    let told = wire[0].told.len();
    wire.reload(0, both);
    wire.run_until(1_100_000);
    assert_eq!(wire[0].state(), State::Fault);
    assert_eq!(wire[0].told.len(), told, "a reload changes nothing");
    wire.refuses.clear();
    let mut changed = other_interface(3, "eth1", true);
    changed.mtu = 1400;
    wire.report(0, &changed);
    wire.run_until(2_000_000);
    assert_eq!(wire[0].state(), State::Backup);
    assert!(wire[0].logged("The kernel has route"));
}

/// The kernel knows nothing of track groups: what is static is not touched for one.
#[test]
fn a_reload_that_adds_a_track_group_leaves_what_is_static_alone() {
    let mut both = config([instance(150)]);
    let mut route = Route::new(keepalived_rs::config::model::Family::Inet.everything());
    route.interface = Some("eth0".into());
    both.static_routes.push(route);
    let mut wire = Wire::new([Node::with(1, both.clone())]);
    wire.start();
    wire.run_until(1_000_000);
    let asked = wire[0].operations.len();
    both.static_routes[0].track_group = Some("G".into());
    both.track_groups.push(TrackGroup {
        name: "G".into(),
        instances: vec!["VI_1".into()],
    });
    wire.reload(0, both);
    wire.run_until(2_000_000);
    assert_eq!(wire[0].operations[asked..], []);
}

/// The setting follows the interface, whatever the instance does.
#[test]
fn promote_secondaries_is_asked_for_where_the_interface_is() {
    let mut promoting = instance(150);
    promoting.promote_secondaries = true;
    let mut wire = Wire::new([Node::new(1, promoting.clone())]);
    wire.start();
    let on = wire[0].interface.index;
    assert!(wire[0].operations.contains(&Operation::Promote { on }));
    wire.remove_interface(0);
    wire.change_interface(0, |interface| interface.index = IfIndex(9));
    let new = Operation::Promote { on: IfIndex(9) };
    assert!(wire[0].operations.contains(&new));
    promoting.promote_secondaries = false;
    wire.reload(0, config([promoting.clone()]));
    let off = Operation::Unpromote { on: IfIndex(9) };
    assert_eq!(wire[0].operations.last(), Some(&off));
    promoting.promote_secondaries = true;
    wire.reload(0, config([promoting]));
    wire.stop(0);
    assert_eq!(wire[0].operations.last(), Some(&off));
}
