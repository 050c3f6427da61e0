//! Puts routing rules into the kernel and takes them out.
//!
//! Decides which attributes a rule has in the kernel (specification C.3) and which
//! errors are none. Does not decide when it is there.

use std::io;

use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{
    RuleAction as KernelAction, RuleAttribute, RuleFlags, RuleMessage, RulePortRange, RuleUidRange,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::names::Names;
use super::route::realms_value;
use super::socket::RequestSocket;
use crate::config::machine::RoutingNames;
use crate::config::model::{Family, PROTOCOL_KEEPALIVED, Rule, RuleAction};

/// Attributes that the messages have no fitting type for (linux/fib_rules.h).
const ATTRIBUTE_FLOW: u16 = 11;
const ATTRIBUTE_IP_PROTOCOL: u16 = 22;

/// `FIB_RULE_INVERT`
const FLAG_INVERT: u32 = 2;

/// Puts a rule in. That the same one is there already is no error.
pub(super) fn add(socket: &mut RequestSocket, names: &mut Names, rule: &Rule) -> io::Result<()> {
    let request = RouteNetlinkMessage::NewRule(message(names, rule)?);
    match socket.change(request, NLM_F_CREATE | NLM_F_EXCL) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        result => result,
    }
}

/// Takes a rule out; whether it was there.
pub(super) fn remove(
    socket: &mut RequestSocket,
    names: &mut Names,
    rule: &Rule,
) -> io::Result<bool> {
    let result = message(names, rule)
        .and_then(|message| socket.change(RouteNetlinkMessage::DelRule(message), 0));
    match result {
        Ok(()) => Ok(true),
        Err(error) => match error.raw_os_error() {
            // A name without a number has never been put in.
            Some(libc::ENOENT | libc::ENODATA) => Ok(false),
            _ => Err(error),
        },
    }
}

fn message(names: &mut Names, rule: &Rule) -> io::Result<RuleMessage> {
    let mut message = RuleMessage::default();
    let header = &mut message.header;
    header.family = match rule.family {
        Family::Inet => AddressFamily::Inet,
        Family::Inet6 => AddressFamily::Inet6,
    };
    if rule.inverted {
        header.flags = RuleFlags::from_bits_retain(FLAG_INVERT);
    }
    if let Some(tos) = &rule.tos {
        header.tos = names.octet(RoutingNames::TypesOfService, tos)?;
    }
    let attributes = &mut message.attributes;
    attributes.push(RuleAttribute::Priority(rule.preference));
    // For all addresses the kernel wants no address.
    if let Some(from) = rule.from.filter(|from| from.length > 0) {
        header.src_len = from.length;
        attributes.push(RuleAttribute::Source(from.address));
    }
    if let Some(to) = rule.to.filter(|to| to.length > 0) {
        header.dst_len = to.length;
        attributes.push(RuleAttribute::Destination(to.address));
    }
    header.action = match &rule.action {
        RuleAction::Table(table) => {
            let table = names.number(RoutingNames::Tables, table)?;
            match u8::try_from(table) {
                Ok(table) => header.table = table,
                Err(_) => attributes.push(RuleAttribute::Table(table)),
            }
            KernelAction::ToTable
        }
        RuleAction::L3mdev => {
            attributes.push(RuleAttribute::L3MDev(true));
            KernelAction::ToTable
        }
        RuleAction::Goto(preference) => {
            attributes.push(RuleAttribute::Goto(*preference));
            KernelAction::Goto
        }
        RuleAction::Nop => KernelAction::Nop,
        RuleAction::Blackhole => KernelAction::Blackhole,
        RuleAction::Unreachable => KernelAction::Unreachable,
        RuleAction::Prohibit => KernelAction::Prohibit,
    };
    let protocol = rule.protocol.unwrap_or(PROTOCOL_KEEPALIVED);
    attributes.push(RuleAttribute::Protocol(RouteProtocol::from(protocol)));
    selectors(names, rule, attributes)?;
    Ok(message)
}

/// What else a packet must be like.
fn selectors(
    names: &mut Names,
    rule: &Rule,
    attributes: &mut Vec<RuleAttribute>,
) -> io::Result<()> {
    if let Some((mark, mask)) = rule.mark {
        attributes.push(RuleAttribute::FwMark(mark));
        attributes.extend(mask.map(RuleAttribute::FwMask));
    }
    attributes.extend(rule.input_interface.clone().map(RuleAttribute::Iifname));
    attributes.extend(rule.output_interface.clone().map(RuleAttribute::Oifname));
    let length = rule.suppress_prefix_length.map(u32::from);
    attributes.extend(length.map(RuleAttribute::SuppressPrefixLen));
    if let Some(group) = &rule.suppress_group {
        let group = names.number(RoutingNames::Groups, group)?;
        attributes.push(RuleAttribute::SuppressIfGroup(group));
    }
    attributes.extend(rule.tunnel_id.map(RuleAttribute::TunId));
    if let Some((start, end)) = rule.user_ids {
        attributes.push(RuleAttribute::UidRange(RuleUidRange { start, end }));
    }
    if let Some(protocol) = &rule.ip_protocol {
        let protocol = names.octet(RoutingNames::IpProtocols, protocol)?;
        attributes.push(other(ATTRIBUTE_IP_PROTOCOL, vec![protocol]));
    }
    if let Some((start, end)) = rule.source_ports {
        let range = RulePortRange { start, end };
        attributes.push(RuleAttribute::SourcePortRange(range));
    }
    if let Some((start, end)) = rule.destination_ports {
        let range = RulePortRange { start, end };
        attributes.push(RuleAttribute::DestinationPortRange(range));
    }
    if let Some(realms) = &rule.realms {
        let value = realms_value(names, realms)?;
        attributes.push(other(ATTRIBUTE_FLOW, value.to_ne_bytes().to_vec()));
    }
    Ok(())
}

fn other(kind: u16, value: Vec<u8>) -> RuleAttribute {
    RuleAttribute::Other(DefaultNla::new(kind, value))
}
