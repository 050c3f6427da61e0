//! The weaknesses that C keepalived once had, tried on this daemon: the page
//! docs/cve-table.md names a test for each, and each of those tests exists.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "watches a real daemon in real time"
)]

mod lab;

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::frames::{Advert, Covers, Mac, Packet, advert_frame, arp_probe};
use lab::{Context, Failure, Lab, Node, Process, Result, isolation};

const PATIENCE: Duration = Duration::from_secs(20);
const PAGE: &str = include_str!("../docs/cve-table.md");
const PROGRAM: &str = env!("CARGO_BIN_EXE_keepalived-rs");

/// MASTER at once.
const CONFIGURATION: &str = "vrrp_instance VI_1 {
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

fn started(lab: &mut Lab) -> Result<(Node, Arc<Process>)> {
    let mut node = lab.node("ours", Ipv4Addr::new(192, 0, 2, 1), 24)?;
    node.write_file("/run/k.conf", CONFIGURATION)?;
    let words = ["-n", "-l", "-D", "-f", "/run/k.conf"];
    let process = node.start(Path::new(PROGRAM), &words, &[])?;
    process.await_line(PATIENCE, "gratuitous ARPs on eth0 for 192.0.2.100")?;
    Ok((node, process))
}

/// Waits for what becomes true by itself.
fn await_that(what: &str, mut there: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !there()? {
        if Instant::now() > deadline {
            return Err(Failure::new(format!("not seen: {what}")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The mask that the daemon is started with does not matter; `-u` does for the state
/// files, as in C keepalived, and for nothing else.
#[test]
fn whatever_the_mask_says_nobody_else_may_write_a_file_of_ours() {
    in_lab(|lab| {
        for (number, (options, dump)) in [("", 0o600), ("-u 0", 0o666)].into_iter().enumerate() {
            let number = u8::try_from(number).context("small")?;
            modes(lab, number, options, dump)?;
        }
        Ok(())
    });
}

/// Starts a daemon without any mask, and looks at all that it writes.
fn modes(lab: &mut Lab, number: u8, options: &str, dump: u32) -> Result<()> {
    let address = Ipv4Addr::new(192, 0, 2, 1 + number);
    let mut node = lab.node(&format!("node{number}"), address, 24)?;
    // Each is MASTER of its own.
    node.set_connected(false)?;
    node.write_file("/run/k.conf", CONFIGURATION)?;
    let line = format!("umask 0; exec {PROGRAM} -n -l -D -f /run/k.conf {options}");
    let process = node.start(Path::new("/bin/sh"), &["-c", &line], &[])?;
    process.await_line(PATIENCE, "gratuitous ARPs on eth0 for 192.0.2.100")?;
    let mode = |path: &str| {
        let of = |path: &str| std::fs::metadata(path).context(path.to_owned());
        node.inside(|| of(path).map(|found| found.mode() & 0o777))
    };
    for (signal, path) in [
        (libc::SIGUSR1, "/run/keepalived.data"),
        (libc::SIGUSR2, "/run/keepalived.stats"),
        (libc::SIGRTMIN() + 2, "/run/keepalived.json"),
    ] {
        process.signal(signal);
        await_that(path, || Ok(mode(path).is_ok()))?;
        assert_eq!(mode(path)?, dump, "{path} with '{options}'");
    }
    for path in ["/run/keepalived.pid", "/run/vrrp.pid"] {
        assert_eq!(mode(path)?, 0o644, "{path} with '{options}'");
    }
    assert_eq!(mode("/run/keepalived.sock")?, 0o660, "with '{options}'");
    Ok(())
}

#[test]
fn a_file_that_somebody_prepared_learns_nothing() {
    in_lab(|lab| {
        let (node, process) = started(lab)?;
        let path = "/run/keepalived.data";
        node.write_file(path, "")?;
        let mut prepared = node.inside(|| {
            std::os::unix::fs::chown(path, Some(65534), Some(65534)).context(path)?;
            std::fs::File::open(path).context(path)
        })?;
        process.signal(libc::SIGUSR1);
        await_that("the state", || {
            Ok(node.read_file(path)?.contains("VRRP Instance = VI_1"))
        })?;
        let found = node.inside(|| std::fs::metadata(path).context(path))?;
        assert_eq!((found.uid(), found.mode() & 0o777), (0, 0o600));
        let mut learned = String::new();
        prepared.read_to_string(&mut learned).context(path)?;
        assert_eq!(learned, "", "what was there is left as it was");
        Ok(())
    });
}

/// An advert with a wrong password.
fn forged(source: Ipv4Addr) -> Vec<u8> {
    advert_frame(&Advert {
        source_mac: Mac([2, 0, 0, 0, 9, 9]),
        source: IpAddr::V4(source),
        destination: IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18)),
        time_to_live: 255,
        version: 2,
        vrid: 51,
        priority: 255,
        auth_type: 1,
        advert_interval: Duration::from_secs(1),
        addresses: vec![IpAddr::V4(Ipv4Addr::new(192, 0, 2, 100))],
        auth_data: b"guessed1".to_vec(),
        checksum: Some(Covers::Message),
    })
}

/// What the daemon counts as failed authentication.
fn refused(node: &Node) -> Result<u64> {
    let output = node.inside(|| {
        let mut command = Command::new(PROGRAM);
        command.args(["status", "--json"]);
        command.output().context("status")
    })?;
    let seen: serde_json::Value = serde_json::from_slice(&output.stdout).context("JSON")?;
    Ok(seen["instances"][0]["counters"]["auth_failure"]
        .as_u64()
        .unwrap_or_default())
}

#[test]
fn made_up_senders_do_not_fill_the_log_and_no_socket_fills_up() {
    in_lab(|lab| {
        let (node, process) = started(lab)?;
        for number in 0..400_u16 {
            let [high, low] = number.to_be_bytes();
            lab.observer
                .send(&forged(Ipv4Addr::new(192, 0, high, low)))?;
            let asked = Ipv4Addr::new(192, 0, 2, low);
            lab.observer
                .send(&arp_probe(Mac([2, 0, 0, 0, 9, 9]), asked))?;
            // In steps that fit into any receive buffer.
            if number % 50 == 49 {
                let so_far = u64::from(number) + 1;
                await_that("each is counted", || Ok(refused(&node)? == so_far))?;
            }
        }
        let lines = process.count_lines("received an invalid passwd from");
        assert!(lines <= 2, "{lines} lines");
        // Sockets that only send would keep what they are given.
        for file in ["/proc/net/raw", "/proc/net/raw6", "/proc/net/packet"] {
            await_that(file, || Ok(waiting(&read_inside(&node, file)?, file) == 0))?;
        }
        Ok(())
    });
}

/// A file of /proc that is another one for each process.
fn read_inside(node: &Node, file: &str) -> Result<String> {
    let output = node.inside(|| Command::new("cat").arg(file).output().context("cat"))?;
    let text = String::from_utf8(output.stdout).context("UTF-8")?;
    // Without IPv6 there is no file for it.
    assert!(
        !text.is_empty() || file.ends_with('6'),
        "{file}: {output:?}",
        output = output.status
    );
    Ok(text)
}

/// How much waits to be read in all sockets of such a file.
fn waiting(table: &str, file: &str) -> u64 {
    let rows = table.lines().skip(1).map(str::split_whitespace);
    let of = |mut words: std::str::SplitWhitespace<'_>| match file {
        "/proc/net/packet" => words.nth(6).and_then(|text| text.parse().ok()),
        _ => words
            .nth(4)
            .and_then(|text| u64::from_str_radix(text.split_once(':')?.1, 16).ok()),
    };
    rows.filter_map(of).sum()
}

#[test]
fn what_waits_is_read_from_the_tables_of_the_kernel() {
    let raw = "  sl  local_address rem_address   st tx_queue rx_queue tr\n \
               112: 00000000:0070 00000000:0000 07 00000000:00000300 00:00000000 0\n";
    assert_eq!(waiting(raw, "/proc/net/raw"), 0x300);
    let packet = "sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n\
                  0000000000000000 3      3    0003   2     1 768      0      19\n";
    assert_eq!(waiting(packet, "/proc/net/packet"), 768);
}

/// Names without a letter, where C once counted backwards from the first.
#[test]
fn empty_names_are_answered() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("k.conf");
    for line in [
        "vrrp_ipsets \"\"",
        "vrrp_ipsets a \"\"",
        "vrrp_iptables \"\"",
        "vrrp_iptables \"\" \"\"",
        "nftables \"\"",
        "router_id \"\"",
        "vrrp_notify_fifo \"\"",
        "smtp_server \"\"",
    ] {
        let text = format!("global_defs {{\n    {line}\n}}\n{CONFIGURATION}");
        std::fs::write(&file, text).expect("written");
        let output = Command::new(PROGRAM)
            .arg("-t")
            .arg("-f")
            .arg(&file)
            .output();
        let code = output.expect("it runs").status.code();
        assert!(code.is_some_and(|code| code < 8), "{line}: {code:?}");
    }
}

/// No policy for D-Bus, no file that root runs for others.
#[test]
fn nothing_that_is_installed_gives_rights_to_others() {
    for path in files("systemd").into_iter().chain(files("etc")) {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let is_policy = path.parent().is_some_and(|it| it.ends_with("etc/dbus-1"));
        let of_policies = ["busconfig", "send_destination"].into_iter();
        let words = of_policies.filter(|_| !is_policy);
        for word in words.chain(["setuid", "NOPASSWD"]) {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
        let mode = std::fs::metadata(&path).expect("there").mode();
        assert_eq!(mode & 0o6000, 0, "{}", path.display());
    }
}

/// Each rule is about our own service, what is not allowed is denied, and what
/// everybody may do is to look.
#[test]
fn the_policy_of_dbus_is_about_our_service_alone() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/dbus-1/org.keepalived.Vrrp1.conf");
    let text = std::fs::read_to_string(path).expect("the policy");
    let (_, rules) = text.split_once("<busconfig>").expect("a policy");
    let everybody = rules
        .split("<policy user=\"root\">")
        .next()
        .expect("a part");
    assert!(
        everybody
            .trim_start()
            .contains("<policy context=\"default\">")
    );
    let mut elements = everybody.split('<').filter(|it| !it.starts_with("!--"));
    let mut kinds = Vec::new();
    for element in rules.split('<').map(str::trim) {
        if element.starts_with("allow") || element.starts_with("deny") {
            let ours = [
                "own=\"org.keepalived.Vrrp1\"",
                "send_destination=\"org.keepalived.Vrrp1\"",
            ];
            assert!(ours.iter().any(|it| element.contains(it)), "{element}");
            assert!(!element.contains('*'), "{element}");
        }
    }
    for element in elements
        .by_ref()
        .filter(|it| it.starts_with("allow") || it.starts_with("deny"))
    {
        kinds.push(element.starts_with("deny"));
        let looks = ["Introspectable", "Peer", "Properties"];
        let looks = looks
            .iter()
            .any(|it| element.contains(&format!("send_interface=\"org.freedesktop.DBus.{it}\"")));
        assert!(looks || element.starts_with("deny"), "{element}");
    }
    assert_eq!(
        kinds,
        [true, true, false, false, false],
        "denied before it is allowed"
    );
}

/// Signals are read from a descriptor: nothing runs at a moment of their choice.
#[test]
fn no_code_runs_inside_of_a_signal() {
    for path in files("src") {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        for line in text.lines() {
            let sets = ["sigaction(", "libc::signal(", "signal_hook"];
            let sets = sets.iter().any(|word| line.contains(word));
            let known = line.contains("SIG_DFL") || line.contains("SIG_IGN");
            assert!(!sets || known, "{}: {line}", path.display());
        }
    }
}

/// All files below a directory of the project.
fn files(place: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(place)];
    while let Some(directory) = open.pop() {
        let entries = std::fs::read_dir(directory).expect("a directory");
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found
}

/// The rows of the page: what is in the last cell, as file and name of a test.
fn named(page: &str) -> Vec<Vec<(&str, &str)>> {
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.ends_with(" Tests |"));
    rows.map(|row| {
        let cell = row.trim_end_matches(['|', ' ']).rsplit(" | ").next();
        let quoted = cell.unwrap_or_default().split('`').skip(1).step_by(2);
        let tests = quoted.map(|text| text.rsplit_once(": ").unwrap_or(("", text)));
        tests.collect()
    })
    .collect()
}

