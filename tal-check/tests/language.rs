//! Not trusted: a test. docs/language.md speaks of everything that the grammar reads. What its
//! programs do is tested with those of docs/spec (`spec.rs`), its commands by `cargo xtask tour`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;
use tal_syntax::ast::{BinderKind, IntType, Prefix, PtrMode, Size};

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// What stands between double quotes in the text between these two marks.
fn quoted_in(text: &str, start: &str, end: &str) -> BTreeSet<String> {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("there is no `{start}`"));
    let (part, _) = rest.split_once(end).unwrap();
    part.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Words and signs of the grammar, and the words in its classes of tokens.
fn constructs() -> BTreeSet<String> {
    let grammar = read("tal-syntax/src/grammar.lalrpop");
    let mut found = quoted_in(&grammar, "enum Token<'s> {", "\n    }\n");
    // Ends of lines are no signs.
    assert!(found.remove("nl") && found.remove("end"));
    found.extend(IntType::ALL.map(|t| t.text().to_owned()));
    found.extend(BinderKind::ALL.map(|k| k.text().to_owned()));
    found.extend(PtrMode::ALL.map(|m| m.text().to_owned()));
    found.extend(Prefix::ALL.map(|p| p.text().to_owned()));
    found.extend(Size::ALL.map(|s| s.text().to_owned()));
    let ghosts = quoted_in(&read("tal-check/src/lower/state.rs"), "const GHOSTS", ";\n\n");
    assert_eq!(ghosts.len(), 9);
    found.extend(ghosts.iter().map(|name| format!("@{name}")));
    found.extend(["bytes", "zero", "junk"].map(str::to_owned));
    found
}

#[test]
fn the_page_speaks_of_every_construct() {
    let page = read("docs/language.md");
    // In prose and tables, not in programs alone.
    let mut fenced = false;
    let prose = page.lines().filter(|line| {
        let fence = line.starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    let prose = prose.collect::<Vec<_>>().join("\n");
    let quoted: Vec<&str> = prose.split('`').skip(1).step_by(2).collect();
    let of_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '@';
    let words: BTreeSet<&str> = quoted.iter().flat_map(|q| q.split(|c| !of_word(c))).collect();
    let spoken = |construct: &str| {
        if construct.contains(|c: char| c.is_ascii_alphanumeric()) && construct.chars().all(of_word)
        {
            words.contains(construct)
        } else {
            quoted.iter().any(|q| q.contains(construct)) || page.contains(&format!(" {construct} "))
        }
    };
    let constructs = constructs();
    assert!(constructs.len() > 90, "{constructs:?}");
    let missing: Vec<&String> = constructs.iter().filter(|c| !spoken(c)).collect();
    assert!(missing.is_empty(), "docs/language.md does not speak of {missing:?}");
}
