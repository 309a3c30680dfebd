//! Not trusted. What is not well formed (core.md 4.3), one thing each.

use crate::judges::*;
use crate::support::*;
use tal_core::counted::Rc;
use tal_core::error::{Error, Rule};
use tal_core::image::{Contents, Data, DataKind};
use tal_core::limits;
use tal_core::term::{Term, Var};
use tal_core::ty::{
    Base, Cap, DataId, Entry, Fact, FnId, Guard, Kind, Lent, Mem, Mode, NameSet, Post, Region, Sig,
    View, Word,
};

fn wf(sig: &Sig) -> Result<(), Error> {
    judged(Teller::default(), |judge| judge.wf_sig(sig))
}

fn far() -> Term {
    Term::var(Var::Free(99))
}

fn view(mem: Rc<Mem>) -> View {
    View {
        guards: vec![],
        region: Region::Always,
        mode: Mode::Ro,
        base: Base::Name(Var::Free(0)),
        offset: k(0),
        mem,
    }
}

fn entry(mem: Rc<Mem>) -> Cap {
    Cap::Entry(Entry { guards: vec![], name: Var::Free(0), offset: k(0), mem })
}

/// A function of one address and one integer.
fn plain() -> Sig {
    Sig { vars: vec![ADDRESS, Kind::INT], ..returns() }
}

fn seen(mem: Rc<Mem>) -> Sig {
    let mut sig = plain();
    sig.pre.views = vec![view(mem)];
    sig
}

/// Types in signatures.
#[test]
fn types_are_formed() {
    let cat = |a: Rc<Mem>, b: Rc<Mem>| Rc::new(Mem::Cat(a, b));
    let fields = |n: u32| record(8 * n, (0..n).map(|i| unset(8 * i, 8)).collect());
    for (good, bad) in [
        (array(k(1), u64s()), array(far(), u64s())),
        (cat(bytes(k(1)), u64s()), cat(cat(bytes(k(1)), u64s()), u64s())),
        (cat(bytes(k(1)), u64s()), cat(bytes(far()), u64s())),
        (cat(bytes(k(1)), u64s()), cat(bytes(k(1)), bytes(far()))),
        (named(PAIR, vec![k(1)]), named(PAIR, vec![])),
        (array(k(1), array(k(1), u64s())), array(k(1), array(Term::var(Var::Free(1)), u64s()))),
        (bytes(k(1)), bytes(k(-1))),
        (array(k(2), cat(junk(k(8)), u64s())), array(k(2), cat(junk(k(-4)), bytes(k(8))))),
        (fields(256), fields(257)),
    ] {
        wf(&seen(good)).unwrap();
        wf(&seen(bad)).unwrap_err();
    }
}

fn not(rule: Rule, change: impl FnOnce(&mut Sig)) {
    let mut sig = plain();
    wf(&sig).unwrap();
    change(&mut sig);
    refused(wf(&sig), rule);
}

/// Signatures.
#[test]
fn signatures_are_formed() {
    let guard = || Guard::Range(far(), 0, 1);
    let with = |f: &dyn Fn(&mut View)| {
        let mut v = view(u64s());
        f(&mut v);
        v
    };
    let rule = Rule::WfGuard;
    not(rule, |s| s.pre.views = vec![with(&|v| v.guards = vec![guard()])]);
    not(rule, |s| s.pre.views = vec![with(&|v| v.base = Base::Name(Var::Free(1)))]);
    not(rule, |s| s.pre.views = vec![with(&|v| v.base = Base::Code(FnId(0)))]);
    not(rule, |s| s.pre.views = vec![with(&|v| v.base = Base::Data(DataId(0)))]);
    not(rule, |s| s.pre.views = vec![with(&|v| v.offset = far())]);
    not(rule, |s| {
        let Cap::Entry(mut e) = entry(u64s()) else { panic!() };
        e.offset = far();
        s.pre.caps = vec![Cap::Entry(e)];
    });
    let rule = Rule::WfSig;
    not(rule, |s| s.pre.views = vec![view(u64s()); limits::VIEWS + 1]);
    not(rule, |s| s.pre.caps = vec![entry(u64s()); limits::CAPS + 1]);
    not(rule, |s| s.pre.caps = vec![Cap::Store(Var::Free(1))]);
    not(rule, |s| s.pre.facts = vec![ge(far())]);
    not(rule, |s| s.pre.facts = vec![ge(k(0)); limits::FACTS + 1]);
    not(rule, |s| {
        s.pre.args = (1..=65).map(|i| (8 * i, Word::Junk)).collect();
    });
    not(Rule::WfWordType, |s| s.pre.args = vec![(8, Word::Int(far()))]);
    not(Rule::WfWordType, |s| s.pre.args = vec![(8, Word::Frame(0))]);
    not(Rule::WfWordType, |s| s.pre.args = vec![(8, Word::Ptr(Base::Data(DataId(0)), k(0)))]);
    not(Rule::WfWordType, |s| s.pre.args = vec![(8, Word::Ptr(Base::Code(FnId(0)), k(0)))]);
    not(rule, |s| s.vars.resize(limits::SIG_VARS + 1, Kind::INT));
    not(rule, |s| {
        s.vars.extend([Kind::Store, Kind::Store]);
        s.pre.caps = vec![Cap::Store(Var::Free(2)), Cap::Store(Var::Free(3))];
    });
    not(rule, |s| {
        let set = NameSet { address: false, ..NameSet::NULLABLE };
        let vars = vec![Kind::Addr { set, block: None }];
        s.post = Some(Post { vars, state: assertion() });
    });
    not(rule, |s| {
        s.vars.push(Kind::Store);
        s.pre.caps = vec![Cap::Store(Var::Free(2))];
        let mut called = never();
        called.pre.caps = vec![Cap::Store(Var::Free(2)), Cap::Store(Var::Free(2))];
        s.vars.push(Kind::Code(Rc::new(called)));
    });
}

