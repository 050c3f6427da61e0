//! A world from a user's own configurations, and events in words.
//!
//! Decides what the words mean, which interfaces are plugged into one network
//! and which addresses nodes have that no configuration names. What the result
//! is printed as is decided in `report.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::model::{Config, Instance};
use crate::ids::{IfIndex, MacAddress, Priority};
use crate::time::{Instant, Interval};
use crate::vrrp::event::{InterfaceAddress, InterfaceState, LinkDetails};
use crate::vrrp::orders::Order;
use crate::wire::advert::Family;

use super::edits::Edit;
use super::faults::{Fault, Timed};
use super::kernel::Interface;
use super::network::Quality;
use super::node::{Behaviour, Setup};
use super::world::World;

/// The events that are understood, for help texts.
pub const EVENTS: &str = "kill NODE, stop NODE, start NODE, pause NODE TIME, fail NODE SCRIPT, \
     hang NODE SCRIPT, fix NODE SCRIPT, cut NODE NODE, mend NODE NODE, cut-way FROM TO, \
     mend-way FROM TO, down NODE INTERFACE, up NODE INTERFACE, remove NODE ADDRESS, \
     priority NODE INSTANCE NUMBER, drain NODE [INSTANCE], resume NODE [INSTANCE], number NODE TRACKED-FILE NUMBER, \
     processes NODE TRACKED-PROCESS COUNT";

/// A configuration, and what to call its node.
pub type Named = (String, Config);

/// What an administrator asks.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The nodes.
    pub nodes: Vec<Named>,
    /// What happens.
    pub events: Vec<Timed>,
    /// How long it is watched.
    pub length: Interval,
    /// Decides about loss.
    pub seed: u64,
    /// How many of a million datagrams are lost.
    pub loss_per_million: u32,
}

impl Scenario {
    /// Lets it happen. A node starts at once, unless the first thing that is
    /// said of it is when it starts.
    pub fn run(&self) -> World {
        let mut world = World::new(setups(&self.nodes), self.seed);
        world.network.set_all(Quality {
            loss_per_million: self.loss_per_million,
            ..Quality::GOOD
        });
        for node in 0..self.nodes.len() {
            let mut own = self.events.iter().filter(|it| concerns(&it.fault, node));
            let first = own.next().map(|it| &it.fault);
            if !matches!(first, Some(Fault::Start(_))) {
                world.plan(Instant::ZERO, Fault::Start(node));
            }
        }
        for event in &self.events {
            world.plan(event.at, event.fault.clone());
        }
        world.run_until(Instant::ZERO + self.length);
        world
    }
}

/// Whether a fault is about the daemon of this node.
fn concerns(fault: &Fault, of: usize) -> bool {
    match fault {
        Fault::Start(node) | Fault::Stop(node) | Fault::PowerOff(node) => *node == of,
        _ => false,
    }
}

/// Reads events: `10s kill lb1; 30s start lb1`. Sorted by time. The error says
/// what is wrong, in words.
pub fn events(text: &str, nodes: &[Named]) -> Result<Vec<Timed>, String> {
    let mut events = Vec::new();
    let parts = text.split([';', '\n']).map(str::trim);
    for part in parts.filter(|part| !part.is_empty()) {
        let words: Vec<&str> = part.split_whitespace().collect();
        let found = event(&words, nodes).map_err(|error| format!("event '{part}': {error}"))?;
        events.extend(found);
    }
    events.sort_by_key(|timed| timed.at);
    Ok(events)
}

