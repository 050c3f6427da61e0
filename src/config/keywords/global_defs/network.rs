//! Socket buffers, firewall, the LVS half, SNMP and D-Bus.

use std::net::IpAddr;

use crate::time::Interval;

use super::super::super::arguments;
use super::super::super::diagnostic::Diagnostic;
use super::super::super::lex::Word;
use super::super::super::model::{Buffer, FlushOnStop, ReceivePolicy, SyncDaemon};
use super::super::super::tree::Statement;
use super::super::Context;
use super::{Draft, named_switch, wanted};

/// The buffer that a keyword is about.
fn buffer_of<'d>(draft: &'d mut Draft, statement: &Statement) -> &'d mut Buffer {
    let buffers = &mut draft.globals.buffers;
    match statement.keyword().trim_end_matches("_force") {
        "vrrp_netlink_cmd_rcv_bufs" => &mut buffers.vrrp_netlink_command,
        "vrrp_netlink_monitor_rcv_bufs" => &mut buffers.vrrp_netlink_monitor,
        "lvs_netlink_cmd_rcv_bufs" => &mut buffers.lvs_netlink_command,
        "lvs_netlink_monitor_rcv_bufs" => &mut buffers.lvs_netlink_monitor,
        _ => &mut buffers.process_monitor,
    }
}

/// `*_rcv_bufs`
pub fn buffer_size(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let keyword = statement.keyword();
    if wanted(statement, &format!("{keyword} size missing"), cx).is_none() {
        return;
    }
    let invalid = |text: &str| format!("{keyword} size ({text}) invalid");
    let value = cx.number(statement, 0..=i64::from(u32::MAX), invalid);
    if let Some(value) = value.and_then(|value| u32::try_from(value).ok()) {
        buffer_of(draft, statement).bytes = Some(value);
    }
}

/// `*_rcv_bufs_force`
pub fn buffer_force(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if let Some(on) = named_switch(statement, cx) {
        buffer_of(draft, statement).force = on;
    }
}

/// `vrrp_rx_bufs_policy`: a size beats a word, MTU beats ADVERT.
pub fn receive_policy(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(first) = wanted(statement, "vrrp_rx_bufs_policy missing", cx) else {
        return;
    };
    let receive = &mut draft.globals.buffers.receive;
    for word in statement.arguments() {
        let is = |name: &str| word.text.eq_ignore_ascii_case(name);
        let wish = match (is("MTU"), is("ADVERT")) {
            (true, _) => ReceivePolicy::Mtu,
            (_, true) => ReceivePolicy::Advert,
            _ => break,
        };
        match (*receive, wish) {
            (Some(ReceivePolicy::Bytes(_)), _) => {}
            (Some(ReceivePolicy::Mtu), ReceivePolicy::Advert)
            | (Some(ReceivePolicy::Advert), ReceivePolicy::Mtu) => {
                let text = "Cannot set both vrrp_rx_bufs_policy MTU and ADVERT, ignoring ADVERT";
                cx.error("receive-policy", word, text.to_string());
                *receive = Some(ReceivePolicy::Mtu);
            }
            _ => *receive = Some(wish),
        }
    }
    let is_word = |word: &&Word| {
        word.text.eq_ignore_ascii_case("MTU") || word.text.eq_ignore_ascii_case("ADVERT")
    };
    // A size stands alone: C reads the first argument when it finds one.
    let Some(size) = statement.arguments().iter().find(|word| !is_word(word)) else {
        return;
    };
    let number = arguments::number(&first.text, 0..=i64::from(u32::MAX));
    let invalid = || format!("Invalid vrrp_rx_bufs_policy {}", size.text);
    let bytes = cx.usable(size, number, invalid);
    if let Some(bytes) = bytes.and_then(|bytes| u32::try_from(bytes).ok()) {
        draft.globals.buffers.receive = Some(ReceivePolicy::Bytes(bytes));
    }
}

