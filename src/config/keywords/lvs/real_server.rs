//! `real_server IP [PORT] { ... }` (keepalived-lvs.md A.4).

use std::net::IpAddr;

use super::super::super::lex::Origin;
use super::super::super::tree::Statement;
use super::super::{Content, Context, Keyword};
use super::{
    Method, POSITIVE, UNSIGNED, bfd_check, connect_timeout, dns_check, file_check, http_get,
    interval, method, misc_check, number, part, ping_check, script_once, smtp_check, snmp_name,
    tcp_check, text, time, udp_check,
};

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    part("weight", "0..2147483647", "Share of the connections", weight),
    part("lvs_method", "NAT|DR|TUN [options]", "How packets are sent to it", lvs_method),
    part("uthreshold", "0..4294967295", "No further connections above this number", threshold),
    part("lthreshold", "0..4294967295", "Further connections below this number", threshold),
    part("inhibit_on_failure", "[BOOL]", "Weight 0 on a failure instead of removal", inhibit_on_failure),
    part("notify_up", "\"CMD args\"", "Run when it comes up", notify_up),
    part("notify_down", "\"CMD args\"", "Run when it goes down", notify_down),
    part("alpha", "[BOOL]", "Counts as failed until its checks have passed", alpha),
    part("retry", "1..4294967295", "Default of its checkers", retry),
    part("delay_before_retry", "SECONDS", "Default of its checkers", delay_before_retry),
    part("warmup", "SECONDS", "Default of its checkers", warmup),
    part("connect_timeout", "SECONDS", "Default of its checkers", timeout),
    part("delay_loop", "SECONDS", "Default of its checkers", delay_loop),
    part("smtp_alert", "[BOOL]", "Mail when its state changes", smtp_alert),
    part("virtualhost", "NAME", "Default of its checkers", |_, s, cx| text(cx, s, "real server virtualhost missing")),
    part("snmp_name", "NAME", "Name in SNMP", |_, s, cx| snmp_name(cx, s, "real server")),
    part("TCP_CHECK", "{ ... }", "Checks that a connection is possible", tcp_check::set).with(Content::Keywords),
    part("HTTP_GET", "{ ... }", "Checks pages", http_get::set_http).with(Content::Keywords),
    part("SSL_GET", "{ ... }", "Checks pages through TLS", http_get::set_ssl).with(Content::Keywords),
    part("SMTP_CHECK", "{ ... }", "Checks a mail server", smtp_check::set).with(Content::Keywords),
    part("MISC_CHECK", "{ ... }", "Lets a script check", misc_check::set).with(Content::Keywords),
    part("DNS_CHECK", "{ ... }", "Checks a name server", dns_check::set).with(Content::Keywords),
    part("PING_CHECK", "{ ... }", "Checks with ICMP", ping_check::set).with(Content::Keywords),
    part("UDP_CHECK", "{ ... }", "Checks with a datagram", udp_check::set).with(Content::Keywords),
    part("FILE_CHECK", "{ ... }", "Follows a tracked file", file_check::set).with(Content::Keywords),
    part("BFD_CHECK", "{ ... }", "Follows a BFD session", bfd_check::set).with(Content::Keywords),
];

/// What was read of one real server.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Its address.
    pub address: IpAddr,
    /// Its port; `None` is that of the virtual server.
    pub port: Option<u16>,
    /// The protocol of the virtual server so far, as C shows it.
    pub protocol: &'static str,
    /// `weight`
    pub weight: Option<i64>,
    /// `lvs_method`
    pub method: Option<Method>,
    notify_up: Option<Origin>,
    notify_down: Option<Origin>,
}

impl Draft {
    /// A server that nothing was said of yet.
    pub const fn new(address: IpAddr, port: Option<u16>, protocol: &'static str) -> Self {
        Self {
            address,
            port,
            protocol,
            weight: None,
            method: None,
            notify_up: None,
            notify_down: None,
        }
    }

    /// As C shows it.
    pub fn shown(&self) -> String {
        self.shown_with(self.protocol)
    }

    /// As C shows it, with the final protocol of the virtual server.
    pub fn shown_with(&self, protocol: &str) -> String {
        format!("[{}]:{protocol}:{}", self.address, self.port.unwrap_or(0))
    }
}

fn weight(server: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let value = number(cx, statement, 0..=2_147_483_647, |text| {
        format!("Real server weight {text} is outside range 0-2147483647")
    });
    server.weight = value.or(server.weight);
}

fn lvs_method(server: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    server.method = method(cx, statement, "real server").or(server.method);
}

fn threshold(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let keyword = statement.keyword();
    number(cx, statement, UNSIGNED, |text| {
        format!("Invalid real_server {keyword} '{text}' - ignoring")
    });
}

fn inhibit_on_failure(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    cx.switch(statement, |text| {
        format!("Invalid inhibit_on_failure parameter {text}")
    });
}

fn alpha(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    cx.switch(statement, |text| format!("Invalid alpha parameter {text}"));
}

fn smtp_alert(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    cx.switch(statement, |text| {
        format!("Invalid real_server smtp_alert parameter {text}")
    });
}

fn notify_up(server: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let owner = server.shown();
    script_once(&mut server.notify_up, statement, cx, &owner);
}

fn notify_down(server: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let owner = server.shown();
    script_once(&mut server.notify_down, statement, cx, &owner);
}

fn retry(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    number(cx, statement, POSITIVE, |text| {
        format!("retry value invalid - {text}")
    });
}

fn delay_before_retry(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    time(cx, statement, |text| {
        format!("real server delay_before_retry '{text}' invalid - ignoring")
    });
}

fn warmup(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    time(cx, statement, |text| {
        format!("real server warmup '{text}' invalid - ignoring")
    });
}

fn timeout(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    connect_timeout(cx, statement, |text| {
        format!("real server connect_timeout {text} invalid - ignoring")
    });
}

fn delay_loop(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    interval(cx, statement, |text| {
        format!("real server delay_loop '{text}' invalid - ignoring")
    });
}
