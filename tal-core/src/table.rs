//! TCB. The one instruction table (core.md 4.9): which encodings are accepted, how the decoder
//! reads them, which rule they have, what they write.
//!
//! The decoder reads by the [`Encoding`]s of [`ROWS`] and by nothing else, and matches on [`Form`]
//! without a wildcard, so table and decoder cannot disagree. The declared registers and flags are
//! compared with the processor and with another decoder's statement by `tests/cpu_oracle.rs`.

mod encoding;
mod rows;

pub use encoding::{Encoding, F2, F3, HALF, Immediate, Place, Repeats, WIDE, Widths};
pub use rows::ROWS;

use crate::decode::{Alu, BitCount, BitTest, Shift, Unary, Width};
use crate::error::Rule;
use crate::state::FlagSet;
use crate::ty::Reg;

/// First version of the calculus that has the row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "named in core.md")]
pub enum Stage {
    V1,
    V2,
}

/// A CPU feature that an image may need. The header of the object lists them (trap 134).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "the names are the manual's")]
pub enum Feature {
    Popcnt,
    Bmi1,
    Lzcnt,
}

impl Feature {
    /// Its bit in a feature word: CPUID.1:ECX.23, CPUID.7:EBX.3, CPUID.80000001h:ECX.5 in order.
    #[must_use]
    pub fn bit(self) -> u8 {
        match self {
            Feature::Popcnt => 1,
            Feature::Bmi1 => 2,
            Feature::Lzcnt => 4,
        }
    }
}

/// Something that an instruction writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The first operand, register or memory.
    First,
    /// The second operand.
    Second,
    /// This register, at the operand width.
    Reg(Reg),
    /// Memory that is no listed operand.
    Memory,
    /// rcx, if there is a repeat prefix.
    Count,
}

/// How the decoder reads the operands of a row's encodings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each is the row of that name")]
pub enum Form {
    Mov,
    Extend { signed: bool },
    Convert,
    SignCopy,
    Lea,
    Alu(Alu),
    Compare,
    Test,
    Unary(Unary),
    Imul,
    MulWide,
    Shift(Shift),
    ShiftCl,
    Rotate,
    Bswap,
    ShiftDouble,
    Div,
    Idiv,
    Cmov,
    Setcc,
    Xchg,
    Push,
    Pop,
    Leave,
    Call,
    Ret,
    Jmp,
    Jcc,
    Movs,
    Stos,
    Lodsb,
    Cmpsb,
    Scasb,
    BitCount(BitCount),
    BitTest(BitTest),
    Nop,
    Fence,
    Int3,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The rule that judges it.
    pub rule: Rule,
    /// Mnemonics, as in the specification.
    pub name: &'static str,
    /// How its operands are read.
    pub form: Form,
    /// First version that has it.
    pub stage: Stage,
    /// What it writes.
    pub writes: &'static [Target],
    /// Flags it reads, besides those of a condition.
    pub reads: FlagSet,
    /// Flags it surely writes.
    pub sure: FlagSet,
    /// Flags it may write or leave undefined, besides `sure`.
    pub may: FlagSet,
    /// CPU feature without which the encoding means something else.
    pub feature: Option<Feature>,
    /// The result, in one or two sentences.
    pub doc: &'static str,
    /// The accepted encodings.
    pub encodings: &'static [Encoding],
    /// Strings of bytes that are accepted exactly as they stand: all there is of a row that reads
    /// no operand.
    pub strings: &'static [&'static [u8]],
}

/// `endbr64`
pub const ENDBR64: &[u8] = &[0xF3, 0x0F, 0x1E, 0xFA];

/// REX.R, X, B: the bits that bring in r8 to r15.
pub(crate) const R: u8 = 4;
pub(crate) const X: u8 = 2;
pub(crate) const B: u8 = 1;

/// An encoding, where the decoder looks for it, with what follows from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) row: &'static Row,
    pub(crate) form: Form,
    pub(crate) encoding: Encoding,
    /// A bit for each set of prefixes that it may have.
    prefixes: u16,
    /// By 66 and REX.W: the width, and the bytes of the immediate.
    chosen: [(Width, u8); 4],
    /// The bits of REX that bring in no register if all its operands are registers.
    pub(crate) unused: u8,
    /// Is one of its operands a byte?
    pub(crate) has_bytes: bool,
}

impl Entry {
    /// May it have these prefixes?
    #[inline(always)]
    pub(crate) fn allows(&self, prefixes: u8) -> bool {
        (self.prefixes >> (prefixes & 15)) & 1 != 0
    }

    /// The width that these prefixes choose, and the bytes of the immediate.
    #[inline(always)]
    pub(crate) fn chosen(&self, prefixes: u8) -> (Width, u8) {
        let chosen = self.chosen.get(usize::from(prefixes & (HALF | WIDE)));
        chosen.copied().unwrap_or((Width::W64, 0))
    }
}

/// The encoding of an opcode, as [`Encoding::opcode`] writes it; of a group of opcodes, the one
/// that the reg field of this ModRM byte chooses.
#[inline(always)]
pub(crate) fn find(opcode: u16, modrm: u8) -> Option<&'static Entry> {
    let [low, map] = opcode.to_le_bytes();
    let opcodes = if map == 0 { &ONE_BYTE } else { &TWO_BYTES };
    let number = opcodes.get(usize::from(low))?.get(usize::from((modrm >> 3) & 7))?;
    ENCODINGS.get(usize::from(*number))
}

