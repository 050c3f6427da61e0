//! What operators, and programs that mean well, do to the network of a running node:
//! addresses taken away one by one and all at once, links down and up, interfaces that
//! are made again, packet filters that are emptied. What must hold: the address is
//! where it belongs, the network knows it, and nobody was elected for nothing.

use crate::bench::{
    Bench, CONFIGURATION, Machine, PATIENCE, PID_FILE, Program, VIP, VRID, VRRP_PID_FILE,
    configuration, expect, find_program,
};
use crate::firewall::connected;
use crate::lab::{Context, Failure, Mark, Result};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::{Duration, Instant};

/// Beside the configuration file of every node.
const OWN_WORDS: &str = "/run/keepalived-rs.conf";

/// How many addresses the instance of `thousand` has.
const MANY: u16 = 1_000;

/// Both nodes run, and the first holds the address. Gives a mark from which on
/// everything is a consequence of what is done then.
fn begun(bench: &mut Bench) -> Result<Mark> {
    bench.start(&configuration(150, ""), &configuration(100, ""))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    Ok(bench.lab.observer.mark())
}

fn ip(machine: &Machine, arguments: &str) -> Result<()> {
    run(machine, "ip", arguments)
}

fn run(machine: &Machine, program: &str, arguments: &str) -> Result<()> {
    let found = find_program(program);
    let found = found.ok_or_else(|| Failure::new(format!("there is no {program}")))?;
    let status = machine.node.inside(|| {
        let status = Command::new(&found).args(arguments.split(' ')).status();
        status.context(program)
    })?;
    expect(status.success(), || {
        format!("{program} {arguments} to work")
    })
}

/// Since `mark` nobody resigned and nobody else spoke; and the log tells of one
/// election only.
fn expect_no_election(bench: &Bench, mark: Mark) -> Result<()> {
    let own = bench.a.node.address();
    let adverts = bench.lab.observer.adverts_since(mark);
    let wrong = adverts
        .iter()
        .find(|(_, advert)| advert.source != own || advert.priority != 150);
    expect(wrong.is_none(), || format!("no advert like {wrong:?}"))?;
    let daemon = bench.a.daemon()?;
    let lines = ["Entering MASTER STATE", "Entering BACKUP STATE"];
    let elections = lines.map(|line| daemon.count_lines(line));
    expect(elections == [1, 1], || {
        format!("one election, not {elections:?}")
    })
}

/// Ours puts the address back and announces it; C gives up and takes it again. Either
/// way it is there in the end.
fn expect_back(bench: &Bench, mark: Mark) -> Result<()> {
    bench.await_holder(mark, &bench.a)?;
    if bench.a.program == Program::Ours {
        return expect_no_election(bench, mark);
    }
    bench.await_advert(mark, &bench.a, 0).map(drop)
}

/// `ip address del` of the VIP.
pub fn address_deleted(bench: &mut Bench) -> Result<()> {
    let mark = begun(bench)?;
    ip(&bench.a, &format!("address del {VIP}/24 dev eth0"))?;
    expect_back(bench, mark)?;
    if bench.a.program == Program::Ours {
        bench
            .a
            .expect_line("`keepalived-rs drain` moves it to another node")?;
    }
    bench.stop()
}

/// `ip address flush`: the node's own address goes, too. Without it there is nothing to
/// send from; with it everything is as before.
pub fn addresses_flushed(bench: &mut Bench) -> Result<()> {
    begun(bench)?;
    let own = bench.a.node.address();
    let mark = bench.lab.observer.mark();
    ip(&bench.a, "address flush dev eth0")?;
    bench.a.expect_line("(VI_1) Entering FAULT STATE")?;
    bench.await_holder_elsewhere(mark)?;
    let mark = bench.lab.observer.mark();
    ip(&bench.a, &format!("address add {own}/24 dev eth0"))?;
    bench.await_holder(mark, &bench.a)?;
    bench.stop()
}

/// The source address alone is removed, and comes back.
pub fn source_removed(bench: &mut Bench) -> Result<()> {
    begun(bench)?;
    let own = bench.a.node.address();
    // The kernel would take the VIP away as a secondary address of its own.
    bench.a.node.inside(|| {
        let path = "/proc/sys/net/ipv4/conf/eth0/promote_secondaries";
        std::fs::write(path, "1").context(path)
    })?;
    let mark = bench.lab.observer.mark();
    ip(&bench.a, &format!("address del {own}/24 dev eth0"))?;
    bench.a.expect_line("(VI_1) Entering FAULT STATE")?;
    bench.await_holder_elsewhere(mark)?;
    let mark = bench.lab.observer.mark();
    ip(&bench.a, &format!("address add {own}/24 dev eth0"))?;
    bench.await_holder(mark, &bench.a)?;
    bench.stop()
}

