//! All receive sockets, and which of them have something to read.
//!
//! With virtual MACs there are as many as instances. To try each of them in every turn
//! would be a thousand system calls for one advert, so they are in an epoll set of their
//! own (epoll(7)), which is asked directly: the runtime only knows of what it has waited
//! for. What has something is told again until it has been read. Does not read.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::ids::IfIndex;
use crate::vrrp::action::Carrier;
use crate::wire::advert::Family;

use super::rx::Receiver;

/// What names a receive socket.
pub type Key = (IfIndex, Family, Carrier);

/// As many are told at once. The others follow: the kernel takes turns.
pub const FOUND_MAX: usize = 1024;

/// The receive sockets of a worker.
#[derive(Debug)]
pub struct Receivers {
    sockets: BTreeMap<Key, Receiver>,
    set: AsyncFd<Set>,
    /// What `look` has found, in front.
    found: Vec<EpollEvent>,
}

/// To the runtime it is a descriptor that is readable while any socket is.
#[derive(Debug)]
struct Set(Epoll);

impl AsRawFd for Set {
    fn as_raw_fd(&self) -> RawFd {
        self.0.0.as_raw_fd()
    }
}

impl Receivers {
    /// None yet. Needs a tokio runtime with I/O.
    pub fn new() -> io::Result<Self> {
        let set = Set(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
        Ok(Self {
            sockets: BTreeMap::new(),
            // SAFETY: the descriptor is owned by what is registered and is open as long as that.
            set: unsafe { AsyncFd::register_with_interest(set, Interest::READABLE) }?,
            found: vec![EpollEvent::empty(); FOUND_MAX],
        })
    }

    /// Adds one. Another one with this key is closed.
    pub fn insert(&mut self, key: Key, receiver: Receiver) -> io::Result<()> {
        self.remove(key);
        let event = EpollEvent::new(EpollFlags::EPOLLIN, number_of(key));
        self.set.get_ref().0.add(&receiver, event)?;
        self.sockets.insert(key, receiver);
        Ok(())
    }

    /// Closes one, if it is there.
    pub fn remove(&mut self, key: Key) {
        if let Some(receiver) = self.sockets.remove(&key) {
            // That it is in the set no more is all that is wanted: closing does it, too.
            let _ = self.set.get_ref().0.delete(&receiver);
        }
    }

    /// One of them.
    pub fn get(&self, key: Key) -> Option<&Receiver> {
        self.sockets.get(&key)
    }

    /// One of them, to be changed.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut Receiver> {
        self.sockets.get_mut(&key)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &Receiver)> {
        self.sockets.iter().map(|(key, receiver)| (*key, receiver))
    }

    /// Waits until there may be something to read. What is there already is not waited
    /// for again: who comes back has read everything, or does not wait. May be dropped
    /// while it waits.
    pub async fn readable(&self) -> io::Result<()> {
        self.set.readable().await?.clear_ready();
        Ok(())
    }

    /// Looks which sockets have something to read; how many were found, 1024 at most.
    /// Never blocks.
    pub fn look(&mut self) -> io::Result<usize> {
        match self
            .set
            .get_ref()
            .0
            .wait(&mut self.found, EpollTimeout::ZERO)
        {
            Err(nix::errno::Errno::EINTR) => Ok(0),
            result => Ok(result?),
        }
    }

    /// The socket at this place among those found; `None` if it has been closed since.
    pub fn found(&self, place: usize) -> Option<(Key, &Receiver)> {
        let key = key_of(self.found.get(place)?.data());
        Some((key, self.sockets.get(&key)?))
    }
}

/// A key as the number that the kernel keeps for us.
fn number_of((on, family, carrier): Key) -> u64 {
    let family = u64::from(family == Family::V6);
    let carrier = u64::from(carrier == Carrier::Header);
    u64::from(on.0) << 2 | family << 1 | carrier
}

fn key_of(number: u64) -> Key {
    let family = match number & 2 {
        0 => Family::V4,
        _ => Family::V6,
    };
    let carrier = match number & 1 {
        0 => Carrier::Plain,
        _ => Carrier::Header,
    };
    // It was made of as many bits.
    let on = u32::try_from(number >> 2).unwrap_or(0);
    (IfIndex(on), family, carrier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_again() {
        for on in [0, 1, u32::MAX] {
            for family in [Family::V4, Family::V6] {
                for carrier in [Carrier::Plain, Carrier::Header] {
                    let key = (IfIndex(on), family, carrier);
                    assert_eq!(key_of(number_of(key)), key);
                }
            }
        }
    }
}
