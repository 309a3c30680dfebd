//! Not trusted. Bounds of integers: what they show is true of every value within them, what is
//! learned of them loses none, and what a row, an edge or a side of a choice says of them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, al, ax, cl, eax, ecx, rax, rcx, rdx};
use support::answers::Script;
use support::{Prover, declare, empty_state, int, int_in, judged, run, run_with, set, within};
use tal_core::decode::Cc;
use tal_core::error::Rule;
use tal_core::hint::{End, Step, Template};
use tal_core::judge::Judge;
use tal_core::learn::{Told, told};
use tal_core::limits;
use tal_core::prove::{by_bounds, high, low};
use tal_core::state::{Before, State};
use tal_core::term::{Term, Var};
use tal_core::ty::{Bounds, Fact, Kind, NameSet, Reg, Rel, Word};

type Code = fn(&mut CodeAssembler) -> Result<(), IcedError>;

fn bytes(code: Code) -> Vec<u8> {
    let mut a = CodeAssembler::new(64).unwrap();
    code(&mut a).unwrap();
    a.assemble(0x40_0000).unwrap()
}

/// The largest bound that there is.
const FAR: i128 = limits::CONSTANT - 1;
const U64: i128 = (1 << 64) - 1;

fn bounds(low: Option<i128>, high: Option<i128>) -> Bounds {
    Bounds::new(low, high).unwrap()
}

/// A state of integers with these bounds.
fn state_of(each: &[Bounds]) -> State {
    let mut state = empty_state();
    for bounds in each {
        declare(&mut state, Kind::Int(*bounds));
    }
    state
}

fn v(i: u16) -> Term {
    Term::var(Var::Free(i))
}

fn constant(c: i128) -> Term {
    Term::constant_of(c).unwrap()
}

fn of(state: &State, i: u16) -> Bounds {
    state.bounds(Var::Free(i)).unwrap()
}

/// The state after the judge was told this.
fn learned(state: &State, rel: Rel, term: &Term) -> State {
    let mut state = state.clone();
    judged(|j| j.learn(&mut state, rel, term.clone())).unwrap();
    state
}

/// `c + a v + b w`, or with the product of the two, or a square.
fn term(c: i128, parts: &[(i128, u16, Option<u16>)]) -> Term {
    parts.iter().fold(constant(c), |sum, (factor, one, two)| {
        let atom = two.map_or(v(*one), |two| v(*one).mul(&v(two)).unwrap());
        sum.add_scaled(&atom, *factor).unwrap()
    })
}

/// Where a bound is missing, as far out as one looks.
const OUT: i128 = 9;

fn values(bounds: Bounds) -> impl Iterator<Item = i128> + Clone {
    bounds.low().unwrap_or(-OUT)..=bounds.high().unwrap_or(OUT)
}

