//! Nodes on one wire in virtual time: the shipped engine, a kernel that does
//! what it is told at once, and scripts whose results the test decides. A node
//! has an IPv4 and a link-local IPv6 address.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use keepalived_rs::config::model::{
    Config, InitialState, Instance, SharedInstance, VirtualAddress,
};
use keepalived_rs::ids::{Errno, IfIndex, MacAddress, Priority, ScriptId, Vrid};
use keepalived_rs::time::{Instant, Interval, WallClock};
use keepalived_rs::vrrp::Engine;
use keepalived_rs::vrrp::action::{
    Action, GroupNotification, Notification, Operation, OwnLinkKind, Transmit,
};
use keepalived_rs::vrrp::engine::InstanceView;
use keepalived_rs::vrrp::event::{
    Command, Datagram, Envelope, Event, InterfaceAddress, InterfaceState, LinkDetails, LinkKind,
    Outcome, Uptime,
};
use keepalived_rs::vrrp::orders::{Order, Refused};
use keepalived_rs::vrrp::plan::plan;
use keepalived_rs::vrrp::state_machine::State;
use keepalived_rs::vrrp::statistics::Statistics;
use keepalived_rs::wire::advert::Version;

pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 100);
pub const VIP6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x100);
pub const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
pub const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

pub fn source(node: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, node)
}

pub fn source6(node: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, u16::from(node))
}

pub fn ms(ms: u64) -> Interval {
    Interval::from_ms(ms)
}

/// VI_1 on eth0, VRID 51, one second, one VIP.
pub fn instance(priority: u8) -> Instance {
    let initial_state = match priority {
        255 => InitialState::Master,
        _ => InitialState::Backup,
    };
    Instance {
        priority: Priority(priority),
        initial_state,
        multicast_group: GROUP.into(),
        virtual_addresses: vec![vip(VIP)],
        ..Instance::new("VI_1", "eth0", Vrid::new(51).expect("not 0"))
    }
}

/// The same in version 3.
pub fn instance3(priority: u8) -> Instance {
    Instance {
        version: Version::V3,
        ..instance(priority)
    }
}

/// The same over IPv6.
pub fn instance6(priority: u8) -> Instance {
    Instance {
        ipv6: true,
        multicast_group: GROUP6.into(),
        virtual_addresses: vec![vip(VIP6)],
        ..instance3(priority)
    }
}

pub fn vip(address: impl Into<IpAddr>) -> VirtualAddress {
    let address = address.into();
    let prefix_length = if address.is_ipv4() { 24 } else { 64 };
    VirtualAddress::new(address, prefix_length, "eth0")
}

/// eth0 of a node: number 2, one address of each family.
pub fn interface(node: u8) -> InterfaceState {
    InterfaceState {
        index: IfIndex(2),
        name: "eth0".into(),
        up: true,
        loopback: false,
        multicast: true,
        no_arp: false,
        forwarding: false,
        mac: MacAddress([2, 0, 0, 0, 0, node]),
        mtu: 1500,
        link: LinkDetails::default(),
        addresses: vec![
            InterfaceAddress {
                address: source(node).into(),
                prefix_length: 24,
            },
            InterfaceAddress {
                address: source6(node).into(),
                prefix_length: 64,
            },
        ],
    }
}

/// The number of the first link that a node makes.
pub const FIRST_LINK: u32 = 100;

/// A private macvlan without an address.
pub fn macvlan(index: u32, name: &str, parent: IfIndex, mac: MacAddress) -> InterfaceState {
    InterfaceState {
        mac,
        link: LinkDetails {
            parent: Some(parent),
            kind: LinkKind::Macvlan { private: true },
            ..LinkDetails::default()
        },
        ..other_interface(index, name, true)
    }
}

/// Another interface without an address.
pub fn other_interface(index: u32, name: &str, up: bool) -> InterfaceState {
    InterfaceState {
        index: IfIndex(index),
        name: name.into(),
        up,
        addresses: Vec::new(),
        ..interface(1)
    }
}

