//! Not trusted. Premises that another one stands behind in whole programs: asked directly, and told
//! apart by their evidence.

use crate::judges::*;
use crate::support::*;
use tal_core::counted::Rc;
use tal_core::error::{Error, Kind as Evidence, Rule};
use tal_core::hint::{Ghost, Inst, Through};
use tal_core::image::{Contents, Data, DataKind, Function, Image};
use tal_core::judge::{Judge, Own};
use tal_core::rules::apply::Callee;
use tal_core::rules::memory::Address;
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{
    Base, Cap, DataId, Entry, FieldTy, FnId, Guard, Kind, Lent, Mem, Mode, NameSet, Reg, Word,
};

/// Refused for want of just this.
fn wants(r: Result<(), Error>, rule: Rule, kind: &Evidence) {
    let error = r.expect_err("must be refused");
    assert_eq!((error.rule, &error.kind), (rule, kind));
}

/// A table is of the running function, and nobody writes it.
#[test]
fn a_table_is_ours_and_constant() {
    let jump = |owner: u32, writable: bool, bytes: usize| {
        // jmp [0x500000 + rdi*8]; endbr64
        let text = [0xFF, 0x24, 0xFD, 0, 0, 0x50, 0, 0xF3, 0x0F, 0x1E, 0xFA];
        let mut words = 0x40_0007_u64.to_le_bytes().to_vec();
        words.resize(bytes, 0);
        let interface = interface();
        let table = Data {
            address: 0x50_0000,
            size: 8,
            kind: DataKind::Table { function: FnId(owner) },
            contents: Contents::Bytes(&words),
            writable,
        };
        let image = Image {
            text: &text,
            functions: vec![Function { offset: 0, sig: 0 }],
            labels: vec![7],
            data: vec![table],
            ..bare()
        };
        let mut st = state();
        st.set_reg(Reg::Rdi, Word::Int(k(0)));
        let mut judge = Judge::new(&image, &interface, Teller::default(), 1 << 20);
        judge.own = Own::function(Some(FnId(0)), Rc::new(never()));
        judge.exec(&mut st, 0).map(drop)
    };
    jump(0, false, 8).unwrap();
    wants(jump(1, false, 8), Rule::JumpTable, &Evidence::IllFormed);
    wants(jump(0, true, 8), Rule::JumpTable, &Evidence::IllFormed);
    wants(jump(0, false, 12), Rule::JumpTable, &Evidence::IllFormed);
}

/// A name that is an integer by now is no word that leaves the frame, nor is a thing that is none.
#[test]
fn what_leaves_as_a_word_exists() {
    let to = |st: &State, word: Word| entail(st, label(vec![Kind::Word]), vec![Inst::Word(word)]);
    let mut st = state();
    let x = name(&mut st, NameSet::NULLABLE);
    let rho = declare(&mut st, Kind::Region);
    to(&st, ptr(x, k(0))).unwrap();
    to(&st, Word::Ptr(Base::Code(FnId(0)), k(0))).unwrap();
    refused(to(&st, ptr(rho, k(0))), Rule::Apply);
    refused(to(&st, Word::Ptr(Base::Code(FnId(1)), k(0))), Rule::Apply);
    refused(to(&st, Word::Ptr(Base::Data(DataId(0)), k(0))), Rule::Apply);
    let null = NameSet { address: false, ..NameSet::NULLABLE };
    judged(Teller::default(), |j| j.refine(&mut st, x, null)).unwrap();
    refused(to(&st, ptr(x, k(0))), Rule::Apply);
}

fn teller(theta: Vec<Inst>) -> Teller {
    Teller { insts: [theta].into(), ..Teller::default() }
}

/// A stack argument that no signature may declare, below the callee's entry.
#[test]
fn an_argument_lies_at_or_above_rsp() {
    let call = |at: u16| {
        let mut st = entered();
        st.stack.delta = -16;
        st.set_reg(Reg::Rsp, Word::Frame(-16));
        let mut sig = returns();
        sig.pre.args = vec![(at, Word::Junk)];
        let f = declare(&mut st, Kind::Code(Rc::new(sig)));
        judged(teller(vec![]), |j| j.call(&mut st, 0, 5, Callee::Name(f)).map(drop))
    };
    call(8).unwrap();
    wants(call(0), Rule::Call, &Evidence::WrongSlot(-24));
}

