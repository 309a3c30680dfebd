//! Not trusted. Operands, flags, strings, slots and ghosts: one premise of a row at a time.

use crate::judges::*;
use crate::support::*;
use tal_core::counted::Rc;
use tal_core::decode::Cc;
use tal_core::error::{Error, Kind as Evidence, Rule};
use tal_core::hint::{Ghost, Place, Through};
use tal_core::image::Image;
use tal_core::judge::{Judge, Own};
use tal_core::limits;
use tal_core::rules::memory::Address;
use tal_core::state::{FlagKind, FlagSet, Flags, State};
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, DataId, FnId, Kind, Lent, Mem, Mode, NameSet, Reg, Word};

/// Refused for want of just this.
fn wants(r: Result<(), Error>, rule: Rule, kind: &Evidence) {
    let error = r.expect_err("must be refused");
    assert_eq!((error.rule, &error.kind), (rule, kind));
}

/// The state after one instruction.
fn after(teller: Teller, st: &State, text: &[u8]) -> Result<State, Error> {
    let mut st = st.clone();
    let interface = interface();
    let image = Image { text, ..bare() };
    Judge::new(&image, &interface, teller, 1 << 20).exec(&mut st, 0)?;
    Ok(st)
}

/// One instruction.
fn exec(st: &State, text: &[u8]) -> Result<(), Error> {
    after(Teller::default(), st, text).map(drop)
}

fn set(st: &mut State, reg: Reg, word: Word) {
    st.set_reg(reg, word);
}

fn number(c: i64) -> Word {
    Word::Int(k(c))
}

fn null() -> NameSet {
    NameSet { address: false, ..NameSet::NULLABLE }
}

/// Reads `cc` after comparing the two words.
fn reads(st: &State, text: &[u8], words: (Word, Word), cc: Cc) -> Result<(), Error> {
    let mut st = st.clone();
    set(&mut st, Reg::Rdi, words.0);
    set(&mut st, Reg::Rsi, words.1);
    let mut st = after(Teller::default(), &st, text).unwrap();
    judged(Teller::default(), |j| j.edge(&mut st, cc, true))
}

/// `cmp rdi,rsi`.
const CMP: &[u8] = &[0x48, 0x39, 0xF7];
/// `cmp edi,esi`.
const CMP_HALF: &[u8] = &[0x39, 0xF7];

/// Addresses compare as offsets do within one object, as a whole.
#[test]
fn addresses_compare_within_an_object() {
    let mut st = state();
    let x = address(&mut st);
    let at = |low: i64, high: i64| (ptr(x, k(low)), ptr(x, k(high)));
    reads(&st, CMP, at(0, 8), Cc::B).unwrap();
    refused(reads(&st, CMP_HALF, at(0, 8), Cc::B), Rule::FlagsRead);
    // Below the object offsets are not in the order of the addresses.
    reads(&st, CMP, at(-8, 8), Cc::E).unwrap();
    refused(reads(&st, CMP, at(-8, 8), Cc::B), Rule::FlagsRead);
    refused(reads(&st, CMP, at(0, -8), Cc::B), Rule::FlagsRead);
    // Code is no object.
    let code = |at: i64| Word::Ptr(Base::Code(FnId(0)), k(at));
    refused(reads(&st, CMP, (code(0), code(8)), Cc::E), Rule::FlagsRead);
    // Nor is what turned out to be null.
    let y = name(&mut st, NameSet::NULLABLE);
    judged(Teller::default(), |j| j.refine(&mut st, y, null())).unwrap();
    refused(reads(&st, CMP, (ptr(y, k(0)), ptr(y, k(8))), Cc::B), Rule::FlagsRead);
}

