//! Not trusted. Every row of the table against the processor (core.md 4.9): whatever the rules
//! claim of registers, flags, facts and edges is true after the instruction has really run, and
//! what they call public does not depend on what is not.
#![cfg(target_arch = "x86_64")]
#![allow(unsafe_code, reason = "the tested instructions are run natively")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "cpu_oracle/blocks.rs"]
mod blocks;
#[path = "../../tal-check/src/encodings.rs"]
#[allow(dead_code, unreachable_pub, reason = "the assembler uses the rest")]
mod encodings;
#[path = "cpu_oracle/flow.rs"]
mod flow;
#[path = "cpu_oracle/forms.rs"]
mod forms;
#[path = "cpu_oracle/frame.rs"]
mod frame;
#[path = "cpu_oracle/machine.rs"]
mod machine;
#[path = "cpu_oracle/model.rs"]
mod model;
#[path = "cpu_oracle/pairs.rs"]
mod pairs;
#[path = "cpu_oracle/placed.rs"]
mod placed;
#[path = "cpu_oracle/shifts.rs"]
mod shifts;
#[path = "cpu_oracle/strings.rs"]
mod strings;
mod support;

use encodings::codes_of;
use fastrand::Rng;
use forms::{encode, instruction, value};
use iced_x86::{
    Code, Decoder, DecoderOptions, Instruction, InstructionInfoFactory, MemoryOperand, OpAccess,
    RflagsBits,
};
use machine::{Cpu, LOWEST, Machine, SLOTS};
use model::{Values, compare, solve};
use std::collections::BTreeMap;
use support::{Prover, declare, empty_state, image_of, learn, no_interface};
use tal_core::counted::Rc;
use tal_core::decode::{Cc, Decoded, Op, Rm, Src, StringOp, Width, decode_at};
use tal_core::hint::Hints;
use tal_core::judge::Judge;
use tal_core::state::{FlagKind, FlagSet, Flags, State};
use tal_core::table::{Feature, Form, ROWS, Row, Target};
use tal_core::term::Term;
use tal_core::ty::{Base, Cap, Entry, Fact, Field, FieldTy, Kind, Mem, NameSet, Reg, Rel, Word};

const ROUNDS: usize = 64;

/// Has this processor the feature?
fn present(feature: Option<Feature>) -> bool {
    match feature {
        None => true,
        Some(Feature::Popcnt) => is_x86_feature_detected!("popcnt"),
        Some(Feature::Bmi1) => is_x86_feature_detected!("bmi1"),
        Some(Feature::Lzcnt) => is_x86_feature_detected!("lzcnt"),
    }
}

