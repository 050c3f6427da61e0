//! The netlink thread against a real kernel, each test in a namespace of its own.

use std::net::Ipv4Addr;

use netlink_packet_core::Parseable;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::ids::MacAddress;
use crate::system::testing::{block_on, in_namespace, ip, make_cable};

fn index(name: &str) -> IfIndex {
    IfIndex(nix::net::if_::if_nametoindex(name).expect("the interface"))
}

/// 10.0.0.100/32 on `left`, with nothing else asked for.
fn vip() -> VirtualAddress {
    VirtualAddress::new(Ipv4Addr::new(10, 0, 0, 100).into(), 32, "left")
}

async fn next(reports: &mut UnboundedReceiver<Report>) -> Report {
    reports.recv().await.expect("the thread lives")
}

/// The first report, which must be `All`.
async fn all(reports: &mut UnboundedReceiver<Report>) -> Vec<InterfaceState> {
    match next(reports).await {
        Report::All(states) => states,
        other => panic!("the first report is {other:?}"),
    }
}

/// Reports until the request is done, without that one; and how it went.
async fn until_done(
    reports: &mut UnboundedReceiver<Report>,
    token: Token,
) -> (Vec<Report>, Result<(), Errno>) {
    let mut before = Vec::new();
    loop {
        match next(reports).await {
            Report::Done {
                token: done,
                result,
            } => {
                assert_eq!(done, token);
                return (before, result);
            }
            report => before.push(report),
        }
    }
}

fn texts(state: &InterfaceState) -> Vec<String> {
    state
        .addresses
        .iter()
        .filter(|entry| entry.address.is_ipv4())
        .map(|entry| format!("{}/{}", entry.address, entry.prefix_length))
        .collect()
}

/// Waits for a report of the interface that fulfils `wanted`.
async fn state_where(
    reports: &mut UnboundedReceiver<Report>,
    on: IfIndex,
    wanted: impl Fn(&InterfaceState) -> bool,
) -> InterfaceState {
    loop {
        if let Report::Interface(state) = next(reports).await
            && state.index == on
            && wanted(&state)
        {
            return state;
        }
    }
}

/// What `ip` shows of one IPv4 address, from its line and the one below it,
/// without the interface.
fn shown(address: &str) -> String {
    let output = ip("-4 addr show dev left");
    let mut lines = output
        .lines()
        .skip_while(|line| !line.contains(&format!("inet {address}")));
    let first = lines.next().unwrap_or_default().trim();
    let second = lines.next().unwrap_or_default().trim();
    format!("{first} {second}")
}

#[test]
fn the_first_report_is_all_there_is() {
    in_namespace(|| {
        make_cable();
        ip("link set left mtu 1400 address 02:00:00:00:00:01");
        block_on(async {
            let (_handle, mut reports) = Handle::start().expect("started");
            let states = all(&mut reports).await;
            let left = states
                .iter()
                .find(|state| state.name == "left")
                .expect("left");
            assert_eq!(left.index, index("left"));
            assert_eq!(left.mtu, 1400);
            assert_eq!(left.mac, MacAddress([2, 0, 0, 0, 0, 1]));
            assert!(left.up && left.multicast && !left.loopback && !left.no_arp);
            assert_eq!(texts(left), ["10.0.0.1/24"]);
            let lo = states.iter().find(|state| state.name == "lo").expect("lo");
            assert!(lo.loopback && !lo.up);
            assert_eq!(states, interfaces_now().expect("a dump"));
        });
    });
}

