//! Each received datagram counts in one place: accepted, refused for one reason, or
//! for nobody. One packet for each reason, in the order of the checks (R1 to R16 of
//! the conformance checklist), with every counter compared before and after.

use std::net::{IpAddr, Ipv4Addr};

use keepalived_rs::config::model::{
    AuthHmac, Authentication, HmacKey, HmacMode, Instance, Password, UnicastPeer,
};
use keepalived_rs::time::Interval;
use keepalived_rs::vrrp::authentication::{HeaderFault, TrailerFault};
use keepalived_rs::vrrp::receive::Reject;
use keepalived_rs::vrrp::state_machine::State;
use keepalived_rs::wire::advert::Version;
use keepalived_rs::wire::auth::ah;
use keepalived_rs::wire::auth::trailer::{self, Sequence, Subject};

use crate::world::{
    self, Advert3, Cover, Node, VIP, Wire, instance, instance3, instance6, source, source6,
};

/// 2026 in seconds since 1970; the nodes stand at ten seconds after it.
const TODAY_S: u64 = 1_767_225_600;
const NOW_S: u64 = TODAY_S + 10;
/// The index of node 2 in an authentication header: its address.
const INDEX: u32 = 0x0a00_0002;
const KEY: [u8; 32] = [7; 32];
/// Lower than that of the node, so that it stays MASTER.
const LOWER: u8 = 50;
const HIGHER: u8 = 200;

/// A node that is MASTER, and knows the time.
fn master(config: Instance) -> Wire {
    let mut wire = Wire::new([Node::new(1, config)]);
    wire.set_wall_clock(0, TODAY_S);
    wire.start();
    wire.run_until(10_000_000);
    assert_eq!(wire[0].state(), State::Master);
    wire
}

/// Every counter by its name; a new one is here by itself.
fn counters(wire: &Wire) -> Vec<(String, u64)> {
    let text = format!("{:?}", wire[0].statistics());
    let fields = text
        .strip_prefix("Statistics { ")
        .and_then(|text| text.strip_suffix(" }"))
        .expect("the fields");
    let of_instance = fields.split(", ").map(|field| {
        let (name, count) = field.split_once(": ").expect("name and count");
        (name.to_string(), count.parse().expect("a count"))
    });
    let nobodys = ("ignored".to_string(), wire[0].ignored());
    of_instance.chain([nobodys]).collect()
}

/// The names of the counters that grew, each as often as it grew.
fn grown(before: &[(String, u64)], after: &[(String, u64)]) -> Vec<String> {
    let pairs = before.iter().zip(after);
    pairs
        .flat_map(|((name, old), (_, new))| {
            let by = new.checked_sub(*old).expect("counters only grow");
            (0..by).map(|_| name.clone())
        })
        .collect()
}

struct Case {
    config: Instance,
    /// What the node has received already.
    earlier: Vec<Vec<u8>>,
    packet: Vec<u8>,
    reason: Reject,
    counter: &'static str,
}

fn case(config: &Instance, packet: Vec<u8>, reason: Reject, counter: &'static str) -> Case {
    Case {
        config: config.clone(),
        earlier: Vec::new(),
        packet,
        reason,
        counter,
    }
}

/// A multicast advert of version 2 with some octets of the datagram changed.
fn version_2(changes: &[(usize, u8)]) -> Vec<u8> {
    let mut datagram = world::advert(source(2), HIGHER);
    for (at, value) in changes {
        datagram[*at] = *value;
    }
    world::fix_checksum(&mut datagram);
    datagram
}

/// The same with an authentication header.
fn with_header(priority: u8, index: u32, sequence: u32, key: &[u8]) -> Vec<u8> {
    let mut bytes = world::advert(source(2), priority);
    bytes[24] = 2;
    world::fix_checksum(&mut bytes);
    bytes.splice(20..20, [0; 24]);
    bytes[3] = bytes.len() as u8;
    bytes[9] = 51;
    ah::sign(key, index, sequence, &mut bytes);
    bytes
}

/// The same with a trailer of a moment so many seconds from now.
fn with_trailer(priority: u8, seconds_from_now: i64, number: u8, key: &[u8]) -> Vec<u8> {
    let mut bytes = world::advert(source(2), priority);
    let at_s = NOW_S.checked_add_signed(seconds_from_now).expect("a time");
    let subject = Subject {
        version: Version::V2,
        vrid: 51,
        source: source(2).into(),
    };
    let mut place = [0; trailer::LENGTH];
    let sequence = Sequence::at(at_s * 1_000_000);
    trailer::sign((number, key), sequence, &subject, &bytes[20..], &mut place);
    bytes.extend(place);
    bytes[3] = bytes.len() as u8;
    bytes
}

