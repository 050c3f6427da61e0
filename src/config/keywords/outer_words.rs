//! Words of the outer level that stand alone (specification A.13, B.1).

use crate::time::Interval;

use super::super::diagnostic::{Class, Diagnostic, Severity};
use super::super::tree::Statement;
use super::Context;
use super::global_defs::wanted;
use super::root::Draft;

/// `linkbeat_use_polling`
pub fn linkbeat_polling(draft: &mut Draft, _: &Statement, _: &mut Context<'_>) {
    draft.globals.globals.linkbeat_polling = true;
}

/// `net_namespace`; the first one counts, and C does not count the second as a
/// mistake.
pub fn network_namespace(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = wanted(statement, "net_namespace name missing - ignoring", cx) else {
        return;
    };
    let namespace = &mut draft.globals.globals.places.network_namespace;
    if namespace.is_some() {
        let text = format!(
            "Duplicate net_namespace definition {} - ignoring",
            word.text
        );
        let diagnostic = Diagnostic::new("duplicate", Severity::Warning, Class::None, text);
        cx.found.push(diagnostic.at(&word.origin));
        return;
    }
    *namespace = Some(word.text.clone());
}

/// `net_namespace_ipvs`; the first one counts.
pub fn ipvs_network_namespace(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = statement.word(1).map_or("", |word| word.text.as_str());
    let namespace = &mut draft.globals.globals.places.ipvs_network_namespace;
    if namespace.is_some() {
        let text = format!("Duplicate net_namespace_ipvs definition {name} - ignoring");
        let origin = statement.line.whole();
        cx.found
            .push(Diagnostic::error("duplicate", text).at(&origin));
        return;
    }
    *namespace = Some(name.to_string());
}

/// `namespace_with_ipsets`
pub fn namespace_with_ipsets(draft: &mut Draft, _: &Statement, _: &mut Context<'_>) {
    draft.globals.globals.places.namespace_with_ipsets = true;
}

/// `use_pid_dir`
pub fn use_pid_directory(draft: &mut Draft, _: &Statement, _: &mut Context<'_>) {
    draft.globals.globals.places.use_pid_directory = true;
}

/// `instance`; the first one counts.
pub fn instance(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = wanted(statement, "instance name missing - ignoring", cx) else {
        return;
    };
    let instance = &mut draft.globals.globals.places.instance;
    if instance.is_some() {
        let text = format!("Duplicate instance definition {} - ignoring", word.text);
        cx.error("duplicate", word, text);
        return;
    }
    *instance = Some(word.text.clone());
}

/// `child_wait_time`: seconds.
pub fn child_wait_time(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid = |text: &str| format!("Invalid child_wait_time {text}");
    let value = cx.number(statement, 0..=i64::from(u32::MAX), invalid);
    if let Some(value) = value.and_then(|value| u64::try_from(value).ok()) {
        draft.globals.globals.places.child_wait_time = Some(Interval::from_secs(value));
    }
}
