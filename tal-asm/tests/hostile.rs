//! Not trusted. Files that are not of the admitted form: each reason to refuse has a file that
//! differs by one thing from one that is admitted; and no change of bytes makes the loader panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::sample;
use loader::Image;
use loader::image::Feature;
use loader::notice;
use tal_asm::elf::{Output, write};

/// Program headers in order: notice, text, constants, variables, annotations, stack.
const NOTICE: usize = 64;
const TEXT: usize = 64 + 56;
const RODATA: usize = 64 + 2 * 56;
const DATA: usize = 64 + 3 * 56;
const TAL: usize = 64 + 4 * 56;
const STACK: usize = 64 + 5 * 56;

fn good() -> Vec<u8> {
    write(&sample(), Output::Executable).unwrap()
}

fn put<const N: usize>(file: &mut [u8], at: usize, bytes: [u8; N]) {
    file[at..at + N].copy_from_slice(&bytes);
}

fn put64(file: &mut [u8], at: usize, value: u64) {
    put(file, at, value.to_le_bytes());
}

fn put32(file: &mut [u8], at: usize, value: u32) {
    put(file, at, value.to_le_bytes());
}

fn get64(file: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(file[at..at + 8].try_into().unwrap())
}

/// Address and its copy, the physical address.
fn put_address(file: &mut [u8], header: usize, address: u64) {
    put64(file, header + 16, address);
    put64(file, header + 24, address);
}

/// The header of a section by its index.
fn section(file: &[u8], index: u64) -> usize {
    usize::try_from(get64(file, 40) + 64 * index).unwrap()
}

/// Sections in order: nothing, .text, .rodata, .data, .bss, .tal.
const S_TEXT: u64 = 1;
const S_DATA: u64 = 3;
const S_BSS: u64 = 4;
const S_TAL: u64 = 5;

/// Changes an admitted file so that it has this fault only.
fn spoil(feature: Feature, f: &mut Vec<u8>) {
    match feature {
        Feature::Truncated => f.truncate(f.len() - 1),
        Feature::Magic => f[0] = 0x7E,
        Feature::Class => f[4] = 1,
        Feature::Padding => f[15] = 1,
        Feature::FileType => f[16] = 3,
        Feature::Machine => f[18] = 3,
        Feature::Version => f[20] = 2,
        Feature::Flags => f[48] = 1,
        Feature::HeaderSize => f[54] = 32,
        Feature::ProgramHeaderPlace => f[32] = 72,
        Feature::ProgramHeaderCount => f[56] = 9,
        Feature::Interpreter => put32(f, STACK, 3),
        Feature::Dynamic => put32(f, STACK, 2),
        Feature::Tls => put32(f, STACK, 7),
        Feature::ProgramHeaderType => put32(f, STACK, 4),
        Feature::SegmentFlags => put32(f, DATA + 4, 2),
        Feature::WriteExecute => put32(f, TEXT + 4, 7),
        Feature::PhysicalAddress => put64(f, TEXT + 24, 0),
        Feature::Alignment => put64(f, TEXT + 48, 0x20_0000),
        Feature::Congruence => put64(f, RODATA + 8, 0x2001),
        Feature::EmptySegment => {
            put64(f, RODATA + 32, 0);
            put64(f, RODATA + 40, 0);
        }
        Feature::FileSize => put64(f, DATA + 40, 7),
        Feature::TextSize => put64(f, TEXT + 40, 0x13),
        Feature::ConstantsSize => {
            let size = get64(f, RODATA + 40);
            put64(f, RODATA + 40, size + 1);
        }
        Feature::AddressRange => put_address(f, TEXT, 0x3F_F000),
        Feature::SegmentOrder => put_address(f, RODATA, 0x40_2000),
        Feature::FileOverlap => {
            let text = get64(f, TEXT + 8);
            put64(f, RODATA + 8, text);
        }
        Feature::NoText => put32(f, TEXT + 4, 4),
        Feature::ManyTexts => put32(f, RODATA + 4, 5),
        Feature::NoAnnotations => {
            let stack = f[STACK..STACK + 56].to_vec();
            f[TAL..TAL + 56].copy_from_slice(&stack);
            f[56] = 5;
        }
        Feature::ManyAnnotations => {
            let annotations = f[TAL..TAL + 56].to_vec();
            f[STACK..STACK + 56].copy_from_slice(&annotations);
        }
        Feature::AnnotationHeader => put32(f, TAL + 4, 5),
        Feature::NoStack => f[56] = 5,
        Feature::Stack => put32(f, STACK + 4, 7),
        Feature::Entry => put64(f, 24, 0x40_0000),
        Feature::Notice => f[notice::OFFSET + 1] ^= 1,
        Feature::SectionHeaderCount => f[60] = 65,
        Feature::SectionNames => f[62] = 1,
        Feature::SectionType => {
            let at = section(f, S_TEXT);
            put32(f, at + 4, 14);
        }
        Feature::SectionFlags => {
            let at = section(f, S_TEXT);
            put64(f, at + 8, 7);
        }
        Feature::SectionPlace => {
            let at = section(f, S_DATA);
            put64(f, at + 16, 0x40_2008);
        }
        Feature::SectionTal => {
            let at = section(f, S_TAL);
            let size = get64(f, at + 32);
            put64(f, at + 32, size - 1);
        }
    }
}

