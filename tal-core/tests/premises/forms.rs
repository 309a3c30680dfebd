//! Not trusted. More that is not well formed (core.md 4.3): what stands in an interface, in labels
//! beside their function, in elements of arrays; and the bounds of a state.

use crate::judges::*;
use crate::support::*;
use tal_core::counted::Rc;
use tal_core::error::{Error, Rule};
use tal_core::image::{Contents, Data, DataKind, Interface};
use tal_core::judge::Judge;
use tal_core::limits;
use tal_core::term::{Term, Var};
use tal_core::ty::{
    Base, Cap, DataId, Entry, FnId, Kind, Mem, Mode, NameSet, NamedType, Region, Sig, View,
};
use tal_write::state_at;

fn view(base: Base, mem: Rc<Mem>) -> View {
    View { guards: vec![], region: Region::Always, mode: Mode::Ro, base, offset: k(0), mem }
}

fn seen(view: View) -> Sig {
    let mut sig = Sig { vars: vec![ADDRESS, Kind::INT], ..never() };
    sig.pre.views = vec![view];
    sig
}

/// Each part of an element has a constant size.
#[test]
fn elements_are_cut_without_proof() {
    let n = || Term::var(Var::Free(1));
    let rest = |all: i64| k(all).sub(&n()).unwrap();
    let of = |first: Rc<Mem>, second: Rc<Mem>| {
        let mem = array(k(2), cat(first, second));
        judged(Teller::default(), |j| j.wf_sig(&seen(view(Base::Name(Var::Free(0)), mem))))
    };
    of(array(k(1), u64s()), array(k(1), u64s())).unwrap();
    of(bytes(k(1)), bytes(k(7))).unwrap();
    refused(of(array(n(), u64s()), array(rest(2), u64s())), Rule::WfSize);
    refused(of(bytes(n()), bytes(rest(8))), Rule::WfSize);
}

/// A table of addresses is nothing to read.
#[test]
fn a_view_is_of_an_object() {
    let of = |kind: DataKind| {
        let data =
            Data { address: 0x50_0000, size: 8, kind, contents: Contents::Zero, writable: false };
        let sig = seen(view(Base::Data(DataId(0)), u64s()));
        judged_with(Teller::default(), vec![data], |j| j.wf_sig(&sig))
    };
    of(DataKind::Object { mem: u64s(), mode: Mode::Ro }).unwrap();
    refused(of(DataKind::Table { function: FnId(0) }), Rule::WfGuard);
}

/// What a code parameter takes as a set is a set.
#[test]
fn a_store_is_declared_as_one() {
    let takes = |i: u16| {
        let mut called = never();
        called.pre.caps = vec![Cap::Store(Var::Free(i))];
        let mut sig = Sig { vars: vec![Kind::INT, Kind::Store], ..never() };
        sig.pre.caps = vec![Cap::Store(Var::Free(1))];
        sig.vars.push(Kind::Code(Rc::new(called)));
        judged(Teller::default(), |j| j.wf_sig(&sig))
    };
    takes(1).unwrap();
    refused(takes(0), Rule::WfSig);
}

/// All of an interface is well formed, and who starts never returns.
#[test]
fn an_interface_is_well_formed() {
    let wf = |start: Sig, import: Sig| {
        let imports = vec![Rc::new(import)];
        let interface = Interface { start: Rc::new(start), imports, ..interface() };
        Judge::new(&bare(), &interface, Teller::default(), 1 << 20).wf_interface()
    };
    let ill = || Sig { vars: vec![Kind::INT; limits::SIG_VARS + 1], ..never() };
    wf(never(), returns()).unwrap();
    refused(wf(returns(), never()), Rule::WfSig);
    refused(wf(ill(), never()), Rule::WfSig);
    refused(wf(never(), ill()), Rule::WfSig);
}

/// So many types, and no more.
#[test]
fn types_are_bounded() {
    let many = |n: usize| {
        let named =
            NamedType { arity: 0, size: 8, zero_ok: true, plain: true, owns: false, body: u64s() };
        let interface = Interface { types: vec![named; n], ..interface() };
        Judge::new(&bare(), &interface, Teller::default(), 1 << 20).wf_types()
    };
    many(limits::TYPES).unwrap();
    refused(many(limits::TYPES + 1), Rule::WfNamed);
}

/// Facts of a label stand beside those of its function.
#[test]
fn facts_of_function_and_label_are_bounded() {
    let wf = |n: usize| {
        let mut sig = never();
        sig.pre.facts = vec![ge(k(0))];
        let l = LabelState { facts: vec![ge(k(0)); n], ..label(vec![]) };
        judged(Teller::default(), |j| wf_label(j, &sig, &l))
    };
    wf(limits::FACTS - 1).unwrap();
    refused(wf(limits::FACTS), Rule::WfLabel);
}

/// What a label narrows a name to is a set: intervals in order, each once.
#[test]
fn a_refinement_is_a_set() {
    let (low, high) = (Some((-4, -1)), Some((1, 2)));
    let kind = Kind::Addr { set: NameSet { address: true, small: [low, high] }, block: None };
    let sig = Sig { vars: vec![kind], ..never() };
    let wf = |small: [Option<(i16, i16)>; 2]| {
        let set = NameSet { address: false, small };
        let l = LabelState { refinements: vec![(Var::Free(0), set)], ..label(vec![]) };
        judged(Teller::default(), |j| wf_label(j, &sig, &l))
    };
    wf([low, high]).unwrap();
    wf([high, None]).unwrap();
    for small in [[high, low], [low, low], [None, low]] {
        refused(wf(small), Rule::WfLabel);
    }
}

/// A state holds so much, and no more.
#[test]
fn a_state_is_bounded() {
    let begin = |l: LabelState| -> Result<(), Error> {
        judged_at(Teller::default(), |j| state_at(j, FnId(0), &l).map(drop))
    };
    let entry = Cap::Entry(Entry { guards: vec![], name: Var::Free(0), offset: k(0), mem: u64s() });
    let named = view(Base::Name(Var::Free(0)), u64s());
    let ints = || vec![Kind::INT; 2];
    let apart = ge(Term::var(Var::Free(0)).sub(&Term::var(Var::Free(1))).unwrap());
    // What speaks of one integer is no fact of the state.
    let bounds = vec![ge(Term::var(Var::Free(0))); limits::FACTS + 1];
    let begun = LabelState { facts: bounds, ..label(ints()) };
    let st = judged_at(Teller::default(), |j| state_at(j, FnId(0), &begun)).unwrap();
    assert!(st.facts.is_empty() && st.bounds(Var::Free(0)).unwrap().low() == Some(0));
    for over in [0, 1] {
        for l in [
            LabelState { facts: vec![apart.clone(); limits::FACTS + over], ..label(ints()) },
            LabelState { views: vec![named.clone(); limits::VIEWS + over], ..label(vec![]) },
            LabelState { caps: vec![entry.clone(); limits::CAPS + over], ..label(vec![]) },
            label(vec![Kind::INT; limits::SCOPE_VARS + over]),
        ] {
            if over == 0 {
                begin(l).unwrap();
            } else {
                refused(begin(l), Rule::Limit);
            }
        }
    }
}
