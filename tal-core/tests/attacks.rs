//! Not trusted. Attacks that no source can say: hostile certificates, encodings and ghosts, each
//! beside its accepted twin. `docs/attacks.md` has the numbers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "tests")]

#[path = "capabilities/support.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod support;

use support::answers::{Script, comb, silent};
use support::*;
use tal_core::decode::decode_at;
use tal_core::error::{Error, Rule};
use tal_core::hint::{Ghost, Proof, Step, Through};
use tal_core::image::{Image, Interface};
use tal_core::judge::Judge;
use tal_core::rules::memory::Address;
use tal_core::state::State;
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Bounds, Fact, FnId, Kind, Mode, Reg, Region, Rel, Word};

/// Is the goal accepted with these certificates?
fn proves(state: &State, goal: &Fact, proofs: Vec<Proof>) -> bool {
    let interface: Interface = interface();
    let image = Image {
        text: &[],
        text_address: 0x40_0000,
        types: vec![],
        sigs: vec![],
        functions: vec![],
        labels: vec![],
        data: vec![],
        imports: vec![],
        start: Some(FnId(0)),
    };
    let mut judge = Judge::new(&image, &interface, Script::new(proofs), 1 << 12);
    judge.prove(&mut state.clone(), goal, Rule::Shape).is_ok()
}

fn ne(term: Term) -> Fact {
    Fact { rel: Rel::Ne, term }
}

/// `2^e`, by doubling.
fn power(e: u32) -> Term {
    Term::constant_of(1_i128 << e).unwrap()
}

/// The difference of two integers of which nothing is known.
fn difference(st: &mut State) -> Term {
    any(st).sub(&any(st)).unwrap()
}

#[test]
fn t43_t46_factors_are_not_negative_and_premises_are_facts_of_the_source() {
    let mut st = state();
    let x = difference(&mut st);
    let minus = x.scale(-1).unwrap();
    let (twice, less) = (x.scale(2).unwrap(), minus.scale(2).unwrap());
    learn(&mut st, ge(x.clone()));
    assert!(proves(&st, &ge(twice.plus(3).unwrap()), vec![comb(1, &[(0, 2)])]));
    // -x >= 0 by (-1) * (x >= 0); by nothing, scaled with 0.
    assert!(!proves(&st, &ge(minus.clone()), vec![comb(1, &[(0, -1)])]));
    assert!(!proves(&st, &ge(minus.clone()), vec![comb(0, &[])]));
    assert!(!proves(&st, &ge(x.plus(-1).unwrap()), vec![comb(1, &[(0, 1)])]));
    // The number of the goal itself, a premise twice, one out of order.
    assert!(!proves(&st, &ge(minus.clone()), vec![comb(1, &[(1, 1)])]));
    assert!(!proves(&st, &ge(twice.clone()), vec![comb(1, &[(0, 1), (0, 1)])]));
    // An equation may be used in both directions.
    learn(&mut st, Fact { rel: Rel::Eq, term: x });
    assert!(proves(&st, &ge(less.clone()), vec![comb(1, &[(1, -2)])]));
    assert!(!proves(&st, &ge(less), vec![comb(1, &[(1, -4), (0, 1)])]));
    // A step cites earlier facts only.
    let own = Step::Comb { premises: vec![(2, 1)], slack: 0 };
    assert!(!proves(&st, &ge(twice.clone()), vec![Proof::Step(own), comb(1, &[(0, 2)])]));
    let less = Step::Comb { premises: vec![(0, 1)], slack: -1 };
    assert!(!proves(&st, &ge(twice), vec![Proof::Step(less), comb(1, &[(0, 2)])]));
}

