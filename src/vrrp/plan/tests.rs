use std::net::Ipv4Addr;

use super::*;
use crate::config::model::VirtualAddress;
use crate::ids::Priority;

fn instance(name: &str, vrid: u8) -> Instance {
    let vip = Ipv4Addr::new(10, 0, 0, vrid);
    Instance {
        virtual_addresses: vec![VirtualAddress::new(vip.into(), 24, "eth0")],
        ..Instance::new(name, "eth0", Vrid::new(vrid).unwrap())
    }
}

fn config(instances: impl IntoIterator<Item = Instance>) -> Config {
    Config {
        instances: instances.into_iter().map(Arc::new).collect(),
        ..Config::default()
    }
}

fn describe(old: [Instance; 2], new: [Instance; 2]) -> Vec<String> {
    plan(&config(old), config(new)).describe()
}

#[test]
fn the_same_configuration_is_an_empty_plan() {
    let one = config([instance("A", 1), instance("B", 2)]);
    let plan = plan(&one, one.clone());
    assert!(plan.is_empty());
    assert_eq!(plan.describe(), [""; 0]);
    assert_eq!(plan.to_string(), "nothing changes");
}

#[test]
fn a_name_is_not_what_an_instance_is() {
    let (a, b) = (instance("A", 1), instance("B", 2));
    let names = |one: &str, two: &str| [instance(one, 1), instance(two, 2)];
    assert_eq!(
        describe([a.clone(), b.clone()], names("A", "C")),
        ["C: was B before"]
    );
    // Both names change places, or both numbers do: it is the same.
    assert_eq!(
        describe([a, b], names("B", "A")),
        ["B: was A before", "A: was B before"]
    );
}

#[test]
fn what_it_is_on_the_network_ends_with_it() {
    let (a, b) = (instance("A", 1), instance("B", 2));
    let other = Instance {
        interface: "eth1".into(),
        ..b.clone()
    };
    let old = config([a.clone(), b.clone()]);
    let new = config([a.clone(), other]);
    let there = plan(&old, new);
    assert_eq!(
        there.describe(),
        ["B: restarted, because its interface changes from eth0 to eth1"]
    );
    assert!(there.kept.is_empty() && there.removed.is_empty());
    assert_eq!((there.restarted.len(), there.started.len()), (1, 1));
    let gone = plan(&old, config([a, instance("C", 3)]));
    assert_eq!(gone.describe(), ["C: new", "B: removed"]);
}

/// The name goes to what was another instance, and what had it ends.
#[test]
fn a_name_that_moves_on_is_told_of_once_for_each_instance() {
    let (a, b) = (instance("A", 1), instance("B", 2));
    assert_eq!(
        describe([a, b], [instance("B", 1), instance("C", 3)]),
        [
            "B: was A before",
            "C: new",
            "B as it was: ends, because its virtual_router_id changes from 2 to 1"
        ]
    );
}

#[test]
fn each_difference_has_its_words() {
    let (a, b) = (instance("A", 1), instance("B", 2));
    let mut changed = a.clone();
    changed.priority = Priority(120);
    changed.advert_interval = crate::time::Interval::from_ms(1_500);
    changed.virtual_addresses = b.virtual_addresses.clone();
    changed.nopreempt = true;
    let mut other = b.clone();
    other.virtual_addresses = vec![VirtualAddress::new([10, 0, 0, 9].into(), 24, "eth0")];
    assert_eq!(
        describe([a, b], [changed, other]),
        [
            "A: priority 100 -> 120, sent at once; advert_int 1 s -> 1.5 s, sent at once; \
             VIP 10.0.0.1 removed; VIP 10.0.0.2 comes from B; \
             VIPs of the advert changed, sent at once; nopreempt changed",
            "B: VIP 10.0.0.2 moves to A; VIP 10.0.0.9 added; \
             VIPs of the advert changed, sent at once",
        ]
    );
}
