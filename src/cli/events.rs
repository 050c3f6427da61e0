//! `keepalived-rs events`: what happens in a running daemon, a line of JSON each.
//!
//! Decides what becomes of a connection that ends: it is looked for the daemon again,
//! and a line says so. What an event looks like is decided in `daemon/status/events.rs`.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::time::Duration;

use super::Answer;
use super::place::Place;
use super::status::{capitalised, connect, failed, no_answer, sentences};
use crate::daemon::status::Request;
use crate::daemon::status::document::{Document, Refusal};

/// There is no answer.
const NO_ANSWER: u8 = 1;

/// There is no instance of that name.
const NO_INSTANCE: u8 = 3;

/// How long the daemon may take to take us on.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked for a daemon that is gone.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What to listen to.
#[derive(Debug, Clone, clap::Args)]
pub struct Task {
    /// Only what concerns this instance, or none
    #[arg(value_name = "INSTANCE")]
    instance: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// How listening ended.
enum End {
    /// Nobody reads what we write.
    NoReader,
    /// The daemon does not want us.
    Refused(Answer),
    /// The daemon is not there, or not any more.
    Lost(io::Error),
    /// It has nothing to tell now.
    NotNow(String),
}

/// Writes events until nobody reads them. Fails if there is no daemon at first.
pub fn run(task: &Task) -> Answer {
    let path = task.place.status_socket();
    let request = Request::events(task.instance.clone());
    let (mut has_heard, mut is_told) = (false, false);
    loop {
        let mut hears = false;
        let end = listen(&path, &request, &mut hears);
        has_heard |= hears;
        match end {
            End::NoReader => return Answer::default(),
            End::Refused(answer) => return answer,
            End::Lost(error) if !has_heard => {
                return failed(NO_ANSWER, no_answer(&path, &error, PATIENCE));
            }
            End::NotNow(text) if !has_heard => {
                return failed(NO_ANSWER, format!("{}.", capitalised(&text)));
            }
            End::Lost(_) | End::NotNow(_) => {}
        }
        is_told &= !hears;
        if !std::mem::replace(&mut is_told, true) && say(LOST).is_err() {
            return Answer::default();
        }
        pause(LOOK_EVERY);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "nobody tells when a daemon comes, and this is none"
)]
pub(super) fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// The line that says that the daemon is gone.
const LOST: &[u8] = b"{\"version\":1,\"event\":\"lost\"}\n";

/// Writes what the daemon tells, from its first line on; `hears` says whether there
/// was one.
fn listen(path: &Path, request: &Request, hears: &mut bool) -> End {
    let stream = connect(path, PATIENCE).and_then(|mut stream| {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        match stream.write_all(&line) {
            // It answered without waiting for the question.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(stream),
            other => other.map(|()| stream),
        }
    });
    let mut lines = match stream {
        Ok(stream) => BufReader::new(stream),
        Err(error) => return End::Lost(error),
    };
    let mut line = Vec::new();
    loop {
        line.clear();
        match lines.read_until(b'\n', &mut line) {
            Err(error) => return End::Lost(error),
            Ok(_) if line.last() != Some(&b'\n') => {
                return End::Lost(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(_) => {}
        }
        if let Some(end) = not_an_event(&line) {
            return end;
        }
        // From now on it may be silent for as long as nothing happens.
        if !std::mem::replace(hears, true)
            && let Err(error) = lines.get_ref().set_read_timeout(None)
        {
            return End::Lost(error);
        }
        if say(&line).is_err() {
            return End::NoReader;
        }
    }
}

/// What the daemon answers instead of telling events.
fn not_an_event(line: &[u8]) -> Option<End> {
    if let Ok(refusal) = serde_json::from_slice::<Refusal>(line) {
        let problem = refusal.error;
        let text = sentences(&problem);
        return Some(match problem.code.as_str() {
            "not-available" => End::NotNow(problem.text),
            "no-such-instance" => End::Refused(failed(NO_INSTANCE, text)),
            _ => End::Refused(failed(NO_ANSWER, text)),
        });
    }
    let document: Document = serde_json::from_slice(line).ok()?;
    let why = document.daemon.without_vrrp?;
    Some(End::NotNow(format!("there is no VRRP process: {why}")))
}

fn say(line: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(line)?;
    stdout.flush()
}
