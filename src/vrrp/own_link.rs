//! The interfaces that instances make for themselves (`use_vmac`, `use_ipvlan`), and
//! what the kernel tells of how interfaces stand on each other.
//!
//! Decides when an interface that is there already may be taken over. Does not decide
//! which interface an instance wants, nor what it is called. Source: specification
//! D.7, F.12.

use std::fmt;

use crate::config::model::{Family, IpvlanMode};
use crate::ids::{IfIndex, MacAddress};

/// An interface to make.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OwnLink {
    /// Its name, at most 15 bytes.
    pub name: String,
    /// The interface that it stands on.
    pub parent: IfIndex,
    /// What it is.
    pub kind: OwnLinkKind,
    /// The group of interfaces it belongs to (`ip link`), 0 for the default one.
    pub group: u32,
    /// The VRF to put it in.
    pub vrf: Option<IfIndex>,
    /// It is for IPv4: it will have addresses, or adverts.
    pub ipv4: bool,
    /// The same of IPv6, which is off on it otherwise.
    pub ipv6: bool,
    /// Everybody who listens is told once more when it is complete
    /// (`netlink_notify_msg`).
    pub notify: bool,
}

/// What an interface of our own is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OwnLinkKind {
    /// A private macvlan with this hardware address.
    Macvlan(MacAddress),
    /// An ipvlan of mode L2, which has the hardware address of its parent.
    Ipvlan(IpvlanMode),
}

/// How an interface stands to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkDetails {
    /// What it stands on, if that is in this network namespace; of a cable between two
    /// namespaces (veth) the other end.
    pub parent: Option<IfIndex>,
    /// The bridge, bond or VRF that it is part of.
    pub master: Option<IfIndex>,
    /// What it is.
    pub kind: LinkKind,
    /// The group of interfaces it belongs to, 0 for the default one.
    pub group: u32,
}

/// What an interface is, as far as that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkKind {
    /// Anything else.
    #[default]
    Other,
    /// A macvlan.
    Macvlan {
        /// Of mode `private`.
        private: bool,
    },
    /// An ipvlan; `None` if it is not of mode L2.
    Ipvlan(Option<IpvlanMode>),
    /// A VRF.
    Vrf,
}

impl LinkDetails {
    /// Whether an interface like this can be used as one of this kind on `parent`: all
    /// that cannot be changed any more is right.
    pub fn is_of(&self, kind: &OwnLinkKind, parent: IfIndex) -> bool {
        let fits = match (kind, self.kind) {
            (OwnLinkKind::Macvlan(_), LinkKind::Macvlan { private }) => private,
            (OwnLinkKind::Ipvlan(mode), LinkKind::Ipvlan(Some(other))) => *mode == other,
            _ => false,
        };
        fits && self.parent == Some(parent)
    }
}

/// A part of an interface of our own without which it works, but not as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkPart {
    /// The rules that keep multicast reports and solicitations from leaving with the
    /// virtual hardware address.
    Firewall(Family),
    /// A setting of the interface, or of the one it stands on (`net.FAMILY.conf.NAME.KEY`).
    Setting {
        /// IPv4 or IPv6.
        family: Family,
        /// Its name.
        key: &'static str,
        /// It is a setting of the interface below.
        of_parent: bool,
    },
    /// The mark by which it is known to be ours, with what the settings of the
    /// interface below were.
    Mark,
    /// The group or VRF it belongs to.
    Membership,
}

impl fmt::Display for LinkPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |family: &Family| match family {
            Family::Inet => "ipv4",
            Family::Inet6 => "ipv6",
        };
        match self {
            Self::Firewall(family) => {
                write!(f, "the {} firewall rules", name(family))
            }
            Self::Setting {
                family,
                key,
                of_parent,
            } => {
                let whose = if *of_parent {
                    " of the base interface"
                } else {
                    ""
                };
                write!(f, "the {} setting {key}{whose}", name(family))
            }
            Self::Mark => f.write_str("the alias"),
            Self::Membership => f.write_str("the group or VRF"),
        }
    }
}
