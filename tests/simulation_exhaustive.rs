//! Every order of deliver, drop and time out for two nodes, to a small depth: almost
//! 9,000 ways. Whatever the order, each turn is right, and the two agree in the
//! end. `SIMULATION_DEPTH=2` goes two steps deeper, which takes six times as long.

#![expect(clippy::disallowed_macros, reason = "a test says how much it did")]

use std::env;

use keepalived_rs::simulation::explorer::{Beginning, explore};
use keepalived_rs::time::Interval;

/// From where, how many steps, and how many ways there are at least: fewer would
/// mean that something is not gone through any more.
const CASES: [(Beginning, usize, u64); 3] = [
    (Beginning::Start, 6, 80),
    (Beginning::Rest, 8, 100),
    (Beginning::Apart, 6, 190),
];

#[track_caller]
fn each(texts: &[String; 2]) {
    let deeper = env::var("SIMULATION_DEPTH").map_or(0, |text| text.parse().expect("a number"));
    let rest = Interval::from_secs(10);
    for (beginning, depth, least) in CASES {
        let depth = depth + deeper;
        match explore([&texts[0], &texts[1]], beginning, rest, depth) {
            Ok(explored) => {
                println!("{beginning:?}, depth {depth}: {explored:?}");
                assert!(explored.ways >= least, "{beginning:?}: {explored:?}");
            }
            Err(report) => panic!("{report}"),
        }
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

#[test]
fn a_higher_and_a_lower_one() {
    each(&pair([150, 100], ""));
}

#[test]
fn two_equal_ones() {
    each(&pair([100, 100], ""));
}

#[test]
fn a_higher_one_that_does_not_preempt() {
    each(&pair([100, 150], "nopreempt"));
}

#[test]
fn a_higher_one_that_waits_before_it_preempts() {
    each(&pair([100, 150], "preempt_delay 2"));
}

#[test]
fn an_owner() {
    each(&pair([255, 100], ""));
}

#[test]
fn two_intervals_of_version_3() {
    let words = ["version 3\n advert_int 1", "version 3\n advert_int 0.5"];
    let texts = [
        instance(1, "eth0", 150, words[0]),
        instance(1, "eth0", 100, words[1]),
    ];
    each(&texts);
}

#[test]
fn words_that_change_who_answers() {
    let words = "lower_prio_no_advert\n higher_prio_send_advert\n down_timer_adverts 2";
    each(&pair([150, 100], words));
}

#[test]
fn signed_adverts() {
    let words = "authentication {\n auth_type AH\n auth_pass secret\n }";
    each(&pair([150, 100], words));
}

#[test]
fn a_sync_group_on_two_wires() {
    let texts = [150, 100].map(|priority| {
        let members = [(1, "eth0"), (2, "eth1")];
        let members = members.map(|(number, interface)| instance(number, interface, priority, ""));
        let group = "vrrp_sync_group G {\n group {\n VI_1\n VI_2\n }\n}\n";
        format!("{}{group}", members.concat())
    });
    each(&texts);
}
