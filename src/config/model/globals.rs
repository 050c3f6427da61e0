//! Settings of the whole daemon: `global_defs` and words of the outer level.
//!
//! Decides their types and defaults. What instances take over when they say
//! nothing themselves is in [`InstanceDefaults`]; the resolved values are in the
//! instances. Source: specification B.1, B.2, B.3.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::time::Interval;

use super::{Command, Garp, ScriptUser, Secret, Version};

/// Settings that belong to the whole daemon (specification B.1, B.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Globals {
    /// `router_id`; `None` means the local host name.
    pub router_id: Option<String>,
    /// `notification_email`: who gets mail, as written.
    pub notification_email: Vec<String>,
    /// `notification_email_from`; `None` means the running user at this host.
    pub notification_email_from: Option<String>,
    /// `smtp_server`; without one no mail is sent.
    pub smtp_server: Option<SmtpServer>,
    /// `smtp_helo_name`; `None` means the local host name.
    pub smtp_helo_name: Option<String>,
    /// `smtp_connect_timeout`: the limit of each step of the dialogue. Default 30 s.
    pub smtp_connect_timeout: Interval,
    /// `no_email_faults`: no mail for FAULT.
    pub no_email_faults: bool,
    /// How mail gets to the server.
    pub mail: MailDelivery,
    /// `worker_stall_limit`: how long the VRRP process may make no turn; 0: for ever;
    /// `None`: three times the longest master-down time, at least 5 s.
    pub worker_stall_limit: Option<Interval>,
    /// `worker_confinement`: the VRRP process gives up what it does not need. Default
    /// true.
    pub worker_confinement: bool,
    /// `metrics_listen`: where metrics are served; `None`: nowhere.
    pub metrics_listen: Option<MetricsListen>,
    /// `enable_script_security`.
    pub enable_script_security: bool,
    /// `script_user`: who runs scripts that name no user.
    pub script_user: Option<ScriptUser>,
    /// `use_symlink_paths`: scripts are executed by the path that was written.
    pub use_symlink_paths: bool,
    /// `set_supplementary_groups`: scripts get the supplementary groups of their user.
    pub set_supplementary_groups: bool,
    /// `startup_script`, `startup_script_timeout`
    pub startup_script: LifecycleScript,
    /// `shutdown_script`, `shutdown_script_timeout`
    pub shutdown_script: LifecycleScript,
    /// `notify_fifo`, `notify_fifo_script`: events of VRRP and of the checkers.
    pub notify_fifo: NotifyFifo,
    /// `vrrp_notify_fifo`, `vrrp_notify_fifo_script`
    pub vrrp_notify_fifo: NotifyFifo,
    /// `lvs_notify_fifo`, `lvs_notify_fifo_script`
    pub lvs_notify_fifo: NotifyFifo,
    /// `fifo_write_vrrp_states_on_reload`
    pub fifo_write_states_on_reload: bool,
    /// What holds for instances and groups that say nothing themselves.
    pub defaults: InstanceDefaults,
    /// `vrrp_garp_*`, `vrrp_gna_interval` and `vrrp_min_garp`, defaults filled in.
    pub garp: Garp,
    /// How long the first start is put off.
    pub startup: Startup,
    /// `dynamic_interfaces`. Interfaces may always appear later; printed only.
    pub dynamic_interfaces: DynamicInterfaces,
    /// `default_interface`: of addresses without `dev` that are static or of an
    /// instance without `interface`; `None`: `eth0`.
    pub default_interface: Option<String>,
    /// `linkbeat_use_polling` (outer level)
    pub linkbeat_polling: bool,
    /// `disable_local_igmp`
    pub disable_local_igmp: bool,
    /// `log_unknown_vrids`
    pub log_unknown_vrids: bool,
    /// `vmac_prefix`. Default `vrrp`.
    pub vmac_prefix: String,
    /// `vmac_addr_prefix`; `None`: `vmac_prefix`.
    pub vmac_address_prefix: Option<String>,
    /// Names and priorities of the processes.
    pub processes: Processes,
    /// Sizes of socket buffers.
    pub buffers: Buffers,
    /// What drops packets to addresses that are not accepted.
    pub firewall: Firewall,
    /// Settings of the LVS half.
    pub lvs: Lvs,
    /// SNMP.
    pub snmp: Snmp,
    /// D-Bus.
    pub dbus: Dbus,
    /// Where files are, and namespaces.
    pub places: Places,
    /// Reload.
    pub reload: ReloadSettings,
    /// `json_version`, 1 or 2. Default 1.
    pub json_version: u8,
    /// `random_seed`
    pub random_seed: Option<u32>,
    /// `umask`; `None`: 0177.
    pub umask: Option<u32>,
}

