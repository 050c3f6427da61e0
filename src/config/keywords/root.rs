//! The outer level (specification B.1).

use crate::hashing::QuickSet;

use super::super::diagnostic::Diagnostic;
use super::super::lex::Word;
use super::super::model::{GarpGroup, InterfaceDelay, LinkbeatInterface};
use super::super::scripts::{self, ScriptUse};
use super::super::tree::Statement;
use super::routing_words::Owner;
use super::{
    Content, Context, Keyword, garp_group, global_defs, harmless, interface_up_down_delays,
    linkbeat_interfaces, lvs, outer_words, track_file, track_group, virtual_ipaddress,
    virtual_routes, virtual_rules, vrrp_instance, vrrp_script, vrrp_sync_group, vrrp_track_process,
    works,
};

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    works("linkbeat_use_polling", "", "Use ethtool/MII/ioctl polling instead of netlink for every vrrp interface", outer_words::linkbeat_polling),
    works("net_namespace", "NAME", "Run in this network namespace", outer_words::network_namespace),
    harmless("net_namespace_ipvs", "[NAME]", "Network namespace for IPVS", outer_words::ipvs_network_namespace),
    works("namespace_with_ipsets", "", "Permit ipsets in a namespace with kernels older than 3.13", outer_words::namespace_with_ipsets),
    works("use_pid_dir", "", "Pid files go to RUNSTATEDIR/keepalived/", outer_words::use_pid_directory),
    works("instance", "NAME", "Name in pid files and log", outer_words::instance),
    works("child_wait_time", "SECS 0..UINT_MAX", "Time parent waits for children at stop before SIGKILL", outer_words::child_wait_time),
    works("global_defs", "{ ... }", "Settings of the whole daemon; several blocks add up", global_defs).with(Content::Keywords),
    works("track_group", "NAME { ... }", "Instances that static addresses, routes and rules follow", track_group::set).with(Content::Keywords),
    works("static_ipaddress", "{ ... }", "Addresses configured at start and removed at stop; deleted ones are restored unless no_track", static_ipaddress).with(Content::Values),
    works("static_routes", "{ ... }", "Routes configured at start and removed at stop", static_routes).with(Content::Values),
    works("static_rules", "{ ... }", "ip rules configured at start and removed at stop", static_rules).with(Content::Values),
    works("vrrp_sync_group", "NAME { ... }", "Instances that change state together", vrrp_sync_group).with(Content::Keywords),
    works("garp_group", "{ ... }", "Rate limit group for GARP/NA sending on interfaces", garp_group::set).with(Content::Keywords),
    works("linkbeat_interfaces", "{ ... }", "Interfaces polled for link state; unknown interface is a FATAL class config error", linkbeat_interfaces::set).with(Content::Values),
    works("interface_up_down_delays", "{ ... }", "Debounce seconds (0..255, decimal) for link down/up events; one value = down only", interface_up_down_delays::set).with(Content::Values),
    works("vrrp_instance", "NAME { ... }", "A virtual router", vrrp_instance).with(Content::Keywords),
    works("vrrp_script", "NAME { ... }", "A script whose result instances can track", vrrp_script).with(Content::Keywords),
    works("vrrp_track_process", "NAME { ... }", "A process that instances can track", vrrp_track_process).with(Content::Keywords),
    works("track_file", "NAME { ... }", "A file that instances can track", track_file).with(Content::Keywords),
    works("vrrp_track_file", "NAME { ... }", "Old name of track_file", track_file).with(Content::Keywords),
    lvs::part("virtual_server", "IP [PORT] | fwmark N | group NAME { ... }", "A balanced service", lvs::virtual_server::set).with(Content::Keywords),
    lvs::part("virtual_server_group", "NAME { ... }", "A group of balanced addresses", lvs::virtual_server_group::set).with(Content::Keywords),
    lvs::part("SSL", "{ ... }", "Keys of the checkers", lvs::ssl::set).with(Content::Keywords),
    lvs::part("bfd_instance", "NAME { ... }", "A BFD session", lvs::bfd_instance::set).with(Content::Keywords),
];

/// Everything that was read so far.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// All `global_defs` blocks.
    pub globals: global_defs::Draft,
    /// Every command of the configuration, in the order of reading. The rows
    /// need not fill it: reading a command does.
    pub scripts_seen: Vec<ScriptUse>,
    /// `vrrp_script` blocks in order.
    pub scripts: Vec<vrrp_script::Draft>,
    /// `track_file` blocks in order.
    pub track_files: Vec<track_file::Draft>,
    /// `vrrp_track_process` blocks in order.
    pub track_processes: Vec<vrrp_track_process::Draft>,
    /// `vrrp_sync_group` blocks in order, names unique.
    pub sync_groups: Vec<vrrp_sync_group::Draft>,
    /// The names of the groups.
    pub group_names: QuickSet<String>,
    /// `vrrp_instance` blocks in order, names unique. Boxed, because they are large
    /// and a growing list would move all of them.
    pub instances: Vec<Box<vrrp_instance::Draft>>,
    /// The names of the instances.
    pub instance_names: QuickSet<String>,
    /// `static_ipaddress`
    pub static_addresses: Vec<virtual_ipaddress::Line>,
    /// `static_routes`
    pub static_routes: Vec<virtual_routes::Line>,
    /// `static_rules`
    pub static_rules: Vec<virtual_rules::Line>,
    /// `track_group` blocks in order, names unique.
    pub track_groups: Vec<track_group::Draft>,
    /// The names of the track groups.
    pub track_group_names: QuickSet<String>,
    /// `garp_group` blocks with a delay.
    pub garp_groups: Vec<GarpGroup>,
    /// The interfaces in them.
    pub garp_interfaces: QuickSet<String>,
    /// The same, and those of groups without a delay, where they stand.
    pub garp_interface_words: Vec<Word>,
    /// Lines of `linkbeat_interfaces`.
    pub linkbeat_interfaces: Vec<LinkbeatInterface>,
    /// Lines of `interface_up_down_delays`.
    pub interface_delays: Vec<InterfaceDelay>,
    /// The balancer's blocks.
    pub lvs: lvs::Draft,
}

