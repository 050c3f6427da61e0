//! Files to a stream of logical lines and braces: comments taken off,
//! conditions decided, definitions replaced, sequences repeated, includes
//! followed, every part with its place.
//!
//! Decides the order in which one line is treated (specification A.1) and all
//! limits that keep a hostile file harmless. Does not know any keyword except
//! the includes, `include_check` and `random_seed`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::Options;
use super::diagnostic::{Class, Collector, Diagnostic, Severity};
use super::lex::{self, Origin, Text, is_blank};
use super::source::{FileId, FileProblem, Files, Sources, Span};

mod definitions;
mod include;
mod sequence;

use definitions::{Definition, LongDefinition, Random};
pub(super) use include::file_message;
use include::{IncludeChecks, some_missing};

/// A longer line is ignored. C stops at 1023 bytes.
const LINE_BYTES_MAX: usize = 65_536;
/// Files that include files that include files.
const INCLUDE_DEPTH_MAX: usize = 32;
/// Files in one configuration.
const FILES_MAX: usize = 4_096;
/// Bytes in one configuration.
const TOTAL_BYTES_MAX: usize = 64 << 20;
/// Patterns in one configuration.
const INCLUDES_MAX: usize = 16_384;
/// Searching for the nearest name is slow, and nobody reads more of them.
const SUGGESTIONS_MAX: usize = 20;
/// Sequences and definitions of several lines inside each other, and
/// definitions in the values of definitions.
const NESTING_MAX: usize = 32;
/// Lines that sequences and definitions of several lines may produce.
const GENERATED_LINES_MAX: usize = 200_000;
/// Bytes that replacing definitions may go through.
const GENERATED_BYTES_MAX: usize = 64 << 20;

/// A unit of the block structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A statement, trimmed and not empty.
    Line(Text),
    /// `{`
    Open(Origin),
    /// `}`
    Close(Origin),
}

/// Reads `main` and everything that it includes. `take` gets what comes out, in
/// the order of reading; returned is everything that was read.
pub fn read_all(
    files: &dyn Files,
    main: &Path,
    options: &Options,
    found: &mut Collector,
    take: &mut dyn FnMut(Token),
) -> Sources {
    let mut sources = Sources::default();
    let mut reader = Reader::new(files, options, &mut sources, found, take);
    reader.read_main(main);
    reader.hand_on();
    sources
}

/// Reads one file and everything that it includes, after others: it joins `sources`,
/// and knows nothing of what they define.
pub fn read_more(
    files: &dyn Files,
    path: &Path,
    options: &Options,
    sources: &mut Sources,
    found: &mut Collector,
    take: &mut dyn FnMut(Token),
) -> Result<(), FileProblem> {
    let mut reader = Reader::new(files, options, sources, found, take);
    let answer = reader.read_file(path, None);
    reader.hand_on();
    answer.map_err(|(_, problem)| problem)
}

struct Reader<'a> {
    files: &'a dyn Files,
    options: &'a Options,
    found: &'a mut Collector,
    checks: IncludeChecks,
    sources: &'a mut Sources,
    take: &'a mut dyn FnMut(Token),
    /// What the line in hand has produced so far.
    tokens: Vec<Token>,
    definitions: HashMap<String, Definition>,
    /// The definition of several lines whose lines are being collected.
    long_definition: Option<LongDefinition>,
    /// The definitions of several lines that are being read, innermost last.
    expanding: Vec<String>,
    random: Random,
    /// How many sequences and definitions of several lines are being read.
    nesting: usize,
    /// The line in hand comes out of one of them, not out of a file.
    replaying: bool,
    /// The chain of includes that is being read, innermost last.
    open_files: Vec<PathBuf>,
    total_bytes: usize,
    generated_lines: usize,
    generated_bytes: usize,
    includes: usize,
    suggestions: usize,
    /// A limit was passed: nothing more is read.
    gave_up: bool,
}

/// The file whose lines are being read.
struct Here<'p> {
    id: FileId,
    path: &'p Path,
    told_of_blanks: bool,
    told_of_encoding: bool,
}

