//! Sends adverts: one raw socket for all interfaces, for each family.
//!
//! The packet comes with its IP header; the interface is chosen for each packet
//! by `IP_PKTINFO`, which is right on VLANs, VRF slaves and macvlans too. Unicast
//! without an interface goes where the routes for its source say.

use std::io::{self, IoSlice};
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsRawFd, RawFd};

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn6, sendmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use crate::ids::{Errno, IfIndex};
use crate::vrrp::action::Transmit;

/// The control buffer that `sendmsg` gets: room for one `in_pktinfo`, aligned
/// as a `cmsghdr` must be.
const CONTROL_WORDS: usize = 8;

/// How many bytes may be on their way: the adverts of some thousand instances.
/// All interfaces share it, and one that stalls must not use it up.
const SEND_BUFFER_BYTES: usize = 8 << 20;

/// Makes room for [`SEND_BUFFER_BYTES`], or for as much as may be had.
pub(super) fn enlarge_send_buffer(socket: &Socket) -> io::Result<()> {
    // The forced size is not held down by net.core.wmem_max, but needs
    // CAP_NET_ADMIN; the other one is the best that is left.
    if setsockopt(socket, sockopt::SndBufForce, &SEND_BUFFER_BYTES).is_err() {
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    }
    Ok(())
}

/// The send sockets for adverts.
#[derive(Debug)]
pub struct Sender {
    socket: Socket,
    /// None if the kernel has no IPv6.
    socket_v6: Option<Socket>,
}

impl AsRawFd for Sender {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl Sender {
    /// Opens the sockets. Needs `CAP_NET_RAW`.
    pub fn open() -> io::Result<Self> {
        // IPPROTO_RAW receives nothing, so nothing piles up in it.
        let kind = Type::RAW.nonblocking().cloexec();
        let socket = Socket::new(Domain::IPV4, kind, Some(Protocol::from(libc::IPPROTO_RAW)))?;
        socket.set_header_included_v4(true)?;
        // Or the receive socket of the same interface would hear our own adverts.
        socket.set_multicast_loop_v4(false)?;
        enlarge_send_buffer(&socket)?;
        Ok(Self {
            socket,
            socket_v6: Self::open_v6()?,
        })
    }

    fn open_v6() -> io::Result<Option<Socket>> {
        let kind = Type::RAW.nonblocking().cloexec();
        let socket = Socket::new(Domain::IPV6, kind, Some(Protocol::from(libc::IPPROTO_RAW)));
        let socket = match socket {
            Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => return Ok(None),
            socket => socket?,
        };
        socket.set_header_included_v6(true)?;
        socket.set_multicast_loop_v6(false)?;
        // Adverts that leave a virtual MAC have the source of the interface below it,
        // and before the VIPs are on it has no address at all.
        socket.set_freebind_v6(true)?;
        enlarge_send_buffer(&socket)?;
        Ok(Some(socket))
    }

    /// Sends a whole IPv6 packet without an allocation. The interface is the
    /// scope of the destination.
    fn send_v6(&self, via: IfIndex, to: Ipv6Addr, frame: &[u8]) -> Result<(), Errno> {
        let socket = self.socket_v6.as_ref().ok_or(Errno(libc::EAFNOSUPPORT))?;
        let to = SocketAddrV6::new(to, 0, 0, via.0);
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let parts = [IoSlice::new(frame)];
        let source = frame.get(8..24).and_then(|octets| octets.try_into().ok());
        let s6_addr = source.unwrap_or([0; 16]);
        let information = libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr { s6_addr },
            ipi6_ifindex: via.0,
        };
        let interface = [ControlMessage::Ipv6PacketInfo(&information)];
        let to = SockaddrIn6::from(to);
        sendmsg(socket.as_raw_fd(), &parts, &interface, flags, Some(&to))
            .map(|_| ())
            .map_err(|errno| Errno(errno as i32))
    }

