//! Characters to words: blanks, comments, quotes, the two tokenisers, and
//! texts that know where each of their parts was written.
//!
//! Decides nothing about the meaning of a word. Source: specification A.1 to A.3.

use super::source::{FileId, Span};

/// Where a piece of text stands in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The place of use.
    pub span: Span,
    /// Where the definition stands that the text came out of.
    pub defined: Option<Span>,
}

/// A text put together from pieces of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The characters.
    pub text: String,
    pieces: Pieces,
}

/// The pieces of a text, in order. Nearly every text is one piece, for which nothing is
/// allocated.
#[derive(Debug, Clone)]
enum Pieces {
    One([Piece; 1]),
    Many(Vec<Piece>),
}

impl Pieces {
    const NONE: Self = Self::Many(Vec::new());

    fn as_slice(&self) -> &[Piece] {
        match self {
            Self::One(one) => one,
            Self::Many(many) => many,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [Piece] {
        match self {
            Self::One(one) => one,
            Self::Many(many) => many,
        }
    }

    fn push(&mut self, piece: Piece) {
        match self {
            Self::One([first]) => *self = Self::Many(vec![*first, piece]),
            Self::Many(many) if many.is_empty() => *self = Self::One([piece]),
            Self::Many(many) => many.push(piece),
        }
    }
}

impl PartialEq for Pieces {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Pieces {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    /// Where in the text it begins.
    at: usize,
    /// The place of use.
    span: Span,
    /// The place of definition.
    defined: Option<Span>,
    kind: Kind,
}

/// How the characters of a piece relate to the innermost of its places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// They stand there.
    Literal,
    /// They stand for what is there: any part points at all of it.
    Unit,
    /// As `Unit`, and braces in it are characters like any other.
    Verbatim,
}

impl Piece {
    /// The places of this piece without its first `skipped` bytes.
    fn from(mut self, skipped: usize) -> Self {
        if self.kind == Kind::Literal {
            let inner = self.defined.as_mut().unwrap_or(&mut self.span);
            inner.start = inner
                .start
                .saturating_add(offset(skipped))
                .min(inner.end.max(inner.start));
        }
        self
    }

    /// The places of the first `length` bytes of this piece.
    fn until(mut self, length: usize) -> Self {
        if self.kind == Kind::Literal {
            let inner = self.defined.as_mut().unwrap_or(&mut self.span);
            inner.end = inner.start.saturating_add(offset(length));
        }
        self
    }
}

/// A word with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The characters without quotes.
    pub text: String,
    /// Where they stand.
    pub origin: Origin,
}

impl Text {
    /// No text yet.
    pub const fn new() -> Self {
        Self {
            text: String::new(),
            pieces: Pieces::NONE,
        }
    }

    /// A stretch of a file as it is; `start` is its first byte there.
    pub fn literal(text: &str, file: FileId, start: usize) -> Self {
        let end = start.saturating_add(text.len());
        let piece = Piece {
            at: 0,
            span: Span {
                file,
                start: offset(start),
                end: offset(end),
            },
            defined: None,
            kind: Kind::Literal,
        };
        Self {
            text: text.to_owned(),
            pieces: Pieces::One([piece]),
        }
    }

    /// Appends a stretch of a file as it is.
    pub fn push_literal(&mut self, text: &str, file: FileId, start: usize) {
        let end = start.saturating_add(text.len());
        let span = Span {
            file,
            start: offset(start),
            end: offset(end),
        };
        self.pieces.push(Piece {
            at: self.text.len(),
            span,
            defined: None,
            kind: Kind::Literal,
        });
        self.text.push_str(text);
    }

    /// Appends text that stands for the characters at `origin`. If they stand in
    /// a definition themselves, that is the better place to show.
    pub fn push_replaced(&mut self, text: &str, origin: Origin, defined: Option<Span>) {
        self.push_unit(text, origin.span, origin.defined.or(defined), Kind::Unit);
    }

    /// Appends the characters at `origin` as they are; their braces have no meaning.
    pub fn push_verbatim(&mut self, text: &str, origin: Origin) {
        self.push_unit(text, origin.span, origin.defined, Kind::Verbatim);
    }

    fn push_unit(&mut self, text: &str, span: Span, defined: Option<Span>, kind: Kind) {
        self.pieces.push(Piece {
            at: self.text.len(),
            span,
            defined,
            kind,
        });
        self.text.push_str(text);
    }

