//! Virtual MACs: whose hardware address is on the wire when, what becomes of one that
//! goes down or is deleted, and that none is left behind (specification D.7, F.9, F.12).

use crate::bench::{Bench, Machine, PATIENCE, Program, VIP, VRID, VRRP_PID_FILE, expect};
use crate::families::{Speech, VIP_GLOBAL};
use crate::lab::netlink::{self, Ipv6Address};
use crate::lab::process::send_signal;
use crate::lab::{Context, Failure, Mac, Mark, Observer, Result};
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The hardware addresses of the virtual router (RFC 9568 section 7.3).
const VIRTUAL: Mac = Mac([0, 0, 0x5e, 0, 1, VRID]);
const VIRTUAL_6: Mac = Mac([0, 0, 0x5e, 0, 2, VRID]);
const LINK: &str = "vrrp.51";
/// Once a second: a node of a busy machine must not seem silent.
const SLOW: Speech = Speech {
    interval_cs: 100,
    ..Speech::V3
};
const V6: Speech = Speech {
    ipv6: true,
    ..Speech::V3
};
/// How long the kernel may take to tell of itself after a change; it reports groups it
/// has joined at random within a second.
const MUTTERING: Duration = Duration::from_millis(2_500);

fn mac_of(speech: &Speech) -> Mac {
    if speech.ipv6 { VIRTUAL_6 } else { VIRTUAL }
}

/// Whether `machine` has all virtual addresses on an interface, or none of them.
fn holds(machine: &Machine, speech: &Speech, link: &str) -> Result<Option<bool>> {
    if !machine.node.is_on() {
        return Ok(Some(false));
    }
    let there: Vec<IpAddr> = machine.node.inside(|| {
        let four = netlink::addresses(link)?;
        let four = four.into_iter().map(|(address, _)| address.into());
        let six: Vec<Ipv6Address> = match netlink::index_of(link) {
            Ok(_) => netlink::ipv6_addresses(link)?,
            Err(_) => Vec::new(),
        };
        Ok(four
            .chain(six.into_iter().map(|it| it.address.into()))
            .collect())
    })?;
    let vips = speech.vips();
    let count = vips.iter().filter(|vip| there.contains(vip)).count();
    Ok(match count {
        0 => Some(false),
        _ if count == vips.len() => Some(true),
        _ => None,
    })
}

/// Waits until `holder` has the virtual addresses on `link`, and the other node has not.
fn await_addresses(bench: &Bench, speech: &Speech, holder: &Machine, link: &str) -> Result<()> {
    let other = match std::ptr::eq(holder, &bench.a) {
        true => &bench.b,
        false => &bench.a,
    };
    until("the addresses to be on one node alone", || {
        let here = holds(holder, speech, link)? == Some(true);
        let there = [LINK, "eth0"].into_iter();
        let there = there.map(|link| holds(other, speech, link));
        let free = there.collect::<Result<Vec<_>>>()?;
        Ok(here && free.iter().all(|it| *it == Some(false)))
    })
}

