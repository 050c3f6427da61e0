//! The files that show the state: their form as the programs that read them
//! want it, and their contents next to those of C keepalived 2.2.7, field by
//! field, in private namespaces.
//!
//! What C prints differently is in three lists with the reason. Everything else
//! must be equal, the order of lines and fields included.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "watches real daemons in real time"
)]

mod lab;

#[path = "dumps/cases.rs"]
mod cases;
#[path = "dumps/readers.rs"]
mod readers;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cases::Case;
use lab::{Failure, Lab, Node, Process, Result, isolation};

const C: &str = "/usr/sbin/keepalived";
const PATIENCE: Duration = Duration::from_secs(20);

/// Lines of `keepalived.data` whose value differs for a reason.
const OTHER_VALUE: [(&str, &str); 11] = [
    ("   Last transition = ", "a time"),
    ("   Read timeout = ", "a time"),
    ("   fd_in ", "a descriptor; ours has one for each interface"),
    (" fd_in ", "a descriptor; ours has one for each interface"),
    ("   MAC = ", "each node has its own"),
    ("   index = ", "each node counts for itself"),
    (
        "   Password = ",
        "C 2.2.7 prints the password, 2.4.3 masks it",
    ),
    ("   Using src_ip = ", "each node has its own"),
    ("   IPv4 address = 192.0.2.", "each node has its own"),
    ("   Check unicast src : ", "C 2.2.7 prints the opposite"),
    ("   Address = ", "each node has its own"),
];

/// Lines of `keepalived.data` that only C has.
const ONLY_C: [(&str, &str); 6] = [
    (
        "   Master router = ff02::12",
        "C has heard no master, and prints the group",
    ),
    ("   Master priority = 0", "as above"),
    (" libnftnl version ", "ours has no such library"),
    (
        "   Not IPv6 forwarding",
        "ours sends no neighbour adverts in this version",
    ),
    (
        "   rp_filter ",
        "C prints it or not; ours does not change it in this version",
    ),
    (
        "   Master router = 224.0.0.18",
        "C has heard no master, and prints the group",
    ),
];

/// Lines of `keepalived_parent.data` whose value differs: C's parent has not
/// resolved these defaults when it prints them.
const UNRESOLVED: [&str; 2] = [
    " Gratuitous ARP lower priority delay = ",
    " Gratuitous ARP lower priority repeat = ",
];

/// What a daemon wrote.
struct Dumps {
    data: String,
    parent: String,
    stats: String,
    json: Option<String>,
}

/// A running daemon on a node.
struct Daemon {
    node: Node,
    process: Arc<Process>,
}

impl Daemon {
    fn start(lab: &mut Lab, name: &str, number: u8, program: &str, text: &str) -> Result<Self> {
        let address = Ipv4Addr::new(192, 0, 2, number);
        Self::start_on(lab.node(name, address, 24)?, program, text)
    }

    /// Where nobody hears it: an owner of the address speaks at once.
    fn start_alone(
        lab: &mut Lab,
        name: &str,
        number: u8,
        program: &str,
        text: &str,
    ) -> Result<Self> {
        let address = Ipv4Addr::new(192, 0, 2, number);
        let node = lab.node(name, address, 24)?;
        node.set_connected(false)?;
        Self::start_on(node, program, text)
    }

    fn start_on(mut node: Node, program: &str, text: &str) -> Result<Self> {
        node.write_file("/run/keepalived.conf", text)?;
        let arguments = ["-n", "-l", "-D", "-f", "/run/keepalived.conf"];
        let pids = ["-p", "/run/keepalived.pid", "-r", "/run/vrrp.pid"];
        let arguments = [&arguments[..], &pids[..]].concat();
        let process = node.start(Path::new(program), &arguments, &[])?;
        Ok(Self { node, process })
    }

    fn ours(lab: &mut Lab, text: &str) -> Result<Self> {
        Self::start(lab, "ours", 1, env!("CARGO_BIN_EXE_keepalived-rs"), text)
    }

    fn await_lines(&self, lines: &[&str]) -> Result<()> {
        for line in lines {
            self.process.await_line(PATIENCE, line)?;
        }
        Ok(())
    }

    /// Asks for every file and reads it when nothing is added to it any more.
    fn dumps(&self, instances: bool) -> Result<Dumps> {
        self.process.signal(libc::SIGUSR1);
        self.process.signal(libc::SIGUSR2);
        self.process.signal(libc::SIGRTMIN() + 2);
        let json = instances.then(|| self.settled("json", |text| text.ends_with("]\n")));
        Ok(Dumps {
            data: self.settled("data", |text| text.contains("-< Interfaces >-"))?,
            parent: self.settled_file("keepalived_parent.data", |text| text.contains(" umask"))?,
            stats: self.settled("stats", |text| text.contains("Priority Zero"))?,
            json: json.transpose()?,
        })
    }

