//! A plan in words, for people.
//!
//! Decides the lines and their order. What is different is found in `changes.rs`.

use super::Plan;

/// The lines of [`Plan::describe`].
pub(super) fn lines(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    let mut kept = plan.kept.iter().peekable();
    let mut started = plan.started.iter().peekable();
    for instance in &plan.config.instances {
        if let Some(it) = kept.next_if(|it| it.after == *instance) {
            let changes = it.changes.iter();
            let words: Vec<&str> = changes.map(|change| &*change.words).collect();
            lines.push(format!("{}: {}", instance.name, words.join("; ")));
        } else if started.next_if(|it| *it == instance).is_some() {
            let mut ended = plan.restarted.iter();
            let before = ended.find(|it| it.before.name == instance.name);
            lines.push(match before {
                Some(it) => format!("{}: restarted, because {}", instance.name, it.because),
                None => format!("{}: new", instance.name),
            });
        }
    }
    // One whose name another one goes on with ends all the same.
    let goes_on = |name: &str| plan.kept.iter().any(|it| it.after.name == name);
    for it in plan.restarted.iter().filter(|it| goes_on(&it.before.name)) {
        lines.push(format!(
            "{} as it was: ends, because {}",
            it.before.name, it.because
        ));
    }
    for it in &plan.removed {
        lines.push(format!("{}: removed", it.name));
    }
    lines.extend(plan.general.iter().cloned());
    lines
}
