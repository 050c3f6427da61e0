//! The lines of `track_interface`, `track_script`, `track_file`, `track_process`
//! and `track_bfd` in an instance or a group (specification D.5).
//!
//! Decides which lines are kept and what is told about them. What a name stands
//! for, and what remains of the weights, is decided when everything is read.

use std::collections::HashSet;

use super::super::arguments;
use super::super::diagnostic::Diagnostic;
use super::super::lex::Word;
use super::super::tree::Statement;
use super::Context;

/// What is tracked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `track_interface`
    Interface,
    /// `track_script`
    Script,
    /// `track_file`
    File,
    /// `track_process`
    Process,
    /// `track_bfd`
    Bfd,
}

impl Kind {
    /// The keyword of the block.
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Interface => "track_interface",
            Self::Script => "track_script",
            Self::File => "track_file",
            Self::Process => "track_process",
            Self::Bfd => "track_bfd",
        }
    }

    /// As C names it in most of its messages.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Interface => "track_interface",
            Self::Script => "track script",
            Self::File => "track file",
            Self::Process => "track process",
            Self::Bfd => "track bfd",
        }
    }

    /// The block that defines one; nothing defines an interface.
    pub const fn definition(self) -> &'static str {
        match self {
            Self::Interface => "",
            Self::Script => "vrrp_script",
            Self::File => "track_file",
            Self::Process => "vrrp_track_process",
            Self::Bfd => "bfd_instance",
        }
    }

    /// The greatest weight that a line may have.
    const fn weight_max(self) -> i64 {
        match self {
            Self::Bfd => 253,
            _ => 254,
        }
    }

    /// Whether +/-254 is read, and means +/-253.
    const fn is_cut(self) -> bool {
        matches!(self, Self::Interface | Self::Script)
    }

    fn unknown_option(self, owner: &str, name: &str, option: &str) -> String {
        match self {
            Self::Interface | Self::Bfd => {
                let what = self.words();
                format!("({owner}) unknown {what} {name} option {option} - ignoring")
            }
            _ => format!(
                "({owner}) unknown {} option {option} - ignoring",
                self.words()
            ),
        }
    }

    fn bad_weight(self, owner: &str, name: &str, weight: &str) -> String {
        match self {
            Self::Interface => format!(
                "({owner}) weight {weight} for {name} must be between [-253..253] inclusive. \
                 Ignoring..."
            ),
            Self::Script => format!(
                "({owner}) track script {name}: weight must be between [-253..253] inclusive, \
                 ignoring..."
            ),
            Self::File | Self::Process | Self::Bfd => {
                let (what, max) = (self.words(), self.weight_max());
                format!(
                    "({owner}) weight for {what} {name} must be in [-{max}..{max}] inclusive. \
                     Ignoring..."
                )
            }
        }
    }

    /// The slip of the pen is C's, so that its line can be searched for.
    fn unknown_weight_option(self, owner: &str, name: &str, option: &str) -> String {
        let what = match self {
            Self::Interface => "track_interace",
            Self::Script => "track_script",
            Self::File => "track file",
            Self::Process => "track_process",
            Self::Bfd => "track bfd",
        };
        format!("({owner}) unknown {what} {name} weight option {option} - ignoring")
    }
}

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    /// What is tracked.
    pub name: Word,
    /// `weight N`; `None` means that of the definition.
    pub weight: Option<i32>,
    /// `reverse` or `noreverse`; `None` means that of the definition.
    pub reverse: Option<bool>,
}

/// The lines of one instance or group, each name once.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// `track_interface`
    pub interfaces: Vec<Line>,
    /// `track_script`
    pub scripts: Vec<Line>,
    /// `track_file`
    pub files: Vec<Line>,
    /// `track_process`
    pub processes: Vec<Line>,
    /// `track_bfd`
    pub bfds: Vec<Line>,
    /// Names that nothing before them defines.
    pub missing: Vec<(Kind, Word)>,
    seen: HashSet<(Kind, String)>,
}

impl Draft {
    /// Reads a block. `owner` is the instance or group.
    pub fn read(&mut self, kind: Kind, owner: &str, statement: &Statement, cx: &mut Context<'_>) {
        for value in statement.inner() {
            cx.expect_no_block(value);
            if let Some(line) = self.line(kind, owner, value, cx) {
                self.list(kind).push(line);
            }
        }
    }

    fn list(&mut self, kind: Kind) -> &mut Vec<Line> {
        match kind {
            Kind::Interface => &mut self.interfaces,
            Kind::Script => &mut self.scripts,
            Kind::File => &mut self.files,
            Kind::Process => &mut self.processes,
            Kind::Bfd => &mut self.bfds,
        }
    }

    fn line(
        &mut self,
        kind: Kind,
        owner: &str,
        statement: &Statement,
        cx: &mut Context<'_>,
    ) -> Option<Line> {
        let name = statement.word(0)?.clone();
        if !cx.is_declared(kind, &name.text) {
            self.missing.push((kind, name));
            return None;
        }
        let mut line = Line {
            name,
            weight: None,
            reverse: None,
        };
        options(&mut line, kind, owner, statement, cx)?;
        if self.seen.insert((kind, line.name.text.clone())) {
            return Some(line);
        }
        let text = format!(
            "({owner}) duplicate {} {} - ignoring",
            kind.keyword(),
            line.name.text
        );
        cx.error("duplicate-tracking", &line.name, text);
        None
    }
}

/// Reads what stands behind the name; `None` drops the line.
fn options(
    line: &mut Line,
    kind: Kind,
    owner: &str,
    statement: &Statement,
    cx: &mut Context<'_>,
) -> Option<()> {
    let name = line.name.text.clone();
    let Some(option) = statement.word(1) else {
        return Some(());
    };
    if option.text != "weight" {
        let text = kind.unknown_option(owner, &name, &option.text);
        cx.error("tracking-option", option, text);
        return None;
    }
    let Some(word) = statement.word(2) else {
        let text = format!(
            "({owner}) weight without value specified for {} {name} - ignoring",
            kind.words()
        );
        cx.error("tracking-option", option, text);
        return None;
    };
    let max = kind.weight_max();
    let result = arguments::number(&word.text, max.saturating_neg()..=max);
    let weight = cx.usable(word, result, || kind.bad_weight(owner, &name, &word.text));
    if let Some(weight) = weight {
        if kind.is_cut() && weight.abs() == 254 {
            let text = format!("({owner}) weight for {name} cannot be +/-254. Setting to +/-253");
            cx.error("tracking-weight", word, text);
        }
        let max = if kind.is_cut() { 253 } else { max };
        line.weight = i32::try_from(weight.clamp(max.saturating_neg(), max)).ok();
    }
    match statement.word(3).map(|word| (word, word.text.as_str())) {
        None => {}
        Some((_, "reverse")) => line.reverse = Some(true),
        Some((_, "noreverse")) if kind != Kind::Interface => line.reverse = Some(false),
        Some((word, other)) => {
            let text = kind.unknown_weight_option(owner, &name, other);
            let mut diagnostic = Diagnostic::error("tracking-option", text).at(&word.origin);
            if other == "noreverse" {
                diagnostic = diagnostic.help("Interfaces know only `reverse`.");
            }
            cx.found.push(diagnostic);
        }
    }
    Some(())
}
