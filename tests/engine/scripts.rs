//! Check scripts: when they run, and what their results do.

use std::sync::Arc;

use keepalived_rs::config::model::{Command, Instance, Script, TrackScript};
use keepalived_rs::ids::Errno;
use keepalived_rs::vrrp::event::{Event, Outcome};
use keepalived_rs::vrrp::state_machine::State;

use crate::world::{Node, Wire, instance, ms};

const GOOD: Outcome = Outcome::Exited(0);
const BAD: Outcome = Outcome::Exited(3);

fn script(change: impl FnOnce(&mut Script)) -> Arc<Script> {
    let mut script = Script {
        name: "chk".into(),
        command: Command {
            argv: vec!["/usr/bin/check".into()],
            user: None,
        },
        interval: ms(2_000),
        timeout: ms(2_000),
        rise: 1,
        fall: 1,
        init_fail: false,
    };
    change(&mut script);
    Arc::new(script)
}

fn tracking(priority: u8, weight: i32, script: Arc<Script>) -> Instance {
    let mut config = instance(priority);
    config.track_scripts.push(TrackScript {
        script,
        weight,
        reverse: false,
    });
    config
}

#[test]
fn runs_start_at_once_and_then_each_interval() {
    let mut wire = Wire::new([Node::new(1, tracking(100, 2, script(|_| {})))]);
    wire.start();
    wire.run_until(0);
    wire.script(0, GOOD);
    wire.run_until(2_000_000);
    wire.script(0, GOOD);
    wire.run_until(5_000_000);
    let times: Vec<u64> = wire[0].runs.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [0, 2_000_000, 4_000_000]);
}

#[test]
fn an_unweighted_script_is_waited_for_and_its_failure_means_fault() {
    let mut wire = Wire::new([Node::new(1, tracking(100, 0, script(|_| {})))]);
    wire.start();
    wire.run_until(1_000_000);
    assert_eq!(wire[0].state(), State::Init);
    assert!(wire[0].told.is_empty());
    wire.script(0, GOOD);
    assert_eq!(wire[0].state(), State::Backup);
    assert_eq!(
        wire[0].log_as_c(),
        ["VRRP_Script(chk) succeeded", "(VI_1) Entering BACKUP STATE",]
    );
    wire[0].answer = Some(GOOD);
    wire.run_until(7_900_000);
    assert_eq!(wire[0].state(), State::Master);
    wire[0].answer = Some(BAD);
    wire.run_until(8_000_000);
    assert_eq!(wire[0].state(), State::Fault);
    assert_eq!(wire[0].sent.last().expect("sent").priority, 0);
    assert!(wire[0].vips.is_empty());
    assert!(wire[0].logged("Script `chk` now returning 3"));
    assert!(wire[0].logged("VRRP_Script(chk) failed (exited with status 3)"));
    wire[0].answer = Some(GOOD);
    wire.run_until(10_000_000);
    assert_eq!(wire[0].state(), State::Backup);
}

#[test]
fn a_weight_moves_the_vip_when_and_only_when_the_sum_says_so() {
    // The HAProxy pair: 120 against 119, weight 2 on both.
    let both = |priority| Node::new(priority - 118, tracking(priority, 2, script(|_| {})));
    let mut wire = Wire::new([both(120), both(119)]);
    wire[0].answer = Some(GOOD);
    wire[1].answer = Some(GOOD);
    wire.start();
    wire.run_until(0);
    assert_eq!((wire[0].priority(), wire[1].priority()), (122, 121));
    wire.run_until(9_000_000);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
    wire[0].answer = Some(Outcome::Signalled(9));
    wire.run_until(10_000_000);
    assert_eq!(wire[0].priority(), 120);
    assert!(wire[0].logged("(VI_1) Changing effective priority from 122 to 120"));
    assert!(wire[0].logged("VRRP_Script(chk) failed (due to signal 9)"));
    wire.run_until(20_000_000);
    assert_eq!(wire.states(), [State::Backup, State::Master]);
    // Both down: 120 against 119 again.
    wire[1].answer = Some(BAD);
    wire.run_until(30_000_000);
    assert_eq!(wire.states(), [State::Master, State::Backup]);
}