/// A name is decided by all of its bits, and by its alternatives.
#[test]
fn a_name_is_decided_by_all_of_its_bits() {
    let mut st = state();
    let x = name(&mut st, NameSet::NULLABLE);
    let word = declare(&mut st, Kind::Word);
    reads(&st, CMP, (ptr(x, k(0)), number(0)), Cc::E).unwrap();
    refused(reads(&st, CMP_HALF, (ptr(x, k(0)), number(0)), Cc::E), Rule::FlagsRead);
    // A word may be anything: it has no alternatives.
    refused(reads(&st, CMP, (ptr(word, k(0)), number(0)), Cc::E), Rule::FlagsRead);
    let edge = |set: NameSet| {
        let mut st = state();
        let x = name(&mut st, set);
        st.set_flags(Flags { kind: FlagKind::Pick(x, 0), readable: FlagSet::NONE });
        judged(Teller::default(), |j| j.edge(&mut st, Cc::E, true))
    };
    edge(NameSet::NULLABLE).unwrap();
    let nothing = NameSet { address: false, small: [None, None] };
    refused(edge(nothing), Rule::FlagsRead);
}

/// A sum with carry has the carry as a source: it is public, not just decided.
#[test]
fn a_carry_is_public() {
    let mut st = state();
    let x = address(&mut st);
    set(&mut st, Reg::Rax, number(1));
    set(&mut st, Reg::Rcx, number(2));
    let carry = |flags: Flags| {
        let mut st = st.clone();
        st.set_flags(flags);
        exec(&st, &[0x48, 0x11, 0xC8])
    };
    carry(Flags { kind: FlagKind::None, readable: FlagSet::ALL }).unwrap();
    refused(carry(Flags { kind: FlagKind::None, readable: FlagSet::NONE }), Rule::FlagsRead);
    let pick = Flags { kind: FlagKind::Pick(x, 0), readable: FlagSet::NONE };
    refused(carry(pick), Rule::FlagsRead);
}

/// What the hints say of a range is proved.
#[test]
fn a_range_is_proved() {
    let mut st = state();
    let wide = any(&mut st);
    let byte = between(&mut st, 0, 255);
    let teller = || Teller { in_range: true, ..Teller::default() };
    let half = |n: &Term| {
        let mut st = st.clone();
        set(&mut st, Reg::Rcx, Word::Int(n.clone()));
        after(teller(), &st, &[0x89, 0xC8]).map(drop) // mov eax,ecx
    };
    half(&byte).unwrap();
    refused(half(&wide), Rule::OperandRead);
    let part = |old: Word| {
        let mut st = st.clone();
        set(&mut st, Reg::Rax, old);
        let after = after(teller(), &st, &[0xB0, 5])?; // mov al,5
        Ok(after.regs()[Reg::Rax as usize] == number(5))
    };
    assert_eq!(part(Word::Int(byte.clone())), Ok(true));
    refused(part(Word::Int(wide.clone())).map(drop), Rule::WritePart);
    assert_eq!(part(number(255)), Ok(true));
    assert_eq!(part(number(256)), Ok(false), "the upper bits stay");
}

/// A sum with what is not public is not stored.
#[test]
fn what_is_not_public_is_not_stored() {
    let add = |word: Word| {
        let mut st = state();
        let x = address(&mut st);
        owned(&mut st, x, k(0), u64s());
        set(&mut st, Reg::Rdi, ptr(x, k(0)));
        set(&mut st, Reg::Rax, word);
        exec(&st, &[0x48, 0x01, 0x07]) // add [rdi],rax
    };
    add(number(1)).unwrap();
    wants(add(Word::Junk), Rule::PublicDefault, &Evidence::WrongWord(Word::Junk.into()));
}

/// rsp is exchanged with nothing.
#[test]
fn rsp_is_not_exchanged() {
    let xchg = |text: &[u8]| {
        let mut st = state();
        set(&mut st, Reg::Rax, number(7));
        exec(&st, text)
    };
    xchg(&[0x48, 0x87, 0xD8]).unwrap(); // xchg rax,rbx
    let moves = |word: Word| Evidence::WrongRegister(Reg::Rsp, word.into());
    wants(xchg(&[0x48, 0x87, 0xC4]), Rule::StackMove, &moves(Word::Frame(0))); // xchg rsp,rax
    wants(xchg(&[0x48, 0x87, 0xE0]), Rule::StackMove, &moves(number(7))); // xchg rax,rsp
}

