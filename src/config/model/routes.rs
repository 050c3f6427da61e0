//! Routes that the daemon puts into the kernel.
//!
//! Source: specification C.2, E.10.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::time::Interval;

/// The kernel's number for "put there by keepalived" (`RTPROT_KEEPALIVED`).
pub const PROTOCOL_KEEPALIVED: u8 = 18;

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Family {
    /// IPv4
    #[default]
    Inet,
    /// IPv6
    Inet6,
}

impl Family {
    /// That of an address.
    pub const fn of(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Inet,
            IpAddr::V6(_) => Self::Inet6,
        }
    }

    /// The length of a prefix that is a single address.
    pub const fn prefix_length_max(self) -> u8 {
        match self {
            Self::Inet => 32,
            Self::Inet6 => 128,
        }
    }

    /// The prefix of all addresses.
    pub const fn everything(self) -> Prefix {
        let address = match self {
            Self::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Self::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Prefix { address, length: 0 }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inet => "inet",
            Self::Inet6 => "inet6",
        })
    }
}

/// `ADDR[/LEN]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// The address; bits behind the length are kept.
    pub address: IpAddr,
    /// 0 to 32 or 128.
    pub length: u8,
}

/// The length is left out for a single address.
impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)?;
        if self.length == Family::of(&self.address).prefix_length_max() {
            return Ok(());
        }
        write!(f, "/{}", self.length)
    }
}

/// A table, protocol, scope and so on: its number, or the name that the tables
/// of the machine give it. Names that every machine has are numbers here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RoutingName {
    /// A number, or a name that means the same everywhere.
    Number(u32),
    /// To be looked up where it is used (`rt_tables` and its like).
    Name(String),
}

impl fmt::Display for RoutingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// `[FROM/]TO`, routing realms.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Realms {
    /// Realm 0 means none.
    pub from: RoutingName,
    /// Realm 0 means none.
    pub to: RoutingName,
}

impl RoutingName {
    /// It means what the files of this machine say.
    pub const fn is_looked_up(&self) -> bool {
        matches!(self, Self::Name(_))
    }
}

impl Realms {
    /// Both.
    pub(super) fn names(&self) -> [&RoutingName; 2] {
        [&self.from, &self.to]
    }

    fn has_from(&self) -> bool {
        self.from != RoutingName::Number(0)
    }
}

impl fmt::Display for Realms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.has_from() {
            return write!(f, "realms {}/{}", self.from, self.to);
        }
        write!(f, "realm {}", self.to)
    }
}

/// The type of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RouteType {
    /// `unicast`
    #[default]
    Unicast,
    /// `local`
    Local,
    /// `broadcast`
    Broadcast,
    /// `anycast`
    Anycast,
    /// `multicast`
    Multicast,
    /// `blackhole`
    Blackhole,
    /// `unreachable`
    Unreachable,
    /// `prohibit`
    Prohibit,
    /// `throw`
    Throw,
    /// `nat`
    Nat,
    /// `xresolve`
    Xresolve,
}

impl RouteType {
    /// The type of this name or number (rtnetlink's).
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "unicast" | "1" => Self::Unicast,
            "local" | "2" => Self::Local,
            "broadcast" | "brd" | "3" => Self::Broadcast,
            "anycast" | "4" => Self::Anycast,
            "multicast" | "5" => Self::Multicast,
            "blackhole" | "6" => Self::Blackhole,
            "unreachable" | "7" => Self::Unreachable,
            "prohibit" | "8" => Self::Prohibit,
            "throw" | "9" => Self::Throw,
            "nat" | "10" => Self::Nat,
            "xresolve" | "11" => Self::Xresolve,
            _ => return None,
        })
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unicast => "unicast",
            Self::Local => "local",
            Self::Broadcast => "broadcast",
            Self::Anycast => "anycast",
            Self::Multicast => "multicast",
            Self::Blackhole => "blackhole",
            Self::Unreachable => "unreachable",
            Self::Prohibit => "prohibit",
            Self::Throw => "throw",
            Self::Nat => "nat",
            Self::Xresolve => "xresolve",
        }
    }
}

/// How the kernel is asked for a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RouteCreate {
    /// Neither EXCL nor APPEND: before others of the same metric.
    #[default]
    Prepend,
    /// EXCL: only if there is no such route. The default if a type is written.
    Add,
    /// APPEND: behind others of the same metric.
    Append,
}