#[test]
fn an_address_is_put_on_with_the_attributes_of_keepalived() {
    in_namespace(|| {
        make_cable();
        block_on(async {
            let (handle, mut reports) = Handle::start().expect("started");
            let on = index("left");
            let plain = vip();
            let decorated = VirtualAddress {
                address: Ipv4Addr::new(10, 0, 0, 101).into(),
                prefix_length: 24,
                broadcast: Some(Ipv4Addr::new(10, 0, 0, 255).into()),
                label: Some("left:1".into()),
                scope: 253,
                no_prefix_route: true,
                ..vip()
            };
            let pointed = VirtualAddress {
                address: Ipv4Addr::new(10, 0, 0, 102).into(),
                peer: Some(Ipv4Addr::new(10, 7, 7, 7).into()),
                ..vip()
            };
            let operations = [&plain, &decorated, &pointed]
                .map(|address| Operation::AddAddress {
                    on,
                    address: address.clone(),
                })
                .to_vec();
            handle.carry_out(Token(1), operations.clone());
            all(&mut reports).await;
            let (before, result) = until_done(&mut reports, Token(1)).await;
            // A scope that does not fit that of the subnet's primary is refused,
            // and the others are put on all the same.
            assert_eq!(result, Err(Errno(libc::EINVAL)));
            let [
                ..,
                Report::Interface(state),
                Report::Refused {
                    operation, errno, ..
                },
            ] = before.as_slice()
            else {
                panic!("no state before it is done: {before:?}");
            };
            assert_eq!((operation, errno), (&operations[1], &Errno(libc::EINVAL)));
            assert_eq!(
                texts(state),
                ["10.0.0.1/24", "10.0.0.100/32", "10.0.0.102/32"]
            );
            assert_eq!(
                shown("10.0.0.100"),
                "inet 10.0.0.100/32 scope global left \
                 valid_lft forever preferred_lft forever"
            );
            assert_eq!(
                shown("10.0.0.102"),
                "inet 10.0.0.102 peer 10.7.7.7/32 scope global left \
                 valid_lft forever preferred_lft forever"
            );

            // 18 is keepalived; kernels before 5.18 tell nothing.
            if protocols().iter().any(|(_, protocol)| protocol.is_some()) {
                assert!(protocols().contains(&(plain.address, Some(18))));
            }

            ip("addr flush dev left");
            handle.carry_out(Token(2), operations);
            assert_eq!(until_done(&mut reports, Token(2)).await.1, Ok(()));
            assert_eq!(
                shown("10.0.0.101"),
                "inet 10.0.0.101/24 brd 10.0.0.255 scope link noprefixroute left:1 \
                 valid_lft forever preferred_lft forever"
            );
        });
    });
}

/// The protocol of every address (`IFA_PROTO`), as the kernel tells it; older
/// versions of `ip` do not show it.
fn protocols() -> Vec<(IpAddr, Option<u8>)> {
    let mut found = Vec::new();
    let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let each: fn(&mut Vec<_>, socket::Message<'_>) = |found, message| {
        let parsed = AddressMessage::parse(message.payload).expect("an address");
        let mut address = None;
        let mut protocol = None;
        for attribute in parsed.attributes {
            match attribute {
                AddressAttribute::Local(local) => address = Some(local),
                AddressAttribute::Protocol(number) => protocol = Some(u8::from(number)),
                _ => {}
            }
        }
        found.extend(address.map(|address| (address, protocol)));
    };
    RequestSocket::open()
        .expect("the socket")
        .dump(&request, &mut found, Vec::clear, each)
        .expect("dumped");
    found
}

#[test]
fn an_ipv6_address_skips_the_duplicate_check_and_is_no_source_if_single() {
    in_namespace(|| {
        make_cable();
        block_on(async {
            let (handle, mut reports) = Handle::start().expect("started");
            all(&mut reports).await;
            let on = index("left");
            let operations = [("2001:db8::1", 128), ("2001:db8:1::1", 64)].map(|(text, length)| {
                Operation::AddAddress {
                    on,
                    address: VirtualAddress {
                        address: text.parse().expect("an address"),
                        prefix_length: length,
                        ..vip()
                    },
                }
            });
            handle.carry_out(Token(1), operations.to_vec());
            assert_eq!(until_done(&mut reports, Token(1)).await.1, Ok(()));
            let lines = ip("-6 addr show dev left scope global");
            let lines: Vec<_> = lines.lines().skip(1).map(str::trim).collect();
            assert_eq!(
                lines,
                [
                    "inet6 2001:db8:1::1/64 scope global nodad",
                    "valid_lft forever preferred_lft forever",
                    "inet6 2001:db8::1/128 scope global nodad deprecated",
                    "valid_lft forever preferred_lft 0sec",
                ]
            );
        });
    });
}

