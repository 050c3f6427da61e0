//! Sends Ethernet frames, ready made: gratuitous ARP and neighbour adverts.
//!
//! One packet socket for all interfaces. It has no protocol, so it receives
//! nothing. When and how often a frame is sent is the engine's decision.

use std::io;
use std::mem;
use std::os::fd::AsRawFd;

use socket2::{Domain, Socket, Type};

use super::tx::{enlarge_send_buffer, last_errno};
use crate::ids::{Errno, IfIndex};

/// The send socket for Ethernet frames.
#[derive(Debug)]
pub struct ArpSender {
    socket: Socket,
}

impl ArpSender {
    /// Opens the socket. Needs `CAP_NET_RAW`.
    pub fn open() -> io::Result<Self> {
        let kind = Type::RAW.nonblocking().cloexec();
        let socket = Socket::new(Domain::PACKET, kind, None)?;
        enlarge_send_buffer(&socket)?;
        Ok(Self { socket })
    }

    /// Sends `frame`, Ethernet header included, out of `on` now, or says why
    /// not. Never blocks.
    pub fn send(&self, on: IfIndex, frame: &[u8]) -> Result<(), Errno> {
        let ethertype = frame.get(12..14).unwrap_or_default();
        // SAFETY: zeros are a valid value of this structure of numbers.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = libc::AF_PACKET as libc::c_ushort;
        address.sll_protocol = u16::from_ne_bytes(ethertype.try_into().unwrap_or_default());
        address.sll_ifindex = libc::c_int::try_from(on.0).map_err(|_| Errno(libc::ENODEV))?;
        // SAFETY: both pointers are to live values with the lengths that are said;
        // the kernel only reads them.
        let sent = unsafe {
            libc::sendto(
                self.socket.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
                (&raw const address).cast(),
                mem::size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        if sent < 0 {
            return Err(last_errno());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::testing::{in_namespace, ip, make_cable};

    /// A gratuitous ARP request for 10.0.0.100, to everybody.
    const FRAME: [u8; 42] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, //
        0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 100, //
        0, 0, 0, 0, 0, 0, 10, 0, 0, 100,
    ];

    fn index(name: &str) -> IfIndex {
        IfIndex(nix::net::if_::if_nametoindex(name).expect("the interface"))
    }

    #[test]
    fn a_frame_arrives_as_it_was_given() {
        in_namespace(|| {
            make_cable();
            // ETH_P_ALL, so that nothing filters.
            let protocol = i32::from((libc::ETH_P_ALL as u16).to_be());
            let listener = Socket::new(Domain::PACKET, Type::RAW, Some(protocol.into()))
                .expect("the listener");
            listener
                .set_read_timeout(Some(std::time::Duration::from_secs(5)))
                .expect("a limit");
            let sender = ArpSender::open().expect("the sender");
            sender.send(index("left"), &FRAME).expect("sent");
            let right = index("right").0 as i32;
            loop {
                let mut buffer = [std::mem::MaybeUninit::uninit(); 128];
                let (length, from) = listener.recv_from(&mut buffer).expect("the frame");
                // SAFETY: an address of a packet socket is a `sockaddr_ll`.
                let interface = unsafe { (*from.as_ptr().cast::<libc::sockaddr_ll>()).sll_ifindex };
                // SAFETY: the kernel has written `length` bytes.
                let frame = buffer[..length]
                    .iter()
                    .map(|byte| unsafe { byte.assume_init() });
                if interface == right && frame.eq(FRAME) {
                    return;
                }
            }
        });
    }

    #[test]
    fn errors_come_back_as_numbers() {
        in_namespace(|| {
            make_cable();
            let sender = ArpSender::open().expect("the sender");
            assert_eq!(sender.send(IfIndex(9999), &FRAME), Err(Errno(libc::ENXIO)));
            let left = index("left");
            ip("link set left down");
            assert_eq!(sender.send(left, &FRAME), Err(Errno(libc::ENETDOWN)));
        });
    }
}
