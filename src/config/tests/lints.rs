//! Lints of one file and of two.

use std::net::IpAddr;

use crate::config::lints::{Subject, one_file, pair};
use crate::config::machine::{Anywhere, Interface, Machine, ScriptFinding};
use crate::config::model::ScriptUser;
use crate::config::tree::Statement;

use super::*;

/// `VI` on e0 with these lines, and a script `chk` if it is tracked.
fn node(script: &str, lines: &str) -> String {
    let script = match script {
        "" => String::new(),
        weight => format!("vrrp_script chk {{\nscript /bin/true\nweight {weight}\n}}\n"),
    };
    let track = if script.is_empty() {
        ""
    } else {
        "track_script {\nchk\n}"
    };
    format!(
        "global_defs {{\nenable_script_security\n}}\n{script}vrrp_instance VI {{\ninterface e0\n\
         virtual_router_id 5\n{lines}\n{track}\nvirtual_ipaddress {{\n192.0.2.1/24\n}}\n}}\n"
    )
}

fn read(name: &str, text: &str) -> (Loaded, Vec<Statement>) {
    let files = vec![(PathBuf::from(name), text.as_bytes().to_vec())];
    load_with_statements(&Anywhere, &files, Path::new(name), &options())
}

fn told(found: &[Diagnostic]) -> Vec<String> {
    let line = |found: &Diagnostic| format!("{}: {}", found.code, found.message);
    found.iter().map(line).collect()
}

/// The lints of one file, code and text; reading it must find nothing.
#[track_caller]
fn lints(text: &str) -> Vec<String> {
    let (loaded, statements) = read("a", text);
    assert_eq!(lines(&loaded), [""; 0], "in\n{text}");
    let subject = Subject::new("a".to_string(), &loaded.config, &statements, 0);
    let mut found = Vec::new();
    one_file(&subject, &Anywhere, true, &mut found);
    told(&found)
}

/// The lints of two files, each with its lines as a reader sees them.
#[track_caller]
fn pair_findings(left: &str, right: &str) -> (Vec<Diagnostic>, crate::config::source::Sources) {
    let (one, other) = (read("a", left), read("b", right));
    for loaded in [&one.0, &other.0] {
        let mut said = lines(loaded);
        said.retain(|line| !line.ends_with("does not work yet"));
        assert_eq!(said, [""; 0]);
    }
    let mut sources = one.0.sources.clone();
    let before = sources.len();
    sources.append(&other.0.sources);
    let found = pair(
        &Subject::new("a".to_string(), &one.0.config, &one.1, 0),
        &Subject::new("b".to_string(), &other.0.config, &other.1, before),
    );
    (found, sources)
}

#[track_caller]
fn compared(left: &str, right: &str) -> Vec<String> {
    told(&pair_findings(left, right).0)
}

#[test]
fn a_plain_file_is_clean() {
    assert_eq!(
        lints(&node("", "state BACKUP\npriority 150\nnopreempt")),
        [""; 0]
    );
}

#[test]
fn an_owner_by_accident_is_told() {
    let found = lints(&node("", "state MASTER"));
    assert!(found[0].starts_with("owner-by-state: (VI) `state MASTER` without `priority`"));
    assert_eq!(found.len(), 1);
    assert_eq!(lints(&node("", "state MASTER\npriority 150")), [""; 0]);
    assert_eq!(lints(&node("", "priority 255")), [""; 0]);
}

#[test]
fn a_weight_is_told_with_its_numbers() {
    for (weight, numbers) in [("-2", "from 100 to 98"), ("2", "from 102 to 100")] {
        let found = lints(&node(weight, "priority 100"));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("weight-needs-difference: (VI) a failure of `chk`"));
        assert!(found[0].contains(numbers), "{found:?}");
    }
    assert_eq!(lints(&node("0", "priority 100")), [""; 0]);
}

