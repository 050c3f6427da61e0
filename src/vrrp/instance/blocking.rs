//! Drops packets to the VIPs of a MASTER that is not their owner: `no_accept`, and
//! strict mode unless it has `accept` (RFC 9568 section 6.4.3, specification D.7).
//!
//! Decides what goes before the VIPs are put on and after they are taken off, so that
//! at no moment one is on and open. How packets are dropped is not known here.

use std::net::IpAddr;

use crate::ids::IfIndex;

use super::super::action::Operation;
use super::super::log_lines::InstanceLine;
use super::{Context, Running};

impl Running {
    /// Tells that packets are dropped from now on, or no longer.
    pub(super) fn tell_blocking(&self, line: InstanceLine, cx: &mut Context<'_>) {
        if !self.config.accept && self.config.all_addresses().next().is_some() {
            self.log(line, cx);
        }
    }

    /// What has to be done before the VIPs are put on.
    pub(super) fn blocks(&self, cx: &Context<'_>) -> Vec<Operation> {
        let vips = Self::vips(&self.config, cx.interfaces);
        vips.filter_map(|(on, vip)| self.block_for(on, vip.address))
            .collect()
    }

    /// The same for one of them.
    pub(super) fn block_for(&self, on: IfIndex, address: IpAddr) -> Option<Operation> {
        (!self.config.accept).then_some(Operation::Block { on, address })
    }

    /// Adds what has to be done after the VIPs have been taken off.
    pub(super) fn unblock(&self, operations: &mut Vec<Operation>, cx: &Context<'_>) {
        if self.config.accept {
            return;
        }
        let vips = Self::vips(&self.config, cx.interfaces);
        operations.extend(vips.map(|(on, vip)| Operation::Unblock {
            on,
            address: vip.address,
        }));
    }
}
