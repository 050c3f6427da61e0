//! A network laboratory: machines on one Ethernet segment, made of namespaces,
//! and an observer on the wire. It uses no external program, touches no network
//! outside, and leaves nothing behind, however the process ends.
//!
//! One process makes one laboratory: first [`isolation`], then [`Lab::new`].

// Used by tests and by an example, each of which needs a part of it.
#![allow(dead_code, unused_imports)]
// The laboratory watches real daemons in real time.
#![allow(clippy::disallowed_methods)]

pub mod canary;
pub mod failure;
pub mod frames;
pub mod isolation;
pub mod namespace;
pub mod netlink;
pub mod node;
pub mod observer;
pub mod process;
pub mod smtp_sink;

pub use canary::Canary;
pub use failure::{Context, Failure, Result};
pub use frames::Mac;
pub use node::Node;
pub use observer::{Mark, Observer};
pub use process::Process;

use std::net::Ipv4Addr;
use std::time::Instant;

/// The segment, in the namespace of the process itself.
const BRIDGE: &str = "segment";
const BRIDGE_MAC: Mac = Mac([2, 0, 0, 0, 0, 0xfe]);

/// Makes one more segment, without an observer.
pub fn add_segment(name: &str) -> Result<()> {
    netlink::add_bridge(name, [2, 0, 0, 0, 1, 0xfe])
}

/// One segment with its observer.
#[derive(Debug)]
pub struct Lab {
    /// Ears and mouth on the segment.
    pub observer: Observer,
    /// How long this machine keeps threads waiting.
    pub canary: &'static Canary,
    /// When the laboratory was made; times in reports count from here.
    pub start: Instant,
    nodes: u8,
}

impl Lab {
    /// Makes the segment. The process must be isolated.
    pub fn new() -> Result<Self> {
        // Without IPv6 the segment is quiet; a kernel without IPv6 is as good.
        let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        netlink::add_bridge(BRIDGE, BRIDGE_MAC.0)?;
        let observer = Observer::new(netlink::index_of(BRIDGE)?, BRIDGE_MAC)?;
        Ok(Self {
            observer,
            canary: Canary::shared(),
            start: Instant::now(),
            nodes: 0,
        })
    }

    /// Adds a machine that is connected.
    pub fn node(&mut self, name: &str, address: Ipv4Addr, prefix_length: u8) -> Result<Node> {
        let node = self.node_without_link(name, address, prefix_length)?;
        node.plug()?;
        Ok(node)
    }

    /// Adds a machine that has no interface yet; [`Node::plug`] gives it one.
    /// It must not outlive the calling thread.
    pub fn node_without_link(
        &mut self,
        name: &str,
        address: Ipv4Addr,
        prefix_length: u8,
    ) -> Result<Node> {
        self.nodes += 1;
        Node::new(self.nodes, name, address, prefix_length)
    }
}
