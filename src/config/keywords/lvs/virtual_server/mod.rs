//! `virtual_server IP [PORT] | fwmark N | group NAME { ... }` (keepalived-lvs.md A.1).
//!
//! Decides what each line says. What is said when all is read is in `completion`.

use std::net::IpAddr;

use super::super::super::arguments;
use super::super::super::lex::Origin;
use super::super::super::tree::Statement;
use super::super::root;
use super::super::{Content, Context, Keyword, already, apply};
use super::{
    Method, POSITIVE, UNSIGNED, WITHOUT_CHECKERS, connect_timeout, endpoint, error, error_at_end,
    interval, method, number, number_of, part, read_block, real_server, script_once, shown,
    snmp_name, text, time,
};

mod completion;

pub use completion::complete;

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    part("ip_family", "inet|inet6", "Family of a mark or a group", ip_family),
    part("delay_loop", "SECONDS", "From one check to the next", delay_loop),
    part("connect_timeout", "SECONDS", "Limit of connecting", timeout),
    part("retry", "1..4294967295", "Further attempts before a check has failed", retry),
    part("delay_before_retry", "SECONDS", "Between attempts", delay_before_retry),
    part("warmup", "SECONDS", "The first checks are delayed by up to this", warmup),
    part("lb_algo", "rr|wrr|lc|wlc|lblc|sh|mh|dh|fo|ovf|lblcr|sed|nq|twos", "Who gets the next connection", scheduler),
    part("lvs_sched", "rr|wrr|lc|wlc|lblc|sh|mh|dh|fo|ovf|lblcr|sed|nq|twos", "Who gets the next connection", scheduler),
    part("hashed", "", "Has no effect", hashed),
    part("ops", "", "Every datagram is a connection of its own", |server, _, _| server.one_packet = true),
    part("flag-1", "", "First flag of the scheduler", already),
    part("flag-2", "", "Second flag of the scheduler", already),
    part("flag-3", "", "Third flag of the scheduler", already),
    part("sh-port", "", "The source port counts, too", hash_flag),
    part("sh-fallback", "", "Another server if the one is down", hash_flag),
    part("mh-port", "", "The source port counts, too", hash_flag),
    part("mh-fallback", "", "Another server if the one is down", hash_flag),
    part("lb_kind", "NAT|DR|TUN [options]", "How packets are sent to the real servers", lb_kind),
    part("lvs_method", "NAT|DR|TUN [options]", "How packets are sent to the real servers", lb_kind),
    part("persistence_engine", "NAME", "What belongs to one client", persistence_engine),
    part("persistence_timeout", "[1..2678400]", "A client stays with its server so long", persistence_timeout),
    part("persistence_granularity", "NETMASK|PREFIX", "Which clients are taken together", persistence_granularity),
    part("protocol", "TCP|UDP|SCTP", "Protocol of the service", protocol),
    part("ha_suspend", "", "Check only while the address is on this machine", |server, _, _| server.ha_suspend = true),
    part("smtp_alert", "[BOOL]", "Mail when the quorum is gained or lost", smtp_alert),
    part("virtualhost", "NAME", "Default Host header of checkers", |_, s, cx| text(cx, s, "virtual server virtualhost missing")),
    part("snmp_name", "NAME", "Name in SNMP", |_, s, cx| snmp_name(cx, s, "virtual server")),
    part("alpha", "", "Real servers count as failed until their checks have passed", already),
    part("omega", "", "Run the scripts when the daemon stops", already),
    part("inhibit_on_failure", "", "Weight 0 on a failure instead of removal", already),
    part("quorum", "1..4294967295", "Least sum of weights", quorum),
    part("hysteresis", "0..4294967295", "Distance between gaining and losing the quorum", hysteresis),
    part("quorum_up", "\"CMD args\"", "Run when the quorum is gained", quorum_up),
    part("quorum_down", "\"CMD args\"", "Run when the quorum is lost", quorum_down),
    part("weight", "1..2147483647", "Default of the real servers", weight),
    part("sorry_server", "IP [PORT]", "Serves while there is no quorum", sorry_server),
    part("sorry_server_inhibit", "", "It gets weight 0 instead of removal", sorry_server_inhibit),
    part("sorry_server_lvs_method", "NAT|DR|TUN [options]", "How packets are sent to it", sorry_server_method),
    part("real_server", "IP [PORT] { ... }", "A server behind the service", real_server).with(Content::Keywords),
];

