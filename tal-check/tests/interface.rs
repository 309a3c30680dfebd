//! Not trusted: a test. Every function of the interface, called rightly and wrongly
//! (`tests/interface`). That the right calls do what they should is shown by `cargo xtask
//! examples`, which runs them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use tal_check::check::{Refusal, check};
use tal_check::elaborate::lower;
use tal_check::infer::Trouble;
use tal_check::lowered::Lowered;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/interface")
}

fn line(lowered: &Lowered, offset: u32) -> u32 {
    lowered.span_at(offset).and_then(|s| lowered.sources.position(s)).map_or(0, |p| p.line)
}

/// `(line, rule)` of each refusal; nothing when the program is accepted.
fn refusals(text: &str) -> BTreeSet<(u32, String)> {
    let memory = BTreeMap::from([("program.tal".to_string(), text.to_string())]);
    let outcome = lower(Path::new("program.tal"), &memory).unwrap();
    let lowered = outcome.lowered.unwrap_or_else(|| panic!("{:#?}", outcome.diags));
    let Err((lowered, refusals)) = check(lowered) else { return BTreeSet::new() };
    let place = |refusal: &Refusal| match refusal {
        Refusal::Judge(e) | Refusal::Trouble(_, Trouble::Block { error: e, .. }) => {
            (line(&lowered, e.site.unwrap_or(0)), e.rule.name().to_string())
        }
        other => panic!("{other:?}"),
    };
    refusals.iter().map(place).collect()
}

/// `(line, rule)` of each `;! error[rule]`.
fn expected(text: &str) -> BTreeSet<(u32, String)> {
    let rule = |l: &str| Some(l.split_once(";! error[")?.1.split_once(']')?.0.to_string());
    (1..).zip(text.lines()).filter_map(|(n, l)| Some((n, rule(l)?))).collect()
}

/// With what stands behind `;=` for each line that has it.
fn corrected(text: &str) -> String {
    let right = |l: &str| l.split_once(";= ").map_or(l.to_string(), |(_, right)| right.to_string());
    text.lines().map(|l| right(l) + "\n").collect()
}

#[test]
fn right_calls_are_accepted() {
    let mut programs = 0;
    for file in fs::read_dir(directory()).unwrap() {
        let path = file.unwrap().path();
        if !path.ends_with("refused.tal") {
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(refusals(&text), BTreeSet::new(), "{}", path.display());
            programs += 1;
        }
    }
    assert!(programs > 1);
}

#[test]
fn wrong_calls_are_refused_and_their_twins_accepted() {
    let text = fs::read_to_string(directory().join("refused.tal")).unwrap();
    assert_eq!(refusals(&text), expected(&text));
    assert_eq!(refusals(&corrected(&text)), BTreeSet::new());
}

/// One wrong call a function, and no function without one.
#[test]
fn every_function_has_one_wrong_line() {
    let text = fs::read_to_string(directory().join("refused.tal")).unwrap();
    for function in text.split("\n\n").filter(|part| part.contains("fn wrong_")) {
        assert_eq!(function.matches(";! error[").count(), 1, "{function}");
        assert_eq!(function.matches(";= ").count(), 1, "{function}");
    }
}
