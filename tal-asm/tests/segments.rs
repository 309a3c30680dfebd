//! Not trusted: a test. Every shape of a program header, and of the fields that count and place
//! them: which files are of the admitted form is said here beside each, the loader is asked, and
//! what it admits is run.
//!
//! With `TAL_SEGMENTS` the files are left in that directory, by the names `runs-..` and
//! `refused-..`, to be offered to another host. Those that run write `ok` and end with 42.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use loader::image::Feature::{self, *};
use loader::{Image, Refusal, interface, map, notice, verify};
use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::path::Path;
use std::process::Command;

const PAGE: u64 = 4096;
/// Where the headers of programs stand in the file.
const HEADERS: usize = 64;
/// Where the segments lie that are added.
const EXTRA: u64 = 0x50_0000;

/// Constants, variables and zeroes are read. The start is the last function.
const SOURCE: &str = "\
use \"kernel.tali\"

rodata msg:   bytes = \"ok\\n\"
data   count: u64 = 40
bss    zeros: [600]u64

fn two() -> (rax = 2)
{
        mov     eax, 2
        ret
}

entry fn start {
        mov     edi, 1
        lea     rsi, [msg]
        mov     edx, sizeof msg
        call    write
        call    two
        mov     rdi, rax
        add     rdi, [count]
        add     rdi, [zeros + 599*8]
        jmp     exit
}
";

/// What a host has to say of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expected {
    /// It is admitted, writes `ok` and ends with 42.
    Runs,
    /// It has not the form.
    Form(Feature),
    /// It has the form, and starts elsewhere than what was judged.
    Start,
    /// It has the form, and the judge says no.
    Judge,
}
use Expected::{Form, Judge, Runs, Start};

/// A program header.
#[derive(Clone, Copy)]
struct Header {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    physical: u64,
    in_file: u64,
    in_memory: u64,
    align: u64,
}

impl Header {
    fn read(bytes: &[u8]) -> Header {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        Header {
            kind: word(0),
            flags: word(4),
            offset: long(8),
            address: long(16),
            physical: long(24),
            in_file: long(32),
            in_memory: long(40),
            align: long(48),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = [self.kind.to_le_bytes(), self.flags.to_le_bytes()].concat();
        let (places, sizes) = ([self.offset, self.address], [self.in_file, self.in_memory]);
        for field in [&places[..], &[self.physical], &sizes, &[self.align]].concat() {
            bytes.extend(field.to_le_bytes());
        }
        bytes
    }

    fn at(self, address: u64) -> Header {
        Header { address, physical: address, ..self }
    }

    fn sized(self, in_file: u64, in_memory: u64) -> Header {
        Header { in_file, in_memory, ..self }
    }

    /// Zeroed memory that may be written.
    fn zeros(self, in_memory: u64) -> Header {
        Header { flags: 6, ..self.sized(0, in_memory) }
    }
}

/// A program without section headers, taken apart.
#[derive(Clone)]
struct Program {
    entry: u64,
    /// What the file says: as many as there are, unless it lies.
    count: u16,
    headers: Vec<Header>,
    /// From the second page on.
    body: Vec<u8>,
}

/// Which header of the good program is which.
const TEXT: usize = 0;
const RODATA: usize = 1;
const DATA: usize = 2;
const TAL: usize = 3;
const STACK: usize = 4;

impl Program {
    fn good() -> Program {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("segments.tal");
        fs::write(&source, SOURCE).unwrap();
        let output = directory.path().join("segments");
        let mut assembler = Command::new(env!("CARGO_BIN_EXE_tal-asm"));
        assert!(assembler.arg(&source).arg("-o").arg(&output).status().unwrap().success());
        let file = fs::read(output).unwrap();
        let count = u16::from_le_bytes([file[56], file[57]]);
        let headers = file[HEADERS..].chunks_exact(56).take(usize::from(count));
        let headers: Vec<Header> = headers.map(Header::read).collect();
        let kinds = headers.iter().map(|h| (h.kind, h.flags));
        let tal = (loader::image::PT_TAL, 4);
        assert!(kinds.eq([(1, 5), (1, 5), (1, 4), (1, 6), tal, (0x6474_E551, 6)]));
        // Most are tried without the notice: a file that starts in its text.
        let headers = headers[1..].to_vec();
        let count = count - 1;
        let entry = verify(&file, &interface::embedded().unwrap()).unwrap().entry();
        let end = headers[TAL].offset + headers[TAL].in_file;
        let mut body = file[4096..usize::try_from(end).unwrap()].to_vec();
        body.resize(body.len().next_multiple_of(4096), 0);
        Program { entry: u64::from(entry), count, headers, body }
    }

