//! TCB. The tables of an annotation section, and an interface.

use super::read::Reader;
use super::{INTERFACE_MAGIC, MAGIC, VERSION};
use crate::counted::Rc;
use crate::driver::{BYTES_A_LABEL, CLAIMED};
use crate::error::{Error, Kind as Evidence, Rule};
use crate::image::{Contents, Data, DataKind, Function, Image, Interface, Label, Segment};
use crate::judge::Result;
use crate::limits;
use crate::ty::{Cap, FnId, Guard, LabelState, NamedType, Reg, Sig, Word};
use alloc::{boxed::Box, vec::Vec};

/// Flags of a label state: what is there, or is as at the function's entry.
#[allow(missing_docs, reason = "docs/spec/format.md says what each is")]
pub mod flag {
    pub const ENTRY_CAPS: u8 = 1;
    pub const ENTRY_SLOTS: u8 = 2;
    pub const LENT: u8 = 4;
    pub const REFINEMENTS: u8 = 8;
    pub const VIEWS: u8 = 16;
    pub const FACTS: u8 = 32;
    pub const VARS: u8 = 64;
    pub const FRAME: u8 = 128;
}

/// The header: magic, version, no features, the digest of the interface. Then the tables.
pub(crate) fn image<'a>(
    r: &mut Reader<'a>,
    text: &'a [u8],
    text_address: u32,
    segments: &[Segment<'a>],
    interface: &Interface,
) -> Result<Image<'a>> {
    let bound = text.len().saturating_mul(limits::SECTION_FACTOR);
    if r.remaining() > bound.saturating_add(limits::SECTION_SLACK) {
        return Err(Error::new(Rule::Limit, Evidence::Limit));
    }
    r.pay(text.len().div_ceil(CLAIMED), size_of::<u64>())?;
    premise!(header(r, MAGIC));
    r.tag(1)?;
    premise!(r.take(32)? == interface.hash, r.fault());
    let types = types(r)?;
    let count = r.count(text.len())?;
    let sigs = r.many(count, Reader::sig)?;
    let functions = functions(r, text, sigs.len())?;
    let count = r.count(text.len())?;
    let labels = labels(r, count, text, &functions, &sigs)?;
    let data = data(r, segments)?;
    let imports = imports(r)?;
    let start = match r.u32()? {
        0 => None,
        f => Some(FnId(f.saturating_sub(1))),
    };
    Ok(Image { text, text_address, types, sigs, functions, labels, data, imports, start })
}

/// The interface of the host: types, origins, imports, the signature of the start.
pub(crate) fn interface(r: &mut Reader<'_>, hash: [u8; 32]) -> Result<Interface> {
    premise!(header(r, INTERFACE_MAGIC));
    let types = types(r)?;
    let origins = r.u16()?;
    let count = r.count(usize::from(u16::MAX))?;
    let imports = r.many(count, Reader::sig)?;
    let start = r.sig()?;
    premise!(r.end());
    Ok(Interface { types, origins, imports, start, hash })
}

fn header(r: &mut Reader<'_>, magic: [u8; 4]) -> Result<()> {
    premise!(r.take(4)? == magic, r.fault());
    let version = r.byte()?;
    premise!(version == VERSION, Error::new(Rule::Wire, Evidence::Version(version)));
    Ok(())
}

fn types(r: &mut Reader<'_>) -> Result<Vec<NamedType>> {
    let count = r.count(limits::TYPES)?;
    r.many(count, |r| {
        let (arity, size, bits) = (r.u16()?, r.u32()?, r.tag(8)?);
        let body = r.mem()?;
        Ok(NamedType {
            arity,
            size,
            zero_ok: bits & 1 != 0,
            plain: bits & 2 != 0,
            owns: bits & 4 != 0,
            body,
        })
    })
}

/// The next offset: gaps make the table strictly increasing by its form.
fn next_offset(r: &mut Reader<'_>, last: Option<u32>, end: usize) -> Result<u32> {
    let gap = r.u32()?;
    let offset = match last {
        None => Some(gap),
        Some(last) => gap.checked_add(1).and_then(|gap| last.checked_add(gap)),
    };
    match offset {
        Some(offset) if usize::try_from(offset).is_ok_and(|o| o < end) => Ok(offset),
        _ => r.malformed(),
    }
}

