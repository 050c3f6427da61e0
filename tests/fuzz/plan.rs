//! Fuzz target: reloads, from any configuration to any other. A plan to the same
//! configuration is empty; what no plan names stays as it is, bit for bit; what goes
//! on never says priority 0; an address that is held before and after is there all
//! the time; and after a while everything is as if the daemon had begun with the new
//! configuration.
//!
//! `FUZZ_SECONDS` is how long (5), `FUZZ_SEED` is the first case; a case that
//! fails is repeated with its number as `FUZZ_SEED`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;

use keepalived_rs::config::model::{
    self, Authentication, Config, InitialState, Instance, Notify, Password, Script, SharedInstance,
    SyncGroup, TrackInterface, TrackScript, VirtualAddress,
};
use keepalived_rs::ids::{Errno, IfIndex, Priority, Vrid};
use keepalived_rs::time::{Instant, Interval};
use keepalived_rs::vrrp::Engine;
use keepalived_rs::vrrp::action::{Action, Operation, Transmit};
use keepalived_rs::vrrp::event::{Command, Event, Outcome};
use keepalived_rs::vrrp::plan::{Plan, plan};
use keepalived_rs::vrrp::snapshot::{InstanceSnapshot, Snapshot};
use keepalived_rs::vrrp::state_machine::State;
use keepalived_rs::wire::advert::Version;

#[path = "../engine/world.rs"]
#[expect(dead_code, reason = "shared with the tests of the engine")]
mod world;

mod dice;

use dice::Dice;

/// Everybody has become MASTER by then who may: thrice the longest interval, and
/// all that comes on top.
const SETTLED: Interval = Interval::from_secs(40);

fn main() -> ExitCode {
    dice::run("plan", case)
}

fn case(seed: u64) {
    let mut dice = Dice(seed);
    let mut config = dice.config();
    let mut node = Node::new(config.clone());
    node.start();
    for _ in 0..1 + dice.below(4) {
        node.pass(Interval::from_ms(dice.below(9_000)));
        if dice.chance(2) {
            node.hear(&mut dice);
        }
        let next = match dice.below(8) {
            0 => dice.config(),
            _ => dice.edited(&config),
        };
        let same = plan(&config, config.clone());
        assert!(same.is_empty() && same.describe().is_empty(), "{same}");
        let plan = plan(&config, next.clone());
        let is_said = plan.is_empty() == plan.describe().is_empty();
        assert!(is_said && plan.kept.iter().all(|it| !it.changes.is_empty()));
        node.reload(plan);
        config = next;
    }
    node.pass(SETTLED);
    let mut fresh = Node::new(config);
    fresh.start();
    fresh.pass(SETTLED);
    assert_alike(&node, &fresh);
}

/// What follows from a configuration is the same in both.
fn assert_alike(node: &Node, fresh: &Node) {
    let (one, two) = (node.snapshot(), fresh.snapshot());
    assert_eq!(one.config, two.config);
    assert_eq!(node.held, fresh.held, "{:?}", node.log());
    assert_eq!(node.listening, fresh.listening);
    assert_eq!(one.instances.len(), two.instances.len());
    for (one, two) in one.instances.iter().zip(&two.instances) {
        let name = &one.config.name;
        assert_eq!(one.config, two.config);
        assert_eq!(one.state, two.state, "{name} {:?}", node.log());
        let derived = |it: &InstanceSnapshot| {
            let peers: Vec<IpAddr> = it
                .peers
                .iter()
                .filter(|peer| peer.configured)
                .map(|peer| peer.address)
                .collect();
            let reasons = format!("{:?}", it.fault_reasons);
            (
                it.on,
                it.source,
                it.priority,
                it.total_priority,
                reasons,
                peers,
            )
        };
        assert_eq!(derived(one), derived(two), "{name}");
        if one.state == State::Master {
            let key = key_of(one);
            let said = (node.said.get(&key), fresh.said.get(&key));
            assert_eq!(said.0, said.1, "{name}");
        }
    }
    let groups = |it: &Snapshot| -> Vec<_> {
        let groups = it.groups.iter();
        groups.map(|it| (it.config.clone(), it.state)).collect()
    };
    assert_eq!(groups(&one), groups(&two));
    let scripts = |it: &Snapshot| -> Vec<_> {
        let scripts = it.scripts.iter();
        scripts.map(|it| (it.script.clone(), it.standing)).collect()
    };
    assert_eq!(scripts(&one), scripts(&two));
}

