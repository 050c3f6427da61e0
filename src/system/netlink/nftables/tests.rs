//! The tables against a real kernel, each test in a namespace of its own.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr as Address, UdpSocket};
use std::time::Duration;

use super::*;
use crate::system::testing::{block_on, in_namespace, ip};

fn firewall(counters: bool) -> Firewall {
    Firewall::new(Options {
        table: "keepalived".into(),
        priority: -1,
        counters,
    })
}

/// The number of the loopback interface.
const LOOPBACK: IfIndex = IfIndex(1);

/// A loopback interface with two addresses of each family beside its own.
fn make_addresses() {
    ip("link set lo up");
    for address in ["10.9.0.1/32", "10.9.0.2/32", "2001:db8::1/128 nodad"] {
        ip(&format!("addr add {address} dev lo"));
    }
    ip("addr add fe80::1/64 nodad dev lo");
    // The kernel makes IPv6 addresses good for use when it finds the time.
    let wanted = ["local 2001:db8::1 ", "local fe80::1 "];
    let ready = || {
        let routes = ip("-6 route show table local");
        wanted.iter().all(|route| routes.contains(route))
    };
    assert!((0..1000).any(|_| ready()), "IPv6 addresses on lo");
}

/// Whether a datagram to `address` arrives. One to another address follows, on the
/// same way, so that there is nothing to wait for.
fn arrives(address: &str) -> bool {
    let bind = |address: &str| {
        let address: Address = address.parse().expect("an address");
        UdpSocket::bind(address).expect("a socket")
    };
    let (subject, other) = (bind(address), bind("127.0.0.1:0"));
    let to = |socket: &UdpSocket| socket.local_addr().expect("an address");
    let sender = |to: Address| {
        bind(if to.is_ipv4() {
            "127.0.0.9:0"
        } else {
            "[::1]:0"
        })
    };
    sender(to(&subject))
        .send_to(b"x", to(&subject))
        .expect("sent");
    sender(to(&other)).send_to(b"y", to(&other)).expect("sent");
    other
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a limit");
    other.recv(&mut [0; 8]).expect("the other one arrives");
    subject.set_nonblocking(true).expect("a socket");
    subject.recv(&mut [0; 8]).is_ok()
}

fn parsed(address: &str) -> IpAddr {
    address.parse().expect("an address")
}

#[test]
fn what_is_blocked_does_not_arrive_and_all_else_does() {
    in_namespace(|| {
        make_addresses();
        let mut firewall = firewall(false);
        let (first, second) = ("10.9.0.1:0", "10.9.0.2:0");
        assert!(arrives(first));
        firewall
            .block(LOOPBACK, parsed("10.9.0.1"))
            .expect("blocked");
        assert!(!arrives(first));
        assert!(arrives(second));
        firewall
            .block(LOOPBACK, parsed("10.9.0.1"))
            .expect("no error");
        firewall
            .unblock(LOOPBACK, parsed("10.9.0.1"))
            .expect("open");
        assert!(arrives(first));
        firewall
            .unblock(LOOPBACK, parsed("10.9.0.1"))
            .expect("no error");
        firewall
            .block(LOOPBACK, parsed("10.9.0.2"))
            .expect("blocked");
        assert!(!arrives(second));
        firewall.clear().expect("taken away");
        assert!(arrives(second));
        firewall.clear().expect("no error");
    });
}

#[test]
fn ipv6_and_a_link_local_address_on_its_interface_only() {
    in_namespace(|| {
        make_addresses();
        let mut firewall = firewall(true);
        let (global, local) = ("[2001:db8::1]:0", "[fe80::1%1]:0");
        assert!(arrives(global) && arrives(local));
        firewall
            .block(LOOPBACK, parsed("2001:db8::1"))
            .expect("blocked");
        assert!(!arrives(global) && arrives(local));
        let elsewhere = IfIndex(77);
        firewall
            .block(elsewhere, parsed("fe80::1"))
            .expect("blocked");
        assert!(arrives(local));
        firewall
            .block(LOOPBACK, parsed("fe80::1"))
            .expect("blocked");
        assert!(!arrives(local));
        firewall.unblock(LOOPBACK, parsed("fe80::1")).expect("open");
        assert!(arrives(local) && !arrives(global));
    });
}