/// The quotient of a signed division fits: rdx is the sign copy of rax on both sides.
#[test]
fn a_quotient_fits() {
    let divide = |high: i64, low: i64| {
        let mut st = state();
        set(&mut st, Reg::Rax, number(low));
        set(&mut st, Reg::Rdx, number(high));
        set(&mut st, Reg::Rcx, number(1));
        exec(&st, &[0x48, 0xF7, 0xF9]) // idiv rcx
    };
    divide(0, 5).unwrap();
    divide(-1, -5).unwrap();
    refused(divide(0, -5), Rule::RowIdiv);
    refused(divide(-1, 5), Rule::RowIdiv);
}

/// Both sides of a comparison of strings are there, whole.
#[test]
fn both_strings_are_there() {
    let compare = |left: i64, right: i64| {
        let mut st = state();
        for (reg, size) in [(Reg::Rsi, left), (Reg::Rdi, right)] {
            let x = address(&mut st);
            owned(&mut st, x, k(0), bytes(k(size)));
            set(&mut st, reg, ptr(x, k(0)));
        }
        set(&mut st, Reg::Rcx, number(12));
        judged(Teller::default(), |j| j.repe_cmpsb(&mut st))
    };
    compare(12, 12).unwrap();
    refused(compare(11, 12), Rule::RowString);
    refused(compare(12, 11), Rule::RowString);
}

/// A string is at what is certainly an address.
#[test]
fn a_string_is_at_an_address() {
    let load = |set_of: NameSet| {
        let mut st = state();
        let x = name(&mut st, set_of);
        owned(&mut st, x, k(0), bytes(k(8)));
        set(&mut st, Reg::Rsi, ptr(x, k(0)));
        set(&mut st, Reg::Rax, number(0));
        judged(Teller::default(), |j| j.lodsb(&mut st))
    };
    load(NameSet::ADDRESS).unwrap();
    let there = ptr(Var::Free(0), k(0));
    let evidence = Evidence::WrongRegister(Reg::Rsi, there.into());
    wants(load(NameSet::NULLABLE), Rule::RowString, &evidence);
}

/// Slots above the return address are those of the signature; the frame has an end.
#[test]
fn slots_are_of_the_frame() {
    let load = |at: i64| {
        let st = entered();
        judged(Teller::default(), |j| {
            j.own = Own::function(None, Rc::new(returns()));
            j.load_slot(&st, at, 8).map(drop)
        })
    };
    load(0).unwrap();
    wants(load(8), Rule::LoadSlot, &Evidence::WrongSlot(8));
    let goes = |to: i64| {
        let mut st = state();
        st.stack.delta = -65536;
        st.stack.touched = -65536;
        judged(Teller::default(), |j| j.stack_move(&mut st, to))
    };
    goes(-65536).unwrap();
    wants(goes(-65544), Rule::StackMove, &Evidence::Depth(-65544));
    wants(goes(8), Rule::StackMove, &Evidence::Depth(8));
}

/// Only the name of what is lent is a place in the frame.
#[test]
fn a_frame_word_is_of_what_is_lent() {
    let mut st = state();
    st.stack.delta = -8;
    st.stack.touched = -8;
    let (c, x) = (address(&mut st), address(&mut st));
    st.stack.lent = vec![Lent { offset: -8, size: 8, name: c }].into();
    let becomes = |word: Word| {
        let mut st = st.clone();
        set(&mut st, Reg::Rax, word);
        ghosts(&mut st, &[Ghost::FrameWord { place: Place::Reg(Reg::Rax), name: c }])
    };
    becomes(ptr(c, k(0))).unwrap();
    refused(becomes(ptr(x, k(0))), Rule::FrameWord);
}

