//! What adverts look like, and which ones are accepted: version 3 and IPv6 next
//! to version 2. The number in front of a name is that of the conformance
//! checklist: F1 to F6 for the format, R2 to R16 for the checks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keepalived_rs::config::model::{Instance, UnicastPeer};
use keepalived_rs::ids::IfIndex;
use keepalived_rs::vrrp::state_machine::State;
use keepalived_rs::vrrp::statistics::Statistics;

use crate::world::{
    self, Advert3, Cover, GROUP, GROUP6, Node, VIP, VIP6, Wire, instance, instance3, instance6, ms,
    source, source6, vip,
};

/// A node that is alone, after it became MASTER.
fn master(config: Instance) -> Wire {
    let mut wire = Wire::new([Node::new(1, config)]);
    wire.start();
    wire.run_until(10_000_000);
    assert_eq!(wire[0].state(), State::Master);
    wire
}

/// One with peers, node 2 first.
fn with_peers(mut config: Instance, peers: impl IntoIterator<Item = IpAddr>) -> Instance {
    config.unicast_peers = peers.into_iter().map(UnicastPeer::from).collect();
    config
}

/// The same advert, to node 1 alone.
fn unicast(from: impl Into<IpAddr>, priority: u8) -> Advert3 {
    let mut advert = Advert3::new(from, priority);
    advert.to = match advert.from {
        IpAddr::V4(_) => source(1).into(),
        IpAddr::V6(_) => source6(1).into(),
    };
    advert
}

#[test]
fn f1_version_2_is_laid_out_as_rfc_3768_has_it() {
    let wire = master(instance(150));
    let sent = &wire[0].sent[0];
    assert_eq!(sent.message(), &world::advert(source(1), 150)[20..]);
    assert_eq!(sent.message().len(), 8 + 4 + 8);
}

#[test]
fn f2_version_3_is_laid_out_as_rfc_9568_has_it() {
    let wire = master(instance3(150));
    let expected = Advert3::new(source(1), 150).message();
    assert_eq!(wire[0].sent[0].message(), expected);
    assert_eq!(expected[..6], [0x31, 51, 150, 1, 0, 100]);
    assert_eq!(expected.len(), 8 + 4);

    let global: Ipv6Addr = "2001:db8::100".parse().expect("an address");
    let mut config = instance6(150);
    config.virtual_addresses.push(vip(global));
    let wire = master(config);
    let mut expected = Advert3::new(source6(1), 150);
    expected.addresses = vec![VIP6.into(), global.into()];
    assert_eq!(wire[0].sent[0].message(), expected.message());
    assert_eq!(expected.message().len(), 8 + 2 * 16);
}

#[test]
fn f2_reserved_bits_are_ignored_when_they_arrive() {
    for (config, from) in [
        (instance3(100), IpAddr::from(source(2))),
        (instance6(100), source6(2).into()),
    ] {
        let mut wire = master(config);
        let mut advert = Advert3::new(from, 200);
        advert.interval_cs = 0xf000 | 40;
        wire.advert3(0, &advert);
        assert_eq!(wire[0].state(), State::Backup);
        // 3 intervals of 0.4 s and 156/256 of one.
        wire.run_until(10_000_000 + 1_200_000 + 243_749);
        assert_eq!(wire[0].state(), State::Backup);
        wire.run_until(10_000_000 + 1_200_000 + 243_750);
        assert_eq!(wire[0].state(), State::Master);
    }
}

#[test]
fn f3_a4_multicast_goes_to_the_group_of_the_family_with_255_hops() {
    let wire = master(instance3(150));
    let sent = &wire[0].sent[0];
    assert_eq!(
        (sent.source, sent.destination),
        (source(1).into(), GROUP.into())
    );
    // TOS, TTL, protocol.
    assert_eq!(
        (sent.bytes[1], sent.bytes[8], sent.bytes[9]),
        (0xc0, 255, 112)
    );
    assert_eq!(wire[0].groups, [Some(GROUP.into())]);

    let wire = master(instance6(150));
    let sent = &wire[0].sent[0];
    assert_eq!(
        (sent.source, sent.destination),
        (source6(1).into(), GROUP6.into())
    );
    // Class, next header, hop limit.
    assert_eq!(
        (sent.bytes[0], sent.bytes[6], sent.bytes[7]),
        (0x6c, 112, 255)
    );
    assert_eq!(wire[0].groups, [Some(GROUP6.into())]);
}

