//! Metrics over HTTP: they say what `status` says, under the names that dashboards
//! have; and nobody who asks for them, however badly, costs an advert or the next
//! one's answer.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use keepalived_rs::daemon::metrics::families::{ALL, Family, Kind};
use keepalived_rs::daemon::metrics::{CLIENTS_MAX, REQUEST_MAX};
use serde_json::Value;

use super::lab::{Failure, Lab, Result};
use super::{Daemon, PATIENCE, in_lab, instance, state};

const UNIX: &str = "/run/metrics.sock";
const LOOPBACK: &str = "127.0.0.1:9165";
const SCRAPE: &str = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
const OPEN: &str = "GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text\r\n\r\n";

/// What keepalived-exporter gives to Prometheus, as its dashboards and alerts know it:
/// names and labels.
const EXPORTER: [(&str, &[&str]); 20] = [
    ("keepalived_up", &[]),
    (
        "keepalived_vrrp_state",
        &["iname", "intf", "vrid", "ip_address"],
    ),
    (
        "keepalived_vrrp_excluded_state",
        &["iname", "intf", "vrid", "ip_address"],
    ),
    ("keepalived_gratuitous_arp_delay_total", INSTANCE),
    ("keepalived_advertisements_received_total", INSTANCE),
    ("keepalived_advertisements_sent_total", INSTANCE),
    ("keepalived_become_master_total", INSTANCE),
    ("keepalived_release_master_total", INSTANCE),
    ("keepalived_packet_length_errors_total", INSTANCE),
    ("keepalived_advertisements_interval_errors_total", INSTANCE),
    ("keepalived_ip_ttl_errors_total", INSTANCE),
    ("keepalived_invalid_type_received_total", INSTANCE),
    ("keepalived_address_list_errors_total", INSTANCE),
    ("keepalived_authentication_invalid_total", INSTANCE),
    ("keepalived_authentication_mismatch_total", INSTANCE),
    ("keepalived_authentication_failure_total", INSTANCE),
    ("keepalived_priority_zero_received_total", INSTANCE),
    ("keepalived_priority_zero_sent_total", INSTANCE),
    ("keepalived_script_status", &["name"]),
    ("keepalived_script_state", &["name"]),
];
const INSTANCE: &[&str] = &["iname", "intf", "vrid"];

/// Values by name and labels, as they are written.
type Metrics = BTreeMap<String, f64>;

fn parsed(text: &str) -> Metrics {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
            let value = value.parse().unwrap_or_else(|_| panic!("{line:?}"));
            (name.to_owned(), value)
        })
        .collect()
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

fn connect(daemon: &Daemon, place: &str) -> Result<Box<dyn Stream>> {
    daemon.node.inside(|| {
        let failed = |error: std::io::Error| Failure::new(format!("{place}: {error}"));
        Ok(match place.starts_with('/') {
            true => {
                let stream = UnixStream::connect(place).map_err(failed)?;
                stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
                Box::new(stream) as Box<dyn Stream>
            }
            false => {
                let stream = TcpStream::connect(place).map_err(failed)?;
                stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
                Box::new(stream)
            }
        })
    })
}