fn event(words: &[&str], nodes: &[Named]) -> Result<Vec<Timed>, String> {
    let [time, verb, arguments @ ..] = words else {
        return Err("a time and what happens are expected, as in '10s kill lb1'".to_owned());
    };
    let at = Instant::ZERO + span(time)?;
    let node = |name: &str| node_of(name, nodes);
    let both = |a: &str, b: &str, cut: bool| -> Result<Vec<Fault>, String> {
        let (a, b) = two(a, b, nodes)?;
        let one = |from, to| Fault::Cut { from, to, cut };
        Ok(vec![one(a, b), one(b, a)])
    };
    let faults = match (*verb, arguments) {
        ("kill", [name]) => vec![Fault::PowerOff(node(name)?)],
        ("stop", [name]) => vec![Fault::Stop(node(name)?)],
        ("start", [name]) => vec![Fault::Start(node(name)?)],
        ("pause", [name, time]) => vec![Fault::Pause(node(name)?, span(time)?)],
        ("fail", [name, script]) => vec![set(node(name)?, script, Behaviour::Exits(1), nodes)?],
        ("hang", [name, script]) => vec![set(node(name)?, script, Behaviour::Hangs, nodes)?],
        ("fix", [name, script]) => vec![set(node(name)?, script, Behaviour::Exits(0), nodes)?],
        ("cut", [a, b]) => both(a, b, true)?,
        ("mend", [a, b]) => both(a, b, false)?,
        ("cut-way" | "mend-way", [from, to]) => {
            let ((from, to), cut) = (two(from, to, nodes)?, *verb == "cut-way");
            vec![Fault::Cut { from, to, cut }]
        }
        ("down" | "up", [name, interface]) => vec![link(node(name)?, interface, verb, nodes)?],
        ("remove", [name, address]) => {
            let address = address.parse();
            let address = address.map_err(|_| "an IP address is expected".to_owned())?;
            vec![take_away(node(name)?, address, nodes)?]
        }
        ("priority", [name, instance, number]) => {
            vec![reload(node(name)?, instance, number, nodes)?]
        }
        ("drain" | "resume", [name, of @ ..]) if of.len() <= 1 => {
            vec![order(node(name)?, verb, of.first().copied(), nodes)?]
        }
        ("number", [name, file, number]) => vec![set_number(node(name)?, file, number, nodes)?],
        ("processes", [name, process, count]) => {
            vec![set_count(node(name)?, process, count, nodes)?]
        }
        _ => return Err(format!("not understood; there are {EVENTS}")),
    };
    Ok(faults
        .into_iter()
        .map(|fault| Timed { at, fault })
        .collect())
}

/// `10s`, `1.5s`, `500ms`, `2m`, or seconds without a unit.
pub fn span(text: &str) -> Result<Interval, String> {
    let (number, unit_us) = if let Some(number) = text.strip_suffix("ms") {
        (number, 1_000)
    } else if let Some(number) = text.strip_suffix('s') {
        (number, 1_000_000)
    } else if let Some(number) = text.strip_suffix('m') {
        (number, 60_000_000)
    } else {
        (text, 1_000_000)
    };
    let wrong = || format!("'{text}' is no time, as 10s, 1.5s, 500ms or 2m are");
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| text.len() <= 9 && text.bytes().all(|it| it.is_ascii_digit());
    if whole.is_empty() || part.is_empty() || !digits(whole) || !digits(part) {
        return Err(wrong());
    }
    let value = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    let scale = (0..part.len()).fold(1_u64, |scale, _| scale.saturating_mul(10));
    let part_us = value(part)?.saturating_mul(unit_us).checked_div(scale);
    let whole_us = value(whole)?.saturating_mul(unit_us);
    Ok(Interval::from_us(
        whole_us.saturating_add(part_us.unwrap_or(0)),
    ))
}

/// `5%` or `0.1%`, as parts of a million.
pub fn loss(text: &str) -> Result<u32, String> {
    let wrong = || format!("'{text}' is no share, as 5% or 0.1% are");
    let number = text.strip_suffix('%').ok_or_else(wrong)?;
    // A percent is 10,000 of a million, as a second is a million microseconds.
    let millionths = span(number).map_err(|_| wrong())?.as_us() / 100;
    let count = u32::try_from(millionths).map_err(|_| wrong())?;
    if count > 1_000_000 {
        Err(wrong())
    } else {
        Ok(count)
    }
}

fn node_of(name: &str, nodes: &[Named]) -> Result<usize, String> {
    let place = nodes.iter().position(|(known, _)| known == name);
    place.ok_or_else(|| {
        let known: Vec<&str> = nodes.iter().map(|(known, _)| known.as_str()).collect();
        format!("no node is called '{name}'; there are {}", known.join(", "))
    })
}

/// The two ends of a wire.
fn two(a: &str, b: &str, nodes: &[Named]) -> Result<(usize, usize), String> {
    let (one, other) = (node_of(a, nodes)?, node_of(b, nodes)?);
    if one == other {
        return Err(format!("'{a}' is named twice; two nodes are expected"));
    }
    Ok((one, other))
}

fn config_of(node: usize, nodes: &[Named]) -> Option<&Config> {
    nodes.get(node).map(|(_, config)| config)
}

