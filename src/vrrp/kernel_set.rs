//! What an instance has in the kernel while it is MASTER: addresses, routes and rules.
//!
//! Decides the order in which they go in and come out (specification F.5), and what a
//! new configuration changes. Does not decide when.

use std::collections::HashSet;

use crate::config::model::{PROTOCOL_KEEPALIVED, Route, RoutingName, Rule, VirtualAddress};

use super::action::Operation;
use super::event::LostWay;

/// What puts routes in, and then rules.
pub fn additions_of<'a>(
    routes: &'a [Route],
    rules: &'a [Rule],
) -> impl Iterator<Item = Operation> + 'a {
    let routes = routes.iter().cloned().map(Box::new);
    let rules = rules.iter().cloned().map(Box::new);
    let routes = routes.map(Operation::AddRoute);
    routes.chain(rules.map(Operation::AddRule))
}

/// Whether an address comes off after others. As long as one with `noprefixroute` is in
/// an IPv6 network, the kernel keeps the route to it that another one has brought, and
/// then keeps it for ever.
pub fn comes_off_later(address: &VirtualAddress) -> bool {
    !address.no_prefix_route
}

/// What takes out what `additions` put in: rules first, addresses last, so that
/// nothing leads to an address that is gone.
pub fn removals<'a>(additions: impl IntoIterator<Item = &'a Operation>) -> Vec<Operation> {
    let (mut addresses, mut routes, mut rules) = (Vec::new(), Vec::new(), Vec::new());
    let mut settings = Vec::new();
    for addition in additions {
        match addition {
            Operation::AddAddress { on, address } => addresses.push(Operation::RemoveAddress {
                on: *on,
                address: address.clone(),
            }),
            Operation::AddRoute(route) => routes.push(Operation::RemoveRoute(route.clone())),
            Operation::AddRule(rule) => rules.push(Operation::RemoveRule(rule.clone())),
            Operation::Promote { on } => settings.push(Operation::Unpromote { on: *on }),
            _ => {}
        }
    }
    addresses.sort_by_key(
        |it| matches!(it, Operation::RemoveAddress { address, .. } if comes_off_later(address)),
    );
    rules.append(&mut routes);
    rules.append(&mut addresses);
    rules.append(&mut settings);
    rules
}

/// What leads from one set of additions to another: what is the same to the kernel in
/// both is not touched, what is no longer wanted goes before what is new.
pub fn difference(before: &[Operation], after: &[Operation]) -> Vec<Operation> {
    let old: HashSet<Operation> = before.iter().map(to_kernel).collect();
    let new: HashSet<Operation> = after.iter().map(to_kernel).collect();
    let gone = before.iter().filter(|it| !new.contains(&to_kernel(it)));
    let mut operations = removals(gone);
    let added = after.iter().filter(|it| !old.contains(&to_kernel(it)));
    operations.extend(added.cloned());
    operations
}

/// Without what the kernel does not know of.
fn to_kernel(addition: &Operation) -> Operation {
    let mut addition = addition.clone();
    match &mut addition {
        Operation::AddAddress { address, .. } => *address = address_to_kernel(address),
        Operation::AddRoute(route) => (route.no_track, route.track_group) = (false, None),
        Operation::AddRule(rule) => (rule.no_track, rule.track_group) = (false, None),
        _ => {}
    }
    addition
}

/// The same of an address.
pub fn address_to_kernel(address: &VirtualAddress) -> VirtualAddress {
    VirtualAddress {
        no_track: false,
        use_vmac: false,
        track_group: None,
        ..address.clone()
    }
}

/// What leads from the routes and rules of one set to those of another around the
/// changes of addresses in between: they go before their addresses do, and come when
/// these are there. Where any address changes all are asked for again, since the
/// kernel drops a route with the address that is its source.
pub fn around(
    before: &[Operation],
    after: &[Operation],
    mut addresses: Vec<Operation>,
) -> Vec<Operation> {
    let mut operations = difference(before, after);
    let at = operations.iter().position(Operation::adds);
    let added = operations.split_off(at.unwrap_or(operations.len()));
    let is_any = !addresses.is_empty();
    operations.append(&mut addresses);
    if is_any {
        operations.extend(after.iter().cloned());
    } else {
        operations.extend(added);
    }
    operations
}