impl<'a> Reader<'a> {
    fn new(
        files: &'a dyn Files,
        options: &'a Options,
        sources: &'a mut Sources,
        found: &'a mut Collector,
        take: &'a mut dyn FnMut(Token),
    ) -> Self {
        let checks = if options.all_include_checks {
            IncludeChecks::ALL
        } else {
            IncludeChecks::default()
        };
        Self {
            files,
            options,
            found,
            checks,
            sources,
            take,
            tokens: Vec::new(),
            definitions: HashMap::new(),
            long_definition: None,
            expanding: Vec::new(),
            random: Random::new(options.random_seed),
            nesting: 0,
            replaying: false,
            open_files: Vec::new(),
            total_bytes: 0,
            generated_lines: 0,
            generated_bytes: 0,
            includes: 0,
            suggestions: 0,
            gave_up: false,
        }
    }

    fn read_main(&mut self, main: &Path) {
        let matches = self.matches(&main.to_string_lossy(), Path::new(""));
        let matches = matches.unwrap_or_default();
        let Some(first) = matches.paths.first() else {
            self.no_configuration(format!("Config files missing '{}'.", main.display()));
            return;
        };
        if matches.missing {
            let text = some_missing(&main.to_string_lossy());
            let class = Class::None;
            self.found
                .push(Diagnostic::new("include", Severity::Warning, class, text));
        }
        if matches.paths.len() > 1 {
            let text = format!(
                "WARNING, multiple configuration file matches of {}, starting with {}",
                main.display(),
                first.display()
            );
            self.found
                .push(Diagnostic::warning("several-main-files", text));
        }
        for path in &matches.paths {
            if let Err((path, problem)) = self.read_file(path, None) {
                let text = file_message(&path, problem);
                self.no_configuration(text);
            }
        }
    }

    fn no_configuration(&mut self, text: String) {
        let class = Class::NoConfiguration;
        self.found.push(Diagnostic::new(
            "no-configuration",
            Severity::Fatal,
            class,
            text,
        ));
    }

    /// Reads nothing more; what the line in hand has produced is dropped.
    fn give_up(&mut self, origin: &Origin, text: &str) {
        if !self.gave_up {
            self.gave_up = true;
            self.tokens.clear();
            self.found.push(Diagnostic::fatal("limit", text).at(origin));
        }
    }

    /// Hands on what a line has produced: it is not dropped any more.
    fn hand_on(&mut self) {
        self.tokens.drain(..).for_each(&mut *self.take);
    }

    /// Counts what is produced; false if it is too much.
    fn may_generate(&mut self, lines: usize, bytes: usize, origin: &Origin) -> bool {
        self.generated_lines = self.generated_lines.saturating_add(lines);
        self.generated_bytes = self.generated_bytes.saturating_add(bytes);
        if self.generated_lines > GENERATED_LINES_MAX {
            let text = format!("more than {GENERATED_LINES_MAX} lines are produced");
            self.give_up(origin, &text);
        } else if self.generated_bytes > GENERATED_BYTES_MAX {
            self.give_up(origin, "the definitions produce too much text");
        }
        !self.gave_up
    }

    fn read_file(
        &mut self,
        path: &Path,
        included_at: Option<Span>,
    ) -> Result<(), (PathBuf, FileProblem)> {
        let bytes = self.files.read(path).map_err(|problem| {
            self.sources.remember_read(path, Err(problem));
            (path.to_path_buf(), problem)
        })?;
        self.total_bytes = self.total_bytes.saturating_add(bytes.len());
        let (id, text) = self.sources.add(path, bytes, included_at);
        if self.total_bytes > TOTAL_BYTES_MAX || self.sources.len() > FILES_MAX {
            let start = Text::literal("", id, 0).whole();
            self.give_up(&start, "the configuration is too large");
            return Ok(());
        }
        let checks = self.checks;
        let was_replaying = std::mem::replace(&mut self.replaying, false);
        self.open_files.push(path.to_path_buf());
        let mut here = Here {
            id,
            path,
            told_of_blanks: false,
            told_of_encoding: false,
        };
        let mut at = 0_usize;
        for line in text.split_inclusive('\n') {
            if self.gave_up {
                break;
            }
            if self.nesting == 0 {
                self.hand_on();
            }
            self.physical_line(&mut here, line.trim_end_matches(['\n', '\r']), at);
            at = at.saturating_add(line.len());
        }
        self.end_long_definition();
        self.open_files.pop();
        self.replaying = was_replaying;
        self.checks = checks;
        Ok(())
    }

