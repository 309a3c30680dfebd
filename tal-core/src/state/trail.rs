//! TCB. The trail: what was known at a mark, while more is known or something else.
//!
//! A mark is a place on the trail. A register, a slot or the flags are kept there before they are
//! first written behind the newest mark; bounds and names each time they are narrowed. What only
//! grows is cut to the length that it had, and the rest (frame, capabilities) stands in the mark.
//! So coming back costs what was done, not what there is; and what a place held at a mark is what
//! it holds now, unless it is on the trail behind that.

use super::{Flags, State};
use crate::counted::Shared;
use crate::error::{Error, Kind as Evidence, Rule};
use crate::hint::Place;
use crate::judge::Result;
use crate::limits;
use crate::ty::{Bounds, Cap, Lent, NameSet, Reg, Word};
use alloc::vec::Vec;
use core::mem;

/// How long the trail was when a place was last kept; so it stands right below. Places that were
/// never kept have zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Stamp(u32);

impl Stamp {
    pub(super) const NEVER: Stamp = Stamp(0);
}

/// What is on the trail.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Old {
    /// The stamp that the place had before.
    before: Stamp,
    what: What,
}

/// A place, and what it held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum What {
    Reg(Reg, Word),
    Slot(i64, Word),
    Flags(Flags),
    /// What was known of this variable in scope.
    Variable(u16, Before),
}

/// What was known of a variable before it was narrowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Before {
    /// Of an integer.
    Bounds(Bounds),
    /// Of a name, which was no integer yet: its alternatives.
    Name(NameSet),
}

/// See above.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Trail {
    old: Vec<Old>,
    /// A place with a smaller stamp is not kept since the newest mark; zero without a mark.
    since: Stamp,
    regs: [Stamp; 16],
    flags: Stamp,
    /// What the terms that are kept have allocated, in units of [`limits::SAVED_UNIT`].
    terms: usize,
}

impl What {
    /// See [`Trail::terms`].
    fn terms(&self) -> usize {
        match self {
            What::Reg(_, word) | What::Slot(_, word) => word.allocated(),
            What::Flags(flags) => flags.allocated(),
            What::Variable(..) => 0,
        }
        .div_ceil(limits::SAVED_UNIT)
    }
}

impl Trail {
    pub(super) fn clear(&mut self) {
        let mut old = mem::take(&mut self.old);
        old.clear();
        *self = Trail { old, ..Trail::default() };
    }

    /// What a place of this stamp held, unless it is kept since the newest mark.
    #[inline]
    pub(super) fn keep(&mut self, stamp: &mut Stamp, what: impl FnOnce() -> What) {
        if *stamp < self.since {
            *stamp = self.push(*stamp, what());
        }
    }

    #[inline]
    pub(super) fn keep_reg(&mut self, reg: Reg, word: Word) {
        let Some(before) = self.regs.get(reg as usize).copied() else { return };
        if before < self.since {
            let stamp = self.push(before, What::Reg(reg, word));
            if let Some(place) = self.regs.get_mut(reg as usize) {
                *place = stamp;
            }
        }
    }

    #[inline]
    pub(super) fn keep_flags(&mut self, flags: Flags) {
        if self.flags < self.since {
            self.flags = self.push(self.flags, What::Flags(flags));
        }
    }

    fn push(&mut self, before: Stamp, what: What) -> Stamp {
        self.terms = self.terms.saturating_add(what.terms());
        self.old.push(Old { before, what });
        Stamp(u32::try_from(self.old.len()).unwrap_or(u32::MAX))
    }

    fn pop(&mut self) -> Option<Old> {
        let old = self.old.pop()?;
        self.terms = self.terms.saturating_sub(old.what.terms());
        Some(old)
    }
}

impl State {
    /// What is known of a variable is about to be narrowed.
    ///
    /// # Errors
    /// When the trail is too long.
    pub(crate) fn narrows(&mut self, variable: u16, before: Before) -> Result<()> {
        self.trail.push(Stamp::NEVER, What::Variable(variable, before));
        self.trail_ends()
    }

    /// Is the trail not too long? Whoever writes places asks before much more is written.
    ///
    /// # Errors
    /// When it is.
    #[inline]
    pub(crate) fn trail_ends(&self) -> Result<()> {
        let Trail { old, terms, .. } = &self.trail;
        let fits = old.len() <= limits::TRAIL && *terms <= limits::SAVED;
        if fits { Ok(()) } else { Err(Error::new(Rule::Limit, Evidence::Limit)) }
    }

    /// How much is on the trail.
    #[must_use]
    pub fn trail_len(&self) -> usize {
        self.trail.old.len()
    }

    /// What it costs to look at all that is on the trail behind the mark.
    pub(crate) fn changes(&self, mark: &Mark) -> usize {
        let Trail { old, terms, .. } = &self.trail;
        old.len().saturating_sub(mark.trail).saturating_add(terms.saturating_sub(mark.terms))
    }

    /// What was narrowed behind the first `skip` of the trail, each variable with what was known of
    /// it before, and where on the trail that stands.
    pub fn narrowed(&self, skip: usize) -> impl DoubleEndedIterator<Item = (usize, u16, Before)> {
        let all = self.trail.old.iter().enumerate().skip(skip);
        all.filter_map(|(at, old)| match old.what {
            What::Variable(variable, before) => Some((at, variable, before)),
            What::Reg(..) | What::Slot(..) | What::Flags(_) => None,
        })
    }

    /// Sets a mark here; it is the newest until it is cut.
    #[must_use]
    pub fn mark(&mut self) -> Mark {
        let mark = Mark::of(self);
        self.trail.since = mark.since();
        mark
    }

