//! Any set of addresses, routes and rules: while MASTER each of them is in the kernel, and
//! as BACKUP and after a stop the kernel is exactly what it was before (specification C.1
//! to C.3), whatever an operator has put beside them.
//!
//! The sets are random, each from a seed. `KERNEL_SEEDS=100` tries more of them,
//! `KERNEL_FIRST=17` begins with another one.

use crate::bench::{Bench, Machine, PATIENCE, VIP, expect, find_program};
use crate::kernel::{block, dump};
use crate::lab::{Failure, Result};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Command;
use std::time::Instant;

/// How many sets an ordinary run tries.
const SEEDS: u64 = 3;

/// A source of numbers that is the same for the same seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let index = self.roll(from.len() as u64);
        from[usize::try_from(index).expect("small")]
    }
}

/// A line of the configuration, and words that one line of the kernel has then.
struct Line {
    text: String,
    shown: Vec<String>,
}

impl Line {
    fn new(text: String, shown: &[&str]) -> Self {
        let shown = shown.iter().map(ToString::to_string).collect();
        Self { text, shown }
    }

    /// Adds an option that the kernel shows in the same words.
    fn add(&mut self, option: &str) {
        let _ = write!(self.text, " {option}");
        self.shown.push(option.to_owned());
    }

    /// Adds one that it shows in other words, or not at all.
    fn add_as(&mut self, option: &str, shown: &str) {
        let _ = write!(self.text, " {option}");
        self.shown.push(shown.to_owned());
    }

    /// Whether one of these lines has all that is to be shown.
    fn is_in(&self, dump: &BTreeSet<String>) -> bool {
        let has_all = |line: &&String| {
            let padded = format!(" {line} ");
            let mut wanted = self.shown.iter();
            wanted.all(|words| padded.contains(&format!(" {words} ")))
        };
        dump.iter().any(|line| has_all(&line))
    }
}

/// What one set has, and what was there before by somebody else's hand.
#[derive(Default)]
struct Set {
    addresses: Vec<Line>,
    excluded: Vec<Line>,
    routes: Vec<Line>,
    rules: Vec<Line>,
    foreign: Vec<String>,
    /// All of it but the VIP belongs to no instance.
    is_static: bool,
}

impl Set {
    fn new(dice: &mut Dice) -> Self {
        let mut set = Self {
            is_static: dice.one_in(4),
            ..Self::default()
        };
        set.addresses.push(Line::new(VIP.to_string(), &[]));
        for number in 0..dice.roll(6) {
            set.addresses.push(address(dice, number));
        }
        for number in 0..dice.roll(7) {
            set.excluded.push(match dice.one_in(3) {
                true => address(dice, 20 + number),
                false => address6(dice, number),
            });
        }
        for number in 0..dice.roll(12) {
            set.routes.push(match dice.roll(5) {
                0 => route6(dice, number),
                1 => several_hops(dice, number),
                _ => route(dice, number),
            });
        }
        for number in 0..dice.roll(8) {
            set.rules.push(rule(dice, number));
        }
        set.foreign = foreign(dice);
        set
    }

    fn file(&self, priority: u8) -> String {
        let words = match self.is_static {
            true => ["static_ipaddress", "static_routes", "static_rules"],
            false => [
                "virtual_ipaddress_excluded",
                "virtual_routes",
                "virtual_rules",
            ],
        };
        let texts = |lines: &[Line]| -> Vec<String> {
            lines.iter().map(|line| line.text.clone()).collect()
        };
        let (mut vips, mut others) = (texts(&self.addresses), texts(&self.excluded));
        if self.is_static {
            let rest = vips.split_off(1);
            others.splice(0..0, rest);
        }
        let mut blocks = String::new();
        let lists = [others, texts(&self.routes), texts(&self.rules)];
        for (word, lines) in words.into_iter().zip(lists) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            if !lines.is_empty() {
                blocks.push_str(&block(word, &lines));
            }
        }
        let vips: Vec<&str> = vips.iter().map(String::as_str).collect();
        let vips = block("virtual_ipaddress", &vips);
        let (before, within) = match self.is_static {
            true => (blocks.as_str(), ""),
            false => ("", blocks.as_str()),
        };
        format!(
            "{before}vrrp_instance VI_1 {{\nstate BACKUP\ninterface eth0\nvirtual_router_id 51\n\
             version 3\npriority {priority}\nadvert_int 0.1\n{vips}{within}}}\n"
        )
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        let addresses = self.addresses.iter().chain(&self.excluded);
        addresses.chain(&self.routes).chain(&self.rules)
    }
}

