//! From text to a configuration; pure, files come in through a trait.

use std::path::{Path, PathBuf};

pub mod diagnostic;
pub mod model;
pub mod source;

use diagnostic::{Diagnostic, Severity};
use model::Config;

/// What the reading depends on besides the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `-i`.
    pub config_id: String,
    /// `-e`.
    pub all_include_checks: bool,
    /// `-P`.
    pub without_checkers: bool,
    /// `-C`.
    pub without_vrrp: bool,
}

/// What was read.
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What there is to say about it.
    pub diagnostics: Vec<Diagnostic>,
    /// The text it came from.
    pub sources: source::Sources,
}

impl Loaded {
    /// Exit code of `-t`.
    pub fn exit_code(&self) -> u8 {
        if self.is_usable() { 0 } else { 6 }
    }

    /// Whether a daemon may run with it.
    pub fn is_usable(&self) -> bool {
        self.diagnostics
            .iter()
            .all(|diagnostic| diagnostic.severity != Severity::Fatal)
    }
}

/// Reads `main`.
pub fn load(files: &dyn source::Files, main: &Path, _options: &Options) -> Loaded {
    let mut sources = source::Sources::default();
    let mut diagnostics = Vec::new();
    match files.read(main) {
        Ok(text) => sources.files.push((PathBuf::from(main), text)),
        Err(_) => diagnostics.push(Diagnostic {
            severity: Severity::Fatal,
            message: format!("Config files missing '{}'.", main.display()),
        }),
    }
    Loaded {
        config: Config::default(),
        diagnostics,
        sources,
    }
}
