//! Packets that no daemon sends: truncated, oversized, with wrong counts and with
//! every field wrong, badly signed and sent again, one at a time and ten thousand a
//! second. Nobody may lose or win an address by them, every one is counted and none
//! accepted, and the log stays readable.

use crate::authentication;
use crate::bench::{Bench, Machine, PATIENCE, Program, VIP, VRID, configuration, expect};
use crate::families::{Speech, VIP_GLOBAL, VIP_LINK_LOCAL};
use crate::lab::frames::{Advert, Covers, PROTOCOL_VRRP, advert_message, ip_frame};
use crate::lab::{Context, Failure, Mac, Mark, Result, isolation};
use keepalived_rs::wire::auth::ah;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

const STATISTICS: &str = "/run/keepalived.stats";
/// Sent of each kind when they are counted.
const EACH: usize = 5;
/// Frames of the flood: ten thousand a second for two seconds.
const FLOOD: usize = 20_000;
/// Frames that are sent in one go.
const BATCH: usize = 100;
const BATCH_PERIOD: Duration = Duration::from_millis(10);
/// Different frames by scapy, which the flood repeats.
const BY_SCAPY: usize = 2_000;
/// The one that Debian's packages belong to.
const PYTHON: &str = "/usr/bin/python3";
const SCAPY_SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/compat/hostile_packets.py"
);
/// One line for each reason, and the few that the daemon has to say besides.
const LINES_MAX: usize = 20;
const STRANGER: Mac = Mac([2, 0, 0, 0, 0, 99]);
/// The most that fits into an Ethernet frame behind either IP header, and behind that
/// of IPv4 with an authentication header.
const PAYLOAD_MAX: usize = 1456;
const ETHERNET_LENGTH: usize = 14;

const ERRORS: &str = "Packet Errors";
const AUTHENTICATION: &str = "Authentication Errors";

/// Puts the headers before a message.
type Frame = fn(&Advert, &[u8]) -> Vec<u8>;

/// A frame with one thing wrong, and where it is counted in the statistics file:
/// section and line, none for what is not in that file.
struct Forgery {
    frame: Vec<u8>,
    counter: Option<(&'static str, &'static str)>,
    reaches: Reach,
}

/// Which nodes hear a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Both,
    First,
    Second,
}

impl Forgery {
    fn new(frame: Vec<u8>, counter: Option<(&'static str, &'static str)>) -> Self {
        Self {
            frame,
            counter,
            reaches: Reach::Both,
        }
    }
}

/// Version 2 with a password.
pub fn version_2(bench: &mut Bench) -> Result<()> {
    bench.start(&configuration(150, ""), &configuration(100, ""))?;
    let right = Advert {
        source_mac: STRANGER,
        source: Ipv4Addr::new(192, 0, 2, 99).into(),
        destination: Ipv4Addr::new(224, 0, 0, 18).into(),
        time_to_live: 255,
        version: 2,
        vrid: VRID,
        // Whoever believes it gives the address up.
        priority: 200,
        auth_type: 1,
        advert_interval: Duration::from_secs(1),
        addresses: vec![VIP.into()],
        auth_data: b"1111".to_vec(),
        checksum: Some(Covers::Message),
    };
    let mut forgeries = early(&right, framed);
    forgeries.extend(late(&right, bench.a.node.address().into(), framed));
    let mut add = |advert: Advert, section, counter| {
        let frame = framed(&advert, &advert_message(&advert));
        forgeries.push(Forgery::new(frame, Some((section, counter))));
    };
    let auth = |auth_type| Advert {
        auth_type,
        ..right.clone()
    };
    add(auth(9), AUTHENTICATION, "Invalid Type");
    add(auth(0), AUTHENTICATION, "Type Mismatch");
    let password = Advert {
        auth_data: b"1112".to_vec(),
        ..right.clone()
    };
    add(password, AUTHENTICATION, "Failure");
    let interval = Advert {
        advert_interval: Duration::from_secs(7),
        ..right.clone()
    };
    add(interval, ERRORS, "Advertisement Interval");
    let second = Duration::from_secs(1);
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    withstand(bench, &right, framed, &forgeries, second)?;
    bench.expect_holder(&bench.a)?;
    bench.stop()
}

