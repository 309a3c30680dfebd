//! Not trusted. What is read and written, the frame, flags (core.md 4.4, 4.7, 4.10, 4.11).

use crate::judges::*;
use crate::support::*;
use tal_core::counted::Rc;
use tal_core::decode::Cc;
use tal_core::driver::Flow;
use tal_core::error::{Error, Rule};
use tal_core::hint::Ghost;
use tal_core::hint::Through;
use tal_core::image::Image;
use tal_core::judge::{Judge, Own};
use tal_core::rules::memory::Address;
use tal_core::state::State;
use tal_core::ty::{Base, Guard, Kind, Lent, Mode, NameSet, Reg, Sig, Word};

/// What may not exist is not read.
#[test]
fn a_view_with_a_guard_is_not_read() {
    let load = |guarded: bool| {
        let mut st = state();
        let x = address(&mut st);
        let n = any(&mut st);
        let v = shared(&mut st, Mode::Ro, x, u64s());
        if guarded {
            st.views[usize::from(v)].guards = vec![Guard::Range(n, 0, 0)];
        }
        judged(Teller::default(), |j| {
            j.load(&mut st, &Address::Mem(Base::Name(x), k(0)), 8).map(drop)
        })
    };
    load(false).unwrap();
    refused(load(true), Rule::AccessView);
}

/// An index is not negative.
#[test]
fn an_index_is_not_negative() {
    let load = |at: i64| {
        let mut st = state();
        let x = address(&mut st);
        let n = natural(&mut st);
        let m = n.plus(1).unwrap();
        shared(&mut st, Mode::Ro, x, array(m, u64s()));
        let teller = Teller { element: Some((k(at), 0)), ..Teller::default() };
        judged(teller, |j| j.load(&mut st, &Address::Mem(Base::Name(x), k(8 * at)), 8).map(drop))
    };
    load(0).unwrap();
    refused(load(-1), Rule::Shape);
}

/// That a name may be null does not make it null.
#[test]
fn a_guard_on_an_undecided_name_stays() {
    let decide = |null: bool| {
        let mut st = state();
        let x = name(&mut st, NameSet::NULLABLE);
        let y = address(&mut st);
        guarded(&mut st, vec![Guard::IsSmall(x, 0, 0)], y, k(0), u64s());
        if null {
            let set = NameSet { address: false, ..NameSet::NULLABLE };
            judged(Teller::default(), |j| j.refine(&mut st, x, set)).unwrap();
            return assert!(entry(&st, 0).guards.is_empty());
        }
        let ghost = Ghost::GuardTrue { of: Through::Entry(0), guard: 0 };
        assert_eq!(refusal(ghosts(&mut st, &[ghost])), Rule::GuardTrue);
    };
    decide(true);
    decide(false);
}

/// Where an address may not be one, offsets may wrap around: their order is not that of
/// the words.
#[test]
fn only_offsets_in_objects_are_ordered() {
    let compare = |kind: Kind| {
        let mut st = state();
        let x = declare(&mut st, kind);
        st.set_reg(Reg::Rdi, ptr(x, k(0)));
        st.set_reg(Reg::Rsi, ptr(x, k(8)));
        run(&mut st, &[0x48, 0x39, 0xF7], never()) // cmp rdi,rsi
    };
    compare(ADDRESS).unwrap();
    let set = NameSet { address: true, small: [Some((-4095, -1)), None] };
    refused(compare(Kind::Addr { set, block: None }), Rule::FlagsRead);
    refused(compare(Kind::Word), Rule::FlagsRead);
}

/// Moving rsp by `add` or `sub` writes the flags.
#[test]
fn moving_rsp_writes_the_flags() {
    let after = |code: &[u8]| {
        let mut st = state();
        st.set_reg(Reg::Rdi, Word::Int(k(3)));
        run(&mut st, code, never())
    };
    after(&[0x48, 0x83, 0xFF, 0x05]).unwrap(); // cmp rdi,5
    // cmp rdi,5; sub rsp,8
    refused(after(&[0x48, 0x83, 0xFF, 0x05, 0x48, 0x83, 0xEC, 0x08]), Rule::FlagsRead);
}

/// Runs this code from this state; the flags are as it leaves them.
fn run(st: &mut State, text: &[u8], own: Sig) -> Result<(), Error> {
    let interface = interface();
    let image = Image { text, ..bare() };
    let mut judge = Judge::new(&image, &interface, Teller::default(), 1 << 20);
    judge.own = Own::function(None, Rc::new(own));
    let mut at = 0;
    while usize::try_from(at).unwrap() < text.len() {
        match judge.exec(st, at)? {
            Flow::Next(next) => at = next,
            other => panic!("{other:?}"),
        }
    }
    judge.edge(st, Cc::B, true)
}

/// A part of the frame comes back by its own entry, which is there, and whole.
#[test]
fn a_part_of_the_frame_comes_back_by_its_own_entry() {
    let two = |bytes: u32| {
        let fields = (0..bytes / 8).map(|i| unset(8 * i, 8)).collect();
        record(bytes, fields)
    };
    let back = |own: bool, guard: bool, bytes: u32| {
        let mut st = state();
        st.stack.delta = -16;
        st.stack.touched = -16;
        st.set_reg(Reg::Rsp, Word::Frame(-16));
        let c = address(&mut st);
        let y = address(&mut st);
        let n = any(&mut st);
        st.stack.lent = vec![Lent { offset: -16, size: 16, name: c }].into();
        let guards = if guard { vec![Guard::Range(n, 0, 0)] } else { vec![] };
        guarded(&mut st, guards, if own { c } else { y }, k(0), two(bytes));
        ghosts(&mut st, &[Ghost::Uncarve { name: c, entry: 0 }])
    };
    back(true, false, 16).unwrap();
    refused(back(false, false, 16), Rule::Uncarve);
    refused(back(true, true, 16), Rule::Uncarve);
    refused(back(true, false, 8), Rule::Uncarve);
}
