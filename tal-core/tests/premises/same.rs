//! Not trusted. What is the same (core.md 4.5, 4.12): pairs that differ in one thing each.

use crate::judges::*;
use crate::support::*;
use tal_core::counted::Rc;
use tal_core::error::{Error, Rule};
use tal_core::hint::Ghost;
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{
    Base, Cap, Entry, Fact, FieldTy, Guard, Kind, Mem, Mode, Post, Reg, Region, Rel, Sig, View,
    Word,
};

const RULE: Rule = Rule::Entail;

fn differ(a: &Rc<Mem>, b: &Rc<Mem>) -> Result<(), Error> {
    let mut out = vec![];
    judged(Teller::default(), |j| j.differ_mem(a, b, RULE, &mut out))
}

/// Memory of another shape is other memory.
#[test]
fn memory_is_of_its_shape() {
    let package = |vars: u16, facts: Vec<Fact>| {
        Rc::new(Mem::Ex { vars, facts, body: record(8, vec![int(0, 64, false)]) })
    };
    let fact = |rel: Rel| Fact { rel, term: Term::var(Var::Bound(0)) };
    let unset = |bytes: u8| record(8, vec![field(0, FieldTy::Junk(bytes))]);
    let cat = |a: Rc<Mem>, b: Rc<Mem>| Rc::new(Mem::Cat(a, b));
    let word = |w: Word| record(8, vec![known(0, w)]);
    let refined = |facts: Vec<Fact>| {
        record(8, vec![field(0, FieldTy::Int { bits: 64, signed: false, facts })])
    };
    let pairs = [
        (record(8, vec![int(0, 64, false)]), record(16, vec![int(0, 64, false)])),
        (
            record(16, vec![int(0, 64, false)]),
            record(16, vec![int(0, 64, false), int(8, 64, false)]),
        ),
        (record(16, vec![int(0, 64, false)]), record(16, vec![int(8, 64, false)])),
        (record(8, vec![int(0, 64, false)]), record(8, vec![int(0, 32, false)])),
        (array(k(1), u64s()), array(k(2), u64s())),
        (cat(bytes(k(1)), bytes(k(8))), cat(junk(k(1)), bytes(k(8)))),
        (cat(bytes(k(1)), bytes(k(8))), cat(bytes(k(1)), junk(k(8)))),
        (package(1, vec![]), package(2, vec![])),
        (package(1, vec![fact(Rel::Ge)]), package(1, vec![])),
        (package(1, vec![fact(Rel::Ge)]), package(1, vec![fact(Rel::Ne)])),
        (refined(vec![]), refined(vec![ge(Term::var(Var::Value))])),
        (named(PAIR, vec![k(1)]), named(PAIR, vec![])),
        (named(PAIR, vec![k(1)]), named(PAIR, vec![k(2)])),
        (named(PAIR, vec![]), named(NODE, vec![])),
        (unset(4), unset(8)),
        (word(Word::Frame(0)), word(Word::Frame(8))),
        (word(Word::Saved(tal_core::ty::Reg::Rbx)), word(Word::Saved(tal_core::ty::Reg::Rbp))),
        (word(Word::Int(k(0))), word(Word::Junk)),
        (bytes(k(8)), junk(k(8))),
    ];
    for (a, b) in pairs {
        differ(&a, &a.clone()).unwrap();
        refused(differ(&a, &b), RULE);
        refused(differ(&b, &a), RULE);
    }
}

fn field(offset: u32, ty: FieldTy) -> tal_core::ty::Field {
    tal_core::ty::Field { offset, writable: true, ty }
}

/// A signature with everything in it.
fn full() -> Sig {
    let mut sig = Sig { post: Some(Post { vars: vec![Kind::INT], state: assertion() }), ..never() };
    let address = Kind::Addr { set: tal_core::ty::NameSet::ADDRESS, block: None };
    sig.vars = vec![address, Kind::Store, Kind::Int(within(0, 9))];
    for a in [&mut sig.pre, &mut sig.post.as_mut().unwrap().state] {
        a.facts = vec![ge(Term::var(Var::Inner(0)))];
        a.args = vec![(8, Word::Int(k(0)))];
        a.regs.set(Reg::Rax, Word::Int(k(1)));
        a.views = vec![View {
            guards: vec![],
            region: Region::Always,
            mode: Mode::Ro,
            base: Base::Name(Var::Inner(0)),
            offset: k(0),
            mem: u64s(),
        }];
        let entry = Entry { guards: vec![], name: Var::Inner(0), offset: k(0), mem: u64s() };
        a.caps = vec![Cap::Entry(entry), Cap::Store(Var::Inner(1))];
    }
    sig
}

type Change = Box<dyn Fn(&mut Sig)>;

