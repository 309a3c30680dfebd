//! Not trusted. Memory access (core.md 4.7; traps 57 to 60, 67, 68, 72, 73; U12, U14, U15, U16,
//! A22).

use crate::support::*;
use tal_core::error::{Error, Rule};
use tal_core::hint::Through;
use tal_core::image::{Contents, Data, DataKind};
use tal_core::rules::memory::Address;
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Bounds, DataId, FieldTy, FnId, Guard, Kind, Mode, NameSet, Reg, Word};

fn load_as(teller: Teller, st: &mut State, x: Var, at: &Term, bytes: u8) -> Result<Word, Error> {
    let place = Address::Mem(Base::Name(x), at.clone());
    judged(teller, |judge| judge.load(st, &place, bytes))
}

fn load(st: &mut State, x: Var, at: i64, bytes: u8) -> Result<Word, Error> {
    load_as(Teller::default(), st, x, &k(at), bytes)
}

fn store_as(
    teller: Teller,
    st: &mut State,
    (x, at): (Var, &Term),
    bytes: u8,
    word: &Word,
) -> Result<(), Error> {
    let place = Address::Mem(Base::Name(x), at.clone());
    judged(teller, |judge| judge.store(st, &place, bytes, word))
}

fn store(st: &mut State, x: Var, at: i64, bytes: u8, word: &Word) -> Result<(), Error> {
    store_as(Teller::default(), st, (x, &k(at)), bytes, word)
}

fn at_most(c: i64) -> Vec<tal_core::ty::Fact> {
    vec![ge(k(c).sub(&Term::var(Var::Value)).unwrap())]
}

#[test]
fn an_access_meets_one_field_exactly() {
    let mut st = state();
    let x = address(&mut st);
    let fields = vec![int(0, 32, false), int(8, 64, false), unset(16, 8), int(24, 8, false)];
    owned(&mut st, x, k(0), record(32, fields));
    load(&mut st, x, 0, 4).unwrap();
    load(&mut st, x, 8, 8).unwrap();
    load(&mut st, x, 24, 1).unwrap();
    // Gaps, straddling, other widths, beyond the end, before the start (t57, t58, t68).
    for (at, bytes) in [(0, 8), (0, 2), (4, 4), (8, 4), (12, 4), (24, 8), (32, 1), (-1, 1), (2, 4)]
    {
        assert_eq!(refusal(load(&mut st.clone(), x, at, bytes)), Rule::Shape);
        let word = Word::Int(k(0));
        assert_eq!(refusal(store(&mut st.clone(), x, at, bytes, &word)), Rule::Shape);
    }
    // Uninitialised is not read, but written, and then read.
    assert_eq!(refusal(load(&mut st.clone(), x, 16, 8)), Rule::LoadEntry);
    store(&mut st, x, 16, 8, &Word::Int(k(5))).unwrap();
    assert_eq!(load(&mut st, x, 16, 8).unwrap(), Word::Int(k(5)));
}

#[test]
fn only_shapes_are_accessed() {
    let mut st = state();
    let x = address(&mut st);
    for mem in [
        junk(k(8)),
        zero(k(8)),
        named(PAIR, vec![k(0)]),
        types()[1].body.clone(),
        cat(bytes(k(4)), bytes(k(4))),
    ] {
        st.caps.clear();
        owned(&mut st, x, k(0), mem);
        assert_eq!(refusal(load(&mut st, x, 0, 1)), Rule::Shape);
    }
}

/// Attacks t57, t58.
#[test]
fn bytes_are_bounded_over_z() {
    let mut st = state();
    let x = address(&mut st);
    let (n, i) = (natural(&mut st), any(&mut st));
    owned(&mut st, x, k(0), bytes(n.clone()));
    let last = n.sub(&i).unwrap();
    let get = |st: &State, bytes| load_as(Teller::default(), &mut st.clone(), x, &i, bytes);
    assert_eq!(refusal(get(&st, 1)), Rule::Shape);
    learn(&mut st, ge(last.plus(-1).unwrap()));
    assert_eq!(refusal(get(&st, 1)), Rule::Shape);
    learn(&mut st, ge(i.clone()));
    get(&st, 1).unwrap();
    assert_eq!(refusal(get(&st, 8)), Rule::Shape);
    learn(&mut st, ge(last.plus(-8).unwrap()));
    get(&st, 8).unwrap();
}

