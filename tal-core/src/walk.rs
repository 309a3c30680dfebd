//! TCB. How far the walk over the text has come: the scopes that are open, and what is claimed.
//!
//! The invariant: *of every open scope, the variables, facts and views that were there when it was
//! opened are what they were then, but that more may be known of variables, with what was known
//! before on the trail.* What changes in any other way (registers, flags, frame, capabilities) is
//! saved with it, and what is saved stays as it is until the scope is closed.

use crate::decode::Cc;
use crate::error::{Error, Kind as Evidence, OrRefuse, Rule};
use crate::image::Image;
use crate::judge::Result;
use crate::limits;
use crate::state::{Kept, Saved, State};
use crate::ty::{FnId, Record};
use alloc::collections::VecDeque;
use alloc::{boxed::Box, vec, vec::Vec};
use core::ops::Range;

/// rule[scope]: an open scope: a state to come back to, and what begins in it.
#[derive(Debug)]
pub struct Opened {
    /// No other scope of this judging has it, so that a label knows its parent.
    number: u32,
    /// Offset of the instruction at which it was opened.
    pub from: u32,
    kept: Kept,
    /// The taken way of the condition at `from`: where it leads to, and when.
    waiting: Option<(u32, Cc)>,
    /// Labels that hang on it and are yet to be walked, the first that was found first.
    labels: VecDeque<u32>,
}

impl Opened {
    /// The state in which it was opened.
    #[must_use]
    pub fn saved(&self) -> &Saved {
        &self.kept.saved
    }
}

/// A label that was found.
struct Found {
    /// Place and number of its parent.
    parent: (usize, u32),
    record: Record,
}

/// What is to be done next.
pub(crate) enum Next {
    /// The taken way of the condition at `from`.
    Block { from: u32, to: u32, cc: Cc },
    /// A label, by index.
    Label(u32),
}

/// How far the judge has come. Reading pays for the parts that grow with text and labels
/// ([`BYTES_A_LABEL`]).
pub(crate) struct Walk {
    /// A bit for each byte of the text: an instruction that was judged has it.
    claimed: Vec<u64>,
    /// By label.
    found: Vec<Option<Box<Found>>>,
    /// The newest last; behind those that are open perhaps one that is closed, whose room is for
    /// the next.
    chain: Vec<Opened>,
    /// How many are open.
    depth: usize,
    /// How many scopes were opened.
    opened: u32,
    pub(crate) function: FnId,
    /// Its text.
    pub(crate) range: Range<u32>,
}

/// Bytes of text to a word of what is claimed.
pub(crate) const CLAIMED: usize = 64;
/// What is kept of a label beside its record: where that is, its place among those that are yet to
/// be walked, which has up to three times the room while it grows, and its place in the set of a
/// jump table.
pub(crate) const BYTES_A_LABEL: usize = size_of::<usize>() + 3 * size_of::<u32>() + 24;
/// What is kept of a label that was found.
pub(crate) const BYTES_A_RECORD: usize = size_of::<Found>();

impl Walk {
    pub(crate) fn new(image: &Image<'_>) -> Walk {
        let (claimed, labels) = (image.text.len().div_ceil(CLAIMED), image.labels.len());
        let mut found = Vec::with_capacity(labels);
        found.resize_with(labels, || None);
        Walk {
            claimed: vec![0; claimed],
            found,
            chain: Vec::new(),
            depth: 0,
            opened: 0,
            function: FnId(0),
            range: 0..0,
        }
    }

    pub(crate) fn enter(&mut self, range: Range<u32>, function: FnId) {
        self.function = function;
        self.range = range;
    }

    /// The scopes that are open, the root first.
    pub(crate) fn chain(&self) -> &[Opened] {
        self.chain.get(..self.depth).unwrap_or_default()
    }

    /// rule[scope]: opens a scope in this state. Says what its copies weigh.
    pub(crate) fn open(
        &mut self,
        state: &State,
        from: u32,
        waiting: Option<(u32, Cc)>,
    ) -> Result<usize> {
        let limit = || Error::new(Rule::Limit, Evidence::Limit);
        premise!(self.depth < limits::SCOPES, limit());
        let number = self.opened;
        self.opened = number.checked_add(1).ok_or_else(limit)?;
        let (below, room) = self.chain.split_at_mut_checked(self.depth).or_refuse(Rule::Walk)?;
        let below = below.last().map(|below| &below.kept);
        let weight = match room.first_mut() {
            Some(room) => {
                // It is closed, so no label hangs on it.
                (room.number, room.from, room.waiting) = (number, from, waiting);
                room.kept.keep(state, below)?
            }
            None => {
                let kept = Kept::of(state, below)?;
                let weight = kept.own();
                self.chain.push(Opened { number, from, kept, waiting, labels: VecDeque::new() });
                weight
            }
        };
        self.depth = self.depth.saturating_add(1);
        Ok(weight)
    }

