//! Not trusted: a test. `parse(print(t))` is `t`, for the trees of all sources and for trees made
//! at random.

#![allow(clippy::expect_used, clippy::panic)] // a test that fails says why

mod common;

use proptest::prelude::*;
use tal_syntax::ast::File;
use tal_syntax::{parse, print::print};

fn parsed(text: &str) -> File {
    let (mut file, diags) = parse(0, text);
    assert_eq!(diags, [], "in\n{text}");
    file.erase_spans();
    file
}

#[test]
fn sources_survive_printing() {
    for (path, text) in common::sources() {
        let (tree, diags) = parse(0, &text);
        assert_eq!(diags, [], "{path}");
        let printed = print(&tree);
        let (before, after) = (parsed(&text), parsed(&printed));
        assert_eq!(before, after, "{path} printed is\n{printed}");
        assert_eq!(print(&parse(0, &printed).0), printed, "{path}: printing is not settled");
    }
}

/// Labels are in functions. Behind the colon of a field is a type, not an instruction.
#[test]
fn what_looks_like_a_label_in_a_structure_is_none() {
    let text = "struct s {\n    .v: int\n}\n";
    let debug = format!("{:?}", parsed(text));
    assert!(debug.contains("Int { base: Int, range: None }"), "{debug}");
}

#[test]
fn sources_are_nearly_in_canonical_layout() {
    // Lines that printing leaves alone: the layout of the examples is the printer's.
    let (mut same, mut all) = (0, 0);
    for (_, text) in common::sources() {
        let printed = print(&parse(0, &text).0);
        let printed: std::collections::HashSet<&str> = printed.lines().collect();
        all += text.lines().count();
        same += text.lines().filter(|line| printed.contains(line)).count();
    }
    assert!(same * 100 >= all * 90, "{same} of {all} lines");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None,
                                        ..ProptestConfig::default() })]

    #[test]
    fn trees_survive_printing(tree in common::trees::file()) {
        let printed = print(&tree);
        let (mut again, diags) = parse(0, &printed);
        prop_assert_eq!(&diags, &[], "{}", printed);
        again.erase_spans();
        prop_assert_eq!(again, tree, "{}", printed);
    }
}
