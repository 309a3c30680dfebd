//! TCB. What the host is told. The layout is `struct tal_report` of `tal_judge.h`.

use crate::arena::Arena;
use core::fmt::{self, Write};
use loader::{Image, Verified};
use tal_core::error::Rule;

const SEGMENTS: usize = 9;
const IMPORTS: usize = tal_core::limits::IMPORTS;
const WORDS: usize = 256;
/// The longest instruction.
const INSTRUCTION: usize = 15;

/// Why not. Zero is yes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum Reason {
    /// Safe to run.
    Admitted = 0,
    /// Not the one form of ELF file that is admitted.
    File = 1,
    /// The judge says no.
    Code = 2,
    /// The file starts elsewhere than what was judged.
    Start = 3,
    /// The arena is used up.
    Memory = 4,
    /// The host wanted an end.
    Interrupted = 5,
    /// A mistake in the judge: a panic. Also what stands here until there is a verdict.
    Broken = 6,
}

/// A part of the file and where it belongs in memory; the rest of its last page is zero, or `int3`
/// in the text.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Segment {
    address: u64,
    /// Bytes in memory.
    size: u64,
    /// Offset and bytes in the file.
    offset: u64,
    in_file: u64,
    rights: u32,
    pad: u32,
}

const READ: u32 = 4;
const WRITE: u32 = 2;
const EXECUTE: u32 = 1;

/// The verdict.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Report {
    reason: u32,
    /// Which CPU features the text needs.
    features: u32,
    entry: u64,
    /// Most bytes of the arena that were in use.
    peak: u64,
    /// Text offset of the instruction that is refused.
    site: u64,
    segment_count: u32,
    import_count: u32,
    /// Bytes of `instruction`; zero if none is refused.
    instruction_size: u32,
    words_size: u32,
    segments: [Segment; SEGMENTS],
    /// Import numbers by gate number.
    imports: [u16; IMPORTS],
    rule: [u8; 32],
    instruction: [u8; 16],
    /// Why not, for people; as in `tal-load verify`.
    words: [u8; WORDS],
}

impl Report {
    /// No verdict yet.
    pub(crate) fn clear(&mut self) {
        let none = Segment { address: 0, size: 0, offset: 0, in_file: 0, rights: 0, pad: 0 };
        *self = Report {
            reason: Reason::Broken as u32,
            features: 0,
            entry: 0,
            peak: 0,
            site: 0,
            segment_count: 0,
            import_count: 0,
            instruction_size: 0,
            words_size: 0,
            segments: [none; SEGMENTS],
            imports: [0; IMPORTS],
            rule: [0; 32],
            instruction: [0; 16],
            words: [0; WORDS],
        };
    }

    pub(crate) fn admit(&mut self) {
        self.reason = Reason::Admitted as u32;
    }

    pub(crate) fn refuse(&mut self, reason: Reason, words: fmt::Arguments<'_>) {
        self.reason = reason as u32;
        self.words_size = 0;
        // What does not fit is cut off.
        let _ = self.write_fmt(words);
    }

    /// The rule and the bytes of the instruction that is refused.
    pub(crate) fn place(&mut self, file: &[u8], rule: Rule, site: u32) {
        self.site = u64::from(site);
        for (to, from) in self.rule.iter_mut().zip(rule.name().bytes()) {
            *to = from;
        }
        let Ok(image) = Image::parse(file) else { return };
        let rest = usize::try_from(site).ok().and_then(|at| image.text().get(at..));
        for (to, from) in
            self.instruction.iter_mut().zip(rest.unwrap_or_default()).take(INSTRUCTION)
        {
            *to = *from;
            self.instruction_size = self.instruction_size.saturating_add(1);
        }
    }

    /// What to map, and which functions go behind the gates. False when there is no room for it,
    /// which does not happen.
    pub(crate) fn describe(&mut self, file: &[u8], program: &Verified<'_>) -> bool {
        let image = program.image();
        self.entry = u64::from(program.entry());
        self.features = u32::from(program.features());
        let text = (image.text_address(), image.text().len() as u64, image.text(), READ | EXECUTE);
        let data = image.data().iter().map(|s| {
            let rights = if s.writable { READ | WRITE } else { READ };
            (s.address, u64::from(s.size), s.bytes, rights)
        });
        for (address, size, bytes, rights) in core::iter::once(text).chain(data) {
            let Some(offset) = bytes.as_ptr().addr().checked_sub(file.as_ptr().addr()) else {
                return false;
            };
            let at = usize::try_from(self.segment_count).ok();
            let Some(place) = at.and_then(|at| self.segments.get_mut(at)) else { return false };
            let (offset, in_file) = (offset as u64, bytes.len() as u64);
            *place = Segment { address: u64::from(address), size, offset, in_file, rights, pad: 0 };
            self.segment_count = self.segment_count.saturating_add(1);
        }
        let imports = program.imports();
        for (to, from) in self.imports.iter_mut().zip(imports) {
            *to = *from;
        }
        self.import_count = u32::try_from(imports.len()).unwrap_or(u32::MAX);
        imports.len() <= IMPORTS
    }

    /// What the arena can tell at the end.
    pub(crate) fn finish(&mut self, arena: *mut Arena) {
        // SAFETY: `arena` is the judging's own, and nobody else looks at it now.
        self.peak = unsafe { (*arena).peak() } as u64;
    }
}

impl Write for Report {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let at = usize::try_from(self.words_size).map_err(|_| fmt::Error)?;
            *self.words.get_mut(at).ok_or(fmt::Error)? = byte;
            self.words_size = self.words_size.saturating_add(1);
        }
        Ok(())
    }
}