    /// This text, used at another place than where it stands.
    pub fn used_at(&self, place: Span) -> Self {
        let mut out = self.clone();
        for piece in out.pieces.as_mut_slice() {
            piece.defined = piece.defined.or(Some(piece.span));
            piece.span = place;
        }
        out
    }

    /// Whether braces at this byte have no meaning.
    pub fn is_verbatim(&self, at: usize) -> bool {
        self.piece(at)
            .is_some_and(|piece| piece.kind == Kind::Verbatim)
    }

    /// The piece that holds a byte.
    fn piece(&self, at: usize) -> Option<&Piece> {
        let pieces = self.pieces.as_slice();
        if let [piece] = pieces {
            return Some(piece);
        }
        let index = pieces.partition_point(|piece| piece.at <= at);
        pieces.get(index.saturating_sub(1))
    }

    /// Appends a part of another text, with its places.
    pub fn push_part(&mut self, other: &Text, start: usize, end: usize) {
        let Some(part) = other.text.get(start..end) else {
            return;
        };
        if part.is_empty() {
            return;
        }
        let pieces = other.pieces.as_slice();
        let first = pieces
            .partition_point(|piece| piece.at <= start)
            .saturating_sub(1);
        let pieces = pieces.get(first..).unwrap_or_default();
        for (index, piece) in pieces.iter().enumerate() {
            if piece.at >= end {
                break;
            }
            let begin = piece.at.max(start);
            let next = pieces.get(index.saturating_add(1));
            let stop = next.map_or(end, |next| next.at.min(end));
            let mut moved = piece
                .from(begin.saturating_sub(piece.at))
                .until(stop.saturating_sub(begin));
            moved.at = self.text.len().saturating_add(begin.saturating_sub(start));
            self.pieces.push(moved);
        }
        self.text.push_str(part);
    }

    /// A part of this text, with its places.
    pub fn part(&self, start: usize, end: usize) -> Self {
        let mut out = Self::new();
        out.push_part(self, start, end);
        out
    }

    /// The same, in place where that is possible.
    pub fn into_part(mut self, start: usize, end: usize) -> Self {
        if start == 0
            && end > 0
            && self.text.is_char_boundary(end)
            && let Pieces::One([piece]) = &mut self.pieces
        {
            if end < self.text.len() {
                *piece = piece.until(end);
                self.text.truncate(end);
            }
            return self;
        }
        self.part(start, end)
    }

    /// This text without blanks at its ends.
    pub fn trimmed(self) -> Self {
        // Almost every text.
        let ends = [self.text.as_bytes().first(), self.text.as_bytes().last()];
        if ends.into_iter().flatten().all(u8::is_ascii_graphic) {
            return self;
        }
        let start = self
            .text
            .len()
            .saturating_sub(self.text.trim_start_matches(is_blank).len());
        let end = self.text.trim_end_matches(is_blank).len();
        if start == 0 && end == self.text.len() {
            return self;
        }
        self.into_part(start, end.max(start))
    }

    /// Where the bytes `start..end` of this text stand.
    pub fn origin(&self, start: usize, end: usize) -> Origin {
        let Some(piece) = self.piece(start) else {
            let nowhere = Span {
                file: FileId::default(),
                start: 0,
                end: 0,
            };
            return Origin {
                span: nowhere,
                defined: None,
            };
        };
        let mut first = piece.from(start.saturating_sub(piece.at));
        // The last byte decides the end; it may stand in a later piece.
        let last = match self.piece(end.saturating_sub(1).max(start)) {
            Some(last) if last.at > piece.at => last.until(end.saturating_sub(last.at)),
            _ => {
                first = first.until(end.saturating_sub(start));
                first
            }
        };
        let defined = match (first.defined, last.defined) {
            (Some(first), Some(last)) => Some(joined(first, last)),
            (defined, _) => defined,
        };
        Origin {
            span: joined(first.span, last.span),
            defined,
        }
    }

