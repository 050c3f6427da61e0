//! Interfaces that change under a running daemon: name, number, hardware address, size,
//! addresses, namespace. What counts is what is on the wire, and that everything comes
//! back by itself (specification F.9).

use crate::bench::{Bench, Machine, PATIENCE, VIP, VRID, expect, find_program};
use crate::lab::frames::Advert;
use crate::lab::{Failure, Mac, Mark, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::time::{Duration, Instant};

/// An address that takes the place of the node's own.
const SECOND: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 50);

/// The VIP of IPv6.
const VIP6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x100);

/// The instance of all scenarios: fast, so that none takes long.
fn file(priority: u8, extra: &str) -> String {
    format!(
        "vrrp_instance VI_1 {{\nstate BACKUP\ninterface eth0\nvirtual_router_id {VRID}\n\
         version 3\npriority {priority}\nadvert_int 0.2\n{extra}\nvirtual_ipaddress {{\n\
         {VIP}/24\n}}\n}}\n"
    )
}

/// Runs `ip` inside a node.
pub fn ip(machine: &Machine, words: &str) -> Result<String> {
    let program = find_program("ip").ok_or_else(|| Failure::new("there is no ip"))?;
    let output = machine.node.inside(|| {
        let output = Command::new(&program).args(words.split(' ')).output();
        output.map_err(|error| Failure::new(error.to_string()))
    })?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(output.status.success(), || format!("ip {words}: {said}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Starts both and waits until the first one is MASTER.
fn begin(bench: &mut Bench, extra: &str) -> Result<()> {
    bench.start(&file(200, extra), &file(100, extra))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)
}

fn await_advert(
    bench: &Bench,
    mark: Mark,
    what: &str,
    wanted: impl Fn(&Advert) -> bool,
) -> Result<Mark> {
    let seen = bench
        .lab
        .observer
        .await_advert(mark, PATIENCE, what, wanted);
    seen.map(|(_, mark)| mark)
}

/// An advert of the first node, with its priority, from this address.
fn await_source(bench: &Bench, mark: Mark, source: impl Into<IpAddr>) -> Result<Mark> {
    let source = source.into();
    await_advert(bench, mark, &format!("an advert from {source}"), |advert| {
        advert.source == source && advert.priority == 200
    })
}

fn await_fault(machine: &Machine, count: usize) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while machine.daemon()?.count_lines("Entering FAULT STATE") < count {
        expect(Instant::now() < deadline, || format!("{count} faults"))?;
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Another name: the VIP goes, for nobody asks for it there, and comes back with the old
/// name.
pub fn renamed(bench: &mut Bench) -> Result<()> {
    begin(bench, "")?;
    let mark = bench.lab.observer.mark();
    ip(&bench.a, "link set eth0 name other")?;
    bench.a.expect_line("Interface eth0 deleted")?;
    bench.a.expect_line("interface eth0 does not exist")?;
    bench.await_holder(mark, &bench.b)?;
    let shown = ip(&bench.a, "-o -4 addr show dev other")?;
    expect(!shown.contains(&VIP.to_string()), || {
        format!("no VIP under the other name: {shown}")
    })?;
    let mark = bench.lab.observer.mark();
    ip(&bench.a, "link set other name eth0")?;
    bench.await_holder(mark, &bench.a)?;
    bench.stop()
}

/// Gone, and there again with another number, on both nodes in turn: who sends is heard,
/// and who waits hears, because its socket has joined the group of the new interface.
pub fn created_again(bench: &mut Bench) -> Result<()> {
    begin(bench, "")?;
    let number = |machine: &Machine| ip(machine, "-o link show dev eth0");
    for round in 1..=2 {
        let before = number(&bench.b)?;
        bench.b.node.unplug()?;
        await_fault(&bench.b, round)?;
        bench.b.node.plug()?;
        expect(number(&bench.b)? != before, || "another number".into())?;
        expect_deaf_never(bench)?;
    }
    let mark = bench.lab.observer.mark();
    bench.a.node.unplug()?;
    bench.await_holder(mark, &bench.b)?;
    let mark = bench.lab.observer.mark();
    bench.a.node.plug()?;
    bench.await_holder(mark, &bench.a)?;
    bench.stop()
}

/// Checks that the second node hears the first one: it would take over otherwise.
fn expect_deaf_never(bench: &Bench) -> Result<()> {
    let elected = |machine: &Machine| -> Result<usize> {
        Ok(machine.daemon()?.count_lines("Entering MASTER STATE"))
    };
    let before = elected(&bench.b)?;
    // Longer than its master down time.
    let long = Duration::from_millis(1_500);
    bench.expect_no_advert(long, "of a deaf node", |advert| advert.priority == 100)?;
    let after = elected(&bench.b)?;
    expect(before == after, || "no election".into())?;
    bench.b.expect_line("Entering BACKUP STATE")
}

/// So small for a moment that the kernel takes IPv6 off the interface, and with it what
/// sockets have joined; it does not say so when IPv6 is back. Who waits hears again, and
/// who sends is heard.
pub fn too_small_for_a_moment(bench: &mut Bench) -> Result<()> {
    for machine in [&bench.a, &bench.b] {
        // What the kernel makes of the interface when IPv6 is back.
        for (name, value) in [("disable_ipv6", "0"), ("accept_dad", "0")] {
            setting(machine, "default", name, value)?;
        }
        machine.node.enable_ipv6()?;
    }
    bench.start(&file6(200), &file6(100))?;
    let vip: IpAddr = VIP6.into();
    let observer = &bench.lab.observer;
    observer.await_announcement(observer.beginning(), PATIENCE, vip, bench.a.node.mac())?;
    for round in 1..=2 {
        shrink(&bench.b, round)?;
        expect_deaf_never(bench)?;
    }
    let mark = bench.lab.observer.mark();
    shrink(&bench.a, 1)?;
    observer.await_announcement(mark, PATIENCE, vip, bench.a.node.mac())?;
    bench.stop()
}

fn shrink(machine: &Machine, round: usize) -> Result<()> {
    ip(machine, "link set eth0 mtu 1200")?;
    await_fault(machine, round)?;
    ip(machine, "link set eth0 mtu 1500")?;
    let deadline = Instant::now() + PATIENCE;
    while machine.daemon()?.count_lines("Entering BACKUP STATE") <= round {
        expect(Instant::now() < deadline, || "BACKUP again".into())?;
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Another hardware address: the VIP is announced with it, and adverts have it.
pub fn other_hardware_address(bench: &mut Bench) -> Result<()> {
    const NEW: Mac = Mac([2, 0, 0, 0, 9, 9]);
    begin(bench, "")?;
    let mark = bench.lab.observer.mark();
    ip(&bench.a, "link set eth0 address 02:00:00:00:09:09")?;
    let observer = &bench.lab.observer;
    observer.await_announcement(mark, PATIENCE, VIP, NEW)?;
    let source = IpAddr::from(bench.a.node.address());
    observer.await_frame(mark, PATIENCE, "an advert of the new address", |seen| {
        let advert = seen.advert();
        advert.is_some_and(|it| it.source == source && it.source_mac == NEW)
    })?;
    bench.expect_answer(VIP, &[NEW])?;
    bench.stop()
}

/// Into another namespace and back, as containers do: the number may be the same, and
/// everything that the kernel knew of the interface is gone.
pub fn away_and_back(bench: &mut Bench) -> Result<()> {
    begin(bench, "")?;
    for (machine, round) in [(&bench.b, 1), (&bench.b, 2), (&bench.a, 1)] {
        let mark = bench.lab.observer.mark();
        ip(machine, "netns add away")?;
        ip(machine, "link set eth0 netns away")?;
        await_fault(machine, round)?;
        ip(machine, "netns exec away ip link set eth0 netns 1")?;
        let own = machine.node.address();
        ip(machine, &format!("addr add {own}/24 dev eth0"))?;
        ip(machine, "link set eth0 up")?;
        ip(machine, "netns del away")?;
        match std::ptr::eq(machine, &bench.a) {
            true => bench.await_holder(mark, machine)?,
            false => expect_deaf_never(bench)?,
        }
    }
    bench.stop()
}

/// The address that adverts come from goes: the next one takes its place at once, with
/// none it is FAULT, and the first that comes ends that.
pub fn source_address(bench: &mut Bench) -> Result<()> {
    begin(bench, "")?;
    let own = bench.a.node.address();
    ip(&bench.a, &format!("addr add {SECOND}/25 dev eth0"))?;
    let mark = await_source(bench, bench.lab.observer.mark(), own)?;
    ip(&bench.a, &format!("addr del {own}/24 dev eth0"))?;
    let mark = await_source(bench, mark, SECOND)?;
    let faults = bench.a.daemon()?.count_lines("Entering FAULT STATE");
    expect(faults == 0, || "no fault as long as there is one".into())?;
    // The VIP, which may be left, is no source.
    ip(&bench.a, &format!("addr del {SECOND}/25 dev eth0"))?;
    bench
        .a
        .expect_line("interface eth0 has no address to send from")?;
    bench
        .lab
        .observer
        .await_announcement(mark, PATIENCE, VIP, bench.b.node.mac())?;
    let mark = bench.lab.observer.mark();
    ip(&bench.a, &format!("addr add {own}/24 dev eth0"))?;
    await_source(bench, mark, own)?;
    bench.await_holder(mark, &bench.a)?;
    bench.stop()
}

/// All addresses flushed at once, the VIP among them.
pub fn flushed(bench: &mut Bench) -> Result<()> {
    begin(bench, "")?;
    for (machine, round) in [(&bench.b, 1), (&bench.a, 1)] {
        ip(machine, "addr flush dev eth0")?;
        await_fault(machine, round)?;
        let own = machine.node.address();
        let mark = bench.lab.observer.mark();
        ip(machine, &format!("addr add {own}/24 dev eth0"))?;
        match std::ptr::eq(machine, &bench.a) {
            true => bench.await_holder(mark, machine)?,
            false => expect_deaf_never(bench)?,
        }
    }
    bench.stop()
}

/// With `track_src_ip` the configured address has to be there.
pub fn tracked_source(bench: &mut Bench) -> Result<()> {
    ip(&bench.a, &format!("addr add {SECOND}/24 dev eth0"))?;
    let extra = format!("mcast_src_ip {SECOND}\ntrack_src_ip");
    bench.a.start(&file(200, &extra))?;
    bench.b.start(&file(100, ""))?;
    let mark = await_source(bench, bench.lab.observer.beginning(), SECOND)?;
    ip(&bench.a, &format!("addr del {SECOND}/24 dev eth0"))?;
    await_fault(&bench.a, 1)?;
    bench
        .lab
        .observer
        .await_announcement(mark, PATIENCE, VIP, bench.b.node.mac())?;
    let mark = bench.lab.observer.mark();
    ip(&bench.a, &format!("addr add {SECOND}/24 dev eth0"))?;
    await_source(bench, mark, SECOND)?;
    ip(&bench.a, &format!("addr del {SECOND}/24 dev eth0"))?;
    bench.stop()
}

/// Somebody else has the link-local address already: the kernel does not let it be used,
/// and neither do we. When it is free, all is well.
pub fn duplicate_link_local(bench: &mut Bench) -> Result<()> {
    let double: Ipv6Addr = "fe80::51".parse().map_err(|_| Failure::new("an address"))?;
    for machine in [&bench.a, &bench.b] {
        machine.node.enable_ipv6()?;
    }
    ip(&bench.b, "addr add fe80::51/64 dev eth0 nodad")?;
    setting(&bench.a, "eth0", "accept_dad", "1")?;
    setting(&bench.a, "eth0", "addr_gen_mode", "1")?;
    ip(
        &bench.a,
        &format!("addr del {}/64 dev eth0", bench.a.node.link_local()),
    )?;
    ip(&bench.a, "addr add fe80::51/64 dev eth0")?;
    bench.a.start(&file6(200))?;
    bench.a.expect_line("Entering FAULT STATE (init)")?;
    let deadline = Instant::now() + PATIENCE;
    while !ip(&bench.a, "addr show dev eth0")?.contains("dadfailed") {
        expect(Instant::now() < deadline, || {
            "a duplicate to be found".into()
        })?;
    }
    bench.expect_no_advert(Duration::from_millis(700), "of a duplicate", |advert| {
        advert.source == IpAddr::from(double)
    })?;
    ip(&bench.b, "addr del fe80::51/64 dev eth0")?;
    ip(&bench.a, "addr del fe80::51/64 dev eth0")?;
    let mark = bench.lab.observer.mark();
    ip(&bench.a, "addr add fe80::51/64 dev eth0")?;
    await_source(bench, mark, double)?;
    bench.a.daemon()?.signal(libc::SIGTERM);
    bench.a.daemon()?.await_end(PATIENCE).map(drop)
}

/// A VIP that another host has: with `-nodad` the kernel finds it out and does not use the
/// VIP, which is told; without, it never asks.
pub fn duplicate_vip(bench: &mut Bench) -> Result<()> {
    for machine in [&bench.a, &bench.b] {
        machine.node.enable_ipv6()?;
    }
    for address in ["2001:db8::d", "2001:db8::e"] {
        ip(&bench.b, &format!("addr add {address}/64 dev eth0 nodad"))?;
    }
    setting(&bench.a, "eth0", "accept_dad", "1")?;
    let excluded = "virtual_ipaddress_excluded {\n2001:db8::d/64 -nodad\n2001:db8::e/64\n}";
    bench.a.start(&file(200, excluded))?;
    bench.a.expect_line(
        "(VI_1) VIP 2001:db8::d on eth0 is unusable: another host on the link has it",
    )?;
    let shown = ip(&bench.a, "-o -6 addr show dev eth0")?;
    let of = |address: &str| shown.lines().find(|line| line.contains(address));
    expect(
        of("2001:db8::d/64").is_some_and(|line| line.contains("dadfailed")),
        || format!("a VIP that is looked for: {shown}"),
    )?;
    expect(
        of("2001:db8::e/64").is_some_and(|line| !line.contains("tentative")),
        || format!("a VIP that is not looked for: {shown}"),
    )?;
    bench.a.stop()?;
    let told = bench.a.daemon()?.count_lines("is unusable");
    expect(told == 1, || format!("told once, not {told} times"))
}

fn setting(machine: &Machine, interface: &str, name: &str, value: &str) -> Result<()> {
    machine.node.inside(|| {
        let path = format!("/proc/sys/net/ipv6/conf/{interface}/{name}");
        std::fs::write(&path, value).map_err(|error| Failure::new(format!("{path}: {error}")))
    })
}

fn file6(priority: u8) -> String {
    file(priority, "native_ipv6").replace(&format!("{VIP}/24"), &format!("{VIP6}/64"))
}

/// Several things at once: each is told, and each has to be well again.
pub fn several_reasons(bench: &mut Bench) -> Result<()> {
    bench.a.node.add_spare("spare")?;
    bench.a.node.add_spare("other")?;
    let tracking = "track_interface {\nspare\n}\nvirtual_ipaddress_excluded {\n\
                    198.51.100.7 dev other\n}";
    bench.start(&file(200, tracking), &file(100, ""))?;
    bench.lab.observer.await_announcement(
        bench.lab.observer.beginning(),
        PATIENCE,
        VIP,
        bench.a.node.mac(),
    )?;
    let mark = bench.lab.observer.mark();
    for name in ["spare", "other"] {
        bench.a.node.set_link_up(name, false)?;
    }
    let own = bench.a.node.address();
    ip(&bench.a, &format!("addr del {own}/24 dev eth0"))?;
    bench
        .lab
        .observer
        .await_announcement(mark, PATIENCE, VIP, bench.b.node.mac())?;
    let reasons = [
        "interface eth0 has no address to send from",
        "interface other of a VIP is down or missing",
        "tracked interface spare is not as it must be",
    ];
    for (step, words) in ["link set spare up", "link set other up"]
        .iter()
        .enumerate()
    {
        ip(&bench.a, words)?;
        let left = status(&bench.a, |text| {
            // What brought it there first stays.
            let lines = text.lines().filter(|line| !line.contains("Why"));
            let told = lines.filter(|line| reasons.iter().any(|it| line.contains(it)));
            told.count() == 2 - step
        })?;
        expect(left.contains("FAULT"), || format!("FAULT: {left}"))?;
    }
    let mark = bench.lab.observer.mark();
    ip(&bench.a, &format!("addr add {own}/24 dev eth0"))?;
    bench
        .lab
        .observer
        .await_announcement(mark, PATIENCE, VIP, bench.a.node.mac())?;
    bench.a.daemon()?.signal(libc::SIGTERM);
    bench.a.expect_stopped()?;
    bench.b.stop()
}

/// What `status` says, once that is as wanted.
fn status(machine: &Machine, wanted: impl Fn(&str) -> bool) -> Result<String> {
    let program = env!("CARGO_BIN_EXE_keepalived-rs");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let output = machine.node.inside(|| {
            let output = Command::new(program).args(["status", "VI_1"]).output();
            output.map_err(|error| Failure::new(error.to_string()))
        })?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if wanted(&text) {
            return Ok(text);
        }
        expect(Instant::now() < deadline, || {
            format!("another status than {text}")
        })?;
    }
}

/// A change of the link for a moment: with a delay nobody notices, and the other node
/// does not take over.
pub fn debounced(bench: &mut Bench) -> Result<()> {
    let delays = "interface_up_down_delays {\neth0 0.35\n}\n";
    let files = [200, 100].map(|priority| format!("{delays}{}", file(priority, "")));
    bench.start(&files[0], &files[1])?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    let mark = bench.lab.observer.mark();
    bench.a.node.set_carrier(false)?;
    bench
        .a
        .expect_line("eth0: Adding flags change from up to down delay by 350000")?;
    bench.a.node.set_carrier(true)?;
    bench.a.expect_line("Delay timer for eth0 cancelled")?;
    // Told to switches that have forgotten.
    bench
        .lab
        .observer
        .await_announcement(mark, PATIENCE, VIP, bench.a.node.mac())?;
    bench.expect_holder(&bench.a)?;
    let faults = bench.a.daemon()?.count_lines("Entering FAULT STATE");
    expect(faults == 0, || format!("no fault, not {faults}"))?;
    // For good.
    let mark = bench.lab.observer.mark();
    bench.a.node.set_carrier(false)?;
    await_fault(&bench.a, 1)?;
    bench.await_holder(mark, &bench.b)?;
    let mark = bench.lab.observer.mark();
    bench.a.node.set_carrier(true)?;
    bench.await_holder(mark, &bench.a)?;
    bench.stop()
}

/// A link that is polled, by whatever means it answers.
pub fn polled(bench: &mut Bench) -> Result<()> {
    let polled = "linkbeat_interfaces {\neth0 ETHTOOL\n}\n";
    let first = format!("{polled}{}", file(200, ""));
    bench.start(&first, &file(100, ""))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    let mark = bench.lab.observer.mark();
    bench.a.node.set_carrier(false)?;
    bench.a.expect_line("Linkbeat reports eth0 down")?;
    bench.await_holder(mark, &bench.b)?;
    let mark = bench.lab.observer.mark();
    bench.a.node.set_carrier(true)?;
    bench.a.expect_line("Linkbeat reports eth0 up")?;
    bench.await_holder(mark, &bench.a)?;
    bench.stop()
}

/// Settings of the kernel are what they were once the daemon has stopped, also when a
/// worker died in between, and where they were so before.
pub fn settings(bench: &mut Bench) -> Result<()> {
    const IGMP: &str = "/proc/sys/net/ipv4/igmp_link_local_mcast_reports";
    let promoted = |name: &str| format!("/proc/sys/net/ipv4/conf/{name}/promote_secondaries");
    bench.a.node.add_spare("spare")?;
    let read = |machine: &Machine, path: &str| -> Result<String> {
        let text = machine.node.inside(|| {
            std::fs::read_to_string(path).map_err(|error| Failure::new(error.to_string()))
        })?;
        Ok(text.trim().to_owned())
    };
    let all = |machine: &Machine| -> Result<[String; 3]> {
        Ok([
            read(machine, &promoted("eth0"))?,
            read(machine, &promoted("spare"))?,
            read(machine, IGMP)?,
        ])
    };
    bench.a.node.inside(|| {
        for (name, value) in [("eth0", "0"), ("spare", "1")] {
            let path = promoted(name);
            std::fs::write(&path, value).map_err(|error| Failure::new(error.to_string()))?;
        }
        Ok(())
    })?;
    let before = all(&bench.a)?;
    let second = "vrrp_instance VI_2 {\ninterface spare\nvirtual_router_id 9\nversion 3\n\
                  mcast_src_ip 198.51.100.1\npromote_secondaries\nvirtual_ipaddress {\n\
                  198.51.100.9\n}\n}\n";
    let globals = "global_defs {\ndisable_local_igmp\n}\n";
    let text = format!("{globals}{}{second}", file(200, "promote_secondaries"));
    let is_ours = bench.a.program == crate::bench::Program::Ours;
    bench.a.start(&text)?;
    bench.a.expect_line("(VI_1) Entering MASTER STATE")?;
    expect(all(&bench.a)? == ["1", "1", "0"], || "set".into())?;
    if is_ours {
        crate::faults::kill_worker(&bench.a)?;
        let deadline = Instant::now() + PATIENCE;
        while bench
            .a
            .daemon()?
            .count_lines("(VI_1) Entering MASTER STATE")
            < 2
        {
            expect(Instant::now() < deadline, || "a new worker".into())?;
            std::thread::sleep(Duration::from_millis(10));
        }
        expect(all(&bench.a)? == ["1", "1", "0"], || "set".into())?;
    }
    bench.a.daemon()?.signal(libc::SIGTERM);
    bench.a.expect_stopped()?;
    let after = all(&bench.a)?;
    expect(after == before, || format!("{before:?}, not {after:?}"))
}

/// The same for an interface that comes when the daemon runs already.
pub fn settings_of_a_late_interface(bench: &mut Bench) -> Result<()> {
    let path = |name: &str| format!("/proc/sys/net/ipv4/conf/{name}/promote_secondaries");
    let read = |machine: &Machine| -> Result<String> {
        let text = machine.node.inside(|| {
            std::fs::read_to_string(path("late")).map_err(|error| Failure::new(error.to_string()))
        })?;
        Ok(text.trim().to_owned())
    };
    bench.a.node.inside(|| {
        let default = path("default");
        std::fs::write(default, "0").map_err(|error| Failure::new(error.to_string()))
    })?;
    let second = "vrrp_instance VI_2 {\ninterface late\nvirtual_router_id 9\nversion 3\n\
                  advert_int 0.2\nmcast_src_ip 198.51.100.1\npromote_secondaries\n\
                  virtual_ipaddress {\n198.51.100.9\n}\n}\n";
    bench.a.start(&(file(200, "") + second))?;
    bench.a.expect_line("(VI_1) Entering MASTER STATE")?;
    bench.a.node.add_spare("late")?;
    bench.a.expect_line("(VI_2) Entering MASTER STATE")?;
    expect(read(&bench.a)? == "1", || "set".into())?;
    let mark = bench.a.daemon()?.line_mark();
    crate::faults::kill_worker(&bench.a)?;
    let line = "(VI_2) Entering MASTER STATE";
    bench.a.daemon()?.await_line_after(mark, PATIENCE, line)?;
    bench.a.daemon()?.signal(libc::SIGTERM);
    bench.a.expect_stopped()?;
    expect(read(&bench.a)? == "0", || "what it was".into())
}

/// What is static and has a track group: its interface counts for the instances, and it
/// is put back when somebody takes it out.
pub fn track_group(bench: &mut Bench) -> Result<()> {
    bench.a.node.add_spare("spare")?;
    let statics = "track_group G {\ngroup {\nVI_1\n}\n}\nstatic_ipaddress {\n\
                   198.51.100.1/24 dev spare track_group G\n}\nstatic_routes {\n\
                   10.4.0.0/16 via 198.51.100.9 dev spare track_group G\n}\n\
                   static_rules {\nfrom 10.5.0.0/16 iif spare table 100 priority 77 \
                   track_group G\n}\n";
    bench.start(&format!("{statics}{}", file(200, "")), &file(100, ""))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    let all_there = |machine: &Machine| -> Result<bool> {
        Ok(
            ip(machine, "addr show dev spare")?.contains("198.51.100.1/24")
                && ip(machine, "route show 10.4.0.0/16")?.contains("198.51.100.9")
                && ip(machine, "rule show priority 77")?.contains("spare"),
        )
    };
    let await_all = |machine: &Machine| -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !all_there(machine)? {
            expect(Instant::now() < deadline, || "all that is static".into())?;
        }
        Ok(())
    };
    await_all(&bench.a)?;
    for words in ["addr del 198.51.100.1/24 dev spare", "rule del priority 77"] {
        ip(&bench.a, words)?;
        bench.a.expect_line("Restoring deleted static")?;
        // With the only address of an interface go its routes, and C leaves it at that.
        if bench.a.program == crate::bench::Program::Ours {
            await_all(&bench.a)?;
        }
    }
    let faults = bench.a.daemon()?.count_lines("Entering FAULT STATE");
    expect(faults == 0, || format!("no fault, not {faults}"))?;
    let mark = bench.lab.observer.mark();
    bench.a.node.set_link_up("spare", false)?;
    bench.await_holder(mark, &bench.b)?;
    let mark = bench.lab.observer.mark();
    bench.a.node.set_link_up("spare", true)?;
    bench.await_holder(mark, &bench.a)?;
    await_all(&bench.a)?;
    bench.stop()?;
    expect(!all_there(&bench.a)?, || "nothing left behind".into())
}
