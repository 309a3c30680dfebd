//! Not trusted: a bug here can reject, never admit. What the answer to a question most likely is,
//! read off the state. Reader and writer guess alike; one bit says that the guess is right.

use crate::hint::{Inst, Through};
use crate::state::State;
use crate::term::{Term, Var};
use crate::ty::{Base, Cap, Declared, Kind, Reg, Region, View, Word};

/// Which variables of a pattern are sought.
#[derive(Clone, Copy)]
pub enum Own {
    /// `Free(first + i)`.
    Free(u16),
    /// `Inner(i)`.
    Inner,
}

impl Own {
    fn var(self, i: usize) -> Option<Var> {
        let i = u16::try_from(i).ok()?;
        match self {
            Own::Free(first) => first.checked_add(i).map(Var::Free),
            Own::Inner => Some(Var::Inner(i)),
        }
    }
}

/// A pattern: words with what stands in their places, and views.
pub struct Pattern<'p> {
    pub own: Own,
    pub kinds: &'p [Kind],
    /// Of a label only what is not as it was.
    pub regs: &'p [(Reg, Word)],
    pub slots: &'p [(i64, Word)],
    pub views: &'p [View],
    /// Is a variable without a better guess itself? So it is on the way back to a label.
    pub itself: bool,
}

impl<'p> Pattern<'p> {
    /// A pre- or post-state; stack arguments are not looked at.
    pub fn of(own: Own, kinds: &'p [Kind], a: &'p crate::ty::Assertion) -> Self {
        let (regs, views) = (&a.regs, &a.views);
        Pattern { own, kinds, regs, slots: &[], views, itself: false }
    }

    /// The record of a label, whose own variables stand only in what it changes.
    pub fn label(first: u16, l: Declared<'p>) -> Self {
        Pattern {
            own: Own::Free(first),
            kinds: l.vars,
            regs: l.regs,
            slots: l.slots,
            views: l.views,
            itself: true,
        }
    }

    /// The most likely value of each variable.
    pub fn guesses(&self, state: &State) -> impl ExactSizeIterator<Item = Option<Inst>> {
        self.kinds.iter().enumerate().map(|(i, kind)| {
            let v = self.own.var(i)?;
            self.by_word(state, kind, v)
                .or_else(|| self.by_view(state, kind, v))
                .or_else(|| if self.itself { itself(state, kind, v) } else { None })
        })
    }

    /// A register or slot that the pattern wants to be exactly the variable.
    fn by_word(&self, state: &State, kind: &Kind, v: Var) -> Option<Inst> {
        let regs = self.regs.iter().filter(|(_, want)| is_var(want, v));
        let regs = regs.map(|(reg, _)| state.reg(*reg));
        let slots = self.slots.iter().filter(|(_, want)| is_var(want, v));
        let slots = slots.map(|(at, _)| state.slot(*at));
        regs.chain(slots).find_map(|word| inst(kind, word))
    }

    /// The region of a view of the same memory.
    fn by_view(&self, state: &State, kind: &Kind, v: Var) -> Option<Inst> {
        if *kind != Kind::Region {
            return None;
        }
        let wanted = self.views.iter().find(|view| view.region == Region::Var(v))?;
        let Base::Name(name) = wanted.base else { return None };
        let regs = self.regs.iter().filter(|(_, want)| is_var(want, name));
        let mut base = regs.filter_map(|(reg, _)| match state.reg(*reg) {
            Word::Ptr(base, _) => Some(*base),
            _ => None,
        });
        let base = base.next().unwrap_or(wanted.base);
        let found = state.views.iter().rev().find(|view| view.base == base);
        found.map(|view| Inst::Region(view.region))
    }
}

/// Is the word exactly the variable?
fn is_var(word: &Word, v: Var) -> bool {
    match word {
        Word::Int(term) => term.as_var() == Some(v),
        Word::Ptr(Base::Name(name), offset) => *name == v && *offset == Term::ZERO,
        _ => false,
    }
}

