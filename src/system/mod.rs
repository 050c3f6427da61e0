//! The adapters between the engine and the world: each small, each speaks one
//! protocol. Of the engine they know only its events and its actions. What is
//! decided is decided elsewhere; here it is carried out and reported.

pub mod braces;
pub mod calendar;
pub mod capabilities;
pub mod clock;
pub mod confinement;
pub mod culprits;
#[cfg(feature = "dbus")]
pub mod dbus;
pub mod fifo;
pub mod files;
pub mod lifeline;
pub mod logging;
pub mod machine;

pub mod mail;
pub mod memory;
pub mod netlink;
pub mod notify_systemd;
pub mod realtime;
pub mod routing_names;
pub mod scripts;
pub mod settings;
pub mod settled;
pub mod signals;
pub mod sockets;
pub mod sysctl;
pub mod terminal;
#[cfg(test)]
mod testing;
pub mod watch;
