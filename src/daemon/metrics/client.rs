//! A client that asks for metrics over HTTP/1.1.
//!
//! Decides what of HTTP is understood: one GET or HEAD for each connection, without a
//! body; how a question is read and an answer written without ever waiting; and how
//! long a client may take for either.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use nix::poll::PollFlags;
use socket2::Socket;

use super::page::Format;
use crate::time::{Instant, Interval};

/// The longest request in bytes, all its header lines included.
pub const REQUEST_MAX: usize = 8192;

/// How long a client may take to ask, and again to read.
const PATIENCE: Interval = Interval::from_secs(2);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    /// How it is to be written.
    pub format: Format,
    /// Without the metrics themselves.
    is_head: bool,
}

/// What is answered to a request that is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    status: &'static str,
    /// Another line of the header.
    more: &'static str,
}

impl Refusal {
    /// The reactor did not answer.
    pub const BUSY: Self = Self::new("503 Service Unavailable");
    const BAD: Self = Self::new("400 Bad Request");
    const UNKNOWN: Self = Self::new("404 Not Found");
    const METHOD: Self = Self {
        status: "405 Method Not Allowed",
        more: "Allow: GET, HEAD\r\n",
    };
    const LONG: Self = Self::new("431 Request Header Fields Too Large");
    const VERSION: Self = Self::new("505 HTTP Version Not Supported");

    const fn new(status: &'static str) -> Self {
        Self { status, more: "" }
    }
}

/// Somebody who asks.
#[derive(Debug)]
pub(super) struct Client {
    socket: Socket,
    stage: Stage,
    /// When it has to be further.
    pub until: Instant,
}

#[derive(Debug)]
enum Stage {
    /// It is asking.
    Asking(Vec<u8>),
    /// It has asked, and waits.
    Waiting(Request),
    /// It is being answered.
    Answered(Answer),
    /// It has everything, or is not worth more.
    Done,
}

#[derive(Debug)]
struct Answer {
    header: Vec<u8>,
    body: Arc<Vec<u8>>,
    /// Of both.
    written: usize,
}

impl Client {
    /// Somebody who has just come.
    pub fn new(socket: Socket, now: Instant) -> Self {
        Self {
            socket,
            stage: Stage::Asking(Vec::new()),
            until: now + PATIENCE,
        }
    }

    /// What it has asked and was not answered yet.
    pub fn waits_for(&self) -> Option<Request> {
        match self.stage {
            Stage::Waiting(request) => Some(request),
            _ => None,
        }
    }

    /// Whether nothing is left to be done for it.
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// What to poll for; `None` while it waits for us: its end would wake us
    /// again and again.
    pub fn wants(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let flags = match self.stage {
            Stage::Asking(_) => PollFlags::POLLIN,
            Stage::Answered(_) => PollFlags::POLLOUT,
            Stage::Waiting(_) | Stage::Done => return None,
        };
        Some((self.socket.as_fd(), flags))
    }

    /// Reads and writes what is possible at once.
    pub fn go_on(&mut self, now: Instant) {
        if matches!(self.stage, Stage::Asking(_)) {
            self.read(now);
        }
        if matches!(self.stage, Stage::Answered(_)) {
            self.write();
        }
    }

    /// Answers `request` with the metrics.
    pub fn answer(&mut self, request: Request, body: &Arc<Vec<u8>>, now: Instant) {
        let header = header("200 OK", "", request.format.content_type(), body.len());
        let body = match request.is_head {
            true => Arc::default(),
            false => Arc::clone(body),
        };
        self.send(header, body, now);
    }

    /// Says why there are none.
    pub fn refuse(&mut self, refusal: Refusal, now: Instant) {
        let body = format!("{}\n", refusal.status).into_bytes();
        let kind = "text/plain; charset=utf-8";
        let header = header(refusal.status, refusal.more, kind, body.len());
        self.send(header, Arc::new(body), now);
    }

    fn send(&mut self, header: Vec<u8>, body: Arc<Vec<u8>>, now: Instant) {
        self.until = now + PATIENCE;
        self.stage = Stage::Answered(Answer {
            header,
            body,
            written: 0,
        });
        self.write();
    }

    fn read(&mut self, now: Instant) {
        let Stage::Asking(asked) = &mut self.stage else {
            return;
        };
        let mut buffer = [0; REQUEST_MAX];
        let room = REQUEST_MAX.saturating_sub(asked.len());
        let part = buffer.get_mut(..room).unwrap_or_default();
        let length = match self.socket.read(part) {
            Err(error) if is_passing(&error) => return,
            // At the end without a request there is nobody to answer.
            Ok(0) | Err(_) => return self.stage = Stage::Done,
            Ok(length) => length,
        };
        asked.extend_from_slice(part.get(..length).unwrap_or_default());
        let before = asked.len().saturating_sub(length);
        match request(asked, before) {
            None if asked.len() < REQUEST_MAX => {}
            None => self.refuse(Refusal::LONG, now),
            Some(Ok(request)) => self.stage = Stage::Waiting(request),
            Some(Err(refusal)) => self.refuse(refusal, now),
        }
    }

