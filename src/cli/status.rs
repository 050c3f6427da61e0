//! `keepalived-rs status`: asks a running daemon how it stands.
//!
//! Decides where it is asked, what is said when it does not answer, and the exit
//! code. What a question and an answer look like is decided in
//! `daemon/status`, how an answer looks to people in `status/text.rs`.

use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use socket2::{Domain, SockAddr, Socket, Type};

use super::Answer;
use crate::daemon::places::pid_file_of_running;
use crate::daemon::status::Request;
use crate::daemon::status::document::{Document, Refusal};
use crate::daemon::status::socket::beside;

mod text;

pub use text::{BLOCKS_MAX, Style, text};

/// There is no answer.
const NO_ANSWER: u8 = 1;

/// There is no instance of that name.
const NO_INSTANCE: u8 = 3;

/// How long the daemon may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longer than any answer: 20,000 instances take a tenth of it.
const ANSWER_MAX: u64 = 256 * 1024 * 1024;

/// What to ask, and whom.
#[derive(Debug, Clone, clap::Args)]
pub struct Task {
    /// Only this instance, with all details
    #[arg(value_name = "INSTANCE")]
    instance: Option<String>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
    /// The network namespace that the daemon was started with
    #[arg(short = 's', long, value_name = "NAME")]
    namespace: Option<String>,
    /// The pid file that the daemon was started with
    #[arg(short = 'p', long, value_name = "FILE")]
    pid: Option<PathBuf>,
    /// The socket of the daemon, if it is somewhere else
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// Asks, and says what came back.
pub fn run(task: &Task) -> Answer {
    let pid_file = task.pid.clone();
    let pid_file = pid_file.unwrap_or_else(|| pid_file_of_running(task.namespace.as_deref()));
    let path = task.socket.clone().unwrap_or_else(|| beside(&pid_file));
    let line = match ask(&path, &Request::status(task.instance.clone()), PATIENCE) {
        Ok(line) => line,
        Err(error) => return failed(NO_ANSWER, no_answer(&path, &error, PATIENCE)),
    };
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    answer(&line, task, colour)
}

/// What an answer of the daemon, one line of JSON, becomes.
fn answer(line: &[u8], task: &Task, colour: bool) -> Answer {
    if let Ok(refusal) = serde_json::from_slice::<Refusal>(line) {
        let problem = refusal.error;
        if problem.code != "no-such-instance" {
            return failed(NO_ANSWER, format!("{}.", capitalised(&problem.text)));
        }
        let nearest = problem
            .nearest
            .map(|name| format!(" The nearest name is '{name}'."));
        let text = format!(
            "{}.{}",
            capitalised(&problem.text),
            nearest.unwrap_or_default()
        );
        return failed(NO_INSTANCE, text);
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
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Also how long a place in the queue is waited for.
    socket.set_write_timeout(Some(patience))?;
    socket.set_read_timeout(Some(patience))?;
    socket.connect(&SockAddr::unix(path)?)?;
    let mut stream = UnixStream::from(std::os::fd::OwnedFd::from(socket));
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
        let task = Task {
            instance: None,
            json: false,
            namespace: None,
            pid: None,
            socket: None,
        };
        let newer = br#"{"version":1,"daemon":{"pid":7,"new":1},"instances":[{"name":"VI_1"}]}"#;
        let shown = answer(newer, &task, false);
        assert_eq!(shown.code, 0);
        assert!(shown.stdout.contains("\nVI_1  "), "{}", shown.stdout);
        assert_eq!(answer(b"garbage", &task, false).code, NO_ANSWER);
    }
}
