//! Reloads of real daemons on real kernel networking, in private namespaces: what
//! they print, what they leave alone, and what nobody should do to them.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "watches real daemons in real time"
)]

#[path = "../lab/mod.rs"]
mod lab;

mod hostile;
mod orders;
mod site;
mod soak;
