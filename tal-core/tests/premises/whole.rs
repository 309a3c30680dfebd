//! Not trusted. Whole images: tables, data, where things lie, what follows an edge.

use crate::judges::*;
use crate::support::*;
use tal_core::counted::Rc;
use tal_core::decode::decode_at;
use tal_core::error::{Error, Rule};
use tal_core::image::{Contents, Data, DataKind, Function, Image, Interface, Segment};
use tal_core::judge::Judge;
use tal_core::limits;
use tal_core::term::{Term, Var};
use tal_core::ty::{
    Base, DataId, Fact, FnId, Kind, Mem, Mode, NameSet, NamedType, Reg, Rel, Sig, Word,
};
use tal_core::wire;
use tal_write::{Flat, Label};

/// Judges all of it; labels of no variables are told none.
fn verify(image: &Image<'_>, interface: &Interface) -> Result<(), Error> {
    verify_with(image, interface, vec![])
}

/// As [`verify`], with what its labels declare.
fn verify_with(
    image: &Image<'_>,
    interface: &Interface,
    labels: Vec<LabelState>,
) -> Result<(), Error> {
    let inner = Teller { insts: vec![vec![]; 8].into(), ..Teller::default() };
    let at = |(offset, state): (&u32, LabelState)| Label { offset: *offset, state: state.into() };
    let labels = image.labels.iter().zip(labels).map(at).collect();
    Judge::new(image, interface, Flat { inner, labels }, 1 << 20).verify()
}

fn object(address: u32, size: u32, mem: Rc<Mem>, contents: Contents<'_>) -> Data<'_> {
    let kind = DataKind::Object { mem, mode: Mode::Ro };
    Data { address, size, kind, contents, writable: false }
}

/// A loop that nobody leaves: a function and its label at 0, from there to this label.
fn loops(sig: Sig) -> Image<'static> {
    Image {
        text: &[0xEB, 0x00, 0xEB, 0xFE], // l: jmp m; m: jmp m
        sigs: vec![Rc::new(sig)],
        functions: vec![Function { offset: 0, sig: 0 }],
        labels: vec![0, 2],
        ..bare()
    }
}

/// Every table entry is well formed, used or not.
#[test]
fn tables_are_well_formed() {
    let image = || loops(never());
    let labels =
        |second: LabelState| verify_with(&image(), &interface(), vec![label(vec![]), second]);
    let judged = |image: Image<'static>| {
        verify_with(&image, &interface(), vec![label(vec![]), label(vec![])])
    };
    judged(image()).unwrap();
    let wide = LabelState { delta: -8192, ..label(vec![]) };
    // Where the first way leads to it.
    refused(labels(wide), Rule::WfLabel);
    let vars = vec![Kind::INT; limits::SIG_VARS + 1];
    refused(judged(loops(Sig { vars, ..never() })), Rule::WfSig);
    let named = |plain: bool| NamedType {
        arity: 0,
        size: 8,
        zero_ok: true,
        plain,
        owns: false,
        body: u64s(),
    };
    judged(Image { types: vec![named(true)], ..image() }).unwrap();
    refused(judged(Image { types: vec![named(false)], ..image() }), Rule::WfNamed);
    let data = |size: u32| vec![object(0x50_0000, size, u64s(), Contents::Zero)];
    judged(Image { data: data(8), ..image() }).unwrap();
    refused(judged(Image { data: data(16), ..image() }), Rule::DataObject);
}

/// The program starts in a function that never returns, whatever the host says.
#[test]
fn the_start_never_returns() {
    let starts = |sig: Sig, text: &[u8]| {
        let interface = Interface { start: Rc::new(sig.clone()), ..interface() };
        let image = Image {
            text,
            sigs: vec![Rc::new(sig)],
            functions: vec![Function { offset: 0, sig: 0 }],
            labels: vec![],
            ..bare()
        };
        let good = verify(&image, &interface);
        good.unwrap();
        verify(&Image { start: Some(FnId(0)), ..image }, &interface)
    };
    starts(never(), &[0xEB, 0xFE]).unwrap();
    refused(starts(returns(), &[0xC3]), Rule::Driver);
}

/// So many imports, and no more.
#[test]
fn imports_are_bounded() {
    let many = |n: u16| {
        let imports = (0..n).map(|_| Rc::new(never())).collect();
        let interface = Interface { imports, ..interface() };
        verify(&Image { imports: (0..n).collect(), sigs: vec![], ..bare() }, &interface)
    };
    many(256).unwrap();
    refused(many(257), Rule::Import);
}

/// Text lies where an image may lie.
#[test]
fn text_lies_in_the_image() {
    let at = |text_address: u32| {
        let image = Image { text: &[0xCC; 16], text_address, sigs: vec![], ..bare() };
        verify(&image, &interface())
    };
    at(0x1_0000).unwrap();
    at(0x7FFF_FFF0).unwrap();
    refused(at(0xFFF0), Rule::Driver);
    refused(at(0x7FFF_FFF1), Rule::Driver);
}

/// Data objects have bytes, and lie where an image may lie.
#[test]
fn data_lies_in_the_image() {
    let data = |object: Data<'_>| judged_with(Teller::default(), vec![object], |j| j.data());
    let at = |address: u32| data(object(address, 8, u64s(), Contents::Zero));
    at(0x7FFF_FFF8).unwrap();
    refused(at(0x7FFF_FFF9), Rule::DataObject);
    let of = |n: u32| data(object(0x50_0000, n, bytes(k(i64::from(n))), Contents::Zero));
    of(1).unwrap();
    refused(of(0), Rule::DataObject);
}