fn missing(what: &str, name: &str, known: &BTreeSet<String>) -> String {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    if known.is_empty() {
        return format!("there is no {what} there at all");
    }
    format!(
        "no {what} is called '{name}' there; there are {}",
        known.join(", ")
    )
}

fn set(node: usize, name: &str, behaviour: Behaviour, nodes: &[Named]) -> Result<Fault, String> {
    let scripts = config_of(node, nodes)
        .into_iter()
        .flat_map(|it| &it.scripts);
    let known: BTreeSet<String> = scripts.map(|script| script.name.clone()).collect();
    if !known.contains(name) {
        return Err(missing("tracked script", name, &known));
    }
    let script = name.to_owned();
    Ok(Fault::Script {
        node,
        script,
        behaviour,
    })
}

fn set_number(node: usize, name: &str, number: &str, nodes: &[Named]) -> Result<Fault, String> {
    let files = config_of(node, nodes)
        .into_iter()
        .flat_map(|it| &it.track_files);
    let known: BTreeSet<String> = files.map(|file| file.name.clone()).collect();
    if !known.contains(name) {
        return Err(missing("tracked file", name, &known));
    }
    let number = number.parse();
    let number = number.map_err(|_| "a whole number of 32 bits is expected".to_owned())?;
    let file = name.to_owned();
    Ok(Fault::Number { node, file, number })
}

fn set_count(node: usize, name: &str, count: &str, nodes: &[Named]) -> Result<Fault, String> {
    let processes = config_of(node, nodes)
        .into_iter()
        .flat_map(|it| &it.track_processes);
    let known: BTreeSet<String> = processes.map(|it| it.name.clone()).collect();
    if !known.contains(name) {
        return Err(missing("tracked process", name, &known));
    }
    let count = count.parse();
    let count = count.map_err(|_| "how many processes run is expected".to_owned())?;
    let process = name.to_owned();
    Ok(Fault::Processes {
        node,
        process,
        count,
    })
}

fn link(node: usize, name: &str, verb: &str, nodes: &[Named]) -> Result<Fault, String> {
    let known = config_of(node, nodes)
        .map(interfaces_of)
        .unwrap_or_default();
    if !known.contains(name) {
        return Err(missing("interface", name, &known));
    }
    let (interface, up) = (name.to_owned(), verb == "up");
    Ok(Fault::Link {
        node,
        interface,
        up,
    })
}

/// Only VIPs can be taken away: without one of these nothing would happen.
fn take_away(node: usize, address: IpAddr, nodes: &[Named]) -> Result<Fault, String> {
    let instances = config_of(node, nodes)
        .into_iter()
        .flat_map(|it| &it.instances);
    let vips = instances.flat_map(|instance| instance.all_addresses());
    let known: BTreeSet<String> = vips.map(|vip| vip.address.to_string()).collect();
    if !known.contains(&address.to_string()) {
        return Err(missing("VIP", &address.to_string(), &known));
    }
    Ok(Fault::TakeAway { node, address })
}

fn reload(node: usize, name: &str, number: &str, nodes: &[Named]) -> Result<Fault, String> {
    let known = instances_of(node, nodes);
    if !known.contains(name) {
        return Err(missing("instance", name, &known));
    }
    let number = number.parse::<u8>().ok().filter(|number| *number > 0);
    let number = number.ok_or("a priority is a number from 1 to 255")?;
    let edit = Edit::Priority(name.to_owned(), Priority(number));
    Ok(Fault::Reload { node, edit })
}

/// An order for one instance, or for all.
fn order(node: usize, verb: &str, name: Option<&str>, nodes: &[Named]) -> Result<Fault, String> {
    let known = instances_of(node, nodes);
    if let Some(name) = name.filter(|name| !known.contains(*name)) {
        return Err(missing("instance", name, &known));
    }
    let instance = name.map(str::to_owned);
    let order = match verb {
        "drain" => Order::Drain {
            instance,
            force: false,
        },
        _ => Order::Resume { instance },
    };
    Ok(Fault::Order { node, order })
}

fn instances_of(node: usize, nodes: &[Named]) -> BTreeSet<String> {
    let instances = config_of(node, nodes)
        .into_iter()
        .flat_map(|it| &it.instances);
    instances.map(|instance| instance.name.clone()).collect()
}

