//! Not trusted. Shifts and rotations by every count, those at and above the width among them, and
//! of the register that holds the count.

use super::{alone, case, check, claims};
use crate::forms::{encode, instruction, sized};
use crate::machine::Machine;
use crate::support::{Prover, image_of, no_interface, set};
use fastrand::Rng;
use iced_x86::{Code, Instruction, Mnemonic, OpKind};
use tal_core::decode::decode_at;
use tal_core::judge::Judge;
use tal_core::table::Form;
use tal_core::term::Term;
use tal_core::ty::{Reg, Word};

/// A 32-bit shift or rotation by a constant that is 0 modulo 32?
pub(crate) fn by_nothing(i: &Instruction) -> bool {
    use Mnemonic as M;
    let shifts = [M::Shl, M::Shr, M::Sar, M::Rol, M::Ror, M::Shld, M::Shrd];
    let wide = match i.op0_kind() {
        OpKind::Memory => i.memory_size().size() == 4,
        _ => i.op0_register().size() == 4,
    };
    let last = i.op_count().saturating_sub(1);
    shifts.contains(&i.mnemonic())
        && wide
        && i.op_kind(last) == OpKind::Immediate8
        && i.immediate8().is_multiple_of(32)
}

fn shifts(by_cl: bool) -> Vec<Code> {
    let forms =
        |f: &Form| matches!(f, Form::Shift(_) | Form::Rotate | Form::ShiftDouble | Form::ShiftCl);
    let cl = |c: &Code| {
        let info = c.op_code();
        info.op_kind(info.op_count() - 1) == iced_x86::OpCodeOperandKind::cl
    };
    let one = |c: &Code| {
        let info = c.op_code();
        info.op_kind(info.op_count() - 1) == iced_x86::OpCodeOperandKind::imm8_const_1
    };
    let all = alone().filter(|(r, _)| forms(&r.form)).map(|(_, c)| c);
    all.filter(|c| cl(c) == by_cl && !one(c)).collect()
}

#[test]
fn every_count_is_as_the_rows_claim() {
    let mut machine = Machine::new();
    let mut rng = Rng::with_seed(21);
    let codes = shifts(false);
    assert!(codes.len() >= 24, "{codes:?}");
    for code in codes {
        let mut ran = 0;
        for count in (0..=70).chain([95, 96, 127, 128, 129, 160, 224, 255]) {
            for round in 0..4 {
                let mut i = instruction(&mut rng, code, None);
                i.set_immediate8(count);
                let bytes = encode(&i);
                let decoded = decode_at(&bytes, 0x40_0000, 0);
                if by_nothing(&i) {
                    assert!(decoded.is_err(), "{i}: whether it clears the upper half is unknown");
                    continue;
                }
                let c = case(&mut rng, &machine, round == 0);
                ran += usize::from(check(&mut machine, &bytes, &decoded.unwrap(), &c));
            }
        }
        assert!(ran > 70, "{code:?} was accepted {ran} times only");
    }
}

#[test]
fn the_count_itself_is_shifted_as_the_rows_claim() {
    let mut machine = Machine::new();
    let mut rng = Rng::with_seed(22);
    let codes = shifts(true);
    assert!(codes.len() >= 20, "{codes:?}");
    for code in codes {
        let mut ran = 0;
        for round in 0..96 {
            let mut i = instruction(&mut rng, code, None);
            let size = i.op0_register().size() as u32;
            i.set_op0_register(sized(1, 8 * size));
            let bytes = encode(&i);
            let d = decode_at(&bytes, 0x40_0000, 0).unwrap();
            let mut c = case(&mut rng, &machine, round % 4 == 0);
            if round % 3 == 0 {
                // Counts around the widths, with something above them.
                let count = rng.u64(0..70) + (rng.u64(..) & 0xFFFF_FF00);
                let word = Word::Int(Term::constant_of(i128::from(count)).unwrap());
                set(&mut c.state, Reg::Rcx, word);
                c.cpu.regs[1] = count;
            }
            ran += usize::from(check(&mut machine, &bytes, &d, &c));
        }
        assert!(ran > 40, "{code:?} was accepted {ran} times only");
    }
}

/// What another model says of these instructions is not true: the tests above would see it.
#[test]
fn wrong_models_of_shifts_are_noticed() {
    let mut machine = Machine::new();
    let mut rng = Rng::with_seed(23);
    // shl al, 9, as if the count were taken modulo the width; and rcx, as if it stayed.
    let wrong: [(&[u8], &[u8], Reg); 2] =
        [(&[0xC0, 0xE0, 9], &[0xC0, 0xE0, 1], Reg::Rax), (&[0x48, 0xD3, 0xE1], &[0x90], Reg::Rcx)];
    for (bytes, model, reg) in wrong {
        let mut c = case(&mut rng, &machine, false);
        set(&mut c.state, reg, Word::Int(Term::int(3)));
        c.cpu.regs[reg as usize] = 3;
        let interface = no_interface();
        let image = image_of(bytes);
        let mut judge = Judge::new(&image, &interface, Prover::default(), 1 << 20);
        let d = decode_at(bytes, 0x40_0000, 0).unwrap();
        let mut right = c.state.clone();
        judge.row(&mut right, &d).unwrap();
        assert!(claims(&mut machine, bytes, &d, &c, &right).is_ok());
        let mut after = c.state.clone();
        judge.row(&mut after, &decode_at(model, 0x40_0000, 0).unwrap()).unwrap();
        after.set_flags(right.flags().clone());
        assert!(claims(&mut machine, bytes, &d, &c, &after).is_err(), "{:?}", d.op);
    }
}
