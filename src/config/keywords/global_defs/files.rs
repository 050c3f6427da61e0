//! Files, the file creation mask, dumps, and what happens around a reload.

use super::super::super::diagnostic::Diagnostic;
use super::super::super::lex::Word;
use super::super::super::model::CheckBeforeReload;
use super::super::super::tree::Statement;
use super::super::Context;
use super::{Draft, wanted};

/// `umask`: a number as C writes them, or bits with `|` between them.
pub fn umask(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(first) = cx.argument(statement, 1) else {
        return;
    };
    let mask = if first.text.starts_with(|c: char| c.is_ascii_digit()) {
        umask_number(first, statement, cx)
    } else {
        umask_bits(statement, cx)
    };
    if let Some(mask) = mask {
        draft.globals.umask = Some(mask);
    }
}

fn umask_number(first: &Word, statement: &Statement, cx: &mut Context<'_>) -> Option<u32> {
    let text = first.text.as_str();
    let (digits, radix) = match (text.strip_prefix("0x"), text.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) if !digits.is_empty() => (digits, 8),
        _ => (text, 10),
    };
    let value = u32::from_str_radix(digits, radix).ok();
    let Some(value) = value.filter(|value| *value <= 0o777) else {
        cx.error("umask", first, format!("invalid umask value {text}"));
        return None;
    };
    if let Some(extra) = statement.word(2) {
        let text = "Extra parameter(s) to umask option".to_string();
        cx.error("umask", extra, text);
    }
    Some(value)
}

/// `I`, one of `RWX`, one of `USR`, `GRP`, `OTH`. Blanks around `|` do not matter.
fn umask_bits(statement: &Statement, cx: &mut Context<'_>) -> Option<u32> {
    let mut mask = 0;
    let mut wants_bit = true;
    for word in statement.arguments() {
        for (index, bit) in word.text.split('|').enumerate() {
            if index > 0 {
                if wants_bit {
                    cx.error("umask", word, "umask missing bit value".to_string());
                    return None;
                }
                wants_bit = true;
            }
            if bit.is_empty() {
                continue;
            }
            if !wants_bit {
                cx.error("umask", word, format!("Invalid umask syntax {bit}"));
                return None;
            }
            let Some(value) = umask_bit(bit) else {
                cx.error("umask", word, format!("Unknown umask bit {bit}"));
                return None;
            };
            mask |= value;
            wants_bit = false;
        }
    }
    if wants_bit {
        let origin = statement.line.whole();
        let text = "umask missing bit value";
        cx.found.push(Diagnostic::error("umask", text).at(&origin));
        return None;
    }
    Some(mask)
}

fn umask_bit(text: &str) -> Option<u32> {
    let text = text.strip_prefix('I')?;
    let mut kinds = text.chars();
    let kind = match kinds.next()? {
        'R' => 4,
        'W' => 2,
        'X' => 1,
        _ => return None,
    };
    match kinds.as_str() {
        "USR" => Some(kind << 6),
        "GRP" => Some(kind << 3),
        "OTH" => Some(kind),
        _ => None,
    }
}

/// `random_seed`
pub fn random_seed(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid = |text: &str| format!("random_seed {text} invalid");
    let value = cx.number(statement, 0..=i64::from(u32::MAX), invalid);
    if let Some(value) = value.and_then(|value| u32::try_from(value).ok()) {
        draft.globals.random_seed = Some(value);
    }
}

/// `json_version`
pub fn json_version(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid = |text: &str| format!("Invalid json_version '{text}' - must be 1 or 2");
    let value = cx.number(statement, 1..=2, invalid);
    if let Some(value) = value.and_then(|value| u8::try_from(value).ok()) {
        draft.globals.json_version = value;
    }
}

/// `reload_check_config`
pub fn reload_check(draft: &mut Draft, statement: &Statement, _: &mut Context<'_>) {
    let log_file = statement.word(1).map(|word| word.text.clone());
    draft.globals.reload.check = Some(CheckBeforeReload { log_file });
}

/// `reload_time_file`: exactly one path.
pub fn reload_time_file(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    match statement.arguments() {
        [path] => draft.globals.reload.time_file = Some(path.text.clone()),
        _ => {
            let text = "reload_time_file invalid";
            let origin = statement.line.whole();
            cx.found
                .push(Diagnostic::error("reload-time-file", text).at(&origin));
        }
    }
}

/// `reload_file`
pub fn reload_file(draft: &mut Draft, statement: &Statement, _: &mut Context<'_>) {
    let path = statement.word(1).map(|word| word.text.clone());
    draft.globals.reload.marker_file = Some(path.unwrap_or_default());
}

/// `include_check`. What it does was done while the files were read. C takes
/// `read`, its manual says `readable`.
pub fn include_check(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    for word in statement.arguments() {
        let kind = word.text.trim_start_matches(['+', '-']);
        if !matches!(
            kind,
            "read" | "readable" | "match" | "wildcard_match" | "brace_match"
        ) {
            let text = format!("Unknown include_check type '{kind}' - ignoring");
            cx.error("unknown-option", word, text);
        }
    }
}

/// `tmp_config_directory`; the first one counts.
pub fn temporary_directory(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let missing = "tmp_config_directory missing directory name";
    let Some(word) = wanted(statement, missing, cx) else {
        return;
    };
    let directory = &mut draft.globals.places.temporary_config_directory;
    if directory.is_some() {
        let text = "tmp_config_directory already specified - ignoring".to_string();
        cx.error("duplicate", word, text);
        return;
    }
    *directory = Some(word.text.clone());
}

/// `data_use_instance`. The name in the message is misspelt in C, too.
pub fn data_use_instance(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid =
        |text: &str| format!("Invalid value '{text}' for global date_use_instance specified");
    if let Some(on) = cx.switch(statement, invalid) {
        draft.globals.places.data_use_instance = on;
    }
}

/// A path that is needed.
pub fn path(
    place: fn(&mut Draft) -> &mut Option<String>,
    draft: &mut Draft,
    statement: &Statement,
    cx: &mut Context<'_>,
) {
    if let Some(word) = cx.argument(statement, 1) {
        *place(draft) = Some(word.text.clone());
    }
}
