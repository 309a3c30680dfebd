//! TCB. ELF, in the one form that is admitted. Every offset, size and address of the file is
//! checked here, once; nobody else in this crate reads a header.
//!
//! A file that any tool could read in two ways is refused: what is not listed is an error that
//! names the feature and its offset in the file.

use crate::notice;
use alloc::vec::Vec;
use core::fmt;
use tal_core::image::Segment;
use tal_core::limits::IMAGE_HIGH;
use tal_core::{premise, refuse};

/// Images are linked at or above this address; the import gates lie below it.
pub const IMAGE_LOW: u64 = 0x0040_0000;
/// Segments start on pages of this size, and share none.
pub const PAGE: u64 = 4096;
/// Type of the program header that covers the annotations: `PT_LOOS` with the letters `TAL`.
pub const PT_TAL: u32 = 0x6054_414C;

const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const SECTION_HEADER: usize = 64;
const MAX_PROGRAM_HEADERS: u16 = 8;
const MAX_SECTIONS: u16 = 64;

const PT_LOAD: u32 = 1;
const PT_GNU_STACK: u32 = 0x6474_E551;
const PF_X: u32 = 1;
const PF_W: u32 = 2;
const PF_R: u32 = 4;

macro_rules! features {
    ($($variant:ident $words:literal,)*) => {
        /// What is wrong with a file. One variant, one check, one test.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs, reason = "the words beside each say what it is")]
        pub enum Feature { $($variant,)* }

        impl Feature {
            /// Every feature that is refused.
            pub const ALL: &'static [Feature] = &[$(Feature::$variant,)*];

            /// What to tell a person.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self { $(Feature::$variant => $words,)* }
            }
        }
    };
}

features! {
    Truncated "the file ends inside this structure",
    Magic "not an ELF file",
    Class "not a 64-bit little-endian ELF file of version 1 for System V",
    Padding "the padding of the identification is not zero",
    FileType "not an executable (ET_EXEC): other kinds of file are not admitted",
    Machine "not for x86-64",
    Version "unknown ELF version",
    Flags "processor flags are not zero",
    HeaderSize "a header has not the size that this version of ELF gives it",
    ProgramHeaderPlace "the program headers do not follow the file header directly",
    ProgramHeaderCount "no program headers, or more than 8",
    Interpreter "the file names an interpreter (PT_INTERP)",
    Dynamic "the file is dynamically linked (PT_DYNAMIC)",
    Tls "the file has thread-local storage (PT_TLS)",
    ProgramHeaderType "a program header of a type that is not admitted",
    SegmentFlags "a segment is not exactly one of read, read-execute and read-write",
    WriteExecute "a segment is both writable and executable",
    PhysicalAddress "the physical address of a segment is not its address",
    Alignment "a segment does not start on a page of 4096 bytes, or asks for another alignment",
    Congruence "file offset and address of a segment differ inside a page",
    EmptySegment "a segment has no bytes in memory",
    FileSize "a segment has more bytes in the file than in memory",
    TextSize "the text segment has bytes that are not in the file",
    ConstantsSize "a segment of constants has bytes that are not in the file",
    AddressRange "a segment does not lie between 0x400000 and 0x80000000",
    SegmentOrder "segments overlap, share a page or are not in order of address",
    FileOverlap "two parts of the file that are used for different things overlap",
    NoText "there is no executable segment",
    ManyTexts "there is more than one executable segment",
    NoAnnotations "there is no program header for annotations: not a typed program",
    ManyAnnotations "there is more than one program header for annotations",
    AnnotationHeader "the program header for annotations has an address, or flags other than read",
    NoStack "there is no PT_GNU_STACK header, so the stack might be executable",
    Stack "the PT_GNU_STACK header is repeated, executable or not empty",
    Entry "the entry point is not in the text, or not the notice if there is one",
    Notice "a segment at 0x3ff200 is not the notice of typed programs",
    SectionHeaderCount "more than 64 sections, or a section table without place",
    SectionNames "the section of section names is missing or no string table",
    SectionType "a section of a type that is not admitted",
    SectionFlags "a section has flags that are not admitted or that its segment does not have",
    SectionPlace "a loaded section does not lie in a segment, or stands elsewhere in the file",
    SectionTal "the section `.tal` is missing, repeated or not what the program header covers",
}