/// `low` and `high` against all points of boxes, with ends missing, products and squares. Where it
/// must be exact it is: a sum in which each variable occurs once.
#[test]
fn nothing_in_a_box_lies_beyond_low_and_high() {
    let mut rng = fastrand::Rng::with_seed(2);
    let (mut defined, mut exact) = (0, 0);
    for _ in 0..60_000 {
        let mut box_of = || {
            let low = rng.i128(-5..=5);
            let high = low + rng.i128(0..=5);
            bounds((rng.u8(0..7) > 0).then_some(low), (rng.u8(0..7) > 0).then_some(high))
        };
        let boxes = [box_of(), box_of()];
        let part = |rng: &mut fastrand::Rng| {
            let factor = rng.i128(1..=3) * if rng.bool() { 1 } else { -1 };
            (factor, rng.u16(0..2), rng.bool().then(|| rng.u16(0..2)))
        };
        let parts: Vec<_> = (0..rng.usize(1..=3)).map(|_| part(&mut rng)).collect();
        let sum = term(rng.i128(-9..=9), &parts);
        let state = state_of(&boxes);
        let at = |x: i128, y: i128| {
            let put = |v| Some(constant(if v == Var::Free(0) { x } else { y }));
            sum.subst(&put).unwrap().as_int().unwrap()
        };
        let points = values(boxes[0]).flat_map(|x| values(boxes[1]).map(move |y| (x, y)));
        let all: Vec<i128> = points.map(|(x, y)| at(x, y)).collect();
        let (least, most) = (*all.iter().min().unwrap(), *all.iter().max().unwrap());
        let simple = sum.monomials().all(|m| m.atom.factors().1.is_none());
        let closed = boxes.iter().all(|b| b.low().is_some() && b.high().is_some());
        for (found, end, sign) in [(low(&state, &sum), least, 1), (high(&state, &sum), most, -1)] {
            let Some(found) = found else {
                assert!(!closed, "{sum:?} in {boxes:?}");
                continue;
            };
            defined += 1;
            assert!(found * sign <= end * sign, "{sum:?} in {boxes:?}: {found}, but {end}");
            assert!(found == end || !simple || !closed, "{sum:?} in {boxes:?}: {found}, not {end}");
            exact += usize::from(found == end);
        }
        assert_eq!(by_bounds(&state, &sum), low(&state, &sum).is_some_and(|l| l >= 0));
    }
    assert!(defined > 40_000 && exact > 30_000, "{defined} {exact}");
}

/// Learning against all values: none that fits the fact is lost, bounds never grow, and what is
/// neither learned nor appended says nothing.
#[test]
fn learning_loses_no_value() {
    let ends = (-4..=4).map(Some).chain([None]);
    let boxes = ends.clone().flat_map(|l| ends.clone().map(move |h| bounds(l, h)));
    let (mut narrowed, mut appended, mut idle) = (0, 0, 0);
    for (within, rel) in boxes.flat_map(|b| [Rel::Ge, Rel::Eq, Rel::Ne].map(|rel| (b, rel))) {
        let state = state_of(&[within]);
        for (factor, c) in [1, -1].into_iter().flat_map(|f| (-6..=6).map(move |c| (f, c))) {
            let fact = term(c, &[(factor, 0, None)]);
            let after = learned(&state, rel, &fact);
            let now = of(&after, 0);
            let fits = |x: i128| match rel {
                Rel::Ge => c + factor * x >= 0,
                Rel::Eq => c + factor * x == 0,
                Rel::Ne => c + factor * x != 0,
            };
            let inside = |b: Bounds, x: i128| {
                b.low().is_none_or(|l| l <= x) && b.high().is_none_or(|h| x <= h)
            };
            for x in -2 * OUT..=2 * OUT {
                assert!(!(inside(within, x) && fits(x)) || inside(now, x), "{rel:?} {c} {x}");
                assert!(!inside(now, x) || inside(within, x), "bounds grew");
                // What is excluded is excluded, but for a hole in the midst.
                let known = after.facts.is_empty();
                assert!(!known || !inside(now, x) || fits(x), "{rel:?} {within:?} {fact:?} {x}");
            }
            let hole = Fact { rel, term: fact };
            assert!(after.facts.is_empty() || (rel == Rel::Ne && after.facts == [hole]));
            assert_eq!(after.trail_len(), usize::from(now != within));
            assert!(after.narrowed(0).all(|old| old == (0, 0, Before::Bounds(within))));
            narrowed += usize::from(now != within);
            appended += after.facts.len();
            idle += usize::from(now == within && after.facts.is_empty());
        }
    }
    assert!(narrowed > 1000 && appended > 500 && idle > 500, "{narrowed} {appended} {idle}");
}

