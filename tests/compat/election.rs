//! Who is master: election, hand-over, return, and when two are.

use crate::bench::{Bench, PATIENCE, Program, VIP, VRID, configuration, expect, master_down, skew};
use crate::lab::frames::{Advert, Covers, advert_frame};
use crate::lab::{Mac, Result};
use std::net::Ipv4Addr;
use std::time::Duration;

/// The higher priority becomes master after its master-down time, and its
/// adverts are what the RFC and the configuration say.
pub fn first_election(bench: &mut Bench) -> Result<()> {
    bench.start(&configuration(150, ""), &configuration(100, ""))?;
    let (started, _) = bench
        .a
        .daemon()?
        .await_line(PATIENCE, "(VI_1) Entering BACKUP STATE")?;
    let mark = bench.lab.observer.beginning();
    let (first, mark) = bench.await_advert(mark, &bench.a, 150)?;
    bench.expect_due("the first advert", started, master_down(150), first)?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    bench
        .a
        .daemon()?
        .await_line(PATIENCE, "(VI_1) Entering MASTER STATE")?;

    let (second, _) = bench.await_advert(mark, &bench.a, 150)?;
    bench.expect_due("the second advert", first, Duration::from_secs(1), second)?;
    let adverts = bench
        .lab
        .observer
        .adverts_since(bench.lab.observer.beginning());
    for (_, advert) in &adverts {
        let right = advert.source == bench.a.node.address()
            && advert.source_mac == bench.a.node.mac()
            && advert.destination == Ipv4Addr::new(224, 0, 0, 18)
            && (advert.time_to_live, advert.version, advert.vrid) == (255, 2, VRID)
            && (advert.auth_type, advert.advert_interval) == (1, Duration::from_secs(1))
            && advert.auth_data == b"1111\0\0\0\0"
            && advert.addresses == [VIP]
            && advert.checksum == Some(Covers::Message);
        expect(right, || {
            format!("a right advert of the first node, not {advert:?}")
        })?;
    }
    bench.stop()?;
    bench.expect_answer(VIP, &[])
}

/// A master that is told to stop says so, and the other takes over a skew time
/// later.
pub fn graceful_stop(bench: &mut Bench) -> Result<()> {
    bench.start(&configuration(150, ""), &configuration(100, ""))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    let mark = bench.lab.observer.mark();
    bench.a.daemon()?.signal(libc::SIGTERM);
    let (farewell, mark) = bench.await_advert(mark, &bench.a, 0)?;
    let (takeover, _) = bench.await_advert(mark, &bench.b, 100)?;
    bench.expect_due("takeover", farewell, skew(100), takeover)?;
    bench.await_holder(mark, &bench.b)?;
    bench.a.expect_stopped()?;
    bench.b.stop()?;
    bench.expect_answer(VIP, &[])
}

/// A master without power says nothing, and the other takes over when its
/// master-down time has passed since the last advert.
pub fn power_off(bench: &mut Bench) -> Result<()> {
    bench.start(&configuration(150, ""), &configuration(100, ""))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    let mark = bench.lab.observer.mark();
    let (last, mark) = bench.await_advert(mark, &bench.a, 150)?;
    bench.a.node.power_off()?;
    let (takeover, _) = bench.await_advert(mark, &bench.b, 100)?;
    bench.expect_due("takeover", last, master_down(100), takeover)?;
    bench.await_holder(mark, &bench.b)?;
    bench.b.stop()
}

/// The better node returns after a power cut and takes the address back.
pub fn preemption(bench: &mut Bench) -> Result<()> {
    bench.a.node.power_off()?;
    bench.b.start(&configuration(100, ""))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.b)?;
    bench.a.node.power_on()?;
    bench.a.node.plug()?;
    let mark = bench.lab.observer.mark();
    bench.a.start(&configuration(150, ""))?;
    bench.await_holder(mark, &bench.a)?;
    bench
        .b
        .daemon()?
        .await_line(PATIENCE, "(VI_1) Entering BACKUP STATE")?;
    let b = bench.b.node.address();
    bench.expect_no_advert(
        Duration::from_millis(1500),
        "advert of the worse node",
        |advert| advert.source == b,
    )?;
    bench.expect_holder(&bench.a)?;
    bench.stop()
}