impl Default for Globals {
    fn default() -> Self {
        Self {
            router_id: None,
            notification_email: Vec::new(),
            notification_email_from: None,
            smtp_server: None,
            smtp_helo_name: None,
            smtp_connect_timeout: Interval::from_secs(30),
            no_email_faults: false,
            mail: MailDelivery::default(),
            worker_stall_limit: None,
            worker_confinement: true,
            metrics_listen: None,
            enable_script_security: false,
            script_user: None,
            use_symlink_paths: false,
            set_supplementary_groups: false,
            startup_script: LifecycleScript::default(),
            shutdown_script: LifecycleScript::default(),
            notify_fifo: NotifyFifo::default(),
            vrrp_notify_fifo: NotifyFifo::default(),
            lvs_notify_fifo: NotifyFifo::default(),
            fifo_write_states_on_reload: false,
            defaults: InstanceDefaults::default(),
            garp: Garp::default(),
            startup: Startup::default(),
            dynamic_interfaces: DynamicInterfaces::No,
            default_interface: None,
            linkbeat_polling: false,
            disable_local_igmp: false,
            log_unknown_vrids: false,
            vmac_prefix: "vrrp".to_string(),
            vmac_address_prefix: None,
            processes: Processes::default(),
            buffers: Buffers::default(),
            firewall: Firewall::default(),
            lvs: Lvs::default(),
            snmp: Snmp::default(),
            dbus: Dbus::default(),
            places: Places::default(),
            reload: ReloadSettings::default(),
            json_version: 1,
            random_seed: None,
            umask: None,
        }
    }
}

impl Globals {
    /// Where an address goes that names no interface and belongs to no instance
    /// that has one.
    pub fn interface_without_dev(&self) -> &str {
        self.default_interface.as_deref().unwrap_or("eth0")
    }
}

/// `smtp_server HOST [PORT]`. The name is looked up when a mail is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpServer {
    /// Host name or address.
    pub host: String,
    /// TCP port, default 25.
    pub port: u16,
}

/// How mail gets to the server, as far as C keepalived has no words for it: all
/// of this stands in `keepalived-rs.conf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailDelivery {
    /// `smtp_tls`
    pub tls: SmtpTls,
    /// `smtp_ca_file`: whose certificates are believed, instead of those that this
    /// machine believes.
    pub ca_file: Option<String>,
    /// What is in that file, once it was read: where the daemon starts or reloads.
    pub ca_text: Option<Vec<u8>>,
    /// `smtp_user`: who logs in to the server.
    pub user: Option<String>,
    /// `smtp_password`, `smtp_password_file`
    pub password: Option<SmtpPassword>,
    /// `smtp_retry_for`: how old a mail may be when it is tried again. 0: it is tried
    /// once, as C does. Default one hour.
    pub retry_for: Interval,
}

impl Default for MailDelivery {
    fn default() -> Self {
        Self {
            tls: SmtpTls::Off,
            ca_file: None,
            ca_text: None,
            user: None,
            password: None,
            retry_for: Interval::from_secs(3600),
        }
    }
}

/// `metrics_listen`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricsListen {
    /// A Unix socket at this absolute path.
    Unix(String),
    /// A port of a loopback address.
    Loopback(SocketAddr),
}

impl fmt::Display for MetricsListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{path}"),
            Self::Loopback(address) => address.fmt(f),
        }
    }
}

/// `smtp_tls`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// In the clear, as C does.
    Off,
    /// STARTTLS where the server offers it.
    Opportunistic,
    /// STARTTLS, or no mail.
    StartTls,
    /// Encrypted from the first byte.
    Tls,
}

