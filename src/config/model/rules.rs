//! Routing rules that the daemon puts into the kernel.
//!
//! Source: specification C.3.

/// A line of `virtual_rules` or `static_rules`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {}
