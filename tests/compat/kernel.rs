//! What lies in the kernel: for each option of addresses, routes and rules the same as
//! with C keepalived, and nothing once the daemon has ended.
//!
//! The kernel's own words (`ip -d`) are compared, all lines in one run of each daemon.

use crate::bench::{Bench, Machine, PATIENCE, Program, expect, find_program};
use crate::lab::{Failure, Result};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Instant;

/// Lines of `virtual_ipaddress`.
const ADDRESSES: &[&str] = &[
    "192.0.2.100",
    "192.0.2.101/24 brd +",
    "192.0.2.102/24 brd 192.0.2.255 label eth0:1",
    "192.0.2.103/32 scope link",
    "192.0.2.104 peer 198.51.100.9",
    "198.51.100.1/24 dev spare noprefixroute",
    "198.51.100.2/28 dev spare brd - scope site",
    "203.0.113.5/24 dev spare",
];

/// Lines of `virtual_ipaddress_excluded`, which may be of the other family.
const EXCLUDED: &[&str] = &[
    "192.0.2.110 scope host",
    "239.1.1.1 dev spare autojoin",
    "2001:db8:1::1",
    "2001:db8:1::2/64",
    "2001:db8:1::3/64 -nodad",
    "2001:db8:1::4/64 home",
    "2001:db8:1::5/64 mngtmpaddr",
    "2001:db8:1::6/64 noprefixroute preferred_lft 0",
    "2001:db8:1::7 preferred_lft forever",
    "2001:db8:2::8/64 dev spare preferred_lft 1000000",
];

/// Lines of `virtual_routes`. The tables `unspec` to `local` are known everywhere.
const ROUTES: &[&str] = &[
    "10.1.0.0/16 dev eth0",
    "10.2.0.0/16 via 192.0.2.9 dev eth0",
    "default via 192.0.2.9 dev eth0 metric 77",
    "10.3.0.0/16 via 192.0.2.9",
    "10.4.0.0/16 dev eth0 src 192.0.2.100",
    "10.5.0.0/16 dev eth0 scope link table 100",
    "10.6.0.0/16 dev eth0 table 1000 metric 3",
    "10.7.0.0/16 via 203.0.113.200 dev eth0 onlink",
    "10.8.0.0/16 dev eth0 tos 4",
    "10.9.0.0/16 dev eth0 protocol 42 no_track",
    "blackhole 10.10.0.0/16",
    "unreachable 10.11.0.0/16",
    "prohibit 10.12.0.0/16",
    "throw 10.13.0.0/16 table 100",
    "unicast 10.14.0.0/16 dev eth0",
    "local 10.15.0.0/16 dev lo scope host table local",
    "10.16.0.0/16 dev eth0 mtu 1400 advmss 1000 reordering 4 cwnd 5 ssthresh 6",
    "10.17.0.0/16 dev eth0 mtu lock 1400 advmss lock 1000 reordering lock 4 cwnd lock 5 \
     ssthresh lock 6",
    "10.18.0.0/16 dev eth0 rtt 300ms rttvar lock 400ms rto_min 1.5s",
    "10.19.0.0/16 dev eth0 rtt 4000 rttvar 2000 rto_min lock 300",
    "10.20.0.0/16 dev eth0 hoplimit 9 window 7 initcwnd 11 initrwnd 12",
    "10.21.0.0/16 dev eth0 features ecn quickack 1 fastopen_no_cookie 1 congctl lock reno",
    "10.22.0.0/16 dev eth0 realms 3/4",
    "10.23.0.0/16 dev eth0 ttl-propagate disabled",
    "10.24.0.0/16 nexthop via 192.0.2.9 dev eth0 weight 5 nexthop via 192.0.2.8 dev eth0",
    "10.25.0.0/16 nexthop via 203.0.113.201 dev eth0 onlink realms 5 nexthop dev spare weight 256",
    "10.26.0.0/16 dev eth0 encap ip id 5 dst 203.0.113.1 src 203.0.113.2 tos 8 ttl 7",
    "10.27.0.0/16 dev eth0 encap ip6 id 6 dst 2001:db8::1 tc 4 hoplimit 9",
    "10.28.0.0/16 dev eth0 metric 5",
    "10.28.0.0/16 dev spare metric 6 append",
    "10.29.0.0/16 dev spare add",
    "2001:db8:10::/48 dev eth0",
    "2001:db8:11::/48 via 2001:db8:1::9 dev eth0 metric 5",
    "default6 via fe80::9 dev eth0",
    "2001:db8:12::/48 dev eth0 pref high",
    "2001:db8:13::/48 dev eth0 expires 100000",
    "2001:db8:14::/48 dev eth0 from 2001:db8:15::/48",
    "2001:db8:16::/48 dev eth0 mtu lock 1300 hoplimit 4 table 200",
    "unreachable 2001:db8:17::/48",
    "2001:db8:18::/48 nexthop via fe80::9 dev eth0 weight 3 nexthop via fe80::8 dev eth0",
];