fn key_of(it: &InstanceSnapshot) -> Said {
    let on = it.on.unwrap_or(IfIndex::ANY);
    (on, it.config.vrid.get(), it.config.ipv6)
}

impl Dice {
    fn config(&mut self) -> Config {
        let count = self.below(5) as u8;
        let instances: Vec<Instance> = (0..count).map(|number| self.instance(number)).collect();
        let mut config = world::config(instances);
        if self.chance(3) {
            self.regroup(&mut config);
        }
        config
    }

    fn instance(&mut self, number: u8) -> Instance {
        let priority = self.pick(&[1, 100, 150, 254, 255]);
        let mut it = match self.below(3) {
            0 => world::instance(priority),
            1 => world::instance3(priority),
            _ => world::instance6(priority),
        };
        it.name = format!("VI_{number}");
        it.vrid = Vrid::new(51 + number).expect("not 0");
        it.virtual_addresses = vec![self.vip(it.ipv6, number)];
        it.advert_interval = self.interval(it.version);
        it.garp.interval = Interval::from_ms(self.pick(&[0, 1, 100]));
        if self.chance(5) {
            it.interface = "eth1".into();
        }
        it
    }

    fn interval(&mut self, version: Version) -> Interval {
        match version {
            Version::V2 => Interval::from_secs(self.pick(&[1, 2, 3])),
            Version::V3 => Interval::from_ms(self.pick(&[100, 500, 1_000, 3_000])),
        }
    }

    fn vip(&mut self, ipv6: bool, number: u8) -> VirtualAddress {
        let last = 100 + 10 * number + self.below(4) as u8;
        let mut vip = match ipv6 {
            false => world::vip(world::source(last)),
            true => world::vip(world::source6(last)),
        };
        vip.interface = self.pick(&["eth0", "eth0", "eth1"]).into();
        if self.chance(6) {
            vip.prefix_length = if ipv6 { 128 } else { 32 };
        }
        if self.chance(8) {
            vip.scope = 253;
        }
        vip.no_track = self.chance(8);
        vip
    }

    /// All instances in one group, or every second one, or none.
    fn regroup(&mut self, config: &mut Config) {
        config.sync_groups.clear();
        let step = self.below(3) as usize;
        let names = config.instances.iter().map(|it| it.name.clone());
        let instances: Vec<String> = match step {
            0 => return,
            step => names.step_by(step).collect(),
        };
        if instances.is_empty() {
            return;
        }
        config.sync_groups.push(Arc::new(SyncGroup {
            name: self.pick(&["G", "H"]).into(),
            instances,
            initial_state: InitialState::Backup,
            track_interfaces: Vec::new(),
            track_scripts: Vec::new(),
            track_files: Vec::new(),
            track_processes: Vec::new(),
            track_bfds: Vec::new(),
            tracking_weight: false,
            notify: Notify::default(),
            smtp_alert: false,
            notify_priority_changes: None,
        }));
    }

    /// The same with one to three differences.
    fn edited(&mut self, config: &Config) -> Config {
        let mut instances: Vec<Instance> =
            config.instances.iter().map(|it| (***it).clone()).collect();
        let mut groups = config.sync_groups.clone();
        for _ in 0..1 + self.below(3) {
            self.edit(&mut instances, &mut groups);
        }
        // As a configuration is read: no name, and nothing on the network, twice.
        let mut names = BTreeSet::new();
        instances.retain(|it| names.insert(it.name.clone()));
        let mut here = BTreeSet::new();
        instances.retain(|it| here.insert((it.vrid, it.ipv6, it.interface.clone())));
        let mut addresses = BTreeSet::new();
        for it in &mut instances {
            it.virtual_addresses
                .retain(|vip| addresses.insert((vip.interface.clone(), vip.address)));
        }
        for group in &mut groups {
            let group = Arc::make_mut(group);
            group
                .instances
                .retain(|name| instances.iter().any(|it| it.name == *name));
        }
        groups.retain(|group| !group.instances.is_empty());
        let mut config = world::config(instances);
        config.sync_groups = groups;
        if self.chance(6) {
            self.regroup(&mut config);
        }
        config
    }

