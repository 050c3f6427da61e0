//! A quiet network costs no memory: neither sending an advert nor receiving
//! one allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::IpAddr;

use keepalived_rs::config::model::Instance;
use keepalived_rs::ids::{Errno, IfIndex};
use keepalived_rs::time::Instant;
use keepalived_rs::vrrp::Engine;
use keepalived_rs::vrrp::action::{Action, Transmit};
use keepalived_rs::vrrp::event::{Command, Event};
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

/// What is tried: the instance, and the packet of a better master.
fn kinds(priority: u8) -> [(Instance, Vec<u8>); 3] {
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
