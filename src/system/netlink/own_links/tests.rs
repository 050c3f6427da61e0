//! Interfaces of our own on a real kernel, each test in a namespace of its own.

use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::config::model::{Buffers, IpvlanMode};
use crate::ids::MacAddress;
use crate::system::netlink::{Handle, Report, nftables};
use crate::system::testing::{block_on, in_namespace, ip, make_cable};
use crate::vrrp::action::{Operation, Token};
use crate::vrrp::event::{InterfaceState, LinkKind};

const VIRTUAL: MacAddress = MacAddress([0, 0, 0x5e, 0, 1, 51]);

pub(super) fn index(name: &str) -> IfIndex {
    IfIndex(nix::net::if_::if_nametoindex(name).expect("the interface"))
}

fn setting(family: Family, name: &str, key: &str) -> i64 {
    sysctl::read(family, name, key).expect("a setting")
}

fn ipv4(name: &str, key: &str) -> i64 {
    setting(Family::Inet, name, key)
}

/// A VMAC of IPv4 on `left`.
fn vmac(name: &str) -> OwnLink {
    OwnLink {
        name: name.into(),
        parent: index("left"),
        kind: OwnLinkKind::Macvlan(VIRTUAL),
        group: 0,
        vrf: None,
        ipv4: true,
        ipv6: false,
        notify: false,
    }
}

/// The thread, and what it has told.
pub(super) struct Thread {
    handle: Handle,
    reports: UnboundedReceiver<Report>,
    number: u64,
}

impl Thread {
    fn start() -> Self {
        Self::start_with(nftables::Options::default())
    }

    pub(super) fn start_with(firewall: nftables::Options) -> Self {
        let buffers = Buffers::default();
        let (handle, reports) = Handle::start_with(&buffers, firewall).expect("started");
        let mut thread = Self {
            handle,
            reports,
            number: 0,
        };
        thread.until_done(Vec::new());
        thread
    }

    /// What is told until the request is done.
    pub(super) fn until_done(&mut self, operations: Vec<Operation>) -> Vec<Report> {
        self.number += 1;
        let token = Token(self.number);
        self.handle.carry_out(token, operations);
        let mut told = Vec::new();
        block_on(async {
            loop {
                let report = self.reports.recv().await.expect("the thread lives");
                if matches!(report, Report::Done { token: done, .. } if done == token) {
                    return told;
                }
                told.push(report);
            }
        })
    }

    /// Makes the link, with nothing missing; its last state.
    pub(super) fn add(&mut self, link: &OwnLink) -> InterfaceState {
        let told = self.until_done(vec![Operation::AddLink(Box::new(link.clone()))]);
        let bad = |it: &&Report| matches!(it, Report::Refused { .. } | Report::LinkFlawed { .. });
        assert_eq!(told.iter().find(bad), None);
        let mut states = told.into_iter().rev().filter_map(|it| match it {
            Report::Interface(state) if state.name == link.name => Some(state),
            _ => None,
        });
        states.next().unwrap_or_else(|| state(&link.name))
    }

    fn remove(&mut self, on: IfIndex, name: &str) {
        let name = name.to_owned();
        let told = self.until_done(vec![Operation::RemoveLink { on, name }]);
        let bad = |it: &&Report| matches!(it, Report::Refused { .. });
        assert_eq!(told.iter().find(bad), None);
    }
}

fn state(name: &str) -> InterfaceState {
    let all = crate::system::netlink::interfaces_now().expect("a dump");
    all.into_iter()
        .find(|it| it.name == name)
        .expect("the interface")
}

fn is_there(name: &str) -> bool {
    nix::net::if_::if_nametoindex(name).is_ok()
}

/// The settings of `left` that VMACs change.
fn of_parent() -> [i64; 3] {
    ["arp_ignore", "arp_filter", "arp_announce"].map(|key| ipv4("left", key))
}