/// Why a file is not an [`Image`], and where in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotAdmitted {
    /// What is wrong.
    pub feature: Feature,
    /// Offset in the file of the field that says so.
    pub offset: usize,
}

impl fmt::Display for NotAdmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at file offset {:#x}: {}", self.offset, self.feature.words())
    }
}

type Result<T> = core::result::Result<T, NotAdmitted>;

fn wrong(feature: Feature, offset: usize) -> NotAdmitted {
    NotAdmitted { feature, offset }
}

/// An allegation: a file of the one admitted form.
///
/// Having an `Image` tells you: there is one text segment, wholly in the file, and it is not
/// writable; data segments are not executable; every segment has at least one byte of memory; no
/// two segments share a page or a byte of the file; all lie in `[IMAGE_LOW, IMAGE_HIGH)`; the entry
/// point is in the text, or the file has the [`notice`] there, which belongs to no segment; section
/// headers, if there are any, tell of the loaded bytes what the program headers tell. It tells
/// nothing of what the bytes mean: that is for [`crate::verify`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image<'a> {
    text: &'a [u8],
    text_address: u32,
    data: Vec<Segment<'a>>,
    annotations: &'a [u8],
    entry: Option<u32>,
}

impl<'a> Image<'a> {
    /// The machine code, whole.
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    /// Its absolute address: the start of a page.
    #[must_use]
    pub fn text_address(&self) -> u32 {
        self.text_address
    }

    /// The data segments by address.
    #[must_use]
    pub fn data(&self) -> &[Segment<'a>] {
        &self.data
    }

    /// The bytes of the section `.tal`.
    #[must_use]
    pub fn annotations(&self) -> &'a [u8] {
        self.annotations
    }

    /// Absolute address where the file header alleges that the program starts. None if it tells of
    /// the [`notice`]: then only the annotations say it.
    #[must_use]
    pub fn entry(&self) -> Option<u32> {
        self.entry
    }

    /// Reads an executable.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
    pub fn parse(file: &'a [u8]) -> Result<Image<'a>> {
        let bytes = Bytes(file);
        let header = header(bytes)?;
        let loaded = program_headers(bytes, &header)?;
        premise!(disjoint_in_file(&header, &loaded));
        premise!(section_headers(bytes, &header, &loaded));
        image(bytes, &header, &loaded)
    }
}

/// The file; every read says what to report when it is too short.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn slice(self, at: usize, size: usize) -> Result<&'a [u8]> {
        let end = at.checked_add(size);
        let bytes = end.and_then(|end| self.0.get(at..end));
        bytes.ok_or(NotAdmitted { feature: Feature::Truncated, offset: at })
    }

    fn array<const N: usize>(self, at: usize) -> Result<[u8; N]> {
        let short = NotAdmitted { feature: Feature::Truncated, offset: at };
        self.slice(at, N)?.try_into().map_err(|_| short)
    }

    fn u16(self, at: usize) -> Result<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    fn u32(self, at: usize) -> Result<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    fn u64(self, at: usize) -> Result<u64> {
        self.array(at).map(u64::from_le_bytes)
    }

    /// A 64-bit field that is an offset or a size in the file.
    fn size(self, at: usize) -> Result<usize> {
        let short = NotAdmitted { feature: Feature::Truncated, offset: at };
        usize::try_from(self.u64(at)?).map_err(|_| short)
    }
}

/// What the file header says, where it is not fixed.
struct Header {
    entry: u64,
    program_headers: u16,
    sections_at: usize,
    sections: u16,
    names: u16,
}

