//! What kind an interface is, as the kernel tells it and as it is asked for
//! (`IFLA_LINKINFO`, linux/if_link.h).
//!
//! Knows macvlan, ipvlan and VRF. Decides nothing.

use super::monitor::attributes;
use crate::config::model::IpvlanMode;
use crate::vrrp::event::LinkKind;

/// Attributes within `IFLA_LINKINFO`.
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;

/// The attribute of a macvlan.
const MACVLAN_MODE: u16 = 1;

/// Its mode (`MACVLAN_MODE_PRIVATE`).
const MACVLAN_PRIVATE: u32 = 1;

/// Attributes of an ipvlan.
const IPVLAN_MODE: u16 = 1;
const IPVLAN_FLAGS: u16 = 2;

/// Its mode (`IPVLAN_MODE_L2`), and its flags (`IPVLAN_F_PRIVATE`, `IPVLAN_F_VEPA`).
const IPVLAN_L2: u16 = 0;
const IPVLAN_PRIVATE: u16 = 1;
const IPVLAN_VEPA: u16 = 2;

/// What the value of `IFLA_LINKINFO` says. What is not understood is `Other`.
pub(super) fn parse(info: &[u8]) -> LinkKind {
    let find = |kind| attributes(info).find(|it| it.kind() == kind);
    let Some(kind) = find(INFO_KIND) else {
        return LinkKind::Other;
    };
    let data = find(INFO_DATA);
    let data = data.as_ref().map_or(&[][..], |it| it.value());
    match kind.value().strip_suffix(&[0]).unwrap_or(kind.value()) {
        b"macvlan" => LinkKind::Macvlan {
            private: number32(data, MACVLAN_MODE) == Some(MACVLAN_PRIVATE),
        },
        b"ipvlan" => LinkKind::Ipvlan(parse_ipvlan(data)),
        b"vrf" => LinkKind::Vrf,
        _ => LinkKind::Other,
    }
}

fn parse_ipvlan(data: &[u8]) -> Option<IpvlanMode> {
    if number16(data, IPVLAN_MODE)? != IPVLAN_L2 {
        return None;
    }
    // Kernels before 4.15 know no flags.
    match number16(data, IPVLAN_FLAGS).unwrap_or(0) {
        0 => Some(IpvlanMode::Bridge),
        IPVLAN_PRIVATE => Some(IpvlanMode::Private),
        IPVLAN_VEPA => Some(IpvlanMode::Vepa),
        _ => None,
    }
}

fn number32(bytes: &[u8], kind: u16) -> Option<u32> {
    let attribute = attributes(bytes).find(|it| it.kind() == kind)?;
    Some(u32::from_ne_bytes(*attribute.value().first_chunk()?))
}

fn number16(bytes: &[u8], kind: u16) -> Option<u16> {
    let attribute = attributes(bytes).find(|it| it.kind() == kind)?;
    Some(u16::from_ne_bytes(*attribute.value().first_chunk()?))
}
