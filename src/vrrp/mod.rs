//! The decisions of VRRP: deterministic, no I/O, no clock, no logging.

pub mod action;
pub mod event;
pub mod log_lines;
