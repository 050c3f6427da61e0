//! `BFD_CHECK { ... }`: the state of a BFD session (keepalived-lvs.md B.10).

use super::super::super::tree::Statement;
use super::super::{Context, Keyword};
use super::checker::{self, Draft};
use super::{error_at_end, part, real_server};

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    part("name", "BFD_INSTANCE", "A bfd_instance that stands above", name),
    part("alpha", "[BOOL]", "Counts as failed until the session is up", checker::alpha),
];

/// Reads the block.
pub fn set(server: &mut real_server::Draft, statement: &Statement, cx: &mut Context<'_>) {
    let draft = checker::read_unconnected("BFD_CHECK", KEYWORDS, server, statement, cx);
    if draft.name.is_none() {
        let text = format!(
            "({}) No name has been specified for BFD_CHECKER - skipping",
            draft.server
        );
        error_at_end(cx, "no-name", statement, text);
    }
}

fn name(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    let (server, name) = (&draft.server, &word.text);
    if let Some(first) = &draft.name {
        let text = format!("({server}) BFD_CHECK - BFD {name} already specified as {first}");
        cx.error("bfd-check", word, text);
        return;
    }
    if !cx.names.bfd_instances.contains(name) {
        let text = format!("({server}) BFD_CHECK - BFD {name} not configured");
        cx.error("bfd-check", word, text);
    }
    // One mistake is enough: a name that is not known is a name, too.
    draft.name = Some(name.clone());
}
