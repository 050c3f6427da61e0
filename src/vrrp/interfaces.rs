//! The interfaces that the kernel has, as last reported.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use crate::ids::IfIndex;

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

/// The address that adverts are sent from when none is configured: the first
/// of the interface that is not a VIP of ours, which may be a leftover of an
/// earlier run (specification C.1).
pub fn primary_ipv4(state: &InterfaceState, vips: &BTreeSet<IpAddr>) -> Option<Ipv4Addr> {
    state.addresses.iter().find_map(|on| match on.address {
        IpAddr::V4(address) if !vips.contains(&on.address) => Some(address),
        _ => None,
    })
}
