//! `global_defs`.

use super::super::keywords::global_defs;
use super::super::machine::{Interface, Machine, ScriptFinding};
use super::super::model::{
    Buffer, DynamicInterfaces, FlushOnStop, Globals, ReceivePolicy, ScriptUser, Version,
};
use super::*;
use crate::time::Interval;

mod cases;

use cases::{ANYTHING_GOES, ELSEWHERE, MISSING, RIGHT, WRONG};

fn in_globals(text: &str) -> String {
    format!("global_defs {{\n{text}\n}}\n")
}

/// What is said, but for what does not work yet.
pub fn said(loaded: &Loaded) -> Vec<String> {
    let loud = loaded
        .diagnostics
        .iter()
        .filter(|found| found.severity > Severity::Hint && found.code != "does-not-work-yet");
    loud.map(|found| found.as_c_line(&loaded.sources)).collect()
}

/// The settings of lines that nothing is said about.
#[track_caller]
fn globals(text: &str) -> Globals {
    let loaded = parse(&in_globals(text));
    assert_eq!(said(&loaded), [""; 0], "in\n{text}");
    loaded.config.globals
}

#[test]
fn wrong_lines_get_the_messages_of_c() {
    for (line, message, code) in WRONG {
        let loaded = parse(&in_globals(line));
        assert_eq!(said(&loaded), [format!("(Line 2) {message}")], "{line}");
        assert_eq!(loaded.exit_code(), *code, "{line}");
    }
}

#[test]
fn words_without_their_argument_are_told() {
    for word in MISSING {
        let loaded = parse(&in_globals(word));
        let message = format!(
            "(Line 2) *** Configuration line starting `{word}` is missing a parameter after \
             keyword `{word}` at word position 2"
        );
        assert_eq!(said(&loaded), [message], "{word}");
        assert_eq!(
            (loaded.exit_code(), loaded.is_usable()),
            (2, false),
            "{word}"
        );
    }
}

#[test]
fn nothing_is_said_about_right_lines() {
    for line in RIGHT {
        let loaded = parse(&in_globals(line));
        assert_eq!(said(&loaded), [""; 0], "{line}");
        assert_eq!(loaded.exit_code(), 0, "{line}");
    }
}

#[test]
fn each_word_has_a_right_and_a_wrong_line() {
    let mut untested = Vec::new();
    let begins = |line: &str, word: &str| line.split_whitespace().next() == Some(word);
    for row in global_defs::KEYWORDS {
        if ELSEWHERE.contains(&row.name) {
            continue;
        }
        let right = RIGHT.iter().any(|line| begins(line, row.name));
        let wrong = WRONG.iter().any(|(line, ..)| begins(line, row.name));
        let missing = MISSING.contains(&row.name);
        let any = ANYTHING_GOES.contains(&row.name);
        if !right || !(wrong || missing || any) {
            untested.push(row.name);
        }
    }
    assert_eq!(untested, [""; 0]);
}

#[test]
fn a_wrong_line_changes_nothing() {
    let changing = [
        "setting to",
        "truncating",
        "should be link-local",
        "deprecated",
        "defaulting to vrid",
        "lvs_sync_daemon",
        "lvs_timeout",
        "invalid number '",
        "vrrp_rx_bufs_policy",
        "Extra parameter",
        "iptables",
    ];
    for (line, message, _) in WRONG {
        if changing.iter().any(|text| message.contains(text)) {
            continue;
        }
        let globals = parse(&in_globals(line)).config.globals;
        assert_eq!(globals, Globals::default(), "{line}");
    }
}

#[test]
fn mistakes_that_are_mended_are_used() {
    let loaded = parse(&in_globals(
        "vrrp_garp_master_repeat 0\nsmtp_connect_timeout 0\nvrrp_rt_priority 100\n\
         checker_rt_priority -3\nprocess_name abcdefghijklmnopq\nvrrp_mcast_group6 ff05::12\n\
         vrrp_down_timer_adverts 5x\nvrrp_cpu_affinity 0 x",
    ));
    let globals = loaded.config.globals;
    assert_eq!(globals.garp.master_repeat, 1);
    assert_eq!(globals.smtp_connect_timeout, Interval::from_secs(1));
    assert_eq!(globals.processes.vrrp.realtime_priority, Some(99));
    assert_eq!(globals.processes.checker.realtime_priority, Some(1));
    assert_eq!(
        globals.processes.parent_name.as_deref(),
        Some("abcdefghijklmno")
    );
    assert_eq!(globals.defaults.multicast_group_v6.to_string(), "ff05::12");
    assert_eq!(globals.defaults.down_timer_adverts, 5);
    assert_eq!(globals.processes.vrrp.processors, [0_u32; 0]);
}

