//! Lines of addresses, and the groups that static ones follow.

use super::*;

const GROUP: &str = "track_group G {\ngroup {\nVI\n}\n}\n";

/// What is said about the lines of a block behind [`GROUP`], without the refusal
/// of what does not work yet; line 7 is the first.
fn said(block: &str, text: &str) -> (Loaded, Vec<String>) {
    let loaded = parse(&format!("{GROUP}{block} {{\n{text}\n}}\n{}", with("")));
    let said = lines(&loaded)
        .into_iter()
        .filter(|line| !line.contains("does not work yet"))
        .collect();
    (loaded, said)
}

/// What C 2.2.7 prints in its dump for each line.
const PRINTED: &[(&str, &str)] = &[
    ("192.0.2.1/33", "192.0.2.1 dev eth0 scope global"),
    ("192.0.2.2/24 scope 17", "192.0.2.2/24 dev eth0 scope 17"),
    (
        "192.0.2.3/24 brd +",
        "192.0.2.3/24 brd 192.0.2.255 dev eth0 scope global",
    ),
    (
        "192.0.2.4/24 brd + brd -",
        "192.0.2.4/24 brd 192.0.2.0 dev eth0 scope global",
    ),
    (
        "192.0.2.5/24 label eth0:aaaaaaaaaa",
        "192.0.2.5/24 dev eth0 scope global label eth0:aaaaaaaaaa",
    ),
    (
        "192.0.2.6/24 peer 192.0.2.100",
        "192.0.2.6 dev eth0 scope global peer 192.0.2.100/32",
    ),
    (
        "192.0.2.7/24 brd + peer 192.0.2.1",
        "192.0.2.7 dev eth0 scope global peer 192.0.2.1/32",
    ),
    ("192.0.2.8 peer x", "192.0.2.8 dev eth0 scope global"),
    (
        "192.0.2.9/24 scope host scope link",
        "192.0.2.9/24 dev eth0 scope link",
    ),
    (
        "192.0.2.50/24 dev e1 brd + label e1:1 noprefixroute home -nodad mngtmpaddr autojoin no_track",
        "192.0.2.50/24 brd 192.0.2.255 dev e1 scope global label e1:1 home -nodad mngtmpaddr \
         noprefixroute autojoin no_track",
    ),
    (
        "192.0.2.51/24 dev e1 track_group G scope link",
        "192.0.2.51/24 dev e1 scope link track_group G",
    ),
    (
        "2001:db8::1/33",
        "2001:db8::1/33 dev eth0 scope global preferred_lft forever",
    ),
    (
        "2001:db8::4",
        "2001:db8::4 dev eth0 scope global deprecated",
    ),
    (
        "2001:db8::10/24 scope 17",
        "2001:db8::10/24 dev eth0 scope global preferred_lft forever",
    ),
    (
        "2001:db8::18/24 peer 2001:db8::100",
        "2001:db8::18 dev eth0 scope global peer 2001:db8::100/128 deprecated",
    ),
    (
        "2001:db8::27 preferred_lft 10",
        "2001:db8::27 dev eth0 scope global preferred_lft 10",
    ),
    (
        "2001:db8::28 preferred_lft forever",
        "2001:db8::28 dev eth0 scope global preferred_lft forever",
    ),
    (
        "2001:db8::1 dev e1 home -nodad mngtmpaddr autojoin noprefixroute track_group G preferred_lft 5",
        "2001:db8::1 dev e1 scope global home -nodad mngtmpaddr noprefixroute autojoin \
         track_group G preferred_lft 5",
    ),
];

#[test]
fn are_printed_as_c_prints_them() {
    for (line, printed) in PRINTED {
        let (loaded, _) = said("static_ipaddress", line);
        let [address] = loaded.config.static_addresses.as_slice() else {
            panic!("{line}: {:?}", loaded.config.static_addresses)
        };
        assert_eq!(address.as_c(false), *printed, "{line}");
        assert_eq!(address.as_c(true), format!("{printed} set"), "{line}");
    }
}

