//! `vrrp_instance` of `keepalived-rs.conf`.

use super::super::{Context, Keyword, works};
use crate::config::tree::Statement;

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    works("fast_handover", "[BOOL]", "A MASTER whose priority falls below that of a peer hands over at once", fast_handover),
];

/// Settings of one instance.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// `fast_handover`
    pub fast_handover: Option<bool>,
}

fn fast_handover(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.fast_handover = super::switch(statement, cx).or(draft.fast_handover);
}
