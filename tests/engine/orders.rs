//! What an administrator orders: drain, resume, priority, announce. Times are those of
//! RFC 3768 section 6.1 in version 2: skew (256 - priority) / 256 s.

use std::collections::BTreeMap;

use keepalived_rs::config::model::{Instance, TrackInterface};
use keepalived_rs::ids::{IfIndex, Priority};
use keepalived_rs::time::Instant;
use keepalived_rs::vrrp::orders::{InForce, Order, OrderedPriority, Refused};
use keepalived_rs::vrrp::snapshot::Contributor;
use keepalived_rs::vrrp::state_machine::State;

use crate::fast_handover::{all_states, grouped, inside, router, said};
use crate::world::{self, Node, VIP, Wire, config, instance, instance3, source};

const SECOND: u64 = 1_000_000;
const SKEW_100: u64 = 609_375;
/// Of a drained node: (256 - 1) / 256 s.
const SKEW_1: u64 = 996_093;

fn drain(force: bool) -> Order {
    let instance = Some("VI_1".to_owned());
    Order::Drain { instance, force }
}

fn resume() -> Order {
    let instance = Some("VI_1".to_owned());
    Order::Resume { instance }
}

fn priority(priority: Option<u8>, seconds: Option<u64>) -> Order {
    Order::Priority {
        instance: "VI_1".to_owned(),
        priority,
        seconds,
    }
}

/// The second node was master before the first one began, so its priority is known.
fn pair_of(first: Instance, second: Instance) -> Wire {
    let mut wire = Wire::new([Node::new(1, first), Node::new(2, second)]);
    wire.start_node(1);
    wire.run_until(5 * SECOND);
    wire.start_node(0);
    wire.run_until(20_100_000);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
    wire
}

fn pair() -> Wire {
    pair_of(instance(150), instance(100))
}

#[test]
fn a_drained_master_is_relieved_in_a_skew_time_and_the_vip_is_never_nowhere() {
    let mut wire = pair();
    let start = wire.now.as_us();
    let done = wire.order(0, &drain(false)).expect("a peer is known");
    let text = "VI_1: drained, asks 10.0.0.2 (priority 100) to take over";
    assert_eq!(done, [text]);
    assert_eq!(said(&wire, 0, start), [(0, 0)]);
    wire.run_until(start + SKEW_100 - 1);
    assert_eq!((wire[0].state(), wire[0].vips.len()), (State::Master, 1));
    wire.run_until(start + SKEW_100);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
    assert_eq!((wire[0].vips.len(), wire[1].vips.len()), (0, 1));
    assert_eq!(said(&wire, 0, start), [(0, 0)], "and no last word");
    assert!(wire[0].logged("(VI_1) Drained: counts with priority 1 until it is resumed"));
    assert_eq!(wire[0].told.join(","), "BACKUP 150,MASTER 150,BACKUP 1");
    // It stays away for as long as the other one is there.
    wire.run_until(start + 60 * SECOND);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
    // And comes back as from anything else that lowered its priority.
    let done = wire.order(0, &resume()).expect("it is drained");
    assert_eq!(done, ["VI_1: resumed, with priority 150"]);
    wire.run_until(start + 70 * SECOND);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
    assert_eq!(wire[0].engine.standing_orders(), BTreeMap::new());
}

/// `nopreempt` of the peer does not keep it from taking over: it is no preemption.
#[test]
fn a_patient_peer_takes_over_too_and_stays() {
    let patient = |priority| Instance {
        nopreempt: true,
        ..instance3(priority)
    };
    let mut wire = pair_of(instance3(150), patient(100));
    let start = wire.now.as_us();
    wire.order(0, &drain(false)).expect("a peer is known");
    wire.run_until(start + SKEW_100);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
}

