//! Stand-in for diagnostics.

use super::source::Sources;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// A hint.
    Hint,
    /// A warning.
    Warning,
    /// An error.
    Error,
    /// The daemon cannot run with it.
    Fatal,
}

/// One remark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// The text.
    pub message: String,
}

impl Diagnostic {
    /// As C keepalived writes it.
    pub fn as_c_line(&self, _sources: &Sources) -> String {
        self.message.clone()
    }

    /// With the place shown.
    pub fn as_snippet(&self, _sources: &Sources) -> String {
        format!("error: {}", self.message)
    }
}
