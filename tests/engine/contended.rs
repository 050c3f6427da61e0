//! Who else has the VRID, and whether somebody else is MASTER, too: what is
//! known, what is said of it, and how often.

use std::net::IpAddr;

use keepalived_rs::config::model::{
    Authentication, Instance, Password, TrackInterface, UnicastPeer,
};
use keepalived_rs::ids::{IfIndex, Priority};
use keepalived_rs::time::Instant;
use keepalived_rs::vrrp::receive::Reject;
use keepalived_rs::vrrp::snapshot::{
    Cause, Claims, Contended, Contention, Contributor, FaultReason, InstanceSnapshot,
};
use keepalived_rs::vrrp::state_machine::State;

use crate::world::{self, Advert3, Node, Wire, instance, instance3, ms, other_interface, source};

fn seen(wire: &Wire, node: usize) -> InstanceSnapshot {
    let snapshot = wire[node].engine.snapshot(wire.now);
    snapshot.instances.into_iter().next().expect("an instance")
}

fn with_password(priority: u8, password: &[u8; 8]) -> Instance {
    Instance {
        authentication: Some(Authentication::Password(Password(*password))),
        ..instance(priority)
    }
}

/// A node that is alone, MASTER since `DOWN_150`, ten seconds after the start.
fn master(config: Instance) -> Wire {
    let mut wire = Wire::new([Node::new(1, config)]);
    wire.start();
    wire.run_until(10_000_000);
    assert_eq!(wire[0].state(), State::Master);
    wire
}

/// One advert a second for some seconds, the first at the next second.
fn each_second(wire: &mut Wire, count: u64, datagram: &[u8]) {
    let begin = wire.now.as_us();
    for number in 0..count {
        wire.run_until(begin + number * 1_000_000);
        wire.inject(0, datagram);
    }
}

const CONTENDED: &str = "(VI_1) contended: 10.0.0.2 is MASTER as well";
const NOT_CONTENDED: &str = "(VI_1) not contended any more";

#[test]
fn different_passwords_make_two_masters_that_say_so_once() {
    let nodes = [
        Node::new(1, with_password(150, b"1111\0\0\0\0")),
        Node::new(2, with_password(100, b"2222\0\0\0\0")),
    ];
    let mut wire = Wire::new(nodes);
    wire.start();
    wire.run_until(60_000_000);
    assert_eq!(wire.states(), [State::Master, State::Master]);
    let line = "(VI_1) contended: 10.0.0.2 is MASTER as well (priority 100), its adverts are \
                refused (wrong password) - use the same auth_pass on both nodes";
    assert_eq!(wire[0].times_logged(line), 1, "{:?}", wire[0].log);
    assert_eq!(wire[0].times_logged("contended"), 1);
    let contended = seen(&wire, 1).contended.expect("contended");
    assert_eq!(contended.peer, IpAddr::from(source(1)));
    assert_eq!(contended.priority, Priority(150));
    assert_eq!(contended.reason, Contention::Refused(Reject::Password));

    // The other one resigns, which counts although it is refused.
    wire.stop(1);
    wire.run_until(62_000_000);
    assert!(seen(&wire, 0).contended.is_none());
    assert_eq!(wire[0].times_logged(NOT_CONTENDED), 1);
}

/// A node with C keepalived puts its next advert off with each of ours that it
/// refuses, so that it is silent most of the time.
#[test]
fn two_refused_adverts_in_a_minute_are_enough_where_the_other_one_cannot_accept_ours() {
    let mut wire = master(with_password(150, b"1111\0\0\0\0"));
    // Without a password.
    let stranger = world::advert(source(2), 100);
    wire.inject(0, &stranger);
    wire.run_until(60_000_000);
    assert!(seen(&wire, 0).contended.is_none());
    wire.inject(0, &stranger);
    assert_eq!(wire[0].times_logged(CONTENDED), 1, "{:?}", wire[0].log);
    let since = Instant::from_us(10_000_000);
    assert_eq!(seen(&wire, 0).contended.map(|it| it.since), Some(since));
    wire.run_until(119_000_000);
    assert!(seen(&wire, 0).contended.is_some());
    wire.run_until(122_000_000);
    assert!(seen(&wire, 0).contended.is_none());
    assert_eq!(wire[0].times_logged(NOT_CONTENDED), 1, "{:?}", wire[0].log);
    // Once more later begins anew.
    wire.inject(0, &stranger);
    wire.run_until(200_000_000);
    assert!(seen(&wire, 0).contended.is_none());
}

