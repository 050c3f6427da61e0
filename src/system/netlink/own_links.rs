//! The interfaces that instances make for themselves: a private macvlan with the
//! virtual hardware address (`use_vmac`), or an ipvlan.
//!
//! Decides in which order all that belongs to one is made, so that it is silent before
//! it is up; which settings it and the interface below have; and that those of the
//! interface below become what they were when its last VMAC goes. What they were is
//! written to each VMAC as its alias: a daemon that is killed leaves it there, for the
//! one that cleans up. `conf/all` is never written. Source: specification D.7, F.12.

use std::collections::BTreeMap;
use std::io;

use super::link::{self, Ipv4Setting, Link};
use super::nftables::{Firewall, Guard};
use super::socket::RequestSocket;
use crate::config::model::Family;
use crate::ids::{Errno, IfIndex};
use crate::system::sysctl;
use crate::vrrp::action::{OwnLink, OwnLinkKind};
use crate::vrrp::event::LinkPart;

use super::errno_of;
use mark::{Mark, Settings};

mod left;
mod mark;

pub use left::{LeftLink, clean_up_links};

/// A part that is missing, and why.
pub(super) type Flaw = (LinkPart, Errno);

/// The interfaces that this process has made or taken over.
#[derive(Debug, Default)]
pub(super) struct OwnLinks {
    links: BTreeMap<IfIndex, Own>,
    /// What the settings of interfaces below were.
    parents: BTreeMap<IfIndex, Settings>,
}

#[derive(Debug)]
struct Own {
    name: String,
    parent: IfIndex,
    /// The settings of the parent are as they are for its sake.
    holds_parent: bool,
}

/// What one request works with.
struct Work<'a> {
    socket: &'a mut RequestSocket,
    firewall: &'a mut Firewall,
    link: &'a OwnLink,
    flaws: Vec<Flaw>,
}

impl OwnLinks {
    /// Makes an interface, or takes over one that fits, with all that belongs to it;
    /// what is missing of that. After an error nothing is left of one that was made.
    pub(super) fn add(
        &mut self,
        socket: &mut RequestSocket,
        firewall: &mut Firewall,
        link: &OwnLink,
    ) -> io::Result<Vec<Flaw>> {
        let (found, is_new) = find_or_create(socket, link)?;
        let outcome = self.complete(socket, firewall, link, &found);
        if outcome.is_err() && is_new {
            // Who was refused does not ask for it to be removed. The first error counts.
            let _ = self.remove(socket, firewall, found.state.index, &link.name);
        }
        outcome
    }

    fn complete(
        &mut self,
        socket: &mut RequestSocket,
        firewall: &mut Firewall,
        link: &OwnLink,
        found: &Link,
    ) -> io::Result<Vec<Flaw>> {
        let index = found.state.index;
        if let OwnLinkKind::Macvlan(mac) = link.kind
            && mac != found.state.mac
        {
            link::set_mac(socket, index, mac)?;
        }
        self.forget_others_of(&link.name, index, firewall);
        let mut work = Work {
            socket,
            firewall,
            link,
            flaws: Vec::new(),
        };
        let before = self.parent_before(&mut work);
        work.mark(found, before);
        let own = Own {
            name: link.name.clone(),
            parent: link.parent,
            holds_parent: before.is_some(),
        };
        let had = self.links.insert(index, own);
        if had.is_some_and(|had| had.holds_parent) && before.is_none() {
            self.release_parent(work.socket, link.parent)?;
        }
        work.set_membership(found);
        work.guard(index);
        work.set_own(found);
        if before.is_some() {
            work.set_parent();
        }
        link::set_up(work.socket, index)?;
        if link.notify {
            let alias = link::by_index(work.socket, index)?.and_then(|it| it.alias);
            link::set_alias(work.socket, index, &alias.unwrap_or_default())?;
        }
        Ok(work.flaws)
    }

    /// Deletes several interfaces at once; what belongs to them is there still, and so
    /// are those that cannot be deleted. `remove` of each must follow.
    pub(super) fn delete_together<'a>(
        &self,
        socket: &mut RequestSocket,
        links: impl Iterator<Item = (IfIndex, &'a str)>,
    ) {
        let is_own = |(index, name): &(IfIndex, &str)| {
            self.links.get(index).is_some_and(|it| it.name == *name)
        };
        let own: Vec<IfIndex> = links.filter(is_own).map(|(index, _)| index).collect();
        if own.len() > 1 {
            // What went wrong shows when each is removed.
            let _ = link::delete_together(socket, &own);
        }
    }

