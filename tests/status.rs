//! `keepalived-rs status` with real daemons in private namespaces: what it tells
//! of masters, backups, faults, groups and scripts, how it fails, and that no
//! client can disturb the adverts. How an answer looks is compared with files;
//! `UPDATE_EXPECTED=1` writes them anew.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "watches real daemons in real time"
)]

mod lab;

#[path = "status/clients.rs"]
mod clients;
#[path = "status/metrics.rs"]
mod metrics;
#[path = "status/orders.rs"]
mod orders;
#[path = "status/rendering.rs"]
mod rendering;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use lab::{Failure, Lab, Node, Process, Result, isolation};

const PATIENCE: Duration = Duration::from_secs(20);

const SOCKET: &str = "/run/keepalived.sock";

/// A daemon on a node.
struct Daemon {
    node: Node,
    process: Arc<Process>,
}

impl Daemon {
    fn start(lab: &mut Lab, name: &str, number: u8, text: &str) -> Result<Self> {
        let node = lab.node(name, Ipv4Addr::new(192, 0, 2, number), 24)?;
        Self::start_on(node, text)
    }

    fn start_on(mut node: Node, text: &str) -> Result<Self> {
        node.write_file("/run/keepalived.conf", text)?;
        let process = Self::run(&mut node)?;
        process.await_line(PATIENCE, "Startup complete")?;
        Ok(Self { node, process })
    }

    fn run(node: &mut Node) -> Result<Arc<Process>> {
        let arguments = ["-n", "-l", "-D", "-f", "/run/keepalived.conf"];
        node.start(&program(), &arguments, &[])
    }

    fn status(&self, arguments: &[&str]) -> Result<Output> {
        status(&self.node, arguments)
    }

