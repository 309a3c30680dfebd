//! Not trusted. Every encoding of the table with operands of every kind.

use fastrand::Rng;
use iced_x86::{Code, Encoder, Instruction, MemoryOperand, OpCodeOperandKind, OpKind, Register};

/// General registers by number and size.
pub(crate) const WIDE: [Register; 16] = [
    Register::RAX,
    Register::RCX,
    Register::RDX,
    Register::RBX,
    Register::RSP,
    Register::RBP,
    Register::RSI,
    Register::RDI,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
    Register::R12,
    Register::R13,
    Register::R14,
    Register::R15,
];
const BYTE: [Register; 16] = [
    Register::AL,
    Register::CL,
    Register::DL,
    Register::BL,
    Register::SPL,
    Register::BPL,
    Register::SIL,
    Register::DIL,
    Register::R8L,
    Register::R9L,
    Register::R10L,
    Register::R11L,
    Register::R12L,
    Register::R13L,
    Register::R14L,
    Register::R15L,
];

pub(crate) fn sized(number: usize, bits: u32) -> Register {
    match bits {
        8 => BYTE[number],
        16 => Register::AX + number as u32,
        32 => Register::EAX + number as u32,
        _ => WIDE[number],
    }
}

/// Any register but rsp.
fn number(rng: &mut Rng) -> usize {
    loop {
        let n = rng.usize(0..16);
        if n != 4 {
            return n;
        }
    }
}

const EDGES: [i64; 24] = [
    0,
    1,
    2,
    3,
    7,
    8,
    15,
    16,
    31,
    32,
    63,
    64,
    127,
    128,
    255,
    256,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    -1,
    -2,
    -16,
    -128,
];

/// An edge value, or a random one of random length.
pub(crate) fn value(rng: &mut Rng) -> i64 {
    match rng.u8(0..4) {
        0 => EDGES[rng.usize(0..EDGES.len())],
        1 => i64::MIN.wrapping_add(EDGES[rng.usize(0..EDGES.len())]),
        2 => (1_i64 << rng.u32(0..64)).wrapping_add(EDGES[rng.usize(0..4)]).wrapping_sub(1),
        _ => rng.i64(..) >> rng.u32(0..64),
    }
}

/// May this operand be memory?
pub(crate) fn takes_memory(code: Code) -> Option<u32> {
    let info = code.op_code();
    (0..info.op_count()).find(|i| {
        matches!(
            info.op_kind(*i),
            OpCodeOperandKind::mem
                | OpCodeOperandKind::r8_or_mem
                | OpCodeOperandKind::r16_or_mem
                | OpCodeOperandKind::r32_or_mem
                | OpCodeOperandKind::r64_or_mem
        )
    })
}

/// `[base + disp]` and the like for `lea`, or as told.
fn lea_operand(rng: &mut Rng) -> MemoryOperand {
    let base = WIDE[rng.usize(0..16)];
    let index = WIDE[number(rng)];
    let scale = 1 << rng.u32(0..4);
    let disp = i64::from(value(rng) as i32);
    let size = u32::from(disp != 0);
    match rng.u8(0..4) {
        0 => MemoryOperand::with_base_displ_size(base, disp, size),
        1 => MemoryOperand::with_base_index_scale_displ_size(base, index, scale, disp, size),
        2 => MemoryOperand::with_index_scale_displ_size(index, scale, disp, 8),
        _ => MemoryOperand::with_base_index(base, index),
    }
}

