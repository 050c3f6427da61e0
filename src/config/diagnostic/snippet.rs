//! One finding for people: the message, the line of the file with a caret below
//! the word, other places, and what to do.
//!
//! Decides how wide things are on a terminal and how much of a long line is shown.

use std::fmt::Write as _;

use super::super::source::{Sources, Span};
use super::{Diagnostic, is_unprintable, visible};

impl Diagnostic {
    /// Several lines for people: the message, file, line and column, the text
    /// with a caret below it, and help. Ends with a line end.
    pub fn as_snippet(&self, sources: &Sources) -> String {
        let mut out = format!(
            "{}[{}]: {}\n",
            self.severity.as_str(),
            self.code,
            self.message
        );
        if let Some(span) = self.span {
            write_excerpt(&mut out, sources, span);
        }
        for label in &self.labels {
            let _ = writeln!(out, "note: {}", visible(&*label.text));
            write_excerpt(&mut out, sources, label.span);
        }
        for help in &self.help {
            let help = help.replace('\n', "\n       ");
            let _ = writeln!(out, "   = help: {help}");
        }
        out
    }
}

/// Terminal cells of a character: 2 for East Asian wide ones, 0 for those
/// that are drawn over their neighbour.
fn cells(c: char) -> usize {
    match c as u32 {
        0x0300..=0x036f | 0x200b..=0x200f | 0x2060..=0x2064 | 0xfe00..=0xfe0f | 0xfeff => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe4f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// Cells of the line that are shown on either side of the place.
const EXCERPT_CELLS_MAX: usize = 60;

fn write_excerpt(out: &mut String, sources: &Sources, span: Span) {
    let Some(place) = sources.place(span) else {
        return;
    };
    let number = place.line.to_string();
    let margin = " ".repeat(number.len());
    let path = visible(place.path.to_string_lossy());
    let _ = writeln!(out, "{margin}--> {path}:{}:{}", place.line, place.column);

    let text = without_secrets(place.text);
    let before = text.get(..place.start).unwrap_or_default();
    let marked = text.get(place.start..place.end).unwrap_or_default();
    let after = text.get(place.end..).unwrap_or_default();

    // Of a very long line only the neighbourhood is shown.
    let skipped = before.chars().count().saturating_sub(EXCERPT_CELLS_MAX);
    let before: String = before.chars().skip(skipped).collect();
    let dots = if skipped > 0 { "..." } else { "" };
    let marked: String = marked
        .chars()
        .take(EXCERPT_CELLS_MAX.saturating_mul(2))
        .collect();
    let after: String = after.chars().take(EXCERPT_CELLS_MAX).collect();

    let pad: String = before
        .chars()
        .map(|c| {
            if c == '\t' {
                "\t".to_string()
            } else {
                " ".repeat(cells(c))
            }
        })
        .collect();
    let width: usize = marked.chars().map(cells).sum();
    let _ = writeln!(out, "{margin} |");
    let _ = write!(out, "{number} | {dots}");
    let shown = |c: char| {
        if c != '\t' && is_unprintable(c) {
            '\u{fffd}'
        } else {
            c
        }
    };
    out.extend(
        before
            .chars()
            .chain(marked.chars())
            .chain(after.chars())
            .map(shown),
    );
    let dots = " ".repeat(dots.len());
    let _ = writeln!(out, "\n{margin} | {dots}{pad}{}", "^".repeat(width.max(1)));
    for line in included_from(span, sources) {
        let _ = writeln!(out, "{margin} = included from {}", visible(line));
    }
}

/// The line with stars for what follows a password's keyword, or `key` and its number:
/// what is printed here is pasted into tickets. Every octet stays in its place.
/// A misspelt keyword hides nothing.
fn without_secrets(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let (mut last, mut is_secret) = ("", false);
    for word in line.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        if is_secret && !bare.starts_with("file:") && bare != "}" {
            out.push_str(&"*".repeat(bare.len()));
            out.push_str(word.get(bare.len()..).unwrap_or_default());
        } else {
            out.push_str(word);
        }
        if bare.is_empty() {
            continue;
        }
        is_secret |= matches!(bare, "auth_pass" | "smtp_password")
            || (last == "key" && bare.parse::<u8>().is_ok());
        last = bare;
    }
    out
}

/// Deeper includes than this are an error of their own.
const INCLUDES_MAX: usize = 64;

/// The lines that include the file of a place, the nearest first, each `FILE:LINE`.
pub(super) fn included_from(span: Span, sources: &Sources) -> Vec<String> {
    let mut lines = Vec::new();
    let mut file = span.file;
    while let Some(line) = sources
        .included_at(file)
        .filter(|_| lines.len() < INCLUDES_MAX)
    {
        if let Some(place) = sources.place(line) {
            lines.push(format!("{}:{}", place.path.display(), place.line));
        }
        file = line.file;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_secret_is_shown_without_it() {
        for (line, shown) in [
            ("  auth_pass 1111", "  auth_pass ****"),
            ("auth_pass\t\"a b\" x", "auth_pass\t** ** *"),
            ("smtp_password geheim", "smtp_password ******"),
            ("smtp_password_file /etc/p", "smtp_password_file /etc/p"),
            ("key 3 hex:00\u{e9} }", "key 3 ******** }"),
            ("key 3  file:/etc/key", "key 3  file:/etc/key"),
            ("key /etc/ssl/private", "key /etc/ssl/private"),
            ("active_key 3", "active_key 3"),
        ] {
            assert_eq!(without_secrets(line), shown);
            assert_eq!(without_secrets(line).len(), line.len());
        }
    }
}
