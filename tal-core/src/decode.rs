//! TCB. Machine bytes to instructions (core.md 4.9), with default deny: the opcode must stand in
//! the table, the bytes must be its one encoding, the operands must be of the table's kinds.
//!
//! "One encoding" (trap 130): prefixes 66, F2, F3 and REX only where the opcode needs them, in this
//! order; every bit of REX is used; no redundant SIB byte, the shortest displacement. Opcode and
//! size of the immediate are chosen by the code. So no decoder can read the bytes differently.
//!
//! Below are the words in which the rules speak of an instruction; `decode/read.rs` reads it.

mod read;

use crate::error::{Error, Kind, Rule};
use crate::image::Image;
use crate::judge::Result;
use crate::state::FlagSet;
use crate::table::Row;
use crate::ty::Reg;

/// Operand width.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "bits")]
pub enum Width {
    W8,
    W16,
    W32,
    W64,
}

impl Width {
    /// 8, 16, 32 or 64.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            Width::W8 => 8,
            Width::W16 => 16,
            Width::W32 => 32,
            Width::W64 => 64,
        }
    }

    /// 1, 2, 4 or 8.
    #[must_use]
    pub fn bytes(self) -> u8 {
        self.bits() >> 3
    }
}

/// `[base + index * scale + disp]`; a rip-relative address is an absolute `disp` with no registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ea {
    /// Base register.
    pub base: Option<Reg>,
    /// Index register and scale: 1, 2, 4 or 8. Never rsp.
    pub index: Option<(Reg, u8)>,
    /// Displacement, sign-extended.
    pub disp: i64,
}

/// Register or memory: a destination, or a first operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "self-evident")]
pub enum Rm {
    Reg(Reg),
    Mem(Ea),
}

/// Any source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Src {
    /// Register.
    Reg(Reg),
    /// Memory.
    Mem(Ea),
    /// Immediate, sign-extended from the operand width.
    Imm(i64),
}

impl From<Rm> for Src {
    fn from(rm: Rm) -> Src {
        match rm {
            Rm::Reg(r) => Src::Reg(r),
            Rm::Mem(ea) => Src::Mem(ea),
        }
    }
}

/// Conditions in encoding order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "the names are the manual's")]
pub enum Cc {
    O,
    No,
    B,
    Ae,
    E,
    Ne,
    Be,
    A,
    S,
    Ns,
    P,
    Np,
    L,
    Ge,
    Le,
    G,
}

impl Cc {
    /// All sixteen, in encoding order.
    pub const ALL: [Cc; 16] = [
        Cc::O,
        Cc::No,
        Cc::B,
        Cc::Ae,
        Cc::E,
        Cc::Ne,
        Cc::Be,
        Cc::A,
        Cc::S,
        Cc::Ns,
        Cc::P,
        Cc::Np,
        Cc::L,
        Cc::Ge,
        Cc::Le,
        Cc::G,
    ];

    /// The opposite condition.
    #[must_use]
    pub fn negated(self) -> Cc {
        match self {
            Cc::O => Cc::No,
            Cc::No => Cc::O,
            Cc::B => Cc::Ae,
            Cc::Ae => Cc::B,
            Cc::E => Cc::Ne,
            Cc::Ne => Cc::E,
            Cc::Be => Cc::A,
            Cc::A => Cc::Be,
            Cc::S => Cc::Ns,
            Cc::Ns => Cc::S,
            Cc::P => Cc::Np,
            Cc::Np => Cc::P,
            Cc::L => Cc::Ge,
            Cc::Ge => Cc::L,
            Cc::Le => Cc::G,
            Cc::G => Cc::Le,
        }
    }

    /// The flags that it reads.
    #[must_use]
    pub fn flags(self) -> FlagSet {
        match self {
            Cc::O | Cc::No => FlagSet::OF,
            Cc::B | Cc::Ae => FlagSet::CF,
            Cc::E | Cc::Ne => FlagSet::ZF,
            Cc::Be | Cc::A => FlagSet::CF.with(FlagSet::ZF),
            Cc::S | Cc::Ns => FlagSet::SF,
            Cc::P | Cc::Np => FlagSet::PF,
            Cc::L | Cc::Ge => FlagSet::SF.with(FlagSet::OF),
            Cc::Le | Cc::G => FlagSet::ZF.with(FlagSet::SF).with(FlagSet::OF),
        }
    }
}

/// Two-operand arithmetic and logic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are the manual's")]
pub enum Alu {
    Add,
    Sub,
    Adc,
    Sbb,
    And,
    Or,
    Xor,
}

/// One-operand arithmetic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are the manual's")]
pub enum Unary {
    Inc,
    Dec,
    Neg,
    Not,
}

/// Shifts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are the manual's")]
pub enum Shift {
    Shl,
    Shr,
    Sar,
}

/// Bit counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are the manual's")]
pub enum BitCount {
    Popcnt,
    Tzcnt,
    Lzcnt,
}

