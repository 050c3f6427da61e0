//! `global_defs`, words of the outer level, and the small blocks beside them.

use super::super::keywords::{Status, global_defs};
use super::super::machine::{Interface, Machine, ScriptFinding};
use super::super::model::{
    Buffer, DynamicInterfaces, FlushOnStop, Globals, InterfaceDelay, LinkbeatInterface,
    LinkbeatMethod, ReceivePolicy, ScriptUser, Version,
};
use super::*;
use crate::time::Interval;

/// A line, the only thing that is said about it, and the exit code of a test.
/// All of it is what C says, except for words that are newer than 2.2.7.
#[rustfmt::skip] // One row, one line.
const WRONG: &[(&str, &str, u8)] = &[
    ("process_name abcdefghijklmnopqrstuvwxyz", "Process name abcdefghijklmnopqrstuvwxyz more than 15 characters, truncating", 5),
    ("vrrp_process_name abcdefghijklmnopqrstuvwxyz", "Process name abcdefghijklmnopqrstuvwxyz more than 15 characters, truncating", 5),
    ("use_symlink_paths maybe", "Invalid value 'maybe' for global use_symlink_paths specified", 5),
    ("set_supplementary_groups maybe", "Invalid value 'maybe' for global set_supplementary_groups specified", 5),
    ("router_id", "routerid name missing - ignoring", 5),
    ("notification_email_from", "emailfrom missing - ignoring", 5),
    ("smtp_server 127.0.0.1 x", "Invalid smtp server 127.0.0.1 x", 5),
    ("smtp_server 127.0.0.1 70000", "Invalid smtp server 127.0.0.1 70000", 5),
    ("smtp_server 192.0.2.1 5x", "invalid number '5x'", 5),
    ("smtp_server 192.0.2.1 0", "Invalid smtp server 192.0.2.1 0", 5),
    ("smtp_connect_timeout x", "smtp_connect_timeout 'x' must be in [0, 4294] - ignoring", 5),
    ("smtp_connect_timeout 5000", "smtp_connect_timeout '5000' must be in [0, 4294] - ignoring", 5),
    ("smtp_connect_timeout 0", "smtp_conect_timeout must be greater than 0, setting to 1", 5),
    ("smtp_connect_timeout 1.5", "invalid number '1.5'", 5),
    ("smtp_connect_timeout 5x", "invalid number '5x'", 5),
    ("smtp_alert 1", "Invalid value '1' for global smtp_alert specified", 5),
    ("smtp_alert_vrrp 1", "Invalid value '1' for global smtp_alert_vrrp specified", 5),
    ("smtp_alert_checker 1", "Invalid value '1' for global smtp_alert_checker specified", 5),
    ("startup_script", "startup script missing", 5),
    ("startup_script_timeout", "startup_script_timeout requires value", 5),
    ("startup_script_timeout 0", "startup_script_timeout '0' must be in [1, 1000] - ignoring", 5),
    ("startup_script_timeout 1001", "startup_script_timeout '1001' must be in [1, 1000] - ignoring", 5),
    ("startup_script_timeout x", "startup_script_timeout 'x' must be in [1, 1000] - ignoring", 5),
    ("shutdown_script", "shutdown script missing", 5),
    ("shutdown_script_timeout 0", "shutdown_script_timeout '0' must be in [1, 1000] - ignoring", 5),
    ("shutdown_script_timeout x", "shutdown_script_timeout 'x' must be in [1, 1000] - ignoring", 5),
    ("max_auto_priority 100", "max_auto_priority '100' must be in [0, 99] (or -1 to disable) - ignoring", 5),
    ("max_auto_priority -2", "max_auto_priority '-2' must be in [0, 99] (or -1 to disable) - ignoring", 5),
    ("max_auto_priority x", "max_auto_priority 'x' must be in [0, 99] (or -1 to disable) - ignoring", 5),
    ("min_auto_priority_delay", "min_auto_priority_delay requires delay time", 5),
    ("min_auto_priority_delay 0", "min_auto_priority_delay '0' must be in [1, 10000000] - ignoring", 5),
    ("min_auto_priority_delay 10000001", "min_auto_priority_delay '10000001' must be in [1, 10000000] - ignoring", 5),
    ("min_auto_priority_delay x", "min_auto_priority_delay 'x' must be in [1, 10000000] - ignoring", 5),
    ("checker_log_all_failures maybe", "Invalid value for checker_log_all_failures specified", 5),
    ("dynamic_interfaces yes", "Unknown dynamic_interfaces option 'yes'", 5),
    ("default_interface", "default_interface requires interface name", 5),
    ("lvs_timeouts", "lvs_timeouts requires at least one option", 5),
    ("lvs_timeouts tcp", "lvs_timeouts requires at least one option", 5),
    ("lvs_timeouts tcp x", "Invalid lvs_timeout tcp (x) - ignoring", 5),
    ("lvs_timeouts tcp -1", "Invalid lvs_timeout tcp (-1) - ignoring", 5),
    ("lvs_timeouts tcp 2678401", "Invalid lvs_timeout tcp (2678401) - ignoring", 5),
    ("lvs_timeouts tcpfin 2678401", "Invalid lvs_timeout tcpfin (2678401) - ignoring", 5),
    ("lvs_timeouts udp 2678401", "Invalid lvs_timeout udp (2678401) - ignoring", 5),
    ("lvs_timeouts tcp 3 udp", "No value specified for lvs_timeout udp - ignoring", 5),
    ("lvs_flush_on_stop x", "Unknown lvs_flush_on_stop type x", 5),
    ("lvs_sync_daemon", "lvs_sync_daemon requires interface", 5),
    ("lvs_sync_daemon lo VI id 256", "Invalid syncid (256) - defaulting to vrid", 5),
    ("lvs_sync_daemon lo VI id x", "Invalid syncid (x) - defaulting to vrid", 5),
    ("lvs_sync_daemon lo VI id", "No value specified for lvs_sync_daemon id, defaulting to vrid", 5),
    ("lvs_sync_daemon lo VI maxlen 0", "Invalid lvs_sync_daemon maxlen (0) - ignoring", 5),
    ("lvs_sync_daemon lo VI maxlen 65508", "Invalid lvs_sync_daemon maxlen (65508) - ignoring", 5),
    ("lvs_sync_daemon lo VI port 0", "Invalid lvs_sync_daemon port (0) - ignoring", 5),
    ("lvs_sync_daemon lo VI port 65536", "Invalid lvs_sync_daemon port (65536) - ignoring", 5),
    ("lvs_sync_daemon lo VI ttl 0", "Invalid lvs_sync_daemon ttl (0) - ignoring", 5),
    ("lvs_sync_daemon lo VI ttl 256", "Invalid lvs_sync_daemon ttl (256) - ignoring", 5),
    ("lvs_sync_daemon lo VI group x", "Invalid lvs_sync_daemon group (x) - ignoring", 5),
    ("lvs_sync_daemon lo VI group 192.0.2.1", "lvs_sync_daemon group address 192.0.2.1 is not multicast - ignoring", 5),
    ("lvs_sync_daemon lo VI foo", "Invalid syncid (foo) - defaulting to vrid", 5),
    ("lvs_sync_daemon lo VI 5", "Please use keyword \"id\" before lvs_sync_daemon SYNCID", 5),
    ("lvs_sync_daemon lo VI 300", "Invalid syncid (300) - defaulting to vrid", 5),
    ("vrrp_mcast_group4 x", "Can't parse vrrp_mcast_group4 [x]. Skipping", 5),
    ("vrrp_mcast_group4 192.0.2.1", "vrrp_mcast_group4 [192.0.2.1] is not multicast. Skipping", 5),
    ("vrrp_mcast_group4 ff02::12", "vrrp_mcast_group4 [ff02::12] is not IPv4. Skipping", 5),
    ("vrrp_mcast_group6 x", "Can't parse vrrp_mcast_group6 [x]. Skipping", 5),
    ("vrrp_mcast_group6 fe80::1", "vrrp_mcast_group6 [fe80::1] is not multicast. Skipping", 5),
    ("vrrp_mcast_group6 ff05::12", "vrrp_mcast_group6 [ff05::12] should be link-local multicast.", 5),
    ("vrrp_mcast_group6 224.0.0.18", "vrrp_mcast_group6 [224.0.0.18] is not IPv6. Skipping", 5),
    ("vrrp_garp_master_delay x", "vrrp_garp_master_delay 'x' invalid - ignoring", 5),
    ("vrrp_garp_master_delay -1", "vrrp_garp_master_delay '-1' invalid - ignoring", 5),
    ("vrrp_garp_master_delay 1.5", "invalid number '1.5'", 5),
    ("vrrp_garp_master_delay 5000", "vrrp_garp_master_delay '5000' invalid - ignoring", 5),
    ("vrrp_garp_master_delay 5x", "invalid number '5x'", 5),
    ("vrrp_garp_master_repeat x", "vrrp_garp_master_repeat 'x' invalid - ignoring", 5),
    ("vrrp_garp_master_repeat 0", "vrrp_garp_master_repeat must be greater than 0, setting to 1", 5),
    ("vrrp_garp_master_refresh x", "Invalid vrrp_garp_master_refresh 'x' - ignoring", 5),
    ("vrrp_garp_master_refresh_repeat x", "vrrp_garp_master_refresh_repeat 'x' invalid - ignoring", 5),
    ("vrrp_garp_master_refresh_repeat 0", "vrrp_garp_master_refresh_repeat must be greater than 0, setting to 1", 5),
    ("vrrp_garp_lower_prio_delay x", "vrrp_garp_lower_prio_delay 'x' invalid - ignoring", 5),
    ("vrrp_garp_lower_prio_delay 5000", "vrrp_garp_lower_prio_delay '5000' invalid - ignoring", 5),
    ("vrrp_garp_lower_prio_repeat x", "Invalid vrrp_garp_lower_prio_repeat 'x'", 5),
    ("vrrp_down_timer_adverts 0", "Invalid vrrp_down_timer_adverts [1:100] '0'", 5),
    ("vrrp_down_timer_adverts 101", "Invalid vrrp_down_timer_adverts [1:100] '101'", 5),
    ("vrrp_down_timer_adverts x", "Invalid vrrp_down_timer_adverts [1:100] 'x'", 5),
    ("vrrp_garp_interval x", "vrrp_garp_interval 'x' is invalid", 5),
    ("vrrp_garp_interval 0", "vrrp_garp_interval '0' is invalid", 5),
    ("vrrp_garp_interval 5000", "vrrp_garp_interval '5000' is invalid", 5),
    ("vrrp_garp_interval -1", "vrrp_garp_interval '-1' is invalid", 5),
    ("vrrp_gna_interval x", "vrrp_gna_interval 'x' is invalid", 5),
    ("vrrp_gna_interval 0", "vrrp_gna_interval '0' is invalid", 5),
    ("vrrp_min_garp maybe", "Invalid value for vrrp_min_garp specified", 5),
    ("vrrp_garp_extra_if", "vrrp_garp_extra_if specified without time - ignoring", 5),
    ("vrrp_garp_extra_if x", "vrrp_garp_extra_if 'x' invalid - ignoring", 5),
    ("vrrp_garp_extra_if 0", "vrrp_garp_extra_if '0' invalid - ignoring", 5),
    ("vrrp_garp_extra_if 86401", "vrrp_garp_extra_if '86401' invalid - ignoring", 5),
    ("vrrp_garp_extra_if all", "vrrp_garp_extra_if specified without time - ignoring", 5),
    ("vrrp_garp_extra_if all 0", "vrrp_garp_extra_if '0' invalid - ignoring", 5),
    ("vrrp_garp_extra_if all x", "vrrp_garp_extra_if 'x' invalid - ignoring", 5),
    ("vrrp_garp_extra_if foo 5", "vrrp_garp_extra_if 'foo' invalid - ignoring", 5),
    ("vrrp_vmac_garp_intvl 5", "Keyword \"vrrp_vmac_garp_intvl\" is deprecated - please use \"vrrp_garp_extra_if\"", 5),
    ("vrrp_lower_prio_no_advert maybe", "Invalid value for vrrp_lower_prio_no_advert specified", 5),
    ("vrrp_higher_prio_send_advert maybe", "Invalid value for vrrp_higher_prio_send_advert specified", 5),
    ("vrrp_version 1", "VRRP Error: Version must be either 2 or 3", 5),
    ("vrrp_version 4", "VRRP Error: Version must be either 2 or 3", 5),
    ("vrrp_version x", "VRRP Error: Version must be either 2 or 3", 5),
    ("vrrp_version 3x", "invalid number '3x'", 5),
    ("vrrp_iptables", "iptables not supported, using nftables instead. Please replace 'vrrp_iptables and 'vrrp_ipsets' with 'nftables' config option", 5),
    ("vrrp_iptables abcdefghijklmnopqrstuvwxyzabcdefghijklmnop", "iptables not supported, using nftables instead. Please replace 'vrrp_iptables and 'vrrp_ipsets' with 'nftables' config option", 5),
    ("vrrp_iptables a abcdefghijklmnopqrstuvwxyzabcdefghijklmnop", "iptables not supported, using nftables instead. Please replace 'vrrp_iptables and 'vrrp_ipsets' with 'nftables' config option", 5),
    ("vrrp_iptables a b c", "iptables not supported, using nftables instead. Please replace 'vrrp_iptables and 'vrrp_ipsets' with 'nftables' config option", 5),
    ("vrrp_iptables IN", "iptables not supported, using nftables instead. Please replace 'vrrp_iptables and 'vrrp_ipsets' with 'nftables' config option", 5),
    ("nftables_priority x", "invalid nftables chain priority 'x'", 5),
    ("nftables_priority 99999999999", "invalid nftables chain priority '99999999999'", 5),
    ("nftables_ipvs_priority x", "invalid ipvs nftables chain priority 'x'", 5),
    ("nftables_ipvs_start_fwmark 0", "invalid ipvs nftables start_fwmark priority '0'", 5),
    ("nftables_ipvs_start_fwmark x", "invalid ipvs nftables start_fwmark priority 'x'", 5),
    ("nftables_ipvs_start_fwmark 99999999999", "invalid ipvs nftables start_fwmark priority '99999999999'", 5),
    ("vrrp_skip_check_adv_addr maybe", "Invalid value 'maybe' for vrrp_skip_check_adv_addr specified", 5),
    ("vrrp_strict maybe", "Invalid value 'maybe' for vrrp_strict specified", 5),
    ("vrrp_priority", "No vrrp process priority specified", 5),
    ("vrrp_priority -21", "Invalid vrrp process priority specified", 5),
    ("vrrp_priority 20", "Invalid vrrp process priority specified", 5),
    ("vrrp_priority x", "Invalid vrrp process priority specified", 5),
    ("vrrp_rt_priority", "No vrrp process real-time priority specified", 5),
    ("vrrp_rt_priority 0", "vrrp process real-time priority 0 less than minimum 1 - setting to minimum", 5),
    ("vrrp_rt_priority 100", "vrrp process real-time priority 100 greater than maximum 99 - setting to maximum", 5),
    ("vrrp_rt_priority x", "vrrp process real-time priority 'x' invalid", 5),
    ("vrrp_rt_priority -1", "vrrp process real-time priority -1 less than minimum 1 - setting to minimum", 5),
    ("vrrp_cpu_affinity", "No vrrp cpu_id set specified", 5),
    ("vrrp_cpu_affinity x", "Invalid cpu_id:x specified for vrrp process", 5),
    ("vrrp_cpu_affinity 1 x", "Invalid cpu_id:x specified for vrrp process", 5),
    ("vrrp_cpu_affinity 99999", "Invalid cpu_id:99999 specified for vrrp process", 5),
    ("vrrp_cpu_affinity -1", "Invalid cpu_id:-1 specified for vrrp process", 5),
    ("vrrp_rlimit_rttime 0", "Invalid vrrp real-time limit - 0", 5),
    ("vrrp_rlimit_rttime x", "Invalid vrrp real-time limit - x", 5),
    ("vrrp_rlimit_rttime 4294967296", "Invalid vrrp real-time limit - 4294967296", 5),
    ("vrrp_rlimit_rtime 0", "Invalid vrrp real-time limit - 0", 5),
    ("checker_priority -21", "Invalid checker process priority specified", 5),
    ("checker_rt_priority 0", "checker process real-time priority 0 less than minimum 1 - setting to minimum", 5),
    ("checker_rt_priority 100", "checker process real-time priority 100 greater than maximum 99 - setting to maximum", 5),
    ("checker_rt_priority x", "checker process real-time priority 'x' invalid", 5),
    ("checker_cpu_affinity x", "Invalid cpu_id:x specified for checker process", 5),
    ("checker_cpu_affinity 99999", "Invalid cpu_id:99999 specified for checker process", 5),
    ("checker_rlimit_rttime 0", "Invalid checker real-time limit - 0", 5),
    ("bfd_priority -21", "Invalid bfd process priority specified", 5),
    ("bfd_rt_priority 0", "bfd process real-time priority 0 less than minimum 1 - setting to minimum", 5),
    ("bfd_cpu_affinity x", "Invalid cpu_id:x specified for bfd process", 5),
    ("bfd_rlimit_rttime 0", "Invalid bfd real-time limit - 0", 5),
    ("notify_fifo", "No notify_fifo name specified", 5),
    ("notify_fifo_script", "No notify_fifo_script specified", 5),
    ("vrrp_notify_fifo", "No vrrp_notify_fifo name specified", 5),
    ("vrrp_notify_fifo_script", "No vrrp_notify_fifo_script specified", 5),
    ("lvs_notify_fifo", "No lvs_notify_fifo name specified", 5),
    ("lvs_notify_fifo_script", "No lvs_notify_fifo_script specified", 5),
    ("vrrp_notify_priority_changes maybe", "Invalid value 'maybe' for global vrrp_notify_priority_changes specified", 5),
    ("snmp_socket", "SNMP error : snmp socket name missing", 5),
    ("snmp_socket a b", "Too many parameters specified for snmp_socket - ignoring", 5),
    ("snmp_vs_stats_update_interval 0", "snmp_vs_stats_update_interval '0' is invalid", 5),
    ("snmp_rs_stats_update_interval 31", "snmp_rs_stats_update_interval '31' is invalid", 5),
    ("dbus_service_name", "dbus_service_name missing - ignoring", 5),
    ("script_user", "No script username specified", 5),
    ("vrrp_netlink_cmd_rcv_bufs", "vrrp_netlink_cmd_rcv_bufs size missing", 5),
    ("vrrp_netlink_cmd_rcv_bufs x", "vrrp_netlink_cmd_rcv_bufs size (x) invalid", 5),
    ("vrrp_netlink_cmd_rcv_bufs 99999999999", "vrrp_netlink_cmd_rcv_bufs size (99999999999) invalid", 5),
    ("vrrp_netlink_cmd_rcv_bufs_force maybe", "Invalid value 'maybe' for global vrrp_netlink_cmd_rcv_bufs_force specified", 5),
    ("vrrp_netlink_monitor_rcv_bufs x", "vrrp_netlink_monitor_rcv_bufs size (x) invalid", 5),
    ("vrrp_netlink_monitor_rcv_bufs_force maybe", "Invalid value 'maybe' for global vrrp_netlink_monitor_rcv_bufs_force specified", 5),
    ("lvs_netlink_cmd_rcv_bufs x", "lvs_netlink_cmd_rcv_bufs size (x) invalid", 5),
    ("lvs_netlink_cmd_rcv_bufs_force maybe", "Invalid value 'maybe' for global lvs_netlink_cmd_rcv_bufs_force specified", 5),
    ("lvs_netlink_monitor_rcv_bufs x", "lvs_netlink_monitor_rcv_bufs size (x) invalid", 5),
    ("lvs_netlink_monitor_rcv_bufs_force maybe", "Invalid value 'maybe' for global lvs_netlink_monitor_rcv_bufs_force specified", 5),
    ("process_monitor_rcv_bufs x", "process_monitor_rcv_bufs size (x) invalid", 5),
    ("process_monitor_rcv_bufs_force maybe", "Invalid value 'maybe' for global process_monitor_rcv_bufs_force specified", 5),
    ("rs_init_notifies maybe", "Invalid value 'maybe' for global rs_init_notifies specified", 5),
    ("no_checker_emails maybe", "Invalid value 'maybe' for global no_checker_emails specified", 5),
    ("vrrp_rx_bufs_policy", "vrrp_rx_bufs_policy missing", 5),
    ("vrrp_rx_bufs_policy foo", "Invalid vrrp_rx_bufs_policy foo", 5),
    ("vrrp_rx_bufs_policy -1", "Invalid vrrp_rx_bufs_policy -1", 5),
    ("vrrp_rx_bufs_policy 99999999999", "Invalid vrrp_rx_bufs_policy 99999999999", 5),
    ("vrrp_rx_bufs_policy mtu foo", "Invalid vrrp_rx_bufs_policy foo", 5),
    ("vrrp_rx_bufs_multiplier", "Invalid vrrp_rx_bufs_multiplier", 5),
    ("vrrp_rx_bufs_multiplier 0", "Invalid vrrp_rx_bufs_multiplier 0", 5),
    ("vrrp_rx_bufs_multiplier x", "Invalid vrrp_rx_bufs_multiplier x", 5),
    ("vrrp_startup_delay 0", "vrrp_startup_delay '0' is invalid", 5),
    ("vrrp_startup_delay x", "vrrp_startup_delay 'x' is invalid", 5),
    ("vrrp_startup_delay 0.0005", "vrrp_startup_delay '0.0005' is invalid", 5),
    ("vrrp_startup_delay 5000", "vrrp_startup_delay '5000' is invalid", 5),
    ("vrrp_delay_after_boot x", "vrrp_delay_after_boot 'x' is invalid", 5),
    ("vrrp_owner_ignore_adverts maybe", "Invalid value 'maybe' for global vrrp_owner_ignore_adverts specified", 5),
    ("umask x", "Unknown umask bit x", 5),
    ("umask 1000", "invalid umask value 1000", 5),
    ("umask 01000", "invalid umask value 01000", 5),
    ("umask IRWXG|IFOO", "Unknown umask bit IRWXG", 5),
    ("umask IRUSR|", "umask missing bit value", 5),
    ("random_seed x", "random_seed x invalid", 5),
    ("random_seed 99999999999", "random_seed 99999999999 invalid", 5),
    ("reload_time_file", "reload_time_file invalid", 5),
    ("reload_time_file /tmp/a b", "reload_time_file invalid", 5),
    ("include_check foo", "Unknown include_check type 'foo' - ignoring", 5),
    ("tmp_config_directory", "tmp_config_directory missing directory name", 5),
    ("data_use_instance maybe", "Invalid value 'maybe' for global date_use_instance specified", 5),
    ("json_version 3", "Invalid json_version '3' - must be 1 or 2", 5),
    ("json_version x", "Invalid json_version 'x' - must be 1 or 2", 5),
    ("vrrp_higher_prio_send_advert 1", "Invalid value for vrrp_higher_prio_send_advert specified", 5),
    ("dbus_no_interface_name", "dbus_no_interface_name missing - ignoring", 5),
    ("snmp_vs_stats_update_interval 31", "snmp_vs_stats_update_interval '31' is invalid", 5),
    ("lvs_timeouts tcpfin", "lvs_timeouts requires at least one option", 5),
    ("lvs_sync_daemon abcdefghijklmnop VI", "lvs_sync_daemon interface name 'abcdefghijklmnop' too long - ignoring", 5),
    ("lvs_sync_daemon lo VI maxlen", "No value specified for lvs_sync_daemon maxlen - ignoring", 5),
    ("lvs_sync_daemon lo VI inst VI2", "lvs_sync_daemon vrrp instance has already been specified as VI - ignoring", 5),
    ("vrrp_garp_master_repeat 4294967296", "vrrp_garp_master_repeat '4294967296' invalid - ignoring", 5),
    ("vrrp_rx_bufs_policy mtu 5", "Invalid vrrp_rx_bufs_policy 5", 5),
    ("vrrp_rx_bufs_policy mtu advert", "Cannot set both vrrp_rx_bufs_policy MTU and ADVERT, ignoring ADVERT", 5),
    ("umask |IRUSR", "umask missing bit value", 5),
    ("umask IRUSR IWUSR", "Invalid umask syntax IWUSR", 5),
    ("umask 022 x", "Extra parameter(s) to umask option", 5),
    ("random_seed -1", "random_seed -1 invalid", 5),
    ("include_check +foo", "Unknown include_check type 'foo' - ignoring", 5),
    ("nftables_priority 3x", "invalid number '3x'", 5),
];

