//! Not trusted. Views and regions (core.md 4.6; redteam A9, R.E19; core.md 9.8 to 9.17, 9.41).

use crate::support::*;
use tal_core::error::{Error, Rule};
use tal_core::hint::{Ghost, Through};
use tal_core::judge::Judge;
use tal_core::rules::memory::Address;
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Cap, Guard, Kind, Mode, NameSet, Region, Word};

fn read(st: &mut State, x: Var, at: Term, bytes: u8, view: u16) -> Result<Word, Error> {
    let teller = Teller { access: [Through::View(view)].into(), ..Teller::default() };
    judged(teller, |judge| judge.load(st, &Address::Mem(Base::Name(x), at), bytes))
}

fn write(st: &mut State, x: Var, view: u16, word: &Word) -> Result<(), Error> {
    let teller = Teller { access: [Through::View(view)].into(), ..Teller::default() };
    judged(teller, |judge| judge.store(st, &Address::Mem(Base::Name(x), k(0)), 8, word))
}

/// Attacks t77, c41.
#[test]
fn a_view_lives_as_long_as_its_token() {
    let mut st = state();
    let x = address(&mut st);
    owned(&mut st, x, k(0), u64s());
    ghosts(&mut st, &[Ghost::Borrow { entry: 0, mode: Mode::Rw }]).unwrap();
    assert!(matches!(st.caps[0], Cap::Token(..)));
    read(&mut st, x, k(0), 8, 0).unwrap();
    write(&mut st, x, 0, &Word::Int(k(1))).unwrap();
    // The entry is set aside: it cannot be used, freed or lent again (c10, c14).
    let twice = [Ghost::Borrow { entry: 0, mode: Mode::Rw }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &twice)), Rule::Borrow);
    ghosts(&mut st, &[Ghost::RegionEnd { token: 0 }]).unwrap();
    assert_eq!(*entry(&st, 0).mem, *u64s());
    assert_eq!(refusal(read(&mut st.clone(), x, k(0), 8, 0)), Rule::AccessView);
    assert_eq!(refusal(write(&mut st.clone(), x, 0, &Word::Int(k(1)))), Rule::AccessView);
    // Another borrow is another region.
    ghosts(&mut st, &[Ghost::Borrow { entry: 0, mode: Mode::Rw }]).unwrap();
    assert_eq!(refusal(read(&mut st.clone(), x, k(0), 8, 0)), Rule::AccessView);
    read(&mut st, x, k(0), 8, 1).unwrap();
    let token = [Ghost::RegionEnd { token: 1 }];
    assert_eq!(refusal(ghosts(&mut st, &token)), Rule::RegionEnd);
}

/// Attacks t93, U15.
#[test]
fn lending_is_rw_or_ro_and_weakens_to_rd_only() {
    let mut st = state();
    let x = address(&mut st);
    owned(&mut st, x, k(0), u64s());
    let rd = [Ghost::Borrow { entry: 0, mode: Mode::Rd }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &rd)), Rule::Borrow);
    let rd = [Ghost::Share { entry: 0, mode: Mode::Rd }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &rd)), Rule::Share);
    ghosts(&mut st, &[Ghost::Share { entry: 0, mode: Mode::Rw }]).unwrap();
    assert!(st.caps.is_empty());
    ghosts(&mut st, &[Ghost::ViewWeaken { view: 0 }]).unwrap();
    assert_eq!(st.views[1].mode, Mode::Rd);
    read(&mut st.clone(), x, k(0), 8, 1).unwrap();
    assert_eq!(refusal(write(&mut st.clone(), x, 1, &Word::Int(k(1)))), Rule::StoreWeak);
    // t92: no way back.
    ghosts(&mut st, &[Ghost::ViewWeaken { view: 1 }]).unwrap();
    assert_eq!(st.views[2].mode, Mode::Rd);
    let mut st = state();
    let x = address(&mut st);
    shared(&mut st, Mode::Ro, x, u64s());
    assert_eq!(refusal(write(&mut st, x, 0, &Word::Int(k(1)))), Rule::StoreWeak);
}

