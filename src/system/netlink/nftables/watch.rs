//! Hears when somebody else takes our tables away, or something in them: `nft flush
//! ruleset`, say, which every restart of the nftables service does.
//!
//! Decides whether a message is such news, and when the tables are put back: at once,
//! but no more than once a second, because two daemons with one name for their tables
//! would take them from each other for ever.

use std::io;

use netlink_packet_core::NlasIterator;
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::message::is_removal;
use crate::system::clock::Timer;
use crate::system::netlink::socket::{BUFFER_BYTES, Message, enlarge_receive_buffer, messages};
use crate::time::{Instant, Interval};

/// The group of changes of nf_tables (`NFNLGRP_NFTABLES`).
const GROUP: u32 = 7;

/// The attribute with the name of the table, in each kind of message that counts.
const TABLE: u16 = 1;

/// The length of the header behind that of netlink (`struct nfgenmsg`).
const HEADER_BYTES: usize = 4;

/// How far apart the tables are put back.
const GAP: Interval = Interval::from_secs(1);

/// How much may wait in the kernel: a change of a thousand elements needs a megabyte.
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;

/// How many reads make one turn.
const READS_PER_TURN_MAX: usize = 1 << 12;

/// What listens, and what is to be done.
#[derive(Debug)]
pub(super) struct Watch {
    socket: AsyncFd<Socket>,
    timer: Timer,
    buffer: Vec<u8>,
    /// Something is missing, or may be.
    is_damaged: bool,
    /// Somebody else was seen to take it away.
    is_theft: bool,
    put_back_at: Option<Instant>,
    /// Putting it back failed the last time.
    has_failed: bool,
}

impl Watch {
    /// Begins to listen. Needs a tokio runtime with I/O.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.set_non_blocking(true)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        socket.add_membership(GROUP)?;
        // We hear of our own changes, too: hundreds at once where there are many VMACs.
        enlarge_receive_buffer(&socket, RECEIVE_BUFFER_BYTES);
        // SAFETY: the descriptor is owned by what is registered and is open as long as that.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?;
        Ok(Self {
            socket,
            timer: Timer::new()?,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            is_damaged: false,
            is_theft: false,
            put_back_at: None,
            has_failed: false,
        })
    }

    /// Waits until there may be something to do. May be dropped while it waits.
    pub(super) async fn readable(&self) -> io::Result<()> {
        tokio::select! {
            ready = self.socket.readable() => {
                ready?.retain_ready();
                Ok(())
            }
            expired = self.timer.expired() => expired,
        }
    }

    /// Reads the news; whether the tables called `table` are to be put back at `now`.
    /// What came from the port `own` we have done ourselves.
    pub(super) fn is_due(&mut self, now: Instant, table: &str, own: u32) -> io::Result<bool> {
        for _ in 0..READS_PER_TURN_MAX {
            self.buffer.clear();
            let buffer = &mut self.buffer;
            // Through tokio first, so that it learns when the socket is empty; then
            // directly, because tokio only knows of what it has polled for.
            let read = self
                .socket
                .try_io(Interest::READABLE, |socket| socket.recv(buffer, 0));
            let read = match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.socket.get_ref().recv(&mut self.buffer, 0)
                }
                result => result,
            };
            match read {
                Ok(_) => {
                    let mut news = messages(&self.buffer);
                    let is_theft = news.any(|it| it.port != own && takes_from(it, table));
                    self.is_theft |= is_theft;
                    self.is_damaged |= is_theft;
                }
                // Who knows what it was. Most likely it was of our own doing.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    self.is_damaged = true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if !self.is_damaged {
            return Ok(false);
        }
        if let Some(next) = self.put_back_at.map(|at| at + GAP).filter(|at| now < *at) {
            self.timer.arm(Some(next))?;
            return Ok(false);
        }
        self.is_damaged = false;
        self.put_back_at = Some(now);
        Ok(true)
    }

    /// Takes notice of what became of it, begun at `now`: what could not be put back is
    /// due again. Whether it is worth telling, which a failure is once, and success if
    /// something was seen to be missing.
    pub(super) fn is_news(&mut self, is_whole: bool, now: Instant) -> io::Result<bool> {
        let had_failed = std::mem::replace(&mut self.has_failed, !is_whole);
        if !is_whole {
            self.is_damaged = true;
            self.timer.arm(Some(now + GAP))?;
        }
        Ok(match is_whole {
            true => std::mem::take(&mut self.is_theft) || had_failed,
            false => !had_failed,
        })
    }
}

/// Whether a message tells that this table is gone, or something in it.
fn takes_from(message: Message<'_>, table: &str) -> bool {
    if !is_removal(message.kind) {
        return false;
    }
    let attributes = message.payload.get(HEADER_BYTES..).unwrap_or_default();
    let mut attributes = NlasIterator::new(attributes).map_while(Result::ok);
    let name = attributes.find(|attribute| attribute.kind() == TABLE);
    name.is_some_and(|name| {
        let name = name.value();
        name.strip_suffix(&[0]).unwrap_or(name) == table.as_bytes()
    })
}

#[cfg(test)]
impl Watch {
    /// Makes the kernel lose news soon.
    pub(super) fn shrink_receive_buffer(&self) {
        let socket = self.socket.get_ref();
        socket.set_rx_buf_sz(1_u32).expect("a small buffer");
    }
}
