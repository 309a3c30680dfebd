//! Not trusted. Whole blocks against the processor: random instructions one after the other,
//! ghosts and edges between them. What one row leaves behind, the next one believes: flags that
//! stay, upper halves, fresh variables, what memory and slots were said to hold. After each step
//! the machine satisfies the state; and a second run with other secrets agrees in all that is
//! public.

use super::{
    Case, alone, case, divides, for_division, form, in_sets, involved, outside, taken, with_field,
};
use crate::forms::{self, WIDE, value};
use crate::machine::{Cpu, LOWEST, Machine};
use crate::model::{Values, solve};
use crate::support::{Prover, declare, holds, image_of, int_in, no_interface};
use fastrand::Rng;
use iced_x86::{Code, MemoryOperand};
use tal_core::counted::Rc;
use tal_core::decode::{Cc, Decoded, Op, Rm, decode_at};
use tal_core::error::Error;
use tal_core::hint::{Forward, Place, Template, Through};
use tal_core::judge::Judge;
use tal_core::state::State;
use tal_core::table::{Form, ROWS};
use tal_core::term::{Monomial, Term, Var};
use tal_core::ty::{Base, Cap, Entry, Fact, Field, FieldTy, Kind, Mem, NameSet, Reg, Rel, Word};

/// Blocks that a test run tries.
const BLOCKS: u64 = 1000;
/// Steps that are tried in a block; not all are accepted.
const STEPS: usize = 40;

/// The search, which at random says that it has found nothing, and puts facts that hold on either
/// side into templates.
struct Whim {
    prover: Prover,
    rng: Rng,
}

impl Whim {
    fn agrees(&mut self, answer: bool) -> bool {
        answer && self.rng.u8(0..4) != 0
    }
}

impl Forward for Whim {
    type Inner = Prover;

    fn inner(&mut self) -> &mut Prover {
        &mut self.prover
    }

    /// By dividing the coefficients.
    fn element(
        &mut self,
        s: &State,
        at: &Term,
        size: u32,
        n: &Term,
        w: u32,
    ) -> Result<(Term, u32), Error> {
        let by = i128::from(size);
        let divided = |m: Monomial| Monomial { coefficient: m.coefficient / by, ..m };
        let monomials: Vec<Monomial> = at.monomials().map(divided).collect();
        match Term::from_parts(at.constant().div_euclid(by), &monomials) {
            Ok(j) if at.monomials().all(|m| m.coefficient % by == 0) => {
                // Now and then a wrong one.
                let wrong = if self.rng.u8(0..8) == 0 { self.rng.i8(-2..=2) } else { 0 };
                let j = j.plus(wrong.into()).unwrap_or(Term::ZERO);
                let c = at.constant().rem_euclid(by) as u32;
                Ok((j, if self.rng.u8(0..8) == 0 { self.rng.u32(0..2 * size) } else { c }))
            }
            _ => self.prover.element(s, at, size, n, w),
        }
    }

    /// Now and then another capability than that of the name.
    fn access(
        &mut self,
        s: &State,
        base: Base,
        offset: &Term,
        width: u32,
        store: bool,
    ) -> Result<Through, Error> {
        match self.rng.u8(0..16) {
            0 => Ok(Through::Entry(self.rng.u16(0..3))),
            1 => Ok(Through::View(self.rng.u16(0..2))),
            _ => self.prover.access(s, base, offset, width, store),
        }
    }

    fn in_range(&mut self, s: &State, t: &Term, bits: u8, signed: bool) -> Result<bool, Error> {
        let answer = self.prover.in_range(s, t, bits, signed)?;
        Ok(self.agrees(answer))
    }

    fn want(&mut self, state: &State, goals: &[Fact]) -> Result<bool, Error> {
        let answer = self.prover.want(state, goals)?;
        Ok(self.agrees(answer))
    }

    fn range_facts(&mut self, _: &State, _: &[Fact]) -> Result<bool, Error> {
        Ok(self.agrees(true))
    }

