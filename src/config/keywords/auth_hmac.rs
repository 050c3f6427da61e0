//! `auth_hmac` of a `vrrp_instance` (specification D.7).
//!
//! The extension exists since C 2.4.0. Where no text of C is known the messages
//! are worded like those around them. A key never gets into a message.

use crate::time::Interval;

use super::super::diagnostic::Diagnostic;
use super::super::lex::{Origin, Word};
use super::super::model::{HmacKey, HmacMode, Secret};
use super::super::tree::Statement;
use super::{Context, Keyword, works};

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    works("key", "1..255 TEXT|hex:DIGITS|file:PATH", "A key of 32 to 64 bytes", key),
    works("active_key", "1..255", "The key that signs", active_key),
    works("time_window", "1..300", "How many seconds clocks may differ", time_window),
    works("anti_replay", "time|monotonic", "Whether clocks are compared", anti_replay),
    works("mode", "enforce|permissive|receive-only", "What becomes of adverts without a good trailer", mode),
];

/// The settings of one block so far.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The instance.
    pub owner: String,
    /// Where the block stands.
    pub origin: Origin,
    /// `key`
    pub keys: Vec<(u8, HmacKey)>,
    /// `active_key`
    pub active_key: Option<(u8, Origin)>,
    /// `time_window`
    pub time_window: Option<Interval>,
    /// `anti_replay monotonic`
    pub monotonic: bool,
    /// `mode`
    pub mode: HmacMode,
}

impl Draft {
    /// An empty block.
    pub fn new(owner: &str, origin: Origin) -> Self {
        Self {
            owner: owner.to_string(),
            origin,
            keys: Vec::new(),
            active_key: None,
            time_window: None,
            monotonic: false,
            mode: HmacMode::Enforce,
        }
    }
}

/// Bytes of a key (specification D.7).
const KEY_LENGTH: std::ops::RangeInclusive<usize> = 32..=64;

fn key(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let owner = draft.owner.clone();
    let invalid =
        |text: &str| format!("({owner}) auth_hmac key id '{text}' must be in [1, 255] - ignoring");
    let Some(number) = cx.number(statement, 1..=255, invalid) else {
        return;
    };
    let (Ok(number), Some(word)) = (u8::try_from(number), cx.argument(statement, 2)) else {
        return;
    };
    if draft.keys.iter().any(|(known, _)| *known == number) {
        let text = format!("({owner}) auth_hmac key {number} already specified - ignoring");
        cx.error("hmac-key", word, text);
        return;
    }
    match value(word) {
        Ok(key) => draft.keys.push((number, key)),
        Err(problem) => {
            let text = format!("({owner}) auth_hmac key {number} {problem} - ignoring");
            cx.error("hmac-key", word, text);
        }
    }
}

fn value(word: &Word) -> Result<HmacKey, &'static str> {
    let text = word.text.as_str();
    if let Some(path) = text.strip_prefix("file:") {
        return Ok(HmacKey::File(path.to_string()));
    }
    if text.contains('\u{fffd}') {
        return Err("is not valid UTF-8");
    }
    secret(text.as_bytes()).map(HmacKey::Bytes)
}

/// The key that stands in a configuration or in a file of its own: `hex:` and
/// digits, or the very bytes. Or what is wrong with it.
pub fn secret(written: &[u8]) -> Result<Secret, &'static str> {
    let bytes = match written.strip_prefix(b"hex:") {
        Some(digits) => from_hex(digits).ok_or("is not valid hex")?,
        None => written.to_vec(),
    };
    let bytes = Secret::from(bytes);
    if !KEY_LENGTH.contains(&bytes.bytes().len()) {
        return Err("must have 32 to 64 bytes");
    }
    Ok(bytes)
}

fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let value = |digit: &u8| char::from(*digit).to_digit(16);
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(value(high)? << 4 | value(low)?).ok(),
        _ => None,
    });
    pairs.collect()
}

fn active_key(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let owner = draft.owner.clone();
    let invalid = |text: &str| {
        format!("({owner}) auth_hmac active_key '{text}' must be in [1, 255] - ignoring")
    };
    let value = cx.number(statement, 1..=255, invalid);
    if let Some(value) = value.and_then(|value| u8::try_from(value).ok()) {
        draft.active_key = Some((value, statement.line.whole()));
    }
}

fn time_window(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let owner = draft.owner.clone();
    let invalid = |text: &str| {
        format!("({owner}) auth_hmac time_window '{text}' must be in [1, 300] - ignoring")
    };
    let value = cx.number(statement, 1..=300, invalid);
    if let Some(value) = value.and_then(|value| u64::try_from(value).ok()) {
        draft.time_window = Some(Interval::from_secs(value));
    }
}

fn anti_replay(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    match word.text.as_str() {
        "time" => draft.monotonic = false,
        "monotonic" => draft.monotonic = true,
        other => unknown(draft, "anti_replay", other, word, cx),
    }
}

fn mode(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    match word.text.as_str() {
        "enforce" => draft.mode = HmacMode::Enforce,
        "permissive" => draft.mode = HmacMode::Permissive,
        "receive-only" => draft.mode = HmacMode::ReceiveOnly,
        other => unknown(draft, "mode", other, word, cx),
    }
}

fn unknown(draft: &Draft, keyword: &str, value: &str, word: &Word, cx: &mut Context<'_>) {
    let text = format!(
        "({}) unknown auth_hmac {keyword} '{value}' - ignoring",
        draft.owner
    );
    cx.error("hmac", word, text);
}

/// What can be said when the block ends; `None` drops it.
pub fn finish(draft: Draft, cx: &mut Context<'_>) -> Option<Draft> {
    let active = draft.active_key;
    if active.is_some_and(|(key, _)| draft.keys.iter().any(|(known, _)| *known == key)) {
        return Some(draft);
    }
    let (number, origin) = active.unwrap_or((0, draft.origin));
    let owner = &draft.owner;
    let text =
        format!("({owner}) auth_hmac active_key {number} is not defined, disabling extension");
    cx.found
        .push(Diagnostic::error("hmac-active-key", text).at(&origin));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_digits_come_in_pairs() {
        assert_eq!(from_hex(b"00ffA0"), Some(vec![0, 255, 160]));
        assert_eq!(from_hex(b"0"), None);
        assert_eq!(from_hex(b"0g"), None);
    }
}
