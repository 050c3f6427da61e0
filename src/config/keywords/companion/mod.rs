//! The vocabulary of `keepalived-rs.conf`, the file beside the main one: words that
//! C keepalived does not know.
//!
//! Decides its outer level, and which names may stand there twice. The words of the
//! blocks are in the files beside this one; where the file lies is decided in
//! `config/companion.rs`, what its settings mean for an instance in
//! `resolve/companion.rs`.

use std::collections::HashSet;

use super::super::diagnostic::Diagnostic;
use super::super::lex::Word;
use super::super::tree::Statement;
use super::{Content, Context, Keyword, works};

pub mod global_defs;
pub mod vrrp_instance;
pub mod vrrp_sync_group;

mod vip_loss;

pub use vip_loss::VipLossDraft;

/// The name of the file, in the directory of the main one.
pub const FILE_NAME: &str = "keepalived-rs.conf";

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    works("global_defs", "{ ... }", "Settings of the whole daemon; several blocks add up", global_defs).with(Content::Keywords),
    works("vrrp_sync_group", "NAME { ... }", "More about the sync group of that name", vrrp_sync_group).with(Content::Keywords),
    works("vrrp_instance", "NAME { ... }", "More about the instance of that name", vrrp_instance).with(Content::Keywords),
];

/// Everything that was read so far.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// All `global_defs` blocks.
    pub globals: global_defs::Draft,
    /// `vrrp_sync_group` blocks in order, names unique.
    pub sync_groups: Vec<Named<vrrp_sync_group::Draft>>,
    /// `vrrp_instance` blocks in order, names unique.
    pub instances: Vec<Named<vrrp_instance::Draft>>,
    group_names: HashSet<String>,
    instance_names: HashSet<String>,
}

/// A block with a name.
#[derive(Debug, Clone)]
pub struct Named<T> {
    /// The name.
    pub name: Word,
    /// What stands in the block.
    pub settings: T,
}

fn global_defs(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let table = global_defs::KEYWORDS;
    let inner = statement.inner();
    super::apply("global_defs", table, inner, &mut draft.globals, cx);
}

fn vrrp_sync_group(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let names = &mut draft.group_names;
    let Some(name) = new_name(names, "vrrp sync group", "duplicate-group", statement, cx) else {
        return;
    };
    let mut settings = vrrp_sync_group::Draft::default();
    let table = vrrp_sync_group::KEYWORDS;
    let inner = statement.inner();
    super::apply("vrrp_sync_group", table, inner, &mut settings, cx);
    draft.sync_groups.push(Named { name, settings });
}

fn vrrp_instance(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let names = &mut draft.instance_names;
    let Some(name) = new_name(names, "vrrp instance", "duplicate-instance", statement, cx) else {
        return;
    };
    let mut settings = vrrp_instance::Draft::default();
    let table = vrrp_instance::KEYWORDS;
    let inner = statement.inner();
    super::apply("vrrp_instance", table, inner, &mut settings, cx);
    draft.instances.push(Named { name, settings });
}

/// The name of a block, if it has one that no block of its kind above has.
fn new_name(
    names: &mut HashSet<String>,
    kind: &str,
    code: &'static str,
    statement: &Statement,
    cx: &mut Context<'_>,
) -> Option<Word> {
    if cx.options.without_vrrp {
        return None;
    }
    let Some(name) = statement.word(1) else {
        let text = format!("{} must have a name", statement.keyword());
        let origin = statement.line.whole();
        cx.found
            .push(Diagnostic::error("no-name", text).at(&origin));
        return None;
    };
    if !names.insert(name.text.clone()) {
        let text = format!("{kind} {} already defined", name.text);
        cx.error(code, name, text);
        return None;
    }
    Some(name.clone())
}

/// A switch; none means on.
fn switch(statement: &Statement, cx: &mut Context<'_>) -> Option<bool> {
    let keyword = statement.keyword();
    cx.switch(statement, |text| {
        format!("Invalid value '{text}' for {keyword} specified")
    })
}