#[test]
fn t44_a_cut_rounds_down() {
    let mut st = state();
    let x = any(&mut st);
    // Of twice a variable: no bound, since that would have to be rounded.
    learn(&mut st, ge(x.scale(2).unwrap().plus(1).unwrap()));
    assert_eq!((bounds(&st, &x), st.facts.len()), (Bounds::NONE, 1));
    let cut = |divisor| Proof::Step(Step::Cut { fact: 0, divisor });
    let none = || comb(1, &[]);
    assert!(!proves(&st, &ge(x.clone()), vec![none()]));
    assert!(proves(&st, &ge(x.clone()), vec![cut(2)]));
    assert!(!proves(&st, &ge(x.plus(-1).unwrap()), vec![cut(2), none()]));
    for divisor in [0, -2, 3, 4] {
        assert!(!proves(&st, &ge(x.clone()), vec![cut(divisor), none()]), "{divisor}");
    }
}

#[test]
fn t40_a8_a_difference_is_no_order() {
    let mut st = state();
    let x = difference(&mut st);
    learn(&mut st, ne(x.clone()));
    assert!(!proves(&st, &ge(x.clone()), vec![comb(1, &[])]));
    assert!(!proves(&st, &ge(x.clone()), vec![comb(1, &[(0, 1)])]));
    assert!(proves(&st, &ne(x.scale(-1).unwrap()), vec![]));
    let goal = ge(x.plus(-1).unwrap());
    let neq = Proof::Step(Step::Neq { fact: 0, positive: true });
    learn(&mut st, ge(x.plus(1).unwrap()));
    // x >= -1 is not x >= 0, whoever is asked.
    assert!(!proves(&st, &goal, vec![neq.clone(), comb(1, &[(1, 1)]), comb(1, &[(1, 1)])]));
    st.facts[1] = ge(x);
    assert!(proves(&st, &goal, vec![neq]));
}

#[test]
fn t45_u17_arithmetic_of_the_checker_does_not_wrap() {
    let mut st = state();
    let x = any(&mut st);
    learn(&mut st, ge(x.scale(1 << 62).unwrap().plus(1).unwrap()));
    // 2^63 * 2 = 2^64 would vanish in 64 bits; 2^126 * 4 in 128.
    let goal = ge(x.scale(1 << 62).unwrap().plus(-1).unwrap());
    for factor in [1_i128 << 63, 1 << 66, 1 << 126, i128::MAX] {
        assert!(!proves(&st, &goal, vec![comb(1, &[(0, factor)])]));
        let step = Step::Comb { premises: vec![(0, factor)], slack: 0 };
        assert!(!proves(&st, &goal, vec![Proof::Step(step), comb(1, &[(1, 1)])]));
    }
    assert!(!proves(&st, &goal, vec![comb(u64::MAX, &[(0, 1)])]));
    // theta(x) := -2^79 in 2^62 x + 1 is no term: not 1 - 2^141, and not 1.
    let value = power(79).scale(-1).unwrap();
    assert!(st.facts[0].term.subst(&|_| Some(value.clone())).is_err());
    let small = st.facts[0].term.subst(&|_| Some(k(-1))).unwrap();
    assert_eq!(small, power(62).scale(-1).unwrap().plus(1).unwrap());
    // Products: 2^79 * 2^79.
    assert!(power(79).mul(&power(79)).is_err());
    assert!(power(39).mul(&power(39)).is_ok());
}

#[test]
fn t55_a7_products_are_of_facts_and_of_degree_two() {
    let mut st = state();
    // Differences: of what has bounds, a product is known by them.
    let (i, m) = (difference(&mut st), any(&mut st));
    let large = m.sub(&any(&mut st)).unwrap();
    learn(&mut st, ge(i.clone()));
    learn(&mut st, ge(large.clone()));
    let product = i.mul(&large).unwrap();
    assert!(!proves(&st, &ge(product.clone()), vec![comb(1, &[])]));
    let step = |a, b| Proof::Step(Step::Product(a, b));
    assert!(proves(&st, &ge(product.clone()), vec![step(0, 1)]));
    // (i + 1) * m = i * m is no consequence of anything, and three factors are no term.
    let next = i.plus(1).unwrap().mul(&m).unwrap();
    let more = next.sub(&i.mul(&m).unwrap()).unwrap();
    assert_eq!(more, m);
    let minus = large.scale(-1).unwrap();
    assert!(!proves(&st, &ge(minus), vec![step(0, 1), comb(1, &[(2, 1)])]));
    assert!(product.mul(&m).is_err());
    // Instantiated, a product is multiplied out (A7).
    let j = any(&mut st);
    let theta = |v: Var| (j.as_var() == Some(v)).then(|| i.plus(1).unwrap());
    assert_eq!(j.mul(&m).unwrap().subst(&theta).unwrap(), next);
    // A product of what is not known not to be negative.
    st.facts[1] = ne(large);
    assert!(!proves(&st, &ge(product), vec![step(0, 1), comb(1, &[])]));
}