fn changed3(from: impl Into<IpAddr>, change: impl FnOnce(&mut Advert3)) -> Vec<u8> {
    let mut advert = Advert3::new(from, HIGHER);
    change(&mut advert);
    advert.bytes()
}

fn authenticated(authentication: Authentication) -> Instance {
    Instance {
        authentication: Some(authentication),
        ..instance(100)
    }
}

fn signing(mode: HmacMode) -> Instance {
    Instance {
        auth_hmac: Some(Box::new(AuthHmac {
            keys: vec![(1, HmacKey::Bytes(KEY.to_vec().into()))],
            active_key: 1,
            time_window: Interval::from_secs(5),
            monotonic: false,
            mode,
        })),
        ..instance(100)
    }
}

/// `auth_type AH` with the password of [`with_header`].
fn header_wanted() -> Instance {
    authenticated(Authentication::Header(Password(*b"secret\0\0")))
}

fn with_peer(peer: UnicastPeer) -> Instance {
    Instance {
        unicast_peers: vec![peer],
        ..instance3(100)
    }
}

/// R1: an authentication header where there should be none, and none where there
/// should be one.
fn header_presence() -> Vec<Case> {
    let unexpected = Reject::Header(HeaderFault::Unexpected);
    let missing = Reject::Header(HeaderFault::Missing);
    let signed = with_header(HIGHER, INDEX, 1, b"secret");
    vec![
        case(&instance(100), signed, unexpected, "authtype_mismatch"),
        case(
            &header_wanted(),
            version_2(&[(24, 2)]),
            missing,
            "authtype_mismatch",
        ),
    ]
}

/// R2: more or fewer octets than the number of addresses asks for.
fn lengths() -> Vec<Case> {
    let mut long = version_2(&[]);
    long.push(0);
    let short = version_2(&[])[..39].to_vec();
    let length = |received| Reject::Length {
        received,
        expected: 40,
    };
    vec![
        case(&instance(100), short, length(39), "packet_len_err"),
        case(&instance(100), long, length(41), "packet_len_err"),
    ]
}

/// R3: a multicast advert that crossed a router.
fn hops() -> Vec<Case> {
    let far = version_2(&[(8, 254)]);
    vec![case(&instance(100), far, Reject::Ttl(254), "ip_ttl_err")]
}

/// R4: another version of the protocol.
fn versions() -> Vec<Case> {
    let mut version_3 = version_2(&[(20, 0x31)]);
    version_3.truncate(32);
    let other = |received, expected| Reject::Version { received, expected };
    vec![
        case(&instance(100), version_3, other(3, 2), "vers_err"),
        case(&instance3(100), version_2(&[]), other(2, 3), "vers_err"),
    ]
}

/// R5: everything that the trailer of `auth_hmac` can be.
fn trailers() -> Vec<Case> {
    let config = signing(HmacMode::Enforce);
    let refused = |packet, fault, counter| case(&config, packet, Reject::Trailer(fault), counter);
    let right = with_trailer(LOWER, 0, 1, &KEY);
    let mut malformed = with_trailer(HIGHER, 1, 1, &KEY);
    malformed[40] = 2;
    let stale = |skew_s| TrailerFault::Stale {
        skew_s,
        window_s: 5,
    };
    vec![
        refused(version_2(&[]), TrailerFault::Missing, "auth_ext_missing"),
        refused(malformed, TrailerFault::Malformed, "auth_ext_malformed"),
        refused(
            with_trailer(HIGHER, 0, 2, &KEY),
            TrailerFault::UnknownKey(2),
            "auth_ext_unknown_key",
        ),
        refused(
            with_trailer(HIGHER, 0, 1, &[8; 32]),
            TrailerFault::Signature,
            "auth_ext_invalid_hmac",
        ),
        refused(
            with_trailer(HIGHER, -6, 1, &KEY),
            stale(6),
            "auth_ext_stale",
        ),
        refused(
            with_trailer(HIGHER, 6, 1, &KEY),
            stale(-6),
            "auth_ext_stale",
        ),
        Case {
            earlier: vec![right.clone()],
            ..refused(right, TrailerFault::Replayed, "auth_ext_replay")
        },
    ]
}

