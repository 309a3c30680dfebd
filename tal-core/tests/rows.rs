//! Not trusted. The rows one by one: what is refused or unreadable, beside the twin that is not.
//! Numbers are those of the traps (t) and of the attacks (U, A).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use iced_x86::IcedError;
use iced_x86::code_asm::{
    CodeAssembler, al, ax, bl, cl, cx, dx, eax, ecx, edi, edx, esi, ptr, rax, rbp, rbx, rcx, rdi,
    rdx, rsi, rsp, spl,
};
use support::{
    Prover, empty_state, get, holds, int, int_in, judged, large_frame, name, run, run_with, set,
};
use tal_core::counted::Rc;
use tal_core::decode::{Cc, Decoded, Ea, Op, Width, decode_at};
use tal_core::error::{Error, Kind, Rule};
use tal_core::hint::{Place, Template};
use tal_core::image::{Contents, Data, DataKind, Function};
use tal_core::judge::Judge;
use tal_core::state::{FlagKind, State};
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, Cap, DataId, Fact, FieldTy, FnId, Mem, NameSet, Reg, Rel, Word};

type Code = fn(&mut CodeAssembler) -> Result<(), IcedError>;

fn bytes(code: Code) -> Vec<u8> {
    let mut a = CodeAssembler::new(64).unwrap();
    code(&mut a).unwrap();
    a.assemble(0x40_0000).unwrap()
}

fn exec(state: &mut State, code: Code) -> Result<(), Error> {
    run(state, &bytes(code))
}

/// The rule that refuses.
fn refused(state: &State, code: Code) -> Rule {
    exec(&mut state.clone(), code).unwrap_err().rule
}

/// The state after the code and one edge of a condition.
fn after_edge(state: &State, code: Code, cc: Cc, taken: bool) -> Result<State, Error> {
    let mut state = state.clone();
    exec(&mut state, code)?;
    judged(|judge| judge.edge(&mut state, cc, taken))?;
    Ok(state)
}

fn ge(term: Term) -> Fact {
    Fact { rel: Rel::Ge, term }
}

/// `a - b >= 0` is known.
fn known(state: &State, a: &Term, b: &Term) -> bool {
    holds(state, &ge(a.sub(b).unwrap()))
}

fn c(n: i64) -> Term {
    Term::int(n)
}

fn word_int(state: &State, reg: Reg) -> Term {
    match get(state, reg) {
        Word::Int(t) => t.clone(),
        other => panic!("{reg:?} is {other:?}"),
    }
}

/// Facts about the integer in the register: `low <= it <= high`, and nothing narrower.
fn is_in(state: &State, reg: Reg, low: i64, high: i64) -> bool {
    let t = word_int(state, reg);
    known(state, &t, &c(low))
        && known(state, &c(high), &t)
        && !known(state, &t, &c(low + 1))
        && !known(state, &c(high - 1), &t)
}

fn pointer(state: &mut State, reg: Reg, set_of: NameSet) -> Var {
    let x = name(state, set_of);
    set(state, reg, Word::Ptr(Base::Name(x), Term::ZERO));
    x
}

fn with_int(state: &mut State, reg: Reg, low: i128, high: i128) -> Term {
    let n = int_in(state, low, high);
    set(state, reg, Word::Int(n.clone()));
    n
}

fn with_any(state: &mut State, reg: Reg) -> Term {
    let n = int(state);
    set(state, reg, Word::Int(n.clone()));
    n
}

const U32: i128 = (1 << 32) - 1;
const U64: i128 = (1 << 64) - 1;

#[test]
fn t1_a_pointer_does_not_survive_32_bits() {
    let mut s = empty_state();
    pointer(&mut s, Reg::Rax, NameSet::ADDRESS);
    exec(&mut s, |a| a.mov(eax, eax)).unwrap();
    assert_eq!(get(&s, Reg::Rax), &Word::Junk);
    let n = with_int(&mut s, Reg::Rax, 0, U32);
    exec(&mut s, |a| a.mov(eax, eax)).unwrap();
    assert_eq!(get(&s, Reg::Rax), &Word::Int(n.clone()));
    exec(&mut s, |a| a.mov(rbx, rax)).unwrap();
    assert_eq!(get(&s, Reg::Rbx), &Word::Int(n));
}

/// Attacks t51, A1.
#[test]
fn t1_32_bits_of_an_unknown_number_are_fresh() {
    let mut s = empty_state();
    let n = with_any(&mut s, Reg::Rax);
    exec(&mut s, |a| a.mov(ecx, eax)).unwrap();
    assert_ne!(word_int(&s, Reg::Rcx), n);
    assert!(is_in(&s, Reg::Rcx, 0, U32 as i64));
    exec(&mut s, |a| a.mov(rcx, rax)).unwrap();
    assert_eq!(word_int(&s, Reg::Rcx), n);
}

#[test]
fn t2_a_32_bit_compare_tells_of_32_bit_numbers_only() {
    let code: Code = |a| a.cmp(edi, esi);
    let mut s = empty_state();
    let (i, n) = (with_any(&mut s, Reg::Rdi), with_int(&mut s, Reg::Rsi, 0, U32));
    let below = n.sub(&i).unwrap().plus(-1).unwrap();
    let out = after_edge(&s, code, Cc::B, true).unwrap();
    assert!(!holds(&out, &ge(below.clone())));
    let i = with_int(&mut s, Reg::Rdi, 0, U32);
    let out = after_edge(&s, code, Cc::B, true).unwrap();
    assert!(known(&out, &n, &i.plus(1).unwrap()));
    // t35: the other edge has the opposite fact.
    let out = after_edge(&s, code, Cc::B, false).unwrap();
    assert!(known(&out, &i, &n) && !known(&out, &n, &i.plus(1).unwrap()));
}

