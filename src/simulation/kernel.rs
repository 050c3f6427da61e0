//! A model of the kernel of one node: interfaces with their addresses, and
//! requests that take time and may fail.
//!
//! Requests are carried out one after the other, as the daemon's netlink thread
//! does it: the news of what changed come before the answer. Does not decide
//! when; `world.rs` does.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;

use crate::config::model::Config;
use crate::ids::{Errno, IfIndex};
use crate::time::Interval;
use crate::vrrp::action::{Operation, OwnLink, OwnLinkKind, Token};
use crate::vrrp::event::{InterfaceAddress, InterfaceState, LinkDetails, LinkKind};
use crate::wire::advert::Family;

/// What the daemon hears from its kernel, or from its scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The present state of an interface.
    Interface(InterfaceState),
    /// An interface is gone.
    Gone(IfIndex),
    /// An address was taken off an interface.
    Removed {
        /// The interface.
        on: IfIndex,
        /// The address.
        address: InterfaceAddress,
    },
    /// One operation of a request was not done.
    Refused {
        /// Which request.
        token: Token,
        /// What was not done.
        operation: Operation,
        /// Why.
        errno: Errno,
    },
    /// A request was carried out.
    Done {
        /// Which one.
        token: Token,
        /// The first error.
        result: Result<(), Errno>,
    },
}

/// An interface, and the network that it is plugged into.
#[derive(Debug, Clone)]
pub struct Interface {
    /// As the kernel tells it.
    pub state: InterfaceState,
    /// Interfaces of one segment hear each other.
    pub segment: usize,
    /// Those that it has without any daemon.
    pub own: Vec<InterfaceAddress>,
}

/// A change of an address, for the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressChange {
    /// The address.
    pub address: IpAddr,
    /// Put on, or taken off.
    pub added: bool,
}

/// The kernel of one node.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
    /// How long one operation takes.
    pub latency: Interval,
    /// How many of the next operations fail.
    pub failing: u32,
    /// Addresses whose last operation on an interface failed.
    unsure: BTreeSet<(IfIndex, IpAddr)>,
    /// Addresses to which packets are dropped.
    pub blocked: BTreeSet<IpAddr>,
    requests: VecDeque<(Token, Vec<Operation>)>,
    next_index: u32,
}

impl Kernel {
    /// A kernel with these interfaces.
    pub fn new(interfaces: Vec<Interface>) -> Self {
        let highest = interfaces.iter().map(|it| it.state.index.0).max();
        Self {
            interfaces,
            latency: Interval::from_us(50),
            failing: 0,
            unsure: BTreeSet::new(),
            blocked: BTreeSet::new(),
            requests: VecDeque::new(),
            next_index: highest.unwrap_or(0).saturating_add(1),
        }
    }

    /// Its interfaces, as a dump shows them.
    pub fn states(&self) -> Vec<InterfaceState> {
        self.interfaces
            .iter()
            .map(|interface| interface.state.clone())
            .collect()
    }

    /// The interface with this number.
    pub fn by_index(&self, index: IfIndex) -> Option<&Interface> {
        self.interfaces.iter().find(|it| it.state.index == index)
    }

    /// The interface that a packet leaves by: the one that was asked for or, where
    /// routes decide, the one that has the sender's address.
    pub fn outgoing(&self, via: IfIndex, source: Option<IpAddr>) -> Option<&Interface> {
        match via {
            IfIndex::ANY => self.with_address(source?),
            _ => self.by_index(via),
        }
    }

    /// The interface with this name.
    pub fn by_name(&mut self, name: &str) -> Option<&mut Interface> {
        self.interfaces.iter_mut().find(|it| it.state.name == name)
    }

    /// The interface that has this address.
    pub fn with_address(&self, address: IpAddr) -> Option<&Interface> {
        let holds = |it: &&Interface| it.state.addresses.iter().any(|on| on.address == address);
        self.interfaces.iter().find(holds)
    }

    /// The address of its own that an interface sends from.
    pub fn source(&self, interface: &str, family: Family) -> Option<IpAddr> {
        let interface = self
            .interfaces
            .iter()
            .find(|it| it.state.name == interface)?;
        let mut own = interface.own.iter().map(|on| on.address);
        own.find(|address| Family::of(*address) == family)
    }

    /// Whether an address is on any interface.
    pub fn has(&self, address: IpAddr) -> bool {
        self.with_address(address).is_some()
    }

    /// Whether an address is on an interface without any daemon.
    pub fn owns(&self, address: IpAddr) -> bool {
        let mut own = self.interfaces.iter().flat_map(|it| &it.own);
        own.any(|on| on.address == address)
    }

    /// Whether an address is on another interface than `on`.
    pub fn has_elsewhere(&self, on: IfIndex, address: IpAddr) -> bool {
        let others = self.interfaces.iter().filter(|it| it.state.index != on);
        let mut there = others.flat_map(|it| &it.state.addresses);
        there.any(|other| other.address == address)
    }

