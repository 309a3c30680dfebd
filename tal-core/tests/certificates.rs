//! Not trusted. Certificates, one by one: what proves a goal, and the forgery beside it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use support::answers::{Script, comb};
use support::{empty_state, int, int_in, name, within};
use tal_core::error::Rule;
use tal_core::hint::{End, Proof, Step};
use tal_core::judge::Judge;
use tal_core::limits;
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{Bounds, Fact, NameSet, Rel};

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

/// Is `goal >= 0` proved without a question? Whoever is asked says nothing.
fn known(state: &State, goal: &Term) -> bool {
    let result = with(Script::default(), |j| j.prove_ge(&mut state.clone(), goal, Rule::Return));
    if let Err(error) = &result {
        assert_eq!(error.rule, Rule::Driver, "{error:?}");
    }
    result.is_ok()
}

/// The state after a step, with these answers to what it asks.
fn stepped(state: &State, step: &Step, proofs: Vec<Proof>) -> Result<State, Rule> {
    let mut after = state.clone();
    with(Script::new(proofs), |j| j.step(&mut after, step)).map_err(|e| e.rule)?;
    Ok(after)
}

/// The fact that a step appends.
fn step(state: &State, step: &Step) -> Result<Fact, Rule> {
    let mut after = stepped(state, step, vec![])?;
    assert_eq!(after.facts.len(), state.facts.len() + 1);
    assert_eq!(after.trail_len(), state.trail_len());
    Ok(after.facts.pop().unwrap())
}

/// The bounds of `of` after a step that appends nothing.
fn narrowed(state: &State, step: &Step, of: &Term) -> Result<Bounds, Rule> {
    let after = stepped(state, step, vec![])?;
    assert_eq!(after.facts, state.facts);
    assert_eq!(after.trail_len(), state.trail_len() + 1);
    Ok(after.bounds(of.as_var().unwrap()).unwrap())
}

fn k(c: i64) -> Term {
    Term::int(c)
}

fn fact(rel: Rel, term: Term) -> Fact {
    Fact { rel, term }
}

/// `a + factor * b + c`
fn sum(a: &Term, factor: i128, b: &Term, c: i64) -> Term {
    a.add_scaled(b, factor).unwrap().plus(i128::from(c)).unwrap()
}

fn twice(term: &Term) -> Term {
    term.scale(2).unwrap()
}

fn minus(term: &Term) -> Term {
    term.scale(-1).unwrap()
}

/// Three integers: `a` in [0, 9] by its bounds, `b` and `d` without any.
fn state() -> (State, Term, Term, Term) {
    let mut state = empty_state();
    let a = int_in(&mut state, 0, 9);
    let (b, d) = (int(&mut state), int(&mut state));
    (state, a, b, d)
}

#[test]
fn a_constant_is_what_it_is() {
    let (state, ..) = state();
    assert!(proves(&state, &k(0), vec![]));
    assert!(!proves(&state, &k(-1), vec![]));
    // Nor is it looked up, or combined: a false constant is refused before anyone is asked.
    assert!(!proves(&state, &k(-1), vec![comb(1, &[])]));
    let eq = |c| with(Script::default(), |j| j.prove_eq(&mut empty_state(), &k(c), Rule::Return));
    assert!(eq(0).is_ok() && eq(1).is_err() && eq(-1).is_err());
    let ne = |c| with(Script::default(), |j| j.prove_ne(&mut empty_state(), &k(c), Rule::Return));
    assert!(ne(0).is_err() && ne(1).is_ok() && ne(-1).is_ok());
}

