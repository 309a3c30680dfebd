//! Not trusted: tests. Hostile annotations of ten megabytes: whatever they say, judging takes no
//! more memory than [`limits::memory`] states, and ends; and the deepest there are do not take it
//! deep into the stack.
//!
//! Each attack repeats what makes much of few bytes. The sections are written here byte by byte,
//! since no honest writer writes them.
#![allow(unsafe_code, reason = "what looks at the stack")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/counting.rs"]
mod counting;
#[path = "support/stack.rs"]
mod stack;

use counting::peak;
use tal_core::error::{Error, Kind as Evidence, Rule};
use tal_core::image::Interface;
use tal_core::limits;
use tal_core::ty::{Assertion, Sig};
use tal_core::wire::shared::{HEAD, flag};
use tal_core::{verify_section, wire};

const TEXT: u32 = 0x40_0000;
const HASH: [u8; 32] = [7; 32];
/// Bytes of hostile annotations: ten megabytes, or as many as `TAL_HOSTILE_BYTES` says.
fn size() -> usize {
    let said = std::env::var("TAL_HOSTILE_BYTES").ok();
    said.map_or(10 << 20, |said| said.parse().unwrap())
}

fn interface() -> Interface {
    let pre = Assertion::default();
    let start = Sig { vars: Vec::new(), pre, post: None }.into();
    Interface { types: Vec::new(), origins: 1, imports: Vec::new(), start, hash: HASH }
}

/// Bytes of magic, version, features and digest.
const HEADER: usize = 4 + 1 + 1 + 32;

/// A section as it is being written.
#[derive(Clone)]
struct Section(Vec<u8>);

impl Section {
    /// The header, up to the number of types.
    fn new() -> Self {
        let mut bytes = wire::MAGIC.to_vec();
        bytes.extend([wire::VERSION, 0]);
        bytes.extend(HASH);
        Section(bytes)
    }

    fn with(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    fn uint(mut self, mut value: usize) -> Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    /// As many copies as there is room for in ten megabytes, with their number before them.
    fn filled(self, unit: &[u8]) -> Self {
        self.counted(unit, usize::MAX)
    }

    fn counted(self, unit: &[u8], most: usize) -> Self {
        let count = (size() / unit.len()).min(most);
        // Named types have a limit of their own, far above what the others do here.
        let count = if self.0.len() == HEADER { count.min(limits::TYPES) } else { count };
        self.uint(count).with(&unit.repeat(count))
    }
}

/// For the tests in the kernel a file: how long the text is, in four bytes, of which two bytes all
/// of it is, then the annotations.
fn keep(name: &str, text: &[u8], section: &Section) {
    if let Some(directory) = std::env::var_os("TAL_HOSTILE") {
        let name = name.replace([' ', '\''], "-");
        let file = [&(text.len() as u32).to_le_bytes(), &text[..2], &section.0].concat();
        std::fs::write(std::path::Path::new(&directory).join(name), file).unwrap();
    }
}

/// Judges the section beside 2.5 megabytes of text. It must be refused, within the bound.
fn refused(name: &str, section: &Section) -> Error {
    refused_over(name, &vec![0xCC; (size() / limits::SECTION_FACTOR) + 4096], section)
}

fn refused_over(name: &str, text: &[u8], section: &Section) -> Error {
    keep(name, text, section);
    let interface = interface();
    let (verdict, bytes) =
        peak(|| verify_section(text, TEXT, &[], &section.0, &interface).map(|_| ()).unwrap_err());
    let bound = limits::memory(text.len(), section.0.len());
    let factor = bytes / (text.len() + section.0.len());
    println!("{name}: {bytes} bytes, {factor} for each of the input; {verdict:?}");
    assert!(bytes <= bound, "{name}: {bytes} bytes of {bound}");
    verdict
}

/// A signature that declares nothing and never returns: variables, facts, registers, arguments,
/// views, capabilities, post-state.
const SIG: [u8; 8] = [0; 8];

/// Head of a record that declares nothing, of a label that hangs on the newest scope.
const ROOT: u8 = 1 << HEAD;

const NOP: u8 = 0x90;

/// A fact `0 >= 0`.
const FACT: u8 = 0;

/// A term of twelve variables, one byte each.
fn wide() -> Vec<u8> {
    let mut term = vec![12 << 1];
    term.extend((0..12).map(|i| (4 + i) << 2));
    term
}

/// One entry of plain memory under four guards, each a range of a wide term.
fn guarded() -> Vec<u8> {
    // `3 * (guards * 2 + offset given)`; then guards, name, memory.
    let mut entry = vec![3 * (4 << 1)];
    for _ in 0..4 {
        entry.push(0);
        entry.extend(wide());
        entry.extend([0, 0]);
    }
    entry.extend([4 + 12, 8]);
    entry
}

/// Attack t156.
#[test]
fn repeated_signatures() {
    refused("smallest signatures", &Section::new().uint(0).filled(&SIG));
}

/// A program of one function of this signature that is one label after the other, each with these
/// instructions of one byte, and falls into the next. All labels hang on the root, so all their
/// records are there at a time.
struct Falling<'r> {
    sig: &'r [u8],
    code: &'r [u8],
    /// Head, then the rest.
    record: &'r [u8],
    /// Own variables of each: integers.
    vars: usize,
}