/// Words without their argument: C ends with exit code 2.
const MISSING: &[&str] = &[
    "bfd_process_name",
    "checker_process_name",
    "config_save_dir",
    "iproute_etc_dir",
    "iproute_usr_dir",
    "json_dump_file",
    "json_version",
    "lvs_process_name",
    "nftables_ipvs_priority",
    "nftables_ipvs_start_fwmark",
    "nftables_priority",
    "process_name",
    "random_seed",
    "smtp_connect_timeout",
    "smtp_server",
    "state_dump_file",
    "stats_dump_file",
    "umask",
    "vmac_addr_prefix",
    "vmac_prefix",
    "vrrp_down_timer_adverts",
    "vrrp_garp_interval",
    "vrrp_garp_master_delay",
    "vrrp_garp_master_repeat",
    "vrrp_gna_interval",
    "vrrp_mcast_group4",
    "vrrp_mcast_group6",
    "vrrp_process_name",
    "vrrp_rlimit_rtime",
    "vrrp_rlimit_rttime",
    "vrrp_startup_delay",
    "vrrp_version",
];

/// Lines that nothing is said about.
const RIGHT: &[&str] = &[
    "process_names",
    "process_names x",
    "lvs_process_name foo",
    "router_id a b",
    "notification_email_from Foo Bar <a@b>",
    "max_auto_priority",
    "max_auto_priority -1",
    "max_auto_priority 0",
    "dynamic_interfaces",
    "dynamic_interfaces allow_if_changes",
    "no_email_faults",
    "no_email_faults x",
    "default_interface abcdefghijklmnopqrst",
    "default_interface lo",
    "disable_local_igmp",
    "disable_local_igmp x",
    "v3_checksum_as_v2",
    "lvs_timeouts tcp 0",
    "lvs_flush",
    "lvs_flush x",
    "lvs_flush_on_stop",
    "lvs_flush_on_stop VS",
    "lvs_flush_onstop",
    "lvs_sync_daemon lo",
    "lvs_sync_daemon lo inst VI",
    "lvs_sync_daemon lo VI group 224.0.0.81",
    "lvs_sync_daemon lo VI id 5",
    "vrrp_mcast_group4 224.0.0.18",
    "vrrp_mcast_group6 ff02::12",
    "vrrp_garp_master_repeat 300",
    "vrrp_garp_master_refresh 5000",
    "vrrp_garp_lower_prio_repeat 0",
    "vrrp_garp_lower_prio_repeat 300",
    "vrrp_garp_interval 1",
    "vrrp_garp_interval 0.5",
    "vrrp_gna_interval 1.5",
    "vrrp_min_garp false",
    "vrrp_garp_extra_if all 5",
    "vrrp_garp_extra_if 5",
    "vrrp_ipsets",
    "vrrp_ipsets a b c d e f",
    "vrrp_ipsets a b c d e f g",
    "vrrp_ipsets abcdefghijklmnopqrstuvwxyzabcdefghijklmnop",
    "vrrp_ipsets a abcdefghijklmnopqrstuvwxyzabcdefghijklmnop",
    "vrrp_ipsets a b abcdefghijklmnopqrstuvwxyzabcdefghijklmnop",
    "nftables",
    "nftables a b",
    "nftables abcdefghijklmnopqrstuvwxyzabcdefghijklmnop",
    "nftables_priority -5",
    "nftables_ifindex",
    "nftables_ifindex x",
    "nftables_ipvs",
    "nftables_ipvs a b",
    "nftables_ipvs abcdefghijklmnopqrstuvwxyzabcdefghijklmnop",
    "nftables_counters",
    "nftables_counters x",
    "vrrp_check_unicast_src",
    "vrrp_no_swap",
    "vrrp_no_swap x",
    "vrrp_cpu_affinity 0 1",
    "vrrp_rlimit_rttime 1",
    "vrrp_rlimit_rtime 5",
    "checker_rlimit_rtime 5",
    "bfd_rlimit_rtime 5",
    "notify_fifo relative",
    "vrrp_notify_fifo /tmp/f",
    "fifo_write_vrrp_states_on_reload",
    "fifo_write_vrrp_states_on_reload x",
    "snmp_socket a",
    "enable_traps",
    "enable_traps x",
    "enable_snmp_vrrp",
    "enable_snmp_keepalived",
    "enable_snmp_rfc",
    "enable_snmp_rfcv2",
    "enable_snmp_rfcv3",
    "enable_snmp_checker",
    "enable_dbus",
    "dbus_service_name x",
    "dbus_no_interface_name x",
    "script_user root root x",
    "enable_script_security",
    "enable_script_security x",
    "vrrp_netlink_cmd_rcv_bufs 0",
    "vrrp_rx_bufs_policy mtu",
    "vrrp_rx_bufs_policy 0",
    "vrrp_startup_delay 60",
    "vrrp_startup_delay 5",
    "log_unknown_vrids",
    "vmac_prefix abcdefghijklmnopqrst",
    "vmac_prefix a/b",
    "vmac_addr_prefix abcdefghijklmnopqrst",
    "umask 0777",
    "umask IRUSR | IWUSR",
    "umask 18",
    "reload_check_config",
    "reload_check_config /tmp/x",
    "reload_check_config a b",
    "reload_time_file relative",
    "reload_time_file /nosuchdir/a",
    "reload_repeat",
    "reload_repeat x",
    "reload_file",
    "reload_file /tmp/x",
    "reload_file relative",
    "reload_file /nosuchdir/a",
    "config_save_dir /nosuchdir",
    "config_save_dir relative",
    "tmp_config_directory /nosuchdir",
    "tmp_config_directory relative",
    "json_version 2",
    "iproute_usr_dir /nosuchdir",
    "state_dump_file /tmp/x",
    "router_id a",
    "notification_email_from a@b",
    "smtp_server 192.0.2.1 2525",
    "smtp_helo_name a",
    "smtp_connect_timeout 5",
    "smtp_alert",
    "smtp_alert_vrrp no",
    "smtp_alert_checker off",
    "process_name a",
    "vrrp_process_name a",
    "checker_process_name a",
    "bfd_process_name a",
    "use_symlink_paths",
    "set_supplementary_groups yes",
    "startup_script_timeout 1000",
    "shutdown_script_timeout 1",
    "min_auto_priority_delay 10000000",
    "checker_log_all_failures",
    "notification_email {\na@b\n}",
    "vrrp_garp_master_delay 4294",
    "vrrp_garp_master_repeat 1",
    "vrrp_garp_master_refresh 60",
    "vrrp_garp_master_refresh_repeat 2",
    "vrrp_garp_lower_prio_delay 0",
    "vrrp_down_timer_adverts 100",
    "vrrp_gna_interval 0.000001",
    "vrrp_min_garp",
    "vrrp_lower_prio_no_advert on",
    "vrrp_higher_prio_send_advert true",
    "vrrp_version 3",
    "nftables_ipvs_priority 5",
    "nftables_ipvs_start_fwmark 1",
    "vrrp_skip_check_adv_addr",
    "vrrp_strict",
    "vrrp_priority -20",
    "checker_priority 19",
    "bfd_priority 0",
    "checker_no_swap",
    "bfd_no_swap",
    "vrrp_rt_priority 1",
    "checker_rt_priority 99",
    "bfd_rt_priority 50",
    "checker_cpu_affinity 0",
    "bfd_cpu_affinity 1",
    "checker_rlimit_rttime 10",
    "bfd_rlimit_rttime 10",
    "lvs_notify_fifo /tmp/f",
    "vrrp_notify_priority_changes",
    "snmp_vs_stats_update_interval 30",
    "snmp_rs_stats_update_interval 0.001",
    "script_user root",
    "vrrp_netlink_cmd_rcv_bufs 65536",
    "vrrp_netlink_cmd_rcv_bufs_force",
    "vrrp_netlink_monitor_rcv_bufs 65536",
    "vrrp_netlink_monitor_rcv_bufs_force",
    "lvs_netlink_cmd_rcv_bufs 65536",
    "lvs_netlink_cmd_rcv_bufs_force",
    "lvs_netlink_monitor_rcv_bufs 65536",
    "lvs_netlink_monitor_rcv_bufs_force",
    "process_monitor_rcv_bufs 65536",
    "process_monitor_rcv_bufs_force",
    "rs_init_notifies",
    "no_checker_emails",
    "vrrp_rx_bufs_policy 65536",
    "vrrp_rx_bufs_multiplier 1",
    "vrrp_startup_delay 0.001",
    "vrrp_delay_after_boot 5",
    "vrrp_owner_ignore_adverts",
    "vmac_prefix v",
    "vmac_addr_prefix v",
    "random_seed 5",
    "reload_time_file /tmp/a",
    "include_check readable -match",
    "config_save_dir /tmp",
    "data_use_instance",
    "iproute_etc_dir /etc/iproute2",
    "stats_dump_file /tmp/",
    "json_dump_file /tmp/x",
    "lvs_sync_daemon lo inst VI id 3",
];