/// An address of IPv4, which may share its network with the node's own or a foreign one.
fn address(dice: &mut Dice, number: u64) -> Line {
    let (net, device) = match dice.roll(3) {
        0 => ("192.0.2", "eth0"),
        _ => ("198.51.100", "spare"),
    };
    let host = format!("{net}.{}", 120 + number);
    if dice.one_in(6) {
        let shown = format!("inet {host} peer 203.0.113.{number}/32");
        let text = format!("{host} peer 203.0.113.{number} dev {device}");
        return Line::new(text, &[&shown]);
    }
    let length = dice.pick(&[24, 24, 25, 28, 30, 32]);
    let (written, shown) = (format!("{host}/{length}"), format!("inet {host}/{length}"));
    let mut line = Line::new(format!("{written} dev {device}"), &[&shown]);
    if dice.one_in(4) && length <= 30 {
        // Not `brd -`: of a secondary address the kernel keeps that route, whoever asks.
        let other = format!("brd {net}.{}", 240 + number % 8);
        let broadcast = dice.pick(&["brd +", other.as_str()]);
        line.add_as(broadcast, "brd");
    }
    // The kernel takes one scope for all addresses of a network.
    if dice.one_in(3) && length == 32 {
        line.add(dice.pick(&["scope link", "scope host", "scope site", "scope global"]));
    }
    if dice.one_in(4) {
        let label = format!("{device}:{number}");
        line.add_as(&format!("label {label}"), &label);
    }
    if dice.one_in(4) {
        line.add("noprefixroute");
    }
    line
}

fn address6(dice: &mut Dice, number: u64) -> Line {
    let net = dice.roll(2) + 1;
    let host = format!("2001:db8:{net}::{:x}", 16 + number);
    let length = dice.pick(&[64, 64, 128, 120]);
    let device = dice.pick(&["eth0", "spare"]);
    let shown = format!("inet6 {host}/{length}");
    let mut line = Line::new(format!("{host}/{length} dev {device}"), &[&shown]);
    if dice.one_in(3) {
        line.add_as("-nodad", "scope global");
    }
    if dice.one_in(3) {
        line.add("home");
    }
    if length == 64 && dice.one_in(4) {
        line.add("mngtmpaddr");
    }
    if dice.one_in(3) {
        line.add("noprefixroute");
    }
    match dice.roll(4) {
        0 => line.add_as("preferred_lft 0", "deprecated"),
        1 => line.add_as("preferred_lft forever", "valid_lft forever"),
        _ => {}
    }
    line
}

/// A destination that is another for each number; sometimes a foreign route has it, too.
fn destination(number: u64) -> String {
    format!("10.{}.0.0/16", 10 + number)
}

