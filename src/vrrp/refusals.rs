//! What the kernel refused to put in, and tries again.
//!
//! Decides what is tried again when something around has changed, and what is told
//! only once. A route may have to wait until its interface is up, or until the address
//! is there that it is to have as its source.

use crate::ids::{Errno, IfIndex};

use super::action::{Operation, Token};
use super::rare::Blank;

/// The refusals of one instance, or of all that is static.
#[derive(Debug, Default, PartialEq)]
pub struct Refusals {
    /// What is not in.
    missing: Vec<(Operation, Errno)>,
    trying: Option<Trying>,
}

/// A trial under way.
#[derive(Debug, PartialEq)]
struct Trying {
    token: Token,
    /// What was refused again.
    again: Vec<(Operation, Errno)>,
    /// Something has changed since it began.
    is_outdated: bool,
}

impl Blank for Refusals {
    const BLANK: &'static Self = &Self {
        missing: Vec::new(),
        trying: None,
    };
}

impl Refusals {
    /// Nothing is wanted any more.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Nothing else is wanted any more.
    pub fn keep(&mut self, is_wanted: impl Fn(&Operation) -> bool) {
        self.missing.retain(|(operation, _)| is_wanted(operation));
        if let Some(trying) = &mut self.trying {
            trying.again.retain(|(operation, _)| is_wanted(operation));
        }
    }

    /// What is not in.
    pub fn missing(&self) -> impl Iterator<Item = &Operation> {
        self.missing.iter().map(|(operation, _)| operation)
    }

    /// An interface is gone, and nothing can be put on it any more.
    pub fn forget_interface(&mut self, index: IfIndex) {
        self.missing.retain(|(operation, _)| match operation {
            Operation::AddAddress { on, .. } => *on != index,
            _ => true,
        });
    }

    /// Whether nothing was refused.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty()
    }

    /// Whether an address was refused.
    pub fn has_address(&self) -> bool {
        let mut missing = self.missing.iter();
        missing.any(|(operation, _)| matches!(operation, Operation::AddAddress { .. }))
    }

    /// Notes that `operation` was refused; whether that is news.
    pub fn note(&mut self, token: Token, operation: &Operation, errno: Errno) -> bool {
        let refused = (operation.clone(), errno);
        let is_news = !self.missing.contains(&refused);
        let own = self.trying.as_mut().filter(|it| it.token == token);
        match own {
            Some(trying) => trying.again.push(refused),
            None if is_news => self.missing.push(refused),
            None => {}
        }
        is_news
    }

    /// What to try again now that something has changed; none while a trial is under
    /// way. [`Refusals::began`] follows.
    pub fn retry(&mut self) -> Vec<Operation> {
        match &mut self.trying {
            Some(trying) => {
                trying.is_outdated = true;
                Vec::new()
            }
            None => self.missing.iter().map(|(it, _)| it.clone()).collect(),
        }
    }

    /// The trial has this token.
    pub fn began(&mut self, token: Token) {
        self.trying = Some(Trying {
            token,
            again: Vec::new(),
            is_outdated: false,
        });
    }

    /// The trial is over: what is in now, and whether to try once more at once. `None` if
    /// it is not the present trial.
    pub fn ended(&mut self, token: Token) -> Option<(Vec<Operation>, bool)> {
        let trying = self.trying.take_if(|it| it.token == token)?;
        let before = std::mem::replace(&mut self.missing, trying.again);
        let is_missing = |operation: &Operation| {
            let mut missing = self.missing.iter();
            missing.any(|(it, _)| it == operation)
        };
        let is_in = before
            .into_iter()
            .map(|(operation, _)| operation)
            .filter(|operation| !is_missing(operation));
        Some((is_in.collect(), trying.is_outdated))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{Rule, RuleAction};

    fn rule(preference: u32) -> Operation {
        Operation::AddRule(Box::new(Rule::new(preference, RuleAction::Nop)))
    }

    #[test]
    fn what_was_refused_is_tried_until_it_is_in_and_told_once() {
        let (first, second) = (Token(1), Token(2));
        let errno = Errno(libc::ENODEV);
        let mut refusals = Refusals::default();
        assert!(refusals.note(first, &rule(1), errno));
        assert!(refusals.note(first, &rule(2), errno));
        assert!(!refusals.note(first, &rule(2), errno));
        assert_eq!(refusals.retry(), [rule(1), rule(2)]);
        refusals.began(second);
        assert!(!refusals.note(second, &rule(2), errno));
        assert_eq!(refusals.ended(first), None);
        assert_eq!(refusals.ended(second), Some((vec![rule(1)], false)));
        assert_eq!(refusals.retry(), [rule(2)]);
    }

    #[test]
    fn what_is_not_wanted_any_more_is_not_tried_again() {
        let mut refusals = Refusals::default();
        refusals.note(Token(1), &rule(1), Errno(libc::ENODEV));
        refusals.note(Token(1), &rule(2), Errno(libc::ENODEV));
        refusals.keep(|it| [rule(2), rule(3)].contains(it));
        assert_eq!(refusals.retry(), [rule(2)]);
    }

    #[test]
    fn a_change_during_a_trial_means_another_one() {
        let mut refusals = Refusals::default();
        refusals.note(Token(1), &rule(1), Errno(libc::ENETDOWN));
        refusals.retry();
        refusals.began(Token(2));
        assert_eq!(refusals.retry(), []);
        refusals.note(Token(2), &rule(1), Errno(libc::ENETDOWN));
        assert_eq!(refusals.ended(Token(2)), Some((vec![], true)));
        refusals.forget();
        assert!(refusals.is_empty());
    }
}