/// The header and the body of the answer.
fn asked(daemon: &Daemon, place: &str, request: &[u8]) -> Result<(String, String)> {
    let mut stream = connect(daemon, place)?;
    // It may have been answered, and closed, before it has said everything.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).expect("UTF-8");
    let (header, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok((header.to_owned(), body.to_owned()))
}

fn scrape(daemon: &Daemon, place: &str) -> Result<Metrics> {
    let (header, body) = asked(daemon, place, SCRAPE.as_bytes())?;
    assert!(header.starts_with("HTTP/1.1 200 OK\r\n"), "{header}");
    assert!(header.contains(&format!("Content-Length: {}\r\n", body.len())));
    Ok(parsed(&body))
}

/// What is scraped may be a second old.
fn await_value(daemon: &Daemon, place: &str, name: &str, value: f64) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while scrape(daemon, place)?.get(name) != Some(&value) {
        assert!(Instant::now() < deadline, "{name} is not {value}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn own_file(words: &str) -> String {
    format!("global_defs {{\n{words}\n}}\n")
}

/// A daemon that serves metrics there.
fn serving(lab: &mut Lab, name: &str, number: u8, place: &str, text: &str) -> Result<Daemon> {
    let address = std::net::Ipv4Addr::new(192, 0, 2, number);
    let node = lab.node(name, address, 24)?;
    let words = own_file(&format!("metrics_listen {place}"));
    node.write_file("/run/keepalived-rs.conf", &words)?;
    Daemon::start_on(node, text)
}

const TEXT: &str = "global_defs {
 script_user root
}
vrrp_script chk {
 script /bin/true
 interval 1
}
vrrp_sync_group G {
 group {
  VI_1
 }
}
vrrp_instance VI_1 {
 interface eth0
 virtual_router_id 51
 priority PRIORITY
 garp_master_delay 3
 virtual_ipaddress {
  192.0.2.100/24
 }
 virtual_ipaddress_excluded {
  198.51.100.1/32
 }
 track_script {
  chk
 }
}
";

#[test]
fn metrics_say_what_status_says_under_the_names_of_the_exporter() {
    in_lab(|lab| {
        let unix = format!("unix:{UNIX}");
        let a = serving(lab, "a", 1, &unix, &TEXT.replace("PRIORITY", "150"))?;
        a.json_when("MASTER", |seen| {
            state(seen, 0) == "MASTER" && seen["scripts"][0]["standing"] == "up"
        })?;
        let b = serving(lab, "b", 2, LOOPBACK, &TEXT.replace("PRIORITY", "100"))?;
        b.json_when("BACKUP with a peer", |seen| {
            state(seen, 0) == "BACKUP" && !seen["instances"][0]["master"].is_null()
        })?;
        for (daemon, place, number) in [(&a, UNIX, 2.0), (&b, LOOPBACK, 1.0)] {
            let before = daemon.json(&[])?;
            let metrics = scrape(daemon, place)?;
            let after = daemon.json(&[])?;
            expect_same(&before, &metrics, &after, number);
        }
        // Values of the scripts come and go.
        let metrics = scrape(&a, UNIX)?;
        for (name, labels) in EXPORTER {
            let seen: BTreeSet<Vec<&str>> = metrics
                .keys()
                .filter(|it| it.split('{').next() == Some(name))
                .map(|it| labels_of(it))
                .collect();
            assert_eq!(seen, BTreeSet::from([labels.to_vec()]), "{name}");
        }
        let (header, open) = asked(&a, UNIX, OPEN.as_bytes())?;
        assert!(header.contains("Content-Type: application/openmetrics-text; version=1.0.0"));
        assert!(open.ends_with("\n# EOF\n"));
        expect_every_family(&open);
        let (header, body) = asked(&a, UNIX, b"HEAD /metrics HTTP/1.1\r\n\r\n")?;
        assert!(
            header.starts_with("HTTP/1.1 200") && body.is_empty(),
            "{header}{body}"
        );
        let (_, plain) = asked(&a, UNIX, SCRAPE.as_bytes())?;
        promtool(&plain);
        Ok(())
    });
}

/// The VIP is on a link of our own; the label says where it was asked for.
#[test]
fn a_vip_on_a_virtual_mac_is_installed() {
    in_lab(|lab| {
        let text = instance("VI_1", 1, 255, "use_vmac");
        let a = serving(lab, "a", 1, &format!("unix:{UNIX}"), &text)?;
        a.json_when("MASTER with its VIP", |seen| {
            seen["instances"][0]["vips"][0]["installed"] == true
        })?;
        let labels = r#"iname="VI_1",intf="eth0",vrid="1",ip_address="192.0.2.101""#;
        let name = format!("keepalived_rs_vip_installed{{{labels}}}");
        await_value(&a, UNIX, &name, 1.0)
    });
}

/// The names of the labels of a value.
fn labels_of(value: &str) -> Vec<&str> {
    let labels = value.split_once('{').map_or("", |(_, rest)| rest);
    let names = labels.split("\",").filter_map(|it| it.split_once('='));
    names.map(|(name, _)| name).collect()
}

fn expect_same(before: &Value, metrics: &Metrics, after: &Value, number: f64) {
    let place = r#"iname="VI_1",intf="eth0",vrid="51""#;
    let of = |name: &str| {
        *metrics
            .get(name)
            .unwrap_or_else(|| panic!("no {name}: {metrics:#?}"))
    };
    let is_between = |value: f64, pointer: &str| {
        let [from, to] = [before, after].map(|it| it.pointer(pointer).and_then(Value::as_f64));
        let (from, to) = (from.expect(pointer), to.expect(pointer));
        assert!(
            from <= value && value <= to,
            "{pointer}: {from} {value} {to}"
        );
    };
    assert_eq!(of("keepalived_up"), 1.0);
    assert_eq!(of(&format!("keepalived_rs_state{{{place}}}")), number);
    let vip = format!("{place},ip_address=\"192.0.2.100\"");
    assert_eq!(of(&format!("keepalived_vrrp_state{{{vip}}}")), number);
    let installed = f64::from(u8::from(number == 2.0));
    assert_eq!(
        of(&format!("keepalived_rs_vip_installed{{{vip}}}")),
        installed
    );
    let delay = format!("keepalived_gratuitous_arp_delay_total{{{place}}}");
    assert_eq!(of(&delay), 3.0);
    for (name, pointer) in [
        (
            "keepalived_advertisements_sent_total",
            "/counters/advert_sent",
        ),
        (
            "keepalived_advertisements_received_total",
            "/counters/advert_rcvd",
        ),
        ("keepalived_become_master_total", "/counters/become_master"),
        ("keepalived_rs_priority", "/priority/effective"),
        ("keepalived_rs_base_priority", "/priority/base"),
        ("keepalived_rs_notify_skipped_total", "/notify_skipped"),
    ] {
        let value = of(&format!("{name}{{{place}}}"));
        is_between(value, &format!("/instances/0{pointer}"));
    }
    let cause = before
        .pointer("/instances/0/reason_code")
        .and_then(Value::as_str);
    let to = before.pointer("/instances/0/state").and_then(Value::as_str);
    let labels = format!(
        "{place},to=\"{}\",cause=\"{}\"",
        to.expect("a state"),
        cause.expect("a cause")
    );
    assert_eq!(
        of(&format!("keepalived_rs_transitions_total{{{labels}}}")),
        1.0
    );
    let since = of(&format!(
        "keepalived_rs_last_transition_timestamp_seconds{{{place}}}"
    ));
    let told = before.pointer("/instances/0/since/unix_seconds");
    let told = told.and_then(Value::as_f64).expect("a time");
    assert!((since - told).abs() < 0.1, "{since} {told}");
    let peers = before
        .pointer("/instances/0/peers")
        .and_then(Value::as_array);
    for peer in peers.into_iter().flatten() {
        let address = peer["address"].as_str().expect("an address");
        let name = format!("keepalived_rs_peer_priority{{{place},peer=\"{address}\"}}");
        assert_eq!(Some(of(&name)), peer["priority"].as_f64());
    }
    if number == 2.0 {
        let sent = of(&format!("keepalived_advertisements_sent_total{{{place}}}"));
        let count = of("keepalived_rs_advert_lateness_seconds_count");
        assert!(count >= 1.0 && count <= sent, "{count} of {sent}");
        let all = of("keepalived_rs_advert_lateness_seconds_bucket{le=\"+Inf\"}");
        assert_eq!(count, all);
        assert!(of("keepalived_rs_script_duration_seconds_count{name=\"chk\"}") >= 1.0);
        let last = of("keepalived_rs_script_last_duration_seconds{name=\"chk\"}");
        assert!(last > 0.0 && last < PATIENCE.as_secs_f64());
    }
}

/// How a value of a family is called.
fn names_of(family: &Family) -> Vec<String> {
    let suffixes: &[&str] = match family.kind {
        Kind::Gauge => &[""],
        Kind::Counter => &["_total"],
        Kind::Info => &["_info"],
        Kind::Histogram => &["_bucket", "_sum", "_count"],
        Kind::Summary => &["_sum", "_count"],
    };
    let names = suffixes
        .iter()
        .map(|suffix| format!("{}{suffix}", family.name));
    names.collect()
}

/// Each family is there once, with its values behind it and nothing between them.
fn expect_every_family(text: &str) {
    let heads = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let heads: Vec<&str> = heads.filter_map(|line| line.split(' ').next()).collect();
    let all: Vec<&str> = ALL.iter().map(|family| family.name).collect();
    assert_eq!(heads, all);
    let mut family = None;
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            let name = head.split(' ').next();
            family = ALL.iter().find(|it| Some(it.name) == name);
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let known = family.map(|it| names_of(it)).unwrap_or_default();
            assert!(known.iter().any(|it| it == name), "{line} in {family:?}");
        }
    }
}

