//! Lints of two nodes that shall be one cluster.
//!
//! Decides which instances belong together, what keeps them from hearing each
//! other, and who becomes MASTER. Source: specification E.5 (bad packets), F.1,
//! F.3, F.4, F.8.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use crate::ids::{Priority, Vrid};
use crate::time::Interval;

use super::super::diagnostic::{Class, Diagnostic, Severity};
use super::super::lex::Origin;
use super::super::model::{
    AuthHmac, Authentication, HmacKey, HmacMode, InitialState, Instance, SharedInstance, Version,
    VirtualAddress,
};
use super::{Subject, Weight, best, limited};

/// Compares two nodes. Places of `left` come first, those of `right` are labels.
pub fn pair(left: &Subject<'_>, right: &Subject<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let (together, alone_left, alone_right) =
        matched(&left.config.instances, &right.config.instances);
    let split = split_groups(left, right, &together, &mut found);
    for (one, other) in together {
        let mut both = Both {
            left: (left, one),
            right: (right, other),
            found: &mut found,
        };
        both.compare(split.contains(one.name.as_str()));
    }
    for (node, missing, instances) in [(left, right, alone_left), (right, left, alone_right)] {
        for instance in instances {
            let family = if instance.ipv6 { "IPv6" } else { "IPv4" };
            let text = format!(
                "({}) virtual router {} ({family}) of {} is not in {}",
                instance.name, instance.vrid, node.name, missing.name
            );
            let origin = node.place(instance, &["virtual_router_id"]);
            let help = "Add an instance with this `virtual_router_id` there, or take it out here.";
            found.push(placed(warning("no-counterpart", text), origin).help(help));
        }
    }
    found
}

fn warning(code: &'static str, text: String) -> Diagnostic {
    Diagnostic::new(code, Severity::Warning, Class::None, text)
}

fn placed(diagnostic: Diagnostic, origin: Option<Origin>) -> Diagnostic {
    match origin {
        Some(origin) => diagnostic.at(&origin),
        None => diagnostic,
    }
}

type Matched<'a> = (
    Vec<(&'a Instance, &'a Instance)>,
    Vec<&'a Instance>,
    Vec<&'a Instance>,
);

/// What two instances must have in common to belong together.
type Key<'a> = (Option<(Vrid, bool)>, &'a str);

/// The same virtual router under the same name, on the same interface, or at
/// all; at last the same name with another number.
const WAYS: [fn(&Instance) -> Key<'_>; 4] = [
    |one| (Some((one.vrid, one.ipv6)), &one.name),
    |one| (Some((one.vrid, one.ipv6)), &one.interface),
    |one| (Some((one.vrid, one.ipv6)), ""),
    |one| (None, &one.name),
];

fn matched<'a>(left: &'a [SharedInstance], right: &'a [SharedInstance]) -> Matched<'a> {
    let mut together = Vec::new();
    let mut left: Vec<&Instance> = left.iter().map(|it| &***it).collect();
    let mut right: Vec<&Instance> = right.iter().map(|it| &***it).collect();
    for way in WAYS {
        let mut waiting: HashMap<Key<'_>, Vec<&Instance>> = HashMap::new();
        for instance in right.drain(..).rev() {
            waiting.entry(way(instance)).or_default().push(instance);
        }
        left.retain(|one| match waiting.get_mut(&way(one)).and_then(Vec::pop) {
            Some(other) => {
                together.push((*one, other));
                false
            }
            None => true,
        });
        right = waiting.into_values().flatten().collect();
        right.sort_by(|one, other| one.name.cmp(&other.name));
    }
    (together, left, right)
}

