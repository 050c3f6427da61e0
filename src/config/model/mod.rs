//! What a configuration means once it has been read: defaults filled in, names
//! resolved, ranges checked.
//!
//! Decides the shape of that value. Everything in it is plain data that can be
//! compared: two configurations that compare equal behave the same, which is
//! what a reload relies on. How text becomes a `Config` is in `resolve.rs`.
//!
//! Source: specification parts B, C.1 and D.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::time::Interval;

mod addresses;
mod globals;
mod instance;
mod losses;
mod routes;
mod rules;
mod tracking;

pub use addresses::{PreferredLifetime, VirtualAddress};
pub use globals::{
    Buffer, Buffers, CheckBeforeReload, Dbus, DynamicInterfaces, Firewall, FlushOnStop, Globals,
    InstanceDefaults, LifecycleScript, Lvs, MailDelivery, MetricsListen, NotifyFifo, Places,
    Process, Processes, ReceivePolicy, ReloadSettings, SmtpPassword, SmtpServer, SmtpTls, Snmp,
    Startup, SyncDaemon,
};
pub use instance::{
    AuthHmac, Authentication, Garp, HardwareAddress, HmacKey, HmacMode, InitialState, Instance,
    Ipvlan, IpvlanMode, Notify, Password, Secret, SyncGroup, UnicastPeer, Version, Vmac,
};
pub use losses::{LossAnswer, LossLimit, VipLoss};
pub use routes::{
    Encapsulation, Family, IpEncapsulation, Lockable, NextHop, PROTOCOL_KEEPALIVED, Prefix, Realms,
    Route, RouteCreate, RouteMetrics, RouteType, RoutingName,
};
pub use rules::{Rule, RuleAction};
pub use tracking::{
    ParameterMatch, Script, TrackBfd, TrackFile, TrackInterface, TrackProcess, TrackScript,
    TrackedFile, TrackedProcess,
};

/// An instance that many hold. How many is counted apart from the instance, and so is
/// written to other pages of memory than it: the processes of a daemon, which have one
/// configuration by a fork, go on to have its pages in common.
pub type SharedInstance = Arc<Box<Instance>>;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// `global_defs`, and words of the outer level.
    pub globals: Globals,
    /// `vrrp_instance` blocks in the order of the file; names are unique.
    pub instances: Vec<SharedInstance>,
    /// `vrrp_sync_group` blocks with at least one member, in the order of the file.
    pub sync_groups: Vec<Arc<SyncGroup>>,
    /// Every `vrrp_script` that some instance or group tracks, in the order of
    /// the file; names are unique.
    pub scripts: Vec<Arc<Script>>,
    /// Every `track_file`, in the order of the file; names are unique.
    pub track_files: Vec<Arc<TrackedFile>>,
    /// Every `vrrp_track_process`, in the order of the file; names are unique.
    pub track_processes: Vec<Arc<TrackedProcess>>,
    /// `static_ipaddress`
    pub static_addresses: Vec<VirtualAddress>,
    /// `static_routes`
    pub static_routes: Vec<Route>,
    /// `static_rules`
    pub static_rules: Vec<Rule>,
    /// `track_group`
    pub track_groups: Vec<TrackGroup>,
    /// `garp_group`
    pub garp_groups: Vec<GarpGroup>,
    /// `linkbeat_interfaces`
    pub linkbeat_interfaces: Vec<LinkbeatInterface>,
    /// `interface_up_down_delays`
    pub interface_delays: Vec<InterfaceDelay>,
}

impl Config {
    /// The interfaces whose link is polled: those of `linkbeat_interfaces`, those of
    /// instances with `linkbeat_use_polling`, and, if that stands outside of them, every
    /// one that counts for an instance. Each is there once.
    pub fn polled_interfaces(&self) -> Vec<LinkbeatInterface> {
        let mut polled: Vec<LinkbeatInterface> = Vec::new();
        let mut add = |line: LinkbeatInterface| {
            let mut known = polled.iter();
            if !line.interface.is_empty() && known.all(|it| it.interface != line.interface) {
                polled.push(line);
            }
        };
        for line in &self.linkbeat_interfaces {
            add(line.clone());
        }
        let by_any_means = |interface: &str| LinkbeatInterface {
            interface: interface.to_owned(),
            method: None,
        };
        let instances = self.instances.iter();
        for instance in instances.filter(|it| it.linkbeat_polling) {
            add(by_any_means(&instance.interface));
            if self.globals.linkbeat_polling {
                let tracked = instance.track_interfaces.iter();
                tracked.for_each(|line| add(by_any_means(&line.interface)));
                let addresses = instance.all_addresses();
                addresses.for_each(|vip| add(by_any_means(&vip.interface)));
            }
        }
        polled
    }
}

/// `track_group NAME { group { INSTANCE... } }` (specification B.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackGroup {
    /// The name of the block.
    pub name: String,
    /// Names of instances.
    pub instances: Vec<String>,
}

/// A `garp_group` block (specification D.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GarpGroup {
    /// Least time between gratuitous ARPs.
    pub garp_interval: Interval,
    /// Least time between unsolicited neighbour adverts.
    pub gna_interval: Interval,
    /// Interfaces that share one limiter.
    pub interfaces: Vec<String>,
}

/// A line of `linkbeat_interfaces` (specification D.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkbeatInterface {
    /// The interface.
    pub interface: String,
    /// How it is asked; `None`: whatever works.
    pub method: Option<LinkbeatMethod>,
}

/// How the state of a link is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkbeatMethod {
    /// `MII`
    Mii,
    /// `ETHTOOL`
    Ethtool,
    /// `IOCTL`
    Ioctl,
}

/// A line of `interface_up_down_delays` (specification D.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceDelay {
    /// The interface.
    pub interface: String,
    /// A link counts as down only after this time.
    pub down: Interval,
    /// A link counts as up only after this time.
    pub up: Interval,
}

/// A command of the configuration, cut into words, and who runs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Program and arguments; never empty.
    pub argv: Vec<String>,
    /// The user that was configured, on the command itself or by `script_user`;
    /// `None` means the default of specification B.3 (script user resolution).
    pub user: Option<ScriptUser>,
}

/// `USER [[:]GROUP]`, by name; looked up when the command runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ScriptUser {
    /// User name (or number).
    pub user: String,
    /// Group name (or number); `None` means the user's primary group.
    pub group: Option<String>,
    /// A group written with `:` asks for the user's supplementary groups too.
    pub supplementary_groups: bool,
}
