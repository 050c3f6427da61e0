//! Lines of routing rules.

use super::*;

const GROUP: &str = "track_group G {\ngroup {\nVI\n}\n}\n";

/// What is said about lines of `static_rules`, and the rules that they make.
#[track_caller]
fn rules(text: &str) -> (Vec<String>, Vec<String>, u8) {
    let loaded = parse(&format!("{GROUP}static_rules {{\n{text}\n}}\n{}", with("")));
    let rules = loaded.config.static_rules.iter().map(ToString::to_string);
    let said = lines(&loaded);
    (rules.collect(), said, loaded.exit_code())
}

/// A line, and what C 2.2.7 prints for it in its dump.
const PRINTED: &[(&str, &str)] = &[
    (
        "from 10.0.0.0/8 table 100 preference 5",
        "from 10.0.0.0/8 priority 5 tos 0x0 protocol 18 lookup 100",
    ),
    (
        "from default table 100 preference 5",
        "from 0.0.0.0/0 priority 5 tos 0x0 protocol 18 lookup 100",
    ),
    (
        "to all table 100 preference 5",
        "from all to 0.0.0.0/0 priority 5 tos 0x0 protocol 18 lookup 100",
    ),
    (
        "lookup main preference 5",
        "from all priority 5 tos 0x0 protocol 18 lookup 254",
    ),
    (
        "table 100 preference 0x10",
        "from all priority 16 tos 0x0 protocol 18 lookup 100",
    ),
    (
        "table 100 order 010",
        "from all priority 8 tos 0x0 protocol 18 lookup 100",
    ),
    (
        "not from 10.1.0.0/16 to 10.2.0.0/16 tos 4 fwmark 5/6 iif eth0 oif eth1 uidrange 1-5 \
         tunnel-id 4 ipproto udp sport 1-2 dport 3-4 suppress_prefixlength 8 suppress_ifgroup 3 \
         realms 1/2 table 50 priority 7",
        "not from 10.1.0.0/16 to 10.2.0.0/16 priority 7 tos 0x4 fwmark 0x5/0x6 iif eth0 oif eth1 \
         suppress_prefixlen 8 suppress_ifgroup 3 tunnel-id 4 uidrange 1-5 protocol 18 ipproto 17 \
         sport 1-2 dport 3-4 realms 1/2 lookup 50",
    ),
    (
        "to 10.2.0.0/16 l3mdev priority 3",
        "from all to 10.2.0.0/16 priority 3 tos 0x0 l3mdev protocol 18 lookup 0",
    ),
    (
        "to 10.2.0.0/16 l3mdev priority 3 protocol 9 no_track",
        "from all to 10.2.0.0/16 priority 3 tos 0x0 l3mdev protocol 9 lookup 0 no_track",
    ),
    (
        "inet6 table 5 priority 99",
        "inet6 from all priority 99 tos 0x0 protocol 18 lookup 5",
    ),
    (
        "goto 5000 priority 9 no_track",
        "from all priority 9 tos 0x0 goto 5000 no_track",
    ),
    (
        "table 5 priority 9 realms 5",
        "from all priority 9 tos 0x0 protocol 18 realms 0/5 lookup 5",
    ),
    (
        "table 5 priority 0 fwmark 0/5",
        "from all priority 0 tos 0x0 fwmark 0x0/0x5 protocol 18 lookup 5",
    ),
    (
        "type blackhole preference 5",
        "from all priority 5 tos 0x0 protocol 18 type blackhole",
    ),
    (
        "nop preference 5",
        "from all priority 5 tos 0x0 protocol 18 nop",
    ),
    (
        "table 100 preference 5 preference 6",
        "from all priority 6 tos 0x0 protocol 18 lookup 100",
    ),
    (
        "from 10.50.0.0/16 table 100 track_group G iif eth0 priority 5",
        "from 10.50.0.0/16 priority 5 tos 0x0 iif eth0 protocol 18 lookup 100 track_group G",
    ),
    // Ours: C takes a word too many behind `inet`, and refuses a single port.
    (
        "inet from 10.0.0.0/8 table 100 preference 5",
        "from 10.0.0.0/8 priority 5 tos 0x0 protocol 18 lookup 100",
    ),
    (
        "table 100 sport 80 preference 5",
        "from all priority 5 tos 0x0 protocol 18 sport 80-80 lookup 100",
    ),
    (
        "inet6 from all table 100 preference 5",
        "from ::/0 priority 5 tos 0x0 protocol 18 lookup 100",
    ),
    // A name that only the machine can know.
    (
        "lookup blue preference 5",
        "from all priority 5 tos 0x0 protocol 18 lookup blue",
    ),
];

#[test]
fn are_printed_as_c_prints_them() {
    for (line, printed) in PRINTED {
        let (rules, said, _) = rules(line);
        assert_eq!(said, [""; 0], "{line}");
        assert_eq!(rules, [*printed], "{line}");
    }
}

