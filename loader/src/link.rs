//! Not trusted: a bug here can reject, never admit. Links one relocatable object of `tal-asm` at
//! the fixed addresses, into the bytes of an executable of the admitted form: these are then read
//! and judged like any other file.

use crate::image::{IMAGE_LOW, PAGE, PT_TAL};
use crate::notice;
use core::fmt;
use object::read::elf::{ElfFile64, FileHeader as _};
use object::{LittleEndian, Object, ObjectSection, ObjectSymbol, RelocationTarget, elf};
use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};
use tal_core::limits;

/// Why an object cannot be linked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CannotLink(String);

impl fmt::Display for CannotLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for CannotLink {}

impl From<object::read::Error> for CannotLink {
    fn from(error: object::read::Error) -> Self {
        CannotLink(error.to_string())
    }
}

type Result<T> = core::result::Result<T, CannotLink>;

/// Is this a relocatable object rather than an executable?
#[must_use]
pub fn is_object(file: &[u8]) -> bool {
    let header = elf::FileHeader64::<LittleEndian>::parse(file);
    header.is_ok_and(|h| h.e_type(LittleEndian) == elf::ET_REL)
}

/// A loaded section with the address that it gets.
pub(crate) struct Placed {
    pub(crate) name: &'static str,
    pub(crate) address: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) in_memory: u64,
}

/// The executable, as bytes.
///
/// # Errors
/// When it is no object, or one that `tal-asm` does not write.
pub fn link(file: &[u8]) -> Result<Vec<u8>> {
    let parts = parts(file)?;
    if !parts.starts {
        let library = "the object has no `start`: a linker makes it part of another program";
        return Err(CannotLink(library.into()));
    }
    Ok(executable(&parts.placed, &parts.annotations))
}

/// The same of a library, that is, of an object that has no start: the bytes as they will be linked
/// into another program. They can be judged; nothing in them is where a program starts.
///
/// # Errors
/// As [`link`].
pub fn link_library(file: &[u8]) -> Result<Vec<u8>> {
    let parts = parts(file)?;
    Ok(executable(&parts.placed, &parts.annotations))
}

/// What is taken out of an object.
struct Parts {
    /// The loaded sections in their places.
    placed: Vec<Placed>,
    /// Does it define where a program starts?
    starts: bool,
    annotations: Vec<u8>,
}

/// Places and relocates.
fn parts(file: &[u8]) -> Result<Parts> {
    let object = ElfFile64::<LittleEndian>::parse(file)?;
    let mut placed = place(&object)?;
    let sections: BTreeMap<usize, u64> = (placed.iter())
        .filter_map(|p| Some((object.section_by_name(p.name)?.index().0, p.address)))
        .collect();
    let symbols = addresses(&object, &sections)?;
    for part in &mut placed {
        relocate(&object, part, &symbols)?;
    }
    let starts = object.symbols().any(|s| s.name() == Ok("start") && s.is_definition());
    let annotations = object.section_by_name(".tal");
    let annotations = annotations.ok_or_else(|| CannotLink("there is no `.tal`".into()))?;
    Ok(Parts { placed, starts, annotations: annotations.data()?.to_vec() })
}

/// The same places as in an executable of `tal-asm`.
fn place(object: &ElfFile64<'_, LittleEndian>) -> Result<Vec<Placed>> {
    let mut placed: Vec<Placed> = Vec::new();
    let mut end = IMAGE_LOW;
    for name in [".text", ".rodata", ".data", ".bss"] {
        let Some(section) = object.section_by_name(name) else { continue };
        let behind_data = name == ".bss" && placed.last().is_some_and(|p| p.name == ".data");
        let align = if behind_data { 16 } else { PAGE };
        let address = end.checked_next_multiple_of(align);
        let size = section.size();
        let address = address.filter(|a| a.checked_add(size).is_some_and(|e| e < 1 << 31));
        let address = address.ok_or_else(|| CannotLink(format!("{name} is too large")))?;
        end = address + size;
        placed.push(Placed { name, address, bytes: section.data()?.to_vec(), in_memory: size });
    }
    Ok(placed)
}

