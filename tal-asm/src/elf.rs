//! Not trusted: a bug here can reject, never admit. A program as ELF: a static executable, or a
//! relocatable object with the same sections.
//!
//! The executable is of the one form that `loader::image` admits: text, constants and variables in
//! segments of their own pages, never writable and executable; the annotations under a program
//! header of their own; before them the notice, for a system that starts the file without judging
//! it; nothing else loaded.

use crate::debug::{self, DebugSection};
use crate::program::{FixupKind, Program, Section, Symbol, SymbolKind, Target};
use gimli::SectionId;
use gimli::write::RelocationTarget;
use loader::image::PT_TAL;
use loader::notice;
use object::elf;
use object::write::StringId;
use object::write::elf::{
    FileHeader, ProgramHeader, Rel, SectionHeader, SectionIndex, Sym, TwoPhase, Writer,
};
use std::collections::BTreeMap;
use tal_core::limits;

/// What kind of file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// Static ELF executable at a fixed address.
    Executable,
    /// Relocatable object, `.o`.
    Object,
}

/// The file could not be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ElfError(String);

impl std::fmt::Display for ElfError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ElfError {}

impl From<object::write::Error> for ElfError {
    fn from(error: object::write::Error) -> Self {
        ElfError(error.to_string())
    }
}

const PAGE: u64 = 4096;
/// By this empty section linkers know that no part of an object wants an executable stack.
const NO_EXECUTABLE_STACK: &str = ".note.GNU-stack";

/// The bytes of the file. The same program gives the same bytes.
///
/// # Errors
/// When the parts of the program contradict each other.
pub fn write(program: &Program, output: Output) -> Result<Vec<u8>, ElfError> {
    let debug = debug::sections(program).map_err(|e| ElfError(e.to_string()))?;
    let debug = match output {
        Output::Executable => resolved(debug, program.text_address)?,
        Output::Object => debug,
    };
    let mut buffer = Vec::new();
    let parts = parts(program, output, &debug);
    Layout::reserve(program, output, &parts, &mut buffer)?.write()?;
    Ok(buffer)
}

/// One section of the file, apart from those that `object` makes itself.
struct Part<'a> {
    name: &'static str,
    section: Option<Section>,
    debug: Option<SectionId>,
    kind: elf::SectionType,
    flags: elf::SectionFlags,
    address: u64,
    bytes: &'a [u8],
    size: u64,
    relocations: Vec<Relocation>,
}

/// A relocation in the terms of ELF.
struct Relocation {
    offset: u64,
    kind: elf::RelocationType,
    target: Place,
    addend: i64,
}

/// What a relocation refers to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Section(Section),
    Debug(SectionId),
    Import(u16),
}

/// The sections in the order of the file; empty ones are left out.
fn parts<'a>(program: &'a Program, output: Output, debug: &'a [DebugSection]) -> Vec<Part<'a>> {
    let alloc = elf::SHF_ALLOC;
    let loaded = [
        (".text", Section::Text, alloc | elf::SHF_EXECINSTR, program.text.as_slice()),
        (".rodata", Section::Rodata, alloc, program.rodata.as_slice()),
        (".data", Section::Data, alloc | elf::SHF_WRITE, program.data.as_slice()),
    ];
    let mut parts: Vec<Part<'_>> = loaded
        .into_iter()
        .map(|(name, section, flags, bytes)| Part {
            name,
            section: Some(section),
            debug: None,
            kind: elf::SHT_PROGBITS,
            flags,
            address: u64::from(program.address(section)),
            bytes,
            size: bytes.len() as u64,
            relocations: relocations(program, section),
        })
        .collect();
    parts.push(Part {
        name: ".bss",
        section: Some(Section::Bss),
        debug: None,
        kind: elf::SHT_NOBITS,
        flags: alloc | elf::SHF_WRITE,
        address: u64::from(program.bss_address),
        bytes: &[],
        size: u64::from(program.bss_size),
        relocations: Vec::new(),
    });
    parts.push(unloaded(".tal", &program.annotations, None, Vec::new()));
    if output == Output::Object {
        parts.push(unloaded(NO_EXECUTABLE_STACK, &[], None, Vec::new()));
    }
    for section in debug {
        let relocations = section.relocations.iter().map(debug_relocation).collect();
        parts.push(unloaded(section.id.name(), &section.bytes, Some(section.id), relocations));
    }
    parts.retain(|part| part.size > 0 || [".tal", NO_EXECUTABLE_STACK].contains(&part.name));
    parts
}

