//! What instances take over: version, strictness, multicast groups, delays.

use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;

use crate::time::Interval;

use super::super::super::diagnostic::Diagnostic;
use super::super::super::lex::Word;
use super::super::super::model::{DynamicInterfaces, Version};
use super::super::super::tree::Statement;
use super::super::Context;
use super::garp::tell_if_large;
use super::{Draft, wanted};

/// `vrrp_version`
pub fn version(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid = |_: &str| "VRRP Error: Version must be either 2 or 3".to_string();
    match cx.number(statement, 2..=3, invalid) {
        Some(2) => draft.globals.defaults.version = Some(Version::V2),
        Some(_) => draft.globals.defaults.version = Some(Version::V3),
        None => {}
    }
}

/// `vrrp_down_timer_adverts`
pub fn down_timer_adverts(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid = |text: &str| format!("Invalid vrrp_down_timer_adverts [1:100] '{text}'");
    let value = cx.number(statement, 1..=100, invalid);
    if let Some(value) = value.and_then(|value| u8::try_from(value).ok()) {
        draft.globals.defaults.down_timer_adverts = value;
    }
}

/// A multicast address of any family, or C's message.
fn multicast_group(
    family: &str,
    is_family: fn(&IpAddr) -> bool,
    statement: &Statement,
    word: &Word,
    cx: &mut Context<'_>,
) -> Option<IpAddr> {
    let (keyword, text) = (statement.keyword(), &word.text);
    let problem = match text.parse::<IpAddr>() {
        Ok(group) if !is_family(&group) => format!("{keyword} [{text}] is not {family}. Skipping"),
        Ok(group) if !group.is_multicast() => {
            format!("{keyword} [{text}] is not multicast. Skipping")
        }
        Ok(group) => return Some(group),
        Err(_) => format!("Can't parse {keyword} [{text}]. Skipping"),
    };
    cx.error("multicast-group", word, problem);
    None
}

/// `vrrp_mcast_group4`
pub fn multicast_group_v4(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    let group = multicast_group("IPv4", IpAddr::is_ipv4, statement, word, cx);
    if let Some(IpAddr::V4(group)) = group {
        draft.globals.defaults.multicast_group_v4 = group;
    }
}

/// `vrrp_mcast_group6`
pub fn multicast_group_v6(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    let group = multicast_group("IPv6", IpAddr::is_ipv6, statement, word, cx);
    let Some(IpAddr::V6(group)) = group else {
        return;
    };
    if !is_link_local_multicast(&group) {
        let text = format!(
            "vrrp_mcast_group6 [{}] should be link-local multicast.",
            word.text
        );
        cx.found
            .push(Diagnostic::warning("multicast-group", text).at(&word.origin));
    }
    draft.globals.defaults.multicast_group_v6 = group;
}

/// RFC 4291 section 2.7: scope 2.
fn is_link_local_multicast(group: &Ipv6Addr) -> bool {
    let [first, ..] = group.segments();
    first & 0xff0f == 0xff02
}

/// C refuses 0 although it is what holds without the keyword, and so do we.
fn startup_span(statement: &Statement, cx: &mut Context<'_>) -> Option<Interval> {
    let range: RangeInclusive<_> = Interval::from_us(1_000)..=Interval::from_us(4_294_967_295);
    let keyword = statement.keyword();
    let invalid = |text: &str| format!("{keyword} '{text}' is invalid");
    let value = cx.seconds(statement, 6, range, invalid)?;
    tell_if_large(value, Interval::from_secs(60), statement, cx);
    Some(value)
}

/// `vrrp_startup_delay`
pub fn startup_delay(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let startup = &mut draft.globals.startup;
    startup.delay = startup_span(statement, cx).unwrap_or(startup.delay);
}

/// `vrrp_delay_after_boot`
pub fn delay_after_boot(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let startup = &mut draft.globals.startup;
    startup.delay_after_boot = startup_span(statement, cx).unwrap_or(startup.delay_after_boot);
}

/// `dynamic_interfaces`
pub fn dynamic_interfaces(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.globals.dynamic_interfaces = match statement.word(1) {
        None => DynamicInterfaces::Yes,
        Some(word) if word.text == "allow_if_changes" => DynamicInterfaces::AllowChanges,
        Some(word) => {
            let text = format!("Unknown dynamic_interfaces option '{}'", word.text);
            cx.error("unknown-option", word, text);
            return;
        }
    };
}

/// `default_interface`
pub fn default_interface(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if let Some(word) = wanted(statement, "default_interface requires interface name", cx) {
        draft.globals.default_interface = Some(word.text.clone());
    }
}

/// `vmac_prefix`; the first one counts.
pub fn vmac_prefix(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    if std::mem::replace(&mut draft.has_vmac_prefix, true) {
        let text = format!(
            "vmac prefix has already been specified - ignoring {}",
            word.text
        );
        cx.error("duplicate", word, text);
        return;
    }
    draft.globals.vmac_prefix.clone_from(&word.text);
}

/// `vmac_addr_prefix`; the first one counts.
pub fn vmac_address_prefix(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    if draft.globals.vmac_address_prefix.is_some() {
        let text = format!(
            "vmac_addr prefix has already been specified - ignoring {}",
            word.text
        );
        cx.error("duplicate", word, text);
        return;
    }
    draft.globals.vmac_address_prefix = Some(word.text.clone());
}