fn header(file: Bytes<'_>) -> Result<Header> {
    premise!(file.slice(0, 4).is_ok_and(|m| m == b"\x7fELF"), wrong(Feature::Magic, 0));
    premise!(file.slice(4, 5)? == [2, 1, 1, 0, 0], wrong(Feature::Class, 4));
    premise!(file.slice(9, 7)? == [0; 7], wrong(Feature::Padding, 9));
    premise!(file.u16(16)? == 2, wrong(Feature::FileType, 16));
    premise!(file.u16(18)? == 62, wrong(Feature::Machine, 18));
    premise!(file.u32(20)? == 1, wrong(Feature::Version, 20));
    premise!(file.size(32)? == HEADER, wrong(Feature::ProgramHeaderPlace, 32));
    premise!(file.u32(48)? == 0, wrong(Feature::Flags, 48));
    premise!(usize::from(file.u16(52)?) == HEADER, wrong(Feature::HeaderSize, 52));
    premise!(usize::from(file.u16(54)?) == PROGRAM_HEADER, wrong(Feature::HeaderSize, 54));
    let program_headers = file.u16(56)?;
    premise!(program_headers >= 1, wrong(Feature::ProgramHeaderCount, 56));
    premise!(program_headers <= MAX_PROGRAM_HEADERS, wrong(Feature::ProgramHeaderCount, 56));
    let sections = file.u16(60)?;
    let sections_at = file.size(40)?;
    // A stripped file has neither table nor size; any other has both.
    premise!((sections == 0) == (sections_at == 0), wrong(Feature::SectionHeaderCount, 60));
    premise!(sections <= MAX_SECTIONS, wrong(Feature::SectionHeaderCount, 60));
    let size = usize::from(file.u16(58)?);
    let size_fits = size == SECTION_HEADER || (size == 0 && sections == 0);
    premise!(size_fits, wrong(Feature::HeaderSize, 58));
    let names = file.u16(62)?;
    premise!(names < sections || (names == 0 && sections == 0), wrong(Feature::SectionNames, 62));
    Ok(Header { entry: file.u64(24)?, program_headers, sections_at, sections, names })
}

/// A program header that was checked by itself.
#[derive(Clone, Copy)]
struct Part {
    /// Where the header stands, for messages.
    at: usize,
    flags: u32,
    offset: usize,
    address: u64,
    in_file: usize,
    in_memory: u64,
}

impl Part {
    fn end(&self) -> u64 {
        self.address.saturating_add(self.in_memory)
    }

    fn file_end(&self) -> usize {
        self.offset.saturating_add(self.in_file)
    }
}

struct Loaded {
    text: Part,
    /// All of `PT_LOAD` but the notice, the text too, by address.
    segments: Vec<Part>,
    notice: Option<Part>,
    annotations: Part,
}

fn program_headers(file: Bytes<'_>, header: &Header) -> Result<Loaded> {
    let mut segments: Vec<Part> = Vec::new();
    let mut text = None;
    let mut notice = None;
    let mut annotations = None;
    let mut stack = false;
    for index in 0..usize::from(header.program_headers) {
        let at = HEADER.saturating_add(index.saturating_mul(PROGRAM_HEADER));
        let kind = file.u32(at)?;
        let part = part(file, at)?;
        match kind {
            PT_LOAD if part.address == notice::ADDRESS => {
                premise!(notice.is_none(), wrong(Feature::Notice, at));
                premise!(segments.is_empty(), wrong(Feature::SegmentOrder, at));
                premise!(the_notice(file, &part));
                notice = Some(part);
            }
            PT_LOAD => {
                premise!(segment(&part, segments.last()));
                if part.flags & PF_X != 0 {
                    premise!(text.is_none(), wrong(Feature::ManyTexts, at));
                    text = Some(part);
                }
                segments.push(part);
            }
            PT_TAL => {
                premise!(annotations.is_none(), wrong(Feature::ManyAnnotations, at));
                premise!(part.address == 0, wrong(Feature::AnnotationHeader, at));
                premise!(part.in_memory == 0, wrong(Feature::AnnotationHeader, at));
                premise!(part.flags == PF_R, wrong(Feature::AnnotationHeader, at));
                annotations = Some(part);
            }
            PT_GNU_STACK => {
                premise!(!stack, wrong(Feature::Stack, at));
                premise!(part.in_file == 0, wrong(Feature::Stack, at));
                premise!(part.in_memory == 0, wrong(Feature::Stack, at));
                premise!(part.address == 0, wrong(Feature::Stack, at));
                premise!(part.flags == PF_R | PF_W, wrong(Feature::Stack, at));
                stack = true;
            }
            2 => refuse!(wrong(Feature::Dynamic, at))?,
            3 => refuse!(wrong(Feature::Interpreter, at))?,
            7 => refuse!(wrong(Feature::Tls, at))?,
            _ => refuse!(wrong(Feature::ProgramHeaderType, at))?,
        }
    }
    premise!(stack, wrong(Feature::NoStack, HEADER));
    let text = text.ok_or(NotAdmitted { feature: Feature::NoText, offset: HEADER })?;
    let sized = u64::try_from(text.in_file) == Ok(text.in_memory);
    premise!(sized, wrong(Feature::TextSize, text.at.saturating_add(32)));
    let missing = NotAdmitted { feature: Feature::NoAnnotations, offset: HEADER };
    Ok(Loaded { text, segments, notice, annotations: annotations.ok_or(missing)? })
}

