//! `global_defs { ... }` (specification B.2).
//!
//! Decides the rows, and what depends on several of them. What single keywords
//! mean is in the files beside this one.

use super::super::diagnostic::{Class, Collector, Diagnostic, Severity};
use super::super::lex::{Origin, Word};
use super::super::model::Globals;
use super::super::tree::Statement;
use super::{Content, Context, Keyword, Reload, decisive, harmless, works};

mod files;
mod garp;
mod instances;
mod mail;
mod network;
mod processes;
mod scripts;

pub use garp::GarpDraft;
pub(super) use garp::tell_if_large;

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    works("process_names", "", "Give the child processes names of their own", |draft, _, _| draft.globals.processes.named = true),
    works("process_name", "NAME (<=15 chars, else truncated)", "comm name of the parent", processes::parent_name),
    works("vrrp_process_name", "NAME (<=15)", "comm name of vrrp child", processes::name),
    harmless("checker_process_name", "NAME (<=15)", "comm name of checker child", processes::name),
    harmless("lvs_process_name", "NAME", "Deprecated alias of checker_process_name", processes::lvs_name),
    harmless("bfd_process_name", "NAME (<=15)", "comm name of bfd child", processes::name),
    harmless("use_symlink_paths", "[BOOL]", "Keep symlinks in script paths rather than executing the resolved path", |draft, line, cx| on(&mut draft.globals.use_symlink_paths, named_switch(line, cx))),
    works("set_supplementary_groups", "[BOOL]", "Set supplementary groups for scripts by default", |draft: &mut Draft, line, cx| on(&mut draft.globals.set_supplementary_groups, named_switch(line, cx))),
    works("router_id", "STRING", "Name of this node in mail, default the host name", mail::router_id),
    works("notification_email_from", "ADDR", "From address; with a display name only as a whole in quotes", mail::notification_email_from),
    works("smtp_server", "HOST [PORT]", "Mail server; without it no mail is sent", mail::server),
    works("smtp_helo_name", "STRING", "Name in HELO, default the host name", mail::helo_name),
    works("smtp_connect_timeout", "SECONDS", "Limit of each step of the dialogue with the mail server, default 30", mail::connect_timeout),
    works("notification_email", "{ ADDR... }", "Recipients, appended on repeated use", mail::notification_email).with(Content::Values),
    works("smtp_alert", "[BOOL]", "Default for all smtp_alert settings", |draft, line, cx| set(&mut draft.globals.defaults.smtp_alert, named_switch(line, cx))),
    works("smtp_alert_vrrp", "[BOOL]", "Default for instances and sync groups, beats smtp_alert", |draft, line, cx| set(&mut draft.globals.defaults.smtp_alert_vrrp, named_switch(line, cx))),
    harmless("smtp_alert_checker", "[BOOL]", "Default for checkers, beats smtp_alert", |draft, line, cx| set(&mut draft.globals.lvs.smtp_alert, named_switch(line, cx))),
    works("startup_script", "SCRIPT [USER [[:]GROUP]]", "Run once by parent before any child starts; children start when it ends", scripts::lifecycle_script),
    works("startup_script_timeout", "1..1000 s", "TERM, then KILL after this time", scripts::lifecycle_timeout),
    works("shutdown_script", "SCRIPT [USER [[:]GROUP]]", "Run by parent after children have ended", scripts::lifecycle_script),
    works("shutdown_script_timeout", "1..1000 s", "As above for shutdown script", scripts::lifecycle_timeout),
    works("max_auto_priority", "[-1..99]", "Max automatic realtime priority; no value = max; -1 = off and no notice", processes::maximum_auto_priority),
    works("min_auto_priority_delay", "1..10000000 us", "Lateness that triggers an automatic priority raise", processes::minimum_auto_priority_delay),
    harmless("checker_log_all_failures", "[BOOL]", "Log each failed check", |draft, line, cx| on(&mut draft.globals.lvs.log_all_failures, short_switch(line, cx))),
    works("dynamic_interfaces", "[allow_if_changes]", "Interfaces may appear later; always so here", instances::dynamic_interfaces),
    works("no_email_faults", "", "Suppress mails for FAULT", |draft, _, _| draft.globals.no_email_faults = true),
    works("default_interface", "IFNAME", "Interface for addresses without dev that are static or of an instance without one", instances::default_interface),
    works("disable_local_igmp", "", "Write 0 to igmp_link_local_mcast_reports while running; not changeable at reload", |draft, _, _| draft.globals.disable_local_igmp = true),
    works("v3_checksum_as_v2", "", "VRRPv3 over IPv4: checksum without pseudo header", |draft, line, cx| on(&mut draft.globals.defaults.v3_checksum_as_v2, bare_flag(line, cx))),
    harmless("lvs_timeouts", "[tcp N] [tcpfin N] [udp N]", "IPVS timeouts 0..2678400", network::lvs_timeouts),
    harmless("lvs_flush", "", "Flush IPVS at start", |draft, _, _| draft.globals.lvs.flush = true),
    harmless("lvs_flush_on_stop", "[VS]", "Flush IPVS at stop; VS = delete virtual servers only", network::flush_on_stop),
    harmless("lvs_flush_onstop", "", "Deprecated alias", network::flush_on_stop_alias),
    decisive("lvs_sync_daemon", "IF [inst] [INST] [id 0..255] [maxlen 1..65507] [port 1..65535] [ttl 1..255] [group ADDR]", "IPVS sync daemon; master/backup role follows the instance", network::sync_daemon),
    works("vrrp_mcast_group4", "ADDR", "Where adverts go, default 224.0.0.18", instances::multicast_group_v4),
    works("vrrp_mcast_group6", "IPv6 multicast", "Default destination; non link-local gives CONFIG_WARNING", instances::multicast_group_v6),
    works("vrrp_garp_master_delay", "SECS", "Delay of 2nd GARP burst, 0 = none", garp::set),
    works("vrrp_garp_master_repeat", "N", "GARPs for each VIP in a burst; 0 becomes 1", garp::set),
    works("vrrp_garp_master_refresh", "SECS", "Periodic GARP interval in MASTER, 0 = off", garp::set),
    works("vrrp_garp_master_refresh_repeat", "N", "GARPs for each VIP in a periodic refresh; 0 becomes 1", garp::set),
    works("vrrp_garp_lower_prio_delay", "SECS", "Delay of 2nd burst after a lower priority advert", garp::set),
    works("vrrp_garp_lower_prio_repeat", "N (0 allowed)", "GARPs sent after a lower priority advert", garp::set),
    works("vrrp_down_timer_adverts", "1..100", "Adverts missed before takeover", instances::down_timer_adverts),
    works("vrrp_garp_interval", "SECONDS", "Least time between GARPs on an interface", garp::interval),
    works("vrrp_gna_interval", "SECONDS", "Least time between unsolicited NAs on an interface", garp::gna_interval),
    works("vrrp_min_garp", "[BOOL]", "Send the fewest GARPs, where nothing was set before", garp::minimum),
    works("vrrp_garp_extra_if", "[all] 1..86400", "Periodic GARP on non-instance VMACs (all: on every VIP interface)", garp::extra),
    works("vrrp_vmac_garp_intvl", "", "Deprecated alias of vrrp_garp_extra_if", garp::vmac_interval),
    works("vrrp_lower_prio_no_advert", "[BOOL]", "Do not answer lower priority adverts with an advert", |draft: &mut Draft, line, cx| set(&mut draft.globals.defaults.lower_prio_no_advert, short_switch(line, cx))),
    works("vrrp_higher_prio_send_advert", "[BOOL]", "Send one advert before yielding to a higher priority master", |draft: &mut Draft, line, cx| set(&mut draft.globals.defaults.higher_prio_send_advert, short_switch(line, cx))),
    works("vrrp_version", "2|3", "Default version for IPv4 instances; IPv6 defaults 3", instances::version),
    works("vrrp_iptables", "[IN [OUT]]", "Chains of iptables for what the firewall must drop", network::iptables),
    works("vrrp_ipsets", "[ADDR [ADDR6 [IF6 [IGMP [MLD [ND]]]]]]", "ipset names; bare keyword disables ipsets; missing names derived by suffix", network::ipsets),
    works("nftables", "[TABLE]", "Use nftables for no_accept and VMAC filtering", network::nftables),
    works("nftables_priority", "INT", "Base chain priority", network::nftables_priority),
    works("nftables_ifindex", "", "Use ifindex in sets", |draft, _, _| draft.globals.firewall.nftables_ifindex = true),
    harmless("nftables_ipvs", "[TABLE]", "fwmark allocation by nftables", network::nftables_ipvs),
    harmless("nftables_ipvs_priority", "INT", "Priority of the chains for IPVS", network::nftables_ipvs_priority),
    harmless("nftables_ipvs_start_fwmark", "1..", "First firewall mark given out for IPVS", network::nftables_start_mark),
    works("nftables_counters", "", "Add counters to rules", |draft, _, _| draft.globals.firewall.nftables_counters = true),
    works("vrrp_check_unicast_src", "", "Reject unicast adverts from non peers (flag only)", |draft: &mut Draft, line, cx| on(&mut draft.globals.defaults.check_unicast_source, bare_flag(line, cx))),
    works("vrrp_skip_check_adv_addr", "[BOOL]", "Skip VIP list check when sender is the known master", |draft, line, cx| on(&mut draft.globals.defaults.skip_check_adv_addr, plain_switch(line, cx))),
    works("vrrp_strict", "[BOOL]", "RFC strictness default for instances", |draft: &mut Draft, line, cx| on(&mut draft.globals.defaults.strict, plain_switch(line, cx))),
    works("vrrp_priority", "-20..19", "nice of vrrp child", processes::nice),
    works("vrrp_no_swap", "", "mlockall in vrrp child", processes::no_swap),
    works("vrrp_rt_priority", "1..99 (clamped)", "SCHED_RR priority", processes::realtime_priority),
    works("vrrp_cpu_affinity", "CPU...", "CPU set; first bad id clears the set", processes::processors),
    works("vrrp_rlimit_rttime", "us 1..UINT32 (1->2)", "RLIMIT_RTTIME", processes::realtime_limit),
    works("vrrp_rlimit_rtime", "", "Deprecated alias", processes::realtime_limit_alias),
    harmless("checker_priority", "-20..19", "nice of checker child", processes::nice),
    harmless("checker_no_swap", "", "Lock the checker process into memory", processes::no_swap),
    harmless("checker_rt_priority", "1..99", "Real-time priority of the checker process", processes::realtime_priority),
    harmless("checker_cpu_affinity", "CPU...", "Processors of the checker process", processes::processors),
    harmless("checker_rlimit_rttime", "us", "Limit of real-time work of the checker process", processes::realtime_limit),
    harmless("checker_rlimit_rtime", "", "Deprecated alias", processes::realtime_limit_alias),
    harmless("bfd_priority", "-20..19", "nice of bfd child", processes::nice),
    harmless("bfd_no_swap", "", "Lock the BFD process into memory", processes::no_swap),
    harmless("bfd_rt_priority", "1..99", "Real-time priority of the BFD process", processes::realtime_priority),
    harmless("bfd_cpu_affinity", "CPU...", "Processors of the BFD process", processes::processors),
    harmless("bfd_rlimit_rttime", "us", "Limit of real-time work of the BFD process", processes::realtime_limit),
    harmless("bfd_rlimit_rtime", "", "Deprecated alias", processes::realtime_limit_alias),
    works("notify_fifo", "PATH [USER [GROUP]]", "FIFO receiving vrrp and lvs events", scripts::fifo),
    works("notify_fifo_script", "SCRIPT [USER [[:]GROUP]]", "Helper started before the FIFO is opened, gets FIFO path as last argument", scripts::fifo_script),
    works("vrrp_notify_fifo", "PATH [USER [GROUP]]", "FIFO for vrrp events; ignored if identical to notify_fifo", scripts::fifo),
    works("vrrp_notify_fifo_script", "SCRIPT [USER [[:]GROUP]]", "Helper that reads the FIFO of VRRP events", scripts::fifo_script),
    harmless("lvs_notify_fifo", "PATH [USER [GROUP]]", "FIFO that receives events of the checkers", scripts::fifo),
    harmless("lvs_notify_fifo_script", "SCRIPT [USER [[:]GROUP]]", "Helper that reads the FIFO of checker events", scripts::fifo_script),
    works("vrrp_notify_priority_changes", "[BOOL]", "Write MASTER_PRIORITY/BACKUP_PRIORITY lines to FIFOs", |draft, line, cx| on(&mut draft.globals.defaults.notify_priority_changes, named_switch(line, cx))),
    works("fifo_write_vrrp_states_on_reload", "", "Rewrite all states to FIFOs after reload", |draft, _, _| draft.globals.fifo_write_states_on_reload = true),
    harmless("snmp_socket", "TRANSPORT", "AgentX master address; >1 arg = ignored with message", network::snmp_socket),
    harmless("enable_traps", "", "Send SNMP traps/notifications", |draft, _, _| draft.globals.snmp.traps = true),
    harmless("enable_snmp_vrrp", "", "KEEPALIVED-MIB vrrp part", |draft, _, _| draft.globals.snmp.vrrp = true),
    harmless("enable_snmp_keepalived", "", "Deprecated alias of enable_snmp_vrrp", snmp_alias),
    harmless("enable_snmp_rfc", "", "RFC2787 + RFC6527", |draft, _, _| (draft.globals.snmp.rfc_v2, draft.globals.snmp.rfc_v3) = (true, true)),
    harmless("enable_snmp_rfcv2", "", "RFC2787", |draft, _, _| draft.globals.snmp.rfc_v2 = true),
    harmless("enable_snmp_rfcv3", "", "RFC6527", |draft, _, _| draft.globals.snmp.rfc_v3 = true),
    harmless("enable_snmp_checker", "", "KEEPALIVED-MIB checker part", |draft, _, _| draft.globals.snmp.checker = true),
    harmless("snmp_vs_stats_update_interval", "0.001..30 s", "How often SNMP reads statistics of virtual servers", network::snmp_interval),
    harmless("snmp_rs_stats_update_interval", "0.001..30 s", "How often SNMP reads statistics of real servers", network::snmp_interval),
    works("enable_dbus", "", "Enable D-Bus interface", |draft, _, _| draft.globals.dbus.enabled = true),
    works("dbus_service_name", "NAME", "Bus name", network::dbus_service_name),
    works("dbus_no_interface_name", "NAME", "Path component for instances without interface", network::dbus_no_interface_name),
    works("script_user", "USER [[:]GROUP]", "Who runs scripts that name no user", scripts::user),
    works("enable_script_security", "", "Refuse scripts of root that others could change", |draft, _, _| draft.globals.enable_script_security = true),
    works("vrrp_netlink_cmd_rcv_bufs", "BYTES", "Socket receive buffer", network::buffer_size),
    works("vrrp_netlink_cmd_rcv_bufs_force", "[BOOL]", "Use SO_RCVBUFFORCE", network::buffer_force),
    works("vrrp_netlink_monitor_rcv_bufs", "BYTES", "Socket receive buffer", network::buffer_size),
    works("vrrp_netlink_monitor_rcv_bufs_force", "[BOOL]", "Use SO_RCVBUFFORCE", network::buffer_force),
    harmless("lvs_netlink_cmd_rcv_bufs", "BYTES", "Socket receive buffer", network::buffer_size),
    harmless("lvs_netlink_cmd_rcv_bufs_force", "[BOOL]", "Use SO_RCVBUFFORCE", network::buffer_force),
    harmless("lvs_netlink_monitor_rcv_bufs", "BYTES", "Socket receive buffer", network::buffer_size),
    harmless("lvs_netlink_monitor_rcv_bufs_force", "[BOOL]", "Use SO_RCVBUFFORCE", network::buffer_force),
    works("process_monitor_rcv_bufs", "BYTES", "Socket receive buffer", network::buffer_size),
    works("process_monitor_rcv_bufs_force", "[BOOL]", "Use SO_RCVBUFFORCE", network::buffer_force),
    harmless("rs_init_notifies", "[BOOL]", "Run notify scripts of real servers at start", |draft, line, cx| on(&mut draft.globals.lvs.initial_notifies, named_switch(line, cx))),
    harmless("no_checker_emails", "[BOOL]", "No mail when a checker changes its mind", |draft, line, cx| on(&mut draft.globals.lvs.no_checker_emails, named_switch(line, cx))),
    works("vrrp_rx_bufs_policy", "MTU|ADVERT|BYTES (case-insensitive words)", "Receive buffer sizing; size beats policy, MTU beats ADVERT", network::receive_policy),
    works("vrrp_rx_bufs_multiplier", ">=1", "Receive buffers hold this many adverts of each instance", network::receive_multiplier),
    works("vrrp_startup_delay", "SECONDS", "Stay out of the election this long after the first start", instances::startup_delay).on_reload(Reload::Nothing),
    works("vrrp_delay_after_boot", "SECONDS", "As vrrp_startup_delay, measured from the boot of the machine", instances::delay_after_boot).on_reload(Reload::Nothing),
    works("log_unknown_vrids", "", "Log adverts with unconfigured VRID", |draft, line, cx| on(&mut draft.globals.log_unknown_vrids, bare_flag(line, cx))),
    works("vrrp_owner_ignore_adverts", "[BOOL]", "Address owner drops received adverts", |draft: &mut Draft, line, cx| set(&mut draft.globals.defaults.owner_ignore_adverts, named_switch(line, cx))),
    works("vmac_prefix", "STRING", "VMAC name prefix", instances::vmac_prefix),
    works("vmac_addr_prefix", "STRING", "Prefix for VMACs created for VIPs on other interfaces", instances::vmac_address_prefix),
    works("umask", "NUMBER | bit[|bit...]", "File creation mask; -u wins", files::umask),
    works("random_seed", "UINT", "Seed of ${_RANDOM}", files::random_seed).on_reload(Reload::Nothing),
    works("reload_check_config", "[LOGFILE]", "Test a new configuration before it is used; always so here", files::reload_check),
    works("reload_time_file", "PATH", "File that holds the time of a planned reload", files::reload_time_file),
    works("reload_repeat", "", "Do not delete the time file", |draft, _, _| draft.globals.reload.repeat = true),
    works("reload_file", "[PATH]", "Marker file existing while config is being read", files::reload_file),
    works("include_check", "[[+|-]readable|match|wildcard_match|brace_match ...]", "Which failures of includes are errors", files::include_check),
    harmless("config_save_dir", "DIR", "Debug copies of config/state at every reload", |draft, line, cx| files::path(|draft| &mut draft.globals.places.config_save_directory, draft, line, cx)),
    harmless("tmp_config_directory", "DIR", "Where the consolidated config copy is kept; not changeable at reload", files::temporary_directory),
    works("data_use_instance", "[BOOL]", "Put namespace/instance in dump file names", files::data_use_instance),
    works("json_version", "1|2", "JSON dump layout", files::json_version),
    harmless("iproute_usr_dir", "PATH", "Directory of rt_tables etc", |draft, line, cx| files::path(|draft| &mut draft.globals.places.iproute_usr_directory, draft, line, cx)),
    harmless("iproute_etc_dir", "PATH", "Directory of overrides", |draft, line, cx| files::path(|draft| &mut draft.globals.places.iproute_etc_directory, draft, line, cx)),
    works("state_dump_file", "PATH", "Name/dir of USR1 dump; trailing / = directory only", |draft, line, cx| files::path(|draft| &mut draft.globals.places.state_dump_file, draft, line, cx)),
    works("stats_dump_file", "PATH", "Name of the statistics file", |draft, line, cx| files::path(|draft| &mut draft.globals.places.statistics_dump_file, draft, line, cx)),
    works("json_dump_file", "PATH", "Name of the JSON file", |draft, line, cx| files::path(|draft| &mut draft.globals.places.json_dump_file, draft, line, cx)),
];

