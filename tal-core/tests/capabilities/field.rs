//! Not trusted. A word gets a type (core.md 4.5: field-close, has-*; U2, trap 94; core.md 9.1,
//! 9.24, 9.29, 9.43).

use crate::support::*;
use tal_core::counted::Rc;
use tal_core::error::Rule;
use tal_core::hint::Ghost;
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, FieldTy, Guard, Mem, Mode, NameSet, Reg, Word};

fn close(ty: FieldTy) -> [Ghost; 1] {
    [Ghost::FieldClose { entry: 0, field: 0, ty }]
}

fn u(bits: u8, facts: Vec<tal_core::ty::Fact>) -> FieldTy {
    FieldTy::Int { bits, signed: false, facts }
}

fn own_ty(nullable: bool, whole: bool, mem: Rc<Mem>) -> FieldTy {
    FieldTy::Own { nullable, origin: whole.then_some(HEAP), mem }
}

fn ref_ty(nullable: bool, mem: Rc<Mem>) -> FieldTy {
    FieldTy::Ref { nullable, mode: Mode::Rw, mem }
}

/// A parent with one field that holds this word.
fn parent(word: impl FnOnce(&mut State) -> Word) -> State {
    let mut st = state();
    let x = address(&mut st);
    let word = word(&mut st);
    owned(&mut st, x, k(0), record(8, vec![known(0, word)]));
    st
}

#[test]
fn an_integer_gets_a_refinement_by_proof() {
    let value = Term::var(Var::Value);
    let at_most = |c| vec![ge(k(c).sub(&value).unwrap())];
    let mut st = parent(|st| Word::Int(any(st)));
    let n = Term::var(Var::Free(1));
    ghosts(&mut st.clone(), &close(u(64, vec![]))).unwrap();
    assert_eq!(refusal(ghosts(&mut st.clone(), &close(u(64, at_most(7))))), Rule::HasInt);
    learn(&mut st, ge(n.clone()));
    learn(&mut st, ge(k(7).sub(&n).unwrap()));
    assert_eq!(refusal(ghosts(&mut st.clone(), &close(u(64, at_most(6))))), Rule::HasInt);
    // The width of a field does not change.
    assert_eq!(refusal(ghosts(&mut st.clone(), &close(u(32, at_most(7))))), Rule::FieldClose);
    ghosts(&mut st, &close(u(64, at_most(7)))).unwrap();
    // What is no word any more is not closed again.
    assert_eq!(refusal(ghosts(&mut st, &close(u(64, vec![])))), Rule::FieldClose);
    let mut pointer = parent(|st| ptr(address(st), k(0)));
    assert_eq!(refusal(ghosts(&mut pointer, &close(u(64, vec![])))), Rule::HasInt);
}

#[test]
fn a_narrow_field_is_known_exactly() {
    let mut st = state();
    let x = address(&mut st);
    let n = any(&mut st);
    let is_n = vec![eq(Term::var(Var::Value).sub(&n).unwrap())];
    owned(&mut st, x, k(0), record(4, vec![refined(0, 32, true, is_n)]));
    let signed = |facts| FieldTy::Int { bits: 32, signed: true, facts };
    let small = vec![ge(k(9).sub(&Term::var(Var::Value)).unwrap())];
    // Its own type says the range, so none is to be proved.
    ghosts(&mut st.clone(), &close(signed(vec![]))).unwrap();
    assert_eq!(refusal(ghosts(&mut st.clone(), &close(signed(small.clone())))), Rule::HasInt);
    assert_eq!(refusal(ghosts(&mut st.clone(), &close(u(32, vec![])))), Rule::HasInt);
    learn(&mut st, ge(n.clone()));
    learn(&mut st, ge(k(9).sub(&n).unwrap()));
    ghosts(&mut st.clone(), &close(signed(small))).unwrap();
    ghosts(&mut st, &close(u(32, vec![]))).unwrap();
}

