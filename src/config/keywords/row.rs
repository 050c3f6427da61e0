//! What a row of a block says, how far it is built, and when a keyword that is not
//! built yet asks for nothing new. What a keyword does is in its block's file.

use super::super::arguments;
use super::super::tree::Statement;
use super::Context;

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

/// Whether a switch is off.
pub fn is_off(statement: &Statement) -> bool {
    let value = statement.word(1).map(|word| arguments::boolean(&word.text));
    value == Some(Some(false))
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