    fn cmov(&mut self, state: &State, moved: &Word, kept: &Word) -> Result<Template, Error> {
        let mut template = self.prover.cmov(state, moved, kept)?;
        let ([one], [other]) = (template.moved.as_slice(), template.kept.as_slice()) else {
            return Ok(template);
        };
        let new = Term::var(Var::Free(state.scope.len() as u16));
        for bits in [0, 7, 8, 16, 31, 32, 63, 64] {
            let bound = |t: &Term| Term::constant_of((1 << bits) - 1)?.sub(t);
            let at = |t: &Term| bound(t).map(|term| Fact { rel: Rel::Ge, term });
            let (Ok(a), Ok(b), Ok(fact)) = (at(one), at(other), at(&new)) else { continue };
            if holds(state, &a) && holds(state, &b) {
                template.facts.push(fact);
            }
        }
        Ok(template)
    }
}

/// One thing that was accepted.
#[derive(Clone, Debug)]
enum Step {
    Row(Vec<u8>),
    /// The edge that the processor takes, for this condition.
    Edge(Cc, bool),
    /// rdx and one other register were set: to what they are here.
    Set(Box<Cpu>),
    /// Changes the state only.
    Ghost,
}

/// The state after a step, for the second run and for messages.
struct Trace {
    steps: Vec<(Step, State)>,
}

/// The steps, a line each.
fn told(steps: &[(Step, State)]) -> String {
    let one = |(step, _): &(Step, State)| match step {
        Step::Row(bytes) => {
            let d = decode_at(bytes, 0x40_0000, 0).unwrap();
            format!("{:?} {bytes:02x?}\n", d.op)
        }
        other => format!("{other:x?}\n"),
    };
    steps.iter().map(one).collect()
}

/// Goes on from a case, step by step.
struct Walk<'m> {
    machine: &'m mut Machine,
    rng: Rng,
    state: State,
    values: Values,
    cpu: Cpu,
    trace: Trace,
    /// Address and size of what is owned.
    owned: [(u64, u64); 2],
    /// Accesses that were accepted without being made.
    probes: usize,
}

