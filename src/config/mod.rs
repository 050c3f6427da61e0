//! From text to a configuration; pure, files come in through a trait.
//!
//! bytes → [`lex`] → [`expand`] → [`tree`] → rows of [`keywords`] → [`resolve`]
//! → [`model::Config`]. The steps, each a call in `read`:
//!
//! 1. The text is read once, statement by statement: expanded, put into blocks, and
//!    given to the rows, which fill drafts.
//! 2. The same for the file with our own words, `companion`.
//! 3. [`scripts`]: what the machine says of every command, wherever it stands.
//! 4. [`keywords::lvs`]: what does not fit together in the balancer's blocks.
//! 5. [`resolve`]: the drafts become the configuration.
//! 6. [`scripts`] again: C's warning about scripts that nobody checks, always last.
//!
//! Findings come in the order of these steps; within the first one those of the
//! text, then those of the braces, then those of the rows. They never stop the
//! reading; what they mean for a daemon is in [`Loaded::is_usable`].

use std::path::Path;

pub mod arguments;
mod companion;
pub mod diagnostic;
pub mod expand;
pub mod keywords;
pub mod lex;
pub mod lints;
pub mod machine;
pub mod model;
pub mod nearest;
pub mod resolve;
pub mod scripts;
pub mod source;
pub mod tree;

#[cfg(test)]
mod tests;

use diagnostic::{Class, Collector, Diagnostic, Severity};
use keywords::{Context, Keyword, Vocabulary, lvs, root};

/// What the command line says about reading a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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

/// All steps. `done` gets each statement of the outer level of the main file when
/// the rows have read it.
fn read(
    machine: &dyn machine::Machine,
    files: &dyn source::Files,
    main: &Path,
    options: &Options,
    done: &mut dyn FnMut(tree::Statement),
) -> Loaded {
    let mut found = Collector::default();
    let reading = Reading {
        machine,
        files,
        options,
    };
    let (draft, mut sources) = drafts(&reading, main, &mut found, done);
    let companion = companion::read(&reading, &mut sources, &mut found);
    let scripts = scripts::check(&draft, machine, &mut found);
    lvs::complete(&draft.lvs, options.without_checkers, &mut found);
    let config = resolve::resolve(draft, &companion, machine, &scripts, &mut found);
    scripts.finish(&mut found);
    Loaded {
        config,
        diagnostics: found.into_found(),
        sources,
        strict: options.strict,
    }
}

/// The main file as the rows understand it.
fn drafts(
    reading: &Reading<'_>,
    main: &Path,
    found: &mut Collector,
    done: &mut dyn FnMut(tree::Statement),
) -> (root::Draft, source::Sources) {
    let mut draft = root::Draft::default();
    let mut sources = source::Sources::default();
    let mut text = |found: &mut Collector, take: &mut dyn FnMut(expand::Token)| {
        sources = expand::read_all(reading.files, main, reading.options, found, take);
    };
    let vocabulary = Vocabulary::shared();
    let table = root::KEYWORDS;
    let scripts_seen = reading.apply(vocabulary, table, &mut draft, &mut text, found, done);
    draft.scripts_seen = scripts_seen;
    (draft, sources)
}

/// Hands out what stands in a file, unit by unit.
type Text<'t> = dyn FnMut(&mut Collector, &mut dyn FnMut(expand::Token)) + 't;

/// What every file is read with.
struct Reading<'a> {
    machine: &'a dyn machine::Machine,
    files: &'a dyn source::Files,
    options: &'a Options,
}

impl Reading<'_> {
    /// Gives what `text` hands out to the rows of `table`. Each statement of the
    /// outer level is done with before the next one is read, so that one alone is
    /// in memory. Returns every command that was read.
    fn apply<T>(
        &self,
        vocabulary: &Vocabulary,
        table: &'static [Keyword<T>],
        draft: &mut T,
        text: &mut Text<'_>,
        found: &mut Collector,
        done: &mut dyn FnMut(tree::Statement),
    ) -> Vec<scripts::ScriptUse> {
        let (mut in_braces, mut in_keywords) = (Collector::default(), Collector::default());
        let mut context = Context::new(self.options, self.machine, vocabulary, &mut in_keywords);
        let mut take = |statement: tree::Statement| {
            let statements = std::slice::from_ref(&statement);
            keywords::apply("", table, statements, draft, &mut context);
            done(statement);
        };
        let wants = |block: &str, word: &str| vocabulary.wants(block, word);
        let mut builder = tree::Builder::new(&wants, &mut in_braces, &mut take);
        text(found, &mut |token| builder.token(token));
        builder.finish();
        let scripts_seen = std::mem::take(&mut context.scripts_seen);
        found.append(in_braces);
        found.append(in_keywords);
        scripts_seen
    }
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
