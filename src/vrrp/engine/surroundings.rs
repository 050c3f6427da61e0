//! Which news of an interface concern nobody.
//!
//! Whoever takes over thousands of VIPs hears of each of them from the kernel. Nothing
//! is decided by where our own VIPs are: nobody sends from them (specification C.1), and
//! one that is lost is told of in another event. So instances need not look around for
//! that, which would be quadratic work.

use std::collections::HashSet;
use std::net::IpAddr;

use crate::config::model::Config;

use super::super::event::{InterfaceAddress, InterfaceState};
use super::Engine;

impl Engine {
    /// Whether two states of one interface differ in nothing but VIPs of ours that
    /// nobody is to send from.
    pub(super) fn differ_in_vips(&self, before: &InterfaceState, after: &InterfaceState) -> bool {
        let is_watched = |on: &&InterfaceAddress| {
            !self.vips.contains(&on.address) || self.sources.contains(&on.address)
        };
        let [watched_before, watched_after] =
            [before, after].map(|state| state.addresses.iter().filter(is_watched));
        without_addresses(before) == without_addresses(after) && watched_before.eq(watched_after)
    }
}

/// All but the addresses. A new field of the state has to be named here.
fn without_addresses(state: &InterfaceState) -> impl PartialEq + '_ {
    let InterfaceState {
        index,
        name,
        up,
        loopback,
        multicast,
        no_arp,
        forwarding,
        mac,
        mtu,
        link,
        addresses: _,
    } = state;
    let flags = (up, loopback, multicast, no_arp, forwarding);
    (index, name, flags, mac, mtu, link)
}

/// The addresses that instances are told to send from.
pub(super) fn sources_of(config: &Config) -> HashSet<IpAddr> {
    let sources = config.instances.iter().flat_map(|instance| {
        let own_link = instance.ipvlan.as_ref().and_then(|it| it.address);
        let own_link = own_link.map(|(address, _)| address);
        instance.source_address.into_iter().chain(own_link)
    });
    sources.collect()
}
