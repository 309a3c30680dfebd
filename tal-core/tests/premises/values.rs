//! Not trusted. Values that hints bring, what a certificate says, frames, and bounds.

use crate::judges::*;
use crate::support::*;
use tal_core::counted::Rc;
use tal_core::error::{Error, Kind as Evidence, Rule};
use tal_core::hint::{Ghost, Inst, Place, Step, Through};
use tal_core::image::{Contents, Data, DataKind, Function, Image};
use tal_core::judge::{Judge, Own};
use tal_core::rules::apply::Callee;
use tal_core::state::{FlagKind, FlagSet, Flags, State};
use tal_core::term::{Term, Var};
use tal_core::ty::{
    Base, Cap, DataId, Entry, Fact, FieldTy, FnId, Guard, Kind, Lent, Mode, NameSet, Reg, Region,
    Rel, Word,
};

/// Refused for want of just this.
fn wants(r: Result<(), Error>, rule: Rule, kind: &Evidence) {
    let error = r.expect_err("must be refused");
    assert_eq!((error.rule, &error.kind), (rule, kind));
}

fn teller(theta: Vec<Inst>) -> Teller {
    Teller { insts: [theta].into(), ..Teller::default() }
}

/// What a label is told has the kind that it declares, and as many values.
#[test]
fn a_value_is_of_its_kind() {
    let mut st = state();
    let x = name(&mut st, NameSet { address: true, small: [Some((-4, -1)), None] });
    let n = any(&mut st);
    let byte = between(&mut st, 0, 255);
    let to = |vars: Vec<Kind>, theta: Vec<Inst>| entail(&st, label(vars), theta);
    let wide = |low: i16, high: i16| Kind::Addr {
        set: NameSet { address: true, small: [Some((low, high)), None] },
        block: None,
    };
    let here = || Inst::Ptr(Base::Name(x), k(0));
    to(vec![wide(-4, -1)], vec![here()]).unwrap();
    to(vec![wide(-9, -1)], vec![here()]).unwrap();
    refused(to(vec![wide(-3, -1)], vec![here()]), Rule::Apply);
    refused(to(vec![wide(-4, -2)], vec![here()]), Rule::Apply);
    wants(
        to(vec![wide(-4, -1)], vec![Inst::Ptr(Base::Name(x), k(8))]),
        Rule::Apply,
        &Evidence::Undecided(x),
    );
    to(vec![Kind::INT], vec![Inst::Int(n.clone())]).unwrap();
    let to_byte = |low: i128, high: i128| {
        to(vec![Kind::Int(within(low, high))], vec![Inst::Int(byte.clone())])
    };
    to_byte(0, 255).unwrap();
    to_byte(-1, 256).unwrap();
    for (low, high) in [(1, 255), (0, 254), (256, 300), (255, 0)] {
        refused(to_byte(low, high), Rule::Entail);
    }
    refused(to(vec![Kind::INT], vec![]), Rule::Apply);
    refused(to(vec![], vec![Inst::Int(n.clone())]), Rule::Apply);
    refused(to(vec![Kind::INT], vec![Inst::Int(Term::var(Var::Free(9)))]), Rule::Apply);
    refused(to(vec![Kind::INT], vec![Inst::Int(Term::var(x))]), Rule::Apply);
    refused(to(vec![Kind::Region], vec![Inst::Region(Region::Var(x))]), Rule::Apply);
    let code = |base: Base| to(vec![Kind::Code(Rc::new(never()))], vec![Inst::Code(base)]);
    refused(code(Base::Name(x)), Rule::Apply);
    refused(code(Base::Data(DataId(0))), Rule::Apply);
}

/// What is lent at a label is at its place and of its size.
#[test]
fn what_is_lent_is_at_its_place() {
    let to = |offset: i64, size: i64, at: i64| {
        let mut st = state();
        st.stack.delta = -32;
        st.stack.touched = -32;
        let c = address(&mut st);
        st.stack.lent = vec![Lent { offset: -32, size: 16, name: c }].into();
        owned(&mut st, c, k(0), bytes(k(16)));
        let vars = vec![ADDRESS];
        let mut l = LabelState { delta: -32, touched: -32, ..label(vars) };
        l.lent = vec![Lent { offset, size, name: Var::Free(0) }];
        let entry = Entry { guards: vec![], name: Var::Free(0), offset: k(-at), mem: bytes(k(16)) };
        l.caps = vec![Cap::Entry(entry)];
        let told =
            Teller { access: [Through::Entry(0)].into(), take: [0].into(), ..Teller::default() };
        let theta = vec![Inst::Ptr(Base::Name(c), k(at))];
        entail_told(&st, l, Teller { insts: [theta].into(), ..told })
    };
    to(-32, 16, 0).unwrap();
    refused(to(-24, 16, 0), Rule::Entail);
    refused(to(-32, 8, 0), Rule::Entail);
    refused(to(-32, 16, 8), Rule::Entail);
}