#[test]
fn who_was_master_before_us_counts_too_and_who_resigned_does_not() {
    for resigns in [false, true] {
        let mut wire = Wire::new([Node::new(1, with_password(150, b"1111\0\0\0\0"))]);
        wire.start();
        each_second(&mut wire, 3, &world::advert(source(2), 200));
        if resigns {
            wire.inject(0, &world::advert(source(2), 0));
        }
        wire.run_until(10_000_000);
        assert_eq!(wire[0].state(), State::Master);
        assert_eq!(seen(&wire, 0).contended.is_some(), !resigns);
        wire.inject(0, &world::advert(source(2), 0));
        wire.run_until(12_000_000);
        assert!(seen(&wire, 0).contended.is_none());
        assert_eq!(wire[0].times_logged(NOT_CONTENDED), usize::from(!resigns));
    }
}

/// One that would accept our adverts must go on for a while.
#[test]
fn a_lower_master_that_does_not_give_way_does_not_hear_us() {
    let mut wire = master(instance(150));
    each_second(&mut wire, 2, &world::advert(source(2), 100));
    wire.run_until(11_999_999);
    assert!(seen(&wire, 0).contended.is_none());
    wire.run_until(12_000_000);
    each_second(&mut wire, 3, &world::advert(source(2), 100));
    let line = format!(
        "{CONTENDED} (priority 100), it does not give way to our adverts - \
         it does not hear our adverts: let protocol 112 through its firewall and the switch, \
         and name our address among its unicast_peer if it has any"
    );
    assert_eq!(wire[0].times_logged(&line), 1, "{:?}", wire[0].log);
    let expected = Contended {
        since: Instant::from_us(10_000_000),
        peer: source(2).into(),
        priority: Priority(100),
        reason: Contention::Unheard,
    };
    assert_eq!(seen(&wire, 0).contended, Some(expected));
    // Silent for its master-down time.
    let last = wire.now.as_us();
    wire.run_until(last + 3_900_000);
    assert!(seen(&wire, 0).contended.is_some());
    wire.run_until(last + 5_000_000);
    assert!(seen(&wire, 0).contended.is_none());
    assert_eq!(wire[0].times_logged(NOT_CONTENDED), 1);
    assert_eq!(wire[0].state(), State::Master);
}

/// C keepalived before 2.3.3 refuses adverts with other VIPs. Two adverts may be on
/// their way while it gives way, as any other master does.
#[test]
fn a_lower_master_with_other_vips_may_refuse_ours() {
    let mut other = Advert3::new(source(2), 100);
    other.addresses = vec![IpAddr::from([10, 0, 0, 77])];
    let mut wire = master(instance3(150));
    let mut hear_another = || {
        wire.advert3(0, &other);
        let now = wire.now.as_us();
        wire.run_until(now + 1_000_000);
        (seen(&wire, 0).contended.is_some(), wire[0].log.clone())
    };
    assert!(!hear_another().0);
    assert!(!hear_another().0);
    let (is_contended, log) = hear_another();
    assert!(is_contended);
    let line = format!(
        "{CONTENDED} (priority 100), it has other VIPs and does not give way to our adverts - \
         use the same virtual_ipaddress on both nodes, since keepalived before 2.3.3 refuses \
         any other"
    );
    let told = log.iter().filter(|told| told.contains(&line));
    assert_eq!(told.count(), 1, "{log:?}");
}

