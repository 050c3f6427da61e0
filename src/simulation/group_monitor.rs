//! A second opinion on sync groups: whether all members of one node agree, and
//! when they may become MASTER or give way together.
//!
//! Works from the second opinions on the members (`monitor.rs`) alone. Source:
//! specification F.7.

use std::sync::Arc;

use crate::config::model::SyncGroup;
use crate::time::Instant;
use crate::vrrp::state_machine::State;

use super::monitor::{Breach, Cause, Watch};

/// What the group of an instance means for it in one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Together {
    /// A member is due, and all others are MASTER or were due before: they become
    /// MASTER in this turn.
    pub leads: bool,
    /// When a member is due is not known: two things came at once.
    pub vague: bool,
    /// A member gives way to a better master: all do.
    pub yields: bool,
}

/// What the group that `name` is in may do at `now`; `None` if it is in none.
/// `gave_way`: the instance that hears a better master in this turn.
pub fn together(
    groups: &[Arc<SyncGroup>],
    watches: &[Watch],
    name: &str,
    (cause, now): (&Cause, Instant),
    gave_way: Option<&str>,
) -> Option<Together> {
    let mut groups = groups.iter();
    let group = groups.find(|group| group.instances.iter().any(|it| it == name))?;
    let members = || {
        let named = |watch: &&Watch| group.instances.contains(&watch.config.name);
        watches.iter().filter(named)
    };
    let rings = |watch: &Watch| {
        let is_due = watch.state == State::Backup && watch.due_at() <= now;
        matches!(cause, Cause::Time { .. }) && is_due && !watch.is_deaf
    };
    let may = |watch: &Watch| match watch.state {
        State::Master => true,
        State::Backup => !watch.is_deaf && (watch.wants || rings(watch)),
        State::Init | State::Fault | State::Stopped => false,
    };
    Some(Together {
        leads: members().any(rings) && members().all(may),
        vague: members().any(Watch::is_vague),
        yields: gave_way
            .is_some_and(|one| one != name && group.instances.iter().any(|it| it == one)),
    })
}

/// After a turn: all members of each group are in one state (rule 4). An instance
/// that a reload has just made is judged with the next turn.
pub fn judge(groups: &[Arc<SyncGroup>], watches: &[Watch]) -> Vec<Breach> {
    let mut wrong = Vec::new();
    for group in groups.iter() {
        let find = |name: &String| watches.iter().find(|it| it.config.name == *name);
        let states: Option<Vec<State>> = group
            .instances
            .iter()
            .map(|name| find(name).map(|watch| watch.state))
            .collect();
        let Some(states) = states else { continue };
        let same = states.windows(2).all(|pair| pair.first() == pair.last());
        if !same {
            let names = group.instances.iter().zip(&states);
            let list: Vec<String> = names.map(|(name, it)| format!("{name} {it}")).collect();
            let text = format!("group {}: {}", group.name, list.join(", "));
            wrong.push(Breach { rule: 4, text });
        }
    }
    wrong
}
