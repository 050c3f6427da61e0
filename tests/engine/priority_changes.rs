//! What is told of a change of the effective priority, and to whom
//! (`notify_priority_changes`).

use std::sync::Arc;

use keepalived_rs::config::model::{Command, Script, TrackScript};
use keepalived_rs::vrrp::event::Outcome;
use keepalived_rs::vrrp::state_machine::State;

use crate::world::{Node, Wire, instance, ms};

const GOOD: Outcome = Outcome::Exited(0);
const BAD: Outcome = Outcome::Exited(1);

fn node(told: bool) -> Node {
    let mut config = instance(100);
    config.notify_priority_changes = told;
    config.track_scripts.push(TrackScript {
        script: Arc::new(Script {
            name: "chk".into(),
            command: Command {
                argv: vec!["/usr/bin/check".into()],
                user: None,
            },
            interval: ms(1_000),
            timeout: ms(1_000),
            rise: 1,
            fall: 1,
            init_fail: false,
        }),
        weight: 20,
        reverse: false,
    });
    Node::new(1, config)
}

fn told(wire: &Wire) -> Vec<&str> {
    let calls = wire[0].calls.iter().map(String::as_str);
    calls.filter(|call| call.starts_with("PRIORITY")).collect()
}

#[test]
fn a_backup_and_a_master_tell_of_it() {
    for wanted in [true, false] {
        let mut wire = Wire::new([node(wanted)]);
        wire.start();
        wire.run_until(0);
        wire.script(0, GOOD);
        wire[0].answer = Some(GOOD);
        wire.run_until(5_500_000);
        assert_eq!(wire[0].state(), State::Master);
        wire[0].answer = Some(BAD);
        wire.run_until(6_500_000);
        let all = ["PRIORITY VI_1 BACKUP 120", "PRIORITY VI_1 MASTER 100"];
        assert_eq!(told(&wire), if wanted { &all[..] } else { &[] });
        let states = ["INSTANCE VI_1 BACKUP 100", "INSTANCE VI_1 MASTER 120"];
        let mut calls = wire[0].calls.clone();
        calls.retain(|call| !call.starts_with("PRIORITY"));
        assert_eq!(calls, states, "scripts and mail are not told of it");
    }
}