#[test]
fn bounds_show_what_no_value_within_them_breaks() {
    let (state, a, b, _) = state();
    assert!(known(&state, &a) && known(&state, &a.plus(5).unwrap()));
    assert!(!known(&state, &a.plus(-1).unwrap()));
    assert!(known(&state, &k(9).sub(&a).unwrap()) && !known(&state, &k(8).sub(&a).unwrap()));
    assert!(known(&state, &twice(&a)) && !known(&state, &minus(&a)));
    // Of what has no bounds nothing is shown, on no side.
    assert!(!known(&state, &b) && !known(&state, &minus(&b)) && !known(&state, &sum(&a, 1, &b, 9)));
    // Nor of what is no integer of the state.
    for v in [Var::Free(3), Var::Inner(0), Var::Param(0), Var::Bound(0), Var::Value] {
        assert!(!known(&state, &Term::var(v)) && !known(&state, &sum(&a, 1, &Term::var(v), 9)));
    }
    // The same by a combination of nothing: what is left of the goal is judged by bounds.
    assert!(!proves(&state, &a.plus(-1).unwrap(), vec![comb(1, &[])]));
    assert!(!proves(&state, &b, vec![comb(1, &[])]));
}

#[test]
fn a_lookup_finds_what_is_at_least_as_strong() {
    let (mut state, _, b, d) = state();
    let (apart, double) = (d.sub(&b).unwrap(), sum(&d, -2, &b, 0));
    state.facts.push(fact(Rel::Ge, apart.clone()));
    assert!(known(&state, &apart));
    assert!(known(&state, &apart.plus(5).unwrap()));
    assert!(!known(&state, &apart.plus(-1).unwrap()));
    assert!(!known(&state, &minus(&apart)));
    assert!(!known(&state, &b));
    // Twice the difference is another variable part.
    assert!(!known(&state, &twice(&apart)));
    // A disequality is no inequality, an equality is two.
    state.facts.push(fact(Rel::Ne, double.clone()));
    assert!(!known(&state, &double));
    state.facts.push(fact(Rel::Eq, double.plus(-3).unwrap()));
    assert!(known(&state, &double.plus(-3).unwrap()));
    assert!(known(&state, &minus(&double).plus(3).unwrap()));
    assert!(!known(&state, &double.plus(-4).unwrap()));
    assert!(!known(&state, &minus(&double).plus(2).unwrap()));
    assert!(!known(&state, &twice(&minus(&double)).plus(9).unwrap()));
}

/// Attacks t43, t46: what is added up are facts of the state, with factors that keep their sense.
#[test]
fn a_combination_is_added_up() {
    let (mut state, a, b, d) = state();
    let apart = d.sub(&b).unwrap();
    state.facts.push(fact(Rel::Ge, b.sub(&a).unwrap()));
    state.facts.push(fact(Rel::Ge, apart.clone()));
    state.facts.push(fact(Rel::Ne, sum(&d, -2, &b, 0)));
    state.facts.push(fact(Rel::Eq, sum(&d, -3, &b, -4)));
    // d = (b - a) + (d - b) + a, and a >= 0.
    assert!(proves(&state, &d, vec![comb(1, &[(0, 1), (1, 1)])]));
    assert!(proves(&state, &twice(&d), vec![comb(1, &[(0, 2), (1, 2)])]));
    assert!(proves(&state, &d, vec![comb(3, &[(0, 3), (1, 3)])]));
    // Another sum, a rest below zero, a scale that makes the goal vanish.
    assert!(!proves(&state, &d, vec![comb(1, &[(1, 1)])]));
    assert!(!proves(&state, &d, vec![comb(1, &[(0, 1)])]));
    assert!(!proves(&state, &d.plus(-1).unwrap(), vec![comb(1, &[(0, 1), (1, 1)])]));
    assert!(!proves(&state, &d.plus(-1).unwrap(), vec![comb(0, &[])]));
    // Minus an inequality, a disequality, a fact twice, out of order, or one that is not there.
    assert!(!proves(&state, &a.sub(&b).unwrap(), vec![comb(1, &[(0, -1)])]));
    assert!(!proves(&state, &sum(&d, -2, &b, 0), vec![comb(1, &[(2, 1)])]));
    assert!(!proves(&state, &twice(&apart), vec![comb(1, &[(1, 1), (1, 1)])]));
    assert!(proves(&state, &twice(&apart), vec![comb(1, &[(1, 2)])]));
    assert!(!proves(&state, &d, vec![comb(1, &[(1, 1), (0, 1)])]));
    assert!(!proves(&state, &d, vec![comb(1, &[(9, 1)])]));
    // Minus an equality is one.
    let less = twice(&sum(&minus(&d), 3, &b, 4));
    assert!(proves(&state, &less, vec![comb(1, &[(3, -2)])]));
    assert!(!proves(&state, &less.plus(-1).unwrap(), vec![comb(1, &[(3, -2)])]));
    // Too large for 128 bits.
    assert!(!proves(&state, &d, vec![comb(u64::MAX, &[(0, i128::MAX)])]));
}

