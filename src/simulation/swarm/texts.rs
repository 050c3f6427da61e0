//! Configurations at random, as text, since that is what people write.
//!
//! Decides which words a world has. Words that keep two nodes from ever agreeing
//! (another password, priorities of a sync group that contradict each other) are
//! not among them: what such a world should do nobody could say.

use std::fmt::Write;

use crate::vrrp::event::InterfaceAddress;

use super::super::random::Random;
use super::watched::Watched;
use super::{INTERFACES, interfaces};

/// The two keys of `auth_hmac`.
const KEYS: [&str; 2] = [
    "0123456789abcdef0123456789abcdef",
    "fedcba9876543210fedcba9876543210",
];

/// Any number: another beginning of the same seed.
const OWN_WORDS: u64 = 0x6f77_6e77_6f72_6473;

/// The same for worlds with virtual MACs.
const VIRTUAL_MACS: u64 = 0x766d_6163_766d_6163;

/// How adverts are authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    None,
    Password,
    Header,
    /// `auth_hmac`, compared with the clock or not, and whether all must sign.
    Signed {
        monotonic: bool,
        enforced: bool,
    },
}

impl Proof {
    /// Whether a clock that goes back keeps a node from being heard, by design.
    pub(super) const fn wants_growing_time(self) -> bool {
        matches!(
            self,
            Self::Header
                | Self::Signed {
                    monotonic: true,
                    ..
                }
        )
    }
}

/// What a seed has turned on.
pub(super) struct Features {
    version_3: bool,
    ipv6: bool,
    unicast: bool,
    scripts: bool,
    track_interface: bool,
    nopreempt: bool,
    preempt_delay: bool,
    pub(super) proof: Proof,
    equal: bool,
    owner: bool,
    second_interface: bool,
    group: bool,
    /// Words that change who answers, and how soon.
    manners: bool,
    /// Words about gratuitous ARP.
    announcing: bool,
    /// Words that change nothing between nodes that all understand them.
    trimmings: bool,
    pub(super) loss: bool,
    pub(super) clocks: bool,
    pub(super) replays: bool,
    pub(super) three_nodes: bool,
    /// `fast_handover`, weights that matter, and a script that fails often.
    pub(super) fast_handover: bool,
    /// Tracked files and processes.
    pub(super) watched: Option<Watched>,
    /// `use_vmac`, here and there.
    virtual_macs: bool,
    /// Of version 3, centiseconds.
    interval_cs: u64,
}

impl Features {
    /// Of a seed. `fast_handover`, files and processes are drawn apart, so that the
    /// worlds without them are what they were before there was such a thing.
    pub(super) fn new(seed: u64, random: &mut Random) -> Self {
        let mut features = Self::plain(random);
        if Random::new(seed ^ OWN_WORDS).percent(25) {
            (features.fast_handover, features.scripts) = (true, true);
            (features.owner, features.equal) = (false, false);
        }
        features.watched = Watched::new(seed);
        features.virtual_macs = Random::new(seed ^ VIRTUAL_MACS).percent(15);
        // Weights do not count for an owner, and FAULT does.
        features.owner &= features.watched.is_none();
        features
    }

    fn plain(random: &mut Random) -> Self {
        let version_3 = random.percent(50);
        let intervals = [1, 3, 10, 25, 100, 100, 200];
        Self {
            version_3,
            ipv6: version_3 && random.percent(40),
            unicast: random.percent(30),
            scripts: random.percent(50),
            track_interface: random.percent(30),
            nopreempt: random.percent(25),
            preempt_delay: random.percent(20),
            proof: proof(version_3, random),
            equal: random.percent(20),
            owner: random.percent(10),
            second_interface: random.percent(30),
            group: random.percent(40),
            manners: random.percent(30),
            announcing: random.percent(25),
            trimmings: random.percent(30),
            loss: random.percent(50),
            clocks: random.percent(40),
            replays: random.percent(40),
            three_nodes: random.percent(40),
            fast_handover: false,
            watched: None,
            virtual_macs: false,
            interval_cs: random.pick(&intervals).copied().unwrap_or(100),
        }
    }
}

fn proof(version_3: bool, random: &mut Random) -> Proof {
    match random.below(10) {
        0 | 1 if !version_3 => Proof::Password,
        2..=4 if !version_3 => Proof::Header,
        5 | 6 => Proof::Signed {
            monotonic: random.percent(30),
            enforced: random.percent(70),
        },
        _ => Proof::None,
    }
}

/// A line of `track_script` or `track_interface`, after the name.
#[derive(Clone, Copy)]
struct Line {
    /// 0 means FAULT.
    weight: i64,
    reverse: bool,
}