fn route(dice: &mut Dice, number: u64) -> Line {
    let to = destination(number);
    if dice.one_in(6) {
        let kind = dice.pick(&["blackhole", "unreachable", "prohibit", "throw"]);
        let mut line = Line::new(format!("{kind} {to}"), &[&format!("{kind} {to}")]);
        if dice.one_in(2) {
            line.add(dice.pick(&["table 100", "table 1000", "metric 7"]));
        }
        // A type alone means `add`, which gives way to a foreign route.
        line.text.push_str(" prepend");
        return line;
    }
    let mut line = Line::new(to.clone(), &[&to]);
    match dice.roll(5) {
        0 => line.add("via 192.0.2.9 dev eth0"),
        1 => line.add("dev spare"),
        2 => {
            line.add("via 203.0.113.200 dev eth0");
            line.add("onlink");
        }
        3 => {
            line.add_as("encap ip id 5 dst 203.0.113.1 ttl 7", "encap ip id 5");
            line.add("dev eth0");
        }
        _ => line.add("dev eth0"),
    }
    let options = [
        ("table 100", "table 100"),
        ("metric 42", "metric 42"),
        ("src 192.0.2.1", "src 192.0.2.1"),
        ("mtu 1400", "mtu 1400"),
        ("mtu lock 1300", "mtu lock 1300"),
        ("advmss 1000", "advmss 1000"),
        ("hoplimit 9", "hoplimit 9"),
        ("initcwnd 11", "initcwnd 11"),
        ("rtt 300ms", "rtt 300ms"),
        ("quickack 1", "quickack 1"),
        ("features ecn", "features ecn"),
        ("congctl reno", "congctl reno"),
        ("realms 3/4", "realms 3/4"),
        ("tos 4", "tos lowdelay"),
    ];
    let mut taken: Vec<&str> = Vec::new();
    for _ in 0..dice.roll(4) {
        let (option, shown) = dice.pick(&options);
        let word = option.split(' ').next().unwrap_or_default();
        if !taken.contains(&word) {
            taken.push(word);
            // What a type of service is called differs from one `ip` to the next.
            let shown = if word == "tos" { "tos" } else { shown };
            line.add_as(option, shown);
        }
    }
    match dice.roll(8) {
        0 => line.text.push_str(" protocol 42 no_track"),
        1 => line.text.push_str(" append"),
        _ => {}
    }
    line
}

fn several_hops(dice: &mut Dice, number: u64) -> Line {
    let to = destination(number);
    let mut line = Line::new(to.clone(), &[&to]);
    if dice.one_in(3) {
        line.add("metric 9");
    }
    for hop in 0..dice.roll(3) + 2 {
        let _ = match dice.one_in(3) {
            true => write!(line.text, " nexthop dev spare weight {}", hop + 1),
            false => write!(line.text, " nexthop via 192.0.2.{} dev eth0", 60 + hop),
        };
    }
    line.shown.push("nexthop".to_owned());
    line
}

fn route6(dice: &mut Dice, number: u64) -> Line {
    let to = format!("2001:db8:{:x}::/48", 0x100 + number);
    let mut line = Line::new(to.clone(), &[&to]);
    match dice.roll(4) {
        0 => line.add("via fe80::9 dev eth0"),
        1 => {
            line.text = format!("unreachable {to} prepend");
            line.shown = vec![format!("unreachable {to}")];
        }
        2 => {
            line.text
                .push_str(" nexthop via fe80::9 dev eth0 weight 3 nexthop via fe80::8 dev eth0");
            return line;
        }
        _ => line.add("dev spare"),
    }
    for option in ["metric 5", "table 200", "mtu 1300", "pref high"] {
        // Of a route that leads nowhere the kernel takes no preference.
        let fits = option != "pref high" || !line.text.starts_with("unreachable");
        // One with a gateway joins a foreign one of its metric, which has other settings.
        if dice.one_in(4) && fits {
            match option.starts_with("mtu") || option.starts_with("pref") {
                true if line.text.contains("via") => {
                    line.text.push(' ');
                    line.text.push_str(option);
                }
                _ => line.add(option),
            }
        }
    }
    line
}

fn rule(dice: &mut Dice, number: u64) -> Line {
    let priority = 100 + number;
    let mut line = Line::new(format!("priority {priority}"), &[&format!("{priority}:")]);
    if dice.one_in(4) {
        line.add("from 2001:db8::/32");
    } else {
        line.add(&format!("from 10.{number}.0.0/16"));
    }
    for (option, shown) in [
        ("iif eth0", "iif eth0"),
        ("oif spare", "oif spare"),
        ("fwmark 5", "fwmark 0x5"),
        ("uidrange 10-20", "uidrange 10-20"),
        ("ipproto tcp sport 10-20", "sport 10-20"),
    ] {
        if dice.one_in(4) {
            line.add_as(option, shown);
        }
    }
    match dice.roll(5) {
        0 => line.add(dice.pick(&["blackhole", "unreachable", "prohibit"])),
        1 => line.add_as("goto 30000", "goto 30000"),
        2 => {
            line.add_as("table 100", "lookup 100");
            line.add("suppress_prefixlength 8");
        }
        _ => line.add_as("table 1000", "lookup 1000"),
    }
    line
}

