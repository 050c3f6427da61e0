//! The interfaces that the kernel has, as last reported.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::config::model::Instance;
use crate::ids::IfIndex;
use crate::wire::advert::Family;

use super::event::InterfaceState;

/// What is known of the interfaces.
#[derive(Debug, Default)]
pub struct Interfaces {
    by_index: BTreeMap<IfIndex, InterfaceState>,
}

impl Interfaces {
    /// Notes the state of one interface; returns the one before.
    pub fn insert(&mut self, state: &InterfaceState) -> Option<InterfaceState> {
        self.by_index.insert(state.index, state.clone())
    }

    /// Forgets an interface; returns its last state.
    pub fn remove(&mut self, index: IfIndex) -> Option<InterfaceState> {
        self.by_index.remove(&index)
    }

    /// The interface with this number.
    pub fn get(&self, index: IfIndex) -> Option<&InterfaceState> {
        self.by_index.get(&index)
    }

    /// The interface with this name.
    pub fn named(&self, name: &str) -> Option<&InterfaceState> {
        self.by_index.values().find(|state| state.name == name)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &InterfaceState> {
        self.by_index.values()
    }
}

/// The address that an instance sends adverts from: the configured one, or the
/// first of its interface that is not a VIP of ours, which may be a leftover of
/// an earlier run (specification C.1). Over IPv6 it is link-local (RFC 9568
/// section 5.1.2.1), unless some peer of a unicast instance is not.
pub fn source_address(
    instance: &Instance,
    state: Option<&InterfaceState>,
    vips: &BTreeSet<IpAddr>,
) -> Option<IpAddr> {
    if instance.source_address.is_some() {
        return instance.source_address;
    }
    let family = instance.family();
    let link_local = instance
        .unicast_peers
        .iter()
        .all(|peer| match peer.address {
            IpAddr::V4(_) => true,
            IpAddr::V6(address) => address.is_unicast_link_local(),
        });
    let fits = |address: &IpAddr| match address {
        IpAddr::V4(_) => family == Family::V4,
        IpAddr::V6(address) => {
            family == Family::V6 && address.is_unicast_link_local() == link_local
        }
    };
    let mut addresses = state?.addresses.iter().map(|on| on.address);
    addresses.find(|address| fits(address) && !vips.contains(address))
}
