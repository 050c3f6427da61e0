//! Whether a received datagram is an acceptable advert for an instance.
//!
//! The checks come in C keepalived's order (specification F.11), so that a
//! datagram with several faults is counted under the same one. Does not decide
//! what an acceptable advert leads to: `election.rs` and `state_machine.rs` do.

use std::fmt;
use std::net::IpAddr;

use crate::config::model::{Authentication, Instance, UnicastPeer};
use crate::wire::advert::{Checksum, Family, Packet, TYPE_ADVERTISEMENT, Version, auth_type};
use crate::wire::auth::{equal_in_constant_time, trailer};
use crate::wire::frames::Ipv4Datagram;

use super::authentication::{
    HeaderFault, Sequences, SignedDatagram, TrailerFault, TrailerRemark, check_header,
    check_trailer,
};
use super::statistics::Statistics;

/// Why a datagram is refused, with what it takes to say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reject {
    /// Longer or shorter than its number of addresses wants.
    Length {
        /// Received, IP header included.
        received: usize,
        /// Wanted.
        expected: usize,
    },
    /// A multicast datagram that crossed a router (RFC 3768 section 5.2.3).
    Ttl(u8),
    /// Another protocol version.
    Version {
        /// Theirs.
        received: u8,
        /// Ours.
        expected: u8,
    },
    /// An authentication type that does not exist.
    InvalidAuthType(u8),
    /// An authentication type that we are not configured for.
    AuthTypeMismatch {
        /// Theirs.
        received: u8,
        /// Ours.
        expected: u8,
    },
    /// The wrong password.
    Password,
    /// Something about the authentication header.
    Header(HeaderFault),
    /// Something about the trailer of `auth_hmac`.
    Trailer(TrailerFault),
    /// Another advert interval; version 2 wants them equal (RFC 3768 section 7.1).
    Interval {
        /// Theirs in seconds.
        received_s: u64,
        /// Ours in seconds.
        ours_s: u64,
    },
    /// Not an advertisement.
    Type(u8),
    /// The IP header gives another length than was received.
    TotalLength {
        /// What the header gives.
        header: usize,
        /// What was received.
        received: usize,
    },
    /// The checksum is wrong, in a message of this version.
    Checksum(Version),
    /// Multicast where unicast is configured, or the other way round.
    Cast {
        /// Whether unicast is configured.
        expected_unicast: bool,
    },
    /// The sender is not one of the peers.
    NotAPeer,
    /// The peer is nearer or farther than its range allows.
    TtlRange {
        /// Received.
        ttl: u8,
        /// Least.
        min: u8,
        /// Greatest.
        max: u8,
    },
}

impl Reject {
    /// The number of its kind, whatever the values in it: below 32.
    pub const fn kind(self) -> u8 {
        match self {
            Self::Length { .. } => 0,
            Self::Ttl(_) => 1,
            Self::Version { .. } => 2,
            Self::InvalidAuthType(_) => 3,
            Self::AuthTypeMismatch { .. } => 4,
            Self::Password => 5,
            Self::Interval { .. } => 6,
            Self::Type(_) => 7,
            Self::TotalLength { .. } => 8,
            Self::Checksum(_) => 9,
            Self::Cast { .. } => 10,
            Self::NotAPeer => 11,
            Self::TtlRange { .. } => 12,
            Self::Header(HeaderFault::Unexpected) => 16,
            Self::Header(HeaderFault::Missing) => 17,
            Self::Header(HeaderFault::Index { .. }) => 18,
            Self::Header(HeaderFault::Signature) => 19,
            Self::Header(HeaderFault::Replayed { .. }) => 20,
            Self::Trailer(TrailerFault::Missing) => 21,
            Self::Trailer(TrailerFault::Malformed) => 22,
            Self::Trailer(TrailerFault::UnknownKey(_)) => 23,
            Self::Trailer(TrailerFault::Signature) => 24,
            Self::Trailer(TrailerFault::Stale { .. }) => 25,
            Self::Trailer(TrailerFault::Replayed) => 26,
        }
    }

