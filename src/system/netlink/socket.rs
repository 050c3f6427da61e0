//! One netlink socket that asks and waits for the answer.
//!
//! The kernel carries out a request while it is being sent, so waiting for the
//! answer costs nothing beyond the work itself. Knows the frame of netlink
//! messages (RFC 3549 section 2.3.2) and nothing of what they carry.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::config::model::Buffer;

/// Room for one read; the kernel fills at most 32 KiB at a time.
pub(super) const BUFFER_BYTES: usize = 64 << 10;

/// How long an answer may take, in seconds. The answer lies ready when the
/// request has been sent, so this only keeps a broken kernel from hanging us.
pub(super) const ANSWER_LIMIT_S: i64 = 10;

/// Messages of the kernel's own types (netlink(7)).
pub(super) const TYPE_ERROR: u16 = 2;
const TYPE_DONE: u16 = 3;

/// The dump was disturbed by a change and may be inconsistent.
const FLAG_DUMP_INTERRUPTED: u16 = 0x10;

/// So many changes are sent at once: their answers fit into the smallest receive buffer.
const TOGETHER_MAX: usize = 32;

/// What most changes of an address need.
const CHANGE_BYTES: usize = 80;

/// How often a disturbed dump is tried again before it is taken as it is.
const DUMP_TRIES_MAX: usize = 8;

/// A message as it came: its type, and what follows its header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    /// Who asked for it, or for what it tells of; 0 for the kernel itself.
    pub(super) port: u32,
    pub(super) payload: &'a [u8],
}

/// Cuts what was read from a netlink socket into messages, and stops at the
/// first one that is not whole.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let header = NetlinkBuffer::new_checked(bytes).ok()?;
        let length = usize::try_from(header.length()).ok()?;
        let message = Message {
            kind: header.message_type(),
            flags: header.flags(),
            sequence: header.sequence_number(),
            port: header.port_number(),
            payload: bytes.get(16..length)?,
        };
        // Messages begin at multiples of four bytes.
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// A socket for requests.
#[derive(Debug)]
pub(super) struct RequestSocket {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl RequestSocket {
    /// Opens the socket.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        let limit = TimeVal::seconds(ANSWER_LIMIT_S);
        setsockopt(&socket, sockopt::ReceiveTimeout, &limit)?;
        Ok(Self {
            socket,
            sequence: 0,
            buffer: Vec::with_capacity(BUFFER_BYTES),
        })
    }

    /// Sets the size of the receive buffer, if one is given.
    pub(super) fn set_buffer(&self, buffer: Buffer) {
        if let Some(bytes) = buffer.bytes.and_then(|bytes| usize::try_from(bytes).ok()) {
            enlarge_receive_buffer(&self.socket, bytes);
        }
    }

    /// Asks for a change, with `flags` besides those of every request, and waits
    /// for the outcome: the error is the kernel's.
    pub(super) fn change(&mut self, request: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.ask(request, NLM_F_REQUEST | NLM_F_ACK | flags)?;
        let mut outcome = None;
        while outcome.is_none() {
            self.read()?;
            outcome = messages(&self.buffer)
                .filter(|message| message.sequence == self.sequence)
                .find(|message| message.kind == TYPE_ERROR)
                .map(error_of);
        }
        outcome.unwrap_or(Ok(()))
    }

    /// Asks for several changes at once, each with `flags` besides those of every
    /// request, and gives the outcome of each. The kernel carries them out one after the
    /// other and takes its lock for each; what is saved are the ways there and back.
    pub(super) fn change_together(
        &mut self,
        requests: impl Iterator<Item = (RouteNetlinkMessage, u16)>,
    ) -> Vec<io::Result<()>> {
        let mut requests = requests.peekable();
        let mut outcomes = Vec::new();
        while requests.peek().is_some() {
            let first = self.sequence.wrapping_add(1);
            let mut bytes = Vec::with_capacity(TOGETHER_MAX * CHANGE_BYTES);
            let mut count = 0;
            for (request, flags) in requests.by_ref().take(TOGETHER_MAX) {
                self.put(request, NLM_F_REQUEST | NLM_F_ACK | flags, &mut bytes);
                count += 1;
            }
            outcomes.extend(self.outcomes(&bytes, first, count));
        }
        outcomes
    }

    /// Sends `count` requests, numbered from `first` on, and waits for their outcomes.
    fn outcomes(&mut self, bytes: &[u8], first: u32, count: usize) -> Vec<io::Result<()>> {
        let mut outcomes: Vec<Option<io::Result<()>>> = Vec::new();
        outcomes.resize_with(count, || None);
        let mut failed = self.socket.send(bytes, 0).map(|_| ());
        while failed.is_ok() && outcomes.iter().any(Option::is_none) {
            failed = self.read();
            for message in messages(&self.buffer).filter(|it| it.kind == TYPE_ERROR) {
                let place = usize::try_from(message.sequence.wrapping_sub(first)).ok();
                if let Some(outcome) = place.and_then(|place| outcomes.get_mut(place)) {
                    *outcome = Some(error_of(message));
                }
            }
        }
        let errno = failed.err().and_then(|error| error.raw_os_error());
        let unknown = || Err(io::Error::from_raw_os_error(errno.unwrap_or(libc::EIO)));
        let outcomes = outcomes.into_iter();
        outcomes.map(|it| it.unwrap_or_else(unknown)).collect()
    }

