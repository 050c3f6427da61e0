//! The answers on the status socket, as JSON has them.
//!
//! Decides the names, which are stable: programs read them. `docs/operating/status.md`
//! describes them for people. A reader takes what it does not know for absent and
//! what is absent for empty, so that a client and a daemon of different versions
//! understand each other.

use serde::{Deserialize, Serialize};

/// How the daemon stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Document {
    /// `status::VERSION`
    pub version: u32,
    /// The daemon as a whole.
    pub daemon: Daemon,
    /// The instances, in the order of the configuration.
    pub instances: Vec<Instance>,
    /// The sync groups, in the order of the configuration.
    pub groups: Vec<Group>,
    /// The tracked scripts, in the order of the configuration.
    pub scripts: Vec<Script>,
}

/// Why there is no document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// `status::VERSION`
    pub version: u32,
    /// What is wrong.
    pub error: Problem,
}

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// `bad-request`, `no-such-instance` or `not-available`.
    pub code: String,
    /// For people.
    pub text: String,
    /// With `no-such-instance`: the nearest name that there is.
    pub nearest: Option<String>,
}

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Moment {
    /// By the wall clock of now: seconds since 1970.
    pub unix_seconds: f64,
    /// How long it is past; does not depend on the wall clock.
    pub seconds_ago: f64,
}

/// The daemon as a whole.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Daemon {
    /// The version of keepalived-rs.
    pub version: String,
    /// The name of the host.
    pub host: String,
    /// The process that signals go to.
    pub pid: i32,
    /// The process that speaks VRRP; null while there is none.
    pub vrrp_pid: Option<i32>,
    /// Why there is no such process.
    pub without_vrrp: Option<String>,
    /// How often that process died and was replaced.
    pub replaced: u32,
    /// The main file of the configuration.
    pub config_file: String,
    /// The network namespace of `-s`.
    pub namespace: Option<String>,
    /// When the daemon began to run.
    pub started: Moment,
    /// The last reload; null if there was none.
    pub reload: Option<Reload>,
    /// Datagrams that were for no instance.
    pub ignored: u64,
}

/// How a reload ended.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reload {
    /// When.
    pub at: Moment,
    /// Whether the new configuration runs.
    pub accepted: bool,
    /// Why not.
    pub reason: Option<String>,
    /// All new mistakes of the text that was refused, at most 20, in its order.
    pub mistakes: Vec<String>,
}

/// A virtual router.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// `INIT`, `BACKUP`, `MASTER`, `FAULT`, `STOP`.
    pub state: String,
    /// Since when.
    pub since: Moment,
    /// Why it went there.
    pub reason: Option<String>,
    /// The same as one word that never changes.
    pub reason_code: Option<String>,
    /// What it saw then.
    pub evidence: Option<String>,
    /// The version of VRRP, 2 or 3.
    pub vrrp_version: u8,
    /// `IPv4` or `IPv6`.
    pub family: String,
    /// Its number, 1 to 255.
    pub vrid: u8,
    /// The interface of the configuration; empty for unicast that goes without one.
    pub interface: String,
    /// The link of its own on that interface (`use_vmac`, `use_ipvlan`).
    pub own_interface: Option<String>,
    /// Its sync group.
    pub group: Option<String>,
    /// The address that adverts are sent from.
    pub source: Option<String>,
    /// The interval that it sends with.
    pub advert_seconds: f64,
    /// How long it waits for a silent master.
    pub master_down_seconds: f64,
    /// Its priority, and what it is made of.
    pub priority: Priority,
    /// Its addresses.
    pub vips: Vec<Vip>,
    /// The master that it follows; null while it is MASTER itself, or hears none.
    pub master: Option<Master>,
    /// Who else was heard.
    pub peers: Vec<Peer>,
    /// Another router claims to be MASTER, too.
    pub contended: Option<Contended>,
    /// What stands against taking part.
    pub faults: Vec<Fault>,
    /// The scripts without a result yet that it waits for; then, as `file NAME` and
    /// `process NAME`, the tracked files and processes that were not looked at yet.
    pub awaits: Vec<String>,
    /// How many changes its notify scripts were not told of, because later ones
    /// overtook them.
    pub notify_skipped: u64,
    /// It is drained: it shall not be MASTER while anybody else can be.
    pub drained: Option<Drained>,
    /// An administrator has set another priority than that of the configuration.
    pub ordered_priority: Option<OrderedPriority>,
    /// `nopreempt`
    pub nopreempt: bool,
    /// `preempt_delay`
    pub preempt_delay_seconds: f64,
    /// Its counters.
    pub counters: Counters,
}

/// An instance that shall not be MASTER while anybody else can be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Drained {
    /// Since when.
    pub since: Moment,
    /// It is MASTER, has asked others to take over, and none has spoken yet.
    pub handing_over: bool,
}

/// A priority that an administrator has set.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OrderedPriority {
    /// In the place of that of the configuration, 1 to 254.
    pub priority: u8,
    /// When it ends; null: when it is taken back.
    pub seconds_left: Option<f64>,
}

/// A priority and what it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Priority {
    /// What is sent, 1 to 255.
    pub effective: u8,
    /// That of the configuration.
    pub base: u8,
    /// What comes to it: the amounts and `base` add up to `effective`.
    pub contributions: Vec<Contribution>,
}