/// Tells of sync groups whose members have their higher priorities on different
/// nodes; returns the names that their instances have on the left node. A member
/// becomes MASTER only if all others do, so such a group stays where it came up
/// first (specification F.7).
fn split_groups<'a>(
    left: &Subject<'_>,
    right: &Subject<'_>,
    together: &[(&'a Instance, &'a Instance)],
    found: &mut Vec<Diagnostic>,
) -> HashSet<&'a str> {
    let mut split = HashSet::new();
    let left_names: HashMap<&str, _> = together.iter().map(|one| (&*one.0.name, *one)).collect();
    let right_names: HashMap<&str, _> = together.iter().map(|one| (&*one.1.name, *one)).collect();
    for (config, names) in [(left.config, &left_names), (right.config, &right_names)] {
        for group in &config.sync_groups {
            let members = group.instances.iter();
            let members: Vec<(&Instance, &Instance)> = members
                .filter_map(|name| names.get(name.as_str()).copied())
                .filter(|(one, _)| !split.contains(one.name.as_str()))
                .collect();
            let higher = |wanted: Ordering| {
                members.iter().find(move |(one, other)| {
                    priority_when_well(left, one).cmp(&priority_when_well(right, other)) == wanted
                })
            };
            let (Some((here, _)), Some((there, _))) =
                (higher(Ordering::Greater), higher(Ordering::Less))
            else {
                continue;
            };
            let text = format!(
                "({}) the instances of this sync group contradict each other: the priority of {} is \
                 higher in {}, that of {} in {}; who is MASTER depends on who came first",
                group.name, here.name, left.name, there.name, right.name
            );
            let mut diagnostic = placed(
                warning("sync-group-split", text),
                left.place(here, &["priority"]),
            );
            if let Some(origin) = left.place(there, &["priority"]) {
                diagnostic = diagnostic.label(origin.span, "the other instance");
            }
            let help = "Give the node that shall be MASTER the higher priority in all of them.";
            found.push(diagnostic.help(help));
            split.extend(members.iter().map(|(one, _)| one.name.as_str()));
        }
    }
    split
}

/// The priority of an instance when all that it tracks is well.
fn priority_when_well(subject: &Subject<'_>, instance: &Instance) -> i64 {
    let best = best(instance, &subject.weights(instance));
    best.map_or(i64::from(instance.priority.0), limited)
}

