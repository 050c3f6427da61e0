//! `fast_handover`: a MASTER whose priority falls below that of a peer. Times are
//! those of RFC 3768 section 6.1 in version 2: skew (256 - priority) / 256 s.

use std::net::Ipv4Addr;
use std::sync::Arc;

use keepalived_rs::config::model::TrackInterface;
use keepalived_rs::config::model::{Config, InitialState, Instance, Notify, SyncGroup};
use keepalived_rs::ids::{IfIndex, Priority, Vrid};
use keepalived_rs::vrrp::state_machine::State;
use proptest::prelude::*;

use crate::world::{
    self, Node, VIP, Wire, config, instance, instance3, other_interface, source, vip,
};

const SECOND: u64 = 1_000_000;
const SKEW_100: u64 = 609_375;
/// Of 150 - 60.
const SKEW_90: u64 = 648_437;
/// What the weights follow: one interface more for each step.
const UPLINK: u32 = 9;

/// Follows the uplink with a weight, and hands over.
pub fn handing_over(mut config: Instance, weight: i32) -> Instance {
    config.fast_handover = true;
    config.track_interfaces.push(TrackInterface {
        interface: "eth9".into(),
        weight,
        reverse: false,
    });
    config
}

fn node(number: u8, instance: Instance) -> Node {
    let mut node = Node::new(number, instance);
    node.others.push(other_interface(UPLINK, "eth9", true));
    node
}

fn uplink(wire: &mut Wire, node: usize, up: bool) {
    wire.change_other(node, IfIndex(UPLINK), |state| state.up = up);
}

/// The second node was master before the first one began, so its priority is known;
/// since then it is silent. It is 20.1 s.
fn pair_of(first: Instance, second: Instance) -> Wire {
    let mut wire = Wire::new([node(1, first), node(2, second)]);
    wire.start_node(1);
    wire.run_until(5 * SECOND);
    wire.start_node(0);
    wire.run_until(20_100_000);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
    wire
}

fn pair() -> Wire {
    pair_of(handing_over(instance(150), -60), instance(100))
}

/// The priorities that a node has sent since.
pub fn said(wire: &Wire, node: usize, from_us: u64) -> Vec<(u64, u8)> {
    let sent = wire[node].sent.iter();
    sent.filter(|sent| sent.at_us >= from_us)
        .map(|sent| (sent.at_us - from_us, sent.priority))
        .collect()
}

#[test]
fn the_peer_takes_over_in_its_skew_time_and_the_vip_is_never_nowhere() {
    let mut wire = pair();
    let start = wire.now.as_us();
    uplink(&mut wire, 0, false);
    assert_eq!(said(&wire, 0, start), [(0, 0)]);
    assert_eq!(wire[0].state(), State::Master, "until the peer has spoken");
    wire.run_until(start + SKEW_100 - 1);
    assert_eq!(wire[0].vips, [VIP]);
    wire.run_until(start + SKEW_100);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
    assert_eq!((wire[0].vips.len(), wire[1].vips.len()), (0, 1));
    assert_eq!(said(&wire, 0, start), [(0, 0)], "and no last word");
    let line = "(VI_1) Priority 90 is below 100 of 10.0.0.2: asking it to take over";
    assert!(wire[0].logged(line), "{:?}", wire[0].log);
    let told = wire[0].told.clone();
    assert_eq!(told.join(","), "BACKUP 150,MASTER 150,BACKUP 90");
    // Back again, as without the switch: the timer of priority 150 runs out, and the
    // next fall is as fast.
    uplink(&mut wire, 0, true);
    wire.run_until(start + 10 * SECOND);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
    let again = wire.now.as_us();
    uplink(&mut wire, 0, false);
    wire.run_until(again + SKEW_100);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
}

/// What the RFC says costs three adverts more.
#[test]
fn without_the_switch_it_takes_a_master_down_time() {
    let mut first = handing_over(instance(150), -60);
    first.fast_handover = false;
    let mut wire = pair_of(first, instance(100));
    let last = wire[0].sent.last().expect("sent").at_us;
    uplink(&mut wire, 0, false);
    wire.run_until(last + 3 * SECOND + SKEW_100 - 1);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
    assert_eq!(wire[0].statistics().pri_zero_sent, 0);
    wire.run_until(last + 3 * SECOND + SKEW_100);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
}