#[test]
fn a_weight_beyond_the_limits_is_told() {
    let found = lints(&node("50", "priority 250"));
    assert_eq!(found.len(), 1);
    let text = "changes the priority by 4 and not by 50: from 254 to 250";
    assert!(found[0].starts_with("weight-is-limited"), "{found:?}");
    assert!(found[0].ends_with(text), "{found:?}");
    let found = lints(&node("-50", "priority 1"));
    assert!(
        found[0].ends_with("by 0 and not by 50: from 1 to 1"),
        "{found:?}"
    );
    // 1 is below every other node: nothing is lost.
    let found = lints(&node("-50", "priority 40"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("lowers the priority by 39, from 40 to 1"),
        "{found:?}"
    );
}

/// e0 has 192.0.2.7/24, lo nothing.
struct Addressed;

impl Machine for Addressed {
    fn interface(&self, name: &str) -> Option<Interface> {
        Anywhere.interface(name)
    }

    fn networks(&self, name: &str) -> Option<Vec<(IpAddr, u32)>> {
        let own = "192.0.2.7".parse().unwrap();
        Some(if name == "e0" {
            vec![(own, 24)]
        } else {
            Vec::new()
        })
    }

    fn resolves(&self, _: &str) -> bool {
        true
    }

    fn user_exists(&self, _: &ScriptUser) -> bool {
        true
    }

    fn script(&self, _: &[String], _: Option<&ScriptUser>, _: bool) -> Vec<ScriptFinding> {
        Vec::new()
    }
}

#[test]
fn a_missing_prefix_is_told_where_the_network_is_not_known() {
    for (line, is_told) in [
        ("192.0.2.1", false),
        ("192.0.2.7", true),
        ("198.51.100.1", true),
        ("192.0.2.1 dev lo", true),
        ("192.0.2.1/24 dev lo", false),
    ] {
        let text = node("", "").replace("192.0.2.1/24", line);
        let (loaded, statements) = read("a", &text);
        let subject = Subject::new("a".to_string(), &loaded.config, &statements, 0);
        let mut found = Vec::new();
        one_file(&subject, &Addressed, true, &mut found);
        let codes: Vec<&str> = found.iter().map(|found| found.code).collect();
        let expected: &[&str] = if is_told {
            &["vip-without-prefix"]
        } else {
            &[]
        };
        assert_eq!(codes, expected, "{line}");
    }
    let (loaded, statements) = read("a", &node("", "").replace("192.0.2.1/24", "X.X.X.1"));
    let subject = Subject::new("a".to_string(), &loaded.config, &statements, 0);
    let mut found = Vec::new();
    one_file(&subject, &Anywhere, true, &mut found);
    assert_eq!(
        told(&found),
        [""; 0],
        "reading has said that it is no address"
    );
}

#[test]
fn nothing_is_predicted_of_nodes_that_do_not_hear_each_other() {
    for (left, right) in [
        ("advert_int 2", ""),
        ("authentication {\nauth_type PASS\nauth_pass a\n}", ""),
        ("unicast_peer {\n192.0.2.8\n}", ""),
        ("mcast_src_ip 192.0.2.8", "mcast_src_ip 192.0.2.8"),
    ] {
        let found = compared(
            &node("", &format!("priority 150\n{left}")),
            &node("", &format!("priority 100\n{right}")),
        );
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(!found[0].starts_with("who-is-master"), "{found:?}");
    }
}

#[test]
fn a_sync_group_with_contradicting_priorities_is_told_instead_of_predictions() {
    let node = |first: u8, second: u8| {
        let instance = |name: &str, vrid: u8, priority: u8| {
            format!(
                "vrrp_instance {name} {{\ninterface e0\nvirtual_router_id {vrid}\n\
                 priority {priority}\nvirtual_ipaddress {{\n192.0.2.{vrid}/24\n}}\n}}\n"
            )
        };
        let (first, second) = (instance("A", 1, first), instance("B", 2, second));
        format!("vrrp_sync_group G {{\ngroup {{\nA\nB\n}}\n}}\n{first}{second}")
    };
    let found = compared(&node(150, 100), &node(100, 150));
    assert_eq!(
        found,
        [
            "sync-group-split: (G) the instances of this sync group contradict each other: the \
             priority of A is higher in a, that of B in b; who is MASTER depends on who came first"
        ]
    );
    let found = compared(&node(150, 100), &node(100, 90));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found.iter().all(|text| text.starts_with("who-is-master")),
        "{found:?}"
    );
}