/// What is balanced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Service {
    /// One address; `None` is every port.
    Address(IpAddr, Option<u16>),
    /// Packets with a mark.
    Mark(i64),
    /// A group of this name.
    Group(String),
}

/// The server of last resort.
#[derive(Debug, Clone, Copy)]
pub struct SorryServer {
    address: IpAddr,
    port: Option<u16>,
    method: Option<Method>,
}

/// What was read of one virtual server.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What is balanced.
    pub service: Service,
    keyword: Origin,
    is_ipv4: Option<bool>,
    scheduler: Option<String>,
    method: Option<Method>,
    protocol: Option<&'static str>,
    one_packet: bool,
    ha_suspend: bool,
    persistent: bool,
    quorum: i64,
    hysteresis: i64,
    weight: i64,
    quorum_up: Option<Origin>,
    quorum_down: Option<Origin>,
    sorry_server: Option<SorryServer>,
    real_servers: Vec<real_server::Draft>,
}

/// Reads the block.
pub fn set(draft: &mut root::Draft, statement: &Statement, cx: &mut Context<'_>) {
    let is_left_out = cx.options.without_checkers;
    read_block(statement, is_left_out, WITHOUT_CHECKERS, cx, |cx| {
        let Some(service) = service(statement, cx) else {
            return;
        };
        let mut server = Draft::new(service, statement.keyword_origin());
        apply(
            "virtual_server",
            KEYWORDS,
            statement.inner(),
            &mut server,
            cx,
        );
        server.check_sorry_server(statement, cx);
        draft.lvs.virtual_servers.push(server);
    });
}

fn service(statement: &Statement, cx: &mut Context<'_>) -> Option<Service> {
    let first = cx.argument(statement, 1)?;
    match first.text.as_str() {
        "group" => Some(Service::Group(cx.argument(statement, 2)?.text.clone())),
        "fwmark" => {
            let mark = cx.argument(statement, 2)?;
            let invalid = |text: &str| {
                format!("virtual server fwmark '{text}' must be in [0, 4294967295] - ignoring")
            };
            number_of(cx, mark, UNSIGNED, invalid).map(Service::Mark)
        }
        _ => match endpoint(statement, 1) {
            Ok((address, port)) => Some(Service::Address(address, port)),
            Err(_) => {
                let with_port = if statement.words.len() > 2 {
                    "/port"
                } else {
                    ""
                };
                let shown = shown(statement, 1);
                let text =
                    format!("Invalid virtual server IP address{with_port} {shown} - skipping");
                error(cx, "virtual-server", statement, text);
                None
            }
        },
    }
}

impl Draft {
    fn new(service: Service, keyword: Origin) -> Self {
        let is_ipv4 = match &service {
            Service::Address(address, _) => Some(address.is_ipv4()),
            _ => None,
        };
        Self {
            service,
            keyword,
            is_ipv4,
            scheduler: None,
            method: None,
            protocol: None,
            one_packet: false,
            ha_suspend: false,
            persistent: false,
            quorum: 1,
            hysteresis: 0,
            weight: 1,
            quorum_up: None,
            quorum_down: None,
            sorry_server: None,
            real_servers: Vec::new(),
        }
    }

    /// As C shows it; `sequence` is its number among those of its group.
    fn shown(&self, protocol: &str, sequence: usize) -> String {
        match &self.service {
            Service::Address(address, port) => {
                format!("[{address}]:{protocol}:{}", port.unwrap_or(0))
            }
            Service::Mark(mark) => format!("FWM {mark}"),
            Service::Group(name) => format!("[{name}]:{sequence}"),
        }
    }