/// Prometheus' own judge, where it is installed.
fn promtool(text: &str) {
    let judge = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut judge = match judge {
        Ok(judge) => judge,
        Err(error) => {
            assert!(
                std::env::var_os("CI").is_none(),
                "no promtool in CI: {error}"
            );
            return eprintln!("skipped: promtool is not installed");
        }
    };
    let mut stdin = judge.stdin.take().expect("a pipe");
    stdin.write_all(text.as_bytes()).expect("read");
    drop(stdin);
    let output = judge.wait_with_output().expect("an end");
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_dashboard_asks_for_nothing_that_there_is_not() {
    let text = include_str!("../../etc/grafana/keepalived-rs.json");
    let dashboard: Value = serde_json::from_str(text).expect("JSON");
    let known: BTreeSet<String> = ALL.iter().flat_map(|family| names_of(family)).collect();
    let mut asked = BTreeSet::new();
    let mut waiting = vec![&dashboard];
    while let Some(value) = waiting.pop() {
        match value {
            Value::Object(fields) => waiting.extend(fields.values()),
            Value::Array(items) => waiting.extend(items),
            Value::String(text) => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let words = text.split(|c: char| !is_part(c));
                asked.extend(words.filter(|word| word.starts_with("keepalived_")));
            }
            _ => {}
        }
    }
    assert!(asked.len() > 15, "{asked:?}");
    let unknown: Vec<_> = asked
        .iter()
        .filter(|name| !known.contains(**name))
        .collect();
    assert_eq!(unknown, [&""; 0]);
}