/// A multicast advert for VRID 51 with the one VIP, as C keepalived sends it;
/// written here by hand, so that it judges the crate's own writing.
pub fn advert(from: Ipv4Addr, priority: u8) -> Vec<u8> {
    let mut bytes = vec![0x45, 0xc0, 0, 40, 0, 1, 0, 0, 255, 112, 0, 0];
    bytes.extend(from.octets());
    bytes.extend(GROUP.octets());
    bytes.extend([0x21, 51, priority, 1, 0, 1, 0, 0]);
    bytes.extend(VIP.octets());
    bytes.extend([0; 8]);
    fix_checksum(&mut bytes);
    bytes
}

/// Makes the VRRP checksum of an IPv4 datagram right, as version 2 wants it.
pub fn fix_checksum(datagram: &mut [u8]) {
    let message = &mut datagram[20..];
    message[6..8].fill(0);
    let sum = checksum(message, &[]);
    message[6..8].copy_from_slice(&sum.to_be_bytes());
}

/// The Internet checksum of a message whose field is 0 behind a pseudo header.
pub fn checksum(message: &[u8], pseudo_header: &[u8]) -> u16 {
    let sum: u32 = pseudo_header
        .chunks(2)
        .chain(message.chunks(2))
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low)))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    !(folded as u16)
}

/// What a checksum covers besides the message.
#[derive(Debug, Clone, Copy)]
pub enum Cover {
    /// Nothing.
    Message,
    /// The addresses of the IP header.
    PseudoHeader,
    /// The same with another destination.
    PseudoHeaderTo(IpAddr),
}

/// An advert of version 3 for VRID 51, written here by hand, so that it judges
/// the crate's own writing.
#[derive(Debug, Clone)]
pub struct Advert3 {
    pub from: IpAddr,
    pub to: IpAddr,
    pub hops: u8,
    pub first_octet: u8,
    pub vrid: u8,
    pub priority: u8,
    /// With the four reserved bits in front of it.
    pub interval_cs: u16,
    pub addresses: Vec<IpAddr>,
    pub cover: Cover,
}

impl Advert3 {
    /// Multicast, with the one VIP and the usual interval of a second.
    pub fn new(from: impl Into<IpAddr>, priority: u8) -> Self {
        let from = from.into();
        let (to, vip) = match from {
            IpAddr::V4(_) => (GROUP.into(), VIP.into()),
            IpAddr::V6(_) => (GROUP6.into(), VIP6.into()),
        };
        Self {
            from,
            to,
            hops: 255,
            first_octet: 0x31,
            vrid: 51,
            priority,
            interval_cs: 100,
            addresses: vec![vip],
            cover: Cover::PseudoHeader,
        }
    }

    pub fn message(&self) -> Vec<u8> {
        let count = u8::try_from(self.addresses.len()).expect("at most 255");
        let mut message = vec![self.first_octet, self.vrid, self.priority, count];
        message.extend(self.interval_cs.to_be_bytes());
        message.extend([0, 0]);
        for address in &self.addresses {
            message.extend(octets(*address));
        }
        let destination = match self.cover {
            Cover::Message => None,
            Cover::PseudoHeader => Some(self.to),
            Cover::PseudoHeaderTo(to) => Some(to),
        };
        let mut pseudo_header = Vec::new();
        if let Some(destination) = destination {
            pseudo_header.extend(octets(self.from));
            pseudo_header.extend(octets(destination));
            let length = u32::try_from(message.len()).expect("short");
            pseudo_header.extend(length.to_be_bytes());
            pseudo_header.extend([0, 0, 0, 112]);
        }
        let sum = checksum(&message, &pseudo_header);
        message[6..8].copy_from_slice(&sum.to_be_bytes());
        message
    }