fn functions(r: &mut Reader<'_>, text: &[u8], sigs: usize) -> Result<Vec<Function>> {
    let count = r.count(text.len())?;
    let mut last = None;
    r.many(count, |r| {
        let offset = next_offset(r, last, text.len())?;
        last = Some(offset);
        let sig = r.u32()?;
        if usize::try_from(sig).is_ok_and(|s| s < sigs) {
            Ok(Function { offset, sig })
        } else {
            r.malformed()
        }
    })
}

fn labels(
    r: &mut Reader<'_>,
    count: usize,
    text: &[u8],
    functions: &[Function],
    sigs: &[Rc<Sig>],
) -> Result<Vec<Label>> {
    r.pay(count, BYTES_A_LABEL)?;
    let mut last = None;
    // Of the last label's signature: mostly that of the next one too.
    let mut entry: Option<AtEntry<'_>> = None;
    r.many(count, |r| {
        let offset = next_offset(r, last, text.len())?;
        last = Some(offset);
        let Some(sig) = owner(functions, sigs, offset) else { return r.malformed() };
        if entry.as_ref().is_none_or(|entry| !core::ptr::eq(entry.sig, sig)) {
            r.pay(sig.pre.args.len().saturating_add(1), size_of::<(i64, Word)>())?;
            entry = Some(AtEntry::of(sig));
        }
        match &entry {
            Some(entry) => Ok(Label { offset, state: label_state(r, entry)? }),
            None => r.malformed(),
        }
    })
}

/// The signature of the last function that starts at or before the offset.
pub fn owner<'s>(functions: &[Function], sigs: &'s [Rc<Sig>], offset: u32) -> Option<&'s Sig> {
    let after = functions.partition_point(|f| f.offset <= offset);
    let function = functions.get(after.checked_sub(1)?)?;
    sigs.get(usize::try_from(function.sig).ok()?).map(Rc::as_ref)
}

/// Registers and slots at or above 0 as at the entry: what a label state says only if it differs.
pub fn usual(sig: &Sig) -> ([Word; 16], Vec<(i64, Word)>) {
    let returning = sig.post.is_some();
    let mut regs = sig.pre.regs.clone();
    for (reg, word) in Reg::ALL.into_iter().zip(regs.iter_mut()) {
        if reg == Reg::Rsp {
            *word = Word::Junk;
        } else if returning && reg.callee_saved() {
            *word = Word::Saved(reg);
        }
    }
    let mut slots = Vec::with_capacity(sig.pre.args.len().saturating_add(1));
    if returning {
        slots.push((0, Word::ReturnAddress));
    }
    slots.extend(sig.pre.args.iter().map(|(at, word)| (i64::from(*at), word.clone())));
    (regs, slots)
}

/// A signature with what is usual at labels of its functions.
struct AtEntry<'s> {
    sig: &'s Sig,
    regs: [Word; 16],
    slots: Slots,
}

impl<'s> AtEntry<'s> {
    fn of(sig: &'s Sig) -> Self {
        let (regs, slots) = usual(sig);
        AtEntry { sig, regs, slots }
    }
}

fn label_state(r: &mut Reader<'_>, entry: &AtEntry<'_>) -> Result<Box<LabelState>> {
    let flags = r.byte()?;
    let given = |flag: u8| flags & flag != 0;
    let AtEntry { sig, regs: usual_regs, slots: usual_slots } = entry;
    let vars = listed(r, given(flag::VARS), |r| r.kinds(limits::LABEL_VARS))?;
    let refinements = listed(r, given(flag::REFINEMENTS), |r| {
        let count = r.count(limits::LABEL_VARS)?;
        r.many(count, |r| Ok((r.var()?, r.name_set()?)))
    })?;
    let facts = listed(r, given(flag::FACTS), Reader::facts)?;
    let regs = r.regs(usual_regs)?;
    r.pay(1, size_of::<LabelState>())?;
    let (delta, touched, mut slots) = match given(flag::FRAME) {
        false => (0, 0, Vec::new()),
        true => frame(r)?,
    };
    if regs.get(Reg::Rsp as usize) != Some(&Word::Junk) {
        return r.malformed();
    }
    if given(flag::ENTRY_SLOTS) {
        r.pay(slots.len().saturating_add(usual_slots.len()), size_of::<(i64, Word)>())?;
        slots.reserve_exact(usual_slots.len());
        slots.extend_from_slice(usual_slots);
    } else {
        let upper = slots_from(r, 0)?;
        if upper == *usual_slots {
            return r.malformed();
        }
        r.pay(slots.len().saturating_add(upper.len()), size_of::<(i64, Word)>())?;
        slots.extend(upper);
    }
    let lent = listed(r, given(flag::LENT), |r| {
        let count = r.count(limits::LABEL_SLOTS)?;
        r.many(count, Reader::lent)
    })?;
    let views = listed(r, given(flag::VIEWS), Reader::views)?;
    let caps = if given(flag::ENTRY_CAPS) { entry_caps(r, sig)? } else { r.caps()? };
    if !given(flag::ENTRY_CAPS) && caps == sig.pre.caps {
        return r.malformed();
    }
    let regs = *regs;
    let state =
        LabelState { vars, refinements, facts, regs, delta, touched, slots, lent, views, caps };
    Ok(Box::new(state))
}

