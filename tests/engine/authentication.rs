//! Signed adverts: the authentication header of version 2, and the trailer of
//! `auth_hmac`. Who is believed, and what is told of who is not.

use keepalived_rs::config::model::{
    AuthHmac, Authentication, HmacKey, HmacMode, Instance, Password, Version,
};
use keepalived_rs::time::Interval;
use keepalived_rs::vrrp::state_machine::State;
use keepalived_rs::wire::auth::ah;

use super::world::{self, Node, Wire, instance, source};

const BOTH: [State; 2] = [State::Master, State::Master];
const FIRST: [State; 2] = [State::Master, State::Backup];

/// 2026 in seconds since 1970.
const TODAY_S: u64 = 1_767_225_600;

fn with_header(priority: u8, password: &[u8; 8]) -> Instance {
    Instance {
        authentication: Some(Authentication::Header(Password(*password))),
        ..instance(priority)
    }
}

fn pair(first: Instance, second: Instance) -> Wire {
    let mut wire = Wire::new([Node::new(1, first), Node::new(2, second)]);
    for node in 0..2 {
        wire.set_wall_clock(node, TODAY_S);
    }
    wire.start();
    wire
}

/// Said, and not more than once in each state and of each master.
fn is_told(wire: &Wire, node: usize, text: &str) -> bool {
    (1..=2).contains(&count_of(wire, node, text))
}

fn count_of(wire: &Wire, node: usize, text: &str) -> usize {
    let lines = wire[node].log.iter();
    lines.filter(|line| line.contains(text)).count()
}

mod header {
    use super::*;

    const SECRET: &[u8; 8] = b"secret\0\0";

    fn sequence(frame: &[u8]) -> u32 {
        u32::from_be_bytes(frame[28..32].try_into().unwrap())
    }

    /// An advert with a header, written by hand but for its signature.
    fn advert(node: u8, priority: u8, sequence: u32) -> Vec<u8> {
        let mut bytes = world::advert(source(node), priority);
        bytes[24] = 2;
        world::fix_checksum(&mut bytes);
        bytes.splice(20..20, [0; 24]);
        bytes[3] = bytes.len() as u8;
        bytes[9] = 51;
        ah::sign(b"secret", source(node).into(), sequence, &mut bytes);
        bytes
    }

    #[test]
    fn nodes_with_one_password_hear_each_other_and_count_upwards() {
        let mut wire = pair(with_header(150, SECRET), with_header(100, SECRET));
        wire.run_until(20_000_000);
        assert_eq!(wire.states(), FIRST);
        assert!(wire[1].sent.is_empty());
        assert_eq!(wire[1].statistics().auth_failure, 0);
        let sent = &wire[0].sent;
        assert_eq!(sent[0].bytes.len(), 64);
        assert_eq!((sent[0].bytes[9], sent[0].bytes[20]), (51, 112));
        let sequences: Vec<u32> = sent.iter().map(|it| sequence(&it.bytes)).collect();
        assert!(sequences.windows(2).all(|pair| pair[0] < pair[1]));
        // What C keepalived would count from hearing us leaves room for it.
        assert!(sequences[0] > 700_000_000);
    }

    #[test]
    fn with_two_passwords_both_are_master_and_say_why() {
        let other = b"Secret\0\0";
        let mut wire = pair(with_header(150, SECRET), with_header(100, other));
        wire.run_until(20_000_000);
        assert_eq!(wire.states(), BOTH);
        for node in 0..2 {
            let line = "(VI_1) IPSEC-AH : invalid IPSEC HMAC-MD5 value. \
                        Due to fields mutation or bad password !";
            assert!(is_told(&wire, node, line), "{:?}", wire[node].log);
            let statistics = wire[node].statistics();
            assert!(statistics.auth_failure > 10);
            assert_eq!(statistics.advert_rcvd, 0);
        }
    }

    #[test]
    fn a_header_on_one_side_only_is_told_on_both() {
        let mut wire = pair(with_header(150, SECRET), instance(100));
        wire.run_until(20_000_000);
        assert_eq!(wire.states(), BOTH);
        let without = "(VI_1) No AH header but auth type is AH from 10.0.0.2";
        assert!(is_told(&wire, 0, without));
        let with = "(VI_1) Received AH header but auth type not AH from 10.0.0.1";
        assert!(is_told(&wire, 1, with));
        for node in 0..2 {
            assert!(wire[node].statistics().authtype_mismatch > 10);
        }
    }

