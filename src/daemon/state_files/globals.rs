//! The first section of `keepalived.data`, which is all of
//! `keepalived_parent.data`: the settings of the whole daemon (specification E.8).

use super::super::process;
use super::Surroundings;
use super::page::{Page, Users, able, general_seconds, truth, yes};
use crate::config::model::{
    Buffer, DynamicInterfaces, FlushOnStop, Globals, NotifyFifo, Process, ReceivePolicy, Version,
};
use crate::system::mail::default_sender;

/// C's limit on the time of a real-time process without a rest.
const REALTIME_LIMIT_US: u64 = 10_000;

/// Writes the section. The supervisor's (`parent`) has no interfaces.
pub fn write(
    page: &mut Page,
    globals: &Globals,
    users: &Users,
    around: &Surroundings,
    parent: bool,
) {
    page.section("Global definitions");
    places(page, globals, around);
    mail(page, globals, around);
    reload(page, globals);
    lifecycle(page, globals, users);
    lvs(page, globals, parent);
    fifos(page, globals, users);
    defaults(page, globals);
    firewall(page, globals);
    let defaults = &globals.defaults;
    page.line(format_args!(
        " VRRP check unicast_src = {}",
        truth(defaults.check_unicast_source)
    ));
    page.line(format_args!(
        " VRRP skip check advert addresses = {}",
        truth(defaults.skip_check_adv_addr)
    ));
    page.line(format_args!(
        " VRRP strict mode = {}",
        truth(defaults.strict)
    ));
    processes(page, globals);
    outside(page, globals);
    page.line(format_args!(
        " Script security {}",
        able(globals.enable_script_security)
    ));
    let numbers = users.numbers(globals.script_user.as_ref());
    page.line(format_args!(" Default script uid:gid {numbers}"));
    buffers(page, globals);
    rest(page, globals, around);
}

fn places(page: &mut Page, globals: &Globals, around: &Surroundings) {
    let places = &globals.places;
    if let Some(directory) = &places.config_save_directory {
        page.line(format_args!(" Config save dir = {directory}"));
    }
    let namespace = around.namespace.as_deref();
    let namespace = namespace.or(places.network_namespace.as_deref());
    page.line(format_args!(
        " Network namespace = {}",
        namespace.unwrap_or("(default)")
    ));
    let ipvs = match places.ipvs_network_namespace.as_deref() {
        None => "(main namespace)",
        Some("") => "(default)",
        Some(name) => name,
    };
    page.line(format_args!(" Network namespace ipvs = {ipvs}"));
    if let Some(name) = &places.instance {
        page.line(format_args!(" Instance name = {name}"));
    }
    let processes = &globals.processes;
    for (what, name) in [
        ("Parent", &processes.parent_name),
        ("VRRP", &processes.vrrp.name),
        ("LVS", &processes.checker.name),
        ("BFD", &processes.bfd.name),
    ] {
        if let Some(name) = name {
            page.line(format_args!(" {what} process name = {name}"));
        }
    }
}

fn mail(page: &mut Page, globals: &Globals, around: &Surroundings) {
    let host = around.host_name.as_str();
    let router = globals.router_id.as_deref().unwrap_or(host);
    page.line(format_args!(" Router ID = {router}"));
    if let Some(server) = &globals.smtp_server {
        let name = globals.smtp_helo_name.as_deref().unwrap_or(host);
        let timeout = general_seconds(globals.smtp_connect_timeout);
        page.line(format_args!(" Smtp server = {}", server.host));
        page.line(format_args!(" Smtp server port = {}", server.port));
        page.line(format_args!(" Smtp HELO name = {name}"));
        page.line(format_args!(" Smtp server connection timeout = {timeout}"));
        // Without a server nobody gets mail.
        let from = globals.notification_email_from.clone();
        let from = from.unwrap_or_else(|| default_sender(host));
        page.line(format_args!(" Email notification from = {from}"));
        page.line(" Email notification to:");
        for address in &globals.notification_email {
            page.line(format_args!("   {address}"));
        }
    }
    for (what, setting) in [
        ("smtp_alert", globals.defaults.smtp_alert),
        ("smtp_alert_vrrp", globals.defaults.smtp_alert_vrrp),
        ("smtp_alert_checker", globals.lvs.smtp_alert),
    ] {
        let setting = match setting {
            None => "unset",
            Some(true) => "on",
            Some(false) => "off",
        };
        page.line(format_args!(" Default {what} = {setting}"));
    }
    page.line(format_args!(
        " Checkers log all failures = {}",
        truth(globals.lvs.log_all_failures)
    ));
}

