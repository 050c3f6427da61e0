//! `$NAME=value`: what a name stands for, and where it is used.
//!
//! Decides which texts are definitions and uses, and what the built-in names
//! give. A pass replaces every use in a line once; `expand` repeats it, because
//! what comes out may be a condition or a sequence.
//! Source: specification A.7, A.8.

use std::path::Path;
use std::rc::Rc;

use super::{Here, LINE_BYTES_MAX, NESTING_MAX, Reader, SUGGESTIONS_MAX};
use crate::config::diagnostic::Diagnostic;
use crate::config::lex::{Origin, Text, is_blank};
use crate::config::source::Span;

/// `${...}` beyond this is plain text.
const USE_BYTES_MAX: usize = 256;
/// Definitions that are shown for one that refers to itself.
const SHOWN_MAX: usize = 8;
/// C's largest `${_RANDOM}` without parameters.
const RANDOM_MAX: u64 = 32_767;
/// Of a line that became too long, this much is shown.
const SHOWN_BYTES_MAX: usize = 100;

/// What a name stands for.
#[derive(Debug, Clone)]
pub(super) struct Definition {
    value: Value,
    span: Span,
}

#[derive(Debug, Clone)]
enum Value {
    Line(Rc<str>),
    /// None of them is empty.
    Lines(Rc<[Text]>),
}

/// A definition of several lines that has not ended.
#[derive(Debug)]
pub(super) struct LongDefinition {
    name: String,
    lines: Vec<Text>,
    span: Span,
}

/// A definition of several lines at the end of a line.
pub(super) struct Lines {
    name: String,
    lines: Rc<[Text]>,
    /// Where it is used.
    origin: Origin,
}

/// A line after one pass.
pub(super) struct Replaced {
    /// The line; without the use of a definition of several lines at its end.
    pub text: Text,
    /// Something was replaced.
    pub changed: bool,
    /// What the line ends in.
    pub lines: Option<Lines>,
}

/// Numbers for `${_RANDOM}`: the same seed gives the same numbers, because two
/// processes read a configuration and must read the same.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        let count = most.saturating_sub(least).saturating_add(1);
        least.saturating_add(self.next().checked_rem(count).unwrap_or(0))
    }
}

// Definitions.
impl Reader<'_> {
    /// Takes a `$NAME=value` line; false if it is another line.
    pub(super) fn define(&mut self, text: &Text) -> bool {
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
        let span = text.whole().span;
        if value.ends_with('\\') && !self.replaying {
            self.long_definition = Some(LongDefinition {
                name: name.to_string(),
                lines: Vec::new(),
                span,
            });
            self.continue_long_definition(&text.part(length.saturating_add(2), text.text.len()));
            return true;
        }
        let value = value.trim_end_matches('\\').trim_matches(is_blank);
        self.set(name, value, span);
        true
    }

    /// Gives a name a value of one line.
    pub(super) fn set(&mut self, name: &str, value: &str, span: Span) {
        let definition = Definition {
            value: Value::Line(Rc::from(value)),
            span,
        };
        match self.definitions.get_mut(name) {
            Some(known) => *known = definition,
            None => {
                self.definitions.insert(name.to_string(), definition);
            }
        }
    }

    /// Adds a line to a definition that has not ended; false if there is none.
    pub(super) fn continue_long_definition(&mut self, text: &Text) -> bool {
        let Some(definition) = &mut self.long_definition else {
            return false;
        };
        let line = text.text.strip_suffix('\\');
        let line_end = line.map_or(text.text.len(), str::len);
        let kept = text.part(0, line_end).trimmed();
        if !kept.text.is_empty() {
            definition.lines.push(kept);
        }
        if line.is_none() {
            self.end_long_definition();
        }
        true
    }

    /// A line without a backslash, an empty line and the end of a file end it.
    pub(super) fn end_long_definition(&mut self) {
        if let Some(definition) = self.long_definition.take() {
            let value = Value::Lines(Rc::from(definition.lines));
            let span = definition.span;
            self.definitions
                .insert(definition.name, Definition { value, span });
        }
    }
}

