//! Not trusted. Data objects (core.md 4.14; redteam A13, A16; traps 52, 106, 107).

use crate::support::*;
use tal_core::counted::Rc;
use tal_core::error::{Error, Rule};
use tal_core::image::{Contents, Data, DataKind, Image};
use tal_core::judge::Judge;
use tal_core::term::{Term, Var};
use tal_core::ty::{Fact, FnId, Mem, Mode, Word};

fn object(address: u32, mem: Rc<Mem>, mode: Mode, bytes: &[u8]) -> Data<'_> {
    Data {
        address,
        size: u32::try_from(bytes.len()).unwrap(),
        kind: DataKind::Object { mem, mode },
        contents: Contents::Bytes(bytes),
        writable: mode == Mode::Rw,
    }
}

fn ro(mem: Rc<Mem>, bytes: &[u8]) -> Data<'_> {
    object(0x41_0000, mem, Mode::Ro, bytes)
}

fn judge(data: Vec<Data<'_>>) -> Result<(), Error> {
    judged_with(Teller::default(), data, |judge| judge.data())
}

/// Attack t59.
#[test]
fn objects_are_sorted_apart_and_as_writable_as_they_say() {
    let mem = || bytes(k(4));
    let at = |address| object(address, mem(), Mode::Ro, b"abcd");
    judge(vec![at(0x41_0000), at(0x41_0004)]).unwrap();
    for (first, second) in [(0x41_0000, 0x41_0003), (0x41_0004, 0x41_0000), (0, 0x41_0000)] {
        assert_eq!(refusal(judge(vec![at(first), at(second)])), Rule::DataObject);
    }
    let wrong = Data { writable: true, ..at(0x41_0000) };
    assert_eq!(refusal(judge(vec![wrong])), Rule::DataObject);
    let wrong = object(0x41_0000, mem(), Mode::Rd, b"abcd");
    assert_eq!(refusal(judge(vec![wrong])), Rule::DataObject);
    assert_eq!(refusal(judge(vec![ro(bytes(k(5)), b"abcd")])), Rule::DataObject);
    assert_eq!(refusal(judge(vec![ro(mem(), b"")])), Rule::DataObject);
}

/// Attack A16.
#[test]
fn objects_own_nothing_and_are_closed() {
    let own_null = record(8, vec![own(0, true, None, u64s())]);
    assert_eq!(refusal(judge(vec![ro(own_null, &[0; 8])])), Rule::DataObject);
    let open = bytes(Term::var(Var::Free(0)));
    assert_eq!(refusal(judge(vec![ro(open, &[0; 8])])), Rule::WfSize);
    let pointer = known(0, Word::Ptr(tal_core::ty::Base::Data(tal_core::ty::DataId(0)), k(0)));
    let pointer = record(8, vec![pointer]);
    assert_eq!(refusal(judge(vec![ro(pointer, &[0; 8])])), Rule::WfWordType);
}

#[test]
fn integers_are_evaluated() {
    let value = Term::var(Var::Value);
    let at_most = |c| vec![ge(k(c).sub(&value).unwrap())];
    let mem = |signed, facts| array(k(2), record(1, vec![refined(0, 8, signed, facts)]));
    judge(vec![ro(mem(false, at_most(3)), &[0, 3])]).unwrap();
    assert_eq!(refusal(judge(vec![ro(mem(false, at_most(3)), &[0, 4])])), Rule::DataInit);
    let not_negative = || vec![ge(value.clone())];
    assert_eq!(refusal(judge(vec![ro(mem(true, not_negative()), &[0, 0xff])])), Rule::DataInit);
    judge(vec![ro(mem(false, not_negative()), &[0, 0xff])]).unwrap();
    let five = record(8, vec![known(0, Word::Int(k(5)))]);
    judge(vec![ro(five.clone(), &5_u64.to_le_bytes())]).unwrap();
    assert_eq!(refusal(judge(vec![ro(five, &6_u64.to_le_bytes())])), Rule::DataInit);
    // Gaps are zero.
    let gap = record(4, vec![refined(0, 8, false, at_most(3))]);
    judge(vec![ro(gap.clone(), &[1, 0, 0, 0])]).unwrap();
    assert_eq!(refusal(judge(vec![ro(gap, &[1, 0, 1, 0])])), Rule::DataInit);
    assert_eq!(refusal(judge(vec![ro(zero(k(2)), &[0, 1])])), Rule::DataInit);
}

/// Attack t107.
#[test]
fn pointers_are_objects_of_that_type() {
    let name = || bytes(k(4));
    let cell = |nullable, mode| record(8, vec![reference(0, nullable, mode, name())]);
    let word = |n: u64| n.to_le_bytes();
    let with = |mem, bytes: &[u8; 8], target: Data<'static>| {
        judge(vec![ro(mem, bytes), target]).map_err(|e| e.rule)
    };
    let there = || object(0x41_0100, name(), Mode::Ro, b"abcd");
    with(cell(false, Mode::Ro), &word(0x41_0100), there()).unwrap();
    with(cell(true, Mode::Ro), &word(0), there()).unwrap();
    let refused = Err(Rule::DataInit);
    assert_eq!(with(cell(false, Mode::Ro), &word(0), there()), refused);
    // Another address, into the object, another mode, another type, the text.
    assert_eq!(with(cell(false, Mode::Ro), &word(0x41_0200), there()), refused);
    assert_eq!(with(cell(false, Mode::Ro), &word(0x41_0101), there()), refused);
    assert_eq!(with(cell(false, Mode::Rw), &word(0x41_0100), there()), refused);
    assert_eq!(with(cell(false, Mode::Ro), &word(0x40_0000), there()), refused);
    let other = object(0x41_0100, junk(k(4)), Mode::Ro, b"abcd");
    assert_eq!(with(cell(false, Mode::Ro), &word(0x41_0100), other), refused);
}