/// `nft flush ruleset` in the middle.
#[test]
fn a_table_that_somebody_took_away_is_made_again() {
    in_namespace(|| {
        make_addresses();
        let mut ours = firewall(false);
        ours.block(LOOPBACK, parsed("10.9.0.1")).expect("blocked");
        firewall(false).clear().expect("taken away");
        assert!(arrives("10.9.0.1:0"));
        ours.unblock(LOOPBACK, parsed("10.9.0.1"))
            .expect("no error");
        ours.block(LOOPBACK, parsed("10.9.0.2")).expect("blocked");
        assert!(!arrives("10.9.0.2:0"));
    });
}

/// Everything comes back when something is blocked, not only what was asked for last.
#[test]
fn what_was_blocked_before_is_blocked_again() {
    in_namespace(|| {
        make_addresses();
        let mut ours = firewall(false);
        for address in ["10.9.0.1", "2001:db8::1", "fe80::1"] {
            ours.block(LOOPBACK, parsed(address)).expect("blocked");
        }
        firewall(false).clear().expect("taken away");
        ours.block(LOOPBACK, parsed("10.9.0.2")).expect("blocked");
        assert!(!arrives("10.9.0.1:0") && !arrives("10.9.0.2:0"));
    });
}

/// The first of its kind after the table was taken away: the table has no set for it yet.
#[test]
fn what_a_table_lacks_that_somebody_took_away_comes_with_the_rest() {
    in_namespace(|| {
        make_addresses();
        let guard = Guard {
            on: LOOPBACK,
            parent: LOOPBACK,
        };
        let mut ours = firewall(false);
        ours.guard(model::Family::Inet, guard).expect("guarded");
        firewall(false).clear().expect("taken away");
        ours.block(LOOPBACK, parsed("10.9.0.1")).expect("blocked");
        assert!(!arrives("10.9.0.1:0"));
        let is_guarded = |ours: &mut Firewall| {
            let gone = ours.change_guard(Request::DeleteElement, Family::Inet, guard);
            gone.is_ok()
        };
        assert!(is_guarded(&mut ours));
        // And the other way about.
        let mut ours = firewall(false);
        ours.block(LOOPBACK, parsed("10.9.0.1")).expect("blocked");
        firewall(false).clear().expect("taken away");
        ours.guard(model::Family::Inet, guard).expect("guarded");
        assert!(!arrives("10.9.0.1:0") && is_guarded(&mut ours));
    });
}

fn in_runtime(act: impl AsyncFnOnce()) {
    block_on(act());
}

/// Waits until the tables are whole again; how often they were put back meanwhile.
async fn heal_until(ours: &mut Firewall, is_whole: impl Fn() -> bool) -> usize {
    let mut healed = 0;
    while !is_whole() {
        ours.disturbed().await.expect("news");
        if let Some(outcome) = ours.heal() {
            outcome.expect("put back");
            healed += 1;
        }
    }
    healed
}

#[test]
fn what_others_take_away_is_put_back() {
    in_namespace(|| {
        make_addresses();
        in_runtime(async || {
            let mut ours = firewall(false);
            ours.watch().expect("a socket");
            let closed = ["10.9.0.1:0", "[2001:db8::1]:0", "[fe80::1%1]:0"];
            for address in ["10.9.0.1", "2001:db8::1", "fe80::1"] {
                ours.block(LOOPBACK, parsed(address)).expect("blocked");
            }
            let whole = || closed.iter().all(|address| !arrives(address));
            // What it does itself is no loss.
            ours.unblock(LOOPBACK, parsed("10.9.0.1")).expect("open");
            ours.block(LOOPBACK, parsed("10.9.0.1")).expect("blocked");
            assert!(ours.heal().is_none());
            let mut thief = firewall(false);
            thief.clear().expect("taken away");
            assert!(closed.iter().all(|address| arrives(address)));
            assert_eq!(heal_until(&mut ours, whole).await, 1);
            // Again, which has to wait, and one address only.
            let whole_table = Made {
                table: true,
                vips: true,
                guards: false,
            };
            thief.made = [whole_table; 2];
            thief
                .unblock(LOOPBACK, parsed("2001:db8::1"))
                .expect("open");
            assert_eq!(heal_until(&mut ours, whole).await, 1);
            ours.close().expect("taken away");
            assert!(closed.iter().all(|address| arrives(address)));
        });
    });
}