#[test]
fn f3_ipv6_is_sent_from_a_link_local_address_that_is_no_vip() {
    let mut wire = Wire::new([Node::new(1, instance6(150))]);
    let link_local = wire[0].interface.addresses[1];
    let mut global = link_local;
    global.address = "2001:db8::1".parse().expect("an address");
    let mut leftover = link_local;
    leftover.address = VIP6.into();
    wire[0].interface.addresses = vec![global, leftover];
    wire.start();
    assert_eq!(wire[0].state(), State::Fault);
    wire.change_interface(0, |interface| interface.addresses.push(link_local));
    assert_eq!(wire[0].state(), State::Backup);
    wire.run_until(10_000_000);
    assert_eq!(wire[0].sent[0].source, IpAddr::from(source6(1)));
}

#[test]
fn f3_another_group_is_sent_to_joined_and_heard() {
    let group = Ipv4Addr::new(224, 0, 0, 99);
    let mut config = instance3(100);
    config.multicast_group = group.into();
    let mut wire = master(config);
    assert_eq!(wire[0].sent[0].destination, IpAddr::from(group));
    assert_eq!(wire[0].groups, [Some(group.into())]);
    wire.advert3(0, &Advert3::new(source(2), 200));
    assert_eq!(wire[0].state(), State::Master);
    let mut advert = Advert3::new(source(2), 200);
    advert.to = group.into();
    wire.advert3(0, &advert);
    assert_eq!(wire[0].state(), State::Backup);
}

#[test]
fn f3_unicast_ttl_is_that_of_the_configuration_and_multicast_keeps_255() {
    for (peers, sent_ttl) in [(vec![], 255), (vec![source(2).into()], 64)] {
        let mut config = with_peers(instance3(150), peers);
        config.unicast_ttl = Some(64);
        assert_eq!(master(config)[0].sent[0].bytes[8], sent_ttl);
    }
    let mut config = with_peers(instance6(150), [source6(2).into()]);
    config.unicast_ttl = Some(3);
    let wire = master(config);
    assert_eq!(wire[0].sent[0].bytes[7], 3);
    assert_eq!(wire[0].sent[0].destination, IpAddr::from(source6(2)));
    assert_eq!(wire[0].groups, [None]);
}

/// IPv6 between sites: the source must be one that the peer can answer.
#[test]
fn f3_unicast_to_a_global_ipv6_peer_comes_from_a_global_address() {
    let peer: IpAddr = "2001:db8::2".parse().expect("an address");
    let mut wire = Wire::new([Node::new(1, with_peers(instance6(150), [peer]))]);
    let mut global = wire[0].interface.addresses[1];
    global.address = "2001:db8::1".parse().expect("an address");
    wire[0].interface.addresses.push(global);
    wire.start();
    wire.run_until(10_000_000);
    assert_eq!(wire[0].sent[0].source, global.address);
}