/// With `nopreempt` the better node returns and leaves the address where it is,
/// until the other one stops.
pub fn no_preemption(bench: &mut Bench) -> Result<()> {
    bench.b.start(&configuration(100, "nopreempt"))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.b)?;
    bench.a.start(&configuration(150, "nopreempt"))?;
    bench
        .a
        .daemon()?
        .await_line(PATIENCE, "(VI_1) Entering BACKUP STATE")?;
    let a = bench.a.node.address();
    let longer = master_down(150) + Duration::from_millis(1200);
    bench.expect_no_advert(longer, "advert of the returned node", |advert| {
        advert.source == a
    })?;
    bench.expect_holder(&bench.b)?;

    let mark = bench.lab.observer.mark();
    bench.b.daemon()?.signal(libc::SIGTERM);
    let (farewell, mark) = bench.await_advert(mark, &bench.b, 0)?;
    let (takeover, _) = bench.await_advert(mark, &bench.a, 150)?;
    bench.expect_due("takeover", farewell, skew(150), takeover)?;
    bench.await_holder(mark, &bench.a)?;
    bench.b.expect_stopped()?;
    bench.a.stop()
}

/// Two masters of equal priority, each of which did not hear the other, meet:
/// the higher address stays.
pub fn equal_priorities(bench: &mut Bench) -> Result<()> {
    bench.a.node.set_connected(false)?;
    bench.start(&configuration(100, ""), &configuration(100, ""))?;
    bench.await_holder_alone_until_both_are_masters()?;
    let mark = bench.lab.observer.mark();
    bench.a.node.set_connected(true)?;
    bench.await_advert(mark, &bench.b, 100)?;
    bench
        .a
        .node
        .await_address(VIP, false, Duration::from_secs(3))?;
    bench.expect_holder(&bench.b)?;
    bench
        .a
        .daemon()?
        .await_line(PATIENCE, "higher IP address than ours")?;
    let a = bench.a.node.address();
    bench.expect_no_advert(
        Duration::from_millis(1500),
        "advert of the lower address",
        |advert| advert.source == a,
    )?;
    bench.expect_holder(&bench.b)?;
    bench.stop()
}

impl Bench {
    /// Waits until both nodes, which do not hear each other, have the address.
    fn await_holder_alone_until_both_are_masters(&self) -> Result<()> {
        for machine in [&self.a, &self.b] {
            machine.node.await_address(VIP, true, PATIENCE)?;
        }
        Ok(())
    }
}

/// Nodes with different passwords do not believe each other: both are masters,
/// and ours says so once.
pub fn wrong_password(bench: &mut Bench) -> Result<()> {
    let other = configuration(100, "").replace("auth_pass 1111", "auth_pass 2222");
    bench.start(&configuration(150, ""), &other)?;
    bench.await_holder_alone_until_both_are_masters()?;
    let text = match bench.a.program {
        Program::Ours => "(VI_1) received an invalid passwd from 192.0.2.2!",
        Program::C => "(VI_1) received an invalid passwd!",
    };
    bench.a.daemon()?.await_line(PATIENCE, text)?;
    let mut mark = bench.lab.observer.mark();
    // From either node: every invalid advert makes a master that runs C put off
    // its own next one, so that in the end only one of them is heard.
    for _ in 0..4 {
        let advert = bench
            .lab
            .observer
            .await_advert(mark, PATIENCE, "an advert", |_| true)?;
        mark = advert.1;
    }
    if bench.a.program == Program::Ours {
        let count = bench.a.daemon()?.count_lines(text);
        expect(count == 1, || {
            format!("one line about the password, not {count}")
        })?;
    }
    bench.a.expect_addresses(&[VIP])?;
    bench.b.expect_addresses(&[VIP])?;
    bench.expect_answer(VIP, &[bench.a.node.mac(), bench.b.node.mac()])?;
    bench.stop()?;
    bench.expect_answer(VIP, &[])
}