/// Hundreds of VMACs that go at once are more news than there is room for: what is lost of
/// our own doing is nobody's theft. A theft that is lost is put back all the same.
#[test]
fn what_is_not_heard_of_is_put_back_and_not_called_a_theft() {
    in_namespace(|| {
        make_addresses();
        in_runtime(async || {
            let mut ours = firewall(false);
            ours.watch().expect("a socket");
            ours.block(LOOPBACK, parsed("10.9.0.1")).expect("blocked");
            let watch = ours.watch.as_ref().expect("watched");
            watch.shrink_receive_buffer();
            for _ in 0..50 {
                ours.unblock(LOOPBACK, parsed("10.9.0.2")).expect("open");
                ours.block(LOOPBACK, parsed("10.9.0.2")).expect("blocked");
            }
            firewall(false).clear().expect("taken away");
            assert!(arrives("10.9.0.1:0"));
            assert!(ours.heal().is_none(), "nobody was seen to take it");
            assert!(!arrives("10.9.0.1:0"));
            assert!(!arrives("10.9.0.2:0"));
        });
    });
}

/// It is tried until it succeeds, and told once that it does not.
#[test]
fn what_cannot_be_put_back_is_tried_again() {
    in_namespace(|| {
        make_addresses();
        in_runtime(async || {
            let mut ours = firewall(false);
            ours.watch().expect("a socket");
            ours.block(LOOPBACK, parsed("10.9.0.1")).expect("blocked");
            let whole = || !arrives("10.9.0.1:0");
            // The second time has to wait, so that it is known before it is tried.
            for _ in 0..2 {
                firewall(false).clear().expect("taken away");
                ours.disturbed().await.expect("news");
                let _ = ours.heal();
            }
            assert!(!whole());
            // No table can have such a name.
            let name = std::mem::replace(&mut ours.options.table, "x".repeat(300));
            let told = loop {
                ours.disturbed().await.expect("time");
                if let Some(told) = ours.heal() {
                    break told;
                }
            };
            assert!(told.is_err());
            ours.disturbed().await.expect("time");
            assert!(ours.heal().is_none());
            ours.options.table = name;
            assert_eq!(heal_until(&mut ours, whole).await, 1);
        });
    });
}

#[test]
fn ten_thousand_addresses_are_put_back_at_once() {
    in_namespace(|| {
        make_addresses();
        in_runtime(async || {
            let mut ours = firewall(false);
            ours.watch().expect("a socket");
            ours.block(LOOPBACK, parsed("10.9.0.1")).expect("blocked");
            for number in 0..10_000_u32 {
                let address = Ipv4Addr::from(0x0a80_0000 + number);
                ours.blocked.insert((IfIndex::ANY, address.into()));
            }
            firewall(false).clear().expect("taken away");
            let whole = || !arrives("10.9.0.1:0");
            assert_eq!(heal_until(&mut ours, whole).await, 1);
        });
    });
}

/// What a daemon that was killed left behind does not stay.
#[test]
fn a_new_daemon_begins_with_empty_tables() {
    in_namespace(|| {
        make_addresses();
        firewall(false)
            .block(LOOPBACK, parsed("10.9.0.1"))
            .expect("blocked");
        firewall(false)
            .block(LOOPBACK, parsed("10.9.0.2"))
            .expect("blocked");
        assert!(arrives("10.9.0.1:0"));
        assert!(!arrives("10.9.0.2:0"));
    });
}

#[test]
fn many_addresses_are_no_trouble() {
    in_namespace(|| {
        make_addresses();
        let mut firewall = firewall(false);
        for low in 0..500 {
            let address = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, low);
            firewall.block(LOOPBACK, address.into()).expect("blocked");
        }
        firewall
            .block(LOOPBACK, parsed("2001:db8::1"))
            .expect("blocked");
        assert!(!arrives("[2001:db8::1]:0"));
    });
}
