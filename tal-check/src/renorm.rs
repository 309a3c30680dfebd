//! Not trusted: a bug here can reject, never admit. Compares of what may wrap.
//!
//! A register holds a term only modulo 2^64. Of a term that may lie outside of that range, as the
//! sum of two unknown numbers, a compare says nothing: the number compared is another one. The
//! ghost `renorm` gives the register's own number a name, and what it was computed from is
//! forgotten. So it is tried only in functions that were refused without.

use crate::lowered::{FnInfo, GhostLine, GhostOp, Lowered};
use iced_x86::{ConditionCode, Instruction, Mnemonic, OpKind};
use std::collections::BTreeSet;
use tal_core::ty::{FnId, Reg};

/// Adds the ghost before each compare of 64-bit registers of these functions.
pub(crate) fn add(lowered: &mut Lowered, functions: &BTreeSet<FnId>) {
    for id in functions {
        let Some(function) = lowered.functions.get(id.0 as usize) else { continue };
        let new = compares(lowered, function);
        if let Some(function) = lowered.functions.get_mut(id.0 as usize) {
            function.ghosts.extend(new);
        }
    }
}

/// Takes them away again: no source has this ghost.
pub(crate) fn remove(lowered: &mut Lowered, functions: &BTreeSet<FnId>) {
    for id in functions {
        if let Some(function) = lowered.functions.get_mut(id.0 as usize) {
            function.ghosts.retain(|g| !matches!(g.op, GhostOp::Renorm { .. }));
        }
    }
}

fn compares(lowered: &Lowered, function: &FnInfo) -> Vec<GhostLine> {
    let code: Vec<_> = lowered.instructions(function.offset, function.end()).collect();
    let mut found = Vec::new();
    for (at, instruction) in code.iter().enumerate() {
        let regs = compared(instruction);
        if regs.is_empty() {
            continue;
        }
        let offset = lowered.offset_of(instruction);
        let signed = code.get(at + 1).is_some_and(|next| is_signed(next.condition_code()));
        let span = lowered.span_at(offset).unwrap_or(function.span);
        let op = GhostOp::Renorm { regs, signed };
        found.push(GhostLine { offset, falls: false, op, vars: Vec::new(), span });
    }
    found
}

/// The 64-bit registers that a compare compares.
fn compared(instruction: &Instruction) -> Vec<Reg> {
    if !matches!(instruction.mnemonic(), Mnemonic::Cmp | Mnemonic::Test) {
        return Vec::new();
    }
    let operands = (0..instruction.op_count())
        .filter(|i| instruction.op_kind(*i) == OpKind::Register)
        .map(|i| instruction.op_register(i))
        .filter(|r| r.is_gpr64());
    operands.filter_map(|r| Reg::ALL.get(r.number()).copied()).collect()
}

fn is_signed(condition: ConditionCode) -> bool {
    use ConditionCode as C;
    matches!(condition, C::l | C::le | C::g | C::ge | C::s | C::ns)
}
