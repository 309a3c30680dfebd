//! TCB. The decoder: prefixes, opcode, ModRM, SIB, displacement, immediate, in this order, each
//! read once and only where the table has it. The longest encoding of the table has 12 bytes.

use super::{Cc, Decoded, Ea, Flow, Op, Rm, Shift, Src, StringOp, Width, refused, undecodable};
use crate::error::Error;
use crate::judge::Result;
use crate::table::{ENDBR64, Encoding, Form, Immediate, Place, Repeat, Row, find, whole};
use crate::ty::Reg;

/// REX.R, X, B: the bits that bring in r8 to r15.
const R: u8 = 4;
const X: u8 = 2;
const B: u8 = 1;

/// The instruction at the start of these bytes, which stand at this address.
pub(super) fn instruction(bytes: &[u8], address: u64) -> Result<Decoded> {
    let (half, rest) = match bytes {
        [0x66, rest @ ..] => (true, rest),
        _ => (false, bytes),
    };
    let (repeat, rest) = match rest {
        [0xF2, rest @ ..] => (Repeat::F2, rest),
        [0xF3, rest @ ..] => (Repeat::F3, rest),
        _ => (Repeat::None, rest),
    };
    let (rex, rest) = match rest {
        [rex @ 0x40..=0x4F, rest @ ..] => (Some(*rex), rest),
        _ => (None, rest),
    };
    let (opcode, rest) = match rest {
        [0x0F, second, rest @ ..] => (0x0F00 | u16::from(*second), rest),
        [first, rest @ ..] => (u16::from(*first), rest),
        [] => return Err(undecodable()),
    };
    let found = find(opcode, rest.first().copied().unwrap_or(0));
    // 90 is no exchange of rax with itself, but `nop` (trap 4).
    let (row, code) = match found {
        Some(found) if opcode != 0x90 => found,
        _ => match (whole(bytes), found) {
            (Some((row, string)), _) => return as_it_stands(row, string),
            (None, Some(found)) => found,
            (None, None) => return Err(unlisted(opcode)),
        },
    };
    let (rex, bare) = (rex.unwrap_or(0), rex);
    let wide = rex & 8 != 0;
    premise!(code.widths.allow(half, wide), other(code.widths.vary(half, wide), opcode));
    premise!(code.repeats.allow(repeat), other(code.repeats.matter(), opcode));
    let width = code.widths.chosen(half, wide);
    let i = Reader { code, opcode, width, rex, repeat };
    let mut operands = i.operands(rest)?;
    let (imm, rest) = i.immediate(operands.rest)?;
    // spl, bpl, sil, dil; without REX they are ah, ch, dh, bh (trap 8).
    premise!(bare.is_some() || !operands.need_rex, refused(opcode));
    premise!(bare != Some(0x40) || operands.need_rex, undecodable());
    premise!(rex & (R | X | B) & !operands.used == 0, undecodable());
    let length = u8::try_from(bytes.len().saturating_sub(rest.len()));
    let length = length.map_err(|_| undecodable())?;
    // Distances count from the end of the instruction, an immediate behind them included.
    let end = address.saturating_add(u64::from(length));
    if let (true, Rm::Mem(ea)) = (operands.relative, &mut operands.rm) {
        ea.disp = ea.disp.wrapping_add(end.cast_signed());
    }
    let op = i.operation(row.form, &operands, imm, end.wrapping_add_signed(imm))?;
    Ok(Decoded { op, length, row, padding: matches!(row.form, Form::Int3), endbr: false })
}

/// One of the strings that are accepted as they are: all there is of the rows with `nop`.
fn as_it_stands(row: &'static Row, string: &[u8]) -> Result<Decoded> {
    let length = u8::try_from(string.len()).map_err(|_| undecodable())?;
    let padding = matches!(row.form, Form::Nop);
    Ok(Decoded { op: Op::Nop, length, row, padding, endbr: string == ENDBR64 })
}

