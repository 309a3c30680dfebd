//! TCB. Machine bytes to instructions (core.md 4.9), by iced-x86 with default deny: the code must
//! stand in the table, the bytes must be its one encoding, the operands must be of the table's
//! kinds.
//!
//! "One encoding" (trap 130): prefixes 66, F2, F3 and REX only where the code needs them, in this
//! order; every bit of REX is used; no redundant SIB byte, the shortest displacement. Opcode and
//! size of the immediate are chosen by the code. So no decoder can read the bytes differently.

mod canon;

use crate::error::{Error, Kind, Rule};
use crate::image::Image;
use crate::judge::Result;
use crate::state::FlagSet;
use crate::table::{Form, Row, row_of};
use crate::ty::Reg;
use iced_x86::{Code, ConditionCode, Decoder, DecoderOptions, Instruction, OpKind, Register};

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
/// [`Rule::Decode`] when the bytes are no instruction, or not the one encoding of it;
/// [`Rule::RowRefused`] when it has no row (rule[row-refused]).
pub fn decode(image: &Image<'_>, offset: u32) -> Result<Decoded> {
    decode_at(image.text, image.text_address, offset)
}

/// A text that is decoded instruction by instruction.
pub(crate) struct Text<'a> {
    bytes: &'a [u8],
    address: u32,
    decoder: Decoder<'a>,
}

impl<'a> Text<'a> {
    /// # Errors
    /// When the text would not fit into the address space.
    pub(crate) fn new(bytes: &'a [u8], address: u32) -> Result<Self> {
        let decoder = Decoder::try_with_ip(64, bytes, u64::from(address), DecoderOptions::NONE);
        Ok(Text { bytes, address, decoder: decoder.map_err(|_| undecodable())? })
    }

    /// As [`decode`].
    ///
    /// # Errors
    /// As [`decode`].
    pub(crate) fn at(&mut self, offset: u32) -> Result<Decoded> {
        let start = usize::try_from(offset).map_err(|_| undecodable())?;
        self.decoder.set_position(start).map_err(|_| undecodable())?;
        self.decoder.set_ip(u64::from(self.address).saturating_add(u64::from(offset)));
        let instruction = self.decoder.decode();
        premise!(!instruction.is_invalid(), undecodable());
        let bytes = self.bytes.get(start..).and_then(|rest| rest.get(..instruction.len()));
        let bytes = bytes.ok_or_else(undecodable)?;
        let length = u8::try_from(bytes.len()).map_err(|_| undecodable())?;
        let row = row_of(instruction.code()).ok_or_else(|| refused(&instruction))?;
        let op = operation(&instruction, row.form, bytes)?;
        premise!(canon::canonical(&instruction, &op, bytes), undecodable());
        let padding = matches!(row.form, Form::Nop | Form::Int3);
        Ok(Decoded { op, length, row, padding, endbr: instruction.code() == Code::Endbr64 })
    }
}

/// As [`decode`], for text alone.
///
/// # Errors
/// As [`decode`].
pub fn decode_at(text: &[u8], text_address: u32, offset: u32) -> Result<Decoded> {
    Text::new(text, text_address)?.at(offset)
}

fn undecodable() -> Error {
    Error::new(Rule::Decode, Kind::Undecodable)
}

fn refused(i: &Instruction) -> Error {
    Error::new(Rule::RowRefused, Kind::Refused(i.code() as u16))
}