    fn edit(&mut self, instances: &mut Vec<Instance>, groups: &mut [Arc<SyncGroup>]) {
        let count = instances.len() as u64;
        if count == 0 {
            return instances.push(self.instance(7));
        }
        let (place, other) = (self.below(count) as usize, self.below(count) as usize);
        let number = self.below(5) as u8;
        match self.below(16) {
            0 => self.rename(&mut instances[place], groups),
            1 => {
                let (one, two) = (instances[place].vrid, instances[other].vrid);
                (instances[place].vrid, instances[other].vrid) = (two, one);
            }
            2 => {
                let (one, two) = (instances[place].name.clone(), instances[other].name.clone());
                (instances[place].name, instances[other].name) = (two, one);
            }
            3 => {
                instances.remove(place);
            }
            4 => {
                let new = self.byte() % 5;
                let new = self.instance(new);
                instances.insert(place, new);
            }
            5 => {
                let vip = self.vip(instances[place].ipv6, number);
                instances[place].virtual_addresses.push(vip);
            }
            6 => {
                instances[place].virtual_addresses.pop();
            }
            7 => {
                if let Some(vip) = instances[place].virtual_addresses.pop() {
                    instances[other].virtual_addresses.push(vip);
                }
            }
            _ => self.change(&mut instances[place]),
        }
    }

    fn rename(&mut self, it: &mut Instance, groups: &mut [Arc<SyncGroup>]) {
        let new = format!("NEW_{}", self.below(3));
        for group in groups {
            for name in &mut Arc::make_mut(group).instances {
                if *name == it.name {
                    name.clone_from(&new);
                }
            }
        }
        it.name = new;
    }

    fn change(&mut self, it: &mut Instance) {
        match self.below(10) {
            0 | 1 => it.priority = Priority(self.pick(&[1, 100, 150, 254, 255])),
            2 => it.advert_interval = self.interval(it.version),
            3 if !it.ipv6 => {
                let password = self.pick(&[*b"1111\0\0\0\0", *b"2222\0\0\0\0"]);
                it.authentication = Some(Authentication::Password(Password(password)));
                it.version = Version::V2;
                it.advert_interval = self.interval(it.version);
            }
            3 | 4 => it.interface = self.pick(&["eth0", "eth1"]).into(),
            5 => {
                let peer: IpAddr = match it.ipv6 {
                    false => world::source(self.pick(&[2, 3])).into(),
                    true => world::source6(self.pick(&[2, 3])).into(),
                };
                it.unicast_peers = vec![peer.into()];
            }
            6 => {
                it.track_interfaces = vec![TrackInterface {
                    interface: self.pick(&["eth1", "eth9"]).into(),
                    weight: self.pick(&[-20, 0, 20]),
                    reverse: false,
                }];
            }
            7 => it.track_interfaces.clear(),
            8 => {
                it.track_scripts = vec![TrackScript {
                    script: self.script(it.vrid),
                    weight: self.pick(&[-20, 0, 20]),
                    reverse: false,
                }];
            }
            _ => {
                it.garp.master_refresh = Interval::from_ms(self.pick(&[0, 1_000, 7_000]));
                it.garp.master_delay = Interval::from_ms(self.pick(&[0, 5_000]));
                it.nopreempt = self.chance(2);
            }
        }
    }

    fn script(&mut self, vrid: Vrid) -> Arc<Script> {
        Arc::new(Script {
            name: format!("chk_{vrid}"),
            command: model::Command {
                argv: vec![self.pick(&["/bin/true", "/bin/false"]).into()],
                user: None,
            },
            interval: Interval::from_ms(self.pick(&[1_000, 3_000])),
            timeout: Interval::from_ms(900),
            rise: 1 + self.below(3) as u32,
            fall: 1 + self.below(3) as u32,
            init_fail: false,
        })
    }
}

/// Interface, VRID, IPv6.
type Said = (IfIndex, u8, bool);

/// An address on an interface, with all that the kernel knows of it.
type OnKernel = (IfIndex, String);

/// One daemon, with a kernel that is quick and scripts that do what they are called.
struct Node {
    engine: Engine,
    now: Instant,
    held: BTreeSet<OnKernel>,
    /// Addresses that must not go, whatever is asked for.
    must_stay: BTreeSet<OnKernel>,
    listening: BTreeSet<String>,
    /// What the last advert of each said, without what is counted or signed.
    said: BTreeMap<Said, Vec<u8>>,
    zeros: Vec<Said>,
    log: Vec<String>,
}