/// `vrrp_rx_bufs_multiplier`
pub fn receive_multiplier(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if wanted(statement, "Invalid vrrp_rx_bufs_multiplier", cx).is_none() {
        return;
    }
    let invalid = |text: &str| format!("Invalid vrrp_rx_bufs_multiplier {text}");
    let value = cx.number(statement, 1..=i64::from(u32::MAX), invalid);
    if let Some(value) = value.and_then(|value| u32::try_from(value).ok()) {
        draft.globals.buffers.receive_multiplier = Some(value);
    }
}

/// `vrrp_iptables`. The message depends on what else is said, see `Draft::finished`.
pub fn iptables(draft: &mut Draft, statement: &Statement, _: &mut Context<'_>) {
    let chain = |index| statement.word(index).map(|word| word.text.clone());
    draft.globals.firewall.iptables = Some(match chain(1) {
        None => ("INPUT".to_string(), Some("OUTPUT".to_string())),
        Some(input) => (input, chain(2)),
    });
    draft.iptables.get_or_insert(statement.keyword_origin());
}

/// `vrrp_ipsets`
pub fn ipsets(draft: &mut Draft, statement: &Statement, _: &mut Context<'_>) {
    let names = statement.arguments().iter().take(6);
    draft.globals.firewall.ipsets = Some(names.map(|word| word.text.clone()).collect());
}

fn table(
    table: &mut Option<String>,
    default: &str,
    repeated: &str,
    statement: &Statement,
    cx: &mut Context<'_>,
) {
    if table.is_some() {
        let origin = statement.keyword_origin();
        cx.found
            .push(Diagnostic::error("duplicate", repeated).at(&origin));
        return;
    }
    let name = statement.word(1).map_or(default, |word| word.text.as_str());
    *table = Some(name.to_string());
}

/// `nftables`; the first one counts.
pub fn nftables(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let repeated = "nftables already specified - ignoring";
    let place = &mut draft.globals.firewall.nftables;
    table(place, "keepalived", repeated, statement, cx);
}

/// `nftables_ipvs`; the first one counts.
pub fn nftables_ipvs(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let repeated = "ipvs nftables already specified - ignoring";
    let place = &mut draft.globals.lvs.nftables;
    table(place, "keepalived_ipvs", repeated, statement, cx);
}

fn chain_priority(what: &str, statement: &Statement, cx: &mut Context<'_>) -> Option<i32> {
    let invalid = |text: &str| format!("invalid {what} chain priority '{text}'");
    let range = i64::from(i32::MIN)..=i64::from(i32::MAX);
    let value = cx.number(statement, range, invalid)?;
    i32::try_from(value).ok()
}

/// `nftables_priority`
pub fn nftables_priority(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let priority = &mut draft.globals.firewall.nftables_priority;
    *priority = chain_priority("nftables", statement, cx).or(*priority);
}

/// `nftables_ipvs_priority`
pub fn nftables_ipvs_priority(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let priority = &mut draft.globals.lvs.nftables_priority;
    *priority = chain_priority("ipvs nftables", statement, cx).or(*priority);
}

/// `nftables_ipvs_start_fwmark`
pub fn nftables_start_mark(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid = |text: &str| format!("invalid ipvs nftables start_fwmark priority '{text}'");
    let value = cx.number(statement, 1..=i64::from(u32::MAX), invalid);
    if let Some(value) = value.and_then(|value| u32::try_from(value).ok()) {
        draft.globals.lvs.nftables_start_mark = Some(value);
    }
}

