//! TCB. The decoder: prefixes, opcode, ModRM, SIB, displacement, immediate, in this order, each
//! read once and only where the table has it. The longest encoding of the table has 12 bytes.

use super::{Cc, Decoded, Ea, Flow, Op, Rm, Shift, Src, StringOp, Width, refused, undecodable};
use crate::error::Error;
use crate::judge::Result;
use crate::table::{ENDBR64, Encoding, F2, F3, Form, HALF, Immediate, Place, Row, find, whole};
use crate::ty::Reg;

/// REX.R, X, B: the bits that bring in r8 to r15.
const R: u8 = 4;
const X: u8 = 2;
const B: u8 = 1;

/// The instruction at the start of these bytes, which stand at this address.
pub(super) fn instruction(bytes: &[u8], address: u64) -> Result<Decoded> {
    let (mut prefixes, mut rest) = match bytes {
        [0x66 | 0xF2 | 0xF3, ..] => legacy(bytes),
        _ => (0, bytes),
    };
    let mut rex = 0;
    if let [first @ 0x40..=0x4F, behind @ ..] = rest {
        (rex, rest) = (*first, behind);
        prefixes |= (rex & 8) >> 2;
    }
    let (opcode, rest) = match rest {
        [0x0F, second, rest @ ..] => (0x0F00 | u16::from(*second), rest),
        [first, rest @ ..] => (u16::from(*first), rest),
        [] => return Err(undecodable()),
    };
    let entry = match find(opcode, rest.first().copied().unwrap_or(0)) {
        Some(entry) if opcode != 0x90 => entry,
        found => match (whole(bytes), found) {
            (Some((row, string)), _) => return as_it_stands(row, string),
            (None, Some(entry)) => {
                // 90 is no exchange of rax with itself, but `nop` (trap 4).
                premise!(rex & B != 0, refused(opcode));
                entry
            }
            (None, None) => return Err(unlisted(opcode)),
        },
    };
    let code = &entry.encoding;
    premise!(entry.allows(prefixes), stray(code, opcode, prefixes));
    let width = code.widths.chosen(prefixes);
    let i = Reader { code, opcode, width, rex, prefixes };
    let (rm, register, reg) = (Rm::Reg(Reg::Rax), Reg::Rax, Reg::Rax);
    let mut operands = Operands { rm, register, reg, used: 0, relative: false, rest };
    if entry.has_modrm {
        i.by_modrm(&mut operands)?;
    } else if code.place == Place::Opcode {
        i.in_opcode(&mut operands);
    }
    let (imm, rest) = i.immediate(operands.rest)?;
    // spl, bpl, sil, dil; without REX they are ah, ch, dh, bh (trap 8).
    let need_rex = entry.has_bytes && i.need_rex(&operands);
    premise!(rex != 0 || !need_rex, refused(opcode));
    premise!(rex != 0x40 || need_rex, undecodable());
    premise!(rex & (R | X | B) & !operands.used == 0, undecodable());
    let length = bytes.len().saturating_sub(rest.len()) as u8;
    // Distances count from the end of the instruction, an immediate behind them included.
    let end = address.saturating_add(u64::from(length));
    if let (true, Rm::Mem(ea)) = (operands.relative, &mut operands.rm) {
        ea.disp = ea.disp.wrapping_add(end.cast_signed());
    }
    let op = i.operation(entry.row.form, &operands, imm, end);
    let padding = matches!(entry.row.form, Form::Int3);
    Ok(Decoded { op, length, row: entry.row, padding, endbr: false })
}

/// 66, then F2 or F3. What else stands there will be taken for the opcode, and has no row.
#[inline(never)]
fn legacy(bytes: &[u8]) -> (u8, &[u8]) {
    match bytes {
        [0x66, 0xF2, rest @ ..] => (HALF | F2, rest),
        [0x66, 0xF3, rest @ ..] => (HALF | F3, rest),
        [0x66, rest @ ..] => (HALF, rest),
        [0xF2, rest @ ..] => (F2, rest),
        [0xF3, rest @ ..] => (F3, rest),
        _ => (0, bytes),
    }
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

/// Prefixes that make another instruction of the opcode, one without a row; or that mean nothing.
fn stray(code: &Encoding, opcode: u16, prefixes: u8) -> Error {
    let listed = code.repeats.allow(prefixes);
    match if listed { code.widths.vary(prefixes) } else { code.repeats.matter() } {
        true => refused(opcode),
        false => undecodable(),
    }
}

/// What is known before the operands.
struct Reader<'a> {
    code: &'a Encoding,
    opcode: u16,
    width: Width,
    /// 0 if there is none.
    rex: u8,
    prefixes: u8,
}

/// What opcode, ModRM and SIB say.
struct Operands<'a> {
    /// r/m, and as a register whatever it is.
    rm: Rm,
    register: Reg,
    reg: Reg,
    /// The bits of REX that brought in a register, or would have.
    used: u8,
    /// Does the displacement count from the end of the instruction?
    relative: bool,
    /// The bytes behind.
    rest: &'a [u8],
}