#[test]
fn what_is_there_or_gone_already_is_no_error() {
    in_namespace(|| {
        make_cable();
        block_on(async {
            let (handle, mut reports) = Handle::start().expect("started");
            let on = index("left");
            let address = vip();
            let add = Operation::AddAddress {
                on,
                address: address.clone(),
            };
            let remove = Operation::RemoveAddress { on, address };
            let lost = Operation::RemoveAddress {
                on: IfIndex(9999),
                address: vip(),
            };
            all(&mut reports).await;
            handle.carry_out(Token(1), vec![add.clone(), add]);
            assert_eq!(until_done(&mut reports, Token(1)).await.1, Ok(()));
            handle.carry_out(Token(2), vec![remove.clone(), remove, lost]);
            let (before, result) = until_done(&mut reports, Token(2)).await;
            assert_eq!(result, Ok(()));
            assert_eq!(shown("10.0.0.100").trim(), "");
            let [Report::Interface(state), removed] = before.as_slice() else {
                panic!("one state and one removal, not {before:?}");
            };
            assert_eq!(texts(state), ["10.0.0.1/24"]);
            assert_eq!(
                *removed,
                Report::AddressRemoved {
                    on,
                    address: vip().address,
                    prefix_length: 32
                }
            );
            handle.carry_out(
                Token(3),
                vec![Operation::AddAddress {
                    on: IfIndex(9999),
                    address: vip(),
                }],
            );
            assert_eq!(
                until_done(&mut reports, Token(3)).await.1,
                Err(Errno(libc::ENODEV))
            );
        });
    });
}

#[test]
fn a_label_that_somebody_changed_does_not_keep_an_address_on() {
    in_namespace(|| {
        make_cable();
        ip("addr add 10.0.0.100/32 dev left label left:other");
        let labelled = VirtualAddress {
            label: Some("left:1".into()),
            ..vip()
        };
        let mut removed = Vec::new();
        clean_up(std::slice::from_ref(&labelled), &mut removed).expect("cleaned");
        assert_eq!(removed, [labelled]);
        assert_eq!(shown("10.0.0.100").trim(), "");
    });
}

#[test]
fn clean_up_takes_off_what_is_there_and_nothing_else() {
    in_namespace(|| {
        make_cable();
        ip("addr add 10.0.0.100/32 dev left");
        ip("addr add 10.0.0.101/32 dev left");
        ip("addr add 10.0.0.102/24 dev left");
        let absent = VirtualAddress {
            address: Ipv4Addr::new(10, 0, 0, 103).into(),
            ..vip()
        };
        let other_length = VirtualAddress {
            address: Ipv4Addr::new(10, 0, 0, 102).into(),
            ..vip()
        };
        let elsewhere = VirtualAddress {
            interface: "nowhere".into(),
            ..vip()
        };
        let mut removed = Vec::new();
        clean_up(&[absent, other_length, elsewhere, vip()], &mut removed).expect("cleaned");
        assert_eq!(removed, [vip()]);
        let states = interfaces_now().expect("a dump");
        let left = states.iter().find(|state| state.name == "left");
        assert_eq!(
            texts(left.expect("left")),
            ["10.0.0.1/24", "10.0.0.101/32", "10.0.0.102/24"]
        );
    });
}

#[test]
fn a_link_that_goes_down_comes_up_and_goes_away_is_told() {
    in_namespace(|| {
        make_cable();
        block_on(async {
            let (_handle, mut reports) = Handle::start().expect("started");
            all(&mut reports).await;
            let on = index("left");
            ip("link set left down");
            state_where(&mut reports, on, |state| !state.up).await;
            ip("link set left up");
            let up = state_where(&mut reports, on, |state| state.up).await;
            assert_eq!(texts(&up), ["10.0.0.1/24"]);
            // Without the other end there is no carrier.
            ip("link set right down");
            state_where(&mut reports, on, |state| !state.up).await;
            ip("link del left");
            loop {
                if next(&mut reports).await == Report::Gone(on) {
                    break;
                }
            }
            ip("link add left type veth peer name right");
            let again = index("left");
            state_where(&mut reports, again, |state| state.name == "left").await;
        });
    });
}

