//! keepalived-rs: VRRP for Linux, a drop-in replacement for C keepalived.
//!
//! The house has five floors, and imports point down only
//! (`tests/layering.rs` checks it):
//!
//! 1. [`wire`]: bytes to values and back; no allocation, no clock, no I/O.
//! 2. [`config`]: text to [`config::model::Config`]; pure, files come in through a trait.
//! 3. [`vrrp`]: the decisions; deterministic, no I/O, no clock, no logging.
//! 4. [`system`]: sockets, netlink, scripts, mail; each small, each speaks one protocol.
//!    Beside it [`simulation`]: the same engine in virtual time.
//! 5. [`daemon`]: the life of the processes, and [`cli`].
//!
//! A newcomer reads `vrrp/state_machine.rs`, `vrrp/engine/mod.rs`, `daemon/reactor/mod.rs`;
//! for a keyword: grep the word, find one row. `docs/ARCHITECTURE.md` tells why.

pub mod cli;
pub mod config;
pub mod daemon;
pub mod hashing;
pub mod ids;
pub mod simulation;
pub mod system;
pub mod time;
pub mod vrrp;
pub mod wire;
