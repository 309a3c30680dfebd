//! Not trusted: a test. What our decoder accepts, another one decodes to the same: yaxpeax-x86, by
//! another author and of another design. Length, operation, operands, sizes, prefixes.

use crate::bytes::ADDRESS;
use crate::operands::{self, Operand, constant_bits, wrapped};
use tal_core::decode::{Decoded, Flow, Op, Src, StringOp, Width};
use yaxpeax_arch::LengthedInstruction;
use yaxpeax_x86::amd64::{InstDecoder, Instruction, Opcode, RegSpec, register_class};

/// Where the other is known to be wrong: what is not asked of it, and why.
fn excused(op: &Op) -> Option<&'static str> {
    match op {
        Op::Bswap { width: Width::W32, .. } => {
            Some("`0F C8+r` without REX.W has a 32-bit register; it says 64 bits")
        }
        Op::BitTest { width: Width::W32, bit: Src::Imm(_), .. } => {
            Some("`0F BA /4..7 ib` without REX.W has a 32-bit register; it says 64 bits")
        }
        _ => None,
    }
}

/// Number and bits; registers that we have no form for have numbers that ours do not have.
fn register(reg: RegSpec) -> (u8, u8) {
    let (class, n) = (reg.class(), reg.num());
    match class {
        _ if class == register_class::Q => (n, 64),
        _ if class == register_class::D => (n, 32),
        _ if class == register_class::W => (n, 16),
        _ if class == register_class::RB => (n, 8),
        // ah, ch, dh, bh.
        _ if class == register_class::B && n >= 4 => (n + 100, 8),
        _ if class == register_class::B => (n, 8),
        _ => (250, 0),
    }
}

/// A base or index: 64 bits, or a number that ours does not have.
fn wide(reg: RegSpec) -> u8 {
    match register(reg) {
        (n, 64) => n,
        _ => 251,
    }
}

fn operand(other: &Instruction, n: u8, end: i64, bytes: u8) -> Operand {
    use yaxpeax_x86::amd64::Operand as O;
    let based = |base: RegSpec, disp: i32| match base == RegSpec::rip() {
        true => Operand::Mem(None, None, end + i64::from(disp), bytes),
        false => Operand::Mem(Some(wide(base)), None, i64::from(disp), bytes),
    };
    match other.operand(n) {
        O::ImmediateI8 { imm } => Operand::Const(imm.into()),
        O::ImmediateU8 { imm } => Operand::Const(imm.into()),
        O::ImmediateI16 { imm } => Operand::Const(imm.into()),
        O::ImmediateU16 { imm } => Operand::Const(imm.into()),
        O::ImmediateI32 { imm } => Operand::Const(imm.into()),
        O::ImmediateU32 { imm } => Operand::Const(imm.into()),
        O::ImmediateI64 { imm } => Operand::Const(imm),
        O::ImmediateU64 { imm } => Operand::Const(imm.cast_signed()),
        O::Register { reg } => {
            let (n, bits) = register(reg);
            Operand::Reg(n, bits)
        }
        O::AbsoluteU32 { addr } => Operand::Mem(None, None, addr.cast_signed().into(), bytes),
        O::AbsoluteU64 { addr } => Operand::Mem(None, None, addr.cast_signed(), bytes),
        O::MemDeref { base } => based(base, 0),
        O::Disp { base, disp } => based(base, disp),
        O::MemIndexScale { index, scale } => {
            Operand::Mem(None, Some((wide(index), scale)), 0, bytes)
        }
        O::MemIndexScaleDisp { index, scale, disp } => {
            Operand::Mem(None, Some((wide(index), scale)), disp.into(), bytes)
        }
        O::MemBaseIndexScale { base, index, scale } => {
            Operand::Mem(Some(wide(base)), Some((wide(index), scale)), 0, bytes)
        }
        O::MemBaseIndexScaleDisp { base, index, scale, disp } => {
            Operand::Mem(Some(wide(base)), Some((wide(index), scale)), disp.into(), bytes)
        }
        _ => Operand::Reg(252, 0),
    }
}

fn same(ours: &Operand, theirs: &Operand, bits: u8) -> bool {
    match (ours, theirs) {
        (Operand::Any, Operand::Const(_)) => true,
        (Operand::Const(a), Operand::Const(b)) => wrapped(*a, bits) == wrapped(*b, bits),
        // Sizes are compared apart: `lea` has none.
        (Operand::Mem(a, b, c, _), Operand::Mem(d, e, f, _)) => (a, b, c) == (d, e, f),
        _ => ours == theirs,
    }
}

