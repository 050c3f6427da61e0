//! What the lines of addresses, routes and rules have in common: words one after
//! the other, prefixes, numbers, and the names of tables and the like.
//!
//! Source: specification C.1 to C.3.

use std::net::IpAddr;

use crate::hashing::QuickSet;

use super::super::arguments::{self, NumberProblem};
use super::super::diagnostic::Diagnostic;
use super::super::lex::Word;
use super::super::machine::RoutingNames;
use super::super::model::{Family, Prefix, Realms, RoutingName};
use super::super::tree::Statement;
use super::Context;

/// Whose line it is.
#[derive(Debug, Clone, Copy)]
pub enum Owner<'a> {
    /// An instance.
    Instance,
    /// Nobody: a static one, which may follow one of these groups.
    Static(&'a QuickSet<String>),
}

/// The words of a line, one after the other.
pub struct Words<'s> {
    statement: &'s Statement,
    next: usize,
}

impl<'s> Words<'s> {
    /// All words of the line.
    pub const fn of(statement: &'s Statement) -> Self {
        Self { statement, next: 0 }
    }

    /// The next word, which stays.
    pub fn peek(&self) -> Option<&'s Word> {
        self.statement.word(self.next)
    }

    /// Whether the next word is this one; it is passed over then.
    pub fn accept(&mut self, text: &str) -> bool {
        let is_next = self.peek().is_some_and(|word| word.text == text);
        if is_next {
            self.next = self.next.saturating_add(1);
        }
        is_next
    }

    /// The argument of the word before. C ends at once without it.
    pub fn argument(&mut self, cx: &mut Context<'_>) -> Option<&'s Word> {
        let word = cx.argument(self.statement, self.next);
        self.next = self.next.saturating_add(1);
        word
    }
}

impl<'s> Iterator for Words<'s> {
    type Item = &'s Word;

    fn next(&mut self) -> Option<&'s Word> {
        let word = self.peek()?;
        self.next = self.next.saturating_add(1);
        Some(word)
    }
}

/// `ADDR[/LEN]`; what is no address gives `None` and no message. A length that
/// cannot be used is that of a single address, as the message says. The flag is
/// whether a length was written.
pub fn prefix(word: &Word, cx: &mut Context<'_>) -> Option<(Prefix, bool)> {
    let (text, length) = arguments::address_and_length(&word.text);
    let address = arguments::address(text)?;
    let max = Family::of(&address).prefix_length_max();
    let Some(length) = length else {
        let length = max;
        return Some((Prefix { address, length }, false));
    };
    let invalid = || {
        let text = &word.text;
        format!("Invalid address prefix len {length} for address {text} - using {max}")
    };
    let value = cx.usable(word, arguments::number(length, 0..=i64::from(max)), invalid);
    let length = value
        .and_then(|value| u8::try_from(value).ok())
        .unwrap_or(max);
    Some((Prefix { address, length }, true))
}

/// The words for all addresses.
pub fn is_everything(text: &str) -> bool {
    matches!(text, "default" | "any" | "all")
}

/// A number with nothing behind it, or an error.
pub fn number<N: TryFrom<i64>>(
    word: &Word,
    max: u32,
    cx: &mut Context<'_>,
    invalid: impl FnOnce(&str) -> String,
) -> Option<N> {
    let result = arguments::number(&word.text, 0..=i64::from(max));
    let result = result.map_err(|problem| NumberProblem {
        usable: None,
        ..problem
    });
    let value = cx.usable(word, result, || invalid(&word.text))?;
    N::try_from(value).ok()
}

/// A number, or a name. A name that the machine does not know is told of, and
/// kept: the other process may read the text elsewhere or later.
pub fn named(
    names: RoutingNames,
    word: &Word,
    cx: &mut Context<'_>,
    invalid: impl FnOnce(&str) -> String,
) -> Option<RoutingName> {
    named_text(names, word, &word.text, cx, invalid)
}

/// A scope by number or by a name that every machine has. It becomes a part of an
/// address, so no file of the machine may change it.
pub fn scope(word: &Word, cx: &mut Context<'_>, invalid: impl Fn(&str) -> String) -> Option<u8> {
    let text = &word.text;
    let number = well_known(RoutingNames::Scopes, text).map(u64::from);
    let number = number.or_else(|| arguments::any_base(text));
    let scope = number.and_then(|scope| u8::try_from(scope).ok());
    if scope.is_none() {
        cx.error("address-option", word, invalid(text));
    }
    scope
}

/// `[FROM/]TO`
pub fn realms(
    word: &Word,
    cx: &mut Context<'_>,
    mut invalid: impl FnMut(&str) -> String,
) -> Option<Realms> {
    let (from, to) = match word.text.split_once('/') {
        Some((from, to)) => (Some(from), to),
        None => (None, word.text.as_str()),
    };
    let names = RoutingNames::Realms;
    let mut realm = |text| named_text(names, word, text, cx, |_| invalid(&word.text));
    let from = match from {
        Some(from) => realm(from)?,
        None => RoutingName::Number(0),
    };
    let to = realm(to)?;
    Some(Realms { from, to })
}