    fn settled(&self, kind: &str, complete: impl Fn(&str) -> bool) -> Result<String> {
        self.settled_file(&format!("keepalived.{kind}"), complete)
    }

    fn settled_file(&self, name: &str, complete: impl Fn(&str) -> bool) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut last = String::new();
        while Instant::now() < deadline {
            let text = self
                .node
                .read_file(&format!("/run/{name}"))
                .unwrap_or_default();
            if complete(&text) && text == last {
                return Ok(text);
            }
            last = text;
            // C fills a file that readers can see already, and says nothing
            // when it is done.
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(Failure::new(format!("no complete {name}: {last:?}")))
    }
}

/// Runs the body of a test in namespaces of its own, if that can be.
fn in_lab(needs_c: bool, body: impl FnOnce(&mut Lab) -> Result<()>) {
    let obstacle = if isolation::is_inside() {
        None
    } else if needs_c && !Path::new(C).exists() {
        Some("C keepalived is not installed".to_owned())
    } else if needs_c && isolation::needs_user_namespace() {
        Some("C keepalived runs scripts as root only".to_owned())
    } else {
        isolation::available().err().map(|it| it.to_string())
    };
    if let Some(why) = obstacle {
        assert!(std::env::var_os("CI").is_none(), "cannot run in CI: {why}");
        let thread = std::thread::current();
        isolation::report_skipped(thread.name().unwrap_or("a test"), &why);
        return;
    }
    isolation::isolated(|| {
        let mut lab = Lab::new().unwrap_or_else(|failure| panic!("{failure}"));
        body(&mut lab).unwrap_or_else(|failure| panic!("{failure}"));
    });
}

/// Starts both with one configuration, without their hearing each other, and
/// compares what they show.
fn compare(case: &Case) {
    in_lab(true, |lab| {
        let master = case
            .master
            .map(|text| Daemon::start(lab, "master", 9, C, text));
        let master = master.transpose()?;
        if let Some(master) = &master {
            master.await_lines(&["Entering MASTER STATE"])?;
        }
        let start = match &master {
            Some(_) => Daemon::start,
            None => Daemon::start_alone,
        };
        let program = env!("CARGO_BIN_EXE_keepalived-rs");
        let ours = start(lab, "ours", 1, program, case.configuration)?;
        let theirs = start(lab, "theirs", 2, C, case.configuration)?;
        for daemon in [&ours, &theirs] {
            daemon.await_lines(case.lines)?;
        }
        if master.is_some() {
            // Two of them: both have taken in the first.
            let mut mark = lab.observer.mark();
            for priority in [254, 254] {
                let observer = &lab.observer;
                let what = "the master's advert";
                let wanted = |advert: &lab::frames::Advert| advert.priority == priority;
                (_, mark) = observer.await_advert(mark, PATIENCE, what, wanted)?;
            }
        }
        let (ours, theirs) = (ours.dumps(true)?, theirs.dumps(true)?);
        assert_same("keepalived.data", &data(&ours.data), &data(&theirs.data));
        assert_same("parent", &parent(&ours.parent), &parent(&theirs.parent));
        assert_same("stats", &stats(&ours.stats), &stats(&theirs.stats));
        assert_same(
            "json",
            &json(&ours.json.unwrap_or_default()),
            &json(&theirs.json.unwrap_or_default()),
        );
        readers::exporter(&ours.data, &ours.stats);
        readers::yaml(&ours.stats);
        Ok(())
    });
}

/// Prints what differs line by line.
fn assert_same(what: &str, ours: &[String], theirs: &[String]) {
    if ours == theirs {
        return;
    }
    let mut difference = String::new();
    for (place, line) in theirs.iter().enumerate() {
        let there = ours.get(place);
        if there != Some(line) {
            let ours: Vec<_> = ours.iter().skip(place).take(6).collect();
            let theirs: Vec<_> = theirs.iter().skip(place).take(6).collect();
            difference = format!("line {place}:\nours {ours:#?}\nC {theirs:#?}");
            break;
        }
    }
    panic!(
        "{what}: {} lines, C has {}: {difference}",
        ours.len(),
        theirs.len()
    );
}

/// The lines of a `.data` file that must be equal.
fn data(text: &str) -> Vec<String> {
    let lines = text.lines();
    let lines = lines.filter(|line| !ONLY_C.iter().any(|(start, _)| line.starts_with(start)));
    lines
        .map(|line| {
            let other = OTHER_VALUE
                .iter()
                .find(|(start, _)| line.starts_with(start));
            other.map_or_else(|| line.to_owned(), |(start, _)| format!("{start}*"))
        })
        .collect()
}