impl Operands<'_> {
    /// Of an operand that is memory.
    fn address(&self) -> Ea {
        match self.rm {
            Rm::Mem(ea) => ea,
            Rm::Reg(base) => Ea { base: Some(base), index: None, disp: 0 },
        }
    }
}

#[inline(always)]
fn numbered(number: u8) -> Reg {
    Reg::ALL.get(usize::from(number & 15)).copied().unwrap_or(Reg::Rax)
}

#[inline(always)]
fn take<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8])> {
    let Some((taken, rest)) = bytes.split_first_chunk() else { return Err(undecodable()) };
    Ok((*taken, rest))
}

impl Reader<'_> {
    #[inline(never)]
    fn by_modrm(&self, o: &mut Operands<'_>) -> Result<()> {
        let [modrm, rest @ ..] = o.rest else { return Err(undecodable()) };
        o.rest = rest;
        o.reg = numbered(((modrm >> 3) & 7) | ((self.rex & R) << 1));
        o.register = numbered((modrm & 7) | ((self.rex & B) << 3));
        // In a group, the bits of the register are a part of the opcode.
        o.used = if self.code.digit.is_none() { R | B } else { B };
        if *modrm >= 0xC0 {
            premise!(self.code.place != Place::Memory, refused(self.opcode));
            o.rm = Rm::Reg(o.register);
        } else {
            premise!(self.code.place != Place::Register, refused(self.opcode));
            o.rm = Rm::Mem(self.memory(*modrm, o)?);
        }
        Ok(())
    }

    fn in_opcode(&self, o: &mut Operands<'_>) {
        o.used = B;
        o.register = numbered((self.low_bits() & 7) | ((self.rex & B) << 3));
        o.rm = Rm::Reg(o.register);
    }

    /// Is an operand the low byte of rsp, rbp, rsi or rdi?
    fn need_rex(&self, o: &Operands<'_>) -> bool {
        let low = |reg| matches!(reg, Reg::Rsp | Reg::Rbp | Reg::Rsi | Reg::Rdi);
        let reg_is_byte = self.width == Width::W8 && self.code.digit.is_none();
        (reg_is_byte && low(o.reg)) || matches!(o.rm, Rm::Reg(reg) if low(reg))
    }

    /// The memory operand by ModRM, SIB and displacement.
    #[inline(always)]
    fn memory(&self, modrm: u8, o: &mut Operands<'_>) -> Result<Ea> {
        let (mode, low) = (modrm >> 6, modrm & 7);
        let mut ea = Ea { base: None, index: None, disp: 0 };
        let mut base = low;
        if low == 4 {
            let [sib, rest @ ..] = o.rest else { return Err(undecodable()) };
            o.rest = rest;
            base = sib & 7;
            ea.index = self.index(mode, *sib)?;
            o.used |= if ea.index.is_some() { X } else { 0 };
        }
        let based = (mode, base) != (0, 5);
        if based {
            ea.base = Some(numbered(base | ((self.rex & B) << 3)));
        } else {
            o.used &= !B;
        }
        o.relative = !based && low == 5;
        if mode == 1 {
            let (bytes, rest) = take(o.rest)?;
            (ea.disp, o.rest) = (i64::from(i8::from_le_bytes(bytes)), rest);
            // rbp and r13 have no form without a displacement.
            premise!(ea.disp != 0 || base == 5, undecodable());
        } else if mode == 2 || !based {
            let (bytes, rest) = take(o.rest)?;
            (ea.disp, o.rest) = (i64::from(i32::from_le_bytes(bytes)), rest);
            premise!(!based || i8::try_from(ea.disp).is_err(), undecodable());
        }
        Ok(ea)
    }

    /// The index and its scale. A SIB byte without one is for what cannot be written otherwise:
    /// rsp, r12 and absolute addresses.
    fn index(&self, mode: u8, sib: u8) -> Result<Option<(Reg, u8)>> {
        let number = ((sib >> 3) & 7) | ((self.rex & X) << 2);
        let (scale, base) = (sib >> 6, sib & 7);
        if number != 4 {
            return Ok(Some((numbered(number), 1 << scale)));
        }
        premise!(base == 4 || (mode, base) == (0, 5), undecodable());
        premise!(scale == 0, undecodable());
        Ok(None)
    }

    /// The immediate, sign-extended.
    #[inline(always)]
    fn immediate<'a>(&self, rest: &'a [u8]) -> Result<(i64, &'a [u8])> {
        Ok(match (self.code.immediate, self.width) {
            (Immediate::None | Immediate::Cl, _) => (0, rest),
            (Immediate::One, _) => (1, rest),
            (Immediate::Byte | Immediate::Near | Immediate::Count, _) => {
                let (bytes, rest) = take(rest)?;
                let imm = i64::from(i8::from_le_bytes(bytes));
                if self.code.immediate == Immediate::Count {
                    // A shift or rotation of 32 bits by a constant that is 0 modulo 32 moves
                    // nothing. Whether it clears the upper half is not written down: `shld` and
                    // `shrd` are "no operation" then. It has no use, so nobody has to know.
                    premise!(self.width != Width::W32 || imm & 31 != 0, undecodable());
                }
                (imm, rest)
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
    #[inline(never)]
    fn operation(&self, form: Form, o: &Operands<'_>, imm: i64, end: u64) -> Op {
        let (width, reg) = (self.width, o.reg);
        let target = end.wrapping_add_signed(imm);
        let repeats = self.prefixes & (F2 | F3) != 0;
        match form {
            Form::Mov => Op::Mov { width, dst: self.first(o), src: self.last(o, imm) },
            Form::Extend { signed } => {
                let from = self.code.from.unwrap_or(width);
                Op::Extend { to: width, dst: reg, from, src: o.rm, signed }
            }
            Form::Convert => {
                let from = if width == Width::W64 { Width::W32 } else { Width::W16 };
                Op::Extend { to: width, dst: o.register, from, src: o.rm, signed: true }
            }
            Form::SignCopy => Op::SignCopy { width },
            Form::Lea => Op::Lea { width, dst: reg, ea: o.address() },
            Form::Alu(op) => Op::Alu { op, width, dst: self.first(o), src: self.last(o, imm) },
            Form::Compare => Op::Cmp { width, left: self.first(o), right: self.last(o, imm) },
            Form::Test => Op::Test { width, left: self.first(o), right: self.last(o, imm) },
            Form::Unary(op) => Op::Unary { op, width, dst: o.rm },
            // `imul r, r/m` is `imul r, r, r/m`; `imul r, r/m, c` stands for itself.
            Form::Imul => {
                let (left, right) = (self.first(o), self.last(o, imm));
                Op::Imul { width, dst: reg, left, right }
            }
            Form::MulWide => Op::MulWide { width, src: o.rm },
            Form::Shift(op) => Op::Shift { op, width, dst: o.rm, count: imm.to_le_bytes()[0] },
            Form::ShiftCl => Op::ShiftCl { op: self.shift(), width, dst: o.rm },
            Form::Rotate => {
                let by_cl = self.code.immediate == Immediate::Cl;
                Op::Rotate { width, dst: o.rm, by_cl }
            }
            Form::Bswap => Op::Bswap { width, dst: o.register },
            Form::ShiftDouble => Op::ShiftDouble { width, dst: o.rm, src: reg },
            Form::Div => Op::Div { width, src: o.rm, signed: false },
            Form::Idiv => Op::Div { width, src: o.rm, signed: true },
            Form::Cmov => Op::Cmov { cc: self.condition(), width, dst: reg, src: o.rm },
            Form::Setcc => Op::Setcc { cc: self.condition(), dst: o.register },
            Form::Xchg => Op::Xchg { width, left: o.register, right: reg },
            Form::Push if self.code.place == Place::Opcode => {
                Op::Push { src: Src::Reg(o.register) }
            }
            Form::Push => Op::Push { src: Src::Imm(imm) },
            Form::Pop => Op::Pop { dst: o.register },
            Form::Leave => Op::Leave,
            Form::Call if self.code.immediate == Immediate::Far => Op::Flow(Flow::Call(target)),
            Form::Call => Op::Flow(Flow::CallReg(o.register)),
            Form::Jmp if self.code.immediate != Immediate::None => Op::Flow(Flow::Jmp(target)),
            Form::Jmp => Op::Flow(match o.rm {
                Rm::Reg(to) => Flow::JmpReg(to),
                Rm::Mem(ea) => Flow::JmpTable(ea),
            }),
            Form::Jcc => Op::Flow(Flow::Jcc(self.condition(), target)),
            Form::Ret => Op::Flow(Flow::Ret),
            Form::Movs if !repeats => Op::String(StringOp::Movsb),
            Form::Movs => Op::String(StringOp::RepMovs(width)),
            Form::Stos if !repeats => Op::String(StringOp::Stosb),
            Form::Stos => Op::String(StringOp::RepStos(width)),
            Form::Lodsb => Op::String(StringOp::Lodsb),
            Form::Cmpsb => Op::String(StringOp::RepeCmpsb),
            Form::Scasb => Op::String(StringOp::RepneScasb),
            Form::BitCount(op) => Op::BitCount { op, width, dst: reg, src: o.rm },
            Form::BitTest(op) => Op::BitTest { op, width, dst: o.register, bit: self.last(o, imm) },
            Form::Nop | Form::Fence => Op::Nop,
            Form::Int3 => Op::Int3,
        }
    }

    /// The destination, or the left side.
    #[inline(always)]
    fn first(&self, o: &Operands<'_>) -> Rm {
        if self.code.to_reg { Rm::Reg(o.reg) } else { o.rm }
    }

    /// The source, or the right side.
    #[inline(always)]
    fn last(&self, o: &Operands<'_>, imm: i64) -> Src {
        match (self.code.immediate, self.code.to_reg) {
            (Immediate::None, false) => Src::Reg(o.reg),
            (Immediate::None, true) => o.rm.into(),
            _ => Src::Imm(imm),
        }
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
