//! `bfd_instance NAME { ... }` (keepalived-lvs.md D).

use std::collections::HashSet;
use std::net::IpAddr;

use crate::time::Interval;

use super::super::super::arguments;
use super::super::super::tree::Statement;
use super::super::root;
use super::super::{Context, Keyword, already, apply};
use super::{error, error_at_end, number, part, read_block};

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    part("neighbor_ip", "IP", "Address of the peer", neighbor_ip),
    part("neighbour_ip", "IP", "Address of the peer", neighbor_ip),
    part("source_ip", "IP", "Address of this side", source_ip),
    part("min_rx", "MS 1..4294967", "Shortest interval of received packets", fast_interval),
    part("min_tx", "MS 1..4294967", "Shortest interval of sent packets while up", fast_interval),
    part("idle_tx", "MS 1000..4294967", "Shortest interval of sent packets while not up", idle_tx),
    part("multiplier", "1..255", "Missing packets until the session is down", multiplier),
    part("passive", "", "Do not begin, wait for the peer", already),
    part("ttl", "1..255", "TTL of sent packets", ttl),
    part("hoplimit", "1..255", "Hop limit of sent packets", ttl),
    part("max_hops", "-1..255", "Hops that a received packet may have made, -1: any", max_hops),
    part("multihop", "[BOOL]", "Use the port of multihop sessions", multihop),
    part("weight", "-253..253 [reverse]", "Default of track_bfd", weight),
    part("vrrp", "", "Only VRRP follows it", already),
    part("checker", "", "Only checkers follow it", already),
];

/// What was read of one session.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// The name.
    pub name: String,
    /// `neighbor_ip`
    pub neighbor: Option<IpAddr>,
    /// `source_ip`
    pub source: Option<IpAddr>,
    /// `multihop`
    pub multihop: bool,
    /// `weight`
    pub weight: i64,
    /// `weight N reverse`
    pub reverse: bool,
    ttl: Option<i64>,
    max_hops: i64,
    is_broken: bool,
}

/// What no two sessions may have in common: neighbour, source, multihop.
pub type Ends = (IpAddr, Option<IpAddr>, bool);

/// The longest name, in bytes.
const NAME_MAX: usize = 31;

/// Reads the block. C ends with a segmentation fault if there is no name.
pub fn set(draft: &mut root::Draft, statement: &Statement, cx: &mut Context<'_>) {
    let is_left_out = cx.options.without_bfd;
    let help = "With -B (no BFD) the daemon skips it.";
    read_block(statement, is_left_out, help, cx, |cx| {
        if let Some(session) = read(&mut draft.lvs.bfd_ends, statement, cx) {
            cx.names.bfd_instances.insert(session.name.clone());
            draft.lvs.bfd_instances.push(session);
        }
    });
}

fn read(others: &mut HashSet<Ends>, statement: &Statement, cx: &mut Context<'_>) -> Option<Draft> {
    let Some(word) = statement.word(1) else {
        let text = "bfd_instance must have a name".to_string();
        error(cx, "no-name", statement, text);
        return None;
    };
    let name = word.text.clone();
    let of = format!("Configuration error: BFD instance {name}");
    if name.len() > NAME_MAX {
        let text =
            format!("{of} name too long (maximum length is {NAME_MAX} characters) - ignoring");
        cx.error("bfd-name", word, text);
        return None;
    }
    if cx.names.bfd_instances.contains(&name) {
        let text = format!("{of} already configured - ignoring");
        cx.error("duplicate-bfd", word, text);
        return None;
    }
    let mut session = Draft {
        name: name.clone(),
        ..Draft::default()
    };
    apply(
        "bfd_instance",
        KEYWORDS,
        statement.inner(),
        &mut session,
        cx,
    );
    if session.is_broken {
        return None;
    }
    let Some(neighbor) = session.neighbor else {
        let text = format!("{of} has no neighbor address set, disabling instance");
        error_at_end(cx, "bfd-address", statement, text);
        return None;
    };
    if let Some(source) = session.source
        && source.is_ipv4() != neighbor.is_ipv4()
    {
        let text = format!(
            "{of} source address {source} and neighbor address {neighbor} are not of the same \
             family, disabling instance"
        );
        error_at_end(cx, "bfd-address", statement, text);
        return None;
    }
    if !others.insert((neighbor, session.source, session.multihop)) {
        let text = format!("{of} has duplicate neighbor address {neighbor}, ignoring instance");
        error_at_end(cx, "duplicate-bfd", statement, text);
        return None;
    }
    let ttl = session
        .ttl
        .unwrap_or(if neighbor.is_ipv4() { 255 } else { 64 });
    if session.max_hops > ttl {
        let text =
            format!("BFD instance {name}: max_hops exceeds ttl/hoplimit - setting to ttl/hoplimit");
        error_at_end(cx, "bfd-hops", statement, text);
    }
    Some(session)
}