    /// Counts it.
    pub fn count(self, statistics: &mut Statistics) {
        let counter = match self {
            Self::Length { .. } | Self::TotalLength { .. } => &mut statistics.packet_len_err,
            Self::Ttl(_) | Self::TtlRange { .. } => &mut statistics.ip_ttl_err,
            Self::Version { .. } => &mut statistics.vers_err,
            Self::InvalidAuthType(_) => &mut statistics.invalid_authtype,
            Self::AuthTypeMismatch { .. } => &mut statistics.authtype_mismatch,
            Self::Password => &mut statistics.auth_failure,
            Self::Header(fault) => fault.counter(statistics),
            Self::Trailer(fault) => fault.counter(statistics),
            Self::Interval { .. } => &mut statistics.advert_interval_err,
            Self::Type(_) => &mut statistics.invalid_type_rcvd,
            Self::Checksum(_) => &mut statistics.chk_err,
            Self::Cast { .. } => &mut statistics.addr_list_err,
            Self::NotAPeer => &mut statistics.not_a_peer,
        };
        *counter = counter.saturating_add(1);
    }

    /// The text after the name of the instance (specification E.5).
    pub fn write(self, from: IpAddr, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { received, expected } => {
                let side = if received > expected { "long" } else { "short" };
                write!(
                    f,
                    "vrrp packet from {from} too {side}, length {received} and expect {expected}"
                )
            }
            Self::Ttl(ttl) => write!(
                f,
                "invalid TTL/HL from {from}. Received {ttl} and expect 255"
            ),
            Self::Version { received, expected } => write!(
                f,
                "wrong VRRP version from {from}. Received {received} and expect {expected}"
            ),
            Self::InvalidAuthType(kind) => write!(f, "Invalid auth type from {from}: {kind}"),
            Self::AuthTypeMismatch { received, expected } => write!(
                f,
                "received a {received} auth from {from}, expecting {expected}!"
            ),
            Self::Password => write!(f, "received an invalid passwd from {from}!"),
            Self::Header(fault) => fault.write(from, f),
            Self::Trailer(fault) => fault.write(from, f),
            Self::Interval { received_s, ours_s } => write!(
                f,
                "advertisement interval mismatch with {from} mine={ours_s} sec rcv'd={received_s} sec"
            ),
            Self::Type(kind) => write!(
                f,
                "Invalid packet type from {from}. {kind} and expect {TYPE_ADVERTISEMENT}"
            ),
            Self::TotalLength { header, received } => write!(
                f,
                "ip_tot_len mismatch against received length from {from}. \
                 {header} and received {received}"
            ),
            Self::Checksum(version) => {
                let version = version.number();
                write!(f, "Invalid VRRPv{version} checksum from {from}")
            }
            Self::NotAPeer => write!(f, "unicast source address {from} not a unicast peer"),
            Self::TtlRange { ttl, min, max } => {
                write!(f, "TTL/HL {ttl} from {from} not in range [{min}, {max}]")
            }
            Self::Cast { expected_unicast } => {
                let (expected, got) = if expected_unicast {
                    ("un", "mult")
                } else {
                    ("mult", "un")
                };
                write!(
                    f,
                    "Expected {expected}icast packet but received {got}icast packet from {from}"
                )
            }
        }
    }
}

/// A datagram as the checks see it, whatever carried it.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// The authentication header, of IPv4.
    pub signed: Option<SignedDatagram<'a>>,
    /// Octets of IP headers that count in a length: none for IPv6.
    pub header_length: usize,
    /// The length that an IPv4 header gives for the whole datagram.
    pub total_length: Option<usize>,
    /// The message; untrusted.
    pub message: &'a [u8],
}

impl<'a> From<Ipv4Datagram<'a>> for Arrival<'a> {
    fn from(datagram: Ipv4Datagram<'a>) -> Self {
        Self {
            source: datagram.source.into(),
            destination: datagram.destination.into(),
            ttl: datagram.ttl,
            signed: None,
            header_length: datagram.header_length,
            total_length: Some(datagram.total_length),
            message: datagram.payload,
        }
    }
}

