//! Lines of routes.

use super::*;

const GROUP: &str = "track_group G {\ngroup {\nVI\n}\n}\n";

/// What is said about a line of `static_routes`, and the route that it makes.
#[track_caller]
fn route(line: &str) -> (Option<String>, Vec<String>, u8) {
    let loaded = parse(&format!(
        "{GROUP}static_routes {{\n{line}\n}}\n{}",
        with("")
    ));
    let routes = &loaded.config.static_routes;
    let said = lines(&loaded);
    (
        routes.first().map(ToString::to_string),
        said,
        loaded.exit_code(),
    )
}

/// A line, and what C 2.2.7 prints for it in its dump.
const PRINTED: &[(&str, &str)] = &[
    ("any dev eth0", "prepend 0.0.0.0/0 dev eth0 proto 18"),
    (
        "default via 2001:db8::1 dev eth0",
        "prepend ::/0 via inet6 2001:db8::1 dev eth0 proto 18",
    ),
    (
        "default from 2001:db8::/64 dev eth0",
        "prepend ::/0 from 2001:db8::/64 dev eth0 proto 18",
    ),
    ("default6 dev eth0", "prepend ::/0 dev eth0 proto 18"),
    (
        "default pref low dev eth0",
        "prepend ::/0 dev eth0 proto 18 pref low",
    ),
    (
        "unicast 10.1.0.0/16 dev eth0",
        "add 10.1.0.0/16 dev eth0 proto 18",
    ),
    (
        "blackhole 10.2.0.0/16 no_track",
        "add blackhole 10.2.0.0/16 no_track",
    ),
    (
        "prohibit 10.4.0.0/16 prepend no_track",
        "prepend prohibit 10.4.0.0/16 no_track",
    ),
    (
        "multicast 10.4.0.0/16 dev eth0 append",
        "append multicast 10.4.0.0/16 dev eth0 proto 18",
    ),
    ("10.8.0.0 dev eth0", "prepend 10.8.0.0 dev eth0 proto 18"),
    (
        "10.8.1.5/16 dev eth0",
        "prepend 10.8.1.5/16 dev eth0 proto 18",
    ),
    (
        "10.5.0.0/16 tos 0x10 dev eth0 metric 0",
        "prepend 10.5.0.0/16 tos 16 dev eth0 proto 18 metric 0",
    ),
    (
        "10.8.0.0/16 dev eth0 tos AF11",
        "prepend 10.8.0.0/16 tos 40 dev eth0 proto 18",
    ),
    (
        "10.5.0.0/16 table main dev eth0",
        "prepend 10.5.0.0/16 dev eth0 proto 18",
    ),
    (
        "10.5.0.0/16 table default dev eth0",
        "prepend 10.5.0.0/16 dev eth0 table 253 proto 18",
    ),
    (
        "10.8.0.0/16 dev eth0 table 0x10",
        "prepend 10.8.0.0/16 dev eth0 table 16 proto 18",
    ),
    (
        "10.5.0.0/16 protocol static dev eth0 no_track",
        "prepend 10.5.0.0/16 dev eth0 proto 4 no_track",
    ),
    (
        "10.8.0.0/16 dev eth0 scope global",
        "prepend 10.8.0.0/16 dev eth0 proto 18 scope 0",
    ),
    (
        "2001:db8:5::/48 scope link dev eth0",
        "prepend 2001:db8:5::/48 dev eth0 proto 18 scope 253",
    ),
    (
        "10.2.0.0/16 features ecn realms 1/2 encap ip id 5 dst 10.0.0.1 metric 10 \
         via 192.0.2.254 src 192.0.2.1 dev eth0 onlink scope link table 5 tos 4 protocol 18 \
         mtu lock 5 advmss lock 6 rtt lock 3s rttvar lock 3s reordering lock 7 window 8 \
         cwnd lock 9 ssthresh lock 10 rto_min lock 1s initcwnd 11 initrwnd 12 hoplimit 13 \
         quickack 1 congctl reno fastopen_no_cookie 1 ttl-propagate enabled",
        "prepend 10.2.0.0/16 src 192.0.2.1 tos 4 encap ip id 5 dst 10.0.0.1 \
         via inet 192.0.2.254 dev eth0 table 5 proto 18 scope 253 metric 10 onlink realms 1/2 \
         congctl reno rtt lock 3s rttvar lock 3s rto_min lock 1s features ecn mtu lock 5 \
         window 8 ssthresh lock 10 cwnd lock 9 advmss lock 6 reordering lock 7 hoplimit 13 \
         initcwnd 11 initrwnd 12 quickack 1 fastopen_no_cookie 1 ttl-propagate enabled",
    ),
    (
        "2001:db8:1::/48 from 2001:db8:2::/48 via fe80::1 dev eth0 src 2001:db8::1 pref high \
         expires 60 metric 5 mtu 1400 hoplimit 4 append fastopen_no_cookie 0",
        "append 2001:db8:1::/48 from 2001:db8:2::/48 src 2001:db8::1 via inet6 fe80::1 dev eth0 \
         proto 18 metric 5 expires 60sec mtu 1400 hoplimit 4 pref high fastopen_no_cookie 0",
    ),
    (
        "2001:db8:1::/48 dev eth0 pref low quickack 1 initrwnd 5 ttl-propagate disabled",
        "prepend 2001:db8:1::/48 dev eth0 proto 18 initrwnd 5 quickack 1 pref low \
         ttl-propagate disabled",
    ),
    (
        "2001:db8:1::/48 dev eth0 pref 7",
        "prepend 2001:db8:1::/48 dev eth0 proto 18 pref unknown",
    ),
    (
        "10.4.0.0/16 no_track nexthop via 192.0.2.254 dev eth0 weight 5 onlink realms 2 \
         encap ip6 id 5 dst 2001:db8::1 src 2001:db8::2 tc 3 hoplimit 4 flags 5 \
         nexthop via inet 192.0.2.253",
        "prepend 10.4.0.0/16 nexthop via inet 192.0.2.254 dev eth0 weight 5 onlink realm 2 \
         encap ip6 id 5 dst 2001:db8::1 src 2001:db8::2 tc 3 hoplimit 4 flags 0x5 \
         nexthop via inet 192.0.2.253 no_track",
    ),
    (
        "10.4.0.0/16 dev eth0 encap ip tos 4 id 7 ttl 0",
        "prepend 10.4.0.0/16 encap ip id 7 tos 4 ttl 0 dev eth0 proto 18",
    ),
    (
        "10.4.0.0/16 dev eth0 rtt 1100ms rttvar 4s rto_min 1.5s",
        "prepend 10.4.0.0/16 dev eth0 proto 18 rtt 1.1s rttvar 4s rto_min 1.5s",
    ),
    (
        "10.4.0.0/16 dev eth0 rtt 8001 rttvar 4001 rto_min 3001",
        "prepend 10.4.0.0/16 dev eth0 proto 18 rtt 1.00012s rttvar 1.00025s rto_min 3.001s",
    ),
    (
        "10.4.0.0/16 dev eth0 rtt 2400 rttvar 5secs rto_min 120sec",
        "prepend 10.4.0.0/16 dev eth0 proto 18 rtt 300ms rttvar 5s rto_min 120s",
    ),
    (
        "10.50.0.0/16 dev eth0 track_group G",
        "prepend 10.50.0.0/16 dev eth0 proto 18 track_group G",
    ),
    // Ours: the documented form is read (C takes a word too many).
    (
        "inet6 default via 2001:db8::1 dev eth0",
        "prepend ::/0 via inet6 2001:db8::1 dev eth0 proto 18",
    ),
    (
        "10.3.0.0/16 inet dev eth0",
        "prepend 10.3.0.0/16 dev eth0 proto 18",
    ),
    // Ours: labels, locators and locks are printed as they are written.
    (
        "10.4.0.0/16 dev eth0 encap mpls 16/1048575",
        "prepend 10.4.0.0/16 encap mpls 16/1048575 dev eth0 proto 18",
    ),
    (
        "10.4.0.0/16 dev eth0 encap ila 1:2:3:ffff",
        "prepend 10.4.0.0/16 encap ila 1:2:3:ffff dev eth0 proto 18",
    ),
    (
        "10.4.0.0/16 dev eth0 congctl lock reno",
        "prepend 10.4.0.0/16 dev eth0 proto 18 congctl lock reno",
    ),
    // Names that only the machine can know.
    (
        "10.4.0.0/16 dev eth0 table blue scope here realms a/b",
        "prepend 10.4.0.0/16 dev eth0 table blue proto 18 scope here realms a/b",
    ),
    (
        "10.4.0.0/16 dev eth0 vrf red",
        "prepend 10.4.0.0/16 dev eth0 vrf red proto 18",
    ),
];