    /// The whole packet.
    pub fn bytes(&self) -> Vec<u8> {
        let message = self.message();
        let length = u16::try_from(message.len()).expect("short");
        let mut bytes = match self.from {
            IpAddr::V4(_) => {
                let [high, low] = (length + 20).to_be_bytes();
                vec![0x45, 0xc0, high, low, 0, 1, 0, 0, self.hops, 112, 0, 0]
            }
            IpAddr::V6(_) => {
                let [high, low] = length.to_be_bytes();
                vec![0x6c, 0, 0, 0, high, low, 112, self.hops]
            }
        };
        bytes.extend(octets(self.from));
        bytes.extend(octets(self.to));
        bytes.extend(message);
        bytes
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The addresses of an IPv6 header.
fn addresses6(packet: &[u8]) -> (Ipv6Addr, Ipv6Addr) {
    let at = |from: usize| {
        let octets: [u8; 16] = packet[from..from + 16].try_into().expect("16 octets");
        Ipv6Addr::from(octets)
    };
    (at(8), at(24))
}

/// A packet as a raw socket delivers it.
pub fn datagram(on: IfIndex, packet: &[u8]) -> Datagram<'_> {
    if packet[0] >> 4 == 4 {
        return Datagram {
            on,
            envelope: Envelope::Ipv4,
            bytes: packet,
        };
    }
    let (source, destination) = addresses6(packet);
    let envelope = Envelope::Ipv6 {
        source,
        destination,
        hop_limit: packet[7],
    };
    let bytes = &packet[40..];
    Datagram {
        on,
        envelope,
        bytes,
    }
}

/// An advert that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub at_us: u64,
    pub via: IfIndex,
    pub source: IpAddr,
    pub destination: IpAddr,
    pub priority: u8,
    /// The whole packet.
    pub bytes: Vec<u8>,
}

impl Sent {
    fn new(at_us: u64, via: IfIndex, bytes: Vec<u8>) -> Self {
        let v4 = |from: usize| {
            let octets: [u8; 4] = bytes[from..from + 4].try_into().expect("4 octets");
            IpAddr::from(octets)
        };
        let (source, destination) = if bytes[0] >> 4 == 4 {
            (v4(12), v4(16))
        } else {
            let (source, destination) = addresses6(&bytes);
            (source.into(), destination.into())
        };
        let mut sent = Self {
            at_us,
            via,
            source,
            destination,
            priority: 0,
            bytes,
        };
        sent.priority = sent.message()[2];
        sent
    }

    /// What follows the IP header.
    pub fn message(&self) -> &[u8] {
        let header = match (self.source.is_ipv4(), self.bytes[9]) {
            (false, _) => 40,
            // An authentication header stands behind that of IPv4.
            (true, 51) => 44,
            (true, _) => 20,
        };
        &self.bytes[header..]
    }
}

/// A gratuitous ARP or a neighbour advert that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    pub at_us: u64,
    pub on: IfIndex,
    pub address: IpAddr,
    pub router: bool,
}

#[derive(Default)]
struct Outbox(Vec<(IfIndex, Vec<u8>)>);

impl Transmit for Outbox {
    fn send(&mut self, via: IfIndex, _: IpAddr, frame: &[u8]) -> Result<(), Errno> {
        self.0.push((via, frame.to_vec()));
        Ok(())
    }
}

