//! TCB. The decoder: prefixes, opcode, ModRM, SIB, displacement, immediate, in this order, each
//! read once and only where the table has it. The longest encoding of the table has 12 bytes.
//!
//! As many bytes are at hand as any encoding could have, so that it is asked once, at the end,
//! whether all that were read are there; behind the end of the text they are zeros.

use super::{Cc, Decoded, Ea, Flow, Op, Rm, Shift, Src, StringOp, Width, refused, undecodable};
use crate::error::Error;
use crate::judge::Result;
use crate::table::{B, R, X, find, whole};
use crate::table::{ENDBR64, Encoding, Entry, F2, F3, Form, HALF, Immediate, Place, Row};
use crate::ty::Reg;

/// ModRM, SIB, four bytes of displacement; then eight, all of which may be an immediate.
const OPERANDS: usize = 6 + 8;
/// REX and two bytes of opcode before them.
const OPENING: usize = 3 + OPERANDS;
/// 66 and F2 or F3 before those.
const WINDOW: usize = 2 + OPENING;

/// The instruction at the start of these bytes, which stand at this address.
pub(super) fn instruction(bytes: &[u8], address: u64) -> Result<Decoded> {
    let padded;
    let window = match bytes.first_chunk() {
        Some(window) => window,
        None => {
            padded = with_zeros(bytes);
            &padded
        }
    };
    let Start { prefixes, rex, opcode, found, length, operands } = match window {
        [0x66 | 0xF2 | 0xF3, ..] => legacy(window),
        _ => opening(chunk(window)),
    };
    let entry = match found {
        Some(entry) => entry,
        None => match (whole(bytes), opcode) {
            (Some((row, string)), _) => return as_it_stands(row, string),
            (None, 0x90) => {
                // With r8 it is an exchange, as 91 is one with rcx.
                premise!(rex & B != 0, refused(opcode));
                find(0x91, 0).ok_or_else(undecodable)?
            }
            (None, _) if length > bytes.len() => return Err(undecodable()),
            (None, _) => return Err(unlisted(opcode)),
        },
    };
    premise!(entry.allows(prefixes), stray(&entry.encoding, opcode, prefixes));
    let (width, size) = entry.chosen(prefixes);
    let code = &entry.encoding;
    let (start, there) = (length, bytes.len());
    let i =
        Reader { entry, code, opcode, rex, prefixes, width, size, operands, start, there, address };
    i.by_place()
}

/// Bytes of which there are enough.
#[inline(always)]
fn chunk<const N: usize>(bytes: &[u8]) -> &[u8; N] {
    bytes.first_chunk().unwrap_or(&[0; N])
}

/// The last bytes of the text, and zeros.
#[cold]
fn with_zeros(bytes: &[u8]) -> [u8; WINDOW] {
    let mut window = [0; WINDOW];
    window.iter_mut().zip(bytes).for_each(|(byte, there)| *byte = *there);
    window
}

/// What an instruction begins with.
struct Start<'a> {
    prefixes: u8,
    /// 0 if there is none.
    rex: u8,
    opcode: u16,
    /// The encoding of the opcode.
    found: Option<&'static Entry>,
    /// Bytes of all these.
    length: usize,
    /// What stands behind, from ModRM on.
    operands: &'a [u8; OPERANDS],
}

/// 66, then F2 or F3. What else stands there will be taken for the opcode, and has no row.
#[cold]
fn legacy(window: &[u8; WINDOW]) -> Start<'_> {
    let (prefixes, length, rest) = match window {
        [0x66, 0xF2, rest @ ..] => (HALF | F2, 2, chunk(rest)),
        [0x66, 0xF3, rest @ ..] => (HALF | F3, 2, chunk(rest)),
        [0x66, rest @ ..] => (HALF, 1, chunk(rest)),
        [0xF2, rest @ ..] => (F2, 1, chunk(rest)),
        [0xF3, rest @ ..] => (F3, 1, chunk(rest)),
        _ => (0, 0, chunk(window)),
    };
    let start = opening(rest);
    let length = start.length.wrapping_add(length);
    Start { prefixes: start.prefixes | prefixes, length, ..start }
}

