//! Not trusted: a bug here can reject, never admit. A checked program, ready to be written: bytes,
//! addresses, and the names and lines that people and debuggers want.

use std::path::{Path, PathBuf};

/// Which section something stands in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Section {
    /// Machine code.
    Text,
    /// Constants.
    Rodata,
    /// Initialised variables.
    Data,
    /// Zeroed variables.
    Bss,
}

/// A name for an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Symbol {
    /// As in the source.
    pub name: String,
    /// Where it stands.
    pub section: Section,
    /// Absolute address.
    pub address: u32,
    /// Bytes; 0 for a local label.
    pub size: u32,
    /// A function, a data object or a local label.
    pub kind: SymbolKind,
    /// May other files of a link name it?
    pub public: bool,
}

/// See [`Symbol::kind`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SymbolKind {
    /// A function.
    Function,
    /// Data.
    Object,
    /// A place in a function.
    Label,
}

/// Machine code from this text offset on comes from this source line.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Line {
    /// Offset in the text.
    pub offset: u32,
    /// Index into [`Program::files`].
    pub file: u32,
    /// From 1.
    pub line: u32,
    /// From 1; 0 when not known.
    pub column: u32,
}

/// How a place in the bytes refers to an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FixupKind {
    /// 4 bytes, relative to their own end plus what the addend says: call, jmp, `[rip + x]`.
    Rel32,
    /// 4 bytes, sign-extended absolute.
    Abs32,
    /// 8 bytes, absolute.
    Abs64,
}

/// What a fixup refers to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// A place in the image.
    Address(u32),
    /// Import by its index in [`Program::imports`].
    Import(u16),
}

/// A place that changes when the image or its imports are put elsewhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fixup {
    /// Where the bytes stand.
    pub section: Section,
    /// Offset in that section.
    pub offset: u32,
    /// What is written there.
    pub kind: FixupKind,
    /// What it means.
    pub target: Target,
    /// Added to the address of the target; for `Rel32` the usual -4 and less is in here.
    pub addend: i64,
}

/// A checked program.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Program {
    /// Machine code.
    pub text: Vec<u8>,
    /// Its absolute address.
    pub text_address: u32,
    /// Constants.
    pub rodata: Vec<u8>,
    /// Their absolute address.
    pub rodata_address: u32,
    /// Initialised variables.
    pub data: Vec<u8>,
    /// Their absolute address.
    pub data_address: u32,
    /// Absolute address of the zeroed variables: in the segment of the initialised ones.
    pub bss_address: u32,
    /// How many bytes.
    pub bss_size: u32,
    /// Absolute address of the start; a library has none.
    pub start: Option<u32>,
    /// Names of the imports used; gate i is import i.
    pub imports: Vec<String>,
    /// Every name, in any order.
    pub symbols: Vec<Symbol>,
    /// Source files; paths as given by the user.
    pub files: Vec<PathBuf>,
    /// Sorted by offset.
    pub lines: Vec<Line>,
    /// Sorted by section and offset.
    pub fixups: Vec<Fixup>,
    /// The `.tal` section.
    pub annotations: Vec<u8>,
}

impl Program {
    /// Absolute address of a section.
    #[must_use]
    pub fn address(&self, section: Section) -> u32 {
        match section {
            Section::Text => self.text_address,
            Section::Rodata => self.rodata_address,
            Section::Data => self.data_address,
            Section::Bss => self.bss_address,
        }
    }

    /// Bytes of a section in memory.
    #[must_use]
    pub fn size(&self, section: Section) -> u32 {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        match section {
            Section::Text => length(&self.text),
            Section::Rodata => length(&self.rodata),
            Section::Data => length(&self.data),
            Section::Bss => self.bss_size,
        }
    }

    /// The section in which an address lies, its end included.
    #[must_use]
    pub fn section_of(&self, address: u32) -> Option<Section> {
        let sections = [Section::Text, Section::Rodata, Section::Data, Section::Bss];
        let inside = |s: &Section| {
            let offset = address.checked_sub(self.address(*s));
            self.size(*s) > 0 && offset.is_some_and(|o| o < self.size(*s))
        };
        let at_end = |s: &Section| {
            self.size(*s) > 0 && address.checked_sub(self.address(*s)) == Some(self.size(*s))
        };
        sections.into_iter().find(inside).or_else(|| sections.into_iter().find(at_end))
    }

    /// File and line from which the byte of the text at this offset comes.
    #[must_use]
    pub fn line_at(&self, offset: u32) -> Option<(&Path, u32)> {
        let behind = self.lines.partition_point(|line| line.offset <= offset);
        let line = self.lines.get(behind.checked_sub(1)?)?;
        Some((self.files.get(line.file as usize)?, line.line))
    }

    /// The object in whose bytes the byte of a section stands.
    #[must_use]
    pub fn object_at(&self, section: Section, offset: u32) -> Option<&Symbol> {
        let address = self.address(section).checked_add(offset)?;
        let inside = |s: &&Symbol| {
            s.section == section && address.checked_sub(s.address).is_some_and(|o| o < s.size)
        };
        self.symbols.iter().find(inside)
    }
}
