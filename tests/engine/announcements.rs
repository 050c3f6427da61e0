//! Gratuitous ARP and unsolicited neighbour adverts: when, how many, for what.
//! The number in front of a name is that of the conformance checklist.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keepalived_rs::config::model::Instance;
use keepalived_rs::ids::{Errno, IfIndex};
use keepalived_rs::time::{Instant, Interval};
use keepalived_rs::vrrp::Engine;
use keepalived_rs::vrrp::action::{Action, Token, Transmit};
use keepalived_rs::vrrp::event::{Command, Event};
use keepalived_rs::vrrp::state_machine::State;

use crate::world::{
    self, Advert3, Node, VIP, VIP6, Wire, instance, instance3, instance6, ms, source6, vip,
};

/// When a node of priority 100 and intervals of a second becomes MASTER.
const MASTER_AT: u64 = 3_609_375;
const SECOND: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 101);
const GLOBAL: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x100);

fn alone(config: Instance) -> Wire {
    let mut wire = Wire::new([Node::new(1, config)]);
    wire.start();
    wire
}

/// Time since it became MASTER and address of each announcement.
fn announced(wire: &Wire) -> Vec<(u64, IpAddr)> {
    let all = wire[0].announcements.iter();
    all.map(|it| (it.at_us - MASTER_AT, it.address)).collect()
}

#[test]
fn a1_neighbour_adverts_follow_the_installation_in_two_bursts() {
    let mut wire = alone(instance6(100));
    wire.run_until(MASTER_AT + 20_000_000);
    let mut expected = vec![(0, VIP6.into()); 5];
    expected.extend([(5_000_000, VIP6.into()); 5]);
    assert_eq!(announced(&wire), expected);
    let line = "(VI_1) Sending/queueing Unsolicited Neighbour Adverts on eth0 for fe80::100";
    assert_eq!(wire[0].times_logged(line), 2);
    assert_eq!(wire[0].times_logged("gratuitous ARP"), 0);
}

#[test]
fn a1_a_burst_goes_round_vips_then_excluded_addresses_of_either_family() {
    let mut config = instance(100);
    config.excluded_addresses = vec![vip(SECOND), vip(GLOBAL)];
    config.garp.master_repeat = 2;
    let mut wire = alone(config);
    wire.run_until(MASTER_AT);
    let round: [(u64, IpAddr); 3] = [(0, VIP.into()), (0, SECOND.into()), (0, GLOBAL.into())];
    assert_eq!(announced(&wire), [round, round].concat());
    let arp = "(VI_1) Sending/queueing gratuitous ARPs on eth0 for 10.0.0.101";
    let neighbour = "(VI_1) Sending/queueing Unsolicited Neighbour Adverts on eth0 for 2001:";
    assert_eq!(
        (wire[0].times_logged(arp), wire[0].times_logged(neighbour)),
        (1, 1)
    );
}

#[test]
fn a1_each_family_has_a_spacing_of_its_own() {
    let mut config = instance3(100);
    config.excluded_addresses = vec![vip(GLOBAL)];
    config.garp.master_repeat = 3;
    config.garp.master_delay = Interval::ZERO;
    config.garp.interval = ms(100);
    config.garp.gna_interval = ms(10);
    let mut wire = alone(config.clone());
    wire.run_until(MASTER_AT + 1_000_000);
    let of = |wire: &Wire, address: IpAddr| -> Vec<u64> {
        let all = announced(wire).into_iter();
        all.filter(|(_, of)| *of == address)
            .map(|(at, _)| at)
            .collect()
    };
    assert_eq!(of(&wire, VIP.into()), [0, 100_000, 200_000]);
    assert_eq!(of(&wire, GLOBAL.into()), [0, 10_000, 20_000]);
    // One of them alone.
    config.garp.interval = Interval::ZERO;
    let mut wire = alone(config);
    wire.run_until(MASTER_AT + 1_000_000);
    assert_eq!(of(&wire, VIP.into()), [0, 0, 0]);
    assert_eq!(of(&wire, GLOBAL.into()), [0, 10_000, 20_000]);
}

