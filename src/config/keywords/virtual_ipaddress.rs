//! The lines of `virtual_ipaddress { ADDR[/LEN] [options] }` (specification C.1).

use std::net::{IpAddr, Ipv4Addr};

use super::super::arguments;
use super::super::diagnostic::Diagnostic;
use super::super::lex::{Origin, Word};
use super::super::tree::Statement;
use super::Context;
use super::vrrp_instance::Draft;

/// One line. The interface may still be missing.
#[derive(Debug, Clone)]
pub struct Line {
    /// Where it stands.
    pub origin: Origin,
    /// The address.
    pub address: IpAddr,
    /// Prefix length, 32 if none was written.
    pub prefix_length: u8,
    /// `dev`
    pub interface: Option<String>,
    /// `scope`
    pub scope: u8,
    /// `brd`
    pub broadcast: Option<IpAddr>,
    /// `label`
    pub label: Option<String>,
    /// `peer`
    pub peer: Option<IpAddr>,
    /// `noprefixroute`
    pub no_prefix_route: bool,
    /// `no_track`
    pub no_track: bool,
}

/// Linux allows 15 characters in a label.
const LABEL_MAX: usize = 15;

/// Reads the block.
pub fn set(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    for value in statement.inner() {
        cx.expect_no_block(value);
        if let Some(line) = read(draft, value, cx) {
            draft.addresses.push(line);
        }
    }
}

/// What an option does to its line.
enum Verdict {
    Keep,
    Drop,
}

fn read(draft: &Draft, statement: &Statement, cx: &mut Context<'_>) -> Option<Line> {
    let word = statement.word(0)?;
    let (text, length) = arguments::address_and_length(&word.text);
    let Some(address) = arguments::address(text) else {
        let text = format!("VRRP parsed invalid IP {text}. skipping IP...");
        cx.error("address", word, text);
        return None;
    };
    if address.is_ipv6() {
        let text = format!(
            "({}) IPv6 address {address} does not work yet",
            draft.name.text
        );
        cx.found
            .push(Diagnostic::fatal("does-not-work-yet", text).at(&word.origin));
        return None;
    }
    let mut line = Line {
        origin: word.origin,
        address,
        prefix_length: 32,
        interface: None,
        scope: 0,
        broadcast: None,
        label: None,
        peer: None,
        no_prefix_route: false,
        no_track: false,
    };
    if let Some(length) = length {
        let invalid = || {
            let text = &word.text;
            format!("Invalid address prefix len {length} for address {text} - using 32")
        };
        let value = cx.usable(word, arguments::number(length, 0..=32), invalid);
        line.prefix_length = value
            .and_then(|value| u8::try_from(value).ok())
            .unwrap_or(32);
    }
    options(&mut line, statement, length.is_some(), cx)?;
    Some(line)
}

/// Reads the options; `None` drops the whole line.
fn options(
    line: &mut Line,
    statement: &Statement,
    has_length: bool,
    cx: &mut Context<'_>,
) -> Option<()> {
    let mut words = statement.arguments().iter();
    while let Some(option) = words.next() {
        match option.text.as_str() {
            "dev" | "scope" | "brd" | "broadcast" | "label" | "peer" | "preferred_lft" => {
                let Some(value) = words.next() else {
                    let text = format!(
                        "No {} parameter specified for {}",
                        option.text, line.address
                    );
                    cx.error("address-option", option, text);
                    return None;
                };
                if let Verdict::Drop = with_value(line, option, value, has_length, cx) {
                    return None;
                }
            }
            "noprefixroute" => line.no_prefix_route = true,
            "no_track" => line.no_track = true,
            // They matter for IPv6 only.
            "home" | "-nodad" | "mngtmpaddr" | "autojoin" => {
                let text = format!("'{}' has no effect on an IPv4 address", option.text);
                cx.found
                    .push(Diagnostic::hint("no-effect-yet", text).at(&option.origin));
            }
            "use_vmac" | "track_group" => {
                let text = format!("'{}' does not work yet", option.text);
                cx.found
                    .push(Diagnostic::fatal("does-not-work-yet", text).at(&option.origin));
            }
            other => {
                let text =
                    format!("Unknown configuration entry '{other}' for ip address - ignoring");
                cx.error("address-option", option, text);
            }
        }
    }
    if line.peer.is_some() {
        line.broadcast = None;
        line.prefix_length = 32;
    }
    Some(())
}

fn with_value(
    line: &mut Line,
    option: &Word,
    value: &Word,
    has_length: bool,
    cx: &mut Context<'_>,
) -> Verdict {
    let text = value.text.as_str();
    match option.text.as_str() {
        "dev" => {
            if line.interface.is_some() {
                let text = format!("Cannot specify multiple interfaces for {}", line.address);
                cx.error("address-option", option, text);
                return Verdict::Drop;
            }
            line.interface = Some(text.to_string());
        }
        "scope" => match scope(text) {
            Some(scope) => line.scope = scope,
            None => {
                let text = format!(
                    "Invalid scope '{text}' specified for {} - ignoring",
                    line.address
                );
                cx.error("address-option", value, text);
            }
        },
        "brd" | "broadcast" => broadcast(line, value, cx),
        "label" if text.len() > LABEL_MAX => {
            let text = format!(
                "Address label {text} is longer than maximum length {LABEL_MAX} - removing address"
            );
            cx.error("address-label", value, text);
            return Verdict::Drop;
        }
        "label" => line.label = Some(text.to_string()),
        "peer" => peer(line, value, has_length, cx),
        // `preferred_lft` matters for IPv6 only.
        _ => {}
    }
    Verdict::Keep
}

fn scope(text: &str) -> Option<u8> {
    match text {
        "global" => Some(0),
        "site" => Some(200),
        "link" => Some(253),
        "host" => Some(254),
        "nowhere" => Some(255),
        number => number.parse().ok(),
    }
}

fn broadcast(line: &mut Line, value: &Word, cx: &mut Context<'_>) {
    let IpAddr::V4(address) = line.address else {
        return;
    };
    let host_bits = u32::MAX
        .checked_shr(u32::from(line.prefix_length))
        .unwrap_or(0);
    match value.text.as_str() {
        "+" | "-" if line.prefix_length > 30 => {
            let text = format!(
                "Address prefix length {} too long for broadcast",
                line.prefix_length
            );
            cx.error("broadcast", value, text);
        }
        "+" => line.broadcast = Some(Ipv4Addr::from_bits(address.to_bits() | host_bits).into()),
        "-" => line.broadcast = Some(Ipv4Addr::from_bits(address.to_bits() & !host_bits).into()),
        text => match text.parse::<Ipv4Addr>() {
            Ok(address) => line.broadcast = Some(address.into()),
            Err(_) => {
                let text = format!("Invalid broadcast address {text} for {address} - ignoring");
                cx.error("broadcast", value, text);
            }
        },
    }
}

fn peer(line: &mut Line, value: &Word, has_length: bool, cx: &mut Context<'_>) {
    if has_length {
        let text = "Cannot specify address prefix when specifying peer address - ignoring";
        cx.error("address-peer", value, text.to_string());
    }
    match value.text.parse::<Ipv4Addr>() {
        Ok(address) => line.peer = Some(address.into()),
        Err(_) => {
            let text = format!("Invalid peer address {} - ignoring", value.text);
            cx.error("address-peer", value, text);
        }
    }
}