    /// Whether an operation with this address was refused, and none of that kind was
    /// done since.
    pub fn is_unsure(&self, address: IpAddr) -> bool {
        self.unsure.iter().any(|(_, unsure)| *unsure == address)
    }

    /// Whether no request waits.
    pub fn is_idle(&self) -> bool {
        self.requests.is_empty()
    }

    /// Takes a request; how long it takes from when it is its turn.
    pub fn ask(&mut self, token: Token, operations: Vec<Operation>) {
        self.requests.push_back((token, operations));
    }

    /// How long the request takes whose turn it is.
    pub fn takes(&self) -> Option<Interval> {
        let (_, operations) = self.requests.front()?;
        let count = u64::try_from(operations.len()).unwrap_or(u64::MAX);
        Some(self.latency.times(count.max(1)))
    }

    /// The daemon that asked is gone.
    pub fn forget_requests(&mut self) {
        self.requests.clear();
    }

    /// The addresses that the request puts on whose turn it is.
    pub fn next_added(&self) -> Vec<IpAddr> {
        let operations = self.requests.front().map(|(_, operations)| operations);
        let added = operations.into_iter().flatten().filter_map(|it| match it {
            Operation::AddAddress { address, .. } => Some(address.address),
            _ => None,
        });
        added.collect()
    }

    /// Carries out the request whose turn it is: what the daemon hears, and what
    /// changed.
    pub fn serve(&mut self) -> (Vec<Report>, Vec<AddressChange>) {
        let Some((token, operations)) = self.requests.pop_front() else {
            return (Vec::new(), Vec::new());
        };
        let mut touched = BTreeSet::new();
        let (mut removed, mut refused) = (Vec::new(), Vec::new());
        let mut changes = Vec::new();
        let mut result = Ok(());
        let mut links = Vec::new();
        for operation in &operations {
            let (on, address, add) = match operation {
                Operation::AddLink(link) => {
                    let made = self.add_link(link);
                    result = result.and(made.map(|report| links.extend(report)));
                    continue;
                }
                Operation::RemoveLink { on, .. } => {
                    self.interfaces.retain(|it| it.state.index != *on);
                    links.push(Report::Gone(*on));
                    continue;
                }
                Operation::AddAddress { on, address } => (*on, address, true),
                Operation::RemoveAddress { on, address } => (*on, address, false),
                Operation::Block { address, .. } => {
                    self.blocked.insert(*address);
                    continue;
                }
                Operation::Unblock { address, .. } => {
                    self.blocked.remove(address);
                    continue;
                }
                // There are no routes and rules in this kernel.
                _ => continue,
            };
            let entry = InterfaceAddress {
                address: address.address,
                prefix_length: address.prefix_length,
            };
            match self.change(on, entry, add) {
                Ok(true) => {
                    touched.insert(on);
                    let (address, added) = (entry.address, add);
                    changes.push(AddressChange { address, added });
                    if !add {
                        let address = entry;
                        removed.push(Report::Removed { on, address });
                    }
                }
                Ok(false) => {}
                Err(errno) => {
                    result = result.and(Err(errno));
                    refused.push(Report::Refused {
                        token,
                        operation: operation.clone(),
                        errno,
                    });
                }
            }
        }
        let states = touched.into_iter().filter_map(|on| self.by_index(on));
        let mut reports: Vec<Report> = states
            .map(|it| Report::Interface(it.state.clone()))
            .collect();
        reports.append(&mut removed);
        reports.append(&mut links);
        reports.append(&mut refused);
        reports.push(Report::Done { token, result });
        (reports, changes)
    }

    /// Makes a virtual MAC; what the daemon hears. There are no ipvlans in this kernel.
    fn add_link(&mut self, link: &OwnLink) -> Result<Option<Report>, Errno> {
        if self.failing > 0 {
            self.failing = self.failing.saturating_sub(1);
            return Err(Errno(libc::ENOBUFS));
        }
        let OwnLinkKind::Macvlan(mac) = link.kind else {
            return Err(Errno(libc::EOPNOTSUPP));
        };
        let Some(base) = self.by_index(link.parent).cloned() else {
            return Err(Errno(libc::ENODEV));
        };
        let there = self.by_name(&link.name).map(|it| it.state.link);
        if let Some(details) = there {
            let fits = details.is_of(&link.kind, link.parent);
            return if fits {
                Ok(None)
            } else {
                Err(Errno(libc::EEXIST))
            };
        }
        let index = IfIndex(self.next_index);
        self.next_index = self.next_index.saturating_add(1);
        let state = InterfaceState {
            index,
            name: link.name.clone(),
            mac,
            link: LinkDetails {
                parent: Some(link.parent),
                kind: LinkKind::Macvlan { private: true },
                ..LinkDetails::default()
            },
            addresses: Vec::new(),
            ..base.state
        };
        self.interfaces.push(Interface {
            state: state.clone(),
            segment: base.segment,
            own: Vec::new(),
        });
        Ok(Some(Report::Interface(state)))
    }