/// `lvs_timeouts`: pairs of a word and a number.
pub fn lvs_timeouts(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let arguments = statement.arguments();
    if arguments.len() < 2 {
        let text = "lvs_timeouts requires at least one option";
        let origin = statement.line.whole();
        cx.found
            .push(Diagnostic::error("no-option", text).at(&origin));
        return;
    }
    let lvs = &mut draft.globals.lvs;
    let mut words = arguments.iter();
    while let Some(option) = words.next() {
        let timeout = match option.text.as_str() {
            "tcp" => &mut lvs.tcp_timeout,
            "tcpfin" => &mut lvs.tcp_fin_timeout,
            "udp" => &mut lvs.udp_timeout,
            unknown => {
                let text = format!("Unknown option {unknown} specified for lvs_timeouts");
                cx.error("unknown-option", option, text);
                continue;
            }
        };
        let name = &option.text;
        let Some(word) = words.next() else {
            let text = format!("No value specified for lvs_timeout {name} - ignoring");
            cx.error("no-value", option, text);
            return;
        };
        let invalid = || format!("Invalid lvs_timeout {name} ({}) - ignoring", word.text);
        let value = cx.usable(word, arguments::number(&word.text, 0..=2_678_400), invalid);
        if let Some(value) = value.and_then(|value| u64::try_from(value).ok()) {
            *timeout = Some(Interval::from_secs(value));
        }
    }
}

/// `lvs_flush_on_stop`
pub fn flush_on_stop(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.globals.lvs.flush_on_stop = match statement.word(1) {
        None => FlushOnStop::All,
        Some(word) if word.text == "VS" => FlushOnStop::VirtualServers,
        Some(word) => {
            let text = format!("Unknown lvs_flush_on_stop type {}", word.text);
            cx.error("unknown-option", word, text);
            return;
        }
    };
}

/// `lvs_flush_onstop`
pub fn flush_on_stop_alias(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    super::tell_of_alias("lvs_flush_on_stop", statement, cx);
    flush_on_stop(draft, statement, cx);
}

/// `lvs_sync_daemon`; the first one counts.
pub fn sync_daemon(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(interface) = wanted(statement, "lvs_sync_daemon requires interface", cx) else {
        return;
    };
    if let Some(known) = &draft.globals.lvs.sync_daemon {
        let instance = known.instance.as_deref().unwrap_or_default();
        let text = format!(
            "lvs_sync_daemon has already been specified as {} {instance} - ignoring",
            known.interface
        );
        cx.error("duplicate", interface, text);
        return;
    }
    if interface.text.len() > 15 {
        let text = format!(
            "lvs_sync_daemon interface name '{}' too long - ignoring",
            interface.text
        );
        cx.error("long-name", interface, text);
        return;
    }
    let mut daemon = SyncDaemon {
        interface: interface.text.clone(),
        instance: None,
        id: None,
        maximum_length: None,
        port: None,
        ttl: None,
        group: None,
    };
    let mut words = statement.words.get(2..).unwrap_or_default().iter();
    let mut is_first = true;
    while let Some(option) = words.next() {
        match option.text.as_str() {
            "inst" if words.as_slice().is_empty() => {
                cx.argument(statement, statement.words.len());
            }
            "id" | "maxlen" | "port" | "ttl" | "group" | "inst" => {
                sync_option(&mut daemon, option, words.next(), cx);
            }
            _ if is_first => daemon.instance = Some(option.text.clone()),
            _ if daemon.id.is_none() => sync_bare_id(&mut daemon, option, cx),
            unknown => {
                let text = format!("Unknown option {unknown} specified for lvs_sync_daemon");
                cx.error("unknown-option", option, text);
            }
        }
        is_first = false;
    }
    draft.globals.lvs.sync_daemon = Some(daemon);
}

