//! Not trusted. For tests: someone who answers the judge's questions by a small search, and states
//! to begin with. Shared by unit tests (as `crate::testing`) and the tests beside this file.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test uses a part of it")]

extern crate alloc;

pub mod answers;

use alloc::{vec, vec::Vec};
use answers::Silent;
use tal_core::counted::Rc;
use tal_core::decode::{Decoded, decode_at};
use tal_core::error::{Error, Kind as Refusal, Rule};
use tal_core::hint::{Comb, Forward, Proof, Template, Through};
use tal_core::image::{Image, Interface};
use tal_core::judge::{Judge, Own, range_goals};
use tal_core::prove::{by_bounds, low};
use tal_core::state::{Scope, State};
use tal_core::term::{Monomial, Term, Var};
use tal_core::ty::{
    Assertion, Base, Bounds, Cap, DataId, Fact, Kind, NameSet, Post, Reg, Rel, Sig, View, Word,
};

/// Answers by search: linear combinations of few facts, the first capability of the right name.
#[derive(Debug, Default, Clone)]
pub struct Prover {
    /// Every question for a range is answered no.
    pub never_in_range: bool,
    /// Answered to `cmov`, instead of the template of the search.
    pub template: Option<Template>,
    /// Answers the rest.
    pub silent: Silent,
}

/// Factors of facts whose sum differs from `goal` by what bounds show not to be negative.
pub fn search(state: &State, goal: &Term, depth: u32) -> Option<Vec<(u16, i128)>> {
    if by_bounds(state, goal) {
        return Some(Vec::new());
    }
    let first = goal.monomials().first()?;
    if depth == 0 {
        return None;
    }
    for (number, fact) in state.facts.iter().enumerate() {
        let Some(m) = fact.term.monomials().iter().find(|m| m.atom == first.atom) else {
            continue;
        };
        if first.coefficient % m.coefficient != 0 {
            continue;
        }
        let factor = first.coefficient / m.coefficient;
        if fact.rel == Rel::Ne || (fact.rel == Rel::Ge && factor < 0) {
            continue;
        }
        let Ok(rest) = goal.add_scaled(&fact.term, -factor) else { continue };
        if let Some(mut found) = search(state, &rest, depth - 1) {
            found.push((number as u16, factor));
            return Some(found);
        }
    }
    // The first part by its bound, the rest by facts.
    search(state, &without(state, goal, first)?, depth - 1)
}

/// The goal with the least value of this part in its place.
fn without(state: &State, goal: &Term, part: Monomial) -> Option<Term> {
    let (a, b) = part.atom.factors();
    let atom = b.map_or(Ok(Term::var(a)), |b| Term::var(a).mul(&Term::var(b))).ok()?;
    let part = atom.scale(part.coefficient).ok()?;
    goal.sub(&part).ok()?.plus(low(state, &part)?).ok()
}

/// Is the fact found?
pub fn holds(state: &State, fact: &Fact) -> bool {
    let found = |t: &Term| search(state, t, 4).is_some();
    let negated = fact.term.scale(-1).unwrap();
    match fact.rel {
        Rel::Ge => found(&fact.term),
        Rel::Eq => found(&fact.term) && found(&negated),
        Rel::Ne => {
            let listed = |f: &Fact| f.rel == Rel::Ne && (f.term == fact.term || f.term == negated);
            state.facts.iter().any(listed)
                || found(&fact.term.plus(-1).unwrap())
                || found(&negated.plus(-1).unwrap())
        }
    }
}

fn nothing<T>(rule: Rule) -> Result<T, Error> {
    Err(Error::new(rule, Refusal::BadHint))
}

impl Forward for Prover {
    type Inner = Silent;

    fn inner(&mut self) -> &mut Silent {
        &mut self.silent
    }