/// The first master of all has heard nobody.
#[test]
fn without_a_known_peer_it_is_refused_and_nothing_changes() {
    let mut wire = Wire::new([Node::new(1, instance(150)), Node::new(2, instance(100))]);
    wire.start();
    wire.run_until(20_100_000);
    let start = wire.now.as_us();
    let refused = wire.order(0, &drain(false)).expect_err("nobody is known");
    assert_eq!(refused, Refused::NobodyKnown(vec!["VI_1".to_owned()]));
    assert_eq!((wire[0].priority(), wire[0].vips.len()), (150, 1));
    assert_eq!(said(&wire, 0, start), []);
    assert_eq!(wire[0].engine.changed_orders(), None);
    // With force whoever is there takes over.
    let done = wire.order(0, &drain(true)).expect("forced");
    assert_eq!(done, ["VI_1: drained, asks whoever is there to take over"]);
    wire.run_until(start + SKEW_100);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
}

/// The peer is known, and has died since.
#[test]
fn if_nobody_takes_over_the_addresses_stay() {
    let mut wire = pair();
    wire[1].running = false;
    let start = wire.now.as_us();
    wire.order(0, &drain(false)).expect("a peer is known");
    wire.run_until(start + SKEW_1 + SECOND);
    let expected = [(0, 0), (SKEW_1, 1), (SKEW_1 + SECOND, 1)];
    assert_eq!(said(&wire, 0, start), expected);
    assert_eq!((wire[0].state(), wire[0].vips.len()), (State::Master, 1));
    assert!(wire[0].logged("(VI_1) Nobody took over: staying MASTER"));
    // It asks again if it is told to, and the next one who comes is better.
    assert_eq!(
        wire.order(0, &drain(false)),
        Err(Refused::NobodyKnown(vec!["VI_1".to_owned()]))
    );
    wire.order(0, &drain(true)).expect("forced");
    assert_eq!(wire[0].statistics().pri_zero_sent, 2);
    wire.inject(0, &world::advert(source(3), 20));
    assert_eq!(wire[0].state(), State::Backup);
}

/// An address on a node that is to be left alone is better than on none.
#[test]
fn a_drained_backup_takes_over_when_the_others_are_gone() {
    let mut wire = pair();
    wire.order(0, &drain(false)).expect("a peer is known");
    wire.run_until(30 * SECOND);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
    let last = wire[1].sent.last().expect("sent").at_us;
    wire[1].running = false;
    wire.run_until(last + 3 * SECOND + SKEW_1);
    assert_eq!((wire[0].state(), wire[0].vips.len()), (State::Master, 1));
    assert_eq!(wire[0].sent.last().map(|sent| sent.priority), Some(1));
    // And gives way to whoever comes.
    wire.inject(0, &world::advert(source(3), 2));
    assert_eq!(wire[0].state(), State::Backup);
}

#[test]
fn resumed_before_anybody_has_spoken_nothing_moves() {
    let mut wire = pair();
    let start = wire.now.as_us();
    wire.order(0, &drain(false)).expect("a peer is known");
    wire.run_until(start + 300_000);
    wire.order(0, &resume()).expect("drained");
    assert_eq!(said(&wire, 0, start), [(0, 0), (300_000, 150)]);
    wire.run_until(start + 20 * SECOND);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
    assert!(said(&wire, 1, start).is_empty());
}

#[test]
fn a_backup_is_drained_without_a_word() {
    let mut wire = pair();
    let done = wire.order(1, &drain(false)).expect("nothing to hand over");
    assert_eq!(done, ["VI_1: drained, was in BACKUP already"]);
    assert_eq!(wire[1].priority(), 1);
    wire.run_until(30 * SECOND);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
}

/// A sync group is drained as one, whichever member is named.
#[test]
fn a_group_makes_way_as_one() {
    let first = grouped([instance(150), inside(150)]);
    let second = grouped([instance(100), inside(100)]);
    let mut wire = Wire::new([router(1, first), router(2, second)]);
    wire.start_node(1);
    wire.run_until(5 * SECOND);
    wire.start_node(0);
    wire.run_until(20_100_000);
    assert_eq!(all_states(&wire, 0), [State::Master; 2]);
    let start = wire.now.as_us();
    let done = wire.order(0, &drain(false)).expect("peers are known");
    assert_eq!(done.len(), 2, "{done:?}");
    wire.run_until(start + SKEW_100 - 1);
    assert_eq!(wire[0].vips.len(), 2);
    wire.run_until(start + SKEW_100);
    assert_eq!(all_states(&wire, 0), [State::Backup; 2]);
    assert_eq!(all_states(&wire, 1), [State::Master; 2]);
    // With a priority it is the same.
    wire.order(0, &resume()).expect("drained");
    wire.run_until(start + 20 * SECOND);
    assert_eq!(all_states(&wire, 0), [State::Master; 2]);
    wire.order(0, &priority(Some(40), None)).expect("done");
    let priorities: Vec<u8> = wire[0].engine.instances().map(|it| it.priority.0).collect();
    assert_eq!(priorities, [40, 40]);
    wire.run_until(start + 40 * SECOND);
    assert_eq!(all_states(&wire, 0), [State::Backup; 2]);
}

