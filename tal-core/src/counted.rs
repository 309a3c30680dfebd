//! TCB. The counted pointer of types and large terms, and lists behind it.
//!
//! Where the judge runs alone, in the kernel, it counts plainly. Tools share what they know between
//! threads (feature `sync`), and there the count is atomic. The two have the same interface.

use alloc::vec::Vec;
use core::fmt;
use core::ops::{Deref, DerefMut};

#[cfg(not(feature = "sync"))]
pub use alloc::rc::Rc;
#[cfg(feature = "sync")]
pub use alloc::sync::Arc as Rc;

/// A list whose copies are one until one of them is changed, which then has a list of its own. So a
/// state that is saved costs little to copy, to come back to and to compare where nothing changed.
pub struct Shared<T>(Rc<Vec<T>>);

impl<T> Shared<T> {
    /// Are they one? Then they are equal.
    pub(crate) fn is(&self, other: &Shared<T>) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Empties it, without a copy.
    pub(crate) fn clear(&mut self) {
        match Rc::get_mut(&mut self.0) {
            Some(list) => list.clear(),
            None => *self = Shared::default(),
        }
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared(Rc::clone(&self.0))
    }
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Shared(Rc::new(Vec::new()))
    }
}

impl<T> From<Vec<T>> for Shared<T> {
    fn from(list: Vec<T>) -> Self {
        Shared(Rc::new(list))
    }
}

impl<T> Deref for Shared<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        Rc::make_mut(&mut self.0)
    }
}

impl<'a, T> IntoIterator for &'a Shared<T> {
    type Item = &'a T;
    type IntoIter = core::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Shared<T>) -> bool {
        self.is(other) || self.0 == other.0
    }
}

impl<T: Eq> Eq for Shared<T> {}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
