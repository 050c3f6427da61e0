//! `keepalived-rs status --expect MASTER`: a verdict for a monitoring system.
//!
//! Decides what is critical and what is a warning. The line and the exit codes are
//! those of the Nagios plugins, which Icinga, Checkmk, Sensu and others understand.

use crate::cli::Answer;
use crate::daemon::status::document::{Document, Instance};

/// How bad it is; also the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// All is as expected.
    Ok = 0,
    /// It is, and somebody should look at it.
    Warning = 1,
    /// It is not.
    Critical = 2,
    /// Nothing can be said.
    Unknown = 3,
}

impl Level {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// A new MASTER may lack its addresses for so long, in seconds.
const INSTALLING_S: f64 = 5.0;

/// How many things are named; the others are counted.
const NAMED_MAX: usize = 5;

/// A state that may be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum State {
    /// It holds the addresses.
    Master,
    /// It listens to a master.
    Backup,
    /// It cannot take part.
    Fault,
    /// It has not begun.
    Init,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Master => "MASTER",
            Self::Backup => "BACKUP",
            Self::Fault => "FAULT",
            Self::Init => "INIT",
        }
    }
}

/// The verdict on a daemon that has answered.
pub fn judge(document: &Document, expected: &[State]) -> Answer {
    if let Some(why) = &document.daemon.without_vrrp {
        return verdict(
            Level::Critical,
            &format!("VRRP is not running: {why}"),
            None,
        );
    }
    if document.instances.is_empty() {
        return verdict(Level::Unknown, "no instance is configured", None);
    }
    let mut found: Vec<(Level, String)> = Vec::new();
    for it in &document.instances {
        found.extend(of_instance(it, expected));
    }
    if document
        .daemon
        .reload
        .as_ref()
        .is_some_and(|it| !it.accepted)
    {
        found.push((Level::Warning, "the last reload was refused".to_owned()));
    }
    // The worst first; those of one level stay in their order.
    found.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
    let level = found.first().map_or(Level::Ok, |(level, _)| *level);
    let mut words: Vec<String> = found
        .iter()
        .take(NAMED_MAX)
        .map(|(_, text)| text.clone())
        .collect();
    match found.len().saturating_sub(NAMED_MAX) {
        0 => {}
        more => words.push(format!("and {more} more")),
    }
    if words.is_empty() {
        words.push(all_is_well(&document.instances));
    }
    verdict(level, &words.join("; "), Some(&document.instances))
}

/// The verdict if there is nothing to judge.
pub fn verdict(level: Level, text: &str, counted: Option<&[Instance]>) -> Answer {
    let mut line = format!("KEEPALIVED {}: {text}", level.word()).replace(['\n', '|'], " ");
    if let Some(instances) = counted {
        let count = |state: &str| instances.iter().filter(|it| it.state == state).count();
        line.push_str(&format!(
            " | master={} backup={} fault={}",
            count("MASTER"),
            count("BACKUP"),
            count("FAULT")
        ));
    }
    Answer {
        stdout: line + "\n",
        code: level as u8,
        ..Answer::default()
    }
}

fn of_instance(it: &Instance, expected: &[State]) -> Vec<(Level, String)> {
    let mut found = Vec::new();
    let name = &it.name;
    if expected.iter().all(|state| state.as_str() != it.state) {
        let mut text = format!("{name} is {}", it.state);
        let faults: Vec<&str> = it.faults.iter().map(|it| it.text.as_str()).collect();
        match &it.reason {
            _ if !faults.is_empty() => text.push_str(&format!(" ({})", faults.join(", "))),
            Some(reason) => text.push_str(&format!(" ({reason})")),
            None => {}
        }
        found.push((Level::Critical, text));
    }
    if let Some(contended) = &it.contended {
        let peer = &contended.peer;
        let text = format!("{name} is contended, {peer} is MASTER as well");
        found.push((Level::Critical, text));
    }
    let missing = it.vips.iter().filter(|vip| !vip.installed);
    let missing: Vec<&str> = missing.map(|vip| vip.address.as_str()).collect();
    let is_settled = it.state == "MASTER" && it.since.seconds_ago > INSTALLING_S;
    if is_settled && !missing.is_empty() {
        let text = format!("{name} is MASTER and lacks {}", missing.join(", "));
        found.push((Level::Critical, text));
    }
    if it.drained.is_some() {
        found.push((Level::Warning, format!("{name} is drained")));
    } else if let Some(ordered) = &it.ordered_priority {
        let text = format!("{name} has priority {} by order", ordered.priority);
        found.push((Level::Warning, text));
    }
    found
}