/// What comes to the priority of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Contribution {
    /// `script`, `interface`, `file` or `process`; `limit`, which keeps the sum within 1
    /// to 254; `owner`, which takes all weights back, as the priority 255 is fixed;
    /// `rival`, while another node owns the addresses, too; `order` of an
    /// administrator; `drained`, down to the lowest.
    pub kind: String,
    /// The name of the script or interface.
    pub name: Option<String>,
    /// Its weight, -253 to 253, with the sign of the configuration.
    pub weight: Option<i32>,
    /// It counts with the other sign.
    pub reverse: bool,
    /// The sync group tracks it, and not the instance.
    pub of_group: bool,
    /// What it adds now; 0 for a weight that does not count.
    pub amount: i32,
}

/// A virtual address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Vip {
    /// With its prefix length.
    pub address: String,
    /// Where it belongs.
    pub interface: String,
    /// Whether the kernel has it there now.
    pub installed: bool,
}

/// The master that an instance follows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Master {
    /// Its address.
    pub address: String,
    /// Its priority.
    pub priority: u8,
    /// The interval that it sends with.
    pub advert_seconds: f64,
}

/// Another router of the same number.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Peer {
    /// Its address.
    pub address: String,
    /// It is a `unicast_peer` of the configuration.
    pub configured: bool,
    /// The priority in its last advert; null if none could be read.
    pub priority: Option<u8>,
    /// The interval in its last advert; null if none could be read.
    pub advert_seconds: Option<f64>,
    /// Its version of VRRP.
    pub vrrp_version: Option<u8>,
    /// When it was heard last; null: never.
    pub last_heard: Option<Moment>,
    /// How many of its adverts were accepted.
    pub accepted: u64,
    /// How many were refused.
    pub refused: u64,
    /// Why the last of those was refused; null if none was.
    pub last_refusal: Option<LastRefusal>,
    /// Its last accepted advert names other VIPs than ours.
    pub addresses_differ: bool,
}

/// An advert that was refused.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LastRefusal {
    /// When.
    pub at: Moment,
    /// Why.
    pub reason: String,
}

/// Another router claims to be MASTER, too.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Contended {
    /// Since when.
    pub since: Moment,
    /// Its address.
    pub peer: String,
    /// The priority in its last advert.
    pub priority: u8,
    /// Why neither gives way.
    pub reason: String,
    /// What mends it, most likely.
    pub fix: String,
}

/// Something that stands against taking part.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Fault {
    /// `interface-missing`, `loopback`, `no-multicast`, `link-down`, `link-refused`,
    /// `no-source-address`, `no-unicast-peer`, `vip-interface`, `route-interface`,
    /// `static-interface`, `static-missing`, `tracked-interface`, `script`, `file`,
    /// `process`, `vip-lost` or `group-member`.
    pub code: String,
    /// The interface, script or instance that it is about.
    pub subject: String,
    /// For people.
    pub text: String,
}

/// Counts since the instance began, or since they were set to zero. The names are
/// those of `keepalived.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names are those of the statistics file")]
pub struct Counters {
    pub advert_rcvd: u64,
    pub advert_sent: u64,
    pub become_master: u64,
    pub release_master: u64,
    pub packet_len_err: u64,
    pub ip_ttl_err: u64,
    pub vers_err: u64,
    pub invalid_type_rcvd: u64,
    pub advert_interval_err: u64,
    pub addr_list_err: u64,
    pub chk_err: u64,
    pub invalid_authtype: u64,
    pub authtype_mismatch: u64,
    pub auth_failure: u64,
    pub auth_ext_missing: u64,
    pub auth_ext_malformed: u64,
    pub auth_ext_unknown_key: u64,
    pub auth_ext_invalid_hmac: u64,
    pub auth_ext_stale: u64,
    pub auth_ext_replay: u64,
    pub pri_zero_rcvd: u64,
    pub pri_zero_sent: u64,
    pub not_a_peer: u64,
    pub other_checksum: u64,
    pub owner_ignored: u64,
    pub adverts_skipped: u64,
    pub send_failed: u64,
}

/// A sync group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Where its members are.
    pub state: String,
    /// Their names.
    pub members: Vec<String>,
    /// How many changes its notify scripts were not told of, because later ones
    /// overtook them.
    pub notify_skipped: u64,
}

/// A tracked script.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Script {
    /// Its name.
    pub name: String,
    /// `up`, `down`, or `unknown` before the first result.
    pub standing: String,
    /// A run is under way.
    pub running: bool,
    /// How its last run ended; null if none has.
    pub last_run: Option<LastRun>,
    /// Why it cannot be run, so that it counts as failed; null if it can.
    pub disabled: Option<String>,
    /// The words of its command.
    pub command: Vec<String>,
    /// Who tracks it.
    pub tracked_by: Vec<String>,
}

/// How a run of a script ended.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LastRun {
    /// When.
    pub at: Moment,
    /// `exited`, `signalled`, `timed-out` or `not-run`.
    pub outcome: String,
    /// The exit status, the signal, or the error number.
    pub number: Option<i32>,
}