/// Every interface that a configuration names.
fn interfaces_of(config: &Config) -> BTreeSet<String> {
    let of_one = |instance: &Instance| {
        let vips = instance
            .all_addresses()
            .map(|vip| vip.interface.to_string());
        let tracked = instance.track_interfaces.iter();
        let mut all: Vec<String> = vips.collect();
        all.extend(tracked.map(|it| it.interface.clone()));
        all.push(link_of(instance).to_owned());
        all
    };
    let instances = config.instances.iter();
    let mut all: BTreeSet<String> = instances.flat_map(|it| of_one(it)).collect();
    all.remove("");
    all
}

/// The interface by which an instance is reached; where it names none, the one
/// that its first address is on.
fn link_of(instance: &Instance) -> &str {
    let mut vips = instance.all_addresses();
    match vips.next() {
        Some(vip) if instance.interface.is_empty() => &vip.interface,
        _ => &instance.interface,
    }
}

/// Nodes with everything that their configurations name.
fn setups(nodes: &[Named]) -> Vec<Setup> {
    let segments = segments(nodes);
    let mut taken = vips(nodes);
    let mut setups = Vec::new();
    for (place, (name, config)) in nodes.iter().enumerate() {
        let mut interfaces = Vec::new();
        for (index, interface) in interfaces_of(config).into_iter().enumerate() {
            let key = (place, interface.clone());
            let segment = segments.get(&key).copied().unwrap_or(0);
            let own = own_addresses(nodes, (place, segment), &interface, &mut taken);
            let last = u8::try_from(place.saturating_add(1)).unwrap_or(u8::MAX);
            let middle = u8::try_from(segment).unwrap_or(u8::MAX);
            let state = InterfaceState {
                index: IfIndex(u32::try_from(index).unwrap_or(0).saturating_add(2)),
                name: interface,
                up: true,
                loopback: false,
                multicast: true,
                no_arp: false,
                forwarding: false,
                mac: MacAddress([2, 0, 0, 0, middle, last]),
                mtu: 1500,
                link: LinkDetails::default(),
                addresses: own.clone(),
            };
            interfaces.push(Interface {
                state,
                segment,
                own,
            });
        }
        setups.push(Setup {
            name: name.clone(),
            config: config.clone(),
            interfaces,
        });
    }
    setups
}

fn vips(nodes: &[Named]) -> BTreeSet<IpAddr> {
    let instances = nodes.iter().flat_map(|(_, config)| &config.instances);
    instances
        .flat_map(|instance| instance.all_addresses().map(|vip| vip.address))
        .collect()
}

/// Which interfaces hear each other: those of one virtual router, whatever they
/// are called on each node.
fn segments(nodes: &[Named]) -> BTreeMap<(usize, String), usize> {
    let mut segments = BTreeMap::new();
    for (place, (_, config)) in nodes.iter().enumerate() {
        for interface in interfaces_of(config) {
            let number = segments.len();
            segments.insert((place, interface), number);
        }
    }
    let mut routers: BTreeMap<(u8, Family), usize> = BTreeMap::new();
    for (place, (_, config)) in nodes.iter().enumerate() {
        for instance in &config.instances {
            let key = (place, link_of(instance).to_owned());
            let Some(&own) = segments.get(&key) else {
                continue;
            };
            let router = (instance.vrid.get(), instance.family());
            let shared = *routers.entry(router).or_insert(own);
            for segment in segments.values_mut().filter(|segment| **segment == own) {
                *segment = shared;
            }
            for other in routers.values_mut().filter(|other| **other == own) {
                *other = shared;
            }
        }
    }
    segments
}

/// The addresses that an interface has without VIPs: those that configurations
/// name, and of each family at least one.
fn own_addresses(
    nodes: &[Named],
    (place, segment): (usize, usize),
    interface: &str,
    taken: &mut BTreeSet<IpAddr>,
) -> Vec<InterfaceAddress> {
    let instances = nodes
        .get(place)
        .into_iter()
        .flat_map(|(_, it)| &it.instances);
    let here: Vec<&Instance> = instances
        .map(|instance| &***instance)
        .filter(|instance| link_of(instance) == interface)
        .collect();
    let mut own: Vec<InterfaceAddress> = Vec::new();
    let mut add = |address: IpAddr, prefix_length: u8, taken: &mut BTreeSet<IpAddr>| {
        taken.insert(address);
        if !own.iter().any(|on| on.address == address) {
            own.push(InterfaceAddress {
                address,
                prefix_length,
            });
        }
    };
    for instance in &here {
        let prefix_length = if instance.ipv6 { 64 } else { 24 };
        let named = instance
            .source_address
            .or_else(|| as_named_by_others(nodes, place, instance, taken));
        if let Some(address) = named {
            add(address, prefix_length, taken);
        }
    }
    let number = u16::try_from(place.saturating_add(1)).unwrap_or(u16::MAX);
    let segment = u16::try_from(segment).unwrap_or(u16::MAX);
    if !own.iter().any(|on| on.address.is_ipv4()) {
        let (address, prefix_length) = free_ipv4(&here, number, segment, taken);
        taken.insert(address);
        own.push(InterfaceAddress {
            address,
            prefix_length,
        });
    }
    let local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, segment, number);
    own.push(InterfaceAddress {
        address: local.into(),
        prefix_length: 64,
    });
    own
}