/// One variable is one of degree 1 and of factor 1 or -1: a square is none (4 * 4 /= 4), and a
/// multiple would have to be rounded (t44).
/// Attacks s13, n4.
#[test]
fn squares_multiples_and_sums_are_no_bounds() {
    let state = state_of(&[within(4, 9), Bounds::NONE]);
    let square = term(-4, &[(1, 0, Some(0))]);
    let double = term(-9, &[(2, 0, None)]);
    let relation = term(-4, &[(1, 0, None), (1, 1, None)]);
    let product = term(-4, &[(1, 0, Some(1))]);
    for fact in [square, double, relation, product] {
        for rel in [Rel::Ge, Rel::Eq, Rel::Ne] {
            for fact in [fact.clone(), fact.scale(-1).unwrap()] {
                let after = learned(&state, rel, &fact);
                assert_eq!(after.scope, state.scope, "{fact:?}");
                assert_eq!(after.facts, [Fact { rel, term: fact }]);
            }
        }
    }
    // What has no variable is nothing, even if it is false.
    for (rel, c) in [(Rel::Ge, -1), (Rel::Eq, 1), (Rel::Ne, 0)] {
        let after = learned(&state, rel, &Term::int(c));
        assert_eq!(after, state);
        assert_eq!(told(rel, &Term::int(c), |_| None), Told::Nothing);
    }
    // Nor do bounds of what is no integer of the state come from anywhere.
    let mut names = state.clone();
    let x = support::name(&mut names, NameSet::ADDRESS);
    for v in [x, Var::Free(77), Var::Inner(0), Var::Value] {
        let learn = |rel| judged(|j| j.learn(&mut names.clone(), rel, Term::var(v)));
        assert_eq!(learn(Rel::Ge).unwrap_err().rule, Rule::Learn);
        assert_eq!(names.bounds(v), None);
        assert_eq!(low(&names, &Term::var(v)), None);
    }
}

/// At an end a disequality moves it, at both nothing is left, beyond or in the midst it stays a
/// fact; at the largest bound there is no next one.
/// Attacks s13, n8.
#[test]
fn a_disequality_moves_an_end() {
    let ne = |within: Bounds, value: i128| {
        let after = learned(&state_of(&[within]), Rel::Ne, &term(-value, &[(1, 0, None)]));
        let negated = learned(&state_of(&[within]), Rel::Ne, &term(value, &[(-1, 0, None)]));
        assert_eq!(of(&after, 0), of(&negated, 0));
        assert_eq!(after.facts.len(), negated.facts.len());
        (of(&after, 0), after.facts.len())
    };
    assert_eq!(ne(within(3, 7), 3), (within(4, 7), 0));
    assert_eq!(ne(within(3, 7), 7), (within(3, 6), 0));
    assert_eq!(ne(within(3, 3), 3), (within(4, 2), 0));
    for value in [2, 5, 8] {
        assert_eq!(ne(within(3, 7), value), (within(3, 7), 1));
    }
    assert_eq!(ne(Bounds::NONE, 0), (Bounds::NONE, 1));
    assert_eq!(ne(bounds(Some(0), None), 0), (bounds(Some(1), None), 0));
    assert_eq!(ne(bounds(None, Some(0)), 0), (bounds(None, Some(-1)), 0));
    // No bound reaches 2^80, and nothing wraps.
    assert_eq!(ne(within(FAR, FAR), FAR), (within(FAR, FAR), 1));
    assert_eq!(ne(within(-FAR, -FAR), -FAR), (within(-FAR, -FAR), 1));
    assert_eq!(ne(within(0, FAR), FAR), (within(0, FAR - 1), 0));
}

/// Contradictory bounds only shrink further; an equation does not set what was known.
/// Attacks W20, n9.
#[test]
fn an_equation_does_not_widen() {
    let eq = |within: Bounds, value: i128| {
        let after = learned(&state_of(&[within]), Rel::Eq, &term(-value, &[(1, 0, None)]));
        of(&after, 0)
    };
    assert_eq!(eq(within(5, 10), 7), within(7, 7));
    assert_eq!(eq(within(5, 10), 3), within(5, 3));
    assert_eq!(eq(within(5, 10), 12), within(12, 10));
    assert_eq!(eq(within(9, 2), 5), within(9, 2));
    assert_eq!(eq(Bounds::NONE, FAR), within(FAR, FAR));
    // Nothing panics or is special where no value is left.
    let state = state_of(&[within(FAR, -FAR), within(1, 0)]);
    for parts in [&[(1, 0, None)][..], &[(-3, 0, None)], &[(1, 0, Some(0))], &[(1, 0, Some(1))]] {
        let (sum, least) = (term(0, parts), low(&state, &term(0, parts)));
        assert_eq!(by_bounds(&state, &sum), least.is_some_and(|l| l >= 0));
        assert!(high(&state, &sum).is_some() || parts[0].2.is_some());
    }
}

