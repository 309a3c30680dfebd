//! TCB. The stack of the running function (core.md 4.11).
//!
//! `delta` is rsp minus the entry rsp, `touched` the lowest offset known to be touched; a slot that
//! is not listed is unreadable; lent parts are linear (redteam U5, U6).

use crate::counted::Rc;
use crate::decode::{Src, Width};
use crate::error::{Error, Kind, OrRefuse, Rule};
use crate::hint::{Hints, Place};
use crate::judge::{Judge, Result};
use crate::limits;
use crate::mem::{resolve, weight};
use crate::rules::operand::{Out, reg_word};
use crate::state::State;
use crate::term::{Term, Var};
use crate::ty::{
    self, Base, Bounds, Cap, Entry, Fact, Field, FieldTy, Guard, Lent, Mem, Mode, NameSet, Reg,
    Region, View, Word,
};
use alloc::{boxed::Box, vec::Vec};

const WORD: i64 = 8;

fn depth(rule: Rule, at: i64) -> Error {
    Error::new(rule, Kind::Depth(at))
}

fn slot(rule: Rule, at: i64) -> Error {
    Error::new(rule, Kind::WrongSlot(at))
}

/// Does a lent part meet `[from, to)`?
fn meets_lent(state: &State, from: i64, to: i64) -> bool {
    state.stack.lent.iter().any(|l| l.offset < to && from < l.offset.saturating_add(l.size))
}

fn get_slot(state: &State, at: i64) -> Word {
    state.slot(at).clone()
}

