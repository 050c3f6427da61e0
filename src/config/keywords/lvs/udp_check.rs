//! `UDP_CHECK { ... }`: a datagram and perhaps its answer (keepalived-lvs.md B.8).

use super::super::super::tree::Statement;
use super::super::{Context, Keyword};
use super::checker::{self, CONNECTION, Draft};
use super::{error, error_at_end, joined, number, part, real_server, text};

#[rustfmt::skip] // One row, one line.
const OWN: &[Keyword<Draft>] = &[
    part("payload", "HEX ...", "What is sent", payload),
    part("require_reply", "[HEX ...]", "An answer is required, X stands for any digit", require_reply),
    part("min_reply_length", "0..65535", "Shortest answer", min_reply_length),
    part("max_reply_length", "0..65535", "Longest answer", max_reply_length),
];

const ROWS: [Keyword<Draft>; CONNECTION.len() + OWN.len()] = joined(CONNECTION, OWN);

/// The rows.
pub const KEYWORDS: &[Keyword<Draft>] = &ROWS;

/// Reads the block.
pub fn set(server: &mut real_server::Draft, statement: &Statement, cx: &mut Context<'_>) {
    let draft = checker::read("UDP_CHECK", KEYWORDS, server, statement, cx);
    let (least, most) = (draft.shortest_reply, draft.longest_reply);
    if least > most {
        let text = format!(
            "UDP_CHECK min_reply length {least} > max_reply_length {most} - will always fail"
        );
        error_at_end(cx, "reply-length", statement, text);
    }
}

fn payload(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    text(cx, statement, "UDP_CHECK payload requires a payload");
    expect_hex(statement, cx, "payload", |c| c.is_ascii_hexdigit());
}

fn require_reply(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let is_digit = |c: char| c.is_ascii_hexdigit() || matches!(c, 'x' | 'X');
    expect_hex(statement, cx, "reply", is_digit);
}

fn expect_hex(
    statement: &Statement,
    cx: &mut Context<'_>,
    what: &str,
    is_digit: impl Fn(char) -> bool,
) {
    let mut words = statement.arguments().iter();
    if words.any(|word| !word.text.chars().all(&is_digit)) {
        let text = format!("Invalid hex string for UDP_CHECK {what}");
        error(cx, "hex-string", statement, text);
    }
}

fn min_reply_length(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if let Some(value) = length(statement, cx, "min") {
        draft.shortest_reply = value;
    }
}

fn max_reply_length(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if let Some(value) = length(statement, cx, "max") {
        draft.longest_reply = value;
    }
}

fn length(statement: &Statement, cx: &mut Context<'_>, which: &str) -> Option<i64> {
    number(cx, statement, 0..=65_535, |text| {
        format!("UDP_CHECK {which} length {text} not valid - must be between 0 & 65535")
    })
}