/// The string of [`Row::strings`] with which these bytes begin, and its row.
#[cold]
pub(crate) fn whole(bytes: &[u8]) -> Option<(&'static Row, &'static [u8])> {
    let begins = |(_, string): &&(&Row, &[u8])| bytes.starts_with(string);
    STRINGS.iter().find(begins).copied()
}

type Index = [[u8; 8]; 256];

/// No encoding.
const NONE: u8 = 255;

/// By opcode and reg field the place in [`ENCODINGS`], or [`NONE`]. No references, which a start of
/// the program would have to relocate.
static ONE_BYTE: Index = index(0);
static TWO_BYTES: Index = index(0x0F00);
static ENCODINGS: [Entry; encodings()] = flat();
static STRINGS: [(&Row, &[u8]); strings()] = flat_strings();

const fn encodings() -> usize {
    let (mut row, mut count) = (0, 0);
    while row < ROWS.len() {
        count += ROWS[row].encodings.len();
        row += 1;
    }
    assert!(count < NONE as usize, "places are bytes");
    count
}

const fn strings() -> usize {
    let (mut row, mut count) = (0, 0);
    while row < ROWS.len() {
        count += ROWS[row].strings.len();
        row += 1;
    }
    count
}

const fn entry(row: &'static Row, encoding: Encoding) -> Entry {
    let (mut prefixes, mut set) = (0, 0);
    while set < 16 {
        let allowed = encoding.widths.allow(set) && encoding.repeats.allow(set);
        // F2 and F3 never stand together.
        if allowed && set & (F2 | F3) != F2 | F3 {
            prefixes |= 1 << set;
        }
        set += 1;
    }
    let is_byte = matches!(encoding.widths.plain, Width::W8);
    let has_bytes = is_byte || matches!(encoding.from, Some(Width::W8));
    let unused = match (encoding.place, encoding.digit) {
        (Place::Implied, _) => R | X | B,
        // In a group, the bits of the other register are a part of the opcode.
        (Place::Opcode, _) | (_, Some(_)) => R | X,
        _ => X,
    };
    let chosen =
        [choice(encoding, 0), choice(encoding, 1), choice(encoding, 2), choice(encoding, 3)];
    let form = row.form;
    Entry { row, form, encoding, prefixes, chosen, unused, has_bytes }
}

const fn choice(encoding: Encoding, prefixes: u8) -> (Width, u8) {
    let width = encoding.widths.chosen(prefixes);
    (width, encoding.immediate.size(width))
}

const fn flat() -> [Entry; encodings()] {
    let mut flat = [entry(&ROWS[0], ROWS[0].encodings[0]); encodings()];
    let (mut row, mut place) = (0, 0);
    while row < ROWS.len() {
        let mut i = 0;
        while i < ROWS[row].encodings.len() {
            flat[place] = entry(&ROWS[row], ROWS[row].encodings[i]);
            place += 1;
            i += 1;
        }
        row += 1;
    }
    flat
}

const fn flat_strings() -> [(&'static Row, &'static [u8]); strings()] {
    let mut flat: [(&Row, &[u8]); strings()] = [(&ROWS[0], &[]); strings()];
    let (mut row, mut place) = (0, 0);
    while row < ROWS.len() {
        let mut i = 0;
        while i < ROWS[row].strings.len() {
            flat[place] = (&ROWS[row], ROWS[row].strings[i]);
            place += 1;
            i += 1;
        }
        row += 1;
    }
    flat
}

/// Built by the compiler; two encodings of one opcode would not compile.
const fn index(map: u16) -> Index {
    let mut index = [[NONE; 8]; 256];
    let flat = flat();
    let mut place = 0;
    while place < flat.len() {
        let code = flat[place].encoding;
        let mut next = 0;
        while code.opcode & 0xFF00 == map && next < code.span as usize {
            let opcode = (code.opcode & 0xFF) as usize + next;
            let mut reg = 0;
            while reg < 8 {
                let of_this = match code.digit {
                    Some(digit) => digit as usize == reg,
                    None => true,
                };
                // 90 is no exchange of rax with itself, but `nop` (trap 4).
                if of_this && map | opcode as u16 != 0x90 {
                    assert!(index[opcode][reg] == NONE, "one encoding per opcode");
                    index[opcode][reg] = place as u8;
                }
                reg += 1;
            }
            next += 1;
        }
        place += 1;
    }
    index
}

impl FlagSet {
    /// No flag.
    pub const NONE: FlagSet = FlagSet(0);
    /// Carry.
    pub const CF: FlagSet = FlagSet(1);
    /// Parity.
    pub const PF: FlagSet = FlagSet(2);
    /// Auxiliary carry.
    pub const AF: FlagSet = FlagSet(4);
    /// Zero.
    pub const ZF: FlagSet = FlagSet(8);
    /// Sign.
    pub const SF: FlagSet = FlagSet(16);
    /// Overflow.
    pub const OF: FlagSet = FlagSet(32);
    /// All six.
    pub const ALL: FlagSet = FlagSet(63);

    /// Union.
    #[must_use]
    pub const fn with(self, other: FlagSet) -> FlagSet {
        FlagSet(self.0 | other.0)
    }

    /// Difference.
    #[must_use]
    pub const fn without(self, other: FlagSet) -> FlagSet {
        FlagSet(self.0 & !other.0)
    }

    /// Is every flag of `other` in it?
    #[must_use]
    pub const fn contains(self, other: FlagSet) -> bool {
        other.0 & !self.0 == 0
    }
}
