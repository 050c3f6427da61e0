//! Routes and rules of an instance, and what is static: when they go in and out
//! (specification F.5, F.9, C.4).

use keepalived_rs::config::model::{Config, Family, Instance, Prefix, Route, Rule, RuleAction};
use keepalived_rs::ids::Errno;
use keepalived_rs::vrrp::action::Operation;
use keepalived_rs::vrrp::event::{Event, LostWay};
use keepalived_rs::vrrp::state_machine::State;

use crate::DOWN_150;
use crate::world::{Node, VIP, Wire, config, instance, vip};

fn prefix(second: u8) -> Prefix {
    Prefix {
        address: [10, second, 0, 0].into(),
        length: 16,
    }
}

fn route(second: u8) -> Route {
    let mut route = Route::new(prefix(second));
    route.interface = Some("eth0".into());
    route
}

fn with_ways() -> Instance {
    let mut instance = instance(150);
    instance.virtual_routes = vec![route(1), route(2)];
    instance.virtual_rules = vec![Rule::new(9, RuleAction::Nop)];
    instance
}

/// The kernel's requests since `from`, with what each is about.
fn requests(wire: &Wire, from: usize) -> Vec<String> {
    let operations = wire[0].operations[from..].iter();
    operations
        .map(|it| {
            let what = it.to_string();
            let what = what.split(" dev").next().unwrap_or_default().to_owned();
            format!("{} {what}", it.request().0)
        })
        .collect()
}

fn master(config: Config) -> Wire {
    let mut wire = Wire::new([Node::with(1, config)]);
    wire.start();
    wire.run_until(DOWN_150 + 100_000);
    assert_eq!(wire[0].state(), State::Master);
    wire
}

#[test]
fn f5_routes_follow_the_addresses_and_go_before_them() {
    let mut wire = master(config([with_ways()]));
    // What an earlier run may have left comes first.
    let leftovers = requests(&wire, 0).len() - 4;
    assert_eq!(
        requests(&wire, leftovers),
        [
            format!("RTM_NEWADDR address {VIP}/24"),
            "RTM_NEWROUTE route prepend 10.1.0.0/16".into(),
            "RTM_NEWROUTE route prepend 10.2.0.0/16".into(),
            "RTM_NEWRULE rule from all priority 9 tos 0x0 nop".into(),
        ]
    );
    let before = wire[0].operations.len();
    wire.stop(0);
    wire.run_until(DOWN_150 + 200_000);
    assert_eq!(
        requests(&wire, before),
        [
            "RTM_DELRULE rule from all priority 9 tos 0x0 nop".into(),
            "RTM_DELROUTE route prepend 10.1.0.0/16".into(),
            "RTM_DELROUTE route prepend 10.2.0.0/16".into(),
            format!("RTM_DELADDR address {VIP}/24"),
        ]
    );
    assert!(wire[0].stopped);
}

#[test]
fn a_reload_leaves_the_routes_alone_that_stay() {
    let mut wire = master(config([with_ways()]));
    let before = wire[0].operations.len();
    let mut changed = with_ways();
    changed.virtual_routes = vec![route(2), route(3)];
    wire.reload(0, config([changed.clone()]));
    assert_eq!(
        requests(&wire, before),
        [
            "RTM_DELROUTE route prepend 10.1.0.0/16",
            "RTM_NEWROUTE route prepend 10.3.0.0/16"
        ]
    );
    assert_eq!(wire[0].state(), State::Master);
    // A default route goes on through a reload that only touches the addresses.
    let before = wire[0].operations.len();
    changed.virtual_addresses.push(vip([10, 0, 9, 9]));
    wire.reload(0, config([changed]));
    let done = requests(&wire, before);
    assert!(done.iter().all(|it| !it.starts_with("RTM_DEL")), "{done:?}");
}

#[test]
fn what_somebody_takes_out_is_put_back() {
    let mut with_untracked = with_ways();
    with_untracked.virtual_routes[1].no_track = true;
    let mut wire = master(config([with_untracked]));
    let before = wire[0].operations.len();
    let lost = |second| LostWay::Route {
        destination: prefix(second),
        metric: 0,
    };
    wire.feed(0, Event::WayRemoved(lost(1)));
    wire.feed(0, Event::WayRemoved(lost(2)));
    let rule = LostWay::Rule {
        family: Family::Inet,
        preference: 9,
    };
    wire.feed(0, Event::WayRemoved(rule));
    assert_eq!(
        requests(&wire, before),
        [
            "RTM_NEWROUTE route prepend 10.1.0.0/16",
            "RTM_NEWRULE rule from all priority 9 tos 0x0 nop"
        ]
    );
    assert!(wire[0].logged("removed, not by us - putting it back"));
    assert_eq!(wire[0].state(), State::Master);
}

#[test]
fn what_is_static_does_not_follow_the_instances() {
    let mut both = config([instance(150)]);
    both.static_routes = vec![route(7)];
    let mut wire = Wire::new([Node::with(1, both.clone())]);
    wire.start();
    assert_eq!(
        requests(&wire, 0),
        ["RTM_NEWROUTE route prepend 10.7.0.0/16"]
    );
    let before = wire[0].operations.len();
    both.static_routes = vec![route(8)];
    wire.reload(0, both);
    assert_eq!(
        requests(&wire, before),
        [
            "RTM_DELROUTE route prepend 10.7.0.0/16",
            "RTM_NEWROUTE route prepend 10.8.0.0/16"
        ]
    );
    let before = wire[0].operations.len();
    wire.stop(0);
    let last = requests(&wire, before);
    assert_eq!(
        last.last().map(String::as_str),
        Some("RTM_DELROUTE route prepend 10.8.0.0/16")
    );
}

#[test]
fn a_refusal_names_what_was_refused() {
    let operation = Operation::AddRoute(Box::new(route(1)));
    let line = keepalived_rs::vrrp::log_lines::LogLine::refused(&operation, Errno(101));
    assert_eq!(
        line.to_string(),
        "Netlink: error: Network is unreachable(101), type=RTM_NEWROUTE(24) - route prepend \
         10.1.0.0/16 dev eth0"
    );
}

/// With an address the kernel drops the routes that have it as their source, and does
/// not say so.
#[test]
fn with_an_address_the_routes_are_put_back() {
    let mut wire = master(config([with_ways()]));
    let before = wire[0].operations.len();
    wire.remove_vip(0);
    assert_eq!(
        requests(&wire, before),
        [
            format!("RTM_NEWADDR address {VIP}/24"),
            "RTM_NEWROUTE route prepend 10.1.0.0/16".into(),
            "RTM_NEWROUTE route prepend 10.2.0.0/16".into(),
            "RTM_NEWRULE rule from all priority 9 tos 0x0 nop".into(),
        ]
    );
}
