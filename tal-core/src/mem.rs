//! TCB. Memory types as data: size, substitution, comparison, the bits of a type (core.md 4.1, 4.3).

use crate::error::{Error, Kind, Rule};
use crate::hint::Hints;
use crate::judge::{Judge, Result};
use crate::term::Term;
use crate::ty::{self, Assertion, Base, Cap, Entry, Fact, Mem, Region, Sig, View, Word};
use alloc::{rc::Rc, vec::Vec};

/// What a variable stands for (an [`crate::hint::Inst`] that was checked).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// For `Int`.
    Int(Term),
    /// For `Addr`: base plus offset.
    Addr(Base, Term),
    /// For `Addr`: an integer that was proved to lie in this interval of the name's set.
    Small(Term, i16, i16),
    /// For `Word`.
    Word(Word),
    /// For `Code`.
    Code(Base),
    /// For `Region`.
    Region(Region),
    /// For `Store`: the capabilities themselves.
    Store(Vec<Cap>),
}

/// A simultaneous substitution.
#[derive(Clone, Copy, Debug)]
pub enum Subst<'t> {
    /// `Free(base + i)` by value i; `Free` below `base` stays, beyond the values: refused.
    Free(u16, &'t [Value]),
    /// `Inner(i)` by value i (the signature of a code variable); `Free` stays.
    Inner(&'t [Value]),
    /// `Param(i)` by argument i.
    Param(&'t [Term]),
    /// `Bound(i)` by witness i, not below another `ex`.
    Bound(&'t [Term]),
    /// `Value`.
    Value(&'t Term),
}

fn unwritten<T>() -> Result<T> {
    Err(Error::new(Rule::TermSubst, Kind::BadHint))
}

#[allow(unused_variables, clippy::missing_errors_doc, missing_docs, reason = "being written")]
impl<H: Hints> Judge<'_, H> {
    pub fn size(&mut self, mem: &Mem) -> Result<Term> {
        unwritten()
    }
    pub fn subst_term(&mut self, term: &Term, s: Subst) -> Result<Term> {
        unwritten()
    }
    pub fn subst_fact(&mut self, fact: &Fact, s: Subst) -> Result<Fact> {
        unwritten()
    }
    pub fn subst_word(&mut self, word: &Word, s: Subst) -> Result<Word> {
        unwritten()
    }
    pub fn subst_mem(&mut self, mem: &Rc<Mem>, s: Subst) -> Result<Rc<Mem>> {
        unwritten()
    }
    /// `None`: a guard became false. Guards on names that stay names are kept: see `decide_guards`.
    pub fn subst_entry(&mut self, entry: &Entry, s: Subst) -> Result<Option<Entry>> {
        unwritten()
    }
    pub fn subst_view(&mut self, view: &View, s: Subst) -> Result<Option<View>> {
        unwritten()
    }
    /// Appends what the capability becomes: nothing (guard false), one, or what a store holds.
    pub fn subst_cap(&mut self, cap: &Cap, s: Subst, out: &mut Vec<Cap>) -> Result<()> {
        unwritten()
    }
    pub fn subst_kind(&mut self, kind: &ty::Kind, s: Subst) -> Result<ty::Kind> {
        unwritten()
    }
    pub fn subst_assertion(&mut self, a: &Assertion, s: Subst) -> Result<Assertion> {
        unwritten()
    }
    /// The nested signature of a code variable: its own `Inner` stay.
    pub fn subst_sig(&mut self, sig: &Sig, s: Subst) -> Result<Sig> {
        unwritten()
    }
    /// Equal shapes; what the terms differ by is appended to `out` (nonzero over `Free` integers).
    pub fn differ_mem(&mut self, a: &Mem, b: &Mem, rule: Rule, out: &mut Vec<Term>) -> Result<()> {
        unwritten()
    }
    /// Identical signatures (no proof).
    pub fn same_sig(&mut self, a: &Sig, b: &Sig, rule: Rule) -> Result<()> {
        unwritten()
    }
    pub fn zero_ok(&mut self, mem: &Mem) -> Result<bool> {
        unwritten()
    }
    pub fn plain(&mut self, mem: &Mem) -> Result<bool> {
        unwritten()
    }
    pub fn owns(&mut self, mem: &Mem) -> Result<bool> {
        unwritten()
    }
}