/// `ip link set down` and `up` within a moment.
pub fn link_down_and_up(bench: &mut Bench) -> Result<()> {
    begun(bench)?;
    let mark = bench.lab.observer.mark();
    ip(&bench.a, "link set eth0 down")?;
    ip(&bench.a, "link set eth0 up")?;
    bench.a.expect_line("(VI_1) Entering FAULT STATE")?;
    bench.await_holder(mark, &bench.a)?;
    bench.stop()
}

/// The interface is deleted and made again: it has another index then.
pub fn interface_made_again(bench: &mut Bench) -> Result<()> {
    begun(bench)?;
    let mark = bench.lab.observer.mark();
    bench.a.node.unplug()?;
    bench.a.expect_line("(VI_1) Entering FAULT STATE")?;
    bench.await_holder_elsewhere(mark)?;
    let mark = bench.lab.observer.mark();
    bench.a.node.plug()?;
    bench.await_holder(mark, &bench.a)?;
    bench.stop()
}

/// `nft flush ruleset`, as a restart of the nftables service does: what `no_accept`
/// drops is dropped again, of all instances.
pub fn firewall_flushed(bench: &mut Bench) -> Result<()> {
    let second = Ipv4Addr::new(192, 0, 2, 101);
    let one =
        configuration(150, "no_accept").replace("advert_int 1", "advert_int 1\n    version 3");
    let two = one
        .replace("VI_1", "VI_2")
        .replace(&format!("virtual_router_id {VRID}"), "virtual_router_id 52")
        .replace(&VIP.to_string(), &second.to_string());
    bench.a.start(&format!(
        "{}{}",
        without_password(&one),
        without_password(&two)
    ))?;
    for vip in [VIP, second] {
        let line = format!("Sending/queueing gratuitous ARPs on eth0 for {vip}");
        bench.a.expect_line(&line)?;
    }
    for round in 0..2 {
        run(&bench.a, "nft", "flush ruleset")?;
        let daemon = bench.a.daemon()?;
        let line = "Firewall drop rules removed, not by us - put back";
        let deadline = Instant::now() + PATIENCE;
        while daemon.count_lines(line) <= round {
            expect(Instant::now() < deadline, || format!("{line:?}"))?;
            std::thread::sleep(Duration::from_millis(5));
        }
        for vip in [VIP, second] {
            let seen = connected(&bench.b, IpAddr::from(vip))?;
            expect(seen == ErrorKind::TimedOut, || {
                format!("nobody to answer at {vip}, not {seen}")
            })?;
        }
    }
    bench.a.stop()
}

/// `-V` leaves the address behind, and with it what drops packets to it.
pub fn left_closed(bench: &mut Bench) -> Result<()> {
    let text = configuration(150, "no_accept");
    let text = text.replace("advert_int 1", "advert_int 1\n    version 3");
    bench
        .a
        .node
        .write_file(CONFIGURATION, &without_password(&text))?;
    let program = Program::Ours.path();
    let program = program.ok_or_else(|| Failure::new("no such program"))?;
    let arguments = ["-n", "-l", "-D", "-V", "-f", CONFIGURATION];
    let files = ["-p", PID_FILE, "-r", VRRP_PID_FILE];
    let arguments = [&arguments[..], &files[..]].concat();
    let daemon = bench.a.node.start(&program, &arguments, &[])?;
    let line = format!("Sending/queueing gratuitous ARPs on eth0 for {VIP}");
    daemon.await_line(PATIENCE, &line)?;
    daemon.signal(libc::SIGTERM);
    daemon.await_end(PATIENCE)?;
    bench.a.expect_addresses(&[VIP])?;
    let seen = connected(&bench.b, VIP.into())?;
    expect(seen == ErrorKind::TimedOut, || {
        format!("nobody to answer at {VIP}, not {seen}")
    })
}

fn without_password(text: &str) -> String {
    let begin = text.find("authentication").unwrap_or_default();
    let end = text.find("virtual_ipaddress").unwrap_or_default();
    format!("{}{}", &text[..begin], &text[end..])
}

