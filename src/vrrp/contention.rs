//! Two masters: what is said of an instance that is MASTER and goes on hearing
//! another one.
//!
//! Decides the words and the likely fix. When an instance is contended is
//! decided in `instance/contended.rs`. No RFC knows this state; it changes
//! nothing but what is told.

use std::fmt;
use std::net::IpAddr;

use crate::ids::Priority;
use crate::time::Instant;

use super::authentication::{HeaderFault, TrailerFault};
use super::receive::Reject;

/// Another MASTER of the same virtual router, which does not go away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contended {
    /// Since when: the first of the adverts that led to it.
    pub since: Instant,
    /// Who sends them.
    pub peer: IpAddr,
    /// The priority in the last one.
    pub priority: Priority,
    /// Why neither gives way.
    pub reason: Contention,
}

/// Why two masters do not find out who is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contention {
    /// We refuse the adverts of the other one.
    Refused(Reject),
    /// The adverts of the other one are acceptable and no better than ours, so
    /// that it should give way, and it does not: it does not hear or accept ours.
    Unheard,
    /// The same, and its VIPs are others than ours: C keepalived before 2.3.3
    /// refuses adverts with other VIPs.
    OtherVips,
    /// Like `Unheard`, and its adverts of version 3 have the other checksum, which is
    /// the only one that most others accept (RFC 5798 and 9568 section 5.2.8).
    OtherChecksum,
    /// Like `Unheard`, and we do not send to it: our unicast peers are others.
    NotOurPeer,
    /// The other one sends from our own address.
    SameAddress,
    /// We own the addresses and ignore all adverts (`owner_ignore_adverts`).
    IgnoredByOwner,
}

impl Contention {
    /// Whether it is the same reason, whatever the numbers in it.
    pub fn is_like(self, other: Self) -> bool {
        match (self, other) {
            (Self::Refused(one), Self::Refused(two)) => one.kind() == two.kind(),
            (one, two) => one == two,
        }
    }

    /// Whether the other one, for the same reason, may refuse our adverts. It cannot
    /// give way to us then; and one that runs C keepalived is hardly heard any
    /// more, since C puts its next advert off with each one that it refuses.
    pub const fn is_mutual(self) -> bool {
        matches!(
            self,
            Self::Refused(
                Reject::Password
                    | Reject::InvalidAuthType(_)
                    | Reject::AuthTypeMismatch { .. }
                    | Reject::Header(
                        HeaderFault::Unexpected | HeaderFault::Missing | HeaderFault::Signature
                    )
                    | Reject::Version { .. }
                    | Reject::Interval { .. }
                    | Reject::Cast { .. }
            )
        )
    }

    /// Whether it is a copy of an old advert, which says nothing of its sender.
    pub const fn is_replay(self) -> bool {
        matches!(
            self,
            Self::Refused(
                Reject::Header(HeaderFault::Replayed { .. })
                    | Reject::Trailer(TrailerFault::Replayed)
            )
        )
    }

    /// What mends it most often, as an imperative without a full stop.
    pub const fn fix(self) -> &'static str {
        match self {
            Self::Refused(reject) => fix_of(reject),
            Self::Unheard => {
                "it does not hear our adverts: let protocol 112 through its firewall and the \
                 switch, and name our address among its unicast_peer if it has any"
            }
            Self::OtherVips => {
                "use the same virtual_ipaddress on both nodes, since keepalived before 2.3.3 \
                 refuses any other"
            }
            Self::OtherChecksum => "use the same v3_checksum_as_v2 on both nodes",
            Self::NotOurPeer => "name its address among our unicast_peer",
            Self::SameAddress => {
                "give each node an address of its own, and look for a loop in the network"
            }
            Self::IgnoredByOwner => {
                "give priority 255 to the one node that owns the addresses, \
                 or remove owner_ignore_adverts"
            }
        }
    }
}

