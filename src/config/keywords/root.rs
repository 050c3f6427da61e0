//! The outer level (specification B.1).

use super::super::diagnostic::Diagnostic;
use super::super::lex::Word;
use super::super::tree::Statement;
use super::tracking::Kind;
use super::{
    Content, Context, Keyword, decisive, global_defs, harmless, lvs, track_file, unread,
    vrrp_instance, vrrp_script, vrrp_sync_group, vrrp_track_process, works,
};

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    harmless("linkbeat_use_polling", "", "Use ethtool/MII/ioctl polling instead of netlink for every vrrp interface", unread),
    decisive("net_namespace", "NAME", "Run in this network namespace", unread),
    harmless("net_namespace_ipvs", "[NAME]", "Network namespace for IPVS", unread),
    harmless("namespace_with_ipsets", "", "Permit ipsets in a namespace with kernels older than 3.13", unread),
    harmless("use_pid_dir", "", "Pid files go to RUNSTATEDIR/keepalived/", unread),
    harmless("instance", "NAME", "Name in pid files and log", unread),
    harmless("child_wait_time", "SECS 0..UINT_MAX", "Time parent waits for children at stop before SIGKILL", unread),
    works("global_defs", "{ ... }", "Settings of the whole daemon; several blocks add up", global_defs).with(Content::Keywords),
    harmless("track_group", "NAME { ... }", "Instances that static addresses, routes and rules follow", unread).with(Content::Keywords),
    decisive("static_ipaddress", "{ ... }", "Addresses configured at start and removed at stop; deleted ones are restored unless no_track", unread).with(Content::Values),
    decisive("static_routes", "{ ... }", "Routes configured at start and removed at stop", unread).with(Content::Values),
    decisive("static_rules", "{ ... }", "ip rules configured at start and removed at stop", unread).with(Content::Values),
    decisive("vrrp_sync_group", "NAME { ... }", "Instances that change state together", vrrp_sync_group).with(Content::Keywords),
    decisive("garp_group", "{ ... }", "Rate limit group for GARP/NA sending on interfaces", unread).with(Content::Keywords),
    decisive("linkbeat_interfaces", "{ ... }", "Interfaces polled for link state; unknown interface is a FATAL class config error", unread).with(Content::Values),
    decisive("interface_up_down_delays", "{ ... }", "Debounce seconds (0..255, decimal) for link down/up events; one value = down only", unread).with(Content::Values),
    works("vrrp_instance", "NAME { ... }", "A virtual router", vrrp_instance).with(Content::Keywords),
    works("vrrp_script", "NAME { ... }", "A script whose result instances can track", vrrp_script).with(Content::Keywords),
    harmless("vrrp_track_process", "NAME { ... }", "A process that instances can track", vrrp_track_process).with(Content::Keywords),
    harmless("track_file", "NAME { ... }", "A file that instances can track", track_file).with(Content::Keywords),
    harmless("vrrp_track_file", "NAME { ... }", "Old name of track_file", track_file).with(Content::Keywords),
    works("virtual_server", "IP [PORT] | fwmark N | group NAME { ... }", "A balanced service", lvs::set).with(Content::Keywords),
    works("virtual_server_group", "NAME { ... }", "A group of balanced addresses", lvs::set).with(Content::Keywords),
    works("SSL", "{ ... }", "Keys of the checkers", lvs::set).with(Content::Keywords),
    decisive("bfd_instance", "NAME { ... }", "A BFD session", bfd_instance).with(Content::Keywords),
];

/// Everything that was read so far.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// All `global_defs` blocks.
    pub globals: global_defs::Draft,
    /// `vrrp_script` blocks in order.
    pub scripts: Vec<vrrp_script::Draft>,
    /// `track_file` blocks in order.
    pub track_files: Vec<track_file::Draft>,
    /// `vrrp_track_process` blocks in order.
    pub track_processes: Vec<vrrp_track_process::Draft>,
    /// `vrrp_sync_group` blocks in order, names unique.
    pub sync_groups: Vec<vrrp_sync_group::Draft>,
    /// The names of the groups.
    pub group_names: std::collections::HashSet<String>,
    /// `vrrp_instance` blocks in order, names unique.
    pub instances: Vec<vrrp_instance::Draft>,
    /// The names of the instances.
    pub instance_names: std::collections::HashSet<String>,
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
    cx.declare(Kind::Script, &script.name.text);
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
    draft.instances.push(instance);
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
    cx.declare(Kind::File, &file.name.text);
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
        cx.declare(Kind::Process, &process.name.text);
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
    super::apply("vrrp_sync_group", table, inner, &mut group, cx);
    draft.sync_groups.push(group);
}

/// The session itself is nothing that this daemon has; its name can be tracked.
fn bfd_instance(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if let Some(name) = cx.argument(statement, 1) {
        cx.declare(Kind::Bfd, &name.text);
    }
}
