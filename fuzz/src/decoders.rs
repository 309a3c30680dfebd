//! Not trusted: a test. Our decoder against two others, over all opcodes: the one that the judge
//! had before, by iced-x86, which has to accept the same strings and make the same of them; and
//! yaxpeax-x86, which has to agree with what is accepted.
//!
//! Two sweeps. The first tries every opcode of one to three bytes with every ModRM byte behind
//! every sequence of prefixes. The second goes on where something was accepted: every SIB byte, the
//! displacements and immediates at the edges. Every accepted string, cut short, must be refused.

use crate::bytes::ADDRESS;
use crate::former::{self, encodings};
use crate::second;
use iced_x86::Code;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use tal_core::decode::{Decoded, decode_at};

/// Prefixes by themselves, in pairs in both orders, and doubled.
const PREFIXES: [u8; 8] = [0x66, 0xF2, 0xF3, 0x67, 0xF0, 0x2E, 0x3E, 0x65];
/// Those of the second sweep, and the only ones of the short run but a few.
const LAWFUL: [&[u8]; 6] = [&[], &[0x66], &[0xF2], &[0xF3], &[0x66, 0xF2], &[0x66, 0xF3]];
/// What follows ModRM in the first sweep: an index and no base, then nothing but zeros.
const TAILS: [[u8; 8]; 2] = [[0x23, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77], [0; 8]];
const DISPLACEMENTS: [i32; 7] = [0, 1, -1, 127, 128, -128, -129];
/// SIB bytes that are tried with every ModRM byte and immediate: no index with and without a base,
/// rbp as base, and others.
const SIBS: [u8; 8] = [0x24, 0x25, 0x64, 0x05, 0x8D, 0xE5, 0x20, 0xFF];
/// A second place, where distances leave the lower 4 GiB.
const HIGH: u32 = 0xFFFF_FFF8;

/// How much is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// A few seconds of it.
    Short,
    /// All of it.
    Whole,
}

/// What came of it.
#[derive(Default, Debug)]
pub struct Sum {
    /// Strings that were decoded by us and by the former decoder.
    pub strings: u64,
    /// Accepted by both, equal in all that the judge looks at.
    pub accepted: u64,
    /// Accepted ones cut short, all refused.
    pub cut: u64,
    /// Accepted ones that the second decoder was asked about.
    pub second: u64,
    /// Where it is known to be wrong, and its operands were not looked at.
    pub excused: BTreeMap<&'static str, u64>,
    /// Refused by both, by different rules.
    pub other_rule: u64,
    /// iced-x86's names of what was accepted.
    pub codes: BTreeSet<usize>,
    /// Differences; the first few in words.
    pub faults: u64,
    /// Those.
    pub words: Vec<String>,
}

impl Sum {
    fn fault(&mut self, bytes: &[u8], what: &str) {
        self.faults += 1;
        if self.words.len() < 20 {
            self.words.push(format!("{bytes:02x?}: {what}"));
        }
    }

    fn add(&mut self, other: Sum) {
        self.strings += other.strings;
        self.accepted += other.accepted;
        self.cut += other.cut;
        self.second += other.second;
        self.other_rule += other.other_rule;
        self.faults += other.faults;
        self.codes.extend(other.codes);
        self.words.extend(other.words);
        for (why, count) in other.excused {
            *self.excused.entry(why).or_default() += count;
        }
    }

    /// Encodings of the table that nothing reached.
    #[must_use]
    pub fn unreached(&self) -> Vec<Code> {
        encodings::codes().filter(|code| !self.codes.contains(&(*code as usize))).collect()
    }

    /// In a few lines.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} strings, {} accepted by both decoders and equal\n{} accepted ones cut short, all \
             refused\n{} accepted ones compared with the second decoder\n{} refused by both, by \
             another rule than before\n{} differences\n",
            self.strings, self.accepted, self.cut, self.second, self.other_rule, self.faults
        );
        for (why, count) in &self.excused {
            text += &format!("{count} times the second decoder is excused: {why}\n");
        }
        self.words.iter().for_each(|words| text += &format!("{words}\n"));
        text
    }
}