#[test]
fn a_vmac_is_made_as_keepalived_makes_it() {
    in_namespace(|| {
        make_cable();
        let mut thread = Thread::start();
        let told = thread.add(&vmac("vrrp.51"));
        assert!(told.up, "{told:?}");
        assert_eq!(told.mac, VIRTUAL);
        assert!(told.link.is_of(&vmac("vrrp.51").kind, index("left")));
        let shown = ip("-d link show dev vrrp.51");
        for part in [
            "vrrp.51@left",
            "link/ether 00:00:5e:00:01:33",
            "macvlan mode private",
            "addrgenmode none",
            "alias keepalived-rs arp_ignore=0 arp_filter=0 arp_announce=0",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        for (key, value) in [
            ("arp_ignore", 1),
            ("rp_filter", 0),
            ("accept_local", 1),
            ("promote_secondaries", 1),
            ("arp_filter", 0),
        ] {
            assert_eq!(ipv4("vrrp.51", key), value, "{key}");
        }
        assert_eq!(setting(Family::Inet6, "vrrp.51", "disable_ipv6"), 1);
        assert_eq!(of_parent(), [1, 1, 2]);
        thread.remove(told.index, "vrrp.51");
        assert!(!is_there("vrrp.51"));
        assert_eq!(of_parent(), [0, 0, 0]);
    });
}

#[test]
fn a_vmac_of_ipv6_gives_itself_no_address_and_leaves_its_parent_alone() {
    in_namespace(|| {
        make_cable();
        let link = OwnLink {
            kind: OwnLinkKind::Macvlan(MacAddress([0, 0, 0x5e, 0, 2, 51])),
            group: 7,
            ipv4: false,
            ipv6: true,
            notify: true,
            ..vmac("vrrp6.51")
        };
        let mut thread = Thread::start();
        let told = thread.add(&link);
        assert_eq!((told.link.group, told.addresses.len()), (7, 0));
        let shown = ip("-d link show dev vrrp6.51");
        assert!(
            shown.contains("alias keepalived-rs \n") || shown.contains("alias keepalived-rs\n"),
            "{shown}"
        );
        for (key, value) in [("accept_ra", 0), ("autoconf", 0), ("disable_ipv6", 0)] {
            assert_eq!(setting(Family::Inet6, "vrrp6.51", key), value, "{key}");
        }
        assert_eq!(ipv4("vrrp6.51", "arp_ignore"), 1);
        assert_eq!(of_parent(), [0, 0, 0]);
        assert_eq!(ip("-6 addr show dev vrrp6.51"), "");
    });
}

/// `net.ipv4.conf.all.rp_filter` is of every interface.
#[test]
fn a_filter_of_all_interfaces_is_met_by_a_milder_one_on_the_vmac() {
    in_namespace(|| {
        make_cable();
        write_of_all("rp_filter", 1);
        let mut thread = Thread::start();
        thread.add(&vmac("vrrp.51"));
        assert_eq!(ipv4("vrrp.51", "rp_filter"), 2);
        assert_eq!(ipv4("all", "rp_filter"), 1);
        assert_eq!(ipv4("left", "rp_filter"), 0);
    });
}

fn write_of_all(key: &str, value: u32) {
    let path = format!("/proc/sys/net/ipv4/conf/all/{key}");
    std::fs::write(path, value.to_string()).expect("written");
}

#[test]
fn one_that_fits_is_taken_over_and_put_right() {
    in_namespace(|| {
        make_cable();
        ip("link add vrrp.51 link left address 02:00:00:00:00:09 type macvlan mode private");
        let before = index("vrrp.51");
        let mut thread = Thread::start();
        let told = thread.add(&OwnLink {
            group: 3,
            ..vmac("vrrp.51")
        });
        assert_eq!((told.index, told.mac), (before, VIRTUAL));
        assert!(told.up && told.link.group == 3, "{told:?}");
        assert_eq!(ipv4("vrrp.51", "arp_ignore"), 1);
        // Again, with nothing to do.
        assert_eq!(thread.add(&vmac("vrrp.51")).index, before);
        assert_eq!(thread.add(&vmac("vrrp.51")).link.group, 0);
    });
}

#[test]
fn one_of_another_kind_or_place_is_left_alone() {
    in_namespace(|| {
        make_cable();
        ip("link add one type veth peer name two");
        ip("link add open link left type macvlan mode bridge");
        ip("link add elsewhere link right type macvlan mode private");
        let mut thread = Thread::start();
        for name in ["one", "open", "elsewhere", "left"] {
            let before = ip(&format!("-d link show dev {name}"));
            let link = Box::new(vmac(name));
            let told = thread.until_done(vec![Operation::AddLink(link)]);
            let refused = |it: &Report| matches!(it, Report::Refused { errno, .. } if *errno == Errno(libc::EEXIST));
            assert!(told.iter().any(refused), "{name}: {told:?}");
            assert_eq!(ip(&format!("-d link show dev {name}")), before);
        }
        let link = Box::new(OwnLink {
            parent: IfIndex(777),
            ..vmac("vrrp.51")
        });
        let told = thread.until_done(vec![Operation::AddLink(link)]);
        let refused = |it: &Report| matches!(it, Report::Refused { .. });
        assert!(told.iter().any(refused), "{told:?}");
        assert!(!is_there("vrrp.51"));
        assert_eq!(of_parent(), [0, 0, 0]);
    });
}

#[test]
fn the_parent_is_as_before_when_the_last_vmac_goes() {
    in_namespace(|| {
        make_cable();
        sysctl::write(Family::Inet, "left", "arp_ignore", 2).expect("written");
        let mut thread = Thread::start();
        let first = thread.add(&vmac("vrrp.51")).index;
        let mac = MacAddress([0, 0, 0x5e, 0, 1, 52]);
        let second = thread.add(&OwnLink {
            kind: OwnLinkKind::Macvlan(mac),
            ..vmac("vrrp.52")
        });
        assert_eq!(of_parent(), [1, 1, 2]);
        thread.remove(first, "vrrp.51");
        assert_eq!(of_parent(), [1, 1, 2]);
        // Deleted by somebody, and made anew.
        ip("link del vrrp.52");
        let again = thread.add(&OwnLink {
            kind: OwnLinkKind::Macvlan(mac),
            ..vmac("vrrp.52")
        });
        assert_ne!(again.index, second.index);
        assert_eq!(of_parent(), [1, 1, 2]);
        // Deleted by somebody, and not wanted any more.
        ip("link del vrrp.52");
        thread.remove(again.index, "vrrp.52");
        assert_eq!(of_parent(), [2, 0, 0]);
        thread.remove(again.index, "vrrp.52");
    });
}

#[test]
fn a_setting_that_somebody_changed_since_is_his() {
    in_namespace(|| {
        make_cable();
        let mut thread = Thread::start();
        let on = thread.add(&vmac("vrrp.51")).index;
        sysctl::write(Family::Inet, "left", "arp_ignore", 8).expect("written");
        thread.remove(on, "vrrp.51");
        assert_eq!(of_parent(), [8, 0, 0]);
    });
}

/// The number of a VMAC that is gone may belong to something else by now.
#[test]
fn nothing_is_deleted_that_has_another_name() {
    in_namespace(|| {
        make_cable();
        let mut thread = Thread::start();
        thread.remove(index("left"), "vrrp.51");
        assert!(is_there("left"));
        // Unless it is marked as ours.
        let on = thread.add(&vmac("vrrp.51")).index;
        ip("link set vrrp.51 down");
        ip("link set vrrp.51 name other");
        thread.remove(on, "vrrp.51");
        assert!(!is_there("other"));
    });
}

#[test]
fn what_a_killed_daemon_left_is_taken_away_and_nothing_else() {
    in_namespace(|| {
        make_cable();
        sysctl::write(Family::Inet, "left", "arp_filter", 1).expect("written");
        let mut killed = Thread::start();
        killed.add(&vmac("vrrp.51"));
        let another = OwnLinkKind::Macvlan(MacAddress([0, 0, 0x5e, 0, 1, 52]));
        killed.add(&OwnLink {
            kind: another,
            ..vmac("mine")
        });
        drop(killed);
        // Somebody else's: another address, another parent, no mark.
        ip("link add other link left address 02:00:00:00:00:09 type macvlan mode private");
        ip("link add right1 link right address 00:00:5e:00:01:33 type macvlan mode private");
        ip("link add unmarked link left address 00:00:5e:00:01:33 type macvlan mode private");
        let left = |name: Option<&str>| LeftLink {
            name: name.map(Into::into),
            parent: "left".into(),
            kind: OwnLinkKind::Macvlan(VIRTUAL),
        };
        let mut removed = Vec::new();
        let wrong = [left(Some("mine")), left(Some("vrrp.52"))];
        clean_up_links(&wrong, &mut removed).expect("cleaned up");
        assert_eq!(removed, [""; 0]);
        let mine = LeftLink {
            kind: another,
            ..left(Some("mine"))
        };
        clean_up_links(&[mine], &mut removed).expect("cleaned up");
        assert_eq!(removed, ["mine"]);
        assert_eq!(of_parent(), [1, 1, 2]);
        clean_up_links(&[left(None), left(Some("gone"))], &mut removed).expect("cleaned up");
        assert_eq!(removed, ["mine", "vrrp.51"]);
        assert_eq!(of_parent(), [0, 1, 0]);
        assert!(is_there("other") && is_there("right1") && is_there("unmarked"));
        clean_up_links(&[left(Some("unmarked"))], &mut removed).expect("cleaned up");
        assert!(!is_there("unmarked"));
    });
}

/// What a daemon that was killed has left counts as changed by it.
#[test]
fn a_new_daemon_knows_what_the_parent_was_before_the_last_one() {
    in_namespace(|| {
        make_cable();
        let mut killed = Thread::start();
        killed.add(&vmac("vrrp.51"));
        drop(killed);
        let mut thread = Thread::start();
        let mac = MacAddress([0, 0, 0x5e, 0, 1, 52]);
        let second = thread.add(&OwnLink {
            kind: OwnLinkKind::Macvlan(mac),
            ..vmac("vrrp.52")
        });
        thread.remove(second.index, "vrrp.52");
        // The other one is there still.
        assert_eq!(of_parent(), [1, 1, 2]);
        let first = thread.add(&vmac("vrrp.51"));
        thread.remove(first.index, "vrrp.51");
        assert_eq!(of_parent(), [0, 0, 0]);
    });
}

/// As in most containers, where netlink may be used all the same.
#[test]
fn where_settings_cannot_be_written_what_is_missing_is_told() {
    in_namespace(|| {
        make_cable();
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).expect("mounts of our own");
        for words in [
            "--make-rprivate /",
            "--bind /proc/sys /proc/sys",
            "-o remount,ro,bind /proc/sys",
        ] {
            let status = std::process::Command::new("mount")
                .args(words.split(' '))
                .status();
            assert!(status.expect("the mount command").success(), "{words}");
        }
        let mut thread = Thread::start();
        let link = Box::new(vmac("vrrp.51"));
        let told = thread.until_done(vec![Operation::AddLink(link)]);
        let missing: Vec<String> = told
            .iter()
            .filter_map(|it| match it {
                Report::LinkFlawed { link, part, errno } => {
                    Some(format!("{link}: {part}: {errno}"))
                }
                Report::Refused { .. } => Some(format!("{it:?}")),
                _ => None,
            })
            .collect();
        assert_eq!(
            missing,
            ["vrrp.51: the ipv6 setting disable_ipv6: Read-only file system"]
        );
        assert_eq!(ipv4("vrrp.51", "arp_ignore"), 1);
        assert_eq!(of_parent(), [1, 1, 2]);
        assert!(state("vrrp.51").up);
        thread.remove(index("vrrp.51"), "vrrp.51");
        assert_eq!(of_parent(), [0, 0, 0]);
    });
}