    /// The family is that of the first server that is not behind a tunnel.
    fn takes(&mut self, address: IpAddr, method: Option<Method>) -> bool {
        if method.or(self.method) == Some(Method::Tunnel) {
            return true;
        }
        *self.is_ipv4.get_or_insert(address.is_ipv4()) == address.is_ipv4()
    }

    fn check_sorry_server(&mut self, statement: &Statement, cx: &mut Context<'_>) {
        let Some(sorry) = self.sorry_server else {
            return;
        };
        if !self.takes(sorry.address, sorry.method) {
            let text = format!(
                "Address family of virtual server and sorry server {} don't match - skipping \
                 sorry server.",
                sorry.address
            );
            error_at_end(cx, "address-family", statement, text);
            self.sorry_server = None;
        }
    }
}

fn ip_family(server: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    let is_ipv4 = match word.text.as_str() {
        "inet" => true,
        "inet6" => false,
        other => {
            let text = format!("unknown address family {other}");
            cx.error("address-family", word, text);
            return;
        }
    };
    if *server.is_ipv4.get_or_insert(is_ipv4) != is_ipv4 {
        let family = &word.text;
        let text = format!("Virtual server specified family {family} conflicts with server family");
        cx.error("address-family", word, text);
    }
}

fn delay_loop(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    interval(cx, statement, |text| {
        format!("virtual server delay loop '{text}' invalid - ignoring")
    });
}

fn timeout(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    connect_timeout(cx, statement, |text| {
        format!("virtual server connect_timeout {text} invalid - ignoring")
    });
}

fn retry(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    number(cx, statement, POSITIVE, |text| {
        format!("retry value invalid - {text}")
    });
}

fn delay_before_retry(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    time(cx, statement, |text| {
        format!("virtual server delay before retry '{text}' invalid - ignoring")
    });
}

fn warmup(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    time(cx, statement, |text| {
        format!("virtual server warmup '{text}' invalid - ignoring")
    });
}

const SCHEDULERS: &[&str] = &[
    "rr", "wrr", "lc", "wlc", "lblc", "sh", "mh", "dh", "fo", "ovf", "lblcr", "sed", "nq", "twos",
];

fn scheduler(server: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    if SCHEDULERS.contains(&word.text.as_str()) {
        server.scheduler = Some(word.text.clone());
    } else {
        let text = format!("Invalid lvs_scheduler '{}' - ignoring", word.text);
        cx.error("scheduler", word, text);
    }
}

/// Only two schedulers hash; C names but one of them.
fn expect_hashing(server: &Draft, statement: &Statement, cx: &mut Context<'_>) {
    if !matches!(server.scheduler.as_deref(), Some("sh" | "mh")) {
        let keyword = statement.keyword();
        let text = format!("{keyword} only applies to sh scheduler - ignoring");
        error(cx, "scheduler-flag", statement, text);
    }
}

fn hashed(server: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    expect_hashing(server, statement, cx);
}

fn hash_flag(server: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    expect_hashing(server, statement, cx);
}

fn lb_kind(server: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    server.method = method(cx, statement, "virtual server").or(server.method);
}

/// The longest name of a persistence engine, in bytes.
const ENGINE_MAX: usize = 16;

fn persistence_engine(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if let Some(word) = cx.argument(statement, 1)
        && word.text.len() > ENGINE_MAX
    {
        let text = format!("persistence_name too long, truncating - {}", word.text);
        cx.error("persistence", word, text);
    }
}

fn persistence_timeout(server: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let value = match statement.word(1) {
        None => Some(360),
        Some(word) => number_of(cx, word, 1..=2_678_400, |_| {
            "persistence_timeout invalid".to_string()
        }),
    };
    server.persistent |= value.is_some();
}