#[test]
fn f4_the_checksum_is_sent_in_the_form_that_is_configured() {
    let plain = |config: &mut Instance| config.v3_checksum_as_v2 = true;
    let old = |config: &mut Instance| config.old_unicast_checksum = Some(true);
    let nothing = |_: &mut Instance| {};
    let (to4, to6) = (IpAddr::from(source(2)), IpAddr::from(source6(2)));
    let (v3, v6) = (instance3(150), instance6(150));
    type Setting<'a> = &'a dyn Fn(&mut Instance);
    let multicast = Vec::<IpAddr>::new;
    let cases: [(&Instance, Vec<IpAddr>, Setting<'_>, Cover); 10] = [
        (&v3, multicast(), &nothing, Cover::PseudoHeader),
        (&v3, multicast(), &plain, Cover::Message),
        (&v3, multicast(), &old, Cover::PseudoHeader),
        (&v3, vec![to4], &nothing, Cover::PseudoHeader),
        (&v3, vec![to4], &plain, Cover::Message),
        (&v3, vec![to4], &old, Cover::PseudoHeaderTo(GROUP.into())),
        (&v6, multicast(), &nothing, Cover::PseudoHeader),
        (&v6, multicast(), &plain, Cover::PseudoHeader),
        (&v6, vec![to6], &nothing, Cover::PseudoHeader),
        // The kernel of the receiver checks IPv6: there is one right form only.
        (&v6, vec![to6], &old, Cover::PseudoHeader),
    ];
    for (number, (config, peers, change, cover)) in cases.into_iter().enumerate() {
        let mut config = with_peers(config.clone(), peers.iter().copied());
        change(&mut config);
        let wire = master(config);
        let sent = &wire[0].sent[0];
        let mut expected = Advert3::new(sent.source, 150);
        expected.to = peers.first().copied().unwrap_or(expected.to);
        expected.cover = cover;
        assert_eq!(sent.message(), expected.message(), "case {number}");
    }
}

#[test]
fn f4_each_peer_gets_a_checksum_of_its_own() {
    let peers = [source(2).into(), source(3).into()];
    let wire = master(with_peers(instance3(150), peers));
    for (sent, peer) in wire[0].sent.iter().zip(peers) {
        let mut expected = Advert3::new(source(1), 150);
        expected.to = peer;
        assert_eq!(sent.message(), expected.message());
    }
}

/// How an advert of version 3 with such a checksum is taken: accepted, and
/// counted as being of the other form.
fn taken(config: Instance, advert: &Advert3) -> (bool, bool) {
    let mut wire = Wire::new([Node::new(1, config)]);
    wire.start();
    wire.advert3(0, advert);
    let got = wire[0].statistics();
    let refused = [got.chk_err, got.packet_len_err, got.addr_list_err];
    assert_eq!(refused, [1 - got.advert_rcvd, 0, 0]);
    if got.chk_err == 1 {
        assert!(wire[0].logged("Invalid VRRPv3 checksum from"));
    }
    (got.advert_rcvd == 1, got.other_checksum == 1)
}

#[test]
fn f4_r11_both_forms_are_accepted_over_ipv4_and_nothing_else() {
    for as_v2 in [false, true] {
        let mut config = instance3(100);
        config.v3_checksum_as_v2 = as_v2;
        let mut advert = Advert3::new(source(2), 200);
        assert_eq!(taken(config.clone(), &advert), (true, as_v2));
        advert.cover = Cover::Message;
        assert_eq!(taken(config.clone(), &advert), (true, !as_v2));
        // For another group; C with that flag takes anything.
        advert.cover = Cover::PseudoHeaderTo(Ipv4Addr::new(224, 0, 0, 99).into());
        assert_eq!(taken(config, &advert), (false, false));
    }
}

#[test]
fn f4_r11_over_ipv6_there_is_one_form() {
    let mut advert = Advert3::new(source6(2), 200);
    assert_eq!(taken(instance6(100), &advert), (true, false));
    advert.cover = Cover::Message;
    let mut config = instance6(100);
    config.v3_checksum_as_v2 = true;
    assert_eq!(taken(config, &advert), (false, false));
}

#[test]
fn f4_r11_the_old_unicast_checksum_is_for_the_configuration_to_allow() {
    let config = |old| {
        let mut config = with_peers(instance3(100), [source(2).into()]);
        config.old_unicast_checksum = old;
        config
    };
    let mut advert = unicast(source(2), 200);
    advert.cover = Cover::PseudoHeaderTo(GROUP.into());
    assert_eq!(taken(config(None), &advert), (false, false));
    assert_eq!(taken(config(Some(false)), &advert), (false, false));
    assert_eq!(taken(config(Some(true)), &advert), (true, false));

    // A packet does not switch it on: what is sent afterwards is as before.
    let mut wire = Wire::new([Node::new(1, config(None))]);
    wire.start();
    wire.advert3(0, &advert);
    wire.run_until(10_000_000);
    let mut expected = unicast(source(1), 100);
    expected.to = source(2).into();
    assert_eq!(wire[0].sent[0].message(), expected.message());
}

#[test]
fn f5_an_instance_without_vips_sends_none_and_hears_none() {
    for mut config in [instance(100), instance3(100), instance6(100)] {
        config.virtual_addresses.clear();
        let mut wire = master(config.clone());
        assert_eq!(wire[0].sent[0].message()[3], 0);
        assert!(wire[0].vips.is_empty());
        assert!(wire[0].announced.is_empty());
        assert_eq!(wire[0].told, ["BACKUP 100", "MASTER 100"]);
        wire.stop(0);
        assert!(wire[0].stopped);
        // Its like understands it.
        let mut pair = Wire::new([Node::new(1, config.clone()), Node::new(2, config)]);
        pair.start_node(0);
        pair.run_until(10_000_000);
        pair.start_node(1);
        pair.run_until(20_000_000);
        assert_eq!(pair.states(), [State::Master, State::Backup]);
        assert_eq!(pair[1].statistics().addr_list_err, 0);
    }
}

#[test]
fn f5_vips_that_do_not_fit_are_held_but_not_advertised() {
    let all: Vec<Ipv6Addr> = (0..40)
        .map(|n| Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, n))
        .collect();
    let config = |priority| {
        let mut config = instance6(priority);
        config.virtual_addresses = all.iter().map(|&address| vip(address)).collect();
        config
    };
    let mut wire = Wire::new([Node::new(1, config(150)), Node::new(2, config(100))]);
    for node in 0..2 {
        wire[node].interface.mtu = 600;
    }
    wire.start();
    wire.run_until(10_000_000);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
    assert_eq!(wire[0].vips.len(), 40);
    // 40 octets of IPv6, 8 of VRRP, 16 for each address.
    let sent = &wire[0].sent[0];
    assert_eq!((sent.message()[3], sent.bytes.len()), (34, 48 + 34 * 16));
    assert!(sent.bytes.len() <= 600);
    // The same configuration on the same wire does not differ.
    assert_eq!(wire[1].statistics().addr_list_err, 0);
    assert!(wire[1].statistics().advert_rcvd > 5);
}