impl Walk<'_> {
    /// The judge does this to a copy of the state; refused: nothing happens.
    fn judged(
        &mut self,
        text: &[u8],
        f: impl FnOnce(&mut Judge<'_, Whim>, &mut State) -> Result<(), Error>,
    ) -> Option<State> {
        let interface = no_interface();
        let image = image_of(text);
        let hints = Whim { prover: Prover::default(), rng: self.rng.fork() };
        let mut judge = Judge::new(&image, &interface, hints, 1 << 20);
        let mut after = self.state.clone();
        f(&mut judge, &mut after).is_ok().then_some(after)
    }

    /// The machine satisfies what the step left.
    fn satisfied(&mut self, step: Step, after: State, more: &[u64]) {
        let found = self.chosen(&step, &after, more);
        let found = found.or_else(|| solve(&self.values, &after, &self.cpu, more));
        self.trace.steps.push((step, after));
        let Some(values) = found else {
            let before = self.trace.steps.len().checked_sub(2);
            let before = before.map(|i| &self.trace.steps[i].1);
            panic!("not satisfied\n{}\n{:x?}\n{before:?}", self.story(), self.cpu);
        };
        let (_, after) = self.trace.steps.last().unwrap();
        assert!(in_sets(&values, after), "{}", self.story());
        self.state = after.clone();
        self.values = values;
    }

    /// What `cmov` makes fresh is one of the two numbers that it chose from, which may be any
    /// representatives.
    fn chosen(&self, step: &Step, after: &State, more: &[u64]) -> Option<Values> {
        let Step::Row(bytes) = step else { return None };
        let Op::Cmov { dst, src, .. } = decode_at(bytes, 0x40_0000, 0).unwrap().op else {
            return None;
        };
        if self.values.free.len() >= after.scope.len() {
            return None;
        }
        let field = self.state.caps.first().and_then(|cap| match cap {
            Cap::Entry(Entry { mem, .. }) => Some(mem),
            _ => None,
        });
        let field = field.and_then(|mem| match &**mem {
            Mem::Struct { fields, .. } => fields.first(),
            _ => None,
        });
        let known = field.and_then(|f| match &f.ty {
            FieldTy::Known(word) => Some(word),
            _ => None,
        });
        let slots = self.state.slots().map(|(_, word)| word);
        let source = match src {
            Rm::Reg(r) => Some(&self.state.regs()[r as usize]),
            Rm::Mem(_) => known,
        };
        let words = source.into_iter().chain([&self.state.regs()[dst as usize]]).chain(slots);
        let terms = words.filter_map(|word| match word {
            Word::Int(t) | Word::Ptr(_, t) => self.values.exact(t),
            _ => None,
        });
        terms.into_iter().find_map(|value| {
            let mut tried = self.values.clone();
            tried.free.push(value);
            solve(&tried, after, &self.cpu, more)
        })
    }

    fn story(&self) -> String {
        format!("{}{:?}", told(&self.trace.steps), self.state)
    }

    /// Offsets of the values from the names, as well as the values themselves.
    fn with_offsets(&self, mut more: Vec<u64>) -> Vec<u64> {
        let names = self.state.scope.iter().zip(&self.values.free);
        let names = names.filter(|(s, _)| matches!(s.kind, Kind::Addr { .. }));
        let names: Vec<u64> = names.map(|(_, x)| *x as u64).collect();
        let offsets: Vec<u64> =
            names.iter().flat_map(|x| more.iter().map(|v| v.wrapping_sub(*x))).collect();
        more.extend(offsets);
        more
    }

    fn row(&mut self, bytes: &[u8], d: &Decoded) -> bool {
        let Some(after) = self.judged(bytes, |judge, state| judge.row(state, d)) else {
            return false;
        };
        let out = self.machine.run(bytes, &self.cpu);
        let written = outside(self.machine, d, &self.cpu);
        assert!(written.is_empty(), "{written:x?} beside the operand\n{}", self.story());
        let mut more = involved(bytes, d, &self.cpu, &out);
        for at in 0..4 {
            let at = self.state.stack.delta + 8 * at;
            more.extend([&self.cpu, &out].into_iter().filter_map(|cpu| cpu.slot(at)));
        }
        if matches!(d.op, Op::Cmov { .. }) {
            more = self.with_offsets(more);
        }
        self.cpu = out;
        self.satisfied(Step::Row(bytes.to_vec()), after, &more);
        true
    }

    /// One edge of a random condition: that which the processor takes.
    fn edge(&mut self) {
        let cc = Cc::ALL[self.rng.usize(0..16)];
        let is_taken = taken(cc, self.cpu.flags);
        if let Some(after) = self.judged(&[], |judge, state| judge.edge(state, cc, is_taken)) {
            let more: Vec<u64> = self.cpu.regs.into();
            self.satisfied(Step::Edge(cc, is_taken), after, &more);
        }
    }

    fn renorm(&mut self) {
        let reg = Reg::ALL[self.rng.usize(0..16)];
        let signed = self.rng.bool();
        let place = Place::Reg(reg);
        if let Some(after) = self.judged(&[], |judge, state| judge.renorm(state, place, signed)) {
            let more = [self.cpu.regs[reg as usize]];
            self.satisfied(Step::Ghost, after, &more);
        }
    }

    /// A random instruction; through rbx, which mostly points to the field, if it has memory.
    fn instruction(&mut self, codes: &[Code]) {
        let code = codes[self.rng.usize(0..codes.len())];
        let no_memory = matches!(code.op_code().mnemonic(), iced_x86::Mnemonic::Lea);
        let memory = !no_memory && forms::takes_memory(code).is_some() && self.rng.u8(0..3) == 0;
        let operand = memory.then(|| match self.rng.u8(0..3) {
            0 => {
                let at = 8 * self.rng.i64(0..4);
                MemoryOperand::with_base_displ_size(WIDE[4], at, u32::from(at != 0))
            }
            _ => MemoryOperand::with_base(WIDE[Reg::Rbx as usize]),
        });
        // Some forms have no rule with memory.
        let Some((_, bytes, d)) = form(&mut self.rng, code, operand) else { return };
        if let Some((signed, bits, divisor)) = divides(&d) {
            self.divisible(signed, bits, divisor);
        }
        self.row(&bytes, &d);
    }

    /// An access anywhere, by what is known now: if the judge lets it pass, the address that the
    /// processor would make of the registers lies in what is owned, or in the frame.
    fn probe(&mut self) {
        let any = |rng: &mut Rng| Reg::ALL[rng.usize(0..16)];
        let base = if self.rng.bool() { Reg::R12 } else { any(&mut self.rng) };
        let index = (self.rng.u8(0..4) != 0).then(|| (any(&mut self.rng), 1 << self.rng.u8(0..4)));
        let index = index.filter(|(reg, _)| *reg != Reg::Rsp);
        let disp = if self.rng.bool() { 0 } else { i64::from(value(&mut self.rng) as i8) };
        let width = 1 << self.rng.u8(0..4);
        let store = self.rng.bool();
        let accepted = self.judged(&[], |judge, state| {
            let at = judge.address(state, Some(base), index, disp)?;
            match store {
                true => judge.store(state, &at, width, &Word::Int(Term::ZERO)),
                false => judge.load(state, &at, width).map(drop),
            }
        });
        if accepted.is_none() {
            return;
        }
        self.probes += 1;
        let held = |reg: Reg| self.cpu.regs[reg as usize];
        let scaled = index.map_or(0, |(reg, scale)| held(reg).wrapping_mul(u64::from(scale)));
        let at = held(base).wrapping_add(scaled).wrapping_add(disp as u64);
        let end = at.checked_add(u64::from(width));
        let rsp = held(Reg::Rsp);
        let frame = (rsp, self.values.entry_rsp + 8 - rsp);
        let inside = |(low, size): &(u64, u64)| *low <= at && end.is_some_and(|e| e <= low + size);
        let inside = self.owned.iter().chain([&frame]).any(inside);
        assert!(inside, "[{base:?} + {index:?} + {disp}], {width} bytes: {at:x}\n{}", self.story());
    }

    /// As if the block had just loaded rdx and the divisor so that the division is possible.
    fn divisible(&mut self, signed: bool, bits: u8, divisor: Option<Reg>) {
        let (state, values) = (self.state.clone(), self.values.clone());
        let mut with = Case { state, values, cpu: self.cpu };
        for_division(&mut self.rng, &mut with, signed, bits, divisor);
        Case { state: self.state, values: self.values, cpu: self.cpu } = with;
        self.trace.steps.push((Step::Set(Box::new(self.cpu)), self.state.clone()));
    }
}