/// A foreign advert of a higher priority is believed if it is right, and only
/// then: not with another time to live, another password, or a wrong checksum.
pub fn forged_adverts(bench: &mut Bench) -> Result<()> {
    bench.start(&configuration(150, ""), &configuration(100, ""))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    let right = Advert {
        source_mac: Mac([2, 0, 0, 0, 0, 99]),
        source: Ipv4Addr::new(192, 0, 2, 99).into(),
        destination: Ipv4Addr::new(224, 0, 0, 18).into(),
        time_to_live: 255,
        version: 2,
        vrid: VRID,
        priority: 200,
        auth_type: 1,
        advert_interval: Duration::from_secs(1),
        addresses: vec![VIP.into()],
        auth_data: b"1111".to_vec(),
        checksum: Some(Covers::Message),
    };
    let far = Advert {
        time_to_live: 254,
        ..right.clone()
    };
    let stranger = Advert {
        auth_data: b"2222".to_vec(),
        ..right.clone()
    };
    let mut damaged = advert_frame(&right);
    // The priority, behind 14 octets of Ethernet and 20 of IPv4 header.
    damaged[14 + 20 + 2] = 201;
    for frame in [advert_frame(&far), advert_frame(&stranger), damaged] {
        let mark = bench.lab.observer.mark();
        bench.lab.observer.send(&frame)?;
        bench.await_advert(mark, &bench.a, 150)?;
        bench.expect_holder(&bench.a)?;
    }

    let mark = bench.lab.observer.mark();
    bench.lab.observer.send(&advert_frame(&right))?;
    bench.a.node.await_address(VIP, false, PATIENCE)?;
    bench
        .a
        .daemon()?
        .await_line(PATIENCE, "(VI_1) Entering BACKUP STATE")?;
    bench.a.daemon()?.await_line(
        PATIENCE,
        "(VI_1) Master received advert from 192.0.2.99 with higher priority 200, ours 150",
    )?;
    bench.expect_answer(VIP, &[])?;
    // The stranger is silent from now on, so the best of the nodes takes over.
    bench.await_holder(mark, &bench.a)?;
    bench.stop()
}

/// The same hand-over with adverts to the peer's own address.
pub fn unicast(bench: &mut Bench) -> Result<()> {
    let [a, b] = [bench.a.node.address(), bench.b.node.address()];
    let peers = |own, peer| format!("unicast_src_ip {own}\n    unicast_peer {{\n {peer}\n }}");
    bench.start(
        &configuration(150, &peers(a, b)),
        &configuration(100, &peers(b, a)),
    )?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    let adverts = bench
        .lab
        .observer
        .adverts_since(bench.lab.observer.beginning());
    for (_, advert) in &adverts {
        let ends = (advert.source, advert.destination);
        let right = ends == (a.into(), b.into()) && advert.checksum == Some(Covers::Message);
        expect(right, || {
            format!("a unicast advert from {a} to {b}, not {advert:?}")
        })?;
    }
    let mark = bench.lab.observer.mark();
    bench.a.daemon()?.signal(libc::SIGTERM);
    let (farewell, mark) = bench.await_advert(mark, &bench.a, 0)?;
    let (takeover, _) = bench.await_advert(mark, &bench.b, 100)?;
    bench.expect_due("takeover", farewell, skew(100), takeover)?;
    bench.await_holder(mark, &bench.b)?;
    bench.a.expect_stopped()?;
    bench.b.stop()
}