// Uses.
impl Reader<'_> {
    /// Replaces every use of a definition in a line once.
    pub(super) fn replace(&mut self, here: &Here<'_>, line: &Text) -> Replaced {
        let text = line.text.as_str();
        let mut out = Replaced {
            text: Text::new(),
            changed: false,
            lines: None,
        };
        let mut kept_from = 0;
        let mut in_quotes = false;
        let mut at = 0;
        while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
            let next = at.saturating_add(c.len_utf8());
            in_quotes ^= c == '"';
            let used = text
                .get(at..)
                .filter(|_| c == '$' && !line.is_verbatim(at))
                .and_then(use_of_definition);
            let Some(used) = used else {
                at = next;
                continue;
            };
            let end = at.saturating_add(used.length);
            let origin = line.origin(at, end);
            out.text.push_part(line, kept_from, at);
            kept_from = end;
            self.replace_use(here, &used, (at, end), line, in_quotes, &mut out);
            at = end;
            let made = out.text.text.len();
            if !self.may_generate(0, used.length, &origin) || made > LINE_BYTES_MAX {
                break;
            }
        }
        self.may_generate(0, out.text.text.len(), &line.whole());
        out.text.push_part(line, kept_from, text.len());
        out
    }

    fn replace_use(
        &mut self,
        here: &Here<'_>,
        used: &Use<'_>,
        (at, end): (usize, usize),
        line: &Text,
        in_quotes: bool,
        out: &mut Replaced,
    ) {
        let origin = line.origin(at, end);
        let as_it_is = line.text.get(at..end).unwrap_or_default();
        let known = self.definitions.get(used.name);
        match known.filter(|_| used.parameters.is_empty()).cloned() {
            Some(Definition {
                value: Value::Line(value),
                span,
            }) => {
                out.changed = true;
                out.text.push_replaced(&value, origin, Some(span));
            }
            Some(Definition {
                value: Value::Lines(lines),
                ..
            }) if end == line.text.len() => {
                out.lines = Some(Lines {
                    name: used.name.to_string(),
                    lines,
                    origin,
                });
            }
            Some(definition) => {
                let text = format!("'{as_it_is}' has several lines and does not end this one");
                let help = "A definition of several lines is replaced at the end of a line only.";
                let diagnostic = Diagnostic::error("lines-within-line", text).at(&origin);
                let diagnostic = diagnostic.label(definition.span, "defined here");
                self.found.push(diagnostic.help(help));
                out.text.push_verbatim(as_it_is, origin);
            }
            None => match self.predefined(here, used, &origin) {
                Predefined::Value(value) => {
                    out.changed = true;
                    out.text.push_replaced(&value, origin, None);
                }
                Predefined::Wrong => out.text.push_verbatim(as_it_is, origin),
                Predefined::Unknown => {
                    if used.braces && !in_quotes {
                        self.undefined(used, &origin);
                    }
                    // As a unit, so that its braces do not count as those of a block.
                    out.text.push_verbatim(as_it_is, origin);
                }
            },
        }
    }

    fn undefined(&mut self, used: &Use<'_>, origin: &Origin) {
        let text = format!("'{}' is not defined", used.inner);
        self.suggestions = self.suggestions.saturating_add(1);
        if self.suggestions > SUGGESTIONS_MAX {
            self.found
                .push(Diagnostic::error("undefined", text).at(origin));
            return;
        }
        let near = self
            .definitions
            .keys()
            .map(|known| (strsim::osa_distance(known, used.inner), known))
            .filter(|(distance, _)| *distance <= 2)
            .min();
        let mut diagnostic = Diagnostic::error("undefined", text).at(origin);
        if let Some((_, known)) = near {
            diagnostic = diagnostic.help(format!("Did you mean `{known}`?"));
        }
        self.found.push(diagnostic);
    }

    /// Reads the lines of a definition; what stood before it belongs to the first.
    pub(super) fn lines_of_definition(&mut self, here: &Here<'_>, before: &Text, used: Lines) {
        if self.expanding.contains(&used.name) {
            let cycle = self.expanding.iter().skip_while(|name| **name != used.name);
            let cycle: Vec<String> = cycle.cloned().collect();
            self.refers_to_itself(&cycle, &used.origin);
            return;
        }
        if self.nesting >= NESTING_MAX {
            let text = format!("definitions are nested deeper than {NESTING_MAX}");
            self.found
                .push(Diagnostic::fatal("definition-depth", text).at(&used.origin));
            return;
        }
        self.expanding.push(used.name);
        let was_replaying = std::mem::replace(&mut self.replaying, true);
        self.nesting = self.nesting.saturating_add(1);
        let mut before = Some(before);
        for line in used.lines.iter() {
            if !self.may_generate(1, line.text.len(), &used.origin) {
                break;
            }
            let line = line.used_at(used.origin.span);
            let whole = match before.take() {
                Some(before) if !before.text.is_empty() => {
                    let mut whole = before.clone();
                    whole.push_part(&line, 0, line.text.len());
                    whole
                }
                _ => line,
            };
            self.logical_line(here, whole);
        }
        // Without lines, what stood before is still there.
        if let Some(before) = before {
            let before = before.clone().trimmed();
            if !before.text.is_empty() && !self.gave_up {
                self.logical_line(here, before);
            }
        }
        self.nesting = self.nesting.saturating_sub(1);
        self.replaying = was_replaying;
        self.expanding.pop();
    }
}