    /// Where all of it stands.
    pub fn whole(&self) -> Origin {
        self.origin(0, self.text.len())
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::new()
    }
}

/// From the beginning of one span to the end of another, if they allow it.
fn joined(first: Span, last: Span) -> Span {
    let in_order = first.file == last.file && first.start <= last.start;
    Span {
        end: if in_order {
            last.end.max(first.end)
        } else {
            first.end
        },
        ..first
    }
}

fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// What separates words. Besides the blanks that C knows: every blank of
/// Unicode, because files copied from web pages are full of them, and the
/// invisible characters that are not there for the eye.
pub fn is_blank(c: char) -> bool {
    match c.is_ascii() {
        true => c.is_ascii_whitespace() || c == '\u{0b}',
        false => is_foreign_blank(c),
    }
}

/// A blank that C would take for a part of a word.
pub fn is_foreign_blank(c: char) -> bool {
    matches!(
        c,
        '\u{85}' | '\u{a0}' | '\u{1680}' | '\u{180e}' | '\u{2000}'
            ..='\u{200d}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{202f}'
                | '\u{205f}'
                | '\u{2060}'
                | '\u{3000}'
                | '\u{feff}'
    )
}

/// A physical line without its comment.
#[derive(Debug)]
pub struct Uncommented {
    /// What is left, trimmed.
    pub text: Text,
    /// A `"` was opened and not closed.
    pub unterminated: bool,
    /// The first blank, outside quotes, that C would not take for one.
    pub foreign_blank: Option<(char, Origin)>,
}

/// Takes the comment off a line. `#` and `!` begin one anywhere outside
/// double quotes; `\#` and `\!` are the plain characters.
pub fn strip_comment(line: Text) -> Uncommented {
    // Almost every line: nothing in it begins or ends anything.
    if line.text.bytes().all(is_plain) {
        return Uncommented {
            text: line.trimmed(),
            unterminated: false,
            foreign_blank: None,
        };
    }
    let mut out = Text::new();
    let mut kept_from = 0;
    let mut in_quotes = false;
    let mut foreign_blank = None;
    let mut end = line.text.len();
    let mut characters = line.text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => {
                let next = characters.next_if(|&(_, c)| !c.is_whitespace());
                if !in_quotes && matches!(next, Some((_, '#' | '!'))) {
                    out.push_part(&line, kept_from, at);
                    kept_from = at.saturating_add(1);
                }
            }
            '"' => in_quotes = !in_quotes,
            '#' | '!' if !in_quotes => {
                end = at;
                break;
            }
            c if !in_quotes && foreign_blank.is_none() && is_foreign_blank(c) => {
                let end = at.saturating_add(c.len_utf8());
                foreign_blank = Some((c, line.origin(at, end)));
            }
            _ => {}
        }
    }
    let is_whole = kept_from == 0 && end == line.text.len();
    let text = if is_whole {
        line
    } else {
        out.push_part(&line, kept_from, end);
        out
    };
    Uncommented {
        text: text.trimmed(),
        unterminated: in_quotes,
        foreign_blank,
    }
}

/// A blank of C's, or visible and without a meaning for comments and quotes.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'$'..=b'[' | b']'..=b'~')
}

/// What is in a line of a file, so that most lines have to be looked at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents(u8);

impl Contents {
    const NUL: u8 = 1;
    /// It ends words, comments or text, or no C program would take it for a character.
    const SPECIAL: u8 = 2;
    /// It begins a definition, its use, a condition or a sequence.
    const REPLACED: u8 = 4;

    /// By the byte.
    const OF_BYTE: [u8; 256] = {
        let mut of_byte = [0; 256];
        let mut byte: u8 = 0;
        loop {
            of_byte[byte as usize] = match byte {
                0 => Self::NUL | Self::SPECIAL,
                b'$' | b'@' | b'~' => Self::REPLACED,
                byte if is_plain(byte) => 0,
                _ => Self::SPECIAL,
            };
            if byte == u8::MAX {
                break of_byte;
            }
            byte += 1;
        }
    };

    /// What is in `line`.
    pub fn of(line: &str) -> Self {
        let of_byte = |byte| Self::OF_BYTE.get(usize::from(byte)).copied().unwrap_or(0);
        Self(line.bytes().fold(0, |all, byte| all | of_byte(byte)))
    }

    /// There is a NUL in it.
    pub const fn has_nul(self) -> bool {
        self.0 & Self::NUL != 0
    }

    /// Nothing in it is a quote, a comment or an escape, or is replaced, and all of it is
    /// ASCII: it means what stands there.
    pub const fn is_literal(self) -> bool {
        self.0 == 0
    }
}

