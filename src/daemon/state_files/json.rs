//! The text of `keepalived.json` (specification E.10): one line, the fields in
//! C's order, numbers and strings in C's form. Passwords are masked.
//!
//! serde_json writes the strings; the rest is put together here, because its
//! numbers have another form than C's (`3.0` where readers want `3`) and its
//! maps no order.

use std::fmt::{self, Write as _};

use super::dump_state;
use super::page::{WallClock, general_seconds, quoted};
use crate::config::model::{Authentication, ParameterMatch, Version};
use crate::vrrp::snapshot::{InstanceSnapshot, ProcessSnapshot, Snapshot};
use crate::vrrp::state_machine::State;

/// The text; `None` if there is no instance, as C writes no file then.
/// `version` is `json_version`.
pub fn text(snapshot: &Snapshot, wall: &WallClock, version: u8) -> Option<String> {
    if snapshot.instances.is_empty() {
        return None;
    }
    let instances = snapshot.instances.iter();
    let instances = array(instances.map(|it| instance(snapshot, it, wall)));
    let whole = if version < 2 {
        instances
    } else {
        let mut object = Object::default();
        object.raw("vrrp", instances);
        let processes = &snapshot.processes;
        if !processes.is_empty() {
            object.raw("track_process", array(processes.iter().map(process)));
        }
        object.end()
    };
    Some(whole + "\n")
}

fn instance(snapshot: &Snapshot, it: &InstanceSnapshot, wall: &WallClock) -> String {
    let mut data = Object::default();
    identity(&mut data, it, wall);
    garp(&mut data, it);
    election(&mut data, snapshot, it);
    notify(&mut data, it);
    tracking(&mut data, it);
    match &it.config.authentication {
        _ if it.config.version == Version::V3 => data.raw("auth_type", 0),
        None => data.raw("auth_type", 0),
        Some(authentication) => {
            let kind = match authentication {
                Authentication::Password(_) => 1,
                Authentication::Header(_) => 2,
            };
            data.raw("auth_type", kind);
            data.text("auth_data", "********");
        }
    }
    let mut both = Object::default();
    both.raw("data", data.end());
    both.raw("stats", statistics(it));
    both.end()
}

fn identity(data: &mut Object, it: &InstanceSnapshot, wall: &WallClock) {
    let config = &it.config;
    let link = it.own_link.as_ref().map(|link| link.name.as_str());
    let vmac = link.filter(|_| config.vmac.is_some());
    data.text("iname", &config.name);
    data.bit("dont_track_primary", config.ignore_own_interface);
    data.bit("skip_check_adv_addr", config.skip_check_adv_addr);
    data.bit("strict_mode", config.strict);
    data.text("vmac_ifname", vmac.unwrap_or_default());
    if !config.interface.is_empty() {
        data.text("ifp_ifname", link.unwrap_or(&config.interface));
    }
    data.raw("master_priority", it.heard_priority);
    data.raw("last_transition", wall.seconds(it.last_transition));
}

fn garp(data: &mut Object, it: &InstanceSnapshot) {
    let garp = &it.config.garp;
    data.raw("garp_delay", general_seconds(garp.master_delay));
    data.raw("garp_refresh", garp.master_refresh.as_secs());
    data.raw("garp_rep", garp.master_repeat);
    data.raw("garp_refresh_rep", garp.master_refresh_repeat);
    let lower_delay = garp.lower_prio_delay.as_secs();
    data.raw("garp_lower_prio_delay", lower_delay);
    data.raw("garp_lower_prio_rep", garp.lower_prio_repeat);
}

fn election(data: &mut Object, snapshot: &Snapshot, it: &InstanceSnapshot) {
    let config = &it.config;
    data.bit("lower_prio_no_advert", config.lower_prio_no_advert);
    data.bit("higher_prio_send_advert", config.higher_prio_send_advert);
    data.raw("vrid", config.vrid);
    data.raw("base_priority", config.priority);
    data.raw("effective_priority", it.priority);
    data.raw("vipset", it.installed);
    data.raw("promote_secondaries", config.promote_secondaries);
    // Version 2 has no other interval than the own one.
    let interval = general_seconds(config.advert_interval);
    data.raw("adver_int", &interval);
    data.raw("master_adver_int", &interval);
    data.bit("accept", config.accept);
    data.raw("nopreempt", config.nopreempt);
    data.raw("preempt_delay", config.preempt_delay.as_secs());
    data.raw("state", state_number(dump_state(snapshot, it)));
    data.raw("wantstate", state_number(it.wanted));
    let version = if config.version == Version::V2 { 2 } else { 3 };
    data.raw("version", version);
}

fn notify(data: &mut Object, it: &InstanceSnapshot) {
    let notify = &it.config.notify;
    data.raw("smtp_alert", it.config.smtp_alert);
    data.raw("notify_deleted", notify.tell_deleted);
    for (name, command) in [
        ("script_backup", &notify.backup),
        ("script_master", &notify.master),
        ("script_fault", &notify.fault),
        ("script_stop", &notify.stop),
        ("script_deleted", &notify.deleted),
        ("script", &notify.any),
        ("script_master_rx_lower_pri", &notify.master_rx_lower_pri),
    ] {
        if let Some(command) = command {
            data.text(name, &quoted(command));
        }
    }
}

