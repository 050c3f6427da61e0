//! `global_defs { ... }` (specification B.2).

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use crate::time::Interval;

use super::super::arguments;
use super::super::diagnostic::{Collector, Diagnostic};
use super::super::model::{Garp, Globals, SmtpServer};
use super::super::scripts;
use super::super::tree::Statement;
use super::{
    Content, Context, Keyword, already, decisive, harmless, is_not_all, is_off, is_three, is_two,
    is_zero, unread, works,
};

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    harmless("process_names", "", "Give the child processes names of their own", unread),
    harmless("process_name", "NAME (<=15 chars, else truncated)", "comm name of the parent", unread),
    harmless("vrrp_process_name", "NAME (<=15)", "comm name of vrrp child", unread),
    harmless("checker_process_name", "NAME (<=15)", "comm name of checker child", unread),
    harmless("lvs_process_name", "NAME", "Deprecated alias of checker_process_name", unread),
    harmless("bfd_process_name", "NAME (<=15)", "comm name of bfd child", unread),
    harmless("use_symlink_paths", "[BOOL]", "Keep symlinks in script paths rather than executing the resolved path", unread),
    decisive("set_supplementary_groups", "[BOOL]", "Set supplementary groups for scripts by default", unread).unless(is_off),
    works("router_id", "STRING", "Name of this node in mail, default the host name", router_id),
    works("notification_email_from", "ADDR", "From address; with a display name only as a whole in quotes", notification_email_from),
    works("smtp_server", "HOST [PORT]", "Mail server; without it no mail is sent", smtp_server),
    works("smtp_helo_name", "STRING", "Name in HELO, default the host name", smtp_helo_name),
    works("smtp_connect_timeout", "SECONDS", "Limit of each step of the dialogue with the mail server, default 30", smtp_connect_timeout),
    works("notification_email", "{ ADDR... }", "Recipients, appended on repeated use", notification_email).with(Content::Values),
    works("smtp_alert", "[BOOL]", "Default for all smtp_alert settings", smtp_alert),
    works("smtp_alert_vrrp", "[BOOL]", "Default for instances and sync groups, beats smtp_alert", smtp_alert_vrrp),
    harmless("smtp_alert_checker", "[BOOL]", "Default for checkers, beats smtp_alert", unread),
    decisive("startup_script", "SCRIPT [USER [[:]GROUP]]", "Run once by parent before any child starts; children start when it ends", unread),
    harmless("startup_script_timeout", "1..1000 s", "TERM, then KILL after this time", unread),
    decisive("shutdown_script", "SCRIPT [USER [[:]GROUP]]", "Run by parent after children have ended", unread),
    harmless("shutdown_script_timeout", "1..1000 s", "As above for shutdown script", unread),
    harmless("max_auto_priority", "[-1..99]", "Max automatic realtime priority; no value = max; -1 = off and no notice", unread),
    harmless("min_auto_priority_delay", "1..10000000 us", "Lateness that triggers an automatic priority raise", unread),
    harmless("checker_log_all_failures", "[BOOL]", "Log each failed check", unread),
    works("dynamic_interfaces", "[allow_if_changes]", "Interfaces may appear later; always so here", already),
    harmless("no_email_faults", "", "Suppress mails for FAULT", unread),
    harmless("default_interface", "IFNAME", "Interface for static addresses without dev", unread),
    decisive("disable_local_igmp", "", "Write 0 to igmp_link_local_mcast_reports while running; not changeable at reload", unread),
    harmless("v3_checksum_as_v2", "", "VRRPv3 over IPv4: checksum without pseudo header", unread),
    harmless("lvs_timeouts", "[tcp N] [tcpfin N] [udp N]", "IPVS timeouts 0..2678400", unread),
    harmless("lvs_flush", "", "Flush IPVS at start", unread),
    harmless("lvs_flush_on_stop", "[VS]", "Flush IPVS at stop; VS = delete virtual servers only", unread),
    harmless("lvs_flush_onstop", "", "Deprecated alias", unread),
    decisive("lvs_sync_daemon", "IF [inst] [INST] [id 0..255] [maxlen 1..65507] [port 1..65535] [ttl 1..255] [group ADDR]", "IPVS sync daemon; master/backup role follows the instance", unread),
    works("vrrp_mcast_group4", "ADDR", "Where adverts go, default 224.0.0.18", mcast_group4),
    harmless("vrrp_mcast_group6", "IPv6 multicast", "Default destination; non link-local gives CONFIG_WARNING", unread),
    works("vrrp_garp_master_delay", "SECS", "Delay of 2nd GARP burst, 0 = none", garp),
    works("vrrp_garp_master_repeat", "N", "GARPs for each VIP in a burst; 0 becomes 1", garp),
    works("vrrp_garp_master_refresh", "SECS", "Periodic GARP interval in MASTER, 0 = off", garp),
    works("vrrp_garp_master_refresh_repeat", "N", "GARPs for each VIP in a periodic refresh; 0 becomes 1", garp),
    works("vrrp_garp_lower_prio_delay", "SECS", "Delay of 2nd burst after a lower priority advert", garp),
    works("vrrp_garp_lower_prio_repeat", "N (0 allowed)", "GARPs sent after a lower priority advert", garp),
    decisive("vrrp_down_timer_adverts", "1..100", "Adverts missed before takeover", unread).unless(is_three),
    works("vrrp_garp_interval", "SECONDS", "Least time between GARPs on an interface", garp_interval),
    works("vrrp_gna_interval", "SECONDS", "Least time between unsolicited NAs on an interface", gna_interval),
    works("vrrp_min_garp", "[BOOL]", "Send the fewest GARPs, where nothing was set before", min_garp),
    decisive("vrrp_garp_extra_if", "[all] 1..86400", "Periodic GARP on non-instance VMACs (all: on every VIP interface)", unread).unless(is_not_all),
    harmless("vrrp_vmac_garp_intvl", "", "Deprecated alias of vrrp_garp_extra_if", unread),
    decisive("vrrp_lower_prio_no_advert", "[BOOL]", "Do not answer lower priority adverts with an advert", unread).unless(is_off),
    decisive("vrrp_higher_prio_send_advert", "[BOOL]", "Send one advert before yielding to a higher priority master", unread).unless(is_off),
    decisive("vrrp_version", "2|3", "Default version for IPv4 instances; IPv6 defaults 3", version).unless(is_two),
    harmless("vrrp_iptables", "[IN [OUT]]", "Chains of iptables for what the firewall must drop", unread),
    harmless("vrrp_ipsets", "[ADDR [ADDR6 [IF6 [IGMP [MLD [ND]]]]]]", "ipset names; bare keyword disables ipsets; missing names derived by suffix", unread),
    harmless("nftables", "[TABLE]", "Use nftables for no_accept and VMAC filtering", unread),
    harmless("nftables_priority", "INT", "Base chain priority", unread),
    harmless("nftables_ifindex", "", "Use ifindex in sets", unread),
    harmless("nftables_ipvs", "[TABLE]", "fwmark allocation by nftables", unread),
    harmless("nftables_ipvs_priority", "INT", "Priority of the chains for IPVS", unread),
    harmless("nftables_ipvs_start_fwmark", "1..", "First firewall mark given out for IPVS", unread),
    harmless("nftables_counters", "", "Add counters to rules", unread),
    decisive("vrrp_check_unicast_src", "", "Reject unicast adverts from non peers (flag only)", unread),
    works("vrrp_skip_check_adv_addr", "[BOOL]", "Skip VIP list check when sender is the known master", skip_check_adv_addr),
    decisive("vrrp_strict", "[BOOL]", "RFC strictness default for instances", unread).unless(is_off),
    harmless("vrrp_priority", "-20..19", "nice of vrrp child", unread),
    harmless("vrrp_no_swap", "", "mlockall in vrrp child", unread),
    harmless("vrrp_rt_priority", "1..99 (clamped)", "SCHED_RR priority", unread),
    harmless("vrrp_cpu_affinity", "CPU...", "CPU set; first bad id clears the set", unread),
    harmless("vrrp_rlimit_rttime", "us 1..UINT32 (1->2)", "RLIMIT_RTTIME", unread),
    harmless("vrrp_rlimit_rtime", "", "Deprecated alias", unread),
    harmless("checker_priority", "-20..19", "nice of checker child", unread),
    harmless("checker_no_swap", "", "Lock the checker process into memory", unread),
    harmless("checker_rt_priority", "1..99", "Real-time priority of the checker process", unread),
    harmless("checker_cpu_affinity", "CPU...", "Processors of the checker process", unread),
    harmless("checker_rlimit_rttime", "us", "Limit of real-time work of the checker process", unread),
    harmless("checker_rlimit_rtime", "", "Deprecated alias", unread),
    harmless("bfd_priority", "-20..19", "nice of bfd child", unread),
    harmless("bfd_no_swap", "", "Lock the BFD process into memory", unread),
    harmless("bfd_rt_priority", "1..99", "Real-time priority of the BFD process", unread),
    harmless("bfd_cpu_affinity", "CPU...", "Processors of the BFD process", unread),
    harmless("bfd_rlimit_rttime", "us", "Limit of real-time work of the BFD process", unread),
    harmless("bfd_rlimit_rtime", "", "Deprecated alias", unread),
    decisive("notify_fifo", "PATH [USER [GROUP]]", "FIFO receiving vrrp and lvs events", unread),
    decisive("notify_fifo_script", "SCRIPT [USER [[:]GROUP]]", "Helper started before the FIFO is opened, gets FIFO path as last argument", unread),
    decisive("vrrp_notify_fifo", "PATH [USER [GROUP]]", "FIFO for vrrp events; ignored if identical to notify_fifo", unread),
    decisive("vrrp_notify_fifo_script", "SCRIPT [USER [[:]GROUP]]", "Helper that reads the FIFO of VRRP events", unread),
    harmless("lvs_notify_fifo", "PATH [USER [GROUP]]", "FIFO that receives events of the checkers", unread),
    harmless("lvs_notify_fifo_script", "SCRIPT [USER [[:]GROUP]]", "Helper that reads the FIFO of checker events", unread),
    harmless("vrrp_notify_priority_changes", "[BOOL]", "Write MASTER_PRIORITY/BACKUP_PRIORITY lines to FIFOs", unread),
    decisive("fifo_write_vrrp_states_on_reload", "", "Rewrite all states to FIFOs after reload", unread),
    harmless("snmp_socket", "TRANSPORT", "AgentX master address; >1 arg = ignored with message", unread),
    harmless("enable_traps", "", "Send SNMP traps/notifications", unread),
    harmless("enable_snmp_vrrp", "", "KEEPALIVED-MIB vrrp part", unread),
    harmless("enable_snmp_keepalived", "", "Deprecated alias of enable_snmp_vrrp", unread),
    harmless("enable_snmp_rfc", "", "RFC2787 + RFC6527", unread),
    harmless("enable_snmp_rfcv2", "", "RFC2787", unread),
    harmless("enable_snmp_rfcv3", "", "RFC6527", unread),
    harmless("enable_snmp_checker", "", "KEEPALIVED-MIB checker part", unread),
    harmless("snmp_vs_stats_update_interval", "0.001..30 s", "How often SNMP reads statistics of virtual servers", unread),
    harmless("snmp_rs_stats_update_interval", "0.001..30 s", "How often SNMP reads statistics of real servers", unread),
    harmless("enable_dbus", "", "Enable D-Bus interface", unread),
    harmless("dbus_service_name", "NAME", "Bus name", unread),
    harmless("dbus_no_interface_name", "NAME", "Path component for instances without interface", unread),
    works("script_user", "USER [[:]GROUP]", "Who runs scripts that name no user", script_user),
    works("enable_script_security", "", "Refuse scripts of root that others could change", enable_script_security),
    harmless("vrrp_netlink_cmd_rcv_bufs", "BYTES", "Socket receive buffer", unread),
    harmless("vrrp_netlink_cmd_rcv_bufs_force", "[BOOL]", "Use SO_RCVBUFFORCE", unread),
    harmless("vrrp_netlink_monitor_rcv_bufs", "BYTES", "Socket receive buffer", unread),
    harmless("vrrp_netlink_monitor_rcv_bufs_force", "[BOOL]", "Use SO_RCVBUFFORCE", unread),
    harmless("lvs_netlink_cmd_rcv_bufs", "BYTES", "Socket receive buffer", unread),
    harmless("lvs_netlink_cmd_rcv_bufs_force", "[BOOL]", "Use SO_RCVBUFFORCE", unread),
    harmless("lvs_netlink_monitor_rcv_bufs", "BYTES", "Socket receive buffer", unread),
    harmless("lvs_netlink_monitor_rcv_bufs_force", "[BOOL]", "Use SO_RCVBUFFORCE", unread),
    harmless("process_monitor_rcv_bufs", "BYTES", "Socket receive buffer", unread),
    harmless("process_monitor_rcv_bufs_force", "[BOOL]", "Use SO_RCVBUFFORCE", unread),
    harmless("rs_init_notifies", "[BOOL]", "Run notify scripts of real servers at start", unread),
    harmless("no_checker_emails", "[BOOL]", "No mail when a checker changes its mind", unread),
    harmless("vrrp_rx_bufs_policy", "MTU|ADVERT|BYTES (case-insensitive words)", "Receive buffer sizing; size beats policy, MTU beats ADVERT", unread),
    harmless("vrrp_rx_bufs_multiplier", ">=1", "Receive buffers hold this many adverts of each instance", unread),
    decisive("vrrp_startup_delay", "SECONDS", "Stay out of the election this long after the first start", unread).unless(is_zero),
    decisive("vrrp_delay_after_boot", "SECONDS", "As vrrp_startup_delay, measured from the boot of the machine", unread).unless(is_zero),
    harmless("log_unknown_vrids", "", "Log adverts with unconfigured VRID", unread),
    decisive("vrrp_owner_ignore_adverts", "[BOOL]", "Address owner drops received adverts", unread).unless(is_off),
    harmless("vmac_prefix", "STRING", "VMAC name prefix", unread),
    harmless("vmac_addr_prefix", "STRING", "Prefix for VMACs created for VIPs on other interfaces", unread),
    harmless("umask", "NUMBER | bit[|bit...]", "File creation mask; -u wins", unread),
    harmless("random_seed", "UINT", "Seed of ${_RANDOM}", unread),
    works("reload_check_config", "[LOGFILE]", "Test a new configuration before it is used; always so here", already),
    harmless("reload_time_file", "PATH", "File that holds the time of a planned reload", unread),
    harmless("reload_repeat", "", "Do not delete the time file", unread),
    harmless("reload_file", "[PATH]", "Marker file existing while config is being read", unread),
    works("include_check", "[[+|-]readable|match|wildcard_match|brace_match ...]", "Which failures of includes are errors", already),
    harmless("config_save_dir", "DIR", "Debug copies of config/state at every reload", unread),
    harmless("tmp_config_directory", "DIR", "Where the consolidated config copy is kept; not changeable at reload", unread),
    harmless("data_use_instance", "[BOOL]", "Put namespace/instance in dump file names", unread),
    harmless("json_version", "1|2", "JSON dump layout", unread),
    harmless("iproute_usr_dir", "PATH", "Directory of rt_tables etc", unread),
    harmless("iproute_etc_dir", "PATH", "Directory of overrides", unread),
    harmless("state_dump_file", "PATH", "Name/dir of USR1 dump; trailing / = directory only", unread),
    harmless("stats_dump_file", "PATH", "Name of the statistics file", unread),
    harmless("json_dump_file", "PATH", "Name of the JSON file", unread),
];