impl Falling<'_> {
    fn section(&self) -> (Vec<u8>, Section) {
        // Its gap, its record, bits: for ghosts there and on the way to it, for each variable.
        let each = 8 * (1 + self.record.len()) + 1 + self.code.len() + self.vars;
        let text = size() / limits::SECTION_FACTOR + 4096;
        let labels = (8 * size() / each).min(text / self.code.len() - 1);
        let section = Section::new().uint(0).counted(self.sig, 1).with(&[1, 0, 0]);
        let gap = self.code.len() as u8 - 1;
        let section = section.uint(labels).with(&[0]).with(&vec![gap; labels - 1]);
        let section = section.with(&[0, 0, 0]);
        let mut hints = Hints::default();
        // The first comes from where none of them is known, the others from where all are.
        hints.bytes.extend(self.record);
        hints.bit(false);
        hints.bytes.extend([0, 0].repeat(self.vars));
        for _ in 1..labels {
            self.code.iter().for_each(|_| hints.bit(false));
            hints.bytes.extend(self.record);
            hints.bit(false);
            (0..self.vars).for_each(|_| hints.bit(true));
        }
        (self.code.repeat(text / self.code.len()), section.with(&hints.bytes))
    }

    /// What stops it is the last instruction, which has no hints, or what its records take.
    fn refused(&self, name: &str) {
        let (text, section) = self.section();
        let verdict = refused_over(name, &text, &section);
        match verdict.kind {
            Evidence::Malformed(at) => assert_eq!(at as usize, section.0.len()),
            kind => assert_eq!(kind, Evidence::Limit),
        }
    }
}

#[test]
fn repeated_labels() {
    Falling { sig: &SIG, code: &[NOP], record: &[ROOT], vars: 0 }.refused("smallest labels");
}

/// A signature of a function that owns and is given as much as it may, and an integer in rcx.
fn full() -> Section {
    // Twelve integers and a name; no facts; rcx is the first of them.
    let mut sig = Section(Vec::new()).with(&[13]).with(&[0; 12]).with(&[5, 0, 2, 0, 5]);
    sig = sig.uint(limits::LABEL_SLOTS);
    for slot in 1..=limits::LABEL_SLOTS {
        sig = sig.uint(8 * slot).with(&[3]).with(&wide());
    }
    sig.with(&[0, limits::CAPS as u8]).with(&guarded().repeat(limits::CAPS)).with(&[0])
}

