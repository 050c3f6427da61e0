//! The decisions of VRRP: deterministic, no I/O, no clock, no logging.
//!
//! Events go in, adverts leave through [`action::Transmit`], everything else
//! is asked for through a queue of [`action::Action`]. The same events at the
//! same times give the same result, always: any failure can be replayed.
//!
//! Read [`state_machine`] first (one table), then [`engine`].

#![warn(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

pub mod action;
pub mod authentication;
pub mod contention;
pub mod election;
pub mod engine;
pub mod event;
mod garp;
mod instance;
pub mod interfaces;
pub mod kernel_set;
pub mod lateness;
pub mod link_lines;
mod link_states;
pub mod log_limits;
pub mod log_lines;
pub mod orders;
pub mod outgoing;
mod own_link;
pub mod peers;
pub mod plan;
mod rare;
pub mod reasons;
pub mod receive;
mod refusals;
pub mod snapshot;
pub mod state_machine;
mod statics;
pub mod statistics;
pub mod sync_group;
mod timers;
pub mod tracking;
pub mod transition;
pub mod virtual_links;
pub mod watched;

pub use engine::Engine;