/// Attack c8.
#[test]
fn a_null_borrow_ends_as_nothing() {
    let mut st = state();
    let x = name(&mut st, NameSet::NULLABLE);
    guarded(&mut st, vec![Guard::IsAddress(x)], x, k(0), u64s());
    ghosts(&mut st, &[Ghost::Borrow { entry: 0, mode: Mode::Rw }]).unwrap();
    assert_eq!(refusal(read(&mut st.clone(), x, k(0), 8, 0)), Rule::AccessView);
    let mut some = st.clone();
    judged(Teller::default(), |j| j.narrow(&mut st, x, |low, _| Some(low == 0))).unwrap();
    // The view is still there, and of no use: nobody takes its guard off.
    assert_eq!(st.views.len(), 1);
    assert_eq!(refusal(read(&mut st.clone(), x, k(0), 8, 0)), Rule::AccessView);
    let release = [Ghost::GuardTrue { of: Through::View(0), guard: 0 }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &release)), Rule::GuardTrue);
    ghosts(&mut st, &[Ghost::RegionEnd { token: 0 }]).unwrap();
    assert!(st.caps.is_empty());
    judged(Teller::default(), |j| j.narrow(&mut some, x, |low, _| Some(low != 0))).unwrap();
    assert_eq!(refusal(read(&mut some.clone(), x, k(0), 8, 0)), Rule::AccessView);
    read(&mut some, x, k(0), 8, 1).unwrap();
    ghosts(&mut some, &[Ghost::RegionEnd { token: 0 }]).unwrap();
    assert!(entry(&some, 0).guards.is_empty());
}

#[test]
fn a_part_is_inside() {
    let mut st = state();
    let x = address(&mut st);
    let (n, j, c) = (natural(&mut st), any(&mut st), any(&mut st));
    shared(&mut st, Mode::Rw, x, array(n.clone(), u64s()));
    let part = [Ghost::ViewPart { view: 0, from: j.clone(), count: c.clone() }];
    for fact in [ge(j.clone()), ge(c.clone()), ge(n.sub(&j).unwrap().sub(&c).unwrap())] {
        assert_eq!(refusal(ghosts(&mut st.clone(), &part)), Rule::ViewPart);
        learn(&mut st, fact);
    }
    ghosts(&mut st, &part).unwrap();
    assert_eq!(st.views[1].offset, j.scale(8).unwrap());
    assert_eq!(*st.views[1].mem, *array(c, u64s()));
    let mut guarded = st.clone();
    guarded.views[0].guards.push(Guard::Range(k(0), 0, 0));
    assert_eq!(refusal(ghosts(&mut guarded, &part)), Rule::ViewPart);
    let mut st = state();
    let x = address(&mut st);
    shared(&mut st, Mode::Rw, x, cat(bytes(k(3)), junk(k(5))));
    let both = [false, true].map(|second| Ghost::ViewCat { view: 0, second });
    ghosts(&mut st, &both).unwrap();
    assert_eq!((st.views[1].offset.clone(), st.views[2].offset.clone()), (k(0), k(3)));
    let junk = [Ghost::ViewPart { view: 2, from: k(0), count: k(1) }];
    assert_eq!(refusal(ghosts(&mut st, &junk)), Rule::ViewPart);
}

#[test]
fn plain_memory_is_bytes_for_readers() {
    let mut st = state();
    let x = address(&mut st);
    shared(&mut st, Mode::Rw, x, array(k(2), u64s()));
    let small = ge(k(9).sub(&Term::var(Var::Value)).unwrap());
    shared(&mut st, Mode::Rw, x, record(8, vec![refined(0, 64, false, vec![small])]));
    ghosts(&mut st, &[Ghost::ViewPlain { view: 0 }]).unwrap();
    assert_eq!((st.views[2].mode, &*st.views[2].mem), (Mode::Rd, &*bytes(k(16))));
    // c33: refined, it might be written through the bytes, were they not for readers only.
    assert_eq!(refusal(ghosts(&mut st.clone(), &[Ghost::ViewPlain { view: 1 }])), Rule::ViewPart);
    // t70: a gap.
    shared(&mut st, Mode::Rw, x, record(16, vec![int(0, 64, false)]));
    assert_eq!(refusal(ghosts(&mut st, &[Ghost::ViewPlain { view: 3 }])), Rule::ViewPart);
}