/// The operands by the form of the row. Exhaustive: a new form does not compile without its reader.
fn operation(i: &Instruction, form: Form, bytes: &[u8]) -> Result<Op> {
    Ok(match form {
        Form::Mov => Op::Mov { width: width(i, 0)?, dst: rm(i, 0)?, src: src(i, 1)? },
        Form::Extend { signed } => extend(i, signed)?,
        Form::Convert => convert(i)?,
        Form::SignCopy if i.code() == Code::Cqo => Op::SignCopy { width: Width::W64 },
        Form::SignCopy => Op::SignCopy { width: Width::W32 },
        Form::Lea => Op::Lea { width: width(i, 0)?, dst: reg(i, 0)?, ea: ea(i)? },
        Form::Alu(op) => Op::Alu { op, width: width(i, 0)?, dst: rm(i, 0)?, src: src(i, 1)? },
        Form::Compare => Op::Cmp { width: width(i, 0)?, left: rm(i, 0)?, right: src(i, 1)? },
        Form::Test => Op::Test { width: width(i, 0)?, left: rm(i, 0)?, right: src(i, 1)? },
        Form::Unary(op) => Op::Unary { op, width: width(i, 0)?, dst: rm(i, 0)? },
        Form::Imul => imul(i)?,
        Form::MulWide => Op::MulWide { width: width(i, 0)?, src: rm(i, 0)? },
        Form::Shift(op) => shift(i, op)?,
        Form::ShiftCl => shift_cl(i)?,
        Form::Rotate => {
            let by_cl = i.op_kind(1) == OpKind::Register;
            Op::Rotate { width: width(i, 0)?, dst: rm(i, 0)?, by_cl }
        }
        Form::Bswap => Op::Bswap { width: width(i, 0)?, dst: reg(i, 0)? },
        Form::ShiftDouble => {
            Op::ShiftDouble { width: width(i, 0)?, dst: rm(i, 0)?, src: reg(i, 1)? }
        }
        Form::Div => Op::Div { width: width(i, 0)?, src: rm(i, 0)?, signed: false },
        Form::Idiv => Op::Div { width: width(i, 0)?, src: rm(i, 0)?, signed: true },
        Form::Cmov => Op::Cmov { cc: cc(i)?, width: width(i, 0)?, dst: reg(i, 0)?, src: rm(i, 1)? },
        Form::Setcc => Op::Setcc { cc: cc(i)?, dst: reg(i, 0)? },
        Form::Xchg => Op::Xchg { width: width(i, 0)?, left: reg(i, 0)?, right: reg(i, 1)? },
        Form::Push => push(i)?,
        Form::Pop => Op::Pop { dst: reg(i, 0)? },
        Form::Leave => Op::Leave,
        Form::Call | Form::Jmp | Form::Jcc | Form::Ret => Op::Flow(flow(i, form)?),
        Form::Movs | Form::Stos | Form::Lodsb | Form::Cmpsb | Form::Scasb => {
            Op::String(string(i, bytes)?)
        }
        Form::BitCount(op) => {
            Op::BitCount { op, width: width(i, 0)?, dst: reg(i, 0)?, src: rm(i, 1)? }
        }
        Form::BitTest(op) => {
            Op::BitTest { op, width: width(i, 0)?, dst: reg(i, 0)?, bit: src(i, 1)? }
        }
        Form::Nop | Form::Fence => Op::Nop,
        Form::Int3 => Op::Int3,
    })
}

fn extend(i: &Instruction, signed: bool) -> Result<Op> {
    let (to, from) = (width(i, 0)?, width(i, 1)?);
    Ok(Op::Extend { to, dst: reg(i, 0)?, from, src: rm(i, 1)?, signed })
}

fn convert(i: &Instruction) -> Result<Op> {
    let (to, from) = match i.code() {
        Code::Cdqe => (Width::W64, Width::W32),
        Code::Cwde => (Width::W32, Width::W16),
        _ => return Err(refused(i)),
    };
    Ok(Op::Extend { to, dst: Reg::Rax, from, src: Rm::Reg(Reg::Rax), signed: true })
}

/// `imul r, r/m` is `imul r, r, r/m`; `imul r, r/m, c` stands for itself.
fn imul(i: &Instruction) -> Result<Op> {
    let (width, dst) = (width(i, 0)?, reg(i, 0)?);
    Ok(match i.op_count() {
        2 => Op::Imul { width, dst, left: Rm::Reg(dst), right: src(i, 1)? },
        3 => Op::Imul { width, dst, left: rm(i, 1)?, right: src(i, 2)? },
        _ => return Err(refused(i)),
    })
}

