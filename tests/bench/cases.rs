//! The pieces of work whose instructions are counted: what is done again and again, and
//! what is done for many instances at once.

use std::fmt::Write as _;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use keepalived_rs::config::model::Config;
use keepalived_rs::config::{Options, load};
use keepalived_rs::ids::{Errno, IfIndex, MacAddress};
use keepalived_rs::time::{Instant, Interval};
use keepalived_rs::vrrp::Engine;
use keepalived_rs::vrrp::action::{Action, Operation, Transmit};
use keepalived_rs::vrrp::event::{
    Command, Datagram, Envelope, Event, InterfaceAddress, InterfaceState, LinkDetails,
};
use keepalived_rs::vrrp::plan::plan;
use keepalived_rs::vrrp::state_machine::State;
use keepalived_rs::wire::advert::{Advert, Checksum, Family, Packet, Version};
use keepalived_rs::wire::advert::{auth_type, set_checksum};
use keepalived_rs::wire::frames::{Ipv4Datagram, Ipv4Header, emit_ipv4_header};

/// Instances on one interface: VRIDs end at 255.
const ON_A_LINK: usize = 250;
/// What "many" is.
const MANY: usize = 4_000;

/// A piece of work that can be done again and again.
pub trait Work {
    /// What has to be there first; it is not counted.
    fn before(&mut self) {}
    /// What is counted.
    fn work(&mut self);
}

impl<F: FnMut()> Work for F {
    fn work(&mut self) {
        self();
    }
}

/// What is counted, and how.
pub struct Case {
    /// What it is called in the table.
    pub name: &'static str,
    /// With how many instances.
    pub instances: usize,
    /// The table tells what each instance costs; else it is what the whole does.
    pub is_for_each: bool,
    /// Makes the work ready, for so many instances.
    pub prepare: fn(usize) -> Box<dyn Work>,
}

/// The whole is short.
const fn short(name: &'static str, prepare: fn(usize) -> Box<dyn Work>) -> Case {
    Case {
        name,
        instances: MANY,
        is_for_each: false,
        prepare,
    }
}

/// Something is done for each instance.
const fn long(name: &'static str, instances: usize, prepare: fn(usize) -> Box<dyn Work>) -> Case {
    Case {
        name,
        instances,
        is_for_each: true,
        prepare,
    }
}

/// All of them, in the order of the table.
pub const CASES: &[Case] = &[
    short("advert of version 2, read", |_| read(Version::V2)),
    short("advert of version 3, read", |_| read(Version::V3)),
    short("advert of version 2, written", |_| written(Version::V2)),
    short("advert of version 3, written", |_| written(Version::V3)),
    short("MASTER, one advert of 1 instance", |_| sends(1, "")),
    long(
        "MASTER, one advert of each of 4,000 instances",
        MANY,
        |many| sends(many, ""),
    ),
    short("MASTER, one advert with auth_type AH", |_| sends(1, AH)),
    short("BACKUP, one advert of 1 instance", |_| hears(1, "")),
    short("BACKUP, one advert of 4,000 instances", |many| {
        hears(many, "")
    }),
    short("BACKUP, one advert with auth_type AH", |_| hears(1, AH)),
    short("nothing due, 4,000 instances", nothing_due),
    long(
        "another address comes, each of 4,000 instances",
        MANY,
        address_comes,
    ),
    long("start, each of 1,000 instances", 1_000, starts),
    long("start, each of 4,000 instances", MANY, starts),
    long("takeover, each of 1,000 instances", 1_000, takes_over),
    long("takeover, each of 4,000 instances", MANY, takes_over),
    long("stop, each of 4,000 instances", MANY, stops),
    long("snapshot, each of 4,000 instances", MANY, snapshot),
    long(
        "reload with one change, each of 4,000 instances",
        MANY,
        reload,
    ),
    long(
        "configuration, each of 1,000 instances",
        1_000,
        configuration,
    ),
    long(
        "configuration, each of 4,000 instances",
        MANY,
        configuration,
    ),
];

const AH: &str = "authentication {\n auth_type AH\n auth_pass secret\n }";

