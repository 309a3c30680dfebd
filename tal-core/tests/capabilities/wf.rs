//! Not trusted. Well-formedness (core.md 4.3; redteam U11, U16, A12, A17; traps 97 to 99, 116;
//! core.md 9.27, 9.32).

use crate::support::*;
use tal_core::counted::Rc;
use tal_core::error::{Error, Rule};
use tal_core::image::Image;
use tal_core::judge::Judge;
use tal_core::term::{Term, Var};
use tal_core::ty::{
    Assertion, Base, Block, Cap, DataId, Entry, FnId, Guard, Kind, Lent, Mem, Mode, NameSet,
    NamedType, OriginId, Post, Reg, Region, Sig, TypeId, View, Word,
};

fn v(i: u16) -> Term {
    Term::var(Var::Free(i))
}

fn addr() -> Kind {
    Kind::Addr { set: NameSet::ADDRESS, block: None }
}

fn type_of(named: NamedType) -> Result<(), Error> {
    let interface = interface();
    let image = Image {
        text: &[],
        text_address: 0x40_0000,
        types: vec![named],
        sigs: vec![],
        functions: vec![],
        labels: vec![],
        data: vec![],
        imports: vec![],
        start: None,
    };
    Judge::new(&image, &interface, Teller::default(), 1 << 16).wf_type(TypeId(3))
}

fn one(body: Rc<Mem>) -> NamedType {
    NamedType { arity: 1, size: 8, zero_ok: true, plain: false, owns: false, body }
}

#[test]
fn the_types_of_these_tests_are_well_formed() {
    judged(Teller::default(), |judge| judge.wf_types().and_then(|()| judge.wf_interface()))
        .unwrap();
}

/// Attacks t102, A17.
#[test]
fn what_a_named_type_declares_is_recomputed() {
    let good = || NamedType { plain: true, ..one(u64s()) };
    type_of(good()).unwrap();
    for wrong in [
        NamedType { plain: false, ..good() },
        NamedType { zero_ok: false, ..good() },
        NamedType { owns: true, ..good() },
        NamedType { size: 16, ..good() },
        NamedType { arity: 9, ..good() },
        // t98, t99: no type is another one.
        one(named(TypeId(3), vec![Term::var(Var::Param(0))])),
        one(named(NODE, vec![])),
        one(array(k(1), u64s())),
    ] {
        assert_eq!(refusal(type_of(wrong)), Rule::WfNamed);
    }
}

/// Attacks A12, c27.
#[test]
fn bodies_mention_their_own_variables_only() {
    let refer = |n: Term| one(record(8, vec![reference(0, true, Mode::Ro, bytes(n))]));
    type_of(refer(Term::var(Var::Param(0)))).unwrap();
    for escaped in [Var::Free(0), Var::Bound(0), Var::Param(1), Var::Inner(0), Var::Value] {
        assert_eq!(refusal(type_of(refer(Term::var(escaped)))), Rule::WfSize);
    }
    for word in [Word::Frame(0), Word::ReturnAddress, Word::Saved(Reg::Rbx), Word::Junk] {
        let local = one(record(8, vec![known(0, word)]));
        assert_eq!(refusal(type_of(local)), Rule::WfWordType);
    }
    for base in [Base::Name(Var::Free(0)), Base::Data(DataId(0)), Base::Code(FnId(0))] {
        let pointer = one(record(8, vec![known(0, Word::Ptr(base, k(0)))]));
        assert_eq!(refusal(type_of(pointer)), Rule::WfWordType);
    }
    let origin = one(record(8, vec![own(0, true, Some(OriginId(1)), u64s())]));
    assert_eq!(refusal(type_of(origin)), Rule::WfWordType);
}

