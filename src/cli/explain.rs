//! `keepalived-rs explain INSTANCE`: who wins, by how much, and what would change it.
//!
//! Decides nothing of its own: it puts into words what the daemon tells on its status
//! socket, by the rules of the election (RFC 9568 section 6.4, specification F.3, F.4,
//! F.8). `explain` also explains the codes of findings; which of the two is meant is
//! decided in `tools.rs`.

use std::fmt::Write as _;

use super::Answer;
use super::place::Place;
use super::status::{failed, of_instance, priority_in_words, span_in_words, wrapped};
use crate::daemon::status::document::{Contribution, Instance, Peer};

/// No line is longer, unless names are.
const COLUMNS: usize = 78;

/// What to explain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The name of an instance.
    pub name: String,
    /// It was said to be one; else it might have been meant as the code of a finding.
    pub is_instance: bool,
    /// Of which daemon.
    pub place: Place,
}

/// Asks the daemon, and explains what it tells.
pub fn run(task: &Task) -> Answer {
    match of_instance(&task.place.status_socket(), &task.name) {
        Ok(instance) => Answer {
            stdout: text(&instance),
            ..Answer::default()
        },
        Err((code, why)) if task.is_instance => failed(code, why),
        Err((code, why)) => {
            let name = &task.name;
            let text = format!("No message has the code '{name}'\nIf it is an instance: {why}");
            failed(code, text)
        }
    }
}

/// The whole text.
pub fn text(it: &Instance) -> String {
    let mut page = String::new();
    let since = span_in_words(it.since.seconds_ago);
    let _ = writeln!(page, "{} is {} for {since}", it.name, it.state);
    if let Some(reason) = &it.reason {
        field(&mut page, "Why", reason);
    }
    field(&mut page, "Priority", &priority_in_words(it));
    for peer in rivals(it) {
        field(&mut page, "Other", &other(peer));
    }
    section(&mut page, "Who wins", who_wins(it));
    section(&mut page, "What would change it", what_would_change(it));
    page
}

fn field(page: &mut String, name: &str, value: &str) {
    let mut name = format!("  {name}");
    for line in wrapped(value, COLUMNS.saturating_sub(12)) {
        let _ = writeln!(page, "{name:<12}{line}");
        name.clear();
    }
}

fn section(page: &mut String, title: &str, lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(page, "\n{title}");
    for text in lines {
        let mut indent = "  ";
        for line in wrapped(&text, COLUMNS.saturating_sub(4)) {
            let _ = writeln!(page, "{indent}{line}");
            indent = "    ";
        }
    }
}

/// The others whose adverts were accepted, the best first.
fn rivals(it: &Instance) -> Vec<&Peer> {
    let mut rivals: Vec<&Peer> = it
        .peers
        .iter()
        .filter(|peer| peer.accepted > 0 && peer.priority.is_some())
        .collect();
    rivals.sort_by_key(|peer| std::cmp::Reverse(peer.priority));
    rivals
}

fn other(peer: &Peer) -> String {
    let mut text = peer.address.clone();
    match peer.priority {
        Some(0) | None => text.push_str(", said that it stops being MASTER"),
        Some(priority) => {
            let _ = write!(text, ", priority {priority}");
        }
    }
    if let Some(heard) = peer.last_heard {
        let _ = write!(text, ", heard {} ago", span_in_words(heard.seconds_ago));
    }
    text
}

/// The best of the others, with its priority.
fn best(it: &Instance) -> Option<(&str, u8)> {
    let rivals = rivals(it);
    let mut known = rivals.iter().filter_map(|peer| {
        let priority = peer.priority.filter(|it| *it > 0)?;
        Some((peer.address.as_str(), priority))
    });
    known.next()
}

fn who_wins(it: &Instance) -> Vec<String> {
    match it.state.as_str() {
        "MASTER" => as_master(it),
        "BACKUP" => as_backup(it),
        "FAULT" => {
            let mut lines = vec!["Not this node: it takes no part in FAULT, because".to_owned()];
            lines.extend(it.faults.iter().map(|fault| format!("- {}", fault.text)));
            lines
        }
        "INIT" if !it.awaits.is_empty() => vec![format!(
            "Not this node yet: it waits for the first result of {}.",
            it.awaits.join(", ")
        )],
        _ => vec!["Not this node: it does not take part now.".to_owned()],
    }
}

