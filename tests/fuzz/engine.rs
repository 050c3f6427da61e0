//! Fuzz target: anything that can happen to an engine, in any order, in time
//! that does not run backwards. No panic, no deadline in the past, no VIP on who
//! is not MASTER, each datagram counted in one place, and the same events always
//! lead to the same actions.
//!
//! `FUZZ_SECONDS` is how long (5), `FUZZ_SEED` is the first case; a case that
//! fails is repeated with its number as `FUZZ_SEED`.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;

use keepalived_rs::config::model::{
    self, Config, Instance, Password, Script, TrackInterface, TrackScript,
};
use keepalived_rs::ids::{Errno, IfIndex, ScriptId, Vrid};
use keepalived_rs::time::{Instant, Interval};
use keepalived_rs::vrrp::Engine;
use keepalived_rs::vrrp::action::{Action, Operation, Token, Transmit};
use keepalived_rs::vrrp::event::{Command, Datagram, Envelope, Event, InterfaceState, Outcome};
use keepalived_rs::vrrp::plan::plan;
use keepalived_rs::vrrp::state_machine::State;

#[path = "../engine/world.rs"]
#[expect(dead_code, reason = "shared with the tests of the engine")]
mod world;

mod dice;

use dice::Dice;
use world::{Advert3, Cover};

/// Events of one case.
const STEPS_MAX: u64 = 200;

fn main() -> ExitCode {
    dice::run("engine", |seed| {
        assert_eq!(case(seed), case(seed), "the second time was another");
    })
}

/// One case; returns what the engine did, in words.
fn case(seed: u64) -> Vec<String> {
    let mut dice = Dice(seed);
    let config = dice.config();
    let mut node = Node {
        engine: Engine::new(config),
        now: Instant::from_us(dice.below(10_000_000)),
        pending: VecDeque::new(),
        held: BTreeSet::new(),
        blocked: BTreeSet::new(),
        runs: Vec::new(),
        did: Vec::new(),
        asked: 0,
        there: [None; 2],
        last_index: 1,
    };
    let states = node.interfaces(&mut dice);
    node.event(Event::AllInterfaces(&states));
    node.event(Event::Command(Command::Start));
    for _ in 0..dice.below(STEPS_MAX) {
        node.step(&mut dice);
    }
    node.event(Event::Command(Command::Stop));
    node.finish();
    node.did
}

impl Dice {
    fn span(&mut self) -> Interval {
        Interval::from_ms(self.pick(&[0, 1, 10, 100, 1_000, 5_000, 60_000]))
    }

    fn config(&mut self) -> Config {
        let count = 1 + self.below(3) as u8;
        let script = Arc::new(Script {
            name: "chk".into(),
            command: model::Command {
                argv: vec!["/bin/true".into()],
                user: None,
            },
            interval: Interval::from_ms(self.pick(&[1_000, 2_500])),
            timeout: Interval::from_ms(self.pick(&[500, 4_000])),
            rise: 1 + self.below(3) as u32,
            fall: 1 + self.below(3) as u32,
            init_fail: self.chance(4),
        });
        let mut config = world::config((0..count).map(|number| self.instance(number, &script)));
        config.globals.startup.delay = self.pick(&[Interval::ZERO, Interval::from_secs(3)]);
        config
    }