/// One virtual router on two nodes.
struct Both<'a, 's> {
    left: (&'a Subject<'s>, &'a Instance),
    right: (&'a Subject<'s>, &'a Instance),
    found: &'a mut Vec<Diagnostic>,
}

impl Both<'_, '_> {
    /// `is_split`: nobody can say who will be MASTER, as its group has told.
    fn compare(&mut self, is_split: bool) {
        let ((_, one), (_, other)) = (self.left, self.right);
        if one.vrid != other.vrid {
            let text = format!(
                "the virtual router identifiers differ: {} and {}",
                one.vrid, other.vrid
            );
            let help = "Give both the same number.";
            self.warn("vrid-differs", &text, &["virtual_router_id"], help);
            return;
        }
        if one.ipv6 != other.ipv6 {
            let text = "one node speaks IPv4 and the other IPv6; both become MASTER";
            let help = "Use one instance for each family on both nodes.";
            self.warn("family-differs", text, &["virtual_ipaddress"], help);
            return;
        }
        let before = self.found.len();
        self.version();
        self.advert_interval();
        self.authentication();
        self.hmac();
        self.ways();
        // Nodes that do not hear each other are both MASTER: nothing to predict.
        let mut apart = self.found.iter().skip(before);
        let is_one_cluster = apart.all(|found| found.severity == Severity::Hint);
        self.addresses();
        if is_one_cluster && !is_split {
            self.election();
        }
    }

    /// A finding at these keywords on both nodes.
    fn finding(&mut self, diagnostic: Diagnostic, keywords: &[&str], help: &str) {
        let (left, one) = self.left;
        let (right, other) = self.right;
        let mut diagnostic = placed(diagnostic, left.place(one, keywords));
        if let Some(origin) = right.place(other, keywords) {
            diagnostic = diagnostic.label(origin.span, "the other node");
        }
        self.found.push(diagnostic.help(help));
    }

    fn warn(&mut self, code: &'static str, text: &str, keywords: &[&str], help: &str) {
        let text = format!("({}) {text}", self.left.1.name);
        self.finding(warning(code, text), keywords, help);
    }

    fn version(&mut self) {
        let number = |version| match version {
            Version::V2 => 2,
            Version::V3 => 3,
        };
        let (one, other) = (number(self.left.1.version), number(self.right.1.version));
        if one != other {
            let text =
                format!("the versions of VRRP differ: {one} and {other}; both nodes become MASTER");
            let help = "Write the same `version` into both, or the same `vrrp_version` into \
                        `global_defs`.";
            self.warn("version-differs", &text, &["version"], help);
        }
    }

    fn advert_interval(&mut self) {
        let (one, other) = (self.left.1, self.right.1);
        if one.advert_interval == other.advert_interval || one.version != other.version {
            return;
        }
        let (mine, theirs) = (seconds(one.advert_interval), seconds(other.advert_interval));
        let code = "advert-interval-differs";
        let help = "Write the same `advert_int` into both.";
        if one.version == Version::V2 {
            let text = format!(
                "the advert intervals differ: {mine} s and {theirs} s; in version 2 the nodes \
                 ignore each other, and both become MASTER"
            );
            self.warn(code, &text, &["advert_int"], help);
        } else {
            let text = format!(
                "({}) the advert intervals differ: {mine} s and {theirs} s",
                one.name
            );
            self.finding(Diagnostic::hint(code, text), &["advert_int"], help);
        }
    }

    /// Passwords are compared, never printed.
    fn authentication(&mut self) {
        let both = (&self.left.1.authentication, &self.right.1.authentication);
        let what = match both {
            (one, other) if one == other => return,
            (Some(Authentication::Password(_)), Some(Authentication::Password(_)))
            | (Some(Authentication::Header(_)), Some(Authentication::Header(_))) => {
                "the passwords differ (only the first 8 bytes count)"
            }
            (Some(_), Some(_)) => "the types of authentication differ",
            _ => "only one node has authentication",
        };
        let text = format!("{what}; both nodes become MASTER");
        let help = "Write the same `authentication` block into both.";
        self.warn("authentication-differs", &text, &["authentication"], help);
    }

    fn hmac(&mut self) {
        let both = (&self.left.1.auth_hmac, &self.right.1.auth_hmac);
        let what = match both {
            (None, None) => return,
            (Some(one), Some(other)) => {
                if can_verify(one, other) && can_verify(other, one) {
                    return;
                }
                "the active key of one node is not known to the other"
            }
            (Some(only), None) | (None, Some(only)) if only.mode == HmacMode::ReceiveOnly => return,
            _ => "only one node has `auth_hmac`",
        };
        let text = format!("{what}; both nodes become MASTER");
        let help =
            "Write the same keys into both; to introduce them use `mode receive-only` first.";
        self.warn("authentication-differs", &text, &["auth_hmac"], help);
    }

    fn addresses(&mut self) {
        let (one, other) = (self.left.1, self.right.1);
        let set = |lines: &[VirtualAddress]| -> HashSet<IpAddr> {
            lines.iter().map(|line| line.address).collect()
        };
        let in_adverts = (set(&one.virtual_addresses), set(&other.virtual_addresses));
        let excluded = (set(&one.excluded_addresses), set(&other.excluded_addresses));
        for (keyword, (one, other)) in [
            ("virtual_ipaddress", in_adverts),
            ("virtual_ipaddress_excluded", excluded),
        ] {
            let mut parts = Vec::new();
            for (has, lacks, node) in [(&one, &other, self.right.0), (&other, &one, self.left.0)] {
                let mut missing: Vec<IpAddr> = has.difference(lacks).copied().collect();
                missing.sort_unstable();
                if let Some(text) = listed(&missing) {
                    parts.push(format!("{} lacks {text}", node.name));
                }
            }
            if !parts.is_empty() {
                let text = format!("the lists of `{keyword}` differ: {}", parts.join(", "));
                let help = "Write the same addresses into both.";
                self.warn("virtual-addresses-differ", &text, &[keyword], help);
            }
        }
    }

    /// Multicast and unicast.
    fn ways(&mut self) {
        let (one, other) = (self.left.1, self.right.1);
        let places = &["unicast_peer", "unicast_src_ip", "mcast_dst_ip"];
        match (one.unicast_peers.is_empty(), other.unicast_peers.is_empty()) {
            (true, true) if one.multicast_group != other.multicast_group => {
                let text = format!(
                    "the multicast groups differ: {} and {}; both nodes become MASTER",
                    one.multicast_group, other.multicast_group
                );
                let help = "Write the same group into both.";
                self.warn("multicast-group-differs", &text, places, help);
            }
            (true, true) => {
                self.same_source();
            }
            (false, false) if self.same_source() => {}
            (false, false) => {
                self.reaches(self.left, self.right);
                self.reaches(self.right, self.left);
            }
            (is_multicast, _) => {
                let (unicast, multicast) = if is_multicast {
                    (self.right.0, self.left.0)
                } else {
                    (self.left.0, self.right.0)
                };
                let text = format!(
                    "{} uses unicast and {} multicast; both nodes become MASTER",
                    unicast.name, multicast.name
                );
                let help = "Write a `unicast_peer` block into both.";
                self.warn("unicast-differs", &text, places, help);
            }
        }
    }

    /// Whether both nodes name the same source address, which only one can have.
    fn same_source(&mut self) -> bool {
        let (one, other) = (self.left.1.source_address, self.right.1.source_address);
        let Some(source) = one.filter(|_| one == other) else {
            return false;
        };
        let text = format!("both nodes send from {source}, which only one of them can have");
        let places = &["unicast_src_ip", "mcast_src_ip"];
        let help = "Write the address of its own machine into each.";
        self.warn("same-source", &text, places, help);
        true
    }

    /// Whether the second node sends to the address that the first one sends from.
    fn reaches(&mut self, from: (&Subject<'_>, &Instance), to: (&Subject<'_>, &Instance)) {
        let Some(source) = from.1.source_address else {
            return;
        };
        if to.1.is_peer(source) {
            return;
        }
        let peers: Vec<IpAddr> = to.1.unicast_peers.iter().map(|peer| peer.address).collect();
        let text = format!(
            "{} sends from {source}, but the peers of {} are {}",
            from.0.name,
            to.0.name,
            listed(&peers).unwrap_or_default()
        );
        let places = &["unicast_peer", "unicast_src_ip"];
        let help = format!("Add {source} to `unicast_peer` in {}.", to.0.name);
        self.warn("unicast-differs", &text, places, &help);
    }

    fn election(&mut self) {
        let (one, other) = (self.left.1, self.right.1);
        let weights = [self.left.0.weights(one), self.right.0.weights(other)];
        self.nopreempt(self.left, &weights[0], self.right);
        self.nopreempt(self.right, &weights[1], self.left);
        let numbers = [
            priority_when_well(self.left.0, one),
            priority_when_well(self.right.0, other),
        ];
        if numbers[0] == numbers[1] {
            self.equal(numbers[0]);
            return;
        }
        let (mine, theirs) = (self.left, self.right);
        let [mine_weights, their_weights] = weights;
        let (master, backup) = if numbers[0] > numbers[1] {
            (
                Candidate::new(mine, mine_weights, numbers[0]),
                Candidate::new(theirs, their_weights, numbers[1]),
            )
        } else {
            (
                Candidate::new(theirs, their_weights, numbers[1]),
                Candidate::new(mine, mine_weights, numbers[0]),
            )
        };
        self.contradictions(&master, &backup);
        self.weights(&master, &backup);
        let text = format!("({}) {}", one.name, prediction(&master, &backup));
        let origin = self.left.0.place(one, &["priority"]);
        let diagnostic = placed(Diagnostic::hint("who-is-master", text), origin);
        self.found.push(diagnostic);
    }

    fn equal(&mut self, priority: i64) {
        let is_written = |one: &Instance| i64::from(one.priority.0) == priority;
        let when = match is_written(self.left.1) && is_written(self.right.1) {
            true => "",
            false => " when all that they track is well",
        };
        let text = format!(
            "both nodes have priority {priority}{when}: who is MASTER depends on who came first \
             and on the greater source address"
        );
        let help = "Give the nodes different priorities; that with the higher one is MASTER.";
        self.warn("equal-priorities", &text, &["priority", "state"], help);
    }

    fn contradictions(&mut self, master: &Candidate<'_, '_>, backup: &Candidate<'_, '_>) {
        let wish = |candidate: &Candidate<'_, '_>| {
            candidate.instance.initial_state == InitialState::Master
        };
        if wish(backup) && !wish(master) {
            let text = format!(
                "{} has `state MASTER` and priority {}, but {} has {} and becomes MASTER",
                backup.name(),
                backup.priority,
                master.name(),
                master.priority
            );
            let help = "`state` is a wish only: give the node that shall be MASTER the higher \
                        priority.";
            self.warn("master-is-not-highest", &text, &["priority", "state"], help);
        }
        let is_owner = master.instance.priority == Priority::OWNER;
        if backup.instance.nopreempt && !master.instance.nopreempt && !is_owner {
            let text = format!(
                "`nopreempt` in {} has no effect: {} has the higher priority, and without \
                 `nopreempt` it takes the addresses back",
                backup.name(),
                master.name()
            );
            let help = format!("Add `nopreempt` and `state BACKUP` to {}.", master.name());
            self.warn("nopreempt-on-lower", &text, &["nopreempt"], &help);
        }
    }

    /// Weights of a MASTER whose BACKUP does not preempt.
    fn nopreempt(
        &mut self,
        (master, one): (&Subject<'_>, &Instance),
        weights: &[Weight],
        (backup, other): (&Subject<'_>, &Instance),
    ) {
        for weight in weights.iter().filter(|_| other.nopreempt) {
            let text = format!(
                "({}) while {} is MASTER, a failure of `{}` moves nothing: it only lowers the \
                 priority by {}, and {} has `nopreempt` and does not take over from a live MASTER",
                one.name, master.name, weight.name, weight.amount, backup.name
            );
            let origin = weight.origin.or_else(|| master.place(one, &["priority"]));
            let mut diagnostic = placed(warning("nopreempt-with-weight", text), origin);
            if let Some(origin) = backup.place(other, &["nopreempt"]) {
                diagnostic = diagnostic.label(origin.span, "the other node");
            }
            let help = format!(
                "Give `{}` weight 0: the instance goes to FAULT when it fails, and the other node \
                 takes over.",
                weight.name
            );
            self.found.push(diagnostic.help(help));
        }
    }

    /// Whether a failure of what the MASTER tracks moves the addresses.
    fn weights(&mut self, master: &Candidate<'_, '_>, backup: &Candidate<'_, '_>) {
        let Some(total) = best(master.instance, &master.weights) else {
            return;
        };
        let mut files = backup.instance.track_files.iter();
        if backup.instance.nopreempt || files.any(|line| line.weight != 0) {
            return;
        }
        for weight in &master.weights {
            let sum = total.saturating_sub(weight.amount);
            let low = limited(sum);
            if low < backup.priority {
                continue;
            }
            let limit = match low == sum {
                true => String::new(),
                false => format!(", limited to {low},"),
            };
            let relation = if low == backup.priority {
                "equal to"
            } else {
                "above"
            };
            let text = format!(
                "({}) a failure of `{}` never moves the addresses: priority {total} - {} = \
                 {sum}{limit} in {} is still {relation} {} in {}",
                master.instance.name,
                weight.name,
                weight.amount,
                master.name(),
                backup.priority,
                backup.name()
            );
            let diagnostic = warning("weight-cannot-fail-over", text);
            let origin = weight
                .origin
                .or_else(|| master.subject.place(master.instance, &["priority"]));
            let mut diagnostic = placed(diagnostic, origin);
            if let Some(origin) = backup.subject.place(backup.instance, &["priority"]) {
                diagnostic = diagnostic.label(origin.span, "the other node");
            }
            let help = advice(weight, master, backup);
            self.found.push(diagnostic.help(help));
        }
    }
}

/// Who may become MASTER.
struct Candidate<'a, 's> {
    subject: &'a Subject<'s>,
    instance: &'a Instance,
    weights: Vec<Weight>,
    /// When all that it tracks is well.
    priority: i64,
}

impl<'a, 's> Candidate<'a, 's> {
    fn new(
        (subject, instance): (&'a Subject<'s>, &'a Instance),
        weights: Vec<Weight>,
        priority: i64,
    ) -> Self {
        Self {
            subject,
            instance,
            weights,
            priority,
        }
    }

    fn name(&self) -> &str {
        &self.subject.name
    }

    fn described(&self) -> String {
        let base = i64::from(self.instance.priority.0);
        match self.priority.saturating_sub(base) {
            0 => format!("{}", self.priority),
            more => format!("{} ({base} + {more})", self.priority),
        }
    }
}

/// How a weight that is too small can be mended.
fn advice(weight: &Weight, master: &Candidate<'_, '_>, backup: &Candidate<'_, '_>) -> String {
    let difference = master.priority.saturating_sub(backup.priority);
    let needed = difference.saturating_add(1);
    let alike = |other: &Weight| {
        other.name == weight.name && other.is_bonus && other.amount == weight.amount
    };
    if needed > 253 {
        "Bring the priorities closer together, or use weight 0: FAULT when it fails.".to_string()
    } else if !weight.is_bonus {
        format!("Write a weight of -{needed}, or use weight 0: FAULT when it fails.")
    } else if backup.weights.iter().any(alike) {
        format!("Write a weight of {needed} on both nodes, or use weight 0: FAULT when it fails.")
    } else {
        format!(
            "Without the weight the priority must be below {}; or use weight 0: FAULT when it \
             fails.",
            backup.priority
        )
    }
}

/// One sentence about the election and what follows.
fn prediction(master: &Candidate<'_, '_>, backup: &Candidate<'_, '_>) -> String {
    let (first, second) = (master.instance, backup.instance);
    let return_of_master = if first.nopreempt {
        format!("and keeps them when {} comes back", master.name())
    } else if first.preempt_delay.as_us() > 0 {
        // The delay, and then the rest of the time without adverts (F.3).
        let own_us = down_time_us(first, second.advert_interval, master.priority);
        let delay_us = first.preempt_delay.as_us().saturating_add(own_us);
        format!(
            "and gives them back about {} s after {} came back",
            delay_us.saturating_add(500_000) / 1_000_000,
            master.name()
        )
    } else {
        format!("and gives them back when {} comes back", master.name())
    };
    let wait_us = down_time_us(second, first.advert_interval, backup.priority);
    format!(
        "{} becomes MASTER with priority {} against {}; if it goes silent, {} takes the \
         addresses over within {} s, {return_of_master}",
        master.name(),
        master.described(),
        backup.described(),
        backup.name(),
        tenths(wait_us)
    )
}

/// The time that a BACKUP waits for adverts of a MASTER that sends at `sent`, in
/// microseconds (specification F.1).
fn down_time_us(instance: &Instance, sent: Interval, priority: i64) -> u64 {
    let (interval, unit) = match instance.version {
        Version::V2 => (instance.advert_interval.as_us(), 1_000_000),
        Version::V3 => (sent.as_us(), sent.as_us()),
    };
    let part = u64::try_from(256_i64.saturating_sub(priority)).unwrap_or(0);
    let skew = unit.saturating_mul(part) / 256;
    let missed = u64::from(instance.down_timer_adverts);
    interval.saturating_mul(missed).saturating_add(skew)
}

/// As it is written in a configuration, without useless zeros.
fn seconds(interval: Interval) -> String {
    let text = interval.to_string();
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

fn tenths(us: u64) -> String {
    let tenths = us.saturating_add(50_000) / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// More of them are only counted.
const LISTED_MAX: usize = 3;

fn listed(addresses: &[IpAddr]) -> Option<String> {
    let shown: Vec<String> = addresses
        .iter()
        .take(LISTED_MAX)
        .map(ToString::to_string)
        .collect();
    let more = addresses.len().saturating_sub(LISTED_MAX);
    match (shown.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(shown.join(", ")),
        (false, more) => Some(format!("{} and {more} more", shown.join(", "))),
    }
}

/// Whether `receiver` has the key that `sender` signs with. Keys in files are
/// not compared.
fn can_verify(sender: &AuthHmac, receiver: &AuthHmac) -> bool {
    if sender.mode == HmacMode::ReceiveOnly {
        return receiver.mode != HmacMode::Enforce;
    }
    let of = |all: &AuthHmac| -> Option<HmacKey> {
        let mut keys = all.keys.iter();
        let found = keys.find(|(number, _)| *number == sender.active_key);
        found.map(|(_, key)| key.clone())
    };
    match (of(sender), of(receiver)) {
        (Some(HmacKey::Bytes(one)), Some(HmacKey::Bytes(other))) => one == other,
        (_, Some(_)) => true,
        (_, None) => false,
    }
}
