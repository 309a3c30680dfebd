//! TCB (total, bounded). What a label declares, as it stands in the stream where the first way
//! leads to it.

use super::read::Reader;
use crate::judge::Result;
use crate::limits;
use crate::ty::{Cap, Lent, Record, Word};
use crate::walk::{BYTES_A_RECORD, BYTES_MORE};
use alloc::vec::Vec;

/// Bits of the head below the parent.
pub const HEAD: u32 = 3;

/// A list to which records are added grows to twice its room, and while it moves both are there.
const GROWTH: usize = 3;

/// What is there: the first three stand in the head, the others in a byte behind it.
#[allow(missing_docs, reason = "docs/spec/format.md says what each is")]
pub mod flag {
    pub const MORE: u32 = 1;
    pub const REGS: u32 = 2;
    pub const FACTS: u32 = 4;
    pub const VARS: u64 = 1;
    pub const FRAME: u64 = 2;
    pub const SLOTS: u64 = 4;
    pub const LENT: u64 = 8;
    pub const CAPS: u64 = 16;
    pub const VIEWS: u64 = 32;
    pub const REFINEMENTS: u64 = 64;
    /// Above all of them together.
    pub const END: u64 = 128;
}

/// `first`: the number of its first own variable.
pub(super) fn record(r: &mut Reader<'_>, head: u32, first: u16, record: &mut Record) -> Result<()> {
    grow::<[u8; BYTES_A_RECORD]>(r, 1)?;
    let more = if head & flag::MORE == 0 { 0 } else { r.tag(flag::END)? };
    if head & flag::MORE != 0 && more == 0 {
        return r.malformed();
    }
    if more & !flag::VARS != 0 {
        grow::<[u8; BYTES_MORE]>(r, 1)?;
    }
    let given = |flag: u64| more & flag != 0;
    r.count_from(Some(first));
    if given(flag::VARS) {
        let count = r.count(limits::LABEL_VARS)?;
        listed(r, &mut record.vars, count, Reader::kind)?;
    }
    if head & flag::REGS != 0 {
        let (count, mut regs) = r.registers()?;
        listed(r, &mut record.regs, count, |r| r.register(&mut regs))?;
    }
    if given(flag::FRAME) {
        record.frame = Some(frame(r)?);
    }
    if given(flag::SLOTS) {
        slots(r, &mut record.slots)?;
    }
    if given(flag::LENT) {
        let count = r.count(limits::LABEL_SLOTS)?;
        grow::<Lent>(r, count)?;
        record.lent = Some(r.many(count, Reader::lent)?);
    }
    if given(flag::CAPS) {
        let caps = r.caps()?;
        grow::<Cap>(r, caps.len())?;
        record.caps = Some(caps);
    }
    if given(flag::VIEWS) {
        let count = r.count(limits::VIEWS)?;
        listed(r, &mut record.views, count, Reader::view)?;
    }
    if given(flag::REFINEMENTS) {
        let count = r.count(limits::LABEL_VARS)?;
        listed(r, &mut record.refinements, count, |r| Ok((r.var()?, r.name_set()?)))?;
    }
    if head & flag::FACTS != 0 {
        let count = r.count(limits::FACTS)?;
        listed(r, &mut record.facts, count, Reader::fact)?;
    }
    r.count_from(None);
    Ok(())
}

/// Pays for what a list of the function takes more with so many elements more.
fn grow<T>(r: &mut Reader<'_>, count: usize) -> Result<()> {
    r.pay_bytes(count.saturating_mul(size_of::<T>()).saturating_mul(GROWTH))
}

/// What is flagged is not empty, so that there is one form.
fn listed<'a, T>(
    r: &mut Reader<'a>,
    list: &mut Vec<T>,
    count: usize,
    mut one: impl FnMut(&mut Reader<'a>) -> Result<T>,
) -> Result<()> {
    if count == 0 {
        return r.malformed();
    }
    grow::<T>(r, count)?;
    for _ in 0..count {
        list.push(one(r)?);
    }
    Ok(())
}

/// `-delta/8`, touched.
fn frame(r: &mut Reader<'_>) -> Result<(i64, i64)> {
    let depth = r.u16()?;
    Ok((i64::from(depth).saturating_mul(-8), r.i64()?))
}

/// Slots in increasing order, each with the number of words skipped before it; of the first, from
/// the lowest that a frame may have.
fn slots(r: &mut Reader<'_>, list: &mut Vec<(i64, Word)>) -> Result<()> {
    let count = r.count(limits::LABEL_SLOTS)?;
    let mut next = None;
    listed(r, list, count, |r| {
        let at = match next {
            None => r.i64()?.saturating_mul(8),
            Some(next) => i64::from(r.u16()?).saturating_mul(8).saturating_add(next),
        };
        next = Some(at.saturating_add(8));
        Ok((at, r.word()?))
    })
}