/// What does not fit 128 bits is undefined: a saturated least value, plus something positive, would
/// be larger than the true one.
/// Attacks s12, n10.
#[test]
fn overflow_is_undefined_and_never_saturates() {
    let far = state_of(&[within(-FAR, FAR), within(0, FAR), within(0, 1 << 79), Bounds::NONE]);
    let none = |sum: &Term| {
        assert_eq!((low(&far, sum), by_bounds(&far, sum)), (None, false), "{sum:?}");
        let negated = sum.scale(-1).unwrap();
        assert_eq!(high(&far, &negated), None, "{sum:?}");
    };
    let coefficient = limits::COEFFICIENT - 1;
    // -2^64 times what may be 2^79, alone and with something positive behind.
    none(&term(0, &[(-coefficient, 2, None)]));
    none(&term(FAR, &[(-coefficient, 2, None), (coefficient, 1, None)]));
    none(&term(0, &[(coefficient, 0, None)]));
    // 2^80 times 2^80, of both signs, as a square, and times a coefficient.
    none(&term(0, &[(1, 0, Some(1))]));
    none(&term(0, &[(1, 0, Some(0))]));
    none(&term(FAR, &[(-1, 1, Some(1))]));
    none(&term(FAR, &[(-1, 1, Some(2)), (1, 1, None)]));
    // On the side that is not needed nothing is asked.
    let sum = term(0, &[(coefficient, 1, None), (1, 2, None)]);
    assert_eq!(low(&far, &sum), Some(0));
    assert_eq!(high(&far, &sum), None);
    assert_eq!(low(&far, &term(0, &[(1, 1, Some(1))])), Some(0));
    // A sum of many that fit, which does not fit.
    let half = 1_i128 << 62;
    let wide = state_of(&[within(-half, half)]);
    let product = half * (half - 1);
    assert_eq!(low(&wide, &term(0, &[(half, 0, None)])), Some(-half * half));
    let sum = term(0, &[(half, 0, None), (half - 1, 0, Some(0))]);
    assert_eq!(low(&wide, &sum), None, "{product}");
}

/// A product of what may be negative needs all four ends; of what is not, only those of its side.
/// Attacks s12, n10.
#[test]
fn products_take_their_ends() {
    let of = |a: Bounds, b: Bounds, factor: i128| {
        low(&state_of(&[a, b]), &term(0, &[(factor, 0, Some(1))]))
    };
    assert_eq!(of(within(-2, 3), within(-5, 7), 1), Some(-15));
    assert_eq!(of(within(-2, 3), within(-5, 7), -1), Some(-21));
    assert_eq!(of(within(-3, -2), within(-5, -4), 1), Some(8));
    assert_eq!(of(within(-3, -2), within(-5, -4), -1), Some(-15));
    assert_eq!(of(within(2, 3), within(4, 5), -2), Some(-30));
    let open = |low| bounds(Some(low), None);
    assert_eq!(of(open(2), open(3), 1), Some(6));
    assert_eq!(of(open(2), open(3), -1), None);
    assert_eq!(of(open(-1), open(3), 1), None);
    assert_eq!(of(open(0), within(-1, 3), 1), None);
    assert_eq!(of(bounds(None, Some(3)), within(1, 3), 1), None);
    assert_eq!(of(Bounds::NONE, within(0, 0), 1), None, "though it is 0");
}

