//! Not trusted: a test. How mutants are made of accepted programs.

use crate::corpus::{Corpus, Object};
use crate::forms::value;
use fastrand::Rng;
use std::collections::BTreeMap;
use tal_asm::program::Program;
use tal_check::find::Finder;
use tal_check::part::finder;
use tal_core::counted::Rc;
use tal_core::error::Error;
use tal_core::hint::{Forward, Hints};
use tal_core::image::Image;
use tal_core::judge::Judge;
use tal_core::state::{Mark, State};
use tal_core::term::{Term, Var};
use tal_core::ty::{Base, FnId, Kind, NamedType, Record, Reg, Rel, Word};
use tal_core::walk::Opened;
use tal_write::{Label, Recorder, encode};

/// Annotations begin with their magic number, their version and the digest of the interface. With
/// these changed, nothing else is looked at.
const HEAD: usize = 38;

/// A number below `bound`, which is not zero.
fn below(rng: &mut Rng, bound: usize) -> usize {
    rng.usize(0..bound.max(1))
}

/// One of these.
fn one_of<'a, T>(rng: &mut Rng, list: &'a [T]) -> Option<&'a T> {
    list.get(below(rng, list.len()))
}

/// An object, small ones more often: of two the smaller.
pub fn choose<'a>(rng: &mut Rng, corpus: &'a Corpus) -> &'a Object {
    let (a, b) = (rng.choice(&corpus.objects).unwrap(), rng.choice(&corpus.objects).unwrap());
    if a.program.text.len() < b.program.text.len() { a } else { b }
}

/// Changes a few bytes behind the head: flips, other values, insertions, removals, copies from
/// elsewhere and from `other`, numbers of many bytes.
pub fn bytes(rng: &mut Rng, list: &mut Vec<u8>, head: usize, other: &[u8]) {
    for _ in 0..rng.usize(1..=3) {
        if list.len() <= head {
            return;
        }
        let at = rng.usize(head..list.len());
        let most = (list.len() - at).min(12);
        let length = rng.usize(1..=most);
        match rng.u8(0..11) {
            0 => list[at] ^= 1 << rng.u8(0..8),
            1 => list[at] = rng.u8(..),
            2 => list[at] = list[at].wrapping_add(1),
            3 => list[at] = list[at].wrapping_sub(1),
            4 => drop(list.drain(at..at + length)),
            5 => list.insert(at, rng.u8(..)),
            6 => {
                let from = rng.usize(head..=list.len() - length);
                list.copy_within(from..from + length, at);
            }
            7 => {
                let piece = list[at..at + length].to_vec();
                let to = rng.usize(head..list.len());
                list.splice(to..to, piece);
            }
            8 if !other.is_empty() => {
                let from = below(rng, other.len());
                let end = (from + rng.usize(1..=24)).min(other.len());
                let gone = if rng.bool() { end - from } else { 0 };
                let until = (at + gone).min(list.len());
                list.splice(at..until, other[from..end].iter().copied());
            }
            // Numbers that are too long, or too large.
            _ => {
                let mut number = vec![if rng.bool() { 0xFF } else { 0x80 }; length];
                number.extend(rng.bool().then_some(rng.u8(0..2)));
                list.splice(at..at, number);
            }
        }
    }
}

/// Annotations of one program, or of two: the head of one and the rest of the other.
pub fn notes(rng: &mut Rng, program: &mut Program, other: &Program) {
    let list = &mut program.annotations;
    match rng.u8(0..20) {
        0 => list.clone_from(&other.annotations),
        1 => {
            let (here, there) = (below(rng, list.len()), below(rng, other.annotations.len()));
            list.truncate(here);
            list.extend_from_slice(&other.annotations[there..]);
        }
        2 => bytes(rng, list, 0, &other.annotations),
        _ => bytes(rng, list, HEAD, &other.annotations),
    }
}

