//! Unicast without an interface: routes choose where adverts leave. One virtual
//! router identifier may be there for several sets of peers, or be nobody's.

use crate::bench::{Bench, PATIENCE, VIP, VRID, configuration, expect};
use crate::families::Speech;
use crate::lab::Result;
use std::net::Ipv4Addr;

/// The life of a virtual router of which ours names no interface, over IPv4.
pub fn ipv4(bench: &mut Bench) -> Result<()> {
    let speech = Speech {
        unicast: true,
        anywhere: true,
        ..Speech::V3
    };
    speech.live(bench)
}

/// The same over IPv6.
pub fn ipv6(bench: &mut Bench) -> Result<()> {
    let speech = Speech {
        ipv6: true,
        unicast: true,
        anywhere: true,
        ..Speech::V3
    };
    speech.live(bench)
}

/// The source address goes away and comes back, on an interface that no line of
/// the configuration names.
pub fn source_lost(bench: &mut Bench) -> Result<()> {
    let speech = Speech {
        unicast: true,
        anywhere: true,
        ..Speech::V3
    };
    let own = Ipv4Addr::new(192, 0, 2, 33);
    let [file_a, file_b] = speech.configurations(bench, "");
    let (old, new) = (
        format!(" {}\n", bench.a.node.address()),
        format!(" {own}\n"),
    );
    let [file_a, file_b] = [file_a, file_b].map(|file| file.replace(&old, &new));
    bench.a.node.add_spare("spare")?;
    bench.a.start(&file_a)?;
    bench.b.start(&file_b)?;
    let line = "(VI_1): entering FAULT state (src address not configured)";
    bench.a.daemon()?.await_line(PATIENCE, line)?;
    speech.await_holder(bench, bench.lab.observer.beginning(), &bench.b)?;

    let mark = bench.lab.observer.mark();
    bench.a.node.add_host_address("spare", own)?;
    speech.await_holder(bench, mark, &bench.a)?;
    let what = "advert of the first node";
    let from: std::net::IpAddr = own.into();
    let observer = &bench.lab.observer;
    observer.await_advert(mark, PATIENCE, what, |advert| advert.source == from)?;

    let mark = bench.lab.observer.mark();
    bench.a.node.remove_host_address("spare", own)?;
    speech.await_holder(bench, mark, &bench.b)?;
    bench.stop()
}

const FIRST_VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 101);
const SECOND_VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 102);
/// Peers of which no node has the address.
const NOBODY: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 91), Ipv4Addr::new(192, 0, 2, 92)];

/// Both nodes have the same VRID twice on one interface. What they share with each
/// other has one master; what each shares with a node that is not there is its own.
pub fn one_vrid_twice(bench: &mut Bench) -> Result<()> {
    let [a, b] = [bench.a.node.address(), bench.b.node.address()];
    let instance = |name: &str, own: Ipv4Addr, peer: Ipv4Addr, priority: u8, vip: Ipv4Addr| {
        format!(
            "vrrp_instance {name} {{
    interface eth0
    virtual_router_id {VRID}
    priority {priority}
    advert_int 1
    unicast_src_ip {own}
    unicast_peer {{
        {peer}
    }}
    virtual_ipaddress {{
        {vip}/24
    }}
}}
"
        )
    };
    let first =
        instance("VI_2", a, NOBODY[0], 150, SECOND_VIP) + &instance("VI_1", a, b, 150, FIRST_VIP);
    let second = instance("VI_2", b, NOBODY[1], 100, Ipv4Addr::new(192, 0, 2, 103))
        + &instance("VI_1", b, a, 100, FIRST_VIP);
    bench.start(&first, &second)?;
    bench.a.node.await_address(FIRST_VIP, true, PATIENCE)?;
    bench.a.node.await_address(SECOND_VIP, true, PATIENCE)?;
    let other = Ipv4Addr::new(192, 0, 2, 103);
    bench.b.node.await_address(other, true, PATIENCE)?;
    // Several adverts later nobody has changed his mind.
    for _ in 0..3 {
        bench.await_advert(bench.lab.observer.mark(), &bench.a, 150)?;
    }
    bench.a.expect_addresses(&[FIRST_VIP, SECOND_VIP])?;
    bench.b.expect_addresses(&[other])?;
    expect(
        bench
            .b
            .daemon()?
            .count_lines("(VI_1) Entering MASTER STATE")
            == 0,
        || "the second node to stay backup of what both share".to_owned(),
    )?;
    let mark = bench.lab.observer.mark();
    bench.a.stop()?;
    bench
        .lab
        .observer
        .await_announcement(mark, PATIENCE, FIRST_VIP, bench.b.node.mac())?;
    bench.b.expect_addresses(&[FIRST_VIP, other])?;
    bench.b.stop()
}

/// A node tells of a virtual router on its wire that it is no part of.
pub fn unknown_vrid(bench: &mut Bench) -> Result<()> {
    let told = format!(
        "global_defs {{\n    log_unknown_vrids\n}}\n{}",
        configuration(150, "")
    );
    let other = configuration(100, "")
        .replace(&format!("virtual_router_id {VRID}"), "virtual_router_id 52")
        .replace(&VIP.to_string(), &SECOND_VIP.to_string());
    bench.start(&told, &other)?;
    let line = "Unknown VRID(52) received on interface(eth0). ignoring...";
    bench.a.daemon()?.await_line(PATIENCE, line)?;
    bench.a.node.await_address(VIP, true, PATIENCE)?;
    bench.b.node.await_address(SECOND_VIP, true, PATIENCE)?;
    bench.stop()
}
