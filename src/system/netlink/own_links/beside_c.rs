//! VMACs of ours next to those that C keepalived makes: what `nft` and `ip` print, and
//! every setting. The engine has no part in it: what C does of itself is asked for here.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::tests::{Thread, index};
use super::*;
use crate::config::model;
use crate::ids::MacAddress;
use crate::system::netlink::nftables;
use crate::system::testing::{in_namespace, ip, make_cable};
use crate::vrrp::action::Operation;

/// A virtual router that both make.
struct Router {
    interface: &'static str,
    vrid: u8,
    vips: &'static [&'static str],
    excluded: &'static [&'static str],
    no_accept: bool,
}

impl Router {
    const fn new(interface: &'static str, vrid: u8, vips: &'static [&'static str]) -> Self {
        Self {
            interface,
            vrid,
            vips,
            excluded: &[],
            no_accept: false,
        }
    }

    fn has(&self, family: Family) -> bool {
        let mut all = self.vips.iter().chain(self.excluded);
        all.any(|vip| vip.contains(':') == (family == Family::Inet6))
    }

    fn link(&self) -> OwnLink {
        let family = if self.vips[0].contains(':') { 2 } else { 1 };
        OwnLink {
            name: self.interface.into(),
            parent: index("left"),
            kind: OwnLinkKind::Macvlan(MacAddress([0, 0, 0x5e, 0, family, self.vrid])),
            group: 0,
            vrf: None,
            ipv4: self.has(Family::Inet),
            ipv6: self.has(Family::Inet6),
            notify: false,
        }
    }

    fn configuration(&self) -> String {
        format!(
            "vrrp_instance {0} {{\n interface left\n version 3\n priority 200\n advert_int 0.1\n \
             virtual_router_id {1}\n use_vmac {0}\n {2}\n virtual_ipaddress {{\n {3}\n }}\n {4}\n}}\n",
            self.interface,
            self.vrid,
            if self.no_accept { "no_accept" } else { "" },
            self.vips.join("\n "),
            match self.excluded {
                [] => String::new(),
                vips => format!("virtual_ipaddress_excluded {{\n {}\n }}", vips.join("\n ")),
            },
        )
    }
}

/// What can be seen of the work of either.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    rules: String,
    links: BTreeMap<String, String>,
    settings: BTreeMap<String, String>,
}

impl Seen {
    fn now(routers: &[Router]) -> Self {
        let names = || routers.iter().map(|router| router.interface);
        let link = |name: &'static str| {
            let shown = ip(&format!("-d link show dev {name}"));
            // The number, and the line of our mark, are of nobody's concern.
            let lines = shown.lines().filter(|line| !line.contains("alias"));
            let text = lines.map(str::trim).collect::<Vec<_>>().join("\n");
            let text = text.split_once(": ").map(|(_, text)| text.to_owned());
            (name.to_owned(), text.unwrap_or_default())
        };
        Self {
            rules: rules(),
            links: names().map(link).collect(),
            settings: names().chain(["left", "all"]).flat_map(settings).collect(),
        }
    }
}

/// Every setting of an interface.
fn settings(interface: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for family in ["ipv4", "ipv6"] {
        let directory = format!("/proc/sys/net/{family}/conf/{interface}");
        for entry in std::fs::read_dir(directory).expect("settings") {
            let path = entry.expect("a setting").path();
            let Ok(value) = std::fs::read_to_string(&path) else {
                // A secret that nobody has set.
                continue;
            };
            all.push((path.display().to_string(), value));
        }
    }
    all
}

/// What `nft list ruleset` prints, without what was counted.
pub(super) fn rules() -> String {
    let output = Command::new("nft").args(["list", "ruleset"]).output();
    let text = String::from_utf8(output.expect("the nft command").stdout).expect("text");
    let mut rules = String::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        while let Some(word) = words.next() {
            let is_number = matches!(word, "packets" | "bytes");
            let number = if is_number { words.next() } else { None };
            let shown = if number.is_some() { "-" } else { word };
            write!(rules, "{shown} ").expect("room");
        }
        rules.push('\n');
    }
    rules
}

/// C keepalived, when it has put on every VIP; `None` if it is not installed.
fn start_c(directory: &std::path::Path, words: &str, routers: &[Router]) -> Option<Child> {
    let path = |name: &str| directory.join(name).display().to_string();
    let mut configuration = format!("global_defs {{\n{words}\n}}\n");
    configuration.extend(routers.iter().map(Router::configuration));
    std::fs::write(path("conf"), configuration).expect("written");
    let started = Command::new("keepalived")
        .args(["-n", "-l", "-D", "-P", "-f", &path("conf")])
        .args(["-p", &path("pid"), "-r", &path("vrrp.pid")])
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{error}");
            return None;
        }
    };
    let mut waits: Vec<String> = routers
        .iter()
        .map(|router| {
            let vip = router.vips[0].split('/').next().unwrap_or_default();
            let what = match vip.contains(':') {
                true => "unsolicited Neighbour Advert",
                false => "gratuitous ARP",
            };
            format!("Sending {what} on {} for {vip}", router.interface)
        })
        .collect();
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let mut log = Vec::new();
    while !waits.is_empty() {
        let Some(Ok(line)) = lines.next() else {
            panic!("C keepalived has ended: {log:#?}");
        };
        waits.retain(|wait| !line.ends_with(wait));
        log.push(line);
    }
    // It must not be held up by a pipe that nobody reads.
    std::thread::spawn(move || lines.for_each(drop));
    Some(child)
}

