//! Not trusted: a test. What an accepted instruction is, said in plain numbers: names and explicit
//! operands, from our decoder's answer alone.

use tal_core::decode::{Alu, BitCount, BitTest, Cc, Ea, Flow, Op, Rm, Shift, Src, StringOp};
use tal_core::decode::{Unary, Width};
use tal_core::ty::Reg;

/// An explicit operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operand {
    /// Register by number, and its bits.
    Reg(u8, u8),
    /// Memory: base, index and scale, displacement; bytes, 0 for `lea`.
    Mem(Option<u8>, Option<(u8, u8)>, i64, u8),
    /// A constant.
    Const(i64),
    /// A constant that the rules do not look at, so that the decoder does not keep it.
    Any,
}

const CC: [&str; 16] =
    ["O", "NO", "B", "NB", "Z", "NZ", "BE", "A", "S", "NS", "P", "NP", "L", "GE", "LE", "G"];

fn cc(prefix: &str, cc: Cc) -> Vec<String> {
    vec![format!("{prefix}{}", CC[cc as usize])]
}

fn named(name: &str) -> Vec<String> {
    name.split(' ').map(str::to_string).collect()
}

fn reg(reg: Reg, width: Width) -> Operand {
    Operand::Reg(reg as u8, width.bits())
}

fn mem(ea: Ea, bytes: u8) -> Operand {
    let index = ea.index.map(|(reg, scale)| (reg as u8, scale));
    Operand::Mem(ea.base.map(|b| b as u8), index, ea.disp, bytes)
}

fn rm(rm: Rm, width: Width) -> Operand {
    match rm {
        Rm::Reg(r) => reg(r, width),
        Rm::Mem(ea) => mem(ea, width.bits() / 8),
    }
}

fn src(src: Src, width: Width) -> Operand {
    match src {
        Src::Reg(r) => reg(r, width),
        Src::Mem(ea) => mem(ea, width.bits() / 8),
        Src::Imm(c) => Operand::Const(c),
    }
}

fn shift(op: Shift) -> &'static str {
    match op {
        Shift::Shl => "SHL",
        Shift::Shr => "SHR",
        Shift::Sar => "SAR",
    }
}

fn alu(op: Alu) -> &'static str {
    match op {
        Alu::Add => "ADD",
        Alu::Sub => "SUB",
        Alu::Adc => "ADC",
        Alu::Sbb => "SBB",
        Alu::And => "AND",
        Alu::Or => "OR",
        Alu::Xor => "XOR",
    }
}

/// Names that the operation may have, and its explicit operands in the order of Intel's syntax.
#[must_use]
pub fn of(op: &Op) -> (Vec<String>, Vec<Operand>) {
    if let Op::Flow(flow) = *op {
        return transfer(flow);
    }
    match *op {
        Op::Mov { width, dst, src: s } => (named("MOV"), vec![rm(dst, width), src(s, width)]),
        Op::Extend { to, dst, from, src: s, signed } => {
            let names = if signed { "MOVSX MOVSXD CDQE CWDE" } else { "MOVZX" };
            (named(names), vec![reg(dst, to), rm(s, from)])
        }
        Op::SignCopy { width: Width::W64 } => (named("CQO"), vec![]),
        Op::SignCopy { .. } => (named("CDQ"), vec![]),
        Op::Lea { width, dst, ea } => (named("LEA"), vec![reg(dst, width), mem(ea, 0)]),
        Op::Alu { op, width, dst, src: s } => (named(alu(op)), vec![rm(dst, width), src(s, width)]),
        Op::Cmp { width, left, right } => (named("CMP"), vec![rm(left, width), src(right, width)]),
        Op::Test { width, left, right } => {
            (named("TEST"), vec![rm(left, width), src(right, width)])
        }
        Op::Unary { op, width, dst } => {
            let name = match op {
                Unary::Inc => "INC",
                Unary::Dec => "DEC",
                Unary::Neg => "NEG",
                Unary::Not => "NOT",
            };
            (named(name), vec![rm(dst, width)])
        }
        Op::Imul { width, dst, left, right } => {
            (named("IMUL"), vec![reg(dst, width), rm(left, width), src(right, width)])
        }
        Op::MulWide { width, src: s } => (named("MUL IMUL"), vec![rm(s, width)]),
        Op::Div { width, src: s, signed } => {
            (named(if signed { "IDIV" } else { "DIV" }), vec![rm(s, width)])
        }
        Op::Shift { op, width, dst, count } => {
            (named(shift(op)), vec![rm(dst, width), Operand::Const(i64::from(count))])
        }
        Op::ShiftCl { op, width, dst } => {
            (named(shift(op)), vec![rm(dst, width), Operand::Reg(1, 8)])
        }
        _ => rest(op),
    }
}