/// Attack A22.
#[test]
fn the_hint_does_not_choose_the_field() {
    let mut st = state();
    let x = address(&mut st);
    let (n, i) = (natural(&mut st), natural(&mut st));
    let y = address(&mut st);
    shared(&mut st, Mode::Rw, y, u64s());
    let element = record(16, vec![int(0, 64, false), reference(8, false, Mode::Rw, u64s())]);
    shared(&mut st, Mode::Rw, x, array(n.clone(), element));
    learn(&mut st, ge(n.sub(&i).unwrap().plus(-1).unwrap()));
    let at = i.scale(16).unwrap();
    let tell = |j: &Term, c| Teller { element: Some((j.clone(), c)), ..Teller::default() };
    load_as(tell(&i, 0), &mut st.clone(), x, &at, 8).unwrap();
    let next = i.plus(1).unwrap();
    let before = i.plus(-1).unwrap();
    let scale = 1 << 60;
    for (j, c) in [(&i, 8), (&next, 0), (&before, 16), (&i, 12), (&i.plus(scale).unwrap(), 0)] {
        assert_eq!(refusal(load_as(tell(j, c), &mut st.clone(), x, &at, 8)), Rule::Shape);
    }
    let outside = tell(&Term::var(Var::Free(40)), 0);
    assert_eq!(refusal(load_as(outside, &mut st.clone(), x, &at, 8)), Rule::Shape);
    // Index bounds are proved.
    st.facts.pop();
    assert_eq!(refusal(load_as(tell(&i, 0), &mut st.clone(), x, &at, 8)), Rule::Shape);
}

#[test]
fn a_load_names_the_content_once() {
    let mut st = state();
    let x = address(&mut st);
    owned(&mut st, x, k(0), named(NODE, vec![]));
    ghosts(&mut st, &[tal_core::hint::Ghost::Unfold { entry: 0 }]).unwrap();
    let first = load(&mut st, x, 0, 8).unwrap();
    let Word::Ptr(Base::Name(y), _) = first else { panic!() };
    assert_eq!(entry(&st, 1).guards, [Guard::IsAddress(y)]);
    let Kind::Addr { set, block: Some(block) } = &st.scope[1].kind else { panic!() };
    assert_eq!((*set, block.extent.clone()), (NameSet::NULLABLE, k(16)));
    // t94: the second load finds the word, not another owner.
    assert_eq!(load(&mut st, x, 0, 8).unwrap(), first);
    assert_eq!(st.caps.len(), 2);
}

#[test]
fn what_elements_own_is_moved_out_of_single_ones_only() {
    let mut st = state();
    let x = address(&mut st);
    owned(&mut st, x, k(0), array(k(2), record(8, vec![own(0, true, None, u64s())])));
    let teller = Teller { element: Some((k(1), 0)), ..Teller::default() };
    assert_eq!(refusal(load_as(teller, &mut st, x, &k(8), 8)), Rule::LoadEntry);
}

#[test]
fn range_facts_come_from_fields_only() {
    let mut st = state();
    let x = address(&mut st);
    let i = any(&mut st);
    let fields = vec![refined(0, 8, false, at_most(2)), known(8, Word::Int(i.clone()))];
    owned(&mut st, x, k(0), record(16, fields));
    let Word::Int(n) = load(&mut st, x, 0, 1).unwrap() else { panic!() };
    assert_eq!(bounds(&st, &n), within(0, 2));
    // c43: a known word has no range.
    assert_eq!(load(&mut st, x, 8, 8).unwrap(), Word::Int(i.clone()));
    assert_eq!(bounds(&st, &i), Bounds::NONE);
    assert!(st.facts.is_empty());
    // What relates integers is kept only if asked for, so long blocks do not run out of facts.
    let mut fresh = state();
    let x = address(&mut fresh);
    let i = any(&mut fresh);
    let relation = |n: &Term| ge(n.sub(&i).unwrap());
    let facts = vec![relation(&Term::var(Var::Value)), ge(Term::var(Var::Value).plus(-1).unwrap())];
    owned(&mut fresh, x, k(0), record(8, vec![refined(0, 8, false, facts)]));
    for forgetful in [true, false] {
        let mut st = fresh.clone();
        let teller = Teller { forgetful, ..Teller::default() };
        let Word::Int(n) = load_as(teller, &mut st, x, &k(0), 1).unwrap() else { panic!() };
        assert_eq!(bounds(&st, &n), within(1, 255));
        assert_eq!(st.facts, if forgetful { vec![] } else { vec![relation(&n)] });
    }
}

