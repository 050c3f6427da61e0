//! Puts routes into the kernel and takes them out.
//!
//! Decides which attributes a route has in the kernel (specification C.2), by what
//! it is found again, and which errors are none. Does not decide when it is there.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{DefaultNla, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteLwEnCapType, RouteLwTunnelEncap, RouteMessage,
    RouteNextHop, RouteNextHopFlags, RouteProtocol, RouteScope, RouteType as KernelType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::metrics;
use super::names::{Names, interface, table_of_vrf};
use super::socket::RequestSocket;
use crate::config::machine::RoutingNames;
use crate::config::model::{
    Encapsulation, Family, IpEncapsulation, NextHop, PROTOCOL_KEEPALIVED, Realms, Route,
    RouteCreate, RouteType, RoutingName,
};

/// `RT_TABLE_MAIN`
const TABLE_MAIN: u32 = 254;

/// `RT_SCOPE_NOWHERE`: whatever the scope is.
const ANY_SCOPE: u8 = 255;

/// The metric that the kernel gives to an IPv6 route without one
/// (`IP6_RT_PRIO_USER`).
const IPV6_METRIC: u32 = 1024;

/// Attributes that the messages have no fitting type for (linux/rtnetlink.h).
const ATTRIBUTE_FLOW: u16 = 11;
const ATTRIBUTE_PREFERENCE: u16 = 20;
const ATTRIBUTE_TTL_PROPAGATE: u16 = 26;

/// Attributes of an encapsulation (linux/lwtunnel.h, linux/mpls_iptunnel.h,
/// linux/ila.h). Those of IPv6 have the same numbers.
const TUNNEL_ID: u16 = 1;
const TUNNEL_DESTINATION: u16 = 2;
const TUNNEL_SOURCE: u16 = 3;
const TUNNEL_TTL: u16 = 4;
const TUNNEL_TOS: u16 = 5;
const TUNNEL_FLAGS: u16 = 6;
const MPLS_DESTINATION: u16 = 1;
const ILA_LOCATOR: u16 = 1;

/// The last of a stack of labels (RFC 3032 section 2.1).
const BOTTOM_OF_STACK: u32 = 1 << 8;

/// Puts a route in. That the same one is there already is no error.
pub(super) fn add(socket: &mut RequestSocket, names: &mut Names, route: &Route) -> io::Result<()> {
    let create = match route.create {
        RouteCreate::Prepend => NLM_F_CREATE,
        RouteCreate::Add => NLM_F_CREATE | NLM_F_EXCL,
        RouteCreate::Append => NLM_F_CREATE | NLM_F_APPEND,
    };
    let message = message_to_add(socket, names, route)?;
    match socket.change(RouteNetlinkMessage::NewRoute(message), create) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        result => result,
    }
}

/// Takes a route out; whether it was there. The kernel took it out itself if its
/// interface or its source address is gone.
pub(super) fn remove(
    socket: &mut RequestSocket,
    names: &mut Names,
    route: &Route,
) -> io::Result<bool> {
    let message = message_to_remove(socket, names, route);
    let result = message.and_then(|message| {
        let request = RouteNetlinkMessage::DelRoute(message);
        socket.change(request, 0)
    });
    match result {
        Ok(()) => Ok(true),
        Err(error) => match error.raw_os_error() {
            // A name without a number has never been put in.
            Some(libc::ESRCH | libc::ENODEV | libc::ENETDOWN | libc::ENODATA) => Ok(false),
            _ => Err(error),
        },
    }
}

/// What both requests say: by these the kernel finds a route again.
fn message(
    socket: &mut RequestSocket,
    names: &mut Names,
    route: &Route,
) -> io::Result<RouteMessage> {
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = match route.family {
        Family::Inet => AddressFamily::Inet,
        Family::Inet6 => AddressFamily::Inet6,
    };
    header.kind = kind(route.kind);
    header.destination_prefix_length = route.destination.length;
    let protocol = match &route.protocol {
        Some(name) => names.octet(RoutingNames::Protocols, name)?,
        None => PROTOCOL_KEEPALIVED,
    };
    header.protocol = RouteProtocol::from(protocol);
    if let Some(tos) = &route.tos {
        header.tos = names.octet(RoutingNames::TypesOfService, tos)?;
    }
    let table = match (&route.table, &route.vrf) {
        (Some(name), _) => names.number(RoutingNames::Tables, name)?,
        (None, Some(vrf)) => table_of_vrf(socket, vrf)?,
        (None, None) => TABLE_MAIN,
    };
    let attributes = &mut message.attributes;
    match u8::try_from(table) {
        Ok(table) => header.table = table,
        Err(_) => attributes.push(RouteAttribute::Table(table)),
    }
    // For the default route the kernel wants no address.
    if route.destination.length > 0 {
        let address = RouteAddress::from(route.destination.address);
        attributes.push(RouteAttribute::Destination(address));
    }
    if let Some(from) = &route.from {
        header.source_prefix_length = from.length;
        attributes.push(RouteAttribute::Source(from.address.into()));
    }
    if let Some(metric) = route.metric {
        attributes.push(RouteAttribute::Priority(metric));
    }
    if let Some(source) = route.source {
        attributes.push(RouteAttribute::PrefSource(source.into()));
    }
    if let Some(via) = route.via.filter(|_| route.next_hops.is_empty()) {
        attributes.push(gateway(via, route.family));
    }
    Ok(message)
}