/// Version 2 with the authentication header: unsigned, signed with nothing, with
/// another password, by another sender, and sent again.
pub fn signed(bench: &mut Bench) -> Result<()> {
    bench.start(&authentication::signed(150), &authentication::signed(100))?;
    let right = Advert {
        source_mac: STRANGER,
        source: Ipv4Addr::new(192, 0, 2, 99).into(),
        destination: Ipv4Addr::new(224, 0, 0, 18).into(),
        time_to_live: 255,
        version: 2,
        vrid: VRID,
        priority: 200,
        auth_type: 2,
        advert_interval: Duration::from_secs(1),
        addresses: vec![VIP.into()],
        auth_data: Vec::new(),
        checksum: Some(Covers::Message),
    };
    let message = advert_message(&right);
    const FAILURE: Option<(&str, &str)> = Some((AUTHENTICATION, "Failure"));
    const MISMATCH: Option<(&str, &str)> = Some((AUTHENTICATION, "Type Mismatch"));
    let mut forgeries = early(&right, with_header);
    // The signature is wrong before anything else is.
    for mut forgery in late(&right, bench.a.node.address().into(), with_header) {
        forgery.counter = FAILURE;
        forgeries.push(forgery);
    }
    forgeries.push(Forgery::new(framed(&right, &message), MISMATCH));
    let of_another_password = |index| {
        let mut frame = with_header(&right, &message);
        ah::sign(b"2222", index, u32::MAX, &mut frame[ETHERNET_LENGTH..]);
        frame
    };
    for index in [0xc000_0263, 5] {
        forgeries.push(Forgery::new(of_another_password(index), FAILURE));
    }

    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    let (_, mark) = bench.await_advert(bench.lab.observer.mark(), &bench.a, 150)?;
    bench.await_advert(mark, &bench.a, 150)?;
    let heard = bench.lab.observer.since(bench.lab.observer.beginning());
    let mut recorded = heard.iter().filter(|sighting| sighting.advert().is_some());
    let mut frame = recorded
        .next()
        .map(|sighting| sighting.frame.clone())
        .ok_or_else(|| Failure::new("no advert was recorded"))?;
    frame[6..12].copy_from_slice(&STRANGER.0);
    forgeries.push(Forgery {
        frame,
        counter: FAILURE,
        // The kernel of the first node does not believe that it sent it.
        reaches: Reach::Second,
    });
    withstand(
        bench,
        &right,
        with_header,
        &forgeries,
        Duration::from_secs(1),
    )?;
    bench.expect_holder(&bench.a)?;
    bench.stop()
}

/// Version 3 over IPv4.
pub fn version_3(bench: &mut Bench) -> Result<()> {
    let target = bench.a.node.address().into();
    version_3_on(bench, Speech::V3, target)
}

/// Version 3 over IPv6.
pub fn ipv6(bench: &mut Bench) -> Result<()> {
    bench.a.node.enable_ipv6()?;
    bench.b.node.enable_ipv6()?;
    let speech = Speech {
        ipv6: true,
        ..Speech::V3
    };
    let target = bench.a.node.link_local().into();
    version_3_on(bench, speech, target)
}

fn version_3_on(bench: &mut Bench, speech: Speech, target: IpAddr) -> Result<()> {
    let [file_a, file_b] = speech.configurations(bench, "");
    bench.start(&file_a, &file_b)?;
    let ends: [IpAddr; 2] = match speech.ipv6 {
        true => [
            Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99).into(),
            Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12).into(),
        ],
        false => [
            Ipv4Addr::new(192, 0, 2, 99).into(),
            Ipv4Addr::new(224, 0, 0, 18).into(),
        ],
    };
    let right = Advert {
        source_mac: STRANGER,
        source: ends[0],
        destination: ends[1],
        time_to_live: 255,
        version: 3,
        vrid: VRID,
        priority: 200,
        auth_type: 0,
        advert_interval: speech.interval(),
        addresses: match speech.ipv6 {
            true => vec![VIP_LINK_LOCAL.into(), VIP_GLOBAL.into()],
            false => vec![VIP.into()],
        },
        auth_data: Vec::new(),
        checksum: Some(Covers::PseudoHeader),
    };
    let mut forgeries = early(&right, framed);
    forgeries.extend(late(&right, target, framed));
    speech.await_holder(bench, bench.lab.observer.beginning(), &bench.a)?;
    withstand(bench, &right, framed, &forgeries, speech.interval())?;
    speech.expect_holder(bench, &bench.a)?;
    bench.stop()
}