#[test]
fn long_names_are_cut_between_characters() {
    let loaded = parse(&in_globals("process_name aaaaaaaaaaaaaa\u{e4}\u{e4}"));
    let name = loaded.config.globals.processes.parent_name;
    assert_eq!(name.as_deref(), Some("aaaaaaaaaaaaaa"));
}

/// The second line is the one that C complains of, and the first one counts.
#[test]
fn some_words_count_only_once() {
    for (lines, message) in [
        (
            "notify_fifo a\nnotify_fifo b",
            "notify_fifo already specified - ignoring b",
        ),
        (
            "lvs_notify_fifo a\nlvs_notify_fifo b",
            "lvs_notify_fifo already specified - ignoring b",
        ),
        (
            "nftables a\nnftables b",
            "nftables already specified - ignoring",
        ),
        (
            "nftables_ipvs a\nnftables_ipvs b",
            "ipvs nftables already specified - ignoring",
        ),
        (
            "snmp_socket a\nsnmp_socket b",
            "SNMP socket already set to a - ignoring",
        ),
        (
            "tmp_config_directory a\ntmp_config_directory b",
            "tmp_config_directory already specified - ignoring",
        ),
        (
            "vmac_prefix a\nvmac_prefix b",
            "vmac prefix has already been specified - ignoring b",
        ),
        (
            "vmac_addr_prefix a\nvmac_addr_prefix b",
            "vmac_addr prefix has already been specified - ignoring b",
        ),
        (
            "lvs_sync_daemon e0 VI\nlvs_sync_daemon e1 VI",
            "lvs_sync_daemon has already been specified as e0 VI - ignoring",
        ),
    ] {
        let loaded = parse(&in_globals(lines));
        assert_eq!(said(&loaded), [format!("(Line 3) {message}")], "{lines}");
        let first = lines.lines().next().unwrap();
        assert_eq!(loaded.config.globals, globals(first), "{lines}");
    }
}

#[test]
fn other_words_count_the_last_time() {
    let found = globals(
        "router_id a\nrouter_id b\nvrrp_version 2\nvrrp_version 3\nscript_user a\n\
         script_user b :c\nsmtp_server a\nsmtp_server b 26\numask 022\numask 077",
    );
    assert_eq!(found.router_id.as_deref(), Some("b"));
    assert_eq!(found.defaults.version, Some(Version::V3));
    let user = ScriptUser {
        user: "b".to_string(),
        group: Some("c".to_string()),
        supplementary_groups: true,
    };
    assert_eq!(found.script_user, Some(user));
    assert_eq!(found.smtp_server.map(|server| server.port), Some(26));
    assert_eq!(found.umask, Some(0o077));
}

#[test]
fn defaults_are_those_of_the_manual() {
    let found = globals("");
    assert_eq!(found, Globals::default());
    let garp = &found.garp;
    assert_eq!((garp.master_delay.as_secs(), garp.master_repeat), (5, 5));
    assert_eq!(
        (garp.lower_prio_delay.as_secs(), garp.lower_prio_repeat),
        (5, 5)
    );
    assert_eq!(
        found.defaults.multicast_group(false).to_string(),
        "224.0.0.18"
    );
    assert_eq!(found.defaults.multicast_group(true).to_string(), "ff02::12");
    assert_eq!(
        (found.json_version, found.defaults.down_timer_adverts),
        (1, 3)
    );
    assert!(!found.defaults.smtp_alert());
}

#[test]
fn the_masks_of_files_are_read_as_c_reads_them() {
    for (text, mask) in [
        ("022", 0o22),
        ("18", 18),
        ("0x12", 0x12),
        ("0", 0),
        ("IRUSR", 0o400),
        ("IWGRP | IWOTH", 0o22),
        ("IXUSR|IRGRP|IWGRP|IXGRP", 0o170),
        ("IRUSR |IWUSR| IXOTH", 0o601),
    ] {
        assert_eq!(
            globals(&format!("umask {text}")).umask,
            Some(mask),
            "{text}"
        );
    }
}

