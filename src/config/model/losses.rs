//! What a MASTER does when somebody else takes away a VIP, a route or a rule of it:
//! `vip_loss` and `vip_loss_limit` of `keepalived-rs.conf`.

use std::fmt;

use crate::time::Interval;

/// `vip_loss` and `vip_loss_limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VipLoss {
    /// The answer to a loss.
    pub answer: LossAnswer,
    /// How much of that is enough; `None`: it is never enough. Only counts where what is
    /// lost is put back.
    pub limit: Option<LossLimit>,
}

impl Default for VipLoss {
    /// Heals, up to five losses in ten seconds.
    fn default() -> Self {
        Self {
            answer: LossAnswer::Heal,
            limit: Some(LossLimit {
                count: 5,
                within: Interval::from_secs(10),
            }),
        }
    }
}

impl fmt::Display for VipLoss {
    /// As the words of the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.answer, self.limit) {
            (LossAnswer::Reelect, _) => f.write_str("reelect"),
            (LossAnswer::Heal, None) => f.write_str("heal, without a limit"),
            (LossAnswer::Heal, Some(LossLimit { count, within })) => {
                write!(f, "heal, limit {count} in {} s", within.as_secs())
            }
        }
    }
}

/// The answer to a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LossAnswer {
    /// What was lost is put back and announced; the instance stays MASTER.
    Heal,
    /// As C keepalived: the instance gives up, and is elected again.
    Reelect,
}

/// When a fight is given up: one and the same thing was lost so often within a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LossLimit {
    /// How often, 1 to 1000.
    pub count: u16,
    /// Within this time, 1 s to an hour.
    pub within: Interval,
}
