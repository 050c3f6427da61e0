//! What somebody else takes away from a MASTER: healed, given up after a fight, or the
//! reason for an election (`vip_loss`, `vip_loss_limit`; specification F.9).

use keepalived_rs::config::model::{Instance, LossAnswer, LossLimit, VipLoss};
use keepalived_rs::time::Interval;
use keepalived_rs::vrrp::event::Event;
use keepalived_rs::vrrp::state_machine::State;

use crate::DOWN_150;
use crate::sync_groups::{INSIDE_VIP, one_node_of_two_legs};
use crate::world::{Node, VIP, Wire, config, instance};

const SECOND: u64 = 1_000_000;
/// RFC 3768 section 6.1: (256 - 150) / 256 s.
const SKEW_150: u64 = 414_062;
/// Long after it became MASTER.
const CALM: u64 = DOWN_150 + 20 * SECOND;

fn with(answer: LossAnswer, limit: Option<LossLimit>) -> Instance {
    Instance {
        vip_loss: VipLoss { answer, limit },
        ..instance(150)
    }
}

/// A MASTER, alone, in calm.
fn master(instance: Instance) -> Wire {
    let mut wire = Wire::new([Node::new(1, instance)]);
    wire.start();
    wire.run_until(CALM);
    assert_eq!(wire[0].state(), State::Master);
    wire
}

/// Takes the VIP away at each of these times, in microseconds after `CALM`.
fn take_away(wire: &mut Wire, times: impl IntoIterator<Item = u64>) {
    for at in times {
        wire.run_until(CALM + at);
        wire.remove_vip(0);
    }
}

fn reasons(wire: &Wire) -> Vec<String> {
    let snapshot = wire[0].engine.snapshot(wire.now);
    let reasons = snapshot.instances[0].fault_reasons.iter();
    reasons.map(ToString::to_string).collect()
}

#[test]
fn a_loss_is_healed_without_an_election_and_told_once() {
    let mut wire = master(instance(150));
    let (told, sent) = (wire[0].told.len(), wire[0].sent.len());
    let announced = wire[0].announced.len();
    take_away(&mut wire, [0, 1_000]);
    assert_eq!(wire[0].vips, [VIP]);
    wire.run_until(CALM + 500_000);
    assert_eq!(wire[0].state(), State::Master);
    assert_eq!(wire[0].told.len(), told);
    assert!(wire[0].announced.len() > announced);
    assert!(wire[0].sent[sent..].iter().all(|sent| sent.priority == 150));
    let hint = "(VI_1) What others take away from a MASTER is put back: `keepalived-rs drain` \
                moves it to another node";
    assert_eq!(wire[0].times_logged(hint), 1);
    assert_eq!(wire[0].looks_for_culprits, 1);
}

#[test]
fn five_losses_in_ten_seconds_are_a_fight_that_is_given_up() {
    let mut wire = master(instance(150));
    wire.feed(0, Event::Culprits(&["systemd-networkd".to_owned()]));
    take_away(&mut wire, (0..4).map(|n| n * 2 * SECOND));
    assert_eq!(wire[0].state(), State::Master);
    take_away(&mut wire, [8 * SECOND]);
    assert_eq!(wire[0].state(), State::Fault);
    assert!(wire[0].vips.is_empty());
    assert_eq!(wire[0].sent.last().expect("sent").priority, 0);
    let reason = "IP 10.0.0.100 on eth0 was taken away by somebody else 5 times within 10 s \
                  (likely systemd-networkd); tried again after 30 s";
    assert_eq!(reasons(&wire), [reason]);
    assert!(wire[0].logged(&format!("(VI_1) MASTER -> FAULT: {reason}")));

    // By itself after the pause, through BACKUP; the next pause is twice as long.
    wire.run_until(CALM + 38 * SECOND - 1);
    assert_eq!(wire[0].state(), State::Fault);
    wire.run_until(CALM + 38 * SECOND);
    assert_eq!(wire[0].state(), State::Backup);
    assert!(reasons(&wire).is_empty());
    wire.run_until(CALM + 38 * SECOND + DOWN_150);
    assert_eq!((wire[0].state(), wire[0].vips.len()), (State::Master, 1));
    take_away(&mut wire, (0..5).map(|n| 50 * SECOND + n));
    assert_eq!(wire[0].state(), State::Fault);
    assert!(reasons(&wire)[0].ends_with("tried again after 60 s"));
    // Who reloads has mended something.
    wire.reload(0, config([instance(150)]));
    assert_eq!(wire[0].state(), State::Backup);
    wire.run_until(CALM + 51 * SECOND + DOWN_150);
    assert_eq!(wire[0].state(), State::Master);
    // What the pause would have ended ends nothing.
    wire.run_until(CALM + 200 * SECOND);
    assert_eq!(wire[0].state(), State::Master);
}

#[test]
fn losses_that_are_rarer_are_healed_for_ever() {
    let mut wire = master(instance(150));
    take_away(&mut wire, (0..50).map(|n| n * 2_600_000));
    assert_eq!((wire[0].state(), wire[0].vips.len()), (State::Master, 1));
}

#[test]
fn without_a_limit_no_fight_is_given_up() {
    let mut wire = master(with(LossAnswer::Heal, None));
    take_away(&mut wire, (0..1_000).map(|n| n * 1_000));
    assert_eq!((wire[0].state(), wire[0].vips.len()), (State::Master, 1));
}

#[test]
fn the_limit_is_that_of_the_configuration() {
    let limit = LossLimit {
        count: 1,
        within: Interval::from_secs(1),
    };
    let mut wire = master(with(LossAnswer::Heal, Some(limit)));
    take_away(&mut wire, [0]);
    assert_eq!(wire[0].state(), State::Fault);
}

/// As C: priority 0, everything off, and MASTER again after a skew time, if nobody is
/// faster.
#[test]
fn reelect_gives_up_and_is_elected_again() {
    let mut wire = master(with(LossAnswer::Reelect, VipLoss::default().limit));
    let told = wire[0].told.len();
    take_away(&mut wire, [0]);
    assert_eq!(wire[0].state(), State::Backup);
    assert_eq!(wire[0].sent.last().expect("sent").priority, 0);
    assert!(wire[0].vips.is_empty());
    wire.run_until(CALM + SKEW_150 - 1);
    assert_eq!(wire[0].state(), State::Backup);
    wire.run_until(CALM + SKEW_150 + 1);
    assert_eq!((wire[0].state(), wire[0].vips.len()), (State::Master, 1));
    assert_eq!(wire[0].told[told..], ["BACKUP 150", "MASTER 150"]);
    assert!(wire[0].logged("Netlink reflector reports IP 10.0.0.100 removed from eth0, not by us"));
    assert!(!wire[0].logged("putting it back"));
}

/// The other members follow, whichever way it is given up.
#[test]
fn the_group_follows() {
    let limit = LossLimit {
        count: 1,
        within: Interval::from_secs(1),
    };
    for (answer, state) in [
        (LossAnswer::Reelect, State::Backup),
        (LossAnswer::Heal, State::Fault),
    ] {
        let limit = Some(limit);
        let mut wire = one_node_of_two_legs(VipLoss { answer, limit });
        wire.run_until(CALM);
        assert!(wire[0].vips.contains(&INSIDE_VIP.into()));
        take_away(&mut wire, [0]);
        let states: Vec<State> = wire[0].engine.instances().map(|it| it.state).collect();
        assert_eq!(states, [state, state]);
        assert!(wire[0].vips.is_empty());
    }
}
