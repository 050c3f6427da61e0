//! Interfaces that a daemon has left behind, and what takes them away.
//!
//! Decides that nothing is deleted but what is of the right kind, with the right
//! hardware address, on the right interface, and has the right name or our mark.

use std::io;

use super::mark::Mark;
use super::{is_held, put_back};
use crate::ids::IfIndex;
use crate::system::netlink::link::{self, Link};
use crate::system::netlink::socket::RequestSocket;
use crate::vrrp::action::OwnLinkKind;

/// An interface that a configuration may have made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftLink {
    /// Its name; `None`: any, if it is marked as one of ours.
    pub name: Option<String>,
    /// The name of the interface that it stands on.
    pub parent: String,
    /// What it is.
    pub kind: OwnLinkKind,
}

impl LeftLink {
    fn is(&self, found: &Link, parents: &[Link]) -> bool {
        let mut parents = parents.iter();
        let Some(parent) = parents.find(|it| it.state.name == self.parent) else {
            return false;
        };
        let has_mac = match self.kind {
            OwnLinkKind::Macvlan(mac) => found.state.mac == mac,
            OwnLinkKind::Ipvlan(_) => true,
        };
        let is_named = match &self.name {
            Some(name) => found.state.name == *name,
            None => Mark::of(found).is_some(),
        };
        let details = &found.state.link;
        is_named && has_mac && details.is_of(&self.kind, parent.state.index)
    }
}

/// Deletes these interfaces, adds their names to `removed`, and puts back the settings of
/// what they stood on if none is left there. For a process without a runtime; blocks
/// until it is done. The first error is told when all have been tried.
pub fn clean_up_links(links: &[LeftLink], removed: &mut Vec<String>) -> io::Result<()> {
    if links.is_empty() {
        return Ok(());
    }
    let mut socket = RequestSocket::open()?;
    let there = link::all(&mut socket)?;
    let is_left = |found: &&Link| links.iter().any(|left| left.is(found, &there));
    let left: Vec<&Link> = there.iter().filter(is_left).collect();
    let indices: Vec<IfIndex> = left.iter().map(|it| it.state.index).collect();
    let mut outcome = Ok(());
    if indices.len() > 1 {
        // What is there still is tried again, one by one.
        let _ = link::delete_together(&mut socket, &indices);
    }
    let mut parents = Vec::new();
    for found in left {
        if let Err(error) = link::delete(&mut socket, found.state.index) {
            outcome = outcome.and(Err(error));
            continue;
        }
        removed.push(found.state.name.clone());
        let before = Mark::of(found).and_then(|mark| mark.parent);
        parents.extend(found.state.link.parent.zip(before));
    }
    parents.sort_by_key(|(parent, _)| *parent);
    parents.dedup_by_key(|(parent, _): &mut (IfIndex, _)| *parent);
    let rest = link::all(&mut socket)?;
    for (parent, before) in parents {
        if !is_held(&rest, parent) {
            outcome = outcome.and(put_back(&mut socket, parent, before));
        }
    }
    outcome
}