/// What an operator has put there: some of it close to what may be ours.
fn foreign(dice: &mut Dice) -> Vec<String> {
    let mut lines = vec![
        "addr add 198.51.100.77/24 dev spare".to_owned(),
        "-6 addr add 2001:db8:1::77/64 dev eth0 nodad".to_owned(),
        "rule add from 10.200.0.0/16 lookup 100 priority 101".to_owned(),
        "rule add from all lookup main priority 30000".to_owned(),
        "-6 rule add from all lookup main priority 30000".to_owned(),
        "-6 route add 2001:db8:101::/48 dev eth0 metric 700".to_owned(),
    ];
    for _ in 0..dice.roll(4) {
        let to = destination(dice.roll(8));
        lines.push(format!(
            "route replace {to} dev eth0 metric {}",
            dice.roll(3) * 21
        ));
    }
    for _ in 0..dice.roll(3) {
        let number = 0x100 + dice.roll(8);
        let metric = dice.pick(&[5, 1024]);
        lines.push(format!(
            "-6 route replace 2001:db8:{number:x}::/48 via fe80::5 dev eth0 metric {metric}"
        ));
    }
    lines.retain(|_| !dice.one_in(3));
    lines
}

/// Each set in turn, on the same nodes.
pub fn any_lines(bench: &mut Bench) -> Result<()> {
    let from_environment = |name: &str| {
        let text = std::env::var(name).ok()?;
        text.parse::<u64>().ok()
    };
    let first = from_environment("KERNEL_FIRST").unwrap_or(1);
    let count = from_environment("KERNEL_SEEDS").unwrap_or(SEEDS);
    bench.a.node.enable_ipv6()?;
    bench.a.node.add_spare("spare")?;
    bench.a.node.inside(|| {
        // Without a search for duplicates, which would end amidst of a set.
        for setting in ["accept_dad", "disable_ipv6"] {
            let path = format!("/proc/sys/net/ipv6/conf/spare/{setting}");
            std::fs::write(path, "0").map_err(|error| Failure::new(error.to_string()))?;
        }
        Ok(())
    })?;
    ip(&bench.a, "link set spare down")?;
    ip(&bench.a, "link set spare up")?;
    let deadline = Instant::now() + PATIENCE;
    while !ip(&bench.a, "-6 addr show dev spare -tentative")?.contains("fe80") {
        expect(Instant::now() < deadline, || "a link-local address".into())?;
    }
    let clean = snapshot(&bench.a)?;
    for seed in first..first + count {
        let set = Set::new(&mut Dice(seed));
        try_one(bench, &set).map_err(|failure| {
            let foreign = set.foreign.join("\n");
            Failure::new(format!(
                "KERNEL_FIRST={seed} KERNEL_SEEDS=1: {failure}\n{}\nbeside\n{foreign}",
                set.file(100)
            ))
        })?;
        for line in set.foreign.iter().rev() {
            let line = line
                .replacen(" add ", " del ", 1)
                .replacen(" replace ", " del ", 1);
            let line = line.trim_end_matches(" nodad").to_owned();
            // The same route may have been put in twice.
            let _ = ip(&bench.a, &line);
        }
        await_snapshot(&bench.a, &clean, "the operator has tidied up")?;
    }
    Ok(())
}

