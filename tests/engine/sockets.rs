//! Receive sockets and who is behind them: groups that are joined and left, a VRID
//! that nobody has, and one that two instances have.

use std::net::{IpAddr, Ipv4Addr};

use keepalived_rs::config::model::{Config, Instance};
use keepalived_rs::ids::Vrid;
use keepalived_rs::vrrp::state_machine::State;

use crate::world::{Advert3, Node, Wire, config, instance, instance3, source, vip};

fn in_group(name: &str, vrid: u8, group: [u8; 4]) -> Instance {
    let mut instance = instance(150);
    instance.name = name.into();
    instance.vrid = Vrid::new(vrid).expect("a VRID");
    instance.multicast_group = Ipv4Addr::from(group).into();
    instance.virtual_addresses = vec![vip(Ipv4Addr::new(10, 0, 0, vrid))];
    instance
}

#[test]
fn a_group_that_no_instance_uses_any_more_is_left() {
    let first = in_group("A", 51, [224, 0, 0, 18]);
    let second = in_group("B", 52, [224, 0, 0, 99]);
    let groups = |all: &[[u8; 4]]| -> Vec<Option<IpAddr>> {
        all.iter().map(|group| Some(IpAddr::from(*group))).collect()
    };
    let mut wire = Wire::new([Node::with(1, config([first.clone(), second.clone()]))]);
    wire.start();
    assert_eq!(wire[0].groups, groups(&[[224, 0, 0, 18], [224, 0, 0, 99]]));
    // The socket stays, because the other instance is behind it.
    wire.reload(0, config([first.clone()]));
    assert_eq!(wire[0].groups, groups(&[[224, 0, 0, 18]]));
    assert_eq!(wire[0].listening.len(), 2, "asked for twice, never closed");
    let moved = in_group("A", 51, [224, 0, 0, 77]);
    wire.reload(0, config([moved]));
    assert_eq!(wire[0].groups, groups(&[[224, 0, 0, 77]]));
    wire.reload(0, config([]));
    assert!(wire[0].listening.is_empty());
}

#[test]
fn a_reload_to_unicast_leaves_the_group() {
    let mut unicast = instance(150);
    let mut wire = Wire::new([Node::new(1, unicast.clone())]);
    wire.start();
    unicast.unicast_peers = vec![IpAddr::from(source(2)).into()];
    wire.reload(0, config([unicast]));
    assert_eq!(wire[0].groups, [None]);
}

fn that_logs_unknown(instance: Instance) -> Config {
    let mut config = config([instance]);
    config.globals.log_unknown_vrids = true;
    config
}

#[test]
fn unknown_vrids_are_counted_and_with_the_word_logged_once_a_minute_each() {
    let stranger = |vrid| Advert3 {
        vrid,
        ..Advert3::new(source(2), 100)
    };
    for logs in [false, true] {
        let mut config = that_logs_unknown(instance3(150));
        config.globals.log_unknown_vrids = logs;
        let mut wire = Wire::new([Node::with(1, config)]);
        wire.start();
        for _ in 0..100 {
            for vrid in [60, 61] {
                wire.advert3(0, &stranger(vrid));
            }
        }
        assert_eq!(wire[0].ignored(), 200);
        let line = "Unknown VRID(60) received on interface(eth0). ignoring...";
        assert_eq!(wire[0].times_logged(line), usize::from(logs));
        assert_eq!(wire[0].times_logged("Unknown VRID"), 2 * usize::from(logs));
        wire.run_until(60_000_000);
        wire.advert3(0, &stranger(60));
        assert_eq!(wire[0].times_logged(line), 2 * usize::from(logs));
    }
}

#[test]
fn a_known_vrid_to_another_group_is_not_called_unknown() {
    let mut wire = Wire::new([Node::with(1, that_logs_unknown(instance3(150)))]);
    wire.start();
    let to = Ipv4Addr::new(224, 0, 0, 99).into();
    wire.advert3(
        0,
        &Advert3 {
            to,
            ..Advert3::new(source(2), 200)
        },
    );
    assert_eq!(wire[0].ignored(), 1);
    assert_eq!(wire[0].times_logged("Unknown VRID"), 0);
}

/// C keepalived allows this, too.
#[test]
fn one_vrid_twice_on_an_interface_with_different_peers() {
    let mut first = instance3(100);
    first.unicast_peers = vec![IpAddr::from(source(2)).into()];
    let mut second = instance3(100);
    second.name = "VI_2".into();
    second.unicast_peers = vec![IpAddr::from(source(3)).into()];
    second.virtual_addresses = vec![vip(Ipv4Addr::new(10, 0, 0, 101))];
    let mut wire = Wire::new([Node::with(1, config([first, second]))]);
    wire.start();
    for _ in 0..10 {
        wire.run_until(wire.now.as_us() + 1_000_000);
        let to = source(1).into();
        let (from, vip) = (source(3), Ipv4Addr::new(10, 0, 0, 101).into());
        wire.advert3(
            0,
            &Advert3 {
                to,
                addresses: vec![vip],
                ..Advert3::new(from, 200)
            },
        );
    }
    let seen: Vec<_> = wire[0]
        .engine
        .instances()
        .map(|it| (it.state, it.statistics.advert_rcvd))
        .collect();
    assert_eq!(seen, [(State::Master, 0), (State::Backup, 10)]);
    let peers: Vec<_> = wire[0].sent.iter().map(|sent| sent.destination).collect();
    assert!(!peers.is_empty() && peers.iter().all(|peer| *peer == source(2)));
    assert_eq!(wire[0].ignored(), 0);
}
