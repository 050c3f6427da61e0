//! `keepalived-rs drain`, `resume`, `priority` and `garp`: orders to a running daemon.
//!
//! Decides what is sent, how the outcome looks to people, and that `drain` waits until
//! it is known whether somebody took over. What an order does is decided in
//! `vrrp/engine/orders.rs`.

use std::fmt::Write;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::Answer;
use super::events::pause;
use super::place::Place;
use super::status::{ask, capitalised, failed, no_answer};
use crate::daemon::control::{Obeyed, Request};
use crate::daemon::status;
use crate::daemon::status::document::{Document, Instance, Refusal};
use crate::system::clock::now;
use crate::time::{Instant, Interval};
use crate::vrrp::orders::Order;

/// It was not done, or nobody took over.
const REFUSED: u8 = 1;

/// There is no answer.
const NO_ANSWER: u8 = 2;

/// There is no instance of that name.
const NO_INSTANCE: u8 = 3;

/// How long the daemon may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long it is waited for somebody to take over: longer than the longest skew time,
/// that of version 3 with adverts every 40 s.
const HANDOVER_LIMIT: Interval = Interval::from_secs(45);

/// How often it is looked whether somebody has.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What to order, and whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// What.
    pub order: Order,
    /// Whom.
    pub place: Place,
    /// `drain` tells whether somebody took over.
    pub waits: bool,
}

/// Sends the order, and says what came of it.
pub fn run(task: &Task) -> Answer {
    let path = task.place.control_socket();
    let begun = now();
    let line = match ask(&path, &Request::order(task.order.clone()), PATIENCE) {
        Ok(line) => line,
        Err(error) => return failed(NO_ANSWER, not_ordered(&path, &error)),
    };
    let mut said = answer(&line);
    if let (Order::Drain { instance, .. }, 0, true) = (&task.order, said.code, task.waits) {
        await_handover(&mut said, instance.as_deref(), &task.place, begun);
    }
    said
}

fn not_ordered(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!(
                "Only root may do that: {} is root's.\nTry sudo.",
                path.display()
            )
        }
        _ => no_answer(path, error, PATIENCE),
    }
}

/// What an answer of the daemon, one line of JSON, becomes.
fn answer(line: &[u8]) -> Answer {
    if let Ok(refusal) = serde_json::from_slice::<Refusal>(line) {
        let code = match refusal.error.code.as_str() {
            "no-such-instance" => NO_INSTANCE,
            "refused" => REFUSED,
            _ => NO_ANSWER,
        };
        return failed(code, format!("{}.", capitalised(&refusal.error.text)));
    }
    let obeyed: Obeyed = match serde_json::from_slice(line) {
        Ok(obeyed) => obeyed,
        Err(error) => return failed(NO_ANSWER, format!("The answer is not understood: {error}.")),
    };
    let mut stdout = String::new();
    for line in &obeyed.done {
        let _ = writeln!(stdout, "{line}");
    }
    Answer {
        stdout,
        ..Answer::default()
    }
}

/// Adds what has become of the handover. It is looked for on the status socket, so that
/// the daemon needs to keep nobody waiting.
fn await_handover(said: &mut Answer, instance: Option<&str>, place: &Place, begun: Instant) {
    let path = place.status_socket();
    let until = begun + HANDOVER_LIMIT;
    loop {
        let seen = match look(&path) {
            Ok(seen) => seen,
            Err(text) => {
                said.code = NO_ANSWER;
                let _ = writeln!(
                    said.stderr,
                    "Whether somebody took over is not known: {text}"
                );
                return;
            }
        };
        let concerned = concerned(&seen, instance);
        let asks = |it: &&Instance| it.drained.as_ref().is_some_and(|it| it.handing_over);
        if now() < until && concerned.iter().any(asks) {
            pause(LOOK_EVERY);
            continue;
        }
        return conclude(said, &concerned, now().since(begun));
    }
}

fn look(path: &Path) -> Result<Document, String> {
    let request = status::Request::status(None);
    let line = ask(path, &request, PATIENCE).map_err(|error| no_answer(path, &error, PATIENCE))?;
    if let Ok(refusal) = serde_json::from_slice::<Refusal>(&line) {
        return Err(refusal.error.text);
    }
    serde_json::from_slice(&line).map_err(|error| error.to_string())
}

