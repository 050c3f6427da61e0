//! `track_file NAME { ... }` of the outer level (specification D.4).

use super::super::arguments;
use super::super::diagnostic::Diagnostic;
use super::super::lex::Word;
use super::super::tree::Statement;
use super::{Context, Keyword, works};

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    works("file", "PATH", "The file whose number counts", file),
    works("weight", "-254..254 [reverse]", "Multiplied with the number; 0: any number but 0 means FAULT", weight),
    works("init_file", "[VALUE] [overwrite]", "Create the file, or overwrite it, when the daemon starts", init_file),
];

/// The settings of one block so far.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The name of the block.
    pub name: Word,
    /// `file`
    pub path: Option<String>,
    /// `weight`
    pub weight: Option<i32>,
    /// `weight N reverse`
    pub reverse: bool,
    /// `init_file`
    pub initial_value: Option<i32>,
    /// `init_file overwrite`
    pub overwrite: bool,
}

impl Draft {
    /// An empty block of this name.
    pub fn new(name: Word) -> Self {
        Self {
            name,
            path: None,
            weight: None,
            reverse: false,
            initial_value: None,
            overwrite: false,
        }
    }
}

fn file(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = statement.word(1) else {
        let text = "track file file name missing";
        let origin = statement.line.whole();
        cx.found
            .push(Diagnostic::error("no-file", text).at(&origin));
        return;
    };
    if draft.path.is_some() {
        let text = format!(
            "File already set for track file {} - ignoring {}",
            draft.name.text, word.text
        );
        cx.error("file-twice", word, text);
        return;
    }
    draft.path = Some(word.text.clone());
}

/// The first weight wins; a number with garbage behind it is none.
fn weight(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = draft.name.text.clone();
    let bad = |text: &str| {
        format!(
            "Weight ({text}) for track_file {name} must be between [-254..254] inclusive. Ignoring..."
        )
    };
    let Some(weight) = cx.first_weight("track file", &name, draft.weight, statement, bad) else {
        return;
    };
    draft.weight = Some(weight);
    draft.reverse = cx.is_reverse(statement, || format!("track_file {name}"));
}

fn init_file(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = &draft.name.text;
    draft.initial_value.get_or_insert(0);
    for word in statement.arguments() {
        let text = word.text.as_str();
        if text == "overwrite" {
            draft.overwrite = true;
            continue;
        }
        let is_number = text
            .trim_start_matches(['+', '-'])
            .starts_with(|c: char| c.is_ascii_digit());
        if !is_number {
            let text = format!("Unknown track file init option {text}");
            cx.error("init-file", word, text);
            continue;
        }
        let range = i64::from(i32::MIN)..=i64::from(i32::MAX);
        let Some(value) = arguments::number(text, range)
            .ok()
            .and_then(|value| i32::try_from(value).ok())
        else {
            let text = format!("Track file {name} init value {text} is invalid");
            cx.error("init-file", word, text);
            continue;
        };
        if !(-254..=254).contains(&value) {
            let text = format!(
                "Track file {name} init value {value} is outside sensible range [-254, 254]"
            );
            cx.error("init-file", word, text);
        }
        draft.initial_value = Some(value);
    }
}