    /// What a register held at the mark.
    #[must_use]
    pub fn reg_at(&self, mark: &Mark, reg: Reg) -> &Word {
        let stamp = self.trail.regs.get(reg as usize).copied().unwrap_or_default();
        self.held(mark, stamp, self.reg(reg))
    }

    /// What a slot held at the mark.
    #[must_use]
    pub fn slot_at(&self, mark: &Mark, at: i64) -> &Word {
        let slot = self.slots.get(at);
        slot.map_or(&Word::Junk, |slot| self.held(mark, slot.stamp, &slot.word))
    }

    /// The slots that held something at the mark, by increasing offset.
    pub fn slots_at(&self, mark: &Mark) -> impl Iterator<Item = (i64, &Word)> {
        let all = self.slots.all().map(|(at, slot)| (at, self.held(mark, slot.stamp, &slot.word)));
        all.filter(|(_, word)| **word != Word::Junk)
    }

    /// What a place held at the mark that has this stamp and holds this word now.
    fn held<'s>(&'s self, mark: &Mark, mut stamp: Stamp, mut now: &'s Word) -> &'s Word {
        // Each stamp is less than the last.
        while stamp >= mark.since() {
            let at = usize::try_from(stamp.0).ok().and_then(|at| at.checked_sub(1));
            let Some(old) = at.and_then(|at| self.trail.old.get(at)) else { break };
            if let What::Reg(_, word) | What::Slot(_, word) = &old.what {
                now = word;
            }
            stamp = old.before;
        }
        now
    }

    /// The register or slot that stands there on the trail, with the word that it held at the mark,
    /// if it was not kept between the mark and there, and holds something else now.
    pub(crate) fn changed(&self, at: usize, mark: &Mark) -> Option<(Place, &Word)> {
        let Old { before, what } = self.trail.old.get(at)?;
        if *before >= mark.since() {
            return None;
        }
        let (place, word, now) = match what {
            What::Reg(reg, word) => (Place::Reg(*reg), word, self.reg(*reg)),
            What::Slot(at, word) => (Place::Slot(*at), word, self.slot(*at)),
            What::Flags(_) | What::Variable(..) => return None,
        };
        (word != now).then_some((place, word))
    }

    /// Takes back what was done behind the mark, the latest first: what it speaks of may be new.
    fn undo(&mut self, mark: &Mark) {
        while self.trail.old.len() > mark.trail {
            let Some(Old { before, what }) = self.trail.pop() else { break };
            match what {
                What::Reg(reg, word) => {
                    if let (Some(place), Some(stamp)) =
                        (self.regs.get_mut(reg as usize), self.trail.regs.get_mut(reg as usize))
                    {
                        forget!(*place = word);
                        *stamp = before;
                    }
                }
                What::Slot(at, word) => {
                    if let Some((_, stamp)) = self.slots.replace(at, word) {
                        *stamp = before;
                    }
                }
                What::Flags(flags) => {
                    forget!(self.flags = flags);
                    self.trail.flags = before;
                }
                What::Variable(variable, old) => {
                    let Some(scope) = self.scope.get_mut(usize::from(variable)) else { continue };
                    match old {
                        Before::Bounds(bounds) => forget!(scope.bounds = bounds),
                        Before::Name(set) => {
                            forget!(scope.set = set);
                            forget!(scope.is = None);
                        }
                    }
                }
            }
        }
        let Mark { scope, facts, views, delta, touched, lent, caps, .. } = mark;
        forget!(self.scope.truncate(*scope));
        forget!(self.facts.truncate(*facts));
        forget!(self.views.truncate(*views));
        forget!(self.stack.delta = *delta);
        forget!(self.stack.touched = *touched);
        forget!(self.stack.lent.clone_from(lent));
        forget!(self.caps.clone_from(caps));
    }
}

/// A state to come back to.
#[derive(Clone, Debug)]
pub struct Mark {
    /// How many variables there were.
    pub scope: usize,
    /// Facts.
    pub facts: usize,
    /// Views.
    pub views: usize,
    /// How much there was on the trail.
    pub trail: usize,
    /// What the terms there had allocated, in units of [`limits::SAVED_UNIT`].
    terms: usize,
    /// Slots that held something.
    pub slots: usize,
    /// rsp minus the entry rsp.
    pub delta: i64,
    /// Lowest offset known to be touched.
    pub touched: i64,
    /// Lent parts of the frame.
    pub lent: Shared<Lent>,
    /// Everything owned.
    pub caps: Shared<Cap>,
    /// [`Trail::since`] as it was before.
    outer: Stamp,
}

impl Mark {
    /// Of the state as it is now; but it is not kept what is written from here on.
    #[must_use]
    pub fn of(state: &State) -> Mark {
        Mark {
            scope: state.scope.len(),
            facts: state.facts.len(),
            views: state.views.len(),
            trail: state.trail.old.len(),
            terms: state.trail.terms,
            slots: state.slots.count(),
            delta: state.stack.delta,
            touched: state.stack.touched,
            lent: state.stack.lent.clone(),
            caps: state.caps.clone(),
            outer: state.trail.since,
        }
    }

    /// The least stamp of what is kept since.
    fn since(&self) -> Stamp {
        Stamp(u32::try_from(self.trail).unwrap_or(u32::MAX).saturating_add(1))
    }

    /// rule[cut]: the state is what it was at the mark, which is the newest; the one before is that
    /// again.
    pub(crate) fn cut(self, state: &mut State) {
        state.undo(&self);
        state.trail.since = self.outer;
    }

    /// rule[cut]; the mark stays, and is the newest. Certificates begin anew.
    pub(crate) fn come_back(&self, state: &mut State) {
        state.undo(self);
        state.trail.since = self.since();
        forget!(state.steps = 0);
    }
}