/// Version 3 counts in intervals, and the peer may be as slow as it likes to be
/// preempted: priority 0 is no preemption.
#[test]
fn a_peer_with_nopreempt_or_a_delay_takes_over_too() {
    let mut patient = instance3(100);
    patient.nopreempt = true;
    let mut late = instance3(100);
    late.preempt_delay = world::ms(300_000);
    for second in [patient, late] {
        let mut wire = pair_of(handing_over(instance3(150), -60), second);
        let start = wire.now.as_us();
        uplink(&mut wire, 0, false);
        wire.run_until(start + SKEW_100);
        assert_eq!(wire.states(), [State::Backup, State::Master]);
    }
}

#[test]
fn a_peer_that_was_never_heard_is_not_asked() {
    let first = handing_over(instance(150), -60);
    let mut wire = Wire::new([node(1, first), node(2, instance(100))]);
    wire.start();
    wire.run_until(20_100_000);
    uplink(&mut wire, 0, false);
    assert_eq!(wire[0].statistics().pri_zero_sent, 0);
    wire.run_until(30 * SECOND);
    assert_eq!(wire.states(), [State::Backup, State::Master], "as ever");
}

#[test]
fn a_fall_that_passes_nobody_asks_nobody() {
    for (weight, passes) in [(-40, false), (-50, false), (-51, true)] {
        let mut wire = pair_of(handing_over(instance(150), weight), instance(100));
        uplink(&mut wire, 0, false);
        let asked = wire[0].statistics().pri_zero_sent == 1;
        assert_eq!(asked, passes, "150{weight} beside 100");
        wire.run_until(40 * SECOND);
        let [first, second] = [wire[0].state(), wire[1].state()];
        let moved = (first, second) == (State::Backup, State::Master);
        assert_eq!(moved, passes, "150{weight} beside 100");
    }
}

/// The peer died in silence, which nobody can know: the VIP stays, and the next
/// advert comes when our own skew time is over. It is not asked a second time.
#[test]
fn nobody_is_there_any_more() {
    let mut wire = pair();
    wire[1].running = false;
    let start = wire.now.as_us();
    uplink(&mut wire, 0, false);
    wire.run_until(start + 3 * SECOND);
    let second = SKEW_90 + SECOND;
    let expected = [(0, 0), (SKEW_90, 90), (second, 90), (second + SECOND, 90)];
    assert_eq!(said(&wire, 0, start), expected);
    assert_eq!(wire[0].state(), State::Master);
    assert_eq!(wire[0].told.last().map(String::as_str), Some("MASTER 150"));
    assert!(wire[0].logged("(VI_1) Nobody took over: staying MASTER"));
    uplink(&mut wire, 0, true);
    uplink(&mut wire, 0, false);
    assert_eq!(wire[0].statistics().pri_zero_sent, 1);
}

/// A third node with less priority than ours hears priority 0, too, and hears us
/// again before its own skew time is over.
#[test]
fn a_lower_node_stays_where_it_is_when_the_better_one_is_gone() {
    let first = handing_over(instance(150), -60);
    let mut wire = Wire::new([
        node(1, first),
        node(2, instance(100)),
        node(3, instance(80)),
    ]);
    wire.start_node(1);
    wire.start_node(2);
    wire.run_until(5 * SECOND);
    wire.start_node(0);
    wire.run_until(20_100_000);
    wire[1].running = false;
    let start = wire.now.as_us();
    uplink(&mut wire, 0, false);
    wire.run_until(start + 20 * SECOND);
    assert_eq!(
        (wire[0].state(), wire[2].state()),
        (State::Master, State::Backup)
    );
    assert!(wire[2].sent.is_empty(), "it never spoke");
    assert_eq!(wire[2].statistics().pri_zero_rcvd, 1);
}

