//! Receives adverts: one raw socket for each interface.
//!
//! Bound to its interface, so that a flood on one segment cannot push out the
//! adverts of another, and joined to its own groups only. Does not look into
//! the packets: what comes in is untrusted and goes to the engine as it is.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, RawFd};
use std::task::{Context, Poll, ready};

use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::ids::IfIndex;

/// The IP protocol number of VRRP (RFC 9568 section 5.1.1.4).
const PROTOCOL_VRRP: i32 = 112;

/// How many bytes may wait in the kernel: enough for a second of adverts of
/// some thousand instances.
const RECEIVE_BUFFER_BYTES: usize = 2 << 20;

/// How many packets may have come in between the making of the socket and its
/// binding; more are not looked for.
const STRAY_PACKETS_MAX: usize = 10_000;

/// A receive socket for IPv4 adverts on one interface.
#[derive(Debug)]
pub struct Receiver {
    on: IfIndex,
    socket: AsyncFd<Socket>,
}

impl Receiver {
    /// Opens the socket on the interface `on`, joined to `group` (none for
    /// unicast only). Needs `CAP_NET_RAW` and a tokio runtime with I/O. Fails with
    /// `ENODEV` if the interface is gone.
    pub fn open(on: IfIndex, group: Option<Ipv4Addr>) -> io::Result<Self> {
        let kind = Type::RAW.nonblocking().cloexec();
        let socket = Socket::new(Domain::IPV4, kind, Some(Protocol::from(PROTOCOL_VRRP)))?;
        let name = nix::net::if_::if_indextoname(on.0)?;
        // For an unknown index nix gives an empty name, and binding to that binds
        // to nothing: the socket would hear every interface.
        if name.is_empty() {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        socket.bind_device(Some(name.to_bytes()))?;
        // Without this the socket hears the groups that any other program joined.
        socket.set_multicast_all_v4(false)?;
        // The forced size is not held down by net.core.rmem_max, but needs
        // CAP_NET_ADMIN; the other one is the best that is left.
        if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES).is_err() {
            socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        }
        // SAFETY: the descriptor is owned by what is registered and is open as long as that.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?;
        let receiver = Self { on, socket };
        receiver.discard_strays();
        if let Some(group) = group {
            receiver.join(group)?;
        }
        Ok(receiver)
    }

    /// The interface.
    pub fn on(&self) -> IfIndex {
        self.on
    }

    /// Joins one more group. A group that is joined already is no error.
    pub fn join(&self, group: Ipv4Addr) -> io::Result<()> {
        let interface = InterfaceIndexOrAddress::Index(self.on.0);
        match self
            .socket
            .get_ref()
            .join_multicast_v4_n(&group, &interface)
        {
            Err(error) if error.raw_os_error() == Some(libc::EADDRINUSE) => Ok(()),
            result => result,
        }
    }

    /// Whether there may be a datagram; if not, `cx` is woken when there is.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let readiness = ready!(self.socket.poll_read_ready(cx));
        Poll::Ready(readiness.map(|mut guard| guard.retain_ready()))
    }

    /// Takes one datagram, IP header included, into `buffer` and gives its
    /// length; what does not fit is cut off. `None`: there is none. Never blocks.
    /// An error (the interface went down, say) is told once, then the socket
    /// works on.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            // Through tokio first, so that it learns when the socket is empty; then
            // directly, because tokio only knows of what it has polled for.
            let received = match self
                .socket
                .try_io(Interest::READABLE, |_| self.take(buffer))
            {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.take(buffer),
                received => received,
            };
            match received {
                Ok(length) => return Ok(Some(length)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// One call of recv(2).
    fn take(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let flags = MsgFlags::MSG_DONTWAIT;
        Ok(recv(self.as_raw_fd(), buffer, flags)?)
    }

    /// Throws away what came in from other interfaces before the binding.
    fn discard_strays(&self) {
        let mut buffer = [0; 1];
        for _ in 0..STRAY_PACKETS_MAX {
            if self.take(&mut buffer).is_err() {
                return;
            }
        }
    }
}

impl AsRawFd for Receiver {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.get_ref().as_raw_fd()
    }
}