fn as_master(it: &Instance) -> Vec<String> {
    let mut lines = Vec::new();
    let ours = it.priority.effective;
    if let Some(drained) = &it.drained {
        lines.push(match drained.handing_over {
            true => "It is drained, and has asked others to take over.".to_owned(),
            false => "It is drained, and nobody took over: it keeps the addresses until \
                      somebody does."
                .to_owned(),
        });
    }
    if let Some(contended) = &it.contended {
        lines.push(format!(
            "Nobody: {} is MASTER as well; {}. To mend it: {}.",
            contended.peer, contended.reason, contended.fix
        ));
    }
    lines.push(match best(it) {
        None => "This node. No other router has been heard as MASTER; one that is BACKUP is \
                 silent, so its priority is not known."
            .to_owned(),
        Some((address, theirs)) if theirs < ours => format!(
            "This node: {ours} is {} more than the {theirs} that {address} said last.",
            ours.saturating_sub(theirs)
        ),
        Some((address, theirs)) if theirs == ours => format!(
            "This node, as MASTER: {address} has {theirs} as well, and with equal priorities \
             a MASTER gives way to the higher address only."
        ),
        Some((address, theirs)) => format!(
            "This node, for now: {address} said {theirs} last, which is {} more. If it is \
             there and does not wait (nopreempt, preempt_delay), it takes over.",
            theirs.saturating_sub(ours)
        ),
    });
    lines
}

fn as_backup(it: &Instance) -> Vec<String> {
    let ours = it.priority.effective;
    let wait = seconds(it.master_down_seconds);
    let mut lines = Vec::new();
    if it.drained.is_some() {
        lines.push(
            "It is drained: it counts with the lowest priority until it is resumed.".to_owned(),
        );
    }
    let Some(master) = &it.master else {
        lines.push(format!(
            "Nobody yet: no master has been heard. This node takes over when it has heard \
             none for {wait}."
        ));
        return lines;
    };
    let (address, theirs) = (&master.address, master.priority);
    lines.push(match theirs.cmp(&ours) {
        std::cmp::Ordering::Greater => format!(
            "{address}: {theirs} is {} more than the {ours} of this node.",
            theirs.saturating_sub(ours)
        ),
        std::cmp::Ordering::Equal => {
            format!("{address}: it is MASTER with the same priority {ours}, and is left alone.")
        }
        std::cmp::Ordering::Less if it.nopreempt => format!(
            "{address}, although {theirs} is {} less than the {ours} of this node: with \
             nopreempt a lower master is left alone.",
            ours.saturating_sub(theirs)
        ),
        std::cmp::Ordering::Less if it.preempt_delay_seconds > 0.0 => format!(
            "{address} for now: {theirs} is {} less than the {ours} of this node, which waits \
             for preempt_delay, {}.",
            ours.saturating_sub(theirs),
            seconds(it.preempt_delay_seconds)
        ),
        std::cmp::Ordering::Less => format!(
            "This node, soon: {ours} is {} more than the {theirs} of {address}.",
            ours.saturating_sub(theirs)
        ),
    });
    lines
}

fn what_would_change(it: &Instance) -> Vec<String> {
    let mut lines = Vec::new();
    let is_master = it.state == "MASTER";
    if ["MASTER", "BACKUP"].contains(&it.state.as_str()) {
        lines.extend(by_weights(it));
    }
    match (it.state.as_str(), best(it)) {
        ("FAULT", _) => lines.push("The end of what is named above.".to_owned()),
        ("MASTER", Some((address, theirs))) if theirs <= it.priority.effective => {
            let gap = it
                .priority
                .effective
                .saturating_sub(theirs)
                .saturating_add(1);
            lines.push(format!(
                "{gap} less here, or {gap} more at {address}: then {address} takes over."
            ));
        }
        ("BACKUP", _) if it.master.is_some() => lines.push(format!(
            "Silence of the master for {}: the best of those who are left takes over.",
            seconds(it.master_down_seconds)
        )),
        _ => {}
    }
    if is_master {
        lines.push(
            "FAULT of this node: whoever is there takes over, whatever its priority.".to_owned(),
        );
    }
    match (&it.drained, is_master) {
        (None, true) => lines.push(format!("keepalived-rs drain {}", it.name)),
        (Some(_), _) => lines.push(format!("keepalived-rs resume {}", it.name)),
        (None, false) => {}
    }
    if it.ordered_priority.is_some() {
        lines.push(format!("keepalived-rs priority {} --reset", it.name));
    }
    lines
}

/// What each weight would make of the priority if it were the other way round.
fn by_weights(it: &Instance) -> Vec<String> {
    let priority = &it.priority;
    if it.drained.is_some() || priority.effective == 255 {
        return Vec::new();
    }
    let is_weight = |part: &&Contribution| part.weight.is_some();
    let ordered = priority.contributions.iter();
    let ordered = ordered.filter(|part| part.kind == "order" || part.weight.is_some());
    let total = ordered.fold(i32::from(priority.base), |sum, part| {
        sum.saturating_add(part.amount)
    });
    let weights = priority.contributions.iter().filter(is_weight);
    weights
        .filter_map(|part| {
            let weight = part.weight?;
            let name = part.name.as_deref().unwrap_or_default();
            let change = match part.amount {
                // How much a file would add depends on the number in it.
                0 if part.kind == "file" => return None,
                0 if part.reverse => weight.saturating_neg(),
                0 => weight,
                amount => amount.saturating_neg(),
            };
            let then = total.saturating_add(change).clamp(1, 254);
            let event = event_of(part, weight);
            let outcome = outcome(it, then);
            Some(format!("{} {name} {event}: {then}{outcome}", part.kind))
        })
        .collect()
}