/// One or two instructions of the text: bits, immediates, displacements, other instructions of the
/// same length, two exchanged. What is jumped to stays where it is.
pub fn text(rng: &mut Rng, program: &mut Program, object: &Object, corpus: &Corpus) {
    let list = &mut program.text;
    for _ in 0..1 + usize::from(rng.u8(0..4) == 0) {
        let Some((at, length)) = one_of(rng, &object.instructions).copied() else { return };
        let within = at + below(rng, length);
        let steps = [1, 255, 2, 254, 4, 8, 248, 16];
        match rng.u8(0..7) {
            0 => list[within] ^= 1 << rng.u8(0..8),
            1 => list[within] = rng.u8(..),
            2 => {
                let last = &mut list[at + length - 1];
                *last = last.wrapping_add(steps[rng.usize(0..8)]);
            }
            3 if length >= 5 => {
                let number = &mut list[at + length - 4];
                *number = number.wrapping_add(steps[rng.usize(0..8)]);
            }
            4 | 5 => {
                let like = one_of(rng, &corpus.instructions[length]);
                list[at..at + length].copy_from_slice(like.unwrap());
            }
            _ => match one_of(rng, &object.instructions).copied() {
                Some((to, same)) if same == length => {
                    (0..length).for_each(|i| list.swap(at + i, to + i));
                }
                _ => list[within] ^= 8 << rng.u8(0..5),
            },
        }
    }
}

/// A byte or a word of the data. Says whether there are any.
pub fn data(rng: &mut Rng, program: &mut Program) -> bool {
    let rodata = program.data.is_empty() || (rng.bool() && !program.rodata.is_empty());
    let list = if rodata { &mut program.rodata } else { &mut program.data };
    let Some(byte) = (!list.is_empty()).then(|| rng.usize(0..list.len())) else { return false };
    match rng.u8(0..4) {
        0 => list[byte] ^= 1 << rng.u8(0..8),
        1 => list[byte] = rng.u8(..),
        2 => list[byte] = list[byte].wrapping_add(8),
        _ => {
            let number = value(rng).to_le_bytes();
            let place = list[byte & !7..].iter_mut();
            place.zip(number).for_each(|(to, from)| *to = from);
        }
    }
    true
}

/// What the annotations claim, changed as a claim and written again: the mutant is well formed,
/// and the answers are what the checker finds for it.
pub fn claim(rng: &mut Rng, program: &mut Program, object: &Object, other: &Object) {
    let interface = &object.lowered.host.interface;
    let mut labels = object.labels.clone();
    let mut image = object.lowered.image(&labels);
    image.text = &program.text;
    for _ in 0..rng.usize(0..=2) {
        change(rng, &mut image, &mut labels, other);
    }
    let was = object.labels.iter().map(|label| (label.offset, &label.state));
    let was: BTreeMap<u32, _> = was.collect();
    let same = labels.iter().filter(|label| was.get(&label.offset) == Some(&&label.state));
    let written = same.filter_map(|label| object.records.get_key_value(&label.offset));
    let written = written.collect();
    let hung = rng.u8(0..4);
    let hints = Hung { finder: finder(&object.lowered, &image, &labels), written, rng, hung };
    let bytes = (program.text.len() + program.annotations.len()) as u64;
    let mut judge = Judge::new(&image, interface, Recorder::new(hints), bytes);
    // Up to the refusal, if there is one: the mutant is a mutant all the same.
    let _ = judge.verify();
    program.annotations = encode(&image, interface, &judge.hints.recorded);
}

/// The checker's answers, but that labels hang on any scope, and that records are changed as they
/// are asked for.
struct Hung<'a, 'r> {
    finder: Finder<'a>,
    /// Of labels whose states are those of the program: what it says of them.
    written: BTreeMap<&'a u32, &'a (u32, Record)>,
    rng: &'r mut Rng,
    /// In so many of four programs nothing of this is done.
    hung: u8,
}

impl<'a> Forward for Hung<'a, '_> {
    type Inner = Finder<'a>;

    fn inner(&mut self) -> &mut Finder<'a> {
        &mut self.finder
    }

    fn parent(&mut self, state: &State, to: u32, chain: &[Opened]) -> Result<u32, Error> {
        if self.hung == 0 || self.rng.u8(0..4) < self.hung {
            return match self.written.get(&to) {
                Some((parent, _)) => Ok(*parent),
                None => self.finder.parent(state, to, chain),
            };
        }
        let scopes = u32::try_from(chain.len()).unwrap_or(0);
        Ok(self.rng.u32(0..=scopes.saturating_add(1)))
    }

    fn record(
        &mut self,
        state: &State,
        to: u32,
        parent: &Mark,
        record: &mut Record,
    ) -> Result<(), Error> {
        match self.written.get(&to) {
            Some((_, written)) => record.clone_from(written),
            None => self.finder.record(state, to, parent, record)?,
        }
        if self.hung != 0 && self.rng.u8(0..16) == 0 {
            self::record(self.rng, state, parent, record);
        }
        Ok(())
    }
}