fn rest(op: &Op) -> (Vec<String>, Vec<Operand>) {
    match *op {
        Op::Rotate { width, dst, by_cl } => {
            let count = if by_cl { Operand::Reg(1, 8) } else { Operand::Any };
            (named("ROL ROR"), vec![rm(dst, width), count])
        }
        Op::ShiftDouble { width, dst, src: s } => {
            (named("SHLD SHRD"), vec![rm(dst, width), reg(s, width), Operand::Any])
        }
        Op::Bswap { width, dst } => (named("BSWAP"), vec![reg(dst, width)]),
        Op::Cmov { cc: c, width, dst, src: s } => {
            (cc("CMOV", c), vec![reg(dst, width), rm(s, width)])
        }
        Op::Setcc { cc: c, dst } => (cc("SET", c), vec![reg(dst, Width::W8)]),
        Op::Xchg { width, left, right } => {
            (named("XCHG"), vec![reg(left, width), reg(right, width)])
        }
        Op::Push { src: s } => (named("PUSH"), vec![src(s, Width::W64)]),
        Op::Pop { dst } => (named("POP"), vec![reg(dst, Width::W64)]),
        Op::String(op) => {
            let name = match op {
                StringOp::RepMovs(_) | StringOp::Movsb => "MOVS",
                StringOp::RepStos(_) | StringOp::Stosb => "STOS",
                StringOp::Lodsb => "LODS",
                StringOp::RepeCmpsb => "CMPS",
                StringOp::RepneScasb => "SCAS",
            };
            (named(name), vec![])
        }
        Op::BitCount { op, width, dst, src: s } => {
            let name = match op {
                BitCount::Popcnt => "POPCNT",
                BitCount::Tzcnt => "TZCNT",
                BitCount::Lzcnt => "LZCNT",
            };
            (named(name), vec![reg(dst, width), rm(s, width)])
        }
        Op::BitTest { op, width, dst, bit } => {
            let name = if op == BitTest::Bt { "BT" } else { "BTS BTR BTC" };
            (named(name), vec![reg(dst, width), src(bit, width)])
        }
        Op::Nop => (named("NOP ENDBR64 PAUSE LFENCE MFENCE SFENCE"), vec![]),
        Op::Int3 => (named("INT3 INT"), vec![]),
        Op::Leave => (named("LEAVE"), vec![]),
        _ => (vec![], vec![]),
    }
}

fn transfer(flow: Flow) -> (Vec<String>, Vec<Operand>) {
    let target = |t: u64| vec![Operand::Const(t.cast_signed())];
    match flow {
        Flow::Jmp(t) => (named("JMP"), target(t)),
        Flow::Jcc(c, t) => (cc("J", c), target(t)),
        Flow::JmpReg(r) => (named("JMP"), vec![reg(r, Width::W64)]),
        Flow::JmpTable(ea) => (named("JMP"), vec![mem(ea, 8)]),
        Flow::Call(t) => (named("CALL"), target(t)),
        Flow::CallReg(r) => (named("CALL"), vec![reg(r, Width::W64)]),
        Flow::Ret => (named("RETURN RET"), vec![]),
    }
}

/// The width in bits to which constants of this operation are compared.
#[must_use]
pub fn constant_bits(op: &Op) -> u8 {
    match op {
        Op::Shift { .. } | Op::ShiftDouble { .. } | Op::BitTest { .. } | Op::Rotate { .. } => 8,
        Op::Mov { width, .. }
        | Op::Alu { width, .. }
        | Op::Cmp { width, .. }
        | Op::Test { width, .. }
        | Op::Imul { width, .. } => width.bits(),
        _ => 64,
    }
}

/// The constant at so many bits.
#[must_use]
pub fn wrapped(c: i64, bits: u8) -> i64 {
    match bits {
        8 => i64::from(c as i8),
        16 => i64::from(c as i16),
        32 => i64::from(c as i32),
        _ => c,
    }
}
