//! Not trusted: a test. Text that nobody would write: no panic, no overflow of the stack, time in
//! proportion to length.

#![allow(clippy::expect_used, clippy::panic)] // a test that fails says why

mod common;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use tal_syntax::source::Sources;
use tal_syntax::{codes, parse, print, render};

/// Parses, prints and renders: whatever the text is, this comes back.
fn survive(text: &str) {
    let (tree, diags) = parse(0, text);
    let mut sources = Sources::new();
    sources.add("hostile.tal", text);
    let length = text.len() as u32;
    for diag in diags.iter().take(50) {
        let span = diag.primary.span;
        assert!(span.start <= span.end && span.end <= length, "{diag:?}");
        assert!(text.get(span.range()).is_some(), "{diag:?}");
        assert!(codes::REGISTRY.find(diag.code).is_some(), "{diag:?}");
        assert!(!render::render(diag, &sources, render::Format::Plain).is_empty());
    }
    if diags.is_empty() {
        let (mut again, diags) = parse(0, &print::print(&tree));
        assert_eq!(diags, []);
        let mut tree = tree;
        tree.comments.clear();
        again.comments.clear();
        tree.erase_spans();
        again.erase_spans();
        assert_eq!(tree, again);
    }
}

#[test]
fn nesting_has_a_limit_and_the_stack_does_not_overflow() {
    let n = 100_000;
    let texts = [
        format!("const X = {}1{}", "(".repeat(n), ")".repeat(n)),
        format!("const X = {}", "(".repeat(n)),
        format!("const X = {}1", "-".repeat(n)),
        format!("const X = {}1", "~-".repeat(n)),
        format!("const X = 1{}", " + 1".repeat(n)),
        format!("const X = 1{}", " +\n1".repeat(n)),
        format!("const X = {}1", "1 | ".repeat(n)),
        format!("type t = {}int", "own ".repeat(n)),
        format!("type t = {}int", "[1]".repeat(n)),
        format!("type t = {}int", "&".repeat(n)),
        format!("type t = {}int", "own@a? ".repeat(n)),
        format!("type t = {}", "fn(a: ".repeat(n)),
        format!("type t = {}", "fn() -> (a: ".repeat(n)),
        format!("type t = {}", "a[".repeat(n)),
        format!("fn f() {{ mov {}rax{} }}", "[".repeat(n), "]".repeat(n)),
        format!("sum s by t: u8 {{ {}", "0 = a { ".repeat(n)),
    ];
    for text in texts {
        let (_, diags) = parse(0, &text);
        assert!(!diags.is_empty(), "{}", &text[..40]);
        survive(&text);
    }
}

#[test]
fn long_lists_are_not_deep() {
    let n = 20_000;
    let values = "1, ".repeat(n);
    let (_, diags) = parse(0, &format!("rodata x: bytes = {values}0"));
    assert_eq!(diags, []);
    let facts = "0 <= rax, ".repeat(n);
    let (_, diags) = parse(0, &format!("fn f() {{\n.a: where {facts}0 <= rax\n}}"));
    assert_eq!(diags, []);
}

/// The time that this thread has computed, in nanoseconds: other work on the machine does not
/// count.
fn clock() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// The least time of three to parse so many copies of a text.
fn time(text: &str, copies: usize) -> Duration {
    let text = text.repeat(copies);
    let run = |_| {
        let start = clock();
        let _ = parse(0, &text);
        clock() - start
    };
    Duration::from_nanos((0..3).map(run).min().unwrap_or(0))
}

