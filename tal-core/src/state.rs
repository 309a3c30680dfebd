//! TCB. The state S at one program point (core.md 2 and 6).

use crate::counted::Rc;
use crate::error::{Error, Kind as Evidence, Rule};
use crate::judge::Result;
use crate::limits;
use crate::term::{Term, Var};
use crate::ty::{Bounds, Cap, Fact, FieldTy, Kind, Lent, Mem, NameSet, Reg, View, Word};
use alloc::vec::Vec;

/// A variable in scope with what is known of it now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scope {
    /// Its declaration.
    pub kind: Kind,
    /// For names: the alternatives left. Only ever shrinks within a block.
    pub set: NameSet,
    /// For a name that turned out to be an integer: which (rule[name-narrow]).
    pub is: Option<Term>,
    /// For integers: the bounds as they are known now, within those of the declaration. They only
    /// ever shrink, and the old ones go on the trail.
    pub bounds: Bounds,
}

/// What is known of a variable was narrowed: of which one, and what it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Narrowed {
    /// Place in the scope.
    pub variable: u16,
    /// Before.
    pub before: Before,
}

/// What was known of a variable before it was narrowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Before {
    /// Of an integer.
    Bounds(Bounds),
    /// Of a name, which was no integer yet: its alternatives.
    Name(NameSet),
}

/// Flags by bit: the set of those that may be read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct FlagSet(pub u8);

/// What the flags present were computed from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FlagKind {
    /// Nothing is known.
    None,
    /// As `cmp left, right` at this many bits.
    Cmp(u8, Term, Term),
    /// Zero and sign of this result at this many bits.
    Result(u8, Term),
    /// A 64-bit compare of an undecided name with this constant.
    Pick(Var, i64),
}

/// F of core.md 2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flags {
    /// What they say.
    pub kind: FlagKind,
    /// Which were computed from public values only.
    pub readable: FlagSet,
}

/// The frame of the running function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stack {
    /// rsp minus the entry rsp.
    pub delta: i64,
    /// Lowest offset known to be touched.
    pub touched: i64,
    /// Slots that hold something, sorted by offset; every other slot at or above delta is junk.
    pub slots: Vec<(i64, Word)>,
    /// Lent parts, sorted.
    pub lent: Vec<Lent>,
}

/// What is known before an instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    /// `Free(i)` is `scope[i]`: the function's variables, the label's, the fresh ones.
    pub scope: Vec<Scope>,
    /// Facts that are no bounds: the function's, the label's, those of the block. Append-only in a
    /// block.
    pub facts: Vec<Fact>,
    /// What was narrowed in this block, the latest last.
    pub trail: Vec<Narrowed>,
    /// By encoding number; that of rsp is always `Frame(delta)`.
    pub regs: [Word; 16],
    /// Flags.
    pub flags: Flags,
    /// Frame.
    pub stack: Stack,
    /// Views, the function's first.
    pub views: Vec<View>,
    /// Everything owned.
    pub caps: Vec<Cap>,
    /// Certificate steps used in this block ([`crate::limits::STEPS`]).
    pub steps: u32,
}

impl State {
    /// A state in which nothing is known.
    #[must_use]
    pub fn empty() -> State {
        let mut regs = [const { Word::Junk }; 16];
        if let Some(rsp) = regs.get_mut(Reg::Rsp as usize) {
            *rsp = Word::Frame(0);
        }
        State {
            scope: Vec::new(),
            facts: Vec::new(),
            trail: Vec::new(),
            regs,
            flags: Flags { kind: FlagKind::None, readable: FlagSet::default() },
            stack: Stack { delta: 0, touched: 0, slots: Vec::new(), lent: Vec::new() },
            views: Vec::new(),
            caps: Vec::new(),
            steps: 0,
        }
    }

    /// The bounds of an integer in scope as they are known now; of nothing else there are any.
    #[must_use]
    #[inline]
    pub fn bounds(&self, v: Var) -> Option<Bounds> {
        let Var::Free(i) = v else { return None };
        let scope = self.scope.get(usize::from(i))?;
        holds!(matches!(scope.kind, Kind::Int(_))).then_some(scope.bounds)
    }