#[test]
fn values_arrive() {
    let found = globals(
        "dynamic_interfaces allow_if_changes\nlvs_flush_on_stop VS\nvrrp_rx_bufs_policy advert\n\
         vrrp_netlink_cmd_rcv_bufs 5\nvrrp_netlink_cmd_rcv_bufs_force\nmax_auto_priority\n\
         vrrp_garp_extra_if all 60\nvrrp_startup_delay 5.5\nlvs_timeouts tcp 3 udp 5\n\
         vrrp_rlimit_rttime 1\nenable_snmp_rfc\nsmtp_alert\nsmtp_alert_vrrp off\n\
         vrrp_cpu_affinity 1 0 1\nnotify_fifo /f u g\nreload_file\nvrrp_strict\n\
         vrrp_lower_prio_no_advert no",
    );
    assert_eq!(found.dynamic_interfaces, DynamicInterfaces::AllowChanges);
    assert_eq!(found.lvs.flush_on_stop, FlushOnStop::VirtualServers);
    assert_eq!(found.buffers.receive, Some(ReceivePolicy::Advert));
    let buffer = Buffer {
        bytes: Some(5),
        force: true,
    };
    assert_eq!(found.buffers.vrrp_netlink_command, buffer);
    assert_eq!(found.processes.max_auto_priority, 99);
    assert_eq!(found.garp.extra_interfaces, Interval::from_secs(60));
    assert!(found.garp.extra_on_all);
    assert_eq!(found.startup.delay, Interval::from_us(5_500_000));
    assert_eq!(found.lvs.tcp_timeout, Some(Interval::from_secs(3)));
    assert_eq!(found.lvs.tcp_fin_timeout, None);
    assert_eq!(found.lvs.udp_timeout, Some(Interval::from_secs(5)));
    assert_eq!(
        found.processes.vrrp.realtime_limit,
        Some(Interval::from_us(2))
    );
    assert!(found.snmp.rfc_v2 && found.snmp.rfc_v3);
    assert_eq!(found.defaults.smtp_alert, Some(true));
    assert!(!found.defaults.smtp_alert());
    assert_eq!(found.processes.vrrp.processors, [0, 1]);
    assert_eq!(
        found.notify_fifo.owner.map(|owner| owner.user),
        Some("u".to_string())
    );
    assert_eq!(found.reload.marker_file.as_deref(), Some(""));
    assert!(found.defaults.strict);
    assert_eq!(found.defaults.lower_prio_no_advert, Some(false));
}

#[test]
fn switches_that_c_only_sets_can_be_cleared() {
    let found = globals(
        "v3_checksum_as_v2\nv3_checksum_as_v2 off\nvrrp_check_unicast_src\n\
         vrrp_check_unicast_src no\nlog_unknown_vrids\nlog_unknown_vrids false",
    );
    assert!(!found.defaults.v3_checksum_as_v2);
    assert!(!found.defaults.check_unicast_source);
    assert!(!found.log_unknown_vrids);
    let loaded = parse(&in_globals("log_unknown_vrids maybe"));
    assert_eq!(
        said(&loaded),
        ["(Line 2) 'maybe' behind log_unknown_vrids is ignored"]
    );
    assert_eq!(loaded.exit_code(), 0);
    assert!(loaded.config.globals.log_unknown_vrids);
}

#[test]
fn fewer_gratuitous_arps_only_where_nothing_was_said_before() {
    let found = globals("vrrp_garp_master_repeat 3\nvrrp_min_garp\nvrrp_garp_master_delay 2");
    assert_eq!(found.garp.master_repeat, 3);
    assert_eq!(found.garp.master_refresh_repeat, 1);
    assert_eq!(found.garp.master_delay, Interval::from_secs(2));
    assert_eq!(globals("vrrp_min_garp").garp.master_delay, Interval::ZERO);
    assert_eq!(globals("vrrp_min_garp no"), Globals::default());
}

#[test]
fn the_order_of_global_settings_and_instances_does_not_matter() {
    let lines =
        in_globals("vrrp_garp_master_delay 7\nvrrp_garp_extra_if 60\nvrrp_gna_interval 0.5");
    let before = parse(&format!("{lines}{}", with("")));
    let after = parse(&format!("{}{lines}", with("")));
    assert_eq!(before.config, after.config);
    let garp = &after.config.instances[0].garp;
    assert_eq!(garp.master_delay, Interval::from_secs(7));
    assert_eq!(garp.lower_prio_delay, Interval::from_secs(7));
    assert_eq!(garp.extra_interfaces, Interval::from_secs(60));
    assert_eq!(garp.gna_interval, Interval::from_us(500_000));
}