fn all_is_well(instances: &[Instance]) -> String {
    match instances {
        [it] => format!("{} is {}", it.name, it.state),
        more => format!("{} instances are as expected", more.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::status::document::{
        Contended, Drained, Moment, OrderedPriority, Reload, Vip,
    };

    fn instance(name: &str, state: &str) -> Instance {
        Instance {
            name: name.to_owned(),
            state: state.to_owned(),
            since: Moment {
                seconds_ago: 60.0,
                ..Moment::default()
            },
            ..Instance::default()
        }
    }

    fn said(instances: Vec<Instance>, expected: &[State]) -> (u8, String) {
        let document = Document {
            instances,
            ..Document::default()
        };
        let answer = judge(&document, expected);
        assert!(answer.stdout.ends_with('\n') && answer.stdout.lines().count() == 1);
        (answer.code, answer.stdout.trim_end().to_owned())
    }

    #[test]
    fn the_four_verdicts() {
        let master = || instance("VI_1", "MASTER");
        let (code, line) = said(vec![master()], &[State::Master]);
        assert_eq!(
            line,
            "KEEPALIVED OK: VI_1 is MASTER | master=1 backup=0 fault=0"
        );
        assert_eq!(code, 0);
        let (code, line) = said(vec![master()], &[State::Backup]);
        assert_eq!((code, line.contains("CRITICAL: VI_1 is MASTER")), (2, true));
        let either = [State::Master, State::Backup];
        let two = || vec![master(), instance("VI_2", "BACKUP")];
        assert_eq!(said(two(), &either).0, 0);
        assert_eq!(said(two(), &[State::Master]).0, 2);
        assert_eq!(said(Vec::new(), &either).0, 3);

        let mut drained = master();
        drained.drained = Some(Drained::default());
        let (code, line) = said(vec![drained], &either);
        assert_eq!(
            (code, line.contains("VI_1 is drained")),
            (1, true),
            "{line}"
        );
        let mut ordered = master();
        ordered.ordered_priority = Some(OrderedPriority::default());
        assert_eq!(said(vec![ordered], &either).0, 1);
        let mut contended = master();
        contended.contended = Some(Contended::default());
        assert_eq!(said(vec![contended], &either).0, 2);
    }

    #[test]
    fn an_address_that_is_missing_is_critical_after_a_while() {
        let mut lacks = instance("VI_1", "MASTER");
        lacks.vips.push(Vip {
            address: "192.0.2.1/24".to_owned(),
            ..Vip::default()
        });
        assert_eq!(said(vec![lacks.clone()], &[State::Master]).0, 2);
        lacks.since.seconds_ago = 0.5;
        assert_eq!(said(vec![lacks], &[State::Master]).0, 0);
    }

    #[test]
    fn no_vrrp_and_a_refused_reload_count() {
        let mut document = Document {
            instances: vec![instance("VI_1", "MASTER")],
            ..Document::default()
        };
        document.daemon.reload = Some(Reload::default());
        assert_eq!(judge(&document, &[State::Master]).code, 1);
        document.daemon.without_vrrp = Some("it died".to_owned());
        assert_eq!(judge(&document, &[State::Master]).code, 2);
    }
}