    /// What is known of the variable is about to be narrowed.
    ///
    /// # Errors
    /// When that happened too often.
    pub(crate) fn narrows(&mut self, variable: u16, before: Before) -> Result<()> {
        if self.trail.len() >= limits::TRAIL {
            return Err(Error::new(Rule::Limit, Evidence::Limit));
        }
        self.trail.push(Narrowed { variable, before });
        Ok(())
    }

    /// What a register holds.
    #[must_use]
    pub fn reg(&self, reg: Reg) -> &Word {
        // There are sixteen of both, so this is never the default.
        self.regs.get(reg as usize).unwrap_or(&Word::Junk)
    }

    /// Only `operand.rs` (rows), `stack.rs` (rsp) and calls write registers.
    pub(crate) fn set_reg(&mut self, reg: Reg, word: Word) {
        if let Some(place) = self.regs.get_mut(reg as usize) {
            *place = word;
        }
    }

    /// What the slot at this offset holds; junk if nothing is known.
    #[must_use]
    pub fn slot(&self, offset: i64) -> &Word {
        let slots = &self.stack.slots;
        let at = slots.binary_search_by_key(&offset, |(at, _)| *at);
        at.ok().and_then(|i| slots.get(i)).map_or(&Word::Junk, |(_, word)| word)
    }

    /// Writes a slot; junk is not kept. The caller has checked that the slot exists.
    pub(crate) fn set_slot(&mut self, offset: i64, word: Word) {
        let slots = &mut self.stack.slots;
        match (slots.binary_search_by_key(&offset, |(at, _)| *at), word) {
            (Ok(i), Word::Junk) => {
                slots.remove(i);
            }
            (Ok(i), word) => {
                if let Some(slot) = slots.get_mut(i) {
                    slot.1 = word;
                }
            }
            (Err(_), Word::Junk) => {}
            (Err(i), word) => slots.insert(i, (offset, word)),
        }
    }
}

/// What no way changes that is checked in place.
#[derive(PartialEq, Eq, Debug)]
struct Rest {
    caps: usize,
    slots: usize,
    lent: usize,
    delta: i64,
    touched: i64,
}

impl Rest {
    fn of(state: &State) -> Self {
        let stack = &state.stack;
        let (slots, lent) = (stack.slots.len(), stack.lent.len());
        let (delta, touched) = (stack.delta, stack.touched);
        Rest { caps: state.caps.len(), slots, lent, delta, touched }
    }
}

/// What stays of a state when a way that leads out of it has been checked: only these grow there,
/// and what is known of a variable shrinks, with what it was on the trail. `Judge::edge` without
/// an undecided name learns facts (and `fresh`, `learn`, `add_view` append); `Judge::entail` puts
/// the capabilities back that it takes. Where a way changes more, the rest is [`Saved`]: an edge
/// that narrows a name, one with ghosts or to an entry, one that waits.
#[derive(Debug)]
pub(crate) struct Mark {
    scope: usize,
    facts: usize,
    trail: usize,
    views: usize,
    rest: Rest,
}

impl Mark {
    pub(crate) fn of(state: &State) -> Self {
        Mark {
            scope: state.scope.len(),
            facts: state.facts.len(),
            trail: state.trail.len(),
            views: state.views.len(),
            rest: Rest::of(state),
        }
    }

    /// rule[cut]: what was learnt since is not known any more.
    ///
    /// # Errors
    /// When the way changed more than it may: a rule of the judge is wrong, and nothing is judged
    /// by it.
    pub(crate) fn cut(&self, state: &mut State) -> Result<()> {
        self.forget(state);
        premise!(self.rest == Rest::of(state), Error::new(Rule::Driver, Evidence::Capability));
        Ok(())
    }

    /// Takes back what was learnt.
    fn forget(&self, state: &mut State) {
        // First the trail, the latest first: what it speaks of may lie above the mark.
        let State { scope, trail, .. } = state;
        for old in trail.drain(self.trail.min(trail.len())..).rev() {
            let Some(scope) = scope.get_mut(usize::from(old.variable)) else { continue };
            match old.before {
                Before::Bounds(bounds) => forget!(scope.bounds = bounds),
                Before::Name(set) => {
                    forget!(scope.set = set);
                    forget!(scope.is = None);
                }
            }
        }
        forget!(state.scope.truncate(self.scope));
        forget!(state.facts.truncate(self.facts));
        forget!(state.views.truncate(self.views));
    }
}