#[test]
fn the_best_of_several_takes_over() {
    let first = handing_over(instance(150), -60);
    let mut wire = Wire::new([
        node(1, first),
        node(2, instance(100)),
        node(3, instance(120)),
    ]);
    wire.start_node(1);
    wire.run_until(5 * SECOND);
    wire.start_node(0);
    wire.run_until(15 * SECOND);
    wire.start_node(2);
    wire.run_until(20_100_000);
    // Only the second one is known; the third one is better, and faster.
    let start = wire.now.as_us();
    uplink(&mut wire, 0, false);
    wire.run_until(start + SECOND);
    let states = wire.states();
    assert_eq!(states, [State::Backup, State::Backup, State::Master]);
    assert!(said(&wire, 1, start).is_empty());
}

#[test]
fn who_said_goodbye_or_fell_silent_is_not_believed() {
    for says_goodbye in [true, false] {
        let first = handing_over(instance(150), -60);
        let mut wire = Wire::new([node(1, first), node(2, instance(100))]);
        wire.start_node(1);
        wire.run_until(5 * SECOND);
        wire.start_node(0);
        wire.run_until(5 * SECOND + 700_000);
        assert_eq!(wire[0].statistics().advert_rcvd, 1);
        if says_goodbye {
            wire.stop(1);
        } else {
            wire[1].running = false;
        }
        wire.run_until(20_100_000);
        assert_eq!(wire[0].state(), State::Master);
        uplink(&mut wire, 0, false);
        assert_eq!(wire[0].statistics().pri_zero_sent, 0, "{says_goodbye}");
    }
}

/// A lower master that answers ours is heard, too: what it says last counts.
#[test]
fn the_last_known_priority_counts() {
    let mut wire = pair();
    wire.inject(0, &world::advert(source(2), 80));
    uplink(&mut wire, 0, false);
    assert_eq!(wire[0].statistics().pri_zero_sent, 0);
    uplink(&mut wire, 0, true);
    wire.inject(0, &world::advert(source(2), 91));
    uplink(&mut wire, 0, false);
    assert_eq!(wire[0].statistics().pri_zero_sent, 1);
}

/// What rises again before the peer has spoken calls it off: no VIP moves.
#[test]
fn a_priority_that_comes_back_at_once_moves_nothing() {
    let mut wire = pair();
    let start = wire.now.as_us();
    uplink(&mut wire, 0, false);
    wire.run_until(start + SKEW_100 / 2);
    uplink(&mut wire, 0, true);
    wire.run_until(start + 10 * SECOND);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
    assert_eq!(said(&wire, 0, start)[..2], [(0, 0), (SKEW_100 / 2, 150)]);
    assert!(said(&wire, 1, start).is_empty());
    assert!(wire[0].logged("Priority is 150 again before a peer took over: staying MASTER"));
    assert!(!wire[0].logged("Nobody took over"));
}

/// An answer to a lower advert does not close the question: the peer that is better
/// still waits its skew time, and a priority that rises again must reach it before.
#[test]
fn a_question_stays_open_after_an_answer_to_a_lower_advert() {
    let mut wire = pair();
    let start = wire.now.as_us();
    uplink(&mut wire, 0, false);
    wire.run_until(start + 100_000);
    let lower = world::advert(Ipv4Addr::new(10, 0, 0, 9), 10);
    wire.deliver(0, &lower);
    wire.run_until(start + 200_000);
    uplink(&mut wire, 0, true);
    wire.run_until(start + 1_500_000);
    assert_eq!(
        said(&wire, 0, start),
        [(0, 0), (100_000, 90), (200_000, 150), (1_200_000, 150)]
    );
    assert!(said(&wire, 1, start).is_empty(), "the peer stays BACKUP");
}