    fn prove(&mut self, state: &State, goal: &Fact) -> Result<Proof, Error> {
        let mut premises = search(state, &goal.term, 4).unwrap_or_default();
        premises.sort_unstable();
        let mut merged: Vec<(u16, i128)> = Vec::new();
        for (number, factor) in premises {
            match merged.last_mut() {
                Some(last) if last.0 == number => last.1 += factor,
                _ => merged.push((number, factor)),
            }
        }
        Ok(Proof::Comb(Comb { scale: 1, premises: merged }))
    }

    fn prove_ne(&mut self, state: &State, term: &Term) -> Result<bool, Error> {
        Ok(search(state, &term.plus(-1).unwrap(), 4).is_some())
    }

    fn in_range(&mut self, st: &State, t: &Term, bits: u8, signed: bool) -> Result<bool, Error> {
        let goals = range_goals(t, bits, signed).unwrap();
        Ok(!self.never_in_range && goals.iter().all(|g| holds(st, g)))
    }

    fn want(&mut self, state: &State, goals: &[Fact]) -> Result<bool, Error> {
        Ok(goals.iter().all(|g| holds(state, g)))
    }

    fn access(
        &mut self,
        state: &State,
        base: Base,
        _: &Term,
        _: u32,
        _: bool,
    ) -> Result<Through, Error> {
        let owned = |c: &Cap| matches!(c, Cap::Entry(e) if Base::Name(e.name) == base);
        if let Some(i) = state.caps.iter().position(owned) {
            return Ok(Through::Entry(i as u16));
        }
        match state.views.iter().position(|v| v.base == base) {
            Some(i) => Ok(Through::View(i as u16)),
            None => nothing(Rule::AccessEntry),
        }
    }

    fn element(
        &mut self,
        _: &State,
        position: &Term,
        size: u32,
        _: &Term,
        _: u32,
    ) -> Result<(Term, u32), Error> {
        match position.as_int() {
            Some(c) => {
                let size = i128::from(size);
                let j = Term::constant_of(c.div_euclid(size)).unwrap();
                Ok((j, c.rem_euclid(size) as u32))
            }
            None => nothing(Rule::Shape),
        }
    }

    fn cmov(&mut self, state: &State, moved: &Word, kept: &Word) -> Result<Template, Error> {
        if let Some(template) = &self.template {
            return Ok(template.clone());
        }
        let n = Term::var(Var::Free(state.scope.len() as u16));
        let none =
            Template { fresh: 0, word: Word::Junk, facts: vec![], moved: vec![], kept: vec![] };
        Ok(match (moved, kept) {
            (Word::Int(a), Word::Int(b)) => Template {
                fresh: 1,
                word: Word::Int(n),
                moved: vec![a.clone()],
                kept: vec![b.clone()],
                ..none
            },
            (Word::Ptr(x, a), Word::Ptr(y, b)) if x == y => Template {
                fresh: 1,
                word: Word::Ptr(*x, n),
                moved: vec![a.clone()],
                kept: vec![b.clone()],
                ..none
            },
            _ => none,
        })
    }

    fn view(&mut self, state: &State, wanted: &View) -> Result<Through, Error> {
        match state.views.iter().position(|v| v == wanted) {
            Some(i) => Ok(Through::View(i as u16)),
            None => nothing(Rule::AccessView),
        }
    }

    fn data(&mut self, _: &State, _: &Term) -> Result<DataId, Error> {
        Ok(DataId(0))
    }

    fn range_facts(&mut self, _: &State, _: &[Fact]) -> Result<bool, Error> {
        Ok(true)
    }
}

/// Nothing declared, nothing brought.
pub fn empty_assertion() -> Assertion {
    Assertion::default()
}

/// A function that brings nothing and returns nothing.
pub fn plain_sig() -> Sig {
    let post = Post { vars: vec![], state: empty_assertion() };
    Sig { vars: vec![], pre: empty_assertion(), post: Some(post) }
}

/// A host that offers nothing.
pub fn no_interface() -> Interface {
    Interface {
        types: vec![],
        origins: 0,
        imports: vec![],
        start: Rc::new(plain_sig()),
        hash: [0; 32],
    }
}