/// A signature is another one if it differs in anything.
/// Attack s11.
#[test]
fn a_signature_is_the_same_in_everything() {
    let same = |b: &Sig| judged(Teller::default(), |j| j.same_sig(&full(), b, RULE));
    same(&full()).unwrap();
    let post = |sig: &mut Sig| sig.post.clone().unwrap();
    let changes: Vec<Change> = vec![
        Box::new(|s| s.vars.push(Kind::INT)),
        Box::new(|s| s.vars[0] = Kind::Word),
        Box::new(|s| s.vars[2] = Kind::Int(within(0, 8))),
        Box::new(|s| s.vars[2] = Kind::Int(within(1, 9))),
        Box::new(|s| s.vars[2] = Kind::INT),
        Box::new(|s| s.post.as_mut().unwrap().vars[0] = Kind::Int(within(0, 9))),
        Box::new(|s| s.post = None),
        Box::new(move |s| s.post = Some(Post { vars: vec![], ..post(s) })),
        Box::new(move |s| s.post = Some(Post { vars: vec![Kind::Word], ..post(s) })),
        Box::new(|s| s.post.as_mut().unwrap().state.regs.set(Reg::Rax, Word::Int(k(2)))),
        Box::new(|s| s.pre.facts.clear()),
        Box::new(|s| s.pre.facts[0].rel = Rel::Eq),
        Box::new(|s| s.pre.regs.set(Reg::Rax, Word::Int(k(2)))),
        Box::new(|s| s.pre.regs.set(Reg::Rcx, Word::Int(k(1)))),
        Box::new(|s| {
            s.pre.regs.set(Reg::Rax, Word::Junk);
            s.pre.regs.set(Reg::Rcx, Word::Int(k(1)));
        }),
        Box::new(|s| s.pre.args.clear()),
        Box::new(|s| s.pre.args[0].0 = 16),
        Box::new(|s| s.pre.args[0].1 = Word::Int(k(1))),
        Box::new(|s| s.pre.views.clear()),
        Box::new(|s| s.pre.views[0].base = Base::Name(Var::Inner(1))),
        Box::new(|s| s.pre.views[0].offset = k(8)),
        Box::new(|s| s.pre.views[0].mem = bytes(k(8))),
        Box::new(|s| s.pre.caps.truncate(1)),
        Box::new(|s| s.pre.caps.reverse()),
        Box::new(|s| s.pre.caps[1] = Cap::Store(Var::Inner(0))),
        Box::new(|s| change(s, |e| e.name = Var::Inner(1))),
        Box::new(|s| change(s, |e| e.guards = vec![Guard::Range(k(0), 0, 0)])),
        Box::new(|s| change(s, |e| e.offset = k(8))),
        Box::new(|s| change(s, |e| e.mem = bytes(k(8)))),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut other = full();
        change(&mut other);
        let error = same(&other).expect_err(&format!("change {number}"));
        assert_eq!(error.rule, RULE);
    }
}

fn change(sig: &mut Sig, f: impl FnOnce(&mut Entry)) {
    let Cap::Entry(entry) = &mut sig.pre.caps[0] else { panic!() };
    f(entry);
}

/// Views at another place, and guards on other terms.
#[test]
fn views_and_guards_are_the_same() {
    let mut st = state();
    let (x, y) = (address(&mut st), address(&mut st));
    let (n, m) = (any(&mut st), any(&mut st));
    let view = |base, term: &Term| View {
        guards: vec![Guard::Range(term.clone(), 0, 1)],
        region: Region::Always,
        mode: Mode::Ro,
        base: Base::Name(base),
        offset: k(0),
        mem: u64s(),
    };
    let same = |a: &View, b: &View| {
        judged(Teller::default(), |j| j.same_view(&mut st.clone(), a, b, RULE))
    };
    same(&view(x, &n), &view(x, &n)).unwrap();
    refused(same(&view(x, &n), &view(y, &n)), RULE);
    refused(same(&view(x, &n), &view(x, &m)), RULE);
    let store = |st: &mut State, other: bool| {
        let (r, s) = (declare(st, Kind::Store), declare(st, Kind::Store));
        st.caps = vec![Cap::Store(r)].into();
        let wanted = Cap::Store(if other { s } else { r });
        let told = Teller { take: [0].into(), ..Teller::default() };
        judged(told, |j| j.take(st, &wanted, RULE).map(drop))
    };
    store(&mut st.clone(), false).unwrap();
    refused(store(&mut st.clone(), true), RULE);
}

/// Words that are local to a function are the same, or not.
#[test]
fn local_words_are_the_same() {
    let same =
        |a: Word, b: Word| judged(Teller::default(), |j| j.same_word(&mut state(), &a, &b, RULE));
    use tal_core::ty::Reg::{Rbp, Rbx};
    same(Word::Frame(8), Word::Frame(8)).unwrap();
    same(Word::Saved(Rbx), Word::Saved(Rbx)).unwrap();
    refused(same(Word::Frame(8), Word::Frame(16)), RULE);
    refused(same(Word::Saved(Rbx), Word::Saved(Rbp)), RULE);
}

/// Nothing that a hint brings is out of scope, also where it is compared afterwards.
#[test]
fn what_hints_bring_is_in_scope() {
    let out = || Term::var(Var::Free(9));
    let st = || {
        let mut st = state();
        let x = address(&mut st);
        owned(&mut st, x, k(0), bytes(k(8)));
        shared(&mut st, Mode::Ro, x, bytes(k(8)));
        st
    };
    use tal_core::error::Kind as Evidence;
    use tal_core::hint::Through;
    let bad = |ghost: Ghost| {
        let error = ghosts(&mut st(), &[ghost]).expect_err("must be refused");
        assert_eq!(error.kind, Evidence::BadHint);
    };
    for of in [Through::Entry(0), Through::View(0)] {
        bad(Ghost::Equal { of, offset: out(), mem: bytes(k(8)) });
        let ill = Ghost::Equal { of, offset: k(0), mem: bytes(out()) };
        assert_eq!(ghosts(&mut st(), &[ill]).unwrap_err().rule, Rule::WfSize);
    }
    bad(Ghost::ViewPart { view: 0, from: out(), count: k(0) });
    bad(Ghost::ViewPart { view: 0, from: k(0), count: out() });
    bad(Ghost::One { of: Through::Data(tal_core::ty::DataId(0)), to_array: true });
}
