//! Not trusted. Names and guards (core.md 4.4; redteam U2, A4; core.md 9.1 to 9.8).

use crate::support::*;
use tal_core::error::Rule;
use tal_core::hint::{Ghost, Through};
use tal_core::state::State;
use tal_core::term::Var;
use tal_core::ty::{Cap, Guard, Mode, NameSet, Reg, Word};

const ERRNO: NameSet = NameSet { address: true, small: [Some((-4095, -1)), None] };

fn narrow(
    st: &mut State,
    x: Var,
    keep: impl Fn(i64, i64) -> Option<bool>,
) -> Result<(), tal_core::error::Error> {
    judged(Teller::default(), |judge| judge.narrow(st, x, keep))
}

fn not_zero(low: i64, high: i64) -> Option<bool> {
    Some(low > 0 || high < 0)
}

/// Attacks A4, c40, c45.
#[test]
fn test_of_null_decides_everything_about_the_name() {
    let mut st = state();
    let x = name(&mut st, NameSet::NULLABLE);
    guarded(&mut st, vec![Guard::IsAddress(x)], x, k(0), bytes(k(8)));
    let h = address(&mut st);
    guarded(&mut st, vec![Guard::IsSmall(x, 0, 0)], h, k(0), bytes(k(8)));
    let mut null = st.clone();
    narrow(&mut st, x, not_zero).unwrap();
    assert!(st.caps.len() == 1 && entry(&st, 0).name == x && entry(&st, 0).guards.is_empty());
    null.set_reg(Reg::Rax, Word::Ptr(tal_core::ty::Base::Name(x), k(8)));
    narrow(&mut null, x, |low, high| Some(low == 0 && high == 0)).unwrap();
    // Only the entry that was there for null remains; the word reads as the integer that it is.
    assert!(null.caps.len() == 1 && entry(&null, 0).name == h);
    let n = null.scope[0].is.clone().unwrap();
    assert_eq!(null.regs()[Reg::Rax as usize], Word::Int(n.plus(8).unwrap()));
    assert_eq!(bounds(&null, &n), within(0, 0));
    assert!(null.facts.is_empty());
}

/// Attack c28.
#[test]
fn a_condition_that_splits_addresses_is_refused() {
    let mut st = state();
    let x = name(&mut st, ERRNO);
    let split = |low: i64, high: i64| (low > 1 << 20 || high < 1 << 20).then_some(low > 1 << 20);
    assert_eq!(refusal(narrow(&mut st, x, split)), Rule::NameNarrow);
    narrow(&mut st, x, |low, _| Some(low < 0)).unwrap();
    // What is an integer is not tested as a name again.
    assert_eq!(refusal(narrow(&mut st, x, |low, _| Some(low < 0))), Rule::NameNarrow);
}

#[test]
fn an_impossible_edge_is_judged_as_an_address() {
    let mut st = state();
    let x = address(&mut st);
    narrow(&mut st, x, |_, _| Some(false)).unwrap();
    assert_eq!(st.scope[0].set, NameSet::ADDRESS);
}

#[test]
fn guard_true_needs_its_proof() {
    let mut st = state();
    let x = address(&mut st);
    let n = natural(&mut st);
    let e = guarded(&mut st, vec![Guard::Range(n.clone(), 0, 5)], x, k(0), bytes(k(8)));
    let release = [Ghost::GuardTrue { of: Through::Entry(e), guard: 0 }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &release)), Rule::GuardTrue);
    learn(&mut st, ge(k(5).sub(&n).unwrap()));
    ghosts(&mut st, &release).unwrap();
    assert!(entry(&st, 0).guards.is_empty());
    // An undecided name is not released at all (c2).
    let y = name(&mut st, NameSet::NULLABLE);
    let e = guarded(&mut st, vec![Guard::IsAddress(y)], y, k(0), bytes(k(8)));
    let release = [Ghost::GuardTrue { of: Through::Entry(e), guard: 0 }];
    assert_eq!(refusal(ghosts(&mut st, &release)), Rule::GuardTrue);
}