    fn instance(&mut self, number: u8, script: &Arc<Script>) -> Instance {
        let priority = self.pick(&[1, 2, 100, 150, 254, 255]);
        let mut it = match self.below(3) {
            0 => world::instance(priority),
            1 => world::instance3(priority),
            _ => world::instance6(priority),
        };
        it.name = format!("VI_{number}");
        it.vrid = Vrid::new(51 + number).expect("not 0");
        let last = 100 + 10 * number;
        it.virtual_addresses = match (it.ipv6, self.below(4)) {
            (_, 0) => Vec::new(),
            (false, _) => vec![world::vip(world::source(last))],
            (true, _) => vec![world::vip(world::source6(last))],
        };
        if self.chance(3) {
            let mut vip = world::vip(world::source(last + 1));
            vip.interface = self.pick(&["eth0", "eth1"]).into();
            vip.no_track = self.chance(2);
            it.excluded_addresses.push(vip);
        }
        it.advert_interval = match it.version.number() {
            2 => Interval::from_secs(self.pick(&[1, 2, 255])),
            _ => Interval::from_ms(self.pick(&[10, 100, 1_000, 40_950])),
        };
        it.down_timer_adverts = self.pick(&[1, 3, 100]);
        it.nopreempt = self.chance(4);
        it.timer_expired_backup = self.pick(&[None, Some(1), Some(254)]);
        it.fast_handover = self.chance(3);
        it.preempt_delay = self.span();
        it.lower_prio_no_advert = self.chance(4);
        it.higher_prio_send_advert = self.chance(4);
        it.owner_ignore_adverts = self.chance(2);
        it.v3_checksum_as_v2 = self.chance(4);
        it.old_unicast_checksum = self.pick(&[None, Some(false), Some(true)]);
        it.skip_check_adv_addr = self.chance(2);
        it.ignore_own_interface = self.chance(4);
        it.fault_without_peer = self.chance(20);
        it.garp.interval = self.span();
        it.garp.gna_interval = self.span();
        it.garp.master_delay = self.span();
        it.garp.master_refresh = self.span();
        it.garp.lower_prio_delay = self.span();
        it.garp.lower_prio_repeat = self.below(3) as u32;
        if self.chance(4) {
            let peer: IpAddr = match it.ipv6 {
                false => world::source(2).into(),
                true => world::source6(2).into(),
            };
            it.unicast_peers.push(peer.into());
            it.check_unicast_source = self.chance(2);
            it.unicast_peers[0].min_ttl = self.pick(&[None, Some(200)]);
        }
        if it.version.number() == 2 && self.chance(4) {
            it.authentication = Some(model::Authentication::Password(Password(*b"1111\0\0\0\0")));
        }
        if self.chance(3) {
            it.track_interfaces.push(TrackInterface {
                interface: "eth1".into(),
                weight: self.pick(&[-253, -20, 0, 20, 253]),
                reverse: self.chance(3),
            });
        }
        if self.chance(3) {
            it.track_scripts.push(TrackScript {
                script: Arc::clone(script),
                weight: self.pick(&[-253, 0, 30]),
                reverse: self.chance(3),
            });
        }
        it
    }

    fn interface(&mut self, index: u32, name: &str) -> InterfaceState {
        let mut state = world::interface(1);
        state.index = IfIndex(index);
        state.name = name.into();
        state.up = !self.chance(4);
        state.no_arp = self.chance(8);
        state.mtu = self.pick(&[0, 60, 1_500, 65_536]);
        state.multicast = !self.chance(10);
        if self.chance(6) {
            state.addresses.clear();
        }
        state
    }

    /// A good advert, or one with something changed, or noise.
    fn packet(&mut self) -> Vec<u8> {
        let node = self.pick(&[0, 1, 2, 9]);
        let priority = self.pick(&[0, 1, 99, 100, 101, 150, 254, 255]);
        let mut packet = match self.below(3) {
            0 => world::advert(world::source(node), priority),
            version3 => {
                let from: IpAddr = match version3 {
                    1 => world::source(node).into(),
                    _ => world::source6(node).into(),
                };
                let mut advert = Advert3::new(from, priority);
                advert.vrid = 51 + self.below(4) as u8;
                advert.interval_cs = self.pick(&[0, 1, 10, 100, 4_095, 65_535]);
                advert.hops = self.pick(&[255, 255, 255, 254, 1]);
                advert.cover = self.pick(&[Cover::PseudoHeader, Cover::Message]);
                if self.chance(4) {
                    advert.to = self.pick(&[world::source(1).into(), world::source6(1).into()]);
                }
                advert.bytes()
            }
        };
        while self.chance(4) {
            let at = self.below(packet.len() as u64) as usize;
            packet[at] = self.byte();
        }
        if self.chance(8) {
            packet.resize(self.below(120) as usize, 0);
        }
        packet
    }
}

