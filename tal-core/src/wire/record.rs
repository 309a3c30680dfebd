//! TCB (total, bounded). What a label declares, as it stands in the stream where the first way
//! leads to it.

use super::read::Reader;
use crate::judge::Result;
use crate::limits;
use crate::ty::{Record, Word};
use crate::walk::BYTES_A_RECORD;
use alloc::vec::Vec;

/// Bits of the head below the parent.
pub const HEAD: u32 = 3;

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
pub(super) fn record(r: &mut Reader<'_>, head: u32, first: u16) -> Result<Record> {
    r.pay(1, BYTES_A_RECORD)?;
    let more = if head & flag::MORE == 0 { 0 } else { r.tag(flag::END)? };
    if head & flag::MORE != 0 && more == 0 {
        return r.malformed();
    }
    let given = |flag: u64| more & flag != 0;
    r.count_from(Some(first));
    let record = Record {
        vars: listed(r, given(flag::VARS), |r| r.kinds(limits::LABEL_VARS))?,
        regs: listed(r, head & flag::REGS != 0, Reader::registers)?,
        frame: if given(flag::FRAME) { Some(frame(r)?) } else { None },
        slots: listed(r, given(flag::SLOTS), slots)?,
        lent: match given(flag::LENT) {
            false => None,
            true => {
                let count = r.count(limits::LABEL_SLOTS)?;
                Some(r.many(count, Reader::lent)?)
            }
        },
        caps: if given(flag::CAPS) { Some(r.caps()?) } else { None },
        views: listed(r, given(flag::VIEWS), Reader::views)?,
        refinements: listed(r, given(flag::REFINEMENTS), |r| {
            let count = r.count(limits::LABEL_VARS)?;
            r.many(count, |r| Ok((r.var()?, r.name_set()?)))
        })?,
        facts: listed(r, head & flag::FACTS != 0, Reader::facts)?,
    };
    r.count_from(None);
    Ok(record)
}

/// What is flagged is not empty, so that there is one form.
fn listed<'a, T>(
    r: &mut Reader<'a>,
    given: bool,
    read: impl FnOnce(&mut Reader<'a>) -> Result<Vec<T>>,
) -> Result<Vec<T>> {
    if !given {
        return Ok(Vec::new());
    }
    let list = read(r)?;
    if list.is_empty() { r.malformed() } else { Ok(list) }
}

/// `-delta/8`, touched.
fn frame(r: &mut Reader<'_>) -> Result<(i64, i64)> {
    let depth = r.u16()?;
    Ok((i64::from(depth).saturating_mul(-8), r.i64()?))
}

/// Slots in increasing order, each with the number of words skipped before it; of the first, from
/// the lowest that a frame may have.
fn slots(r: &mut Reader<'_>) -> Result<Vec<(i64, Word)>> {
    let count = r.count(limits::LABEL_SLOTS)?;
    let mut next = None;
    r.many(count, |r| {
        let at = match next {
            None => r.i64()?.saturating_mul(8),
            Some(next) => i64::from(r.u16()?).saturating_mul(8).saturating_add(next),
        };
        next = Some(at.saturating_add(8));
        Ok((at, r.word()?))
    })
}