#[test]
fn what_no_script_was_told_of_is_counted() {
    in_lab(|lab| {
        let text = format!(
            "global_defs {{\n script_user root\n}}\ntrack_file tf {{\n file /run/tf\n \
             init_file 0\n}}\n{}",
            instance(
                "VI_1",
                1,
                255,
                "notify /run/tell\n track_file {\n  tf weight 0\n }"
            )
        );
        let node = lab.node("a", std::net::Ipv4Addr::new(192, 0, 2, 1), 24)?;
        // It lasts as long as the test.
        node.write_file("/run/tell", "#!/bin/sh\nexec sleep 60\n")?;
        let words = own_file(&format!("metrics_listen unix:{UNIX}"));
        node.write_file("/run/keepalived-rs.conf", &words)?;
        let a = Daemon::start_on(node, &text)?;
        for number in ["1", "0", "1"] {
            let wanted = if number == "1" { "FAULT" } else { "MASTER" };
            a.json_when("before", |seen| {
                state(seen, 0) != wanted && state(seen, 0) != "INIT"
            })?;
            a.node.write_file("/run/tf", number)?;
            a.json_when(wanted, |seen| state(seen, 0) == wanted)?;
        }
        // While the script of MASTER runs, FAULT, BACKUP and MASTER wait in turn.
        let seen = a.json_when("what was skipped", |seen| {
            seen["instances"][0]["notify_skipped"] == 3
        })?;
        assert_eq!(state(&seen, 0), "FAULT");
        let text = a.text(&["VI_1"])?;
        let line =
            "  Notify      3 changes were not told, as a script still ran and later ones came";
        assert!(text.contains(line), "{text}");
        let name = r#"keepalived_rs_notify_skipped_total{iname="VI_1",intf="eth0",vrid="1"}"#;
        await_value(&a, UNIX, name, 3.0)?;
        Ok(())
    });
}

