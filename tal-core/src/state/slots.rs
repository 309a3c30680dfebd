//! TCB (total). The slots of the frame, by offset from the entry rsp.

use super::trail::Stamp;
use crate::limits;
use crate::ty::Word;
use alloc::vec::Vec;
use core::mem;

/// A word of the frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Slot {
    pub(super) word: Word,
    pub(super) stamp: Stamp,
}

/// Slots stand where they are looked for: those below the entry rsp downwards, those at or above it
/// upwards. What lies beyond is junk.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    below: Vec<Slot>,
    above: Vec<Slot>,
    /// How many hold something.
    count: usize,
}

const WORD: i64 = 8;

/// Is it below, and which one there? Nothing that is no slot, or too far.
fn index(at: i64) -> Option<(bool, usize)> {
    let within = (-limits::FRAME..=limits::FRAME).contains(&at) && at & (WORD - 1) == 0;
    if !within {
        return None;
    }
    // Downwards, the one below the entry rsp is the first.
    let words = if at < 0 { !(at >> 3) } else { at >> 3 };
    Some((at < 0, usize::try_from(words).ok()?))
}

impl Slots {
    pub(super) fn get(&self, at: i64) -> Option<&Slot> {
        let (below, index) = index(at)?;
        if below { self.below.get(index) } else { self.above.get(index) }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn clear(&mut self) {
        self.below.clear();
        self.above.clear();
        self.count = 0;
    }

    /// Those that hold something, by increasing offset.
    pub(super) fn listed(&self) -> impl DoubleEndedIterator<Item = (i64, &Word)> {
        self.all().filter(|(_, slot)| slot.word != Word::Junk).map(|(at, slot)| (at, &slot.word))
    }

    /// All that were ever written.
    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = (i64, &Slot)> {
        let offset = |index: usize| i64::try_from(index).unwrap_or(i64::MAX).saturating_mul(WORD);
        let below = self.below.iter().enumerate().rev();
        let below = below.map(move |(i, slot)| (!offset(i) & -WORD, slot));
        below.chain(self.above.iter().enumerate().map(move |(i, slot)| (offset(i), slot)))
    }

    /// How many there is room for: what it costs to make that, to look at all and to clear it.
    pub(super) fn extent(&self) -> usize {
        self.below.len().saturating_add(self.above.len())
    }

    /// The first from `from` up to `to`, none of them above the entry rsp, that holds something.
    /// Looks at no others.
    pub(super) fn next(&self, from: i64, to: i64) -> Option<(i64, &Word)> {
        let (_, last) = index(from).filter(|(below, _)| *below && from < to)?;
        let (_, first) = index(to.saturating_sub(WORD)).filter(|(below, _)| *below)?;
        let end = self.below.len().min(last.saturating_add(1));
        let within = self.below.get(first..end)?;
        let place = within.iter().rposition(|slot| !matches!(slot.word, Word::Junk))?;
        let slot = within.get(place)?;
        let index = i64::try_from(first.saturating_add(place)).ok()?;
        Some(((!index).saturating_mul(WORD), &slot.word))
    }

    /// Writes a slot: what it held, and its stamp. Nothing where there was and is nothing.
    #[inline]
    pub(super) fn replace(&mut self, at: i64, word: Word) -> Option<(Word, &mut Stamp)> {
        let (is_below, index) = index(at)?;
        let Slots { below, above, count } = self;
        let list = if is_below { below } else { above };
        if index >= list.len() {
            if word == Word::Junk {
                return None;
            }
            let empty = || Slot { word: Word::Junk, stamp: Stamp::NEVER };
            list.resize_with(index.saturating_add(1), empty);
        }
        let slot = list.get_mut(index)?;
        let more = usize::from(word != Word::Junk);
        let old = mem::replace(&mut slot.word, word);
        let less = usize::from(old != Word::Junk);
        *count = count.saturating_add(more).saturating_sub(less);
        Some((old, &mut slot.stamp))
    }
}

impl PartialEq for Slots {
    /// What nobody wrote is as what holds junk.
    fn eq(&self, other: &Slots) -> bool {
        let known = |(_, slot): &(i64, &Slot)| slot.word != Word::Junk;
        self.all().filter(known).eq(other.all().filter(known))
    }
}

impl Eq for Slots {}