fn reload(page: &mut Page, globals: &Globals) {
    let reload = &globals.reload;
    let log = reload.check.as_ref().map(|check| &check.log_file);
    match log {
        None => page.line(" No test config before reload"),
        Some(None) => page.line(" Test config before reload"),
        Some(Some(path)) => {
            page.line(format_args!(" Test config before reload, log to {path}"));
        }
    }
    if let Some(path) = &reload.time_file {
        let repeat = if reload.repeat { " (repeat)" } else { "" };
        page.line(format_args!(" Reload time file = {path}{repeat}"));
        page.line(" No reload scheduled");
    }
    if let Some(path) = reload
        .marker_file
        .as_deref()
        .filter(|path| !path.is_empty())
    {
        page.line(format_args!(" Reload_file = {path}"));
    }
    let places = &globals.places;
    if let Some(directory) = &places.temporary_config_directory {
        page.line(format_args!(" config save directory = {directory}"));
    }
    if places.data_use_instance {
        page.line(" Use instance name in data dumps");
    }
}

fn lifecycle(page: &mut Page, globals: &Globals, users: &Users) {
    if let Some(command) = &globals.startup_script.command {
        page.line(format_args!(
            " Startup script = {}, timeout {}",
            users.command(command),
            globals.startup_script.timeout.as_secs()
        ));
    }
    if let Some(command) = &globals.shutdown_script.command {
        page.line(format_args!(
            " Shutdown script = {} timeout {}",
            users.command(command),
            globals.shutdown_script.timeout.as_secs()
        ));
    }
    let dynamic = globals.dynamic_interfaces;
    let is_dynamic = dynamic != DynamicInterfaces::No;
    page.line(format_args!(" Dynamic interfaces = {}", truth(is_dynamic)));
    if is_dynamic {
        let changes = dynamic == DynamicInterfaces::AllowChanges;
        page.line(format_args!(
            " Allow interface changes = {}",
            truth(changes)
        ));
    }
    if globals.no_email_faults {
        page.line(" Send emails for fault transitions = off");
    }
}

fn lvs(page: &mut Page, globals: &Globals, parent: bool) {
    let lvs = &globals.lvs;
    for (what, timeout) in [
        ("TCP", lvs.tcp_timeout),
        ("TCP FIN", lvs.tcp_fin_timeout),
        // C has a slip of the pen here and says TCP.
        ("UDP", lvs.udp_timeout),
    ] {
        if let Some(timeout) = timeout {
            page.line(format_args!(" LVS {what} timeout = {}", timeout.as_secs()));
        }
    }
    let interface = globals.interface_without_dev();
    if !parent {
        page.line(format_args!(" Default interface = {interface}"));
    }
    let igmp = yes(globals.disable_local_igmp);
    page.line(format_args!(" Disable local IGMP = {igmp}"));
    if let Some(daemon) = &lvs.sync_daemon {
        if let Some(instance) = &daemon.instance {
            page.line(format_args!(" LVS syncd vrrp name = {instance}"));
        }
        page.line(format_args!(" LVS syncd interface = {}", daemon.interface));
        if let Some(id) = daemon.id {
            page.line(format_args!(" LVS syncd syncid = {id}"));
        }
        if let Some(length) = daemon.maximum_length {
            page.line(format_args!(" LVS syncd maxlen = {length}"));
        }
        if let Some(group) = daemon.group {
            page.line(format_args!(" LVS mcast group {group}"));
        }
        if let Some(port) = daemon.port {
            page.line(format_args!(" LVS syncd mcast port = {port}"));
        }
        if let Some(ttl) = daemon.ttl {
            page.line(format_args!(" LVS syncd mcast ttl = {ttl}"));
        }
    }
    page.line(format_args!(" LVS flush = {}", truth(lvs.flush)));
    let on_stop = match lvs.flush_on_stop {
        FlushOnStop::No => "disabled",
        FlushOnStop::All => "full",
        FlushOnStop::VirtualServers => "VS",
    };
    page.line(format_args!(" LVS flush on stop = {on_stop}"));
}

