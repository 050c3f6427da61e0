//! Whether a received datagram is an acceptable advert for an instance.
//!
//! The checks come in C keepalived's order (specification F.11), so that a
//! datagram with several faults is counted under the same one. Does not decide
//! what an acceptable advert leads to: `election.rs` and `state_machine.rs` do.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use crate::config::model::Instance;
use crate::wire::advert::{Checksum, Packet, TYPE_ADVERTISEMENT, Version, auth_type};
use crate::wire::auth::equal_in_constant_time;
use crate::wire::frames::Ipv4Datagram;

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
    Version(u8),
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
    /// The checksum is wrong.
    Checksum,
    /// Multicast where unicast is configured, or the other way round.
    Cast {
        /// Whether unicast is configured.
        expected_unicast: bool,
    },
}

impl Reject {
    /// The bit that remembers that this reason was logged.
    pub const fn bit(self) -> u16 {
        match self {
            Self::Length { .. } => 1 << 0,
            Self::Ttl(_) => 1 << 1,
            Self::Version(_) => 1 << 2,
            Self::InvalidAuthType(_) => 1 << 3,
            Self::AuthTypeMismatch { .. } => 1 << 4,
            Self::Password => 1 << 5,
            Self::Interval { .. } => 1 << 6,
            Self::Type(_) => 1 << 7,
            Self::TotalLength { .. } => 1 << 8,
            Self::Checksum => 1 << 9,
            Self::Cast { .. } => 1 << 10,
        }
    }

    /// Counts it.
    pub fn count(self, statistics: &mut Statistics) {
        let counter = match self {
            Self::Length { .. } | Self::TotalLength { .. } => &mut statistics.packet_len_err,
            Self::Ttl(_) => &mut statistics.ip_ttl_err,
            Self::Version(_) => &mut statistics.vers_err,
            Self::InvalidAuthType(_) => &mut statistics.invalid_authtype,
            Self::AuthTypeMismatch { .. } => &mut statistics.authtype_mismatch,
            Self::Password => &mut statistics.auth_failure,
            Self::Interval { .. } => &mut statistics.advert_interval_err,
            Self::Type(_) => &mut statistics.invalid_type_rcvd,
            Self::Checksum => &mut statistics.chk_err,
            Self::Cast { .. } => &mut statistics.addr_list_err,
        };
        *counter = counter.saturating_add(1);
    }

    /// The text after the name of the instance (specification E.5).
    pub fn write(self, from: Ipv4Addr, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
            Self::Version(version) => write!(
                f,
                "wrong VRRP version from {from}. Received {version} and expect 2"
            ),
            Self::InvalidAuthType(kind) => write!(f, "Invalid auth type from {from}: {kind}"),
            Self::AuthTypeMismatch { received, expected } => write!(
                f,
                "received a {received} auth from {from}, expecting {expected}!"
            ),
            Self::Password => write!(f, "received an invalid passwd from {from}!"),
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
            Self::Checksum => write!(f, "Invalid VRRPv2 checksum from {from}"),
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

/// Checks a datagram whose VRID is that of `instance`.
pub fn check(
    instance: &Instance,
    datagram: &Ipv4Datagram<'_>,
    packet: &Packet<'_>,
) -> Result<(), Reject> {
    let expected = packet
        .expected_length(Version::V2)
        .saturating_add(datagram.header_length);
    let received = packet.length().saturating_add(datagram.header_length);
    if received != expected {
        return Err(Reject::Length { received, expected });
    }
    let multicast = datagram.destination.is_multicast();
    if multicast && datagram.ttl != 255 {
        return Err(Reject::Ttl(datagram.ttl));
    }
    if packet.version() != 2 {
        return Err(Reject::Version(packet.version()));
    }
    check_authentication(instance, packet)?;
    let (theirs, ours) = (packet.advert_interval(), instance.advert_interval);
    if theirs != ours {
        return Err(Reject::Interval {
            received_s: theirs.as_secs(),
            ours_s: ours.as_secs(),
        });
    }
    if packet.message_type() != TYPE_ADVERTISEMENT {
        return Err(Reject::Type(packet.message_type()));
    }
    if datagram.total_length != received {
        return Err(Reject::TotalLength {
            header: datagram.total_length,
            received,
        });
    }
    if !packet.checksum_is_right(Checksum::Plain) {
        return Err(Reject::Checksum);
    }
    let expected_unicast = !instance.unicast_peers.is_empty();
    if expected_unicast == multicast {
        return Err(Reject::Cast { expected_unicast });
    }
    Ok(())
}

fn check_authentication(instance: &Instance, packet: &Packet<'_>) -> Result<(), Reject> {
    let expected = match instance.password() {
        Some(_) => auth_type::PASS,
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
pub fn addressee<'i, I, T>(candidates: I, datagram: &Ipv4Datagram<'_>) -> Option<T>
where
    I: Iterator<Item = (T, &'i Instance)> + Clone,
{
    let sender = IpAddr::V4(datagram.source);
    let multicast = datagram.destination.is_multicast();
    let knows_it = |instance: &Instance| {
        if multicast {
            instance.multicast_group == IpAddr::V4(datagram.destination)
                && instance.unicast_peers.is_empty()
        } else {
            instance.is_peer(sender)
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