impl RouteCreate {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Prepend => "prepend",
            Self::Add => "add",
            Self::Append => "append",
        }
    }
}

/// A metric, and whether path discovery must leave it alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lockable<T> {
    /// `lock`
    pub lock: bool,
    /// What was written.
    pub value: T,
}

/// The metrics of a route; `None` leaves them to the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct RouteMetrics {
    /// `congctl`
    pub congestion_control: Option<Lockable<String>>,
    /// `rtt`, at most 120 s.
    pub rtt: Option<Lockable<Interval>>,
    /// `rttvar`, at most 120 s.
    pub rtt_variation: Option<Lockable<Interval>>,
    /// `rto_min`, at most 120 s.
    pub rto_min: Option<Lockable<Interval>>,
    /// `features ecn`
    pub ecn: bool,
    /// `mtu`, bytes
    pub mtu: Option<Lockable<u32>>,
    /// `window`, bytes
    pub window: Option<u32>,
    /// `ssthresh`
    pub ssthresh: Option<Lockable<u32>>,
    /// `cwnd`
    pub cwnd: Option<Lockable<u32>>,
    /// `advmss`, bytes
    pub advmss: Option<Lockable<u32>>,
    /// `reordering`
    pub reordering: Option<Lockable<u32>>,
    /// `hoplimit`
    pub hop_limit: Option<u8>,
    /// `initcwnd`
    pub initial_cwnd: Option<u32>,
    /// `initrwnd`
    pub initial_rwnd: Option<u32>,
    /// `quickack`
    pub quickack: Option<bool>,
    /// `fastopen_no_cookie`
    pub fastopen_no_cookie: Option<bool>,
}

/// `encap`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Encapsulation {
    /// `ip`
    Ip(IpEncapsulation),
    /// `ip6`
    Ip6(IpEncapsulation),
    /// `mpls`: one or two labels of 20 bits.
    Mpls(Vec<u32>),
    /// `ila`: the locator.
    Ila(u64),
}

/// `encap ip`, `encap ip6`
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct IpEncapsulation {
    /// `id`
    pub id: Option<u64>,
    /// `dst`
    pub destination: Option<IpAddr>,
    /// `src`
    pub source: Option<IpAddr>,
    /// `tos` or `tc`
    pub tos: Option<RoutingName>,
    /// `ttl` or `hoplimit`
    pub ttl: Option<u8>,
    /// `flags`
    pub flags: Option<u16>,
}

impl Encapsulation {
    fn name(&self) -> Option<&RoutingName> {
        match self {
            Self::Ip(ip) | Self::Ip6(ip) => ip.tos.as_ref(),
            Self::Mpls(_) | Self::Ila(_) => None,
        }
    }
}

/// One way of a route with several.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct NextHop {
    /// `via`
    pub via: Option<IpAddr>,
    /// `dev`
    pub interface: Option<String>,
    /// `weight`, 1 to 256
    pub weight: Option<u16>,
    /// `onlink`
    pub onlink: bool,
    /// `realms`
    pub realms: Option<Realms>,
    /// `encap`
    pub encapsulation: Option<Encapsulation>,
}

/// A line of `virtual_routes` or `static_routes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Route {
    /// `add`, `prepend`, `append`
    pub create: RouteCreate,
    /// The type.
    pub kind: RouteType,
    /// Of all its addresses but those of an encapsulation and of `via`, which an
    /// IPv4 route may have of IPv6.
    pub family: Family,
    /// Where it leads.
    pub destination: Prefix,
    /// `from`, IPv6 only
    pub from: Option<Prefix>,
    /// `src`
    pub source: Option<IpAddr>,
    /// `tos`
    pub tos: Option<RoutingName>,
    /// `encap`
    pub encapsulation: Option<Encapsulation>,
    /// `via`
    pub via: Option<IpAddr>,
    /// `dev`
    pub interface: Option<String>,
    /// `table`; `None`: main, or that of `vrf`.
    pub table: Option<RoutingName>,
    /// `vrf`: the device whose table it is.
    pub vrf: Option<String>,
    /// `protocol`; always 18 (keepalived) of a route that is tracked.
    pub protocol: Option<RoutingName>,
    /// `scope`; `None`: global
    pub scope: Option<RoutingName>,
    /// `metric`
    pub metric: Option<u32>,
    /// `onlink`
    pub onlink: bool,
    /// `realms`, IPv4 only
    pub realms: Option<Realms>,
    /// `expires`, seconds, IPv6 only
    pub expires_s: Option<u32>,
    /// `mtu` and what else path discovery finds.
    pub metrics: RouteMetrics,
    /// `pref` of RFC 4191, IPv6 only: medium 0, high 1, low 3.
    pub router_preference: Option<u8>,
    /// `ttl-propagate`
    pub ttl_propagate: Option<bool>,
    /// `nexthop`s, also of the old form with `or`.
    pub next_hops: Vec<NextHop>,
    /// `no_track`, or there is no interface to follow.
    pub no_track: bool,
    /// `track_group`, of a static route only.
    pub track_group: Option<String>,
}

