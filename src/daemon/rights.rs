//! The rights that a configuration needs, and what is said if one is missing.
//!
//! Decides which of root's rights the daemon cannot do without: one that cannot
//! send, or cannot set its VIPs, must not take part in an election, because the
//! node that wins it would serve nobody. Everything else is said, and the daemon
//! goes on. Who reads it has most often started a container, so that is the
//! remedy that it names. Source: capabilities(7).

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::geteuid;

use crate::config::model::{Command, Config, Notify, Process};
use crate::system::capabilities::{Capabilities, Capability};
use crate::system::scripts::{Identity, Policy, resolve};

/// A right that a configuration needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// The right.
    pub capability: Capability,
    /// What does not work without it.
    pub without: &'static str,
    /// Without it the daemon must not start.
    pub decisive: bool,
}

/// Logs every right that `config` needs and this process does not have. Whether
/// the daemon can run; it can if the kernel does not tell what we have.
pub fn suffice(config: &Config) -> bool {
    let Some(held) = Capabilities::effective() else {
        return true;
    };
    let mut enough = true;
    for need in needs(config) {
        if held.has(need.capability) {
            continue;
        }
        let line = describe(need, geteuid().is_root());
        if need.decisive {
            tracing::error!("{line}");
            enough = false;
        } else {
            tracing::warn!("{line}");
        }
    }
    enough
}

/// The line for the log. A container gives its capabilities to root only.
fn describe(need: Need, is_root: bool) -> String {
    let Need {
        capability,
        without,
        ..
    } = need;
    let remedy = if is_root {
        format!(
            "add --cap-add {capability} to the container \
             (Kubernetes: {capability} in securityContext.capabilities.add)"
        )
    } else {
        format!("run as root, or in systemd with AmbientCapabilities=CAP_{capability}")
    };
    format!("{capability} is missing: {without}; {remedy}")
}

/// What `config` needs here, each right once.
fn needs(config: &Config) -> Vec<Need> {
    let mut needs = Vec::new();
    let mut need = |capability, without, decisive| {
        needs.push(Need {
            capability,
            without,
            decisive,
        });
    };
    if !config.instances.is_empty() {
        need(
            Capability::NetRaw,
            "no advert can be sent or received",
            true,
        );
    }
    if changes_the_kernel(config) {
        need(Capability::NetAdmin, "no VIP can be set", true);
    }
    if has_other_users(config) {
        let text = "no script can run as another user";
        need(Capability::SetUid, text, false);
        need(Capability::SetGid, text, false);
        let text = "no script of another user can be ended when its time is over";
        need(Capability::Kill, text, false);
    }
    let process = &config.globals.processes.vrrp;
    if exceeds_its_limits(process) {
        let text = "vrrp_rt_priority and vrrp_priority are not granted";
        need(Capability::SysNice, text, false);
    }
    if process.no_swap && limit(Resource::RLIMIT_MEMLOCK) != libc::RLIM_INFINITY {
        let text = "vrrp_no_swap is not granted";
        need(Capability::IpcLock, text, false);
    }
    needs
}

/// Whether addresses, routes, rules or interfaces are to be set.
fn changes_the_kernel(config: &Config) -> bool {
    let is_static = !config.static_addresses.is_empty()
        || !config.static_routes.is_empty()
        || !config.static_rules.is_empty();
    let mut instances = config.instances.iter();
    is_static
        || instances.any(|instance| {
            instance.all_addresses().next().is_some()
                || !instance.virtual_routes.is_empty()
                || !instance.virtual_rules.is_empty()
        })
}

/// Whether the kernel asks for a right before it grants the process its priorities.
fn exceeds_its_limits(process: &Process) -> bool {
    let realtime = process.realtime_priority.map_or(0, u64::from);
    // RLIMIT_NICE is 20 less the least nice value (setrlimit(2)).
    let nice = u64::try_from(20 - i64::from(process.nice)).unwrap_or(0);
    realtime > limit(Resource::RLIMIT_RTPRIO)
        || (process.nice < 0 && nice > limit(Resource::RLIMIT_NICE))
}

