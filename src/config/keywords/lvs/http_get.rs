//! `HTTP_GET { ... }` and `SSL_GET { ... }` with their `url { ... }`
//! (keepalived-lvs.md B.3).

use super::super::super::arguments;
use super::super::super::diagnostic::Diagnostic;
use super::super::super::lex::Word;
use super::super::super::tree::Statement;
use super::super::{Content, Context, Keyword, already, apply};
use super::checker::{self, CONNECTION, Draft};
use super::{UNSIGNED, error_at_end, joined, number, part, real_server, text};

#[rustfmt::skip] // One row, one line.
const OWN: &[Keyword<Draft>] = &[
    part("nb_get_retry", "N", "Old name of retry", nb_get_retry),
    part("virtualhost", "NAME", "Host header of all urls", virtualhost),
    part("http_protocol", "1.0|1.0C|1.0c|1.1", "Version; 1.0C and 1.1 ask the server to close", http_protocol),
    part("enable_sni", "[BOOL]", "Send the name in the TLS handshake", enable_sni),
    part("sni_name", "[NAME]", "Name in the TLS handshake", already),
    part("fast_recovery", "[BOOL]", "No pause between urls until all have passed once", fast_recovery),
];

#[rustfmt::skip] // One row, one line.
const HTTP_URL: &[Keyword<Draft>] = &[
    part("url", "{ ... }", "A page that is checked", |d, s, cx| url("HTTP_GET/url", URL, d, s, cx)).with(Content::Keywords),
];

#[rustfmt::skip] // One row, one line.
const SSL_URL: &[Keyword<Draft>] = &[
    part("tls_compliant", "[BOOL]", "End a TLS connection with close_notify", |_, s, cx| tls_compliant(s, cx)),
    part("url", "{ ... }", "A page that is checked", |d, s, cx| url("SSL_GET/url", SSL_URL_KEYWORDS, d, s, cx)).with(Content::Keywords),
];

const COMMON: [Keyword<Draft>; CONNECTION.len() + OWN.len()] = joined(CONNECTION, OWN);
const HTTP_ROWS: [Keyword<Draft>; COMMON.len() + HTTP_URL.len()] = joined(&COMMON, HTTP_URL);
const SSL_ROWS: [Keyword<Draft>; COMMON.len() + SSL_URL.len()] = joined(&COMMON, SSL_URL);

/// The rows of `HTTP_GET`.
pub const HTTP_KEYWORDS: &[Keyword<Draft>] = &HTTP_ROWS;
/// The rows of `SSL_GET`.
pub const SSL_KEYWORDS: &[Keyword<Draft>] = &SSL_ROWS;

/// The rows of `url` in `HTTP_GET`.
#[rustfmt::skip] // One row, one line.
pub const URL: &[Keyword<Url>] = &[
    part("path", "PATH", "What is asked for", path),
    part("digest", "32 HEX DIGITS", "MD5 sum of the answer's body", digest),
    part("status_code", "N|N-M ...", "Codes that are a success, default 200-299", status_code),
    part("virtualhost", "NAME", "Host header", url_virtualhost),
    part("regex", "PATTERN", "What the answer must contain", already),
    part("regex_no_match", "", "The answer must not contain it", already),
    part("regex_options", "NAME ...", "Options of the pattern", already),
    part("regex_min_offset", "N", "First byte that a match may begin at", already),
    part("regex_max_offset", "N", "Last byte that a match may begin at", already),
    part("regex_stack", "START MAX", "Memory for matching", already),
];

const SSL_URL_OWN: &[Keyword<Url>] = &[part(
    "tls_compliant",
    "[BOOL]",
    "End a TLS connection with close_notify",
    |_, s, cx| tls_compliant(s, cx),
)];
const SSL_URL_ROWS: [Keyword<Url>; URL.len() + SSL_URL_OWN.len()] = joined(URL, SSL_URL_OWN);

/// The rows of `url` in `SSL_GET`.
pub const SSL_URL_KEYWORDS: &[Keyword<Url>] = &SSL_URL_ROWS;

/// What was read of one `url`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Url {
    has_path: bool,
}

/// Reads `HTTP_GET`.
pub fn set_http(server: &mut real_server::Draft, statement: &Statement, cx: &mut Context<'_>) {
    let draft = checker::read("HTTP_GET", HTTP_KEYWORDS, server, statement, cx);
    expect_urls(&draft, statement, cx);
}

