//! Drops packets to the VIPs of a MASTER that is not their owner: `no_accept`, and
//! strict mode unless it has `accept` (RFC 9568 section 6.4.3, specification D.7).
//!
//! Decides to which addresses. It is done before they are put on and undone after they
//! are taken off, so that at no moment one is on and open. How packets are dropped is
//! not known here.

use std::net::IpAddr;

use crate::config::model::VirtualAddress;
use crate::ids::IfIndex;

use super::super::action::Operation;
use super::super::log_lines::InstanceLine;
use super::{Context, Running};

/// An address to which packets are dropped; a link-local one on this interface, any
/// other on [`IfIndex::ANY`].
pub type Blocked = (IfIndex, IpAddr);

/// Drops packets to it.
pub fn block((on, address): Blocked) -> Operation {
    Operation::Block { on, address }
}

/// Lets them through again.
pub fn unblock((on, address): Blocked) -> Operation {
    Operation::Unblock { on, address }
}

/// Where a VIP on this interface is blocked.
pub(super) fn blocked_place(on: IfIndex, vip: &VirtualAddress) -> Blocked {
    match vip.address {
        IpAddr::V6(address) if address.is_unicast_link_local() => (on, vip.address),
        _ => (IfIndex::ANY, vip.address),
    }
}

impl Running {
    /// The addresses that it has put on, or asked for, and to which packets are dropped.
    pub fn blocked(&self) -> impl Iterator<Item = Blocked> {
        let put_on = self.put_on.iter().filter(|_| !self.config.accept);
        put_on.map(|(on, vip)| blocked_place(*on, vip))
    }

    /// Tells that packets are dropped from now on, or no longer.
    pub(super) fn tell_blocking(&self, line: InstanceLine, cx: &mut Context<'_>) {
        if !self.config.accept && self.config.all_addresses().next().is_some() {
            self.log(line, cx);
        }
    }
}