// Definitions that never end.
impl Reader<'_> {
    /// Tells why replacing did not come to an end.
    pub(super) fn never_ends(&mut self, line: &Text) {
        if self.gave_up {
            return;
        }
        self.suggestions = self.suggestions.saturating_add(1);
        let searched = self.suggestions <= SUGGESTIONS_MAX;
        let found = searched.then(|| self.first_cycle(line)).flatten();
        if let Some((cycle, origin)) = found {
            self.refers_to_itself(&cycle, &origin);
            return;
        }
        let shown = line.text.floor_char_boundary(SHOWN_BYTES_MAX);
        let text = format!(
            "Parameter substitution on line '{}' would exceed maximum line length",
            line.text.get(..shown).unwrap_or_default()
        );
        self.found
            .push(Diagnostic::fatal("substitution-too-long", text).at(&line.whole()));
    }

    fn refers_to_itself(&mut self, cycle: &[String], origin: &Origin) {
        let name = cycle.first().map_or("", String::as_str);
        let text = format!("definition '{name}' refers to itself");
        let mut diagnostic = Diagnostic::fatal("recursive-definition", text);
        diagnostic.span = Some(origin.span);
        for name in cycle.iter().take(SHOWN_MAX) {
            if let Some(definition) = self.definitions.get(name) {
                let text = format!("'{name}' is defined here");
                diagnostic = diagnostic.label(definition.span, text);
            }
        }
        self.found.push(diagnostic);
    }

    /// The first definition used in a line that comes back to itself: the names
    /// on the way, and where it is used.
    fn first_cycle(&self, line: &Text) -> Option<(Vec<String>, Origin)> {
        let mut searched = Vec::new();
        let mut at = 0;
        while let Some((begin, used)) = next_use(&line.text, at) {
            at = begin.saturating_add(used.length);
            if searched.contains(&used.name) {
                continue;
            }
            searched.push(used.name);
            if let Some(cycle) = self.cycle_of(used.name) {
                return Some((cycle, line.origin(begin, at)));
            }
            if searched.len() >= SUGGESTIONS_MAX {
                break;
            }
        }
        None
    }

    /// The names on the way from a definition back to itself.
    fn cycle_of(&self, name: &str) -> Option<Vec<String>> {
        // Each name with the one whose value mentions it.
        let mut reached: Vec<(&str, usize)> = vec![(name, 0)];
        let mut index = 0;
        while let Some(&(current, _)) = reached.get(index) {
            let value = match self.definitions.get(current).map(|known| &known.value) {
                Some(Value::Line(value)) => value,
                _ => "",
            };
            let mut at = 0;
            while let Some((begin, used)) = next_use(value, at) {
                at = begin.saturating_add(used.length);
                if used.name == name {
                    return Some(way_to(&reached, index));
                }
                if !reached.iter().any(|(known, _)| *known == used.name) {
                    reached.push((used.name, index));
                }
            }
            index = index.saturating_add(1);
            if index > NESTING_MAX {
                break;
            }
        }
        None
    }
}

fn way_to(reached: &[(&str, usize)], last: usize) -> Vec<String> {
    let mut way = Vec::new();
    let mut index = last;
    while let Some((name, from)) = reached.get(index) {
        way.push(name.to_string());
        if index == 0 {
            break;
        }
        index = *from;
    }
    way.reverse();
    way
}