    fn physical_line(&mut self, here: &mut Here<'_>, line: &str, start: usize) {
        let start_of_line = || Text::literal(first_character(line), here.id, start).whole();
        if line.len() > LINE_BYTES_MAX {
            let text = "line too long - ignoring";
            let help = format!("A line may have {LINE_BYTES_MAX} bytes.");
            let diagnostic = Diagnostic::error("line-too-long", text).at(&start_of_line());
            self.found.push(diagnostic.help(help));
            return;
        }
        let contents = lex::Contents::of(line);
        if contents.has_nul() {
            let text = "configuration appears to have embedded NULs - ignoring line";
            self.found
                .push(Diagnostic::error("embedded-nul", text).at(&start_of_line()));
            return;
        }
        if line.is_empty() {
            self.end_long_definition();
            return;
        }
        let blanks = line.len().saturating_sub(line.trim_ascii_start().len());
        let start = start.saturating_add(blanks);
        let raw = Text::literal(line.trim_ascii(), here.id, start);
        // Almost every line: what follows would find nothing in it.
        if contents.is_literal() && self.long_definition.is_none() {
            if !raw.text.is_empty() {
                self.expanded_line(here, raw);
            }
            return;
        }
        let uncommented = lex::strip_comment(raw);
        self.tell_of_characters(here, &uncommented);
        let text = uncommented.text;
        if text.text.is_empty() {
            return;
        }
        if uncommented.unterminated {
            let message = format!("Unterminated quote '{}'", text.text);
            let quote = text.text.rfind('"').unwrap_or(0);
            let origin = text.origin(quote, quote.saturating_add(1));
            self.found
                .push(Diagnostic::error("unterminated-quote", message).at(&origin));
        }
        if !self.continue_long_definition(&text) {
            self.logical_line(here, text);
        }
    }

    /// One hint for each file about blanks that C would not take for blanks,
    /// and one error about text that is not UTF-8 and is not in a comment.
    fn tell_of_characters(&mut self, here: &mut Here<'_>, uncommented: &lex::Uncommented) {
        if let Some((c, origin)) = uncommented.foreign_blank.filter(|_| !here.told_of_blanks) {
            here.told_of_blanks = true;
            let text = format!("U+{:04X} is taken for a blank here", c as u32);
            let help = "C keepalived takes it for a part of a word; replace it with a plain blank.";
            self.found.push(
                Diagnostic::hint("foreign-blank", text)
                    .at(&origin)
                    .help(help),
            );
        }
        if here.told_of_encoding {
            return;
        }
        if let Some(at) = uncommented.text.text.find('\u{fffd}') {
            here.told_of_encoding = true;
            let origin = uncommented.text.origin(at, at.saturating_add(3));
            let text = "the text is not valid UTF-8";
            let help = "Outside of comments, characters of other encodings are lost.";
            self.found
                .push(Diagnostic::error("encoding", text).at(&origin).help(help));
        }
    }

    /// Treats a line again and again until nothing in it is left to replace.
    fn logical_line(&mut self, here: &Here<'_>, text: Text) {
        let mut text = text;
        let mut as_written = None;
        for _ in 0..=NESTING_MAX {
            let Some(kept) = self.without_condition(text) else {
                return;
            };
            text = kept;
            if self.define(&text) || self.sequence(here, &text) {
                return;
            }
            if !text.text.contains('$') {
                self.expanded_line(here, text);
                return;
            }
            let replaced = self.replace(here, &text);
            if self.gave_up {
                return;
            }
            if let Some(lines) = replaced.lines {
                self.lines_of_definition(here, &replaced.text, lines);
                return;
            }
            if !replaced.changed {
                self.expanded_line(here, replaced.text);
                return;
            }
            let too_long = replaced.text.text.len() > LINE_BYTES_MAX;
            let before = std::mem::replace(&mut text, replaced.text.trimmed());
            as_written.get_or_insert(before);
            if too_long {
                break;
            }
        }
        self.never_ends(&as_written.unwrap_or(text));
    }

