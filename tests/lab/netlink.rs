//! Links and addresses of the network namespace that the calling thread is in,
//! by rtnetlink, one blocking request at a time.

use super::failure::{Context, Failure, Result};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressAttribute;
use netlink_packet_route::link::{LinkAttribute, LinkMessage, MacVlanMode};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rtnetlink::{AddressMessageBuilder, LinkBridge, LinkMacVlan, LinkUnspec, LinkVeth};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, RawFd};
use std::time::{Duration, Instant};

/// Group of IPv4 address changes, as bit of the bind mask (rtnetlink(7)).
const GROUP_IPV4_ADDRESSES: u32 = 0x10;
/// Group of IPv6 address changes.
const GROUP_IPV6_ADDRESSES: u32 = 0x100;

/// Creates a bridge that forwards at once and floods every multicast.
pub fn add_bridge(name: &str, mac: [u8; 6]) -> Result<()> {
    let message = LinkBridge::new(name)
        .forward_delay(0)
        .mcast_snooping(false)
        .address(mac.to_vec())
        .up()
        .build();
    create(RouteNetlinkMessage::NewLink(message)).context(format!("creating bridge {name}"))
}

/// Creates a veth pair, both ends down.
pub fn add_veth(name: &str, peer: &str) -> Result<()> {
    let message = LinkVeth::new(name, peer).build();
    create(RouteNetlinkMessage::NewLink(message)).context(format!("creating veth {name}"))
}

/// Creates a link with a hardware address of its own upon another, up; what they
/// send each other stays inside.
pub fn add_macvlan(name: &str, base: &str, mac: [u8; 6]) -> Result<()> {
    let message = LinkMacVlan::new(name, index_of(base)?, MacVlanMode::Bridge)
        .address(mac.to_vec())
        .up()
        .build();
    create(RouteNetlinkMessage::NewLink(message)).context(format!("creating macvlan {name}"))
}

/// Connects a link to a bridge and brings it up.
pub fn attach(name: &str, bridge: &str) -> Result<()> {
    let message = LinkUnspec::new_with_index(index_of(name)?)
        .controller(index_of(bridge)?)
        .up()
        .build();
    set(message).context(format!("attaching {name}"))
}

/// Takes a link out of its bridge; it stays up.
pub fn detach(name: &str) -> Result<()> {
    let message = LinkUnspec::new_with_index(index_of(name)?)
        .nocontroller()
        .build();
    set(message).context(format!("detaching {name}"))
}

/// Moves a link, still down, to another namespace under a new name and with a
/// new hardware address.
pub fn move_link(name: &str, to: RawFd, new_name: &str, mac: [u8; 6]) -> Result<()> {
    let message = LinkUnspec::new_with_index(index_of(name)?)
        .name(new_name)
        .address(mac.to_vec())
        .setns_by_fd(to)
        .build();
    set(message).context(format!("moving {name}"))
}

/// Brings a link up or down.
pub fn set_up(name: &str, up: bool) -> Result<()> {
    let builder = LinkUnspec::new_with_index(index_of(name)?);
    let message = if up { builder.up() } else { builder.down() }.build();
    set(message).context(format!("setting the state of {name}"))
}

/// Removes a link; of a veth pair both ends go.
pub fn remove_link(name: &str) -> Result<()> {
    let message = LinkUnspec::new_with_index(index_of(name)?).build();
    request(RouteNetlinkMessage::DelLink(message), NLM_F_ACK)
        .map(drop)
        .context(format!("removing {name}"))
}

/// Adds an IPv4 address to a link.
pub fn add_address(name: &str, address: Ipv4Addr, prefix_length: u8) -> Result<()> {
    let message = AddressMessageBuilder::<Ipv4Addr>::new()
        .index(index_of(name)?)
        .address(address, prefix_length)
        .build();
    create(RouteNetlinkMessage::NewAddress(message)).context(format!("adding {address} to {name}"))
}

/// Adds an IPv6 address to a link.
pub fn add_ipv6_address(name: &str, address: Ipv6Addr, prefix_length: u8) -> Result<()> {
    let message = AddressMessageBuilder::<Ipv6Addr>::new()
        .index(index_of(name)?)
        .address(address, prefix_length)
        .build();
    create(RouteNetlinkMessage::NewAddress(message)).context(format!("adding {address} to {name}"))
}

/// Removes an IPv4 address from a link.
pub fn remove_address(name: &str, address: Ipv4Addr, prefix_length: u8) -> Result<()> {
    let message = AddressMessageBuilder::<Ipv4Addr>::new()
        .index(index_of(name)?)
        .address(address, prefix_length)
        .build();
    request(RouteNetlinkMessage::DelAddress(message), NLM_F_ACK)
        .map(drop)
        .context(format!("removing {address} from {name}"))
}