fn unloaded<'a>(
    name: &'static str,
    bytes: &'a [u8],
    debug: Option<SectionId>,
    relocations: Vec<Relocation>,
) -> Part<'a> {
    Part {
        name,
        section: None,
        debug,
        kind: elf::SHT_PROGBITS,
        flags: elf::SectionFlags(0),
        address: 0,
        bytes,
        size: bytes.len() as u64,
        relocations,
    }
}

fn relocations(program: &Program, section: Section) -> Vec<Relocation> {
    let fixups = program.fixups.iter().filter(|fixup| fixup.section == section);
    fixups
        .filter_map(|fixup| {
            let (target, addend) = match fixup.target {
                Target::Import(i) => (Place::Import(i), fixup.addend),
                Target::Address(address) => {
                    let target = program.section_of(address)?;
                    let inside = address.checked_sub(program.address(target))?;
                    (Place::Section(target), fixup.addend.checked_add(i64::from(inside))?)
                }
            };
            let kind = match (fixup.kind, target) {
                (FixupKind::Rel32, Place::Import(_)) => elf::R_X86_64_PLT32,
                (FixupKind::Rel32, _) => elf::R_X86_64_PC32,
                (FixupKind::Abs32, _) => elf::R_X86_64_32S,
                (FixupKind::Abs64, _) => elf::R_X86_64_64,
            };
            Some(Relocation { offset: u64::from(fixup.offset), kind, target, addend })
        })
        .collect()
}

fn debug_relocation(relocation: &gimli::write::Relocation) -> Relocation {
    let target = match relocation.target {
        RelocationTarget::Symbol(_) => Place::Section(Section::Text),
        RelocationTarget::Section(id) => Place::Debug(id),
    };
    let kind = if relocation.size == 8 { elf::R_X86_64_64 } else { elf::R_X86_64_32 };
    Relocation { offset: relocation.offset as u64, kind, target, addend: relocation.addend }
}

/// Debug sections of an executable: the text stands where it stands, the sections start at 0.
fn resolved(
    mut debug: Vec<DebugSection>,
    text_address: u32,
) -> Result<Vec<DebugSection>, ElfError> {
    for section in &mut debug {
        for relocation in section.relocations.drain(..) {
            let base = match relocation.target {
                RelocationTarget::Symbol(_) => i64::from(text_address),
                RelocationTarget::Section(_) => 0,
            };
            let value = (base + relocation.addend).to_le_bytes();
            let size = usize::from(relocation.size);
            let place = section.bytes.get_mut(relocation.offset..relocation.offset + size);
            let value = value.get(..size);
            match place.zip(value) {
                Some((place, value)) => place.copy_from_slice(value),
                None => return Err(ElfError("a relocation of debugging information".into())),
            }
        }
    }
    Ok(debug)
}

/// A loaded segment: which parts, and how far it reaches.
struct Segment {
    flags: elf::ProgramFlags,
    first: usize,
    address: u64,
    in_file: u64,
    in_memory: u64,
}

/// Everything reserved, ready to be written in the same order.
struct Layout<'a, 'p> {
    writer: Writer<'a, TwoPhase>,
    output: Output,
    parts: &'p [Part<'p>],
    names: Vec<StringId>,
    offsets: Vec<u64>,
    indices: Vec<SectionIndex>,
    segments: Vec<Segment>,
    symbols: Vec<OutSymbol>,
    locals: u32,
    rela: Vec<(usize, StringId, u64)>,
}

/// A symbol as it will be written.
struct OutSymbol {
    name: Option<StringId>,
    kind: elf::SymbolType,
    global: bool,
    place: Standing,
    value: u64,
    size: u64,
    /// What relocations call it.
    means: Option<Place>,
}

/// Where a symbol stands.
#[derive(Clone, Copy)]
enum Standing {
    Part(usize),
    Absolute,
    Undefined,
}