#[test]
fn nodes_with_one_source_address_are_told() {
    let unicast = |source: &str| {
        let peers = "unicast_peer {\n192.0.2.8\n192.0.2.9\n}";
        node("", &format!("priority 150\n{source}\n{peers}"))
    };
    let found = compared(
        &unicast("unicast_src_ip 192.0.2.7"),
        &unicast("unicast_src_ip 192.0.2.7"),
    );
    assert_eq!(
        found,
        ["same-source: (VI) both nodes send from 192.0.2.7, which only one of them can have"]
    );
}

#[test]
fn a_prediction_counts_with_delays_and_the_interval_of_the_master() {
    let found = compared(
        &node("", "priority 150\npreempt_delay 30"),
        &node("", "priority 100"),
    );
    assert!(
        found[0].contains("gives them back about 33 s after a came back"),
        "{found:?}"
    );
    let found = compared(
        &node("", "version 3\npriority 150\nadvert_int 2"),
        &node("", "version 3\npriority 100"),
    );
    // 3 * 2 s + 156 * 2 s / 256
    assert!(
        found[1].contains("takes the addresses over within 7.2 s"),
        "{found:?}"
    );
}

#[test]
fn sums_of_weights_are_shown_as_they_are_counted() {
    let found = compared(&node("20", "priority 250"), &node("", "priority 200"));
    let text = "priority 270 - 20 = 250 in a is still above 200 in b";
    assert!(found[0].contains(text), "{found:?}");
    let found = compared(&node("20", "priority 250"), &node("20", "priority 245"));
    let text = "both nodes have priority 254 when all that they track is well";
    assert!(found[0].contains(text), "{found:?}");
}

#[test]
fn nopreempt_and_a_weight_do_not_go_together() {
    let found = lints(&node("-20", "state BACKUP\nnopreempt"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("nopreempt-with-weight: (VI) with `nopreempt` on both nodes"));
    assert_eq!(lints(&node("0", "state BACKUP\nnopreempt")), [""; 0]);
}

#[test]
fn strict_mode_that_drops_packets_is_told_at_its_line() {
    let text = format!(
        "global_defs {{\nvrrp_strict\n}}\n{}",
        node("", "priority 100")
    );
    let (mut loaded, statements) = read("a", &text);
    let lints_of = |config: &Config| {
        let subject = Subject::new("a".to_string(), config, &statements, 0);
        let mut found = Vec::new();
        one_file(&subject, &Anywhere, true, &mut found);
        found
    };
    let mut set = |strict, accept, priority| {
        let mut instance = Instance::clone(&loaded.config.instances[0]);
        (instance.strict, instance.accept) = (strict, accept);
        instance.priority = crate::ids::Priority(priority);
        loaded.config.instances[0] = std::sync::Arc::new(Box::new(instance));
        lints_of(&loaded.config)
    };
    for (strict, accept, priority) in [(false, false, 100), (true, true, 100), (true, false, 255)] {
        assert_eq!(set(strict, accept, priority), []);
    }
    let found = set(true, false, 100);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "strict-vip-unreachable");
    let (again, _) = read("a", &text);
    let place = found[0].span.and_then(|span| again.sources.place(span));
    assert_eq!(place.map(|place| place.text), Some("vrrp_strict"));
}

#[test]
fn unicast_is_looked_at() {
    let lines = "unicast_src_ip 192.0.2.8\nunicast_peer {\n192.0.2.1\n192.0.2.9\n}";
    let found = lints(&node("", lines));
    assert_eq!(
        found,
        [
            "peer-is-virtual: (VI) the peer 192.0.2.1 is one of the virtual addresses",
            "unicast-without-source-check: (VI) adverts of any sender are accepted, not only \
             those of the peers"
        ]
    );
}