fn vip(number: usize) -> Ipv4Addr {
    let [_, _, high, low] = (number as u32).to_be_bytes();
    Ipv4Addr::new(10, 200, high, low)
}

fn text(count: usize, priority: u8, more: &str) -> Vec<u8> {
    let mut text = String::new();
    for number in 0..count {
        let (link, vrid) = (number / ON_A_LINK, number % ON_A_LINK + 1);
        let _ = writeln!(
            text,
            "vrrp_instance VI_{number} {{
    interface e{link}
    virtual_router_id {vrid}
    priority {priority}
    advert_int 1
    {more}
    virtual_ipaddress {{
        {}/32 dev e{link}
    }}
}}",
            vip(number)
        );
    }
    text.into_bytes()
}

fn loaded(text: Vec<u8>) -> Config {
    let files = vec![(PathBuf::from("/k"), text)];
    let loaded = load(&files, Path::new("/k"), &Options::default());
    assert!(loaded.is_usable(), "{:?}", loaded.diagnostics);
    loaded.config
}

/// Keeps the adverts of one call.
#[derive(Default)]
struct Sent(Vec<(IfIndex, Vec<u8>)>);

impl Transmit for Sent {
    fn send(&mut self, via: IfIndex, _: IpAddr, frame: &[u8]) -> Result<(), Errno> {
        self.0.push((via, frame.to_vec()));
        Ok(())
    }
}

/// Only counts them: keeping them is not the engine's work.
#[derive(Default)]
struct Counted(u64);

impl Transmit for Counted {
    fn send(&mut self, _: IfIndex, _: IpAddr, frame: &[u8]) -> Result<(), Errno> {
        self.0 += black_box(frame).len() as u64;
        Ok(())
    }
}

/// An engine on interfaces with one address, and a kernel that does at once what it is
/// told and says so.
struct Node {
    engine: Engine,
    now: Instant,
    links: Vec<InterfaceState>,
    tx: Counted,
}

impl Node {
    fn new(host: u8, config: Config) -> Self {
        let count = config.instances.len().div_ceil(ON_A_LINK);
        Self {
            engine: Engine::new(config),
            now: Instant::from_us(1),
            links: (0..count).map(|number| link(host, number)).collect(),
            tx: Counted::default(),
        }
    }

    fn start(&mut self) {
        let all = Event::AllInterfaces(&self.links);
        self.engine.event(self.now, all, &mut self.tx);
        self.command(Command::Start);
    }

    fn command(&mut self, command: Command) {
        let event = Event::Command(command);
        self.engine.event(self.now, event, &mut self.tx);
        self.drain();
    }

    /// As the netlink thread does it, whose news of an interface come once for all that
    /// was done meanwhile.
    fn drain(&mut self) {
        let mut done = Vec::new();
        while let Some(action) = self.engine.poll() {
            if let Action::Kernel { token, operations } = black_box(action) {
                for operation in &operations {
                    self.carry_out(operation);
                }
                done.push(token);
            }
        }
        if done.is_empty() {
            return;
        }
        for state in &self.links {
            let event = Event::Interface(state);
            self.engine.event(self.now, event, &mut self.tx);
        }
        for token in done {
            let event = Event::KernelDone {
                token,
                result: Ok(()),
            };
            self.engine.event(self.now, event, &mut self.tx);
        }
        self.drain();
    }

    fn carry_out(&mut self, operation: &Operation) {
        let (on, address, is_there) = match operation {
            Operation::AddAddress { on, address } => (*on, address, true),
            Operation::RemoveAddress { on, address } => (*on, address, false),
            _ => return,
        };
        let state = self.links.iter_mut().find(|link| link.index == on);
        let Some(state) = state else { return };
        let address = InterfaceAddress {
            address: address.address,
            prefix_length: address.prefix_length,
        };
        match is_there {
            true => state.addresses.push(address),
            false => state.addresses.retain(|there| *there != address),
        }
    }

    fn expire(&mut self, now: Instant) {
        self.now = now;
        self.engine.expire(now, &mut self.tx);
        self.drain();
    }

    /// Lets time pass until all are in `state` and nothing but adverts is left to send.
    fn until(&mut self, state: State) {
        let settled = self.now + Interval::from_secs(30);
        while self.now < settled || self.engine.instances().any(|it| it.state != state) {
            let next = self.engine.deadline().expect("a deadline");
            self.expire(next);
        }
    }