/// Certificates: an inequality is no equation, nor the other way round.
#[test]
fn a_fact_proves_what_it_says() {
    let mut st = state();
    let n = any(&mut st);
    let ne = |term: Term| Fact { rel: Rel::Ne, term };
    let proves = |st: &State| {
        judged(Teller::default(), |j| j.prove(&mut st.clone(), &ne(n.clone()), Rule::Shape))
    };
    st.facts = vec![ne(n.clone())];
    proves(&st).unwrap();
    st.facts = vec![ge(n.clone())];
    refused(proves(&st), Rule::Shape);
    let step = |facts: Vec<Fact>, step: Step| {
        let mut st = st.clone();
        st.facts = facts;
        judged(Teller::default(), |j| j.step(&mut st, &step))
    };
    let neq = || Step::Neq { fact: 1, positive: true };
    step(vec![ge(n.clone()), ne(n.clone())], neq()).unwrap();
    refused(step(vec![ge(n.clone()), ge(n.clone())], neq()), Rule::StepNeq);
    let mut st = state();
    let four = (0..4).fold(k(0), |sum, _| sum.add(&any(&mut st)).unwrap());
    let product = |a: Term, b: Term| {
        let mut st = st.clone();
        st.facts = vec![ge(a), ge(b)];
        judged(Teller::default(), |j| j.step(&mut st, &Step::Product(0, 1)))
    };
    let one = Term::var(Var::Free(0));
    product(one.clone(), one.clone()).unwrap();
    refused(product(four.clone(), one.clone()), Rule::StepProd);
    refused(product(one, four), Rule::StepProd);
}

/// A table is no object that anything points to.
#[test]
fn a_table_has_no_value() {
    let to = |kind: DataKind| {
        let interface = interface();
        let data =
            Data { address: 0x50_0000, size: 8, kind, contents: Contents::Zero, writable: false };
        let image = Image {
            functions: vec![Function { offset: 0, sig: 0 }],
            labels: vec![4],
            data: vec![data],
            ..bare()
        };
        let told = teller(vec![Inst::Ptr(Base::Data(DataId(0)), k(0))]);
        let mut judge = Judge::new(&image, &interface, told, 1 << 20);
        judge.own = Own::function(Some(FnId(0)), Rc::new(never()));
        entail_at(&mut judge, &mut state(), &label(vec![ADDRESS]))
    };
    to(DataKind::Object { mem: u64s(), mode: Mode::Ro }).unwrap();
    refused(to(DataKind::Table { function: FnId(0) }), Rule::Apply);
}

/// What is handed over as a set is named once, in order; and a stack argument is what is wanted.
#[test]
fn a_callee_gets_what_it_asks_for() {
    let mut st = state();
    let (x, y) = (address(&mut st), address(&mut st));
    owned(&mut st, x, k(0), u64s());
    owned(&mut st, y, k(0), u64s());
    let mut sig = never();
    sig.vars = vec![Kind::Store];
    sig.pre.caps = vec![Cap::Store(Var::Free(0))];
    let call = |st: &mut State, sig: &tal_core::ty::Sig, theta: Vec<Inst>| {
        let interface = interface();
        let image = Image {
            sigs: vec![Rc::new(sig.clone())],
            functions: vec![Function { offset: 0, sig: 0 }],
            ..bare()
        };
        let mut judge = Judge::new(&image, &interface, teller(theta), 1 << 20);
        judge.call(st, 0, 5, Callee::Function(FnId(0))).map(drop)
    };
    call(&mut st.clone(), &sig, vec![Inst::Store(vec![0, 1])]).unwrap();
    refused(call(&mut st, &sig, vec![Inst::Store(vec![1, 0])]), Rule::Apply);
    let pushed = |word: i64| {
        let mut st = state();
        st.stack.delta = -16;
        st.stack.touched = -16;
        st.set_reg(Reg::Rsp, Word::Frame(-16));
        st.set_slot(-16, Word::Int(k(word)));
        let mut sig = never();
        sig.pre.args = vec![(8, Word::Int(k(5)))];
        call(&mut st, &sig, vec![])
    };
    pushed(5).unwrap();
    refused(pushed(4), Rule::CallNever);
}

/// Whom a register calls is an entry, not a place behind one.
#[test]
fn a_register_calls_an_entry() {
    let call = |offset: i64| {
        let interface = interface();
        let image = Image {
            text: &[0xFF, 0xD0], // call rax
            functions: vec![Function { offset: 0, sig: 0 }],
            ..bare()
        };
        let mut st = state();
        st.set_reg(Reg::Rax, Word::Ptr(Base::Code(FnId(0)), k(offset)));
        Judge::new(&image, &interface, teller(vec![]), 1 << 20).exec(&mut st, 0).map(drop)
    };
    call(0).unwrap();
    refused(call(4), Rule::Call);
}