/// Hardly any line has more words.
const WORDS_USUAL: usize = 4;

/// The plain tokeniser: words end at blanks and at `"`; `"..."` is one word.
/// There are no escapes, and `'` is a character like any other.
pub fn words(line: &Text) -> Vec<Word> {
    let mut found = Vec::with_capacity(WORDS_USUAL);
    let text = line.text.as_str();
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let Some(c) = rest.chars().next() else { break };
        if is_blank(c) {
            at = at.saturating_add(c.len_utf8());
        } else if c == '"' {
            let begin = at.saturating_add(1);
            let inner = text.get(begin..).unwrap_or_default();
            let length = inner.find('"').unwrap_or(inner.len());
            let end = begin.saturating_add(length);
            found.push(word(line, begin, end));
            at = end.saturating_add(1);
        } else {
            let end = at.saturating_add(word_length(rest));
            found.push(word(line, at, end));
            at = end;
        }
    }
    found
}

/// How long the word is that a text begins with.
fn word_length(text: &str) -> usize {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'"';
    let plain = text.bytes().take_while(is_plain).count();
    let rest = text.get(plain..).unwrap_or_default();
    if rest.is_empty() || rest.starts_with(' ') {
        return plain;
    }
    let end = rest.find(|c| c == '"' || is_blank(c));
    plain.saturating_add(end.unwrap_or(rest.len()))
}

fn word(line: &Text, start: usize, end: usize) -> Word {
    let text = line.text.get(start..end).unwrap_or_default().to_string();
    Word {
        text,
        origin: line.origin(start, end),
    }
}

/// Why a line of a script cannot be cut into words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptProblem {
    /// No closing quote of this kind.
    MissingTerminator(char),
    /// The line ends in a backslash.
    MissingEscape,
}

/// The tokeniser of script lines: both kinds of quotes, also in the middle of a
/// word; a backslash protects a quote. All other escapes stay as they are for
/// [`command_words`].
///
/// # Errors
/// An open quote or a backslash at the end.
pub fn script_words(line: &Text) -> Result<Vec<Word>, ScriptProblem> {
    let mut found: Vec<Word> = Vec::new();
    // The word in the making, with where it began.
    let mut current: Option<(usize, String)> = None;
    let mut quote = None;
    let mut characters = line.text.char_indices();
    while let Some((at, c)) = characters.next() {
        if quote.is_none() && is_blank(c) {
            if let Some((start, text)) = current.take() {
                found.push(Word {
                    text,
                    origin: line.origin(start, at),
                });
            }
            continue;
        }
        let (_, text) = current.get_or_insert_with(|| (at, String::new()));
        match (quote, c) {
            (_, '\\') => {
                let (_, next) = characters.next().ok_or(ScriptProblem::MissingEscape)?;
                // The backslash has done its work for a quote; all other escapes
                // are for the second reading.
                if !matches!(next, '"' | '\'') {
                    text.push('\\');
                }
                text.push(next);
            }
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            _ => text.push(c),
        }
    }
    if let Some(open) = quote {
        return Err(ScriptProblem::MissingTerminator(open));
    }
    if let Some((start, text)) = current {
        found.push(Word {
            text,
            origin: line.origin(start, line.text.len()),
        });
    }
    Ok(found)
}

