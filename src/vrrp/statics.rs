//! Addresses, routes and rules that belong to no instance: `static_ipaddress`,
//! `static_routes`, `static_rules`, and the setting that `promote_secondaries` asks for
//! (specification B.1, C.4, D.7).
//!
//! Decides when they are put in and taken out: from the start to the stop, whatever
//! the instances do. A worker that was replaced finds those of the one before.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::config::model::Config;
use crate::ids::{Errno, IfIndex};

use super::action::{Operation, Token};
use super::event::LostWay;
use super::interfaces::Interfaces;
use super::kernel_set::{additions_of, difference, is_lost, removals};
use super::refusals::Refusals;

/// What is static.
#[derive(Debug, Default)]
pub struct Statics {
    /// What was put in, or asked for.
    put_in: Vec<Operation>,
    /// What the kernel refused.
    pub refusals: Refusals,
}

impl Statics {
    /// What to do so that everything of `config` is in. Addresses wait for their
    /// interface.
    pub fn follow(&mut self, config: &Config, interfaces: &Interfaces) -> Vec<Operation> {
        let wanted = wanted(config, interfaces);
        // What was refused is asked for once more, maybe with another track group.
        let missing: Vec<&Operation> = self.refusals.missing().collect();
        self.put_in.retain(|it| !missing.contains(&it));
        let operations = difference(&self.put_in, &wanted);
        self.refusals.keep(|it| wanted.contains(it));
        self.put_in = wanted;
        operations
    }

    /// What takes everything out.
    pub fn leave(&mut self) -> Vec<Operation> {
        self.refusals.forget();
        removals(&std::mem::take(&mut self.put_in))
    }

    /// An interface has come, or come back: what is to be put in again because the
    /// kernel drops it with the interface.
    pub fn of_interface(&self, name: &str) -> Vec<Operation> {
        let on = |operation: &&Operation| match operation {
            Operation::AddAddress { address, .. } => *address.interface == *name,
            Operation::AddRoute(route) => {
                let hops = route.next_hops.iter();
                let mut hops = hops.map(|hop| hop.interface.as_deref());
                route.interface.as_deref() == Some(name) || hops.any(|hop| hop == Some(name))
            }
            _ => false,
        };
        self.put_in.iter().filter(on).cloned().collect()
    }

    /// What is to be put in again because somebody took this address off.
    pub fn address_lost(&self, from: IfIndex, lost: IpAddr, length: u8) -> Option<Operation> {
        let is_lost = |operation: &&Operation| match operation {
            Operation::AddAddress { on, address } => {
                let is_it = (address.address, address.prefix_length) == (lost, length);
                is_it && *on == from && !address.no_track
            }
            _ => false,
        };
        self.put_in.iter().find(is_lost).cloned()
    }

    /// What is to be put in again because this is gone.
    pub fn lost(&self, lost: LostWay) -> Vec<Operation> {
        let put_in = self.put_in.iter().filter(|it| is_lost(it, lost));
        put_in.cloned().collect()
    }

    /// Notes a refusal; whether that is news.
    pub fn refused(&mut self, token: Token, operation: &Operation, errno: Errno) -> bool {
        !operation.adds() || self.refusals.note(token, operation, errno)
    }
}

/// The interfaces of what is static and has this track group, each once.
pub fn interfaces_of(config: &Config, group: &str) -> Vec<String> {
    let is_in = |named: &Option<String>| named.as_deref() == Some(group);
    let addresses = config.static_addresses.iter();
    let addresses = addresses.filter(|it| is_in(&it.track_group));
    let addresses = addresses.map(|it| &*it.interface);
    let routes = config.static_routes.iter();
    let routes = routes.filter(|it| is_in(&it.track_group));
    let routes = routes.filter_map(|it| it.interface.as_deref());
    let rules = config.static_rules.iter();
    let rules = rules.filter(|it| is_in(&it.track_group));
    let rules = rules.flat_map(|it| [&it.input_interface, &it.output_interface]);
    let rules = rules.filter_map(|name| name.as_deref());
    let mut names: Vec<String> = Vec::new();
    for name in addresses.chain(routes).chain(rules) {
        if names.iter().all(|it| it != name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The track group of what this puts in.
pub fn group_of(operation: &Operation) -> Option<&str> {
    match operation {
        Operation::AddAddress { address, .. } => address.track_group.as_deref(),
        Operation::AddRoute(route) => route.track_group.as_deref(),
        Operation::AddRule(rule) => rule.track_group.as_deref(),
        _ => None,
    }
}

fn wanted(config: &Config, interfaces: &Interfaces) -> Vec<Operation> {
    let addresses = config.static_addresses.iter().filter_map(|address| {
        let on = interfaces.named(&address.interface)?.index;
        let address = address.clone();
        Some(Operation::AddAddress { on, address })
    });
    // The address of an ipvlan is there as long as that is.
    let of_links = interfaces.links.iter().filter_map(|(_, link)| {
        let (on, address) = (link.on?, link.wish.address.clone()?);
        Some(Operation::AddAddress { on, address })
    });
    let mut promoting = BTreeSet::new();
    for instance in config.instances.iter().filter(|it| it.promote_secondaries) {
        let state = interfaces.named(&instance.interface);
        promoting.extend(state.map(|state| state.index));
    }
    let settings = promoting.into_iter().map(|on| Operation::Promote { on });
    settings
        .chain(addresses)
        .chain(of_links)
        .chain(additions_of(&config.static_routes, &config.static_rules))
        .collect()
}