impl<'a, 'p> Layout<'a, 'p>
where
    'p: 'a,
{
    fn reserve(
        program: &'p Program,
        output: Output,
        parts: &'p [Part<'p>],
        buffer: &'a mut Vec<u8>,
    ) -> Result<Self, ElfError> {
        let mut writer = Writer::new(object::Endianness::Little, true, buffer);
        let names = parts.iter().map(|p| writer.add_section_name(p.name.as_bytes())).collect();
        let indices = parts.iter().map(|_| writer.reserve_section_index()).collect();
        let mut rela = Vec::new();
        for (i, part) in parts.iter().enumerate() {
            if output == Output::Object && !part.relocations.is_empty() {
                let name = writer.add_section_name(rela_name(part.name));
                writer.reserve_section_index();
                rela.push((i, name, 0));
            }
        }
        writer.reserve_symtab_section_index();
        writer.reserve_strtab_section_index();
        writer.reserve_shstrtab_section_index();
        let symbols = symbols(program, output, parts, &mut writer);
        let locals = 1 + symbols.iter().filter(|s| !s.global).count() as u32;

        writer.reserve_file_header();
        let segments = if output == Output::Executable { segments(parts) } else { Vec::new() };
        if output == Output::Executable {
            writer.reserve_program_headers(segments.len() as u32 + 3);
            writer.reserve_until(notice::OFFSET as u64);
            writer.reserve(notice::BYTES.len() as u64, 1);
        }
        let mut offsets = Vec::new();
        for (i, part) in parts.iter().enumerate() {
            let starts = segments.iter().any(|s| s.first == i);
            let align = if starts { PAGE } else { part.align() };
            let size = if part.kind == elf::SHT_NOBITS { 0 } else { part.size };
            // A section inside a segment stands as far from its start as in memory.
            offsets.push(writer.reserve(size, align));
        }
        for (part, _, offset) in &mut rela {
            let count = parts.get(*part).map_or(0, |p| p.relocations.len());
            *offset = writer.reserve_relocations(count, true);
        }
        symbols.iter().for_each(|_| {
            writer.reserve_symbol_index(None);
        });
        writer.reserve_symtab();
        writer.reserve_strtab()?;
        writer.reserve_shstrtab()?;
        writer.reserve_section_headers();
        Ok(Layout {
            writer,
            output,
            parts,
            names,
            offsets,
            indices,
            segments,
            symbols,
            locals,
            rela,
        })
    }

    fn write(mut self) -> Result<(), ElfError> {
        let executable = self.output == Output::Executable;
        self.writer.write_file_header(&FileHeader {
            os_abi: elf::ELFOSABI_NONE,
            abi_version: 0,
            e_type: if executable { elf::ET_EXEC } else { elf::ET_REL },
            e_machine: elf::EM_X86_64,
            e_entry: if executable { notice::ADDRESS } else { 0 },
            e_flags: elf::FileFlags(0),
        })?;
        if executable {
            self.write_program_headers();
            self.writer.pad_until(notice::OFFSET as u64);
            self.writer.write(notice::BYTES);
        }
        for (part, offset) in self.parts.iter().zip(&self.offsets) {
            if part.kind != elf::SHT_NOBITS {
                self.writer.pad_until(*offset);
                self.writer.write(part.bytes);
            }
        }
        self.write_relocations();
        self.write_symbols();
        self.writer.write_strtab();
        self.writer.write_shstrtab();
        self.write_section_headers();
        Ok(())
    }

    fn write_program_headers(&mut self) {
        self.writer.write_align_program_headers();
        self.writer.write_program_header(&ProgramHeader {
            p_type: elf::PT_LOAD,
            p_flags: elf::PF_R | elf::PF_X,
            p_offset: notice::OFFSET as u64,
            p_vaddr: notice::ADDRESS,
            p_paddr: notice::ADDRESS,
            p_filesz: notice::BYTES.len() as u64,
            p_memsz: notice::BYTES.len() as u64,
            p_align: PAGE,
        });
        for segment in &self.segments {
            self.writer.write_program_header(&ProgramHeader {
                p_type: elf::PT_LOAD,
                p_flags: segment.flags,
                p_offset: self.offsets.get(segment.first).copied().unwrap_or(0),
                p_vaddr: segment.address,
                p_paddr: segment.address,
                p_filesz: segment.in_file,
                p_memsz: segment.in_memory,
                p_align: PAGE,
            });
        }
        let annotations = self.parts.iter().zip(&self.offsets).find(|(p, _)| p.name == ".tal");
        let (size, offset) = annotations.map_or((0, 0), |(part, at)| (part.size, *at));
        self.writer.write_program_header(&ProgramHeader {
            p_type: elf::ProgramType(PT_TAL),
            p_flags: elf::PF_R,
            p_offset: offset,
            p_vaddr: 0,
            p_paddr: 0,
            p_filesz: size,
            p_memsz: 0,
            p_align: 1,
        });
        self.writer.write_program_header(&ProgramHeader {
            p_type: elf::PT_GNU_STACK,
            p_flags: elf::PF_R | elf::PF_W,
            p_offset: 0,
            p_vaddr: 0,
            p_paddr: 0,
            p_filesz: 0,
            p_memsz: 0,
            p_align: 16,
        });
    }

    fn write_relocations(&mut self) {
        let numbered = (1_u32..).zip(&self.symbols);
        let known: BTreeMap<Place, u32> =
            numbered.filter_map(|(i, symbol)| Some((symbol.means?, i))).collect();
        for (part, _, _) in &self.rela {
            let Some(part) = self.parts.get(*part) else { continue };
            self.writer.write_align_relocation();
            for relocation in &part.relocations {
                self.writer.write_relocation(
                    true,
                    &Rel {
                        r_offset: relocation.offset,
                        r_sym: known.get(&relocation.target).copied().unwrap_or(0),
                        r_type: relocation.kind,
                        r_addend: relocation.addend,
                    },
                );
            }
        }
    }

    fn write_symbols(&mut self) {
        self.writer.write_null_symbol();
        for symbol in &self.symbols {
            let (section, st_shndx) = match symbol.place {
                Standing::Part(i) => (self.indices.get(i).map(|i| i.0), elf::SymbolSection(0)),
                Standing::Absolute => (None, elf::SHN_ABS),
                Standing::Undefined => (None, elf::SHN_UNDEF),
            };
            let binding = if symbol.global { elf::STB_GLOBAL } else { elf::STB_LOCAL };
            self.writer.write_symbol(&Sym {
                section,
                st_name: self.writer.string_offset(symbol.name),
                st_info: elf::SymbolInfo(binding.0 << 4 | symbol.kind.0),
                st_other: elf::SymbolOther(0),
                st_shndx,
                st_value: symbol.value,
                st_size: symbol.size,
            });
        }
    }

    fn write_section_headers(&mut self) {
        self.writer.write_null_section_header();
        let symtab = self.writer.symtab_index();
        let executable = self.output == Output::Executable;
        for (i, part) in self.parts.iter().enumerate() {
            self.writer.write_section_header(&SectionHeader {
                sh_name: self.writer.section_name_offset(self.names.get(i).copied()),
                sh_type: part.kind,
                sh_flags: part.flags,
                sh_addr: if executable { part.address } else { 0 },
                sh_offset: self.offsets.get(i).copied().unwrap_or(0),
                sh_size: part.size,
                sh_link: 0,
                sh_info: 0,
                sh_addralign: part.align(),
                sh_entsize: 0,
            });
        }
        for (part, name, offset) in &self.rela {
            let index = self.indices.get(*part).copied().unwrap_or(SectionIndex(0));
            let count = self.parts.get(*part).map_or(0, |p| p.relocations.len());
            self.writer.write_relocation_section_header(*name, index, symtab, *offset, count, true);
        }
        self.writer.write_symtab_section_header(self.locals);
        self.writer.write_strtab_section_header();
        self.writer.write_shstrtab_section_header();
    }
}

