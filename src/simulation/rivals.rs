//! Rule 14: where everybody hears everybody and all are configured alike, nobody
//! says of another node that it is master, too. Where adverts are forged, in the
//! name of a node or of a stranger, anything may be said.
//!
//! Decides that only; when a world has come to rest is decided in `swarm`.

use std::net::IpAddr;

use super::faults::{Fault, Timed};
use super::world::World;

/// Judges a world that has come to rest after these faults.
pub(super) fn judge_rivals(world: &mut World, faults: &[Timed]) {
    let is_forged = |it: &Timed| matches!(it.fault, Fault::Forged(_));
    if faults.iter().any(is_forged) {
        return;
    }
    let mut wrong = Vec::new();
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