/// What scapy makes of both versions, at ten thousand frames a second.
pub fn from_scapy(bench: &mut Bench) -> Result<()> {
    let found = Command::new(PYTHON).args(["-c", "import scapy"]).output();
    if !found.is_ok_and(|output| output.status.success()) {
        let thread = thread::current();
        let name = thread.name().unwrap_or("a test");
        isolation::report_skipped(name, "python3-scapy is not installed");
        return Ok(());
    }
    let version_3 = Speech::V3.configurations(bench, "");
    let version_2 = [150, 100].map(|priority| configuration(priority, ""));
    for (version, files, interval) in [
        ("2", version_2, Duration::from_secs(1)),
        ("3", version_3, Speech::V3.interval()),
    ] {
        let frames = made_by_scapy(version)?;
        let beginning = bench.lab.observer.mark();
        let [file_a, file_b] = &files;
        bench.start(file_a, file_b)?;
        bench.await_holder(beginning, &bench.a)?;
        let (mark, began) = (bench.lab.observer.mark(), Instant::now());
        in_batches(|number| bench.lab.observer.send(&frames[number % frames.len()]))?;
        expect_unmoved(bench, mark, began, interval)?;
        bench.expect_holder(&bench.a)?;
        bench.stop()?;
    }
    Ok(())
}

fn made_by_scapy(version: &str) -> Result<Vec<Vec<u8>>> {
    let (vrid, vip, number) = (VRID.to_string(), VIP.to_string(), BY_SCAPY.to_string());
    let output = Command::new(PYTHON)
        .args([SCAPY_SCRIPT, version, &vrid, &vip, &number])
        .output()
        .context(PYTHON)?;
    let octets = |line: &str| -> Option<Vec<u8>> {
        let pairs = line.as_bytes().chunks(2).map(std::str::from_utf8);
        pairs
            .map(|pair| u8::from_str_radix(pair.ok()?, 16).ok())
            .collect()
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let frames: Option<Vec<Vec<u8>>> = text.lines().map(octets).collect();
    let frames = frames.filter(|frames| frames.len() == BY_SCAPY);
    frames.ok_or_else(|| Failure::new(String::from_utf8_lossy(&output.stderr)))
}

/// What is found before any authentication is looked at, in any version and family.
fn early(right: &Advert, frame: Frame) -> Vec<Forgery> {
    let message = advert_message(right);
    let mut forgeries = Vec::new();
    let mut add = |advert: &Advert, message: &[u8], counter: Option<&'static str>| {
        let counter = counter.map(|name| (ERRORS, name));
        forgeries.push(Forgery::new(frame(advert, message), counter));
    };
    add(right, &[], None);
    add(right, &message[..7], None);
    for length in [8, message.len() - 1] {
        add(right, &message[..length], Some("Length"));
    }
    let mut oversized = message.clone();
    oversized.resize(PAYLOAD_MAX, 0);
    add(right, &oversized, Some("Length"));
    for count in [0, 255] {
        let mut miscounted = message.clone();
        miscounted[3] = count;
        add(right, &miscounted, Some("Length"));
    }
    let far = Advert {
        time_to_live: 254,
        ..right.clone()
    };
    add(&far, &advert_message(&far), Some("TTL"));
    let foreign = Advert {
        vrid: VRID + 1,
        ..right.clone()
    };
    add(&foreign, &advert_message(&foreign), None);
    for version in [0, 1, 5 - right.version, 15] {
        let mut other = advert_message(right);
        other[0] = version << 4 | 1;
        // Both versions lie apart in length too, which is looked at first.
        match (right.version, version) {
            (2, 3) => other.truncate(other.len() - 8),
            (3, 2) => other.resize(other.len() + 8, 0),
            _ => {}
        }
        add(right, &other, None);
    }
    forgeries
}