/// The instance and all of its group, or all that are drained.
fn concerned<'d>(seen: &'d Document, name: Option<&str>) -> Vec<&'d Instance> {
    let named = seen.instances.iter().find(|it| Some(&*it.name) == name);
    let group = named.and_then(|it| it.group.as_deref());
    let is_meant = |it: &&Instance| {
        let same_group = group.is_some() && it.group.as_deref() == group;
        name.is_none() || Some(&*it.name) == name || same_group
    };
    seen.instances.iter().filter(is_meant).collect()
}

fn conclude(said: &mut Answer, concerned: &[&Instance], took: Interval) {
    let drained = concerned.iter().filter(|it| it.drained.is_some());
    let here: Vec<&str> = drained
        .filter(|it| it.state == "MASTER")
        .map(|it| it.name.as_str())
        .collect();
    if here.is_empty() {
        let seconds = Duration::from(took).as_secs_f64();
        let _ = writeln!(
            said.stdout,
            "No address is here any more after {seconds:.1} s."
        );
        return;
    }
    said.code = REFUSED;
    let shown: Vec<&str> = here.iter().take(5).copied().collect();
    let more = match here.len().saturating_sub(5) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let _ = writeln!(
        said.stderr,
        "Nobody took over {}{more}: the addresses stay here, with the lowest priority, \
         until somebody does.",
        shown.join(", ")
    );
}

/// A span as people write it: `90`, `90s`, `10m`, `2h`, `1d`; in seconds.
///
/// # Errors
/// It is none, it is 0, or it is longer than a year.
pub fn span(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is no span of time such as 90s, 10m, 2h or 1d");
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(number) => (number, text.get(number.len()..).unwrap_or_default()),
        None => (text, "s"),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let each = match unit {
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => 1,
    };
    let seconds = number.checked_mul(each).ok_or_else(wrong)?;
    match seconds {
        0 => Err(wrong()),
        1..=31_536_000 => Ok(seconds),
        _ => Err(format!("'{text}' is longer than a year")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::status::document::Drained;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("90", 90),
            ("90s", 90),
            ("10m", 600),
            ("2h", 7_200),
            ("1d", 86_400),
        ] {
            assert_eq!(span(text), Ok(seconds), "{text}");
        }
        for text in [
            "",
            "0",
            "m",
            "-1",
            "1.5h",
            "10 m",
            "10min",
            "99999999999999999999d",
            "400d",
        ] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn each_outcome_has_its_exit_code() {
        let done = answer(br#"{"version":1,"done":["VI_1: was not drained"]}"#);
        assert_eq!(
            (done.stdout.as_str(), done.code),
            ("VI_1: was not drained\n", 0)
        );
        for (code, expected) in [
            ("refused", REFUSED),
            ("no-such-instance", NO_INSTANCE),
            ("not-allowed", NO_ANSWER),
            ("not-available", NO_ANSWER),
        ] {
            let line = format!(r#"{{"version":1,"error":{{"code":"{code}","text":"so it is"}}}}"#);
            let refused = answer(line.as_bytes());
            assert_eq!(
                (refused.stderr.as_str(), refused.code),
                ("So it is.\n", expected)
            );
        }
        assert_eq!(answer(b"garbage").code, NO_ANSWER);
    }

    #[test]
    fn a_master_that_stays_is_named_and_no_success() {
        let instance = |name: &str, state: &str| Instance {
            name: name.to_owned(),
            state: state.to_owned(),
            drained: Some(Drained::default()),
            ..Instance::default()
        };
        let (gone, stays) = (instance("A", "BACKUP"), instance("B", "MASTER"));
        let mut said = Answer::default();
        conclude(&mut said, &[&gone], Interval::from_ms(640));
        assert_eq!(said.code, 0);
        assert_eq!(said.stdout, "No address is here any more after 0.6 s.\n");
        let mut said = Answer::default();
        conclude(&mut said, &[&gone, &stays], Interval::from_secs(1));
        assert_eq!(said.code, REFUSED);
        assert!(
            said.stderr.starts_with("Nobody took over B: "),
            "{}",
            said.stderr
        );
    }
}
