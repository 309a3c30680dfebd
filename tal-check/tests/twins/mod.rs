//! Not trusted: a test. What is said about small programs, and of two that differ in one place.

use std::collections::BTreeMap;
use std::path::Path;
use tal_check::check::check;
use tal_check::elaborate::lower;
use tal_check::report::report;

/// The codes of what is said about a program, joined by blanks; nothing about one that is accepted.
pub(crate) fn said(text: &str) -> String {
    let files = BTreeMap::from([("test.tal".to_owned(), text.to_owned())]);
    let outcome = lower(Path::new("test.tal"), &files).unwrap();
    let Some(lowered) = outcome.lowered else { panic!("{:?}", outcome.diags) };
    let Err((lowered, refusals)) = check(lowered) else { return String::new() };
    let codes = report(&lowered, &refusals).iter().map(|d| d.code.to_string()).collect::<Vec<_>>();
    codes.join(" ")
}

/// The same program with two texts in one place: with the first it is safe, with the second not.
#[track_caller]
pub(crate) fn twins(program: impl Fn(&str) -> String, safe: &str, unsafe_: &str) {
    assert_eq!(said(&program(safe)), "", "with `{safe}`");
    assert_ne!(said(&program(unsafe_)), "", "with `{unsafe_}`");
}
