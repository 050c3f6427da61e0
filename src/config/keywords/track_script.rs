//! The lines of `track_script { NAME [weight N [reverse|noreverse]] }`
//! (specification D.5).

use super::super::arguments;
use super::super::lex::Word;
use super::super::tree::Statement;
use super::Context;
use super::vrrp_instance::Draft;

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    /// The script.
    pub name: Word,
    /// `weight N`; `None` means the script's own.
    pub weight: Option<i32>,
    /// `reverse` or `noreverse`; `None` means the script's own.
    pub reverse: Option<bool>,
    /// How many `vrrp_script` blocks stand before this line; C knows only those.
    pub known_scripts: usize,
}

/// Reads the block.
pub fn set(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    for value in statement.inner() {
        cx.expect_no_block(value);
        if let Some(line) = read(draft, value, cx) {
            draft.tracked_names.insert(line.name.text.clone());
            draft.track_scripts.push(line);
        }
    }
}

fn read(draft: &Draft, statement: &Statement, cx: &mut Context<'_>) -> Option<Line> {
    let instance = &draft.name.text;
    let name = statement.word(0)?.clone();
    if draft.tracked_names.contains(&name.text) {
        let text = format!(
            "({instance}) duplicate track_script {} - ignoring",
            name.text
        );
        cx.error("duplicate-track-script", &name, text);
        return None;
    }
    let known_scripts = draft.known_scripts;
    let Some(option) = statement.word(1) else {
        return Some(Line {
            name,
            weight: None,
            reverse: None,
            known_scripts,
        });
    };
    if option.text != "weight" {
        let text = format!(
            "({instance}) unknown track script option {} - ignoring",
            option.text
        );
        cx.error("track-script-option", option, text);
        return None;
    }
    let word = cx.argument(statement, 2)?;
    let invalid = || {
        format!(
            "({instance}) track script {}: weight {} invalid - ignoring",
            name.text, word.text
        )
    };
    let mut weight = cx.usable(word, arguments::number(&word.text, -254..=254), invalid)?;
    if weight.abs() == 254 {
        let text = format!(
            "({instance}) weight for {} cannot be +/-254. Setting to +/-253",
            name.text
        );
        cx.error("track-script-weight", word, text);
        weight = weight.clamp(-253, 253);
    }
    let reverse = match statement.word(3).map(|word| (word, word.text.as_str())) {
        None => None,
        Some((_, "noreverse")) => Some(false),
        Some((_, "reverse")) => Some(true),
        Some((word, other)) => {
            let text =
                format!("({instance}) unknown track script weight option {other} - ignoring");
            cx.error("track-script-option", word, text);
            return None;
        }
    };
    Some(Line {
        name,
        weight: i32::try_from(weight).ok(),
        reverse,
        known_scripts,
    })
}