/// Rows that run without memory, stack or transfer.
fn runs_alone(row: &Row) -> bool {
    !matches!(
        row.form,
        Form::Push
            | Form::Pop
            | Form::Leave
            | Form::Call
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
}

/// A form of the table with random operands that the decoder takes. Of memory forms some have no
/// rule; of 32-bit shifts by a constant those are refused that shift by nothing.
fn form(
    rng: &mut Rng,
    code: Code,
    memory: Option<MemoryOperand>,
) -> Option<(Instruction, Vec<u8>, Decoded)> {
    loop {
        let i = instruction(rng, code, memory);
        let bytes = encode(&i);
        match decode_at(&bytes, 0x40_0000, 0) {
            Ok(d) => return Some((i, bytes, d)),
            Err(_) if shifts::by_nothing(&i) => {}
            Err(_) if memory.is_some() => return None,
            Err(e) => panic!("{i:?} {e:?}"),
        }
    }
}

/// A situation: a state of the judge, values for its variables, a machine state that satisfies it.
struct Case {
    state: State,
    values: Values,
    cpu: Cpu,
}

/// A word for a concrete number, with some true facts about it.
fn public_word(rng: &mut Rng, state: &mut State, values: &mut Values, v: u64) -> Word {
    let signed = i128::from(v as i64);
    let unsigned = i128::from(v);
    match rng.u8(0..8) {
        0 => return Word::Int(Term::constant_of(unsigned).unwrap()),
        1 => return Word::Int(Term::constant_of(signed).unwrap()),
        _ => {}
    }
    let n = declare(state, Kind::INT);
    // Any representative will do: the word is known modulo 2^64 only.
    let value = match rng.u8(0..8) {
        0 => unsigned + (1 << 64),
        1..4 => signed,
        _ => unsigned,
    };
    let shift = i128::from(rng.i16(..));
    let (value, word) = match rng.u8(0..4) {
        0 => (value - shift, Term::var(n).plus(shift).unwrap()),
        _ => (value, Term::var(n)),
    };
    values.free.push(value);
    let exact = values.exact(&word).unwrap();
    let mut bound = |low: i128, high: i128| {
        if (low..=high).contains(&exact) {
            let above = word.plus(-low).unwrap();
            let below = Term::constant_of(high).unwrap().sub(&word).unwrap();
            learn(state, Fact { rel: Rel::Ge, term: above });
            learn(state, Fact { rel: Rel::Ge, term: below });
        }
    };
    match rng.u8(0..4) {
        0 => {}
        1 => bound(exact - i128::from(rng.u8(0..8)), exact + i128::from(rng.u8(0..8))),
        _ => {
            let bits = [8, 16, 32, 64][rng.usize(0..4)];
            bound(0, (1 << bits) - 1);
            bound(-(1 << (bits - 1)), (1 << (bits - 1)) - 1);
        }
    }
    Word::Int(word)
}

/// The address of a name, and what its set says.
fn named(rng: &mut Rng, state: &mut State, values: &mut Values) -> (Base, u64) {
    let set = match rng.u8(0..3) {
        0 => NameSet::ADDRESS,
        1 => NameSet::NULLABLE,
        _ => NameSet { address: true, small: [Some((-4095, -1)), Some((0, 0))] },
    };
    let address = 0x1_0000 + rng.u64(0..(1 << 47) - 0x1_0000);
    let value = match set.small[0] {
        Some((low, high)) if rng.bool() => i128::from(rng.i16(low..=high)),
        _ => i128::from(address),
    };
    let x = declare(state, Kind::Addr { set, block: None });
    values.free.push(value);
    (Base::Name(x), value as u64)
}

fn case(rng: &mut Rng, machine: &Machine, secrets: bool) -> Case {
    let mut state = empty_state();
    let entry_rsp = machine.entry_rsp();
    let mut values = Values { entry_rsp, ..Values::default() };
    let memory = value(rng) as u64;
    let mut cpu = Cpu { regs: [0; 16], flags: rng.u8(0..64), memory, slots: [0; SLOTS] };
    let shared = secrets.then(|| named(rng, &mut state, &mut values));
    for reg in Reg::ALL {
        let (word, actual) = match (reg, shared) {
            (Reg::Rsp, _) => (Word::Frame(0), entry_rsp),
            (_, Some((base, address))) if rng.u8(0..3) == 0 => {
                let offset = if rng.bool() { 0 } else { value(rng) };
                let word = Word::Ptr(base, Term::int(offset));
                (word, address.wrapping_add(offset as u64))
            }
            (_, Some(_)) if rng.u8(0..5) == 0 => {
                let (base, address) = named(rng, &mut state, &mut values);
                (Word::Ptr(base, Term::ZERO), address)
            }
            (_, Some(_)) if rng.u8(0..5) == 0 => (Word::Junk, rng.u64(..)),
            _ => {
                let v = value(rng) as u64;
                (public_word(rng, &mut state, &mut values, v), v)
            }
        };
        state.set_reg(reg, word);
        cpu.regs[reg as usize] = actual;
    }
    let readable = if rng.bool() { FlagSet::ALL } else { FlagSet(rng.u8(0..64)) };
    state.set_flags(Flags { kind: FlagKind::None, readable });
    Case { state, values, cpu }
}

/// Makes division possible: rdx is the high half that the row wants, the divisor mostly positive.
fn for_division(rng: &mut Rng, c: &mut Case, signed: bool, bits: u8, divisor: Option<Reg>) {
    let a = c.cpu.regs[0];
    let negative = a >> (bits - 1) & 1 == 1;
    let h: i64 = if signed && negative { -1 } else { 0 };
    c.state.set_reg(Reg::ALL[2], Word::Int(Term::int(h)));
    c.cpu.regs[2] = h as u64;
    for_divisor(rng, c, bits, divisor);
}

/// Makes the divisor mostly positive.
fn for_divisor(rng: &mut Rng, c: &mut Case, bits: u8, divisor: Option<Reg>) {
    let Some(d) = divisor.filter(|d| !matches!(d, Reg::Rax | Reg::Rdx | Reg::Rsp)) else { return };
    let v = (value(rng) as u64) & ((1 << (bits - 1)) - 1);
    if rng.bool() {
        c.state.set_reg(d, Word::Int(Term::constant_of(i128::from(v)).unwrap()));
    } else {
        let n = declare(&mut c.state, Kind::INT);
        c.values.free.push(i128::from(v));
        let n = Term::var(n);
        if v >= 1 {
            learn(&mut c.state, Fact { rel: Rel::Ge, term: n.plus(-1).unwrap() });
        }
        let high = Term::constant_of((1 << (bits - 1)) - 1).unwrap();
        learn(&mut c.state, Fact { rel: Rel::Ge, term: high.sub(&n).unwrap() });
        c.state.set_reg(d, Word::Int(n));
    }
    c.cpu.regs[d as usize] = v;
}

/// Values that a fresh variable may stand for: of the registers that take part, before and after,
/// and of what `test` computes without writing it.
fn involved(bytes: &[u8], d: &Decoded, before: &Cpu, after: &Cpu) -> Vec<u64> {
    let instruction = Decoder::new(64, bytes, DecoderOptions::NONE).decode();
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(&instruction);
    let used = info.used_registers().iter().map(|u| u.register()).filter(|r| r.is_gpr());
    let numbers = used.map(|r| r.full_register().number());
    let mut found: Vec<u64> = numbers.flat_map(|n| [before.regs[n], after.regs[n]]).collect();
    if let Op::Test { left, right, .. } = &d.op {
        let left = match left {
            Rm::Reg(r) => before.regs[*r as usize],
            Rm::Mem(_) => before.memory,
        };
        let right = match right {
            Src::Reg(r) => before.regs[*r as usize],
            Src::Imm(c) => *c as u64,
            Src::Mem(_) => before.memory,
        };
        found.push(left & right);
    }
    found.extend([before.memory, after.memory]);
    found.sort_unstable();
    found.dedup();
    found
}

/// The truth of a condition on flags.
fn taken(cc: Cc, flags: u8) -> bool {
    let f = |s: FlagSet| flags & s.0 != 0;
    let less = f(FlagSet::SF) != f(FlagSet::OF);
    match cc {
        Cc::O => f(FlagSet::OF),
        Cc::No => !f(FlagSet::OF),
        Cc::B => f(FlagSet::CF),
        Cc::Ae => !f(FlagSet::CF),
        Cc::E => f(FlagSet::ZF),
        Cc::Ne => !f(FlagSet::ZF),
        Cc::Be => f(FlagSet::CF) || f(FlagSet::ZF),
        Cc::A => !f(FlagSet::CF) && !f(FlagSet::ZF),
        Cc::S => f(FlagSet::SF),
        Cc::Ns => !f(FlagSet::SF),
        Cc::P => f(FlagSet::PF),
        Cc::Np => !f(FlagSet::PF),
        Cc::L => less,
        Cc::Ge => !less,
        Cc::Le => less || f(FlagSet::ZF),
        Cc::G => !less && !f(FlagSet::ZF),
    }
}

/// Does the row run on this case, and is everything true that it says then?
fn check(machine: &mut Machine, bytes: &[u8], d: &Decoded, c: &Case) -> bool {
    step(machine, bytes, d, c, Prover::default()).is_some()
}

/// As [`check`]; what there is afterwards. `None`: the row is refused.
fn step<H: Hints>(
    machine: &mut Machine,
    bytes: &[u8],
    d: &Decoded,
    c: &Case,
    hints: H,
) -> Option<Case> {
    let interface = no_interface();
    let image = image_of(bytes);
    let mut judge = Judge::new(&image, &interface, hints, 1 << 20);
    let mut after = c.state.clone();
    judge.row(&mut after, d).ok()?;
    let next = claims(machine, bytes, d, c, &after).unwrap_or_else(|what| panic!("{what}"));
    let out = next.cpu;
    let mut more = guesses(bytes, d, c, &out);
    // An edge may decide a name that any register holds.
    more.extend(out.regs);
    for cc in Cc::ALL {
        let mut edge = after.clone();
        let is_taken = taken(cc, out.flags);
        if judge.edge(&mut edge, cc, is_taken).is_ok() {
            let holds =
                in_sets(&next.values, &edge) && solve(&next.values, &edge, &out, &more).is_some();
            assert!(holds, "edge {cc:?} {is_taken}\n{}\n{out:x?}\n{edge:?}", told(bytes, d, c));
        }
    }
    Some(next)
}

fn told(bytes: &[u8], d: &Decoded, c: &Case) -> String {
    format!("{:?}\nbytes {bytes:02x?}\nbefore {:x?}\n{:?}", d.op, c.cpu, c.state)
}

/// What fresh variables of this row may stand for.
fn guesses(bytes: &[u8], d: &Decoded, c: &Case, out: &Cpu) -> Vec<u64> {
    let mut more = involved(bytes, d, &c.cpu, out);
    for cpu in [&c.cpu, out] {
        more.extend(in_frame(bytes, c, cpu));
    }
    if matches!(d.op, Op::Cmov { .. }) {
        // The fresh integer may be an offset from a name.
        let names = c.state.scope.iter().zip(&c.values.free);
        let names = names.filter(|(s, _)| matches!(s.kind, Kind::Addr { .. }));
        let offsets = names.flat_map(|(_, x)| more.iter().map(|v| v.wrapping_sub(*x as u64)));
        let offsets: Vec<u64> = offsets.collect();
        more.extend(offsets);
    }
    more
}

/// What the memory operand holds, if it is in the frame.
fn in_frame(bytes: &[u8], c: &Case, cpu: &Cpu) -> Option<u64> {
    let i = Decoder::new(64, bytes, DecoderOptions::NONE).decode();
    let base = c.cpu.regs.get(i.memory_base().is_gpr().then(|| i.memory_base().number())?)?;
    let at = base.wrapping_add(i.memory_displacement64());
    let offset = at.wrapping_sub(c.values.entry_rsp.wrapping_add_signed(LOWEST));
    let mut slots: Vec<u8> = cpu.slots.iter().flat_map(|slot| slot.to_le_bytes()).collect();
    slots.extend([0; 8]);
    let there = slots.get(usize::try_from(offset).ok()?..)?.first_chunk()?;
    Some(u64::from_le_bytes(*there))
}

/// Runs the instruction: is this state true afterwards, and is nothing written that the row does
/// not write?
fn claims(
    machine: &mut Machine,
    bytes: &[u8],
    d: &Decoded,
    c: &Case,
    after: &State,
) -> Result<Case, String> {
    let out = machine.run(bytes, &c.cpu);
    let written = outside(machine, d, &c.cpu);
    if !written.is_empty() {
        return Err(format!("written beside the operand: {written:x?}\n{}", told(bytes, d, c)));
    }
    let more = guesses(bytes, d, c, &out);
    let Some(values) = solve(&c.values, after, &out, &more) else {
        return Err(format!("not satisfied\n{}\nafter {out:x?}\n{after:?}", told(bytes, d, c)));
    };
    declared(d, c, after, &out);
    Ok(Case { state: after.clone(), values, cpu: out })
}

/// The memory that an instruction may write: its first address and how many bytes.
fn written_memory(d: &Decoded, before: &Cpu) -> (u64, u64) {
    let reg = |r: Reg| before.regs[r as usize];
    let through = |rm: &Rm, width: Width| match rm {
        Rm::Mem(ea) => {
            let index = ea.index.map_or(0, |(r, s)| reg(r).wrapping_mul(u64::from(s)));
            let base = ea.base.map_or(0, reg);
            let at = base.wrapping_add(index).wrapping_add_signed(ea.disp);
            (at, u64::from(width.bits() / 8))
        }
        Rm::Reg(_) => (0, 0),
    };
    match &d.op {
        Op::Mov { width, dst, .. }
        | Op::Alu { width, dst, .. }
        | Op::Unary { width, dst, .. }
        | Op::Shift { width, dst, .. }
        | Op::ShiftCl { width, dst, .. }
        | Op::Rotate { width, dst, .. }
        | Op::ShiftDouble { width, dst, .. } => through(dst, *width),
        Op::Push { .. } => (reg(Reg::Rsp).wrapping_sub(8), 8),
        Op::String(op) => {
            let bytes = match op {
                StringOp::RepMovs(w) | StringOp::RepStos(w) => {
                    reg(Reg::Rcx).saturating_mul(u64::from(w.bits() / 8))
                }
                StringOp::Movsb | StringOp::Stosb => 1,
                StringOp::Lodsb | StringOp::RepeCmpsb | StringOp::RepneScasb => 0,
            };
            (reg(Reg::Rdi), bytes)
        }
        _ => (0, 0),
    }
}

/// Addresses that the last run changed beside what the instruction may write.
fn outside(machine: &Machine, d: &Decoded, before: &Cpu) -> Vec<u64> {
    let (low, size) = written_memory(d, before);
    machine.changed.iter().copied().filter(|a| a.wrapping_sub(low) >= size).collect()
}

/// Names are in the sets that the state says.
fn in_sets(values: &Values, state: &State) -> bool {
    state.scope.iter().enumerate().all(|(i, s)| {
        let Some(v) = values.free.get(i).filter(|_| matches!(s.kind, Kind::Addr { .. })) else {
            return true;
        };
        let small = s.set.small.iter().flatten();
        let in_small =
            small.into_iter().any(|(a, b)| (i128::from(*a)..=i128::from(*b)).contains(v));
        in_small || (s.set.address && (0x1_0000..1 << 47).contains(v))
    })
}

/// What is not declared as written is as it was, in the state and in the machine.
fn declared(d: &Decoded, c: &Case, after: &State, out: &Cpu) {
    let written = written_registers(d);
    for reg in Reg::ALL {
        let i = reg as usize;
        if !written.contains(&reg) {
            assert_eq!(out.regs[i], c.cpu.regs[i], "{:?} writes {reg:?}", d.op);
            assert_eq!(after.regs()[i], c.state.regs()[i], "{:?} writes {reg:?}", d.op);
        }
    }
    let flags = d.row.sure.with(d.row.may);
    assert_eq!((out.flags ^ c.cpu.flags) & !flags.0, 0, "{:?} writes other flags", d.op);
    let kept = after.flags().readable.0 & !d.row.sure.0;
    assert_eq!(kept & !c.state.flags().readable.0, 0, "{:?} makes flags readable", d.op);
}

/// The registers that the row declares as written.
fn written_registers(d: &Decoded) -> Vec<Reg> {
    let (first, second) = operands(d);
    d.row
        .writes
        .iter()
        .filter_map(|t| match t {
            Target::First => first,
            Target::Second => second,
            Target::Reg(r) => Some(*r),
            Target::Memory => None,
            Target::Count if matches!(d.op, Op::String(op) if op.repeats()) => Some(Reg::Rcx),
            Target::Count => None,
        })
        .collect()
}

fn operands(d: &Decoded) -> (Option<Reg>, Option<Reg>) {
    let rm = |rm: &Rm| match rm {
        Rm::Reg(r) => Some(*r),
        Rm::Mem(_) => None,
    };
    match &d.op {
        Op::Mov { dst, .. }
        | Op::Alu { dst, .. }
        | Op::Unary { dst, .. }
        | Op::Shift { dst, .. }
        | Op::ShiftCl { dst, .. }
        | Op::Rotate { dst, .. }
        | Op::ShiftDouble { dst, .. } => (rm(dst), None),
        Op::Extend { dst, .. }
        | Op::Lea { dst, .. }
        | Op::Imul { dst, .. }
        | Op::Bswap { dst, .. }
        | Op::Cmov { dst, .. }
        | Op::Setcc { dst, .. }
        | Op::Pop { dst }
        | Op::BitCount { dst, .. }
        | Op::BitTest { dst, .. } => (Some(*dst), None),
        Op::Xchg { left, right, .. } => (Some(*left), Some(*right)),
        Op::SignCopy { .. }
        | Op::Cmp { .. }
        | Op::Test { .. }
        | Op::MulWide { .. }
        | Op::Div { .. }
        | Op::Push { .. }
        | Op::Leave
        | Op::String(_)
        | Op::Nop
        | Op::Int3
        | Op::Flow(_) => (None, None),
    }
}

/// Public results and readable flags are the same for every value of what is not public, and for
/// every value of the flags that the row does not read.
fn independent(rng: &mut Rng, machine: &mut Machine, bytes: &[u8], d: &Decoded, c: &Case) {
    let interface = no_interface();
    let image = image_of(bytes);
    let mut judge = Judge::new(&image, &interface, Prover::default(), 1 << 20);
    let mut after = c.state.clone();
    if judge.row(&mut after, d).is_err() {
        return;
    }
    let mut other = c.cpu;
    let mut moved: BTreeMap<Base, u64> = BTreeMap::new();
    for reg in Reg::ALL {
        let i = reg as usize;
        match &c.state.regs()[i] {
            Word::Junk => other.regs[i] = rng.u64(..),
            // Another address of the same kind: an undecided name keeps its alternative.
            Word::Ptr(base, _) => {
                let Base::Name(tal_core::term::Var::Free(x)) = base else { continue };
                if c.values.free[usize::from(*x)] >= 0x1_0000 {
                    let new = *moved
                        .entry(*base)
                        .or_insert_with(|| 0x1_0000 + rng.u64(0..(1 << 47) - 0x1_0000));
                    let old = c.values.free[usize::from(*x)] as u64;
                    other.regs[i] = c.cpu.regs[i].wrapping_sub(old).wrapping_add(new);
                }
            }
            _ => {}
        }
    }
    other.flags ^= rng.u8(0..64) & !c.state.flags().readable.0;
    let (one, two) = (machine.run(bytes, &c.cpu), machine.run(bytes, &other));
    let what = || format!("{:?}\n{:x?}\n{other:x?}\n{:?}\n{after:?}", d.op, c.cpu, c.state);
    for reg in Reg::ALL {
        if let Word::Int(_) = after.regs()[reg as usize] {
            assert_eq!(one.regs[reg as usize], two.regs[reg as usize], "{reg:?} {}", what());
        }
    }
    let readable = after.flags().readable.0;
    assert_eq!((one.flags ^ two.flags) & readable, 0, "flags depend\n{}", what());
    for cc in Cc::ALL {
        if judge.edge(&mut after.clone(), cc, true).is_ok() {
            assert_eq!(taken(cc, one.flags), taken(cc, two.flags), "{cc:?} leaks\n{}", what());
        }
    }
}

fn divides(d: &Decoded) -> Option<(bool, u8, Option<Reg>)> {
    match &d.op {
        Op::Div { width, src, signed } => {
            let reg = match src {
                Rm::Reg(r) => Some(*r),
                Rm::Mem(_) => None,
            };
            Some((*signed, width.bits(), reg))
        }
        _ => None,
    }
}

fn alone() -> impl Iterator<Item = (&'static Row, Code)> {
    let rows = ROWS.iter().filter(|r| runs_alone(r) && present(r.feature));
    rows.flat_map(|r| codes_of(r).iter().map(move |c| (r, *c)))
}

#[test]
fn what_the_rows_claim_is_true() {
    let mut machine = Machine::new();
    let mut rng = Rng::with_seed(1);
    for (row, code) in alone() {
        let mut ran = 0;
        for round in 0..ROUNDS {
            let (_, bytes, d) = form(&mut rng, code, None).unwrap();
            assert_eq!(usize::from(d.length), bytes.len());
            assert_eq!(d.row.name, row.name);
            let mut c = case(&mut rng, &machine, round % 3 == 0);
            if let Some((signed, bits, reg)) = divides(&d) {
                for_division(&mut rng, &mut c, signed, bits, reg);
            }
            ran += usize::from(check(&mut machine, &bytes, &d, &c));
        }
        assert!(ran * 8 >= ROUNDS, "{code:?} was accepted {ran} times only");
    }
}

#[test]
fn what_is_public_does_not_depend_on_what_is_not() {
    let mut machine = Machine::new();
    let mut rng = Rng::with_seed(2);
    for (_, code) in alone() {
        for _ in 0..ROUNDS {
            let (_, bytes, d) = form(&mut rng, code, None).unwrap();
            let mut c = case(&mut rng, &machine, true);
            if let Some((signed, bits, reg)) = divides(&d) {
                for_division(&mut rng, &mut c, signed, bits, reg);
            }
            independent(&mut rng, &mut machine, &bytes, &d, &c);
        }
    }
}

/// An owned field of `bits` bits at the operand's address, and a register that points to it.
fn with_field(rng: &mut Rng, machine: &Machine, c: &mut Case, bits: u8, base: Reg) {
    let set = NameSet::ADDRESS;
    let x = declare(&mut c.state, Kind::Addr { set, block: None });
    c.values.free.push(i128::from(machine.operand()));
    let ty = if bits == 64 && rng.bool() {
        FieldTy::Known(public_word(rng, &mut c.state, &mut c.values, c.cpu.memory))
    } else {
        FieldTy::Int { bits, signed: rng.bool(), facts: vec![] }
    };
    let fields = vec![Field { offset: 0, writable: true, ty }];
    let mem = Rc::new(Mem::Struct { fields, size: u32::from(bits / 8) });
    let entry = Entry { guards: vec![], name: x, offset: Term::ZERO, mem };
    c.state.caps.push(Cap::Entry(entry));
    c.state.set_reg(base, Word::Ptr(Base::Name(x), Term::ZERO));
    c.cpu.regs[base as usize] = machine.operand();
}

#[test]
fn what_the_rows_claim_of_memory_is_true() {
    let mut machine = Machine::new();
    let mut rng = Rng::with_seed(5);
    for (row, code) in alone() {
        let no_memory = matches!(row.form, Form::Lea | Form::Xchg | Form::Setcc | Form::BitTest(_));
        if no_memory || forms::takes_memory(code).is_none() {
            continue;
        }
        let mut ran = 0;
        for round in 0..ROUNDS {
            let base = Reg::ALL[[3, 6, 7, 9, 12, 13][rng.usize(0..6)]];
            let operand = MemoryOperand::with_base(forms::WIDE[base as usize]);
            let (i, bytes, d) = form(&mut rng, code, Some(operand)).unwrap();
            let bits = 8 * i.memory_size().size() as u8;
            let mut c = case(&mut rng, &machine, round % 3 == 0);
            if let Some((signed, bits, reg)) = divides(&d) {
                for_division(&mut rng, &mut c, signed, bits, reg);
            }
            with_field(&mut rng, &machine, &mut c, bits, base);
            ran += usize::from(check(&mut machine, &bytes, &d, &c));
        }
        let least = if matches!(row.form, Form::Div | Form::Idiv) { 0 } else { ROUNDS / 16 };
        assert!(ran >= least, "{code:?} was accepted {ran} times only");
    }
}

#[test]
fn memory_forms_without_a_rule_are_refused() {
    let mut rng = Rng::with_seed(6);
    for (row, code) in alone() {
        if matches!(row.form, Form::Xchg | Form::Setcc | Form::BitTest(_))
            && forms::takes_memory(code).is_some()
        {
            let operand = MemoryOperand::with_base(forms::WIDE[3]);
            let i = instruction(&mut rng, code, Some(operand));
            assert!(decode_at(&encode(&i), 0x40_0000, 0).is_err(), "{code:?}");
        }
    }
}

#[test]
fn what_the_stack_rows_claim_is_true() {
    let mut machine = Machine::new();
    let mut rng = Rng::with_seed(7);
    let of_stack = |r: &&Row| matches!(r.form, Form::Push | Form::Pop | Form::Leave);
    for code in ROWS.iter().filter(of_stack).flat_map(codes_of).copied() {
        let mut ran = 0;
        for _ in 0..ROUNDS {
            let i = instruction(&mut rng, code, None);
            let bytes = encode(&i);
            let d = decode_at(&bytes, 0x40_0000, 0).unwrap();
            let mut c = case(&mut rng, &machine, true);
            frame::with_frame(&mut rng, &mut c);
            ran += usize::from(check(&mut machine, &bytes, &d, &c));
        }
        assert!(ran * 2 >= ROUNDS, "{code:?} was accepted {ran} times only");
    }
}

/// rflags of iced as a flag set.
fn flag_set(bits: u32) -> u8 {
    let pairs = [
        (RflagsBits::CF, FlagSet::CF),
        (RflagsBits::PF, FlagSet::PF),
        (RflagsBits::AF, FlagSet::AF),
        (RflagsBits::ZF, FlagSet::ZF),
        (RflagsBits::SF, FlagSet::SF),
        (RflagsBits::OF, FlagSet::OF),
    ];
    pairs.iter().filter(|(b, _)| bits & b != 0).fold(0, |set, (_, f)| set | f.0)
}

/// The decoder's own statement of what is written.
fn stated(i: &Instruction) -> Vec<Reg> {
    let mut factory = InstructionInfoFactory::new();
    let mut found: Vec<Reg> = Vec::new();
    for used in factory.info(i).used_registers() {
        let writes = matches!(
            used.access(),
            OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
        );
        if writes && used.register().is_gpr() {
            found.push(Reg::ALL[used.register().full_register().number()]);
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn the_decoder_states_the_same_registers_and_flags() {
    let mut rng = Rng::with_seed(3);
    for (_, code) in alone() {
        for _ in 0..20 {
            let (i, _, d) = form(&mut rng, code, None).unwrap();
            let mut ours = written_registers(&d);
            ours.sort_unstable();
            ours.dedup();
            assert_eq!(ours, stated(&i), "{code:?}");
            let ours = d.row.sure.with(d.row.may).0;
            let theirs = flag_set(i.rflags_modified());
            assert_eq!(theirs & !ours, 0, "{code:?}: flags not declared");
            let sure = flag_set(i.rflags_written() | i.rflags_cleared() | i.rflags_set());
            let zero_count = matches!(d.op, Op::Shift { .. });
            assert!(zero_count || d.row.sure.0 & !sure == 0, "{code:?}: not surely written");
            let reads = match &d.op {
                Op::Cmov { cc, .. } | Op::Setcc { cc, .. } => cc.flags(),
                _ => d.row.reads,
            };
            assert_eq!(reads.0, flag_set(i.rflags_read()), "{code:?}: flags read");
        }
    }
}

#[test]
fn comparing_in_the_model_is_comparing_on_the_processor() {
    let mut machine = Machine::new();
    let mut rng = Rng::with_seed(4);
    let codes = [
        (Code::Cmp_rm8_r8, 8),
        (Code::Cmp_rm16_r16, 16),
        (Code::Cmp_rm32_r32, 32),
        (Code::Cmp_rm64_r64, 64),
    ];
    for (code, bits) in codes {
        for _ in 0..500 {
            let i = instruction(&mut rng, code, None);
            let c = case(&mut rng, &machine, false);
            let value = |n: u32| c.cpu.regs[i.op_register(n).full_register().number()];
            let want = compare(value(0), value(1), bits);
            let got = machine.run(&encode(&i), &c.cpu).flags;
            assert_eq!((want ^ got) & !FlagSet::AF.0, 0);
        }
    }
}