/// Bytes are a value of the type, all of them.
#[test]
fn bytes_of_data_are_a_value() {
    let init = |mem: Rc<Mem>, size: u32, contents: Contents<'_>| {
        let data = vec![object(0x50_0000, size, mem, contents)];
        judged_with(Teller::default(), data, |j| j.data_init(DataId(0)))
    };
    let of = |mem: Rc<Mem>, bytes: &[u8]| {
        init(mem, u32::try_from(bytes.len()).unwrap(), Contents::Bytes(bytes))
    };
    of(u64s(), &[1; 8]).unwrap();
    refused(of(u64s(), &[1; 16]), Rule::DataInit);
    refused(init(u64s(), 16, Contents::Bytes(&[1; 8])), Rule::DataInit);
    // Nobody owns what an image brings.
    refused(of(record(8, vec![own(0, true, None, u64s())]), &[0; 8]), Rule::DataInit);
    let five = |rel: Rel| {
        let term = Term::var(Var::Value).plus(-5).unwrap();
        record(1, vec![refined(0, 8, false, vec![Fact { rel, term }])])
    };
    of(five(Rel::Eq), &[5]).unwrap();
    refused(of(five(Rel::Eq), &[6]), Rule::DataInit);
    of(five(Rel::Ne), &[6]).unwrap();
    refused(of(five(Rel::Ne), &[5]), Rule::DataInit);
    // A gap is zero, though all fields are plain.
    let late = || record(16, vec![int(8, 64, false)]);
    of(late(), &[0; 16]).unwrap();
    refused(of(late(), &[1; 16]), Rule::DataInit);
    // Zeroes are no word that is known.
    init(u64s(), 8, Contents::Zero).unwrap();
    let word = record(8, vec![known(0, Word::Int(k(5)))]);
    refused(init(word, 8, Contents::Zero), Rule::DataInit);
}

/// A table that lists the label at 7, which is of the second function if there are two.
fn table(size: u32, words: &[u8], functions: usize) -> Image<'_> {
    let kind = DataKind::Table { function: FnId(0) };
    let contents = Contents::Bytes(words);
    let starts = [Function { offset: 0, sig: 0 }, Function { offset: 6, sig: 0 }];
    Image {
        // jmp [0x500000 + rdi*8]; endbr64
        text: &[0xFF, 0x24, 0xFD, 0, 0, 0x50, 0, 0xF3, 0x0F, 0x1E, 0xFA],
        functions: starts[..functions].to_vec(),
        labels: vec![7],
        data: vec![Data { address: 0x50_0000, size, kind, contents, writable: false }],
        ..bare()
    }
}

/// A table has the size that it says.
#[test]
fn a_table_has_its_size() {
    let words = 0x40_0007_u64.to_le_bytes();
    let of = |size: u32| {
        let (image, interface) = (table(size, &words, 1), interface());
        Judge::new(&image, &interface, Teller::default(), 1 << 20).table_object(DataId(0))
    };
    of(8).unwrap();
    refused(of(16), Rule::TableObject);
}

/// A label of another function is none that a table of ours may list.
#[test]
fn a_table_lists_our_labels() {
    let words = 0x40_0007_u64.to_le_bytes();
    let listed = |functions: usize| {
        let (image, interface) = (table(8, &words, functions), interface());
        Judge::new(&image, &interface, Teller::default(), 1 << 20).table_object(DataId(0))
    };
    listed(1).unwrap();
    refused(listed(2), Rule::TableObject);
}

/// The edge on which a name is decided is followed, too.
#[test]
fn both_edges_of_a_null_check_are_followed() {
    let check = |rax: Word| {
        let mut sig = never();
        sig.vars = vec![Kind::Addr { set: NameSet::NULLABLE, block: None }];
        sig.pre.regs.set(Reg::Rdi, Word::Ptr(Base::Name(Var::Free(0)), k(0)));
        let mut taken = label(vec![]);
        taken.regs[Reg::Rax as usize] = rax;
        let image = Image {
            // test rdi, rdi; jz m; l: jmp l; m: jmp m
            text: &[0x48, 0x85, 0xFF, 0x74, 0x02, 0xEB, 0xFE, 0xEB, 0xFE],
            sigs: vec![Rc::new(sig)],
            functions: vec![Function { offset: 0, sig: 0 }],
            labels: vec![5, 7],
            ..bare()
        };
        verify_with(&image, &interface(), vec![label(vec![]), taken])
    };
    check(Word::Junk).unwrap();
    refused(check(Word::Int(k(0))), Rule::Entail);
}

/// A data object lies inside a segment, also where that is zero.
#[test]
fn data_lies_inside_a_segment() {
    let data = vec![object(0x50_0000, 16, bytes(k(16)), Contents::Zero)];
    let (image, interface) = (Image { sigs: vec![], data, ..bare() }, interface());
    let section = tal_write::encode(&image, &interface, &tal_write::Recorded::default());
    let read = |size: u32| {
        let segment = Segment { address: 0x50_0000, size, bytes: &[], writable: false };
        wire::decode(image.text, 0x40_0000, &[segment], &section, &interface).map(drop)
    };
    read(16).unwrap();
    read(8).unwrap_err();
}

/// No segment but the flat one.
#[test]
fn memory_has_no_segment() {
    let decode = |bytes: &[u8]| decode_at(bytes, 0x40_0000, 0).map(drop);
    decode(&[0x0F, 0xB6, 0x00]).unwrap(); // movzx eax, byte [rax]
    refused(decode(&[0x64, 0x0F, 0xB6, 0x00]), Rule::Decode); // movzx eax, byte fs:[rax]
}
