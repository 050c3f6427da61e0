//! Two-legged routers: two instances on two wires, in one group (specification
//! F.7). What must hold after every event: no node has one VIP of the group only.

use std::net::Ipv4Addr;
use std::sync::Arc;

use keepalived_rs::config::model::{
    Command, Config, InitialState, Instance, Notify, Script, SyncGroup, TrackInterface,
    TrackScript, VipLoss,
};
use keepalived_rs::ids::{IfIndex, Priority, Vrid};
use keepalived_rs::time::Interval;
use keepalived_rs::vrrp::action::NotifyState;
use keepalived_rs::vrrp::event::{InterfaceAddress, InterfaceState, Outcome};
use keepalived_rs::vrrp::plan::plan;
use keepalived_rs::vrrp::state_machine::State;

use crate::world::{self, Node, VIP, Wire, config, instance, interface, ms, vip};

const INSIDE: IfIndex = IfIndex(3);
pub const INSIDE_VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 100);
const SECOND: u64 = 1_000_000;
/// RFC 3768 section 6.1: 3 adverts and (256 - 100) / 256 s.
const DOWN_100: u64 = 3 * SECOND + SKEW_100;
const SKEW_100: u64 = 609_375;

/// VI_2 on eth1, VRID 52.
fn inside(priority: u8) -> Instance {
    let mut address = vip(INSIDE_VIP);
    address.interface = "eth1".into();
    Instance {
        priority: Priority(priority),
        multicast_group: Ipv4Addr::new(224, 0, 0, 18).into(),
        virtual_addresses: vec![address],
        ..Instance::new("VI_2", "eth1", Vrid::new(52).expect("not 0"))
    }
}

fn inside_interface(node: u8) -> InterfaceState {
    InterfaceState {
        index: INSIDE,
        name: "eth1".into(),
        addresses: vec![InterfaceAddress {
            address: Ipv4Addr::new(10, 0, 1, node).into(),
            prefix_length: 24,
        }],
        ..interface(node)
    }
}

fn group(members: &[&str]) -> SyncGroup {
    SyncGroup {
        name: "G".into(),
        instances: members.iter().map(ToString::to_string).collect(),
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
    }
}

fn grouped(instances: impl IntoIterator<Item = Instance>) -> Config {
    with_group(instances, group(&["VI_1", "VI_2"]))
}

fn with_group(instances: impl IntoIterator<Item = Instance>, group: SyncGroup) -> Config {
    let mut config = config(instances);
    let tracked = group.track_scripts.iter();
    let scripts = tracked.map(|line| Arc::clone(&line.script));
    config.scripts.extend(scripts);
    config.sync_groups = vec![Arc::new(group)];
    config
}

fn router(number: u8, config: Config) -> Node {
    let mut node = Node::with(number, config);
    node.others = vec![inside_interface(number)];
    node
}

/// One node with 150 on both legs, whose instances answer losses like this.
pub fn one_node_of_two_legs(vip_loss: VipLoss) -> Wire {
    let legs = [instance(150), inside(150)].map(|leg| Instance { vip_loss, ..leg });
    let mut wire = Wire::new([router(1, grouped(legs))]);
    wire.start();
    wire
}

/// The first with 150 on both legs, the second with 100.
fn pair() -> Wire {
    let mut wire = Wire::new([
        router(1, grouped([instance(150), inside(150)])),
        router(2, grouped([instance(100), inside(100)])),
    ]);
    wire.start();
    wire
}

/// The states of both members of a node, which are one.
#[track_caller]
fn state_of(wire: &Wire, node: usize) -> State {
    let states: Vec<State> = wire[node].engine.instances().map(|it| it.state).collect();
    assert!(states.iter().all(|state| *state == states[0]), "{states:?}");
    let vips = wire[node].vips.len();
    let expected = if states[0] == State::Master { 2 } else { 0 };
    assert_eq!(vips, expected, "node {node} is {states:?}");
    states[0]
}

