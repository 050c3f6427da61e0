//! `MISC_CHECK { ... }`: a script decides (keepalived-lvs.md B.5).

use super::super::super::arguments;
use super::super::super::diagnostic::Diagnostic;
use super::super::super::scripts;
use super::super::super::tree::Statement;
use super::super::{Context, Keyword, already};
use super::checker::{self, Draft, REPETITION};
use super::{error_at_end, joined, number, part, real_server};

#[rustfmt::skip] // One row, one line.
const OWN: &[Keyword<Draft>] = &[
    part("misc_path", "\"CMD args\"", "Script that is run", misc_path),
    part("misc_timeout", "SECONDS 0..4294", "Limit of one run", misc_timeout),
    part("misc_dynamic", "", "Exit codes from 2 on set the weight", already),
    part("user", "USER [GROUP]", "Who runs it", user),
];

const ROWS: [Keyword<Draft>; REPETITION.len() + OWN.len()] = joined(REPETITION, OWN);

/// The rows.
pub const KEYWORDS: &[Keyword<Draft>] = &ROWS;

/// Reads the block.
pub fn set(server: &mut real_server::Draft, statement: &Statement, cx: &mut Context<'_>) {
    let before = cx.scripts_seen.len();
    let draft = checker::read_unconnected("MISC_CHECK", KEYWORDS, server, statement, cx);
    if draft.command.is_none() {
        let text = "No script path has been specified for MISC_CHECKER - skipping";
        error_at_end(cx, "no-script", statement, text.to_string());
    }
    for used in cx.scripts_seen.iter_mut().skip(before) {
        used.owner = scripts::Owner::Checker(statement.end());
        used.command.user = draft.user.clone();
    }
}

fn misc_path(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    // Without an argument there is no script, which is told at the end.
    if statement.word(1).is_none_or(|word| word.text.is_empty()) {
        return;
    }
    // Of a command that cannot be read the reason has been told.
    let argv = cx.command(statement, false).map(|command| command.argv);
    draft.command = Some(argv.unwrap_or_default());
}

fn misc_timeout(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid = |text: &str| format!("Invalid misc_timeout value '{text}'");
    number(cx, statement, 0..=4_294, invalid);
}

fn user(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(user) = arguments::script_user(statement.arguments()) else {
        let text = "No user specified for misc checker script";
        super::error(cx, "script-user", statement, text.to_string());
        return;
    };
    if !cx.machine.user_exists(&user) {
        let script = scripts::quoted(draft.command.as_deref().unwrap_or_default());
        let text = format!("Failed to set uid/gid for misc checker script {script} - removing");
        let origin = statement.line.whole();
        cx.found
            .push(Diagnostic::warning("script-user", text).at(&origin));
    }
    draft.user = Some(user);
}