fn static_ipaddress(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if !cx.options.without_vrrp {
        let owner = Owner::Static(&draft.track_group_names);
        let lines = virtual_ipaddress::read(statement, owner, cx);
        draft.static_addresses.extend(lines);
    }
}

fn static_routes(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if !cx.options.without_vrrp {
        let owner = Owner::Static(&draft.track_group_names);
        let lines = virtual_routes::read(statement, owner, cx);
        draft.static_routes.extend(lines);
    }
}

fn static_rules(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if !cx.options.without_vrrp {
        let owner = Owner::Static(&draft.track_group_names);
        let lines = virtual_rules::read(statement, owner, cx);
        draft.static_rules.extend(lines);
    }
}

fn global_defs(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let table = global_defs::KEYWORDS;
    super::apply(
        "global_defs",
        table,
        statement.inner(),
        &mut draft.globals,
        cx,
    );
}

/// The name behind a keyword. C skips a block without one.
fn name(statement: &Statement, end: &str, cx: &mut Context<'_>) -> Option<Word> {
    let name = statement.word(1).cloned();
    if name.is_none() {
        let text = format!("{} must have a name{end}", statement.keyword());
        let origin = statement.line.whole();
        cx.found
            .push(Diagnostic::error("no-name", text).at(&origin));
    }
    name
}

fn vrrp_script(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if cx.options.without_vrrp {
        return;
    }
    let Some(name) = cx.argument(statement, 1).cloned() else {
        return;
    };
    let mut script = vrrp_script::Draft::new(name);
    if let Some(block) = &statement.block {
        script.end = block.close;
    }
    super::apply(
        "vrrp_script",
        vrrp_script::KEYWORDS,
        statement.inner(),
        &mut script,
        cx,
    );
    if script.command.is_none() {
        let text = format!(
            "No script set for vrrp_script {} - removing",
            script.name.text
        );
        cx.found
            .push(Diagnostic::error("no-script", text).at(&statement.end()));
        return;
    }
    cx.names.scripts.insert(script.name.text.clone());
    draft.scripts.push(script);
}

fn vrrp_instance(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if cx.options.without_vrrp {
        return;
    }
    let Some(name) = name(statement, "", cx) else {
        return;
    };
    if !draft.instance_names.insert(name.text.clone()) {
        let text = format!("vrrp instance {} already defined", name.text);
        cx.error("duplicate-instance", &name, text);
        return;
    }
    let mut instance = vrrp_instance::Draft::new(name, statement.end());
    super::apply(
        "vrrp_instance",
        vrrp_instance::KEYWORDS,
        statement.inner(),
        &mut instance,
        cx,
    );
    vrrp_instance::finish(&mut instance, cx);
    draft.instances.push(Box::new(instance));
}

fn track_file(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(name) = cx.argument(statement, 1).cloned() else {
        return;
    };
    let mut file = track_file::Draft::new(name);
    let table = track_file::KEYWORDS;
    super::apply("track_file", table, statement.inner(), &mut file, cx);
    if file.path.is_none() {
        let text = format!("No file set for track_file {} - ignoring", file.name.text);
        cx.found
            .push(Diagnostic::error("no-file", text).at(&statement.end()));
        return;
    }
    cx.names.track_files.insert(file.name.text.clone());
    draft.track_files.push(file);
}

fn vrrp_track_process(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if cx.options.without_vrrp {
        return;
    }
    let Some(name) = cx.argument(statement, 1).cloned() else {
        return;
    };
    let mut process = vrrp_track_process::Draft::new(name);
    let table = vrrp_track_process::KEYWORDS;
    let inner = statement.inner();
    super::apply("vrrp_track_process", table, inner, &mut process, cx);
    if vrrp_track_process::finish(&mut process, statement, cx) {
        cx.names.track_processes.insert(process.name.text.clone());
        draft.track_processes.push(process);
    }
}

fn vrrp_sync_group(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if cx.options.without_vrrp {
        return;
    }
    let Some(name) = name(statement, " - skipping", cx) else {
        return;
    };
    if !draft.group_names.insert(name.text.clone()) {
        let text = format!("vrrp sync group {} already defined", name.text);
        cx.error("duplicate-group", &name, text);
        return;
    }
    let mut group = vrrp_sync_group::Draft::new(name);
    let table = vrrp_sync_group::KEYWORDS;
    let inner = statement.inner();
    let before = cx.scripts_seen.len();
    super::apply("vrrp_sync_group", table, inner, &mut group, cx);
    let owner = scripts::Owner::SyncGroup(draft.sync_groups.len());
    for used in cx.scripts_seen.iter_mut().skip(before) {
        used.owner = owner;
    }
    draft.sync_groups.push(group);
}