#[test]
fn leaving_a_bridge_is_not_being_gone() {
    in_namespace(|| {
        make_cable();
        ip("link add bridge type bridge");
        ip("link set right master bridge");
        block_on(async {
            let (_handle, mut reports) = Handle::start().expect("started");
            all(&mut reports).await;
            let right = index("right");
            ip("link set right nomaster");
            ip("link set right mtu 1300");
            loop {
                match next(&mut reports).await {
                    Report::Gone(gone) => panic!("{gone:?} is still there"),
                    Report::Interface(state) if state.index == right && state.mtu == 1300 => return,
                    _ => {}
                }
            }
        });
    });
}

#[test]
fn addresses_are_in_the_order_of_the_kernel() {
    in_namespace(|| {
        make_cable();
        block_on(async {
            let (_handle, mut reports) = Handle::start().expect("started");
            all(&mut reports).await;
            let on = index("left");
            for address in [
                "10.0.0.5/24",
                "10.1.0.1/24 scope link",
                "10.2.0.1/24",
                "10.0.0.6/24",
                "10.3.0.1/32",
            ] {
                ip(&format!("addr add {address} dev left"));
            }
            let last = |state: &InterfaceState| texts(state).len() == 6;
            let told = state_where(&mut reports, on, last).await;
            let kernel = interfaces_now().expect("a dump");
            let kernel = kernel.iter().find(|state| state.index == on);
            assert_eq!(texts(&told), texts(kernel.expect("left")));

            // The first primary goes; the first secondary takes its place.
            std::fs::write("/proc/sys/net/ipv4/conf/left/promote_secondaries", "1")
                .expect("promote_secondaries");
            ip("addr del 10.0.0.1/24 dev left");
            ip("addr add 10.4.0.1/24 dev left");
            let last = |state: &InterfaceState| texts(state).contains(&"10.4.0.1/24".into());
            let told = state_where(&mut reports, on, last).await;
            let kernel = interfaces_now().expect("a dump");
            let kernel = kernel.iter().find(|state| state.index == on);
            assert_eq!(texts(&told), texts(kernel.expect("left")));
        });
    });
}

#[test]
fn after_lost_news_everything_is_told_anew() {
    in_namespace(|| {
        make_cable();
        block_on(async {
            let mut monitor = Monitor::open().expect("the monitor");
            let mut socket = RequestSocket::open().expect("the socket");
            monitor.refill(&mut socket).expect("filled");
            monitor.shrink_receive_buffer();
            let mut bulk = String::new();
            for last in 1..=250 {
                bulk.push_str(&format!("addr add 10.8.0.{last}/32 dev left\n"));
            }
            let file = tempfile::NamedTempFile::new().expect("a file");
            std::fs::write(file.path(), bulk).expect("written");
            ip(&format!("-batch {}", file.path().display()));
            let mut reports = Vec::new();
            monitor.take(&mut socket, &mut reports).expect("taken");
            let Some(Report::All(states)) = reports.last() else {
                panic!("no full report: {reports:?}");
            };
            let left = states.iter().find(|state| state.name == "left");
            assert_eq!(texts(left.expect("left")).len(), 251);
        });
    });
}

#[test]
fn an_interface_that_begins_to_forward_is_told_and_read() {
    let write = |value: &str| {
        let path = "/proc/sys/net/ipv6/conf/left/forwarding";
        std::fs::write(path, value).expect("the setting");
    };
    in_namespace(move || {
        make_cable();
        block_on(async {
            let (_handle, mut reports) = Handle::start().expect("started");
            let states = all(&mut reports).await;
            assert!(states.iter().all(|state| !state.forwarding));
            let left = index("left");
            write("1");
            let state = state_where(&mut reports, left, |state| state.forwarding).await;
            assert_eq!(texts(&state), ["10.0.0.1/24"]);
            // Who begins now reads it, and any other change of the link leaves it.
            let now = interfaces_now().expect("the interfaces");
            assert!(
                now.iter()
                    .any(|state| state.index == left && state.forwarding)
            );
            ip("link set left mtu 1400");
            let state = state_where(&mut reports, left, |state| state.mtu == 1400).await;
            assert!(state.forwarding);
            write("0");
            state_where(&mut reports, left, |state| !state.forwarding).await;
        });
    });
}