fn message_to_add(
    socket: &mut RequestSocket,
    names: &mut Names,
    route: &Route,
) -> io::Result<RouteMessage> {
    let mut message = message(socket, names, route)?;
    message.header.scope = match &route.scope {
        Some(name) => RouteScope::from(names.octet(RoutingNames::Scopes, name)?),
        None => default_scope(route.kind),
    };
    if route.onlink {
        message.header.flags |= RouteFlags::Onlink;
    }
    let attributes = &mut message.attributes;
    if let Some(encapsulation) = &route.encapsulation {
        attributes.extend(encapsulate(names, encapsulation)?);
    }
    // With several ways each has its own.
    if let Some(name) = route.interface.as_ref().filter(|_| has_one_way(route)) {
        attributes.push(RouteAttribute::Oif(interface(name)?));
    }
    if let Some(realms) = &route.realms {
        attributes.push(flow(names, realms)?);
    }
    if let Some(seconds) = route.expires_s {
        attributes.push(RouteAttribute::Expires(seconds));
    }
    if let Some(preference) = route.router_preference {
        attributes.push(octet_attribute(ATTRIBUTE_PREFERENCE, preference));
    }
    if let Some(propagate) = route.ttl_propagate {
        attributes.push(octet_attribute(ATTRIBUTE_TTL_PROPAGATE, propagate.into()));
    }
    let metrics = metrics::list(&route.metrics);
    if !metrics.is_empty() {
        attributes.push(RouteAttribute::Metrics(metrics));
    }
    if !has_one_way(route) {
        attributes.push(ways(names, route)?);
    }
    Ok(message)
}

fn message_to_remove(
    socket: &mut RequestSocket,
    names: &mut Names,
    route: &Route,
) -> io::Result<RouteMessage> {
    let mut message = message(socket, names, route)?;
    message.header.scope = RouteScope::from(ANY_SCOPE);
    let attributes = &mut message.attributes;
    if route.family == Family::Inet6 && route.metric.is_none() {
        attributes.push(RouteAttribute::Priority(IPV6_METRIC));
    }
    if !has_one_way(route) {
        // IPv6 would keep all ways but the first, or take those of others along.
        attributes.push(ways(names, route)?);
    } else if let Some(name) = &route.interface
        // One that has another name by now has kept its routes.
        && let Ok(index) = interface(name)
    {
        attributes.push(RouteAttribute::Oif(index));
    }
    Ok(message)
}

const fn has_one_way(route: &Route) -> bool {
    route.next_hops.is_empty()
}

/// `ip route` does the same for these; with the scope of all others the kernel
/// refuses them.
const fn default_scope(kind: RouteType) -> RouteScope {
    match kind {
        RouteType::Local | RouteType::Nat => RouteScope::Host,
        RouteType::Broadcast | RouteType::Multicast | RouteType::Anycast => RouteScope::Link,
        _ => RouteScope::Universe,
    }
}

fn kind(kind: RouteType) -> KernelType {
    match kind {
        RouteType::Unicast => KernelType::Unicast,
        RouteType::Local => KernelType::Local,
        RouteType::Broadcast => KernelType::Broadcast,
        RouteType::Anycast => KernelType::Anycast,
        RouteType::Multicast => KernelType::Multicast,
        RouteType::Blackhole => KernelType::BlackHole,
        RouteType::Unreachable => KernelType::Unreachable,
        RouteType::Prohibit => KernelType::Prohibit,
        RouteType::Throw => KernelType::Throw,
        RouteType::Nat => KernelType::Nat,
        RouteType::Xresolve => KernelType::ExternalResolve,
    }
}

fn gateway(via: IpAddr, family: Family) -> RouteAttribute {
    match via {
        via if Family::of(&via) == family => RouteAttribute::Gateway(via.into()),
        IpAddr::V4(via) => RouteAttribute::Via(RouteVia::Inet(via)),
        IpAddr::V6(via) => RouteAttribute::Via(RouteVia::Inet6(via)),
    }
}

fn flow(names: &mut Names, realms: &Realms) -> io::Result<RouteAttribute> {
    let value = realms_value(names, realms)?;
    let value = value.to_ne_bytes().to_vec();
    Ok(RouteAttribute::Other(DefaultNla::new(
        ATTRIBUTE_FLOW,
        value,
    )))
}

