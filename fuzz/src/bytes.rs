//! Not trusted: a test. Bytes that may be an instruction: random ones, ones of the shape of an
//! instruction, every form of the table with random operands, and these with a bit changed.

use crate::corpus::Corpus;
use crate::forms;
use fastrand::Rng;
use iced_x86::{Code, Encoder, MemoryOperand, OpCodeOperandKind};
use tal_check::encodings::codes_of;
use tal_core::table::{Form, ROWS};

/// Where they stand.
pub const ADDRESS: u32 = 0x40_0000;

/// The forms of the table that `forms` has operands for.
fn codes() -> Vec<Code> {
    let plain = ROWS.iter().filter(|r| {
        !matches!(
            r.form,
            Form::Call
                | Form::Ret
                | Form::Jmp
                | Form::Jcc
                | Form::Movs
                | Form::Stos
                | Form::Lodsb
                | Form::Cmpsb
                | Form::Scasb
                | Form::Nop
                | Form::Fence
                | Form::Int3
        )
    });
    plain.flat_map(codes_of).copied().collect()
}

/// Makes them.
#[derive(Debug)]
pub struct Bytes {
    codes: Vec<Code>,
    instructions: Vec<Vec<u8>>,
}

impl Bytes {
    /// With the instructions of the corpus among them.
    #[must_use]
    pub fn new(corpus: &Corpus) -> Bytes {
        let instructions = corpus.instructions.iter().flatten().cloned().collect();
        Bytes { codes: codes(), instructions }
    }

    /// Fifteen bytes or fewer.
    pub fn make(&self, rng: &mut Rng) -> Vec<u8> {
        let mut bytes = match rng.u8(0..8) {
            0 => random(rng),
            1..=3 => shaped(rng),
            4..=5 => self.form(rng),
            _ => rng.choice(&self.instructions).cloned().unwrap_or_else(|| shaped(rng)),
        };
        if rng.u8(0..3) == 0 {
            let at = rng.usize(0..bytes.len().max(1));
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.u8(0..8);
            }
        }
        if rng.u8(0..16) == 0 {
            bytes.truncate(rng.usize(0..16));
        } else {
            // What follows an instruction is not part of it.
            let more = 15_usize.saturating_sub(bytes.len());
            bytes.extend((0..more).map(|_| rng.u8(..)));
        }
        bytes.truncate(15);
        bytes
    }

    /// A form of the table with random operands, in registers or memory.
    fn form(&self, rng: &mut Rng) -> Vec<u8> {
        let code = self.codes[rng.usize(0..self.codes.len())];
        let takes = forms::takes_memory(code).is_some() && rng.bool();
        let memory = takes.then(|| operand(rng));
        let unknown = (0..code.op_code().op_count()).any(|i| {
            matches!(code.op_code().op_kind(i), OpCodeOperandKind::mem) && memory.is_none()
        });
        let i = forms::instruction(rng, code, memory.filter(|_| !unknown));
        let mut encoder = Encoder::new(64);
        match encoder.encode(&i, u64::from(ADDRESS)) {
            Ok(_) => encoder.take_buffer(),
            Err(_) => shaped(rng),
        }
    }
}

/// Memory of every addressing form.
fn operand(rng: &mut Rng) -> MemoryOperand {
    let register = |rng: &mut Rng| forms::WIDE[rng.usize(0..16)];
    let disp = i64::from(forms::value(rng) as i32);
    let index = loop {
        let n = rng.usize(0..16);
        if n != 4 {
            break forms::WIDE[n];
        }
    };
    let scale = 1 << rng.u32(0..4);
    let base = register(rng);
    let size = u32::from(disp != 0);
    match rng.u8(0..5) {
        0 => MemoryOperand::with_base(base),
        1 => MemoryOperand::with_base_displ_size(base, disp, size),
        2 => MemoryOperand::with_base_index_scale_displ_size(base, index, scale, disp, size),
        3 => MemoryOperand::with_index_scale_displ_size(index, scale, disp, 8),
        _ => {
            let target = i64::from(ADDRESS).wrapping_add(disp >> 1);
            MemoryOperand::with_base_displ(iced_x86::Register::RIP, target)
        }
    }
}

fn random(rng: &mut Rng) -> Vec<u8> {
    (0..15).map(|_| rng.u8(..)).collect()
}

/// Prefixes, REX, opcode, ModRM, SIB, the rest: each as often as it matters.
fn shaped(rng: &mut Rng) -> Vec<u8> {
    const PREFIXES: [u8; 11] = [0x66, 0xF2, 0xF3, 0x66, 0xF2, 0xF3, 0x67, 0xF0, 0x2E, 0x64, 0x65];
    let mut bytes = Vec::new();
    for _ in 0..[0, 0, 0, 0, 1, 1, 1, 2][rng.usize(0..8)] {
        bytes.push(PREFIXES[rng.usize(0..PREFIXES.len())]);
    }
    if rng.bool() {
        bytes.push(0x40 | rng.u8(0..16));
    }
    match rng.u8(0..8) {
        0..=4 => bytes.push(rng.u8(..)),
        5..=6 => bytes.extend([0x0F, rng.u8(..)]),
        _ => bytes.extend([0x0F, [0x38, 0x3A][rng.usize(0..2)], rng.u8(..)]),
    }
    bytes.push(rng.u8(..));
    if rng.bool() {
        bytes.push([0x24, 0x25, 0x20, 0x05, 0x65, 0xE4, 0x9C, rng.u8(..)][rng.usize(0..8)]);
    }
    let fill = [0, 1, 0x80, 0xFF][rng.usize(0..4)];
    while bytes.len() < 15 {
        bytes.push(if rng.u8(0..3) == 0 { rng.u8(..) } else { fill });
    }
    bytes
}
