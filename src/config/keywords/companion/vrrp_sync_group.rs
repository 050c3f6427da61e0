//! `vrrp_sync_group` of `keepalived-rs.conf`.

use super::super::{Context, Keyword, works};
use crate::config::tree::Statement;

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    works("fast_handover", "[BOOL]", "Default for the members: the group hands over at once when all of them have fallen behind", fast_handover),
    works("vip_loss", "heal|reelect", "Default for the members: what somebody else takes away is put back, or the group gives up and is elected again", vip_loss),
    works("vip_loss_limit", "LOSSES [SECONDS]", "Default for the members: the same VIP, route or rule lost so often within this time means FAULT for a while; LOSSES 0: never", vip_loss_limit),
];

/// Settings of one sync group.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// `fast_handover`
    pub fast_handover: Option<bool>,
    /// `vip_loss` and `vip_loss_limit`
    pub vip_loss: super::VipLossDraft,
}

fn fast_handover(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.fast_handover = super::switch(statement, cx).or(draft.fast_handover);
}

fn vip_loss(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.vip_loss.read_answer(statement, cx);
}

fn vip_loss_limit(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.vip_loss.read_limit(statement, cx);
}
