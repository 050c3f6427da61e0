//! The vocabulary: one row for each keyword, one file for each block.
//!
//! Decides what a row says, how a block is matched against its rows, and what
//! happens to words that no row has. What a keyword does is in its row.
//! Source: specification A.4.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use crate::time::Interval;

use super::Options;
use super::arguments::{self, NumberProblem};
use super::diagnostic::{Class, Collector, Diagnostic, Severity};
use super::expand::missing_parameter;
use super::lex::{self, ScriptProblem, Word};
use super::machine::Machine;
use super::model::Command;
use super::scripts::{self, ScriptUse};
use super::tree::{Statement, Wants};

pub mod auth_hmac;
pub mod authentication;
pub mod defaults;
pub mod garp_group;
pub mod global_defs;
pub mod interface_up_down_delays;
pub mod linkbeat_interfaces;
pub mod lvs;
pub mod outer_words;
pub mod own_interface;
pub mod root;
pub mod routing_words;
pub mod track_file;
pub mod track_group;
pub mod tracking;
pub mod unicast_peer;
pub mod virtual_ipaddress;
pub mod virtual_routes;
pub mod virtual_rules;
pub mod vrrp_instance;
pub mod vrrp_script;
pub mod vrrp_sync_group;
pub mod vrrp_track_process;

/// A keyword of a block whose settings are collected in a `T`.
pub struct Keyword<T: 'static> {
    /// The word.
    pub name: &'static str,
    /// Its arguments, as the manual shows them.
    pub args: &'static str,
    /// What it does, in one line.
    pub doc: &'static str,
    /// How far it is built.
    pub status: Status,
    /// What stands behind it.
    pub content: Content,
    /// What a reload that changes it does.
    pub reload: Reload,
    /// Takes its arguments into the draft.
    pub set: fn(&mut T, &Statement, &mut Context<'_>),
    /// Of a decisive keyword: whether the arguments ask for what is done anyway.
    pub is_inert: fn(&Statement) -> bool,
}

/// How far a keyword is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It does what it says.
    Works,
    /// It is accepted and has no effect yet.
    Harmless,
    /// It would change who is MASTER, what is on the wire or in the kernel, or a
    /// promise of security: a daemon refuses to start with it until it works.
    Decisive,
}

/// What stands behind a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Arguments only.
    Line,
    /// A block with one value on each line.
    Values,
    /// A block of keywords.
    Keywords,
}

/// What a reload does when a keyword has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// Nothing that is running is touched.
    Nothing,
    /// The instances it applies to are restarted.
    Restart,
}

// Not derived: a row can be copied whatever its draft is.
impl<T: 'static> Clone for Keyword<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: 'static> Copy for Keyword<T> {}

impl<T: 'static> Keyword<T> {
    /// This row, with a block behind the keyword.
    pub const fn with(mut self, content: Content) -> Self {
        self.content = content;
        self
    }

    /// This row; a daemon may start with it if `is_inert` holds.
    pub const fn unless(mut self, is_inert: fn(&Statement) -> bool) -> Self {
        self.is_inert = is_inert;
        self
    }

    /// This row, with another effect on a reload.
    pub const fn on_reload(mut self, reload: Reload) -> Self {
        self.reload = reload;
        self
    }
}

/// A row of a keyword that works.
pub const fn works<T: 'static>(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    set: fn(&mut T, &Statement, &mut Context<'_>),
) -> Keyword<T> {
    let (status, content, reload) = (Status::Works, Content::Line, Reload::Restart);
    Keyword {
        name,
        args,
        doc,
        status,
        content,
        reload,
        set,
        is_inert: |_| false,
    }
}

/// A row of a keyword that is understood and has no effect yet.
pub const fn harmless<T: 'static>(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    set: fn(&mut T, &Statement, &mut Context<'_>),
) -> Keyword<T> {
    let mut row = works(name, args, doc, set);
    row.status = Status::Harmless;
    row.reload = Reload::Nothing;
    row
}

/// A row of a keyword that is understood and that no daemon may start with yet.
pub const fn decisive<T: 'static>(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    set: fn(&mut T, &Statement, &mut Context<'_>),
) -> Keyword<T> {
    let mut row = works(name, args, doc, set);
    row.status = Status::Decisive;
    row
}