/// The settings of all `global_defs` blocks so far.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// What is in the configuration as it is.
    pub globals: Globals,
    /// `vrrp_garp_*`
    pub garp: GarpDraft,
    /// Where the first `vrrp_iptables` stands.
    iptables: Option<Origin>,
    /// A `vmac_prefix` was read.
    has_vmac_prefix: bool,
}

impl Draft {
    /// The settings, with what depends on several of them.
    pub fn finished(&self, found: &mut Collector) -> Globals {
        let globals = &self.globals;
        if let Some(origin) = &self.iptables {
            let text = if globals.firewall.nftables.is_some() {
                "Both iptables and nftables have been specified - ignoring iptables"
            } else {
                "iptables not supported, using nftables instead. Please replace 'vrrp_iptables \
                 and 'vrrp_ipsets' with 'nftables' config option"
            };
            found.push(Diagnostic::warning("iptables", text).at(origin));
        }
        Globals {
            garp: self.garp.resolved(&GarpDraft::default()),
            ..globals.clone()
        }
    }
}

/// Takes over a value that was read.
fn on(place: &mut bool, value: Option<bool>) {
    *place = value.unwrap_or(*place);
}

/// Takes over a value that was read; otherwise what was there stays.
fn set(place: &mut Option<bool>, value: Option<bool>) {
    *place = value.or(*place);
}

