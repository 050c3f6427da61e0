//! Nodes on one wire in virtual time: the shipped engine, a kernel that does
//! what it is told at once, and scripts whose results the test decides.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use keepalived_rs::config::model::{Config, Instance, VirtualAddress};
use keepalived_rs::ids::{Errno, IfIndex, MacAddress, Priority, ScriptId, Vrid};
use keepalived_rs::time::{Instant, Interval};
use keepalived_rs::vrrp::Engine;
use keepalived_rs::vrrp::action::{Action, Notification, Operation, Transmit};
use keepalived_rs::vrrp::engine::InstanceView;
use keepalived_rs::vrrp::event::{
    Command, Datagram, Envelope, Event, InterfaceAddress, InterfaceState, Outcome,
};
use keepalived_rs::vrrp::plan::plan;
use keepalived_rs::vrrp::state_machine::State;
use keepalived_rs::vrrp::statistics::Statistics;

pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 100);
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

pub fn source(node: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, node)
}

/// This world has IPv4 only.
fn ipv4(address: std::net::IpAddr) -> Ipv4Addr {
    match address {
        std::net::IpAddr::V4(address) => address,
        std::net::IpAddr::V6(address) => panic!("{address} is not of this world"),
    }
}

pub fn ms(ms: u64) -> Interval {
    Interval::from_ms(ms)
}

/// VI_1 on eth0, VRID 51, one second, one VIP.
pub fn instance(priority: u8) -> Instance {
    Instance {
        priority: Priority(priority),
        multicast_group: GROUP.into(),
        virtual_addresses: vec![vip(VIP)],
        ..Instance::new("VI_1", "eth0", Vrid::new(51).expect("not 0"))
    }
}

pub fn vip(address: Ipv4Addr) -> VirtualAddress {
    VirtualAddress::new(address.into(), 24, "eth0")
}

/// eth0 of a node: number 2, one address.
pub fn interface(node: u8) -> InterfaceState {
    InterfaceState {
        index: IfIndex(2),
        name: "eth0".into(),
        up: true,
        loopback: false,
        multicast: true,
        no_arp: false,
        mac: MacAddress([2, 0, 0, 0, 0, node]),
        mtu: 1500,
        addresses: vec![InterfaceAddress {
            address: source(node).into(),
            prefix_length: 24,
        }],
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

/// Makes the VRRP checksum of a datagram right.
pub fn fix_checksum(datagram: &mut [u8]) {
    let message = &mut datagram[20..];
    message[6..8].fill(0);
    let sum: u32 = message
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low)))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    message[6..8].copy_from_slice(&(!(folded as u16)).to_be_bytes());
}

/// An advert that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub at_us: u64,
    pub via: IfIndex,
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    pub priority: u8,
    pub bytes: Vec<u8>,
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
    pub vips: Vec<Ipv4Addr>,
    pub sent: Vec<Sent>,
    /// When each gratuitous ARP was asked for.
    pub announced: Vec<u64>,
    pub told: Vec<String>,
    /// What the general script would get as arguments.
    pub calls: Vec<String>,
    pub notifications: Vec<Notification>,
    pub log: Vec<String>,
    pub operations: Vec<Operation>,
    pub listening: Vec<IfIndex>,
    /// How scripts end at once; `None`: when the test says so.
    pub answer: Option<Outcome>,
    /// Scripts that were started, with the time.
    pub runs: Vec<(u64, ScriptId)>,
    /// Scripts whose end was asked for, with the time.
    pub ended: Vec<(u64, ScriptId)>,
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
            told: Vec::new(),
            calls: Vec::new(),
            notifications: Vec::new(),
            log: Vec::new(),
            operations: Vec::new(),
            listening: Vec::new(),
            answer: None,
            runs: Vec::new(),
            ended: Vec::new(),
        }
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
            address: ipv4(master.address),
            priority: master.priority,
        })
    }

    pub fn logged(&self, text: &str) -> bool {
        self.log.iter().any(|line| line.contains(text))
    }
}

pub struct Master {
    pub address: Ipv4Addr,
    pub priority: Priority,
}

pub fn config(instances: impl IntoIterator<Item = Instance>) -> Config {
    let instances: Vec<Arc<Instance>> = instances.into_iter().map(Arc::new).collect();
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
        states.extend_from_slice(&self.nodes[node].others);
        self.feed(node, Event::AllInterfaces(&states));
        self.feed(node, Event::Command(Command::Start));
    }

    pub fn stop(&mut self, node: usize) {
        self.feed(node, Event::Command(Command::Stop));
    }

    pub fn inject(&mut self, node: usize, bytes: &[u8]) {
        let on = self.nodes[node].interface.index;
        self.inject_on(node, on, bytes);
    }

    fn inject_on(&mut self, node: usize, on: IfIndex, bytes: &[u8]) {
        self.feed(
            node,
            Event::Datagram(Datagram {
                on,
                envelope: Envelope::Ipv4,
                bytes,
            }),
        );
    }

    pub fn change_interface(&mut self, node: usize, change: impl FnOnce(&mut InterfaceState)) {
        change(&mut self.nodes[node].interface);
        let state = self.nodes[node].interface.clone();
        self.feed(node, Event::Interface(&state));
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
    }

    fn feed(&mut self, node: usize, event: Event<'_>) {
        let mut outbox = Outbox::default();
        let now = self.now;
        self.nodes[node].engine.event(now, event, &mut outbox);
        self.settle(node, outbox);
    }

    /// Carries out what a node asks for, and delivers what it sent.
    fn settle(&mut self, node: usize, outbox: Outbox) {
        let frames = outbox.0;
        while let Some(action) = self.nodes[node].engine.poll() {
            self.carry_out(node, action);
        }
        let mut arriving = VecDeque::new();
        for (via, bytes) in frames {
            self.nodes[node].sent.push(Sent {
                at_us: self.now.as_us(),
                via,
                source: Ipv4Addr::new(bytes[12], bytes[13], bytes[14], bytes[15]),
                destination: Ipv4Addr::new(bytes[16], bytes[17], bytes[18], bytes[19]),
                priority: bytes[22],
                bytes: bytes.clone(),
            });
            arriving.push_back((via, bytes));
        }
        for (via, bytes) in arriving {
            for other in 0..self.nodes.len() {
                let there = &self.nodes[other];
                let is_cut = self.cut || self.cut_wires.contains(&via);
                if other != node && there.running && !there.stopped && !is_cut {
                    self.inject_on(other, via, &bytes);
                }
            }
        }
    }

    fn carry_out(&mut self, node: usize, action: Action) {
        let at_us = self.now.as_us();
        let here = &mut self.nodes[node];
        match action {
            Action::Listen { on, .. } => here.listening.push(on),
            Action::Unlisten { on, .. } => here.listening.retain(|other| *other != on),
            Action::Kernel { token, operations } => {
                for operation in operations {
                    here.kernel(&operation);
                    here.operations.push(operation);
                }
                let result = Ok(());
                self.feed(node, Event::KernelDone { token, result });
            }
            Action::Announce { address, .. } => {
                assert!(
                    here.vips.contains(&ipv4(address)),
                    "announced before it was on"
                );
                here.announced.push(at_us);
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
            }
            Action::Log(line) => here.log.push(line.to_string()),
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
        };
        let IpAddr::V4(address) = address.address else {
            return;
        };
        self.vips.retain(|vip| *vip != address);
        if add {
            self.vips.push(address);
        }
    }
}