/// A line, what C says of it, and whether the address is there all the same.
const SAID: &[(&str, &str, bool)] = &[
    (
        "192.0.2.300",
        "VRRP parsed invalid IP 192.0.2.300. skipping IP...",
        false,
    ),
    (
        "192.0.2.2/x",
        "Invalid address prefix len x for address 192.0.2.2/x - using 32",
        true,
    ),
    (
        "192.0.2.2/",
        "Invalid address prefix len  for address 192.0.2.2/ - using 32",
        true,
    ),
    (
        "2001:db8::2/x",
        "Invalid address prefix len x for address 2001:db8::2/x - using 128",
        true,
    ),
    (
        "192.0.2.5/24 dev",
        "No dev parameter specified for 192.0.2.5/24",
        false,
    ),
    (
        "192.0.2.7/24 dev e0 dev e1",
        "Cannot specify ipaddress device more than once for 192.0.2.7/24",
        false,
    ),
    (
        "192.0.2.8/24 scope bogus",
        "Invalid scope 'bogus' specified for 192.0.2.8/24 - ignoring",
        true,
    ),
    (
        "192.0.2.9/24 scope 256",
        "Invalid scope '256' specified for 192.0.2.9/24 - ignoring",
        true,
    ),
    (
        "192.0.2.12/31 brd +",
        "Address prefix length 31 too long for broadcast",
        true,
    ),
    (
        "192.0.2.14/24 brd x",
        "VRRP is trying to assign invalid broadcast x. skipping VIP...",
        false,
    ),
    (
        "2001:db8::11/24 brd +",
        "VRRP is trying to assign a broadcast brd to the IPv6 address 2001:db8::11/24 !!?? WTF... \
         skipping VIP...",
        false,
    ),
    (
        "192.0.2.16/24 label aaaaaaaaaaaaaaaa",
        "Address label aaaaaaaaaaaaaaaa is longer than maximum length 15 - removing address",
        false,
    ),
    (
        "2001:db8::17/24 label eth0:1",
        "Cannot specify label for IPv6 addresses (2001:db8::17/24) - ignoring label",
        true,
    ),
    (
        "2001:db8::10/24 scope link",
        "Cannot specify scope for IPv6 addresses (2001:db8::10/24) - ignoring scope",
        true,
    ),
    (
        "192.0.2.18/24 peer 192.0.2.100",
        "Cannot specify address prefix when specifying peer address - ignoring",
        true,
    ),
    (
        "192.0.2.19 peer 192.0.2.100/24",
        "Invalid peer address 192.0.2.100/24",
        true,
    ),
    (
        "192.0.2.21 peer 2001:db8::1",
        "Peer address 2001:db8::1 does not match address family",
        true,
    ),
    (
        "192.0.2.42 peer 192.0.2.1 brd 192.0.2.255",
        "Cannot specify broadcast and peer addresses - ignoring broadcast address",
        true,
    ),
    (
        "192.0.2.29 preferred_lft x",
        "preferred_lft x is invalid",
        true,
    ),
    (
        "192.0.2.31 preferred_lft 4294967296",
        "preferred_lft 4294967296 is invalid",
        true,
    ),
    (
        "192.0.2.32 bogus",
        "Unknown configuration entry 'bogus' for ip address - ignoring",
        true,
    ),
    (
        "192.0.2.34 use_vmac",
        "Unknown configuration entry 'use_vmac' for ip address - ignoring",
        true,
    ),
    ("192.0.2.33 track_group X", "track_group X not found", true),
    (
        "192.0.2.33 track_group G track_group G",
        "track_group G is a duplicate",
        true,
    ),
    (
        "192.0.2.40 track_group",
        "No track_group parameter specified for 192.0.2.40",
        false,
    ),
];

#[test]
fn that_are_wrong_have_cs_messages() {
    for (line, text, is_there) in SAID {
        let (loaded, said) = said("static_ipaddress", line);
        assert_eq!(said, [format!("(Line 7) {text}")], "{line}");
        assert_eq!(
            loaded.config.static_addresses.len(),
            usize::from(*is_there),
            "{line}"
        );
        assert_eq!(loaded.exit_code(), 5, "{line}");
    }
}

#[test]
fn of_an_instance_follow_no_group_and_do_not_change_the_exit_code() {
    let loaded = parse(&with(
        "virtual_ipaddress_excluded {\n10.0.0.1 track_group\n}",
    ));
    assert_eq!(
        lines(&loaded).first().map(String::as_str),
        Some("(Line 5) Unknown configuration entry 'track_group' for ip address - ignoring")
    );
    for (more, usable) in [
        (
            "virtual_ipaddress_excluded {\n10.0.0.1\n2001:db8::1\n}",
            true,
        ),
        ("virtual_ipaddress {\n10.0.0.1 use_vmac\n}", true),
    ] {
        let loaded = parse(&with(more));
        assert_eq!(
            (loaded.exit_code(), loaded.is_usable()),
            (0, usable),
            "{more}"
        );
    }
}

