//! `TCP_CHECK { ... }`: a connection and nothing more (keepalived-lvs.md B.2).

use super::super::super::tree::Statement;
use super::super::{Context, Keyword};
use super::checker::{self, CONNECTION, Draft};
use super::real_server;

/// The rows: only those of every connection.
pub const KEYWORDS: &[Keyword<Draft>] = CONNECTION;

/// Reads the block.
pub fn set(server: &mut real_server::Draft, statement: &Statement, cx: &mut Context<'_>) {
    checker::read("TCP_CHECK", KEYWORDS, server, statement, cx);
}