fn fifos(page: &mut Page, globals: &Globals, users: &Users) {
    let mut fifo = |what: &str, fifo: &NotifyFifo| {
        let Some(path) = &fifo.path else { return };
        // Without an owner it belongs to the daemon's user.
        let numbers = match &fifo.owner {
            Some(owner) => users.numbers(Some(owner)),
            None => format!("{}:{}", nix::unistd::geteuid(), nix::unistd::getegid()),
        };
        page.line(format_args!(
            " {what} notify fifo = {path}, uid:gid {numbers}"
        ));
        if let Some(script) = &fifo.script {
            let script = users.command(script);
            page.line(format_args!(" {what} notify fifo script = {script}"));
        }
    };
    fifo("Global", &globals.notify_fifo);
    fifo("VRRP", &globals.vrrp_notify_fifo);
    fifo("LVS", &globals.lvs_notify_fifo);
    page.line(format_args!(
        " FIFO write vrrp states on reload = {}",
        truth(globals.fifo_write_states_on_reload)
    ));
}

fn defaults(page: &mut Page, globals: &Globals) {
    let (defaults, garp) = (&globals.defaults, &globals.garp);
    page.line(format_args!(
        " VRRP notify priority changes = {}",
        truth(defaults.notify_priority_changes)
    ));
    let (four, six) = (defaults.multicast_group_v4, defaults.multicast_group_v6);
    page.line(format_args!(" VRRP IPv4 mcast group = {four}"));
    page.line(format_args!(" VRRP IPv6 mcast group = {six}"));
    for (what, value) in [
        ("delay", general_seconds(garp.master_delay)),
        ("repeat", garp.master_repeat.to_string()),
        ("refresh timer", general_seconds(garp.master_refresh)),
        ("refresh repeat", garp.master_refresh_repeat.to_string()),
        (
            "lower priority delay",
            general_seconds(garp.lower_prio_delay),
        ),
        ("lower priority repeat", garp.lower_prio_repeat.to_string()),
    ] {
        page.line(format_args!(" Gratuitous ARP {what} = {value}"));
    }
    let adverts = defaults.down_timer_adverts;
    page.line(format_args!(" Num adverts before down = {adverts}"));
    let period = general_seconds(garp.extra_interfaces);
    page.line(format_args!(
        " Gratuitous ARP for each secondary VMAC = {period}s"
    ));
    let lower = !defaults.lower_prio_no_advert.unwrap_or(false);
    let higher = defaults.higher_prio_send_advert.unwrap_or(false);
    for (what, sent) in [("lower", lower), ("higher", higher)] {
        let sent = truth(sent);
        page.line(format_args!(
            " Send advert after receive {what} priority advert = {sent}"
        ));
    }
    page.line(format_args!(" Gratuitous ARP interval = {}", garp.interval));
    page.line(format_args!(
        " Gratuitous NA interval = {}",
        garp.gna_interval
    ));
    let version = match defaults.version {
        None | Some(Version::V2) => 2,
        Some(Version::V3) => 3,
    };
    page.line(format_args!(" VRRP default protocol version = {version}"));
}

fn firewall(page: &mut Page, globals: &Globals) {
    let firewall = &globals.firewall;
    if firewall.nftables.is_some() || firewall.iptables.is_some() {
        let table = firewall.nftables.as_deref().unwrap_or("keepalived");
        let priority = firewall.nftables_priority.unwrap_or(-1);
        let verb = if firewall.nftables_ifindex {
            "force"
        } else {
            "don't force"
        };
        page.line(format_args!(" nftables table name = {table}"));
        page.line(format_args!(" nftables base chain priority = {priority}"));
        page.line(format_args!(
            " nftables {verb} use ifindex for link local IPv6"
        ));
    }
    if let Some(table) = &globals.lvs.nftables {
        let priority = globals.lvs.nftables_priority.unwrap_or(-1);
        let mark = globals.lvs.nftables_start_mark.unwrap_or(1000);
        page.line(format_args!(" ipvs nftables table name = {table}"));
        page.line(format_args!(
            " ipvs nftables base chain priority = {priority}"
        ));
        page.line(format_args!(" ipvs nftables start fwmark = {mark}"));
    }
    let with = if firewall.nftables_counters {
        "with"
    } else {
        "without"
    };
    page.line(format_args!(" nftables {with} counters"));
}

