//! From a view to a document.
//!
//! Decides which value of the engine goes into which field, and what of it
//! concerns one instance. The names of the fields are in `document.rs`.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::document::{
    Contended, Contribution, Counters, Daemon, Document, Drained, Fault, Group, Instance,
    LastRefusal, LastRun, Master, Moment, OrderedPriority, Peer, Priority, Problem, Refusal,
    Reload, Script, Vip,
};
use super::{About, EVENTS, Request, STATUS, VERSION, View};
use crate::config::model::{SyncGroup, Version, VirtualAddress};
use crate::config::nearest::nearest;
use crate::daemon::process;
use crate::system::scripts::Owner;
use crate::time::{Instant, Interval, WallClock};
use crate::vrrp::contention::Short;
use crate::vrrp::event::Outcome;
use crate::vrrp::snapshot::{
    self, Contributor, FaultReason, InstanceSnapshot, LinkSnapshot, PeerSnapshot, ScriptResult,
    ScriptSnapshot, Snapshot,
};
use crate::vrrp::state_machine::State;
use crate::vrrp::statistics::Statistics;
use crate::vrrp::tracking::{Run, Standing, scripts_of};
use crate::wire::advert::Family;

/// What answers a request with this view.
///
/// # Errors
/// There is no such instance, or the request is none that we know.
pub fn answer(request: &Request, view: &View) -> Result<Document, Refusal> {
    understood(request)?;
    let snapshot = &view.snapshot;
    let Some(name) = &request.instance else {
        return Ok(document(view, |_| true));
    };
    if snapshot.instance(name).is_none() {
        return Err(no_such_instance(name, snapshot));
    }
    Ok(document(view, |other| other == name))
}

/// Whether we know what is asked.
///
/// # Errors
/// We do not.
pub fn understood(request: &Request) -> Result<(), Refusal> {
    if request.version != VERSION {
        let text = format!(
            "version {} of the request is not known, but version {VERSION} is",
            request.version
        );
        return Err(refusal("bad-request", text));
    }
    if ![STATUS, EVENTS].contains(&&*request.request) {
        let text = format!("request '{}' is not known", request.request);
        return Err(refusal("bad-request", text));
    }
    Ok(())
}

/// An answer that says what is wrong.
pub fn refusal(code: &str, text: String) -> Refusal {
    Refusal {
        version: VERSION,
        error: Problem {
            code: code.to_owned(),
            text,
            nearest: None,
        },
    }
}

/// A document without a worker: `because` says why there is none.
pub fn without_worker(about: &About, now: Instant, wall: WallClock, because: &str) -> Document {
    let mut daemon = daemon(about, &Times { now, wall });
    daemon.without_vrrp = Some(because.to_owned());
    Document {
        version: VERSION,
        daemon,
        ..Document::default()
    }
}

fn no_such_instance(name: &str, snapshot: &Snapshot) -> Refusal {
    let names = snapshot.instances.iter().map(|it| it.config.name.as_str());
    let mut refusal = refusal("no-such-instance", format!("there is no instance '{name}'"));
    refusal.error.nearest = nearest(name, names).map(str::to_owned);
    refusal
}

/// The times of the engine as people count.
struct Times {
    now: Instant,
    wall: WallClock,
}

impl Times {
    fn moment(&self, then: Instant) -> Moment {
        Moment {
            unix_seconds: seconds(Interval::from_us(self.wall.unix_us(then))),
            seconds_ago: seconds(self.now.since(then)),
        }
    }
}

/// A span in seconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds since 1970 fit for two more centuries"
)]
pub fn seconds(span: Interval) -> f64 {
    span.as_us() as f64 / 1e6
}