/// Lines of `virtual_rules`.
const RULES: &[&str] = &[
    "from 192.0.2.0/24 table 100 priority 10",
    "to 10.0.0.0/8 table main priority 11",
    "not from 192.0.2.0/24 to 10.1.0.0/16 lookup 1000 priority 12",
    "from all fwmark 5/6 table 100 priority 13",
    "fwmark 0x10 table 100 preference 14",
    "iif eth0 table 100 priority 15",
    "oif spare table 100 priority 16",
    "tos 4 table 100 priority 17",
    "table 100 suppress_prefixlength 8 priority 18",
    "table 100 suppress_ifgroup 3 priority 19",
    "from 10.0.0.0/8 blackhole priority 20",
    "from 10.0.0.0/8 unreachable priority 21",
    "from 10.0.0.0/8 prohibit priority 22",
    "from 10.0.0.0/8 goto 100 priority 23",
    "from 10.0.0.0/8 nop priority 24",
    "uidrange 10-20 table 100 priority 25",
    "ipproto tcp sport 10-20 dport 30-40 table 100 priority 26",
    "realms 3/4 table 100 priority 27",
    "tunnel-id 7 table 100 priority 28",
    "table 100 protocol 42 no_track priority 30",
    "from 2001:db8::/32 table 100 priority 31",
    "to 2001:db8:1::/48 iif eth0 fwmark 3 table 1000 priority 32",
    "from 2001:db8::/32 unreachable priority 33",
];

/// Lines that C keepalived makes nothing, or something else, of; and what the kernel
/// shows with ours.
const OURS_ONLY: &[(&str, &str)] = &[
    (
        "virtual_rules { inet6 table 100 priority 40 }",
        "40: from all lookup 100 proto keepalived",
    ),
    (
        "virtual_rules { sport 80 table 100 priority 41 }",
        "41: from all sport 80 lookup 100 proto keepalived",
    ),
    (
        "virtual_routes { inet6 default via fe80::7 dev eth0 metric 9 }",
        "unicast default via fe80::7 dev eth0 table main proto keepalived scope global metric 9 \
         pref medium",
    ),
    (
        "virtual_routes { local 10.90.0.0/16 dev lo }",
        "local 10.90.0.0/16 dev lo table main proto keepalived scope host",
    ),
    (
        "virtual_routes { 10.91.0.0/16 nexthop dev eth0 encap ip id 4 dst 203.0.113.5 nexthop \
         dev spare }",
        "unicast 10.91.0.0/16 table main proto keepalived scope global nexthop encap ip id 4 src \
         0.0.0.0 dst 203.0.113.5 ttl 0 tos 0 dev eth0 weight 1 nexthop dev spare weight 1",
    ),
];

/// Both daemons, one after the other, with every line.
pub fn same_as_c(bench: &mut Bench) -> Result<()> {
    let blocks = [
        ("virtual_ipaddress", ADDRESSES),
        ("virtual_ipaddress_excluded", EXCLUDED),
        ("virtual_routes", ROUTES),
        ("virtual_rules", RULES),
    ];
    let blocks: String = blocks
        .iter()
        .map(|(word, lines)| block(word, lines))
        .collect();
    let file = file(&blocks);
    let ours = held(&mut bench.a, &file)?;
    let theirs = held(&mut bench.b, &file)?;
    let only_ours: Vec<_> = ours.difference(&theirs).collect();
    let only_theirs: Vec<_> = theirs.difference(&ours).collect();
    expect(only_ours.is_empty() && only_theirs.is_empty(), || {
        format!("the same; only ours: {only_ours:#?}, only C's: {only_theirs:#?}")
    })?;
    let count = [ADDRESSES, EXCLUDED, ROUTES, RULES].map(<[_]>::len);
    let count = count.iter().sum();
    expect(ours.len() >= count, || {
        format!("{count} lines and more, not {}: {ours:#?}", ours.len())
    })
}