#[test]
fn are_printed_as_c_prints_them() {
    for (line, printed) in PRINTED {
        let (route, said, _) = route(line);
        assert_eq!(said, [""; 0], "{line}");
        assert_eq!(route.as_deref(), Some(*printed), "{line}");
    }
}

/// A line that C leaves out, or keeps a part of, and what it says.
const REFUSED: &[(&str, &str)] = &[
    ("bogus dev eth0", "unknown route keyword bogus"),
    (
        "10.5.0.0/16 ttl-propogate enabled dev eth0",
        "unknown route keyword ttl-propogate",
    ),
    (
        "10.8.0.0/16 unreachable dev eth0",
        "unknown route keyword dev",
    ),
    ("dev eth0", "Route must have a destination"),
    ("10.4.0.0/16 src x dev eth0", "invalid route src address x"),
    (
        "10.4.0.0/16 src 192.0.2.1/24 dev eth0",
        "invalid route src address 192.0.2.1/24",
    ),
    ("10.4.0.0/16 via x dev eth0", "invalid route via address x"),
    (
        "10.4.0.0/16 via 2001:db8::1 dev eth0",
        "Cannot mix IPv4 and IPv6 addresses for route",
    ),
    (
        "10.4.0.0/16 via inet 2001:db8::1 dev eth0",
        "Cannot mix IPv4 and IPv6 addresses for route",
    ),
    (
        "10.4.0.0/16 from 10.0.0.0/8 dev eth0",
        "route from address only supported with IPv6 (10.0.0.0/8)",
    ),
    (
        "2001:db8:5::/48 from x dev eth0",
        "invalid route from address x",
    ),
    ("10.5.0.0/16 tos 256 dev eth0", "TOS value 256 is invalid"),
    (
        "10.8.0.0/16 dev eth0 table 100x",
        "Routing table 100x not found for route",
    ),
    (
        "10.5.0.0/16 table 4294967296 dev eth0",
        "Routing table 4294967296 not found for route",
    ),
    (
        "10.5.0.0/16 protocol 256 dev eth0",
        "Protocol 256 not found or invalid for route",
    ),
    (
        "10.8.0.0/16 dev eth0 scope 300",
        "Scope 300 not found or invalid for route",
    ),
    (
        "10.5.0.0/16 metric 10x dev eth0",
        "Invalid metric 10x specified for route",
    ),
    (
        "10.5.0.0/16 expires 10 dev eth0",
        "expires is only valid for IPv6",
    ),
    (
        "2001:db8:5::/48 expires x dev eth0",
        "Invalid expires time x specified for route",
    ),
    (
        "10.5.0.0/16 mtu lock x dev eth0",
        "Invalid MTU x specified for route",
    ),
    (
        "10.8.0.0/16 mtu 5000000000 dev eth0",
        "Invalid MTU 5000000000 specified for route",
    ),
    (
        "10.5.0.0/16 advmss x dev eth0",
        "Invalid advmss x specified for route",
    ),
    (
        "10.5.0.0/16 ssthresh x dev eth0",
        "Invalid ssthresh value x specified for route",
    ),
    ("10.5.0.0/16 rtt 10x dev eth0", "Invalid rtt 10x for route"),
    (
        "10.5.0.0/16 rttvar x dev eth0",
        "Invalid rttvar x for route",
    ),
    (
        "10.5.0.0/16 rto_min 200s dev eth0",
        "Invalid rto_min value 200s specified for route",
    ),
    (
        "10.5.0.0/16 hoplimit 256 dev eth0",
        "Invalid hoplimit 256 specified for route",
    ),
    (
        "10.8.0.0/16 dev eth0 window lock 5",
        "Invalid window value lock specified for route",
    ),
    (
        "10.5.0.0/16 realms 70000 dev eth0",
        "Invalid realms 70000 for route",
    ),
    (
        "2001:db8:5::/48 realms 5 dev eth0",
        "realms are only valid for IPv4",
    ),
    (
        "10.5.0.0/16 quickack on dev eth0",
        "Invalid quickack value on specified for route",
    ),
    (
        "10.5.0.0/16 fastopen_no_cookie 2 dev eth0",
        "Invalid fastopen_no_cookie value 2 specified for route",
    ),
    (
        "10.5.0.0/16 pref low dev eth0",
        "pref is only valid for IPv6",
    ),
    (
        "2001:db8:5::/48 pref 300 dev eth0",
        "Invalid pref value 300 specified for route",
    ),
    (
        "10.7.0.0/16 encap ip id x dev eth0",
        "encap id x value is invalid",
    ),
    (
        "10.7.0.0/16 encap ip6 id x dev eth0",
        "id x value invalid for IPv6 encapsulation",
    ),
    (
        "10.7.0.0/16 encap ip dst x dev eth0",
        "Invalid encap ip dst x",
    ),
    (
        "10.7.0.0/16 encap ip6 dst 10.0.0.1 dev eth0",
        "IPv4 address 10.0.0.1 not valid for ip6 encapsulation",
    ),
    (
        "10.7.0.0/16 encap ip ttl 300 dev eth0",
        "ttl 300 is not valid for ip encapsulation",
    ),
    (
        "10.7.0.0/16 encap ip flags x dev eth0",
        "flags x is not valid for ip encapsulation",
    ),
    (
        "10.7.0.0/16 encap ip flags 1 dev eth0",
        "address or id missing for ip encapsulation",
    ),
    (
        "10.7.0.0/16 encap mpls 100/200/300 dev eth0",
        "invalid mpls address 100/200/300 for encapsulation",
    ),
    (
        "10.7.0.0/16 encap mpls 1048576 dev eth0",
        "invalid mpls address 1048576 for encapsulation",
    ),
    (
        "10.7.0.0/16 encap ila 1:2:3 dev eth0",
        "invalid locator 1:2:3 for ila encapsulation",
    ),
    (
        "10.7.0.0/16 encap bogus dev eth0",
        "Unknown encap type - bogus",
    ),
    (
        "10.6.0.0/16 nexthop via 192.0.2.254 weight 0",
        "Invalid weight 0 specified for route",
    ),
    (
        "10.6.0.0/16 nexthop via 192.0.2.254 weight 257",
        "Invalid weight 257 specified for route",
    ),
    ("10.6.0.0/16 nexthop via x", "invalid nexthop address x"),
    (
        "10.6.0.0/16 nexthop via inet6 2001:db8::1 dev eth0",
        "IPv4/6 mismatch for nexthop",
    ),
    (
        "10.6.0.0/16 nexthop via 2001:db8::1 dev eth0",
        "Address family mismatch for next hop",
    ),
    (
        "10.6.0.0/16 nexthop dev eth0 no_track",
        "Route has trailing nonsense after nexthops - no_track",
    ),
];