/// R6: the authentication of version 2.
fn authentication() -> Vec<Case> {
    let plain = instance(100);
    let password = authenticated(Authentication::Password(Password(*b"1111\0\0\0\0")));
    let mismatch = |received, expected| Reject::AuthTypeMismatch { received, expected };
    let signed = header_wanted();
    let refused = |packet, fault| case(&signed, packet, Reject::Header(fault), "auth_failure");
    let right = with_header(LOWER, INDEX, 1, b"secret");
    let index = HeaderFault::Index {
        received: 5,
        expected: INDEX,
    };
    let replayed = HeaderFault::Replayed {
        received: 1,
        newest: 1,
    };
    let unknown = Reject::InvalidAuthType(3);
    vec![
        case(&plain, version_2(&[(24, 3)]), unknown, "invalid_authtype"),
        case(
            &plain,
            version_2(&[(24, 1)]),
            mismatch(1, 0),
            "authtype_mismatch",
        ),
        case(
            &password,
            version_2(&[]),
            mismatch(0, 1),
            "authtype_mismatch",
        ),
        case(
            &password,
            version_2(&[(24, 1), (32, b'1')]),
            Reject::Password,
            "auth_failure",
        ),
        refused(with_header(HIGHER, 5, 2, b"secret"), index),
        refused(
            with_header(HIGHER, INDEX, 2, b"Secret"),
            HeaderFault::Signature,
        ),
        Case {
            earlier: vec![right.clone()],
            ..refused(right, replayed)
        },
    ]
}

/// R7: another interval in version 2.
fn intervals() -> Vec<Case> {
    let reason = Reject::Interval {
        received_s: 2,
        ours_s: 1,
    };
    let other = version_2(&[(25, 2)]);
    vec![case(&instance(100), other, reason, "advert_interval_err")]
}

/// R8: what is no advertisement.
fn types() -> Vec<Case> {
    let other = version_2(&[(20, 0x22)]);
    vec![case(
        &instance(100),
        other,
        Reject::Type(2),
        "invalid_type_rcvd",
    )]
}

/// R9: the IP header gives another length than came.
fn total_lengths() -> Vec<Case> {
    let total = |header| Reject::TotalLength {
        header,
        received: 40,
    };
    [39, 41]
        .map(|length| {
            let packet = version_2(&[(3, length)]);
            case(
                &instance(100),
                packet,
                total(length.into()),
                "packet_len_err",
            )
        })
        .into()
}

/// R11: the checksum of each version and family.
fn checksums() -> Vec<Case> {
    let mut damaged = version_2(&[]);
    damaged[26] ^= 1;
    let other_group = Cover::PseudoHeaderTo(Ipv4Addr::new(224, 0, 0, 99).into());
    let other_end = changed3(source(2), |it| it.cover = other_group);
    let message_only = changed3(source6(2), |it| it.cover = Cover::Message);
    let wrong = Reject::Checksum;
    vec![
        case(&instance(100), damaged, wrong(Version::V2), "chk_err"),
        case(&instance3(100), other_end, wrong(Version::V3), "chk_err"),
        case(&instance6(100), message_only, wrong(Version::V3), "chk_err"),
    ]
}

/// R12: unicast where there are no peers, multicast where there are some.
fn casts() -> Vec<Case> {
    let peer = UnicastPeer::from(IpAddr::from(source(2)));
    let unicast = changed3(source(2), |it| it.to = source(1).into());
    let multicast = changed3(source(2), |_| ());
    let cast = |expected_unicast| Reject::Cast { expected_unicast };
    vec![
        case(&instance3(100), unicast, cast(false), "addr_list_err"),
        case(&with_peer(peer), multicast, cast(true), "addr_list_err"),
    ]
}

/// R15: who is no peer, and who is nearer or farther than a peer should be.
fn peers() -> Vec<Case> {
    let peer = UnicastPeer::from(IpAddr::from(source(2)));
    let checked = Instance {
        check_unicast_source: true,
        ..with_peer(peer.clone())
    };
    let ranged = with_peer(UnicastPeer {
        min_ttl: Some(250),
        max_ttl: Some(252),
        ..peer
    });
    let from = |node, hops| {
        changed3(source(node), |it| {
            it.to = source(1).into();
            it.hops = hops;
        })
    };
    let range = |ttl| Reject::TtlRange {
        ttl,
        min: 250,
        max: 252,
    };
    vec![
        case(&checked, from(3, 255), Reject::NotAPeer, "not_a_peer"),
        case(&ranged, from(2, 249), range(249), "ip_ttl_err"),
        case(&ranged, from(2, 253), range(253), "ip_ttl_err"),
    ]
}