    /// rule[walk]: what is left of the newest scope: first the way that waits, then its labels. The
    /// state is as it was when the scope was opened. A scope of which nothing is left is closed.
    pub(crate) fn next(&mut self, state: &mut State) -> Option<Next> {
        loop {
            let newest = self.depth.checked_sub(1)?;
            let top = self.chain.get_mut(newest)?;
            let next = match top.waiting.take() {
                Some((to, cc)) => Some(Next::Block { from: top.from, to, cc }),
                None => top.labels.pop_front().map(Next::Label),
            };
            if next.is_some() {
                top.kept.come_back(state);
                return next;
            }
            self.depth = newest;
            // The room of one is kept, no more.
            self.chain.truncate(newest.saturating_add(1));
        }
    }

    /// Is a way to the label known?
    pub(crate) fn is_found(&self, label: u32) -> bool {
        let found = usize::try_from(label).ok().and_then(|l| self.found.get(l));
        found.is_some_and(Option::is_some)
    }

    /// The scope that is the k-th from the newest.
    pub(crate) fn nth(&self, k: u32) -> Option<(usize, &Opened)> {
        let depth = self.depth.checked_sub(usize::try_from(k).ok()?)?;
        Some((depth, self.chain().get(depth)?))
    }

    /// The label hangs on the scope of this depth.
    pub(crate) fn hang(&mut self, label: u32, depth: usize, record: Record) -> Result<()> {
        let open = self.chain.get_mut(..self.depth).or_refuse(Rule::Walk)?;
        let parent = open.get_mut(depth).or_refuse(Rule::Walk)?;
        let place = usize::try_from(label).ok().and_then(|l| self.found.get_mut(l));
        let place = place.or_refuse(Rule::Walk)?;
        parent.labels.push_back(label);
        *place = Some(Box::new(Found { parent: (depth, parent.number), record }));
        Ok(())
    }

    /// rule[edge-label]: what the label declares and what its parent has saved, if that is open:
    /// the same scope, by its number, not only one of the same depth.
    pub(crate) fn declared(&self, label: u32) -> Option<(&Saved, &Record)> {
        let found = usize::try_from(label).ok().and_then(|l| self.found.get(l))?.as_ref()?;
        let (depth, number) = found.parent;
        let parent = self.chain().get(depth).filter(|open| holds!(open.number == number))?;
        Some((parent.saved(), &found.record))
    }

    /// The records of labels that are done are not needed any more.
    pub(crate) fn forget(&mut self, labels: Range<usize>) {
        for found in self.found.get_mut(labels).into_iter().flatten() {
            *found = None;
        }
    }

    /// rule[claim]: an instruction stands at these bytes. False if one of them was claimed before.
    pub(crate) fn claim(&mut self, from: u32, to: u32) -> bool {
        let length = to.saturating_sub(from).min(63);
        let bits = 1_u64.checked_shl(length).unwrap_or(0).wrapping_sub(1);
        let shift = from & 63;
        let low = bits.checked_shl(shift).unwrap_or(0);
        // What runs over into the next 64.
        let high = bits.checked_shr(64_u32.saturating_sub(shift)).unwrap_or(0);
        let Ok(at) = usize::try_from(from >> 6) else { return false };
        let free = claim_in(self.claimed.get_mut(at), low);
        let next = if high == 0 {
            true
        } else {
            claim_in(self.claimed.get_mut(at.saturating_add(1)), high)
        };
        free && next
    }

    /// The first byte that no instruction claimed and that is no padding: `int3` and the one-byte
    /// `nop`, never reached.
    pub(crate) fn lost(&self, text: &[u8]) -> Option<u32> {
        let words = self.claimed.iter().zip(text.chunks(CLAIMED)).zip(0_u32..);
        for ((claimed, bytes), word) in words.filter(|((claimed, _), _)| **claimed != u64::MAX) {
            for (bit, byte) in (0_u32..).zip(bytes) {
                let judged = claimed.checked_shr(bit).is_some_and(|claimed| claimed & 1 == 1);
                if !judged && !matches!(byte, 0xCC | 0x90) {
                    return Some(word.saturating_mul(64).saturating_add(bit));
                }
            }
        }
        None
    }
}

/// Sets the bits, none of which was set. False otherwise.
fn claim_in(word: Option<&mut u64>, bits: u64) -> bool {
    let Some(word) = word else { return false };
    let free = *word & bits == 0;
    *word |= bits;
    free
}
