//! TCB. The state S at one program point (core.md 2 and 6).

use crate::counted::{Rc, Shared};
use crate::error::{Error, Kind as Evidence, Rule};
use crate::judge::Result;
use crate::limits;
use crate::term::{Term, Var};
use crate::ty::{Bounds, Cap, Fact, FieldTy, Guard, Kind, Lent, Mem, NameSet, Reg, View, Word};
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
#[derive(PartialEq, Eq, Debug)]
pub struct Stack {
    /// rsp minus the entry rsp.
    pub delta: i64,
    /// Lowest offset known to be touched.
    pub touched: i64,
    /// Slots that hold something, sorted by offset; every other slot at or above delta is junk.
    pub slots: Shared<(i64, Word)>,
    /// Lent parts, sorted.
    pub lent: Vec<Lent>,
}

/// Not derived, since a copy takes the room that is there.
impl Clone for Stack {
    fn clone(&self) -> Stack {
        let Stack { delta, touched, slots, lent } = self;
        Stack { delta: *delta, touched: *touched, slots: slots.clone(), lent: lent.clone() }
    }

    fn clone_from(&mut self, other: &Stack) {
        let Stack { delta, touched, slots, lent } = other;
        self.delta = *delta;
        self.touched = *touched;
        self.slots.clone_from(slots);
        self.lent.clone_from(lent);
    }
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
    pub caps: Shared<Cap>,
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
            stack: Stack { delta: 0, touched: 0, slots: Shared::default(), lent: Vec::new() },
            views: Vec::new(),
            caps: Shared::default(),
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
#[derive(Clone, PartialEq, Eq, Debug)]
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
/// that narrows a name, one with ghosts or to an entry, an open scope.
#[derive(Clone, Debug)]
pub struct Mark {
    /// How many variables there are.
    pub scope: usize,
    /// Facts.
    pub facts: usize,
    /// Views.
    pub views: usize,
    /// How often something was narrowed.
    pub trail: usize,
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
#[derive(Clone, Debug)]
pub struct Saved {
    /// What is shared.
    pub mark: Mark,
    /// Registers.
    pub regs: [Word; 16],
    flags: Flags,
    /// Frame.
    pub stack: Stack,
    /// Everything owned.
    pub caps: Shared<Cap>,
}

impl Saved {
    /// The state as it is now.
    #[must_use]
    pub fn of(state: &State) -> Saved {
        let State { regs, flags, stack, caps, .. } = state;
        let (flags, stack) = (flags.clone(), stack.clone());
        Saved { mark: Mark::of(state), regs: regs.clone(), flags, stack, caps: caps.clone() }
    }

    /// As [`Saved::of`], in the room that this one has.
    fn overwrite(&mut self, state: &State) {
        self.mark = Mark::of(state);
        self.regs.clone_from(&state.regs);
        self.flags.clone_from(&state.flags);
        self.stack.clone_from(&state.stack);
        self.caps.clone_from(&state.caps);
    }

    /// rule[cut], with all that was copied put back.
    pub(crate) fn put_back(self, state: &mut State) {
        self.mark.forget(state);
        forget!(state.regs = self.regs);
        forget!(state.flags = self.flags);
        forget!(state.stack = self.stack);
        forget!(state.caps = self.caps);
    }

    /// rule[cut]; what was copied stays here, too.
    fn come_back(&self, state: &mut State) {
        self.mark.forget(state);
        forget!(state.regs.clone_from(&self.regs));
        forget!(state.flags.clone_from(&self.flags));
        forget!(state.stack.clone_from(&self.stack));
        forget!(state.caps.clone_from(&self.caps));
    }

    /// What it costs to copy all this, and to put it back.
    pub(crate) fn cost(state: &State) -> usize {
        places(&state.stack, &state.caps).saturating_mul(2)
    }

    /// What it costs to come back to it once.
    pub(crate) fn weight(&self) -> usize {
        places(&self.stack, &self.caps)
    }
}

/// What there is to copy.
fn places(stack: &Stack, caps: &[Cap]) -> usize {
    let lists = [stack.slots.len(), stack.lent.len(), caps.len()];
    lists.iter().fold(8, |sum: usize, n| sum.saturating_add(*n))
}

/// What an open scope keeps.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) saved: Saved,
    /// What the copies weigh, with those of all scopes below: [`limits::SAVED`].
    weight: usize,
    /// Without those.
    own: usize,
}

impl Kept {
    /// The state as it is now. `below`: the scope that was opened last, if one is open.
    ///
    /// # Errors
    /// When the copies of all that are open weigh too much.
    pub(crate) fn of(state: &State, below: Option<&Kept>) -> Result<Kept> {
        let (weight, own) = Kept::weigh(state, below)?;
        Ok(Kept { saved: Saved::of(state), weight, own })
    }

    /// As [`Kept::of`], in the room of one that is not needed any more. [`Kept::own`].
    ///
    /// # Errors
    /// As there; then nothing is kept.
    pub(crate) fn keep(&mut self, state: &State, below: Option<&Kept>) -> Result<usize> {
        (self.weight, self.own) = Kept::weigh(state, below)?;
        self.saved.overwrite(state);
        Ok(self.own)
    }

    /// What the copies of all scopes weigh with one of this state, and this one.
    fn weigh(state: &State, below: Option<&Kept>) -> Result<(usize, usize)> {
        let State { regs, flags, stack, caps, .. } = state;
        let already = below.map_or(0, |below| below.weight);
        let mut room = Room(limits::SAVED.saturating_sub(already));
        let places = regs.len().saturating_add(stack.slots.len()).saturating_add(stack.lent.len());
        let fits = room.take(places)
            && regs.iter().all(|word| room.word(word))
            && stack.slots.iter().all(|(_, word)| room.word(word))
            && room.flags(flags)
            && caps.iter().enumerate().all(|(at, cap)| {
                let same = below.and_then(|below| below.saved.caps.get(at));
                room.cap(cap, same)
            });
        premise!(fits, Error::new(Rule::Limit, Evidence::Limit));
        let weight = limits::SAVED.saturating_sub(room.0);
        Ok((weight, weight.saturating_sub(already)))
    }

    /// What its own copies weigh: so much was looked at.
    pub(crate) fn own(&self) -> usize {
        self.own
    }

    /// The state as it was; its certificates begin anew.
    pub(crate) fn come_back(&self, state: &mut State) {
        self.saved.come_back(state);
        forget!(state.steps = 0);
    }
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

    fn flags(&mut self, flags: &Flags) -> bool {
        match &flags.kind {
            FlagKind::Cmp(_, left, right) => self.term(left) && self.term(right),
            FlagKind::Result(_, term) => self.term(term),
            FlagKind::None | FlagKind::Pick(..) => true,
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