/// The address that the other nodes have among their peers, and that nobody else
/// has.
fn as_named_by_others(
    nodes: &[Named],
    place: usize,
    instance: &Instance,
    taken: &BTreeSet<IpAddr>,
) -> Option<IpAddr> {
    let others = nodes
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != place);
    let peers = others
        .flat_map(|(_, (_, config))| &config.instances)
        .filter(|other| other.vrid == instance.vrid && other.family() == instance.family())
        .flat_map(|other| &other.unicast_peers);
    let mut free = peers
        .map(|peer| peer.address)
        .filter(|address| !instance.is_peer(*address) && !taken.contains(address));
    free.next()
}

/// An address beside the VIPs of an interface, in the order of the nodes.
fn free_ipv4(
    here: &[&Instance],
    number: u16,
    segment: u16,
    taken: &BTreeSet<IpAddr>,
) -> (IpAddr, u8) {
    let vips = here.iter().flat_map(|instance| instance.all_addresses());
    let network = vips
        .filter_map(|vip| match vip.address {
            IpAddr::V4(address) if vip.prefix_length <= 29 => Some((address, vip.prefix_length)),
            _ => None,
        })
        .next();
    let (base, prefix_length) = match network {
        Some((vip, length)) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(length.into()));
            (u32::from(vip) & mask.unwrap_or(0), length)
        }
        None => {
            let [high, low] = segment.to_be_bytes();
            (u32::from(Ipv4Addr::new(198, 18 | high, low, 0)), 24)
        }
    };
    let mut candidates = (u32::from(number)..=254).map(|host| {
        let address = Ipv4Addr::from(base.saturating_add(host));
        IpAddr::V4(address)
    });
    let free = candidates.find(|address| !taken.contains(address));
    (
        free.unwrap_or(Ipv4Addr::new(198, 19, 0, 1).into()),
        prefix_length,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_shares_are_read() {
        for (text, us) in [("10s", 10_000_000), ("1.5s", 1_500_000), ("500ms", 500_000)] {
            assert_eq!(span(text), Ok(Interval::from_us(us)), "{text}");
        }
        assert_eq!(span("2m"), Ok(Interval::from_secs(120)));
        assert_eq!(span("7"), Ok(Interval::from_secs(7)));
        for text in ["", "s", ".5s", "1.s", "-1s", "1e9s", "99999999999s", "x"] {
            assert!(span(text).is_err(), "{text}");
        }
        assert_eq!(loss("5%"), Ok(50_000));
        assert_eq!(loss("0.1%"), Ok(1_000));
        assert_eq!(loss("100%"), Ok(1_000_000));
        for text in ["5", "101%", "%", "x%"] {
            assert!(loss(text).is_err(), "{text}");
        }
    }

    #[test]
    fn events_say_what_is_wrong_with_them() {
        let nodes = [("lb1".to_owned(), Config::default())];
        let error = |text| events(text, &nodes).expect_err("wrong");
        assert_eq!(
            error("1s kill lb3"),
            "event '1s kill lb3': no node is called 'lb3'; there are lb1"
        );
        assert!(error("1s eat lb1").contains("there are kill NODE"));
        assert!(error("1s fail lb1 chk").contains("no tracked script there at all"));
        assert!(error("kill").contains("a time and what happens"));
        let sorted = events("20s start lb1; 10s kill lb1;", &nodes).expect("right");
        assert_eq!(
            sorted.first().map(|it| &it.fault),
            Some(&Fault::PowerOff(0))
        );
    }
}