#[test]
fn addresses_that_are_no_hosts_are_told() {
    let with = |lines: &str| node("", "").replace("192.0.2.1/24", lines);
    let found = lints(&with(
        "192.0.2.0/24\n192.0.2.255/24\n192.0.2.1/24\n192.0.2.2/31",
    ));
    assert_eq!(
        found,
        [
            "vip-not-a-host: (VI) 192.0.2.0/24 is the address of the network itself, which no \
             node can use",
            "vip-not-a-host: (VI) 192.0.2.255/24 is the broadcast address, which no node can use"
        ]
    );
    let found = lints(&with("192.0.2.1\n192.0.2.2"));
    let text = "vip-without-prefix: (VI) 192.0.2.1 is set as 192.0.2.1/32, and so are 1 more";
    assert_eq!(found, [text]);
}

#[test]
fn more_addresses_than_a_packet_holds_are_told() {
    struct Narrow;
    impl machine::Machine for Narrow {
        fn interface(&self, name: &str) -> Option<machine::Interface> {
            let mtu = 20 + 8 + 8 + 4;
            Anywhere
                .interface(name)
                .map(|one| machine::Interface { mtu, ..one })
        }
        fn resolves(&self, _: &str) -> bool {
            true
        }
        fn user_exists(&self, _: &model::ScriptUser) -> bool {
            true
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
    let text = node("", "").replace("192.0.2.1/24", "192.0.2.1/24\n192.0.2.2/24");
    let (loaded, statements) = read("a", &text);
    let subject = Subject::new("a".to_string(), &loaded.config, &statements, 0);
    let mut found = Vec::new();
    one_file(&subject, &Narrow, true, &mut found);
    let expected = "too-many-addresses: (VI) 2 addresses do not fit into an advert, only 1 do";
    assert_eq!(told(&found), [expected]);
}

#[test]
fn a_good_pair_gets_a_prediction_only() {
    let found = compared(
        &node("0", "state BACKUP\npriority 150\nnopreempt"),
        &node("0", "state BACKUP\npriority 100"),
    );
    assert_eq!(
        found,
        [
            "who-is-master: (VI) a becomes MASTER with priority 150 against 100; if it goes \
             silent, b takes the addresses over within 3.6 s, and keeps them when a comes back"
        ]
    );
}

#[test]
fn weights_of_a_pair_are_worked_out() {
    let told_of = |weight: &str, high: &str, low: &str| {
        let (one, other) = (node(weight, high), node(weight, low));
        let found = compared(&one, &other);
        let swapped = compared(&other, &one);
        assert_eq!(found.len(), swapped.len());
        found
            .into_iter()
            .filter(|line| line.starts_with("weight-cannot-fail-over"))
            .collect::<Vec<_>>()
    };
    let found = told_of("-2", "priority 100", "priority 90");
    assert_eq!(
        found,
        [
            "weight-cannot-fail-over: (VI) a failure of `chk` never moves the addresses: \
             priority 100 - 2 = 98 in a is still above 90 in b"
        ]
    );
    let found = told_of("10", "priority 100", "priority 90");
    assert!(
        found[0].ends_with("110 - 10 = 100 in a is still equal to 100 in b"),
        "{found:?}"
    );
    for (weight, high, low) in [
        ("-11", "priority 100", "priority 90"),
        ("11", "priority 100", "priority 90"),
        ("2", "priority 101", "priority 100"),
        ("0", "priority 200", "priority 1"),
    ] {
        assert_eq!(told_of(weight, high, low), [""; 0], "{weight} {high} {low}");
    }
}

#[test]
fn help_for_a_weight_mends_it() {
    let (found, _) = pair_findings(&node("-2", "priority 100"), &node("-2", "priority 90"));
    assert!(
        found[0].help[0].starts_with("Write a weight of -11,"),
        "{found:?}"
    );
    let (found, _) = pair_findings(&node("2", "priority 100"), &node("2", "priority 90"));
    assert!(
        found[0].help[0].starts_with("Write a weight of 11 on both"),
        "{found:?}"
    );
    let (found, _) = pair_findings(&node("20", "priority 100"), &node("", "priority 90"));
    assert!(found[0].help[0].starts_with("Without the weight the priority must be below 90"));
}

#[test]
fn what_keeps_a_pair_apart_is_told() {
    let plain = |lines: &str| node("", &format!("{lines}\npriority 100"));
    let other = node("", "priority 90");
    for (one, other, code) in [
        (
            plain("advert_int 2"),
            other.clone(),
            "advert-interval-differs",
        ),
        (
            plain("authentication {\nauth_type PASS\nauth_pass a\n}"),
            other.clone(),
            "authentication-differs",
        ),
        (
            plain("authentication {\nauth_type PASS\nauth_pass a\n}"),
            node(
                "",
                "priority 90\nauthentication {\nauth_type PASS\nauth_pass b\n}",
            ),
            "authentication-differs",
        ),
        (
            plain("").replace("192.0.2.1/24", "192.0.2.3/24"),
            other.clone(),
            "virtual-addresses-differ",
        ),
        (
            plain("unicast_peer {\n192.0.2.9\n}"),
            other.clone(),
            "unicast-differs",
        ),
        (
            plain("unicast_src_ip 192.0.2.8\nunicast_peer {\n192.0.2.9\n}"),
            node(
                "",
                "priority 90\nunicast_src_ip 192.0.2.9\nunicast_peer {\n192.0.2.7\n}",
            ),
            "unicast-differs",
        ),
        (plain(""), other.replace("id 5", "id 6"), "vrid-differs"),
        (plain(""), node("", "priority 100"), "equal-priorities"),
        (
            plain(""),
            node("", "state MASTER\npriority 90"),
            "master-is-not-highest",
        ),
        (
            plain(""),
            node("", "nopreempt\npriority 90"),
            "nopreempt-on-lower",
        ),
    ] {
        let found = compared(&one, &other);
        let matching = found.iter().filter(|line| line.starts_with(code));
        assert_eq!(matching.count(), 1, "{code}: {found:?}");
        let loud = found
            .iter()
            .filter(|line| !line.starts_with("who-is-master"));
        assert_eq!(loud.count(), 1, "{code}: {found:?}");
        assert!(!found.concat().contains("auth_pass"));
    }
}

#[test]
fn the_same_password_and_mirrored_peers_are_fine() {
    let one = "priority 100\nunicast_src_ip 192.0.2.8\nunicast_peer {\n192.0.2.9\n}\n\
               authentication {\nauth_type PASS\nauth_pass a\n}";
    let other = "priority 90\nunicast_src_ip 192.0.2.9\nunicast_peer {\n192.0.2.8\n}\n\
                 authentication {\nauth_type PASS\nauth_pass a\n}";
    let found = compared(&node("", one), &node("", other));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("who-is-master"));
}

#[test]
fn routers_are_matched_by_number_before_name() {
    let two = |numbers: [u8; 2], priority: u8| -> String {
        let block = |name: &str, number: u8, host: u8| {
            format!(
                "vrrp_instance {name} {{\ninterface e0\nvirtual_router_id {number}\n\
                 priority {priority}\nvirtual_ipaddress {{\n192.0.2.{host}/24\n}}\n}}\n"
            )
        };
        block("A", numbers[0], 1) + &block("B", numbers[1], 2)
    };
    let found = compared(&two([1, 2], 100), &two([1, 2], 90));
    assert_eq!(found.len(), 2, "{found:?}");
    let found = compared(&two([1, 2], 100), &two([1, 3], 90));
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("vrid-differs: (B)")),
        "{found:?}"
    );
    let both = two([1, 2], 90);
    let single = both.split("vrrp_instance B").next().unwrap();
    let found = compared(&two([1, 2], 100), single);
    let text = "no-counterpart: (B) virtual router 2 (IPv4) of a is not in b";
    assert!(found.iter().any(|line| line == text), "{found:?}");
}

