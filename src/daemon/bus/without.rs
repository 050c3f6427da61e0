//! The D-Bus service of a program that was built without one (Cargo feature `dbus`).

use std::os::fd::OwnedFd;

use super::Settings;

/// Whether this program has the service.
pub const BUILT_IN: bool = false;

/// There is nothing to run.
pub fn run(_: OwnedFd, _: &Settings) -> u8 {
    crate::daemon::exit_code::FATAL
}