    /// The JSON, which has to be there.
    fn json(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.status(&[arguments, &["--json"]].concat())?;
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        Ok(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    /// The JSON, once it is as `wanted`.
    fn json_when(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.json(&[])?;
            if wanted(&seen) {
                return Ok(seen);
            }
            if Instant::now() > deadline {
                return Err(Failure::new(format!("not seen: {what}: {seen:#}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn text(&self, arguments: &[&str]) -> Result<String> {
        let output = self.status(arguments)?;
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(80), "wider than a terminal:\n{text}");
        assert!(
            !text.contains('\u{1b}'),
            "colours, and no terminal: {text:?}"
        );
        Ok(text)
    }
}

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_keepalived-rs"))
}

/// Runs `keepalived-rs status` on a node.
fn status(node: &Node, arguments: &[&str]) -> Result<Output> {
    node.inside(|| {
        let mut command = Command::new(program());
        command.arg("status").args(arguments);
        let output = command.output();
        output.map_err(|error| Failure::new(error.to_string()))
    })
}

/// Runs the body of a test in namespaces of its own, if that can be.
fn in_lab(body: impl FnOnce(&mut Lab) -> Result<()>) {
    if !isolation::is_inside()
        && let Err(why) = isolation::available()
    {
        assert!(std::env::var_os("CI").is_none(), "cannot run in CI: {why}");
        let thread = std::thread::current();
        isolation::report_skipped(thread.name().unwrap_or("a test"), &why.to_string());
        return;
    }
    isolation::isolated(|| {
        let mut lab = Lab::new().unwrap_or_else(|failure| panic!("{failure}"));
        body(&mut lab).unwrap_or_else(|failure| panic!("{failure}"));
    });
}

/// An instance with priority and more lines.
fn instance(name: &str, vrid: u8, priority: u8, more: &str) -> String {
    format!(
        "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n priority {priority}\n \
         virtual_ipaddress {{\n  192.0.2.{}/24\n }}\n {more}\n}}\n",
        100_u8.saturating_add(vrid)
    )
}

fn state(seen: &Value, place: usize) -> &str {
    seen["instances"][place]["state"].as_str().unwrap_or("none")
}

#[test]
fn a_master_and_a_backup_tell_of_each_other() {
    in_lab(|lab| {
        let a = Daemon::start(lab, "a", 1, &instance("VI_1", 51, 150, ""))?;
        let seen = a.json_when("MASTER", |seen| {
            state(seen, 0) == "MASTER" && seen["instances"][0]["vips"][0]["installed"] == true
        })?;
        let b = Daemon::start(lab, "b", 2, &instance("VI_1", 51, 100, ""))?;
        let other = b.json_when("BACKUP with a master", |seen| {
            state(seen, 0) == "BACKUP" && !seen["instances"][0]["master"].is_null()
        })?;

        assert_eq!(seen["version"], 1);
        assert_eq!(seen["daemon"]["version"], env!("CARGO_PKG_VERSION"));
        assert_ne!(seen["daemon"]["host"], "");
        assert_eq!(seen["daemon"]["config_file"], "/run/keepalived.conf");
        assert_eq!(seen["daemon"]["reload"], Value::Null);
        assert!(seen["daemon"]["vrrp_pid"].as_i64() > seen["daemon"]["pid"].as_i64());
        let it = &seen["instances"][0];
        assert_eq!(it["name"], "VI_1");
        assert_eq!(it["vrid"], 51);
        assert_eq!(it["interface"], "eth0");
        assert_eq!(it["source"], "192.0.2.1");
        assert_eq!(it["vrrp_version"], 2);
        assert_eq!(it["priority"]["effective"], 150);
        assert_eq!(it["vips"][0]["address"], "192.0.2.151/24");
        assert_eq!(it["master"], Value::Null);
        assert_eq!(it["contended"], Value::Null);
        let reason = it["reason"].as_str().unwrap_or_default();
        assert!(reason.starts_with("no master heard for 3.4"), "{reason}");
        let ago = it["since"]["seconds_ago"].as_f64().expect("a number");
        let since = it["since"]["unix_seconds"].as_f64().expect("a number");
        assert!((0.0..20.0).contains(&ago), "{ago}");
        let now = std::time::SystemTime::now();
        let now = now
            .duration_since(std::time::UNIX_EPOCH)
            .expect("after 1970");
        let difference = now.as_secs_f64() - since;
        assert!((0.0..60.0).contains(&difference), "{difference}");

        let it = &other["instances"][0];
        assert_eq!(it["master"]["address"], "192.0.2.1");
        assert_eq!(it["master"]["priority"], 150);
        assert_eq!(it["vips"][0]["installed"], false);
        assert_eq!(it["peers"][0]["address"], "192.0.2.1");
        assert_eq!(it["peers"][0]["priority"], 150);
        assert_eq!(it["peers"][0]["advert_seconds"], 1.0);
        assert_eq!(it["peers"][0]["refused"], 0);
        assert!(it["peers"][0]["accepted"].as_u64() > Some(0));

        let text = a.text(&[])?;
        for line in [
            "VI_1  MASTER  since ",
            "\n  VIPs        192.0.2.151/24 installed\n",
            "\n  Priority    150\n",
            "\n  On          eth0, VRID 51, VRRP 2 IPv4 from 192.0.2.1, advert every 1 s\n",
        ] {
            assert!(text.contains(line), "{line:?} in\n{text}");
        }
        let text = b.text(&["VI_1"])?;
        let line =
            "\n  Master      192.0.2.1, priority 150, advert every 1 s; counts as gone after";
        assert!(text.contains(line), "{text}");
        Ok(())
    });
}

#[test]
fn a_fault_tells_what_stands_against_it_and_the_group_goes_with_it() {
    in_lab(|lab| {
        let node = lab.node("a", Ipv4Addr::new(192, 0, 2, 1), 24)?;
        node.write_file("/run/check", "#!/bin/sh\ntest ! -e /run/broken\n")?;
        let text = [
            "global_defs {\n script_user root\n}\n\
             vrrp_sync_group G {\n group {\n  ONE\n  TWO\n }\n}\n\
             vrrp_script chk {\n script /run/check\n interval 1\n}\n"
                .to_owned(),
            instance("ONE", 1, 255, "track_script {\n chk\n }"),
            instance("TWO", 2, 255, ""),
        ];
        let a = Daemon::start_on(node, &text.concat())?;
        a.json_when("both MASTER", |seen| {
            state(seen, 0) == "MASTER" && state(seen, 1) == "MASTER"
        })?;
        a.node.write_file("/run/broken", "")?;
        let seen = a.json_when("both in FAULT", |seen| {
            state(seen, 0) == "FAULT" && state(seen, 1) == "FAULT"
        })?;
        let [one, two] = [0, 1].map(|place| &seen["instances"][place]);
        assert_eq!(one["faults"][0]["code"], "script");
        assert_eq!(one["faults"][0]["subject"], "chk");
        assert_eq!(one["faults"][0]["text"], "script chk fails");
        assert_eq!(two["faults"][0]["code"], "group-member");
        assert_eq!(two["faults"][0]["subject"], "ONE");
        assert_eq!((&one["group"], &two["group"]), (&"G".into(), &"G".into()));
        assert_eq!(seen["groups"][0]["name"], "G");
        assert_eq!(seen["groups"][0]["state"], "FAULT");
        assert_eq!(seen["groups"][0]["members"][1], "TWO");
        let script = &seen["scripts"][0];
        assert_eq!(script["name"], "chk");
        assert_eq!(script["standing"], "down");
        assert_eq!(script["last_run"]["outcome"], "exited");
        assert_eq!(script["last_run"]["number"], 1);
        assert_eq!(script["disabled"], Value::Null);
        assert_eq!(script["tracked_by"].as_array().map(Vec::len), Some(1));
        let text = a.text(&[])?;
        for line in [
            "\n  Fault       script chk fails\n",
            "\n  Fault       ONE of the same sync group is in FAULT\n",
            "\n  VIPs        192.0.2.101/24 not installed\n",
            "\nSync groups\n  G  FAULT  ONE, TWO\n",
            "\nScripts\n  chk  DOWN, exit status 1, ",
        ] {
            assert!(text.contains(line), "{line:?} in\n{text}");
        }
        // What concerns the other one only is left out.
        let two = a.json(&["TWO"])?;
        assert_eq!(two["instances"].as_array().map(Vec::len), Some(1));
        assert_eq!(two["groups"].as_array().map(Vec::len), Some(1));
        assert_eq!(two["scripts"].as_array().map(Vec::len), Some(0));

        a.node.set_interface_up(false)?;
        let seen = a.json_when("the link down", |seen| {
            seen["instances"][1]["faults"][0]["code"] == "link-down"
        })?;
        assert_eq!(seen["instances"][1]["faults"][0]["subject"], "eth0");
        Ok(())
    });
}

#[test]
fn weights_are_named_and_a_script_that_cannot_run_says_why() {
    in_lab(|lab| {
        let node = lab.node("a", Ipv4Addr::new(192, 0, 2, 1), 24)?;
        node.write_file("/run/good", "#!/bin/sh\nexit 0\n")?;
        node.write_file("/run/secret", "not a program")?;
        let text = [
            "global_defs {\n script_user root\n}\n\
             vrrp_script good {\n script /run/good\n interval 1\n weight 20\n}\n\
             vrrp_script lost {\n script /run/lost\n interval 1\n weight -30\n}\n\
             vrrp_script mode {\n script /run/secret\n interval 1\n weight 5\n}\n"
                .to_owned(),
            instance("VI_1", 1, 100, "track_script {\n good\n lost\n mode\n }"),
        ];
        let a = Daemon::start_on(node, &text.concat())?;
        let seen = a.json_when("results of all", |seen| {
            let scripts = seen["scripts"].as_array().expect("an array");
            scripts.iter().all(|it| it["standing"] != "unknown")
        })?;
        let priority = &seen["instances"][0]["priority"];
        assert_eq!(priority["effective"], 90);
        assert_eq!(priority["base"], 100);
        let of = |place: usize| {
            let it = &priority["contributions"][place];
            (it["name"].clone(), it["amount"].clone())
        };
        assert_eq!(of(0), ("good".into(), 20.into()));
        assert_eq!(of(1), ("lost".into(), (-30).into()));
        assert_eq!(of(2), ("mode".into(), 0.into()));
        assert_eq!(seen["scripts"][0]["disabled"], Value::Null);
        assert_eq!(seen["scripts"][1]["disabled"], "No such file or directory");
        assert_eq!(seen["scripts"][2]["disabled"], "Permission denied");
        let text = a.text(&[])?;
        let line = "  Priority    90 = 100 base + 20 script good - 30 script lost + 0 script mode";
        assert!(text.contains(line), "{text}");
        let line = "\n  lost  DOWN, disabled (No such file or directory)\n";
        assert!(text.contains(line), "{text}");
        Ok(())
    });
}

#[test]
fn two_masters_are_told_with_the_reason_and_the_fix() {
    in_lab(|lab| {
        let with = |password: &str| {
            format!("authentication {{\n auth_type PASS\n auth_pass {password}\n }}")
        };
        let a = Daemon::start(lab, "a", 1, &instance("VI_1", 1, 150, &with("one")))?;
        let _b = Daemon::start(lab, "b", 2, &instance("VI_1", 1, 100, &with("two")))?;
        let seen = a.json_when("contended", |seen| {
            !seen["instances"][0]["contended"].is_null()
        })?;
        let it = &seen["instances"][0];
        let contended = &it["contended"];
        assert_eq!(contended["peer"], "192.0.2.2");
        assert_eq!(contended["priority"], 100);
        assert_eq!(contended["fix"], "use the same auth_pass on both nodes");
        let peer = &it["peers"][0];
        assert_eq!(peer["last_refusal"]["reason"], "wrong password");
        assert_eq!(peer["accepted"], 0);
        assert_eq!(peer["refused"], it["counters"]["auth_failure"]);
        let text = a.text(&[])?;
        for line in [
            "\n  CONTENDED   with 192.0.2.2, priority 100, since ",
            "\n              fix: use the same auth_pass on both nodes\n",
        ] {
            assert!(text.contains(line), "{line:?} in\n{text}");
        }
        Ok(())
    });
}

#[test]
fn whoever_asks_for_nothing_that_is_there_is_told_what_is() {
    in_lab(|lab| {
        let mut node = lab.node("a", Ipv4Addr::new(192, 0, 2, 1), 24)?;
        let refused = |node: &Node, arguments: &[&str], code: i32, text: &str| -> Result<()> {
            let output = status(node, arguments)?;
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{said}");
            assert!(said.contains(text), "{text:?} in {said}");
            assert!(output.stdout.is_empty(), "{output:?}");
            Ok(())
        };
        refused(
            &node,
            &[],
            1,
            "No daemon is running: there is no /run/keepalived.sock.",
        )?;
        refused(
            &node,
            &["-s", "blue"],
            1,
            "there is no /run/keepalived/blue/keepalived.sock.",
        )?;
        refused(&node, &["-p", "/run/x.pid"], 1, "there is no /run/x.sock.")?;
        // What a daemon leaves that is killed with everything in it.
        node.inside(|| {
            drop(std::os::unix::net::UnixListener::bind(SOCKET));
            Ok(())
        })?;
        refused(
            &node,
            &[],
            1,
            "the one that made /run/keepalived.sock has died.",
        )?;
        node.write_file("/run/keepalived.conf", &instance("VI_front", 1, 255, ""))?;
        let process = Daemon::run(&mut node)?;
        process.await_line(PATIENCE, "Startup complete")?;
        let mode = node.inside(|| {
            use std::os::unix::fs::PermissionsExt;
            let metadata = std::fs::metadata(SOCKET).expect("the socket");
            Ok(metadata.permissions().mode())
        })?;
        assert_eq!(mode & 0o7777, 0o660);
        let text = "There is no instance 'VI_frnt'. The nearest name is 'VI_front'.";
        refused(&node, &["VI_frnt"], 3, text)?;
        refused(&node, &["VI_frnt", "--json"], 3, text)?;
        refused(&node, &["--no-such-option"], 1, "--no-such-option")?;
        assert!(
            status(&node, &["--socket", SOCKET, "VI_front"])?
                .status
                .success()
        );
        process.signal(libc::SIGTERM);
        process.await_end(PATIENCE)?;
        refused(&node, &[], 1, "there is no /run/keepalived.sock.")?;
        Ok(())
    });
}

#[test]
fn reloads_dead_workers_and_the_lack_of_one_are_told() {
    in_lab(|lab| {
        let a = Daemon::start(lab, "a", 1, &instance("VI_1", 1, 255, ""))?;
        a.json_when("MASTER", |seen| state(seen, 0) == "MASTER")?;
        let reload = |text: &str, line: &str| -> Result<Value> {
            let mark = a.process.line_mark();
            a.node.write_file("/run/keepalived.conf", text)?;
            a.process.signal(libc::SIGHUP);
            a.process.await_line_after(mark, PATIENCE, line)?;
            a.json_when("the reload", |seen| !seen["daemon"]["reload"].is_null())
        };
        let broken = instance("VI_1", 1, 255, "priority banana");
        reload(&broken, "Reload refused")?;
        let seen = a.json_when("a refused reload", |seen| {
            seen["daemon"]["reload"]["accepted"] == false
        })?;
        let reason = seen["daemon"]["reload"]["reason"]
            .as_str()
            .unwrap_or_default();
        assert!(reason.contains("Priority not valid"), "{reason}");
        let text = a.text(&[])?;
        assert!(text.contains("\n  Reload      REFUSED "), "{text}");
        assert!(
            text.contains("\n              (Line 8) (VI_1) Priority not valid!"),
            "{text}"
        );

        reload(&instance("VI_2", 1, 255, ""), "Reload complete")?;
        let seen = a.json_when("an accepted reload", |seen| {
            seen["daemon"]["reload"]["accepted"] == true
        })?;
        assert_eq!(seen["instances"][0]["name"], "VI_2");

        // The socket outlives the worker.
        let worker = seen["daemon"]["vrrp_pid"].as_u64().expect("a number");
        let outer = a.node.outer_id(u32::try_from(worker).expect("a process"))?;
        lab::process::send_signal(outer, libc::SIGKILL)?;
        let seen = a.json_when("a new worker", |seen| {
            seen["daemon"]["vrrp_pid"]
                .as_u64()
                .is_some_and(|pid| pid != worker)
        })?;
        assert_eq!(seen["daemon"]["replaced"], 1);

        let b = Daemon::start(lab, "b", 2, "global_defs {\n router_id b\n}\n")?;
        let seen = b.json(&[])?;
        assert_eq!(seen["daemon"]["vrrp_pid"], Value::Null);
        assert_eq!(seen["daemon"]["without_vrrp"], "no instance is configured");
        let text = b.text(&[])?;
        let line = "\n  VRRP        NOT RUNNING: no instance is configured\n";
        assert!(text.contains(line), "{text}");
        assert_eq!(b.status(&["VI_1"])?.status.code(), Some(3));
        Ok(())
    });
}

#[test]
fn two_daemons_with_pid_files_of_their_own_have_sockets_of_their_own() {
    in_lab(|lab| {
        let mut node = lab.node("a", Ipv4Addr::new(192, 0, 2, 1), 24)?;
        for (name, vrid) in [("one", 1), ("two", 2)] {
            let [file, pid, vrrp] =
                ["conf", "pid", "vrrp.pid"].map(|it| format!("/run/{name}.{it}"));
            node.write_file(&file, &instance(name, vrid, 255, ""))?;
            let arguments = ["-n", "-l", "-f", &file, "-p", &pid, "-r", &vrrp];
            let process = node.start(&program(), &arguments, &[])?;
            process.await_line(PATIENCE, "Startup complete")?;
        }
        for name in ["one", "two"] {
            let output = status(&node, &["-p", &format!("/run/{name}.pid"), "--json"])?;
            let seen: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert_eq!(seen["instances"][0]["name"], name);
        }
        assert!(Path::new("/run").is_dir());
        Ok(())
    });
}