/// A keyword that asks for what is done anyway.
pub fn already<T>(_: &mut T, _: &Statement, _: &mut Context<'_>) {}

/// A keyword whose arguments are not looked at.
pub fn unread<T>(_: &mut T, _: &Statement, _: &mut Context<'_>) {}

/// Whether a switch is off.
pub fn is_off(statement: &Statement) -> bool {
    let value = statement.word(1).map(|word| arguments::boolean(&word.text));
    value == Some(Some(false))
}

/// Whether the argument is the number 3.
pub fn is_three(statement: &Statement) -> bool {
    statement.word(1).is_some_and(|word| word.text == "3")
}

/// Whether the argument is the number 2.
pub fn is_two(statement: &Statement) -> bool {
    statement.word(1).is_some_and(|word| word.text == "2")
}

/// Whether the argument is zero.
pub fn is_zero(statement: &Statement) -> bool {
    let zero = |text: &str| !text.is_empty() && text.chars().all(|c| matches!(c, '0' | '.'));
    statement.word(1).is_some_and(|word| zero(&word.text))
}

/// Whether the first argument is not `all`.
pub fn is_not_all(statement: &Statement) -> bool {
    statement.word(1).is_none_or(|word| word.text != "all")
}

/// Matches the statements of a block against its rows.
pub fn apply<T>(
    block: &'static str,
    table: &'static [Keyword<T>],
    statements: &[Statement],
    target: &mut T,
    cx: &mut Context<'_>,
) {
    for statement in statements {
        let Some(row) = table.iter().find(|row| row.name == statement.keyword()) else {
            cx.unknown(block, statement);
            continue;
        };
        if row.content == Content::Line {
            cx.expect_no_block(statement);
        } else if let Some(extra) = statement.word(1).filter(|_| row.content == Content::Values) {
            let text = format!(
                "Block {} has extra parameters {} ...",
                row.name,
                extra.text.as_str()
            );
            cx.found
                .push(Diagnostic::error("extra-parameters", text).at(&extra.origin));
        }
        (row.set)(target, statement, cx);
        match row.status {
            Status::Works => {}
            Status::Harmless => cx.tell_of_no_effect(statement),
            Status::Decisive if (row.is_inert)(statement) => {}
            Status::Decisive => cx.refuse(statement),
        }
    }
}

/// A refusal to run with something that is understood. A configuration test
/// still gives the exit code that C gives.
pub fn not_yet(text: impl Into<String>) -> Diagnostic {
    Diagnostic::new("does-not-work-yet", Severity::Fatal, Class::None, text)
}

/// What the rows need besides their statement.
pub struct Context<'a> {
    /// Of the command line.
    pub options: &'a Options,
    /// The machine that the configuration is read on.
    pub machine: &'a dyn Machine,
    /// Where findings go.
    pub found: &'a mut Collector,
    /// Every command that was read so far.
    pub scripts_seen: Vec<ScriptUse>,
    /// What was defined above.
    pub names: Names,
    vocabulary: &'a Vocabulary,
    suggestions: usize,
    /// What rules without a preference get.
    rule_preferences: virtual_rules::Preferences,
}

/// Names that blocks further down may refer to (specification A.14).
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// `vrrp_script`
    pub scripts: HashSet<String>,
    /// `track_file`
    pub track_files: HashSet<String>,
    /// `vrrp_track_process`
    pub track_processes: HashSet<String>,
    /// `bfd_instance`
    pub bfd_instances: HashSet<String>,
    /// `lvs_sync_daemon_interface`: there is one for all instances.
    pub sync_daemon_interface: Option<String>,
}

/// Searching for the nearest word is slow, and nobody reads more of them.
const SUGGESTIONS_MAX: usize = 20;

impl<'a> Context<'a> {
    /// A fresh one.
    pub fn new(
        options: &'a Options,
        machine: &'a dyn Machine,
        vocabulary: &'a Vocabulary,
        found: &'a mut Collector,
    ) -> Self {
        Self {
            options,
            machine,
            found,
            scripts_seen: Vec::new(),
            names: Names::default(),
            vocabulary,
            suggestions: 0,
            rule_preferences: virtual_rules::Preferences::default(),
        }
    }

