//! Not trusted. Two rows, one after the other: what the first leaves is what the second begins
//! with. Flags of every kind before every row; sign copies before divisions. And hints that lie.

use super::{Case, alone, case, claims, divides, for_division, for_divisor, form, step};
use crate::machine::Machine;
use crate::support::{Prover, image_of, int_in, learn, no_interface, set};
use fastrand::Rng;
use iced_x86::Code;
use tal_core::decode::{Op, decode_at};
use tal_core::error::Error;
use tal_core::hint::{Forward, Template};
use tal_core::judge::Judge;
use tal_core::state::{FlagKind, Flags, State};
use tal_core::table::Form;
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Fact, Reg, Rel, Word};

/// Rows that leave flags of every kind.
const SETTERS: [Code; 12] = [
    Code::Cmp_rm64_r64,
    Code::Cmp_rm32_imm8,
    Code::Cmp_rm8_r8,
    Code::Cmp_rm64_imm8,
    Code::Test_rm64_r64,
    Code::Test_rm8_imm8,
    Code::Sub_rm64_r64,
    Code::Add_rm32_r32,
    Code::Dec_rm64,
    Code::Neg_rm32,
    Code::Shl_rm64_imm8,
    Code::And_rm64_imm8,
];

/// A row of this code on what is there, by this search.
fn then(machine: &mut Machine, rng: &mut Rng, code: Code, c: &Case) -> Option<Case> {
    let (_, bytes, d) = form(rng, code, None).unwrap();
    step(machine, &bytes, &d, c, Prover::default())
}

/// Flags of some kind; of a name, too.
fn with_flags(machine: &mut Machine, rng: &mut Rng, secrets: bool) -> Option<Case> {
    let c = case(rng, machine, secrets);
    let name = |r: &Reg| match &c.state.regs()[*r as usize] {
        Word::Ptr(Base::Name(_), t) => *t == Term::ZERO,
        _ => false,
    };
    match Reg::ALL.into_iter().find(name) {
        // test r, r of a name: it is decided by the edges.
        Some(r) if rng.bool() => {
            let n = r as u8;
            let bytes = [0x48 | ((n >> 3) * 5), 0x85, 0xC0 | ((n & 7) * 9)];
            let d = decode_at(&bytes, 0x40_0000, 0).unwrap();
            step(machine, &bytes, &d, &c, Prover::default())
        }
        _ => {
            let code = SETTERS[rng.usize(0..SETTERS.len())];
            then(machine, rng, code, &c)
        }
    }
}

#[test]
fn what_the_rows_claim_after_flags_of_every_kind_is_true() {
    let mut machine = Machine::new();
    let mut rng = Rng::with_seed(31);
    let mut kinds = [0; 4];
    for (row, code) in alone() {
        let mut ran = 0;
        for round in 0..24 {
            let Some(mut c) = with_flags(&mut machine, &mut rng, round % 3 == 0) else { continue };
            kinds[match c.state.flags().kind {
                FlagKind::None => 0,
                FlagKind::Cmp(..) => 1,
                FlagKind::Result(..) => 2,
                FlagKind::Pick(..) => 3,
            }] += 1;
            let (_, bytes, d) = form(&mut rng, code, None).unwrap();
            if let Some((signed, bits, reg)) = divides(&d) {
                for_division(&mut rng, &mut c, signed, bits, reg);
                // What is told of the old number in a register is told of nothing now.
                let Flags { readable, .. } = *c.state.flags();
                c.state.set_flags(Flags { kind: FlagKind::None, readable });
            }
            ran += usize::from(step(&mut machine, &bytes, &d, &c, Prover::default()).is_some());
        }
        let least = if matches!(row.form, Form::Div | Form::Idiv) { 0 } else { 3 };
        assert!(ran >= least, "{code:?} was accepted {ran} times only");
    }
    assert!(kinds[1..].iter().all(|n| *n > 50), "{kinds:?}");
}

/// A number in rax within bounds, both signs; the divisor in rcx.
fn dividend(rng: &mut Rng, c: &mut Case, bits: u8) {
    let v = rng.i64(..) >> (64 - bits) >> rng.u32(0..u32::from(bits) - 1);
    let half = 1_i128 << (bits - 1);
    let n = int_in(&mut c.state, -half, half - 1);
    c.values.free.push(v.into());
    set(&mut c.state, Reg::Rax, Word::Int(n));
    c.cpu.regs[0] = v as u64;
    for_divisor(rng, c, bits, Some(Reg::Rcx));
}

#[test]
fn a_division_after_a_sign_copy_is_as_the_rows_claim() {
    let mut machine = Machine::new();
    let mut rng = Rng::with_seed(32);
    // cdq; idiv ecx, and cqo; idiv rcx.
    let pairs: [(&[u8], &[u8], u8); 2] =
        [(&[0x99], &[0xF7, 0xF9], 32), (&[0x48, 0x99], &[0x48, 0xF7, 0xF9], 64)];
    for (copy, divide, bits) in pairs {
        let (mut ran, mut negative, mut noticed) = (0, 0, 0);
        for _ in 0..400 {
            let mut c = case(&mut rng, &machine, false);
            c.state.facts.clear();
            dividend(&mut rng, &mut c, bits);
            let d = decode_at(copy, 0x40_0000, 0).unwrap();
            let next = step(&mut machine, copy, &d, &c, Prover::default()).unwrap();
            assert!(matches!(&next.state.regs()[2], Word::Int(t) if t.as_int().is_none()));
            // A sign copy that is always zero would be noticed.
            let mut wrong = next.state.clone();
            set(&mut wrong, Reg::Rdx, Word::Int(Term::ZERO));
            noticed += usize::from(claims(&mut machine, copy, &d, &c, &wrong).is_err());
            let d = decode_at(divide, 0x40_0000, 0).unwrap();
            if step(&mut machine, divide, &d, &next, Prover::default()).is_some() {
                ran += 1;
                negative += usize::from((c.cpu.regs[0] as i64) < 0);
            }
        }
        assert!(ran > 50 && negative > 20, "{bits}: {ran}, of these {negative} negative");
        assert!(noticed > 50, "{noticed}");
    }
}