/// Whether this kernel can make such interfaces; it says so if not.
fn can_make(what: &str) -> bool {
    let words = format!("link add probe {what}");
    let made = std::process::Command::new("ip")
        .args(words.split(' '))
        .status()
        .is_ok_and(|status| status.success());
    if made {
        ip("link del probe");
    } else {
        #[expect(clippy::disallowed_macros, reason = "a test tells its reader")]
        {
            eprintln!("SKIPPED: this kernel has no `{what}`");
        }
    }
    made
}

#[test]
fn an_ipvlan_is_made_where_the_kernel_knows_it() {
    in_namespace(|| {
        make_cable();
        if !can_make("link left type ipvlan mode l2") {
            return;
        }
        let link = OwnLink {
            kind: OwnLinkKind::Ipvlan(IpvlanMode::Private),
            group: 5,
            ..vmac("vrrp.51")
        };
        let mut thread = Thread::start();
        let told = thread.add(&link);
        assert_eq!(told.link.kind, LinkKind::Ipvlan(Some(IpvlanMode::Private)));
        assert_eq!(
            (told.link.parent, told.link.group),
            (Some(index("left")), 5)
        );
        assert_eq!(told.mac, state("left").mac);
        let shown = ip("-d link show dev vrrp.51");
        assert!(shown.contains("mode l2 private"), "{shown}");
        assert_eq!(ipv4("vrrp.51", "arp_ignore"), 0);
        assert_eq!(setting(Family::Inet6, "vrrp.51", "disable_ipv6"), 1);
        assert_eq!(of_parent(), [0, 0, 0]);
        assert_eq!(thread.add(&link).index, told.index);
        let other = OwnLink {
            kind: OwnLinkKind::Ipvlan(IpvlanMode::Vepa),
            ..link
        };
        let told_other = thread.until_done(vec![Operation::AddLink(Box::new(other))]);
        let refused = |it: &Report| matches!(it, Report::Refused { errno, .. } if *errno == Errno(libc::EEXIST));
        assert!(told_other.iter().any(refused), "{told_other:?}");
        let left = LeftLink {
            name: None,
            parent: "left".into(),
            kind: OwnLinkKind::Ipvlan(IpvlanMode::Private),
        };
        let mut removed = Vec::new();
        clean_up_links(&[left], &mut removed).expect("cleaned up");
        assert_eq!(removed, ["vrrp.51"]);
        thread.remove(told.index, "vrrp.51");
    });
}