#[test]
fn structs_are_laid_out_and_packages_are_of_structs() {
    let wrong = [
        (record(8, vec![int(4, 64, false)]), Rule::WfStruct),
        (record(8, vec![int(0, 32, false), int(2, 32, false)]), Rule::WfStruct),
        (record(8, vec![int(4, 32, false), int(0, 32, false)]), Rule::WfStruct),
        (record(8, vec![int(0, 24, false)]), Rule::WfStruct),
        (record(8, vec![int(u32::MAX, 64, false)]), Rule::WfStruct),
        (record(8, vec![refined(0, 64, false, vec![ge(k(0)); 17])]), Rule::WfStruct),
        (Rc::new(Mem::Ex { vars: 9, facts: vec![], body: u64s() }), Rule::WfEx),
        (Rc::new(Mem::Ex { vars: 1, facts: vec![], body: bytes(k(8)) }), Rule::WfEx),
        (
            Rc::new(Mem::Ex { vars: 1, facts: vec![ge(Term::var(Var::Bound(1)))], body: u64s() }),
            Rule::WfEx,
        ),
    ];
    for (body, rule) in wrong {
        assert_eq!(refusal(type_of(one(body))), rule);
    }
    let mut deep = u64s();
    for _ in 0..20 {
        deep = record(8, vec![reference(0, true, Mode::Ro, deep)]);
    }
    assert_eq!(refusal(type_of(one(deep))), Rule::Limit);
}

/// Attack t154.
#[test]
fn a_tree_that_unfolds_without_end_runs_out_of_fuel() {
    let mut wide = u64s();
    for _ in 0..14 {
        let fields = (0..32).map(|i| reference(i * 8, true, Mode::Ro, wide.clone())).collect();
        wide = record(256, fields);
    }
    assert_eq!(refusal(type_of(one(wide))), Rule::Limit);
}

fn sig(vars: Vec<Kind>, pre: Assertion, post: Option<Post>) -> Sig {
    Sig { vars, pre, post }
}

fn wf(sig: &Sig) -> Result<(), Error> {
    judged(Teller::default(), |judge| judge.wf_sig(sig))
}

fn entry_at(x: Var, mem: Rc<Mem>) -> Cap {
    Cap::Entry(Entry { guards: vec![], name: x, offset: k(0), mem })
}

fn with_caps(caps: Vec<Cap>) -> Assertion {
    Assertion { caps, ..assertion() }
}

fn post(caps: Vec<Cap>) -> Option<Post> {
    Some(Post { vars: vec![], state: with_caps(caps) })
}

/// Attack A12.
#[test]
fn signatures_hold_one_store_and_no_token() {
    let store = Cap::Store(Var::Free(0));
    let stores = |n| vec![Kind::Store; n];
    let held = |n| with_caps(vec![store.clone(); n]);
    wf(&sig(stores(1), held(1), post(vec![store.clone()]))).unwrap();
    wf(&sig(stores(1), held(1), post(vec![]))).unwrap();
    for wrong in [
        sig(stores(1), held(0), None),
        sig(stores(1), held(2), None),
        sig(stores(2), held(1), None),
        sig(stores(1), held(1), post(vec![store.clone(), store.clone()])),
        sig(stores(0), held(1), None),
    ] {
        assert_eq!(refusal(wf(&wrong)), Rule::WfSig);
    }
    let entry = Entry { guards: vec![], name: Var::Free(1), offset: k(0), mem: u64s() };
    let token = with_caps(vec![Cap::Token(Var::Free(0), entry)]);
    assert_eq!(refusal(wf(&sig(vec![Kind::Region, addr()], token, None))), Rule::WfSig);
}