    #[test]
    fn what_was_recorded_does_not_keep_a_backup_down() {
        let mut wire = pair(with_header(150, SECRET), with_header(100, SECRET));
        wire.run_until(10_000_000);
        let recorded: Vec<_> = wire[0].sent.iter().map(|it| it.bytes.clone()).collect();
        wire.cut = true;
        for second in 11..20 {
            wire.run_until(second * 1_000_000);
            for bytes in &recorded {
                wire.inject(1, bytes);
            }
        }
        assert_eq!(wire[1].state(), State::Master);
        let newest = sequence(recorded.last().unwrap());
        let line = format!("already processed. Packet dropped. Local({newest})");
        assert_eq!(count_of(&wire, 1, &line), 1, "{:?}", wire[1].log);
    }

    #[test]
    fn the_index_must_be_the_sender() {
        let mut wire = pair(with_header(150, SECRET), with_header(100, SECRET));
        let mut bytes = advert(3, 200, 1);
        ah::sign(b"secret", 5, 1, &mut bytes);
        wire.inject(0, &bytes);
        let line = "IPSEC AH : invalid IPSEC SPI value. 5 and expect 167772163";
        assert_eq!(count_of(&wire, 0, line), 1, "{:?}", wire[0].log);
        assert_eq!(wire[0].statistics().auth_failure, 1);
    }

    /// C keepalived begins at 1, and has one number for what it sends and hears:
    /// our adverts must be above its own, or two nodes stay MASTER.
    #[test]
    fn our_adverts_are_above_those_that_we_hear() {
        let mut wire = pair(with_header(150, SECRET), with_header(100, SECRET));
        wire.run_until(10_000_000);
        let far_ahead = 4_000_000_000;
        wire.inject(0, &advert(3, 10, far_ahead));
        let answer = wire[0].sent.last().unwrap();
        assert_eq!(sequence(&answer.bytes), far_ahead + 1);
        assert_eq!(wire[0].statistics().auth_failure, 0);
    }

    #[test]
    fn each_peer_gets_a_signature_of_its_own() {
        let mut config = with_header(150, SECRET);
        config.unicast_peers = [2, 3]
            .map(|node| std::net::IpAddr::from(source(node)).into())
            .to_vec();
        let mut wire = Wire::new([Node::new(1, config)]);
        wire.start();
        wire.run_until(10_000_000);
        let [first, second] = [&wire[0].sent[0], &wire[0].sent[1]];
        assert_eq!(
            [first.destination, second.destination],
            [source(2), source(3)]
        );
        for sent in [first, second] {
            let (header, _) = ah::Header::new(&sent.bytes[20..]).unwrap();
            assert!(header.is_right(b"secret", &sent.bytes));
        }
        assert_ne!(first.bytes[32..44], second.bytes[32..44]);
    }

    #[test]
    fn cut_off_anywhere_it_is_refused_and_counted_once() {
        let mut wire = pair(with_header(150, SECRET), with_header(100, SECRET));
        let whole = advert(3, 200, 1);
        for length in 0..whole.len() {
            wire.inject(0, &whole[..length]);
        }
        assert_eq!(wire[0].statistics().advert_rcvd, 0);
        assert_eq!(wire[0].statistics().packet_len_err, 12);
        assert_eq!(wire[0].ignored(), 52);
        assert_eq!(count_of(&wire, 0, "too short"), 2);
        wire.inject(0, &whole);
        assert_eq!(wire[0].statistics().advert_rcvd, 1);
    }
}

mod trailer {
    use super::*;

    fn key(number: u8) -> (u8, HmacKey) {
        (number, HmacKey::Bytes(vec![number; 32].into()))
    }

    fn extension(keys: &[u8], active_key: u8) -> AuthHmac {
        AuthHmac {
            keys: keys.iter().map(|number| key(*number)).collect(),
            active_key,
            time_window: Interval::from_secs(5),
            monotonic: false,
            mode: HmacMode::Enforce,
        }
    }

    fn signed(priority: u8, extension: AuthHmac) -> Instance {
        Instance {
            auth_hmac: Some(Box::new(extension)),
            ..instance(priority)
        }
    }

    fn plain(priority: u8) -> Instance {
        signed(priority, extension(&[1], 1))
    }

    fn with_mode(priority: u8, mode: HmacMode) -> Instance {
        signed(
            priority,
            AuthHmac {
                mode,
                ..extension(&[1], 1)
            },
        )
    }