/// The fields of a program header of any type; its bytes are in the file.
fn part(file: Bytes<'_>, at: usize) -> Result<Part> {
    let field = |offset: usize| at.saturating_add(offset);
    let part = Part {
        at,
        flags: file.u32(field(4))?,
        offset: file.size(field(8))?,
        address: file.u64(field(16))?,
        in_file: file.size(field(32))?,
        in_memory: file.u64(field(40))?,
    };
    premise!(file.u64(field(24))? == part.address, wrong(Feature::PhysicalAddress, field(24)));
    let there = file.slice(part.offset, part.in_file).is_ok();
    premise!(there, wrong(Feature::Truncated, field(8)));
    let align = file.u64(field(48))?;
    let aligned = match file.u32(at)? {
        PT_LOAD => align == PAGE,
        _ => matches!(align, 0 | 1 | 2 | 4 | 8 | 16),
    };
    premise!(aligned, wrong(Feature::Alignment, field(48)));
    Ok(part)
}

/// A `PT_LOAD` that comes after `last`.
fn segment(part: &Part, last: Option<&Part>) -> Result<()> {
    let field = |offset: usize| part.at.saturating_add(offset);
    premise!(part.flags & (PF_W | PF_X) != PF_W | PF_X, wrong(Feature::WriteExecute, field(4)));
    let known = [PF_R, PF_R | PF_X, PF_R | PF_W].contains(&part.flags);
    premise!(known, wrong(Feature::SegmentFlags, field(4)));
    premise!(part.address.is_multiple_of(PAGE), wrong(Feature::Alignment, field(16)));
    let offset = u64::try_from(part.offset).unwrap_or(u64::MAX);
    premise!(offset.is_multiple_of(PAGE), wrong(Feature::Congruence, field(8)));
    // Nothing to map: a mapping without length is none, and a host that made one would have to know
    // what that means.
    premise!(part.in_memory > 0, wrong(Feature::EmptySegment, field(40)));
    let in_file = u64::try_from(part.in_file).unwrap_or(u64::MAX);
    premise!(in_file <= part.in_memory, wrong(Feature::FileSize, field(32)));
    // Zeroes that nobody writes would cost the kernel memory and the file nothing.
    let filled = part.flags != PF_R || in_file == part.in_memory;
    premise!(filled, wrong(Feature::ConstantsSize, field(40)));
    premise!(part.address >= IMAGE_LOW, wrong(Feature::AddressRange, field(16)));
    let end = part.address.checked_add(part.in_memory);
    let inside = end.is_some_and(|end| end <= IMAGE_HIGH);
    premise!(inside, wrong(Feature::AddressRange, field(16)));
    // `part` starts a page, so it shares none with `last` if it starts at or after its end.
    let ordered = last.is_none_or(|last| last.end() <= part.address);
    premise!(ordered, wrong(Feature::SegmentOrder, field(16)));
    Ok(())
}

/// The one `PT_LOAD` that is no segment: where it must be, as large as it must be, byte for byte.
fn the_notice(file: Bytes<'_>, part: &Part) -> Result<()> {
    let field = |offset: usize| part.at.saturating_add(offset);
    premise!(part.flags == PF_R | PF_X, wrong(Feature::Notice, field(4)));
    premise!(part.offset == notice::OFFSET, wrong(Feature::Notice, field(8)));
    let in_file = u64::try_from(part.in_file).unwrap_or(u64::MAX);
    premise!(in_file == part.in_memory, wrong(Feature::Notice, field(40)));
    let bytes = file.slice(part.offset, part.in_file)?;
    premise!(bytes == notice::BYTES, wrong(Feature::Notice, part.offset));
    Ok(())
}

