//! Every order of deliver, drop and time out for two nodes, to a small depth.
//! Whatever the order, each turn is right, and the two agree in the end.

use keepalived_rs::simulation::explorer::{Beginning, explore};
use keepalived_rs::time::Interval;

/// What each case goes through, and how deep. The number of ways is part of the
/// expectation: fewer would mean that something is not gone through any more.
#[track_caller]
fn all_ways(texts: [&str; 2], beginning: Beginning, (depth, ways): (usize, u64)) {
    let rest = Interval::from_secs(15);
    match explore(texts, beginning, rest, depth) {
        Ok(explored) => {
            println!("{beginning:?}, depth {depth}: {explored:?}");
            assert!(explored.ways >= ways, "{explored:?}");
        }
        Err(report) => panic!("{report}"),
    }
}

fn instance(number: u32, interface: &str, priority: u32, words: &str) -> String {
    format!(
        "vrrp_instance VI_{number} {{\n interface {interface}\n virtual_router_id {number}\n \
         priority {priority}\n garp_master_delay 0\n {words}\n \
         virtual_ipaddress {{\n 10.0.0.{number}0/24\n }}\n}}\n"
    )
}

fn pair(priorities: [u32; 2], words: &str) -> [String; 2] {
    priorities.map(|priority| instance(1, "eth0", priority, words))
}

fn each(texts: &[String; 2], cases: [(Beginning, usize, u64); 3]) {
    for (beginning, depth, ways) in cases {
        all_ways([&texts[0], &texts[1]], beginning, (depth, ways));
    }
}

const CASES: [(Beginning, usize, u64); 3] = [
    (Beginning::Start, 6, 1),
    (Beginning::Rest, 6, 1),
    (Beginning::Apart, 6, 1),
];

#[test]
fn a_higher_and_a_lower_one() {
    each(&pair([150, 100], ""), CASES);
}

#[test]
fn two_equal_ones() {
    each(&pair([100, 100], ""), CASES);
}

#[test]
fn a_higher_one_that_does_not_preempt() {
    each(&pair([100, 150], "nopreempt"), CASES);
}

#[test]
fn a_higher_one_that_waits_before_it_preempts() {
    each(&pair([100, 150], "preempt_delay 2"), CASES);
}

#[test]
fn an_owner() {
    each(&pair([255, 100], ""), CASES);
}

#[test]
fn two_intervals_of_version_3() {
    let words = ["version 3\n advert_int 1", "version 3\n advert_int 0.5"];
    let texts = [
        instance(1, "eth0", 150, words[0]),
        instance(1, "eth0", 100, words[1]),
    ];
    each(&texts, CASES);
}

#[test]
fn words_that_change_who_answers() {
    let words = "lower_prio_no_advert\n higher_prio_send_advert\n down_timer_adverts 2";
    each(&pair([150, 100], words), CASES);
}

#[test]
fn signed_adverts() {
    let words = "authentication {\n auth_type AH\n auth_pass secret\n }";
    each(&pair([150, 100], words), CASES);
}

#[test]
fn a_sync_group_on_two_wires() {
    let texts = [150, 100].map(|priority| {
        let members = [(1, "eth0"), (2, "eth1")];
        let members = members.map(|(number, interface)| instance(number, interface, priority, ""));
        let group = "vrrp_sync_group G {\n group {\n VI_1\n VI_2\n }\n}\n";
        format!("{}{group}", members.concat())
    });
    each(&texts, CASES);
}