/// The text of a refusal, as the log has it.
struct Text(Reject, IpAddr);

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.write(self.1, f)
    }
}

fn sender_of(packet: &[u8]) -> IpAddr {
    match packet[0] >> 4 {
        4 => IpAddr::from(<[u8; 4]>::try_from(&packet[12..16]).expect("four octets")),
        _ => IpAddr::from(<[u8; 16]>::try_from(&packet[8..24]).expect("sixteen octets")),
    }
}

/// Three of each: the counter of the reason grows by three, no other one, one line is
/// logged, and nothing else changes.
fn refuses(cases: Vec<Case>) {
    for it in cases {
        let mut wire = master(it.config);
        for packet in &it.earlier {
            wire.deliver(0, packet);
        }
        assert_eq!(
            wire[0].statistics().advert_rcvd,
            it.earlier.len() as u64,
            "{:?}: what came earlier is fine",
            it.reason
        );
        let before = counters(&wire);
        for _ in 0..3 {
            wire.deliver(0, &it.packet);
        }
        let expected = [it.counter; 3];
        assert_eq!(
            grown(&before, &counters(&wire)),
            expected,
            "{:?}",
            it.reason
        );
        let text = format!("(VI_1) {}", Text(it.reason, sender_of(&it.packet)));
        assert_eq!(wire[0].times_logged(&text), 1, "{text}: {:?}", wire[0].log);
        assert_eq!(wire[0].state(), State::Master, "{text}");
        assert_eq!(wire[0].vips.len(), 1, "{text}");
    }
}

macro_rules! each_refusal {
    ($($name:ident => $cases:ident;)*) => {
        $(#[test]
        fn $name() {
            refuses($cases());
        })*

        /// So that a new reason gets its packet.
        #[test]
        fn every_reason_has_its_packet() {
            let cases = [$($cases()),*].into_iter().flatten();
            let reasons = cases.fold(0, |bits, it| bits | 1_u32 << it.reason.kind());
            // Those of the adverts themselves, of headers, of trailers.
            assert_eq!(reasons.count_ones(), 13 + 5 + 6);
        }
    };
}

each_refusal! {
    r1_a_header_is_there_if_and_only_if_it_is_configured => header_presence;
    r2_a_wrong_length_is_refused => lengths;
    r3_what_crossed_a_router_is_refused => hops;
    r4_another_version_is_refused => versions;
    r5_a_trailer_that_proves_nothing_is_refused => trailers;
    r6_wrong_authentication_is_refused => authentication;
    r7_another_interval_of_version_2_is_refused_and_counted => intervals;
    r8_another_type_is_refused => types;
    r9_a_length_in_the_ip_header_that_lies_is_refused => total_lengths;
    r11_a_wrong_checksum_is_refused => checksums;
    r12_the_other_cast_is_refused => casts;
    r15_strangers_and_peers_out_of_range_are_refused => peers;
}

/// What is accepted counts as received, and beside that as what is remarkable.
#[test]
fn r10_r13_r14_what_is_accepted_counts_once_and_its_remarks_beside_it() {
    let mut owner = instance(255);
    owner.owner_ignore_adverts = true;
    let other_vip = changed3(source(2), |it| {
        it.priority = LOWER;
        it.addresses = vec![IpAddr::from(source(77))];
    });
    let zero = world::advert(source(2), 0);
    let plain = changed3(source(2), |it| {
        it.priority = LOWER;
        it.cover = Cover::Message;
    });
    let slow = changed3(source(2), |it| {
        it.priority = LOWER;
        it.interval_cs = 500;
    });
    let unsigned = || world::advert(source(2), LOWER);
    // A MASTER answers each of them.
    let cases: [(Instance, Vec<u8>, &[&str]); 8] = [
        (instance(100), unsigned(), &["advert_rcvd", "advert_sent"]),
        (owner, unsigned(), &["owner_ignored"]),
        (instance3(100), slow, &["advert_rcvd", "advert_sent"]),
        (
            instance(100),
            zero,
            &["advert_rcvd", "advert_sent", "pri_zero_rcvd"],
        ),
        (
            instance3(100),
            other_vip,
            &["advert_rcvd", "advert_sent", "addr_list_err"],
        ),
        (
            instance3(100),
            plain,
            &["advert_rcvd", "advert_sent", "other_checksum"],
        ),
        (
            signing(HmacMode::Permissive),
            unsigned(),
            &["advert_rcvd", "advert_sent", "auth_ext_missing"],
        ),
        (
            signing(HmacMode::Enforce),
            with_trailer(LOWER, 0, 1, &KEY),
            &["advert_rcvd", "advert_sent"],
        ),
    ];
    for (number, (config, packet, expected)) in cases.into_iter().enumerate() {
        let mut wire = master(config);
        let before = counters(&wire);
        wire.deliver(0, &packet);
        assert_eq!(
            grown(&before, &counters(&wire)),
            expected,
            "case {number}: {:?}",
            wire[0].log
        );
        assert_eq!(wire[0].state(), State::Master);
    }
}