#[test]
fn a_vmac_goes_into_the_vrf_of_its_parent_where_the_kernel_knows_it() {
    in_namespace(|| {
        make_cable();
        if !can_make("type vrf table 7") {
            return;
        }
        ip("link add blue type vrf table 7");
        ip("link set left master blue");
        assert_eq!(state("blue").link.kind, LinkKind::Vrf);
        let vrf = state("left").link.master;
        assert_eq!(vrf, Some(index("blue")));
        let mut thread = Thread::start();
        let link = Box::new(OwnLink {
            vrf,
            ..vmac("vrrp.51")
        });
        thread.until_done(vec![Operation::AddLink(link)]);
        assert_eq!(state("vrrp.51").link.master, vrf);
        let link = Box::new(vmac("vrrp.51"));
        thread.until_done(vec![Operation::AddLink(link)]);
        assert_eq!(state("vrrp.51").link.master, None);
    });
}

/// A kernel takes its time for each that is deleted alone.
#[test]
fn many_go_at_once_and_nothing_else_with_them() {
    in_namespace(|| {
        make_cable();
        ip("link add other link left type macvlan mode private");
        ip("link set other group 1801546870");
        let mut thread = Thread::start();
        let numbers = 1..=40_u8;
        let links: Vec<OwnLink> = numbers
            .map(|vrid| OwnLink {
                kind: OwnLinkKind::Macvlan(MacAddress([0, 0, 0x5e, 0, 1, vrid])),
                group: 7,
                ..vmac(&format!("vrrp.{vrid}"))
            })
            .collect();
        for link in &links {
            thread.add(link);
        }
        let (together, left) = links.split_at(20);
        let remove = |link: &OwnLink| Operation::RemoveLink {
            on: index(&link.name),
            name: link.name.clone(),
        };
        let mut operations: Vec<Operation> = together.iter().map(remove).collect();
        // One that is not the one it was.
        operations.push(Operation::RemoveLink {
            on: index("other"),
            name: "vrrp.41".into(),
        });
        let told = thread.until_done(operations);
        let gone = |it: &&Report| matches!(it, Report::Gone(_));
        assert_eq!(told.iter().filter(gone).count(), 20);
        assert!(!told.iter().any(|it| matches!(it, Report::Refused { .. })));
        assert_eq!(of_parent(), [1, 1, 2]);
        assert!(together.iter().all(|link| !is_there(&link.name)));
        assert!(left.iter().all(|link| is_there(&link.name)));
        drop(thread);
        let lost: Vec<LeftLink> = left
            .iter()
            .map(|link| LeftLink {
                name: None,
                parent: "left".into(),
                kind: link.kind,
            })
            .collect();
        let mut removed = Vec::new();
        clean_up_links(&lost, &mut removed).expect("cleaned up");
        assert_eq!(removed.len(), 20);
        assert!(left.iter().all(|link| !is_there(&link.name)));
        assert_eq!(of_parent(), [0, 0, 0]);
        assert!(is_there("other") && is_there("left"));
    });
}

