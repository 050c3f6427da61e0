//! `PING_CHECK { ... }`: an ICMP echo (keepalived-lvs.md B.7).

use super::super::super::tree::Statement;
use super::super::{Context, Keyword};
use super::checker::{self, CONNECTION, Draft};
use super::real_server;

/// The rows: only those of every connection.
pub const KEYWORDS: &[Keyword<Draft>] = CONNECTION;

/// Reads the block.
pub fn set(server: &mut real_server::Draft, statement: &Statement, cx: &mut Context<'_>) {
    checker::read("PING_CHECK", KEYWORDS, server, statement, cx);
}
