//! Logical lines and braces to blocks.
//!
//! Decides which statement owns which block and how unbalanced braces are
//! mended. Knows of the keywords only which of them must have a block.
//! Source: specification A.1, A.4.

use super::diagnostic::{Collector, Diagnostic};
use super::expand::Token;
use super::lex::{self, Origin, Text, Word};

/// Deeper blocks are left out; no keyword needs more than five levels.
const DEPTH_MAX: usize = 16;

/// A line, and the block behind it.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The whole line, for the script tokeniser.
    pub line: Text,
    /// Its words by the plain tokeniser.
    pub words: Vec<Word>,
    /// `{ ... }`.
    pub block: Option<Block>,
}

/// What stands between two braces.
#[derive(Debug, Clone)]
pub struct Block {
    /// The opening brace, or the line that it is missing behind.
    pub open: Origin,
    /// The closing brace, or what stands for it if there is none.
    pub close: Origin,
    /// What is inside.
    pub statements: Vec<Statement>,
}

impl Statement {
    /// The first word, empty if there is none.
    pub fn keyword(&self) -> &str {
        self.words.first().map_or("", |word| word.text.as_str())
    }

    /// Word number `index`, the keyword being 0.
    pub fn word(&self, index: usize) -> Option<&Word> {
        self.words.get(index)
    }

    /// The words behind the keyword.
    pub fn arguments(&self) -> &[Word] {
        self.words.get(1..).unwrap_or_default()
    }

    /// Where the keyword stands.
    pub fn keyword_origin(&self) -> Origin {
        self.words
            .first()
            .map_or_else(|| self.line.whole(), |word| word.origin)
    }

    /// Where its block ends, or the line if it has none.
    pub fn end(&self) -> Origin {
        self.block
            .as_ref()
            .map_or_else(|| self.line.whole(), |block| block.close)
    }

    /// What stands in its block; nothing if there is none.
    pub fn inner(&self) -> &[Statement] {
        self.block
            .as_ref()
            .map_or(&[], |block| block.statements.as_slice())
    }
}

/// What a keyword wants behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// Nothing, or nobody knows the word.
    Line,
    /// A block of values.
    Values,
    /// A block of keywords.
    Keywords,
}

/// Puts blocks together, one statement of the outer level at a time.
pub struct Builder<'a> {
    wants: &'a dyn Fn(&str, &str) -> Wants,
    found: &'a mut Collector,
    take: &'a mut dyn FnMut(Statement),
    /// What comes next decides whether a block belongs to this line.
    line: Option<Text>,
    /// The last statement of the outer level; a block may still follow it.
    outer: Option<Statement>,
    /// The statements whose blocks are open, outermost first.
    open: Vec<Statement>,
    /// How many blocks beyond the limit are open.
    too_deep: usize,
}

impl<'a> Builder<'a> {
    /// `wants` tells, for the name of a block (empty for the outer level) and a
    /// word in it, what the word wants. `take` gets each statement of the outer
    /// level as soon as it is complete.
    pub fn new(
        wants: &'a dyn Fn(&str, &str) -> Wants,
        found: &'a mut Collector,
        take: &'a mut dyn FnMut(Statement),
    ) -> Self {
        Self {
            wants,
            found,
            take,
            line: None,
            outer: None,
            open: Vec::new(),
            too_deep: 0,
        }
    }

    /// Goes on with the next token.
    pub fn token(&mut self, token: Token) {
        if let Some(line) = self.line.take() {
            self.line(line, Some(&token));
        }
        match token {
            Token::Line(line) => self.line = Some(line),
            Token::Open(origin) => self.open(origin),
            Token::Close(origin) => self.close(origin),
        }
    }

    /// Adds a statement to the innermost open block.
    fn push(&mut self, statement: Statement) {
        let block = self.open.last_mut().and_then(|last| last.block.as_mut());
        if let Some(block) = block {
            block.statements.push(statement);
        } else if let Some(complete) = self.outer.replace(statement) {
            (self.take)(complete);
        }
    }

    /// The last statement of the innermost open block, if it has no block itself.
    fn owner(&mut self) -> Option<Statement> {
        let block = self.open.last_mut().and_then(|last| last.block.as_mut());
        match block {
            Some(block) => block.statements.pop_if(|last| last.block.is_none()),
            None => self.outer.take_if(|last| last.block.is_none()),
        }
    }