/// A process with the rights to configure the network may send to the group, too.
#[test]
fn what_the_kernel_did_not_send_is_no_news() {
    use netlink_packet_core::NetlinkMessage;
    use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
    in_namespace(|| {
        make_cable();
        block_on(async {
            let (_handle, mut reports) = Handle::start().expect("started");
            all(&mut reports).await;
            let mut forged = AddressMessage::default();
            forged.header.family = netlink_packet_route::AddressFamily::Inet;
            forged.header.prefix_len = 24;
            forged.header.index = index("left").0;
            let address = Ipv4Addr::new(10, 0, 0, 66).into();
            forged.attributes = vec![
                AddressAttribute::Address(address),
                AddressAttribute::Local(address),
            ];
            let news = RouteNetlinkMessage::NewAddress(forged);
            let mut message = NetlinkMessage::from(news);
            message.finalize();
            let mut bytes = vec![0; message.buffer_len()];
            message.serialize(&mut bytes);
            let mut socket = Socket::new(NETLINK_ROUTE).expect("a socket");
            socket.bind_auto().expect("bound");
            let group_of_addresses = 0x10;
            let to = SocketAddr::new(0, group_of_addresses);
            socket.send_to(&bytes, &to, 0).expect("sent");
            // Whatever came first is known when this is.
            ip("link set left mtu 1300");
            let left = state_where(&mut reports, index("left"), |left| left.mtu == 1300).await;
            assert_eq!(texts(&left), ["10.0.0.1/24"]);
        });
    });
}

/// More than are asked for at once, of two requests that wait together, with some in
/// between that the kernel refuses or that change nothing.
#[test]
fn of_many_addresses_each_has_its_own_outcome() {
    in_namespace(|| {
        make_cable();
        let (on, nowhere) = (index("left"), IfIndex(9_999));
        let address = |last: u8| VirtualAddress {
            address: Ipv4Addr::new(10, 0, 1, last).into(),
            ..vip()
        };
        let add = |on: IfIndex, last: u8| Operation::AddAddress {
            on,
            address: address(last),
        };
        let remove = |last: u8| Operation::RemoveAddress {
            on,
            address: address(last),
        };
        let mut first: Vec<_> = (0..100).map(|last| add(on, last)).collect();
        // Of one that is there already, and of one that was never there.
        first.extend([add(on, 7), remove(200)]);
        first.insert(3, add(nowhere, 3));
        first.insert(70, add(nowhere, 70));
        first.insert(90, remove(50));
        let second: Vec<_> = (0..40).map(remove).collect();
        block_on(async {
            let (handle, mut reports) = Handle::start().expect("started");
            handle.carry_out(Token(1), first);
            handle.carry_out(Token(2), second);
            all(&mut reports).await;
            let (before, result) = until_done(&mut reports, Token(1)).await;
            assert_eq!(result, Err(Errno(libc::ENODEV)));
            let refused = before.iter().filter_map(|report| match report {
                Report::Refused {
                    token,
                    operation,
                    errno,
                } => Some((*token, operation.clone(), *errno)),
                _ => None,
            });
            let refused: Vec<_> = refused.collect();
            let errno = Errno(libc::ENODEV);
            assert_eq!(
                refused,
                [3, 70].map(|last| (Token(1), add(nowhere, last), errno))
            );
            assert_eq!(until_done(&mut reports, Token(2)).await.1, Ok(()));
        });
        let there = ip("-4 -o addr show dev left");
        for last in 0..100 {
            let is_there = there.contains(&format!(" 10.0.1.{last}/32"));
            assert_eq!(is_there, last >= 40 && last != 50, "{last}: {there}");
        }
    });
}