/// No row has the opcode; or it is none, but a prefix where none may stand, or half of one.
fn unlisted(opcode: u16) -> Error {
    match opcode {
        0x0F | 0x26 | 0x2E | 0x36 | 0x3E | 0x40..=0x4F | 0x64..=0x67 | 0xF0 | 0xF2 | 0xF3 => {
            undecodable()
        }
        _ => refused(opcode),
    }
}

/// A prefix that makes another instruction of the opcode, one without a row; or one that means
/// nothing.
fn other(makes_another: bool, opcode: u16) -> Error {
    if makes_another { refused(opcode) } else { undecodable() }
}

/// What is known before the operands.
struct Reader<'a> {
    code: &'a Encoding,
    opcode: u16,
    width: Width,
    /// 0 if there is none.
    rex: u8,
    repeat: Repeat,
}

/// What opcode, ModRM and SIB say.
struct Operands<'a> {
    rm: Rm,
    /// r/m as a register.
    register: Reg,
    reg: Reg,
    /// The bits of REX that brought in a register, or would have.
    used: u8,
    /// Is one of them spl, bpl, sil or dil?
    need_rex: bool,
    /// Does the displacement count from the end of the instruction?
    relative: bool,
    /// The bytes behind.
    rest: &'a [u8],
}

fn register(number: u8) -> Reg {
    Reg::ALL.get(usize::from(number & 15)).copied().unwrap_or(Reg::Rax)
}

/// Is it one whose low byte has no name without REX?
fn needs_rex(reg: Reg, width: Width) -> bool {
    width == Width::W8 && matches!(reg, Reg::Rsp | Reg::Rbp | Reg::Rsi | Reg::Rdi)
}

fn take<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8])> {
    let Some((taken, rest)) = bytes.split_first_chunk() else { return Err(undecodable()) };
    Ok((*taken, rest))
}