#[test]
fn t5_t54_cmov_holds_on_both_sides_and_clears_the_upper_half() {
    let mut s = empty_state();
    let (a, b) = (with_any(&mut s, Reg::Rax), with_int(&mut s, Reg::Rcx, 0, 5));
    with_int(&mut s, Reg::Rdx, 0, 9);
    let code = bytes(|a| {
        a.cmp(edx, edx)?;
        a.cmove(eax, ecx)
    });
    let n = Term::var(Var::Free(s.scope.len() as u16));
    let mut out = s.clone();
    run(&mut out, &code).unwrap();
    assert!(is_in(&out, Reg::Rax, 0, U32 as i64), "upper half cleared in any case");
    // min: the template claims n <= 5, which the old value does not satisfy.
    let claim = |facts: Vec<Fact>| Template {
        fresh: 1,
        word: Word::Int(n.clone()),
        facts,
        moved: vec![b.clone()],
        kept: vec![a.clone()],
    };
    let five = ge(c(5).sub(&n).unwrap());
    let prover = |facts| Prover { template: Some(claim(facts)), ..Prover::default() };
    let error = run_with(prover(vec![five]), &mut s.clone(), &code).unwrap_err();
    assert_eq!(error.rule, Rule::RowCmov);
    run_with(prover(vec![]), &mut s.clone(), &code).unwrap();
}

#[test]
fn cmov_uses_the_edge_fact_of_each_side_and_leaks_none() {
    // min(a, b): n <= a and n <= b need the comparison.
    let mut s = empty_state();
    let a = with_int(&mut s, Reg::Rax, 0, U64);
    let b = with_int(&mut s, Reg::Rcx, 0, U64);
    let code = bytes(|a| {
        a.cmp(rcx, rax)?;
        a.cmovb(rax, rcx)
    });
    let wrong = bytes(|a| {
        a.cmp(rcx, rax)?;
        a.cmova(rax, rcx)
    });
    let n = Term::var(Var::Free(s.scope.len() as u16));
    let facts = vec![ge(a.sub(&n).unwrap()), ge(b.sub(&n).unwrap())];
    let (moved, kept) = (vec![b.clone()], vec![a.clone()]);
    let template = Template { fresh: 1, word: Word::Int(n.clone()), facts, moved, kept };
    let prover = Prover { template: Some(template), ..Prover::default() };
    let mut out = s.clone();
    run_with(prover.clone(), &mut out, &code).unwrap();
    assert!(known(&out, &a, &n) && known(&out, &b, &n));
    assert!(!known(&out, &a, &b) && !known(&out, &b, &a), "nothing of a side survives");
    assert_eq!(run_with(prover, &mut s, &wrong).unwrap_err().rule, Rule::RowCmov);
}

/// Attacks A21, c36.
#[test]
fn cmov_between_two_names_is_unreadable() {
    let mut s = empty_state();
    let x = pointer(&mut s, Reg::Rax, NameSet::ADDRESS);
    pointer(&mut s, Reg::Rcx, NameSet::ADDRESS);
    with_any(&mut s, Reg::Rdx);
    let code: Code = |a| {
        a.cmp(rdx, 0)?;
        a.cmove(rax, rcx)
    };
    let mut out = s.clone();
    exec(&mut out, code).unwrap();
    assert_eq!(get(&out, Reg::Rax), &Word::Junk);
    set(&mut s, Reg::Rcx, Word::Ptr(Base::Name(x), c(8)));
    exec(&mut s, code).unwrap();
    assert!(matches!(get(&s, Reg::Rax), Word::Ptr(b, _) if *b == Base::Name(x)));
}

#[test]
fn t6_t22_a_byte_into_a_pointer_is_junk() {
    let mut s = empty_state();
    pointer(&mut s, Reg::Rax, NameSet::ADDRESS);
    with_any(&mut s, Reg::Rdx);
    let code: Code = |a| {
        a.cmp(rdx, 0)?;
        a.sete(al)
    };
    let mut out = s.clone();
    exec(&mut out, code).unwrap();
    assert_eq!(get(&out, Reg::Rax), &Word::Junk);
    set(&mut s, Reg::Rax, Word::Int(c(0)));
    exec(&mut s, code).unwrap();
    assert!(is_in(&s, Reg::Rax, 0, 1));
}

#[test]
fn t6_a_byte_into_an_unknown_number_leaves_the_rest_unknown() {
    let mut s = empty_state();
    with_any(&mut s, Reg::Rax);
    exec(&mut s, |a| a.mov(al, 1)).unwrap();
    assert_ne!(word_int(&s, Reg::Rax), c(1));
    with_int(&mut s, Reg::Rax, 0, 255);
    exec(&mut s, |a| a.mov(al, 1)).unwrap();
    assert_eq!(word_int(&s, Reg::Rax), c(1));
    exec(&mut s, |a| a.mov(ax, -1)).unwrap();
    assert_eq!(word_int(&s, Reg::Rax), c(0xFFFF));
    // U9: no part of a pointer becomes a number.
    pointer(&mut s, Reg::Rdx, NameSet::ADDRESS);
    exec(&mut s, |a| a.mov(ax, dx)).unwrap();
    assert_eq!(get(&s, Reg::Rax), &Word::Junk);
}

#[test]
fn t9_movsx_is_signed_movzx_is_not() {
    let mut s = empty_state();
    with_any(&mut s, Reg::Rcx);
    exec(&mut s, |a| a.movsx(rax, cl)).unwrap();
    assert!(is_in(&s, Reg::Rax, -128, 127));
    exec(&mut s, |a| a.movzx(rax, cl)).unwrap();
    assert!(is_in(&s, Reg::Rax, 0, 255));
    exec(&mut s, |a| a.movsx(eax, cx)).unwrap();
    assert!(is_in(&s, Reg::Rax, 0, U32 as i64));
    pointer(&mut s, Reg::Rcx, NameSet::ADDRESS);
    exec(&mut s, |a| a.movzx(eax, cl)).unwrap();
    assert_eq!(get(&s, Reg::Rax), &Word::Junk);
}

/// Attack t53.
#[test]
fn t10_masks_are_sign_extended() {
    let mut s = empty_state();
    let n = with_any(&mut s, Reg::Rax);
    exec(&mut s, |a| a.and(rax, -16)).unwrap();
    let r = word_int(&s, Reg::Rax);
    assert!(known(&s, &n, &r) && known(&s, &r.plus(15).unwrap(), &n));
    assert!(!known(&s, &c(U32 as i64), &r), "the upper half is not cleared");
    let mut s = empty_state();
    with_any(&mut s, Reg::Rax);
    exec(&mut s, |a| a.and(eax, -16)).unwrap();
    assert!(known(&s, &c(U32 as i64), &word_int(&s, Reg::Rax)));
    exec(&mut s, |a| a.and(eax, 7)).unwrap();
    assert!(is_in(&s, Reg::Rax, 0, 7));
}