/// What is for no instance counts there and nowhere else.
#[test]
fn r16_what_is_for_nobody_counts_for_nobody() {
    let other_vrid = version_2(&[(21, 52)]);
    let other_group = version_2(&[(19, 99)]);
    let other_protocol = version_2(&[(9, 17)]);
    let other_family = Advert3::new(source6(2), HIGHER).bytes();
    let no_message = version_2(&[])[..27].to_vec();
    let no_header = version_2(&[])[..19].to_vec();
    let half_a_header = with_header(HIGHER, INDEX, 1, b"secret")[..43].to_vec();
    for packet in [
        other_vrid,
        other_group,
        other_protocol,
        other_family,
        no_message,
        no_header,
        half_a_header,
    ] {
        let mut wire = master(instance(100));
        let before = counters(&wire);
        wire.deliver(0, &packet);
        let after = counters(&wire);
        assert_eq!(grown(&before, &after), ["ignored"], "{packet:?}");
        assert_eq!(wire[0].state(), State::Master);
        assert_eq!(wire[0].vips, [VIP]);
    }
}

/// The counters that do not come from a received datagram.
#[test]
fn what_a_node_does_is_counted_once() {
    let mut wire = Wire::new([Node::new(1, instance(150))]);
    wire.start();
    let mut before = counters(&wire);
    let mut step = |wire: &Wire| {
        let after = counters(wire);
        let names = grown(&before, &after);
        before = after;
        names
    };
    // The first advert of a master comes with the state.
    wire.run_until(3_414_062);
    assert_eq!(step(&wire), ["advert_sent", "become_master"]);
    wire.run_until(4_414_062);
    assert_eq!(step(&wire), ["advert_sent"]);
    wire.deliver(0, &world::advert(source(2), HIGHER));
    assert_eq!(step(&wire), ["advert_rcvd", "release_master"]);
    wire.deliver(0, &world::advert(source(2), 0));
    assert_eq!(step(&wire), ["advert_rcvd", "pri_zero_rcvd"]);
    wire.run_until(4_414_062 + 414_062);
    assert_eq!(step(&wire), ["advert_sent", "become_master"]);
    wire.stall_until(4_414_062 + 414_062 + 3_000_000);
    assert_eq!(
        step(&wire),
        ["advert_sent", "adverts_skipped", "adverts_skipped"]
    );
    wire.stop(0);
    assert_eq!(
        step(&wire),
        ["advert_sent", "release_master", "pri_zero_sent"]
    );
}

/// The IP header is not signed: who changes it on the way spoils that one datagram, and
/// does not make the unchanged one look like a replay.
#[test]
fn r5_a_trailer_counts_as_heard_when_everything_else_is_right_too() {
    let mut wire = master(signing(HmacMode::Enforce));
    let right = with_trailer(HIGHER, 0, 1, &KEY);
    let mut damaged = right.clone();
    damaged[3] += 1;
    let mut before = counters(&wire);
    for (packet, expected) in [
        (&damaged, &["packet_len_err"][..]),
        (&right, &["advert_rcvd", "release_master"]),
        (&right, &["auth_ext_replay"]),
    ] {
        wire.deliver(0, packet);
        let after = counters(&wire);
        assert_eq!(grown(&before, &after), expected, "{:?}", wire[0].log);
        before = after;
    }
}