    fn hear(&mut self, (via, frame): &(IfIndex, Vec<u8>)) {
        let datagram = Datagram {
            on: *via,
            envelope: Envelope::Ipv4,
            bytes: frame,
        };
        let event = Event::Datagram(datagram);
        self.engine.event(self.now, event, &mut self.tx);
    }
}

fn link(host: u8, number: usize) -> InterfaceState {
    let index = number as u32 + 2;
    InterfaceState {
        index: IfIndex(index),
        name: format!("e{number}"),
        up: true,
        loopback: false,
        multicast: true,
        no_arp: false,
        forwarding: false,
        mac: MacAddress([2, 0, 0, 0, index as u8, host]),
        mtu: 1500,
        link: LinkDetails::default(),
        addresses: vec![InterfaceAddress {
            address: Ipv4Addr::new(10, 100 + number as u8, 0, host).into(),
            prefix_length: 16,
        }],
    }
}

/// So many instances that are MASTER.
fn master(count: usize, more: &str) -> Node {
    let mut node = Node::new(1, loaded(text(count, 200, more)));
    node.start();
    node.until(State::Master);
    node
}

/// So many that have just heard a better one, and one advert of each.
fn backup(count: usize, more: &str) -> (Node, Vec<(IfIndex, Vec<u8>)>) {
    let mut better = master(count, more);
    let mut node = Node::new(2, loaded(text(count, 100, more)));
    node.start();
    let mut sent = Sent::default();
    // Each has its turn within one interval.
    while sent.0.len() < count {
        let next = better.engine.deadline().expect("a deadline");
        better.engine.expire(next, &mut sent);
    }
    for advert in &sent.0 {
        node.hear(advert);
    }
    node.drain();
    (node, sent.0)
}

fn advert(version: Version, addresses: &[IpAddr]) -> Advert<'_> {
    Advert {
        version,
        family: Family::V4,
        vrid: 51,
        priority: 200,
        advert_interval: Interval::from_secs(1),
        addresses,
        auth_type: auth_type::NONE,
        password: None,
    }
}

const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

fn checksum(version: Version) -> Checksum {
    match version {
        Version::V2 => Checksum::Plain,
        Version::V3 => Checksum::PseudoHeader {
            source: SOURCE.into(),
            destination: GROUP.into(),
        },
    }
}

fn write(frame: &mut Vec<u8>, version: Version, addresses: &[IpAddr]) {
    let advert = advert(version, addresses);
    frame.resize(20 + advert.length(), 0);
    let message = &mut frame[20..];
    advert.emit(message);
    set_checksum(message, checksum(version));
    let header = Ipv4Header {
        source: SOURCE,
        destination: GROUP,
        ttl: 255,
        protocol: 112,
    };
    emit_ipv4_header(&header, frame);
}

fn read(version: Version) -> Box<dyn Work> {
    let mut frame = Vec::new();
    write(&mut frame, version, &[vip(1).into()]);
    Box::new(move || {
        let datagram = Ipv4Datagram::new(black_box(&frame)).expect("a datagram");
        let packet = Packet::new(datagram.payload, Family::V4).expect("a message");
        assert!(packet.checksum_is_right(checksum(version)));
        black_box(packet.addresses().count());
    })
}

fn written(version: Version) -> Box<dyn Work> {
    let addresses = [vip(1).into()];
    let mut frame = Vec::new();
    Box::new(move || {
        write(&mut frame, version, black_box(&addresses));
        black_box(&frame);
    })
}

fn sends(count: usize, more: &str) -> Box<dyn Work> {
    let mut node = master(count, more);
    Box::new(move || {
        let next = node.engine.deadline().expect("a deadline");
        node.expire(next);
    })
}

/// An advert each time of another instance, as they come in.
fn hears(count: usize, more: &str) -> Box<dyn Work> {
    let (node, adverts) = backup(count, more);
    Box::new(Hearing {
        // What is signed is accepted once: it takes a new one each time.
        signer: (!more.is_empty()).then(|| master(count, more)),
        node,
        adverts,
        turn: 0,
    })
}

