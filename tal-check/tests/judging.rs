//! Not trusted: a test. Every code of judging has a page, every example on it does what it says,
//! the edits that diagnostics offer are applied and must help, and the messages are as recorded.
//! `BLESS=1` records them anew.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tal_check::check::check;
use tal_check::codes::{GENERAL, JUDGING};
use tal_check::elaborate::lower;
use tal_check::report::report;
use tal_syntax::diag::Diag;
use tal_syntax::render::{Format, emit};
use tal_syntax::source::Sources;

/// Everything that is said about a program.
fn said(name: &str, text: &str) -> (Vec<Diag>, Sources) {
    let files = BTreeMap::from([(name.to_owned(), text.to_owned())]);
    let outcome = lower(Path::new(name), &files).unwrap();
    let Some(lowered) = outcome.lowered else { return (outcome.diags, outcome.sources) };
    match check(lowered) {
        Ok(checked) => (Vec::new(), checked.lowered.sources),
        Err((lowered, refusals)) => {
            let diags = report(&lowered, &refusals);
            assert!(!diags.is_empty(), "{name} is refused without a word");
            (diags, lowered.sources)
        }
    }
}

fn codes(diags: &[Diag]) -> BTreeSet<String> {
    diags.iter().map(|d| d.code.to_string()).collect()
}

#[test]
fn examples_do_what_their_page_says() {
    assert_eq!(JUDGING.complaints(), Vec::<String>::new());
    let only = std::env::var("CODE").unwrap_or_default();
    let mut wrong = Vec::new();
    for page in JUDGING.pages.iter().filter(|p| p.code.to_string().contains(&only)) {
        for example in page.examples() {
            let (diags, sources) = said("page.tal", &example.text);
            let expected = example.refused.then(|| page.code.to_string());
            if codes(&diags) != expected.into_iter().collect() {
                let mut shown = Vec::new();
                emit(&mut shown, &diags, &sources, Format::Plain).unwrap();
                let shown = String::from_utf8(shown).unwrap();
                wrong.push(format!("{} line {}:\n{shown}", page.code, example.line));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pages_of_last_resort_have_titles() {
    for page in GENERAL.pages {
        assert!(page.text.starts_with(&format!("# {}: ", page.code)), "{}", page.code);
    }
}

/// The programs of tests/diagnostics.
fn programs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "tal"));
    paths.sort();
    paths
}

#[test]
fn messages_are_as_recorded() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for path in programs() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (diags, sources) = said(&name, &std::fs::read_to_string(&path).unwrap());
        let mut shown = Vec::new();
        emit(&mut shown, &diags, &sources, Format::Plain).unwrap();
        let recorded = path.with_extension("stderr");
        if bless {
            std::fs::write(&recorded, &shown).unwrap();
        } else if std::fs::read(&recorded).ok() != Some(shown.clone()) {
            wrong.push(format!("{name}:\n{}", String::from_utf8(shown).unwrap()));
        }
        // `e0301_past_end.tal` is about E0301.
        let code = name.get(..5).unwrap().to_uppercase();
        if codes(&diags) != BTreeSet::from([code]) {
            wrong.push(format!("{name} gives {:?}", codes(&diags)));
        }
    }
    assert!(wrong.is_empty(), "{}\nrecord with BLESS=1", wrong.join("\n"));
}

/// What a message advises that is no edit stands beside its program, `NAME.works`, and is accepted.
#[test]
fn what_messages_advise_works() {
    let mut tried = 0;
    for path in programs() {
        let works = path.with_extension("works");
        if let Ok(text) = std::fs::read_to_string(&works) {
            let (diags, sources) = said("works.tal", &text);
            let mut shown = Vec::new();
            emit(&mut shown, &diags, &sources, Format::Plain).unwrap();
            assert!(diags.is_empty(), "{}:\n{}", works.display(), String::from_utf8_lossy(&shown));
            tried += 1;
        }
    }
    assert!(tried >= 22, "{tried}");
}

#[test]
fn edits_make_the_program_safe() {
    let pages = JUDGING.pages.iter().flat_map(|p| p.examples()).filter(|e| e.refused);
    let texts = pages.map(|e| e.text);
    let own = programs().into_iter().map(|p| std::fs::read_to_string(p).unwrap());
    let mut tried = 0;
    for text in texts.chain(own).collect::<BTreeSet<String>>() {
        let (diags, _) = said("page.tal", &text);
        for edit in diags.iter().flat_map(|d| &d.helps).filter_map(|h| h.edit.as_ref()) {
            let fixed = edit.apply(&text).unwrap();
            let (diags, _) = said("page.tal", &fixed);
            assert!(diags.is_empty(), "{:?} after the edit:\n{fixed}", codes(&diags));
            tried += 1;
        }
    }
    assert!(tried >= 4, "{tried}");
}
