//! A world for the shipped engine: several nodes, a network that loses and
//! delays, kernels that take their time, and a clock that jumps from one event
//! to the next.
//!
//! Nothing here is real: no clock, no file, no socket. The same seed gives the
//! same world, event by event. [`world`] is the machine, [`monitor`] judges each
//! turn, [`swarm`] makes worlds at random and judges how they end.

pub mod asking;
pub mod delivery;
pub mod edits;
pub mod explorer;
pub mod faults;
pub mod group_monitor;
pub mod heard;
pub mod judging;
pub mod kernel;
pub mod monitor;
pub mod network;
pub mod node;
mod ordered;
pub mod random;
mod reloaded;
pub mod report;
mod rivals;
pub mod scenario;
pub mod swarm;
pub mod trace;
pub mod watched;
pub mod world;