#[test]
fn fall_and_rise_are_counted() {
    let check = script(|it| {
        it.fall = 2;
        it.rise = 2;
    });
    let mut wire = Wire::new([Node::new(1, tracking(100, -20, check))]);
    wire.start();
    let mut seen = Vec::new();
    for (turn, outcome) in [GOOD, BAD, BAD, GOOD, GOOD].into_iter().enumerate() {
        wire.run_until(2_000_000 * turn as u64);
        wire.script(0, outcome);
        seen.push(wire[0].priority());
    }
    assert_eq!(seen, [100, 100, 80, 80, 100]);
}

#[test]
fn a_run_that_takes_too_long_is_ended_and_counts_as_failed_once() {
    let check = script(|it| it.timeout = ms(500));
    let mut wire = Wire::new([Node::new(1, tracking(100, -20, check))]);
    wire.start();
    wire.run_until(499_999);
    assert!(wire[0].ended.is_empty());
    wire.run_until(500_000);
    assert_eq!(wire[0].ended.len(), 1);
    assert_eq!(wire[0].priority(), 80);
    assert!(wire[0].logged("VRRP_Script(chk) timed_out"));
    // It does not die: the next run is skipped.
    wire.run_until(2_000_000);
    assert_eq!(wire[0].runs.len(), 1);
    assert!(wire[0].logged("Track script chk is being timed out, expect idle - skipping run"));
    wire.script(0, GOOD);
    assert_eq!(wire[0].priority(), 80, "a run that timed out has failed");
}

#[test]
fn a_script_that_cannot_be_run_has_failed() {
    let mut wire = Wire::new([Node::new(1, tracking(100, 0, script(|_| {})))]);
    wire.start();
    wire.run_until(0);
    wire.script(0, Outcome::NotRun(Errno(2)));
    assert_eq!(wire[0].state(), State::Fault);
    assert!(wire[0].logged("cannot be run: No such file or directory"));
}

#[test]
fn a_script_that_cannot_be_run_is_told_once_and_shown_until_it_runs() {
    let mut wire = Wire::new([Node::new(1, tracking(100, -20, script(|_| {})))]);
    wire.start();
    wire.run_until(0);
    let refused = |wire: &Wire| wire[0].engine.snapshot(wire.now).scripts[0].refused();
    assert_eq!(refused(&wire), None, "not before it was tried");
    wire.script(0, Outcome::NotRun(Errno(1)));
    assert_eq!((wire[0].priority(), refused(&wire)), (80, Some(Errno(1))));
    wire.run_until(2_000_000);
    wire.script(0, Outcome::NotRun(Errno(1)));
    let told = wire[0].log.iter().filter(|it| it.contains("cannot be run"));
    assert_eq!(told.count(), 1, "once, not every two seconds");
    wire.run_until(4_000_000);
    wire.script(0, GOOD);
    assert_eq!((wire[0].priority(), refused(&wire)), (100, None));
}

#[test]
fn a_script_that_hangs_is_run_again_as_soon_as_it_is_gone() {
    // The limit is the interval, as long as nothing else is said.
    let mut wire = Wire::new([Node::new(1, tracking(100, -20, script(|_| {})))]);
    wire.start();
    wire.run_until(2_000_000);
    assert_eq!((wire[0].priority(), wire[0].ended.len()), (80, 1));
    assert_eq!(wire[0].runs.len(), 1, "not two at a time");
    wire.run_until(2_004_000);
    wire.script(0, Outcome::Signalled(15));
    wire.run_until(2_004_000);
    wire.script(0, GOOD);
    assert_eq!(wire[0].priority(), 100, "as early as it recovered");
    wire.run_until(4_500_000);
    let times: Vec<u64> = wire[0].runs.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [0, 2_004_000, 4_004_000]);
}

