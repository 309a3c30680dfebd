//! Not trusted. What the judge does is paid for: work is counted, by bytes that are copied and by
//! units of fuel, never by time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "support/counting.rs"]
mod counting;
mod support;

use counting::peak;
use support::Prover;
use support::{image_of, int, judged, large_frame, name, no_interface, plain_sig, set};
use tal_core::counted::Rc;
use tal_core::decode::decode_at;
use tal_core::judge::{Judge, Own};
use tal_core::limits;
use tal_core::state::State;
use tal_core::term::Term;
use tal_core::ty::{Base, NameSet, Reg, Word};

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

/// The slots that are listed stand in one row: to put one in moves the others.
#[test]
fn t156_slots_that_move_are_paid_for() {
    let (most, delta) = (limits::SLOTS as i64, -8 * limits::SLOTS as i64);
    let mut s = large_frame();
    s.stack.delta = 8 - 8 * most;
    s.stack.slots.remove(0);
    let moved = (limits::SLOTS - 2) as u64;
    let at_least = |what: &str, paid: u64| {
        let due = moved / limits::SLOTS_A_UNIT as u64;
        assert!(paid >= due, "{what}: {paid} of {due}");
    };
    judged(|j| {
        let before = j.fuel;
        j.push(&mut s, Word::Int(Term::ZERO)).unwrap();
        at_least("push", before - j.fuel);
        let before = j.fuel;
        j.pop(&mut s, Reg::Rax).unwrap();
        at_least("pop", before - j.fuel);
        j.stack_move(&mut s, delta).unwrap();
        for word in [Word::Int(Term::ZERO), Word::Junk] {
            let before = j.fuel;
            j.store_slot(&mut s, delta, 8, &word).unwrap();
            at_least("a store", before - j.fuel);
        }
        let before = j.fuel;
        j.stack_move(&mut s, 8 - 8 * (most / 2)).unwrap();
        at_least("a move", before - j.fuel);
    });
}
