//! TCB. How a row says which bytes it accepts: an opcode, the prefixes it may have, where its
//! operands are. The decoder reads by nothing else.

use crate::decode::Width;

/// Prefixes, as bits: 66, REX.W, F2, F3. One of the last two at most.
pub const HALF: u8 = 1;
/// REX.W
pub const WIDE: u8 = 2;
/// The byte.
pub const F2: u8 = 4;
/// The byte.
pub const F3: u8 = 8;

/// Operand widths: what neither 66 nor REX.W means, and which of them may stand there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Widths {
    /// Without a prefix.
    pub plain: Width,
    /// A bit for each choice: 0 neither, 1 66, 2 REX.W. Both together are never listed.
    choices: u8,
}

/// Always 8 bits.
pub(super) const BYTE: Widths = Widths { plain: Width::W8, choices: 0b001 };
/// 32 bits, 16 by 66, 64 by REX.W.
pub(super) const WORD: Widths = Widths { plain: Width::W32, choices: 0b111 };
/// 32 bits, 64 by REX.W.
pub(super) const LONG: Widths = Widths { plain: Width::W32, choices: 0b101 };
/// 64 bits, by REX.W only.
pub(super) const QUAD: Widths = Widths { plain: Width::W64, choices: 0b100 };
/// 64 bits by itself, or no width at all.
pub(super) const FREE: Widths = Widths { plain: Width::W64, choices: 0b001 };

impl Widths {
    /// May these prefixes stand there, as to the width?
    #[must_use]
    pub const fn allow(self, prefixes: u8) -> bool {
        (self.choices >> (prefixes & (HALF | WIDE))) & 1 != 0
    }

    /// Do these prefixes choose a width, listed or not?
    #[must_use]
    pub fn vary(self, prefixes: u8) -> bool {
        self.choices != FREE.choices && prefixes & (HALF | WIDE) != HALF | WIDE
    }

    /// The width that they choose.
    #[must_use]
    pub const fn chosen(self, prefixes: u8) -> Width {
        if prefixes & WIDE != 0 {
            Width::W64
        } else if prefixes & HALF != 0 {
            Width::W16
        } else {
            self.plain
        }
    }
}

/// F2 or F3 before an opcode, or neither: which of the three may be, by their bits; 1 is neither.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Repeats(u8);

impl Repeats {
    /// May these prefixes stand there, as to F2 and F3?
    #[must_use]
    pub const fn allow(self, prefixes: u8) -> bool {
        let repeats = prefixes & (F2 | F3);
        self.0 & if repeats == 0 { 1 } else { repeats } != 0
    }

    /// Is one of them a part of the opcode?
    #[must_use]
    pub fn matter(self) -> bool {
        self.0 != 1
    }
}

/// Where the operand is that the manual calls r/m.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Nowhere: it is rax, or there is none.
    Implied,
    /// A register in the low bits of the opcode.
    Opcode,
    /// A register or memory, by ModRM.
    Any,
    /// By ModRM, a register only.
    Register,
    /// By ModRM, memory only.
    Memory,
}

impl Place {
    /// Is there a ModRM byte?
    #[must_use]
    pub const fn has_modrm(self) -> bool {
        matches!(self, Place::Any | Place::Register | Place::Memory)
    }
}

/// What follows the operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Immediate {
    /// Nothing.
    None,
    /// Nothing: the constant 1.
    One,
    /// Nothing: cl.
    Cl,
    /// A byte.
    Byte,
    /// A byte: how far to shift. At 32 bits never 0 modulo 32.
    Count,
    /// Two bytes if the operand has 16 bits, else four.
    Long,
    /// As many bytes as the operand has.
    Full,
    /// The distance to a target, a byte.
    Near,
    /// The distance to a target, four bytes.
    Far,
}

impl Immediate {
    /// Its bytes, beside an operand of this width.
    #[must_use]
    pub const fn size(self, width: Width) -> u8 {
        match (self, width) {
            (Immediate::None | Immediate::One | Immediate::Cl, _) => 0,
            (Immediate::Byte | Immediate::Count | Immediate::Near, _) => 1,
            (Immediate::Long | Immediate::Full, Width::W16) => 2,
            (Immediate::Full, Width::W64) => 8,
            (Immediate::Long | Immediate::Full | Immediate::Far, _) => 4,
        }
    }
}

/// An opcode, and what belongs to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Encoding {
    /// `0xAF` or `0x0FAF`; the first of `span` neighbours.
    pub opcode: u16,
    /// 8 with a register in the low bits, 16 with a condition there, 1 otherwise.
    pub span: u8,
    /// The reg field of ModRM where it is no operand.
    pub digit: Option<u8>,
    /// Of the operands.
    pub widths: Widths,
    /// F2, F3.
    pub repeats: Repeats,
    /// The r/m operand.
    pub place: Place,
    /// Is the register of the reg field the destination?
    pub to_reg: bool,
    /// The width of the r/m operand, if it is another.
    pub from: Option<Width>,
    /// The last operand.
    pub immediate: Immediate,
}

/// `op r/m, reg`
pub(super) const fn rm_reg(opcode: u16, widths: Widths) -> Encoding {
    let repeats = Repeats(1);
    let (digit, from, immediate) = (None, None, Immediate::None);
    let place = Place::Any;
    Encoding { opcode, span: 1, digit, widths, repeats, place, to_reg: false, from, immediate }
}

/// `op reg, r/m`
pub(super) const fn reg_rm(opcode: u16, widths: Widths) -> Encoding {
    Encoding { to_reg: true, ..rm_reg(opcode, widths) }
}

/// `op r/m`
pub(super) const fn rm(opcode: u16, digit: u8, widths: Widths) -> Encoding {
    Encoding { digit: Some(digit), ..rm_reg(opcode, widths) }
}

/// `op reg`, the register in the opcode.
pub(super) const fn in_opcode(opcode: u16, widths: Widths) -> Encoding {
    Encoding { place: Place::Opcode, span: 8, ..rm_reg(opcode, widths) }
}

/// `op rax`, or no operand.
pub(super) const fn implied(opcode: u16, widths: Widths) -> Encoding {
    Encoding { place: Place::Implied, ..rm_reg(opcode, widths) }
}

impl Encoding {
    pub(super) const fn then(self, immediate: Immediate) -> Encoding {
        Encoding { immediate, ..self }
    }

    pub(super) const fn registers(self) -> Encoding {
        Encoding { place: Place::Register, ..self }
    }

    pub(super) const fn memory(self) -> Encoding {
        Encoding { place: Place::Memory, ..self }
    }

    pub(super) const fn conditions(self) -> Encoding {
        Encoding { span: 16, ..self }
    }

    pub(super) const fn from(self, from: Width) -> Encoding {
        Encoding { from: Some(from), ..self }
    }

    pub(super) const fn f2(self) -> Encoding {
        Encoding { repeats: Repeats(F2), ..self }
    }

    pub(super) const fn f3(self) -> Encoding {
        Encoding { repeats: Repeats(F3), ..self }
    }

    pub(super) const fn maybe_f3(self) -> Encoding {
        Encoding { repeats: Repeats(1 | F3), ..self }
    }
}