#[test]
fn a_lower_master_at_an_equal_priority_or_with_our_address_is_told_apart() {
    let cases = [
        (source(0), 150, Contention::Unheard),
        (source(1), 150, Contention::SameAddress),
        (source(1), 100, Contention::SameAddress),
    ];
    for (from, priority, reason) in cases {
        let mut wire = master(instance(150));
        each_second(&mut wire, 4, &world::advert(from, priority));
        assert_eq!(wire[0].state(), State::Master);
        let contended = seen(&wire, 0).contended.expect("contended");
        assert_eq!((contended.peer, contended.reason), (from.into(), reason));
    }
}

#[test]
fn an_ordinary_preemption_and_a_common_start_are_not_contended() {
    let nodes = [
        Node::new(1, instance(150)),
        Node::new(2, instance(150)),
        Node::new(3, instance(100)),
    ];
    let mut wire = Wire::new(nodes);
    wire.start_node(2);
    wire.run_until(10_000_000);
    assert_eq!(wire[2].state(), State::Master);
    wire.start_node(0);
    wire.start_node(1);
    wire.run_until(20_000_000);
    wire.stop(1);
    wire.run_until(40_000_000);
    assert_eq!(wire[0].state(), State::Master);
    for node in 0..3 {
        assert_eq!(wire[node].times_logged("contended"), 0);
    }
}

/// Both were MASTER while nothing arrived, and one gives way at once.
#[test]
fn a_network_that_heals_is_not_contended() {
    let mut wire = Wire::new([Node::new(1, instance(150)), Node::new(2, instance(100))]);
    wire.start();
    wire.run_until(10_000_000);
    wire.cut = true;
    wire.run_until(20_000_000);
    assert_eq!(wire.states(), [State::Master, State::Master]);
    wire.cut = false;
    wire.run_until(60_000_000);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
    for node in 0..2 {
        assert_eq!(wire[node].times_logged("contended"), 0);
    }
}

#[test]
fn giving_way_ends_it() {
    let mut wire = master(instance(150));
    each_second(&mut wire, 4, &world::advert(source(2), 100));
    assert!(seen(&wire, 0).contended.is_some());
    wire.inject(0, &world::advert(source(2), 200));
    assert_eq!(wire[0].state(), State::Backup);
    assert!(seen(&wire, 0).contended.is_none());
    let line = "after 3.000 s: this node is not MASTER any more";
    assert_eq!(wire[0].times_logged(line), 1, "{:?}", wire[0].log);
}

#[test]
fn a_refused_master_that_is_heard_at_last_is_followed() {
    let mut wire = master(with_password(150, b"1111\0\0\0\0"));
    each_second(&mut wire, 4, &world::advert(source(2), 200));
    assert!(seen(&wire, 0).contended.is_some());
    let mut config = with_password(200, b"1111\0\0\0\0");
    config.name = "other".into();
    let mut other = Wire::new([Node::new(2, config)]);
    other.start();
    other.run_until(5_000_000);
    let good = other[0].sent[0].bytes.clone();
    wire.inject(0, &good);
    assert_eq!(wire[0].state(), State::Backup);
    // It dies soon after: what was refused before it was heard does not count.
    wire.run_until(30_000_000);
    assert_eq!(wire[0].state(), State::Master);
    assert!(seen(&wire, 0).contended.is_none());
}

#[test]
fn a_master_that_is_not_our_peer_cannot_give_way() {
    for (checks, reason) in [
        (false, Contention::NotOurPeer),
        (true, Contention::Refused(Reject::NotAPeer)),
    ] {
        let mut config = instance3(150);
        config.unicast_peers = vec![UnicastPeer::from(IpAddr::from(source(9)))];
        config.check_unicast_source = checks;
        let mut wire = master(config);
        let mut advert = Advert3::new(source(2), 100);
        advert.to = source(1).into();
        each_second(&mut wire, 4, &advert.bytes());
        assert_eq!(seen(&wire, 0).contended.map(|it| it.reason), Some(reason));
        let fix = "name its address among our unicast_peer";
        assert_eq!(wire[0].times_logged(fix), 1, "{:?}", wire[0].log);
    }
}

