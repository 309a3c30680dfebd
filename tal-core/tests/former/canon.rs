//! Not trusted: a test. Is this byte string the one encoding of its instruction (trap 130)?

use iced_x86::{Code, Instruction, OpKind, Register};
use tal_core::decode::{Op, StringOp, Width};

/// The prefixes that the encoding must have, in this order, before the opcode.
struct Prefixes {
    /// 66.
    operand_size: bool,
    /// F2 or F3.
    repeat: Option<u8>,
    /// REX.W.
    wide: bool,
}

/// Are the bytes canonical: prefixes, REX, SIB, displacement?
pub(super) fn canonical(i: &Instruction, op: &Op, bytes: &[u8]) -> bool {
    if matches!(i.code(), Code::Nopd | Code::Nopw | Code::Nop_rm16 | Code::Nop_rm32) {
        return is_manual_nop(bytes);
    }
    let Some((rest, rex)) = strip(&prefixes(i, op), bytes) else { return false };
    rex_is_used(i, rex)
        && memory_is_short(i, rest)
        && no_ignored_field(op, rest)
        && moves_something(i, op)
}

/// A 32-bit shift or rotation by a constant that is 0 modulo 32 moves nothing. Whether it clears
/// the upper half is not written down: `shld` and `shrd` are "no operation" then. It has no use,
/// so nobody has to know.
fn moves_something(i: &Instruction, op: &Op) -> bool {
    let shifts = matches!(
        op,
        Op::Shift { width: Width::W32, .. }
            | Op::Rotate { width: Width::W32, .. }
            | Op::ShiftDouble { width: Width::W32, .. }
    );
    let last = i.op_count().saturating_sub(1);
    !shifts || i.op_kind(last) != OpKind::Immediate8 || i.immediate8() & 31 != 0
}

/// `setcc` ignores the register field of its ModRM byte: zero it must be.
fn no_ignored_field(op: &Op, opcode: &[u8]) -> bool {
    let is_zero = matches!(opcode, [_, _, modrm] if modrm & 0x38 == 0);
    is_zero || !matches!(op, Op::Setcc { .. })
}

/// Removes the expected prefixes and an optional REX; `None` if there are others.
fn strip<'a>(expected: &Prefixes, bytes: &'a [u8]) -> Option<(&'a [u8], Option<u8>)> {
    let mut rest = bytes;
    if expected.operand_size {
        rest = rest.strip_prefix(&[0x66])?;
    }
    if let Some(repeat) = expected.repeat {
        rest = rest.strip_prefix(&[repeat])?;
    }
    let rex = rest.first().copied().filter(|b| b & 0xF0 == 0x40);
    if rex.is_some() {
        rest = rest.get(1..)?;
    }
    let wide = rex.is_some_and(|b| b & 8 != 0);
    let stray = rest.first().is_none_or(|b| is_prefix(*b));
    ((wide == expected.wide) && !stray).then_some((rest, rex))
}

fn is_prefix(byte: u8) -> bool {
    matches!(byte, 0x26 | 0x2E | 0x36 | 0x3E | 0x40..=0x4F | 0x64..=0x67 | 0xF0 | 0xF2 | 0xF3)
}

fn prefixes(i: &Instruction, op: &Op) -> Prefixes {
    let width = match op {
        Op::Mov { width, .. }
        | Op::Extend { to: width, .. }
        | Op::SignCopy { width }
        | Op::Lea { width, .. }
        | Op::Alu { width, .. }
        | Op::Cmp { width, .. }
        | Op::Test { width, .. }
        | Op::Unary { width, .. }
        | Op::Imul { width, .. }
        | Op::MulWide { width, .. }
        | Op::Shift { width, .. }
        | Op::ShiftCl { width, .. }
        | Op::Rotate { width, .. }
        | Op::Bswap { width, .. }
        | Op::ShiftDouble { width, .. }
        | Op::Div { width, .. }
        | Op::Cmov { width, .. }
        | Op::Xchg { width, .. }
        | Op::BitCount { width, .. }
        | Op::BitTest { width, .. }
        | Op::String(StringOp::RepMovs(width) | StringOp::RepStos(width)) => *width,
        // 64 bits (or no width) by themselves: REX.W would be redundant.
        Op::Setcc { .. }
        | Op::Push { .. }
        | Op::Pop { .. }
        | Op::Leave
        | Op::String(_)
        | Op::Nop
        | Op::Int3
        | Op::Flow(_) => Width::W8,
    };
    let repeat = match op {
        Op::String(StringOp::RepneScasb) => Some(0xF2),
        Op::String(StringOp::RepMovs(_) | StringOp::RepStos(_) | StringOp::RepeCmpsb)
        | Op::BitCount { .. } => Some(0xF3),
        Op::Nop if matches!(i.code(), Code::Pause | Code::Endbr64) => Some(0xF3),
        _ => None,
    };
    Prefixes { operand_size: width == Width::W16, repeat, wide: width == Width::W64 }
}