fn parent(text: &str) -> Vec<String> {
    let lines = data(text).into_iter();
    lines
        .map(|line| {
            let unresolved = UNRESOLVED.iter().find(|start| line.starts_with(**start));
            unresolved.map_or(line.clone(), |start| format!("{start}*"))
        })
        .collect()
}

/// Without the block that 2.2.7 does not have; how many adverts were sent and
/// received depends on the moment.
fn stats(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut extension = false;
    for line in text.lines() {
        if !line.starts_with("    ") {
            extension = line == "  Authentication Extension Errors:";
        }
        if extension {
            continue;
        }
        let counter = ["    Sent: ", "    Received: "]
            .into_iter()
            .find(|start| line.starts_with(start));
        lines.push(counter.map_or(line, |start| start).to_owned());
    }
    lines
}

/// The fields in their order; those of 2.4.3 taken out (of the tracked processes of an
/// instance, 2.2.7 prints none), and what depends on the moment replaced.
fn json(text: &str) -> Vec<String> {
    assert!(text.ends_with("]\n"), "{text}");
    assert!(
        serde_json::from_str::<serde_json::Value>(text).is_ok(),
        "{text}"
    );
    let mut text = text.to_owned();
    while let Some(start) = text.find("\"track_process\":[") {
        let length = text[start..].find("],").expect("the end of a list");
        text.replace_range(start..start + length + 2, "");
    }
    let fields = text.split_inclusive(',');
    fields
        .filter(|field| !field.starts_with("\"auth_ext_"))
        .map(|field| {
            let changing = ["\"last_transition\":", "\"advert_sent\":", "\"auth_data\":"];
            let stats = "\"stats\":{\"advert_rcvd\":";
            let named = changing.into_iter().find(|name| field.starts_with(name));
            match named {
                Some("\"last_transition\":") => {
                    let number = field.trim_end_matches(',').rsplit(':').next();
                    let decimals = number.and_then(|it| it.split_once('.'));
                    let decimals = decimals.map(|(_, decimals)| decimals.len());
                    assert_eq!(decimals, Some(6), "{field}");
                    "\"last_transition\":*".to_owned()
                }
                Some(name) => name.to_owned(),
                None if field.starts_with(stats) => stats.to_owned(),
                None => field.to_owned(),
            }
        })
        .collect()
}

macro_rules! same_as_c {
    ($($name:ident;)*) => {$(
        #[test]
        fn $name() {
            compare(&cases::$name());
        }
    )*};
}

mod same_as_c {
    use super::{cases, compare};

    same_as_c! {
        one_instance;
        address_owner;
        without_authentication;
        unicast;
        addresses_with_options;
        several_instances;
        sync_group;
        notify_scripts;
        script_that_adds;
        script_that_subtracts;
        script_that_faults;
        script_that_waits;
        script_with_everything;
        nopreempt;
        gratuitous_arp;
        gratuitous_arp_for_all;
        long_interval;
        multicast_source;
        address_on_another_interface;
        mail;
        definitions;
        backup_of_a_master;
        tracked_files;
        file_that_faults;
        tracked_processes;
        process_that_subtracts_all;
    }
}

/// One instance that is master at once.
const QUICK: &str = "vrrp_instance VI_1 {
    state MASTER
    interface eth0
    virtual_router_id 51
    priority 255
    authentication {
        auth_type PASS
        auth_pass secret12
    }
    virtual_ipaddress {
        192.0.2.100/24
    }
}
";
const QUICK_IS_UP: &str = "gratuitous ARPs on eth0 for 192.0.2.100";

#[test]
fn statistics_are_zero_after_they_were_cleared() {
    in_lab(false, |lab| {
        let daemon = Daemon::ours(lab, QUICK)?;
        daemon.await_lines(&[QUICK_IS_UP])?;
        let count = |name: &str| -> Result<u64> {
            let text = daemon.settled("stats", |text| text.contains("Priority Zero"))?;
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            Ok(line.and_then(|it| it.parse().ok()).unwrap_or(u64::MAX))
        };
        daemon.process.signal(libc::SIGRTMAX() - 1);
        daemon
            .process
            .await_line(PATIENCE, "Printing and clearing VRRP stats for process(")?;
        assert_eq!(
            count("  Became master: ")?,
            1,
            "written before they are cleared"
        );
        daemon.node.remove_file("/run/keepalived.stats")?;
        daemon.process.signal(libc::SIGUSR2);
        daemon
            .process
            .await_line(PATIENCE, "Printing VRRP stats for process(")?;
        assert_eq!(count("  Became master: ")?, 0);
        assert!(count("    Sent: ")? < 10);
        Ok(())
    });
}