/// An owned array of bytes, of words or of pairs, as long as an integer says that is in r13, or of
/// a constant length; r12 points to it or into it. Says where it is and how large.
fn with_array(rng: &mut Rng, machine: &Machine, c: &mut Case) -> (u64, u64) {
    let address = machine.operand() + 64;
    let x = declare(&mut c.state, Kind::Addr { set: NameSet::ADDRESS, block: None });
    c.values.free.push(i128::from(address));
    let count = [0_u64, 1, 2, 8, 15, 16][rng.usize(0..6)];
    let mut n = Term::int(count as i64);
    if rng.bool() {
        n = int_in(&mut c.state, 0, 16);
        c.values.free.push(i128::from(count));
    }
    c.state.set_reg(Reg::R13, Word::Int(n.clone()));
    c.cpu.regs[Reg::R13 as usize] = count;
    let int = |offset, bits| Field {
        offset,
        writable: true,
        ty: FieldTy::Int { bits, signed: false, facts: vec![] },
    };
    let record = |fields: Vec<Field>, size| Rc::new(Mem::Struct { fields, size });
    let (mem, size) = match rng.u8(0..3) {
        0 => (Mem::Bytes(n), 1),
        1 => (Mem::Array(n, record(vec![int(0, 64)], 8)), 8),
        _ => (Mem::Array(n, record(vec![int(0, 32), int(4, 8)], 8)), 8),
    };
    let entry = Entry { guards: vec![], name: x, offset: Term::ZERO, mem: Rc::new(mem) };
    c.state.caps.push(Cap::Entry(entry));
    let offset = [0, 0, 1, 8, -8][rng.usize(0..5)];
    c.state.set_reg(Reg::R12, Word::Ptr(Base::Name(x), Term::int(offset)));
    c.cpu.regs[Reg::R12 as usize] = address.wrapping_add(offset as u64);
    (address, count * size)
}

/// rsp stays in sight of the machine.
fn in_sight(state: &State) -> bool {
    (LOWEST..=0).contains(&state.stack.delta)
}

/// The codes that a block is made of.
fn codes() -> Vec<Code> {
    let stack = ROWS.iter().filter(|r| matches!(r.form, Form::Push | Form::Pop));
    let stack = stack.flat_map(super::codes_of).copied();
    // Pushes and pops as often as a family of rows.
    let stack: Vec<Code> = stack.flat_map(|c| [c; 8]).collect();
    alone().map(|(_, c)| c).chain(stack).collect()
}