/// So many narrowings in a block, and no more.
#[test]
fn the_trail_is_bounded() {
    let mut state = state_of(&[Bounds::NONE, Bounds::NONE]);
    let result = judged(|j| {
        for k in 0..limits::TRAIL {
            j.learn(&mut state, Rel::Ge, v(0).plus(-i128::try_from(k).unwrap()).unwrap())?;
        }
        // What narrows nothing takes no room.
        j.learn(&mut state, Rel::Ge, v(0))?;
        Ok::<_, tal_core::error::Error>(())
    });
    result.unwrap();
    assert_eq!(state.trail_len(), limits::TRAIL);
    let last = judged(|j| j.learn(&mut state, Rel::Ge, v(1)));
    assert_eq!(last.unwrap_err().rule, Rule::Limit);
    assert_eq!(of(&state, 1), Bounds::NONE, "nothing is narrowed that is not on the trail");
}

/// Runs the code with nobody to ask, and says the bounds of the variable in the register, whose
/// word is that variable times the factor.
fn after(setup: impl FnOnce(&mut State), code: Code, reg: Reg, factor: i128) -> Bounds {
    let mut state = empty_state();
    setup(&mut state);
    run(&mut state, &bytes(code)).unwrap();
    let Word::Int(word) = support::get(&state, reg).clone() else { panic!("{reg:?}") };
    let m = word.monomials().first().unwrap();
    assert_eq!((m.coefficient, word.monomials().len(), word.constant()), (factor, 1, 0));
    state.bounds(m.atom.factors().0).unwrap()
}

fn with(state: &mut State, reg: Reg, low: i128, high: i128) {
    let n = int_in(state, low, high);
    set(state, reg, Word::Int(n));
}

/// The rows whose results are fresh say their bounds, so that reading them later asks nothing.
/// Attack n14.
#[test]
fn results_of_rows_have_their_bounds() {
    let any = |s: &mut State| {
        for reg in [Reg::Rax, Reg::Rcx] {
            let n = int(s);
            set(s, reg, Word::Int(n));
        }
    };
    let divides = |s: &mut State| {
        with(s, Reg::Rax, 0, U64);
        with(s, Reg::Rcx, 1, U64);
        set(s, Reg::Rdx, Word::Int(Term::ZERO));
    };
    let u32s = within(0, (1 << 32) - 1);
    assert_eq!(after(divides, |a| a.div(rcx), Reg::Rax, 1), within(0, U64));
    assert_eq!(after(divides, |a| a.div(rcx), Reg::Rdx, 1), within(0, U64));
    assert_eq!(after(any, |a| a.and(rax, rcx), Reg::Rax, 1), within(0, U64));
    assert_eq!(after(any, |a| a.and(eax, ecx), Reg::Rax, 1), u32s);
    assert_eq!(after(any, |a| a.shr(rax, cl), Reg::Rax, 1), within(0, U64));
    assert_eq!(after(any, |a| a.shr(eax, cl), Reg::Rax, 1), u32s);
    let thirty_two = |s: &mut State| with(s, Reg::Rax, -5, 9);
    assert_eq!(after(thirty_two, |a| a.cqo(), Reg::Rdx, 1), within(-1, 0));
    // r = 16 m: the bounds are those of m.
    let m = within(0, (1 << 28) - 1);
    assert_eq!(after(any, |a| a.and(eax, -16), Reg::Rax, 16), m);
    assert_eq!(after(any, |a| a.and(rax, -16), Reg::Rax, 16), Bounds::NONE);
    assert_eq!(after(any, |a| a.shr(eax, 4), Reg::Rax, 1), m);
    assert_eq!(after(any, |a| a.movzx(eax, al), Reg::Rax, 1), within(0, 255));
    assert_eq!(after(any, |a| a.movsx(rax, ax), Reg::Rax, 1), within(-(1 << 15), (1 << 15) - 1));
}