fn processes(page: &mut Page, globals: &Globals) {
    let processes = &globals.processes;
    // "Nothing is said" is C's -1, and prints as 0.
    let greatest = processes.max_auto_priority.max(0);
    let delay = processes.min_auto_priority_delay;
    let delay_us = delay.map_or(1_000_000, |delay| delay.as_us());
    page.line(format_args!(" Max auto priority = {greatest}"));
    page.line(format_args!(" Min auto priority delay = {delay_us} usecs"));
    process(page, "VRRP", &processes.vrrp);
    process(page, "Checker", &processes.checker);
    process(page, "BFD", &processes.bfd);
}

fn process(page: &mut Page, what: &str, process: &Process) {
    page.line(format_args!(" {what} process priority = {}", process.nice));
    page.line(format_args!(
        " {what} don't swap = {}",
        truth(process.no_swap)
    ));
    let realtime = process.realtime_priority.unwrap_or(0);
    page.line(format_args!(" {what} realtime priority = {realtime}"));
    if !process.processors.is_empty() {
        let list: Vec<String> = process.processors.iter().map(u32::to_string).collect();
        let list = list.join(" ");
        page.line(format_args!(" {what} CPU Affinity = {list}"));
    }
    let limit = process.realtime_limit;
    let limit_us = limit.map_or(REALTIME_LIMIT_US, |limit| limit.as_us());
    page.line(format_args!(" {what} realtime limit = {limit_us}"));
}

fn outside(page: &mut Page, globals: &Globals) {
    let snmp = &globals.snmp;
    for (what, is) in [
        ("vrrp", snmp.vrrp),
        ("checker", snmp.checker),
        ("RFCv2", snmp.rfc_v2),
        ("RFCv3", snmp.rfc_v3),
        ("traps", snmp.traps),
    ] {
        page.line(format_args!(" SNMP {what} {}", able(is)));
    }
    let socket = snmp.socket.as_deref();
    let socket = socket.unwrap_or("default (unix:/var/agentx/master)");
    page.line(format_args!(" SNMP socket = {socket}"));
    page.line(format_args!(" DBus {}", able(globals.dbus.enabled)));
    let name = globals.dbus.service_name.as_deref().unwrap_or_default();
    page.line(format_args!(" DBus service name = {name}"));
}

fn buffers(page: &mut Page, globals: &Globals) {
    let buffers = &globals.buffers;
    for (name, Buffer { bytes, force }) in [
        ("vrrp_netlink_cmd", buffers.vrrp_netlink_command),
        ("vrrp_netlink_monitor", buffers.vrrp_netlink_monitor),
        ("process_monitor", buffers.process_monitor),
        ("lvs_netlink_cmd", buffers.lvs_netlink_command),
        ("lvs_netlink_monitor", buffers.lvs_netlink_monitor),
    ] {
        let (bytes, force) = (bytes.unwrap_or(0), u8::from(force));
        page.line(format_args!(" {name}_rcv_bufs = {bytes}"));
        page.line(format_args!(" {name}_rcv_bufs_force = {force}"));
    }
}

fn rest(page: &mut Page, globals: &Globals, around: &Surroundings) {
    let (lvs, buffers) = (&globals.lvs, &globals.buffers);
    let (notifies, emails) = (lvs.initial_notifies, lvs.no_checker_emails);
    page.line(format_args!(" rs_init_notifies = {}", u8::from(notifies)));
    page.line(format_args!(" no_checker_emails = {}", u8::from(emails)));
    match buffers.receive {
        None => {}
        Some(ReceivePolicy::Mtu) => page.line(" rx_bufs_policy = MTU"),
        Some(ReceivePolicy::Advert) => page.line(" rx_bufs_policy = ADVERT"),
        Some(ReceivePolicy::Bytes(bytes)) => page.line(format_args!(" rx_bufs_size = {bytes}")),
    }
    let multiples = buffers.receive_multiplier.unwrap_or(3);
    page.line(format_args!(" rx_bufs_multiples = {multiples}"));
    page.line(format_args!(
        " umask = 0{:o}",
        process::mask(globals, around.umask)
    ));
    let delay = globals.startup.delay;
    if !delay.is_zero() {
        let delay = general_seconds(delay);
        page.line(format_args!(" vrrp_startup_delay = {delay}"));
    }
    if globals.log_unknown_vrids {
        page.line(" log_unknown_vrids");
    }
    if globals.vmac_prefix != Globals::default().vmac_prefix {
        page.line(format_args!(" VMAC prefix = {}", globals.vmac_prefix));
    }
    if let Some(prefix) = &globals.vmac_address_prefix {
        page.line(format_args!(" VMAC address prefix = {prefix}"));
    }
}