fn limit(resource: Resource) -> u64 {
    getrlimit(resource).map_or(libc::RLIM_INFINITY, |(soft, _)| soft)
}

/// Whether some script runs as another user than we do. One whose user cannot be
/// found does not run at all.
fn has_other_users(config: &Config) -> bool {
    let policy = Policy::of(&config.globals);
    let mut users = Vec::new();
    for command in commands(config) {
        if !users.contains(&command.user.as_ref()) {
            users.push(command.user.as_ref());
        }
    }
    users
        .into_iter()
        .any(|user| matches!(resolve(user, policy), Ok(Identity::Other { .. })))
}

/// Everything that runs as a script.
fn commands(config: &Config) -> impl Iterator<Item = &Command> {
    let globals = &config.globals;
    let fifos = [
        &globals.notify_fifo,
        &globals.vrrp_notify_fifo,
        &globals.lvs_notify_fifo,
    ];
    let lifecycle = [&globals.startup_script, &globals.shutdown_script];
    let instances = config.instances.iter().map(|instance| &instance.notify);
    let groups = config.sync_groups.iter().map(|group| &group.notify);
    config
        .scripts
        .iter()
        .map(|script| &script.command)
        .chain(lifecycle.into_iter().filter_map(|it| it.command.as_ref()))
        .chain(fifos.into_iter().filter_map(|it| it.script.as_ref()))
        .chain(instances.chain(groups).flat_map(notices))
}

fn notices(notify: &Notify) -> impl Iterator<Item = &Command> {
    [
        &notify.any,
        &notify.master,
        &notify.backup,
        &notify.fault,
        &notify.stop,
        &notify.master_rx_lower_pri,
        &notify.deleted,
    ]
    .into_iter()
    .filter_map(Option::as_deref)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Options, load};

    fn needed(text: &str) -> Vec<(Capability, bool)> {
        let sources = vec![("main".into(), text.as_bytes().to_vec())];
        let loaded = load(&sources, Path::new("main"), &Options::default());
        needs(&loaded.config)
            .into_iter()
            .map(|need| (need.capability, need.decisive))
            .collect()
    }

    fn instance(lines: &str) -> String {
        format!(
            "vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n priority 100\n{lines}}}\n"
        )
    }

    const VIP: &str = " virtual_ipaddress {\n 10.0.0.3\n }\n";

    #[test]
    fn an_instance_needs_the_network() {
        assert_eq!(needed(""), []);
        let raw = (Capability::NetRaw, true);
        assert_eq!(needed(&instance(VIP)), [raw, (Capability::NetAdmin, true)]);
    }

    #[test]
    fn scripts_of_other_users_need_their_rights() {
        if !geteuid().is_root() {
            return;
        }
        let notify = instance(&format!("{VIP} notify /bin/true\n"));
        let own = format!("global_defs {{\n script_user root\n}}\n{notify}");
        assert_eq!(needed(&own).len(), 2, "root's scripts run with our rights");
        let other = format!("global_defs {{\n script_user daemon\n}}\n{notify}");
        let rights = [Capability::SetUid, Capability::SetGid, Capability::Kill];
        let found = needed(&other);
        assert_eq!(found[2..], rights.map(|right| (right, false)));
    }

    #[test]
    fn real_time_is_granted_by_a_limit_or_a_right() {
        let mut process = Process::default();
        assert!(!exceeds_its_limits(&process));
        process.realtime_priority = Some(99);
        let granted = limit(Resource::RLIMIT_RTPRIO) >= 99;
        assert_eq!(exceeds_its_limits(&process), !granted);
    }

    #[test]
    fn the_remedy_is_the_one_of_a_container() {
        let need = Need {
            capability: Capability::NetAdmin,
            without: "no VIP can be set",
            decisive: true,
        };
        assert_eq!(
            describe(need, true),
            "NET_ADMIN is missing: no VIP can be set; add --cap-add NET_ADMIN to the container \
             (Kubernetes: NET_ADMIN in securityContext.capabilities.add)"
        );
        assert_eq!(
            describe(need, false),
            "NET_ADMIN is missing: no VIP can be set; run as root, or in systemd with \
             AmbientCapabilities=CAP_NET_ADMIN"
        );
    }
}
