//! `track_group NAME { group { INSTANCE... } }` (specification B.1).
//!
//! Decides who is in a group. Whether these instances exist is found when all of
//! them are known.

use super::super::diagnostic::{Class, Diagnostic, Severity};
use super::super::lex::Word;
use super::super::tree::Statement;
use super::{Content, Context, Keyword, root, works};

/// The rows.
pub const KEYWORDS: &[Keyword<Draft>] = &[works(
    "group",
    "{ INSTANCE... }",
    "The instances of the group",
    group,
)
.with(Content::Values)];

/// The settings of one block so far.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The name of the block.
    pub name: Word,
    /// Names of instances; `None` without a block `group`.
    pub members: Option<Vec<Word>>,
}

/// Reads a block.
pub fn set(root: &mut root::Draft, statement: &Statement, cx: &mut Context<'_>) {
    if cx.options.without_vrrp {
        return;
    }
    let [name] = statement.arguments() else {
        let text = "track_group must have a name - skipping";
        let diagnostic = Diagnostic::error("no-name", text);
        cx.found.push(diagnostic.at(&statement.line.whole()));
        return;
    };
    if root.track_group_names.contains(&name.text) {
        let text = format!("track_group {} already defined", name.text);
        cx.error("track-group", name, text);
        return;
    }
    let mut draft = Draft {
        name: name.clone(),
        members: None,
    };
    super::apply("track_group", KEYWORDS, statement.inner(), &mut draft, cx);
    if draft.members.is_none() {
        let text = format!("track_group {} has no group block - ignoring", name.text);
        let code = "track-group";
        let diagnostic = Diagnostic::new(code, Severity::Warning, Class::None, text);
        cx.found.push(diagnostic.at(&name.origin));
        return;
    }
    root.track_group_names.insert(name.text.clone());
    root.track_groups.push(draft);
}

fn group(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = &draft.name.text;
    if draft.members.is_some() {
        let text = format!("Group list already specified for sync group {name}");
        let diagnostic = Diagnostic::error("track-group", text);
        cx.found.push(diagnostic.at(&statement.keyword_origin()));
        return;
    }
    let lines = statement.inner().iter();
    let members: Vec<Word> = lines.flat_map(|line| line.words.iter().cloned()).collect();
    if members.is_empty() {
        let text = format!("Warning - track group {name} has empty group block");
        let diagnostic = Diagnostic::warning("track-group", text);
        cx.found.push(diagnostic.at(&statement.keyword_origin()));
    }
    draft.members = Some(members);
}
