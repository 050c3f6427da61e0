//! Fuzz target: packets of either version and family. No panic, no field read from
//! where it does not lie, whatever is whole is written again as it was, and the engine
//! counts each in exactly one place.

use std::net::IpAddr;
use std::process::ExitCode;

use keepalived_rs::config::model::{AuthHmac, Authentication, HmacKey, HmacMode, Password};
use keepalived_rs::time::Interval;
use keepalived_rs::vrrp::statistics::Statistics;
use keepalived_rs::wire::advert::{
    Advert, Checksum, Family, Packet, TYPE_ADVERTISEMENT, Version, set_checksum,
};
use keepalived_rs::wire::frames::Ipv4Datagram;

#[path = "../engine/world.rs"]
#[expect(dead_code, reason = "shared with the tests of the engine")]
mod world;

mod dice;
mod packets;

use dice::Dice;
use world::{Node, Wire};

/// Packets that one engine receives.
const PACKETS: u64 = 8;

fn main() -> ExitCode {
    let seeds = packets::seeds();
    dice::run("advert", |seed| {
        let mut dice = Dice(seed);
        let mut wire = engine(&mut dice);
        for _ in 0..PACKETS {
            let packet = packets::packet(&mut dice, &seeds);
            read(&mut dice, &packet);
            count(&mut wire, &packet);
        }
    })
}

/// The packet as what it says it is, and as what it does not.
fn read(dice: &mut Dice, packet: &[u8]) {
    let mut messages = vec![packet, packet.get(40..).unwrap_or_default()];
    if let Some(datagram) = Ipv4Datagram::new(packet) {
        let length = datagram.header_length + datagram.payload.len();
        assert_eq!(length, packet.len(), "nothing is left out or read twice");
        messages.push(datagram.payload);
    }
    for message in messages {
        for family in [Family::V4, Family::V6] {
            read_message(dice, message, family);
        }
    }
}

fn read_message(dice: &mut Dice, message: &[u8], family: Family) {
    let Some(packet) = Packet::new(message, family) else {
        assert!(message.len() < 8);
        return;
    };
    let count = usize::from(message[3]);
    let each = if family == Family::V4 { 4 } else { 16 };
    assert_eq!(packet.version() << 4 | packet.message_type(), message[0]);
    assert_eq!([packet.vrid(), packet.priority()], message[1..3]);
    assert_eq!((packet.length(), packet.bytes()), (message.len(), message));
    let room = (message.len() - 8) / each;
    assert_eq!(packet.addresses().count(), count.min(room));
    let authentication = message.get(8 + count * each..16 + count * each);
    let read = packet.authentication().map(|octets| &octets[..]);
    assert_eq!(read, authentication);
    for length in [0, 7, 8, message.len(), message.len() + 1] {
        let parts = packet.split(length);
        assert_eq!(parts.is_some(), (8..=message.len()).contains(&length));
        if let Some((first, rest)) = parts {
            assert_eq!([first.bytes(), rest].concat(), message);
        }
    }
    for ours in [Version::V2, Version::V3] {
        let is_2 = packet.version() == 2 || (packet.version() != 3 && ours == Version::V2);
        let expected = 8 + count * each + if is_2 { 8 } else { 0 };
        assert_eq!(packet.expected_length(ours), expected);
    }
    write_again(dice, &packet, family);
}

/// Who writes what a whole message says writes the same message, but for its checksum
/// and the reserved bits of version 3.
fn write_again(dice: &mut Dice, packet: &Packet<'_>, family: Family) {
    let version = match packet.version() {
        2 => Version::V2,
        3 => Version::V3,
        _ => return,
    };
    let is_whole = packet.length() == packet.expected_length(version);
    if !is_whole || packet.message_type() != TYPE_ADVERTISEMENT {
        return;
    }
    let addresses: Vec<IpAddr> = packet.addresses().collect();
    let advert = Advert {
        version,
        family,
        vrid: packet.vrid(),
        priority: packet.priority(),
        advert_interval: packet.advert_interval(),
        addresses: &addresses,
        auth_type: packet.auth_type(),
        password: packet.authentication(),
    };
    assert_eq!(advert.length(), packet.length());
    let mut written = vec![dice.byte(); advert.length()];
    advert.emit(&mut written);
    let mut expected = packet.bytes().to_vec();
    expected[6..8].fill(0);
    if version == Version::V3 {
        expected[4] &= 0x0f;
    }
    assert_eq!(written, expected);
    // Into less room: as far as it goes.
    let mut short = vec![0; dice.below(advert.length() as u64) as usize];
    advert.emit(&mut short);

    let ends = addresses.first().copied().unwrap_or(match family {
        Family::V4 => world::source(1).into(),
        Family::V6 => world::source6(1).into(),
    });
    let pseudo_header = Checksum::PseudoHeader {
        source: ends,
        destination: ends,
    };
    for checksum in [Checksum::Plain, pseudo_header] {
        set_checksum(&mut written, checksum);
        let is_right = |bytes: &[u8]| {
            Packet::new(bytes, family).is_some_and(|packet| packet.checksum_is_right(checksum))
        };
        assert!(is_right(&written));
        // It finds every single flipped bit.
        let mut damaged = written.clone();
        packets::flip(dice, &mut damaged);
        assert!(!is_right(&damaged));
    }
}