/// Headers, segments and annotations use different bytes of the file.
fn disjoint_in_file(header: &Header, loaded: &Loaded) -> Result<()> {
    let headers = usize::from(header.program_headers).saturating_mul(PROGRAM_HEADER);
    let table = usize::from(header.sections).saturating_mul(SECTION_HEADER);
    let mut ranges = Vec::new();
    ranges.push((0, HEADER.saturating_add(headers), 0));
    ranges.push((header.sections_at, header.sections_at.saturating_add(table), 40));
    for part in loaded.segments.iter().chain(&loaded.notice).chain([&loaded.annotations]) {
        ranges.push((part.offset, part.file_end(), part.at.saturating_add(8)));
    }
    ranges.retain(|(start, end, _)| start < end);
    ranges.sort_unstable();
    let mut last = 0;
    for (start, end, at) in ranges {
        premise!(last <= start, wrong(Feature::FileOverlap, at));
        last = end;
    }
    Ok(())
}

const SHF_WRITE: u64 = 1;
const SHF_ALLOC: u64 = 2;
const SHF_EXEC: u64 = 4;
const SHF_MERGE: u64 = 0x10;
const SHF_STRINGS: u64 = 0x20;
const SHT_NULL: u32 = 0;
const SHT_PROGBITS: u32 = 1;
const SHT_SYMTAB: u32 = 2;
const SHT_STRTAB: u32 = 3;
const SHT_NOBITS: u32 = 8;

/// Tools that read section headers must see what was judged.
fn section_headers(file: Bytes<'_>, header: &Header, loaded: &Loaded) -> Result<()> {
    if header.sections == 0 {
        return Ok(());
    }
    let table = usize::from(header.sections).saturating_mul(SECTION_HEADER);
    file.slice(header.sections_at, table)?;
    let names = section_names(file, header)?;
    let mut annotated = false;
    for index in 0..usize::from(header.sections) {
        let at = section_at(header, index);
        let section = section(file, at)?;
        let flags_known = SHF_WRITE | SHF_ALLOC | SHF_EXEC | SHF_MERGE | SHF_STRINGS;
        premise!(
            section.flags & !flags_known == 0,
            wrong(Feature::SectionFlags, at.saturating_add(8))
        );
        match section.kind {
            SHT_NULL | SHT_PROGBITS | SHT_SYMTAB | SHT_STRTAB | SHT_NOBITS => {}
            _ => refuse!(wrong(Feature::SectionType, at.saturating_add(4)))?,
        }
        if section.flags & SHF_ALLOC != 0 {
            premise!(loaded_section(&section, loaded));
        } else {
            let bare = section.flags & (SHF_WRITE | SHF_EXEC) == 0;
            premise!(bare, wrong(Feature::SectionFlags, at.saturating_add(8)));
            premise!(section.address == 0, wrong(Feature::SectionFlags, at.saturating_add(16)));
            let there =
                section.kind == SHT_NOBITS || file.slice(section.offset, section.size).is_ok();
            premise!(there, wrong(Feature::Truncated, at.saturating_add(24)));
        }
        if name(names, section.name) == Some(b".tal".as_slice()) {
            let part = &loaded.annotations;
            premise!(section.offset == part.offset, wrong(Feature::SectionTal, at));
            premise!(section.size == part.in_file, wrong(Feature::SectionTal, at));
            premise!(section.flags == 0, wrong(Feature::SectionTal, at));
            premise!(section.kind == SHT_PROGBITS, wrong(Feature::SectionTal, at));
            premise!(!annotated, wrong(Feature::SectionTal, at));
            annotated = true;
        }
    }
    premise!(annotated, wrong(Feature::SectionTal, header.sections_at));
    Ok(())
}

struct Section {
    at: usize,
    name: usize,
    kind: u32,
    flags: u64,
    address: u64,
    offset: usize,
    size: usize,
}

fn section_at(header: &Header, index: usize) -> usize {
    header.sections_at.saturating_add(index.saturating_mul(SECTION_HEADER))
}