impl<H: Hints> Judge<'_, H> {
    /// Sets a slot; junk is nothing. The caller has checked that the slot exists.
    ///
    /// # Errors
    /// When there are too many.
    pub(crate) fn set_slot(&mut self, state: &mut State, at: i64, word: Word) -> Result<()> {
        let more = word != Word::Junk && *state.slot(at) == Word::Junk;
        if more && state.slot_count() >= limits::SLOTS {
            return Err(Error::new(Rule::Limit, Kind::Limit));
        }
        state.set_slot(at, word);
        Ok(())
    }

    /// Nothing is known any more of the slots from `from` up to `to`.
    pub(crate) fn slots_go(&mut self, state: &mut State, from: i64, to: i64) -> Result<()> {
        let held = state.slot_count();
        state.forget_slots(from, to);
        let gone = held.saturating_sub(state.slot_count());
        let words = usize::try_from(to.saturating_sub(from) >> 3).unwrap_or(0);
        let looked = words.min(state.slot_extent()) >> 2;
        self.burn(gone.saturating_mul(limits::SLOT_UNITS).saturating_add(looked))
    }

    /// rule[stack-move]: rsp becomes the entry rsp plus `to`.
    ///
    /// # Errors
    /// When a premise fails; so for each method here.
    pub fn stack_move(&mut self, state: &mut State, to: i64) -> Result<()> {
        let rule = Rule::StackMove;
        premise!((-limits::FRAME..=0).contains(&to), depth(rule, to));
        premise!(to.checked_rem_euclid(WORD) == Some(0), depth(rule, to));
        // Below the lowest touched byte there may be a guard page: never further than one page.
        let owed = state.stack.touched.checked_sub(to);
        premise!(owed.is_some_and(|owed| owed <= limits::PROBE), depth(rule, to));
        let from = state.stack.delta;
        premise!(to <= from || !meets_lent(state, from, to), slot(rule, from));
        forget!(self.slots_go(state, from, to)?);
        state.stack.delta = to;
        state.set_reg(Reg::Rsp, Word::Frame(to));
        Ok(())
    }

    /// rule[push].
    ///
    /// # Errors
    /// See [`Judge::stack_move`].
    pub fn push(&mut self, state: &mut State, word: Word) -> Result<()> {
        let to = state.stack.delta.checked_sub(WORD).or_refuse(Rule::Push)?;
        self.stack_move(state, to)?;
        self.set_slot(state, to, word)?;
        state.stack.touched = state.stack.touched.min(to);
        Ok(())
    }

    /// rule[push], of a source. `push rsp` is refused (trap 122).
    pub(super) fn push_source(&mut self, state: &mut State, src: &Src) -> Result<()> {
        let word = match src {
            Src::Imm(c) => Word::Int(Term::int(*c)),
            Src::Reg(r) => {
                premise!(*r != Reg::Rsp, Error::new(Rule::Push, Kind::BadHint));
                reg_word(state, *r).clone()
            }
            Src::Mem(_) => return Err(Error::new(Rule::Push, Kind::BadHint)),
        };
        self.push(state, word)
    }

    /// rule[pop].
    ///
    /// # Errors
    /// See [`Judge::stack_move`].
    pub fn pop(&mut self, state: &mut State, to: Reg) -> Result<()> {
        let from = state.stack.delta;
        let above = from.checked_add(WORD).or_refuse(Rule::Pop)?;
        premise!(from < 0, slot(Rule::Pop, from));
        premise!(!meets_lent(state, from, above), slot(Rule::Pop, from));
        let word = get_slot(state, from);
        self.write(state, to, Width::W64, Out::word(word))?;
        self.stack_move(state, above)
    }

    /// `leave`: rule[stack-move] to the frame word of rbp, then rule[pop].
    pub(super) fn row_leave(&mut self, state: &mut State) -> Result<()> {
        match reg_word(state, Reg::Rbp).clone() {
            Word::Frame(k) => {
                self.stack_move(state, k)?;
                self.pop(state, Reg::Rbp)
            }
            word => {
                let kind = Kind::WrongRegister(Reg::Rbp, Box::new(word));
                refuse!(Error::new(Rule::StackMove, kind))
            }
        }
    }

    /// Is there a slot of this frame here that may be read and written?
    fn slot_stands(&self, state: &State, at: i64, bytes: u8, rule: Rule) -> Result<()> {
        premise!(at.checked_rem_euclid(WORD) == Some(0), slot(rule, at));
        premise!(i64::from(bytes) == WORD, slot(rule, at));
        premise!(state.stack.delta <= at, slot(rule, at));
        premise!(at < 0 || self.own.slot(at), slot(rule, at));
        premise!(!meets_lent(state, at, at.saturating_add(WORD)), slot(rule, at));
        Ok(())
    }

    /// rule[load-slot]: `bytes` must be 8.
    ///
    /// # Errors
    /// See [`Judge::stack_move`].
    pub fn load_slot(&mut self, state: &State, at: i64, bytes: u8) -> Result<Word> {
        premise!(self.slot_stands(state, at, bytes, Rule::LoadSlot));
        Ok(get_slot(state, at))
    }

    /// rule[store-slot]: `bytes` must be 8. Any word may be stored.
    ///
    /// # Errors
    /// See [`Judge::stack_move`].
    pub fn store_slot(&mut self, state: &mut State, at: i64, bytes: u8, w: &Word) -> Result<()> {
        premise!(self.slot_stands(state, at, bytes, Rule::StoreSlot));
        self.set_slot(state, at, w.clone())?;
        state.stack.touched = state.stack.touched.min(at);
        Ok(())
    }

    /// rule[carve]: `[offset, offset + size)` becomes a location; nothing at or above the return
    /// address (trap 115), nothing that is lent already.
    ///
    /// # Errors
    /// See [`Judge::stack_move`].
    pub fn carve(&mut self, state: &mut State, offset: i64, size: i64) -> Result<()> {
        let rule = Rule::Carve;
        let end = offset.checked_add(size).or_refuse(rule)?;
        let multiple = |n: i64| n.checked_rem_euclid(WORD) == Some(0);
        premise!(multiple(offset), slot(rule, offset));
        premise!(multiple(size), slot(rule, offset));
        premise!(size > 0, slot(rule, offset));
        premise!(offset >= state.stack.delta, slot(rule, offset));
        premise!(end <= 0, slot(rule, offset));
        premise!(!meets_lent(state, offset, end), slot(rule, offset));
        let full = state.caps.len() >= limits::CAPS || state.stack.lent.len() >= limits::CAPS;
        if full {
            return Err(Error::new(Rule::Limit, Kind::Limit));
        }
        let fields = carved(state, offset, size).or_refuse(rule)?;
        // Ghosts are short: what they make is paid for, or many of them would cost nothing.
        self.burn(fields.len())?;
        let size_of = u32::try_from(size).ok().or_refuse(rule)?;
        let mem = Rc::new(Mem::Struct { fields, size: size_of });
        let set = NameSet::ADDRESS;
        let name = self.fresh(state, ty::Kind::Addr { set, block: None })?;
        forget!(self.slots_go(state, offset, end)?);
        let place = state.stack.lent.partition_point(|l| l.offset < offset);
        state.stack.lent.insert(place, Lent { offset, size, name });
        let entry = Entry { guards: Vec::new(), name, offset: Term::ZERO, mem };
        state.caps.push(Cap::Entry(entry));
        Ok(())
    }

    /// rule[uncarve]: the whole of a lent part comes back, without own fields; `entry` is a
    /// position in the capabilities.
    ///
    /// # Errors
    /// See [`Judge::stack_move`].
    pub fn uncarve(&mut self, state: &mut State, name: Var, entry: u16) -> Result<()> {
        let rule = Rule::Uncarve;
        let record = state.stack.lent.iter().position(|l| l.name == name).or_refuse(rule)?;
        let lent = *state.stack.lent.get(record).or_refuse(rule)?;
        let entry = usize::from(entry);
        let Some(Cap::Entry(owned)) = state.caps.get(entry) else {
            return Err(Error::new(rule, Kind::Capability));
        };
        let Mem::Struct { fields, size } = owned.mem.as_ref() else {
            return Err(Error::new(rule, Kind::Capability));
        };
        let refuse = || Error::new(rule, Kind::Capability);
        premise!(owned.guards.is_empty(), refuse());
        premise!(owned.name == name, refuse());
        premise!(owned.offset == Term::ZERO, refuse());
        premise!(i64::from(*size) == lent.size, refuse());
        // What a slot cannot hold would be lost, not doubled: no harm, but nobody means it.
        premise!(!fields.iter().any(|f| matches!(f.ty, FieldTy::Own { .. })), refuse());
        let fields = fields.clone();
        self.burn(weight(&fields))?;
        let mut slots = Vec::new();
        for field in &fields {
            let at = lent.offset.checked_add(i64::from(field.offset)).or_refuse(rule)?;
            if at.checked_rem_euclid(WORD) == Some(0) {
                match self.field_word(state, &field.ty)? {
                    Word::Junk => {}
                    word => slots.push((at, word)),
                }
            }
        }
        if slots.len().saturating_add(state.slot_count()) > limits::SLOTS {
            return Err(Error::new(Rule::Limit, Kind::Limit));
        }
        state.stack.lent.remove(record);
        state.caps.remove(entry);
        for (at, word) in slots {
            state.set_slot(at, word);
        }
        Ok(())
    }

    /// The slot word that an eight-byte field leaves behind; every other field leaves junk. A word
    /// from a name that is an integer by now reads as that integer, as in registers and slots.
    fn field_word(&mut self, state: &mut State, ty: &FieldTy) -> Result<Word> {
        match ty {
            FieldTy::Known(word @ (Word::Int(_) | Word::Ptr(..))) => resolve(state, word),
            FieldTy::Int { bits: 64, signed, facts } => self.field_int(state, *signed, facts),
            FieldTy::Ref { nullable, mode, mem } => self.field_ref(state, *nullable, *mode, mem),
            FieldTy::Known(_) | FieldTy::Int { .. } | FieldTy::Own { .. } | FieldTy::Junk(_) => {
                Ok(Word::Junk)
            }
        }
    }

    /// A 64-bit integer field: a fresh integer with rule[range-facts].
    fn field_int(&mut self, state: &mut State, signed: bool, facts: &[Fact]) -> Result<Word> {
        let rule = Rule::RangeFacts;
        let n = self.fresh_within(state, Bounds::of_bits(64, signed))?;
        let value = |v: Var| (v == Var::Value).then(|| n.clone());
        let mut known = Vec::with_capacity(facts.len());
        for fact in facts {
            let term = fact.term.subst(&value).or_refuse(rule)?;
            known.push(Fact { rel: fact.rel, term });
        }
        self.learn_told(state, known)?;
        Ok(Word::Int(n))
    }

    /// A `ref` field: a fresh name with its view.
    fn field_ref(
        &mut self,
        state: &mut State,
        nullable: bool,
        mode: Mode,
        mem: &Rc<Mem>,
    ) -> Result<Word> {
        if state.views.len() >= limits::VIEWS {
            return Err(Error::new(Rule::Limit, Kind::Limit));
        }
        let set = if nullable { NameSet::NULLABLE } else { NameSet::ADDRESS };
        let name = self.fresh(state, ty::Kind::Addr { set, block: None })?;
        let guards = if nullable { Vec::from([Guard::IsAddress(name)]) } else { Vec::new() };
        let base = Base::Name(name);
        let offset = Term::ZERO;
        let mem = Rc::clone(mem);
        state.views.push(View { guards, region: Region::Always, mode, base, offset, mem });
        Ok(Word::Ptr(base, Term::ZERO))
    }

    /// rule[frame-word]: an address in a lent part is a frame word, and the other way round. rsp
    /// itself stays a frame word.
    ///
    /// # Errors
    /// See [`Judge::stack_move`].
    pub fn frame_word(&mut self, state: &mut State, place: Place, name: Var) -> Result<()> {
        let rule = Rule::FrameWord;
        let lent = state.stack.lent.iter().find(|l| l.name == name).copied().or_refuse(rule)?;
        let word = match place {
            Place::Reg(r) => reg_word(state, r).clone(),
            Place::Slot(at) => get_slot(state, at),
        };
        let within = |j: i64| holds!((0..=lent.size).contains(&j)).then_some(j).or_refuse(rule);
        let word = match word {
            Word::Frame(j) => {
                let at = within(j.checked_sub(lent.offset).or_refuse(rule)?)?;
                Word::Ptr(Base::Name(name), Term::int(at))
            }
            Word::Ptr(Base::Name(x), at) if holds!(x == name) => {
                let at = at.as_int().and_then(|c| i64::try_from(c).ok()).or_refuse(rule)?;
                Word::Frame(lent.offset.checked_add(within(at)?).or_refuse(rule)?)
            }
            word => return Err(Error::new(rule, Kind::WrongWord(Box::new(word)))),
        };
        match place {
            Place::Reg(r) => self.write(state, r, Width::W64, Out::word(word)),
            Place::Slot(at) => self.set_slot(state, at, word),
        }
    }
}