/// A second run of the accepted steps, with other secrets, agrees in all that is public.
fn agrees(rng: &mut Rng, machine: &mut Machine, start: &Case, first: &[Cpu], trace: &Trace) {
    let mut other = start.cpu;
    let mut moved = std::collections::BTreeMap::new();
    for reg in Reg::ALL {
        let i = reg as usize;
        match &start.state.regs()[i] {
            Word::Junk => other.regs[i] = rng.u64(..),
            Word::Ptr(base @ Base::Name(Var::Free(x)), _) => {
                let old = start.values.free[usize::from(*x)];
                // An undecided name keeps its alternative, memory its place.
                let at_memory = old == i128::from(machine.operand());
                if old >= 0x1_0000 && !at_memory {
                    let far = || 0x1_0000 + rng.u64(0..(1 << 47) - 0x1_0000);
                    let new = *moved.entry(*base).or_insert_with(far);
                    other.regs[i] = other.regs[i].wrapping_sub(old as u64).wrapping_add(new);
                }
            }
            _ => {}
        }
    }
    other.flags ^= rng.u8(0..64) & !start.state.flags().readable.0;
    let story = || format!("{}{:x?}\n{other:x?}\n{:?}", told(&trace.steps), start.cpu, start.state);
    let story = story();
    for (n, ((step, state), one)) in trace.steps.iter().zip(first).enumerate() {
        match step {
            Step::Row(bytes) => other = machine.run(bytes, &other),
            Step::Edge(cc, is_taken) => {
                assert_eq!(taken(*cc, other.flags), *is_taken, "{cc:?} leaks\nstep {n}\n{story}");
                continue;
            }
            Step::Set(cpu) => {
                for reg in Reg::ALL {
                    if let Word::Int(_) = state.regs()[reg as usize] {
                        other.regs[reg as usize] = cpu.regs[reg as usize];
                    }
                }
                continue;
            }
            Step::Ghost => continue,
        }
        for reg in Reg::ALL {
            let i = reg as usize;
            if let Word::Int(_) = state.regs()[i] {
                assert_eq!(one.regs[i], other.regs[i], "{reg:?} leaks\nstep {n}\n{story}");
            }
        }
        let readable = state.flags().readable.0;
        assert_eq!((one.flags ^ other.flags) & readable, 0, "flags leak\nstep {n}\n{story}");
    }
}

/// Rows and probes that were accepted.
fn block(seed: u64, machine: &mut Machine, codes: &[Code]) -> (usize, usize) {
    let mut rng = Rng::with_seed(seed);
    let mut start = case(&mut rng, machine, seed.is_multiple_of(2));
    let bits = [8, 16, 32, 64][rng.usize(0..4)];
    with_field(&mut rng, machine, &mut start, bits, Reg::Rbx);
    let field = (machine.operand(), u64::from(bits / 8));
    let array = with_array(&mut rng, machine, &mut start);
    for place in start.cpu.slots.iter_mut() {
        *place = value(&mut rng) as u64;
    }
    let mut walk = Walk {
        machine: &mut *machine,
        rng: rng.fork(),
        state: start.state.clone(),
        values: start.values.clone(),
        cpu: start.cpu,
        trace: Trace { steps: Vec::new() },
        owned: [field, array],
        probes: 0,
    };
    let mut cpus = Vec::new();
    for _ in 0..STEPS {
        match walk.rng.u8(0..8) {
            0 | 1 => walk.edge(),
            2 => walk.renorm(),
            _ => walk.instruction(codes),
        }
        cpus.resize(walk.trace.steps.len(), walk.cpu);
        (0..4).for_each(|_| walk.probe());
        if !in_sight(&walk.state) {
            break;
        }
    }
    let Walk { trace, probes, .. } = walk;
    let rows = trace.steps.iter().filter(|(s, _)| matches!(s, Step::Row(_))).count();
    agrees(&mut rng, machine, &start, &cpus, &trace);
    (rows, probes)
}

#[test]
fn what_whole_blocks_claim_is_true() {
    let mut machine = Machine::new();
    let codes = codes();
    let tried = std::env::var("TAL_BLOCKS").ok().and_then(|n| n.parse().ok()).unwrap_or(BLOCKS);
    let all = (0..tried).map(|seed| block(seed, &mut machine, &codes));
    let (rows, probes) = all.fold((0, 0), |(rows, probes), (r, p)| (rows + r, probes + p));
    println!("{rows} rows and {probes} probes in {tried} blocks");
    assert!(rows as u64 >= 8 * tried, "blocks are too short: {rows} rows in {tried} of them");
    assert!(probes as u64 >= tried, "too few accesses: {probes} in {tried} blocks");
}
