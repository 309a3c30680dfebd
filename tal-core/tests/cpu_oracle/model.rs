//! Not trusted. When does a machine state satisfy a state of the judge (core.md 6)? There must be
//! values for the variables: those of before the instruction are given, those that the rule made
//! fresh are searched for.

use crate::machine::Cpu;
use tal_core::rules::operand::wrap;
use tal_core::state::{FlagKind, FlagSet, State};
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Bounds, Cap, Fact, FieldTy, Mem, Rel, Word};

/// Values of `Free(0..)`, as far as they are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values {
    pub(crate) free: Vec<i128>,
    /// rsp at entry.
    pub(crate) entry_rsp: u64,
    /// The integer field whose refinement is looked at.
    pub(crate) field: Option<i128>,
    /// Addresses of the data objects of the image.
    pub(crate) data: Vec<u64>,
    /// Addresses of its functions.
    pub(crate) code: Vec<u64>,
}

impl Values {
    fn of(&self, v: Var) -> Option<i128> {
        match v {
            Var::Free(i) => self.free.get(usize::from(i)).copied(),
            Var::Value => self.field,
            _ => None,
        }
    }

    /// The exact value; `None` if a variable is not known.
    pub(crate) fn exact(&self, t: &Term) -> Option<i128> {
        let mut sum = t.constant();
        for m in t.monomials() {
            let (a, b) = m.atom.factors();
            let mut value = self.of(a)?;
            if let Some(b) = b {
                value = value.checked_mul(self.of(b)?)?;
            }
            sum = sum.checked_add(value.checked_mul(m.coefficient)?)?;
        }
        Some(sum)
    }

    /// The value modulo 2^64.
    pub(crate) fn modular(&self, t: &Term) -> Option<u64> {
        let mut sum = t.constant() as u64;
        for m in t.monomials() {
            let (a, b) = m.atom.factors();
            let mut value = self.of(a)? as u64;
            if let Some(b) = b {
                value = value.wrapping_mul(self.of(b)? as u64);
            }
            sum = sum.wrapping_add(value.wrapping_mul(m.coefficient as u64));
        }
        Some(sum)
    }

    /// Is the fact true? `None` if a variable is not known. A value that leaves 128 bits is far
    /// from zero, so that an approximation tells its sign.
    pub(crate) fn fact(&self, f: &Fact) -> Option<bool> {
        let known = f.term.vars().all(|v| self.of(v).is_some());
        let sign = match self.exact(&f.term) {
            Some(e) => e.signum(),
            None if known => self.approximate(&f.term).signum() as i128,
            None => return None,
        };
        Some(match f.rel {
            Rel::Ge => sign >= 0,
            Rel::Eq => sign == 0,
            Rel::Ne => sign != 0,
        })
    }

    fn approximate(&self, t: &Term) -> f64 {
        let value = |v: Option<Var>| v.map_or(1.0, |v| self.of(v).unwrap_or(0) as f64);
        let monomials = t.monomials().iter();
        let products = monomials.map(|m| {
            let (a, b) = m.atom.factors();
            m.coefficient as f64 * value(Some(a)) * value(b)
        });
        t.constant() as f64 + products.sum::<f64>()
    }

    /// Does the register hold the word?
    fn word(&self, word: &Word, actual: u64) -> Option<bool> {
        Some(match word {
            Word::Int(t) => self.modular(t)? == actual,
            Word::Ptr(Base::Name(x), t) => {
                (self.of(*x)? as u64).wrapping_add(self.modular(t)?) == actual
            }
            Word::Ptr(base, t) => {
                let address = match base {
                    Base::Data(id) => self.data[usize::from(id.0)],
                    Base::Code(id) => self.code[id.0 as usize],
                    Base::Name(_) => unreachable!(),
                };
                address.wrapping_add(self.modular(t)?) == actual
            }
            Word::Frame(k) => self.entry_rsp.wrapping_add(*k as u64) == actual,
            // Nothing is claimed, or it is not part of this model.
            Word::ReturnAddress | Word::Saved(_) | Word::Junk => true,
        })
    }
}

/// Flags of comparing `a` with `b` at `bits`.
pub(crate) fn compare(a: u64, b: u64, bits: u8) -> u8 {
    let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
    let (a, b) = (a & mask, b & mask);
    let r = a.wrapping_sub(b) & mask;
    let sign = |v: u64| v >> (bits - 1) & 1;
    let cf = u8::from(a < b);
    let pf = u8::from((r as u8).count_ones().is_multiple_of(2));
    let zf = u8::from(r == 0);
    let sf = sign(r) as u8;
    let of = u8::from(sign(a) != sign(b) && sign(r) != sign(a));
    cf * FlagSet::CF.0
        + pf * FlagSet::PF.0
        + zf * FlagSet::ZF.0
        + sf * FlagSet::SF.0
        + of * FlagSet::OF.0
}

