//! Rule 14: where everybody hears everybody and all are configured alike, nobody
//! says of another node that it is master, too. Of a stranger with forged adverts
//! anything may be said, and of a peer in whose name they came, for a while. So it
//! is after faults: silence is no proof for a minute where adverts get lost.
//!
//! Decides that only; when a world has come to rest is decided in `swarm`.

use std::net::IpAddr;

use crate::time::{Instant, Interval};
use crate::vrrp::contention::Contention;

use super::world::World;

/// After this nobody has a reason to believe what was before.
const MEMORY: Interval = Interval::from_secs(70);

/// Two that were masters at once when the faults ended may be told of so long after.
const PARTING: Interval = Interval::from_secs(1);

/// Judges a world that has come to rest after faults that ended at `healed_at`.
pub(super) fn judge_rivals(world: &mut World, healed_at: Instant) {
    let mut wrong = Vec::new();
    let is_long_ago = world.now.since(healed_at) > MEMORY;
    let addresses: Vec<IpAddr> = world
        .nodes
        .iter()
        .flat_map(|node| &node.kernel.interfaces)
        .flat_map(|interface| &interface.state.addresses)
        .map(|on| on.address)
        .collect();
    for (place, node) in world.nodes.iter().enumerate() {
        let instances = node.engine.iter().flat_map(|engine| engine.instances());
        for view in instances {
            let seen = view.contended;
            let seen = seen.filter(|seen| seen.since > healed_at + PARTING || is_long_ago);
            let is_refused = seen.is_some_and(|it| matches!(it.reason, Contention::Refused(_)));
            if node.was_deceived && is_refused {
                continue;
            }
            if let Some(seen) = seen.filter(|seen| addresses.contains(&seen.peer)) {
                let name = &view.config.name;
                wrong.push((place, format!("({name}) is contended: {seen:?}")));
            }
        }
    }
    for (node, text) in wrong {
        world.wrong(Some(node), 14, text);
    }
}