#[test]
fn packages_tell_their_witnesses() {
    let n = Term::var(Var::Bound(0));
    let package = |facts: Vec<Fact>| {
        let text = reference(8, false, Mode::Ro, bytes(n.clone()));
        let body = record(16, vec![known(0, Word::Int(n.clone())), text]);
        Rc::new(Mem::Ex { vars: 1, facts, body })
    };
    let image = |length: u64| [length.to_le_bytes(), 0x41_0100_u64.to_le_bytes()].concat();
    let run = |facts, length| {
        let target = object(0x41_0100, bytes(k(4)), Mode::Ro, b"abcd");
        judge(vec![ro(package(facts), &image(length)), target]).map_err(|e| e.rule)
    };
    run(vec![ge(n.clone())], 4).unwrap();
    assert_eq!(run(vec![ge(n.clone())], 5), Err(Rule::DataInit));
    // t52.
    assert_eq!(run(vec![ge(n.plus(-5).unwrap())], 4), Err(Rule::DataInit));
    let untold = Rc::new(Mem::Ex { vars: 1, facts: vec![], body: u64s() });
    assert_eq!(refusal(judge(vec![ro(untold, &[0; 8])])), Rule::DataInit);
}

#[test]
fn bss_is_zero() {
    let bss = |mem| {
        let kind = DataKind::Object { mem, mode: Mode::Rw };
        Data { address: 0x41_0000, size: 8, kind, contents: Contents::Zero, writable: true }
    };
    judge(vec![bss(u64s())]).unwrap();
    let value = Term::var(Var::Value);
    let positive = vec![ge(value.plus(-1).unwrap())];
    let mem = record(8, vec![refined(0, 64, false, positive)]);
    assert_eq!(refusal(judge(vec![bss(mem)])), Rule::DataInit);
    let mem = record(8, vec![reference(0, false, Mode::Rw, u64s())]);
    assert_eq!(refusal(judge(vec![bss(mem)])), Rule::DataInit);
}

fn table(bytes: &[u8], function: u32, writable: bool) -> Result<(), Error> {
    let interface = interface();
    let kind = DataKind::Table { function: FnId(function) };
    let size = u32::try_from(bytes.len()).unwrap();
    let contents = Contents::Bytes(bytes);
    let function = |offset| tal_core::image::Function { offset, sig: 0 };
    let image = Image {
        text: &[0xc3; 64],
        text_address: 0x40_0000,
        types: vec![],
        sigs: vec![Rc::new(never())],
        functions: vec![function(0), function(32)],
        labels: vec![8, 16, 40],
        data: vec![Data { address: 0x41_0000, size, kind, contents, writable }],
        imports: vec![],
        start: None,
    };
    Judge::new(&image, &interface, Teller::default(), 1 << 20).data()
}

/// Attack t138.
#[test]
fn tables_hold_labels_of_one_function() {
    let of = |addresses: &[u64]| addresses.iter().flat_map(|a| a.to_le_bytes()).collect::<Vec<_>>();
    table(&of(&[0x40_0008, 0x40_0010, 0x40_0008]), 0, false).unwrap();
    for wrong in [
        of(&[0x40_0008, 0x40_0028]),
        of(&[0x40_0000]),
        of(&[0x40_0009]),
        of(&[0]),
        of(&[0x40_0008])[..7].to_vec(),
    ] {
        assert_eq!(refusal(table(&wrong, 0, false)), Rule::TableObject);
    }
    assert_eq!(refusal(table(&of(&[0x40_0008]), 1, false)), Rule::TableObject);
    assert_eq!(refusal(table(&of(&[0x40_0008]), 0, true)), Rule::TableObject);
}

/// What data pays for is not spent on text: megabytes of zeroes would buy it hours.
#[test]
fn t156_data_buys_no_work_for_text() {
    let zeroes = vec![0; 1 << 16];
    let mem = super::support::bytes(k(1 << 16));
    judged_with(Teller::default(), vec![ro(mem, &zeroes)], |judge| {
        let fuel = judge.fuel;
        judge.data().unwrap();
        assert!(judge.fuel <= fuel, "{} of {fuel}", judge.fuel);
    });
}

#[test]
fn t156_judging_data_tells_that_it_works() {
    // No question is asked about data: a host that lets others run from time to time hears of it
    // by the work that is done, for every element of it.
    let count = 4096;
    let value = Term::var(Var::Value);
    let element = record(1, vec![refined(0, 8, false, vec![ge(value)])]);
    let bytes = vec![0; count];
    let mem = array(k(i64::try_from(count).unwrap()), element);
    judged_with(Teller::default(), vec![ro(mem, &bytes)], |judge| {
        judge.data().unwrap();
        assert!(judge.hints.worked >= count, "{}", judge.hints.worked);
    });
}