#[test]
fn t34_a_contradiction_skips_nothing() {
    let mut st = state();
    // A false fact, which nothing learns; and bounds that leave no value, which a way may learn.
    st.facts.push(ge(k(-1)));
    let n = between(&mut st, 1, 0);
    assert!(proves(&st, &ge(n.clone()), vec![]) && proves(&st, &ge(k(0).sub(&n).unwrap()), vec![]));
    assert!(!proves(&st, &ge(k(-1)), vec![comb(1, &[(0, 1)])]));
    st.set_reg(Reg::Rax, Word::Int(n.clone()));
    let x = address(&mut st);
    owned(&mut st, x, k(0), u64s());
    // Goals follow, but an integer stays no address, and nothing is owned that was not.
    let at = judged(Teller::default(), |j| j.address(&st, Some(Reg::Rax), None, 0));
    let object = judged(Teller::default(), |j| {
        let Address::Mem(base, e) = at.clone().unwrap_or(Address::Slot(0)) else { return silent() };
        j.load(&mut st.clone(), &Address::Mem(base, e), 8)
    });
    assert!(object.is_err());
    let load = |st: &State, at: i64| {
        let place = Address::Mem(Base::Name(x), k(at));
        judged(Teller::default(), |j| j.load(&mut st.clone(), &place, 8))
    };
    load(&st, 0).unwrap();
    assert_eq!(load(&st, 8).unwrap_err().rule, Rule::Shape);
}

/// Bytes, and what is near them and accepted.
fn encodings(cases: &[(&str, &[u8], &[u8])]) {
    for (what, refused, twin) in cases {
        let rule = decode_at(refused, 0x40_0000, 0).unwrap_err().rule;
        assert!(matches!(rule, Rule::RowRefused | Rule::Decode), "{what}: {rule:?}");
        decode_at(twin, 0x40_0000, 0).unwrap_or_else(|e| panic!("{what}: {e:?}"));
    }
}

const MOV: &[u8] = &[0x48, 0x89, 0xC8];

/// Attack t22.
#[test]
fn t3_t23_implicit_and_partial_destinations_have_no_row() {
    encodings(&[
        ("bsf eax,ecx", &[0x0F, 0xBC, 0xC1], &[0xF3, 0x0F, 0xBC, 0xC1]),
        ("bsr eax,ecx", &[0x0F, 0xBD, 0xC1], &[0xF3, 0x0F, 0xBD, 0xC1]),
        ("cmpxchg ecx,edx", &[0x0F, 0xB1, 0xD1], &[0x87, 0xD1]),
        ("xadd rax,rbx", &[0x48, 0x0F, 0xC1, 0xD8], &[0x48, 0x01, 0xD8]),
        ("mulx rax,rbx,rcx", &[0xC4, 0xE2, 0xE3, 0xF6, 0xC1], &[0x48, 0xF7, 0xE1]),
        ("cpuid", &[0x0F, 0xA2], &[0xF3, 0x90]),
        ("rdtsc", &[0x0F, 0x31], &[0xF3, 0x90]),
        ("lahf (t22)", &[0x9F], &[0x0F, 0x94, 0xC0]),
        ("sahf (t22)", &[0x9E], &[0x0F, 0x94, 0xC0]),
        ("mul cl: ah is written", &[0xF6, 0xE1], &[0xF7, 0xE1]),
    ]);
}