#[test]
fn signatures_are_closed() {
    let entry = |i| with_caps(vec![entry_at(Var::Free(i), u64s())]);
    wf(&sig(vec![addr()], entry(0), None)).unwrap();
    assert_eq!(refusal(wf(&sig(vec![addr()], entry(1), None))), Rule::WfGuard);
    assert_eq!(refusal(wf(&sig(vec![Kind::INT], entry(0), None))), Rule::WfGuard);
    // A pre-state does not mention what the callee chooses; a post-state does.
    let later = |i| Some(Post { vars: vec![addr()], state: entry(i) });
    wf(&sig(vec![], assertion(), later(0))).unwrap();
    assert_eq!(refusal(wf(&sig(vec![], entry(0), later(0)))), Rule::WfGuard);
    let reg = |word: Word| {
        let mut a = assertion();
        a.regs.set(Reg::Rdi, word);
        a
    };
    wf(&sig(vec![addr()], reg(ptr(Var::Free(0), k(0))), None)).unwrap();
    for word in [ptr(Var::Free(1), k(0)), Word::Int(v(0)), Word::Frame(0), Word::ReturnAddress] {
        assert_eq!(refusal(wf(&sig(vec![addr()], reg(word), None))), Rule::WfWordType);
    }
    for fixed in [Reg::Rsp, Reg::Rbx] {
        let mut a = assertion();
        a.regs.set(fixed, Word::Int(k(0)));
        assert_eq!(refusal(wf(&sig(vec![], a, None))), Rule::WfSig);
    }
    for args in
        [vec![(0, Word::Junk)], vec![(12, Word::Junk)], vec![(16, Word::Junk), (8, Word::Junk)]]
    {
        let a = Assertion { args, ..assertion() };
        assert_eq!(refusal(wf(&sig(vec![], a, None))), Rule::WfSig);
    }
}

#[test]
fn u4_a_post_state_speaks_of_the_slots_that_the_callee_was_given() {
    // Of another one its caller would believe a word that the callee could not have written.
    let with = |args: &[u16]| {
        let args = args.iter().map(|at| (*at, Word::Int(k(0)))).collect();
        Assertion { args, ..assertion() }
    };
    let leaves = |args: &[u16]| Some(Post { vars: vec![], state: with(args) });
    wf(&sig(vec![], with(&[8, 16]), leaves(&[]))).unwrap();
    wf(&sig(vec![], with(&[8, 16]), leaves(&[16]))).unwrap();
    assert_eq!(refusal(wf(&sig(vec![], with(&[8]), leaves(&[16])))), Rule::WfSig);
    assert_eq!(refusal(wf(&sig(vec![], with(&[]), leaves(&[8])))), Rule::WfSig);
}

#[test]
fn post_states_declare_no_region_and_no_code() {
    for kind in [Kind::Region, Kind::Store, Kind::Code(Rc::new(never()))] {
        let post = Some(Post { vars: vec![kind], state: assertion() });
        assert_eq!(refusal(wf(&sig(vec![], assertion(), post))), Rule::WfSig);
    }
    let view = |region| View {
        guards: vec![],
        region,
        mode: Mode::Ro,
        base: Base::Name(Var::Free(1)),
        offset: k(0),
        mem: u64s(),
    };
    let vars = || vec![Kind::Region, addr()];
    let state = |region| Assertion { views: vec![view(region)], ..assertion() };
    let after = |region| Some(Post { vars: vec![], state: state(region) });
    wf(&sig(vars(), assertion(), after(Region::Var(Var::Free(0))))).unwrap();
    wf(&sig(vars(), assertion(), after(Region::Always))).unwrap();
    let wrong = sig(vars(), assertion(), after(Region::Var(Var::Free(1))));
    assert_eq!(refusal(wf(&wrong)), Rule::WfGuard);
}

#[test]
fn sets_of_names_are_small_and_do_not_cross_zero() {
    let with = |small| {
        let set = NameSet { address: true, small };
        wf(&sig(vec![Kind::Addr { set, block: None }], assertion(), None))
    };
    with([Some((-4095, -1)), Some((0, 0))]).unwrap();
    for small in [
        [Some((-1, 1)), None],
        [Some((2, 1)), None],
        [None, Some((0, 0))],
        [Some((0, 5)), Some((5, 6))],
        [Some((0, 0)), Some((-2, -1))],
    ] {
        assert_eq!(refusal(with(small)), Rule::WfSig);
    }
    let never_address = NameSet { address: false, small: [Some((0, 0)), None] };
    let kind = Kind::Addr { set: never_address, block: None };
    assert_eq!(refusal(wf(&sig(vec![kind], assertion(), None))), Rule::WfSig);
    let claim = |origin, extent| {
        let block = Some(Block { origin: OriginId(origin), extent });
        let kind = Kind::Addr { set: NameSet::ADDRESS, block };
        wf(&sig(vec![kind, Kind::INT], assertion(), None))
    };
    claim(0, v(1)).unwrap();
    assert_eq!(refusal(claim(1, v(1))), Rule::WfWordType);
    assert_eq!(refusal(claim(0, v(0))), Rule::WfSig);
}