#[test]
fn groups_have_a_name_and_members() {
    for (text, expected) in [
        (
            "track_group {\ngroup {\nVI\n}\n}",
            "(Line 1) track_group must have a name - skipping",
        ),
        (
            "track_group G {\ngroup {\n}\n}",
            "(Line 2) Warning - track group G has empty group block",
        ),
        (
            "track_group G {\ngroup {\nVI\n}\ngroup {\nVI\n}\n}",
            "(Line 5) Group list already specified for sync group G",
        ),
        (
            "track_group G {\ngroup {\nVI\n}\n}\ntrack_group G {\ngroup {\nVI\n}\n}",
            "(Line 6) track_group G already defined",
        ),
    ] {
        let loaded = parse(&format!("{text}\n{}", with("")));
        assert_eq!(lines(&loaded), [expected], "{text}");
        assert_eq!(loaded.exit_code(), 5, "{text}");
    }
    let loaded = parse(&format!(
        "track_group G {{\ngroup {{\nVI VI\nX\n}}\n}}\n{}",
        with("")
    ));
    assert_eq!(
        lines(&loaded),
        ["vrrp instance X specified in track group G doesn't exist - ignoring"]
    );
    assert_eq!(loaded.exit_code(), 0);
    assert_eq!(loaded.config.track_groups[0].instances, ["VI"]);
}

mod addresses {
    use super::*;

    fn addresses(lines: &str) -> (Vec<model::VirtualAddress>, Vec<String>) {
        let (instance, said) = instance(&format!("virtual_ipaddress {{\n{lines}\n}}"));
        let mut addresses = instance.virtual_addresses;
        addresses.pop();
        (addresses, said)
    }

    #[test]
    fn have_options_in_any_order() {
        let (found, said) = addresses(
            "10.0.0.1/24 brd + dev e1 label e1:vip scope link no_track noprefixroute\n\
             10.0.0.2/16 broadcast -\n10.0.0.3 peer 10.0.0.4\n10.0.0.5/8 brd 10.9.9.9",
        );
        assert_eq!(said, [""; 0]);
        let [first, second, third, fourth] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(
            (first.to_string().as_str(), &*first.interface),
            ("10.0.0.1/24", "e1")
        );
        assert_eq!(first.broadcast.unwrap().to_string(), "10.0.0.255");
        assert_eq!((first.label.as_deref(), first.scope), (Some("e1:vip"), 253));
        assert!(first.no_track && first.no_prefix_route);
        assert_eq!(second.broadcast.unwrap().to_string(), "10.0.0.0");
        assert_eq!(&*second.interface, "e0");
        assert_eq!(
            (
                third.peer.unwrap().to_string().as_str(),
                third.prefix_length
            ),
            ("10.0.0.4", 32)
        );
        assert_eq!(fourth.broadcast.unwrap().to_string(), "10.9.9.9");
    }

    #[test]
    fn that_are_wrong_are_told_as_c_tells_them() {
        let (found, said) = addresses(
            "10.0.0.1/33\n10.0.0.1\n10.0.0.2 label\n10.0.0.3 foo\n10.0.0.4 scope bar\n\
             10.0.0.300\n10.0.0.5 label aaaaaaaaaaaaaaaaaaaaaaaaa\n10.0.0.6/31 brd +\n\
             10.0.0.7/24 peer 10.0.0.9",
        );
        assert_eq!(
            said,
            [
                "(Line 5) Invalid address prefix len 33 for address 10.0.0.1/33 - using 32",
                "(Line 7) No label parameter specified for 10.0.0.2",
                "(Line 8) Unknown configuration entry 'foo' for ip address - ignoring",
                "(Line 9) Invalid scope 'bar' specified for 10.0.0.4 - ignoring",
                "(Line 10) VRRP parsed invalid IP 10.0.0.300. skipping IP...",
                "(Line 11) Address label aaaaaaaaaaaaaaaaaaaaaaaaa is longer than maximum length \
                 15 - removing address",
                "(Line 12) Address prefix length 31 too long for broadcast",
                "(Line 13) Cannot specify address prefix when specifying peer address - ignoring",
                "(Line 6) (VI): VIP duplicates a VIP 10.0.0.1 - ignoring",
            ]
        );
        assert_eq!(found.len(), 5);
    }

    #[test]
    fn none_at_all_is_only_a_warning() {
        let loaded = parse("vrrp_instance VI {\ninterface e0\nvirtual_router_id 5\n}");
        assert_eq!(
            lines(&loaded),
            ["(VI) No VIP specified; at least one is sensible"]
        );
        assert_eq!((loaded.exit_code(), loaded.is_usable()), (5, true));
        clean("vrrp_instance VI {\ninterface e0\nvirtual_router_id 5\nno_virtual_ipaddress\n}");
    }
}
