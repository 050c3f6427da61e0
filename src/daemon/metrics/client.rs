//! Clients that ask for metrics over HTTP/1.1.
//!
//! Decides what of HTTP is understood: one GET or HEAD for each connection, without a
//! body.

use std::sync::Arc;

use socket2::Socket;

use super::page::Format;
use crate::daemon::client::{self, Answer, Question};

/// The longest request in bytes, all its header lines included.
pub const REQUEST_MAX: usize = 8192;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    /// How it is to be written.
    pub format: Format,
    /// Without the metrics themselves.
    is_head: bool,
}

impl Request {
    /// The metrics, of which `body` is the text.
    pub fn answer(self, body: &Arc<Vec<u8>>) -> Answer {
        let header = header("200 OK", "", self.format.content_type(), body.len());
        let body = match self.is_head {
            true => Arc::default(),
            false => Arc::clone(body),
        };
        Answer::new(header, body)
    }
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

    /// Says why there are no metrics.
    pub fn answer(self) -> Answer {
        let body = format!("{}\n", self.status).into_bytes();
        let kind = "text/plain; charset=utf-8";
        let header = header(self.status, self.more, kind, body.len());
        Answer::new(header, Arc::new(body))
    }
}

/// Those who ask.
pub(super) type Clients = client::Clients<Socket, Request>;

impl Question for Request {
    const BYTES_MAX: usize = REQUEST_MAX;

    fn read(asked: &[u8], seen: usize) -> Option<Result<Self, Answer>> {
        request(asked, seen).map(|request| request.map_err(Refusal::answer))
    }

    fn too_long() -> Answer {
        Refusal::LONG.answer()
    }
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