#[test]
fn time_is_in_proportion_to_length() {
    let texts = [
        "fn f(rdi = n) -> (rax)\n{\n.a:     mov     rax, [rdi + rcx*8]\n        ret\n}\n",
        "(] ",
        "[ ) ",
        "{ ",
        "} ",
        "fn f() { ",
        "x ",
        "\n",
        "\"",
        "'",
        "; c\n",
        "= ",
        ".a: ",
        "fn f(\n",
        "pub ",
        "mov rax, (\n",
        "- = ",
        "own ] ",
        "\u{fe0f}",
        "fn f() {\n(\n",
        "(1 ",
        "where\n",
        "fn f() -> (a) or\n",
        "rodata x: u8 = times\n",
        "a\n\n\nwhere ",
        "{ [ } ( ",
    ];
    for text in texts {
        let size = 20_000 / text.len();
        let (short, long) = (time(text, size), time(text, 4 * size));
        // Quadratic would be 16 times; a little is given for noise.
        let bound = short * 10 + Duration::from_millis(50);
        assert!(long < bound, "{text:?}: {short:?}, four times the text {long:?}");
    }
}

#[test]
fn a_large_file_is_parsed_in_seconds() {
    let body = "        mov     rax, [rdi + rcx*8 - 8]\n".repeat(100);
    let function = format!("fn f(rdi = a: &[n]i64, rsi = n) -> (rax: int[0 .. n])\n{{\n{body}}}\n");
    let text = function.repeat(2_000);
    let lines = text.lines().count();
    let start = Instant::now();
    let (tree, diags) = parse(0, &text);
    let elapsed = start.elapsed();
    assert_eq!(diags, []);
    assert_eq!(tree.decls.len(), 2_000);
    println!("{lines} lines in {elapsed:?}");
    // Without optimisation, on a busy machine.
    assert!(elapsed < Duration::from_secs(60), "{elapsed:?}");
}

#[test]
fn several_errors_are_found_in_one_run() {
    let text = "fn f()\n{\n        mov rax rbx\n        add rax,, 1\n        ret\n}\nconst = 4\n\
                fn g(rdi = ) { ret 1 2 }\n";
    let (tree, diags) = parse(0, text);
    let found: Vec<String> = diags.iter().map(|diag| diag.code.to_string()).collect();
    assert_eq!(found, ["E0007"; 5], "{diags:#?}");
    assert_eq!(tree.decls.len(), 3);
}

fn mutated() -> impl Strategy<Value = String> {
    let texts: Vec<String> = common::sources().into_iter().map(|(_, text)| text).collect();
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "(", ")", "[", "]", "{", "}", ",", ":", "=", "->", "..", "\n", "\"", "'", "&", "own ",
            "fn ", "where ", "or ", "0x", ".a", ";", "é", "\0", "rax", "byte ", "times ", "@", "?",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let change = (any::<prop::sample::Index>(), 0..30usize, piece);
    (proptest::sample::select(texts), proptest::collection::vec(change, 1..8)).prop_map(
        |(mut text, changes)| {
            for (place, cut, piece) in changes {
                let bounds: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
                if bounds.is_empty() {
                    break;
                }
                let from = place.index(bounds.len());
                let to = bounds.get(from + cut).copied().unwrap_or(text.len());
                text.replace_range(bounds[from]..to, &piece);
            }
            text
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None,
                                        ..ProptestConfig::default() })]

    #[test]
    fn mutated_sources_are_survived(text in mutated()) {
        survive(&text);
    }

    #[test]
    fn any_text_is_survived(text in any::<String>()) {
        survive(&text);
    }

    #[test]
    fn any_tokens_are_survived(words in proptest::collection::vec(proptest::sample::select(vec![
        "fn", "f", "(", ")", "[", "]", "{", "}", ",", ":", "=", "->", "..", "\n", "where", "or",
        "own", "&", "?", "@", "rax", "eax", "1", "'a'", "\"s\"", ".l", "const", "struct", "sum",
        "by", "exists", "packed", "rodata", "data", "use", "origin", "entry", "pub", "table",
        "times", "sizeof", "some", "of", "never", "clobbers", "keeps", "align", "+", "-", "*", "<",
        "byte", "rep", "u8", "type", "ref", "rw", "inout", "out", "|", "~", "; c\n",
    ]), 0..60)) {
        survive(&words.join(" "));
    }
}
