//! The balancer's blocks as syntax: names, arguments, nesting, and C's messages.
//!
//! Decides what may stand in them and what is wrong with it. Nothing of it is
//! carried out, so nothing of it reaches the configuration: a file with these
//! blocks is refused unless the option that leaves the checkers out is given.
//! A VIP in front of an empty table of the kernel would be an outage.
//! Source: keepalived-lvs.md, sections 0, A, B, D.

use std::collections::HashSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use crate::time::Interval;

use super::super::arguments::{self, NumberProblem};
use super::super::diagnostic::{Class, Collector, Diagnostic, Severity};
use super::super::lex::{Origin, Word};
use super::super::tree::Statement;
use super::{Context, Keyword, decisive};

pub mod bfd_check;
pub mod bfd_instance;
pub mod checker;
pub mod dns_check;
pub mod file_check;
pub mod http_get;
pub mod misc_check;
pub mod ping_check;
pub mod real_server;
pub mod smtp_check;
pub mod ssl;
pub mod tcp_check;
pub mod udp_check;
pub mod virtual_server;
pub mod virtual_server_group;

/// What was read of the balancer's blocks.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// `virtual_server` in order.
    pub virtual_servers: Vec<virtual_server::Draft>,
    /// `virtual_server_group` in order.
    pub groups: Vec<virtual_server_group::Draft>,
    /// Whether there was an `SSL` block.
    pub has_ssl: bool,
    /// `bfd_instance` in order.
    pub bfd_instances: Vec<bfd_instance::Draft>,
    /// The ends of their sessions.
    pub bfd_ends: HashSet<bfd_instance::Ends>,
}

/// What holds for the blocks together (keepalived-lvs.md A.1, A.3).
pub fn complete(draft: &Draft, without_checkers: bool, found: &mut Collector) {
    found.lower_to_warnings(without_checkers);
    virtual_server::complete(draft, found);
    found.lower_to_warnings(false);
}

/// A row of a block that is refused as a whole.
pub const fn part<T: 'static>(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    set: fn(&mut T, &Statement, &mut Context<'_>),
) -> Keyword<T> {
    decisive(name, args, doc, set).unless(|_| true)
}

/// The rows of two tables; `N` is the sum of their lengths.
pub const fn joined<T: 'static, const N: usize>(
    first: &[Keyword<T>],
    second: &[Keyword<T>],
) -> [Keyword<T>; N] {
    let mut rows = [first[0]; N];
    let mut index = 1;
    while index < N {
        rows[index] = if index < first.len() {
            first[index]
        } else {
            second[index - first.len()]
        };
        index += 1;
    }
    rows
}

/// Reads a block of the balancer: refused, or, without checkers, only looked at.
pub fn read_block(
    statement: &Statement,
    is_left_out: bool,
    help: &str,
    cx: &mut Context<'_>,
    read: impl FnOnce(&mut Context<'_>),
) {
    cx.found.lower_to_warnings(is_left_out);
    read(cx);
    cx.found.lower_to_warnings(false);
    if is_left_out {
        return;
    }
    let text = format!("'{}' does not work yet", statement.keyword());
    let diagnostic = Diagnostic::new("does-not-work-yet", Severity::Fatal, Class::None, text);
    cx.found
        .push(diagnostic.at(&statement.keyword_origin()).help(help));
}

/// What to do about a block of the balancer.
pub const WITHOUT_CHECKERS: &str = "With -P (no checkers) the daemon skips it and does VRRP only.";

/// Reports an error about a whole line.
pub fn error(cx: &mut Context<'_>, code: &'static str, statement: &Statement, text: String) {
    let origin = statement.line.whole();
    cx.found.push(Diagnostic::error(code, text).at(&origin));
}

/// Reports an error that is found at the end of a block.
pub fn error_at_end(cx: &mut Context<'_>, code: &'static str, statement: &Statement, text: String) {
    let origin = statement.end();
    let label = statement.keyword_origin().span;
    let diagnostic = Diagnostic::error(code, text).at(&origin);
    cx.found
        .push(diagnostic.label(label, "the block begins here"));
}

/// The argument of a keyword with one number, which nothing may follow.
pub fn number(
    cx: &mut Context<'_>,
    statement: &Statement,
    range: RangeInclusive<i64>,
    invalid: impl FnOnce(&str) -> String,
) -> Option<i64> {
    let word = cx.argument(statement, 1)?;
    number_of(cx, word, range, invalid)
}

/// The number that a word is.
pub fn number_of(
    cx: &mut Context<'_>,
    word: &Word,
    range: RangeInclusive<i64>,
    invalid: impl FnOnce(&str) -> String,
) -> Option<i64> {
    let whole = |problem: NumberProblem<i64>| NumberProblem {
        usable: None,
        ..problem
    };
    let result = arguments::number(&word.text, range).map_err(whole);
    cx.usable(word, result, || invalid(&word.text))
}

/// Reads a time that may be zero.
pub fn time(cx: &mut Context<'_>, statement: &Statement, invalid: impl FnOnce(&str) -> String) {
    cx.seconds(statement, 6, Interval::ZERO..=TIME_MAX, invalid);
}

/// Reads a time between two checks.
pub fn interval(cx: &mut Context<'_>, statement: &Statement, invalid: impl FnOnce(&str) -> String) {
    cx.seconds(statement, 6, Interval::from_us(1)..=TIME_MAX, invalid);
}

/// Reads the time after which a connection has failed.
pub fn connect_timeout(
    cx: &mut Context<'_>,
    statement: &Statement,
    invalid: impl FnOnce(&str) -> String,
) {
    let longest = Interval::from_us(4_294_967_295);
    cx.seconds(statement, 6, Interval::from_us(1)..=longest, invalid);
}

/// The longest time that C keeps.
const TIME_MAX: Interval = Interval::from_us(u64::MAX - 1);

/// An unsigned number of C, 32 bits.
pub const UNSIGNED: RangeInclusive<i64> = 0..=4_294_967_295;
/// An unsigned number of C that is not zero.
pub const POSITIVE: RangeInclusive<i64> = 1..=4_294_967_295;
/// A port.
pub const PORT: RangeInclusive<i64> = 1..=65_535;

/// Why an address with a port cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidEndpoint;

/// `IP [PORT]` from word `index` on. A port of zeros is none.
///
/// # Errors
/// If the address or the port is none.
pub fn endpoint(
    statement: &Statement,
    index: usize,
) -> Result<(IpAddr, Option<u16>), InvalidEndpoint> {
    let address = statement
        .word(index)
        .and_then(|word| arguments::address(&word.text));
    let address = address.ok_or(InvalidEndpoint)?;
    let Some(port) = statement.word(index.saturating_add(1)) else {
        return Ok((address, None));
    };
    Ok((address, port_of(&port.text)?))
}

/// A port; one of zeros is none.
///
/// # Errors
/// If it is no number up to 65535.
pub fn port_of(text: &str) -> Result<Option<u16>, InvalidEndpoint> {
    if !text.is_empty() && text.bytes().all(|digit| digit == b'0') {
        return Ok(None);
    }
    let port = arguments::number(text, PORT).map_err(|_| InvalidEndpoint)?;
    Ok(u16::try_from(port).ok())
}

/// `10.0.0.1/80`, `10.0.0.1`: two words as C shows them.
pub fn shown(statement: &Statement, index: usize) -> String {
    let words = statement.words.iter().skip(index).take(2);
    let words: Vec<&str> = words.map(|word| word.text.as_str()).collect();
    words.join("/")
}

/// How packets are sent to a real server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The address is translated.
    Nat,
    /// Only the address of the link layer is replaced.
    Direct,
    /// In a tunnel.
    Tunnel,
}

