//! The kernel's process connector: it tells of every process that begins, becomes
//! another program, changes its name, or ends.
//!
//! Decides how it is spoken to and what of its messages is of use. Source:
//! linux/cn_proc.h, linux/connector.h. It needs `CAP_NET_ADMIN`, and serves the
//! first process and network namespaces only.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};

use crate::system::clock::now;
use crate::time::Interval;

use super::programs::Pid;

/// `CN_IDX_PROC` and `CN_VAL_PROC`.
const PROCESSES: u32 = 1;

/// `PROC_CN_MCAST_LISTEN`
const LISTEN: u32 = 1;

/// Length of `struct nlmsghdr` and of `struct cn_msg`.
const NETLINK_HEADER: usize = 16;
const CONNECTOR_HEADER: usize = 20;

/// What the kernel is asked to keep for us, in bytes. More than 10,000 events.
const RECEIVE_BUFFER: libc::c_int = 4 * 1024 * 1024;

/// How long the kernel may take to say that it will tell, in milliseconds.
const ANSWER_MS: u16 = 1_000;

/// Something that happened to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// It began, as a copy of its parent.
    Began {
        /// Whose copy it is.
        parent: Pid,
        /// The new one.
        child: Pid,
    },
    /// It is another program now, or has another name.
    Changed(Pid),
    /// It ended.
    Ended(Pid),
    /// The kernel listens to us.
    Listening,
}

/// The way to the kernel.
#[derive(Debug)]
pub struct Connector(OwnedFd);

impl Connector {
    /// Asks the kernel to tell.
    ///
    /// # Errors
    /// It does not, here: a namespace of its own, a kernel without
    /// `CONFIG_PROC_EVENTS`, or no `CAP_NET_ADMIN`.
    pub fn open() -> io::Result<Self> {
        Self::open_here().or_else(|error| {
            // Of the network namespaces only the first has it. That a thread
            // looks from there moves nobody else.
            let first = File::open("/proc/1/ns/net").map_err(|_| error)?;
            setns(first, CloneFlags::CLONE_NEWNET)?;
            Self::open_here()
        })
    }

    /// Whether the kernel tells in the namespace where we are.
    pub fn is_here() -> bool {
        Self::open_here().is_ok()
    }