/// A term whose bounds are in the range is read as it is; of another the hints are asked. Neither
/// of 64 unsigned bits read signed, nor the other way round.
/// Attack n11.
#[test]
fn reading_by_bounds_asks_nothing() {
    let reads = |low: i128, high: i128, prover: Prover, code: Code| {
        let mut state = empty_state();
        with(&mut state, Reg::Rcx, low, high);
        run_with(prover, &mut state, &bytes(code)).unwrap();
        *support::get(&state, Reg::Rax) == Word::Int(v(0))
    };
    let never = || Prover { never_in_range: true, ..Prover::default() };
    assert!(reads(0, (1 << 32) - 1, never(), |a| a.mov(eax, ecx)));
    assert!(!reads(0, 1 << 32, never(), |a| a.mov(eax, ecx)));
    assert!(!reads(-1, 5, never(), |a| a.mov(eax, ecx)));
    assert!(reads(0, (1 << 31) - 1, never(), |a| a.movsxd(rax, ecx)));
    assert!(!reads(0, 1 << 31, never(), |a| a.movsxd(rax, ecx)));
    assert!(reads(-128, 127, never(), |a| a.movsx(rax, cl)));
    assert!(!reads(-129, 127, never(), |a| a.movsx(rax, cl)));
    assert!(!reads(0, 128, never(), |a| a.movsx(rax, cl)));
    // No term is made for that, which might be too large: v + 2^80 - 1 with v near -2^80.
    let mut state = empty_state();
    let n = int_in(&mut state, -FAR, 5 - FAR);
    let near = Word::Int(n.plus(FAR).unwrap());
    set(&mut state, Reg::Rcx, near.clone());
    run_with(never(), &mut state, &bytes(|a| a.mov(eax, ecx))).unwrap();
    assert_eq!(*support::get(&state, Reg::Rax), near);
}

/// The state after the code and one edge of a condition, with nobody to ask.
fn after_edge(state: &State, code: Code, cc: Cc, taken: bool) -> State {
    let mut state = state.clone();
    run(&mut state, &bytes(code)).unwrap();
    judged(|judge| judge.edge(&mut state, cc, taken)).unwrap();
    state
}

/// Attack n13.
#[test]
fn edges_narrow_what_they_compare() {
    let mut state = empty_state();
    with(&mut state, Reg::Rcx, 0, U64);
    let edge = |code: Code, cc, taken| of(&after_edge(&state, code, cc, taken), 0);
    let below: Code = |a| a.cmp(rcx, 8);
    assert_eq!(edge(below, Cc::B, true), within(0, 7));
    assert_eq!(edge(below, Cc::B, false), within(8, U64));
    assert_eq!(edge(below, Cc::E, true), within(8, 8));
    // In the midst: a fact.
    let hole = after_edge(&state, below, Cc::E, false);
    assert_eq!((of(&hole, 0), hole.facts.len()), (within(0, U64), 1));
    // Signed order needs a signed range, which 64 unsigned bits have not.
    assert_eq!(edge(below, Cc::L, true), within(0, U64));
    // At an end: both representatives of the constant are tried.
    assert_eq!(edge(|a| a.test(rcx, rcx), Cc::E, false), within(1, U64));
    assert_eq!(edge(|a| a.cmp(rcx, -1), Cc::E, false), within(0, U64 - 1));
    let mut narrow = empty_state();
    with(&mut narrow, Reg::Rcx, 0, (1 << 32) - 1);
    let after = after_edge(&narrow, |a| a.cmp(ecx, -1), Cc::Ne, true);
    assert_eq!(of(&after, 0), within(0, (1 << 32) - 2));
    let mut signed = empty_state();
    with(&mut signed, Reg::Rcx, -1, 5);
    let after = after_edge(&signed, |a| a.cmp(rcx, -1), Cc::Ne, true);
    assert_eq!(of(&after, 0), within(0, 5));
}

/// Equal bits are equal numbers in one range only: 2^64 - 1 has the bits of -1.
/// Attack n5.
#[test]
fn one_range_holds_for_both_sides() {
    let mut state = empty_state();
    with(&mut state, Reg::Rcx, 1 << 63, U64);
    with(&mut state, Reg::Rdx, -(1 << 63), -1);
    let after = after_edge(&state, |a| a.cmp(rcx, rdx), Cc::E, true);
    assert!(after.facts.is_empty() && after.trail_len() == 0);
    let after = after_edge(&state, |a| a.cmp(rcx, rdx), Cc::B, true);
    assert!(after.facts.is_empty() && after.trail_len() == 0);
    // A constant is brought into the range of the other side.
    let after = after_edge(&state, |a| a.cmp(rcx, -1), Cc::E, true);
    assert_eq!(of(&after, 0), within(U64, U64));
    let after = after_edge(&state, |a| a.cmp(rdx, -1), Cc::E, true);
    assert_eq!(of(&after, 1), within(-1, -1));
}

