//! `SSL { ... }`: the keys of the checkers (keepalived-lvs.md B.3, TLS).

use super::super::super::tree::Statement;
use super::super::root;
use super::super::{Context, Keyword, apply};
use super::{WITHOUT_CHECKERS, error, part, read_block, text};

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    part("password", "TEXT", "Passphrase of the private key", |_, s, cx| text(cx, s, "SSL password missing")),
    part("ca", "FILE", "Certificates of the authorities", |_, s, cx| text(cx, s, "SSL cafile missing")),
    part("certificate", "FILE", "Certificate of the client", |_, s, cx| text(cx, s, "SSL certfile missing")),
    part("key", "FILE", "Private key of the client", |_, s, cx| text(cx, s, "SSL keyfile missing")),
];

/// Nothing is kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct Draft;

/// Reads the block.
pub fn set(draft: &mut root::Draft, statement: &Statement, cx: &mut Context<'_>) {
    let is_left_out = cx.options.without_checkers;
    read_block(statement, is_left_out, WITHOUT_CHECKERS, cx, |cx| {
        if draft.lvs.has_ssl {
            let text = "SSL context already specified - replacing";
            error(cx, "duplicate-ssl", statement, text.to_string());
        }
        draft.lvs.has_ssl = true;
        apply("SSL", KEYWORDS, statement.inner(), &mut Draft, cx);
    });
}