/// What concerns the instances that are `wanted`.
fn document(view: &View, wanted: impl Fn(&str) -> bool) -> Document {
    let snapshot = &view.snapshot;
    let times = Times {
        now: snapshot.at,
        wall: view.wall,
    };
    let config = &snapshot.config;
    let mut group_of: HashMap<&str, &SyncGroup> = HashMap::new();
    for group in &config.sync_groups {
        let members = group.instances.iter();
        group_of.extend(members.map(|it| (it.as_str(), group.as_ref())));
    }
    let there = there(snapshot);
    let mut instances = Vec::new();
    let mut groups = HashSet::new();
    for it in &snapshot.instances {
        let name = it.config.name.as_str();
        if !wanted(name) {
            continue;
        }
        let group = group_of.get(name).copied();
        groups.extend(group.map(|group| &group.name));
        let mut told = instance(it, group, &there, &times);
        let skipped = view.skipped.get(&Owner::Instance(told.name.clone()));
        told.notify_skipped = skipped.copied().unwrap_or(0);
        instances.push(told);
    }
    let trackers = trackers(snapshot, &group_of);
    let scripts = snapshot.scripts.iter().filter_map(|it| {
        let tracked_by = trackers.get(it.script.name.as_str())?;
        let concerns = tracked_by.iter().any(|name| wanted(name));
        concerns.then(|| script(it, tracked_by, view, &times))
    });
    let mut daemon = daemon(&view.about, &times);
    daemon.vrrp_pid = Some(process::own_id());
    daemon.ignored = snapshot.ignored;
    Document {
        version: VERSION,
        daemon,
        scripts: scripts.collect(),
        instances,
        groups: snapshot
            .groups
            .iter()
            .filter(|group| groups.contains(&group.config.name))
            .map(|group| Group {
                name: group.config.name.clone(),
                state: group.state.to_string(),
                members: group.config.instances.clone(),
                notify_skipped: {
                    let owner = Owner::Group(group.config.name.clone());
                    view.skipped.get(&owner).copied().unwrap_or(0)
                },
            })
            .collect(),
    }
}

/// The names of the instances that track each script, themselves or by their group.
fn trackers<'a>(
    snapshot: &'a Snapshot,
    group_of: &HashMap<&str, &'a SyncGroup>,
) -> HashMap<&'a str, Vec<String>> {
    let mut trackers: HashMap<&str, Vec<String>> = HashMap::new();
    for it in &snapshot.instances {
        let group = group_of.get(it.config.name.as_str()).copied();
        for tracked in scripts_of(&it.config, group) {
            let by = trackers.entry(tracked.script.name.as_str()).or_default();
            by.push(it.config.name.clone());
        }
    }
    trackers
}

/// Every address that the kernel has, by interface.
pub fn there(snapshot: &Snapshot) -> HashSet<(&str, IpAddr)> {
    let interfaces = snapshot.interfaces.iter();
    interfaces
        .flat_map(|on| {
            let addresses = on.addresses.iter();
            addresses.map(|it| (on.name.as_str(), it.address))
        })
        .collect()
}

fn daemon(about: &About, times: &Times) -> Daemon {
    Daemon {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: process::host_name(),
        pid: about.process,
        vrrp_pid: None,
        without_vrrp: None,
        replaced: about.replaced,
        config_file: about.config_file.clone(),
        namespace: about.namespace.clone(),
        started: times.moment(Instant::from_us(about.started_us)),
        reload: about.reload.as_ref().map(|reload| Reload {
            at: times.moment(Instant::from_us(reload.at_us)),
            accepted: reload.refused.is_none(),
            reason: reload.refused.clone(),
            mistakes: reload.mistakes.clone(),
        }),
        ignored: 0,
    }
}

