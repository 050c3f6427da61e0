//! What is suspicious in a configuration that can be read.
//!
//! Decides how lints find the place of a setting and what weights add up to;
//! `one_file.rs` has the lints of one node, `pair.rs` those of two. A lint never
//! says again what reading the file has said. Source: specification B.3, D.7, F.8.

use std::collections::HashMap;

use crate::ids::Priority;

use super::lex::Origin;
use super::model::{Config, Instance};
use super::tree::Statement;

mod one_file;
mod pair;

pub use one_file::one_file;
pub use pair::pair;

/// A configuration with its lines.
pub struct Subject<'a> {
    /// What the node is called in messages: its file.
    pub name: String,
    /// What the lines mean.
    pub config: &'a Config,
    blocks: HashMap<&'a str, &'a Statement>,
    globals: Vec<&'a Statement>,
    files_before: usize,
}

impl<'a> Subject<'a> {
    /// `files_before` is the number of files that stand in front of this
    /// configuration's own in the sources that findings are printed with.
    pub fn new(
        name: String,
        config: &'a Config,
        statements: &'a [Statement],
        files_before: usize,
    ) -> Self {
        let mut blocks = HashMap::new();
        let of = |keyword: &'static str| {
            let is_meant = move |statement: &&Statement| statement.keyword() == keyword;
            statements.iter().filter(is_meant)
        };
        for statement in of("vrrp_instance") {
            if let Some(name) = statement.word(1) {
                blocks.entry(name.text.as_str()).or_insert(statement);
            }
        }
        Self {
            name,
            config,
            blocks,
            globals: of("global_defs").flat_map(Statement::inner).collect(),
            files_before,
        }
    }

    /// The last line of an instance that begins with this keyword.
    fn line(&self, instance: &Instance, keyword: &str) -> Option<&'a Statement> {
        let block = self.blocks.get(instance.name.as_str())?;
        let mut lines = block.inner().iter().rev();
        lines.find(|statement| statement.keyword() == keyword)
    }

    /// Every line in the blocks of this keyword in an instance.
    fn values(&self, instance: &Instance, keyword: &str) -> Vec<&'a Statement> {
        let block = self.blocks.get(instance.name.as_str());
        block
            .into_iter()
            .flat_map(|block| block.inner())
            .filter(|statement| statement.keyword() == keyword)
            .flat_map(Statement::inner)
            .collect()
    }

    /// The last line of `global_defs` that begins with this keyword.
    fn global(&self, keyword: &str) -> Option<&'a Statement> {
        let mut lines = self.globals.iter().rev();
        lines
            .find(|statement| statement.keyword() == keyword)
            .copied()
    }

    /// The place of the first of these keywords that the instance has, else that
    /// of its name.
    fn place(&self, instance: &Instance, keywords: &[&str]) -> Option<Origin> {
        let mut lines = keywords
            .iter()
            .filter_map(|keyword| self.line(instance, keyword));
        match lines.next() {
            Some(statement) => Some(self.moved(statement.line.whole())),
            None => {
                let block = self.blocks.get(instance.name.as_str())?;
                let name = block.word(1)?;
                Some(self.moved(name.origin))
            }
        }
    }

    /// The place in the sources of all files.
    fn moved(&self, origin: Origin) -> Origin {
        let moved = |span: super::source::Span| span.moved_by(self.files_before);
        Origin {
            span: moved(origin.span),
            defined: origin.defined.map(moved),
        }
    }

    /// What an instance tracks with a weight, and where it says so.
    fn weights(&self, instance: &Instance) -> Vec<Weight> {
        let mut weights = Vec::new();
        let mut add = |keyword: &'static str, tracked: &mut dyn Iterator<Item = _>| {
            let lines: HashMap<&str, Origin> = self
                .values(instance, keyword)
                .into_iter()
                .map(|line| (line.keyword(), self.moved(line.line.whole())))
                .collect();
            for (name, weight, reverse) in tracked.filter(|(_, weight, _)| *weight != 0) {
                let name: &str = name;
                weights.push(Weight {
                    name: name.to_string(),
                    origin: lines.get(name).copied(),
                    amount: i64::from(weight).saturating_abs(),
                    is_bonus: (weight > 0) != reverse,
                });
            }
        };
        let scripts = instance.track_scripts.iter();
        let scripts = scripts.map(|line| (line.script.name.as_str(), line.weight, line.reverse));
        add("track_script", &mut { scripts });
        let interfaces = instance.track_interfaces.iter();
        let interfaces =
            interfaces.map(|line| (line.interface.as_str(), line.weight, line.reverse));
        add("track_interface", &mut { interfaces });
        let processes = instance.track_processes.iter();
        let processes =
            processes.map(|line| (line.process.name.as_str(), line.weight, line.reverse));
        add("track_process", &mut { processes });
        let sessions = instance.track_bfds.iter();
        let sessions = sessions.map(|line| (line.name.as_str(), line.weight, line.reverse));
        add("track_bfd", &mut { sessions });
        weights
    }
}

/// Something that is tracked with a weight.
struct Weight {
    name: String,
    origin: Option<Origin>,
    /// How much the priority falls when it turns bad, at least 1.
    amount: i64,
    /// Its good state adds to the priority; otherwise its bad state takes away.
    is_bonus: bool,
}

/// The priority of an instance when all that it tracks is well, before it is
/// limited; `None` if it never changes, or if a number in a file decides.
fn best(instance: &Instance, weights: &[Weight]) -> Option<i64> {
    let is_open = instance.track_files.iter().any(|line| line.weight != 0);
    if is_open || instance.priority == Priority::OWNER {
        return None;
    }
    let bonus = weights.iter().filter(|weight| weight.is_bonus);
    Some(
        bonus
            .map(|weight| weight.amount)
            .fold(i64::from(instance.priority.0), i64::saturating_add),
    )
}

/// An effective priority (specification F.8).
fn limited(total: i64) -> i64 {
    total.clamp(1, 254)
}
