//! The lines `ADDR[/LEN] [options]` of `virtual_ipaddress`,
//! `virtual_ipaddress_excluded` and `static_ipaddress` (specification C.1).
//!
//! Decides what one line means. Addresses that stand twice, and families that
//! do not fit, are found in `resolve`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::super::diagnostic::Diagnostic;
use super::super::lex::{Origin, Word};
use super::super::model::{Family, PreferredLifetime, VirtualAddress};
use super::super::tree::Statement;
use super::Context;
use super::routing_words::{self, Owner, Words};
use super::vrrp_instance::Draft;

/// One line. The interface may still be missing.
#[derive(Debug, Clone)]
pub struct Line {
    /// Where it stands.
    pub origin: Origin,
    /// The address as it was written.
    pub written: String,
    /// `dev`
    pub device: Option<Word>,
    /// What it says; its interface is empty.
    address: VirtualAddress,
}

impl Line {
    /// The address itself.
    pub const fn address(&self) -> IpAddr {
        self.address.address
    }

    /// What the line means if `default_interface` is where it goes without `dev`;
    /// `shared` gives the name of an interface to all that have it.
    pub fn resolved(
        &self,
        default_interface: &str,
        shared: impl FnOnce(&str) -> Arc<str>,
    ) -> VirtualAddress {
        let device = self.device.as_ref().map(|word| word.text.as_str());
        let mut address = self.address.clone();
        address.interface = shared(device.unwrap_or(default_interface));
        address
    }
}

/// Linux allows 15 characters in a label.
const LABEL_MAX: usize = 15;

/// Reads `virtual_ipaddress_excluded`.
pub fn set_excluded(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let lines = read(statement, Owner::Instance, cx);
    draft.excluded.reserve_exact(lines.len());
    draft.excluded.extend(lines);
}

/// The lines of a block.
pub fn read(statement: &Statement, owner: Owner<'_>, cx: &mut Context<'_>) -> Vec<Line> {
    let mut lines = Vec::with_capacity(statement.inner().len());
    for value in statement.inner() {
        cx.expect_no_block(value);
        lines.extend(Reader::line(value, owner, cx));
    }
    lines
}

struct Reader<'s, 'o> {
    owner: Owner<'o>,
    /// The address as it was written.
    written: &'s str,
    has_length: bool,
    label: Option<&'s Word>,
    scope: Option<(&'s Word, u8)>,
    broadcast: Option<&'s Word>,
    line: Line,
}

impl<'s, 'o> Reader<'s, 'o> {
    /// `None` drops the line.
    fn line(statement: &'s Statement, owner: Owner<'o>, cx: &mut Context<'_>) -> Option<Line> {
        let mut words = Words::of(statement);
        let word = words.next()?;
        let Some((prefix, has_length)) = routing_words::prefix(word, cx) else {
            let text = format!("VRRP parsed invalid IP {}. skipping IP...", word.text);
            cx.error("address", word, text);
            return None;
        };
        let address = VirtualAddress::new(prefix.address, prefix.length, Arc::default());
        let mut reader = Self {
            owner,
            written: &word.text,
            has_length,
            label: None,
            scope: None,
            broadcast: None,
            line: Line {
                origin: word.origin,
                written: word.text.clone(),
                device: None,
                address,
            },
        };
        while let Some(option) = words.next() {
            if !reader.switch(option, cx) {
                reader.with_value(option, &mut words, cx)?;
            }
        }
        reader.finish(cx);
        Some(reader.line)
    }

    fn is_ipv6(&self) -> bool {
        self.line.address.address.is_ipv6()
    }

    /// Whether the option was one without a value.
    fn switch(&mut self, option: &Word, cx: &mut Context<'_>) -> bool {
        let is_ipv4 = !self.is_ipv6();
        let address = &mut self.line.address;
        match option.text.as_str() {
            "noprefixroute" => address.no_prefix_route = true,
            "no_track" => address.no_track = true,
            "home" => address.home = true,
            "-nodad" => address.detect_duplicates = true,
            "mngtmpaddr" => address.manage_temporary_addresses = true,
            "autojoin" => address.autojoin = true,
            "use_vmac" if matches!(self.owner, Owner::Instance) => address.use_vmac = true,
            _ => return false,
        }
        let matters_for_ipv6 = ["home", "-nodad", "mngtmpaddr", "autojoin"];
        if is_ipv4 && matters_for_ipv6.contains(&option.text.as_str()) {
            let text = format!("'{}' has no effect on an IPv4 address", option.text);
            let diagnostic = Diagnostic::hint("no-effect-yet", text);
            cx.found.push(diagnostic.at(&option.origin));
        }
        true
    }