/// Attacks t106, t163.
#[test]
fn each_reason_to_refuse_has_a_file() {
    Image::parse(&good()).unwrap();
    for feature in Feature::ALL {
        let mut file = good();
        spoil(*feature, &mut file);
        let refusal = Image::parse(&file).expect_err(feature.words());
        assert_eq!(refusal.feature, *feature, "{refusal}");
        assert!(refusal.offset <= file.len(), "{refusal}");
    }
}

/// The header of the symbol table, which no host loads.
fn symbols(file: &[u8]) -> usize {
    let count = u64::from(u16::from_le_bytes([file[60], file[61]]));
    (0..count).map(|i| section(file, i)).find(|at| file[at + 4] == 2).unwrap()
}

/// Fields that a feature shares with others: each of them has a file of its own.
#[test]
fn each_field_of_a_header_has_a_file() {
    use Feature::*;
    type Change = fn(&mut Vec<u8>);
    let changes: &[(Feature, Change)] = &[
        (HeaderSize, |f| f[52] = 65),
        (HeaderSize, |f| f[58] = 63),
        // A place, and nothing there.
        (SectionHeaderCount, |f| put(f, 60, [0; 4])),
        (SectionNames, |f| f[62] = f[60]),
        (AnnotationHeader, |f| put_address(f, TAL, 0x1000)),
        (AnnotationHeader, |f| put64(f, TAL + 40, 1)),
        (Stack, |f| f.copy_within(STACK..STACK + 56, RODATA)),
        (Stack, |f| put64(f, STACK + 32, 1)),
        (Stack, |f| put64(f, STACK + 40, 1)),
        (Stack, |f| put_address(f, STACK, 0x1000)),
    ];
    for (feature, change) in changes {
        refused_with(*feature, change);
    }
}

#[test]
fn each_field_of_a_section_header_has_a_file() {
    use Feature::*;
    type Change = fn(&mut Vec<u8>, usize);
    let loaded: &[(Feature, u64, Change)] = &[
        (SectionFlags, S_TEXT, |f, at| put64(f, at + 8, 0x46)),
        (SectionFlags, S_TEXT, |f, at| put64(f, at + 8, 2)),
        (SectionType, S_TEXT, |f, at| put32(f, at + 4, 2)),
        (SectionPlace, S_DATA, |f, at| add64(f, at + 24, 8)),
        (SectionPlace, S_DATA, |f, at| add64(f, at + 32, 8)),
        (SectionPlace, S_BSS, |f, at| put64(f, at + 16, 0x40_2000)),
        (SectionTal, S_TAL, |f, at| add64(f, at + 24, 1)),
        (SectionTal, S_TAL, |f, at| put64(f, at + 8, 0x10)),
        (SectionTal, S_TAL, |f, at| put32(f, at + 4, 3)),
        (SectionTal, S_TAL, |f, at| put32(f, at, 0)),
        (SectionTal, S_TAL, |f, at| {
            let other = symbols(f);
            f.copy_within(at..at + 64, other);
        }),
    ];
    for (feature, index, change) in loaded {
        refused_with(*feature, |f| change(f, section(f, *index)));
    }
    let not_loaded: &[(Feature, Change)] = &[
        (SectionType, |f, at| put32(f, at + 4, 14)),
        (SectionFlags, |f, at| put64(f, at + 8, 1)),
        (SectionFlags, |f, at| put64(f, at + 8, 4)),
        (SectionFlags, |f, at| put64(f, at + 16, 0x40_0000)),
        (Truncated, |f, at| put64(f, at + 32, 1 << 20)),
    ];
    for (feature, change) in not_loaded {
        refused_with(*feature, |f| change(f, symbols(f)));
    }
}

