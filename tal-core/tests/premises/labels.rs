//! Not trusted. What a label is told: its names, its depth, what is lent, tokens (core.md 4.13).

use crate::judges::*;
use crate::support::*;
use tal_core::counted::Rc;
use tal_core::error::{Error, Rule};
use tal_core::hint::{Inst, Through};
use tal_core::image::{Contents, Data, DataKind, Function, Image};
use tal_core::judge::{Judge, Own};
use tal_core::limits;
use tal_core::state::{Mark, State};
use tal_core::term::Var;
use tal_core::ty::{
    Base, Block, Cap, DataId, Entry, FnId, Guard, Kind, Lent, Mode, NameSet, OriginId, Record, Reg,
    Region, Word,
};

/// A label's claim about a block is one that the name has.
#[test]
fn a_block_of_a_label_is_one() {
    let claim = |extent: i64, origin: u16, at: i64, have: Option<i64>| {
        let mut st = state();
        let y = match have {
            Some(e) => block(&mut st, NameSet::ADDRESS, k(e)),
            None => address(&mut st),
        };
        let block = Some(Block { origin: OriginId(origin), extent: k(extent) });
        let l = label(vec![Kind::Addr { set: NameSet::ADDRESS, block }]);
        entail(&st, l, vec![Inst::Ptr(Base::Name(y), k(at))])
    };
    claim(8, 0, 0, Some(8)).unwrap();
    refused(claim(8, 0, 0, None), Rule::Apply);
    refused(claim(8, 0, 0, Some(16)), Rule::Apply);
    refused(claim(8, 1, 0, Some(8)), Rule::Apply);
    refused(claim(8, 0, 8, Some(8)), Rule::Apply);
}

/// Beside this name, through this.
fn place(st: &State, base: Base, at: i64, through: Through) -> Result<(), Error> {
    let theta = vec![Inst::Ptr(base, k(at))];
    let told = Teller { insts: [theta].into(), access: [through].into(), ..Teller::default() };
    entail_told(st, label(vec![ADDRESS]), told)
}

/// A place beside a name lies in a view that is there, of this name, and lives.
#[test]
fn a_place_lies_in_a_view() {
    let at = |at: i64, guard: bool, other: bool, dead: bool| {
        let mut st = state();
        let y = address(&mut st);
        let z = address(&mut st);
        let n = any(&mut st);
        let rho = declare(&mut st, Kind::Region);
        let region = if dead { Region::Var(rho) } else { Region::Always };
        let v = lent(&mut st, region, Mode::Ro, y, array(k(2), u64s()));
        if guard {
            st.views[usize::from(v)].guards = vec![Guard::Range(n, 0, 0)];
        }
        let base = Base::Name(if other { z } else { y });
        place(&st, base, at, Through::View(v))
    };
    at(8, false, false, false).unwrap();
    at(16, false, false, false).unwrap();
    refused(at(24, false, false, false), Rule::Apply);
    refused(at(-8, false, false, false), Rule::Apply);
    refused(at(8, true, false, false), Rule::Apply);
    refused(at(8, false, true, false), Rule::Apply);
    refused(at(8, false, false, true), Rule::Apply);
}

/// As much of an entry, or of a data object: no token, nothing that may not be there.
#[test]
fn a_place_lies_in_an_entry_or_an_object() {
    let at = |offset: i64, guard: bool, other: bool| {
        let mut st = state();
        let (y, z) = (address(&mut st), address(&mut st));
        let n = any(&mut st);
        let guards = if guard { vec![Guard::Range(n, 0, 0)] } else { vec![] };
        guarded(&mut st, guards, y, k(0), array(k(2), u64s()));
        // Nothing is left at the label: what was there was given away.
        place(&st, Base::Name(if other { z } else { y }), offset, Through::Entry(0))
    };
    // The place exists, and the entry is left over.
    refused(at(8, false, false), Rule::Entail);
    refused(at(24, false, false), Rule::Apply);
    refused(at(8, true, false), Rule::Apply);
    refused(at(8, false, true), Rule::Apply);
    let object = |offset: i64, through: u16| {
        let words = [0; 16];
        let mem = array(k(2), u64s());
        let data = |address: u32| Data {
            address,
            size: 16,
            kind: DataKind::Object { mem: mem.clone(), mode: Mode::Ro },
            contents: Contents::Bytes(&words),
            writable: false,
        };
        let interface = interface();
        let image = Image {
            functions: vec![Function { offset: 0, sig: 0 }],
            labels: vec![4],
            data: vec![data(0x50_0000), data(0x50_1000)],
            ..bare()
        };
        let theta = vec![Inst::Ptr(Base::Data(DataId(0)), k(offset))];
        let access = [Through::Data(DataId(through))].into();
        let told = Teller { insts: [theta].into(), access, ..Teller::default() };
        let mut judge = Judge::new(&image, &interface, told, 1 << 20);
        judge.own = Own::function(Some(FnId(0)), Rc::new(never()));
        entail_at(&mut judge, &mut state(), &label(vec![ADDRESS]))
    };
    object(8, 0).unwrap();
    refused(object(24, 0), Rule::Apply);
    refused(object(8, 1), Rule::Apply);
}

