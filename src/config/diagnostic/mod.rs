//! What is told about a configuration: one finding, and how it is printed.
//!
//! Decides the severities and the exit code of a configuration test. The printed
//! forms are in `c_line.rs` (as C keepalived logs it), `snippet.rs` (for people)
//! and `json.rs` (for programs); what each code means at length is in
//! `explanations.rs`. Which findings there are is decided where they are found.
//! Source: specification A.4, A.11, A.12.

use crate::hashing::QuickSet;

use super::lex::Origin;
use super::source::Span;

mod c_line;
mod explanations;
mod json;
mod snippet;

pub use explanations::{EXPLANATIONS, explanation};
pub use json::Record;

/// How much a finding matters to a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Hint,
    /// Probably not what was meant; the daemon runs as the message says.
    Warning,
    /// Wrong; the line is not used as written. The daemon runs without it.
    Error,
    /// The daemon refuses to start or to reload with this file.
    Fatal,
}

impl Severity {
    /// The word in a snippet.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hint => "hint",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Fatal => "fatal error",
        }
    }
}

/// What a finding does to the exit code of `-t` (specification A.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Nothing.
    None,
    /// C's fatal classes: 4.
    Fatal,
    /// Any other finding that C counts: 5.
    General,
    /// Scripts without `enable_script_security`: 6.
    Security,
    /// C ends at once with 2.
    MissingParameter,
    /// There is no configuration: 6.
    NoConfiguration,
}

impl Class {
    /// The exit code if this is the worst class.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Fatal => 4,
            Self::General => 5,
            Self::Security | Self::NoConfiguration => 6,
            Self::MissingParameter => 2,
        }
    }
}

/// A second place that explains a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is there, a lower-case fragment.
    pub text: String,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// A stable name of this kind of finding, for example `unknown-keyword`.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What it does to the exit code.
    pub class: Class,
    /// C's text where C has one.
    pub message: String,
    /// The place, if it has one.
    pub span: Option<Span>,
    /// Found after reading: C's line has no place then.
    pub after_reading: bool,
    /// Found at the end of a file: the log names the place if there are several files.
    pub at_end_of_file: bool,
    /// Other places.
    pub labels: Vec<Label>,
    /// What to do, one sentence each.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// A finding without a place. Control characters, which may come from the
    /// file, are made visible.
    pub fn new(
        code: &'static str,
        severity: Severity,
        class: Class,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code,
            severity,
            class,
            message: visible(message.into()),
            span: None,
            after_reading: false,
            at_end_of_file: false,
            labels: Vec::new(),
            help: Vec::new(),
        }
    }

    /// An ordinary error: C counts it, and runs.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, Class::General, message)
    }

    /// A warning that C counts, too.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, Class::General, message)
    }

    /// Something that does not change the exit code.
    pub fn hint(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Hint, Class::None, message)
    }

    /// An error that no daemon may run with.
    pub fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Fatal, Class::Fatal, message)
    }

    /// At this place; a text that came out of a definition points there too.
    pub fn at(mut self, origin: &Origin) -> Self {
        self.span = Some(origin.span);
        match origin.defined {
            Some(span) if span != origin.span => self.label(span, "defined here"),
            _ => self,
        }
    }

    /// Found after reading.
    pub fn after_reading(mut self) -> Self {
        self.after_reading = true;
        self
    }

    /// Found at the end of a file, which is one of several perhaps.
    pub fn at_end_of_file(mut self) -> Self {
        self.at_end_of_file = true;
        self
    }

    /// With a second place.
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// With a sentence about what to do; lines that follow are an example.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        let text = text.into();
        let text = if text.contains('\n') {
            let lines: Vec<String> = text.split('\n').map(visible).collect();
            lines.join("\n")
        } else {
            visible(text)
        };
        self.help.push(text);
        self
    }
}

/// All findings of one reading.
#[derive(Debug, Default)]
pub struct Collector {
    found: Vec<Diagnostic>,
    seen: Vec<(Severity, Class)>,
    /// What was said of which place; of a text that is repeated, one is enough.
    said: QuickSet<(Span, Option<Span>, String)>,
    left_out: usize,
    only_warns: bool,
}

/// A hostile file could produce a finding for each line; nobody reads more.
const DIAGNOSTICS_MAX: usize = 1_000;

impl Collector {
    /// Keeps a finding, but not a second time. Beyond a limit only the first of its kind is kept, so
    /// that neither the exit code nor a refusal can get lost.
    pub fn push(&mut self, mut diagnostic: Diagnostic) {
        if self.only_warns {
            diagnostic.severity = diagnostic.severity.min(Severity::Warning);
        }
        if let Some(span) = diagnostic.span
            && self.found.len() < DIAGNOSTICS_MAX
        {
            let defined = diagnostic.labels.first().map(|label| label.span);
            let said = (span, defined, diagnostic.message.clone());
            if !self.said.insert(said) {
                return;
            }
        }
        let kind = (diagnostic.severity, diagnostic.class);
        let is_new = !self.seen.contains(&kind);
        if is_new {
            self.seen.push(kind);
        }
        if is_new || self.found.len() < DIAGNOSTICS_MAX {
            self.found.push(diagnostic);
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    /// Adds what was found elsewhere.
    pub fn append(&mut self, other: Self) {
        other.found.into_iter().for_each(|found| self.push(found));
        self.left_out = self.left_out.saturating_add(other.left_out);
    }

    /// Whether no daemon may run with what was found so far.
    pub fn is_refused(&self) -> bool {
        self.seen
            .iter()
            .any(|(severity, _)| *severity == Severity::Fatal)
    }

    /// From now on nothing is worse than a warning, because what is read is not
    /// carried out, or it is as before. The exit code of a test does not change.
    pub fn lower_to_warnings(&mut self, only_warns: bool) {
        self.only_warns = only_warns;
    }

    /// How many there are so far.
    pub fn count(&self) -> usize {
        self.found.len().saturating_add(self.left_out)
    }

    /// The findings in the order in which they were found.
    pub fn into_found(mut self) -> Vec<Diagnostic> {
        if self.left_out > 0 {
            let text = format!("{} further messages are left out", self.left_out);
            self.found
                .push(Diagnostic::hint("too-many", text).after_reading());
        }
        self.found
    }
}

/// Control characters and those that turn the direction of writing become
/// visible, so that a file cannot play with the terminal.
fn visible<T: AsRef<str> + Into<String>>(text: T) -> String {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~');
    // Almost every text.
    if text.as_ref().as_bytes().iter().all(is_plain) {
        return text.into();
    }
    text.as_ref()
        .chars()
        .map(|c| match c {
            '\t' => ' ',
            c if is_unprintable(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