struct Hearing {
    node: Node,
    adverts: Vec<(IfIndex, Vec<u8>)>,
    turn: usize,
    signer: Option<Node>,
}

impl Work for Hearing {
    fn before(&mut self) {
        self.turn = (self.turn + 1) % self.adverts.len();
        if let Some(signer) = &mut self.signer {
            let mut sent = Sent::default();
            let next = signer.engine.deadline().expect("a deadline");
            signer.engine.expire(next, &mut sent);
            self.adverts = sent.0;
            self.node.now = next;
        }
    }

    fn work(&mut self) {
        self.node.hear(&self.adverts[self.turn]);
        self.node.expire(self.node.now);
    }
}

fn nothing_due(count: usize) -> Box<dyn Work> {
    let mut node = master(count, "");
    Box::new(move || node.expire(node.now))
}

fn address_comes(count: usize) -> Box<dyn Work> {
    let mut node = master(count, "");
    Box::new(move || {
        let there = node.links[0].addresses.len();
        let last = (there % 250) as u8;
        node.links[0].addresses.push(InterfaceAddress {
            address: Ipv4Addr::new(10, 99, 0, last).into(),
            prefix_length: 32,
        });
        let event = Event::Interface(&node.links[0]);
        node.engine.event(node.now, event, &mut node.tx);
        node.drain();
    })
}

/// Work that is done once to a node; there is a new one each time.
struct Once<M, W> {
    make: M,
    node: Option<Node>,
    work: W,
}

impl<M: FnMut() -> Node, W: FnMut(&mut Node)> Work for Once<M, W> {
    fn before(&mut self) {
        self.node = Some((self.make)());
    }

    fn work(&mut self) {
        (self.work)(self.node.as_mut().expect("made before"));
    }
}

fn once(
    make: impl FnMut() -> Node + 'static,
    work: impl FnMut(&mut Node) + 'static,
) -> Box<dyn Work> {
    let node = None;
    Box::new(Once { make, node, work })
}

/// Until each has begun.
fn starts(count: usize) -> Box<dyn Work> {
    let config = loaded(text(count, 200, ""));
    once(move || Node::new(1, config.clone()), Node::start)
}

/// From the expiry of all until the first bursts of gratuitous ARP are out.
fn takes_over(count: usize) -> Box<dyn Work> {
    let config = loaded(text(count, 100, ""));
    let make = move || {
        let mut node = Node::new(1, config.clone());
        node.start();
        node
    };
    once(make, |node| {
        node.expire(node.now + Interval::from_secs(4));
        let are_all = node.engine.instances().all(|it| it.state == State::Master);
        assert!(are_all, "not all have taken over");
    })
}

fn stops(count: usize) -> Box<dyn Work> {
    once(
        move || master(count, ""),
        |node| node.command(Command::Stop),
    )
}

fn snapshot(count: usize) -> Box<dyn Work> {
    let node = master(count, "");
    Box::new(move || drop(black_box(node.engine.snapshot(node.now))))
}

/// One VIP becomes another.
fn reload(count: usize) -> Box<dyn Work> {
    let config = loaded(text(count, 200, ""));
    let mut changed = text(count, 200, "");
    let (old, new) = (b"10.200.0.7/32", b"10.250.0.7/32");
    let place = changed.windows(old.len()).position(|part| part == old);
    let place = place.expect("the address");
    changed[place..place + new.len()].copy_from_slice(new);
    let changed = loaded(changed);
    let mut node = master(count, "");
    let mut configs = [changed, config].into_iter().cycle();
    Box::new(move || {
        let next = configs.next().expect("no end");
        let plan = plan(node.engine.config(), next);
        assert!(!plan.is_empty(), "nothing is to be done");
        node.engine.apply(node.now, plan, &mut node.tx);
        node.drain();
    })
}

fn configuration(count: usize) -> Box<dyn Work> {
    let files = vec![(PathBuf::from("/k"), text(count, 200, ""))];
    Box::new(move || {
        let loaded = load(&files, Path::new("/k"), &Options::default());
        assert_eq!(loaded.config.instances.len(), count);
    })
}
