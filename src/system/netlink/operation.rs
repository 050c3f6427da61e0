//! One change of a route or a rule.

use super::names::Names;
use super::socket::RequestSocket;
use super::{errno_of, route, rule};
use crate::ids::Errno;
use crate::vrrp::action::Operation;

/// Carries out one operation. What was there already, or is gone already, is no error.
pub(super) fn carry_out(
    socket: &mut RequestSocket,
    names: &mut Names,
    operation: &Operation,
) -> Result<(), Errno> {
    let result = match operation {
        Operation::AddRoute(route) => route::add(socket, names, route),
        Operation::RemoveRoute(route) => route::remove(socket, names, route).map(|_| ()),
        Operation::AddRule(rule) => rule::add(socket, names, rule),
        Operation::RemoveRule(rule) => rule::remove(socket, names, rule).map(|_| ()),
        // Many of these are carried out at once.
        Operation::AddAddress { .. } | Operation::RemoveAddress { .. } => Ok(()),
        // These are not for this socket.
        Operation::Block { .. }
        | Operation::Unblock { .. }
        | Operation::Promote { .. }
        | Operation::Unpromote { .. } => Ok(()),
        // These need more than one change each.
        Operation::AddLink(_) | Operation::RemoveLink { .. } => Ok(()),
    };
    result.map_err(errno_of)
}
