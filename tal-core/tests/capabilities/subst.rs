//! Not trusted. Substitution and comparison (core.md 4.1; traps 47, 48, 50; redteam A12, A23;
//! core.md 9.3 to 9.5).

use crate::support::*;
use tal_core::counted::Rc;
use tal_core::error::{Error, Rule};
use tal_core::judge::Judge;
use tal_core::mem::{Subst, Value};
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Cap, DataId, Entry, FnId, Guard, Mem, Mode, NameSet, Region, View, Word};

fn v(i: u16) -> Term {
    Term::var(Var::Free(i))
}

fn with<T>(f: impl FnOnce(&mut Judge<'_, Teller>) -> Result<T, Error>) -> Result<T, Error> {
    judged(Teller::default(), f)
}

#[test]
fn all_variables_at_once() {
    // t47: [n := m, m := n] swaps.
    let theta = [Value::Int(v(1)), Value::Int(v(0))];
    let difference = v(0).sub(&v(1).scale(3).unwrap()).unwrap();
    let swapped = with(|j| j.subst_term(&difference, Subst::Free(0, &theta))).unwrap();
    assert_eq!(swapped, v(1).sub(&v(0).scale(3).unwrap()).unwrap());
    // Below the base variables stay, beyond theta they are an error.
    let shifted = with(|j| j.subst_term(&v(0).add(&v(5)).unwrap(), Subst::Free(5, &theta)));
    assert_eq!(shifted.unwrap(), v(0).add(&v(1)).unwrap());
    let escaped = with(|j| j.subst_term(&v(2), Subst::Free(0, &theta)));
    assert_eq!(refusal(escaped), Rule::TermSubst);
    let name = [Value::Addr(Base::Name(Var::Free(0)), k(0))];
    assert_eq!(refusal(with(|j| j.subst_term(&v(0), Subst::Free(0, &name)))), Rule::TermSubst);
}

/// Attack U17.
#[test]
fn terms_stay_in_bounds() {
    let big = Term::constant_of(1 << 79).unwrap();
    let theta = [Value::Int(big)];
    let times = v(0).scale(1 << 62).unwrap();
    assert_eq!(refusal(with(|j| j.subst_term(&times, Subst::Free(0, &theta)))), Rule::TermSubst);
    let square = [Value::Int(v(0).mul(&v(0)).unwrap())];
    let product = v(0).mul(&v(0)).unwrap();
    assert_eq!(refusal(with(|j| j.subst_term(&product, Subst::Free(0, &square)))), Rule::TermSubst);
}

#[test]
fn nothing_is_captured() {
    let n = Term::var(Var::Bound(0));
    let inner = Mem::Ex {
        vars: 1,
        facts: vec![ge(n.clone())],
        body: record(8, vec![known(0, Word::Int(n.clone()))]),
    };
    let outer = record(
        16,
        vec![known(0, Word::Int(n.clone())), reference(8, false, Mode::Ro, Rc::new(inner.clone()))],
    );
    // Opening the outer one does not touch what the inner one binds (t48).
    let witnesses = [v(7)];
    let opened = with(|j| j.subst_mem(&outer, Subst::Bound(&witnesses))).unwrap();
    let expected =
        record(16, vec![known(0, Word::Int(v(7))), reference(8, false, Mode::Ro, Rc::new(inner))]);
    assert_eq!(opened, expected);
    assert_eq!(refusal(with(|j| j.subst_mem(&outer, Subst::Bound(&[])))), Rule::TermSubst);
}

#[test]
fn words_follow_their_names() {
    let at = |value: Value| {
        let theta = [value];
        with(|j| j.subst_word(&ptr(Var::Free(0), k(8)), Subst::Free(0, &theta)))
    };
    let y = Var::Free(4);
    assert_eq!(at(Value::Addr(Base::Name(y), k(16))).unwrap(), ptr(y, k(24)));
    let data = Base::Data(DataId(2));
    assert_eq!(at(Value::Addr(data, k(0))).unwrap(), Word::Ptr(data, k(8)));
    assert_eq!(at(Value::Small(v(3), 0, 0)).unwrap(), Word::Int(v(3).plus(8).unwrap()));
    let code = Base::Code(FnId(0));
    assert_eq!(at(Value::Code(code)).unwrap(), Word::Ptr(code, k(8)));
    assert_eq!(at(Value::Word(Word::Int(k(1)))).unwrap(), Word::Int(k(9)));
    assert_eq!(at(Value::Word(ptr(y, k(1)))).unwrap(), ptr(y, k(9)));
    // Local words stand for nothing (U16).
    for local in [Word::Frame(0), Word::ReturnAddress, Word::Junk] {
        assert_eq!(refusal(at(Value::Word(local))), Rule::TermSubst);
    }
    assert_eq!(refusal(at(Value::Int(k(0)))), Rule::TermSubst);
    assert_eq!(refusal(at(Value::Region(Region::Always))), Rule::TermSubst);
}

fn entry_of(guards: Vec<Guard>) -> Entry {
    Entry { guards, name: Var::Free(0), offset: k(8), mem: u64s() }
}

fn place(guards: Vec<Guard>, value: Value) -> Result<Option<Entry>, Error> {
    let theta = [value, Value::Int(k(3))];
    with(|j| j.subst_entry(&entry_of(guards), Subst::Free(0, &theta)))
}

#[test]
fn an_entry_stands_at_an_address() {
    let y = Var::Free(4);
    let moved = place(vec![], Value::Addr(Base::Name(y), k(16))).unwrap().unwrap();
    assert_eq!((moved.name, moved.offset), (y, k(24)));
    // c3: not at an integer, unless its guard says that it is not there.
    let null = || Value::Small(k(0), 0, 0);
    assert_eq!(refusal(place(vec![], null())), Rule::TermSubst);
    let x = Var::Free(0);
    assert_eq!(place(vec![Guard::IsAddress(x)], null()).unwrap(), None);
    assert_eq!(place(vec![Guard::IsSmall(x, -4095, -1)], null()).unwrap(), None);
    assert_eq!(refusal(place(vec![Guard::IsSmall(x, 0, 0)], null())), Rule::TermSubst);
    assert_eq!(refusal(place(vec![Guard::Range(v(1), 0, 5)], null())), Rule::TermSubst);
    // Nobody owns data or code.
    for base in [Base::Data(DataId(0)), Base::Code(FnId(0))] {
        assert_eq!(refusal(place(vec![], Value::Addr(base, k(0)))), Rule::TermSubst);
    }
    // A guard on the name follows it.
    let y_entry = place(vec![Guard::IsAddress(x)], Value::Addr(Base::Name(y), k(0)));
    assert_eq!(y_entry.unwrap().unwrap().guards, [Guard::IsAddress(y)]);
    let ranged = place(vec![Guard::Range(v(1), 0, 5)], Value::Addr(Base::Name(y), k(0)));
    assert_eq!(ranged.unwrap().unwrap().guards, [Guard::Range(k(3), 0, 5)]);
}

#[test]
fn views_may_stand_at_data_and_regions_are_regions() {
    let rho = Var::Free(1);
    let view = View {
        guards: vec![],
        region: Region::Var(rho),
        mode: Mode::Ro,
        base: Base::Name(Var::Free(0)),
        offset: k(8),
        mem: u64s(),
    };
    let at = |x: Value, r: Value| {
        let theta = [x, r];
        with(|j| j.subst_view(&view, Subst::Free(0, &theta)))
    };
    let data = || Value::Addr(Base::Data(DataId(1)), k(4));
    let moved = at(data(), Value::Region(Region::Always)).unwrap().unwrap();
    assert_eq!((moved.base, moved.offset), (Base::Data(DataId(1)), k(12)));
    assert_eq!(moved.region, Region::Always);
    assert_eq!(refusal(at(data(), Value::Int(k(0)))), Rule::TermSubst);
    let null = at(Value::Small(k(0), 0, 0), Value::Region(Region::Always));
    assert_eq!(refusal(null), Rule::TermSubst);
    let code = at(Value::Addr(Base::Code(FnId(0)), k(0)), Value::Region(Region::Always));
    assert_eq!(refusal(code), Rule::TermSubst);
}

#[test]
fn stores_and_tokens() {
    let run = |cap: Cap, theta: &[Value]| {
        let mut out = vec![];
        with(|j| j.subst_cap(&cap, Subst::Free(0, theta), &mut out)).map(|()| out)
    };
    let held = vec![Cap::Entry(entry_of(vec![]))];
    let store = Cap::Store(Var::Free(0));
    assert_eq!(run(store.clone(), &[Value::Store(held.clone())]).unwrap(), held);
    assert_eq!(refusal(run(store, &[Value::Int(k(0))])), Rule::TermSubst);
    let token = Cap::Token(Var::Free(1), entry_of(vec![Guard::IsAddress(Var::Free(0))]));
    let y = Value::Addr(Base::Name(Var::Free(9)), k(0));
    let rho = Value::Region(Region::Var(Var::Free(8)));
    let moved = run(token.clone(), &[y.clone(), rho.clone()]).unwrap();
    assert!(matches!(moved[..], [Cap::Token(Var::Free(8), _)]));
    assert_eq!(refusal(run(token.clone(), &[y, Value::Region(Region::Always)])), Rule::TermSubst);
    assert_eq!(refusal(run(token, &[Value::Small(k(0), 0, 0), rho])), Rule::TermSubst);
}

/// Attacks t50, t99, t101, t164.
#[test]
fn comparison_is_over_z_and_by_structure() {
    let mut st = state();
    let (n, m) = (any(&mut st), any(&mut st));
    learn(&mut st, eq(n.sub(&m).unwrap()));
    let mut same = |a: Rc<Mem>, b: Rc<Mem>| {
        judged(Teller::default(), |j| j.same_mem(&mut st, &a, &b, Rule::Entail)).is_ok()
    };
    assert!(same(bytes(n.clone()), bytes(m.clone())));
    assert!(!same(bytes(n.clone()), bytes(m.plus(1).unwrap())));
    assert!(!same(bytes(n.clone()), bytes(m.plus(1 << 64).unwrap())));
    assert!(!same(bytes(n.clone()), junk(n.clone())));
    assert!(same(array(n.clone(), u64s()), array(m.clone(), u64s())));
    assert!(!same(array(n.clone(), u64s()), array(n.clone(), record(8, vec![int(0, 64, true)]))));
    assert!(same(named(PAIR, vec![n.clone()]), named(PAIR, vec![m.clone()])));
    assert!(!same(named(PAIR, vec![k(0)]), named(PAIR, vec![k(1)])));
    assert!(!same(named(NODE, vec![]), named(VECTOR, vec![])));
    // t100: no variance.
    let to = |mode, nullable, mem| record(8, vec![reference(0, nullable, mode, mem)]);
    assert!(!same(to(Mode::Rw, false, u64s()), to(Mode::Ro, false, u64s())));
    assert!(!same(to(Mode::Rw, false, u64s()), to(Mode::Rw, true, u64s())));
    assert!(!same(to(Mode::Rw, false, bytes(k(8))), to(Mode::Rw, false, u64s())));
    let whole = |origin| record(8, vec![own(0, false, origin, u64s())]);
    assert!(!same(whole(Some(HEAP)), whole(None)));
    // What binders bind is identical or not.
    let exists = |t: Term| {
        let body = record(8, vec![known(0, Word::Int(t))]);
        Rc::new(Mem::Ex { vars: 2, facts: vec![], body })
    };
    let bound = |i| Term::var(Var::Bound(i));
    assert!(same(exists(bound(0)), exists(bound(0))));
    assert!(!same(exists(bound(0)), exists(bound(1))));
    assert!(same(exists(bound(0).add(&n).unwrap()), exists(bound(0).add(&m).unwrap())));
}

#[test]
fn each_entry_is_taken_once() {
    let mut st = state();
    let (x, y) = (address(&mut st), address(&mut st));
    owned(&mut st, x, k(0), u64s());
    let wanted = |name| Cap::Entry(Entry { guards: vec![], name, offset: k(0), mem: u64s() });
    let mut take = |name, told: &[u16]| {
        let teller = Teller { take: told.iter().copied().collect(), ..Teller::default() };
        judged(teller, |j| j.take(&mut st, &wanted(name), Rule::Apply)).map_err(|e| e.rule)
    };
    // Another name, no such position; then once, and no second time (c5).
    assert_eq!(take(y, &[0]), Err(Rule::Apply));
    assert_eq!(take(x, &[1]), Err(Rule::Apply));
    take(x, &[0]).unwrap();
    assert_eq!(take(x, &[0]), Err(Rule::Apply));
}

/// Attack c2.
#[test]
fn guards_match_one_to_one_once_decided() {
    let mut st = state();
    let (x, d) = (name(&mut st, NameSet::NULLABLE), address(&mut st));
    let n = any(&mut st);
    let entry = |name, guards: &[Guard]| {
        Cap::Entry(Entry { guards: guards.to_vec(), name, offset: k(0), mem: u64s() })
    };
    let is = Guard::IsAddress(x);
    let range = |low| Guard::Range(n.clone(), low, 9);
    let same = |have: Cap, want: Cap| {
        let mut st = st.clone();
        st.caps = vec![have].into();
        let teller = Teller { take: [0].into(), ..Teller::default() };
        judged(teller, |j| j.take(&mut st, &want, Rule::Entail)).is_ok()
    };
    assert!(same(entry(x, &[is.clone(), range(0)]), entry(x, &[range(0), is.clone()])));
    assert!(!same(entry(x, std::slice::from_ref(&is)), entry(x, &[])));
    assert!(!same(entry(x, &[]), entry(x, std::slice::from_ref(&is))));
    assert!(!same(entry(x, &[range(0)]), entry(x, &[range(1)])));
    assert!(!same(entry(x, &[range(0), range(0)]), entry(x, &[range(0), is])));
    // On a decided name `x in A` is no guard.
    assert!(same(entry(d, &[Guard::IsAddress(d)]), entry(d, &[])));
    let void = entry(d, &[Guard::IsSmall(d, 0, 0)]);
    assert!(!same(void, entry(d, &[])));
}
