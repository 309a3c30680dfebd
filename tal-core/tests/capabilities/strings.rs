//! Not trusted. Rep and string rows (core.md 4.9; traps 64, 65; redteam U13, U14; core.md 9.34).

use crate::support::*;
use tal_core::error::{Error, Rule};
use tal_core::judge::Judge;
use tal_core::state::{FlagKind, FlagSet, Flags, State};
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Mem, Mode, NameSet, Reg, Word};

/// rdi = P(x,0), rsi = P(y,0), rcx = I(n), rax = I(0); n >= 0.
fn setup() -> (State, Var, Var, Term) {
    let mut st = state();
    let (x, y) = (address(&mut st), address(&mut st));
    let n = natural(&mut st);
    st.set_reg(Reg::Rdi, ptr(x, k(0)));
    st.set_reg(Reg::Rsi, ptr(y, k(0)));
    st.set_reg(Reg::Rcx, Word::Int(n.clone()));
    st.set_reg(Reg::Rax, Word::Int(k(0)));
    (st, x, y, n)
}

fn run(
    st: &mut State,
    f: fn(&mut Judge<'_, Teller>, &mut State) -> Result<(), Error>,
) -> Result<(), Error> {
    judged(Teller::default(), |judge| f(judge, st))
}

fn movs(st: &mut State) -> Result<(), Error> {
    run(st, |judge, st| judge.rep_movs(st, 1))
}

fn stos(st: &mut State, width: u8) -> Result<(), Error> {
    if width == 1 {
        run(st, |judge, st| judge.rep_stos(st, 1))
    } else {
        run(st, |judge, st| judge.rep_stos(st, 8))
    }
}

#[test]
fn copies_move_both_pointers_and_empty_the_count() {
    let (mut st, x, y, n) = setup();
    owned(&mut st, x, k(0), bytes(n.clone()));
    shared(&mut st, Mode::Rd, y, bytes(n.clone()));
    movs(&mut st).unwrap();
    assert_eq!(st.regs()[Reg::Rdi as usize], ptr(x, n.clone()));
    assert_eq!(st.regs()[Reg::Rsi as usize], ptr(y, n));
    assert_eq!(st.regs()[Reg::Rcx as usize], Word::Int(k(0)));
}

/// Attack t64.
#[test]
fn the_count_is_not_negative_and_fits() {
    let (mut st, x, y, n) = setup();
    owned(&mut st, x, k(0), bytes(n.clone()));
    shared(&mut st, Mode::Ro, y, bytes(n.clone()));
    let mut negative = st.clone();
    forget(&mut negative, &n);
    assert_eq!(refusal(movs(&mut negative)), Rule::RowRepMovs);
    st.set_reg(Reg::Rcx, Word::Int(n.plus(1).unwrap()));
    assert_eq!(refusal(movs(&mut st)), Rule::RowRepMovs);
    for (reg, word) in [
        (Reg::Rcx, ptr(x, k(0))),
        (Reg::Rcx, Word::Junk),
        (Reg::Rdi, Word::Int(k(0))),
        (Reg::Rdi, Word::Frame(0)),
        (Reg::Rsi, Word::Junk),
        (Reg::Rsi, Word::Ptr(Base::Code(tal_core::ty::FnId(0)), k(0))),
    ] {
        let (mut st, ..) = setup();
        st.set_reg(reg, word);
        assert_eq!(refusal(movs(&mut st)), Rule::RowRepMovs);
    }
}

/// Attacks t65, U13, U14.
#[test]
fn only_plain_memory_is_copied_over() {
    let small = vec![ge(k(9).sub(&Term::var(Var::Value)).unwrap())];
    let mut ro = int(0, 64, false);
    ro.writable = false;
    let bad: [(tal_core::counted::Rc<Mem>, bool); 5] = [
        (record(8, vec![refined(0, 64, false, small)]), true),
        (record(8, vec![own(0, true, None, u64s())]), true),
        (record(8, vec![reference(0, true, Mode::Rw, u64s())]), true),
        (record(8, vec![int(0, 32, false)]), true),
        (record(8, vec![ro]), false),
    ];
    for (element, also_as_source) in bad {
        let (mut st, x, y, n) = setup();
        st.set_reg(Reg::Rcx, Word::Int(n.scale(8).unwrap()));
        shared(&mut st, Mode::Rw, x, array(n.clone(), element.clone()));
        shared(&mut st, Mode::Rw, y, array(n.clone(), u64s()));
        assert_eq!(refusal(movs(&mut st.clone())), Rule::RowRepMovs);
        let (to, from) = (st.reg(Reg::Rdi).clone(), st.reg(Reg::Rsi).clone());
        st.set_reg(Reg::Rdi, from);
        st.set_reg(Reg::Rsi, to);
        assert_eq!(movs(&mut st).is_err(), also_as_source);
    }
}

#[test]
fn views_are_written_in_mode_rw_and_while_they_live() {
    for (mode, accepted) in [(Mode::Rw, true), (Mode::Ro, false), (Mode::Rd, false)] {
        let (mut st, x, _, n) = setup();
        shared(&mut st, mode, x, bytes(n));
        assert_eq!(stos(&mut st, 1).is_ok(), accepted);
    }
    let (mut st, x, _, n) = setup();
    let rho = declare(&mut st, tal_core::ty::Kind::Region);
    lent(&mut st, tal_core::ty::Region::Var(rho), Mode::Rw, x, bytes(n));
    assert_eq!(refusal(stos(&mut st, 1)), Rule::AccessView);
    let (mut st, x, _, n) = setup();
    shared(&mut st, Mode::Rw, x, junk(n));
    assert_eq!(refusal(stos(&mut st, 1)), Rule::RowRepStos);
}

#[test]
fn junk_is_filled_exactly() {
    let (mut st, x, _, n) = setup();
    owned(&mut st, x, k(0), junk(n.plus(1).unwrap()));
    // U13: what is not covered would become readable.
    assert_eq!(refusal(stos(&mut st, 1)), Rule::RowRepStos);
    let (mut st, x, _, n) = setup();
    owned(&mut st, x, k(0), junk(n.scale(8).unwrap()));
    assert_eq!(refusal(stos(&mut st.clone(), 1)), Rule::RowRepStos);
    stos(&mut st, 8).unwrap();
    assert_eq!(*entry(&st, 0).mem, *zero(n.scale(8).unwrap()));
    // c34: zero is not written over.
    st.set_reg(Reg::Rdi, ptr(x, k(0)));
    assert_eq!(refusal(stos(&mut st, 8)), Rule::RowRepStos);
    // Other values make bytes; a pointer makes nothing.
    let (mut st, x, _, n) = setup();
    owned(&mut st, x, k(0), junk(n.clone()));
    st.set_reg(Reg::Rax, Word::Int(k(1)));
    stos(&mut st, 1).unwrap();
    assert_eq!(*entry(&st, 0).mem, *bytes(n.clone()));
    let (mut st, x, y, n) = setup();
    owned(&mut st, x, k(0), bytes(n));
    st.set_reg(Reg::Rax, ptr(y, k(0)));
    assert_eq!(refusal(stos(&mut st, 1)), Rule::RowRepStos);
    // 256 is zero as a byte, not as a word.
    for (width, kind) in [(1, zero(k(8))), (8, bytes(k(8)))] {
        let (mut st, x, _, _) = setup();
        owned(&mut st, x, k(0), junk(k(8)));
        st.set_reg(Reg::Rax, Word::Int(k(256)));
        st.set_reg(Reg::Rcx, Word::Int(k(if width == 1 { 8 } else { 1 })));
        stos(&mut st, width).unwrap();
        assert_eq!(*entry(&st, 0).mem, *kind);
    }
}

#[test]
fn zeroes_over_owned_plain_memory_are_zero_if_wanted() {
    for unwilling in [false, true] {
        let (mut st, x, _, n) = setup();
        owned(&mut st, x, k(0), bytes(n.clone()));
        let teller = Teller { unwilling, ..Teller::default() };
        judged(teller, |judge| judge.rep_stos(&mut st, 1)).unwrap();
        let expected = if unwilling { bytes(n) } else { zero(n) };
        assert_eq!(*entry(&st, 0).mem, *expected);
    }
    // Wanted of a part: refused.
    let (mut st, x, _, n) = setup();
    owned(&mut st, x, k(0), bytes(n.plus(1).unwrap()));
    assert_eq!(refusal(stos(&mut st, 1)), Rule::RowRepStos);
}

#[test]
fn single_steps_are_loads_and_stores() {
    let (mut st, x, y, _) = setup();
    shared(&mut st, Mode::Rw, x, bytes(k(4)));
    shared(&mut st, Mode::Ro, y, bytes(k(4)));
    run(&mut st, |j, st| j.movsb(st)).unwrap();
    run(&mut st, |j, st| j.lodsb(st)).unwrap();
    run(&mut st, |j, st| j.stosb(st)).unwrap();
    assert_eq!(st.regs()[Reg::Rsi as usize], ptr(y, k(2)));
    assert_eq!(st.regs()[Reg::Rdi as usize], ptr(x, k(2)));
    st.set_reg(Reg::Rdi, ptr(x, k(4)));
    assert_eq!(refusal(run(&mut st.clone(), |j, st| j.stosb(st))), Rule::Shape);
    st.set_reg(Reg::Rdi, ptr(y, k(0)));
    assert_eq!(refusal(run(&mut st.clone(), |j, st| j.stosb(st))), Rule::StoreWeak);
    st.set_reg(Reg::Rax, ptr(x, k(0)));
    assert_eq!(refusal(run(&mut st, |j, st| j.stosb(st))), Rule::RowString);
}

#[test]
fn searches_leave_fresh_results_and_no_flags() {
    let (mut st, x, y, n) = setup();
    shared(&mut st, Mode::Ro, x, bytes(n.clone()));
    shared(&mut st, Mode::Ro, y, bytes(n.clone()));
    st.set_flags(Flags { kind: FlagKind::None, readable: FlagSet(0xff) });
    let mut scan = st.clone();
    run(&mut st, |j, st| j.repe_cmpsb(st)).unwrap();
    let Word::Int(left) = st.regs()[Reg::Rcx as usize].clone() else { panic!() };
    assert_eq!(bounds(&st, &left).low(), Some(0));
    assert_eq!(st.regs()[Reg::Rdi as usize], ptr(x, n.sub(&left).unwrap()));
    assert_eq!(st.flags().readable.0, 0);
    run(&mut scan, |j, st| j.repne_scasb(st)).unwrap();
    assert_eq!(scan.flags().readable.0, 0);
    let (mut st, x, _, n) = setup();
    shared(&mut st, Mode::Ro, x, bytes(n.plus(-1).unwrap()));
    assert_eq!(refusal(run(&mut st, |j, st| j.repne_scasb(st))), Rule::RowString);
    let (mut st, x, _, n) = setup();
    shared(&mut st, Mode::Ro, x, bytes(n));
    st.set_reg(Reg::Rax, Word::Junk);
    assert_eq!(refusal(run(&mut st, |j, st| j.repne_scasb(st))), Rule::RowString);
    let z = name(&mut st, NameSet::NULLABLE);
    st.set_reg(Reg::Rdi, ptr(z, k(0)));
    assert_eq!(refusal(run(&mut st, |j, st| j.repne_scasb(st))), Rule::RowString);
}