/// A state to come back to, whatever becomes of it meanwhile: what only grows is shared with it
/// and cut to the mark, what changes in any other way is copied.
#[derive(Debug)]
pub(crate) struct Saved {
    mark: Mark,
    regs: [Word; 16],
    flags: Flags,
    stack: Stack,
    caps: Vec<Cap>,
}

impl Saved {
    pub(crate) fn of(state: &State) -> Saved {
        let State { regs, flags, stack, caps, .. } = state;
        let (flags, stack) = (flags.clone(), stack.clone());
        Saved { mark: Mark::of(state), regs: regs.clone(), flags, stack, caps: caps.clone() }
    }

    /// rule[cut], with all that was copied put back.
    pub(crate) fn put_back(self, state: &mut State) {
        self.mark.forget(state);
        forget!(state.regs = self.regs);
        forget!(state.flags = self.flags);
        forget!(state.stack = self.stack);
        forget!(state.caps = self.caps);
    }

    /// What it costs to copy all this, and to put it back.
    pub(crate) fn cost(state: &State) -> usize {
        let stack = &state.stack;
        let lists = [stack.slots.len(), stack.lent.len(), state.caps.len()];
        lists.iter().fold(8, |sum: usize, n| sum.saturating_add(*n)).saturating_mul(2)
    }
}

/// rule[edge-block]: a way that waits until what is walked first has come to its ends.
#[derive(Debug)]
pub(crate) struct Waiting {
    saved: Saved,
    /// What the copies of this and those below weigh: [`limits::SAVED`].
    weight: usize,
}

impl Waiting {
    /// The state as it is now. `below`: the way that was opened last, if one waits.
    ///
    /// # Errors
    /// When the copies of all that wait weigh too much.
    pub(crate) fn open(state: &State, below: Option<&Waiting>) -> Result<Waiting> {
        let State { regs, stack, caps, .. } = state;
        let lists = [stack.slots.len(), stack.lent.len(), caps.len(), regs.len()];
        let mut weight = lists.iter().fold(0, |sum: usize, n| sum.saturating_add(*n));
        for (at, cap) in caps.iter().enumerate() {
            let (Cap::Entry(entry) | Cap::Token(_, entry)) = cap else { continue };
            let same = match below.and_then(|below| below.saved.caps.get(at)) {
                Some(Cap::Entry(other) | Cap::Token(_, other)) => {
                    Rc::ptr_eq(&entry.mem, &other.mem)
                }
                Some(Cap::Store(_)) | None => false,
            };
            if !same {
                weight = weight.saturating_add(nodes(&entry.mem));
            }
        }
        let all = weight.saturating_add(below.map_or(0, |below| below.weight));
        premise!(all <= limits::SAVED, Error::new(Rule::Limit, Evidence::Limit));
        Ok(Waiting { saved: Saved::of(state), weight: all })
    }

    /// The state as it was left; its certificates begin anew.
    pub(crate) fn take_up(self, state: &mut State) {
        self.saved.put_back(state);
        forget!(state.steps = 0);
    }
}

/// Types, fields and facts of a memory type.
fn nodes(mem: &Mem) -> usize {
    let below = match mem {
        Mem::Struct { fields, .. } => fields.iter().fold(0, |sum: usize, field| {
            let inside = match &field.ty {
                FieldTy::Own { mem, .. } | FieldTy::Ref { mem, .. } => nodes(mem),
                FieldTy::Int { facts, .. } => facts.len(),
                FieldTy::Known(_) | FieldTy::Junk(_) => 0,
            };
            sum.saturating_add(inside).saturating_add(1)
        }),
        Mem::Array(_, element) => nodes(element),
        Mem::Cat(first, second) => nodes(first).saturating_add(nodes(second)),
        Mem::Ex { facts, body, .. } => nodes(body).saturating_add(facts.len()),
        Mem::Named(_, arguments) => arguments.len(),
        Mem::Bytes(_) | Mem::Junk(_) | Mem::Zero(_) => 0,
    };
    below.saturating_add(1)
}