/// `bt`, and those that also write their operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BitTest {
    /// Only tests.
    Bt,
    /// `bts btr btc`.
    Set,
}

/// String rows (all of `rules/strings.rs`). Only the forms that have a rule exist here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are the manual's; the width is 8 or 64 bits")]
pub enum StringOp {
    RepMovs(Width),
    RepStos(Width),
    Movsb,
    Stosb,
    Lodsb,
    RepeCmpsb,
    RepneScasb,
}

impl StringOp {
    /// Has it a repeat prefix, so that rcx counts?
    #[must_use]
    pub fn repeats(self) -> bool {
        !matches!(self, StringOp::Movsb | StringOp::Stosb | StringOp::Lodsb)
    }
}

/// A transfer of control. Targets are absolute addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// `jmp target`
    Jmp(u64),
    /// `jcc target`
    Jcc(Cc, u64),
    /// `jmp reg`
    JmpReg(Reg),
    /// `jmp [table + reg * 8]`
    JmpTable(Ea),
    /// `call target`
    Call(u64),
    /// `call reg`
    CallReg(Reg),
    /// `ret`
    Ret,
}

/// An instruction of the table, one variant per row family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each is the row of that name; fields as in the manual")]
pub enum Op {
    Mov {
        width: Width,
        dst: Rm,
        src: Src,
    },
    Extend {
        to: Width,
        dst: Reg,
        from: Width,
        src: Rm,
        signed: bool,
    },
    SignCopy {
        width: Width,
    },
    Lea {
        width: Width,
        dst: Reg,
        ea: Ea,
    },
    Alu {
        op: Alu,
        width: Width,
        dst: Rm,
        src: Src,
    },
    Cmp {
        width: Width,
        left: Rm,
        right: Src,
    },
    Test {
        width: Width,
        left: Rm,
        right: Src,
    },
    Unary {
        op: Unary,
        width: Width,
        dst: Rm,
    },
    Imul {
        width: Width,
        dst: Reg,
        left: Rm,
        right: Src,
    },
    MulWide {
        width: Width,
        src: Rm,
    },
    Shift {
        op: Shift,
        width: Width,
        dst: Rm,
        count: u8,
    },
    ShiftCl {
        op: Shift,
        width: Width,
        dst: Rm,
    },
    Rotate {
        width: Width,
        dst: Rm,
        by_cl: bool,
    },
    Bswap {
        width: Width,
        dst: Reg,
    },
    ShiftDouble {
        width: Width,
        dst: Rm,
        src: Reg,
    },
    Div {
        width: Width,
        src: Rm,
        signed: bool,
    },
    Cmov {
        cc: Cc,
        width: Width,
        dst: Reg,
        src: Rm,
    },
    Setcc {
        cc: Cc,
        dst: Reg,
    },
    Xchg {
        width: Width,
        left: Reg,
        right: Reg,
    },
    Push {
        src: Src,
    },
    Pop {
        dst: Reg,
    },
    Leave,
    String(StringOp),
    BitCount {
        op: BitCount,
        width: Width,
        dst: Reg,
        src: Rm,
    },
    BitTest {
        op: BitTest,
        width: Width,
        dst: Reg,
        bit: Src,
    },
    /// `nop`, `endbr64`, `pause`, fences.
    Nop,
    /// Padding that is never reached.
    Int3,
    Flow(Flow),
}

/// A decoded instruction.
#[derive(Clone, Copy, Debug)]
pub struct Decoded {
    /// What it does.
    pub op: Op,
    /// Bytes.
    pub length: u8,
    /// Its row: rule, declared effects, CPU feature.
    pub row: &'static Row,
    /// Is it `nop` or `int3`: may it stand between blocks?
    pub padding: bool,
    /// Is it `endbr64`?
    pub endbr: bool,
}

/// rule[decode]: the instruction at this text offset.
///
/// # Errors
/// [`Rule::RowRefused`] when no row has the opcode, or not with operands of this kind
/// (rule[row-refused]); [`Rule::Decode`] when the bytes are cut off, or not the one encoding of
/// what they mean.
pub fn decode(image: &Image<'_>, offset: u32) -> Result<Decoded> {
    decode_at(image.text, image.text_address, offset)
}

/// As [`decode`], for text alone.
///
/// # Errors
/// As [`decode`].
pub fn decode_at(text: &[u8], text_address: u32, offset: u32) -> Result<Decoded> {
    let bytes = usize::try_from(offset).ok().and_then(|start| text.get(start..));
    let address = u64::from(text_address).saturating_add(u64::from(offset));
    read::instruction(bytes.ok_or_else(undecodable)?, address)
}

fn undecodable() -> Error {
    Error::new(Rule::Decode, Kind::Undecodable)
}

fn refused(opcode: u16) -> Error {
    Error::new(Rule::RowRefused, Kind::Refused(opcode))
}
