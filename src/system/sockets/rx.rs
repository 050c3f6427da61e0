//! Receives adverts: one raw socket for each interface, family and IP protocol.
//!
//! Bound to its interface, so that a flood on one segment cannot push out the
//! adverts of another (but for the one of unicast without an interface), and joined to its own groups only. Does not look into
//! the packets: what comes in is untrusted and goes to the engine as it is.

use std::io;
use std::io::IoSliceMut;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrIn6, recv, recvmsg, setsockopt, sockopt,
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use crate::ids::IfIndex;
use crate::vrrp::action::Carrier;
use crate::vrrp::event::Envelope;
use crate::wire::advert::Family;

/// The IP protocol number (RFC 9568 section 5.1.1.4, RFC 2402 section 2).
const fn protocol_of(carrier: Carrier) -> i32 {
    match carrier {
        Carrier::Plain => 112,
        Carrier::Header => 51,
    }
}

/// How many bytes may wait in the kernel: enough for a second of adverts of
/// some thousand instances.
pub const RECEIVE_BUFFER_BYTES: usize = 2 << 20;

/// How many packets may have come in between the making of the socket and its
/// binding; more are not looked for.
const STRAY_PACKETS_MAX: usize = 10_000;

/// Room for what the kernel says of an IPv6 header: addresses and hop limit.
const CONTROL_BYTES: usize = 128;

/// A receive socket for adverts of one family on one interface.
#[derive(Debug)]
pub struct Receiver {
    on: IfIndex,
    family: Family,
    socket: Socket,
    groups: Vec<IpAddr>,
}

impl Receiver {
    /// Opens the socket on the interface `on`, or with [`IfIndex::ANY`] on none, joined to `group` (none for
    /// unicast only). Needs `CAP_NET_RAW`. Fails with `ENODEV` if the interface is gone.
    pub fn open(
        on: IfIndex,
        family: Family,
        carrier: Carrier,
        group: Option<IpAddr>,
    ) -> io::Result<Self> {
        let kind = Type::RAW.nonblocking().cloexec();
        let domain = match family {
            Family::V4 => Domain::IPV4,
            Family::V6 => Domain::IPV6,
        };
        let socket = Socket::new(domain, kind, Some(Protocol::from(protocol_of(carrier))))?;
        if on != IfIndex::ANY {
            bind(&socket, on)?;
        }
        // Without this the socket hears the groups that any other program joined.
        match family {
            Family::V4 => socket.set_multicast_all_v4(false)?,
            Family::V6 => {
                socket.set_multicast_all_v6(false)?;
                setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
                setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
            }
        }
        set_buffer(&socket, RECEIVE_BUFFER_BYTES)?;
        let mut receiver = Self {
            on,
            family,
            socket,
            groups: Vec::new(),
        };
        receiver.discard_strays();
        if let Some(group) = group {
            receiver.join(group)?;
        }
        Ok(receiver)
    }

    /// Sets how many bytes may wait in the kernel; the kernel counts its own needs for
    /// each packet, too, and allows for twice as much. What waits stays.
    pub fn set_buffer(&self, bytes: usize) -> io::Result<()> {
        set_buffer(&self.socket, bytes)
    }

    /// The interface.
    pub fn on(&self) -> IfIndex {
        self.on
    }

    /// Joins one more group. A group that is joined already is no error.
    pub fn join(&mut self, group: IpAddr) -> io::Result<()> {
        self.enter(group)?;
        if !self.groups.contains(&group) {
            self.groups.push(group);
        }
        Ok(())
    }

    /// Joins all groups anew. The kernel says that a group is joined, and delivers
    /// nothing, when the interface lost its family in between. What is missed is what
    /// comes in within microseconds.
    pub fn join_anew(&self) -> io::Result<()> {
        let mut outcome = Ok(());
        for group in &self.groups {
            outcome = outcome.and(self.quit(*group)).and(self.enter(*group));
        }
        outcome
    }

    fn enter(&self, group: IpAddr) -> io::Result<()> {
        let interface = InterfaceIndexOrAddress::Index(self.on.0);
        let socket = &self.socket;
        let joined = match group {
            IpAddr::V4(group) => socket.join_multicast_v4_n(&group, &interface),
            IpAddr::V6(group) => socket.join_multicast_v6(&group, self.on.0),
        };
        match joined {
            Err(error) if error.raw_os_error() == Some(libc::EADDRINUSE) => Ok(()),
            result => result,
        }
    }

