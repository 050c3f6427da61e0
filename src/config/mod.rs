//! From text to a configuration; pure, files come in through a trait.
//!
//! bytes → [`lex`] → [`expand`] → [`tree`] → rows of [`keywords`] → [`resolve`]
//! → [`model::Config`]. The steps, each a call in `read`:
//!
//! 1. The text is read once, statement by statement: expanded, put into blocks, and
//!    given to the rows, which fill drafts.
//! 2. [`scripts`]: what the machine says of every command, wherever it stands.
//! 3. [`keywords::lvs`]: what does not fit together in the balancer's blocks.
//! 4. [`resolve`]: the drafts become the configuration.
//! 5. [`scripts`] again: C's warning about scripts that nobody checks, always last.
//!
//! Findings come in the order of these steps; within the first one those of the
//! text, then those of the braces, then those of the rows. They never stop the
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
    read(machine, files, main, options, &mut drop)
}

/// Reads a configuration as [`load_on`] does, and keeps its lines and blocks.
pub fn load_with_statements(
    machine: &dyn machine::Machine,
    files: &dyn source::Files,
    main: &Path,
    options: &Options,
) -> (Loaded, Vec<tree::Statement>) {
    let mut statements = Vec::new();
    let mut keep = |statement| statements.push(statement);
    let loaded = read(machine, files, main, options, &mut keep);
    (loaded, statements)
}

/// All steps. `done` gets each statement of the outer level when the rows have
/// read it.
fn read(
    machine: &dyn machine::Machine,
    files: &dyn source::Files,
    main: &Path,
    options: &Options,
    done: &mut dyn FnMut(tree::Statement),
) -> Loaded {
    let mut found = Collector::default();
    let (draft, sources) = drafts(machine, files, main, options, &mut found, done);
    let scripts = scripts::check(&draft, machine, &mut found);
    lvs::complete(&draft.lvs, options.without_checkers, &mut found);
    let config = resolve::resolve(draft, machine, &scripts, &mut found);
    scripts.finish(&mut found);
    Loaded {
        config,
        diagnostics: found.into_found(),
        sources,
        strict: options.strict,
    }
}

/// The text as the rows understand it. Each statement of the outer level is done
/// with before the next one is read, so that one alone is in memory.
fn drafts(
    machine: &dyn machine::Machine,
    files: &dyn source::Files,
    main: &Path,
    options: &Options,
    found: &mut Collector,
    done: &mut dyn FnMut(tree::Statement),
) -> (root::Draft, source::Sources) {
    let (mut in_braces, mut in_keywords) = (Collector::default(), Collector::default());
    let vocabulary = Vocabulary::shared();
    let mut draft = root::Draft::default();
    let mut context = Context::new(options, machine, vocabulary, &mut in_keywords);
    let mut take = |statement: tree::Statement| {
        let statements = std::slice::from_ref(&statement);
        keywords::apply("", root::KEYWORDS, statements, &mut draft, &mut context);
        done(statement);
    };
    let wants = |block: &str, word: &str| vocabulary.wants(block, word);
    let mut builder = tree::Builder::new(&wants, &mut in_braces, &mut take);
    let mut put = |token| builder.token(token);
    let sources = expand::read_all(files, main, options, found, &mut put);
    builder.finish();
    draft.scripts_seen = std::mem::take(&mut context.scripts_seen);
    found.append(in_braces);
    found.append(in_keywords);
    (draft, sources)
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