#[test]
fn t11_t13_shift_counts_are_masked() {
    let mut s = empty_state();
    let n = with_any(&mut s, Reg::Rax);
    exec(&mut s, |a| a.shl(rax, 65)).unwrap();
    assert_eq!(word_int(&s, Reg::Rax), n.scale(2).unwrap());
    // A count of zero leaves the flags: they are still those of the compare.
    with_int(&mut s, Reg::Rdx, 0, 9);
    exec(&mut s, |a| {
        a.cmp(rdx, 3)?;
        a.shl(rax, 64)
    })
    .unwrap();
    assert!(matches!(s.flags().kind, FlagKind::Cmp(64, ..)));
    exec(&mut s, |a| a.shl(rax, 1)).unwrap();
    assert!(matches!(s.flags().kind, FlagKind::Result(64, _)));
}

#[test]
fn t12_shr_of_a_negative_representative() {
    let mut s = empty_state();
    with_int(&mut s, Reg::Rax, -8, -1);
    exec(&mut s, |a| a.shr(rax, 1)).unwrap();
    assert!(is_in(&s, Reg::Rax, 0, i64::MAX));
    with_int(&mut s, Reg::Rax, -8, -1);
    exec(&mut s, |a| a.sar(rax, 1)).unwrap();
    let x = word_int(&s, Reg::Rax);
    assert!(known(&s, &c(-1), &x.scale(2).unwrap()));
}

#[test]
fn t15_t23_mul_writes_rdx_as_well() {
    let mut s = empty_state();
    with_any(&mut s, Reg::Rax);
    with_any(&mut s, Reg::Rcx);
    pointer(&mut s, Reg::Rdx, NameSet::ADDRESS);
    exec(&mut s, |a| a.mul(rcx)).unwrap();
    assert!(matches!(get(&s, Reg::Rdx), Word::Int(_)));
    // U9: of a pointer both halves are unreadable.
    pointer(&mut s, Reg::Rcx, NameSet::ADDRESS);
    exec(&mut s, |a| a.mul(rcx)).unwrap();
    assert_eq!((get(&s, Reg::Rax), get(&s, Reg::Rdx)), (&Word::Junk, &Word::Junk));
}

#[test]
fn t16_div_needs_a_zero_high_half_and_a_positive_divisor() {
    let code: Code = |a| a.div(rcx);
    let mut s = empty_state();
    let n = with_int(&mut s, Reg::Rax, 0, U64);
    set(&mut s, Reg::Rdx, Word::Int(c(0)));
    let d = with_int(&mut s, Reg::Rcx, 1, 1000);
    let mut out = s.clone();
    exec(&mut out, code).unwrap();
    let (q, r) = (word_int(&out, Reg::Rax), word_int(&out, Reg::Rdx));
    assert!(known(&out, &n, &q) && known(&out, &d, &r.plus(1).unwrap()) && known(&out, &r, &c(0)));
    let mut bad = s.clone();
    set(&mut bad, Reg::Rdx, Word::Int(c(1)));
    assert_eq!(refused(&bad, code), Rule::RowDiv);
    with_int(&mut s, Reg::Rcx, 0, 1000);
    assert_eq!(refused(&s, code), Rule::RowDiv);
    pointer(&mut s, Reg::Rcx, NameSet::ADDRESS);
    assert_eq!(refused(&s, code), Rule::RowDiv);
}

#[test]
fn u7_idiv_rounds_towards_zero() {
    let code: Code = |a| {
        a.cqo()?;
        a.mov(ecx, 2)?;
        a.idiv(rcx)
    };
    let mut s = empty_state();
    with_int(&mut s, Reg::Rax, -7, 100);
    exec(&mut s, code).unwrap();
    assert!(is_in(&s, Reg::Rdx, -1, 1), "the remainder may be negative");
    let mut s = empty_state();
    with_int(&mut s, Reg::Rax, 0, 100);
    exec(&mut s, code).unwrap();
    assert!(is_in(&s, Reg::Rdx, 0, 1));
    // Without cqo, or with that of another number.
    let mut s = empty_state();
    with_int(&mut s, Reg::Rax, -7, 100);
    set(&mut s, Reg::Rdx, Word::Int(c(0)));
    let bare: Code = |a| {
        a.mov(ecx, 2)?;
        a.idiv(rcx)
    };
    assert_eq!(refused(&s, bare), Rule::RowIdiv);
    // 32 bits: cdq clears the upper half of rdx, and idiv finds the sign again.
    with_int(&mut s, Reg::Rax, -7, 100);
    exec(&mut s, |a| {
        a.cdq()?;
        a.mov(ecx, 2)?;
        a.idiv(ecx)
    })
    .unwrap();
}

#[test]
fn t17_a_sign_copy_is_not_the_number() {
    let mut s = empty_state();
    let n = with_int(&mut s, Reg::Rax, 5, 5);
    exec(&mut s, |a| a.cqo()).unwrap();
    assert_ne!(word_int(&s, Reg::Rdx), n);
    // 2^63 h >= n - 2^63 + 1 > -2^63, so h >= 0 is in reach; and h <= 0.
    let h = word_int(&s, Reg::Rdx).scale(1 << 63).unwrap();
    assert!(known(&s, &c(5), &h) && known(&s, &h.plus((1 << 63) - 1).unwrap(), &c(5)));
}

#[test]
fn t21_xor_rebuilds_no_pointer() {
    let mut s = empty_state();
    pointer(&mut s, Reg::Rax, NameSet::ADDRESS);
    with_any(&mut s, Reg::Rbx);
    exec(&mut s, |a| a.xor(rax, rbx)).unwrap();
    assert_eq!(get(&s, Reg::Rax), &Word::Junk);
    exec(&mut s, |a| a.xor(rax, rax)).unwrap();
    assert_eq!(get(&s, Reg::Rax), &Word::Int(c(0)));
    assert!(s.flags().readable.contains(Cc::E.flags()));
}