    /// Argument number `index` (the keyword is 0). Without it C ends at once.
    pub fn argument<'s>(&mut self, statement: &'s Statement, index: usize) -> Option<&'s Word> {
        let word = statement.word(index);
        if word.is_none() {
            let keyword = statement.keyword();
            let last = statement
                .words
                .last()
                .map_or(keyword, |word| word.text.as_str());
            let text = missing_parameter(&statement.line.text, last, index.saturating_add(1));
            let class = Class::MissingParameter;
            let diagnostic = Diagnostic::new("missing-parameter", Severity::Fatal, class, text);
            self.found.push(diagnostic.at(&statement.line.whole()));
        }
        word
    }

    /// Reports an ordinary error about a word.
    pub fn error(&mut self, code: &'static str, word: &Word, text: String) {
        self.found
            .push(Diagnostic::error(code, text).at(&word.origin));
    }

    fn tell_of_no_effect(&mut self, statement: &Statement) {
        let text = format!("'{}' has no effect yet", statement.keyword());
        let diagnostic = Diagnostic::hint("no-effect-yet", text);
        self.found.push(diagnostic.at(&statement.keyword_origin()));
    }

    /// Refuses to run with a statement. A configuration test still gives the
    /// exit code that C gives.
    pub fn refuse(&mut self, statement: &Statement) {
        let words: Vec<&str> = statement
            .words
            .iter()
            .take(2)
            .map(|word| word.text.as_str())
            .collect();
        let text = format!("'{}' does not work yet", words.join(" "));
        let help = "It would change what the cluster does, so the daemon does not start with it.";
        self.found
            .push(not_yet(text).at(&statement.keyword_origin()).help(help));
    }

    /// The value of a number; findings are C's, joined into one. `invalid` is C's
    /// second message. Garbage behind a number is only a warning.
    pub fn usable<N>(
        &mut self,
        word: &Word,
        result: Result<N, NumberProblem<N>>,
        invalid: impl FnOnce() -> String,
    ) -> Option<N> {
        match result {
            Ok(value) => Some(value),
            Err(NumberProblem {
                text,
                usable: Some(value),
            }) => {
                self.found
                    .push(Diagnostic::warning("number", text).at(&word.origin));
                Some(value)
            }
            Err(NumberProblem { text, usable: None }) => {
                let diagnostic = Diagnostic::error("number", invalid()).at(&word.origin);
                self.found.push(diagnostic.help(format!("It is: {text}.")));
                None
            }
        }
    }

    /// The argument of a keyword with one number.
    pub fn number(
        &mut self,
        statement: &Statement,
        range: RangeInclusive<i64>,
        invalid: impl FnOnce(&str) -> String,
    ) -> Option<i64> {
        let word = self.argument(statement, 1)?;
        let result = arguments::number(&word.text, range);
        self.usable(word, result, || invalid(&word.text))
    }

    /// The argument of a keyword with one time in seconds.
    pub fn seconds(
        &mut self,
        statement: &Statement,
        places: usize,
        range: RangeInclusive<Interval>,
        invalid: impl FnOnce(&str) -> String,
    ) -> Option<Interval> {
        let word = self.argument(statement, 1)?;
        let result = arguments::seconds(&word.text, places, range);
        self.usable(word, result, || invalid(&word.text))
    }

    /// The argument of a switch; none means on.
    pub fn switch(
        &mut self,
        statement: &Statement,
        invalid: impl FnOnce(&str) -> String,
    ) -> Option<bool> {
        let Some(word) = statement.word(1) else {
            return Some(true);
        };
        let value = arguments::boolean(&word.text);
        if value.is_none() {
            self.error("switch", word, invalid(&word.text));
        }
        value
    }

    /// The script of a line, with its user if `takes_user`.
    pub fn command(&mut self, statement: &Statement, takes_user: bool) -> Option<Command> {
        self.argument(statement, 1)?;
        let words = match lex::script_words(&statement.line) {
            Ok(words) => words,
            Err(problem) => {
                self.script_problem(statement, &statement.line.text, problem);
                return None;
            }
        };
        let command = words.get(1)?;
        let argv = match lex::command_words(&command.text) {
            Ok(argv) => argv,
            Err(problem) => {
                self.script_problem(statement, &command.text, problem);
                return None;
            }
        };
        if argv.first().is_none_or(String::is_empty) {
            self.error(
                "empty-command",
                command,
                "the command is empty - ignoring".to_string(),
            );
            return None;
        }
        let rest = words.get(2..).unwrap_or_default();
        if let Some(extra) = rest.get(if takes_user { 2 } else { 0 }) {
            let text = format!("'{}' is ignored", extra.text);
            let help = "Put the command and its arguments into one pair of quotes.";
            let diagnostic =
                Diagnostic::new("ignored-argument", Severity::Warning, Class::None, text);
            self.found.push(diagnostic.at(&extra.origin).help(help));
        }
        let user = arguments::script_user(rest).filter(|_| takes_user);
        let command_line = Command { argv, user };
        self.scripts_seen.push(ScriptUse {
            origin: command.origin,
            keyword: statement.keyword().to_string(),
            takes_user,
            command: command_line.clone(),
            owner: scripts::Owner::Other,
        });
        Some(command_line)
    }

    /// The script of a line goes into `slot`; the first of its kind wins, as in C.
    /// `who` begins the message about another one.
    pub fn first_command(
        &mut self,
        slot: &mut Option<Box<Command>>,
        who: &str,
        statement: &Statement,
    ) {
        let Some(command) = self.command(statement, true) else {
            return;
        };
        if slot.is_some() {
            let (keyword, program) = (statement.keyword(), command.argv.join(" "));
            let text = format!("{who} {keyword} script already specified - ignoring {program}");
            let origin = statement.line.whole();
            self.found
                .push(Diagnostic::error("notify-twice", text).at(&origin));
            return;
        }
        *slot = Some(Box::new(command));
    }

    /// Whether something of this kind and name stands above, and can be tracked.
    /// Interfaces need nothing above.
    pub fn is_declared(&self, kind: tracking::Kind, name: &str) -> bool {
        match kind {
            tracking::Kind::Interface => true,
            tracking::Kind::Script => self.names.scripts.contains(name),
            tracking::Kind::File => self.names.track_files.contains(name),
            tracking::Kind::Process => self.names.track_processes.contains(name),
            tracking::Kind::Bfd => self.names.bfd_instances.contains(name),
        }
    }

    /// The `weight` of a file or process, -254 to 254. Only the first one counts,
    /// and garbage behind a number makes it invalid.
    pub fn first_weight(
        &mut self,
        what: &str,
        name: &str,
        known: Option<i32>,
        statement: &Statement,
        invalid: impl FnOnce(&str) -> String,
    ) -> Option<i32> {
        let Some(word) = statement.word(1) else {
            let text = format!("No weight specified for {what} {name} - ignoring");
            let origin = statement.line.whole();
            self.found
                .push(Diagnostic::error("no-weight", text).at(&origin));
            return None;
        };
        if known.is_some() {
            let text = format!(
                "Weight already set for {what} {name} - ignoring {}",
                word.text
            );
            self.error("weight-twice", word, text);
            return None;
        }
        let result = arguments::exact_number(&word.text, -254..=254);
        let value = self.usable(word, result, || invalid(&word.text))?;
        i32::try_from(value).ok()
    }

    /// Whether `reverse` stands behind a weight.
    pub fn is_reverse(&mut self, statement: &Statement, who: impl FnOnce() -> String) -> bool {
        match statement.word(2) {
            None => false,
            Some(word) if word.text == "reverse" => true,
            Some(word) => {
                let text = format!("{} unknown weight option {}", who(), word.text);
                self.error("weight-option", word, text);
                false
            }
        }
    }

    fn script_problem(&mut self, statement: &Statement, text: &str, problem: ScriptProblem) {
        let text = match problem {
            ScriptProblem::MissingTerminator(quote) => {
                format!("String '{text}': missing terminating {quote}")
            }
            ScriptProblem::MissingEscape => format!("Missing escape char at end: '{text}'"),
        };
        self.found
            .push(Diagnostic::error("script-line", text).at(&statement.line.whole()));
    }

    /// Reports a block where none belongs.
    pub fn expect_no_block(&mut self, statement: &Statement) {
        if let Some(block) = &statement.block {
            let help = "The whole block is ignored.";
            let text = "Unexpected '{' - ignoring";
            let diagnostic = Diagnostic::error("unexpected-brace", text);
            self.found.push(diagnostic.at(&block.open).help(help));
        }
    }

    fn unknown(&mut self, block: &'static str, statement: &Statement) {
        let keyword = statement.keyword();
        let text = format!("Unknown keyword '{keyword}'");
        let mut diagnostic =
            Diagnostic::error("unknown-keyword", text).at(&statement.keyword_origin());
        self.suggestions = self.suggestions.saturating_add(1);
        if self.suggestions <= SUGGESTIONS_MAX {
            for help in self.vocabulary.advice(block, keyword) {
                diagnostic = diagnostic.help(help);
            }
        }
        if statement.block.is_some() {
            diagnostic = diagnostic.help("The whole block behind it is ignored.");
        }
        self.found.push(diagnostic);
    }
}

