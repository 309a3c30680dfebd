//! TCB. The one instruction table (core.md 4.9): which encodings are accepted, how the decoder
//! reads them, which rule they have, what they write. What is refused stays listed with the reason.
//!
//! `decode` accepts exactly the codes of [`ROWS`], and matches on [`Form`] without a wildcard, so
//! table and decoder cannot disagree. The declared registers and flags are compared with the
//! processor and with the decoder's own statement by `tests/cpu_oracle.rs`.

mod refused;
mod rows;

pub use refused::{REFUSED, Reason, reason};
pub use rows::ROWS;

use crate::decode::{Alu, BitCount, BitTest, Shift, Unary};
use crate::error::Rule;
use crate::state::FlagSet;
use crate::ty::Reg;
use iced_x86::Code;

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

/// How the decoder reads the operands of a row's codes.
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
    pub codes: &'static [Code],
}

/// The row of a code, or `None`: refused.
#[must_use]
pub fn row_of(code: Code) -> Option<&'static Row> {
    let place = INDEX.get(code as usize).copied()?;
    ROWS.get(usize::from(place).checked_sub(1)?)
}

/// How many codes the decoder knows.
const CODES: usize = 4936;

/// For each code the number of its row plus one, or 0.
static INDEX: [u8; CODES] = index();

/// Built by the compiler; a code that stood in two rows would not compile.
#[allow(clippy::indexing_slicing, reason = "runs in the compiler only")]
const fn index() -> [u8; CODES] {
    let mut table = [0; CODES];
    let mut row = 0;
    while row < ROWS.len() {
        let mut i = 0;
        while i < ROWS[row].codes.len() {
            let code = ROWS[row].codes[i] as usize;
            assert!(table[code] == 0, "one row per code");
            row_fits(row);
            table[code] = (row + 1) as u8;
            i += 1;
        }
        row += 1;
    }
    table
}

const fn row_fits(row: usize) {
    assert!(row < 255, "row numbers are bytes");
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