#[test]
fn old_names_do_what_the_new_ones_do() {
    for (old, new) in [
        ("lvs_process_name a", "checker_process_name a"),
        ("vrrp_rlimit_rtime 50", "vrrp_rlimit_rttime 50"),
        ("checker_rlimit_rtime 50", "checker_rlimit_rttime 50"),
        ("bfd_rlimit_rtime 50", "bfd_rlimit_rttime 50"),
        ("lvs_flush_onstop VS", "lvs_flush_on_stop VS"),
        ("enable_snmp_keepalived", "enable_snmp_vrrp"),
    ] {
        let loaded = parse(&in_globals(old));
        assert_eq!(loaded.config.globals, globals(new), "{old}");
        assert_eq!(loaded.exit_code(), 0, "{old}");
        assert!(
            loaded
                .diagnostics
                .iter()
                .any(|found| found.code == "deprecated"),
            "{old}"
        );
    }
    let loaded = parse(&in_globals("vrrp_vmac_garp_intvl 5"));
    assert_eq!(loaded.config.globals, globals("vrrp_garp_extra_if 5"));
}

#[test]
fn iptables_means_nftables() {
    let line = "iptables not supported, using nftables instead. Please replace 'vrrp_iptables \
                and 'vrrp_ipsets' with 'nftables' config option";
    let both = "Both iptables and nftables have been specified - ignoring iptables";
    for (lines, at, message) in [
        ("vrrp_iptables", 2, line),
        ("vrrp_iptables IN OUT\nvrrp_iptables", 2, line),
        ("nftables\nvrrp_iptables", 3, both),
        ("vrrp_iptables\nnftables", 2, both),
    ] {
        let loaded = parse(&in_globals(lines));
        assert_eq!(said(&loaded), [format!("(Line {at}) {message}")], "{lines}");
        assert_eq!(loaded.exit_code(), 5);
    }
}

#[test]
fn large_spans_are_told_and_not_counted() {
    for (line, message) in [
        (
            "vrrp_garp_interval 1",
            "The vrrp_garp_interval is very large - 1 seconds",
        ),
        (
            "vrrp_gna_interval 2.5",
            "The vrrp_gna_interval is very large - 2.5 seconds",
        ),
        (
            "vrrp_startup_delay 60",
            "The vrrp_startup_delay is very large - 60 seconds",
        ),
    ] {
        let loaded = parse(&in_globals(line));
        let told = loaded
            .diagnostics
            .iter()
            .find(|found| found.code == "very-large");
        assert_eq!(told.map(|found| found.message.as_str()), Some(message));
        assert_eq!(loaded.exit_code(), 0, "{line}");
    }
    for line in ["vrrp_garp_interval 0.999999", "vrrp_startup_delay 59.9"] {
        let loaded = parse(&in_globals(line));
        assert!(
            loaded
                .diagnostics
                .iter()
                .all(|found| found.code != "very-large"),
            "{line}"
        );
    }
}

#[test]
fn mail_needs_recipients() {
    let loaded = parse(&in_globals("notification_email {\n}"));
    assert_eq!(
        said(&loaded),
        ["(Line 3) Warning - empty notification_email block"]
    );
    assert_eq!(loaded.exit_code(), 5);
    let found = globals("notification_email {\na@b c@d\ne@f\n}\nnotification_email {\ng@h\n}");
    assert_eq!(found.notification_email, ["a@b", "c@d", "e@f", "g@h"]);
}

#[test]
fn a_missing_value_in_the_middle_is_told() {
    let loaded = parse(&in_globals("lvs_sync_daemon e0 inst"));
    assert_eq!(loaded.exit_code(), 2);
    let loaded = parse(&in_globals("lvs_timeouts foo 3"));
    assert_eq!(
        said(&loaded),
        [
            "(Line 2) Unknown option foo specified for lvs_timeouts",
            "(Line 2) Unknown option 3 specified for lvs_timeouts"
        ]
    );
}

/// A machine with one interface, without DNS, and with one user.
struct Small;

impl Machine for Small {
    fn interface(&self, name: &str) -> Option<Interface> {
        super::super::machine::Anywhere
            .interface(name)
            .filter(|_| name == "e0")
    }

    fn resolves(&self, _: &str) -> bool {
        false
    }

    fn user_exists(&self, user: &ScriptUser) -> bool {
        user.user == "root" && user.group.is_none()
    }

