//! From text to a configuration; pure, files come in through a trait.
//!
//! bytes → [`lex`] → [`expand`] → [`tree`] → rows of [`keywords`] → [`resolve`]
//! → [`model::Config`]. Findings are collected on the way and never stop the
//! reading; what they mean for a daemon is in [`Loaded::is_usable`].

use std::path::Path;

pub mod arguments;
pub mod diagnostic;
pub mod expand;
pub mod keywords;
pub mod lex;
pub mod lints;
pub mod machine;
pub mod model;
pub mod resolve;
pub mod scripts;
pub mod source;
pub mod tree;

#[cfg(test)]
mod tests;

use diagnostic::{Class, Collector, Diagnostic, Severity};
use keywords::{Context, Vocabulary, lvs, root};

/// What the command line says about reading a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `-i`: the name that conditional lines compare with.
    pub config_id: String,
    /// What `${_RANDOM}` begins with. All processes of a daemon have the same.
    pub random_seed: u64,
    /// `-e`: every failed include is an error.
    pub all_include_checks: bool,
    /// `-P`: parts for the checkers are looked at, and not carried out.
    pub without_checkers: bool,
    /// `-B`: parts for BFD are looked at, and not carried out.
    pub without_bfd: bool,
    /// `-C`: parts for VRRP are skipped.
    pub without_vrrp: bool,
    /// `--strict-config`: with a warning a daemon does not start.
    pub strict: bool,
}

/// What became of a configuration.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration, as far as it could be understood.
    pub config: model::Config,
    /// What was found, in the order in which it was found.
    pub diagnostics: Vec<Diagnostic>,
    /// Everything that was read.
    pub sources: source::Sources,
    /// Warnings count as refusals.
    pub strict: bool,
}

/// Reads a configuration. Never panics, whatever is in the files.
pub fn load(files: &dyn source::Files, main: &Path, options: &Options) -> Loaded {
    load_on(&machine::Anywhere, files, main, options)
}

/// Reads a configuration and tells, too, what does not fit this machine. The
/// machine does not change the configuration.
pub fn load_on(
    machine: &dyn machine::Machine,
    files: &dyn source::Files,
    main: &Path,
    options: &Options,
) -> Loaded {
    load_with_statements(machine, files, main, options).0
}

/// Reads a configuration as [`load_on`] does, and keeps its lines and blocks.
pub fn load_with_statements(
    machine: &dyn machine::Machine,
    files: &dyn source::Files,
    main: &Path,
    options: &Options,
) -> (Loaded, Vec<tree::Statement>) {
    let mut found = Collector::default();
    let vocabulary = Vocabulary::shared();
    let expanded = expand::read_all(files, main, options, &mut found);
    let statements = tree::build(
        expanded.tokens,
        &|block, word| vocabulary.wants(block, word),
        &mut found,
    );
    let mut draft = root::Draft::default();
    let mut context = Context::new(options, machine, vocabulary, &mut found);
    keywords::apply("", root::KEYWORDS, &statements, &mut draft, &mut context);
    draft.scripts_seen = std::mem::take(&mut context.scripts_seen);
    let scripts = scripts::check(&draft, machine, &mut found);
    lvs::complete(&draft.lvs, options.without_checkers, &mut found);
    let config = resolve::resolve(draft, machine, &scripts, &mut found);
    scripts.finish(&mut found);
    let loaded = Loaded {
        config,
        diagnostics: found.into_found(),
        sources: expanded.sources,
        strict: options.strict,
    };
    (loaded, statements)
}

impl Loaded {
    /// The exit code of a configuration test (specification A.11). A missing
    /// parameter gives 2 whatever else was found, because C ends at once there;
    /// a missing main file gives 6 (C: 0). With `--strict-config` warnings that C
    /// does not count give 5.
    pub fn exit_code(&self) -> u8 {
        let worst = self
            .diagnostics
            .iter()
            .map(|diagnostic| diagnostic.class)
            .max();
        match worst.unwrap_or(Class::None).exit_code() {
            0 if self.strict && !self.is_usable() => Class::General.exit_code(),
            code => code,
        }
    }

    /// Whether a daemon may start or reload with it (specification A.12).
    pub fn is_usable(&self) -> bool {
        let refused = if self.strict {
            Severity::Warning
        } else {
            Severity::Fatal
        };
        self.diagnostics
            .iter()
            .all(|diagnostic| diagnostic.severity < refused)
    }
}
