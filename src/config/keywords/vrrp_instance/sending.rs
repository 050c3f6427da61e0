//! Words of `vrrp_instance` about where adverts come from and where they go.

use std::net::IpAddr;

use super::super::super::arguments;
use super::super::super::tree::Statement;
use super::super::Context;
use super::{Draft, exact_byte};

fn source(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    let name = draft.name.text.clone();
    let Some(address) = arguments::address(arguments::address_and_length(&word.text).0) else {
        let text = format!(
            "Configuration error: VRRP instance[{name}] malformed src address[{}]. Skipping...",
            word.text
        );
        cx.error("source-address", word, text);
        return;
    };
    if draft.fixes_family(address, &word.origin) {
        draft.source = Some(address);
        return;
    }
    let text = format!(
        "Configuration error: VRRP instance[{name}] and src address[{address}] MUST be of the \
         same family !!! Skipping..."
    );
    cx.error("family", word, text);
}

pub(super) fn mcast_src_ip(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    source(draft, statement, cx);
}

pub(super) fn unicast_src_ip(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.unicast = Some(statement.keyword_origin());
    source(draft, statement, cx);
}

pub(super) fn mcast_dst_ip(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    let name = draft.name.text.clone();
    let Some(address) = arguments::address(&word.text) else {
        let text = format!(
            "({name}) malformed mcast dest address {}. Skipping...",
            word.text
        );
        cx.error("multicast-group", word, text);
        return;
    };
    if !draft.fixes_family(address, &word.origin) {
        let text = format!(
            "({name}) mcast dest address {address} MUST match VRRP instance family. Skipping..."
        );
        cx.error("family", word, text);
        return;
    }
    let (fits, kind) = match address {
        IpAddr::V4(address) => (address.is_multicast(), ""),
        // Link-local scope, RFC 4291 section 2.7.
        IpAddr::V6(address) => (address.segments()[0] & 0xff0f == 0xff02, " link-local"),
    };
    if !fits {
        let text = format!("({name}) mcast_dst_ip {address} not{kind} multicast. Skipping...");
        cx.error("multicast-group", word, text);
        return;
    }
    draft.multicast_group = Some((address, statement.line.whole()));
}

pub(super) fn track_src_ip(draft: &mut Draft, _: &Statement, _: &mut Context<'_>) {
    draft.track_source = true;
}

pub(super) fn unicast_ttl(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = &draft.name.text;
    let invalid =
        |text: &str| format!("({name}): TTL '{text}' not valid - must be between 0 & 255");
    if let Some(value) = exact_byte(statement, cx, 0..=255, invalid) {
        draft.unicast_ttl = Some(value);
    }
}

pub(super) fn unicast_fault_no_peer(draft: &mut Draft, statement: &Statement, _: &mut Context<'_>) {
    draft.fault_without_peer = Some(statement.keyword_origin());
}

pub(super) fn check_unicast_src(draft: &mut Draft, statement: &Statement, _: &mut Context<'_>) {
    draft.unicast = Some(statement.keyword_origin());
    draft.check_unicast_source = true;
}

pub(super) fn old_unicast_checksum(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.unicast = Some(statement.keyword_origin());
    draft.old_unicast_checksum = match statement.word(1).map(|word| (word, word.text.as_str())) {
        None => Some(true),
        Some((_, "never")) => Some(false),
        Some((word, other)) => {
            let text = format!(
                "({}) Unknown old_unicast_chksum mode {other} - ignoring",
                draft.name.text
            );
            cx.error("old-checksum", word, text);
            return;
        }
    };
}