/// Lines that are left out. C keeps some of them without the wrong condition.
const REFUSED: &[(&str, &str)] = &[
    (
        "from 10.0.0.0/8 preference 5",
        "No action specified for rule - ignoring",
    ),
    (
        "from x table 100 preference 5",
        "Invalid rule from address x",
    ),
    ("to x table 100 preference 5", "Invalid rule to address x"),
    (
        "from 10.0.0.0/8 to 2001:db8::/32 table 100 preference 5",
        "rule specification has mixed IPv4 and IPv6",
    ),
    ("lookup 0 preference 5", "Table 0 is not valid"),
    ("lookup unspec preference 5", "Table 0 is not valid"),
    (
        "table 100 preference 5x",
        "Invalid rule preference 5x specified",
    ),
    ("table 100 tos 256 preference 5", "TOS value 256 is invalid"),
    (
        "table 100 fwmark 5/x preference 5",
        "Invalid rule fwmark 5/x specified",
    ),
    (
        "table 100 fwmark -5 preference 5",
        "Invalid rule fwmark -5 specified",
    ),
    (
        "from 2001:db8::/32 table 100 realms 1/2 preference 5",
        "realms is only valid for IPv4",
    ),
    (
        "blackhole suppress_prefixlength 8 preference 5",
        "suppressor/realm specified for non table action - skipping",
    ),
    (
        "table 100 tunnel-id -5 preference 5",
        "Invalid tunnel-id -5 specified",
    ),
    (
        "table 100 uidrange 5 preference 5",
        "Invalid uidrange 5 specified",
    ),
    (
        "table 100 uidrange 5-1 preference 5",
        "Invalid uidrange 5-1 specified",
    ),
    (
        "table 100 l3mdev preference 5",
        "Cannot specify l3mdev with other action",
    ),
    (
        "table 100 protocol static preference 5",
        "Invalid protocol static",
    ),
    ("table 100 ipproto 300 preference 5", "Invalid ipproto 300"),
    (
        "table 100 sport 90-80 preference 5",
        "invalid sport range 90-80",
    ),
    (
        "table 100 sport 80-99999 preference 5",
        "invalid sport range 80-99999",
    ),
    ("table 100 dport x preference 5", "invalid dport range x"),
    (
        "goto 5 preference 5",
        "Invalid rule - preference 5 >= goto target 5",
    ),
    ("goto x preference 5", "Invalid target x specified"),
    (
        "goto 10",
        "Invalid rule - goto target 10 specified without preference",
    ),
    ("type bogus preference 5", "Unknown rule option bogus"),
    ("type unicast preference 5", "Invalid rule action unicast"),
    ("nat preference 5", "Invalid rule action nat"),
    (
        "blackhole table 100 preference 5",
        "Cannot specify more than one of table/nop/goto/blackhole/prohibit/unreachable for rule",
    ),
    (
        "table 100 blackhole preference 5",
        "Cannot specify more than one of \
         table/nop/goto/blackhole/prohibit/unreachable/l3mdev for rule",
    ),
    ("bogus preference 5", "Unknown rule option bogus"),
];

#[test]
fn with_a_mistake_are_left_out_with_cs_message() {
    for (line, text) in REFUSED {
        let (rules, said, code) = rules(line);
        assert_eq!(said, [format!("(Line 7) {text}")], "{line}");
        assert_eq!((rules.as_slice(), code), (&[][..], 5), "{line}");
    }
}

#[test]
fn without_a_preference_count_down_for_each_family() {
    let (rules, said, code) = rules(
        "to 10.2.0.0/16 table 300\nbogus\nto 10.3.0.0/16 table 300\nto 2001:db8::/32 table 300",
    );
    let preferences: Vec<&str> = rules
        .iter()
        .filter_map(|rule| rule.split("priority ").nth(1)?.split(' ').next())
        .collect();
    assert_eq!(preferences, ["16384", "16383", "16384"]);
    let text = "Rule has no preference specified - setting to 16383. \
                This is probably not what you want.";
    assert_eq!(said[2], format!("(Line 9) {text}"));
    assert_eq!((said.len(), code), (4, 5));
}

#[test]
fn that_are_tracked_have_the_protocol_of_the_daemon() {
    let (rules, said, code) = rules("table 100 protocol 9 preference 5");
    let text =
        "Rule cannot be tracked if protocol is not RTPROT_KEEPALIVED(18), resetting protocol";
    assert_eq!(said, [format!("(Line 7) {text}")]);
    assert_eq!(
        rules,
        ["from all priority 5 tos 0x0 protocol 18 lookup 100"]
    );
    assert_eq!(code, 5);
}

#[test]
fn follow_a_group_only_with_an_interface() {
    let (rules, said, _) = rules("table 100 track_group G priority 5");
    let text = "Static rule cannot have track_group if dev/iif not specified";
    assert_eq!(said, [format!("(Line 7) {text}")]);
    assert_eq!(
        rules,
        ["from all priority 5 tos 0x0 protocol 18 lookup 100"]
    );
    let loaded = parse(&with(
        "virtual_rules {\ntable 100 track_group G priority 5\n}",
    ));
    assert_eq!(
        lines(&loaded)[0],
        "(Line 5) Unknown rule option track_group"
    );
}

#[test]
fn that_are_cut_short_end_c() {
    let (rules, said, code) = rules("table 100 preference");
    assert!(
        said[0].contains("is missing a parameter after keyword `preference`"),
        "{said:?}"
    );
    assert_eq!((rules.len(), code), (0, 2));
}
