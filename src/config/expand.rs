//! Files to a flat list of logical lines and braces: comments taken off,
//! definitions replaced, includes followed, every part with its place.
//!
//! Decides the order in which one physical line is treated (specification A.1)
//! and all limits that keep a hostile file harmless. Does not know any keyword
//! except the includes and `include_check`.
//!
//! Conditional lines (`@id`), definitions of several lines, `~SEQ`, `~LST`,
//! `_RANDOM` and `_ENV` are recognised and refused: reading on without them
//! would mean something else.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::Options;
use super::diagnostic::{Class, Collector, Diagnostic, Severity};
use super::lex::{self, Origin, Text, is_blank};
use super::source::{FileId, FileProblem, Files, Sources, Span};

/// A longer physical line is ignored. C stops at 1023 bytes.
const LINE_BYTES_MAX: usize = 65_536;
/// Files that include files that include files.
const INCLUDE_DEPTH_MAX: usize = 32;
/// Files in one configuration.
const FILES_MAX: usize = 4_096;
/// Bytes in one configuration.
const TOTAL_BYTES_MAX: usize = 64 << 20;
/// Patterns in one configuration.
const INCLUDES_MAX: usize = 16_384;
/// `${...}` beyond this is plain text.
const USE_BYTES_MAX: usize = 256;
/// Searching for the nearest name is slow, and nobody reads more of them.
const SUGGESTIONS_MAX: usize = 20;
/// Definitions inside definitions.
const EXPANSION_DEPTH_MAX: usize = 32;
/// Replacements in one configuration.
const REPLACEMENTS_MAX: usize = 1_000_000;
/// Bytes that all replacements of one configuration may produce.
const REPLACED_BYTES_MAX: usize = 16 << 20;

/// A unit of the block structure.
#[derive(Debug, Clone)]
pub enum Token {
    /// A statement, trimmed and not empty.
    Line(Text),
    /// `{`
    Open(Origin),
    /// `}`
    Close(Origin),
}

/// What came out of all files.
#[derive(Debug, Default)]
pub struct Expanded {
    /// In the order of reading.
    pub tokens: Vec<Token>,
    /// Everything that was read.
    pub sources: Sources,
}

/// Reads `main` and everything that it includes.
pub fn read_all(
    files: &dyn Files,
    main: &Path,
    options: &Options,
    found: &mut Collector,
) -> Expanded {
    let checks = if options.all_include_checks {
        IncludeChecks::ALL
    } else {
        IncludeChecks::default()
    };
    let mut reader = Reader {
        files,
        options,
        found,
        checks,
        out: Expanded::default(),
        definitions: HashMap::new(),
        open_files: Vec::new(),
        total_bytes: 0,
        replacements: 0,
        replaced_bytes: 0,
        includes: 0,
        suggestions: 0,
        in_long_definition: false,
        gave_up: false,
    };
    reader.read_main(main);
    reader.out
}

/// Which failures of includes are errors (specification A.5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct IncludeChecks {
    readable: bool,
    matches: bool,
    wildcard: bool,
    brace: bool,
}

impl IncludeChecks {
    const ALL: Self = Self {
        readable: true,
        matches: true,
        wildcard: true,
        brace: true,
    };

    const fn or(self, other: Self) -> Self {
        Self {
            readable: self.readable || other.readable,
            matches: self.matches || other.matches,
            wildcard: self.wildcard || other.wildcard,
            brace: self.brace || other.brace,
        }
    }