/// A label is at its depth.
#[test]
fn a_label_is_at_its_depth() {
    let to = |delta: i64| {
        let mut st = state();
        st.stack.delta = -16;
        st.stack.touched = -16;
        st.set_reg(Reg::Rsp, Word::Frame(-16));
        entail(&st, LabelState { delta, ..label(vec![]) }, vec![])
    };
    to(-16).unwrap();
    refused(to(-8), Rule::Entail);
    refused(to(-24), Rule::Entail);
}

/// An integer for a name is one that the name may be.
#[test]
fn an_integer_for_a_name_is_one_of_its_alternatives() {
    let to = |c: i64| {
        let kind = Kind::Addr { set: NameSet::NULLABLE, block: None };
        entail(&state(), label(vec![kind]), vec![Inst::Small(k(c))])
    };
    to(0).unwrap();
    refused(to(1), Rule::Apply);
}

/// A token is of its region.
#[test]
fn a_token_is_of_its_region() {
    let to = |other: bool| {
        let mut st = state();
        let x = address(&mut st);
        let (r, s) = (declare(&mut st, Kind::Region), declare(&mut st, Kind::Region));
        let there = |name: Var| Entry { guards: vec![], name, offset: k(0), mem: u64s() };
        st.caps = vec![Cap::Token(r, there(x))].into();
        let mut l = label(vec![ADDRESS, Kind::Region]);
        l.caps = vec![Cap::Token(Var::Free(1), there(Var::Free(0)))];
        let theta = vec![
            Inst::Ptr(Base::Name(x), k(0)),
            Inst::Region(Region::Var(if other { s } else { r })),
        ];
        entail_told(&st, l, Teller { insts: [theta].into(), take: [0].into(), ..Teller::default() })
    };
    to(false).unwrap();
    refused(to(true), Rule::Entail);
}

/// What is lent has its name.
#[test]
fn what_is_lent_keeps_its_name() {
    let to = |other: bool| {
        let mut st = state();
        st.stack.delta = -16;
        st.stack.touched = -16;
        st.set_reg(Reg::Rsp, Word::Frame(-16));
        let (c, y) = (address(&mut st), address(&mut st));
        st.stack.lent = vec![Lent { offset: -16, size: 16, name: c }].into();
        let mut l = LabelState { delta: -16, touched: -16, ..label(vec![ADDRESS]) };
        l.lent = vec![Lent { offset: -16, size: 16, name: Var::Free(0) }];
        entail(&st, l, vec![Inst::Ptr(Base::Name(if other { y } else { c }), k(0))])
    };
    to(false).unwrap();
    refused(to(true), Rule::Entail);
}

/// A slot holds what the label says.
#[test]
fn a_slot_holds_its_word() {
    let to = |have: i64| {
        let mut st = state();
        st.stack.delta = -8;
        st.stack.touched = -8;
        st.set_reg(Reg::Rsp, Word::Frame(-8));
        st.set_slot(-8, Word::Int(k(have)));
        let slots = vec![(-8, Word::Int(k(1)))];
        entail(&st, LabelState { delta: -8, touched: -8, slots, ..label(vec![]) }, vec![])
    };
    to(1).unwrap();
    refused(to(2), Rule::Entail);
}

/// A record is counted with what its parent has: slots, and what is lent.
#[test]
fn a_record_fits_what_its_parent_has() {
    let mut st = state();
    let c = address(&mut st);
    st.stack.delta = -limits::FRAME;
    st.stack.touched = -limits::FRAME;
    st.stack.lent = vec![Lent { offset: -64, size: 16, name: c }].into();
    let word = |i: i64| (8 * i - limits::FRAME, Word::Int(k(1)));
    let most = limits::SLOTS as i64;
    (0..most - 1).map(word).for_each(|(at, word)| st.set_slot(at, word));
    let formed = |record: &Record| {
        let (image, interface) = (bare(), interface());
        Judge::new(&image, &interface, Teller::default(), 1 << 20).wf_record(
            &st,
            &Mark::of(&st),
            record.declared(),
        )
    };
    let own = |count: i64| Record { slots: (0..count).map(word).collect(), ..Record::default() };
    formed(&own(1)).unwrap();
    refused(formed(&own(2)), Rule::WfLabel);
    let higher = |delta: i64| Record { frame: Some((delta, delta)), ..Record::default() };
    formed(&higher(-64)).unwrap();
    refused(formed(&higher(-56)), Rule::WfLabel);
}