/// Lets time pass in small steps; in each of them nothing is half.
#[track_caller]
fn run_until(wire: &mut Wire, at_us: u64) {
    while wire.now.as_us() < at_us {
        let next = (wire.now.as_us() + 20_000).min(at_us);
        wire.run_until(next);
        for node in 0..2 {
            state_of(wire, node);
        }
    }
}

#[track_caller]
fn expect(wire: &Wire, states: [State; 2]) {
    assert_eq!([state_of(wire, 0), state_of(wire, 1)], states);
}

#[test]
fn both_members_become_master_when_the_slower_one_may() {
    let mut wire = Wire::new([router(1, grouped([instance(150), inside(100)]))]);
    wire.start();
    wire.run_until(DOWN_100 - 1);
    assert_eq!(state_of(&wire, 0), State::Backup);
    let wanted: Vec<State> = wire[0]
        .engine
        .snapshot(wire.now)
        .instances
        .iter()
        .map(|it| it.wanted)
        .collect();
    assert_eq!(wanted, [State::Master, State::Backup]);
    wire.run_until(DOWN_100);
    assert_eq!(state_of(&wire, 0), State::Master);
    assert_eq!(
        wire[0].calls,
        [
            "INSTANCE VI_1 BACKUP 150",
            "INSTANCE VI_2 BACKUP 100",
            "GROUP G BACKUP 0",
            "INSTANCE VI_2 MASTER 100",
            "INSTANCE VI_1 MASTER 150",
            "GROUP G MASTER 0",
        ]
    );
    assert!(wire[0].logged("VRRP_Group(G) Syncing instances to MASTER state"));
    let groups = wire[0].engine.snapshot(wire.now).groups;
    assert_eq!(groups[0].state, State::Master);
}

#[test]
fn a_member_that_waits_starts_its_timer_again() {
    let mut wire = pair();
    wire.cut_wires = vec![IfIndex(2)];
    run_until(&mut wire, 30 * SECOND);
    // The second node hears nothing outside, and the first one inside.
    expect(&wire, [State::Master, State::Backup]);
    assert!(wire[1].engine.deadline().expect("armed") > wire.now);
    assert!(wire[1].sent.is_empty());
    // Once the first is gone inside, too, nothing more is waited for.
    let heard = wire[0].sent.iter().rfind(|sent| sent.via == INSIDE);
    let heard = heard.expect("sent").at_us;
    wire.cut_wires.push(INSIDE);
    run_until(&mut wire, heard + DOWN_100 - 1);
    expect(&wire, [State::Master, State::Backup]);
    run_until(&mut wire, heard + DOWN_100);
    expect(&wire, [State::Master, State::Master]);
}

#[test]
fn a_master_that_is_heard_again_ends_the_wish() {
    let mut wire = pair();
    wire.cut_wires = vec![IfIndex(2)];
    run_until(&mut wire, 10 * SECOND);
    wire.cut_wires.clear();
    run_until(&mut wire, 12 * SECOND);
    wire.cut_wires = vec![INSIDE];
    run_until(&mut wire, 30 * SECOND);
    expect(&wire, [State::Master, State::Backup]);
}

#[test]
fn one_leg_that_fails_moves_both_addresses() {
    let mut wire = pair();
    run_until(&mut wire, 10 * SECOND);
    expect(&wire, [State::Master, State::Backup]);
    let heard = wire[0].sent.iter().rfind(|sent| sent.via == IfIndex(2));
    let heard = heard.expect("sent").at_us;
    wire.cut_wires = vec![IfIndex(2)];
    wire.change_interface(0, |state| state.up = false);
    expect(&wire, [State::Fault, State::Backup]);
    // The other leg says so, and the failed one is silent: its master-down time counts.
    let last = wire[0].sent.last().expect("sent");
    assert_eq!((last.via, last.priority), (INSIDE, 0));
    run_until(&mut wire, heard + DOWN_100 - 1);
    expect(&wire, [State::Fault, State::Backup]);
    run_until(&mut wire, heard + DOWN_100);
    expect(&wire, [State::Fault, State::Master]);
    let calls = &wire[0].calls[6..];
    assert_eq!(
        calls,
        [
            "INSTANCE VI_1 FAULT 150",
            "INSTANCE VI_2 FAULT 150",
            "GROUP G FAULT 0"
        ]
    );
    assert!(wire[0].logged("VRRP_Group(G) Syncing instances to FAULT state"));
    assert!(wire[0].logged("(VI_2) MASTER -> FAULT: VI_1 of the same sync group is"));
}

