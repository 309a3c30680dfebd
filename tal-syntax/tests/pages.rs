//! Not trusted: a test. The pages of `docs/errors`: one for each code, with examples that do what
//! they say.

#![allow(clippy::expect_used, clippy::panic)] // a test that fails says why

mod common;

use std::collections::BTreeSet;

use tal_syntax::codes::REGISTRY;
use tal_syntax::diag::Code;
use tal_syntax::parse;

fn codes(text: &str) -> BTreeSet<Code> {
    parse(0, text).1.iter().map(|diag| diag.code).collect()
}

#[test]
fn the_table_is_well_formed() {
    assert_eq!(REGISTRY.complaints(), [""; 0]);
    let title = REGISTRY.find(Code(13)).map(tal_syntax::codes::Page::title);
    assert_eq!(title, Some("a label begins with a dot"));
    assert!(REGISTRY.find(Code(99)).is_none());
}

#[test]
fn pages_and_codes_are_the_same_set() {
    let mut pages = BTreeSet::new();
    for entry in std::fs::read_dir(common::root().join("docs/errors")).expect("the folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        let code = name.strip_suffix(".md").and_then(Code::parse);
        let code = code.unwrap_or_else(|| panic!("docs/errors/{name} is no page"));
        if code.0 < 100 {
            pages.insert(code);
        }
    }
    let table: BTreeSet<Code> = REGISTRY.pages.iter().map(|page| page.code).collect();
    assert_eq!(pages, table);

    // The constants of codes.rs, read from its text.
    let text = std::fs::read_to_string(common::root().join("tal-syntax/src/codes.rs"));
    let text = text.expect("codes.rs");
    let constants: Vec<Code> = text
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split_once(": Code = Code("))
        .filter_map(|(_, rest)| rest.strip_suffix(");")?.parse().ok().map(Code))
        .collect();
    assert_eq!(constants.iter().copied().collect::<BTreeSet<_>>(), table);
    assert_eq!(constants.len(), table.len(), "a code with two names");
}

#[test]
fn examples_do_what_their_pages_say() {
    for page in REGISTRY.pages {
        for example in page.examples() {
            let found = codes(&example.text);
            let place = format!("docs/errors/{}.md:{}", page.code, example.line);
            if example.refused {
                assert_eq!(found, BTreeSet::from([page.code]), "{place}");
            } else {
                assert_eq!(found, BTreeSet::new(), "{place}");
            }
        }
    }
}

#[test]
fn edits_mend_what_they_promise_to_mend() {
    let mut edits = 0;
    for page in REGISTRY.pages {
        for example in page.examples().iter().filter(|example| example.refused) {
            for diag in parse(0, &example.text).1 {
                for edit in diag.helps.iter().filter_map(|help| help.edit.as_ref()) {
                    let mended = edit.apply(&example.text).expect("a place in the text");
                    let left = codes(&mended);
                    assert!(!left.contains(&page.code), "{}: {left:?} in\n{mended}", page.code);
                    edits += 1;
                }
            }
        }
    }
    assert!(edits >= 9, "{edits} edits");
}