/// Attacks t155, A19.
#[test]
fn labels_that_repeat_what_the_entry_has() {
    let labels = Falling { sig: &full().0, code: &[NOP], record: &[ROOT], vars: 0 };
    labels.refused("labels with the entry's arguments and capabilities");
}

/// What is shared until it changes, changed at each of them.
#[test]
fn labels_whose_frames_change() {
    let (push, pop) = (0x51, 0x59);
    let labels = Falling { sig: &full().0, code: &[push, pop], record: &[ROOT], vars: 0 };
    labels.refused("labels whose frames change");
}

#[test]
fn labels_full_of_small_things() {
    let facts = limits::FACTS;
    let mut record = vec![ROOT | (flag::MORE | flag::FACTS) as u8, flag::VARS as u8];
    record.push(limits::LABEL_VARS as u8);
    record.extend([0; limits::LABEL_VARS]);
    record.extend([(facts & 0x7F) as u8 | 0x80, (facts >> 7) as u8]);
    record.extend(vec![FACT; facts]);
    Falling { sig: &SIG, code: &[NOP], record: &record, vars: limits::LABEL_VARS }
        .refused("labels full of facts");
}

#[test]
fn registers_of_one_byte() {
    let record = [&[ROOT | flag::REGS as u8, 0xEF, 0xFF][..], &[0; 15]].concat();
    Falling { sig: &SIG, code: &[NOP], record: &record, vars: 0 }
        .refused("labels with all registers");
}

/// Arity, size, flags of a named type.
const NAMED: [u8; 3] = [0, 8, 0];

#[test]
fn types_of_small_parts() {
    let of = |body: &[u8]| Section::new().filled(&[&NAMED, body].concat());
    // A struct of size 8 with 250 fields, each of an offset, a type and more.
    let fields = |field: &[u8]| of(&[&[0, 8, 250, 1], &field.repeat(250)[..]].concat());
    refused("small fields", &fields(&[0, 0]));
    refused("fields that own", &fields(&[0, 34, 2, 0]));
    refused("fields of one wide word", &fields(&[&[0, 32, 3], &wide()[..]].concat()));
    // `ex` with 240 facts over an integer.
    let facts = vec![FACT; limits::FACTS];
    refused("facts", &of(&[&[6, 0, 240, 1], &facts[..], &[8]].concat()));
    let facts = [&[12 * 6], &wide()[1..]].concat().repeat(70);
    refused("wide facts", &of(&[&[6, 0, 70], &facts[..], &[8]].concat()));
    // As many named types as there may be, each as deep as it may be.
    let named = |body: &[u8]| Section::new().counted(&[&NAMED, body].concat(), limits::TYPES);
    refused("wide arguments", &named(&[&[7, 0, 8], &wide().repeat(8)[..]].concat()));
    refused("nested arrays", &named(&[&[1, 0].repeat(15)[..], &[8]].concat()));
    refused("chains", &named(&[&[5, 8].repeat(15)[..], &[8]].concat()));
}

#[test]
fn a_type_that_is_a_large_tree() {
    // Every level a pair: 2^16 leaves.
    fn tree(depth: usize, out: &mut Vec<u8>) {
        if depth == 0 {
            out.push(8);
        } else {
            out.push(5);
            tree(depth - 1, out);
            tree(depth - 1, out);
        }
    }
    let mut body = NAMED.to_vec();
    tree(limits::NESTING - 1, &mut body);
    let error = refused("a large tree", &Section::new().filled(&body));
    assert_eq!((error.rule, error.kind), (Rule::Limit, Evidence::Limit));
}

#[test]
fn other_tables() {
    let section = Section::new().uint(0).counted(&SIG, 1);
    refused("functions", &section.clone().filled(&[0, 0]));
    let section = section.with(&[1, 0, 0]).uint(0);
    refused("data objects", &section.clone().uint(65_535).with(&[0; 10 << 20]));
    // Code variables with signatures of their own.
    let mut sig = vec![limits::SIG_VARS as u8];
    for _ in 0..limits::SIG_VARS {
        sig.push(4);
        sig.extend(SIG);
    }
    sig.extend(&SIG[1..]);
    refused("signatures in signatures", &Section::new().uint(0).filled(&sig));
}