    /// Deletes an interface with all that belongs to it. That it is gone is no error.
    pub(super) fn remove(
        &mut self,
        socket: &mut RequestSocket,
        firewall: &mut Firewall,
        index: IfIndex,
        name: &str,
    ) -> io::Result<()> {
        let own = self.links.remove(&index);
        let found = link::by_index(socket, index)?;
        // A number can come again. One with another name was renamed by somebody, if it
        // is ours.
        let is_it = |it: &Link| it.state.name == name || Mark::of(it).is_some();
        let deleted = match found.filter(is_it) {
            Some(_) => link::delete(socket, index).map(|_| ()),
            None => Ok(()),
        };
        // What it would have sent goes nowhere any more.
        let opened = firewall.unguard(index);
        let restored = match own {
            Some(own) if own.holds_parent => self.release_parent(socket, own.parent),
            _ => Ok(()),
        };
        deleted.and(opened).and(restored)
    }

    /// An interface is gone, by whomever.
    pub(super) fn gone(&mut self, firewall: &mut Firewall, index: IfIndex) {
        self.parents.remove(&index);
        if self.links.contains_key(&index) {
            // It stays known: who removes it then puts back the settings of its parent.
            let _ = firewall.unguard(index);
        }
    }

    /// One of this name that was deleted by somebody, and is made anew.
    fn forget_others_of(&mut self, name: &str, index: IfIndex, firewall: &mut Firewall) {
        let is_other = |other: &IfIndex, own: &Own| *other != index && own.name == name;
        let others: Vec<IfIndex> = self
            .links
            .iter()
            .filter(|(other, own)| is_other(other, own))
            .map(|(other, _)| *other)
            .collect();
        for other in others {
            self.links.remove(&other);
            let _ = firewall.unguard(other);
        }
    }

    /// What the settings of the parent were before anybody changed them for a VMAC;
    /// `None` if this link needs no change of them.
    fn parent_before(&mut self, work: &mut Work<'_>) -> Option<Settings> {
        let parent = work.link.parent;
        if !work.link.ipv4 || matches!(work.link.kind, OwnLinkKind::Ipvlan(_)) {
            return None;
        }
        if let Some(before) = self.parents.get(&parent) {
            return Some(*before);
        }
        let links = match link::all(work.socket) {
            Ok(links) => links,
            Err(error) => {
                // What could not be put back is not changed.
                work.note(of_parent(Ipv4Setting::ARP_IGNORE), Err(error));
                return None;
            }
        };
        let mut others = links
            .iter()
            .filter(|it| it.state.link.parent == Some(parent));
        let now = links.iter().find(|it| it.state.index == parent);
        let before = others.find_map(|it| Mark::of(it)?.parent);
        let before = before.or_else(|| now.map(Settings::of))?;
        self.parents.insert(parent, before);
        Some(before)
    }

    /// Puts back the settings of an interface, if its last VMAC is gone.
    fn release_parent(&mut self, socket: &mut RequestSocket, parent: IfIndex) -> io::Result<()> {
        let mut own = self.links.values();
        if own.any(|own| own.parent == parent && own.holds_parent) {
            return Ok(());
        }
        let Some(before) = self.parents.get(&parent).copied() else {
            return Ok(());
        };
        if is_held(&link::all(socket)?, parent) {
            // By another daemon, whose VMACs are marked with the same.
            self.parents.remove(&parent);
            return Ok(());
        }
        put_back(socket, parent, before)?;
        self.parents.remove(&parent);
        Ok(())
    }
}

/// Whether there is a VMAC for which the settings of `parent` are as they are.
fn is_held(links: &[Link], parent: IfIndex) -> bool {
    let mut above = links
        .iter()
        .filter(|it| it.state.link.parent == Some(parent));
    above.any(|it| Mark::of(it).is_some_and(|mark| mark.parent.is_some()))
}

/// Gives an interface the settings that it had, unless somebody has changed them since.
fn put_back(socket: &mut RequestSocket, parent: IfIndex, before: Settings) -> io::Result<()> {
    let Some(now) = link::by_index(socket, parent)? else {
        return Ok(());
    };
    let mut outcome = Ok(());
    for (setting, wanted, before) in before.each() {
        if now.ipv4(setting) == Some(wanted) && before != wanted {
            let result = link::set_ipv4(socket, parent, setting, before);
            outcome = outcome.and(result);
        }
    }
    outcome
}

/// The interface, made if there is none of that name, and whether it was.
fn find_or_create(socket: &mut RequestSocket, link: &OwnLink) -> io::Result<(Link, bool)> {
    let (found, is_new) = match link::by_name(socket, &link.name)? {
        Some(found) => (found, false),
        None => {
            link::create(socket, link)?;
            let made = link::by_name(socket, &link.name)?;
            let made = made.ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))?;
            (made, true)
        }
    };
    if !found.state.link.is_of(&link.kind, link.parent) {
        return Err(io::Error::from_raw_os_error(libc::EEXIST));
    }
    Ok((found, is_new))
}

