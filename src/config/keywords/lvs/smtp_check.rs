//! `SMTP_CHECK { ... }`: a greeting of a mail server (keepalived-lvs.md B.4).

use super::super::super::tree::Statement;
use super::super::{Content, Context, Keyword, apply};
use super::checker::{self, CONNECTION, Draft};
use super::{joined, part, real_server, text};

#[rustfmt::skip] // One row, one line.
const OWN: &[Keyword<Draft>] = &[
    part("helo_name", "NAME", "Name in the greeting", |_, s, cx| text(cx, s, "SMTP_CHECK helo name missing")),
    part("host", "{ ... }", "Deprecated: a further server that is checked", host).with(Content::Keywords),
];

const ROWS: [Keyword<Draft>; CONNECTION.len() + OWN.len()] = joined(CONNECTION, OWN);

/// The rows.
pub const KEYWORDS: &[Keyword<Draft>] = &ROWS;

/// Reads the block.
pub fn set(server: &mut real_server::Draft, statement: &Statement, cx: &mut Context<'_>) {
    checker::read("SMTP_CHECK", KEYWORDS, server, statement, cx);
}

fn host(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let mut host = Draft {
        server: draft.server.clone(),
        address: draft.address,
        ..Draft::default()
    };
    apply(
        "SMTP_CHECK/host",
        CONNECTION,
        statement.inner(),
        &mut host,
        cx,
    );
    host.expect_interface(statement, cx);
}
