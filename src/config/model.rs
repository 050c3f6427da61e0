//! What a configuration means once it has been read: defaults filled in, names
//! resolved, ranges checked.
//!
//! Decides the shape of that value. Everything in it is plain data that can be
//! compared: two configurations that compare equal behave the same, which is
//! what a reload relies on. How text becomes a `Config` is in `resolve.rs`.
//!
//! Source: specification parts B, C.1 and D.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{Priority, Vrid};
use crate::time::Interval;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// `global_defs`, and words of the outer level.
    pub globals: Globals,
    /// `vrrp_instance` blocks in the order of the file; names are unique.
    pub instances: Vec<Arc<Instance>>,
    /// Every `vrrp_script` that some instance tracks, in the order of the file;
    /// names are unique.
    pub scripts: Vec<Arc<Script>>,
}

/// Settings that belong to the whole daemon (specification B.2).
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
    /// `enable_script_security`.
    pub enable_script_security: bool,
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
            enable_script_security: false,
        }
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptUser {
    /// User name (or number).
    pub user: String,
    /// Group name (or number); `None` means the user's primary group.
    pub group: Option<String>,
    /// A group written with `:` asks for the user's supplementary groups too.
    pub supplementary_groups: bool,
}

/// A `vrrp_script` block (specification D.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The name of the block.
    pub name: String,
    /// What is run.
    pub command: Command,
    /// From one start to the next. Default 1 s.
    pub interval: Interval,
    /// How long one run may take. Default: the interval.
    pub timeout: Interval,
    /// Successes in a row that bring it up, at least 1.
    pub rise: u32,
    /// Failures in a row that bring it down, at least 1.
    pub fall: u32,
    /// Counts as failed until `rise` successes were seen.
    pub init_fail: bool,
}

/// A line of `track_script`: the script, with the weight that counts here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackScript {
    /// The script; also in `Config::scripts`.
    pub script: Arc<Script>,
    /// -253 to 253. 0: a failing script means FAULT. Positive: added while the
    /// script is up. Negative: added while it is down.
    pub weight: i32,
    /// `reverse`: the contribution changes sign; with weight 0 a script that
    /// succeeds means FAULT.
    pub reverse: bool,
}

/// What `state` asks for. A wish only (specification F.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitialState {
    /// `state MASTER`.
    Master,
    /// `state BACKUP`, or nothing.
    Backup,
}

/// The first eight bytes of `auth_pass`, padded with zeros. Never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Password(pub [u8; 8]);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(********)")
    }
}

/// A `vrrp_instance` block (specification D.7), VRRP version 2 over IPv4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The name of the block.
    pub name: String,
    /// `state`.
    pub initial_state: InitialState,
    /// `interface`.
    pub interface: String,
    /// `virtual_router_id`.
    pub vrid: Vrid,
    /// `priority`, 1 to 255.
    pub priority: Priority,
    /// `advert_int`; whole seconds in version 2. Default 1 s.
    pub advert_interval: Interval,
    /// `nopreempt`, after the rules of specification D.7 (interplay).
    pub nopreempt: bool,
    /// `authentication { auth_type PASS }`.
    pub password: Option<Password>,
    /// `mcast_src_ip` or `unicast_src_ip`; `None` means the interface's primary address.
    pub source_address: Option<IpAddr>,
    /// `unicast_peer`; empty means multicast.
    pub unicast_peers: Vec<IpAddr>,
    /// Where adverts go if there are no peers; `vrrp_mcast_group4`. Default 224.0.0.18.
    pub multicast_group: IpAddr,
    /// `virtual_ipaddress`, no duplicates.
    pub virtual_addresses: Vec<VirtualAddress>,
    /// `track_script`, no script twice.
    pub track_scripts: Vec<TrackScript>,
    /// Gratuitous ARP.
    pub garp: Garp,
    /// `skip_check_adv_addr`: the VIP list of the known master is not compared.
    pub skip_check_adv_addr: bool,
    /// `notify*`.
    pub notify: Notify,
    /// `smtp_alert`, resolved: instance, `smtp_alert_vrrp`, `smtp_alert`, off.
    pub smtp_alert: bool,
}

/// `garp_*`, each resolved instance, global, default (specification B.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Garp {
    /// After becoming MASTER a second burst follows this much later; 0 = none. Default 5 s.
    pub master_delay: Interval,
    /// Packets for each VIP in a burst, at least 1. Default 5.
    pub master_repeat: u32,
    /// Period of repeated bursts while MASTER; 0 = none. Default 0.
    pub master_refresh: Interval,
    /// Packets for each VIP in a repeated burst, at least 1. Default 1.
    pub master_refresh_repeat: u32,
    /// After an advert of lower priority a second burst follows this much later.
    /// Default: `master_delay`.
    pub lower_prio_delay: Interval,
    /// Packets for each VIP after an advert of lower priority, may be 0.
    /// Default: `master_repeat`.
    pub lower_prio_repeat: u32,
    /// `vrrp_garp_interval`: the least time between two packets on one interface. Default 0.
    pub interval: Interval,
}

impl Default for Garp {
    fn default() -> Self {
        Self {
            master_delay: Interval::from_secs(5),
            master_repeat: 5,
            master_refresh: Interval::ZERO,
            master_refresh_repeat: 1,
            lower_prio_delay: Interval::from_secs(5),
            lower_prio_repeat: 5,
            interval: Interval::ZERO,
        }
    }
}

/// The commands that tell of a change of state (specification E.6).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notify {
    /// `notify`, with `INSTANCE NAME STATE PRIORITY` appended.
    pub any: Option<Command>,
    /// `notify_master`.
    pub master: Option<Command>,
    /// `notify_backup`.
    pub backup: Option<Command>,
    /// `notify_fault`.
    pub fault: Option<Command>,
    /// `notify_stop`.
    pub stop: Option<Command>,
}

/// A line of `virtual_ipaddress` (specification C.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VirtualAddress {
    /// The address.
    pub address: IpAddr,
    /// Prefix length: as written; 32 or 128 if none was, or with `peer`.
    pub prefix_length: u8,
    /// `dev`, or the interface of the instance.
    pub interface: String,
    /// `scope` as the kernel's number: global 0, site 200, link 253, host 254, nowhere 255.
    pub scope: u8,
    /// `brd`, worked out; `None` unless asked for.
    pub broadcast: Option<IpAddr>,
    /// `label`, IPv4 only.
    pub label: Option<String>,
    /// `peer`.
    pub peer: Option<IpAddr>,
    /// `noprefixroute`.
    pub no_prefix_route: bool,
    /// `no_track`: the state of the address's interface and its deletion do not matter.
    pub no_track: bool,
}

/// `ADDR[/LEN]`: the length is left out for a single address, as C prints it.
impl fmt::Display for VirtualAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let single = if self.address.is_ipv4() { 32 } else { 128 };
        self.address.fmt(f)?;
        if self.prefix_length == single {
            return Ok(());
        }
        write!(f, "/{}", self.prefix_length)
    }
}
