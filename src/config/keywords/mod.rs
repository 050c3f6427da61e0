//! The vocabulary: one row for each keyword, one file for each block.
//!
//! Decides how a block is matched against its rows, and what happens to words that
//! no row has. What a row says is in `row`, what it is given in `context`, what all
//! rows are together in `vocabulary`; what a keyword does is in its block's file.
//! Source: specification A.4.

use super::diagnostic::{Class, Diagnostic, Severity};
use super::tree::Statement;

pub mod auth_hmac;
pub mod authentication;
pub mod companion;
pub mod defaults;
pub mod garp_group;
pub mod global_defs;
pub mod interface_up_down_delays;
pub mod linkbeat_interfaces;
pub mod lvs;
pub mod outer_words;
pub mod own_interface;
pub mod party;
pub mod root;
pub mod routing_words;
pub mod track_file;
pub mod track_group;
pub mod tracking;
pub mod unicast_peer;
pub mod virtual_ipaddress;
pub mod virtual_routes;
pub mod virtual_rules;
pub mod vrrp_instance;
pub mod vrrp_script;
pub mod vrrp_sync_group;
pub mod vrrp_track_process;

mod context;
mod row;
mod vocabulary;

pub use context::{Context, Names};
pub use row::{Content, Keyword, Reload, Row, Status, already, decisive, harmless, is_off, works};
pub use vocabulary::{Vocabulary, companion_rows, rows};

/// Matches the statements of a block against its rows.
pub fn apply<T>(
    block: &'static str,
    table: &'static [Keyword<T>],
    statements: &[Statement],
    target: &mut T,
    cx: &mut Context<'_>,
) {
    for statement in statements {
        let Some(row) = table.iter().find(|row| row.name == statement.keyword()) else {
            cx.unknown(block, statement);
            continue;
        };
        if row.content == Content::Line {
            cx.expect_no_block(statement);
        } else if let Some(extra) = statement.word(1).filter(|_| row.content == Content::Values) {
            let text = format!(
                "Block {} has extra parameters {} ...",
                row.name,
                extra.text.as_str()
            );
            cx.found
                .push(Diagnostic::error("extra-parameters", text).at(&extra.origin));
        }
        (row.set)(target, statement, cx);
        match row.status {
            Status::Works => {}
            Status::Harmless => cx.tell_of_no_effect(statement),
            Status::Decisive if (row.is_inert)(statement) => {}
            Status::Decisive => cx.refuse(statement),
        }
    }
}

/// A refusal to run with something that is understood. A configuration test
/// still gives the exit code that C gives.
pub fn not_yet(text: impl Into<String>) -> Diagnostic {
    Diagnostic::new("does-not-work-yet", Severity::Fatal, Class::None, text)
}
