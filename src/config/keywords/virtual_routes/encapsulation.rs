//! `encap ip|ip6|mpls|ila ...` of a route or of one of its ways.

use nom::Parser;
use nom::character::complete::{char as character, digit1};
use nom::combinator::{all_consuming, map_opt};
use nom::multi::separated_list1;

use super::super::super::arguments;
use super::super::super::diagnostic::Diagnostic;
use super::super::super::lex::Word;
use super::super::super::machine::RoutingNames;
use super::super::super::model::{Encapsulation, Family, IpEncapsulation};
use super::super::Context;
use super::super::routing_words::{self, Words};

/// Reads what stands behind the word `encap`; `kind` is the first word of it.
pub(super) fn read(
    kind: &Word,
    words: &mut Words<'_>,
    cx: &mut Context<'_>,
) -> Option<Encapsulation> {
    match kind.text.as_str() {
        "ip" => tunnel(kind, Family::Inet, words, cx).map(Encapsulation::Ip),
        "ip6" => tunnel(kind, Family::Inet6, words, cx).map(Encapsulation::Ip6),
        "mpls" => {
            let word = words.argument(cx)?;
            let labels = labels(&word.text);
            if labels.is_none() {
                let text = format!("invalid mpls address {} for encapsulation", word.text);
                let diagnostic = Diagnostic::error("route", text).at(&word.origin);
                let help = "One or two labels below 1048576, for example 100/200.";
                cx.found.push(diagnostic.help(help));
            }
            labels.map(Encapsulation::Mpls)
        }
        "ila" => {
            let word = words.argument(cx)?;
            let locator = locator(&word.text);
            if locator.is_none() {
                let text = format!("invalid locator {} for ila encapsulation", word.text);
                cx.error("route", word, text);
            }
            locator.map(Encapsulation::Ila)
        }
        other => {
            let text = format!("Unknown encap type - {other}");
            cx.error("route", kind, text);
            None
        }
    }
}

fn tunnel(
    kind: &Word,
    family: Family,
    words: &mut Words<'_>,
    cx: &mut Context<'_>,
) -> Option<IpEncapsulation> {
    let mut tunnel = IpEncapsulation::default();
    let name = kind.text.as_str();
    while let Some(option) = words.peek() {
        let is_ip6 = family == Family::Inet6;
        match (option.text.as_str(), is_ip6) {
            ("id" | "dst" | "src" | "flags", _)
            | ("tos" | "dsfield" | "ttl", false)
            | ("tc" | "hoplimit", true) => words.next(),
            _ => break,
        };
        let value = words.argument(cx)?;
        tunnel_option(&mut tunnel, name, option, value, cx)?;
    }
    if tunnel.id.is_none() && tunnel.destination.is_none() && tunnel.source.is_none() {
        let text = format!("address or id missing for {name} encapsulation");
        cx.error("route", kind, text);
        return None;
    }
    Some(tunnel)
}

fn tunnel_option(
    tunnel: &mut IpEncapsulation,
    kind: &str,
    option: &Word,
    value: &Word,
    cx: &mut Context<'_>,
) -> Option<()> {
    let is_ip6 = kind == "ip6";
    match option.text.as_str() {
        "id" => {
            let text = &value.text;
            tunnel.id = arguments::any_base(text);
            if tunnel.id.is_none() {
                let text = if is_ip6 {
                    format!("id {text} value invalid for IPv6 encapsulation")
                } else {
                    format!("encap id {text} value is invalid")
                };
                cx.error("route", value, text);
                return None;
            }
        }
        "dst" | "src" => {
            let Some(address) = routing_words::address(value) else {
                let text = format!("Invalid encap {kind} {} {}", option.text, value.text);
                cx.error("route", value, text);
                return None;
            };
            if address.is_ipv6() != is_ip6 {
                let other = if is_ip6 { "IPv4" } else { "IPv6" };
                let text = format!("{other} address {address} not valid for {kind} encapsulation");
                cx.error("route", value, text);
                return None;
            }
            if option.text == "dst" {
                tunnel.destination = Some(address);
            } else {
                tunnel.source = Some(address);
            }
        }
        "flags" => {
            let invalid =
                |text: &str| format!("flags {text} is not valid for {kind} encapsulation");
            tunnel.flags = Some(routing_words::number(value, 0xffff, cx, invalid)?);
        }
        "ttl" | "hoplimit" => {
            let invalid = |text: &str| {
                if is_ip6 {
                    format!("Invalid hoplimit {text} specified for ip6 encapsulation")
                } else {
                    format!("ttl {text} is not valid for ip encapsulation")
                }
            };
            tunnel.ttl = Some(routing_words::number(value, 255, cx, invalid)?);
        }
        _ => {
            let invalid = |text: &str| {
                if is_ip6 {
                    format!("tc value {text} is invalid for ip6 encapsulation")
                } else {
                    format!("dsfield {text} not valid for ip encapsulation")
                }
            };
            let names = RoutingNames::TypesOfService;
            tunnel.tos = Some(routing_words::named(names, value, cx, invalid)?);
        }
    }
    Some(())
}

/// `LABEL[/LABEL]`, 20 bits each.
fn labels(text: &str) -> Option<Vec<u32>> {
    let label = map_opt(digit1::<_, nom::error::Error<&str>>, |digits: &str| {
        let label = digits.parse::<u32>().ok();
        label.filter(|label| *label < 1 << 20)
    });
    let (_, labels) = all_consuming(separated_list1(character('/'), label))
        .parse(text)
        .ok()?;
    (labels.len() <= 2).then_some(labels)
}

/// Four hexadecimal groups of 16 bits, `A:B:C:D`.
fn locator(text: &str) -> Option<u64> {
    let mut groups = text.split(':');
    let mut locator = 0_u64;
    for _ in 0..4 {
        let group = groups.next()?;
        if !group.starts_with(|c: char| c.is_ascii_hexdigit()) {
            return None;
        }
        locator = locator << 16 | u64::from(u16::from_str_radix(group, 16).ok()?);
    }
    groups.next().is_none().then_some(locator)
}