/// Do the flags present fit what the state says of them?
fn flags_fit(values: &Values, state: &State, actual: u8) -> Option<bool> {
    let readable = state.flags().readable.0;
    let zs = FlagSet::ZF.0 | FlagSet::SF.0;
    Some(match &state.flags().kind {
        FlagKind::None => true,
        FlagKind::Cmp(bits, a, b) => {
            let want = compare(values.modular(a)?, values.modular(b)?, *bits);
            (want ^ actual) & readable & !FlagSet::AF.0 == 0
        }
        FlagKind::Result(bits, r) => {
            let want = compare(values.modular(r)?, 0, *bits);
            (want ^ actual) & readable & zs == 0
        }
        FlagKind::Pick(x, c) => {
            let want = compare(values.of(*x)? as u64, *c as u64, 64);
            (want ^ actual) & !FlagSet::AF.0 == 0
        }
    })
}

/// Does memory hold what the first capability says? All tests have one field at most.
fn memory_fits(values: &Values, state: &State, cpu: &Cpu) -> Option<bool> {
    let Some(Cap::Entry(entry)) = state.caps.first() else { return Some(true) };
    // Of plain bytes nothing is claimed.
    let Mem::Struct { fields, .. } = entry.mem.as_ref() else { return Some(true) };
    match &fields[0].ty {
        FieldTy::Known(word) => values.word(word, cpu.memory),
        FieldTy::Int { bits, signed, facts } => {
            let mut with = values.clone();
            with.field = Some(wrap(i128::from(cpu.memory), *bits, *signed));
            let mut all = true;
            for fact in facts {
                all &= with.fact(fact)?;
            }
            Some(all)
        }
        other => panic!("{other:?}"),
    }
}

/// Do the slots hold their words?
fn slots_fit(values: &Values, state: &State, cpu: &Cpu) -> Option<bool> {
    let mut all = true;
    for (at, word) in state.slots() {
        if let Some(actual) = cpu.slot(at) {
            all &= values.word(word, actual)?;
        }
    }
    Some(all)
}

/// Everything that the state claims of registers, flags and facts. `None`: a variable is missing.
fn satisfied(values: &Values, state: &State, cpu: &Cpu) -> Option<bool> {
    let mut all = flags_fit(values, state, cpu.flags)?;
    all &= memory_fits(values, state, cpu)? && slots_fit(values, state, cpu)?;
    for (word, actual) in state.regs().iter().zip(cpu.regs) {
        all &= values.word(word, actual)?;
    }
    for fact in &state.facts {
        all &= values.fact(fact)?;
    }
    Some(all && in_bounds(values, state))
}

/// Are the integers that have a value within their bounds?
fn in_bounds(values: &Values, state: &State) -> bool {
    values.free.iter().zip(&state.scope).all(|(value, scope)| {
        let bounds = scope.bounds;
        bounds.low().is_none_or(|low| low <= *value) && bounds.high().is_none_or(|h| *value <= h)
    })
}

/// Is nothing that can be said already false?
fn plausible(values: &Values, state: &State, cpu: &Cpu) -> bool {
    let words = state.regs().iter().zip(cpu.regs);
    in_bounds(values, state)
        && state.facts.iter().all(|f| values.fact(f) != Some(false))
        && words.into_iter().all(|(w, actual)| values.word(w, actual) != Some(false))
        && flags_fit(values, state, cpu.flags) != Some(false)
        && memory_fits(values, state, cpu) != Some(false)
}

/// Numbers that a fresh variable may stand for: `more` at any width, and the ends of its
/// interval by its bounds and by the facts.
fn candidates(values: &Values, state: &State, more: &[u64]) -> Vec<i128> {
    let mut found: Vec<i128> = vec![0, 1, -1];
    for value in more {
        let v = *value;
        found.extend([i128::from(v), i128::from(v as u32), i128::from(v as u16)]);
        found.extend([i128::from(v as u8), i128::from(v as i64), i128::from(v as i32)]);
        found.extend([i128::from(v as i16), i128::from(v as i8)]);
    }
    let next = Var::Free(values.free.len() as u16);
    let bounds = state.bounds(next).unwrap_or(Bounds::NONE);
    for end in bounds.low().into_iter().chain(bounds.high()) {
        found.extend([end - 1, end, end + 1]);
    }
    for fact in &state.facts {
        if fact.rel == Rel::Ne {
            continue;
        }
        let at = |n: i128| {
            let mut tried = values.clone();
            tried.free.push(n);
            tried.exact(&fact.term)
        };
        // Linear in the next variable: e(n) = e(0) + n (e(1) - e(0)).
        if !fact.term.vars().any(|v| v == next) {
            continue;
        }
        if let (Some(zero), Some(one)) = (at(0), at(1)) {
            let slope = one - zero;
            if slope != 0 {
                let root = (-zero).div_euclid(slope);
                found.extend([root - 1, root, root + 1]);
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Values for the fresh variables of `state` such that the machine state satisfies it.
pub(crate) fn solve(values: &Values, state: &State, cpu: &Cpu, more: &[u64]) -> Option<Values> {
    if !plausible(values, state, cpu) {
        return None;
    }
    if values.free.len() == state.scope.len() {
        return (satisfied(values, state, cpu) == Some(true)).then(|| values.clone());
    }
    for candidate in candidates(values, state, more) {
        let mut tried = values.clone();
        tried.free.push(candidate);
        if let Some(found) = solve(&tried, state, cpu, more) {
            return Some(found);
        }
    }
    None
}