/// What the judge looks at.
fn seen(d: &Decoded) -> impl PartialEq + use<> {
    (d.op, d.length, d.row.name, d.padding, d.endbr)
}

/// Tries one string. Does one of the decoders accept it? And iced-x86's length, 0 if it is no
/// instruction.
fn string(bytes: &[u8], sum: &mut Sum) -> (bool, usize) {
    sum.strings += 1;
    let ours = decode_at(bytes, ADDRESS, 0);
    let read = former::read(bytes, ADDRESS);
    let length = if read.is_invalid() { 0 } else { read.len() };
    let theirs = former::accept(bytes, &read);
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) if seen(&ours) == seen(&theirs) => {
            sum.accepted += 1;
            sum.codes.insert(read.code() as usize);
            both(bytes, &ours, sum);
        }
        (Err(ours), Err(theirs)) => {
            sum.other_rule += u64::from(ours.rule != theirs);
            return (false, length);
        }
        (ours, theirs) => sum.fault(bytes, &format!("{ours:?}, but {theirs:?} before")),
    }
    (true, length)
}

/// More of what both accept.
fn both(bytes: &[u8], ours: &Decoded, sum: &mut Sum) {
    let whole = &bytes[..usize::from(ours.length)];
    for length in 1..whole.len() {
        sum.cut += 1;
        if decode_at(&whole[..length], ADDRESS, 0).is_ok() {
            sum.fault(&whole[..length], "accepted, cut short");
        }
    }
    let high = (decode_at(whole, HIGH, 0).ok(), former::decode(whole, HIGH).ok());
    let high = (high.0.as_ref().map(seen), high.1.as_ref().map(seen));
    if high.0.is_none() || high.0 != high.1 {
        sum.fault(whole, "another address");
    }
    sum.second += 1;
    match second::compare(whole, ours) {
        Ok(None) => {}
        Ok(Some(why)) => *sum.excused.entry(why).or_default() += 1,
        Err(what) => sum.fault(whole, &what),
    }
}

/// The sequences of prefixes of the first sweep.
fn sequences(size: Size) -> Vec<Vec<u8>> {
    let mut plain: Vec<Vec<u8>> = LAWFUL.iter().map(|p| p.to_vec()).collect();
    plain.extend(PREFIXES.map(|p| vec![p]));
    plain.extend(PREFIXES.iter().flat_map(|a| PREFIXES.map(|b| vec![*a, b])));
    let mut all: BTreeSet<Vec<u8>> = plain.iter().cloned().collect();
    let rex = 0x40..=0x4F_u8;
    for prefix in &plain {
        for rex in rex.clone() {
            all.insert([prefix, &[rex][..]].concat());
            all.insert([&[rex][..], prefix].concat());
        }
    }
    all.extend(rex.clone().flat_map(|a| rex.clone().map(move |b| vec![a, b])));
    let all = all.into_iter();
    match size {
        Size::Whole => all.collect(),
        Size::Short => {
            let few = |p: &Vec<u8>| {
                let (rex, rest) = p.split_last().map_or((0x40, &[][..]), |(r, rest)| (*r, rest));
                LAWFUL.contains(&p.as_slice())
                    || (LAWFUL[..2].contains(&rest) && matches!(rex, 0x40 | 0x41 | 0x44 | 0x48))
                    || matches!(
                        p.as_slice(),
                        [0x67] | [0xF0] | [0x65] | [0x48, 0x66] | [0xF3, 0x48]
                    )
            };
            all.filter(few).collect()
        }
    }
}

/// Every opcode: those of one byte, then behind 0F, 0F 38, 0F 3A.
fn opcodes() -> Vec<Vec<u8>> {
    let maps: [&[u8]; 4] = [&[], &[0x0F], &[0x0F, 0x38], &[0x0F, 0x3A]];
    let all = maps.iter().flat_map(|map| (0..=255_u8).map(|last| [map, &[last][..]].concat()));
    all.filter(|opcode| !matches!(opcode.as_slice(), [0x0F] | [0x0F, 0x38 | 0x3A])).collect()
}

