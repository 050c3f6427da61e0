//! One finding for programs: the fields of `--format json`.
//!
//! Decides the names of the fields. They are stable: fields may be added, none
//! is renamed or removed.

use serde::Serialize;

use super::super::source::{Sources, Span};
use super::Diagnostic;
use super::snippet::included_from;

/// A finding as JSON has it. A finding without a place has `null` for `file`,
/// `line`, `column` and `end`.
#[derive(Debug, Serialize)]
pub struct Record<'a> {
    /// The stable name of this kind of finding.
    pub code: &'static str,
    /// `hint`, `warning`, `error` or `fatal error`.
    pub severity: &'static str,
    /// What this finding does to the exit code of `-t`; 0 is nothing.
    pub exit_code: u8,
    /// C's text where C has one.
    pub message: &'a str,
    /// The place.
    #[serde(flatten)]
    pub place: Where,
    /// Other places that explain the finding.
    pub labels: Vec<LabelRecord<'a>>,
    /// What to do, one sentence each.
    pub help: &'a [String],
}

/// A place. Lines and columns count from 1, columns count characters.
#[derive(Debug, Default, Serialize)]
pub struct Where {
    /// The file, as its name was found.
    pub file: Option<String>,
    /// The line.
    pub line: Option<usize>,
    /// The first column.
    pub column: Option<usize>,
    /// The column behind the last, on the same line.
    pub end: Option<usize>,
    /// The lines that include the file, the nearest first, each `FILE:LINE`.
    pub included_from: Vec<String>,
}

/// Another place and what is there.
#[derive(Debug, Serialize)]
pub struct LabelRecord<'a> {
    /// What is there.
    pub text: &'a str,
    /// Where.
    #[serde(flatten)]
    pub place: Where,
}

impl Diagnostic {
    /// The fields of this finding.
    pub fn record(&self, sources: &Sources) -> Record<'_> {
        let labels = self.labels.iter().map(|label| LabelRecord {
            text: &label.text,
            place: Where::of(label.span, sources),
        });
        Record {
            code: self.code,
            severity: self.severity.as_str(),
            exit_code: self.class.exit_code(),
            message: &self.message,
            place: self
                .span
                .map_or_else(Where::default, |span| Where::of(span, sources)),
            labels: labels.collect(),
            help: &self.help,
        }
    }
}

impl Where {
    fn of(span: Span, sources: &Sources) -> Self {
        let Some(place) = sources.place(span) else {
            return Self::default();
        };
        let marked = place.text.get(place.start..place.end).unwrap_or_default();
        Self {
            file: Some(place.path.to_string_lossy().into_owned()),
            line: Some(place.line),
            column: Some(place.column),
            end: Some(place.column.saturating_add(marked.chars().count())),
            included_from: included_from(span, sources),
        }
    }
}
