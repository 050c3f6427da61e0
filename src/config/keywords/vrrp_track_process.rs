//! `vrrp_track_process NAME { ... }` (specification D.3).

use crate::time::Interval;

use super::super::diagnostic::Diagnostic;
use super::super::lex::Word;
use super::super::model::ParameterMatch;
use super::super::tree::Statement;
use super::{Context, Keyword, works};

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    works("process", "PATH [ARG...]", "Name or path of the process", process),
    works("param_match", "[initial|partial]", "How its arguments are compared", param_match),
    works("weight", "-254..254 [reverse]", "Added to the priority; 0 means FAULT", weight),
    works("quorum", "1..65535", "Least number of processes, default 1", quorum),
    works("quorum_max", "0..65535", "Greatest number of processes", quorum_max),
    works("delay", "0.000001..3600", "Sets terminate_delay and fork_delay", delay),
    works("terminate_delay", "0.000001..3600", "The quorum is lost only after this time", delay),
    works("fork_delay", "0.000001..3600", "The quorum is gained only after this time", delay),
    works("full_command", "", "The command line counts, not the name", full_command),
];

/// The settings of one block so far.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The name of the block.
    pub name: Word,
    /// `process`: program and arguments.
    pub process: Option<(String, Vec<String>)>,
    /// `param_match`
    pub parameter_match: ParameterMatch,
    /// `weight`
    pub weight: Option<i32>,
    /// `weight N reverse`
    pub reverse: bool,
    /// `quorum`
    pub quorum: u32,
    /// `quorum_max`
    pub quorum_max: Option<u32>,
    /// `terminate_delay`
    pub terminate_delay: Interval,
    /// `fork_delay`
    pub fork_delay: Interval,
    /// `full_command`
    pub full_command: bool,
}

impl Draft {
    /// An empty block of this name.
    pub fn new(name: Word) -> Self {
        Self {
            name,
            process: None,
            parameter_match: ParameterMatch::None,
            weight: None,
            reverse: false,
            quorum: 1,
            quorum_max: None,
            terminate_delay: Interval::ZERO,
            fork_delay: Interval::ZERO,
            full_command: false,
        }
    }
}

fn process(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    if draft.process.is_some() {
        let text = format!(
            "Process already set for track process {} - ignoring {}",
            draft.name.text, word.text
        );
        cx.error("process-twice", word, text);
        return;
    }
    let parameters = statement.arguments().iter().skip(1);
    let parameters: Vec<String> = parameters.map(|word| word.text.clone()).collect();
    draft.process = Some((word.text.clone(), parameters));
}

fn param_match(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.parameter_match = match statement.word(1).map(|word| (word, word.text.as_str())) {
        None => ParameterMatch::Exact,
        Some((_, "initial")) => ParameterMatch::Initial,
        Some((_, "partial")) => ParameterMatch::Partial,
        Some((word, other)) => {
            let text = format!("Invalid param_match type {other} - ignoring");
            cx.error("param-match", word, text);
            return;
        }
    };
}

fn weight(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = draft.name.text.clone();
    let bad = |text: &str| {
        format!(
            "Weight ({text}) for vrrp_track_process {name} must be between [-254..254] inclusive. Ignoring..."
        )
    };
    let Some(weight) = cx.first_weight("track process", &name, draft.weight, statement, bad) else {
        return;
    };
    draft.weight = Some(weight);
    draft.reverse = cx.is_reverse(statement, || format!("vrrp_track_process {name}"));
}

fn quorum(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = &draft.name.text;
    let invalid = |text: &str| {
        format!(
            "Quorum ({text}) for vrrp_track_process {name} must be between [1..65535] inclusive. Ignoring..."
        )
    };
    if let Some(value) = cx.number(statement, 1..=65_535, invalid) {
        draft.quorum = u32::try_from(value).unwrap_or(1);
    }
}

/// At most none means that none has to be there.
fn quorum_max(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = &draft.name.text;
    let invalid = |text: &str| {
        format!(
            "quorum_max ({text}) for vrrp_track_process {name} must be between [0..65535] inclusive. Ignoring..."
        )
    };
    let Some(value) = cx.number(statement, 0..=65_535, invalid) else {
        return;
    };
    draft.quorum_max = u32::try_from(value).ok();
    if value == 0 {
        draft.quorum = 0;
    }
}

fn delay(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let (name, keyword) = (&draft.name.text, statement.keyword());
    let invalid = |text: &str| {
        format!(
            "{keyword} ({text}) for vrrp_track_process {name} must be between [0.000001..3600] inclusive. Ignoring..."
        )
    };
    let range = Interval::from_us(1)..=Interval::from_secs(3600);
    let Some(value) = cx.seconds(statement, 6, range, invalid) else {
        return;
    };
    if keyword != "fork_delay" {
        draft.terminate_delay = value;
    }
    if keyword != "terminate_delay" {
        draft.fork_delay = value;
    }
}

fn full_command(draft: &mut Draft, _: &Statement, _: &mut Context<'_>) {
    draft.full_command = true;
}

/// What can be said when the block ends; `false` drops it.
pub fn finish(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) -> bool {
    let end = statement.end();
    let Some((_, parameters)) = &draft.process else {
        let text = format!(
            "track process '{}' process name not specified",
            draft.name.text
        );
        cx.found
            .push(Diagnostic::error("no-process", text).at(&end));
        return false;
    };
    if !parameters.is_empty() && draft.parameter_match == ParameterMatch::None {
        draft.parameter_match = ParameterMatch::Exact;
    }
    if draft.quorum_max.is_some_and(|max| max < draft.quorum) {
        let text = "quorum_max is less than quorum - ignoring";
        cx.found
            .push(Diagnostic::error("quorum-max", text).at(&end));
        draft.quorum_max = None;
    }
    true
}