fn instance(
    it: &InstanceSnapshot,
    group: Option<&SyncGroup>,
    there: &HashSet<(&str, IpAddr)>,
    times: &Times,
) -> Instance {
    let config = &it.config;
    let vip = |(vip, link): (&VirtualAddress, Option<&LinkSnapshot>)| {
        let interface = link.map_or(&*vip.interface, |link| &*link.name);
        Vip {
            address: format!("{}/{}", vip.address, vip.prefix_length),
            interface: interface.to_owned(),
            installed: there.contains(&(interface, vip.address)),
        }
    };
    Instance {
        name: config.name.clone(),
        state: it.state.to_string(),
        since: times.moment(it.last_transition),
        reason: Some(it.cause.to_string()),
        reason_code: Some(it.cause.code().to_owned()),
        evidence: (it.state != State::Init).then(|| it.evidence.to_string()),
        vrrp_version: match config.version {
            Version::V2 => 2,
            Version::V3 => 3,
        },
        family: match config.family() {
            Family::V4 => "IPv4".to_owned(),
            Family::V6 => "IPv6".to_owned(),
        },
        vrid: config.vrid.get(),
        interface: config.interface.to_string(),
        own_interface: it.own_link.as_ref().map(|link| link.name.clone()),
        group: group.map(|group| group.name.clone()),
        source: it.source.map(|source| source.to_string()),
        advert_seconds: seconds(config.advert_interval),
        master_down_seconds: seconds(it.master_down),
        priority: priority(it),
        vips: it.addresses().map(vip).collect(),
        master: it.master.map(|master| Master {
            address: master.address.to_string(),
            priority: master.priority.0,
            advert_seconds: seconds(master.advert_interval),
        }),
        peers: it.peers.iter().map(|it| peer(it, times)).collect(),
        contended: it.contended.map(|it| contended(it, times)),
        faults: it.fault_reasons.iter().map(fault).collect(),
        notify_skipped: 0,
        awaits: [it.awaited_scripts.as_slice(), &it.awaited_watched].concat(),
        drained: it.orders.drained.map(|since| Drained {
            since: times.moment(since),
            handing_over: it.handing_over,
        }),
        ordered_priority: it.orders.priority.map(|ordered| OrderedPriority {
            priority: ordered.priority.0,
            seconds_left: ordered.until.map(|until| seconds(until.since(times.now))),
        }),
        nopreempt: config.nopreempt,
        preempt_delay_seconds: seconds(config.preempt_delay),
        counters: Counters::from(it.statistics),
    }
}

fn priority(it: &InstanceSnapshot) -> Priority {
    Priority {
        effective: it.priority.0,
        base: it.config.priority.0,
        contributions: it.contributions.iter().filter_map(contribution).collect(),
    }
}

/// The priority of the configuration itself is told elsewhere.
fn contribution(it: &snapshot::Contribution) -> Option<Contribution> {
    let (kind, name, weight, reverse, group) = match &it.from {
        Contributor::Base => return None,
        Contributor::Script {
            name,
            weight,
            reverse,
            of_group,
        } => ("script", Some(name), Some(*weight), *reverse, *of_group),
        Contributor::Interface {
            name,
            weight,
            reverse,
            of_group,
        } => ("interface", Some(name), Some(*weight), *reverse, *of_group),
        Contributor::File {
            name,
            weight,
            reverse,
            of_group,
        } => ("file", Some(name), Some(*weight), *reverse, *of_group),
        Contributor::Process {
            name,
            weight,
            reverse,
            of_group,
        } => ("process", Some(name), Some(*weight), *reverse, *of_group),
        Contributor::Limit => ("limit", None, None, false, false),
        Contributor::Owner => ("owner", None, None, false, false),
        Contributor::Rival => ("rival", None, None, false, false),
        Contributor::Order => ("order", None, None, false, false),
        Contributor::Drained => ("drained", None, None, false, false),
    };
    Some(Contribution {
        kind: kind.to_owned(),
        name: name.cloned(),
        weight,
        reverse,
        of_group: group,
        amount: it.amount,
    })
}