    /// Leaves a group. A group that is not joined is no error, nor an interface
    /// that is gone.
    pub fn leave(&mut self, group: IpAddr) -> io::Result<()> {
        self.groups.retain(|joined| *joined != group);
        self.quit(group)
    }

    fn quit(&self, group: IpAddr) -> io::Result<()> {
        let interface = InterfaceIndexOrAddress::Index(self.on.0);
        let socket = &self.socket;
        let left = match group {
            IpAddr::V4(group) => socket.leave_multicast_v4_n(&group, &interface),
            IpAddr::V6(group) => socket.leave_multicast_v6(&group, self.on.0),
        };
        match left.as_ref().map_err(io::Error::raw_os_error) {
            Err(Some(libc::EADDRNOTAVAIL | libc::ENODEV)) => Ok(()),
            _ => left,
        }
    }

    /// Takes one datagram, of IPv4 with its header, into `buffer` and gives its
    /// length; what does not fit is cut off. `None`: there is none. Never blocks.
    /// An error (the interface went down, say) is told once, then the socket
    /// works on.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, Envelope)>> {
        loop {
            match self.take(buffer) {
                Ok(received) => return Ok(Some(received)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// One call of recv(2) or recvmsg(2).
    fn take(&self, buffer: &mut [u8]) -> io::Result<(usize, Envelope)> {
        match self.family {
            Family::V4 => {
                let length = recv(self.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT)?;
                Ok((length, Envelope::Ipv4))
            }
            Family::V6 => self.take_v6(buffer),
        }
    }

    /// A datagram of which the kernel does not say everything is none.
    fn take_v6(&self, buffer: &mut [u8]) -> io::Result<(usize, Envelope)> {
        let mut control = [0_u8; CONTROL_BYTES];
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let message =
            recvmsg::<SockaddrIn6>(self.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
        let (mut destination, mut hop_limit) = (None, None);
        for said in message.cmsgs()? {
            match said {
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    destination = Some(info.ipi6_addr.s6_addr.into());
                }
                ControlMessageOwned::Ipv6HopLimit(limit) => hop_limit = u8::try_from(limit).ok(),
                _ => {}
            }
        }
        let source = message.address.map(|address| address.ip());
        match (source, destination, hop_limit) {
            (Some(source), Some(destination), Some(hop_limit)) => {
                let envelope = Envelope::Ipv6 {
                    source,
                    destination,
                    hop_limit,
                };
                Ok((message.bytes, envelope))
            }
            _ => Err(io::Error::from(io::ErrorKind::InvalidData)),
        }
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

fn bind(socket: &Socket, on: IfIndex) -> io::Result<()> {
    let name = name_of(socket, on)?;
    let length = name.iter().position(|byte| *byte == 0);
    // Binding to an empty name binds to nothing: the socket would hear every interface.
    match name.get(..length.unwrap_or(name.len())) {
        Some(name) if !name.is_empty() => socket.bind_device(Some(name)),
        _ => Err(io::Error::from_raw_os_error(libc::ENODEV)),
    }
}

/// The name of an interface, up to a NUL (netdevice(7)). Unlike if_indextoname(3) it
/// needs no socket of its own, whose lack would look as if the interface were gone.
fn name_of(socket: &Socket, on: IfIndex) -> io::Result<[u8; libc::IFNAMSIZ]> {
    let no_device = |_| io::Error::from_raw_os_error(libc::ENODEV);
    let number = libc::c_int::try_from(on.0).map_err(no_device)?;
    // SAFETY: it consists of numbers, for which zero is a value.
    let mut asked: libc::ifreq = unsafe { std::mem::zeroed() };
    asked.ifr_ifru.ifru_ifindex = number;
    // SAFETY: the kernel reads and writes what is pointed to, which outlives the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFNAME, &raw mut asked) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(asked
        .ifr_name
        .map(|byte| u8::from_ne_bytes(byte.to_ne_bytes())))
}

impl AsRawFd for Receiver {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The forced size is not held down by net.core.rmem_max, but needs `CAP_NET_ADMIN`;
/// the other one is the best that is left.
fn set_buffer(socket: &Socket, bytes: usize) -> io::Result<()> {
    match setsockopt(socket, sockopt::RcvBufForce, &bytes) {
        Ok(()) => Ok(()),
        Err(_) => socket.set_recv_buffer_size(bytes),
    }
}
