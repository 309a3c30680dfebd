//! Not trusted: a test. The accepted programs that mutants are made of: examples, the programs of
//! the pages of the specification, those beside the attacks, those that call the interface.

use crate::subject::{Real, Subject};
use crate::suite::{Verdict, judge, judge_files, pages, root};
use std::path::{Path, PathBuf};
use tal_asm::convert;
use tal_asm::elf::{Output, write};
use tal_asm::program::Program;
use tal_check::check::Checked;
use tal_check::lowered::Lowered;
use tal_check::needed::Records;
use tal_check::resolve::Disk;
use tal_core::decode::decode_at;
use tal_core::ty::FnId;
use tal_write::Label;

/// An accepted program.
#[derive(Debug)]
pub struct Object {
    /// Where it comes from.
    pub name: String,
    /// Bytes and addresses.
    pub program: Program,
    /// The executable, for what has a start.
    pub file: Option<Vec<u8>>,
    /// Offset and length of each instruction of the text.
    pub instructions: Vec<(usize, usize)>,
    /// What the checker knows of it.
    pub lowered: Box<Lowered>,
    /// The states at its labels.
    pub labels: Vec<Label>,
    /// What is written of them.
    pub records: Records,
}

/// All of them.
#[derive(Debug)]
pub struct Corpus {
    /// In a fixed order.
    pub objects: Vec<Object>,
    /// Every instruction of theirs, by length, each once.
    pub instructions: Vec<Vec<Vec<u8>>>,
}

/// Which programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// All.
    Whole,
    /// A few small ones, for tests that take a second.
    Few,
}

/// Small programs that together use most of the rules.
const FEW: &[&str] = &["examples/args.tal", "examples/tests/list.tal", "examples/tests/table.tal"];

/// The programs in these folders, by name.
fn files(folders: &[&str]) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in folders {
        let entries = std::fs::read_dir(root().join(folder)).unwrap();
        paths.extend(entries.map(|e| e.unwrap().path()));
    }
    paths.retain(|p| p.extension().is_some_and(|e| e == "tal"));
    paths.sort();
    paths
}

/// The accepted files beside the refused ones.
fn attacks() -> Vec<PathBuf> {
    let groups = std::fs::read_dir(root().join("tests/attacks")).unwrap();
    let name = |e: std::fs::DirEntry| e.file_name().to_string_lossy().into_owned();
    let mut groups: Vec<String> =
        groups.map(|e| format!("tests/attacks/{}", name(e.unwrap()))).collect();
    groups.sort();
    let mut paths: Vec<PathBuf> = groups.iter().flat_map(|g| files(&[g])).collect();
    paths.retain(|p| !p.to_string_lossy().ends_with(".refused.tal"));
    paths
}

impl Corpus {
    /// Checks and assembles them.
    #[must_use]
    pub fn new(size: Size) -> Corpus {
        let mut objects = Vec::new();
        let paths = match size {
            Size::Few => FEW.iter().map(|f| root().join(f)).collect(),
            Size::Whole => {
                let mut paths = files(&["examples", "examples/tests", "tests/interface"]);
                paths.extend(attacks());
                paths
            }
        };
        for path in paths {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            objects.extend(object(&name, judge_files(Path::new(&path), &Disk)));
        }
        if size == Size::Whole {
            for program in pages().iter().flat_map(crate::suite::Page::programs) {
                objects.extend(object(&program.name, judge(&program.name, &program.text)));
            }
        }
        // The same program stands on several pages.
        let mut seen = std::collections::BTreeSet::new();
        objects.retain(|o| seen.insert((o.program.text.clone(), o.program.annotations.clone())));
        Corpus::of(objects)
    }

    /// Of these objects.
    #[must_use]
    pub fn of(objects: Vec<Object>) -> Corpus {
        let mut instructions = vec![Vec::new(); 16];
        for object in &objects {
            for (at, length) in &object.instructions {
                instructions[*length].push(object.program.text[*at..*at + *length].to_vec());
            }
        }
        for list in &mut instructions {
            list.sort_unstable();
            list.dedup();
        }
        Corpus { objects, instructions }
    }

    /// Those that can be started.
    pub fn executables(&self) -> impl Iterator<Item = &Object> {
        self.objects.iter().filter(|o| o.file.is_some())
    }
}

/// The object of an accepted program that the embedded interface fits.
fn object(name: &str, verdict: Verdict) -> Option<Object> {
    let Verdict::Accepted(checked) = verdict else { return None };
    let object = Object::new(name, *checked);
    // Some pages have an interface of their own.
    Real::new().judge(&object.program).is_ok().then_some(object)
}

impl Object {
    /// What the checker accepted, as bytes.
    #[must_use]
    pub fn new(name: &str, mut checked: Checked) -> Object {
        let section = checked.section.clone();
        let start = checked.lowered.start;
        // Only the layout is of interest here, and a library has one, too.
        checked.lowered.start = Some(FnId(0));
        let program = convert::program(&checked.lowered, &section);
        checked.lowered.start = start;
        let mut program = program.unwrap_or_default();
        if start.is_some() {
            program = convert::program(&checked.lowered, &section).unwrap();
        }
        let file = start.and_then(|_| write(&program, Output::Executable).ok());
        let mut instructions = Vec::new();
        let mut at = 0;
        while let Ok(d) = decode_at(&program.text, program.text_address, at as u32) {
            instructions.push((at, usize::from(d.length)));
            at += usize::from(d.length);
            if at == program.text.len() {
                break;
            }
        }
        let Checked { lowered, labels, records, .. } = checked;
        let (name, lowered) = (name.into(), Box::new(lowered));
        Object { name, program, file, instructions, lowered, labels, records }
    }
}
