//! The thread that polls links, for drivers that do not tell the kernel of them
//! (`linkbeat_interfaces`, `linkbeat_use_polling`).
//!
//! Decides how a driver is asked and what its answer is. Source: specification D.6;
//! linux/mii.h, linux/ethtool.h, linux/sockios.h.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use tokio::sync::mpsc::Sender;

use crate::config::model::{LinkbeatInterface, LinkbeatMethod};

use super::{Order, Orders, Report};

/// How often, in milliseconds, as C keepalived does.
const POLL_EVERY_MS: u16 = 1_000;

/// Requests of ioctl(2) (linux/sockios.h).
const ETHTOOL: u64 = 0x8946;
const MII_PHY: u64 = 0x8947;
const MII_REGISTER: u64 = 0x8948;

/// `ETHTOOL_GLINK` (linux/ethtool.h)
const ETHTOOL_LINK: u32 = 0x0a;

/// The status register and its bits (linux/mii.h).
const STATUS_REGISTER: u16 = 1;
const STATUS_LINK: u16 = 0x0004;

/// A link that is polled, and what was told of it.
struct Polled {
    line: LinkbeatInterface,
    /// The way in which it answers, once it has.
    method: Option<LinkbeatMethod>,
    told: Option<bool>,
}

/// What ioctl(2) takes: a name, and what belongs to the request.
#[repr(C)]
struct Request<T> {
    name: [u8; libc::IFNAMSIZ],
    content: T,
    /// The kernel reads and writes as much as the largest request has.
    filling: [u8; 24],
}

/// `struct mii_ioctl_data`
#[repr(C)]
#[derive(Default, Clone, Copy)]
struct Mii {
    phy: u16,
    register: u16,
    value_in: u16,
    value_out: u16,
}

/// `struct ethtool_value`
#[repr(C)]
struct EthtoolValue {
    command: u32,
    value: u32,
}

/// Runs until there is nobody to tell anything.
pub(super) fn run(orders: &Orders<LinkbeatInterface>, reports: &Sender<Report>) {
    if let Err(error) = watch(orders, reports) {
        tracing::error!("Unable to poll links any more: {error}");
    }
}

fn watch(orders: &Orders<LinkbeatInterface>, reports: &Sender<Report>) -> io::Result<()> {
    let asks = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let mut links: Vec<Polled> = Vec::new();
    loop {
        match orders.take() {
            Order::End => return Ok(()),
            Order::Nothing => {}
            Order::Watch(wanted) => links = wanted.into_iter().map(Polled::new).collect(),
        }
        for link in &mut links {
            if !link.look(&asks, reports) {
                return Ok(());
            }
        }
        let bell = orders.bell();
        let mut bell = [PollFd::new(bell.as_fd(), PollFlags::POLLIN)];
        let limit = match links.is_empty() {
            true => PollTimeout::NONE,
            false => PollTimeout::from(POLL_EVERY_MS),
        };
        match poll(&mut bell, limit) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

impl Polled {
    fn new(line: LinkbeatInterface) -> Self {
        Self {
            line,
            method: None,
            told: None,
        }
    }

    /// Asks, and tells if the answer is new; `false` if nobody wants to know.
    fn look(&mut self, asks: &OwnedFd, reports: &Sender<Report>) -> bool {
        let Some(up) = self.ask(asks) else {
            // It is gone, which the kernel tells by itself, or it does not answer at all.
            (self.method, self.told) = (None, None);
            return true;
        };
        if self.told.replace(up) == Some(up) {
            return true;
        }
        let interface = self.line.interface.clone();
        reports
            .blocking_send(Report::Link { interface, up })
            .is_ok()
    }

    /// Whether the link is up, in the way that was asked for or else in the first that
    /// works. The flags must say so, too.
    fn ask(&mut self, asks: &OwnedFd) -> Option<bool> {
        let interface = &self.line.interface;
        let first = self.method.or(self.line.method);
        let all = [
            LinkbeatMethod::Mii,
            LinkbeatMethod::Ethtool,
            LinkbeatMethod::Ioctl,
        ];
        let mut methods = first.into_iter().chain(all);
        let flags = by_flags(asks, interface).ok()?;
        let (method, up) = methods.find_map(|method| {
            let answer = match method {
                LinkbeatMethod::Mii => by_mii(asks, interface),
                LinkbeatMethod::Ethtool => by_ethtool(asks, interface),
                LinkbeatMethod::Ioctl => Ok(flags),
            };
            Some((method, answer.ok()?))
        })?;
        if self.method.replace(method) != Some(method)
            && self.line.method.is_some_and(|wanted| wanted != method)
        {
            tracing::info!(
                "{interface} is polled by {method:?}, the way of the configuration does not work"
            );
        }
        Some(up && flags)
    }
}

/// Up and running, says the kernel.
fn by_flags(asks: &OwnedFd, interface: &str) -> io::Result<bool> {
    let mut flags: libc::c_short = 0;
    call(asks, interface, libc::SIOCGIFFLAGS, &mut flags)?;
    let wanted = libc::IFF_UP | libc::IFF_RUNNING;
    Ok(i32::from(flags) & wanted == wanted)
}

/// The status register of the transceiver keeps that a link was down until it is read:
/// the second answer is that of now.
fn by_mii(asks: &OwnedFd, interface: &str) -> io::Result<bool> {
    let mut data = Mii::default();
    call(asks, interface, MII_PHY, &mut data)?;
    data.register = STATUS_REGISTER;
    call(asks, interface, MII_REGISTER, &mut data)?;
    call(asks, interface, MII_REGISTER, &mut data)?;
    // A transceiver that is not there answers with ones.
    if data.value_out == u16::MAX {
        return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP));
    }
    Ok(data.value_out & STATUS_LINK != 0)
}

fn by_ethtool(asks: &OwnedFd, interface: &str) -> io::Result<bool> {
    let mut value = EthtoolValue {
        command: ETHTOOL_LINK,
        value: 0,
    };
    let mut place = std::ptr::from_mut(&mut value);
    call(asks, interface, ETHTOOL, &mut place)?;
    Ok(value.value != 0)
}

/// One request of ioctl(2); `content` is taken to the kernel and back.
fn call<T: Copy>(asks: &OwnedFd, interface: &str, request: u64, content: &mut T) -> io::Result<()> {
    const { assert!(size_of::<T>() <= 24, "as much as the kernel takes") };
    let mut name = [0; libc::IFNAMSIZ];
    let bytes = interface.as_bytes();
    // The last byte stays zero.
    let place = name
        .get_mut(..bytes.len())
        .filter(|it| it.len() < libc::IFNAMSIZ);
    place
        .ok_or(io::ErrorKind::InvalidInput)?
        .copy_from_slice(bytes);
    let mut asked = Request {
        name,
        content: *content,
        filling: [0; 24],
    };
    // SAFETY: the structure is at least as large as `struct ifreq` and lives through the
    // call; a pointer in it leads to a structure of the caller that does so, too.
    let result = unsafe { libc::ioctl(asks.as_raw_fd(), request, &raw mut asked) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    *content = asked.content;
    Ok(())
}