#[test]
fn an_owner_that_ignores_another_one_says_so() {
    let mut config = instance(255);
    config.owner_ignore_adverts = true;
    let mut wire = master(config);
    each_second(&mut wire, 4, &world::advert(source(2), 255));
    let reason = seen(&wire, 0).contended.map(|it| it.reason);
    assert_eq!(reason, Some(Contention::IgnoredByOwner));
}

/// A few damaged packets, copies and strays are no other master.
#[test]
fn strays_are_not_contended() {
    let mut wire = master(instance(150));
    let mut damaged = world::advert(source(2), 100);
    damaged[26] ^= 1;
    let mut routed = world::advert(source(3), 100);
    routed[8] = 254;
    world::fix_checksum(&mut routed);
    for second in [11, 13, 20, 30] {
        wire.run_until(second * 1_000_000);
        wire.inject(0, &damaged);
        wire.inject(0, &routed);
        wire.inject(0, &world::advert(source(4), 0));
    }
    assert!(seen(&wire, 0).contended.is_none());
    each_second(&mut wire, 4, &routed);
    let reason = Contention::Refused(Reject::Ttl(254));
    assert_eq!(seen(&wire, 0).contended.map(|it| it.reason), Some(reason));
}

#[test]
fn the_table_has_everybody_and_what_they_last_said() {
    let mut config = instance3(100);
    config.unicast_peers = vec![
        UnicastPeer::from(IpAddr::from(source(2))),
        UnicastPeer::from(IpAddr::from(source(9))),
    ];
    let mut wire = Wire::new([Node::new(1, config)]);
    wire.start();
    let mut advert = Advert3::new(source(2), 200);
    advert.to = source(1).into();
    advert.interval_cs = 40;
    advert.addresses = vec![IpAddr::from([10, 0, 0, 77])];
    wire.run_until(1_000_000);
    wire.advert3(0, &advert);
    wire.run_until(2_000_000);
    wire.inject(0, &world::advert(source(3), 50));
    let peers = seen(&wire, 0).peers;
    let addresses: Vec<IpAddr> = peers.iter().map(|peer| peer.address).collect();
    assert_eq!(
        addresses,
        [2, 9, 3].map(|number| IpAddr::from(source(number)))
    );
    let claims = Claims {
        priority: Priority(200),
        advert_interval: ms(400),
        version: 3,
    };
    assert_eq!(peers[0].claims, Some(claims));
    assert_eq!((peers[0].accepted, peers[0].rejected), (1, 0));
    assert_eq!(peers[0].last_accepted, Some(Instant::from_us(1_000_000)));
    assert!(peers[0].configured && peers[0].addresses_differ);
    assert!(peers[1].configured && peers[1].last_seen.is_none());
    assert!(!peers[2].configured);
    assert_eq!(peers[2].last_seen, Some(Instant::from_us(2_000_000)));
    assert_eq!((peers[2].accepted, peers[2].rejected), (0, 1));
    assert!(peers[2].last_reject.is_some());
    // A link that goes and comes loses nothing of it.
    wire.change_interface(0, |interface| interface.up = false);
    wire.change_interface(0, |interface| interface.up = true);
    assert_eq!(seen(&wire, 0).peers, peers);
}

/// Refused packets at any rate, across changes of state: a line a minute.
#[test]
fn a_flood_of_refused_packets_costs_a_line_a_minute() {
    let mut wire = master(instance(100));
    let refused = |from| {
        let mut datagram = world::advert(source(from), 200);
        datagram[24] = 1;
        world::fix_checksum(&mut datagram);
        datagram
    };
    let text = "(VI_1) received a 1 auth from 10.0.0.";
    for second in 10..130 {
        wire.run_until(second * 1_000_000);
        for number in 0..100 {
            wire.inject(0, &refused(2 + number % 9));
        }
        // Somebody who can have it change its state all the time.
        let priority = if second % 5 == 0 { 200 } else { 0 };
        wire.inject(0, &world::advert(source(20), priority));
    }
    assert!(wire[0].statistics().become_master > 10);
    assert_eq!(wire[0].statistics().authtype_mismatch, 12_000);
    let lines: Vec<&String> = wire[0].log.iter().filter(|it| it.contains(text)).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(
        lines[0],
        "(VI_1) received a 1 auth from 10.0.0.2, expecting 0!"
    );
    assert!(lines[1].ends_with("expecting 0! (5999 more like it were not logged)"));
    assert!(wire[0].times_logged("contended") <= 4, "{:?}", wire[0].log);
}