/// Who never returns does not, whatever lies in slot 0; and nothing is lent at a return.
#[test]
fn a_return_is_of_a_function_that_returns() {
    let back = |sig: tal_core::ty::Sig, lends: bool| {
        let mut st = entered();
        if lends {
            let c = address(&mut st);
            st.stack.lent = vec![Lent { offset: -8, size: 8, name: c }].into();
        }
        judged(teller(vec![]), |j| {
            j.own = Own::function(Some(FnId(0)), Rc::new(sig));
            j.ret(&mut st, 0)
        })
    };
    back(returns(), false).unwrap();
    wants(back(never(), false), Rule::Return, &Evidence::WrongSlot(0));
    wants(back(returns(), true), Rule::Return, &Evidence::Capability);
}

/// Below a binder terms are identical.
#[test]
fn below_a_binder_nothing_is_proved() {
    let mut st = state();
    let n = any(&mut st);
    let package = |e: Term| {
        let body = record(8, vec![known(0, Word::Int(e))]);
        Rc::new(Mem::Ex { vars: 1, facts: vec![], body })
    };
    let bound = Term::var(Var::Bound(0));
    let differ = |a: Rc<Mem>, b: Rc<Mem>| {
        let mut out = vec![];
        judged(Teller::default(), |j| j.differ_mem(&a, &b, Rule::EntryEqual, &mut out))
    };
    differ(package(bound.clone()), package(bound.clone())).unwrap();
    differ(package(n.clone()), package(k(3))).unwrap();
    wants(differ(package(bound), package(n)), Rule::EntryEqual, &Evidence::Capability);
}

/// Terms that a hint brings are over integers in scope.
#[test]
fn terms_of_hints_are_in_scope() {
    let escaped = Term::var(Var::Free(9));
    let mut st = state();
    let x = address(&mut st);
    owned(&mut st, x, k(0), junk(k(8)));
    let split = |at: Term| ghosts(&mut st.clone(), &[Ghost::Split { entry: 0, at }]);
    split(k(4)).unwrap();
    wants(split(escaped), Rule::EntrySplit, &Evidence::BadHint);
}

/// An access to an array lies inside one element.
#[test]
fn an_access_lies_in_one_element() {
    let load = |c: u32| {
        let mut st = state();
        let x = address(&mut st);
        shared(&mut st, Mode::Ro, x, array(k(2), bytes(k(8))));
        let teller = Teller { element: Some((k(0), c)), ..Teller::default() };
        judged(teller, |j| {
            let at = Address::Mem(Base::Name(x), k(i64::from(c)));
            j.load(&mut st, &at, 4).map(drop)
        })
    };
    load(4).unwrap();
    wants(load(6), Rule::Shape, &Evidence::BadHint);
}

/// An entry that may not be there fits only a field that may be null.
#[test]
fn a_guarded_entry_fits_only_what_may_be_null() {
    let close = |nullable: bool| {
        let mut st = state();
        let p = address(&mut st);
        let x = name(&mut st, NameSet::NULLABLE);
        owned(&mut st, p, k(0), record(8, vec![known(0, ptr(x, k(0)))]));
        guarded(&mut st, vec![Guard::IsAddress(x)], x, k(0), u64s());
        let ty = FieldTy::Own { nullable, origin: None, mem: u64s() };
        ghosts(&mut st, &[Ghost::FieldClose { entry: 0, field: 0, ty }])
    };
    close(true).unwrap();
    wants(close(false), Rule::HasOwn, &Evidence::Capability);
}