/// Both realms in the kernel's one number.
pub(super) fn realms_value(names: &mut Names, realms: &Realms) -> io::Result<u32> {
    let mut realm = |name: &RoutingName| {
        let realm = names.number(RoutingNames::Realms, name)?;
        u16::try_from(realm).map_err(|_| io::Error::from_raw_os_error(libc::ERANGE))
    };
    Ok(u32::from(realm(&realms.from)?) << 16 | u32::from(realm(&realms.to)?))
}

fn octet_attribute(kind: u16, value: u8) -> RouteAttribute {
    RouteAttribute::Other(DefaultNla::new(kind, vec![value]))
}

fn ways(names: &mut Names, route: &Route) -> io::Result<RouteAttribute> {
    let hops = route.next_hops.iter();
    let hops: io::Result<Vec<_>> = hops.map(|hop| way(names, route.family, hop)).collect();
    Ok(RouteAttribute::MultiPath(hops?))
}

fn way(names: &mut Names, family: Family, hop: &NextHop) -> io::Result<RouteNextHop> {
    let mut way = RouteNextHop::default();
    if hop.onlink {
        way.flags = RouteNextHopFlags::Onlink;
    }
    // The kernel counts from zero.
    let hops = hop.weight.map_or(0, |weight| weight.saturating_sub(1));
    way.hops = u8::try_from(hops).unwrap_or(u8::MAX);
    if let Some(name) = &hop.interface {
        way.interface_index = interface(name)?;
    }
    if let Some(via) = hop.via {
        way.attributes.push(gateway(via, family));
    }
    if let Some(realms) = &hop.realms {
        way.attributes.push(flow(names, realms)?);
    }
    if let Some(encapsulation) = &hop.encapsulation {
        way.attributes.extend(encapsulate(names, encapsulation)?);
    }
    Ok(way)
}

fn encapsulate(
    names: &mut Names,
    encapsulation: &Encapsulation,
) -> io::Result<[RouteAttribute; 2]> {
    let (kind, attributes) = match encapsulation {
        Encapsulation::Ip(tunnel) => (RouteLwEnCapType::Ip, tunnel_attributes(names, tunnel)?),
        Encapsulation::Ip6(tunnel) => (RouteLwEnCapType::Ip6, tunnel_attributes(names, tunnel)?),
        Encapsulation::Mpls(labels) => {
            let value = stack(labels);
            let attributes = vec![DefaultNla::new(MPLS_DESTINATION, value)];
            (RouteLwEnCapType::Mpls, attributes)
        }
        Encapsulation::Ila(locator) => {
            let value = locator.to_be_bytes().to_vec();
            (
                RouteLwEnCapType::Ila,
                vec![DefaultNla::new(ILA_LOCATOR, value)],
            )
        }
    };
    let attributes = attributes.into_iter().map(RouteLwTunnelEncap::Other);
    Ok([
        RouteAttribute::Encap(attributes.collect()),
        RouteAttribute::EncapType(kind),
    ])
}

fn tunnel_attributes(names: &mut Names, tunnel: &IpEncapsulation) -> io::Result<Vec<DefaultNla>> {
    let mut attributes = Vec::new();
    let mut push = |kind, value: &[u8]| attributes.push(DefaultNla::new(kind, value.to_vec()));
    if let Some(id) = tunnel.id {
        push(TUNNEL_ID, &id.to_be_bytes());
    }
    let addresses = [
        (TUNNEL_DESTINATION, tunnel.destination),
        (TUNNEL_SOURCE, tunnel.source),
    ];
    for (kind, address) in addresses {
        match address {
            Some(IpAddr::V4(address)) => push(kind, &address.octets()),
            Some(IpAddr::V6(address)) => push(kind, &address.octets()),
            None => {}
        }
    }
    if let Some(tos) = &tunnel.tos {
        push(
            TUNNEL_TOS,
            &[names.octet(RoutingNames::TypesOfService, tos)?],
        );
    }
    if let Some(ttl) = tunnel.ttl {
        push(TUNNEL_TTL, &[ttl]);
    }
    if let Some(flags) = tunnel.flags {
        // As C has it: the kernel reads the octets the other way round.
        push(TUNNEL_FLAGS, &flags.to_ne_bytes());
    }
    Ok(attributes)
}

/// Labels as they stand in a packet (RFC 3032 section 2.1).
fn stack(labels: &[u32]) -> Vec<u8> {
    let last = labels.len().saturating_sub(1);
    let entries = labels.iter().enumerate().map(|(place, label)| {
        let bottom = if place == last { BOTTOM_OF_STACK } else { 0 };
        (label << 12 | bottom).to_be_bytes()
    });
    entries.flatten().collect()
}