/// Attack c6.
#[test]
fn guard_false_and_void_need_a_refutation() {
    let mut st = state();
    let x = address(&mut st);
    let n = natural(&mut st);
    let e = guarded(&mut st, vec![Guard::Range(n.clone(), 0, 5)], x, k(0), bytes(k(8)));
    let remove = [Ghost::GuardFalse { entry: e, guard: 0 }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &remove)), Rule::GuardFalse);
    let Cap::Entry(thing) = st.caps[0].clone() else { panic!() };
    let invent = [Ghost::GuardVoid { entry: thing, guard: 0 }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &invent)), Rule::GuardVoid);
    learn(&mut st, ge(n.plus(-6).unwrap()));
    ghosts(&mut st, &remove).unwrap();
    assert!(st.caps.is_empty());
    ghosts(&mut st, &invent).unwrap();
    assert_eq!(st.caps.len(), 1);
    // The entry must be well formed: here the name does not exist.
    let Cap::Entry(mut bad) = st.caps[0].clone() else { panic!() };
    bad.name = Var::Free(77);
    let invent = [Ghost::GuardVoid { entry: bad, guard: 0 }];
    assert_eq!(refusal(ghosts(&mut st, &invent)), Rule::WfGuard);
}

#[test]
fn guard_add_needs_its_proof_on_entries_only() {
    let mut st = state();
    let x = address(&mut st);
    let n = any(&mut st);
    let e = owned(&mut st, x, k(0), bytes(k(8)));
    let v = shared(&mut st, Mode::Ro, x, bytes(k(8)));
    let guard = Guard::Range(n.clone(), 0, 5);
    let add = |of| [Ghost::GuardAdd { of, guard: guard.clone() }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &add(Through::Entry(e)))), Rule::GuardAdd);
    ghosts(&mut st, &add(Through::View(v))).unwrap();
    assert_eq!((st.views[0].guards.len(), st.views[1].guards.len()), (0, 1));
    learn(&mut st, ge(n.clone()));
    learn(&mut st, ge(k(5).sub(&n).unwrap()));
    ghosts(&mut st, &add(Through::Entry(e))).unwrap();
    let empty = Ghost::GuardAdd { of: Through::Entry(e), guard: Guard::Range(n, 5, 0) };
    assert_eq!(refusal(ghosts(&mut st, &[empty])), Rule::WfGuard);
}

#[test]
fn an_interval_of_a_guard_is_one_of_the_name() {
    let mut st = state();
    let x = name(&mut st, ERRNO);
    let v = shared(&mut st, Mode::Ro, x, bytes(k(8)));
    let of = Through::View(v);
    let part = Ghost::GuardAdd { of, guard: Guard::IsSmall(x, -10, -1) };
    assert_eq!(refusal(ghosts(&mut st, &[part])), Rule::WfGuard);
    ghosts(&mut st, &[Ghost::GuardAdd { of, guard: Guard::IsSmall(x, -4095, -1) }]).unwrap();
}

/// Attacks U12, c7.
#[test]
fn structural_ghosts_and_size_facts_refuse_guarded_entries() {
    let mut st = state();
    let x = address(&mut st);
    let n = natural(&mut st);
    let e = guarded(&mut st, vec![Guard::Range(n.clone(), 0, 5)], x, k(0), junk(n.clone()));
    let tries = [
        (Ghost::RetypeJunk { entry: e }, Rule::RetypeJunk),
        (Ghost::Split { entry: e, at: k(0) }, Rule::EntrySplit),
        (Ghost::SizeFacts { of: Through::Entry(e) }, Rule::SizeFacts),
        (Ghost::One { of: Through::Entry(e), to_array: true }, Rule::EntryOne),
        (Ghost::Unfold { entry: e }, Rule::EntryUnfold),
    ];
    for (ghost, rule) in tries {
        assert_eq!(refusal(ghosts(&mut st.clone(), &[ghost])), rule);
    }
}

#[test]
fn two_intervals_left_stay_a_range_of_the_integer() {
    let mut st = state();
    let set = NameSet { address: true, small: [Some((-4095, -1)), Some((0, 0))] };
    let x = name(&mut st, set);
    let h = address(&mut st);
    guarded(&mut st, vec![Guard::IsSmall(x, 0, 0)], h, k(0), bytes(k(8)));
    narrow(&mut st, x, |low, _| Some(low < 1 << 16)).unwrap();
    let n = st.scope[0].is.clone().unwrap();
    assert_eq!(entry(&st, 0).guards, [Guard::Range(n.clone(), 0, 0)]);
    let release = [Ghost::GuardTrue { of: Through::Entry(0), guard: 0 }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &release)), Rule::GuardTrue);
    learn(&mut st, eq(n));
    ghosts(&mut st, &release).unwrap();
}
