//! The links that instances have of their own: virtual MACs (`use_vmac`) and ipvlans
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

use super::action::{OwnLinkKind, Token};
use super::event::InterfaceState;
use super::link_lines::LinkNews;

/// Numbers in names are tried up to this one.
const NUMBER_MAX: u32 = 999;

/// What a link is, whatever its name. Instances that want the same share it: on an
/// interface the kernel has a hardware address once only.
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

/// What a configuration wants a link to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The first instance that wants it.
    pub instance: String,
    /// What it is.
    pub kind: OwnLinkKind,
    /// `group`
    pub group: Option<u32>,
    /// Something of IPv4 is on it, or goes out of it.
    pub ipv4: bool,
    /// The same for IPv6.
    pub ipv6: bool,
    /// `netlink_notify_msg`
    pub notify: bool,
    /// An address that it always has: the one of an ipvlan.
    pub address: Option<VirtualAddress>,
    /// The name that the configuration gives it.
    name: Option<String>,
    /// What its name begins with if there is none.
    prefix: String,
    vrid: Vrid,
    /// It is for IPv6 in the first place.
    is_ipv6: bool,
    /// Its place among all wishes.
    place: usize,
}

/// A link, as far as it has come.
#[derive(Debug)]
pub struct Link {
    /// What it is to be.
    pub wish: Wish,
    /// Its name, once that is chosen.
    pub name: Option<String>,
    /// It is there, with all that belongs to it.
    pub on: Option<IfIndex>,
    /// It is being made.
    pub asked: Option<Token>,
    /// What is to be told when what was asked for is done.
    pub news: LinkNews,
    /// It is there, and not yet what the configuration wants of it.
    pub is_stale: bool,
    /// It is there, but not in the VRF of the interface below it.
    pub is_astray: bool,
    /// It could not be made.
    pub refused: Option<Errno>,
    /// Until then it may be down: it is new, or on its way out, and then it is made anew.
    pub settles_until: Option<Instant>,
    /// It was up when it was last looked at.
    pub was_up: bool,
    /// It is asked for again no earlier.
    pub not_before: Instant,
}

/// A link that is there and no longer wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwanted {
    /// The instance that it was made for.
    pub instance: String,
    /// Its name.
    pub name: String,
    /// Its number, if that is known.
    pub on: Option<IfIndex>,
    /// It is still being made.
    pub asked: Option<Token>,
    /// What it is.
    pub kind: OwnLinkKind,
}

/// Whether a link can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is there and up.
    Up,
    /// It is there.
    Down,
    /// It will be there at once.
    Awaited,
    /// The interface below it is missing.
    NoParent,
    /// The kernel did not make it.
    Refused(Errno),
}

impl Wish {
    /// Whether a link may have this name.
    pub fn fits(&self, name: &str) -> bool {
        if let Some(wanted) = &self.name {
            return wanted == name;
        }
        let end = format!(".{}", self.vrid);
        let number = name
            .strip_prefix(&self.prefix)
            .and_then(|rest| rest.strip_suffix(&end));
        number.is_some_and(|number| number.bytes().all(|it| it.is_ascii_digit()))
    }

    /// The names that it may get, the best first (specification F.12). Where the one that
    /// the configuration gives is that of another interface it gets one as if there were
    /// none.
    pub fn names(&self) -> impl Iterator<Item = String> + '_ {
        let (prefix, vrid) = (&self.prefix, self.vrid);
        let plain = std::iter::once_with(move || format!("{prefix}.{vrid}"));
        let second = self.is_ipv6.then(|| format!("{prefix}6.{vrid}"));
        let numbered = (1..=NUMBER_MAX).map(move |number| format!("{prefix}{number}.{vrid}"));
        let given = self.name.clone().into_iter();
        given.chain(plain).chain(second).chain(numbered)
    }

    /// The name that the configuration gives it.
    pub fn given_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether the kernel is to be told when `self` takes the place of `old`.
    fn differs(&self, old: &Self) -> bool {
        let settings = |it: &Self| (it.kind, it.group, it.ipv4, it.ipv6, it.notify);
        settings(self) != settings(old) || self.address != old.address
    }
}

impl Link {
    /// One that is not there yet.
    pub fn new(wish: Wish) -> Self {
        Self {
            wish,
            name: None,
            on: None,
            asked: None,
            news: LinkNews::Made,
            is_stale: false,
            is_astray: false,
            refused: None,
            settles_until: None,
            was_up: false,
            not_before: Instant::ZERO,
        }
    }

    /// What is to be taken away if it is not wanted any more.
    pub fn unwanted(self) -> Option<Unwanted> {
        if self.on.is_none() && self.asked.is_none() {
            return None;
        }
        Some(Unwanted {
            instance: self.wish.instance,
            name: self.name?,
            on: self.on,
            asked: self.asked,
            kind: self.wish.kind,
        })
    }