#[test]
fn t25_t36_t66_t78_vectors_have_no_row() {
    encodings(&[
        ("movq xmm0,rax", &[0x66, 0x48, 0x0F, 0x6E, 0xC0], MOV),
        ("movups [rdi],xmm0", &[0x0F, 0x11, 0x07], &[0x89, 0x07]),
        ("movdqu xmm0,[rbx]", &[0xF3, 0x0F, 0x6F, 0x03], &[0x8B, 0x03]),
        ("ucomisd xmm0,xmm1", &[0x66, 0x0F, 0x2E, 0xC1], &[0x39, 0xC8]),
        ("vpgatherqq", &[0xC4, 0xE2, 0xED, 0x91, 0x04, 0x0F], &[0x8B, 0x04, 0x0F]),
        ("vmaskmovps", &[0xC4, 0xE2, 0x6D, 0x2E, 0x0F], &[0x89, 0x0F]),
        ("cvtsi2sd xmm0,rax", &[0xF2, 0x48, 0x0F, 0x2A, 0xC0], MOV),
    ]);
}

/// Attacks t69, A14.
#[test]
fn t61_t62_t79_t80_memory_without_a_bound_has_no_row() {
    encodings(&[
        ("bt [rbx],rax", &[0x48, 0x0F, 0xA3, 0x03], &[0x48, 0x0F, 0xA3, 0xC3]),
        ("bts [rbx],rax", &[0x48, 0x0F, 0xAB, 0x03], &[0x48, 0x0F, 0xAB, 0xC3]),
        ("xlatb", &[0xD7], &[0x8A, 0x03]),
        ("enter 8,1", &[0xC8, 8, 0, 1], &[0xC9]),
        ("push [rbx]", &[0xFF, 0x33], &[0x53]),
        ("pop [rbx]", &[0x8F, 0x03], &[0x5B]),
        ("maskmovdqu", &[0x66, 0x0F, 0xF7, 0xC1], &[0x89, 0x0F]),
        ("movnti [rdi],eax", &[0x0F, 0xC3, 0x07], &[0x89, 0x07]),
        ("prefetcht0 [rdi]", &[0x0F, 0x18, 0x0F], &[0x8B, 0x0F]),
        ("clflush [rdi]", &[0x0F, 0xAE, 0x3F], &[0x0F, 0xAE, 0xF0]),
        ("cmpsb without rep", &[0xA6], &[0xF3, 0xA6]),
        ("lock add [rdi],eax", &[0xF0, 0x01, 0x07], &[0x01, 0x07]),
        ("xchg [rdi],rax", &[0x48, 0x87, 0x07], &[0x48, 0x87, 0xC7]),
    ]);
}

/// Attacks t63, t144, t145.
#[test]
fn t143_t146_system_state_has_no_row() {
    encodings(&[
        ("mov cr3,rax", &[0x0F, 0x22, 0xD8], MOV),
        ("mov dr7,rax", &[0x0F, 0x23, 0xF8], MOV),
        ("wrmsr", &[0x0F, 0x30], MOV),
        ("rdmsr", &[0x0F, 0x32], MOV),
        ("lgdt [rax]", &[0x0F, 0x01, 0x10], MOV),
        ("lidt [rax]", &[0x0F, 0x01, 0x18], MOV),
        ("ltr ax", &[0x0F, 0x00, 0xD8], MOV),
        ("xsetbv", &[0x0F, 0x01, 0xD1], MOV),
        ("cli", &[0xFA], &[0x90]),
        ("sti", &[0xFB], &[0x90]),
        ("hlt", &[0xF4], &[0x90]),
        ("popfq", &[0x9D], &[0x58]),
        ("pushfq", &[0x9C], &[0x50]),
        ("std (t63)", &[0xFD], &[0x90]),
        ("stac", &[0x0F, 0x01, 0xCB], MOV),
        ("clac", &[0x0F, 0x01, 0xCA], MOV),
        ("swapgs", &[0x0F, 0x01, 0xF8], MOV),
        ("wrgsbase rax", &[0xF3, 0x48, 0x0F, 0xAE, 0xD8], MOV),
        ("mov gs,ax", &[0x8E, 0xE8], &[0x89, 0xE8]),
        ("mwait", &[0x0F, 0x01, 0xC9], MOV),
        ("monitor", &[0x0F, 0x01, 0xC8], MOV),
        ("umwait eax", &[0xF2, 0x0F, 0xAE, 0xF0], &[0x0F, 0xAE, 0xF0]),
        ("tpause eax", &[0x66, 0x0F, 0xAE, 0xF0], &[0x0F, 0xAE, 0xF0]),
    ]);
}