/// A netmask or a length; it decides the family if nothing has yet.
fn persistence_granularity(server: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    let is_ipv4 = server.is_ipv4.unwrap_or(word.text.contains('.'));
    let is_valid = if is_ipv4 {
        matches!(arguments::address(&word.text), Some(IpAddr::V4(mask)) if !mask.is_unspecified())
    } else {
        arguments::number(&word.text, 1..=128).is_ok()
    };
    if is_valid {
        server.is_ipv4 = Some(is_ipv4);
        server.persistent = true;
        return;
    }
    let family = if is_ipv4 { "IPv4" } else { "IPv6" };
    let text = format!(
        "Invalid {family} persistence_granularity specified - {}",
        word.text
    );
    cx.error("persistence", word, text);
}

fn protocol(server: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    let known = ["tcp", "udp", "sctp"]
        .into_iter()
        .find(|name| name.eq_ignore_ascii_case(&word.text));
    if known.is_none() {
        let text = format!("Unknown protocol {} - ignoring", word.text);
        cx.error("protocol", word, text);
    }
    server.protocol = known.or(server.protocol);
}

fn smtp_alert(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    cx.switch(statement, |text| {
        format!("Invalid virtual_server smtp_alert parameter {text}")
    });
}

fn quorum(server: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let value = number(cx, statement, POSITIVE, |text| {
        format!("Quorum {text} must be in [1, 4294967295]. Setting to 1.")
    });
    server.quorum = value.unwrap_or(1);
}

fn hysteresis(server: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let value = number(cx, statement, UNSIGNED, |text| {
        format!("Hysteresis {text} must be in [0, 4294967295] - ignoring")
    });
    server.hysteresis = value.unwrap_or(server.hysteresis);
}

fn quorum_up(server: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let owner = server.shown(server.protocol.unwrap_or("none"), 0);
    script_once(&mut server.quorum_up, statement, cx, &owner);
}

fn quorum_down(server: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let owner = server.shown(server.protocol.unwrap_or("none"), 0);
    script_once(&mut server.quorum_down, statement, cx, &owner);
}

fn weight(server: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let value = number(cx, statement, 1..=2_147_483_647, |text| {
        format!("Virtual server weight {text} is outside range 1-2147483647")
    });
    server.weight = value.unwrap_or(server.weight);
}

fn sorry_server(server: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    match endpoint(statement, 1) {
        Ok((address, port)) => {
            server.sorry_server = Some(SorryServer {
                address,
                port,
                method: None,
            });
        }
        Err(_) => {
            let text = format!("Invalid sorry server IP address {} - skipping", word.text);
            error(cx, "sorry-server", statement, text);
        }
    }
}

fn sorry_server_inhibit(server: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if server.sorry_server.is_none() {
        let text = "Ignoring sorry_server inhibit used before or without sorry_server";
        error(cx, "sorry-server", statement, text.to_string());
    }
}

fn sorry_server_method(server: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    match &mut server.sorry_server {
        Some(sorry) => sorry.method = method(cx, statement, "sorry server").or(sorry.method),
        None => {
            let text = "sorry_server forwarding used without sorry_server";
            error(cx, "sorry-server", statement, text.to_string());
        }
    }
}

fn real_server(server: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if cx.argument(statement, 1).is_none() {
        return;
    }
    let Ok((address, port)) = endpoint(statement, 1) else {
        let shown = shown(statement, 1);
        let text = format!("Invalid real server ip address/port {shown} - skipping");
        error(cx, "real-server", statement, text);
        return;
    };
    let protocol = server.protocol.unwrap_or("none");
    let mut real = real_server::Draft::new(address, port, protocol);
    apply(
        "real_server",
        real_server::KEYWORDS,
        statement.inner(),
        &mut real,
        cx,
    );
    if !server.takes(address, real.method) {
        let text = format!(
            "Address family of virtual server and real server {address} don't match - skipping \
             real server."
        );
        error_at_end(cx, "address-family", statement, text);
        return;
    }
    server.real_servers.push(real);
}