    #[test]
    fn both_versions_carry_it() {
        for version in [Version::V2, Version::V3] {
            let node = |priority| Instance {
                version,
                ..plain(priority)
            };
            let mut wire = pair(node(150), node(100));
            wire.run_until(20_000_000);
            assert_eq!(wire.states(), FIRST, "{version:?}");
            assert!(wire[1].sent.is_empty());
            let sent = &wire[0].sent[0].bytes;
            let message = if version == Version::V2 { 20 } else { 12 };
            assert_eq!(sent.len(), 20 + message + 28);
            assert_eq!(usize::from(sent[3]), sent.len(), "the IP length has it");
            let trailer = &sent[20 + message..];
            assert_eq!(trailer[..4], [1, 1, 0, 0]);
            let seconds = u32::from_be_bytes(trailer[4..8].try_into().unwrap());
            assert_eq!(
                u64::from(seconds),
                TODAY_S + wire[0].sent[0].at_us / 1_000_000
            );
        }
    }

    #[test]
    fn what_was_recorded_does_not_keep_a_backup_down() {
        for monotonic in [false, true] {
            let node = |priority| {
                let extension = extension(&[1], 1);
                signed(
                    priority,
                    AuthHmac {
                        monotonic,
                        ..extension
                    },
                )
            };
            let mut wire = pair(node(150), node(100));
            wire.run_until(10_000_000);
            let recorded = wire[0].sent.last().unwrap().bytes.clone();
            wire.cut = true;
            for second in 11..20 {
                wire.run_until(second * 1_000_000);
                wire.inject(1, &recorded);
            }
            assert_eq!(wire[1].state(), State::Master);
            let statistics = wire[1].statistics();
            let (replays, stale) = (statistics.auth_ext_replay, statistics.auth_ext_stale);
            let expected = if monotonic { (9, 0) } else { (4, 5) };
            assert_eq!((replays, stale), expected);
            let line = "(VI_1) replayed authentication trailer from 10.0.0.1";
            assert!(wire[1].logged(line), "{:?}", wire[1].log);
        }
    }

    #[test]
    fn keys_change_one_node_after_the_other_without_a_second_master() {
        let mut wire = pair(plain(150), plain(100));
        let mut at_us = 10_000_000;
        wire.run_until(at_us);
        // First both know the new key, then both sign with it, then the old one goes.
        for (keys, active) in [(&[1, 2][..], 1), (&[1, 2], 2), (&[2], 2)] {
            for node in [1, 0] {
                let priority = [150, 100][node];
                let new = signed(priority, extension(keys, active));
                wire.reload(node, world::config([new]));
                at_us += 10_000_000;
                wire.run_until(at_us);
                assert_eq!(wire.states(), FIRST, "{keys:?} {active} {node}");
            }
        }
        for node in 0..2 {
            assert_eq!(wire[node].statistics().auth_ext_unknown_key, 0);
        }
        assert_eq!(wire[0].sent.last().unwrap().bytes[41], 2);
    }

    #[test]
    fn an_unknown_key_and_a_wrong_one_are_told() {
        let cases = [
            (extension(&[2], 2), "unknown authentication key id 2 from"),
            (
                AuthHmac {
                    keys: vec![(1, key(9).1)],
                    ..extension(&[], 1)
                },
                "invalid authentication HMAC from",
            ),
        ];
        for (number, (other, line)) in cases.into_iter().enumerate() {
            let mut wire = pair(plain(150), signed(100, other));
            wire.run_until(20_000_000);
            assert_eq!(wire.states(), BOTH);
            let line = format!("(VI_1) {line} 10.0.0.2");
            assert_eq!(count_of(&wire, 0, &line), 1, "{:?}", wire[0].log);
            let statistics = wire[0].statistics();
            let counts = [
                statistics.auth_ext_unknown_key,
                statistics.auth_ext_invalid_hmac,
            ];
            assert!(counts[number] > 10 && counts[1 - number] == 0);
        }
    }

    #[test]
    fn clocks_that_differ_are_told_before_they_matter() {
        let mut wire = pair(plain(150), plain(100));
        wire.set_wall_clock(1, TODAY_S + 3);
        wire.run_until(20_000_000);
        assert_eq!(wire.states(), FIRST);
        let line = "(VI_1) authentication clock skew 3 sec from 10.0.0.1 \
                    approaching window 5 sec";
        assert!(is_told(&wire, 1, line), "{:?}", wire[1].log);

        wire.set_wall_clock(1, TODAY_S + 20 + 6);
        wire.run_until(40_000_000);
        assert_eq!(wire.states(), BOTH);
        let line = "(VI_1) stale authentication trailer from 10.0.0.1, \
                    clock skew 6 sec exceeds window 5 sec";
        assert!(wire[1].logged(line), "{:?}", wire[1].log);
        assert!(wire[1].statistics().auth_ext_stale > 10);

        wire.set_wall_clock(1, TODAY_S + 40);
        wire.run_until(42_000_000);
        assert_eq!(wire.states(), FIRST);
    }