#[test]
fn with_a_mistake_are_left_out_with_cs_message() {
    for (line, text) in REFUSED {
        let (route, said, code) = route(line);
        assert_eq!(said, [format!("(Line 7) {text}")], "{line}");
        assert_eq!((route, code), (None, 5), "{line}");
    }
}

/// A line that counts, with what C says of it and what it prints.
const WARNED: &[(&str, &[&str], &str)] = &[
    (
        "default via 192.0.2.254",
        &["Warning - cannot track route default with no interface specified, not tracking"],
        "prepend 0.0.0.0/0 via inet 192.0.2.254 proto 18 no_track",
    ),
    (
        "10.0.0.0/33 dev eth0",
        &["Invalid address prefix len 33 for address 10.0.0.0/33 - using 32"],
        "prepend 10.0.0.0 dev eth0 proto 18",
    ),
    (
        "10.4.0.0/16 gw 192.0.2.254 dev eth0",
        &["\"gw\" for routes is deprecated. Please use \"via\""],
        "prepend 10.4.0.0/16 via inet 192.0.2.254 dev eth0 proto 18",
    ),
    (
        "10.5.0.0/16 protocol static dev eth0",
        &["Route cannot be tracked if protocol is not RTPROT_KEEPALIVED(18), resetting protocol"],
        "prepend 10.5.0.0/16 dev eth0 proto 18",
    ),
    (
        "10.5.0.0/16 features bogus dev eth0",
        &["feature bogus not supported"],
        "prepend 10.5.0.0/16 dev eth0 proto 18",
    ),
    (
        "10.5.0.0/16 ttl-propagate bogus dev eth0",
        &["ttl-propagate value bogus not recognised"],
        "prepend 10.5.0.0/16 dev eth0 proto 18",
    ),
    (
        "10.6.0.0/16 via 192.0.2.254 or 192.0.2.253",
        &[
            "\"or\" for routes is deprecated. Please use \"nexthop\"",
            "Warning - cannot track route 10.6.0.0/16 with no interface specified, not tracking",
        ],
        "prepend 10.6.0.0/16 proto 18 nexthop via inet 192.0.2.254 nexthop via inet 192.0.2.253 \
         no_track",
    ),
    (
        "10.6.0.0/16 as to 10.0.0.1 dev eth0",
        &["\"as to\" for MPLS only - ignoring"],
        "prepend 10.6.0.0/16 dev eth0 proto 18",
    ),
    (
        "10.51.0.0/16 no_track track_group G",
        &["Static route cannot have track group if no oif specified"],
        "prepend 10.51.0.0/16 no_track",
    ),
    (
        "10.51.0.0/16 dev eth0 track_group X",
        &["track_group X not found"],
        "prepend 10.51.0.0/16 dev eth0 proto 18",
    ),
];

