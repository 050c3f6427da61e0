//! `vip_loss` and `vip_loss_limit`, which several blocks of `keepalived-rs.conf` have.

use super::super::super::arguments;
use super::super::super::diagnostic::Diagnostic;
use super::super::super::model::{LossAnswer, LossLimit, VipLoss};
use super::super::Context;
use crate::config::tree::Statement;
use crate::time::Interval;

/// What a block says of losses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VipLossDraft {
    answer: Option<LossAnswer>,
    /// `Some(None)`: no limit.
    limit: Option<Option<LossLimit>>,
}

impl VipLossDraft {
    /// What this block says, and where it is silent what `other` says.
    pub fn or(self, other: Self) -> Self {
        Self {
            answer: self.answer.or(other.answer),
            limit: self.limit.or(other.limit),
        }
    }

    /// With the defaults where nothing is said.
    pub fn complete(self) -> VipLoss {
        let defaults = VipLoss::default();
        VipLoss {
            answer: self.answer.unwrap_or(defaults.answer),
            limit: self.limit.unwrap_or(defaults.limit),
        }
    }

    pub(super) fn read_answer(&mut self, statement: &Statement, cx: &mut Context<'_>) {
        let Some(word) = cx.argument(statement, 1) else {
            return;
        };
        self.answer = Some(match word.text.as_str() {
            "heal" => LossAnswer::Heal,
            "reelect" => LossAnswer::Reelect,
            other => {
                let text = format!("Invalid vip_loss '{other}' - ignoring");
                let found = Diagnostic::error("vip-loss", text)
                    .at(&word.origin)
                    .help("heal and reelect are possible.".to_owned());
                return cx.found.push(found);
            }
        });
    }

    pub(super) fn read_limit(&mut self, statement: &Statement, cx: &mut Context<'_>) {
        let invalid =
            |text: &str| format!("vip_loss_limit '{text}' must be in [0, 1000] - ignoring");
        let count = cx.number(statement, 0..=1_000, invalid);
        let Some(count) = count.and_then(|count| u16::try_from(count).ok()) else {
            return;
        };
        let mut within = VipLoss::default()
            .limit
            .map_or(Interval::ZERO, |it| it.within);
        if let Some(word) = statement.word(2) {
            let result = arguments::number(&word.text, 1..=3_600);
            let text = || {
                let text = &word.text;
                format!("vip_loss_limit: '{text}' seconds must be in [1, 3600] - ignoring")
            };
            let seconds = cx.usable(word, result, text);
            let Some(seconds) = seconds.and_then(|it: i64| u64::try_from(it).ok()) else {
                return;
            };
            within = Interval::from_secs(seconds);
        }
        self.limit = Some((count > 0).then_some(LossLimit { count, within }));
    }
}