/// A row without its function, for lists of all keywords.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The word that opens the block, empty for the outer level; `OUTER/INNER` if
    /// the block around it decides what may stand in it.
    pub block: &'static str,
    /// See [`Keyword`].
    pub name: &'static str,
    /// See [`Keyword`].
    pub args: &'static str,
    /// See [`Keyword`].
    pub doc: &'static str,
    /// See [`Keyword`].
    pub status: Status,
    /// See [`Keyword`].
    pub content: Content,
    /// See [`Keyword`].
    pub reload: Reload,
}

/// Every keyword of every block.
pub fn rows() -> Vec<Row> {
    fn add<T>(out: &mut Vec<Row>, block: &'static str, table: &'static [Keyword<T>]) {
        out.extend(table.iter().map(|row| Row {
            block,
            name: row.name,
            args: row.args,
            doc: row.doc,
            status: row.status,
            content: row.content,
            reload: row.reload,
        }));
    }
    let mut out = Vec::new();
    add(&mut out, "", root::KEYWORDS);
    add(&mut out, "global_defs", global_defs::KEYWORDS);
    add(&mut out, "garp_group", garp_group::KEYWORDS);
    add(&mut out, "track_group", track_group::KEYWORDS);
    add(&mut out, "vrrp_script", vrrp_script::KEYWORDS);
    add(&mut out, "vrrp_instance", vrrp_instance::KEYWORDS);
    add(&mut out, "authentication", authentication::KEYWORDS);
    add(&mut out, "auth_hmac", auth_hmac::KEYWORDS);
    add(&mut out, "vrrp_sync_group", vrrp_sync_group::KEYWORDS);
    add(&mut out, "track_file", track_file::KEYWORDS);
    add(&mut out, "vrrp_track_file", track_file::KEYWORDS);
    add(&mut out, "vrrp_track_process", vrrp_track_process::KEYWORDS);
    add(&mut out, "virtual_server", lvs::virtual_server::KEYWORDS);
    add(
        &mut out,
        "virtual_server_group",
        lvs::virtual_server_group::KEYWORDS,
    );
    add(&mut out, "real_server", lvs::real_server::KEYWORDS);
    add(&mut out, "TCP_CHECK", lvs::tcp_check::KEYWORDS);
    add(&mut out, "HTTP_GET", lvs::http_get::HTTP_KEYWORDS);
    add(&mut out, "HTTP_GET/url", lvs::http_get::URL);
    add(&mut out, "SSL_GET", lvs::http_get::SSL_KEYWORDS);
    add(&mut out, "SSL_GET/url", lvs::http_get::SSL_URL_KEYWORDS);
    add(&mut out, "SMTP_CHECK", lvs::smtp_check::KEYWORDS);
    add(&mut out, "SMTP_CHECK/host", lvs::checker::CONNECTION);
    add(&mut out, "MISC_CHECK", lvs::misc_check::KEYWORDS);
    add(&mut out, "DNS_CHECK", lvs::dns_check::KEYWORDS);
    add(&mut out, "PING_CHECK", lvs::ping_check::KEYWORDS);
    add(&mut out, "UDP_CHECK", lvs::udp_check::KEYWORDS);
    add(&mut out, "FILE_CHECK", lvs::file_check::KEYWORDS);
    add(&mut out, "BFD_CHECK", lvs::bfd_check::KEYWORDS);
    add(&mut out, "SSL", lvs::ssl::KEYWORDS);
    add(&mut out, "bfd_instance", lvs::bfd_instance::KEYWORDS);
    out
}

