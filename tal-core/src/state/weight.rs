//! TCB (bounded). What the capabilities of open scopes weigh: each scope has those that there were
//! when it was opened, which it shares with others until they change.

use crate::counted::{Rc, Shared};
use crate::error::{Error, Kind as Evidence, Rule};
use crate::judge::Result;
use crate::limits;
use crate::term::Term;
use crate::ty::{Cap, Fact, FieldTy, Guard, Mem, Word};

/// What the capabilities of all open scopes weigh with these. `below`: those of the scope that was
/// opened last, and what all weigh with them.
///
/// # Errors
/// When that is too much.
pub(crate) fn weigh(caps: &Shared<Cap>, below: Option<(&Shared<Cap>, usize)>) -> Result<usize> {
    let already = match below {
        Some((below, weight)) if below.is(caps) => return Ok(weight),
        Some((_, weight)) => weight,
        None => 0,
    };
    let mut room = Room(limits::SAVED.saturating_sub(already));
    let fits = caps.iter().enumerate().all(|(at, cap)| {
        let same = below.and_then(|(below, _)| below.get(at));
        room.cap(cap, same)
    });
    premise!(fits, Error::new(Rule::Limit, Evidence::Limit));
    Ok(limits::SAVED.saturating_sub(room.0))
}

/// What copies may still weigh. Each method says whether that was enough; if it was not, no more is
/// looked at than was left.
struct Room(usize);

impl Room {
    fn take(&mut self, weight: usize) -> bool {
        let left = self.0.checked_sub(weight);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }

    /// Beside its place: what it has allocated, which a copy shares with others, but perhaps with
    /// none that is still there.
    fn term(&mut self, term: &Term) -> bool {
        self.take(term.allocated().div_ceil(limits::SAVED_UNIT))
    }

    fn word(&mut self, word: &Word) -> bool {
        match word {
            Word::Int(term) | Word::Ptr(_, term) => self.term(term),
            Word::Frame(_) | Word::ReturnAddress | Word::Saved(_) | Word::Junk => true,
        }
    }

    /// `below`: what stands in its place in the way below, which has its own type for as long as
    /// that one waits.
    fn cap(&mut self, cap: &Cap, below: Option<&Cap>) -> bool {
        let (Cap::Entry(entry) | Cap::Token(_, entry)) = cap else { return self.take(1) };
        let same = match below {
            Some(Cap::Entry(below) | Cap::Token(_, below)) => Rc::ptr_eq(&entry.mem, &below.mem),
            Some(Cap::Store(_)) | None => false,
        };
        self.take(2)
            && self.term(&entry.offset)
            && entry.guards.iter().all(|guard| self.guard(guard))
            && (same || self.mem(&entry.mem, 0))
    }

    fn guard(&mut self, guard: &Guard) -> bool {
        self.take(1)
            && match guard {
                Guard::Range(term, ..) => self.term(term),
                Guard::IsAddress(_) | Guard::IsSmall(..) => true,
            }
    }

    fn facts(&mut self, facts: &[Fact]) -> bool {
        self.take(facts.len()) && facts.iter().all(|fact| self.term(&fact.term))
    }

    /// Types, fields, facts and terms of a memory type.
    fn mem(&mut self, mem: &Mem, depth: usize) -> bool {
        // One more than types may be nested: what was put into a field stands one further in.
        if depth > limits::NESTING.saturating_add(1) || !self.take(1) {
            return false;
        }
        let depth = depth.saturating_add(1);
        match mem {
            Mem::Struct { fields, .. } => {
                self.take(fields.len())
                    && fields.iter().all(|field| match &field.ty {
                        FieldTy::Own { mem, .. } | FieldTy::Ref { mem, .. } => self.mem(mem, depth),
                        FieldTy::Int { facts, .. } => self.facts(facts),
                        FieldTy::Known(word) => self.word(word),
                        FieldTy::Junk(_) => true,
                    })
            }
            Mem::Array(count, element) => self.term(count) && self.mem(element, depth),
            Mem::Cat(first, second) => self.mem(first, depth) && self.mem(second, depth),
            Mem::Ex { facts, body, .. } => self.facts(facts) && self.mem(body, depth),
            Mem::Named(_, arguments) => {
                self.take(arguments.len()) && arguments.iter().all(|term| self.term(term))
            }
            Mem::Bytes(n) | Mem::Junk(n) | Mem::Zero(n) => self.term(n),
        }
    }
}