    fn end(&self) -> u64 {
        4096 + self.body.len() as u64
    }

    /// A page of constants behind everything, not yet in the list.
    fn page(&mut self) -> Header {
        let offset = self.end();
        self.body.resize(self.body.len() + 4096, 0xA5);
        let header = Header { kind: 1, flags: 4, offset, align: PAGE, ..self.headers[TEXT] };
        header.at(EXTRA).sized(PAGE, PAGE)
    }

    /// With another segment behind the others: a page of constants, changed.
    fn with(mut self, change: impl FnOnce(Header) -> Header) -> Program {
        let page = self.page();
        let place = self.headers.iter().rposition(|h| h.kind == 1).unwrap();
        self.headers.insert(place + 1, change(page));
        self.count = u16::try_from(self.headers.len()).unwrap();
        self
    }

    /// With the notice, where a system starts it that does not judge.
    fn noticed(mut self) -> Program {
        let size = notice::BYTES.len() as u64;
        let header = Header { offset: notice::OFFSET as u64, ..self.headers[TEXT] };
        self.headers.insert(0, header.at(notice::ADDRESS).sized(size, size));
        self.count += 1;
        self.entry = notice::ADDRESS;
        self
    }

    /// With one header changed.
    fn change(mut self, which: usize, change: impl FnOnce(Header) -> Header) -> Program {
        self.headers[which] = change(self.headers[which]);
        self
    }

    fn file(&self) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
        file.extend([self.entry.to_le_bytes(), 64_u64.to_le_bytes(), [0; 8]].concat());
        file.extend([0, 0, 0, 0, 64, 0, 56, 0]);
        file.extend(self.count.to_le_bytes());
        file.extend([0; 6]);
        file.extend(self.headers.iter().flat_map(Header::bytes));
        if file.len() <= notice::OFFSET {
            file.resize(notice::OFFSET, 0);
            file.extend_from_slice(notice::BYTES);
        }
        file.resize(file.len().max(4096), 0);
        file.extend_from_slice(&self.body);
        file
    }
}

/// A file, its name, and what is said of it.
struct Kin {
    name: String,
    file: Vec<u8>,
    expected: Expected,
}

/// The files as they are made.
struct Family {
    good: Program,
    kin: Vec<Kin>,
}

impl Family {
    fn add(&mut self, name: impl Into<String>, program: &Program, expected: Expected) {
        self.kin.push(Kin { name: name.into(), file: program.file(), expected });
    }

    /// One more segment.
    fn with(&mut self, name: &str, expected: Expected, change: impl FnOnce(Header) -> Header) {
        let program = self.good.clone().with(change);
        self.add(name, &program, expected);
    }

    /// One header changed.
    fn changed(
        &mut self,
        name: &str,
        which: usize,
        expected: Expected,
        change: impl FnOnce(Header) -> Header,
    ) {
        let program = self.good.clone().change(which, change);
        self.add(name, &program, expected);
    }