/// `NAT|DR|TUN [options]` (keepalived-lvs.md A.3); `whose` for messages.
pub fn method(cx: &mut Context<'_>, statement: &Statement, whose: &str) -> Option<Method> {
    let name = cx.argument(statement, 1)?;
    let method = match name.text.as_str() {
        "NAT" => Method::Nat,
        "DR" => Method::Direct,
        "TUN" => Method::Tunnel,
        other => {
            let text = format!("PARSER : unknown [{other}] routing method for {whose}.");
            cx.error("forwarding-method", name, text);
            return None;
        }
    };
    if let Err(text) = tunnel_options(statement, whose) {
        error(cx, "forwarding-method", statement, text);
    }
    Some(method)
}

/// `[type ipip|gue|gre] [port N] [nocsum|csum|remcsum]`
fn tunnel_options(statement: &Statement, whose: &str) -> Result<(), String> {
    let mut words = statement.words.iter().skip(2).map(|word| &*word.text);
    let (mut kind, mut port, mut checksum) = ("ipip", None, None);
    while let Some(word) = words.next() {
        match word {
            "type" => match words.next() {
                Some(name @ ("ipip" | "gue" | "gre")) => kind = name,
                Some(other) => return Err(format!("Unknown tunnel type {other} for {whose}.")),
                None => return Err(format!("Missing tunnel type for {whose}.")),
            },
            "port" => {
                let Some(text) = words.next() else {
                    return Err(format!("Missing port for {whose} gue tunnel."));
                };
                if arguments::number(text, PORT).is_err() {
                    return Err(format!("Invalid gue tunnel port {text} for {whose}."));
                }
                port = Some(text);
            }
            "nocsum" | "csum" | "remcsum" => checksum = Some(word),
            other => return Err(format!("Invalid tunnel option {other} for {whose}.")),
        }
    }
    if (kind == "gue") != port.is_some() {
        return Err("gue tunnels require port, otherwise cannot have port.".to_string());
    }
    match (kind, checksum) {
        ("ipip", Some("csum" | "remcsum")) => {
            Err("ipip tunnels do not support checksum option.".to_string())
        }
        ("gre", Some("remcsum")) => {
            Err("gre tunnels do not support remote checksum option.".to_string())
        }
        _ => Ok(()),
    }
}

/// A script that may be given once. `owner` is the block.
pub fn script_once(
    slot: &mut Option<Origin>,
    statement: &Statement,
    cx: &mut Context<'_>,
    owner: &str,
) {
    let Some(first) = *slot else {
        if cx.command(statement, true).is_some() {
            *slot = Some(statement.keyword_origin());
        }
        return;
    };
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    let (keyword, script) = (statement.keyword(), &word.text);
    let text = format!("({owner}) {keyword} script already specified - ignoring {script}");
    let diagnostic = Diagnostic::error("duplicate-script", text).at(&word.origin);
    cx.found
        .push(diagnostic.label(first.span, "the first one is here"));
}

/// A keyword whose text must be there.
pub fn text(cx: &mut Context<'_>, statement: &Statement, missing: &str) {
    if statement.word(1).is_none() {
        error(cx, "missing-value", statement, missing.to_string());
    }
}

/// `snmp_name NAME`
pub fn snmp_name(cx: &mut Context<'_>, statement: &Statement, whose: &str) {
    if statement.words.len() != 2 {
        let text = format!("{whose} snmp_name missing or extra parameters");
        error(cx, "snmp-name", statement, text);
    }
}