fn shift(i: &Instruction, op: Shift) -> Result<Op> {
    let count = match i.op_kind(1) {
        OpKind::Immediate8 => i.immediate8(),
        _ => return Err(refused(i)),
    };
    Ok(Op::Shift { op, width: width(i, 0)?, dst: rm(i, 0)?, count })
}

fn shift_cl(i: &Instruction) -> Result<Op> {
    let op = match i.code() {
        Code::Shl_rm8_CL | Code::Shl_rm16_CL | Code::Shl_rm32_CL | Code::Shl_rm64_CL => Shift::Shl,
        Code::Shr_rm8_CL | Code::Shr_rm16_CL | Code::Shr_rm32_CL | Code::Shr_rm64_CL => Shift::Shr,
        Code::Sar_rm8_CL | Code::Sar_rm16_CL | Code::Sar_rm32_CL | Code::Sar_rm64_CL => Shift::Sar,
        _ => return Err(refused(i)),
    };
    Ok(Op::ShiftCl { op, width: width(i, 0)?, dst: rm(i, 0)? })
}

fn push(i: &Instruction) -> Result<Op> {
    let src = match i.code() {
        Code::Push_r64 => Src::Reg(reg(i, 0)?),
        Code::Pushq_imm8 => Src::Imm(i.immediate8to64()),
        Code::Pushq_imm32 => Src::Imm(i.immediate32to64()),
        _ => return Err(refused(i)),
    };
    Ok(Op::Push { src })
}

fn flow(i: &Instruction, form: Form) -> Result<Flow> {
    Ok(match (form, i.op_kind(0)) {
        (Form::Ret, _) if i.op_count() == 0 => Flow::Ret,
        (Form::Jcc, OpKind::NearBranch64) => Flow::Jcc(cc(i)?, i.near_branch64()),
        (Form::Jmp, OpKind::NearBranch64) => Flow::Jmp(i.near_branch64()),
        (Form::Jmp, OpKind::Register) => Flow::JmpReg(reg(i, 0)?),
        (Form::Jmp, OpKind::Memory) => Flow::JmpTable(ea(i)?),
        (Form::Call, OpKind::NearBranch64) => Flow::Call(i.near_branch64()),
        (Form::Call, OpKind::Register) => Flow::CallReg(reg(i, 0)?),
        _ => return Err(refused(i)),
    })
}

/// The repeat prefix decides; an unlisted one is refused here, its place by `canonical`.
fn string(i: &Instruction, bytes: &[u8]) -> Result<StringOp> {
    let prefix = bytes.first().copied().filter(|b| matches!(b, 0xF2 | 0xF3));
    Ok(match (i.code(), prefix) {
        (Code::Movsb_m8_m8, Some(0xF3)) => StringOp::RepMovs(Width::W8),
        (Code::Movsq_m64_m64, Some(0xF3)) => StringOp::RepMovs(Width::W64),
        (Code::Stosb_m8_AL, Some(0xF3)) => StringOp::RepStos(Width::W8),
        (Code::Stosq_m64_RAX, Some(0xF3)) => StringOp::RepStos(Width::W64),
        (Code::Movsb_m8_m8, None) => StringOp::Movsb,
        (Code::Stosb_m8_AL, None) => StringOp::Stosb,
        (Code::Lodsb_AL_m8, None) => StringOp::Lodsb,
        (Code::Cmpsb_m8_m8, Some(0xF3)) => StringOp::RepeCmpsb,
        (Code::Scasb_AL_m8, Some(0xF2)) => StringOp::RepneScasb,
        _ => return Err(refused(i)),
    })
}

