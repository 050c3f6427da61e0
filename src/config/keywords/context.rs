//! What every row has at hand: findings, the machine, what stands above, and the
//! arguments that many keywords have in common.
//!
//! Decides how a wrong argument is told. What is a number is for `arguments`.
//! Source: specification A.4, A.10, A.14.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use crate::time::Interval;

use super::super::Options;
use super::super::arguments::{self, NumberProblem};
use super::super::diagnostic::{Class, Collector, Diagnostic, Severity};
use super::super::expand::missing_parameter;
use super::super::lex::{self, ScriptProblem, Word};
use super::super::machine::Machine;
use super::super::model::Command;
use super::super::scripts::{self, ScriptUse};
use super::super::tree::Statement;
use super::vocabulary::Vocabulary;
use super::{not_yet, tracking, virtual_rules};

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
    pub(super) rule_preferences: virtual_rules::Preferences,
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

    pub(super) fn tell_of_no_effect(&mut self, statement: &Statement) {
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

    pub(super) fn unknown(&mut self, block: &'static str, statement: &Statement) {
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
