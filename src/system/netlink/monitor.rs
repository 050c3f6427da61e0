//! Watches links and addresses, and what becomes of routes and rules of ours.
//!
//! Keeps a table of what the kernel has told and turns every change into the
//! whole present state of an interface. Routes and rules are in no table: only that
//! one with our protocol is gone is reported, whoever took it out. Does not decide what a change means.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{NlaBuffer, NlasIterator};
use netlink_packet_route::address::{AddressHeader, AddressMessage};
use netlink_packet_route::link::{LinkFlags, LinkHeader, LinkLayerType, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::socket::{BUFFER_BYTES, Message, RequestSocket, enlarge_receive_buffer, messages};
use super::{Report, link_kind};
use crate::config::model::Buffer;
use crate::config::model::{Family, PROTOCOL_KEEPALIVED, Prefix};
use crate::ids::{IfIndex, MacAddress};
use crate::vrrp::event::{InterfaceAddress, InterfaceState, LinkDetails, LostWay};

/// How much may wait in the kernel: 4,000 addresses that come at once need a
/// good megabyte.
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;

/// How many reads make one turn: more than the receive buffer can hold, so that
/// a turn ends with an empty queue unless the kernel never stops.
const READS_PER_TURN_MAX: usize = 1 << 16;

/// The groups (rtnetlink(7)) of links, IPv4 and IPv6 addresses, and of settings of
/// IPv6 (linux/rtnetlink.h), as a bit set.
const GROUPS: u32 = 0x1 | 0x10 | 0x100 | 0x100_0000;

/// The port of the kernel itself (netlink(7)).
const KERNEL: u32 = 0;

/// The groups of IPv4 and IPv6 routes and rules, by number. They are joined when the
/// first of ours is put in: a router may have a million others.
const GROUPS_OF_WAYS: [u32; 4] = [7, 8, 11, 19];

/// Message types (rtnetlink(7)).
const NEW_LINK: u16 = 16;
const DELETED_LINK: u16 = 17;
const NEW_ADDRESS: u16 = 20;
const DELETED_ADDRESS: u16 = 21;
const DELETED_ROUTE: u16 = 25;
const DELETED_RULE: u16 = 33;
const NEW_SETTINGS: u16 = 80;

/// Attributes of a link and of an address (rtnetlink(7)).
const LINK_ADDRESS: u16 = 1;
const LINK_NAME: u16 = 3;
const LINK_MTU: u16 = 4;
const LINK_PARENT: u16 = 5;
const LINK_MASTER: u16 = 10;
const LINK_INFO: u16 = 18;
const LINK_FAMILIES: u16 = 26;
const LINK_GROUP: u16 = 27;
const LINK_NAMESPACE: u16 = 37;
const ADDRESS_ADDRESS: u16 = 1;
const ADDRESS_LOCAL: u16 = 2;

/// Attributes of a route (rtnetlink(7)) and of a rule (linux/fib_rules.h).
const ROUTE_DESTINATION: u16 = 1;
const ROUTE_METRIC: u16 = 6;
const RULE_PREFERENCE: u16 = 6;
const RULE_PROTOCOL: u16 = 21;

/// The length of the headers of both.
const WAY_HEADER_BYTES: usize = 12;

/// Within the attribute of all families that of IPv6, and in it the settings
/// (linux/if_link.h), an array of numbers: the first is `forwarding`.
const FAMILY_IPV6: u16 = 10;
const IPV6_SETTINGS: u16 = 2;

/// Attributes of changed settings (linux/netconf.h).
const SETTINGS_INTERFACE: u16 = 1;
const SETTINGS_FORWARDING: u16 = 2;

/// Of the flags of an address: it is no primary one.
const FLAG_SECONDARY: u8 = 0x01;

/// Duplicate address detection is under way.
const FLAG_TENTATIVE: u8 = 0x40;

/// Duplicate address detection found another owner.
const FLAG_DUPLICATE: u8 = 0x08;

/// Hears of changes and keeps the table.
#[derive(Debug)]
pub(super) struct Monitor {
    socket: AsyncFd<Socket>,
    table: Table,
    buffer: Vec<u8>,
    watches_ways: bool,
}

impl Monitor {
    /// Begins to listen. What is there already comes with the first `refill`. Needs
    /// a tokio runtime with I/O.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_non_blocking(true)?;
        enlarge_receive_buffer(&socket, RECEIVE_BUFFER_BYTES);
        socket.bind(&SocketAddr::new(0, GROUPS))?;
        // SAFETY: the descriptor is owned by what is registered and is open as long as that.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?;
        Ok(Self {
            socket,
            table: Table::default(),
            buffer: Vec::with_capacity(BUFFER_BYTES),
            watches_ways: false,
        })
    }

    /// Has room for more news in the kernel, if more is asked for.
    pub(super) fn enlarge_buffer(&self, buffer: Buffer) {
        let bytes = buffer.bytes.and_then(|bytes| usize::try_from(bytes).ok());
        if let Some(bytes) = bytes.filter(|bytes| *bytes > RECEIVE_BUFFER_BYTES) {
            enlarge_receive_buffer(self.socket.get_ref(), bytes);
        }
    }

    /// Watches routes and rules, too, from now on.
    pub(super) fn watch_ways(&mut self) -> io::Result<()> {
        if !self.watches_ways {
            for group in GROUPS_OF_WAYS {
                self.socket.get_mut().add_membership(group)?;
            }
            self.watches_ways = true;
        }
        Ok(())
    }

    /// Waits until there may be news. May be dropped while it waits.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await?.retain_ready();
        Ok(())
    }

    /// Forgets what is known, asks the kernel for everything and reports it.
    pub(super) fn refill(&mut self, requests: &mut RequestSocket) -> io::Result<Report> {
        self.table = Table::read(requests)?;
        Ok(Report::All(self.table.states()))
    }

    /// Takes the news there are, up to a bound, and adds the reports to `reports`.
    /// Where news were lost, everything is read anew.
    pub(super) fn take(
        &mut self,
        requests: &mut RequestSocket,
        reports: &mut Vec<Report>,
    ) -> io::Result<()> {
        let mut changes = Changes::default();
        let mut lost = false;
        for _ in 0..READS_PER_TURN_MAX {
            match self.read() {
                // What was read after a loss is part of the dump that follows. All
                // of it must be read first: old news would spoil the dump, and the
                // kernel drops new ones silently until the queue is empty.
                Ok(()) if lost => {}
                Ok(()) => {
                    for message in messages(&self.buffer) {
                        self.table.learn(message, &mut changes);
                    }
                }
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => lost = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.table.report_touched(&mut changes);
        reports.append(&mut changes.reports);
        if lost {
            reports.push(self.refill(requests)?);
        }
        Ok(())
    }

    /// Reads once into the buffer, without blocking. What another process sent to
    /// the group is no news, and leaves the buffer empty.
    fn read(&mut self) -> io::Result<()> {
        self.buffer.clear();
        let buffer = &mut self.buffer;
        // Through tokio first, so that it learns when the socket is empty; then
        // directly, because tokio only knows of what it has polled for.
        let read = self
            .socket
            .try_io(Interest::READABLE, |socket| socket.recv_from(buffer, 0));
        let (_, sender) = match read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.socket.get_ref().recv_from(&mut self.buffer, 0)
            }
            result => result,
        }?;
        if sender.port_number() != KERNEL {
            self.buffer.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
impl Monitor {
    /// Makes the kernel lose news soon.
    pub(super) fn shrink_receive_buffer(&self) {
        self.socket
            .get_ref()
            .set_rx_buf_sz(1_u32)
            .expect("a small buffer");
    }
}

/// What one turn has changed.
#[derive(Debug, Default)]
struct Changes {
    reports: Vec<Report>,
    /// Interfaces whose addresses changed. They are reported at the end of the
    /// turn, once each: with thousands of addresses on one interface a report
    /// for each would be quadratic work.
    touched: BTreeSet<u32>,
    removed: Vec<Report>,
}

/// Every interface without its addresses, and whether it is of the hardware type
/// Ethernet: where there are thousands of addresses, they are most of the work.
pub(super) fn links(requests: &mut RequestSocket) -> io::Result<Vec<(InterfaceState, bool)>> {
    let mut found: Vec<(InterfaceState, bool)> = Vec::new();
    let question = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let each: fn(&mut Vec<(InterfaceState, bool)>, Message<'_>) = |found, message| {
        let is_ethernet = |header: LinkHeader| header.link_layer_type == LinkLayerType::Ether;
        let ethernet = link_header(message.payload).is_some_and(is_ethernet);
        let link = parse_link(message.payload).filter(|_| message.kind == NEW_LINK);
        found.extend(link.map(|state| (state, ethernet)));
    };
    requests.dump(&question, &mut found, Vec::clear, each)?;
    Ok(found)
}

/// Every interface there is.
#[derive(Debug, Default)]
pub(super) struct Table {
    interfaces: BTreeMap<u32, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// All but the addresses.
    state: InterfaceState,
    addresses: Vec<Address>,
}

/// An address with what decides its place among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Address {
    shown: InterfaceAddress,
    /// With `peer` the same address may be there more than once.
    prefix: IpAddr,
    scope: u8,
    secondary: bool,
    /// The kernel sends nothing from an address that is not yet, or was found not to be,
    /// its own.
    usable: bool,
    duplicate: bool,
}

impl Table {
    /// Asks the kernel for everything.
    pub(super) fn read(requests: &mut RequestSocket) -> io::Result<Self> {
        let mut table = Self::default();
        let restart: fn(&mut Self) = |table| table.interfaces.clear();
        let each: fn(&mut Self, Message<'_>) =
            |table, message| table.learn(message, &mut Changes::default());
        let links = RouteNetlinkMessage::GetLink(LinkMessage::default());
        requests.dump(&links, &mut table, restart, each)?;
        let forget: fn(&mut Self) = |table| {
            for entry in table.interfaces.values_mut() {
                entry.addresses.clear();
            }
        };
        let append: fn(&mut Self, Message<'_>) = Self::append;
        let addresses = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        requests.dump(&addresses, &mut table, forget, append)?;
        Ok(table)
    }

    /// Every interface, by index.
    pub(super) fn states(&self) -> Vec<InterfaceState> {
        self.interfaces.values().map(Entry::complete).collect()
    }

    /// Takes in one message of the kernel. What is not understood is passed over.
    fn learn(&mut self, message: Message<'_>, changes: &mut Changes) {
        match message.kind {
            NEW_LINK => self.learn_link(message.payload, changes),
            DELETED_LINK => self.forget_link(message.payload, changes),
            NEW_ADDRESS => self.learn_address(message.payload, changes),
            DELETED_ADDRESS => self.forget_address(message.payload, changes),
            DELETED_ROUTE => {
                let lost = parse_route(message.payload);
                changes.removed.extend(lost.map(Report::WayRemoved));
            }
            DELETED_RULE => {
                let lost = parse_rule(message.payload);
                changes.removed.extend(lost.map(Report::WayRemoved));
            }
            NEW_SETTINGS => {
                if let Some((index, forwarding)) = parse_settings(message.payload)
                    && let Some(entry) = self.interfaces.get_mut(&index)
                    && std::mem::replace(&mut entry.state.forwarding, forwarding) != forwarding
                {
                    changes.touched.insert(index);
                }
            }
            _ => {}
        }
    }

    fn learn_link(&mut self, payload: &[u8], changes: &mut Changes) {
        let Some(state) = parse_link(payload) else {
            return;
        };
        let index = state.index.0;
        match self.interfaces.get_mut(&index) {
            Some(entry) if entry.state == state => return,
            Some(entry) => entry.state = state,
            None => {
                let addresses = Vec::new();
                self.interfaces.insert(index, Entry { state, addresses });
            }
        }
        // At once, so that an interface that went down for a moment was down.
        changes.touched.remove(&index);
        changes.report_interface(self.interfaces.get(&index));
    }

    fn forget_link(&mut self, payload: &[u8], changes: &mut Changes) {
        let Some(header) = link_header(payload) else {
            return;
        };
        if self.interfaces.remove(&header.index).is_some() {
            changes.touched.remove(&header.index);
            changes.reports.push(Report::Gone(IfIndex(header.index)));
        }
    }

    fn learn_address(&mut self, payload: &[u8], changes: &mut Changes) {
        let Some((index, address)) = parse_address(payload) else {
            return;
        };
        let Some(entry) = self.interfaces.get_mut(&index) else {
            return;
        };
        let is_other = match address.usable {
            true => entry.insert(address),
            // One that was in use may become a duplicate when a link returns.
            false => entry.remove(address),
        };
        if is_other {
            changes.touched.insert(index);
        }
        if address.duplicate {
            changes.removed.push(Report::AddressDuplicate {
                on: IfIndex(index),
                address: address.shown.address,
            });
        }
    }

    fn forget_address(&mut self, payload: &[u8], changes: &mut Changes) {
        if let Some((index, address)) = parse_address(payload)
            && let Some(entry) = self.interfaces.get_mut(&index)
            && entry.remove(address)
        {
            changes.touched.insert(index);
            changes.removed.push(Report::AddressRemoved {
                on: IfIndex(index),
                address: address.shown.address,
                prefix_length: address.shown.prefix_length,
            });
        }
    }

    /// Takes in an address of a dump, which comes in the kernel's order.
    fn append(&mut self, message: Message<'_>) {
        if message.kind == NEW_ADDRESS
            && let Some((index, address)) = parse_address(message.payload)
            && address.usable
            && let Some(entry) = self.interfaces.get_mut(&index)
        {
            entry.addresses.push(address);
        }
    }

    /// Reports the interfaces whose addresses changed, then the removals.
    fn report_touched(&self, changes: &mut Changes) {
        for index in std::mem::take(&mut changes.touched) {
            changes.report_interface(self.interfaces.get(&index));
        }
        changes.reports.append(&mut changes.removed);
    }
}

impl Changes {
    fn report_interface(&mut self, entry: Option<&Entry>) {
        self.reports
            .extend(entry.map(|entry| Report::Interface(entry.complete())));
    }
}

impl Entry {
    /// The state with the addresses.
    fn complete(&self) -> InterfaceState {
        InterfaceState {
            addresses: self.addresses.iter().map(|address| address.shown).collect(),
            ..self.state.clone()
        }
    }

    /// Puts an address where the kernel has it; whether anything changed. IPv4:
    /// secondaries last; a primary after the last primary whose scope is not
    /// smaller. IPv6 addresses are kept in the order in which they came.
    fn insert(&mut self, address: Address) -> bool {
        if self.addresses.contains(&address) {
            return false;
        }
        // The same address with other flags: promoted, or no longer tentative.
        self.remove(address);
        let place = if address.secondary || address.shown.address.is_ipv6() {
            self.addresses.len()
        } else {
            self.addresses
                .iter()
                .rposition(|other| {
                    !other.secondary
                        && other.shown.address.is_ipv4()
                        && other.scope >= address.scope
                })
                .map_or(0, |last| last.saturating_add(1))
        };
        self.addresses.insert(place, address);
        true
    }

    /// Takes an address out; whether it was there.
    fn remove(&mut self, address: Address) -> bool {
        let before = self.addresses.len();
        self.addresses
            .retain(|other| other.shown != address.shown || other.prefix != address.prefix);
        self.addresses.len() < before
    }
}

/// The header of a message about a link. `None` for those that only tell of a
/// link's part in a bridge, whose "deleted" does not mean that the link is gone.
fn link_header(payload: &[u8]) -> Option<LinkHeader> {
    let header = LinkHeader::parse(payload).ok()?;
    (header.interface_family == AddressFamily::Unspec).then_some(header)
}

/// A message about a link, without addresses. Only the attributes that are
/// needed are read: one that is unknown or malformed does no harm.
pub(super) fn parse_link(payload: &[u8]) -> Option<InterfaceState> {
    let header = link_header(payload)?;
    let mut name = None;
    let mut mtu = 0;
    let mut mac = MacAddress([0; 6]);
    let mut forwarding = false;
    for attribute in attributes(payload.get(16..)?) {
        let value = attribute.value();
        match attribute.kind() {
            LINK_NAME => {
                let text = value.strip_suffix(&[0]).unwrap_or(value);
                name = Some(String::from_utf8_lossy(text).into_owned());
            }
            LINK_MTU => mtu = u32::from_ne_bytes(*value.first_chunk()?),
            LINK_FAMILIES => forwarding = forwards(value).unwrap_or(false),
            LINK_ADDRESS => mac = MacAddress(<[u8; 6]>::try_from(value).unwrap_or_default()),
            _ => {}
        }
    }
    let has = |flags| header.flags.contains(flags);
    Some(InterfaceState {
        index: IfIndex(header.index),
        name: name?,
        up: has(LinkFlags::Up | LinkFlags::Running),
        loopback: has(LinkFlags::Loopback),
        multicast: has(LinkFlags::Multicast),
        no_arp: has(LinkFlags::Noarp),
        forwarding,
        mac,
        mtu,
        link: parse_details(payload.get(16..)?),
        addresses: Vec::new(),
    })
}

/// How a link stands to others, of its attributes.
pub(super) fn parse_details(bytes: &[u8]) -> LinkDetails {
    let mut details = LinkDetails::default();
    let mut elsewhere = false;
    for attribute in attributes(bytes) {
        let value = attribute.value();
        let number = || value.first_chunk().map(|it| u32::from_ne_bytes(*it));
        match attribute.kind() {
            LINK_PARENT => details.parent = number().map(IfIndex),
            LINK_MASTER => details.master = number().map(IfIndex),
            LINK_GROUP => details.group = number().unwrap_or(0),
            LINK_INFO => details.kind = link_kind::parse(value),
            // The parent is in another namespace, where the number means something else.
            LINK_NAMESPACE => elsewhere = true,
            _ => {}
        }
    }
    // 0 is that of a link without one, a tunnel say.
    details.parent = details
        .parent
        .filter(|it| !elsewhere && *it != IfIndex::ANY);
    details
}

/// Whether the settings of all families say that IPv6 packets are forwarded.
fn forwards(families: &[u8]) -> Option<bool> {
    let find = |bytes, kind| attributes(bytes).find(|attribute| attribute.kind() == kind);
    let ipv6 = find(families, FAMILY_IPV6)?;
    let settings = find(ipv6.value(), IPV6_SETTINGS)?;
    let forwarding = i32::from_ne_bytes(*settings.value().first_chunk()?);
    Some(forwarding != 0)
}

/// A message about changed settings: the index of an interface, and whether it
/// forwards IPv6 packets. `None` for other settings, and for those of no interface.
fn parse_settings(payload: &[u8]) -> Option<(u32, bool)> {
    if u16::from(*payload.first()?) != FAMILY_IPV6 {
        return None;
    }
    let (mut index, mut forwarding) = (None, None);
    for attribute in attributes(payload.get(4..)?) {
        let number = || Some(i32::from_ne_bytes(*attribute.value().first_chunk()?));
        match attribute.kind() {
            SETTINGS_INTERFACE => index = number().and_then(|it| u32::try_from(it).ok()),
            SETTINGS_FORWARDING => forwarding = number().map(|it| it != 0),
            _ => {}
        }
    }
    Some((index?, forwarding?))
}

/// A message about a route of ours; `None` for those of others.
fn parse_route(payload: &[u8]) -> Option<LostWay> {
    let header = payload.first_chunk::<WAY_HEADER_BYTES>()?;
    let [family, length, _, _, _, protocol, ..] = *header;
    let family = family_of(family)?;
    if protocol != PROTOCOL_KEEPALIVED {
        return None;
    }
    let (mut destination, mut metric) = (None, 0);
    for attribute in attributes(payload.get(WAY_HEADER_BYTES..)?) {
        match attribute.kind() {
            ROUTE_DESTINATION => destination = ip_address(attribute.value()),
            ROUTE_METRIC => metric = u32::from_ne_bytes(*attribute.value().first_chunk()?),
            _ => {}
        }
    }
    let address = destination.unwrap_or(family.everything().address);
    Some(LostWay::Route {
        destination: Prefix { address, length },
        metric,
    })
}

/// A message about a rule of ours; `None` for those of others.
fn parse_rule(payload: &[u8]) -> Option<LostWay> {
    let family = family_of(*payload.first()?)?;
    let (mut preference, mut protocol) = (0, 0);
    for attribute in attributes(payload.get(WAY_HEADER_BYTES..)?) {
        match attribute.kind() {
            RULE_PREFERENCE => preference = u32::from_ne_bytes(*attribute.value().first_chunk()?),
            RULE_PROTOCOL => protocol = *attribute.value().first()?,
            _ => {}
        }
    }
    (protocol == PROTOCOL_KEEPALIVED).then_some(LostWay::Rule { family, preference })
}

fn family_of(number: u8) -> Option<Family> {
    match AddressFamily::from(number) {
        AddressFamily::Inet => Some(Family::Inet),
        AddressFamily::Inet6 => Some(Family::Inet6),
        _ => None,
    }
}

/// A message about an address: the index of its interface, and the address.
fn parse_address(payload: &[u8]) -> Option<(u32, Address)> {
    let header = AddressHeader::parse(payload).ok()?;
    let mut local = None;
    let mut prefix = None;
    for attribute in attributes(payload.get(8..)?) {
        match attribute.kind() {
            ADDRESS_LOCAL => local = ip_address(attribute.value()),
            ADDRESS_ADDRESS => prefix = ip_address(attribute.value()),
            _ => {}
        }
    }
    // IPv6 has a local address only where there is a peer.
    let address = local.or(prefix)?;
    let has = |flag| address.is_ipv6() && header.flags.bits() & flag != 0;
    Some((
        header.index,
        Address {
            shown: InterfaceAddress {
                address,
                prefix_length: header.prefix_len,
            },
            prefix: prefix.unwrap_or(address),
            scope: header.scope.into(),
            // IPv6 uses the same bit for "temporary".
            usable: !has(FLAG_TENTATIVE | FLAG_DUPLICATE),
            duplicate: has(FLAG_DUPLICATE),
            secondary: address.is_ipv4() && header.flags.bits() & FLAG_SECONDARY != 0,
        },
    ))
}

/// The attributes, up to the first that is not whole.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = NlaBuffer<&[u8]>> {
    NlasIterator::new(bytes).map_while(Result::ok)
}

/// An address of four or sixteen bytes.
fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(bytes).into());
    }
    let bytes = <[u8; 16]>::try_from(bytes).ok()?;
    Some(Ipv6Addr::from(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message about interface 7, `eth0`, with this hardware address.
    fn link(hardware_address: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 16];
        bytes[4] = 7;
        for (kind, value) in [(LINK_ADDRESS, hardware_address), (LINK_NAME, b"eth0\0")] {
            let length = u16::try_from(value.len() + 4).expect("short");
            bytes.extend(length.to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    /// InfiniBand has 20 octets, a tunnel 4 or 16, and who knows what comes.
    #[test]
    fn a_hardware_address_of_another_length_is_none() {
        let of = |bytes: &[u8]| parse_link(&link(bytes)).map(|found| found.mac.0);
        assert_eq!(of(&[2, 0, 0, 0, 0, 1]), Some([2, 0, 0, 0, 0, 1]));
        for length in [0, 1, 4, 5, 7, 8, 16, 20, 32, 255, 4000] {
            assert_eq!(of(&vec![9; length]), Some([0; 6]), "{length}");
        }
    }

    /// A message about an address of interface 7, with these flags.
    fn address_with(flags: u8) -> Vec<u8> {
        let mut bytes = vec![0; 8];
        bytes[0] = 10;
        bytes[1] = 64;
        bytes[2] = flags;
        bytes[4] = 7;
        bytes.extend(20_u16.to_ne_bytes());
        bytes.extend(ADDRESS_ADDRESS.to_ne_bytes());
        bytes.extend(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 7).octets());
        bytes
    }

    /// The kernel looks for duplicates again when a link returns.
    #[test]
    fn an_address_is_usable_as_long_as_it_is_nobody_elses() {
        let mut table = Table::default();
        let mut learn = |kind, payload: &[u8]| {
            let mut changes = Changes::default();
            let (flags, sequence) = (0, 0);
            let message = Message {
                port: 0,
                kind,
                flags,
                sequence,
                payload,
            };
            table.learn(message, &mut changes);
            table.report_touched(&mut changes);
            let count = table.states().first().map(|state| state.addresses.len());
            (count, changes.reports.len())
        };
        assert_eq!(learn(NEW_LINK, &link(&[2; 6])), (Some(0), 1));
        assert_eq!(
            learn(NEW_ADDRESS, &address_with(FLAG_TENTATIVE)),
            (Some(0), 0)
        );
        assert_eq!(learn(NEW_ADDRESS, &address_with(0)), (Some(1), 1));
        assert_eq!(learn(NEW_ADDRESS, &address_with(0)), (Some(1), 0));
        let duplicate = address_with(FLAG_TENTATIVE | FLAG_DUPLICATE);
        // The state without it, and that it is somebody else's.
        assert_eq!(learn(NEW_ADDRESS, &duplicate), (Some(0), 2));
        assert_eq!(learn(NEW_ADDRESS, &address_with(0)), (Some(1), 1));
        // Gone, whatever the message says besides: the state, and that it was taken off.
        assert_eq!(
            learn(DELETED_ADDRESS, &address_with(FLAG_TENTATIVE)),
            (Some(0), 2)
        );
        assert_eq!(
            learn(DELETED_ADDRESS, &address_with(FLAG_TENTATIVE)),
            (Some(0), 0)
        );
    }

    #[test]
    fn a_message_that_is_cut_anywhere_is_read_as_far_as_it_goes() {
        let whole = link(&[2, 0, 0, 0, 0, 1]);
        for length in 0..whole.len() {
            let found = parse_link(&whole[..length]);
            // Only the filling behind the name may be missing.
            assert_eq!(found.is_some(), length + 3 >= whole.len(), "{length}");
        }
    }
}