fn cc(i: &Instruction) -> Result<Cc> {
    Ok(match i.condition_code() {
        ConditionCode::o => Cc::O,
        ConditionCode::no => Cc::No,
        ConditionCode::b => Cc::B,
        ConditionCode::ae => Cc::Ae,
        ConditionCode::e => Cc::E,
        ConditionCode::ne => Cc::Ne,
        ConditionCode::be => Cc::Be,
        ConditionCode::a => Cc::A,
        ConditionCode::s => Cc::S,
        ConditionCode::ns => Cc::Ns,
        ConditionCode::p => Cc::P,
        ConditionCode::np => Cc::Np,
        ConditionCode::l => Cc::L,
        ConditionCode::ge => Cc::Ge,
        ConditionCode::le => Cc::Le,
        ConditionCode::g => Cc::G,
        _ => return Err(refused(i)),
    })
}

/// A general register and its width. ah, bh, ch, dh are refused (trap 8).
fn general(register: Register) -> Option<(Reg, Width)> {
    let width = if register.is_gpr64() {
        Width::W64
    } else if register.is_gpr32() {
        Width::W32
    } else if register.is_gpr16() {
        Width::W16
    } else if register.is_gpr8() && !is_high_byte(register) {
        Width::W8
    } else {
        return None;
    };
    let reg = Reg::ALL.get(register.full_register().number()).copied()?;
    Some((reg, width))
}

fn is_high_byte(register: Register) -> bool {
    matches!(register, Register::AH | Register::BH | Register::CH | Register::DH)
}

fn width(i: &Instruction, operand: u32) -> Result<Width> {
    let width = match i.op_kind(operand) {
        OpKind::Register => general(i.op_register(operand)).map(|(_, width)| width),
        OpKind::Memory => match i.memory_size().size() {
            1 => Some(Width::W8),
            2 => Some(Width::W16),
            4 => Some(Width::W32),
            8 => Some(Width::W64),
            _ => None,
        },
        _ => None,
    };
    width.ok_or_else(|| refused(i))
}

fn reg(i: &Instruction, operand: u32) -> Result<Reg> {
    match i.op_kind(operand) {
        OpKind::Register => {
            general(i.op_register(operand)).map(|(reg, _)| reg).ok_or_else(|| refused(i))
        }
        _ => Err(refused(i)),
    }
}

fn rm(i: &Instruction, operand: u32) -> Result<Rm> {
    match i.op_kind(operand) {
        OpKind::Memory => Ok(Rm::Mem(ea(i)?)),
        _ => Ok(Rm::Reg(reg(i, operand)?)),
    }
}

fn src(i: &Instruction, operand: u32) -> Result<Src> {
    Ok(match i.op_kind(operand) {
        OpKind::Immediate8 => Src::Imm(i64::from(i.immediate8() as i8)),
        OpKind::Immediate16 => Src::Imm(i64::from(i.immediate16() as i16)),
        OpKind::Immediate32 => Src::Imm(i64::from(i.immediate32() as i32)),
        OpKind::Immediate64 => Src::Imm(i.immediate64() as i64),
        OpKind::Immediate8to16 => Src::Imm(i64::from(i.immediate8to16())),
        OpKind::Immediate8to32 => Src::Imm(i64::from(i.immediate8to32())),
        OpKind::Immediate8to64 => Src::Imm(i.immediate8to64()),
        OpKind::Immediate32to64 => Src::Imm(i.immediate32to64()),
        _ => rm(i, operand)?.into(),
    })
}

/// The memory operand. 64-bit addressing without segment prefix (traps 20, 60).
fn ea(i: &Instruction) -> Result<Ea> {
    premise!(!i.has_segment_prefix(), refused(i));
    let disp = i.memory_displacement64() as i64;
    let base = match i.memory_base() {
        Register::None | Register::RIP => None,
        r if r.is_gpr64() => Some(general(r).ok_or_else(|| refused(i))?.0),
        _ => return Err(refused(i)),
    };
    let index = match i.memory_index() {
        Register::None => None,
        r if r.is_gpr64() => {
            let scale = u8::try_from(i.memory_index_scale()).map_err(|_| refused(i))?;
            Some((general(r).ok_or_else(|| refused(i))?.0, scale))
        }
        _ => return Err(refused(i)),
    };
    Ok(Ea { base, index, disp })
}