#[test]
fn lea_keeps_an_unscaled_pointer() {
    let mut s = empty_state();
    let x = pointer(&mut s, Reg::Rbx, NameSet::ADDRESS);
    let n = with_any(&mut s, Reg::Rcx);
    exec(&mut s, |a| a.lea(rax, ptr(rbx + rcx * 4 + 8))).unwrap();
    let offset = n.scale(4).unwrap().plus(8).unwrap();
    assert_eq!(get(&s, Reg::Rax), &Word::Ptr(Base::Name(x), offset));
    exec(&mut s, |a| a.lea(rax, ptr(rcx + rbx * 4 + 8))).unwrap();
    assert_eq!(get(&s, Reg::Rax), &Word::Junk);
    exec(&mut s, |a| a.lea(eax, ptr(rbx + 8))).unwrap();
    assert_eq!(get(&s, Reg::Rax), &Word::Junk);
    // t19: the term is exact modulo 2^64; no range comes with it.
    exec(&mut s, |a| a.lea(rax, ptr(rcx * 8))).unwrap();
    assert_eq!(get(&s, Reg::Rax), &Word::Int(n.scale(8).unwrap()));
}

#[test]
fn pointers_add_and_subtract_at_64_bits_only() {
    let mut s = empty_state();
    let x = pointer(&mut s, Reg::Rax, NameSet::ADDRESS);
    let n = with_any(&mut s, Reg::Rcx);
    let mut out = s.clone();
    exec(&mut out, |a| a.add(rcx, rax)).unwrap();
    assert_eq!(get(&out, Reg::Rcx), &Word::Ptr(Base::Name(x), n.clone()));
    exec(&mut out, |a| a.sub(rcx, rax)).unwrap();
    assert_eq!(get(&out, Reg::Rcx), &Word::Int(n));
    exec(&mut s, |a| a.add(ecx, eax)).unwrap();
    assert_eq!(get(&s, Reg::Rcx), &Word::Junk);
}

#[test]
fn t26_t33_the_flags_are_those_of_the_last_writer() {
    let mut s = empty_state();
    let i = with_int(&mut s, Reg::Rdi, 0, 100);
    let n = with_int(&mut s, Reg::Rsi, 0, 100);
    with_int(&mut s, Reg::Rax, 0, 100);
    let late: Code = |a| {
        a.cmp(rdi, rsi)?;
        a.add(rax, 1)
    };
    let out = after_edge(&s, late, Cc::B, true).unwrap();
    assert!(!known(&out, &n, &i.plus(1).unwrap()));
    // The facts are about the values: another number in the register changes nothing.
    let moved: Code = |a| {
        a.cmp(rdi, rsi)?;
        a.mov(rdi, rax)
    };
    let out = after_edge(&s, moved, Cc::B, true).unwrap();
    assert!(known(&out, &n, &i.plus(1).unwrap()));
    assert_ne!(word_int(&out, Reg::Rdi), i);
}

#[test]
fn t27_dec_keeps_the_carry_but_not_what_it_meant() {
    let mut s = empty_state();
    let i = with_int(&mut s, Reg::Rdi, 0, 100);
    let n = with_int(&mut s, Reg::Rsi, 0, 100);
    let count = with_int(&mut s, Reg::Rcx, 1, 100);
    let code: Code = |a| {
        a.cmp(rdi, rsi)?;
        a.dec(rcx)
    };
    let out = after_edge(&s, code, Cc::B, true).unwrap();
    assert!(!known(&out, &n, &i.plus(1).unwrap()));
    let out = after_edge(&s, code, Cc::E, true).unwrap();
    assert!(known(&out, &c(1), &count) && !known(&out, &i, &n));
}

#[test]
fn t28_t29_undefined_flags_are_not_readable() {
    let mut s = empty_state();
    for reg in [Reg::Rdx, Reg::Rcx, Reg::Rax, Reg::Rbx] {
        with_any(&mut s, reg);
    }
    let cases: [(Code, Cc); 5] = [
        (
            |a| {
                a.cmp(rax, rbx)?;
                a.shl(rdx, cl)
            },
            Cc::E,
        ),
        (|a| a.imul_2(rax, rbx), Cc::E),
        (|a| a.mul(rbx), Cc::S),
        (|a| a.bt(rax, rbx), Cc::L),
        (|a| a.shl(rax, 3), Cc::O),
    ];
    for (code, cc) in cases {
        let error = after_edge(&s, code, cc, true).unwrap_err();
        assert_eq!((error.rule, error.kind), (Rule::FlagsRead, Kind::Flags));
    }
    let twins: [(Code, Cc); 3] =
        [(|a| a.imul_2(rax, rbx), Cc::O), (|a| a.bt(rax, rbx), Cc::B), (|a| a.shl(rax, 3), Cc::E)];
    for (code, cc) in twins {
        after_edge(&s, code, cc, true).unwrap();
    }
}

#[test]
fn t30_t31_signed_and_unsigned_are_apart() {
    let mut s = empty_state();
    let i = with_int(&mut s, Reg::Rdi, -5, 100);
    let n = with_int(&mut s, Reg::Rsi, 0, 100);
    let code: Code = |a| a.cmp(rdi, rsi);
    let out = after_edge(&s, code, Cc::L, true).unwrap();
    assert!(known(&out, &n, &i.plus(1).unwrap()) && !known(&out, &i, &c(0)));
    let out = after_edge(&s, code, Cc::B, true).unwrap();
    assert!(!known(&out, &n, &i.plus(1).unwrap()), "-1 is not below n");
    let i = with_int(&mut s, Reg::Rdi, 0, 100);
    let out = after_edge(&s, code, Cc::B, true).unwrap();
    assert!(known(&out, &n, &i.plus(1).unwrap()));
}

#[test]
fn t32_test_is_no_comparison_and_a3_tells_of_the_masked_value() {
    let mut s = empty_state();
    let i = with_int(&mut s, Reg::Rdi, 0, 100);
    let n = with_int(&mut s, Reg::Rsi, 0, 100);
    let out = after_edge(&s, |a| a.test(rdi, rsi), Cc::Ae, true).unwrap();
    assert!(!known(&out, &i, &n));
    let out = after_edge(&s, |a| a.test(rdi, 2), Cc::E, true).unwrap();
    assert!(!known(&out, &c(0), &i), "two bits are clear, not all");
    let out = after_edge(&s, |a| a.test(rdi, rdi), Cc::E, true).unwrap();
    assert!(known(&out, &c(0), &i));
}