/// What has to happen for a weight to count otherwise than now.
fn event_of(part: &Contribution, weight: i32) -> &'static str {
    let counts = part.amount != 0;
    let fails = (weight > 0) == counts;
    match (part.kind.as_str(), fails) {
        ("interface", true) => "goes down",
        ("interface", false) => "comes up",
        ("process", true) => "loses its quorum",
        ("process", false) => "has its quorum again",
        ("file", _) => "has 0 in it",
        (_, true) => "fails",
        (_, false) => "works again",
    }
}

/// Who would win with this priority here.
fn outcome(it: &Instance, then: i32) -> String {
    let rival = match (&it.master, best(it)) {
        (Some(master), _) => Some((master.address.as_str(), master.priority)),
        (None, best) => best,
    };
    let Some((address, theirs)) = rival else {
        return String::new();
    };
    let gap = then.saturating_sub(theirs.into());
    match gap {
        1.. if it.state == "MASTER" => format!(", still {gap} more than {address}"),
        0 if it.state == "MASTER" => format!(", as much as {address}"),
        1.. => format!(", {gap} more than {address}: this node takes over"),
        0 => format!(", as much as {address}, which stays"),
        _ if it.state == "MASTER" => {
            format!(
                ", {} less than {address}, which takes over",
                gap.saturating_neg()
            )
        }
        _ => format!(", {} less than {address}", gap.saturating_neg()),
    }
}

fn seconds(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} s")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::status::document::{Drained, Fault, Master, Priority};

    fn weight(kind: &str, name: &str, weight: i32, amount: i32) -> Contribution {
        Contribution {
            kind: kind.to_owned(),
            name: Some(name.to_owned()),
            weight: Some(weight),
            amount,
            ..Contribution::default()
        }
    }

    fn instance(state: &str, effective: u8, contributions: Vec<Contribution>) -> Instance {
        let sum: i32 = contributions.iter().map(|it| it.amount).sum();
        let base = u8::try_from(i32::from(effective) - sum).expect("a priority");
        Instance {
            name: "VI_web".to_owned(),
            state: state.to_owned(),
            master_down_seconds: 3.609,
            priority: Priority {
                effective,
                base,
                contributions,
            },
            ..Instance::default()
        }
    }

    fn peer(address: &str, priority: u8) -> Peer {
        Peer {
            address: address.to_owned(),
            priority: Some(priority),
            accepted: 5,
            ..Peer::default()
        }
    }

    #[test]
    fn a_master_is_told_by_how_much_and_what_would_end_it() {
        let parts = vec![
            weight("script", "chk_nginx", 20, 20),
            weight("interface", "eth1", -60, 0),
        ];
        let mut it = instance("MASTER", 170, parts);
        it.peers = vec![peer("192.0.2.3", 90), peer("192.0.2.2", 120)];
        let text = text(&it);
        for line in [
            "  This node: 170 is 50 more than the 120 that 192.0.2.2 said last.\n",
            "  script chk_nginx fails: 150, still 30 more than 192.0.2.2\n",
            "  interface eth1 goes down: 110, 10 less than 192.0.2.2, which takes over\n",
            "  51 less here, or 51 more at 192.0.2.2: then 192.0.2.2 takes over.\n",
            "  keepalived-rs drain VI_web\n",
        ] {
            assert!(text.contains(line), "{line:?} in\n{text}");
        }
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
    }

    #[test]
    fn a_backup_is_told_what_it_lacks() {
        let mut it = instance("BACKUP", 100, vec![weight("script", "chk", 60, 0)]);
        it.master = Some(Master {
            address: "192.0.2.1".to_owned(),
            priority: 150,
            advert_seconds: 1.0,
        });
        it.peers = vec![peer("192.0.2.1", 150)];
        let said = text(&it);
        for line in [
            "  192.0.2.1: 150 is 50 more than the 100 of this node.\n",
            "  script chk works again: 160, 10 more than 192.0.2.1: this node takes over\n",
            "  Silence of the master for 3.609 s: ",
        ] {
            assert!(said.contains(line), "{line:?} in\n{said}");
        }
        it.priority.effective = 200;
        let flat = |it: &Instance| text(it).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat(&it).contains("This node, soon: 200 is 50 more"));
        it.nopreempt = true;
        assert!(flat(&it).contains("with nopreempt a lower master is left alone"));
        it.drained = Some(Drained::default());
        assert!(text(&it).contains("keepalived-rs resume VI_web"));
    }

    #[test]
    fn who_cannot_take_part_is_told_why() {
        let mut it = instance("FAULT", 100, Vec::new());
        it.faults = vec![Fault {
            text: "interface eth0 is down".to_owned(),
            ..Fault::default()
        }];
        let text = text(&it);
        assert!(text.contains("  - interface eth0 is down\n"), "{text}");
        let alone = instance("MASTER", 100, Vec::new());
        assert!(super::text(&alone).contains("No other router has been heard"));
    }
}
