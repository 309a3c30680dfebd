//! Not trusted. String rows: counts up to the whole block and beyond, source and destination in
//! one block, and what is claimed of the contents: that they are zero.

use super::{Case, ROUNDS, case, public_word, step};
use crate::machine::Machine;
use crate::model::Values;
use crate::support::{Prover, declare, int_in, set};
use fastrand::Rng;
use tal_core::counted::Rc;
use tal_core::decode::decode_at;
use tal_core::term::Term;
use tal_core::ty::{Base, Cap, Entry, Kind, Mem, NameSet, Reg, Word};

const ROWS: [&[u8]; 9] = [
    &[0xF3, 0xA4],
    &[0xF3, 0x48, 0xA5],
    &[0xF3, 0xAA],
    &[0xF3, 0x48, 0xAB],
    &[0xA4],
    &[0xAA],
    &[0xAC],
    &[0xF3, 0xA6],
    &[0xF2, 0xAE],
];
/// From the operand's address on.
const PLACES: [u64; 2] = [64, 512];

/// A block of bytes, or of zeroes, and its name.
fn block(rng: &mut Rng, machine: &mut Machine, c: &mut Case, place: u64, size: i64) -> Base {
    let address = machine.operand() + place;
    let x = declare(&mut c.state, Kind::Addr { set: NameSet::ADDRESS, block: None });
    c.values.free.push(i128::from(address));
    let zero = rng.u8(0..3) == 0;
    let few = [0, 1, 7, 0xFF];
    let content: Vec<u8> = (0..size).map(|_| if zero { 0 } else { few[rng.usize(0..4)] }).collect();
    machine.put(address, &content);
    let size = Term::int(size);
    let mem = Rc::new(if zero { Mem::Zero(size) } else { Mem::Bytes(size) });
    let entry = Entry { guards: vec![], name: x, offset: Term::ZERO, mem };
    c.state.caps.push(Cap::Entry(entry));
    Base::Name(x)
}

fn point(c: &mut Case, reg: Reg, base: Base, address: u64, offset: i64) {
    set(&mut c.state, reg, Word::Ptr(base, Term::int(offset)));
    c.cpu.regs[reg as usize] = address.wrapping_add_signed(offset);
}

/// One block or two, pointers into them, a count, and something in al.
fn with_blocks(rng: &mut Rng, machine: &mut Machine, c: &mut Case, width: i64) {
    let size = 8 * rng.i64(0..=40);
    let from = block(rng, machine, c, PLACES[0], size);
    let (to, place) = match rng.bool() {
        true => (from, PLACES[0]),
        false => (block(rng, machine, c, PLACES[1], size), PLACES[1]),
    };
    let whole = size / width;
    let count = match rng.u8(0..4) {
        0 => whole,
        1 => rng.i64(0..=whole + 1),
        _ => rng.i64(0..=whole),
    };
    let room = (size - count * width).max(0);
    let offset = |rng: &mut Rng| match rng.u8(0..8) {
        0 => rng.i64(-8..=size + 8),
        1..=3 => 0,
        4 => room,
        _ => rng.i64(0..=room),
    };
    let (first, second) = (offset(rng), offset(rng));
    let at = |machine: &Machine, place: u64| machine.operand() + place;
    point(c, Reg::Rsi, from, at(machine, PLACES[0]), first);
    point(c, Reg::Rdi, to, at(machine, place), second);
    let word = if rng.bool() {
        Term::int(count)
    } else {
        c.values.free.push(count.into());
        int_in(&mut c.state, 0, (count + rng.i64(0..2)).into())
    };
    set(&mut c.state, Reg::Rcx, Word::Int(word));
    c.cpu.regs[Reg::Rcx as usize] = count.cast_unsigned();
    if rng.bool() {
        let v = [0, 0, 256, 1][rng.usize(0..4)];
        let word = public_word(rng, &mut c.state, &mut c.values, v);
        set(&mut c.state, Reg::Rax, word);
        c.cpu.regs[0] = v;
    }
}

/// Is everything zero that is said to be? How many bytes are said to be.
fn zeroes(machine: &Machine, values: &Values, caps: &[Cap]) -> Result<usize, String> {
    let mut said = 0;
    for cap in caps {
        let Cap::Entry(entry) = cap else { continue };
        let base = values.modular(&Term::var(entry.name)).unwrap();
        let mut at = base.wrapping_add(values.modular(&entry.offset).unwrap());
        let mut parts = vec![Rc::clone(&entry.mem)];
        while let Some(mem) = parts.pop() {
            let size = match mem.as_ref() {
                Mem::Cat(first, second) => {
                    parts.extend([Rc::clone(second), Rc::clone(first)]);
                    continue;
                }
                Mem::Zero(n) | Mem::Bytes(n) | Mem::Junk(n) => values.modular(n).unwrap() as usize,
                other => panic!("{other:?}"),
            };
            if let Mem::Zero(_) = mem.as_ref() {
                said += size;
                let there = machine.bytes(at, size);
                if there.iter().any(|b| *b != 0) {
                    return Err(format!("{at:x} is not zero: {there:x?}"));
                }
            }
            at += size as u64;
        }
    }
    Ok(said)
}

#[test]
fn what_the_string_rows_claim_is_true() {
    let mut machine = Machine::new();
    let mut rng = Rng::with_seed(8);
    let mut zero = 0;
    for bytes in ROWS {
        let d = decode_at(bytes, 0x40_0000, 0).unwrap();
        let (mut ran, mut long) = (0, 0);
        for _ in 0..4 * ROUNDS {
            let mut c = case(&mut rng, &machine, false);
            let width = if bytes.contains(&0x48) { 8 } else { 1 };
            with_blocks(&mut rng, &mut machine, &mut c, width);
            let Some(next) = step(&mut machine, bytes, &d, &c, Prover::default()) else { continue };
            ran += 1;
            long += usize::from(c.cpu.regs[1] > 7);
            let said = zeroes(&machine, &next.values, &next.state.caps);
            zero += said.unwrap_or_else(|what| panic!("{:?}: {what}\n{:?}", d.op, c.state));
        }
        assert!(ran * 2 >= ROUNDS, "{:?} was accepted {ran} times only", d.op);
        assert!(bytes[0] < 0xF0 || long > 20, "{:?}: {long} long ones only", d.op);
    }
    assert!(zero > 1000, "{zero}");
}

/// A row that always left zeroes would be noticed.
#[test]
fn a_wrong_model_of_contents_is_noticed() {
    let mut machine = Machine::new();
    let mut rng = Rng::with_seed(9);
    let mut noticed = 0;
    for bytes in [&[0xF3, 0xA4][..], &[0xF3, 0xAA]] {
        let d = decode_at(bytes, 0x40_0000, 0).unwrap();
        for _ in 0..4 * ROUNDS {
            let mut c = case(&mut rng, &machine, false);
            with_blocks(&mut rng, &mut machine, &mut c, 1);
            let Some(next) = step(&mut machine, bytes, &d, &c, Prover::default()) else { continue };
            let mut wrong = next.state.caps.clone();
            for cap in wrong.iter_mut() {
                let Cap::Entry(entry) = cap else { continue };
                if let Mem::Bytes(n) = entry.mem.as_ref() {
                    entry.mem = Rc::new(Mem::Zero(n.clone()));
                }
            }
            noticed += usize::from(zeroes(&machine, &next.values, &wrong).is_err());
        }
    }
    assert!(noticed > 10, "{noticed}");
}
