//! Stand-in for sd_notify.

/// Sends `state`.
pub fn send(_state: &str) {}
