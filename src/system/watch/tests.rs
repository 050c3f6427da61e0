//! Real files and real processes, as the threads see them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;

use super::*;
use crate::config::model::{LinkbeatMethod, ParameterMatch};
use crate::system::testing::{in_namespace, ip, make_cable};
use crate::time::Interval;

fn tracked(path: &Path) -> TrackedFile {
    TrackedFile {
        name: "f".into(),
        path: path.to_str().unwrap().into(),
        weight: 1,
        reverse: false,
        initial_value: None,
        overwrite: false,
    }
}

fn with_file(file: TrackedFile) -> Config {
    Config {
        track_files: vec![Arc::new(file)],
        ..Config::default()
    }
}

/// The next number that is told. Each one is told once, so that a wrong one in
/// between is seen.
fn next(reports: &mut Receiver<Report>) -> i32 {
    match reports.blocking_recv() {
        Some(Report::File { value, .. }) => value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_way_to_change_a_file_is_seen() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("file");
    let (mut watcher, mut reports) = Watcher::new();
    watcher.watch(&with_file(tracked(&path)), false).unwrap();
    assert_eq!(next(&mut reports), 0, "missing");
    fs::write(&path, "5").unwrap();
    assert_eq!(next(&mut reports), 5, "written");
    fs::write(home.path().join("new"), "-7 and more\n").unwrap();
    fs::rename(home.path().join("new"), &path).unwrap();
    assert_eq!(next(&mut reports), -7, "replaced");
    fs::rename(&path, home.path().join("old")).unwrap();
    assert_eq!(next(&mut reports), 0, "moved away");
    fs::rename(home.path().join("old"), &path).unwrap();
    assert_eq!(next(&mut reports), -7, "moved back");
    fs::remove_file(&path).unwrap();
    assert_eq!(next(&mut reports), 0, "removed");
    fs::write(home.path().join("other"), "8").unwrap();
    fs::write(&path, "99999999999").unwrap();
    fs::write(&path, "0x11").unwrap();
    assert_eq!(next(&mut reports), 17, "the others do not count");
}

#[test]
fn directories_may_come_and_go() {
    let home = TempDir::new().unwrap();
    let directory = home.path().join("a/b");
    let path = directory.join("file");
    let (mut watcher, mut reports) = Watcher::new();
    watcher.watch(&with_file(tracked(&path)), false).unwrap();
    assert_eq!(next(&mut reports), 0);
    for round in 1..3 {
        fs::create_dir_all(&directory).unwrap();
        fs::write(&path, round.to_string()).unwrap();
        assert_eq!(next(&mut reports), round);
        fs::remove_dir_all(home.path().join("a")).unwrap();
        assert_eq!(next(&mut reports), 0);
    }
}

/// As Kubernetes shows a configuration: a link in the directory is exchanged.
#[test]
fn links_are_followed() {
    let home = TempDir::new().unwrap();
    for (name, value) in [("one", "1"), ("two", "2")] {
        fs::create_dir(home.path().join(name)).unwrap();
        fs::write(home.path().join(name).join("file"), value).unwrap();
    }
    symlink("one", home.path().join("data")).unwrap();
    symlink("data/file", home.path().join("file")).unwrap();
    let (mut watcher, mut reports) = Watcher::new();
    let path = home.path().join("file");
    watcher.watch(&with_file(tracked(&path)), false).unwrap();
    assert_eq!(next(&mut reports), 1);
    symlink("two", home.path().join("next")).unwrap();
    fs::rename(home.path().join("next"), home.path().join("data")).unwrap();
    assert_eq!(next(&mut reports), 2);
    fs::write(home.path().join("two/file"), "3").unwrap();
    assert_eq!(next(&mut reports), 3);
}

#[test]
fn a_file_is_written_first_only_as_asked() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("file");
    let first = |value, overwrite| TrackedFile {
        initial_value: Some(value),
        overwrite,
        ..tracked(&path)
    };
    for (file, initialise, expected) in [
        (first(4, true), false, 0),
        (first(5, false), true, 5),
        (first(6, false), true, 5),
        (first(7, true), true, 7),
        (tracked(&path), true, 7),
    ] {
        let (mut watcher, mut reports) = Watcher::new();
        watcher.watch(&with_file(file.clone()), initialise).unwrap();
        assert_eq!(next(&mut reports), expected, "{file:?}");
        // A reload tells of all again, and writes nothing.
        fs::remove_file(&path).ok();
        watcher.watch(&with_file(first(9, true)), true).unwrap();
        let last = std::iter::repeat_with(|| next(&mut reports)).find(|it| *it == 0);
        assert_eq!(last, Some(0));
        if expected != 0 {
            fs::write(&path, expected.to_string()).unwrap();
        }
    }
}

