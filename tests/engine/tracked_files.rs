//! Tracked files and processes: FAULT, weights, delays, and what is told of them.

use std::sync::Arc;

use keepalived_rs::config::model::{
    Config, Instance, ParameterMatch, TrackFile, TrackProcess, TrackedFile, TrackedProcess,
};
use keepalived_rs::time::Interval;
use keepalived_rs::vrrp::event::Event;
use keepalived_rs::vrrp::state_machine::State;

use crate::world::{Node, Wire, config, instance, ms};

fn file(path: &str) -> Arc<TrackedFile> {
    Arc::new(TrackedFile {
        name: "f".into(),
        path: path.into(),
        weight: 1,
        reverse: false,
        initial_value: None,
        overwrite: false,
    })
}

fn with_file(priority: u8, weight: i32) -> Config {
    let mut it: Instance = instance(priority);
    it.track_files.push(TrackFile {
        file: file("/run/f"),
        weight,
        reverse: false,
    });
    Config {
        track_files: vec![file("/run/f")],
        ..config([it])
    }
}

fn process(fork: Interval, terminate: Interval) -> Arc<TrackedProcess> {
    Arc::new(TrackedProcess {
        name: "p".into(),
        program: "haproxy".into(),
        parameters: Vec::new(),
        parameter_match: ParameterMatch::None,
        weight: 0,
        reverse: false,
        quorum: 1,
        quorum_max: None,
        terminate_delay: terminate,
        fork_delay: fork,
        full_command: false,
    })
}

fn with_process(weight: i32, process: &Arc<TrackedProcess>) -> Config {
    let mut it = instance(150);
    it.track_processes.push(TrackProcess {
        process: Arc::clone(process),
        weight,
        reverse: false,
    });
    Config {
        track_processes: vec![Arc::clone(process)],
        ..config([it])
    }
}

fn tell(wire: &mut Wire, value: i32) {
    let file = file("/run/f");
    let file = &*file;
    wire.feed(0, Event::File { file, value });
}

fn count(wire: &mut Wire, process: &TrackedProcess, count: u32) {
    wire.feed(0, Event::Processes { process, count });
}

#[test]
fn a_file_is_waited_for_and_then_there_is_no_sign_of_it() {
    for weight in [0, 1] {
        let mut wire = Wire::new([Node::with(1, with_file(100, weight))]);
        wire.start();
        assert_eq!(wire[0].state(), State::Init);
        assert!(wire[0].log.is_empty());
        let seen = wire[0].engine.snapshot(wire.now);
        assert_eq!(seen.instances[0].awaited_watched, ["file f"]);
        tell(&mut wire, 0);
        assert_eq!(wire[0].state(), State::Backup);
        assert_eq!(wire[0].log_as_c(), ["(VI_1) Entering BACKUP STATE (init)"]);
    }
}

#[test]
fn without_a_weight_any_number_but_zero_is_fault() {
    let mut wire = Wire::new([Node::with(1, with_file(150, 0))]);
    wire.start();
    tell(&mut wire, 3);
    assert_eq!(wire[0].state(), State::Fault);
    assert_eq!(
        wire[0].log_as_c(),
        [
            "(VI_1): entering FAULT state (tracked file f has status -254)",
            "(VI_1) Entering FAULT STATE (init)",
        ]
    );
    tell(&mut wire, 0);
    assert_eq!(wire[0].state(), State::Backup);
    assert!(wire[0].logged("(VI_1): tracked file f leaving FAULT state"));
    wire.run_until(5_000_000);
    assert_eq!(wire[0].state(), State::Master);
    tell(&mut wire, -1);
    assert_eq!(wire[0].state(), State::Fault);
    assert!(wire[0].logged("(VI_1): tracked file f now FAULT state"));
    assert!(wire[0].logged("(VI_1) MASTER -> FAULT: tracked file f has -1 in it"));
    assert_eq!(wire[0].sent.last().expect("sent").priority, 0);
}

#[test]
fn with_a_weight_the_number_moves_the_priority_within_its_limits() {
    let mut wire = Wire::new([Node::with(1, with_file(100, 2))]);
    wire.start();
    for (value, priority, state) in [
        (0, 100, State::Backup),
        (5, 110, State::Backup),
        (-5, 90, State::Backup),
        (1_000, 254, State::Backup),
        (-126, 1, State::Backup),
        (-127, 100, State::Fault),
        (10, 120, State::Backup),
    ] {
        tell(&mut wire, value);
        let found = (wire[0].priority(), wire[0].state());
        assert_eq!(found, (priority, state), "{value}");
    }
    assert!(wire[0].logged("(VI_1) Changing effective priority from 100 to 110"));
}

