//! Not trusted. What the judge asks of its host and of where an image lies: blocks of at least one
//! byte, an interface that is well formed, data off the text and the gates (core.md 4.14, 4.15).

use crate::judges::*;
use crate::support::*;
use std::path::Path;
use tal_core::counted::Rc;
use tal_core::error::{Error, Rule};
use tal_core::image::{Contents, Data, DataKind, Image, Interface};
use tal_core::judge::Judge;
use tal_core::limits;
use tal_core::term::{Term, Var};
use tal_core::ty::{Block, Bounds, Cap, Entry, Guard, Kind, Mode, NameSet, Post, Reg, Sig, Word};
use tal_core::wire;

fn v(i: u16) -> Term {
    Term::var(Var::Free(i))
}

/// An allocator: an integer with this fact, and a block of so many bytes or null.
fn allocator(fact: Term, extent: Term) -> Sig {
    let block = Some(Block { origin: HEAP, extent: extent.clone() });
    let entry = Entry {
        guards: vec![Guard::IsAddress(Var::Free(1))],
        name: Var::Free(1),
        offset: k(0),
        mem: junk(extent),
    };
    let mut sig = Sig {
        vars: vec![Kind::INT],
        post: Some(Post {
            vars: vec![Kind::Addr { set: NameSet::NULLABLE, block }],
            state: assertion(),
        }),
        ..never()
    };
    sig.pre.facts = vec![ge(fact)];
    sig.pre.regs.set(Reg::Rdi, Word::Int(v(0)));
    let post = sig.post.as_mut().unwrap();
    post.state.caps = vec![Cap::Entry(entry)];
    sig
}

/// Is an image judged that uses this import?
fn imports(sig: Sig) -> Result<(), Error> {
    let interface = Interface { imports: vec![Rc::new(sig)], ..interface() };
    let image = Image { imports: vec![0], sigs: vec![], ..bare() };
    let mut judge = Judge::new(&image, &interface, Teller::default(), 1 << 20);
    let whole = judge.wf_interface();
    let used = judge.verify();
    assert_eq!(whole, used);
    used
}

/// A block of no bytes could be cut into itself and nothing, and be given back twice.
#[test]
fn a_block_has_at_least_one_byte() {
    let n = |least: i64| v(0).plus(i128::from(-least)).unwrap();
    let pages = |term: Term| term.scale(4096).unwrap();
    imports(allocator(n(1), v(0))).unwrap();
    imports(allocator(n(8), v(0))).unwrap();
    imports(allocator(n(0), k(1))).unwrap();
    // Of whole pages, said of the pages or of their number.
    imports(allocator(n(1), pages(v(0)))).unwrap();
    imports(allocator(pages(n(1)), pages(v(0)))).unwrap();
    imports(allocator(n(0), v(0).plus(1).unwrap())).unwrap();
    refused(imports(allocator(n(0), v(0))), Rule::Import);
    refused(imports(allocator(n(1), k(0))), Rule::Import);
    refused(imports(allocator(n(0), pages(v(0)))), Rule::Import);
    refused(imports(allocator(n(1), v(0).plus(-1).unwrap())), Rule::Import);
    refused(imports(allocator(n(1), v(0).scale(-1).unwrap())), Rule::Import);
    // That it is not 0 does not make it positive.
    let mut odd = allocator(n(1), v(0));
    odd.pre.facts[0].rel = tal_core::ty::Rel::Ne;
    refused(imports(odd), Rule::Import);
}

/// Neither does a block that the host hands to a function of ours, or to the start.
#[test]
fn a_block_that_is_handed_over_has_at_least_one_byte() {
    let takes = |extent: i64| {
        let block = Some(Block { origin: HEAP, extent: k(extent) });
        Sig { vars: vec![Kind::Addr { set: NameSet::NULLABLE, block }], ..never() }
    };
    let calls = |extent: i64| Sig { vars: vec![Kind::Code(Rc::new(takes(extent)))], ..never() };
    imports(calls(8)).unwrap();
    refused(imports(calls(0)), Rule::Import);
    let starts = |extent: i64| {
        let interface = Interface { start: Rc::new(takes(extent)), ..interface() };
        let image = bare();
        Judge::new(&image, &interface, Teller::default(), 1 << 20).wf_interface()
    };
    starts(8).unwrap();
    refused(starts(0), Rule::Import);
}

