//! Words of all checkers (keepalived-lvs.md B.1).
//!
//! Decides what the words say that several checkers share, and whether the
//! addresses of a connection fit. What one checker has of its own is in its file.

use std::net::IpAddr;

use super::super::super::arguments;
use super::super::super::lex::Word;
use super::super::super::model::ScriptUser;
use super::super::super::tree::Statement;
use super::super::{Context, Keyword, apply};
use super::real_server;
use super::{PORT, UNSIGNED, connect_timeout, error_at_end, interval, number, part, time};

/// The rows of every checker that runs again and again.
#[rustfmt::skip] // One row, one line.
pub const REPETITION: &[Keyword<Draft>] = &[
    part("retry", "0..4294967295", "Further attempts before it has failed", retry),
    part("delay_before_retry", "SECONDS", "Between attempts", delay_before_retry),
    part("warmup", "SECONDS", "The first check is delayed by up to this", warmup),
    part("delay_loop", "SECONDS", "From one check to the next", delay_loop),
    part("alpha", "[BOOL]", "Counts as failed until the first success", alpha),
    part("log_all_failures", "[BOOL]", "Log failures that are tried again, too", log_all_failures),
];

/// The rows of where and how to connect.
#[rustfmt::skip] // One row, one line.
const ENDPOINT: &[Keyword<Draft>] = &[
    part("connect_ip", "IP", "Address to connect to, default the real server's", connect_ip),
    part("connect_port", "1..65535", "Port to connect to, default the real server's", port),
    part("bindto", "IP", "Address to connect from", bindto),
    part("bind_port", "1..65535", "Port to connect from", port),
    part("bind_if", "INTERFACE", "Interface to connect from", bind_if),
    part("connect_timeout", "SECONDS", "Limit of connecting and of every answer", timeout),
    part("fwmark", "0..4294967295", "Mark of the packets", fwmark),
];

const CONNECTION_ROWS: [Keyword<Draft>; ENDPOINT.len() + REPETITION.len()] =
    super::joined(ENDPOINT, REPETITION);

/// The rows of every checker that connects.
pub const CONNECTION: &[Keyword<Draft>] = &CONNECTION_ROWS;

/// What was read of one checker, as far as messages depend on it.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// The real server as C shows it.
    pub server: String,
    /// The address of the real server.
    pub address: Option<IpAddr>,
    /// `connect_ip`
    pub connect_ip: Option<IpAddr>,
    /// `bindto`
    pub bindto: Option<IpAddr>,
    /// Whether there is `bind_if`.
    pub has_bind_if: bool,
    /// How many `url` blocks can be used.
    pub urls: usize,
    /// The command of `misc_path`.
    pub command: Option<Vec<String>>,
    /// `user`
    pub user: Option<ScriptUser>,
    /// The name of what is looked up or followed.
    pub name: Option<String>,
    /// `min_reply_length`
    pub shortest_reply: i64,
    /// `max_reply_length`
    pub longest_reply: i64,
}

/// Reads the block of a checker that does not connect.
pub fn read_unconnected(
    block: &'static str,
    table: &'static [Keyword<Draft>],
    server: &real_server::Draft,
    statement: &Statement,
    cx: &mut Context<'_>,
) -> Draft {
    let mut draft = Draft {
        server: server.shown(),
        address: Some(server.address),
        longest_reply: 255,
        ..Draft::default()
    };
    apply(block, table, statement.inner(), &mut draft, cx);
    draft
}

/// Reads the block of a checker that connects.
pub fn read(
    block: &'static str,
    table: &'static [Keyword<Draft>],
    server: &real_server::Draft,
    statement: &Statement,
    cx: &mut Context<'_>,
) -> Draft {
    let draft = read_unconnected(block, table, server, statement, cx);
    draft.expect_interface(statement, cx);
    draft
}

impl Draft {
    fn target(&self) -> Option<IpAddr> {
        self.connect_ip.or(self.address)
    }

    /// A link-local address belongs to an interface.
    pub fn expect_interface(&self, statement: &Statement, cx: &mut Context<'_>) {
        let Some(IpAddr::V6(target)) = self.target() else {
            return;
        };
        if target.is_unicast_link_local() && !self.has_bind_if {
            let text = format!("Checker link local address {target} requires a bind_if");
            error_at_end(cx, "checker-address", statement, text);
        }
    }
}

fn connect_ip(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some((word, address)) = address(statement, cx) else {
        return;
    };
    if draft
        .bindto
        .is_some_and(|from| from.is_ipv4() != address.is_ipv4())
    {
        let text = format!(
            "connect_ip address {address} does not match address family of bindto - skipping"
        );
        cx.error("checker-address", word, text);
        return;
    }
    draft.connect_ip = Some(address);
}

fn bindto(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some((word, address)) = address(statement, cx) else {
        return;
    };
    let target = draft.target();
    if target.is_some_and(|to| to.is_ipv4() != address.is_ipv4()) {
        let text = format!(
            "bindto address {address} does not match address family of connect_ip - skipping"
        );
        cx.error("checker-address", word, text);
        return;
    }
    draft.bindto = Some(address);
}

fn address<'s>(statement: &'s Statement, cx: &mut Context<'_>) -> Option<(&'s Word, IpAddr)> {
    let word = cx.argument(statement, 1)?;
    let address = arguments::address(&word.text);
    if address.is_none() {
        let keyword = statement.keyword();
        let text = format!("Invalid {keyword} address {} - ignoring", word.text);
        cx.error("checker-address", word, text);
    }
    address.map(|address| (word, address))
}

fn port(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let keyword = statement.keyword();
    number(cx, statement, PORT, |text| {
        format!("Invalid checker {keyword} '{text}'")
    });
}

/// The longest name of an interface, in bytes.
const INTERFACE_NAME_MAX: usize = 15;

fn bind_if(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    if word.text.len() > INTERFACE_NAME_MAX {
        let text = format!("Interface name {} is too long - ignoring", word.text);
        cx.error("checker-interface", word, text);
        return;
    }
    draft.has_bind_if = true;
}

fn timeout(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid = |text: &str| format!("connect_timeout {text} invalid - ignoring");
    connect_timeout(cx, statement, invalid);
}

fn fwmark(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid = |text: &str| format!("Invalid fwmark connection value '{text}'");
    number(cx, statement, UNSIGNED, invalid);
}

fn retry(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid = |text: &str| format!("Invalid retry connection value '{text}'");
    number(cx, statement, UNSIGNED, invalid);
}

fn delay_before_retry(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid = |text: &str| format!("Invalid delay_before_retry connection value '{text}'");
    time(cx, statement, invalid);
}

fn warmup(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid = |text: &str| format!("Invalid warmup connection value '{text}'");
    time(cx, statement, invalid);
}

fn delay_loop(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid = |text: &str| format!("delay_loop '{text}' is invalid - ignoring");
    interval(cx, statement, invalid);
}

fn log_all_failures(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    cx.switch(statement, |text| {
        format!("Invalid log_all_failures parameter {text}")
    });
}

/// `alpha [BOOL]`
pub fn alpha(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    cx.switch(statement, |text| format!("Invalid alpha parameter {text}"));
}