impl Work<'_> {
    fn note(&mut self, part: LinkPart, result: io::Result<()>) {
        if let Err(error) = result {
            self.flaws.push((part, errno_of(error)));
        }
    }

    /// Says that it is ours, unless somebody has written something else to it.
    fn mark(&mut self, found: &Link, parent: Option<Settings>) {
        let is_foreign = found.alias.is_some() && Mark::of(found).is_none();
        if !is_foreign {
            let mark = Mark { parent }.to_string();
            let result = link::set_alias(self.socket, found.state.index, &mark);
            self.note(LinkPart::Mark, result);
        }
    }

    fn set_membership(&mut self, found: &Link) {
        let (index, now) = (found.state.index, found.state.link);
        if now.group != self.link.group {
            let result = link::set_group(self.socket, index, self.link.group);
            self.note(LinkPart::Membership, result);
        }
        if now.master != self.link.vrf {
            let result = link::set_vrf(self.socket, index, self.link.vrf);
            self.note(LinkPart::Membership, result);
        }
    }

    /// Keeps it silent: an ipvlan has no address of its own that switches could learn.
    fn guard(&mut self, on: IfIndex) {
        if matches!(self.link.kind, OwnLinkKind::Ipvlan(_)) {
            return;
        }
        let parent = self.link.parent;
        let families = [
            (Family::Inet, self.link.ipv4),
            (Family::Inet6, self.link.ipv6),
        ];
        for (family, _) in families.into_iter().filter(|(_, has)| *has) {
            let result = self.firewall.guard(family, Guard { on, parent });
            self.note(LinkPart::Firewall(family), result);
        }
    }

    /// Its own settings.
    fn set_own(&mut self, found: &Link) {
        if matches!(self.link.kind, OwnLinkKind::Macvlan(_)) {
            self.set_vmac(found);
        }
        // No addresses but those that it is given, and no routes by way of it.
        let ipv6: &[(&str, i64)] = match self.link.ipv6 {
            true => &[("accept_ra", 0), ("autoconf", 0), ("disable_ipv6", 0)],
            false => &[("disable_ipv6", 1)],
        };
        for (key, value) in ipv6 {
            let result = sysctl::write(Family::Inet6, &self.link.name, key, *value);
            self.note(own_setting(Family::Inet6, key), absent_is_fine(result));
        }
    }

    /// What only a VMAC needs. An ipvlan has the hardware address of its parent, and may
    /// have to live with the link-local address that the kernel gives it.
    fn set_vmac(&mut self, found: &Link) {
        // It must not answer for addresses of other interfaces.
        let mut settings = vec![(Ipv4Setting::ARP_IGNORE, 1)];
        if self.link.ipv4 {
            settings.push((Ipv4Setting::RP_FILTER, rp_filter()));
            settings.push((Ipv4Setting::ACCEPT_LOCAL, 1));
            settings.push((Ipv4Setting::PROMOTE_SECONDARIES, 1));
        }
        for (which, value) in settings {
            let part = own_setting(Family::Inet, which.key);
            self.set_ipv4(found, which, value, part);
        }
        let result = absent_is_fine(link::set_no_link_local(self.socket, found.state.index));
        self.note(own_setting(Family::Inet6, "addr_gen_mode"), result);
    }

    /// The settings of the interface below.
    fn set_parent(&mut self) {
        match link::by_index(self.socket, self.link.parent) {
            Ok(Some(parent)) => {
                for (key, wanted) in Settings::WANTED {
                    self.set_ipv4(&parent, key, wanted, of_parent(key));
                }
            }
            Ok(None) => {}
            Err(error) => self.note(of_parent(Ipv4Setting::ARP_IGNORE), Err(error)),
        }
    }

    fn set_ipv4(&mut self, of: &Link, which: Ipv4Setting, value: u32, part: LinkPart) {
        if of.ipv4(which) != Some(value) {
            let result = link::set_ipv4(self.socket, of.state.index, which, value);
            self.note(part, result);
        }
    }
}

const fn own_setting(family: Family, key: &'static str) -> LinkPart {
    LinkPart::Setting {
        family,
        key,
        of_parent: false,
    }
}

const fn of_parent(setting: Ipv4Setting) -> LinkPart {
    LinkPart::Setting {
        family: Family::Inet,
        key: setting.key,
        of_parent: true,
    }
}

/// Whoever sends to a VIP is reached by way of the interface below, so that a packet
/// from him must not be refused on the VMAC. The kernel takes the greater of this and
/// that of `all`, which we do not change: against 1 helps 2, which asks only that there
/// is some way back.
fn rp_filter() -> u32 {
    match sysctl::read(Family::Inet, sysctl::ALL, Ipv4Setting::RP_FILTER.key) {
        Ok(0) => 0,
        _ => 2,
    }
}

/// A kernel without IPv6 has nothing to set.
fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::ENOENT | libc::EAFNOSUPPORT)
            ) =>
        {
            Ok(())
        }
        result => result,
    }
}

#[cfg(test)]
mod beside_c;
#[cfg(test)]
mod tests;
