//! `vrrp_sync_group NAME { ... }` (specification D.1).
//!
//! Decides what each keyword leaves in the draft of a group. Who really belongs
//! to it is decided when all instances are read.

use super::super::diagnostic::Diagnostic;
use super::super::lex::Word;
use super::super::model::Notify;
use super::super::tree::Statement;
use super::party::{self, Party};
use super::tracking;
use super::{Content, Context, Keyword, decisive, works};

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    works("group", "{ INSTANCE... }", "The members", group).with(Content::Values),
    works("track_interface", "{ ... }", "Interfaces whose state counts for every member", party::track_interface).with(Content::Values),
    works("track_script", "{ ... }", "Scripts whose result counts for every member", party::track_script).with(Content::Values),
    works("track_file", "{ ... }", "Files whose content counts for every member", party::track_file).with(Content::Values),
    works("track_process", "{ ... }", "Processes whose presence counts for every member", party::track_process).with(Content::Values),
    decisive("track_bfd", "{ ... }", "BFD sessions whose state counts for every member", party::track_bfd).with(Content::Values),
    works("notify_master", "SCRIPT [USER [[:]GROUP]]", "Run when the group becomes MASTER", party::notify_master),
    works("notify_backup", "SCRIPT [USER [[:]GROUP]]", "Run when the group becomes BACKUP", party::notify_backup),
    works("notify_fault", "SCRIPT [USER [[:]GROUP]]", "Run when the group enters FAULT", party::notify_fault),
    works("notify_stop", "SCRIPT [USER [[:]GROUP]]", "Run when the daemon stops", party::notify_stop),
    works("notify", "SCRIPT [USER [[:]GROUP]]", "Run on each change, with GROUP NAME STATE 0 appended", party::notify),
    works("smtp_alert", "[BOOL]", "Mail on changes of state", smtp_alert),
    works("global_tracking", "", "Old name of sync_group_tracking_weight", global_tracking),
    works("sync_group_tracking_weight", "", "Weights of the members are kept", tracking_weight),
    works("notify_priority_changes", "[BOOL]", "Default for the members", notify_priority_changes),
];

/// The settings of one block so far.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The name of the block.
    pub name: Word,
    /// `group`: the members as written; `None` without the block.
    pub members: Option<Vec<Word>>,
    /// `track_*`
    pub tracking: tracking::Draft,
    /// `notify*`
    pub notify: Notify,
    /// `smtp_alert`
    pub smtp_alert: Option<bool>,
    /// `sync_group_tracking_weight`
    pub tracking_weight: bool,
    /// `notify_priority_changes`
    pub notify_priority_changes: Option<bool>,
}

impl Draft {
    /// An empty block of this name.
    pub fn new(name: Word) -> Self {
        Self {
            name,
            members: None,
            tracking: tracking::Draft::default(),
            notify: Notify::default(),
            smtp_alert: None,
            tracking_weight: false,
            notify_priority_changes: None,
        }
    }
}

impl Party for Draft {
    fn name(&self) -> &str {
        &self.name.text
    }

    fn title(&self) -> String {
        format!("vrrp group {}:", self.name.text)
    }

    fn notify(&mut self) -> &mut Notify {
        &mut self.notify
    }

    fn tracking(&mut self) -> &mut tracking::Draft {
        &mut self.tracking
    }
}

fn group(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = &draft.name.text;
    if draft.members.is_some() {
        let text = format!("Group list already specified for sync group {name}");
        let origin = statement.line.whole();
        cx.found
            .push(Diagnostic::error("group-twice", text).at(&origin));
        return;
    }
    let mut members = Vec::new();
    for line in statement.inner() {
        cx.expect_no_block(line);
        members.extend(line.words.iter().cloned());
    }
    if members.is_empty() {
        let text = format!("Warning - sync group {name} has empty group block");
        cx.found
            .push(Diagnostic::warning("empty-group", text).at(&statement.end()));
    }
    draft.members = Some(members);
}

fn smtp_alert(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid = |text: &str| format!("Invalid vrrp_group smtp_alert parameter {text}");
    if let Some(on) = cx.switch(statement, invalid) {
        draft.smtp_alert = Some(on);
    }
}

fn global_tracking(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let text = format!(
        "({}) global_tracking is deprecated. Use track_interface/script/file on the sync group",
        draft.name.text
    );
    let origin = statement.line.whole();
    cx.found
        .push(Diagnostic::warning("deprecated", text).at(&origin));
    draft.tracking_weight = true;
}

fn tracking_weight(draft: &mut Draft, _: &Statement, _: &mut Context<'_>) {
    draft.tracking_weight = true;
}

fn notify_priority_changes(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = &draft.name.text;
    let invalid = |text: &str| {
        format!("({name}) Invalid value '{text}' for sync group notify_priority_changes specified")
    };
    if let Some(on) = cx.switch(statement, invalid) {
        draft.notify_priority_changes = Some(on);
    }
}