/// Whether this addition is the way that was lost, and is tracked. The kernel may have
/// other ones to the same destination: to put one in that is there does no harm.
pub fn is_lost(addition: &Operation, lost: LostWay) -> bool {
    match (addition, lost) {
        (
            Operation::AddRoute(route),
            LostWay::Route {
                destination,
                metric,
            },
        ) => {
            // One that expires goes by itself.
            let same = route.destination == destination && route.expires_s.is_none();
            same && !route.no_track && route.metric.is_none_or(|own| own == metric)
        }
        (Operation::AddRule(rule), LostWay::Rule { family, preference }) => {
            let same = (rule.family, rule.preference) == (family, preference);
            same && !rule.no_track
        }
        _ => false,
    }
}

/// Whether nobody else puts in such a thing: what has another protocol than
/// keepalived's may belong to the machine.
pub fn is_surely_ours(addition: &Operation) -> bool {
    match addition {
        Operation::AddRoute(route) => match &route.protocol {
            None => true,
            Some(protocol) => *protocol == RoutingName::Number(PROTOCOL_KEEPALIVED.into()),
        },
        Operation::AddRule(rule) => rule.protocol.is_none_or(|it| it == PROTOCOL_KEEPALIVED),
        _ => true,
    }
}

/// The interfaces of routes and rules that are tracked.
pub fn tracked_interfaces<'a>(
    routes: &'a [Route],
    rules: &'a [Rule],
) -> impl Iterator<Item = &'a str> {
    let routes = routes.iter().filter(|route| !route.no_track);
    let routes = routes.filter_map(|route| route.interface.as_deref());
    let rules = rules.iter().filter(|rule| !rule.no_track);
    let rules = rules.flat_map(|rule| [&rule.input_interface, &rule.output_interface]);
    routes.chain(rules.filter_map(|name| name.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{Family, RuleAction, VirtualAddress};
    use crate::ids::IfIndex;

    fn route(metric: u32) -> Operation {
        let mut route = Route::new(Family::Inet.everything());
        route.metric = Some(metric);
        Operation::AddRoute(Box::new(route))
    }

    fn rule(preference: u32) -> Operation {
        Operation::AddRule(Box::new(Rule::new(preference, RuleAction::Nop)))
    }

    fn address(last: u8) -> Operation {
        Operation::AddAddress {
            on: IfIndex(3),
            address: VirtualAddress::new([10, 0, 0, last].into(), 32, "e0"),
        }
    }

    fn requests(operations: &[Operation]) -> Vec<&'static str> {
        operations.iter().map(|it| it.request().0).collect()
    }

    #[test]
    fn rules_come_out_before_routes_and_routes_before_addresses() {
        let out = removals(&[address(1), address(2), route(1), rule(1)]);
        let names = ["RTM_DELRULE", "RTM_DELROUTE", "RTM_DELADDR", "RTM_DELADDR"];
        assert_eq!(requests(&out), names);
    }

    #[test]
    fn an_address_without_a_route_comes_off_before_the_one_whose_route_it_keeps() {
        let mut without = VirtualAddress::new([10, 0, 0, 3].into(), 24, "e0");
        without.no_prefix_route = true;
        let without = Operation::AddAddress {
            on: IfIndex(3),
            address: without,
        };
        let out = removals(&[address(1), address(2), without]);
        let names: Vec<String> = out.iter().map(ToString::to_string).collect();
        let ends = [".3/24", ".1 ", ".2 "];
        for (name, end) in names.iter().zip(ends) {
            assert!(name.contains(end), "{names:?}");
        }
    }

    #[test]
    fn what_is_in_both_configurations_is_not_touched() {
        let before = [address(1), route(1), route(2), rule(1)];
        let after = [address(1), address(2), route(2), route(3), rule(1)];
        let difference = difference(&before, &after);
        assert_eq!(
            requests(&difference),
            ["RTM_DELROUTE", "RTM_NEWADDR", "RTM_NEWROUTE"]
        );
        assert!(difference[0].to_string().contains("metric 1"));
        assert!(difference[2].to_string().contains("metric 3"));
        assert_eq!(super::difference(&after, &after), []);
    }

    #[test]
    fn routes_go_before_addresses_and_come_after_them() {
        let (before, after) = ([route(1), route(2)], [route(2), route(3)]);
        let changes = around(&before, &after, vec![address(1)]);
        let names = [
            "RTM_DELROUTE",
            "RTM_NEWADDR",
            "RTM_NEWROUTE",
            "RTM_NEWROUTE",
        ];
        assert_eq!(requests(&changes), names);
        let changes = around(&before, &after, Vec::new());
        assert_eq!(requests(&changes), ["RTM_DELROUTE", "RTM_NEWROUTE"]);
        assert_eq!(around(&after, &after, Vec::new()), []);
    }
}
