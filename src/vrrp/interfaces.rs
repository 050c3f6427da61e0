//! The interfaces that the kernel has, as last reported.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::config::model::{Config, Instance, VirtualAddress};
use crate::ids::{IfIndex, MacAddress};
use crate::wire::advert::Family;

use super::action::OwnLinkKind;
use super::event::{InterfaceState, LinkKind};
use super::virtual_links::{LinkKey, Standing, Unwanted, VirtualLinks, link_of, own_link};

/// What is known of the interfaces.
#[derive(Debug, Default)]
pub struct Interfaces {
    by_index: BTreeMap<IfIndex, InterfaceState>,
    by_name: BTreeMap<String, IfIndex>,
    /// Those of our own.
    pub links: VirtualLinks,
}

impl Interfaces {
    /// Notes the state of one interface; returns the one before.
    pub fn insert(&mut self, state: &InterfaceState) -> Option<InterfaceState> {
        let before = self.by_index.insert(state.index, state.clone());
        if let Some(renamed) = before.as_ref().filter(|before| before.name != state.name) {
            self.forget_name(&renamed.name, state.index);
        }
        self.by_name.insert(state.name.clone(), state.index);
        before
    }

    /// Forgets an interface; returns its last state.
    pub fn remove(&mut self, index: IfIndex) -> Option<InterfaceState> {
        let last = self.by_index.remove(&index)?;
        self.forget_name(&last.name, index);
        Some(last)
    }

    /// Another interface may have the name by now.
    fn forget_name(&mut self, name: &str, index: IfIndex) {
        if self.by_name.get(name) == Some(&index) {
            self.by_name.remove(name);
        }
    }

    /// The interface with this number.
    pub fn get(&self, index: IfIndex) -> Option<&InterfaceState> {
        self.by_index.get(&index)
    }

    /// The interface with this name.
    pub fn named(&self, name: &str) -> Option<&InterfaceState> {
        self.get(*self.by_name.get(name)?)
    }

    /// The interface that has this address, whether or not it is up.
    pub fn with_address(&self, address: IpAddr) -> Option<&InterfaceState> {
        let holds =
            |state: &&InterfaceState| state.addresses.iter().any(|on| on.address == address);
        self.by_index.values().find(holds)
    }

    /// The interface that an address is on, once that is there: the one that it names,
    /// or a link of our own.
    pub fn of_vip(&self, instance: &Instance, vip: &VirtualAddress) -> Option<&InterfaceState> {
        match link_of(instance, vip) {
            None => self.named(&vip.interface),
            Some(key) => self.of_link(&key),
        }
    }

    /// A link of our own, once it is there with all that belongs to it.
    pub fn of_link(&self, key: &LinkKey) -> Option<&InterfaceState> {
        self.get(self.links.get(key)?.on?)
    }

    /// The name of a link of our own that it has or would be given first.
    pub fn link_name(&self, key: &LinkKey) -> String {
        let link = self.links.get(key);
        let name = link.and_then(|link| link.name.clone().or_else(|| link.wish.names().next()));
        name.unwrap_or_default()
    }

    /// Whether an interface is, whatever its name, what a link of our own is to be.
    pub fn may_be(&self, key: &LinkKey, state: &InterfaceState) -> bool {
        let (Some(below), Some(link)) = (self.named(&key.parent), self.links.get(key)) else {
            return false;
        };
        let is_kind = match (link.wish.kind, state.link.kind) {
            (OwnLinkKind::Macvlan(mac), LinkKind::Macvlan { private: true }) => state.mac == mac,
            (OwnLinkKind::Ipvlan(mode), LinkKind::Ipvlan(Some(other))) => mode == other,
            _ => false,
        };
        let is_ours = link.on == Some(state.index) || !self.is_own_link(state.index);
        is_kind && is_ours && state.link.parent == stands_on(below)
    }

    /// The interface that may be a link of our own and has a name like that, one that an
    /// earlier run left for example.
    pub fn find_link(&self, key: &LinkKey) -> Option<&InterfaceState> {
        let link = self.links.get(key)?;
        let mut there = self.by_index.values();
        there.find(|it| link.wish.fits(&it.name) && self.may_be(key, it))
    }

    /// Takes what is there for the links of our own.
    pub fn find_links(&mut self) {
        for key in self.links.keys_in_order() {
            let found = self.find_link(&key);
            let found = found.map(|state| (state.index, state.name.clone()));
            if let (Some((index, name)), Some(link)) = (found, self.links.get_mut(&key)) {
                (link.on, link.name) = (Some(index), Some(name));
            }
        }
    }