fn peer(it: &PeerSnapshot, times: &Times) -> Peer {
    Peer {
        address: it.address.to_string(),
        configured: it.configured,
        priority: it.claims.map(|claims| claims.priority.0),
        advert_seconds: it.claims.map(|claims| seconds(claims.advert_interval)),
        vrrp_version: it.claims.map(|claims| claims.version),
        last_heard: it.last_seen.map(|at| times.moment(at)),
        accepted: it.accepted,
        refused: it.rejected,
        last_refusal: it.last_reject.map(|(reject, at)| LastRefusal {
            at: times.moment(at),
            reason: Short(reject).to_string(),
        }),
        addresses_differ: it.addresses_differ,
    }
}

fn contended(it: snapshot::Contended, times: &Times) -> Contended {
    Contended {
        since: times.moment(it.since),
        peer: it.peer.to_string(),
        priority: it.priority.0,
        reason: it.reason.to_string(),
        fix: it.reason.fix().to_owned(),
    }
}

fn fault(it: &FaultReason) -> Fault {
    let text = match it {
        FaultReason::GroupMember(name) => format!("{name} of the same sync group is in FAULT"),
        other => other.to_string(),
    };
    Fault {
        code: it.code().to_owned(),
        subject: it.subject().to_owned(),
        text,
    }
}

fn last_run((result, at): (ScriptResult, Instant), times: &Times) -> LastRun {
    let (outcome, number) = match result {
        ScriptResult::TimedOut => ("timed-out", None),
        ScriptResult::Ended(Outcome::Exited(status)) => ("exited", Some(i32::from(status))),
        ScriptResult::Ended(Outcome::Signalled(signal)) => ("signalled", Some(signal)),
        ScriptResult::Ended(Outcome::NotRun(errno)) => ("not-run", Some(errno.0)),
    };
    LastRun {
        at: times.moment(at),
        outcome: outcome.to_owned(),
        number,
    }
}

fn script(it: &ScriptSnapshot, tracked_by: &[String], view: &View, times: &Times) -> Script {
    let refused = it.refused().map(|errno| {
        let reason = view.refusals.get(&it.id);
        reason.cloned().unwrap_or_else(|| errno.to_string())
    });
    Script {
        name: it.script.name.clone(),
        standing: match it.standing {
            Standing::Unknown => "unknown".to_owned(),
            Standing::Up => "up".to_owned(),
            Standing::Down => "down".to_owned(),
        },
        running: it.run != Run::Idle,
        last_run: it.last.map(|last| last_run(last, times)),
        disabled: refused,
        command: it.script.command.argv.clone(),
        tracked_by: tracked_by.to_vec(),
    }
}

impl From<Statistics> for Counters {
    fn from(it: Statistics) -> Self {
        Self {
            advert_rcvd: it.advert_rcvd,
            advert_sent: it.advert_sent,
            become_master: it.become_master,
            release_master: it.release_master,
            packet_len_err: it.packet_len_err,
            ip_ttl_err: it.ip_ttl_err,
            vers_err: it.vers_err,
            invalid_type_rcvd: it.invalid_type_rcvd,
            advert_interval_err: it.advert_interval_err,
            addr_list_err: it.addr_list_err,
            chk_err: it.chk_err,
            invalid_authtype: it.invalid_authtype,
            authtype_mismatch: it.authtype_mismatch,
            auth_failure: it.auth_failure,
            auth_ext_missing: it.auth_ext_missing,
            auth_ext_malformed: it.auth_ext_malformed,
            auth_ext_unknown_key: it.auth_ext_unknown_key,
            auth_ext_invalid_hmac: it.auth_ext_invalid_hmac,
            auth_ext_stale: it.auth_ext_stale,
            auth_ext_replay: it.auth_ext_replay,
            pri_zero_rcvd: it.pri_zero_rcvd,
            pri_zero_sent: it.pri_zero_sent,
            not_a_peer: it.not_a_peer,
            other_checksum: it.other_checksum,
            owner_ignored: it.owner_ignored,
            adverts_skipped: it.adverts_skipped,
            send_failed: it.send_failed,
        }
    }
}