impl Reader<'_> {
    fn operands<'a>(&self, rest: &'a [u8]) -> Result<Operands<'a>> {
        let code = self.code;
        if !code.place.has_modrm() {
            let in_opcode = code.place == Place::Opcode;
            let (low, used) = if in_opcode { (self.low_bits() & 7, B) } else { (0, 0) };
            let register = register(low | ((self.rex & used) << 3));
            let (rm, need_rex) = (Rm::Reg(register), needs_rex(register, self.width));
            let (reg, relative) = (Reg::Rax, false);
            return Ok(Operands { rm, register, reg, used, need_rex, relative, rest });
        }
        let [modrm, rest @ ..] = rest else { return Err(undecodable()) };
        let low = modrm & 7;
        let reg = register(((modrm >> 3) & 7) | ((self.rex & R) << 1));
        let register = register(low | ((self.rex & B) << 3));
        // In a group, these bits are a part of the opcode.
        let (used, need_rex) = match code.digit {
            None => (R, needs_rex(reg, self.width)),
            Some(_) => (0, false),
        };
        if *modrm >= 0xC0 {
            let (rm, used) = (Rm::Reg(register), used | B);
            let need_rex = need_rex || needs_rex(register, code.from.unwrap_or(self.width));
            return Ok(Operands { rm, register, reg, used, need_rex, relative: false, rest });
        }
        premise!(code.place != Place::Register, refused(self.opcode));
        let (ea, more, relative, rest) = self.memory(modrm >> 6, low, rest)?;
        let (rm, used) = (Rm::Mem(ea), used | more);
        Ok(Operands { rm, register, reg, used, need_rex, relative, rest })
    }

    /// The memory operand, the bits of REX that it uses, and whether it is relative to rip.
    fn memory<'a>(&self, mode: u8, low: u8, rest: &'a [u8]) -> Result<(Ea, u8, bool, &'a [u8])> {
        let (base, index, rest) = match (low, rest) {
            (4, [sib, rest @ ..]) => (sib & 7, self.index(mode, *sib)?, rest),
            (4, []) => return Err(undecodable()),
            _ => (low, None, rest),
        };
        let (disp, rest) = match (mode, base) {
            (0, 5) | (2, _) => {
                let (bytes, rest) = take(rest)?;
                (i32::from_le_bytes(bytes), rest)
            }
            (1, _) => {
                let (bytes, rest) = take(rest)?;
                (i32::from(i8::from_le_bytes(bytes)), rest)
            }
            _ => (0, rest),
        };
        // rbp and r13 have no form without a displacement.
        premise!(mode != 1 || disp != 0 || base == 5, undecodable());
        premise!(mode != 2 || i8::try_from(disp).is_err(), undecodable());
        let based = (mode, base) != (0, 5);
        let used = if based { B } else { 0 } | if index.is_some() { X } else { 0 };
        let base = based.then(|| register(base | ((self.rex & B) << 3)));
        Ok((Ea { base, index, disp: i64::from(disp) }, used, !based && low == 5, rest))
    }

    /// The index and its scale. A SIB byte without one is for what cannot be written otherwise:
    /// rsp, r12 and absolute addresses.
    fn index(&self, mode: u8, sib: u8) -> Result<Option<(Reg, u8)>> {
        let number = ((sib >> 3) & 7) | ((self.rex & X) << 2);
        let (scale, base) = (sib >> 6, sib & 7);
        if number != 4 {
            return Ok(Some((register(number), 1 << scale)));
        }
        premise!(base == 4 || (mode, base) == (0, 5), undecodable());
        premise!(scale == 0, undecodable());
        Ok(None)
    }

    /// The immediate, sign-extended.
    fn immediate<'a>(&self, rest: &'a [u8]) -> Result<(i64, &'a [u8])> {
        Ok(match (self.code.immediate, self.width) {
            (Immediate::None | Immediate::Cl, _) => (0, rest),
            (Immediate::One, _) => (1, rest),
            (Immediate::Byte | Immediate::Near, _) => {
                let (bytes, rest) = take(rest)?;
                (i64::from(i8::from_le_bytes(bytes)), rest)
            }
            (Immediate::Long | Immediate::Full, Width::W16) => {
                let (bytes, rest) = take(rest)?;
                (i64::from(i16::from_le_bytes(bytes)), rest)
            }
            (Immediate::Full, Width::W64) => {
                let (bytes, rest) = take(rest)?;
                (i64::from_le_bytes(bytes), rest)
            }
            (Immediate::Long | Immediate::Full | Immediate::Far, _) => {
                let (bytes, rest) = take(rest)?;
                (i64::from(i32::from_le_bytes(bytes)), rest)
            }
        })
    }

    /// By the form of the row. Exhaustive: a new form does not compile without its reader.
    fn operation(&self, form: Form, o: &Operands<'_>, imm: i64, target: u64) -> Result<Op> {
        let (width, rm, reg, repeat) = (self.width, o.rm, o.reg, self.repeat);
        let (first, last) = self.pair(o, imm);
        Ok(match form {
            Form::Mov => Op::Mov { width, dst: first, src: last },
            Form::Extend { signed } => {
                let from = self.code.from.unwrap_or(width);
                Op::Extend { to: width, dst: reg, from, src: rm, signed }
            }
            Form::Convert => {
                let from = if width == Width::W64 { Width::W32 } else { Width::W16 };
                Op::Extend { to: width, dst: o.register, from, src: rm, signed: true }
            }
            Form::SignCopy => Op::SignCopy { width },
            Form::Lea => {
                let Rm::Mem(ea) = rm else { return Err(refused(self.opcode)) };
                Op::Lea { width, dst: reg, ea }
            }
            Form::Alu(op) => Op::Alu { op, width, dst: first, src: last },
            Form::Compare => Op::Cmp { width, left: first, right: last },
            Form::Test => Op::Test { width, left: first, right: last },
            Form::Unary(op) => Op::Unary { op, width, dst: rm },
            // `imul r, r/m` is `imul r, r, r/m`; `imul r, r/m, c` stands for itself.
            Form::Imul if self.code.to_reg => Op::Imul { width, dst: reg, left: first, right: last },
            Form::Imul => Op::Imul { width, dst: reg, left: rm, right: last },
            Form::MulWide => Op::MulWide { width, src: rm },
            Form::Shift(op) => Op::Shift { op, width, dst: rm, count: self.count(imm)? },
            Form::ShiftCl => Op::ShiftCl { op: self.shift(), width, dst: rm },
            Form::Rotate if self.code.immediate == Immediate::Cl => {
                Op::Rotate { width, dst: rm, by_cl: true }
            }
            Form::Rotate => {
                self.count(imm)?;
                Op::Rotate { width, dst: rm, by_cl: false }
            }
            Form::Bswap => Op::Bswap { width, dst: o.register },
            Form::ShiftDouble => {
                self.count(imm)?;
                Op::ShiftDouble { width, dst: rm, src: reg }
            }
            Form::Div => Op::Div { width, src: rm, signed: false },
            Form::Idiv => Op::Div { width, src: rm, signed: true },
            Form::Cmov => Op::Cmov { cc: self.condition(), width, dst: reg, src: rm },
            Form::Setcc => Op::Setcc { cc: self.condition(), dst: o.register },
            Form::Xchg => {
                premise!(self.opcode != 0x90 || self.rex & B != 0, refused(self.opcode));
                Op::Xchg { width, left: o.register, right: reg }
            }
            Form::Push if self.code.immediate == Immediate::None => Op::Push { src: rm.into() },
            Form::Push => Op::Push { src: last },
            Form::Pop => Op::Pop { dst: o.register },
            Form::Leave => Op::Leave,
            Form::Call if self.code.immediate == Immediate::Far => Op::Flow(Flow::Call(target)),
            Form::Call => Op::Flow(Flow::CallReg(o.register)),
            Form::Jmp => Op::Flow(match (self.code.immediate, rm) {
                (Immediate::None, Rm::Reg(to)) => Flow::JmpReg(to),
                (Immediate::None, Rm::Mem(ea)) => Flow::JmpTable(ea),
                _ => Flow::Jmp(target),
            }),
            Form::Jcc => Op::Flow(Flow::Jcc(self.condition(), target)),
            Form::Ret => Op::Flow(Flow::Ret),
            Form::Movs if repeat == Repeat::None => Op::String(StringOp::Movsb),
            Form::Movs => Op::String(StringOp::RepMovs(width)),
            Form::Stos if repeat == Repeat::None => Op::String(StringOp::Stosb),
            Form::Stos => Op::String(StringOp::RepStos(width)),
            Form::Lodsb => Op::String(StringOp::Lodsb),
            Form::Cmpsb => Op::String(StringOp::RepeCmpsb),
            Form::Scasb => Op::String(StringOp::RepneScasb),
            Form::BitCount(op) => Op::BitCount { op, width, dst: reg, src: rm },
            Form::BitTest(op) => Op::BitTest { op, width, dst: o.register, bit: last },
            Form::Nop | Form::Fence => Op::Nop,
            Form::Int3 => Op::Int3,
        })
    }

    /// Destination and source, in the order that the encoding has them.
    fn pair(&self, o: &Operands<'_>, imm: i64) -> (Rm, Src) {
        match (self.code.immediate, self.code.to_reg) {
            (Immediate::None, true) => (Rm::Reg(o.reg), o.rm.into()),
            (Immediate::None, false) => (o.rm, Src::Reg(o.reg)),
            _ => (o.rm, Src::Imm(imm)),
        }
    }

    /// A 32-bit shift or rotation by a constant that is 0 modulo 32 moves nothing. Whether it
    /// clears the upper half is not written down: `shld` and `shrd` are "no operation" then. It has
    /// no use, so nobody has to know.
    fn count(&self, imm: i64) -> Result<u8> {
        let count = imm.to_le_bytes()[0];
        premise!(self.width != Width::W32 || count & 31 != 0, undecodable());
        Ok(count)
    }

    fn shift(&self) -> Shift {
        match self.code.digit {
            Some(4) => Shift::Shl,
            Some(5) => Shift::Shr,
            _ => Shift::Sar,
        }
    }

    fn condition(&self) -> Cc {
        Cc::ALL.get(usize::from(self.low_bits() & 15)).copied().unwrap_or(Cc::O)
    }

    fn low_bits(&self) -> u8 {
        self.opcode.to_le_bytes()[0]
    }
}