/// A switch of which C names the value and calls it global.
fn named_switch(statement: &Statement, cx: &mut Context<'_>) -> Option<bool> {
    let keyword = statement.keyword();
    cx.switch(statement, |text| {
        format!("Invalid value '{text}' for global {keyword} specified")
    })
}

/// A switch of which C names the value.
fn plain_switch(statement: &Statement, cx: &mut Context<'_>) -> Option<bool> {
    let keyword = statement.keyword();
    cx.switch(statement, |text| {
        format!("Invalid value '{text}' for {keyword} specified")
    })
}

/// A switch of which C does not name the value.
fn short_switch(statement: &Statement, cx: &mut Context<'_>) -> Option<bool> {
    let keyword = statement.keyword();
    cx.switch(statement, |_| {
        format!("Invalid value for {keyword} specified")
    })
}

/// A keyword that C sets whatever stands behind it. Somebody who writes `off`
/// means off, so a switch counts, and anything else sets it with a warning.
fn bare_flag(statement: &Statement, cx: &mut Context<'_>) -> Option<bool> {
    let Some(word) = statement.word(1) else {
        return Some(true);
    };
    let value = super::super::arguments::boolean(&word.text);
    if value.is_none() {
        let text = format!("'{}' behind {} is ignored", word.text, statement.keyword());
        tell("ignored-argument", &text, statement, cx);
    }
    Some(value.unwrap_or(true))
}