/// An image of nothing but text.
pub fn image_of(text: &[u8]) -> Image<'_> {
    Image {
        text,
        text_address: 0x40_0000,
        types: vec![],
        sigs: vec![Rc::new(plain_sig())],
        functions: vec![],
        labels: vec![],
        data: vec![],
        imports: vec![],
        start: None,
    }
}

/// The state at the start of a function that brings nothing.
pub fn empty_state() -> State {
    let mut state = State::empty();
    state.set_slot(0, Word::ReturnAddress);
    state
}

/// The largest frame, with as many known slots at its top as there may be.
pub fn large_frame() -> State {
    let mut s = empty_state();
    let delta = -tal_core::limits::FRAME;
    s.stack.delta = delta;
    s.stack.touched = delta;
    set(&mut s, Reg::Rsp, Word::Frame(delta));
    let known = i64::try_from(tal_core::limits::SLOTS).unwrap() - 1;
    let words = (-known..0).map(|i| (8 * i, Word::Int(Term::int(i))));
    words.for_each(|(at, word)| s.set_slot(at, word));
    s
}

/// A new variable.
pub fn declare(state: &mut State, kind: Kind) -> Var {
    let (set, bounds) = match &kind {
        Kind::Addr { set, .. } => (*set, Bounds::NONE),
        Kind::Int(bounds) => (NameSet::ADDRESS, *bounds),
        _ => (NameSet::ADDRESS, Bounds::NONE),
    };
    state.scope.push(Scope { kind, set, is: None, bounds });
    Var::Free((state.scope.len() - 1) as u16)
}

/// A new integer.
pub fn int(state: &mut State) -> Term {
    Term::var(declare(state, Kind::INT))
}

/// A new integer with `low <= n <= high`, by its bounds.
pub fn int_in(state: &mut State, low: i128, high: i128) -> Term {
    Term::var(declare(state, Kind::Int(within(low, high))))
}

/// These bounds.
pub fn within(low: i128, high: i128) -> Bounds {
    Bounds::new(Some(low), Some(high)).unwrap()
}

/// A fact that a rule established, or that is declared: a bound, or a fact.
pub fn learn(state: &mut State, fact: Fact) {
    judged(|judge| judge.learn(state, fact.rel, fact.term)).unwrap();
}

/// A new name.
pub fn name(state: &mut State, set: NameSet) -> Var {
    declare(state, Kind::Addr { set, block: None })
}

/// Puts a word into a register.
pub fn set(state: &mut State, reg: Reg, word: Word) {
    state.set_reg(reg, word);
}

/// The word of a register.
pub fn get(state: &State, reg: Reg) -> &Word {
    &state.regs()[reg as usize]
}

/// Runs `bytes`, instruction by instruction, on the state.
pub fn run_with(prover: Prover, state: &mut State, bytes: &[u8]) -> Result<(), Error> {
    let interface = no_interface();
    let image = image_of(bytes);
    let mut judge = Judge::new(&image, &interface, prover, 1 << 20);
    judge.own = Own::function(None, Rc::new(plain_sig()));
    let mut at = 0;
    while (at as usize) < bytes.len() {
        let decoded: Decoded = decode_at(bytes, image.text_address, at)?;
        judge.row(state, &decoded)?;
        at += u32::from(decoded.length);
    }
    Ok(())
}

/// As [`run_with`], with the search.
pub fn run(state: &mut State, bytes: &[u8]) -> Result<(), Error> {
    run_with(Prover::default(), state, bytes)
}

/// Any method of the judge, over an image without anything.
pub fn judged<T>(f: impl FnOnce(&mut Judge<'_, Prover>) -> T) -> T {
    let interface = no_interface();
    let image = image_of(&[]);
    let mut judge = Judge::new(&image, &interface, Prover::default(), 1 << 20);
    judge.own = Own::function(None, Rc::new(plain_sig()));
    f(&mut judge)
}