#[test]
fn an_owner_is_drained_by_force_only_and_then_listens() {
    let mut wire = Wire::new([Node::new(1, instance(255)), Node::new(2, instance(100))]);
    wire.start_node(1);
    wire.run_until(5 * SECOND);
    wire.start_node(0);
    wire.run_until(20_100_000);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
    let owners = Refused::Owners(vec!["VI_1".to_owned()]);
    assert_eq!(wire.order(0, &drain(false)), Err(owners.clone()));
    assert_eq!(wire.order(0, &priority(Some(10), None)), Err(owners));
    let start = wire.now.as_us();
    wire.order(0, &drain(true)).expect("forced");
    wire.run_until(start + SKEW_100);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
    // A new worker does not take the addresses back as their owner.
    wire.replace_worker(0, config([instance(255)]));
    wire.run_until(start + 30 * SECOND);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
    wire.order(0, &resume()).expect("drained");
    wire.run_until(start + 40 * SECOND);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
    assert_eq!(wire[0].priority(), 255);
}

#[test]
fn a_reload_and_a_new_worker_keep_it() {
    let mut wire = pair();
    wire.order(0, &drain(false)).expect("a peer is known");
    wire.run_until(30 * SECOND);
    let begun = wire[0].engine.changed_orders().expect("changed");
    let since = Instant::from_us(20_100_000);
    assert_eq!(begun["VI_1"].drained, Some(since));
    assert_eq!(wire[0].engine.changed_orders(), None);
    // Another priority, and another name.
    let mut renamed = instance(180);
    renamed.name = "VI_new".into();
    wire.reload(0, config([renamed.clone()]));
    assert_eq!(wire[0].priority(), 1);
    let now = wire[0].engine.changed_orders().expect("under another name");
    assert_eq!(now.keys().collect::<Vec<_>>(), ["VI_new"]);
    // Another network identity: it begins anew.
    let mut other = renamed.clone();
    other.vrid = keepalived_rs::ids::Vrid::new(52).expect("not 0");
    wire.reload(0, config([other]));
    assert_eq!(wire[0].priority(), 1);
    wire.reload(0, config([renamed.clone()]));
    assert_eq!(wire[0].priority(), 1);
    wire.replace_worker(0, config([renamed]));
    wire.run_until(60 * SECOND);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
    assert_eq!(wire[0].priority(), 1);
    // Gone with its instance.
    wire.reload(0, config([]));
    assert_eq!(wire[0].engine.changed_orders(), Some(BTreeMap::new()));
}

#[test]
fn a_priority_counts_for_its_time_and_weights_with_it() {
    let mut first = instance(150);
    first.track_interfaces.push(TrackInterface {
        interface: "eth9".into(),
        weight: -5,
        reverse: false,
    });
    let mut wire = pair_of_with_uplink(first);
    let start = wire.now.as_us();
    let done = wire.order(0, &priority(Some(50), Some(60))).expect("done");
    assert_eq!(done, ["VI_1: priority 50, was 150; for 60 s"]);
    wire.change_other(0, IfIndex(9), |state| state.up = false);
    assert_eq!(wire[0].priority(), 45);
    let snapshot = wire[0].engine.snapshot(wire.now);
    let parts = &snapshot.instances[0].contributions;
    let parts: Vec<_> = parts.iter().map(|it| it.amount).collect();
    assert_eq!(parts, [150, -100, -5]);
    assert!(
        snapshot.instances[0]
            .contributions
            .iter()
            .any(|it| it.from == Contributor::Order)
    );
    wire.run_until(start + 10 * SECOND);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
    // A new worker has what is left of the time.
    let force = wire[0].engine.standing_orders();
    let until = Some(Instant::from_us(start + 60 * SECOND));
    let ordered = OrderedPriority {
        priority: Priority(50),
        until,
    };
    let expected = InForce {
        drained: None,
        priority: Some(ordered),
    };
    assert_eq!(force["VI_1"], expected);
    wire.run_until(start + 59 * SECOND);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
    wire.run_until(start + 70 * SECOND);
    assert_eq!(wire[0].priority(), 145);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
    assert!(wire[0].logged("the time of the order is over"));
    assert_eq!(wire[0].engine.standing_orders(), BTreeMap::new());
}