/// A source of the configuration and no interface yet: nothing is said of room.
#[test]
fn f5_an_interface_that_does_not_exist_has_no_room_to_complain_about() {
    let mut config = instance6(100);
    config.source_address = Some(source6(1).into());
    let mut wire = Wire::new([Node::new(1, config)]);
    wire[0].interface.name = "eth9".into();
    wire.start();
    wire.change_interface(0, |interface| interface.name = "eth0".into());
    wire.run_until(10_000_000);
    assert_eq!(wire[0].state(), State::Master);
    assert_eq!(wire[0].times_logged("exceeds maximum"), 0);
    assert_eq!(
        wire[0].sent[0].message(),
        Advert3::new(source6(1), 100).message()
    );
}

#[test]
fn f5_r14_excluded_addresses_are_held_but_not_advertised() {
    let other: Ipv6Addr = "2001:db8::7".parse().expect("an address");
    let config = |priority| {
        let mut config = instance(priority);
        config.excluded_addresses = vec![vip(Ipv4Addr::new(10, 0, 0, 101)), vip(other)];
        config
    };
    let mut wire = Wire::new([Node::new(1, config(150)), Node::new(2, config(100))]);
    wire.start();
    wire.run_until(10_000_000);
    assert_eq!(wire[0].vips.len(), 3);
    assert!(wire[0].vips.contains(&other.into()));
    assert_eq!(wire[0].sent[0].message()[3], 1);
    assert_eq!(wire[1].statistics().addr_list_err, 0);
    wire.stop(0);
    assert!(wire[0].vips.is_empty());
}