impl Line {
    fn new(random: &mut Random) -> Self {
        let size = i64::try_from(random.between(1, 100)).unwrap_or(1);
        Self {
            weight: match random.below(3) {
                0 => 0,
                1 => size,
                _ => size.saturating_neg(),
            },
            reverse: random.percent(15),
        }
    }

    /// Of a script whose failure is a great loss.
    fn falling(random: &mut Random) -> Self {
        let size = i64::try_from(random.between(20, 100)).unwrap_or(20);
        Self {
            weight: size.saturating_neg(),
            reverse: false,
        }
    }

    fn block(self, kind: &str, name: &str) -> String {
        let Self { weight, reverse } = self;
        let reverse = if reverse { " reverse" } else { "" };
        format!("    {kind} {{\n        {name} weight {weight}{reverse}\n    }}\n")
    }
}

/// What all nodes share of one virtual router.
struct Router {
    number: u64,
    interface: usize,
    ipv6: bool,
    version_3: bool,
    unicast: bool,
    script: Option<Line>,
    tracked: Option<Line>,
    /// Of version 2: one for all.
    interval_s: u64,
    /// `unicast_ttl`, if peers look at it.
    ttl: Option<u64>,
    other_group: bool,
}

/// What all nodes share of the sync group.
struct Group {
    script: Option<Line>,
    tracked: Option<Line>,
    keeps_weights: bool,
    /// How many routers are in it.
    members: usize,
}

/// The configuration of each node.
pub(super) fn texts(features: &Features, count: usize, random: &mut Random) -> Vec<String> {
    let fewest = if features.group { 2 } else { 1 };
    let routers: Vec<Router> = (1..=random.between(fewest, 3))
        .map(|number| router(number, features, random))
        .collect();
    let (routers, group) = with_group(routers, features, random);
    let script = script(random);
    let owner = random.below(u64::try_from(count).unwrap_or(2));
    let shared = random.between(2, 250);
    let has_script = routers.iter().any(|router| router.script.is_some())
        || group.as_ref().is_some_and(|group| group.script.is_some());
    (0..count)
        .map(|node| {
            let mut text = String::new();
            write_globals(&mut text, features, random);
            if has_script {
                text.push_str(&script);
            }
            if let Some(watched) = &features.watched {
                text.push_str(&watched.blocks);
            }
            let is_owner = features.owner && usize::try_from(owner).is_ok_and(|it| it == node);
            let (least, most) = if features.fast_handover {
                (100, 160)
            } else {
                (1, 254)
            };
            let one = random.between(least, most);
            let members = group.as_ref().map_or(0, |group| group.members);
            for (place, router) in routers.iter().enumerate() {
                let priority = match () {
                    () if is_owner => 255,
                    () if features.equal => shared,
                    // Else two members might want two different masters.
                    () if place < members => one,
                    () => random.between(least, most),
                };
                write_router(&mut text, router, features, (node, count, priority), random);
            }
            if let Some(group) = &group {
                write_group(&mut text, group);
            }
            text
        })
        .collect()
}

/// The `keepalived-rs.conf` of each node: most have the switch. What becomes of VIPs
/// that vanish follows from other features, so that the worlds stay what they were; no
/// fight over them is given up, because a pause is no rest.
pub(super) fn companions(features: &Features, count: usize, random: &mut Random) -> Vec<String> {
    let losses = match (features.unicast, features.ipv6, features.group) {
        (true, true, false) => "vip_loss reelect",
        _ => "vip_loss_limit 0",
    };
    (0..count)
        .map(|_| {
            let switch = match features.fast_handover && random.percent(80) {
                true => "    fast_handover\n",
                false => "",
            };
            format!("global_defs {{\n{switch}    {losses}\n}}\n")
        })
        .collect()
}

fn router(number: u64, features: &Features, random: &mut Random) -> Router {
    let unicast = features.unicast && random.percent(60);
    let second = usize::from(features.second_interface && random.percent(50));
    Router {
        number,
        // The members of a group are on different wires.
        interface: if features.group {
            usize::from(number.is_multiple_of(2))
        } else {
            second
        },
        ipv6: features.ipv6 && random.percent(60),
        version_3: features.version_3,
        unicast,
        script: match features.fast_handover {
            true => Some(Line::falling(random)),
            false => (features.scripts && random.percent(70)).then(|| Line::new(random)),
        },
        tracked: (features.track_interface && random.percent(70)).then(|| Line::new(random)),
        interval_s: if random.percent(80) { 1 } else { 2 },
        ttl: (unicast && random.percent(50)).then(|| random.between(1, 255)),
        other_group: !unicast && features.trimmings && random.percent(30),
    }
}