/// Labels of that function.
#[test]
fn labels_are_formed() {
    let wf = |l: &LabelState| judged(Teller::default(), |judge| wf_label(judge, &plain(), l));
    let start = || LabelState { delta: -64, touched: -64, ..label(vec![ADDRESS]) };
    wf(&start()).unwrap();
    let lent = |offset: i64, size: i64| Lent { offset, size, name: Var::Free(2) };
    wf(&LabelState { lent: vec![lent(-64, 16)], ..start() }).unwrap();
    let junk = |n: i64| (0..n).map(|i| (-64 + 8 * i, Word::Int(k(0)))).collect::<Vec<_>>();
    let region = Kind::Region;
    let token = |mem: Rc<Mem>| {
        let Cap::Entry(e) = entry(mem) else { panic!() };
        Cap::Token(Var::Free(3), e)
    };
    let lends = LabelState { vars: vec![ADDRESS, region], ..start() };
    wf(&LabelState { caps: vec![token(u64s())], ..lends.clone() }).unwrap();
    let set = NameSet { address: false, small: [Some((1, 0)), None] };
    let odd = Kind::Addr { set, block: None };
    for bad in [
        LabelState { delta: -65544, touched: -65536, ..start() },
        LabelState { delta: 8, touched: 0, ..start() },
        LabelState { delta: -60, touched: -64, ..start() },
        LabelState { slots: vec![(65544, Word::Int(k(0)))], ..start() },
        LabelState { slots: junk(65), ..start() },
        LabelState { slots: vec![(0, Word::Frame(65544))], ..start() },
        LabelState { lent: vec![lent(-64, 0)], ..start() },
        LabelState { lent: vec![lent(-60, 8)], ..start() },
        LabelState { lent: vec![lent(-64, 12)], ..start() },
        LabelState {
            delta: -1024,
            touched: -1024,
            lent: (0..65).map(|i| lent(-1024 + 8 * i, 8)).collect(),
            ..start()
        },
        LabelState { facts: vec![ge(k(0)); limits::FACTS + 1], ..start() },
        LabelState { facts: vec![ge(far()) as Fact], ..start() },
        LabelState { views: vec![view(u64s()); limits::VIEWS + 1], ..start() },
        LabelState { views: vec![view(bytes(far()))], ..start() },
        LabelState { caps: vec![entry(u64s()); limits::CAPS + 1], ..start() },
        LabelState { caps: vec![token(bytes(far()))], ..lends.clone() },
        LabelState { vars: vec![odd], ..start() },
    ] {
        wf(&bad).unwrap_err();
    }
}

/// Data objects, asked one by one.
#[test]
fn data_is_formed() {
    let object = |mem: Rc<Mem>, mode: Mode, size: u32, bytes: &[u8], writable: bool| {
        let data = Data {
            address: 0x50_0000,
            size,
            kind: DataKind::Object { mem, mode },
            contents: Contents::Bytes(bytes),
            writable,
        };
        judged_with(Teller::default(), vec![data], |j| {
            j.data_object(DataId(0))?;
            j.data_init(DataId(0))
        })
    };
    object(u64s(), Mode::Rw, 8, &[0; 8], true).unwrap();
    refused(object(u64s(), Mode::Rw, 8, &[0; 8], false), Rule::DataObject);
    refused(object(u64s(), Mode::Rw, 8, &[0; 16], true), Rule::DataInit);
    let late = || record(16, vec![reference(8, true, Mode::Ro, u64s())]);
    object(late(), Mode::Rw, 16, &[0; 16], true).unwrap();
    let mut gap = [0; 16];
    gap[0] = 1;
    refused(object(late(), Mode::Rw, 16, &gap, true), Rule::DataInit);
    let table = |bytes: &[u8], size: u32| {
        let data = Data {
            address: 0x50_0000,
            size,
            kind: DataKind::Table { function: FnId(0) },
            contents: Contents::Bytes(bytes),
            writable: false,
        };
        judged_with(Teller::default(), vec![data], |j| j.table_object(DataId(0)))
    };
    refused(table(&[], 0), Rule::TableObject);
}