/// A part of a record.
fn record(rng: &mut Rng, state: &State, parent: &Mark, record: &mut Record) {
    let place = |rng: &mut Rng, length: usize| (length > 0).then(|| rng.usize(0..length));
    let variable = |rng: &mut Rng| {
        let mark = u16::try_from(parent.scope).unwrap_or(0);
        Var::Free(rng.u16(0..mark.saturating_add(3)))
    };
    match rng.u8(0..10) {
        0 => drop(place(rng, record.regs.len()).map(|i| record.regs.remove(i))),
        1 => {
            if let Some(i) = place(rng, record.regs.len()) {
                record.regs[i].1 = state.reg_at(parent, Reg::ALL[rng.usize(0..16)]).clone();
            }
        }
        2 => {
            if let Some(i) = place(rng, record.regs.len()) {
                record.regs[i].1 = Word::Int(Term::var(variable(rng)));
            }
        }
        3 => {
            if let Some(i) = place(rng, record.regs.len()) {
                record.regs[i].1 = Word::Ptr(Base::Name(variable(rng)), Term::ZERO);
            }
        }
        4 => record.caps = rng.bool().then(|| parent.caps.to_vec()),
        5 => {
            if let Some(cap) = place(rng, parent.caps.len()).map(|i| parent.caps[i].clone()) {
                record.caps.get_or_insert_with(|| parent.caps.to_vec()).push(cap);
            }
        }
        6 => drop(place(rng, record.slots.len()).map(|i| record.slots.remove(i))),
        7 => record.frame = Some((parent.delta + 8 * rng.i64(-2..=2), parent.touched)),
        8 => record.vars.push(Kind::INT),
        _ => drop(place(rng, record.vars.len()).map(|i| record.vars.remove(i))),
    }
}

/// One record of a claim: exchanged with another, taken from another program, or changed inside.
fn change(rng: &mut Rng, image: &mut Image<'_>, labels: &mut [Label], other: &Object) {
    match rng.u8(0..8) {
        0 => exchange(rng, labels, |a, b| std::mem::swap(&mut a.state, &mut b.state)),
        1 => exchange(rng, &mut image.functions, |a, b| std::mem::swap(&mut a.sig, &mut b.sig)),
        2 => exchange(rng, &mut image.data, |a, b| std::mem::swap(&mut a.kind, &mut b.kind)),
        3 => exchange(rng, &mut image.imports, std::mem::swap),
        4 => {
            let from = one_of(rng, &other.labels).map(|l| l.state.clone());
            let to = below(rng, labels.len());
            if let (Some(state), Some(label)) = (from, labels.get_mut(to)) {
                label.state = state;
            }
        }
        5 => {
            let at = below(rng, image.types.len());
            if let Some(ty) = image.types.get_mut(at) {
                named_type(rng, ty);
            }
        }
        6 if rng.u8(0..4) == 0 => image.start = rng.bool().then(|| FnId(rng.u32(0..4))),
        _ => label(rng, labels),
    }
}

/// Two of the records, by this.
fn exchange<T>(rng: &mut Rng, list: &mut [T], swap: impl FnOnce(&mut T, &mut T)) {
    if list.len() < 2 {
        return;
    }
    let (a, b) = (rng.usize(1..list.len()), rng.usize(0..list.len()));
    let (low, high) = list.split_at_mut(a.max(1));
    if let (Some(one), Some(two)) = (low.get_mut(b.min(a - 1)), high.first_mut()) {
        swap(one, two);
    }
}

fn named_type(rng: &mut Rng, ty: &mut NamedType) {
    match rng.u8(0..5) {
        0 => ty.size = ty.size.wrapping_add(rng.u32(0..16)),
        1 => ty.plain ^= true,
        2 => ty.owns ^= true,
        3 => ty.zero_ok ^= true,
        _ => ty.arity ^= 1,
    }
}