/// The settings of all `global_defs` blocks so far.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// What is in the configuration as it is.
    pub globals: Globals,
    /// `vrrp_garp_*`
    pub garp: GarpDraft,
}

impl Draft {
    /// The settings, with what depends on several of them.
    pub fn finished(&self, _found: &mut Collector) -> Globals {
        Globals {
            garp: self.garp.resolved(&GarpDraft::default()),
            ..self.globals.clone()
        }
    }
}

/// Gratuitous ARP, global or of an instance; `None` means not set here.
#[derive(Debug, Clone, Default)]
pub struct GarpDraft {
    /// `garp_master_delay`
    pub master_delay: Option<Interval>,
    /// `garp_master_repeat`
    pub master_repeat: Option<u32>,
    /// `garp_master_refresh`
    pub master_refresh: Option<Interval>,
    /// `garp_master_refresh_repeat`
    pub master_refresh_repeat: Option<u32>,
    /// `garp_lower_prio_delay`
    pub lower_prio_delay: Option<Interval>,
    /// `garp_lower_prio_repeat`
    pub lower_prio_repeat: Option<u32>,
    /// `vrrp_garp_interval`
    pub interval: Option<Interval>,
    /// `vrrp_gna_interval`
    pub gna_interval: Option<Interval>,
    /// `garp_extra_if`: the period, and whether it is for all interfaces.
    pub extra: Option<(Interval, bool)>,
}