/// What a combination leaves of the goal is judged by bounds, each on the side that its sign wants.
#[test]
fn the_rest_of_a_combination_is_judged_by_bounds() {
    let (mut state, a, b, d) = state();
    state.facts.push(fact(Rel::Ge, d.sub(&b).unwrap()));
    let goal = |factor, c| sum(&d.sub(&b).unwrap(), factor, &a, c);
    let by = |goal: &Term| proves(&state, goal, vec![comb(1, &[(0, 1)])]);
    // a >= 0, and -a >= -9.
    assert!(by(&goal(1, 0)) && !by(&goal(1, -1)));
    assert!(by(&goal(-1, 9)) && !by(&goal(-1, 8)));
    assert!(by(&goal(-2, 18)) && !by(&goal(-2, 17)));
    // A rest with a variable that has no bound on that side.
    assert!(!by(&sum(&goal(1, 100), 1, &b, 0)) && !by(&sum(&goal(1, 100), -1, &b, 0)));
}

#[test]
fn different_is_listed_or_on_a_side() {
    let (mut state, a, b, d) = state();
    let ne = |state: &State, positive, proofs: Vec<Proof>, goal: &Term| {
        let script = Script::new(proofs).on(positive);
        with(script, |j| j.prove_ne(&mut state.clone(), goal, Rule::Return)).map_err(|e| e.rule)
    };
    // By bounds, without a question.
    for positive in [true, false] {
        assert_eq!(ne(&state, positive, vec![], &a.plus(1).unwrap()), Ok(()));
        assert_eq!(ne(&state, positive, vec![], &a.plus(-10).unwrap()), Ok(()));
        for value in [0, -5, -9] {
            let goal = a.plus(value).unwrap();
            assert!(ne(&state, positive, vec![comb(1, &[])], &goal).is_err(), "{value}");
        }
    }
    let apart = d.sub(&b).unwrap();
    assert_eq!(ne(&state, true, vec![comb(1, &[])], &apart), Err(Rule::Return));
    // By a fact, in either direction, and of no other number.
    let mut listed = state.clone();
    listed.facts.push(fact(Rel::Ne, apart.clone()));
    for positive in [true, false] {
        assert_eq!(ne(&listed, positive, vec![], &apart), Ok(()));
        assert_eq!(ne(&listed, positive, vec![], &minus(&apart)), Ok(()));
        let other = apart.plus(1).unwrap();
        assert_eq!(ne(&listed, positive, vec![comb(1, &[])], &other), Err(Rule::Return));
    }
    // On a side: d - b >= 1.
    state.facts.push(fact(Rel::Ge, apart.plus(-1).unwrap()));
    assert_eq!(ne(&state, true, vec![], &apart), Ok(()));
    assert_eq!(ne(&state, false, vec![], &minus(&apart)), Ok(()));
    assert_eq!(ne(&state, false, vec![comb(1, &[])], &apart), Err(Rule::Return));
    // An inequality that allows zero is none.
    assert!(ne(&state, true, vec![comb(1, &[(0, 1)])], &apart.plus(-1).unwrap()).is_err());
    // Positive is proved from 1, not from 0.
    assert_eq!(ne(&state, true, vec![comb(1, &[(0, 2)])], &twice(&apart)), Ok(()));
}