/// The rows, to be looked up without knowing their types.
pub struct Vocabulary {
    blocks: HashMap<&'static str, HashMap<&'static str, Content>>,
}

impl Default for Vocabulary {
    fn default() -> Self {
        let mut blocks: HashMap<_, HashMap<_, _>> = HashMap::new();
        for row in rows() {
            blocks
                .entry(row.block)
                .or_default()
                .insert(row.name, row.content);
        }
        Self { blocks }
    }
}

impl Vocabulary {
    /// The one vocabulary; it never changes.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Vocabulary> = LazyLock::new(Vocabulary::default);
        &SHARED
    }

    /// What a word in a block must have behind it.
    pub fn wants(&self, block: &str, word: &str) -> Wants {
        match self.blocks.get(block).and_then(|words| words.get(word)) {
            Some(Content::Values) => Wants::Values,
            Some(Content::Keywords) => Wants::Keywords,
            Some(Content::Line) | None => Wants::Line,
        }
    }

    /// Sentences that may help somebody who wrote an unknown word.
    pub(super) fn advice(&self, block: &str, word: &str) -> Vec<String> {
        let elsewhere = self.blocks_with(word);
        if !elsewhere.is_empty() {
            return vec![format!("`{word}` belongs {}.", elsewhere.join(" or "))];
        }
        let limit = (word.chars().count() / 3).clamp(1, 4);
        if word.len() > 64 {
            return Vec::new();
        }
        let known = self.blocks.get(block).into_iter().flat_map(HashMap::keys);
        // Most words are too long or too short to be near; the rest is slow to compare.
        let nearest = known
            .filter(|known| known.len().abs_diff(word.len()) <= limit)
            .map(|known| (strsim::osa_distance(known, word), *known))
            .filter(|(distance, _)| *distance <= limit)
            .min();
        nearest
            .map(|(_, known)| format!("Did you mean `{known}`?"))
            .into_iter()
            .collect()
    }

    fn blocks_with(&self, word: &str) -> Vec<String> {
        let own = self
            .blocks
            .iter()
            .filter(|(_, words)| words.contains_key(word));
        let mut blocks: Vec<&str> = own.map(|(block, _)| *block).collect();
        blocks.sort_unstable();
        if blocks.len() > BLOCKS_MAX && blocks.iter().all(|block| self.is_checker(block)) {
            return vec!["into a checker of a `real_server`".to_string()];
        }
        if blocks.len() > BLOCKS_MAX && blocks.contains(&"virtual_server") {
            return vec!["into `virtual_server` or a block in it".to_string()];
        }
        let mut places: Vec<String> = blocks.into_iter().map(place).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Whether a block is one of the checkers, or stands in one.
    fn is_checker(&self, block: &str) -> bool {
        let outer = block.split_once('/').map_or(block, |(outer, _)| outer);
        let Some(words) = self.blocks.get("real_server") else {
            return false;
        };
        words.get(outer) == Some(&Content::Keywords)
    }
}

/// More places are not listed one by one.
const BLOCKS_MAX: usize = 3;

/// Where the words of a block belong, for people.
fn place(block: &str) -> String {
    match block.split_once('/') {
        Some((outer, inner)) => format!("into `{inner}` of `{outer}`"),
        None if block.is_empty() => {
            "at the outer level, outside of all blocks (is a '}' missing above?)".to_string()
        }
        None if block == "authentication" || block == "auth_hmac" => {
            format!("into `{block}` of a `vrrp_instance`")
        }
        None if block == "vrrp_track_file" => "into `track_file`".to_string(),
        None => format!("into `{block}`"),
    }
}