/// Each change of the priority moves the VIP once at most, whatever the weights do.
#[test]
fn two_falls_at_once_ask_once() {
    let mut first = handing_over(instance(150), -60);
    first.track_interfaces.push(TrackInterface {
        interface: "eth10".into(),
        weight: -10,
        reverse: false,
    });
    let mut wire = Wire::new([node(1, first), node(2, instance(100))]);
    wire[0].others.push(other_interface(10, "eth10", true));
    wire.start_node(1);
    wire.run_until(5 * SECOND);
    wire.start_node(0);
    wire.run_until(20_100_000);
    let start = wire.now.as_us();
    uplink(&mut wire, 0, false);
    wire.change_other(0, IfIndex(10), |state| state.up = false);
    assert_eq!(wire[0].priority(), 80);
    wire.run_until(start + 20 * SECOND);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
    assert_eq!(wire[0].statistics().pri_zero_sent, 1);
    assert_eq!(
        wire[1].told,
        ["BACKUP 100", "MASTER 100", "BACKUP 100", "MASTER 100"]
    );
}

/// A packet that is lost: as without the switch.
#[test]
fn a_lost_question_costs_what_it_cost_before() {
    let mut wire = pair();
    let last = wire[0].sent.last().expect("sent").at_us;
    wire.cut = true;
    uplink(&mut wire, 0, false);
    wire.run_until(wire.now.as_us() + 1_000);
    wire.cut = false;
    wire.run_until(last + 3 * SECOND + SKEW_100);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
}

proptest! {
    /// Weights that come and go as they like, on two nodes of which each may hand
    /// over, and may be patient: once there is a master there is always exactly one,
    /// and it changes at most once for each change of a priority.
    #[test]
    fn nothing_flaps(
        priorities in prop::array::uniform2(60u8..200),
        weights in prop::array::uniform2(prop_oneof![-50..0, 1..50]),
        switches in prop::array::uniform2(any::<bool>()),
        patient in prop::array::uniform2(any::<bool>()),
        version_3: bool,
        changes in prop::collection::vec((1u64..6_000, 0usize..2), 1..25),
    ) {
        let mut nodes = Vec::new();
        for index in 0..2 {
            let priority = priorities[index];
            let plain = if version_3 { instance3(priority) } else { instance(priority) };
            let mut own = handing_over(plain, weights[index]);
            (own.fast_handover, own.nopreempt) = (switches[index], patient[index]);
            nodes.push(node(u8::try_from(index + 1).expect("small"), own));
        }
        let mut wire = Wire::new(nodes);
        wire.start_node(1);
        wire.run_until(6 * SECOND);
        wire.start_node(0);
        wire.run_until(15 * SECOND);
        let mut up = [true; 2];
        let mut master = wire.states();
        prop_assert!(master.contains(&State::Master));
        let (mut moves, mut changed) = (0, 0);
        // The last one is left alone until everything is at rest.
        let changes = changes.into_iter().map(Some).chain([None]);
        for change in changes {
            let (wait_ms, node) = change.unwrap_or((12_000, 2));
            let end = wire.now.as_us() + wait_ms * 1_000;
            while wire.now.as_us() < end {
                let next = (wire.now.as_us() + 50_000).min(end);
                wire.run_until(next);
                let now = wire.states();
                let masters = now.iter().filter(|state| **state == State::Master);
                prop_assert_eq!(masters.count(), 1);
                moves += usize::from(now != master);
                master = now;
            }
            if let Some(there) = up.get_mut(node) {
                *there = !*there;
                let before = wire[node].priority();
                uplink(&mut wire, node, *there);
                changed += usize::from(wire[node].priority() != before);
            }
        }
        prop_assert!(moves <= changed, "{moves} moves after {changed} changes");
    }
}

// Groups.

const INSIDE: IfIndex = IfIndex(3);

/// VI_2 on eth1, VRID 52.
pub fn inside(priority: u8) -> Instance {
    let mut address = vip(Ipv4Addr::new(10, 0, 1, 100));
    address.interface = "eth1".into();
    Instance {
        priority: Priority(priority),
        virtual_addresses: vec![address],
        ..Instance::new("VI_2", "eth1", Vrid::new(52).expect("not 0"))
    }
}