/// Words that nothing behind them is wrong for.
const ANYTHING_GOES: &[&str] = &[
    "process_names",
    "smtp_helo_name",
    "no_email_faults",
    "disable_local_igmp",
    "v3_checksum_as_v2",
    "lvs_flush",
    "vrrp_ipsets",
    "nftables",
    "nftables_ifindex",
    "nftables_ipvs",
    "nftables_counters",
    "vrrp_check_unicast_src",
    "vrrp_no_swap",
    "checker_no_swap",
    "bfd_no_swap",
    "fifo_write_vrrp_states_on_reload",
    "enable_traps",
    "enable_snmp_vrrp",
    "enable_snmp_keepalived",
    "enable_snmp_rfc",
    "enable_snmp_rfcv2",
    "enable_snmp_rfcv3",
    "enable_snmp_checker",
    "enable_dbus",
    "enable_script_security",
    "log_unknown_vrids",
    "reload_check_config",
    "reload_repeat",
    "reload_file",
];

/// Their other spellings and blocks are tested on their own.
const ELSEWHERE: &[&str] = &[
    "notification_email",
    "lvs_flush_onstop",
    "checker_rlimit_rtime",
    "bfd_rlimit_rtime",
    "startup_script",
    "shutdown_script",
    "notify_fifo_script",
    "vrrp_notify_fifo_script",
    "lvs_notify_fifo_script",
    "vrrp_vmac_garp_intvl",
    "vrrp_iptables",
];