impl GarpDraft {
    /// Takes a line; `keyword` is its word without `vrrp_`, `who` goes before messages.
    pub fn set(&mut self, who: &str, keyword: &str, statement: &Statement, cx: &mut Context<'_>) {
        let name = statement.keyword();
        let invalid = |text: &str| format!("{who}{name} '{text}' invalid - ignoring");
        // C counts these in microseconds of 32 bits and more; a day is plenty.
        let range: RangeInclusive<i64> = 0..=i64::from(u32::MAX);
        let Some(value) = cx.number(statement, range, invalid) else {
            return;
        };
        let value = u32::try_from(value).unwrap_or(u32::MAX);
        let span = Some(Interval::from_secs(u64::from(value)));
        match keyword {
            "garp_master_delay" => self.master_delay = span,
            "garp_master_refresh" => self.master_refresh = span,
            "garp_lower_prio_delay" => self.lower_prio_delay = span,
            "garp_lower_prio_repeat" => self.lower_prio_repeat = Some(value),
            _ => {
                if value == 0 {
                    let text = format!("{who}{name} must be greater than 0, setting to 1");
                    let origin = statement.line.whole();
                    cx.found
                        .push(Diagnostic::error("garp-repeat", text).at(&origin));
                }
                let value = Some(value.max(1));
                match keyword {
                    "garp_master_repeat" => self.master_repeat = value,
                    _ => self.master_refresh_repeat = value,
                }
            }
        }
    }