#[test]
fn t39_t40_equality_needs_the_range_and_difference_is_no_order() {
    let mut s = empty_state();
    let (i, n) = (with_any(&mut s, Reg::Rdi), with_int(&mut s, Reg::Rsi, 0, 100));
    let out = after_edge(&s, |a| a.cmp(edi, esi), Cc::E, true).unwrap();
    assert!(!known(&out, &i, &n));
    let i = with_int(&mut s, Reg::Rdi, 0, 100);
    let out = after_edge(&s, |a| a.cmp(edi, esi), Cc::E, true).unwrap();
    assert!(known(&out, &i, &n) && known(&out, &n, &i));
    let out = after_edge(&s, |a| a.cmp(edi, esi), Cc::Ne, true).unwrap();
    assert!(!known(&out, &n, &i.plus(1).unwrap()));
    let ne = Fact { rel: Rel::Ne, term: i.sub(&n).unwrap() };
    assert!(holds(&out, &ne));
}

#[test]
fn u10_flags_of_pointers_are_not_readable() {
    let mut s = empty_state();
    pointer(&mut s, Reg::Rdi, NameSet::ADDRESS);
    with_any(&mut s, Reg::Rcx);
    set(&mut s, Reg::Rax, Word::Int(c(0)));
    let codes: [Code; 6] = [
        |a| a.cmp(rdi, rcx),
        |a| a.add(rdi, rcx),
        |a| a.test(rdi, 16),
        |a| a.bt(rdi, rcx),
        |a| a.shl(rdi, 1),
        |a| a.sub(rdi, 1),
    ];
    for code in codes {
        let error = after_edge(&s, code, Cc::B, true).unwrap_err();
        assert_eq!(error.rule, Rule::FlagsRead);
    }
    let set_carry: Code = |a| {
        a.cmp(rdi, rcx)?;
        a.setb(al)
    };
    assert_eq!(refused(&s, set_carry), Rule::FlagsRead);
    let add_carry: Code = |a| {
        a.cmp(rdi, rcx)?;
        a.adc(rax, 0)
    };
    assert_eq!(refused(&s, add_carry), Rule::FlagsRead);
    // The twin: with a number in rdi.
    with_any(&mut s, Reg::Rdi);
    exec(&mut s.clone(), set_carry).unwrap();
    exec(&mut s, add_carry).unwrap();
}

/// Attack t132.
#[test]
fn u10_at_an_entry_no_flag_is_readable() {
    let mut s = empty_state();
    set(&mut s, Reg::Rax, Word::Int(c(0)));
    assert_eq!(refused(&s, |a| a.setb(al)), Rule::FlagsRead);
    assert_eq!(refused(&s, |a| a.sbb(rax, rax)), Rule::FlagsRead);
    exec(&mut s, |a| {
        a.xor(eax, eax)?;
        a.setb(al)
    })
    .unwrap();
}

#[test]
fn u8_sbb_is_minus_one_or_zero_at_64_bits_only() {
    let mut s = empty_state();
    with_any(&mut s, Reg::Rax);
    with_any(&mut s, Reg::Rdi);
    let wide: Code = |a| {
        a.cmp(rdi, 5)?;
        a.sbb(rax, rax)
    };
    let mut out = s.clone();
    exec(&mut out, wide).unwrap();
    assert!(is_in(&out, Reg::Rax, -1, 0));
    exec(&mut s, |a| {
        a.cmp(rdi, 5)?;
        a.sbb(eax, eax)
    })
    .unwrap();
    assert!(is_in(&s, Reg::Rax, 0, U32 as i64));
}

#[test]
fn u9_what_is_made_of_a_pointer_is_junk() {
    let codes: [Code; 11] = [
        |a| a.or(rax, 0),
        |a| a.and(rax, -1),
        |a| a.shl(rax, cl),
        |a| a.rol(rax, 3),
        |a| a.bswap(rax),
        |a| a.popcnt(rax, rax),
        |a| a.imul_3(rax, rax, 1),
        |a| a.neg(rax),
        |a| a.not(rax),
        |a| a.shr(rax, 1),
        |a| a.movsx(rax, al),
    ];
    for code in codes {
        let mut s = empty_state();
        pointer(&mut s, Reg::Rax, NameSet::ADDRESS);
        with_any(&mut s, Reg::Rcx);
        exec(&mut s, code).unwrap();
        assert_eq!(get(&s, Reg::Rax), &Word::Junk, "{:02x?}", bytes(code));
        with_any(&mut s, Reg::Rax);
        exec(&mut s, code).unwrap();
        assert!(matches!(get(&s, Reg::Rax), Word::Int(_)));
    }
    // The count of a shift is a source, too.
    let mut s = empty_state();
    with_any(&mut s, Reg::Rax);
    pointer(&mut s, Reg::Rcx, NameSet::ADDRESS);
    exec(&mut s, |a| a.shl(rax, cl)).unwrap();
    assert_eq!(get(&s, Reg::Rax), &Word::Junk);
}

#[test]
fn a2_null_tests_are_64_bits_wide_and_of_the_name_itself() {
    let mut s = empty_state();
    let x = pointer(&mut s, Reg::Rax, NameSet::NULLABLE);
    let out = after_edge(&s, |a| a.test(rax, rax), Cc::Ne, true).unwrap();
    let Var::Free(i) = x else { panic!() };
    assert!(out.scope[usize::from(i)].set.is_address());
    let out = after_edge(&s, |a| a.test(rax, rax), Cc::E, true).unwrap();
    assert!(out.scope[usize::from(i)].is.is_some());
    assert!(matches!(get(&out, Reg::Rax), Word::Int(_)));
    let out = after_edge(&s, |a| a.cmp(rax, 0), Cc::Ne, true).unwrap();
    assert!(out.scope[usize::from(i)].set.is_address());
    assert!(after_edge(&s, |a| a.test(eax, eax), Cc::E, true).is_err());
    set(&mut s, Reg::Rax, Word::Ptr(Base::Name(x), c(8)));
    assert!(after_edge(&s, |a| a.test(rax, rax), Cc::E, true).is_err());
}