/// REX and opcode.
#[inline(always)]
fn opening(bytes: &[u8; OPENING]) -> Start<'_> {
    let of = |rex: u8, opcode, length, rest| {
        let operands: &[u8; OPERANDS] = chunk(rest);
        let (prefixes, found) = ((rex & 8) >> 2, find(opcode, operands[0]));
        Start { prefixes, rex, opcode, found, length, operands }
    };
    match bytes {
        [rex @ 0x40..=0x4F, 0x0F, second, rest @ ..] => of(*rex, behind_0f(*second), 3, rest),
        [rex @ 0x40..=0x4F, first, rest @ ..] => of(*rex, u16::from(*first), 2, rest),
        [0x0F, second, rest @ ..] => of(0, behind_0f(*second), 2, rest),
        [first, rest @ ..] => of(0, u16::from(*first), 1, rest),
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
    entry: &'static Entry,
    code: &'static Encoding,
    opcode: u16,
    rex: u8,
    prefixes: u8,
    width: Width,
    /// Bytes of the immediate.
    size: u8,
    /// From ModRM on.
    operands: &'a [u8; OPERANDS],
    /// Bytes before these.
    start: usize,
    /// How many bytes of the text there are; the others at hand are none.
    there: usize,
    /// Of the instruction.
    address: u64,
}

/// What opcode, ModRM and SIB say.
struct Operands {
    /// r/m, and as a register whatever it is.
    rm: Rm,
    register: Reg,
    reg: Reg,
    /// The bits of REX that bring in no register.
    unused: u8,
    /// Bytes of ModRM, SIB and displacement.
    length: usize,
}

/// Not by [`Reg::ALL`], so that it costs nothing.
#[inline(always)]
fn numbered(number: u8) -> Reg {
    match number & 15 {
        0 => Reg::Rax,
        1 => Reg::Rcx,
        2 => Reg::Rdx,
        3 => Reg::Rbx,
        4 => Reg::Rsp,
        5 => Reg::Rbp,
        6 => Reg::Rsi,
        7 => Reg::Rdi,
        8 => Reg::R8,
        9 => Reg::R9,
        10 => Reg::R10,
        11 => Reg::R11,
        12 => Reg::R12,
        13 => Reg::R13,
        14 => Reg::R14,
        _ => Reg::R15,
    }
}

