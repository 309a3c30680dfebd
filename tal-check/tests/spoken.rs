//! Not trusted: a test. What holds of every message: it names nothing that only the checker knows,
//! and never lists as needed what it lists as known. All refused programs of the pages and of the
//! tests are asked.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod suite;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use suite::{page, pages, root};
use tal_check::check::check;
use tal_check::codes::{GENERAL, JUDGING, LOWERING};
use tal_check::elaborate::lower;
use tal_check::report::report;
use tal_syntax::diag::Diag;

fn said(text: &str) -> Vec<Diag> {
    let files = BTreeMap::from([("page.tal".to_owned(), text.to_owned())]);
    let outcome = lower(Path::new("page.tal"), &files).unwrap();
    match outcome.lowered.map(check) {
        None => outcome.diags,
        Some(Ok(_)) => Vec::new(),
        Some(Err((lowered, refusals))) => report(&lowered, &refusals),
    }
}

/// Every program that the pages and the folder of diagnostics have.
fn programs() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for page in pages().into_iter().chain([page("docs/limits.md")]) {
        all.extend(page.programs().into_iter().map(|p| p.text));
    }
    for registry in [LOWERING, JUDGING, GENERAL] {
        all.extend(registry.pages.iter().flat_map(|p| p.examples()).map(|e| e.text));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "tal") {
            all.insert(std::fs::read_to_string(path).unwrap());
        }
    }
    assert!(root().join("docs/limits.md").exists());
    all
}

/// All texts of a diagnostic.
fn texts(diag: &Diag) -> Vec<&str> {
    let labels = diag.secondary.iter().chain([&diag.primary]).map(|l| l.text.as_str());
    let notes = diag.notes.iter().map(String::as_str);
    let helps = diag.helps.iter().map(|h| h.text.as_str());
    labels.chain(notes).chain(helps).chain([diag.message.as_str()]).collect()
}

/// A name of the checker's own in a text: `x7`, `inner0`, `param1`.
fn internal(text: &str) -> Option<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'));
    words.into_iter().find(|word| {
        ["x", "inner", "param"].iter().any(|stem| {
            let digits = word.strip_prefix(stem).unwrap_or("");
            !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
        })
    })
}

/// What a diagnostic needs that it knows.
fn needed_and_known(diag: &Diag) -> Option<String> {
    let labels = diag.secondary.iter().chain([&diag.primary]);
    let needs = labels.filter_map(|l| l.text.split_once("needs ").map(|(_, n)| n.to_owned()));
    let known: BTreeSet<&str> = (diag.notes.iter())
        .filter_map(|n| n.strip_prefix("known here: "))
        .flat_map(|n| n.split([',', ';']))
        .map(str::trim)
        .collect();
    needs.into_iter().find(|n| known.contains(n.as_str()))
}

#[test]
fn messages_name_nothing_internal_and_need_nothing_known() {
    let mut refused = 0;
    let mut wrong = Vec::new();
    for text in programs() {
        let diags = said(&text);
        refused += usize::from(!diags.is_empty());
        for diag in &diags {
            for said in texts(diag) {
                if let Some(name) = internal(said).filter(|name| !text.contains(*name)) {
                    wrong.push(format!("{}: `{name}` in `{said}` of\n{text}", diag.code));
                }
            }
            if let Some(fact) = needed_and_known(diag) {
                wrong.push(format!("{} needs what is known, {fact}:\n{text}", diag.code));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
    assert!(refused > 250, "{refused} refused programs");
}

/// The two readers above find what they are for.
#[test]
fn the_readers_read() {
    assert_eq!(internal("needs 1 <= x7"), Some("x7"));
    assert_eq!(internal("rax and xmm7, box7, x"), None);
    let at = tal_syntax::Span::default();
    let diag = Diag::error(tal_syntax::diag::Code(301), at, "m").with_primary("needs a <= b");
    assert_eq!(needed_and_known(&diag.clone().with_note("known here: 0 <= a, a <= c")), None);
    let both = diag.with_note("known here: 0 <= a, a <= b");
    assert_eq!(needed_and_known(&both), Some("a <= b".to_owned()));
}
