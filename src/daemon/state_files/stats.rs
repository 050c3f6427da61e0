//! The text of `keepalived.stats` (specification E.9): below its first line,
//! YAML for one instance.

use super::page::Page;
use crate::vrrp::snapshot::Snapshot;

/// The text for all instances.
pub fn text(snapshot: &Snapshot) -> String {
    let mut page = Page::default();
    for instance in &snapshot.instances {
        let it = &instance.statistics;
        page.line(format_args!("VRRP Instance: {}", instance.config.name));
        block(
            &mut page,
            "Advertisements",
            &[("Received", it.advert_rcvd), ("Sent", it.advert_sent)],
        );
        page.line(format_args!("  Became master: {}", it.become_master));
        page.line(format_args!("  Released master: {}", it.release_master));
        block(
            &mut page,
            "Packet Errors",
            &[
                ("Length", it.packet_len_err),
                ("TTL", it.ip_ttl_err),
                ("Invalid Type", it.invalid_type_rcvd),
                ("Advertisement Interval", it.advert_interval_err),
                ("Address List", it.addr_list_err),
            ],
        );
        block(
            &mut page,
            "Authentication Errors",
            &[
                ("Invalid Type", it.invalid_authtype),
                ("Type Mismatch", it.authtype_mismatch),
                ("Failure", it.auth_failure),
            ],
        );
        block(
            &mut page,
            "Authentication Extension Errors",
            &[
                ("Missing", it.auth_ext_missing),
                ("Malformed", it.auth_ext_malformed),
                ("Unknown Key", it.auth_ext_unknown_key),
                ("Invalid HMAC", it.auth_ext_invalid_hmac),
                ("Stale", it.auth_ext_stale),
                ("Replay", it.auth_ext_replay),
            ],
        );
        block(
            &mut page,
            "Priority Zero",
            &[("Received", it.pri_zero_rcvd), ("Sent", it.pri_zero_sent)],
        );
    }
    page.into_text()
}

fn block(page: &mut Page, title: &str, counters: &[(&str, u64)]) {
    page.line(format_args!("  {title}:"));
    for (name, count) in counters {
        page.line(format_args!("    {name}: {count}"));
    }
}
