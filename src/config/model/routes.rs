//! Routes that the daemon puts into the kernel.
//!
//! Source: specification C.2.

/// A line of `virtual_routes` or `static_routes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Route {}