/// So do accepted ones that a master answers, until its state changes.
#[test]
fn a_flood_of_lower_adverts_costs_a_line_a_minute() {
    let mut wire = master(instance(150));
    for tick in 0..300 {
        wire.run_until(10_000_000 + tick * 100_000);
        wire.inject(0, &world::advert(source(2), 100));
    }
    assert_eq!(wire[0].times_logged("forcing new election"), 1);
    wire.inject(0, &world::advert(source(3), 200));
    wire.run_until(60_000_000);
    wire.inject(0, &world::advert(source(2), 100));
    assert_eq!(wire[0].times_logged("forcing new election"), 2);
}

#[test]
fn each_state_has_its_cause() {
    let cause = |wire: &Wire| seen(wire, 0).cause.to_string();
    let mut wire = Wire::new([Node::new(1, instance(150))]);
    wire.start();
    assert_eq!(cause(&wire), "started");
    wire.run_until(10_000_000);
    assert_eq!(cause(&wire), "no master heard for 3.414 s");
    wire.inject(0, &world::advert(source(2), 200));
    assert_eq!(cause(&wire), "10.0.0.2 has priority 200");
    wire.run_until(20_000_000);
    assert_eq!(cause(&wire), "master 10.0.0.2 silent for 3.414 s");
    wire.inject(0, &world::advert(source(2), 150));
    assert_eq!(
        cause(&wire),
        "10.0.0.2 has the same priority and a higher address"
    );
    each_second(&mut wire, 6, &world::advert(source(2), 100));
    assert_eq!(cause(&wire), "preempts 10.0.0.2, whose priority is 100");
    wire.inject(0, &world::advert(source(2), 200));
    wire.inject(0, &world::advert(source(2), 0));
    wire.run_until(40_000_000);
    assert_eq!(cause(&wire), "priority 0 from 10.0.0.2");
    wire.change_interface(0, |interface| interface.up = false);
    assert_eq!(cause(&wire), "interface eth0 is down");
    let down = FaultReason::LinkDown("eth0".into());
    assert_eq!(seen(&wire, 0).fault_reasons, [down]);
    wire.change_interface(0, |interface| interface.up = true);
    assert_eq!(cause(&wire), "nothing stands against it any more");
    wire.stop(0);
    assert_eq!(seen(&wire, 0).cause, Cause::Stopped);
}

