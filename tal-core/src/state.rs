//! TCB. The state S at one program point (core.md 2 and 6).
//!
//! Registers, slots and flags have one writer each, here, which keeps what they held on the trail
//! (`trail.rs`): so a state comes back to what it was at a mark, and what a way did not change need
//! not be looked at.

mod slots;
mod trail;
mod weight;

use crate::counted::Shared;
use crate::term::{Term, Var};
use crate::ty::{Bounds, Cap, Fact, Kind, Lent, NameSet, Reg, View, Word};
use alloc::vec::Vec;
use core::mem;
use slots::Slots;
pub use trail::{Before, Mark};
use trail::{Trail, What};
pub(crate) use weight::weigh;

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

impl Flags {
    /// Nothing is known, and none may be read.
    pub const UNKNOWN: Flags = Flags { kind: FlagKind::None, readable: FlagSet(0) };

    /// [`Term::allocated`] of its terms.
    fn allocated(&self) -> usize {
        match &self.kind {
            FlagKind::Cmp(_, left, right) => left.allocated().saturating_add(right.allocated()),
            FlagKind::Result(_, term) => term.allocated(),
            FlagKind::None | FlagKind::Pick(..) => 0,
        }
    }
}

/// The frame of the running function, but for its slots.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stack {
    /// rsp minus the entry rsp.
    pub delta: i64,
    /// Lowest offset known to be touched.
    pub touched: i64,
    /// Lent parts, sorted.
    pub lent: Shared<Lent>,
}

/// What is known before an instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    /// `Free(i)` is `scope[i]`: the function's variables, the label's, the fresh ones.
    pub scope: Vec<Scope>,
    /// Facts that are no bounds: the function's, the label's, those of the block. Append-only in a
    /// block.
    pub facts: Vec<Fact>,
    /// By encoding number; that of rsp is always `Frame(delta)`.
    regs: [Word; 16],
    flags: Flags,
    /// Frame.
    pub stack: Stack,
    slots: Slots,
    /// Views, the function's first.
    pub views: Vec<View>,
    /// Everything owned.
    pub caps: Shared<Cap>,
    trail: Trail,
    /// Certificate steps used in this block ([`crate::limits::STEPS`]).
    pub steps: u32,
}

impl State {
    /// A state in which nothing is known.
    #[must_use]
    pub fn empty() -> State {
        let mut state = State {
            scope: Vec::new(),
            facts: Vec::new(),
            regs: [const { Word::Junk }; 16],
            flags: Flags::UNKNOWN,
            stack: Stack { delta: 0, touched: 0, lent: Shared::default() },
            slots: Slots::default(),
            views: Vec::new(),
            caps: Shared::default(),
            trail: Trail::default(),
            steps: 0,
        };
        state.set_reg(Reg::Rsp, Word::Frame(0));
        state
    }

    /// As [`State::empty`], in the room that is there.
    pub(crate) fn clear(&mut self) {
        self.scope.clear();
        self.facts.clear();
        self.regs.fill(Word::Junk);
        self.flags = Flags::UNKNOWN;
        self.stack.delta = 0;
        self.stack.touched = 0;
        self.stack.lent.clear();
        self.slots.clear();
        self.views.clear();
        self.caps.clear();
        self.trail.clear();
        self.steps = 0;
        self.set_reg(Reg::Rsp, Word::Frame(0));
    }

    /// The bounds of an integer in scope as they are known now; of nothing else there are any.
    #[must_use]
    #[inline]
    pub fn bounds(&self, v: Var) -> Option<Bounds> {
        let Var::Free(i) = v else { return None };
        let scope = self.scope.get(usize::from(i))?;
        holds!(matches!(scope.kind, Kind::Int(_))).then_some(scope.bounds)
    }

    /// The greatest, or the least, value of an integer in scope as it is known now; what is none
    /// has no bounds.
    #[inline]
    pub(crate) fn extreme(&self, v: Var, greatest: bool) -> Option<i128> {
        let Var::Free(i) = v else { return None };
        self.scope.get(usize::from(i))?.bounds.extreme(greatest)
    }

    /// What the registers hold, by encoding number.
    #[must_use]
    pub fn regs(&self) -> &[Word; 16] {
        &self.regs
    }

    /// What a register holds.
    #[must_use]
    #[inline]
    pub fn reg(&self, reg: Reg) -> &Word {
        // There are sixteen of both, so this is never the default.
        self.regs.get(reg as usize).unwrap_or(&Word::Junk)
    }

    /// Only `operand.rs` (rows), `stack.rs` (rsp), names that turn out to be integers, calls, and
    /// what begins a function or a label write registers.
    #[inline]
    pub fn set_reg(&mut self, reg: Reg, word: Word) {
        if let Some(place) = self.regs.get_mut(reg as usize) {
            let old = mem::replace(place, word);
            self.trail.keep_reg(reg, old);
        }
    }

    /// The flags.
    #[must_use]
    pub fn flags(&self) -> &Flags {
        &self.flags
    }

    /// Only `flags.rs`, calls, and what begins a label write flags.
    pub fn set_flags(&mut self, flags: Flags) {
        let old = mem::replace(&mut self.flags, flags);
        self.trail.keep_flags(old);
    }

    /// What the slot at this offset holds; junk if nothing is known.
    #[must_use]
    pub fn slot(&self, offset: i64) -> &Word {
        self.slots.get(offset).map_or(&Word::Junk, |slot| &slot.word)
    }

    /// The slots that hold something, by increasing offset; every other at or above delta is junk.
    pub fn slots(&self) -> impl DoubleEndedIterator<Item = (i64, &Word)> {
        self.slots.listed()
    }

    /// How many of them there are.
    #[must_use]
    pub fn slot_count(&self) -> usize {
        self.slots.count()
    }

    /// Writes a slot. The caller has checked that it exists.
    pub fn set_slot(&mut self, offset: i64, word: Word) {
        if let Some((old, stamp)) = self.slots.replace(offset, word) {
            self.trail.keep(stamp, || What::Slot(offset, old));
        }
    }

    /// How many slots there is room for.
    pub(crate) fn slot_extent(&self) -> usize {
        self.slots.extent()
    }

    /// The slots from `from` up to `to`, which is not above the entry rsp, that hold something.
    pub(crate) fn slots_within(&self, from: i64, to: i64) -> impl Iterator<Item = (i64, &Word)> {
        let next = move |(at, _): &(i64, &Word)| self.slots.next(at.saturating_add(8), to);
        core::iter::successors(self.slots.next(from, to), next)
    }

    /// Nothing is known any more of these.
    pub(crate) fn forget_slots(&mut self, from: i64, to: i64) {
        let mut next = self.slots.next(from, to);
        while let Some((at, _)) = next {
            self.set_slot(at, Word::Junk);
            next = self.slots.next(at.saturating_add(8), to);
        }
    }
}