/// An instruction of this code with random operands; memory operands as told.
pub(crate) fn instruction(rng: &mut Rng, code: Code, memory: Option<MemoryOperand>) -> Instruction {
    use OpCodeOperandKind as K;
    let info = code.op_code();
    let mut i = Instruction::new();
    i.set_code(code);
    let same = rng.u8(0..4) == 0;
    let first = number(rng);
    let pick = |rng: &mut Rng| if same { first } else { number(rng) };
    for n in 0..info.op_count() {
        let kind = info.op_kind(n);
        let may_be_memory = takes_memory(code) == Some(n);
        if may_be_memory && (memory.is_some() || kind == K::mem) {
            let operand = memory.unwrap_or_else(|| lea_operand(rng));
            i.set_op_kind(n, OpKind::Memory);
            i.set_memory_base(operand.base);
            i.set_memory_index(operand.index);
            i.set_memory_index_scale(operand.scale);
            i.set_memory_displacement64(operand.displacement as u64);
            i.set_memory_displ_size(operand.displ_size);
            continue;
        }
        // 90 with rax is nop.
        let swap = matches!(kind, K::r16_opcode | K::r32_opcode | K::r64_opcode)
            && matches!(code, Code::Xchg_r16_AX | Code::Xchg_r32_EAX | Code::Xchg_r64_RAX);
        let register = |i: &mut Instruction, r: Register| {
            i.set_op_kind(n, OpKind::Register);
            i.set_op_register(n, r);
        };
        match kind {
            K::r16_opcode if swap => register(&mut i, sized(pick(rng).max(1), 16)),
            K::r32_opcode if swap => register(&mut i, sized(pick(rng).max(1), 32)),
            K::r64_opcode if swap => register(&mut i, sized(pick(rng).max(1), 64)),
            K::r8_or_mem | K::r8_reg | K::r8_opcode => register(&mut i, sized(pick(rng), 8)),
            K::r16_or_mem | K::r16_reg | K::r16_opcode => register(&mut i, sized(pick(rng), 16)),
            K::r32_or_mem | K::r32_reg | K::r32_opcode => register(&mut i, sized(pick(rng), 32)),
            K::r64_or_mem | K::r64_reg | K::r64_opcode => register(&mut i, sized(pick(rng), 64)),
            K::al => register(&mut i, Register::AL),
            K::cl => register(&mut i, Register::CL),
            K::ax => register(&mut i, Register::AX),
            K::eax => register(&mut i, Register::EAX),
            K::rax => register(&mut i, Register::RAX),
            K::imm8 => immediate(&mut i, n, OpKind::Immediate8, value(rng)),
            K::imm8_const_1 => immediate(&mut i, n, OpKind::Immediate8, 1),
            K::imm8sex16 => immediate(&mut i, n, OpKind::Immediate8to16, value(rng)),
            K::imm8sex32 => immediate(&mut i, n, OpKind::Immediate8to32, value(rng)),
            K::imm8sex64 => immediate(&mut i, n, OpKind::Immediate8to64, value(rng)),
            K::imm16 => immediate(&mut i, n, OpKind::Immediate16, value(rng)),
            K::imm32 => immediate(&mut i, n, OpKind::Immediate32, value(rng)),
            K::imm32sex64 => immediate(&mut i, n, OpKind::Immediate32to64, value(rng)),
            K::imm64 => immediate(&mut i, n, OpKind::Immediate64, value(rng)),
            other => panic!("{code:?}: no operand of kind {other:?}"),
        }
    }
    i
}

fn immediate(i: &mut Instruction, n: u32, kind: OpKind, value: i64) {
    i.set_op_kind(n, kind);
    match kind {
        OpKind::Immediate8 => i.set_immediate8(value as u8),
        OpKind::Immediate16 => i.set_immediate16(value as u16),
        OpKind::Immediate32 => i.set_immediate32(value as u32),
        OpKind::Immediate64 => i.set_immediate64(value as u64),
        OpKind::Immediate8to16 => i.set_immediate8to16(i16::from(value as i8)),
        OpKind::Immediate8to32 => i.set_immediate8to32(i32::from(value as i8)),
        OpKind::Immediate8to64 => i.set_immediate8to64(i64::from(value as i8)),
        _ => i.set_immediate32to64(i64::from(value as i32)),
    }
}

/// The bytes.
pub(crate) fn encode(i: &Instruction) -> Vec<u8> {
    let mut encoder = Encoder::new(64);
    encoder.encode(i, 0x40_0000).unwrap_or_else(|e| panic!("{:?}: {e}", i.code()));
    encoder.take_buffer()
}
