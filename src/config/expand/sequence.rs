//! `~SEQ(...) text` and `~LST(...) text`: the text once for each value.
//!
//! Decides which values these are. The text is read like any other line, with
//! the variables as definitions that stay. Source: specification A.9.

use std::ops::RangeInclusive;

use super::definitions::name_length;
use super::{Here, LINE_BYTES_MAX, NESTING_MAX, Reader};
use crate::config::diagnostic::Diagnostic;
use crate::config::lex::{Origin, Text, is_blank};

/// What a sequence goes through.
#[derive(Debug, PartialEq, Eq)]
enum Sequence<'t> {
    Numbers {
        variable: &'t str,
        range: RangeInclusive<i64>,
        step: i64,
        hexadecimal: bool,
    },
    List {
        variables: Vec<&'t str>,
        /// One or more values for each turn; missing ones are empty.
        turns: Vec<Vec<&'t str>>,
    },
}

impl Reader<'_> {
    /// Repeats a line that begins with a sequence; false if it is another line.
    pub(super) fn sequence(&mut self, here: &Here<'_>, line: &Text) -> bool {
        let text = line.text.as_str();
        let word = text.get(..4).unwrap_or_default();
        if word != "~SEQ" && word != "~LST" {
            return false;
        }
        // The parameters end at the first `)`, whatever is in quotes.
        let Some(close) = text.find(')') else {
            let problem = format!("Invalid {word} specification '{text}'");
            let diagnostic = Diagnostic::error("sequence", problem).at(&line.whole());
            let help = "The closing ')' is missing.";
            self.found.push(diagnostic.help(help));
            return true;
        };
        let specification = line.part(0, close);
        let origin = line.origin(0, close.saturating_add(1));
        let Some(specification) = self.replaced_fully(here, specification) else {
            return true;
        };
        let sequence = match parse(&specification.text) {
            Ok(sequence) => sequence,
            Err(problem) => {
                let message = format!("{problem} '{text}'");
                self.found
                    .push(Diagnostic::error("sequence", message).at(&origin));
                return true;
            }
        };
        if self.nesting >= NESTING_MAX {
            let text = format!("sequences are nested deeper than {NESTING_MAX}");
            self.found
                .push(Diagnostic::fatal("sequence-depth", text).at(&origin));
            return true;
        }
        let body = line.part(close.saturating_add(1), text.len()).trimmed();
        let was_replaying = std::mem::replace(&mut self.replaying, true);
        self.nesting = self.nesting.saturating_add(1);
        self.turns(here, &sequence, &body, &origin);
        self.nesting = self.nesting.saturating_sub(1);
        self.replaying = was_replaying;
        true
    }

    fn turns(&mut self, here: &Here<'_>, sequence: &Sequence<'_>, body: &Text, origin: &Origin) {
        let turn = |reader: &mut Self| {
            if !reader.may_generate(1, body.text.len(), origin) {
                return false;
            }
            if !body.text.is_empty() {
                reader.logical_line(here, body.clone());
            }
            !reader.gave_up
        };
        match sequence {
            Sequence::Numbers {
                variable,
                range,
                step,
                hexadecimal,
            } => {
                let mut number = if *step > 0 {
                    *range.start()
                } else {
                    *range.end()
                };
                while range.contains(&number) {
                    let value = if *hexadecimal {
                        format!("{number:x}")
                    } else {
                        number.to_string()
                    };
                    self.set(variable, &value, origin.span);
                    if !turn(self) {
                        return;
                    }
                    let Some(next) = number.checked_add(*step) else {
                        return;
                    };
                    number = next;
                }
            }
            Sequence::List { variables, turns } => {
                for values in turns {
                    for (index, variable) in variables.iter().enumerate() {
                        let value = values.get(index).copied().unwrap_or_default();
                        self.set(variable, value, origin.span);
                    }
                    if !turn(self) {
                        return;
                    }
                }
            }
        }
    }

    /// The parameters of a sequence without definitions; `None` if that never ends.
    fn replaced_fully(&mut self, here: &Here<'_>, text: Text) -> Option<Text> {
        let mut text = text;
        let mut as_written = None;
        for _ in 0..=NESTING_MAX {
            if !text.text.contains('$') {
                return Some(text);
            }
            let replaced = self.replace(here, &text);
            if self.gave_up {
                return None;
            }
            if !replaced.changed {
                return Some(replaced.text);
            }
            let too_long = replaced.text.text.len() > LINE_BYTES_MAX;
            let before = std::mem::replace(&mut text, replaced.text);
            as_written.get_or_insert(before);
            if too_long {
                break;
            }
        }
        self.never_ends(&as_written.unwrap_or(text));
        None
    }
}