    fn with_value(
        &mut self,
        option: &'s Word,
        words: &mut Words<'s>,
        cx: &mut Context<'_>,
    ) -> Option<()> {
        let written = self.written;
        let is_known = match option.text.as_str() {
            "dev" | "scope" | "brd" | "broadcast" | "label" | "peer" | "preferred_lft" => true,
            "track_group" => matches!(self.owner, Owner::Static(_)),
            _ => false,
        };
        if !is_known {
            let name = &option.text;
            let text = format!("Unknown configuration entry '{name}' for ip address - ignoring");
            cx.error("address-option", option, text);
            return Some(());
        }
        let Some(value) = words.next() else {
            let text = format!("No {} parameter specified for {written}", option.text);
            cx.error("address-option", option, text);
            return None;
        };
        match option.text.as_str() {
            "dev" => self.device(value, cx)?,
            "scope" => {
                let invalid = |text: &str| {
                    format!("Invalid scope '{text}' specified for {written} - ignoring")
                };
                self.scope = routing_words::scope(value, cx, invalid).map(|scope| (value, scope));
            }
            "label" if value.text.len() > LABEL_MAX => {
                let text = format!(
                    "Address label {} is longer than maximum length {LABEL_MAX} - removing address",
                    value.text
                );
                cx.error("address-label", value, text);
                return None;
            }
            "label" => self.label = Some(value),
            "peer" => self.peer(value, cx),
            "preferred_lft" => self.preferred_lifetime(value, cx),
            "track_group" => {
                if let Owner::Static(groups) = self.owner {
                    let slot = &mut self.line.address.track_group;
                    routing_words::track_group(groups, slot, value, cx);
                }
            }
            _ => self.broadcast(option, value, cx)?,
        }
        Some(())
    }

    fn device(&mut self, value: &Word, cx: &mut Context<'_>) -> Option<()> {
        if self.line.device.is_some() {
            let text = format!(
                "Cannot specify ipaddress device more than once for {}",
                self.written
            );
            cx.error("address-option", value, text);
            return None;
        }
        self.line.device = Some(value.clone());
        Some(())
    }

    fn peer(&mut self, value: &Word, cx: &mut Context<'_>) {
        if self.has_length {
            let text = "Cannot specify address prefix when specifying peer address - ignoring";
            cx.error("address-peer", value, text.to_string());
        }
        let Some(peer) = routing_words::address(value) else {
            let text = format!("Invalid peer address {}", value.text);
            cx.error("address-peer", value, text);
            return;
        };
        if peer.is_ipv6() != self.is_ipv6() {
            let text = format!("Peer address {peer} does not match address family");
            cx.error("address-peer", value, text);
            return;
        }
        self.line.address.peer = Some(peer);
    }

    fn preferred_lifetime(&mut self, value: &Word, cx: &mut Context<'_>) {
        let invalid = |text: &str| format!("preferred_lft {text} is invalid");
        let lifetime = if value.text == "forever" {
            Some(PreferredLifetime::Forever)
        } else {
            routing_words::number(value, u32::MAX, cx, invalid).map(PreferredLifetime::Seconds)
        };
        if lifetime.is_some() {
            self.line.address.preferred_lifetime = lifetime;
        }
    }

    /// `None` drops the line.
    fn broadcast(&mut self, option: &Word, value: &'s Word, cx: &mut Context<'_>) -> Option<()> {
        let IpAddr::V4(address) = self.line.address.address else {
            let text = format!(
                "VRRP is trying to assign a broadcast {} to the IPv6 address {} !!?? WTF... \
                 skipping VIP...",
                option.text, self.written
            );
            cx.error("broadcast", option, text);
            return None;
        };
        let length = self.line.address.prefix_length;
        let host_bits = u32::MAX.checked_shr(u32::from(length)).unwrap_or(0);
        let broadcast = match value.text.as_str() {
            "+" | "-" if length > 30 => {
                let text = format!("Address prefix length {length} too long for broadcast");
                cx.error("broadcast", value, text);
                return Some(());
            }
            "+" => Ipv4Addr::from_bits(address.to_bits() | host_bits),
            "-" => Ipv4Addr::from_bits(address.to_bits() & !host_bits),
            text => {
                let Ok(broadcast) = text.parse() else {
                    let text = format!(
                        "VRRP is trying to assign invalid broadcast {text}. skipping VIP..."
                    );
                    cx.error("broadcast", value, text);
                    return None;
                };
                broadcast
            }
        };
        self.broadcast = Some(value);
        self.line.address.broadcast = Some(broadcast.into());
        Some(())
    }

    /// What can be said only when all options are known.
    fn finish(&mut self, cx: &mut Context<'_>) {
        let written = self.written;
        let is_ipv6 = self.is_ipv6();
        match self.scope {
            Some((word, scope)) if is_ipv6 && scope != 0 => {
                let text =
                    format!("Cannot specify scope for IPv6 addresses ({written}) - ignoring scope");
                cx.error("address-option", word, text);
            }
            Some((_, scope)) => self.line.address.scope = scope,
            None => {}
        }
        match self.label {
            Some(word) if is_ipv6 => {
                let text =
                    format!("Cannot specify label for IPv6 addresses ({written}) - ignoring label");
                cx.error("address-option", word, text);
            }
            label => self.line.address.label = label.map(|word| word.text.clone()),
        }
        if self.line.address.peer.is_none() {
            return;
        }
        let address = &mut self.line.address;
        address.prefix_length = Family::of(&address.address).prefix_length_max();
        if let (Some(word), Some(_)) = (self.broadcast, address.broadcast.take()) {
            let text = "Cannot specify broadcast and peer addresses - ignoring broadcast address";
            cx.error("broadcast", word, text.to_string());
        }
    }
}
