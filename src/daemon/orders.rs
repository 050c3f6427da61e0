//! What the worker tells of orders: what has become of one, in words that fit into a
//! message, and what has changed among those in force.
//!
//! Decides nothing about them: `vrrp/engine/orders.rs` does.

use crate::config::nearest::nearest;
use crate::vrrp::engine::Engine;
use crate::vrrp::orders::{Done, InForce, Refused, StandingOrders};

/// How many lines an answer has. The status tells of all.
const LINES_MAX: usize = 100;

/// How many bytes of a line are told: names may be long.
const LINE_BYTES_MAX: usize = 500;

/// What has become of an order: a line for each instance, or the code of a refusal and
/// the reason.
pub fn outcome(
    done: Result<Vec<Done>, Refused>,
    engine: &Engine,
) -> Result<Vec<String>, (String, String)> {
    let refused = match done {
        Ok(done) => {
            let mut lines: Vec<String> = done
                .iter()
                .take(LINES_MAX)
                .map(|it| shortened(&it.to_string()))
                .collect();
            match done.len().saturating_sub(LINES_MAX) {
                0 => {}
                more => lines.push(format!("and {more} more")),
            }
            return Ok(lines);
        }
        Err(refused) => refused,
    };
    let mut text = shortened(&refused.to_string());
    let code = match &refused {
        Refused::NoSuchInstance(name) => {
            let names = engine.instances().map(|it| it.config.name.as_str());
            if let Some(nearest) = nearest(name, names) {
                text.push_str(&format!("; the nearest name is '{nearest}'"));
            }
            "no-such-instance"
        }
        Refused::NotRunning => "not-available",
        Refused::NobodyKnown(_)
        | Refused::Owners(_)
        | Refused::BadPriority(_)
        | Refused::NotMaster(_) => "refused",
    };
    Err((code.to_owned(), shortened(&text)))
}

/// What is different between what was in force and what is: each instance with what is
/// in force for it now.
pub fn changes(before: &StandingOrders, now: &StandingOrders) -> Vec<(String, InForce)> {
    let ended = before.keys().filter(|name| !now.contains_key(*name));
    let ended = ended.map(|name| (name.clone(), InForce::default()));
    let changed = now
        .iter()
        .filter(|(name, orders)| before.get(*name) != Some(orders));
    let changed = changed.map(|(name, orders)| (name.clone(), *orders));
    ended.chain(changed).collect()
}

fn shortened(text: &str) -> String {
    let end = text.floor_char_boundary(LINE_BYTES_MAX);
    text.get(..end).unwrap_or_default().to_owned()
}