#[test]
fn a_pick_that_splits_an_alternative_is_refused() {
    let mut s = empty_state();
    let errno = NameSet { address: true, small: [Some((-4095, -1)), None] };
    pointer(&mut s, Reg::Rax, errno);
    for cc in [Cc::S, Cc::L, Cc::A] {
        let code: Code = if cc == Cc::A { |a| a.cmp(rax, -4096) } else { |a| a.test(rax, rax) };
        after_edge(&s, code, cc, true).unwrap();
        after_edge(&s, code, cc, false).unwrap();
    }
    // Below 2^20: a bit of the address. Equal to -3: a bit of the error, which is to be read after
    // it is known to be one.
    let split: Code = |a| a.cmp(rax, 1 << 20);
    assert_eq!(after_edge(&s, split, Cc::B, true).unwrap_err().rule, Rule::FlagsRead);
    assert_eq!(after_edge(&s, |a| a.cmp(rax, -3), Cc::E, true).unwrap_err().rule, Rule::FlagsRead);
    assert_eq!(
        after_edge(&s, |a| a.test(rax, rax), Cc::P, true).unwrap_err().rule,
        Rule::FlagsRead
    );
}

/// Attack c37.
#[test]
fn pointers_of_one_object_compare_as_their_offsets() {
    let mut s = empty_state();
    let x = pointer(&mut s, Reg::Rax, NameSet::ADDRESS);
    let i = int_in(&mut s, 0, 1000);
    let n = int_in(&mut s, 0, 1000);
    let at = |t: &Term| Word::Ptr(Base::Name(x), t.clone());
    set(&mut s, Reg::Rax, at(&i));
    set(&mut s, Reg::Rcx, at(&n));
    let out = after_edge(&s, |a| a.cmp(rax, rcx), Cc::B, true).unwrap();
    assert!(known(&out, &n, &i.plus(1).unwrap()));
    // Without bounds only equality may be read; of different names nothing.
    let m = int(&mut s);
    set(&mut s, Reg::Rcx, at(&m));
    assert!(after_edge(&s, |a| a.cmp(rax, rcx), Cc::B, true).is_err());
    after_edge(&s, |a| a.cmp(rax, rcx), Cc::E, true).unwrap();
    pointer(&mut s, Reg::Rcx, NameSet::ADDRESS);
    assert!(after_edge(&s, |a| a.cmp(rax, rcx), Cc::E, true).is_err());
}

#[test]
fn u6_t109_t110_rsp_stays_within_a_page_of_what_is_touched() {
    let mut s = empty_state();
    exec(&mut s, |a| a.sub(rsp, 4080)).unwrap();
    assert_eq!(refused(&s, |a| a.sub(rsp, 8)), Rule::StackMove);
    // A store at the lowest touched byte pays nothing back (U6).
    let mut t = empty_state();
    exec(&mut t, |a| {
        a.push(rax)?;
        a.sub(rsp, 4080 - 8)
    })
    .unwrap();
    judged(|j| j.store_slot(&mut t, -8, 8, &Word::Int(c(1)))).unwrap();
    assert_eq!(refused(&t, |a| a.sub(rsp, 4080)), Rule::StackMove);
    judged(|j| j.store_slot(&mut t, -4080, 8, &Word::Int(c(1)))).unwrap();
    exec(&mut t, |a| a.sub(rsp, 4080)).unwrap();
    for code in [
        (|a| a.sub(rsp, 1 << 20)) as Code,
        |a| a.lea(rsp, ptr(rsp - 61440)),
        |a| a.add(rsp, -61440),
    ] {
        assert_eq!(refused(&empty_state(), code), Rule::StackMove);
    }
}

#[test]
fn t111_t112_rsp_is_no_general_register() {
    let mut s = empty_state();
    for reg in [Reg::Rax, Reg::Rbp] {
        with_int(&mut s, reg, 0, 64);
    }
    let codes: [Code; 9] = [
        |a| a.sub(rsp, rax),
        |a| a.mov(rsp, rax),
        |a| a.mov(rsp, rbp),
        |a| a.xchg(rsp, rax),
        |a| a.and(rsp, -16),
        |a| a.inc(rsp),
        |a| a.mov(spl, bl),
        |a| a.lea(rsp, ptr(rax + 8)),
        |a| a.pop(rsp),
    ];
    for code in codes {
        let rule = refused(&s, code);
        assert!(matches!(rule, Rule::StackMove | Rule::Pop), "{:02x?} {rule:?}", bytes(code));
    }
    exec(&mut s, |a| {
        a.push(rbp)?;
        a.mov(rbp, rsp)?;
        a.sub(rsp, 32)?;
        a.mov(rsp, rbp)?;
        a.pop(rbp)
    })
    .unwrap();
    assert_eq!(s.stack.delta, 0);
}

/// Attack t71.
#[test]
fn t114_t118_t122_push_and_pop() {
    let mut s = empty_state();
    assert_eq!(refused(&s, |a| a.pop(rax)), Rule::Pop);
    assert_eq!(refused(&s, |a| a.push(rsp)), Rule::Push);
    set(&mut s, Reg::Rbx, Word::Saved(Reg::Rbx));
    exec(&mut s, |a| a.push(rbx)).unwrap();
    let mut t = s.clone();
    exec(&mut s, |a| a.pop(rbx)).unwrap();
    assert_eq!(get(&s, Reg::Rbx), &Word::Saved(Reg::Rbx));
    judged(|j| j.store_slot(&mut t, -8, 8, &Word::Int(c(1)))).unwrap();
    exec(&mut t, |a| a.pop(rbx)).unwrap();
    assert_eq!(get(&t, Reg::Rbx), &Word::Int(c(1)));
    // What was popped is gone (t119, t120).
    assert_eq!(judged(|j| j.load_slot(&t, -8, 8)).unwrap_err().rule, Rule::LoadSlot);
    exec(&mut t, |a| a.sub(rsp, 8)).unwrap();
    assert_eq!(judged(|j| j.load_slot(&t, -8, 8)).unwrap(), Word::Junk);
    // t7: slots are whole words.
    assert_eq!(judged(|j| j.load_slot(&t, -8, 4)).unwrap_err().rule, Rule::LoadSlot);
    assert_eq!(judged(|j| j.load_slot(&t, -4, 8)).unwrap_err().rule, Rule::LoadSlot);
}