/// Where the password for the mail server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SmtpPassword {
    /// It was written down, or it was read from its file where the daemon starts or
    /// reloads.
    Written(Secret),
    /// On the first line of this file.
    File(String),
}

/// `startup_script` or `shutdown_script`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleScript {
    /// The command.
    pub command: Option<Command>,
    /// It is ended after this time. 1 s to 1000 s, default 10 s.
    pub timeout: Interval,
}

impl Default for LifecycleScript {
    fn default() -> Self {
        Self {
            command: None,
            timeout: Interval::from_secs(10),
        }
    }
}

/// A FIFO that events are written to, and the script that reads it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NotifyFifo {
    /// Where it is; `None`: there is none.
    pub path: Option<String>,
    /// Who owns it; `None`: the daemon's user.
    pub owner: Option<ScriptUser>,
    /// Started before the FIFO is opened, with its path as last argument.
    pub script: Option<Command>,
}

/// What instances and groups take over. `None` and `false` mean that nothing was
/// said, where that matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceDefaults {
    /// `vrrp_version`. Without it IPv4 instances have 2, IPv6 instances 3.
    pub version: Option<Version>,
    /// `vrrp_strict`. Default off.
    pub strict: bool,
    /// `vrrp_skip_check_adv_addr`. Default off.
    pub skip_check_adv_addr: bool,
    /// `vrrp_check_unicast_src`. Default off.
    pub check_unicast_source: bool,
    /// `vrrp_down_timer_adverts`, 1 to 100. Default 3.
    pub down_timer_adverts: u8,
    /// `vrrp_lower_prio_no_advert`. Default off, in strict mode on.
    pub lower_prio_no_advert: Option<bool>,
    /// `vrrp_higher_prio_send_advert`. Default off.
    pub higher_prio_send_advert: Option<bool>,
    /// `vrrp_owner_ignore_adverts`. Default off, in strict mode on.
    pub owner_ignore_adverts: Option<bool>,
    /// `v3_checksum_as_v2`. Default off.
    pub v3_checksum_as_v2: bool,
    /// `vrrp_notify_priority_changes`. Default off.
    pub notify_priority_changes: bool,
    /// `smtp_alert`
    pub smtp_alert: Option<bool>,
    /// `smtp_alert_vrrp`, beats `smtp_alert`.
    pub smtp_alert_vrrp: Option<bool>,
    /// `vrrp_mcast_group4`. Default 224.0.0.18.
    pub multicast_group_v4: Ipv4Addr,
    /// `vrrp_mcast_group6`. Default ff02::12.
    pub multicast_group_v6: Ipv6Addr,
}

impl Default for InstanceDefaults {
    fn default() -> Self {
        Self {
            version: None,
            strict: false,
            skip_check_adv_addr: false,
            check_unicast_source: false,
            down_timer_adverts: 3,
            lower_prio_no_advert: None,
            higher_prio_send_advert: None,
            owner_ignore_adverts: None,
            v3_checksum_as_v2: false,
            notify_priority_changes: false,
            smtp_alert: None,
            smtp_alert_vrrp: None,
            // RFC 9568 section 5.1.1.2 and 5.1.2.2.
            multicast_group_v4: Ipv4Addr::new(224, 0, 0, 18),
            multicast_group_v6: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12),
        }
    }
}

impl InstanceDefaults {
    /// Whether instances and groups that say nothing send mail.
    pub fn smtp_alert(&self) -> bool {
        self.smtp_alert_vrrp.or(self.smtp_alert).unwrap_or(false)
    }

    /// The multicast group of a family.
    pub fn multicast_group(&self, ipv6: bool) -> IpAddr {
        if ipv6 {
            self.multicast_group_v6.into()
        } else {
            self.multicast_group_v4.into()
        }
    }
}

/// How long the first start is put off; the larger of the two counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Startup {
    /// `vrrp_startup_delay`. Default 0.
    pub delay: Interval,
    /// `vrrp_delay_after_boot`, from the boot of the machine. Default 0.
    pub delay_after_boot: Interval,
}

/// `dynamic_interfaces`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DynamicInterfaces {
    /// Not given.
    #[default]
    No,
    /// Given.
    Yes,
    /// `allow_if_changes`
    AllowChanges,
}