    /// The same link for another wish.
    fn follow(self, wish: Wish) -> Self {
        let is_other = wish.differs(&self.wish);
        Self {
            // To the kernel it stays the same interface, and so does what is on it.
            is_stale: self.is_stale || (is_other && self.on.is_some()),
            asked: self.asked.filter(|_| !is_other),
            refused: self.refused.filter(|_| !is_other),
            not_before: if is_other {
                Instant::ZERO
            } else {
                self.not_before
            },
            wish,
            ..self
        }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct VirtualLinks(BTreeMap<LinkKey, Link>);

impl VirtualLinks {
    /// Goes over to what `config` wants. What is the same stays as it is. Gives what is
    /// not wanted any more and may be there.
    pub fn follow(&mut self, config: &Config) -> Vec<Unwanted> {
        let mut before = std::mem::take(&mut self.0);
        for (key, wish) in wishes(config) {
            let fits = |link: &Link| {
                let same = link.wish.name == wish.name && link.wish.prefix == wish.prefix;
                let name_fits = same || link.name.as_deref().is_none_or(|name| wish.fits(name));
                // The mode of an ipvlan cannot be changed.
                name_fits && (link.wish.kind == wish.kind)
            };
            let link = match before.get(&key).is_some_and(fits) {
                true => before.remove(&key).map(|link| link.follow(wish.clone())),
                false => None,
            };
            self.0.insert(key, link.unwrap_or_else(|| Link::new(wish)));
        }
        before.into_values().filter_map(Link::unwanted).collect()
    }

    /// Nothing is wanted any more; gives what may be there.
    pub fn take_all(&mut self) -> Vec<Unwanted> {
        let mut links: Vec<Link> = std::mem::take(&mut self.0).into_values().collect();
        links.sort_by_key(|link| link.wish.place);
        links.into_iter().filter_map(Link::unwanted).collect()
    }

    /// One of them.
    pub fn get(&self, key: &LinkKey) -> Option<&Link> {
        self.0.get(key)
    }

    /// One of them, to be changed.
    pub fn get_mut(&mut self, key: &LinkKey) -> Option<&mut Link> {
        self.0.get_mut(key)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&LinkKey, &Link)> {
        self.0.iter()
    }

    /// Their names for the rest of us, in the order of the configuration.
    pub fn keys_in_order(&self) -> Vec<LinkKey> {
        let mut links: Vec<_> = self.0.iter().collect();
        links.sort_by_key(|(_, link)| link.wish.place);
        links.into_iter().map(|(key, _)| key.clone()).collect()
    }

    /// Those that may be different because an interface is, in the order of the
    /// configuration.
    pub fn touched_by(&self, name: &str, index: IfIndex) -> Vec<LinkKey> {
        let links = self.0.iter().filter(|(key, link)| {
            let is_it = link.on == Some(index) || link.name.as_deref() == Some(name);
            is_it || key.parent == name
        });
        let mut links: Vec<_> = links.collect();
        links.sort_by_key(|(_, link)| link.wish.place);
        links.into_iter().map(|(key, _)| key.clone()).collect()
    }

    /// The one that was asked for in this request.
    pub fn asked(&self, token: Token) -> Option<LinkKey> {
        let mut links = self.0.iter();
        let found = links.find(|(_, link)| link.asked == Some(token));
        found.map(|(key, _)| key.clone())
    }

    /// Whether one is being made that will have this name.
    pub fn is_making(&self, name: &str) -> bool {
        let mut links = self.0.values();
        links.any(|link| link.asked.is_some() && link.name.as_deref() == Some(name))
    }

    /// Whether another one than `key` has this name, or is to have it.
    pub fn is_taken(&self, name: &str, key: &LinkKey) -> bool {
        let mut others = self.0.iter().filter(|(other, _)| *other != key);
        others.any(|(_, link)| {
            let given = link.wish.name.as_deref();
            link.name.as_deref().or(given) == Some(name)
        })
    }

    /// Whether one has this name, or will have it.
    pub fn has_name(&self, name: &str) -> bool {
        let mut links = self.0.values();
        links.any(|link| link.name.as_deref() == Some(name))
    }
}

/// The link that the adverts of an instance go out of, and most of its addresses are on.
pub fn own_link(instance: &Instance) -> Option<LinkKey> {
    let what = if instance.vmac.is_some() {
        What::Macvlan(hardware_address(instance, instance.ipv6))
    } else if instance.ipvlan.is_some() {
        What::Ipvlan(instance.vrid, instance.ipv6)
    } else {
        return None;
    };
    Some(LinkKey {
        parent: instance.interface.to_string(),
        what,
    })
}

/// The link that an address is on; `None` if it is on the interface that it names.
///
/// An address of the family of its instance is on the virtual MAC of the instance
/// wherever it names its interface; an ipvlan has its own address alone. Addresses that
/// say `use_vmac`, and with `use_vmac_addr` all others, are on a link of their own above
/// their interface.
pub fn link_of(instance: &Instance, vip: &VirtualAddress) -> Option<LinkKey> {
    let is_ipv6 = vip.address.is_ipv6();
    let is_at_home = vip.interface == instance.interface && is_ipv6 == instance.ipv6;
    if is_at_home && instance.vmac.is_some() {
        return own_link(instance);
    }
    let has_own = vip.use_vmac || (instance.vmac_addresses && !is_at_home);
    has_own.then(|| LinkKey {
        parent: vip.interface.to_string(),
        what: What::Macvlan(hardware_address(instance, is_ipv6)),
    })
}

/// All links of an instance, some of them more than once.
pub fn links_of(instance: &Instance) -> impl Iterator<Item = LinkKey> {
    let vips = instance.all_addresses();
    let of_vips = vips.filter_map(|vip| link_of(instance, vip));
    own_link(instance).into_iter().chain(of_vips)
}

/// The hardware address of a virtual router (RFC 9568 section 7.3), or the configured
/// one.
fn hardware_address(instance: &Instance, ipv6: bool) -> MacAddress {
    let vrid = instance.vrid.get();
    let configured = instance
        .vmac
        .as_ref()
        .and_then(|vmac| vmac.hardware_address);
    MacAddress(match configured {
        Some(HardwareAddress::Whole(address)) => address,
        Some(HardwareAddress::BeforeVrid([a, b, c, d, e])) => [a, b, c, d, e, vrid],
        None => [0, 0, 0x5e, 0, if ipv6 { 2 } else { 1 }, vrid],
    })
}

/// What a configuration wants, each link once.
fn wishes(config: &Config) -> BTreeMap<LinkKey, Wish> {
    let mut wishes = BTreeMap::new();
    for instance in &config.instances {
        if let Some((key, wish)) = wish_of_instance(instance, &config.globals) {
            add(&mut wishes, key, wish);
        }
        for vip in instance.all_addresses() {
            if let Some(key) = link_of(instance, vip) {
                let wish = wish_of_address(instance, vip, &key, &config.globals);
                add(&mut wishes, key, wish);
            }
        }
    }
    wishes
}

/// The first who wants a link gives it what only one can.
fn add(wishes: &mut BTreeMap<LinkKey, Wish>, key: LinkKey, wish: Wish) {
    let place = wishes.len();
    let known = wishes.entry(key).or_insert(Wish {
        place,
        ..wish.clone()
    });
    known.name = known.name.take().or(wish.name);
    known.group = known.group.or(wish.group);
    known.ipv4 |= wish.ipv4;
    known.ipv6 |= wish.ipv6;
    known.notify |= wish.notify;
}

fn wish_of_instance(instance: &Instance, globals: &Globals) -> Option<(LinkKey, Wish)> {
    let key = own_link(instance)?;
    let plain = plain(instance, &key, &globals.vmac_prefix);
    let wish = match (&instance.vmac, &instance.ipvlan) {
        (Some(vmac), _) => Wish {
            name: vmac.interface.clone(),
            group: vmac.group,
            notify: vmac.netlink_notify,
            is_ipv6: instance.ipv6,
            ..plain
        },
        (None, Some(ipvlan)) => Wish {
            name: ipvlan.interface.clone(),
            group: ipvlan.group,
            address: ipvlan.address.map(|(address, length)| {
                VirtualAddress::new(address, length, instance.interface.clone())
            }),
            ..plain
        },
        (None, None) => return None,
    };
    let wish = Wish {
        ipv4: !instance.ipv6,
        ipv6: instance.ipv6,
        ..wish
    };
    Some((key, wish))
}

fn wish_of_address(
    instance: &Instance,
    vip: &VirtualAddress,
    key: &LinkKey,
    globals: &Globals,
) -> Wish {
    let prefix = globals.vmac_address_prefix.as_ref();
    let is_ipv6 = matches!(vip.address, IpAddr::V6(_));
    Wish {
        ipv4: !is_ipv6,
        ipv6: is_ipv6,
        is_ipv6,
        ..plain(instance, key, prefix.unwrap_or(&globals.vmac_prefix))
    }
}

fn plain(instance: &Instance, key: &LinkKey, prefix: &str) -> Wish {
    let mode = instance.ipvlan.as_ref().and_then(|ipvlan| ipvlan.mode);
    Wish {
        instance: instance.name.clone(),
        kind: match key.what {
            What::Macvlan(address) => OwnLinkKind::Macvlan(address),
            What::Ipvlan(..) => OwnLinkKind::Ipvlan(mode.unwrap_or_default()),
        },
        group: None,
        ipv4: false,
        ipv6: false,
        notify: false,
        address: None,
        name: None,
        prefix: prefix.to_owned(),
        vrid: instance.vrid,
        is_ipv6: false,
        place: 0,
    }
}

impl Link {
    /// Whether it can be used; `parent` and `own`: the interface below it, and itself.
    pub fn standing(
        &self,
        parent: Option<&InterfaceState>,
        own: Option<&InterfaceState>,
    ) -> Standing {
        match (own, self.refused, parent) {
            (Some(state), _, _) if state.up => Standing::Up,
            (_, _, None) => Standing::NoParent,
            (Some(_), _, Some(parent)) if self.settles_until.is_some() && parent.up => {
                Standing::Awaited
            }
            (Some(_), _, _) => Standing::Down,
            (None, Some(errno), _) => Standing::Refused(errno),
            (None, None, Some(_)) => Standing::Awaited,
        }
    }
}