/// Each of REX.R, X, B that is set brings in exactly one of r8..r15, so counting them finds a bit
/// that is ignored. A REX without these and without W is there for spl, bpl, sil, dil only.
fn rex_is_used(i: &Instruction, rex: Option<u8>) -> bool {
    let Some(rex) = rex else { return true };
    let high = |r: Register| r != Register::RIP && r.is_gpr() && r.full_register().number() >= 8;
    let (mut count, mut byte_register, mut has_memory) = (0_u32, false, false);
    for n in 0..i.op_count() {
        match i.op_kind(n) {
            OpKind::Register => {
                let r = i.op_register(n);
                count = count.saturating_add(u32::from(high(r)));
                byte_register |=
                    matches!(r, Register::SPL | Register::BPL | Register::SIL | Register::DIL);
            }
            OpKind::Memory => has_memory = true,
            _ => {}
        }
    }
    if has_memory {
        let memory = [i.memory_base(), i.memory_index()].into_iter();
        count = memory.fold(count, |n, r| n.saturating_add(u32::from(high(r))));
    }
    (count == (rex & 7).count_ones()) && (rex & 15 != 0 || byte_register)
}

/// No SIB byte without need, no scale without index, the shortest displacement. `bytes` starts at
/// the opcode.
fn memory_is_short(i: &Instruction, bytes: &[u8]) -> bool {
    if (0..i.op_count()).all(|n| i.op_kind(n) != OpKind::Memory) {
        return true;
    }
    let after = match bytes {
        [0x0F, _, rest @ ..] | [_, rest @ ..] => rest,
        [] => return false,
    };
    let [modrm, rest @ ..] = after else { return false };
    let (form, rm) = (modrm >> 6, modrm & 7);
    let (base, rest) = match (rm, rest) {
        (4, [sib, rest @ ..]) => {
            let no_index = i.memory_index() == Register::None;
            let needed = sib & 7 == 4 || (form == 0 && sib & 7 == 5);
            let fits = !no_index || (needed && (sib >> 6 == 0));
            if !fits {
                return false;
            }
            (sib & 7, rest)
        }
        (4, []) => return false,
        (rm, rest) => (rm, rest),
    };
    match (form, rest) {
        // rip-relative, absolute, or index alone: always four bytes; else no displacement.
        (0, _) => true,
        // One byte: not zero, unless the base is rbp or r13, which have no form without.
        (1, [disp, ..]) => *disp != 0 || base == 5,
        (2, [a, b, c, d, ..]) => i8::try_from(i32::from_le_bytes([*a, *b, *c, *d])).is_err(),
        _ => false,
    }
}

/// The nops of the manual (two bytes: 66 90), for padding.
fn is_manual_nop(bytes: &[u8]) -> bool {
    const LONG: [u8; 9] = [0x66, 0x0F, 0x1F, 0x84, 0, 0, 0, 0, 0];
    match bytes.len() {
        1 => bytes == [0x90],
        2 => bytes == [0x66, 0x90],
        3 => bytes == [0x0F, 0x1F, 0x00],
        4 => bytes == [0x0F, 0x1F, 0x40, 0x00],
        5 => bytes == [0x0F, 0x1F, 0x44, 0, 0],
        6 => bytes == [0x66, 0x0F, 0x1F, 0x44, 0, 0],
        7 => bytes == [0x0F, 0x1F, 0x80, 0, 0, 0, 0],
        8 => LONG.get(1..) == Some(bytes),
        9 => bytes == LONG,
        _ => false,
    }
}