const fn fix_of(reject: Reject) -> &'static str {
    match reject {
        Reject::Password => "use the same auth_pass on both nodes",
        Reject::InvalidAuthType(_) | Reject::AuthTypeMismatch { .. } => {
            "use the same auth_type on both nodes"
        }
        Reject::Header(HeaderFault::Unexpected | HeaderFault::Missing) => {
            "use auth_type AH on both nodes or on none"
        }
        Reject::Header(HeaderFault::Index { .. }) => {
            "nothing on the way may change the source address"
        }
        Reject::Header(HeaderFault::Signature) => "use the same auth_pass on both nodes",
        Reject::Header(HeaderFault::Replayed { .. }) => {
            "set its clock, or look for who repeats old packets"
        }
        Reject::Trailer(TrailerFault::Missing) => {
            "configure auth_hmac on both nodes, with mode permissive until all have it"
        }
        Reject::Trailer(TrailerFault::Malformed) => "look for another version of auth_hmac there",
        Reject::Trailer(TrailerFault::UnknownKey(_)) => {
            "give both nodes the key with this number in auth_hmac"
        }
        Reject::Trailer(TrailerFault::Signature) => {
            "give both nodes the same key under the same number in auth_hmac"
        }
        Reject::Trailer(TrailerFault::Stale { .. }) => "set the clocks of both nodes by NTP",
        Reject::Trailer(TrailerFault::Replayed) => "look for who repeats old packets",
        Reject::Version { .. } => "use the same vrrp_version on both nodes",
        Reject::Interval { .. } => "use the same advert_int on both nodes",
        Reject::Ttl(_) => {
            "let no router forward the adverts: use another virtual_router_id, or unicast_peer"
        }
        Reject::TtlRange { .. } => "correct min_ttl and max_ttl of this unicast_peer",
        Reject::NotAPeer => "name its address among our unicast_peer",
        Reject::Cast { .. } => "use unicast_peer on both nodes or on none",
        Reject::Checksum(_) => {
            "look for a middlebox or driver that damages packets, or for another \
             v3_checksum_as_v2 or unicast checksum setting"
        }
        Reject::Length { .. } | Reject::TotalLength { .. } | Reject::Type(_) => {
            "look for another vrrp_version, or for another program with this virtual_router_id"
        }
    }
}

impl fmt::Display for Contention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reject) => write!(f, "its adverts are refused ({})", Short(*reject)),
            Self::Unheard => f.write_str("it does not give way to our adverts"),
            Self::OtherVips => {
                f.write_str("it has other VIPs and does not give way to our adverts")
            }
            Self::OtherChecksum => f.write_str(
                "its checksum is of the other form, and it does not give way to our adverts",
            ),
            Self::NotOurPeer => f.write_str("we do not send to it, so that it cannot give way"),
            Self::SameAddress => f.write_str("it uses our own address"),
            Self::IgnoredByOwner => f.write_str("its adverts are ignored by owner_ignore_adverts"),
        }
    }
}

/// A reason for refusal in a few words, without the sender.
pub struct Short(pub Reject);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            Reject::Length { received, expected } => {
                return write!(f, "length {received}, expected {expected}");
            }
            Reject::TotalLength { header, received } => {
                return write!(f, "length {received}, the IP header has {header}");
            }
            Reject::Ttl(ttl) => return write!(f, "TTL {ttl}, expected 255"),
            Reject::TtlRange { ttl, min, max } => {
                return write!(f, "TTL {ttl}, expected {min} to {max}");
            }
            Reject::Version { received, expected } => {
                return write!(f, "version {received}, ours {expected}");
            }
            Reject::InvalidAuthType(kind) => return write!(f, "authentication type {kind}"),
            Reject::AuthTypeMismatch { received, expected } => {
                return write!(f, "authentication type {received}, ours {expected}");
            }
            Reject::Interval { received_s, ours_s } => {
                return write!(f, "advert interval {received_s} s, ours {ours_s} s");
            }
            Reject::Type(kind) => return write!(f, "packet type {kind}"),
            Reject::Trailer(TrailerFault::UnknownKey(key)) => {
                return write!(f, "unknown key {key} of auth_hmac");
            }
            Reject::Trailer(TrailerFault::Stale { skew_s, window_s }) => {
                return write!(f, "clock differs by {skew_s} s, allowed are {window_s} s");
            }
            Reject::Password => "wrong password",
            Reject::Header(HeaderFault::Unexpected) => "authentication header, ours has none",
            Reject::Header(HeaderFault::Missing) => "no authentication header",
            Reject::Header(HeaderFault::Index { .. }) => "authentication header of another address",
            Reject::Header(HeaderFault::Signature) => "wrong password of the authentication header",
            Reject::Header(HeaderFault::Replayed { .. }) => "replayed authentication header",
            Reject::Trailer(TrailerFault::Missing) => "no trailer of auth_hmac",
            Reject::Trailer(TrailerFault::Malformed) => "malformed trailer of auth_hmac",
            Reject::Trailer(TrailerFault::Signature) => "wrong key of auth_hmac",
            Reject::Trailer(TrailerFault::Replayed) => "replayed trailer of auth_hmac",
            Reject::Checksum(_) => "wrong checksum",
            Reject::Cast {
                expected_unicast: true,
            } => "multicast, ours is unicast",
            Reject::Cast {
                expected_unicast: false,
            } => "unicast, ours is multicast",
            Reject::NotAPeer => "not a unicast peer",
        };
        f.write_str(text)
    }
}