    /// `next` is what stands behind the line, `None` at the end of all files.
    fn line(&mut self, line: Text, next: Option<&Token>) {
        if self.too_deep > 0 {
            return;
        }
        let block_follows = matches!(next, Some(Token::Open(_)));
        let words = lex::words(&line);
        let statement = Statement {
            line,
            words,
            block: None,
        };
        if block_follows {
            self.end_list_before(&statement);
            self.push(statement);
            return;
        }
        let block = self.open.last().map_or("", Statement::keyword);
        let wants = (self.wants)(block, statement.keyword());
        if wants != Wants::Line {
            let origin = statement.line.whole();
            // Read on as if it were there, as C does.
            let text = match wants {
                Wants::Values => {
                    format!(
                        "'{{' missing from beginning of block {}",
                        statement.keyword()
                    )
                }
                _ => "Missing '{' at beginning of configuration block".to_string(),
            };
            // C names the line on which it looked for the brace.
            let missed_at = match next {
                Some(Token::Line(line)) => line.whole(),
                Some(Token::Open(at) | Token::Close(at)) => *at,
                None => origin,
            };
            let diagnostic = Diagnostic::error("missing-brace", text).at(&missed_at);
            let label = statement.keyword_origin().span;
            self.found
                .push(diagnostic.label(label, "this needs a block"));
            self.push(statement);
            self.open(origin);
            return;
        }
        self.push(statement);
    }

    /// A list of values holds no blocks. If one begins in it that the block around
    /// the list knows, the closing brace of the list is missing.
    fn end_list_before(&mut self, statement: &Statement) {
        let mut inner = self.open.iter().rev().map(Statement::keyword);
        let (Some(list), around) = (inner.next(), inner.next().unwrap_or("")) else {
            return;
        };
        let is_list = (self.wants)(around, list) == Wants::Values;
        if !is_list || (self.wants)(around, statement.keyword()) == Wants::Line {
            return;
        }
        let text = "There are 1 missing '}'s or extra '{'s";
        let mut diagnostic =
            Diagnostic::error("unbalanced-braces", text).at(&statement.keyword_origin());
        if let Some(list) = self.open.pop() {
            if let Some(block) = &list.block {
                diagnostic = diagnostic.label(block.open.span, "this list is not closed");
            }
            self.push(list);
        }
        self.found.push(diagnostic);
    }

    fn open(&mut self, origin: Origin) {
        if self.too_deep > 0 || self.open.len() >= DEPTH_MAX {
            if self.too_deep == 0 {
                let text = "blocks are nested too deeply";
                self.found
                    .push(Diagnostic::fatal("too-deep", text).at(&origin));
            }
            self.too_deep = self.too_deep.saturating_add(1);
            return;
        }
        // A block without an owner is skipped, with its own closing brace.
        let mut owner = self.owner().unwrap_or_else(|| {
            let text = "Unexpected '{' - ignoring";
            let help = "No keyword stands before this block, so all of it is ignored.";
            self.found.push(
                Diagnostic::error("unexpected-brace", text)
                    .at(&origin)
                    .help(help),
            );
            Statement {
                line: Text::new(),
                words: Vec::new(),
                block: None,
            }
        });
        owner.block = Some(Block {
            open: origin,
            close: origin,
            statements: Vec::new(),
        });
        self.open.push(owner);
    }

    fn close(&mut self, origin: Origin) {
        if self.too_deep > 0 {
            self.too_deep = self.too_deep.saturating_sub(1);
            return;
        }
        if let Some(block) = self.open.last_mut().and_then(|last| last.block.as_mut()) {
            block.close = origin;
        }
        match self.open.pop() {
            Some(statement) if statement.words.is_empty() => {}
            Some(statement) => self.push(statement),
            None => {
                let text = "Extra '}' found";
                self.found
                    .push(Diagnostic::error("extra-brace", text).at(&origin));
            }
        }
    }

    /// Ends all blocks: there is nothing more.
    pub fn finish(mut self) {
        if let Some(line) = self.line.take() {
            self.line(line, None);
        }
        let missing = self.open.len().saturating_add(self.too_deep);
        if missing > 0 {
            let text = format!("There are {missing} missing '}}'s or extra '{{'s");
            let mut diagnostic = Diagnostic::error("unbalanced-braces", text).at_end_of_file();
            if let Some(block) = self
                .open
                .last()
                .and_then(|statement| statement.block.as_ref())
            {
                diagnostic = diagnostic.at(&block.open).help("This block is not closed.");
            }
            self.found.push(diagnostic);
        }
        // The end of input ends all blocks.
        self.too_deep = 0;
        while let Some(statement) = self.open.pop() {
            if !statement.words.is_empty() {
                self.push(statement);
            }
        }
        if let Some(complete) = self.outer.take() {
            (self.take)(complete);
        }
    }
}
