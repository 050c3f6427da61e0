//! Puts addresses on interfaces and takes them off.
//!
//! Decides which attributes a VIP has in the kernel (specification C.1), and
//! which errors are none. Does not decide which address belongs where.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::NLM_F_CREATE;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressProtocol,
    AddressScope, CacheInfo,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::socket::RequestSocket;
use crate::config::model::{PROTOCOL_KEEPALIVED, PreferredLifetime, VirtualAddress};
use crate::ids::IfIndex;
use crate::vrrp::action::Operation;

/// Whether an operation is one of an address.
pub(super) fn is_change(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::AddAddress { .. } | Operation::RemoveAddress { .. }
    )
}

/// Puts addresses on interfaces and takes them off, in this order, and gives the outcome
/// of each: of no other operations, that is. What is there already, or is gone already,
/// is no error.
pub(super) fn change_together(
    socket: &mut RequestSocket,
    operations: &[&Operation],
) -> Vec<io::Result<()>> {
    let requests = operations.iter().filter_map(|operation| request(operation));
    let outcomes = socket.change_together(requests).into_iter();
    let judged = operations.iter().zip(outcomes).map(|(operation, outcome)| {
        let errno = outcome.as_ref().err().and_then(io::Error::raw_os_error);
        match (operation, errno) {
            (Operation::AddAddress { .. }, Some(libc::EEXIST))
            | (Operation::RemoveAddress { .. }, Some(libc::EADDRNOTAVAIL | libc::ENODEV)) => Ok(()),
            _ => outcome,
        }
    });
    judged.collect()
}

/// What asks the kernel for an operation of an address, with its flags.
fn request(operation: &Operation) -> Option<(RouteNetlinkMessage, u16)> {
    match operation {
        Operation::AddAddress { on, address } => {
            let message = message_to_add(*on, address);
            Some((RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE))
        }
        Operation::RemoveAddress { on, address } => {
            let message = message_to_remove(*on, address);
            Some((RouteNetlinkMessage::DelAddress(message), 0))
        }
        _ => None,
    }
}

/// Takes an address off an interface; whether it was there.
pub(super) fn remove(
    socket: &mut RequestSocket,
    on: IfIndex,
    address: &VirtualAddress,
) -> io::Result<bool> {
    let request = RouteNetlinkMessage::DelAddress(message_to_remove(on, address));
    match socket.change(request, 0) {
        Ok(()) => Ok(true),
        Err(error) => match error.raw_os_error() {
            Some(libc::EADDRNOTAVAIL | libc::ENODEV) => Ok(false),
            _ => Err(error),
        },
    }
}

/// What both requests say. The kernel finds the address to remove by these and
/// nothing else: the label is left out, so that an address which somebody
/// labelled anew is found too.
fn message_to_remove(on: IfIndex, address: &VirtualAddress) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = match address.address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.prefix_len = address.prefix_length;
    message.header.index = on.0;
    message.attributes = vec![
        AddressAttribute::Local(address.address),
        AddressAttribute::Address(address.peer.unwrap_or(address.address)),
    ];
    message
}

fn message_to_add(on: IfIndex, address: &VirtualAddress) -> AddressMessage {
    let mut message = message_to_remove(on, address);
    let attributes = &mut message.attributes;
    let mut flags = AddressFlags::empty();
    if address.address.is_ipv6() {
        if !address.detect_duplicates {
            // A VIP that another node has just held would fail the duplicate check.
            flags |= AddressFlags::Nodad;
        }
        if address.home {
            flags |= AddressFlags::Homeaddress;
        }
        if let Some(seconds) = preferred_seconds(address) {
            let mut lifetimes = CacheInfo::default();
            lifetimes.ifa_valid = u32::MAX;
            lifetimes.ifa_preferred = seconds;
            attributes.push(AddressAttribute::CacheInfo(lifetimes));
        }
        // The first eight bits stand in the header.
        message.header.flags = AddressHeaderFlags::from_bits_retain(flags.bits() as u8);
    } else {
        message.header.scope = AddressScope::from(address.scope);
    }
    if let Some(IpAddr::V4(broadcast)) = address.broadcast {
        attributes.push(AddressAttribute::Broadcast(broadcast));
    }
    if let Some(label) = &address.label {
        attributes.push(AddressAttribute::Label(label.clone()));
    }
    // These do not fit into the header's eight bits.
    let late = [
        (address.no_prefix_route, AddressFlags::Noprefixroute),
        (
            address.manage_temporary_addresses,
            AddressFlags::Managetempaddr,
        ),
        (address.autojoin, AddressFlags::Mcautojoin),
    ];
    for (_, flag) in late.into_iter().filter(|(set, _)| *set) {
        flags |= flag;
    }
    if flags.bits() > u32::from(u8::MAX) {
        attributes.push(AddressAttribute::Flags(flags));
    }
    // Kernels before 5.18 pay no heed to it.
    attributes.push(AddressAttribute::Protocol(AddressProtocol::Other(
        PROTOCOL_KEEPALIVED,
    )));
    message
}

/// How long an IPv6 address may be a source address; `None` is for ever. One
/// that stands alone is deprecated from the start unless it says otherwise.
fn preferred_seconds(address: &VirtualAddress) -> Option<u32> {
    match address.preferred_lifetime {
        Some(PreferredLifetime::Forever) => None,
        Some(PreferredLifetime::Seconds(seconds)) => Some(seconds),
        None => (address.prefix_length == 128).then_some(0),
    }
}
