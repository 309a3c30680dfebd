//! Not trusted: a test. Source verdict and machine-code verdict are one: what tal-check accepts
//! the loader accepts, and what it refuses is refused again from the bytes, by the same rule at
//! the same instruction.
#![allow(clippy::unwrap_used, clippy::panic)]

mod blunt;
#[path = "../../tal-check/tests/suite/mod.rs"]
mod suite;

use blunt::Blunt;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::path::Path;
use suite::{Verdict, judge, judge_files, line_of, named, pages, root};
use tal_asm::elf::{Output, write};
use tal_asm::program::Program;
use tal_asm::{assemble, convert};
use tal_check::check::Refusal;
use tal_check::explore::explore;
use tal_check::lowered::Lowered;
use tal_check::part::finder;
use tal_check::resolve::Disk;
use tal_core::error::Error;
use tal_core::image::Segment;
use tal_core::judge::Judge;
use tal_core::ty::FnId;
use tal_core::verify_section;
use tal_write::{Recorder, encode};

/// The program as a file, for the tests in the kernel.
fn keep(name: &str, program: &Program) {
    if let Some(directory) = std::env::var_os("TAL_OBJECTS") {
        let file = write(program, Output::Executable).unwrap();
        // Some have one name: changes of one line on several pages.
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&file);
        let name = format!("{name}-{hash:016x}");
        std::fs::write(Path::new(&directory).join(name), file).unwrap();
    }
}

/// What the judge says of the bytes of a program with this section.
fn verify(name: &str, lowered: &mut Lowered, section: &[u8]) -> Result<(), Error> {
    verify_changed(name, lowered, section, |_| ())
}

/// As [`verify`], of bytes that are changed before.
fn verify_changed(
    name: &str,
    lowered: &mut Lowered,
    section: &[u8],
    change: impl FnOnce(&mut Program),
) -> Result<(), Error> {
    // Only the layout is of interest here, and a library has one, too.
    let start = lowered.start;
    lowered.start = Some(FnId(0));
    let mut program = convert::program(lowered, section).unwrap();
    lowered.start = start;
    change(&mut program);
    keep(name, &program);
    let mut segments = Vec::new();
    let mut add = |address: u32, bytes: &[u8], size: u32, writable| {
        if size > 0 {
            segments.push((address, bytes.to_vec(), size, writable));
        }
    };
    let (rodata, data) = (&program.rodata, &program.data);
    add(program.rodata_address, rodata, u32::try_from(rodata.len()).unwrap(), false);
    add(program.data_address, data, u32::try_from(data.len()).unwrap(), true);
    add(program.bss_address, &[], program.bss_size, true);
    let segments: Vec<Segment<'_>> = (segments.iter())
        .map(|(address, bytes, size, writable)| Segment {
            address: *address,
            size: *size,
            bytes,
            writable: *writable,
        })
        .collect();
    let interface = &lowered.host.interface;
    let (text, notes) = (&program.text, &program.annotations);
    verify_section(text, program.text_address, &segments, notes, interface).map(|_| ())
}

/// The same program as bytes: its annotations are the answers up to the refusal.
fn refused_again(name: &str, lowered: &mut Lowered) -> (Option<Error>, Result<(), Error>) {
    let labels = explore(lowered).labels;
    let (section, first) = {
        let interface = &lowered.host.interface;
        let image = lowered.image(&labels);
        let recorder = Recorder::new(Blunt(finder(lowered, &image, &labels)));
        let mut judge = Judge::new(&image, interface, recorder, u64::MAX);
        let first = judge.verify().err();
        (encode(&image, interface, &judge.hints.recorded), first)
    };
    (first, verify(name, lowered, &section))
}

/// What is wrong with the machine-code verdict on a program that tal-check refuses.
fn compare(name: &str, lowered: &mut Lowered, refusals: &[Refusal], wrong: &mut Vec<String>) {
    let (first, again) = refused_again(name, lowered);
    let Err(error) = again else {
        return wrong.push(format!("{name}: the judge accepts what tal-check refuses"));
    };
    let said: Vec<_> = refusals.iter().map(named).collect();
    let same = said
        .iter()
        .any(|(rule, site)| *rule == error.rule.name() && (site.is_none() || *site == error.site));
    if !same {
        let line = error.site.map_or(0, |s| line_of(lowered, s));
        wrong
            .push(format!("{name}: {said:?}, but of the bytes, line {line}: {error:?}, {first:?}"));
    }
}

/// Judges the bytes of a program, of a verdict on its source.
fn road(name: &str, verdict: Verdict, wrong: &mut Vec<String>) {
    match verdict {
        Verdict::NoCode(_) => {}
        Verdict::Accepted(mut checked) => {
            if let Err(error) = verify(name, &mut checked.lowered, &checked.section) {
                wrong.push(format!("{name}: accepted, but of the bytes: {error:?}"));
            }
            if let Ok(program) = convert::program(&checked.lowered, &checked.section) {
                let interface = &checked.lowered.host.interface;
                for output in [Output::Executable, Output::Object] {
                    if let Err(failure) = assemble(&program, output, interface) {
                        wrong.push(format!("{name}: accepted, but not assembled: {failure}"));
                    }
                }
            }
        }
        Verdict::Refused(mut lowered, refusals) => compare(name, &mut lowered, &refusals, wrong),
    }
}

#[test]
fn programs_of_the_pages_have_one_verdict() {
    let mut wrong = Vec::new();
    for page in pages() {
        for program in page.programs() {
            road(&program.name, judge(&program.name, &program.text), &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What is wrong with what the page says of this change to an accepted program.
fn changed(checked: &mut tal_check::check::Checked, change: &suite::Change) -> Option<String> {
    let lowered = &mut checked.lowered;
    let name = format!("changed-{}", change.line);
    let verdict = verify_changed(&name, lowered, &checked.section, |program| {
        change.make(match change.part.as_str() {
            "text" => &mut program.text,
            "rodata" => &mut program.rodata,
            "notes" => &mut program.annotations,
            other => panic!("line {}: no part is called {other}", change.line),
        });
    });
    let rule = verdict.as_ref().err().map(|error| error.rule.name());
    (rule != change.rule.as_deref()).then(|| format!("line {}: {verdict:?}", change.line))
}

/// Objects that no source makes: accepted ones, of which some bytes are changed.
#[test]
fn changed_bytes_are_judged_as_the_pages_say() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for page in pages() {
        for (program, changes) in page.changes() {
            let Verdict::Accepted(mut checked) = judge(&program.name, &program.text) else {
                panic!("{}: only bytes of what is accepted are changed", program.name);
            };
            for change in changes {
                count += 1;
                let found = changed(&mut checked, &change);
                wrong.extend(found.map(|what| format!("{}: {what}", program.name)));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count > 0 || std::env::var("PAGE").is_ok());
}

#[test]
fn examples_have_one_verdict() {
    let mut wrong = Vec::new();
    let files = |dir: &str| std::fs::read_dir(root().join(dir)).unwrap().map(|e| e.unwrap().path());
    for path in files("examples").chain(files("examples/tests")) {
        if path.extension().is_some_and(|e| e == "tal") {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            road(&name, judge_files(Path::new(&path), &Disk), &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn attacks_have_one_verdict() {
    let mut wrong = Vec::new();
    for group in std::fs::read_dir(root().join("tests/attacks")).unwrap() {
        for file in std::fs::read_dir(group.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            road(&name, judge_files(&path, &Disk), &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