    /// Asks for one thing and gives the answer to `each`; the error is the kernel's.
    pub(super) fn get<T>(
        &mut self,
        request: RouteNetlinkMessage,
        each: impl Fn(Message<'_>) -> T,
    ) -> io::Result<T> {
        self.ask(request, NLM_F_REQUEST)?;
        loop {
            self.read()?;
            let mut own = messages(&self.buffer).filter(|it| it.sequence == self.sequence);
            match own.next() {
                None => {}
                // "No error" would be no answer.
                Some(message) if message.kind == TYPE_ERROR => {
                    return Err(error_of(message).err().unwrap_or_else(no_answer));
                }
                Some(message) => return Ok(each(message)),
            }
        }
    }

    /// Asks for a dump and gives every message of it to `each`. A dump that was
    /// disturbed is begun again, after `restart`.
    pub(super) fn dump<T>(
        &mut self,
        request: &RouteNetlinkMessage,
        target: &mut T,
        restart: fn(&mut T),
        each: fn(&mut T, Message<'_>),
    ) -> io::Result<()> {
        for _ in 0..DUMP_TRIES_MAX {
            restart(target);
            self.ask(request.clone(), NLM_F_REQUEST | NLM_F_DUMP)?;
            if self.read_dump(target, each)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads the answers to a dump; whether it was left undisturbed.
    fn read_dump<T>(&mut self, target: &mut T, each: fn(&mut T, Message<'_>)) -> io::Result<bool> {
        let mut undisturbed = true;
        loop {
            self.read()?;
            for message in messages(&self.buffer) {
                if message.sequence != self.sequence {
                    continue;
                }
                undisturbed &= message.flags & FLAG_DUMP_INTERRUPTED == 0;
                match message.kind {
                    TYPE_DONE => return Ok(undisturbed),
                    TYPE_ERROR => error_of(message)?,
                    _ => each(target, message),
                }
            }
        }
    }

    /// Sends a request under a new sequence number.
    fn ask(&mut self, request: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        let mut bytes = Vec::new();
        self.put(request, flags, &mut bytes);
        self.socket.send(&bytes, 0)?;
        Ok(())
    }

    /// Puts a request under a new sequence number behind others.
    fn put(&mut self, request: RouteNetlinkMessage, flags: u16, bytes: &mut Vec<u8>) {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = NetlinkMessage::from(request);
        message.header.flags = flags;
        message.header.sequence_number = self.sequence;
        debug_assert!(matches!(message.payload, NetlinkPayload::InnerMessage(_)));
        message.finalize();
        let begin = bytes.len().next_multiple_of(4);
        bytes.resize(begin + message.buffer_len(), 0);
        message.serialize(bytes.get_mut(begin..).unwrap_or_default());
    }

    /// Reads once into the buffer.
    fn read(&mut self) -> io::Result<()> {
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map(|_| ()),
            }
        }
    }
}

fn no_answer() -> io::Error {
    io::Error::from_raw_os_error(libc::EPROTO)
}

/// The outcome that an acknowledgement or an error message carries.
pub(super) fn error_of(message: Message<'_>) -> io::Result<()> {
    let code = message
        .payload
        .first_chunk()
        .map_or(-libc::EPROTO, |bytes| i32::from_ne_bytes(*bytes));
    match code {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.saturating_neg())),
    }
}

/// Asks for a receive buffer of `bytes`, beyond the limit of the system if we
/// may; the kernel gives what it can.
pub(super) fn enlarge_receive_buffer(socket: &Socket, bytes: usize) {
    // SAFETY: the descriptor belongs to `socket`, which outlives the borrow.
    let descriptor = unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) };
    if setsockopt(&descriptor, sockopt::RcvBufForce, &bytes).is_err() {
        // A smaller buffer means more full dumps, no wrong answers.
        let _ = setsockopt(&descriptor, sockopt::RcvBuf, &bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_at_multiples_of_four_and_a_torn_one_ends_it() {
        let mut bytes = Vec::new();
        for (length, kind) in [(17_u32, 1_u16), (16, 2), (40, 3)] {
            bytes.extend(length.to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend([0; 10]);
            if kind == 1 {
                bytes.extend([9, 0, 0, 0]);
            }
        }
        let kinds: Vec<_> = messages(&bytes)
            .map(|message| (message.kind, message.payload.to_vec()))
            .collect();
        assert_eq!(kinds, [(1, vec![9]), (2, vec![])]);
    }

    #[test]
    fn lengths_that_lie_are_no_messages() {
        for length in [0_u32, 15, 17, u32::MAX] {
            let mut bytes = length.to_ne_bytes().to_vec();
            bytes.extend([0; 12]);
            assert_eq!(messages(&bytes).count(), 0, "{length}");
        }
    }
}