/// Names and priorities of the processes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Processes {
    /// `process_names`: the children get names of their own.
    pub named: bool,
    /// `process_name`, at most 15 bytes.
    pub parent_name: Option<String>,
    /// The process that does VRRP.
    pub vrrp: Process,
    /// The process that checks servers.
    pub checker: Process,
    /// The process that does BFD.
    pub bfd: Process,
    /// `max_auto_priority`, -1 to 99: the greatest real-time priority that is
    /// taken without being asked for; 0 off, -1 off and nothing said. Default 0.
    pub max_auto_priority: i8,
    /// `min_auto_priority_delay`: lateness that raises the priority; `None`: 1 s.
    pub min_auto_priority_delay: Option<Interval>,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Process {
    /// `*_process_name`, at most 15 bytes.
    pub name: Option<String>,
    /// `*_priority`, -20 to 19. Default 0.
    pub nice: i8,
    /// `*_no_swap`
    pub no_swap: bool,
    /// `*_rt_priority`, 1 to 99.
    pub realtime_priority: Option<u8>,
    /// `*_cpu_affinity`; empty: all processors.
    pub processors: Vec<u32>,
    /// `*_rlimit_rttime`; `None`: 10 ms.
    pub realtime_limit: Option<Interval>,
}

/// Sizes of socket buffers in bytes; `None`: the kernel's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Buffers {
    /// `vrrp_netlink_cmd_rcv_bufs*`
    pub vrrp_netlink_command: Buffer,
    /// `vrrp_netlink_monitor_rcv_bufs*`
    pub vrrp_netlink_monitor: Buffer,
    /// `lvs_netlink_cmd_rcv_bufs*`
    pub lvs_netlink_command: Buffer,
    /// `lvs_netlink_monitor_rcv_bufs*`
    pub lvs_netlink_monitor: Buffer,
    /// `process_monitor_rcv_bufs*`
    pub process_monitor: Buffer,
    /// `vrrp_rx_bufs_policy`
    pub receive: Option<ReceivePolicy>,
    /// `vrrp_rx_bufs_multiplier`, at least 1; `None`: 3.
    pub receive_multiplier: Option<u32>,
}

/// The buffer of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Buffer {
    /// Bytes.
    pub bytes: Option<u32>,
    /// The limit of the kernel does not count.
    pub force: bool,
}

/// What the size of the receive buffers follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceivePolicy {
    /// The MTU of the interface.
    Mtu,
    /// The size of an advert.
    Advert,
    /// A number of bytes.
    Bytes(u32),
}

/// What drops packets to addresses that are not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Firewall {
    /// `vrrp_iptables`: the chains for input and output. nftables is used
    /// instead: with [`Firewall::nftables`] unset, in its default table.
    pub iptables: Option<(String, Option<String>)>,
    /// `vrrp_ipsets`: the names; `Some` and empty: no sets.
    pub ipsets: Option<Vec<String>>,
    /// `nftables`: the name of the table.
    pub nftables: Option<String>,
    /// `nftables_priority`; `None`: -1.
    pub nftables_priority: Option<i32>,
    /// `nftables_ifindex`
    pub nftables_ifindex: bool,
    /// `nftables_counters`
    pub nftables_counters: bool,
}

/// Settings of the LVS half. Nothing acts on them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lvs {
    /// `lvs_timeouts tcp`, at most 2678400 s.
    pub tcp_timeout: Option<Interval>,
    /// `lvs_timeouts tcpfin`
    pub tcp_fin_timeout: Option<Interval>,
    /// `lvs_timeouts udp`
    pub udp_timeout: Option<Interval>,
    /// `lvs_flush`
    pub flush: bool,
    /// `lvs_flush_on_stop`
    pub flush_on_stop: FlushOnStop,
    /// `lvs_sync_daemon`
    pub sync_daemon: Option<SyncDaemon>,
    /// `nftables_ipvs`: the name of the table.
    pub nftables: Option<String>,
    /// `nftables_ipvs_priority`; `None`: -1.
    pub nftables_priority: Option<i32>,
    /// `nftables_ipvs_start_fwmark`; `None`: 1000.
    pub nftables_start_mark: Option<u32>,
    /// `smtp_alert_checker`
    pub smtp_alert: Option<bool>,
    /// `no_checker_emails`
    pub no_checker_emails: bool,
    /// `checker_log_all_failures`
    pub log_all_failures: bool,
    /// `rs_init_notifies`
    pub initial_notifies: bool,
}

