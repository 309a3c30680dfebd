//! Not trusted. Certificates, one by one: what proves a goal, and the forgery beside it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use support::answers::{Script, comb};
use support::{empty_state, int, int_in};
use tal_core::error::Rule;
use tal_core::hint::{Proof, Step};
use tal_core::judge::Judge;
use tal_core::state::State;
use tal_core::term::Term;
use tal_core::ty::{Fact, Rel};

/// Runs with these answers.
fn with<R>(script: Script, f: impl FnOnce(&mut Judge<'_, Script>) -> R) -> R {
    let (image, interface) = (support::image_of(&[]), support::no_interface());
    f(&mut Judge::new(&image, &interface, script, 1 << 20))
}

/// Is `goal >= 0` proved by these answers?
fn proves(state: &State, goal: &Term, proofs: Vec<Proof>) -> bool {
    let script = Script::new(proofs);
    let result = with(script, |j| j.prove_ge(&mut state.clone(), goal, Rule::Return));
    if let Err(error) = &result {
        assert!(matches!(error.rule, Rule::Return | Rule::ProveComb), "{error:?}");
    }
    result.is_ok()
}

/// What a step appends.
fn step(state: &State, step: &Step) -> Result<Fact, Rule> {
    let mut after = state.clone();
    with(Script::default(), |j| j.step(&mut after, step)).map_err(|e| e.rule)?;
    assert_eq!(after.facts.len(), state.facts.len() + 1);
    Ok(after.facts.pop().unwrap())
}

fn k(c: i64) -> Term {
    Term::int(c)
}

/// Two integers, `a` in [0, 9] (facts 0, 1) and `b` without range, with these facts behind.
fn state(facts: &[(Rel, Term)]) -> (State, Term, Term) {
    let mut state = empty_state();
    let a = int_in(&mut state, 0, 9);
    let b = int(&mut state);
    state.facts.extend(facts.iter().map(|(rel, term)| Fact { rel: *rel, term: term.clone() }));
    (state, a, b)
}

#[test]
fn a_constant_is_what_it_is() {
    let (state, ..) = state(&[]);
    assert!(proves(&state, &k(0), vec![]));
    assert!(!proves(&state, &k(-1), vec![]));
    let eq = |c| with(Script::default(), |j| j.prove_eq(&mut empty_state(), &k(c), Rule::Return));
    assert!(eq(0).is_ok() && eq(1).is_err() && eq(-1).is_err());
    let ne = |c| with(Script::default(), |j| j.prove_ne(&mut empty_state(), &k(c), Rule::Return));
    assert!(ne(0).is_err() && ne(1).is_ok() && ne(-1).is_ok());
}

#[test]
fn a_lookup_finds_what_is_at_least_as_strong() {
    let (mut state, a, b) = state(&[]);
    assert!(proves(&state, &a, vec![Proof::Lookup]));
    assert!(proves(&state, &a.plus(5).unwrap(), vec![Proof::Lookup]));
    assert!(!proves(&state, &a.plus(-1).unwrap(), vec![Proof::Lookup]));
    assert!(!proves(&state, &b, vec![Proof::Lookup]));
    // Twice the variable is another variable part.
    assert!(!proves(&state, &a.scale(2).unwrap(), vec![Proof::Lookup]));
    // A disequality is no inequality, an equality is two.
    state.facts.push(Fact { rel: Rel::Ne, term: b.clone() });
    assert!(!proves(&state, &b, vec![Proof::Lookup]));
    state.facts.push(Fact { rel: Rel::Eq, term: b.plus(-3).unwrap() });
    assert!(proves(&state, &b.plus(-3).unwrap(), vec![Proof::Lookup]));
    assert!(proves(&state, &b.scale(-1).unwrap().plus(3).unwrap(), vec![Proof::Lookup]));
    assert!(!proves(&state, &b.plus(-4).unwrap(), vec![Proof::Lookup]));
    assert!(!proves(&state, &b.scale(-1).unwrap().plus(2).unwrap(), vec![Proof::Lookup]));
    assert!(!proves(&state, &b.scale(-2).unwrap().plus(9).unwrap(), vec![Proof::Lookup]));
}

#[test]
fn a_combination_is_added_up() {
    let (mut state, a, b) = state(&[]);
    state.facts.push(Fact { rel: Rel::Ge, term: b.sub(&a).unwrap() });
    state.facts.push(Fact { rel: Rel::Ne, term: b.clone() });
    state.facts.push(Fact { rel: Rel::Eq, term: b.plus(-4).unwrap() });
    // b = (b - a) + a
    assert!(proves(&state, &b, vec![comb(1, &[(0, 1), (2, 1)])]));
    assert!(proves(&state, &b.scale(2).unwrap(), vec![comb(1, &[(0, 2), (2, 2)])]));
    // Another sum, a slack below zero, a scale that makes the goal vanish.
    assert!(!proves(&state, &b, vec![comb(1, &[(0, 1)])]));
    assert!(!proves(&state, &b.plus(-1).unwrap(), vec![comb(1, &[(0, 1), (2, 1)])]));
    assert!(!proves(&state, &b.plus(-1).unwrap(), vec![comb(0, &[])]));
    // Minus an inequality, a disequality, a fact twice, out of order, or one that is not there.
    assert!(!proves(&state, &a.scale(-1).unwrap(), vec![comb(1, &[(0, -1)])]));
    assert!(!proves(&state, &b, vec![comb(1, &[(3, 1)])]));
    assert!(!proves(&state, &a.scale(2).unwrap(), vec![comb(1, &[(0, 1), (0, 1)])]));
    assert!(!proves(&state, &b, vec![comb(1, &[(2, 1), (0, 1)])]));
    assert!(!proves(&state, &b, vec![comb(1, &[(9, 1)])]));
    // Minus an equality is one.
    assert!(proves(&state, &b.scale(-1).unwrap().plus(4).unwrap(), vec![comb(1, &[(4, -1)])]));
    // Too large for 128 bits.
    assert!(!proves(&state, &a, vec![comb(u64::MAX, &[(0, i128::MAX)])]));
}

#[test]
fn different_is_listed_or_on_a_side() {
    let (mut state, a, b) = state(&[]);
    let ne = |state: &State, side, proofs: Vec<Proof>, goal: &Term| {
        let script = Script::new(proofs).on(side);
        with(script, |j| j.prove_ne(&mut state.clone(), goal, Rule::Return)).is_ok()
    };
    assert!(!ne(&state, None, vec![], &b));
    assert!(ne(&state, Some(true), vec![Proof::Lookup], &a.plus(1).unwrap()));
    assert!(!ne(&state, Some(true), vec![Proof::Lookup], &a));
    assert!(ne(&state, Some(false), vec![Proof::Lookup], &a.plus(-10).unwrap()));
    assert!(!ne(&state, Some(false), vec![Proof::Lookup], &a.plus(-9).unwrap()));
    state.facts.push(Fact { rel: Rel::Ne, term: b.clone() });
    assert!(ne(&state, None, vec![], &b));
    assert!(ne(&state, None, vec![], &b.scale(-1).unwrap()));
    assert!(!ne(&state, None, vec![], &b.plus(1).unwrap()));
}

#[test]
fn a_step_is_a_combination() {
    let (mut state, a, b) = state(&[]);
    state.facts.push(Fact { rel: Rel::Eq, term: b.sub(&a).unwrap() });
    let made = |premises: &[(u16, i128)], slack| {
        step(&state, &Step::Comb { premises: premises.to_vec(), slack })
    };
    assert_eq!(made(&[(0, 1), (2, 1)], 0), Ok(Fact { rel: Rel::Ge, term: b.clone() }));
    let larger = Fact { rel: Rel::Ge, term: b.plus(2).unwrap() };
    assert_eq!(made(&[(0, 1), (2, 1)], 2), Ok(larger));
    // Of equalities only: an equality, until there is a slack.
    assert_eq!(made(&[(2, -1)], 0), Ok(Fact { rel: Rel::Eq, term: a.sub(&b).unwrap() }));
    assert_eq!(made(&[(2, 1)], 1).unwrap().rel, Rel::Ge);
    assert_eq!(made(&[(0, 1)], -1), Err(Rule::StepComb));
    assert_eq!(made(&[(0, -1)], 0), Err(Rule::StepComb));
    assert_eq!(made(&[(3, 1)], 0), Err(Rule::StepComb));
}

#[test]
fn a_cut_divides_exactly() {
    let (mut state, a, b) = state(&[]);
    let odd = a.scale(2).unwrap().add_scaled(&b, 4).unwrap().plus(-3).unwrap();
    state.facts.push(Fact { rel: Rel::Ge, term: odd });
    state.facts.push(Fact { rel: Rel::Ne, term: a.scale(2).unwrap() });
    let cut = |fact, divisor| step(&state, &Step::Cut { fact, divisor });
    // 2a + 4b - 3 >= 0 gives a + 2b - 2 >= 0: the constant is rounded down.
    let half = a.add_scaled(&b, 2).unwrap().plus(-2).unwrap();
    assert_eq!(cut(2, 2), Ok(Fact { rel: Rel::Ge, term: half }));
    assert_eq!(cut(2, 4), Err(Rule::StepCut));
    assert_eq!(cut(2, 0), Err(Rule::StepCut));
    assert_eq!(cut(2, -2), Err(Rule::StepCut));
    assert_eq!(cut(3, 2), Err(Rule::StepCut));
    assert_eq!(cut(4, 1), Err(Rule::StepCut));
}

#[test]
fn a_disequality_sharpens_its_inequality() {
    let (mut state, a, b) = state(&[]);
    state.facts.push(Fact { rel: Rel::Ne, term: a.scale(-1).unwrap() });
    state.facts.push(Fact { rel: Rel::Ne, term: b });
    let neq = |fact, other| step(&state, &Step::Neq { fact, other });
    assert_eq!(neq(0, 2), Ok(Fact { rel: Rel::Ge, term: a.plus(-1).unwrap() }));
    assert_eq!(neq(0, 3), Err(Rule::StepNeq));
    assert_eq!(neq(1, 2), Err(Rule::StepNeq));
    assert_eq!(neq(0, 1), Err(Rule::StepNeq));
    assert_eq!(neq(2, 2), Err(Rule::StepNeq));
    assert_eq!(neq(0, 9), Err(Rule::StepNeq));
}

#[test]
fn a_product_is_of_small_facts() {
    let (mut state, a, b) = state(&[]);
    state.facts.push(Fact { rel: Rel::Ge, term: b.clone() });
    state.facts.push(Fact { rel: Rel::Ne, term: b.clone() });
    state.facts.push(Fact { rel: Rel::Eq, term: b.sub(&a).unwrap() });
    let product = step(&state, &Step::Product(0, 2)).unwrap();
    assert_eq!(product, Fact { rel: Rel::Ge, term: a.mul(&b).unwrap() });
    assert_eq!(step(&state, &Step::Product(0, 3)), Err(Rule::StepProd));
    assert_eq!(step(&state, &Step::Product(0, 9)), Err(Rule::StepProd));
    // A product of products is no term.
    state.facts.push(product);
    assert_eq!(step(&state, &Step::Product(0, 5)), Err(Rule::StepProd));
    // An equality times anything; an inequality times nothing.
    let scaled = step(&state, &Step::Scale(4, a.clone())).unwrap();
    assert_eq!(scaled, Fact { rel: Rel::Eq, term: b.sub(&a).unwrap().mul(&a).unwrap() });
    assert_eq!(step(&state, &Step::Scale(0, a.clone())), Err(Rule::StepProd));
    let unknown = Term::var(tal_core::term::Var::Free(77));
    assert_eq!(step(&state, &Step::Scale(4, unknown)), Err(Rule::StepProd));
}