    fn write(&mut self) {
        let Stage::Answered(Answer {
            header,
            body,
            written,
        }) = &mut self.stage
        else {
            return;
        };
        loop {
            let of_body = written.saturating_sub(header.len());
            let left = match header.get(*written..) {
                Some(left) if !left.is_empty() => left,
                _ => body.get(of_body..).unwrap_or_default(),
            };
            if left.is_empty() {
                return self.stage = Stage::Done;
            }
            match self.socket.write(left) {
                Ok(length) => *written = written.saturating_add(length),
                Err(error) if is_passing(&error) => return,
                Err(_) => return self.stage = Stage::Done,
            }
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

fn header(status: &str, more: &str, kind: &str, length: usize) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\n{more}Content-Type: {kind}\r\nContent-Length: {length}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    .into_bytes()
}

/// What these bytes ask for; `None` while they are not all of the header. Its end is
/// not among the first `seen` bytes.
fn request(asked: &[u8], seen: usize) -> Option<Result<Request, Refusal>> {
    const END: &[u8] = b"\r\n\r\n";
    let from = seen.saturating_sub(END.len());
    let rest = asked.get(from..).unwrap_or_default();
    let end = rest.windows(END.len()).position(|part| part == END)?;
    let end = from.saturating_add(end);
    let header = asked.get(..end).unwrap_or_default();
    let Ok(header) = std::str::from_utf8(header) else {
        return Some(Err(Refusal::BAD));
    };
    Some(understood(header))
}

fn understood(header: &str) -> Result<Request, Refusal> {
    let (first, lines) = header.split_once("\r\n").unwrap_or((header, ""));
    let words: Vec<&str> = first.split(' ').collect();
    let &[method, target, version] = words.as_slice() else {
        return Err(Refusal::BAD);
    };
    match version {
        "HTTP/1.1" | "HTTP/1.0" => {}
        _ if version.starts_with("HTTP/") => return Err(Refusal::VERSION),
        _ => return Err(Refusal::BAD),
    }
    if method != "GET" && method != "HEAD" {
        return Err(Refusal::METHOD);
    }
    let path = target.split(['?', '#']).next().unwrap_or_default();
    if path != "/metrics" && path != "/" {
        return Err(Refusal::UNKNOWN);
    }
    let mut accepted = lines.split("\r\n").filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("accept").then_some(value)
    });
    let is_open = accepted.any(|value| value.contains("application/openmetrics-text"));
    Ok(Request {
        format: match is_open {
            true => Format::OpenMetrics,
            false => Format::Plain,
        },
        is_head: method == "HEAD",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_what_its_whole_header_says() {
        let plain = Request {
            format: Format::Plain,
            is_head: false,
        };
        for (asked, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n", None),
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", Some(Ok(plain))),
            ("GET /?a=b HTTP/1.0\r\n\r\nrest", Some(Ok(plain))),
            (
                "HEAD /metrics HTTP/1.1\r\naccept: text/html, application/openmetrics-text;q=1\r\n\r\n",
                Some(Ok(Request {
                    format: Format::OpenMetrics,
                    is_head: true,
                })),
            ),
            ("POST / HTTP/1.1\r\n\r\n", Some(Err(Refusal::METHOD))),
            ("GET /x HTTP/1.1\r\n\r\n", Some(Err(Refusal::UNKNOWN))),
            ("GET / HTTP/2.0\r\n\r\n", Some(Err(Refusal::VERSION))),
            ("GET / SMTP\r\n\r\n", Some(Err(Refusal::BAD))),
            ("GET  / HTTP/1.1\r\n\r\n", Some(Err(Refusal::BAD))),
            ("\r\n\r\n", Some(Err(Refusal::BAD))),
        ] {
            assert_eq!(request(asked.as_bytes(), 0), expected, "{asked:?}");
        }
        let slow = b"GET / HTTP/1.1\r\n\r\n";
        for seen in 0..slow.len() {
            assert_eq!(request(&slow[..seen], seen.saturating_sub(1)), None);
        }
        assert_eq!(request(slow, slow.len() - 1), Some(Ok(plain)));
        assert_eq!(request(b"\xff\r\n\r\n", 0), Some(Err(Refusal::BAD)));
    }
}