    /// Sizes in the file and in memory, for each right.
    fn sizes(&mut self) {
        let sizes = [0, 1, PAGE - 1, PAGE].into_iter();
        let pairs = sizes.flat_map(|f| [0, 1, PAGE - 1, PAGE, PAGE + 1].map(|m| (f, m)));
        for (in_file, in_memory) in pairs {
            for (flags, rights) in [(4, "r"), (5, "rx"), (6, "rw")] {
                let expected = match flags {
                    _ if in_memory == 0 => Form(EmptySegment),
                    _ if in_file > in_memory => Form(FileSize),
                    4 if in_file < in_memory => Form(ConstantsSize),
                    5 => Form(ManyTexts),
                    _ => Runs,
                };
                let name = format!("size-{rights}-{in_file}-{in_memory}");
                self.with(&name, expected, |h| Header { flags, ..h }.sized(in_file, in_memory));
            }
        }
        self.changed("text-empty", TEXT, Form(EmptySegment), |h| h.sized(0, 0));
        self.changed("text-zeros", TEXT, Form(TextSize), |h| h.sized(0, h.in_memory));
        self.changed("text-longer", TEXT, Form(TextSize), |h| h.sized(h.in_file, h.in_memory + 1));
        self.changed("constants-empty", RODATA, Form(EmptySegment), |h| h.sized(0, 0));
        self.changed("variables-empty", DATA, Form(EmptySegment), |h| h.sized(0, 0));
        self.changed("notes-empty", TAL, Judge, |h| h.sized(0, 0));
        self.changed("notes-in-memory", TAL, Form(AnnotationHeader), |h| h.sized(h.in_file, 1));
        self.changed("stack-sized", STACK, Form(Stack), |h| h.sized(0, PAGE));
    }

    fn alignments(&mut self) {
        let powers = (0..64).map(|k| 1_u64 << k);
        for align in powers.chain([0, 3, 12, PAGE - 1, PAGE + 1, 3 * PAGE, u64::MAX]) {
            let set = |h| Header { align, ..h };
            let loaded = if align == PAGE { Runs } else { Form(Alignment) };
            self.with(&format!("align-{align:#x}"), loaded, set);
            let small = align == 0 || (align <= 16 && align.is_power_of_two());
            let other = if small { Runs } else { Form(Alignment) };
            self.changed(&format!("notes-align-{align:#x}"), TAL, other, set);
            self.changed(&format!("stack-align-{align:#x}"), STACK, other, set);
        }
    }

    fn addresses(&mut self) {
        for address in [EXTRA - 1, EXTRA + 1, EXTRA + PAGE - 1] {
            self.with(&format!("at-{address:#x}"), Form(Alignment), |h| h.at(address));
            let zeros = format!("zeros-at-{address:#x}");
            self.with(&zeros, Form(Alignment), |h| h.zeros(1).at(address));
        }
        let last = 0x8000_0000 - PAGE;
        self.with("last-page", Runs, |h| h.at(last));
        self.with("last-page-zeros", Runs, |h| h.zeros(PAGE).at(last));
        self.with("last-byte", Runs, |h| h.zeros(2 * PAGE - 1).at(last - PAGE));
        self.with("behind-last-page", Form(AddressRange), |h| h.zeros(PAGE + 1).at(last));
        let wrapping = 0_u64.wrapping_sub(PAGE);
        let outside = [0x8000_0000, 1 << 32, 1 << 47, 0xFFFF_FFFF_8000_0000, wrapping];
        for address in outside {
            self.with(&format!("at-{address:#x}"), Form(AddressRange), |h| h.at(address));
        }
        for address in [0, PAGE, 0x20_0000, 0x3F_F000] {
            self.changed(&format!("at-{address:#x}"), TEXT, Form(AddressRange), |h| h.at(address));
        }
        self.with("all-memory", Form(AddressRange), |h| h.zeros(u64::MAX));
        self.with("physical", Form(PhysicalAddress), |h| Header { physical: 0, ..h });
    }