/// One daemon, and a kernel that takes its time.
struct Node {
    engine: Engine,
    now: Instant,
    pending: VecDeque<(Token, Vec<Operation>)>,
    held: BTreeSet<(IfIndex, IpAddr)>,
    blocked: BTreeSet<IpAddr>,
    runs: Vec<ScriptId>,
    did: Vec<String>,
    /// Datagrams that were given to the engine since the last reload.
    asked: u64,
    /// The numbers of both interfaces, while they exist.
    there: [Option<u32>; 2],
    last_index: u32,
}

#[derive(Default)]
struct Outbox(Vec<String>);

impl Transmit for Outbox {
    fn send(&mut self, via: IfIndex, to: IpAddr, frame: &[u8]) -> Result<(), Errno> {
        self.0.push(format!("send {via:?} {to} {frame:?}"));
        // Now and then the kernel refuses; on what depends on the packet alone.
        match frame.len() % 7 {
            0 => Err(Errno(105)),
            _ => Ok(()),
        }
    }
}

impl Node {
    /// The number of the interface in this place; one that is made anew has a
    /// new one.
    fn index(&mut self, place: usize) -> u32 {
        *self.there[place].get_or_insert_with(|| {
            self.last_index += 1;
            self.last_index
        })
    }

    /// Both interfaces, in some state.
    fn interfaces(&mut self, dice: &mut Dice) -> [InterfaceState; 2] {
        let (first, second) = (self.index(0), self.index(1));
        [
            dice.interface(first, "eth0"),
            dice.interface(second, "eth1"),
        ]
    }

    fn step(&mut self, dice: &mut Dice) {
        match dice.below(16) {
            0..6 => self.datagram(dice),
            6..9 => self.pass(dice),
            9 | 10 => self.kernel(),
            11 => {
                // A renamed interface keeps its addresses.
                let (place, name) = dice.pick(&[(0, "eth0"), (1, "eth1"), (0, "x"), (1, "y")]);
                let index = self.index(place);
                let state = dice.interface(index, name);
                self.event(Event::Interface(&state));
            }
            12 => {
                let place = dice.pick(&[0, 1]);
                if let Some(index) = self.there[place].take().map(IfIndex) {
                    self.held.retain(|(on, _)| *on != index);
                    self.event(Event::InterfaceGone(index));
                }
            }
            13 => {
                let states = self.interfaces(dice);
                self.event(Event::AllInterfaces(&states));
            }
            14 => self.script(dice),
            _ => self.change(dice),
        }
    }

    fn event(&mut self, event: Event<'_>) {
        let mut outbox = Outbox::default();
        self.engine.event(self.now, event, &mut outbox);
        self.drain(outbox);
    }

    fn datagram(&mut self, dice: &mut Dice) {
        let packet = dice.packet();
        let [first, second] = self.there.map(|index| index.unwrap_or(1));
        let on = IfIndex(dice.pick(&[first, first, first, second, 1]));
        let datagram = match packet.first().map(|first| first >> 4) {
            Some(6) if packet.len() >= 40 => world::datagram(on, &packet),
            _ => Datagram {
                on,
                envelope: Envelope::Ipv4,
                bytes: &packet,
            },
        };
        self.asked += 1;
        self.event(Event::Datagram(datagram));
        assert_eq!(self.counted(), self.asked, "each datagram counts once");
    }

    /// Datagrams by the counters; VIPs that differ count beside an accepted one,
    /// so the wrong cast is the rest of that counter and may hide nothing.
    fn counted(&self) -> u64 {
        let instances = self.engine.instances().map(|it| {
            let s = it.statistics;
            let refused = s.packet_len_err
                + s.ip_ttl_err
                + s.vers_err
                + s.invalid_type_rcvd
                + s.advert_interval_err
                + s.chk_err
                + s.invalid_authtype
                + s.authtype_mismatch
                + s.auth_failure
                + s.not_a_peer;
            refused + s.advert_rcvd + s.owner_ignored
        });
        let sum = instances.sum::<u64>() + self.engine.ignored();
        let lists: u64 = self
            .engine
            .instances()
            .map(|it| it.statistics.addr_list_err)
            .sum();
        // Between none and all of the list errors are refusals.
        if (sum..=sum + lists).contains(&self.asked) {
            return self.asked;
        }
        sum
    }