/// The sides of a choice do not know of each other, nor does what follows know of either.
/// Attack s7.
#[test]
fn a_side_of_a_choice_is_not_known_on_the_other() {
    let mut state = empty_state();
    with(&mut state, Reg::Rcx, 0, U64);
    with(&mut state, Reg::Rax, 100, 200);
    let code = bytes(|a| {
        a.cmp(rcx, 8)?;
        a.cmovb(rax, rcx)
    });
    // m is rcx if that is below 8, else rax.
    let choice = |least: i64, most: i64| {
        let m = v(2);
        let ge = |term| Fact { rel: Rel::Ge, term };
        let facts =
            vec![ge(m.plus(i128::from(-least)).unwrap()), ge(Term::int(most).sub(&m).unwrap())];
        let template =
            Template { fresh: 1, word: Word::Int(m), facts, moved: vec![v(0)], kept: vec![v(1)] };
        let mut after = state.clone();
        run_with(Prover { template: Some(template), ..Prover::default() }, &mut after, &code)
            .map(|()| after)
            .map_err(|e| e.rule)
    };
    let after = choice(0, 200).unwrap();
    assert_eq!(of(&after, 2), within(0, 200));
    assert_eq!((of(&after, 0), of(&after, 1)), (within(0, U64), within(100, 200)));
    assert!(after.facts.is_empty());
    // The moved side must not be proved from the kept one, nor the other way round.
    assert_eq!(choice(0, 199).err(), Some(Rule::RowCmov));
    assert_eq!(choice(1, 200).err(), Some(Rule::RowCmov));
    assert_eq!(choice(0, 7).err(), Some(Rule::RowCmov));
    assert_eq!(choice(100, 200).err(), Some(Rule::RowCmov));
    assert_eq!(choice(8, 200).err(), Some(Rule::RowCmov));
}

/// What is looked for is paid for, one unit for eight facts, each time it is looked for.
/// Attack n17.
#[test]
fn lookups_are_paid_for() {
    let mut state = state_of(&[within(0, 9), Bounds::NONE, Bounds::NONE]);
    let apart = term(0, &[(1, 1, None), (-1, 2, None)]);
    state.facts = vec![Fact { rel: Rel::Ge, term: apart.clone() }; 160];
    let (image, interface) = (support::image_of(&[]), support::no_interface());
    let cost = |goal: &Term| {
        let mut judge = Judge::new(&image, &interface, Script::default(), 1 << 20);
        let before = judge.fuel;
        judge.prove_ge(&mut state.clone(), goal, Rule::Return).unwrap();
        before - judge.fuel
    };
    assert_eq!(cost(&v(0)), 1, "by bounds");
    assert_eq!(cost(&apart), 1 + 20, "by a fact");
    assert_eq!(cost(&Term::int(3)), 0);
    // A step pays for its result, whether that becomes a fact or a bound.
    let step = |step: Step| {
        let mut judge = Judge::new(&image, &interface, Script::default(), 1 << 20);
        let before = judge.fuel;
        let mut state = state.clone();
        state.facts.truncate(8);
        state.facts.push(Fact { rel: Rel::Ge, term: v(1).scale(2).unwrap() });
        judge.step(&mut state, &step).unwrap();
        before - judge.fuel
    };
    assert_eq!(step(Step::Cut { fact: 0, divisor: 1 }), 1 + 2);
    assert_eq!(step(Step::Cut { fact: 8, divisor: 2 }), 1 + 1);
    assert_eq!(step(Step::Bound(Var::Free(0), End::Low)), 1 + 1);
}
