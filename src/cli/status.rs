//! `keepalived-rs status`: asks a running daemon how it stands.
//!
//! Decides where it is asked, what is said when it does not answer, and the exit
//! code. What a question and an answer look like is decided in
//! `daemon/status`, how an answer looks to people in `status/text.rs`.

use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, SockAddr, Socket, Type};

use super::Answer;
use crate::daemon::status::document::{Document, Refusal};
use crate::daemon::status::{Request, socket};

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
    let from_options = || socket::path_for(task.namespace.as_deref(), task.pid.as_deref());
    let path = task.socket.clone().unwrap_or_else(from_options);
    let line = match ask(&path, &Request::status(task.instance.clone())) {
        Ok(line) => line,
        Err(error) => return failed(NO_ANSWER, no_answer(&path, &error)),
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
        let whole: Value = serde_json::from_slice(line).unwrap_or_default();
        serde_json::to_string_pretty(&whole).unwrap_or_default() + "\n"
    } else {
        text(&document, task.instance.is_some(), Style::local(colour))
    };
    Answer {
        stdout,
        ..Answer::default()
    }
}

/// One line to the socket, and one line back.
fn ask(path: &Path, request: &Request) -> io::Result<Vec<u8>> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Also how long a place in the queue is waited for.
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.set_read_timeout(Some(PATIENCE))?;
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

fn no_answer(path: &Path, error: &io::Error) -> String {
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
            PATIENCE.as_secs()
        ),
        io::ErrorKind::UnexpectedEof => {
            format!("The daemon at {place} ended while it was asked. Try again.")
        }
        _ => format!("The daemon cannot be asked: {place}: {error}."),
    }
}

fn failed(code: u8, text: String) -> Answer {
    Answer {
        stderr: text + "\n",
        code,
        ..Answer::default()
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