fn section(file: Bytes<'_>, at: usize) -> Result<Section> {
    let field = |offset: usize| at.saturating_add(offset);
    let short = NotAdmitted { feature: Feature::Truncated, offset: at };
    Ok(Section {
        at,
        name: usize::try_from(file.u32(at)?).map_err(|_| short)?,
        kind: file.u32(field(4))?,
        flags: file.u64(field(8))?,
        address: file.u64(field(16))?,
        offset: file.size(field(24))?,
        size: file.size(field(32))?,
    })
}

fn section_names<'a>(file: Bytes<'a>, header: &Header) -> Result<&'a [u8]> {
    let at = section_at(header, usize::from(header.names));
    let section = section(file, at)?;
    premise!(section.kind == SHT_STRTAB, wrong(Feature::SectionNames, at.saturating_add(4)));
    file.slice(section.offset, section.size)
}

/// The zero-terminated name at this place of the string table.
fn name(names: &[u8], at: usize) -> Option<&[u8]> {
    let rest = names.get(at..)?;
    let end = rest.iter().position(|b| *b == 0)?;
    rest.get(..end)
}

/// A section with `SHF_ALLOC` lies in a segment of the same rights, at the same place of the file.
fn loaded_section(section: &Section, loaded: &Loaded) -> Result<()> {
    let field = |offset: usize| section.at.saturating_add(offset);
    let size = u64::try_from(section.size).unwrap_or(u64::MAX);
    let end = section.address.checked_add(size);
    let holds = |p: &&Part| p.address <= section.address && end.is_some_and(|end| end <= p.end());
    let part = loaded.segments.iter().find(holds);
    let part = part.ok_or(NotAdmitted { feature: Feature::SectionPlace, offset: field(16) })?;
    let written = (section.flags & SHF_WRITE != 0) == (part.flags & PF_W != 0);
    premise!(written, wrong(Feature::SectionFlags, field(8)));
    let executed = (section.flags & SHF_EXEC != 0) == (part.flags & PF_X != 0);
    premise!(executed, wrong(Feature::SectionFlags, field(8)));
    let inside = section.address.saturating_sub(part.address);
    let in_file = u64::try_from(part.in_file).unwrap_or(0);
    match section.kind {
        SHT_PROGBITS => {
            let offset = usize::try_from(inside).ok().and_then(|d| part.offset.checked_add(d));
            premise!(offset == Some(section.offset), wrong(Feature::SectionPlace, field(24)));
            let last = inside.saturating_add(size);
            premise!(last <= in_file, wrong(Feature::SectionPlace, field(24)));
        }
        SHT_NOBITS => premise!(inside >= in_file, wrong(Feature::SectionPlace, field(24))),
        _ => refuse!(wrong(Feature::SectionType, field(4)))?,
    }
    Ok(())
}

/// Everything was checked; what remains cannot fail except by a mistake above.
fn image<'a>(file: Bytes<'a>, header: &Header, loaded: &Loaded) -> Result<Image<'a>> {
    let narrow = |value: u64, at: usize| {
        let out = NotAdmitted { feature: Feature::AddressRange, offset: at };
        u32::try_from(value).map_err(|_| out)
    };
    let text = &loaded.text;
    let entry = if loaded.notice.is_some() {
        premise!(header.entry == notice::ADDRESS, wrong(Feature::Entry, 24));
        None
    } else {
        premise!(text.address <= header.entry, wrong(Feature::Entry, 24));
        premise!(header.entry < text.end(), wrong(Feature::Entry, 24));
        Some(narrow(header.entry, 24)?)
    };
    let mut data = Vec::new();
    for part in loaded.segments.iter().filter(|part| part.flags & PF_X == 0) {
        data.push(Segment {
            address: narrow(part.address, part.at)?,
            size: narrow(part.in_memory, part.at)?,
            bytes: file.slice(part.offset, part.in_file)?,
            writable: part.flags & PF_W != 0,
        });
    }
    Ok(Image {
        text: file.slice(text.offset, text.in_file)?,
        text_address: narrow(text.address, text.at)?,
        data,
        annotations: file.slice(loaded.annotations.offset, loaded.annotations.in_file)?,
        entry,
    })
}