    /// The settings that count: these, then `globals`, then the defaults. The
    /// two for lower priority follow those for a new master.
    pub fn resolved(&self, globals: &Self) -> Garp {
        let default = Garp::default();
        let delay = self
            .master_delay
            .or(globals.master_delay)
            .unwrap_or(default.master_delay);
        let repeat = self
            .master_repeat
            .or(globals.master_repeat)
            .unwrap_or(default.master_repeat);
        let extra = self.extra.or(globals.extra).unwrap_or_default();
        Garp {
            master_delay: delay,
            master_repeat: repeat,
            master_refresh: self
                .master_refresh
                .or(globals.master_refresh)
                .unwrap_or(default.master_refresh),
            master_refresh_repeat: self
                .master_refresh_repeat
                .or(globals.master_refresh_repeat)
                .unwrap_or(default.master_refresh_repeat),
            lower_prio_delay: self
                .lower_prio_delay
                .or(globals.lower_prio_delay)
                .unwrap_or(delay),
            lower_prio_repeat: self
                .lower_prio_repeat
                .or(globals.lower_prio_repeat)
                .unwrap_or(repeat),
            interval: self
                .interval
                .or(globals.interval)
                .unwrap_or(default.interval),
            gna_interval: self
                .gna_interval
                .or(globals.gna_interval)
                .unwrap_or(default.gna_interval),
            extra_interfaces: extra.0,
            extra_on_all: extra.1,
        }
    }
}