fn all_same(ours: &[Operand], theirs: &[Operand], bits: u8) -> bool {
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same(a, b, bits))
}

/// Does the other decode these bytes to the same? Why not all of it was compared, if so.
///
/// # Errors
/// What differs, in words.
pub fn compare(bytes: &[u8], ours: &Decoded) -> Result<Option<&'static str>, String> {
    let other = InstDecoder::default().decode_slice(bytes);
    let other = other.map_err(|error| format!("the other does not decode it: {error:?}"))?;
    let length = other.len().to_const();
    if length != u64::from(ours.length) {
        return Err(format!("{} bytes, but {length} for the other", ours.length));
    }
    let (names, operands) = operands::of(&ours.op);
    let name = name(&other);
    if !names.contains(&name) {
        return Err(format!("{names:?}, but {name} for the other"));
    }
    let prefixes = other.prefixes;
    if prefixes.lock() || prefixes.fs() || prefixes.gs() || prefixes.address_size() {
        return Err(format!("{names:?} has a prefix for the other: {other}"));
    }
    if let Some(why) = excused(&ours.op) {
        return Ok(Some(why));
    }
    let end = i64::from(ADDRESS) + i64::from(ours.length);
    let bytes = other.mem_size().and_then(|m| m.bytes_size()).unwrap_or(0);
    let theirs: Vec<Operand> =
        (0..other.operand_count()).map(|n| operand(&other, n, end, bytes)).collect();
    agree(&ours.op, operands, &theirs, &other, end).map_err(|what| {
        format!(
            "{what}: {operands:?}, but {theirs:?} for the other",
            operands = operands::of(&ours.op).1
        )
    })?;
    Ok(None)
}

/// The other's name, in the spelling of `operands`.
fn name(other: &Instruction) -> String {
    match format!("{:?}", other.opcode()).as_str() {
        "CMOVNA" => "CMOVBE".into(),
        "CMOVNBE" => "CMOVA".into(),
        "JNA" => "JBE".into(),
        "SETAE" => "SETNB".into(),
        name => name.into(),
    }
}

fn agree(
    op: &Op,
    mut operands: Vec<Operand>,
    theirs: &[Operand],
    other: &Instruction,
    end: i64,
) -> Result<(), &'static str> {
    let size = other.mem_size().and_then(|m| m.bytes_size());
    match *op {
        Op::Flow(Flow::Jmp(t) | Flow::Jcc(_, t) | Flow::Call(t)) => match theirs {
            [Operand::Const(relative)] if end + relative == t.cast_signed() => return Ok(()),
            _ => return Err("another target"),
        },
        Op::String(string) => return strings(string, other, size),
        Op::Nop | Op::Int3 | Op::Leave | Op::SignCopy { .. } | Op::Flow(Flow::Ret) => {
            return Ok(());
        }
        Op::Extend { .. } if matches!(other.opcode(), Opcode::CDQE | Opcode::CWDE) => {
            return Ok(());
        }
        // `imul r, r/m` is `imul r, r, r/m` for us.
        Op::Imul { .. } if theirs.len() == 2 => drop(operands.remove(1)),
        _ => {}
    }
    let bits = constant_bits(op);
    let mut good = all_same(&operands, theirs, bits);
    if !good && matches!(op, Op::Xchg { .. } | Op::Test { .. }) {
        operands.reverse();
        good = all_same(&operands, theirs, bits);
    }
    let sized = operands.iter().find_map(|o| match o {
        Operand::Mem(_, _, _, bytes) => Some(*bytes).filter(|b| *b != 0),
        _ => None,
    });
    match sized {
        _ if !good => Err("other operands"),
        Some(bytes) if size != Some(bytes) => Err("another size of memory"),
        _ => Ok(()),
    }
}

fn strings(op: StringOp, other: &Instruction, size: Option<u8>) -> Result<(), &'static str> {
    let (rep, repne, bytes) = match op {
        StringOp::RepMovs(w) | StringOp::RepStos(w) => (true, false, w.bits() / 8),
        StringOp::RepeCmpsb => (true, false, 1),
        StringOp::RepneScasb => (false, true, 1),
        StringOp::Movsb | StringOp::Stosb | StringOp::Lodsb => (false, false, 1),
    };
    let prefixes = other.prefixes;
    if (prefixes.rep(), prefixes.repnz()) != (rep, repne) {
        return Err("other repetition");
    }
    // Of the others it gives no size, or that of the register.
    let told = matches!(op, StringOp::RepMovs(_) | StringOp::Movsb | StringOp::RepeCmpsb);
    if told && size != Some(bytes) { Err("another size of memory") } else { Ok(()) }
}