#[test]
fn counts_of_what_does_not_follow() {
    let rest = vec![0xFF; size() - 4096];
    refused("types", &Section::new().uint(limits::TYPES).with(&rest));
    refused("signatures", &Section::new().uint(0).uint(2 << 20).with(&rest));
    let section = Section::new().uint(0).counted(&SIG, 1).with(&[1, 0, 0]);
    refused("labels", &section.uint(2 << 20).with(&rest));
}

/// Bytes and bits as the hints have them: bits stand in bytes of their own, taken as needed.
#[derive(Default)]
struct Hints {
    bytes: Vec<u8>,
    at: usize,
    left: u8,
}

impl Hints {
    fn bit(&mut self, bit: bool) {
        if self.left == 0 {
            (self.at, self.left) = (self.bytes.len(), 8);
            self.bytes.push(0);
        }
        self.bytes[self.at] |= u8::from(bit) << (8 - self.left);
        self.left -= 1;
    }

    /// Before each of these instructions the ghosts of its list.
    fn ghosts(lists: &[Vec<[u8; 2]>]) -> Vec<u8> {
        let mut hints = Hints::default();
        for list in lists {
            for ghost in list {
                hints.bit(true);
                hints.bytes.extend(ghost);
            }
            hints.bit(false);
        }
        hints.bytes
    }
}

/// A program whose state unfolds `fields` fields of a named type as often as it can: for integers
/// `n0 .. n10` a view of `T[n0 + .. + n10]`, where each field of T mentions its parameter.
fn unfolding(fields: usize) -> Section {
    let size = 8 * fields;
    let mut section = Section::new().uint(1).uint(1).uint(size).uint(0);
    section = section.uint(0).uint(size).uint(fields);
    for i in 0..fields {
        // Writable, 64 bits, `value + parameter >= 0`.
        section = section.uint(8 * i).with(&[29, 1, 12, 2 << 2, 0, 0]);
    }
    // Eleven integers, a name; no facts, registers, arguments; half the views there may be.
    section = section.with(&[1, 12]).with(&[0; 11]).with(&[5, 0, 0, 0, 0]).uint(limits::VIEWS / 2);
    let mut argument = vec![11 << 1];
    argument.extend((0..11).map(|i| (4 + i) << 2));
    for _ in 0..limits::VIEWS / 2 {
        section = section.with(&[2, 3 * (4 + 11), 7, 0, 1]).with(&argument);
    }
    // No capabilities, no post-state; one function; no labels, data, imports, start.
    section = section.with(&[0, 0]).with(&[1, 0, 0]).with(&[0, 0, 0, 0]);
    let unfold = |view: usize| [29, view as u8];
    let lists = [(0..limits::VIEWS / 2).map(unfold).collect()];
    section.with(&Hints::ghosts(&lists))
}

#[test]
fn types_that_grow_when_they_are_unfolded() {
    let interface = interface();
    let text = [0x90; 64];
    let judged = |section: &Section| {
        let (verdict, bytes) = peak(|| {
            verify_section(&text, TEXT, &[], &section.0, &interface).map(|_| ()).unwrap_err()
        });
        println!("{bytes} bytes; {verdict:?}");
        assert!(bytes <= limits::memory(text.len(), section.0.len()));
        (verdict, bytes)
    };
    // Each field is itself, a fact and the twelve monomials of it.
    let most = (limits::NODES - 1) / 14;
    let (verdict, bytes) = judged(&unfolding(most));
    assert_eq!(verdict.rule, Rule::Wire, "all is unfolded; the hints end");
    assert!(bytes > 1 << 20, "the attack is one: {bytes}");
    let (verdict, _) = judged(&unfolding(most + 1));
    assert_eq!((verdict.rule, verdict.kind), (Rule::Limit, Evidence::Limit));
}