/// `lvs_flush_on_stop`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FlushOnStop {
    /// Not given.
    #[default]
    No,
    /// Everything.
    All,
    /// `VS`: virtual servers only.
    VirtualServers,
}

/// `lvs_sync_daemon`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncDaemon {
    /// The interface it talks on.
    pub interface: String,
    /// The instance whose state it follows.
    pub instance: Option<String>,
    /// `id`; `None`: the VRID of the instance.
    pub id: Option<u8>,
    /// `maxlen`, 1 to 65507 bytes.
    pub maximum_length: Option<u16>,
    /// `port`
    pub port: Option<u16>,
    /// `ttl`
    pub ttl: Option<u8>,
    /// `group`
    pub group: Option<IpAddr>,
}

/// SNMP. Nothing acts on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snmp {
    /// `snmp_socket`; `None`: `unix:/var/agentx/master`.
    pub socket: Option<String>,
    /// `enable_traps`
    pub traps: bool,
    /// `enable_snmp_vrrp`
    pub vrrp: bool,
    /// `enable_snmp_rfcv2`
    pub rfc_v2: bool,
    /// `enable_snmp_rfcv3`
    pub rfc_v3: bool,
    /// `enable_snmp_checker`
    pub checker: bool,
    /// `snmp_vs_stats_update_interval`; `None`: 5 s.
    pub virtual_server_interval: Option<Interval>,
    /// `snmp_rs_stats_update_interval`; `None`: that of virtual servers.
    pub real_server_interval: Option<Interval>,
}

/// D-Bus (specification E.12).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dbus {
    /// `enable_dbus`
    pub enabled: bool,
    /// `dbus_service_name`; `None`: `org.keepalived.Vrrp1`.
    pub service_name: Option<String>,
    /// `dbus_no_interface_name`: in paths of instances without interface.
    pub no_interface_name: Option<String>,
}

/// Namespaces, names, and where files are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    /// `net_namespace` (outer level)
    pub network_namespace: Option<String>,
    /// `net_namespace_ipvs` (outer level); `Some("")`: the default namespace.
    pub ipvs_network_namespace: Option<String>,
    /// `namespace_with_ipsets` (outer level)
    pub namespace_with_ipsets: bool,
    /// `use_pid_dir` (outer level)
    pub use_pid_directory: bool,
    /// `instance` (outer level): a part of the names of pid files and in the log.
    pub instance: Option<String>,
    /// `child_wait_time` (outer level): how long a stop waits; `None`: 5 s.
    pub child_wait_time: Option<Interval>,
    /// `config_save_dir`
    pub config_save_directory: Option<String>,
    /// `tmp_config_directory`
    pub temporary_config_directory: Option<String>,
    /// `data_use_instance`: namespace and instance are parts of the names of dumps.
    pub data_use_instance: bool,
    /// `iproute_usr_dir`
    pub iproute_usr_directory: Option<String>,
    /// `iproute_etc_dir`
    pub iproute_etc_directory: Option<String>,
    /// `state_dump_file`: a file, or a directory if it ends with `/`.
    pub state_dump_file: Option<String>,
    /// `stats_dump_file`
    pub statistics_dump_file: Option<String>,
    /// `json_dump_file`
    pub json_dump_file: Option<String>,
}

/// What happens around a reload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReloadSettings {
    /// `reload_check_config`: what goes with the messages; always so here.
    pub check: Option<CheckBeforeReload>,
    /// `reload_time_file`
    pub time_file: Option<String>,
    /// `reload_repeat`: the time file is not removed.
    pub repeat: bool,
    /// `reload_file`: exists while a configuration is read; `Some("")`: the
    /// default path in the directory of pid files.
    pub marker_file: Option<String>,
}

/// `reload_check_config [LOGFILE]`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckBeforeReload {
    /// Where messages go.
    pub log_file: Option<String>,
}
