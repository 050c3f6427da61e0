//! Reads interfaces, makes and changes them.
//!
//! Knows the messages, and nothing of which interface is wanted. Settings of IPv4 go
//! with the interface's number through netlink, so that they can be made where
//! /proc/sys may not be written, as in a container. Source: rtnetlink(7),
//! linux/if_link.h.

use std::collections::BTreeSet;
use std::io;

use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    AfSpecInet, AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoIpVlan, InfoKind,
    InfoMacVlan, IpVlanFlags, IpVlanMode, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
    MacVlanMode,
};

use super::monitor::{attributes, parse_link};
use super::socket::{Message, RequestSocket};
use crate::config::model::IpvlanMode;
use crate::ids::{IfIndex, MacAddress};
use crate::vrrp::action::{OwnLink, OwnLinkKind};
use crate::vrrp::event::InterfaceState;

/// Attributes of a link (rtnetlink(7)).
const LINK_ALIAS: u16 = 20;
const LINK_FAMILIES: u16 = 26;

/// Within the attribute of all families that of IPv4, and in it the settings.
const FAMILY_IPV4: u16 = 2;
const IPV4_SETTINGS: u16 = 1;

/// A group of interfaces that nobody uses, most likely.
const UNLIKELY_GROUP: u32 = 0x6b61_6c76;

/// A setting of IPv4 (`IPV4_DEVCONF_` in linux/ip.h), with its name below /proc/sys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ipv4Setting {
    number: u16,
    pub(super) key: &'static str,
}

impl Ipv4Setting {
    pub(super) const RP_FILTER: Self = Self::new(8, "rp_filter");
    pub(super) const ARP_FILTER: Self = Self::new(13, "arp_filter");
    pub(super) const ARP_ANNOUNCE: Self = Self::new(18, "arp_announce");
    pub(super) const ARP_IGNORE: Self = Self::new(19, "arp_ignore");
    pub(super) const PROMOTE_SECONDARIES: Self = Self::new(20, "promote_secondaries");
    pub(super) const ACCEPT_LOCAL: Self = Self::new(23, "accept_local");

    const fn new(number: u16, key: &'static str) -> Self {
        Self { number, key }
    }
}

/// An interface as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// All but its addresses.
    pub(super) state: InterfaceState,
    /// What somebody wrote to it (`ip link set alias`).
    pub(super) alias: Option<String>,
    /// Its settings of IPv4, the first of which has number 1.
    ipv4: Vec<u32>,
}

impl Link {
    /// A setting of IPv4, if the kernel tells it.
    pub(super) fn ipv4(&self, setting: Ipv4Setting) -> Option<u32> {
        let place = usize::from(setting.number).checked_sub(1)?;
        self.ipv4.get(place).copied()
    }

    fn parse(payload: &[u8]) -> Option<Self> {
        let state = parse_link(payload)?;
        let (mut alias, mut ipv4) = (None, Vec::new());
        for attribute in attributes(payload.get(16..)?) {
            let value = attribute.value();
            match attribute.kind() {
                LINK_ALIAS => {
                    let text = value.strip_suffix(&[0]).unwrap_or(value);
                    alias = Some(String::from_utf8_lossy(text).into_owned());
                }
                LINK_FAMILIES => ipv4 = ipv4_settings(value).unwrap_or_default(),
                _ => {}
            }
        }
        Some(Self { state, alias, ipv4 })
    }
}

fn ipv4_settings(families: &[u8]) -> Option<Vec<u32>> {
    let find = |bytes, kind| attributes(bytes).find(|it| it.kind() == kind);
    let ipv4 = find(families, FAMILY_IPV4)?;
    let settings = find(ipv4.value(), IPV4_SETTINGS)?;
    let numbers = settings.value().as_chunks::<4>().0;
    Some(numbers.iter().map(|it| u32::from_ne_bytes(*it)).collect())
}

/// The interface of this name, if there is one.
pub(super) fn by_name(socket: &mut RequestSocket, name: &str) -> io::Result<Option<Link>> {
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::IfName(name.to_owned())];
    get(socket, message)
}

/// The interface with this number, if there is one.
pub(super) fn by_index(socket: &mut RequestSocket, index: IfIndex) -> io::Result<Option<Link>> {
    get(socket, message(index))
}

fn get(socket: &mut RequestSocket, message: LinkMessage) -> io::Result<Option<Link>> {
    let request = RouteNetlinkMessage::GetLink(message);
    match socket.get(request, |answer| Link::parse(answer.payload)) {
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
        result => result,
    }
}