/// A part of the state at a label.
fn label(rng: &mut Rng, labels: &mut [Label]) {
    let at = below(rng, labels.len());
    let Some(label) = labels.get_mut(at) else { return };
    let state = Rc::make_mut(&mut label.state);
    let place = |rng: &mut Rng, length: usize| (length > 0).then(|| rng.usize(0..length));
    match rng.u8(0..9) {
        0 => state.regs.swap(rng.usize(0..16), rng.usize(0..16)),
        1 => {
            let word = state.regs[rng.usize(0..16)].clone();
            state.regs[rng.usize(0..16)] = word;
        }
        2 => {
            let reg = &mut state.regs[rng.usize(0..16)];
            if let Word::Int(t) | Word::Ptr(_, t) = reg {
                *t = t.plus(i128::from(value(rng) as i8)).unwrap_or(Term::ZERO);
            }
        }
        3 => drop(place(rng, state.facts.len()).map(|i| state.facts.remove(i))),
        4 => {
            if let Some(fact) = place(rng, state.facts.len()).map(|i| &mut state.facts[i]) {
                let moved = fact.term.plus(i128::from(rng.i8(-8..=8)));
                fact.term = moved.unwrap_or(Term::ZERO);
                if rng.u8(0..8) == 0 {
                    fact.rel = [Rel::Ge, Rel::Eq, Rel::Ne][rng.usize(0..3)];
                }
            }
        }
        5 => drop(place(rng, state.caps.len()).map(|i| state.caps.remove(i))),
        6 => {
            if let Some(cap) = place(rng, state.caps.len()).map(|i| state.caps[i].clone()) {
                state.caps.push(cap);
            }
        }
        7 => state.touched += 8 * rng.i64(-2..=2),
        _ => state.delta += 8 * rng.i64(-2..=2),
    }
}

/// Edges of what a field of a header may hold.
const EDGES: [u64; 14] = [
    0,
    1,
    2,
    0xFFF,
    0x1000,
    0x1001,
    0x1_0000,
    0x20_0000,
    0x40_0000,
    0x40_1000,
    0x7FFF_FFFF,
    1 << 31,
    1 << 63,
    u64::MAX,
];

/// The headers of a file: whole fields of the file header, of the program headers and of the
/// section headers, now and then two headers exchanged, or the file cut or prolonged.
pub fn headers(rng: &mut Rng, file: &mut Vec<u8>) {
    let count = usize::from(file[56]);
    let sections = usize::try_from(u64::from_le_bytes(file[40..48].try_into().unwrap())).unwrap();
    for _ in 0..rng.usize(1..=3) {
        let sizes = [2, 4, 8];
        let size = sizes[rng.usize(0..3)];
        let at = match rng.u8(0..8) {
            0..=1 => 16 + below(rng, 48 / size) * size,
            2..=5 => 64 + below(rng, count * 56 / 8) * 8,
            6 => sections + below(rng, file.len().saturating_sub(sections) / size) * size,
            _ => below(rng, 64),
        };
        let Some(field) = file.get_mut(at..at + size) else { continue };
        let mut whole = [0; 8];
        whole[..size].copy_from_slice(field);
        let old = u64::from_le_bytes(whole);
        let new = match rng.u8(0..5) {
            0 => EDGES[rng.usize(0..EDGES.len())],
            1 => old ^ 1 << rng.usize(0..8 * size),
            2 => old.wrapping_add_signed(rng.i64(-16..=16)),
            3 => old.wrapping_add_signed(4096 * rng.i64(-2..=2)),
            _ => rng.u64(..) >> rng.u32(0..64),
        };
        field.copy_from_slice(&new.to_le_bytes()[..size]);
    }
    let header = |n: usize| 64 + 56 * n;
    match rng.u8(0..16) {
        0 if count > 1 => {
            let (a, b) = (header(rng.usize(0..count)), header(rng.usize(0..count)));
            (0..56).for_each(|i| file.swap(a + i, b + i));
        }
        1 => file.truncate(below(rng, file.len())),
        2 => file.resize(file.len() + rng.usize(1..5000), rng.u8(..)),
        _ => {}
    }
}
