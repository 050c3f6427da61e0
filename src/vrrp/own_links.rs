//! Links that instances have of their own: virtual MACs (`use_vmac`) and ipvlans
//! (`use_ipvlan`).
//!
//! Decides which links a configuration wants, what they are called, which address is on
//! which of them, and whether one can be used. When they are made and taken away is
//! decided in `engine/links.rs`. Source: specification C.1, D.7, F.12.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::model::{Config, Globals, HardwareAddress, Instance, VirtualAddress};
use crate::ids::{Errno, IfIndex, MacAddress, Vrid};
use crate::time::Instant;

use super::action::{OwnLink, OwnLinkKind, Token};
use super::event::{InterfaceState, LinkKind};
use super::interfaces::Interfaces;

/// Names are tried up to this number.
const NUMBER_MAX: u32 = 999;

/// What a link is, whatever its name. Instances that want the same share it: the kernel
/// has a hardware address once only on an interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkKey {
    /// The interface below it.
    pub parent: String,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum What {
    Macvlan(MacAddress),
    /// Of an instance, by its VRID and whether it is IPv6.
    Ipvlan(Vrid, bool),
}

/// A link that the configuration asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The first instance that wants it, for the log.
    pub instance: String,
    /// The name that the configuration gives it.
    name: Option<String>,
    /// What its name begins with if it has none.
    prefix: String,
    vrid: Vrid,
    kind: OwnLinkKind,
    group: Option<u32>,
    /// Something IPv4 is on it, or goes out of it.
    ipv4: bool,
    /// The same for IPv6.
    ipv6: bool,
    notify: bool,
    /// An address that it always has: that of an ipvlan.
    pub address: Option<VirtualAddress>,
}

/// How far a link has come.
#[derive(Debug)]
pub struct Link {
    /// What is wanted.
    pub wish: Wish,
    /// The name that it has, or is to get.
    pub name: Option<String>,
    /// It is there, with all that belongs to it.
    pub on: Option<IfIndex>,
    /// It is being made.
    pub asked: Option<Token>,
    /// It could not be made.
    pub refused: Option<Errno>,
    /// It is new, and not up yet, as the kernel takes a moment for that.
    pub settling: bool,
    /// It is not asked for before.
    pub not_before: Instant,
}

/// Whether a link can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<'a> {
    /// It is there.
    Ready(&'a InterfaceState),
    /// It will be there at once.
    Awaited,
    /// The interface below it is missing.
    NoParent,
    /// The kernel did not make it.
    Refused(Errno),
}

impl Standing<'_> {
    /// Whether it is there and up.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Ready(state) if state.up)
    }
}

/// All links of our own.
#[derive(Debug, Default)]
pub struct OwnLinks(BTreeMap<LinkKey, Link>);

/// A link that is not wanted any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwanted {
    /// The instance that it was of.
    pub instance: String,
    /// Its name.
    pub name: String,
    /// Its number.
    pub on: IfIndex,
    /// It is an ipvlan.
    pub ipvlan: bool,
}

impl OwnLinks {
    /// Goes over to the wishes of a configuration. What is the same keeps its name and
    /// state. Gives the links that are there and not wanted any more.
    pub fn follow(&mut self, config: &Config) -> Vec<Unwanted> {
        let mut before = std::mem::take(&mut self.0);
        for (key, wish) in wishes(config) {
            let same = before.remove_entry(&key);
            let same = same.filter(|(_, link)| wish.keeps(link));
            let link = match same {
                Some((key, old)) if old.name.as_deref().is_none_or(|it| wish.fits(it)) => {
                    let changed = old.wish.differs_in_kernel(&wish);
                    let link = Link {
                        wish,
                        refused: old.refused.filter(|_| !changed),
                        on: old.on.filter(|_| !changed),
                        ..old
                    };
                    self.0.insert(key, link);
                    continue;
                }
                Some((key, old)) => {
                    before.insert(key, old);
                    Link::new(wish)
                }
                None => Link::new(wish),
            };
            self.0.insert(key, link);
        }
        before.into_values().filter_map(Link::unwanted).collect()
    }

    /// The link of this name and number, if it is there, is gone.
    pub fn forget(&mut self, on: IfIndex) {
        for link in self.0.values_mut().filter(|link| link.on == Some(on)) {
            link.on = None;
        }
    }

    /// A link.
    pub fn get(&self, key: &LinkKey) -> Option<&Link> {
        self.0.get(key)
    }

    /// A link, to change it.
    pub fn get_mut(&mut self, key: &LinkKey) -> Option<&mut Link> {
        self.0.get_mut(key)
    }

    /// All of them, in the order of the configuration as far as it matters.
    pub fn iter(&self) -> impl Iterator<Item = (&LinkKey, &Link)> {
        self.0.iter()
    }

    /// What is being asked for with this token.
    pub fn asked(&self, token: Token) -> Option<LinkKey> {
        let mut links = self.0.iter();
        let found = links.find(|(_, link)| link.asked == Some(token));
        found.map(|(key, _)| key.clone())
    }

    /// Whether a link of ours has this name, or is to get it.
    pub fn has_name(&self, name: &str) -> bool {
        self.0.values().any(|link| link.name.as_deref() == Some(name))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