/// Reads `SSL_GET`.
pub fn set_ssl(server: &mut real_server::Draft, statement: &Statement, cx: &mut Context<'_>) {
    let draft = checker::read("SSL_GET", SSL_KEYWORDS, server, statement, cx);
    expect_urls(&draft, statement, cx);
}

fn expect_urls(draft: &Draft, statement: &Statement, cx: &mut Context<'_>) {
    if draft.urls == 0 {
        let text = "HTTP/SSL_GET checker has no urls specified - ignoring";
        error_at_end(cx, "no-url", statement, text.to_string());
    }
}

fn url(
    block: &'static str,
    table: &'static [Keyword<Url>],
    draft: &mut Draft,
    statement: &Statement,
    cx: &mut Context<'_>,
) {
    let mut url = Url::default();
    apply(block, table, statement.inner(), &mut url, cx);
    if url.has_path {
        draft.urls = draft.urls.saturating_add(1);
        return;
    }
    let text = "HTTP/SSL_GET checker url has no path - ignoring";
    error_at_end(cx, "no-path", statement, text.to_string());
}

fn nb_get_retry(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let text = "nb_get_retry is deprecated - please use 'retry'";
    let origin = statement.keyword_origin();
    let diagnostic = Diagnostic::warning("deprecated", text).at(&origin);
    cx.found
        .push(diagnostic.help("It is the same with the new name."));
    let invalid = |text: &str| format!("Invalid nb_get_retry value '{text}'");
    number(cx, statement, UNSIGNED, invalid);
}

fn virtualhost(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    text(cx, statement, "Missing HTTP_GET virtualhost name");
}

fn url_virtualhost(_: &mut Url, statement: &Statement, cx: &mut Context<'_>) {
    text(cx, statement, "Missing HTTP_GET virtualhost name");
}

fn http_protocol(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    match statement.word(1) {
        None => text(cx, statement, "Missing http_protocol version"),
        Some(word) if matches!(word.text.as_str(), "1.0" | "1.0C" | "1.0c" | "1.1") => {}
        Some(word) => {
            let text = format!("Invalid http_protocol version {}", word.text);
            cx.error("http-protocol", word, text);
        }
    }
}

fn enable_sni(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    cx.switch(statement, |text| {
        format!("Invalid enable_sni parameter {text}")
    });
}

fn tls_compliant(statement: &Statement, cx: &mut Context<'_>) {
    cx.switch(statement, |text| {
        format!("Invalid tls_compliant parameter {text}")
    });
}

fn fast_recovery(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    cx.switch(statement, |text| {
        format!("Invalid fast_recovery parameter {text}")
    });
}

fn path(url: &mut Url, statement: &Statement, cx: &mut Context<'_>) {
    if cx.argument(statement, 1).is_some() {
        url.has_path = true;
    }
}

/// Digits of an MD5 sum.
const DIGEST_DIGITS: usize = 32;

fn digest(_: &mut Url, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    let digits = word.text.chars().count();
    if digits != DIGEST_DIGITS {
        let text = format!(
            "digest '{}' character length should be {DIGEST_DIGITS} rather than {digits}",
            word.text
        );
        cx.error("digest", word, text);
    } else if let Some(at) = word.text.chars().position(|c| !c.is_ascii_hexdigit()) {
        let first = at - at % 2;
        let text = format!(
            "Unable to interpret hex digit in '{}' at offset {first}/{}",
            word.text,
            first.saturating_add(1)
        );
        cx.error("digest", word, text);
    }
}

fn status_code(_: &mut Url, statement: &Statement, cx: &mut Context<'_>) {
    for word in statement.arguments() {
        if !is_status_range(word) {
            let text = format!("Invalid HTTP_GET status code '{}'", word.text);
            cx.error("status-code", word, text);
        }
    }
}

fn is_status_range(word: &Word) -> bool {
    let code = |text: &str| arguments::number(text, 100..=599).ok();
    match word.text.split_once('-') {
        None => code(&word.text).is_some(),
        Some((first, last)) => match (code(first), code(last)) {
            (Some(first), Some(last)) => first <= last,
            _ => false,
        },
    }
}