/// Flags that stayed those of a comparison over a row that changes them would be noticed.
#[test]
fn a_wrong_model_of_flags_is_noticed() {
    let mut machine = Machine::new();
    let mut rng = Rng::with_seed(33);
    let mut noticed = 0;
    for _ in 0..100 {
        let c = case(&mut rng, &machine, false);
        let Some(c) = then(&mut machine, &mut rng, Code::Cmp_rm64_r64, &c) else { continue };
        let (_, bytes, d) = form(&mut rng, Code::Add_rm64_r64, None).unwrap();
        let Some(next) = step(&mut machine, &bytes, &d, &c, Prover::default()) else { continue };
        let mut wrong = next.state.clone();
        wrong.set_flags(c.state.flags().clone());
        noticed += usize::from(claims(&mut machine, &bytes, &d, &c, &wrong).is_err());
    }
    assert!(noticed > 20, "{noticed}");
}

/// Templates for `cmov` that are right, nearly right, or not.
struct Liar {
    prover: Prover,
    rng: Rng,
}

impl Liar {
    /// A number near one of the two, or a constant.
    fn near(&mut self, moved: &Word, kept: &Word) -> Term {
        let of = |word: &Word| match word {
            Word::Int(t) | Word::Ptr(_, t) => t.clone(),
            _ => Term::ZERO,
        };
        let term = match self.rng.u8(0..3) {
            0 => of(moved),
            1 => of(kept),
            _ => Term::int(self.rng.i64(-2..=2)),
        };
        let off = if self.rng.bool() { 0 } else { self.rng.i8(-2..=2) };
        term.plus(off.into()).unwrap_or(Term::ZERO)
    }
}

impl Forward for Liar {
    type Inner = Prover;

    fn inner(&mut self) -> &mut Prover {
        &mut self.prover
    }

    fn cmov(&mut self, state: &State, moved: &Word, kept: &Word) -> Result<Template, Error> {
        let mut template = self.prover.cmov(state, moved, kept)?;
        let new = Term::var(Var::Free(state.scope.len() as u16));
        for _ in 0..self.rng.u8(0..3) {
            let near = self.near(moved, kept);
            match self.rng.u8(0..8) {
                0..=3 => {
                    let term = if self.rng.bool() { new.sub(&near) } else { near.sub(&new) };
                    let rel = [Rel::Ge, Rel::Ge, Rel::Eq, Rel::Ne][self.rng.usize(0..4)];
                    template.facts.extend(term.ok().map(|term| Fact { rel, term }));
                }
                4 => template.word = Word::Int(near),
                5 => template.word = Word::Int(new.plus(1).unwrap_or(Term::ZERO)),
                6 => template.fresh = self.rng.u16(0..3),
                _ => {
                    let list =
                        if self.rng.bool() { &mut template.moved } else { &mut template.kept };
                    match list.first_mut() {
                        Some(first) => *first = near,
                        None => list.push(near),
                    }
                }
            }
        }
        Ok(template)
    }
}

#[test]
fn what_is_accepted_of_templates_that_lie_is_true() {
    let mut machine = Machine::new();
    let mut rng = Rng::with_seed(34);
    let moves: Vec<Code> =
        alone().filter(|(r, _)| matches!(r.form, Form::Cmov)).map(|(_, c)| c).collect();
    let (mut ran, mut tried) = (0, 0);
    for code in moves {
        for round in 0..96 {
            let c = match with_flags(&mut machine, &mut rng, round % 2 == 0) {
                Some(c) => c,
                None => case(&mut rng, &machine, false),
            };
            let (_, bytes, d) = form(&mut rng, code, None).unwrap();
            assert!(matches!(d.op, Op::Cmov { .. }));
            let liar = Liar { prover: Prover::default(), rng: rng.fork() };
            tried += 1;
            ran += usize::from(step(&mut machine, &bytes, &d, &c, liar).is_some());
        }
    }
    assert!(ran * 10 > tried && ran * 10 < tried * 9, "{ran} of {tried} were accepted");
}

/// If a template were believed without a proof, it would be noticed.
#[test]
fn a_believed_template_is_noticed() {
    let mut machine = Machine::new();
    let mut rng = Rng::with_seed(35);
    let bytes = [0x48, 0x0F, 0x44, 0xC1];
    let d = decode_at(&bytes, 0x40_0000, 0).unwrap();
    let interface = no_interface();
    let image = image_of(&bytes);
    let mut noticed = 0;
    for _ in 0..50 {
        let c = case(&mut rng, &machine, false);
        let mut judge = Judge::new(&image, &interface, Prover::default(), 1 << 20);
        let mut after = c.state.clone();
        if judge.row(&mut after, &d).is_err() {
            continue;
        }
        let Word::Int(t) = after.regs()[0].clone() else { continue };
        let below = Term::int(7).sub(&t).unwrap();
        learn(&mut after, Fact { rel: Rel::Ge, term: below });
        learn(&mut after, Fact { rel: Rel::Ge, term: t });
        noticed += usize::from(claims(&mut machine, &bytes, &d, &c, &after).is_err());
    }
    assert!(noticed > 10, "{noticed}");
}