    #[test]
    fn nothing_happens_when_both_clocks_are_set_back() {
        let mut wire = pair(plain(150), plain(100));
        for (number, unix_s) in [TODAY_S - 3_600, TODAY_S + 3_600].into_iter().enumerate() {
            wire.run_until((number as u64 + 1) * 20_000_000);
            for node in 0..2 {
                wire.set_wall_clock(node, unix_s);
            }
        }
        wire.run_until(60_000_000);
        assert_eq!(wire.states(), FIRST);
        assert!(wire[1].sent.is_empty());
        let statistics = wire[1].statistics();
        assert_eq!(
            (statistics.auth_ext_stale, statistics.auth_ext_replay),
            (0, 0)
        );
    }

    #[test]
    fn only_the_order_counts_when_it_is_monotonic() {
        let node = |priority| {
            let extension = AuthHmac {
                monotonic: true,
                ..extension(&[1], 1)
            };
            signed(priority, extension)
        };
        let mut wire = pair(node(150), node(100));
        wire.run_until(10_000_000);
        wire.set_wall_clock(1, TODAY_S - 1_000_000);
        wire.set_wall_clock(0, TODAY_S - 3_600);
        wire.run_until(30_000_000);
        assert_eq!(wire.states(), FIRST);
        assert!(wire[1].sent.is_empty());
        assert_eq!(wire[1].statistics().auth_ext_replay, 0);
    }

    #[test]
    fn who_does_not_sign_is_believed_in_two_of_three_modes() {
        for (mode, states) in [
            (HmacMode::Enforce, BOTH),
            (HmacMode::Permissive, FIRST),
            (HmacMode::ReceiveOnly, FIRST),
        ] {
            let mut wire = pair(instance(150), with_mode(100, mode));
            wire.run_until(20_000_000);
            assert_eq!(wire.states(), states, "{mode:?}");
            let line = "(VI_1) missing authentication trailer from 10.0.0.1";
            assert!(wire[1].logged(line), "{mode:?}");
            let statistics = wire[1].statistics();
            assert!(statistics.auth_ext_missing > 10);
            assert_eq!(statistics.advert_rcvd > 0, mode != HmacMode::Enforce);
        }
    }

    #[test]
    fn receive_only_sends_what_any_router_understands() {
        let mut wire = pair(with_mode(150, HmacMode::ReceiveOnly), instance(100));
        wire.run_until(20_000_000);
        assert_eq!(wire.states(), FIRST);
        assert_eq!(wire[0].sent[0].bytes.len(), 40);
        // A forged trailer is not better than none.
        let mut wire = pair(with_mode(150, HmacMode::ReceiveOnly), plain(100));
        wire.run_until(20_000_000);
        let mut forged = wire[1].sent.last().unwrap().bytes.clone();
        forged[22] = 255;
        world::fix_checksum(&mut forged[..40]);
        wire.inject(0, &forged);
        assert_eq!(wire[0].state(), State::Master);
        assert_eq!(wire[0].statistics().auth_ext_invalid_hmac, 1);
    }

    #[test]
    fn a_router_without_it_finds_the_advert_too_long() {
        let mut wire = pair(plain(150), instance(100));
        wire.run_until(10_000_000);
        let line = "vrrp packet from 10.0.0.1 too long, length 68 and expect 40";
        assert!(wire[1].logged(line), "{:?}", wire[1].log);
    }

    #[test]
    fn what_is_no_trailer_is_refused_by_length_or_form() {
        let mut wire = pair(plain(150), plain(100));
        wire.run_until(10_000_000);
        wire.cut = true;
        let whole = wire[0].sent.last().unwrap().bytes.clone();
        for length in 41..whole.len() {
            wire.inject(1, &whole[..length]);
        }
        assert_eq!(wire[1].statistics().packet_len_err, 27);
        let mut malformed = whole.clone();
        malformed[40] = 2;
        wire.inject(1, &malformed);
        assert_eq!(wire[1].statistics().auth_ext_malformed, 1);
        assert!(wire[1].logged("(VI_1) malformed authentication trailer from 10.0.0.1"));
    }

    #[test]
    fn every_peer_gets_the_same_trailer() {
        let mut config = plain(150);
        config.unicast_peers = vec![
            std::net::IpAddr::from(source(2)).into(),
            std::net::IpAddr::from(source(3)).into(),
        ];
        let mut wire = Wire::new([Node::new(1, config)]);
        wire.start();
        wire.run_until(10_000_000);
        let [first, second] = [&wire[0].sent[0], &wire[0].sent[1]];
        assert_ne!(first.destination, second.destination);
        assert_eq!(first.bytes[40..], second.bytes[40..]);
    }
}