#[test]
fn f6_priority_0_is_said_at_the_end_only() {
    for config in [instance3(150), instance6(150)] {
        let mut wire = master(config);
        let zeros = |wire: &Wire| {
            wire[0]
                .sent
                .iter()
                .filter(|sent| sent.priority == 0)
                .count()
        };
        assert_eq!(zeros(&wire), 0);
        wire.stop(0);
        assert_eq!(zeros(&wire), 1);
        let last = wire[0].sent.last().expect("sent");
        let expected = Advert3::new(last.source, 0);
        assert_eq!(last.message(), expected.message());
    }
}

#[test]
fn r2_a_length_that_does_not_fit_is_refused() {
    for (config, from, header) in [
        (instance3(100), IpAddr::from(source(2)), 20),
        (instance6(100), source6(2).into(), 40),
    ] {
        let whole = Advert3::new(from, 200).bytes();
        for length in (header..whole.len()).chain([whole.len() + 1, whole.len() + 16]) {
            let mut wire = master(config.clone());
            let mut packet = whole.clone();
            packet.resize(length, 0);
            wire.deliver(0, &packet);
            let got = wire[0].statistics();
            assert_eq!(wire[0].state(), State::Master);
            // Without the eight octets there is no VRID to count it for.
            let nowhere = u64::from(length < header + 8);
            assert_eq!(
                (got.packet_len_err, wire[0].ignored()),
                (1 - nowhere, nowhere)
            );
        }
    }
}

type Change = fn(&mut Advert3);
type Count = fn(&Statistics) -> u64;

/// Each refused advert: what it is, the text, the counter.
#[test]
fn r3_to_r12_each_refused_advert_of_version_3_is_counted_once_and_logged_once() {
    let cases: [(Change, &str, Count); 5] = [
        (
            |advert| advert.hops = 254,
            "invalid TTL/HL from {from}. Received 254 and expect 255",
            |s| s.ip_ttl_err,
        ),
        (
            |advert| advert.first_octet = 0x41,
            "wrong VRRP version from {from}. Received 4 and expect 3",
            |s| s.vers_err,
        ),
        (
            |advert| advert.first_octet = 0x32,
            "Invalid packet type from {from}. 2 and expect 1",
            |s| s.invalid_type_rcvd,
        ),
        (
            |advert| advert.cover = Cover::PseudoHeaderTo(advert.from),
            "Invalid VRRPv3 checksum from {from}",
            |s| s.chk_err,
        ),
        (
            |advert| {
                advert.to = match advert.from {
                    IpAddr::V4(_) => source(1).into(),
                    IpAddr::V6(_) => source6(1).into(),
                }
            },
            "Expected multicast packet but received unicast packet from {from}",
            |s| s.addr_list_err,
        ),
    ];
    for (config, from) in [
        (instance3(100), IpAddr::from(source(2))),
        (instance6(100), source6(2).into()),
    ] {
        for (change, text, count) in cases {
            let mut wire = master(config.clone());
            let mut advert = Advert3::new(from, 200);
            change(&mut advert);
            for _ in 0..3 {
                wire.advert3(0, &advert);
            }
            let text = text.replace("{from}", &from.to_string());
            assert_eq!(wire[0].state(), State::Master, "{text}");
            assert_eq!(wire[0].times_logged(&text), 1, "{text}: {:?}", wire[0].log);
            let got = wire[0].statistics();
            assert_eq!((count(&got), got.advert_rcvd), (3, 0), "{text}");
        }
    }
}

#[test]
fn r4_version_2_is_not_for_an_instance_of_version_3() {
    let mut wire = master(instance3(100));
    wire.deliver(0, &world::advert(source(2), 200));
    assert_eq!(wire[0].statistics().vers_err, 1);
    assert_eq!(wire[0].state(), State::Master);
}