/// A type that a hint brings is well formed, of whatever it is made.
#[test]
fn a_new_type_is_well_formed() {
    let overlapping = || record(8, vec![int(0, 64, false), int(4, 32, false)]);
    let plain = |mem: Rc<Mem>| {
        let mut st = state();
        let x = address(&mut st);
        owned(&mut st, x, k(0), bytes(k(8)));
        ghosts(&mut st, &[Ghost::RetypePlain { entry: 0, mem: Some(mem) }])
    };
    plain(u64s()).unwrap();
    let rule = refusal(plain(overlapping()));
    let zeroes = |mem: Rc<Mem>| {
        let mut st = state();
        let x = address(&mut st);
        owned(&mut st, x, k(0), zero(k(8)));
        ghosts(&mut st, &[Ghost::RetypeZero { entry: 0, mem }])
    };
    zeroes(u64s()).unwrap();
    assert_eq!(rule, Rule::WfStruct);
    refused(zeroes(overlapping()), Rule::WfStruct);
}

/// An index that a hint names is in scope.
#[test]
fn an_index_is_in_scope() {
    let load = |j: Term| {
        let mut st = state();
        let x = address(&mut st);
        shared(&mut st, Mode::Ro, x, array(k(2), bytes(k(8))));
        judged(Teller { element: Some((j, 0)), ..Teller::default() }, |judge| {
            judge.load(&mut st, &Address::Mem(Base::Name(x), k(0)), 4).map(drop)
        })
    };
    load(k(0)).unwrap();
    wants(load(Term::var(Var::Free(9))), Rule::Shape, &Evidence::BadHint);
}

/// The view of an object that everybody has does not change.
#[test]
fn the_view_of_an_object_stays() {
    let of = Through::Data(DataId(0));
    let ghost = Ghost::Equal { of, offset: k(0), mem: u64s() };
    refused(ghosts(&mut state(), &[ghost]), Rule::EntryEqual);
}

/// A named type is unfolded with as many arguments as it has.
#[test]
fn a_named_type_has_its_arguments() {
    let unfold = |args: Vec<Term>| {
        let mut st = state();
        let x = address(&mut st);
        shared(&mut st, Mode::Ro, x, named(NODE, args));
        ghosts(&mut st, &[Ghost::ViewUnfold { view: 0 }])
    };
    unfold(vec![]).unwrap();
    wants(unfold(vec![k(1)]), Rule::ViewUnfold, &Evidence::IllFormed);
}

/// Types do not grow deeper than any rule follows: one element more around, one part more behind.
#[test]
fn types_do_not_grow_deeper() {
    let nested = |depth: usize| {
        let inner = |mem, _| record(8, vec![own(0, false, None, mem)]);
        (1..depth).fold(u64s(), inner)
    };
    let one = |depth: usize| {
        let mut st = state();
        let x = address(&mut st);
        owned(&mut st, x, k(0), nested(depth));
        ghosts(&mut st, &[Ghost::One { of: Through::Entry(0), to_array: true }])
    };
    let join = |depth: usize| {
        let mut st = state();
        let x = address(&mut st);
        owned(&mut st, x, k(0), u64s());
        owned(&mut st, x, k(8), nested(depth));
        ghosts(&mut st, &[Ghost::Join { first: 0, second: 1 }])
    };
    for deepen in [&one as &dyn Fn(usize) -> Result<(), Error>, &join] {
        deepen(limits::NESTING - 1).unwrap();
        refused(deepen(limits::NESTING), Rule::Limit);
    }
}

/// The witnesses of a package are in scope, also those that it does not mention.
#[test]
fn witnesses_are_in_scope() {
    let pack = |witness: Term| {
        let mut st = state();
        let x = address(&mut st);
        owned(&mut st, x, k(0), u64s());
        let mem = Rc::new(Mem::Ex { vars: 1, facts: vec![], body: u64s() });
        ghosts(&mut st, &[Ghost::Pack { entry: 0, mem, witnesses: vec![witness] }])
    };
    pack(k(1)).unwrap();
    refused(pack(Term::var(Var::Free(9))), Rule::EntryPack);
}
