//! Names in routes and rules, and the numbers that the kernel has for them.
//!
//! Decides that a name keeps the number that it had when it was used first: so a
//! route is taken out of the table that it was put into, and no file is read at a
//! failover when the first one has read it.

use std::collections::HashMap;
use std::io;

use netlink_packet_core::{NlaBuffer, NlasIterator};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkMessage;

use super::socket::{Message, RequestSocket};
use crate::config::machine::RoutingNames;
use crate::config::model::RoutingName;
use crate::system::routing_names;

/// The header of a link (rtnetlink(7)).
const LINK_HEADER_BYTES: usize = 16;

/// Attributes of a link, within `LINK_INFO`, and of a VRF (linux/if_link.h).
const LINK_NAME: u16 = 3;
const LINK_INFO: u16 = 18;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const VRF_TABLE: u16 = 1;

/// The names that were looked up.
#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: HashMap<(RoutingNames, String), u32>,
}

impl Names {
    /// The number of a table, a protocol and so on. A name without a number gives
    /// `ENODATA`.
    pub(super) fn number(&mut self, names: RoutingNames, name: &RoutingName) -> io::Result<u32> {
        let name = match name {
            RoutingName::Number(number) => return Ok(*number),
            RoutingName::Name(name) => name,
        };
        let key = (names, name.clone());
        if let Some(number) = self.numbers.get(&key) {
            return Ok(*number);
        }
        let number = routing_names::number(names, name).ok_or_else(unknown)?;
        self.numbers.insert(key, number);
        Ok(number)
    }

    /// The same for what has no more than eight bits.
    pub(super) fn octet(&mut self, names: RoutingNames, name: &RoutingName) -> io::Result<u8> {
        let number = self.number(names, name)?;
        u8::try_from(number).map_err(|_| unknown())
    }
}

fn unknown() -> io::Error {
    io::Error::from_raw_os_error(libc::ENODATA)
}

/// The number of an interface, or `ENODEV`.
pub(super) fn interface(name: &str) -> io::Result<u32> {
    nix::net::if_::if_nametoindex(name).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))
}

/// The table of a VRF, or `ENODEV` if there is none of that name.
pub(super) fn table_of_vrf(socket: &mut RequestSocket, name: &str) -> io::Result<u32> {
    let mut tables: Vec<(String, u32)> = Vec::new();
    let links = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let each: fn(&mut Vec<(String, u32)>, Message<'_>) =
        |tables, message| tables.extend(vrf(message.payload));
    socket.dump(&links, &mut tables, Vec::clear, each)?;
    let table = tables.into_iter().find(|(vrf, _)| vrf == name);
    let table = table.map(|(_, table)| table);
    table.ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))
}

/// Name and table of a link that is a VRF.
fn vrf(payload: &[u8]) -> Option<(String, u32)> {
    let attributes = payload.get(LINK_HEADER_BYTES..)?;
    let name = attribute(attributes, LINK_NAME)?;
    let info = attribute(attributes, LINK_INFO)?;
    let kind = attribute(info, INFO_KIND)?;
    if text(kind)? != "vrf" {
        return None;
    }
    let table = attribute(attribute(info, INFO_DATA)?, VRF_TABLE)?;
    let table = u32::from_ne_bytes(*table.first_chunk()?);
    Some((text(name)?.to_string(), table))
}

/// The value of an attribute among others.
fn attribute(attributes: &[u8], kind: u16) -> Option<&[u8]> {
    let mut all = NlasIterator::new(attributes).flatten();
    let found: NlaBuffer<&[u8]> = all.find(|attribute| attribute.kind() == kind)?;
    let length = found.value_length();
    let start = found.into_inner().get(4..)?;
    start.get(..length)
}

/// Text as the kernel writes it, with a zero at its end or without.
fn text(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|byte| *byte == 0);
    std::str::from_utf8(bytes.get(..end.unwrap_or(bytes.len()))?).ok()
}