/// An option with its value.
fn sync_option(daemon: &mut SyncDaemon, option: &Word, value: Option<&Word>, cx: &mut Context<'_>) {
    let name = option.text.as_str();
    let Some(word) = value else {
        let rest = if name == "id" {
            ", defaulting to vrid"
        } else {
            " - ignoring"
        };
        let text = format!("No value specified for lvs_sync_daemon {name}{rest}");
        cx.error("no-value", option, text);
        return;
    };
    let mut number = |max: i64| {
        let min = i64::from(name != "id");
        let invalid = || match name {
            "id" => format!("Invalid syncid ({}) - defaulting to vrid", word.text),
            _ => format!("Invalid lvs_sync_daemon {name} ({}) - ignoring", word.text),
        };
        cx.usable(word, arguments::number(&word.text, min..=max), invalid)
    };
    match name {
        "id" => daemon.id = number(255).and_then(|value| u8::try_from(value).ok()),
        "ttl" => daemon.ttl = number(255).and_then(|value| u8::try_from(value).ok()),
        "port" => daemon.port = number(65_535).and_then(|value| u16::try_from(value).ok()),
        "maxlen" => {
            daemon.maximum_length = number(65_507).and_then(|value| u16::try_from(value).ok());
        }
        "inst" => match &daemon.instance {
            None => daemon.instance = Some(word.text.clone()),
            Some(known) => {
                let text = format!(
                    "lvs_sync_daemon vrrp instance has already been specified as {known} - ignoring"
                );
                cx.error("duplicate", word, text);
            }
        },
        _ => match word.text.parse::<IpAddr>() {
            Ok(group) if group.is_multicast() => daemon.group = Some(group),
            Ok(group) => {
                let text =
                    format!("lvs_sync_daemon group address {group} is not multicast - ignoring");
                cx.error("multicast-group", word, text);
            }
            Err(_) => {
                let text = format!("Invalid lvs_sync_daemon group ({}) - ignoring", word.text);
                cx.error("multicast-group", word, text);
            }
        },
    }
}

/// An old form: the number without `id` before it.
fn sync_bare_id(daemon: &mut SyncDaemon, word: &Word, cx: &mut Context<'_>) {
    let invalid = || format!("Invalid syncid ({}) - defaulting to vrid", word.text);
    let value = cx.usable(word, arguments::number(&word.text, 0..=255), invalid);
    let Some(value) = value.and_then(|value| u8::try_from(value).ok()) else {
        return;
    };
    let text = "Please use keyword \"id\" before lvs_sync_daemon SYNCID".to_string();
    cx.error("deprecated", word, text);
    daemon.id = Some(value);
}

/// `snmp_socket`; the first one counts.
pub fn snmp_socket(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let missing = "SNMP error : snmp socket name missing";
    let Some(word) = wanted(statement, missing, cx) else {
        return;
    };
    if let Some(extra) = statement.word(2) {
        let text = "Too many parameters specified for snmp_socket - ignoring".to_string();
        cx.error("extra-parameters", extra, text);
        return;
    }
    if let Some(known) = &draft.globals.snmp.socket {
        let text = format!("SNMP socket already set to {known} - ignoring");
        cx.error("duplicate", word, text);
        return;
    }
    draft.globals.snmp.socket = Some(word.text.clone());
}

/// `snmp_vs_stats_update_interval`, `snmp_rs_stats_update_interval`
pub fn snmp_interval(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let keyword = statement.keyword();
    let range = Interval::from_us(1_000)..=Interval::from_secs(30);
    let invalid = |text: &str| format!("{keyword} '{text}' is invalid");
    let Some(value) = cx.seconds(statement, 6, range, invalid) else {
        return;
    };
    let snmp = &mut draft.globals.snmp;
    if keyword == "snmp_vs_stats_update_interval" {
        snmp.virtual_server_interval = Some(value);
    } else {
        snmp.real_server_interval = Some(value);
    }
}

/// `dbus_service_name`
pub fn dbus_service_name(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if let Some(word) = wanted(statement, "dbus_service_name missing - ignoring", cx) {
        draft.globals.dbus.service_name = Some(word.text.clone());
    }
}

/// `dbus_no_interface_name`
pub fn dbus_no_interface_name(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let missing = "dbus_no_interface_name missing - ignoring";
    if let Some(word) = wanted(statement, missing, cx) {
        draft.globals.dbus.no_interface_name = Some(word.text.clone());
    }
}