#[test]
fn a_run_that_only_takes_its_time_is_not_made_up_for() {
    let check = script(|it| it.timeout = ms(3_000));
    let mut wire = Wire::new([Node::new(1, tracking(100, -20, check))]);
    wire.start();
    wire.run_until(2_500_000);
    assert!(wire[0].logged("Track script chk is already running, expect idle - skipping run"));
    wire.script(0, GOOD);
    wire.run_until(3_900_000);
    assert_eq!(wire[0].runs.len(), 1);
    wire.run_until(4_000_000);
    assert_eq!(wire[0].runs.len(), 2);
}

#[test]
fn weights_add_up_and_are_kept_within_1_and_254() {
    let named = |name: &str| {
        script(|it| {
            it.name = name.into();
            it.command.argv = vec![name.into()];
        })
    };
    let with = |lines: &[(&str, i32, bool)]| {
        let mut config = instance(100);
        config.track_scripts = lines
            .iter()
            .map(|&(name, weight, reverse)| TrackScript {
                script: named(name),
                weight,
                reverse,
            })
            .collect();
        config
    };
    // What C 2.2.7 comes to with the same lines.
    let cases = [
        (with(&[("a", 9, true), ("b", 8, false)]), [GOOD, GOOD], 99),
        (with(&[("a", 9, true), ("b", 8, true)]), [GOOD, BAD], 91),
        (with(&[("a", -9, true), ("b", -8, false)]), [BAD, GOOD], 109),
        (
            with(&[("a", 250, false), ("b", 250, false)]),
            [GOOD, BAD],
            254,
        ),
        (with(&[("a", -150, false), ("b", 0, false)]), [BAD, GOOD], 1),
        (
            with(&[("a", 250, false), ("b", -253, false)]),
            [GOOD, BAD],
            97,
        ),
    ];
    for (config, results, priority) in cases {
        let mut wire = Wire::new([Node::new(1, config)]);
        wire.start();
        wire.run_until(0);
        let runs: Vec<_> = wire[0].runs.iter().map(|(_, id)| *id).collect();
        for (id, outcome) in runs.into_iter().zip(results) {
            wire.feed(0, Event::Script { id, outcome });
        }
        assert_eq!(wire[0].priority(), priority);
    }
}

#[test]
fn init_fail_starts_in_fault_until_rise_successes() {
    let check = script(|it| {
        it.init_fail = true;
        it.rise = 2;
    });
    let mut wire = Wire::new([Node::new(1, tracking(100, 0, check))]);
    wire.start();
    assert_eq!(wire[0].state(), State::Fault);
    wire.run_until(0);
    wire.script(0, GOOD);
    assert_eq!(wire[0].state(), State::Fault);
    wire.run_until(2_000_000);
    wire.script(0, GOOD);
    assert_eq!(wire[0].state(), State::Backup);
}

#[test]
fn a_stop_does_not_wait_for_a_script() {
    let mut wire = Wire::new([Node::new(1, tracking(100, 2, script(|_| {})))]);
    wire.start();
    wire.run_until(10_000);
    wire.stop(0);
    assert!(wire[0].stopped);
    assert_eq!(wire[0].ended.len(), 1);
}

#[test]
fn a_running_backup_timer_moves_with_the_skew_time() {
    let mut wire = Wire::new([Node::new(1, tracking(100, -50, script(|_| {})))]);
    wire.start();
    wire.run_until(1_000_000);
    wire.script(0, BAD);
    // (256 - 50) / 256 s instead of (256 - 100) / 256 s.
    wire.run_until(3_804_686);
    assert_eq!(wire[0].state(), State::Backup);
    wire.run_until(3_804_688);
    assert_eq!(wire[0].state(), State::Master);
}