#[test]
fn may_count_although_something_is_said() {
    for (line, texts, printed) in WARNED {
        let (route, said, code) = route(line);
        let expected: Vec<String> = texts
            .iter()
            .map(|text| format!("(Line 7) {text}"))
            .collect();
        assert_eq!(said, expected, "{line}");
        assert_eq!((route.as_deref(), code), (Some(*printed), 5), "{line}");
    }
}

#[test]
fn that_are_cut_short_end_c() {
    for line in [
        "10.8.0.0/16 dev eth0 metric",
        "to",
        "10.8.0.0/16 dev eth0 mtu lock",
        "throw",
    ] {
        let (route, said, code) = route(line);
        assert_eq!((route, code), (None, 2), "{line}");
        assert!(
            said[0].starts_with("(Line 7) *** Configuration line starting"),
            "{said:?}"
        );
    }
}

#[test]
fn have_times_that_the_kernel_takes() {
    let (route, said, code) = route("10.4.0.0/16 dev eth0 rtt 0");
    assert_eq!(
        route.as_deref(),
        Some("prepend 10.4.0.0/16 dev eth0 proto 18 rtt 200ms")
    );
    assert_eq!(
        (said.as_slice(), code),
        (
            &["rtt value 0 below minimum 200ms, resetting".to_string()][..],
            0
        )
    );
}