    fn open_here() -> io::Result<Self> {
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: no pointers are involved.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_CONNECTOR) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given it to us; nobody else knows of it.
        let connector = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        connector.bind()?;
        // The limit of the system has to do where more is not allowed.
        let _ = socket2::SockRef::from(&connector.0)
            .set_recv_buffer_size(usize::try_from(RECEIVE_BUFFER).unwrap_or_default());
        connector.force_buffer(RECEIVE_BUFFER);
        connector.listen()?;
        connector.wait_for_answer()?;
        Ok(connector)
    }

    fn bind(&self) -> io::Result<()> {
        // SAFETY: all of these are plain numbers, for which zero is allowed.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::sa_family_t::try_from(libc::AF_NETLINK).unwrap_or_default();
        address.nl_groups = PROCESSES;
        let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_nl>()).unwrap_or_default();
        // SAFETY: the address is as long as is said, and outlives the call.
        let result = unsafe { libc::bind(self.0.as_raw_fd(), (&raw const address).cast(), length) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Has the kernel keep more for us, if `bytes` is more (`process_monitor_rcv_bufs`).
    pub fn enlarge_buffer(&self, bytes: u32) {
        let size = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
        if size > RECEIVE_BUFFER {
            self.force_buffer(size);
        }
    }

    fn force_buffer(&self, size: libc::c_int) {
        let length = libc::socklen_t::try_from(size_of_val(&size)).unwrap_or_default();
        // SAFETY: the option is an integer, of which the length is given. That it
        // is refused does not matter.
        unsafe {
            libc::setsockopt(
                self.0.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVBUFFORCE,
                (&raw const size).cast(),
                length,
            );
        }
    }

    fn listen(&self) -> io::Result<()> {
        let mut message = Vec::with_capacity(NETLINK_HEADER + CONNECTOR_HEADER + 4);
        let length = u32::try_from(NETLINK_HEADER + CONNECTOR_HEADER + 4).unwrap_or_default();
        let kind = u16::try_from(libc::NLMSG_DONE).unwrap_or_default();
        message.extend(length.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        // No flags, sequence number 0, from nobody in particular.
        message.extend([0; 10]);
        message.extend(PROCESSES.to_ne_bytes());
        message.extend(PROCESSES.to_ne_bytes());
        // Sequence number and acknowledgement.
        message.extend([0; 8]);
        message.extend(4_u16.to_ne_bytes());
        message.extend([0; 2]);
        message.extend(LISTEN.to_ne_bytes());
        // SAFETY: the message is as long as is said, and outlives the call.
        let sent = unsafe {
            libc::send(
                self.0.as_raw_fd(),
                message.as_ptr().cast(),
                message.len(),
                libc::MSG_NOSIGNAL,
            )
        };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// In some namespaces the kernel says nothing at all.
    fn wait_for_answer(&self) -> io::Result<()> {
        let limit = now() + Interval::from_ms(ANSWER_MS.into());
        while now() < limit {
            let mut ready = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            poll(&mut ready, PollTimeout::from(ANSWER_MS))?;
            match self.next() {
                Ok(Some(Happened::Listening)) => return Ok(()),
                // Others are told of already: that is an answer, too.
                Ok(Some(_)) => return Ok(()),
                Ok(None) => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// The next message that is of use; `None` if none is there now.
    ///
    /// # Errors
    /// `ENOBUFS` if messages were lost; others end it.
    pub fn next(&self) -> io::Result<Option<Happened>> {
        let mut buffer = [0_u8; 1024];
        loop {
            // SAFETY: the buffer is as long as is said, and outlives the call.
            let received = unsafe {
                libc::recv(
                    self.0.as_raw_fd(),
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    libc::MSG_DONTWAIT,
                )
            };
            let Ok(length) = usize::try_from(received) else {
                let error = io::Error::last_os_error();
                match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(None),
                    io::ErrorKind::Interrupted => continue,
                    _ => return Err(error),
                }
            };
            let message = buffer.get(..length).unwrap_or_default();
            if let Some(happened) = read(message)? {
                return Ok(Some(happened));
            }
        }
    }
}

impl AsFd for Connector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What a message says. Threads other than the first of a process do not matter.
fn read(message: &[u8]) -> io::Result<Option<Happened>> {
    let word = |at: usize| -> Option<u32> {
        let bytes = message.get(at..at.checked_add(4)?)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    };
    let kind = message.get(4..6).and_then(|it| it.try_into().ok());
    let kind = kind.map(u16::from_ne_bytes).map(i32::from);
    if kind == Some(libc::NLMSG_ERROR) {
        let number = word(NETLINK_HEADER).map_or(0, u32::cast_signed);
        return match number {
            0 => Ok(None),
            number => Err(io::Error::from_raw_os_error(number.saturating_neg())),
        };
    }
    if word(NETLINK_HEADER) != Some(PROCESSES) {
        return Ok(None);
    }
    // `struct proc_event`: what, CPU, time stamp, and then what belongs to it.
    const EVENT: usize = NETLINK_HEADER + CONNECTOR_HEADER;
    const DATA: usize = EVENT + 16;
    let pid = |index: usize| word(DATA + 4 * index).map(u32::cast_signed);
    let (first, second) = (pid(0), pid(1));
    // The first thread of a process has the number of the process.
    let process = first.filter(|_| first == second);
    Ok(match word(EVENT) {
        Some(0) => match word(DATA) {
            None | Some(0) => Some(Happened::Listening),
            Some(number) => {
                let number = number.cast_signed().saturating_abs();
                return Err(io::Error::from_raw_os_error(number));
            }
        },
        Some(0x0000_0001) => match (second, pid(2), pid(3)) {
            (Some(parent), Some(child), Some(group)) if child == group => {
                Some(Happened::Began { parent, child })
            }
            _ => None,
        },
        Some(0x0000_0002 | 0x0000_0200) => process.map(Happened::Changed),
        Some(0x8000_0000) => process.map(Happened::Ended),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(what: u32, data: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; NETLINK_HEADER];
        let header = [PROCESSES, PROCESSES, 0, 0, 0, what, 0, 0, 0];
        for word in header.iter().chain(data) {
            bytes.extend(word.to_ne_bytes());
        }
        bytes
    }

    #[test]
    fn processes_are_told_from_threads() {
        let read = |what, data: &[u32]| read(&message(what, data)).unwrap();
        let began = Happened::Began {
            parent: 10,
            child: 20,
        };
        assert_eq!(read(1, &[11, 10, 20, 20]), Some(began));
        assert_eq!(read(1, &[10, 10, 21, 20]), None);
        assert_eq!(read(2, &[20, 20]), Some(Happened::Changed(20)));
        assert_eq!(read(0x200, &[20, 20, 0, 0]), Some(Happened::Changed(20)));
        assert_eq!(read(0x200, &[21, 20, 0, 0]), None);
        assert_eq!(
            read(0x8000_0000, &[20, 20, 0, 0]),
            Some(Happened::Ended(20))
        );
        assert_eq!(read(0x8000_0000, &[21, 20, 0, 0]), None);
        assert_eq!(read(4, &[20, 20]), None);
        assert_eq!(read(0, &[0]), Some(Happened::Listening));
    }

    #[test]
    fn half_a_message_is_none() {
        let whole = message(1, &[10, 10, 20, 20]);
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]).unwrap(), None, "{length}");
        }
        assert!(read(&message(0, &[1])).is_err(), "the kernel says no");
    }

    /// Where the kernel tells at all: whoever may not hear it cannot see more.
    #[test]
    fn the_kernel_tells_of_a_process() {
        let Ok(connector) = Connector::open() else {
            return;
        };
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let own = Pid::try_from(std::process::id()).unwrap();
        let pid = Pid::try_from(child.id()).unwrap();
        child.wait().unwrap();
        let mut wanted = vec![
            Happened::Ended(pid),
            Happened::Changed(pid),
            Happened::Began {
                parent: own,
                child: pid,
            },
        ];
        // It ended: everything that there is of it waits in the socket already.
        while let (Some(next), Ok(Some(happened))) = (wanted.last(), connector.next()) {
            if happened == *next {
                wanted.pop();
            }
        }
        assert_eq!(wanted, []);
    }
}