#[test]
fn metrics_follow_a_reload_and_only_this_machine_gets_them() {
    in_lab(|lab| {
        let text = instance("VI_1", 1, 255, "");
        let a = Daemon::start(lab, "a", 1, &text)?;
        assert!(connect(&a, LOOPBACK).is_err(), "off by default");
        let reload = |words: &str, line: &str| -> Result<()> {
            a.node
                .write_file("/run/keepalived-rs.conf", &own_file(words))?;
            let mark = a.process.line_mark();
            a.process.signal(libc::SIGHUP);
            a.process.await_line_after(mark, PATIENCE, line)?;
            Ok(())
        };
        let there = |place: &str| -> Result<()> {
            let deadline = Instant::now() + PATIENCE;
            while connect(&a, place).is_err() {
                assert!(Instant::now() < deadline, "nobody listens on {place}");
                std::thread::sleep(Duration::from_millis(20));
            }
            assert_eq!(scrape(&a, place)?.get("keepalived_up"), Some(&1.0));
            Ok(())
        };
        let gone = |place: &str| {
            let deadline = Instant::now() + PATIENCE;
            while connect(&a, place).is_ok() {
                assert!(Instant::now() < deadline, "{place} is still there");
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        reload(&format!("metrics_listen {LOOPBACK}"), "Reload complete")?;
        there(LOOPBACK)?;
        reload(&format!("metrics_listen unix:{UNIX}"), "Reload complete")?;
        there(UNIX)?;
        gone(LOOPBACK);
        let wrong = "Invalid metrics_listen '192.0.2.1:9165': only a loopback address is possible";
        reload("metrics_listen 192.0.2.1:9165", wrong)?;
        let seen = a.json_when("a refusal", |seen| {
            seen["daemon"]["reload"]["accepted"] == false
        })?;
        assert_eq!(state(&seen, 0), "MASTER");
        let name = "keepalived_rs_config_last_reload_successful";
        await_value(&a, UNIX, name, 0.0)?;
        reload("metrics_listen [::1]:9165", "Reload complete")?;
        gone(UNIX);
        there("[::1]:9165")?;
        reload("", "Reload complete")?;
        gone("[::1]:9165");
        // Somebody else is there.
        let taken = a
            .node
            .inside(|| Ok(std::net::TcpListener::bind(LOOPBACK).expect("a free port")))?;
        let line = format!("Unable to serve metrics on {LOOPBACK}: Address already in use");
        reload(&format!("metrics_listen {LOOPBACK}"), &line)?;
        drop(taken);
        there(LOOPBACK)?;
        reload(&format!("metrics_listen unix:{UNIX}"), "Reload complete")?;
        there(UNIX)?;
        a.process.signal(libc::SIGTERM);
        a.process.await_end(PATIENCE)?;
        assert!(a.node.read_file_bytes(UNIX).is_err());
        let there = a.node.inside(|| Ok(std::path::Path::new(UNIX).exists()))?;
        assert!(!there, "the socket is taken away at the end");
        Ok(())
    });
}

#[test]
fn who_asks_badly_is_told_so_and_nobody_waits_for_it() {
    in_lab(|lab| {
        let a = serving(lab, "a", 1, LOOPBACK, &instance("VI_1", 1, 255, ""))?;
        a.json_when("MASTER", |seen| state(seen, 0) == "MASTER")?;
        let long = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(REQUEST_MAX));
        for (request, status) in [
            (
                "POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
                "405 Method Not Allowed",
            ),
            ("GET /../etc/passwd HTTP/1.1\r\n\r\n", "404 Not Found"),
            (
                "GET /metrics HTTP/3\r\n\r\n",
                "505 HTTP Version Not Supported",
            ),
            ("\u{16}\u{3}\u{1}\u{2}\r\n\r\n", "400 Bad Request"),
            (
                "{\"version\":1,\"request\":\"status\"}\r\n\r\n",
                "400 Bad Request",
            ),
        ] {
            let (header, body) = asked(&a, LOOPBACK, request.as_bytes())?;
            assert!(
                header.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{header}"
            );
            assert_eq!(body, format!("{status}\n"));
        }
        let exact = long.get(..REQUEST_MAX).unwrap_or_default();
        let (header, _) = asked(&a, LOOPBACK, exact.as_bytes())?;
        assert!(header.starts_with("HTTP/1.1 431 "), "{header}");
        // Some say nothing, some half of it, some do not read, some leave at once.
        let mut deaf = Vec::new();
        for number in 0..100 {
            let mut stream = connect(&a, LOOPBACK)?;
            let said = match number % 4 {
                0 => "",
                1 => "GET /metr",
                _ => SCRAPE,
            };
            let _ = stream.write_all(said.as_bytes());
            deaf.push(stream);
        }
        assert!(deaf.len() < CLIENTS_MAX);
        let begin = Instant::now();
        scrape(&a, LOOPBACK)?;
        assert!(begin.elapsed() < PATIENCE / 4, "{:?}", begin.elapsed());
        // With twice as many there is no place, until the time of the first is over.
        for _ in 0..100 {
            deaf.push(connect(&a, LOOPBACK)?);
        }
        scrape(&a, LOOPBACK)?;
        drop(deaf);
        let stream = a.node.inside(|| {
            let mut stream = TcpStream::connect(LOOPBACK).expect("a daemon");
            stream.write_all(SCRAPE.as_bytes()).expect("a daemon");
            stream.shutdown(Shutdown::Write).expect("a connection");
            Ok(stream)
        })?;
        let mut stream = stream;
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        assert!(text.contains("keepalived_up 1"), "{text}");
        assert_eq!(state(&a.json(&[])?, 0), "MASTER");
        Ok(())
    });
}