/// A word that happens to be written like the wanted one is not that one under theta.
#[test]
fn a_pointer_is_wanted_under_theta() {
    let mut st = state();
    let (n, m) = (any(&mut st), any(&mut st));
    let at = |t: &Term| Word::Ptr(Base::Data(DataId(0)), t.clone());
    st.set_reg(Reg::Rax, at(&n));
    let to = |theta: &Term| {
        let mut l = label(vec![Kind::INT]);
        l.regs[Reg::Rax as usize] = at(&Term::var(Var::Free(0)));
        entail(&st, l, vec![Inst::Int(theta.clone())])
    };
    to(&n).unwrap();
    refused(to(&m), Rule::Entail);
}

/// Guards: one that is false is not proved, flags of a name end with it, only names are narrowed,
/// and a range is the same range of the same term.
#[test]
fn guards_are_what_is_known_of_names() {
    let null = NameSet { address: false, ..NameSet::NULLABLE };
    let mut st = state();
    let x = name(&mut st, NameSet::NULLABLE);
    let y = address(&mut st);
    let n = any(&mut st);
    st.set_flags(Flags { kind: FlagKind::Pick(x, 0), readable: FlagSet::NONE });
    let refine = |st: &mut State, v: Var| judged(Teller::default(), |j| j.refine(st, v, null));
    let index = declare(&mut st, Kind::INT);
    let word = declare(&mut st, Kind::Word);
    refused(refine(&mut st.clone(), index), Rule::NameNarrow);
    refused(refine(&mut st.clone(), word), Rule::NameNarrow);
    refine(&mut st, x).unwrap();
    assert_eq!(st.flags().kind, FlagKind::None);
    owned(&mut st, y, k(0), u64s());
    let add =
        |guard: Guard| ghosts(&mut st.clone(), &[Ghost::GuardAdd { of: Through::Entry(0), guard }]);
    add(Guard::IsAddress(y)).unwrap();
    wants(add(Guard::IsAddress(x)), Rule::GuardAdd, &Evidence::Capability);
    let same = |a: Term, b: Term| {
        let entry = |t: Term| Entry {
            guards: vec![Guard::Range(t, 0, 1)],
            name: y,
            offset: k(0),
            mem: u64s(),
        };
        judged(Teller::default(), |j| {
            j.same_entry(&mut st.clone(), &entry(a), &entry(b), Rule::Entail)
        })
    };
    same(n.clone(), n.clone()).unwrap();
    refused(same(n.clone(), n.plus(1).unwrap()), Rule::Entail);
}

/// What is put where a type is promised.
#[test]
fn a_word_gets_a_type_that_it_has() {
    let mut st = state();
    let has = |st: &State, word: Word, ty: FieldTy| {
        judged(Teller::default(), |j| j.has_type(&mut st.clone(), &word, &ty))
    };
    let five = || Word::Int(k(5));
    has(&st, five(), FieldTy::Known(five())).unwrap();
    for local in [Word::Junk, Word::Frame(0), Word::ReturnAddress, Word::Saved(Reg::Rbx)] {
        let ty = FieldTy::Known(local.clone());
        wants(has(&st, local, ty), Rule::HasKnown, &Evidence::IllFormed);
    }
    let refers = |nullable: bool| FieldTy::Ref { nullable, mode: Mode::Ro, mem: u64s() };
    for v in [address(&mut st), name(&mut st, NameSet::NULLABLE), declare(&mut st, Kind::Word)] {
        let view = shared(&mut st, Mode::Ro, v, u64s());
        st.views[usize::from(view)].guards = vec![Guard::IsAddress(v)];
    }
    let at = |i: u16| ptr(Var::Free(i), k(0));
    has(&st, at(0), refers(false)).unwrap();
    has(&st, at(1), refers(true)).unwrap();
    wants(has(&st, at(1), refers(false)), Rule::HasRef, &Evidence::Undecided(Var::Free(1)));
    wants(has(&st, at(2), refers(true)), Rule::HasRef, &Evidence::Undecided(Var::Free(2)));
}

/// Terms by which hints rename a word are over integers in scope.
#[test]
fn other_terms_for_the_same_are_in_scope() {
    let far = Term::var(Var::Free(9));
    let mut st = state();
    st.set_reg(Reg::Rax, Word::Int(k(8)));
    let word = |t: &Term| {
        let word = Word::Int(t.clone());
        Ghost::EqualWord { place: Place::Reg(Reg::Rax), word }
    };
    ghosts(&mut st.clone(), &[word(&k(8))]).unwrap();
    wants(ghosts(&mut st, &[word(&far)]), Rule::EntryEqual, &Evidence::BadHint);
}

/// A named type has as many arguments as it says.
#[test]
fn a_named_type_has_its_arguments() {
    let mut st = state();
    let x = address(&mut st);
    let one = eq(Term::var(Var::Value).plus(-1).unwrap());
    owned(&mut st, x, k(0), record(8, vec![int(0, 32, false), refined(4, 32, false, vec![one])]));
    let fold =
        |args: Vec<Term>| ghosts(&mut st.clone(), &[Ghost::Fold { entry: 0, ty: PAIR, args }]);
    fold(vec![k(1)]).unwrap();
    refused(fold(vec![k(1), k(1)]), Rule::EntryFold);
}