#[test]
fn places_of_both_files_are_shown() {
    let (found, sources) = pair_findings(&node("", "priority 100"), &node("", "priority 100"));
    let shown = found[0].as_snippet(&sources);
    assert!(shown.contains("--> a:7:1"), "{shown}");
    assert!(
        shown.contains("note: the other node\n --> b:7:1"),
        "{shown}"
    );
}

/// In every block a word with a slip of the pen gets the right word as advice.
#[test]
fn misspelt_words_find_their_neighbour_in_every_block() {
    let vocabulary = Vocabulary::shared();
    let rows = crate::config::keywords::rows();
    let mut wrong = Vec::new();
    for row in &rows {
        let slip = format!("{}x", row.name);
        let advice = vocabulary.advice(row.block, &slip).join(" ");
        let is_known = rows.iter().any(|other| other.name == slip);
        if !is_known && advice != format!("Did you mean `{}`?", row.name) {
            wrong.push(format!("{}/{slip}: {advice}", row.block));
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(rows.len() > 250);
}

/// In every other block the advice names the block that a word belongs to.
#[test]
fn misplaced_words_are_sent_to_their_block() {
    let vocabulary = Vocabulary::shared();
    for row in crate::config::keywords::rows() {
        let advice = vocabulary.advice("no such block", row.name).join(" ");
        let start = format!("`{}` belongs ", row.name);
        assert!(advice.starts_with(&start), "{}: {advice}", row.name);
    }
    let advice = vocabulary.advice("vrrp_instance", "weight").join(" ");
    let blocks = ["`vrrp_script`", "`track_file`", "`virtual_server` or"];
    assert!(
        blocks.iter().all(|block| advice.contains(block)),
        "{advice}"
    );
}

#[test]
fn mixed_families_get_the_form_with_two_instances_once() {
    let text = node("", "priority 100").replace(
        "192.0.2.1/24",
        "192.0.2.1/24\n2001:db8::1/64\n2001:db8::2/64 no_track",
    );
    let (loaded, statements) = read("a", &text);
    let subject = Subject::new("a".to_string(), &loaded.config, &statements, 0);
    let mut found = loaded.diagnostics.clone();
    let before = found.len();
    one_file(&subject, &Anywhere, true, &mut found);
    assert_eq!(
        found.len(),
        before,
        "reading has said it: {:?}",
        told(&found)
    );
    let with_form: Vec<&Diagnostic> = found
        .iter()
        .filter(|one| {
            one.help
                .iter()
                .any(|help| help.contains("vrrp_instance VI_v6 {"))
        })
        .collect();
    let [one] = with_form.as_slice() else {
        panic!("{with_form:?}");
    };
    assert!(one.message.contains("address family must match"));
    let shown = one.as_snippet(&loaded.sources);
    for line in [
        "       vrrp_instance VI {",
        "               2001:db8::2/64 no_track",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{shown}");
    }
}

#[test]
fn a_weight_against_nopreempt_is_told_for_the_node_it_concerns() {
    let high = node("-60", "priority 150\nnopreempt");
    let found = compared(&high, &node("-60", "priority 100"));
    assert_eq!(found.len(), 2, "{found:?}");
    let start = "nopreempt-with-weight: (VI) while b is MASTER, a failure of `chk` moves nothing";
    assert!(found[0].starts_with(start), "{found:?}");
    assert!(found[0].ends_with("a has `nopreempt` and does not take over from a live MASTER"));
    let both = compared(&high, &node("-60", "priority 100\nnopreempt"));
    let count = both
        .iter()
        .filter(|line| line.starts_with("nopreempt-with-weight"));
    assert_eq!(count.count(), 2, "{both:?}");
    let one_is_enough = [compared(&high, &node("", "priority 100"))];
    assert_eq!(one_is_enough.concat().len(), 1, "b tracks nothing");
}