/// Frames that arrive at the other end of the cable.
struct Ear(socket2::Socket);

impl Ear {
    fn open() -> Self {
        // ETH_P_ALL, in the order of the network.
        let all = i32::from(3_u16.to_be());
        let kind = socket2::Type::RAW;
        let protocol = socket2::Protocol::from(all);
        let socket = socket2::Socket::new(socket2::Domain::PACKET, kind, Some(protocol));
        let socket = socket.expect("a packet socket");
        let interface = b"right";
        socket.bind_device(Some(interface)).expect("bound");
        let limit = Some(std::time::Duration::from_secs(10));
        socket.set_read_timeout(limit).expect("a limit");
        Self(socket)
    }

    /// Hears frames until one has this address in it, which is given back; none of them
    /// may come from a virtual hardware address.
    fn until(&self, wanted: &[u8]) -> Vec<u8> {
        use std::io::Read;
        let mut buffer = [0; 2048];
        loop {
            let length = (&self.0).read(&mut buffer).expect("a frame in time");
            let frame = &buffer[..length];
            assert_ne!(frame[6..10], [0, 0, 0x5e, 0], "{frame:x?}");
            if frame[14..].windows(wanted.len()).any(|part| part == wanted) {
                return frame.to_vec();
            }
        }
    }
}