/// Attacks t148, t149, t150, t151, t152.
#[test]
fn t147_t153_what_leaves_or_changes_the_machine_has_no_row() {
    encodings(&[
        ("iretq", &[0x48, 0xCF], &[0xC3]),
        ("sysretq", &[0x48, 0x0F, 0x07], &[0xC3]),
        ("syscall", &[0x0F, 0x05], &[0xC3]),
        ("sysenter", &[0x0F, 0x34], &[0xC3]),
        ("int 80h", &[0xCD, 0x80], &[0xC3]),
        ("retf", &[0xCB], &[0xC3]),
        ("in al,dx", &[0xEC], &[0x90]),
        ("out dx,al", &[0xEE], &[0x90]),
        ("insb", &[0x6C], &[0xAC]),
        ("invlpg [rax]", &[0x0F, 0x01, 0x38], MOV),
        ("wbinvd", &[0x0F, 0x09], MOV),
        ("invpcid rax,[rcx]", &[0x66, 0x0F, 0x38, 0x82, 0x01], MOV),
        ("ldmxcsr [rax]", &[0x0F, 0xAE, 0x10], &[0x0F, 0xAE, 0xE8]),
        ("fldcw [rax]", &[0xD9, 0x28], MOV),
        ("fxrstor [rax]", &[0x0F, 0xAE, 0x08], &[0x0F, 0xAE, 0xE8]),
        ("xrstor [rax]", &[0x0F, 0xAE, 0x28], &[0x0F, 0xAE, 0xE8]),
        ("fld1", &[0xD9, 0xE8], MOV),
        ("movq mm0,rax", &[0x48, 0x0F, 0x6E, 0xC0], MOV),
        ("emms", &[0x0F, 0x77], MOV),
        ("xbegin", &[0xC7, 0xF8, 0, 0, 0, 0], &[0xE9, 0, 0, 0, 0]),
        ("xabort 0", &[0xC6, 0xF8, 0], &[0xB0, 0]),
        ("vmcall", &[0x0F, 0x01, 0xC1], MOV),
        ("encls", &[0x0F, 0x01, 0xCF], MOV),
        ("senduipi rax", &[0xF3, 0x0F, 0xC7, 0xF0], MOV),
        ("encodekey128", &[0xF3, 0x0F, 0x38, 0xFA, 0xC1], MOV),
        ("lock mov [rdi],rax", &[0xF0, 0x48, 0x89, 0x07], &[0x48, 0x89, 0x07]),
        ("bnd jmp", &[0xF2, 0xE9, 0, 0, 0, 0], &[0xE9, 0, 0, 0, 0]),
        ("notrack jmp rax", &[0x3E, 0xFF, 0xE0], &[0xFF, 0xE0]),
    ]);
}

fn read(st: &mut State, x: Var, at: i64, through: Through) -> Result<Word, Error> {
    let teller = Teller { access: [through].into(), ..Teller::default() };
    judged(teller, |j| j.load(st, &Address::Mem(Base::Name(x), k(at)), 8))
}

fn write(st: &mut State, x: Var, at: i64, through: Through, word: &Word) -> Result<(), Error> {
    let teller = Teller { access: [through].into(), ..Teller::default() };
    judged(teller, |j| j.store(st, &Address::Mem(Base::Name(x), k(at)), 8, word))
}

