//! TCB. The tables of an annotation section, and an interface.

use super::read::Reader;
use super::{INTERFACE_MAGIC, MAGIC, VERSION};
use crate::error::{Error, Kind as Evidence, Rule};
use crate::image::{Contents, Data, DataKind, Function, Image, Interface, Segment};
use crate::judge::Result;
use crate::limits;
use crate::ty::{FnId, NamedType};
use crate::walk::{BYTES_A_LABEL, CLAIMED};
use alloc::vec::Vec;

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
    let labels = labels(r, text)?;
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

fn labels(r: &mut Reader<'_>, text: &[u8]) -> Result<Vec<u32>> {
    let count = r.count(text.len())?;
    r.pay(count, BYTES_A_LABEL)?;
    let mut last = None;
    r.many(count, |r| {
        let offset = next_offset(r, last, text.len())?;
        last = Some(offset);
        Ok(offset)
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