#[test]
fn a_known_word_is_known_modulo_the_word() {
    let st = parent(|st| Word::Int(any(st)));
    let n = Term::var(Var::Free(1));
    let wrapped = FieldTy::Known(Word::Int(n.plus(1 << 64).unwrap()));
    ghosts(&mut st.clone(), &close(wrapped)).unwrap();
    let other = FieldTy::Known(Word::Int(n.plus(1).unwrap()));
    assert_eq!(refusal(ghosts(&mut st.clone(), &close(other))), Rule::HasKnown);
    for local in [Word::Frame(0), Word::ReturnAddress, Word::Saved(Reg::Rbx), Word::Junk] {
        let close = close(FieldTy::Known(local));
        assert_eq!(refusal(ghosts(&mut st.clone(), &close)), Rule::WfWordType);
    }
}

#[test]
fn ownership_goes_into_the_field_once() {
    let mut st = parent(|st| ptr(address(st), k(8)));
    let y = Var::Free(1);
    let ty = own_ty(false, false, u64s());
    // c29: nothing there to be absorbed.
    assert!(ghosts(&mut st.clone(), &close(ty.clone())).is_err());
    owned(&mut st, y, k(8), u64s());
    let wrong = [
        own_ty(false, false, bytes(k(8))),
        own_ty(true, false, u64s()),
        own_ty(false, true, u64s()),
    ];
    for ty in wrong {
        assert_eq!(refusal(ghosts(&mut st.clone(), &close(ty))), Rule::HasOwn);
    }
    ghosts(&mut st, &close(ty.clone())).unwrap();
    assert_eq!(st.caps.len(), 1);
    assert_eq!(*self::ty(&st, 0, 0), ty);
    // A second copy of the word owns nothing (U2, c1).
    let x = Var::Free(0);
    owned(&mut st, x, k(8), record(8, vec![known(0, ptr(y, k(8)))]));
    let again = [Ghost::FieldClose { entry: 1, field: 0, ty }];
    assert!(ghosts(&mut st, &again).is_err());
}

#[test]
fn positions_shift_when_the_content_stood_first() {
    let mut st = state();
    let (x, y) = (address(&mut st), address(&mut st));
    owned(&mut st, y, k(0), u64s());
    owned(&mut st, x, k(0), record(8, vec![known(0, ptr(y, k(0)))]));
    let ty = own_ty(false, false, u64s());
    let close = [Ghost::FieldClose { entry: 1, field: 0, ty: ty.clone() }];
    ghosts(&mut st, &close).unwrap();
    assert_eq!((st.caps.len(), entry(&st, 0).name), (1, x));
    assert_eq!(*self::ty(&st, 0, 0), ty);
}

#[test]
fn nothing_owns_itself() {
    let mut st = state();
    let x = address(&mut st);
    let mem = record(8, vec![known(0, ptr(x, k(0)))]);
    owned(&mut st, x, k(0), mem.clone());
    // The next entry must not be taken for the parent that went away.
    let y = address(&mut st);
    owned(&mut st, y, k(0), u64s());
    let itself = close(own_ty(false, false, mem));
    assert_eq!(refusal(ghosts(&mut st, &itself)), Rule::FieldClose);
}

/// Attack c24.
#[test]
fn a_half_is_no_whole_block() {
    let mut st = state();
    let x = address(&mut st);
    let n = natural(&mut st);
    let y = block(&mut st, NameSet::ADDRESS, n.clone());
    owned(&mut st, x, k(0), record(8, vec![known(0, ptr(y, k(0)))]));
    owned(&mut st, y, k(0), bytes(k(16)));
    let ty = own_ty(false, true, bytes(k(16)));
    assert_eq!(refusal(ghosts(&mut st.clone(), &close(ty.clone()))), Rule::HasOwn);
    learn(&mut st, eq(n.plus(-16).unwrap()));
    ghosts(&mut st.clone(), &close(ty)).unwrap();
    // Nor is the second half, standing at an offset.
    let mut st = parent(|st| ptr(block(st, NameSet::ADDRESS, k(16)), k(8)));
    owned(&mut st, Var::Free(1), k(8), bytes(k(16)));
    let ty = own_ty(false, true, bytes(k(16)));
    assert_eq!(refusal(ghosts(&mut st, &close(ty))), Rule::HasOwn);
}