#[test]
fn t84_t85_what_is_shared_is_not_owned_and_its_junk_stays_unread() {
    let mut st = state();
    let (x, y) = (address(&mut st), address(&mut st));
    let mem = record(16, vec![int(0, 64, false), unset(8, 8)]);
    owned(&mut st, x, k(0), mem);
    // As an owner: any word, also into what was not initialised.
    let owner = Through::Entry(0);
    write(&mut st.clone(), x, 8, owner, &Word::Int(k(1))).unwrap();
    write(&mut st.clone(), x, 0, owner, &ptr(y, k(0))).unwrap();
    ghosts(&mut st, &[Ghost::Share { entry: 0, mode: Mode::Rw }]).unwrap();
    let view = Through::View(0);
    assert_eq!(write(&mut st, x, 0, owner, &ptr(y, k(0))).unwrap_err().rule, Rule::AccessEntry);
    assert_eq!(write(&mut st, x, 0, view, &ptr(y, k(0))).unwrap_err().rule, Rule::HasInt);
    write(&mut st, x, 0, view, &Word::Int(k(1))).unwrap();
    read(&mut st, x, 0, view).unwrap();
    assert_eq!(read(&mut st, x, 8, view).unwrap_err().rule, Rule::LoadView);
    assert_eq!(write(&mut st, x, 8, view, &Word::Int(k(1))).unwrap_err().rule, Rule::StoreWeak);
    // And it cannot be taken back.
    let back = [Ghost::RegionEnd { token: 0 }];
    assert_eq!(refusal(ghosts(&mut st, &back)), Rule::RegionEnd);
}

/// Attack t86.
#[test]
fn c16_c17_two_openings_do_not_mix() {
    let mut st = state();
    let x = address(&mut st);
    owned(&mut st, x, k(0), named(VECTOR, vec![]));
    // Opened by the owner, lent, and back: still open, with the same witness.
    let mut once = st.clone();
    ghosts(&mut once, &[Ghost::Unfold { entry: 0 }, Ghost::Open { entry: 0 }]).unwrap();
    let open = entry(&once, 0).mem.clone();
    assert_eq!(refusal(ghosts(&mut once.clone(), &[Ghost::Open { entry: 0 }])), Rule::EntryOpen);
    let turn = [Ghost::Borrow { entry: 0, mode: Mode::Rw }, Ghost::RegionEnd { token: 0 }];
    ghosts(&mut once, &turn).unwrap();
    assert_eq!(entry(&once, 0).mem, open);
    // Through views: two integers that nothing says are equal.
    ghosts(&mut st, &[Ghost::Borrow { entry: 0, mode: Mode::Ro }]).unwrap();
    ghosts(&mut st, &[Ghost::ViewUnfold { view: 0 }]).unwrap();
    ghosts(&mut st, &[Ghost::ViewOpen { view: 1 }, Ghost::ViewOpen { view: 1 }]).unwrap();
    let count = |st: &mut State, view| match read(st, x, 0, Through::View(view)).unwrap() {
        Word::Int(n) => n,
        other => panic!("{other:?}"),
    };
    let (n, m) = (count(&mut st, 2), count(&mut st, 3));
    assert_ne!(n, m);
    let Word::Ptr(Base::Name(data), _) = read(&mut st, x, 8, Through::View(2)).unwrap() else {
        panic!()
    };
    let last = |st: &State, n: &Term| {
        let mut st = st.clone();
        learn(&mut st, ge(n.plus(-1).unwrap()));
        let j = n.plus(-1).unwrap();
        let at = Address::Mem(Base::Name(data), j.scale(8).unwrap());
        let teller = Teller { element: Some((j, 0)), ..Teller::default() };
        judged(teller, |judge| judge.load(&mut st, &at, 8))
    };
    last(&st, &n).unwrap();
    assert_eq!(last(&st, &m).unwrap_err().rule, Rule::Shape);
}