/// The capabilities as at the entry.
fn entry_caps(r: &mut Reader<'_>, sig: &Sig) -> Result<Vec<Cap>> {
    r.pay(sig.pre.caps.len(), size_of::<Cap>())?;
    for cap in &sig.pre.caps {
        if let Cap::Entry(entry) | Cap::Token(_, entry) = cap {
            r.pay(entry.guards.len(), size_of::<Guard>())?;
        }
    }
    Ok(sig.pre.caps.clone())
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

/// Stack slots by offset.
type Slots = Vec<(i64, Word)>;

/// `-delta/8`, touched, and the slots below 0.
fn frame(r: &mut Reader<'_>) -> Result<(i64, i64, Slots)> {
    let depth = r.u16()?;
    let delta = i64::from(depth).saturating_mul(-8);
    let touched = r.i64()?;
    let slots = slots_from(r, delta)?;
    let below = slots.last().is_none_or(|(at, _)| *at < 0);
    if !below || (delta == 0 && touched == 0) {
        return r.malformed();
    }
    Ok((delta, touched, slots))
}

/// Slots in increasing order, each with the number of words skipped before it.
fn slots_from(r: &mut Reader<'_>, first: i64) -> Result<Vec<(i64, Word)>> {
    let count = r.count(limits::SLOTS)?;
    let mut next = first;
    r.many(count, |r| {
        let skip = i64::from(r.u16()?);
        let at = next.saturating_add(skip.saturating_mul(8));
        next = at.saturating_add(8);
        let word = r.word()?;
        if word == Word::Junk { r.malformed() } else { Ok((at, word)) }
    })
}

/// Data objects, each inside one segment, wholly in the file or wholly zero.
fn data<'a>(r: &mut Reader<'a>, segments: &[Segment<'a>]) -> Result<Vec<Data<'a>>> {
    let count = r.count(usize::from(u16::MAX))?;
    let mut end = 0_u32;
    r.many(count, |r| {
        let (gap, size) = (r.u32()?, r.u32()?);
        let Some(address) = end.checked_add(gap) else { return r.malformed() };
        let Some(after) = address.checked_add(size) else { return r.malformed() };
        end = after;
        let kind = match r.tag(4)? {
            3 => DataKind::Table { function: FnId(r.u32()?) },
            mode => DataKind::Object { mode: r.mode_of(mode), mem: r.mem()? },
        };
        let found = segments.iter().find_map(|s| Some((s.writable, contents(s, address, size)?)));
        match found {
            Some((writable, contents)) => Ok(Data { address, size, kind, contents, writable }),
            None => r.malformed(),
        }
    })
}

/// The part of a segment.
fn contents<'a>(segment: &Segment<'a>, address: u32, size: u32) -> Option<Contents<'a>> {
    let from = address.checked_sub(segment.address)?;
    let to = from.checked_add(size).filter(|to| holds!(*to <= segment.size))?;
    let (from, to) = (usize::try_from(from).ok()?, usize::try_from(to).ok()?);
    if from >= segment.bytes.len() {
        return Some(Contents::Zero);
    }
    segment.bytes.get(from..to).map(Contents::Bytes)
}

/// Numbers of imports, strictly increasing by form.
fn imports(r: &mut Reader<'_>) -> Result<Vec<u16>> {
    let count = r.count(limits::IMPORTS)?;
    let mut next = Some(0_u16);
    r.many(count, |r| {
        let gap = r.u16()?;
        match next.and_then(|n| n.checked_add(gap)) {
            Some(import) => {
                next = import.checked_add(1);
                Ok(import)
            }
            None => r.malformed(),
        }
    })
}