/// A string that grows at its end; what is behind is zero.
struct Bytes {
    bytes: [u8; 24],
    length: usize,
}

impl Bytes {
    fn new(parts: &[&[u8]]) -> Bytes {
        let mut all = Bytes { bytes: [0; 24], length: 0 };
        parts.iter().for_each(|part| all = all.with(part));
        all
    }

    fn with(&self, more: &[u8]) -> Bytes {
        let mut bytes = self.bytes;
        let length = self.length + more.len();
        bytes[self.length..length].copy_from_slice(more);
        Bytes { bytes, length }
    }

    fn all(&self) -> &[u8] {
        &self.bytes[..15]
    }
}

/// Both sweeps behind one sequence of prefixes.
fn behind(prefix: &[u8], opcodes: &[Vec<u8>], size: Size) -> Sum {
    let mut sum = Sum::default();
    let rex = prefix.last().is_some_and(|last| (0x40..=0x4F).contains(last));
    let (plain, _) = prefix.split_at(prefix.len() - usize::from(rex));
    let lawful = LAWFUL.contains(&plain);
    for opcode in opcodes {
        let mut any = false;
        let start = Bytes::new(&[prefix, opcode]);
        for modrm in 0..=255 {
            for tail in &TAILS {
                any |= string(start.with(&[modrm]).with(tail).all(), &mut sum).0;
            }
        }
        if any && lawful {
            (0..=255).for_each(|modrm| operands(&start, modrm, size, &mut sum));
        }
    }
    sum
}

/// The second sweep: what may follow this ModRM byte.
fn operands(start: &Bytes, modrm: u8, size: Size, sum: &mut Sum) {
    let start = start.with(&[modrm]);
    let (mode, low) = (modrm >> 6, modrm & 7);
    if mode == 3 {
        return immediates(&start, true, sum);
    }
    if low != 4 {
        return displacements(&start, mode, low, true, sum);
    }
    for sib in 0..=255 {
        let special = SIBS.contains(&sib);
        if special || size == Size::Whole {
            displacements(&start.with(&[sib]), mode, sib & 7, special, sum);
        }
    }
}

fn displacements(start: &Bytes, mode: u8, base: u8, all: bool, sum: &mut Sum) {
    match (mode, base) {
        (0, 5) | (2, _) => {
            for disp in DISPLACEMENTS {
                immediates(&start.with(&disp.to_le_bytes()), all, sum);
            }
        }
        (1, _) => {
            for disp in DISPLACEMENTS.iter().filter_map(|disp| i8::try_from(*disp).ok()) {
                immediates(&start.with(&disp.to_le_bytes()), all, sum);
            }
        }
        _ => immediates(start, all, sum),
    }
}

/// 0, 1, -1, the least and the greatest, where iced-x86 sees a constant at the end.
fn immediates(start: &Bytes, all: bool, sum: &mut Sum) {
    let (_, length) = string(start.all(), sum);
    let bytes = length.saturating_sub(start.length);
    if !all || !(1..=8).contains(&bytes) {
        return;
    }
    let greatest = i64::MAX >> (64 - 8 * bytes);
    for value in [1, -1, greatest, !greatest] {
        string(start.with(&value.to_le_bytes()[..bytes]).all(), sum);
    }
}

/// Tries everything, on all processors.
#[must_use]
pub fn compare(size: Size) -> Sum {
    let (sequences, opcodes) = (sequences(size), opcodes());
    let next = AtomicUsize::new(0);
    let total = Mutex::new(Sum::default());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(prefix) = sequences.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let sum = behind(prefix, &opcodes, size);
                    total.lock().unwrap().add(sum);
                }
            });
        }
    });
    total.into_inner().unwrap()
}