/// The word as a value of this kind.
fn inst(kind: &Kind, word: &Word) -> Option<Inst> {
    match (kind, word) {
        (Kind::Int(_), Word::Int(term)) => Some(Inst::Int(term.clone())),
        (Kind::Addr { .. }, Word::Int(term)) => Some(Inst::Small(term.clone())),
        (Kind::Addr { .. }, Word::Ptr(base, offset)) => Some(Inst::Ptr(*base, offset.clone())),
        (Kind::Word, Word::Int(_) | Word::Ptr(..)) => Some(Inst::Word(word.clone())),
        (Kind::Code(_), Word::Ptr(base, _)) => Some(Inst::Code(*base)),
        _ => None,
    }
}

/// The variable itself, if it is in scope at this kind.
fn itself(state: &State, kind: &Kind, v: Var) -> Option<Inst> {
    let Var::Free(i) = v else { return None };
    match (&state.scope.get(usize::from(i))?.kind, kind) {
        // Whatever its bounds.
        (Kind::Int(_), Kind::Int(_)) => {}
        (have, want) if have == want => {}
        _ => return None,
    }
    let name = || Word::Ptr(Base::Name(v), Term::ZERO);
    Some(match kind {
        Kind::Int(_) => Inst::Int(Term::var(v)),
        Kind::Addr { .. } => Inst::Ptr(Base::Name(v), Term::ZERO),
        Kind::Word => Inst::Word(name()),
        Kind::Code(_) => Inst::Code(Base::Name(v)),
        Kind::Region => Inst::Region(Region::Var(v)),
        Kind::Store => return None,
    })
}

/// Are a signature's own variables `Inner`? Those of a code parameter's are.
pub fn own_of(sig: &crate::ty::Sig) -> Own {
    let inner = |(_, word): &(Reg, Word)| match word {
        Word::Int(term) => term.vars().any(|v| matches!(v, Var::Inner(_))),
        Word::Ptr(Base::Name(name), _) => matches!(name, Var::Inner(_)),
        _ => false,
    };
    if sig.pre.regs.iter().any(inner) { Own::Inner } else { Own::Free(0) }
}

/// An access most likely goes through the first entry of the name, then the first view.
pub fn access(state: &State, base: Base) -> Option<Through> {
    let entry = state.caps.iter().position(|cap| match cap {
        Cap::Entry(e) => Base::Name(e.name) == base && e.guards.is_empty(),
        Cap::Token(..) | Cap::Store(_) => false,
    });
    if let Some(entry) = entry {
        return u16::try_from(entry).ok().map(Through::Entry);
    }
    let view = state.views.iter().position(|v| v.base == base && v.guards.is_empty());
    match (view, base) {
        (Some(view), _) => u16::try_from(view).ok().map(Through::View),
        (None, Base::Data(d)) => Some(Through::Data(d)),
        (None, _) => None,
    }
}

/// The wanted view most likely is the first at the same place.
pub fn view(state: &State, wanted: &View) -> Option<Through> {
    let same = |v: &View| {
        v.base == wanted.base
            && v.region == wanted.region
            && v.mode == wanted.mode
            && v.offset == wanted.offset
    };
    match (state.views.iter().position(same), wanted.base) {
        (Some(view), _) => u16::try_from(view).ok().map(Through::View),
        (None, Base::Data(d)) => Some(Through::Data(d)),
        (None, _) => None,
    }
}

/// The wanted capability most likely is the first at the same place, or else of the same name.
pub fn take(state: &State, wanted: &Cap) -> Option<u16> {
    let at = |exact: bool| {
        state.caps.iter().position(|cap| match (cap, wanted) {
            (Cap::Entry(a), Cap::Entry(b)) => a.name == b.name && (!exact || a.offset == b.offset),
            (Cap::Token(a, _), Cap::Token(b, _)) | (Cap::Store(a), Cap::Store(b)) => a == b,
            _ => false,
        })
    };
    at(true).or_else(|| at(false)).and_then(|i| u16::try_from(i).ok())
}

/// Element and offset in it by dividing the coefficients.
pub fn element(position: &Term, size: u32) -> Option<(Term, u32)> {
    let size = i128::from(size);
    let rest = position.constant().checked_rem_euclid(size)?;
    Some((position.floor_div(size).ok()?, u32::try_from(rest).ok()?))
}
