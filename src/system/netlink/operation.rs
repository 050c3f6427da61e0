//! One change in the kernel, whatever it is of.

use super::names::Names;
use super::socket::RequestSocket;
use super::{address, route, rule};
use crate::ids::Errno;
use crate::vrrp::action::Operation;

/// Carries out one operation. What was there already, or is gone already, is no error.
pub(super) fn carry_out(
    socket: &mut RequestSocket,
    names: &mut Names,
    operation: &Operation,
) -> Result<(), Errno> {
    let result = match operation {
        Operation::AddAddress { on, address } => address::add(socket, *on, address),
        Operation::RemoveAddress { on, address } => {
            address::remove(socket, *on, address).map(|_| ())
        }
        Operation::AddRoute(route) => route::add(socket, names, route),
        Operation::RemoveRoute(route) => route::remove(socket, names, route).map(|_| ()),
        Operation::AddRule(rule) => rule::add(socket, names, rule),
        Operation::RemoveRule(rule) => rule::remove(socket, names, rule).map(|_| ()),
    };
    result.map_err(|error| Errno(error.raw_os_error().unwrap_or(libc::EIO)))
}
