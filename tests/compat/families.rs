//! Both versions, both families, multicast and unicast: the life of a virtual
//! router on each, with every advert checked by the laboratory's own reading.

use crate::bench::{Bench, Machine, PATIENCE, Program, VIP, VRID, expect};
use crate::lab::frames::{Advert, Covers};
use crate::lab::netlink::Ipv6Address;
use crate::lab::{Mark, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

/// The first virtual address over IPv6, which must be link-local (RFC 5798
/// section 5.2.9).
pub const VIP_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x100);
/// The second one.
pub const VIP_GLOBAL: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x100);
/// linux/if_addr.h: permanent, and without a search for duplicates.
pub const PERMANENT_NODAD: u8 = 0x82;
/// linux/if_addr.h: not to be chosen as a source.
const DEPRECATED: u8 = 0x20;
/// Priorities of the first and of the second node.
const PRIORITIES: [u8; 2] = [150, 100];

/// How the nodes of a scenario speak with each other.
#[derive(Debug, Clone, Copy)]
pub struct Speech {
    /// 2 or 3.
    pub version: u8,
    /// Over IPv6, with a link-local virtual address first.
    pub ipv6: bool,
    /// To the other node's own address instead of a group.
    pub unicast: bool,
    /// Between adverts; hundredths of a second.
    pub interval_cs: u16,
    /// Time to live of unicast adverts, where it is not 255.
    pub unicast_ttl: Option<u8>,
    /// Ours sends checksums without a pseudo header; C 2.2.7 cannot.
    pub checksum_as_v2: bool,
    /// Ours names no interface, with unicast; C 2.2.7 must.
    pub anywhere: bool,
}

impl Speech {
    /// Version 3 over IPv4 multicast, ten adverts a second.
    pub const V3: Self = Self {
        version: 3,
        ipv6: false,
        unicast: false,
        interval_cs: 10,
        unicast_ttl: None,
        checksum_as_v2: false,
        anywhere: false,
    };

    /// The time between adverts.
    pub fn interval(&self) -> Duration {
        Duration::from_millis(u64::from(self.interval_cs) * 10)
    }

    /// What a master with a lower priority waits longer: by the second in
    /// version 2 (RFC 3768 section 6.1), by the interval in version 3 (RFC 5798
    /// section 6.1).
    pub fn skew(&self, priority: u8) -> Duration {
        let unit = match self.version {
            2 => Duration::from_secs(1),
            _ => self.interval(),
        };
        unit * (256 - u32::from(priority)) / 256
    }

    /// Three intervals and the skew.
    pub fn master_down(&self, priority: u8) -> Duration {
        3 * self.interval() + self.skew(priority)
    }

    /// What the adverts name.
    pub fn vips(&self) -> Vec<IpAddr> {
        match self.ipv6 {
            true => vec![VIP_LINK_LOCAL.into(), VIP_GLOBAL.into()],
            false => vec![VIP.into()],
        }
    }

    /// Where `machine` sends from: link-local to a group, global to a peer.
    fn source(&self, machine: &Machine) -> IpAddr {
        match (self.ipv6, self.unicast) {
            (false, _) => machine.node.address().into(),
            (true, false) => machine.node.link_local().into(),
            (true, true) => machine.node.ipv6_address().into(),
        }
    }

