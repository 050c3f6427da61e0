//! `vrrp_script NAME { ... }` (specification D.2).

use crate::time::Interval;

use super::super::arguments;
use super::super::diagnostic::Diagnostic;
use super::super::lex::{Origin, Word};
use super::super::model::{Command, ScriptUser};
use super::super::tree::Statement;
use super::{Context, Keyword, works};

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    works("script", "\"CMD args\"", "Command that is run", script),
    works("interval", "SECONDS", "From one start to the next, default 1", interval),
    works("timeout", "SECONDS", "Limit of one run, default the interval", timeout),
    works("weight", "-253..253 [reverse]", "Added to the priority; 0 means FAULT", weight),
    works("rise", "1..", "Successes in a row that bring it up", rise),
    works("fall", "1..", "Failures in a row that bring it down", fall),
    works("user", "USER [[:]GROUP]", "Who runs it", user),
    works("init_fail", "", "Counts as failed until the first success", init_fail),
];
/// The settings of one block so far.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The name of the block.
    pub name: Word,
    /// Where the block ends.
    pub end: Origin,
    /// `script`, and where it stands.
    pub command: Option<(Command, Origin)>,
    /// `user`, and where it stands.
    pub user: Option<(ScriptUser, Origin)>,
    /// `interval`
    pub interval: Interval,
    /// `timeout`
    pub timeout: Option<Interval>,
    /// `weight`
    pub weight: i32,
    /// `weight N reverse`
    pub reverse: bool,
    /// `rise`
    pub rise: u32,
    /// `fall`
    pub fall: u32,
    /// `init_fail`
    pub init_fail: bool,
}

impl Draft {
    /// An empty block of this name.
    pub fn new(name: Word) -> Self {
        Self {
            end: name.origin,
            name,
            command: None,
            user: None,
            interval: Interval::from_secs(1),
            timeout: None,
            weight: 0,
            reverse: false,
            rise: 1,
            fall: 1,
            init_fail: false,
        }
    }
}

/// The longest time C keeps: 32 bits of seconds would overflow its microseconds.
const TIME_MAX: Interval = Interval::from_secs(4_294);

fn script(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if let Some(command) = cx.command(statement, false) {
        // The last one counts; the check of scripts finds it by its place.
        let place = cx.scripts_seen.last().map(|used| used.origin);
        draft.command = place.map(|place| (command, place));
    }
}

fn interval(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = draft.name.text.clone();
    let invalid = |text: &str| {
        format!("({name}): vrrp script interval '{text}' must be between 1 and 4294 - ignoring")
    };
    let value = cx.seconds(statement, 3, Interval::ZERO..=TIME_MAX, invalid);
    match value {
        Some(value) if value.is_zero() => {
            let text =
                format!("({name}): vrrp script interval must be greater than 0, setting to 1");
            let origin = statement.line.whole();
            cx.found
                .push(Diagnostic::error("script-interval", text).at(&origin));
            draft.interval = Interval::from_secs(1);
        }
        Some(value) => draft.interval = value,
        None => {}
    }
}

fn timeout(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = draft.name.text.clone();
    let invalid = |text: &str| format!("({name}): vrrp script timeout '{text}' invalid - ignoring");
    let Some(value) = cx.seconds(statement, 3, Interval::ZERO..=TIME_MAX, invalid) else {
        return;
    };
    if value.is_zero() {
        let text = format!("({name}): vrrp script timeout must be greater than 0, setting to 1");
        let origin = statement.line.whole();
        cx.found
            .push(Diagnostic::error("script-timeout", text).at(&origin));
    }
    draft.timeout = Some(if value.is_zero() {
        Interval::from_secs(1)
    } else {
        value
    });
}

fn weight(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = draft.name.text.clone();
    let invalid = |text: &str| format!("vrrp_script {name} weight {text} must be in [-253, 253]");
    if let Some(value) = cx.number(statement, -253..=253, invalid) {
        draft.weight = i32::try_from(value).unwrap_or(0);
    }
    match statement.word(2) {
        None => draft.reverse = false,
        Some(word) if word.text == "reverse" => draft.reverse = true,
        Some(word) => {
            let text = format!("vrrp_script {name} unknown weight option {}", word.text);
            cx.error("script-weight", word, text);
        }
    }
}

fn count(draft: &Draft, statement: &Statement, cx: &mut Context<'_>) -> u32 {
    let (name, keyword) = (&draft.name.text, statement.keyword());
    let invalid = |text: &str| {
        format!("({name}): vrrp script {keyword} value '{text}' invalid, defaulting to 1")
    };
    let value = cx.number(statement, 1..=i64::from(i32::MAX), invalid);
    value
        .and_then(|value| u32::try_from(value).ok())
        .unwrap_or(1)
}

fn rise(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.rise = count(draft, statement, cx);
}

fn fall(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.fall = count(draft, statement, cx);
}

fn user(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if cx.argument(statement, 1).is_some() {
        let user = arguments::script_user(statement.arguments());
        draft.user = user.map(|user| (user, statement.line.whole()));
    }
}

fn init_fail(draft: &mut Draft, _: &Statement, _: &mut Context<'_>) {
    draft.init_fail = true;
}
