//! The lines of `interface_up_down_delays { IF DOWN [UP] }` (specification D.6).

use crate::time::Interval;

use super::super::arguments;
use super::super::diagnostic::{Class, Diagnostic, Severity};
use super::super::model::InterfaceDelay;
use super::super::tree::Statement;
use super::linkbeat_interfaces::tell_if_missing;
use super::{Context, root};

/// Reads the block.
pub fn set(root: &mut root::Draft, statement: &Statement, cx: &mut Context<'_>) {
    for line in statement.inner() {
        cx.expect_no_block(line);
        let Some(interface) = line.word(0) else {
            continue;
        };
        tell_if_missing(interface, "up/down delay", cx);
        if line.word(1).is_none() {
            let text = format!("No delay for interface {}", interface.text);
            let diagnostic = Diagnostic::new("no-delay", Severity::Warning, Class::None, text);
            cx.found.push(diagnostic.at(&interface.origin));
            continue;
        }
        let mut delay = |index: usize| match line.word(index) {
            None => Some(Interval::ZERO),
            Some(word) => {
                let range = Interval::ZERO..=Interval::from_secs(255);
                let seconds = arguments::seconds(&word.text, 6, range);
                let problem = seconds.as_ref().err().map(|problem| problem.text.clone());
                cx.usable(word, seconds, || problem.unwrap_or_default())
            }
        };
        let (Some(down), Some(up)) = (delay(1), delay(2)) else {
            continue;
        };
        root.interface_delays.push(InterfaceDelay {
            interface: interface.text.clone(),
            down,
            up,
        });
    }
}