fn seen_with_c(words: &str, routers: &[Router]) -> Option<Seen> {
    make_cable();
    let directory = std::env::temp_dir().join(format!(
        "vmac-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::create_dir_all(&directory).expect("a directory");
    let mut child = start_c(&directory, words, routers)?;
    let seen = Seen::now(routers);
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a number"));
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).expect("told to stop");
    child.wait().expect("ended");
    let _ = std::fs::remove_dir_all(&directory);
    Some(seen)
}

fn seen_with_ours(firewall: &model::Firewall, routers: &[Router]) -> Seen {
    make_cable();
    let mut thread = Thread::start_with(nftables::Options::from(firewall));
    for router in routers {
        thread.add(&router.link());
    }
    for router in routers.iter().filter(|router| router.no_accept) {
        let block = |vip: &&str| {
            let (address, _) = vip.split_once('/').expect("a length");
            Operation::Block {
                on: index(router.interface),
                address: address.parse().expect("an address"),
            }
        };
        thread.until_done(router.vips.iter().map(block).collect());
    }
    Seen::now(routers)
}

/// Runs both, each in a namespace of its own, and compares all that can be seen. What
/// differs on purpose is in [`EXPECTED`].
fn compare(words: &'static str, firewall: model::Firewall, routers: fn() -> Vec<Router>) {
    let (to_here, from_c) = std::sync::mpsc::channel();
    in_namespace(move || {
        // Nobody is there if the other one was skipped.
        let _ = to_here.send(seen_with_c(words, &routers()));
    });
    let Ok(Some(c)) = from_c.recv() else {
        return;
    };
    in_namespace(move || {
        let ours = seen_with_ours(&firewall, &routers());
        assert_eq!(ours.rules, c.rules, "{}\n{}", ours.rules, c.rules);
        assert_eq!(ours.links, c.links);
        for (name, value) in &ours.settings {
            let is_expected = EXPECTED
                .iter()
                .any(|(key, ours)| name.ends_with(key) && value.trim() == *ours);
            let same = c.settings.get(name) == Some(value);
            assert!(
                same || is_expected,
                "{name}: {value}, {:?}",
                c.settings.get(name)
            );
        }
        assert_eq!(ours.settings.len(), c.settings.len());
    });
}

/// What C 2.2.7 leaves as it is: a VMAC would get addresses and routes from routers, and
/// one of IPv6 would answer for the IPv4 addresses of its parent; which asks in the name
/// of the VIP.
const EXPECTED: [(&str, &str); 4] = [
    ("ipv4/conf/left/arp_announce", "2"),
    ("ipv6/conf/vrrp6.51/accept_ra", "0"),
    ("ipv6/conf/vrrp6.51/autoconf", "0"),
    ("ipv4/conf/vrrp6.51/arp_ignore", "1"),
];

const IPV4: [&str; 2] = ["10.0.0.100/24", "10.0.0.101/24"];
const IPV6: [&str; 2] = ["fe80::100/64", "2001:db8::100/64"];

#[test]
fn of_ipv4() {
    compare("", model::Firewall::default(), || {
        vec![Router::new("vrrp.51", 51, &IPV4)]
    });
}

#[test]
fn of_ipv6() {
    compare("", model::Firewall::default(), || {
        vec![Router::new("vrrp6.51", 51, &IPV6)]
    });
}

/// With everything that the words for the firewall change.
#[test]
fn of_both_with_no_accept() {
    let words = "nftables mine\nnftables_priority -5\nnftables_counters\nnftables_ifindex";
    let firewall = model::Firewall {
        nftables: Some("mine".into()),
        nftables_priority: Some(-5),
        nftables_counters: true,
        nftables_ifindex: true,
        ..model::Firewall::default()
    };
    compare(words, firewall, || {
        let no_accept = |router| Router {
            no_accept: true,
            ..router
        };
        vec![
            no_accept(Router::new("vrrp6.51", 51, &IPV6)),
            no_accept(Router::new("vrrp.51", 51, &IPV4)),
            no_accept(Router::new("vrrp.52", 52, &["10.0.0.102/24"])),
        ]
    });
}