/// A program that takes the address away again and again: a fight that is given up, and
/// the other node serves. The log says why, and a reload ends it.
pub fn fight(bench: &mut Bench) -> Result<()> {
    let mark = begun(bench)?;
    bench.a.node.copy_program(
        &find_program("sleep").ok_or_else(|| Failure::new("there is no sleep"))?,
        "/run/systemd-networkd",
    )?;
    let _manager = bench
        .a
        .node
        .start("/run/systemd-networkd".as_ref(), &["60"], &[])?;
    for _ in 0..5 {
        bench.a.node.await_address(VIP, true, PATIENCE)?;
        ip(&bench.a, &format!("address del {VIP}/24 dev eth0"))?;
    }
    bench.a.expect_line(&format!(
        "(VI_1) MASTER -> FAULT: IP {VIP} on eth0 was taken away by somebody else 5 times \
         within 10 s (likely systemd-networkd); tried again after 30 s"
    ))?;
    bench.await_advert(mark, &bench.a, 0)?;
    bench.await_holder(mark, &bench.b)?;
    let mark = bench.lab.observer.mark();
    bench.a.reload(&configuration(150, ""))?;
    bench.await_holder(mark, &bench.a)?;
    bench.stop()
}

/// `vip_loss reelect`: as C does it, also where the other daemon is C.
pub fn reelect(bench: &mut Bench) -> Result<()> {
    if bench.a.program == Program::Ours {
        let words = "global_defs {\n    vip_loss reelect\n}\n";
        bench.a.node.write_file(OWN_WORDS, words)?;
    }
    let mark = begun(bench)?;
    ip(&bench.a, &format!("address del {VIP}/24 dev eth0"))?;
    let (_, after) = bench.await_advert(mark, &bench.a, 0)?;
    bench.await_holder(after, &bench.a)?;
    let daemon = bench.a.daemon()?;
    for (line, times) in [("Entering MASTER STATE", 2), ("Entering BACKUP STATE", 2)] {
        let seen = daemon.count_lines(line);
        expect(seen == times, || {
            format!("{line} {times} times, not {seen}")
        })?;
    }
    bench.stop()
}

/// A thousand addresses on one instance: all are there and announced; those that
/// somebody takes away come back; none is left after the stop.
pub fn thousand(bench: &mut Bench) -> Result<()> {
    let vip = |number: u16| {
        let [high, low] = number.to_be_bytes();
        Ipv4Addr::new(10, 7, high, low)
    };
    let all: Vec<Ipv4Addr> = (0..MANY).map(vip).collect();
    let lines: String = all
        .iter()
        .map(|vip| format!("        {vip}/32\n"))
        .collect();
    let excluded = format!("virtual_ipaddress_excluded {{\n{lines}    }}");
    let text = configuration(150, &excluded);
    bench.a.start(&text)?;
    let mut wanted = all.clone();
    wanted.push(VIP);
    await_vips(&bench.a, &wanted)?;
    await_announced(bench, bench.lab.observer.beginning(), &all)?;

    let mark = bench.lab.observer.mark();
    let some: Vec<Ipv4Addr> = all.iter().copied().step_by(3).collect();
    let batch: String = some
        .iter()
        .map(|vip| format!("address del {vip}/32 dev eth0\n"))
        .collect();
    bench.a.node.write_file("/run/batch", &batch)?;
    ip(&bench.a, "-batch /run/batch")?;
    await_announced(bench, mark, &some)?;
    await_vips(&bench.a, &wanted)?;
    expect_no_election(bench, mark)?;
    bench.a.stop()
}

/// Waits until the interface has all of these, and no other virtual address.
fn await_vips(machine: &Machine, wanted: &[Ipv4Addr]) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while let Err(failure) = machine.expect_addresses(wanted) {
        if Instant::now() > deadline {
            return Err(failure);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn await_announced(bench: &Bench, mark: Mark, wanted: &[Ipv4Addr]) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut missing: Vec<Ipv4Addr> = wanted.to_vec();
    let mut mark = mark;
    while !missing.is_empty() {
        expect(Instant::now() < deadline, || {
            format!("all announced, not without {} of them", missing.len())
        })?;
        let next = bench.lab.observer.mark();
        let heard = bench.lab.observer.since(mark);
        mark = next;
        let heard: std::collections::BTreeSet<IpAddr> = heard
            .iter()
            .filter_map(|it| it.announcement())
            .map(|(address, _)| address)
            .collect();
        missing.retain(|vip| !heard.contains(&IpAddr::from(*vip)));
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
