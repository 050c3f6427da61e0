//! `keepalived-rs status`: asks a running daemon how it stands.
//!
//! Decides where it is asked, what is said when it does not answer, and the exit
//! code. A verdict for monitoring is in `status/expect.rs`, a screen that is drawn again
//! and again in `status/watch.rs`. What a question and an answer look like is decided in
//! `daemon/status`, how an answer looks to people in `status/text.rs`.

use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use socket2::{Domain, SockAddr, Socket, Type};

use super::Answer;
use super::place::Place;
use crate::daemon::status::Request;
use crate::daemon::status::document::{Document, Instance, Problem, Refusal};
use crate::system::terminal::Screen;

mod expect;
mod text;
mod watch;

pub use text::{
    BLOCKS_MAX, Style, priority as priority_in_words, span as span_in_words, text, wrapped,
};

/// There is no answer.
const NO_ANSWER: u8 = 1;

/// There is no instance of that name.
const NO_INSTANCE: u8 = 3;

/// How long the daemon may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same for a screen, on which somebody may press `q` meanwhile.
const PATIENCE_OF_SCREEN: Duration = Duration::from_secs(2);

/// Longer than any answer: 20,000 instances take a tenth of it.
const ANSWER_MAX: u64 = 256 * 1024 * 1024;

/// What to ask, and whom.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Task {
    /// Only this instance, with all details
    #[arg(value_name = "INSTANCE")]
    instance: Option<String>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
    /// Show it again and again, until q is pressed; once where there is no terminal
    #[arg(short = 'w', long, conflicts_with = "json")]
    watch: bool,
    /// With --watch: how often, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "1", requires = "watch", value_parser = interval)]
    interval: Duration,
    /// One line and an exit code for monitoring: 0 if each instance is in one of these
    /// states and all is well, 1 for a warning, 2 if not, 3 if nothing can be said
    #[arg(long, value_name = "STATE", value_delimiter = ',', ignore_case = true, conflicts_with_all = ["json", "watch"])]
    expect: Vec<expect::State>,
    #[command(flatten)]
    place: Place,
    /// The socket of the daemon, if it is somewhere else
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// From a tenth of a second to an hour.
fn interval(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    if (0.1..=3600.0).contains(&seconds) {
        return Ok(Duration::from_secs_f64(seconds));
    }
    Err("it is not within 0.1 to 3600".to_owned())
}

/// Asks, and says what came back.
pub fn run(task: &Task) -> Answer {
    let path = task.path();
    if !task.expect.is_empty() {
        return run_expect(task, &path);
    }
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if task.watch && io::stdout().is_terminal() && !is_dumb() {
        // Where there is none to draw on, once has to do.
        if let Ok(mut screen) = Screen::open() {
            watch::run(&mut screen, task.interval, || seen(task, &path, colour));
            return Answer::default();
        }
    }
    match ask(&path, &Request::status(task.instance.clone()), PATIENCE) {
        Ok(line) => answer(&line, task, colour),
        Err(error) => failed(NO_ANSWER, no_answer(&path, &error, PATIENCE)),
    }
}

/// A terminal that says that it can do nothing.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|it| it == "dumb")
}

/// What is shown now, or why nothing is.
fn seen(task: &Task, path: &Path, colour: bool) -> watch::Seen {
    let patience = PATIENCE_OF_SCREEN;
    let asked = ask(path, &Request::status(task.instance.clone()), patience);
    let line = asked.map_err(|error| no_answer(path, &error, patience))?;
    let answer = answer(&line, task, colour);
    match answer.code {
        0 => Ok(answer.stdout),
        _ => Err(answer.stderr),
    }
}

fn run_expect(task: &Task, path: &Path) -> Answer {
    let unknown = |text: &str| expect::verdict(expect::Level::Unknown, text.trim_end(), None);
    let line = match ask(path, &Request::status(task.instance.clone()), PATIENCE) {
        Ok(line) => line,
        // Nobody there is MASTER, or BACKUP, for sure.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            let text = no_answer(path, &error, PATIENCE);
            let first = text.lines().next().unwrap_or_default();
            return expect::verdict(expect::Level::Critical, first, None);
        }
        Err(error) => return unknown(&no_answer(path, &error, PATIENCE)),
    };
    let said = answer(&line, task, false);
    match serde_json::from_slice::<Document>(&line) {
        // Without a VRRP process no instance is known, which is no mistake of who asks.
        Ok(document) if said.code == 0 || document.daemon.without_vrrp.is_some() => {
            expect::judge(&document, &task.expect)
        }
        _ => unknown(&said.stderr),
    }
}

impl Task {
    fn path(&self) -> PathBuf {
        let elsewhere = self.socket.clone();
        elsewhere.unwrap_or_else(|| self.place.status_socket())
    }
}

/// How one instance stands.
///
/// # Errors
/// Why that is not known, and the exit code for it.
pub fn of_instance(path: &Path, name: &str) -> Result<Instance, (u8, String)> {
    let asked = ask(path, &Request::status(Some(name.to_owned())), PATIENCE);
    let line = asked.map_err(|error| (NO_ANSWER, no_answer(path, &error, PATIENCE)))?;
    let task = Task {
        instance: Some(name.to_owned()),
        ..Task::default()
    };
    let said = answer(&line, &task, false);
    let document: Document = match (said.code, serde_json::from_slice(&line)) {
        (0, Ok(document)) => document,
        (code, _) => return Err((code.max(NO_ANSWER), said.stderr.trim_end().to_owned())),
    };
    let mut instances = document.instances.into_iter();
    let missing = || (NO_INSTANCE, format!("Nothing is known of '{name}'."));
    instances.find(|it| it.name == name).ok_or_else(missing)
}