pub struct Node {
    pub engine: Engine,
    pub interface: InterfaceState,
    /// Interfaces on other wires: those of the same number are connected.
    pub others: Vec<InterfaceState>,
    pub running: bool,
    pub stopped: bool,
    pub vips: Vec<IpAddr>,
    pub sent: Vec<Sent>,
    /// When each gratuitous ARP or neighbour advert was asked for.
    pub announced: Vec<u64>,
    /// The same with their addresses.
    pub announcements: Vec<Announced>,
    pub told: Vec<String>,
    /// What the general script would get as arguments.
    pub calls: Vec<String>,
    pub notifications: Vec<Notification>,
    pub group_notifications: Vec<GroupNotification>,
    pub log: Vec<String>,
    pub operations: Vec<Operation>,
    pub listening: Vec<IfIndex>,
    /// Where sockets were to join their groups anew.
    pub relistened: Vec<IfIndex>,
    /// The groups that were joined and not left since, in the order in which they
    /// were asked for.
    pub groups: Vec<Option<IpAddr>>,
    /// How scripts end at once; `None`: when the test says so.
    pub answer: Option<Outcome>,
    /// Scripts that were started, with the time.
    pub runs: Vec<(u64, ScriptId)>,
    /// Scripts whose end was asked for, with the time.
    pub ended: Vec<(u64, ScriptId)>,
    /// What the kernel says to a new link.
    pub link_refusal: Option<Errno>,
    /// The kernel leaves links in the VRF that they are in.
    pub is_vrf_kept: bool,
    next_index: u32,
    /// How often it was asked which programs take addresses away.
    pub looks_for_culprits: usize,
}

impl Node {
    pub fn new(number: u8, instance: Instance) -> Self {
        Self::with(number, config([instance]))
    }

    pub fn with(number: u8, config: Config) -> Self {
        Self {
            engine: Engine::new(config),
            interface: interface(number),
            others: Vec::new(),
            running: false,
            stopped: false,
            vips: Vec::new(),
            sent: Vec::new(),
            announced: Vec::new(),
            announcements: Vec::new(),
            told: Vec::new(),
            calls: Vec::new(),
            notifications: Vec::new(),
            group_notifications: Vec::new(),
            log: Vec::new(),
            operations: Vec::new(),
            listening: Vec::new(),
            relistened: Vec::new(),
            groups: Vec::new(),
            answer: None,
            runs: Vec::new(),
            ended: Vec::new(),
            link_refusal: None,
            is_vrf_kept: false,
            next_index: FIRST_LINK,
            looks_for_culprits: 0,
        }
    }

    /// A link that the node has made, by its name.
    pub fn link(&self, name: &str) -> Option<&InterfaceState> {
        self.others.iter().find(|state| state.name == name)
    }

    /// The interface that a packet leaves the machine by.
    fn base_of(&self, via: IfIndex) -> IfIndex {
        let mut links = self.others.iter().filter(|state| state.index == via);
        links.find_map(|state| state.link.parent).unwrap_or(via)
    }

    fn view(&self) -> InstanceView<'_> {
        self.engine.instances().next().expect("an instance")
    }

    pub fn state(&self) -> State {
        self.view().state
    }

    pub fn priority(&self) -> u8 {
        self.view().priority.0
    }

    pub fn statistics(&self) -> Statistics {
        self.view().statistics
    }

    pub fn ignored(&self) -> u64 {
        self.engine.ignored()
    }

    pub fn master(&self) -> Option<Master> {
        let master = self.view().master?;
        Some(Master {
            address: master.address,
            priority: master.priority,
        })
    }

    /// The log without our line for each change of state: what C would say.
    pub fn log_as_c(&self) -> Vec<&str> {
        let lines = self.log.iter().map(String::as_str);
        lines.filter(|line| !line.contains(" -> ")).collect()
    }

    pub fn logged(&self, text: &str) -> bool {
        self.times_logged(text) > 0
    }

    pub fn times_logged(&self, text: &str) -> usize {
        self.log.iter().filter(|line| line.contains(text)).count()
    }

    /// When adverts were sent, since `from_us`.
    pub fn sent_since(&self, from_us: u64) -> Vec<u64> {
        let sent = self.sent.iter().map(|sent| sent.at_us);
        sent.filter(|at_us| *at_us >= from_us).collect()
    }

    fn has_address(&self, address: IpAddr) -> bool {
        let interfaces = std::iter::once(&self.interface).chain(&self.others);
        let mut there = interfaces.flat_map(|state| &state.addresses);
        there.any(|on| on.address == address)
    }

    /// Who is not MASTER holds no VIP.
    fn assert_vips_follow_the_state(&self) {
        for instance in self.engine.instances() {
            let mut vips = instance.config.all_addresses();
            let held = vips.any(|vip| self.vips.contains(&vip.address));
            assert!(
                instance.state == State::Master || !held,
                "{} holds a VIP as {}",
                instance.config.name,
                instance.state
            );
        }
    }
}