fn try_one(bench: &mut Bench, set: &Set) -> Result<()> {
    for line in &set.foreign {
        ip(&bench.a, line)?;
    }
    // The kernel makes the rest of an address when it finds the time.
    let deadline = Instant::now() + PATIENCE;
    for line in set.foreign.iter().filter(|it| it.starts_with("-6 addr")) {
        let address = line.split([' ', '/']).nth(3).unwrap_or_default();
        let known = format!("local {address} ");
        while !ip(&bench.a, "-6 route show table local")?.contains(&known) {
            expect(Instant::now() < deadline, || {
                format!("a route to {address}")
            })?;
        }
    }
    let before = snapshot(&bench.a)?;
    let lower = set.file(100);
    bench.a.start(&lower)?;
    expect_all(&bench.a, set, 1)?;
    if set.is_static {
        return expect_nothing_left(bench, &before);
    }
    // A better one takes over, with the one address that counts, and leaves again.
    let better = Set {
        addresses: vec![Line::new(VIP.to_string(), &[])],
        ..Set::default()
    };
    bench.b.start(&better.file(200))?;
    bench
        .b
        .expect_line("Sending/queueing gratuitous ARPs on eth0")?;
    await_snapshot(&bench.a, &before, "it is BACKUP")?;
    bench.b.stop()?;
    expect_all(&bench.a, set, 2)?;
    expect_nothing_left(bench, &before)
}

/// Stops it, and checks that everything is as it was.
fn expect_nothing_left(bench: &Bench, before: &[String]) -> Result<()> {
    bench.a.daemon()?.signal(libc::SIGTERM);
    let (_, status) = bench.a.daemon()?.await_end(PATIENCE)?;
    expect(status.success(), || format!("exit status 0, not {status}"))?;
    await_snapshot(&bench.a, before, "it has stopped")
}

/// Checks that each line is in the kernel, once it is MASTER for this time.
fn expect_all(machine: &Machine, set: &Set, time: usize) -> Result<()> {
    let announced = format!("Sending/queueing gratuitous ARPs on eth0 for {VIP}");
    let deadline = Instant::now() + PATIENCE;
    while machine.daemon()?.count_lines("Entering MASTER STATE") < time
        || machine.daemon()?.count_lines(&announced) < time
    {
        expect(Instant::now() < deadline, || "it to be MASTER".into())?;
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // It can be seen a moment later, after its second time.
    let mut missing = Vec::new();
    for _ in 0..20 {
        let there = dump(machine)?;
        let lines = set.lines().filter(|line| !line.is_in(&there));
        missing = lines.map(|line| &line.text).collect();
        if missing.is_empty() {
            return Ok(());
        }
    }
    let there = dump(machine)?;
    Err(Failure::new(format!("expected {missing:#?} in {there:#?}")))
}

/// Everything there is, but for what changes by itself.
fn snapshot(machine: &Machine) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for words in [
        "-d -j link show",
        "-d -j addr show",
        "-d -j -4 route show table all",
        "-d -j -6 route show table all",
        "-d -j -4 rule show",
        "-d -j -6 rule show",
    ] {
        let text = ip(machine, words)?;
        let value: Value =
            serde_json::from_str(&text).map_err(|error| Failure::new(error.to_string()))?;
        let mut elements: Vec<String> = match value {
            Value::Array(elements) => elements.iter().map(|it| format!("{words}: {it}")).collect(),
            other => vec![other.to_string()],
        };
        // The order of routes depends on what was there in between.
        elements.sort();
        all.append(&mut elements);
    }
    Ok(all)
}

/// Waits until everything is as it was.
fn await_snapshot(machine: &Machine, wanted: &[String], when: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE / 3;
    loop {
        let there = snapshot(machine)?;
        if there == wanted {
            return Ok(());
        }
        expect(Instant::now() < deadline, || {
            let left: Vec<_> = there.iter().filter(|it| !wanted.contains(it)).collect();
            let gone: Vec<_> = wanted.iter().filter(|it| !there.contains(it)).collect();
            format!("what was before when {when}; new: {left:#?}, gone: {gone:#?}")
        })?;
    }
}

fn ip(machine: &Machine, words: &str) -> Result<String> {
    let program = find_program("ip").ok_or_else(|| Failure::new("there is no ip"))?;
    let output = machine.node.inside(|| {
        let output = Command::new(&program).args(words.split(' ')).output();
        output.map_err(|error| Failure::new(error.to_string()))
    })?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(output.status.success(), || format!("ip {words}: {said}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
