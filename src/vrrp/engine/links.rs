//! The links of our own: when they are made, and when they are taken away
//! (specification F.9, F.10, F.12).
//!
//! One that is wanted is there as long as the interface below it, whatever becomes of
//! it. One that somebody deletes again and again is made once in a while only. What a
//! link is, and which address is on it, is decided in `virtual_links.rs`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::ids::{Errno, IfIndex};
use crate::time::{Instant, Interval};

use super::super::action::{Operation, OwnLink, Token, Transmit};
use super::super::event::{InterfaceState, LinkKind};
use super::super::instance::{Purpose, TimerKey};
use super::super::interfaces::stands_on;
use super::super::link_lines::{LinkLine, LinkNews};
use super::super::log_lines::LogLine;
use super::super::virtual_links::{Link, LinkKey, Unwanted};
use super::{Engine, Phase};

/// A link is made anew no more often than this, and has this long to come up.
const MAKING_GAP: Interval = Interval::from_secs(1);

/// What is deleted goes down first: for so long that may be what happens.
const DELETION_MAX: Interval = Interval::from_ms(100);

/// After this long it is tried again what the kernel refused.
const RETRY_AFTER: Interval = Interval::from_secs(5);

/// Links that are on their way out.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// Those that are being taken away.
    removing: BTreeMap<Token, Vec<Unwanted>>,
    /// Those that are not wanted any more and are still being made.
    making: BTreeMap<Token, Unwanted>,
}

impl Engine {
    /// Asks for every link that is wanted and not there.
    pub(super) fn follow_links(&mut self, now: Instant) {
        if self.phase != Phase::Running {
            return;
        }
        for key in self.interfaces.links.keys_in_order() {
            self.follow_link(now, &key);
        }
        self.arm_for_links(now);
    }

    /// The same, where only an interface of this name and number has changed.
    pub(super) fn follow_links_at(&mut self, now: Instant, name: &str, index: IfIndex) {
        if self.phase != Phase::Running {
            return;
        }
        for key in self.interfaces.links.touched_by(name, index) {
            self.follow_link(now, &key);
        }
        self.arm_for_links(now);
    }

    fn arm_for_links(&mut self, now: Instant) {
        let key = TimerKey::OwnLinks;
        if self.timers.deadline_of(key).is_some_and(|due| due <= now) {
            // It runs out in this turn, for links that are not looked at here.
            return;
        }
        let links = self.interfaces.links.iter();
        let times = links.filter_map(|(_, link)| {
            let is_lacking = link.on.is_none() || link.is_stale || link.is_astray;
            let next = (is_lacking && link.asked.is_none()).then_some(link.not_before);
            link.settles_until.or(next).filter(|next| *next > now)
        });
        match times.min() {
            Some(next) => self.timers.arm(key, next),
            None => self.timers.disarm(key),
        }
    }

    fn follow_link(&mut self, now: Instant, key: &LinkKey) {
        let own_state = self.interfaces.of_link(key);
        let is_right = own_state.is_some_and(|state| self.interfaces.may_be(key, state));
        let below = self.interfaces.named(&key.parent).map(|it| it.index);
        let own = own_state.map(|state| (state.name.clone(), state.up));
        let is_astray = is_right && own_state.is_some_and(|state| self.is_astray(key, state));
        let Some(link) = self.interfaces.links.get_mut(key) else {
            return;
        };
        if below.is_none() {
            let old = std::mem::replace(link, Link::new(link.wish.clone()));
            // The interface below it has got another name, or is in another namespace.
            let stays = own.and(old.unwanted());
            return self.remove_links(stays.into_iter().collect());
        }
        if let Some((name, is_up)) = own.filter(|_| is_right) {
            // Somebody may have given it another one.
            link.name = Some(name);
            let was_up = std::mem::replace(&mut link.was_up, is_up);
            link.settles_until = match link.settles_until {
                _ if is_up => None,
                None if was_up => Some(now + DELETION_MAX),
                until => until.filter(|until| *until > now),
            };
            link.is_astray = is_astray;
            let is_lacking = link.is_stale || is_astray;
            if is_lacking && link.asked.is_none() && now >= link.not_before {
                self.ask_for_link(key);
            }
            return;
        }
        link.is_astray = false;
        link.on = None;
        link.is_stale = false;
        link.settles_until = None;
        if link.asked.is_none() && now >= link.not_before {
            self.ask_for_link(key);
        }
    }

