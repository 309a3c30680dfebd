//! Not trusted. Owned entries (core.md 4.5; traps 75, 76, 86, 87; core.md 9.16, 9.17, 9.24, 9.25).

use crate::support::*;
use tal_core::error::Rule;
use tal_core::hint::{Ghost, Place, Through};
use tal_core::limits;
use tal_core::term::{Term, Var};
use tal_core::ty::{Bounds, Kind, Mem, Reg, Word};

/// Attack t41.
#[test]
fn split_stays_inside() {
    let mut st = state();
    let x = address(&mut st);
    let n = natural(&mut st);
    let j = any(&mut st);
    let e = owned(&mut st, x, k(16), array(n.clone(), u64s()));
    let split = [Ghost::Split { entry: e, at: j.clone() }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &split)), Rule::EntrySplit);
    learn(&mut st, ge(j.clone()));
    assert_eq!(refusal(ghosts(&mut st.clone(), &split)), Rule::EntrySplit);
    learn(&mut st, ge(n.sub(&j).unwrap()));
    ghosts(&mut st, &split).unwrap();
    assert_eq!(*entry(&st, 0).mem, *array(j.clone(), u64s()));
    assert_eq!(*entry(&st, 1).mem, *array(n.sub(&j).unwrap(), u64s()));
    assert_eq!(entry(&st, 1).offset, j.scale(8).unwrap().plus(16).unwrap());
    // And together again, in order only.
    let back = [Ghost::Join { first: 1, second: 0 }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &back)), Rule::EntryJoin);
    ghosts(&mut st, &[Ghost::Join { first: 0, second: 1 }]).unwrap();
    assert_eq!(*entry(&st, 0).mem, *array(n, u64s()));
    assert_eq!(st.caps.len(), 1);
}

#[test]
fn terms_of_hints_are_over_integers_in_scope() {
    let mut st = state();
    let x = address(&mut st);
    let e = owned(&mut st, x, k(0), bytes(k(16)));
    for v in [Var::Free(9), x, Var::Bound(0), Var::Param(0), Var::Inner(0), Var::Value] {
        let split = [Ghost::Split { entry: e, at: Term::var(v) }];
        assert_eq!(refusal(ghosts(&mut st, &split)), Rule::EntrySplit);
    }
    let missing = [Ghost::Split { entry: 7, at: k(8) }];
    assert_eq!(refusal(ghosts(&mut st, &missing)), Rule::EntrySplit);
}

#[test]
fn join_is_of_neighbours_in_one_object() {
    let mut st = state();
    let (x, y) = (address(&mut st), address(&mut st));
    owned(&mut st, x, k(0), bytes(k(8)));
    owned(&mut st, x, k(9), bytes(k(8)));
    owned(&mut st, y, k(8), bytes(k(8)));
    owned(&mut st, x, k(8), bytes(k(1)));
    for (first, second) in [(0, 1), (0, 2), (0, 0), (3, 0)] {
        let join = [Ghost::Join { first, second }];
        assert_eq!(refusal(ghosts(&mut st.clone(), &join)), Rule::EntryJoin);
    }
    let all = [Ghost::Join { first: 0, second: 3 }, Ghost::Join { first: 0, second: 1 }];
    ghosts(&mut st, &all).unwrap();
    assert_eq!(*entry(&st, 0).mem, *bytes(k(17)));
}

#[test]
fn join_merges_where_kinds_meet_and_splits_apart_again() {
    let mut st = state();
    let x = address(&mut st);
    let n = natural(&mut st);
    owned(&mut st, x, k(0), array(n.clone(), u64s()));
    let at = n.scale(8).unwrap();
    owned(&mut st, x, at.clone(), cat(array(k(1), u64s()), junk(k(8))));
    ghosts(&mut st, &[Ghost::Join { first: 0, second: 1 }]).unwrap();
    assert_eq!(*entry(&st, 0).mem, *cat(array(n.plus(1).unwrap(), u64s()), junk(k(8))));
    ghosts(&mut st, &[Ghost::SplitCat { entry: 0 }]).unwrap();
    assert_eq!(entry(&st, 1).offset, at.plus(8).unwrap());
    assert_eq!(refusal(ghosts(&mut st, &[Ghost::SplitCat { entry: 0 }])), Rule::EntrySplit);
}

#[test]
fn chains_do_not_grow_without_bound() {
    let mut st = state();
    let x = address(&mut st);
    let kinds = [bytes(k(1)), junk(k(1))];
    owned(&mut st, x, k(0), kinds[0].clone());
    let mut result = Ok(());
    for i in 1..40_i64 {
        owned(&mut st, x, k(i), kinds[usize::try_from(i % 2).unwrap()].clone());
        result = ghosts(&mut st, &[Ghost::Join { first: 0, second: 1 }]);
        if result.is_err() {
            break;
        }
    }
    assert_eq!(refusal(result), Rule::Limit);
}

