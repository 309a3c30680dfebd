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
use crate::records::{Records, emptied};
use crate::state::{Mark, State, weigh};
use crate::ty::{Declared, FnId, Record};
use alloc::{vec, vec::Vec};
use core::mem;
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
    parent: (u32, u32),
    /// The label that was found next on the same scope.
    next: Option<u32>,
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
    /// By label: the number of its record and one more; zero if it was not found yet.
    numbers: Vec<u32>,
    /// Of the running function, by number.
    found: Vec<Found>,
    records: Records,
    /// A record that is empty.
    spare: Record,
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
pub(crate) const BYTES_A_LABEL: usize = size_of::<u32>() + 24;
/// What is kept of a label that was found.
pub(crate) const BYTES_A_RECORD: usize = size_of::<Found>() + Records::BYTES;
/// And if it declares more than variables, registers and facts.
pub(crate) const BYTES_MORE: usize = Records::MORE;

impl Walk {
    pub(crate) fn new(image: &Image<'_>) -> Walk {
        let (claimed, labels) = (image.text.len().div_ceil(CLAIMED), image.labels.len());
        Walk {
            claimed: vec![0; claimed],
            numbers: vec![0; labels],
            found: Vec::new(),
            records: Records::default(),
            spare: Record::default(),
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
                    let found = number(&self.numbers, first);
                    let found = found.and_then(|number| self.found.get(index(number)?));
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
        number(&self.numbers, label).is_some()
    }

    /// The scope that is the k-th from the newest.
    pub(crate) fn nth(&self, k: u32) -> Option<(usize, &Opened)> {
        let depth = self.chain.len().checked_sub(usize::try_from(k).ok()?)?;
        Some((depth, self.chain.get(depth)?))
    }

    /// An empty record.
    pub(crate) fn record(&mut self) -> Record {
        mem::take(&mut self.spare)
    }

    /// The label hangs on the scope of this depth.
    pub(crate) fn hang(&mut self, label: u32, depth: usize, mut record: Record) -> Result<()> {
        let parent = self.chain.get_mut(depth).or_refuse(Rule::Walk)?;
        let depth = u32::try_from(depth).ok().or_refuse(Rule::Walk)?;
        self.found.push(Found { parent: (depth, parent.number), next: None });
        let place = index(label).and_then(|l| self.numbers.get_mut(l));
        *place.or_refuse(Rule::Walk)? = self.records.push(&mut record)?.saturating_add(1);
        self.spare = record;
        let first = match parent.labels {
            None => label,
            Some((first, last)) => {
                let last = number(&self.numbers, last).and_then(index);
                let last = last.and_then(|number| self.found.get_mut(number));
                last.or_refuse(Rule::Walk)?.next = Some(label);
                first
            }
        };
        parent.labels = Some((first, label));
        Ok(())
    }

    /// rule[edge-label]: what the label declares and the mark of its parent, if that is open:
    /// the same scope, by its number, not only one of the same depth.
    pub(crate) fn declared(&self, label: u32) -> Option<(&Mark, Declared<'_>)> {
        let record = number(&self.numbers, label)?;
        let (depth, number) = self.found.get(index(record)?)?.parent;
        let parent = self.chain.get(index(depth)?).filter(|open| holds!(open.number == number))?;
        Some((parent.mark(), self.records.get(record)?))
    }

    /// The records of a function that is done are not needed any more.
    pub(crate) fn forget(&mut self, labels: Range<usize>) {
        self.numbers.get_mut(labels).into_iter().flatten().for_each(|number| *number = 0);
        emptied(&mut self.found);
        self.records.clear();
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

fn index(number: u32) -> Option<usize> {
    usize::try_from(number).ok()
}

/// The number of the record of a label.
fn number(numbers: &[u32], label: u32) -> Option<u32> {
    numbers.get(index(label)?)?.checked_sub(1)
}

/// Sets the bits, none of which was set. False otherwise.
fn claim_in(word: Option<&mut u64>, bits: u64) -> bool {
    let Some(word) = word else { return false };
    let free = *word & bits == 0;
    *word |= bits;
    free
}