/// The most that judging may use of the stack. A kernel gives 16 KiB to everything.
const STACK: usize = if cfg!(debug_assertions) { 240 << 10 } else { 12 << 10 };

/// A function whose view is of a type as deep as types may be: pointers that own pointers, at the
/// end as many bytes as its variable says. It is read, found well formed, compared, and substituted
/// into, when the function jumps to itself.
fn deepest() -> Section {
    let mut mem = [0, 8, 1, 0, 35].repeat(limits::NESTING - 2);
    mem.extend([2, 2, 4 << 2]);
    let view = [&[2, 15], &mem[..]].concat();
    // An integer and a name; no facts, registers, arguments; the view; no capabilities.
    let section = Section::new().uint(0).with(&[1, 2, 0, 5, 0, 0, 0, 0, 1]).with(&view);
    // No post-state; one function; no labels, data, imports, start.
    let section = section.with(&[0, 0]).with(&[1, 0, 0]).with(&[0, 0, 0, 0]);
    let mut hints = Hints::default();
    // The view once more, and no other ghost, before the jump and on its edge.
    hints.bit(true);
    hints.bytes.extend([&[10, 1, 0], &mem[..]].concat());
    hints.bit(false);
    hints.bit(false);
    // The integer is itself, the name is itself, the view is the first one.
    hints.bytes.extend([0, 2, 4 << 2, 1, 15, 0]);
    hints.bit(true);
    section.with(&hints.bytes)
}

#[test]
fn the_deepest_types_do_not_take_the_judge_deep() {
    let interface = interface();
    let section = deepest();
    let judged = || verify_section(&[0xEB, 0xFE], TEXT, &[], &section.0, &interface).map(|_| ());
    assert_eq!(judged(), Ok(()));
    let bytes = stack::depth(|| judged().unwrap());
    let read =
        stack::depth(|| drop(wire::decode(&[0xEB, 0xFE], TEXT, &[], &section.0, &interface)));
    println!("{bytes} bytes of stack, {read} of them for reading");
    assert!((1024..STACK).contains(&bytes), "{bytes}");
}

/// Each function has a label that says of all registers that nothing is known of them: all records
/// together would take more than there may be, those of one do not.
#[test]
fn what_was_read_of_a_function_is_gone_with_it() {
    // A label on a jump to itself, behind so much text that notes may be as long.
    let code = [NOP, NOP, NOP, NOP, NOP, NOP, NOP, NOP, 0xEB, 0xFE];
    let count = (size() >> 7).max(1 << 12);
    let record = [&[ROOT | flag::REGS as u8, 0xEF, 0xFF][..], &[0; 15]].concat();
    let section = Section::new().uint(0).counted(&SIG, 1);
    let section = section.uint(count).with(&[0, 0]).with(&[9, 0].repeat(count - 1));
    let section = section.uint(count).with(&[8]).with(&vec![9; count - 1]).with(&[0, 0, 0]);
    let mut hints = Hints::default();
    for _ in 0..count {
        // Before the first instructions; on the way to the label; there; on the way back.
        (0..8).for_each(|_| hints.bit(false));
        hints.bytes.extend(&record);
        (0..3).for_each(|_| hints.bit(false));
    }
    let (text, section) = (code.repeat(count), section.with(&hints.bytes));
    let interface = interface();
    let (verdict, bytes) =
        peak(|| verify_section(&text, TEXT, &[], &section.0, &interface).map(|_| ()));
    let tables = 20 * count;
    println!("{count} functions: {bytes} bytes, of which some {tables} are tables; {verdict:?}");
    assert_eq!(verdict, Ok(()));
    assert!(bytes < tables + (1 << 20), "{bytes}");
}
