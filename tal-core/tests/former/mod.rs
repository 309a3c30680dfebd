//! Not trusted: a test. The decoder that the judge had before its own: iced-x86, with default deny
//! by its names of encodings, and a check that the bytes are the canonical ones. What it accepts
//! and what it makes of it is what ours has to (`cargo xtask decoders`).
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test uses a part of it")]

mod canon;
#[path = "../../../tal-check/src/encodings.rs"]
pub mod encodings;

use encodings::row_of;
use iced_x86::{Code, ConditionCode, Decoder, DecoderOptions, Instruction, OpKind, Register};
use tal_core::decode::{Cc, Decoded, Ea, Flow, Op, Rm, Shift, Src, StringOp, Width};
use tal_core::error::Rule;
use tal_core::table::Form;
use tal_core::ty::Reg;

type Result<T> = core::result::Result<T, Rule>;

/// The instruction at the beginning, or the rule that refuses it.
///
/// # Errors
/// That.
pub fn decode(bytes: &[u8], address: u32) -> Result<Decoded> {
    accept(bytes, &read(bytes, address))
}

/// What iced-x86 says.
pub fn read(bytes: &[u8], address: u32) -> Instruction {
    Decoder::with_ip(64, bytes, u64::from(address), DecoderOptions::NONE).decode()
}

/// As [`decode`], of bytes that were read.
///
/// # Errors
/// As [`decode`].
pub fn accept(bytes: &[u8], i: &Instruction) -> Result<Decoded> {
    if i.is_invalid() {
        return Err(Rule::Decode);
    }
    let bytes = bytes.get(..i.len()).ok_or(Rule::Decode)?;
    let length = u8::try_from(bytes.len()).map_err(|_| Rule::Decode)?;
    let row = row_of(i.code()).ok_or_else(|| refused(i))?;
    let op = operation(i, row.form, bytes)?;
    if !canon::canonical(i, &op, bytes) {
        return Err(Rule::Decode);
    }
    let padding = matches!(row.form, Form::Nop | Form::Int3);
    Ok(Decoded { op, length, row, padding, endbr: i.code() == Code::Endbr64 })
}

fn refused(_: &Instruction) -> Rule {
    Rule::RowRefused
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
    if i.has_segment_prefix() {
        return Err(refused(i));
    }
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