#[test]
fn a_step_is_a_combination() {
    let (mut state, a, b, d) = state();
    state.facts.push(fact(Rel::Ge, b.sub(&a).unwrap()));
    state.facts.push(fact(Rel::Eq, d.sub(&b).unwrap()));
    let made = |premises: &[(u16, i128)], slack| {
        step(&state, &Step::Comb { premises: premises.to_vec(), slack })
    };
    let more = d.sub(&a).unwrap();
    assert_eq!(made(&[(0, 1), (1, 1)], 0), Ok(fact(Rel::Ge, more.clone())));
    assert_eq!(made(&[(0, 1), (1, 1)], 2), Ok(fact(Rel::Ge, more.plus(2).unwrap())));
    // Of equalities only: an equality, until there is a slack.
    assert_eq!(made(&[(1, -1)], 0), Ok(fact(Rel::Eq, b.sub(&d).unwrap())));
    assert_eq!(made(&[(1, 1)], 1).unwrap().rel, Rel::Ge);
    assert_eq!(made(&[(0, 1)], -1), Err(Rule::StepComb));
    assert_eq!(made(&[(0, -1)], 0), Err(Rule::StepComb));
    assert_eq!(made(&[(2, 1)], 0), Err(Rule::StepComb));
    // What speaks of one variable is its bound.
    state.facts.push(fact(Rel::Ge, a.plus(-3).unwrap()));
    let bound = Step::Comb { premises: vec![(0, 1), (2, 1)], slack: 0 };
    assert_eq!(narrowed(&state, &bound, &b), Ok(Bounds::new(Some(3), None).unwrap()));
}

#[test]
fn a_cut_divides_exactly() {
    let (mut state, _, b, d) = state();
    let odd = sum(&twice(&b), 4, &d, -3);
    state.facts.push(fact(Rel::Ge, odd));
    state.facts.push(fact(Rel::Ne, sum(&twice(&b), 2, &d, 0)));
    state.facts.push(fact(Rel::Ge, twice(&b).plus(-3).unwrap()));
    let cut = |fact, divisor| step(&state, &Step::Cut { fact, divisor });
    // 2b + 4d - 3 >= 0 gives b + 2d - 2 >= 0: the constant is rounded down.
    assert_eq!(cut(0, 2), Ok(fact(Rel::Ge, sum(&b, 2, &d, -2))));
    assert_eq!(cut(0, 4), Err(Rule::StepCut));
    assert_eq!(cut(0, 0), Err(Rule::StepCut));
    assert_eq!(cut(0, -2), Err(Rule::StepCut));
    assert_eq!(cut(1, 2), Err(Rule::StepCut));
    assert_eq!(cut(3, 1), Err(Rule::StepCut));
    // 2b - 3 >= 0 is a fact, since a bound would have to be rounded; cut, it is a bound: b >= 2.
    let half = Step::Cut { fact: 2, divisor: 2 };
    assert_eq!(narrowed(&state, &half, &b), Ok(Bounds::new(Some(2), None).unwrap()));
}

#[test]
fn a_disequality_sharpens_what_is_proved() {
    let (mut state, a, b, d) = state();
    let apart = d.sub(&b).unwrap();
    state.facts.push(fact(Rel::Ne, apart.clone()));
    state.facts.push(fact(Rel::Ge, apart.clone()));
    let sharper = Ok(fact(Rel::Ge, apart.plus(-1).unwrap()));
    let neq = |fact, positive| Step::Neq { fact, positive };
    assert_eq!(step(&state, &neq(0, true)), sharper);
    // The other side is not known, an inequality is no disequality, and nothing is no fact.
    let wrong = |state: &State, step: &Step, proof: Proof| stepped(state, step, vec![proof]).err();
    assert_eq!(wrong(&state, &neq(0, false), comb(1, &[(1, 1)])), Some(Rule::StepNeq));
    assert_eq!(wrong(&state, &neq(1, true), comb(1, &[(1, 1)])), Some(Rule::StepNeq));
    assert_eq!(wrong(&state, &neq(9, true), comb(1, &[(1, 1)])), Some(Rule::StepNeq));
    // The negation of a listed term, and what a combination proves: d - b = (d - b - a) + a.
    state.facts[0].term = minus(&apart);
    assert_eq!(step(&state, &neq(0, false)), sharper);
    state.facts[1].term = apart.sub(&a).unwrap();
    let by = |proof: Proof| stepped(&state, &neq(0, false), vec![proof]);
    assert_eq!(by(comb(1, &[(1, 1)])).unwrap().facts.last(), sharper.as_ref().ok());
    assert_eq!(by(comb(1, &[])).err(), Some(Rule::StepNeq));
    // The disequality itself proves nothing.
    assert_eq!(by(comb(1, &[(0, 1)])).err(), Some(Rule::ProveComb));
}