fn pair_of_with_uplink(first: Instance) -> Wire {
    let mut one = Node::new(1, first);
    one.others.push(world::other_interface(9, "eth9", true));
    let mut wire = Wire::new([one, Node::new(2, instance(100))]);
    wire.start_node(1);
    wire.run_until(5 * SECOND);
    wire.start_node(0);
    wire.run_until(20_100_000);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
    wire
}

/// As a weight does: without `fast_handover` the peer waits until we are silent.
#[test]
fn a_lower_priority_is_a_question_with_fast_handover_only() {
    for fast_handover in [false, true] {
        let first = Instance {
            fast_handover,
            ..instance(150)
        };
        let mut wire = pair_of(first, instance(100));
        let start = wire.now.as_us();
        wire.order(0, &priority(Some(50), None)).expect("done");
        let asked = wire[0].statistics().pri_zero_sent == 1;
        assert_eq!(asked, fast_handover);
        wire.run_until(start + 10 * SECOND);
        assert_eq!(wire.states(), [State::Backup, State::Master]);
        wire.order(0, &priority(None, None)).expect("taken back");
        wire.run_until(start + 20 * SECOND);
        assert_eq!(wire.states(), [State::Master, State::Backup]);
    }
}

/// What lasts longer than the drain counts after it.
#[test]
fn a_priority_for_a_drained_instance_waits() {
    let mut wire = pair();
    wire.order(0, &drain(false)).expect("a peer is known");
    let done = wire.order(0, &priority(Some(120), None)).expect("done");
    assert_eq!(done, ["VI_1: priority 120 once it is resumed"]);
    assert_eq!(wire[0].priority(), 1);
    wire.order(0, &resume()).expect("drained");
    assert_eq!(wire[0].priority(), 120);
}

#[test]
fn who_has_the_addresses_announces_them_by_order() {
    let mut wire = pair();
    let announced = wire[0].announced.len();
    let order = Order::Announce {
        instance: "VI_1".to_owned(),
    };
    assert_eq!(
        wire.order(0, &order).expect("MASTER"),
        ["VI_1: announces 1 address"]
    );
    assert_eq!(wire[0].announced.len(), announced + 5);
    assert_eq!(wire[0].vips, [VIP]);
    let refused = wire.order(1, &order);
    assert_eq!(refused, Err(Refused::NotMaster(State::Backup)));
    assert!(wire[1].announced.len() <= 10, "while it was MASTER only");
}

#[test]
fn what_cannot_be_is_refused() {
    let mut wire = Wire::new([Node::new(1, instance(150))]);
    assert_eq!(wire.order(0, &drain(true)), Err(Refused::NotRunning));
    wire.start();
    let nobody = Order::Resume {
        instance: Some("VI_2".to_owned()),
    };
    let refused = Err(Refused::NoSuchInstance("VI_2".to_owned()));
    assert_eq!(wire.order(0, &nobody), refused);
    for number in [0, 255] {
        let refused = wire.order(0, &priority(Some(number), None));
        assert_eq!(refused, Err(Refused::BadPriority(number)));
    }
    assert_eq!(
        wire.order(0, &resume()).expect("as it is"),
        ["VI_1: was not drained"]
    );
    let all = Order::Drain {
        instance: None,
        force: false,
    };
    wire.order(0, &all).expect("nobody is MASTER yet");
    assert_eq!(wire[0].priority(), 1);
    wire.stop(0);
    assert_eq!(wire.order(0, &resume()), Err(Refused::NotRunning));
}