/// A reload keeps what is known of the same file, and waits for another one; what
/// comes late of the old one does not count.
#[test]
fn a_reload_asks_only_for_what_is_new() {
    let mut wire = Wire::new([Node::with(1, with_file(100, 1))]);
    wire.start();
    tell(&mut wire, 20);
    let reload = |wire: &mut Wire, config: Config| {
        wire.reload(0, config);
    };
    reload(&mut wire, with_file(100, 2));
    assert_eq!(wire[0].priority(), 140);
    let mut other = with_file(100, 1);
    let mut it = Instance::clone(&other.instances[0]);
    it.track_files[0].file = file("/run/g");
    other.instances = vec![Arc::new(Box::new(it))];
    other.track_files = vec![file("/run/g")];
    reload(&mut wire, other);
    assert_eq!(wire[0].priority(), 100);
    tell(&mut wire, 30);
    assert_eq!(wire[0].priority(), 100);
}

/// In C 2.2.7's words, of which those about the file and the priority are for `-D`.
#[test]
fn a_weighted_file_that_leaves_fault_sets_the_priority() {
    let mut wire = Wire::new([Node::with(1, with_file(150, 1))]);
    wire.start();
    tell(&mut wire, 0);
    tell(&mut wire, -254);
    assert_eq!(wire[0].state(), State::Fault);
    wire[0].log.clear();
    tell(&mut wire, 5);
    let expected = [
        "(VI_1): tracked file f leaving FAULT state",
        "(VI_1) Setting effective priority to 155",
        "(VI_1) Entering BACKUP STATE",
    ];
    assert_eq!(wire[0].log_as_c(), expected);
    assert_eq!(wire[0].priority(), 155);
    tell(&mut wire, 6);
    assert!(wire[0].logged("(VI_1) Changing effective priority from 155 to 156"));
}

#[test]
fn a_lost_quorum_is_fault_and_a_gained_one_the_end_of_it() {
    let process = process(Interval::ZERO, Interval::ZERO);
    let mut wire = Wire::new([Node::with(1, with_process(0, &process))]);
    wire.start();
    count(&mut wire, &process, 0);
    assert_eq!(
        wire[0].log_as_c(),
        [
            "(VI_1) entering FAULT state (tracked process p quorum not achieved)",
            "(VI_1) Entering FAULT STATE (init)",
        ]
    );
    count(&mut wire, &process, 1);
    assert!(wire[0].logged("Quorum gained for tracked process p"));
    wire.run_until(5_000_000);
    assert_eq!(wire[0].state(), State::Master);
    count(&mut wire, &process, 2);
    assert_eq!(wire[0].state(), State::Master);
    count(&mut wire, &process, 0);
    assert!(wire[0].logged("Quorum lost for tracked process p"));
    assert_eq!(wire[0].state(), State::Fault);
}

#[test]
fn a_process_that_is_back_within_its_delay_was_never_gone() {
    let process = process(ms(500), ms(3_000));
    let mut wire = Wire::new([Node::with(1, with_process(0, &process))]);
    wire.start();
    count(&mut wire, &process, 1);
    assert_eq!(
        wire[0].state(),
        State::Backup,
        "the first count is not delayed"
    );
    wire.run_until(5_000_000);
    count(&mut wire, &process, 0);
    wire.run_until(7_999_999);
    count(&mut wire, &process, 1);
    wire.run_until(12_000_000);
    assert_eq!(wire[0].state(), State::Master);
    assert!(!wire[0].logged("Quorum lost for tracked process p"));
    count(&mut wire, &process, 0);
    wire.run_until(14_999_999);
    assert_eq!(wire[0].state(), State::Master);
    wire.run_until(15_000_000);
    assert_eq!(wire[0].state(), State::Fault);
    count(&mut wire, &process, 1);
    wire.run_until(15_499_999);
    assert_eq!(wire[0].state(), State::Fault);
    wire.run_until(15_500_000);
    assert_eq!(wire[0].state(), State::Backup);
}

#[test]
fn a_process_with_a_weight_moves_the_priority() {
    let process = process(Interval::ZERO, Interval::ZERO);
    for (weight, up, down) in [(20, 170, 150), (-20, 150, 130)] {
        let mut wire = Wire::new([Node::with(1, with_process(weight, &process))]);
        wire.start();
        count(&mut wire, &process, 1);
        assert_eq!(wire[0].priority(), up);
        count(&mut wire, &process, 0);
        assert_eq!((wire[0].priority(), wire[0].state()), (down, State::Backup));
    }
}