#[test]
fn the_member_that_is_to_blame_comes_first() {
    let mut wire = pair();
    run_until(&mut wire, 10 * SECOND);
    wire.change_other(0, INSIDE, |state| state.up = false);
    assert_eq!(
        wire[0].calls[6..],
        [
            "INSTANCE VI_2 FAULT 150",
            "INSTANCE VI_1 FAULT 150",
            "GROUP G FAULT 0"
        ]
    );
}

#[test]
fn the_group_recovers_when_the_last_member_does() {
    let mut wire = pair();
    run_until(&mut wire, 10 * SECOND);
    wire.change_interface(0, |state| state.up = false);
    wire.change_other(0, INSIDE, |state| state.up = false);
    run_until(&mut wire, 20 * SECOND);
    let told = wire[0].calls.len();
    wire.change_interface(0, |state| state.up = true);
    run_until(&mut wire, 30 * SECOND);
    expect(&wire, [State::Fault, State::Master]);
    assert_eq!(wire[0].calls.len(), told);
    wire.change_other(0, INSIDE, |state| state.up = true);
    expect(&wire, [State::Backup, State::Master]);
    // 150 against 100: it takes over after its whole master-down time. Both timers
    // end together; the one that is asked last may go first.
    run_until(&mut wire, 40 * SECOND);
    expect(&wire, [State::Master, State::Backup]);
    assert_eq!(
        wire[0].calls[told..],
        [
            "INSTANCE VI_1 BACKUP 150",
            "INSTANCE VI_2 BACKUP 150",
            "GROUP G BACKUP 0",
            "INSTANCE VI_2 MASTER 150",
            "INSTANCE VI_1 MASTER 150",
            "GROUP G MASTER 0",
        ]
    );
    let calls: Vec<&str> = wire[1].calls.iter().map(String::as_str).collect();
    assert!(calls.ends_with(&[
        "INSTANCE VI_2 BACKUP 100",
        "INSTANCE VI_1 BACKUP 100",
        "GROUP G BACKUP 0"
    ]));
}

#[test]
fn nopreempt_leaves_the_group_where_it_is() {
    let quiet = |priority| {
        let mut both = [instance(priority), inside(priority)];
        both.iter_mut().for_each(|it| it.nopreempt = true);
        grouped(both)
    };
    let mut wire = Wire::new([router(1, quiet(150)), router(2, quiet(100))]);
    wire.start_node(1);
    wire.run_until(10 * SECOND);
    wire.start_node(0);
    run_until(&mut wire, 30 * SECOND);
    expect(&wire, [State::Backup, State::Master]);
}

#[test]
fn a_member_that_gives_way_takes_the_others_along_in_silence() {
    let mut wire = pair();
    run_until(&mut wire, 10 * SECOND);
    let sent = wire[0].sent.len();
    wire.inject(0, &world::advert(world::source(9), 200));
    expect(&wire, [State::Backup, State::Backup]);
    assert_eq!(wire[0].sent.len(), sent, "no priority 0");
    assert!(wire[0].logged("VRRP_Group(G) Syncing instances to BACKUP state"));
    // That router is heard no more.
    run_until(&mut wire, 20 * SECOND);
    expect(&wire, [State::Master, State::Backup]);
}