/// The IPv4 addresses of a link with their prefix lengths, in the kernel's
/// order; none if there is no such link.
pub fn addresses(name: &str) -> Result<Vec<(Ipv4Addr, u8)>> {
    let Ok(index) = index_of(name) else {
        return Ok(Vec::new());
    };
    let query = AddressMessageBuilder::<Ipv4Addr>::new().build();
    let answers = request(RouteNetlinkMessage::GetAddress(query), NLM_F_DUMP)?;
    let mut found = Vec::new();
    for answer in answers {
        let RouteNetlinkMessage::NewAddress(message) = answer else {
            continue;
        };
        if message.header.index != index {
            continue;
        }
        let local = message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                AddressAttribute::Local(IpAddr::V4(address)) => Some(*address),
                _ => None,
            });
        found.extend(local.map(|address| (address, message.header.prefix_len)));
    }
    Ok(found)
}

/// An IPv6 address of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ipv6Address {
    /// The address.
    pub address: Ipv6Addr,
    /// Its prefix length.
    pub prefix_length: u8,
    /// The flags of linux/if_addr.h: 0x02 no duplicate address detection, 0x20
    /// deprecated, 0x40 tentative, 0x80 permanent.
    pub flags: u8,
}

/// The IPv6 addresses of a link, in the kernel's order; none if there is no such
/// link.
pub fn ipv6_addresses(name: &str) -> Result<Vec<Ipv6Address>> {
    let Ok(index) = index_of(name) else {
        return Ok(Vec::new());
    };
    let query = AddressMessageBuilder::<Ipv6Addr>::new().build();
    let mut found = Vec::new();
    for answer in request(RouteNetlinkMessage::GetAddress(query), NLM_F_DUMP)? {
        let RouteNetlinkMessage::NewAddress(message) = answer else {
            continue;
        };
        let attributes = message.attributes.iter();
        let mut addresses = attributes.filter_map(|attribute| match attribute {
            AddressAttribute::Address(IpAddr::V6(address)) => Some(*address),
            _ => None,
        });
        if message.header.index == index
            && let Some(address) = addresses.next()
        {
            found.push(Ipv6Address {
                address,
                prefix_length: message.header.prefix_len,
                flags: message.header.flags.bits(),
            });
        }
    }
    Ok(found)
}

/// Waits until the IPv4 addresses of a link are as `wanted`, woken by the
/// kernel's own announcements; false at the deadline.
pub fn await_addresses(
    name: &str,
    deadline: Instant,
    wanted: impl Fn(&[(Ipv4Addr, u8)]) -> bool,
) -> Result<bool> {
    await_change(GROUP_IPV4_ADDRESSES, deadline, || {
        Ok(wanted(&addresses(name)?))
    })
}

/// The same for IPv6.
pub fn await_ipv6_addresses(
    name: &str,
    deadline: Instant,
    wanted: impl Fn(&[Ipv6Address]) -> bool,
) -> Result<bool> {
    await_change(GROUP_IPV6_ADDRESSES, deadline, || {
        Ok(wanted(&ipv6_addresses(name)?))
    })
}

fn await_change(group: u32, deadline: Instant, reached: impl Fn() -> Result<bool>) -> Result<bool> {
    // Subscribed before the first look, so that no change falls in between.
    let mut monitor = Socket::new(NETLINK_ROUTE).context("opening netlink")?;
    monitor
        .bind(&SocketAddr::new(0, group))
        .context("subscribing")?;
    loop {
        if reached()? {
            return Ok(true);
        }
        if !wait_readable(&monitor, deadline)? {
            return Ok(false);
        }
        monitor.recv_from_full().context("reading netlink")?;
    }
}

/// Does `trigger`, then waits until the kernel announces that an IPv4 address was
/// removed from whichever link; none at the deadline.
pub fn await_removal(
    address: Ipv4Addr,
    timeout: Duration,
    trigger: impl FnOnce() -> Result<()>,
) -> Result<Option<Instant>> {
    let mut monitor = Socket::new(NETLINK_ROUTE).context("opening netlink")?;
    monitor
        .bind(&SocketAddr::new(0, GROUP_IPV4_ADDRESSES))
        .context("subscribing")?;
    trigger()?;
    let deadline = Instant::now() + timeout;
    while wait_readable(&monitor, deadline)? {
        let (datagram, _) = monitor.recv_from_full().context("reading netlink")?;
        let message: NetlinkMessage<RouteNetlinkMessage> =
            NetlinkMessage::deserialize(&datagram).context("understanding netlink")?;
        if let NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelAddress(message)) =
            message.payload
            && message
                .attributes
                .contains(&AddressAttribute::Local(address.into()))
        {
            return Ok(Some(Instant::now()));
        }
    }
    Ok(None)
}