/// A node with one instance of some kind.
fn engine(dice: &mut Dice) -> Wire {
    let mut config = match dice.below(7) {
        0 => world::instance3(100),
        1 => world::instance6(100),
        2 => world::instance3(255),
        _ => world::instance(100),
    };
    config.v3_checksum_as_v2 = dice.chance(4);
    config.owner_ignore_adverts = dice.chance(2);
    let peer: IpAddr = match config.ipv6 {
        true => world::source6(2).into(),
        false => world::source(2).into(),
    };
    if dice.chance(4) {
        config.unicast_peers = vec![peer.into()];
        config.unicast_peers[0].max_ttl = dice.pick(&[None, Some(254)]);
    }
    let password = Password(*b"secret\0\0");
    config.authentication = match (config.version, dice.below(4)) {
        (Version::V2, 0) => Some(Authentication::Password(password)),
        (Version::V2, 1) => Some(Authentication::Header(password)),
        _ => None,
    };
    if config.authentication.is_none() && dice.chance(3) {
        config.auth_hmac = Some(Box::new(AuthHmac {
            keys: vec![(1, HmacKey::Bytes(vec![7; 32].into()))],
            active_key: 1,
            time_window: Interval::from_secs(5),
            monotonic: dice.chance(2),
            mode: dice.pick(&[
                HmacMode::Enforce,
                HmacMode::Permissive,
                HmacMode::ReceiveOnly,
            ]),
        }));
    }
    let mut wire = Wire::new([Node::new(1, config)]);
    wire.start();
    wire.run_until(dice.pick(&[0, 10_000_000]));
    wire
}

/// Datagrams of one node by where they count.
fn places(wire: &Wire) -> [u64; 3] {
    let Statistics {
        packet_len_err,
        ip_ttl_err,
        vers_err,
        invalid_type_rcvd,
        advert_interval_err,
        chk_err,
        invalid_authtype,
        authtype_mismatch,
        auth_failure,
        auth_ext_missing,
        auth_ext_malformed,
        auth_ext_unknown_key,
        auth_ext_invalid_hmac,
        auth_ext_stale,
        auth_ext_replay,
        not_a_peer,
        advert_rcvd,
        owner_ignored,
        addr_list_err,
        ..
    } = wire[0].statistics();
    let refused = [
        packet_len_err,
        ip_ttl_err,
        vers_err,
        invalid_type_rcvd,
        advert_interval_err,
        chk_err,
        invalid_authtype,
        authtype_mismatch,
        auth_failure,
        auth_ext_malformed,
        auth_ext_unknown_key,
        auth_ext_invalid_hmac,
        auth_ext_stale,
        auth_ext_replay,
        not_a_peer,
    ];
    // These two also count beside an accepted one.
    let either = addr_list_err + auth_ext_missing;
    let refused: u64 = refused.iter().sum();
    [
        refused + wire[0].ignored(),
        advert_rcvd + owner_ignored,
        either,
    ]
}

fn count(wire: &mut Wire, packet: &[u8]) {
    let before = places(wire);
    match packet.first().map(|first| first >> 4) {
        Some(6) if packet.len() >= 40 => wire.deliver(0, packet),
        _ => wire.inject(0, packet),
    }
    let after = places(wire);
    let [refused, accepted, either] = [0, 1, 2].map(|place| after[place] - before[place]);
    let is_once = match (refused, accepted) {
        (1, 0) => either == 0,
        (0, 1) => either <= 2,
        (0, 0) => either == 1,
        _ => false,
    };
    assert!(is_once, "{refused} {accepted} {either}: {packet:?}");
}