#[test]
fn one_element_is_the_element() {
    let mut st = state();
    let x = address(&mut st);
    let n = natural(&mut st);
    owned(&mut st, x, k(0), array(n.clone(), u64s()));
    let of = Through::Entry(0);
    let to = |to_array| [Ghost::One { of, to_array }];
    assert_eq!(refusal(ghosts(&mut st, &to(false))), Rule::EntryOne);
    learn(&mut st, eq(n.plus(-1).unwrap()));
    let equal = Ghost::Equal { of, offset: k(0), mem: array(k(1), u64s()) };
    ghosts(&mut st, &[equal]).unwrap();
    ghosts(&mut st, &to(false)).unwrap();
    ghosts(&mut st, &to(true)).unwrap();
    // Nothing of a size that is not constant, or too large, becomes an element.
    owned(&mut st, x, k(0), bytes(n));
    owned(&mut st, x, k(0), bytes(k(1 << 21)));
    owned(&mut st, x, k(0), bytes(k(0)));
    for entry in 1..4 {
        let up = [Ghost::One { of: Through::Entry(entry), to_array: true }];
        assert_eq!(refusal(ghosts(&mut st.clone(), &up)), Rule::WfSize);
    }
}

/// Attack A23.
#[test]
fn equal_terms_are_proved_over_z() {
    let mut st = state();
    let x = address(&mut st);
    let (n, m) = (natural(&mut st), natural(&mut st));
    owned(&mut st, x, n.clone(), bytes(n.clone()));
    let of = Through::Entry(0);
    let equal = [Ghost::Equal { of, offset: m.clone(), mem: bytes(m.clone()) }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &equal)), Rule::EntryEqual);
    // t50: modulo 2^64 is not equal.
    let wrapped = n.plus(1 << 64).unwrap();
    let equal64 = [Ghost::Equal { of, offset: n.clone(), mem: bytes(wrapped) }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &equal64)), Rule::EntryEqual);
    learn(&mut st, eq(n.sub(&m).unwrap()));
    ghosts(&mut st, &equal).unwrap();
    assert_eq!(entry(&st, 0).offset, m);
    let other = [Ghost::Equal { of, offset: m.clone(), mem: junk(m) }];
    assert_eq!(refusal(ghosts(&mut st, &other)), Rule::EntryEqual);
}

#[test]
fn words_get_equal_terms() {
    let mut st = state();
    let (n, m) = (natural(&mut st), natural(&mut st));
    let x = address(&mut st);
    st.set_reg(Reg::Rax, Word::Int(n.clone()));
    let word = [Ghost::EqualWord { place: Place::Reg(Reg::Rax), word: Word::Int(m.clone()) }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &word)), Rule::EntryEqual);
    learn(&mut st, eq(n.sub(&m).unwrap()));
    ghosts(&mut st, &word).unwrap();
    assert_eq!(st.regs()[Reg::Rax as usize], Word::Int(m));
    // Not another base, not a local word, not rsp.
    let forged = [Ghost::EqualWord { place: Place::Reg(Reg::Rax), word: ptr(x, k(0)) }];
    assert_eq!(refusal(ghosts(&mut st, &forged)), Rule::EntryEqual);
    let stack = [Ghost::EqualWord { place: Place::Reg(Reg::Rsp), word: Word::Frame(0) }];
    assert_eq!(refusal(ghosts(&mut st, &stack)), Rule::EntryEqual);
}

#[test]
fn fold_and_unfold_are_by_name() {
    let mut st = state();
    let x = address(&mut st);
    owned(&mut st, x, k(0), named(PAIR, vec![k(7)]));
    ghosts(&mut st, &[Ghost::Unfold { entry: 0 }]).unwrap();
    let fold = |p| [Ghost::Fold { entry: 0, ty: PAIR, args: vec![k(p)] }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &fold(8))), Rule::EntryFold);
    let more = [Ghost::Fold { entry: 0, ty: PAIR, args: vec![k(7), k(7)] }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &more)), Rule::EntryFold);
    let none = [Ghost::Fold { entry: 0, ty: tal_core::ty::TypeId(99), args: vec![] }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &none)), Rule::EntryFold);
    ghosts(&mut st, &fold(7)).unwrap();
    assert_eq!(*entry(&st, 0).mem, *named(PAIR, vec![k(7)]));
    owned(&mut st, x, k(8), u64s());
    assert_eq!(refusal(ghosts(&mut st, &[Ghost::Unfold { entry: 1 }])), Rule::EntryUnfold);
}

