//! `include` and its relatives: which files a line names, and which failures
//! are errors.
//!
//! Decides the csh braces of a pattern and the checks of each keyword. What a
//! pattern without braces matches is for [`Files`](super::super::source::Files).
//! Source: specification A.5.

use std::path::{Path, PathBuf};

use super::{Here, INCLUDE_DEPTH_MAX, INCLUDES_MAX, Reader};
use crate::config::diagnostic::{Class, Diagnostic, Severity};
use crate::config::lex::{Origin, Text};
use crate::config::source::FileProblem;

/// Braces in a longer pattern are plain characters, and its directories are not
/// looked at.
const PATTERN_BYTES_MAX: usize = 1_023;
/// Patterns that the braces of one pattern may stand for.
const ALTERNATIVES_MAX: usize = 1_024;

/// Which failures of includes are errors (specification A.5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct IncludeChecks {
    readable: bool,
    matches: bool,
    wildcard: bool,
    brace: bool,
}

impl IncludeChecks {
    pub(super) const ALL: Self = Self {
        readable: true,
        matches: true,
        wildcard: true,
        brace: true,
    };

    pub(super) const fn or(self, other: Self) -> Self {
        Self {
            readable: self.readable || other.readable,
            matches: self.matches || other.matches,
            wildcard: self.wildcard || other.wildcard,
            brace: self.brace || other.brace,
        }
    }

    /// The checks that an include keyword adds; `None` for any other word.
    pub(super) fn of_keyword(word: &str) -> Option<Self> {
        let none = Self::default();
        let readable = Self {
            readable: true,
            ..none
        };
        Some(match word {
            "include" => none,
            "includer" => readable,
            "includem" => Self {
                matches: true,
                ..readable
            },
            "includew" => Self {
                matches: true,
                wildcard: true,
                ..readable
            },
            "includeb" => Self {
                brace: true,
                ..readable
            },
            "includea" => Self::ALL,
            _ => return None,
        })
    }

    /// `include_check [[+|-]NAME ...]`: without words everything is checked; a
    /// first word without a sign starts from nothing.
    pub(super) fn changed_by(mut self, words: &[&str]) -> Self {
        if words.is_empty() {
            return Self::ALL;
        }
        if words
            .first()
            .is_some_and(|word| !word.starts_with(['+', '-']))
        {
            self = Self::default();
        }
        for word in words {
            let on = !word.starts_with('-');
            match word.trim_start_matches(['+', '-']) {
                "read" | "readable" => self.readable = on,
                "match" => self.matches = on,
                "wildcard_match" => self.wildcard = on,
                "brace_match" => self.brace = on,
                _ => continue,
            }
            self.readable |= on;
        }
        self
    }
}

/// What a pattern names.
#[derive(Debug, Default)]
pub(super) struct Matches {
    /// The files, in the order of the alternatives.
    pub paths: Vec<PathBuf>,
    /// An alternative names nothing, and not because of its wildcards.
    pub missing: bool,
    /// One of the alternatives has wildcards.
    wild: bool,
    /// There are braces in the pattern.
    braces: bool,
}

