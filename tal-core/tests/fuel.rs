//! Not trusted. What the judge does is paid for: work is counted, by bytes that are copied and by
//! units of fuel, never by time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "support/counting.rs"]
mod counting;
mod support;

use counting::peak;
use support::Prover;
use support::{
    empty_state, image_of, int, judged, large_frame, name, no_interface, plain_sig, set,
};
use tal_core::counted::Rc;
use tal_core::decode::decode_at;
use tal_core::judge::{Judge, Own};
use tal_core::limits;
use tal_core::mem::Subst;
use tal_core::state::State;
use tal_core::term::Term;
use tal_core::ty::{Base, Fact, NameSet, Reg, Rel, Word};

/// Bytes that a unit of fuel may copy.
const BYTES_A_UNIT: u64 = 256;
/// Bytes that an instruction may allocate besides.
const BESIDES: u64 = 4096;

/// Units of fuel that the last of these instructions burns, and bytes that it has allocated at a
/// time.
fn cost(state: &mut State, text: &[u8]) -> (u64, u64) {
    let (interface, image) = (no_interface(), image_of(text));
    let mut judge = Judge::new(&image, &interface, Prover::default(), 1 << 20);
    judge.own = Own::function(None, Rc::new(plain_sig()));
    let (mut at, mut last) = (0, (0, 0));
    while (at as usize) < text.len() {
        let decoded = decode_at(text, image.text_address, at).unwrap();
        let before = judge.fuel;
        let (result, bytes) = peak(|| judge.row(state, &decoded));
        result.unwrap();
        last = (before - judge.fuel, bytes as u64);
        at += u32::from(decoded.length);
    }
    last
}

/// `cmovcc` looks at both of its sides; a frame with 512 known slots is behind each of them.
#[test]
fn t156_what_a_conditional_move_copies_is_paid_for() {
    // cmp rsi, rdi; cmovb rsi, rdi: no side learns anything but facts.
    let mut s = large_frame();
    let (a, b) = (int(&mut s), int(&mut s));
    set(&mut s, Reg::Rsi, Word::Int(a));
    set(&mut s, Reg::Rdi, Word::Int(b));
    let (fuel, bytes) = cost(&mut s, &[0x48, 0x39, 0xFE, 0x48, 0x0F, 0x42, 0xF7]);
    assert!(bytes <= BYTES_A_UNIT * fuel + BESIDES, "{bytes} bytes for {fuel} units");
    // test rdx, rdx; cmove rsi, rdi: on one of them rdx is null.
    let x = name(&mut s, NameSet::NULLABLE);
    set(&mut s, Reg::Rdx, Word::Ptr(Base::Name(x), Term::ZERO));
    let (fuel, bytes) = cost(&mut s, &[0x48, 0x85, 0xD2, 0x48, 0x0F, 0x44, 0xF7]);
    assert!(bytes <= BYTES_A_UNIT * fuel + BESIDES, "{bytes} bytes for {fuel} units");
}

/// What a move of rsp forgets of slots is kept on the trail, and known again where the walk comes
/// back: a frame of few bytes of code may be forgotten at each label.
#[test]
fn t156_slots_that_are_forgotten_are_paid_for() {
    let mut s = large_frame();
    let gone = s.slot_count() as u64 - 1;
    judged(|j| {
        let before = j.fuel;
        j.stack_move(&mut s, 0).unwrap();
        let paid = before - j.fuel;
        assert!(paid >= gone * limits::SLOT_UNITS as u64, "{paid} for {gone}");
    });
    assert_eq!(s.slot_count(), 1);
}

/// Room for the slots between is looked at where rsp moves over it, whatever it holds.
#[test]
fn t156_a_deep_frame_is_paid_for_where_it_is_left() {
    let mut s = empty_state();
    let deepest = -limits::FRAME;
    (s.stack.delta, s.stack.touched) = (deepest, deepest);
    set(&mut s, Reg::Rsp, Word::Frame(deepest));
    judged(|j| {
        j.store_slot(&mut s, deepest, 8, &Word::Int(Term::ZERO)).unwrap();
        for _ in 0..2 {
            s.stack.delta = deepest;
            let before = j.fuel;
            j.stack_move(&mut s, 0).unwrap();
            let (paid, words) = (before - j.fuel, limits::FRAME as u64 / 8);
            assert!(paid >= words / 4, "{paid} for {words}");
        }
    });
    assert_eq!(s.slot_count(), 1);
}

/// A fact of constants is proved and learned at once, so putting values into it is what pays.
#[test]
fn t156_facts_without_variables_are_paid_for() {
    let (interface, image) = (no_interface(), image_of(&[]));
    let mut judge = Judge::new(&image, &interface, Prover::default(), 0);
    let fact = Fact { rel: Rel::Ge, term: Term::int(1) };
    let before = judge.fuel;
    for _ in 0..limits::FACTS {
        assert_eq!(judge.subst_fact(&fact, Subst::Free(0, &[])), Ok(fact.clone()));
    }
    assert!(before - judge.fuel >= limits::FACTS as u64);
}