fn garp(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let keyword = statement.keyword().trim_start_matches("vrrp_");
    draft.garp.set("", keyword, statement, cx);
}

/// C refuses 0 although it is what holds without the keyword, and so do we.
fn pacing(statement: &Statement, cx: &mut Context<'_>) -> Option<Interval> {
    let range = Interval::from_us(1)..=Interval::from_us(4_294_967_295);
    let keyword = statement.keyword();
    let invalid = |text: &str| format!("{keyword} '{text}' is invalid");
    let value = cx.seconds(statement, 6, range, invalid)?;
    if value >= Interval::from_secs(1) {
        let text = format!("The {keyword} is very large - {value} seconds");
        let origin = statement.line.whole();
        cx.found
            .push(Diagnostic::warning("pacing", text).at(&origin));
    }
    Some(value)
}

fn garp_interval(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.garp.interval = pacing(statement, cx).or(draft.garp.interval);
}

/// It paces what is sent for IPv6 addresses only.
fn gna_interval(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    pacing(statement, cx);
}

/// Fewer gratuitous ARPs, for what nothing was set yet.
fn min_garp(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid = |text: &str| format!("Invalid value '{text}' for vrrp_min_garp specified");
    if cx.switch(statement, invalid) != Some(true) {
        return;
    }
    let garp = &mut draft.garp;
    garp.master_repeat.get_or_insert(1);
    garp.master_refresh.get_or_insert(Interval::ZERO);
    garp.master_refresh_repeat.get_or_insert(1);
    garp.master_delay.get_or_insert(Interval::ZERO);
}

fn router_id(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    match statement.word(1) {
        Some(word) => draft.globals.router_id = Some(word.text.clone()),
        None => {
            let text = "routerid name missing - ignoring";
            let origin = statement.line.whole();
            cx.found
                .push(Diagnostic::error("router-id", text).at(&origin));
        }
    }
}