    /// Segments beside one another.
    fn neighbours(&mut self) {
        let data = self.good.headers[DATA];
        let end = (data.address + data.in_memory).next_multiple_of(PAGE);
        self.with("touching", Runs, |h| h.at(end));
        self.with("touching-zeros", Runs, |h| h.zeros(1).at(end));
        self.with("last-page-shared", Form(SegmentOrder), |h| h.at(end - PAGE));
        self.with("same-place", Form(SegmentOrder), |h| h.at(data.address));
        self.with("same-place-zeros", Form(SegmentOrder), |h| h.zeros(1).at(data.address));
        let text = self.good.headers[TEXT].address;
        self.with("over-the-text", Form(SegmentOrder), |h| h.at(text));
        self.with("over-all", Form(SegmentOrder), |h| h.zeros(1 << 20).at(text));
        let grown = |h: Header| h.sized(h.in_file, 0x1000_0000);
        self.changed("grown", DATA, Runs, grown);
        let over = self.good.clone().change(DATA, grown).with(|h| h);
        self.add("grown-over-the-next", &over, Form(SegmentOrder));
        for (a, b) in [(TEXT, RODATA), (RODATA, DATA), (TEXT, DATA)] {
            let mut swapped = self.good.clone();
            swapped.headers.swap(a, b);
            self.add(format!("swapped-{a}-{b}"), &swapped, Form(SegmentOrder));
        }
        let mut turned = self.good.clone();
        turned.headers.rotate_right(2);
        self.add("notes-first", &turned, Runs);
        let mut twice = self.good.clone().with(|h| h);
        let page = twice.page();
        twice.headers.insert(4, page.at(EXTRA + PAGE));
        twice.count = 7;
        self.add("two-touching", &twice, Runs);
    }

    fn offsets(&mut self) {
        let end = self.good.clone().with(|h| h).end();
        let at = |offset| move |h: Header| Header { offset, ..h };
        self.with("zeros-at-the-end", Runs, |h| at(end)(h.zeros(PAGE)));
        self.with("zeros-past-the-end", Form(Truncated), |h| at(end + PAGE)(h.zeros(PAGE)));
        self.with("at-the-end", Form(Truncated), at(end));
        self.with("past-the-end", Form(Truncated), at(end + PAGE));
        self.with("at-the-end-of-offsets", Form(Truncated), at(0_u64.wrapping_sub(PAGE)));
        let longer = |h: Header| h.sized(PAGE + 1, PAGE + 1);
        self.with("one-byte-too-long", Form(Truncated), longer);
        self.with("all-of-the-file", Form(Truncated), |h| h.sized(u64::MAX, u64::MAX));
        self.with("inside-a-page", Form(Congruence), |h| at(end - PAGE + 1)(h.sized(1, 1)));
        self.with("zeros-inside-a-page", Form(Congruence), |h| at(end - 1)(h.zeros(1)));
        self.with("over-the-headers", Form(FileOverlap), at(0));
        self.with("zeros-over-the-headers", Runs, |h| at(0)(h.zeros(1)));
        for which in [TEXT, RODATA, DATA] {
            let offset = self.good.headers[which].offset;
            self.with(&format!("bytes-of-{which}"), Form(FileOverlap), at(offset));
        }
        let offset = self.good.headers[TEXT].offset;
        self.changed("notes-in-the-text", TAL, Form(FileOverlap), at(offset));
        self.changed("notes-past-the-end", TAL, Form(Truncated), at(end + PAGE));
    }

    fn counts(&mut self) {
        let mut none = self.good.clone();
        none.count = 0;
        self.add("no-headers", &none, Form(ProgramHeaderCount));
        none.headers.clear();
        self.add("no-headers-nor-bytes", &none, Form(ProgramHeaderCount));
        for count in 1..=4 {
            let few = Program { count, ..self.good.clone() };
            // The annotations come fourth, the stack fifth.
            self.add(format!("{count}-headers"), &few, Form(NoStack));
        }
        let mut more = self.good.clone();
        for extra in 0..4_u64 {
            let page = more.page();
            let place = usize::try_from(3 + extra).unwrap();
            more.headers.insert(place, page.at(EXTRA + 2 * PAGE * extra));
            more.count += 1;
            let expected = if more.count <= 8 { Runs } else { Form(ProgramHeaderCount) };
            self.add(format!("{}-headers", more.count), &more, expected);
        }
        let claimed = Program { count: 0xFFFF, ..self.good.clone() };
        self.add("65535-headers-claimed", &claimed, Form(ProgramHeaderCount));
        // All of them there, what they speak of behind them.
        let mut many = self.good.clone();
        many.headers.resize(0xFFFF, Header { kind: 0, ..many.headers[STACK] });
        many.count = 0xFFFF;
        let shift = (HEADERS as u64 + 0xFFFF * 56).next_multiple_of(PAGE) - PAGE;
        let places = many.headers.iter_mut().filter(|h| h.offset > 0);
        places.for_each(|h| h.offset += shift);
        let start = usize::try_from(shift).unwrap() - (HEADERS + 0xFFFF * 56 - 4096);
        many.body.splice(0..0, vec![0; start]);
        self.add("65535-headers", &many, Form(ProgramHeaderCount));
    }