impl Reader<'_> {
    /// By where the operand is. What follows is compiled twice, for a register and for memory, and
    /// each form writes its result where it is wanted: values of many parts are not carried along.
    #[inline(always)]
    fn by_place(&self) -> Result<Decoded> {
        let (rex, modrm) = (self.rex, self.operands[0]);
        let high = (rex & B) << 3;
        let (register, reg, length) = match self.code.place {
            Place::Implied => (Reg::Rax, Reg::Rax, 0),
            Place::Opcode => (numbered((self.low_bits() & 7) | high), Reg::Rax, 0),
            place => {
                let reg = numbered(((modrm >> 3) & 7) | ((rex & R) << 1));
                let register = numbered((modrm & 7) | high);
                if modrm < 0xC0 {
                    premise!(place != Place::Register, self.refused());
                    return self.with_memory(register, reg);
                }
                premise!(place != Place::Memory, self.refused());
                (register, reg, 1)
            }
        };
        let (rm, unused) = (Rm::Reg(register), self.entry.unused);
        self.finish(&Operands { rm, register, reg, unused, length })
    }

    #[inline(always)]
    fn with_memory(&self, register: Reg, reg: Reg) -> Result<Decoded> {
        let (rm, unused) = (Rm::Reg(register), self.entry.unused);
        let mut o = Operands { rm, register, reg, unused, length: 0 };
        o.rm = Rm::Mem(self.memory(&mut o)?);
        self.finish(&o)
    }

    /// Once the operands are known: what is behind them, and whether all bits mean something.
    #[inline(always)]
    fn finish(&self, o: &Operands) -> Result<Decoded> {
        let imm = self.immediate(o.length)?;
        premise!(self.length(o.length) <= self.there, undecodable());
        // spl, bpl, sil, dil; without REX they are ah, ch, dh, bh (trap 8).
        let (rex, need_rex) = (self.rex, self.entry.has_bytes && self.need_rex(o));
        premise!(rex != 0 || !need_rex, self.refused());
        premise!(rex != 0x40 || need_rex, undecodable());
        premise!(rex & o.unused == 0, undecodable());
        self.operation(o, imm)
    }

    /// Of all bytes, if so many are of the operands.
    #[inline(always)]
    fn length(&self, operands: usize) -> usize {
        self.start.wrapping_add(operands).wrapping_add(usize::from(self.size))
    }

    /// Where the next instruction stands.
    #[inline(always)]
    fn behind(&self, operands: usize) -> u64 {
        self.address.wrapping_add(self.length(operands) as u64)
    }

    /// Of operands that the opcode does not have; but if they are cut off, nobody knows.
    #[cold]
    fn refused(&self) -> Error {
        if self.start < self.there { refused(self.opcode) } else { undecodable() }
    }

    /// Is an operand the low byte of rsp, rbp, rsi or rdi?
    fn need_rex(&self, o: &Operands) -> bool {
        let low = |reg| matches!(reg, Reg::Rsp | Reg::Rbp | Reg::Rsi | Reg::Rdi);
        let reg_is_byte = self.width == Width::W8 && self.code.digit.is_none();
        (reg_is_byte && low(o.reg)) || matches!(o.rm, Rm::Reg(reg) if low(reg))
    }

    /// The memory operand by ModRM, SIB and displacement.
    #[inline(always)]
    fn memory(&self, o: &mut Operands) -> Result<Ea> {
        let [modrm, sib, ..] = *self.operands;
        let (mode, low) = (modrm >> 6, modrm & 7);
        let mut ea = Ea { base: None, index: None, disp: 0 };
        let (base, disp) = match *self.operands {
            [_, _, a, b, c, d, ..] if low == 4 => {
                ea.index = self.index(mode, sib)?;
                o.unused &= if ea.index.is_some() { !X } else { !0 };
                o.length = 2;
                (sib & 7, [a, b, c, d])
            }
            [_, a, b, c, d, ..] => {
                o.length = 1;
                (low, [a, b, c, d])
            }
        };
        let (short, long) = (i8::from_le_bytes([disp[0]]), i32::from_le_bytes(disp));
        let (disp, length) = match (mode, base) {
            (0, 5) => (i64::from(long), 4),
            (0, _) => (0, 0),
            (1, _) => (i64::from(short), 1),
            _ => (i64::from(long), 4),
        };
        (ea.disp, o.length) = (disp, o.length.wrapping_add(length));
        if (mode, base) == (0, 5) {
            o.unused |= B;
            // Without a SIB byte it counts from the end of the instruction, an immediate behind
            // it included.
            let end = if low == 5 { self.behind(o.length).cast_signed() } else { 0 };
            ea.disp = disp.wrapping_add(end);
            return Ok(ea);
        }
        ea.base = Some(numbered(base | ((self.rex & B) << 3)));
        // The shortest. rbp and r13 have no form without a displacement.
        premise!(mode != 1 || disp != 0 || base == 5, undecodable());
        premise!(mode != 2 || i8::try_from(disp).is_err(), undecodable());
        Ok(ea)
    }

    /// The index and its scale. A SIB byte without one is for what cannot be written otherwise:
    /// rsp, r12 and absolute addresses.
    #[inline(always)]
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

    /// The immediate of this size behind so many bytes, sign-extended. Where nothing is written it
    /// is 1, or nobody asks.
    #[inline(always)]
    fn immediate(&self, behind: usize) -> Result<i64> {
        if self.size == 0 {
            return Ok(1);
        }
        let bytes = chunk(self.operands.get(behind..).unwrap_or_default());
        let others = (u32::from(self.size) << 3).wrapping_neg() & 63;
        let imm = (i64::from_le_bytes(*bytes) << others) >> others;
        if self.code.immediate == Immediate::Count {
            // A shift or rotation of 32 bits by a constant that is 0 modulo 32 moves nothing.
            // Whether it clears the upper half is not written down: `shld` and `shrd` are "no
            // operation" then. It has no use, so nobody has to know.
            premise!(self.width != Width::W32 || imm & 31 != 0, undecodable());
        }
        Ok(imm)
    }

    /// By the form of the row. Exhaustive: a new form does not compile without its reader.
    #[inline(always)]
    fn operation(&self, o: &Operands, imm: i64) -> Result<Decoded> {
        let (width, reg) = (self.width, o.reg);
        let target = || self.behind(o.length).wrapping_add_signed(imm);
        let repeats = self.prefixes & (F2 | F3) != 0;
        let done = |op| self.done(o, op);
        match self.entry.form {
            Form::Mov => self.two(o, imm, |dst, src| Op::Mov { width, dst, src }),
            Form::Extend { signed } => {
                let from = self.code.from.unwrap_or(width);
                done(Op::Extend { to: width, dst: reg, from, src: o.rm, signed })
            }
            Form::Convert => {
                let from = if width == Width::W64 { Width::W32 } else { Width::W16 };
                done(Op::Extend { to: width, dst: o.register, from, src: o.rm, signed: true })
            }
            Form::SignCopy => done(Op::SignCopy { width }),
            Form::Lea => done(Op::Lea { width, dst: reg, ea: address(o.rm) }),
            Form::Alu(op) => self.two(o, imm, |dst, src| Op::Alu { op, width, dst, src }),
            Form::Compare => self.two(o, imm, |left, right| Op::Cmp { width, left, right }),
            Form::Test => self.two(o, imm, |left, right| Op::Test { width, left, right }),
            Form::Unary(op) => done(Op::Unary { op, width, dst: o.rm }),
            // `imul r, r/m` is `imul r, r, r/m`; `imul r, r/m, c` stands for itself.
            Form::Imul => self.two(o, imm, |left, right| Op::Imul { width, dst: reg, left, right }),
            Form::MulWide => done(Op::MulWide { width, src: o.rm }),
            Form::Shift(op) => {
                done(Op::Shift { op, width, dst: o.rm, count: imm.to_le_bytes()[0] })
            }
            Form::ShiftCl => done(Op::ShiftCl { op: self.shift(), width, dst: o.rm }),
            Form::Rotate => {
                let by_cl = self.code.immediate == Immediate::Cl;
                done(Op::Rotate { width, dst: o.rm, by_cl })
            }
            Form::Bswap => done(Op::Bswap { width, dst: o.register }),
            Form::ShiftDouble => done(Op::ShiftDouble { width, dst: o.rm, src: reg }),
            Form::Div => done(Op::Div { width, src: o.rm, signed: false }),
            Form::Idiv => done(Op::Div { width, src: o.rm, signed: true }),
            Form::Cmov => done(Op::Cmov { cc: self.condition(), width, dst: reg, src: o.rm }),
            Form::Setcc => done(Op::Setcc { cc: self.condition(), dst: o.register }),
            Form::Xchg => done(Op::Xchg { width, left: o.register, right: reg }),
            Form::Push if self.code.place == Place::Opcode => {
                done(Op::Push { src: Src::Reg(o.register) })
            }
            Form::Push => done(Op::Push { src: Src::Imm(imm) }),
            Form::Pop => done(Op::Pop { dst: o.register }),
            Form::Leave => done(Op::Leave),
            Form::Call if self.code.immediate == Immediate::Far => {
                done(Op::Flow(Flow::Call(target())))
            }
            Form::Call => done(Op::Flow(Flow::CallReg(o.register))),
            Form::Jmp if self.code.immediate != Immediate::None => {
                done(Op::Flow(Flow::Jmp(target())))
            }
            Form::Jmp => match o.rm {
                Rm::Reg(to) => done(Op::Flow(Flow::JmpReg(to))),
                Rm::Mem(ea) => done(Op::Flow(Flow::JmpTable(ea))),
            },
            Form::Jcc => done(Op::Flow(Flow::Jcc(self.condition(), target()))),
            Form::Ret => done(Op::Flow(Flow::Ret)),
            Form::Movs if !repeats => done(Op::String(StringOp::Movsb)),
            Form::Movs => done(Op::String(StringOp::RepMovs(width))),
            Form::Stos if !repeats => done(Op::String(StringOp::Stosb)),
            Form::Stos => done(Op::String(StringOp::RepStos(width))),
            Form::Lodsb => done(Op::String(StringOp::Lodsb)),
            Form::Cmpsb => done(Op::String(StringOp::RepeCmpsb)),
            Form::Scasb => done(Op::String(StringOp::RepneScasb)),
            Form::BitCount(op) => done(Op::BitCount { op, width, dst: reg, src: o.rm }),
            Form::BitTest(op) => {
                self.two(o, imm, |_, bit| Op::BitTest { op, width, dst: o.register, bit })
            }
            Form::Nop | Form::Fence => done(Op::Nop),
            Form::Int3 => done(Op::Int3),
        }
    }

    /// An operation on the destination, or the left side, and the source, or the right side.
    #[inline(always)]
    fn two(&self, o: &Operands, imm: i64, op: impl Fn(Rm, Src) -> Op) -> Result<Decoded> {
        match (self.code.immediate, self.code.to_reg) {
            (Immediate::None, false) => self.done(o, op(o.rm, Src::Reg(o.reg))),
            (Immediate::None, true) => self.done(o, op(Rm::Reg(o.reg), o.rm.into())),
            _ => self.done(o, op(o.rm, Src::Imm(imm))),
        }
    }

    #[inline(always)]
    fn done(&self, o: &Operands, op: Op) -> Result<Decoded> {
        let (length, padding) = (self.length(o.length) as u8, matches!(op, Op::Int3));
        Ok(Decoded { op, length, row: self.entry.row, padding, endbr: false })
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

/// The opcode behind 0F.
fn behind_0f(second: u8) -> u16 {
    0x0F00 | u16::from(second)
}

/// Of an operand that is memory.
#[inline(always)]
fn address(rm: Rm) -> Ea {
    match rm {
        Rm::Mem(ea) => ea,
        Rm::Reg(base) => Ea { base: Some(base), index: None, disp: 0 },
    }
}
