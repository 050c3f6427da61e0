//! What each turn of an engine is compared with.
//!
//! Decides what is asked of the second opinions (`monitor.rs`,
//! `group_monitor.rs`), and looks at what is between instances and kernel.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::model::SharedInstance;
use crate::ids::IfIndex;
use crate::time::{Instant, Interval};
use crate::vrrp::Engine;
use crate::vrrp::log_lines::{InstanceLine, LogLine};
use crate::vrrp::state_machine::State;
use crate::wire::advert::Family;

use super::group_monitor::{self, Together, together};
use super::kernel::Kernel;
use super::monitor::{Breach, Cause, Left, Turn, Watch, counted};
use super::node::Node;
use super::trace::What;
use super::world::{Violation, World};

/// What the kernel refused is there, or gone, no later than this: it refuses three times
/// in a row at most, and is asked again once a second.
const REFUSAL_GRACE: Interval = Interval::from_secs(10);

impl World {
    pub(super) fn watch(&mut self, node: usize, cause: &Cause, left: &[Left]) {
        self.watch_with(node, cause, left, &[]);
    }

    pub(super) fn watch_with(
        &mut self,
        node: usize,
        cause: &Cause,
        left: &[Left],
        faults: &[(String, String)],
    ) {
        let addresses = &self.addresses;
        let name_of = |address: IpAddr| {
            let known = addresses.iter().find(|(known, _)| *known == address);
            known.map_or_else(|| address.to_string(), |(_, name)| name.clone())
        };
        let Some(here) = self.nodes.get_mut(node) else {
            return;
        };
        let Some(engine) = &here.engine else { return };
        let mut wrong = Vec::new();
        let mut changes = Vec::new();
        let kernel = &here.kernel;
        let own_of = |watch: &Watch| own_address(kernel, watch);
        let ended = match cause {
            Cause::Reload { ended, kept } => {
                follow_reload(&mut here.watches, ended, kept, self.now)
            }
            _ => Vec::new(),
        };
        // All of them before the first of them takes its turn.
        let together = all_together(here, engine, cause, self.now);
        let turn_of = |watch: &Watch| Turn {
            now: self.now,
            cause,
            left,
            own: own_of(watch),
            faults,
            group: together.get(&watch.config.name).copied(),
            name_of: &name_of,
        };
        for watch in &ended {
            if watch.state == State::Master {
                watch.judge_leaving(&turn_of(watch), &mut wrong);
            }
            let instance = watch.name.clone();
            changes.push(What::Ended { instance });
        }
        let mut moved = 0_u64;
        for view in engine.instances() {
            let mut watches = here.watches.iter_mut();
            let Some(watch) = watches.find(|it| it.config.name == view.config.name) else {
                continue;
            };
            moved = moved.saturating_add(watch.counts(&view.statistics));
            let turn = turn_of(watch);
            let (change, breaches) = watch.turn(&view, &turn);
            wrong.extend(breaches);
            changes.extend(change.map(|change| What::State {
                instance: watch.name.clone(),
                from: change.from,
                to: change.to,
                priority: view.priority,
                why: change.why,
            }));
        }
        wrong.extend(group_monitor::judge(
            &here.config.sync_groups,
            &here.watches,
        ));
        wrong.extend(sent_by_nobody(left, &here.watches));
        moved = moved.saturating_add(engine.ignored().saturating_sub(here.ignored));
        here.ignored = engine.ignored();
        if matches!(cause, Cause::Datagram(_)) && moved != 1 {
            let text = format!("a datagram was counted {moved} times");
            wrong.push(Breach { rule: 11, text });
        }
        self.note(node, changes, wrong);
    }

    /// Keeps what a turn of a node has shown.
    fn note(&mut self, node: usize, changes: Vec<What>, wrong: Vec<Breach>) {
        let at = self.now;
        for what in changes {
            self.record(Some(node), what);
        }
        let violations = wrong.into_iter().map(|breach| Violation {
            at,
            node: Some(node),
            breach,
        });
        self.violations.extend(violations);
    }

    /// The reasons for FAULT that were logged since `first`, with the instances.
    pub(super) fn fault_reasons(&self, first: usize) -> Vec<(String, String)> {
        let records = self.trace.get(first..).unwrap_or_default();
        let reasons = records.iter().filter_map(|record| {
            let What::Log(LogLine::Instance(name, line)) = &record.what else {
                return None;
            };
            let reason = match line {
                // At the start C's lines tell of each of them.
                InstanceLine::Changed(it) if it.to == State::Fault && it.from != State::Init => {
                    it.cause.to_string()
                }
                InstanceLine::FaultScript(script) => format!("script {script} fails"),
                InstanceLine::FaultFile(file) => format!("the number in tracked file {file}"),
                InstanceLine::FaultProcess(process) => {
                    format!("too few or too many of tracked process {process}")
                }
                InstanceLine::FaultInterfaceDown(it) => format!("interface {it} is down"),
                InstanceLine::FaultNoAddress(_) | InstanceLine::FaultNoSource => {
                    "no address to send from".to_owned()
                }
                _ => return None,
            };
            Some((name.clone(), reason))
        });
        reasons.collect()
    }

    /// Only a master announces its VIPs, and only once it has them. The address of
    /// the node itself waits for no burst of VIPs.
    pub(super) fn judge_announcement(&mut self, node: usize, on: IfIndex, address: IpAddr) {
        let Some(here) = self.nodes.get(node) else {
            return;
        };
        if here.kernel.owns(address) {
            return;
        }
        let may_announce = here.announceable.contains(&address);
        self.judge_spacing(node, on, address);
        if !may_announce {
            let text = format!("announced {address}, which is not its own");
            self.wrong(Some(node), 9, text);
        }
    }