/// Every interface there is.
pub(super) fn all(socket: &mut RequestSocket) -> io::Result<Vec<Link>> {
    let mut links: Vec<Link> = Vec::new();
    let each: fn(&mut Vec<Link>, Message<'_>) =
        |links, message| links.extend(Link::parse(message.payload));
    let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
    socket.dump(&request, &mut links, Vec::clear, each)?;
    Ok(links)
}

/// Makes an interface, which is down. `EEXIST`: there is one of that name.
pub(super) fn create(socket: &mut RequestSocket, link: &OwnLink) -> io::Result<()> {
    let request = RouteNetlinkMessage::NewLink(message_to_create(link));
    socket.change(request, NLM_F_CREATE | NLM_F_EXCL)
}

fn message_to_create(link: &OwnLink) -> LinkMessage {
    let mut message = LinkMessage::default();
    let (kind, data) = match link.kind {
        OwnLinkKind::Macvlan(_) => {
            let mode = InfoMacVlan::Mode(MacVlanMode::Private);
            (InfoKind::MacVlan, InfoData::MacVlan(vec![mode]))
        }
        OwnLinkKind::Ipvlan(mode) => {
            let flags = match mode {
                IpvlanMode::Bridge => IpVlanFlags::empty(),
                IpvlanMode::Private => IpVlanFlags::Private,
                IpvlanMode::Vepa => IpVlanFlags::Vepa,
            };
            let mode = InfoIpVlan::Mode(IpVlanMode::L2);
            let data = vec![mode, InfoIpVlan::Flags(flags)];
            (InfoKind::IpVlan, InfoData::IpVlan(data))
        }
    };
    message.attributes = vec![
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind), LinkInfo::Data(data)]),
        LinkAttribute::Link(link.parent.0),
        LinkAttribute::IfName(link.name.clone()),
    ];
    if let OwnLinkKind::Macvlan(mac) = link.kind {
        message.attributes.push(address(mac));
    }
    if link.group != 0 {
        message.attributes.push(LinkAttribute::Group(link.group));
    }
    message
}

fn address(mac: MacAddress) -> LinkAttribute {
    LinkAttribute::Address(mac.0.to_vec())
}

/// Changes the hardware address.
pub(super) fn set_mac(
    socket: &mut RequestSocket,
    index: IfIndex,
    mac: MacAddress,
) -> io::Result<()> {
    set(socket, index, address(mac))
}

/// Puts it into a group of interfaces.
pub(super) fn set_group(socket: &mut RequestSocket, index: IfIndex, group: u32) -> io::Result<()> {
    set(socket, index, LinkAttribute::Group(group))
}

/// Puts it into a VRF, or takes it out of the one it is in.
pub(super) fn set_vrf(
    socket: &mut RequestSocket,
    index: IfIndex,
    vrf: Option<IfIndex>,
) -> io::Result<()> {
    let master = vrf.unwrap_or(IfIndex::ANY);
    set(socket, index, LinkAttribute::Controller(master.0))
}

/// Writes a text to it. Of an interface that is up, the kernel tells everybody anew.
pub(super) fn set_alias(socket: &mut RequestSocket, index: IfIndex, alias: &str) -> io::Result<()> {
    set(socket, index, LinkAttribute::IfAlias(alias.to_owned()))
}

/// Sees to it that it gives itself no link-local address of IPv6.
pub(super) fn set_no_link_local(socket: &mut RequestSocket, index: IfIndex) -> io::Result<()> {
    let mode = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
    let families = vec![AfSpecUnspec::Inet6(vec![mode])];
    set(socket, index, LinkAttribute::AfSpecUnspec(families))
}

/// Makes one setting of IPv4.
pub(super) fn set_ipv4(
    socket: &mut RequestSocket,
    index: IfIndex,
    setting: Ipv4Setting,
    value: u32,
) -> io::Result<()> {
    set(socket, index, ipv4_setting(setting, value))
}

fn ipv4_setting(setting: Ipv4Setting, value: u32) -> LinkAttribute {
    // Asked for one by one, and told as an array.
    let mut bytes = 8_u16.to_ne_bytes().to_vec();
    bytes.extend(setting.number.to_ne_bytes());
    bytes.extend(value.to_ne_bytes());
    let settings = AfSpecInet::Other(DefaultNla::new(IPV4_SETTINGS, bytes));
    LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet(vec![settings])])
}

/// Sets it up.
pub(super) fn set_up(socket: &mut RequestSocket, index: IfIndex) -> io::Result<()> {
    let mut message = message(index);
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    socket.change(RouteNetlinkMessage::NewLink(message), 0)
}

/// Deletes it; whether it was there.
pub(super) fn delete(socket: &mut RequestSocket, index: IfIndex) -> io::Result<bool> {
    // Without a number the kernel would look for other things to delete.
    if index == IfIndex::ANY {
        return Ok(false);
    }
    match socket.change(RouteNetlinkMessage::DelLink(message(index)), 0) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Deletes several at once, which takes the kernel hardly longer than one: it waits some
/// 30 ms each time until nobody looks at them any more. They are put into a group of
/// interfaces that nobody uses, and the group is deleted. What cannot be deleted so is
/// there still.
pub(super) fn delete_together(socket: &mut RequestSocket, links: &[IfIndex]) -> io::Result<()> {
    let there = all(socket)?;
    let used: BTreeSet<u32> = there.iter().map(|it| it.state.link.group).collect();
    let free = |group: &u32| !used.contains(group);
    let Some(group) = (1..=UNLIKELY_GROUP).rev().find(free) else {
        return Ok(());
    };
    let mut outcome = Ok(());
    for link in links {
        if there.iter().any(|it| it.state.index == *link) {
            outcome = outcome.and(set_group(socket, *link, group));
        }
    }
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::Group(group)];
    match socket.change(RouteNetlinkMessage::DelLink(message), 0) {
        // None of them was there.
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => outcome,
        result => outcome.and(result),
    }
}

