//! What a reload touches, and what it leaves alone.

use std::net::Ipv4Addr;

use keepalived_rs::ids::Vrid;
use keepalived_rs::vrrp::plan::plan;
use keepalived_rs::vrrp::state_machine::State;

use crate::world::{Node, Wire, config, instance, vip};

fn second(priority: u8) -> keepalived_rs::config::model::Instance {
    let mut second = instance(priority);
    second.name = "VI_2".into();
    second.vrid = Vrid::new(52).expect("not 0");
    second.virtual_addresses = vec![vip(Ipv4Addr::new(10, 0, 0, 101))];
    second
}

#[test]
fn the_same_configuration_is_an_empty_plan() {
    let one = config([instance(150), second(100)]);
    assert!(plan(&one, one.clone()).is_empty());
}

#[test]
fn an_instance_that_did_not_change_is_not_touched() {
    let mut wire = Wire::new([Node::with(1, config([instance(150), second(150)]))]);
    wire.start();
    wire.run_until(10_000_000);
    let deadline = wire[0].engine.deadline();
    let (told, sent) = (wire[0].told.len(), wire[0].sent.len());
    wire.reload(0, config([instance(150), second(150)]));
    assert_eq!(wire[0].engine.deadline(), deadline);
    assert_eq!((wire[0].told.len(), wire[0].sent.len()), (told, sent));

    // The other one changes: it resigns, begins anew, and takes over later.
    wire.reload(0, config([instance(150), second(151)]));
    assert_eq!(wire[0].state(), State::Master);
    let states: Vec<State> = wire[0].engine.instances().map(|it| it.state).collect();
    assert_eq!(states, [State::Master, State::Backup]);
    assert_eq!(wire[0].vips, [crate::world::VIP]);
    let resigned = wire[0].sent.last().expect("sent");
    assert_eq!((resigned.bytes[21], resigned.priority), (52, 0));
    assert_eq!(wire[0].told.last().map(String::as_str), Some("BACKUP 151"));
    wire.run_until(20_000_000);
    assert_eq!(wire[0].vips.len(), 2);
}

#[test]
fn an_instance_that_is_taken_out_leaves_nothing() {
    let mut wire = Wire::new([Node::with(1, config([instance(150), second(150)]))]);
    wire.start();
    wire.run_until(10_000_000);
    wire.reload(0, config([instance(150)]));
    assert_eq!(wire[0].vips, [crate::world::VIP]);
    assert_eq!(wire[0].sent.last().expect("sent").priority, 0);
    assert_eq!(wire[0].told.last().map(String::as_str), Some("FAULT 150"));
    wire.reload(0, config([]));
    assert!(wire[0].vips.is_empty());
    assert!(wire[0].listening.is_empty());
    assert_eq!(wire[0].engine.deadline(), None);
}

#[test]
fn notify_deleted_tells_of_it_in_any_state() {
    let told = |is_up: bool| {
        let mut deleted = instance(150);
        deleted.notify.tell_deleted = true;
        let mut wire = Wire::new([Node::new(1, deleted)]);
        wire[0].interface.up = is_up;
        wire.start();
        wire.run_until(10_000_000);
        wire.reload(0, config([]));
        wire[0].told.clone()
    };
    assert_eq!(told(true), ["BACKUP 150", "MASTER 150", "DELETED 150"]);
    assert_eq!(told(false), ["FAULT 150", "DELETED 150"]);
}

#[test]
fn an_instance_that_is_put_in_begins() {
    let mut wire = Wire::new([Node::with(1, config([instance(150)]))]);
    wire.start();
    wire.run_until(10_000_000);
    wire.reload(0, config([instance(150), second(100)]));
    wire.run_until(20_000_000);
    let states: Vec<State> = wire[0].engine.instances().map(|it| it.state).collect();
    assert_eq!(states, [State::Master, State::Master]);
}