/// Attacks t116, U16.
#[test]
fn owners_store_any_word_that_may_leave_the_frame() {
    let mut st = state();
    let (x, y) = (address(&mut st), address(&mut st));
    owned(&mut st, x, k(0), record(16, vec![refined(0, 64, false, at_most(2)), unset(8, 4)]));
    store(&mut st, x, 0, 8, &ptr(y, k(4))).unwrap();
    assert_eq!(*ty(&st, 0, 0), FieldTy::Known(ptr(y, k(4))));
    for local in [Word::Frame(-8), Word::ReturnAddress, Word::Saved(Reg::Rbx), Word::Junk] {
        assert_eq!(refusal(store(&mut st.clone(), x, 0, 8, &local)), Rule::StoreStrong);
    }
    // t67: parts of a pointer, and half of it into a narrow field.
    assert_eq!(refusal(store(&mut st.clone(), x, 0, 1, &Word::Int(k(1)))), Rule::Shape);
    assert_eq!(refusal(store(&mut st.clone(), x, 8, 4, &ptr(y, k(0)))), Rule::StoreStrong);
    store(&mut st, x, 8, 4, &Word::Int(k(-1))).unwrap();
    let exactly = eq(Term::var(Var::Value).sub(&Term::constant_of(0xffff_ffff).unwrap()).unwrap());
    assert_eq!(*ty(&st, 0, 1), FieldTy::Int { bits: 32, signed: false, facts: vec![exactly] });
}

#[test]
fn an_owned_field_is_not_overwritten() {
    let mut st = state();
    let x = address(&mut st);
    owned(&mut st, x, k(0), record(8, vec![own(0, true, None, u64s())]));
    let zero = Word::Int(k(0));
    assert_eq!(refusal(store(&mut st.clone(), x, 0, 8, &zero)), Rule::StoreStrong);
    load(&mut st, x, 0, 8).unwrap();
    store(&mut st, x, 0, 8, &zero).unwrap();
}

/// Attack t83.
#[test]
fn a_weak_store_keeps_the_type() {
    let mut st = state();
    let x = address(&mut st);
    let i = any(&mut st);
    let mut ro = int(16, 64, false);
    ro.writable = false;
    let fields =
        vec![refined(0, 64, false, at_most(7)), refined(8, 8, false, at_most(2)), ro, unset(24, 8)];
    shared(&mut st, Mode::Rw, x, record(32, fields));
    store(&mut st, x, 0, 8, &Word::Int(k(7))).unwrap();
    store(&mut st, x, 8, 1, &Word::Int(k(2))).unwrap();
    store(&mut st, x, 8, 1, &Word::Int(k(256))).unwrap();
    // U14.
    assert_eq!(refusal(store(&mut st.clone(), x, 0, 8, &Word::Int(k(8)))), Rule::HasInt);
    assert_eq!(refusal(store(&mut st.clone(), x, 0, 8, &Word::Int(i))), Rule::HasInt);
    assert_eq!(refusal(store(&mut st.clone(), x, 8, 1, &Word::Int(k(3)))), Rule::StoreWeak);
    assert_eq!(refusal(store(&mut st.clone(), x, 8, 1, &ptr(x, k(0)))), Rule::StoreWeak);
    assert_eq!(refusal(store(&mut st.clone(), x, 0, 8, &ptr(x, k(0)))), Rule::HasInt);
    assert_eq!(refusal(store(&mut st.clone(), x, 16, 8, &Word::Int(k(0)))), Rule::StoreWeak);
    assert_eq!(refusal(store(&mut st.clone(), x, 24, 8, &Word::Int(k(0)))), Rule::StoreWeak);
}

#[test]
fn elements_are_stored_weakly_even_by_owners() {
    let mut st = state();
    let x = address(&mut st);
    owned(&mut st, x, k(0), array(k(2), record(8, vec![refined(0, 64, false, at_most(7))])));
    let tell = || Teller { element: Some((k(1), 0)), ..Teller::default() };
    store_as(tell(), &mut st, (x, &k(8)), 8, &Word::Int(k(7))).unwrap();
    let wrong = store_as(tell(), &mut st, (x, &k(8)), 8, &Word::Int(k(8)));
    assert_eq!(refusal(wrong), Rule::HasInt);
}