/// Each node is the better one on one leg: the addresses stay together, and a
/// single node has them.
#[test]
fn priorities_that_contradict_each_other_do_not_tear_a_group_apart() {
    let mut wire = Wire::new([
        router(1, grouped([instance(150), inside(100)])),
        router(2, grouped([instance(100), inside(150)])),
    ]);
    wire.start_node(0);
    wire.run_until(100_000);
    wire.start_node(1);
    run_until(&mut wire, 60 * SECOND);
    expect(&wire, [State::Master, State::Backup]);
}

#[test]
fn a_stop_hands_over_both_within_the_skew_time() {
    let mut wire = pair();
    run_until(&mut wire, 10 * SECOND);
    wire.stop(0);
    assert!(wire[0].stopped && wire[0].vips.is_empty());
    let zeros = wire[0].sent.iter().filter(|sent| sent.priority == 0);
    assert_eq!(zeros.count(), 2);
    assert_eq!(wire[0].calls.last().expect("told"), "GROUP G STOP 0");
    run_until(&mut wire, 10 * SECOND + SKEW_100);
    assert_eq!(state_of(&wire, 1), State::Master);
}

#[test]
fn a_member_that_cannot_begin_keeps_the_others_from_it() {
    let mut wire = Wire::new([router(1, grouped([instance(150), inside(150)]))]);
    wire[0].others[0].up = false;
    wire.start();
    assert_eq!(state_of(&wire, 0), State::Fault);
    assert!(wire[0].logged("(VI_2): entering FAULT state (interface eth1 down)"));
    assert!(wire[0].logged("VRRP_Group(G): Syncing VI_1 to FAULT state"));
    wire.run_until(10 * SECOND);
    wire.change_other(0, INSIDE, |state| state.up = true);
    wire.run_until(20 * SECOND);
    assert_eq!(state_of(&wire, 0), State::Master);
}

fn owners(initial_state: InitialState, other: u8) -> Config {
    let mut group = group(&["VI_1", "VI_2"]);
    group.initial_state = initial_state;
    with_group([instance(255), inside(other)], group)
}

#[test]
fn owners_begin_as_masters_only_if_all_are_owners() {
    let mut wire = Wire::new([router(1, owners(InitialState::Master, 255))]);
    wire.start();
    assert_eq!(state_of(&wire, 0), State::Master);
    let mut wire = Wire::new([router(1, owners(InitialState::Backup, 100))]);
    wire.start();
    assert_eq!(state_of(&wire, 0), State::Backup);
    wire.run_until(DOWN_100);
    assert_eq!(state_of(&wire, 0), State::Master);
}

fn check() -> Arc<Script> {
    Arc::new(Script {
        name: "chk".into(),
        command: Command {
            argv: vec!["/bin/true".into()],
            user: None,
        },
        interval: Interval::from_secs(1),
        timeout: Interval::from_secs(1),
        rise: 1,
        fall: 1,
        init_fail: false,
    })
}

fn checked(weight: i32) -> Config {
    let mut group = group(&["VI_1", "VI_2"]);
    group.track_scripts = vec![TrackScript {
        script: check(),
        weight,
        reverse: false,
    }];
    with_group([instance(150), inside(150)], group)
}

#[test]
fn a_script_of_the_group_counts_for_every_member() {
    let mut wire = Wire::new([router(1, checked(-60))]);
    wire[0].answer = Some(Outcome::Exited(1));
    wire.start();
    wire.run_until(10 * SECOND);
    let priorities: Vec<u8> = wire[0].engine.instances().map(|it| it.priority.0).collect();
    assert_eq!(priorities, [90, 90]);
    let seen = wire[0].engine.snapshot(wire.now).instances;
    assert!(seen.iter().all(|it| it.total_priority == 90));

    // Without a weight its first result is waited for, and its failure is a fault.
    let mut wire = Wire::new([router(1, checked(0))]);
    wire.start();
    wire.run_until(500_000);
    assert!(wire[0].calls.is_empty());
    wire.script(0, Outcome::Exited(0));
    assert_eq!(state_of(&wire, 0), State::Backup);
    wire.run_until(1_500_000);
    wire.script(0, Outcome::Exited(1));
    assert_eq!(state_of(&wire, 0), State::Fault);
    assert!(wire[0].logged(": script chk fails"));
}

