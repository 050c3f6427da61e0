//! The programs that read what a keepalived tells and start it with options of their
//! own: monitoring, appliances, clouds. Each runs against this daemon and against C
//! keepalived, each on a machine of its own, and sees the same.
//!
//! The readers in `consumers/programs` are written from what those programs are known
//! to rely on. The contents of the files are compared in `tests/dumps.rs`.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "watches real daemons in real time"
)]

mod lab;

#[path = "consumers/command_lines.rs"]
mod command_lines;
#[path = "consumers/generators.rs"]
mod generators;
#[path = "consumers/machine.rs"]
mod machine;
#[path = "consumers/monitoring.rs"]
mod monitoring;
#[path = "consumers/neutron.rs"]
mod neutron;
#[path = "dumps/readers.rs"]
#[allow(dead_code, reason = "one of its readers is needed here")]
mod readers;
#[path = "consumers/vyos.rs"]
mod vyos;