    fn script(&self, _: &[String], _: Option<&ScriptUser>, _: bool) -> Vec<ScriptFinding> {
        Vec::new()
    }
}

/// What a small machine says; the configuration must be the same anywhere.
#[track_caller]
pub fn on_small(text: &str) -> (Vec<String>, u8) {
    let path = PathBuf::from("/etc/keepalived/keepalived.conf");
    let files = [(path.clone(), text.as_bytes().to_vec())];
    let loaded = load_on(&Small, &files.to_vec(), &path, &options());
    assert_eq!(loaded.config, parse(text).config, "{text}");
    let severe = loaded
        .diagnostics
        .iter()
        .filter(|found| found.code != "does-not-work-yet");
    assert!(
        severe
            .clone()
            .all(|found| found.severity <= Severity::Warning),
        "{text}"
    );
    (said(&loaded), loaded.exit_code())
}

#[test]
fn the_machine_is_asked() {
    for (line, message) in [
        (
            "smtp_server mail.example.com",
            "Invalid smtp server mail.example.com 25",
        ),
        (
            "smtp_server mail.example.com 26",
            "Invalid smtp server mail.example.com 26",
        ),
        ("script_user nobody", "Error setting global script uid/gid"),
        (
            "script_user root wheel",
            "Error setting global script uid/gid",
        ),
    ] {
        let said = on_small(&in_globals(line));
        assert_eq!(said, (vec![format!("(Line 2) {message}")], 5), "{line}");
    }
    assert_eq!(on_small(&in_globals("script_user root")), (Vec::new(), 0));
}

#[test]
fn start_and_stop_scripts_count_once() {
    for (word, of) in [("startup", 0), ("shutdown", 1)] {
        let text = format!(
            "{word}_script \"a 1\"\n{word}_script b\n{word}_script_timeout 3\nenable_script_security"
        );
        let loaded = parse(&in_globals(&text));
        let message = format!("(Line 3) {word} script already specified");
        assert_eq!(said(&loaded), [message]);
        let globals = loaded.config.globals;
        let script = [globals.startup_script, globals.shutdown_script][of].clone();
        assert_eq!(script.timeout, Interval::from_secs(3));
        let argv = script.command.map(|command| command.argv);
        assert_eq!(argv, Some(vec!["a".to_string(), "1".to_string()]));
        let loaded = parse(&in_globals(&format!("{word}_script")));
        assert_eq!(said(&loaded), [format!("(Line 2) {word} script missing")]);
        assert_eq!(loaded.exit_code(), 5);
    }
}

#[test]
fn scripts_of_fifos_count_once() {
    for word in [
        "notify_fifo_script",
        "vrrp_notify_fifo_script",
        "lvs_notify_fifo_script",
    ] {
        let text = format!("{word} \"a b\" u :g\n{word} c\nenable_script_security");
        let loaded = parse(&in_globals(&text));
        let message = format!("(Line 3) {word} already specified - ignoring c");
        assert_eq!(said(&loaded), [message]);
        let globals = loaded.config.globals;
        let mut scripts = [
            globals.notify_fifo.script,
            globals.vrrp_notify_fifo.script,
            globals.lvs_notify_fifo.script,
        ]
        .into_iter()
        .flatten();
        let script = scripts.next().unwrap();
        assert_eq!(script.argv, ["a", "b"]);
        assert_eq!(script.user.map(|user| user.user).as_deref(), Some("u"));
        assert!(scripts.next().is_none(), "{word}");
        let loaded = parse(&in_globals(word));
        assert_eq!(said(&loaded), [format!("(Line 2) No {word} specified")]);
        assert_eq!(loaded.exit_code(), 5);
    }
}

#[test]
fn decisive_words_may_ask_for_what_is_done_anyway() {
    for line in [
        "disable_local_igmp",
        "vrrp_version 2",
        "vrrp_strict off",
        "vrrp_down_timer_adverts 3",
        "vrrp_check_unicast_src no",
        "vrrp_lower_prio_no_advert false",
        "vrrp_owner_ignore_adverts no",
        "vrrp_version 3",
        "vrrp_down_timer_adverts 5",
        "vrrp_check_unicast_src",
        "vrrp_lower_prio_no_advert",
        "vrrp_higher_prio_send_advert",
        "vrrp_owner_ignore_adverts",
    ] {
        assert!(parse(&in_globals(line)).is_usable(), "{line}");
    }
    assert!(!parse(&in_globals("lvs_sync_daemon e0")).is_usable());
}
