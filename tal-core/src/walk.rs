//! TCB. How far the walk over the text has come: the scopes that are open, and what is claimed.
//!
//! The invariant: *of every open scope, the variables, facts and views that were there when it was
//! opened are what they were then, but that more may be known of variables; and of these, of the
//! registers, of the slots and of the flags, what was known then is on the trail behind its mark,
//! or is known still.* Frame and capabilities stand in the mark.

use crate::decode::Cc;
use crate::error::{Error, Kind as Evidence, OrRefuse, Rule};
use crate::image::Image;
use crate::judge::Result;
use crate::limits;
use crate::state::{Mark, State, weigh};
use crate::ty::{FnId, Record};
use alloc::{boxed::Box, vec, vec::Vec};
use core::ops::Range;

/// rule[scope]: an open scope: a state to come back to, and what begins in it.
#[derive(Debug)]
pub struct Opened {
    /// No other scope of this judging has it, so that a label knows its parent.
    number: u32,
    /// Offset of the instruction at which it was opened.
    pub from: u32,
    mark: Mark,
    /// What the capabilities of all open scopes weigh with those of this one.
    weight: usize,
    /// The taken way of the condition at `from`: where it leads to, and when.
    waiting: Option<(u32, Cc)>,
    /// The first and the last of the labels that hang on it and are yet to be walked, in the order
    /// in which they were found.
    labels: Option<(u32, u32)>,
}

impl Opened {
    /// The state in which it was opened.
    #[must_use]
    pub fn mark(&self) -> &Mark {
        &self.mark
    }
}

/// A label that was found.
struct Found {
    /// Place and number of its parent.
    parent: (usize, u32),
    /// The label that was found next on the same scope.
    next: Option<u32>,
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
    /// The scopes that are open, the root first.
    chain: Vec<Opened>,
    /// How many scopes were opened.
    opened: u32,
    pub(crate) function: FnId,
    /// Its text.
    pub(crate) range: Range<u32>,
}

/// Bytes of text to a word of what is claimed.
pub(crate) const CLAIMED: usize = 64;
/// What is kept of a label beside its record: where that is, and its place in the set of a jump
/// table.
pub(crate) const BYTES_A_LABEL: usize = size_of::<usize>() + 24;
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
        &self.chain
    }

    /// rule[scope]: opens a scope in this state. Says what its own capabilities weigh.
    pub(crate) fn open(
        &mut self,
        state: &mut State,
        from: u32,
        waiting: Option<(u32, Cc)>,
    ) -> Result<usize> {
        let limit = || Error::new(Rule::Limit, Evidence::Limit);
        premise!(self.chain.len() < limits::SCOPES, limit());
        let number = self.opened;
        self.opened = number.checked_add(1).ok_or_else(limit)?;
        let below = self.chain.last();
        let already = below.map_or(0, |below| below.weight);
        let weight = weigh(&state.caps, below.map(|below| (&below.mark.caps, below.weight)))?;
        let mark = state.mark();
        self.chain.push(Opened { number, from, mark, weight, waiting, labels: None });
        Ok(weight.saturating_sub(already))
    }

    /// rule[walk]: what is left of the newest scope: first the way that waits, then its labels. The
    /// state is as it was when the scope was opened. A scope of which nothing is left is closed.
    pub(crate) fn next(&mut self, state: &mut State) -> Option<Next> {
        loop {
            let top = self.chain.last_mut()?;
            let next = match (top.waiting.take(), top.labels) {
                (Some((to, cc)), _) => Next::Block { from: top.from, to, cc },
                (None, Some((first, last))) => {
                    let index = usize::try_from(first).ok();
                    let found = index.and_then(|l| self.found.get(l)?.as_ref());
                    let after = found.and_then(|found| found.next);
                    top.labels = after.map(|after| (after, last));
                    Next::Label(first)
                }
                (None, None) => {
                    self.chain.pop();
                    continue;
                }
            };
            top.mark.come_back(state);
            return Some(next);
        }
    }

    /// Is a way to the label known?
    pub(crate) fn is_found(&self, label: u32) -> bool {
        let found = usize::try_from(label).ok().and_then(|l| self.found.get(l));
        found.is_some_and(Option::is_some)
    }

    /// The scope that is the k-th from the newest.
    pub(crate) fn nth(&self, k: u32) -> Option<(usize, &Opened)> {
        let depth = self.chain.len().checked_sub(usize::try_from(k).ok()?)?;
        Some((depth, self.chain.get(depth)?))
    }

    /// The label hangs on the scope of this depth.
    pub(crate) fn hang(&mut self, label: u32, depth: usize, record: Record) -> Result<()> {
        let parent = self.chain.get_mut(depth).or_refuse(Rule::Walk)?;
        let index = |label: u32| usize::try_from(label).ok();
        let found = Found { parent: (depth, parent.number), next: None, record };
        let place = index(label).and_then(|l| self.found.get_mut(l));
        *place.or_refuse(Rule::Walk)? = Some(Box::new(found));
        let Some((first, last)) = parent.labels else {
            parent.labels = Some((label, label));
            return Ok(());
        };
        let last = index(last).and_then(|l| self.found.get_mut(l)?.as_mut());
        last.or_refuse(Rule::Walk)?.next = Some(label);
        parent.labels = Some((first, label));
        Ok(())
    }

    /// rule[edge-label]: what the label declares and the mark of its parent, if that is open:
    /// the same scope, by its number, not only one of the same depth.
    pub(crate) fn declared(&self, label: u32) -> Option<(&Mark, &Record)> {
        let found = usize::try_from(label).ok().and_then(|l| self.found.get(l))?.as_ref()?;
        let (depth, number) = found.parent;
        let parent = self.chain.get(depth).filter(|open| holds!(open.number == number))?;
        Some((parent.mark(), &found.record))
    }

    /// The records of labels that are done are not needed any more.
    pub(crate) fn forget(&mut self, labels: Range<usize>) {
        for found in self.found.get_mut(labels).into_iter().flatten() {
            *found = None;
        }
    }

    /// rule[claim]: an instruction stands at so many bytes, at most 15. False if one of them was
    /// claimed before.
    #[inline]
    pub(crate) fn claim(&mut self, from: u32, length: u8) -> bool {
        let ones = 1_u64.wrapping_shl(length.into()).wrapping_sub(1);
        // What runs over into the next 64 is the upper half.
        let bits = u128::from(ones).wrapping_shl(from & 63);
        let (low, high) = (bits as u64, (bits >> 64) as u64);
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