impl Part<'_> {
    fn align(&self) -> u64 {
        if self.section.is_some() { 16 } else { 1 }
    }
}

fn rela_name(name: &str) -> &'static [u8] {
    match name {
        ".text" => b".rela.text",
        ".rodata" => b".rela.rodata",
        ".data" => b".rela.data",
        ".debug_info" => b".rela.debug_info",
        ".debug_line" => b".rela.debug_line",
        _ => b".rela",
    }
}

/// Text, constants, variables. Zeroed variables belong to the segment of the initialised ones when
/// they start on its last page.
fn segments(parts: &[Part<'_>]) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for (first, part) in parts.iter().enumerate() {
        let flags = match part.section {
            Some(Section::Text) => elf::PF_R | elf::PF_X,
            Some(Section::Rodata) => elf::PF_R,
            Some(Section::Data | Section::Bss) => elf::PF_R | elf::PF_W,
            None => continue,
        };
        let in_file = if part.kind == elf::SHT_NOBITS { 0 } else { part.size };
        let end = part.address + part.size;
        match segments.last_mut() {
            Some(last)
                if part.section == Some(Section::Bss)
                    && part.address < (last.address + last.in_memory).next_multiple_of(PAGE)
                    && last.flags == flags =>
            {
                last.in_memory = end - last.address;
            }
            _ => segments.push(Segment {
                flags,
                first,
                address: part.address,
                in_file,
                in_memory: part.size,
            }),
        }
    }
    segments
}

