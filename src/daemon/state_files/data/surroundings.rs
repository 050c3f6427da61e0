//! What instances depend on, in `keepalived.data`: groups, scripts, files, processes and
//! interfaces.

use super::super::page::{Page, general_seconds, quoted, truth, yes};
use super::{Writer, reversed, tracked};
use crate::config::model::{ParameterMatch, TrackedFile};
use crate::ids::MacAddress;
use crate::vrrp::event::InterfaceState;
use crate::vrrp::snapshot::{
    GroupSnapshot, InstanceSnapshot, LinkSnapshot, ProcessSnapshot, ScriptSnapshot,
};
use crate::vrrp::state_machine::State;
use crate::vrrp::tracking::{Run, Standing};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

// What instances track.
impl Writer<'_> {
    pub(super) fn sync_groups(&self, page: &mut Page) {
        let groups = &self.snapshot.groups;
        if groups.is_empty() {
            return;
        }
        page.section("VRRP Sync groups");
        // Groups and instances may be many.
        let instances = self.snapshot.instances.iter();
        let by_name: BTreeMap<&str, &InstanceSnapshot> =
            instances.map(|it| (it.config.name.as_str(), it)).collect();
        for GroupSnapshot {
            config: group,
            state,
        } in groups
        {
            let members = || {
                group
                    .instances
                    .iter()
                    .filter_map(|name| by_name.get(name.as_str()))
            };
            let fault = members().filter(|it| it.faults > 0).count();
            let init = members().filter(|it| it.awaited > 0).count();
            // C has no state of its own for waiting.
            let waits = *state == State::Init && init > 0;
            let state = if waits { State::Fault } else { *state };
            page.line(format_args!(" VRRP Sync Group = {}, {state}", group.name));
            page.line(format_args!(
                "   Num member fault {fault}, num member init {init}"
            ));
            page.list("VRRP member instances", &group.instances);
            let mail = yes(group.smtp_alert);
            page.line(format_args!("   Using smtp notification = {mail}"));
            tracked(
                page,
                &group.track_interfaces,
                &group.track_scripts,
                &group.track_files,
                &group.track_processes,
                &group.track_bfds,
            );
            let notify = &group.notify;
            for (what, command) in [
                ("Backup", &notify.backup),
                ("Master", &notify.master),
                ("Fault", &notify.fault),
                ("Stop", &notify.stop),
                ("Generic", &notify.any),
            ] {
                self.transition_script(page, what, command.as_deref());
            }
        }
    }

    pub(super) fn scripts(&self, page: &mut Page) {
        if self.snapshot.scripts.is_empty() {
            return;
        }
        page.section("VRRP Scripts");
        for it in &self.snapshot.scripts {
            self.script(page, it);
        }
    }

    fn script(&self, page: &mut Page, it: &ScriptSnapshot) {
        let script = &*it.script;
        page.line(format_args!(" VRRP Script = {}", script.name));
        let mut line = |name: &str, value: &dyn fmt::Display| {
            page.line(format_args!("   {name} = {value}"));
        };
        let seconds = |span| format!("{} sec", general_seconds(span));
        let lines = self.trackers.scripts.get(&script.name);
        let init = if it.has_run { "unknown" } else { "INIT" };
        let up = it.standing == Standing::Up;
        // An interval that is not whole is one that only we read.
        line("Command", &quoted(&script.command));
        line("Interval", &seconds(script.interval));
        // C's 0: as long as the interval.
        let timeout = if script.timeout == script.interval {
            crate::time::Interval::ZERO
        } else {
            script.timeout
        };
        line("Timeout", &seconds(timeout));
        // The weight of the block is gone into those of its trackers.
        let first = self.trackers.script_weights.get(&script.name);
        line("Weight", &first.map_or("0", String::as_str));
        line("Rise", &script.rise);
        line("Fall", &script.fall);
        line("Result", &it.result);
        line("Insecure", &"no");
        line("Init state", &init);
        line("Status", &if up { "GOOD" } else { "BAD" });
        let numbers = self.users.numbers(script.command.user.as_ref());
        line("Script uid:gid", &numbers);
        page.line("   VRRP instances :");
        page.list("Tracking instances", lines.into_iter().flatten());
        let run = match it.run {
            Run::Idle => "idle",
            Run::Running => "running",
            Run::TimingOut => "requested termination",
        };
        page.line(format_args!("   State = {run}"));
    }

    pub(super) fn files(&self, page: &mut Page) {
        let files = &self.snapshot.files;
        if files.is_empty() {
            return;
        }
        page.section("VRRP Track files");
        for file in files {
            let (value, file) = (file.value.unwrap_or_default(), &file.file);
            let TrackedFile { name, path, .. } = &**file;
            page.line(format_args!(" Track file = {name}"));
            page.line(format_args!("   File = {path}"));
            page.line(format_args!("   Status = {value}"));
            let weight = reversed(file.weight, file.reverse);
            page.line(format_args!("   Weight = {weight}"));
            let lines = self.trackers.files.get(name);
            page.list("Tracking instances", lines.into_iter().flatten());
        }
    }

    pub(super) fn processes(&self, page: &mut Page) {
        let processes = &self.snapshot.processes;
        if processes.is_empty() {
            return;
        }
        page.section("VRRP Track processes");
        for process in processes {
            self.process(page, process);
        }
    }

    fn process(&self, page: &mut Page, counted: &ProcessSnapshot) {
        let it = &*counted.process;
        page.line(format_args!(" VRRP Track process = {}", it.name));
        page.line(format_args!("   Process = {}", it.program));
        if !it.parameters.is_empty() {
            page.line(format_args!("   Parameters = {}", it.parameters.join(" ")));
        }
        let matching = match it.parameter_match {
            ParameterMatch::None => None,
            ParameterMatch::Exact => Some("exact"),
            ParameterMatch::Partial => Some("partial"),
            ParameterMatch::Initial => Some("initial"),
        };
        if let Some(matching) = matching {
            page.line(format_args!("   Param match = {matching}"));
        }
        page.line(format_args!("   Min processes = {}", it.quorum));
        if let Some(most) = it.quorum_max {
            page.line(format_args!("   Max processes = {most}"));
        }
        let count = counted.count.unwrap_or_default();
        page.line(format_args!("   Current processes = {count}"));
        let quorum = truth(counted.quorum.unwrap_or_default());
        page.line(format_args!("   Have quorum = {quorum}"));
        let weight = reversed(it.weight, it.reverse);
        page.line(format_args!("   Weight = {weight}"));
        page.line(format_args!("   Terminate delay = {}s", it.terminate_delay));
        page.line(format_args!("   Fork delay = {}s", it.fork_delay));
        if self.running {
            page.line("   Fork delay timer not running");
            page.line("   Terminate delay timer not running");
        }
        page.line(format_args!("   Full command = {}", truth(it.full_command)));
        let lines = self.trackers.processes.get(&it.name);
        page.list("Tracking instances", lines.into_iter().flatten());
    }

    pub(super) fn interfaces(&self, page: &mut Page) {
        page.section("Interfaces");
        for it in &self.snapshot.interfaces {
            self.interface(page, it);
        }
    }

    /// The virtual MAC of this name.
    fn own_link(&self, name: &str) -> Option<&LinkSnapshot> {
        let instances = self.snapshot.instances.iter();
        let with_vmac = instances.filter(|it| it.config.ipvlan.is_none());
        let mut links = with_vmac.flat_map(|it| {
            let own = it.own_link.iter();
            own.chain(it.vip_links.iter().flatten())
        });
        links.find(|link| link.name == name)
    }

    /// What a virtual MAC stands on.
    fn below(&self, page: &mut Page, it: &InterfaceState) {
        if let Some(link) = self.own_link(&it.name) {
            let mut all = self.snapshot.interfaces.iter();
            let base = all.find(|base| base.name == link.parent);
            let state = match base.is_some_and(|base| base.up) {
                true => "UP, RUNNING",
                false => "not UP, not RUNNING",
            };
            page.line(format_args!(
                "   VMAC type private, underlying interface = {}, state = {state}",
                link.parent
            ));
            page.line("   I/f created by keepalived");
        }
    }

    fn interface(&self, page: &mut Page, it: &InterfaceState) {
        page.line(format_args!(" Name = {}", it.name));
        let mut line = |name: &str, value: &dyn fmt::Display| {
            page.line(format_args!("   {name} = {value}"));
        };
        // Of IPv6 only the address that adverts would be sent from.
        let first = |four: bool| {
            let mut all = it.addresses.iter().map(|on| on.address);
            let found = all.find(|address| match address {
                _ if self.view.vips.contains(address) => false,
                IpAddr::V4(_) => four,
                IpAddr::V6(six) => !four && six.is_unicast_link_local(),
            });
            found.map_or_else(|| "(none)".to_owned(), |address| address.to_string())
        };
        let ethernet = it.mac != MacAddress([0; 6]);
        line("index", &it.index.0);
        line("IPv4 address", &first(true));
        line("IPv6 address", &first(false));
        if ethernet {
            line("MAC", &it.mac);
            line("MAC broadcast", &MacAddress::BROADCAST);
        }
        let mut state = if it.up {
            "UP, RUNNING".to_owned()
        } else {
            "not UP, not RUNNING".to_owned()
        };
        for (is, word) in [
            (it.loopback, ", no broadcast, loopback"),
            (!it.multicast, ", no multicast"),
            (it.no_arp, ", no arp"),
        ] {
            state.push_str(if is { word } else { "" });
        }
        line("State", &state);
        line("Seen up", &u8::from(it.up));
        line("Delayed state change running", &"false");
        line("Up debounce timer", &"0us");
        line("Down debounce timer", &"0us");
        line("MTU", &it.mtu);
        let kind = if it.loopback { "LOOPBACK" } else { "ETHERNET" };
        line("HW Type", &kind);
        self.below(page, it);
        page.line("   NIC netlink status update");
        let garp = &self.snapshot.config.globals.garp;
        let used = self.trackers.interfaces.get(&it.name);
        for (what, interval) in [("ARP", garp.interval), ("NA", garp.gna_interval)] {
            if used.is_some() && !interval.is_zero() {
                let ms = interval.as_us() / 1_000;
                page.line(format_args!("   Gratuitous {what} interval {ms}ms"));
            }
        }
        // Settings of an interface that C changes for virtual MACs; of ours the alias of
        // the link tells.
        for setting in [
            "Reset ARP config counter",
            "Original arp_ignore",
            "Original arp_filter",
            "Original promote_secondaries",
            "Reset promote_secondaries counter",
        ] {
            page.line(format_args!("   {setting} 0"));
        }
        page.list("Tracking VRRP instances", used.into_iter().flatten());
    }
}