    fn ask_for_link(&mut self, key: &LinkKey) {
        let Some((name, is_there)) = self.name_for(key) else {
            return;
        };
        let Some(below) = self.interfaces.named(&key.parent) else {
            return;
        };
        let parent = match stands_on(below) {
            Some(parent) if self.interfaces.get(parent).is_some() => parent,
            _ => below.index,
        };
        let (group, vrf) = (below.link.group, self.vrf_of(below));
        let Some(link) = self.interfaces.links.get_mut(key) else {
            return;
        };
        let own = OwnLink {
            name: name.clone(),
            parent,
            kind: link.wish.kind,
            group: link.wish.group.unwrap_or(group),
            vrf,
            ipv4: link.wish.ipv4,
            ipv6: link.wish.ipv6,
            notify: link.wish.notify,
        };
        let wanted = link.wish.given_name().filter(|given| *given != name);
        let wanted = wanted.filter(|_| link.name.as_ref() != Some(&name));
        let wanted = wanted.map(|given| (link.wish.instance.clone(), given.to_owned()));
        let operations = vec![Operation::AddLink(Box::new(own))];
        let token = self
            .requests
            .ask(Purpose::Links, operations, &mut self.actions);
        link.asked = Some(token);
        link.name = Some(name);
        link.news = match (link.is_astray, is_there) {
            (true, _) => LinkNews::Moved,
            (false, true) => LinkNews::Found,
            (false, false) => LinkNews::Made,
        };
        if let Some((instance, given)) = wanted {
            let link = self.interfaces.link_name(key);
            self.log(LogLine::LinkNameTaken {
                instance,
                given,
                link,
            });
        }
    }

    /// The VRF that an interface is in.
    fn vrf_of(&self, interface: &InterfaceState) -> Option<IfIndex> {
        let master = self.interfaces.get(interface.link.master?)?;
        (master.link.kind == LinkKind::Vrf).then_some(master.index)
    }

    /// Whether a link of our own is not in the VRF of the interface below it: that was
    /// moved, or the link was. What else somebody has made it a part of is theirs.
    fn is_astray(&self, key: &LinkKey, own: &InterfaceState) -> bool {
        let below = self.interfaces.named(&key.parent);
        below.is_some_and(|below| self.vrf_of(own) != self.vrf_of(below))
    }

    /// The name that a link gets, and whether an interface that may be it has that
    /// already, of an earlier run for example.
    fn name_for(&self, key: &LinkKey) -> Option<(String, bool)> {
        let link = self.interfaces.links.get(key)?;
        if let Some(found) = self.interfaces.find_link(key) {
            return Some((found.name.clone(), true));
        }
        let is_free = |name: &String| {
            let taken = self.interfaces.links.is_taken(name, key);
            !taken && self.interfaces.named(name).is_none()
        };
        let before = link.name.clone().into_iter();
        let mut names = before.chain(link.wish.names());
        Some((names.find(is_free)?, false))
    }

    /// The kernel has answered to what was asked for links.
    pub(super) fn links_done(
        &mut self,
        now: Instant,
        token: Token,
        result: Result<(), Errno>,
        tx: &mut impl Transmit,
    ) {
        if let Some(removed) = self.leaving.removing.remove(&token) {
            return self.tell_of_removed(&removed, result);
        }
        if let Some(unwanted) = self.leaving.making.remove(&token) {
            return self.remove_links(vec![unwanted]);
        }
        let Some(key) = self.interfaces.links.asked(token) else {
            return;
        };
        match result {
            Ok(()) => self.link_made(now, &key, tx),
            Err(errno) => self.link_refused(now, &key, errno, tx),
        }
        if self.phase == Phase::Running {
            self.follow_link(now, &key);
            self.arm_for_links(now);
        }
        self.evaluate_all(now, tx);
    }