/// What is static is there whatever the instances do, and is as C has it.
pub fn static_ones(bench: &mut Bench) -> Result<()> {
    // Its own addresses stay free: nothing but the words of the blocks is different.
    let blocks = [
        (
            "static_ipaddress",
            &["192.0.2.120/24 dev eth0", "198.51.100.3/24 dev spare"][..],
        ),
        ("static_routes", ROUTES),
        ("static_rules", RULES),
    ];
    let blocks: String = blocks
        .iter()
        .map(|(word, lines)| block(word, lines))
        .collect();
    let file = format!(
        "{blocks}{}",
        file(&block("virtual_ipaddress", &["192.0.2.100"]))
    );
    // The source of a static route is no address yet.
    let file = file.replacen("src 192.0.2.100", "src 192.0.2.120", 1);
    let file = file.replace("via 2001:db8:1::9", "via fe80::7");
    let ours = held(&mut bench.a, &file)?;
    let theirs = held(&mut bench.b, &file)?;
    let only_ours: Vec<_> = ours.difference(&theirs).collect();
    let only_theirs: Vec<_> = theirs.difference(&ours).collect();
    expect(only_ours.is_empty() && only_theirs.is_empty(), || {
        format!("the same; only ours: {only_ours:#?}, only C's: {only_theirs:#?}")
    })
}

/// Lines that are better with ours.
pub fn better_than_c(bench: &mut Bench) -> Result<()> {
    let mut blocks = block("virtual_ipaddress", &["192.0.2.100"]);
    for (line, _) in OURS_ONLY {
        let (word, line) = line.split_once(" { ").unwrap_or_default();
        blocks.push_str(&block(word, &[line.trim_end_matches(" }")]));
    }
    let shown = held(&mut bench.a, &file(&blocks))?;
    for (line, wanted) in OURS_ONLY {
        expect(shown.contains(*wanted), || {
            format!("{wanted} for {line}, not {shown:#?}")
        })?;
    }
    Ok(())
}

/// What somebody takes out as MASTER is put back, and so is what is static; no election
/// follows.
pub fn put_back(bench: &mut Bench) -> Result<()> {
    let statics = block("static_routes", &["10.60.0.0/16 dev eth0"]);
    let blocks = [
        block("virtual_ipaddress", &["192.0.2.100"]),
        block(
            "virtual_routes",
            &["10.61.0.0/16 dev eth0", "10.62.0.0/16 dev eth0 no_track"],
        ),
        block(
            "virtual_rules",
            &["from 10.0.0.0/8 table 100 priority 50 iif eth0"],
        ),
    ];
    let file = format!("{statics}{}", file(&blocks.concat()));
    let machine = &mut bench.a;
    machine.start(&file)?;
    machine.expect_line("Sending/queueing gratuitous ARPs on eth0 for 192.0.2.100")?;
    let before = dump(machine)?;
    for (removal, said) in [
        (
            "route del 10.61.0.0/16",
            "route prepend 10.61.0.0/16 dev eth0 proto 18",
        ),
        ("rule del priority 50", "rule from 10.0.0.0/8 priority 50"),
        (
            "route del 10.60.0.0/16",
            "route prepend 10.60.0.0/16 dev eth0 proto 18",
        ),
    ] {
        ip(machine, removal)?;
        machine.expect_line(&format!("Netlink reflector reports {said}"))?;
        await_dump(machine, |there| *there == before)?;
    }
    // What is not tracked may go.
    ip(machine, "route del 10.62.0.0/16")?;
    await_dump(machine, |there| there.len() + 1 == before.len())?;
    let elections = machine.daemon()?.count_lines("Entering MASTER STATE");
    expect(elections == 1, || format!("one election, not {elections}"))?;
    machine.stop()
}

/// A route that cannot go in yet goes in when it can, and its refusal is told.
pub fn tried_again(bench: &mut Bench) -> Result<()> {
    let blocks = [
        block("virtual_ipaddress", &["192.0.2.100"]),
        block("virtual_routes", &["10.70.0.0/16 via 198.51.100.9"]),
    ];
    let machine = &mut bench.a;
    machine.node.add_spare("spare")?;
    machine.start(&file(&blocks.concat()))?;
    machine.expect_line(
        "Netlink: error: Network is unreachable(101), type=RTM_NEWROUTE(24) - route prepend \
         10.70.0.0/16",
    )?;
    machine.expect_line("Sending/queueing gratuitous ARPs on eth0 for 192.0.2.100")?;
    ip(machine, "addr add 198.51.100.1/24 dev spare")?;
    await_dump(machine, |there| {
        there.iter().any(|line| line.contains("10.70.0.0/16"))
    })?;
    machine.expect_line("The kernel has route prepend 10.70.0.0/16")?;
    machine.stop()
}

