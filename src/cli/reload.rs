//! `keepalived-rs reload`: has a running daemon read its configuration again.
//!
//! Decides where it is asked, and how the outcome looks to people. What a reload does
//! is decided in `daemon/supervisor/reload.rs`, what a question and an answer look
//! like in `daemon/control`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Answer;
use super::place::Place;
use super::status::{ask, capitalised, failed, no_answer};
use crate::daemon::control::{self, Request};
use crate::daemon::status::document::Refusal;

/// The configuration was refused; what ran before runs on.
const REFUSED: u8 = 1;

/// There is no answer.
const NO_ANSWER: u8 = 2;

/// How long the daemon may take: for a file that is being written, for a worker that
/// does not answer, and for the reload before this one.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to ask, and whom.
#[derive(Debug, Clone, clap::Args)]
pub struct Task {
    /// Change nothing, say only what would change
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: this configuration instead of the daemon's
    #[arg(
        short = 'f',
        long = "use-file",
        value_name = "FILE",
        requires = "dry_run"
    )]
    file: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// Asks, waits, and says what came of it.
pub fn run(task: &Task) -> Answer {
    let path = task.place.control_socket();
    let file = task.file.as_deref().map(from_anywhere);
    match ask(&path, &Request::reload(task.dry_run, file), PATIENCE) {
        Ok(line) => answer(&line),
        Err(error) => failed(NO_ANSWER, no_answer(&path, &error, PATIENCE)),
    }
}

/// The daemon has another working directory.
fn from_anywhere(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// What an answer of the daemon, one line of JSON, becomes.
fn answer(line: &[u8]) -> Answer {
    if let Ok(refusal) = serde_json::from_slice::<Refusal>(line) {
        return failed(NO_ANSWER, format!("{}.", capitalised(&refusal.error.text)));
    }
    let outcome: control::Answer = match serde_json::from_slice(line) {
        Ok(outcome) => outcome,
        Err(error) => return failed(NO_ANSWER, format!("The answer is not understood: {error}.")),
    };
    let mut text = String::new();
    if !outcome.accepted {
        for finding in &outcome.findings {
            let _ = writeln!(text, "{finding}");
        }
        let reason = outcome.reason.as_deref().unwrap_or("no reason known");
        let what = match outcome.dry_run {
            true => "A reload would be refused",
            false => "Reload refused, what ran before runs on",
        };
        let _ = writeln!(text, "{what}: {reason}");
        return Answer {
            stderr: text,
            code: REFUSED,
            ..Answer::default()
        };
    }
    for change in &outcome.plan {
        let _ = writeln!(text, "{change}");
    }
    let file = &outcome.file;
    let _ = match outcome.dry_run {
        true => writeln!(text, "A reload of {file} would be accepted."),
        false => writeln!(text, "Reloaded {file}."),
    };
    match outcome.findings.len() {
        0 => {}
        count => {
            let _ = writeln!(
                text,
                "{count} {}; `keepalived-rs check {file}` tells more.",
                if count == 1 { "finding" } else { "findings" }
            );
        }
    }
    Answer {
        stdout: text,
        ..Answer::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(outcome: &control::Answer) -> Answer {
        answer(&serde_json::to_vec(outcome).unwrap())
    }

    #[test]
    fn each_outcome_has_its_words_and_its_exit_code() {
        let mut outcome = control::Answer {
            version: 1,
            file: "/etc/k.conf".to_owned(),
            accepted: true,
            plan: vec!["VI_1: begins anew".to_owned()],
            ..control::Answer::default()
        };
        let reloaded = said(&outcome);
        assert_eq!(
            reloaded.stdout,
            "VI_1: begins anew\nReloaded /etc/k.conf.\n"
        );
        assert_eq!(reloaded.code, 0);
        outcome.dry_run = true;
        let shown = said(&outcome);
        let text = "VI_1: begins anew\nA reload of /etc/k.conf would be accepted.\n";
        assert_eq!(shown.stdout, text);
        outcome.accepted = false;
        outcome.reason = Some("it is wrong".to_owned());
        outcome.findings = vec!["error: wrong".to_owned()];
        let refused = said(&outcome);
        let text = "error: wrong\nA reload would be refused: it is wrong\n";
        assert_eq!((refused.stderr.as_str(), refused.code), (text, REFUSED));
        assert_eq!(answer(b"garbage\n").code, NO_ANSWER);
        let not_allowed =
            br#"{"version":1,"error":{"code":"not-allowed","text":"only root may do that"}}"#;
        let told = answer(not_allowed);
        assert_eq!(told.stderr, "Only root may do that.\n");
        assert_eq!(told.code, NO_ANSWER);
    }
}
