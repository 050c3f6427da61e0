//! `vrrp_startup_delay` and `vrrp_delay_after_boot` (specification F.2), and A2 of
//! the conformance checklist: nothing is announced before they end.

use keepalived_rs::config::model::Config;
use keepalived_rs::time::Interval;
use keepalived_rs::vrrp::event::Uptime;
use keepalived_rs::vrrp::state_machine::State;

use crate::DOWN_150;
use crate::world::{self, Node, VIP, Wire, config, instance, source};

fn delayed(seconds: u64, priority: u8) -> Config {
    let mut config = config([instance(priority)]);
    config.globals.startup.delay = Interval::from_secs(seconds);
    config
}

#[test]
fn a_backup_listens_for_a_master_after_the_delay() {
    let mut wire = Wire::new([Node::with(1, delayed(5, 150))]);
    wire.start();
    assert_eq!(wire[0].state(), State::Backup);
    assert!(wire[0].logged("Delaying startup for 5 seconds"));
    assert_eq!(wire[0].told, ["BACKUP 150"]);
    wire.run_until(5_000_000 - 1);
    assert!(!wire[0].logged("Delayed start completed"));
    wire.run_until(5_000_000 + DOWN_150 - 1);
    assert!(wire[0].logged("Delayed start completed"));
    assert_eq!(wire[0].state(), State::Backup);
    wire.run_until(5_000_000 + DOWN_150);
    assert_eq!(wire[0].state(), State::Master);
}

#[test]
fn a2_the_owner_begins_and_announces_when_the_delay_ends() {
    let mut wire = Wire::new([Node::with(1, delayed(5, 255))]);
    wire.start();
    wire.run_until(5_000_000 - 1);
    assert_eq!(wire[0].state(), State::Init);
    assert!(wire[0].sent.is_empty() && wire[0].announced.is_empty() && wire[0].told.is_empty());
    wire.run_until(5_000_000);
    assert_eq!(wire[0].state(), State::Master);
    assert_eq!(wire[0].vips, [VIP]);
    assert_eq!(wire[0].told, ["MASTER 255"]);
    assert_eq!(wire[0].announced, [5_000_000; 5]);
}

/// Neither a better master nor one that resigns changes when it takes over.
#[test]
fn adverts_are_not_looked_at_during_the_delay() {
    let mut wire = Wire::new([Node::with(1, delayed(5, 150))]);
    wire.start();
    wire.run_until(4_900_000);
    for priority in [200, 0, 100] {
        wire.inject(0, &world::advert(source(2), priority));
    }
    assert_eq!(wire[0].statistics().advert_rcvd, 0);
    assert_eq!(wire[0].ignored(), 3);
    assert!(wire[0].master().is_none());
    wire.run_until(5_000_000 + DOWN_150);
    assert_eq!(wire[0].state(), State::Master);
}

#[test]
fn a_live_master_of_lower_priority_is_preempted_after_the_delay() {
    let mut wire = Wire::new([Node::with(1, delayed(5, 150)), Node::new(2, instance(100))]);
    wire.start_node(1);
    wire.run_until(10_000_000);
    wire.start_node(0);
    wire.run_until(10_000_000 + 5_000_000 + DOWN_150 - 1);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
    wire.run_until(10_000_000 + 5_000_000 + DOWN_150);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
}

#[test]
fn a_fault_that_ends_during_the_delay_does_not_shorten_it() {
    for priority in [150, 255] {
        let mut wire = Wire::new([Node::with(1, delayed(5, priority))]);
        wire[0].interface.up = false;
        wire.start();
        assert_eq!(wire[0].state(), State::Fault);
        wire.run_until(2_000_000);
        wire.change_interface(0, |interface| interface.up = true);
        assert_eq!(wire[0].state(), State::Backup);
        wire.run_until(5_000_000 + 3_000_000);
        assert_eq!(wire[0].state(), State::Backup, "priority {priority}");
        wire.run_until(5_000_000 + DOWN_150);
        assert_eq!(wire[0].state(), State::Master);
    }
}

#[test]
fn the_delay_after_boot_ends_that_long_after_the_machine_began() {
    let mut config = config([instance(255)]);
    config.globals.startup.delay_after_boot = Interval::from_secs(60);
    let up = |seconds| Uptime {
        daemon: Interval::ZERO,
        machine: Interval::from_secs(seconds),
    };
    let mut wire = Wire::new([Node::with(1, config.clone()), Node::with(2, config.clone())]);
    wire.cut = true;
    wire.set_uptime(0, up(40));
    wire.set_uptime(1, up(61));
    wire.start();
    assert_eq!(wire.states(), [State::Init, State::Master]);
    assert!(wire[0].logged("Delaying startup for 20 seconds"));
    assert!(!wire[1].logged("Delaying startup"));
    wire.run_until(20_000_000);
    assert_eq!(wire[0].state(), State::Master);
}

/// A worker that replaces another one does not wait again.
#[test]
fn the_delay_counts_from_the_start_of_the_daemon() {
    let mut wire = Wire::new([Node::with(1, delayed(5, 255))]);
    wire.set_uptime(
        0,
        Uptime {
            daemon: Interval::from_secs(100),
            ..Uptime::default()
        },
    );
    wire.start();
    assert_eq!(wire[0].state(), State::Master);
}

#[test]
fn a_reload_neither_begins_nor_ends_the_delay() {
    let mut wire = Wire::new([Node::with(1, delayed(5, 255))]);
    wire.start();
    wire.run_until(1_000_000);
    let mut changed = delayed(50, 255);
    changed.instances = world::config([instance(254)]).instances;
    wire.reload(0, changed);
    wire.run_until(5_000_000);
    assert!(wire[0].logged("Delayed start completed"));
    wire.reload(0, delayed(5, 255));
    // The end of the delay is where it began to listen.
    let wait = 3_000_000 + 1_000_000 / 256;
    wire.run_until(5_000_000 + wait - 1);
    assert_eq!(wire[0].state(), State::Backup);
    wire.run_until(5_000_000 + wait + 1);
    assert_eq!(wire[0].state(), State::Master);
}

#[test]
fn a_stop_during_the_delay_is_complete() {
    let mut wire = Wire::new([Node::with(1, delayed(5, 255))]);
    wire.start();
    wire.stop(0);
    assert!(wire[0].stopped);
    assert_eq!(wire[0].told, ["STOP 255"]);
}
