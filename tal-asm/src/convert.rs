//! Not trusted: a bug here can reject, never admit. From what the checker knows of a program to
//! what a file tells of it.

use crate::program::{Fixup, FixupKind, Line, Program, Section, Symbol, SymbolKind, Target};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tal_check::lowered::{self, DataInfo, FixupTarget, Lowered};
use tal_syntax::ast;

const PAGE: u32 = 4096;

/// The program has no `entry fn start`, so nothing can run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoStart;

/// The program with its annotations, ready to be written.
///
/// # Errors
/// When it is a library.
pub fn program(lowered: &Lowered, annotations: &[u8]) -> Result<Program, NoStart> {
    let program = any(lowered, annotations);
    if program.start.is_some() { Ok(program) } else { Err(NoStart) }
}

/// The same of a library, too.
#[must_use]
pub fn any(lowered: &Lowered, annotations: &[u8]) -> Program {
    let start = lowered.start.and_then(|start| lowered.functions.get(start.0 as usize));
    let mut program = Program {
        text: lowered.text.clone(),
        text_address: lowered.text_address,
        start: start.map(|start| lowered.text_address + start.offset),
        annotations: annotations.to_vec(),
        ..Program::default()
    };
    for import in &lowered.imports {
        let import = lowered.host.imports.get(usize::from(*import));
        program.imports.push(import.map_or_else(String::new, |i| i.name.clone()));
    }
    sections(lowered, &mut program);
    symbols(lowered, &mut program);
    lines(lowered, &mut program);
    fixups(lowered, &mut program);
    program
}

fn section(section: ast::Section) -> Section {
    match section {
        ast::Section::Rodata => Section::Rodata,
        ast::Section::Data => Section::Data,
        ast::Section::Bss => Section::Bss,
    }
}

/// Address and bytes of what stands in a section; gaps are zero.
fn extent(lowered: &Lowered, wanted: Section) -> Option<(u32, u32)> {
    let objects = || lowered.data.iter().filter(|d| section(d.section) == wanted);
    let first = objects().map(|d| d.address).min()?;
    let end = objects().map(|d| d.address + d.size).max()?;
    Some((first, end))
}

fn bytes(lowered: &Lowered, wanted: Section, from: u32, to: u32) -> Vec<u8> {
    let mut bytes = vec![0; (to - from) as usize];
    for object in lowered.data.iter().filter(|d| section(d.section) == wanted) {
        let at = (object.address - from) as usize;
        if let Some(contents) = &object.contents {
            bytes[at..at + contents.len()].copy_from_slice(contents);
        }
    }
    bytes
}

fn sections(lowered: &Lowered, program: &mut Program) {
    let page = |address: u32| address / PAGE * PAGE;
    if let Some((first, end)) = extent(lowered, Section::Rodata) {
        program.rodata_address = page(first);
        program.rodata = bytes(lowered, Section::Rodata, page(first), end);
    }
    let mut data_end = 0;
    if let Some((first, end)) = extent(lowered, Section::Data) {
        program.data_address = page(first);
        program.data = bytes(lowered, Section::Data, page(first), end);
        data_end = end;
    }
    if let Some((first, end)) = extent(lowered, Section::Bss) {
        // On the last page of the initialised variables, or on pages of its own.
        let shares = data_end.next_multiple_of(PAGE) > page(first);
        program.bss_address = if shares { first } else { page(first) };
        program.bss_size = end - program.bss_address;
    }
}

fn symbols(lowered: &Lowered, program: &mut Program) {
    for function in &lowered.functions {
        let address = lowered.text_address + function.offset;
        program.symbols.push(Symbol {
            name: function.name.clone(),
            section: Section::Text,
            address,
            size: function.size,
            kind: SymbolKind::Function,
            public: function.public || program.start == Some(address),
        });
        for label in &function.labels {
            for (name, _) in &label.names {
                program.symbols.push(Symbol {
                    name: format!("{}{name}", function.name),
                    section: Section::Text,
                    address: lowered.text_address + label.offset,
                    size: 0,
                    kind: SymbolKind::Label,
                    public: false,
                });
            }
        }
    }
    program.symbols.extend(lowered.data.iter().map(|object: &DataInfo| Symbol {
        name: object.name.clone(),
        section: section(object.section),
        address: object.address,
        size: object.size,
        kind: SymbolKind::Object,
        public: object.public,
    }));
}

/// One line of the table a line of the source; files in the order in which they contribute.
fn lines(lowered: &Lowered, program: &mut Program) {
    let mut numbers = BTreeMap::new();
    for (offset, span) in lowered.source_map() {
        let source = lowered.sources.get(span.file);
        let Some((source, position)) = source.zip(lowered.sources.position(span)) else {
            continue;
        };
        let file = *numbers.entry(span.file).or_insert_with(|| {
            program.files.push(PathBuf::from(&source.path));
            program.files.len() as u32 - 1
        });
        program.lines.push(Line { offset, file, line: position.line, column: position.column });
    }
}

fn fixups(lowered: &Lowered, program: &mut Program) {
    for fixup in &lowered.fixups {
        let (place, offset) = match fixup.data.and_then(|d| lowered.data.get(usize::from(d.0))) {
            None => (Section::Text, fixup.offset),
            Some(object) => {
                let place = section(object.section);
                (place, object.address - program.address(place) + fixup.offset)
            }
        };
        let target = match fixup.target {
            FixupTarget::Import(import) => Some(Target::Import(import)),
            FixupTarget::Text(offset) => Some(Target::Address(lowered.text_address + offset)),
            FixupTarget::Data(id) => {
                lowered.data.get(usize::from(id.0)).map(|d| Target::Address(d.address))
            }
            FixupTarget::Function(id) => {
                let function = lowered.functions.get(id.0 as usize);
                function.map(|f| Target::Address(lowered.text_address + f.offset))
            }
        };
        let Some(target) = target else { continue };
        let kind = match fixup.kind {
            lowered::FixupKind::Rel32 => FixupKind::Rel32,
            lowered::FixupKind::Abs32 => FixupKind::Abs32,
            lowered::FixupKind::Abs64 => FixupKind::Abs64,
        };
        program.fixups.push(Fixup { section: place, offset, kind, target, addend: fixup.addend });
    }
    program.fixups.sort_by_key(|f| (f.section, f.offset));
}