pub struct Master {
    pub address: IpAddr,
    pub priority: Priority,
}

pub fn config(instances: impl IntoIterator<Item = Instance>) -> Config {
    let instances: Vec<SharedInstance> =
        instances.into_iter().map(Box::new).map(Arc::new).collect();
    let mut scripts = Vec::new();
    for tracked in instances.iter().flat_map(|it| &it.track_scripts) {
        if !scripts.contains(&tracked.script) {
            scripts.push(Arc::clone(&tracked.script));
        }
    }
    Config {
        instances,
        scripts,
        ..Config::default()
    }
}

pub struct Wire {
    nodes: Vec<Node>,
    pub now: Instant,
    /// Nothing arrives.
    pub cut: bool,
    /// Nothing arrives that was sent out of these.
    pub cut_wires: Vec<IfIndex>,
    /// What no kernel does.
    pub refuses: Vec<Operation>,
}

impl Index<usize> for Wire {
    type Output = Node;
    fn index(&self, node: usize) -> &Node {
        &self.nodes[node]
    }
}

impl IndexMut<usize> for Wire {
    fn index_mut(&mut self, node: usize) -> &mut Node {
        &mut self.nodes[node]
    }
}

impl Wire {
    pub fn new(nodes: impl IntoIterator<Item = Node>) -> Self {
        Self {
            nodes: nodes.into_iter().collect(),
            now: Instant::ZERO,
            cut: false,
            cut_wires: Vec::new(),
            refuses: Vec::new(),
        }
    }

    pub fn states(&self) -> Vec<State> {
        self.nodes.iter().map(Node::state).collect()
    }

    pub fn start(&mut self) {
        for node in 0..self.nodes.len() {
            self.start_node(node);
        }
    }

    pub fn start_node(&mut self, node: usize) {
        self.nodes[node].running = true;
        let mut states = vec![self.nodes[node].interface.clone()];
        states.extend(self.nodes[node].others.clone());
        self.feed(node, Event::AllInterfaces(&states));
        self.feed(node, Event::Command(Command::Start));
    }

    pub fn stop(&mut self, node: usize) {
        self.feed(node, Event::Command(Command::Stop));
    }

    /// Where the kernel does what it is asked.
    fn assert_vips_follow_the_state(&self, node: usize) {
        let mut refuses = self.refuses.iter();
        if !refuses.any(|it| matches!(it, Operation::RemoveAddress { .. })) {
            self.nodes[node].assert_vips_follow_the_state();
        }
    }

    pub fn inject(&mut self, node: usize, bytes: &[u8]) {
        let on = self.nodes[node].interface.index;
        let envelope = Envelope::Ipv4;
        let datagram = Datagram {
            on,
            envelope,
            bytes,
        };
        self.feed(node, Event::Datagram(datagram));
        self.assert_vips_follow_the_state(node);
    }

    /// A packet of either family arrives.
    pub fn deliver(&mut self, node: usize, packet: &[u8]) {
        let on = self.nodes[node].interface.index;
        self.deliver_on(node, on, packet);
    }

    /// The same, in the socket of another interface.
    pub fn deliver_on(&mut self, node: usize, on: IfIndex, packet: &[u8]) {
        self.feed(node, Event::Datagram(datagram(on, packet)));
        self.assert_vips_follow_the_state(node);
    }

    /// An advert of version 3 arrives.
    pub fn advert3(&mut self, node: usize, advert: &Advert3) {
        self.deliver(node, &advert.bytes());
    }