    /// Two announcements of one interface are as far apart as all its instances
    /// want.
    fn judge_spacing(&mut self, node: usize, on: IfIndex, address: IpAddr) {
        let now = self.now;
        let Some(here) = self.nodes.get_mut(node) else {
            return;
        };
        // Its own addresses are announced besides, and not in that line.
        if here.kernel.owns(address) {
            return;
        }
        let family = Family::of(address);
        let instances = here.config.instances.iter();
        let intervals = instances.map(|instance| match family {
            Family::V4 => instance.garp.interval,
            Family::V6 => instance.garp.gna_interval,
        });
        let least = intervals.min().unwrap_or(Interval::ZERO);
        let before = here.announced.insert((on, family), now);
        if let Some(before) = before.filter(|before| now.since(*before) < least) {
            let text = format!("announced {address} {} s after another", now.since(before));
            self.wrong(Some(node), 9, text);
        }
    }

    /// Once its kernel has done everything, a node has the VIPs of exactly those
    /// instances that are MASTER, and drops packets to those that do not accept any.
    pub(super) fn check_addresses(&mut self, node: usize) {
        let Some(here) = self.nodes.get(node) else {
            return;
        };
        // In the turn after a standstill some news are still to be told.
        let hears = here.engine.is_some() && !here.is_late;
        if !hears || !here.kernel.is_idle() || here.expected_news > 0 {
            return;
        }
        let refused_until = here.refused_at.map(|at| at + REFUSAL_GRACE);
        let is_excused = refused_until.is_some_and(|until| self.now < until);
        let mut wrong = Vec::new();
        for watch in &here.watches {
            let is_master = watch.state == State::Master;
            for vip in watch.config.all_addresses() {
                let address = vip.address;
                let is_blocked = here.kernel.blocked.contains(&address);
                if is_blocked != (is_master && !watch.config.accept) {
                    let what = if is_blocked { "drops" } else { "lets through" };
                    wrong.push(format!("({}) {what} packets to {address}", watch.name));
                }
                let is_unsure = is_excused && here.kernel.is_unsure(address);
                if here.kernel.has(address) == is_master || is_unsure {
                    continue;
                }
                let state = watch.state;
                let what = if is_master { "lacks" } else { "still has" };
                wrong.push(format!("({}) in {state} {what} {address}", watch.name));
            }
        }
        for text in wrong {
            self.wrong(Some(node), 3, text);
        }
    }
}

/// A reload ends the instances of some names, which are given back, and others go on
/// as something else.
fn follow_reload(
    watches: &mut Vec<Watch>,
    ended: &[String],
    kept: &[(String, SharedInstance)],
    now: Instant,
) -> Vec<Watch> {
    let (ended, mut others): (Vec<Watch>, Vec<Watch>) = std::mem::take(watches)
        .into_iter()
        .partition(|watch| ended.contains(&watch.config.name));
    for watch in &mut others {
        let goes_on = kept.iter().find(|(name, _)| *name == watch.config.name);
        if let Some((_, config)) = goes_on {
            watch.go_on_as(config, now);
        }
    }
    *watches = others;
    ended
}

/// The address that an instance sends from.
fn own_address(kernel: &Kernel, watch: &Watch) -> Option<IpAddr> {
    let config = &watch.config;
    let found = || kernel.source(&config.interface, config.family());
    config.source_address.or_else(found)
}

/// What this turn means for the instances that are in a group, by name.
fn all_together(
    node: &Node,
    engine: &Engine,
    cause: &Cause,
    now: Instant,
) -> BTreeMap<String, Together> {
    let groups = &node.config.sync_groups;
    if groups.is_empty() {
        return BTreeMap::new();
    }
    let gave_way = engine.instances().find_map(|view| {
        let mut watches = node.watches.iter();
        let watch = watches.find(|it| it.config.name == view.config.name)?;
        let gives_way = watch.gives_way(&view, cause, own_address(&node.kernel, watch));
        gives_way.then_some(view.config.name.as_str())
    });
    let names = node.watches.iter().map(|watch| &watch.config.name);
    let pairs = names.filter_map(|name| {
        let it = together(groups, &node.watches, name, (cause, now), gave_way)?;
        Some((name.clone(), it))
    });
    pairs.collect()
}

/// Adverts that left, and that no instance may have sent.
fn sent_by_nobody(left: &[Left], watches: &[Watch]) -> impl Iterator<Item = Breach> {
    let may = |left: &Left| watches.iter().any(|watch| watch.may_send(left));
    let strange = left.iter().filter(move |it| it.priority.0 != 0 && !may(it));
    strange.map(|left| Breach {
        rule: 6,
        text: format!("sent {left:?}, which no master of its may"),
    })
}

impl Watch {
    /// How many counters moved since the last turn.
    fn counts(&self, now: &crate::vrrp::statistics::Statistics) -> u64 {
        let before = self.statistics();
        // A list of VIPs that differs, and a trailer that may be missing, are
        // counted besides.
        let addresses = now.addr_list_err.saturating_sub(before.addr_list_err);
        let missing = now.auth_ext_missing;
        let refused = addresses.saturating_add(missing.saturating_sub(before.auth_ext_missing));
        let accepted = now.advert_rcvd > before.advert_rcvd;
        let other = counted(now).saturating_sub(counted(before));
        if accepted {
            other
        } else {
            other.saturating_add(refused)
        }
    }
}
