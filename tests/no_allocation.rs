//! A quiet network costs no memory: neither sending an advert nor receiving
//! one allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::IpAddr;

use keepalived_rs::config::model::{
    AuthHmac, Authentication, HmacKey, HmacMode, Instance, Password,
};
use keepalived_rs::ids::{Errno, IfIndex};
use keepalived_rs::time::Instant;
use keepalived_rs::vrrp::Engine;
use keepalived_rs::vrrp::action::{Action, Transmit};
use keepalived_rs::vrrp::event::{Command, Datagram, Envelope, Event};
use keepalived_rs::vrrp::state_machine::State;

#[path = "engine/world.rs"]
#[expect(dead_code, reason = "shared with the tests of the engine")]
mod world;

use world::Advert3;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Default)]
struct Count(u64);

impl Transmit for Count {
    fn send(&mut self, _: IfIndex, _: IpAddr, _: &[u8]) -> Result<(), Errno> {
        self.0 += 1;
        Ok(())
    }
}

/// Keeps what was sent.
#[derive(Default)]
struct Keep(Vec<u8>);

impl Transmit for Keep {
    fn send(&mut self, _: IfIndex, _: IpAddr, frame: &[u8]) -> Result<(), Errno> {
        self.0.extend_from_slice(frame);
        Ok(())
    }
}

/// What is tried: the instance, and the packet of a better master. Each of them
/// remembers its peers.
fn kinds(priority: u8) -> [(Instance, Vec<u8>); 3] {
    let mut kinds = plain_kinds(priority);
    for (instance, _) in &mut kinds {
        instance.fast_handover = true;
    }
    kinds
}

fn plain_kinds(priority: u8) -> [(Instance, Vec<u8>); 3] {
    [
        (
            world::instance(priority),
            world::advert(world::source(2), 200),
        ),
        (
            world::instance3(priority),
            Advert3::new(world::source(2), 200).bytes(),
        ),
        (
            world::instance6(priority),
            Advert3::new(world::source6(2), 200).bytes(),
        ),
    ]
}

/// An engine in `state`, with everything drained.
fn engine(instance: Instance, master: &[u8], state: State) -> (Engine, Instant) {
    let mut engine = Engine::new(world::config([instance]));
    let (mut tx, mut now) = (Count::default(), Instant::ZERO);
    engine.event(now, Event::AllInterfaces(&[world::interface(1)]), &mut tx);
    engine.event(now, Event::Command(Command::Start), &mut tx);
    loop {
        while let Some(action) = engine.poll() {
            if let Action::Kernel { token, .. } = action {
                let result = Ok(());
                engine.event(now, Event::KernelDone { token, result }, &mut tx);
            }
        }
        if engine.instances().all(|it| it.state == state) && now > Instant::from_us(60_000_000) {
            return (engine, now);
        }
        if state == State::Backup {
            now = now + world::ms(1_000);
            let datagram = world::datagram(IfIndex(2), master);
            engine.event(now, Event::Datagram(datagram), &mut tx);
        } else {
            now = engine.deadline().expect("a deadline");
        }
        engine.expire(now, &mut tx);
    }
}

#[test]
fn a_master_sends_without_allocating() {
    for (instance, packet) in kinds(150) {
        let (mut engine, _) = engine(instance, &packet, State::Master);
        let mut tx = Count::default();
        let before = ALLOCATIONS.with(Cell::get);
        for _ in 0..1_000 {
            let now = engine.deadline().expect("a deadline");
            engine.expire(now, &mut tx);
        }
        assert_eq!(ALLOCATIONS.with(Cell::get), before);
        assert_eq!(tx.0, 1_000);
    }
}

#[test]
fn a_backup_receives_without_allocating() {
    for (instance, packet) in kinds(100) {
        let (mut engine, mut now) = engine(instance, &packet, State::Backup);
        let mut tx = Count::default();
        let before = ALLOCATIONS.with(Cell::get);
        for _ in 0..1_000 {
            now = now + world::ms(1_000);
            let datagram = world::datagram(IfIndex(2), &packet);
            engine.event(now, Event::Datagram(datagram), &mut tx);
            engine.expire(now, &mut tx);
        }
        assert_eq!(ALLOCATIONS.with(Cell::get), before);
        assert!(engine.instances().all(|it| it.state == State::Backup));
        let accepted = engine.instances().map(|it| it.statistics.advert_rcvd);
        assert!(accepted.min() >= Some(1_000));
    }
}