/// Absolute address of each symbol by number. The imports stand in the order of their gates.
fn addresses(
    object: &ElfFile64<'_, LittleEndian>,
    sections: &BTreeMap<usize, u64>,
) -> Result<BTreeMap<usize, u64>> {
    let mut gates = 0;
    let mut addresses = BTreeMap::new();
    for symbol in object.symbols() {
        if symbol.is_undefined() && !symbol.name()?.is_empty() {
            addresses.insert(symbol.index().0, limits::GATES + limits::GATE_SIZE * gates);
            gates += 1;
            continue;
        }
        if let Some(base) = symbol.section_index().and_then(|s| sections.get(&s.0)) {
            addresses.insert(symbol.index().0, base.wrapping_add(symbol.address()));
        }
    }
    Ok(addresses)
}

fn relocate(
    object: &ElfFile64<'_, LittleEndian>,
    part: &mut Placed,
    symbols: &BTreeMap<usize, u64>,
) -> Result<()> {
    let Some(section) = object.section_by_name(part.name) else { return Ok(()) };
    for (offset, relocation) in section.relocations() {
        let bad = |why: &str| CannotLink(format!("{}+{offset:#x}: {why}", part.name));
        let target = match relocation.target() {
            RelocationTarget::Symbol(symbol) => symbols.get(&symbol.0).copied(),
            _ => None,
        };
        let target = target.ok_or_else(|| bad("a relocation against nothing"))?;
        let object::RelocationFlags::Elf { r_type, .. } = relocation.flags() else {
            return Err(bad("an unknown relocation"));
        };
        let value = target.wrapping_add_signed(relocation.addend());
        let here = part.address.wrapping_add(offset);
        let (value, size) = match r_type {
            elf::R_X86_64_64 => (value, 8),
            elf::R_X86_64_32S => (value, 4),
            elf::R_X86_64_PC32 | elf::R_X86_64_PLT32 => (value.wrapping_sub(here), 4),
            _ => return Err(bad("a relocation that typed objects do not have")),
        };
        if size == 4 && i32::try_from(value.cast_signed()).is_err() {
            return Err(bad("a relocation out of range"));
        }
        let at = usize::try_from(offset).map_err(|_| bad("outside"))?;
        let place = at.checked_add(size).and_then(|end| part.bytes.get_mut(at..end));
        let place = place.ok_or_else(|| bad("outside"))?;
        place.iter_mut().zip(value.to_le_bytes()).for_each(|(to, from)| *to = from);
    }
    Ok(())
}

/// File header, program headers, notice, segments, annotations; no section headers.
pub(crate) fn executable(placed: &[Placed], annotations: &[u8]) -> Vec<u8> {
    let size = notice::BYTES.len() as u64;
    let (offset, address) = (notice::OFFSET as u64, notice::ADDRESS);
    let mut headers = vec![[1 | 5 << 32, offset, address, address, size, size, PAGE]];
    let mut body: Vec<u8> = vec![0; usize::try_from(PAGE).unwrap_or(4096)];
    let page = body.len();
    for part in placed {
        let flags: u64 = match part.name {
            ".text" => 5,
            ".rodata" => 4,
            _ => 6,
        };
        let joins = part.name == ".bss" && !part.address.is_multiple_of(PAGE);
        if let Some(last) = headers.last_mut().filter(|_| joins) {
            last[5] = part.address + part.in_memory - last[2];
            continue;
        }
        let (offset, size) = (body.len() as u64, part.bytes.len() as u64);
        let kind = 1 | flags << 32;
        headers.push([kind, offset, part.address, part.address, size, part.in_memory, PAGE]);
        body.extend_from_slice(&part.bytes);
        body.resize(body.len().next_multiple_of(page), 0);
    }
    let (offset, size) = (body.len() as u64, annotations.len() as u64);
    headers.push([u64::from(PT_TAL) | 4 << 32, offset, 0, 0, size, 0, 1]);
    headers.push([0x6474_E551 | 6 << 32, 0, 0, 0, 0, 0, 16]);
    body.extend_from_slice(annotations);
    let mut top = vec![0x7F, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    top.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for field in [notice::ADDRESS, 64, 0] {
        top.extend(field.to_le_bytes());
    }
    top.extend([0, 0, 0, 0, 64, 0, 56, 0]);
    top.extend(u16::try_from(headers.len()).unwrap_or(0).to_le_bytes());
    top.extend([0; 6]);
    top.extend(headers.iter().flatten().flat_map(|field| field.to_le_bytes()));
    body.iter_mut().zip(top).for_each(|(to, from)| *to = from);
    let rest = body.iter_mut().skip(notice::OFFSET);
    rest.zip(notice::BYTES).for_each(|(to, from)| *to = *from);
    body
}