/// The group of a world, and the routers as that wants them: whatever counts for
/// the priority of one member counts for all. The line of a member, or that it is
/// on the tracked interface itself, would take the line of the group away from it.
fn with_group(
    mut routers: Vec<Router>,
    features: &Features,
    random: &mut Random,
) -> (Vec<Router>, Option<Group>) {
    if !features.group {
        return (routers, None);
    }
    let most = u64::try_from(routers.len()).unwrap_or(2);
    let group = Group {
        script: (features.scripts && random.percent(50)).then(|| Line::new(random)),
        tracked: (features.track_interface && random.percent(50)).then(|| Line::new(random)),
        keeps_weights: random.percent(20),
        members: usize::try_from(random.between(2, most)).unwrap_or(2),
    };
    let script = routers.first().and_then(|router| router.script);
    for router in routers.iter_mut().take(group.members) {
        router.script = script;
        if group.keeps_weights || group.tracked.is_some() {
            router.tracked = None;
        }
    }
    (routers, Some(group))
}

fn script(random: &mut Random) -> String {
    let (rise, fall) = (random.between(1, 3), random.between(1, 3));
    let init_fail = if random.percent(30) {
        "    init_fail\n"
    } else {
        ""
    };
    format!(
        "vrrp_script chk {{\n    script \"/bin/chk\"\n    interval 1\n    rise {rise}\n    fall {fall}\n{init_fail}}}\n"
    )
}

fn write_globals(text: &mut String, features: &Features, random: &mut Random) {
    if features.announcing && random.percent(60) {
        let ms = random.between(1, 400);
        let _ = writeln!(
            text,
            "global_defs {{\n    vrrp_garp_interval 0.{ms:03}\n    vrrp_gna_interval 0.{ms:03}\n}}"
        );
    }
}

fn write_group(text: &mut String, group: &Group) {
    text.push_str("vrrp_sync_group G {\n    group {\n");
    for number in 1..=group.members {
        let _ = writeln!(text, "        VI_{number}");
    }
    text.push_str("    }\n");
    if let Some(line) = group.script {
        text.push_str(&line.block("track_script", "chk"));
    }
    if let Some(line) = group.tracked {
        text.push_str(&line.block("track_interface", "eth1"));
    }
    if group.keeps_weights {
        text.push_str("    sync_group_tracking_weight\n");
    }
    text.push_str("}\n");
}

fn write_router(
    text: &mut String,
    router: &Router,
    features: &Features,
    (node, count, priority): (usize, usize, u64),
    random: &mut Random,
) {
    let number = router.number;
    let interface = INTERFACES.get(router.interface).copied().unwrap_or("eth0");
    let vrid = number.saturating_add(50);
    let _ = writeln!(text, "vrrp_instance VI_{number} {{");
    let _ = writeln!(
        text,
        "    interface {interface}\n    virtual_router_id {vrid}"
    );
    let _ = writeln!(text, "    priority {priority}");
    if random.percent(30) {
        text.push_str("    state MASTER\n");
    }
    write_interval(text, router, features, random);
    let is_owner = priority == 255;
    if features.nopreempt && !is_owner && random.percent(50) {
        text.push_str("    nopreempt\n");
    } else if features.preempt_delay && !is_owner && random.percent(50) {
        let _ = writeln!(text, "    preempt_delay {}", random.between(1, 5));
    }
    if features.manners {
        write_manners(text, is_owner, random);
        // Not a throw of its own, so that the other worlds stay as they were.
        if number % 3 == 1 {
            text.push_str("    no_accept\n");
        }
    }
    if features.announcing {
        write_announcing(text, random);
    }
    if features.virtual_macs && (!number.is_multiple_of(4) || node > 0) {
        text.push_str("    use_vmac\n");
        if (number % 2, node) == (0, 0) {
            text.push_str("    vmac_xmit_base\n");
        }
    }
    write_proof(text, features.proof, random);
    write_sending(text, router, (node, count), random);
    if features.trimmings {
        write_trimmings(text, router, random);
    }
    if let Some(line) = router.script {
        text.push_str(&line.block("track_script", "chk"));
    }
    if let Some(line) = router.tracked {
        text.push_str(&line.block("track_interface", "eth1"));
    }
    if let Some(watched) = &features.watched {
        text.push_str(&watched.lines);
    }
    write_addresses(text, router, random);
    text.push_str("}\n");
}

fn write_interval(text: &mut String, router: &Router, features: &Features, random: &mut Random) {
    if router.version_3 {
        // Version 3 nodes may differ.
        let factor = if random.percent(20) { 2 } else { 1 };
        let cs = features.interval_cs.saturating_mul(factor);
        let (whole, part) = (cs / 100, cs % 100);
        let _ = writeln!(text, "    version 3\n    advert_int {whole}.{part:02}");
    } else {
        let _ = writeln!(text, "    advert_int {}", router.interval_s);
    }
}