/// What is remarkable about a datagram that is accepted all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Remarks {
    /// A version 3 checksum of the other kind: without a pseudo header where we
    /// send one, or with one where we do not.
    pub other_checksum: bool,
    /// Something about the trailer of `auth_hmac`.
    pub trailer: Option<TrailerRemark>,
}

/// Checks a datagram whose VRID is that of `instance`, and takes note of what
/// proves that it is no replay. `unix_us` is the time in microseconds since 1970.
pub fn check(
    instance: &Instance,
    arrival: &Arrival<'_>,
    packet: &Packet<'_>,
    sequences: &mut Sequences,
    unix_us: u64,
) -> Result<Remarks, Reject> {
    let version = instance.version;
    match (instance.header_key(), arrival.signed) {
        (None, Some(_)) => return Err(Reject::Header(HeaderFault::Unexpected)),
        (Some(_), None) => return Err(Reject::Header(HeaderFault::Missing)),
        _ => {}
    }
    let received = packet.length().saturating_add(arrival.header_length);
    let (packet, behind) = &split_trailer(instance, arrival, packet)?;
    let multicast = arrival.destination.is_multicast();
    if multicast && arrival.ttl != 255 {
        return Err(Reject::Ttl(arrival.ttl));
    }
    if packet.version() != version.number() {
        let (received, expected) = (packet.version(), version.number());
        return Err(Reject::Version { received, expected });
    }
    let trailer = match &instance.auth_hmac {
        None => None,
        Some(extension) => check_trailer(
            (instance, extension),
            arrival.source,
            (packet, behind),
            sequences,
            unix_us,
        )
        .map_err(Reject::Trailer)?,
    };
    if version == Version::V2 {
        check_version_2(instance, arrival, packet, sequences)?;
    }
    if packet.message_type() != TYPE_ADVERTISEMENT {
        return Err(Reject::Type(packet.message_type()));
    }
    if let Some(header) = arrival.total_length.filter(|&header| header != received) {
        return Err(Reject::TotalLength { header, received });
    }
    let other_checksum = check_checksum(instance, arrival, packet)?;
    let expected_unicast = !instance.unicast_peers.is_empty();
    if expected_unicast == multicast {
        return Err(Reject::Cast { expected_unicast });
    }
    check_peer(instance, arrival)?;
    sequences.note_trailer(arrival.source, behind);
    Ok(Remarks {
        other_checksum,
        trailer,
    })
}

/// The message, and the trailer of `auth_hmac` behind it: that there is one
/// shows in the length only, and only an instance with `auth_hmac` looks for it.
fn split_trailer<'a>(
    instance: &Instance,
    arrival: &Arrival<'_>,
    packet: &Packet<'a>,
) -> Result<(Packet<'a>, &'a [u8]), Reject> {
    let length = packet.expected_length(instance.version);
    let behind = packet.length().checked_sub(length);
    let fits = match behind {
        Some(0) => true,
        Some(trailer::LENGTH) => instance.auth_hmac.is_some(),
        _ => false,
    };
    match packet.split(length) {
        Some(parts) if fits => Ok(parts),
        _ => Err(Reject::Length {
            received: packet.length().saturating_add(arrival.header_length),
            expected: length.saturating_add(arrival.header_length),
        }),
    }
}

/// What only version 2 has: authentication, and an interval that must be ours.
fn check_version_2(
    instance: &Instance,
    arrival: &Arrival<'_>,
    packet: &Packet<'_>,
    sequences: &mut Sequences,
) -> Result<(), Reject> {
    check_authentication(instance, packet)?;
    if let (Some(key), Some(signed)) = (instance.header_key(), &arrival.signed) {
        check_header(key, arrival.source, signed, sequences).map_err(Reject::Header)?;
    }
    let (theirs, ours) = (packet.advert_interval(), instance.advert_interval);
    if theirs != ours {
        return Err(Reject::Interval {
            received_s: theirs.as_secs(),
            ours_s: ours.as_secs(),
        });
    }
    Ok(())
}

