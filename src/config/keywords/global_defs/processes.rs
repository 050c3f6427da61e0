//! Names, priorities and processors of the processes.

use crate::time::Interval;

use super::super::super::arguments;
use super::super::super::model::Process;
use super::super::super::tree::Statement;
use super::super::Context;
use super::{Draft, wanted};

/// The kernel keeps no more of a name.
const NAME_MAX: usize = 15;

/// The process that a keyword begins with, and its name in messages.
fn of<'d>(draft: &'d mut Draft, statement: &Statement) -> (&'static str, &'d mut Process) {
    let processes = &mut draft.globals.processes;
    match statement.keyword().split('_').next() {
        Some("checker" | "lvs") => ("checker", &mut processes.checker),
        Some("bfd") => ("bfd", &mut processes.bfd),
        _ => ("vrrp", &mut processes.vrrp),
    }
}

fn name_of(statement: &Statement, cx: &mut Context<'_>) -> Option<String> {
    let word = cx.argument(statement, 1)?;
    let mut name = word.text.clone();
    if name.len() > NAME_MAX {
        let text = format!("Process name {name} more than 15 characters, truncating");
        cx.error("long-name", word, text);
        let fits = |end: &usize| name.is_char_boundary(*end);
        let end = (0..=NAME_MAX).rev().find(fits).unwrap_or(0);
        name.truncate(end);
    }
    Some(name)
}

/// `process_name`
pub fn parent_name(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if let Some(name) = name_of(statement, cx) {
        draft.globals.processes.parent_name = Some(name);
    }
}

/// `vrrp_process_name`, `checker_process_name`, `bfd_process_name`
pub fn name(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if let Some(name) = name_of(statement, cx) {
        of(draft, statement).1.name = Some(name);
    }
}

/// `lvs_process_name`
pub fn lvs_name(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    super::tell_of_alias("checker_process_name", statement, cx);
    name(draft, statement, cx);
}

/// `*_priority`
pub fn nice(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let (who, process) = of(draft, statement);
    let missing = format!("No {who} process priority specified");
    if wanted(statement, &missing, cx).is_none() {
        return;
    }
    let invalid = |_: &str| format!("Invalid {who} process priority specified");
    let value = cx.number(statement, -20..=19, invalid);
    if let Some(value) = value.and_then(|value| i8::try_from(value).ok()) {
        process.nice = value;
    }
}

/// `*_no_swap`
pub fn no_swap(draft: &mut Draft, statement: &Statement, _: &mut Context<'_>) {
    of(draft, statement).1.no_swap = true;
}

/// `*_rt_priority`; what is out of range is moved into it.
pub fn realtime_priority(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let (who, process) = of(draft, statement);
    let missing = format!("No {who} process real-time priority specified");
    let Some(word) = wanted(statement, &missing, cx) else {
        return;
    };
    let invalid = |text: &str| format!("{who} process real-time priority '{text}' invalid");
    let range = i64::from(i32::MIN)..=i64::from(i32::MAX);
    let Some(value) = cx.number(statement, range, invalid) else {
        return;
    };
    let text = match value {
        ..1 => format!(
            "{who} process real-time priority {value} less than minimum 1 - setting to minimum"
        ),
        100.. => format!(
            "{who} process real-time priority {value} greater than maximum 99 - setting to maximum"
        ),
        _ => String::new(),
    };
    if !text.is_empty() {
        cx.error("realtime-priority", word, text);
    }
    process.realtime_priority = u8::try_from(value.clamp(1, 99)).ok();
}

/// `*_cpu_affinity`: one processor that is none clears the set. How many there
/// are is a matter of the machine; the kernel knows at most 8192.
pub fn processors(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let (who, process) = of(draft, statement);
    let missing = format!("No {who} cpu_id set specified");
    if wanted(statement, &missing, cx).is_none() {
        return;
    }
    let mut processors = Vec::new();
    for word in statement.arguments() {
        let invalid = || format!("Invalid cpu_id:{} specified for {who} process", word.text);
        let number = arguments::number(&word.text, 0..=8_191);
        match cx.usable(word, number, invalid).map(u32::try_from) {
            Some(Ok(processor)) => processors.push(processor),
            _ => {
                processors.clear();
                break;
            }
        }
    }
    processors.sort_unstable();
    processors.dedup();
    process.processors = processors;
}

/// `*_rlimit_rttime`: microseconds. C makes 2 of 1, because half of it is the
/// soft limit.
pub fn realtime_limit(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let (who, process) = of(draft, statement);
    let invalid = |text: &str| format!("Invalid {who} real-time limit - {text}");
    let value = cx.number(statement, 1..=i64::from(u32::MAX), invalid);
    if let Some(value) = value.and_then(|value| u64::try_from(value).ok()) {
        process.realtime_limit = Some(Interval::from_us(value.max(2)));
    }
}

/// `*_rlimit_rtime`
pub fn realtime_limit_alias(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let current = match statement.keyword() {
        "vrrp_rlimit_rtime" => "vrrp_rlimit_rttime",
        "checker_rlimit_rtime" => "checker_rlimit_rttime",
        _ => "bfd_rlimit_rttime",
    };
    super::tell_of_alias(current, statement, cx);
    realtime_limit(draft, statement, cx);
}

/// `max_auto_priority`; without a number the greatest.
pub fn maximum_auto_priority(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid = |text: &str| {
        format!("max_auto_priority '{text}' must be in [0, 99] (or -1 to disable) - ignoring")
    };
    let value = match statement.word(1) {
        None => Some(99),
        Some(_) => cx.number(statement, -1..=99, invalid),
    };
    if let Some(value) = value.and_then(|value| i8::try_from(value).ok()) {
        draft.globals.processes.max_auto_priority = value;
    }
}

/// `min_auto_priority_delay`: microseconds.
pub fn minimum_auto_priority_delay(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let missing = "min_auto_priority_delay requires delay time";
    if wanted(statement, missing, cx).is_none() {
        return;
    }
    let invalid = |text: &str| {
        format!("min_auto_priority_delay '{text}' must be in [1, 10000000] - ignoring")
    };
    let value = cx.number(statement, 1..=10_000_000, invalid);
    if let Some(value) = value.and_then(|value| u64::try_from(value).ok()) {
        draft.globals.processes.min_auto_priority_delay = Some(Interval::from_us(value));
    }
}
