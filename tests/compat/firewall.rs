//! `no_accept`: a MASTER that is not the owner of its addresses drops packets to them,
//! answers for them all the same, and leaves nothing behind.

use crate::bench::{Bench, Machine, PATIENCE, VIP, expect};
use crate::families::{VIP_GLOBAL, VIP_LINK_LOCAL};
use crate::lab::{Context, Result};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

/// Nobody listens here.
const PORT: u16 = 9;
/// How long a connection may take that nobody answers.
const SILENCE: Duration = Duration::from_millis(500);

/// What `nft list ruleset` prints while both instances are MASTER, without the order
/// of the lines.
const RULES: [&str; 24] = [
    "table ip keepalived {",
    "table ip6 keepalived {",
    "set vips {",
    "type ipv4_addr",
    "elements = { 192.0.2.100 }",
    "type ipv6_addr",
    "elements = { 2001:db8::100 }",
    "set vips_link_local {",
    "type ipv6_addr . iface_index",
    "elements = { fe80::100 . \"eth0\" }",
    "chain out {",
    "chain in {",
    "chain in_link_local {",
    "chain out_link_local {",
    "type filter hook output priority filter - 3; policy accept;",
    "type filter hook input priority filter - 3; policy accept;",
    "ip saddr @vips drop",
    "ip daddr @vips drop",
    "ip6 saddr fe80::/10 goto out_link_local",
    "ip6 daddr fe80::/10 goto in_link_local",
    "ip6 saddr @vips drop",
    "ip6 daddr @vips drop",
    "ip6 daddr . iif @vips_link_local drop",
    "ip6 saddr . oif @vips_link_local drop",
];

fn two_families(priority: u8) -> String {
    format!(
        "global_defs {{
    vrrp_version 3
    nftables
    nftables_priority -3
}}
vrrp_instance VI_1 {{
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int 1
    no_accept
    virtual_ipaddress {{
        {VIP}/24
    }}
}}
vrrp_instance VI_6 {{
    interface eth0
    virtual_router_id 52
    priority {priority}
    advert_int 1
    native_ipv6
    no_accept
    virtual_ipaddress {{
        {VIP_LINK_LOCAL}/64
        {VIP_GLOBAL}/64
    }}
}}
"
    )
}

/// What the packet filter of a machine holds, line by line.
fn rules(machine: &Machine) -> Result<BTreeSet<String>> {
    let printed = machine.node.inside(|| {
        let output = Command::new("nft").args(["list", "ruleset"]).output();
        output.context("nft list ruleset, of Debian's package nftables")
    })?;
    let text = String::from_utf8_lossy(&printed.stdout);
    let lines = text.lines().map(|line| line.trim().to_owned());
    Ok(lines.filter(|line| line.len() > 1).collect())
}

/// What becomes of a connection from one machine.
pub fn connected(from: &Machine, to: IpAddr) -> Result<ErrorKind> {
    from.node.inside(|| {
        let outcome = TcpStream::connect_timeout(&SocketAddr::new(to, PORT), SILENCE);
        Ok(outcome.map_or_else(|error| error.kind(), |_| ErrorKind::AddrInUse))
    })
}

fn expect_connection(from: &Machine, to: IpAddr, kind: ErrorKind) -> Result<()> {
    let seen = connected(from, to)?;
    expect(seen == kind, || {
        format!("a connection to {to} to end with {kind}, not {seen}")
    })
}

pub fn no_accept(bench: &mut Bench) -> Result<()> {
    for machine in [&bench.a, &bench.b] {
        machine.node.enable_ipv6()?;
    }
    bench.start(&two_families(150), &two_families(100))?;
    for name in ["VI_1", "VI_6"] {
        let line = format!("({name}) setting firewall drop rule");
        bench.a.expect_line(&line)?;
    }
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    let expected: BTreeSet<String> = RULES.iter().map(|line| line.to_string()).collect();
    // The last lines come with the second instance.
    let limit = Instant::now() + PATIENCE;
    let missing = loop {
        let seen = rules(&bench.a)?;
        let missing: Vec<String> = expected.difference(&seen).cloned().collect();
        if missing.is_empty() || Instant::now() > limit {
            break missing;
        }
    };
    expect(missing.is_empty(), || format!("the rules {missing:?}"))?;

    // It answers, and drops what follows.
    bench.expect_answer(VIP, &[bench.a.node.mac()])?;
    expect_connection(&bench.b, VIP.into(), ErrorKind::TimedOut)?;
    let own = bench.a.node.address().into();
    expect_connection(&bench.b, own, ErrorKind::ConnectionRefused)?;

    // The other one takes over the rule with the address.
    let mark = bench.lab.observer.mark();
    bench.a.stop()?;
    let left = rules(&bench.a)?;
    expect(left.is_empty(), || format!("no rules, not {left:?}"))?;
    bench.await_holder(mark, &bench.b)?;
    expect_connection(&bench.a, VIP.into(), ErrorKind::TimedOut)?;
    bench.b.stop()?;
    let left = rules(&bench.b)?;
    expect(left.is_empty(), || format!("no rules, not {left:?}"))
}