#[test]
fn r10_another_interval_is_taken_over_with_a_line() {
    for (config, from) in [
        (instance3(100), IpAddr::from(source(2))),
        (instance6(100), source6(2).into()),
    ] {
        let mut wire = master(config);
        let mut advert = Advert3::new(from, 200);
        advert.interval_cs = 50;
        wire.advert3(0, &advert);
        wire.advert3(0, &advert);
        assert_eq!(wire[0].statistics().advert_rcvd, 2);
        assert_eq!(wire[0].statistics().advert_interval_err, 0);
        let text = "(VI_1) advertisement interval updated from 1000ms to 500ms by master";
        assert_eq!(wire[0].times_logged(text), 1);
    }
}

#[test]
fn r12_multicast_is_refused_where_there_are_peers() {
    let mut wire = master(with_peers(instance6(100), [source6(2).into()]));
    wire.advert3(0, &Advert3::new(source6(2), 200));
    assert_eq!(wire[0].state(), State::Master);
    assert!(wire[0].logged("Expected unicast packet but received multicast packet from fe80::2"));
    wire.advert3(0, &unicast(source6(2), 200));
    assert_eq!(wire[0].state(), State::Backup);
}

#[test]
fn r13_s6_an_owner_may_ignore_adverts() {
    for ignores in [false, true] {
        let mut config = instance3(255);
        config.owner_ignore_adverts = ignores;
        let mut wire = Wire::new([Node::new(1, config)]);
        wire.start();
        // Of its own priority and a higher address.
        for _ in 0..3 {
            wire.advert3(0, &Advert3::new(source(2), 255));
        }
        let expected = if ignores {
            State::Master
        } else {
            State::Backup
        };
        assert_eq!(wire[0].state(), expected);
        let got = wire[0].statistics();
        let ignored = if ignores { 3 } else { 0 };
        assert_eq!((got.owner_ignored, got.advert_rcvd), (ignored, 3 - ignored));
        let text = "Dropping packet(s) from 10.0.0.2 since we are address owner";
        assert_eq!(wire[0].times_logged(text), usize::from(ignores));
    }
    // It is for owners only.
    let mut config = instance3(254);
    config.owner_ignore_adverts = true;
    let mut wire = master(config);
    wire.advert3(0, &Advert3::new(source(2), 255));
    assert_eq!(wire[0].state(), State::Backup);
}

#[test]
fn r14_other_vips_are_noted_and_the_advert_counts() {
    let mut wire = master(instance6(100));
    let mut advert = Advert3::new(source6(2), 200);
    advert.addresses = vec!["fe80::77".parse().expect("an address")];
    wire.advert3(0, &advert);
    assert_eq!(wire[0].state(), State::Backup);
    assert_eq!(wire[0].statistics().addr_list_err, 1);
    assert!(wire[0].logged("fe80::100"));
}

#[test]
fn r15_strangers_are_refused_if_the_configuration_says_so() {
    for (checked, accepted) in [(false, true), (true, false)] {
        let mut config = with_peers(instance3(100), [source(2).into()]);
        config.check_unicast_source = checked;
        let mut wire = Wire::new([Node::new(1, config)]);
        wire.start();
        wire.advert3(0, &unicast(source(9), 200));
        let got = wire[0].statistics();
        assert_eq!(
            (got.advert_rcvd == 1, got.not_a_peer == 0),
            (accepted, accepted)
        );
        let text = "unicast source address 10.0.0.9 not a unicast peer";
        assert_eq!(wire[0].logged(text), !accepted);
        wire.advert3(0, &unicast(source(2), 200));
        assert_eq!(wire[0].statistics().not_a_peer, got.not_a_peer);
    }
}