fn neighbor_ip(session: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        session.is_broken = true;
        return;
    };
    session.neighbor = arguments::address(&word.text);
    if session.neighbor.is_none() {
        session.is_broken = true;
        let text = format!(
            "Configuration error: BFD instance {} has malformed neighbor address {}, ignoring instance",
            session.name, word.text
        );
        cx.error("bfd-address", word, text);
    }
}

fn source_ip(session: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    match arguments::address(&word.text) {
        Some(address) => session.source = Some(address),
        None => {
            let text = format!(
                "Configuration error: BFD instance {} has malformed source address {}, ignoring",
                session.name, word.text
            );
            cx.error("bfd-address", word, text);
        }
    }
}

fn fast_interval(session: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    milliseconds(session, statement, cx, 1);
}

fn idle_tx(session: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    milliseconds(session, statement, cx, 1_000);
}

const MILLISECONDS_MAX: u64 = 4_294_967;

/// A time in milliseconds with three decimals, which reads like seconds.
fn milliseconds(session: &Draft, statement: &Statement, cx: &mut Context<'_>, least: u64) {
    let (name, keyword) = (&session.name, statement.keyword());
    let range = Interval::from_secs(least)..=Interval::from_secs(MILLISECONDS_MAX);
    cx.seconds(statement, 3, range, |text| {
        format!(
            "Configuration error: BFD instance {name} {keyword} value {text} is not valid \
             (must be in range [{least}-{MILLISECONDS_MAX}]), ignoring"
        )
    });
}

/// A number in a range, with C's text.
fn ranged(
    session: &Draft,
    statement: &Statement,
    cx: &mut Context<'_>,
    what: &str,
    (least, most): (i64, i64),
) -> Option<i64> {
    let name = &session.name;
    number(cx, statement, least..=most, |text| {
        format!(
            "Configuration error: BFD instance {name} {what} value {text} not valid \
             (must be in range [{least}-{most}]), ignoring"
        )
    })
}

fn multiplier(session: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    ranged(session, statement, cx, "multiplier", (1, 255));
}

fn ttl(session: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    session.ttl = ranged(session, statement, cx, "ttl/hoplimit", (1, 255)).or(session.ttl);
}

fn max_hops(session: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if let Some(value) = ranged(session, statement, cx, "max_hops", (-1, 255)) {
        session.max_hops = value;
    }
}

fn multihop(session: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = &session.name;
    let value = cx.switch(statement, |text| {
        format!("Configuration error: BFD instance {name} multihop value {text} is not valid")
    });
    session.multihop = value.unwrap_or(session.multihop);
}

fn weight(session: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(value) = ranged(session, statement, cx, "weight", (-253, 253)) else {
        return;
    };
    session.weight = value;
    match statement.word(2) {
        None => session.reverse = false,
        Some(word) if word.text == "reverse" => session.reverse = true,
        Some(word) => {
            let text = format!(
                "Configuration error: BFD instance {} unknown weight option {}",
                session.name, word.text
            );
            cx.error("bfd-weight", word, text);
        }
    }
}
