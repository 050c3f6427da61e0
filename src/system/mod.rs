//! Adapters to the kernel and to other programs; each small, each speaks one protocol.

pub mod clock;
pub mod files;
pub mod logging;
pub mod notify_systemd;
pub mod scripts;
pub mod signals;
