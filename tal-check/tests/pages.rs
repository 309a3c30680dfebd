//! Not trusted: a test. Every code of lowering has a page, whose examples do what it says.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tal_check::codes::LOWERING;
use tal_check::elaborate::lower;

/// The files that examples may use.
fn files(text: &str) -> BTreeMap<String, String> {
    let library = "fn hidden() -> (rax)\n{\n        xor     eax, eax\n        ret\n}\n\n\
                   pub fn shown() -> (rax)\n{\n        jmp     hidden\n}\n";
    let more = "fn launch(rdi = rocket) -> never\n";
    let old = "fn getpid() -> (rax: int[0 .. 32767])\n";
    let all = [("page.tal", text), ("lib.tal", library), ("more.tali", more), ("old.tali", old)];
    all.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect()
}

#[test]
fn examples_do_what_their_page_says() {
    assert_eq!(LOWERING.complaints(), Vec::<String>::new());
    let mut wrong = Vec::new();
    for page in LOWERING.pages {
        for example in page.examples() {
            let outcome = lower(Path::new("page.tal"), &files(&example.text)).unwrap();
            let codes: BTreeSet<String> =
                outcome.diags.iter().map(|d| d.code.to_string()).collect();
            let mut expected = BTreeSet::new();
            if example.refused {
                expected.insert(page.code.to_string());
            }
            if codes != expected {
                let messages: Vec<&String> = outcome.diags.iter().map(|d| &d.message).collect();
                wrong.push(format!("{} line {}: {messages:?}", page.code, example.line));
            }
            assert_eq!(outcome.lowered.is_some(), codes.is_empty());
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn edits_apply_to_the_text() {
    for page in LOWERING.pages {
        for example in page.examples().iter().filter(|e| e.refused) {
            let outcome = lower(Path::new("page.tal"), &files(&example.text)).unwrap();
            for edit in outcome.diags.iter().flat_map(|d| &d.helps).filter_map(|h| h.edit.clone()) {
                if outcome.sources.get(edit.span.file).is_none_or(|f| f.path != "page.tal") {
                    continue;
                }
                let mut fixed = example.text.clone();
                fixed.replace_range(edit.span.range(), &edit.replacement);
                let again = lower(Path::new("page.tal"), &files(&fixed)).unwrap();
                let codes: Vec<String> = again.diags.iter().map(|d| d.code.to_string()).collect();
                assert!(codes.is_empty(), "{}: {codes:?} after the edit\n{fixed}", page.code);
            }
        }
    }
}

/// Numbers behind `Code(` or as first argument of `self.error(` in the text.
fn codes_in(text: &str) -> BTreeSet<u16> {
    let mut found = BTreeSet::new();
    for mark in ["Code(", "self.error("] {
        for rest in text.split(mark).skip(1) {
            let rest = rest.trim_start();
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            found.extend(rest[..end].parse::<u16>());
        }
    }
    found
}

#[test]
fn every_code_that_is_given_has_a_page() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut given = BTreeSet::new();
    let parts = ["resolve.rs", "interface.rs", "lower.rs", "lower"];
    let mut work: Vec<_> = parts.iter().map(|p| source.join(p)).collect();
    while let Some(path) = work.pop() {
        match std::fs::read_dir(&path) {
            Ok(entries) => work.extend(entries.map(|e| e.unwrap().path())),
            Err(_) => given.extend(codes_in(&std::fs::read_to_string(&path).unwrap())),
        }
    }
    let pages: BTreeSet<u16> = LOWERING.pages.iter().map(|p| p.code.0).collect();
    assert_eq!(given, pages);
}