/// A frame of 32 bytes, all lent under a name.
fn lent_frame() -> (State, Var) {
    let mut st = state();
    judged(Teller::default(), |j| j.stack_move(&mut st, -32)).unwrap();
    for at in [-32, -24, -16, -8] {
        judged(Teller::default(), |j| j.store_slot(&mut st, at, 8, &Word::Int(k(1)))).unwrap();
    }
    ghosts(&mut st, &[Ghost::Carve { offset: -32, size: 32 }]).unwrap();
    let name = entry(&st, 0).name;
    (st, name)
}

#[test]
fn c18_c19_a_lent_frame_stays_as_long_as_anyone_may_use_it() {
    let (mut st, c) = lent_frame();
    let pop = |st: &State| judged(Teller::default(), |j| j.stack_move(&mut st.clone(), 0));
    let whole = [Ghost::Uncarve { name: c, entry: 0 }];
    // Lent on: the entry is in the token.
    ghosts(&mut st, &[Ghost::Borrow { entry: 0, mode: Mode::Rw }]).unwrap();
    assert_eq!(refusal(ghosts(&mut st.clone(), &whole)), Rule::Uncarve);
    assert!(pop(&st).is_err());
    read(&mut st.clone(), c, 0, Through::View(0)).unwrap();
    ghosts(&mut st, &[Ghost::RegionEnd { token: 0 }]).unwrap();
    let mut shared = st.clone();
    ghosts(&mut st, &whole).unwrap();
    assert_eq!(read(&mut st, c, 0, Through::View(0)).unwrap_err().rule, Rule::AccessView);
    pop(&st).unwrap();
    // Shared for ever, or leaked: this frame is never left.
    let mut leaked = shared.clone();
    ghosts(&mut shared, &[Ghost::Share { entry: 0, mode: Mode::Rw }]).unwrap();
    ghosts(&mut leaked, &[Ghost::Leak { cap: 0 }]).unwrap();
    for st in [shared, leaked] {
        assert_eq!(pop(&st).unwrap_err().rule, Rule::StackMove);
        assert_eq!(refusal(ghosts(&mut st.clone(), &whole)), Rule::Uncarve);
    }
}

#[test]
fn c20_c22_c23_a_part_of_the_frame_comes_back_whole_and_once() {
    use tal_core::hint::Place;
    let (mut st, c) = lent_frame();
    let whole = [Ghost::Uncarve { name: c, entry: 0 }];
    let mut half = st.clone();
    ghosts(&mut half, &[Ghost::RetypeJunk { entry: 0 }]).unwrap();
    assert_eq!(refusal(ghosts(&mut half.clone(), &whole)), Rule::Uncarve, "not a struct");
    ghosts(&mut half, &[Ghost::Split { entry: 0, at: k(16) }]).unwrap();
    for entry in [0, 1] {
        let part = [Ghost::Uncarve { name: c, entry }];
        assert_eq!(refusal(ghosts(&mut half.clone(), &part)), Rule::Uncarve);
    }
    st.set_reg(Reg::Rcx, Word::Frame(-24));
    let mut there = st.clone();
    let turn = Ghost::FrameWord { place: Place::Reg(Reg::Rcx), name: c };
    ghosts(&mut there, core::slice::from_ref(&turn)).unwrap();
    assert_eq!(there.regs()[Reg::Rcx as usize], ptr(c, k(8)));
    ghosts(&mut st, &whole).unwrap();
    assert_eq!(refusal(ghosts(&mut st.clone(), &[turn])), Rule::FrameWord);
    assert_eq!(refusal(ghosts(&mut st, &whole)), Rule::Uncarve);
}