    /// Time passes: to the deadline, a little, or a lot.
    fn pass(&mut self, dice: &mut Dice) {
        let deadline = self.engine.deadline();
        self.now = match dice.below(4) {
            0 => self.now + dice.span(),
            _ => deadline.unwrap_or(self.now).max(self.now),
        };
        let mut outbox = Outbox::default();
        self.engine.expire(self.now, &mut outbox);
        self.drain(outbox);
        let next = self.engine.deadline();
        assert!(
            next.is_none_or(|next| next >= self.now),
            "{next:?} is before {:?}",
            self.now
        );
    }

    /// The oldest request is carried out.
    fn kernel(&mut self) {
        let Some((token, operations)) = self.pending.pop_front() else {
            return;
        };
        let mut result = Ok(());
        for operation in operations {
            match operation {
                Operation::AddAddress { on, .. } if !self.there.contains(&Some(on.0)) => {
                    result = Err(Errno(19));
                }
                Operation::AddAddress { on, address } => {
                    self.held.insert((on, address.address));
                }
                Operation::RemoveAddress { on, address } => {
                    self.held.remove(&(on, address.address));
                }
                Operation::Block { address, .. } => {
                    self.blocked.insert(address);
                }
                Operation::Unblock { address, .. } => {
                    self.blocked.remove(&address);
                }
                _ => {}
            }
        }
        self.event(Event::KernelDone { token, result });
    }

    fn script(&mut self, dice: &mut Dice) {
        let Some(id) = self.runs.pop() else { return };
        let outcome = dice.pick(&[
            Outcome::Exited(0),
            Outcome::Exited(1),
            Outcome::Signalled(9),
            Outcome::NotRun(Errno(2)),
        ]);
        self.event(Event::Script { id, outcome });
    }

    /// A reload, or somebody takes an address away.
    fn change(&mut self, dice: &mut Dice) {
        if dice.chance(2) {
            let Some((on, address)) = self.held.pop_first() else {
                return;
            };
            let prefix_length = if address.is_ipv4() { 24 } else { 64 };
            return self.event(Event::AddressRemoved {
                on,
                address,
                prefix_length,
            });
        }
        let plan = plan(self.engine.config(), dice.config());
        let mut outbox = Outbox::default();
        self.engine.apply(self.now, plan, &mut outbox);
        self.drain(outbox);
        self.asked = 0;
        self.engine.clear_statistics();
        self.asked = self.engine.ignored();
    }

    fn drain(&mut self, outbox: Outbox) {
        self.did.extend(outbox.0);
        while let Some(action) = self.engine.poll() {
            self.did.push(format!("{:?} {action:?}", self.now));
            match action {
                Action::Kernel { token, operations } => self.pending.push_back((token, operations)),
                Action::Run { id, .. } => self.runs.push(id),
                _ => {}
            }
        }
        self.assert_only_masters_hold();
    }

    /// Once the kernel has done everything, a VIP is where somebody is MASTER.
    fn assert_only_masters_hold(&self) {
        if !self.pending.is_empty() {
            return;
        }
        let masters = self
            .engine
            .instances()
            .filter(|it| it.state == State::Master);
        let allowed: BTreeSet<IpAddr> = masters
            .flat_map(|it| it.config.all_addresses().map(|vip| vip.address))
            .collect();
        for (on, address) in &self.held {
            let last = &self.did[self.did.len().saturating_sub(40)..];
            let (left, last) = (format!("{address} is left on {on:?}"), last.join("\n"));
            assert!(allowed.contains(address), "{left} after\n{last}");
        }
    }

    /// After the stop: everything comes to its end.
    fn finish(&mut self) {
        while !self.pending.is_empty() {
            self.kernel();
        }
        assert!(self.held.is_empty(), "{:?} is left", self.held);
        let blocked = &self.blocked;
        assert!(
            blocked.is_empty(),
            "packets to {blocked:?} are still dropped"
        );
        assert!(self.did.iter().any(|line| line.ends_with(" Stopped")));
        let stopped =
            |it: keepalived_rs::vrrp::engine::InstanceView<'_>| it.state == State::Stopped;
        assert!(self.engine.instances().all(stopped));
    }
}