/// Attack c32.
#[test]
fn code_parameters_do_not_nest() {
    let code = |inner: Sig| sig(vec![addr(), Kind::Code(Rc::new(inner))], assertion(), None);
    let inside = |x| with_caps(vec![entry_at(x, u64s())]);
    wf(&code(sig(vec![addr()], inside(Var::Inner(0)), None))).unwrap();
    wf(&code(sig(vec![], inside(Var::Free(0)), None))).unwrap();
    assert_eq!(refusal(wf(&code(sig(vec![], inside(Var::Inner(0)), None)))), Rule::WfGuard);
    let nested = Kind::Code(Rc::new(never()));
    assert_eq!(refusal(wf(&code(sig(vec![nested], assertion(), None)))), Rule::WfSig);
    let own_store = sig(vec![Kind::Store], with_caps(vec![Cap::Store(Var::Inner(0))]), None);
    assert_eq!(refusal(wf(&code(own_store))), Rule::WfSig);
    // The enclosing store, at most once, back only if it was brought.
    let store = Cap::Store(Var::Free(0));
    let uses = |before: usize, after: usize| {
        let inner =
            sig(vec![], with_caps(vec![store.clone(); before]), post(vec![store.clone(); after]));
        let vars = vec![Kind::Store, Kind::Code(Rc::new(inner))];
        wf(&sig(vars, with_caps(vec![store.clone()]), None))
    };
    uses(1, 1).unwrap();
    uses(1, 0).unwrap();
    for (before, after) in [(2, 1), (0, 1), (1, 2)] {
        assert_eq!(refusal(uses(before, after)), Rule::WfSig);
    }
}

fn label() -> LabelState {
    LabelState {
        vars: vec![],
        refinements: vec![],
        facts: vec![],
        regs: [const { Word::Junk }; 16],
        delta: -32,
        touched: -32,
        slots: vec![],
        lent: vec![],
        views: vec![],
        caps: vec![],
    }
}

/// A function over a nullable name and an integer.
fn wf_at(label: &LabelState) -> Result<(), Error> {
    let nullable = Kind::Addr { set: NameSet::NULLABLE, block: None };
    let sig = sig(vec![nullable, Kind::INT], assertion(), None);
    judged(Teller::default(), |judge| wf_label(judge, &sig, label))
}