/// Two instances on one interface share its spacing.
#[test]
fn a1_the_spacing_is_that_of_the_interface() {
    let spaced = |mut config: Instance| {
        config.garp.master_repeat = 2;
        config.garp.master_delay = Interval::ZERO;
        config.garp.gna_interval = ms(50);
        config
    };
    let mut second = spaced(instance6(100));
    second.name = "VI_2".into();
    second.vrid = keepalived_rs::ids::Vrid::new(52).expect("not 0");
    second.virtual_addresses = vec![vip(GLOBAL)];
    let config = crate::world::config([spaced(instance6(100)), second]);
    let mut wire = Wire::new([Node::with(1, config)]);
    wire.start();
    wire.run_until(MASTER_AT + 1_000_000);
    let times: Vec<u64> = announced(&wire).iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [0, 50_000, 100_000, 150_000]);
    for vip in [IpAddr::from(VIP6), GLOBAL.into()] {
        let of_it = announced(&wire).into_iter().filter(|(_, of)| *of == vip);
        assert_eq!(of_it.count(), 2);
    }
}

#[test]
fn a1_what_waits_is_dropped_when_mastership_ends() {
    let mut config = instance6(100);
    config.garp.gna_interval = ms(100);
    let mut wire = alone(config);
    wire.run_until(MASTER_AT + 150_000);
    assert_eq!(wire[0].announced.len(), 2);
    wire.advert3(0, &Advert3::new(source6(2), 200));
    assert_eq!(wire[0].state(), State::Backup);
    wire.run_until(MASTER_AT + 3_000_000);
    assert_eq!(wire[0].announced.len(), 2);
}

#[test]
fn a1_refresh_goes_on_as_long_as_it_is_master() {
    let mut config = instance6(100);
    config.garp.master_repeat = 1;
    config.garp.master_delay = ms(1_000);
    config.garp.master_refresh = ms(10_000);
    config.garp.master_refresh_repeat = 2;
    let mut wire = alone(config);
    wire.run_until(MASTER_AT + 25_000_000);
    let times: Vec<u64> = announced(&wire)
        .iter()
        .map(|(at, _)| *at / 1_000_000)
        .collect();
    assert_eq!(times, [0, 1, 11, 11, 21, 21]);
    wire.advert3(0, &Advert3::new(source6(2), 255));
    wire.change_interface(0, |interface| interface.up = false);
    wire.run_until(MASTER_AT + 60_000_000);
    assert_eq!(wire[0].announced.len(), 6);
}

#[test]
fn a1_an_answer_to_a_lower_one_repeats_as_often_as_it_is_told() {
    for (repeat, delay_ms) in [(0, 2_000), (2, 0), (2, 2_000)] {
        let mut config = instance6(100);
        config.garp.master_delay = Interval::ZERO;
        config.garp.lower_prio_repeat = repeat;
        config.garp.lower_prio_delay = ms(delay_ms);
        let mut wire = alone(config);
        wire.run_until(MASTER_AT + 500_000);
        let before = wire[0].announced.len();
        wire.advert3(0, &Advert3::new(source6(2), 99));
        wire.run_until(MASTER_AT + 10_000_000);
        let times: Vec<u64> = announced(&wire)[before..]
            .iter()
            .map(|(at, _)| *at)
            .collect();
        let expected: &[u64] = match (repeat, delay_ms) {
            (0, _) => &[],
            (_, 0) => &[500_000, 500_000],
            _ => &[500_000, 500_000, 2_500_000, 2_500_000],
        };
        assert_eq!(times, expected);
    }
}

#[test]
fn a1_nothing_is_announced_where_there_is_no_arp() {
    let mut wire = Wire::new([Node::new(1, instance6(100))]);
    wire[0].interface.no_arp = true;
    wire.start();
    wire.run_until(MASTER_AT + 10_000_000);
    assert_eq!(wire[0].state(), State::Master);
    assert!(wire[0].announced.is_empty());
}

#[test]
fn a2_a_backup_announces_nothing() {
    let mut wire = Wire::new([Node::new(1, instance6(150)), Node::new(2, instance6(100))]);
    wire.start();
    wire.run_until(60_000_000);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
    assert!(wire[1].announced.is_empty());
}