/// The file, the sections, local labels; then functions, objects and imports.
fn symbols<'p>(
    program: &'p Program,
    output: Output,
    parts: &[Part<'_>],
    writer: &mut Writer<'p, TwoPhase>,
) -> Vec<OutSymbol> {
    let mut symbols = Vec::new();
    if let Some(name) = program.files.first().and_then(|f| f.file_name()?.to_str()) {
        symbols.push(OutSymbol {
            name: Some(writer.add_string(name.as_bytes())),
            kind: elf::STT_FILE,
            global: false,
            place: Standing::Absolute,
            value: 0,
            size: 0,
            means: None,
        });
    }
    if output == Output::Object {
        symbols.extend(parts.iter().enumerate().map(|(i, part)| OutSymbol {
            name: None,
            kind: elf::STT_SECTION,
            global: false,
            place: Standing::Part(i),
            value: 0,
            size: 0,
            means: part.section.map(Place::Section).or(part.debug.map(Place::Debug)),
        }));
    }
    let mut named: Vec<&Symbol> = program.symbols.iter().collect();
    // Tools expect local symbols before global ones.
    named.sort_by_key(|s| (is_global(s, output), s.kind != SymbolKind::Label, s.address, &s.name));
    let named = named.into_iter().filter_map(|s| named_symbol(program, output, parts, writer, s));
    symbols.extend(named.collect::<Vec<_>>());
    for (i, name) in (0_u16..).zip(&program.imports) {
        let gate = limits::GATES + limits::GATE_SIZE * u64::from(i);
        let (place, value) = match output {
            Output::Executable => (Standing::Absolute, gate),
            Output::Object => (Standing::Undefined, 0),
        };
        symbols.push(OutSymbol {
            name: Some(writer.add_string(name.as_bytes())),
            kind: elf::STT_NOTYPE,
            global: true,
            place,
            value,
            size: 0,
            means: Some(Place::Import(i)),
        });
    }
    symbols
}

/// In an executable everything but a label, for debuggers; in an object what others may name.
fn is_global(symbol: &Symbol, output: Output) -> bool {
    match output {
        Output::Executable => symbol.kind != SymbolKind::Label,
        Output::Object => symbol.public,
    }
}

/// A name of the source, if its section is in the file.
fn named_symbol<'p>(
    program: &Program,
    output: Output,
    parts: &[Part<'_>],
    writer: &mut Writer<'p, TwoPhase>,
    symbol: &'p Symbol,
) -> Option<OutSymbol> {
    let part = parts.iter().position(|p| p.section == Some(symbol.section))?;
    let base = match output {
        Output::Executable => 0,
        Output::Object => program.address(symbol.section),
    };
    let kind = match symbol.kind {
        SymbolKind::Function => elf::STT_FUNC,
        SymbolKind::Object => elf::STT_OBJECT,
        SymbolKind::Label => elf::STT_NOTYPE,
    };
    Some(OutSymbol {
        name: Some(writer.add_string(symbol.name.as_bytes())),
        kind,
        global: is_global(symbol, output),
        place: Standing::Part(part),
        value: u64::from(symbol.address.saturating_sub(base)),
        size: u64::from(symbol.size),
        means: None,
    })
}