fn until(what: &str, mut reached: impl FnMut() -> Result<bool>) -> Result<()> {
    let limit = Instant::now() + PATIENCE;
    while !reached()? {
        expect(Instant::now() < limit, || what.to_owned())?;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn await_link(machine: &Machine, link: &str, there: bool) -> Result<()> {
    until(&format!("interface {link} to come or go"), || {
        let found = machine
            .node
            .inside(|| Ok(netlink::index_of(link).is_ok()))?;
        Ok(found == there)
    })
}

/// Frames with this sender since `mark`.
fn frames_from(observer: &Observer, mark: Mark, mac: Mac) -> Vec<Vec<u8>> {
    let all = observer.since(mark).into_iter().map(|it| it.frame);
    all.filter(|frame| frame.get(6..12) == Some(&mac.0))
        .collect()
}

/// Waits for the announcement of every address with the virtual MAC, and for an advert
/// of `holder` with it; then asks who has them.
fn await_virtual_holder(
    bench: &Bench,
    speech: &Speech,
    mark: Mark,
    holder: &Machine,
) -> Result<()> {
    let (observer, mac) = (&bench.lab.observer, mac_of(speech));
    for vip in speech.vips() {
        observer.await_announcement(mark, PATIENCE, vip, mac)?;
    }
    let priority = if std::ptr::eq(holder, &bench.a) {
        150
    } else {
        100
    };
    let what = format!("advert of {} with {mac}", holder.node.name());
    observer.await_advert(mark, PATIENCE, &what, |advert| {
        advert.priority == priority && advert.source_mac == mac
    })?;
    await_addresses(bench, speech, holder, LINK)?;
    for vip in speech.vips() {
        bench.expect_answer(vip, &[mac])?;
    }
    Ok(())
}

fn prepare(bench: &Bench, speech: &Speech) -> Result<()> {
    if speech.ipv6 {
        bench.a.node.enable_ipv6()?;
        bench.b.node.enable_ipv6()?;
    }
    Ok(())
}

/// What a daemon may leave: interfaces, settings of the base, firewall rules.
fn traces(machine: &Machine) -> Result<Vec<String>> {
    machine.node.inside(|| {
        let mut traces = Vec::new();
        for (program, arguments) in [("ip", "-o link"), ("nft", "list ruleset")] {
            let arguments = arguments.split(' ');
            let output = Command::new(program).args(arguments).output();
            let output = output.context(program)?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            // Counters of the driver come and go.
            let lines = text.lines().filter(|line| !line.contains("lo:"));
            let names = lines.map(|line| line.split('<').next().unwrap_or_default().trim());
            traces.extend(names.map(str::to_owned).filter(|it| !it.is_empty()));
        }
        for key in [
            "arp_ignore",
            "arp_filter",
            "rp_filter",
            "promote_secondaries",
        ] {
            let path = format!("/proc/sys/net/ipv4/conf/eth0/{key}");
            let value = std::fs::read_to_string(&path).context(path)?;
            traces.push(format!("{key} {}", value.trim()));
        }
        Ok(traces)
    })
}

/// C leaves settings of the base as they were for the virtual MAC.
fn expect_traces(machine: &Machine, before: &[String]) -> Result<()> {
    let after = traces(machine)?;
    let matters = |line: &&String| machine.program == Program::Ours || !line.contains("arp_");
    let before: Vec<_> = before.iter().filter(matters).collect();
    let after: Vec<_> = after.iter().filter(matters).collect();
    expect(before == after, || {
        format!("{before:?} at the end, not {after:?}")
    })
}

/// The virtual MAC is that of whoever is MASTER: its adverts, its announcements, its
/// answers. It moves when that one loses its power, and goes with the daemon.
fn life(bench: &mut Bench, speech: &Speech) -> Result<()> {
    prepare(bench, speech)?;
    let [file_a, file_b] = speech.configurations(bench, "use_vmac");
    let before = traces(&bench.b)?;
    bench.start(&file_a, &file_b)?;
    await_virtual_holder(bench, speech, bench.lab.observer.beginning(), &bench.a)?;
    // It is there with the BACKUP too, without a word of it.
    await_link(&bench.b, LINK, true)?;

    let mark = bench.lab.observer.mark();
    bench.a.node.power_off()?;
    let (last, mark) = (Instant::now(), mark);
    await_virtual_holder(bench, speech, mark, &bench.b)?;
    let took = last.elapsed();
    expect(took < PATIENCE, || format!("takeover, not after {took:?}"))?;
    bench.b.stop()?;
    expect_traces(&bench.b, &before)?;
    for vip in speech.vips() {
        bench.expect_answer(vip, &[])?;
    }
    Ok(())
}

pub fn life_v4(bench: &mut Bench) -> Result<()> {
    life(bench, &Speech::V3)
}

pub fn life_v6(bench: &mut Bench) -> Result<()> {
    life(bench, &V6)
}

/// A BACKUP does not let the network see the virtual MAC: no report of a multicast group,
/// no solicitation, no answer. The MASTER here is one without it.
fn silence(bench: &mut Bench, speech: &Speech) -> Result<()> {
    prepare(bench, speech)?;
    let [file_a, _] = speech.configurations(bench, "");
    let [_, file_b] = speech.configurations(bench, "use_vmac");
    bench.start(&file_a, &file_b)?;
    bench.b.expect_line("(VI_1) Entering BACKUP STATE")?;
    await_link(&bench.b, LINK, true)?;
    let observer = &bench.lab.observer;
    for vip in speech.vips() {
        observer.await_announcement(observer.beginning(), PATIENCE, vip, bench.a.node.mac())?;
    }
    std::thread::sleep(MUTTERING);
    let seen = frames_from(observer, observer.beginning(), mac_of(speech));
    expect(seen.is_empty(), || format!("silence, not {seen:02x?}"))?;
    for vip in speech.vips() {
        bench.expect_answer(vip, &[bench.a.node.mac()])?;
    }

    // With its own addresses come those that belong to a router.
    let mark = observer.mark();
    bench.a.stop()?;
    await_virtual_holder(bench, speech, mark, &bench.b)?;
    std::thread::sleep(MUTTERING);
    let seen = frames_from(&bench.lab.observer, mark, mac_of(speech));
    let leaks: Vec<_> = seen.iter().filter(|frame| is_report(frame)).collect();
    expect(leaks.is_empty(), || {
        format!("no reports or solicitations, not {leaks:02x?}")
    })?;
    bench.b.stop()
}

/// A report of multicast groups or a solicitation of routers.
fn is_report(frame: &[u8]) -> bool {
    let igmp = frame.get(12..14) == Some(&[8, 0]) && frame.get(23) == Some(&2);
    let hop_by_hop = frame.get(12..14) == Some(&[0x86, 0xdd]) && frame.get(20) == Some(&0);
    let icmp = frame.get(20) == Some(&58);
    igmp || hop_by_hop || (icmp && frame.get(54) == Some(&133))
}

pub fn silence_v4(bench: &mut Bench) -> Result<()> {
    silence(bench, &SLOW)
}

pub fn silence_v6(bench: &mut Bench) -> Result<()> {
    let speech = Speech { ipv6: true, ..SLOW };
    silence(bench, &speech)
}

/// With `vmac_xmit_base` adverts have the MAC of the interface; the addresses have the
/// virtual one.
pub fn transmitted_on_base(bench: &mut Bench) -> Result<()> {
    let speech = SLOW;
    let [file_a, file_b] = speech.configurations(bench, "use_vmac\nvmac_xmit_base");
    bench.start(&file_a, &file_b)?;
    let observer = &bench.lab.observer;
    observer.await_announcement(observer.beginning(), PATIENCE, VIP, VIRTUAL)?;
    await_addresses(bench, &speech, &bench.a, LINK)?;
    bench.expect_answer(VIP, &[VIRTUAL])?;
    for (_, advert) in observer.adverts_since(observer.beginning()) {
        let mac = bench.a.node.mac();
        expect(advert.source_mac == mac, || {
            format!("{mac}, not {advert:?}")
        })?;
    }
    bench.b.expect_line("(VI_1) Entering BACKUP STATE")?;
    bench.stop()
}

/// Unicast always goes that way.
pub fn unicast(bench: &mut Bench) -> Result<()> {
    let speech = Speech {
        unicast: true,
        ..Speech::V3
    };
    let [file_a, file_b] = speech.configurations(bench, "use_vmac");
    bench.start(&file_a, &file_b)?;
    let observer = &bench.lab.observer;
    observer.await_announcement(observer.beginning(), PATIENCE, VIP, VIRTUAL)?;
    await_addresses(bench, &speech, &bench.a, LINK)?;
    bench.expect_answer(VIP, &[VIRTUAL])?;
    bench.b.expect_line("(VI_1) Entering BACKUP STATE")?;
    let mark = bench.lab.observer.mark();
    bench.a.node.power_off()?;
    bench
        .lab
        .observer
        .await_announcement(mark, PATIENCE, VIP, VIRTUAL)?;
    await_addresses(bench, &speech, &bench.b, LINK)?;
    bench.b.stop()
}

/// Somebody sets the virtual MAC of the MASTER down, and up again.
pub fn link_down(bench: &mut Bench) -> Result<()> {
    let speech = Speech::V3;
    let [file_a, file_b] = speech.configurations(bench, "use_vmac");
    bench.start(&file_a, &file_b)?;
    await_virtual_holder(bench, &speech, bench.lab.observer.beginning(), &bench.a)?;
    let mark = bench.lab.observer.mark();
    bench.a.node.set_link_up(LINK, false)?;
    bench.a.expect_line("(VI_1) Entering FAULT STATE")?;
    await_virtual_holder(bench, &speech, mark, &bench.b)?;
    let mark = bench.lab.observer.mark();
    bench.a.node.set_link_up(LINK, true)?;
    await_virtual_holder(bench, &speech, mark, &bench.a)?;
    bench.stop()
}

/// Somebody deletes the virtual MAC of the MASTER: it is made anew at once, and nobody
/// else becomes MASTER.
pub fn deleted(bench: &mut Bench) -> Result<()> {
    let speech = SLOW;
    let [file_a, file_b] = speech.configurations(bench, "use_vmac");
    bench.start(&file_a, &file_b)?;
    await_virtual_holder(bench, &speech, bench.lab.observer.beginning(), &bench.a)?;
    let before = [transitions(&bench.a)?, transitions(&bench.b)?];
    for link in [LINK, LINK] {
        let mark = bench.lab.observer.mark();
        bench.a.node.inside(|| netlink::remove_link(link))?;
        await_virtual_holder(bench, &speech, mark, &bench.a)?;
    }
    let after = [transitions(&bench.a)?, transitions(&bench.b)?];
    expect(before == after, || {
        format!("no change of state, not {after:?}")
    })?;
    // With the BACKUP too, without a word.
    let mark = bench.lab.observer.mark();
    bench.b.node.inside(|| netlink::remove_link(LINK))?;
    await_link(&bench.b, LINK, true)?;
    bench.await_advert(mark, &bench.a, 150)?;
    bench.stop()
}

/// How often a node has entered a state.
fn transitions(machine: &Machine) -> Result<usize> {
    Ok(machine.daemon()?.count_lines("Entering"))
}

/// `use_vmac` comes, gets a name, is taken away, and the VRID changes: the MASTER stays
/// MASTER but for the last, and the address is where it belongs. Another instance is not
/// touched by any of it.
pub fn reloaded(bench: &mut Bench) -> Result<()> {
    let speech = SLOW;
    let other = "vrrp_instance OTHER {\ninterface eth0\nvirtual_router_id 60\npriority 150\n\
                 use_vmac\nvirtual_ipaddress {\n192.0.2.160/24\n}\n}\n";
    let files = |extra: &str| speech.configurations(bench, extra).map(|file| file + other);
    let steps = [
        ("use_vmac", LINK, VIRTUAL),
        ("use_vmac own0", "own0", VIRTUAL),
        ("", "eth0", bench.a.node.mac()),
        ("use_vmac", LINK, VIRTUAL),
    ];
    let texts: Vec<_> = steps.iter().map(|(words, ..)| files(words)).collect();
    let [first, second] = files("");
    bench.start(&first, &second)?;
    let observer = &bench.lab.observer;
    let (mark, mac) = (observer.beginning(), bench.a.node.mac());
    observer.await_announcement(mark, PATIENCE, VIP, mac)?;
    until("OTHER to be MASTER", || {
        Ok(bench
            .a
            .daemon()?
            .count_lines("(OTHER) Entering MASTER STATE")
            == 1)
    })?;
    let before = [transitions(&bench.a)?, transitions(&bench.b)?];
    let index = index_of(&bench.a, "vrrp.60")?;
    for ((words, link, mac), [text, _]) in steps.iter().zip(&texts) {
        let mark = observer.mark();
        let asked = Instant::now();
        bench.a.reload(text)?;
        let (announced, _) = observer.await_announcement(mark, PATIENCE, VIP, *mac)?;
        let took = announced.saturating_duration_since(asked);
        println!("reload to '{words}': announced after {took:?}");
        expect(took < Duration::from_secs(1), || {
            format!("the announcement at once, not after {took:?}")
        })?;
        await_addresses(bench, &speech, &bench.a, link)?;
        bench.expect_answer(VIP, &[*mac])?;
    }
    await_link(&bench.a, "own0", false)?;
    let after = [transitions(&bench.a)?, transitions(&bench.b)?];
    expect(before == after, || {
        format!("no change of state, not {after:?}")
    })?;

    // Another VRID is another virtual router, with another MAC.
    let [text, _] = &texts[0];
    let mark = observer.mark();
    bench
        .a
        .reload(&text.replace("virtual_router_id 51", "virtual_router_id 52"))?;
    await_link(&bench.a, LINK, false)?;
    await_link(&bench.a, "vrrp.52", true)?;
    let what = "farewell of VRID 51";
    observer.await_advert(mark, PATIENCE, what, |advert| {
        (advert.vrid, advert.priority) == (VRID, 0) && advert.source_mac == VIRTUAL
    })?;
    expect(index_of(&bench.a, "vrrp.60")? == index, || {
        "the other virtual MAC not to be made anew".to_owned()
    })?;
    let other = bench
        .a
        .daemon()?
        .count_lines("(OTHER) Entering MASTER STATE");
    expect(other == 1, || {
        format!("OTHER to stay MASTER, not {other} times")
    })?;
    bench.a.stop()?;
    bench.b.stop()
}

fn index_of(machine: &Machine, link: &str) -> Result<u32> {
    machine.node.inside(|| netlink::index_of(link))
}

/// Addresses on another interface, of the other family, and on another virtual MAC; the
/// names of the links.
pub fn other_links(bench: &mut Bench) -> Result<()> {
    bench.a.node.enable_ipv6()?;
    bench.a.node.add_spare("spare")?;
    bench.a.node.set_link_up("spare", true)?;
    let file = format!(
        "global_defs {{\nvmac_prefix vm\nvmac_addr_prefix va\n}}\n\
         vrrp_instance VI_1 {{\ninterface eth0\nvirtual_router_id {VRID}\npriority 150\n\
         use_vmac\nuse_vmac_addr\n\
         virtual_ipaddress {{\n{VIP}/24\n198.51.100.1/24 dev spare\n}}\n\
         virtual_ipaddress_excluded {{\n{VIP_GLOBAL}/64\n}}\n}}\n\
         vrrp_instance VI_2 {{\ninterface eth0\nvirtual_router_id 52\npriority 150\n\
         virtual_ipaddress {{\n192.0.2.102/24\n192.0.2.103/24 use_vmac\n}}\n}}\n"
    );
    bench.a.start(&file)?;
    let expected = [
        ("vm.51", "192.0.2.100", VIRTUAL),
        ("va.51", "198.51.100.1", VIRTUAL),
        ("va6.51", "2001:db8::100", VIRTUAL_6),
        ("eth0", "192.0.2.102", bench.a.node.mac()),
        ("va.52", "192.0.2.103", Mac([0, 0, 0x5e, 0, 1, 52])),
    ];
    for (link, address, mac) in expected {
        until(&format!("{address} on {link}"), || {
            let shown = bench.a.node.inside(|| {
                let output = Command::new("ip").args(["addr", "show", link]).output();
                Ok(output.context("ip")?.stdout)
            })?;
            let shown = String::from_utf8_lossy(&shown).into_owned();
            Ok(shown.contains(address) && shown.contains(&mac.to_string()))
        })?;
    }
    bench.expect_answer(
        "192.0.2.103".parse::<IpAddr>().expect("an address"),
        &[expected[4].2],
    )?;
    bench.expect_answer(VIP_GLOBAL, &[VIRTUAL_6])?;
    bench.a.stop()?;
    for link in ["vm.51", "va.51", "va6.51", "va.52"] {
        await_link(&bench.a, link, false)?;
    }
    Ok(())
}

/// The names are taken: by an interface that may be it, which is taken over, and by
/// another one, beside which it gets a number.
pub fn taken_names(bench: &mut Bench) -> Result<()> {
    let other = "vrrp_instance VI_2 {\ninterface eth0\nvirtual_router_id 52\npriority 150\n\
                 use_vmac\nvirtual_ipaddress {\n192.0.2.102/24\n}\n}\n\
                 vrrp_instance VI_3 {\ninterface eth0\nvirtual_router_id 53\npriority 150\n\
                 use_vmac vrrp.52\nvirtual_ipaddress {\n192.0.2.103/24\n}\n}\n";
    bench.a.node.inside(|| {
        ip("link add vrrp.51 link eth0 type macvlan mode private")?;
        ip("link set vrrp.51 address 00:00:5e:00:01:33")?;
        ip("addr add 192.0.2.100/24 dev vrrp.51")?;
        ip("link add vrrp.52 link eth0 type macvlan mode bridge")
    })?;
    let before = index_of(&bench.a, LINK)?;
    let [file, _] = Speech::V3.configurations(bench, "use_vmac");
    bench.a.start(&(file + other))?;
    bench
        .a
        .expect_line("(VI_1) Found matching interface vrrp.51")?;
    bench
        .a
        .expect_line("(VI_2): Success creating VMAC interface vrrp1.52")?;
    // The name that the configuration gives: with its place, what is wrong; and what
    // follows from it.
    bench.a.expect_line(
        "Line 26) (VI_3) interface vrrp.52 already exists and is not a private macvlan; \
         ignoring vmac if_name",
    )?;
    bench.a.expect_line("the instance uses vrrp.53 instead")?;
    bench.a.expect_line("(VI_1) Entering MASTER STATE")?;
    await_addresses(bench, &Speech::V3, &bench.a, LINK)?;
    expect(index_of(&bench.a, LINK)? == before, || {
        "the same interface".to_owned()
    })?;
    bench.a.stop()?;
    await_link(&bench.a, LINK, false)?;
    await_link(&bench.a, "vrrp1.52", false)?;
    await_link(&bench.a, "vrrp.52", true)
}

/// Each virtual MAC takes an open file. The worker raises the limit as far as it may; if
/// that is not enough, no instance runs that hears nobody.
pub fn many_with_few_open_files(bench: &mut Bench) -> Result<()> {
    const COUNT: usize = 60;
    let program = Program::Ours.path();
    let program = program.ok_or_else(|| Failure::new("no such program"))?;
    let program = program.to_string_lossy().into_owned();
    let instances = (1..=COUNT).map(|vrid| {
        format!(
            "vrrp_instance VI_{vrid} {{\ninterface eth0\nvirtual_router_id {vrid}\n\
             version 3\nuse_vmac\nvirtual_ipaddress {{\n198.51.100.{vrid}\n}}\n}}\n"
        )
    });
    let file: String = instances.collect();
    bench.a.node.write_file("/run/many.conf", &file)?;
    let arguments = ["-n", "-l", "-f", "/run/many.conf"];
    let mut start = |limit: &str| {
        let arguments = [&[limit, program.as_str()], &arguments[..]].concat();
        let prlimit = Path::new("/usr/bin/prlimit");
        bench.a.node.start(prlimit, &arguments, &[])
    };
    let daemon = start("--nofile=50:50")?;
    daemon.await_line(PATIENCE, "VRRP child process(")?;
    daemon.await_line(PATIENCE, "; 50 may be open, and each virtual MAC takes one")?;
    daemon.signal(libc::SIGTERM);
    daemon.await_end(PATIENCE)?;
    let masters = daemon.count_lines("Entering MASTER STATE");
    expect(masters == 0, || {
        format!("no MASTER that is deaf, not {masters}")
    })?;

    let daemon = start("--nofile=50:4096")?;
    daemon.await_line(PATIENCE, &format!("(VI_{COUNT}) Entering MASTER STATE"))?;
    let refused = daemon.count_lines("Too many open files");
    expect(refused == 0, || format!("enough open files: {refused}"))?;
    daemon.signal(libc::SIGTERM);
    daemon.await_end(PATIENCE).map(drop)
}

fn ip(arguments: &str) -> Result<()> {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.context("ip")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.success() {
        true => Ok(()),
        false => Err(Failure::new(format!("ip {arguments}: {said}"))),
    }
}

/// The worker dies: the other node takes over, and the next worker finds things as if
/// nothing had been. Then both processes die, and the clean-up takes all of it away.
pub fn killed(bench: &mut Bench) -> Result<()> {
    let speech = Speech::V3;
    let before = traces(&bench.a)?;
    let [file_a, file_b] = speech.configurations(bench, "use_vmac");
    bench.start(&file_a, &file_b)?;
    await_virtual_holder(bench, &speech, bench.lab.observer.beginning(), &bench.a)?;
    let mark = bench.lab.observer.mark();
    send_signal(worker_of(&bench.a)?, libc::SIGKILL)?;
    let what = "farewell with the virtual MAC";
    bench
        .lab
        .observer
        .await_advert(mark, PATIENCE, what, |advert| {
            advert.priority == 0 && advert.source_mac == VIRTUAL
        })?;
    await_virtual_holder(bench, &speech, mark, &bench.a)?;

    let mark = bench.lab.observer.mark();
    send_signal(worker_of(&bench.a)?, libc::SIGSTOP)?;
    bench.a.daemon()?.signal(libc::SIGKILL);
    bench.a.daemon()?.await_end(PATIENCE)?;
    // A moment after it makes a link, the kernel has not heard yet whose it is.
    let young = "vrrp7.51 link eth0 address 00:00:5e:00:01:33";
    let make = format!("link add {young} type macvlan mode private");
    bench.a.node.inside(|| ip(&make))?;
    crate::realtime::clean_up(&mut bench.a, &[])?;
    await_link(&bench.a, "vrrp7.51", false)?;
    expect_traces(&bench.a, &before)?;
    await_virtual_holder(bench, &speech, mark, &bench.b)?;
    bench.b.stop()
}

/// The number of the VRRP process, outside the node.
fn worker_of(machine: &Machine) -> Result<u32> {
    let text = machine.node.read_file(VRRP_PID_FILE)?;
    let number = text.trim().parse();
    let number = number.map_err(|_| Failure::new(format!("a number, not {text:?}")))?;
    machine.node.outer_id(number)
}
