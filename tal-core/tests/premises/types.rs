//! Not trusted. Which types are equal, what a package hides, what a field may hold (core.md 4.5).

use crate::judges::*;
use crate::support::*;
use tal_core::counted::Rc;
use tal_core::error::{Error, Rule};
use tal_core::hint::{Ghost, Through};
use tal_core::image::Interface;
use tal_core::judge::Judge;
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{Field, FieldTy, Guard, Mem, Mode, NameSet, OriginId, Word};

/// A field that nobody writes is not one that is written.
#[test]
fn equal_fields_are_as_writable() {
    let mut st = state();
    let x = address(&mut st);
    let fixed = flip(&u64s(), |f| f.writable = false);
    shared(&mut st, Mode::Rw, x, fixed.clone());
    let equal = |mem: Rc<Mem>| Ghost::Equal { of: Through::View(0), offset: k(0), mem };
    ghosts(&mut st.clone(), &[equal(fixed)]).unwrap();
    refused(ghosts(&mut st, &[equal(u64s())]), Rule::EntryEqual);
}

/// Pointers and signs of equal types.
#[test]
fn equal_fields_are_equal() {
    let pairs = |a: Field, b: Field| {
        let mut st = state();
        let x = address(&mut st);
        owned(&mut st, x, k(0), record(8, vec![a.clone()]));
        let equal = |f: Field| Ghost::Equal {
            of: Through::Entry(0),
            offset: k(0),
            mem: record(8, vec![f]),
        };
        ghosts(&mut st.clone(), &[equal(a)]).unwrap();
        refused(ghosts(&mut st, &[equal(b)]), Rule::EntryEqual);
    };
    pairs(own(0, true, None, u64s()), own(0, false, None, u64s()));
    pairs(own(0, false, None, u64s()), own(0, false, Some(HEAP), u64s()));
    pairs(reference(0, true, Mode::Ro, u64s()), reference(0, false, Mode::Ro, u64s()));
    pairs(reference(0, false, Mode::Ro, u64s()), reference(0, false, Mode::Rw, u64s()));
    pairs(int(0, 64, false), int(0, 64, true));
}

/// A word in memory from one name is not one from another.
#[test]
fn words_in_memory_have_a_base() {
    let mut st = state();
    let x = address(&mut st);
    let (y, z) = (address(&mut st), address(&mut st));
    let holds = |v: Var| record(8, vec![known(0, ptr(v, k(0)))]);
    owned(&mut st, x, k(0), holds(y));
    let equal = |mem: Rc<Mem>| Ghost::Equal { of: Through::Entry(0), offset: k(0), mem };
    ghosts(&mut st.clone(), &[equal(holds(y))]).unwrap();
    refused(ghosts(&mut st, &[equal(holds(z))]), Rule::EntryEqual);
}

/// The size of a package does not depend on what it hides.
#[test]
fn a_package_that_is_made_is_well_formed() {
    let m = Term::var(Var::Bound(0));
    let pack = |body: Rc<Mem>, have: Rc<Mem>| {
        let mut st = state();
        let x = address(&mut st);
        owned(&mut st, x, k(0), have);
        let mem = Rc::new(Mem::Ex { vars: 1, facts: vec![], body });
        ghosts(&mut st, &[Ghost::Pack { entry: 0, mem, witnesses: vec![k(8)] }])
    };
    let number = |e: Term| record(8, vec![known(0, Word::Int(e))]);
    pack(number(m.clone()), number(k(8))).unwrap();
    refused(pack(bytes(m), bytes(k(8))), Rule::WfEx);
}

/// Arrays of two element types are not one array.
#[test]
fn arrays_of_two_element_types_do_not_merge() {
    let join = |a: i64, b: i64| {
        let mut st = state();
        let x = address(&mut st);
        let (n, m) = (any(&mut st), any(&mut st));
        let pick = |i: i64| if i == 0 { n.clone() } else { m.clone() };
        let element = |i: i64| record(8, vec![known(0, Word::Int(pick(i)))]);
        owned(&mut st, x, k(0), array(k(1), element(a)));
        owned(&mut st, x, k(8), array(k(1), element(b)));
        ghosts(&mut st, &[Ghost::Join { first: 0, second: 1 }]).unwrap();
        matches!(&*entry(&st, 0).mem, Mem::Array(..))
    };
    assert!(join(0, 0));
    assert!(!join(0, 1));
}

/// Memory of mmap is not given back to the heap.
#[test]
fn a_block_is_of_its_origin() {
    let close = |origin: u16| {
        let mut st = state();
        let p = address(&mut st);
        let x = block(&mut st, NameSet::ADDRESS, k(8));
        owned(&mut st, p, k(0), record(8, vec![known(0, ptr(x, k(0)))]));
        owned(&mut st, x, k(0), junk(k(8)));
        let ty = FieldTy::Own { nullable: false, origin: Some(OriginId(origin)), mem: junk(k(8)) };
        two_origins(&mut st, &[Ghost::FieldClose { entry: 0, field: 0, ty }])
    };
    close(0).unwrap();
    refused(close(1), Rule::HasOwn);
}

/// Runs them for a host with two origins.
fn two_origins(st: &mut State, all: &[Ghost]) -> Result<(), Error> {
    let interface = Interface { origins: 2, ..interface() };
    let image = bare();
    let mut judge = Judge::new(&image, &interface, Teller::default(), 1 << 20);
    all.iter().try_for_each(|g| judge.ghost(st, g))
}

/// What may be an error number, or is beside a null, is no `ref?`.
#[test]
fn a_nullable_reference_is_null_or_an_address() {
    let close = |set: NameSet, offset: i64| {
        let mut st = state();
        let p = address(&mut st);
        let x = name(&mut st, set);
        owned(&mut st, p, k(0), record(8, vec![known(0, ptr(x, k(offset)))]));
        let v = shared(&mut st, Mode::Ro, x, u64s());
        st.views[usize::from(v)].guards = vec![Guard::IsAddress(x)];
        st.views[usize::from(v)].offset = k(offset);
        let ty = FieldTy::Ref { nullable: true, mode: Mode::Ro, mem: u64s() };
        ghosts(&mut st, &[Ghost::FieldClose { entry: 0, field: 0, ty }])
    };
    close(NameSet::NULLABLE, 0).unwrap();
    refused(close(NameSet { address: true, small: [Some((-4095, -1)), None] }, 0), Rule::HasRef);
    refused(close(NameSet::NULLABLE, 8), Rule::HasRef);
}

/// The struct with its first field changed.
fn flip(mem: &Rc<Mem>, f: impl Fn(&mut Field)) -> Rc<Mem> {
    let Mem::Struct { fields, size } = &**mem else { panic!() };
    let mut fields = fields.clone();
    f(&mut fields[0]);
    record(*size, fields)
}