    fn link_made(&mut self, now: Instant, key: &LinkKey, tx: &mut impl Transmit) {
        let name = self.interfaces.link_name(key);
        let state = self.interfaces.named(&name);
        let seen = state.map(|state| (state.index, state.up));
        let is_astray = state.is_some_and(|state| self.is_astray(key, state));
        let Some(link) = self.interfaces.links.get_mut(key) else {
            return;
        };
        link.asked = None;
        link.refused = None;
        link.is_stale = false;
        // What the kernel has not moved now it will hardly move in a second.
        link.not_before = now + if is_astray { RETRY_AFTER } else { MAKING_GAP };
        link.on = seen.map(|(index, _)| index);
        link.was_up = seen.is_some_and(|(_, is_up)| is_up);
        link.settles_until = (!link.was_up).then_some(now + MAKING_GAP);
        let line = line(link, name, link.news);
        self.log(LogLine::OwnLink(line));
        let Some((on, _)) = seen else { return };
        self.follow_statics();
        let held = self.held_addresses();
        self.each(now, tx, |it, cx| it.link_ready(on, &held, cx));
    }

    /// The addresses that instances have on, or have asked for.
    fn held_addresses(&self) -> Vec<IpAddr> {
        self.instances.values().flat_map(|it| it.held()).collect()
    }

    fn link_refused(&mut self, now: Instant, key: &LinkKey, errno: Errno, tx: &mut impl Transmit) {
        let name = self.interfaces.link_name(key);
        let Some(link) = self.interfaces.links.get_mut(key) else {
            return;
        };
        link.asked = None;
        link.not_before = now + RETRY_AFTER;
        let is_news = link.refused.replace(errno) != Some(errno);
        let line = line(link, name, LinkNews::NotMade(errno));
        if is_news {
            self.log(LogLine::OwnLink(line));
        }
        // It cannot be used; all the more nothing may be left on it.
        if let Some(on) = self.interfaces.find_link(key).map(|found| found.index) {
            let held = self.held_addresses();
            self.each(now, tx, |it, cx| it.take_off_left(on, &held, cx));
        }
    }

    /// The links that a new configuration does not want. Their addresses are gone or
    /// asked to go.
    pub(super) fn remove_links(&mut self, unwanted: Vec<Unwanted>) {
        let (mut operations, mut removing) = (Vec::new(), Vec::new());
        for it in unwanted {
            if let Some(token) = it
                .asked
                .filter(|token| self.requests.purpose(*token).is_some())
            {
                self.leaving.making.insert(token, it);
                continue;
            }
            let there = self.interfaces.named(&it.name).map(|state| state.index);
            let Some(on) = it.on.or(there) else { continue };
            operations.push(Operation::RemoveLink {
                on,
                name: it.name.clone(),
            });
            removing.push(it);
        }
        if !operations.is_empty() {
            let token = self
                .requests
                .ask(Purpose::Links, operations, &mut self.actions);
            self.leaving.removing.insert(token, removing);
        }
    }

    /// At a stop, once the addresses are asked to go.
    pub(super) fn remove_all_links(&mut self) {
        let unwanted = self.interfaces.links.take_all();
        self.remove_links(unwanted);
    }

    fn tell_of_removed(&mut self, removed: &[Unwanted], result: Result<(), Errno>) {
        for it in removed {
            let is_gone = it.on.is_none_or(|on| self.interfaces.get(on).is_none());
            let what = match result {
                _ if is_gone => LinkNews::Removed,
                Err(errno) => LinkNews::NotRemoved(errno),
                // It was left on purpose.
                Ok(()) => continue,
            };
            self.log(LogLine::OwnLink(LinkLine {
                instance: it.instance.clone(),
                link: it.name.clone(),
                kind: it.kind,
                what,
            }));
        }
    }

    /// It is time to look again at links that are not there, or not up.
    pub(super) fn look_at_links(&mut self, now: Instant, tx: &mut impl Transmit) {
        let has_settled = |link: &Link| link.settles_until.is_some_and(|until| until <= now);
        let stays = (self.interfaces.links.iter()).any(|(_, link)| has_settled(link));
        self.follow_links(now);
        self.evaluate_all(now, tx);
        if stays {
            // It is down, and was not on its way out.
            self.put_back_missing(now, tx);
        }
    }

    /// An interface is gone, with what was on it.
    pub(super) fn forget_interface(&mut self, index: IfIndex) {
        self.instances
            .values_mut()
            .for_each(|it| it.forget_interface(index));
    }
}

fn line(link: &Link, name: String, what: LinkNews) -> LinkLine {
    LinkLine {
        instance: link.wish.instance.clone(),
        link: name,
        kind: link.wish.kind,
        what,
    }
}