    pub fn change_interface(&mut self, node: usize, change: impl FnOnce(&mut InterfaceState)) {
        change(&mut self.nodes[node].interface);
        let state = self.nodes[node].interface.clone();
        self.feed(node, Event::Interface(&state));
    }

    /// The state of an interface besides the first one.
    pub fn report(&mut self, node: usize, state: &InterfaceState) {
        self.feed(node, Event::Interface(state));
    }

    /// The wall clock of a node is set.
    pub fn set_wall_clock(&mut self, node: usize, unix_s: u64) {
        let wall = WallClock::new(self.now, unix_s * 1_000_000);
        self.feed(node, Event::WallClock(wall));
    }

    /// How long a node has been up, before its start.
    pub fn set_uptime(&mut self, node: usize, up: Uptime) {
        self.feed(node, Event::Uptime(up));
    }

    /// The same for an interface on another wire.
    pub fn change_other(
        &mut self,
        node: usize,
        on: IfIndex,
        change: impl FnOnce(&mut InterfaceState),
    ) {
        let mut others = self.nodes[node].others.iter_mut();
        let other = others.find(|state| state.index == on).expect("on it");
        change(other);
        let state = other.clone();
        self.feed(node, Event::Interface(&state));
    }

    pub fn remove_interface(&mut self, node: usize) {
        let index = self.nodes[node].interface.index;
        self.nodes[node].vips.clear();
        self.feed(node, Event::InterfaceGone(index));
    }

    /// Somebody takes the VIP away.
    pub fn remove_vip(&mut self, node: usize) {
        self.nodes[node].vips.clear();
        let on = self.nodes[node].interface.index;
        let event = Event::AddressRemoved {
            on,
            address: VIP.into(),
            prefix_length: 24,
        };
        self.feed(node, event);
    }

    pub fn script(&mut self, node: usize, outcome: Outcome) {
        let (_, id) = *self.nodes[node].runs.last().expect("a run");
        self.feed(node, Event::Script { id, outcome });
    }

    pub fn reload(&mut self, node: usize, config: Config) {
        let mut outbox = Outbox::default();
        let plan = plan(self.nodes[node].engine.config(), config);
        let now = self.now;
        self.nodes[node].engine.apply(now, plan, &mut outbox);
        self.settle(node, outbox);
    }

    /// An administrator orders something; what was done, in words.
    pub fn order(&mut self, node: usize, order: &Order) -> Result<Vec<String>, Refused> {
        let mut outbox = Outbox::default();
        let now = self.now;
        let done = self.nodes[node].engine.order(now, order, &mut outbox);
        self.settle(node, outbox);
        done.map(|done| done.iter().map(ToString::to_string).collect())
    }

    /// The worker of a node died with all that it knew; a new one begins with the
    /// orders that were in force.
    pub fn replace_worker(&mut self, node: usize, config: Config) {
        let orders = self.nodes[node].engine.standing_orders();
        self.nodes[node].engine = Engine::new(config);
        self.nodes[node].vips.clear();
        let mut outbox = Outbox::default();
        let now = self.now;
        let engine = &mut self.nodes[node].engine;
        engine.restore_orders(now, &orders, &mut outbox);
        self.settle(node, outbox);
        self.start_node(node);
    }