#[test]
fn r15_a_peer_has_to_be_as_far_away_as_it_should() {
    for (ttl, accepted) in [(9, false), (10, true), (20, true), (21, false)] {
        let mut config = with_peers(instance6(100), [source6(2).into(), source6(3).into()]);
        config.unicast_peers[0].min_ttl = Some(10);
        config.unicast_peers[0].max_ttl = Some(20);
        let mut wire = Wire::new([Node::new(1, config)]);
        wire.start();
        let mut advert = unicast(source6(2), 200);
        advert.hops = ttl;
        wire.advert3(0, &advert);
        let got = wire[0].statistics();
        assert_eq!(
            (got.advert_rcvd == 1, got.ip_ttl_err == 0),
            (accepted, accepted),
            "{ttl}"
        );
        let text = format!("TTL/HL {ttl} from fe80::2 not in range [10, 20]");
        assert_eq!(wire[0].logged(&text), !accepted);
        // The other peer may be anywhere; with one range, strangers are out.
        advert = unicast(source6(3), 200);
        advert.hops = 1;
        wire.advert3(0, &advert);
        assert_eq!(wire[0].statistics().advert_rcvd, got.advert_rcvd + 1);
        wire.advert3(0, &unicast(source6(9), 200));
        assert_eq!(wire[0].statistics().not_a_peer, 1);
    }
}

#[test]
fn r16_an_unknown_vrid_and_the_other_family_are_nobodys() {
    let mut wire = master(instance3(100));
    let mut advert = Advert3::new(source(2), 200);
    advert.vrid = 52;
    wire.advert3(0, &advert);
    wire.advert3(0, &Advert3::new(source6(2), 200));
    assert_eq!(wire[0].ignored(), 2);
    assert_eq!(wire[0].state(), State::Master);
    assert_eq!(wire[0].statistics(), master(instance3(100))[0].statistics());
}

/// One VRID for each family is the usual way to have both.
#[test]
fn r16_one_vrid_may_serve_both_families() {
    let mut other = instance6(100);
    other.name = "VI_6".into();
    let mut wire = Wire::new([Node::with(1, world::config([instance3(100), other]))]);
    wire.start();
    wire.run_until(10_000_000);
    assert_eq!(wire[0].vips, [IpAddr::from(VIP), VIP6.into()]);
    assert_eq!(wire[0].listening, [IfIndex(2), IfIndex(2)]);
    wire.advert3(0, &Advert3::new(source6(2), 200));
    let states: Vec<State> = wire[0].engine.instances().map(|it| it.state).collect();
    assert_eq!(states, [State::Master, State::Backup]);
    assert_eq!(wire[0].vips, [IpAddr::from(VIP)]);
}

/// An interval of nothing would make a backup take over at once.
#[test]
fn r10_an_interval_of_zero_is_not_learned() {
    let mut config = instance3(100);
    config.advert_interval = ms(200);
    let mut wire = master(config);
    let mut advert = Advert3::new(source(2), 200);
    advert.interval_cs = 0;
    wire.advert3(0, &advert);
    wire.run_until(10_000_000 + 600_000);
    assert_eq!(wire[0].state(), State::Backup);
}

/// With the password that is never sent in clear with an authentication header.
#[test]
fn f4_version_2_sums_up_the_message_with_its_authentication_data() {
    use keepalived_rs::config::model::{Authentication, Password};
    let password = Password(*b"secret\0\0");
    for (authentication, data) in [
        (None, *b"\0\0\0\0\0\0\0\0"),
        (
            Some(Authentication::Password(password.clone())),
            *b"secret\0\0",
        ),
        (Some(Authentication::Header(password)), *b"\0\0\0\0\0\0\0\0"),
    ] {
        let wire = master(Instance {
            authentication,
            ..instance(150)
        });
        let mut message = wire[0].sent[0].message().to_vec();
        assert_eq!(message[12..], data);
        let sent = u16::from_be_bytes([message[6], message[7]]);
        message[6..8].fill(0);
        assert_eq!(sent, world::checksum(&message, &[]));
    }
}