impl Reader<'_> {
    /// The files that a pattern names, seen from a directory; `None` if its
    /// braces stand for too much.
    pub(super) fn matches(&mut self, pattern: &str, directory: &Path) -> Option<Matches> {
        let alternatives = alternatives(pattern)?;
        let mut all = Matches {
            braces: alternatives.len() > 1,
            ..Matches::default()
        };
        for alternative in alternatives {
            self.includes = self.includes.saturating_add(1);
            let found = self.matching(Path::new(&alternative), directory);
            all.wild |= is_wild(&alternative);
            all.missing |= found.is_empty() && self.is_missing(&alternative, directory);
            for path in found {
                if all.paths.last() != Some(&path) {
                    all.paths.push(path);
                }
            }
        }
        Some(all)
    }

    /// The files that a pattern without braces names; a replay answers the same.
    fn matching(&mut self, pattern: &Path, directory: &Path) -> Vec<PathBuf> {
        let found = self.files.matching(pattern, directory);
        self.sources.remember_matches(pattern, directory, &found);
        found
    }

    /// Whether a pattern without a match names something that should be there: a
    /// file, or the directory of a wildcard. C says so (observed); a wildcard that
    /// nothing fits in its directory is no mistake.
    fn is_missing(&mut self, pattern: &str, directory: &Path) -> bool {
        let mut pattern = pattern.trim_end_matches('/');
        if pattern.len() > PATTERN_BYTES_MAX {
            return !is_wild(pattern);
        }
        loop {
            self.includes = self.includes.saturating_add(1);
            let (outer, last) = pattern.rsplit_once('/').unwrap_or(("", pattern));
            let outer = outer.trim_end_matches('/');
            if outer.is_empty() || !self.matching(Path::new(outer), directory).is_empty() {
                return !is_wild(last);
            }
            if !is_wild(outer) {
                return true;
            }
            pattern = outer;
        }
    }

    pub(super) fn include(
        &mut self,
        here: &Here<'_>,
        line: &Text,
        word: usize,
        added: IncludeChecks,
    ) {
        let checks = self.checks.or(added);
        let argument = line.part(word, line.text.len()).trimmed();
        let origin = argument.whole();
        if self.open_files.len() > INCLUDE_DEPTH_MAX {
            let text = format!("includes are nested deeper than {INCLUDE_DEPTH_MAX}");
            self.found
                .push(Diagnostic::fatal("include-depth", text).at(&origin));
            return;
        }
        let directory = here.path.parent().unwrap_or(Path::new("")).to_path_buf();
        let Some(matches) = self.matches(&argument.text, &directory) else {
            let text = format!("the braces stand for more than {ALTERNATIVES_MAX} names");
            self.found
                .push(Diagnostic::fatal("include-braces", text).at(&origin));
            return;
        };
        if self.includes > INCLUDES_MAX {
            self.give_up(&origin, "the configuration is too large");
            return;
        }
        self.tell_of_missing(&argument.text, &matches, checks, &origin);
        for path in matches.paths {
            if self.gave_up {
                return;
            }
            if self.open_files.contains(&path) {
                let text = format!("{} includes itself", path.display());
                self.found
                    .push(Diagnostic::fatal("include-cycle", text).at(&origin));
                continue;
            }
            if let Err((path, problem)) = self.read_file(&path, Some(origin.span)) {
                self.include_failed(file_message(&path, problem), &origin, checks.readable);
            }
        }
    }

    fn tell_of_missing(
        &mut self,
        pattern: &str,
        matches: &Matches,
        checks: IncludeChecks,
        origin: &Origin,
    ) {
        let checked = if matches.braces {
            checks.brace
        } else {
            checks.matches
        };
        if !matches.paths.is_empty() {
            if matches.missing {
                self.include_failed(some_missing(pattern), origin, checks.brace);
            }
        } else if matches.missing || !matches.wild {
            let text = format!("Config files missing '{pattern}'.");
            self.include_failed(text, origin, checked);
        } else if checks.wildcard {
            let text = format!("No config files matched '{pattern}'.");
            self.include_failed(text, origin, true);
        }
    }

    /// C counts a failed include only if a check asks for it, and then stops.
    fn include_failed(&mut self, text: String, origin: &Origin, checked: bool) {
        let (severity, class) = if checked {
            (Severity::Fatal, Class::NoConfiguration)
        } else {
            (Severity::Warning, Class::None)
        };
        self.found
            .push(Diagnostic::new("include", severity, class, text).at(origin));
    }
}

/// Whether there are wildcards in it.
fn is_wild(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// C's text for braces of which some name nothing.
pub(super) fn some_missing(pattern: &str) -> String {
    format!("Some config files missing: \"{pattern}\".")
}

/// The patterns that csh braces stand for, in order; `None` if they are too
/// many. `{}` and braces without a partner are plain characters.
fn alternatives(pattern: &str) -> Option<Vec<String>> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Some(vec![pattern.to_string()]);
    }
    let mut done = Vec::new();
    // The last one is worked on next, so that the order is that of the text.
    let mut todo = vec![pattern.to_string()];
    while let Some(pattern) = todo.pop() {
        let Some((open, commas, close)) = first_braces(&pattern) else {
            done.push(pattern);
            continue;
        };
        let before = pattern.get(..open).unwrap_or_default();
        let after = pattern.get(close.saturating_add(1)..).unwrap_or_default();
        let mut end = close;
        for comma in commas.iter().rev().chain([&open]) {
            let choice = pattern
                .get(comma.saturating_add(1)..end)
                .unwrap_or_default();
            todo.push(format!("{before}{choice}{after}"));
            end = *comma;
        }
        if todo.len().saturating_add(done.len()) > ALTERNATIVES_MAX {
            return None;
        }
    }
    Some(done)
}

/// The first braces that are a choice: where they open, their commas, and where
/// they close.
fn first_braces(pattern: &str) -> Option<(usize, Vec<usize>, usize)> {
    let mut open: Option<usize> = None;
    let mut commas = Vec::new();
    let mut depth = 0_usize;
    for (at, byte) in pattern.bytes().enumerate() {
        match byte {
            b'{' if open.is_none() && pattern.get(at..)?.starts_with("{}") => {}
            b'{' => {
                depth = depth.saturating_add(1);
                open = open.or(Some(at));
            }
            b'}' if depth == 1 => return Some((open?, commas, at)),
            b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 1 => commas.push(at),
            _ => {}
        }
    }
    None
}

/// C's text for a file that cannot be used.
pub(in crate::config) fn file_message(path: &Path, problem: FileProblem) -> String {
    let path = path.display().to_string();
    let path = path.trim_end_matches('/');
    match problem {
        FileProblem::Missing => format!("Config files missing '{path}'."),
        FileProblem::Directory => {
            format!("Configuration file '{path}' is a directory - skipping")
        }
        FileProblem::NotRegularOrExecutable => {
            format!("Configuration file '{path}' is not a regular non-executable file - skipping")
        }
        FileProblem::Unreadable(_) => {
            format!("Configuration file '{path}' cannot be read: {problem}")
        }
    }
}
