//! What few of many instances ever have: the others need no room for it.
//!
//! Decides nothing. With thousands of instances a hundred bytes in each of them, which
//! are used when something goes wrong, are most of the memory.

use std::fmt;
use std::ops::Deref;

/// What a value is as long as nothing has happened.
pub(super) trait Blank: Default + PartialEq + 'static {
    /// The same as the default.
    const BLANK: &'static Self;
}

/// A value that is blank, and so takes no room, until it is changed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Rare<T>(Option<Box<T>>);

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: fmt::Debug> fmt::Debug for Rare<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Blank> From<T> for Rare<T> {
    fn from(value: T) -> Self {
        Self((value != *T::BLANK).then(|| Box::new(value)))
    }
}

impl<T: Blank> Deref for Rare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::BLANK)
    }
}

impl<T: Blank> Rare<T> {
    /// For what makes no difference to a blank one.
    pub(super) fn if_any(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }

    /// For what changes it.
    pub(super) fn make(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }

    /// It is blank again.
    pub(super) fn clear(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Blank for Vec<u8> {
        const BLANK: &'static Self = &Self::new();
    }

    #[test]
    fn it_takes_room_once_it_is_changed() {
        let mut rare = Rare::from(Vec::new());
        assert!(rare.is_empty());
        assert!(rare.if_any().is_none());
        rare.make().push(1);
        assert_eq!(*rare, [1]);
        assert_eq!(rare.if_any(), Some(&mut vec![1]));
        rare.clear();
        assert_eq!(rare, Rare::default());
    }
}
