//! Every kind of packet that our daemon sends, judged by a program that shares nothing
//! with it: `tests/verify/packets.py`, in Python without anything besides. Checksums of
//! IP, VRRP and ICMPv6, authentication headers, and the trailers of `auth_hmac`.

use crate::bench::{Bench, PATIENCE, expect, find_program};
use crate::lab::{Context, Failure, Result, isolation};
use crate::wire_format::capture_file;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const VERIFIER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/verify/packets.py");
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const PASSWORD: &str = "secret";
const PRIORITY: u8 = 150;

/// One instance for each kind of advert, VRIDs from 1: what it is to the verifier, and
/// the words of its configuration.
const KINDS: [(&str, &str); 16] = [
    ("v2 ipv4 multicast none plain", ""),
    ("v2 ipv4 multicast PASS plain", "{PASS}"),
    ("v2 ipv4 multicast AH plain", "{AH}"),
    ("v3 ipv4 multicast none pseudo", "version 3"),
    (
        "v3 ipv4 multicast none plain",
        "version 3\nv3_checksum_as_v2",
    ),
    ("v3 ipv6 multicast none pseudo", "{IPV6}"),
    ("v2 ipv4 unicast PASS plain", "{PASS}\n{PEER}"),
    ("v2 ipv4 unicast AH plain", "{AH}\n{PEER}\nunicast_ttl 64"),
    ("v3 ipv4 unicast none pseudo", "version 3\n{PEER}"),
    (
        "v3 ipv4 unicast none old",
        "version 3\n{PEER}\nold_unicast_checksum",
    ),
    ("v3 ipv6 unicast none pseudo", "{IPV6}\n{PEER6}"),
    ("v2 ipv4 multicast trailer plain", "{HMAC}\n}"),
    (
        "v3 ipv4 multicast trailer pseudo",
        "version 3\n{HMAC}\nmode permissive\nanti_replay monotonic\n}",
    ),
    // It only listens for trailers.
    (
        "v3 ipv4 multicast none pseudo",
        "version 3\n{HMAC}\nmode receive-only\n}",
    ),
    (
        "v3 ipv4 unicast trailer pseudo",
        "version 3\n{PEER}\n{HMAC}\n}",
    ),
    ("v3 ipv6 multicast trailer pseudo", "{IPV6}\n{HMAC}\n}"),
];

/// From the first advert to the farewell, with the announcements of the addresses.
pub fn verified(bench: &mut Bench) -> Result<()> {
    let Some(python) = find_program("python3") else {
        expect(std::env::var_os("CI").is_none(), || {
            "python3, which CI requires".to_owned()
        })?;
        isolation::report_skipped("verified", "python3 is not installed");
        return Ok(());
    };
    bench.a.node.enable_ipv6()?;
    bench.b.node.enable_ipv6()?;
    bench.a.start(&configuration(bench))?;
    let observer = &bench.lab.observer;
    for (number, (kind, _)) in (1..).zip(KINDS) {
        let mut mark = observer.beginning();
        for _ in 0..3 {
            let is_it = |advert: &crate::lab::frames::Advert| advert.vrid == number;
            (_, mark) = observer.await_advert(mark, PATIENCE, kind, is_it)?;
        }
    }
    bench.a.stop()?;

    let sightings = bench.lab.observer.since(bench.lab.observer.beginning());
    let sent = sightings.iter().filter(|sighting| {
        let is_ours = sighting.frame.get(6..12) == Some(&bench.a.node.mac().0[..]);
        is_ours && (sighting.advert().is_some() || sighting.announcement().is_some())
    });
    let frames: Vec<&[u8]> = sent.map(|sighting| sighting.frame.as_slice()).collect();
    let lines = verify(&python, &capture_file(&frames))?;
    expect(lines.len() == frames.len(), || {
        format!("a line for each of {} frames, not {lines:?}", frames.len())
    })?;
    let seen: BTreeSet<String> = lines.into_iter().collect();
    let wanted = wanted();
    expect(seen == wanted, || {
        let missing: Vec<_> = wanted.difference(&seen).collect();
        let more: Vec<_> = seen.difference(&wanted).collect();
        format!("exactly what is configured; missing {missing:?}, not expected {more:?}")
    })
}

fn virtual_address(number: usize, ipv6: bool) -> String {
    match ipv6 {
        true => format!("fe80::1:{number}"),
        false => format!("192.0.2.{}", 100 + number),
    }
}

fn configuration(bench: &Bench) -> String {
    let (peer, peer6) = (bench.b.node.address(), bench.b.node.ipv6_address());
    let authentication =
        |kind: &str| format!("authentication {{\nauth_type {kind}\nauth_pass {PASSWORD}\n}}");
    let own6 = bench.a.node.ipv6_address();
    let mut text = String::new();
    for (number, (kind, words)) in (1..).zip(KINDS) {
        let words = words
            .replace("{PASS}", &authentication("PASS"))
            .replace("{AH}", &authentication("AH"))
            .replace("{IPV6}", "version 3\nnative_ipv6")
            .replace("{PEER}", &format!("unicast_peer {{\n{peer}\n}}"))
            .replace(
                "{PEER6}",
                &format!("unicast_src_ip {own6}\nunicast_peer {{\n{peer6}\n}}"),
            )
            .replace(
                "{HMAC}",
                &format!("auth_hmac {{\nkey 7 hex:{KEY}\nactive_key 7"),
            );
        let vip = virtual_address(number, kind.contains("ipv6"));
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "vrrp_instance VI_{number} {{\nstate BACKUP\ninterface eth0\n\
             virtual_router_id {number}\npriority {PRIORITY}\nadvert_int 1\n\
             virtual_ipaddress {{\n{vip}\n}}\n{words}\n}}\n"
        );
    }
    text
}

/// The lines of the verifier, each once.
fn wanted() -> BTreeSet<String> {
    let kinds = (1..).zip(KINDS);
    kinds
        .flat_map(|(number, (kind, _))| {
            let ipv6 = kind.contains("ipv6");
            let announcement = if ipv6 { "neighbour" } else { "arp" };
            [
                format!("{number} {kind} {PRIORITY}"),
                format!("{number} {kind} 0"),
                format!("{announcement} {}", virtual_address(number, ipv6)),
            ]
        })
        .collect()
}

fn verify(python: &Path, capture: &[u8]) -> Result<Vec<String>> {
    let mut command = Command::new(python);
    // Nothing is written beside the program, and nothing of the user's is read.
    command.args(["-B", "-I", VERIFIER, "-"]);
    for (number, (_, words)) in (1..).zip(KINDS) {
        if words.contains("{PASS}") || words.contains("{AH}") {
            command.arg(format!("password {number} {PASSWORD}"));
        }
        if words.contains("{HMAC}") {
            command.arg(format!("key {number} 7 {KEY}"));
        }
        let _: usize = number;
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting python3")?;
    let mut input = child
        .stdin
        .take()
        .ok_or_else(|| Failure::new("no input of python3"))?;
    input.write_all(capture).context("writing to python3")?;
    drop(input);
    let output = child.wait_with_output().context("waiting for python3")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(output.status.success(), || {
        let wrong: Vec<&str> = text.lines().filter(|it| it.starts_with("WRONG")).collect();
        format!("packets without fault, not {wrong:#?}\n{complaint}")
    })?;
    Ok(text.lines().map(str::to_owned).collect())
}