#[test]
fn an_interface_of_the_group_counts_for_every_member() {
    let tracked = |weight| {
        let mut group = group(&["VI_1", "VI_2"]);
        group.track_interfaces = vec![TrackInterface {
            interface: "eth2".into(),
            weight,
            reverse: false,
        }];
        with_group([instance(150), inside(150)], group)
    };
    let uplink = |node: u8| InterfaceState {
        index: IfIndex(4),
        name: "eth2".into(),
        addresses: Vec::new(),
        ..interface(node)
    };
    for (weight, state, priority) in [(0, State::Fault, 150), (-60, State::Master, 90)] {
        let mut wire = Wire::new([router(1, tracked(weight))]);
        wire[0].others.push(uplink(1));
        wire.start();
        wire.run_until(10 * SECOND);
        assert_eq!(state_of(&wire, 0), State::Master);
        wire.change_other(0, IfIndex(4), |state| state.up = false);
        assert_eq!(state_of(&wire, 0), state, "weight {weight}");
        let mut priorities = wire[0].engine.instances().map(|it| it.priority.0);
        assert!(priorities.all(|it| it == priority), "weight {weight}");
    }
}

#[test]
fn a_lower_master_on_one_leg_is_answered_with_arp_on_both() {
    let mut config = grouped([instance(150), inside(150)]);
    for member in &mut config.instances {
        Arc::make_mut(member).garp.lower_prio_repeat = 3;
        Arc::make_mut(member).garp.lower_prio_delay = ms(0);
    }
    let mut wire = Wire::new([router(1, config)]);
    wire.start();
    wire.run_until(20 * SECOND + 10);
    let before = wire[0].announced.len();
    wire.inject(0, &world::advert(world::source(2), 50));
    wire.run_until(21 * SECOND);
    assert_eq!(wire[0].announced.len(), before + 6);
}

#[test]
fn a_reload_that_changes_a_member_restarts_nobody() {
    let start = grouped([instance(150), inside(150)]);
    let mut wire = Wire::new([router(1, start.clone())]);
    wire.start();
    wire.run_until(10 * SECOND);
    let (calls, sent) = (wire[0].calls.len(), wire[0].sent.len());
    assert!(plan(&start, start.clone()).is_empty());

    wire.reload(0, grouped([instance(150), inside(160)]));
    let states: Vec<State> = wire[0].engine.instances().map(|it| it.state).collect();
    assert_eq!(states, [State::Master, State::Master]);
    assert_eq!(wire[0].vips.len(), 2);
    assert_eq!(wire[0].calls.len(), calls);
    let said: Vec<(u8, u8)> = wire[0].sent[sent..]
        .iter()
        .map(|sent| (sent.message()[1], sent.priority))
        .collect();
    assert_eq!(said, [(52, 160)]);
}

/// A member that is new listens first; the others go on meanwhile, and give way only
/// if a better master is there for it.
#[test]
fn a_member_that_joins_a_group_does_not_take_its_addresses_away() {
    let joined = |better: Option<u8>| {
        let mut wire = Wire::new([router(1, grouped([instance(150)]))]);
        wire.start();
        wire.run_until(10 * SECOND);
        let calls = wire[0].calls.len();
        wire.reload(0, grouped([instance(150), inside(150)]));
        let states = |wire: &Wire| -> Vec<State> {
            let instances = wire[0].engine.instances();
            instances.map(|it| it.state).collect()
        };
        assert_eq!(states(&wire), [State::Master, State::Backup]);
        assert_eq!(wire[0].vips, [VIP]);
        wire.run_until(11 * SECOND);
        if let Some(priority) = better {
            let mut advert = world::advert(world::source(9), priority);
            advert[21] = 52;
            world::fix_checksum(&mut advert);
            wire.deliver_on(0, INSIDE, &advert);
            assert_eq!(states(&wire), [State::Backup; 2]);
        }
        wire.run_until(14 * SECOND);
        wire[0].calls[calls..].to_vec()
    };
    assert_eq!(
        joined(None),
        ["INSTANCE VI_2 BACKUP 150", "INSTANCE VI_2 MASTER 150"],
        "the group was MASTER and is again"
    );
    let calls = joined(Some(200));
    assert_eq!(
        calls[..3],
        [
            "INSTANCE VI_2 BACKUP 150",
            "INSTANCE VI_1 BACKUP 150",
            "GROUP G BACKUP 0",
        ]
    );
}