fn notification_email(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if statement.inner().is_empty() {
        let text = "Warning - empty notification_email block";
        let origin = statement.line.whole();
        cx.found
            .push(Diagnostic::warning("no-recipients", text).at(&origin));
    }
    for value in statement.inner() {
        cx.expect_no_block(value);
        draft
            .globals
            .notification_email
            .extend(value.word(0).map(|word| word.text.clone()));
    }
}

fn notification_email_from(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if let Some(word) = cx.argument(statement, 1) {
        draft.globals.notification_email_from = Some(word.text.clone());
    }
}

fn smtp_server(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(host) = cx.argument(statement, 1) else {
        return;
    };
    let mut port = 25;
    if let Some(word) = statement.word(2) {
        let invalid = || format!("Invalid smtp server {} {}", host.text, word.text);
        let value = cx.usable(word, arguments::number(&word.text, 1..=65_535), invalid);
        let Some(value) = value.and_then(|value| u16::try_from(value).ok()) else {
            return;
        };
        port = value;
    }
    draft.globals.smtp_server = Some(SmtpServer {
        host: host.text.clone(),
        port,
    });
}

fn smtp_helo_name(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if let Some(word) = cx.argument(statement, 1) {
        draft.globals.smtp_helo_name = Some(word.text.clone());
    }
}

fn smtp_connect_timeout(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid =
        |text: &str| format!("smtp_connect_timeout '{text}' must be in [0, 4294] - ignoring");
    let Some(mut value) = cx.number(statement, 0..=4_294, invalid) else {
        return;
    };
    if value == 0 {
        let text = "smtp_conect_timeout must be greater than 0, setting to 1";
        let origin = statement.line.whole();
        cx.found
            .push(Diagnostic::error("smtp-connect-timeout", text).at(&origin));
        value = 1;
    }
    draft.globals.smtp_connect_timeout = Interval::from_secs(u64::try_from(value).unwrap_or(1));
}

fn smtp_alert(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid = |text: &str| format!("Invalid value '{text}' for global smtp_alert specified");
    if let Some(on) = cx.switch(statement, invalid) {
        draft.globals.defaults.smtp_alert = Some(on);
    }
}

fn smtp_alert_vrrp(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid =
        |text: &str| format!("Invalid value '{text}' for global smtp_alert_vrrp specified");
    if let Some(on) = cx.switch(statement, invalid) {
        draft.globals.defaults.smtp_alert_vrrp = Some(on);
    }
}

fn script_user(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let user = arguments::script_user(statement.arguments());
    if user.is_none() {
        let text = "No script username specified";
        let origin = statement.line.whole();
        cx.found
            .push(Diagnostic::error("script-user", text).at(&origin));
    }
    if let Some(user) = user.as_ref().filter(|user| !cx.machine.user_exists(user)) {
        let text = "Error setting global script uid/gid";
        let diagnostic = Diagnostic::warning("script-user", text).at(&statement.line.whole());
        cx.found.push(diagnostic.help(scripts::no_such_user(user)));
    }
    draft.globals.script_user = user.or(draft.globals.script_user.take());
}

fn enable_script_security(draft: &mut Draft, _: &Statement, _: &mut Context<'_>) {
    draft.globals.enable_script_security = true;
}

fn skip_check_adv_addr(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid =
        |text: &str| format!("Invalid value '{text}' for vrrp_skip_check_adv_addr specified");
    if let Some(on) = cx.switch(statement, invalid) {
        draft.globals.defaults.skip_check_adv_addr = on;
    }
}

fn mcast_group4(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    match word.text.parse::<Ipv4Addr>() {
        Ok(group) if group.is_multicast() => draft.globals.defaults.multicast_group_v4 = group,
        Ok(_) => {
            let text = format!(
                "vrrp_mcast_group4 [{}] is not multicast. Skipping",
                word.text
            );
            cx.error("multicast-group", word, text);
        }
        Err(_) => {
            let text = format!(
                "Configuration error: Cant parse vrrp_mcast_group4 [{}]. Skipping",
                word.text
            );
            cx.error("multicast-group", word, text);
        }
    }
}

fn version(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid = |_: &str| "VRRP Error: Version must be either 2 or 3".to_string();
    cx.number(statement, 2..=3, invalid);
}