/// Waits until the kernel has what is wanted.
fn await_dump(machine: &Machine, wanted: impl Fn(&BTreeSet<String>) -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let there = dump(machine)?;
        if wanted(&there) {
            return Ok(());
        }
        expect(Instant::now() < deadline, || {
            format!("another state than {there:#?}")
        })?;
    }
}

fn ip(machine: &Machine, arguments: &str) -> Result<()> {
    let program = find_program("ip").ok_or_else(|| Failure::new("there is no ip"))?;
    let status = machine.node.inside(|| {
        let status = Command::new(&program).args(arguments.split(' ')).status();
        status.map_err(|error| Failure::new(error.to_string()))
    })?;
    expect(status.success(), || format!("ip {arguments} to work"))
}

pub fn block(word: &str, lines: &[&str]) -> String {
    format!("{word} {{\n{}\n}}\n", lines.join("\n"))
}

fn file(blocks: &str) -> String {
    format!(
        "vrrp_instance VI_1 {{\nstate MASTER\ninterface eth0\nvirtual_router_id 51\nversion 3\n\
         priority 200\nadvert_int 0.1\n{blocks}}}\n"
    )
}

/// What a daemon puts into the kernel with this file. Once ours has ended the kernel is
/// as it was before.
fn held(machine: &mut Machine, file: &str) -> Result<BTreeSet<String>> {
    machine.node.enable_ipv6()?;
    machine.node.add_spare("spare")?;
    machine.node.inside(|| {
        let path = "/proc/sys/net/ipv6/conf/spare/disable_ipv6";
        std::fs::write(path, "0").map_err(|error| Failure::new(error.to_string()))
    })?;
    let before = dump(machine)?;
    machine.start(file)?;
    // The first announcement follows when everything is in.
    machine.expect_line("Sending/queueing gratuitous ARPs on eth0 for 192.0.2.100")?;
    let while_master = dump(machine)?;
    machine.daemon()?.signal(libc::SIGTERM);
    let (_, status) = machine.daemon()?.await_end(PATIENCE)?;
    expect(status.success(), || format!("exit status 0, not {status}"))?;
    let after = dump(machine)?;
    // C does not find an address with a peer again.
    expect(before == after || machine.program == Program::C, || {
        let left: Vec<_> = after.symmetric_difference(&before).collect();
        format!("nothing left behind, not {left:#?}")
    })?;
    Ok(while_master.difference(&before).cloned().collect())
}

/// Every address, route and rule of the node, as `ip` shows it, without what the kernel
/// makes of them by itself.
pub fn dump(machine: &Machine) -> Result<BTreeSet<String>> {
    let commands = [
        "-d -o addr show dev eth0",
        "-d -o addr show dev spare",
        "-d -o -4 route show table all",
        "-d -o -6 route show table all",
        "-d -4 rule show",
        "-d -6 rule show",
    ];
    let program = find_program("ip").ok_or_else(|| Failure::new("there is no ip"))?;
    let mut lines = BTreeSet::new();
    for arguments in commands {
        let output = machine.node.inside(|| {
            let output = Command::new(&program).args(arguments.split(' ')).output();
            output.map_err(|error| Failure::new(error.to_string()))
        })?;
        let text = String::from_utf8_lossy(&output.stdout);
        let lines_of = text.lines().filter(|line| !line.contains("proto kernel"));
        lines.extend(lines_of.map(plain));
    }
    Ok(lines)
}

/// A line without what is another in each run: numbers of interfaces, and times that
/// pass.
fn plain(line: &str) -> String {
    let words = line.split_whitespace().filter(|word| *word != "\\");
    let mut words: Vec<String> = words
        .map(|word| word.trim_matches('\\').to_owned())
        .collect();
    if words
        .get(1)
        .is_some_and(|word| word == "eth0" || word == "spare")
    {
        words.remove(0);
    }
    for word in &mut words {
        let digits = word.trim_end_matches("sec");
        if digits.len() < word.len() && digits.parse::<u64>().is_ok_and(|seconds| seconds > 0) {
            *word = "Nsec".to_owned();
        }
    }
    words.retain(|word| word != "tentative");
    words.join(" ")
}
