//! Not trusted: a test. What our decoder understood of the bytes, encoded again by the encoder,
//! gives the same bytes: nothing of them is overlooked.

use crate::bytes::ADDRESS;
use crate::forms::sized;
use crate::operands::{self, Operand};
use iced_x86::{Decoder, DecoderOptions, Encoder, Instruction, OpKind, Register};
use tal_core::decode::{Decoded, Op};

/// The instruction with the operands that we understood. The code, hence the form of the encoding,
/// is that of the decoder below ours.
fn understood(bytes: &[u8], ours: &Decoded) -> Result<Instruction, String> {
    let ip = u64::from(ADDRESS);
    let decoded = Decoder::with_ip(64, bytes, ip, DecoderOptions::NONE).decode();
    let mut i = decoded;
    let (_, mut list) = operands::of(&ours.op);
    let implicit = matches!(ours.op, Op::Extend { .. } | Op::Nop | Op::String(_) | Op::Int3);
    if implicit && list.len() != i.op_count() as usize {
        return Ok(i);
    }
    if matches!(ours.op, Op::Imul { .. }) && i.op_count() == 2 {
        list.remove(1);
    }
    if list.len() != i.op_count() as usize {
        return Err(format!("{} operands instead of {}", list.len(), i.op_count()));
    }
    // Nothing of the bytes but the code and the size of the displacement is kept.
    for (n, operand) in (0..).zip(list) {
        put(&mut i, n, operand)?;
    }
    Ok(i)
}

fn put(i: &mut Instruction, n: u32, operand: Operand) -> Result<(), String> {
    let kind = i.op_kind(n);
    match (operand, kind) {
        (Operand::Any, _) => {}
        (Operand::Reg(number, bits), OpKind::Register) => {
            i.set_op_register(n, sized(usize::from(number), u32::from(bits)));
        }
        (Operand::Mem(base, index, disp, _), OpKind::Memory) => {
            let wide = |n: u8| sized(usize::from(n), 64);
            let relative = base.is_none() && i.memory_base() == Register::RIP;
            let none = if relative { Register::RIP } else { Register::None };
            i.set_memory_base(base.map_or(none, wide));
            i.set_memory_index(index.map_or(Register::None, |(n, _)| wide(n)));
            i.set_memory_index_scale(index.map_or(1, |(_, scale)| scale.into()));
            i.set_memory_displacement64(disp.cast_unsigned());
            let plain = base.is_some();
            i.set_memory_displ_size(if plain { u32::from(disp != 0) } else { 8 });
        }
        (Operand::Const(c), OpKind::NearBranch64) => i.set_near_branch64(c.cast_unsigned()),
        (Operand::Const(c), OpKind::Immediate8) => i.set_immediate8(c as u8),
        (Operand::Const(c), OpKind::Immediate16) => i.set_immediate16(c as u16),
        (Operand::Const(c), OpKind::Immediate32) => i.set_immediate32(c as u32),
        (Operand::Const(c), OpKind::Immediate64) => i.set_immediate64(c as u64),
        (Operand::Const(c), OpKind::Immediate8to16) => i.set_immediate8to16(c as i16),
        (Operand::Const(c), OpKind::Immediate8to32) => i.set_immediate8to32(c as i32),
        (Operand::Const(c), OpKind::Immediate8to64) => i.set_immediate8to64(c),
        (Operand::Const(c), OpKind::Immediate32to64) => i.set_immediate32to64(c),
        (operand, kind) => return Err(format!("{operand:?} for an operand of kind {kind:?}")),
    }
    Ok(())
}

/// Are the bytes those that the encoder makes? What differs, in words.
///
/// # Errors
/// That.
pub fn compare(bytes: &[u8], ours: &Decoded) -> Result<(), String> {
    let bytes = bytes.get(..usize::from(ours.length)).ok_or("longer than its bytes")?;
    let i = understood(bytes, ours)?;
    let mut encoder = Encoder::new(64);
    encoder.encode(&i, u64::from(ADDRESS)).map_err(|e| format!("not encoded: {e}"))?;
    let again = encoder.take_buffer();
    if again == bytes { Ok(()) } else { Err(format!("encoded again: {again:02x?}")) }
}