/// Who hears somebody makes room for all that it will remember; who was told of
/// something does not say it again. Nothing of that is done twice.
#[test]
fn a_flood_of_made_up_senders_costs_no_memory() {
    for state in [State::Master, State::Backup] {
        let password = Authentication::Password(Password(*b"secret\0\0"));
        let mut config = world::instance(100);
        // Backups must have somebody to listen to.
        if state == State::Master {
            config.authentication = Some(password);
        }
        let master = world::advert(world::source(2), 200);
        let (mut engine, now) = engine(config, &master, state);
        let mut tx = Count::default();
        let mut refused = master.clone();
        refused[24] = 7;
        world::fix_checksum(&mut refused);
        let mut flood = |numbers: std::ops::Range<u16>| {
            for number in numbers {
                refused[14..16].copy_from_slice(&number.to_be_bytes());
                world::fix_checksum(&mut refused);
                let datagram = world::datagram(IfIndex(2), &refused);
                engine.event(now, Event::Datagram(datagram), &mut tx);
            }
            let view = engine.instances().next().expect("an instance");
            (view.state, view.statistics.invalid_authtype)
        };
        flood(0..20);
        let before = ALLOCATIONS.with(Cell::get);
        let (after, counted) = flood(20..10_020);
        assert_eq!(ALLOCATIONS.with(Cell::get), before);
        assert_eq!((after, counted), (state, 10_020));
    }
}

/// An instance for each way to sign.
fn signing(priority: u8) -> [Instance; 2] {
    let header = Authentication::Header(Password(*b"secret\0\0"));
    let extension = AuthHmac {
        keys: vec![(1, HmacKey::Bytes(vec![7; 32].into()))],
        active_key: 1,
        time_window: world::ms(5_000),
        monotonic: false,
        mode: HmacMode::Enforce,
    };
    let plain = || world::instance(priority);
    [
        Instance {
            authentication: Some(header),
            ..plain()
        },
        Instance {
            auth_hmac: Some(Box::new(extension)),
            ..plain()
        },
    ]
}

#[test]
fn a_master_signs_and_a_backup_verifies_without_allocating() {
    for (master, backup) in signing(150).into_iter().zip(signing(100)) {
        let (mut engine, _) = engine(master, &[], State::Master);
        let before = ALLOCATIONS.with(Cell::get);
        for _ in 0..1_000 {
            let now = engine.deadline().expect("a deadline");
            engine.expire(now, &mut Count::default());
        }
        assert_eq!(ALLOCATIONS.with(Cell::get), before);

        let (mut tx, mut now) = (Keep::default(), Instant::ZERO);
        let mut listener = Engine::new(world::config([backup]));
        listener.event(now, Event::AllInterfaces(&[world::interface(2)]), &mut tx);
        listener.event(now, Event::Command(Command::Start), &mut tx);
        let mut allocated = 0;
        for round in 0..1_000 {
            now = engine.deadline().expect("a deadline");
            tx.0.clear();
            engine.expire(now, &mut tx);
            // The clocks of both begin with the engines'.
            while listener.poll().is_some() {}
            let datagram = Datagram {
                on: IfIndex(2),
                envelope: Envelope::Ipv4,
                bytes: &tx.0,
            };
            let before = ALLOCATIONS.with(Cell::get);
            listener.event(now, Event::Datagram(datagram), &mut Count::default());
            // The first one becomes the known master.
            if round > 0 {
                allocated += ALLOCATIONS.with(Cell::get) - before;
            }
        }
        assert_eq!(allocated, 0);
        let view = listener.instances().next().expect("an instance");
        assert_eq!(view.statistics.advert_rcvd, 1_000);
    }
}
