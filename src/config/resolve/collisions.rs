//! Instances that would answer to each other's adverts (specification A.12).

use std::net::IpAddr;

use crate::hashing::QuickMap;
use crate::ids::Vrid;

use super::super::diagnostic::Collector;
use super::super::lex::Origin;
use super::super::model::SharedInstance;
use super::{family_number, fatal};

/// Two instances that would answer to the same adverts. `places` are those of
/// their router identifiers.
pub(super) fn tell(instances: &[SharedInstance], places: &[Origin], found: &mut Collector) {
    let mut on_interface: QuickMap<(Vrid, bool, &str), (&str, Origin)> = QuickMap::default();
    let mut with_peer: QuickMap<(Vrid, IpAddr), (&str, Origin)> = QuickMap::default();
    for (instance, origin) in instances.iter().zip(places) {
        let (name, vrid) = (instance.name.as_str(), instance.vrid);
        let mut other = None;
        if instance.unicast_peers.is_empty() {
            let key = (vrid, instance.ipv6, &*instance.interface);
            other = on_interface.insert(key, (name, *origin));
        }
        for peer in &instance.unicast_peers {
            other = with_peer
                .insert((vrid, peer.address), (name, *origin))
                .or(other);
        }
        let Some((other, other_origin)) = other else {
            continue;
        };
        let text = if instance.unicast_peers.is_empty() {
            format!(
                "{other} and {name} both use VRID {vrid} with IPv{} on interface {}",
                family_number(instance.ipv6),
                instance.interface
            )
        } else {
            format!("({other}) duplicate VRID conflict with {name} VRID {vrid}")
        };
        let diagnostic = fatal("duplicate-vrid", text).at(origin).after_reading();
        let diagnostic = diagnostic.label(other_origin.span, "the other one is here");
        found.push(diagnostic.help("Give each a `virtual_router_id` of its own."));
    }
}