/// That it has is told by the bounds of an integer as well: of the function's, of what it is
/// called with, of the start's.
#[test]
fn the_size_of_a_block_is_known_by_bounds() {
    let low = |low: i128| Kind::Int(Bounds::new(Some(low), None).unwrap());
    let at = |extent: Term| Kind::Addr {
        set: NameSet::NULLABLE,
        block: Some(Block { origin: HEAP, extent }),
    };
    let (given, own) = (v(0), Term::var(Var::Inner(0)));
    let returned =
        |kind: Kind, extent: Term| imports(Sig { vars: vec![kind], ..allocator(k(0), extent) });
    let called = |outer: Kind, inner: Kind, extent: &Term| {
        let called = Sig { vars: vec![inner, at(extent.clone())], ..never() };
        imports(Sig { vars: vec![outer, Kind::Code(Rc::new(called))], ..never() })
    };
    let started = |kind: Kind| {
        let start = Rc::new(Sig { vars: vec![kind, at(v(0))], ..never() });
        let interface = Interface { start, ..interface() };
        Judge::new(&bare(), &interface, Teller::default(), 1 << 20).wf_interface()
    };
    returned(low(1), given.clone()).unwrap();
    returned(low(1), given.scale(4096).unwrap()).unwrap();
    called(low(1), Kind::INT, &given).unwrap();
    called(Kind::INT, low(1), &own).unwrap();
    started(low(1)).unwrap();
    for kind in [Kind::INT, low(0), Kind::Int(Bounds::new(None, Some(9)).unwrap())] {
        refused(returned(kind.clone(), given.clone()), Rule::Import);
        refused(called(kind.clone(), low(1), &given), Rule::Import);
        refused(called(low(1), kind.clone(), &own), Rule::Import);
        refused(started(kind), Rule::Import);
    }
}

/// The interface that loader and kernel embed passes the judge's own rules: `verify` believes what
/// it says of its types.
#[test]
fn the_shipped_interface_is_well_formed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loader/src/interface.bin");
    let bytes = std::fs::read(path).unwrap();
    let (hash, bytes) = bytes.split_first_chunk().unwrap();
    let shipped = wire::read_interface(bytes, *hash).unwrap();
    assert!(shipped.imports.len() >= 50 && !shipped.types.is_empty());
    let image = Image { sigs: vec![], ..bare() };
    let mut judge = Judge::new(&image, &shipped, Teller::default(), 1 << 20);
    judge.wf_types().unwrap();
    judge.wf_interface().unwrap();
    // One bit that is not so is found.
    let mut wrong = shipped.clone();
    wrong.types[0].zero_ok = !wrong.types[0].zero_ok;
    let mut judge = Judge::new(&image, &wrong, Teller::default(), 1 << 20);
    refused(judge.wf_types(), Rule::WfNamed);
}

/// Data lies off the text and off the page of the gates.
#[test]
fn data_lies_off_the_text_and_the_gates() {
    let at = |address: u32| {
        let words = [0; 8];
        let text = [0xCC; 16];
        let data = Data {
            address,
            size: 8,
            kind: DataKind::Object { mem: u64s(), mode: Mode::Ro },
            contents: Contents::Bytes(&words),
            writable: false,
        };
        let interface = interface();
        let image = Image { text: &text, sigs: vec![], data: vec![data], ..bare() };
        Judge::new(&image, &interface, Teller::default(), 1 << 20).verify()
    };
    let gates = u32::try_from(limits::GATES).unwrap();
    at(0x40_0010).unwrap();
    at(0x3F_FFF8).unwrap();
    at(gates - 8).unwrap();
    at(gates + 4096).unwrap();
    for address in [0x40_0000, 0x40_0008, 0x40_000F, 0x3F_FFF9, gates, gates + 4095, gates - 1] {
        refused(at(address), Rule::DataObject);
    }
}