#[derive(Default)]
struct Outbox(Vec<(IfIndex, Vec<u8>)>);

impl Transmit for Outbox {
    fn send(&mut self, via: IfIndex, _: IpAddr, frame: &[u8]) -> Result<(), Errno> {
        self.0.push((via, frame.to_vec()));
        Ok(())
    }
}

fn on_kernel(on: IfIndex, vip: &VirtualAddress) -> OnKernel {
    let vip = VirtualAddress {
        no_track: false,
        ..vip.clone()
    };
    (on, format!("{vip:?}"))
}

impl Node {
    fn new(config: Config) -> Self {
        Self {
            engine: Engine::new(config),
            now: Instant::from_us(1_000_000),
            held: BTreeSet::new(),
            must_stay: BTreeSet::new(),
            listening: BTreeSet::new(),
            said: BTreeMap::new(),
            zeros: Vec::new(),
            log: Vec::new(),
        }
    }

    fn start(&mut self) {
        let mut other = world::other_interface(3, "eth1", true);
        other.addresses = world::interface(1).addresses;
        let states = [world::interface(1), other];
        self.event(Event::AllInterfaces(&states));
        self.event(Event::Command(Command::Start));
    }

    fn log(&self) -> &[String] {
        &self.log[self.log.len().saturating_sub(60)..]
    }

    fn snapshot(&self) -> Snapshot {
        self.engine.snapshot(self.now)
    }

    fn event(&mut self, event: Event<'_>) {
        let mut outbox = Outbox::default();
        self.engine.event(self.now, event, &mut outbox);
        self.drain(outbox);
    }

    fn pass(&mut self, span: Interval) {
        let end = self.now + span;
        while let Some(at) = self.engine.deadline().filter(|at| *at <= end) {
            assert!(at >= self.now, "a deadline in the past");
            self.now = at;
            let mut outbox = Outbox::default();
            self.engine.expire(at, &mut outbox);
            self.drain(outbox);
        }
        self.now = end;
    }

    /// A better master for one virtual router or all of them.
    fn hear(&mut self, dice: &mut Dice) {
        let vrids: Vec<u8> = match dice.below(6) {
            5 => (51..56).collect(),
            number => vec![51 + number as u8],
        };
        for vrid in vrids {
            let mut packet = world::advert(world::source(9), 255);
            packet[21] = vrid;
            world::fix_checksum(&mut packet);
            self.event(Event::Datagram(world::datagram(IfIndex(2), &packet)));
            let mut advert = world::Advert3::new(world::source(9), 255);
            advert.vrid = vrid;
            let packet = advert.bytes();
            self.event(Event::Datagram(world::datagram(IfIndex(2), &packet)));
        }
    }

    /// Takes the way, and looks at everything on it.
    fn reload(&mut self, plan: Plan) {
        let before = self.snapshot();
        let names = |list: &[SharedInstance]| -> BTreeSet<String> {
            list.iter().map(|it| it.name.clone()).collect()
        };
        let kept: BTreeMap<String, String> = plan
            .kept
            .iter()
            .map(|it| (it.after.name.clone(), it.before.name.clone()))
            .collect();
        let started = names(&plan.started);
        let same_world = before.config.sync_groups == plan.config.sync_groups
            && before.config.scripts == plan.config.scripts;
        let lines = plan.describe();
        self.log.extend(lines);
        self.must_stay = self.held_after(&plan);
        self.zeros.clear();
        let mut outbox = Outbox::default();
        self.engine.apply(self.now, plan, &mut outbox);
        self.drain(outbox);
        self.must_stay.clear();
        let after = self.snapshot();
        let state_before = |name: &str| {
            let mut all = before.instances.iter();
            all.find(|it| it.config.name == name).map(|it| it.state)
        };
        for it in &after.instances {
            let name = &it.config.name;
            if started.contains(name) {
                continue;
            }
            let old_name = kept.get(name).unwrap_or(name);
            let stays = [state_before(old_name), Some(it.state)] == [Some(State::Master); 2];
            let others = before.instances.iter().chain(&after.instances);
            let others = others.filter(|other| key_of(other) == key_of(it));
            if stays && others.count() == 2 {
                let resigned = self.zeros.contains(&key_of(it));
                assert!(!resigned, "{name} goes on: {:?}", self.log());
            }
            if !kept.contains_key(name) && same_world && before.config.sync_groups.is_empty() {
                let was = before.instances.iter().find(|it| it.config.name == *name);
                assert_eq!(format!("{was:?}"), format!("{:?}", Some(it)));
            }
        }
    }

