//! Not trusted: a test. `docs/spec/grammar.md` is the grammar of the parser: the same productions,
//! which mention the same tokens and productions, and the same classes of tokens.

#![allow(clippy::expect_used, clippy::panic)] // a test that fails says why

mod common;

use std::collections::{BTreeMap, BTreeSet};

type Productions = BTreeMap<String, BTreeSet<String>>;

const MACROS: [&str; 4] = ["List", "List1", "Trailing", "Spanned"];

fn read(path: &str) -> String {
    std::fs::read_to_string(common::root().join(path)).expect("a text")
}

/// The quoted tokens and the capitalised words of a right side.
fn symbols(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, part) in text.split('"').enumerate() {
        if at % 2 == 1 {
            found.insert(format!("\"{part}\""));
            continue;
        }
        for word in part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            let capital = word.starts_with(|c: char| c.is_ascii_uppercase());
            if capital && !MACROS.contains(&word) {
                found.insert(word.to_owned());
            }
        }
    }
    found
}

fn page() -> Productions {
    let text = read("docs/spec/grammar.md");
    let mut productions = Productions::new();
    let mut name = String::new();
    let blocks = text.split("```ebnf\n").skip(1).filter_map(|block| block.split("```").next());
    for line in blocks.flat_map(str::lines) {
        let right = match line.split_once(" = ") {
            Some((left, right)) if !line.starts_with(' ') => {
                name = left.trim().to_owned();
                assert!(!productions.contains_key(&name), "{name} stands twice");
                right
            }
            _ => line,
        };
        productions.entry(name.clone()).or_default().extend(symbols(right));
    }
    productions
}

/// Removes actions (behind `=>`), bindings (`name:`) and places (`@L`).
fn without_actions(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("=>") {
        out.push_str(&rest[..at]);
        rest = &rest[at + 2..];
        // The action goes on to a comma or semicolon outside of brackets, or a closing bracket.
        let mut depth = 0;
        let mut quoted = false;
        let end = rest.find(|c| {
            match c {
                '"' => quoted = !quoted,
                _ if quoted => {}
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth -= 1,
                _ => {}
            }
            !quoted && (depth < 0 || depth == 0 && (c == ',' || c == ';'))
        });
        rest = &rest[end.unwrap_or(rest.len())..];
        // Between alternatives.
        out.push(' ');
    }
    out.push_str(rest);
    out.replace("@L", " ").replace("@R", " ")
}

fn grammar() -> Productions {
    let text = read("tal-syntax/src/grammar.lalrpop");
    let (_, text) = text.split_once("\n// Declarations.").expect("the productions");
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let text: Vec<&str> = lines.collect();
    let text = text.join("\n");
    let mut productions = Productions::new();
    // A production begins in the first column with its name, a colon and the type of its tree.
    let mut starts: Vec<usize> = text
        .match_indices('\n')
        .map(|(at, _)| at + 1)
        .filter(|at| text[*at..].starts_with(|c: char| c.is_ascii_uppercase() || c == 'p'))
        .collect();
    starts.push(text.len());
    for pair in starts.windows(2) {
        let production = text[pair[0]..pair[1]].trim_start_matches("pub ");
        let (name, rest) = production.split_once(':').expect("a name");
        let (_, right) = rest.split_once(" = ").expect("a right side");
        let bare = without_actions(right);
        // `<kind:Kind>`: what stands before the colon is the action's name for it, in small
        // letters.
        let twice = productions.insert(name.trim().to_owned(), symbols(&bare));
        assert!(twice.is_none(), "{name} stands twice");
    }
    productions
}

#[test]
fn the_page_is_the_grammar() {
    let (page, grammar) = (page(), grammar());
    let names = |productions: &Productions| productions.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&page), names(&grammar));
    assert!(page.len() > 50);
    for (name, symbols) in &grammar {
        assert_eq!(Some(symbols), page.get(name), "{name}: the grammar is left, the page is right");
    }
}

#[test]
fn the_page_names_every_class_of_tokens() {
    let text = read("docs/spec/grammar.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let capital = |word: &&str| word.chars().all(|c| c.is_ascii_uppercase());
    let page: BTreeSet<&str> = rows.filter(capital).collect();
    let grammar = read("tal-syntax/src/grammar.lalrpop");
    let tokens = grammar.lines().filter_map(|line| line.trim().split_once(" => Token::"));
    let grammar: BTreeSet<&str> = tokens.map(|(name, _)| name).filter(capital).collect();
    assert_eq!(page, grammar);
    assert_eq!(page.len(), 9);
}

#[test]
fn every_reserved_word_is_on_the_page() {
    let text = read("docs/spec/grammar.md");
    for word in ["own", "ref", "inout", "some", "of", "fn", "where", "sizeof"] {
        assert!(text.contains(&format!("`{word}`")), "{word}");
        let (_, diags) = tal_syntax::parse(0, &format!("const {word} = 1"));
        assert_eq!(diags.first().map(|diag| diag.code.0), Some(8), "{word}");
    }
    for word in [
        "use", "const", "type", "struct", "sum", "rodata", "data", "bss", "origin", "pub", "entry",
        "by", "exists", "packed", "times", "table", "or", "never", "rw", "out", "align",
        "clobbers", "keeps", "byte", "qword", "rep", "lock", "mov",
    ] {
        let text = format!(
            "const {word} = 1\nrodata {word}: bytes = {word}\nfn {word}(rdi = {word}) {{\n\
             mov rax, [{word} + 1]\n}}"
        );
        assert_eq!(tal_syntax::parse(0, &text).1, [], "{word}");
    }
}