    fn flags(&mut self) {
        for flags in (0..8).chain([8, 12, 14, 0x10_0004, 0x8000_0004, 0xFFFF_FFFC]) {
            let set = |h: Header| Header { flags, ..h };
            let form = if flags & 3 == 3 { WriteExecute } else { SegmentFlags };
            let known = matches!(flags, 4..=6);
            let or_form = |expected| if known { expected } else { Form(form) };
            let name = |part| format!("flags-{part}-{flags:#x}");
            let more = or_form(if flags == 5 { Form(ManyTexts) } else { Runs });
            self.with(&name("more"), more, set);
            let empty = or_form(Form(EmptySegment));
            self.with(&name("empty"), empty, |h| set(h.sized(0, 0)));
            let text = or_form(if flags == 5 { Runs } else { Form(NoText) });
            self.changed(&name("text"), TEXT, text, set);
            // Of the right form, but the annotations say that nobody writes them.
            let constants = match flags {
                4 => Runs,
                5 => Form(ManyTexts),
                _ => or_form(Judge),
            };
            self.changed(&name("constants"), RODATA, constants, set);
            // The variables have zeroes behind the bytes of the file.
            let variables = match flags {
                4 => Form(ConstantsSize),
                5 => Form(ManyTexts),
                _ => or_form(Runs),
            };
            self.changed(&name("variables"), DATA, variables, set);
            let notes = if flags == 4 { Runs } else { Form(AnnotationHeader) };
            self.changed(&name("notes"), TAL, notes, set);
            let stack = if flags == 6 { Runs } else { Form(Stack) };
            self.changed(&name("stack"), STACK, stack, set);
        }
    }

    fn entries(&mut self) {
        let text = self.good.headers[TEXT];
        let last = text.address + text.in_memory - 1;
        let good = self.good.entry;
        let wide = |entry: u64| entry | 1 << 32;
        let inside = [text.address, good - 1, good + 1, last].map(|entry| (entry, Start));
        let outside = [0, text.address - 1, last + 1, text.address + PAGE, wide(good), u64::MAX]
            .map(|entry| (entry, Form(Entry)));
        for (entry, expected) in inside.into_iter().chain(outside) {
            let program = Program { entry, ..self.good.clone() };
            self.add(format!("entry-{entry:#x}"), &program, expected);
        }
    }
}

impl Family {
    /// The notice is first.
    fn notices(&mut self) {
        let good = self.good.clone().noticed();
        self.add("notice", &good, Runs);
        let mut add = |name: &str, expected, change: &dyn Fn(Header) -> Header| {
            self.add(format!("notice-{name}"), &good.clone().change(0, change), expected);
        };
        for flags in (0..8).filter(|flags| *flags != 5) {
            add(&format!("flags-{flags}"), Form(Notice), &|h| Header { flags, ..h });
        }
        add("empty", Form(Notice), &|h| h.sized(0, 0));
        add("page", Form(Notice), &|h| h.sized(h.in_file, PAGE));
        add("shorter", Form(Notice), &|h| h.sized(h.in_file - 1, h.in_memory - 1));
        add("longer", Form(Notice), &|h| h.sized(h.in_file + 1, h.in_memory + 1));
        add("elsewhere", Form(Notice), &|h| Header { offset: h.offset + PAGE, ..h });
        add("physical", Form(PhysicalAddress), &|h| Header { physical: 0, ..h });
        add("unaligned", Form(Alignment), &|h| Header { align: 1, ..h });
        add("at-the-gates", Form(Alignment), &|h| h.at(0x20_0200));
        let start = Program { entry: self.good.entry, ..good.clone() };
        self.add("notice-but-start", &start, Form(Entry));
        let alone = Program { entry: notice::ADDRESS, ..self.good.clone() };
        self.add("notice-missing", &alone, Form(Entry));
    }
}