#[test]
fn access_is_through_what_stands_there_now() {
    let mut st = state();
    let (x, y) = (address(&mut st), address(&mut st));
    owned(&mut st, y, k(0), u64s());
    // t73: no entry, no access, whatever the hint says.
    let through = |through| Teller { access: [through].into(), ..Teller::default() };
    let get = |st: &State, t| load_as(through(t), &mut st.clone(), x, &k(0), 8);
    for t in [Through::Entry(0), Through::Entry(9)] {
        assert_eq!(refusal(get(&st, t)), Rule::AccessEntry);
    }
    for t in [Through::View(0), Through::Data(DataId(0))] {
        assert_eq!(refusal(get(&st, t)), Rule::AccessView);
    }
    // Guards, and names that may be null (U12, t72).
    guarded(&mut st, vec![Guard::Range(k(0), 0, 0)], x, k(0), u64s());
    assert_eq!(refusal(get(&st, Through::Entry(1))), Rule::AccessEntry);
    let z = name(&mut st, NameSet::NULLABLE);
    owned(&mut st, z, k(0), u64s());
    assert_eq!(
        refusal(load_as(through(Through::Entry(2)), &mut st, z, &k(0), 8)),
        Rule::AccessEntry
    );
    shared(&mut st, Mode::Ro, z, u64s());
    assert_eq!(refusal(load_as(through(Through::View(0)), &mut st, z, &k(0), 8)), Rule::AccessView);
}

fn address_of(
    st: &State,
    base: Option<Reg>,
    index: Option<(Reg, u8)>,
    disp: i64,
) -> Result<Address, Error> {
    let mem = bytes(k(64));
    let kind = DataKind::Object { mem, mode: Mode::Ro };
    let contents = Contents::Zero;
    let data = Data { address: 0x41_0000, size: 64, kind, contents, writable: false };
    judged_with(Teller::default(), vec![data], |judge| judge.address(st, base, index, disp))
}

/// Attack t72.
#[test]
fn an_address_has_one_unscaled_pointer() {
    let mut st = state();
    let x = address(&mut st);
    let i = any(&mut st);
    st.set_reg(Reg::Rax, ptr(x, k(8)));
    st.set_reg(Reg::Rcx, Word::Int(i.clone()));
    let (rax, rcx) = (Some(Reg::Rax), Some(Reg::Rcx));
    let sum = i.scale(4).unwrap().plus(24).unwrap();
    let there = Address::Mem(Base::Name(x), sum);
    assert_eq!(address_of(&st, rax, Some((Reg::Rcx, 4)), 16).unwrap(), there);
    address_of(&st, rcx, Some((Reg::Rax, 1)), 16).unwrap();
    assert_eq!(refusal(address_of(&st, rcx, Some((Reg::Rax, 2)), 0)), Rule::EaForm);
    assert_eq!(refusal(address_of(&st, rax, Some((Reg::Rax, 1)), 0)), Rule::EaForm);
    let k_ = Kind::Code(tal_core::counted::Rc::new(never()));
    let f = declare(&mut st, k_);
    let v = declare(&mut st, Kind::Word);
    let z = name(&mut st, NameSet::NULLABLE);
    for word in [
        ptr(f, k(0)),
        ptr(v, k(0)),
        ptr(z, k(0)),
        Word::Ptr(Base::Code(FnId(0)), k(0)),
        Word::Junk,
        Word::ReturnAddress,
        Word::Saved(Reg::Rbx),
    ] {
        st.set_reg(Reg::Rax, word);
        assert_eq!(refusal(address_of(&st, rax, None, 0)), Rule::EaForm);
    }
}

/// Attack t82.
#[test]
fn slots_stand_at_constants_and_absolutes_in_objects() {
    let mut st = state();
    let i = any(&mut st);
    st.set_reg(Reg::Rcx, Word::Int(i.clone()));
    st.set_reg(Reg::Rbp, Word::Frame(-16));
    assert_eq!(address_of(&st, Some(Reg::Rbp), None, 8).unwrap(), Address::Slot(-8));
    let symbolic = address_of(&st, Some(Reg::Rbp), Some((Reg::Rcx, 1)), 8);
    assert_eq!(refusal(symbolic), Rule::EaForm);
    let object = Base::Data(DataId(0));
    let at = address_of(&st, Some(Reg::Rcx), None, 0x41_0010).unwrap();
    assert_eq!(at, Address::Mem(object, i.plus(16).unwrap()));
    assert_eq!(address_of(&st, None, None, 0x41_0000).unwrap(), Address::Mem(object, k(0)));
    assert_eq!(refusal(judged(Teller::default(), |j| j.address(&st, None, None, 0))), Rule::EaForm);
}
