//! Not trusted. Memory in the frame: operands with every displacement from rsp and rbp, deep
//! frames, and parts of the frame that are lent to a pointer.

use super::{Case, ROUNDS, alone, case, claims, form, public_word, step};
use crate::forms::{self, WIDE, value};
use crate::machine::{LOWEST, Machine, SLOTS};
use crate::support::{Prover, declare, set};
use fastrand::Rng;
use iced_x86::{Code, MemoryOperand, Mnemonic};
use tal_core::counted::Rc;
use tal_core::decode::decode_at;
use tal_core::table::{Form, ROWS};
use tal_core::term::Term;
use tal_core::ty::{Base, Cap, Entry, Kind, Lent, Mem, NameSet, Reg, Word};

/// Words in slots and rbp somewhere in the frame.
pub(crate) fn with_frame(rng: &mut Rng, c: &mut Case) -> i64 {
    let delta = -8 * rng.i64(0..SLOTS as i64 - 1);
    let frame = rng.i64(delta / 8..=0) * 8;
    c.state.stack.delta = delta;
    c.state.stack.touched = delta;
    for (reg, at) in [(Reg::Rsp, delta), (Reg::Rbp, frame)] {
        set(&mut c.state, reg, Word::Frame(at));
        c.cpu.regs[reg as usize] = c.values.entry_rsp.wrapping_add_signed(at);
    }
    let mut at = delta;
    while at < 0 {
        let v = value(rng) as u64;
        // Facts have a limit.
        let word = match c.state.facts.len() < 120 {
            true => public_word(rng, &mut c.state, &mut c.values, v),
            false => Word::Int(Term::constant_of(v.into()).unwrap()),
        };
        if rng.u8(0..8) != 0 {
            c.state.set_slot(at, word);
        }
        c.cpu.slots[(at - LOWEST) as usize / 8] = v;
        at += 8;
    }
    delta
}

/// A part of the frame is lent: it is bytes, which r12 points into, and no slots any more.
fn with_lent(rng: &mut Rng, c: &mut Case, delta: i64) {
    if delta > -16 {
        return;
    }
    let offset = 8 * rng.i64(delta / 8..0);
    let size = 8 * rng.i64(1..=-offset / 8);
    let x = declare(&mut c.state, Kind::Addr { set: NameSet::ADDRESS, block: None });
    let address = c.values.entry_rsp.wrapping_add_signed(offset);
    c.values.free.push(address.into());
    (offset..offset + size).step_by(8).for_each(|at| c.state.set_slot(at, Word::Junk));
    c.state.stack.lent.push(Lent { offset, size, name: x });
    let mem = Rc::new(Mem::Bytes(Term::int(size)));
    c.state.caps.push(Cap::Entry(Entry { guards: vec![], name: x, offset: Term::ZERO, mem }));
    let within = rng.i64(0..size);
    set(&mut c.state, Reg::R12, Word::Ptr(Base::Name(x), Term::int(within)));
    c.cpu.regs[Reg::R12 as usize] = address.wrapping_add_signed(within);
}

fn operand(rng: &mut Rng, c: &Case, delta: i64) -> MemoryOperand {
    let base = [Reg::Rsp, Reg::Rsp, Reg::Rbp, Reg::R12][rng.usize(0..4)];
    let from = match c.state.regs()[base as usize] {
        Word::Frame(at) => at,
        _ => return MemoryOperand::with_base(WIDE[base as usize]),
    };
    let at = match rng.u8(0..8) {
        0 => rng.i64(delta - 16..16),
        1 => rng.i64(delta..=0),
        _ => 8 * rng.i64(delta / 8..=0),
    };
    let disp = at - from;
    MemoryOperand::with_base_displ_size(WIDE[base as usize], disp, u32::from(disp != 0))
}

#[test]
fn what_the_rows_claim_of_the_frame_is_true() {
    let mut machine = Machine::new();
    let mut rng = Rng::with_seed(41);
    let mut codes: Vec<Code> = alone()
        .map(|(_, c)| c)
        .filter(|c| c.op_code().mnemonic() != Mnemonic::Lea && forms::takes_memory(*c).is_some())
        .collect();
    let stack = ROWS.iter().filter(|r| matches!(r.form, Form::Push | Form::Pop | Form::Leave));
    codes.extend(stack.flat_map(super::codes_of).copied());
    let (mut ran, mut far, mut lent) = (0, 0, 0);
    for code in codes {
        for round in 0..ROUNDS / 2 {
            let mut c = case(&mut rng, &machine, round % 4 == 0);
            let delta = with_frame(&mut rng, &mut c);
            if rng.bool() {
                with_lent(&mut rng, &mut c, delta);
            }
            let memory = forms::takes_memory(code).map(|_| operand(&mut rng, &c, delta));
            let Some((i, bytes, d)) = form(&mut rng, code, memory) else { continue };
            let Some(next) = step(&mut machine, &bytes, &d, &c, Prover::default()) else {
                continue;
            };
            // What is lent stays inside of the frame, and no slot is in it.
            for part in &next.state.stack.lent {
                let inside = part.offset..part.offset + part.size;
                assert!(part.offset >= next.state.stack.delta, "{i}: {:?}", c.state.stack);
                let slots: Vec<_> = next.state.slots().collect();
                assert!(!slots.iter().any(|(at, _)| inside.contains(at)), "{i}: {slots:?}");
            }
            ran += 1;
            far += usize::from(i.memory_displacement64() as i64 > 127);
            lent += usize::from(!machine.changed.is_empty() && !c.state.stack.lent.is_empty());
        }
    }
    assert!(ran > 400 && far > 50 && lent > 50, "{ran}, {far} far, {lent} beside what is lent");
}

/// A slot that were still known in a lent part would be noticed.
#[test]
fn a_wrong_model_of_a_lent_part_is_noticed() {
    let mut machine = Machine::new();
    let mut rng = Rng::with_seed(42);
    // mov [r12], al
    let bytes = [0x41, 0x88, 0x04, 0x24];
    let d = decode_at(&bytes, 0x40_0000, 0).unwrap();
    let (mut ran, mut noticed) = (0, 0);
    for _ in 0..ROUNDS {
        let mut c = case(&mut rng, &machine, false);
        let delta = with_frame(&mut rng, &mut c);
        let known = c.state.clone();
        with_lent(&mut rng, &mut c, delta);
        let Some(next) = step(&mut machine, &bytes, &d, &c, Prover::default()) else { continue };
        ran += 1;
        let mut wrong = next.state.clone();
        known.slots().for_each(|(at, word)| wrong.set_slot(at, word.clone()));
        noticed += usize::from(claims(&mut machine, &bytes, &d, &c, &wrong).is_err());
    }
    assert!(noticed > 10, "{noticed} of {ran}");
}