fn family() -> Vec<Kin> {
    let mut family = Family { good: Program::good(), kin: Vec::new() };
    let good = family.good.clone();
    family.add("good", &good, Runs);
    family.sizes();
    family.alignments();
    family.addresses();
    family.neighbours();
    family.offsets();
    family.counts();
    family.flags();
    family.entries();
    family.notices();
    family.kin
}

/// What this host says of a file.
fn verdict(file: &[u8]) -> Expected {
    match verify(file, &interface::embedded().unwrap()) {
        Ok(_) => Runs,
        Err(Refusal::File(error)) => Form(error.feature),
        Err(Refusal::Code(_)) => Judge,
        Err(Refusal::Start) => Start,
    }
}

/// Runs an admitted program in a child: its wait status, and what it wrote.
#[allow(unsafe_code, reason = "a child process, and a pipe from it")]
fn run(file: &[u8]) -> (i32, String) {
    let interface = interface::embedded().unwrap();
    let program = verify(file, &interface).unwrap();
    let mut ends = [0; 2];
    // SAFETY: the child runs `map::run` and ends; the parent reads what it writes, and waits.
    let child = unsafe {
        assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
        libc::fork()
    };
    if child == 0 {
        // SAFETY: system calls on the child itself.
        unsafe {
            libc::dup2(ends[1], 1);
            let _ = map::run(&program, &["segments".into()], &[]);
            libc::_exit(99);
        }
    }
    // SAFETY: both ends are ours, and nobody else closes them.
    let reader = unsafe {
        drop(OwnedFd::from_raw_fd(ends[1]));
        OwnedFd::from_raw_fd(ends[0])
    };
    let (mut output, mut status) = (String::new(), 0);
    File::from(reader).read_to_string(&mut output).unwrap();
    // SAFETY: our own child.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    (status, output)
}

/// Attack t163.
#[test]
fn every_shape_of_a_segment_is_refused_or_runs() {
    let kin = family();
    let (mut wrong, mut ran) = (Vec::new(), 0);
    for Kin { name, file, expected } in &kin {
        let found = verdict(file);
        if found != *expected {
            wrong.push(format!("{name}: {expected:?} expected, {found:?} found"));
            continue;
        }
        if found == Runs {
            ran += 1;
            let (status, output) = run(file);
            if (status, &*output) != (42 << 8, "ok\n") {
                wrong.push(format!("{name}: wait status {status:#x}, output {output:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    println!("{} files, {ran} of them admitted and run", kin.len());
    assert!(kin.len() >= 450 && ran >= 50, "{} {ran}", kin.len());
}

/// For other hosts, and to look at.
#[test]
fn files_are_left_where_they_are_asked_for() {
    let kin = family();
    let mut names: Vec<&str> = kin.iter().map(|k| k.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), kin.len(), "two files of one name");
    let Some(directory) = std::env::var_os("TAL_SEGMENTS") else { return };
    for Kin { name, file, expected } in &kin {
        let verdict = if *expected == Runs { "runs" } else { "refused" };
        fs::write(Path::new(&directory).join(format!("{verdict}-{name}")), file).unwrap();
    }
}

/// The zero-length segment that a host mapped: constants, and variables, behind the others.
#[test]
fn a_segment_of_no_length_is_refused_by_its_name() {
    let good = Program::good();
    for flags in [4, 6] {
        let file = good.clone().with(|h| Header { flags, ..h.sized(0, 0) }).file();
        let refusal = Image::parse(&file).unwrap_err();
        assert_eq!(refusal.feature, EmptySegment);
        assert_eq!(refusal.offset, HEADERS + 3 * 56 + 40);
        assert!(refusal.to_string().ends_with("a segment has no bytes in memory"));
    }
}