/// Words that change who answers, and how soon.
fn write_manners(text: &mut String, is_owner: bool, random: &mut Random) {
    if random.percent(50) {
        text.push_str("    lower_prio_no_advert\n");
    }
    if random.percent(50) {
        text.push_str("    higher_prio_send_advert\n");
    }
    if random.percent(60) {
        let _ = writeln!(text, "    down_timer_adverts {}", random.between(1, 6));
    }
    if is_owner && random.percent(50) {
        text.push_str("    owner_ignore_adverts\n");
    }
}

fn write_announcing(text: &mut String, random: &mut Random) {
    for (word, most) in [
        ("garp_master_delay", 3),
        ("garp_master_repeat", 4),
        ("garp_master_refresh", 4),
        ("garp_master_refresh_repeat", 3),
        ("garp_lower_prio_delay", 3),
        ("garp_lower_prio_repeat", 3),
    ] {
        if random.percent(50) {
            let _ = writeln!(text, "    {word} {}", random.between(1, most));
        }
    }
}

fn write_proof(text: &mut String, proof: Proof, random: &mut Random) {
    let (monotonic, enforced) = match proof {
        Proof::None => return,
        Proof::Password | Proof::Header => {
            let kind = if proof == Proof::Header { "AH" } else { "PASS" };
            let _ = writeln!(
                text,
                "    authentication {{\n        auth_type {kind}\n        auth_pass secret\n    }}"
            );
            return;
        }
        Proof::Signed {
            monotonic,
            enforced,
        } => (monotonic, enforced),
    };
    let kind = if monotonic { "monotonic" } else { "time" };
    let mode = match random.below(3) {
        _ if enforced => "enforce",
        0 => "receive-only",
        _ => "permissive",
    };
    let active = random.between(1, 2);
    text.push_str("    auth_hmac {\n");
    for (number, key) in (1..).zip(KEYS) {
        let _ = writeln!(text, "        key {number} {key}");
    }
    let _ = writeln!(
        text,
        "        active_key {active}\n        anti_replay {kind}\n        mode {mode}\n    }}"
    );
}

/// Where adverts go to.
fn write_sending(
    text: &mut String,
    router: &Router,
    (node, count): (usize, usize),
    random: &mut Random,
) {
    if router.other_group && !router.ipv6 {
        text.push_str("    mcast_dst_ip 224.0.0.81\n");
    }
    if !router.unicast {
        return;
    }
    if let Some(ttl) = router.ttl {
        let _ = writeln!(text, "    unicast_ttl {ttl}");
    }
    if random.percent(50) {
        text.push_str("    check_unicast_src\n");
    }
    text.push_str("    unicast_peer {\n");
    for peer in (0..count).filter(|peer| *peer != node) {
        let own = interfaces(peer);
        let addresses = own.get(router.interface).map(|it| it.own.as_slice());
        let family = |on: &&InterfaceAddress| on.address.is_ipv6() == router.ipv6;
        let Some(on) = addresses.and_then(|all| all.iter().find(family)) else {
            continue;
        };
        let _ = write!(text, "        {}", on.address);
        if let Some(ttl) = router.ttl {
            let (least, most) = (random.between(0, ttl), random.between(ttl, 255));
            let _ = write!(text, " min_ttl {least} max_ttl {most}");
        }
        text.push('\n');
    }
    text.push_str("    }\n");
}

/// Words that change nothing between nodes that all understand them.
fn write_trimmings(text: &mut String, router: &Router, random: &mut Random) {
    if router.version_3 && !router.ipv6 && random.percent(40) {
        text.push_str("    v3_checksum_as_v2\n");
    }
    if random.percent(30) {
        text.push_str("    dont_track_primary\n");
    }
    if random.percent(40) {
        text.push_str("    skip_check_adv_addr\n");
    }
    if random.percent(40) {
        let number = router.number;
        let _ = writeln!(
            text,
            "    virtual_ipaddress_excluded {{\n        10.0.{}.{number}0/24\n        fd00:1::{number}/64\n    }}",
            router.interface
        );
    }
}

/// The block of its virtual addresses.
fn write_addresses(text: &mut String, router: &Router, random: &mut Random) {
    let number = router.number;
    text.push_str("    virtual_ipaddress {\n");
    for place in 0..random.between(1, 2) {
        let last = number.saturating_mul(10).saturating_add(place);
        if router.ipv6 && place == 0 {
            let _ = writeln!(text, "        fe80::a:{last}/64");
        } else if router.ipv6 {
            let _ = writeln!(text, "        fd00::{last}/64");
        } else {
            let last = last.saturating_add(100);
            let _ = writeln!(text, "        10.0.{}.{last}/24", router.interface);
        }
    }
    text.push_str("    }\n");
}