/// The first argument, or C's own message.
pub(super) fn wanted<'s>(
    statement: &'s Statement,
    missing: &str,
    cx: &mut Context<'_>,
) -> Option<&'s Word> {
    let word = statement.word(1);
    if word.is_none() {
        let origin = statement.line.whole();
        cx.found
            .push(Diagnostic::error("no-value", missing).at(&origin));
    }
    word
}

/// A warning that C does not have.
fn tell(code: &'static str, text: &str, statement: &Statement, cx: &mut Context<'_>) {
    let diagnostic = Diagnostic::new(code, Severity::Warning, Class::None, text);
    cx.found.push(diagnostic.at(&statement.line.whole()));
}

/// An old name that C counts as a mistake.
fn deprecated(statement: &Statement, current: &str, cx: &mut Context<'_>) {
    let keyword = statement.keyword();
    let text = format!("Keyword \"{keyword}\" is deprecated - please use \"{current}\"");
    let origin = statement.keyword_origin();
    cx.found
        .push(Diagnostic::warning("deprecated", text).at(&origin));
}

/// An old name that C takes without a word.
fn tell_of_alias(current: &str, statement: &Statement, cx: &mut Context<'_>) {
    let text = format!("'{}' is an old name of '{current}'", statement.keyword());
    let origin = statement.keyword_origin();
    cx.found
        .push(Diagnostic::hint("deprecated", text).at(&origin));
}

fn snmp_alias(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    tell_of_alias("enable_snmp_vrrp", statement, cx);
    draft.globals.snmp.vrrp = true;
}