impl Route {
    /// The tables, protocols and so on that it mentions.
    pub fn names(&self) -> impl Iterator<Item = &RoutingName> {
        let own = [&self.tos, &self.table, &self.protocol, &self.scope];
        let hops = || self.next_hops.iter();
        let realms = hops().filter_map(|it| it.realms.as_ref());
        let realms = realms.chain(&self.realms).flat_map(Realms::names);
        let encapsulations = hops().filter_map(|it| it.encapsulation.as_ref());
        let encapsulations = encapsulations.chain(&self.encapsulation);
        let own = own.into_iter().flatten();
        own.chain(realms)
            .chain(encapsulations.filter_map(Encapsulation::name))
    }

    /// A route without options.
    pub fn new(destination: Prefix) -> Self {
        Self {
            create: RouteCreate::default(),
            kind: RouteType::default(),
            family: Family::of(&destination.address),
            destination,
            from: None,
            source: None,
            tos: None,
            encapsulation: None,
            via: None,
            interface: None,
            table: None,
            vrf: None,
            protocol: None,
            scope: None,
            metric: None,
            onlink: false,
            realms: None,
            expires_s: None,
            metrics: RouteMetrics::default(),
            router_preference: None,
            ttl_propagate: None,
            next_hops: Vec::new(),
            no_track: false,
            track_group: None,
        }
    }
}

/// The text of C's dumps. A route that is in the kernel has
/// ` [installed ifindex N]` behind it there.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.create.as_str())?;
        if self.kind != RouteType::Unicast {
            write!(f, " {}", self.kind.as_str())?;
        }
        write!(f, " {}", self.destination)?;
        option(f, "from", self.from.as_ref())?;
        option(f, "src", self.source.as_ref())?;
        option(f, "tos", self.tos.as_ref())?;
        if let Some(encapsulation) = &self.encapsulation {
            write!(f, " {encapsulation}")?;
        }
        via(f, self.via.as_ref())?;
        option(f, "dev", self.interface.as_ref())?;
        option(f, "vrf", self.vrf.as_ref())?;
        let table = self.table.as_ref();
        option(f, "table", table.filter(|table| **table != MAIN))?;
        option(f, "proto", self.protocol.as_ref())?;
        option(f, "scope", self.scope.as_ref())?;
        option(f, "metric", self.metric.as_ref())?;
        flag(f, "onlink", self.onlink)?;
        if let Some(realms) = &self.realms {
            write!(f, " {realms}")?;
        }
        if let Some(expires) = self.expires_s {
            write!(f, " expires {expires}sec")?;
        }
        self.write_metrics(f)?;
        if let Some(propagate) = self.ttl_propagate {
            let word = if propagate { "enabled" } else { "disabled" };
            write!(f, " ttl-propagate {word}")?;
        }
        for hop in &self.next_hops {
            write!(f, " {hop}")?;
        }
        flag(f, "no_track", self.no_track)?;
        option(f, "track_group", self.track_group.as_ref())
    }
}

/// RT_TABLE_MAIN
const MAIN: RoutingName = RoutingName::Number(254);