/// What is found after that. `target` is the first node.
fn late(right: &Advert, target: IpAddr, frame: Frame) -> Vec<Forgery> {
    let direct = Advert {
        destination: target,
        ..right.clone()
    };
    let damaged = Advert {
        checksum: None,
        ..right.clone()
    };
    let mut mistyped = advert_message(right);
    mistyped[0] = right.version << 4 | 2;
    let of = |advert: &Advert| frame(advert, &advert_message(advert));
    vec![
        Forgery {
            frame: of(&direct),
            counter: Some((ERRORS, "Address List")),
            reaches: Reach::First,
        },
        Forgery::new(of(&damaged), None),
        Forgery::new(frame(right, &mistyped), Some((ERRORS, "Invalid Type"))),
    ]
}

fn framed(advert: &Advert, message: &[u8]) -> Vec<u8> {
    let ends = [advert.source, advert.destination];
    let ttl = advert.time_to_live;
    ip_frame(advert.source_mac, ends, ttl, PROTOCOL_VRRP, message)
}

/// The same behind an authentication header whose signature is nothing.
fn with_header(advert: &Advert, message: &[u8]) -> Vec<u8> {
    let ends = [advert.source, advert.destination];
    let mut payload = vec![PROTOCOL_VRRP, 4, 0, 0];
    if let IpAddr::V4(source) = advert.source {
        payload.extend(source.octets());
    }
    payload.extend([0xff; 4]);
    payload.extend([0x5a; 12]);
    payload.extend(message);
    let ttl = advert.time_to_live;
    ip_frame(advert.source_mac, ends, ttl, ah::IP_PROTOCOL, &payload)
}

/// First each forgery some times, counted; then the flood.
fn withstand(
    bench: &Bench,
    right: &Advert,
    frame: Frame,
    forgeries: &[Forgery],
    interval: Duration,
) -> Result<()> {
    let mark = bench.lab.observer.mark();
    let lines = [&bench.a, &bench.b].map(|it| it.daemon().map(|daemon| daemon.line_mark()));
    let [lines_a, lines_b] = lines;
    for _ in 0..EACH {
        for forgery in forgeries {
            bench.lab.observer.send(&forgery.frame)?;
        }
    }
    for machine in [&bench.a, &bench.b] {
        if machine.program == Program::Ours {
            expect_counted(machine, forgeries, std::ptr::eq(machine, &bench.a))?;
        }
    }
    let began = Instant::now();
    flood(bench, right, frame, forgeries)?;
    for (machine, before) in [(&bench.a, lines_a?), (&bench.b, lines_b?)] {
        // It also tells each time that it writes its statistics.
        let unasked = |line: &str| !line.contains("Printing VRRP stats");
        let said = machine.daemon()?.count_lines_after(before, unasked);
        if machine.program == Program::Ours {
            expect(said <= LINES_MAX, || {
                format!("at most {LINES_MAX} lines, not {said}")
            })?;
        }
    }

    expect_unmoved(bench, mark, began, interval)
}

/// After a flood that began at `began`: nobody has accepted any of it, nobody but the
/// first node was heard since `mark`, and it never fell out of its rhythm.
fn expect_unmoved(bench: &Bench, mark: Mark, began: Instant, interval: Duration) -> Result<()> {
    expect_nothing_accepted(bench)?;
    bench
        .lab
        .observer
        .await_advert(bench.lab.observer.mark(), PATIENCE, "an advert", |_| true)?;
    let adverts = bench.lab.observer.adverts_since(mark);
    for (_, advert) in &adverts {
        let own = advert.source_mac == bench.a.node.mac() && advert.priority == 150;
        expect(own, || format!("adverts of the first node, not {advert:?}"))?;
    }
    if bench.a.program == Program::Ours {
        let late = Duration::from_millis(100) + bench.lab.canary.worst_since(began);
        for pair in adverts.windows(2) {
            let gap = pair[1].0.saturating_duration_since(pair[0].0);
            expect(gap <= interval + late, || {
                format!("an advert every {interval:?} (+ {late:?}), not after {gap:?}")
            })?;
        }
    }
    Ok(())
}