fn in_globals(text: &str) -> String {
    format!("global_defs {{\n{text}\n}}\n")
}

/// What is said, but for what does not work yet.
fn said(loaded: &Loaded) -> Vec<String> {
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
fn on_small(text: &str) -> (Vec<String>, u8) {
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
fn words_of_the_outer_level_are_checked() {
    for (text, message, code) in [
        (
            "net_namespace",
            "(Line 1) net_namespace name missing - ignoring",
            5,
        ),
        (
            "net_namespace a\nnet_namespace b",
            "(Line 2) Duplicate net_namespace definition b - ignoring",
            0,
        ),
        (
            "net_namespace_ipvs\nnet_namespace_ipvs b",
            "(Line 2) Duplicate net_namespace_ipvs definition b - ignoring",
            5,
        ),
        ("instance", "(Line 1) instance name missing - ignoring", 5),
        (
            "instance a\ninstance b",
            "(Line 2) Duplicate instance definition b - ignoring",
            5,
        ),
        ("child_wait_time x", "(Line 1) Invalid child_wait_time x", 5),
        (
            "child_wait_time -1",
            "(Line 1) Invalid child_wait_time -1",
            5,
        ),
        (
            "child_wait_time",
            "(Line 1) *** Configuration line starting `child_wait_time` is missing a parameter \
             after keyword `child_wait_time` at word position 2",
            2,
        ),
    ] {
        let loaded = parse(text);
        assert_eq!(said(&loaded), [message], "{text}");
        assert_eq!(loaded.exit_code(), code, "{text}");
    }
    let loaded = parse(
        "linkbeat_use_polling\nnet_namespace a\nnet_namespace_ipvs\nnamespace_with_ipsets\n\
         use_pid_dir\ninstance i\nchild_wait_time 9\n",
    );
    assert_eq!(said(&loaded), [""; 0]);
    let globals = loaded.config.globals;
    assert!(globals.linkbeat_polling);
    let places = globals.places;
    assert_eq!(places.network_namespace.as_deref(), Some("a"));
    assert_eq!(places.ipvs_network_namespace.as_deref(), Some(""));
    assert_eq!(places.instance.as_deref(), Some("i"));
    assert_eq!(places.child_wait_time, Some(Interval::from_secs(9)));
    assert!(places.use_pid_directory && places.namespace_with_ipsets);
}

#[test]
fn garp_groups_are_checked() {
    for (text, message, code) in [
        (
            "",
            "(Line 3) garp group 0 does not have any delay set - removing",
            5,
        ),
        (
            "interface e0",
            "(Line 3) garp group 0 does not have any delay set - removing",
            5,
        ),
        (
            "garp_interval x",
            "(Line 2) garp_group garp_interval 'x' invalid",
            5,
        ),
        (
            "gna_interval 5000",
            "(Line 2) garp_group gna_interval '5000' invalid",
            5,
        ),
        (
            "garp_interval .5\ninterfaces {\n}",
            "(Line 4) Warning - empty garp_group interfaces block",
            5,
        ),
        (
            "garp_interval .5\ninterface e0\ninterface e0",
            "(Line 4) garp_group already specified for e0 - ignoring",
            5,
        ),
        (
            "garp_interval .5\ninterval 3",
            "(Line 3) Unknown keyword 'interval'",
            5,
        ),
    ] {
        let loaded = parse(&format!("garp_group {{\n{text}\n}}\n"));
        assert_eq!(said(&loaded), [message], "{text}");
        assert_eq!(loaded.exit_code(), code, "{text}");
    }
    let text = "garp_group {\ngarp_interval 0.5\ngna_interval 0.25\ninterface e0\n\
                interfaces {\ne1 e2\ne3\n}\n}\n";
    let loaded = parse(text);
    assert_eq!(said(&loaded), [""; 0]);
    let [group] = loaded.config.garp_groups.as_slice() else {
        panic!("{:?}", loaded.config.garp_groups)
    };
    assert_eq!(group.interfaces, ["e0", "e1", "e2", "e3"]);
    assert_eq!(group.garp_interval, Interval::from_us(500_000));
    assert_eq!(group.gna_interval, Interval::from_us(250_000));
    assert!(!loaded.is_usable(), "it does not work yet");

    // An interface is in one group only, but for groups that are removed.
    let loaded =
        parse("garp_group {\ninterface e0\n}\ngarp_group {\ngarp_interval .1\ninterface e0\n}\n");
    assert_eq!(loaded.config.garp_groups.len(), 1);
    assert_eq!(said(&loaded).len(), 1);
    let text = "garp_group {\ngarp_interval 0.5\ninterface e0\ninterface e7\n}\n";
    let said = [
        "(Line 4) WARNING - interface e7 specified for garp_group doesn't exist",
        "Non-existent interface specified in configuration",
    ];
    assert_eq!(on_small(text), (said.map(String::from).to_vec(), 5));
    // Not if interfaces may come later, wherever that is written.
    let dynamic = format!("{text}global_defs {{\ndynamic_interfaces\n}}\n");
    assert_eq!(on_small(&dynamic), (Vec::new(), 0));
}

#[test]
fn linkbeat_interfaces_are_checked() {
    let text = "linkbeat_interfaces {\ne0\ne0 MII\ne0 ETHTOOL\ne0 IOCTL\n}\n";
    let loaded = parse(text);
    assert_eq!(said(&loaded), [""; 0]);
    let methods: Vec<_> = loaded
        .config
        .linkbeat_interfaces
        .iter()
        .map(|line: &LinkbeatInterface| line.method)
        .collect();
    let expected = [
        None,
        Some(LinkbeatMethod::Mii),
        Some(LinkbeatMethod::Ethtool),
        Some(LinkbeatMethod::Ioctl),
    ];
    assert_eq!(methods, expected);
    let loaded = parse("linkbeat_interfaces {\ne0 mii\n}\n");
    assert_eq!(
        said(&loaded),
        ["(Line 2) extra characters mii in linkbeat interface"]
    );
    assert_eq!(loaded.exit_code(), 5);
    let message = "(Line 2) unknown interface e7 specified for linkbeat interface";
    let said = on_small("linkbeat_interfaces {\ne7\n}\n");
    assert_eq!(said, (vec![message.to_string()], 4));
}

#[test]
fn delays_of_interfaces_are_checked() {
    let loaded = parse("interface_up_down_delays {\ne0 5\ne1 1.5 0.5\n}\n");
    assert_eq!(said(&loaded), [""; 0]);
    let delay = |interface: &str, down, up| InterfaceDelay {
        interface: interface.to_string(),
        down: Interval::from_us(down),
        up: Interval::from_us(up),
    };
    let expected = [delay("e0", 5_000_000, 0), delay("e1", 1_500_000, 500_000)];
    assert_eq!(loaded.config.interface_delays, expected);
    for (line, message) in [
        ("e0 x", "invalid number 'x'"),
        ("e0 -1", "negative number '-1'"),
        (
            "e0 5 256",
            "number '256' outside range [0.000000, 255.000000]",
        ),
    ] {
        let loaded = parse(&format!("interface_up_down_delays {{\n{line}\n}}\n"));
        assert_eq!(said(&loaded), [format!("(Line 2) {message}")], "{line}");
        assert_eq!(loaded.exit_code(), 5);
        assert!(loaded.config.interface_delays.is_empty());
    }
    let message = "(Line 2) unknown interface e7 specified for up/down delay";
    let said = on_small("interface_up_down_delays {\ne7 5\n}\n");
    assert_eq!(said, (vec![message.to_string()], 4));
}

#[test]
fn decisive_words_may_ask_for_what_is_done_anyway() {
    for line in [
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
    let decisive = global_defs::KEYWORDS
        .iter()
        .filter(|row| row.status == Status::Decisive);
    assert!(decisive.count() > 10);
    for line in ["vrrp_strict", "notify_fifo /f", "vrrp_startup_delay 5"] {
        assert!(!parse(&in_globals(line)).is_usable(), "{line}");
    }
}
