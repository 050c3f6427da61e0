//! The balancer's blocks, which this daemon does not carry out: without the
//! option that leaves the checkers out, a file with them is refused.

use super::super::diagnostic::Diagnostic;
use super::super::tree::Statement;
use super::Context;
use super::root::Draft;

/// Where else a word may belong, in blocks that are skipped whole so far: a phrase
/// for people, and the words there.
#[rustfmt::skip] // One block, one line.
pub const BLOCKS: &[(&str, &[&str])] = &[
    ("into `virtual_server_group`", &["fwmark"]),
    ("into `SSL`", &["password", "ca", "certificate", "key"]),
    ("into `virtual_server`", &["ip_family", "delay_loop", "connect_timeout", "retry", "delay_before_retry", "warmup", "lb_algo", "lvs_sched", "hashed", "ops", "flag-1", "flag-2", "flag-3", "sh-port", "sh-fallback", "mh-port", "mh-fallback", "lb_kind", "lvs_method", "persistence_engine", "persistence_timeout", "persistence_granularity", "protocol", "ha_suspend", "smtp_alert", "virtualhost", "snmp_name", "alpha", "omega", "inhibit_on_failure", "quorum", "hysteresis", "quorum_up", "quorum_down", "weight", "sorry_server", "sorry_server_inhibit", "sorry_server_lvs_method", "real_server"]),
    ("into `real_server`", &["weight", "lvs_method", "uthreshold", "lthreshold", "inhibit_on_failure", "notify_up", "notify_down", "alpha", "retry", "delay_before_retry", "warmup", "connect_timeout", "delay_loop", "smtp_alert", "virtualhost", "snmp_name", "TCP_CHECK", "HTTP_GET", "SSL_GET", "SMTP_CHECK", "MISC_CHECK", "DNS_CHECK", "PING_CHECK", "UDP_CHECK", "FILE_CHECK", "BFD_CHECK"]),
    ("into `TCP_CHECK`", &["connect_ip", "connect_port", "bindto", "bind_port", "bind_if", "connect_timeout", "fwmark", "retry", "delay_before_retry", "warmup", "delay_loop", "alpha", "log_all_failures"]),
    ("into `HTTP_GET`", &["connect_ip", "connect_port", "bindto", "bind_port", "bind_if", "connect_timeout", "fwmark", "retry", "delay_before_retry", "warmup", "delay_loop", "alpha", "log_all_failures", "nb_get_retry", "virtualhost", "http_protocol", "enable_sni", "sni_name", "fast_recovery", "url"]),
    ("into `url` of `HTTP_GET`", &["path", "digest", "status_code", "virtualhost", "regex", "regex_no_match", "regex_options", "regex_min_offset", "regex_max_offset", "regex_stack"]),
    ("into `SSL_GET`", &["connect_ip", "connect_port", "bindto", "bind_port", "bind_if", "connect_timeout", "fwmark", "retry", "delay_before_retry", "warmup", "delay_loop", "alpha", "log_all_failures", "nb_get_retry", "virtualhost", "http_protocol", "enable_sni", "sni_name", "fast_recovery", "tls_compliant", "url"]),
    ("into `url` of `SSL_GET`", &["path", "digest", "status_code", "virtualhost", "regex", "regex_no_match", "regex_options", "regex_min_offset", "regex_max_offset", "regex_stack", "tls_compliant"]),
    ("into `SMTP_CHECK`", &["connect_ip", "connect_port", "bindto", "bind_port", "bind_if", "connect_timeout", "fwmark", "retry", "delay_before_retry", "warmup", "delay_loop", "alpha", "log_all_failures", "helo_name", "host"]),
    ("into `MISC_CHECK`", &["retry", "delay_before_retry", "warmup", "delay_loop", "alpha", "log_all_failures", "misc_path", "misc_timeout", "misc_dynamic", "user"]),
    ("into `DNS_CHECK`", &["connect_ip", "connect_port", "bindto", "bind_port", "bind_if", "connect_timeout", "fwmark", "retry", "delay_before_retry", "warmup", "delay_loop", "alpha", "log_all_failures", "type", "name"]),
    ("into `PING_CHECK`", &["connect_ip", "connect_port", "bindto", "bind_port", "bind_if", "connect_timeout", "fwmark", "retry", "delay_before_retry", "warmup", "delay_loop", "alpha", "log_all_failures"]),
    ("into `UDP_CHECK`", &["connect_ip", "connect_port", "bindto", "bind_port", "bind_if", "connect_timeout", "fwmark", "retry", "delay_before_retry", "warmup", "delay_loop", "alpha", "log_all_failures", "payload", "require_reply", "min_reply_length", "max_reply_length"]),
    ("into `FILE_CHECK`", &["track_file", "weight"]),
    ("into `BFD_CHECK`", &["name", "alpha"]),
    ("into `bfd_instance`", &["neighbor_ip", "neighbour_ip", "source_ip", "min_rx", "min_tx", "idle_tx", "multiplier", "passive", "ttl", "hoplimit", "max_hops", "multihop", "weight", "vrrp", "checker"]),
    ("into `vrrp_sync_group`", &["group", "track_interface", "track_script", "track_file", "track_process", "track_bfd", "notify_master", "notify_backup", "notify_fault", "notify_stop", "notify", "smtp_alert", "global_tracking", "sync_group_tracking_weight", "notify_priority_changes"]),
    ("into `vrrp_track_process`", &["process", "param_match", "weight", "quorum", "quorum_max", "delay", "terminate_delay", "fork_delay", "full_command"]),
    ("into `track_file`", &["file", "weight", "init_file"]),
    ("into `garp_group`", &["garp_interval", "gna_interval", "interface", "interfaces"]),
    ("into `auth_hmac`", &["key", "active_key", "time_window", "anti_replay", "mode"]),
];

/// Refuses the block, or skips it whole if the checkers are left out.
pub fn set(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if cx.options.without_checkers {
        return;
    }
    let text = format!("'{}' does not work yet", statement.keyword());
    let help = "With -P (no checkers) the daemon skips it and does VRRP only.";
    let diagnostic = Diagnostic::fatal("does-not-work-yet", text);
    cx.found
        .push(diagnostic.at(&statement.keyword_origin()).help(help));
}