/// The second reading of a command: quotes and all escapes
/// (`\a \b \E \f \n \r \t \v`, `\NNN`, `\xHH`, `\cC`, any other `\C` is C).
///
/// # Errors
/// An open quote or a backslash at the end.
pub fn command_words(command: &str) -> Result<Vec<String>, ScriptProblem> {
    let mut found = Vec::new();
    let mut current: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut characters = command.chars().peekable();
    while let Some(c) = characters.next() {
        if quote.is_none() && is_blank(c) {
            found.extend(current.take().map(lossy));
            continue;
        }
        let text = current.get_or_insert_default();
        match (quote, c) {
            (_, '\\') => unescape(&mut characters, text)?,
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            _ => push(text, c),
        }
    }
    if let Some(open) = quote {
        return Err(ScriptProblem::MissingTerminator(open));
    }
    found.extend(current.map(lossy));
    Ok(found)
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

fn push(text: &mut Vec<u8>, c: char) {
    text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn unescape(
    characters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    text: &mut Vec<u8>,
) -> Result<(), ScriptProblem> {
    let c = characters.next().ok_or(ScriptProblem::MissingEscape)?;
    let mut digits = |radix: u32, first: u32, most: usize| {
        let mut value = first;
        let mut taken = 0;
        while taken < most {
            let Some(digit) = characters.peek().and_then(|c| c.to_digit(radix)) else {
                break;
            };
            characters.next();
            value = value.saturating_mul(radix).saturating_add(digit);
            taken += 1;
        }
        (value, taken)
    };
    match c {
        'a' => text.push(0x07),
        'b' => text.push(0x08),
        'E' => text.push(0x1b),
        'f' => text.push(0x0c),
        'n' => text.push(b'\n'),
        'r' => text.push(b'\r'),
        't' => text.push(b'\t'),
        'v' => text.push(0x0b),
        '0'..='7' => {
            let (value, _) = digits(8, c.to_digit(8).unwrap_or(0), 2);
            text.push((value & 0xff) as u8);
        }
        'x' => match digits(16, 0, 2) {
            (_, 0) => text.push(b'x'),
            (value, _) => text.push((value & 0xff) as u8),
        },
        'c' => {
            let control = characters.next().ok_or(ScriptProblem::MissingEscape)?;
            text.push((control as u32 & 0x1f) as u8);
        }
        c => push(text, c),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str) -> Text {
        Text::literal(line, FileId::default(), 0)
    }

    fn plain(line: &str) -> Vec<String> {
        words(&text(line))
            .into_iter()
            .map(|word| word.text)
            .collect()
    }

    fn script(line: &str) -> Vec<String> {
        script_words(&text(line))
            .unwrap()
            .into_iter()
            .map(|word| word.text)
            .collect()
    }

    #[test]
    fn comments_end_lines_outside_double_quotes_only() {
        let strip = |line| strip_comment(text(line)).text.text;
        assert_eq!(strip("  priority 5#x"), "priority 5");
        assert_eq!(strip("a ! b"), "a");
        assert_eq!(strip("script \"a # b\" # c"), "script \"a # b\"");
        assert_eq!(strip("it's # gone"), "it's");
        assert_eq!(strip(r"a\#b\!c # d"), "a#b!c");
        assert_eq!(strip("#"), "");
    }

    #[test]
    fn places_survive_an_escape() {
        let line = text(r"a\#b cde");
        let stripped = strip_comment(line).text;
        let word = &words(&stripped)[1];
        assert_eq!(
            (
                word.text.as_str(),
                word.origin.span.start,
                word.origin.span.end
            ),
            ("cde", 5, 8)
        );
    }

    #[test]
    fn plain_words_know_only_double_quotes() {
        assert_eq!(plain("state \"MASTER\""), ["state", "MASTER"]);
        assert_eq!(plain("a\"b c\"d 'e f'"), ["a", "b c", "d", "'e", "f'"]);
        assert_eq!(plain("MASTER\u{3000}\u{a0}x\u{feff}"), ["MASTER", "x"]);
        assert_eq!(plain(r#"auth_pass "a b""#), ["auth_pass", "a b"]);
    }

    #[test]
    fn script_lines_are_read_twice() {
        assert_eq!(
            script(r#"notify "/s.sh 'a b'" u g"#),
            ["notify", "/s.sh 'a b'", "u", "g"]
        );
        assert_eq!(script(r#"script /bin/x"y z"'w'"#), ["script", "/bin/xy zw"]);
        assert_eq!(
            script(r#"script "sh -c \"a b\" \x41""#),
            ["script", r#"sh -c "a b" \x41"#]
        );
        assert_eq!(command_words("/s.sh 'a b'").unwrap(), ["/s.sh", "a b"]);
        assert_eq!(
            command_words(r"/s \x41\102\n\cA\q").unwrap(),
            ["/s", "AB\n\u{1}q"]
        );
        assert_eq!(
            command_words("a \"b"),
            Err(ScriptProblem::MissingTerminator('"'))
        );
        assert_eq!(
            script_words(&text("script 'a")),
            Err(ScriptProblem::MissingTerminator('\''))
        );
        assert_eq!(
            script_words(&text("script a\\")),
            Err(ScriptProblem::MissingEscape)
        );
    }
}