impl Route {
    fn write_metrics(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metrics = &self.metrics;
        lockable(f, "congctl", &metrics.congestion_control)?;
        time(f, "rtt", &metrics.rtt)?;
        time(f, "rttvar", &metrics.rtt_variation)?;
        time(f, "rto_min", &metrics.rto_min)?;
        flag(f, "features ecn", metrics.ecn)?;
        lockable(f, "mtu", &metrics.mtu)?;
        option(f, "window", metrics.window.as_ref())?;
        lockable(f, "ssthresh", &metrics.ssthresh)?;
        lockable(f, "cwnd", &metrics.cwnd)?;
        lockable(f, "advmss", &metrics.advmss)?;
        lockable(f, "reordering", &metrics.reordering)?;
        option(f, "hoplimit", metrics.hop_limit.as_ref())?;
        option(f, "initcwnd", metrics.initial_cwnd.as_ref())?;
        option(f, "initrwnd", metrics.initial_rwnd.as_ref())?;
        option(f, "quickack", metrics.quickack.map(u8::from).as_ref())?;
        let preference = self.router_preference.map(|preference| match preference {
            0 => "medium",
            1 => "high",
            3 => "low",
            _ => "unknown",
        });
        option(f, "pref", preference.as_ref())?;
        let no_cookie = metrics.fastopen_no_cookie.map(u8::from);
        option(f, "fastopen_no_cookie", no_cookie.as_ref())
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nexthop")?;
        via(f, self.via.as_ref())?;
        option(f, "dev", self.interface.as_ref())?;
        option(f, "weight", self.weight.as_ref())?;
        flag(f, "onlink", self.onlink)?;
        if let Some(realms) = &self.realms {
            write!(f, " {realms}")?;
        }
        match &self.encapsulation {
            Some(encapsulation) => write!(f, " {encapsulation}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Encapsulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tunnel, tos, ttl) = match self {
            Self::Ip(tunnel) => (tunnel, "tos", "ttl"),
            Self::Ip6(tunnel) => (tunnel, "tc", "hoplimit"),
            Self::Mpls(labels) => {
                let labels: Vec<String> = labels.iter().map(u32::to_string).collect();
                return write!(f, "encap mpls {}", labels.join("/"));
            }
            Self::Ila(locator) => {
                let [a, b, c, d] = [48, 32, 16, 0].map(|shift| (locator >> shift) & 0xffff);
                return write!(f, "encap ila {a:x}:{b:x}:{c:x}:{d:x}");
            }
        };
        f.write_str(if tos == "tc" { "encap ip6" } else { "encap ip" })?;
        option(f, "id", tunnel.id.as_ref())?;
        option(f, "dst", tunnel.destination.as_ref())?;
        option(f, "src", tunnel.source.as_ref())?;
        option(f, tos, tunnel.tos.as_ref())?;
        option(f, ttl, tunnel.ttl.as_ref())?;
        match tunnel.flags {
            Some(flags) => write!(f, " flags {flags:#x}"),
            None => Ok(()),
        }
    }
}

/// ` NAME VALUE`, if there is a value.
pub(super) fn option(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    value: Option<&impl fmt::Display>,
) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, " {name} {value}"))
}

/// ` NAME`, if it is set.
pub(super) fn flag(f: &mut fmt::Formatter<'_>, name: &str, set: bool) -> fmt::Result {
    if set { write!(f, " {name}") } else { Ok(()) }
}

fn via(f: &mut fmt::Formatter<'_>, via: Option<&IpAddr>) -> fmt::Result {
    via.map_or(Ok(()), |via| write!(f, " via {} {via}", Family::of(via)))
}

fn lockable<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    metric: &Option<Lockable<T>>,
) -> fmt::Result {
    let Some(Lockable { lock, value }) = metric else {
        return Ok(());
    };
    let lock = if *lock { " lock" } else { "" };
    write!(f, " {name}{lock} {value}")
}

fn time(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    metric: &Option<Lockable<Interval>>,
) -> fmt::Result {
    let text = metric.as_ref().map(|metric| Lockable {
        lock: metric.lock,
        value: short_time(metric.value),
    });
    lockable(f, name, &text)
}

/// Six digits, in milliseconds below a second.
fn short_time(value: Interval) -> String {
    let us = value.as_us();
    let (unit_us, unit) = if us < 1_000_000 {
        (1_000, "ms")
    } else {
        (1_000_000, "s")
    };
    let whole_digits = (us / unit_us).to_string().len();
    let number = us as f64 / unit_us as f64;
    let text = format!("{number:.*}", 6_usize.saturating_sub(whole_digits));
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{unit}")
}