/// Attack t87.
#[test]
fn packing_proves_what_the_package_says_now() {
    let mut st = state();
    let x = address(&mut st);
    owned(&mut st, x, k(0), named(VECTOR, vec![]));
    ghosts(&mut st, &[Ghost::Unfold { entry: 0 }, Ghost::Open { entry: 0 }]).unwrap();
    let n = Term::var(Var::Free(1));
    assert_eq!(bounds(&st, &n), Bounds::new(Some(0), None).unwrap());
    assert_eq!(refusal(ghosts(&mut st.clone(), &[Ghost::Open { entry: 0 }])), Rule::EntryOpen);
    let package = types()[1].body.clone();
    let pack = |w: Vec<Term>| [Ghost::Pack { entry: 0, mem: package.clone(), witnesses: w }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &pack(vec![]))), Rule::EntryPack);
    assert_eq!(refusal(ghosts(&mut st.clone(), &pack(vec![k(-1)]))), Rule::EntryPack);
    assert_eq!(refusal(ghosts(&mut st.clone(), &pack(vec![k(3)]))), Rule::EntryPack);
    let escaped = pack(vec![Term::var(Var::Bound(0))]);
    assert_eq!(refusal(ghosts(&mut st.clone(), &escaped)), Rule::EntryPack);
    let fold = Ghost::Fold { entry: 0, ty: VECTOR, args: vec![] };
    let mut good = pack(vec![n]).to_vec();
    good.push(fold);
    ghosts(&mut st, &good).unwrap();
    // t86: opening again makes a new variable.
    ghosts(&mut st, &[Ghost::Unfold { entry: 0 }, Ghost::Open { entry: 0 }]).unwrap();
    assert_eq!(st.scope.iter().filter(|s| matches!(s.kind, Kind::Int(_))).count(), 2);
}

/// Attack t52.
#[test]
fn packing_proves_the_facts_of_the_package() {
    let mut st = state();
    let x = address(&mut st);
    owned(&mut st, x, k(0), record(8, vec![known(0, Word::Int(k(4)))]));
    let at_least = |c: i128| {
        let n = Term::var(Var::Bound(0));
        let facts = vec![ge(n.plus(-c).unwrap())];
        let body = record(8, vec![known(0, Word::Int(n))]);
        let mem = tal_core::counted::Rc::new(Mem::Ex { vars: 1, facts, body });
        [Ghost::Pack { entry: 0, mem, witnesses: vec![k(4)] }]
    };
    assert_eq!(refusal(ghosts(&mut st.clone(), &at_least(5))), Rule::EntryPack);
    ghosts(&mut st, &at_least(4)).unwrap();
}

#[test]
fn nothing_is_joined_to_itself() {
    let mut st = state();
    let x = address(&mut st);
    owned(&mut st, x, k(0), bytes(k(0)));
    let join = [Ghost::Join { first: 0, second: 0 }];
    assert_eq!(refusal(ghosts(&mut st, &join)), Rule::EntryJoin);
}

#[test]
fn leaks_are_explicit_and_limits_hold() {
    let mut st = state();
    let x = address(&mut st);
    owned(&mut st, x, k(0), bytes(k(8)));
    assert_eq!(refusal(ghosts(&mut st, &[Ghost::Leak { cap: 1 }])), Rule::EntryLeak);
    ghosts(&mut st, &[Ghost::Leak { cap: 0 }]).unwrap();
    for i in 0..32 {
        owned(&mut st, x, k(i * 8), bytes(k(8)));
    }
    let split = [Ghost::Split { entry: 0, at: k(4) }];
    assert_eq!(refusal(ghosts(&mut st, &split)), Rule::Limit);
    assert_eq!(st.caps.len(), limits::CAPS);
}

/// Attack U12.
#[test]
fn size_facts_are_of_what_is_there() {
    let mut st = state();
    let x = address(&mut st);
    let n = any(&mut st);
    let m = any(&mut st);
    let inner = record(8, vec![own(0, true, None, array(m.clone(), u64s()))]);
    owned(&mut st, x, k(0), cat(array(n.clone(), u64s()), array(k(3), inner)));
    ghosts(&mut st, &[Ghost::SizeFacts { of: Through::Entry(0) }]).unwrap();
    assert_eq!(bounds(&st, &n), within(0, 1 << 43));
    assert_eq!(bounds(&st, &m), Bounds::NONE);
    assert!(st.facts.is_empty());
}
