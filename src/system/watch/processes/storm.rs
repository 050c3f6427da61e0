//! More processes than anybody can follow: the count is right afterwards.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::*;
use crate::config::model::{Config, ParameterMatch};
use crate::system::watch::Watcher;
use crate::time::Interval;

fn tracked(name: &str) -> Arc<TrackedProcess> {
    Arc::new(TrackedProcess {
        name: name.to_owned(),
        program: name.to_owned(),
        parameters: Vec::new(),
        parameter_match: ParameterMatch::None,
        weight: 0,
        reverse: false,
        quorum: 1,
        quorum_max: None,
        terminate_delay: Interval::ZERO,
        fork_delay: Interval::ZERO,
        full_command: false,
    })
}

/// A shell under a name that nobody else has, as it holds a number of this process.
/// It is a link: a copy would be open for writing in what another test forks meanwhile,
/// and could not be run for that moment.
fn shell(home: &Path, mark: &str) -> (String, std::path::PathBuf) {
    let name = format!("{mark}{}", std::process::id());
    let program = home.join(&name);
    std::os::unix::fs::symlink("/bin/sh", &program).unwrap();
    (name, program)
}

/// It waits until its input ends.
fn waiting(program: &Path) -> Child {
    let mut command = Command::new(program);
    command.args(["-c", "read line"]).stdin(Stdio::piped());
    command.spawn().unwrap()
}

fn end(mut child: Child) {
    drop(child.stdin.take());
    child.wait().unwrap();
}

/// A tracked program that forks as fast as it can, and is many programs for moments:
/// when all have ended there is none.
#[test]
fn a_storm_of_forks_is_counted_to_its_end() {
    const FORKS: usize = 3_000;
    let home = TempDir::new().unwrap();
    let ((stormy, storm), (last, marker)) = (shell(home.path(), "st"), shell(home.path(), "la"));
    let config = Config {
        track_processes: vec![tracked(&stormy), tracked(&last)],
        ..Config::default()
    };
    let (mut watcher, mut reports) = Watcher::new();
    watcher.watch(&config, true).unwrap();
    let forks = format!("i=0; while [ $i -lt {FORKS} ]; do (:); i=$((i+1)); done");
    let start = || Command::new(&storm).args(["-c", &forks]).spawn().unwrap();
    let storms = [start(), start()];
    let waiter = std::thread::spawn(move || {
        for mut storm in storms {
            assert!(storm.wait().unwrap().success());
        }
        waiting(&marker)
    });
    // The kernel tells in order: of the last program when it has told of all others.
    let (mut most, mut now) = (0, 0);
    loop {
        match reports.blocking_recv() {
            Some(Report::Processes { process, count }) if process.name == stormy => {
                (most, now) = (most.max(count), count);
            }
            Some(Report::Processes { count: 1, .. }) => break,
            Some(Report::Processes { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(most >= 1, "the storm was seen");
    assert_eq!(now, 0);
    end(waiter.join().unwrap());
}

/// What the kernel could not tell is found by a look at all processes.
#[test]
fn lost_events_are_made_up_for() {
    let Ok(connector) = Connector::open() else {
        return;
    };
    // Room for a few events.
    socket2::SockRef::from(&connector)
        .set_recv_buffer_size(1)
        .unwrap();
    let home = TempDir::new().unwrap();
    let (name, program) = shell(home.path(), "lo");
    let orders = Orders::new(vec![tracked(&name)]).unwrap();
    let (reports, mut told) = tokio::sync::mpsc::channel(64);
    let mut count_of_program = || match told.blocking_recv() {
        Some(Report::Processes { count, .. }) => count,
        other => panic!("{other:?}"),
    };
    let mut census = Census::default();
    census.want(vec![tracked(&name)]);
    census.take();
    assert_eq!(census.wanted[0].count, 0);
    let child = waiting(&program);
    for _ in 0..20 {
        Command::new("true").status().unwrap();
    }
    let lost = loop {
        match census.follow(&connector) {
            Ok(true) => {}
            Ok(false) => break None,
            Err(error) => break error.raw_os_error(),
        }
    };
    assert_eq!(lost, Some(libc::ENOBUFS));

    // The thread itself does the same: it looks at first, and again when some are lost.
    for _ in 0..20 {
        Command::new("true").status().unwrap();
    }
    let counting = {
        let orders = Arc::clone(&orders);
        std::thread::spawn(move || count(&orders, &reports, Some(connector)))
    };
    assert_eq!(count_of_program(), 1);
    end(child);
    assert_eq!(count_of_program(), 0);
    orders.end().unwrap();
    counting.join().unwrap().unwrap();
}