/// Ends its process when dropped.
struct Sleeper(Child);

impl Sleeper {
    fn start(program: &Path) -> Self {
        Self(Command::new(program).arg("1000").spawn().unwrap())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn processes(name: &str, program: &str, parameters: &[&str]) -> Arc<TrackedProcess> {
    Arc::new(TrackedProcess {
        name: name.into(),
        program: program.into(),
        parameters: parameters.iter().map(|it| (*it).to_owned()).collect(),
        parameter_match: match parameters {
            [] => ParameterMatch::None,
            _ => ParameterMatch::Exact,
        },
        weight: 0,
        reverse: false,
        quorum: 1,
        quorum_max: None,
        terminate_delay: Interval::ZERO,
        fork_delay: Interval::ZERO,
        full_command: false,
    })
}

/// By whichever way this machine allows.
#[test]
fn processes_are_counted_as_they_come_and_go() {
    let home = TempDir::new().unwrap();
    // Nobody else has this name, as it holds a number of this process.
    let name = format!("ka{}", std::process::id());
    let program = home.path().join(&name);
    // A copy could not be run while what another test forks holds it open for writing.
    std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
    let with = program.to_str().unwrap();
    let config = Config {
        track_processes: vec![
            processes("by-name", &name, &[]),
            processes("by-path", with, &["1000"]),
            processes("others", with, &["2000"]),
        ],
        ..Config::default()
    };
    let first = Sleeper::start(&program);
    let (mut watcher, mut reports) = Watcher::new();
    watcher.watch(&config, true).unwrap();
    let mut counts = std::collections::BTreeMap::new();
    let mut until = |expected: u32| {
        let wanted = [("by-name", expected), ("by-path", expected), ("others", 0)];
        let wanted = wanted.map(|(name, count)| (name.to_owned(), count));
        while counts != wanted.clone().into() {
            match reports.blocking_recv() {
                Some(Report::Processes { process, count }) => {
                    counts.insert(process.name.clone(), count);
                }
                other => panic!("{other:?}"),
            }
        }
    };
    until(1);
    let second = Sleeper::start(&program);
    until(2);
    drop(first);
    until(1);
    drop(second);
    until(0);
}

/// A veth has no transceiver, so that what asks for MII gets what works. An interface
/// that is gone is told of by the kernel.
#[test]
fn links_are_polled_each_in_its_way() {
    in_namespace(|| {
        make_cable();
        let methods = [
            None,
            Some(LinkbeatMethod::Mii),
            Some(LinkbeatMethod::Ethtool),
            Some(LinkbeatMethod::Ioctl),
        ];
        for method in methods {
            let (mut watcher, mut reports) = Watcher::new();
            let config = Config {
                linkbeat_interfaces: vec![LinkbeatInterface {
                    interface: "left".into(),
                    method,
                }],
                ..Config::default()
            };
            watcher.watch(&config, false).unwrap();
            let mut next = || match reports.blocking_recv() {
                Some(Report::Link { interface, up }) if interface == "left" => up,
                other => panic!("{method:?}: {other:?}"),
            };
            assert!(next(), "{method:?}");
            ip("link set right down");
            assert!(!next(), "{method:?}");
            // Nothing is told while it is gone, and all is new when it is back.
            ip("link del left");
            make_cable();
            assert!(next(), "{method:?}");
        }
    });
}