#[test]
fn leave_moves_to_the_frame_word() {
    let mut s = empty_state();
    set(&mut s, Reg::Rbp, Word::Saved(Reg::Rbp));
    exec(&mut s, |a| {
        a.push(rbp)?;
        a.mov(rbp, rsp)?;
        a.sub(rsp, 64)
    })
    .unwrap();
    let mut bad = s.clone();
    with_any(&mut bad, Reg::Rbp);
    assert_eq!(refused(&bad, |a| a.leave()), Rule::StackMove);
    exec(&mut s, |a| a.leave()).unwrap();
    assert_eq!((s.stack.delta, get(&s, Reg::Rbp)), (0, &Word::Saved(Reg::Rbp)));
}

/// A frame of 32 bytes with numbers in the lower half.
fn frame() -> State {
    let mut s = empty_state();
    exec(&mut s, |a| a.sub(rsp, 32)).unwrap();
    for at in [-32, -24] {
        judged(|j| j.store_slot(&mut s, at, 8, &Word::Int(c(7)))).unwrap();
    }
    s
}

#[test]
fn u5_t95_lent_slots_are_nobodys() {
    let mut s = frame();
    judged(|j| j.carve(&mut s, -32, 16)).unwrap();
    let Some(Cap::Entry(entry)) = s.caps.last().cloned() else { panic!() };
    let known = FieldTy::Known(Word::Int(c(7)));
    assert!(
        matches!(entry.mem.as_ref(), Mem::Struct { fields, size: 16 } if fields[0].ty == known)
    );
    assert_eq!(
        judged(|j| j.store_slot(&mut s, -32, 8, &Word::Junk)).unwrap_err().rule,
        Rule::StoreSlot
    );
    assert!(judged(|j| j.load_slot(&s, -24, 8)).is_err());
    for code in [(|a| a.add(rsp, 32)) as Code, |a| a.lea(rsp, ptr(rsp + 8)), |a| a.pop(rax)] {
        assert!(exec(&mut s.clone(), code).is_err());
    }
    assert!(judged(|j| j.carve(&mut s.clone(), -24, 16)).is_err(), "lent twice");
    judged(|j| j.load_slot(&s, -16, 8)).unwrap();
    judged(|j| j.uncarve(&mut s, entry.name, 0)).unwrap();
    assert_eq!(judged(|j| j.load_slot(&s, -24, 8)).unwrap(), Word::Int(c(7)));
    exec(&mut s, |a| a.add(rsp, 32)).unwrap();
    assert!(s.caps.is_empty() && s.stack.lent.is_empty());
}

/// Attack c38.
#[test]
fn t115_carve_ends_below_the_return_address() {
    let s = frame();
    for (at, size) in
        [(-32, 40), (-8, 16), (0, 8), (-40, 16), (-32, 0), (-32, -8), (-30, 8), (-32, 12)]
    {
        let error = judged(|j| j.carve(&mut s.clone(), at, size)).unwrap_err();
        assert_eq!(error.rule, Rule::Carve, "{at} {size}");
    }
    assert!(judged(|j| j.carve(&mut s.clone(), i64::MAX, 8)).is_err());
    judged(|j| j.carve(&mut s.clone(), -32, 32)).unwrap();
}

/// Attacks U16, c21.
#[test]
fn saved_words_are_not_carved() {
    let mut s = frame();
    judged(|j| j.store_slot(&mut s, -32, 8, &Word::Saved(Reg::Rbx))).unwrap();
    judged(|j| j.carve(&mut s, -32, 16)).unwrap();
    let Some(Cap::Entry(entry)) = s.caps.last() else { panic!() };
    let Mem::Struct { fields, .. } = entry.mem.as_ref() else { panic!() };
    assert_eq!(fields[0].ty, FieldTy::Junk(8));
}

#[test]
fn uncarve_wants_the_whole_part() {
    let mut s = frame();
    judged(|j| j.carve(&mut s, -32, 16)).unwrap();
    let Some(Cap::Entry(entry)) = s.caps.first().cloned() else { panic!() };
    let other = name(&mut s, NameSet::ADDRESS);
    assert!(judged(|j| j.uncarve(&mut s.clone(), other, 0)).is_err());
    assert!(judged(|j| j.uncarve(&mut s.clone(), entry.name, 1)).is_err());
    let mut bad = s.clone();
    let Some(Cap::Entry(e)) = bad.caps.first_mut() else { panic!() };
    e.offset = c(8);
    assert_eq!(judged(|j| j.uncarve(&mut bad, entry.name, 0)).unwrap_err().rule, Rule::Uncarve);
    let mut bad = s.clone();
    bad.caps.clear();
    assert!(judged(|j| j.uncarve(&mut bad, entry.name, 0)).is_err());
    judged(|j| j.uncarve(&mut s, entry.name, 0)).unwrap();
}

#[test]
fn frame_words_and_names_are_two_ways_to_say_it() {
    let mut s = frame();
    judged(|j| j.carve(&mut s, -32, 16)).unwrap();
    let x = s.stack.lent[0].name;
    exec(&mut s, |a| a.lea(rcx, ptr(rsp + 8))).unwrap();
    let rcx_place = Place::Reg(Reg::Rcx);
    judged(|j| j.frame_word(&mut s, rcx_place, x)).unwrap();
    assert_eq!(get(&s, Reg::Rcx), &Word::Ptr(Base::Name(x), c(8)));
    judged(|j| j.frame_word(&mut s, rcx_place, x)).unwrap();
    assert_eq!(get(&s, Reg::Rcx), &Word::Frame(-24));
    exec(&mut s, |a| a.lea(rcx, ptr(rsp + 24))).unwrap();
    assert!(judged(|j| j.frame_word(&mut s.clone(), rcx_place, x)).is_err(), "outside");
    assert!(judged(|j| j.frame_word(&mut s, Place::Reg(Reg::Rsp), x)).is_err());
}