#[test]
fn each_change_of_state_is_logged_with_what_was_seen_and_counted() {
    let mut config = instance(150);
    config.track_interfaces = vec![TrackInterface {
        interface: "eth9".into(),
        weight: -10,
        reverse: false,
    }];
    let mut wire = Wire::new([Node::new(1, config)]);
    wire.start();
    wire.inject(0, &world::advert(source(2), 200));
    wire.run_until(10_000_000);
    wire.change_interface(0, |interface| interface.up = false);
    wire.change_interface(0, |interface| interface.up = true);
    wire.run_until(20_000_000);
    wire.stop(0);
    let lines: Vec<&String> = wire[0]
        .log
        .iter()
        .filter(|it| it.contains(" -> "))
        .collect();
    let expected = [
        "(VI_1) INIT -> BACKUP: started; no advert heard yet, link eth0 up, \
         0 of 1 tracked interface ok, own priority 140",
        "(VI_1) BACKUP -> MASTER: master 10.0.0.2 silent for 3.453 s; last advert 3.453 s ago \
         from 10.0.0.2 with priority 200, link eth0 up, 0 of 1 tracked interface ok, own priority \
         140",
        "(VI_1) MASTER -> FAULT: interface eth0 is down; last advert 10.000 s ago from 10.0.0.2 \
         with priority 200, link eth0 down, 0 of 1 tracked interface ok, own priority 140",
        "(VI_1) FAULT -> BACKUP: nothing stands against it any more; last advert 10.000 s ago \
         from 10.0.0.2 with priority 200, link eth0 up, 0 of 1 tracked interface ok, own priority \
         140",
        "(VI_1) BACKUP -> MASTER: no master heard for 3.453 s; last advert 13.453 s ago from \
         10.0.0.2 with priority 200, link eth0 up, 0 of 1 tracked interface ok, own priority 140",
        "(VI_1) MASTER -> STOP: stopped; last advert 20.000 s ago from 10.0.0.2 with priority 200, \
         link eth0 up, 0 of 1 tracked interface ok, own priority 140",
    ];
    assert_eq!(lines, expected);
    let it = seen(&wire, 0);
    assert_eq!(it.evidence.priority, Priority(140));
    let counts = it.transitions.iter().map(|it| (it.to, it.cause, it.times));
    let counts: Vec<_> = counts.collect();
    let expected = [
        (State::Backup, "started", 1),
        (State::Master, "master-silent", 1),
        (State::Fault, "link-down", 1),
        (State::Backup, "recovered", 1),
        (State::Master, "no-master", 1),
        (State::Stopped, "stopped", 1),
    ];
    assert_eq!(counts, expected);
}

/// A better master that was asked to take over is no accident.
#[test]
fn a_handover_is_told_as_one() {
    let mut config = instance(150);
    config.fast_handover = true;
    config.track_interfaces = vec![TrackInterface {
        interface: "eth9".into(),
        weight: -60,
        reverse: false,
    }];
    let mut first = Node::new(1, config);
    first.others.push(other_interface(9, "eth9", true));
    let mut wire = Wire::new([first, Node::new(2, instance(100))]);
    wire.start_node(1);
    wire.run_until(5_000_000);
    wire.start_node(0);
    wire.run_until(20_100_000);
    wire.change_other(0, IfIndex(9), |state| state.up = false);
    wire.run_until(21_000_000);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
    let causes = [0, 1].map(|node| seen(&wire, node).cause.to_string());
    let expected = [
        "handed over to 10.0.0.2, whose priority is 100",
        "priority 0 from 10.0.0.1",
    ];
    assert_eq!(causes, expected);
}

#[test]
fn the_parts_of_a_priority_add_up_to_it() {
    for (own, weight, parts) in [
        (100, -20, vec![(Contributor::Base, 100)]),
        (100, 20, vec![(Contributor::Base, 100)]),
        (250, 20, vec![(Contributor::Base, 250)]),
        (255, 20, vec![(Contributor::Base, 255)]),
    ] {
        let mut config = instance(own);
        config.track_interfaces = vec![TrackInterface {
            interface: "eth0".into(),
            weight,
            reverse: false,
        }];
        let mut wire = Wire::new([Node::new(1, config)]);
        wire.start();
        for up in [true, false] {
            wire.change_interface(0, |interface| interface.up = up);
            let seen = seen(&wire, 0);
            let amounts = seen.contributions.iter().map(|part| part.amount);
            assert_eq!(amounts.sum::<i32>(), i32::from(seen.priority.0));
            let (base, amount) = &parts[0];
            assert_eq!(&seen.contributions[0].from, base);
            assert_eq!(seen.contributions[0].amount, *amount);
            let text = seen.contributions[1].from.to_string();
            assert_eq!(text, "interface eth0");
            let counts = up == (weight > 0);
            let expected = if counts { weight } else { 0 };
            assert_eq!(seen.contributions[1].amount, expected);
            let limited = own == 255 || own == 250;
            assert_eq!(seen.contributions.len() == 3, limited && counts);
        }
    }
}