    /// The line behind a condition that holds, `None` if it does not hold or
    /// nothing stands behind it (specification A.6).
    fn without_condition(&mut self, text: Text) -> Option<Text> {
        let Some(rest) = text.text.strip_prefix('@') else {
            return Some(text);
        };
        let (wanted, id) = match rest.strip_prefix('^') {
            Some(id) => (false, id),
            None => (true, rest),
        };
        let id = id.split(is_blank).next().unwrap_or_default();
        let end = if wanted { 1 } else { 2_usize }.saturating_add(id.len());
        let holds = (id == self.options.config_id) == wanted;
        let rest = text.part(end, text.text.len()).trimmed();
        (holds && !rest.text.is_empty()).then_some(rest)
    }

    /// A line with nothing left to replace: an include, or statements.
    fn expanded_line(&mut self, here: &Here<'_>, text: Text) {
        let begins = text.text.trim_start_matches(is_blank);
        if !begins.starts_with("include") && !begins.starts_with("random_seed") {
            self.split_at_braces(text);
            return;
        }
        let mut words = text.text.split(is_blank).filter(|word| !word.is_empty());
        let first = words.next().unwrap_or_default();
        let second = words.next();
        if second.is_some()
            && let Some(checks) = IncludeChecks::of_keyword(first)
        {
            self.include(here, &text, first.len(), checks);
            return;
        }
        match (first, second) {
            ("include_check", second) => {
                let words: Vec<&str> = second.into_iter().chain(words).collect();
                self.checks = self.checks.changed_by(&words);
            }
            ("random_seed", Some(seed)) => {
                if let Ok(seed) = seed.parse::<u32>() {
                    self.random = Random::new(seed.into());
                }
            }
            _ => {}
        }
        self.split_at_braces(text);
    }

    fn split_at_braces(&mut self, text: Text) {
        let mut bytes = text.text.bytes();
        let Some(first) = bytes.position(|byte| matches!(byte, b'{' | b'}')) else {
            self.statement(text);
            return;
        };
        // Almost every line with a brace ends with it.
        let end = first.saturating_add(1);
        let before = text.text.get(..first).unwrap_or_default();
        if end == text.text.len() && !before.contains('"') && !text.is_verbatim(first) {
            let origin = text.origin(first, end);
            let token = match text.text.ends_with('{') {
                true => Token::Open(origin),
                false => Token::Close(origin),
            };
            if first > 0 {
                self.statement(text.into_part(0, first));
            }
            self.tokens.push(token);
            return;
        }
        let mut in_quotes = false;
        let mut from = 0;
        for (at, c) in text.text.char_indices() {
            in_quotes ^= c == '"';
            if in_quotes || !matches!(c, '{' | '}') || text.is_verbatim(at) {
                continue;
            }
            let end = at.saturating_add(1);
            let origin = text.origin(at, end);
            self.statement(text.part(from, at));
            from = end;
            let token = if c == '{' {
                Token::Open(origin)
            } else {
                Token::Close(origin)
            };
            self.tokens.push(token);
        }
        self.statement(text.part(from, text.text.len()));
    }

    fn statement(&mut self, text: Text) {
        let statement = text.trimmed();
        if !statement.text.is_empty() {
            self.tokens.push(Token::Line(statement));
        }
    }
}

/// C's text for a statement that is too short (specification A.4).
pub fn missing_parameter(line: &str, after: &str, position: usize) -> String {
    format!(
        "*** Configuration line starting `{line}` is missing a parameter after keyword `{after}` \
         at word position {position}"
    )
}

fn first_character(line: &str) -> &str {
    let length = line.chars().next().map_or(0, char::len_utf8);
    line.get(..length).unwrap_or_default()
}