#[test]
fn renorm_takes_integers_only() {
    let mut s = empty_state();
    let n = with_any(&mut s, Reg::Rax);
    judged(|j| j.renorm(&mut s, Place::Reg(Reg::Rax), true)).unwrap();
    assert_ne!(word_int(&s, Reg::Rax), n);
    let of = word_int(&s, Reg::Rax).as_var().unwrap();
    let bounds = s.bounds(of).unwrap();
    assert_eq!(bounds, support::within(i64::MIN.into(), i64::MAX.into()));
    pointer(&mut s, Reg::Rcx, NameSet::ADDRESS);
    for place in [Place::Reg(Reg::Rcx), Place::Reg(Reg::Rsp), Place::Slot(0), Place::Slot(-8)] {
        assert_eq!(judged(|j| j.renorm(&mut s, place, false)).unwrap_err().rule, Rule::Renorm);
    }
}

#[test]
fn t18_t14_results_are_modular() {
    let mut s = empty_state();
    let n = with_any(&mut s, Reg::Rax);
    exec(&mut s, |a| a.neg(rax)).unwrap();
    assert_eq!(word_int(&s, Reg::Rax), n.scale(-1).unwrap());
    let known = |s: &State| !s.facts.is_empty() || s.trail_len() != 0;
    assert!(!known(&s));
    let s2 = after_edge(&s, |a| a.neg(rax), Cc::Ns, true).unwrap();
    assert!(!known(&s2), "the sign of -n needs its range");
    exec(&mut s, |a| a.imul_3(rdi, rax, 16)).unwrap();
    assert_eq!(word_int(&s, Reg::Rdi), n.scale(-16).unwrap());
    assert!(!known(&s));
}

#[test]
fn u8_xchg_at_32_bits_clears_both() {
    let mut s = empty_state();
    let (a, b) = (with_any(&mut s, Reg::Rax), with_any(&mut s, Reg::Rcx));
    let mut wide = s.clone();
    exec(&mut wide, |a| a.xchg(rax, rcx)).unwrap();
    assert_eq!((word_int(&wide, Reg::Rax), word_int(&wide, Reg::Rcx)), (b, a));
    exec(&mut s, |a| a.xchg(eax, ecx)).unwrap();
    assert!(is_in(&s, Reg::Rax, 0, U32 as i64) && is_in(&s, Reg::Rcx, 0, U32 as i64));
}

/// An image with two entries, of which the first starts with endbr64, and an object.
fn with_image<T>(f: impl FnOnce(&mut Judge<'_, Prover>) -> T) -> T {
    let text = [0xF3, 0x0F, 0x1E, 0xFA, 0xC3, 0xC3];
    let contents = [0; 16];
    let interface = support::no_interface();
    let mut image = support::image_of(&text);
    image.functions = vec![Function { offset: 0, sig: 0 }, Function { offset: 5, sig: 0 }];
    image.data = vec![Data {
        address: 0x40_1000,
        size: 16,
        kind: DataKind::Object { mem: Rc::new(Mem::Bytes(c(16))), mode: tal_core::ty::Mode::Ro },
        contents: Contents::Bytes(&contents),
        writable: false,
    }];
    f(&mut Judge::new(&image, &interface, Prover::default(), 1 << 20))
}

#[test]
fn t136_t141_code_addresses_are_of_entries_with_endbr64() {
    let lea = |address: i64| {
        let mut s = empty_state();
        let ea = Ea { base: None, index: None, disp: address };
        let op = Op::Lea { width: Width::W64, dst: Reg::Rax, ea };
        let bytes = bytes(|a| a.lea(rax, ptr(0x10)));
        let d = Decoded { op, ..decode_at(&bytes, 0x40_0000, 0).unwrap() };
        with_image(|judge| judge.row(&mut s, &d)).map(|()| get(&s, Reg::Rax).clone())
    };
    assert_eq!(lea(0x40_0000).unwrap(), Word::Ptr(Base::Code(FnId(0)), c(0)));
    assert_eq!(lea(0x40_0005).unwrap_err().rule, Rule::CodeAddress);
    // The middle of a function is a number, which nothing can jump to.
    assert_eq!(lea(0x40_0004).unwrap(), Word::Int(c(0x40_0004)));
    assert_eq!(lea(0x40_1008).unwrap(), Word::Ptr(Base::Data(DataId(0)), c(8)));
    assert_eq!(lea(0x40_1010).unwrap(), Word::Ptr(Base::Data(DataId(0)), c(16)));
    assert_eq!(lea(0x40_1011).unwrap(), Word::Int(c(0x40_1011)));
    assert_eq!(lea(-1).unwrap(), Word::Int(c(-1)));
}

/// Attack n21.
#[test]
fn transfers_and_int3_are_no_rows() {
    let s = empty_state();
    assert_eq!(refused(&s, |a| a.int3()), Rule::RowNop);
    assert_eq!(refused(&s, |a| a.ret()), Rule::Return);
    exec(&mut s.clone(), |a| {
        a.nop()?;
        a.endbr64()?;
        a.pause()?;
        a.lfence()
    })
    .unwrap();
}

/// A frame as large as frames are, with as many words in it as may be known.
#[test]
fn t156_ghosts_of_the_frame_cost_what_they_make() {
    // Below the known words, so that each of many empty words is looked for among all of them.
    let mut s = large_frame();
    let (at, size) = (-tal_core::limits::FRAME, tal_core::limits::FRAME - 8 * 600);
    let start = std::time::Instant::now();
    for _ in 0..2000 {
        judged(|j| j.carve(&mut s, at, size)).unwrap();
        let Cap::Entry(entry) = s.caps[0].clone() else { panic!("{s:?}") };
        judged(|j| j.uncarve(&mut s, entry.name, 0)).unwrap();
    }
    // Some 16 KiB of annotations; a tenth of a second, or minutes.
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    // Known words become fields, which are paid for, both ways.
    let mut s = large_frame();
    let fields = u64::try_from(tal_core::limits::FIELDS).unwrap();
    let words = i64::try_from(fields).unwrap();
    judged(|j| {
        let before = j.fuel;
        j.carve(&mut s, -8 * words, 8 * words).unwrap();
        assert!(before - j.fuel >= fields, "{}", before - j.fuel);
        let Cap::Entry(entry) = s.caps[0].clone() else { panic!("{s:?}") };
        let before = j.fuel;
        j.uncarve(&mut s, entry.name, 0).unwrap();
        assert!(before - j.fuel >= fields, "{}", before - j.fuel);
    });
    assert_eq!(s.stack, large_frame().stack);
}
