//! Scripts: who runs them, those of start and stop, and FIFOs of events.
//!
//! What the machine says of users only becomes a message; a script whose user
//! does not exist stays, and fails with a reason in the log when it is to run.
//! Source: specification B.2, B.3, D.8.

use crate::time::Interval;

use super::super::super::arguments;
use super::super::super::diagnostic::Diagnostic;
use super::super::super::model::{LifecycleScript, NotifyFifo};
use super::super::super::tree::Statement;
use super::super::Context;
use super::{Draft, wanted};

/// `script_user`
pub fn user(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if wanted(statement, "No script username specified", cx).is_none() {
        return;
    }
    let Some(user) = arguments::script_user(statement.arguments()) else {
        return;
    };
    if !cx.machine.user_exists(&user) {
        let text = "Error setting global script uid/gid";
        let help = "This machine has no such user or group; scripts that name no user will fail.";
        let diagnostic = Diagnostic::warning("script-user", text).at(&statement.line.whole());
        cx.found.push(diagnostic.help(help));
    }
    draft.globals.script_user = Some(user);
}

/// The script that a keyword is about, and its name in messages.
fn lifecycle<'d>(
    draft: &'d mut Draft,
    statement: &Statement,
) -> (&'static str, &'d mut LifecycleScript) {
    let globals = &mut draft.globals;
    if statement.keyword().starts_with("startup") {
        ("startup", &mut globals.startup_script)
    } else {
        ("shutdown", &mut globals.shutdown_script)
    }
}

/// `startup_script`, `shutdown_script`; the first one counts.
pub fn lifecycle_script(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let (which, script) = lifecycle(draft, statement);
    let Some(word) = wanted(statement, &format!("{which} script missing"), cx) else {
        return;
    };
    if script.command.is_some() {
        let text = format!("{which} script already specified");
        cx.error("duplicate", word, text);
        return;
    }
    if let Some(command) = cx.command(statement, true) {
        script.command = Some(command);
    }
}

/// `startup_script_timeout`, `shutdown_script_timeout`: seconds.
pub fn lifecycle_timeout(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let keyword = statement.keyword();
    if wanted(statement, &format!("{keyword} requires value"), cx).is_none() {
        return;
    }
    let invalid = |text: &str| format!("{keyword} '{text}' must be in [1, 1000] - ignoring");
    let value = cx.number(statement, 1..=1_000, invalid);
    if let Some(value) = value.and_then(|value| u64::try_from(value).ok()) {
        lifecycle(draft, statement).1.timeout = Interval::from_secs(value);
    }
}

fn fifo_of<'d>(draft: &'d mut Draft, statement: &Statement) -> &'d mut NotifyFifo {
    let globals = &mut draft.globals;
    match statement.keyword().split('_').next() {
        Some("vrrp") => &mut globals.vrrp_notify_fifo,
        Some("lvs") => &mut globals.lvs_notify_fifo,
        _ => &mut globals.notify_fifo,
    }
}

/// `notify_fifo`, `vrrp_notify_fifo`, `lvs_notify_fifo`; the first one counts.
pub fn fifo(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let keyword = statement.keyword();
    let Some(word) = wanted(statement, &format!("No {keyword} name specified"), cx) else {
        return;
    };
    let fifo = fifo_of(draft, statement);
    if fifo.path.is_some() {
        let text = format!("{keyword} already specified - ignoring {}", word.text);
        cx.error("duplicate", word, text);
        return;
    }
    fifo.path = Some(word.text.clone());
    fifo.owner = arguments::script_user(statement.words.get(2..).unwrap_or_default());
}

/// `notify_fifo_script`, `vrrp_notify_fifo_script`, `lvs_notify_fifo_script`; the
/// first one counts.
pub fn fifo_script(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let keyword = statement.keyword();
    let Some(word) = wanted(statement, &format!("No {keyword} specified"), cx) else {
        return;
    };
    let fifo = fifo_of(draft, statement);
    if fifo.script.is_some() {
        let text = format!("{keyword} already specified - ignoring {}", word.text);
        cx.error("duplicate", word, text);
        return;
    }
    fifo.script = cx.command(statement, true);
}