fn add64(file: &mut [u8], at: usize, more: u64) {
    put64(file, at, get64(file, at) + more);
}

fn refused_with(feature: Feature, change: impl FnOnce(&mut Vec<u8>)) {
    let mut file = good();
    change(&mut file);
    let refusal = Image::parse(&file).expect_err(feature.words());
    assert_eq!(refusal.feature, feature, "{refusal}");
}

/// Attack t163.
#[test]
fn overlaps_are_refused_wherever_they_are() {
    let text_end = 0x40_1000;
    for (header, address) in [(RODATA, 0x40_0000), (DATA, 0x40_1000), (DATA, 0x40_0000)] {
        let mut file = good();
        put_address(&mut file, header, address);
        let refusal = Image::parse(&file).unwrap_err();
        assert_eq!(refusal.feature, Feature::SegmentOrder, "{header} {address:#x} {text_end:#x}");
    }
    let mut file = good();
    put64(&mut file, TEXT + 32, 0x1001);
    put64(&mut file, TEXT + 40, 0x1001);
    assert_eq!(Image::parse(&file).unwrap_err().feature, Feature::SegmentOrder);
    let mut file = good();
    put64(&mut file, DATA + 40, u64::MAX - 10);
    assert_eq!(Image::parse(&file).unwrap_err().feature, Feature::AddressRange);
    let mut file = good();
    let text = get64(&file, TEXT + 8);
    put64(&mut file, TAL + 8, text);
    assert_eq!(Image::parse(&file).unwrap_err().feature, Feature::FileOverlap);
}

/// Attack t163: each byte of the notice, each field of its header, and what is elsewhere.
#[test]
fn the_notice_is_one_string_at_one_place() {
    let good = good();
    assert_eq!(Image::parse(&good).unwrap().entry(), None);
    for at in notice::OFFSET..notice::OFFSET + notice::BYTES.len() {
        let mut file = good.clone();
        file[at] ^= 0x20;
        let refusal = Image::parse(&file).unwrap_err();
        assert_eq!((refusal.feature, refusal.offset), (Feature::Notice, notice::OFFSET));
    }
    let wrong = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut file = good.clone();
        change(&mut file);
        Image::parse(&file).unwrap_err().feature
    };
    let size = notice::BYTES.len() as u64;
    for flags in [0, 1, 4, 6, 7] {
        assert_eq!(wrong(&|f| put32(f, NOTICE + 4, flags)), Feature::Notice);
    }
    assert_eq!(wrong(&|f| put64(f, NOTICE + 8, 0x1200)), Feature::Notice);
    let copied = |f: &mut Vec<u8>| {
        let end = f.len() as u64;
        f.extend(notice::BYTES);
        put64(f, NOTICE + 8, end);
    };
    assert_eq!(wrong(&copied), Feature::Notice);
    assert_eq!(wrong(&|f| put64(f, NOTICE + 32, size - 1)), Feature::Notice);
    assert_eq!(wrong(&|f| put64(f, NOTICE + 32, 0)), Feature::Notice);
    assert_eq!(wrong(&|f| put64(f, NOTICE + 40, size + 1)), Feature::Notice);
    assert_eq!(wrong(&|f| put64(f, NOTICE + 40, 0x1000)), Feature::Notice);
    // Elsewhere it is a segment like any other, which shares the page of the headers.
    assert_eq!(wrong(&|f| put_address(f, NOTICE, 0x3F_F000)), Feature::Congruence);
    assert_eq!(wrong(&|f| put_address(f, NOTICE, 0x3F_E200)), Feature::Alignment);
    // Behind another segment, and twice.
    let swap = |f: &mut Vec<u8>| {
        let text = f[TEXT..TEXT + 56].to_vec();
        f.copy_within(NOTICE..NOTICE + 56, TEXT);
        f[NOTICE..NOTICE + 56].copy_from_slice(&text);
    };
    assert_eq!(wrong(&swap), Feature::SegmentOrder);
    let twice = |f: &mut Vec<u8>| f.copy_within(NOTICE..NOTICE + 56, TEXT);
    assert_eq!(wrong(&twice), Feature::Notice);
    // With it the file starts there and nowhere else; without it, in the text.
    assert_eq!(wrong(&|f| put64(f, 24, notice::ADDRESS + 1)), Feature::Entry);
    assert_eq!(wrong(&|f| put64(f, 24, 0)), Feature::Entry);
    let without = |f: &mut Vec<u8>| {
        f.copy_within(TEXT..STACK + 56, NOTICE);
        f[56] = 5;
    };
    assert_eq!(wrong(&without), Feature::Entry);
    let mut file = good.clone();
    without(&mut file);
    put64(&mut file, 24, 0x40_0000);
    assert_eq!(Image::parse(&file).unwrap().entry(), Some(0x40_0000));
}