#[test]
fn labels_are_closed_and_within_their_limits() {
    let mut good = label();
    good.vars = vec![Kind::INT, addr(), Kind::Region];
    good.facts = vec![ge(v(2))];
    good.regs[Reg::Rax as usize] = Word::Saved(Reg::Rbx);
    good.slots = vec![(-32, Word::ReturnAddress), (-24, Word::Frame(-8)), (8, Word::Int(v(1)))];
    good.lent = vec![Lent { offset: -16, size: 16, name: Var::Free(3) }];
    let entry = Entry { guards: vec![], name: Var::Free(3), offset: v(2), mem: u64s() };
    good.caps = vec![Cap::Token(Var::Free(4), entry), entry_at(Var::Free(3), u64s())];
    wf_at(&good).unwrap();
    let change = |f: &dyn Fn(&mut LabelState)| {
        let mut label = good.clone();
        f(&mut label);
        wf_at(&label).expect_err("must be refused").rule
    };
    let rule = Rule::WfLabel;
    // t49: what another block opened is not in scope.
    assert_eq!(change(&|l| l.facts.push(ge(v(5)))), rule);
    assert_eq!(change(&|l| l.facts.push(ge(v(3)))), rule);
    assert_eq!(change(&|l| l.vars.push(Kind::Store)), rule);
    assert_eq!(change(&|l| l.vars.extend(vec![Kind::INT; 40])), rule);
    assert_eq!(change(&|l| l.delta = -28), rule);
    assert_eq!(change(&|l| l.delta = 8), rule);
    assert_eq!(change(&|l| l.delta = -(1 << 17)), rule);
    assert_eq!(change(&|l| l.touched = 8), rule);
    assert_eq!(change(&|l| l.slots[0].0 = -40), rule);
    assert_eq!(change(&|l| l.slots[1].0 = -32), rule);
    assert_eq!(change(&|l| l.slots[1].0 = -20), rule);
    assert_eq!(change(&|l| l.slots[1].0 = -16), rule);
    assert_eq!(change(&|l| l.slots[0].1 = Word::Saved(Reg::Rax)), rule);
    assert_eq!(change(&|l| l.lent[0].size = 24), rule);
    assert_eq!(change(&|l| l.lent[0].size = i64::MAX), rule);
    assert_eq!(change(&|l| l.lent[0].name = Var::Free(0)), rule);
    assert_eq!(change(&|l| l.lent.push(l.lent[0])), rule);
    assert_eq!(change(&|l| l.regs[0] = Word::Int(v(9))), Rule::WfWordType);
    assert_eq!(change(&|l| l.caps.push(entry_at(Var::Free(1), u64s()))), Rule::WfGuard);
    assert_eq!(change(&|l| l.caps.push(Cap::Store(Var::Free(2)))), rule);
    let token = |l: &mut LabelState| {
        let Cap::Token(rho, _) = &mut l.caps[0] else { panic!() };
        *rho = Var::Free(2);
    };
    assert_eq!(change(&token), rule);
}

#[test]
fn labels_are_probed_within_a_page() {
    let deep = LabelState { delta: -4096, touched: -8, ..label() };
    assert_eq!(refusal(wf_at(&deep)), Rule::WfLabel);
    wf_at(&LabelState { touched: -16, ..deep }).unwrap();
}

/// Attack c40.
#[test]
fn labels_narrow_names_of_the_function_once() {
    let with = |refinements| wf_at(&LabelState { refinements, ..label() });
    let x = Var::Free(0);
    let null = NameSet { address: false, small: [Some((0, 0)), None] };
    with(vec![(x, NameSet::ADDRESS)]).unwrap();
    with(vec![(x, null)]).unwrap();
    let more = NameSet { address: true, small: [Some((-5, -1)), None] };
    let nothing = NameSet { address: false, small: [None, None] };
    for wrong in [
        vec![(x, more)],
        vec![(x, nothing)],
        vec![(x, null), (x, null)],
        vec![(Var::Free(1), null)],
        vec![(Var::Free(7), null)],
    ] {
        assert_eq!(refusal(with(wrong)), Rule::WfLabel);
    }
}

#[test]
fn guards_are_few_and_about_names() {
    let with = |guards| {
        let entry = Entry { guards, name: Var::Free(0), offset: k(0), mem: u64s() };
        wf_at(&LabelState { caps: vec![Cap::Entry(entry)], ..label() })
    };
    let x = Var::Free(0);
    with(vec![Guard::IsAddress(x), Guard::Range(v(1), 0, 1), Guard::IsSmall(x, 0, 0)]).unwrap();
    for wrong in [
        vec![Guard::Range(v(1), 1, 0)],
        vec![Guard::Range(v(0), 0, 1)],
        vec![Guard::IsAddress(Var::Free(1))],
        vec![Guard::IsSmall(x, -1, -1)],
        vec![Guard::IsAddress(x); 5],
    ] {
        assert_eq!(refusal(with(wrong)), Rule::WfGuard);
    }
}