/// Whether a right checksum is of the other kind. Version 3 over IPv4 is right in
/// either form: RFC 5798 could be read both
/// ways, and routers of both kinds exist.
fn check_checksum(
    instance: &Instance,
    arrival: &Arrival<'_>,
    packet: &Packet<'_>,
) -> Result<bool, Reject> {
    let with_header = Checksum::PseudoHeader {
        source: arrival.source,
        destination: arrival.destination,
    };
    let is_right = |checksum| packet.checksum_is_right(checksum);
    let other_checksum = match (instance.version, instance.family()) {
        (Version::V2, _) if is_right(Checksum::Plain) => false,
        (Version::V3, Family::V6) if is_right(with_header) => false,
        (Version::V3, Family::V4) if is_right(with_header) => instance.v3_checksum_as_v2,
        (Version::V3, Family::V4) if is_right(Checksum::Plain) => !instance.v3_checksum_as_v2,
        (Version::V3, Family::V4) if instance.old_unicast_checksum == Some(true) => {
            let old = Checksum::PseudoHeader {
                source: arrival.source,
                destination: instance.multicast_group,
            };
            if !is_right(old) {
                return Err(Reject::Checksum(instance.version));
            }
            false
        }
        (version, _) => return Err(Reject::Checksum(version)),
    };
    Ok(other_checksum)
}

/// Who may send to an instance with peers, and from how far away.
fn check_peer(instance: &Instance, arrival: &Arrival<'_>) -> Result<(), Reject> {
    let ranged = |peer: &UnicastPeer| peer.min_ttl.is_some() || peer.max_ttl.is_some();
    let peers = &instance.unicast_peers;
    if !instance.check_unicast_source && !peers.iter().any(ranged) {
        return Ok(());
    }
    let Some(peer) = peers.iter().find(|peer| peer.address == arrival.source) else {
        return Err(Reject::NotAPeer);
    };
    let (min, max) = (peer.min_ttl.unwrap_or(0), peer.max_ttl.unwrap_or(u8::MAX));
    if !(min..=max).contains(&arrival.ttl) {
        let ttl = arrival.ttl;
        return Err(Reject::TtlRange { ttl, min, max });
    }
    Ok(())
}

fn check_authentication(instance: &Instance, packet: &Packet<'_>) -> Result<(), Reject> {
    let expected = match instance.authentication {
        Some(Authentication::Password(_)) => auth_type::PASS,
        Some(Authentication::Header(_)) => auth_type::AH,
        None => auth_type::NONE,
    };
    let received = packet.auth_type();
    if received > auth_type::AH {
        return Err(Reject::InvalidAuthType(received));
    }
    if received != expected {
        return Err(Reject::AuthTypeMismatch { received, expected });
    }
    match (instance.password(), packet.authentication()) {
        (None, _) => Ok(()),
        (Some(ours), Some(theirs)) if equal_in_constant_time(&ours.0, theirs) => Ok(()),
        (Some(_), _) => Err(Reject::Password),
    }
}

/// Which of the instances with one VRID on one interface a datagram is for.
/// Multicast: the first that is in this group; what goes to a group that a
/// multicast instance is not in is for nobody. Unicast: the one that names the sender among its
/// peers, else the first; C allows one VRID twice with disjoint peers.
pub fn addressee<'i, I, T>(candidates: I, arrival: &Arrival<'_>) -> Option<T>
where
    I: Iterator<Item = (T, &'i Instance)> + Clone,
{
    let multicast = arrival.destination.is_multicast();
    let knows_it = |instance: &Instance| {
        if multicast {
            instance.multicast_group == arrival.destination && instance.unicast_peers.is_empty()
        } else {
            instance.is_peer(arrival.source)
        }
    };
    let mut fitting = candidates
        .clone()
        .filter(|(_, instance)| knows_it(instance));
    // One that expects the other kind of datagram refuses it, and says so.
    let mut any =
        candidates.filter(|(_, instance)| !multicast || !instance.unicast_peers.is_empty());
    fitting.next().or_else(|| any.next()).map(|(id, _)| id)
}