/// The fields that the slots `[offset, offset + size)` become: readable words as known fields, the
/// rest junk fields; where those would be too many, gaps, which are junk as well.
fn carved(state: &State, offset: i64, size: i64) -> Option<Vec<Field>> {
    let end = offset.checked_add(size)?;
    let field = |at: i64, ty: FieldTy| {
        let offset = u32::try_from(at.checked_sub(offset)?).ok()?;
        Some(Field { offset, writable: true, ty })
    };
    let known = |word: &Word| match word {
        Word::Int(_) | Word::Ptr(..) => Some(FieldTy::Known(word.clone())),
        Word::Frame(_) | Word::ReturnAddress | Word::Saved(_) | Word::Junk => None,
    };
    let words = usize::try_from(size).ok()? >> 3;
    let fields: Option<Vec<Field>> = if words <= limits::FIELDS {
        let all = (0..words).map(|i| offset.checked_add(i64::try_from(i).ok()?.checked_mul(WORD)?));
        all.map(|at| field(at?, known(state.slot(at?)).unwrap_or(FieldTy::Junk(8)))).collect()
    } else {
        let named =
            state.slots_within(offset, end).filter_map(|(at, word)| Some((at, known(word)?)));
        named.map(|(at, ty)| field(at, ty)).collect()
    };
    fields.filter(|fields| fields.len() <= limits::FIELDS)
}
