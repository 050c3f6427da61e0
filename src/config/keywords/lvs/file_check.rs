//! `FILE_CHECK { ... }`: the number in a tracked file (keepalived-lvs.md B.9).

use super::super::super::tree::Statement;
use super::super::{Context, Keyword};
use super::checker::{self, Draft};
use super::{error_at_end, number, part, real_server};

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    part("track_file", "NAME", "A track_file that stands above", track_file),
    part("weight", "-2147483647..2147483647 [reverse|noreverse]", "Factor of the number in the file", weight),
];

/// Reads the block.
pub fn set(server: &mut real_server::Draft, statement: &Statement, cx: &mut Context<'_>) {
    let draft = checker::read_unconnected("FILE_CHECK", KEYWORDS, server, statement, cx);
    if draft.name.is_none() {
        let text = "FILE_CHECK has no track_file specified - ignoring";
        error_at_end(cx, "no-track-file", statement, text.to_string());
    }
}

fn track_file(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    if !cx.names.track_files.contains(&word.text) {
        let text = format!("track_file {} not found", word.text);
        cx.error("unknown-track-file", word, text);
        return;
    }
    draft.name = Some(word.text.clone());
}

fn weight(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    const MAX: i64 = 2_147_483_647;
    number(cx, statement, -MAX..=MAX, |_| {
        format!("weight for track file must be in [-{MAX}..{MAX}] inclusive. Ignoring...")
    });
    if let Some(word) = statement.word(2)
        && !matches!(word.text.as_str(), "reverse" | "noreverse")
    {
        let text = format!("unknown track file weight option {} - ignoring", word.text);
        cx.error("track-file-weight", word, text);
    }
}