fn set(socket: &mut RequestSocket, index: IfIndex, attribute: LinkAttribute) -> io::Result<()> {
    let mut message = message(index);
    message.attributes = vec![attribute];
    socket.change(RouteNetlinkMessage::NewLink(message), 0)
}

fn message(index: IfIndex) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index.0;
    message
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable;

    use super::*;
    use crate::vrrp::event::{LinkDetails, LinkKind};

    fn bytes(message: &LinkMessage) -> Vec<u8> {
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        bytes
    }

    fn ipvlan(mode: IpvlanMode) -> OwnLink {
        OwnLink {
            name: "vrrp.51".into(),
            parent: IfIndex(3),
            kind: OwnLinkKind::Ipvlan(mode),
            group: 7,
            vrf: None,
            ipv4: true,
            ipv6: false,
            notify: false,
        }
    }

    /// Written out by hand, from linux/if_link.h: many a kernel has no ipvlan to try it.
    #[test]
    fn an_ipvlan_is_asked_for_byte_by_byte() {
        if cfg!(target_endian = "big") {
            return;
        }
        let asked = bytes(&message_to_create(&ipvlan(IpvlanMode::Private)));
        let mut expected = vec![0; 16];
        // IFLA_LINKINFO with kind and data, of which mode and flags have two bytes.
        expected.extend([36, 0, 18, 0, 11, 0, 1, 0]);
        expected.extend(b"ipvlan\0\0");
        expected.extend([20, 0, 2, 0, 6, 0, 1, 0, 0, 0, 0, 0, 6, 0, 2, 0, 1, 0, 0, 0]);
        // IFLA_LINK, IFLA_IFNAME and IFLA_GROUP.
        expected.extend([8, 0, 5, 0, 3, 0, 0, 0]);
        expected.extend([12, 0, 3, 0]);
        expected.extend(b"vrrp.51\0");
        expected.extend([8, 0, 27, 0, 7, 0, 0, 0]);
        assert_eq!(asked, expected);
    }

    #[test]
    fn an_ipvlan_is_read_as_it_was_asked_for() {
        for mode in [IpvlanMode::Bridge, IpvlanMode::Private, IpvlanMode::Vepa] {
            let asked = bytes(&message_to_create(&ipvlan(mode)));
            let found = Link::parse(&asked).expect("a link").state.link;
            let expected = LinkDetails {
                parent: Some(IfIndex(3)),
                master: None,
                kind: LinkKind::Ipvlan(Some(mode)),
                group: 7,
            };
            assert_eq!(found, expected);
            assert!(found.is_of(&OwnLinkKind::Ipvlan(mode), IfIndex(3)));
            assert!(!found.is_of(&OwnLinkKind::Ipvlan(mode), IfIndex(4)));
        }
        let vepa = OwnLinkKind::Ipvlan(IpvlanMode::Vepa);
        let asked = bytes(&message_to_create(&ipvlan(IpvlanMode::Bridge)));
        let found = Link::parse(&asked).expect("a link").state.link;
        assert!(!found.is_of(&vepa, IfIndex(3)));
    }

    #[test]
    fn a_message_that_is_cut_anywhere_does_no_harm() {
        let whole = bytes(&message_to_create(&ipvlan(IpvlanMode::Bridge)));
        for length in 0..whole.len() {
            let _ = Link::parse(&whole[..length]);
        }
    }

    #[test]
    fn a_vrf_and_what_is_in_it_are_told() {
        let mut vrf = message(IfIndex(9));
        vrf.attributes = vec![
            LinkAttribute::IfName("blue".into()),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Vrf)]),
        ];
        let found = Link::parse(&bytes(&vrf)).expect("a link").state.link;
        assert_eq!(found.kind, LinkKind::Vrf);
        let mut member = message(IfIndex(3));
        member.attributes = vec![
            LinkAttribute::IfName("eth0".into()),
            LinkAttribute::Controller(9),
        ];
        let found = Link::parse(&bytes(&member)).expect("a link").state.link;
        assert_eq!(found.master, Some(IfIndex(9)));
    }

    /// The number of a parent means something else here.
    #[test]
    fn a_parent_in_another_namespace_is_none() {
        let mut link = message(IfIndex(3));
        link.attributes = vec![
            LinkAttribute::IfName("eth0".into()),
            LinkAttribute::Link(2),
            LinkAttribute::LinkNetNsId(0),
        ];
        let found = Link::parse(&bytes(&link)).expect("a link").state.link;
        assert_eq!(found.parent, None);
    }
}