/// A switch that hears a virtual hardware address from a BACKUP sends it what is for the
/// MASTER.
#[test]
fn reports_of_groups_leave_by_the_parent_with_its_own_address() {
    in_namespace(|| {
        make_cable();
        ip("link set left address 02:00:00:00:00:01");
        let ear = Ear::open();
        let mut thread = Thread::start();
        thread.add(&OwnLink {
            ipv6: true,
            ..vmac("vrrp.51")
        });
        let on = index("vrrp.51").0;
        let socket = |domain| {
            let kind = socket2::Type::DGRAM;
            socket2::Socket::new(domain, kind, None).expect("a socket")
        };
        let ipv4 = std::net::Ipv4Addr::new(239, 1, 2, 3);
        let joined = socket(socket2::Domain::IPV4);
        let interface = socket2::InterfaceIndexOrAddress::Index(on);
        joined
            .join_multicast_v4_n(&ipv4, &interface)
            .expect("joined");
        let frame = ear.until(&ipv4.octets());
        assert_eq!(frame[6..12], [2, 0, 0, 0, 0, 1]);
        let ipv6: std::net::Ipv6Addr = "ff05::1:3".parse().expect("an address");
        let joined6 = socket(socket2::Domain::IPV6);
        joined6.join_multicast_v6(&ipv6, on).expect("joined");
        let frame = ear.until(&ipv6.octets());
        assert_eq!(frame[6..12], [2, 0, 0, 0, 0, 1]);
    });
}

