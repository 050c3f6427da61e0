//! `timer_expired_backup`: a MASTER with `nopreempt` that stood still for too long
//! steps back (specification D.7, F.9).

use std::sync::Arc;

use keepalived_rs::config::model::{InitialState, Instance, Notify, SyncGroup};
use keepalived_rs::vrrp::state_machine::State;

use crate::DOWN_150;
use crate::world::{self, Node, Wire, config, instance, source};

/// When a backup of priority 254 takes over after the last advert.
const DOWN_254: u64 = 3_000_000 + 7_812;

fn patient(other: u8) -> Instance {
    let mut config = instance(150);
    config.nopreempt = true;
    config.timer_expired_backup = Some(other);
    config
}

fn master(config: Instance) -> Wire {
    let mut wire = Wire::new([Node::new(1, config)]);
    wire.start();
    wire.run_until(DOWN_150);
    assert_eq!(wire[0].state(), State::Master);
    wire
}

#[test]
fn a_master_steps_back_when_a_backup_must_have_taken_over() {
    for (other, down) in [(254, DOWN_254), (100, 3_000_000 + crate::SKEW_100_US)] {
        let mut wire = master(patient(other));
        wire.stall_until(DOWN_150 + down - 1);
        assert_eq!(wire[0].state(), State::Master, "{other}");
        let mut wire = master(patient(other));
        let sent = wire[0].sent.len();
        wire.stall_until(DOWN_150 + down);
        assert_eq!(wire[0].state(), State::Backup, "{other}");
        assert!(wire[0].vips.is_empty());
        assert_eq!(
            wire[0].sent.len(),
            sent,
            "no advert, not of priority 0 either"
        );
        assert!(wire[0].logged("VRRP thread timer expired 2."));
        assert!(wire[0].logged("(VI_1) Entering BACKUP STATE"));
        // Nobody took over after all.
        wire.run_until(DOWN_150 + down + DOWN_150);
        assert_eq!(wire[0].state(), State::Master);
    }
}

/// The advert of the new master waits in the socket, and is looked at first.
#[test]
fn the_new_master_is_left_alone() {
    let mut wire = master(patient(254));
    wire.stall_with(DOWN_150 + 4_000_000, &world::advert(source(2), 100));
    assert_eq!(wire[0].state(), State::Backup);
    assert!(!wire[0].logged("forcing new election"));
    assert_eq!(wire[0].master().map(|master| master.priority.0), Some(100));

    let mut without = patient(254);
    without.timer_expired_backup = None;
    let mut wire = master(without);
    wire.stall_with(DOWN_150 + 4_000_000, &world::advert(source(2), 100));
    assert_eq!(wire[0].state(), State::Master);
    assert!(wire[0].logged("forcing new election"));
}

#[test]
fn the_whole_group_steps_back() {
    let mut second = patient(254);
    second.name = "VI_2".into();
    second.vrid = keepalived_rs::ids::Vrid::new(52).expect("a VRID");
    second.timer_expired_backup = None;
    let mut config = config([patient(254), second]);
    config.sync_groups.push(Arc::new(SyncGroup {
        name: "G".into(),
        instances: vec!["VI_1".into(), "VI_2".into()],
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
    let mut wire = Wire::new([Node::with(1, config)]);
    wire.start();
    wire.run_until(20_100_000);
    let states =
        |wire: &Wire| -> Vec<State> { wire[0].engine.instances().map(|it| it.state).collect() };
    assert_eq!(states(&wire), [State::Master, State::Master]);
    wire.stall_until(30_000_000);
    assert_eq!(states(&wire), [State::Backup, State::Backup]);
}