    fn destination(&self, other: &Machine) -> IpAddr {
        match (self.ipv6, self.unicast) {
            (_, true) => self.source(other),
            (false, false) => Ipv4Addr::new(224, 0, 0, 18).into(),
            (true, false) => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12).into(),
        }
    }

    /// The configuration of the machine that speaks with `other`.
    pub fn configuration(
        &self,
        machine: &Machine,
        other: &Machine,
        priority: u8,
        extra: &str,
    ) -> String {
        let mut more = extra.to_owned();
        if self.unicast {
            let (own, peer) = (self.source(machine), self.source(other));
            more += &format!("\n    unicast_src_ip {own}\n    unicast_peer {{\n {peer}\n }}\n");
        }
        if let Some(ttl) = self.unicast_ttl {
            more += &format!("    unicast_ttl {ttl}\n");
        }
        if self.checksum_as_v2 && machine.program == Program::Ours {
            more += "    v3_checksum_as_v2\n";
        }
        let addresses = match self.ipv6 {
            true => format!("{VIP_LINK_LOCAL}\n        {VIP_GLOBAL}/64"),
            false => format!("{VIP}/24"),
        };
        let interface = match machine.program {
            Program::Ours if self.anywhere => "",
            _ => "interface eth0",
        };
        let (version, interval) = (self.version, self.interval().as_secs_f64());
        format!(
            "vrrp_instance VI_1 {{
    state BACKUP
    {interface}
    version {version}
    virtual_router_id {VRID}
    priority {priority}
    advert_int {interval}
    virtual_ipaddress {{
        {addresses}
    }}
    {more}
}}
"
        )
    }

    /// The configurations of both nodes, with the same further words.
    pub fn configurations(&self, bench: &Bench, extra: &str) -> [String; 2] {
        let [a, b] = PRIORITIES;
        [
            self.configuration(&bench.a, &bench.b, a, extra),
            self.configuration(&bench.b, &bench.a, b, extra),
        ]
    }

    /// Waits for an advert of this node and priority after `mark`.
    pub fn await_advert(
        &self,
        bench: &Bench,
        mark: Mark,
        from: &Machine,
        priority: u8,
    ) -> Result<(Instant, Mark)> {
        let source = self.source(from);
        let what = format!("advert from {source} with priority {priority}");
        bench
            .lab
            .observer
            .await_advert(mark, PATIENCE, &what, |advert| {
                (advert.source, advert.priority) == (source, priority)
            })
    }

    /// Waits until `holder` has announced every virtual address after `mark`, and
    /// then checks that it alone has them, with the flags that belong to them.
    pub fn await_holder(&self, bench: &Bench, mark: Mark, holder: &Machine) -> Result<()> {
        let observer = &bench.lab.observer;
        for vip in self.vips() {
            observer.await_announcement(mark, PATIENCE, vip, holder.node.mac())?;
        }
        // With a hundred adverts a second, a machine that is slow for a moment
        // makes a second master for as long.
        let mut attempts = if self.interval_cs < 10 { 5 } else { 1 };
        loop {
            attempts -= 1;
            match self.expect_holder(bench, holder) {
                Err(_) if attempts > 0 => {}
                result => return result,
            }
        }
    }

    /// Checks that `holder` alone has the virtual addresses.
    pub fn expect_holder(&self, bench: &Bench, holder: &Machine) -> Result<()> {
        let other = if std::ptr::eq(holder, &bench.a) {
            &bench.b
        } else {
            &bench.a
        };
        for vip in self.vips() {
            bench.await_release(other, vip)?;
        }
        if self.ipv6 {
            expect_ipv6(
                holder,
                &[
                    (VIP_LINK_LOCAL, 128, PERMANENT_NODAD | DEPRECATED),
                    (VIP_GLOBAL, 64, PERMANENT_NODAD),
                ],
            )?;
            expect_ipv6(other, &[])?;
        } else {
            holder.expect_addresses(&[VIP])?;
            other.expect_addresses(&[])?;
        }
        for vip in self.vips() {
            bench.expect_answer(vip, &[holder.node.mac()])?;
        }
        Ok(())
    }

    /// Checks everything in every advert that was heard, and every neighbour advert
    /// for a virtual address.
    pub fn expect_right_frames(&self, bench: &Bench) -> Result<()> {
        let observer = &bench.lab.observer;
        let nodes = [(&bench.a, &bench.b), (&bench.b, &bench.a)];
        for (_, advert) in observer.adverts_since(observer.beginning()) {
            let sender = nodes
                .iter()
                .zip(PRIORITIES)
                .find(|((from, _), _)| self.source(from) == advert.source);
            let right = sender
                .is_some_and(|((from, to), priority)| self.is_right(&advert, from, to, priority));
            expect(right, || format!("a right advert, not {advert:?}"))?;
        }
        for sighting in observer.since(observer.beginning()) {
            let Some(neighbour) = sighting.neighbour() else {
                continue;
            };
            if self.vips().contains(&neighbour.target.into()) {
                let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
                let right = neighbour.right
                    && neighbour.overrides
                    && !neighbour.solicited
                    && !neighbour.router
                    && neighbour.destination == all_nodes;
                expect(right, || {
                    format!("a right neighbour advert, not {neighbour:?}")
                })?;
            }
        }
        Ok(())
    }

    fn is_right(&self, advert: &Advert, from: &Machine, to: &Machine, priority: u8) -> bool {
        let plain = self.checksum_as_v2 && from.program == Program::Ours;
        let covers = match (self.version, plain) {
            (2, _) | (_, true) => Covers::Message,
            _ => Covers::PseudoHeader,
        };
        let ttl = match self.unicast_ttl {
            Some(ttl) => ttl,
            // C 2.2.7 leaves it to the kernel.
            None if self.ipv6 && self.unicast && from.program == Program::C => 64,
            None => 255,
        };
        // In version 2 eight octets of authentication follow, even without any.
        let auth_data = if self.version == 2 { 8 } else { 0 };
        advert.source_mac == from.node.mac()
            && advert.destination == self.destination(to)
            && (advert.version, advert.vrid) == (self.version, VRID)
            && (advert.priority == priority || advert.priority == 0)
            && (advert.auth_type, advert.time_to_live) == (0, ttl)
            && advert.advert_interval == self.interval()
            && advert.addresses == self.vips()
            && advert.auth_data == vec![0; auth_data]
            && advert.checksum == Some(covers)
    }

    /// Election, a graceful stop, the return of the better node, and its sudden
    /// death: takeover both ways, each in the protocol's time.
    pub fn live(&self, bench: &mut Bench) -> Result<()> {
        if self.ipv6 {
            bench.a.node.enable_ipv6()?;
            bench.b.node.enable_ipv6()?;
        }
        let [file_a, file_b] = self.configurations(bench, "");
        let [_, low] = PRIORITIES;
        bench.start(&file_a, &file_b)?;
        self.await_holder(bench, bench.lab.observer.beginning(), &bench.a)?;

        let mark = bench.lab.observer.mark();
        bench.a.daemon()?.signal(libc::SIGTERM);
        let (farewell, mark) = self.await_advert(bench, mark, &bench.a, 0)?;
        let (takeover, _) = self.await_advert(bench, mark, &bench.b, low)?;
        self.expect_due(bench, farewell, self.skew(low), takeover)?;
        self.await_holder(bench, mark, &bench.b)?;
        bench.a.expect_stopped()?;

        let mark = bench.lab.observer.mark();
        bench.a.start(&file_a)?;
        self.await_holder(bench, mark, &bench.a)?;

        let mark = bench.lab.observer.mark();
        bench.a.node.power_off()?;
        let (takeover, _) = self.await_advert(bench, mark, &bench.b, low)?;
        let last = self.last_advert_before(bench, takeover, &bench.a);
        self.expect_due(bench, last, self.master_down(low), takeover)?;
        self.await_holder(bench, mark, &bench.b)?;
        bench.b.stop()?;
        for vip in self.vips() {
            bench.expect_answer(vip, &[])?;
        }
        self.expect_right_frames(bench)
    }

    /// Checks that a takeover came when it was due. With a hundred adverts a second a
    /// machine that is slow for a moment has the second node be master, and backup
    /// again when it reads what has waited: the takeover is early or late by as much.
    fn expect_due(
        &self,
        bench: &Bench,
        event: Instant,
        due: Duration,
        takeover: Instant,
    ) -> Result<()> {
        const SLOW: Duration = Duration::from_millis(500);
        let took = takeover.saturating_duration_since(event);
        if self.interval_cs < 10 && took < due + SLOW {
            return Ok(());
        }
        bench.expect_due("takeover", event, due, takeover)
    }

    /// When the last advert of `from` came before `end`.
    pub fn last_advert_before(&self, bench: &Bench, end: Instant, from: &Machine) -> Instant {
        let observer = &bench.lab.observer;
        let adverts = observer.adverts_since(observer.beginning());
        let own = adverts
            .iter()
            .filter(|(at, advert)| *at < end && advert.source == self.source(from));
        own.map(|(at, _)| *at).max().unwrap_or(end)
    }
}