    /// Whether this is a link of our own.
    pub fn is_own_link(&self, index: IfIndex) -> bool {
        let mut links = self.links.iter();
        links.any(|(_, link)| link.on == Some(index))
    }

    /// Whether this is a link of our own that is gone, or has gone down just now, as what
    /// is deleted does first.
    pub fn is_leaving(&self, index: IfIndex) -> bool {
        let is_down = self.get(index).is_none_or(|state| !state.up);
        let mut links = self.links.iter();
        let own = links.find(|(_, link)| link.on == Some(index));
        // With the interface below it only its carrier is gone.
        is_down
            && own.is_some_and(|(key, link)| {
                let base = self.named(&key.parent);
                link.settles_until.is_some() && base.is_none_or(|base| base.up)
            })
    }

    /// Whether a link of our own can be used.
    pub fn standing(&self, key: &LinkKey) -> Standing {
        let parent = self.named(&key.parent);
        self.links.get(key).map_or(Standing::Awaited, |link| {
            link.standing(parent, self.of_link(key))
        })
    }

    /// The interface below a link of our own; any other one is that itself.
    pub fn base_of<'s>(&'s self, state: &'s InterfaceState) -> &'s InterfaceState {
        if matches!(state.link.kind, LinkKind::Other | LinkKind::Vrf) {
            return state;
        }
        let mut links = self.links.iter();
        let own = links.find(|(_, link)| link.on == Some(state.index));
        own.and_then(|(key, _)| self.named(&key.parent))
            .unwrap_or(state)
    }

    /// Goes over to the links of our own that `config` wants; gives those that it does
    /// not want any more.
    pub fn follow_links(&mut self, config: &Config) -> Vec<Unwanted> {
        self.links.follow(config)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &InterfaceState> {
        self.by_index.values()
    }
}

/// What the kernel says a link above this interface stands on: above a macvlan, the
/// interface below that, which may be in another network namespace.
pub fn stands_on(interface: &InterfaceState) -> Option<IfIndex> {
    match interface.link.kind {
        LinkKind::Macvlan { .. } => interface.link.parent,
        _ => Some(interface.index),
    }
}

/// A packet that routes may send anywhere is no larger than Ethernet carries.
const ROUTED_MTU_MAX: u32 = 1500;

/// Where an instance sends and hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Where it hears: the interface; for unicast without one that of its VRF, or
    /// [`IfIndex::ANY`]. Multicast is heard on a virtual MAC, once that is there: to
    /// that, and to nothing else, the kernel gives what another MASTER sends with the same
    /// virtual MAC.
    pub on: Option<IfIndex>,
    /// Where adverts leave: a virtual MAC, or `on`. While a virtual MAC is missing they
    /// leave below it, since silence would end a mastership.
    pub via: IfIndex,
    /// The address that adverts are sent from, while there is one.
    pub source: Option<IpAddr>,
    /// The interface's hardware address; none where routes choose the interface.
    pub mac: Option<MacAddress>,
    /// Largest packet in bytes.
    pub mtu: u32,
}

/// Where `instance` is, if what it names exists. Without `interface` its source
/// address, which it then must have, may be on any interface, a loopback too.
pub fn place_of(
    instance: &Instance,
    interfaces: &Interfaces,
    vips: &BTreeSet<IpAddr>,
) -> Option<Place> {
    if !instance.interface.is_empty() {
        let state = match own_link(instance) {
            // It has an address of its own, which only it hears.
            Some(link) if instance.ipvlan.is_some() => interfaces.of_link(&link),
            _ => interfaces.named(&instance.interface),
        }?;
        let own = own_link(instance);
        let link = own.as_ref().and_then(|link| interfaces.of_link(link));
        let link = link.map(|link| link.index);
        let is_multicast = instance.unicast_peers.is_empty();
        return Some(Place {
            on: match own {
                Some(_) if is_multicast => link,
                _ => Some(state.index),
            },
            via: link
                .filter(|_| !instance.vmac_transmit_on_base)
                .unwrap_or(state.index),
            source: source_address(instance, Some(state), vips),
            mac: Some(state.mac),
            mtu: state.mtu,
        });
    }
    let on = match &instance.vrf {
        Some(vrf) => interfaces.named(vrf)?.index,
        None => IfIndex::ANY,
    };
    let source = instance.source_address;
    let carrier = source.and_then(|source| interfaces.with_address(source));
    Some(Place {
        on: Some(on),
        via: on,
        source: source.filter(|_| carrier.is_some()),
        mac: None,
        mtu: carrier.map_or(0, |state| state.mtu.min(ROUTED_MTU_MAX)),
    })
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
    if let Some((address, _)) = instance.ipvlan.as_ref().and_then(|it| it.address) {
        return Some(address);
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
