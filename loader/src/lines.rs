//! Not trusted: a bug here can reject, never admit. Names and source lines of machine code, from
//! the parts of an ELF file that the judge does not look at. What cannot be read is not told.

use gimli::{DebugLine, DebugLineOffset, LittleEndian};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};

/// What a file tells of its addresses beside their bytes.
#[derive(Clone, Debug, Default)]
pub struct Debug {
    lines: BTreeMap<u64, Option<(String, u64)>>,
    names: BTreeMap<u64, String>,
    /// Ends and names of functions.
    functions: BTreeMap<u64, (u64, String)>,
}

impl Debug {
    /// Reads what is there.
    #[must_use]
    pub fn read(file: &[u8]) -> Debug {
        let mut debug = Debug::default();
        let Ok(object) = object::read::elf::ElfFile64::<object::LittleEndian>::parse(file) else {
            return debug;
        };
        for symbol in object.symbols() {
            let name = symbol.name().unwrap_or("");
            if symbol.is_definition() && !name.is_empty() {
                debug.names.insert(symbol.address(), name.to_string());
                if symbol.kind() == SymbolKind::Text && symbol.size() > 0 {
                    let end = symbol.address().saturating_add(symbol.size());
                    debug.functions.insert(symbol.address(), (end, name.to_string()));
                }
            }
        }
        let section = object.section_by_name(".debug_line");
        if let Some(bytes) = section.and_then(|s| s.data().ok()) {
            // What is malformed ends the reading, no more.
            let _ = debug.read_lines(bytes);
        }
        debug
    }

    fn read_lines(&mut self, bytes: &[u8]) -> gimli::Result<()> {
        let section = DebugLine::new(bytes, LittleEndian);
        let program = section.program(DebugLineOffset(0), 8, None, None)?;
        let mut rows = program.rows();
        while let Some((header, row)) = rows.next_row()? {
            let file = row.file(header).and_then(|file| match file.path_name() {
                gimli::AttributeValue::String(name) => Some(name.to_string_lossy().to_string()),
                _ => None,
            });
            let line = file.zip(row.line()).filter(|_| !row.end_sequence());
            let place = line.map(|(file, line)| (file, line.get()));
            self.lines.insert(row.address(), place);
        }
        Ok(())
    }

    /// `file.tal:12` of the instruction at this address.
    #[must_use]
    pub fn line(&self, address: u64) -> Option<String> {
        let (_, place) = self.lines.range(..=address).next_back()?;
        place.as_ref().map(|(file, line)| format!("{file}:{line}"))
    }

    /// The symbol at exactly this address.
    #[must_use]
    pub fn name(&self, address: u64) -> Option<&str> {
        self.names.get(&address).map(String::as_str)
    }

    /// The function that this address lies in.
    #[must_use]
    pub fn function(&self, address: u64) -> Option<&str> {
        let (_, (end, name)) = self.functions.range(..=address).next_back()?;
        (address < *end).then_some(name.as_str())
    }
}