/// A package of a length and what it bounds.
fn package(length_writable: bool) -> tal_core::counted::Rc<tal_core::ty::Mem> {
    let n = Term::var(Var::Bound(0));
    let mut length = known(0, Word::Int(n.clone()));
    length.writable = length_writable;
    let body = record(16, vec![length, own(8, false, None, array(n.clone(), u64s()))]);
    tal_core::counted::Rc::new(tal_core::ty::Mem::Ex { vars: 1, facts: vec![ge(n)], body })
}

/// Attacks t86, t88.
#[test]
fn a_package_opens_through_a_view_over_stable_fields() {
    for (mode, writable, opens) in [
        (Mode::Ro, true, true),
        (Mode::Ro, false, true),
        (Mode::Rw, false, true),
        (Mode::Rd, false, true),
        (Mode::Rw, true, false),
        (Mode::Rd, true, false),
    ] {
        let mut st = state();
        let x = address(&mut st);
        shared(&mut st, mode, x, package(writable));
        let open = [Ghost::ViewOpen { view: 0 }];
        if opens {
            ghosts(&mut st, &open).unwrap();
            assert_eq!(st.views[1].mode, mode);
        } else {
            // A9, c12.
            assert_eq!(refusal(ghosts(&mut st, &open)), Rule::ViewOpen);
        }
    }
}

#[test]
fn a_dead_package_does_not_open() {
    let mut st = state();
    let x = address(&mut st);
    let rho = declare(&mut st, Kind::Region);
    lent(&mut st, Region::Var(rho), Mode::Ro, x, package(false));
    let open = [Ghost::ViewOpen { view: 0 }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &open)), Rule::ViewOpen);
    let Cap::Entry(entry) = ({
        owned(&mut st, x, k(0), package(false));
        st.caps.remove(0)
    }) else {
        panic!()
    };
    st.caps.push(Cap::Token(rho, entry));
    ghosts(&mut st, &open).unwrap();
}

#[test]
fn what_a_view_owns_is_lent_on_and_not_written() {
    let mut st = state();
    let x = address(&mut st);
    owned(&mut st, x, k(0), named(NODE, vec![]));
    let lend = [Ghost::Unfold { entry: 0 }, Ghost::Borrow { entry: 0, mode: Mode::Rw }];
    ghosts(&mut st, &lend).unwrap();
    let word = read(&mut st, x, k(0), 8, 0).unwrap();
    let Word::Ptr(Base::Name(y), _) = word else { panic!() };
    // c14: a view in the same region, not an entry.
    assert!(st.caps.len() == 1 && st.views[1].region == st.views[0].region);
    assert_eq!(st.views[1].guards, [Guard::IsAddress(y)]);
    // c15: own fields are not written through views.
    assert_eq!(refusal(write(&mut st, x, 0, &Word::Int(k(0)))), Rule::StoreWeak);
}

#[test]
fn hints_bring_terms_and_types_in_scope() {
    let mut st = state();
    let x = address(&mut st);
    shared(&mut st, Mode::Ro, x, bytes(k(8)));
    let part = [Ghost::ViewPart { view: 0, from: Term::var(Var::Free(5)), count: k(1) }];
    assert_eq!(refusal(ghosts(&mut st, &part)), Rule::ViewPart);
    let equal = Ghost::Equal { of: Through::View(0), offset: k(0), mem: bytes(k(9)) };
    assert_eq!(refusal(ghosts(&mut st, &[equal])), Rule::EntryEqual);
    let unknown = |j: &mut Judge<'_, Teller>| j.ghost(&mut st, &Ghost::ViewWeaken { view: 1 });
    assert_eq!(refusal(judged(Teller::default(), unknown)), Rule::ViewWeaken);
}