/// What stands before the `)`; the problem is C's text.
fn parse(text: &str) -> Result<Sequence<'_>, &'static str> {
    let (word, rest) = text.split_at_checked(4).unwrap_or((text, ""));
    let (hexadecimal, rest) = match rest.strip_prefix('x') {
        Some(rest) if word == "~SEQ" => (true, rest),
        _ => (false, rest),
    };
    let inside = rest.trim_start_matches(is_blank).strip_prefix('(');
    match (word, inside) {
        ("~SEQ", Some(inside)) => numbers(inside, hexadecimal),
        ("~SEQ", None) => Err("Invalid ~SEQ specification"),
        (_, Some(inside)) => list(inside).ok_or("Invalid ~LST specification")?,
        (_, None) => Err("Invalid ~LST specification"),
    }
}

fn numbers(inside: &str, hexadecimal: bool) -> Result<Sequence<'_>, &'static str> {
    let definition = "Invalid ~SEQ definition";
    let mut parts = inside.split(',').map(|part| part.trim_matches(is_blank));
    let variable = parts.next().unwrap_or_default();
    if !is_name(variable) {
        return Err("Invalid ~SEQ specification");
    }
    let values: Option<Vec<i64>> = parts.map(number).collect();
    let values = values.ok_or(definition)?;
    let (start, step, end) = match *values.as_slice() {
        [end] => (if end < 0 { -1 } else { 1 }, None, end),
        [start, end] => (start, None, end),
        [start, step, end] => (start, Some(step), end),
        _ => return Err(definition),
    };
    let direction = if end < start { -1 } else { 1 };
    let step = step.unwrap_or(direction);
    if step == 0 || (start != end && step.signum() != direction) {
        return Err("Invalid ~SEQ values");
    }
    if hexadecimal && (start < 0 || end < 0) {
        return Err("~SEQx is only valid for positive numbers");
    }
    Ok(Sequence::Numbers {
        variable,
        range: start.min(end)..=start.max(end),
        step,
        hexadecimal,
    })
}

/// Decimal, `0x` hexadecimal, or octal after a `0`; 32 bits, as C has them.
fn number(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let hexadecimal = digits.strip_prefix("0x").or(digits.strip_prefix("0X"));
    let octal = digits.strip_prefix('0').filter(|rest| !rest.is_empty());
    let (digits, radix) = match (hexadecimal, octal) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) => (digits, 8),
        (None, None) => (digits, 10),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = i64::from(i32::from_str_radix(digits, radix).ok()?);
    Some(if negative {
        value.saturating_neg()
    } else {
        value
    })
}

/// `None` is a specification that is wrong as a whole.
fn list(inside: &str) -> Option<Result<Sequence<'_>, &'static str>> {
    let mut parts = split(inside)?.into_iter();
    let first = parts.next()?;
    let variables = first.values().collect::<Vec<_>>();
    if variables.is_empty() || !variables.iter().all(|name| is_name(name)) {
        return None;
    }
    let turns: Vec<Vec<&str>> = parts.map(|part| part.values().collect()).collect();
    if turns.is_empty() || turns.iter().flatten().any(|value| value.contains(is_blank)) {
        return None;
    }
    if turns.iter().any(|values| values.len() > variables.len()) {
        return Some(Err("~LST specification has too many values"));
    }
    Some(Ok(Sequence::List { variables, turns }))
}

/// A value, or several in braces.
struct Part<'t>(&'t str);

impl<'t> Part<'t> {
    fn values(&self) -> impl Iterator<Item = &'t str> + use<'t> {
        let inner = self
            .0
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        let (one, several) = match inner {
            Some(inner) => (None, Some(inner.split(','))),
            None => (Some(self.0), None),
        };
        let several = several.into_iter().flatten();
        one.into_iter()
            .chain(several)
            .map(|value| value.trim_matches(is_blank))
    }
}

/// The parts between the commas outside of braces; `None` if braces do not fit.
fn split(inside: &str) -> Option<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    let mut from = 0;
    let mut in_braces = false;
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            b'{' if !in_braces => in_braces = true,
            b'}' if in_braces => in_braces = false,
            b'{' | b'}' => return None,
            b',' if !in_braces => {
                parts.push(Part(inside.get(from..at)?.trim_matches(is_blank)));
                from = at.saturating_add(1);
            }
            _ => {}
        }
    }
    parts.push(Part(inside.get(from..)?.trim_matches(is_blank)));
    (!in_braces).then_some(parts)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && name_length(text) == text.len()
}