    /// The addresses that are held and that will be held: of each MASTER that goes on
    /// as one. Which will be is known afterwards, so another engine goes ahead.
    fn held_after(&self, plan: &Plan) -> BTreeSet<OnKernel> {
        let mut wanted = BTreeSet::new();
        let masters: BTreeSet<&str> = self
            .engine
            .instances()
            .filter(|it| it.state == State::Master)
            .map(|it| &*it.config.name)
            .collect();
        let kept: BTreeMap<&str, &str> = plan
            .kept
            .iter()
            .map(|it| (&*it.after.name, &*it.before.name))
            .collect();
        for it in &plan.config.instances {
            let goes_on = !plan.started.contains(it);
            let before = kept.get(&*it.name).copied().unwrap_or(&*it.name);
            // Whatever may lead to FAULT or to a wait for others is left out.
            let certain = it.track_interfaces.is_empty()
                && it.track_scripts.is_empty()
                && plan.config.sync_groups.is_empty();
            if !goes_on || !certain || !masters.contains(before) {
                continue;
            }
            for vip in it.all_addresses() {
                let on = if &*vip.interface == "eth0" { 2 } else { 3 };
                wanted.insert(on_kernel(IfIndex(on), vip));
            }
        }
        self.held.intersection(&wanted).cloned().collect()
    }

    fn drain(&mut self, outbox: Outbox) {
        for (via, frame) in outbox.0 {
            let v6 = frame[0] >> 4 == 6;
            let mut message = frame[if v6 { 40 } else { 20 }..].to_vec();
            let key = (via, message[1], v6);
            if message[2] == 0 {
                self.zeros.push(key);
                continue;
            }
            message[6..8].fill(0);
            self.said.insert(key, message);
        }
        while let Some(action) = self.engine.poll() {
            self.log.push(format!("{:?} {action:?}", self.now));
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Kernel { token, operations } => {
                for operation in operations {
                    self.kernel(&operation);
                }
                let result = Ok(());
                self.event(Event::KernelDone { token, result });
            }
            Action::Run { id, command } => {
                let outcome = Outcome::Exited((command.argv[0] == "/bin/false").into());
                self.event(Event::Script { id, outcome });
            }
            Action::Listen {
                on,
                family,
                carrier,
                group,
            } => {
                let socket = format!("{on:?} {family:?} {carrier:?}");
                if let Some(group) = group {
                    self.listening.insert(format!("{socket} {group}"));
                }
                self.listening.insert(socket);
            }
            Action::Leave {
                on,
                family,
                carrier,
                group,
            } => {
                let joined = format!("{on:?} {family:?} {carrier:?} {group}");
                self.listening.remove(&joined);
            }
            Action::Unlisten {
                on,
                family,
                carrier,
            } => {
                let socket = format!("{on:?} {family:?} {carrier:?}");
                self.listening.retain(|it| !it.starts_with(&socket));
            }
            _ => {}
        }
    }

    /// The kernel has an address of IPv4 once for each prefix length, and one of IPv6
    /// once.
    fn kernel(&mut self, operation: &Operation) {
        match operation {
            Operation::AddAddress { on, address } => {
                let slot = slot(*on, address);
                if !self
                    .held
                    .iter()
                    .any(|it| it.1.starts_with(&slot) && it.0 == *on)
                {
                    self.held.insert(on_kernel(*on, address));
                }
            }
            Operation::RemoveAddress { on, address } => {
                let slot = slot(*on, address);
                self.held
                    .retain(|it| it.0 != *on || !it.1.starts_with(&slot));
            }
            _ => {}
        }
        let missing: Vec<_> = self.must_stay.difference(&self.held).collect();
        assert!(missing.is_empty(), "{missing:?} in {:?}", self.log());
    }
}

fn slot(_: IfIndex, vip: &VirtualAddress) -> String {
    let text = format!("{vip:?}");
    let end = if vip.address.is_ipv4() {
        "interface"
    } else {
        "prefix_length"
    };
    text.split(end).next().unwrap_or_default().to_owned()
}