/// Checks that the interface has exactly these IPv6 addresses, with their prefix
/// lengths and flags, besides the node's own.
pub fn expect_ipv6(machine: &Machine, wanted: &[(Ipv6Addr, u8, u8)]) -> Result<()> {
    let own = [machine.node.link_local(), machine.node.ipv6_address()];
    let mut found = machine.node.ipv6_addresses()?;
    found.retain(|it| !own.contains(&it.address));
    found.sort_unstable();
    let mut wanted: Vec<_> = wanted
        .iter()
        .map(|&(address, prefix_length, flags)| Ipv6Address {
            address,
            prefix_length,
            flags,
        })
        .collect();
    wanted.sort_unstable();
    let name = machine.node.name();
    expect(found == wanted, || {
        format!("IPv6 addresses {wanted:x?} on {name}, not {found:x?}")
    })
}

/// Version 3, IPv4 multicast, once a second.
pub fn v3_one_second(bench: &mut Bench) -> Result<()> {
    let speech = Speech {
        interval_cs: 100,
        ..Speech::V3
    };
    speech.live(bench)
}

/// Ten times a second.
pub fn v3_tenth(bench: &mut Bench) -> Result<()> {
    Speech::V3.live(bench)
}

/// The least interval there is.
pub fn v3_hundredth(bench: &mut Bench) -> Result<()> {
    let speech = Speech {
        interval_cs: 1,
        ..Speech::V3
    };
    speech.live(bench)
}