/// What is announced, and whether scripts are told of MASTER, when the kernel has done what.
fn done(
    engine: &mut Engine,
    now: Instant,
    token: Token,
    result: Result<(), Errno>,
) -> (Vec<IpAddr>, bool, Vec<String>) {
    engine.event(now, Event::KernelDone { token, result }, &mut Nowhere);
    let (mut announced, mut told, mut log) = (Vec::new(), false, Vec::new());
    while let Some(action) = engine.poll() {
        match action {
            Action::Announce { address, .. } => announced.push(address),
            Action::Notify(_) => told = true,
            Action::Log(line) => log.push(line.to_string()),
            _ => {}
        }
    }
    (announced, told, log)
}

struct Nowhere;

impl Transmit for Nowhere {
    fn send(&mut self, _: IfIndex, _: IpAddr, _: &[u8]) -> Result<(), Errno> {
        Ok(())
    }
}

/// A MASTER of so many VIPs, and the requests for them: names and numbers of operations.
fn master_of(vips: &[IpAddr]) -> (Engine, Instant, Vec<(Token, usize)>) {
    let mut config = instance(100);
    config.garp.master_repeat = 3;
    config.virtual_addresses = vips.iter().map(|address| vip(*address)).collect();
    let mut engine = Engine::new(world::config([config]));
    let states = [world::interface(1)];
    let now = Instant::from_us(1);
    engine.event(now, Event::AllInterfaces(&states), &mut Nowhere);
    engine.event(now, Event::Command(Command::Start), &mut Nowhere);
    while engine.poll().is_some() {}
    let now = now + ms(4_000);
    engine.expire(now, &mut Nowhere);
    let actions = std::iter::from_fn(|| engine.poll());
    let asked = actions.filter_map(|action| match action {
        Action::Kernel { token, operations } => Some((token, operations.len())),
        Action::Announce { address, .. } => panic!("{address} is not on yet"),
        _ => None,
    });
    let asked = asked.collect();
    (engine, now, asked)
}

fn vips(count: u8) -> Vec<IpAddr> {
    (0..count).map(|last| [10, 9, 0, last].into()).collect()
}

#[test]
fn many_vips_are_announced_while_the_rest_is_put_on() {
    let vips = vips(130);
    let (mut engine, now, asked) = master_of(&vips);
    let counts: Vec<usize> = asked.iter().map(|(_, count)| *count).collect();
    assert_eq!(counts, [64, 64, 2]);
    let first = done(&mut engine, now, asked[0].0, Ok(()));
    assert_eq!((&first.0[..], first.1), (&vips[..64], false));
    let second = done(&mut engine, now, asked[1].0, Ok(()));
    assert_eq!((&second.0[..], second.1), (&vips[64..128], false));
    let last = done(&mut engine, now, asked[2].0, Ok(()));
    let rest = [&vips[128..], &vips, &vips].concat();
    assert_eq!((&last.0, last.1), (&rest, true));
    let lines = [first.2, second.2, last.2].concat();
    let lines = lines.iter().filter(|it| it.contains("Sending/queueing"));
    assert_eq!(lines.count(), 130);
}

#[test]
fn what_was_refused_of_many_vips_is_told_once_when_all_were_tried() {
    let (mut engine, now, asked) = master_of(&vips(130));
    let refusal = "did not set every VIP";
    let refused = Err(Errno(22));
    let first = done(&mut engine, now, asked[0].0, refused);
    let second = done(&mut engine, now, asked[1].0, refused);
    let last = done(&mut engine, now, asked[2].0, Ok(()));
    let told =
        |(_, _, log): (_, _, Vec<String>)| log.iter().filter(|it| it.contains(refusal)).count();
    assert_eq!([told(first), told(second), told(last)], [0, 0, 1]);
}

#[test]
fn who_is_master_no_more_announces_no_vip_that_comes_late() {
    let (mut engine, now, asked) = master_of(&vips(130));
    done(&mut engine, now, asked[0].0, Ok(()));
    let better = world::advert(world::source(2), 200);
    let event = Event::Datagram(world::datagram(world::interface(1).index, &better));
    engine.event(now, event, &mut Nowhere);
    for (token, _) in &asked[1..] {
        assert!(done(&mut engine, now, *token, Ok(())).0.is_empty());
    }
}