#[test]
fn of_an_instance_follow_no_group() {
    let loaded = parse(&with(
        "virtual_routes {\n10.5.0.0/16 track_group G dev eth0\n}",
    ));
    assert_eq!(
        lines(&loaded)[0],
        "(Line 5) unknown route keyword track_group"
    );
    assert_eq!(loaded.exit_code(), 5);
}

/// A machine with one interface, and without any names of tables and the like.
struct Bare;

impl machine::Machine for Bare {
    fn interface(&self, name: &str) -> Option<machine::Interface> {
        machine::Anywhere.interface(name).filter(|_| name == "e0")
    }

    fn resolves(&self, _: &str) -> bool {
        true
    }

    fn user_exists(&self, _: &model::ScriptUser) -> bool {
        true
    }

    fn knows_routing_name(&self, _: machine::RoutingNames, _: &str) -> bool {
        false
    }

    fn script(
        &self,
        _: &[String],
        _: Option<&model::ScriptUser>,
        _: bool,
    ) -> Vec<machine::ScriptFinding> {
        Vec::new()
    }
}

#[test]
fn that_the_machine_cannot_carry_are_told_and_kept() {
    let text = with(
        "virtual_ipaddress_excluded {\n10.0.0.9/24 dev e9\n}\n\
         virtual_routes {\n10.0.0.0/8 dev e8 table blue\n10.1.0.0/16 dev e0 vrf red table main\n}\n\
         virtual_rules {\niif e7 table blue priority 5\n}",
    );
    let dynamic = format!("{text}global_defs {{\ndynamic_interfaces\n}}\n");
    let said = |text: &str| {
        let files = vec![(PathBuf::from("/k"), text.as_bytes().to_vec())];
        let loaded = load_on(&Bare, &files, Path::new("/k"), &options());
        let anywhere = load(&files, Path::new("/k"), &options());
        assert_eq!(loaded.config, anywhere.config);
        let loud = |found: &&Diagnostic| found.severity == Severity::Warning;
        let findings = loaded.diagnostics.iter().filter(loud);
        findings
            .map(|found| found.as_c_line(&loaded.sources))
            .collect::<Vec<_>>()
    };
    let names = [
        "(Line 8) Routing table blue not found for route",
        "(Line 9) VRF red not found for route",
        "(Line 12) Routing table blue not found for rule",
    ];
    let interfaces = [
        "(Line 5) WARNING - interface e9 for ip address 10.0.0.9/24 doesn't exist",
        "(Line 8) WARNING - interface e8 for VROUTE nexthop doesn't exist",
        "(Line 12) WARNING - interface e7 for rule doesn't exist",
    ];
    assert_eq!(said(&dynamic), names);
    let mut all = [names, interfaces].concat();
    all.push("Non-existent interface specified in configuration");
    assert_eq!(said(&text), all);
}