#[test]
fn a_reload_that_changes_what_a_group_tells_or_tracks_touches_no_member() {
    let mut wire = Wire::new([router(1, checked(-60))]);
    wire[0].answer = Some(Outcome::Exited(0));
    wire.start();
    wire.run_until(10 * SECOND);
    let calls = wire[0].calls.clone();
    let mut changed = checked(-20);
    let group = changed.sync_groups.first_mut().expect("a group");
    Arc::make_mut(group).smtp_alert = true;
    wire.reload(0, changed);
    assert_eq!(state_of(&wire, 0), State::Master);
    assert_eq!(wire[0].calls, calls);
    wire[0].answer = Some(Outcome::Exited(1));
    wire.run_until(12 * SECOND);
    let priorities: Vec<u8> = wire[0].engine.instances().map(|it| it.priority.0).collect();
    assert_eq!(priorities, [130, 130]);
}

#[test]
fn a_group_that_is_formed_or_dissolved_by_a_reload() {
    let apart = config([instance(150), inside(160)]);
    let mut wire = Wire::new([router(1, apart.clone())]);
    wire.start();
    wire.run_until(10 * SECOND);
    wire.reload(0, grouped([instance(150), inside(160)]));
    assert_eq!(state_of(&wire, 0), State::Master);
    assert_eq!(wire[0].vips.len(), 2);
    assert_eq!(wire[0].calls.last().expect("told"), "GROUP G MASTER 0");

    let calls = wire[0].calls.len();
    wire.reload(0, apart);
    assert_eq!(state_of(&wire, 0), State::Master);
    assert_eq!(wire[0].calls.len(), calls);
    wire.change_interface(0, |state| state.up = false);
    let states: Vec<State> = wire[0].engine.instances().map(|it| it.state).collect();
    assert_eq!(states, [State::Fault, State::Master]);
}

/// What scripts find in their environment: the state before, and the reason.
#[test]
fn a_group_tells_the_cause_of_the_member_that_is_to_blame() {
    let mut wire = pair();
    run_until(&mut wire, 4 * SECOND);
    wire.change_other(0, INSIDE, |state| state.up = false);
    run_until(&mut wire, 6 * SECOND);
    let line = |before: Option<NotifyState>, state: NotifyState, cause: &dyn std::fmt::Display| {
        let before = before.map_or("INIT", NotifyState::as_str);
        format!("{before} {}: {cause}", state.as_str())
    };
    let of_group = |node: usize| -> Vec<String> {
        let told = wire[node].group_notifications.iter();
        told.map(|it| line(it.previous, it.state, &it.cause))
            .collect()
    };
    let expected = [
        "INIT BACKUP: started",
        "BACKUP MASTER: no master heard for 3.414 s",
        "MASTER FAULT: interface eth1 is down",
    ];
    assert_eq!(of_group(0), expected);
    let expected = [
        "INIT BACKUP: started",
        "BACKUP MASTER: priority 0 from 10.0.1.1",
    ];
    assert_eq!(of_group(1), expected);
    // The other member says whom it follows.
    let first = wire[0].notifications.iter();
    let mut first = first.filter(|it| it.instance.name == "VI_1");
    let last = first.next_back().expect("told");
    assert_eq!(
        line(last.previous, last.state, &last.cause),
        "MASTER FAULT: VI_2 of the same sync group is in FAULT"
    );
}