#[test]
fn each_row_of_the_page_names_tests_that_exist() {
    let rows = named(PAGE);
    assert!(rows.len() > 20, "{} rows", rows.len());
    for tests in rows {
        assert!(!tests.is_empty(), "a row without a test");
        for (file, name) in tests {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(has_test(&text, name), "{file} has no test {name}");
        }
    }
}

/// Whether a source has this test; `a::b` is the test `b` in the module `a`.
fn has_test(source: &str, name: &str) -> bool {
    let (module, name) = name.split_once("::").unwrap_or(("", name));
    let source = match source.split_once(&format!("mod {module} {{")) {
        Some((_, inner)) if !module.is_empty() => inner,
        _ if module.is_empty() => source,
        _ => return false,
    };
    // The supervisor's tests are a list, because they have no harness.
    if source.contains("const CASES:") && source.contains(&format!("\"{name}\"")) {
        return true;
    }
    let wanted = format!("fn {name}(");
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| line.starts_with(&wanted));
    at.is_some_and(|at| {
        let before = lines[..at].iter().rev();
        let mut attributes = before.take_while(|line| line.starts_with("#["));
        attributes.any(|line| *line == "#[test]")
    })
}

#[test]
fn a_row_that_names_nothing_is_found() {
    let page = "| Weakness | Reference | Here | Tests |\n|---|---|---|---|\n\
                | a | b | c `x` | `tests/a.rs: one`, `src/b.rs: m::two` |\n| a | b | c | none |\n";
    let first = vec![("tests/a.rs", "one"), ("src/b.rs", "m::two")];
    assert_eq!(named(page), [first, vec![]]);
    let source = "#[test]\nfn one() {\nmod m {\n    #[test]\n    fn two() {\nfn three() {\n";
    for (name, there) in [
        ("one", true),
        ("m::two", true),
        ("three", false),
        ("n::two", false),
    ] {
        assert_eq!(has_test(source, name), there, "{name}");
    }
}

/// The frames of this file are what they are meant to be.
#[test]
fn the_forged_advert_is_an_advert() {
    let frame = forged(Ipv4Addr::new(192, 0, 2, 9));
    assert!(matches!(lab::frames::parse(&frame), Packet::Vrrp(advert) if advert.priority == 255));
}