/// A pop does not touch what is lent.
#[test]
fn a_pop_leaves_alone_what_is_lent() {
    let pop = |lends: bool| {
        let mut st = state();
        st.stack.delta = -8;
        st.stack.touched = -8;
        st.set_reg(Reg::Rsp, Word::Frame(-8));
        if lends {
            let c = address(&mut st);
            st.stack.lent = vec![Lent { offset: -8, size: 8, name: c }].into();
        }
        judged(Teller::default(), |j| j.pop(&mut st, Reg::Rax))
    };
    pop(false).unwrap();
    wants(pop(true), Rule::Pop, &Evidence::WrongSlot(-8));
}

/// What a slot cannot hold does not go back into the frame.
#[test]
fn what_owns_memory_does_not_go_back_into_the_frame() {
    let back = |field: tal_core::ty::Field| {
        let mut st = state();
        st.stack.delta = -8;
        st.stack.touched = -8;
        let c = address(&mut st);
        st.stack.lent = vec![Lent { offset: -8, size: 8, name: c }].into();
        owned(&mut st, c, k(0), record(8, vec![field]));
        ghosts(&mut st, &[Ghost::Uncarve { name: c, entry: 0 }])
    };
    back(int(0, 64, false)).unwrap();
    wants(back(own(0, false, None, u64s())), Rule::Uncarve, &Evidence::Capability);
}

/// A reference in data is to an object of the very type, also where that object's own type is not
/// one.
#[test]
fn a_reference_in_data_is_to_a_closed_type() {
    let words = 0x50_1000_u64.to_le_bytes();
    let there = [0; 8];
    let init = |n: Term| {
        let data = |address: u32, mem: Rc<Mem>, contents: &'static [u8]| Data {
            address,
            size: 8,
            kind: DataKind::Object { mem, mode: Mode::Ro },
            contents: Contents::Bytes(contents),
            writable: false,
        };
        let words: &'static [u8] = Vec::from(words).leak();
        let there: &'static [u8] = Vec::from(there).leak();
        let refers = record(8, vec![reference(0, false, Mode::Ro, bytes(k(8)))]);
        let objects = vec![data(0x50_0000, refers, words), data(0x50_1000, bytes(n), there)];
        judged_with(Teller::default(), objects, |j| j.data_init(DataId(0)))
    };
    init(k(8)).unwrap();
    wants(init(Term::var(Var::Free(0))), Rule::DataInit, &Evidence::IllFormed);
}

/// A guard that is false on one side only makes the two different.
#[test]
fn guards_exist_on_both_sides() {
    let mut st = state();
    let x = name(&mut st, NameSet::NULLABLE);
    let y = address(&mut st);
    let null = NameSet { address: false, ..NameSet::NULLABLE };
    judged(Teller::default(), |j| j.refine(&mut st, x, null)).unwrap();
    let entry = |guards: Vec<Guard>| Entry { guards, name: y, offset: k(0), mem: u64s() };
    let same = |have: Vec<Guard>, want: Vec<Guard>| {
        let (have, want) = (entry(have), entry(want));
        judged(Teller::default(), |j| j.same_entry(&mut st.clone(), &have, &want, Rule::Entail))
    };
    same(vec![Guard::IsAddress(x)], vec![Guard::IsAddress(x)]).unwrap();
    refused(same(vec![Guard::IsAddress(x)], vec![]), Rule::Entail);
    refused(same(vec![Guard::IsAddress(x)], vec![Guard::IsAddress(y)]), Rule::Entail);
    let mut st = st.clone();
    st.caps = vec![Cap::Entry(entry(vec![Guard::IsAddress(x)]))].into();
    refused(
        judged(Teller { take: [0].into(), ..Teller::default() }, |j| {
            j.take(&mut st, &Cap::Entry(entry(vec![])), Rule::Entail).map(drop)
        }),
        Rule::Entail,
    );
}

/// The view of a data object that a hint names exists.
#[test]
fn an_object_that_a_hint_names_exists() {
    let mut st = state();
    let ghost = Ghost::SizeFacts { of: Through::Data(DataId(0)) };
    refused(ghosts(&mut st, &[ghost]), Rule::SizeFacts);
}