    /// Sends a whole IPv4 packet without an allocation.
    fn send_v4(&self, via: IfIndex, to: Ipv4Addr, frame: &[u8]) -> Result<(), Errno> {
        // SAFETY: zeros are a valid value of each of these structures of numbers
        // and pointers.
        let (mut address, mut message, mut information) = unsafe {
            (
                mem::zeroed::<libc::sockaddr_in>(),
                mem::zeroed::<libc::msghdr>(),
                mem::zeroed::<libc::in_pktinfo>(),
            )
        };
        address.sin_family = libc::AF_INET as libc::sa_family_t;
        address.sin_addr.s_addr = u32::from(to).to_be();
        let source: [u8; 4] = routed_source(via, frame.get(12..16));
        information.ipi_spec_dst.s_addr = u32::from_ne_bytes(source);
        information.ipi_ifindex = libc::c_int::try_from(via.0).map_err(|_| Errno(libc::ENODEV))?;
        let mut part = libc::iovec {
            iov_base: frame.as_ptr().cast_mut().cast(),
            iov_len: frame.len(),
        };
        let mut control = [0_u64; CONTROL_WORDS];
        let payload = mem::size_of::<libc::in_pktinfo>() as libc::c_uint;
        message.msg_name = (&raw mut address).cast();
        message.msg_namelen = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        // SAFETY: `CMSG_SPACE` only computes. Its result, 32 bytes, is within `control`.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(payload) } as _;
        // SAFETY: `message` describes `control`, which is aligned for a `cmsghdr` and
        // has room for one with an `in_pktinfo`, so the first header is not null
        // and its data may be written.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::IPPROTO_IP;
            (*header).cmsg_type = libc::IP_PKTINFO;
            (*header).cmsg_len = libc::CMSG_LEN(payload) as _;
            libc::CMSG_DATA(header)
                .cast::<libc::in_pktinfo>()
                .write_unaligned(information);
        }
        // SAFETY: every pointer in `message` is to a value that lives until the end
        // of this function, with its true length; sendmsg only reads them.
        let sent = unsafe {
            libc::sendmsg(
                self.socket.as_raw_fd(),
                &raw const message,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        if sent < 0 {
            return Err(last_errno());
        }
        Ok(())
    }
}

impl Transmit for Sender {
    /// `EAGAIN` and `ENOBUFS` mean that the queue of the interface is full.
    fn send(&mut self, via: IfIndex, to: IpAddr, frame: &[u8]) -> Result<(), Errno> {
        match to {
            IpAddr::V4(to) => self.send_v4(via, to, frame),
            IpAddr::V6(to) => self.send_v6(via, to, frame),
        }
    }
}

/// What the kernel is told of the sender's address, which stands in the header:
/// it chooses a route by it. Nothing, where the interface is given.
fn routed_source<const N: usize>(via: IfIndex, header: Option<&[u8]>) -> [u8; N] {
    let source = header.filter(|_| via == IfIndex::ANY);
    source
        .and_then(|octets| octets.try_into().ok())
        .unwrap_or([0; N])
}

/// The error number of the call that has just failed.
pub(super) fn last_errno() -> Errno {
    Errno(nix::errno::Errno::last_raw())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    use super::*;
    use crate::system::sockets::receivers::Receivers;
    use crate::system::sockets::rx::Receiver;
    use crate::system::testing::{block_on, in_namespace, ip, make_cable};
    use crate::vrrp::action::Carrier;
    use crate::wire::advert::Family;

    const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

    fn index(name: &str) -> IfIndex {
        IfIndex(nix::net::if_::if_nametoindex(name).expect("the interface"))
    }

    /// An IPv4 packet of protocol 112 with a payload of eight bytes.
    fn packet(from: Ipv4Addr, to: Ipv4Addr, mark: u8) -> Vec<u8> {
        let mut packet = vec![0x45, 0xc0, 0, 28, 0, 0, 0, 0, 255, 112, 0, 0];
        packet.extend(from.octets());
        packet.extend(to.octets());
        packet.extend([mark; 8]);
        packet
    }

    /// Waits for one datagram.
    async fn next(receiver: &Receiver) -> Vec<u8> {
        let mut buffer = [0; 1500];
        loop {
            // SAFETY: the receiver outlives what is registered.
            let wait = || unsafe {
                AsyncFd::register_with_interest(receiver.as_raw_fd(), Interest::READABLE)
            };
            let waiting = wait().expect("a descriptor");
            drop(waiting.readable().await.expect("readable"));
            if let Some((length, _)) = receiver.receive(&mut buffer).expect("received") {
                return buffer[..length].to_vec();
            }
        }
    }

    /// A receiver of adverts without authentication header.
    fn in_group(name: &str) -> Receiver {
        let group = Some(GROUP.into());
        Receiver::open(index(name), Family::V4, Carrier::Plain, group).expect("a receiver")
    }

    /// The two ends answer from one namespace, so the kernel must not take the
    /// packet of its own address for a forged one.
    fn trust_own_addresses() {
        for file in ["all/rp_filter", "right/rp_filter"] {
            std::fs::write(format!("/proc/sys/net/ipv4/conf/{file}"), "0").expect("rp_filter");
        }
        for file in ["all/accept_local", "right/accept_local"] {
            std::fs::write(format!("/proc/sys/net/ipv4/conf/{file}"), "1").expect("accept_local");
        }
    }

    #[test]
    fn a_multicast_advert_reaches_the_other_end_and_not_the_sender() {
        in_namespace(|| {
            make_cable();
            trust_own_addresses();
            block_on(async {
                let right = in_group("right");
                let mut left = in_group("left");
                left.join(GROUP.into()).expect("joining twice is no error");
                let mut sender = Sender::open().expect("the sender");
                let advert = packet(Ipv4Addr::new(10, 0, 0, 1), GROUP, 7);
                sender
                    .send(index("left"), GROUP.into(), &advert)
                    .expect("sent");
                let heard = next(&right).await;
                assert_eq!(heard.get(12..), advert.get(12..));
                assert_eq!(heard.get(8), Some(&255), "the hop count stays");
                assert_eq!(left.receive(&mut [0; 64]).expect("received"), None);
            });
        });
    }

    #[test]
    fn the_interface_is_chosen_packet_by_packet_without_a_route() {
        in_namespace(|| {
            make_cable();
            trust_own_addresses();
            ip("addr flush dev left");
            block_on(async {
                let left = in_group("left");
                let right = in_group("right");
                let mut sender = Sender::open().expect("the sender");
                for (via, receiver, mark) in [("left", &right, 1), ("right", &left, 2)] {
                    let advert = packet(Ipv4Addr::new(10, 9, 9, mark), GROUP, mark);
                    sender
                        .send(index(via), GROUP.into(), &advert)
                        .expect("sent");
                    assert_eq!(next(receiver).await.get(20..), advert.get(20..));
                }
            });
        });
    }

    #[test]
    fn a_group_that_was_not_joined_is_not_heard() {
        in_namespace(|| {
            make_cable();
            trust_own_addresses();
            block_on(async {
                let unicast_only = Receiver::open(index("right"), Family::V4, Carrier::Plain, None)
                    .expect("right");
                // Another program's membership must not open our ears.
                let other = in_group("right");
                let mut sender = Sender::open().expect("the sender");
                let advert = packet(Ipv4Addr::new(10, 0, 0, 1), GROUP, 7);
                sender
                    .send(index("left"), GROUP.into(), &advert)
                    .expect("sent");
                next(&other).await;
                assert_eq!(unicast_only.receive(&mut [0; 64]).expect("received"), None);
            });
        });
    }

    #[test]
    fn a_group_that_was_left_is_no_longer_heard() {
        in_namespace(|| {
            make_cable();
            trust_own_addresses();
            block_on(async {
                let (mut right, other) = (in_group("right"), in_group("right"));
                let mut sender = Sender::open().expect("the sender");
                let advert = packet(Ipv4Addr::new(10, 0, 0, 1), GROUP, 7);
                let mut send = || sender.send(index("left"), GROUP.into(), &advert);
                right.leave(GROUP.into()).expect("left");
                right
                    .leave(GROUP.into())
                    .expect("leaving twice is no error");
                send().expect("sent");
                next(&other).await;
                assert_eq!(right.receive(&mut [0; 64]).expect("received"), None);
                right.join(GROUP.into()).expect("joined again");
                send().expect("sent");
                next(&right).await;
            });
        });
    }

    /// Who has nothing to read is not asked.
    #[test]
    fn of_many_sockets_that_one_is_found_which_something_came_to() {
        in_namespace(|| {
            make_cable();
            trust_own_addresses();
            block_on(async {
                let key = |name| (index(name), Family::V4, Carrier::Plain);
                let mut receivers = Receivers::new().expect("none");
                for name in ["left", "right", "lo"] {
                    let added = receivers.insert(key(name), in_group(name));
                    added.expect("added");
                }
                assert_eq!(receivers.look().expect("looked"), 0);
                let mut sender = Sender::open().expect("the sender");
                let advert = packet(Ipv4Addr::new(10, 0, 0, 1), GROUP, 7);
                for _ in 0..2 {
                    let sent = sender.send(index("left"), GROUP.into(), &advert);
                    sent.expect("sent");
                    receivers.readable().await.expect("readable");
                    // It is found until it has been read.
                    for _ in 0..2 {
                        assert_eq!(receivers.look().expect("looked"), 1);
                    }
                    let (found, receiver) = receivers.found(0).expect("found");
                    assert_eq!(found, key("right"));
                    let received = receiver.receive(&mut [0; 64]).expect("received");
                    assert!(received.is_some());
                    assert_eq!(receivers.look().expect("looked"), 0);
                }
                let sent = sender.send(index("left"), GROUP.into(), &advert);
                sent.expect("sent");
                assert_eq!(receivers.look().expect("looked"), 1);
                receivers.remove(key("right"));
                assert!(receivers.found(0).is_none());
                assert_eq!(receivers.look().expect("looked"), 0);
            });
        });
    }

    /// The kernel finds the way, by the source too, and the socket without an
    /// interface hears what comes in anywhere.
    #[test]
    fn without_an_interface_routes_decide() {
        in_namespace(|| {
            make_cable();
            trust_own_addresses();
            ip("link set lo up");
            ip("addr add 10.0.0.2/24 dev right");
            block_on(async {
                let anywhere = Receiver::open(IfIndex::ANY, Family::V4, Carrier::Plain, None);
                let anywhere = anywhere.expect("a receiver");
                let mut sender = Sender::open().expect("the sender");
                let [own, peer] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)];
                let mut send = |from, to: Ipv4Addr| {
                    let advert = packet(from, to, 9);
                    sender.send(IfIndex::ANY, to.into(), &advert)
                };
                send(own, peer).expect("sent");
                assert_eq!(next(&anywhere).await[12..16], own.octets());
                let unreachable = send(own, Ipv4Addr::new(203, 0, 113, 1));
                assert_eq!(unreachable, Err(Errno(libc::ENETUNREACH)));
                // A route that is for one source only.
                ip("rule add from 10.0.0.1 lookup 77");
                ip("route add 203.0.113.0/24 dev left table 77");
                assert_eq!(send(own, Ipv4Addr::new(203, 0, 113, 1)), Ok(()));
                let other = send(peer, Ipv4Addr::new(203, 0, 113, 1));
                assert_eq!(other, Err(Errno(libc::ENETUNREACH)));
            });
        });
    }

    #[test]
    fn errors_come_back_as_numbers() {
        in_namespace(|| {
            make_cable();
            let mut sender = Sender::open().expect("the sender");
            let advert = packet(Ipv4Addr::new(10, 0, 0, 1), GROUP, 7);
            let nowhere = sender.send(IfIndex(9999), GROUP.into(), &advert);
            assert_eq!(nowhere, Err(Errno(libc::ENODEV)));
            let left = index("left");
            ip("link set left down");
            let down = sender.send(left, GROUP.into(), &advert);
            assert_eq!(down, Err(Errno(libc::ENETUNREACH)));
            block_on(async {
                let gone = Receiver::open(IfIndex(9999), Family::V4, Carrier::Plain, None)
                    .expect_err("no such interface");
                assert_eq!(gone.raw_os_error(), Some(libc::ENODEV));
            });
        });
    }
}