#[test]
fn a_file_without_section_headers_is_admitted() {
    let mut file = good();
    let end = usize::try_from(get64(&file, 40)).unwrap();
    file.truncate(end);
    put64(&mut file, 40, 0);
    put(&mut file, 58, [0; 6]);
    Image::parse(&file).unwrap();
}

/// What is judged is what stands at addresses: symbols may name, repeat or deny what they like.
#[test]
fn t105_symbols_are_not_believed() {
    let good = good();
    let table = symbols(&good);
    let place = usize::try_from(get64(&good, table + 24)).unwrap();
    let size = usize::try_from(get64(&good, table + 32)).unwrap();
    assert!(size >= 48, "a symbol beside the first, which is none");
    let mut lies = good.clone();
    let first = good[place + 24..place + 48].to_vec();
    for symbol in lies[place + 24..place + size].chunks_exact_mut(24) {
        symbol.copy_from_slice(&first);
        symbol[8..16].copy_from_slice(&0x40_0001_u64.to_le_bytes());
    }
    assert_ne!(lies, good);
    assert_eq!(Image::parse(&lies).unwrap(), Image::parse(&good).unwrap());
    // The twin: the same byte of the text is another program.
    let mut other = good.clone();
    other[usize::try_from(get64(&good, TEXT + 8)).unwrap()] ^= 1;
    assert_ne!(Image::parse(&other).unwrap(), Image::parse(&good).unwrap());
}

#[test]
fn every_shorter_file_is_refused() {
    let file = good();
    for length in 0..file.len() {
        Image::parse(&file[..length]).unwrap_err();
    }
}

/// A generator of numbers that needs no crate: the same on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// What an accepted file promises (the documentation of [`Image`]).
fn promises(image: &Image<'_>) {
    let mut parts = vec![(image.text_address(), image.text().len() as u64)];
    parts.extend(image.data().iter().map(|s| (s.address, u64::from(s.size))));
    parts.sort_unstable();
    for pair in parts.windows(2) {
        let end = u64::from(pair[0].0) + pair[0].1;
        assert!(end.next_multiple_of(4096) <= u64::from(pair[1].0));
    }
    let (first, last) = (parts[0], parts[parts.len() - 1]);
    assert!(first.0 >= 0x40_0000 && u64::from(last.0) + last.1 <= 0x8000_0000);
    if let Some(entry) = image.entry() {
        let offset = entry.checked_sub(image.text_address()).unwrap();
        assert!((offset as usize) < image.text().len());
    }
    assert!(image.data().iter().all(|s| s.bytes.len() <= s.size as usize));
}

/// Attack t168.
#[test]
fn no_change_makes_the_loader_panic_or_break_its_promise() {
    let good = good();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let headers = 64 + 6 * 56;
    let sections = section(&good, 0);
    let places: Vec<usize> = (0..headers).chain(sections..good.len()).collect();
    let mut admitted = 0;
    for at in &places {
        for bit in 0..8 {
            let mut file = good.clone();
            file[*at] ^= 1 << bit;
            if let Ok(image) = Image::parse(&file) {
                promises(&image);
                admitted += 1;
            }
        }
    }
    let edges = [0, 1, 0xFFF, 0x1000, 0x40_0000, 0x7FFF_FFFF, 1 << 31, 1 << 63, u64::MAX];
    for _ in 0..50_000 {
        let mut file = good.clone();
        for _ in 0..1 + random.next() % 3 {
            let at = places[random.next() as usize % places.len()] & !7;
            let value = match random.next() % 3 {
                0 => edges[random.next() as usize % edges.len()],
                1 => random.next() % (2 * file.len() as u64),
                _ => random.next(),
            };
            if at + 8 <= file.len() {
                put64(&mut file, at, value);
            }
        }
        if let Ok(image) = Image::parse(&file) {
            promises(&image);
            admitted += 1;
        }
    }
    println!("{admitted} changed files are still of the admitted form");
}
