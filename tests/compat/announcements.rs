//! Gratuitous ARP and neighbour adverts on the wire: their spacing, the router flag,
//! other interfaces, and the own address of a node that takes part again.

use crate::bench::{Bench, PATIENCE, VIP, configuration, expect};
use crate::families::{Speech, VIP_GLOBAL};
use crate::lab::{self, Context, Result};
use std::net::Ipv4Addr;
use std::time::Duration;

const OTHERS: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 101), Ipv4Addr::new(192, 0, 2, 102)];

/// A group spaces its interface out, whatever is set for all interfaces.
pub fn group(bench: &mut Bench) -> Result<()> {
    const APART: Duration = Duration::from_millis(200);
    /// How much nearer two frames may seem: the first was stamped late.
    const EARLY: Duration = Duration::from_millis(50);
    let [second, third] = OTHERS;
    let instance = configuration(150, "garp_master_repeat 2\ngarp_master_delay 0").replace(
        &format!("{VIP}/24"),
        &format!("{VIP}/24\n{second}/24\n{third}/24"),
    );
    let file = format!(
        "global_defs {{\n    vrrp_garp_interval 0.001\n}}\n\
         garp_group {{\n    garp_interval 0.2\n    interfaces {{\n        eth0\n    }}\n}}\n\
         {instance}"
    );
    bench.a.start(&file)?;
    let (observer, mac) = (&bench.lab.observer, bench.a.node.mac());
    for vip in [VIP, second, third] {
        observer.await_announcement(observer.beginning(), PATIENCE, vip, mac)?;
    }
    let all = observer.since(observer.beginning());
    let times: Vec<_> = all
        .iter()
        .filter(|sighting| sighting.announcement().is_some_and(|(_, by)| by == mac))
        .map(|sighting| sighting.at)
        .collect();
    for pair in times.windows(2) {
        let gap =
            pair[1].saturating_duration_since(pair[0]) + bench.lab.canary.worst_since(pair[0]);
        expect(gap + EARLY >= APART, || {
            format!("announcements {APART:?} apart, not {gap:?}")
        })?;
    }
    bench.a.stop()
}

/// A neighbour advert says router while the interface forwards, and no longer.
pub fn router(bench: &mut Bench) -> Result<()> {
    let speech = Speech {
        ipv6: true,
        ..Speech::V3
    };
    bench.a.node.enable_ipv6()?;
    bench.b.node.enable_ipv6()?;
    let [file, _] = speech.configurations(bench, "garp_master_refresh 1\ngarp_master_delay 0");
    bench.a.start(&file)?;
    let observer = &bench.lab.observer;
    let mut mark = observer.beginning();
    for router in [false, true, false] {
        if mark != observer.beginning() {
            bench.a.node.inside(|| {
                let path = "/proc/sys/net/ipv6/conf/eth0/forwarding";
                std::fs::write(path, if router { "1" } else { "0" }).context(path)
            })?;
        }
        let what = format!("neighbour advert, router: {router}");
        let (_, next) = observer.await_frame(mark, PATIENCE, &what, |sighting| {
            sighting.neighbour().is_some_and(|it| {
                it.target == VIP_GLOBAL && it.right && it.overrides && it.router == router
            })
        })?;
        mark = next;
    }
    bench.a.stop()
}

/// Unicast says where its own address is when it takes part again.
pub fn own_address(bench: &mut Bench) -> Result<()> {
    let speech = Speech {
        unicast: true,
        ..Speech::V3
    };
    let [file_a, file_b] = speech.configurations(bench, "");
    bench.start(&file_a, &file_b)?;
    speech.await_holder(bench, bench.lab.observer.beginning(), &bench.a)?;
    bench.a.node.set_interface_up(false)?;
    let daemon = bench.a.daemon()?;
    daemon.await_line(PATIENCE, "(VI_1) Entering FAULT STATE")?;
    let mark = bench.lab.observer.mark();
    bench.a.node.set_interface_up(true)?;
    let (own, mac) = (bench.a.node.address(), bench.a.node.mac());
    let observer = &bench.lab.observer;
    observer.await_announcement(mark, PATIENCE, own, mac)?;
    speech.await_holder(bench, mark, &bench.a)?;
    bench.stop()
}

/// The instance is on another segment than one of its addresses, whose segment is
/// reminded of it again and again.
pub fn other_interface(bench: &mut Bench) -> Result<()> {
    const SEGMENT: &str = "inside";
    lab::add_segment(SEGMENT)?;
    let own = Ipv4Addr::new(198, 51, 100, 1);
    bench.a.node.plug_into(SEGMENT, "eth1", own)?;
    let words = "garp_extra_if all 1\ngarp_master_delay 0\ngarp_master_repeat 1";
    let file = configuration(150, words)
        .replace("interface eth0", "interface eth1")
        .replace(
            &format!("{VIP}/24"),
            &format!("198.51.100.9/24\n{VIP}/24 dev eth0"),
        );
    bench.a.start(&file)?;
    let mut mark = bench.lab.observer.beginning();
    let mut times = Vec::new();
    for _ in 0..4 {
        let (observer, mac) = (&bench.lab.observer, bench.a.node.mac());
        let (at, next) = observer.await_announcement(mark, PATIENCE, VIP, mac)?;
        times.push(at);
        mark = next;
    }
    for pair in times.windows(2) {
        bench.expect_due("reminder", pair[0], Duration::from_secs(1), pair[1])?;
    }
    bench.a.stop()
}