/// Forgeries and noise in turn.
fn flood(bench: &Bench, right: &Advert, frame: Frame, forgeries: &[Forgery]) -> Result<()> {
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    in_batches(|number| {
        if number % 2 == 0 {
            let message = noise.message(right);
            bench.lab.observer.send(&frame(right, &message))
        } else {
            let forgery = &forgeries[number / 2 % forgeries.len()];
            bench.lab.observer.send(&forgery.frame)
        }
    })
}

/// Calls `send` for each frame of the flood, ten thousand times a second.
fn in_batches(mut send: impl FnMut(usize) -> Result<()>) -> Result<()> {
    let mut due = Instant::now();
    for number in 0..FLOOD {
        if number % BATCH == 0 {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            due += BATCH_PERIOD;
        }
        send(number)?;
    }
    Ok(())
}

/// Random octets, the same in every run (xorshift64).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A message that begins right, so that something looks at the rest.
    fn message(&mut self, right: &Advert) -> Vec<u8> {
        let length = self.next() as usize % 200;
        let mut message: Vec<u8> = (0..length).map(|_| self.next() as u8).collect();
        let start = [right.version << 4 | 1, right.vrid];
        for (octet, right) in message.iter_mut().zip(start) {
            *octet = right;
        }
        message
    }
}

/// After everything: the first node has accepted no advert at all, the second none but
/// those of the first.
fn expect_nothing_accepted(bench: &Bench) -> Result<()> {
    let beginning = bench.lab.observer.beginning();
    for machine in [&bench.a, &bench.b] {
        if machine.program != Program::Ours {
            continue;
        }
        let text = statistics(machine)?;
        let received = counter(&text, "Advertisements", "Received");
        let real = bench.lab.observer.adverts_since(beginning).len();
        let is_right = match std::ptr::eq(machine, &bench.a) {
            true => received == Some(0),
            false => received.is_some_and(|received| (1..=real).contains(&received)),
        };
        let node = machine.node.name();
        expect(is_right, || {
            format!("no forgery among {real} real adverts accepted on {node}, not\n{text}")
        })?;
    }
    Ok(())
}

/// Checks the statistics file: each forgery in its place, and nothing else.
fn expect_counted(machine: &Machine, forgeries: &[Forgery], is_first: bool) -> Result<()> {
    let deaf = if is_first {
        Reach::Second
    } else {
        Reach::First
    };
    let lines: [(&str, &[&str]); 2] = [
        (
            ERRORS,
            &[
                "Length",
                "TTL",
                "Invalid Type",
                "Advertisement Interval",
                "Address List",
            ],
        ),
        (
            AUTHENTICATION,
            &["Invalid Type", "Type Mismatch", "Failure"],
        ),
    ];
    let mut wanted: Vec<(&str, &str, usize)> = Vec::new();
    for (section, names) in lines {
        for &name in names {
            let of_this = forgeries
                .iter()
                .filter(|it| it.counter == Some((section, name)) && it.reaches != deaf);
            wanted.push((section, name, of_this.count() * EACH));
        }
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = statistics(machine)?;
        let wrong = wanted
            .iter()
            .find(|(section, name, count)| counter(&text, section, name) != Some(*count));
        match wrong {
            None => return Ok(()),
            Some((section, name, count)) if Instant::now() > deadline => {
                let node = machine.node.name();
                return Err(Failure::new(format!(
                    "expected {section}, {name}: {count} on {node}, not\n{text}"
                )));
            }
            // It may still have some of them before it.
            Some(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// The number in one line of one section.
fn counter(text: &str, section: &str, name: &str) -> Option<usize> {
    let title = format!("  {section}:");
    let mut lines = text.lines().skip_while(|line| *line != title).skip(1);
    let prefix = format!("    {name}: ");
    lines.find_map(|line| line.strip_prefix(&prefix)?.parse().ok())
}

/// A new statistics file.
fn statistics(machine: &Machine) -> Result<String> {
    // There is none before the first time.
    let _ = machine.node.remove_file(STATISTICS);
    machine.daemon()?.signal(libc::SIGUSR2);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = machine.node.read_file(STATISTICS).unwrap_or_default();
        if text.contains("Priority Zero:\n") && text.ends_with('\n') {
            return Ok(text);
        }
        if Instant::now() > deadline {
            return Err(Failure::new(format!("no whole {STATISTICS}: {text}")));
        }
        thread::sleep(Duration::from_millis(20));
    }
}
