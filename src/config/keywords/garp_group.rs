//! `garp_group { ... }`: interfaces that share a limit of gratuitous ARPs
//! (specification D.6).

use crate::hashing::QuickSet;
use crate::time::Interval;

use super::super::diagnostic::Diagnostic;
use super::super::lex::Word;
use super::super::model::GarpGroup;
use super::super::tree::Statement;
use super::global_defs::tell_if_large;
use super::{Content, Context, Keyword, root, works};

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    works("garp_interval", "SECONDS", "Least time between gratuitous ARPs", garp_interval),
    works("gna_interval", "SECONDS", "Least time between unsolicited neighbour adverts", gna_interval),
    works("interface", "IF", "An interface of the group", interface),
    works("interfaces", "{ IF... }", "Interfaces of the group", interfaces).with(Content::Values),
];

/// A block while it is read.
#[derive(Debug, Clone)]
pub struct Draft {
    group: GarpGroup,
    /// A delay was given, if only 0 or a wrong one.
    has_delay_line: bool,
    /// Interfaces of the groups before.
    taken: QuickSet<String>,
    /// Every interface, for what the machine says of it.
    named: Vec<Word>,
}

/// Reads a block.
pub fn set(root: &mut root::Draft, statement: &Statement, cx: &mut Context<'_>) {
    let mut draft = Draft {
        group: GarpGroup {
            garp_interval: Interval::ZERO,
            gna_interval: Interval::ZERO,
            interfaces: Vec::new(),
        },
        has_delay_line: false,
        taken: std::mem::take(&mut root.garp_interfaces),
        named: std::mem::take(&mut root.garp_interface_words),
    };
    let inner = statement.inner();
    super::apply("garp_group", KEYWORDS, inner, &mut draft, cx);
    root.garp_interfaces = draft.taken;
    root.garp_interface_words = draft.named;
    let group = draft.group;
    if !draft.has_delay_line {
        // C's number is always 0.
        let text = "garp group 0 does not have any delay set - removing";
        let help = "Add `garp_interval` or `gna_interval`.";
        let diagnostic = Diagnostic::error("no-delay", text).at(&statement.end());
        cx.found.push(diagnostic.help(help));
    }
    if group.garp_interval == Interval::ZERO && group.gna_interval == Interval::ZERO {
        for interface in &group.interfaces {
            root.garp_interfaces.remove(interface);
        }
        return;
    }
    root.garp_groups.push(group);
}

fn interval(statement: &Statement, cx: &mut Context<'_>) -> Option<Interval> {
    let keyword = statement.keyword();
    let range = Interval::ZERO..=Interval::from_us(2_147_483_647);
    let invalid = |text: &str| format!("garp_group {keyword} '{text}' invalid");
    let value = cx.seconds(statement, 6, range, invalid)?;
    tell_if_large(value, Interval::from_secs(1), statement, cx);
    Some(value)
}

fn garp_interval(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.has_delay_line = true;
    let group = &mut draft.group;
    group.garp_interval = interval(statement, cx).unwrap_or(group.garp_interval);
}

fn gna_interval(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.has_delay_line = true;
    let group = &mut draft.group;
    group.gna_interval = interval(statement, cx).unwrap_or(group.gna_interval);
}

fn interface(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if let Some(word) = cx.argument(statement, 1) {
        draft.add(word, cx);
    }
}

fn interfaces(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if statement.inner().is_empty() {
        let text = "Warning - empty garp_group interfaces block";
        let origin = statement.end();
        cx.found
            .push(Diagnostic::warning("no-interface", text).at(&origin));
    }
    for line in statement.inner() {
        cx.expect_no_block(line);
        for word in &line.words {
            draft.add(word, cx);
        }
    }
}

impl Draft {
    fn add(&mut self, word: &Word, cx: &mut Context<'_>) {
        let name = &word.text;
        if !self.taken.insert(name.clone()) {
            let text = format!("garp_group already specified for {name} - ignoring");
            cx.error("duplicate", word, text);
            return;
        }
        self.named.push(word.clone());
        self.group.interfaces.push(name.clone());
    }
}