/// A step that proves something takes no steps: a certificate in a certificate would be recursion
/// as deep as the section is long.
/// Attack n2.
#[test]
fn a_step_within_a_step_is_refused() {
    let (mut state, a, b, d) = state();
    let apart = d.sub(&b).unwrap();
    state.facts.push(fact(Rel::Ne, apart.clone()));
    state.facts.push(fact(Rel::Ge, apart.sub(&a).unwrap()));
    let neq = Step::Neq { fact: 0, positive: true };
    for inner in [
        neq.clone(),
        Step::Bound(a.as_var().unwrap(), End::Low),
        Step::Comb { premises: vec![(1, 1)], slack: 0 },
    ] {
        let proofs = vec![Proof::Step(inner), comb(1, &[(1, 1)])];
        assert_eq!(stepped(&state, &neq, proofs).err(), Some(Rule::StepNeq));
    }
    // However many there are: the answers are used up by one.
    let deep = vec![Proof::Step(neq.clone()); limits::STEPS * 64];
    assert_eq!(stepped(&state, &neq, deep).err(), Some(Rule::StepNeq));
    assert!(stepped(&state, &neq, vec![comb(1, &[(1, 1)])]).is_ok());
}

/// At an end of the bounds a disequality is a bound; in their midst it becomes one by a step.
#[test]
fn a_disequality_of_one_variable_sharpens_its_bound() {
    let (mut state, a, ..) = state();
    state.facts.push(fact(Rel::Ne, a.plus(-4).unwrap()));
    let upper = Step::Neq { fact: 0, positive: true };
    let refused = stepped(&state, &upper, vec![comb(1, &[])]).err();
    assert_eq!(refused, Some(Rule::StepNeq), "a may be below 4");
    state.scope[0].bounds = within(4, 9);
    assert_eq!(narrowed(&state, &upper, &a), Ok(within(5, 9)));
    state.scope[0].bounds = within(0, 4);
    let lower = Step::Neq { fact: 0, positive: false };
    assert_eq!(narrowed(&state, &lower, &a), Ok(within(0, 3)));
}

/// A bound as a fact, for what takes facts only: as it is, and only where there is one.
/// Attacks W9, n3.
#[test]
fn a_bound_is_written_down_as_it_is() {
    let (mut state, a, b, _) = state();
    let x = name(&mut state, NameSet::ADDRESS);
    let made = |state: &State, v: Var, end| step(state, &Step::Bound(v, end));
    let (of_a, of_b) = (a.as_var().unwrap(), b.as_var().unwrap());
    assert_eq!(made(&state, of_a, End::Low), Ok(fact(Rel::Ge, a.clone())));
    assert_eq!(made(&state, of_a, End::High), Ok(fact(Rel::Ge, k(9).sub(&a).unwrap())));
    assert_eq!(made(&state, of_a, End::Both), Err(Rule::StepBound));
    for end in [End::Low, End::High, End::Both] {
        for v in [of_b, x, Var::Free(77), Var::Inner(0), Var::Value] {
            assert_eq!(made(&state, v, end), Err(Rule::StepBound), "{v:?} {end:?}");
        }
    }
    state.scope[0].bounds = within(7, 7);
    assert_eq!(made(&state, of_a, End::Both), Ok(fact(Rel::Eq, a.plus(-7).unwrap())));
    // One bound alone is not both.
    state.scope[0].bounds = Bounds::new(Some(7), None).unwrap();
    assert_eq!(made(&state, of_a, End::Both), Err(Rule::StepBound));
    assert_eq!(made(&state, of_a, End::High), Err(Rule::StepBound));
    // It takes its room like any other fact.
    state.facts = vec![fact(Rel::Ge, b.plus(1).unwrap()); limits::FACTS];
    assert_eq!(made(&state, of_a, End::Low), Err(Rule::Limit));
    state.facts.clear();
    state.steps = u32::try_from(limits::STEPS).unwrap();
    assert_eq!(made(&state, of_a, End::Low), Err(Rule::Limit));
}

