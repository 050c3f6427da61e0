//! Many instances at once: what is done for each of them does not grow with their
//! number.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use keepalived_rs::config::model::{Config, Instance};
use keepalived_rs::ids::{Errno, IfIndex, Vrid};
use keepalived_rs::time::Instant;
use keepalived_rs::vrrp::Engine;
use keepalived_rs::vrrp::action::{Action, Operation, Transmit};
use keepalived_rs::vrrp::event::{Command, Event, InterfaceAddress, InterfaceState};
use keepalived_rs::vrrp::state_machine::State;
use nix::time::{ClockId, clock_gettime};

use crate::world::{config, instance, ms, other_interface, source, vip};

const ON_A_LINK: usize = 100;

struct Nowhere;

impl Transmit for Nowhere {
    fn send(&mut self, _: IfIndex, _: IpAddr, _: &[u8]) -> Result<(), Errno> {
        Ok(())
    }
}

fn instances(count: usize) -> Config {
    config((0..count).map(|number| {
        let [_, _, high, low] = (number as u32).to_be_bytes();
        let interface: Arc<str> = format!("e{}", number / ON_A_LINK).into();
        let mut address = vip(Ipv4Addr::new(10, 200, high, low));
        address.interface.clone_from(&interface);
        Instance {
            name: format!("VI_{number}"),
            interface,
            vrid: Vrid::new((number % ON_A_LINK + 1) as u8).expect("not 0"),
            virtual_addresses: vec![address],
            ..instance(100)
        }
    }))
}

fn interfaces(count: usize) -> Vec<InterfaceState> {
    let links = 0..count.div_ceil(ON_A_LINK);
    let mut states: Vec<_> = links
        .map(|link| other_interface(link as u32 + 2, &format!("e{link}"), true))
        .collect();
    for state in &mut states {
        state.addresses.push(InterfaceAddress {
            address: source(1).into(),
            prefix_length: 24,
        });
    }
    states
}

/// The kernel does everything, and tells of each address that comes.
fn settle(engine: &mut Engine, now: Instant, states: &mut [InterfaceState]) {
    while let Some(action) = engine.poll() {
        let Action::Kernel { token, operations } = action else {
            continue;
        };
        for operation in operations {
            if let Operation::AddAddress { on, address } = operation {
                let state = states.iter_mut().find(|state| state.index == on);
                let state = state.expect("an interface that is there");
                state.addresses.push(InterfaceAddress {
                    address: address.address,
                    prefix_length: address.prefix_length,
                });
                engine.event(now, Event::Interface(state), &mut Nowhere);
            }
        }
        let result = Ok(());
        engine.event(now, Event::KernelDone { token, result }, &mut Nowhere);
    }
}

/// Of this thread: other tests run beside it.
fn processor_time_us() -> i64 {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock");
    now.tv_sec() * 1_000_000 + now.tv_nsec() / 1_000
}

/// What it takes until all that became MASTER at once have their addresses.
fn takeover_us(count: usize) -> i64 {
    let (mut engine, mut states) = (Engine::new(instances(count)), interfaces(count));
    let now = Instant::from_us(1);
    engine.event(now, Event::AllInterfaces(&states), &mut Nowhere);
    engine.event(now, Event::Command(Command::Start), &mut Nowhere);
    settle(&mut engine, now, &mut states);
    let now = now + ms(4_000);
    let begin = processor_time_us();
    engine.expire(now, &mut Nowhere);
    settle(&mut engine, now, &mut states);
    let took = processor_time_us() - begin;
    assert!(engine.instances().all(|it| it.state == State::Master));
    took
}

#[test]
fn a_takeover_of_many_takes_each_of_them_the_same_time() {
    takeover_us(ON_A_LINK);
    let (few, many) = (takeover_us(300), takeover_us(1_200));
    assert!(many < 9 * few, "{few} us, then {many} us");
}