#[test]
fn nobody_is_led_to_another_file_and_only_the_owner_may_read() {
    use std::os::unix::fs::{MetadataExt, symlink};
    in_lab(false, |lab| {
        let daemon = Daemon::ours(lab, QUICK)?;
        daemon.await_lines(&[QUICK_IS_UP])?;
        daemon.node.write_file("/run/victim", "precious")?;
        daemon.node.inside(|| {
            for name in [
                "keepalived.data",
                "keepalived_parent.data",
                "keepalived.json",
            ] {
                symlink("/run/victim", format!("/run/{name}")).expect("a link");
            }
            Ok(())
        })?;
        let dumps = daemon.dumps(true)?;
        assert!(dumps.data.contains("VRRP Instance = VI_1"));
        assert_eq!(daemon.node.read_file("/run/victim")?, "precious");
        for secret in [&dumps.data, &dumps.parent, &dumps.stats] {
            assert!(!secret.contains("secret"), "{secret}");
        }
        daemon.node.inside(|| {
            for entry in std::fs::read_dir("/run").expect("/run").flatten() {
                let name = entry.file_name().into_string().unwrap_or_default();
                let others = [".conf", ".sock", ".control", ".last"];
                let is_dump = !others.iter().any(|end| name.ends_with(end));
                if name.starts_with("keepalived") && is_dump {
                    let metadata = entry.metadata().expect("metadata");
                    assert!(metadata.is_file(), "{name}");
                    if !name.ends_with(".pid") {
                        assert_eq!(metadata.mode() & 0o7777, 0o600, "{name}");
                    }
                }
                assert!(!name.starts_with('.'), "{name} is left over");
            }
            Ok(())
        })
    });
}

#[test]
fn a_reader_that_polls_never_sees_half_a_file() {
    in_lab(false, |lab| {
        let daemon = Daemon::ours(lab, &cases::many_instances(60))?;
        daemon.await_lines(&["(VI_60) Entering BACKUP STATE"])?;
        let read = daemon.node.inside(|| {
            let mut seen = 0;
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_secs(3) {
                daemon.process.signal(libc::SIGUSR1);
                for _ in 0..20 {
                    let Ok(text) = std::fs::read_to_string("/run/keepalived.data") else {
                        continue;
                    };
                    seen += 1;
                    assert!(text.contains(" VRRP Instance = VI_60\n"), "half a file");
                    assert!(text.ends_with('\n'), "half a file");
                }
            }
            Ok(seen)
        })?;
        assert!(read > 0, "no file appeared");
        Ok(())
    });
}

#[test]
fn both_events_of_inotify_carry_the_final_name() {
    in_lab(false, |lab| {
        let daemon = Daemon::ours(lab, QUICK)?;
        daemon.await_lines(&[QUICK_IS_UP])?;
        let events = daemon.node.inside(|| {
            let watch = readers::Watch::new(Path::new("/run"));
            daemon.process.signal(libc::SIGRTMIN() + 2);
            Ok(watch.until_closed("keepalived.json", PATIENCE))
        })?;
        let moved = (libc::IN_MOVED_TO, "keepalived.json".to_owned());
        let closed = (libc::IN_CLOSE_WRITE, "keepalived.json".to_owned());
        let of = |event| events.iter().position(|it| *it == event);
        let (moved, closed) = (of(moved), of(closed));
        assert!(moved.is_some() && moved < closed, "{events:?}");
        Ok(())
    });
}

#[test]
fn the_configuration_goes_to_the_log_when_asked_for() {
    in_lab(false, |lab| {
        let mut node = lab.node("ours", Ipv4Addr::new(192, 0, 2, 1), 24)?;
        node.write_file("/run/keepalived.conf", QUICK)?;
        let program = PathBuf::from(env!("CARGO_BIN_EXE_keepalived-rs"));
        let arguments = ["-nld", "-f", "/run/keepalived.conf", "-p", "/run/k.pid"];
        let process = node.start(
            &program,
            &[&arguments[..], &["-r", "/run/v.pid"]].concat(),
            &[],
        )?;
        process.await_line(PATIENCE, "Startup complete")?;
        for line in [
            "------< Global definitions >------",
            " VRRP Instance = VI_1",
            "   Password = ********",
            "   No sockets allocated",
            "------< Interfaces >------",
        ] {
            assert_eq!(process.count_lines(line), 1, "{line}");
        }
        for line in ["   State = MASTER", "secret12"] {
            assert_eq!(process.count_lines(line), 0, "{line}");
        }
        Ok(())
    });
}