/// IPv6 multicast.
pub fn v3_ipv6(bench: &mut Bench) -> Result<()> {
    let speech = Speech {
        ipv6: true,
        ..Speech::V3
    };
    speech.live(bench)
}

/// The interface goes down and takes every IPv6 address with it, and comes up
/// again with a link-local one only.
pub fn ipv6_interface_down(bench: &mut Bench) -> Result<()> {
    let speech = Speech {
        ipv6: true,
        ..Speech::V3
    };
    bench.a.node.enable_ipv6()?;
    bench.b.node.enable_ipv6()?;
    let [file_a, file_b] = speech.configurations(bench, "");
    bench.start(&file_a, &file_b)?;
    speech.await_holder(bench, bench.lab.observer.beginning(), &bench.a)?;

    let mark = bench.lab.observer.mark();
    bench.a.node.set_interface_up(false)?;
    let daemon = bench.a.daemon()?;
    daemon.await_line(PATIENCE, "(VI_1) Entering FAULT STATE")?;
    speech.await_holder(bench, mark, &bench.b)?;

    let mark = bench.lab.observer.mark();
    bench.a.node.set_interface_up(true)?;
    speech.await_holder(bench, mark, &bench.a)?;
    bench.stop()?;
    speech.expect_right_frames(bench)
}

/// Unicast, IPv4.
pub fn v3_unicast(bench: &mut Bench) -> Result<()> {
    let speech = Speech {
        unicast: true,
        ..Speech::V3
    };
    speech.live(bench)
}

/// Unicast, IPv6.
pub fn v3_ipv6_unicast(bench: &mut Bench) -> Result<()> {
    let speech = Speech {
        ipv6: true,
        unicast: true,
        ..Speech::V3
    };
    speech.live(bench)
}

/// Version 2 to a peer, with a time to live that lets adverts cross routers.
pub fn v2_unicast_ttl(bench: &mut Bench) -> Result<()> {
    let speech = Speech {
        version: 2,
        unicast: true,
        interval_cs: 100,
        unicast_ttl: Some(64),
        ..Speech::V3
    };
    speech.live(bench)
}

/// Ours sends checksums without a pseudo header, and accepts those with one. C
/// 2.2.7 does not accept the former, so it can only be the first node here.
pub fn v3_checksum_as_v2(bench: &mut Bench) -> Result<()> {
    let speech = Speech {
        checksum_as_v2: true,
        ..Speech::V3
    };
    speech.live(bench)
}