    /// The checks that an include keyword adds; `None` for any other word.
    fn of_keyword(word: &str) -> Option<Self> {
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
    fn changed_by(mut self, words: &[&str]) -> Self {
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

/// `$NAME=value`.
#[derive(Debug, Clone)]
struct Definition {
    value: String,
    span: Span,
}

struct Reader<'a> {
    files: &'a dyn Files,
    options: &'a Options,
    found: &'a mut Collector,
    checks: IncludeChecks,
    out: Expanded,
    definitions: HashMap<String, Definition>,
    /// The chain of includes that is being read, innermost last.
    open_files: Vec<PathBuf>,
    total_bytes: usize,
    replacements: usize,
    replaced_bytes: usize,
    includes: usize,
    suggestions: usize,
    in_long_definition: bool,
    /// A limit was passed: nothing more is read.
    gave_up: bool,
}

/// The file whose lines are being read.
struct CurrentFile<'p> {
    id: FileId,
    path: &'p Path,
    told_of_blanks: bool,
    told_of_encoding: bool,
}

impl Reader<'_> {
    fn read_main(&mut self, main: &Path) {
        let nowhere = Path::new("");
        let found = self.files.matching(main, nowhere);
        self.out.sources.remember_matches(main, nowhere, &found);
        let Some(first) = found.first() else {
            self.no_configuration(format!("Config files missing '{}'.", main.display()));
            return;
        };
        if found.len() > 1 {
            let text = format!(
                "WARNING, multiple configuration file matches of {}, starting with {}",
                main.display(),
                first.display()
            );
            self.found
                .push(Diagnostic::warning("several-main-files", text));
        }
        for path in &found {
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

    fn give_up(&mut self, origin: &Origin, text: &str) {
        if !self.gave_up {
            self.gave_up = true;
            self.found.push(Diagnostic::fatal("limit", text).at(origin));
        }
    }

    fn read_file(
        &mut self,
        path: &Path,
        included_at: Option<Span>,
    ) -> Result<(), (PathBuf, FileProblem)> {
        let bytes = self.files.read(path).map_err(|problem| {
            self.out.sources.remember_read(path, Err(problem));
            (path.to_path_buf(), problem)
        })?;
        self.total_bytes = self.total_bytes.saturating_add(bytes.len());
        let (id, text) = self.out.sources.add(path, &bytes, included_at);
        let start = Origin {
            span: Span {
                file: id,
                start: 0,
                end: 0,
            },
            defined: None,
        };
        if self.total_bytes > TOTAL_BYTES_MAX || self.out.sources.len() > FILES_MAX {
            self.give_up(&start, "the configuration is too large");
            return Ok(());
        }
        let checks = self.checks;
        self.open_files.push(path.to_path_buf());
        let mut file = CurrentFile {
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
            self.physical_line(&mut file, line.trim_end_matches(['\n', '\r']), at);
            at = at.saturating_add(line.len());
        }
        self.open_files.pop();
        self.checks = checks;
        Ok(())
    }

    fn physical_line(&mut self, file: &mut CurrentFile<'_>, line: &str, start: usize) {
        let start_of_line = Text::literal(line.get(..1).unwrap_or_default(), file.id, start);
        if line.len() > LINE_BYTES_MAX {
            let text = "line too long - ignoring";
            self.found
                .push(Diagnostic::error("line-too-long", text).at(&start_of_line.whole()));
            return;
        }
        if line.contains('\0') {
            let text = "configuration appears to have embedded NULs - ignoring line";
            self.found
                .push(Diagnostic::error("embedded-nul", text).at(&start_of_line.whole()));
            return;
        }
        let raw = Text::literal(line, file.id, start);
        let uncommented = lex::strip_comment(&raw);
        self.tell_of_characters(file, &raw, &uncommented);
        let text = uncommented.text;
        if self.in_long_definition {
            // The rest of a definition that was refused.
            self.in_long_definition = text.text.ends_with('\\');
            return;
        }
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
        let text = self.without_condition(text);
        if self.define(&text) || self.refuse_sequence(&text) {
            return;
        }
        if !text.text.contains('$') {
            self.expanded_line(file, &text);
            return;
        }
        let mut out = Text::new();
        self.expand(file, &text, &mut out);
        let out = self.without_condition(out.trimmed());
        if !self.refuse_sequence(&out) {
            self.expanded_line(file, &out);
        }
    }

    /// One hint for each file about blanks that C would not take for blanks,
    /// and one error about text that is not UTF-8 and is not in a comment.
    fn tell_of_characters(
        &mut self,
        file: &mut CurrentFile<'_>,
        raw: &Text,
        uncommented: &lex::Uncommented,
    ) {
        if let Some((at, length)) = uncommented.foreign_blank.filter(|_| !file.told_of_blanks) {
            file.told_of_blanks = true;
            let c = raw
                .text
                .get(at..)
                .and_then(|rest| rest.chars().next())
                .unwrap_or(' ');
            let text = format!("U+{:04X} is taken for a blank here", c as u32);
            let help = "C keepalived takes it for a part of a word; replace it with a plain blank.";
            let origin = raw.origin(at, at.saturating_add(length));
            self.found.push(
                Diagnostic::hint("foreign-blank", text)
                    .at(&origin)
                    .help(help),
            );
        }
        if file.told_of_encoding {
            return;
        }
        if let Some(at) = uncommented.text.text.find('\u{fffd}') {
            file.told_of_encoding = true;
            let origin = uncommented.text.origin(at, at.saturating_add(3));
            let text = "the text is not valid UTF-8";
            let help = "Outside of comments, characters of other encodings are lost.";
            self.found
                .push(Diagnostic::error("encoding", text).at(&origin).help(help));
        }
    }

    /// Refuses `@id` and reads on behind it, so that the braces stay in balance.
    fn without_condition(&mut self, text: Text) -> Text {
        if !text.text.starts_with('@') {
            return text;
        }
        let length = text.text.find(is_blank).unwrap_or(text.text.len());
        let id = text.text.get(..length).unwrap_or_default();
        self.refuse(
            format!("conditional lines ('{id}') do not work yet"),
            &text.origin(0, length),
        );
        text.part(length, text.text.len()).trimmed()
    }

    /// Refuses `~SEQ(...)` and `~LST(...)`; true if the line is one.
    fn refuse_sequence(&mut self, text: &Text) -> bool {
        let is_sequence = text.text.starts_with("~SEQ") || text.text.starts_with("~LST");
        if is_sequence {
            let word = text.text.get(..4).unwrap_or_default();
            self.refuse(format!("{word} does not work yet"), &text.origin(0, 4));
        }
        is_sequence
    }

    fn refuse(&mut self, text: String, origin: &Origin) {
        self.found
            .push(Diagnostic::fatal("does-not-work-yet", text).at(origin));
    }

    /// Takes a `$NAME=value` line; false if it is another line.
    fn define(&mut self, text: &Text) -> bool {
        let Some(rest) = text.text.strip_prefix('$') else {
            return false;
        };
        let length = name_length(rest);
        let Some((name, rest)) = rest.split_at_checked(length) else {
            return false;
        };
        let Some(value) = rest.strip_prefix('=').filter(|_| length > 0) else {
            return false;
        };
        let value = value.trim_matches(is_blank);
        let origin = text.whole();
        if value.ends_with('\\') {
            self.in_long_definition = true;
            self.refuse(
                format!("definition of several lines ('${name}') does not work yet"),
                &origin,
            );
            return true;
        }
        let definition = Definition {
            value: value.to_string(),
            span: origin.span,
        };
        self.definitions.insert(name.to_string(), definition);
        true
    }

    /// Replaces all uses of definitions in a line.
    fn expand(&mut self, file: &CurrentFile<'_>, line: &Text, out: &mut Text) {
        let text = line.text.as_str();
        let mut kept_from = 0;
        let mut in_quotes = false;
        let mut at = 0;
        while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
            let next = at.saturating_add(c.len_utf8());
            in_quotes ^= c == '"';
            let used = text
                .get(at..)
                .filter(|_| c == '$')
                .and_then(use_of_definition);
            let Some(used) = used else {
                at = next;
                continue;
            };
            let end = at.saturating_add(used.length);
            let origin = line.origin(at, end);
            out.push_part(line, kept_from, at);
            kept_from = end;
            let mut value = String::new();
            match self.value_of(file, &used, &origin, &mut Vec::new(), &mut value) {
                Some(defined) => out.push_replaced(&value, origin, Some(defined)),
                None => {
                    if used.braces && !in_quotes {
                        self.undefined(&used, &origin);
                    }
                    let whole = text.get(at..end).unwrap_or_default();
                    // A unit, so that its braces do not count as braces of a block.
                    out.push_replaced(whole, origin, Some(origin.span));
                }
            }
            at = end;
            if self.gave_up {
                return;
            }
        }
        out.push_part(line, kept_from, text.len());
    }

    fn undefined(&mut self, used: &Use<'_>, origin: &Origin) {
        let text = format!("'{}' is not defined", used.name);
        self.suggestions = self.suggestions.saturating_add(1);
        if self.suggestions > SUGGESTIONS_MAX {
            self.found
                .push(Diagnostic::error("undefined", text).at(origin));
            return;
        }
        let known = self.definitions.keys().filter(|known| !known.is_empty());
        let near = known
            .map(|known| (strsim::osa_distance(known, used.name), known))
            .filter(|(distance, _)| *distance <= 2)
            .min();
        let mut diagnostic = Diagnostic::error("undefined", text).at(origin);
        if let Some((_, known)) = near {
            diagnostic = diagnostic.help(format!("Did you mean `{known}`?"));
        }
        self.found.push(diagnostic);
    }

    /// Appends the value of a definition, with the definitions in it replaced;
    /// gives the place of the definition, or `None` if there is none.
    fn value_of(
        &mut self,
        file: &CurrentFile<'_>,
        used: &Use<'_>,
        origin: &Origin,
        chain: &mut Vec<String>,
        out: &mut String,
    ) -> Option<Span> {
        let Some(definition) = self.definitions.get(used.name).cloned() else {
            return self.predefined(file, used, origin, out);
        };
        self.replacements = self.replacements.saturating_add(1);
        self.replaced_bytes = self.replaced_bytes.saturating_add(definition.value.len());
        if self.replacements > REPLACEMENTS_MAX || self.replaced_bytes > REPLACED_BYTES_MAX {
            self.give_up(origin, "the definitions produce too much text");
            return Some(definition.span);
        }
        if chain.iter().any(|name| name == used.name) || chain.len() >= EXPANSION_DEPTH_MAX {
            let text = format!("definition '{}' refers to itself", used.name);
            let diagnostic = Diagnostic::fatal("recursive-definition", text).at(origin);
            self.found
                .push(diagnostic.label(definition.span, "defined here"));
            return Some(definition.span);
        }
        chain.push(used.name.to_string());
        let value = definition.value.as_str();
        let mut at = 0;
        while let Some(dollar) = value.get(at..).and_then(|rest| rest.find('$')) {
            let begin = at.saturating_add(dollar);
            out.push_str(value.get(at..begin).unwrap_or_default());
            let inner = value.get(begin..).and_then(use_of_definition);
            let end = begin.saturating_add(inner.as_ref().map_or(1, |inner| inner.length));
            let known = inner
                .is_some_and(|inner| self.value_of(file, &inner, origin, chain, out).is_some());
            if !known {
                out.push_str(value.get(begin..end).unwrap_or_default());
            }
            at = end;
            if self.gave_up || out.len() > LINE_BYTES_MAX {
                self.give_up(
                    origin,
                    "Parameter substitution would exceed maximum line length",
                );
                break;
            }
        }
        out.push_str(value.get(at..).unwrap_or_default());
        chain.pop();
        Some(definition.span)
    }

    /// The names with an underscore that are always there.
    fn predefined(
        &mut self,
        file: &CurrentFile<'_>,
        used: &Use<'_>,
        origin: &Origin,
        out: &mut String,
    ) -> Option<Span> {
        if !used.braces {
            return None;
        }
        match used.name {
            "_HASH" => out.push('#'),
            "_BANG" => out.push('!'),
            "_INSTANCE" => out.push_str(&self.options.config_id),
            "_PWD" if file.path.is_absolute() => {
                out.push_str(&file.path.parent().unwrap_or(file.path).to_string_lossy());
            }
            "_PWD" => {
                self.refuse("'_PWD' needs an absolute file name".to_string(), origin);
            }
            "_RANDOM" | "_ENV" => {
                self.refuse(format!("'{}' does not work yet", used.name), origin);
            }
            _ => return None,
        }
        Some(origin.span)
    }

    /// A line with nothing left to replace: an include, or statements.
    fn expanded_line(&mut self, file: &CurrentFile<'_>, text: &Text) {
        let first = text.text.split(is_blank).next().unwrap_or_default();
        if let Some(checks) = IncludeChecks::of_keyword(first) {
            self.include(file, text, first.len(), checks);
            return;
        }
        if first == "include_check" {
            let words: Vec<&str> = text
                .text
                .split(is_blank)
                .filter(|w| !w.is_empty())
                .collect();
            self.checks = self.checks.changed_by(words.get(1..).unwrap_or_default());
        }
        self.split_at_braces(text);
    }

    fn split_at_braces(&mut self, text: &Text) {
        let mut in_quotes = false;
        let mut from = 0;
        for (at, c) in text.text.char_indices() {
            in_quotes ^= c == '"';
            if in_quotes || !matches!(c, '{' | '}') {
                continue;
            }
            let end = at.saturating_add(1);
            let origin = text.origin(at, end);
            // The braces of an undefined `${NAME}` belong to the word.
            if origin.defined == Some(origin.span) {
                continue;
            }
            self.statement(text, from, at);
            from = end;
            let token = if c == '{' {
                Token::Open(origin)
            } else {
                Token::Close(origin)
            };
            self.out.tokens.push(token);
        }
        self.statement(text, from, text.text.len());
    }

    fn statement(&mut self, text: &Text, from: usize, to: usize) {
        let statement = text.part(from, to).trimmed();
        if !statement.text.is_empty() {
            self.out.tokens.push(Token::Line(statement));
        }
    }

    fn include(&mut self, file: &CurrentFile<'_>, line: &Text, word: usize, added: IncludeChecks) {
        let checks = self.checks.or(added);
        let argument = line.part(word, line.text.len()).trimmed();
        let origin = argument.whole();
        if argument.text.is_empty() {
            let keyword = line.text.as_str();
            let text = missing_parameter(keyword, keyword, 2);
            let class = Class::MissingParameter;
            let diagnostic = Diagnostic::new("missing-parameter", Severity::Fatal, class, text);
            self.found.push(diagnostic.at(&line.whole()));
            return;
        }
        if self.open_files.len() > INCLUDE_DEPTH_MAX {
            let text = format!("includes are nested deeper than {INCLUDE_DEPTH_MAX}");
            self.found
                .push(Diagnostic::fatal("include-depth", text).at(&origin));
            return;
        }
        self.includes = self.includes.saturating_add(1);
        if self.includes > INCLUDES_MAX {
            self.give_up(&origin, "the configuration is too large");
            return;
        }
        let directory = file.path.parent().unwrap_or(Path::new("")).to_path_buf();
        let pattern = Path::new(&argument.text);
        let found = self.files.matching(pattern, &directory);
        self.out
            .sources
            .remember_matches(pattern, &directory, &found);
        if found.is_empty() {
            let wild = argument.text.contains(['*', '?', '[']);
            if !wild {
                let text = format!("Config files missing '{}'.", argument.text);
                self.include_failed(text, &origin, checks.matches);
            } else if checks.wildcard {
                let text = format!("No config files matched '{}'.", argument.text);
                self.include_failed(text, &origin, true);
            }
        }
        for path in found {
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

/// C's text for a statement that is too short (specification A.4).
pub fn missing_parameter(line: &str, after: &str, position: usize) -> String {
    format!(
        "*** Configuration line starting `{line}` is missing a parameter after keyword `{after}` \
         at word position {position}"
    )
}

fn file_message(path: &Path, problem: FileProblem) -> String {
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

/// A use of a definition at the start of a text.
struct Use<'t> {
    name: &'t str,
    /// Of the whole use, in bytes.
    length: usize,
    /// `${NAME}` and not `$NAME`.
    braces: bool,
}

/// `${NAME}`, `${NAME parameters}`, or `$NAME` before a blank, `,`, `)` or the end.
fn use_of_definition(text: &str) -> Option<Use<'_>> {
    let rest = text.strip_prefix('$')?;
    if let Some(inner) = rest.strip_prefix('{') {
        let close = inner
            .get(..inner.floor_char_boundary(USE_BYTES_MAX))?
            .find('}')?;
        let inner = inner.get(..close)?;
        let length = name_length(inner);
        let (name, parameters) = inner.split_at_checked(length)?;
        let has_parameters = parameters.starts_with([' ', '\t']);
        let takes_parameters = matches!(name, "_RANDOM" | "_ENV");
        if length == 0 || !(parameters.is_empty() || (takes_parameters && has_parameters)) {
            return None;
        }
        return Some(Use {
            name,
            length: close.saturating_add(3),
            braces: true,
        });
    }
    let length = name_length(rest);
    let (name, after) = rest.split_at_checked(length)?;
    let ends = after
        .chars()
        .next()
        .is_none_or(|c| is_blank(c) || matches!(c, ',' | ')'));
    (length > 0 && ends).then_some(Use {
        name,
        length: length.saturating_add(1),
        braces: false,
    })
}

/// How many bytes at the start of a text can be the name of a definition.
fn name_length(text: &str) -> usize {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    if starts { end.unwrap_or(text.len()) } else { 0 }
}