    /// Where a multicast packet is heard on a segment. As with macvlans: what comes from
    /// a virtual MAC goes to that alone, if it is here too; all else goes everywhere.
    pub fn hearing(&self, segment: usize, sender: &Interface) -> Vec<IfIndex> {
        let is_virtual = sender.state.link.parent.is_some();
        let on_segment = || self.interfaces.iter().filter(|it| it.segment == segment);
        let same = on_segment().find(|it| is_virtual && it.state.mac == sender.state.mac);
        match same {
            Some(same) => vec![same.state.index],
            None => on_segment().map(|it| it.state.index).collect(),
        }
    }

    /// Sets an interface up or down, with the virtual MACs above it; what the daemon
    /// hears.
    pub fn set_up(&mut self, name: &str, up: bool) -> Vec<Report> {
        let Some(base) = self.by_name(name).map(|it| it.state.index) else {
            return Vec::new();
        };
        let is_it =
            |it: &&mut Interface| it.state.index == base || it.state.link.parent == Some(base);
        let touched = self.interfaces.iter_mut().filter(is_it);
        let reports = touched.map(|it| {
            it.state.up = up;
            Report::Interface(it.state.clone())
        });
        reports.collect()
    }

    /// Puts an address on or off; whether that changed anything.
    fn change(&mut self, on: IfIndex, entry: InterfaceAddress, add: bool) -> Result<bool, Errno> {
        if self.failing > 0 {
            self.failing = self.failing.saturating_sub(1);
            self.unsure.insert((on, entry.address));
            return Err(Errno(libc::ENOBUFS));
        }
        self.unsure.remove(&(on, entry.address));
        let found = self.interfaces.iter_mut().find(|it| it.state.index == on);
        let Some(interface) = found else {
            // What is on an interface that is gone is gone, too.
            return if add {
                Err(Errno(libc::ENODEV))
            } else {
                Ok(false)
            };
        };
        let there = &mut interface.state.addresses;
        let before = there.len();
        if !add {
            there.retain(|other| *other != entry);
        } else if !there.contains(&entry) {
            there.push(entry);
        }
        Ok(there.len() != before)
    }

    /// Before a start, what a daemon that was killed left behind is taken off.
    pub fn take_off_vips(&mut self, config: &Config) -> Vec<IpAddr> {
        let instances = config.instances.iter();
        let vips = instances.flat_map(|instance| instance.all_addresses());
        let vips: BTreeSet<IpAddr> = vips.map(|vip| vip.address).collect();
        let mut removed = Vec::new();
        for interface in &mut self.interfaces {
            let own = &interface.own;
            interface.state.addresses.retain(|on| {
                let goes = vips.contains(&on.address) && !own.contains(on);
                if goes {
                    removed.push(on.address);
                }
                !goes
            });
        }
        removed
    }

    /// Somebody takes an address away; what the daemon hears.
    pub fn take_away(&mut self, address: IpAddr) -> Vec<Report> {
        for interface in &mut self.interfaces {
            let there = &mut interface.state.addresses;
            let Some(place) = there.iter().position(|on| on.address == address) else {
                continue;
            };
            let gone = there.remove(place);
            let on = interface.state.index;
            return vec![
                Report::Interface(interface.state.clone()),
                Report::Removed { on, address: gone },
            ];
        }
        Vec::new()
    }

    /// An interface is deleted and made again, with its own addresses and
    /// another number.
    pub fn recreate(&mut self, name: &str) -> Vec<Report> {
        let index = IfIndex(self.next_index);
        self.next_index = self.next_index.saturating_add(1);
        let Some(interface) = self.by_name(name) else {
            return Vec::new();
        };
        let gone = std::mem::replace(&mut interface.state.index, index);
        interface.state.addresses = interface.own.clone();
        let state = interface.state.clone();
        let mut reports = Vec::new();
        self.interfaces.retain(|it| {
            let stays = it.state.link.parent != Some(gone);
            if !stays {
                reports.push(Report::Gone(it.state.index));
            }
            stays
        });
        reports.extend([Report::Gone(gone), Report::Interface(state)]);
        reports
    }

    /// The power goes off: only what every boot sets up is there afterwards.
    pub fn reboot(&mut self) {
        self.forget_requests();
        self.unsure.clear();
        self.failing = 0;
        self.interfaces.retain(|it| it.state.link.parent.is_none());
        for interface in &mut self.interfaces {
            interface.state.addresses = interface.own.clone();
            interface.state.up = true;
        }
    }

    /// Every address that no boot sets up: those of the daemon.
    pub fn added(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.interfaces.iter().flat_map(|interface| {
            let there = interface.state.addresses.iter();
            there
                .filter(|on| !interface.own.contains(on))
                .map(|on| on.address)
        })
    }
}