/// The largest bound that there is can be written down; products are what it is for.
/// Attack n3.
#[test]
fn bounds_become_factors_of_products() {
    let (mut state, a, b, d) = state();
    let far = limits::CONSTANT - 1;
    state.scope[1].bounds = within(-far, far);
    let of_b = b.as_var().unwrap();
    let least = step(&state, &Step::Bound(of_b, End::Low)).unwrap();
    assert_eq!(least.term, b.add(&Term::constant_of(far).unwrap()).unwrap());
    assert!(step(&state, &Step::Bound(of_b, End::High)).is_ok());
    state.facts.push(fact(Rel::Ge, d.sub(&b).unwrap()));
    let state = stepped(&state, &Step::Bound(a.as_var().unwrap(), End::Low), vec![]).unwrap();
    let product = a.mul(&d).unwrap().sub(&a.mul(&b).unwrap()).unwrap();
    assert!(!known(&state, &product));
    assert_eq!(step(&state, &Step::Product(0, 1)), Ok(fact(Rel::Ge, product.clone())));
    let with_product = stepped(&state, &Step::Product(0, 1), vec![]).unwrap();
    assert!(known(&with_product, &product));
}

/// Bounds that leave no value are nothing special: no execution is there, and what follows from
/// them follows.
/// Attack n3.
#[test]
fn contradictory_bounds_are_facts_like_others() {
    let (mut state, a, b, d) = state();
    let apart = d.sub(&b).unwrap();
    state.scope[0].bounds = within(0, -1);
    state.facts.push(fact(Rel::Ge, apart.clone()));
    assert!(known(&state, &a) && known(&state, &minus(&a)));
    let of_a = a.as_var().unwrap();
    assert_eq!(step(&state, &Step::Bound(of_a, End::Both)), Err(Rule::StepBound));
    // d - b >= 100, since a >= 0 and -1 - a >= 0 are -1 >= 0; not before both are written down.
    let goal = apart.plus(-100).unwrap();
    let by_both = comb(1, &[(0, 1), (1, 100), (2, 100)]);
    assert!(!proves(&state, &goal, vec![by_both.clone()]));
    let low = stepped(&state, &Step::Bound(of_a, End::Low), vec![]).unwrap();
    let both = stepped(&low, &Step::Bound(of_a, End::High), vec![]).unwrap();
    assert!(proves(&both, &goal, vec![by_both]));
    assert!(!proves(&both, &goal, vec![comb(1, &[(0, 1), (1, 99), (2, 99)])]));
    // A constant is still what it is.
    assert!(!proves(&both, &k(-1), vec![comb(1, &[(1, 1), (2, 1)])]));
}

#[test]
fn a_product_is_of_small_facts() {
    let (mut state, a, b, d) = state();
    let apart = d.sub(&b).unwrap();
    state.facts.push(fact(Rel::Ge, a.clone()));
    state.facts.push(fact(Rel::Ge, apart.clone()));
    state.facts.push(fact(Rel::Ne, apart.clone()));
    state.facts.push(fact(Rel::Eq, apart.clone()));
    let product = step(&state, &Step::Product(0, 1)).unwrap();
    assert_eq!(product, fact(Rel::Ge, a.mul(&apart).unwrap()));
    assert_eq!(step(&state, &Step::Product(0, 2)), Err(Rule::StepProd));
    assert_eq!(step(&state, &Step::Product(0, 9)), Err(Rule::StepProd));
    // A product of products is no term.
    state.facts.push(product);
    assert_eq!(step(&state, &Step::Product(0, 4)), Err(Rule::StepProd));
    // An equality times anything; an inequality times nothing.
    let scaled = step(&state, &Step::Scale(3, a.clone())).unwrap();
    assert_eq!(scaled, fact(Rel::Eq, apart.mul(&a).unwrap()));
    assert_eq!(step(&state, &Step::Scale(0, a.clone())), Err(Rule::StepProd));
    let unknown = Term::var(Var::Free(77));
    assert_eq!(step(&state, &Step::Scale(3, unknown)), Err(Rule::StepProd));
}