/// What an answer of the daemon, one line of JSON, becomes.
fn answer(line: &[u8], task: &Task, colour: bool) -> Answer {
    if let Ok(refusal) = serde_json::from_slice::<Refusal>(line) {
        let problem = refusal.error;
        if problem.code != "no-such-instance" {
            return failed(NO_ANSWER, format!("{}.", capitalised(&problem.text)));
        }
        return failed(NO_INSTANCE, sentences(&problem));
    }
    let document: Document = match serde_json::from_slice(line) {
        Ok(document) => document,
        Err(error) => return failed(NO_ANSWER, format!("The answer is not understood: {error}.")),
    };
    // Only a daemon without a VRRP process answers without having been asked.
    let known = |name: &String| document.instances.iter().any(|it| it.name == *name);
    if let Some(name) = task.instance.as_ref().filter(|name| !known(name)) {
        let why = document.daemon.without_vrrp.as_deref();
        let why = why.unwrap_or("there is no such instance");
        return failed(NO_INSTANCE, format!("Nothing is known of '{name}': {why}."));
    }
    let stdout = if task.json {
        // As the daemon said it, so that nothing is lost that this program does not know.
        indented(&String::from_utf8_lossy(line))
    } else {
        text(&document, task.instance.is_some(), Style::local(colour))
    };
    Answer {
        stdout,
        ..Answer::default()
    }
}

/// One line to the socket, and one line back.
///
/// # Errors
/// What the kernel says; `UnexpectedEof` for an answer without an end.
pub fn ask(path: &Path, request: &impl Serialize, patience: Duration) -> io::Result<Vec<u8>> {
    let mut stream = connect(path, patience)?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    match stream.write_all(&line) {
        // It answered without waiting for the question.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        other => other?,
    }
    let mut answer = Vec::new();
    match stream.take(ANSWER_MAX).read_to_end(&mut answer) {
        // As above: what it did not read comes back as an error at the end.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        other => {
            other?;
        }
    }
    if answer.last() == Some(&b'\n') {
        Ok(answer)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// A connection whose reads and writes take no longer than `patience` each.
///
/// # Errors
/// What the kernel says.
pub fn connect(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Also how long a place in the queue is waited for.
    socket.set_write_timeout(Some(patience))?;
    socket.set_read_timeout(Some(patience))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(UnixStream::from(std::os::fd::OwnedFd::from(socket)))
}

/// What the lack of an answer means, in words.
pub fn no_answer(path: &Path, error: &io::Error, patience: Duration) -> String {
    let place = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!(
            "No daemon is running: there is no {place}.\n\
             If it was started with -s or -p, give the same here; or its socket with --socket."
        ),
        io::ErrorKind::ConnectionRefused => {
            format!("No daemon is running: the one that made {place} has died.")
        }
        io::ErrorKind::PermissionDenied => {
            format!("You may not ask the daemon: {place} is for root and for its group.\nTry sudo.")
        }
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => format!(
            "The daemon at {place} does not answer within {} s: \
             it hangs, or too many others ask.",
            patience.as_secs()
        ),
        io::ErrorKind::UnexpectedEof => {
            format!("The daemon at {place} ended while it was asked. Try again.")
        }
        _ => format!("The daemon cannot be asked: {place}: {error}."),
    }
}

/// Nothing but a text for standard error.
pub fn failed(code: u8, text: String) -> Answer {
    Answer {
        stderr: text + "\n",
        code,
        ..Answer::default()
    }
}

/// JSON on one line, in its order, with a line for each value.
fn indented(json: &str) -> String {
    let mut text = String::new();
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let mut letters = json.trim_end().chars().peekable();
    while let Some(letter) = letters.next() {
        if quoted {
            text.push(letter);
            quoted = letter != '"' || escaped;
            escaped = letter == '\\' && !escaped;
            continue;
        }
        let line = |text: &mut String, depth: usize| {
            text.push('\n');
            text.push_str(&"  ".repeat(depth));
        };
        match letter {
            '{' | '[' => {
                text.push(letter);
                match letters.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => text.push(end),
                    None => {
                        depth = depth.saturating_add(1);
                        line(&mut text, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(letter);
            }
            ',' => {
                text.push(letter);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            other => {
                quoted = other == '"';
                text.push(other);
            }
        }
    }
    text.push('\n');
    text
}

/// What the daemon says is wrong, in sentences.
pub fn sentences(problem: &Problem) -> String {
    let text = capitalised(&problem.text);
    match &problem.nearest {
        Some(name) => format!("{text}. The nearest name is '{name}'."),
        None => format!("{text}."),
    }
}

/// With a capital letter at its beginning.
pub fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_as_everywhere() {
        let value = serde_json::json!({
            "a": [1, {"b": "x \"y\" \\, {:"}, [], {}],
            "c": {"d": null, "e": [[true]], "f": "\\"},
        });
        let pretty = serde_json::to_string_pretty(&value).unwrap() + "\n";
        assert_eq!(indented(&(value.to_string() + "\n")), pretty);
    }

    #[test]
    fn an_answer_of_another_version_is_shown_as_far_as_it_is_known() {
        let task = Task::default();
        let newer = br#"{"version":1,"daemon":{"pid":7,"new":1},"instances":[{"name":"VI_1"}]}"#;
        let shown = answer(newer, &task, false);
        assert_eq!(shown.code, 0);
        assert!(shown.stdout.contains("\nVI_1  "), "{}", shown.stdout);
        assert_eq!(answer(b"garbage", &task, false).code, NO_ANSWER);
    }
}
