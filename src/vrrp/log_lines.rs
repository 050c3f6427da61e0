//! Every line that the engine may log, in one enum, with the texts of C
//! keepalived 2.4.3 word for word (specification E.5): people grep for them.

use std::fmt;

/// A line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The text.
    pub text: String,
    /// Printed with `-D` only.
    pub detail: bool,
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