/// Hears of every IPv4 address that is removed in the namespace of the thread that
/// made it.
#[derive(Debug)]
pub struct RemovalMonitor(Socket);

impl RemovalMonitor {
    /// Begins to listen.
    pub fn new() -> Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE).context("opening netlink")?;
        socket
            .bind(&SocketAddr::new(0, GROUP_IPV4_ADDRESSES))
            .context("subscribing")?;
        // Nothing that happens in a long test may be lost.
        socket
            .set_rx_buf_sz(8 << 20_u32)
            .context("a large buffer")?;
        Ok(Self(socket))
    }

    /// What was removed since the last call.
    pub fn removed(&self) -> Result<Vec<Ipv4Addr>> {
        let mut removed = Vec::new();
        while wait_readable(&self.0, Instant::now())? {
            let (datagram, _) = self.0.recv_from_full().context("reading netlink")?;
            let message: NetlinkMessage<RouteNetlinkMessage> =
                NetlinkMessage::deserialize(&datagram).context("understanding netlink")?;
            if let NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelAddress(message)) =
                message.payload
            {
                let addresses = message.attributes.iter();
                removed.extend(addresses.filter_map(|attribute| match attribute {
                    AddressAttribute::Local(IpAddr::V4(address)) => Some(*address),
                    _ => None,
                }));
            }
        }
        Ok(removed)
    }
}

/// Waits for a datagram; false at the deadline.
fn wait_readable(socket: &Socket, deadline: Instant) -> Result<bool> {
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    let mut watched = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    Ok(poll(&mut watched, timeout).context("waiting for netlink")? > 0)
}

/// The index of a link by its name.
pub fn index_of(name: &str) -> Result<u32> {
    let answers = request(
        RouteNetlinkMessage::GetLink(LinkUnspec::new_with_name(name).build()),
        NLM_F_ACK,
    )
    .context(format!("looking for interface {name}"))?;
    answers
        .iter()
        .find_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(link) => Some(link.header.index),
            _ => None,
        })
        .ok_or_else(|| Failure::new(format!("interface {name} is not there")))
}

/// Packets received and sent by a link.
pub fn counters(name: &str) -> Result<(u64, u64)> {
    let answers = request(
        RouteNetlinkMessage::GetLink(LinkUnspec::new_with_name(name).build()),
        NLM_F_ACK,
    )?;
    answers
        .into_iter()
        .find_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(link) => {
                link.attributes
                    .into_iter()
                    .find_map(|attribute| match attribute {
                        LinkAttribute::Stats64(stats) => Some((stats.rx_packets, stats.tx_packets)),
                        _ => None,
                    })
            }
            _ => None,
        })
        .ok_or_else(|| Failure::new(format!("interface {name} has no counters")))
}

fn create(message: RouteNetlinkMessage) -> Result<()> {
    request(message, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL).map(drop)
}

fn set(message: LinkMessage) -> Result<()> {
    request(RouteNetlinkMessage::SetLink(message), NLM_F_ACK).map(drop)
}

/// Sends one request and collects what the kernel answers until it acknowledges
/// or ends the dump.
fn request(message: RouteNetlinkMessage, flags: u16) -> Result<Vec<RouteNetlinkMessage>> {
    let mut packet = NetlinkMessage::from(message);
    packet.header.flags = NLM_F_REQUEST | flags;
    packet.header.sequence_number = 1;
    packet.finalize();
    let mut bytes = vec![0; packet.buffer_len()];
    packet.serialize(&mut bytes);

    let mut socket = Socket::new(NETLINK_ROUTE).context("opening netlink")?;
    socket.bind_auto().context("binding netlink")?;
    socket
        .connect(&SocketAddr::new(0, 0))
        .context("connecting netlink")?;
    socket.send(&bytes, 0).context("sending to netlink")?;

    let mut answers = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full().context("reading netlink")?;
        let mut rest = datagram.as_slice();
        while !rest.is_empty() {
            let answer: NetlinkMessage<RouteNetlinkMessage> =
                NetlinkMessage::deserialize(rest).context("understanding netlink")?;
            let length = usize::try_from(answer.header.length).unwrap_or(usize::MAX);
            // Messages are aligned to four octets.
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
            match answer.payload {
                NetlinkPayload::Done(_) => return Ok(answers),
                NetlinkPayload::Error(error) if error.code.is_none() => return Ok(answers),
                NetlinkPayload::Error(error) => {
                    return Err(Failure::new(error.to_io().to_string()));
                }
                NetlinkPayload::InnerMessage(inner) => answers.push(inner),
                _ => {}
            }
        }
    }
}