fn tracking(data: &mut Object, it: &InstanceSnapshot) {
    let config = &it.config;
    let count = config.virtual_addresses.len();
    let mut all = it.addresses().map(|(vip, link)| it.address_as_c(vip, link));
    data.texts("vips", all.by_ref().take(count));
    data.texts("evips", all);
    data.texts(
        "vroutes",
        config.virtual_routes.iter().map(ToString::to_string),
    );
    data.texts(
        "vrules",
        config.virtual_rules.iter().map(ToString::to_string),
    );
    let interfaces = config.track_interfaces.iter();
    data.texts("track_ifp", interfaces.map(|it| it.interface.clone()));
    let scripts = config.track_scripts.iter();
    data.texts("track_script", scripts.map(|it| quoted(&it.script.command)));
    let processes = config.track_processes.iter();
    data.texts("track_process", processes.map(|it| it.process.name.clone()));
}

fn statistics(it: &InstanceSnapshot) -> String {
    let counters = &it.statistics;
    let mut object = Object::default();
    for (name, count) in [
        ("advert_rcvd", counters.advert_rcvd),
        ("advert_sent", counters.advert_sent),
        ("become_master", counters.become_master),
        ("release_master", counters.release_master),
        ("packet_len_err", counters.packet_len_err),
        ("advert_interval_err", counters.advert_interval_err),
        ("ip_ttl_err", counters.ip_ttl_err),
        ("invalid_type_rcvd", counters.invalid_type_rcvd),
        ("addr_list_err", counters.addr_list_err),
        ("invalid_authtype", counters.invalid_authtype),
        ("authtype_mismatch", counters.authtype_mismatch),
        ("auth_failure", counters.auth_failure),
        ("auth_ext_missing", counters.auth_ext_missing),
        ("auth_ext_malformed", counters.auth_ext_malformed),
        ("auth_ext_unknown_key", counters.auth_ext_unknown_key),
        ("auth_ext_invalid_hmac", counters.auth_ext_invalid_hmac),
        ("auth_ext_stale", counters.auth_ext_stale),
        ("auth_ext_replay", counters.auth_ext_replay),
        ("pri_zero_rcvd", counters.pri_zero_rcvd),
        ("pri_zero_sent", counters.pri_zero_sent),
    ] {
        object.raw(name, count);
    }
    object.end()
}

fn process(counted: &ProcessSnapshot) -> String {
    let it = &*counted.process;
    let matching = match it.parameter_match {
        ParameterMatch::None => "none",
        ParameterMatch::Exact => "exact",
        ParameterMatch::Partial => "partial",
        ParameterMatch::Initial => "initial",
    };
    let mut object = Object::default();
    object.text("process", &it.program);
    if !it.parameters.is_empty() {
        object.text("parameters", &it.parameters.join(" "));
    }
    object.text("param_match", matching);
    object.raw("min_processes", it.quorum);
    if let Some(most) = it.quorum_max {
        object.raw("max_processes", most);
    }
    object.raw("current_processes", counted.count.unwrap_or_default());
    object.raw("have_quorum", counted.quorum.unwrap_or_default());
    object.raw("weight", it.weight);
    object.raw("terminate_delay", general_seconds(it.terminate_delay));
    object.raw("fork_delay", general_seconds(it.fork_delay));
    object.raw("fork_delay_timer_running", false);
    object.raw("terminate_delay_timer_running", false);
    object.raw("full_command", it.full_command);
    object.end()
}

/// C's number of a state.
pub const fn state_number(state: State) -> u8 {
    match state {
        State::Init => 0,
        State::Backup => 1,
        State::Master => 2,
        State::Fault => 3,
        State::Stopped => 98,
    }
}

fn array(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

/// A string as C writes it: every `/` has a backslash before it.
fn string(text: &str) -> String {
    // A string is always valid JSON.
    let text = serde_json::to_string(text).unwrap_or_default();
    text.replace('/', "\\/")
}

/// An object that keeps the order of its fields.
#[derive(Default)]
struct Object {
    text: String,
}

impl Object {
    fn raw(&mut self, name: &str, value: impl fmt::Display) {
        let separator = if self.text.is_empty() { "{" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{separator}\"{name}\":{value}");
    }

    fn bit(&mut self, name: &str, value: bool) {
        self.raw(name, u8::from(value));
    }

    fn text(&mut self, name: &str, value: &str) {
        self.raw(name, string(value));
    }

    /// Nothing if there are none.
    fn texts(&mut self, name: &str, values: impl Iterator<Item = String>) {
        let values: Vec<String> = values.map(|value| string(&value)).collect();
        if !values.is_empty() {
            self.raw(name, format_args!("[{}]", values.join(",")));
        }
    }

    fn end(self) -> String {
        self.text + "}"
    }
}
