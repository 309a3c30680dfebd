//! Not trusted: a bug here can reject, never admit. DWARF, so that `objdump -dl` and `gdb` show the
//! lines of the source. Version 4 with strings in place: every tool reads it, and the paths are
//! those that the user gave, so the same source makes the same bytes everywhere.

use crate::program::{Program, SymbolKind};
use gimli::write::{
    Address, AttributeValue, DwarfUnit, EndianVec, LineProgram, LineString, RelocateWriter,
    Relocation, Result, Sections,
};
use gimli::{Encoding, Format, LineEncoding, LittleEndian, SectionId};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A `.debug_*` section with its places that depend on where the text or another section stands.
#[derive(Clone, Debug)]
pub struct DebugSection {
    /// Which.
    pub id: SectionId,
    /// The bytes; zeroes where a relocation applies.
    pub bytes: Vec<u8>,
    /// The only symbol in them is the start of the text (number 0).
    pub relocations: Vec<Relocation>,
}

/// The writer of one section.
#[derive(Clone, Debug)]
struct Recording {
    bytes: EndianVec<LittleEndian>,
    relocations: Vec<Relocation>,
}

impl RelocateWriter for Recording {
    type Writer = EndianVec<LittleEndian>;

    fn writer(&self) -> &Self::Writer {
        &self.bytes
    }

    fn writer_mut(&mut self) -> &mut Self::Writer {
        &mut self.bytes
    }

    fn relocate(&mut self, relocation: Relocation) {
        self.relocations.push(relocation);
    }
}

/// The debugging information of the program; nothing when it tells no lines.
///
/// # Errors
/// Those of the writer.
pub fn sections(program: &Program) -> Result<Vec<DebugSection>> {
    let Some(main) = program.files.first() else { return Ok(Vec::new()) };
    let encoding = Encoding { format: Format::Dwarf32, version: 4, address_size: 8 };
    let mut dwarf = DwarfUnit::new(encoding);
    let empty = Recording { bytes: EndianVec::new(LittleEndian), relocations: Vec::new() };
    dwarf.unit.line_program = lines(program, encoding, main);
    unit(program, &mut dwarf, main);
    let mut sections = Sections::new(empty);
    dwarf.write(&mut sections)?;
    let mut done = Vec::new();
    sections.for_each(|id, section| -> Result<()> {
        let bytes = section.bytes.slice().to_vec();
        if !bytes.is_empty() {
            done.push(DebugSection { id, bytes, relocations: section.relocations.clone() });
        }
        Ok(())
    })?;
    Ok(done)
}

fn path(path: &Path) -> Vec<u8> {
    let bytes: Vec<u8> = path.as_os_str().as_bytes().iter().copied().filter(|b| *b != 0).collect();
    if bytes.is_empty() { b"?".to_vec() } else { bytes }
}

fn text_at(offset: u64) -> Address {
    Address::Symbol { symbol: 0, addend: i64::try_from(offset).unwrap_or(0) }
}

fn lines(program: &Program, encoding: Encoding, main: &Path) -> LineProgram {
    let line_encoding = LineEncoding::default();
    let here = LineString::String(b".".to_vec());
    let name = LineString::String(path(main));
    let mut lines = LineProgram::new(encoding, line_encoding, here, None, name, None);
    let directory = lines.default_directory();
    let file = |lines: &mut LineProgram, name: &Path| {
        lines.add_file(LineString::String(path(name)), directory, None)
    };
    let ids: Vec<_> = program.files.iter().map(|name| file(&mut lines, name)).collect();
    if program.lines.is_empty() {
        return lines;
    }
    lines.begin_sequence(Some(text_at(0)));
    for line in &program.lines {
        let Some(id) = ids.get(line.file as usize) else { continue };
        let row = lines.row();
        row.address_offset = u64::from(line.offset);
        row.file = *id;
        row.line = u64::from(line.line);
        row.column = u64::from(line.column);
        row.is_statement = true;
        lines.generate_row();
    }
    lines.end_sequence(program.text.len() as u64);
    lines
}

/// One unit with one entry a function.
fn unit(program: &Program, dwarf: &mut DwarfUnit, main: &Path) {
    let string = |bytes: &[u8]| AttributeValue::String(bytes.to_vec());
    let root = dwarf.unit.root();
    let length = AttributeValue::Udata(program.text.len() as u64);
    let entry = dwarf.unit.get_mut(root);
    entry.set(gimli::DW_AT_name, AttributeValue::String(path(main)));
    entry.set(gimli::DW_AT_comp_dir, string(b"."));
    entry.set(gimli::DW_AT_producer, string(b"tal-asm"));
    entry.set(gimli::DW_AT_language, AttributeValue::Language(gimli::DW_LANG_Mips_Assembler));
    entry.set(gimli::DW_AT_low_pc, AttributeValue::Address(text_at(0)));
    entry.set(gimli::DW_AT_high_pc, length);
    let functions = program.symbols.iter().filter(|s| s.kind == SymbolKind::Function);
    for symbol in functions {
        let id = dwarf.unit.add(root, gimli::DW_TAG_subprogram);
        let offset = u64::from(symbol.address.saturating_sub(program.text_address));
        let entry = dwarf.unit.get_mut(id);
        entry.set(gimli::DW_AT_name, string(symbol.name.as_bytes()));
        let external = symbol.public || program.start.is_some();
        entry.set(gimli::DW_AT_external, AttributeValue::Flag(external));
        entry.set(gimli::DW_AT_low_pc, AttributeValue::Address(text_at(offset)));
        entry.set(gimli::DW_AT_high_pc, AttributeValue::Udata(u64::from(symbol.size)));
    }
}