pub fn grouped(instances: [Instance; 2]) -> Config {
    let group = SyncGroup {
        name: "G".into(),
        instances: vec!["VI_1".into(), "VI_2".into()],
        initial_state: InitialState::Backup,
        track_interfaces: Vec::new(),
        track_scripts: Vec::new(),
        track_files: Vec::new(),
        track_processes: Vec::new(),
        track_bfds: Vec::new(),
        tracking_weight: true,
        notify: Notify::default(),
        smtp_alert: false,
        notify_priority_changes: None,
    };
    let mut config = config(instances);
    config.sync_groups = vec![Arc::new(group)];
    config
}

pub fn router(number: u8, config: Config) -> Node {
    let mut node = Node::with(number, config);
    let mut inside = world::interface(number);
    (inside.index, inside.name) = (INSIDE, "eth1".into());
    inside.addresses.truncate(1);
    inside.addresses[0].address = Ipv4Addr::new(10, 0, 1, number).into();
    node.others = vec![inside, other_interface(UPLINK, "eth9", true)];
    node
}

pub fn all_states(wire: &Wire, node: usize) -> Vec<State> {
    wire[node].engine.instances().map(|it| it.state).collect()
}

/// The members of the first router fall by these weights.
fn group_pair(weights: [i32; 2], members: [Instance; 2]) -> Wire {
    let [one, two] = members;
    let first = [handing_over(one, weights[0]), handing_over(two, weights[1])];
    let second = [instance(100), inside(100)];
    let mut wire = Wire::new([router(1, grouped(first)), router(2, grouped(second))]);
    wire.start_node(1);
    wire.run_until(5 * SECOND);
    wire.start_node(0);
    wire.run_until(20_100_000);
    assert_eq!(all_states(&wire, 0), [State::Master; 2]);
    wire
}

#[test]
fn a_group_hands_over_as_one() {
    let mut wire = group_pair([-60, -60], [instance(150), inside(150)]);
    let start = wire.now.as_us();
    uplink(&mut wire, 0, false);
    assert_eq!(
        said(&wire, 0, start),
        [(0, 0), (0, 0)],
        "one for each member"
    );
    wire.run_until(start + SKEW_100);
    assert_eq!(all_states(&wire, 0), [State::Backup; 2]);
    assert_eq!(all_states(&wire, 1), [State::Master; 2]);
    assert!(wire[0].vips.is_empty());
    assert_eq!(wire[1].vips.len(), 2);
}

#[test]
fn a_group_of_which_one_member_is_still_better_stays() {
    let mut wire = group_pair([-60, -10], [instance(150), inside(150)]);
    let start = wire.now.as_us();
    uplink(&mut wire, 0, false);
    assert!(said(&wire, 0, start).is_empty());
    assert_eq!(all_states(&wire, 0), [State::Master; 2]);
}

/// The switch of one member does not speak for the others.
#[test]
fn a_group_of_which_one_member_does_not_want_it_stays() {
    let first = [
        handing_over(instance(150), -60),
        Instance {
            fast_handover: false,
            ..handing_over(inside(150), -60)
        },
    ];
    let second = [instance(100), inside(100)];
    let mut wire = Wire::new([router(1, grouped(first)), router(2, grouped(second))]);
    wire.start_node(1);
    wire.run_until(5 * SECOND);
    wire.start_node(0);
    wire.run_until(20_100_000);
    let start = wire.now.as_us();
    uplink(&mut wire, 0, false);
    assert!(said(&wire, 0, start).is_empty());
}

/// A reload that leaves the instance as it is keeps what it knows; one that changes
/// its priority ends it with priority 0 anyway.
#[test]
fn a_reload_keeps_what_is_known() {
    let mut wire = pair();
    wire.reload(0, config([handing_over(instance(150), -60)]));
    uplink(&mut wire, 0, false);
    assert_eq!(wire[0].statistics().pri_zero_sent, 1);

    let mut wire = pair();
    let start = wire.now.as_us();
    wire.reload(0, config([handing_over(instance(90), -60)]));
    assert_eq!(said(&wire, 0, start)[0], (0, 0));
    wire.run_until(start + SKEW_100);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
}