    /// Lets time pass; every deadline is met to the microsecond.
    pub fn run_until(&mut self, at_us: u64) {
        let end = Instant::from_us(at_us);
        for _ in 0..1_000_000 {
            let next = self
                .nodes
                .iter()
                .enumerate()
                .filter(|(_, node)| node.running && !node.stopped)
                .filter_map(|(index, node)| Some((node.engine.deadline()?, index)))
                .min();
            match next {
                Some((at, node)) if at <= end => {
                    assert!(at >= self.now, "a deadline in the past");
                    self.now = at;
                    self.expire(node);
                }
                _ => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("no end of deadlines at {:?}", self.now);
    }

    /// The first node stands still until then, and makes one turn.
    pub fn stall_until(&mut self, at_us: u64) {
        self.now = Instant::from_us(at_us);
        self.expire(0);
    }

    /// As above, with a datagram waiting in its socket.
    pub fn stall_with(&mut self, at_us: u64, datagram: &[u8]) {
        self.now = Instant::from_us(at_us);
        self.inject(0, datagram);
        self.expire(0);
    }

    fn expire(&mut self, node: usize) {
        let mut outbox = Outbox::default();
        let now = self.now;
        self.nodes[node].engine.expire(now, &mut outbox);
        self.settle(node, outbox);
        self.assert_vips_follow_the_state(node);
    }

    pub fn feed(&mut self, node: usize, event: Event<'_>) {
        let mut outbox = Outbox::default();
        let now = self.now;
        self.nodes[node].engine.event(now, event, &mut outbox);
        self.settle(node, outbox);
    }

    /// Where a node hears what another one sends: as with the kernel's macvlans, on the
    /// one with the same hardware address alone if there is one, else everywhere.
    fn heard_on(&self, node: usize, via: IfIndex, other: usize, base: IfIndex) -> Vec<IfIndex> {
        let mut links = self.nodes[node].others.iter();
        let sender = links.find(|it| it.index == via).map(|it| it.mac);
        let links = || {
            self.nodes[other]
                .others
                .iter()
                .filter(|it| it.link.parent == Some(base))
        };
        match links().find(|it| Some(it.mac) == sender) {
            Some(link) => vec![link.index],
            None => std::iter::once(base)
                .chain(links().map(|it| it.index))
                .collect(),
        }
    }

    /// Makes or deletes a link, and tells of it.
    fn link(&mut self, node: usize, operation: &Operation) -> Result<(), Errno> {
        let here = &mut self.nodes[node];
        match operation {
            Operation::AddLink(link) => {
                if let Some(errno) = here.link_refusal {
                    return Err(errno);
                }
                let mut links = here.others.iter_mut();
                if let Some(state) = links.find(|state| state.name == link.name) {
                    if here.is_vrf_kept {
                        return Ok(());
                    }
                    state.link.master = link.vrf;
                    let state = state.clone();
                    self.feed(node, Event::Interface(&state));
                    return Ok(());
                }
                let OwnLinkKind::Macvlan(mac) = link.kind else {
                    return Err(Errno(95));
                };
                let mut state = macvlan(here.next_index, &link.name, link.parent, mac);
                state.link.master = link.vrf;
                here.next_index += 1;
                here.others.push(state.clone());
                self.feed(node, Event::Interface(&state));
            }
            Operation::RemoveLink { on, .. } => {
                here.others.retain(|state| state.index != *on);
                self.feed(node, Event::InterfaceGone(*on));
            }
            _ => {}
        }
        Ok(())
    }

    /// Somebody deletes an interface besides the first one. As the kernel does it: first
    /// it goes down.
    pub fn delete_other(&mut self, node: usize, on: IfIndex) {
        self.change_other(node, on, |state| {
            state.up = false;
            state.addresses.clear();
        });
        self.nodes[node].vips.clear();
        self.nodes[node].others.retain(|state| state.index != on);
        self.feed(node, Event::InterfaceGone(on));
    }

    /// Carries out what a node asks for, and delivers what it sent.
    fn settle(&mut self, node: usize, outbox: Outbox) {
        let frames = outbox.0;
        while let Some(action) = self.nodes[node].engine.poll() {
            self.carry_out(node, action);
        }
        let mut arriving = VecDeque::new();
        for (via, bytes) in frames {
            let sent = Sent::new(self.now.as_us(), via, bytes);
            arriving.push_back(sent.clone());
            self.nodes[node].sent.push(sent);
        }
        for sent in arriving {
            let to = sent.destination;
            let via = self.nodes[node].base_of(sent.via);
            let is_cut = self.cut || self.cut_wires.contains(&via);
            for other in 0..self.nodes.len() {
                let there = &self.nodes[other];
                let reached = to.is_multicast() || there.has_address(to);
                if other != node && reached && there.running && !there.stopped && !is_cut {
                    for on in self.heard_on(node, sent.via, other, via) {
                        self.deliver_on(other, on, &sent.bytes);
                    }
                }
            }
        }
    }

    fn carry_out(&mut self, node: usize, action: Action) {
        let at_us = self.now.as_us();
        let here = &mut self.nodes[node];
        match action {
            Action::Listen { on, group, .. } => {
                here.listening.push(on);
                here.groups.push(group);
            }
            Action::Leave { group, .. } => here.groups.retain(|other| *other != Some(group)),
            Action::Relisten { on } => here.relistened.push(on),
            Action::Unlisten { on, .. } => here.listening.retain(|other| *other != on),
            Action::Kernel { token, operations } => {
                let mut result = Ok(());
                for operation in operations {
                    let here = &mut self.nodes[node];
                    here.operations.push(operation.clone());
                    if !self.refuses.contains(&operation) {
                        here.kernel(&operation);
                        result = result.and(self.link(node, &operation));
                        continue;
                    }
                    let errno = Errno(101);
                    result = Err(errno);
                    let operation = &operation;
                    let event = Event::Refused {
                        token,
                        operation,
                        errno,
                    };
                    self.feed(node, event);
                }
                self.feed(node, Event::KernelDone { token, result });
            }
            Action::Announce {
                on,
                address,
                router,
                ..
            } => {
                let is_on = here.vips.contains(&address) || here.has_address(address);
                let mut refused = self.refuses.iter();
                // It may be there already, for all the engine knows.
                let is_refused = refused.any(|it| {
                    matches!(it, Operation::AddAddress { address: vip, .. } if vip.address == address)
                });
                assert!(is_on || is_refused, "announced before it was on");
                here.announced.push(at_us);
                here.announcements.push(Announced {
                    at_us,
                    on,
                    address,
                    router,
                });
            }
            Action::Run { id, .. } => {
                here.runs.push((at_us, id));
                if let Some(outcome) = here.answer {
                    self.feed(node, Event::Script { id, outcome });
                }
            }
            Action::End(id) => here.ended.push((at_us, id)),
            Action::Notify(notification) => {
                let state = notification.state.as_str();
                here.told.push(format!("{state} {}", notification.priority));
                let (name, priority) = (&notification.instance.name, notification.priority);
                here.calls
                    .push(format!("INSTANCE {name} {state} {priority}"));
                here.notifications.push(notification);
            }
            Action::NotifyGroup(told) => {
                let state = told.state.as_str();
                here.calls
                    .push(format!("GROUP {} {state} 0", told.group.name));
                here.group_notifications.push(told);
            }
            Action::NotifyLowerPriority(told) => {
                here.calls.push(format!("LOWER {}", told.instance.name));
            }
            Action::NotifyPriority(told) => {
                let state = if told.is_master { "MASTER" } else { "BACKUP" };
                let (name, priority) = (&told.instance.name, told.priority);
                here.calls
                    .push(format!("PRIORITY {name} {state} {priority}"));
            }
            Action::Log(line) => here.log.push(line.to_string()),
            Action::FindCulprits => here.looks_for_culprits += 1,
            Action::Ready => {}
            Action::Stopped => here.stopped = true,
        }
    }
}

impl Node {
    fn kernel(&mut self, operation: &Operation) {
        let (address, add) = match operation {
            Operation::AddAddress { address, .. } => (address, true),
            Operation::RemoveAddress { address, .. } => (address, false),
            // Tests look at them in the list of operations.
            _ => return,
        };
        self.vips.retain(|vip| *vip != address.address);
        if add {
            self.vips.push(address.address);
        }
    }
}
