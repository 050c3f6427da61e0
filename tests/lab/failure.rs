//! What can go wrong in the laboratory, as one sentence for the reader of a
//! test report. Nobody branches on it, so it carries text only.

use std::fmt;
use std::io;

/// Why a step of the laboratory, or an expectation put to it, failed.
#[derive(Debug, Clone)]
pub struct Failure {
    what: String,
}

/// The result of every step.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure told in one lower-case fragment.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

/// Adds the step that was tried to an error.
pub trait Context<T> {
    /// Turns any error into a [`Failure`] that begins with `what`.
    fn context(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Failure::new(format!("{what}: {error}")))
    }
}

/// The last error of the operating system, after a call that returned -1.
pub fn last_os_error(what: &str) -> Failure {
    Failure::new(format!("{what}: {}", io::Error::last_os_error()))
}