/// Attack t81.
#[test]
fn c44_code_is_no_memory() {
    let mut st = state();
    let x = address(&mut st);
    let f = declare(&mut st, Kind::Code(tal_core::counted::Rc::new(never())));
    let v = declare(&mut st, Kind::Word);
    for (word, fits) in [
        (ptr(x, k(8)), true),
        (ptr(f, k(8)), false),
        (ptr(v, k(8)), false),
        (Word::Ptr(Base::Code(FnId(0)), k(8)), false),
        (Word::ReturnAddress, false),
        (Word::Junk, false),
    ] {
        st.set_reg(Reg::Rax, word.clone());
        let at = judged(Teller::default(), |j| j.address(&st, Some(Reg::Rax), None, 0));
        assert_eq!(at.is_ok(), fits, "{word:?}");
    }
}

#[test]
fn c48_what_a_constant_view_refers_to_is_its_own_memory() {
    let mut st = state();
    let x = address(&mut st);
    let field = reference(0, false, Mode::Rw, u64s());
    owned(&mut st, x, k(0), record(16, vec![field, int(8, 64, false)]));
    ghosts(&mut st, &[Ghost::Borrow { entry: 0, mode: Mode::Ro }]).unwrap();
    let Word::Ptr(Base::Name(y), _) = read(&mut st, x, 0, Through::View(0)).unwrap() else {
        panic!()
    };
    assert_eq!((st.views[1].region, st.views[1].mode), (Region::Always, Mode::Rw));
    write(&mut st, y, 0, Through::View(1), &Word::Int(k(1))).unwrap();
    let parent = write(&mut st, x, 8, Through::View(0), &Word::Int(k(1)));
    assert_eq!(parent.unwrap_err().rule, Rule::StoreWeak);
}

#[test]
fn c25_t75_t76_neighbours_of_two_blocks_do_not_join() {
    let mut st = state();
    let (x, y) = (address(&mut st), address(&mut st));
    owned(&mut st, x, k(0), junk(k(16)));
    owned(&mut st, y, k(16), junk(k(16)));
    let join = [Ghost::Join { first: 0, second: 1 }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &join)), Rule::EntryJoin);
    // Cut at 40 of 64, put together as it was; the pieces do not overlap.
    let mut st = state();
    let x = address(&mut st);
    owned(&mut st, x, k(0), junk(k(64)));
    ghosts(&mut st, &[Ghost::Split { entry: 0, at: k(40) }]).unwrap();
    assert_eq!((entry(&st, 0).mem.clone(), entry(&st, 1).mem.clone()), (junk(k(40)), junk(k(24))));
    assert_eq!(entry(&st, 1).offset, k(40));
    let wrong = [Ghost::Join { first: 1, second: 0 }];
    assert_eq!(refusal(ghosts(&mut st.clone(), &wrong)), Rule::EntryJoin);
    ghosts(&mut st, &join).unwrap();
    assert_eq!(entry(&st, 0).mem, junk(k(64)));
    let wrong = [Ghost::Split { entry: 0, at: k(65) }];
    assert_eq!(refusal(ghosts(&mut st, &wrong)), Rule::EntrySplit);
}

#[test]
fn c34_zeroes_that_are_lent_are_not_written() {
    let mut st = state();
    let x = address(&mut st);
    owned(&mut st, x, k(0), zero(k(16)));
    let mut lent = st.clone();
    ghosts(&mut lent, &[Ghost::Borrow { entry: 0, mode: Mode::Rw }]).unwrap();
    let stored = write(&mut lent.clone(), x, 0, Through::View(0), &Word::Int(k(1)));
    assert_eq!(stored.unwrap_err().rule, Rule::Shape);
    ghosts(&mut lent, &[Ghost::RegionEnd { token: 0 }]).unwrap();
    let cells = named(NODE, vec![]);
    ghosts(&mut lent, &[Ghost::RetypeZero { entry: 0, mem: cells }]).unwrap();
    // As plain integers the owner writes them, and then they are no zeroes.
    let plain = array(k(2), u64s());
    ghosts(&mut st, &[Ghost::RetypeZero { entry: 0, mem: plain }]).unwrap();
    let back = [Ghost::RetypeZero { entry: 0, mem: named(NODE, vec![]) }];
    assert_eq!(refusal(ghosts(&mut st, &back)), Rule::RetypeZero);
}