/// Attack U2.
#[test]
fn what_may_be_null_goes_into_what_may_be_null() {
    let nullable = |st: &mut State| {
        let y = name(st, NameSet::NULLABLE);
        ptr(y, k(0))
    };
    let mut st = parent(nullable);
    let y = Var::Free(1);
    guarded(&mut st, vec![Guard::IsAddress(y)], y, k(0), u64s());
    let strict = own_ty(false, false, u64s());
    assert_eq!(refusal(ghosts(&mut st.clone(), &close(strict))), Rule::HasOwn);
    ghosts(&mut st, &close(own_ty(true, false, u64s()))).unwrap();
    assert_eq!(st.caps.len(), 1);
    // An error number is not null.
    let errno = NameSet { address: true, small: [Some((-4095, -1)), None] };
    let mut st = parent(|st| ptr(name(st, errno), k(0)));
    guarded(&mut st, vec![Guard::IsAddress(y)], y, k(0), u64s());
    assert_eq!(refusal(ghosts(&mut st, &close(own_ty(true, false, u64s())))), Rule::HasOwn);
    // Another guard is not `x in A`.
    let mut st = parent(nullable);
    guarded(&mut st, vec![Guard::Range(k(0), 0, 1)], y, k(0), u64s());
    assert_eq!(refusal(ghosts(&mut st, &close(own_ty(true, false, u64s())))), Rule::HasOwn);
}

#[test]
fn null_is_zero() {
    let mut st = parent(|st| Word::Int(any(st)));
    let ty = own_ty(true, false, u64s());
    assert_eq!(refusal(ghosts(&mut st.clone(), &close(ty.clone()))), Rule::HasNull);
    assert_eq!(
        refusal(ghosts(&mut st.clone(), &close(own_ty(false, false, u64s())))),
        Rule::HasOwn
    );
    learn(&mut st, eq(Term::var(Var::Free(1))));
    ghosts(&mut st.clone(), &close(ref_ty(true, u64s()))).unwrap();
    ghosts(&mut st, &close(ty)).unwrap();
}

#[test]
fn a_ref_needs_a_view_for_ever() {
    let mut st = parent(|st| ptr(address(st), k(0)));
    let y = Var::Free(1);
    assert!(ghosts(&mut st.clone(), &close(ref_ty(false, u64s()))).is_err());
    shared(&mut st, Mode::Ro, y, u64s());
    assert_eq!(refusal(ghosts(&mut st.clone(), &close(ref_ty(false, u64s())))), Rule::HasRef);
    st.views.clear();
    let rho = declare(&mut st, tal_core::ty::Kind::Region);
    lent(&mut st, tal_core::ty::Region::Var(rho), Mode::Rw, y, u64s());
    assert_eq!(refusal(ghosts(&mut st.clone(), &close(ref_ty(false, u64s())))), Rule::HasRef);
    st.views.clear();
    shared(&mut st, Mode::Rw, y, u64s());
    ghosts(&mut st, &close(ref_ty(false, u64s()))).unwrap();
}

#[test]
fn a_code_word_is_no_ref_and_no_owner() {
    let word = Word::Ptr(Base::Code(tal_core::ty::FnId(0)), k(0));
    for (ty, rule) in
        [(ref_ty(false, u64s()), Rule::HasRef), (own_ty(false, false, u64s()), Rule::HasOwn)]
    {
        let mut st = parent(|_| word.clone());
        assert_eq!(refusal(ghosts(&mut st, &close(ty))), rule);
    }
}