/// Somebody else has its hardware address there, so that it cannot be set up.
#[test]
fn nothing_is_left_of_one_that_the_kernel_refuses_in_the_end() {
    in_namespace(|| {
        make_cable();
        ip("link add other link left address 00:00:5e:00:01:33 type macvlan mode bridge");
        ip("link set other up");
        let mut thread = Thread::start();
        let link = Box::new(vmac("vrrp.51"));
        let told = thread.until_done(vec![Operation::AddLink(link)]);
        let refused = |it: &Report| matches!(it, Report::Refused { errno, .. } if *errno == Errno(libc::EADDRINUSE));
        assert!(told.iter().any(refused), "{told:?}");
        assert!(!is_there("vrrp.51"));
        assert_eq!(of_parent(), [0, 0, 0]);
        let rules = super::beside_c::rules();
        assert!(!rules.contains(": \"left\""), "{rules}");
        // Not made by us, and not deleted.
        ip("link add vrrp.51 link left address 00:00:5e:00:01:33 type macvlan mode private");
        let link = Box::new(vmac("vrrp.51"));
        let told = thread.until_done(vec![Operation::AddLink(link)]);
        assert!(told.iter().any(refused), "{told:?}");
        assert!(is_there("vrrp.51"));
    });
}

/// `nft flush ruleset`, and then one more VMAC.
#[test]
fn rules_that_somebody_took_away_come_back_for_all() {
    in_namespace(|| {
        make_cable();
        let mut thread = Thread::start();
        thread.add(&vmac("vrrp.51"));
        let options = nftables::Options::default();
        nftables::clean_up(options).expect("taken away");
        thread.add(&OwnLink {
            kind: OwnLinkKind::Macvlan(MacAddress([0, 0, 0x5e, 0, 1, 52])),
            ..vmac("vrrp.52")
        });
        let rules = super::beside_c::rules();
        assert!(
            rules.contains("{ \"vrrp.51\" : \"left\", \"vrrp.52\" : \"left\" }"),
            "{rules}"
        );
        // One that was deleted by somebody leaves no element behind.
        ip("link del vrrp.51");
        thread.add(&vmac("vrrp.51"));
        let rules = super::beside_c::rules();
        assert_eq!(rules.matches(" : \"left\"").count(), 2, "{rules}");
    });
}

/// `nft flush ruleset` alone, where no address was ever blocked.
#[test]
fn rules_of_vmacs_that_somebody_took_away_come_back_at_once() {
    in_namespace(|| {
        make_cable();
        let mut thread = Thread::start();
        thread.add(&vmac("vrrp.51"));
        nftables::clean_up(nftables::Options::default()).expect("taken away");
        let is_news = |it: &Report| matches!(it, Report::FirewallDisturbed(Ok(())));
        block_on(async { while !is_news(&thread.reports.recv().await.expect("news")) {} });
        let rules = super::beside_c::rules();
        assert!(rules.contains("{ \"vrrp.51\" : \"left\" }"), "{rules}");
    });
}

/// Addresses of a MASTER are blocked first, and an instance with a VMAC comes later, by
/// a reload.
#[test]
fn rules_of_vmacs_come_before_those_of_addresses() {
    in_namespace(|| {
        make_cable();
        let mut thread = Thread::start();
        let address = "2001:db8::1".parse().expect("an address");
        let on = index("left");
        thread.until_done(vec![Operation::Block { on, address }]);
        thread.add(&OwnLink {
            ipv6: true,
            ..vmac("vrrp.51")
        });
        let rules = super::beside_c::rules();
        let place = |text: &str| {
            rules
                .find(text)
                .unwrap_or_else(|| panic!("{text}: {rules}"))
        };
        assert!(place("mld2-listener-report") < place("nd-router-solicit"));
        assert!(place("nd-router-solicit") < place("goto out_link_local"));
    });
}