/// `track_group NAME` of a static line. C knows only groups that stand before.
pub fn track_group(
    groups: &QuickSet<String>,
    slot: &mut Option<String>,
    word: &Word,
    cx: &mut Context<'_>,
) {
    let name = &word.text;
    if slot.is_some() {
        let text = format!("track_group {name} is a duplicate");
        cx.error("track-group", word, text);
    } else if groups.contains(name) {
        *slot = Some(name.clone());
    } else {
        let text = format!("track_group {name} not found");
        let diagnostic = Diagnostic::error("track-group", text).at(&word.origin);
        let help = "A `track_group` must stand before the lines that name it.";
        cx.found.push(diagnostic.help(help));
    }
}

/// An address without a length.
pub fn address(word: &Word) -> Option<IpAddr> {
    arguments::address(&word.text)
}

fn named_text(
    names: RoutingNames,
    word: &Word,
    text: &str,
    cx: &mut Context<'_>,
    invalid: impl FnOnce(&str) -> String,
) -> Option<RoutingName> {
    if let Some(number) = well_known(names, text) {
        return Some(RoutingName::Number(number));
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) || text.is_empty() {
        let max = largest(names);
        let number = arguments::any_base(text).and_then(|value| u32::try_from(value).ok());
        let number = number.filter(|value| *value <= max);
        if number.is_none() {
            let help = format!("It must be a name or a number from 0 to {max}.");
            let diagnostic = Diagnostic::error("routing-name", invalid(text));
            cx.found.push(diagnostic.at(&word.origin).help(help));
        }
        return number.map(RoutingName::Number);
    }
    if !cx.machine.knows_routing_name(names, text) {
        let diagnostic = Diagnostic::warning("routing-name", invalid(text));
        let help = "No file of this machine gives this name a number.";
        cx.found.push(diagnostic.at(&word.origin).help(help));
    }
    Some(RoutingName::Name(text.to_string()))
}

const fn largest(names: RoutingNames) -> u32 {
    match names {
        RoutingNames::Tables | RoutingNames::Groups => u32::MAX,
        RoutingNames::Realms => u16::MAX as u32,
        _ => u8::MAX as u32,
    }
}

/// The names that mean the same on every machine.
fn well_known(names: RoutingNames, text: &str) -> Option<u32> {
    let known: &[(&str, u32)] = match names {
        RoutingNames::Tables => &[
            ("unspec", 0),
            ("default", 253),
            ("main", 254),
            ("local", 255),
        ],
        RoutingNames::Protocols => &[
            ("unspec", 0),
            ("redirect", 1),
            ("kernel", 2),
            ("boot", 3),
            ("static", 4),
            ("gated", 8),
            ("ra", 9),
            ("mrt", 10),
            ("zebra", 11),
            ("bird", 12),
            ("dnrouted", 13),
            ("xorp", 14),
            ("ntk", 15),
            ("dhcp", 16),
            ("keepalived", 18),
            ("babel", 42),
            ("bgp", 186),
            ("isis", 187),
            ("ospf", 188),
            ("rip", 189),
            ("eigrp", 192),
        ],
        RoutingNames::Scopes => &[
            ("global", 0),
            ("site", 200),
            ("link", 253),
            ("host", 254),
            ("nowhere", 255),
        ],
        RoutingNames::TypesOfService => return type_of_service(text),
        RoutingNames::Realms => &[("cosmos", 0)],
        RoutingNames::Groups => &[("default", 0)],
        RoutingNames::IpProtocols => &[
            ("ip", 0),
            ("icmp", 1),
            ("igmp", 2),
            ("tcp", 6),
            ("udp", 17),
            ("dccp", 33),
            ("gre", 47),
            ("esp", 50),
            ("ah", 51),
            ("ipv6-icmp", 58),
            ("ospf", 89),
            ("vrrp", 112),
            ("sctp", 132),
            ("udplite", 136),
        ],
    };
    let row = known.iter().find(|(name, _)| *name == text);
    row.map(|(_, number)| *number)
}

/// Names of differentiated services (RFC 2474, RFC 2597, RFC 3246).
fn type_of_service(text: &str) -> Option<u32> {
    let digit = |c: char, max: u32| c.to_digit(10).filter(|digit| *digit <= max);
    let mut end = text.get(2..)?.chars();
    let (first, second, rest) = (end.next(), end.next(), end.next());
    match (text.get(..2)?, first, second, rest) {
        _ if text == "default" => Some(0),
        ("EF", None, None, None) => Some(0xb8),
        ("CS", Some(class), None, None) => digit(class, 7).map(|class| class << 5),
        ("AF", Some(class), Some(drop), None) => {
            let class = digit(class, 4).filter(|class| *class > 0)?;
            let drop = digit(drop, 3).filter(|drop| *drop > 0)?;
            Some(class << 5 | drop << 3)
        }
        _ => None,
    }
}