enum Predefined {
    Value(String),
    /// It is known, and used wrongly: that was told.
    Wrong,
    Unknown,
}

// The names with an underscore that are always there.
impl Reader<'_> {
    fn predefined(&mut self, here: &Here<'_>, used: &Use<'_>, origin: &Origin) -> Predefined {
        let (least, most) = match used.name {
            "_HASH" | "_BANG" | "_INSTANCE" | "_PWD" => (0, 0),
            "_RANDOM" => (0, 2),
            "_ENV" => (1, 1),
            _ => return Predefined::Unknown,
        };
        let parameters: Vec<&str> = used.parameters.split_whitespace().collect();
        if !(least..=most).contains(&parameters.len()) {
            let text = format!(
                "Definition {} requires between {least} and {most} parameters, {} specified.",
                used.name,
                parameters.len()
            );
            self.found
                .push(Diagnostic::error("definition-parameters", text).at(origin));
            return Predefined::Wrong;
        }
        Predefined::Value(match used.name {
            "_HASH" => "#".to_string(),
            "_BANG" => "!".to_string(),
            "_INSTANCE" => self.options.config_id.clone(),
            "_PWD" => {
                let directory = here.path.parent().unwrap_or(Path::new(""));
                directory.to_string_lossy().into_owned()
            }
            "_ENV" => {
                let name = parameters.first().copied().unwrap_or_default();
                let value = self.files.variable(name);
                self.sources.remember_variable(name, value.as_deref());
                value.unwrap_or_default()
            }
            _ => match self.random_number(used.name, &parameters, origin) {
                Some(number) => number.to_string(),
                None => return Predefined::Wrong,
            },
        })
    }

    fn random_number(&mut self, name: &str, parameters: &[&str], origin: &Origin) -> Option<u64> {
        let mut bounds = [0, RANDOM_MAX];
        for (bound, parameter) in bounds.iter_mut().zip(parameters) {
            let Ok(number) = parameter.parse::<u32>() else {
                let text = format!("Definition {name} requires numeric parameters only.");
                self.found
                    .push(Diagnostic::error("definition-parameters", text).at(origin));
                return None;
            };
            *bound = number.into();
        }
        let [least, most] = bounds;
        if least > most {
            let text = format!("{name}: {least} is greater than {most}, so it is {least}");
            self.found
                .push(Diagnostic::warning("definition-parameters", text).at(origin));
        }
        Some(self.random.between(least, most))
    }
}

/// A use of a definition at the start of a text.
struct Use<'t> {
    name: &'t str,
    /// What stands between the name and the brace.
    parameters: &'t str,
    /// All between the braces.
    inner: &'t str,
    /// Of the whole use, in bytes.
    length: usize,
    /// `${NAME}` and not `$NAME`.
    braces: bool,
}

/// `${NAME}`, `${NAME parameters}`, or `$NAME` before a blank, `,`, `)` or the end.
/// Other texts in `${...}` count as the use of a name that is not defined.
fn use_of_definition(text: &str) -> Option<Use<'_>> {
    let rest = text.strip_prefix('$')?;
    if let Some(inner) = rest.strip_prefix('{') {
        let close = inner
            .get(..inner.floor_char_boundary(USE_BYTES_MAX))?
            .find('}')?;
        let inner = inner
            .get(..close)
            .filter(|inner| !inner.contains(['"', '$', '{']))?;
        let (name, parameters) = inner.split_at_checked(name_length(inner))?;
        let is_use = parameters.is_empty() || parameters.starts_with([' ', '\t']);
        return Some(Use {
            name: if is_use { name } else { "" },
            parameters,
            inner,
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
        parameters: "",
        inner: name,
        length: length.saturating_add(1),
        braces: false,
    })
}

/// The next use of a definition from a byte on, and where it begins.
fn next_use(text: &str, from: usize) -> Option<(usize, Use<'_>)> {
    let mut at = from;
    loop {
        let begin = at.saturating_add(text.get(at..)?.find('$')?);
        if let Some(used) = text.get(begin..).and_then(use_of_definition) {
            return Some((begin, used));
        }
        at = begin.saturating_add(1);
    }
}

/// How many bytes at the start of a text can be the name of a definition.
pub(super) fn name_length(text: &str) -> usize {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    if starts { end.unwrap_or(text.len()) } else { 0 }
}
